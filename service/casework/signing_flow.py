"""What waits for a supervisor's signature, and giving a document back with words in place of signing it."""

from datetime import datetime

from service.access.model import Actor
from service.casework import filing_steps as filing
from service.casework import phases, store
from service.casework import signing_store as signing
from service.casework import steps as files
from service.casework.signing_store import Returned, Unsigned
from service.db import Session
from service.errors import Conflict, Forbidden, Invalid, NotFound
from service.referrals import steps
from service.referrals import store as referrals
from service.values import Id, new_id

LONGEST = 2000
"""Characters of the words with which a document is given back."""

SIGNS: tuple[tuple[str, str], ...] = tuple(
    (phase, stage.signed)
    for stage in phases.PHASES.values()
    if stage.signed
    for phase in (*phases.before(stage.phase)[-1:], stage.phase)
)
"""In which phases which document is shown for a signature: in the one that asks for it, and in the one before, where it may be
written already."""


async def waiting(session: Session, actor: Actor, after: Id | None = None, limit: int = 50) -> list[Unsigned]:
    """Documents of the agency's cases that a supervisor is to sign as they stand, those of the oldest cases first; for its
    supervisor and its program."""
    _permit(actor)
    found = await signing.unsigned(session, actor.organization, SIGNS, after or Id(int=0), limit)
    session.referrals.update(each.referral for each in found)
    session.patients.update(each.patient for each in found if each.patient)
    return found


async def send_back(
    session: Session, actor: Actor, task: Id, document: str, version: int | None, words: str, now: datetime
) -> Returned:
    """A licensed supervisor of the agency, other than the case's worker, gives a document back: it is not signed as it stands,
    and a later version is looked at again. Raises Invalid without words, Conflict `nothing-to-sign` where it is signed or gone
    on from `version` meanwhile."""
    if not words.strip():
        raise Invalid("Say in words what is to be changed.", at="words", code="required")
    if len(words) > LONGEST:
        raise Invalid(f"At most {LONGEST} characters.", at="words", code="too-long")
    async with steps.turn(session, actor, task, now) as moving:
        files.own_share(moving, task)
        case = await store.case_of(session, task)
        if case is None:
            raise Invalid("There is no case yet: accept the Task first.", at="id", key="no-case")
        signer = await filing.supervising(moving, case, filing.named(actor, None), phases.TO)
        open_now = await signing.unsigned(session, case.agency, SIGNS, Id(int=0), 10, task)
        found = next((each for each in open_now if each.document == document and version in (None, each.version)), None)
        if found is None:
            raise Conflict("This document was signed, given back or changed meanwhile: read it again.", key="nothing-to-sign")  # fmt: skip
        made = Returned(
            new_id(), case.id, task, case.agency, document, found.subject, found.version, signer, actor.id, now, words.strip()
        )  # fmt: skip
        await signing.give_back(session, made)
    return made


async def returned(session: Session, actor: Actor, task: Id) -> list[Returned]:
    """What supervisors gave back of a case, newest first, for its agency. NotFound for everybody else."""
    steps.only(actor, "agency")
    share = await referrals.task(session, task)
    if share is None or share.agency != actor.organization:
        raise NotFound(steps.CANNOT_TELL)
    return await signing.returned(session, task)


def _permit(actor: Actor) -> None:
    if actor.role not in ("agency", "supervisor"):
        raise Forbidden("This is for an agency's supervisor.", key="wrong-actor")
