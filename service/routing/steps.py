"""What `referrals` asks of routing: a decision, and to keep it."""

from datetime import datetime

import msgspec

from service.access.model import Actor
from service.db import Session, as_platform
from service.directory import store as directory
from service.routing import scoring, store
from service.routing.model import Decision, Need
from service.values import Id, local_day, new_id


async def route(session: Session, need: Need, referral: Id, now: datetime) -> Decision:
    """Who could take it today, in what order, and why the others not. Reads the directory and stores nothing.

    Load is counted only for those that are level up to it. A region that another took the place of is read as that one
    where nobody covers the old code.
    """
    prospects = await store.prospects(session, need.hospital, local_day(now))
    judged = scoring.weigh(need, prospects)
    if need.region and not any(each.prefix > 0 for each in judged):
        later = await directory.successor(session, need.region)
        if later is not None:
            need = msgspec.structs.replace(need, region=later)
            judged = scoring.weigh(need, prospects)
    services = scoring.level(judged)
    taken = dict.fromkeys(services, 0) | await directory.taken(session, services) if services else {}
    return scoring.decide(new_id(), need, judged, referral, taken)


async def keep(session: Session, referral: Id, decision: Decision, actor: Actor, now: datetime) -> None:
    """Store the decision for the hospital and the platform, whoever's move it was that asked for it."""
    if session.scope.organization == decision.need.hospital:
        await store.keep(session, decision, referral, actor.id, now)
        return
    async with as_platform(session, "routing"):
        await store.keep(session, decision, referral, actor.id, now)
