"""SMART scopes of programs: what a scope allows, and what is granted of what was asked for.

Both forms are read: v1 `system/Task.read` and v2 `system/Task.rs` (SMART App Launch 2.2, "Scopes for requesting FHIR
Resources"). A v2 scope narrowed by a query (`?category=…`) is not understood, and therefore never granted: granting it
without its query would give more than was asked for.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Literal

from service.access.model import Actor

Interaction = Literal["c", "r", "u", "d", "s"]
"""create, read (with versions), update (patch too), delete, search (type history too)."""

FORM = re.compile(r"system/(\*|[A-Z][A-Za-z]{0,63})\.(read|write|\*|(?=[cruds])c?r?u?d?s?)")
V1 = {"read": "rs", "write": "cud", "*": "cruds"}

SUPPORTED = ("system/*.cruds", "system/*.rs", "system/*.read", "system/*.write", "system/*.*")
"""What the discovery document names; every resource type may stand in place of the star."""


@lru_cache(maxsize=4096)
def read(scope: str) -> tuple[str, frozenset[str]] | None:
    """The resource type (or `*`) and the letters that one scope allows; None for a scope of another kind."""
    found = FORM.fullmatch(scope)
    return (found[1], frozenset(V1.get(found[2], found[2]))) if found else None


@lru_cache(maxsize=4096)
def _letters(scopes: tuple[str, ...], resource_type: str) -> frozenset[str]:
    readable = [held for held in map(read, scopes) if held and held[0] in ("*", resource_type)]
    return frozenset[str]().union(*(letters for _, letters in readable))


def may(actor: Actor, resource_type: str, interaction: Interaction) -> bool:
    """Whether the actor's scopes allow the interaction; people and the service itself are bound by role."""
    return actor.kind != "client" or interaction in _letters(actor.scopes, resource_type)


def narrow(asked: Iterable[str], held: Iterable[str]) -> tuple[str, ...]:
    """What is granted: of each scope asked for, the part that the client holds; where whole, in the words asked in.

    Empty when nothing asked for is held.
    """
    own = tuple(held)
    granted: dict[str, None] = {}
    for scope in asked:
        wanted = read(scope)
        if wanted is None:
            continue
        type_, letters = wanted
        if letters <= _letters(own, type_):
            granted[scope] = None
            continue
        # `*` asked for: what is held on `*` itself, and what is held on single types beyond that.
        types = [type_] if type_ != "*" else sorted({h[0] for h in map(read, own) if h})
        for one in types:
            part = "".join(letter for letter in "cruds" if letter in letters & _letters(own, one))
            if part:
                granted[f"system/{one}.{part}"] = None
    return tuple(granted)
