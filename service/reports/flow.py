"""What one asks of the reports: the figures of a stretch of days, as far as one's side goes."""

from datetime import date, datetime, timedelta

from service.access.model import Actor
from service.db import Session
from service.errors import Forbidden, Invalid
from service.quality import follow_up_flow as follow_up
from service.reports import store
from service.reports.model import Report
from service.values import days

LONGEST = 400
"""Days that one report may cover: what is asked for here is reckoned while its reader waits."""


async def report(session: Session, actor: Actor, first: date, last: date, now: datetime) -> Report:
    """The figures of these days: a hospital's own referrals, an agency's own offers and shares, all for the platform.

    Counts with every rate. Follow-up is for an agency's supervisor, as elsewhere. Invalid for days that end before they
    begin or are more than `LONGEST`; Forbidden for auditors and volunteers."""
    if actor.side not in ("hospital", "agency", "platform"):
        raise Forbidden("Reports are for the parties to referrals.", key="wrong-actor")
    if last < first:
        raise Invalid("The period ends before it begins.", at="last", key="period")
    if last - first > timedelta(days=LONGEST):
        raise Invalid(f"A report covers at most {LONGEST} days.", at="first", key="period-long")
    begins, ends = days(first, last)
    limits = {urgency: limit.minutes for urgency, limit in session.practice.first_contact.items()}
    agencies = None
    if actor.side == "hospital":
        agencies = await store.partners(session, actor.organization, now)
    elif actor.side == "agency":
        agencies = [actor.organization]
    seen = actor.role != "social_worker"
    return Report(
        first, last,
        weeks=tuple(await store.weeks(session, begins, ends)),
        contacts=tuple(await store.contacts(session, begins, ends, limits)),
        limits={urgency: minutes // 60 for urgency, minutes in limits.items()},
        capacities=tuple(await store.capacities(session, agencies)),
        followed=tuple(await follow_up.followed(session, actor, first, last, now)) if seen else (),
        declined=tuple(await store.declined(session, begins, ends)),
    )  # fmt: skip
