"""Safe contact: what forbids to contact a person, when, and what a supervisor's decision lifts."""

from datetime import UTC, datetime, time, timedelta

import msgspec
import pytest

from service.safety.contact import ANY, ContactRules, Decision, Hours, faults, forbids, on_referral, stricter
from service.values import new_id

MONDAY = datetime(2026, 11, 23, 19, 30, tzinfo=UTC) - timedelta(hours=8)
"""Half past seven in the evening of a Monday, where people live."""
EVENING = Hours(time(18), time(20))
SUPERVISOR = new_id()


def decided(channel: str, at: datetime = MONDAY) -> Decision:
    return Decision(channel, at - timedelta(hours=1), at + timedelta(hours=1), SUPERVISOR)


def test_where_nothing_is_known_everything_may_be_done() -> None:
    assert forbids(ANY, "phone", MONDAY, leaves_message=True) is None


@pytest.mark.parametrize(
    ("rules", "rule"),
    [
        (ContactRules(prohibited=True), "contact-prohibited"),
        (ContactRules(supervised=True), "supervisor-decides"),
        (ContactRules(prohibited=True, supervised=True), "contact-prohibited"),
        (ContactRules(channels=("visit",)), "channel-not-safe"),
        (ContactRules(times=(Hours(time(9), time(12)),)), "time-not-safe"),
        (ContactRules(channels=("phone", "visit"), times=(EVENING,)), None),
    ],
)
def test_each_rule_forbids_by_its_name(rules: ContactRules, rule: str | None) -> None:
    assert forbids(rules, "phone", MONDAY) == rule


def test_no_message_is_left_where_none_may_be_and_the_call_itself_is_allowed() -> None:
    rules = ContactRules(may_leave_message=False)
    assert forbids(rules, "phone", MONDAY) is None
    assert forbids(rules, "phone", MONDAY, leaves_message=True) == "no-message"


@pytest.mark.parametrize("guard", ["prohibited", "supervised"])
def test_a_decision_lifts_one_step_for_its_time_and_no_message_is_left(guard: str) -> None:
    rules = msgspec.structs.replace(ContactRules(decisions=(decided("phone"),)), **{guard: True})
    assert forbids(rules, "phone", MONDAY) is None
    assert forbids(rules, "phone", MONDAY, leaves_message=True) == "no-message"
    assert forbids(rules, "visit", MONDAY) in ("contact-prohibited", "supervisor-decides")
    assert forbids(rules, "phone", MONDAY + timedelta(hours=2)) in ("contact-prohibited", "supervisor-decides")


def test_a_decision_makes_no_channel_and_no_hour_safe() -> None:
    rules = ContactRules(prohibited=True, channels=("visit",), decisions=(decided("phone"),))
    assert forbids(rules, "phone", MONDAY) == "channel-not-safe"
    late = ContactRules(prohibited=True, times=(Hours(time(9), time(12)),), decisions=(decided("phone"),))
    assert forbids(late, "phone", MONDAY) == "time-not-safe"


@pytest.mark.parametrize(
    ("hours", "holds"),
    [
        (Hours(time(18), time(20), (1,)), True),
        (Hours(time(18), time(20), (2,)), False),
        (Hours(time(19, 30), time(20)), True),
        (Hours(time(18), time(19, 30)), False),
        (Hours(time(19), time(7)), True),
        (Hours(time(22), time(7)), False),
        (Hours(time(23), time(20), (7,)), True),
        (Hours(time(23), time(20), (1,)), False),
    ],
)
def test_safe_hours_are_of_the_day_where_people_live_and_may_pass_midnight(hours: Hours, holds: bool) -> None:
    assert hours.hold(MONDAY) is holds


@pytest.mark.parametrize("need", ["N12", "N13", "N14"])
def test_with_violence_abuse_or_abandonment_a_supervisor_decides_each_step(need: str) -> None:
    assert forbids(on_referral(ANY, ("N05", need)), "phone", MONDAY) == "supervisor-decides"


def test_the_word_of_a_referral_and_the_persons_rules_hold_together() -> None:
    assert forbids(on_referral(ANY, ("N05",)), "phone", MONDAY) is None
    assert forbids(on_referral(ANY, ("N05",), prohibited=True), "phone", MONDAY) == "contact-prohibited"
    assert forbids(on_referral(ContactRules(channels=("visit",)), ("N05",)), "phone", MONDAY) == "channel-not-safe"


def test_of_two_records_of_a_person_whatever_either_forbids_is_forbidden() -> None:
    calls, visits = (
        ContactRules(channels=("phone", "visit")),
        ContactRules(channels=("visit",), may_leave_message=False),
    )
    both = stricter(calls, visits)
    assert (both.channels, both.may_leave_message, both.guarded) == (("visit",), False, False)
    assert stricter(ANY, ContactRules(prohibited=True)).prohibited
    assert stricter(ContactRules(channels=("phone",)), ContactRules(channels=("visit",))).supervised
    other = stricter(ContactRules(number="85112233"), ContactRules(number="85998877"))
    assert other.supervised and other.number is None
    released = ContactRules(prohibited=True, decisions=(decided("phone"),))
    assert forbids(stricter(released, ANY), "phone", MONDAY) == "contact-prohibited"


def test_every_fault_of_stated_rules_is_told_with_its_place() -> None:
    wrong = ContactRules(
        channels=("phone", "pigeon"), asked_by="nobody", number="12", times=(Hours(time(9), time(9)),),
        decisions=(Decision("phone", MONDAY, MONDAY, SUPERVISOR), Decision("pigeon", MONDAY, MONDAY + timedelta(days=30), SUPERVISOR)),
    )  # fmt: skip
    assert [issue.at for issue in faults(wrong)] == [
        "channel[1]", "asked-by", "time[0]", "number", "decision[0].until", "decision[1].channel", "decision[1].until",
    ]  # fmt: skip
    assert faults(ContactRules(channels=("phone",), asked_by="patient", number="13800000000", times=(EVENING,))) == ()
