"""The verbs that open and close identity on referrals: record a consent, withdraw it, record a lawful basis."""

from datetime import datetime

import msgspec

from service.access.model import Actor
from service.consent import grounds
from service.consent import store as consents
from service.consent.model import Consent
from service.db import Session
from service.errors import Conflict, Invalid, NotFound, Stale
from service.patients import store as patients
from service.records import store as records
from service.records.model import Record
from service.referrals import steps, store
from service.values import Id


async def record_consent(session: Session, actor: Actor, consent: Consent, body: bytes, now: datetime) -> Consent:
    """Store a Consent of the hospital, new or its next version (`active` False withdraws it), and let identity follow:
    every accepted share of the referrals it speaks of is disclosed, or withheld again, at once."""
    steps.only(actor, "hospital")
    patient = await patients.get(session, consent.patient)
    if patient is None or patient.hospital != actor.organization:
        raise NotFound("The consent's patient is not known here.", at="patient")
    issues = grounds.faults(consent, patient.birth_date, now)
    if issues:
        raise Invalid("The consent does not hold.", issues=issues)
    old = await consents.get(session, consent.id)
    if old is not None and old.patient != consent.patient:
        raise Invalid("A consent stays with its patient.", at="patient")
    version = old.version + 1 if old else 1
    consent = msgspec.structs.replace(
        consent,
        version=version,
        received=version,
        hospital=actor.organization,
        recorded_by=actor.id,
        recorded_at=old.recorded_at if old else now,
    )
    if not await consents.save(session, consent, grounds.next_change(consent, now)):
        raise Stale("The consent was changed by somebody else meanwhile; read it again.")
    await records.keep(
        session,
        [Record(consent.id, version, "Consent", "supporting", actor.organization, body, now, hospital=actor.organization, patient=consent.patient,
                referral=consent.referrals[0] if len(consent.referrals) == 1 else None, status="active" if consent.active else "inactive")],
    )  # fmt: skip
    session.patients.add(consent.patient)
    if consent.discloses or (old and old.discloses):
        opens = consent.active and consent.discloses
        await _follow(session, actor, consent, old, "consent" if opens else "withdraw-consent", now)
    return consent


async def record_basis(session: Session, actor: Actor, basis: Consent, body: bytes, now: datetime) -> Consent:
    """The coordinator (the `platform` side, which a supervisor asks) records a lawful basis (legal duty, emergency) in
    place of a consent, with its reason in text. Forbidden for every other side."""
    steps.only(actor, "platform")
    if not basis.reason_text:
        raise Invalid("A lawful basis needs its reason in text.", at="reason.text", code="required")
    referral = await store.referral(session, basis.referrals[0])
    if referral is None:
        raise NotFound("There is no such referral.", at="target")
    basis = msgspec.structs.replace(
        basis, patient=referral.patient, hospital=referral.hospital, version=1, recorded_by=actor.id, recorded_at=now
    )
    if not await consents.save(session, basis, grounds.next_change(basis, now)):
        raise Conflict("This lawful basis was recorded before.", key="duplicate", code="duplicate")
    await records.keep(
        session,
        [Record(basis.id, 1, "Provenance", "safety", actor.organization, body, now, hospital=referral.hospital, patient=referral.patient,
                referral=referral.id)],
    )  # fmt: skip
    await _follow(session, actor, basis, None, basis.kind, now)
    return basis


BATCH = 50
"""How many consents one sweep's transaction follows."""


async def follow_due(session: Session, actor: Actor, now: datetime) -> int:
    """What the clock does when a consent's period begins or ends: identity opens, or is withheld again; how many were
    handled."""
    found = await consents.due(session, now, BATCH)
    for consent in found:
        ended = consent.valid_to is not None and consent.valid_to < now
        await _follow(session, actor, consent, None, "consent-ended" if ended else "consent", now, changed_alone=True)
        await consents.followed(session, consent.id, grounds.next_change(consent, now))
    return len(found)


async def _follow(
    session: Session, actor: Actor, consent: Consent, before: Consent | None, kind: str, now: datetime, *,
    changed_alone: bool = False,
) -> None:  # fmt: skip
    """Let every open referral that the ground speaks of, or spoke of `before` it was changed, follow it: one turn each,
    as each has its own lock and history. It is told on each of them, or on those alone that it changed."""
    named: set[Id] = set()
    for said in (consent, *([before] if before else [])):
        named.update(said.referrals or await store.open_of_patient(session, consent.patient, consent.hospital))
    for referral in sorted(named):
        async with steps.on_referral(session, actor, referral, now) as moving:
            if moving.loop.referral.patient != consent.patient or moving.loop.referral.hospital != consent.hospital:
                raise Invalid("The consent names a referral of another patient.", at="provision.data")
            # The turn has let the Tasks follow what the grounds permit now.
            if changed_alone and moving.loop == moving.before:
                continue
            moving.tell(
                kind,
                None,
                sealed=kind == "legal-duty",
                consent=str(consent.id),
                agencies=[str(agency) for agency in consent.agencies],
            )
