"""Decides when a notice that did not arrive is tried again, and when it is given up."""

import re
from datetime import datetime, timedelta

Schedule = tuple[timedelta, ...]
"""The wait after the first failed attempt, after the second, and so on; after the last one follows no other."""

WORDS = "1,5,30,120,600,3600*73"
"""Seconds; `n*k` stands for k waits of n. One hour, then hourly for three days: 73 (contract.md)."""


def parse(words: str) -> Schedule:
    """Read a schedule such as WORDS. Raises ValueError that says what is wrong."""
    waits: list[timedelta] = []
    for word in words.split(","):
        found = re.fullmatch(r"\s*(\d{1,7})(?:\*(\d{1,4}))?\s*", word, re.ASCII)
        if not found:
            raise ValueError(f"{word.strip()!r} is neither a number of seconds nor seconds*times")
        waits += [timedelta(seconds=int(found[1]))] * int(found[2] or 1)
    return tuple(waits)


DEFAULT = parse(WORDS)

HANDSHAKE = parse("1")
"""A handshake is tried twice: whoever subscribes stands by, and an error is shown at once."""

LONGEST_ASKED = timedelta(days=1)


def next_attempt(schedule: Schedule, attempts: int, now: datetime, retry_after: float | None = None) -> datetime | None:
    """When to try again after `attempts` failed ones (this one included), or None: it is not delivered.

    A subscriber may ask to wait longer (Retry-After, seconds), up to a day; never for more attempts or sooner ones.
    """
    if attempts > len(schedule):
        return None
    asked = min(timedelta(seconds=max(retry_after or 0, 0)), LONGEST_ASKED)
    return now + max(schedule[attempts - 1], asked)
