"""What people do with a referral: submit, offer, decline, ask, answer, withdraw, give up, void."""

from datetime import datetime
from typing import Any

import msgspec

from service import codes
from service.access.model import Actor
from service.db import Session, as_platform
from service.directory import duty_store
from service.directory import steps as directory
from service.directory.duty import Person
from service.errors import Conflict, Forbidden, Invalid, Issue, NotFound
from service.patients import store as patients
from service.patients.model import Patient
from service.records import store as records
from service.records.model import Record
from service.referrals import onward, settling, steps, store, transitions
from service.referrals.crisis import raised
from service.referrals.lifecycle import check
from service.referrals.model import Loop, NewReferral, NextStep, Referral, Task
from service.routing import steps as routing
from service.routing.model import Decision
from service.safety.urgency import effective
from service.values import Id, Reason, local_day

DECLINE = "urn:yuanshe:decline-reason"
CLOSURE = "urn:yuanshe:closure-reason"


class Submitted(msgspec.Struct, frozen=True):
    """What became of a submission: the loop as stored, and warnings for the submitter."""

    loop: Loop
    warnings: tuple[Issue, ...] = ()


class Known(msgspec.Struct, frozen=True):
    """The same submission was stored before: where its entries are."""

    referral: Id
    locations: tuple[str, ...]


async def claim(
    session: Session, actor: Actor, system: str, value: str, digest: bytes, referral: Id, locations: tuple[str, ...]
) -> Known | None:
    """Take the placer's number before anything is stored. The same content again: where it is stored; other content:
    Conflict `duplicate` that names the stored referral. Of parallel tries one goes on, the others wait for it."""
    steps.only(actor, "hospital")
    if await store.claim_number(session, actor.organization, system, value, digest, referral, locations):
        return None
    known = await store.submitted(session, actor.organization, system, value)
    assert known is not None
    stored_digest, stored_id, stored_locations = known
    if stored_digest != digest:
        raise Conflict(
            f"This placer identifier was used before, with other content: ServiceRequest/{stored_id}. "
            "A changed need is a new ServiceRequest with a new identifier that replaces the old one.",
            at="identifier", code="duplicate", key="duplicate", names={"ServiceRequest": str(stored_id)},
        )  # fmt: skip
    return Known(stored_id, stored_locations)


async def submit(
    session: Session, actor: Actor, new: NewReferral, now: datetime, patient: Patient | None = None
) -> Submitted:
    """Store a hospital's referral, route it and make the first offer, all in the caller's transaction.

    The patient and the stay are stored already; `patient` is read where the caller does not have it at hand. Raises
    Invalid when the need cannot be placed as asked, Conflict when the request that it replaces is not the hospital's
    open one.
    """
    steps.only(actor, "hospital")
    if patient is None:
        patient = await patients.get(session, new.patient)
    if patient is None or patient.hospital != actor.organization:
        raise NotFound("The subject is not a patient of this hospital.", at="subject")
    region = new.region or patient.region
    session.patients.add(patient.id)
    urgency = effective(new.urgency, new.needs, new.signs_crisis)
    referral = Referral(
        id=new.id, version=0, hospital=actor.organization, placer_system=new.placer_system, placer_value=new.placer_value,
        patient=patient.id, parent=new.task, status="active", needs=new.needs, urgency=new.urgency, effective_urgency=urgency,
        age_band=codes.age_band(patient.birth_date, local_day(now)), gender=patient.gender, received=1, authored_at=new.authored_at,
        updated_at=now, stay=new.stay, region=region, language=new.language or patient.language, preferred=new.preferred,
        contact_prohibited=new.contact_prohibited, replaces=new.replaces,
        after_death=patient.deceased or (not new.newcomer and await patients.died(session, patient.id)),
        populations=new.populations,
    )  # fmt: skip
    unknown: tuple[Issue, ...] = ()
    if new.continues:
        referral, unknown = await onward.linked(session, referral, new.continues)
    parent = Task(
        id=new.task, kind="parent", version=0, referral=new.id, hospital=actor.organization, status="requested", urgency=urgency,
        needs=new.needs, authored_at=now, updated_at=now, patient=patient.id, received=1 if new.task_body else 0,
    )  # fmt: skip
    warnings = () if new.newcomer else await _look_alikes(session, referral)
    if new.replaces:
        await _supersede(session, actor, new.replaces, now)
    loop = Loop(referral, parent)
    if not new.newcomer:
        loop = await steps.with_grounds(session, loop, now)
    moving = steps.Turn(session, actor, None, loop, None, now)
    if referral.continues:
        moving.tell("submit", parent, urgency=new.urgency, needs=list(new.needs), continues=str(referral.continues))
    else:
        moving.tell("submit", parent, urgency=new.urgency, needs=list(new.needs))
    if new.signs_crisis or codes.is_safety(new.needs):
        moving.loop = raised(moving.loop, now, session.practice)
        moving.tell("raise", parent, Reason("raised", None), sealed=True)
    await records.keep(session, _received(new, referral, now))
    decision = await steps.dispatch(moving)
    await steps.save(moving)
    await store.add_populations(session, moving.loop.referral)
    return Submitted(moving.loop, (*warnings, *unknown, *_passed_over(new, decision)))


def _passed_over(new: NewReferral, decision: Decision) -> tuple[Issue, ...]:
    """A performer whom the hospital named and who could not be offered it is not passed over without a word."""
    if new.preferred is None:
        return ()
    named = decision.of(new.preferred)
    if named is not None and named.eligible:
        return ()
    why = next((rule.why() for rule in named.rules if rule.result != "pass"), None) if named else None
    text = why or "There is no partnership between this hospital and the performer named."
    return (Issue(f"{text} Routing decided.", "performer[0]", "informational", "warning"),)


def _received(new: NewReferral, referral: Referral, now: datetime) -> list[Record]:
    kept = [
        Record(new.id, 1, "ServiceRequest", "request", referral.hospital, new.body, now, hospital=referral.hospital,
               patient=referral.patient, referral=new.id, returned=True),
        *new.received,
    ]  # fmt: skip
    if new.task_body:
        kept.append(
            Record(new.task, 1, "Task", "request", referral.hospital, new.task_body, now, hospital=referral.hospital,
                   patient=referral.patient, referral=new.id, returned=True)
        )  # fmt: skip
    return kept


async def _look_alikes(session: Session, referral: Referral) -> tuple[Issue, ...]:
    return tuple(
        Issue(
            f"There is an open referral of this patient for the same need: ServiceRequest/{other}.",
            "subject",
            "duplicate",
            "warning",
        )
        for other in await store.alike(session, referral.patient, referral.needs, referral.id)
        if other != referral.replaces
    )


async def _supersede(session: Session, actor: Actor, old: Id, now: datetime) -> None:
    """A changed need replaces the old request: of the two only the new one stays open."""
    known = await store.referral(session, old)
    if known is None or known.hospital != actor.organization:
        raise NotFound("The request to replace is not known here.", at="replaces")
    async with steps.on_referral(session, actor, old, now) as moving:
        if not moving.loop.parent.open:
            raise Conflict("The request to replace has already ended.", at="replaces", key="not-current")
        if any(share.accepted_at and share.open for share in moving.loop.shares):
            raise Conflict(
                "An agency has accepted the request to replace; withdraw it first.", at="replaces", key="accepted"
            )
        await steps.end(moving, "cancelled", "withdrawn", Reason(None, "Replaced by a new request."), "withdraw")


async def decline(session: Session, actor: Actor, task: Id, reason: Reason | None, now: datetime) -> Loop:
    """The agency refuses an offer, with a coded reason; the next agency is offered it in the same transaction."""
    async with steps.turn(session, actor, task, now) as moving:
        steps.own_agency(moving)
        moving.permit("decline")
        why = steps.coded(reason, DECLINE)
        wanted = moving.share.needs
        moving.loop = transitions.declined(moving.loop, moving.share, why, now)
        moving.tell("decline", moving.share, why)
        await steps.redispatch(moving, wanted)
    return moving.loop


async def withdraw(session: Session, actor: Actor, referral: Id, reason: Reason | None, now: datetime) -> Loop:
    """The hospital takes its referral back: at once before acceptance, afterwards as a request that the agency confirms
    or overrides by completing. A referral that has ended cannot be withdrawn."""
    steps.only(actor, "hospital", "platform")
    why = reason if reason and reason.text else Reason(reason.code if reason else None, "withdrawn by the placer")
    async with steps.on_referral(session, actor, referral, now) as moving:
        steps.own_hospital(moving)
        if not moving.loop.parent.open:
            raise Invalid(
                "This referral has ended; only a current one can be withdrawn.", at="status", key="not-current"
            )
        live = [share for share in moving.loop.shares if share.open and share.accepted_at]
        if live:
            # What nobody has accepted yet needs nobody's confirmation.
            steps.withdraw_offers(moving, why)
        for share in live:
            if "cancel" not in share.clocks:
                check("request-cancel", share, steps.lifecycle_side(actor))
                moving.loop = transitions.cancel_requested(moving.loop, share, why, now, session.practice)
                moving.tell("request-cancel", moving.loop.share(share.id), why)
        if not live:
            await steps.end(moving, "cancelled", "withdrawn", why, "withdraw")
    return moving.loop


async def refuse(session: Session, actor: Actor, referral: Id, reason: Reason | None, now: datetime) -> Loop:
    """The coordinator does not take a referral on, with advice, before any acceptance."""
    steps.only(actor, "platform")
    why = steps.coded(reason, DECLINE)
    async with steps.on_referral(session, actor, referral, now) as moving:
        if not moving.loop.parent.open or any(share.accepted_at for share in moving.loop.shares):
            raise Invalid("A referral is refused only before any agency accepted it.", at="status", key="illegal-move")
        await steps.end(moving, "rejected", "refused", why, "refuse")
    return moving.loop


async def give_up(session: Session, actor: Actor, referral: Id, reason: Reason | None, now: datetime) -> Loop:
    """Every share has ended and the coordinator gives up what is left, with a reason: the referral has failed, or is
    completed where another part of it was."""
    steps.only(actor, "platform")
    if reason is None or not reason.text:
        raise Invalid("A reason with text is required.", at="statusReason.text", code="required")
    async with steps.on_referral(session, actor, referral, now) as moving:
        if not moving.loop.parent.open or any(share.open for share in moving.loop.shares):
            raise Invalid("Giving up needs every share to have ended.", at="status", key="illegal-move")
        if any(share.status == "completed" for share in moving.loop.shares):
            moving.loop = steps.to_coordinator(
                msgspec.structs.replace(moving.loop, parent=settling.completed(moving.loop, now))
            )
            moving.tell("give-up", moving.loop.parent, reason)
        else:
            status = "rejected" if moving.loop.parent.status == "requested" else "failed"
            await steps.end(moving, status, "failed", reason, "give-up")
    return moving.loop


async def withdraw_share(session: Session, actor: Actor, task: Id, reason: Reason | None, now: datetime) -> Loop:
    """One offer is taken back by its hospital or the coordinator, with a reason; the next agency is offered it."""
    if reason is None or not reason.text:
        raise Invalid("A reason with text is required.", at="statusReason.text", code="required")
    async with steps.turn(session, actor, task, now) as moving:
        if moving.share.accepted_at is not None:
            moving.permit("request-cancel")
            moving.loop = transitions.cancel_requested(moving.loop, moving.share, reason, now, session.practice)
            moving.tell("request-cancel", moving.share, reason)
        else:
            moving.permit("withdraw")
            wanted = moving.share.needs
            moving.loop = steps.to_coordinator(transitions.withdrawn(moving.loop, moving.share, reason, now))
            moving.tell("withdraw", moving.share, reason)
            await steps.redispatch(moving, wanted)
    return moving.loop


async def offer(
    session: Session, actor: Actor, referral: Id, agency: Id | None, reason: Reason | None, now: datetime,
    *, needs: tuple[str, ...] | None = None, task: Id | None = None,
) -> Loop:  # fmt: skip
    """The coordinator offers a share by hand: to one agency, or to every eligible partner when `agency` is None.

    Overriding needs a reason when the agency is not the one that routing would pick. Without a partnership valid today:
    Conflict `no-active-partnership`.
    """
    steps.only(actor, "platform")
    async with steps.on_referral(session, actor, referral, now) as moving:
        loop = moving.loop
        if not loop.parent.open:
            raise Invalid("This referral has ended; nothing can be offered.", at="partOf", key="not-current")
        wanted = needs or loop.referral.needs
        if not set(wanted) <= set(loop.referral.needs):
            raise Invalid("A share covers only needs of its referral.", at="reasonCode", key="foreign-need")
        if any(share.open and share.accepted_at and set(share.needs) & set(wanted) for share in loop.shares):
            raise Conflict(
                "An agency has accepted this need; it is not offered again meanwhile.", at="owner", key="taken"
            )
        decision = await routing.route(session, steps.need_of(loop, wanted), loop.referral.id, now)
        if agency is None:
            share = transitions.offered(loop.referral, None, now, session.practice, needs=needs, task=task)
            may = [candidate.agency for candidate in decision.candidates if candidate.eligible]
            if not may:
                raise Conflict("No partner is eligible to claim this offer.", at="owner", key="nobody-eligible")
            moving.loop = loop.with_share(share)
            moving.tell("offer", share, reason, open_to=len(may))
            await store.open_offer(session, share.id, may)
        else:
            candidate = next((c for c in decision.candidates if c.agency == agency), None)
            if candidate is None or not candidate.passes("partnership"):
                raise Conflict(
                    "There is no partnership in force between this hospital and that agency.",
                    at="owner",
                    key="no-active-partnership",
                )
            if not candidate.passes("protection"):
                raise Conflict(
                    "A safety need goes to protection-qualified agencies only.", at="owner", key="not-qualified"
                )
            if not candidate.eligible and (reason is None or not reason.text):
                raise Invalid(
                    "This agency does not pass every rule; an override needs a reason.",
                    at="statusReason.text",
                    key="override-reason",
                )
            if any(share.open and share.agency == agency for share in loop.shares):
                raise Conflict("This agency already has a share of this referral.", at="owner", key="has-share")
            reply = steps.agreed_reply(candidate.reply_limits, loop.referral.effective_urgency)
            share = transitions.offered(loop.referral, agency, now, session.practice, reply, needs=needs, task=task)
            if candidate.service is None or not await directory.take_place(session, candidate.service, share.id):
                raise Conflict("That agency has no free place.", at="owner", key="no-capacity")
            moving.loop = loop.with_share(share)
            moving.tell("offer", share, reason, rank=candidate.rank)
        await routing.keep(session, loop.referral.id, decision, actor, now)
    return moving.loop


async def dry_run(session: Session, actor: Actor, new: NewReferral, patient: Any, now: datetime) -> Decision:
    """Who would receive this, and why, and why not the others; nothing is stored."""
    steps.only(actor, "hospital", "platform")
    urgency = effective(new.urgency, new.needs, new.signs_crisis)
    referral = Referral(
        id=new.id, version=0, hospital=actor.organization, placer_system=new.placer_system, placer_value=new.placer_value,
        patient=new.patient, parent=new.task, status="active", needs=new.needs, urgency=new.urgency, effective_urgency=urgency,
        age_band=codes.age_band(patient.birth_date, local_day(now)), gender=patient.gender, received=0, authored_at=now, updated_at=now,
        region=new.region or patient.region, language=new.language or patient.language, preferred=new.preferred,
    )  # fmt: skip
    parent = Task(new.task, "parent", 0, new.id, actor.organization, "requested", urgency, new.needs, now, now)
    return await routing.route(session, steps.need_of(Loop(referral, parent)), referral.id, now)


class Timeline(msgspec.Struct, frozen=True):
    """A referral's history and its next step, as the reader may see them; in a crisis with who is on duty for it now, where a
    roster names one: their name and telephone are for people to call."""

    events: tuple[dict[str, Any], ...]
    next: NextStep | None
    on_duty: Person | None = None


async def timeline(session: Session, actor: Actor, referral: Id) -> Timeline:
    """Every event with who, when and why; sealed steps hide their why from all but the platform. NotFound when not visible."""
    found = await store.referral(session, referral)
    if found is None:
        raise NotFound("There is no such referral, or it is not yours to see.")
    session.patients.add(found.patient)
    step = await store.step(session, referral)
    who = await on_duty(session, step) if step is not None and found.crisis is not None else None
    return Timeline(await events_for(session, actor, referral), step, who)


async def on_duty(session: Session, step: NextStep) -> Person | None:
    """Who is on duty now where a crisis waits: for whoever may see the referral, which the caller has permitted."""
    async with as_platform(session, "look at who is on duty"):
        shift = (await duty_store.on_duty(session, [step.organization], session.began)).get(step.organization)
    return shift.first if shift else None


async def events_for(session: Session, actor: Actor, referral: Id) -> tuple[dict[str, Any], ...]:
    """The events that the scope may see, in order; a sealed one of another's reads “restricted” to all but the platform."""
    events = await store.timeline(session, referral)
    if actor.side == "platform":
        return tuple(events)
    sealed = {"reason_code": None, "reason_text": None, "data": "{}", "kind": "restricted"}
    return tuple(
        event | sealed if event["sealed"] and event["by_organization"] != actor.organization else event
        for event in events
    )


class Page(msgspec.Struct, frozen=True):
    """One page of a queue; `count` stops at 1,001 (“1,000+”)."""

    tasks: tuple[Task, ...]
    count: int


async def queue(
    session: Session,
    actor: Actor,
    now: datetime,
    *,
    status: str | None = None,
    need: str | None = None,
    after: Task | None = None,
    limit: int = 50,
) -> Page:
    """The actor's agency's open Tasks: most urgent first, then soonest due."""
    if actor.side != "agency":
        raise Forbidden("The queue is an agency's.", key="wrong-actor")
    tasks = await store.queue(session, actor.organization, status, need, after, limit)
    session.patients.update(task.patient for task in tasks if task.patient)
    return Page(tuple(tasks), await store.queue_count(session, actor.organization, status, need))
