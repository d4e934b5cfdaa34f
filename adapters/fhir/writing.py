"""Every write of the FHIR surface: which verb a create, update or patch of each type is."""

from datetime import datetime
from typing import Any

import jsonpatch
import jsonpointer
import msgspec

from adapters.fhir import (
    casefile,
    consents,
    intake,
    mandatory,
    merges,
    messages,
    reading,
    references,
    render,
    safe_contact,
    screening,
    stays,
    submission,
    tasks,
    validation,
    wire,
)
from adapters.fhir.directory import CAPACITY, CONFIRMED, PLACES
from adapters.fhir.submission import Stored
from service import codes
from service.access.model import Actor
from service.access.scopes import may
from service.casework import flow as casework
from service.casework import work_flow
from service.casework.model import NewIntervention
from service.db import Session
from service.db.finding import Condition
from service.directory import flow as directory
from service.errors import Conflict, Forbidden, Invalid, Issue, Malformed, NotFound, Stale, TooLarge
from service.followup import flow as followup
from service.followup import person_flow as persons
from service.patients import flow as patients
from service.patients import identity
from service.patients import store as patient_rows
from service.records import store as records
from service.records.model import Record
from service.referrals import finding, flow, store
from service.referrals.model import Referral, Task
from service.referrals.screening_flow import SCORE
from service.values import Id, Reason, read_json, write_json

STATUS_REASON = "http://hl7.org/fhir/StructureDefinition/request-statusReason"
CASE_TYPES = frozenset({"Goal", "CarePlan", "Observation", "QuestionnaireResponse", "Condition", "DocumentReference"})
CREATED = frozenset({"Patient", "Encounter", "Consent", "ServiceRequest", "Task", "Communication", "Procedure", "Provenance"}) | CASE_TYPES | frozenset({"RelatedPerson"})  # fmt: skip
UPDATED = (
    frozenset({"Patient", "Encounter", "Consent", "ServiceRequest", "Task", "Procedure", "HealthcareService"})
    | CASE_TYPES
)


async def create(session: Session, actor: Actor, type: str, body: bytes, id: Id, now: datetime) -> Stored:
    """Create a resource with the id `id`; where it is stored."""
    kind = wire.decode(body, wire.Kind, type)
    if kind.resource_type != type:
        raise Invalid(f"The address is one of {type}, the body of another type.", at="resourceType", code="value")
    validation.check(type, read_json(body))
    with wire.within(type):
        match type:
            case "ServiceRequest":
                return (await submission.submit(session, actor, submission.lone(body), now))[0]
            case "Patient":
                return await _new_patient(session, actor, body, id, now)
            case "Encounter":
                await _stay(session, actor, body, id, now)
            case "Consent":
                await consents.consent(session, actor, body, id, now)
            case "Task":
                return Stored("Task", id, (await tasks.create(session, actor, body, id, now)).version)
            case "Communication":
                return Stored(type, id, 1, warnings=await messages.create(session, actor, body, id, now))
            case "Procedure":
                await _procedure(session, actor, body, id, now)
            case "Provenance":
                await consents.provenance(session, actor, body, id, now)
            case _ if type in CREATED:
                return Stored(type, id, 1, 201, await _record(session, actor, type, body, id, now))
            case _:
                raise NotFound(f"This server does not create resources of type {type}.", code="not-supported")
    return Stored(type, id, 1)


async def update(
    session: Session, actor: Actor, type: str, body: bytes, id: Id, expected: int | None, now: datetime
) -> Stored:
    """Update the resource; `expected` is the version that If-Match names. The stored version; unchanged when nothing changed."""
    kind = wire.decode(body, wire.Kind, type)
    if kind.resource_type != type:
        raise Invalid(f"The address is one of {type}, the body of another type.", at="resourceType", code="value")
    if kind.id != str(id):
        raise Malformed("The id of the body is not the id of the address.", at=f"{type}.id")
    content: dict[str, Any] = read_json(body)
    validation.check(type, content)
    with wire.within(type):
        match type:
            case "Task":
                return Stored("Task", id, (await tasks.update(session, actor, id, content, expected, now)).version, 200)
            case "ServiceRequest":
                return await _request(session, actor, content, body, id, expected, now)
            case "Patient":
                return await _known_patient(session, actor, body, id, expected, now)
            case "Encounter":
                known = await patient_rows.get_stay(session, id)
                _current(known.version if known and known.hospital == actor.organization else None, expected, type)
                return Stored(type, id, await _stay(session, actor, body, id, now), 200)
            case "Consent":
                held = await records.current(session, type, id)
                _current(held.version if held else None, expected, type)
                return Stored(type, id, await consents.consent(session, actor, body, id, now), 200)
            case "Procedure":
                held = await records.current(session, type, id)
                _current(held.version if held else None, expected, type)
                return Stored(type, id, await _procedure(session, actor, body, id, now), 200)
            case "HealthcareService":
                return Stored(type, id, await _capacity(session, actor, body, id, expected, now), 200)
            case _ if type in UPDATED:
                held = await records.current(session, type, id)
                _current(held.version if held else None, expected, type)
                assert held is not None
                if held.author != actor.organization:
                    raise Forbidden("Only who wrote a resource changes it.", key="wrong-actor")
                if held.code == SCORE:
                    raise Forbidden("The service reckons this score from its response; correct that.", key="derived")
                said = await _record(session, actor, type, body, id, now, held)
                return Stored(type, id, held.version + 1, 200, said)
            case _:
                raise NotFound(f"This server does not update resources of type {type}.", code="not-supported")


def _current(version: int | None, expected: int | None, type: str) -> None:
    if version is None:
        raise NotFound(f"There is no such {type}, or it is not yours to see; create it by POST.")
    if expected is not None and expected != version:
        raise Stale(f"The {type} is at version {version} now; read it again.")


MOST_CHANGES, MOST_COPIES = 100, 8
"""Operations of a patch. Each copy may double what is there, so what it makes is measured as it grows, too."""


async def patch(session: Session, actor: Actor, type: str, id: Id, body: bytes, expected: int | None) -> bytes:
    """The whole resource that a patch makes of the current one, to be updated to in the same transaction. Raises Stale when
    `expected` is not its version: before the patch is tried, whose tests were meant for another."""
    if type in ("Task", "ServiceRequest"):
        await store.lock_of(session, id)
    try:
        current = await reading.read(session, actor, type, id)
    except NotFound:
        if type == "Task":
            await taken(session, actor, id)
        raise
    if expected is not None and expected != current.version:
        raise Stale(f"The {type} is at version {current.version} now; read it again.")
    if not may(actor, type, "r"):
        _told_nothing(body)
    return patched(current.body, body)


def _told_nothing(body: bytes) -> None:
    """Raise Forbidden for a patch with a test: whether it holds tells what stands there."""
    changes = read_json(body or b"null")
    if isinstance(changes, list) and any(isinstance(each, dict) and each.get("op") == "test" for each in changes):
        raise Forbidden("A test in a patch needs the scope to read.", key="insufficient-scope")


def patched(current: dict[str, Any], body: bytes) -> bytes:
    """The resource after a JSON Patch (RFC 6902). Raises Malformed for no patch, Conflict when a test in it does not hold,
    TooLarge before it grows beyond LARGEST."""
    # An entry of a Bundle may have come without a resource.
    changes = read_json(body or b"null")
    if not isinstance(changes, list):
        raise Malformed("A JSON Patch (RFC 6902) is a list of operations.")
    copies = sum(isinstance(change, dict) and change.get("op") == "copy" for change in changes)
    if len(changes) > MOST_CHANGES or copies > MOST_COPIES:
        raise TooLarge(f"A patch has at most {MOST_CHANGES} operations, {MOST_COPIES} of them copies.")
    at = 0
    try:
        for change in changes:
            at += 1
            jsonpatch.JsonPatch([change])  # Every operation is one, before the first is tried.
        at = 0
        whole = write_json(current)
        size, made = len(whole), read_json(whole)
        for change in changes:
            at += 1
            if change["op"] == "copy":
                size += len(write_json(jsonpointer.resolve_pointer(made, change["from"])))
                if size > wire.LARGEST:
                    raise TooLarge(f"What the patch makes has more than {wire.LARGEST} octets.")
            made = jsonpatch.JsonPatch([change]).apply(made, in_place=True)
        whole = write_json(made)
        if len(whole) > wire.LARGEST:
            raise TooLarge(f"What the patch makes has more than {wire.LARGEST} octets.")
        return wire.sound(whole)
    except jsonpatch.JsonPatchTestFailed:
        text = f"A test of the patch does not hold: operation {at} of {len(changes)}."
        raise Conflict(text, key="patch-test") from None
    except (
        jsonpatch.JsonPatchException,
        jsonpointer.JsonPointerException,
        TypeError,
        KeyError,
        AttributeError,
        RecursionError,
    ):
        text = "The body is not a JSON Patch (RFC 6902) that fits this resource"
        raise Malformed(f"{text}: operation {at} of {len(changes)} cannot be done.") from None


async def _new_patient(session: Session, actor: Actor, body: bytes, id: Id, now: datetime) -> Stored:
    read = wire.decode(body, wire.Patient, "Patient")
    person = intake.patient(read, id, actor.organization, now, "Patient")
    known = await patients.find(session, actor, person.identifiers, lock=True) if actor.side == "hospital" else None
    stored = await persons.register(
        session, actor, msgspec.structs.replace(person, id=known.id if known else id), body, now
    )
    await safe_contact.keep(session, actor, stored.id, safe_contact.read(read.extension, "Patient"), now, "Patient")
    doubts = identity.doubts(stored.identifiers, stored.gender)
    return Stored("Patient", stored.id, stored.version, 200 if known else 201, doubts)


async def _known_patient(
    session: Session, actor: Actor, body: bytes, id: Id, expected: int | None, now: datetime
) -> Stored:
    known = await patient_rows.get(session, id)
    if known is None:
        raise NotFound("There is no such Patient, or it is not yours to see; create it by POST.")
    if known.hospital != actor.organization:
        raise Forbidden("Only the patient's hospital changes it.", key="wrong-actor")
    read = wire.decode(body, wire.Patient, "Patient")
    if (survivor := merges.replaced_by(read)) is not None:
        return await merges.absorbed(session, actor, known, survivor, body, expected, now)
    if known.merged_into is not None:
        raise Conflict(
            f"This record was merged into another one, which answers for it: Patient/{known.merged_into}. A merge is taken "
            "back by Patient/{id}/$undo-merge.", at="link", key="merged", names={"Patient": str(known.merged_into)},
        )  # fmt: skip
    person = intake.patient(read, id, actor.organization, now, "Patient")
    same = await patients.find(session, actor, person.identifiers)
    if same is not None and same.id != id:
        raise Conflict(
            f"Another patient of this hospital has one of these identifiers: Patient/{same.id}. If both are one person, merge "
            "them: put the record that goes with active false and a link of type replaced-by to the one that stays.",
            at="identifier", key="identity-conflict", names={"Patient": str(same.id)},
        )  # fmt: skip
    stored = await persons.register(session, actor, person, body, now, expected, whole=True)
    await safe_contact.keep(session, actor, id, safe_contact.read(read.extension, "Patient"), now, "Patient")
    return Stored("Patient", id, stored.version, 200)


async def _stay(session: Session, actor: Actor, body: bytes, id: Id, now: datetime) -> int:
    read = wire.decode(body, stays.Encounter, "Encounter")
    patient = references.required(read.subject, "Patient", at="Encounter.subject")
    places = await submission.known_places(session, actor, read, {})
    stay = stays.stay(read, id, patient, actor.organization, now, "Encounter", places)
    return (await followup.discharge(session, actor, stay, body, now)).version


async def _request(
    session: Session, actor: Actor, content: dict[str, Any], body: bytes, id: Id, expected: int | None, now: datetime
) -> Stored:
    """A placer's request changes by being withdrawn or voided; a changed need is a new request that replaces it."""
    await store.lock_of(session, id)
    referral = await store.referral(session, id)
    if referral is None:
        if await store.by_filler(session, id) is not None:
            raise Forbidden("The filler's request is the service's own; answer its Task.", key="wrong-actor")
        raise NotFound("There is no such ServiceRequest, or it is not yours to see.")
    if actor.side == "agency":
        raise Forbidden("Only its author changes a request.", key="wrong-actor")
    if expected is not None and expected != referral.version:
        raise Stale(f"The ServiceRequest is at version {referral.version} now; read it again.")
    read = wire.decode(body, wire.ServiceRequest, "ServiceRequest")
    held = await records.version(session, "ServiceRequest", id, referral.received)
    shown = render.placer_request(referral, read_json(held.body) if held else None, "hospital")
    unread = {"meta", "text", "id", "status"}
    if read.status != referral.status:
        # A withdrawal brings its reason along, in a note or an extension.
        unread |= {"note", "extension"}
    changed = sorted(k for k in (content.keys() | shown.keys()) - unread if content.get(k) != shown.get(k))
    if changed:
        raise Invalid(
            "A placed request does not change: send a new ServiceRequest that replaces it, or revoke it.",
            at=f"ServiceRequest.{changed[0]}", code="business-rule", key="request-fixed",
        )  # fmt: skip
    if read.status == referral.status:
        return Stored("ServiceRequest", id, referral.version, 200)
    why = _withdrawal_reason(read, shown)
    if read.status == "revoked":
        loop = await flow.withdraw(session, actor, id, why, now)
    elif read.status == "entered-in-error":
        loop = await casework.void(session, actor, id, why or Reason(None, "entered in error by the placer"), now)
    else:
        raise Invalid(
            f"A request does not become {read.status} by its author's word; the Tasks say so.",
            at="ServiceRequest.status",
            key="illegal-move",
        )
    return Stored("ServiceRequest", id, loop.referral.version, 200)


def _withdrawal_reason(read: wire.ServiceRequest, shown: dict[str, Any]) -> Reason | None:
    """From the R4 extension request-statusReason, or a note that is new."""
    concept = next((e.value_concept for e in read.extension if e.url == STATUS_REASON and e.value_concept), None)
    if concept is not None:
        return Reason(concept.code("urn:yuanshe:decline-reason"), concept.words)
    before = {note.get("text") for note in shown.get("note", ())}
    fresh = [note.text for note in read.note if note.text not in before]
    return Reason(None, fresh[-1]) if fresh else None


async def _procedure(session: Session, actor: Actor, body: bytes, id: Id, now: datetime) -> int:
    read = wire.decode(body, wire.Procedure, "Procedure")
    share = await _own_share(session, actor, read.based_on, "Procedure")
    code = read.code.code(codes.SERVICE_TYPE)
    if code is None or not codes.known(codes.SERVICE_TYPE, code):
        raise Invalid(
            "An intervention has a code of urn:yuanshe:service-type.", at="Procedure.code", code="code-invalid"
        )
    if not (read.performed_date or read.performed_period):
        raise Invalid("An intervention says when it was performed.", at="Procedure.performed", code="required")
    period = read.performed_period
    started = wire.instant(
        read.performed_date or (period.start if period and period.start else ""), "Procedure.performed"
    )
    ended = wire.instant(period.end, "Procedure.performedPeriod.end") if period and period.end else None
    new = NewIntervention(
        id=id, task=share.id, about=await patient_rows.answering(session, references.required(read.subject, "Patient", at="Procedure.subject")), service_type=code, status=read.status, started_at=started, ended_at=ended,
        worker=next((w for p in read.performer if (f := references.parse(p.actor.reference)) and f[0] == "PractitionerRole" and (w := references.as_id(f[1]))), None),
        method=(read.category.code(codes.METHOD) if read.category else None) or "casework",
        minutes=next((e.value_integer for e in read.extension if e.url == "urn:yuanshe:minutes"), None),
        place=read.location.display if read.location else None, outcome=read.outcome.words if read.outcome else None,
        no_show=read.status_reason is not None and read.status_reason.code(codes.BUSINESS_STATUS) == "no-show",
    )  # fmt: skip
    new = casefile.intervened(new, read)
    return (await work_flow.record_intervention(session, actor, new, body, now)).version


async def _own_share(session: Session, actor: Actor, based_on: tuple[wire.Reference, ...], type: str) -> Task:
    """Which of the agency's shares a piece of work belongs to: by its filler request, or the placer's once disclosed."""
    if actor.side != "agency":
        raise Forbidden("Work is recorded by the agency that does it.", key="wrong-actor")
    own: Task | None = None
    for position, reference in enumerate(based_on):
        found = references.parse(reference.reference)
        if found is None or found[0] not in ("ServiceRequest", "Task") or (id := references.as_id(found[1])) is None:
            continue
        share = await store.by_filler(session, id) if found[0] == "ServiceRequest" else await store.task(session, id)
        if share is None and found[0] == "ServiceRequest" and await store.referral(session, id):
            # The placer's request, to those alone who may know of it.
            share = await store.own_share(session, id, actor.organization)
        if share is None:
            raise NotFound(
                "This is based on nothing that is yours to see: name your own Task, or the ServiceRequest in its focus.",
                at=f"{type}.basedOn[{position}]",
            )
        if own is not None and share.id != own.id:
            raise Invalid("Work belongs to one Task.", at=f"{type}.basedOn[{position}]", code="business-rule")
        own = share
    if own is not None:
        return own
    raise Invalid("Work is based on the ServiceRequest of your Task.", at=f"{type}.basedOn", code="required")


async def _record(
    session: Session, actor: Actor, type: str, body: bytes, id: Id, now: datetime, held: Record | None = None
) -> tuple[Issue, ...]:
    """Another resource about a person: a hospital's is kept for who takes the referral, an agency's belongs to its case.
    What its sender is told: of screening, what it comes to."""
    if mandatory.is_report(type, read_json(body)):
        if held and held.category != "safety":
            raise Invalid("A report is recorded as one from the start: send it anew.", at=f"{type}.questionnaire", code="value")  # fmt: skip
        return await mandatory.record(session, actor, body, id, now)
    if held and type == "QuestionnaireResponse" and held.category == "safety":
        raise Invalid("What is sealed stays the record of a report.", at=f"{type}.questionnaire", code="value")
    read = wire.decode(body, wire.Subject, type)
    named = read.subject or read.patient
    about = references.ours(named, "Patient", at=f"{type}.subject")
    about = await patient_rows.answering(session, about) if about else None
    if about is None and (actor.side == "hospital" or (named and named.reference)):
        raise Invalid("The subject is not a patient that is known here.", at=f"{type}.subject", code="not-found")
    if actor.side == "agency":
        content: dict[str, Any] = read_json(body)
        based = wire.decode(body, _Based, type).based_on or casefile.related(content)
        share = held.task if held else await _case_share(session, actor, based, about, type)
        record = Record(id, held.version + 1 if held else 1, type, held.category if held else "case-note", actor.organization, body, now,
                        agency=actor.organization, patient=about, task=share, status=read.status)  # fmt: skip
        said = await casefile.written(session, type, content)
        kept = await work_flow.record_work(session, actor, record, share, now, said)
        return await screening.take(session, actor, kept, now)
    if actor.side != "hospital" or about is None:
        raise Forbidden("This is recorded by a hospital or an agency.", key="wrong-actor")
    referral = await _said_referral(session, about, _belongs(body, type), type)
    sealed = type == "RelatedPerson" and consents.suspected(body)
    kept = await patients.add_supporting(
        session, actor, id, type, about, referral, read.status, body, now, sealed=sealed
    )
    if type == "RelatedPerson":
        await consents.relate(session, actor, id, about, body, now, type)
    return await screening.take(session, actor, kept, now)


async def _said_referral(session: Session, patient: Id, said: "_Based", type: str) -> Id | None:
    """The hospital's referral that a resource belongs to by its own words: by basedOn, or by the stay of its encounter
    when the patient was referred once from that stay."""
    for position, reference in enumerate(said.based_on):
        found = references.parse(reference.reference)
        if found is None or found[0] not in ("ServiceRequest", "Task") or (id := references.as_id(found[1])) is None:
            continue
        if found[0] == "Task":
            task = await store.task(session, id)
            id = task.referral if task else id
        referral = await store.referral(session, id)
        if referral is None:
            continue  # An order of the hospital's own, for something else: nothing of ours.
        if referral.patient != patient:
            raise Invalid(
                "This is about another patient than the request.", at=f"{type}.basedOn[{position}]", code="value"
            )
        return referral.id
    stay = references.parse(said.encounter.reference) if said.encounter else None
    if stay is None or stay[0] != "Encounter" or (id := references.as_id(stay[1])) is None:
        return None
    placed = await finding.requests(session, [Condition("patient", (patient,))], 200)
    of_stay = [each.id for each in placed if isinstance(each, Referral) and each.stay == id]
    return of_stay[0] if len(of_stay) == 1 else None


class _Based(msgspec.Struct, frozen=True):
    """What a resource says that it belongs to."""

    based_on: tuple[wire.Reference, ...] = msgspec.field(default=(), name="basedOn")
    encounter: wire.Reference | None = None


def _belongs(body: bytes, type: str) -> "_Based":
    """What a resource says that it belongs to; a DocumentReference has no `basedOn` and no `encounter`, but a context of both."""
    said = wire.decode(body, _Based, type)
    if type != "DocumentReference":
        return said
    content: dict[str, Any] = read_json(body)
    stays = content.get("context", {}).get("encounter", [])
    stay = wire.Reference(reference=stays[0].get("reference")) if len(stays) == 1 else None
    return _Based(casefile.related(content), stay)


async def _case_share(
    session: Session, actor: Actor, based_on: tuple[wire.Reference, ...], about: Id | None, type: str
) -> Id:
    if based_on:
        return (await _own_share(session, actor, based_on, type)).id
    share = await store.share_for(session, about, actor.organization) if about else None
    if share is None:
        raise Invalid(
            "Work is about a person whose identity is disclosed to you, or based on your ServiceRequest.",
            at=f"{type}.subject",
            code="business-rule",
            key="not-disclosed",
        )
    return share.id


SAID_OF_CAPACITY = frozenset({CAPACITY, PLACES, CONFIRMED})
"""Extensions of a HealthcareService that its agency sets; the last is set by saying the others."""


async def _capacity(session: Session, actor: Actor, body: bytes, id: Id, expected: int | None, now: datetime) -> int:
    read, content = wire.decode(body, wire.HealthcareService, "HealthcareService"), read_json(body)
    places = next((e.value_integer for e in read.extension if e.url == PLACES), None)
    if places is not None and not 0 <= places <= 100_000:
        raise Invalid("The number of places is from 0 to 100,000.", at="HealthcareService.extension", code="value")
    before = await reading.read(session, actor, "HealthcareService", id)
    said = await directory.set_capacity(session, actor, id, _capacity_status(content), places, now, expected)
    changed = [key for key, value in _directory_part(content).items() if _directory_part(before.body).get(key) != value]
    if changed:
        raise Invalid(
            "An agency changes the capacity of its service alone; the rest is the directory's.",
            at=f"HealthcareService.{changed[0]}", code="business-rule", key="not-yours",
        )  # fmt: skip
    return said.version


def _directory_part(content: dict[str, Any]) -> dict[str, Any]:
    """What of a HealthcareService does not speak of capacity: it has to be as it is."""
    others = [each for each in content.get("extension", ()) if each.get("url") not in SAID_OF_CAPACITY]
    unread = {"meta", "text", "implicitRules", "language", "extension"}
    return {key: value for key, value in content.items() if key not in unread} | (
        {"extension": others} if others else {}
    )


def _capacity_status(content: dict[str, Any]) -> str | None:
    """The SDOHCC capacity status, wherever in the resource's extensions its code stands."""
    known = ("capacity", "no-capacity", "waitlist", "additional-assessment-required")
    pending: list[Any] = [content.get("extension") or []]
    while pending:
        value = pending.pop()
        if isinstance(value, list):
            pending.extend(value)
        elif isinstance(value, dict):
            if value.get("code") in known:
                return value["code"]
            pending.extend(value.values())
    return None


async def taken(session: Session, actor: Actor, id: Id) -> None:
    """Raise Conflict when this agency might have claimed the Task and another one has."""
    if actor.side == "agency" and await store.may_claim(session, id, actor.organization):
        raise Conflict("Another agency has taken this offer.", key="taken")
