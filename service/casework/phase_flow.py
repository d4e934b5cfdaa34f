"""The verbs of a case's phases: look at the file, let a supervisor sign, advance or go back (service/casework/phases.py)."""

from datetime import datetime

import msgspec

from service.access.model import Actor
from service.case_codes import CASE_DOCUMENT
from service.casework import file_store, phases, store
from service.casework import filing_steps as filing
from service.casework import steps as files
from service.casework.model import Approval, Case, CaseFile, Lack, Phase, Step
from service.codes import CASE_PHASE, known
from service.db import Session
from service.errors import Conflict, Invalid, NotFound
from service.referrals import steps
from service.referrals import store as referrals
from service.values import Id, new_id


async def file(session: Session, actor: Actor, task: Id, now: datetime) -> CaseFile:
    """The case of a share with all that is known of it, for its agency. NotFound for everybody else."""
    steps.only(actor, "agency")
    share = await referrals.task(session, task)
    case = await store.case_of(session, task)
    if share is None or case is None:
        raise NotFound(steps.CANNOT_TELL)
    if case.patient:
        session.patients.add(case.patient)
    return await files.look(session, case, share.needs, now)


async def advance(
    session: Session, actor: Actor, task: Id, to: str, reason: str | None, supervisor: Id | None, now: datetime, *, waive: bool = False
) -> CaseFile:  # fmt: skip
    """The case goes on to another phase, or back to an earlier one with a reason; where it is already, nothing changes.

    Forward it needs the documents of every phase behind it: Conflict `documents-missing` names each that is missing, and how
    to supply it. `supervisor` signs what the phases that are left ask a signature for. `waive`: to the archive alone, with a
    supervisor and a reason, in spite of what is missing, which stays recorded.
    """
    async with steps.turn(session, actor, task, now) as moving:
        share = files.own_share(moving, task)
        case = await _case(session, task)
        if not known(CASE_PHASE, to):
            raise Invalid(f"This is no code of {CASE_PHASE}.", at=phases.TO, code="code-invalid")
        phase: Phase = to  # pyright: ignore[reportAssignmentType]
        found = await files.look(session, case, share.needs, now)
        if case.phase == phase:
            return found
        back = phases.goes_back(found, phase)
        if not reason and (back or waive):
            raise Invalid("Say why: a reason in text.", at=phases.TO, code="required")
        if waive and (phase != "archive" or filing.named(actor, supervisor) is None):
            raise Invalid(
                "A supervisor may do without what is missing, and only for the archive.", at=phases.TO, key="waiver"
            )
        signer = filing.named(actor, supervisor)
        if supervisor is None and signer == case.worker and not waive:
            # A supervisor who works the case themselves moves it as its worker, and signs nothing.
            signer = None
        if signer is not None:
            signer = await filing.supervising(moving, case, signer, phases.TO)
        missing: tuple[Lack, ...] = ()
        if not back:
            wanted = [lack.document for lack in phases.lacking(found, phase) if lack.signature]
            if signer is not None:
                found = await _signed(moving, found, wanted, signer, reason)
            missing = phases.lacking(found, phase)
            phases.check(found, phase, share.status, waived=waive)
        step = Step(
            case.id, len(found.steps) + 1, phase, now, actor.id, actor.role, case.worker, reason, signer,
            tuple(dict.fromkeys(lack.document for lack in missing)), waive and bool(missing),
        )  # fmt: skip
        found = await files.entered(moving, found, step)
        await files.reckoned(moving, found)
        moving.tell("advance", share, phase=phase)
        files.owed(moving, found, afresh=True)
    return found


async def approve(
    session: Session, actor: Actor, task: Id, document: str, supervisor: Id | None, note: str | None, now: datetime, *,
    version: int | None = None,
) -> CaseFile:  # fmt: skip
    """A licensed supervisor of the agency, other than the case's worker, signs a document as it now stands; a later version
    of it needs another signature. Signing again changes nothing. `version`: the one that was read; Conflict `nothing-to-sign`
    where there is a later one."""
    async with steps.turn(session, actor, task, now) as moving:
        share = files.own_share(moving, task)
        case = await _case(session, task)
        signable = [stage.signed for stage in phases.PHASES.values() if stage.signed]
        if document not in signable:
            raise Invalid(f"A supervisor signs: {', '.join(signable)}.", at=phases.TO, code="code-invalid")
        signer = await filing.supervising(moving, case, filing.named(actor, supervisor), phases.TO)
        found = await files.look(session, case, share.needs, now)
        if not phases.has(found, document):
            lack = next(Lack(stage.phase, document) for stage in phases.PHASES.values() if document in stage.documents)
            raise Conflict(f"There is no such document yet, of {CASE_DOCUMENT}.", key="documents-missing", issues=[phases.issue(lack)])  # fmt: skip
        newest = next(filed for filed in reversed(found.documents) if filed.document == document)
        if version is not None and newest.version != version:
            raise Conflict("This document was changed meanwhile: read it again.", key="nothing-to-sign")
        if not phases.approved(found, document):
            found = await _signed(moving, found, [document], signer, note)
    return found


async def _signed(moving: steps.Turn, found: CaseFile, documents: list[str], signer: Id, note: str | None) -> CaseFile:
    """The file with the supervisor's signature on the newest version of each of these documents."""
    made: list[Approval] = []
    for document in documents:
        newest = next(filed for filed in reversed(found.documents) if filed.document == document)
        made.append(
            Approval(new_id(), found.case.id, document, newest.id, newest.version, signer, moving.now, moving.actor.id, note)
        )  # fmt: skip
    await file_store.approve(moving.session, found.case.agency, made)
    return msgspec.structs.replace(found, approvals=(*found.approvals, *made))


async def _case(session: Session, task: Id) -> Case:
    case = await store.case_of(session, task)
    if case is None:
        raise Invalid("There is no case yet: accept the Task first.", at="id", key="no-case")
    return case
