"""What an operation is asked with: words in the address, or a body of Parameters."""

from collections.abc import Sequence
from typing import Any

from adapters.fhir import wire
from service.errors import Malformed
from service.values import read_json, write_json

Words = list[tuple[str, str]]


def words(query: Sequence[tuple[str, str]], body: bytes) -> Words:
    """The simple parameters, wherever they stand, as texts. Raises Malformed for a body that is no Parameters, or for one
    that has no simple value."""
    said = list(query)
    for position, each in enumerate(_given(body)):
        value = next((each[key] for key in each if key.startswith("value")), None)
        if isinstance(value, dict) and isinstance(value.get("reference"), str):
            value = value["reference"]
        if isinstance(value, bool):
            value = "true" if value else "false"
        if not isinstance(value, str | int | float):
            raise Malformed(
                "This parameter has no simple value.", at=f"Parameters.parameter[{position}]", code="required"
            )
        said.append((each["name"], str(value)))
    return said


def with_resource(query: Sequence[tuple[str, str]], body: bytes) -> tuple[Words, bytes | None]:
    """The simple parameters, and the resource that comes with them: as the parameter `resource`, or as the whole body."""
    if not body.strip():
        return list(query), None
    if wire.decode(body, wire.Kind, "Parameters").resource_type != "Parameters":
        return list(query), body
    given = _given(body)
    held = [each["resource"] for each in given if each["name"] == "resource" and isinstance(each.get("resource"), dict)]
    others: dict[str, Any] = {"parameter": [each for each in given if each["name"] != "resource"]}
    said = words(query, write_json({"resourceType": "Parameters"} | others)) if others["parameter"] else list(query)
    return said, write_json(held[0]) if held else None


def _given(body: bytes) -> list[dict[str, Any]]:
    if not body.strip():
        return []
    if wire.decode(body, wire.Kind, "Parameters").resource_type != "Parameters":
        raise Malformed("An operation is asked by a Parameters.", at="resourceType", code="value")
    given = read_json(body).get("parameter", [])
    if not isinstance(given, list) or not all(isinstance(e, dict) and isinstance(e.get("name"), str) for e in given):
        raise Malformed("A parameter has a name.", at="Parameters.parameter", code="required")
    return given
