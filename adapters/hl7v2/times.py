"""Times as HL7 writes them: to the precision they have, with or without a zone."""

import re
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo

import msgspec

_DTM = re.compile(r"(\d{4})(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:\.(\d{1,6}))?)?)?)?)?)?([+-]\d{4})?\Z")


class Moment(msgspec.Struct, frozen=True):
    """A time with its precision; `fhir` is it as FHIR writes it (year, month, day or an instant with its zone)."""

    at: datetime
    fhir: str

    @property
    def day(self) -> date | None:
        """The calendar day; None where it is less precise."""
        return date.fromisoformat(self.fhir[:10]) if len(self.fhir) >= 10 else None


def read(text: str, zone: tzinfo) -> Moment:
    """A DTM, or the first component of an old TS. Without a zone it is in `zone`; what is less precise than a minute begins
    with its first one. Raises ValueError."""
    found = _DTM.match(text)
    if found is None:
        raise ValueError("YYYY[MM[DD[HH[MM[SS[.S]]]]]][+ZZZZ]")
    year, month, day, hour, minute, second, fraction, offset = found.groups()
    micro = int((fraction or "").ljust(6, "0")) if fraction else 0
    where = _offset(offset) if offset else zone
    at = datetime(int(year), int(month or 1), int(day or 1), int(hour or 0), int(minute or 0), int(second or 0), micro, where)  # fmt: skip
    if hour is None:
        return Moment(_utc(at), "-".join(part for part in (year, month, day) if part))
    return Moment(_utc(at), at.isoformat(timespec="milliseconds" if fraction else "seconds"))


def moment(at: datetime, zone: tzinfo) -> Moment:
    """An instant, as it is written where its teller is."""
    return Moment(at, at.astimezone(zone).isoformat(timespec="seconds"))


def _utc(at: datetime) -> datetime:
    try:
        return at.astimezone(UTC)
    except OverflowError as far:
        raise ValueError("there is no such year") from far


def _offset(text: str) -> timezone:
    ahead = timedelta(hours=int(text[1:3]), minutes=int(text[3:]))
    return timezone(-ahead if text[0] == "-" else ahead)


def write(at: datetime) -> str:
    """An instant as HL7 writes it, with its zone."""
    return at.strftime("%Y%m%d%H%M%S%z")
