"""What is owed on a referral beside its one next step: owe it, see to it, call it off, and tell when it is late."""

from datetime import datetime

from msgspec.structs import replace

from service import codes
from service.access.model import Actor
from service.db import Session
from service.errors import Forbidden, Invalid
from service.referrals import owed, steps
from service.referrals.model import Loop, Output, Task
from service.referrals.steps import Turn
from service.values import Id, Reason, new_id


def owe(
    moving: Turn, what: str, organization: Id, by: datetime, *, worker: Id | None = None, about: Id | None = None,
    sealed: bool = False,
) -> Task:  # fmt: skip
    """Let `organization` owe something until `by`: `what` is a word of `codes.DUTIES`, `about` the row that it is about.

    The referral's hospital sees its own duties and those of others on it, so nothing internal to an agency belongs here.
    The same duty about the same thing is owed once; `sealed` keeps it out of what both sides are told.
    """
    assert what in codes.DUTY_WORDS, what
    loop, now = moving.loop, moving.now
    found = next((duty for duty in loop.duties if duty.open and (duty.item, duty.about) == (what, about)), None)
    if found is not None:
        return found
    hospital = loop.referral.hospital
    duty = Task(
        id=new_id(), kind="duty", version=0, referral=loop.referral.id, hospital=hospital, status="accepted",
        urgency=loop.referral.effective_urgency, needs=loop.referral.needs, authored_at=now, updated_at=now, item=what, about=about,
        agency=None if organization == hospital else organization, worker=worker, due_at=by, accepted_at=now,
        patient=loop.referral.patient if organization == hospital else None,
    )  # fmt: skip
    moving.loop = loop.with_duty(duty)
    moving.tell("owe", duty, sealed=sealed, what=what)
    return duty


async def complete(
    session: Session, actor: Actor, task: Id, outputs: tuple[Output, ...], reason: Reason | None, now: datetime
) -> Loop:
    """Its owner has seen to it; `outputs` and `reason` say what came of it. The same again changes nothing."""
    return await _end(session, actor, task, "completed", outputs, reason, now)


async def cancel(session: Session, actor: Actor, task: Id, reason: Reason | None, now: datetime) -> Loop:
    """Its owner or the coordinator calls it off, with a reason in text."""
    if reason is None or not reason.text:
        raise Invalid("A reason with text is required.", at="statusReason.text", code="required")
    return await _end(session, actor, task, "cancelled", (), reason, now)


async def _end(
    session: Session, actor: Actor, task: Id, status: str, outputs: tuple[Output, ...], reason: Reason | None, now: datetime
) -> Loop:  # fmt: skip
    async with steps.turn(session, actor, task, now) as moving:
        duty = next((each for each in moving.loop.duties if each.id == task), None)
        if duty is None:
            raise Invalid("This Task is no duty.", at="id", key="no-duty")
        owner = duty.agency or duty.hospital
        if actor.organization != owner and not (actor.side == "platform" and status == "cancelled"):
            raise Forbidden("A duty is seen to by its owner.", key="wrong-actor")
        if duty.status == status and duty.outputs == outputs and duty.reason == reason:
            return moving.loop
        if not duty.open:
            raise Invalid(f"This duty has ended: it is {duty.status}.", at="status", key="illegal-move")
        if status == "completed":
            await owed.permit(moving, duty, reason)
        _over(moving, duty, status, reason, outputs)
    return moving.loop


def settle(moving: Turn, what: str, about: Id | None, *, called_off: Reason | None = None) -> None:
    """What was owed is done by another act, or is owed no more: end the open duty of this word about this thing."""
    for duty in moving.loop.duties:
        if duty.open and (duty.item, duty.about) == (what, about):
            _over(moving, duty, "cancelled" if called_off else "completed", called_off, duty.outputs)


def _over(moving: Turn, duty: Task, status: str, reason: Reason | None, outputs: tuple[Output, ...]) -> None:
    ended = replace(
        duty, status=status, business_status="closed" if status == "completed" else "withdrawn", reason=reason, outputs=outputs,
        due_at=None, ended_at=moving.now, updated_at=moving.now,
    )  # fmt: skip
    moving.loop = moving.loop.with_duty(ended)
    moving.tell("see-to" if status == "completed" else "cancel", ended, reason, what=duty.item)


async def overdue(session: Session, actor: Actor, task: Id, referral: Id, now: datetime) -> None:
    """Its limit has passed: its owner and the coordinator hear of it, once, and it shows."""
    async with steps.on_referral(session, actor, referral, now) as moving:
        duty = next((each for each in moving.loop.duties if each.id == task), None)
        if duty is None or not duty.open or duty.business_status or duty.due_at is None or duty.due_at > now:
            return
        late = replace(duty, business_status="overdue", updated_at=now)
        moving.loop = moving.loop.with_duty(late)
        moving.tell("escalate", late, what=duty.item, told="coordinator")
