"""What a resource brings to the case that it is filed in: which document it is, the goal or plan that it states, who may write it."""

from collections.abc import Sequence

import msgspec

from service import case_codes, codes
from service.access.model import Actor
from service.case_codes import CLIENT_UNIT, GOAL_TYPE
from service.casework import file_store, forms, linkage, phases, store
from service.casework import steps as files
from service.casework.model import Case, Goal, Plan, Written
from service.db import Session
from service.directory import steps as directory
from service.errors import Forbidden, Invalid, Issue
from service.records.model import Record
from service.referrals.model import Task
from service.referrals.steps import Turn
from service.safety.instruments import INSTRUMENTS
from service.values import Id, local_day

FILED = frozenset({"QuestionnaireResponse", "DocumentReference"})
"""What a document is filed as after the share has ended."""
PLANNED = frozenset({"active", "completed", "on-hold"})
"""States of a CarePlan in which it is the service plan."""
DROPPED = frozenset({"revoked", "entered-in-error"})


async def case_for(moving: Turn, own: Task) -> Case | None:
    """The case of a share; None for a follow-up, which has none of its own."""
    return await store.case_of(moving.session, own.id) if own.kind == "share" else None


def supplied(own: Task, case: Case | None, type: str, written: Written, *, known: bool) -> Id | None:
    """The person of what comes after the share has ended: a document, or what became of a goal that is known. It is the
    agency's own paper about its own work, which opens nothing; None where this is not so."""
    late = not own.open and own.status != "entered-in-error" and case is not None and case.phase != "archive"
    fits = (type in FILED and document_of(type, written) is not None) or (type == "Goal" and known)
    return case.patient if late and case and fits else None


def document_of(type: str, written: Written) -> str | None:
    """Which document of urn:yuanshe:case-document a resource is, if it is any; pure."""
    if type == "QuestionnaireResponse" and written.form:
        if written.form in forms.FORMS:
            return forms.FORMS[written.form].document
        return next((code for code, how in phases.DOCUMENTS.items() if written.form in {INSTRUMENTS[key].url for key in how.instruments}), None)  # fmt: skip
    if type == "DocumentReference":
        return written.document
    if type == "Condition" and written.needs:
        return "problem-list"
    return "service-plan" if type == "CarePlan" and written.goals and written.review_at else None


async def taken(
    moving: Turn, own: Task, case: Case, old: Record | None, kept: Record, written: Written
) -> tuple[Record, Case]:
    """The record under the code of the document that it is, and the case with what it says; the goal or plan that it
    states is stored. Raises Invalid with every fault, Forbidden for a supervision note that is not a supervisor's."""
    document = document_of(kept.type, written)
    if document and not codes.known(case_codes.CASE_DOCUMENT, document):
        raise Invalid(f"This is no code of {case_codes.CASE_DOCUMENT}.", at="type", code="code-invalid")
    if document and kept.type == "DocumentReference" and not phases.DOCUMENTS[document].form:
        how = phases.DOCUMENTS[document]
        raise Invalid(f"This document is no file: {how.en}. {how.zh}。", at="type", key="no-file")
    form = forms.FORMS.get(written.form or "")
    if form and written.settled and (issues := forms.faults(form, written.answers)):
        raise Invalid("The form is not filled in.", issues=issues)
    await _written_by_supervisor(moving, case, document, old, written)
    counts = written.settled and (form is None or forms.counts(form, written.answers))
    if kept.type == "CarePlan":
        counts = written.status in PLANNED
        await _plan(moving, case, kept, written)
    elif kept.type == "Goal":
        await _goal(moving, own, case, kept, written)
    if document == "intake-form" and counts:
        case = await files.told(moving, case, written.answers)
    supervised = (document and phases.DOCUMENTS[document].by_supervisor) or (old and old.category == "supervision")
    kept = msgspec.structs.replace(
        kept, code=document if counts else None, category="supervision" if supervised else kept.category
    )
    return kept, case


async def changed(moving: Turn, case: Case) -> None:
    """What follows from a change of the file: how complete it is, what is broken in it, and what is owed next."""
    file = await files.look(moving.session, case, moving.share.needs, moving.now)
    await files.reckoned(moving, file)
    files.owed(moving, file)


async def _written_by_supervisor(
    moving: Turn, case: Case, document: str | None, old: Record | None, written: Written
) -> None:
    """A supervision note is a supervisor's, and no caseworker's to change (domain row 21). A program cannot say who sits before it, so
    through a program a note is never changed: a supervisor writes another."""
    actor = moving.actor
    if old and old.category == "supervision" and actor.role != "supervisor":
        raise Forbidden(
            "A supervision note is not changed by the case's workers: a supervisor writes another.",
            key="supervisor-only",
        )
    if document and phases.DOCUMENTS[document].by_supervisor:
        await supervising(moving, case, actor.worker if actor.kind == "person" else written.author, "author")


async def supervising(moving: Turn, case: Case, worker: Id | None, at: str) -> Id:
    """The worker, where they are a licensed supervisor of the agency and not the case's own worker; a person acts for
    themselves alone. Raises Invalid naming what is missing, Forbidden `supervisor-only`."""
    actor = moving.actor
    if worker is None:
        raise Invalid("Name the supervisor: a PractitionerRole of this agency.", at=at, code="required")
    if actor.kind == "person" and (actor.role != "supervisor" or worker != actor.worker):
        raise Forbidden("This is for a supervisor, in person.", key="supervisor-only")
    if worker not in await directory.supervisors(moving.session, case.agency, local_day(moving.now)):
        raise Forbidden("The worker named is not a licensed supervisor of this agency today.", at=at, key="supervisor-only")  # fmt: skip
    if worker == case.worker:
        raise Forbidden("Nobody supervises their own case: name another supervisor.", at=at, key="own-case")
    return worker


async def check_goals(session: Session, case: Case, wanted: Sequence[Id]) -> None:
    """Raise Invalid where one of these is no goal of the case."""
    known = {goal.id for goal in await file_store.goals(session, case.id)}
    if not known.issuperset(wanted):
        raise Invalid("This names a goal that is none of this case.", at="extension", key="unknown-goal")


async def _goal(moving: Turn, own: Task, case: Case, kept: Record, written: Written) -> None:
    issues = [
        Issue(f"The {what} needs a code of {system}.", at, "code-invalid")
        for what, system, code, at in (
            ("type of a goal", GOAL_TYPE, written.goal_type, "category"), ("client unit", CLIENT_UNIT, written.client_unit, "extension")
        )
        if code is not None and not codes.known(system, code)
    ]  # fmt: skip
    if issues:
        raise Invalid("The goal cannot be recorded so.", issues=issues)
    session, referral = moving.session, moving.loop.referral
    # What is for the request, and names no need of it, is for all that the share was asked for.
    whole = not written.needs and {own.filler, referral.id} & set(written.addresses)
    goal = Goal(
        kept.id, case.id, own.id, case.agency, written.status or "", moving.now, written.goal_type, written.client_unit or "individual",
        tuple(sorted({*written.needs, *(own.needs if whole else ())})), written.measured, written.achievement,
    )  # fmt: skip
    linkage.check_close(goal, await store.interventions(session, own.id))
    if goal.goal_type is None and goal.status not in linkage.GONE:
        for plan in await file_store.plans(session, case.id):
            if goal.id in plan.goals and plan.status not in DROPPED:
                raise Invalid(_NO_TYPE, at="category", code="required", key="goal-type")
    await file_store.save_goal(session, goal)


_NO_TYPE = f"A goal of a plan says what kind of goal it is: a category of {GOAL_TYPE}."


async def _plan(moving: Turn, case: Case, kept: Record, written: Written) -> None:
    if written.status not in DROPPED:
        known = {goal.id: goal for goal in await file_store.goals(moving.session, case.id)}
        issues = [
            Issue("This names a goal that is none of this case.", f"goal[{place}]", "not-found")
            if id not in known
            else Issue(_NO_TYPE, f"goal[{place}]", "required")
            for place, id in enumerate(written.goals)
            if id not in known or known[id].goal_type is None
        ]
        if issues:
            raise Invalid("The plan cannot be recorded so.", issues=issues, key="goal-type")
    plan = Plan(
        kept.id, kept.version, case.id, case.task, case.agency, written.status or "", moving.now, written.goals, written.review_at
    )  # fmt: skip
    await file_store.save_plan(moving.session, plan)


def named(actor: Actor, supervisor: Id | None) -> Id | None:
    """Who signs: the supervisor that a program names, or the person who acts."""
    return supervisor or (actor.worker if actor.kind == "person" and actor.role == "supervisor" else None)
