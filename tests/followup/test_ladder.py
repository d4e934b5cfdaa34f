"""Which attempt comes next, when it is safe, and when everything was tried (domain b-3, d-5)."""

from datetime import datetime, time, timedelta

import pytest

from service.practice import Practice
from service.referrals import ladder
from service.referrals.model import FollowUp
from service.safety.contact import ANY, ContactRules, Decision, Hours
from service.values import SHANGHAI, new_id

PRACTICE = Practice()
MONDAY = datetime(2025, 3, 10, 10, 0, tzinfo=SHANGHAI)
EVENINGS = ContactRules(times=(Hours(time(18), time(20), (2, 4)),))


def told(*tried: str, **values) -> FollowUp:
    return FollowUp("D7", tried=tried, **values)


def following(*tried: str, rules: ContactRules = ANY, at: datetime = MONDAY, **values):
    return ladder.next_attempt(told(*tried, **values), rules, at, PRACTICE)


def test_the_telephone_is_tried_twice_before_somebody_goes_there() -> None:
    walked: list[str] = []
    while (found := following(*walked)) is not None:
        walked.append(found[1])
    assert walked == ["phone", "phone", "visit", "community", "letter"]


def test_a_wrong_number_is_not_rung_again() -> None:
    assert following("phone", dead=("phone",)) == (MONDAY, "visit")


def test_what_is_proposed_is_safe() -> None:
    tuesday = datetime(2025, 3, 11, 18, 0, tzinfo=SHANGHAI)
    assert following(rules=EVENINGS) == (tuesday, "phone")
    assert following(rules=EVENINGS, at=tuesday + timedelta(hours=1)) == (tuesday + timedelta(hours=1), "phone")
    assert following(rules=EVENINGS, at=tuesday + timedelta(hours=2)) == (tuesday + timedelta(days=2), "phone")
    assert following(rules=EVENINGS, at=tuesday - timedelta(minutes=7)) == (tuesday, "phone")


def test_a_way_that_is_not_safe_is_no_rung() -> None:
    quiet = ContactRules(channels=("visit", "letter"))
    assert following(rules=quiet) == (MONDAY, "visit")
    assert following("visit", rules=quiet) == (MONDAY, "letter")
    assert following("visit", "letter", rules=quiet) is None
    assert ladder.left(("visit",), (), quiet, PRACTICE) == ("letter",)
    assert following(rules=ContactRules(channels=("video",))) is None, "a supervisor decides"


@pytest.mark.parametrize("guarded", [ContactRules(prohibited=True), ContactRules(supervised=True)])
def test_where_a_supervisor_decides_only_what_was_decided_is_proposed(guarded: ContactRules) -> None:
    assert following(rules=guarded) is None
    later = MONDAY + timedelta(hours=5)
    decision = Decision("community", later, later + timedelta(days=1), new_id())
    decided = ContactRules(guarded.prohibited, guarded.supervised, decisions=(decision,))
    assert following(rules=decided) == (later, "community")
    assert following(rules=decided, at=later + timedelta(days=2)) is None, "it was for one step"


def test_a_visit_that_the_risk_asks_for_comes_first() -> None:
    assert ladder.next_attempt(told(), ANY, MONDAY, PRACTICE, visit=True) == (MONDAY, "visit")
    assert ladder.next_attempt(told("visit"), ANY, MONDAY, PRACTICE, visit=True) == (MONDAY, "phone")


def test_everything_was_tried_when_no_rung_is_left() -> None:
    assert ladder.left(("phone", "visit", "community", "letter"), (), ANY, PRACTICE) == ("phone",)
    assert ladder.left(("phone", "phone", "visit", "community", "letter"), (), ANY, PRACTICE) == ()
    assert ladder.left(("phone", "visit", "community", "letter"), ("phone",), ANY, PRACTICE) == ()
