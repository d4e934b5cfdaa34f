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
    `names` is the id that a reference names (else `value` is), for searches the other way round."""

    among: str
    types: tuple[str, ...] = ("uuid",)
    missing: str | None = None
    value: str | None = None
    names: str | None = None


def column(expression: str, type: str) -> Field:
    """A field that is one column or expression."""
    return Field(f"{expression} = ANY($1)", (type,), f"{expression} IS NULL", expression)


def text(*expressions: str) -> Field:
    """A field that is one text or several. Its values are pairs of how and what: `starts` and `contains` heed no case,
    `exact` does."""
    return Field(
        f"EXISTS (SELECT 1 FROM unnest($1, $2) AS wanted (how, text), unnest(ARRAY[{', '.join(expressions)}]) AS said"
        " WHERE CASE wanted.how WHEN 'exact' THEN said = wanted.text"
        " WHEN 'contains' THEN strpos(lower(said), lower(wanted.text)) > 0"
        " ELSE starts_with(lower(said), lower(wanted.text)) END)",
        ("text", "text"),
        f"num_nonnulls({', '.join(expressions)}) = 0",
    )


class Condition(msgspec.Struct, frozen=True):
    """One condition of a search; any of `values` suffices (`within`: from the first up to the second). `any_of`: any of these conditions suffices
    instead. `negated`: it does not hold, which is so too where there is no value. `chosen`: the last part of the values is
    what other searches find."""

    field: str
    values: tuple[Any, ...] = ()
    test: Test = "among"
    any_of: "tuple[Condition, ...]" = ()
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
    return negated(either(negated(one), negated(other)))


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
                low, high = condition.values
                return f"({field.value} >= {self.add(low)} AND {field.value} < {self.add(high)})"
            case _:
                return f"{field.value} {COMPARES[condition.test]} {self.add(condition.values[0])}"

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

_MOMENT = r"'^(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d(?:\.\d+)?))?(Z|[+-]\d\d:[0-5]\d)?)?)?)?$'"


def _start(moment: str) -> str:
    # Adding up never fails, whatever stands in a text; a cast would, on the 30th of February.
    return (
        f"(make_timestamp(greatest({moment}[1]::int, 1), 1, 1, 0, 0, 0) + make_interval(months => coalesce({moment}[2]::int, 1) - 1,"
        f" days => coalesce({moment}[3]::int, 1) - 1, hours => coalesce({moment}[4]::int, 0), mins => coalesce({moment}[5]::int, 0),"
        f" secs => coalesce({moment}[6]::float8, 0)) - replace(coalesce({moment}[7], '08:00'), 'Z', '00:00')::interval)"
    )


def _width(moment: str) -> str:
    return (
        f"(CASE WHEN {moment}[2] IS NULL THEN '1 year' WHEN {moment}[3] IS NULL THEN '1 month' WHEN {moment}[4] IS NULL THEN '1 day'"
        f" WHEN {moment}[6] IS NULL THEN '1 minute' WHEN strpos({moment}[6], '.') = 0 THEN '1 second' ELSE '1 microsecond' END)::interval"
    )


def dated(found: str) -> Field:
    """A field over moments in JSON: `found` is a FROM item over `wanted.path` that yields `found`, texts of ISO 8601 in any
    precision (a text without a zone is meant where people live, UTC+8) or objects of `start` and `end`. A value is a path,
    a test of FHIR R4 search.html#prefix, and the span that the date asked for covers."""
    inside = "span.low >= (wanted.low AT TIME ZONE 'UTC') AND span.high <= (wanted.high AT TIME ZONE 'UTC')"
    above, below = "span.high > (wanted.high AT TIME ZONE 'UTC')", "span.low < (wanted.low AT TIME ZONE 'UTC')"
    return Field(
        f"EXISTS (SELECT 1 FROM unnest($1, $2, $3, $4) AS wanted (path, test, low, high), {found},"
        " LATERAL (SELECT CASE jsonb_typeof(found) WHEN 'object' THEN found ->> 'start' ELSE found #>> '{}' END AS low,"
        " CASE jsonb_typeof(found) WHEN 'object' THEN found ->> 'end' ELSE found #>> '{}' END AS high) AS said,"
        f" LATERAL (SELECT regexp_match(said.low, {_MOMENT}) AS low, regexp_match(said.high, {_MOMENT}) AS high) AS moment,"
        f" LATERAL (SELECT CASE WHEN moment.low IS NULL THEN '-infinity' ELSE {_start('moment.low')} END AS low,"
        f" CASE WHEN moment.high IS NULL THEN 'infinity' ELSE {_start('moment.high')} + {_width('moment.high')} END AS high) AS span"
        " WHERE num_nonnulls(moment.low, moment.high) > 0 AND CASE wanted.test"
        f" WHEN 'eq' THEN {inside} WHEN 'ne' THEN NOT ({inside}) WHEN 'gt' THEN {above} WHEN 'lt' THEN {below}"
        f" WHEN 'ge' THEN {above} OR ({inside}) WHEN 'le' THEN {below} OR ({inside})"
        " WHEN 'sa' THEN span.low >= (wanted.high AT TIME ZONE 'UTC') WHEN 'eb' THEN span.high <= (wanted.low AT TIME ZONE 'UTC')"
        " ELSE span.low < (wanted.high AT TIME ZONE 'UTC') AND span.high > (wanted.low AT TIME ZONE 'UTC') END)",
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
