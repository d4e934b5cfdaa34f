"""Tasks, requests and messages as FHIR R4: plain dicts, since they are rendered all day."""

from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from adapters.fhir import persons
from service import codes
from service.patients.model import Patient
from service.practice import PLATFORM
from service.records.model import Record
from service.referrals.model import FILLER_STATUS, Question, Receipt, Referral, Task
from service.values import Id, Reason, read_json, write_json

Json = dict[str, Any]
Reader = Literal["hospital", "agency", "platform"]

TASK_CODE = "http://hl7.org/fhir/CodeSystem/task-code"
STATUS_REASON = "http://hl7.org/fhir/StructureDefinition/request-statusReason"
LANGUAGE = "urn:yuanshe:language"
"""Extension of a filler ServiceRequest: the language to speak with the person; base R4 has no element for it there."""

FULFILL: Json = {"coding": [{"system": TASK_CODE, "code": "fulfill", "display": "Fulfill the focal request"}]}
DO_NOT_CONTACT: Json = {
    "coding": [
        {"system": codes.SDOHCC, "code": "contacting-subject-prohibited", "display": "Contacting Subject Prohibited"}
    ]
}


def instant(at: datetime) -> str:
    """An instant in UTC, to the microsecond that is stored, so that a poller's `gt` neither repeats nor skips."""
    return at.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def meta(version: int, at: datetime, received: Json | None = None) -> Json:
    """Our version and time; profiles, tags and labels of the sender stay."""
    kept = {key: value for key, value in (received or {}).items() if key in ("profile", "security", "tag", "source")}
    return {"versionId": str(version), "lastUpdated": instant(at), **kept}


def ref(type: str, id: Id) -> Json:
    return {"reference": f"{type}/{id}"}


def concept(system: str, code: str, text: str | None = None) -> Json:
    """A code of one of our lists with its Chinese words."""
    said: Json = {"coding": [{"system": system, "code": code, "display": codes.label(system, code)}]}
    if text:
        said["text"] = text
    return said


def task(task: Task, received: Json | None = None) -> Json:
    """A Task as every reader sees it. `received` is the parent as its hospital sent it: what the service does not speak
    of (extensions, input, …) stays as it was."""
    said: Json = {
        "resourceType": "Task",
        "id": str(task.id),
        "meta": meta(task.version, task.updated_at, received.get("meta") if received else None),
        "status": task.status,
        "intent": "order",
        "priority": task.urgency,
        "authoredOn": instant(task.authored_at),
        "lastModified": instant(task.updated_at),
    }
    if task.kind == "parent":
        said |= {"code": FULFILL, "focus": ref("ServiceRequest", task.referral), "requester": ref("Organization", task.hospital),
                 "owner": ref("Organization", PLATFORM)}  # fmt: skip
    elif task.kind == "share":
        said |= {"code": FULFILL, "requester": ref("Organization", PLATFORM)}
        if task.filler:
            said["focus"] = ref("ServiceRequest", task.filler)
        if task.part_of:
            said["partOf"] = [ref("Task", task.part_of)]
    else:
        what = "follow-up" if task.kind == "follow-up" else task.item or ""
        said |= {"code": concept(codes.TASK_CODE, what), "requester": ref("Organization", PLATFORM),
                 "basedOn": [ref("ServiceRequest", task.referral)]}  # fmt: skip
    if proposed := _proposed(task):
        said["extension"] = [proposed]
    if task.kind == "duty" and task.item == "refer-new-need":
        said["reasonCode"] = concept(codes.NEED, task.needs[0])
        said["input"] = [
            {"type": concept(codes.TASK_CODE, "need"), "valueCodeableConcept": concept(codes.NEED, need)}
            for need in task.needs
        ]
    if person := task.patient or task.stand_in:
        said["for"] = ref("Patient", person)
    if task.kind != "parent" and (owner := _owner(task)):
        said["owner"] = owner
    if task.business_status:
        said["businessStatus"] = concept(codes.BUSINESS_STATUS, task.business_status)
    if reason := _status_reason(task):
        said["statusReason"] = reason
    if period := _period(task):
        said["restriction"] = {"period": period}
    if task.outputs:
        said["output"] = [output.element for output in task.outputs]
    elif task.follow_up and task.follow_up.outcome:
        # What the service knows of itself: the person is in hospital again.
        found = concept(codes.FOLLOW_UP_OUTCOME, task.follow_up.outcome)
        said["output"] = [{"type": concept(codes.TASK_CODE, "outcome"), "valueCodeableConcept": found}]
    if task.notes:
        said["note"] = list(task.notes)
    return _over(received, said, drop=("statusReason", "businessStatus", "restriction", "output")) if received else said


PROPOSED = "urn:yuanshe:proposed-contact"
"""Extension of a follow-up: the next attempt that is safe, by which way and when; absent where a person decides."""


def _proposed(task: Task) -> Json | None:
    told = task.follow_up
    if not task.open or told is None or told.proposed_at is None or told.proposed_channel is None:
        return None
    parts = [{"url": "at", "valueDateTime": instant(told.proposed_at)}, {"url": "channel", "valueCode": told.proposed_channel}]  # fmt: skip
    return {"url": PROPOSED, "extension": parts}


def _owner(task: Task) -> Json | None:
    if task.worker:
        return ref("PractitionerRole", task.worker)
    if task.agency:
        return ref("Organization", task.agency)
    return ref("Organization", task.hospital) if task.kind in ("follow-up", "duty") else None


def _period(task: Task) -> Json:
    if task.kind == "follow-up":
        window = (("start", task.window_from), ("end", task.window_to))
        return {name: instant(at) for name, at in window if at}
    return {"end": instant(task.due_at)} if task.due_at else {}


NEEDS_REASON = frozenset({"rejected", "cancelled", "on-hold", "failed"})


def _status_reason(task: Task) -> Json | None:
    reason = task.reason
    if task.kind == "share" and task.patient is None and _others_words(task):
        # What the hospital wrote may name the person, and this agency may not know who it is.
        reason = None
    if reason is None or not (reason.code or reason.text):
        # SDOHCC wants a reason wherever a Task ended badly; what the service itself did says so by its businessStatus.
        if task.status not in NEEDS_REASON or not task.business_status:
            return None
        return {"text": codes.label(codes.BUSINESS_STATUS, task.business_status)}
    return reason_concept(reason, task.status)


def _others_words(task: Task) -> bool:
    return task.status == "entered-in-error" or task.business_status in ("withdrawn", "cancellation-requested")


def reason_concept(reason: Reason, status: str) -> Json:
    """A reason with the code system that knows its code (both lists have some) and always words."""
    lists = (codes.CLOSURE_REASON, codes.DECLINE_REASON, codes.ACCESS_REVIEW)
    ordered = lists if status in ("completed", "failed") else lists[::-1]
    if reason.code is None:
        return {"text": reason.text}
    system = next((system for system in ordered if codes.known(system, reason.code)), None)
    if system is None:
        return {"text": reason.text or reason.code}
    return concept(system, reason.code, reason.text or codes.label(system, reason.code))


def _over(received: Json, said: Json, drop: tuple[str, ...] = ()) -> Json:
    """What was received with what the service says laid over it; `drop`: elements that only the service may say."""
    whole = {key: value for key, value in received.items() if key not in drop and key.lstrip("_") not in said}
    if "authoredOn" in received:
        said = said | {"authoredOn": received["authoredOn"]}
    return _without_orphans({"resourceType": said["resourceType"], **whole, **said})


def _without_orphans(resource: Json) -> Json:
    # A contained resource that nothing points to any more (the submitted Patient, now stored by itself) breaks dom-3.
    contained = resource.get("contained")
    if not contained:
        return resource
    rest = write_json({key: value for key, value in resource.items() if key != "contained"})
    kept = [one for one in contained if f'"#{one.get("id")}"'.encode() in rest]
    resource = {key: value for key, value in resource.items() if key != "contained"}
    return resource | {"contained": kept} if kept else resource


def placer_request(referral: Referral, received: Json | None, reader: Reader) -> Json:
    """The hospital's ServiceRequest: as received for itself and the platform; for an agency, which it was disclosed to,
    only the listed elements, each built anew, so that no extension, contained resource or number goes along."""
    status: Json = {"status": referral.status}
    if referral.status == "revoked" and referral.reason:
        status["extension"] = [
            {"url": STATUS_REASON, "valueCodeableConcept": reason_concept(referral.reason, "cancelled")}
        ]
    base: Json = {
        "resourceType": "ServiceRequest",
        "id": str(referral.id),
        "meta": meta(
            referral.version, referral.updated_at, (received or {}).get("meta") if reader != "agency" else None
        ),
    }
    person = ref("Patient", referral.patient)
    if received is None:
        return base | status | _request_alone(referral) | {"subject": person}
    if reader == "agency":
        if referral.populations:
            status["extension"] = [*status.get("extension", []), *_groups(referral.populations)]
        return base | status | {"intent": "order"} | persons.without_numbers(_disclosed_request(received)) | {
            "priority": received.get("priority", referral.urgency), "subject": person,
            "requester": ref("Organization", referral.hospital),
        }  # fmt: skip
    if reader == "platform":
        received = persons.without_why(received)
    person = (received.get("subject") or {}) | person
    whole = received | base | {"status": referral.status, "subject": person}
    if "extension" in status:
        others = [e for e in received.get("extension", ()) if e.get("url") != STATUS_REASON]
        whole["extension"] = [*others, *status["extension"]]
    return _without_orphans(whole)


def _request_alone(referral: Referral) -> Json:
    said: Json = {
        "intent": "order",
        "priority": referral.urgency,
        "category": [concept(codes.NEED, need) for need in referral.needs],
        "code": concept(codes.NEED, referral.needs[0]),
        "authoredOn": instant(referral.authored_at),
        "requester": ref("Organization", referral.hospital),
    }
    if referral.contact_prohibited:
        said["orderDetail"] = [DO_NOT_CONTACT]
    if referral.continues:
        said["basedOn"] = [ref("ServiceRequest", referral.continues)]
    if referral.populations:
        said["extension"] = _groups(referral.populations)
    return said


def _groups(populations: tuple[str, ...]) -> list[Json]:
    return [
        {"url": codes.POPULATION, "valueCoding": concept(codes.POPULATION, each)["coding"][0]} for each in populations
    ]


def _disclosed_request(received: Json) -> Json:
    said: Json = {}
    for name in ("category", "reasonCode", "orderDetail"):
        if found := [clean for value in received.get(name, ()) if (clean := _plain_concept(value))]:
            said[name] = found
    if code := _plain_concept(received.get("code")):
        said["code"] = code
    elif "orderDetail" in said:
        # prr-1: a detail needs a code.
        said["code"] = (
            said["category"][0] if "category" in said else {"text": codes.label(codes.NEED, codes.OTHER_NEED)}
        )
    for name in ("authoredOn", "occurrenceDateTime"):
        if isinstance(received.get(name), str):
            said[name] = received[name]
    if isinstance(period := received.get("occurrencePeriod"), dict):
        said["occurrencePeriod"] = {name: period[name] for name in ("start", "end") if name in period}
    performers = [{"reference": one["reference"]} for one in received.get("performer", ()) if _is_agency(one)]
    if performers:
        said["performer"] = performers
    if notes := [{"text": note["text"]} for note in received.get("note", ()) if note.get("text")]:
        said["note"] = notes
    return said


def _is_agency(reference: Json) -> bool:
    return str(reference.get("reference", "")).startswith("Organization/")


def _plain_concept(value: Json | None) -> Json | None:
    """A CodeableConcept with its codes and words and nothing else."""
    if not isinstance(value, dict):
        return None
    coding = [
        {name: one[name] for name in ("system", "version", "code", "display") if name in one}
        for one in value.get("coding", ())
    ]
    said: Json = {}
    if coding := [one for one in coding if one]:
        said["coding"] = coding
    if value.get("text"):
        said["text"] = value["text"]
    return said or None


def filler_request(share: Task, version: int | None = None) -> Json:
    """The filler-order of a share: its needs and urgency, no free text. A safety need reads “safety” until disclosure."""
    assert share.filler is not None
    disclosed = share.patient is not None
    said: Json = {
        "resourceType": "ServiceRequest",
        "id": str(share.filler),
        "meta": meta(version or share.filler_version, share.filler_at or share.authored_at),
        "status": FILLER_STATUS[share.status],
        "intent": "filler-order",
        "category": [concept(codes.NEED, need) for need in share.told_needs],
        "priority": share.urgency,
        "code": concept(codes.NEED, share.told_needs[0]),
        "subject": ref("Patient", share.patient or share.stand_in or share.id),
        "authoredOn": instant(share.authored_at),
        "requester": ref("Organization", PLATFORM),
    }
    if share.contact_prohibited and disclosed:
        said["orderDetail"] = [DO_NOT_CONTACT]
    if share.agency:
        said["performer"] = [ref("Organization", share.agency)]
    if disclosed:
        said["basedOn"] = [ref("ServiceRequest", share.referral)]
    if share.language and (disclosed or not share.safety):
        said["extension"] = [{"url": LANGUAGE, "valueCode": share.language}]
    return said


def stand_in(share: Task) -> Json:
    """The per-offer Patient of a share; see `persons.stand_in`."""
    return persons.stand_in(share, meta(share.stand_in_version, share.stand_in_at or share.authored_at))


def patient(patient: Patient, received: Json | None, reader: Reader) -> Json:
    """A person: as received for the hospital and the platform, the T1 elements (domain f-7) for an agency."""
    said = meta(patient.version, patient.updated_at, (received or {}).get("meta") if reader != "agency" else None)
    merged = persons.absorbed(patient)
    if reader == "agency" and merged:
        # Who knows the person by the record that stays needs to know no more of this one.
        return {"resourceType": "Patient", "id": str(patient.id), "meta": said} | merged
    if reader == "agency" or received is None:
        return persons.disclosed(patient, said, masked=reader == "agency") | merged
    if reader == "platform":
        received = persons.without_why(received)
    return received | {"resourceType": "Patient", "id": str(patient.id), "meta": said} | merged


def record(record: Record, reader: Reader = "hospital") -> Json:
    """Any other resource: as received, under our id and version. A receipt is the service's own and gets its form here."""
    body: Json = read_json(record.body)
    if record.type == "Communication" and "resourceType" not in body:
        if record.code == "question":
            return question(record, msgspec.convert(body, Question))
        return receipt(record, msgspec.convert(body, Receipt))
    if record.type == "Communication" and reader == "agency" and record.author != record.agency:
        return _message(record, body)
    if reader == "agency" and record.category == "supporting":
        shown = {"Condition": persons.diagnosis, "Encounter": persons.stay}.get(record.type)
        body = persons.without_numbers(shown(body) if shown else body)
    if reader == "platform" and record.type in ("Patient", "ServiceRequest"):
        body = persons.without_why(body)
    return body | {
        "resourceType": record.type,
        "id": str(record.id),
        "meta": meta(record.version, record.at, body.get("meta")),
    }


def _message(record: Record, body: Json) -> Json:
    """What somebody else wrote to an agency: its words, and what it is about. Built anew, because it may have been written
    before disclosure, and then a subject, a narrative or a contained resource would tell who the person is."""
    said: Json = {
        "resourceType": "Communication",
        "id": str(record.id),
        "meta": meta(record.version, record.at),
        "status": body.get("status"),
    }
    for name in ("category", "medium"):
        if found := [clean for value in body.get(name, ()) if (clean := _plain_concept(value))]:
            said[name] = found
    for name in ("priority", "sent", "received"):
        if isinstance(body.get(name), str):
            said[name] = body[name]
    for name, types in (
        ("about", ("Task",)), ("basedOn", ("Task",)), ("inResponseTo", ("Communication",)), ("recipient", ("Organization", "PractitionerRole")),
    ):  # fmt: skip
        if found := [clean for value in body.get(name, ()) if (clean := _plain_reference(value, *types))]:
            said[name] = found
    if sender := _plain_reference(body.get("sender"), "Organization"):
        said["sender"] = sender
    payload = [clean for value in body.get("payload", ()) if (clean := _plain_payload(value))]
    return said | {"payload": payload} if payload else said


def _plain_payload(value: Json) -> Json | None:
    if isinstance(value.get("contentString"), str):
        return {"contentString": persons.without_numbers(value["contentString"])}
    reference = _plain_reference(value.get("contentReference"), "DocumentReference", "Binary", "Task")
    return {"contentReference": reference} if reference else None


def _plain_reference(value: Json | None, *types: str) -> Json | None:
    """A relative reference to one of these types and nothing else."""
    name = str(value.get("reference", "")) if isinstance(value, dict) else ""
    return {"reference": name} if name.partition("/")[0] in types else None


def question(record: Record, question: Question) -> Json:
    """What an agency asked on a page: the Communication that a program of its own would have sent."""
    about = [ref("Task", question.task)]
    return {
        "resourceType": "Communication",
        "id": str(record.id),
        "meta": meta(record.version, record.at),
        "basedOn": about,
        "status": "completed",
        "category": [concept(codes.MESSAGE, "question")],
        "about": about,
        "sent": instant(question.at),
        "sender": ref("Organization", question.agency),
        "payload": [{"contentString": question.text}],
    }


def receipt(record: Record, receipt: Receipt) -> Json:
    """The outcome return (转介回执) on the placer's request, with the hospital as recipient."""
    system = codes.CLOSURE_REASON
    words = codes.label(system, receipt.reason.code) if receipt.reason.code else ""
    said: Json = {
        "resourceType": "Communication",
        "id": str(record.id),
        "meta": meta(record.version, record.at),
        "basedOn": [ref("ServiceRequest", receipt.referral)],
        "status": "completed",
        "category": [concept(codes.MESSAGE, "receipt")],
        "about": [ref("ServiceRequest", receipt.referral), ref("Task", receipt.task)],
        "sent": instant(receipt.at),
        "reasonCode": [reason_concept(receipt.reason, "completed")],
        "payload": [{"contentString": "：".join(filter(None, (words, receipt.reason.text))) or words}],
    }
    said["payload"] += [{"contentReference": {"reference": name}} for name in receipt.outputs]
    if record.hospital:
        said["recipient"] = [ref("Organization", record.hospital)]
    if record.agency:
        said["sender"] = ref("Organization", record.agency)
    return said
