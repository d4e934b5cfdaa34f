"""While a crisis is up: its clocks run round the clock and never pause, whatever is done to the referral; nothing closes it but its steps."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.errors import Forbidden, Invalid
from service.practice import Practice
from service.referrals import crisis, lifecycle, settling
from service.referrals.model import Loop, Output
from service.values import Reason
from tests.referrals.made import NOW, PRACTICE, apply, at, loop, offered

ACTIONS = [action for action in lifecycle.MOVES if action not in ("offer", "lose", "claim")]
LIMITS = {
    "raised": PRACTICE.crisis_acknowledge,
    "acknowledged": PRACTICE.crisis_plan,
    "safety-planned": PRACTICE.crisis_report,
    "reported": PRACTICE.crisis_stand_down,
}
HOLIDAYS = Practice(workdays={(NOW + timedelta(days=day)).date(): False for day in range(30)})
DONE = Output("resulting-activity", {}, None)


def up(made: Loop, now: datetime = NOW, practice: Practice = PRACTICE) -> Loop:
    return settling.settle(crisis.raised(made, now, practice), now, practice)


def stepped(made: Loop, step: str, now: datetime, practice: Practice = PRACTICE) -> Loop:
    return settling.settle(crisis.stepped(made, step, Reason(step, "x"), now, practice), now, practice)


@pytest.mark.parametrize("practice", [PRACTICE, HOLIDAYS], ids=["usual", "holidays"])
@pytest.mark.parametrize("hour", range(0, 7 * 24, 5))
def test_every_step_has_its_whole_limit_at_any_hour_of_any_day(hour: int, practice: Practice) -> None:
    now = datetime(2026, 10, 1, tzinfo=UTC) + timedelta(hours=hour)
    made = up(loop("routine"), now, practice)
    for following in ("acknowledged", "safety-planned", "reported", None):
        standing = made.referral.crisis
        assert standing is not None and made.next is not None
        assert standing.by - now == timedelta(minutes=LIMITS[standing.state].minutes), "no working hours, no holidays"
        assert made.next.by == standing.by and made.next.confirmed
        if following:
            made = stepped(made, following, now, practice)


@pytest.mark.parametrize("state", LIMITS)
@pytest.mark.parametrize(
    ("status", "action"), list(itertools.product(("requested", "accepted", "in-progress", "on-hold"), ACTIONS))
)
def test_no_move_on_a_share_pauses_moves_or_ends_a_crisis(status: str, action: str, state: str) -> None:
    made, share = at(status)
    made = up(made)
    for step in list(LIMITS)[1 : list(LIMITS).index(state) + 1]:
        made = stepped(made, step, NOW)
    before = made.referral.crisis
    assert before is not None and before.state == state
    later = NOW + timedelta(minutes=7)
    try:
        lifecycle.check(action, made.share(share), sorted(lifecycle.MOVES[action].who)[0])
        moved = apply(made, share, action, later, DONE)
    except (Invalid, Forbidden):
        return
    assert action != "complete", "nothing closes while it is up"
    after = moved.referral.crisis
    assert after is not None and (after.state, after.since, after.by) == (before.state, before.since, before.by)
    assert moved.next is not None and moved.next.by == before.by
    assert moved.parent.status != "completed" and moved.referral.status != "completed", "nothing closes while it is up"
    assert settling.is_open(moved)


@pytest.mark.parametrize("action", ["hold", "ask", "request-cancel", "withdraw-consent"])
def test_what_pauses_every_other_clock_pauses_none_of_a_crisis(action: str) -> None:
    made, share = at("in-progress" if action != "ask" else "accepted")
    made = apply(up(made), share, action, NOW + timedelta(minutes=1))
    assert made.next is not None and made.referral.crisis is not None
    assert made.next.what == "acknowledge" and made.next.by == NOW + timedelta(minutes=30)


def test_a_new_offer_in_a_crisis_is_stat_and_its_answer_is_due_within_a_stats_limit() -> None:
    made, share = offered(up(loop("routine")))
    assert made.share(share).urgency == "stat"
    assert made.share(share).clocks["reply"].due == NOW + timedelta(minutes=PRACTICE.reply["stat"].minutes)


steps = st.lists(st.tuples(st.sampled_from([*ACTIONS, *crisis.STEPS, "raised"]), st.integers(0, 3000)), max_size=25)


@given(status=st.sampled_from(["requested", "accepted", "in-progress", "on-hold"]), history=steps)
@settings(max_examples=200, deadline=None)
def test_over_any_history_a_crisis_ends_by_its_own_steps_alone(status: str, history: list[tuple[str, int]]) -> None:
    made, share = at(status)
    made, now = up(made), NOW
    for word, minutes in history:
        now += timedelta(minutes=minutes)
        before = made.referral.crisis
        try:
            if word == "raised":
                made = up(made, now)
            elif word in crisis.STEPS:
                made = stepped(made, word, now)
            else:
                lifecycle.check(word, made.share(share), sorted(lifecycle.MOVES[word].who)[0])
                made = apply(made, share, word, now, DONE)
        except (Invalid, Forbidden):
            continue
        after = made.referral.crisis
        if before is not None and after is None:
            assert word == "stood-down"
        if before is not None and after is not None and word not in crisis.STEPS:
            assert (after.state, after.by) == (before.state, before.by)
        if after is not None:
            assert made.next is not None and made.next.by == after.by
            assert made.parent.status != "completed"
