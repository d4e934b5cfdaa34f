"""An agency's moves on its share: every gate, what each leaves behind, and the same move made twice."""

import asyncio
from datetime import timedelta

import pytest

from service.casework import flow
from service.casework.model import Case
from service.errors import Conflict, Forbidden, Invalid, NotFound
from service.referrals import crisis_flow
from service.referrals import flow as referrals
from service.referrals.model import Output
from service.values import Reason, new_id
from tests.casework.town import DONE, MET, Town

FULL = Reason("no-capacity", "Our team is full.")
ENDED = Reason("client-ended", "She wants no more visits.")


async def test_accepting_opens_a_case_and_names_the_next_step(town: Town) -> None:
    loop = await town.refer()
    share = town.share(loop, town.a)
    loop = await town.do(flow.accept, town.a, share.id, None, town.now)
    share = town.share(loop, town.a)
    assert (share.status, share.business_status, loop.parent.status) == ("accepted", "awaiting-consent", "accepted")
    assert (loop.next.who, loop.next.what) == ("referrer", "obtain-consent")
    case: Case = await town.do(flow.case, town.a, share.id)
    assert (case.phase, case.patient, case.closed_at) == ("intake", None, None)


async def test_accepting_again_changes_nothing(town: Town) -> None:
    share = await town.accepted()
    before = await town.told(share.referral)
    again = await town.do(flow.accept, town.a, share.id, None, town.later(minutes=5))
    assert town.share(again, town.a) == share
    assert await town.told(share.referral) == before


async def test_a_worker_is_licensed_today_or_not_named(town: Town) -> None:
    loop = await town.refer()
    share = town.share(loop, town.a)
    for worker in (town.workers["expired-a"], town.workers["worker-b"], new_id()):
        with pytest.raises(Invalid) as refused:
            await town.do(flow.accept, town.a, share.id, worker, town.now)
        assert refused.value.key == "unlicensed" and refused.value.issues[0].at == "owner"
    loop = await town.do(flow.accept, town.a, share.id, town.workers["worker-a"], town.now)
    assert town.share(loop, town.a).worker == town.workers["worker-a"]
    loop = await town.do(flow.accept, town.a, share.id, town.workers["worker-a2"], town.now)
    assert town.share(loop, town.a).worker == town.workers["worker-a2"]
    assert (await town.do(flow.case, town.a, share.id)).worker == town.workers["worker-a2"]


async def test_an_offer_that_expired_or_was_declined_cannot_be_accepted(town: Town) -> None:
    loop = await town.refer()
    share = town.share(loop, town.a)
    await town.do(referrals.decline, town.a, share.id, FULL, town.now)
    with pytest.raises(Invalid) as refused:
        await town.do(flow.accept, town.a, share.id, None, town.now)
    assert refused.value.key == "illegal-move"


async def test_another_agency_may_not_know_of_the_offer(town: Town) -> None:
    share = town.share(await town.refer(), town.a)
    with pytest.raises(NotFound):
        await town.do(flow.accept, town.b, share.id, None, town.now)
    with pytest.raises(Forbidden):
        await town.do(flow.accept, town.hospital, share.id, None, town.now)


async def test_the_first_to_claim_an_open_offer_wins_and_takes_a_place(town: Town) -> None:
    loop = await town.refer("N17")
    assert not loop.shares
    await town.serve("N17", town.a, town.b)
    loop = await town.do(
        referrals.offer, town.coordinator, loop.referral.id, None, Reason(None, "Open to all."), town.now
    )
    offer = loop.shares[0]
    results = await asyncio.gather(
        *(town.do(flow.accept, who, offer.id, None, town.now) for who in (town.a, town.b)), return_exceptions=True
    )
    lost = [result for result in results if isinstance(result, BaseException)]
    assert [type(each) for each in lost] == [Conflict] and lost[0].key == "taken"
    won = next(result for result in results if not isinstance(result, BaseException))
    assert won.shares[0].status == "accepted"
    winner = won.shares[0].agency
    assert await town.see(town.coordinator, "SELECT agency_id FROM case_file") == [(winner,)]
    assert await town.places(offer.id) == 1
    assert "claim" in await town.told(loop.referral.id)


async def test_of_all_who_accept_a_broadcast_exactly_one_wins(town: Town) -> None:
    await town.change("UPDATE partnership SET mode = 'broadcast'")
    loop = await town.refer("N05")
    assert {share.agency for share in loop.shares} == {town.a.organization, town.b.organization}
    tries = [(who, town.share(loop, who).id) for who in (town.a, town.b)]
    results = await asyncio.gather(
        *(town.do(flow.accept, who, task, None, town.now) for who, task in tries), return_exceptions=True
    )
    won = [result for result in results if not isinstance(result, BaseException)]
    lost = [result for result in results if isinstance(result, BaseException)]
    assert len(won) == 1 and [(type(each), each.key) for each in lost] == [(Conflict, "taken")]
    states = sorted((share.status, share.business_status) for share in won[0].shares)
    assert states == [("accepted", "awaiting-consent"), ("cancelled", "not-selected")]
    assert len(await town.see(town.coordinator, "SELECT 1 FROM case_file")) == 1
    assert sorted([await town.places(task) for _, task in tries]) == [0, 1]
    assert (await town.told(loop.referral.id))[-2:] == ["accept", "lose"]


async def test_an_open_offer_is_claimed_only_by_who_may_still_take_it(town: Town) -> None:
    loop = await town.refer("N17")
    await town.serve("N17", town.a, town.b)
    loop = await town.do(
        referrals.offer, town.coordinator, loop.referral.id, None, Reason(None, "Open to all."), town.now
    )
    offer = loop.shares[0]
    await town.change("UPDATE partnership SET valid_to = '2025-03-01' WHERE agency_id = $1", town.a.organization)
    with pytest.raises(Conflict) as refused:
        await town.do(flow.accept, town.a, offer.id, None, town.now)
    assert refused.value.key == "not-eligible"
    assert (await town.do(flow.accept, town.b, offer.id, None, town.now)).shares[0].agency == town.b.organization


async def test_service_begins_only_with_a_consent_and_takes_the_duty_worker(town: Town) -> None:
    loop = await town.refer()
    share = town.share(await town.do(flow.accept, town.a, town.share(loop, town.a).id, None, town.now), town.a)
    with pytest.raises(Invalid) as refused:
        await town.do(flow.start, town.a, share.id, None, town.now)
    assert refused.value.key == "awaiting-consent"
    await town.consent(loop, town.b)
    with pytest.raises(Invalid):
        await town.do(flow.start, town.a, share.id, None, town.now)
    await town.consent(loop, town.a)
    loop = await town.do(flow.start, town.a, share.id, None, town.now)
    share = town.share(loop, town.a)
    assert (share.status, share.business_status, loop.parent.status) == ("in-progress", "in-service", "in-progress")
    assert share.worker == town.workers["worker-a"]
    assert (loop.next.who, loop.next.worker, loop.next.what) == ("worker", share.worker, "assessment")
    case = await town.do(flow.case, town.a, share.id)
    assert (case.phase, case.patient) == ("assessment", loop.referral.patient)
    again = await town.do(flow.start, town.a, share.id, None, town.later(hours=1))
    assert town.share(again, town.a) == share


async def test_a_share_pauses_and_goes_on(town: Town) -> None:
    share = await town.started()
    with pytest.raises(Invalid):
        await town.do(flow.hold, town.a, share.id, None, None, town.now)
    away = Reason(None, "She is with her daughter.")
    with pytest.raises(Invalid):
        await town.do(flow.hold, town.a, share.id, away, town.now - timedelta(days=1), town.now)
    until = town.now + timedelta(days=10)
    loop = await town.do(flow.hold, town.a, share.id, away, until, town.now)
    held = town.share(loop, town.a)
    assert (held.status, held.business_status, held.due_at) == ("on-hold", "paused", until)
    assert (loop.parent.status, loop.referral.status) == ("on-hold", "on-hold")
    same = await town.do(flow.hold, town.a, share.id, away, until, town.now)
    assert town.share(same, town.a) == held
    loop = await town.do(flow.resume, town.a, share.id, None, town.later(days=2))
    assert (town.share(loop, town.a).status, loop.parent.status) == ("in-progress", "in-progress")


async def test_work_cannot_resume_after_the_consent_was_withdrawn(town: Town) -> None:
    loop = await town.refer()
    given = await town.consent(loop, town.a)
    share = town.share(await town.do(flow.accept, town.a, town.share(loop, town.a).id, None, town.now), town.a)
    await town.do(flow.start, town.a, share.id, None, town.now)
    await town.do(flow.hold, town.a, share.id, Reason(None, "Away."), None, town.now)
    await town.consent(loop, town.a, active=False, id=given.id)
    with pytest.raises(Invalid) as refused:
        await town.do(flow.resume, town.a, share.id, None, town.now)
    assert refused.value.key == "awaiting-consent"


async def test_a_return_within_the_grace_time_goes_to_the_next_agency(town: Town) -> None:
    share = await town.accepted()
    with pytest.raises(Invalid):
        await town.do(flow.return_offer, town.a, share.id, Reason("goals-met", "not of this list"), town.now)
    loop = await town.do(flow.return_offer, town.a, share.id, FULL, town.later(hours=2))
    returned = town.share(loop, town.a)
    assert (returned.status, returned.business_status) == ("cancelled", "returned")
    assert town.share(loop, town.b).status == "requested"
    assert (loop.parent.status, loop.parent.business_status) == ("accepted", "offered")
    case = await town.do(flow.case, town.a, share.id)
    assert (case.ending, case.reason, case.phase) == ("return", FULL, "closure")
    again = await town.do(flow.return_offer, town.a, share.id, FULL, town.now)
    assert town.share(again, town.a) == returned
    assert await town.places(share.id) == 0


async def test_after_the_grace_time_or_recorded_work_an_acceptance_is_failed_not_returned(town: Town) -> None:
    late = await town.accepted()
    town.later(hours=2, seconds=1)
    worked = await town.accepted()
    await town.intervene(worked)
    for share in (late, worked):
        with pytest.raises(Invalid) as refused:
            await town.do(flow.return_offer, town.a, share.id, FULL, town.now)
        assert refused.value.key == "grace-passed"
        loop = await town.do(flow.fail, town.a, share.id, ENDED, town.now)
        assert (town.share(loop, town.a).status, town.share(loop, town.b).status) == ("failed", "requested")


async def test_failing_needs_a_coded_reason_and_closes_the_case_with_it(town: Town) -> None:
    share = await town.started()
    for reason in (None, Reason("client-ended", None), Reason("no-capacity", "of the other list")):
        with pytest.raises(Invalid):
            await town.do(flow.fail, town.a, share.id, reason, town.now)
    failed = await town.do(flow.fail, town.a, share.id, ENDED, town.now)
    assert (await town.do(flow.case, town.a, share.id)).ending == "fail"
    assert await town.see(town.a, "SELECT 1 FROM patient") == []
    same = await town.do(flow.fail, town.a, share.id, ENDED, town.now)
    assert town.share(same, town.a) == town.share(failed, town.a)


async def test_nobody_is_offered_a_person_who_has_died(town: Town) -> None:
    share = await town.started()
    loop = await town.do(flow.fail, town.a, share.id, Reason("deceased", "She died."), town.now)
    assert [each.agency for each in loop.shares] == [town.a.organization]
    assert (loop.next.who, loop.next.what, loop.parent.business_status) == ("coordinator", "place", "unplaced")


@pytest.mark.parametrize("ending", ["return", "fail", "confirm-cancel"])
async def test_no_ending_drops_a_crisis(town: Town, ending: str) -> None:
    share = await town.accepted()
    await town.do(crisis_flow.raise_crisis, town.a, share.referral, Reason("raised", "She speaks of dying."), town.now)
    if ending == "return":
        loop = await town.do(flow.return_offer, town.a, share.id, FULL, town.now)
    elif ending == "fail":
        loop = await town.do(flow.fail, town.a, share.id, ENDED, town.now)
    else:
        await town.do(referrals.withdraw, town.hospital, share.referral, Reason(None, "Transferred."), town.now)
        loop = await town.do(flow.confirm_cancel, town.a, share.id, town.now)
    assert loop.referral.crisis.owner == "coordinator"
    assert (loop.next.who, loop.next.what) == ("coordinator", "acknowledge")


async def test_completion_needs_an_output_a_coded_reason_and_no_crisis(town: Town) -> None:
    share = await town.started()
    for reason, outputs in ((MET, ()), (None, (DONE,)), (Reason("expired", "of the other list"), (DONE,))):
        with pytest.raises(Invalid):
            await town.do(flow.complete, town.a, share.id, reason, outputs, town.now)
    await town.do(crisis_flow.raise_crisis, town.a, share.referral, Reason("raised", "She speaks of dying."), town.now)
    with pytest.raises(Invalid) as refused:
        await town.do(flow.complete, town.a, share.id, MET, (DONE,), town.now)
    assert refused.value.key == "crisis-up"


async def test_completion_without_disclosure_is_only_for_who_was_lost_or_withdrew(town: Town) -> None:
    loop = await town.refer()
    share = town.share(await town.do(flow.accept, town.a, town.share(loop, town.a).id, None, town.now), town.a)
    with pytest.raises(Invalid) as refused:
        await town.do(flow.complete, town.a, share.id, MET, (DONE,), town.now)
    assert refused.value.key == "not-disclosed"
    loop = await town.do(flow.complete, town.a, share.id, Reason("lost", "Never reached."), (DONE,), town.now)
    assert loop.parent.status == "completed"


async def test_completion_sends_the_receipt_and_what_it_names_to_the_hospital(town: Town) -> None:
    share = await town.started()
    shown = await town.intervene(share)
    kept = await town.intervene(share)
    output = Output("resulting-activity", {}, f"Procedure/{shown.id}")
    loop = await town.do(flow.complete, town.a, share.id, MET, (output,), town.now)
    done = town.share(loop, town.a)
    assert (done.status, done.business_status, done.reason) == ("completed", "closed", MET)
    assert (loop.parent.status, loop.parent.business_status, loop.referral.status) == (
        "completed",
        "closed",
        "completed",
    )
    assert loop.parent.outputs == (output,) and loop.next is None
    readable = dict(
        await town.see(town.hospital, "SELECT id, type FROM record WHERE author_id = $1", town.a.organization)
    )
    assert readable.pop(shown.id) == "Procedure" and kept.id not in readable
    assert list(readable.values()) == ["Communication"]
    case = await town.do(flow.case, town.a, share.id)
    assert (case.ending, case.reason, case.closed_at) == ("complete", MET, town.now)
    same = await town.do(flow.complete, town.a, share.id, MET, (output,), town.later(hours=1))
    assert town.share(same, town.a) == done
    assert (await town.told(share.referral)).count("complete") == 1


async def test_an_output_names_only_ones_own_records_of_this_referral(town: Town) -> None:
    other = await town.intervene(await town.started())
    share = await town.started()
    for reference in (f"Procedure/{other.id}", f"Procedure/{new_id()}", "Procedure"):
        with pytest.raises(Invalid) as refused:
            await town.do(flow.complete, town.a, share.id, MET, (Output("x", {}, reference),), town.now)
        assert refused.value.key == "unknown-output"
    assert await town.see(town.hospital, "SELECT 1 FROM record WHERE id = $1", other.id) == []


async def test_a_requested_cancellation_is_confirmed_or_overridden(town: Town) -> None:
    confirmed, overridden = await town.accepted(), await town.started()
    for share in (confirmed, overridden):
        loop = await town.do(referrals.withdraw, town.hospital, share.referral, Reason(None, "Going home."), town.now)
        assert town.share(loop, town.a).business_status == "cancellation-requested"
        assert loop.referral.status == "active"
    loop = await town.do(flow.confirm_cancel, town.a, confirmed.id, town.now)
    assert (town.share(loop, town.a).status, town.share(loop, town.a).business_status) == ("cancelled", "withdrawn")
    assert (loop.parent.status, loop.referral.status, loop.next) == ("cancelled", "revoked", None)
    assert loop.referral.reason.text == "Going home."
    same = await town.do(flow.confirm_cancel, town.a, confirmed.id, town.now)
    assert town.share(same, town.a) == town.share(loop, town.a)
    loop = await town.do(flow.complete, town.a, overridden.id, MET, (DONE,), town.now)
    assert (loop.parent.status, loop.referral.status) == ("completed", "completed")


async def test_a_cancellation_is_confirmed_only_where_it_was_requested(town: Town) -> None:
    share = await town.accepted()
    with pytest.raises(Invalid) as refused:
        await town.do(flow.confirm_cancel, town.a, share.id, town.now)
    assert refused.value.key == "illegal-move"


@pytest.mark.parametrize("move", ["start", "hold", "resume", "complete", "fail", "return"])
async def test_the_hospital_does_not_make_the_agencys_moves(town: Town, move: str) -> None:
    share = await town.accepted()
    with pytest.raises(Forbidden):
        await made(town, town.hospital, share.id, move)
    with pytest.raises(NotFound):
        await made(town, town.b, share.id, move)


async def made(town: Town, who: object, task: object, move: str) -> object:
    arguments = {
        "start": (flow.start, None),
        "hold": (flow.hold, FULL, None),
        "resume": (flow.resume, None),
        "complete": (flow.complete, MET, (DONE,)),
        "fail": (flow.fail, ENDED),
        "return": (flow.return_offer, FULL),
    }
    verb, *rest = arguments[move]
    return await town.do(verb, who, task, *rest, town.now)


async def test_outputs_and_notes_may_be_added_without_moving_the_task(town: Town) -> None:
    share = await town.started()
    done = await town.intervene(share)
    output = Output("resulting-activity", {}, f"Procedure/{done.id}")
    loop = await town.do(flow.amend, town.a, share.id, town.now, outputs=(output,), notes=({"text": "Visited."},))
    amended = town.share(loop, town.a)
    assert (amended.status, amended.outputs) == ("in-progress", (output,))
    assert await town.see(town.hospital, "SELECT type FROM record WHERE id = $1", done.id) == [("Procedure",)]
    same = await town.do(flow.amend, town.a, share.id, town.now, outputs=(output,), notes=({"text": "Visited."},))
    assert town.share(same, town.a).version == amended.version


async def test_every_open_referral_has_one_next_step_whatever_was_done(town: Town) -> None:
    for move in ("start", "hold", "complete", "fail", "return"):
        share = await town.accepted()
        await made(town, town.a, share.id, move)
        assert await town.nobody_forgotten()
