"""What a hospital says of its patient after the referral: a corrected identity, a death, a death that was none."""

from datetime import datetime

from service.access.model import Actor
from service.db import Session
from service.followup import person as people
from service.followup import person_steps
from service.patients import flow as patients
from service.patients import store
from service.patients.model import Patient
from service.records.model import Record
from service.referrals import steps


async def register(
    session: Session, actor: Actor, patient: Patient, body: bytes, now: datetime, expected: int | None = None,
    *, known: int | None = None, received: list[Record] | None = None, whole: bool = False,
) -> Patient:  # fmt: skip
    """Store a person as `patients.register` does, and let their referrals follow in the same transaction: what an offer shows
    and what routing asks for when a fact is corrected, and at a death the end of all outreach. Everything else that is
    said of a person (a telephone number, a name) is read where it is needed."""
    before = await store.get(session, patient.id) if known != 0 else None
    stored = await patients.register(
        session, actor, patient, body, now, expected, known=known, received=received, whole=whole
    )
    if before is not None and people.known(before) != people.known(stored):
        person = await person_steps.facts(session, stored.id)
        for referral in await person_steps.every_open(session, person, now):
            async with steps.on_referral(session, actor, referral, now) as moving:
                await person_steps.follow(moving, person)
                person_steps.tell_close(moving)
    return stored
