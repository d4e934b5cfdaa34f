"""The verbs of a crisis on a referral: raise it, and take its next step."""

from datetime import datetime
from typing import Any

from service.access.model import Actor
from service.db import Session
from service.errors import Forbidden, Invalid, NotFound
from service.referrals import crisis, steps, store
from service.referrals.model import CrisisOwner, Loop, Risk, Task
from service.values import Id, Reason


async def raise_crisis(session: Session, actor: Actor, referral: Id, reason: Reason, now: datetime) -> Loop:
    """The hospital, the coordinator, or an agency with an open share or follow-up raises a crisis: nothing is taken away
    and nothing closes until it is stood down."""
    if not reason.text:
        raise Invalid("Say in text why a crisis is raised.", at="reasonCode.text", code="required")
    async with steps.on_referral(session, actor, referral, now) as moving:
        await _permit(moving, any(task.open for task in _own(moving)))
        if moving.loop.referral.crisis is None:
            # The hospital's duty roster first (moves.md); of what has ended, the coordinator.
            owner: CrisisOwner = "hospital" if moving.loop.parent.open else "coordinator"
            moving.loop = crisis.raised(moving.loop, now, session.practice, owner)
            moving.tell("raise", _own_share(moving), reason, sealed=True)
    return moving.loop


async def step_crisis(
    session: Session, actor: Actor, referral: Id, step: str, reason: Reason, now: datetime, risk: Risk | None = None
) -> Loop:
    """Acknowledge, safety-plan (with the `risk` band, if it was judged), report or stand down, each with text: by the
    hospital, the coordinator, or an agency at work, which has accepted a share that goes on or follows up. The next step
    is settled anew."""
    async with steps.on_referral(session, actor, referral, now) as moving:
        await _permit(moving, any(task.open and task.accepted_at for task in _own(moving)))
        moving.loop = crisis.stepped(moving.loop, step, reason, now, session.practice, by=actor, risk=risk)
        moving.tell(step, _own_share(moving), reason, sealed=True, **_with(risk))
    return moving.loop


def _with(risk: Risk | None) -> dict[str, Any]:
    return {"risk": risk} if risk else {}


async def _permit(moving: steps.Turn, agency_may: bool) -> None:
    """Raise unless this is the referral's hospital, the coordinator, or an agency that may; NotFound where it may not
    know of the referral."""
    actor, loop = moving.actor, moving.loop
    if actor.side == "platform" or (actor.side == "hospital" and actor.organization == loop.referral.hospital):
        return
    if actor.side != "agency" or not (_own(moving) or await _is_open_to(moving)):
        raise NotFound("There is no such referral, or it is not yours to see.")
    if not agency_may:
        raise Forbidden("A crisis is for who is at work on the referral; tell the hospital.", key="wrong-actor")


def _own(moving: steps.Turn) -> list[Task]:
    """What the actor's agency has or had of this referral."""
    return [task for task in (*moving.loop.shares, *moving.loop.follow_ups) if task.agency == moving.actor.organization]


async def _is_open_to(moving: steps.Turn) -> bool:
    """Whether an offer without owner is the actor's agency's to claim."""
    unowned = [share for share in moving.loop.shares if share.agency is None]
    return bool(unowned) and await store.may_claim(moving.session, unowned[-1].id, moving.actor.organization)


def _own_share(moving: steps.Turn) -> Task | None:
    own = [share for share in moving.loop.shares if share.agency == moving.actor.organization]
    return own[-1] if own else None
