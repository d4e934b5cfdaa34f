"""What a search asks: parameters understood as conditions of the room that answers, and as how to answer."""

import re
import uuid
from collections.abc import Sequence
from datetime import datetime

import msgspec

from adapters.fhir import audit, chains, dates, paging, shaping, tokens
from adapters.fhir.references import as_id, parse
from adapters.fhir.rows import Param, Type
from adapters.fhir.surface import SURFACE, revincludes
from service.access.model import Actor
from service.access.scopes import may
from service.db.finding import NEVER, After, Condition, Order, both, either, negated
from service.errors import Forbidden, Malformed
from service.values import Id

PERSONAL_PAGE = 1000
"""A search by what may identify a person answers in one page, since no link may carry its values."""

MOST_VALUES = 200
"""Values of all parameters of a search together: each is looked for by itself."""

FORMAT = frozenset({"_format", "_pretty"})
MODIFIERS = {
    "token": ("not", "missing"),
    "code": ("not", "missing"),
    "reference": ("missing", "identifier"),
    "date": ("missing",),
    "string": ("exact", "contains", "missing"),
    "uri": ("missing",),
    "boolean": ("not", "missing"),
}
"""What may follow a parameter of each kind after a colon; a reference takes the types of its targets too."""


class Search(msgspec.Struct):
    """A search as understood: `used` are the parameters that counted, in the order given. `includes`: parameter and, where
    it was named, the type that is wanted; `revincludes`: type and parameter."""

    conditions: list[Condition]
    used: list[tuple[str, str]]
    includes: list[tuple[str, str]]
    revincludes: list[tuple[str, str]]
    ignored: list[str]
    shape: shaping.Shape = shaping.WHOLE
    personal: bool = False
    count: int = paging.PAGE
    order: Order = Order()
    after: After | None = None
    total: str = "accurate"
    counting: bool = False
    before: datetime | None = None
    """The horizon that it keeps to: set where it depends on times of change."""


def follows(conditions: Sequence[Condition]) -> bool:
    """Whether one of them asks for times of change."""
    return any(
        each.field == "changed"
        or follows(each.any_of)
        or follows(each.all_of)
        or any(follows(inner.conditions) for inner in each.chosen)
        for each in conditions
    )


_NAME = re.compile(r"(_?[a-zA-Z][a-zA-Z\-]*)(?::([^:.]*))?(?:\.(_?[a-zA-Z][a-zA-Z\-]*)(?::([^:.]*))?)?\Z")
_HAS = re.compile(r"_has:([A-Za-z]+):([a-z\-]+):(_?[a-zA-Z][a-zA-Z\-]*)(?::([^:.]*))?\Z")


def understood(actor: Actor, type: str, params: Sequence[tuple[str, str]]) -> Search:
    """What these parameters ask of a type. Raises Malformed for a modifier or a value that cannot be understood, Forbidden for
    a chain into a type that the token may not search: it would tell what is found there."""
    if len(params) + sum(value.count(",") for _, value in params) > MOST_VALUES:
        raise Malformed(f"A search has at most {MOST_VALUES} values.", code="too-costly")
    asked = Search([], [], [], [], [])
    surface = SURFACE[type]
    for name, value in params:
        if "\0" in name or "\0" in value:
            raise Malformed("A search parameter holds the character NUL.", code="invalid")
        if name in FORMAT:
            continue
        if name.startswith("_") and _of_result(asked, type, surface, name, value):
            asked.used.append((name, value))
            continue
        found = _read(actor, type, name, value)
        if found is None:
            asked.ignored.append(name)
        elif value != "":
            condition, personal = found
            asked.conditions.append(condition)
            asked.personal = asked.personal or personal
            asked.used.append((name, value))
    if surface.room == "record":
        asked.conditions.insert(0, Condition("type", (type,)))
    return asked


def _of_result(asked: Search, type: str, surface: Type, name: str, value: str) -> bool:
    """Parameters that say how to answer; False for one that is not of these."""
    match name:
        case "_count":
            asked.count = paging.size(value)
            asked.counting = asked.counting or asked.count == 0
        case "_sort":
            bare = value.removeprefix("-")
            if bare not in ("_lastUpdated", "_id"):
                raise Malformed(
                    "_sort is by one of _lastUpdated and _id, with or without a minus.", code="not-supported"
                )
            asked.order = Order(bare == "_lastUpdated", not value.startswith("-"))
        case "_total":
            if value not in ("none", "estimate", "accurate"):
                raise Malformed("_total is none, estimate or accurate.", code="invalid")
            asked.total = value
        case "_summary" | "_elements":
            asked.counting = asked.counting or value == "count"
            if value != "count":
                asked.shape = shaping.asked(asked.shape, name, value)
        case "_cursor":
            asked.after = _cursor(value)
        case "_include":
            return _include(asked, type, surface, value)
        case "_revinclude":
            return _revinclude(asked, type, value)
        case "_include:iterate" | "_include:recurse" | "_revinclude:iterate" | "_revinclude:recurse":
            raise Malformed(f"{name} is not offered: includes go one step.", code="not-supported")
        case _:
            return False
    return True


def _include(asked: Search, type: str, surface: Type, value: str) -> bool:
    source, _, rest = value.partition(":")
    name, _, target = rest.partition(":")
    known = [*surface.includes] if name == "*" and not target else [name] if name in surface.includes else []
    if source != type or not known:
        return False
    asked.includes += [(each, target) for each in known]
    return True


def _revinclude(asked: Search, type: str, value: str) -> bool:
    source, _, rest = value.partition(":")
    name, _, target = rest.partition(":")
    if f"{source}:{name}" not in revincludes(type) or target not in ("", type):
        return False
    asked.revincludes.append((source, name))
    return True


def _cursor(value: str) -> After:
    after = paging.place(value, After)
    try:
        uuid.UUID(after.id)
        for moment in (after.at, after.before):
            if moment is not None and not (
                _MOMENT.match(moment) and dates.EARLIEST <= datetime.fromisoformat(moment) <= dates.LATEST
            ):
                raise ValueError("no moment of ours")
    except ValueError:
        raise paging.strange() from None
    return after


_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)\Z", re.ASCII)


# ---- parameters, chains and _has ---------------------------------------------------------------------------------------


def _read(actor: Actor, type: str, name: str, value: str) -> tuple[Condition, bool] | None:
    """One parameter as a condition, and whether its value may identify a person; None where the table has no such one."""
    if has := _HAS.match(name):
        return _having(actor, type, *has.groups(), value=value)
    found = _NAME.match(name)
    param = SURFACE[type].param(found[1]) if found else None
    if found is None or param is None:
        return None
    if found[3] is None:
        modifier = found[2] or ""
        return condition(actor, type, param, modifier, value), _personal(param, modifier)
    return _chain(actor, type, param, found[2], found[3], found[4] or "", value)


def _chain(
    actor: Actor, type: str, param: Param, of: str | None, tail: str, modifier: str, value: str
) -> tuple[Condition, bool] | None:
    """`focus.status`, `owner:Organization.name`: what is referenced is searched for first, as far as the reader may see it."""
    if (of is not None and of not in param.targets) or not chains.leads(type):
        return None
    steps = {target: SURFACE[target].param(tail) for target in ([of] if of else param.targets) if target in SURFACE}
    known = {target: wanted for target, wanted in steps.items() if wanted and chains.reachable(target)}
    if not known:
        return None
    if value == "":
        return NEVER, False
    reached: list[Condition] = []
    for target, wanted in known.items():
        _may_search(actor, target)
        inner = condition(actor, target, wanted, modifier, value)
        reached.append(chains.forward(type, param, target, inner, few=chains.few(target, wanted)))
    return either(*reached), any(_personal(wanted, modifier) for wanted in known.values())


def _having(
    actor: Actor, type: str, source: str, name: str, tail: str, modifier: str | None, *, value: str
) -> tuple[Condition, bool] | None:
    """`_has:Task:focus:status`: those of the type that something references which the reader would find by this."""
    param = SURFACE[source].param(name) if source in SURFACE else None
    wanted = SURFACE[source].param(tail) if source in SURFACE else None
    if param is None or wanted is None or type not in param.targets or not chains.backward_known(source, param):
        return None
    if value == "":
        return NEVER, False
    _may_search(actor, source)
    inner = condition(actor, source, wanted, modifier or "", value)
    return chains.backward(source, param, inner, few=chains.few(source, wanted)), _personal(wanted, modifier or "")


def _personal(param: Param, modifier: str) -> bool:
    """Whether the value may identify a person: by `:identifier` it is the number of whoever is referenced."""
    if modifier != "identifier":
        return param.personal
    numbers = (SURFACE[target].param("identifier") for target in param.targets if target in SURFACE)
    return any(number.personal for number in numbers if number)


def _may_search(actor: Actor, type: str) -> None:
    if actor.side not in SURFACE[type].who:
        raise Forbidden(f"This chain searches {type}, which is not for the {actor.side}.", key="wrong-actor")
    if not may(actor, type, "s"):
        raise Forbidden(f"The token's scopes do not allow this chain: it searches {type}.", key="insufficient-scope")


def condition(actor: Actor, type: str, param: Param, modifier: str, value: str) -> Condition:
    """One parameter with its value or values. Raises Malformed for a modifier or a value that cannot be understood."""
    if modifier and modifier not in MODIFIERS[param.kind] and modifier not in param.targets:
        named = f":{modifier}" if re.fullmatch(r"[A-Za-z\-]{1,30}", modifier) else "this modifier"
        offered = ", ".join(f":{each}" for each in (*MODIFIERS[param.kind], *param.targets))
        raise Malformed(f"The parameter {param.name} does not take {named}; it takes {offered}.", code="not-supported")
    found = _missing(type, param, value) if modifier == "missing" else _holds(actor, type, param, modifier, value)
    if param.whole and actor.side == "agency":
        # What is not shown of what others wrote is not found by either.
        absent = modifier == "missing" and value == "true"
        return either(found, negated(Condition("whole"))) if absent else both(Condition("whole"), found)
    return negated(found) if modifier == "not" else found


def _holds(actor: Actor, type: str, param: Param, modifier: str, value: str) -> Condition:
    values = _split(value)
    match param.kind:
        case "date" if param.path:
            spans = [dates.span(each, param.name) for each in values]
            pairs = tuple((path, *span) for path in param.paths for span in spans)
            return _or_made(type, param, Condition(param.field or "dated", pairs), values)
        case "date":
            days = param.field == "born"
            return either(*(dates.condition(param.field, each, param.name, day=days) for each in values))
        case "reference" if modifier == "identifier":
            return _logical(actor, type, param, values)
        case "reference":
            return _refers(actor, type, param, modifier, values)
        case "string":
            return Condition(param.field, tuple((modifier or "starts", each) for each in values))
        case "uri" if param.path:
            return Condition("plain", tuple((path, each) for path in param.paths for each in values))
        case "uri":
            return Condition(param.field, tuple(values))
        case _:
            return tokens.condition(type, param, values)


def _or_made(type: str, param: Param, found: Condition, values: Sequence[str]) -> Condition:
    """Or the service's own, which has no parts as received."""
    if type == "Communication" and param.name == "sent":
        return either(found, *(dates.condition("made-at", each, param.name) for each in values))
    return found


def _missing(type: str, param: Param, value: str) -> Condition:
    if value not in ("true", "false"):
        raise Malformed(f"{param.name}:missing is true or false.", code="invalid")
    if param.path:
        there = Condition(f"has-{param.field}" if param.field else "has", param.paths)
        there = either(there, Condition("made")) if param.name in chains.MADE.get(type, {}) else there
        return negated(there) if value == "true" else there
    if SURFACE[type].room == "audit" and param.field in ("agent", "subtype"):
        # No event is without.
        return NEVER if value == "true" else negated(NEVER)
    field = "patient" if param.field == "person" else param.field
    return Condition(field, test="missing" if value == "true" else "present")


def _split(value: str) -> list[str]:
    """Alternatives, separated by commas; an escaped comma is part of a value."""
    return [re.sub(r"\\([,|$\\])", r"\1", each) for each in re.split(r"(?<!\\),", value)]


# ---- references --------------------------------------------------------------------------------------------------------


def _ids(values: Sequence[str], targets: Sequence[str]) -> tuple[Id, ...]:
    """The ids of ours that these references name: `Type/id`, an absolute address, or an id alone. Others name nothing here."""
    found: list[Id] = []
    for value in values:
        named = parse(value) if "/" in value else None
        if named and targets and named[0] not in targets:
            continue
        if (id := as_id(named[1] if named else value)) is not None:
            found.append(id)
    return tuple(found)


def _refers(actor: Actor, type: str, param: Param, modifier: str, values: Sequence[str]) -> Condition:
    targets = (modifier,) if modifier else param.targets
    if SURFACE[type].room == "audit" and param.field in ("agent", "entity"):
        return audit.refers(param, [f"{modifier}/{each}" if modifier and "/" not in each else each for each in values])
    if param.field in ("output", "supporting"):
        names = tuple("/".join(named) for each in values if (named := parse(each)))
        return Condition(param.field, names) if names else NEVER
    ids = _ids(values, targets)
    if not param.path:
        return chains.to(type, param, ids) if ids else NEVER
    hidden = actor.side == "agency" and type == "Communication" and "ServiceRequest" in targets
    named_here: list[tuple[str, str]] = []
    for each in values:
        named = parse(each) if "/" in each else None
        if named:
            each, types = named[1], [target for target in targets if target == named[0]]
        else:
            types = list(targets)
        named_here += [
            (path, f"{target}/{each}")
            for target in types for path in param.paths if not (hidden and target == "ServiceRequest")
        ]  # fmt: skip
    found = [Condition("refers", tuple(named_here))] if named_here else []
    if hidden:
        # A message says to an agency which request it is about only where that is open to it.
        requests = _ids(values, ("ServiceRequest",))
        inner = Condition("id", requests) if requests else NEVER
        found.append(chains.forward(type, param, "ServiceRequest", inner, few=True))
    found += [Condition(field, ids) for field in chains.MADE.get(type, {}).get(param.name, ()) if ids]
    whole = either(*found) if found else NEVER
    if type == "Procedure" and param.name == "based-on" and ids:
        # What an agency did hangs on its share, by which an index finds it.
        return both(Condition("task", chosen=chains.shares_of(ids)), whole)
    return whole


def _logical(actor: Actor, type: str, param: Param, values: Sequence[str]) -> Condition:
    """`patient:identifier=system|value`: by the number of what is referenced, or the one that the reference itself names."""
    if not chains.leads(type):
        raise Malformed(f"The parameter {param.name} does not take :identifier here.", code="not-supported")
    found: list[Condition] = []
    for target in param.targets:
        wanted = SURFACE[target].param("identifier") if target in SURFACE else None
        if wanted and chains.reachable(target):
            _may_search(actor, target)
            inner = condition(actor, target, wanted, "", ",".join(re.sub(r"([,\\])", r"\\\1", v) for v in values))
            found.append(chains.forward(type, param, target, inner, few=True))
    if param.path:
        logical = [path.removesuffix(".reference") + ".identifier" for path in param.paths]
        found.append(Condition("coded", tuple((path, *pair) for path in logical for pair in tokens.pairs(values))))
    return either(*found) if found else NEVER
