"""FHIR date parameters as conditions on an instant or a day."""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

from service.db.finding import Condition, either
from service.errors import Malformed
from service.values import SHANGHAI

_FORM = re.compile(
    r"(eq|ne|gt|lt|ge|le|sa|eb|ap)?(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?)?)?\Z"
)

_FORMS = "write 2026, 2026-11, 2026-11-22 or 2026-11-22T15:30:00+08:00, after a prefix such as ge or without one"

EARLIEST, LATEST = datetime(1000, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)
"""Beyond, a change of zone leaves the years that Python and PostgreSQL can both name."""


def condition(field: str, value: str, name: str, *, day: bool = False) -> Condition:
    """`gt2026-11-22T03:00:00Z` as a condition on `field`. A value without a zone is meant where people live (Shanghai).

    A value with a time is a point for gt and le, so that a poller who kept fewer digits than are stored hears of a change
    twice and never misses one; eq and ne mean the whole second (minute, day, …) that the value names, ap as much besides on
    either side, at least a day. `day`: the field
    holds dates. Raises Malformed.
    """
    prefix, start, end, point = _named(value, name)
    low: Any = start.astimezone(SHANGHAI).date() if day else start
    high: Any = _after(end) if day else end
    point = point and not day
    match prefix:
        case "gt" if point:
            return Condition(field, (low,), "gt")
        case "gt" | "sa":
            return Condition(field, (high,), "ge")
        case "lt" | "eb":
            return Condition(field, (low,), "lt")
        case "ge":
            return Condition(field, (low,), "ge")
        case "le":
            return Condition(field, (high,), "lt")
        case "eq":
            return Condition(field, (low, high), "within")
        case "ne":
            return either(Condition(field, (low,), "lt"), Condition(field, (high,), "ge"))
        case _:
            margin = max(end - start, timedelta(days=1))
            return Condition(field, (low - margin, high + margin), "within")


def span(value: str, name: str) -> tuple[str, datetime, datetime]:
    """The same of a field that may hold periods and dates of any precision: the prefix, and from where to where the value
    goes. `ap` is as much earlier and later as the value is long, at least a day. Raises Malformed."""
    prefix, start, end, _ = _named(value, name)
    margin = max(end - start, timedelta(days=1)) if prefix == "ap" else timedelta(0)
    return prefix, start - margin, end + margin


def _named(value: str, name: str) -> tuple[str, datetime, datetime, bool]:
    # In a URL a bare plus is a blank; nobody writes a blank into an instant otherwise.
    found = _FORM.match(value.replace(" ", "+"))
    if not found:
        raise Malformed(f"A date of the parameter {name} cannot be read: {_FORMS}.", code="invalid")
    try:
        start, end = _span(*found.groups()[1:])
    except (ValueError, OverflowError):
        if found[2] == "9999":
            raise Malformed(f"A date of the parameter {name} is not of these times.", code="invalid") from None
        raise Malformed(f"A date of the parameter {name} does not exist.", code="invalid") from None
    if not EARLIEST <= start <= end <= LATEST:
        raise Malformed(f"A date of the parameter {name} is not of these times.", code="invalid")
    return found[1] or "eq", start, end, found[5] is not None


def _after(end: datetime) -> date:
    last = end.astimezone(SHANGHAI)
    return (
        last.date()
        if last == last.replace(hour=0, minute=0, second=0, microsecond=0)
        else last.date() + timedelta(days=1)
    )


def _span(
    year: str,
    month: str | None,
    day: str | None,
    hour: str | None,
    minute: str | None,
    second: str | None,
    part: str | None,
    zone: str | None,
) -> tuple[datetime, datetime]:
    """From the first instant that the value names up to, not including, the first after it."""
    start = datetime(
        int(year),
        int(month or 1),
        int(day or 1),
        int(hour or 0),
        int(minute or 0),
        min(int(second or 0), 59),
        tzinfo=SHANGHAI,
    )
    if zone:
        start = datetime.fromisoformat(f"{start:%Y-%m-%dT%H:%M:%S}{'+00:00' if zone == 'Z' else zone}")
    if month is None:
        return start, start.replace(year=start.year + 1)
    if day is None:
        return start, start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)
    if hour is None:
        return start, start + timedelta(days=1)
    if second is None:
        return start, start + timedelta(minutes=1)
    if part is None:
        return start, start + timedelta(seconds=1)
    micro = int(part[1:7].ljust(6, "0"))
    return start + timedelta(microseconds=micro), start + timedelta(
        microseconds=micro + 10 ** max(0, 6 - len(part[1:7]))
    )
