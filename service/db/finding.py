"""Searches put together from conditions: every piece of SQL a room's constant, every value an argument."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

Test = Literal["among", "missing", "present", "lt", "le", "gt", "ge", "within"]
COMPARES = {"lt": "<", "le": "<=", "gt": ">", "ge": ">="}


class Field(msgspec.Struct, frozen=True):
    """What a room lets one search by. `among` is the SQL that holds when any of the values fits; `$1`, `$2`, … stand for
    arrays of the `types`, one for each part of a value; without types it needs none. `missing` holds where there is none. `value` is what can be compared.
    `names` is the id that a reference names (else `value` is), for searches the other way round. `upper`: a column that is
    never smaller than `value`, which is costly."""

    among: str
    types: tuple[str, ...] = ("uuid",)
    missing: str | None = None
    value: str | None = None
    names: str | None = None
    upper: str | None = None


def column(expression: str, type: str) -> Field:
    """A field that is one column or expression."""
    return Field(f"{expression} = ANY($1)", (type,), f"{expression} IS NULL", expression)


SAID = (
    "CASE wanted.how WHEN 'exact' THEN said = wanted.text WHEN 'contains' THEN strpos(lower(said), lower(wanted.text)) > 0"
    " ELSE starts_with(lower(said), lower(wanted.text)) END"
)
"""Whether a text is what is wanted: `starts` and `contains` heed no case, `exact` does."""


def text(*expressions: str) -> Field:
    """A field that is one text or several. Its values are pairs of how (see SAID) and what."""
    return Field(
        f"EXISTS (SELECT 1 FROM unnest($1, $2) AS wanted (how, text), unnest(ARRAY[{', '.join(expressions)}]) AS said WHERE {SAID})",
        ("text", "text"),
        f"num_nonnulls({', '.join(expressions)}) = 0",
    )


class Condition(msgspec.Struct, frozen=True):
    """One condition of a search; any of `values` suffices (`within`: from the first up to the second). `any_of`: any of these conditions suffices
    instead; `all_of`: all of these must hold. `negated`: it does not hold, which is so too where there is no value. `chosen`: the last part of the values is
    what other searches find."""

    field: str
    values: tuple[Any, ...] = ()
    test: Test = "among"
    any_of: "tuple[Condition, ...]" = ()
    all_of: "tuple[Condition, ...]" = ()
    negated: bool = False
    chosen: "tuple[Chosen, ...]" = ()


class Chosen(msgspec.Struct, frozen=True):
    """What a search within a search finds: in `source` (up to its WHERE), whatever the row policies show the reader, the
    ids of the rows, or what one of their references (`field`) names. `lead`: values that the naming needs. `few`: so
    few that rows are best looked up by them."""

    fields: Mapping[str, Field]
    source: str
    conditions: tuple[Condition, ...]
    field: str = "id"
    lead: tuple[str, ...] = ()
    few: bool = False


class After(msgspec.Struct, frozen=True, array_like=True):
    """The last row of the page before: its id, and what it was sorted by besides. `before`: the horizon of the first page,
    where the search depends on times of change; the pages that follow keep to it."""

    id: str
    at: str | None = None
    before: str | None = None


class Order(msgspec.Struct, frozen=True):
    """By time of change (`by_change`) or by id, which is the order of making; newest first unless `ascending`."""

    by_change: bool = False
    ascending: bool = False


def either(*conditions: Condition) -> Condition:
    return conditions[0] if len(conditions) == 1 else Condition("", any_of=conditions)


def negated(condition: Condition) -> Condition:
    return msgspec.structs.replace(condition, negated=not condition.negated)


def both(one: Condition, other: Condition) -> Condition:
    return Condition("", all_of=(one, other))


NEVER = Condition("", test="missing")
"""Holds for no row: a value that nothing here can have."""


class Where:
    """A WHERE clause in the making, with the values of its placeholders."""

    def __init__(self, fields: Mapping[str, Field], values: list[Any] | None = None) -> None:
        self.fields = fields
        self.values: list[Any] = [] if values is None else values

    def holds(self, conditions: Sequence[Condition]) -> str:
        """All of them."""
        return " AND ".join(self._one(condition) for condition in conditions) or "true"

    def _one(self, condition: Condition) -> str:
        if condition.negated:
            return f"NOT coalesce({self._one(msgspec.structs.replace(condition, negated=False))}, false)"
        if condition.any_of:
            return f"({' OR '.join(self._one(one) for one in condition.any_of)})"
        if condition.all_of:
            return f"({self.holds(condition.all_of)})"
        if condition.field == "":
            return "false"
        field = self.fields[condition.field]
        match condition.test:
            case "among" if condition.chosen:
                return f"({self._chosen(field, condition)})"
            case "among":
                return f"({self._among(field, condition.values)})"
            case "missing" | "present":
                missing = field.missing or "false"
                return f"({missing})" if condition.test == "missing" else f"NOT ({missing})"
            case "within":
                low, high = self.add(condition.values[0]), self.add(condition.values[1])
                near = f"{field.upper} >= {low} AND " if field.upper else ""
                return f"({near}{field.value} >= {low} AND {field.value} < {high})"
            case _:
                bound = self.add(condition.values[0])
                near = f"{field.upper} >= {bound} AND " if field.upper and condition.test in ("gt", "ge") else ""
                return f"({near}{field.value} {COMPARES[condition.test]} {bound})"

    def _among(self, field: Field, values: Sequence[Any]) -> str:
        if not field.types:
            return field.among
        if not values:
            return "false"
        parts = [list(part) for part in zip(*values, strict=True)] if len(field.types) > 1 else [list(values)]
        names = [self.add(part, f"{type}[]") for part, type in zip(parts, field.types, strict=True)]
        return _PLACE.sub(lambda place: names[int(place[1]) - 1], field.among)

    def _chosen(self, field: Field, condition: Condition) -> str:
        select = " UNION ALL ".join(self._select(each) for each in condition.chosen)
        last = f"${len(field.types)}"
        among = field.among
        if not all(each.few for each in condition.chosen):
            among = among.replace(f"= ANY({last})", "IN (\0)")
        names = [self.add([value], f"{type}[]") for value, type in zip(condition.values, field.types, strict=False)]
        names.append(f"ARRAY({select})")
        return _PLACE.sub(lambda place: names[int(place[1]) - 1], among).replace("\0", select)

    def _select(self, chosen: Chosen) -> str:
        field = chosen.fields[chosen.field]
        lead = [self.add(value) for value in chosen.lead]
        names = _PLACE.sub(lambda place: lead[int(place[1]) - 1], field.names or field.value or "NULL")
        holds = Where(chosen.fields, self.values).holds(chosen.conditions)
        return f"SELECT {names} {chosen.source} AND {holds}"

    def add(self, value: Any, type: str | None = None) -> str:
        """A placeholder for the value."""
        self.values.append(value)
        return f"${len(self.values)}{f'::{type}' if type else ''}"

    def page(self, id: str, changed: str, after: After | None, order: Order) -> tuple[str, str]:
        """The condition that holds behind the last row of the page before, and the ORDER BY that goes with it."""
        sign, way = (">", "") if order.ascending else ("<", " DESC")
        if not order.by_change:
            behind = f"{id} {sign} {self.add(after.id)}::uuid" if after else "true"
            return behind, f"{id}{way}"
        behind = "true"
        if after:
            behind = f"({changed}, {id}) {sign} ({self.add(after.at)}::text::timestamptz, {self.add(after.id)}::uuid)"
        return behind, f"{changed}{way}, {id}{way}"


_PLACE = re.compile(r"\$(\d)")

_MOMENT = r"'^\d{4}(-\d\d(-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:[0-5]\d)?)?)?)?$'"


def _part(moment: str, place: int, absent: int) -> str:
    return f"coalesce(nullif(substr({moment}, {place}, 2), '')::int, {absent})"


def _start(moment: str) -> str:
    # Adding up never fails, whatever stands in a text; a cast would, on the 30th of February.
    return (
        f"make_timestamp(greatest(left({moment}, 4)::int, 1), 1, 1, 0, 0, 0) + make_interval(months => {_part(moment, 6, 1)} - 1,"
        f" days => {_part(moment, 9, 1)} - 1, hours => {_part(moment, 12, 0)}, mins => {_part(moment, 15, 0)},"
        f" secs => CASE WHEN substr({moment}, 17, 1) = ':' THEN substring({moment} from '^.{{17}}([0-9.]+)')::float8 ELSE 0 END)"
        f" - (CASE WHEN right({moment}, 1) = 'Z' THEN '0' WHEN length({moment}) > 16 AND left(right({moment}, 6), 1) IN ('+', '-')"
        f" THEN right({moment}, 6) ELSE '08:00' END)::interval"
    )


def _width(moment: str) -> str:
    return (
        f"(CASE length({moment}) WHEN 4 THEN '1 year' WHEN 7 THEN '1 month' WHEN 10 THEN '1 day'"
        f" ELSE CASE WHEN substr({moment}, 17, 1) <> ':' THEN '1 minute' WHEN strpos({moment}, '.') = 0 THEN '1 second'"
        " ELSE '1 microsecond' END END)::interval"
    )


def dated(found: str) -> Field:
    """A field over moments in JSON: `found` is a FROM item over `wanted.path` that yields `found`, texts of ISO 8601 in any
    precision (a text without a zone is meant where people live, UTC+8) or objects of `start` and `end`. A value is a path,
    a test of FHIR R4 search.html#prefix, and the span that the date asked for covers."""
    inside = "span.low >= wanted.low AND span.high <= wanted.high"
    above, below = "span.high > wanted.high", "span.low < wanted.low"
    # Each OFFSET keeps the planner from writing an expression out again wherever its name stands.
    return Field(
        "EXISTS (SELECT 1 FROM (SELECT path, test, low AT TIME ZONE 'UTC' AS low, high AT TIME ZONE 'UTC' AS high"
        f" FROM unnest($1, $2, $3, $4) AS wanted (path, test, low, high) OFFSET 0) AS wanted, {found},"
        " LATERAL (SELECT CASE jsonb_typeof(found) WHEN 'object' THEN found ->> 'start' ELSE found #>> '{}' END AS low,"
        " CASE jsonb_typeof(found) WHEN 'object' THEN found ->> 'end' ELSE found #>> '{}' END AS high OFFSET 0) AS said,"
        f" LATERAL (SELECT CASE WHEN said.low ~ {_MOMENT} THEN said.low END AS low,"
        f" CASE WHEN said.high ~ {_MOMENT} THEN said.high END AS high OFFSET 0) AS moment,"
        f" LATERAL (SELECT CASE WHEN moment.low IS NULL THEN '-infinity' ELSE {_start('moment.low')} END AS low,"
        f" CASE WHEN moment.high IS NULL THEN 'infinity' ELSE {_start('moment.high')} + {_width('moment.high')} END AS high"
        " OFFSET 0) AS span"
        " WHERE num_nonnulls(moment.low, moment.high) > 0 AND CASE wanted.test"
        f" WHEN 'eq' THEN {inside} WHEN 'ne' THEN NOT ({inside}) WHEN 'gt' THEN {above} WHEN 'lt' THEN {below}"
        f" WHEN 'ge' THEN {above} OR ({inside}) WHEN 'le' THEN {below} OR ({inside})"
        " WHEN 'sa' THEN span.low >= wanted.high WHEN 'eb' THEN span.high <= wanted.low"
        " ELSE span.low < wanted.high AND span.high > wanted.low END)",
        ("text", "text", "timestamptz", "timestamptz"),
    )


ID_IN_REFERENCE = "'([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})(?:/_history/[^/]+)?$'"
"""The id of ours that a reference names, relative or absolute, with or without its version."""

OWN = "(SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)"
WIDE = "(SELECT current_setting('yuanshe.platform', true)) = 'on'"
"""The scope as the row policies read it. A search names its own side's rows besides: the policies alone decide what is
seen, but no index can find rows by an OR of three rights."""

DISCLOSED = "ARRAY(SELECT d.{0} FROM disclosure d WHERE d.closed_at IS NULL AND d.agency_id = " + OWN + ")"
"""What is open to an agency now: its `referral_id`s or `patient_id`s."""
OPENED = DISCLOSED[:-1] + " AND d.opened_at >= ANY($1))"
"""The same of what was opened since a time."""

COUNT_MOST = 10_000
"""Matches are counted up to here; beyond, nobody pays for an exact number."""
