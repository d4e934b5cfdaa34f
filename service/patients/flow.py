"""What a hospital does with its patients: register, correct, record their stays and what else it knows of them."""

from datetime import datetime, timedelta

import msgspec

from service.access.model import Actor
from service.db import Session
from service.errors import Conflict, Forbidden, Invalid, NotFound, Stale
from service.patients import identity, store
from service.patients.model import CITIZEN_NUMBER, Identifier, Patient, Stay
from service.records import store as records
from service.records.model import Record
from service.values import Id


async def find(
    session: Session, actor: Actor, identifiers: tuple[Identifier, ...], *, lock: bool = False
) -> Patient | None:
    """The patient of the actor's hospital with any of these numbers; Conflict when they name several persons.

    With `lock`, for what will be stored over it, nobody else changes that patient until the transaction ends; and one
    with another citizen number is another person, whatever number of the hospital's they share.
    """
    if not identifiers:
        return None
    numbers = [identity.normalised(i) for i in identifiers]
    found = await store.by_identifiers(session, actor.organization, numbers, lock=lock)
    if len(found) > 1:
        several = ", ".join(f"Patient/{each.id}" for each in found)
        raise Conflict(
            f"These identifiers belong to different patients of this hospital: {several}. If they are one person, merge them "
            "first: put the record that goes with active false and a link of type replaced-by to the one that stays.",
            at="identifier", key="identity-conflict",
        )  # fmt: skip
    known = found[0] if found else None
    if known and known.merged_into:
        # Absorbed while this waited for its lock.
        known = await store.get(session, await store.living(session, known.id))
    if known and lock and identity.contradicting(known.identifiers, numbers):
        raise Conflict(
            "The patient with this number has another citizen number here; correct one of them first.",
            at="identifier",
            key="identity-conflict",
        )
    return known


def checked(patient: Patient) -> Patient:
    """The person with their numbers in the form in which they are kept. Raises Invalid with every fault of them."""
    numbers = tuple(sorted({identity.normalised(i) for i in patient.identifiers}))
    if any(number.system == CITIZEN_NUMBER for number in numbers):
        # Whoever has a number has no reason for having none: the unidentified patient was identified.
        patient = msgspec.structs.replace(patient, no_identifier_reason=None)
    issues = identity.faults(numbers, patient.birth_date, patient.no_identifier_reason)
    if issues:
        raise Invalid("The patient's identity does not hold.", issues=issues)
    born = patient.birth_date or identity.stated_birth(numbers)
    return msgspec.structs.replace(patient, identifiers=numbers, birth_date=born)


async def register(
    session: Session, actor: Actor, patient: Patient, body: bytes, now: datetime, expected: int | None = None,
    *, known: int | None = None, received: list[Record] | None = None, whole: bool = False,
) -> Patient:  # fmt: skip
    """Store a person as this hospital knows them: new, or the next version of the one with this id.

    `body` is the resource as received. Raises Invalid with every fault of the identifiers, Stale when `expected` is not
    the current version. Another hospital's patient with the same number stays another patient.

    `known` is the version stored already (0: none) where the caller has just looked. `received` takes the resource
    where the caller keeps it together with others. `whole`: a correction, which takes back numbers that it leaves out; a
    referral that knows fewer of them takes none back.
    """
    if actor.side != "hospital":
        raise Forbidden("Only a hospital registers its patients.", key="wrong-actor")
    patient = checked(patient)
    if known is None:
        old = await store.get(session, patient.id)
        known = old.version if old else 0
    if expected is not None and known != expected:
        raise Stale("The patient was changed by somebody else meanwhile; read it again.")
    version = known + 1
    patient = msgspec.structs.replace(
        patient, hospital=actor.organization, version=version, received=version, updated_at=now
    )
    if not await store.save(session, patient, whole=whole):
        raise Stale("The patient was changed by somebody else meanwhile; read it again.")
    record = Record(
        patient.id, version, "Patient", "identity", actor.organization, body, now,
        hospital=actor.organization, patient=patient.id,
    )  # fmt: skip
    await _keep(session, record, received)
    session.patients.add(patient.id)
    return patient


async def _keep(session: Session, record: Record, received: list[Record] | None) -> None:
    if received is None:
        await records.keep(session, [record])
    else:
        received.append(record)


FARTHEST = timedelta(days=366)
"""How far ahead a stay's end may be planned; a later one is a slip of the pen, and follow-ups would be reckoned from it."""


async def admit(
    session: Session, actor: Actor, stay: Stay, body: bytes, now: datetime,
    *, known: int | None = None, received: list[Record] | None = None,
) -> Stay:  # fmt: skip
    """Store a hospital stay, new or its next version; its discharge is `followup.flow.discharge`, which calls this.

    `known` and `received` as in `register`; with `known` the caller has seen the patient, too.
    """
    if actor.side != "hospital":
        raise Forbidden("Only a hospital records its stays.", key="wrong-actor")
    if stay.started_at and stay.ended_at and stay.ended_at < stay.started_at:
        raise Invalid("The stay ends before it begins.", at="period.end")
    if stay.ended_at and stay.ended_at > now + FARTHEST:
        raise Invalid("A stay's end lies at most a year ahead.", at="period.end", code="value")
    if known is None:
        if await store.get(session, stay.patient) is None:
            raise NotFound("The stay's patient is not known here.", at="subject")
        old = await store.get_stay(session, stay.id)
        known = old.version if old else 0
    version = known + 1
    stay = msgspec.structs.replace(stay, hospital=actor.organization, version=version, received=version, updated_at=now)
    if not await store.save_stay(session, stay):
        raise Stale("The stay was changed by somebody else meanwhile; read it again.")
    record = Record(
        stay.id, version, "Encounter", "supporting", actor.organization, body, now,
        hospital=actor.organization, patient=stay.patient, status=stay.status,
    )  # fmt: skip
    await _keep(session, record, received)
    session.patients.add(stay.patient)
    return stay


async def add_supporting(
    session: Session, actor: Actor, id: Id, type: str, patient: Id, referral: Id | None, status: str | None, body: bytes, now: datetime,
    *, sealed: bool = False,
) -> Record:  # fmt: skip
    """Keep another resource of the hospital's about its patient (Observation, Condition, …), new or its next version.

    `referral` is the one that the resource says it belongs to, by its request or its stay; then only the agencies to
    which the patient is disclosed for that referral read it. One that says neither speaks of the patient as such: every
    agency to which this hospital's patient is disclosed reads it, for as long as it is. What once belonged to a
    referral stays with it. What is `sealed` (T3) no agency reads. Raises Invalid for a patient of another hospital or a changed subject, Forbidden, NotFound.
    """
    if actor.side != "hospital":
        raise Forbidden("This is recorded by a hospital.", key="wrong-actor")
    patient = await store.living(session, patient)
    person = await store.get(session, patient)
    if person is None or person.hospital != actor.organization:
        raise Invalid("The subject is not a patient that is known here.", at="subject", code="not-found")
    old = await records.current(session, type, id)
    if old is not None:
        if old.author != actor.organization:
            raise NotFound("There is no such resource of this hospital.")
        if old.patient != patient:
            raise Invalid("The resource is about another patient; what is written stays about its person.", at="subject", key="other-subject")  # fmt: skip
        if old.referral is not None and referral not in (None, old.referral):
            raise Invalid("The resource belongs to another referral.", at="basedOn", key="foreign-referral")
    kept = Record(
        id, old.version + 1 if old else 1, type, old.category if old else "safety" if sealed else "supporting", actor.organization, body, now, hospital=actor.organization,
        patient=patient, referral=(old.referral if old else None) or referral, status=status,
    )  # fmt: skip
    await records.keep(session, [kept])
    session.patients.add(patient)
    return kept
