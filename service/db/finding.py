"""Searches put together from conditions: every piece of SQL a room's constant, every value an argument."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

Test = Literal["among", "missing", "present", "lt", "le", "gt", "ge", "within"]
COMPARES = {"lt": "<", "le": "<=", "gt": ">", "ge": ">="}


class Field(msgspec.Struct, frozen=True):
    """What a room lets one search by. `among` is the SQL that holds when any of the values fits; `$1`, `$2`, … stand for
    arrays of the `types`, one for each part of a value; without types it needs none. `missing` holds where there is none. `value` is what can be compared."""

    among: str
    types: tuple[str, ...] = ("uuid",)
    missing: str | None = None
    value: str | None = None


def column(expression: str, type: str) -> Field:
    """A field that is one column or expression."""
    return Field(f"{expression} = ANY($1)", (type,), f"{expression} IS NULL", expression)


class Condition(msgspec.Struct, frozen=True):
    """One condition of a search; any of `values` suffices (`within`: from the first up to the second). `any_of`: any of these conditions suffices
    instead. `negated`: it does not hold, which is so too where there is no value."""

    field: str
    values: tuple[Any, ...] = ()
    test: Test = "among"
    any_of: "tuple[Condition, ...]" = ()
    negated: bool = False


class After(msgspec.Struct, frozen=True, array_like=True):
    """The last row of the page before: its id, and what it was sorted by besides."""

    id: str
    at: str | None = None


class Order(msgspec.Struct, frozen=True):
    """By time of change (`by_change`) or by id, which is the order of making; newest first unless `ascending`."""

    by_change: bool = False
    ascending: bool = False


def either(*conditions: Condition) -> Condition:
    return Condition("", any_of=conditions)


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

OWN = "(SELECT nullif(current_setting('yuanshe.organization', true), '')::uuid)"
WIDE = "(SELECT current_setting('yuanshe.platform', true)) = 'on'"
"""The scope as the row policies read it. A search names its own side's rows besides: the policies alone decide what is
seen, but no index can find rows by an OR of three rights."""

DISCLOSED = "ARRAY(SELECT d.{0} FROM disclosure d WHERE d.closed_at IS NULL AND d.agency_id = " + OWN + ")"
"""What is open to an agency now: its `referral_id`s or `patient_id`s."""

COUNT_MOST = 10_000
"""Matches are counted up to here; beyond, nobody pays for an exact number."""
