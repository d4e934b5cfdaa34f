"""A referral of several needs, split: no part is forgotten, and none is lost by another's end."""

import msgspec

from service.referrals import crisis, settling, transitions
from service.referrals.model import Loop
from service.values import Id
from tests.referrals.made import AGENCY, NOW, OTHER, PRACTICE, apply, loop


def split() -> tuple[Loop, Id, Id]:
    made = loop(needs=("N05", "N13"))
    one = transitions.offered(made.referral, AGENCY, NOW, PRACTICE, needs=("N05",))
    other = transitions.offered(made.referral, OTHER, NOW, PRACTICE, needs=("N13",))
    return settling.settle(made.with_share(one).with_share(other), NOW, PRACTICE), one.id, other.id


OUTPUT = transitions.Output("resulting-activity", {}, None)


def test_a_part_that_all_declined_stays_the_coordinators_when_the_other_is_completed() -> None:
    made, one, other = split()
    for share, action in ((one, "accept"), (one, "start"), (one, "complete"), (other, "decline")):
        made = apply(made, share, action, NOW, OUTPUT)
    assert made.parent.open and made.next is not None and made.next.what == "place"


def test_it_completes_when_every_part_has_been_worked_on_and_one_succeeded() -> None:
    made, one, other = split()
    for share, action in ((one, "accept"), (one, "start"), (one, "complete"), (other, "accept"), (other, "fail")):
        made = apply(made, share, action, NOW, OUTPUT)
    assert made.parent.status == "completed" and made.next is None


def test_nothing_completes_while_a_crisis_is_up() -> None:
    made, one, other = split()
    for share, action in ((one, "accept"), (one, "start"), (one, "complete"), (other, "accept")):
        made = apply(made, share, action, NOW, OUTPUT)
    made = settling.settle(crisis.raised(made, NOW, PRACTICE), NOW, PRACTICE)
    made = apply(made, other, "fail", NOW)
    assert made.parent.open and made.referral.status == "active"
    calm = msgspec.structs.replace(made, referral=msgspec.structs.replace(made.referral, crisis=None))
    assert settling.settle(calm, NOW, PRACTICE).parent.status == "completed"


def test_a_request_that_is_placed_again_is_not_on_hold() -> None:
    made = loop()
    share = transitions.offered(made.referral, AGENCY, NOW, PRACTICE)
    made = settling.settle(made.with_share(share), NOW, PRACTICE)
    for action in ("accept", "start", "hold"):
        made = apply(made, share.id, action, NOW)
    assert made.referral.status == "on-hold"
    made = apply(made, share.id, "fail", NOW)
    again = transitions.offered(made.referral, OTHER, NOW, PRACTICE)
    made = settling.settle(made.with_share(again), NOW, PRACTICE)
    assert made.parent.status == "on-hold" and made.referral.status == "active"


def test_a_crisis_leaves_no_longer_limit_running() -> None:
    made = loop("routine")
    share = transitions.offered(made.referral, AGENCY, NOW, PRACTICE)
    made = crisis.raised(made.with_share(share), NOW, PRACTICE)
    left = made.share(share.id).clocks["reply"].due - NOW
    assert left.total_seconds() == PRACTICE.reply["stat"].minutes * 60


def test_a_question_outlives_the_acceptance() -> None:
    made = loop()
    share = transitions.offered(made.referral, AGENCY, NOW, PRACTICE)
    made = settling.settle(made.with_share(share), NOW, PRACTICE)
    made = apply(apply(made, share.id, "ask", NOW), share.id, "accept", NOW)
    assert made.share(share.id).business_status == "awaiting-information"
    assert made.next is not None and made.next.what == "answer"
    made = apply(apply(made, share.id, "start", NOW), share.id, "answer", NOW)
    assert made.share(share.id).business_status == "in-service"
    assert made.share(share.id).clocks["item"].left is None


def test_why_the_hospital_takes_it_back_survives_a_hold() -> None:
    made = loop()
    share = transitions.offered(made.referral, AGENCY, NOW, PRACTICE)
    made = settling.settle(made.with_share(share), NOW, PRACTICE)
    for action in ("accept", "start", "request-cancel", "hold"):
        made = apply(made, share.id, action, NOW)
    assert made.share(share.id).cancel_reason is not None
