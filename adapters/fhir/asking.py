"""What a search asks: parameters understood as conditions of the room that answers, and as how to answer."""

import base64
import binascii
import re
import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec

from adapters.fhir import dates, references, render
from adapters.fhir.surface import SURFACE, Param, Type
from service import codes
from service.access.model import Actor
from service.access.scopes import may
from service.db import Session
from service.db.finding import NEVER, After, Condition, Order, either
from service.errors import Forbidden, Malformed
from service.patients import finding as patient_finding
from service.referrals import finding
from service.values import Id

PAGE, LARGEST_PAGE = 50, 200
PERSONAL_PAGE = 1000
"""A search by what may identify a person answers in one page, since no link may carry its values."""

MOST_VALUES = 200
"""Values of all parameters of a search together: each is looked for by itself."""

FORMAT = frozenset({"_format", "_pretty"})
MODIFIERS = {
    "token": ("not", "missing"),
    "code": ("not", "missing"),
    "reference": ("missing",),
    "date": ("missing",),
    "string": ("missing",),
    "uri": ("missing",),
    "boolean": ("not", "missing"),
}


class Asked(msgspec.Struct):
    """A search as understood: `used` are the parameters that counted, in the order given."""

    conditions: list[Condition]
    used: list[tuple[str, str]]
    includes: list[str]
    ignored: list[str]
    personal: bool = False
    count: int = PAGE
    order: Order = Order()
    after: After | None = None
    total: str = "accurate"
    counting: bool = False


async def understood(session: Session, actor: Actor, type: str, params: Sequence[tuple[str, str]]) -> Asked:
    if len(params) + sum(value.count(",") for _, value in params) > MOST_VALUES:
        raise Malformed(f"A search has at most {MOST_VALUES} values.", code="too-costly")
    asked = Asked([], [], [], [])
    surface = SURFACE[type]
    for name, value in params:
        if "\0" in name or "\0" in value:
            raise Malformed("A search parameter holds the character NUL.", code="invalid")
        if name in FORMAT:
            continue
        if name.startswith("_") and _of_result(asked, type, surface, name, value):
            asked.used.append((name, value))
            continue
        bare, _, modifier = name.partition(":")
        chain, _, tail = bare.partition(".")
        param = surface.param(chain)
        if param is None or (tail and _chained(param, tail) is None) or (bare.endswith(".")):
            asked.ignored.append(name)
            continue
        if value == "":
            continue
        if tail:
            asked.conditions.append(await _through(session, actor, type, param, tail, modifier, value))
            asked.personal = True
        else:
            asked.conditions.append(await _condition(session, type, param, modifier, value))
            asked.personal = asked.personal or param.personal
        asked.used.append((name, value))
    if surface.room == "record":
        asked.conditions.insert(0, Condition("type", (type,)))
    return asked


def _of_result(asked: Asked, type: str, surface: Type, name: str, value: str) -> bool:
    """Parameters that say how to answer; False for one that is not of these."""
    match name:
        case "_count":
            if not value.isascii() or not value.isdigit() or len(value) > 9:
                raise Malformed("_count is a number.", code="invalid")
            asked.count = min(int(value), LARGEST_PAGE)
            asked.counting = asked.count == 0
        case "_sort":
            bare = value.removeprefix("-")
            if bare not in ("_lastUpdated", "_id"):
                raise Malformed("_sort is by _lastUpdated or _id, with or without a minus.", code="not-supported")
            asked.order = Order(bare == "_lastUpdated", not value.startswith("-"))
        case "_total":
            if value not in ("none", "estimate", "accurate"):
                raise Malformed("_total is none, estimate or accurate.", code="invalid")
            asked.total = value
        case "_summary":
            if value not in ("count", "false"):
                return False
            asked.counting = value == "count"
        case "_cursor":
            asked.after = _cursor(value)
        case "_include":
            source, _, rest = value.partition(":")
            element = rest.partition(":")[0]
            if source != type or element not in surface.includes:
                return False
            asked.includes.append(element)
        case _:
            return False
    return True


def _cursor(value: str) -> After:
    try:
        after = msgspec.json.decode(base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)), type=After)
        uuid.UUID(after.id)
        if after.at is not None and not (
            _MOMENT.match(after.at) and dates.EARLIEST <= datetime.fromisoformat(after.at) <= dates.LATEST
        ):
            raise ValueError("no moment of ours")
    except (msgspec.MsgspecError, binascii.Error, ValueError):
        raise Malformed("This page link is not one of ours.", code="invalid") from None
    return after


_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)\Z", re.ASCII)


def _chained(param: Param, tail: str) -> Param | None:
    """Of a chain only what leads to a person: `patient.identifier`."""
    return SURFACE["Patient"].param(tail) if param.field == "person" or param.targets == ("Patient",) else None


async def _through(
    session: Session, actor: Actor, type: str, param: Param, tail: str, modifier: str, value: str
) -> Condition:
    """A chain: the persons first, as far as the reader may see them, then whatever is theirs. Raises Forbidden where the
    token may not search persons: the chain would tell who they are."""
    if not may(actor, "Patient", "s"):
        raise Forbidden("The token's scopes do not allow this chain: it searches Patient.", key="insufficient-scope")
    wanted = _chained(param, tail)
    assert wanted is not None
    condition = await _condition(session, "Patient", wanted, modifier, value)
    persons = await patient_finding.patients(session, [condition], PERSONAL_PAGE)
    return await _of_persons(session, type, param, tuple(person.id for person in persons))


async def _of_persons(session: Session, type: str, param: Param, persons: tuple[Id, ...]) -> Condition:
    if not persons:
        return NEVER
    if SURFACE[type].room != "record":
        return Condition("patient", persons)
    # Work of an agency hangs on its Task; that names the person, or the stand-in of its offer.
    return either(Condition("patient", persons), Condition("task", tuple(await finding.tasks_of(session, persons))))


async def _condition(session: Session, type: str, param: Param, modifier: str, value: str) -> Condition:
    """One parameter with its value or values. Raises Malformed for a modifier or a value that cannot be understood."""
    if (
        modifier
        and modifier not in MODIFIERS[param.kind]
        and not (param.kind == "reference" and modifier in param.targets)
    ):
        raise Malformed(f"The parameter {param.name} does not take this modifier.", code="not-supported")
    if modifier == "missing":
        return _missing(param, value)
    values = _split(value)
    match param.kind:
        case "date":
            days = param.field == "born"
            return either(*(dates.condition(param.field, each, param.name, day=days) for each in values))
        case "reference":
            return await _refers(
                session, type, param, [f"{modifier}/{v}" if modifier and "/" not in v else v for v in values]
            )
        case "string":
            return Condition(param.field, tuple(values))
        case "boolean":
            return _negated(Condition(param.field, tuple(v.rpartition("|")[2] == "true" for v in values)), modifier)
        case "uri":
            return (
                Condition("plain", tuple((param.path, each) for each in values))
                if param.path
                else Condition(param.field, tuple(values))
            )
        case "code":
            plain = tuple(each.rpartition("|")[2] for each in values)
            if param.path:
                return _negated(Condition("plain", tuple((param.path, each) for each in plain)), modifier)
            return _negated(Condition(param.field, plain), modifier)
        case "token":
            return _negated(_token(type, param, values), modifier)


def _negated(condition: Condition, modifier: str) -> Condition:
    return msgspec.structs.replace(condition, negated=True) if modifier == "not" else condition


def _missing(param: Param, value: str) -> Condition:
    if value not in ("true", "false"):
        raise Malformed(f"{param.name}:missing is true or false.", code="invalid")
    absent = value == "true"
    if param.path:
        return Condition("has", (param.path,), negated=absent)
    if param.field == "person":
        return Condition("patient", test="missing" if absent else "present")
    return Condition(param.field, test="missing" if absent else "present")


def _split(value: str) -> list[str]:
    """Alternatives, separated by commas; an escaped comma is part of a value."""
    return [re.sub(r"\\([,|$\\])", r"\1", each) for each in re.split(r"(?<!\\),", value)]


def _ids(values: Iterable[str], *targets: str) -> tuple[Id, ...]:
    """The ids of ours that these references name: `Type/id`, an absolute address, or an id alone. Others name nothing here."""
    found: list[Id] = []
    for value in values:
        parsed = references.parse(value) if "/" in value else None
        if parsed and targets and parsed[0] not in targets:
            continue
        if (id := references.as_id(parsed[1] if parsed else value)) is not None:
            found.append(id)
    return tuple(found)


async def _refers(session: Session, type: str, param: Param, values: list[str]) -> Condition:
    if param.field == "person":
        return await _of_persons(session, type, param, _ids(values, "Patient"))
    if param.field == "output":
        names = tuple("/".join(parsed) for each in values if (parsed := references.parse(each)))
        return Condition("output", names) if names else NEVER
    if param.field == "supporting":
        names = tuple("/".join(parsed) for each in values if (parsed := references.parse(each)))
        return Condition("supporting", names) if names else NEVER
    ids = _ids(values, *param.targets)
    if not param.path:
        return Condition(param.field, ids) if ids else NEVER
    names = tuple(
        (param.path, "/".join(parsed) if (parsed := references.parse(each)) else each)
        for each in values
        if references.parse(each) or references.as_id(each)
    )
    if not names:
        return NEVER
    refers = Condition("refers", names)
    made = {"about": ("made-referral", "made-task"), "based-on": ("made-referral",), "sender": ("made-agency",),
            "recipient": ("made-hospital",)}.get(param.name, ()) if type == "Communication" else ()  # fmt: skip
    return either(refers, *(Condition(field, ids) for field in made if ids)) if made else refers


def _pairs(values: Iterable[str]) -> tuple[tuple[str | None, str | None], ...]:
    """`system|code`, `system|`, `|code` (no system) and `code` (any) as pairs; None stands for any."""
    pairs: list[tuple[str | None, str | None]] = []
    for value in values:
        system, bar, code = value.rpartition("|")
        pairs.append((system if bar else None, code or None))
    return tuple(pairs)


OWN_SYSTEMS = {
    "business-status": codes.BUSINESS_STATUS,
    "type": codes.SERVICE_TYPE,
    "need": codes.NEED,
}
"""Of tokens that are columns of ours: the system of their codes."""


def _token(type: str, param: Param, values: list[str]) -> Condition:
    pairs = _pairs(values)
    if param.name == "_id":
        ids = _ids(values)
        return Condition("id", ids) if ids else NEVER
    if param.path:
        coded = Condition("coded", tuple((param.path, system, code) for system, code in pairs))
        if type == "Communication" and param.name == "category":
            kinds = tuple(code for system, code in pairs if code and system in (None, codes.MESSAGE))
            return either(coded, Condition("made-kind", kinds)) if kinds else coded
        return coded
    if param.field == "kind":
        tasks: list[str] = []
        for system, code in pairs:
            if system in (None, render.TASK_CODE) and code in (None, "fulfill"):
                tasks += ["parent", "share"]
            if system in (None, codes.TASK_CODE) and code in (None, "follow-up"):
                tasks.append("follow-up")
        return Condition("kind", tuple(tasks)) if tasks else NEVER
    if param.field == "phone":
        numbers = tuple(code for system, code in pairs if code and system in (None, "phone"))
        return Condition("phone", numbers) if numbers else NEVER
    if param.field in ("number", "category", "code"):
        return Condition(param.field, pairs)
    own = codes.ORGANIZATION_KIND if type == "Organization" and param.field == "type" else OWN_SYSTEMS.get(param.field)
    plain = tuple(code for system, code in pairs if code and system in (None, own))
    return Condition(param.field, plain) if plain else NEVER
