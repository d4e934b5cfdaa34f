"""Clocks run in the owner's working calendar, pause while the other side has the next move, and never lose time."""

from datetime import UTC, date, datetime, time, timedelta

from hypothesis import given
from hypothesis import strategies as st

from service.practice import Limit, Practice
from service.referrals import clocks
from service.values import SHANGHAI

PRACTICE = Practice()


def shanghai(*at: int) -> datetime:
    return datetime(*at, tzinfo=SHANGHAI).astimezone(UTC)


def test_one_working_day_ends_at_the_same_hour_of_the_next_working_day() -> None:
    clock = clocks.begin(Limit(8 * 60, working=True), shanghai(2026, 3, 4, 10), PRACTICE)
    assert clock.due == shanghai(2026, 3, 5, 10)


def test_a_working_limit_passes_over_the_weekend() -> None:
    clock = clocks.begin(Limit(4 * 60, working=True), shanghai(2026, 3, 6, 16), PRACTICE)
    assert clock.due == shanghai(2026, 3, 9, 12)


def test_a_working_limit_begun_at_night_starts_when_work_does() -> None:
    clock = clocks.begin(Limit(60, working=True), shanghai(2026, 3, 4, 22), PRACTICE)
    assert clock.due == shanghai(2026, 3, 5, 10)


def test_the_national_holiday_and_its_make_up_days_are_known() -> None:
    assert clocks.is_workday(date(2025, 10, 1), PRACTICE) == (False, True)
    assert clocks.is_workday(date(2025, 9, 28), PRACTICE) == (True, True)  # a Sunday that is worked (调休)


def test_a_year_the_library_does_not_know_falls_back_unconfirmed() -> None:
    assert clocks.is_workday(date(2099, 1, 5), PRACTICE) == (True, False)
    assert clocks.is_workday(date(2099, 1, 4), PRACTICE) == (False, False)


def test_an_imported_calendar_decides_first() -> None:
    practice = Practice(workdays={date(2026, 3, 5): False})
    clock = clocks.begin(Limit(8 * 60, working=True), shanghai(2026, 3, 4, 10), practice)
    assert clock.due == shanghai(2026, 3, 6, 10)


def test_a_crisis_runs_by_the_calendar() -> None:
    clock = clocks.begin(Limit(30), shanghai(2026, 3, 7, 3), PRACTICE)
    assert clock.due == shanghai(2026, 3, 7, 3, 30)


def test_the_warning_comes_at_80_percent() -> None:
    begun = shanghai(2026, 3, 4, 9)
    plain = clocks.begin(Limit(100), begun, PRACTICE)
    assert clocks.warn_at(plain, begun, PRACTICE) == begun + timedelta(minutes=80)
    working = clocks.begin(Limit(8 * 60, working=True), shanghai(2026, 3, 4, 16), PRACTICE)
    assert clocks.warn_at(working, working.since, PRACTICE) == shanghai(2026, 3, 5, 14, 24)


moments = st.datetimes(datetime(2025, 1, 1), datetime(2026, 12, 1)).map(
    lambda at: at.replace(microsecond=0, tzinfo=UTC)
)


@given(
    begun=moments,
    minutes=st.integers(1, 3000),
    after=st.integers(0, 3000),
    away=st.integers(0, 20000),
    working=st.booleans(),
)
def test_a_pause_neither_takes_nor_gives_time(
    begun: datetime, minutes: int, after: int, away: int, working: bool
) -> None:
    clock = clocks.begin(Limit(minutes, working), begun, PRACTICE)
    stopped_at = min(begun + timedelta(minutes=after), clock.due)
    used = clocks.working_between(begun, stopped_at, PRACTICE) if working else (stopped_at - begun).total_seconds()
    again = stopped_at + timedelta(minutes=away)
    resumed = clocks.resume(clocks.pause(clock, stopped_at, PRACTICE), again, PRACTICE)
    left = clocks.working_between(again, resumed.due, PRACTICE) if working else (resumed.due - again).total_seconds()
    assert abs(used + left - minutes * 60) <= 1


@given(start=moments, seconds=st.integers(0, 400_000))
def test_adding_working_time_and_counting_it_agree(start: datetime, seconds: int) -> None:
    end = clocks.add_working(start, seconds, PRACTICE)
    assert abs(clocks.working_between(start, end, PRACTICE) - seconds) < 1e-6
    local = end.astimezone(SHANGHAI)
    assert seconds == 0 or time(9) <= local.time() <= time(17)


def test_a_deadline_counted_over_a_year_that_nobody_has_published_says_so() -> None:
    known = clocks.begin(Limit(8 * 60, working=True), shanghai(2026, 3, 4, 10), PRACTICE)
    unknown = clocks.begin(Limit(8 * 60, working=True), shanghai(2099, 1, 5, 10), PRACTICE)
    assert clocks.confirmed(known, PRACTICE) and not clocks.confirmed(unknown, PRACTICE)
    imported = Practice(workdays={date(2099, 1, 5): True, date(2099, 1, 6): True})
    assert clocks.confirmed(unknown, imported)
    around_the_clock = clocks.begin(Limit(30), shanghai(2099, 1, 5, 10), PRACTICE)
    assert clocks.confirmed(around_the_clock, PRACTICE)
