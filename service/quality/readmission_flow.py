"""The verb that counts readmissions."""

from datetime import date, datetime

from service.access.model import Actor
from service.db import Session
from service.quality import readmission_store
from service.quality.model import Readmissions
from service.referrals import steps
from service.values import days


async def readmissions(session: Session, actor: Actor, first: date, last: date, now: datetime) -> list[Readmissions]:
    """How many of a hospital's live discharges of these days (both included) were followed by another admission within the
    deployment's time; for the hospital itself, or for the platform each. No person is in it. Forbidden for an agency: what
    a hospital's figures are is the hospital's to show."""
    steps.only(actor, "hospital", "platform")
    own = actor.organization if actor.side == "hospital" else None
    begins, ends = days(first, last)
    return await readmission_store.readmissions(session, own, begins, ends, now, session.practice.readmission_days)
