"""Recurring visits: plan them, end them, and notice one that did not take place."""

from datetime import datetime, timedelta

import msgspec

from service.access.model import Actor
from service.casework import steps as files
from service.casework import visiting
from service.casework import visiting_store as store
from service.casework.visiting import VisitPlan
from service.db import Session
from service.errors import Forbidden, Invalid, NotFound
from service.referrals import clocks, duties, steps, sweeps
from service.referrals.lifecycle import LIVE
from service.values import Id

BATCH = 50
"""How many plans one run of the sweep looks at."""


async def plan(session: Session, actor: Actor, task: Id, every_days: int, first: datetime, now: datetime) -> VisitPlan:
    """The person of a share is visited every so many days from `first` on; in place of what was planned before."""
    async with steps.turn(session, actor, task, now) as moving:
        share = files.own_share(moving, task)
        if share.status not in LIVE or share.patient is None:
            raise Invalid(
                "Visits are planned while the share goes on and the person is disclosed.", at="id", key="not-disclosed"
            )
        if issues := visiting.faults(every_days, first, now):
            raise Invalid("The visits cannot be planned so.", issues=issues)
        made = VisitPlan(task, share.referral, actor.organization, every_days, first, actor.id, now)
        await store.save(session, made)
    return made


async def end(session: Session, actor: Actor, task: Id, now: datetime) -> VisitPlan:
    """No more visits are wanted."""
    async with steps.turn(session, actor, task, now) as moving:
        files.own_share(moving, task)
        found = await store.of_task(session, task)
        if found is None:
            raise NotFound("No visits are planned for this Task.")
        if found.ended_at is None:
            found = msgspec.structs.replace(found, ended_at=now)
            await store.save(session, found)
    return found


async def planned(session: Session, actor: Actor, task: Id) -> VisitPlan:
    """The plan of a share of one's agency. Raises NotFound."""
    steps.only(actor, "agency")
    found = await store.of_task(session, task)
    if found is None:
        raise NotFound("No visits are planned for this Task, or it is not yours to see.")
    session.referrals.add(found.referral)
    return found


async def notice_missed(session: Session, actor: Actor, now: datetime) -> int:
    """A sweep: of each visit that was wanted and did not take place its worker gets a duty; how many plans moved on."""
    if actor.side != "platform":
        raise Forbidden("Only the platform looks after everybody's visits.")
    grace = timedelta(minutes=session.practice.visit_grace.minutes)
    found = await store.due(session, now - grace, BATCH)
    return await sweeps.each(session, found, lambda wanted: _look(session, actor, wanted, now))


async def _look(session: Session, actor: Actor, wanted: VisitPlan, now: datetime) -> None:
    async with steps.on_referral(session, actor, wanted.referral, now, wanted.task) as moving:
        current = await store.of_task(session, wanted.task)
        if current is None or current != wanted:
            return
        share = moving.share
        if not share.open:
            await store.save(session, msgspec.structs.replace(current, ended_at=share.ended_at or now))
            return
        await store.save(session, visiting.following(current, now))
        # While the work rests nobody is expected, and nobody visits who has died.
        expected = share.status in ("accepted", "in-progress") and share.patient and not moving.loop.referral.deceased
        if expected and not await store.visited(session, share.id, visiting.counts_from(current), now):
            by = clocks.begin(moving.practice.missed_visit, now, moving.practice).due
            duties.owe(moving, "missed-visit", current.agency, by, worker=share.worker, about=share.id)
