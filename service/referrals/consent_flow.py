"""The verbs that open and close identity on referrals: record a consent, withdraw it, record a lawful basis."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from service.access.model import Actor
from service.consent import categories, grounds
from service.consent import store as consents
from service.consent.model import Consent
from service.db import Session
from service.directory import steps as directory
from service.errors import Conflict, Invalid, NotFound, Stale
from service.patients import store as patients
from service.practice import PLATFORM
from service.records import store as records
from service.records.model import Record
from service.referrals import duties, steps, store, sweeps
from service.values import Id, local_day


async def record_consent(
    session: Session, actor: Actor, consent: Consent, body: bytes, now: datetime, *, signers: Sequence[Id] = (),
    lacks_capacity: bool = False,
) -> Consent:  # fmt: skip
    """Store a Consent of the hospital, new or its next version (`active` False withdraws it), and let identity follow:
    every accepted share of the referrals it speaks of is disclosed, or withheld again, at once.

    `signers`: the RelatedPersons who sign; `lacks_capacity`: the hospital says that the person cannot decide.
    """
    steps.only(actor, "hospital")
    consent = msgspec.structs.replace(consent, patient=await patients.living(session, consent.patient))
    patient = await patients.get(session, consent.patient)
    if patient is None or patient.hospital != actor.organization:
        raise NotFound("The consent's patient is not known here.", at="patient")
    issues = grounds.faults(consent, patient.birth_date, now, lacks_capacity=lacks_capacity)
    if issues:
        raise Invalid("The consent does not hold.", issues=issues)
    if signers and consent.active and grounds.barred(signers, await consents.around(session, consent.patient)):
        # Not a word of why: who sends this may not be the one who knows.
        text = f"This person does not sign for the patient. {grounds.BASES_SAY}"
        raise Invalid(text, at="performer", code="business-rule", key="signer-barred")
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
    consent = grounds.holds_until(consent, session.practice, now)
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
    # Of a record that is being merged it is the survivor's.
    living = await patients.living(session, referral.patient)
    basis = msgspec.structs.replace(
        basis, patient=living, hospital=referral.hospital, version=1, recorded_by=actor.id, recorded_at=now
    )
    if not await consents.save(session, basis, grounds.next_change(basis, now)):
        raise Conflict("This lawful basis was recorded before.", key="duplicate", code="duplicate")
    await records.keep(
        session,
        [Record(basis.id, 1, "Provenance", "safety", actor.organization, body, now, hospital=referral.hospital, patient=referral.patient,
                referral=referral.id)],
    )  # fmt: skip
    await _follow(session, actor, basis, None, basis.kind, now)
    async with steps.on_referral(session, actor, referral.id, now) as moving:
        # The law lets it be told afterwards, not never; how and when it does no harm to tell, the safety rules say.
        by = now + timedelta(minutes=session.practice.notify_later.minutes)
        duties.owe(moving, "notify-later", referral.hospital, by, about=basis.id, sealed=basis.kind == "legal-duty")
    return basis


async def break_glass(session: Session, actor: Actor, glass: Consent, task: Id, body: bytes, now: datetime) -> Consent:
    """An agency that has accepted sees who the person is without a consent, for a while, because it cannot wait.

    It is told at once to the hospital and the coordinator, who owes a look at whether it was right; it ends by itself,
    opens nothing but who the person is and what they need, and lets no service begin.
    """
    steps.only(actor, "agency")
    if not glass.reason_text:
        raise Invalid("A glass is broken for a reason, in text.", at="reason.text", code="required")
    async with steps.turn(session, actor, task, now) as moving:
        share = next((each for each in moving.loop.shares if each.id == task), None)
        if share is None:
            raise Invalid("This is done on an agency's share of a referral.", at="target", key="no-share")
        steps.own_agency(moving)
        if share.accepted_at is None or not share.open:
            raise Invalid(
                "Who an offer is about is shown to nobody who has not accepted it.", at="target", key="not-accepted"
            )
        if share.patient is not None:
            raise Invalid("Identity is disclosed to this agency already.", at="target", key="disclosed")
        if share.worker in moving.loop.conflicted:
            raise Invalid("This worker has declared a conflict of interest.", at="target", key="conflict-of-interest")
        referral = moving.loop.referral
        assert share.agency is not None
        able = await directory.supervisors(session, share.agency, local_day(now))
        if glass.decided_by is None or Id(glass.decided_by.partition("/")[2]) not in able:
            text = "A licensed supervisor of this agency answers for it."
            raise Invalid(text, at="agent", code="business-rule", key="not-a-supervisor")
        glass = msgspec.structs.replace(
            glass, kind="break-glass", patient=referral.patient, hospital=referral.hospital, agencies=(share.agency,),
            referrals=(referral.id,), version=1, recorded_by=actor.id, recorded_at=now, withheld=tuple(sorted(categories.OPTIONAL)),
            valid_to=now + timedelta(minutes=session.practice.break_glass.minutes),
        )  # fmt: skip
        if not await consents.save(session, glass, grounds.next_change(glass, now)):
            raise Conflict("This was recorded before.", key="duplicate", code="duplicate")
        # The agency's own, and the coordinator's to look at; the hospital hears of it, and reads why in the review.
        await records.keep(
            session,
            [Record(glass.id, 1, "Provenance", "safety", actor.organization, body, now, hospital=referral.hospital,
                    agency=share.agency, referral=referral.id, task=share.id)],
        )  # fmt: skip
        moving.loop = steps.disclosed(await steps.with_grounds(session, moving.loop, now), now, session.practice)
        moving.tell("break-glass", moving.share, basis=str(glass.id))
        by = now + timedelta(minutes=session.practice.review_access.minutes)
        duties.owe(moving, "review-access", PLATFORM, by, about=glass.id)
    return glass


BATCH = 50
"""How many consents one sweep's transaction follows."""


async def follow_due(session: Session, actor: Actor, now: datetime) -> int:
    """What the clock does when a consent's period begins or ends: identity opens, or is withheld again; how many were
    handled."""
    found = await consents.due(session, now, BATCH)

    async def follow(consent: Consent) -> None:
        ended = consent.valid_to is not None and consent.valid_to < now
        kind = "glass-mended" if consent.kind == "break-glass" else "consent-ended" if ended else "consent"
        await _follow(session, actor, consent, None, kind, now, changed_alone=True)
        await consents.followed(session, consent.id, grounds.next_change(consent, now))

    return await sweeps.each(session, found, follow)


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
                if changed_alone:
                    continue  # It was this person's while two records were one; nobody is there to be told.
                raise Invalid("The consent names a referral of another patient.", at="provision.data")
            # The turn has let the Tasks follow what the grounds permit now.
            if changed_alone and moving.loop == moving.before:
                # On another ground than before, perhaps, or with less: that stands in the log.
                await steps.follow_disclosure(session, moving.loop, now)
                continue
            moving.tell(
                kind,
                None,
                sealed=kind == "legal-duty",
                consent=str(consent.id),
                agencies=[str(agency) for agency in consent.agencies],
            )
