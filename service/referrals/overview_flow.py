"""What is open, and who must act next on each: the list in which a ward, an agency and the coordinator live."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from service.access.model import Actor
from service.consent import store as consents
from service.consent.model import Consent
from service.db import Session
from service.directory import store as directory
from service.directory.duty import Person
from service.directory.model import Organization, Region, Worker
from service.errors import Forbidden, NotFound
from service.patients import store as patients
from service.patients.model import Patient, Stay
from service.records.model import Record
from service.referrals import flow, overview_store, settling, steps, store
from service.referrals.model import Referral, Task
from service.referrals.overview_store import Line, Open, Place, Wanted
from service.values import Id, local_day

FIRST = (datetime.min.replace(tzinfo=UTC), UUID(int=0))
LAST = (datetime.max.replace(tzinfo=UTC), UUID(int=2**128 - 1))


class Names(msgspec.Struct, frozen=True):
    """Whom and what rows name: organisations, workers, regions, and the persons that the reader may know."""

    organizations: Mapping[Id, Organization]
    workers: Mapping[Id, Worker]
    regions: Mapping[str, Region]
    patients: Mapping[Id, Patient]


class Overview(msgspec.Struct, frozen=True):
    """One page of what is open. `after` continues behind it; None: there is no more."""

    rows: tuple[Open, ...]
    names: Names
    after: tuple[datetime | None, Id] | None


async def names(session: Session, rows: Iterable[Open], others: Iterable[Id | None] = ()) -> Names:
    """Everything that rows of a list name, and these organisations besides."""
    return await _names(session, rows, others)


async def names_about(
    session: Session, rows: Iterable[Open], about: Sequence[Referral | Task], others: Iterable[Id | None] = ()
) -> Names:  # fmt: skip
    """Everything that open rows name and all these are about, whether they have ended or not, and these organisations besides."""
    return await _names(session, tuple(rows), others, about)


async def _names(
    session: Session, rows: Iterable[Open], others: Iterable[Id | None], ended: Sequence[Referral | Task] = (),
    workers: Iterable[Id | None] = (),
) -> Names:  # fmt: skip
    """Everything that these rows name, each kind in one question; persons as far as row security shows them."""
    next_steps = [row.step for row in rows]
    about = [*(row.referral or row.task for row in rows), *ended]
    wanted = {id for step in next_steps for id in (step.organization, step.hospital, step.agency)} | set(others)
    persons = sorted({each.patient for each in about if each and each.patient})
    # Whose rows an administrator sees is every organisation's; whom they are about is not theirs to know.
    told = persons and session.scope.role != "administrator"
    known = {each.id: each for each in await patients.get_many(session, persons)} if told else {}
    session.patients.update(known)
    return Names(
        organizations=await directory.organizations(session, filter(None, wanted)),
        workers=await directory.workers(
            session, sorted(filter(None, {*(step.worker for step in next_steps), *workers}))
        ),
        regions=await directory.regions(session, [each.region for each in about if each and each.region]),
        patients=known,
    )


async def names_of(session: Session, rows: Iterable[Open], workers: Iterable[Id | None] = ()) -> Names:
    """What rows that another list has found name, and these workers besides."""
    return await _names(session, rows, (), (), workers)


class Ward(msgspec.Struct, frozen=True):
    """One page of a ward's list, how many each folder holds (1,001 is “more than 1,000”), and where it goes on.

    `looked` is through how many rows a filter looked: it finds what it finds among these, and `after` continues behind them.
    """

    rows: tuple[Line, ...]
    names: Names
    counts: Mapping[str, int]
    after: Place | None
    looked: int


async def ward(
    session: Session, actor: Actor, *, folder: str | None = None, mine: bool = False, words: Sequence[Wanted] = (),
    after: Place | None = None, limit: int = 50,
) -> Ward:  # fmt: skip
    """A hospital's referrals by folder (`overview_store.FOLDERS`, `ended`, or None: all that is open): soonest due first, of what
    has ended the latest first. `mine`: those alone that the actor placed, among their last 1,000."""
    steps.only(actor, "hospital")
    placed_by = actor.id if mine else None
    place = after or (LAST if folder == "ended" else FIRST)
    scan = overview_store.MOST if words else limit
    found = await overview_store.keys(session, actor.organization, folder, placed_by, place, scan + 1)
    more, found = len(found) > scan, found[:scan]
    lines = await overview_store.lines(session, [id for _, id in found], words, limit + 1) if found else []
    if len(lines) > limit:
        lines = lines[:limit]
        behind: Place | None = found[lines[-1][0]]
    else:
        behind = found[-1] if more else None
    rows = tuple(line for _, line in lines)
    session.referrals.update(row.referral.id for row in rows)
    opened = [Open(row.step, row.referral) for row in rows if row.step]
    others = [row.closed_by for row in rows]
    named = await _names(session, opened, others, [row.referral for row in rows if row.step is None])
    counts = await overview_store.counts(session, actor.organization, placed_by)
    return Ward(rows, named, counts, behind, len(found))


class Told(msgspec.Struct, frozen=True):
    """One referral as its reader may see it: `open` while somebody must act; its hospital and the coordinator know the
    referral, an agency its own share, and the referral too once identity is disclosed to it.

    `shares`, `follow_ups` and `duties` are those that the reader's scope shows, oldest first. `messages`: what the sides wrote.
    `consents`: what was said of disclosure, for the hospital and the coordinator. `on_duty`: whom to call in a crisis.
    """

    id: Id
    open: Open | None
    referral: Referral | None
    share: Task | None
    events: tuple[dict[str, Any], ...]
    names: Names
    parent: Task | None = None
    shares: tuple[Task, ...] = ()
    follow_ups: tuple[Task, ...] = ()
    duties: tuple[Task, ...] = ()
    messages: tuple[Record, ...] = ()
    consents: tuple[Consent, ...] = ()
    stay: Stay | None = None
    on_duty: Person | None = None
    request: bytes | None = None
    """The hospital's request as received, for whoever may read its words."""

    @property
    def last(self) -> int:
        """The number of the latest event: what a reader has seen."""
        return self.events[-1]["number"] if self.events else 0


WRITTEN = ("question", "answer", "message", "note")
"""Kinds of message that stand in a timeline with their text."""


async def one(session: Session, actor: Actor, id: Id) -> Told:
    """A referral with all that happened and who must act next. NotFound where the reader may not know of it, Forbidden for who has no part in it."""
    if actor.administers:
        raise Forbidden("Who looks after the platform has no part in referrals.", key="wrong-actor")
    referral = await store.referral(session, id)
    tasks = await overview_store.tasks(session, id)
    shares = tuple(task for task in tasks if task.kind == "share")
    share = _own(shares, actor.organization) if actor.side == "agency" else None
    if referral is None and share is None:
        raise NotFound("There is no such referral, or it is not yours to see.")
    step = await store.step(session, id)
    if step is None and share is not None and share.open:
        step = settling.step_of(share, session.began, session.practice)
    session.referrals.add(id)
    events = await flow.events_for(session, actor, id)
    messages = await overview_store.messages(session, id, WRITTEN)
    said: tuple[Consent, ...] = ()
    stay = request = None
    if referral is not None:
        request = await overview_store.request(session, id)
        if actor.side != "agency":
            said = tuple(await consents.about(session, referral.patient, referral.hospital, id))
        stay = await patients.get_stay(session, referral.stay) if referral.stay else None
    on_duty = (
        await flow.on_duty(session, step) if step is not None and referral is not None and referral.crisis else None
    )
    about = share or referral
    rows = (Open(step, None if share else referral, share),) if step else ()
    named = {event[key] for event in events for key in ("by_organization", "agency_id")}
    named |= {agency for consent in said for agency in consent.agencies}
    named |= {task.agency for task in tasks} | {
        about.hospital if about else None,
        referral.preferred if referral else None,
    }
    names = await _names(session, rows, named, [about] if about and not rows else (), [task.worker for task in tasks])
    return Told(
        id, rows[0] if rows else None, referral, share, events, names,
        parent=next((task for task in tasks if task.kind == "parent"), None), shares=shares,
        follow_ups=tuple(task for task in tasks if task.kind == "follow-up"),
        duties=tuple(task for task in tasks if task.kind == "duty"), messages=tuple(messages), consents=said, stay=stay,
        on_duty=on_duty, request=request,
    )  # fmt: skip


def _own(shares: Sequence[Task], agency: Id) -> Task | None:
    """The agency's share of a referral: the one it has now, else an offer that it may claim, else its last."""
    own = [share for share in shares if share.agency == agency]
    to_claim = [share for share in shares if share.agency is None and share.open]
    return next((share for share in reversed(own) if share.open), None) or (to_claim or own or [None])[-1]


class Colleagues(msgspec.Struct, frozen=True):
    """Whom forms offer: the agency's licensed workers who are there today; the agencies with which the hospital has a partnership."""

    workers: tuple[Worker, ...] = ()
    partners: tuple[Organization, ...] = ()


async def colleagues(session: Session, actor: Actor, hospital: Id) -> Colleagues:
    """Whom an act on a referral of this hospital may name: of an agency its workers, of the others its partners."""
    today = local_day(session.began)
    if actor.side == "agency":
        found = await directory.list_workers(session, actor.organization, UUID(int=0), 200)
        there = (w for w in found if w.active and w.away_since is None and w.grade)
        return Colleagues(workers=tuple(w for w in there if w.licensed_to is None or w.licensed_to >= today))
    agreed = await directory.partnerships(session, hospital)
    ids = [
        p.agency
        for p in sorted(agreed, key=lambda p: p.rank)
        if p.valid_from <= today and (p.valid_to is None or p.valid_to >= today)
    ]
    named = await directory.organizations(session, ids)
    return Colleagues(partners=tuple(named[id] for id in dict.fromkeys(ids) if id in named))


async def part(session: Session, referral: Id, task: Id) -> Task:
    """A Task of this referral, as far as the scope shows it. NotFound."""
    found = await store.task(session, task)
    if found is None or found.referral != referral:
        raise NotFound(steps.CANNOT_TELL)
    return found
