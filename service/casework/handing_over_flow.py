"""Leave or sickness: all that a person has open goes to a named colleague in one act, and comes back when they do."""

from collections.abc import Collection
from datetime import datetime

import msgspec

from service import codes, events
from service.access.model import Actor
from service.casework import handing_over as rules
from service.casework import handing_over_store as store
from service.casework.handing_over import Handing, HandOver, Item, Moved, NewHandOver
from service.consent import conflicts
from service.db import Session, as_platform, savepoint
from service.directory import store as directory
from service.directory.model import Worker
from service.errors import Conflict, Forbidden, Invalid, Issue, NotFound, Refusal, Stale
from service.referrals import steps
from service.referrals import store as referrals
from service.referrals.model import Task
from service.values import Id, local_day, new_id

MAY = frozenset({"agency", "supervisor", "platform", "coordinator"})
"""Roles that hand a person's work over: the agency's program, its supervisor, the coordinator."""


async def hand_over(
    session: Session, actor: Actor, new: NewHandOver, now: datetime, *, dry_run: bool = False
) -> Handing:
    """Give everything open that names a person to a licensed colleague: shares, follow-ups, duties, their cases and next steps,
    and co-work. At once, or by itself when `starts_at` has come; what is still open goes back at `ends_at`.

    All of it or nothing: raises Invalid `cannot-take` with an issue for each thing that the colleague cannot take. `dry_run`
    changes nothing, and answers with what would be moved and what would be refused.
    """
    absent = await _staff(session, actor, new.absent)
    it = _planned(new, absent, actor, now)
    async with as_platform(session, "hand over a person's work"):
        if not dry_run:
            await _once(session, absent.id)
        if it.starts_at > now:
            return await _plan(session, it, absent, now, dry_run=dry_run)
        if dry_run:
            items = await store.items(session, absent.id, now)
            refused = await _refused(session, it, absent, items, now)
            return Handing(it, _touched(session, items), refused)
        return await _begin(session, actor, it, now)


async def come_back(session: Session, actor: Actor, absent: Id, now: datetime) -> HandOver:
    """The person is back before the end, or where no end was said: what is still open and still with the colleague goes back.
    A hand-over that has not begun is called off."""
    worker = await _staff(session, actor, absent)
    async with as_platform(session, "give a person's work back"):
        it = await store.current(session, worker.id)
        if it is None:
            raise Conflict("Nothing of this person is handed over now.", key="not-handed-over")
        return await _end(session, actor, it, now)


async def hand_overs(session: Session, actor: Actor, absent: Id) -> list[HandOver]:
    """A person's last hand-overs, newest first, for their agency."""
    await _staff(session, actor, absent)
    return await store.latest(session, absent)


class Staff(msgspec.Struct, frozen=True):
    """Whose work may be handed over and to whom: everybody of an agency, and its last hand-overs, newest first."""

    workers: tuple[Worker, ...]
    hand_overs: tuple[HandOver, ...]
    able: frozenset[Id]
    """Who may take work over today."""


async def staff(session: Session, actor: Actor, now: datetime, limit: int = 50) -> Staff:
    """The staff of the supervisor's agency, with its last hand-overs."""
    if actor.side != "agency" or actor.role not in MAY:
        raise Forbidden("Work is handed over by the agency, its supervisor or the coordinator.", key="wrong-actor")
    found = await directory.list_workers(session, actor.organization, Id(int=0), 1000)
    able = {each.id for each in found if each.away_since is None and rules.licensed(each, local_day(now))}
    kept = await store.of_agency(session, actor.organization, limit)
    return Staff(tuple(each for each in found if each.active or each.away_since), tuple(kept), frozenset(able))


async def caseload(session: Session, actor: Actor, worker: Id, now: datetime) -> tuple[Item, ...]:
    """Everything open that names a worker, for their agency: their own Tasks, and those on which they are second."""
    await _own(session, actor, worker)
    return _touched(session, await store.items(session, worker, now))


async def due(session: Session, actor: Actor, now: datetime) -> int:
    """Begin or end one hand-over whose time has come; how many. One that cannot begin is left as stuck, with the reason: the
    agency finds it there, and the work is where it was."""
    it = await store.due(session, now)
    if it is None:
        return 0
    if it.state == "in-force":
        await _end(session, actor, it, now)
        return 1
    if it.ends_at is not None and it.ends_at <= now:
        # Nobody ran while it should have been in force.
        await store.save(session, msgspec.structs.replace(it, state="called-off", ended_at=now))
        return 1
    try:
        async with savepoint(session):
            await _begin(session, actor, it, now)
    except Refusal as refusal:
        await store.save(session, msgspec.structs.replace(it, state="stuck", why=refusal.key or "cannot-take"))
    return 1


def _planned(new: NewHandOver, absent: Worker, actor: Actor, now: datetime) -> HandOver:
    if not codes.known(codes.ABSENCE_REASON, new.reason):
        raise Invalid(f"The reason needs a code of {codes.ABSENCE_REASON}.", at="reason", code="code-invalid")
    starts = max(new.starts_at or now, now)
    if new.ends_at is not None and new.ends_at <= starts:
        raise Invalid("A hand-over ends after it begins, and not in the past.", at="period.end", code="value")
    return HandOver(
        new_id(), absent.agency, absent.id, new.colleague, new.reason, starts, new.ends_at, "planned", actor.id, now
    )


async def _staff(session: Session, actor: Actor, worker: Id) -> Worker:
    found = await _own(session, actor, worker)
    if actor.role not in MAY:
        raise Forbidden("Work is handed over by the agency, its supervisor or the coordinator.", key="wrong-actor")
    return found


async def _own(session: Session, actor: Actor, worker: Id) -> Worker:
    found = await directory.worker(session, worker)
    if found is None:
        raise NotFound("There is no such worker.")
    if actor.side != "platform" and actor.organization != found.agency:
        raise Forbidden("Whose work somebody has is their own agency's to know.", key="own-staff-only")
    return found


async def _once(session: Session, absent: Id) -> None:
    if await store.current(session, absent) is not None:
        raise Conflict("This person's work is handed over already, or will be: end that first.", key="handed-over")


async def _plan(session: Session, it: HandOver, absent: Worker, now: datetime, *, dry_run: bool) -> Handing:
    """To begin by itself: whom it goes to has to be fit on that day; what it moves is what is open then."""
    items = await store.items(session, absent.id, now)
    refused = await _refused(session, it, absent, items, it.starts_at)
    if refused and not dry_run:
        raise _cannot(refused)
    if not dry_run:
        await store.save(session, it)
    return Handing(it, _touched(session, items), refused)


async def _refused(
    session: Session, it: HandOver, absent: Worker, items: Collection[Item], at: datetime
) -> tuple[Issue, ...]:
    colleague = await directory.worker(session, it.colleague)
    unfit = rules.fits(colleague, absent, local_day(at))
    if unfit:
        return (unfit,)
    # Only where the agency knows who the person is: a refusal must not tell it.
    known = {item.task.referral: item.task.patient for item in items if item.task.patient}
    since = await store.placed(session, list(known))
    placed = {referral: (patient, since[referral]) for referral, patient in known.items()}
    return rules.conflicts(list(items), await conflicts.of_worker(session, it.agency, it.colleague, placed))


def _cannot(refused: tuple[Issue, ...]) -> Invalid:
    return Invalid("The colleague cannot take this over; nothing was moved.", issues=refused, key="cannot-take")


def _touched(session: Session, items: Collection[Item]) -> tuple[Item, ...]:
    session.referrals.update(item.task.referral for item in items)
    session.patients.update(item.task.patient for item in items if item.task.patient)
    return tuple(items)


async def _locked(session: Session, absent: Id, colleague: Id, now: datetime) -> list[Item]:
    """All that names the person, with nobody else able to move any of it, or to name them for more."""
    held = await store.referrals_of(session, absent, now)
    await referrals.lock_many(session, sorted(held))
    await directory.lock_workers(session, [absent, colleague])
    # Whoever named them until then has committed: what that added is locked too.
    late = await store.referrals_of(session, absent, now) - held
    if late:
        await referrals.lock_many(session, sorted(late))
    return await store.items(session, absent, now)


async def _begin(session: Session, actor: Actor, it: HandOver, now: datetime) -> Handing:
    items = await _locked(session, it.absent, it.colleague, now)
    absent = await directory.worker(session, it.absent)
    assert absent is not None
    refused = await _refused(session, it, absent, items, now)
    if refused:
        raise _cannot(refused)
    own = [item.task for item in items if item.co_work is None]
    second = [item for item in items if item.co_work is not None]
    given = rules.given(own, it.colleague, now)
    ids = [task.id for task in own]
    await _save(session, given)
    await store.move(session, own, it.colleague, now)
    await store.end_own_co_work(session, it.colleague, ids, now)
    engaged = await store.engaged(session, it.colleague, [item.task.id for item in second], now)
    made, replaced = rules.seconded(second, it.colleague, engaged, now)
    await store.end_co_work(session, [item.co_work.id for item in second if item.co_work], now)
    await store.move_second(session, [m.was for m in replaced if m.was], [m.now for m in replaced], it.colleague, now)
    await store.add_co_work(session, made)
    await directory.set_away(session, it.absent, now, it.colleague, now)
    await store.stand_in_for(session, it.absent, it.colleague, now)
    it = msgspec.structs.replace(it, state="in-force", starts_at=now, moved=len(items))
    await store.save(session, it)
    await store.keep(session, it, [*(Moved(id) for id in ids), *replaced])
    told = rules.news("hand-over", given, actor, now, frm=it.absent, to=it.colleague, hand_over=it.id)
    told += rules.news(
        "hand-over", [item.task for item in second], actor, now, frm=it.absent, to=it.colleague, hand_over=it.id, second=True
    )  # fmt: skip
    await events.append_each(session, told)
    await _opened(session, actor, given, now)
    return Handing(it, _touched(session, items))


async def _opened(session: Session, actor: Actor, given: list[Task], now: datetime) -> None:
    """Where the one before had a conflict of interest, the agency waited for another worker: identity follows, a turn each."""
    for task in given:
        if "worker" in task.clocks:
            async with steps.on_referral(session, actor, task.referral, now, task.id) as moving:
                moving.tell("assign", moving.share)


async def _end(session: Session, actor: Actor, it: HandOver, now: datetime) -> HandOver:
    """Give back what can be given back. Who cannot take it (no longer licensed, or in service) gets nothing: it is kept
    where it is, so that nothing is left without an owner."""
    if it.state == "planned":
        called_off = msgspec.structs.replace(it, state="called-off", ended_at=now)
        await store.save(session, called_off)
        return called_off
    held = await store.held_referrals(session, it.id)
    await referrals.lock_many(session, sorted(held))
    await directory.lock_workers(session, [it.absent])
    absent = await directory.worker(session, it.absent)
    assert absent is not None
    if not rules.licensed(absent, local_day(now)):
        kept = msgspec.structs.replace(it, state="kept", ended_at=now)
        await store.save(session, kept)
        return kept
    own, second = await store.still_open(session, it.id, now)
    given = rules.given(own, it.absent, now)
    await _save(session, given)
    await store.move(session, own, it.absent, it.starts_at)
    await store.end_own_co_work(session, it.absent, [task.id for task in own], now)
    known = await store.co_work(session, [id for _, moved in second for id in (moved.was, moved.now) if id])
    made = [rules.again(known, moved, now) for _, moved in second]
    await store.end_co_work(session, [moved.now for _, moved in second if moved.now], now)
    await store.add_co_work(session, made)
    swapped = [(moved.now, new.id) for (_, moved), new in zip(second, made, strict=True) if moved.now]
    await store.move_second(session, [was for was, _ in swapped], [new for _, new in swapped], it.absent, it.starts_at)
    await directory.set_away(session, it.absent, None, None, now)
    ended = msgspec.structs.replace(it, state="ended", ended_at=now, given_back=len(own) + len(second))
    await store.save(session, ended)
    told = rules.news("hand-back", given, actor, now, frm=it.colleague, to=it.absent, hand_over=it.id)
    told += rules.news(
        "hand-back", [task for task, _ in second], actor, now, frm=it.colleague, to=it.absent, hand_over=it.id, second=True
    )  # fmt: skip
    await events.append_each(session, told)
    session.patients.update(task.patient for task in (*own, *(t for t, _ in second)) if task.patient)
    return ended


async def _save(session: Session, given: list[Task]) -> None:
    if not await referrals.save_tasks(session, given):
        raise Stale("A Task was changed by somebody else meanwhile; try again.")
