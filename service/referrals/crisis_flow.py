"""The verbs of a crisis on a referral: raise it, and take its next step."""

from datetime import datetime

from service.access.model import Actor
from service.db import Session
from service.errors import Forbidden, Invalid
from service.referrals import crisis, steps
from service.referrals.model import CrisisOwner, Loop, Task
from service.values import Id, Reason


async def raise_crisis(session: Session, actor: Actor, referral: Id, reason: Reason, now: datetime) -> Loop:
    """Anybody at work on the referral raises a crisis: nothing is taken away and nothing closes until it is stood down."""
    if not reason.text:
        raise Invalid("Say in text why a crisis is raised.", at="reasonCode.text", code="required")
    async with steps.on_referral(session, actor, referral, now) as moving:
        if moving.loop.referral.crisis is None:
            # The hospital's duty roster first (moves.md); of what has ended, the coordinator.
            owner: CrisisOwner = "hospital" if moving.loop.parent.open else "coordinator"
            moving.loop = crisis.raised(moving.loop, now, session.practice, owner)
            moving.tell("raise", _own_share(moving), reason, sealed=True)
    return moving.loop


async def step_crisis(session: Session, actor: Actor, referral: Id, step: str, reason: Reason, now: datetime) -> Loop:
    """Acknowledge, safety-plan, report or stand down, each with text. Whoever acts is heard; the next step is settled anew."""
    async with steps.on_referral(session, actor, referral, now) as moving:
        if actor.side == "agency" and not _at_work(moving):
            raise Forbidden(
                "A crisis is for who is at work on the referral; raise one, or tell the hospital.", key="wrong-actor"
            )
        moving.loop = crisis.stepped(moving.loop, step, reason, now, session.practice)
        moving.tell(step, _own_share(moving), reason, sealed=True)
    return moving.loop


def _at_work(moving: steps.Turn) -> bool:
    """Whether the actor's agency has accepted a share, or follows up, and has not ended."""
    own = (*moving.loop.shares, *moving.loop.follow_ups)
    return any(task.agency == moving.actor.organization and task.open and task.accepted_at for task in own)


def _own_share(moving: steps.Turn) -> Task | None:
    own = [share for share in moving.loop.shares if share.agency == moving.actor.organization]
    return own[-1] if own else None
