"""Time in two keystrokes: what, and how many minutes; with or without a case; and how much of it was administration."""

from datetime import date, datetime, timedelta

import msgspec

from service import codes
from service.access.model import Actor
from service.casework import store as cases
from service.casework import time_store as store
from service.casework import timekeeping as rules
from service.casework.timekeeping import NewTime, Ratio, Spent, TimeEntry
from service.db import Session
from service.directory import steps as directory
from service.errors import Conflict, Forbidden, Invalid, Issue, NotFound
from service.referrals import steps
from service.referrals import store as referrals
from service.referrals.model import Task
from service.values import Id, days, local_day, new_id


class Written(msgspec.Struct, frozen=True):
    """An entry, and what whoever wrote it should look at again."""

    entry: TimeEntry
    warnings: tuple[Issue, ...] = ()


class Measured(msgspec.Struct, frozen=True):
    """Ratios by worker, over days of which both count, and of the agency as a whole."""

    first: date
    last: date
    threshold: float
    workers: tuple[Ratio, ...]
    whole: Ratio


async def record(session: Session, actor: Actor, new: NewTime, now: datetime, replaces: Id | None = None) -> Written:
    """Write down time; `replaces` corrects an entry of one's own. Raises Invalid with every fault.

    An intervention's own minutes count as professional time by themselves. An entry for it names it: its minutes then
    stand in place of the intervention's, so that time counts once.
    """
    steps.only(actor, "agency")
    issues = rules.faults(new, now, timedelta(minutes=session.practice.time_back.minutes))
    if issues:
        raise Invalid("This time cannot be written down so.", issues=issues)
    task = await _task(session, actor, new.task) if new.task else None
    worker = await _worker(session, actor, new, task)
    old = await _take_back(session, actor, replaces, now) if replaces else None
    if old is not None and old.task != new.task:
        raise Invalid("A correction stays with the case of the entry that it corrects.", at="entry", code="value")
    if new.procedure is not None:
        await _in_place_of(session, actor, new.procedure, task)
    entry = TimeEntry(
        new_id(), actor.organization, worker, new.activity, new.activity in codes.ADMINISTRATIVE, new.minutes, new.at, now, actor.id,
        task=task.id if task else None, referral=task.referral if task else None, procedure=new.procedure, replaces=replaces,
    )  # fmt: skip
    await store.add(session, entry)
    return Written(entry, await _warnings(session, entry))


async def void(session: Session, actor: Actor, id: Id, now: datetime) -> TimeEntry:
    """Take an entry of one's own back: it counts nowhere, and stays to be seen."""
    steps.only(actor, "agency")
    return await _take_back(session, actor, id, now)


async def of_task(session: Session, actor: Actor, task: Id) -> list[TimeEntry]:
    """All entries for a share or follow-up of one's agency, void ones too."""
    steps.only(actor, "agency")
    await _task(session, actor, task)
    return await store.of_task(session, task)


async def measured(session: Session, actor: Actor, first: date, last: date, worker: Id | None) -> Measured:
    """How much of each worker's time was administration (行政化占比), the agency's own to know. The same days give the same
    figures as long as nobody corrects what is in them; `spent` lists what they are made of."""
    agency = _agency(actor)
    threshold = session.practice.administrative_share
    found = await store.ratios(session, agency, days(first, last), worker)
    judged = tuple(rules.judged(each, threshold) for each in found)
    whole = Ratio(None, sum(each.professional for each in judged), sum(each.administrative for each in judged))
    return Measured(first, last, threshold, judged, rules.judged(whole, threshold))


async def spent(
    session: Session, actor: Actor, first: date, last: date, worker: Id | None, after: Id | None, limit: int = 200
) -> list[Spent]:
    """What the ratios are made of: entries, and the minutes of interventions in whose place none stands."""
    return await store.spent(session, _agency(actor), days(first, last), worker, after, limit)


def _agency(actor: Actor) -> Id:
    steps.only(actor, "agency")
    return actor.organization


async def _task(session: Session, actor: Actor, id: Id) -> Task:
    found = await referrals.task(session, id)
    if found is None or found.agency != actor.organization:
        raise NotFound(steps.CANNOT_TELL)
    if found.kind == "share" and found.accepted_at is None:
        raise Invalid("Time is written down for what the agency has accepted.", at="id", key="not-accepted")
    session.referrals.add(found.referral)
    return found


async def _worker(session: Session, actor: Actor, new: NewTime, task: Task | None) -> Id:
    """A person writes down their own time; the agency's program says whose it is, else the Task's worker's."""
    if actor.worker is not None and new.worker in (None, actor.worker):
        return actor.worker
    if actor.kind == "person":
        raise Forbidden("Everybody writes down their own time.", key="own-time-only")
    worker = new.worker or (task.worker if task else None)
    if worker is None:
        raise Invalid("Say whose time it was.", at="worker", code="required")
    if not await directory.works_for(session, worker, actor.organization):
        raise Invalid("This is no worker of this agency.", at="worker", key="foreign-worker")
    return worker


async def _take_back(session: Session, actor: Actor, id: Id, now: datetime) -> TimeEntry:
    found = await store.entry(session, id)
    if found is None or found.agency != actor.organization:
        raise NotFound("There is no such entry, or it is not yours.", at="entry")
    if actor.kind == "person" and found.worker != actor.worker:
        raise Forbidden("Everybody corrects their own time.", key="own-time-only")
    if not await store.void(session, id, now):
        raise Conflict("This entry was corrected or taken back before.", at="entry", key="void")
    return msgspec.structs.replace(found, voided_at=now)


async def _in_place_of(session: Session, actor: Actor, procedure: Id, task: Task | None) -> None:
    found = await cases.intervention(session, procedure)
    if found is None or found.agency != actor.organization or task is None or found.task != task.id:
        raise Invalid("This is no intervention of this case.", at="procedure", code="not-found")
    if await store.taken(session, procedure):
        raise Conflict("The time of this intervention is written down already.", at="procedure", key="duplicate")


async def _warnings(session: Session, entry: TimeEntry) -> tuple[Issue, ...]:
    """Time that is in an intervention already would count twice."""
    if entry.task is None or entry.administrative or entry.procedure is not None:
        return ()
    day = local_day(entry.at)
    twin = await store.alike(session, entry.task, entry.worker, entry.minutes, days(day, day))
    if twin is None:
        return ()
    return (
        Issue(
            f"Procedure/{twin} has as many minutes on that day, which count by themselves: if it is the same time, correct this "
            "entry and name it as `procedure`.", "procedure", "duplicate", "warning",
        ),
    )  # fmt: skip
