"""Escalations as a supervisor or the coordinator finds them, and saying that one has seen one."""

from datetime import UTC, datetime
from uuid import UUID

import msgspec

from service.access.model import Actor
from service.db import Session
from service.errors import Conflict, Forbidden, Invalid, NotFound
from service.referrals import escalation_store as store
from service.referrals import overview_flow, overview_store
from service.referrals.escalation_store import Escalated
from service.referrals.model import Task
from service.referrals.overview_flow import Names
from service.referrals.overview_store import Open
from service.values import Id

FIRST = (datetime.min.replace(tzinfo=UTC), UUID(int=0))
LONGEST = 1000
"""Characters of a note."""
MAY_SEE = frozenset({"supervisor", "coordinator"})
"""Roles to whom the clock escalates."""


class Escalations(msgspec.Struct, frozen=True):
    """One page of what was escalated, the longest overdue first; `shares` are the agency's own."""

    rows: tuple[Escalated, ...]
    shares: dict[Id, Task]
    names: Names
    after: tuple[datetime, Id] | None

    def open(self, row: Escalated) -> Open:
        """The row as lists show it: the coordinator knows the referral, an agency its share."""
        share = self.shares.get(row.step.referral)
        return Open(row.step, None if share else row.referral, share)


async def escalations(
    session: Session, actor: Actor, *, after: tuple[datetime, Id] | None = None, limit: int = 50
) -> Escalations:
    """What the clocks have escalated: an agency's late steps for its supervisor; for the platform whatever came as far as the
    coordinator."""
    platform = actor.side == "platform"
    if not platform and actor.role != "supervisor":
        raise Forbidden("Escalations are for supervisors and the coordinator.", key="wrong-actor")
    found = await store.escalated(session, actor.organization, platform=platform, after=after or FIRST, limit=limit + 1)
    rows = found[:limit]
    ids = [row.step.referral for row in rows]
    session.referrals.update(ids)
    shares = {} if platform else await overview_store.own_shares(session, ids, actor.organization)
    made = Escalations(tuple(rows), shares, Names({}, {}, {}, {}), (rows[-1].step.by, rows[-1].step.referral) if len(found) > limit else None)  # fmt: skip
    return msgspec.structs.replace(
        made, names=await overview_flow.names(session, [made.open(row) for row in rows], [row.step.agency for row in rows])
    )  # fmt: skip


async def see(
    session: Session, actor: Actor, referral: Id, what: str, since: datetime, note: str | None, now: datetime
) -> Escalated:
    """Somebody to whom a late step was escalated says that they have seen it, and what they will do about it. The step is as
    late as before: only itself ends it. Raises Conflict `seen` where a colleague was first, `over` where the step is done."""
    if actor.role not in MAY_SEE or actor.kind != "person":
        raise Forbidden("A supervisor or the coordinator says so, in person.", key="wrong-actor")
    if note and len(note) > LONGEST:
        raise Invalid(f"At most {LONGEST} characters.", at="note", code="too-long")
    found = await store.current(session, referral)
    if found is None:
        raise NotFound("There is no such referral, or it is not yours to see.")
    step, reminded = found
    session.referrals.add(referral)
    if (step.what, step.since) != (what, since) or reminded < (3 if actor.side == "platform" else 2):
        raise Conflict("This step is done, or was never escalated: look at the list again.", key="over")
    if not await store.see(session, step, actor.organization, actor.id, actor.name, now, (note or "").strip() or None):
        raise Conflict("A colleague has seen to it already.", key="seen")
    told = "coordinator" if reminded >= 3 else "supervisor"
    return Escalated(step, told, 0, None, None, None, actor.name, now, (note or "").strip() or None)
