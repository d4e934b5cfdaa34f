"""A hospital's submission: a transaction Bundle (or a lone ServiceRequest), read as one and stored as one."""

import hashlib
from datetime import datetime
from typing import Any

import msgspec

from adapters.fhir import intake, references, wire
from service.access.model import Actor
from service.db import Session
from service.errors import Invalid, Issue
from service.followup import flow as followup
from service.patients import flow as patients
from service.patients import store as patient_rows
from service.patients.model import Patient, Stay
from service.records.model import Record
from service.referrals import consent_flow, flow
from service.referrals.model import NewReferral
from service.safety.screening import Answer, raises_crisis
from service.values import Id, new_id

SUPPORTING = frozenset(
    {"Condition", "Observation", "QuestionnaireResponse", "DocumentReference", "RelatedPerson", "Practitioner", "PractitionerRole",
     "Organization", "Location", "Goal", "Coverage"}
)  # fmt: skip
"""What may come along with a request and is kept for the agency that takes it, once it may know who it is for."""


class Stored(msgspec.Struct, frozen=True):
    """What became of an entry: its type, id and version; 201 when made, 200 when it was there; warnings."""

    type: str
    id: Id
    version: int
    status: int = 201
    warnings: tuple[Issue, ...] = ()

    @property
    def location(self) -> str:
        return f"{self.type}/{self.id}/_history/{self.version}"


class Part(msgspec.Struct):
    """One entry as it is being read."""

    position: int
    type: str
    raw: bytes
    content: dict[str, Any]
    request: wire.EntryRequest | None
    id: Id
    at: str
    full_url: str | None = None


def parts_of(entries: tuple[wire.Entry, ...]) -> list[Part]:
    """The entries of a Bundle with the ids that they will have."""
    found: list[Part] = []
    for position, entry in enumerate(entries):
        at = f"Bundle.entry[{position}].resource"
        raw = bytes(entry.resource)
        if not raw:
            raise Invalid("A submission's entry needs a resource.", at=at, code="required")
        kind = wire.decode(raw, wire.Kind, at)
        id = new_id()
        if entry.request and entry.request.method == "PUT" and (named := references.parse(entry.request.url)):
            id = references.as_id(named[1]) or id
        found.append(
            Part(position, kind.resource_type, raw, msgspec.json.decode(raw), entry.request, id, at, entry.full_url)
        )
    return found


def lone(body: bytes) -> list[Part]:
    """A ServiceRequest posted by itself: a submission of one entry."""
    return [Part(0, "ServiceRequest", body, msgspec.json.decode(body), None, new_id(), "ServiceRequest")]


def digest(parts: list[Part]) -> bytes:
    """SHA-256 of the submission in canonical form."""
    names = {part.full_url: part.position for part in parts if part.full_url}
    entries = [
        (part.content, f"{part.request.method} {part.request.url}" if part.request else "POST ServiceRequest")
        for part in parts
    ]
    return hashlib.sha256(references.canonical(entries, names)).digest()


async def submit(session: Session, actor: Actor, parts: list[Part], now: datetime) -> list[Stored]:
    """Store the submission and answer per entry, in its order. The same again answers 200 with what is stored."""
    request_part = request_of(parts)
    asked = wire.decode(request_part.raw, wire.ServiceRequest, request_part.at)
    patient_part, subject = subject_of(parts, request_part, asked)
    number = intake.placer(asked, request_part.at)
    task_part = _only(parts, "Task", optional=True)
    known, person = await _person(session, actor, patient_part, now)
    patient = known.id if known else patient_part.id if patient_part else subject
    assert patient is not None
    if patient_part:
        patient_part.id = patient
    names = _names(parts)
    if patient_part and patient_part.full_url is None and patient_part.position < 0:
        names[asked.subject.reference or ""] = f"Patient/{patient}"
    stored = _plan(parts, known, patient_part)
    with wire.within(request_part.at):
        before = await flow.claim(
            session,
            actor,
            number.system,
            number.value,
            digest(parts),
            request_part.id,
            tuple(s.location for s in stored),
        )
    if before is not None:
        return [_again(location) for location in before.locations]
    if patient_part and person and not (known and patient_part.request and patient_part.request.if_none_exist):
        with wire.within(patient_part.at):
            await patients.register(session, actor, person, references.rewritten(patient_part.raw, names), now)
    stay = await _stay(session, actor, parts, patient, names, now, asked, request_part.at)
    body = references.rewritten(request_part.raw, names)
    # Read again as rewritten: what it references is ours now.
    asked = wire.decode(body, wire.ServiceRequest, request_part.at)
    new, warnings = intake.referral(
        asked, request_part.id, task_part.id if task_part else new_id(), patient, body, now, request_part.at
    )
    if task_part:
        new = _with_task(new, task_part, names, request_part.id)
    supporting = _supporting(parts, names, actor, patient, request_part.id, now)
    new = msgspec.structs.replace(
        new,
        stay=stay.id if stay else None,
        region=stay.region if stay else None,
        supporting=tuple(supporting),
        signs_crisis=raises_crisis(answers_of(parts)),
    )
    with wire.within(request_part.at):
        done = await flow.submit(session, actor, new, now)
    for part in parts:
        if part.type == "Consent":
            await _consent(session, actor, part, names, patient, now)
    if stay and stay.status == "finished":
        await followup.catch_up(session, actor, new.id, now)
    told = (*warnings, *done.warnings)
    return [msgspec.structs.replace(s, warnings=told) if s.id == request_part.id else s for s in stored]


def _again(location: str) -> Stored:
    type, id, _, version = location.split("/")
    found = references.as_id(id)
    assert found is not None
    return Stored(type, found, int(version), 200)


def _only(parts: list[Part], type: str, optional: bool = False) -> Any:
    found = [part for part in parts if part.type == type]
    if len(found) > 1:
        raise Invalid(
            f"A submission holds one {type}; send the others by themselves.", at=found[1].at, code="business-rule"
        )
    if not found and not optional:
        raise Invalid(f"A submission needs a {type}.", at="Bundle.entry", code="required")
    return found[0] if found else None


def subject_of(parts: list[Part], request: Part, asked: wire.ServiceRequest) -> tuple[Part | None, Id | None]:
    """Who it is for: a Patient of the Bundle, one contained in the request, or one already known."""
    people = [part for part in parts if part.type == "Patient"]
    named = asked.subject.reference
    for part in people:
        if named and named in _urls(part):
            if len(people) > 1:
                raise Invalid(
                    "A submission is about one Patient.",
                    at=next(p.at for p in people if p is not part),
                    code="business-rule",
                )
            return part, None
    if people:
        raise Invalid(
            "The request's subject is not the Patient of this submission.", at=f"{request.at}.subject", code="value"
        )
    if named and named.startswith("#"):
        for raw in asked.contained:
            kind = wire.decode(raw, wire.Kind, f"{request.at}.contained")
            if kind.resource_type == "Patient" and kind.id == named[1:]:
                return Part(
                    -1, "Patient", bytes(raw), msgspec.json.decode(raw), None, new_id(), f"{request.at}.contained"
                ), None
    return None, references.required(asked.subject, "Patient", at=f"{request.at}.subject")


def _urls(part: Part) -> set[str]:
    """Every way in which another entry may reference this one."""
    own = part.content.get("id")
    found = {part.full_url} if part.full_url else set[str]()
    if own and (part.full_url is None or part.full_url.endswith(f"/{own}")):
        found.add(f"{part.type}/{own}")
    return found


def _names(parts: list[Part]) -> dict[str, str]:
    return {url: f"{part.type}/{part.id}" for part in parts for url in _urls(part)}


async def _person(
    session: Session, actor: Actor, part: Part | None, now: datetime
) -> tuple[Patient | None, Patient | None]:
    """The patient as known here, and as the submission says."""
    if part is None:
        return None, None
    person = intake.patient(wire.decode(part.raw, wire.Patient, part.at), part.id, actor.organization, now, part.at)
    known = await patients.find(session, actor, person.identifiers)
    if known is None and part.request and part.request.method == "PUT":
        known = await patient_rows.get(session, part.id)
    return known, msgspec.structs.replace(person, id=known.id) if known else person


def _plan(parts: list[Part], known: Patient | None, patient_part: Part | None) -> list[Stored]:
    """What each entry will be stored as, known before anything is: the answer to the same submission again."""
    stored: list[Stored] = []
    for part in parts:
        if part is patient_part and known:
            kept = part.request is not None and part.request.if_none_exist is not None
            stored.append(Stored("Patient", known.id, known.version if kept else known.version + 1, 200))
        else:
            stored.append(Stored(part.type, part.id, 1))
    return stored


async def _stay(
    session: Session,
    actor: Actor,
    parts: list[Part],
    patient: Id,
    names: dict[str, str],
    now: datetime,
    asked: wire.ServiceRequest,
    at: str,
) -> Stay | None:
    part = _only(parts, "Encounter", optional=True)
    if part is None:
        named = references.ours(asked.encounter, "Encounter", at=f"{at}.encounter")
        known = await patient_rows.get_stay(session, named) if named else None
        if asked.encounter and known is None:
            raise Invalid("The encounter is not known here.", at=f"{at}.encounter", code="not-found")
        return known
    stay = destination(parts, part, patient, actor, now)
    admitted = msgspec.structs.replace(stay, status="in-progress") if stay.status == "finished" else stay
    await patients.admit(session, actor, admitted, references.rewritten(part.raw, names), now)
    return stay


def destination(parts: list[Part], part: Part, patient: Id, actor: Actor, now: datetime) -> Stay:
    """The stay of an Encounter, with the region that it leads to as the submission's own places say."""
    read = wire.decode(part.raw, wire.Encounter, part.at)
    places = {
        url: wire.decode(p.raw, wire.Place, p.at)
        for p in parts
        if p.type in ("Organization", "Location")
        for url in _urls(p)
    }
    return intake.stay(read, part.id, patient, actor.organization, now, part.at, places)


def answers_of(parts: list[Part]) -> list[Answer]:
    """The screening answers that came along."""
    found: list[Answer] = []
    for part in parts:
        if part.type == "Observation":
            found += intake.answers(wire.decode(part.raw, wire.Observation, part.at))
        elif part.type == "QuestionnaireResponse":
            found += intake.answers(wire.decode(part.raw, wire.QuestionnaireResponse, part.at))
    return found


def request_of(parts: list[Part]) -> Part:
    """The one ServiceRequest of a submission; two are refused."""
    return _only(parts, "ServiceRequest")


def _with_task(new: NewReferral, part: Part, names: dict[str, str], request: Id) -> NewReferral:
    """The hospital's own Task to the platform, if it sent one: checked, kept, and never obeyed beyond its owner."""
    body = references.rewritten(part.raw, names)
    task = wire.decode(body, wire.Task, part.at)
    for name, missing in (
        ("focus", task.focus is None), ("for", task.for_ is None), ("requester", task.requester is None), ("authoredOn", task.authored_on is None),
    ):  # fmt: skip
        if missing:
            raise Invalid(f"A Task for a referral needs {name}.", at=f"{part.at}.{name}", code="required")
    if task.intent != "order":
        raise Invalid("A Task for a referral has intent order.", at=f"{part.at}.intent", code="value")
    if task.status != "requested":
        raise Invalid("A Task for a referral is submitted with status requested.", at=f"{part.at}.status", code="value")
    if references.ours(task.focus, "ServiceRequest", at=f"{part.at}.focus") != request:
        raise Invalid("The Task's focus is the ServiceRequest of this submission.", at=f"{part.at}.focus", code="value")
    if references.ours(task.for_, "Patient", at=f"{part.at}.for") != new.patient:
        raise Invalid("The Task is for the subject of its ServiceRequest.", at=f"{part.at}.for", code="value")
    owner = references.parse(task.owner.reference) if task.owner else None
    preferred = references.as_id(owner[1]) if owner and owner[0] == "Organization" else None
    return msgspec.structs.replace(new, task_body=body, preferred=new.preferred or preferred)


def _supporting(
    parts: list[Part], names: dict[str, str], actor: Actor, patient: Id, referral: Id, now: datetime
) -> list[Record]:
    kept: list[Record] = []
    for part in parts:
        if part.type in ("ServiceRequest", "Patient", "Encounter", "Consent", "Task"):
            continue
        if part.type not in SUPPORTING:
            raise Invalid(f"A submission does not carry a {part.type}.", at=part.at, code="not-supported")
        body = references.rewritten(part.raw, names)
        read = wire.decode(body, wire.Subject, part.at)
        about = (
            references.ours(read.subject or read.patient, "Patient", "Group", at=f"{part.at}.subject")
            if read.subject or read.patient
            else None
        )
        if about is not None and about != patient:
            raise Invalid("This is about another patient than the request.", at=f"{part.at}.subject", code="value")
        kept.append(
            Record(part.id, 1, part.type, "supporting", actor.organization, body, now, hospital=actor.organization, patient=patient,
                   referral=referral, status=read.status)
        )  # fmt: skip
    return kept


async def _consent(
    session: Session, actor: Actor, part: Part, names: dict[str, str], patient: Id, now: datetime
) -> None:
    body = references.rewritten(part.raw, names)
    read = wire.decode(body, wire.Consent, part.at)
    if references.ours(read.patient, "Patient", at=f"{part.at}.patient") != patient:
        raise Invalid("The Consent is about another patient than the request.", at=f"{part.at}.patient", code="value")
    consent = intake.consent(read, part.id, patient, actor.organization, now, part.at)
    with wire.within(part.at):
        await consent_flow.record_consent(session, actor, consent, body, now)
