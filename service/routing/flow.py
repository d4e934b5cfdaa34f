"""What is asked of routing itself: a dry run, and the decisions made on a referral."""

from datetime import datetime

from service.access.model import Actor
from service.db import Session
from service.directory import store as directory
from service.errors import Forbidden
from service.routing import steps, store
from service.routing.model import Decision, KeptDecision, Need
from service.values import Id, new_id


async def dry_run(session: Session, actor: Actor, need: Need, now: datetime) -> Decision:
    """Who would be offered this, and why; nothing is stored. Rotation is drawn for a referral that does not exist."""
    if actor.side not in ("hospital", "platform"):
        raise Forbidden("Only a hospital or the platform asks who could take a referral.", key="placers-only")
    if actor.side == "hospital" and actor.organization not in await directory.lineage(session, need.hospital):
        raise Forbidden("A hospital asks for itself and its campuses.", key="own-hospital-only")
    return await steps.route(session, need, new_id(), now)


async def decisions(session: Session, referral: Id) -> list[KeptDecision]:
    """How this referral was routed each time, the newest first; empty for whom may not know of it."""
    return await store.kept(session, referral)
