"""What an agency does with its share: accept, start, hold, resume, return, complete, fail, confirm a cancellation."""

from datetime import datetime
from typing import Any

import msgspec

from service.access.model import Actor
from service.casework import steps as files
from service.casework import store
from service.casework.model import Case
from service.codes import CLOSURE_REASON, DECLINE_REASON
from service.db import Session
from service.directory import steps as directory
from service.errors import Conflict, Invalid, NotFound
from service.followup import flow as follow_ups
from service.followup import steps as followup
from service.records import store as records
from service.referrals import onward, steps, transitions
from service.referrals import store as referrals
from service.referrals.lifecycle import LIVE
from service.referrals.model import Loop, Output, Task
from service.routing import steps as routing
from service.safety import store as safety
from service.values import Id, Reason, local_day

NOT_OFFERED_AGAIN = frozenset({"deceased", "duplicate"})
"""Reasons to fail after which no other agency is tried by itself: the coordinator decides."""


async def accept(session: Session, actor: Actor, task: Id, worker: Id | None, now: datetime) -> Loop:
    """The agency takes a share that was offered to it, or claims one that is open to it; a case opens.

    `worker` may be named now or by the start. Identity follows at once where a consent or a lawful basis names the
    agency. Accepting again changes nothing; Conflict `taken` when another agency was first.
    """
    steps.only(actor, "agency")
    async with steps.turn(session, actor, task, now) as moving:
        share = files.share_of(moving, task)
        claims = share.agency is None
        if not claims:
            steps.own_agency(moving)
        if share.status == "accepted":
            await named(moving, worker)
            return moving.loop
        if share.business_status == "not-selected":
            raise Conflict("Another agency has taken this offer.", key="taken")
        move = "claim" if claims else "accept"
        moving.permit(move)
        await _licensed(moving, actor.organization, worker, named=worker is not None)
        if claims:
            await _take_place(moving, share)
        offers = {other.id for other in moving.loop.shares if other.status == "requested"}
        moving.loop = transitions.accepted(moving.loop, share, actor.organization, worker, now, session.practice)
        await files.opened(moving)
        moving.tell(move, moving.share)
        for rival in moving.loop.shares:
            if rival.id in offers and not rival.open:
                moving.tell("lose", rival, by=steps.ROUTER)
    return moving.loop


async def _take_place(moving: steps.Turn, share: Task) -> None:
    """A claim takes its place now; an offer took it when it was made."""
    agency = moving.actor.organization
    if any(other.open and other.agency == agency for other in moving.loop.shares):
        raise Conflict("This agency already has a share of this referral.", at="owner", key="has-share")
    need = steps.need_of(moving.loop, share.needs)
    decision = await routing.route(moving.session, need, share.referral, moving.now)
    candidate = next((c for c in decision.candidates if c.agency == agency), None)
    if candidate is None or candidate.service is None or not candidate.eligible:
        raise Conflict("This agency is not eligible for this offer any more.", at="owner", key="not-eligible")
    if not await directory.take_place(moving.session, candidate.service, share.id):
        raise Conflict("This agency has no free place.", at="owner", key="no-capacity")


async def assign(session: Session, actor: Actor, task: Id, worker: Id, now: datetime) -> Loop:
    """The agency names the licensed worker of a share that it has accepted, or of a follow-up."""
    steps.only(actor, "agency")
    found = await referrals.task(session, task)
    if found is not None and found.kind == "follow-up":
        return await follow_ups.assign(session, actor, task, worker, now)
    async with steps.turn(session, actor, task, now) as moving:
        share = files.own_share(moving, task)
        if share.status not in LIVE:
            raise Invalid("A worker is named for an accepted share.", at="owner", key="illegal-move")
        await named(moving, worker)
    return moving.loop


async def start(session: Session, actor: Actor, task: Id, worker: Id | None, now: datetime) -> Loop:
    """Service begins. Needs a consent or a lawful basis, and a licensed worker: named now or before, else the duty worker."""
    async with steps.turn(session, actor, task, now) as moving:
        share = files.own_share(moving, task)
        if share.status == "in-progress":
            await named(moving, worker)
            return moving.loop
        moving.permit("start")
        who = await _fit_to_serve(moving, worker)
        share = moving.share
        moving.loop = transitions.started(moving.loop, share, who, now, session.practice)
        await files.changed(moving, phase="assessment")
        moving.tell("start", moving.share)
    return moving.loop


async def hold(
    session: Session, actor: Actor, task: Id, reason: Reason | None, resume_by: datetime | None, now: datetime
) -> Loop:
    """The work pauses, with a reason in text, until `resume_by` or the practice's default."""
    async with steps.turn(session, actor, task, now) as moving:
        share = files.own_share(moving, task)
        if share.status == "on-hold" and reason == share.reason and resume_by in (None, share.clocks["resume"].due):
            return moving.loop
        moving.permit("hold")
        if reason is None or not reason.text:
            raise Invalid("A reason with text is required.", at="statusReason.text", code="required")
        moving.loop = transitions.held(moving.loop, share, reason, resume_by, now, session.practice)
        moving.tell("hold", moving.share, reason)
    return moving.loop


async def resume(session: Session, actor: Actor, task: Id, worker: Id | None, now: datetime) -> Loop:
    """The work goes on; it needs what the start needs."""
    async with steps.turn(session, actor, task, now) as moving:
        share = files.own_share(moving, task)
        if share.status == "in-progress":
            await named(moving, worker)
            return moving.loop
        moving.permit("resume")
        who = await _fit_to_serve(moving, worker)
        share = moving.share
        moving.loop = transitions.resumed(moving.loop, share, who, now, session.practice)
        await files.changed(moving)
        moving.tell("resume", moving.share)
    return moving.loop


async def return_offer(session: Session, actor: Actor, task: Id, reason: Reason | None, now: datetime) -> Loop:
    """Undo of an acceptance within the grace time, with a reason to decline; the next agency is offered it."""
    async with steps.turn(session, actor, task, now) as moving:
        share = files.own_share(moving, task)
        if share.business_status == "returned" and reason == share.reason:
            return moving.loop
        moving.permit("return")
        why = steps.coded(reason, DECLINE_REASON)
        moving.loop = transitions.returned(moving.loop, share, why, now, session.practice)
        await files.closed(moving, "return", why)
        moving.tell("return", moving.share, why)
        _give_up(moving)
        await steps.redispatch(moving, share.needs)
    return moving.loop


async def complete(
    session: Session, actor: Actor, task: Id, reason: Reason | None, outputs: tuple[Output, ...], now: datetime
) -> Loop:
    """The work is done: at least one output, a reason to close, no crisis up. What the outputs name goes back to the
    hospital, and the receipt with it; a requested cancellation is overridden."""
    async with steps.turn(session, actor, task, now) as moving:
        share = files.own_share(moving, task)
        if share.status == "completed" and reason == share.reason and outputs == share.outputs:
            return moving.loop
        moving.permit("complete")
        why = steps.coded(reason, CLOSURE_REASON)
        if why.code == "new-need-transfer" and not await onward.taken(session, share.referral):
            raise Invalid(
                "Closing as new-need-transfer needs an onward referral that somebody has accepted: pass the need on with "
                "Task/{id}/$transfer (to an Organization), or let the hospital send a ServiceRequest that is basedOn this one.",
                at="statusReason.coding", key="no-onward-referral",
            )  # fmt: skip
        moving.loop = transitions.completed(moving.loop, share, why, outputs, now)
        await _give_back(moving, outputs)
        await steps.receipt(moving, moving.share, why)
        await files.closed(moving, "complete", why)
        moving.tell("complete", moving.share, why)
    return moving.loop


async def fail(session: Session, actor: Actor, task: Id, reason: Reason | None, now: datetime) -> Loop:
    """The work did not succeed, with a reason to close; the next agency is offered the referral."""
    async with steps.turn(session, actor, task, now) as moving:
        share = files.own_share(moving, task)
        if share.status == "failed" and reason == share.reason:
            return moving.loop
        moving.permit("fail")
        why = steps.coded(reason, CLOSURE_REASON)
        moving.loop = transitions.failed(moving.loop, share, why, now)
        await files.closed(moving, "fail", why)
        moving.tell("fail", moving.share, why)
        if "cancel" in share.clocks:
            # The hospital wants it back: nobody else is offered it, and with the last share it is withdrawn.
            await _taken_back(moving, share)
            return moving.loop
        _give_up(moving)
        if why.code in NOT_OFFERED_AGAIN:
            moving.tell("unplaced", None, why, by=steps.ROUTER)
        else:
            await steps.redispatch(moving, share.needs)
    return moving.loop


async def confirm_cancel(session: Session, actor: Actor, task: Id, now: datetime) -> Loop:
    """The agency confirms the hospital's request to cancel. When no other agency is at work the referral ends with it:
    withdrawn, or completed where another share was."""
    async with steps.turn(session, actor, task, now) as moving:
        share = files.own_share(moving, task)
        if share.status == "cancelled" and share.business_status == "withdrawn" and share.accepted_at is not None:
            return moving.loop
        moving.permit("confirm-cancel")
        why = _why_taken_back(share)
        moving.loop = transitions.withdrawn(moving.loop, share, why, now)
        await files.closed(moving, "confirm-cancel", why)
        moving.tell("confirm-cancel", moving.share, why)
        await _taken_back(moving, share)
    return moving.loop


def _why_taken_back(share: Task) -> Reason:
    return share.cancel_reason or Reason(None, "withdrawn by the placer")


async def _taken_back(moving: steps.Turn, share: Task) -> None:
    """The referral ends as withdrawn, unless another share goes on or has succeeded, or an offer is out."""
    if any(other.open or other.status == "completed" for other in moving.loop.shares):
        _give_up(moving)
    else:
        await steps.end(moving, "cancelled", "withdrawn", _why_taken_back(share), "withdraw")


async def void(session: Session, actor: Actor, referral: Id, reason: Reason | None, now: datetime) -> Loop:
    """Recorded in error: the referral and all its Tasks leave every list and figure, and its cases close; the only exit
    from a terminal state. By its hospital or the coordinator, with a reason in text."""
    steps.only(actor, "hospital", "platform")
    why = _in_text(reason)
    async with steps.on_referral(session, actor, referral, now) as moving:
        steps.own_hospital(moving)
        if moving.loop.parent.status == "entered-in-error":
            raise Invalid("This referral is already void.", at="status", key="illegal-move")
        await files.voided(moving, moving.loop.shares, why)
        loop = moving.loop
        for task in (*loop.shares, *loop.follow_ups, *loop.duties, loop.parent):
            if task.status != "entered-in-error":
                moving.loop = transitions.voided(moving.loop, task, why, now)
                moving.tell("void", task, why)
        moving.loop = steps.to_coordinator(moving.loop)
    return moving.loop


async def void_share(session: Session, actor: Actor, task: Id, reason: Reason | None, now: datetime) -> Loop:
    """One share recorded in error, by its hospital or the coordinator, with a reason in text: its case closes, its
    agency's follow-ups pass to the hospital, and the next agency is offered the needs."""
    why = _in_text(reason)
    async with steps.turn(session, actor, task, now) as moving:
        share = files.share_of(moving, task)
        moving.permit("void")
        await files.voided(moving, (share,), why)
        moving.loop = steps.to_coordinator(transitions.voided(moving.loop, share, why, now))
        moving.tell("void", moving.share, why)
        kept = (each for each in moving.loop.shares if each.accepted_at and (each.open or each.status == "completed"))
        if share.agency and all(each.agency != share.agency for each in kept):
            followup.hand_over(moving, share.agency)
        await steps.redispatch(moving, share.needs)
    return moving.loop


def _in_text(reason: Reason | None) -> Reason:
    if reason is None or not reason.text:
        raise Invalid("A reason with text is required.", at="statusReason.text", code="required")
    return reason


async def amend(
    session: Session,
    actor: Actor,
    task: Id,
    now: datetime,
    *,
    outputs: tuple[Output, ...] | None = None,
    notes: tuple[dict[str, Any], ...] | None = None,
) -> Loop:
    """The agency adds to a Task without moving it: outputs so far, which go back to the hospital, and notes."""
    async with steps.turn(session, actor, task, now) as moving:
        share = files.own_share(moving, task)
        added = msgspec.structs.replace(
            share, outputs=share.outputs if outputs is None else outputs, notes=share.notes if notes is None else notes
        )
        if added == share:
            return moving.loop
        if not share.open:
            raise Invalid(f"This Task has ended: it is {share.status}.", at="status", key="illegal-move")
        await _give_back(moving, added.outputs)
        moving.loop = moving.loop.with_share(msgspec.structs.replace(added, updated_at=now))
        moving.tell("amend", moving.share)
    return moving.loop


async def case(session: Session, actor: Actor, task: Id) -> Case:
    """The case of a share, for its agency. NotFound for everybody else."""
    found = await store.case_of(session, task)
    if found is None:
        raise NotFound(steps.CANNOT_TELL)
    if found.patient:
        session.patients.add(found.patient)
    return found


async def cases(
    session: Session, actor: Actor, *, worker: Id | None = None, after: Id | None = None, limit: int = 50
) -> list[Case]:
    """The agency's open cases, oldest first, or those of one worker; one page behind the case `after`."""
    steps.only(actor, "agency")
    found = await store.open_cases(session, actor.organization, worker, after, limit, session.began)
    session.patients.update(each.patient for each in found if each.patient)
    return found


def _give_up(moving: steps.Turn) -> None:
    """The agency is out: a crisis passes to the coordinator, its follow-ups to the hospital."""
    moving.loop = steps.to_coordinator(moving.loop)
    followup.hand_over(moving, moving.actor.organization)


async def named(moving: steps.Turn, worker: Id | None, *, tells: str = "assign") -> None:
    """Another worker for the share; naming nobody, or the same one, changes nothing."""
    if worker is None or worker == moving.share.worker:
        return
    await _licensed(moving, moving.actor.organization, worker)
    theirs = msgspec.structs.replace(moving.share, worker=worker, updated_at=moving.now)
    # Another worker may have a conflict of interest, or be free of one: identity follows.
    moving.loop = transitions.disclosed(moving.loop.with_share(theirs), theirs, moving.now, moving.session.practice)
    await files.changed(moving)
    moving.tell(tells, moving.share)


async def _licensed(moving: steps.Turn, agency: Id, worker: Id | None, *, named: bool = True) -> Id:
    """The worker if licensed and there today; of nobody named, the agency's duty worker or another who is. `named`: it is
    written down, not only asked whether there is one."""
    find = directory.named_worker if named else directory.licensed_worker
    found = await find(moving.session, agency, worker, local_day(moving.now))
    if found is None and worker and await directory.is_away(moving.session, worker):
        raise Invalid("This worker is away: name who stands in, or another.", at="owner", key="away")
    if found is None:
        raise Invalid(
            "The worker named is not a licensed worker of this agency today."
            if worker
            else "This agency has no licensed worker today.",
            at="owner",
            key="unlicensed",
        )
    return found


async def _fit_to_serve(moving: steps.Turn, worker: Id | None) -> Id:
    """What start and resume need: identity disclosed, and a licensed worker."""
    share = moving.share
    assert share.agency is not None
    ground = moving.loop.permitted.get(share.agency)
    if ground is None or ground.kind == "break-glass":
        raise Invalid(
            "No consent or lawful basis names this agency yet: service cannot begin.",
            at="status",
            key="awaiting-consent",
        )
    who = await _licensed(moving, share.agency, worker or share.worker)
    if who in moving.loop.conflicted:
        raise Invalid(
            "This worker has declared a conflict of interest: name another worker, or return the Task for this reason.",
            at="owner",
            key="conflict-of-interest",
        )
    if share.patient is None:
        # The one before had a conflict of interest: with this one, identity opens.
        named = msgspec.structs.replace(share, worker=who)
        moving.loop = transitions.disclosed(moving.loop.with_share(named), named, moving.now, moving.session.practice)
    return who


async def _give_back(moving: steps.Turn, outputs: tuple[Output, ...]) -> None:
    """Let the hospital read what the outputs name: the agency's own records of this referral, and no others."""
    named = [found for output in outputs if (found := _record_named(output.reference)) is not None]
    if not named:
        return
    author = moving.actor.organization
    own = await records.own(moving.session, named, author, moving.loop.referral.id)
    if own != set(named):
        raise Invalid(
            "An output names something that this agency did not record for this referral.",
            at="output",
            key="unknown-output",
        )
    # A score is read by whoever reads its answers.
    await records.return_to_hospital(moving.session, [*named, *await safety.derived(moving.session, named)], author)


def _record_named(reference: str | None) -> Id | None:
    """The id of `Type/id`; None for what lies elsewhere."""
    if reference is None or "://" in reference or reference.startswith(("#", "urn:")):
        return None
    parts = reference.split("/")
    try:
        return Id(parts[1])
    except (IndexError, ValueError):
        raise Invalid("An output's reference is Type/id.", at="output", key="unknown-output") from None
