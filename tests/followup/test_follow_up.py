"""After discharge: follow-ups exist at once, attempts and outcomes move them, and the last one closes the referral."""

from datetime import timedelta

import msgspec
import pytest

from service.casework import flow as casework
from service.casework import work_flow
from service.errors import Conflict, Forbidden, Invalid, NotFound
from service.followup import flow
from service.patients.model import Stay
from service.records.model import Record
from service.referrals import flow as referrals
from service.referrals.model import NewReferral, Output
from service.values import Reason, new_id
from tests.casework.town import DONE, MET, Town

WINDOWS = ("T2", "D7", "D14", "D30", "D90")


async def follow_ups(town: Town, *needs: str, disposition: str = "1", **values):
    """A started share whose stay has ended."""
    share = await town.started(*needs, **values)
    await town.discharged(await town.loop(share.referral), disposition)
    return await town.loop(share.referral)


async def outcome(town: Town, task, code: str, who=None, **named):
    return await town.do(flow.outcome, who or town.a, task.id, code, town.now, **named)


async def test_from_the_bed_to_the_closed_follow_up(town: Town) -> None:
    loop = await town.refer("N05")
    assert town.share(loop, town.a).business_status == "offered"
    loop = await town.do(casework.accept, town.a, town.share(loop, town.a).id, None, town.later(minutes=40))
    assert await town.see(town.a, "SELECT 1 FROM patient") == []
    await town.consent(loop, town.a)
    share = town.share(await town.do(casework.start, town.a, loop.shares[0].id, None, town.later(hours=1)), town.a)
    assert await town.see(town.a, "SELECT id FROM patient") == [(loop.referral.patient,)]
    done = await town.intervene(share, service_type="discharge-planning")
    town.later(days=2)
    await town.discharged(loop)
    loop = await town.loop(loop.referral.id)
    assert [task.follow_up.window for task in loop.follow_ups] == list(WINDOWS)
    assert {task.agency for task in loop.follow_ups} == {town.a.organization}
    first = town.window(loop, "T2")
    await town.do(flow.attempt, town.a, town.call(first), b"{}", town.later(hours=20))
    loop = await town.do(
        flow.attempt, town.a, town.call(first, reached=True, channel="visit"), b"{}", town.later(hours=20)
    )
    assert town.window(loop, "T2").follow_up.tried == ("phone", "visit")
    loop = await outcome(town, first, "stable")
    output = (Output("resulting-activity", {}, f"Procedure/{done.id}"),)
    loop = await town.do(casework.complete, town.a, share.id, MET, output, town.later(days=3))
    assert (loop.parent.status, loop.parent.business_status) == ("completed", "follow-up")
    assert (loop.next.what, loop.next.who, loop.next.organization) == ("follow-up", "worker", town.a.organization)
    assert await town.see(town.a, "SELECT id FROM patient") == [(loop.referral.patient,)]
    for code in WINDOWS[1:]:
        assert loop.next.task == town.window(loop, code).id
        assert await town.nobody_forgotten()
        loop = await outcome(town, town.window(loop, code), "need-met")
    assert (loop.parent.business_status, loop.referral.follow_up, loop.next) == ("closed", False, None)
    assert await town.see(town.a, "SELECT id FROM patient") == []
    assert await town.nobody_forgotten()
    told = await town.told(loop.referral.id)
    assert told == [
        "submit", "offer", "accept", "consent", "disclose", "start", "record", "discharge", *["follow-up"] * 5, "attempt", "attempt", "outcome",
        "complete", *["outcome"] * 4, "close",
    ]  # fmt: skip


async def test_the_same_discharge_again_changes_nothing(town: Town) -> None:
    loop = await follow_ups(town)
    before = await town.told(loop.referral.id)
    await town.discharged(loop)
    again = await town.loop(loop.referral.id)
    assert (again.follow_ups, again.referral.version) == (loop.follow_ups, loop.referral.version)
    assert await town.told(loop.referral.id) == before


async def test_a_corrected_date_moves_what_has_not_begun(town: Town) -> None:
    loop = await follow_ups(town)
    await town.do(flow.attempt, town.a, town.call(town.window(loop, "T2")), b"{}", town.now)
    await town.discharged(loop, ended_at=town.now + timedelta(days=2))
    moved = await town.loop(loop.referral.id)
    assert town.window(moved, "T2").window_to == town.window(loop, "T2").window_to
    for code in WINDOWS[1:]:
        assert town.window(moved, code).id == town.window(loop, code).id
        assert town.window(moved, code).window_to == town.window(loop, code).window_to + timedelta(days=2)
    assert (await town.told(loop.referral.id)).count("move") == 4


async def test_a_discharge_taken_back_cancels_what_has_not_begun_and_a_new_one_makes_it_anew(town: Town) -> None:
    loop = await follow_ups(town)
    await town.do(flow.attempt, town.a, town.call(town.window(loop, "T2")), b"{}", town.now)
    await town.discharged(loop, None, status="in-progress", ended_at=None)
    back = await town.loop(loop.referral.id)
    assert [task.follow_up.window for task in back.follow_ups if task.open] == ["T2"]
    await town.discharged(loop, ended_at=town.later(days=4))
    again = await town.loop(loop.referral.id)
    assert sorted(task.follow_up.window for task in again.follow_ups if task.open) == sorted(WINDOWS)
    assert await town.nobody_forgotten()


async def test_death_cancels_the_follow_ups_of_every_open_referral_of_the_person(town: Town) -> None:
    loop = await follow_ups(town)
    patient = loop.referral.patient
    second = NewReferral(new_id(), new_id(), "urn:his-a:order", "second", patient, ("N01",), "routine", b"{}", town.now)
    other = (await town.do(referrals.submit, town.hospital, second, town.now)).loop
    ended = town.now + timedelta(hours=1)
    next_stay = Stay(
        new_id(), town.hospital.organization, patient, 1, "finished", town.now, ended_at=ended, disposition="5"
    )
    await town.do(flow.discharge, town.hospital, next_stay, b"{}", town.later(hours=2))
    dead = await town.loop(loop.referral.id)
    assert {(task.status, task.reason.code) for task in dead.follow_ups} == {("cancelled", "deceased")}
    after = await town.loop(other.referral.id)
    assert after.follow_ups == ()
    # One offer to one family, however many referrals there are.
    assert [duty.item for each in (dead, after) for duty in each.duties] == ["bereavement"]
    assert await town.nobody_forgotten()


async def test_the_family_of_who_must_not_be_contacted_is_offered_nothing_by_itself(town: Town) -> None:
    loop = await town.refer("N05", contact_prohibited=True)
    await town.discharged(loop, "5")
    assert "died" in await town.told(loop.referral.id)
    assert (await town.loop(loop.referral.id)).duties == ()


async def test_leaving_against_advice_is_followed_within_a_day(town: Town) -> None:
    loop = await follow_ups(town, disposition="4")
    assert town.window(loop, "T2").window_to == town.now + timedelta(hours=24)


async def test_the_hospital_follows_up_where_no_agency_sees_the_person(town: Town) -> None:
    loop = await town.refer()
    await town.do(casework.accept, town.a, town.share(loop, town.a).id, None, town.now)
    await town.discharged(loop)
    loop = await town.loop(loop.referral.id)
    first = town.window(loop, "T2")
    assert len(loop.follow_ups) == 5 and first.agency is None
    with pytest.raises(NotFound):
        await town.do(flow.attempt, town.a, town.call(first), b"{}", town.now)
    loop = await town.do(flow.attempt, town.hospital, town.call(first, reached=True), b"{}", town.now)
    loop = await outcome(town, first, "need-persisting", town.hospital)
    assert town.window(loop, "T2").status == "completed"


async def test_a_referral_that_names_no_stay_follows_the_patients_discharge_there(town: Town) -> None:
    loop = await town.refer(with_stay=False)
    stay = Stay(
        new_id(),
        loop.referral.hospital,
        loop.referral.patient,
        1,
        "finished",
        town.now,
        ended_at=town.now,
        disposition="1",
    )
    await town.do(flow.discharge, town.hospital, stay, b"{}", town.now)
    loop = await town.loop(loop.referral.id)
    assert len(loop.follow_ups) == 5 and loop.referral.stay == stay.id


async def test_a_discharge_after_the_case_was_closed_opens_the_referral_and_the_view_again(town: Town) -> None:
    share = await town.started()
    loop = await town.do(casework.complete, town.a, share.id, MET, (DONE,), town.now)
    assert loop.next is None and await town.see(town.a, "SELECT 1 FROM patient") == []
    town.later(days=1)
    await town.discharged(loop)
    loop = await town.loop(share.referral)
    assert (loop.parent.status, loop.parent.business_status) == ("completed", "follow-up")
    assert (loop.next.what, loop.next.worker) == ("follow-up", share.worker)
    assert await town.see(town.a, "SELECT id FROM patient") == [(loop.referral.patient,)]
    loop = await outcome(town, town.window(loop, "T2"), "declined")
    assert (loop.parent.business_status, loop.next) == ("closed", None)
    assert await town.see(town.a, "SELECT 1 FROM patient") == []
    assert await town.nobody_forgotten()


async def test_a_referral_placed_after_the_discharge_is_followed_up_at_once(town: Town) -> None:
    patient = (await town.patient()).id
    stay = Stay(
        new_id(), town.hospital.organization, patient, 1, "finished", town.now, ended_at=town.now, disposition="1"
    )
    await town.do(flow.discharge, town.hospital, stay, b"{}", town.now)
    new = NewReferral(
        new_id(), new_id(), "urn:his-a:order", "x", patient, ("N05",), "routine", b"{}", town.now, stay=stay.id
    )
    loop = (await town.do(referrals.submit, town.hospital, new, town.now)).loop
    for _ in range(2):
        await town.do(flow.catch_up, town.hospital, loop.referral.id, town.now)
        assert len((await town.loop(loop.referral.id)).follow_ups) == 5


async def test_another_hospitals_stay_is_not_found(town: Town) -> None:
    loop = await follow_ups(town)
    stranger = town.stranger
    stay = Stay(
        loop.referral.stay,
        stranger.organization,
        loop.referral.patient,
        1,
        "finished",
        town.now,
        ended_at=town.now,
        disposition="5",
    )
    with pytest.raises(NotFound):
        await town.do(flow.discharge, stranger, stay, b"{}", town.now)
    with pytest.raises(Forbidden):
        await town.do(flow.discharge, town.a, stay, b"{}", town.now)


async def test_a_referral_that_ends_other_than_completed_cancels_its_follow_ups(town: Town) -> None:
    loop = await follow_ups(town)
    await town.do(referrals.withdraw, town.hospital, loop.referral.id, Reason(None, "Not wanted."), town.now)
    loop = await town.do(casework.confirm_cancel, town.a, town.share(loop, town.a).id, town.now)
    assert {task.status for task in loop.follow_ups} == {"cancelled"}
    await town.discharged(loop, ended_at=town.now + timedelta(days=1))
    assert not any(task.open for task in (await town.loop(loop.referral.id)).follow_ups)
    assert loop.next is None and await town.nobody_forgotten()


async def test_who_gives_the_share_up_gives_its_follow_ups_to_the_hospital(town: Town) -> None:
    loop = await follow_ups(town)
    loop = await town.do(
        casework.fail, town.a, town.share(loop, town.a).id, Reason("unforeseen", "We close down."), town.now
    )
    assert {(task.agency, task.worker, task.status) for task in loop.follow_ups} == {(None, None, "accepted")}
    assert await town.see(town.a, "SELECT 1 FROM patient") == []
    assert (await outcome(town, town.window(loop, "T2"), "stable", town.hospital)).referral.follow_up


async def test_an_attempt_that_reached_nobody_proposes_the_next(town: Town) -> None:
    first = town.window(await follow_ups(town), "D7")
    loop = await town.do(flow.attempt, town.a, town.call(first), b"{}", town.now)
    tried = town.window(loop, "D7")
    assert tried.version == first.version + 1
    assert (tried.follow_up.proposed_channel, tried.follow_up.proposed_at) == ("phone", town.now + timedelta(days=1))


async def test_an_attempt_is_recorded_once_with_its_channel_and_its_reason(town: Town) -> None:
    first = town.window(await follow_ups(town), "T2")
    call = town.call(first)
    await town.do(flow.attempt, town.a, call, b"{}", town.now)
    with pytest.raises(Conflict):
        await town.do(flow.attempt, town.a, call, b"{}", town.now)
    ahead = msgspec.structs.replace(town.call(first, reached=True), at=town.now + timedelta(days=1))
    for wrong in (town.call(first, channel="pigeon"), town.call(first, reason=None), ahead):
        with pytest.raises(Invalid):
            await town.do(flow.attempt, town.a, wrong, b"{}", town.now)


async def test_only_its_owner_works_on_a_follow_up(town: Town) -> None:
    first = town.window(await follow_ups(town), "T2")
    for who, refusal in ((town.hospital, Forbidden), (town.coordinator, Forbidden), (town.b, NotFound)):
        with pytest.raises(refusal):
            await town.do(flow.attempt, who, town.call(first), b"{}", town.now)
        with pytest.raises(refusal):
            await outcome(town, first, "stable", who)


async def test_an_agencys_attempts_are_its_own_to_read(town: Town) -> None:
    first = town.window(await follow_ups(town), "T2")
    await town.do(flow.attempt, town.a, town.call(first), b"{}", town.now)
    for who, seen in ((town.a, 1), (town.hospital, 0), (town.b, 0)):
        assert len(await town.see(who, "SELECT 1 FROM contact_attempt")) == seen
        assert len(await town.see(who, "SELECT 1 FROM record WHERE code = 'contact'")) == seen
    found = (await town.do(referrals.timeline, town.hospital, first.referral)).events
    assert [event["data"] for event in found if event["kind"] == "attempt"] == ["{}"]


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("stable", "completed"),
        ("need-met", "completed"),
        ("need-persisting", "completed"),
        ("new-need", "completed"),
        ("readmitted", "completed"),
        ("ed-visit", "completed"),
        ("moved", "completed"),
        ("crisis", "completed"),
        ("unreachable", "accepted"),
        ("declined", "failed"),
        ("lost", "failed"),
        ("deceased", "cancelled"),
    ],
)
async def test_the_outcome_decides_the_status(town: Town, code: str, status: str) -> None:
    loop = await follow_ups(town)
    first = town.window(loop, "T2")
    if code == "lost":
        for channel in ("phone", "phone", "visit", "community", "letter"):
            await town.do(flow.attempt, town.a, town.call(first, channel=channel), b"{}", town.now)
    wrong = "completed" if status != "completed" else "failed"
    with pytest.raises(Invalid):
        await outcome(town, first, code, status=wrong)
    loop = await outcome(town, first, code, status=status, element={"valueCodeableConcept": {}})
    ended = town.window(loop, "T2")
    assert (ended.status, ended.follow_up.outcome, ended.outputs[0].type) == (status, code, "outcome")
    rest = {town.window(loop, window).status for window in WINDOWS[1:]}
    assert rest == ({"cancelled"} if code in ("declined", "lost", "deceased") else {"accepted"})
    same = await outcome(town, first, code)
    assert town.window(same, "T2") == ended
    assert await town.nobody_forgotten()


async def test_an_ended_follow_up_takes_no_other_outcome_and_no_attempt(town: Town) -> None:
    first = town.window(await follow_ups(town), "T2")
    await outcome(town, first, "stable")
    for again in (
        lambda: outcome(town, first, "lost"),
        lambda: town.do(flow.attempt, town.a, town.call(first), b"{}", town.now),
    ):
        with pytest.raises(Invalid) as refused:
            await again()
        assert refused.value.key == "illegal-move"
    with pytest.raises(Invalid):
        await outcome(town, first, "fine")


async def test_who_was_not_reached_may_still_be_reached(town: Town) -> None:
    first = town.window(await follow_ups(town), "T2")
    await outcome(town, first, "unreachable")
    loop = await outcome(town, first, "stable")
    ended = town.window(loop, "T2")
    assert (ended.status, len(ended.outputs)) == ("completed", 1)


async def test_a_crisis_found_on_the_telephone_is_raised_even_when_the_case_is_closed(town: Town) -> None:
    loop = await follow_ups(town)
    await town.do(casework.complete, town.a, town.share(loop, town.a).id, MET, (DONE,), town.now)
    loop = await outcome(town, town.window(loop, "T2"), "crisis")
    assert (loop.referral.crisis.state, loop.referral.effective_urgency) == ("raised", "stat")
    assert (loop.next.what, loop.next.who) == ("acknowledge", "coordinator")
    assert "restricted" in await town.told(loop.referral.id, town.hospital)


async def test_a_withdrawn_consent_ends_what_the_agency_may_do(town: Town) -> None:
    loop = await town.refer()
    given = await town.consent(loop, town.a)
    share = town.share(await town.do(casework.accept, town.a, town.share(loop, town.a).id, None, town.now), town.a)
    await town.do(casework.start, town.a, share.id, None, town.now)
    await town.discharged(loop)
    await town.consent(loop, town.a, active=False, id=given.id)
    first = town.window(await town.loop(loop.referral.id), "T2")
    assert first.patient is None and first.stand_in is not None
    with pytest.raises(Invalid) as refused:
        await town.do(flow.attempt, town.a, town.call(first), b"{}", town.now)
    assert refused.value.key == "not-disclosed"


async def test_the_owner_writes_notes_while_it_follows_up(town: Town) -> None:
    loop = await follow_ups(town)
    await town.do(casework.complete, town.a, town.share(loop, town.a).id, MET, (DONE,), town.now)
    first = town.window(loop, "T2")
    note = Record(new_id(), 1, "Observation", "case-note", town.a.organization, b"{}", town.now)
    kept = await town.do(work_flow.record_work, town.a, note, first.id, town.now)
    assert (kept.task, kept.patient) == (first.id, loop.referral.patient)


async def test_a_licensed_worker_is_named_for_a_follow_up(town: Town) -> None:
    first = town.window(await follow_ups(town), "T2")
    loop = await town.do(casework.assign, town.a, first.id, town.workers["worker-a2"], town.now)
    assert town.window(loop, "T2").worker == town.workers["worker-a2"]
    assert loop.next.organization == town.a.organization
    with pytest.raises(Invalid):
        await town.do(flow.assign, town.a, first.id, town.workers["expired-a"], town.now)


async def test_a_share_is_no_follow_up(town: Town) -> None:
    share = await town.started()
    with pytest.raises(Invalid) as refused:
        await outcome(town, share, "stable")
    assert refused.value.key == "no-follow-up"
    first = town.window(await follow_ups(town), "T2")
    with pytest.raises(Invalid) as refused:
        await town.do(casework.start, town.a, first.id, None, town.now)
    assert refused.value.key == "no-share"
