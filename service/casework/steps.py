"""The case's own part in a move: opened with the acceptance, kept in step, closed with the share; and whose share it is."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from service.casework import agenda, file_store, handing_over_store, linkage, phases, store
from service.casework.model import Answered, Case, CaseFile, Ending, Filed, Phase, Step
from service.db import Session, as_platform
from service.errors import Invalid, Stale
from service.referrals import steps as referrals
from service.referrals import transitions
from service.referrals.model import Task
from service.referrals.steps import Turn
from service.safety import store as safety
from service.values import Id, Reason, new_id


async def opened(moving: Turn) -> Case:
    """A case for the share that was just accepted."""
    share = moving.share
    assert share.agency is not None
    case = Case(
        new_id(), 1, share.referral, share.id, share.agency, moving.now, patient=share.patient, worker=share.worker
    )
    await _saved(moving, case)
    await file_store.enter(moving.session, case.agency, _step(moving, case, 1))
    return case


async def changed(moving: Turn, phase: Phase | None = None) -> Case:
    """The case follows its share: worker, and the person once disclosed. What moves a case by moving its share asks for no
    document: what the file lacks by then stands in its history, and shows (docs/decisions/case-gates.md)."""
    old = await store.case_of(moving.session, moving.share.id)
    if old is None:
        return await opened(moving)
    case = msgspec.structs.replace(
        old, worker=moving.share.worker, patient=moving.share.patient or old.patient, phase=phase or old.phase
    )
    if case == old:
        return old
    if case.worker and case.worker != old.worker:
        # Who becomes its owner is not its second worker any more.
        await handing_over_store.end_own_co_work(moving.session, case.worker, [case.task], moving.now)
    case = await _saved(moving, msgspec.structs.replace(case, version=old.version + 1))
    if case.phase != old.phase:
        await _enter(moving, case)
    return case


async def closed(moving: Turn, ending: Ending, reason: Reason) -> Case:
    """The case closes with its share, with the same reason."""
    old = await changed(moving)
    case = msgspec.structs.replace(
        old, version=old.version + 1, phase="closure", closed_at=moving.now, ending=ending, reason=reason
    )
    await _saved(moving, case)
    await _enter(moving, case)
    return case


async def voided(moving: Turn, shares: Sequence[Task], reason: Reason) -> None:
    """The cases of shares that were recorded in error close with them; one that had ended before keeps its end."""
    actor = moving.actor
    await store.close_cases(
        moving.session, [share.id for share in shares], "void", reason, moving.now, actor.id, actor.role
    )


async def entered(moving: Turn, file: CaseFile, step: Step) -> CaseFile:
    """The case enters the phase of this step, which is stored; the file as it then is."""
    case = msgspec.structs.replace(file.case, version=file.case.version + 1, phase=step.phase)
    await _saved(moving, case)
    await file_store.enter(moving.session, case.agency, step)
    return msgspec.structs.replace(file, case=case, steps=(*file.steps, step))


async def told(moving: Turn, case: Case, answers: Sequence[Answered]) -> Case:
    """The case with what its intake form says of how the person came to it, and where they belong."""
    said = {item: [each.code for each in answers if each.item == item and each.code] for item in ("source", "domain", "population")}  # fmt: skip
    new = msgspec.structs.replace(
        case,
        source=next(iter(said["source"]), None),
        domain=next(iter(said["domain"]), None),
        populations=tuple(dict.fromkeys(said["population"])),
    )
    return case if new == case else await _saved(moving, msgspec.structs.replace(new, version=case.version + 1))


async def _enter(moving: Turn, case: Case) -> None:
    """The history of a case that its share has moved, with what it lacked."""
    file = await look(moving.session, case, moving.share.needs, moving.now)
    step = _step(moving, case, len(file.steps) + 1)
    file = msgspec.structs.replace(file, steps=(*file.steps, step))
    lacks = tuple(dict.fromkeys(lack.document for lack in phases.standing(file).lacks))
    await file_store.enter(moving.session, case.agency, msgspec.structs.replace(step, missing=lacks))
    await reckoned(moving, file)


def _step(moving: Turn, case: Case, number: int) -> Step:
    return Step(case.id, number, case.phase, moving.now, moving.actor.id, moving.actor.role, case.worker)


async def look(session: Session, case: Case, needs: tuple[str, ...], now: datetime) -> CaseFile:
    """The whole file of a case, as far as its phase is decided on it."""
    filed = await file_store.documents(session, case, tuple(phases.DOCUMENTS))
    parts = await file_store.parts(session, case)
    return CaseFile(
        case, needs, now, steps=parts.steps,
        documents=tuple(sorted((*filed, *await _screened(session, case)), key=lambda each: each.at)),
        goals=parts.goals, plans=parts.plans, interventions=tuple(await store.interventions(session, case.task)),
        approvals=parts.approvals, follow_ups=parts.follow_ups,
    )  # fmt: skip


async def _screened(session: Session, case: Case) -> list[Filed]:
    """What the referring hospital screened the person for, once the agency knows who it is: that it was done, and where the
    answers are, which the agency reads while it may. So the file says the same after the share's end as before."""
    if case.patient is None:
        return []
    async with as_platform(session, "whether the person was screened"):
        found = await safety.of_referral(session, case.referral)
    return [
        Filed(code, "QuestionnaireResponse", each.response, each.version, each.computed_at)
        for code, how in phases.DOCUMENTS.items()
        for each in found
        if each.instrument in how.instruments and not each.missing and each.author != case.agency
    ]


async def reckoned(moving: Turn, file: CaseFile) -> None:
    """Keep what follows from the file as it now is: how complete it is, and which links in it are broken."""
    await file_store.reckon(moving.session, file.case.id, phases.standing(file))
    await file_store.orphaned(moving.session, file.case, linkage.orphans(file), moving.now)


def owed(moving: Turn, file: CaseFile, *, afresh: bool = False) -> None:
    """Let the share's next due item be what the file says: `afresh` in a new phase; else only in the intervention, where a
    plan, a supervision note or an appointment can change it, and never to what has passed: that was told already."""
    share, practice = moving.share, moving.practice
    found = agenda.due(file, practice)
    if found is None or share.status != "in-progress":
        return
    item, clock = found
    if not afresh and (file.case.phase != "intervention" or clock.due <= moving.now):
        return
    loop = transitions.owes_next(moving.loop, share, item, clock, moving.now, practice)
    if loop is not moving.loop:
        moving.loop = loop
        moving.tell("due", moving.share, what=item)


async def _saved(moving: Turn, case: Case) -> Case:
    if not await store.save_case(moving.session, case):
        raise Stale("The case was changed by somebody else meanwhile; read it again.")
    return case


def share_of(moving: Turn, task: Id) -> Task:
    """The share that a turn is about; Invalid when the Task is none."""
    if not any(share.id == task for share in moving.loop.shares):
        raise Invalid("This move is made on an agency's share of a referral.", at="id", key="no-share")
    return moving.share


def own_share(moving: Turn, task: Id) -> Task:
    """The share, for the agency that has it; the hospital sees it and may not move it so."""
    referrals.only(moving.actor, "agency")
    share = share_of(moving, task)
    referrals.own_agency(moving)
    return share
