"""A notice that did not arrive is tried again after 1 s, 5 s, 30 s, 2 min, 10 min, 1 h, then hourly for three days."""

from datetime import UTC, datetime, timedelta

import pytest

from service.notices import schedule
from service.notices.schedule import next_attempt

NOW = datetime(2026, 11, 20, 8, tzinfo=UTC)


def test_the_waits_are_those_that_the_contract_names():
    waits, at = [], 1
    while found := next_attempt(schedule.DEFAULT, at, NOW):
        waits.append((found - NOW).total_seconds())
        at += 1
    assert waits[:6] == [1, 5, 30, 120, 600, 3600]
    assert set(waits[6:]) == {3600}
    assert timedelta(seconds=sum(waits[6:])) == timedelta(days=3)


def test_a_subscriber_may_ask_to_wait_longer_but_not_shorter_and_not_for_ever():
    assert next_attempt(schedule.DEFAULT, 2, NOW, retry_after=60) == NOW + timedelta(seconds=60)
    assert next_attempt(schedule.DEFAULT, 3, NOW, retry_after=2) == NOW + timedelta(seconds=30)
    assert next_attempt(schedule.DEFAULT, 1, NOW, retry_after=-5) == NOW + timedelta(seconds=1)
    assert next_attempt(schedule.DEFAULT, 1, NOW, retry_after=999_999_999) == NOW + timedelta(days=1)
    assert next_attempt((), 1, NOW, retry_after=60) is None


def test_the_operator_may_choose_other_waits():
    assert schedule.parse("0, 2*3") == (timedelta(0), *[timedelta(seconds=2)] * 3)


@pytest.mark.parametrize("words", ["", "1,", "-1", "1s", "1*", "1.5", "²"])
def test_waits_that_cannot_be_read_are_refused(words):
    with pytest.raises(ValueError, match="neither"):
        schedule.parse(words)
