"""What the clock does: expire offers nobody answered, remind, escalate."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

import msgspec

from service.access.model import Actor
from service.db import Session, savepoint
from service.referrals import clocks, duties, steps, store, transitions
from service.referrals.model import Loop
from service.values import Id

log = logging.getLogger(__name__)
T = TypeVar("T")

BATCH = 50
"""How many referrals one sweep's transaction moves: it holds their locks until it commits."""


async def expire_due(session: Session, actor: Actor, now: datetime) -> int:
    """Expire offers whose reply limit passed and offer each to the next agency, as one; how many were handled.

    While a crisis is up nothing is taken away: the next eligible agency is added in parallel instead, and the
    coordinator is paged (moves.md).
    """
    found = await store.expired_offers(session, now, BATCH, ())
    return await each(session, found, lambda pair: _expire(session, actor, *pair, now))


async def each(session: Session, found: Sequence[T], handle: Callable[[T], Awaitable[None]]) -> int:
    """Handle each by itself, so that one that fails holds up no other; how many were handled."""
    handled = 0
    for one in found:
        try:
            async with savepoint(session):
                await handle(one)
            handled += 1
        except Exception as fault:
            if session.connection.is_closed():
                raise
            log.error("a sweep could not handle one referral: %s", type(fault).__name__)
    return handled


async def _expire(session: Session, actor: Actor, task: Id, referral: Id, now: datetime) -> None:
    async with steps.on_referral(session, actor, referral, now, task) as moving:
        share = moving.share
        if share.status != "requested" or "reply" not in share.clocks or share.clocks["reply"].due > now:
            return
        if moving.loop.referral.crisis is not None:
            moving.loop = _kept_open(moving.loop, task, now, session)
            moving.tell("overdue", share, who="coordinator")
            await steps.dispatch(moving, share.needs if share.needs != moving.loop.referral.needs else None)
            return
        moving.permit("expire")
        moving.loop = transitions.expired(moving.loop, share, now)
        moving.tell("expire", moving.share)
        await steps.redispatch(moving, share.needs)


def _kept_open(loop: Loop, task: Id, now: datetime, session: Session) -> Loop:
    """The offer stays; its clock starts again, so that each passed limit adds one more agency."""
    share = loop.share(task)
    reply = clocks.begin(session.practice.reply[share.urgency], now, session.practice)
    return loop.with_share(msgspec.structs.replace(share, clocks=share.clocks | {"reply": reply}, updated_at=now))


WHO_IS_TOLD = {1: "owner", 2: "supervisor", 3: "coordinator"}
"""80 % of the limit: its owner; 100 %: the owner's supervisor; then the coordinator, and again each day while it stays
undone. What nobody owns escalates too."""

AGAIN = timedelta(days=1)


async def overdue_duties(session: Session, actor: Actor, now: datetime) -> int:
    """Tell once that the limit of a duty has passed, its owner and the coordinator; how many were handled."""
    found = await store.overdue_duties(session, now, BATCH, ())
    return await each(session, found, lambda pair: duties.overdue(session, actor, *pair, now))


async def remind_due(session: Session, actor: Actor, now: datetime) -> int:
    """Remind at 80 % of a step's limit and escalate when it has passed; how many were handled."""
    found = await store.late_steps(session, now, BATCH)
    return await each(session, found, lambda referral: _remind(session, actor, referral, now))


async def _remind(session: Session, actor: Actor, referral: Id, now: datetime) -> None:
    async with steps.on_referral(session, actor, referral, now) as moving:
        step = moving.loop.next
        if step is None:
            return
        level = await store.reminded_level(session, referral)
        reached = 1 if now < step.by else 2 if level < 2 else 3
        task = next((t for t in (*moving.loop.shares, *moving.loop.follow_ups) if t.id == step.task), None)
        moving.tell(
            "remind" if reached == 1 else "escalate", task, what=step.what, who=step.who, told=WHO_IS_TOLD[reached]
        )
        later = {1: step.by, 2: step.by + (step.by - step.since) * 0.2, 3: now + AGAIN}[reached]
        await store.set_reminded(session, referral, reached, later)
        if reached == 3 and task is not None and step.what == task.item:
            moving.loop = transitions.advanced(moving.loop, task, now, session.practice)
