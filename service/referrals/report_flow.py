"""The verb of a mandatory report: it is put on record, sealed, and the crisis stands as reported from then on."""

from datetime import date, datetime

from service.access.model import Actor
from service.db import Session
from service.errors import Forbidden, Invalid, NotFound
from service.records import store as records
from service.records.model import Record
from service.referrals import crisis, steps
from service.referrals.model import CrisisOwner, Task
from service.safety import reporting
from service.safety import store as safety
from service.safety.model import MandatoryReport, Timeliness
from service.safety.reporting import NewReport
from service.values import Reason, days

READERS = frozenset({"hospital", "referrer", "agency", "supervisor", "platform", "coordinator"})
"""Roles that may read reports at all: of their own organisation, or the platform's of all."""
ON_RECORD = Reason("reported", "A mandatory report was made and is on record.")


async def record_report(session: Session, actor: Actor, new: NewReport, body: bytes, now: datetime) -> MandatoryReport:
    """Put a report to the police on record, or correct the one with this id in a new version; `body` as received.

    The referral's hospital does it, or an agency that has accepted a share of it: the duty waits for no consent and ends
    with no share. In the same transaction the crisis stands as reported; where none is up, the report raises it. Who reads
    it is the organisation that wrote it (of an agency its supervisor), and the platform. Raises Invalid with every fault.
    """
    async with steps.on_referral(session, actor, new.referral, now) as moving:
        share = _permitted(moving)
        known = share.patient if share else moving.loop.referral.patient
        if new.about is not None and new.about not in (known, share.stand_in if share else None):
            raise Invalid("The report is about another person than the referral.", at="subject", key="other-subject")
        if issues := reporting.faults(new, now):
            raise Invalid("The report cannot be recorded so.", issues=issues)
        old = await records.current(session, "QuestionnaireResponse", new.id)
        if old is not None and (
            old.category != "safety" or old.author != actor.organization or old.referral != new.referral
        ):
            raise NotFound("There is no such report of this organisation on this referral.")
        if old is None and not new.void:
            _reported(moving, share)
        version = old.version + 1 if old else 1
        await records.keep(
            session,
            [Record(new.id, version, "QuestionnaireResponse", "safety", actor.organization, body, now,
                    hospital=moving.loop.referral.hospital, agency=share.agency if share else None, patient=known,
                    referral=new.referral, task=share.id if share else None,
                    status="entered-in-error" if new.void else "completed")],
        )  # fmt: skip
        made = MandatoryReport(
            record=new.id, version=version, referral=new.referral, patient=moving.loop.referral.patient,
            hospital=moving.loop.referral.hospital, author=actor.organization, situation=new.situation, known_at=new.known_at,
            reported_at=new.reported_at, channel=new.channel, receiver=new.receiver, reporter=new.reporter, recorded_at=now,
            receipt=new.receipt, preserved=new.preserved, void=new.void,
        )  # fmt: skip
        await safety.save_report(session, made)
    return made


def _permitted(moving: steps.Turn) -> Task | None:
    """The agency's share, or None for the hospital. Raises Forbidden, or NotFound where one may not know of the referral."""
    actor, referral = moving.actor, moving.loop.referral
    if actor.side == "hospital" and actor.organization == referral.hospital:
        return None
    own = [share for share in moving.loop.shares if share.agency == actor.organization]
    if actor.side != "agency" or not own:
        if actor.side == "platform":
            raise Forbidden("A report is recorded by who made it: the hospital or the agency.", key="wrong-actor")
        raise NotFound("There is no such referral, or it is not yours to see.")
    taken = [share for share in own if share.accepted_at]
    if not taken:
        raise Forbidden("A report is recorded by an agency that has accepted the referral.", key="wrong-actor")
    return taken[-1]


def _reported(moving: steps.Turn, share: Task | None) -> None:
    before = moving.loop.referral.crisis
    if before is not None and before.reported:
        return
    owner: CrisisOwner = "hospital" if moving.loop.parent.open else "coordinator"
    moving.loop = crisis.reported(moving.loop, moving.now, moving.practice, owner)
    if before is None:
        moving.tell("raise", share, Reason("raised", ON_RECORD.text), sealed=True)
    moving.tell("reported", share, ON_RECORD, sealed=True)


async def timeliness(session: Session, actor: Actor, first: date, last: date) -> Timeliness:
    """How soon reports were made, of the days from `first` to `last`: the platform's of all, an organisation's of its own."""
    if actor.role not in READERS:
        raise Forbidden("These figures are for who may read the reports.", key="wrong-actor")
    return await safety.timeliness(session, *days(first, last), session.practice.crisis_report.minutes)
