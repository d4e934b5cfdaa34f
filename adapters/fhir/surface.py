"""The whole FHIR surface as one table: which types, interactions, search parameters and includes there are."""

from typing import Literal

import msgspec

Kind = Literal["token", "code", "reference", "date", "string", "uri", "boolean"]
Room = Literal["task", "request", "patient", "record", "directory", "subscription"]


class Param(msgspec.Struct, frozen=True):
    """A search parameter. `field`: what it is in the room that searches; `path`: where it stands in a resource kept as
    received. `personal`: its value may identify a person, so it never goes into a link of ours. `definition`: of a
    parameter that base R4 does not define, what it means."""

    name: str
    kind: Kind
    field: str = ""
    path: str = ""
    targets: tuple[str, ...] = ()
    personal: bool = False
    definition: str = ""


class Type(msgspec.Struct, frozen=True):
    """A resource type: `room` says who answers for it. `includes`: name → the elements that hold the reference."""

    room: Room
    interactions: tuple[str, ...]
    params: tuple[Param, ...]
    includes: dict[str, tuple[str, ...]] = {}
    doc: str = ""

    def param(self, name: str) -> Param | None:
        return next((param for param in self.params if param.name == name), None)


READ = ("read", "vread", "history-instance", "search-type")
CREATE = (*READ, "create")
WRITE = (*READ, "create", "update", "patch")

ID = Param("_id", "token", "id")
CHANGED = Param("_lastUpdated", "date", "changed")


def _reference(name: str, field: str, *targets: str) -> Param:
    return Param(name, "reference", field, targets=targets)


def _path(name: str, kind: Kind, path: str, *targets: str, personal: bool = False, definition: str = "") -> Param:
    return Param(name, kind, path=path, targets=targets, personal=personal, definition=definition)


def _coded(name: str, element: str) -> Param:
    """A token over a CodeableConcept, one or many of them."""
    return _path(name, "token", f"$.{element}[*].coding[*]")


IDENTIFIER = _path("identifier", "token", "$.identifier[*]", personal=True)
STATUS = Param("status", "code", "status")
PERSON = _reference("patient", "person", "Patient")
SUBJECT = _reference("subject", "person", "Patient")


def _record(interactions: tuple[str, ...], *params: Param, doc: str = "", **includes: tuple[str, ...]) -> Type:
    return Type(
        "record", interactions, (ID, CHANGED, *params), {k.replace("_", "-"): v for k, v in includes.items()}, doc
    )


def _directory(*params: Param, interactions: tuple[str, ...] = READ, doc: str = "") -> Type:
    return Type("directory", interactions, (ID, CHANGED, *params), doc=doc)


SURFACE: dict[str, Type] = {
    "Task": Type(
        "task",
        WRITE,
        (
            ID,
            CHANGED,
            Param("status", "code", "status"),
            Param("business-status", "token", "business-status"),
            Param("code", "token", "kind"),
            Param("intent", "code", "intent"),
            Param("priority", "code", "urgency"),
            PERSON,
            SUBJECT,
            _reference("focus", "focus", "ServiceRequest"),
            _reference("based-on", "based-on", "ServiceRequest"),
            _reference("part-of", "part-of", "Task"),
            _reference("owner", "owner", "Organization", "PractitionerRole"),
            _reference("requester", "requester", "Organization"),
            Param("modified", "date", "changed"),
            Param("due", "date", "due", definition="End of Task.restriction.period: the running deadline."),
            Param("output", "reference", "output", definition="What Task.output.valueReference names (SDOHCC)."),
            Param("identifier", "token", "number", personal=True),
        ),
        {
            "focus": ("focus",),
            "output": ("output", "valueReference"),
            "patient": ("for",),
            "subject": ("for",),
            "owner": ("owner",),
            "requester": ("requester",),
            "part-of": ("partOf",),
            "based-on": ("basedOn",),
        },
        "A hospital's referral as a whole (parent), each agency's share of it (partOf the parent), and follow-ups.",
    ),
    "ServiceRequest": Type(
        "request",
        WRITE,
        (
            ID,
            CHANGED,
            Param("status", "code", "status"),
            Param("intent", "code", "intent"),
            Param("category", "token", "category"),
            Param("code", "token", "code"),
            Param("priority", "code", "urgency"),
            PERSON,
            SUBJECT,
            _reference("based-on", "based-on", "ServiceRequest"),
            _reference("replaces", "replaces", "ServiceRequest"),
            _reference("requester", "requester", "Organization"),
            _reference("performer", "performer", "Organization"),
            Param("authored", "date", "authored"),
            Param("identifier", "token", "number", personal=True),
            Param("supporting-info", "reference", "supporting", definition="ServiceRequest.supportingInfo (SDOHCC)."),
        ),
        {
            "patient": ("subject",),
            "subject": ("subject",),
            "requester": ("requester",),
            "performer": ("performer",),
            "based-on": ("basedOn",),
            "replaces": ("replaces",),
            "supporting-info": ("supportingInfo",),
        },
        "The placer's order, and the filler-order of each share.",
    ),
    "Patient": Type(
        "patient",
        WRITE,
        (
            ID,
            CHANGED,
            Param("identifier", "token", "number", personal=True),
            Param("name", "string", "name", personal=True),
            Param("phone", "token", "phone", personal=True),
            Param("birthdate", "date", "born", personal=True),
            Param("gender", "code", "gender"),
        ),
        doc="A person as one hospital knows them; or, in an offer, a stand-in that identifies nobody.",
    ),
    "Encounter": _record(
        WRITE,
        STATUS,
        PERSON,
        SUBJECT,
        _coded("type", "type"),
        _path("class", "token", "$.class"),
        IDENTIFIER,
        patient=("subject",),
        doc="A stay; `finished` is the discharge.",
    ),
    "Consent": _record(
        WRITE,
        STATUS,
        PERSON,
        _coded("category", "category"),
        _coded("scope", "scope"),
        _path("source-reference", "reference", "$.sourceReference.reference", "DocumentReference"),
        _path("actor", "reference", "$.provision.actor[*].reference.reference", "Organization"),
        _path("data", "reference", "$.provision.data[*].reference.reference", "ServiceRequest"),
        _path("organization", "reference", "$.organization[*].reference", "Organization"),
        IDENTIFIER,
        source_reference=("sourceReference",),
        patient=("patient",),
    ),
    "Condition": _record(
        WRITE,
        PERSON,
        SUBJECT,
        _coded("category", "category"),
        _coded("code", "code"),
        _coded("clinical-status", "clinicalStatus"),
        _coded("verification-status", "verificationStatus"),
        _path("encounter", "reference", "$.encounter.reference", "Encounter"),
        IDENTIFIER,
        patient=("subject",),
    ),
    "Observation": _record(
        WRITE,
        STATUS,
        PERSON,
        SUBJECT,
        _coded("category", "category"),
        _coded("code", "code"),
        _path("based-on", "reference", "$.basedOn[*].reference", "ServiceRequest"),
        _path("derived-from", "reference", "$.derivedFrom[*].reference", "QuestionnaireResponse", "Observation"),
        _path("encounter", "reference", "$.encounter.reference", "Encounter"),
        IDENTIFIER,
        patient=("subject",),
    ),
    "QuestionnaireResponse": _record(
        WRITE,
        STATUS,
        PERSON,
        SUBJECT,
        _path("questionnaire", "uri", "$.questionnaire"),
        _path("author", "reference", "$.author.reference", "Organization", "PractitionerRole"),
        _path("based-on", "reference", "$.basedOn[*].reference", "ServiceRequest"),
        patient=("subject",),
    ),
    "DocumentReference": _record(
        WRITE,
        STATUS,
        PERSON,
        SUBJECT,
        _coded("category", "category"),
        _coded("type", "type"),
        IDENTIFIER,
        patient=("subject",),
    ),
    "Procedure": _record(
        WRITE,
        STATUS,
        PERSON,
        SUBJECT,
        _coded("category", "category"),
        _coded("code", "code"),
        _path("based-on", "reference", "$.basedOn[*].reference", "ServiceRequest"),
        _path("performer", "reference", "$.performer[*].actor.reference", "PractitionerRole", "Organization"),
        IDENTIFIER,
        based_on=("basedOn",),
        patient=("subject",),
        doc="An intervention of an agency.",
    ),
    "Goal": _record(
        WRITE,
        Param("lifecycle-status", "code", path="$.lifecycleStatus"),
        PERSON,
        SUBJECT,
        _coded("category", "category"),
        _coded("achievement-status", "achievementStatus"),
        IDENTIFIER,
    ),
    "CarePlan": _record(
        WRITE,
        STATUS,
        PERSON,
        SUBJECT,
        _coded("category", "category"),
        _path("based-on", "reference", "$.basedOn[*].reference", "ServiceRequest"),
        IDENTIFIER,
    ),
    "Communication": _record(
        CREATE,
        STATUS,
        PERSON,
        SUBJECT,
        _coded("category", "category"),
        _coded("medium", "medium"),
        _path("based-on", "reference", "$.basedOn[*].reference", "ServiceRequest", "Task"),
        _path(
            "about",
            "reference",
            "$.about[*].reference",
            "ServiceRequest",
            "Task",
            definition="Communication.about: the Task or request that a message is about.",
        ),
        _path("sender", "reference", "$.sender.reference", "Organization"),
        _path("recipient", "reference", "$.recipient[*].reference", "Organization"),
        IDENTIFIER,
        based_on=("basedOn",),
        doc="Questions and answers, crisis steps, contact attempts, and the receipt of a completed share.",
    ),
    "Provenance": _record(
        CREATE,
        _path("target", "reference", "$.target[*].reference", "ServiceRequest"),
        _path("agent", "reference", "$.agent[*].who.reference", "Organization"),
        doc="A lawful basis (HLEGAL, ETREAT) in place of a consent.",
    ),
    "RelatedPerson": _record(CREATE, PERSON, IDENTIFIER),
    "Location": _record(READ, IDENTIFIER),
    "Coverage": _record(READ, _path("beneficiary", "reference", "$.beneficiary.reference", "Patient"), IDENTIFIER),
    "Organization": _directory(
        Param("identifier", "token", "number"),
        Param("name", "string", "name"),
        Param("type", "token", "type"),
        Param("active", "boolean", "active"),
        _reference("partof", "part-of", "Organization"),
    ),
    "HealthcareService": _directory(
        _reference("organization", "organization", "Organization"),
        Param("name", "string", "name"),
        Param("active", "boolean", "active"),
        Param("service-type", "token", "type"),
        Param("specialty", "token", "need"),
        _reference("location", "location", "Location"),
        interactions=("read", "vread", "history-instance", "search-type", "update"),
        doc="What an agency offers; its capacity is set by update.",
    ),
    "PractitionerRole": _directory(
        _reference("organization", "organization", "Organization"),
        _reference("practitioner", "id", "Practitioner"),
        Param("active", "boolean", "active"),
    ),
    "Practitioner": _directory(Param("active", "boolean", "active")),
    "Subscription": Type(
        "subscription",
        ("read", "search-type", "create", "update"),
        (
            ID,
            CHANGED,
            Param("status", "code", "status"),
            Param("criteria", "uri", "topic", definition="The topic that is subscribed to."),
            Param("url", "uri", "endpoint"),
        ),
        doc="Notices by rest-hook (Subscriptions R5 Backport), id-only or empty; topics urn:yuanshe:topic:task, "
        "urn:yuanshe:topic:service-request and the two of SDOHCC. The extension urn:yuanshe:webhook-secret holds what signs "
        "them (Standard Webhooks), in the answer to the create alone.",
    ),
    "CodeSystem": Type(
        "directory",
        READ,
        (ID, Param("url", "uri", "url"), Param("name", "string", "name"), Param("status", "code", "status")),
    ),
}
"""Every type of the surface; any other is answered with 404 `not-supported`."""
