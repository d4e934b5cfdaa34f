"""For when the service is away: lists made every hour, and what was done meanwhile, entered afterwards with its true times."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from service.access.model import Actor
from service.casework import downtime, downtime_store
from service.casework.downtime import Entry, Line
from service.casework.downtime_store import Made
from service.db import Session, as_organization
from service.directory import store as directory
from service.directory.model import PLACERS, TAKERS, Organization, Worker
from service.errors import Forbidden, Invalid, NotFound
from service.patients import store as patients
from service.patients.model import Patient
from service.referrals import contact_flow, overview_store, settling, steps, store, sweeps
from service.referrals.model import Referral, Task
from service.referrals.overview_flow import FIRST
from service.safety.contact import ContactRules
from service.values import Id, Reason

BATCH = 20
"""For how many organisations one run of the sweep makes lists."""


def slot_of(now: datetime) -> datetime:
    """The full hour that a moment belongs to."""
    return now.replace(minute=0, second=0, microsecond=0)


async def make_due(session: Session, actor: Actor, now: datetime) -> int:
    """A sweep: each organisation's open work as a list of this hour, where it has none yet; for how many one was made.

    What stands in it is read in that organisation's own row scope: nothing can be on paper that its staff may not see."""
    if actor.side != "platform":
        raise Forbidden("Only the platform makes everybody's lists.")
    slot = slot_of(now)
    found = await downtime_store.to_make(session, (*PLACERS, *TAKERS), slot, BATCH)

    async def make(one: tuple[Id, bool]) -> None:
        organization, hospital = one
        async with as_organization(session, organization, "hospital" if hospital else "agency"):
            made = await (_of_hospital if hospital else _of_agency)(session, organization, slot, now)
            await downtime_store.keep(session, organization, slot, now, made)

    return await sweeps.each(session, found, make)


async def _of_agency(session: Session, agency: Id, slot: datetime, now: datetime) -> list[Made]:
    tasks = [task for task in await store.queue(session, agency, None, None, None, downtime.MOST + 1) if downtime.stands(task, now)]  # fmt: skip
    persons, said = await _persons(session, [task.patient for task in tasks if task.patient])
    session.referrals.update(task.referral for task in tasks)
    lines = [
        downtime.of_agency(
            task, settling.step_of(task, now, session.practice) if task.kind != "duty" else None, persons, said, now
        )
        for task in tasks[: downtime.MOST]
    ]
    return [_made(agency, slot, "", now, lines, more=len(tasks) > downtime.MOST)]


async def _of_hospital(session: Session, hospital: Id, slot: datetime, now: datetime) -> list[Made]:
    found = await overview_store.of_hospital(session, hospital, FIRST, downtime.MOST + 1)
    rows = [(each.step, each.referral) for each in found[: downtime.MOST] if each.referral]
    persons, said = await _persons(session, [referral.patient for _, referral in rows])
    session.referrals.update(referral.id for _, referral in rows)
    places = await downtime_store.wards(session, [referral.stay for _, referral in rows if referral.stay])
    wards: dict[str, list[Line]] = {}
    for step, referral in rows:
        ward, bed = places.get(referral.stay, ("", None)) if referral.stay else ("", None)
        wards.setdefault(ward, []).append(downtime.of_hospital(step, referral, bed, persons, said, now))
    more = len(found) > downtime.MOST
    return [_made(hospital, slot, ward, now, lines, more=more) for ward, lines in sorted(wards.items())] or [
        _made(hospital, slot, "", now, [], more=False)
    ]


def _made(organization: Id, slot: datetime, ward: str, now: datetime, lines: Sequence[Line], *, more: bool) -> Made:
    return Made(organization, slot, ward, now, len(lines), more, tuple(lines))


async def _persons(session: Session, wanted: Sequence[Id]) -> tuple[dict[Id, Patient], dict[Id, ContactRules]]:
    if not wanted:
        return {}, {}
    ids = sorted(set(wanted))
    persons = {each.id: each for each in await patients.get_many(session, ids)}
    session.patients.update(persons)
    return persons, {id: each.rules for id, each in (await contact_flow.known(session, ids)).items()}


# ---- reading ---------------------------------------------------------------------------------------------------------


class Lists(msgspec.Struct, frozen=True):
    """The lists of one hour with whom they name, and which hours there are."""

    hours: tuple[Made, ...]
    shown: tuple[Made, ...]
    organizations: dict[Id, Organization]
    workers: dict[Id, Worker]


async def lists(session: Session, actor: Actor, slot: datetime | None = None, ward: str | None = None) -> Lists:
    """The reader's organisation's lists of an hour (else the newest), as they may be shown now: who is no longer disclosed, or must
    no longer be called, is not named any more. NotFound for an hour of which there is none."""
    if actor.side not in ("agency", "hospital"):
        raise Forbidden("A list is its own organisation's.", key="wrong-actor")
    hours = await downtime_store.hours(session, actor.organization)
    if slot is None and hours:
        slot = hours[0].slot
    shown: list[Made] = []
    if slot is not None:
        shown = await downtime_store.lists(session, actor.organization, slot, ward)
        if not shown:
            raise NotFound("There is no list of this hour, or it is not yours to see.")
    return await _named(session, actor.organization, hours, await _still(session, shown))


async def _still(session: Session, shown: Sequence[Made]) -> list[Made]:
    """The lists with what may be shown of them at this moment; of all wards in one question each."""
    every = [line for made in shown for line in made.lines]
    persons, said = await _persons(session, [line.patient for line in every if line.patient])
    session.referrals.update(line.referral for line in every)
    guarded = await downtime_store.prohibited(session, [line.referral for line in every if line.phone])
    return [
        msgspec.structs.replace(
            made, lines=tuple(downtime.still(line, persons, said, line.referral in guarded) for line in made.lines)
        )
        for made in shown
    ]


async def _named(session: Session, organization: Id, hours: Sequence[Made], shown: Sequence[Made]) -> Lists:
    lines = [line for made in shown for line in made.lines]
    return Lists(
        tuple(hours),
        tuple(shown),
        await directory.organizations(
            session, {organization, *(line.organization for line in lines if line.organization)}
        ),
        await directory.workers(session, {line.worker for line in lines if line.worker}),
    )


async def newest(session: Session) -> list[tuple[Id, datetime]]:
    """Of every organisation the hour of its newest list; for who writes them into files."""
    return await downtime_store.newest(session)


async def written(session: Session, organization: Id, slot: datetime) -> Lists:
    """An organisation's lists of an hour as they were made, for a file on its own disk."""
    found = await downtime_store.lists(session, organization, slot, None)
    session.referrals.update(line.referral for made in found for line in made.lines)
    session.patients.update(line.patient for made in found for line in made.lines if line.patient)
    return await _named(session, organization, (), found)


# ---- afterwards ------------------------------------------------------------------------------------------------------


class Choice(msgspec.Struct, frozen=True):
    """Something that could have been worked on: an agency's Task, or a hospital's follow-up or referral."""

    task: Task | None
    referral: Referral | None
    person: Patient | None


async def choices(session: Session, actor: Actor, now: datetime) -> list[Choice]:
    """What may be named in what is entered afterwards: the reader's open work."""
    if actor.side == "agency":
        tasks = [task for task in await store.queue(session, actor.organization, None, None, None, downtime.MOST) if task.kind != "duty"]  # fmt: skip
        tasks = [task for task in tasks if task.kind == "share" or downtime.stands(task, now)]
        persons, _ = await _persons(session, [task.patient for task in tasks if task.patient])
        return [Choice(task, None, persons.get(task.patient) if task.patient else None) for task in tasks]
    if actor.side != "hospital":
        raise Forbidden("What was done meanwhile is entered by who did it.", key="wrong-actor")
    own = [task for task in await downtime_store.open_follow_ups(session, actor.organization, downtime.MOST) if downtime.stands(task, now)]  # fmt: skip
    rows = [each.referral for each in await overview_store.of_hospital(session, actor.organization, FIRST, downtime.MOST) if each.referral]  # fmt: skip
    ids = [task.patient for task in own if task.patient] + [referral.patient for referral in rows]
    persons, _ = await _persons(session, ids)
    return [Choice(task, None, persons.get(task.patient) if task.patient else None) for task in own] + [
        Choice(None, referral, persons.get(referral.patient)) for referral in rows
    ]


async def entering(session: Session, actor: Actor, about: Id, what: str, performed: datetime, now: datetime) -> Task:
    """The Task that a row is about, where what it says of the past may be. A hospital's note names the referral: its parent Task."""
    if what not in downtime.WHATS:
        raise Invalid("Say what was done.", at="what", key="entry-other-kind")
    task = await store.task(session, about)
    if task is None:
        referral = await store.referral(session, about) if actor.side == "hospital" else None
        task = await store.task(session, referral.parent) if referral else None
    if task is None:
        raise NotFound("There is no such Task, or it is not yours to see.")
    downtime.may_be_entered(what, task, performed, now)
    return task


async def entered(
    session: Session, actor: Actor, task: Task, what: str, performed: datetime, why: str, now: datetime
) -> None:
    """Say in the referral's story that it was recorded now and done then."""
    async with steps.on_referral(session, actor, task.referral, now) as moving:
        about = next((each for each in moving.loop.tasks if each.id == task.id), None)
        moving.tell(
            "enter-late", about if about and about.kind != "parent" else None, Reason(None, why), what=what,
            performed=performed.isoformat(),
        )  # fmt: skip


async def keep_entries(
    session: Session, actor: Actor, batch: Id, why: str, entries: Sequence[Entry], now: datetime
) -> None:
    """Keep what was entered, and what was not taken and why."""
    await downtime_store.add_entries(session, actor.organization, actor.id, batch, why, entries, now)


async def entries(session: Session, actor: Actor, batch: Id) -> list[Entry]:
    """What was entered at one time. NotFound where it was not the reader's organisation."""
    found = await downtime_store.entries(session, batch)
    if not found or actor.side == "auditor":
        raise NotFound("There is no such entry, or it is not yours to see.")
    session.referrals.update(each.referral for each in found if each.referral)
    return found


OLD = timedelta(hours=2)
"""After how long the newest list is called old: the worker may be away."""
