"""A referral that goes on from another one: a need passed on to others, or a case opened again; called by upper rooms and by submit."""

import msgspec

from service import codes
from service.db import Session, as_platform
from service.errors import Conflict, Issue
from service.patients import store as patients
from service.referrals import steps, store
from service.referrals.crisis import raised
from service.referrals.model import Loop, Referral, Task
from service.routing.model import Decision
from service.safety.urgency import effective
from service.values import Id, local_day, new_id

SYSTEM = "urn:yuanshe:onward"
"""Namespace of the placer's number of a request that the service makes of another one."""


async def linked(session: Session, referral: Referral, old: Id) -> tuple[Referral, tuple[Issue, ...]]:
    """A hospital's new request with the one that it says it is based on; where that has ended and no performer is named, the
    agency that worked on it is asked first. Of a request that is not this patient's nothing follows, and that is said."""
    known = await store.load(session, old)
    if known is None or known.referral.hospital != referral.hospital or known.referral.patient != referral.patient:
        text = "This is no request of yours about this patient: it is kept as sent, and nothing follows from it."
        return referral, (Issue(text, "basedOn", "informational", "warning"),)
    preferred = referral.preferred or (None if known.parent.open else worked(known))
    return msgspec.structs.replace(referral, continues=old, preferred=preferred), ()


def worked(loop: Loop) -> Id | None:
    """The agency that worked on a referral last, one that completed before others."""
    taken = [share for share in loop.shares if share.accepted_at and share.agency]
    best = max(taken, key=lambda share: (share.status == "completed", share.accepted_at), default=None)
    return best.agency if best else None


async def placed(
    moving: steps.Turn, needs: tuple[str, ...], *, to: Id | None, passed_on_by: Id | None = None
) -> Loop:  # fmt: skip
    """A new referral of the same person, for the same hospital, in the words that the old one knows of them: nothing that names
    them goes along, and whom it reaches learns who they are as with every referral. `to` is asked first, and has to be eligible.

    Raises Conflict `not-eligible` with the reason.
    """
    session, now, old = moving.session, moving.now, moving.loop.referral
    patient = await patients.get(session, old.patient)
    assert patient is not None
    made, task = new_id(), new_id()
    urgency = effective(old.urgency, needs, False)
    new = Referral(
        id=made, version=0, hospital=old.hospital, placer_system=SYSTEM, placer_value=str(made), patient=old.patient, parent=task,
        status="active", needs=needs, urgency=old.urgency, effective_urgency=urgency,
        age_band=codes.age_band(patient.birth_date, local_day(now)), gender=patient.gender, received=0, authored_at=now, updated_at=now,
        stay=old.stay, region=old.region or patient.region, language=old.language or patient.language, preferred=to,
        contact_prohibited=old.contact_prohibited, continues=old.id, passed_on_by=passed_on_by,
    )  # fmt: skip
    parent = Task(
        id=task, kind="parent", version=0, referral=made, hospital=old.hospital, status="requested", urgency=urgency, needs=needs,
        authored_at=now, updated_at=now, patient=old.patient,
    )  # fmt: skip
    going = steps.Turn(
        session, moving.actor, None, await steps.with_grounds(session, Loop(new, parent), now), None, now
    )
    going.tell("submit", parent, urgency=new.urgency, needs=list(needs), continues=str(old.id))
    if codes.is_safety(needs):
        going.loop = raised(going.loop, now, session.practice)
        going.tell("raise", parent, sealed=True)
    _eligible(await steps.dispatch(going), to)
    await steps.save(going)
    session.referrals.add(made)
    return going.loop


def _eligible(decision: Decision, to: Id | None) -> None:
    if to is None:
        return
    found = decision.of(to)
    if found is None or not found.eligible:
        why = next((rule.why() for rule in found.rules if rule.result != "pass"), None) if found else None
        raise Conflict(
            f"That agency cannot be asked: {why or 'There is no partnership in force between it and the hospital.'}",
            at="to", key="not-eligible",
        )  # fmt: skip


async def taken(session: Session, referral: Id) -> bool:
    """Whether some agency has accepted a referral that goes on from this one."""
    async with as_platform(session, "look for who goes on"):
        return any(each.taken for each in await store.continued(session, referral))
