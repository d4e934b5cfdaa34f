"""What news of a person and of a stay make of a referral, and what a merge makes of it: pure."""

from datetime import datetime, timedelta
from typing import Any

import msgspec

from service.consent import grounds
from service.consent.model import Consent
from service.followup import merging, movement, person, schedule
from service.patients.model import Patient
from service.referrals.model import Clock, Loop, Visit
from service.values import local_day, new_id
from tests.followup.test_schedule import HOSPITAL, MONDAY, PERSON, PRACTICE, loop, placed, share, stay

WARD = stay(status="in-progress", ended_at=None, disposition=None, ward="二病区", bed="12", started_at=MONDAY)


def news(**values: Any) -> tuple[str, ...]:
    return movement.news(WARD, msgspec.structs.replace(WARD, **values))


def test_each_change_of_a_stay_is_a_word_of_its_own_and_the_same_again_is_none() -> None:
    assert news() == ()
    assert news(bed="13") == news(ward="三病区") == news(department="骨科") == ("move-ward",)
    assert news(expected_end=MONDAY) == ("expected-discharge",)
    assert news(fit_at=MONDAY) == ("fit",)
    assert news(status="onleave") == ("away",)
    assert news(status="cancelled", bed=None) == ("undo-admit",)
    away = msgspec.structs.replace(WARD, status="onleave", fit_at=MONDAY)
    assert movement.news(away, msgspec.structs.replace(WARD, fit_at=None)) == ("undo-fit", "back")
    assert movement.news(None, WARD) == (), "a stay that nobody knew before is no news"


def test_a_discharge_empties_the_bed_without_telling_of_a_move() -> None:
    left = msgspec.structs.replace(WARD, status="finished", ended_at=MONDAY, disposition="1", ward=None, bed=None)
    assert movement.news(WARD, left) == ()
    assert "undo-discharge" in movement.news(left, WARD)


def test_only_what_kind_of_place_changed_is_named() -> None:
    assert movement.moved(WARD, msgspec.structs.replace(WARD, bed="13", department="骨科")) == ["bed", "department"]


def patient(**values: Any) -> Patient:
    return msgspec.structs.replace(Patient(PERSON, HOSPITAL, 1, (), MONDAY), **values)


def identified(before: Loop, **values: Any) -> Loop:
    return person.identified(before, patient(**values), None, local_day(MONDAY), MONDAY)


def test_what_nobody_knows_any_more_stays_as_it_was() -> None:
    before = loop(share())
    assert identified(before, gender="unknown", region=None, language=None, birth_date=None) == before


def test_the_stand_in_of_an_open_offer_has_a_new_version_and_an_ended_one_none() -> None:
    live, over = share(), share(status="failed")
    after = identified(loop(live, over), region="520502002")
    assert after.referral.region == "520502002"
    assert [each.stand_in_version for each in after.shares] == [2, 1]
    assert after.shares[0].region == "520502002" and after.shares[1] == over


def test_of_a_safety_need_the_county_alone_is_shown() -> None:
    hidden = msgspec.structs.replace(share(), safety=True)
    shown = identified(loop(hidden), region="520502002", gender="male").shares[0]
    assert shown.region == "520502" and shown.gender is None


def test_where_a_stay_leads_to_is_where_the_person_will_be() -> None:
    going = msgspec.structs.replace(WARD, region="520502001")
    after = person.identified(loop(share()), patient(region="520502002"), going, local_day(MONDAY), MONDAY)
    assert after.referral.region == "520502001"


def test_a_death_stops_the_clocks_of_contact_and_an_error_starts_them_anew() -> None:
    contact = Clock(60, MONDAY, MONDAY + timedelta(hours=1))
    seen = msgspec.structs.replace(share(), clocks={"contact": contact}, visit=Visit(new_id(), "scheduled"))
    dead = person.frozen(placed(loop(seen), stay()), MONDAY, PRACTICE)
    assert dead.referral.deceased and {task.status for task in dead.follow_ups} == {"cancelled"}
    assert dead.shares[0].item == "close" and set(dead.shares[0].clocks) == {"item"} and dead.shares[0].visit is None
    later = MONDAY + timedelta(days=2)
    alive = person.thawed(dead, later, PRACTICE)
    assert set(alive.shares[0].clocks) == {"contact"} and alive.shares[0].clocks["contact"].since == later
    again = placed(alive, stay())
    assert len([task for task in again.follow_ups if task.open]) == 5


def test_nothing_is_placed_or_proposed_for_the_dead() -> None:
    dead = person.frozen(loop(share()), MONDAY, PRACTICE)
    assert placed(dead, stay()).follow_ups == ()
    assert not schedule.proposes(dead.referral)


def test_a_death_that_a_worker_found_out_is_not_undone_by_the_hospitals_correction() -> None:
    once = placed(loop(share()), stay())
    first = once.follow_ups[0]
    assert first.follow_up is not None
    told = msgspec.structs.replace(first.follow_up, outcome="deceased")
    found = schedule.ended(msgspec.structs.replace(first, follow_up=told), "cancelled", person.DEAD, MONDAY)
    after = placed(person.thawed(person.frozen(once.with_follow_up(found), MONDAY, PRACTICE), MONDAY, PRACTICE), stay())
    assert not any(task.open for task in after.follow_ups)


def test_a_readmission_ends_what_was_due_and_the_new_stay_begins_its_own_windows() -> None:
    back = schedule.readmitted(placed(loop(share()), stay()), MONDAY)
    outcomes = [task.follow_up.outcome for task in back.follow_ups if task.follow_up]
    assert outcomes.count("readmitted") == 1 and not any(task.open for task in back.follow_ups)
    second = stay(id=new_id(), ended_at=MONDAY + timedelta(days=20), readmission_of=stay().id)
    fresh = [task for task in placed(back, second).follow_ups if task.open]
    assert [task.follow_up.stay for task in fresh if task.follow_up] == [second.id] * 5


def test_a_merge_renames_where_the_person_stands_and_nowhere_else() -> None:
    known, hidden = share(), share(disclosed=False)
    before = loop(known, hidden)
    old, new = before.referral.patient, new_id()
    before = msgspec.structs.replace(before, parent=msgspec.structs.replace(before.parent, patient=old))
    after = merging.renamed(before, old, new)
    assert (after.referral.patient, after.parent.patient) == (new, new)
    assert [each.patient for each in after.shares] == [new, None]
    assert after.shares[1] == hidden
    assert merging.renamed(after, new, old) == before
    assert merging.renamed(before, new_id(), new) == before


def test_only_open_referrals_for_one_of_the_same_needs_are_twins() -> None:
    one, two = loop(share()), loop(share())
    other = msgspec.structs.replace(two, referral=msgspec.structs.replace(two.referral, id=new_id()))
    assert [(a.referral.id, b.referral.id) for a, b in merging.twins([one], [other])] == [
        tuple(sorted((one.referral.id, other.referral.id)))
    ]
    apart = msgspec.structs.replace(other, referral=msgspec.structs.replace(other.referral, needs=("N17",)))
    ended = msgspec.structs.replace(other, parent=msgspec.structs.replace(other.parent, status="completed"))
    assert merging.twins([one], [apart]) == merging.twins([one], [ended]) == []


def test_a_confined_consent_opens_its_own_referrals_alone(now: datetime = MONDAY) -> None:
    mine, others, agency = new_id(), new_id(), new_id()
    blanket = Consent(
        new_id(), HOSPITAL, PERSON, 1, "consent", True, True, (agency,), (), "patient", new_id(), now, confined=(mine,)
    )
    assert grounds.permits(blanket, mine, now) and not grounds.permits(blanket, others, now)
    nothing = msgspec.structs.replace(blanket, confined=())
    assert not grounds.permits(nothing, mine, now), "none of its own is not all"
