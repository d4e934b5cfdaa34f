"""Clocks: deadlines in working or calendar time, pausing and resuming; pure, `now` is an argument."""

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from functools import lru_cache

import chinese_calendar

from service.practice import Limit, Practice
from service.referrals.model import Clock
from service.values import SHANGHAI


def is_workday(day: date, practice: Practice) -> tuple[bool, bool]:
    """Whether people work that day, and whether that is confirmed.

    An imported calendar decides first, then the State Council's calendar as the library `chinesecalendar` knows it
    (调休 included); a year that it does not know yet falls back to Monday to Friday, unconfirmed (moves.md).
    """
    if day in practice.workdays:
        return practice.workdays[day], True
    return _published(day)


@lru_cache(maxsize=4096)
def _published(day: date) -> tuple[bool, bool]:
    try:
        return chinese_calendar.is_workday(day), True
    except NotImplementedError:
        return day.weekday() < 5, False


def add_working(start: datetime, seconds: float, practice: Practice) -> datetime:
    """The instant `seconds` of working time after `start`."""
    left = timedelta(seconds=seconds)
    at = start.astimezone(SHANGHAI)
    while True:
        if is_workday(at.date(), practice)[0]:
            opens = datetime.combine(at.date(), practice.opens, SHANGHAI)
            closes = datetime.combine(at.date(), practice.closes, SHANGHAI)
            at = max(at, opens)
            if at < closes:
                if left <= closes - at:
                    return (at + left).astimezone(start.tzinfo)
                left -= closes - at
        at = datetime.combine(at.date() + timedelta(days=1), time(0), SHANGHAI)


def working_between(start: datetime, end: datetime, practice: Practice) -> float:
    """Seconds of working time from `start` to `end`; 0 when `end` is not later."""
    total = timedelta()
    at, end = start.astimezone(SHANGHAI), end.astimezone(SHANGHAI)
    while at < end:
        if is_workday(at.date(), practice)[0]:
            opens = datetime.combine(at.date(), practice.opens, SHANGHAI)
            closes = datetime.combine(at.date(), practice.closes, SHANGHAI)
            total += max(min(end, closes) - max(at, opens), timedelta())
        at = datetime.combine(at.date() + timedelta(days=1), time(0), SHANGHAI)
    return total.total_seconds()


def begin(limit: Limit, now: datetime, practice: Practice) -> Clock:
    """A clock that starts now."""
    return Clock(limit.minutes, now, _after(now, limit.minutes * 60, limit.working, practice), limit.working)


def until(due: datetime, now: datetime) -> Clock:
    """A clock with a due time that somebody named."""
    return Clock(max(int((due - now).total_seconds() // 60), 0), now, due)


def pause(clock: Clock, now: datetime, practice: Practice) -> Clock:
    """Stop the clock: what is left is kept."""
    if clock.left is not None:
        return clock
    left = working_between(now, clock.due, practice) if clock.working else (clock.due - now).total_seconds()
    return Clock(clock.minutes, clock.since, clock.due, clock.working, max(int(left), 0))


def resume(clock: Clock, now: datetime, practice: Practice) -> Clock:
    """Let the clock run on with what was left."""
    if clock.left is None:
        return clock
    return Clock(clock.minutes, clock.since, _after(now, clock.left, clock.working, practice), clock.working)


def shortened(clock: Clock, limit: Limit, now: datetime, practice: Practice) -> Clock:
    """The clock with no more left than the limit from now: something became more urgent."""
    fresh = begin(limit, now, practice)
    if clock.left is not None:
        return Clock(limit.minutes, clock.since, fresh.due, limit.working, min(clock.left, limit.minutes * 60))
    return fresh if fresh.due < clock.due else clock


def warn_at(clock: Clock, now: datetime, practice: Practice) -> datetime:
    """When `practice.warn_at` (0.8: 80 %) of the limit has passed, counted back from its due time."""
    rest = clock.minutes * 60 * (1 - practice.warn_at)
    if not clock.working:
        return clock.due - timedelta(seconds=rest)
    span = working_between(now, clock.due, practice)
    return add_working(now, max(span - rest, 0), practice)


def _after(start: datetime, seconds: float, working: bool, practice: Practice) -> datetime:
    return add_working(start, seconds, practice) if working else start + timedelta(seconds=seconds)


def confirmed(clock: Clock, practice: Practice) -> bool:
    """Whether the clock ran over days of known calendars alone: what is counted in working time is a guess in a year whose
    working days the State Council has not published (moves.md)."""
    if not clock.working:
        return True
    first, last = clock.since.astimezone(SHANGHAI).date(), clock.due.astimezone(SHANGHAI).date()
    return all(is_workday(first + timedelta(days=n), practice)[1] for n in range((last - first).days + 1))


def paused(clocks: dict[str, Clock], names: tuple[str, ...], now: datetime, practice: Practice) -> dict[str, Clock]:
    """The clocks with those named stopped."""
    return _each(clocks, names, lambda clock: pause(clock, now, practice))


def resumed(clocks: dict[str, Clock], names: tuple[str, ...], now: datetime, practice: Practice) -> dict[str, Clock]:
    """The clocks with those named running again."""
    return _each(clocks, names, lambda clock: resume(clock, now, practice))


def _each(clocks: dict[str, Clock], names: tuple[str, ...], change: Callable[[Clock], Clock]) -> dict[str, Clock]:
    return {name: change(clock) if name in names else clock for name, clock in clocks.items()}
