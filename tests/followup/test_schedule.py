"""The follow-up schedule: windows by the way of leaving and the risk, what moves, what is proposed next."""

from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from service.followup import schedule
from service.patients.model import Stay
from service.practice import Practice
from service.referrals.model import Ground, Loop, Referral, Task
from service.values import SHANGHAI, Reason, new_id, unlinkable_id

PRACTICE = Practice()
MONDAY = datetime(2025, 3, 10, 10, 0, tzinfo=SHANGHAI)
HOSPITAL, AGENCY, OTHER, PERSON = new_id(), new_id(), new_id(), new_id()


def local(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=SHANGHAI)


def end_of(*day: int) -> datetime:
    return local(*day, 23, 59)


STAY = new_id()


def stay(**values: Any) -> Stay:
    base = Stay(STAY, HOSPITAL, PERSON, 1, "finished", MONDAY, ended_at=MONDAY, disposition="1")
    return msgspec.structs.replace(base, **values)


def share(agency: Any = AGENCY, status: str = "accepted", accepted: datetime = MONDAY, disclosed: bool = True) -> Task:
    ended = None if status in ("accepted", "in-progress", "on-hold") else MONDAY
    return Task(
        id=new_id(), kind="share", version=1, referral=REFERRAL.id, hospital=HOSPITAL, status=status, urgency="routine", needs=("N05",),
        authored_at=MONDAY, updated_at=MONDAY, agency=agency, stand_in=unlinkable_id(), filler=new_id(), worker=new_id(),
        patient=PERSON if disclosed else None, accepted_at=accepted, ended_at=ended,
    )  # fmt: skip


REFERRAL = Referral(
    id=new_id(), version=1, hospital=HOSPITAL, placer_system="s", placer_value="1", patient=PERSON, parent=new_id(), status="active",
    needs=("N05",), urgency="urgent", effective_urgency="urgent", age_band="75-84", gender="female", received=1, authored_at=MONDAY,
    updated_at=MONDAY,
)  # fmt: skip
PARENT = Task(REFERRAL.parent, "parent", 1, REFERRAL.id, HOSPITAL, "requested", "urgent", ("N05",), MONDAY, MONDAY)
PERMITTED = {AGENCY: Ground("consent", new_id()), OTHER: Ground("consent", new_id())}


def loop(*shares: Task, **values: Any) -> Loop:
    return Loop(msgspec.structs.replace(REFERRAL, **values), PARENT, shares, permitted=PERMITTED)


def placed(before: Loop, at: Stay, lace: int | None = None, now: datetime = MONDAY) -> Loop:
    return schedule.placed(before, at, lace, now, PRACTICE)


def windows(of: Loop) -> dict[str, Task]:
    return {task.follow_up.window: task for task in of.follow_ups if task.open}


def test_five_windows_follow_a_discharge_and_each_ends_on_its_day() -> None:
    found = {span.code: span.closes for span in schedule.spans(MONDAY, "1", PRACTICE)}
    assert found == {
        "T2": end_of(2025, 3, 12),
        "D7": end_of(2025, 3, 17),
        "D14": end_of(2025, 3, 24),
        "D30": end_of(2025, 4, 9),
        "D90": end_of(2025, 6, 8),
    }


@pytest.mark.parametrize(
    ("left", "by"),
    [
        (local(2025, 3, 14, 10), end_of(2025, 3, 18)),  # Friday: the week-end does not count
        (local(2025, 9, 30, 10), end_of(2025, 10, 10)),  # before the National Day holiday
        (local(2025, 9, 27, 20), end_of(2025, 9, 29)),  # Saturday evening before a worked Sunday (调休)
        (local(2025, 3, 10, 5), end_of(2025, 3, 12)),  # the day of discharge is not one of the two
        (local(2025, 3, 10, 23), end_of(2025, 3, 12)),
    ],
)
def test_the_first_contact_is_due_two_working_days_after_discharge(left: datetime, by: datetime) -> None:
    assert schedule.spans(left, "1", PRACTICE)[0].closes == by


def test_who_left_against_advice_is_contacted_first_within_a_day() -> None:
    saturday = local(2025, 3, 15, 10)
    first, second, *_ = schedule.spans(saturday, "4", PRACTICE)
    assert (first.code, first.closes) == ("T2", saturday + timedelta(hours=24))
    assert second.closes == end_of(2025, 3, 22)


def test_the_agency_that_accepted_first_and_sees_the_person_follows_up() -> None:
    early, late = share(), share(OTHER, accepted=MONDAY + timedelta(hours=1))
    follow_ups = placed(loop(late, early), stay()).follow_ups
    assert len(follow_ups) == 5
    for task in follow_ups:
        assert (task.kind, task.status, task.agency, task.worker) == ("follow-up", "accepted", AGENCY, early.worker)
        assert task.patient == PERSON and task.due_at == task.window_to


@pytest.mark.parametrize(
    "shares",
    [
        (),
        (share(disclosed=False),),
        (share(status="failed"),),
        (share(status="cancelled"),),
        (share(agency=new_id()),),  # its consent was withdrawn: no ground permits it now
    ],
)
def test_the_hospital_follows_up_itself_where_no_agency_can(shares: tuple[Task, ...]) -> None:
    for task in placed(loop(*shares), stay()).follow_ups:
        assert task.agency is None and task.worker is None and task.patient == PERSON


def test_a_completed_share_still_follows_up() -> None:
    assert {task.agency for task in placed(loop(share(status="completed")), stay()).follow_ups} == {AGENCY}


def test_the_same_discharge_again_changes_nothing() -> None:
    once = placed(loop(share()), stay())
    assert placed(once, stay(), now=MONDAY + timedelta(hours=5)) == once


def test_a_corrected_date_moves_what_has_not_begun() -> None:
    once = placed(loop(share()), stay())
    begun = windows(once)["T2"]
    tried = schedule.attempted(begun, "phone", False, REFERRAL, MONDAY + timedelta(hours=1), PRACTICE)
    done = schedule.ended(
        msgspec.structs.replace(
            windows(once)["D7"], follow_up=msgspec.structs.replace(windows(once)["D7"].follow_up, outcome="stable")
        ),
        "completed",
        None,
        MONDAY,
    )
    later = placed(once.with_follow_up(tried).with_follow_up(done), stay(ended_at=MONDAY + timedelta(days=2)))
    assert windows(later)["T2"] == tried
    assert next(task for task in later.follow_ups if task.id == done.id) == done
    assert len(later.follow_ups) == 5
    assert windows(later)["D14"].window_to == end_of(2025, 3, 26) == windows(later)["D14"].due_at
    assert windows(later)["D14"].id == windows(once)["D14"].id


def test_high_risk_makes_the_seventh_day_a_visit() -> None:
    assert [task.follow_up.window for task in placed(loop(), stay(), lace=10).follow_ups if task.follow_up.visit] == [
        "D7"
    ]
    visit = windows(placed(loop(), stay(), lace=10))["D7"]
    assert visit.follow_up.proposed_channel == "visit"
    assert not any(task.follow_up.visit for task in placed(loop(), stay(), lace=9).follow_ups)


def test_a_corrected_discharge_without_the_score_keeps_the_visit() -> None:
    once = placed(loop(), stay(), lace=12)
    assert windows(placed(once, stay(ended_at=MONDAY + timedelta(days=1))))["D7"].follow_up.visit


def test_a_transfer_says_to_ask_at_the_receiving_institution() -> None:
    assert all(task.follow_up.receiving for task in placed(loop(), stay(disposition="3")).follow_ups)
    assert not any(task.follow_up.receiving for task in placed(loop(), stay()).follow_ups)


def test_death_cancels_every_open_follow_up_and_a_correction_brings_them_back() -> None:
    once = placed(loop(), stay())
    dead = schedule.called_off(once, Reason("deceased", "x"), MONDAY, begun=True)
    assert {task.status for task in dead.follow_ups} == {"cancelled"}
    again = placed(dead, stay())
    assert sorted(windows(again)) == sorted(windows(once))


def test_a_discharge_taken_back_cancels_only_what_has_not_begun() -> None:
    once = placed(loop(), stay())
    tried = schedule.attempted(windows(once)["T2"], "phone", False, REFERRAL, MONDAY, PRACTICE)
    left = schedule.called_off(once.with_follow_up(tried), Reason(None, "x"), MONDAY, begun=False)
    assert list(windows(left)) == ["T2"]


@pytest.mark.parametrize("status", ["cancelled", "rejected", "failed", "entered-in-error"])
def test_a_referral_that_ended_other_than_completed_gets_none(status: str) -> None:
    ended = msgspec.structs.replace(loop(), parent=msgspec.structs.replace(PARENT, status=status, ended_at=MONDAY))
    assert placed(ended, stay()) == ended


@pytest.mark.parametrize("outcome", ["declined", "lost", "deceased"])
def test_after_a_final_outcome_a_discharge_makes_no_more(outcome: str) -> None:
    once = placed(loop(), stay())
    first = windows(once)["T2"]
    told = msgspec.structs.replace(first.follow_up, outcome=outcome)
    final = schedule.ended(msgspec.structs.replace(first, follow_up=told), "failed", None, MONDAY)
    over = schedule.called_off(once.with_follow_up(final), Reason(outcome, "x"), MONDAY, begun=True, but=final.id)
    assert placed(over, stay(ended_at=MONDAY + timedelta(days=1))) == over


def test_a_stay_long_past_is_not_that_of_a_new_referral_which_names_none() -> None:
    old = stay(ended_at=MONDAY - timedelta(days=91))
    assert placed(loop(), old).follow_ups == ()
    named = loop(stay=old.id)
    assert len(placed(named, old).follow_ups) == 5


def test_nobody_reached_proposes_the_next_rung_on_the_next_working_day() -> None:
    task = windows(placed(loop(share()), stay()))["D30"]
    friday = local(2025, 4, 11, 15)
    said = []
    for channel in ("phone", "phone", "visit", "community", "letter"):
        task = schedule.attempted(task, channel, False, REFERRAL, friday, PRACTICE)
        said.append((task.follow_up.proposed_channel, task.follow_up.proposed_at))
    monday = local(2025, 4, 14, 15)
    assert said == [("phone", monday), ("visit", monday), ("community", monday), ("letter", monday), (None, None)]


def test_the_proposal_stays_within_the_window_while_it_lasts() -> None:
    task = windows(placed(loop(), stay()))["T2"]
    tried = schedule.attempted(task, "phone", False, REFERRAL, local(2025, 3, 12, 16), PRACTICE)
    assert tried.follow_up.proposed_at == task.window_to


def test_an_attempt_that_reached_the_person_proposes_none() -> None:
    task = windows(placed(loop(), stay()))["T2"]
    tried = schedule.attempted(task, "phone", True, REFERRAL, MONDAY, PRACTICE)
    assert tried.follow_up.tried == ("phone",) and tried.follow_up.proposed_channel is None


@pytest.mark.parametrize(
    "values", [{"contact_prohibited": True}, {"needs": ("N12",)}, {"needs": ("N05", "N13")}, {"needs": ("N14",)}]
)
def test_nothing_is_proposed_by_itself_where_a_supervisor_decides_each_step(values: dict[str, Any]) -> None:
    guarded = placed(loop(**values), stay())
    assert len(guarded.follow_ups) == 5
    for task in guarded.follow_ups:
        assert task.follow_up.proposed_channel is None and task.follow_up.proposed_at is None
        tried = schedule.attempted(task, "phone", False, guarded.referral, MONDAY, PRACTICE)
        assert tried.follow_up.proposed_channel is None


@pytest.mark.parametrize(
    ("values", "is_one"),
    [
        ({}, True),
        ({"status": "in-progress"}, False),
        ({"ended_at": None}, False),
        ({"disposition": None}, False),
    ],
)
def test_a_discharge_has_an_end_and_a_way_of_leaving(values: dict[str, Any], is_one: bool) -> None:
    assert schedule.discharged(stay(**values)) is is_one
