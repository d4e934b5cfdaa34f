"""A worker's desk: the cases that are theirs or their agency's, and one of them with as much as this reader may see."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

import msgspec

from service.access.model import Actor
from service.casework import desk_store as store
from service.casework import steps as files_of
from service.casework import store as cases_of
from service.casework.desk_store import Listed, Note, Wanted
from service.casework.model import CaseFile
from service.consent import tiers
from service.consent.tiers import Seen, Stage
from service.db import Session
from service.directory import store as directory
from service.directory.model import Organization, Region, Worker
from service.errors import NotFound
from service.patients import store as patients
from service.patients.model import Patient
from service.practice import PLATFORM, Practice
from service.records.model import Attachment, Record
from service.referrals import clocks, settling, steps
from service.referrals import store as referrals
from service.referrals.model import Clock, Crisis, NextStep, Referral, Task
from service.values import Id

ALL_STAFF = 500
"""As many workers of an agency as a list to choose from shows."""
OF_A_CRISIS = frozenset({"acknowledge", "safety-plan", "report", "stand-down"})


class Names(msgspec.Struct, frozen=True):
    """Whom and what cases name; persons as far as row security shows them."""

    organizations: Mapping[Id, Organization]
    workers: Mapping[Id, Worker]
    regions: Mapping[str, Region]
    patients: Mapping[Id, Patient]


class Page(msgspec.Struct, frozen=True):
    """One page of cases. `after` continues behind it; `steps`: what each of them waits for, by share."""

    rows: tuple[Listed, ...]
    steps: Mapping[Id, NextStep]
    names: Names
    after: tuple[datetime | None, Id] | None


async def cases(session: Session, actor: Actor, wanted: Wanted, now: datetime, *, ended: bool = False) -> Page:
    """An agency's cases, what is due soonest first, or those that have ended, the last first. Forbidden for others."""
    steps.only(actor, "agency")
    asked = msgspec.structs.replace(wanted, agency=actor.organization, reader=actor.worker, limit=wanted.limit + 1)
    found = await store.page(session, asked, now, ended=ended)
    rows = tuple(found[: wanted.limit])
    last = rows[-1] if len(found) > wanted.limit else None
    after = None
    if last:
        after = (last.case.closed_at, last.case.id) if ended else (last.share.due_at, last.share.id)
    owed = {row.share.id: step for row in rows if (step := _step(row.share, row.referral, now, session.practice))}
    session.referrals.update(row.case.referral for row in rows)
    people = {row.case.worker for row in rows} | {row.absent for row in rows} | {actor.worker}
    names = await _names(session, [row.share for row in rows], owed.values(), people)
    me = names.workers.get(actor.worker) if actor.worker else None
    if me and me.stand_in and me.stand_in not in names.workers:
        names = msgspec.structs.replace(
            names, workers={**names.workers, **await directory.workers(session, [me.stand_in])}
        )
    return Page(rows, owed, names, after)


def _step(share: Task, referral: Referral | None, now: datetime, practice: Practice) -> NextStep | None:
    """Who must act next on a case: on a crisis that is up, whoever has it, before everything else."""
    crisis = referral.crisis if referral else None
    if referral is None or crisis is None:
        return settling.step_of(share, now, practice) if share.open else None
    own = crisis.owner == "agency" and share.open and share.accepted_at is not None and share.agency is not None
    who = "agency" if own else "hospital" if crisis.owner == "hospital" else "coordinator"
    organization = share.agency if own and share.agency else referral.hospital if who == "hospital" else PLATFORM
    clock = Clock(int((crisis.by - crisis.at).total_seconds() // 60), crisis.at, crisis.by)
    return NextStep(
        referral.id, referral.hospital, share.agency if own else None, who, organization, None, crisis.waits_for, share.id, crisis.at,
        clocks.warn_at(clock, crisis.at, practice), crisis.by, clocks.confirmed(clock, practice),
    )  # fmt: skip


class View(msgspec.Struct, frozen=True):
    """A case as this reader may see it. `seen`: what of the person and the work (service/consent/tiers.py); `whole`: the file
    is theirs to read and to write, for they have the case, are second on it, or supervise; else what they wrote themselves."""

    file: CaseFile
    share: Task
    step: NextStep | None
    referral: Referral | None
    seen: Seen
    whole: bool
    second: str | None
    absent: Id | None
    until: datetime | None
    names: Names

    @property
    def crisis(self) -> Crisis | None:
        """The crisis that is up, where the agency may know of it."""
        return self.referral.crisis if self.referral else None

    @property
    def person(self) -> Patient | None:
        """Whom it is about, where the reader may know."""
        return self.names.patients.get(self.share.patient) if self.share.patient and "name" in self.seen else None


async def view(session: Session, actor: Actor, task: Id, now: datetime) -> View:
    """One case of the actor's agency. NotFound for everybody else."""
    steps.only(actor, "agency")
    share = await referrals.task(session, task)
    if share is None or share.kind != "share" or share.agency != actor.organization:
        raise NotFound(steps.CANNOT_TELL)
    case = await cases_of.case_of(session, task)
    if case is None:
        raise NotFound(steps.CANNOT_TELL)
    if case.patient:
        session.patients.add(case.patient)
    file = await files_of.look(session, case, share.needs, now)
    part = await store.part(session, task, actor.worker, now)
    referral = await referrals.referral(session, share.referral)
    step = _step(share, referral, now, session.practice)
    whole = (
        actor.role == "supervisor"
        or actor.kind != "person"
        or (actor.worker is not None and (actor.worker == file.case.worker or part.second is not None))
    )
    session.referrals.add(share.referral)
    people = {file.case.worker, part.absent, actor.worker} | {each.worker for each in file.interventions}
    people |= {each.supervisor for each in file.approvals} | {each.approved_by for each in file.steps}
    return View(
        file, share, step, referral, _seen(actor, share), whole, part.second, part.absent, part.until,
        await _names(session, [share], [step] if step else [], people),
    )  # fmt: skip


def _seen(actor: Actor, share: Task) -> Seen:
    """What this reader may read, by the table. What a consent leaves out of the hospital's papers is no part of these pages."""
    role: tiers.Role = "supervisor" if actor.role == "supervisor" else "social_worker"
    stage: Stage = "ended" if not share.open else "disclosed" if share.patient else "accepted"
    return tiers.readable(role, stage, safety=share.safety)


async def _names(
    session: Session, shares: Sequence[Task], waits: Collection[NextStep], people: set[Id | None]
) -> Names:
    """Everything that these shares and steps name, each kind in one question."""
    persons = sorted({share.patient for share in shares if share.patient})
    known = {each.id: each for each in await patients.get_many(session, persons)} if persons else {}
    session.patients.update(known)
    wanted = {share.hospital for share in shares} | {share.agency for share in shares} | {s.organization for s in waits}
    return Names(
        await directory.organizations(session, filter(None, wanted)),
        await directory.workers(session, sorted(filter(None, people | {step.worker for step in waits}))),
        await directory.regions(session, [share.region for share in shares if share.region]),
        known,
    )


async def staff(session: Session, actor: Actor) -> list[Worker]:
    """The workers of the actor's agency who are there, by name."""
    found = await directory.list_workers(session, actor.organization, Id(int=0), ALL_STAFF)
    return sorted((each for each in found if each.active), key=lambda each: each.name)


async def notes(
    session: Session, actor: Actor, seen: View, after: tuple[datetime, Id] | None = None, limit: int = 30
) -> tuple[list[Note], tuple[datetime, Id] | None]:
    """What was done in a case, newest first, and where the next page begins; other staff read what they wrote themselves."""
    worker = None if seen.whole else (actor.worker or Id(int=0))
    found = await store.notes(session, seen.share.id, worker, after, limit + 1)
    last = found[limit - 1].work if len(found) > limit else None
    return found[:limit], (last.started_at or last.recorded_at, last.id) if last else None


async def note(session: Session, actor: Actor, seen: View, id: Id) -> Note:
    """One thing that was done. NotFound for what is not the reader's to see."""
    found = await store.note(session, seen.share.id, id)
    if found is None or not (seen.whole or (actor.worker and found.work.worker == actor.worker)):
        raise NotFound(steps.CANNOT_TELL)
    return found


async def papers(session: Session, actor: Actor, seen: View, *types: str) -> list[Record]:
    """What the agency wrote in a case, of these types; for whom the whole file is."""
    return await store.papers(session, seen.share.id, actor.organization, types) if seen.whole else []


async def messages(session: Session, seen: View) -> list[Record]:
    """What agency and hospital said to each other about the share, the newest first."""
    return await store.messages(session, seen.share.id) if seen.whole else []


async def files(session: Session, seen: View, contexts: Sequence[Id]) -> list[Attachment]:
    """The files that belong to these papers of the case."""
    return await store.files(session, contexts) if seen.whole else []
