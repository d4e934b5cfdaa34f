"""Ids, codings and the few small values that every room speaks."""

import uuid
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import uuid_utils

Id = uuid.UUID

SHANGHAI = ZoneInfo("Asia/Shanghai")
"""The time zone in which people read times and calendars run; instants are stored in UTC."""


def new_id() -> Id:
    """A time-ordered id (UUIDv7): rows written together lie together in their index."""
    return uuid.UUID(int=uuid_utils.uuid7().int)


def unlinkable_id() -> Id:
    """A random id (UUIDv4), for what must not be traced to its neighbours by number or time."""
    return uuid.uuid4()


def as_id(written: object) -> Id | None:
    """An id as somebody sent it; None where it is none."""
    try:
        return uuid.UUID(str(written)) if written else None
    except ValueError:
        return None


def utc_now() -> datetime:
    """The clock; only adapters call it, rules are handed `now`."""
    return datetime.now(UTC)


def local_day(at: datetime) -> date:
    """The calendar day of an instant where people live."""
    return at.astimezone(SHANGHAI).date()


def days(first: date, last: date) -> tuple[datetime, datetime]:
    """Calendar days where people live, both included, as instants: from the beginning of the one to before the end of the other."""
    return datetime.combine(first, time(0), SHANGHAI), datetime.combine(last + timedelta(days=1), time(0), SHANGHAI)


LATE_CLOCK = timedelta(minutes=5)
"""How far a sender's clock may run ahead of ours."""


class Coding(msgspec.Struct, frozen=True, omit_defaults=True):
    """A code in a system, with the words its sender used for it."""

    system: str | None = None
    code: str | None = None
    display: str | None = None


class Reason(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why: a code of one of our lists, and words for people."""

    code: str | None = None
    text: str | None = None


URGENCIES = ("routine", "urgent", "asap", "stat")
"""FHIR request priorities, least urgent first; domain d-4 calls them U4, U3, U2, U1."""


def more_urgent(one: str, other: str) -> str:
    """The higher of two urgencies."""
    return max(one, other, key=URGENCIES.index)


def age_on(birth: date, day: date) -> int:
    """Whole years lived."""
    return day.year - birth.year - ((day.month, day.day) < (birth.month, birth.day))


_exact = msgspec.json.Decoder(float_hook=Decimal)
_encoder = msgspec.json.Encoder(decimal_format="number")
_sorted = msgspec.json.Encoder(decimal_format="number", order="deterministic")


def read_json(text: bytes | str | msgspec.Raw) -> Any:
    """JSON with its decimals as they were written: 1.50 is not 1.5 (FHIR decimal: precision has meaning)."""
    return _exact.decode(text)


def write_json(value: Any, *, canonical: bool = False) -> bytes:
    """JSON of Structs and of what `read_json` read; `canonical`: the same for the same content, whatever its order."""
    return (_sorted if canonical else _encoder).encode(value)
