"""The call list and the call: whom to reach today, how safely, what happened so far, and when to try again."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from service import codes
from service.access.model import Actor
from service.db import Session
from service.directory import steps as staff
from service.directory import store as directory
from service.directory.model import Organization, Region, Worker
from service.errors import Forbidden, Invalid, NotFound
from service.followup import agenda_store, reaching
from service.followup import steps as ours
from service.followup import store as attempts
from service.followup.agenda_store import Place, Tried
from service.followup.model import Attempt
from service.followup.reaching import Reach
from service.patients import store as patients
from service.patients.model import Patient
from service.practice import Practice
from service.referrals import contact_flow, flow, ladder, steps, store
from service.referrals.model import Loop, Referral, Task
from service.safety.contact import ANY, ContactRules, forbids, on_referral
from service.values import Id, days, local_day

FIRST: Place = (datetime.min.replace(tzinfo=UTC), UUID(int=0))
LATEST = 30
"""How much of what was done today is shown."""
HOLIDAYS = timedelta(days=14)
"""How much longer a window of working days may be than its days: the longest holidays, and a weekend at each end."""
PLANNED_BEYOND = timedelta(days=14)
"""How far ahead an attempt may be planned where the window has closed (D)."""


class Call(msgspec.Struct, frozen=True):
    """A follow-up as a row shows it; `person` only where the reader may know them. `said` are the rules of safe contact."""

    task: Task
    person: Patient | None
    rules: ContactRules
    tried: Tried | None = None
    done: Attempt | None = None


class Names(msgspec.Struct, frozen=True):
    """Whom rows name."""

    organizations: dict[Id, Organization]
    workers: dict[Id, Worker]
    regions: dict[str, Region]


class Agenda(msgspec.Struct, frozen=True):
    """One page of the list: whose window is open (late first), then what comes. `after` and `coming_after` continue each."""

    open: tuple[Call, ...]
    coming: tuple[Call, ...]
    done: tuple[Call, ...]
    new_needs: tuple[Call, ...]
    names: Names
    after: Place | None
    coming_after: Place | None


def widest(practice: Practice, now: datetime) -> datetime:
    """When the last window that is open by now closes at the latest."""
    spans = [timedelta(days=each.closes - each.opens + 1) + (HOLIDAYS if each.working else timedelta()) for each in practice.follow_up]  # fmt: skip
    return now + max(spans, default=timedelta()) + timedelta(days=1)


async def agenda(
    session: Session, actor: Actor, now: datetime, *, mine: bool = False, after: Place | None = None,
    coming_after: Place | None = None, limit: int = 50,
) -> Agenda:  # fmt: skip
    """Whom to reach: the follow-ups of the actor's organisation, or (`mine`) those that name the actor.

    The coming ones are looked for behind the open ones, so they are on the last page of those, and on pages of their own.
    """
    side = _side(actor)
    worker = actor.worker if mine else None
    _, tomorrow = days(local_day(now), local_day(now))
    bounds: dict[str, Any] = {"tomorrow": tomorrow, "widest": widest(session.practice, tomorrow)}
    open: list[Task] = []
    if coming_after is None:
        open = await agenda_store.page(
            session, side, actor.organization, worker, after or FIRST, limit + 1, open=True, **bounds
        )
    coming: list[Task] = []
    if len(open) <= limit:
        coming = await agenda_store.page(
            session, side, actor.organization, worker, coming_after or FIRST, limit + 1, open=False, **bounds
        )
    first = after is None and coming_after is None
    since, _ = days(local_day(now), local_day(now))
    done = await agenda_store.done(session, actor.organization, worker, since, LATEST) if first else []
    owed = await agenda_store.new_needs(session, actor.organization, limit) if first and side == "hospital" else []
    shown = [*open[:limit], *coming[:limit], *(task for task, _ in done), *owed]
    persons, rules = await _about(session, shown)
    tried = await agenda_store.tried(session, [task.id for task in shown])
    session.referrals.update(task.referral for task in shown)

    def row(task: Task, last: Attempt | None = None) -> Call:
        person = persons.get(task.patient) if task.patient else None
        return Call(
            task, person, _held(task, rules.get(task.patient) if task.patient else None), tried.get(task.id), last
        )

    return Agenda(
        open=tuple(row(task) for task in open[:limit]),
        coming=tuple(row(task) for task in coming[:limit]),
        done=tuple(row(task, last) for task, last in done),
        new_needs=tuple(row(task) for task in owed),
        names=await _names(session, shown, [last.worker for _, last in done]),
        after=_place(open, limit),
        coming_after=_place(coming, limit),
    )


def _side(actor: Actor) -> str:
    if actor.side not in ("agency", "hospital"):
        raise Forbidden("Follow-ups are seen to by their owner: an agency, or a hospital.", key="wrong-actor")
    return actor.side


def _place(found: Sequence[Task], limit: int) -> Place | None:
    last = found[limit - 1] if len(found) > limit else None
    return (last.due_at, last.id) if last and last.due_at else None


def _held(task: Task, said: ContactRules | None) -> ContactRules:
    """The rules as they hold on this follow-up: before disclosure its own word alone is known."""
    return on_referral(said or ANY, task.needs, prohibited=task.contact_prohibited)


async def _about(session: Session, tasks: Iterable[Task]) -> tuple[dict[Id, Patient], dict[Id, ContactRules]]:
    """Whom these are about and how they may be reached, as far as row security shows it."""
    wanted = sorted({task.patient for task in tasks if task.patient})
    if not wanted:
        return {}, {}
    persons = {each.id: each for each in await patients.get_many(session, wanted)}
    session.patients.update(persons)
    said = await contact_flow.known(session, wanted)
    return persons, {id: each.rules for id, each in said.items()}


async def _names(session: Session, tasks: Sequence[Task], workers: Iterable[Id | None] = ()) -> Names:
    asked = {id for task in tasks for id in (task.agency, task.hospital) if id}
    named = {task.worker for task in tasks} | set(workers)
    return Names(
        organizations=await directory.organizations(session, asked),
        workers=await directory.workers(session, filter(None, named)),
        regions=await directory.regions(session, {task.region for task in tasks if task.region}),
    )


class Calling(msgspec.Struct, frozen=True):
    """All that stands on the page of a call. `others` are the referral's follow-ups beside this one; `missing` the rungs that were
    not tried yet; `staff` who may follow up or say that somebody is lost; `next` the follow-up to go on with."""

    task: Task
    person: Patient | None
    referral: Referral | None
    share: Task | None
    reach: Reach
    attempts: tuple[Attempt, ...]
    others: tuple[Task, ...]
    events: tuple[dict[str, Any], ...]
    missing: tuple[str, ...]
    staff: tuple[Worker, ...]
    names: Names
    agency_phone: str | None
    next: Id | None


async def calling(session: Session, actor: Actor, id: Id, now: datetime, *, mine: bool = False) -> Calling:
    """One follow-up with everything that whoever calls must know first. NotFound where it is not the actor's organisation's own."""
    side = _side(actor)
    task = await store.task(session, id)
    if task is None or task.kind != "follow-up" or actor.organization != (task.agency or task.hospital):
        raise NotFound("There is no such follow-up, or it is not yours to see.")
    session.referrals.add(task.referral)
    persons, said = await _about(session, [task])
    person = persons.get(task.patient) if task.patient else None
    referral = await store.referral(session, task.referral)
    rules = _held(task, said.get(task.patient) if task.patient else None)
    made = await attempts.of_referral(session, task.referral)
    others = [each for each in await agenda_store.of_referral(session, task.referral) if each.id != id]
    members = await directory.list_workers(session, actor.organization, UUID(int=0), 500) if side == "agency" else []
    today = local_day(now)
    licensed = tuple(
        each for each in members
        if each.active and each.grade and each.away_since is None
        and each.licensed_from is not None and each.licensed_from <= today and (each.licensed_to is None or each.licensed_to >= today)
    )  # fmt: skip
    names = await _names(session, [task, *others], [each.worker for each in made])
    own = names.organizations.get(actor.organization)
    return Calling(
        task=task,
        person=person,
        referral=referral,
        share=await store.own_share(session, task.referral, actor.organization) if side == "agency" else None,
        reach=reaching.reach(rules, person, task.needs, now, deceased=bool(referral and referral.deceased)),
        attempts=tuple(made),
        others=tuple(each for each in others if (each.agency or each.hospital) == actor.organization),
        events=await flow.events_for(session, actor, task.referral),
        missing=reaching.missing(made, rules, session.practice),
        staff=licensed,
        names=names,
        agency_phone=own.phone if own else None,
        next=await _next(session, actor, side, task, now, mine=mine),
    )


async def _next(session: Session, actor: Actor, side: str, task: Task, now: datetime, *, mine: bool) -> Id | None:
    """Whom to call after this one: the next whose window is open, from the beginning again behind the last."""
    _, tomorrow = days(local_day(now), local_day(now))
    worker = actor.worker if mine else None
    here: Place = (task.due_at or FIRST[0], task.id)
    for after in (here, FIRST):
        found = await agenda_store.page(
            session, side, actor.organization, worker, after, 2, open=True, tomorrow=tomorrow,
            widest=widest(session.practice, tomorrow),
        )  # fmt: skip
        for each in found:
            if each.id != task.id:
                return each.id
    return None


async def plan_attempt(session: Session, actor: Actor, task: Id, channel: str, at: datetime, now: datetime) -> Loop:
    """Try again then and so, in place of what was proposed: within the window while it lasts, and never by a way or at an hour
    that is not safe. The same again changes nothing."""
    async with steps.turn(session, actor, task, now) as moving:
        mine = ours.own(moving, task)
        ours.still_open(mine)
        told = mine.follow_up
        assert told is not None and mine.window_to is not None
        if channel not in reaching.WAYS or not codes.known(codes.CHANNEL, channel):
            raise Invalid(f"The channel needs a code of {codes.CHANNEL}.", at="channel", code="code-invalid")
        if at < now - timedelta(minutes=5):
            raise Invalid("The next attempt lies ahead.", at="at", key="attempt-in-the-past")
        until = mine.window_to if mine.window_to > now else now + PLANNED_BEYOND
        if at > until:
            raise Invalid("The next attempt lies within the window.", at="at", key="after-window")
        rules = await contact_flow.rules_on(session, moving.loop.referral)
        if moving.loop.referral.deceased:
            raise Invalid("The person has died: nobody calls any more.", at="at", key="deceased")
        if broken := forbids(rules, channel, at):
            raise Invalid(f"This would not be safe: {broken}.", at="at", key="unsafe-attempt")
        wanted = ladder.proposing(told, (at, channel))
        if wanted == told:
            return moving.loop
        planned = msgspec.structs.replace(mine, follow_up=wanted, updated_at=now)
        moving.loop = moving.loop.with_follow_up(planned)
        moving.tell("plan-attempt", planned)
    return moving.loop


async def supervises(session: Session, actor: Actor, now: datetime) -> bool:
    """Whether the actor is a licensed supervisor of their agency today."""
    return actor.worker is not None and actor.worker in await staff.supervisors(
        session, actor.organization, local_day(now)
    )
