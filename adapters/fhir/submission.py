"""A hospital's submission: a transaction Bundle (or a lone ServiceRequest), read as one and stored as one."""

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import msgspec

from adapters.fhir import (
    binary,
    conditional,
    consents,
    intake,
    mandatory,
    profiles,
    reading,
    references,
    safe_contact,
    screening,
    stays,
    validation,
    wire,
)
from service import codes
from service.access.model import Actor
from service.db import Session
from service.errors import Conflict, Forbidden, Invalid, Issue, Malformed, Stale, TooLarge
from service.followup import flow as followup
from service.followup import person_flow as persons
from service.followup import schedule
from service.patients import flow as patients
from service.patients import identity
from service.patients import store as patient_rows
from service.patients.model import Patient, Stay
from service.records import store as records
from service.records.model import Record
from service.records.scanning import Verdict
from service.referrals import flow, screening_flow
from service.referrals.model import NewReferral
from service.safety import duties
from service.safety.screening import Answer, raises_crisis
from service.values import Id, local_day, new_id, read_json, write_json

CORE = frozenset({"ServiceRequest", "Patient", "Encounter", "Consent", "Task", "Binary"})
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
    known: int = 0
    """Version of what is stored already under this id; 0: nothing is."""
    kept: bool = False
    """Its condition (ifNoneExist) found something: that stands, and nothing is written."""

    @property
    def stored(self) -> Stored:
        """What this entry will be stored as. Of what a POST brings only a known Patient answers 200 (contract.md)."""
        if self.kept:
            return Stored(self.type, self.id, self.known, 200)
        known = self.known and (self.put or self.type == "Patient")
        return Stored(self.type, self.id, self.known + 1, 200 if known else 201)

    @property
    def put(self) -> bool:
        return self.request is not None and self.request.method == "PUT"


MOST_ENTRIES = 200


def bundle_of(body: bytes) -> wire.Bundle:
    """A Bundle as posted. Raises Malformed, TooLarge, Invalid."""
    kind = wire.decode(body, wire.Kind, "Bundle")
    if kind.resource_type != "Bundle":
        raise Malformed("What is posted here is a Bundle of type transaction or batch.", at="resourceType")
    content = read_json(body)
    entries = content.get("entry")
    if entries == []:
        # No list of FHIR is empty, yet many a program sends this one so, and it says what it means.
        del content["entry"]
    elif isinstance(entries, list):
        if len(entries) > MOST_ENTRIES:
            raise TooLarge(f"A Bundle has at most {MOST_ENTRIES} entries.", at="Bundle.entry")
        content["entry"] = [_judged_here(entry, content.get("type")) for entry in entries]
    validation.check("Bundle", content)
    return wire.decode(body, wire.Bundle, "Bundle")


def _judged_here(entry: Any, type: Any) -> Any:
    """What of an entry stands and falls with the Bundle: each of a batch answers for its own resource, and a patch is none."""
    if not isinstance(entry, dict) or (type == "transaction" and isinstance(entry.get("resource", {}), dict)):
        return entry
    return {key: value for key, value in entry.items() if key != "resource"}


def parts_of(entries: Iterable[tuple[int, wire.Entry]]) -> list[Part]:
    """Entries of a Bundle, each with its position there, with the ids that they will have."""
    found: list[Part] = []
    named: set[str] = set()
    for position, entry in entries:
        at = f"Bundle.entry[{position}].resource"
        if entry.full_url in named:
            where = f"Bundle.entry[{position}].fullUrl"
            raise Invalid("Two entries have the same fullUrl.", at=where, code="duplicate")
        named |= {entry.full_url} if entry.full_url else set()
        raw = bytes(entry.resource)
        if not raw:
            raise Invalid("A submission's entry needs a resource.", at=at, code="required")
        kind = wire.decode(raw, wire.Kind, at)
        if kind.resource_type not in SUPPORTING | CORE:
            raise Invalid("A submission does not carry resources of this type.", at=at, code="not-supported")
        _fitting(entry.request, kind, f"Bundle.entry[{position}].request")
        content = read_json(raw)
        found.append(Part(position, kind.resource_type, raw, content, entry.request, new_id(), at, entry.full_url))
    return found


def _fitting(request: wire.EntryRequest | None, kind: wire.Kind, at: str) -> None:
    if request is None:
        return
    if request.method not in ("POST", "PUT"):
        raise Invalid("What is submitted is posted or put.", at=f"{at}.method", code="business-rule")
    if request.url.partition("?")[0].strip("/").split("/")[0] != kind.resource_type:
        raise Invalid("The address is not one for this type of resource.", at=f"{at}.url", code="value")


def lone(body: bytes) -> list[Part]:
    """A ServiceRequest posted by itself: a submission of one entry."""
    return [Part(0, "ServiceRequest", body, read_json(body), None, new_id(), "ServiceRequest")]


def digest(parts: list[Part]) -> bytes:
    """SHA-256 of the submission in canonical form."""
    names = {url: part.position for part in parts for url in urls(part)}
    entries = [
        (part.content, f"{part.request.method} {part.request.url}" if part.request else "POST ServiceRequest")
        for part in parts
    ]
    return hashlib.sha256(references.canonical(entries, names)).digest()


async def submit(
    session: Session, actor: Actor, parts: list[Part], now: datetime, found: Mapping[str, str] | None = None,
    verdicts: Mapping[int, Verdict | None] | None = None,
) -> list[Stored]:  # fmt: skip
    """Store the submission and answer per entry, in its order. The same again answers 200 with what is stored. `found`:
    what its conditional references mean; `verdicts`: what the scanner says of its files, by position."""
    request_part = request_of(parts)
    asked = wire.decode(request_part.raw, wire.ServiceRequest, request_part.at)
    number = intake.placer(asked, request_part.at)
    task_part = _only(parts, "Task", optional=True)
    stay_part = _only(parts, "Encounter", optional=True)
    await _known(session, actor, parts)
    patient_part, known = await subject(session, actor, parts, request_part, asked)
    person = await _person(session, actor, patient_part, now) if patient_part else None
    patient = person.id if person else known.id if known else None
    assert patient is not None
    names = {**(found or {}), **_names(parts)}
    if asked.subject.reference and asked.subject.reference not in names:
        # A contained Patient, or a condition that found one.
        names[asked.subject.reference] = f"Patient/{patient}"
    if stay_part:
        await _known_stay(session, actor, stay_part, patient, now)
        names = names | dict.fromkeys(urls(stay_part), f"Encounter/{stay_part.id}")
    stored = [part.stored for part in parts]
    received: list[Record] = []
    with wire.within(request_part.at):
        before = await flow.claim(
            session, actor, number.system, number.value, digest(parts), request_part.id, tuple(s.location for s in stored)
        )  # fmt: skip
    if before is not None:
        return [_again(location) for location in before.locations]
    for part in parts:
        _current(part)
    if patient_part and person and not patient_part.kept:
        expected = references.if_match(patient_part.request.if_match) if patient_part.request else None
        with wire.within(patient_part.at):
            body = references.rewritten(patient_part.raw, names)
            known = person = await persons.register(
                session,
                actor,
                person,
                body,
                now,
                expected,
                known=patient_part.known,
                received=received,
                whole=patient_part.put,
            )
    newcomer = patient_part is not None and not patient_part.known
    stay = await _stay(session, actor, parts, patient, names, now, asked, request_part.at, received, newcomer=newcomer)
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
        newcomer=newcomer,
        received=(*received, *supporting),
        signs_crisis=raises_crisis(answers_of(parts)),
    )
    brought = wire.decode(patient_part.raw, wire.Patient, patient_part.at) if patient_part else None
    said = safe_contact.read(asked.extension, request_part.at)
    where = request_part.at if said else patient_part.at if patient_part else ""
    said = said or (safe_contact.read(brought.extension, where) if brought else None)
    prohibited = await safe_contact.submitted(
        session, actor, patient, said, now, where, prohibited=new.contact_prohibited, newcomer=new.newcomer
    )
    new = msgspec.structs.replace(new, contact_prohibited=prohibited)
    with wire.within(request_part.at):
        done = await flow.submit(session, actor, new, now, known)
    for part in parts:
        if part.type == "RelatedPerson" and not part.kept:
            body = references.rewritten(part.raw, names)
            await consents.relate(session, actor, part.id, patient, body, now, part.at)
    for part in parts:
        if part.type == "Consent":
            await _consent(session, actor, part, names, patient, now)
    told: dict[Id, tuple[Issue, ...]] = {}
    for part in parts:
        if mandatory.is_report(part.type, part.content):
            with wire.entry(f"Bundle.entry[{part.position}]", part.type):
                told[part.id] = await mandatory.record(
                    session, actor, references.rewritten(part.raw, names), part.id, now
                )
    for part in parts:
        if part.type == "Binary":
            with wire.entry(f"Bundle.entry[{part.position}]", "Binary"):
                body, verdict = references.rewritten(part.raw, names), (verdicts or {}).get(part.position)
                file = await binary.create(session, actor, body, {}, part.id, now, verdict)
                told[part.id] = binary.warnings(file)
    # Answers first: a total that came along is compared with them.
    for kept in sorted(supporting, key=lambda each: each.type, reverse=True):
        told[kept.id] = await screening.take(session, actor, kept, now, placed=True)
    if stay and stay.status == "finished":
        await followup.catch_up(session, actor, new.id, now)
    danger = _facts(parts, new, person or known, now)
    await screening_flow.signalled(session, actor, new.id, patient, danger, now)
    told[request_part.id] = (*warnings, *done.warnings, *screening.on_the_spot(danger))
    if patient_part and person:
        told[patient] = tuple(
            msgspec.structs.replace(doubt, at=f"{patient_part.at}.{doubt.at}")
            for doubt in identity.doubts(person.identifiers, person.gender)
        )
    return [msgspec.structs.replace(s, warnings=told.get(s.id, ())) for s in stored]


def _facts(parts: list[Part], new: NewReferral, who: Patient | None, now: datetime) -> duties.Facts:
    """What a submission says that bears on safety: needs, age, capacity, diagnoses, and signs of danger in its screening."""
    diagnoses = [code for part in parts if part.type == "Condition" for code in screening.icd10(part.raw, part.at)]
    return duties.facts(
        new.needs, birth=who.birth_date if who else None, today=local_day(now), gender=who.gender if who else "unknown",
        capacity=_capacity(parts), icd10=tuple(diagnoses), signs=frozenset({duties.ITEM_9}) if new.signs_crisis else frozenset(),
    )  # fmt: skip


class _Person(msgspec.Struct, frozen=True):
    extension: tuple[wire.Extension, ...] = ()


def _capacity(parts: list[Part]) -> duties.Capacity:
    """The person's legal capacity, where the submission says it."""
    for part in parts:
        if part.type == "Patient":
            for each in wire.decode(part.raw, _Person, part.at).extension:
                if each.url == codes.LEGAL_CAPACITY and each.value_code in duties.CAPACITIES:
                    return each.value_code
    return "unknown"


def _current(part: Part) -> None:
    """The version that a PUT names is the one that is stored. Raises Stale."""
    expected = references.if_match(part.request.if_match) if part.request and part.put else None
    if expected is not None and expected != part.known:
        held = f"is at version {part.known} now; read it again" if part.known else "is not known here"
        raise Stale(f"The {part.type} {held}.", at=f"Bundle.entry[{part.position}].request.ifMatch")


async def _known(session: Session, actor: Actor, parts: list[Part]) -> None:
    """Find what the entries name that is stored already: by the id of a PUT, or by an ifNoneExist. An id that is not
    known here names nothing: ids are given by the service."""
    put: dict[Id, Part] = {}
    for part in parts:
        if part.request is None or part.type == "ServiceRequest":
            continue
        if part.put and "?" in part.request.url:
            at = f"Bundle.entry[{part.position}].request.url"
            if met := await conditional.existing(session, actor, part.type, part.request.url, at):
                part.id, part.known = met
        elif part.put:
            named = references.parse(part.request.url)
            if named and (id := references.as_id(named[1])):
                put[id] = part
        elif part.request.if_none_exist is not None:
            at = f"Bundle.entry[{part.position}].request.ifNoneExist"
            found = await conditional.existing(session, actor, part.type, part.request.if_none_exist, at)
            if found:
                part.id, part.known = found
                part.kept = True
    for held in await records.written_by(session, actor.organization, list(put)) if put else ():
        if held.type == put[held.id].type:
            part = put[held.id]
            if held.code == screening_flow.SCORE:
                raise Forbidden(
                    "The service reckons this score from its response; correct that.", at=part.at, key="derived"
                )
            if held.category == "safety" and not mandatory.is_report(part.type, part.content):
                raise Invalid("What is sealed stays so: correct it by itself.", at=part.at, key="sealed")
            part.id, part.known = held.id, held.version


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


async def subject(
    session: Session, actor: Actor, parts: list[Part], request: Part, asked: wire.ServiceRequest
) -> tuple[Part | None, Patient | None]:
    """Who it is for: a Patient of the Bundle, one contained in the request, or one already known, by id or by identifier."""
    part = _brought(parts, request, asked)
    if part is not None:
        return part, None
    named, at = asked.subject, f"{request.at}.subject"
    reference = named.reference or ""
    if reference.startswith("Patient?"):
        found = await conditional.existing(session, actor, "Patient", reference, at)
        known = await patient_rows.get(session, found[0]) if found else None
    elif not reference and named.identifier and named.identifier.value:
        known = await patients.find(session, actor, intake.identifiers((named.identifier,)))
    else:
        known = await patient_rows.get(session, references.required(named, "Patient", at=at))
    if known is None or known.hospital != actor.organization:
        raise Invalid("The subject is not a patient that is known here.", at=at, code="not-found")
    session.patients.add(known.id)
    # Held until the commit; one that was merged is the survivor.
    if (living := await patient_rows.living(session, known.id)) != known.id:
        known = await patient_rows.get(session, living)
    return None, known


def _brought(parts: list[Part], request: Part, asked: wire.ServiceRequest) -> Part | None:
    """The Patient that came along, if one did."""
    people = [part for part in parts if part.type == "Patient"]
    named = asked.subject.reference
    for part in people:
        if named and named in urls(part):
            if len(people) > 1:
                raise Invalid(
                    "A submission is about one Patient.",
                    at=next(p.at for p in people if p is not part),
                    code="business-rule",
                )
            return part
    if people:
        raise Invalid(
            "The request's subject is not the Patient of this submission.", at=f"{request.at}.subject", code="value"
        )
    if named and named.startswith("#"):
        for raw in asked.contained:
            kind = wire.decode(raw, wire.Kind, f"{request.at}.contained")
            if kind.resource_type == "Patient" and kind.id == named[1:]:
                content = read_json(raw)
                return Part(-1, "Patient", bytes(raw), content, None, new_id(), f"{request.at}.contained")
    return None


def urls(part: Part) -> set[str]:
    """Every way in which another entry may reference this one."""
    return references.urls(part.type, part.content.get("id"), part.full_url)


def _names(parts: list[Part]) -> dict[str, str]:
    return {url: f"{part.type}/{part.id}" for part in parts for url in urls(part)}


async def _person(session: Session, actor: Actor, part: Part, now: datetime) -> Patient:
    """The patient as the submission says, under the id that the hospital's patient with these numbers has already."""
    person = intake.patient(wire.decode(part.raw, wire.Patient, part.at), part.id, actor.organization, now, part.at)
    with wire.within(part.at):
        # The row stays locked: of parallel referrals of one person each sees what the one before it stored.
        known = None if part.kept else await patients.find(session, actor, person.identifiers, lock=not part.put)
        if known is not None and part.known and known.id != part.id:
            raise Conflict(
                "Another patient of this hospital has one of these identifiers.",
                at="identifier",
                key="identity-conflict",
            )
    if known is not None:
        part.id, part.known = known.id, known.version
    return msgspec.structs.replace(person, id=part.id)


async def _known_stay(session: Session, actor: Actor, part: Part, patient: Id, now: datetime) -> None:
    """A stay with a number that this hospital has used is that stay, whoever else was referred from it."""
    if part.known:
        return
    read = wire.decode(part.raw, stays.Encounter, part.at)
    said = stays.stay(read, part.id, patient, actor.organization, now, part.at, {})
    number = said.number
    # Locked: its discharge, if one is on its way, is seen here or sees this referral.
    known = await patient_rows.locked_stay_by_number(session, actor.organization, number) if number else None
    if known is None:
        return
    if known.patient != patient:
        raise Conflict(
            "This number belongs to a stay of another patient.", at=f"{part.at}.identifier", key="identity-conflict"
        )
    part.id, part.known = known.id, known.version
    # What was written before the discharge does not take it back: the stay stands as it is.
    part.kept = schedule.discharged(known) and not schedule.discharged(said)


async def _stay(
    session: Session,
    actor: Actor,
    parts: list[Part],
    patient: Id,
    names: dict[str, str],
    now: datetime,
    asked: wire.ServiceRequest,
    at: str,
    received: list[Record],
    *,
    newcomer: bool,
) -> Stay | None:
    part = _only(parts, "Encounter", optional=True)
    if part is None or part.kept:
        named = part.id if part else references.ours(asked.encounter, "Encounter", at=f"{at}.encounter")
        known = await patient_rows.get_stay(session, named, lock=True) if named else None
        if (asked.encounter or part) and (known is None or known.patient != patient):
            raise Invalid("The encounter is not one of this patient.", at=f"{at}.encounter", code="not-found")
        return known
    body = references.rewritten(part.raw, names)
    whose = wire.decode(body, stays.Encounter, part.at).subject
    if whose and references.ours(whose, "Patient", at=f"{part.at}.subject") not in (None, patient):
        raise Invalid("The stay is another patient's.", at=f"{part.at}.subject", code="value")
    stay = await destination(session, parts, part, patient, actor, now)
    with wire.within(part.at):
        if part.known or not newcomer or schedule.discharged(stay):
            # It concerns the person's other referrals, too: its end, where they lie, that they are back so soon.
            return await followup.discharge(
                session, actor, stay, body, now, known=part.known or None, received=received
            )
        return await patients.admit(session, actor, stay, body, now, known=part.known, received=received)


async def destination(
    session: Session, parts: list[Part], part: Part, patient: Id, actor: Actor, now: datetime
) -> Stay:
    """The stay of an Encounter, with the region that it leads to: as the submission's own places say, or those known here."""
    read = wire.decode(part.raw, stays.Encounter, part.at)
    places = {
        url: wire.decode(p.raw, stays.Place, p.at)
        for p in parts
        if p.type in ("Organization", "Location")
        for url in urls(p)
    }
    places |= await known_places(session, actor, read, places)
    return stays.stay(read, part.id, patient, actor.organization, now, part.at, places)


async def known_places(
    session: Session, actor: Actor, read: stays.Encounter, brought: Mapping[str, stays.Place]
) -> dict[str, stays.Place]:
    """The Organizations and Locations that an Encounter names and that are known here, by reference: where it leads to, and
    where the person lies. What came along is not asked for."""
    going = read.hospitalization.destination if read.hospitalization else None
    wanted: dict[str, dict[Id, str]] = {"Organization": {}, "Location": {}}
    for reference in (*((going,) if going else ()), *(each.location for each in read.location)):
        named = references.parse(reference.reference)
        if named and named[0] in wanted and reference.reference not in brought and (id := references.as_id(named[1])):
            wanted[named[0]][id] = reference.reference or ""
    found: dict[str, stays.Place] = {}
    for type, ids in wanted.items():
        for known in await reading.many(session, actor, type, list(ids)) if ids else ():
            found[ids[Id(known.body["id"])]] = wire.decode(write_json(known.body), stays.Place, "Encounter")
    return found


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
    if faults := profiles.issues(profiles.SUBMITTED, read_json(body), part.at):
        raise Invalid(faults[0].text, issues=faults)
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
        if part.type in CORE or part.kept or mandatory.is_report(part.type, part.content):
            continue
        body = references.rewritten(part.raw, names)
        read = wire.decode(body, wire.Subject, part.at)
        about = (
            references.ours(read.subject or read.patient, "Patient", "Group", at=f"{part.at}.subject")
            if read.subject or read.patient
            else None
        )
        if about is not None and about != patient:
            raise Invalid("This is about another patient than the request.", at=f"{part.at}.subject", code="value")
        sealed = part.type == "RelatedPerson" and consents.suspected(body)
        kept.append(
            Record(part.id, part.known + 1, part.type, "safety" if sealed else "supporting", actor.organization, body, now, hospital=actor.organization, patient=patient,
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
        await consents.signed(session, actor, read, consent, body, now)
