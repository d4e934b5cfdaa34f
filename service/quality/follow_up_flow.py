"""How follow-up goes, in figures: reached within the window, and lost (domain e: 随访完成率, 失访率)."""

from datetime import date, datetime

from service.access.model import Actor
from service.db import Session
from service.errors import Forbidden
from service.quality import follow_up_store as store
from service.quality.model import Followed
from service.values import days

REACHED = ("stable", "need-met", "need-persisting", "new-need", "readmitted", "ed-visit", "moved", "declined", "crisis")
"""Outcomes that nobody can give without having spoken with the person or those around them."""


async def followed(session: Session, actor: Actor, first: date, last: date, now: datetime) -> list[Followed]:
    """Of the windows that closed in these days: an agency's own, a hospital's own referrals', or all for the platform.

    Numerators and denominators, never a rate alone; what was called off and what was entered in error is in neither.
    """
    begins, ends = days(first, last)
    if actor.side == "platform":
        return await store.followed(session, begins, ends, now, REACHED)
    if actor.side == "hospital":
        return await store.followed(session, begins, ends, now, REACHED, hospital=actor.organization)
    if actor.side != "agency" or actor.role == "social_worker":
        raise Forbidden("This is for hospitals, for an agency's supervisor and for the platform.", key="wrong-actor")
    return await store.followed(session, begins, ends, now, REACHED, agency=actor.organization)
