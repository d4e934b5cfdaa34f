"""Every move against a crisis that is up: none expires, closes or drops it (domain b-4, moves.md); its bands; who stands it down."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from service.access.model import Actor
from service.casework import flow
from service.errors import Invalid
from service.referrals import crisis_flow, messaging, sweeps
from service.referrals import flow as referrals
from service.referrals.lifecycle import MOVES
from service.referrals.model import Task
from service.values import Reason, new_id
from tests.casework.town import DONE, MET, Town

WHY, FULL = Reason(None, "Because of what happened."), Reason("no-capacity", "Our team is full.")
ENDED = Reason("client-ended", "She wants no more visits.")
DANGER = Reason("raised", "She speaks of dying.")

Move = Callable[[Town, Task], Awaitable[object]]


async def asked(town: Town, share: Task) -> None:
    await town.do(messaging.ask, town.a, share.id, new_id(), town.now)


async def expired(town: Town, share: Task) -> None:
    async with town.pool.transaction(town.coordinator.scope) as session:
        await sweeps.expire_due(session, town.coordinator, town.later(days=5))


async def lost(town: Town, share: Task) -> None:
    """The clock adds the next agency in parallel; that one is quicker."""
    await expired(town, share)
    other = town.share(await town.loop(share.referral), town.b)
    await town.do(flow.accept, town.b, other.id, None, town.now)


async def cancel_confirmed(town: Town, share: Task) -> None:
    await town.do(referrals.withdraw, town.hospital, share.referral, WHY, town.now)
    await town.do(flow.confirm_cancel, town.a, share.id, town.now)


async def paused(town: Town, share: Task) -> None:
    await town.do(flow.hold, town.a, share.id, WHY, None, town.now)


async def paused_and_resumed(town: Town, share: Task) -> None:
    await paused(town, share)
    await town.do(flow.resume, town.a, share.id, None, town.later(hours=1))


async def asked_and_answered(town: Town, share: Task) -> None:
    await asked(town, share)
    await town.do(messaging.answer, town.hospital, share.id, (), town.later(minutes=5))


async def completed(town: Town, share: Task) -> None:
    await town.do(flow.start, town.a, share.id, None, town.now)
    for reason in (MET, Reason("lost", "Nobody is reached."), Reason("consent-withdrawn", "She withdrew.")):
        with pytest.raises(Invalid) as refused:
            await town.do(flow.complete, town.a, share.id, reason, (DONE,), town.now)
        assert refused.value.key == "crisis-up"


OFFERED: dict[str, Move] = {
    "accept": lambda town, share: town.do(flow.accept, town.a, share.id, None, town.now),
    "decline": lambda town, share: town.do(referrals.decline, town.a, share.id, FULL, town.now),
    "withdraw": lambda town, share: town.do(referrals.withdraw, town.hospital, share.referral, WHY, town.now),
    "void": lambda town, share: town.do(flow.void, town.hospital, share.referral, WHY, town.now),
    "expire": expired, "lose": lost, "ask": asked, "answer": asked_and_answered,
}  # fmt: skip
ACCEPTED: dict[str, Move] = {
    "start": lambda town, share: town.do(flow.start, town.a, share.id, None, town.now),
    "return": lambda town, share: town.do(flow.return_offer, town.a, share.id, FULL, town.now),
    "fail": lambda town, share: town.do(flow.fail, town.a, share.id, ENDED, town.now),
    "request-cancel": lambda town, share: town.do(referrals.withdraw, town.hospital, share.referral, WHY, town.now),
    "void": lambda town, share: town.do(flow.void, town.hospital, share.referral, WHY, town.now),
    "hold": paused, "resume": paused_and_resumed, "confirm-cancel": cancel_confirmed, "complete": completed,
    "ask": asked, "answer": asked_and_answered,
}  # fmt: skip
ELSEWHERE = {"offer", "claim"}
"""Moves that begin a share; a crisis is up on a referral, before and after them alike."""


def test_every_move_of_the_table_is_tried_against_a_crisis() -> None:
    assert OFFERED.keys() | ACCEPTED.keys() | ELSEWHERE == MOVES.keys()


@pytest.mark.parametrize("move", sorted(OFFERED))
async def test_no_move_on_an_offer_ends_a_crisis(town: Town, move: str) -> None:
    loop = await town.refer()
    share = town.share(loop, town.a)
    await stays_up(town, share, OFFERED[move])


@pytest.mark.parametrize("move", sorted(ACCEPTED))
async def test_no_move_on_an_accepted_share_ends_a_crisis(town: Town, move: str) -> None:
    await stays_up(town, await town.accepted(), ACCEPTED[move])


async def stays_up(town: Town, share: Task, move: Move) -> None:
    await town.do(crisis_flow.raise_crisis, town.hospital, share.referral, DANGER, town.now)
    before = (await town.loop(share.referral)).referral.crisis
    assert before is not None
    await move(town, share)
    loop = await town.loop(share.referral)
    crisis = loop.referral.crisis
    assert crisis is not None and (crisis.state, crisis.by) == (before.state, before.by), "nor does its clock pause"
    assert loop.next is not None and loop.next.what == "acknowledge", "and somebody must act on it"
    assert await town.nobody_forgotten()
    assert not any(
        s.business_status == "expired" or s.status == "completed" for s in loop.shares
    )  # nothing is taken away, nothing closes


async def test_the_risk_band_is_recorded_with_the_plan_and_nowhere_else(town: Town) -> None:
    share = await town.accepted()
    await town.do(crisis_flow.raise_crisis, town.a, share.referral, DANGER, town.now)
    with pytest.raises(Invalid) as refused:
        await step(town, town.a, share, "acknowledged", risk="high")
    assert refused.value.key == "risk-with-plan"
    await step(town, town.a, share, "acknowledged")
    await step(town, town.a, share, "safety-planned", risk="imminent")
    crisis = (await town.loop(share.referral)).referral.crisis
    assert crisis is not None and (crisis.risk, crisis.planned_at) == ("imminent", town.now)


async def step(town: Town, who: Actor, share: Task, name: str, **more: str) -> None:
    await town.do(crisis_flow.step_crisis, who, share.referral, name, WHY, town.now, *more.values())


def person(organization: object, role: str) -> Actor:
    return Actor(new_id(), "person", organization, role, role)  # pyright: ignore[reportArgumentType]


async def test_who_made_the_plan_does_not_stand_the_crisis_down(town: Town) -> None:
    """Two pairs of eyes: a person's own judgement of safety is looked at by another. A program acts for its organisation."""
    share = await town.accepted()
    worker, supervisor = (person(town.organizations["agency-a"], role) for role in ("social_worker", "supervisor"))
    await town.do(crisis_flow.raise_crisis, worker, share.referral, DANGER, town.now)
    for name in ("acknowledged", "safety-planned"):
        await step(town, worker, share, name)
    with pytest.raises(Invalid) as refused:
        await step(town, worker, share, "stood-down")
    assert refused.value.key == "two-persons"
    await step(town, supervisor, share, "stood-down")
    assert (await town.loop(share.referral)).referral.crisis is None


async def test_a_report_is_passed_over_with_a_reason_by_an_adult_and_never_for_a_child(town: Town) -> None:
    adult = await town.accepted()
    await town.do(crisis_flow.raise_crisis, town.a, adult.referral, DANGER, town.now)
    for name in ("acknowledged", "safety-planned", "stood-down"):
        await step(town, town.a, adult, name)
    assert (await town.loop(adult.referral)).referral.crisis is None
    child = (await town.refer("N13")).referral
    for name in ("acknowledged", "safety-planned"):
        await town.do(crisis_flow.step_crisis, town.hospital, child.id, name, WHY, town.now)
    with pytest.raises(Invalid) as refused:
        await town.do(crisis_flow.step_crisis, town.hospital, child.id, "stood-down", WHY, town.now)
    assert refused.value.key == "report-first"


async def test_its_clocks_run_around_the_clock(town: Town) -> None:
    """Raised on a Friday night, acknowledged in half an hour, planned in two: no working hours, no weekend."""
    share = await town.accepted()
    town.later(days=4, hours=14)  # Friday, 23:00
    await town.do(crisis_flow.raise_crisis, town.a, share.referral, DANGER, town.now)
    wants = {"acknowledged": timedelta(hours=2), "safety-planned": timedelta(hours=1), "reported": timedelta(hours=24)}
    assert (await due(town, share)) == town.now + timedelta(minutes=30)
    for name, limit in wants.items():
        await step(town, town.a, share, name)
        assert (await due(town, share)) == town.now + limit, name


async def due(town: Town, share: Task) -> object:
    loop = await town.loop(share.referral)
    assert loop.next is not None
    return loop.next.by
