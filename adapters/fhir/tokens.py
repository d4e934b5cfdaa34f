"""Token parameters: `code`, `system|code`, `|code` and `system|` as conditions of the room that answers."""

from collections.abc import Iterable, Sequence

from adapters.fhir import audit, render
from adapters.fhir.references import as_id
from adapters.fhir.rows import Param
from adapters.fhir.surface import SURFACE
from service import codes
from service.db.finding import NEVER, Condition, either
from service.errors import Malformed

OWN_SYSTEMS = {
    "business-status": codes.BUSINESS_STATUS,
    "type": codes.SERVICE_TYPE,
    "need": codes.NEED,
    "population": codes.POPULATION,
    "grade": codes.GRADE,
}
"""Of tokens that are columns of ours: the system of their codes."""
BOOLEANS = {"true": True, "false": False}

Pair = tuple[str | None, str | None]


def pairs(values: Iterable[str]) -> tuple[Pair, ...]:
    """System and code of each; None stands for any, and an empty system for none (FHIR R4 search.html#token)."""
    found: list[Pair] = []
    for value in values:
        system, bar, code = value.rpartition("|")
        found.append((system if bar else None, code or None))
    return tuple(found)


def condition(type: str, param: Param, values: Sequence[str]) -> Condition:
    """The resources whose token is one of the values. Raises Malformed for a value that can be none."""
    wanted = pairs(values)
    match param.kind:
        case "boolean":
            if any(code not in BOOLEANS for _, code in wanted):
                raise Malformed(f"{param.name} is true or false.", code="invalid")
            return Condition(param.field, tuple(BOOLEANS[code or ""] for _, code in wanted))
        case "code":
            return _implied(param, wanted)
        case _:
            return _coded(type, param, wanted)


def _implied(param: Param, wanted: Sequence[Pair]) -> Condition:
    """Of an element of type code: its system is not written, but known from what it is bound to."""
    fitting = [code for system, code in wanted if system in (None, param.system) or not param.system]
    if None in fitting:
        return Condition("has", param.paths) if param.path else Condition(param.field, test="present")
    if not fitting:
        return NEVER
    if param.path:
        return Condition("plain", tuple((path, code) for path in param.paths for code in fitting))
    return Condition(param.field, tuple(fitting))


def _coded(type: str, param: Param, wanted: Sequence[Pair]) -> Condition:
    if param.name == "_id":
        ids = tuple(id for system, code in wanted if not system and code and (id := as_id(code)))
        return Condition("id", ids) if ids else NEVER
    if SURFACE[type].room == "audit":
        return audit.token(param, wanted)
    if param.path:
        coded = Condition("coded", tuple((path, system, code) for path in param.paths for system, code in wanted))
        if type == "Communication" and param.name == "category":
            # What the service itself wrote has no parts as received.
            kinds = tuple(code for system, code in wanted if code and system in (None, codes.MESSAGE))
            made = Condition("made") if (codes.MESSAGE, None) in wanted else Condition("made-kind", kinds)
            return either(coded, made)
        return coded
    if param.field == "kind":
        return _kind(wanted)
    if param.field == "phone":
        return _plain(param.field, wanted, "phone")
    if param.field in ("number", "category", "code"):
        return Condition(param.field, tuple(wanted))
    own = codes.ORGANIZATION_KIND if type == "Organization" and param.field == "type" else OWN_SYSTEMS.get(param.field)
    return _plain(param.field, wanted, own)


def _plain(field: str, wanted: Sequence[Pair], own: str | None) -> Condition:
    if own and (own, None) in wanted:
        return Condition(field, test="present")
    plain = tuple(code for system, code in wanted if code and system in (None, own))
    return Condition(field, plain) if plain else NEVER


def _kind(wanted: Sequence[Pair]) -> Condition:
    """Task.code: `fulfill` of FHIR's own list, `follow-up` or the word of a duty of ours."""
    tasks: list[str] = []
    for system, code in wanted:
        if system in (None, render.TASK_CODE) and code in (None, "fulfill"):
            tasks += ["parent", "share"]
        if system in (None, codes.TASK_CODE) and code in (None, "follow-up"):
            tasks.append("follow-up")
        if system in (None, codes.TASK_CODE):
            tasks += codes.DUTY_WORDS if code is None else [code] if code in codes.DUTY_WORDS else []
    return Condition("kind", tuple(tasks)) if tasks else NEVER
