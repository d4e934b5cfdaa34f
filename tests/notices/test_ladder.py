"""Who is called next in a crisis: the hospital's roster, the accepted agency's supervisor, the coordinator, until somebody answers."""

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from service.notices.ladder import Called, PageState, Rung, next_rung, rungs
from service.practice import Practice

RAISED = datetime(2026, 11, 22, 2, tzinfo=UTC)
LIMIT = RAISED + timedelta(minutes=30)
PRACTICE = Practice(page_next=300, page_again=1800)
WHOLE = rungs("hospital", agency=True)


def call(rung: Rung, after: float = 0, *states: PageState, acknowledged: bool = False) -> Called:
    """A call so many seconds after the crisis was raised."""
    return Called(rung, RAISED + timedelta(seconds=after), states or ("sent",), acknowledged)


def due(calls: list[Called], after: float, ladder: tuple[Rung, ...] = WHOLE) -> Rung | None:
    return next_rung(ladder, calls, LIMIT, RAISED + timedelta(seconds=after), PRACTICE)


def test_the_first_is_called_at_once_and_each_next_one_when_nobody_has_acknowledged() -> None:
    assert due([], 0) == "first"
    calls = [call("first")]
    assert due(calls, 299) is None and due(calls, 300) == "second"
    calls.append(call("second", 300))
    assert due(calls, 599) is None and due(calls, 600) == "supervisor"
    calls.append(call("supervisor", 600))
    assert due(calls, 900) == "coordinator"


def test_the_last_one_is_called_again_for_as_long_as_nobody_acknowledges() -> None:
    calls = [call("first"), call("second", 300), call("supervisor", 600), call("coordinator", 900)]
    assert due(calls, 900 + 1799) is None
    assert due(calls, 900 + 1800) == "coordinator"
    calls.append(call("coordinator", 2700, "nobody"))
    assert due(calls, 2701) is None, "a roster that names nobody makes no endless circle"


def test_who_cannot_be_reached_is_not_waited_for() -> None:
    assert due([call("first", 0, "nobody")], 0) == "second"
    assert due([call("first", 0, "not-delivered", "not-delivered")], 1) == "second"
    assert due([call("first", 0, "not-delivered", "waiting")], 1) is None, "one of the channels may yet arrive"
    assert due([call("first", 0, "not-delivered", "sent")], 1) is None


def test_an_acknowledged_call_holds_the_ladder_until_the_crisis_own_limit_and_no_longer() -> None:
    calls = [call("first", acknowledged=True)]
    assert due(calls, 29 * 60) is None
    assert due(calls, 30 * 60) == "second", "somebody said that they see to it, and the step was not taken"


def test_a_ladder_without_an_agency_passes_the_supervisor_over() -> None:
    assert rungs("hospital", agency=False) == ("first", "second", "coordinator")
    assert rungs("coordinator", agency=True) == ("coordinator",)


def test_when_a_crisis_passes_to_the_coordinator_they_are_called_at_once() -> None:
    assert due([call("first")], 10, rungs("coordinator", agency=False)) == "coordinator"


@pytest.mark.parametrize("agency", [True, False])
def test_whatever_becomes_of_each_call_everybody_is_called_in_order_and_nobody_twice_before_the_last(
    agency: bool,
) -> None:
    whole = rungs("hospital", agency=agency)
    states: tuple[PageState, ...] = ("sent", "not-delivered", "nobody", "waiting")
    for became in product(states, repeat=len(whole)):
        calls: list[Called] = []
        for at in range(0, 3600, 60):
            if rung := due(calls, at, whole):
                calls.append(call(rung, at, became[min(len(calls), len(whole) - 1)]))
        assert tuple(each.rung for each in calls[: len(whole)]) == whole
        assert all(each.rung == whole[-1] for each in calls[len(whole) :])
        assert [each.at for each in calls] == sorted(each.at for each in calls)
