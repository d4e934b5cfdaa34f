"""The case's own part in a move: opened with the acceptance, kept in step, closed with the share; and whose share it is."""

from collections.abc import Sequence

import msgspec

from service.casework import store
from service.casework.model import Case, Ending, Phase
from service.errors import Invalid, Stale
from service.referrals import steps as referrals
from service.referrals.model import Task
from service.referrals.steps import Turn
from service.values import Id, Reason, new_id


async def opened(moving: Turn) -> Case:
    """A case for the share that was just accepted."""
    share = moving.share
    assert share.agency is not None
    return await _saved(
        moving,
        Case(
            new_id(), 1, share.referral, share.id, share.agency, moving.now, patient=share.patient, worker=share.worker
        ),
    )


async def changed(moving: Turn, phase: Phase | None = None) -> Case:
    """The case follows its share: worker, and the person once disclosed."""
    old = await store.case_of(moving.session, moving.share.id)
    if old is None:
        return await opened(moving)
    case = msgspec.structs.replace(
        old, worker=moving.share.worker, patient=moving.share.patient or old.patient, phase=phase or old.phase
    )
    return old if case == old else await _saved(moving, msgspec.structs.replace(case, version=old.version + 1))


async def closed(moving: Turn, ending: Ending, reason: Reason) -> Case:
    """The case closes with its share, with the same reason."""
    case = await changed(moving)
    return await _saved(
        moving,
        msgspec.structs.replace(
            case, version=case.version + 1, phase="closure", closed_at=moving.now, ending=ending, reason=reason
        ),
    )


async def voided(moving: Turn, shares: Sequence[Task], reason: Reason) -> None:
    """The cases of shares that were recorded in error close with them; one that had ended before keeps its end."""
    await store.close_cases(moving.session, [share.id for share in shares], "void", reason, moving.now)


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
