"""What is open, and who must act next on each: the list in which a ward, an agency and the coordinator live."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from service.access.model import Actor
from service.db import Session
from service.directory import store as directory
from service.directory.model import Organization, Region, Worker
from service.errors import Forbidden, NotFound
from service.patients import store as patients
from service.patients.model import Patient
from service.referrals import flow, overview_store, settling, store
from service.referrals.model import Referral, Task
from service.referrals.overview_store import Open
from service.values import Id

FIRST = (datetime.min.replace(tzinfo=UTC), UUID(int=0))


class Names(msgspec.Struct, frozen=True):
    """Whom and what rows name: organisations, workers, regions, and the persons that the reader may know."""

    organizations: Mapping[Id, Organization]
    workers: Mapping[Id, Worker]
    regions: Mapping[str, Region]
    patients: Mapping[Id, Patient]


class Overview(msgspec.Struct, frozen=True):
    """One page of what is open. `after` continues behind it, as `overview` takes it; None: there is no more."""

    rows: tuple[Open, ...]
    names: Names
    after: tuple[datetime | None, Id] | None


async def overview(
    session: Session, actor: Actor, now: datetime, *, after: tuple[datetime | None, Id] | None = None, limit: int = 50
) -> Overview:
    """What is open: the referrals of the actor's hospital or those that the coordinator must see to, soonest due first; an
    agency's own shares and follow-ups, most urgent first. Forbidden for auditors and volunteers, who see no referrals."""
    if actor.side in ("auditor", "volunteer"):
        raise Forbidden("Referrals are read by the parties to them.", key="wrong-actor")
    if actor.side == "agency":
        last = await store.task(session, after[1]) if after else None
        tasks = await store.queue(session, actor.organization, None, None, last, limit + 1)
        found = [Open(step, None, task) for task in tasks if (step := settling.step_of(task, now, session.practice))]
        rows, more = found[:limit], (tasks[limit - 1].due_at, tasks[limit - 1].id) if len(tasks) > limit else None
    else:
        place = (after[0] or FIRST[0], after[1]) if after else FIRST
        found = await overview_store.page(session, actor.side, actor.organization, place, limit + 1)
        rows = found[:limit]
        more = (rows[-1].step.by, rows[-1].step.referral) if len(found) > limit else None
    session.referrals.update(row.step.referral for row in rows)
    return Overview(tuple(rows), await _names(session, rows, ()), more)


async def _names(session: Session, rows: Iterable[Open], others: Iterable[Id | None]) -> Names:
    """Everything that these rows name, each kind in one question; persons as far as row security shows them."""
    steps = [row.step for row in rows]
    about = [row.referral or row.task for row in rows]
    wanted = {id for step in steps for id in (step.organization, step.hospital, step.agency)} | set(others)
    persons = sorted({row.patient for row in rows if row.patient})
    known = {each.id: each for each in await patients.get_many(session, persons)} if persons else {}
    session.patients.update(known)
    return Names(
        organizations=await directory.organizations(session, filter(None, wanted)),
        workers=await directory.workers(session, [step.worker for step in steps if step.worker]),
        regions=await directory.regions(session, [each.region for each in about if each and each.region]),
        patients=known,
    )


class Told(msgspec.Struct, frozen=True):
    """One referral as its reader may see it: `open` while somebody must act; its hospital and the coordinator know the
    referral, an agency its own share, and the referral too once identity is disclosed to it."""

    id: Id
    open: Open | None
    referral: Referral | None
    share: Task | None
    events: tuple[dict[str, Any], ...]
    names: Names


async def one(session: Session, actor: Actor, id: Id) -> Told:
    """A referral with all that happened and who must act next. NotFound where the reader may not know of it."""
    referral = await store.referral(session, id)
    share = await store.own_share(session, id, actor.organization) if actor.side == "agency" else None
    if referral is None and share is None:
        raise NotFound("There is no such referral, or it is not yours to see.")
    step = await store.step(session, id)
    if step is None and share is not None and share.open:
        step = settling.step_of(share, session.began, session.practice)
    session.referrals.add(id)
    events = await flow.events_for(session, actor, id)
    rows = (Open(step, None if share else referral, share),) if step else ()
    named = {event[key] for event in events for key in ("by_organization", "agency_id")}
    return Told(id, rows[0] if rows else None, referral, share, events, await _names(session, rows, named))
