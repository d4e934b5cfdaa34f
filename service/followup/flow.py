"""What people do after a stay has ended: discharge, try to reach the person, say what came of it."""

from datetime import datetime, timedelta
from typing import Any

import msgspec

from service import codes
from service.access.model import Actor
from service.db import Session
from service.directory import steps as directory
from service.errors import Conflict, Forbidden, Invalid
from service.followup import schedule, store
from service.followup.model import FINAL, Attempt, NewAttempt, status_after
from service.patients import flow as patients
from service.patients import store as stays
from service.patients.model import Stay
from service.records import store as records
from service.records.model import Record
from service.referrals import crisis, steps
from service.referrals import store as referrals
from service.referrals.model import CrisisOwner, Loop, Output, Task
from service.safety import store as safety
from service.values import Id, Reason, local_day

DEAD = Reason("deceased", "The stay ended in death.")
CALLED_OFF = Reason(None, "The discharge was called off.")
LONGEST_STAY = timedelta(days=90)
"""How far back answers belong to a stay of which nobody said when it began."""
LATE_CLOCK = timedelta(minutes=5)
"""How far a sender's clock may run ahead of ours."""
LONGEST_AGO = timedelta(days=366)
"""How long ago an attempt may have been made; an earlier one is a slip of the pen, and the next would be reckoned from it."""


async def discharge(
    session: Session, actor: Actor, stay: Stay, body: bytes, now: datetime, lace: int | None = None,
    *, known: int | None = None, received: list[Record] | None = None,
) -> Stay:  # fmt: skip
    """Store a hospital stay, new or its next version. A stay that has ended gets its follow-ups at once, on every
    referral that it concerns; a corrected end moves those not begun, death cancels all, an end that is taken back
    cancels those not begun. `lace` is the score of the risk of readmission, where one is known; `known` and `received`
    as in `patients.admit`.
    """
    # A referral that is being placed for this stay holds its lock: once it is committed, it is followed with the others.
    before = await stays.get_stay(session, stay.id, lock=True)
    stay = await patients.admit(session, actor, stay, body, now, known=known, received=received)
    died = schedule.discharged(stay) and stay.disposition == schedule.DIED
    lace = await _lace(session, stay) if lace is None and schedule.discharged(stay) else lace
    news = before is None or _end_of(before) != _end_of(stay)
    for referral in await referrals.of_stay(session, stay.id, stay.patient, stay.hospital, every=died):
        async with steps.on_referral(session, actor, referral, now) as moving:
            _follow(moving, stay, lace, news)
    return stay


async def catch_up(session: Session, actor: Actor, referral: Id, now: datetime) -> None:
    """A referral that was placed for a stay which had ended before: its follow-ups, at once."""
    found = await referrals.referral(session, referral)
    stay = await stays.get_stay(session, found.stay) if found and found.stay else None
    if stay is not None and schedule.discharged(stay):
        async with steps.on_referral(session, actor, referral, now) as moving:
            _follow(moving, stay, await _lace(session, stay), news=True)


async def _lace(session: Session, stay: Stay) -> int | None:
    """The LACE score that was reckoned from the answers of this stay; None where nobody gave all of them."""
    since = stay.started_at or (stay.ended_at or stay.updated_at) - LONGEST_STAY
    found = await safety.latest(session, stay.patient, "lace", since)
    return found.score if found else None


async def risk_known(session: Session, actor: Actor, patient: Id, now: datetime) -> None:
    """The risk of readmission became known after the discharge: a visit that follows from it is one now."""
    for referral in await referrals.followed(session, patient):
        found = await referrals.referral(session, referral)
        stay = await stays.get_stay(session, found.stay) if found and found.stay else None
        if stay is not None and schedule.discharged(stay):
            lace = await _lace(session, stay)
            async with steps.on_referral(session, actor, referral, now) as moving:
                _follow(moving, stay, lace, news=False)


def _end_of(stay: Stay) -> tuple[bool, datetime | None, str | None]:
    return schedule.discharged(stay), stay.ended_at, stay.disposition


def _follow(moving: steps.Turn, stay: Stay, lace: int | None, news: bool) -> None:
    """Let the follow-ups of one referral follow the stay, and tell what changed."""
    before, now = moving.loop, moving.now
    ended = schedule.discharged(stay)
    if not ended and before.referral.stay != stay.id:
        return
    if not ended:
        moving.loop = schedule.called_off(before, CALLED_OFF, now, begun=False)
    elif stay.disposition == schedule.DIED:
        moving.loop = schedule.called_off(before, DEAD, now, begun=True)
    else:
        moving.loop = schedule.placed(before, stay, lace, now, moving.practice)
    if ended and news and (before.parent.open or before.parent.status == "completed"):
        moving.tell("discharge", schedule.owner(before) or before.parent, disposition=stay.disposition)
        if stay.disposition == schedule.DIED and schedule.proposes(before.referral):
            # The offer of bereavement support to the family: somebody decides whom to ask, and how.
            moving.tell("offer-bereavement", before.parent)
    _tell_changes(moving, before)
    _tell_close(moving)


def _tell_close(moving: steps.Turn) -> None:
    """Say that the last follow-up has ended, and the referral with it; while a crisis is up it stays open."""
    assert moving.before is not None
    pending = any(task.open for task in moving.before.follow_ups)
    loop = moving.loop
    if pending and not (loop.parent.open or loop.referral.crisis or any(task.open for task in loop.follow_ups)):
        moving.tell("close", loop.parent)


def _tell_changes(moving: steps.Turn, before: Loop) -> None:
    old = {task.id: task for task in before.follow_ups}
    for task in moving.loop.follow_ups:
        was = old.get(task.id)
        window = task.follow_up.window if task.follow_up else None
        if was is None:
            moving.tell("follow-up", task, window=window)
        elif was.open and not task.open:
            moving.tell("cancel", task, task.reason, window=window)
        elif was != task:
            moving.tell("move", task, window=window)


async def attempt(session: Session, actor: Actor, new: NewAttempt, body: bytes, now: datetime) -> Loop:
    """The follow-up's owner tried to reach the person, before the window or within it; where nobody was reached, the
    next attempt is proposed. `body` is the record as received; only its owner reads it."""
    async with steps.turn(session, actor, new.task, now) as moving:
        task = _own(moving, new.task)
        _is_open(task)
        if not codes.known(codes.CHANNEL, new.channel):
            raise Invalid(f"The channel needs a code of {codes.CHANNEL}.", at="medium", code="code-invalid")
        if new.at > now + LATE_CLOCK:
            raise Invalid("An attempt is recorded after it was made.", at="sent")
        if new.at < now - LONGEST_AGO:
            raise Invalid("An attempt is recorded within a year.", at="sent", code="value")
        if not new.reached and not (new.reason and (new.reason.code or new.reason.text)):
            raise Invalid("Say why nobody was reached.", at="statusReason", code="required")
        if task.patient is None:
            raise Invalid(
                "The person's identity is not disclosed to this agency any more.", at="basedOn", key="not-disclosed"
            )
        if new.worker and not await directory.works_for(session, new.worker, actor.organization):
            raise Invalid("Who tried is not a worker of this agency.", at="sender", key="foreign-worker")
        made = Attempt(
            id=new.id, task=task.id, referral=task.referral, patient=task.patient, owner=actor.organization, channel=new.channel,
            at=new.at, reached=new.reached, recorded_at=now, reason=new.reason, worker=new.worker or actor.worker or task.worker,
        )  # fmt: skip
        if not await store.add(session, made):
            raise Conflict("This attempt was recorded before.", key="duplicate", code="duplicate")
        await records.keep(
            session,
            [Record(new.id, 1, "Communication", "message", actor.organization, body, now, hospital=task.hospital, agency=task.agency,
                    patient=task.patient, referral=task.referral, task=task.id, status="completed" if new.reached else "not-done",
                    code="contact")],
        )  # fmt: skip
        tried = schedule.attempted(task, new.channel, new.reached, moving.loop.referral, new.at, session.practice)
        moving.loop = moving.loop.with_follow_up(msgspec.structs.replace(tried, updated_at=now))
        # How and with what success an agency tried is its own; the hospital reads the outcome.
        moving.tell("attempt", tried)
    return moving.loop


async def outcome(
    session: Session,
    actor: Actor,
    task_id: Id,
    code: str,
    now: datetime,
    element: dict[str, Any] | None = None,
    status: str | None = None,
) -> Loop:
    """What came of a follow-up, as a code of urn:yuanshe:follow-up-outcome. `lost` and `declined` fail it, `deceased`
    cancels it, `unreachable` leaves it open, every other outcome completes it; `declined`, `lost` and `deceased` are
    final and cancel the rest; `crisis` raises a crisis on the referral.

    `element` is the output as received; `status` what the caller asks for, which must agree with the outcome. The same
    outcome again changes nothing.
    """
    async with steps.turn(session, actor, task_id, now) as moving:
        task = _own(moving, task_id)
        if not codes.known(codes.FOLLOW_UP_OUTCOME, code):
            raise Invalid(f"An outcome is a code of {codes.FOLLOW_UP_OUTCOME}.", at="output", code="code-invalid")
        target = status_after(code)
        if status is not None and status != target:
            raise Invalid(f"The outcome “{code}” makes the Task {target}.", at="status", key="illegal-move")
        told = task.follow_up
        assert told is not None
        if told.outcome == code and task.status == target:
            return moving.loop
        _is_open(task)
        output = Output("outcome", element or {})
        kept = tuple(old for old in task.outputs if old.type != "outcome")
        task = msgspec.structs.replace(
            task, outputs=(*kept, output), updated_at=now, follow_up=msgspec.structs.replace(told, outcome=code)
        )
        if target != "accepted":
            label = codes.label(codes.FOLLOW_UP_OUTCOME, code, "en")
            task = schedule.ended(task, target, None if target == "completed" else Reason(code, label), now)
        before = moving.loop.with_follow_up(task)
        moving.loop = before
        moving.tell("outcome", task, outcome=code)
        if code in FINAL:
            moving.loop = schedule.called_off(before, _why(code), now, begun=True, but=task.id)
            _tell_changes(moving, before)
        if code == "crisis":
            _raise_crisis(moving, task)
        _tell_close(moving)
    return moving.loop


def _why(code: str) -> Reason:
    return Reason(code, f"Follow-up ended: {codes.label(codes.FOLLOW_UP_OUTCOME, code, 'en').lower()}.")


def _raise_crisis(moving: steps.Turn, task: Task) -> None:
    if moving.loop.referral.crisis is None:
        owner: CrisisOwner = "hospital" if moving.loop.parent.open else "coordinator"
        moving.loop = crisis.raised(moving.loop, moving.now, moving.practice, owner)
        moving.tell("raise", task, Reason("raised", "A follow-up ended in a crisis."), sealed=True)


async def assign(session: Session, actor: Actor, task_id: Id, worker: Id, now: datetime) -> Loop:
    """The owning agency names the licensed worker who follows up."""
    async with steps.turn(session, actor, task_id, now) as moving:
        task = _own(moving, task_id)
        _is_open(task)
        if task.worker == worker:
            return moving.loop
        if task.agency is None or not await directory.named_worker(session, task.agency, worker, local_day(now)):
            raise Invalid("The owner must be a licensed worker of this agency today.", at="owner", key="unlicensed")
        named = msgspec.structs.replace(task, worker=worker, updated_at=now)
        moving.loop = moving.loop.with_follow_up(named)
        moving.tell("assign", named)
    return moving.loop


async def attempts(session: Session, task: Id) -> list[Attempt]:
    """The attempts of a follow-up that the reader's organisation made."""
    found = await store.of_task(session, task)
    session.patients.update(each.patient for each in found)
    return found


def _own(moving: steps.Turn, id: Id) -> Task:
    """The follow-up of this turn, which only its owner moves: its agency, or the hospital where no agency has it."""
    task = next((task for task in moving.loop.follow_ups if task.id == id), None)
    if task is None:
        raise Invalid("This Task is no follow-up.", at="basedOn", key="no-follow-up")
    if moving.actor.organization != (task.agency or task.hospital):
        raise Forbidden("Only the owner of a follow-up works on it.", key="wrong-actor")
    return task


def _is_open(task: Task) -> None:
    if not task.open:
        raise Invalid(f"This follow-up has ended: it is {task.status}.", at="status", key="illegal-move")
