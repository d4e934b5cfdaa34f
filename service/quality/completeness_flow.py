"""How complete an agency's case files are, for its supervisor: missing documents, broken links, overdue reviews (domain rows 15, 16)."""

from collections.abc import Mapping
from datetime import UTC, datetime
from uuid import UUID

import msgspec

from service.access.model import Actor
from service.db import Session
from service.directory import store as directory
from service.directory.model import Worker
from service.errors import Forbidden
from service.patients import store as patients
from service.patients.model import Patient
from service.quality import completeness_store as store
from service.quality import flow as orphans
from service.quality.completeness_store import Filed, Lacking, Review
from service.quality.model import Orphan
from service.values import Id

FIRST = (datetime.min.replace(tzinfo=UTC), UUID(int=0))


class Known(msgspec.Struct, frozen=True):
    """Whom rows name: workers, and persons as far as row security shows them."""

    workers: Mapping[Id, Worker]
    patients: Mapping[Id, Patient]


class Files(msgspec.Struct, frozen=True):
    """One page of files that lack documents. `after` continues behind it."""

    rows: tuple[Lacking, ...]
    known: Known
    after: Id | None


class Reviews(msgspec.Struct, frozen=True):
    """One page of overdue reviews. `after` continues behind it."""

    rows: tuple[Review, ...]
    known: Known
    after: tuple[datetime, Id] | None


class Broken(msgspec.Struct, frozen=True):
    """One page of broken links. `after` continues behind it."""

    rows: tuple[Orphan, ...]
    after: Id | None


async def figures(session: Session, actor: Actor) -> list[Filed]:
    """Documents required and present of the agency's open cases, by phase and all together (phase None)."""
    _permit(actor)
    return await store.figures(session, actor.organization)


async def lacking(session: Session, actor: Actor, after: Id | None = None, limit: int = 50) -> Files:
    """Open cases that lack documents, oldest first, as they were reckoned with the last change of each file."""
    _permit(actor)
    found = await store.lacking(session, actor.organization, after or UUID(int=0), limit + 1)
    rows = found[:limit]
    return Files(tuple(rows), await _known(session, rows), rows[-1].case if len(found) > limit else None)


async def reviews(
    session: Session, actor: Actor, now: datetime, after: tuple[datetime, Id] | None = None, limit: int = 50
) -> Reviews:
    """Service plans whose review is overdue, the longest first."""
    _permit(actor)
    found = await store.reviews(session, actor.organization, now, after or FIRST, limit + 1)
    rows = found[:limit]
    more = (rows[-1].at, rows[-1].id) if len(found) > limit else None
    return Reviews(tuple(rows), await _known(session, rows), more)


async def broken(session: Session, actor: Actor, after: Id | None = None, limit: int = 50) -> Broken:
    """Where need, goal, intervention and outcome do not hang together, oldest first."""
    _permit(actor)
    found = await orphans.orphans(session, actor, after, limit + 1)
    return Broken(tuple(found[:limit]), found[limit - 1].id if len(found) > limit else None)


async def known(session: Session, workers: "set[Id | None]", persons: "set[Id | None]") -> Known:
    """These workers and persons by id, a question each."""
    ids = sorted(each for each in persons if each)
    found = {each.id: each for each in await patients.get_many(session, ids)} if ids else {}
    session.patients.update(found)
    return Known(await directory.workers(session, [each for each in workers if each]), found)


async def _known(session: Session, rows: "list[Lacking] | list[Review]") -> Known:
    session.referrals.update(row.referral for row in rows)
    return await known(session, {row.worker for row in rows}, {row.patient for row in rows})


def _permit(actor: Actor) -> None:
    if actor.role not in ("agency", "supervisor"):
        raise Forbidden("This is for an agency's supervisor.", key="wrong-actor")
