"""The turn that every move takes: load the loop under its lock, let the verb decide, then settle, save and tell as one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import msgspec

from service import codes, events
from service.access.model import Actor, clock_actor
from service.consent import conflicts, grounds
from service.consent import store as consents
from service.consent.store import Wanted
from service.db import Session, as_platform
from service.directory import steps as directory
from service.errors import Conflict, Forbidden, Invalid, NotFound, Stale
from service.events import Event
from service.practice import PLATFORM, Limit, Practice
from service.records import store as records
from service.records.model import Record
from service.referrals import lifecycle, settling, store, transitions
from service.referrals.model import Ground, Loop, Receipt, Referral, Task
from service.routing import steps as routing
from service.routing.model import Decision, Need
from service.values import Id, Reason, new_id

ROUTER = clock_actor(PLATFORM)
"""The service itself, where it offers, finds nobody, or ends what another was quicker to take (moves.md: router, system)."""

CANNOT_TELL = "There is no such Task, or it is not yours to see."


class Turn:
    """One move in the making. The verb changes `loop` and says what happened with `tell`; leaving the turn settles and saves."""

    def __init__(
        self, session: Session, actor: Actor, before: Loop | None, loop: Loop, task: Id | None, now: datetime
    ) -> None:
        self.session = session
        self.actor = actor
        self.before = before
        self.loop = loop
        self.now = now
        self.told: list[Event] = []
        self._task = task

    @property
    def practice(self) -> Practice:
        return self.session.practice

    @property
    def share(self) -> Task:
        """The share that this turn is about, as it now stands."""
        assert self._task is not None
        return self.loop.share(self._task)

    def permit(self, action: str, who: str | None = None) -> None:
        """Raise unless the table of moves lets this actor make the move on this turn's share."""
        lifecycle.check(action, self.share, who or lifecycle_side(self.actor))

    def tell(
        self, kind: str, task: Task | None = None, reason: Reason | None = None, *, sealed: bool = False, by: Actor | None = None,
        **data: Any,
    ) -> None:  # fmt: skip
        """Append to what happened; `data` holds codes and ids only. `by` others than the actor: what the service does of itself
        must not tell one agency whose move it follows from."""
        who = by or self.actor
        self.told.append(
            Event(
                new_id(),
                self.loop.referral.id,
                kind,
                self.now,
                who.id,
                who.role,
                who.organization,
                who.name,
                self.loop.referral.hospital,
                task.agency if task else None,
                task.id if task else None,
                None,
                reason.code if reason else None,
                reason.text if reason else None,
                sealed,
                data,
            )
        )


def lifecycle_side(actor: Actor) -> str:
    """The actor's side as the table of moves calls it."""
    if actor.kind == "system":
        return "clock"
    return "coordinator" if actor.side == "platform" else actor.side


@asynccontextmanager
async def turn(session: Session, actor: Actor, task: Id, now: datetime) -> AsyncIterator[Turn]:
    """A move on one Task. The actor's own scope must show it (else NotFound); the move itself is carried as platform."""
    own = await store.task(session, task)
    if own is None:
        if actor.side == "agency" and await store.may_claim(session, task, actor.organization):
            raise Conflict("Another agency has taken this offer.", key="taken")
        raise NotFound(CANNOT_TELL)
    async with on_referral(session, actor, own.referral, now, task) as moving:
        if (
            own.kind == "share"
            and moving.share.agency not in (own.agency, actor.organization)
            and actor.side == "agency"
        ):
            raise Conflict("Another agency has taken this offer.", key="taken")
        yield moving


@asynccontextmanager
async def on_referral(
    session: Session, actor: Actor, referral: Id, now: datetime, task: Id | None = None
) -> AsyncIterator[Turn]:
    """A move on a referral: the one place that carries a share's move to parent, placer, rivals, reservations and next step."""
    async with as_platform(session, "carry a move"):
        if not await store.lock(session, referral):
            raise NotFound("There is no such referral, or it is not yours to see.")
        before = await load(session, referral, now)
        # What the move decides on is what the grounds permit now, not what they permitted when the Tasks were last written.
        moving = Turn(session, actor, before, disclosed(before, now, session.practice), task, now)
        yield moving
        await save(moving)


async def load(session: Session, referral: Id, now: datetime) -> Loop:
    """The whole loop with its grounds of disclosure; the caller holds the lock and the platform's or hospital's scope."""
    loop = await store.load(session, referral)
    if loop is None:
        raise NotFound("There is no such referral, or it is not yours to see.")
    session.patients.add(loop.referral.patient)
    session.referrals.add(referral)
    return await with_grounds(session, loop, now)


async def with_grounds(session: Session, loop: Loop, now: datetime) -> Loop:
    """Work out anew which agencies identity may be disclosed to."""
    found = grounds.permitted(
        await consents.of_patient(session, loop.referral.patient, loop.referral.hospital), loop.referral.id, now
    )
    permitted = {
        agency: Ground(consent.kind, consent.id, consent.valid_to, consent.withheld)
        for agency, consent in found.items()
    }
    conflicted = await conflicts.of(session, loop.referral.patient, loop.parent.authored_at, permitted)
    return msgspec.structs.replace(loop, permitted=permitted, conflicted=conflicted)


def disclosed(loop: Loop, now: datetime, practice: Practice) -> Loop:
    """Every share and follow-up with the person in it where a ground permits it now, and without where none does."""
    for share in loop.shares:
        loop = transitions.disclosed(loop, share, now, practice)
    for task in loop.follow_ups:
        if task.open and task.agency:
            shown = task.agency in loop.permitted and task.worker not in loop.conflicted
            patient = loop.referral.patient if shown else None
            if patient != task.patient:
                loop = loop.with_follow_up(msgspec.structs.replace(task, patient=patient, updated_at=now))
    return loop


async def save(moving: Turn) -> None:
    """Settle the loop, store what changed, open and close disclosures, free places, and append the events."""
    session, now, before = moving.session, moving.now, moving.before
    if not moving.told:
        return
    _tell_disclosure(moving)
    loop = settling.settle(moving.loop, now, session.practice)
    old_tasks = {task.id: task for task in before.tasks} if before else {}
    changed: list[Task] = []
    for task in loop.tasks:
        old = old_tasks.get(task.id)
        if old != task:
            changed.append(_next_version(old, task, now))
    referral = loop.referral
    if before is None:
        assert loop.next is not None
        referral = msgspec.structs.replace(referral, version=1, updated_at=now)
        await store.insert(session, referral, changed, loop.next)
    else:
        referral = await _save_changes(session, before, loop, changed, now)
        await follow_disclosure(session, loop, now)
    freed = [task.id for task in changed if task.kind == "share" and not task.open and task.id in old_tasks]
    if freed:
        await directory.release_places(session, freed)
    versions = {task.id: task.version for task in changed}
    told = [
        msgspec.structs.replace(event, task_version=versions.get(event.task)) if event.task else event
        for event in moving.told
    ]
    await events.append(session, referral.id, told)
    moving.loop = msgspec.structs.replace(loop, referral=referral, parent=_newest(loop.parent, changed),
        shares=tuple(_newest(share, changed) for share in loop.shares), follow_ups=tuple(_newest(task, changed) for task in loop.follow_ups),
        duties=tuple(_newest(task, changed) for task in loop.duties))  # fmt: skip
    moving.before, moving.told = moving.loop, []


async def _save_changes(session: Session, before: Loop, loop: Loop, changed: list[Task], now: datetime) -> Referral:
    """Store what differs from `before`; the referral as it now stands. Raises Stale when another change came first."""
    referral = loop.referral
    if before.referral != referral:
        at = max(now, before.referral.updated_at)
        referral = msgspec.structs.replace(referral, version=before.referral.version + 1, updated_at=at)
        if not await store.save_referral(session, referral, settling.is_open(loop)):
            raise Stale("The referral was changed by somebody else meanwhile; read it again.")
    elif settling.is_open(before) != settling.is_open(loop):
        raise AssertionError("a referral opens or closes only with a new version")
    if not await store.save_tasks(session, changed):
        raise Stale("The Task was changed by somebody else meanwhile; read it again.")
    if loop.next is None:
        await store.no_step(session, referral.id)
    elif loop.next != before.next:
        await store.save_step(session, loop.next)
    return referral


def _next_version(old: Task | None, task: Task, now: datetime) -> Task:
    """The Task's next version, and its filler request's where that shows something else than before."""
    # Who began earlier can have waited for the one who made the version before: no version is older than that one.
    at = max(now, old.updated_at) if old else now
    if task.kind == "share" and (old is None or old.filler_face != task.filler_face):
        task = msgspec.structs.replace(task, filler_version=task.filler_version + 1, filler_at=at)
    return msgspec.structs.replace(task, version=(old.version if old else 0) + 1, updated_at=at)


def _newest(task: Task, changed: list[Task]) -> Task:
    return next((new for new in changed if new.id == task.id), task)


def _tell_disclosure(moving: Turn) -> None:
    """An agency hears of its own Task alone that the person is named in it now, or no longer: not when it accepts, which
    says so itself, but whenever a ground begins or ends to hold afterwards."""
    before = moving.before
    known = {task.id: task for task in (*before.shares, *before.follow_ups)} if before else {}
    by = ROUTER if moving.actor.side == "agency" else None
    for task in (*moving.loop.shares, *moving.loop.follow_ups):
        old = known.get(task.id)
        if (
            old
            and old.agency
            and old.agency == task.agency
            and old.accepted_at
            and bool(old.patient) != bool(task.patient)
        ):
            moving.tell("disclose" if task.patient else "conceal", task, by=by)
        if "worker" in task.clocks and not (old and "worker" in old.clocks):
            # Who is meant by the declaration, and by whom it was made, is told to nobody.
            moving.tell("conflict", task, by=ROUTER)


async def follow_disclosure(session: Session, loop: Loop, now: datetime) -> None:
    """The grant rows follow the loop: an agency sees identity while its share or follow-up is open and a ground permits,
    and the log says on which ground."""
    wanted = {
        task.agency: task.id
        for task in (*loop.follow_ups, *loop.shares)
        if task.agency and task.patient and task.open and task.agency in loop.permitted
    }
    referral = loop.referral
    opening = [
        Wanted(agency, task, ground.kind, ground.id, ground.withheld, ground.until)
        for agency, task in wanted.items()
        if (ground := loop.permitted[agency])
    ]
    await consents.disclose(session, referral.id, referral.patient, referral.hospital, opening, now)


def need_of(loop: Loop, wanted: tuple[str, ...] | None = None) -> Need:
    """What routing asks the directory for; agencies that had a share of it are out."""
    referral = loop.referral
    needs = wanted or referral.needs
    # An agency has one live share of a referral at most, and has had its turn once it had these needs.
    tried = frozenset(
        s.agency
        for s in loop.shares
        if s.agency and (s.open or (s.status != "entered-in-error" and set(s.needs) & set(needs)))
    )
    if referral.passed_on_by:
        tried |= {referral.passed_on_by}
    return Need(
        hospital=referral.hospital, needs=needs, urgency=referral.effective_urgency, region=referral.region, language=referral.language,
        age_band=referral.age_band, safety=codes.is_safety(needs), preferred=referral.preferred, exclude=tried,
    )  # fmt: skip


async def dispatch(moving: Turn, wanted: tuple[str, ...] | None = None) -> Decision:
    """Offer the referral to the next eligible agency, or to all of them where the partnership says broadcast.

    A place is taken with each offer. Nobody eligible: nothing is offered, and settling hands it to the coordinator. The
    decision with every agency's every rule is kept.
    """
    session, now = moving.session, moving.now
    referral = moving.loop.referral
    decision = await routing.route(session, need_of(moving.loop, wanted), referral.id, now)
    await routing.keep(session, referral.id, decision, moving.actor, now)
    offered = False
    chosen = [(each, each.service) for each in decision.offers if each.service is not None]
    for candidate, service in chosen:
        share = transitions.offered(
            referral, candidate.agency, now, session.practice, agreed_reply(candidate.reply_limits, referral.effective_urgency),
            needs=wanted, broadcast=candidate.mode == "broadcast",
        )  # fmt: skip
        if not await directory.take_place(session, service, share.id):
            continue
        moving.loop = moving.loop.with_share(share)
        moving.tell("offer", share, by=ROUTER, rank=candidate.rank, decision=str(decision.id))
        offered = True
        if not share.broadcast:
            break
    if not offered:
        moving.tell("unplaced", by=ROUTER, questions=list(decision.questions), decision=str(decision.id))
    return decision


def agreed_reply(limits: dict[str, Limit] | None, urgency: str) -> Limit | None:
    return limits.get(urgency) if limits else None


async def redispatch(moving: Turn, wanted: tuple[str, ...]) -> None:
    """After a share ended without success: the next agency, unless another offer or share of these needs is still out."""
    if not moving.loop.parent.open:
        return
    if any(share.open and set(share.needs) & set(wanted) for share in moving.loop.shares):
        return
    await dispatch(moving, wanted if wanted != moving.loop.referral.needs else None)


def withdraw_offers(moving: Turn, reason: Reason) -> None:
    """Take back every offer that is still out."""
    for share in moving.loop.shares:
        if share.status == "requested":
            moving.loop = transitions.withdrawn(moving.loop, share, reason, moving.now)
            moving.tell("withdraw", moving.loop.share(share.id), reason)


async def end(moving: Turn, status: str, business_status: str, reason: Reason, kind: str) -> None:
    """End the parent; offers still out are withdrawn. A crisis that is up passes to the coordinator."""
    withdraw_offers(moving, reason)
    loop = without_follow_ups(moving.loop, moving.now)
    parent = msgspec.structs.replace(
        loop.parent,
        status=status,
        business_status=business_status,
        reason=reason,
        ended_at=moving.now,
        updated_at=moving.now,
    )
    moving.loop = to_coordinator(msgspec.structs.replace(loop, parent=parent))
    moving.tell(kind, parent, reason)


def without_follow_ups(loop: Loop, now: datetime) -> Loop:
    """A referral that ends other than completed cancels its follow-ups (contract.md)."""
    for task in loop.follow_ups:
        if task.open:
            loop = loop.with_follow_up(
                msgspec.structs.replace(
                    task, status="cancelled", ended_at=now, updated_at=now, due_at=None, business_status="withdrawn"
                )
            )
    return loop


def to_coordinator(loop: Loop) -> Loop:
    """No move drops a crisis: its ownership passes to the coordinator (moves.md)."""
    crisis = loop.referral.crisis
    if crisis is None or crisis.owner == "coordinator":
        return loop
    handed = msgspec.structs.replace(crisis, owner="coordinator")
    return msgspec.structs.replace(loop, referral=msgspec.structs.replace(loop.referral, crisis=handed))


async def receipt(moving: Turn, share: Task, reason: Reason) -> None:
    """The outcome return (转介回执) to the hospital, in the transaction of the completion; adapters give it its form."""
    referral = moving.loop.referral
    made = Receipt(
        share.id,
        referral.id,
        reason,
        moving.now,
        tuple(output.reference for output in share.outputs if output.reference),
    )
    await records.keep(
        moving.session,
        [Record(new_id(), 1, "Communication", "message", share.agency or referral.hospital, msgspec.json.encode(made), moving.now,
                hospital=referral.hospital, agency=share.agency, referral=referral.id, task=share.id, returned=True,
                status="completed", code="receipt")],
    )  # fmt: skip


def coded(reason: Reason | None, system: str, at: str = "statusReason") -> Reason:
    """A reason with a code of one of our lists and words; raises Invalid naming what is missing."""
    if reason is None or not reason.text:
        raise Invalid("A reason with text is required.", at=f"{at}.text", code="required")
    if reason.code is None or not codes.known(system, reason.code):
        raise Invalid(f"The reason needs a code of {system}.", at=f"{at}.coding", code="code-invalid")
    return reason


def own_agency(moving: Turn) -> None:
    """Only the agency that has the share moves it; another one may not know of it."""
    if moving.actor.side == "agency" and moving.share.agency != moving.actor.organization:
        raise NotFound(CANNOT_TELL)


def own_hospital(moving: Turn) -> None:
    """Of the hospitals only the referral's own; another one may not know of it."""
    if moving.actor.side == "hospital" and moving.loop.referral.hospital != moving.actor.organization:
        raise NotFound("There is no such referral, or it is not yours to see.")


def only(actor: Actor, *sides: str) -> None:
    """Only these sides. Who administers the platform stands on its side to look after it, and has no part in referrals."""
    if actor.side not in sides or actor.administers:
        raise Forbidden(f"This is for the {' or '.join(sides)}.", key="wrong-actor")
