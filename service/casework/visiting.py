"""How often a person is visited, and whether a visit that was wanted took place; pure (domain row 43: 持续陪伴)."""

from datetime import datetime, timedelta

import msgspec

from service.errors import Issue
from service.values import Id

MOST_DAYS = 92
"""A visit a quarter at least; what comes more seldom is no companionship (D)."""
FARTHEST = timedelta(days=MOST_DAYS)


class VisitPlan(msgspec.Struct, frozen=True):
    """The person of a share is to be seen every so many days, next at `next_at`, until the plan ends."""

    task: Id
    referral: Id
    agency: Id
    every_days: int
    next_at: datetime
    set_by: Id
    set_at: datetime
    ended_at: datetime | None = None


def faults(every_days: int, first: datetime, now: datetime) -> tuple[Issue, ...]:
    """What is wrong with a plan, every fault with its place."""
    found: list[Issue] = []
    if not 1 <= every_days <= MOST_DAYS:
        found.append(Issue(f"Visits come every 1 to {MOST_DAYS} days.", "every", "value"))
    if not now - timedelta(days=1) <= first <= now + FARTHEST:
        found.append(Issue(f"The first visit lies within the next {MOST_DAYS} days.", "first", "value"))
    return tuple(found)


def counts_from(plan: VisitPlan) -> datetime:
    """From when on a visit is this one, and not the one before: half an interval earlier."""
    return plan.next_at - timedelta(days=plan.every_days) / 2


def following(plan: VisitPlan, now: datetime) -> VisitPlan:
    """The plan with the next visit that is still to come; at the same time of the day."""
    every = timedelta(days=plan.every_days)
    passed = max((now - plan.next_at) // every + 1, 1)
    return msgspec.structs.replace(plan, next_at=plan.next_at + passed * every)
