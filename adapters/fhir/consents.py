"""What opens identity, as it is sent: Consents, lawful bases and broken glasses (Provenance), and who stands around a person."""

from datetime import datetime

import msgspec

from adapters.fhir import intake, references, wire
from service import codes
from service.access.model import Actor
from service.consent import flow as relations
from service.consent.model import Consent, Kind
from service.db import Session
from service.errors import Invalid
from service.practice import PLATFORM
from service.records import store as records
from service.referrals import consent_flow, store
from service.values import Id, read_json

SUSPECTED = "urn:yuanshe:suspected"
"""Extension of a RelatedPerson: they are suspected of harming the patient. The resource is sealed then (T3)."""
LACKING = frozenset({"limited", "none"})
"""Legal capacity (Patient extension urn:yuanshe:legal-capacity) with which an adult does not sign alone."""
REASONS: dict[str, Kind] = {"HLEGAL": "legal-duty", "ETREAT": "emergency", "BTG": "break-glass"}
"""v3-ActReason: lawful bases, and the glass that is broken."""
DECIDERS = ("Practitioner", "PractitionerRole")


async def consent(session: Session, actor: Actor, body: bytes, id: Id, now: datetime) -> int:
    """Store a Consent by itself; its version."""
    read = wire.decode(body, wire.Consent, "Consent")
    patient = references.required(read.patient, "Patient", at="Consent.patient")
    said = intake.consent(read, id, patient, actor.organization, now, "Consent")
    return (await signed(session, actor, read, said, body, now)).version


async def signed(
    session: Session, actor: Actor, read: wire.Consent, said: Consent, body: bytes, now: datetime
) -> Consent:
    """Record a Consent with what bears on who may sign it."""
    held = await records.current(session, "Patient", said.patient)
    lacking = bool(held and _capacity(held.body) in LACKING)
    return await consent_flow.record_consent(
        session, actor, said, body, now, signers=intake.signers(read), lacks_capacity=lacking
    )


def _capacity(patient: bytes) -> str | None:
    extensions = read_json(patient).get("extension") or ()
    return next((e.get("valueCode") for e in extensions if e.get("url") == codes.LEGAL_CAPACITY), None)


def suspected(body: bytes) -> bool:
    """Whether a RelatedPerson is said to be suspected of harming the patient."""
    extensions = read_json(body).get("extension") or ()
    return any(e.get("url") == SUSPECTED and e.get("valueBoolean") is True for e in extensions)


async def relate(session: Session, actor: Actor, id: Id, patient: Id, body: bytes, now: datetime, at: str) -> None:
    """Keep by marks who stands around a patient: a suspect never signs, and a worker's relative is not served by the worker."""
    read = wire.decode(body, wire.RelatedPerson, at)
    await relations.relate(session, actor, id, patient, suspected(body), intake.features(read, at), now)


async def provenance(session: Session, actor: Actor, body: bytes, id: Id, now: datetime) -> None:
    """A lawful basis in place of a consent (HLEGAL, ETREAT), opened to the agency that it names; or a broken glass (BTG)."""
    read = wire.decode(body, wire.Provenance, "Provenance")
    coded: list[tuple[Kind, str | None]] = [
        (REASONS[c.code], concept.text) for concept in read.reason for c in concept.coding if c.code in REASONS
    ]
    if not coded:
        raise Invalid(
            "A lawful basis has the reason HLEGAL or ETREAT, a broken glass BTG (v3-ActReason).",
            at="Provenance.reason",
            code="required",
        )
    if read.target[1:]:
        raise Invalid("A lawful basis is for one referral; send one for each.", at="Provenance.target[1]", code="value")
    kind, why = coded[0]
    named = [found for agent in read.agent if (found := references.parse(agent.who.reference))]
    # Who decided stands there too; it opens to agencies alone.
    decider = next((each for each in named if each[0] in DECIDERS and references.as_id(each[1])), None)
    said = Consent(
        id=id, hospital=actor.organization, patient=actor.organization, version=1, kind=kind, active=True, discloses=True, agencies=(),
        referrals=(), signer="staff", recorded_by=actor.id, recorded_at=now, reason_text=why,
        decided_by="/".join(decider) if decider else None,
    )  # fmt: skip
    if kind == "break-glass":
        if decider is None:
            text = "Name the supervisor who answers for it: a Practitioner or a PractitionerRole."
            raise Invalid(text, at="Provenance.agent", code="required")
        await consent_flow.break_glass(session, actor, said, await _share(session, read), body, now)
        return
    referral = references.required(read.target[0], "ServiceRequest", at="Provenance.target[0]")
    agencies = tuple(
        dict.fromkeys(
            agency
            for each in named
            if each[0] == "Organization" and (agency := references.as_id(each[1])) and agency != PLATFORM
        )
    )
    if not agencies:
        raise Invalid("Name the agency that it opens to.", at="Provenance.agent", code="required")
    said = msgspec.structs.replace(said, agencies=agencies, referrals=(referral,))
    await consent_flow.record_basis(session, actor, said, body, now)


async def _share(session: Session, read: wire.Provenance) -> Id:
    """The share whose glass is broken: by its Task, or by the filler's request."""
    target = references.required(read.target[0], "Task", "ServiceRequest", at="Provenance.target[0]")
    share = await store.by_filler(session, target)
    return share.id if share else target
