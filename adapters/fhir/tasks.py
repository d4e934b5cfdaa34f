"""What a new status on a Task means: each PUT or PATCH is one move, or none."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from adapters.fhir import follow_ups, references, render, wire
from service import codes
from service.access.model import Actor
from service.casework import flow as casework
from service.db import Session
from service.errors import Forbidden, Invalid, NotFound, Stale
from service.followup import flow as followup
from service.practice import PLATFORM
from service.records import store as records
from service.referrals import duties, flow, lifecycle, store
from service.referrals.model import Output, Task
from service.values import Id, Reason, read_json, write_json

READ = frozenset({"status", "statusReason", "owner", "output", "note"})
"""From an agency's PUT only these are read (and `restriction` on hold); the rest must equal a version that it could read."""

UNREAD = frozenset(
    {"resourceType", "id", "meta", "text", "implicitRules", "language", "contained", "lastModified", "businessStatus"}
)
"""Said by the service, or of no consequence: neither read nor compared."""

OUR_REASONS = ("urn:yuanshe:decline-reason", "urn:yuanshe:closure-reason", codes.ACCESS_REVIEW)


async def update(
    session: Session, actor: Actor, id: Id, content: dict[str, Any], expected: int | None, now: datetime
) -> Task:
    """Make of a whole Task the move that it asks for; the Task as it then stands.

    Raises Stale when `expected` is not the current version (checked first, even on a retry), Invalid for a change that is
    no move, and what the verbs raise.
    """
    await store.lock_of(session, id)
    current = await store.task(session, id)
    if current is None:
        if actor.side == "agency" and await store.may_claim(session, id, actor.organization):
            # The verb answers that another agency was first.
            await casework.accept(session, actor, id, None, now)
        raise NotFound("There is no such Task, or it is not yours to see.")
    if expected is not None and expected != current.version:
        raise Stale(f"The Task is at version {current.version} now; read it again.")
    asked = wire.decode(write_json(content), wire.Task, "Task")
    if asked.status in ("received", "ready"):
        raise Invalid("This service does not use the status received or ready.", at="Task.status", code="value")
    await _compare(session, actor, current, content, asked)
    if current.kind == "follow-up":
        await _follow_up(session, actor, current, asked, content, now)
    elif current.kind == "duty":
        await _duty(session, actor, current, asked, content, now)
    elif actor.side == "agency":
        await _agency(session, actor, current, asked, content, now)
    elif current.kind == "parent":
        await _parent(session, actor, current, asked, now)
    else:
        await _share(session, actor, current, asked, now)
    after = await store.task(session, id)
    # A confirmed cancellation or a decline may take the Task out of the actor's sight; what it was answers then.
    return after or current


def reason(asked: wire.Concept | None) -> Reason | None:
    if asked is None:
        return None
    code = next((code for system in OUR_REASONS if (code := asked.code(system))), None)
    return Reason(code, asked.text)


def _same(reason: Reason | None, other: Reason | None) -> bool:
    return (reason or Reason()) == (other or Reason())


async def _agency(
    session: Session, actor: Actor, current: Task, asked: wire.Task, content: dict[str, Any], now: datetime
) -> None:
    worker = _worker(actor, asked)
    why = reason(asked.status_reason)
    if asked.status == "entered-in-error" != current.status:
        raise Forbidden("Only the requester says that a Task was entered in error.", key="wrong-actor")
    if current.agency != actor.organization and asked.status != "accepted":
        raise Invalid(
            "An open offer is claimed with status accepted and yourself as owner.", at="Task.status", key="illegal-move"
        )
    if current.agency == actor.organization:
        await _amend(session, actor, current, asked, content, now)
    if asked.status == current.status:
        if why is not None and not _same(why, current.reason):
            raise Invalid(
                "A reason goes with a move; the status is unchanged.", at="Task.statusReason", key="illegal-move"
            )
        if asked.status == "on-hold" and await _resume_by(session, current, asked):
            raise Invalid(
                "A date to resume by goes with the move to on-hold; the status is unchanged.",
                at="Task.restriction.period.end",
                key="illegal-move",
            )
        if worker is not None and worker != current.worker:
            await casework.assign(session, actor, current.id, worker, now)
        return
    match current.status, asked.status:
        case ("requested", "accepted") | ("cancelled", "accepted") if _may_be_taken(current):
            await casework.accept(session, actor, current.id, worker, now)
        case "requested", "rejected":
            await flow.decline(session, actor, current.id, why, now)
        case "accepted", "in-progress":
            await casework.start(session, actor, current.id, worker, now)
        case "on-hold", "in-progress":
            await casework.resume(session, actor, current.id, worker, now)
        case "accepted" | "in-progress", "on-hold":
            await casework.hold(session, actor, current.id, why, await _resume_by(session, current, asked), now)
        case "accepted" | "in-progress" | "on-hold", "cancelled" if "cancel" in current.clocks:
            await casework.confirm_cancel(session, actor, current.id, now)
        case "accepted", "cancelled":
            await casework.return_offer(session, actor, current.id, why, now)
        case "accepted" | "in-progress" | "on-hold", "completed":
            await casework.complete(session, actor, current.id, why, outputs(asked, content), now)
        case "accepted" | "in-progress" | "on-hold", "failed":
            await casework.fail(session, actor, current.id, why, now)
        case _:
            raise _no_move(current, asked, lifecycle.legal(current, "agency"))


async def _amend(
    session: Session, actor: Actor, current: Task, asked: wire.Task, content: dict[str, Any], now: datetime
) -> None:
    """Notes, and outputs so far, that came with a move or by themselves; what a completion brings is its own."""
    if not current.open and asked.status != current.status:
        return
    notes = tuple(content.get("note") or ())
    completes = asked.status == "completed" != current.status
    given = current.outputs if completes else outputs(asked, content)
    if notes != current.notes or given != current.outputs:
        await casework.amend(session, actor, current.id, now, outputs=given, notes=notes)


def _may_be_taken(current: Task) -> bool:
    """An offer that is out, or one that another agency was quicker to take: the verb says which."""
    return current.status == "requested" or current.business_status == "not-selected"


def _no_move(current: Task, asked: wire.Task, may: Sequence[str] = ()) -> Invalid:
    leads = sorted({to for action in may if (to := lifecycle.MOVES[action].target)})
    hint = (
        " A share in service that cannot be finished is failed."
        if asked.status == "cancelled" and current.accepted_at
        else ""
    )
    hint = hint or (
        " An offer is declined with status rejected."
        if current.status == "requested" and asked.status == "cancelled"
        else ""
    )
    ways = f"; the agency may set {', '.join(leads)}" if leads else ""
    return Invalid(
        f"No move leads from {current.status} to {asked.status}{ways}.{hint}",
        at="Task.status", key="illegal-move",
    )  # fmt: skip


def _worker(actor: Actor, asked: wire.Task) -> Id | None:
    """The worker whom the agency names as owner; itself, or nobody, names none."""
    if asked.owner is None or asked.owner.reference is None:
        return None
    found = references.parse(asked.owner.reference)
    if found and found[0] == "PractitionerRole" and (id := references.as_id(found[1])):
        return id
    if found and found[0] == "Organization" and references.as_id(found[1]) == actor.organization:
        return None
    raise Invalid("The owner is your own Organization or a PractitionerRole of yours.", at="Task.owner", code="value")


async def _resume_by(session: Session, current: Task, asked: wire.Task) -> datetime | None:
    """The date to resume by, where the agency names one. A deadline that some version showed was sent back as read."""
    period = asked.restriction.period if asked.restriction else None
    if period is None or period.end is None:
        return None
    end = wire.instant(period.end, "Task.restriction.period.end")
    shown = [version.due_at for version in await store.task_versions(session, current.id) if version.due_at]
    return None if any(abs((end - at).total_seconds()) < 1 for at in shown) else end


def outputs(asked: wire.Task, content: dict[str, Any]) -> tuple[Output, ...]:
    """The outputs as received, each with the code of its type and what it references."""
    given: list[dict[str, Any]] = content.get("output") or []
    found: list[Output] = []
    for position, (read, element) in enumerate(zip(asked.output, given, strict=True)):
        code = next((c.code for c in read.type.coding if c.code), None) or read.type.text
        if code is None:
            raise Invalid("An output needs a type.", at=f"Task.output[{position}].type", code="required")
        found.append(Output(code, element, read.value_reference.reference if read.value_reference else None))
    return tuple(found)


def _new_reason(current: Task, asked: wire.Task) -> Reason | None:
    """The reason for this move: one that the Task gave before, for another move, is not."""
    why = reason(asked.status_reason)
    return None if current.reason is not None and _same(why, current.reason) else why


async def _parent(session: Session, actor: Actor, current: Task, asked: wire.Task, now: datetime) -> None:
    why = _new_reason(current, asked)
    if asked.status == current.status:
        return
    if asked.status in ("cancelled", "rejected", "failed", "entered-in-error") and (why is None or not why.text):
        raise Invalid("A reason with text is required.", at="Task.statusReason.text", code="required")
    match asked.status:
        case "cancelled":
            await flow.withdraw(session, actor, current.referral, why, now)
        case "entered-in-error":
            await casework.void(session, actor, current.referral, why, now)
        case "rejected" if actor.side == "platform":
            await flow.refuse(session, actor, current.referral, why, now)
        case "failed" if actor.side == "platform":
            await flow.give_up(session, actor, current.referral, why, now)
        case "accepted" | "rejected" | "in-progress" | "on-hold" | "completed" | "failed":
            raise Forbidden("This is for the agencies' Tasks to say; the parent follows them.", key="wrong-actor")
        case _:
            raise _no_move(current, asked)


async def _share(session: Session, actor: Actor, current: Task, asked: wire.Task, now: datetime) -> None:
    """The hospital or the coordinator on one agency's share: take it back, or void it; the work itself is the agency's."""
    why = _new_reason(current, asked)
    if asked.status == current.status:
        return
    match asked.status:
        case "cancelled":
            await flow.withdraw_share(session, actor, current.id, why, now)
        case "entered-in-error":
            await casework.void_share(session, actor, current.id, why, now)
        case "accepted" | "rejected" | "in-progress" | "on-hold" | "completed" | "failed":
            raise Forbidden("Only the agency that has the share answers it.", key="wrong-actor")
        case _:
            raise _no_move(current, asked)


async def _follow_up(
    session: Session, actor: Actor, current: Task, asked: wire.Task, content: dict[str, Any], now: datetime
) -> None:
    said = follow_ups.said(current, asked, content)
    if said is not None:
        need = follow_ups.new_need(current, said.needs, said.text, now) if said.needs else None
        also = follow_ups.besides(said, need if actor.side == "hospital" else None)
        await followup.outcome(
            session, actor, current.id, said.code, now, said.element, asked.status if asked.status != current.status else None,
            reason=_new_reason(current, asked), supervisor=said.supervisor, need=need, also=also,
        )  # fmt: skip
        return
    if asked.status != current.status:
        if asked.status == "entered-in-error":
            raise Forbidden("A follow-up ends with its referral, or with its outcome.", key="wrong-actor")
        raise Invalid("A follow-up ends with its outcome: give it as output.", at="Task.output", code="required")
    worker = _worker(actor, asked) if actor.side == "agency" else None
    if worker is not None and worker != current.worker:
        await casework.assign(session, actor, current.id, worker, now)


async def _duty(
    session: Session, actor: Actor, current: Task, asked: wire.Task, content: dict[str, Any], now: datetime
) -> None:
    why = _new_reason(current, asked)
    match asked.status:
        case "completed" if current.item == "refer-new-need" and current.open:
            text = next((note.get("text") for note in current.notes), None)
            need = follow_ups.new_need(current, current.needs, text, now)
            await followup.refer_new_need(session, actor, current.id, need, now)
        case "completed":
            await duties.complete(session, actor, current.id, outputs(asked, content), why or current.reason, now)
        case "cancelled":
            await duties.cancel(session, actor, current.id, why or current.reason, now)
        case _ if asked.status == current.status:
            return
        case _:
            raise Invalid("A duty is completed, or cancelled with a reason.", at="Task.status", key="illegal-move")


WORK = ("accepted", "in-progress", "on-hold", "completed")
ENDS_OF_WORK = ("rejected", "failed")


async def _compare(session: Session, actor: Actor, current: Task, content: dict[str, Any], asked: wire.Task) -> None:
    """Whatever is not read must equal some version that the sender could read; anything else would be lost in silence."""
    # Of a follow-up, the verb says who works on it.
    works = actor.side == "agency" or current.kind in ("follow-up", "duty")
    if works:
        read = READ | {"restriction"} if asked.status == "on-hold" else READ
    elif asked.status != current.status and asked.status in (
        WORK if actor.side == "platform" and current.kind == "parent" else WORK + ENDS_OF_WORK
    ):
        return  # That is the agency's to say, whatever else was sent: the move itself is refused.
    else:
        # Who has not the work says that it shall end, and why; a reason goes with that move.
        read = {"status", "statusReason"} if asked.status != current.status else {"status"}
    foreign = {
        key: value
        for key, value in content.items()
        if key not in read and key not in UNREAD and not key.startswith("_")
    }
    kept = await records.version(session, "Task", current.id, current.received) if current.received else None
    received = read_json(kept.body) if kept else None
    open_keys = _differing(foreign, render.task(current, received))
    if not open_keys:
        return
    for version in await store.task_versions(session, current.id):
        open_keys -= {key for key in open_keys if foreign[key] == render.task(version, received).get(key)}
        if not open_keys:
            return
    first = sorted(open_keys)[0]
    raise Invalid(
        "An agency may change only status, statusReason, owner, output and note."
        if works
        else "Of a Task that is not yours to work on, only status changes, with its statusReason.",
        at=f"Task.{first}",
        code="business-rule",
        key="not-yours",
    )


def _differing(content: dict[str, Any], rendered: dict[str, Any]) -> set[str]:
    return {key for key, value in content.items() if rendered.get(key) != value}


async def create(session: Session, actor: Actor, body: bytes, id: Id, now: datetime) -> Task:
    """The coordinator offers a share by hand: POST of a child Task; `owner` names the agency, none lets partners claim it."""
    asked = wire.decode(body, wire.Task, "Task")
    if actor.side != "platform":
        raise Forbidden(
            "A Task is posted by the coordinator; a hospital submits its ServiceRequest, with a Task if it likes.",
            key="wrong-actor",
        )
    if asked.intent != "order":
        raise Invalid("A Task for a referral has intent order.", at="Task.intent", code="value")
    if asked.status != "requested":
        raise Invalid("An offer has status requested.", at="Task.status", code="value")
    referral = await _what(session, asked)
    owner = references.ours(asked.owner, "Organization", at="Task.owner")
    if owner == PLATFORM:
        owner = None
    await flow.offer(session, actor, referral, owner, reason(asked.status_reason), now, needs=_needs(asked), task=id)
    made = await store.task(session, id)
    assert made is not None
    return made


async def _what(session: Session, asked: wire.Task) -> Id:
    """Which referral a posted offer belongs to: by the parent that it is part of, else by its focus."""
    if asked.part_of:
        parent = await store.task(session, references.required(asked.part_of[0], "Task", at="Task.partOf[0]"))
        if parent is None or parent.kind != "parent":
            raise Invalid("An offer is part of the parent Task of a referral.", at="Task.partOf[0]", code="not-found")
        return parent.referral
    focus = references.required(asked.focus, "ServiceRequest", at="Task.focus")
    if await store.referral(session, focus) is None:
        raise Invalid("The focus is not a referral that is known here.", at="Task.focus", code="not-found")
    return focus


def _needs(asked: wire.Task) -> tuple[str, ...] | None:
    """The needs that a share is to cover, as codes of urn:yuanshe:need in its reasonCode; None: all of the referral's."""
    coded = (
        {c.code for c in asked.reason_code.coding if c.system == codes.NEED and c.code} if asked.reason_code else None
    )
    return tuple(sorted(coded)) if coded else None
