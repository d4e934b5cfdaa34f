"""What an agency writes down of its work: interventions, and the other resources of a case."""

from datetime import datetime

import msgspec

from service.access.model import Actor
from service.case_codes import BENEFIT, CONTACT_TYPE, COORDINATION
from service.casework import filing_steps as filing
from service.casework import steps as files
from service.casework import store
from service.casework.model import Intervention, NewIntervention, Written
from service.codes import METHOD, SERVICE_TYPE, known
from service.db import Session
from service.directory import steps as directory
from service.errors import Invalid, Issue, NotFound, Stale
from service.records import store as records
from service.records.model import Record
from service.referrals import steps
from service.referrals import store as referrals
from service.referrals.lifecycle import LIVE
from service.referrals.model import Task, Visit
from service.values import LATE_CLOCK, Id


async def record_intervention(
    session: Session, actor: Actor, new: NewIntervention, body: bytes, now: datetime
) -> Intervention:
    """Write down what was done with or for the person, new or the next version of one's own; `body` as received.

    Only while the share goes on and the person's identity is disclosed to the agency. The hospital reads it when the
    Task names it as an output, not before.
    """
    steps.only(actor, "agency")
    async with steps.turn(session, actor, new.task, now) as moving:
        share = files.own_share(moving, new.task)
        patient = _disclosed(share)
        _about(share, new.about)
        old = await store.intervention(session, new.id)
        kept = await records.current(session, "Procedure", new.id)
        if old is not None and (old.agency != actor.organization or old.task != share.id):
            raise NotFound("There is no such intervention of this agency on this Task.", at="basedOn")
        issues = faults(new, now)
        if issues:
            raise Invalid("The intervention cannot be recorded so.", issues=issues)
        worker = new.worker or (old.worker if old else actor.worker or share.worker)
        if new.worker and not await directory.works_for(session, new.worker, actor.organization):
            raise Invalid("The performer is not a worker of this agency.", at="performer", key="foreign-worker")
        case = await files.changed(moving)
        made = Intervention(
            id=new.id, version=old.version + 1 if old else 1, case=case.id, task=share.id, referral=share.referral,
            agency=actor.organization, patient=patient, service_type=new.service_type, status=new.status, method=new.method,
            recorded_at=old.recorded_at if old else now, updated_at=now, started_at=new.started_at, ended_at=new.ended_at,
            minutes=new.minutes, place=new.place, outcome=new.outcome, worker=worker, goals=new.goals, contact=new.contact,
            attendance=new.attendance, coordination=new.coordination, benefit=new.benefit, amount=new.amount,
            noted_at=(old.noted_at if old else None) or (now if new.status == "completed" else None),
        )  # fmt: skip
        if new.goals:
            await filing.check_goals(session, case, new.goals)
        if not await store.save_intervention(session, made):
            raise Stale("The intervention was changed by somebody else meanwhile; read it again.")
        await records.keep(
            session,
            [Record(made.id, made.version, "Procedure", "work", actor.organization, body, now, hospital=share.hospital,
                    agency=actor.organization, patient=patient, referral=share.referral, task=share.id,
                    returned=kept.returned if kept else False, status=made.status, code=made.service_type)],
        )  # fmt: skip
        _mark_recorded(moving)
        moving.loop = moving.loop.with_share(booked(moving.share, new, now))
        moving.tell("record", moving.share, type="Procedure", id=str(made.id), service_type=made.service_type)
        await filing.changed(moving, case)
    return made


def booked(share: Task, new: NewIntervention, now: datetime) -> Task:
    """The share with the appointment that an intervention makes, keeps, or ends; pure."""
    visit = share.visit
    if new.status == "preparation":
        visit = Visit(new.id, "scheduled")
    elif new.status == "not-done" and new.no_show:
        visit = Visit(new.id, "no-show")
    elif visit and visit.intervention == new.id:
        visit = None
    elif visit and visit.state == "no-show" and new.status in ("in-progress", "completed"):
        visit = None  # They met after all, at another time.
    return share if visit == share.visit else msgspec.structs.replace(share, visit=visit, updated_at=now)


def faults(new: NewIntervention, now: datetime) -> tuple[Issue, ...]:
    """What is wrong with an intervention, every fault with its place; pure."""
    found: list[Issue] = []
    if not known(SERVICE_TYPE, new.service_type):
        found.append(Issue(f"The service type needs a code of {SERVICE_TYPE}.", "code", "code-invalid"))
    if not known(METHOD, new.method):
        found.append(Issue(f"The method needs a code of {METHOD}.", "category", "code-invalid"))
    if new.status in ("completed", "in-progress") and new.started_at is None:
        found.append(Issue("Say when it was performed.", "performed", "required"))
    if new.started_at and new.ended_at and new.ended_at < new.started_at:
        found.append(Issue("It ends before it begins.", "performed", "invariant"))
    if new.status == "completed" and new.started_at and new.started_at > now + LATE_CLOCK:
        found.append(Issue("What is completed cannot lie in the future.", "performed", "business-rule"))
    if new.minutes is not None and new.minutes < 0:
        found.append(Issue("Minutes are not negative.", "minutes", "value"))
    for system, code, at in (
        (CONTACT_TYPE, new.contact, "contact-type"), (COORDINATION, new.coordination, "coordination"), (BENEFIT, new.benefit, "benefit")
    ):  # fmt: skip
        if code is not None and not known(system, code):
            found.append(Issue(f"The {at} needs a code of {system}.", "extension", "code-invalid"))
    if new.attendance < 0:
        found.append(Issue("Nobody less than nobody takes part.", "extension", "value"))
    if new.amount is not None and (new.amount < 0 or new.benefit is None):
        found.append(Issue("An amount is that of an application for a benefit, in 分, and not negative.", "extension", "value"))  # fmt: skip
    return tuple(found)


async def record_work(
    session: Session, actor: Actor, record: Record, task: Id | None, now: datetime, written: Written | None = None
) -> Record:
    """Keep another resource of the agency's case (Goal, CarePlan, Observation, QuestionnaireResponse, …), new or its
    next version. The hospital does not read it unless an output names it; it stays the agency's own to read.

    `task` is the agency's share or follow-up; None: the one for which it knows `record.patient` now. `written` is what the
    resource says to the case: a document, a goal, a plan. Invalid `not-disclosed` while identity is not disclosed to the
    agency; a document that the file still lacks, and what became of a goal, are taken after the share has ended, too, until the case is archived.
    """
    steps.only(actor, "agency")
    about = task or (
        await referrals.own_open_task(session, record.patient, actor.organization) if record.patient else None
    )
    if about is None:
        raise _not_disclosed("subject")
    written = written or Written()
    async with steps.turn(session, actor, about, now) as moving:
        own = next((each for each in (*moving.loop.shares, *moving.loop.follow_ups) if each.id == about), None)
        if own is None or own.agency != actor.organization:
            raise NotFound(steps.CANNOT_TELL)
        case = await filing.case_for(moving, own)
        old = await records.current(session, record.type, record.id)
        patient = filing.supplied(own, case, record.type, written, known=old is not None) or _disclosed(own)
        if old is not None and old.author != actor.organization:
            raise NotFound("There is no such resource of this agency.")
        if old is not None and old.referral != own.referral:
            raise Invalid("The resource belongs to another referral.", at="basedOn", key="foreign-referral")
        if record.patient is not None:
            _about(own, record.patient)
        kept = msgspec.structs.replace(
            record, version=old.version + 1 if old else 1, category="case-note", author=actor.organization, at=now,
            hospital=own.hospital, agency=actor.organization, patient=patient, referral=own.referral, task=own.id,
            returned=old.returned if old else False,
        )  # fmt: skip
        if case is not None:
            kept, case = await filing.taken(moving, own, case, old, kept, written)
        await records.keep(session, [kept])
        # Case notes leave no trace in the timeline that both sides read, but for the first, after which there is no return.
        if own.kind == "share" and not own.recorded and own.open:
            _mark_recorded(moving)
            moving.tell("record", moving.share, type=record.type)
        if case is not None:
            await filing.changed(moving, case)
    return kept


def _mark_recorded(moving: steps.Turn) -> None:
    if not moving.share.recorded:
        moving.loop = moving.loop.with_share(
            msgspec.structs.replace(moving.share, recorded=True, updated_at=moving.now)
        )


def _disclosed(task: Task) -> Id:
    """The person, while the Task goes on and identity is disclosed to its agency."""
    going_on = task.status in LIVE
    if not going_on or task.patient is None:
        raise _not_disclosed("basedOn")
    return task.patient


def _about(task: Task, person: Id) -> None:
    """Work is about the Task's person, by their own id or the one that the offer gave in its place."""
    if person not in (task.patient, task.stand_in):
        raise Invalid("The work is about another person than the Task.", at="subject", key="other-subject")


def _not_disclosed(at: str) -> Invalid:
    return Invalid(
        "Work is recorded only while the agency's share goes on and the person's identity is disclosed to it.",
        at=at,
        key="not-disclosed",
    )
