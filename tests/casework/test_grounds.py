"""Identity follows the grounds that are in force when a move is made, and the log of disclosures says which one that was."""

from datetime import datetime

import pytest

from service.casework import flow
from service.consent.model import Consent
from service.errors import Invalid
from service.referrals import consent_flow, messaging
from service.referrals.model import Loop
from service.values import Id, Reason, new_id
from tests.casework.town import DONE, MET, Town


async def consent_for(town: Town, loop: Loop, since: datetime | None, until: datetime | None) -> Id:
    """The patient consents, for a time, that the first agency knows them."""
    new = Consent(
        new_id(), loop.referral.hospital, loop.referral.patient, 1, "consent", True, True, (town.a.organization,),
        (loop.referral.id,), "patient", town.hospital.id, town.now, valid_from=since, valid_to=until,
    )  # fmt: skip
    return (await town.do(consent_flow.record_consent, town.hospital, new, b"{}", town.now)).id


async def log(town: Town, loop: Loop) -> list[tuple[Id, bool]]:
    """Each disclosure's ground, and whether it goes on, oldest first."""
    return await town.see(
        town.hospital, "SELECT basis_id, closed_at IS NULL FROM disclosure WHERE referral_id = $1 ORDER BY opened_at, closed_at",
        loop.referral.id,
    )  # fmt: skip


async def taken(town: Town, days: int) -> tuple[Loop, Id]:
    """A share accepted on a consent that ends after so many days."""
    loop = await town.refer("N05")
    ground = await consent_for(town, loop, None, town.now.replace(day=town.now.day + days))
    loop = await town.do(flow.accept, town.a, town.share(loop, town.a).id, None, town.now)
    assert town.share(loop, town.a).patient == loop.referral.patient
    return loop, ground


async def test_a_ground_that_has_ended_is_none_for_the_next_move(town: Town) -> None:
    loop, ground = await taken(town, 1)
    share = town.share(loop, town.a)
    town.later(days=2)
    with pytest.raises(Invalid) as refused:
        await town.do(flow.start, town.a, share.id, None, town.now)
    assert refused.value.key == "awaiting-consent"
    with pytest.raises(Invalid) as refused:
        await town.do(flow.complete, town.a, share.id, MET, (DONE,), town.now)
    assert refused.value.key == "not-disclosed"
    loop = await town.do(messaging.ask, town.a, share.id, new_id(), town.now)
    assert town.share(loop, town.a).patient is None
    assert await town.see(town.a, "SELECT 1 FROM patient") == []
    assert await log(town, loop) == [(ground, False)]
    assert (await town.told(loop.referral.id))[-2:] == ["ask", "conceal"]


async def test_a_ground_that_has_begun_lets_the_agency_start(town: Town) -> None:
    loop = await town.refer("N05")
    ground = await consent_for(town, loop, town.now.replace(day=town.now.day + 1), None)
    share = town.share(loop, town.a)
    await town.do(flow.accept, town.a, share.id, None, town.now)
    loop = await town.do(flow.start, town.a, share.id, None, town.later(days=2))
    assert town.share(loop, town.a).patient == loop.referral.patient
    assert await log(town, loop) == [(ground, True)]
    assert await town.see(town.a, "SELECT id FROM patient") == [(loop.referral.patient,)]


async def test_the_log_cites_the_ground_in_force(town: Town) -> None:
    loop, first = await taken(town, 1)
    second = await consent_for(town, loop, None, None)
    assert await log(town, loop) == [(first, True)]
    town.later(days=2)
    loop = await town.do(flow.start, town.a, town.share(loop, town.a).id, None, town.now)
    assert await log(town, loop) == [(first, False), (second, True)]
    await town.do(flow.hold, town.a, town.share(loop, town.a).id, Reason(None, "In hospital."), None, town.now)
    assert await log(town, loop) == [(first, False), (second, True)]


async def test_a_grant_that_is_missing_comes_with_the_next_move_and_one_too_many_goes(town: Town) -> None:
    share = await town.started()
    await town.change("UPDATE disclosure SET closed_at = opened_at")
    loop = await town.do(messaging.ask, town.a, share.id, new_id(), town.now)
    assert [open for _, open in await log(town, loop)] == [False, True]
    await town.do(flow.complete, town.a, share.id, MET, (DONE,), town.now)
    assert [open for _, open in await log(town, loop)] == [False, False]
