"""The last follow-up closes its referral, whatever ended it, and a crisis keeps it open; only its own workers try."""

import msgspec
import pytest

from service.casework import flow as casework
from service.consent.model import Consent
from service.errors import Conflict, Forbidden, Invalid
from service.followup import flow
from service.referrals import consent_flow
from service.values import new_id
from tests.casework.town import DONE, MET, Town


async def completed(town: Town):
    """A referral whose share is completed and whose stay has ended: its follow-ups keep it open."""
    share = await town.started()
    await town.discharged(await town.loop(share.referral))
    return await town.do(casework.complete, town.a, share.id, MET, (DONE,), town.now)


async def test_death_closes_the_referral_when_it_ends_the_last_follow_up(town: Town) -> None:
    loop = await completed(town)
    await town.discharged(loop, "5")
    assert (await town.told(loop.referral.id))[-1] == "close"
    assert (await town.loop(loop.referral.id)).next is None


async def test_a_discharge_that_is_called_off_closes_it_too(town: Town) -> None:
    loop = await completed(town)
    await town.discharged(loop, None, status="in-progress", ended_at=None)
    assert (await town.told(loop.referral.id))[-1] == "close"
    assert await town.nobody_forgotten()


async def test_a_crisis_keeps_the_referral_open_when_its_last_follow_up_ends(town: Town) -> None:
    loop = await completed(town)
    first, *rest = loop.follow_ups
    for task in rest:
        await town.do(flow.outcome, town.a, task.id, "stable", town.now)
    loop = await town.do(flow.outcome, town.a, first.id, "crisis", town.now)
    assert loop.next is not None and loop.next.what == "acknowledge"
    assert "close" not in await town.told(loop.referral.id)


async def test_who_tried_is_a_worker_of_the_agency(town: Town) -> None:
    loop = await completed(town)
    task = town.window(loop, "T2")
    with pytest.raises(Invalid) as refused:
        await town.do(flow.attempt, town.a, town.call(task, worker=town.workers["worker-b"]), b"{}", town.now)
    assert refused.value.key == "foreign-worker"
    await town.do(flow.attempt, town.a, town.call(task, worker=town.workers["worker-a2"]), b"{}", town.now)
    assert (await town.see(town.a, "SELECT worker_id FROM contact_attempt")) == [(town.workers["worker-a2"],)]


async def test_a_lawful_basis_is_recorded_once_and_by_the_coordinator(town: Town) -> None:
    loop = await town.refer("N05")
    basis = Consent(
        new_id(), loop.referral.hospital, loop.referral.patient, 1, "emergency", True, True, (town.a.organization,),
        (loop.referral.id,), "staff", town.coordinator.id, town.now, reason_text="Danger to life.",
    )  # fmt: skip
    with pytest.raises(Forbidden):
        await town.do(consent_flow.record_basis, town.hospital, basis, b"{}", town.now)
    await town.do(consent_flow.record_basis, town.coordinator, basis, b"{}", town.now)
    other = msgspec.structs.replace(basis, agencies=(town.b.organization,))
    with pytest.raises(Conflict):
        await town.do(consent_flow.record_basis, town.coordinator, other, b"{}", town.now)
    assert (await town.loop(loop.referral.id)).permitted.keys() == {town.a.organization}
