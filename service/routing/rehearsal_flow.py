"""A dry run: how last month's referrals would have gone under other terms. It reads what was kept of decisions and stores nothing."""

from datetime import datetime, timedelta

import msgspec

from service.access.model import Actor
from service.db import Session
from service.directory import keeping_store as directory
from service.errors import Forbidden
from service.routing import rehearsal, store
from service.routing.model import Need
from service.routing.rehearsal import Reason, Terms, Way
from service.values import Id

SPAN = timedelta(days=30)
AT_ONCE = 500
"""Decisions that one step takes."""
MOST = 20_000
"""Decisions that one dry run looks at."""


class Moved(msgspec.Struct, frozen=True):
    """A referral that would have gone elsewhere. `rough`: two are level, and nobody knows how loaded they were then."""

    referral: Id
    hospital: Id
    at: datetime
    need: Need
    before: Way
    after: Way
    why: Reason | None
    rough: bool


class Step(msgspec.Struct, frozen=True):
    """What one step found: how many decisions it looked at, those that would have gone elsewhere, and behind which the next one begins."""

    seen: int
    moved: tuple[Moved, ...]
    next: tuple[datetime, Id] | None


def permit(actor: Actor) -> None:
    """Raise Forbidden for anybody but an administrator."""
    if actor.role != "administrator":
        raise Forbidden("Rules are tried by the administrator.", key="platform-only")


async def total(session: Session, actor: Actor, until: datetime) -> int:
    """How many referrals a dry run that ends at `until` looks at."""
    permit(actor)
    return await store.count_decisions(session, until - SPAN, until, MOST)


async def step(session: Session, actor: Actor, terms: Terms, until: datetime, after: tuple[datetime, Id] | None) -> Step:  # fmt: skip
    """Try the terms on the next AT_ONCE referrals of the SPAN before `until`, each by its first decision. Raises Forbidden."""
    permit(actor)
    found = await store.first_decisions(session, until - SPAN, until, after, AT_ONCE)
    candidates = [each for kept in found for each in kept.decision.candidates]
    needs = await directory.needs_of(
        session,
        list({each.partnership for each in candidates}),
        list({each.service for each in candidates if each.service}),
    )
    moved: list[Moved] = []
    for kept in found:
        then = rehearsal.again(kept.decision, kept.referral, terms, needs)
        before, now = rehearsal.way(kept.decision), rehearsal.way(then)
        if before != now:
            moved.append(
                Moved(
                    kept.referral, kept.hospital, kept.at, kept.decision.need, before, now, rehearsal.reason(kept.decision, then),
                    rehearsal.is_rough(then),
                )
            )  # fmt: skip
    next = (found[-1].at, found[-1].id) if len(found) == AT_ONCE else None
    return Step(len(found), tuple(moved), next)
