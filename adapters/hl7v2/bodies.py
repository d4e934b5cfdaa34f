"""The FHIR resource of a person or stay as it is stored: what was there before, with what a message told laid over it."""

from collections.abc import Mapping
from typing import Any

from service.patients.model import Identifier, Patient, Stay
from service.values import read_json, write_json

Json = dict[str, Any]

NO_IDENTIFIER = "urn:yuanshe:no-identifier-reason"


def write(of: Patient | Stay, before: bytes | None, shown: Mapping[str, Any]) -> bytes:
    """The resource. What nobody told anew stays as it was received."""
    if isinstance(of, Patient):
        body: Json = read_json(before) if before else {"resourceType": "Patient"}
        body["id"] = str(of.id)
        body["identifier"] = _with(body.get("identifier", []), of.identifiers)
        put(body, f"extension[url={NO_IDENTIFIER}]", None)
    else:
        body = read_json(before) if before else {"resourceType": "Encounter", "status": of.status}
        body["id"] = str(of.id)
        body["subject"] = {"reference": f"Patient/{of.patient}"}
        if of.number:
            body["identifier"] = _with(body.get("identifier", []), (of.number,))
    for path, element in shown.items():
        put(body, path, element)
    if before and shown:
        # What somebody wrote in words of the resource as it was may be wrong of it as it is.
        put(body, "text", None)
    if isinstance(of, Stay):
        body.setdefault("class", {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"})
    return write_json(body)


def _with(listed: list[Json], numbers: tuple[Identifier, ...]) -> list[Json]:
    there = {(one.get("system"), one.get("value")) for one in listed}
    return [
        *listed,
        *({"system": n.system, "value": n.value} for n in numbers if (n.system, n.value) not in there),
    ]


def put(body: Json, path: str, element: Any) -> None:
    """Set the element at `a`, `a.b`, or the one of a list that is told apart by `a[key=value]`; None takes it away, and
    what is left empty with it."""
    if path.endswith("]"):
        name, _, rest = path[:-1].partition("[")
        key, _, value = rest.partition("=")
        listed = [one for one in body.get(name, []) if one.get(key) != value]
        _set(body, name, listed if element is None else [*listed, element])
        return
    outer, _, inner = path.partition(".")
    if not inner:
        _set(body, outer, element)
        return
    part: Json = body.get(outer) or {}
    _set(part, inner, element)
    _set(body, outer, part)


def _set(body: Json, name: str, element: Any) -> None:
    if element is None or element == [] or element == {}:
        body.pop(name, None)
    else:
        body[name] = element
