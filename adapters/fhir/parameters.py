"""What an operation is asked with: words in the address, or a body of Parameters."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from adapters.fhir import references, wire
from service.errors import Invalid, Issue, Malformed
from service.values import Id, read_json, write_json

Words = list[tuple[str, str]]
Kind = Literal["reference", "code", "codes", "string", "integer", "boolean", "dateTime", "period"]
"""What a parameter is; `codes` may be given several times."""


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


def typed(query: Sequence[tuple[str, str]], body: bytes, kinds: Mapping[str, Kind]) -> dict[str, Any]:
    """The parameters of these names and kinds, wherever they stand, each as a value: a reference as its text, a dateTime as
    an instant, a period as two of them (None where open). Raises Invalid with every fault: a name that is not known, one
    that is given twice, a value of another kind."""
    found: dict[str, Any] = {}
    faults: list[Issue] = []
    said: list[tuple[str, Any, str]] = [(name, value, name) for name, value in query if name not in FORMAT]
    for position, each in enumerate(_given(body)):
        at = f"Parameters.parameter[{position}]"
        key = next((key for key in each if key.startswith("value")), None)
        said.append((each["name"], each[key] if key else None, f"{at}.{key}" if key else at))
    for name, value, at in said:
        if name not in kinds:
            faults.append(
                Issue(f"This parameter is not known here; these are: {', '.join(kinds)}.", at, "not-supported")
            )
        elif name in found and kinds[name] != "codes":
            faults.append(Issue("This parameter is given twice.", at, "value"))
        else:
            try:
                if kinds[name] == "codes":
                    found[name] = (*found.get(name, ()), _value(value, "code", at))
                else:
                    found[name] = _value(value, kinds[name], at)
            except Invalid as refusal:
                faults += refusal.issues
    if faults:
        raise Invalid("The operation cannot be understood.", issues=faults)
    return found


def reply(given: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What an operation answers; FHIR has no empty list."""
    return {"resourceType": "Parameters"} | ({"parameter": list(given)} if given else {})


FORMAT = ("_format", "_pretty")


def _value(value: Any, kind: Kind, at: str) -> Any:
    match kind, value:
        case "reference", {"reference": str(text)}:
            return text
        case "code", {"coding": [{"code": str(code)}, *_]} | {"code": str(code)}:
            return code
        case (("reference" | "code" | "string"), str(text)) if text.strip():
            return text
        case "boolean", bool(yes):
            return yes
        case "boolean", ("true" | "false"):
            return value == "true"
        case "integer", int(number) if not isinstance(value, bool):
            return number
        case "integer", str(text) if text.isascii() and text.isdigit() and len(text) < 9:
            return int(text)
        case "dateTime", str(text):
            return wire.instant(text, at)
        case "period", {"start": str(_)} | {"end": str(_)}:
            return tuple(wire.instant(value[end], at) if end in value else None for end in ("start", "end"))
        case _:
            raise Invalid(f"This parameter is a {kind}.", at=at, code="value")


def id_of(given: Mapping[str, Any], name: str, *types: str) -> Id | None:
    """The id of ours that a parameter names, of one of these types; None where it is not given. Raises Invalid."""
    text = given.get(name)
    if text is None:
        return None
    found = references.parse(text)
    id = references.as_id(found[1]) if found and found[0] in types else None
    if id is None:
        raise Invalid(f"This names a {' or '.join(types)} of this server.", at=name, code="value")
    return id


def required(given: Mapping[str, Any], *names: str) -> None:
    """Raise Invalid for each of these that is not given."""
    missing = [Issue(f"The parameter {name} is missing.", "Parameters.parameter", "required") for name in names if name not in given]  # fmt: skip
    if missing:
        raise Invalid("Something is missing.", issues=missing)
