"""What an element looks like when it is right: from a resource of each type that the service would take."""

import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from adapters.fhir.definitions import SHAPES

STEP = re.compile(r"([A-Za-z_]\w*)(?:\[(\d+)\])?(?:\.|\Z)")


@lru_cache(maxsize=1)
def examples() -> dict[str, Any]:
    """Type → a resource with every element that the service reads, each with a value that it takes (`…` stands for an id)."""
    return msgspec.json.decode((Path(__file__).parent / "examples.json").read_bytes())


def steps(expression: str) -> list[str | int]:
    """`ServiceRequest.category[0].coding` as keys and places; what cannot be read ends it."""
    found: list[str | int] = []
    at = 0
    while step := STEP.match(expression, at):
        found.append(step[1])
        if step[2] is not None:
            found.append(int(step[2]))
        at = step.end()
    return found


def value_at(holder: Any, path: list[str | int]) -> Any:
    """The value at a path, by the name that JSON gives it (`valueQuantity` for `value`); None where there is none."""
    for step in path:
        if isinstance(holder, list) and isinstance(step, str):
            holder = holder[0] if holder else None
        if isinstance(step, int):
            holder = holder[min(step, len(holder) - 1)] if isinstance(holder, list) and holder else holder
        elif isinstance(holder, dict):
            choice = re.compile(rf"{re.escape(step)}[A-Z]")
            named = step if step in holder else next((key for key in holder if choice.match(key)), step)
            holder = holder.get(named)
        else:
            return None
    return holder


def corrected(type: str, path: list[str | int]) -> Any:
    """An example of the element at this path of a resource; of the nearest one around it where there is none so deep. None for
    a type without an example."""
    whole = examples().get(type)
    while path:
        found = value_at(whole, path)
        if found is not None:
            return found
        path = path[:-1]
    return whole


def words(type: str, path: list[str | int]) -> str:
    """What R4 says of the element: its type, its codes, what a reference may name; nothing for one that it does not know."""
    shape = SHAPES.get(type)
    bare = ".".join(str(step) for step in path if isinstance(step, str))
    return (shape.kinds.get(bare) or "") if shape else ""
