"""The whole FHIR surface as one table: which types there are, what may be asked of each, by whom, and how it is searched."""

from typing import Literal

import msgspec

from adapters.fhir.ways import (
    AGENCY,
    ALL,
    COMPARTMENT,
    CREATE,
    EVENTS,
    EVERYTHING,
    HOSPITAL,
    INTERACTIONS,
    ON_EVERY_TYPE,
    PARTIES,
    PAST,
    PLATFORM,
    READ,
    ROUTE,
    STATUS,
    TIMELINE,
    WORKERS,
    WRITE,
    Sides,
    Way,
    export,
)

Kind = Literal["token", "code", "reference", "date", "string", "uri", "boolean"]
Room = Literal[
    "task", "request", "patient", "record", "directory", "subscription", "audit", "published", "attachment", "group"
]


class Param(msgspec.Struct, frozen=True):
    """A search parameter. `field`: what it is in the room that searches; `path`: where it stands in a resource kept as
    received (several places, with a bar between them). `system`: what the codes of a `code` are bound to. `personal`: its
    value may identify a person, so it never goes into a link of ours. `whole`: it is searched by those alone who see
    the whole of what others wrote. `definition`: of a parameter that base R4 does not define, what it means, and
    `expression` where it stands, in FHIRPath."""

    name: str
    kind: Kind
    field: str = ""
    path: str = ""
    targets: tuple[str, ...] = ()
    personal: bool = False
    definition: str = ""
    expression: str = ""
    system: str = ""
    whole: bool = False

    @property
    def paths(self) -> tuple[str, ...]:
        return tuple(self.path.split("|")) if self.path else ()


class Type(msgspec.Struct, frozen=True):
    """A resource type: `room` says who answers for it. `interactions`: the names of those of INTERACTIONS that it offers.
    `includes`: name → the elements that hold the reference. `who` may read it; `creates` and `updates`: the sides that may
    write it at all, whatever rules are met then. `profiles`: those that what is shown and what is taken in here meet."""

    room: Room
    interactions: tuple[str, ...]
    params: tuple[Param, ...]
    includes: dict[str, tuple[str, ...]] = {}
    doc: str = ""
    operations: tuple[Way, ...] = ()
    who: Sides = PARTIES
    creates: Sides = PARTIES
    updates: Sides = PARTIES
    profiles: tuple[str, ...] = ()

    def param(self, name: str) -> Param | None:
        return next((param for param in self.params if param.name == name), None)

    @property
    def ways(self) -> tuple[Way, ...]:
        """Everything that may be asked of it."""
        offered = (way for way in INTERACTIONS if way.name in self.interactions)
        return (*offered, *self.operations, *ON_EVERY_TYPE)

    def sides(self, way: Way) -> Sides:
        """The sides that may use this way on the type."""
        allowed = {"create": self.creates, "update": self.updates, "patch": self.updates}.get(way.name, self.who)
        return tuple(side for side in way.who if side in allowed)


ID = Param("_id", "token", "id")
CHANGED = Param("_lastUpdated", "date", "changed")


def _reference(name: str, field: str, *targets: str) -> Param:
    return Param(name, "reference", field, targets=targets)


def _path(
    name: str, kind: Kind, path: str, *targets: str, personal: bool = False, definition: str = "", expression: str = ""
) -> Param:
    return Param(
        name, kind, path=path, targets=targets, personal=personal, definition=definition, expression=expression
    )


def _date(name: str, *elements: str, at: str = "") -> Param:
    """A date over elements that hold moments or periods; `at`: the room's own field over them."""
    return Param(name, "date", at, "|".join(f"$.{element}" for element in elements))


def _code(name: str, system: str, field: str = "", *, path: str = "") -> Param:
    """A token over an element of type code, whose system is known from what it is bound to."""
    return Param(name, "code", field or ("" if path else name), path, system=f"http://hl7.org/fhir/{system}")


def _coded(name: str, element: str) -> Param:
    """A token over a CodeableConcept, one or many of them."""
    return _path(name, "token", f"$.{element}[*].coding[*]")


STAFF = ("Organization", "PractitionerRole", "Practitioner")
IDENTIFIER = _path("identifier", "token", "$.identifier[*]", personal=True)
PERSON = _reference("patient", "person", "Patient")
SUBJECT = _reference("subject", "person", "Patient")


def _record(
    interactions: tuple[str, ...], *params: Param, doc: str = "", by: Sides = WORKERS, **includes: tuple[str, ...]
) -> Type:
    """A type kept as received; `by`: the sides that may write it."""
    named = {k.replace("_", "-"): v for k, v in includes.items()}
    return Type("record", interactions, (ID, CHANGED, *params), named, doc, creates=by, updates=by)


def _directory(
    *params: Param, interactions: tuple[str, ...] = READ, doc: str = "", **includes: tuple[str, ...]
) -> Type:
    return Type("directory", interactions, (ID, CHANGED, *params), includes, doc, who=ALL, updates=AGENCY)


def _published(*params: Param, doc: str) -> Type:
    """A type whose resources change only with the program."""
    return Type("published", READ, (ID, CHANGED, *params), doc=doc, who=ALL)


SURFACE: dict[str, Type] = {
    "Task": Type(
        "task",
        PAST,
        (
            ID,
            CHANGED,
            _code("status", "task-status"),
            Param("business-status", "token", "business-status"),
            Param("code", "token", "kind"),
            _code("intent", "task-intent"),
            _code("priority", "request-priority", "urgency"),
            PERSON,
            SUBJECT,
            _reference("focus", "focus", "ServiceRequest"),
            _reference("based-on", "based-on", "ServiceRequest"),
            _reference("part-of", "part-of", "Task"),
            _reference("owner", "owner", "Organization", "PractitionerRole"),
            _reference("requester", "requester", "Organization"),
            Param("authored-on", "date", "authored"),
            Param("modified", "date", "changed"),
            Param(
                "due",
                "date",
                "due",
                definition="End of Task.restriction.period: the running deadline.",
                expression="Task.restriction.period.end",
            ),
            Param(
                "output",
                "reference",
                "output",
                definition="What Task.output.valueReference names (SDOHCC).",
                expression="Task.output.value.ofType(Reference)",
            ),
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
        "A hospital's referral as a whole (parent), each agency's share of it (partOf the parent), and follow-ups. "
        "Offers are posted by the platform; a hospital's own Task comes along with its submission.",
        creates=("hospital", "platform"),
        profiles=("TaskForReferralManagement",),
    ),
    "ServiceRequest": Type(
        "request",
        PAST,
        (
            ID,
            CHANGED,
            _code("status", "request-status"),
            _code("intent", "request-intent"),
            Param("category", "token", "category"),
            Param("code", "token", "code"),
            _code("priority", "request-priority", "urgency"),
            PERSON,
            SUBJECT,
            _reference("based-on", "based-on", "ServiceRequest"),
            _reference("replaces", "replaces", "ServiceRequest"),
            _reference("requester", "requester", "Organization"),
            _reference("performer", "performer", "Organization"),
            Param("authored", "date", "authored"),
            _date("occurrence", "occurrenceDateTime", "occurrencePeriod", "occurrenceTiming.event[*]", at="occurrence"),
            Param("identifier", "token", "number", personal=True),
            Param(
                "supporting-info",
                "reference",
                "supporting",
                definition="ServiceRequest.supportingInfo (SDOHCC).",
                expression="ServiceRequest.supportingInfo",
            ),
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
        operations=(ROUTE, TIMELINE),
        creates=HOSPITAL,
    ),
    "Patient": Type(
        "patient",
        PAST,
        (
            ID,
            CHANGED,
            Param("identifier", "token", "number", personal=True),
            Param("name", "string", "name", personal=True),
            Param("phone", "token", "phone", personal=True),
            Param("birthdate", "date", "born", personal=True),
            _code("gender", "administrative-gender"),
        ),
        doc="A person as one hospital knows them; or, in an offer, a stand-in that identifies nobody.",
        operations=(
            EVERYTHING,
            *COMPARTMENT,
            export("type", "patient-export", "What is about the persons whom the client may read, as NDJSON files."),
        ),
        creates=HOSPITAL,
    ),
    "Encounter": _record(
        WRITE,
        _code("status", "encounter-status"),
        _date("date", "period"),
        PERSON,
        SUBJECT,
        _coded("type", "type"),
        _path("class", "token", "$.class"),
        IDENTIFIER,
        patient=("subject",),
        doc="A stay; `finished` is the discharge.",
        by=HOSPITAL,
    ),
    "Consent": _record(
        WRITE,
        _code("status", "consent-state-codes"),
        _date("date", "dateTime"),
        PERSON,
        _coded("category", "category"),
        _coded("scope", "scope"),
        _path("source-reference", "reference", "$.sourceReference.reference", "DocumentReference"),
        _path("actor", "reference", "$.provision.actor[*].reference.reference", "Organization"),
        _path("data", "reference", "$.provision.data[*].reference.reference", "ServiceRequest"),
        _path("organization", "reference", "$.organization[*].reference", "Organization"),
        IDENTIFIER,
        by=HOSPITAL,
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
        _date("onset-date", "onsetDateTime", "onsetPeriod"),
        _date("recorded-date", "recordedDate"),
        _path("encounter", "reference", "$.encounter.reference", "Encounter"),
        IDENTIFIER,
        patient=("subject",),
        encounter=("encounter",),
    ),
    "Observation": _record(
        WRITE,
        _code("status", "observation-status"),
        _date("date", "effectiveDateTime", "effectivePeriod", "effectiveInstant", "effectiveTiming.event[*]"),
        PERSON,
        SUBJECT,
        _coded("category", "category"),
        _coded("code", "code"),
        _path("based-on", "reference", "$.basedOn[*].reference", "ServiceRequest"),
        _path(
            "derived-from",
            "reference",
            "$.derivedFrom[*].reference",
            "QuestionnaireResponse",
            "Observation",
            "DocumentReference",
        ),
        _path("encounter", "reference", "$.encounter.reference", "Encounter"),
        IDENTIFIER,
        patient=("subject",),
        derived_from=("derivedFrom",),
        encounter=("encounter",),
        based_on=("basedOn",),
    ),
    "QuestionnaireResponse": _record(
        WRITE,
        _code("status", "questionnaire-answers-status"),
        _date("authored", "authored"),
        PERSON,
        SUBJECT,
        _path("questionnaire", "uri", "$.questionnaire"),
        _path("author", "reference", "$.author.reference", *STAFF, "Patient", "RelatedPerson"),
        _path("based-on", "reference", "$.basedOn[*].reference", "ServiceRequest"),
        _path("encounter", "reference", "$.encounter.reference", "Encounter"),
        IDENTIFIER,
        patient=("subject",),
        based_on=("basedOn",),
    ),
    "DocumentReference": _record(
        WRITE,
        _code("status", "document-reference-status"),
        _date("date", "date"),
        PERSON,
        SUBJECT,
        _coded("category", "category"),
        _coded("type", "type"),
        IDENTIFIER,
        patient=("subject",),
    ),
    "Procedure": _record(
        WRITE,
        _code("status", "event-status"),
        _date("date", "performedDateTime", "performedPeriod"),
        PERSON,
        SUBJECT,
        _coded("category", "category"),
        _coded("code", "code"),
        _path("based-on", "reference", "$.basedOn[*].reference", "ServiceRequest"),
        _path("performer", "reference", "$.performer[*].actor.reference", *STAFF),
        IDENTIFIER,
        based_on=("basedOn",),
        patient=("subject",),
        doc="An intervention of an agency.",
        by=AGENCY,
    ),
    "Goal": _record(
        WRITE,
        _code("lifecycle-status", "goal-status", path="$.lifecycleStatus"),
        _date("start-date", "startDate"),
        _date("target-date", "target[*].dueDate"),
        PERSON,
        SUBJECT,
        _coded("category", "category"),
        _coded("achievement-status", "achievementStatus"),
        IDENTIFIER,
        patient=("subject",),
    ),
    "CarePlan": _record(
        WRITE,
        _code("status", "request-status"),
        _code("intent", "care-plan-intent", path="$.intent"),
        _date("date", "period"),
        PERSON,
        SUBJECT,
        _coded("category", "category"),
        _path("based-on", "reference", "$.basedOn[*].reference", "ServiceRequest"),
        IDENTIFIER,
        patient=("subject",),
        based_on=("basedOn",),
    ),
    "Communication": _record(
        CREATE,
        _code("status", "event-status"),
        _date("sent", "sent"),
        _date("received", "received"),
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
            expression="Communication.about",
        ),
        _path("sender", "reference", "$.sender.reference", "Organization"),
        _path("recipient", "reference", "$.recipient[*].reference", "Organization", "PractitionerRole"),
        msgspec.structs.replace(IDENTIFIER, whole=True),
        based_on=("basedOn",),
        about=("about",),
        doc="Questions and answers, crisis steps, contact attempts, and the receipt of a completed share.",
        by=PARTIES,
    ),
    "Provenance": _record(
        CREATE,
        _path("target", "reference", "$.target[*].reference", "ServiceRequest"),
        _path("agent", "reference", "$.agent[*].who.reference", "Organization"),
        _date("recorded", "recorded"),
        target=("target",),
        doc="A lawful basis (HLEGAL, ETREAT) in place of a consent.",
        by=PLATFORM,
    ),
    "RelatedPerson": _record(CREATE, PERSON, IDENTIFIER, patient=("patient",)),
    "Location": _record(
        READ,
        IDENTIFIER,
        doc="A place that a hospital sent along; those of the directory are Organizations, stations and rooms too.",
    ),
    "Coverage": _record(
        READ,
        _code("status", "fm-status"),
        PERSON,
        _reference("beneficiary", "person", "Patient"),
        IDENTIFIER,
        patient=("beneficiary",),
    ),
    "Organization": _directory(
        Param("identifier", "token", "number"),
        Param("name", "string", "name"),
        Param("type", "token", "type"),
        Param("active", "boolean", "active"),
        _reference("partof", "part-of", "Organization"),
        partof=("partOf",),
    ),
    "HealthcareService": _directory(
        _reference("organization", "organization", "Organization"),
        Param("name", "string", "name"),
        Param("active", "boolean", "active"),
        Param("service-type", "token", "type"),
        Param("specialty", "token", "need"),
        _reference("location", "location", "Location"),
        organization=("providedBy",),
        interactions=("read", "vread", "history-instance", "search-type", "update"),
        doc="What an agency offers; its capacity is set by update.",
    ),
    "PractitionerRole": _directory(
        _reference("organization", "organization", "Organization"),
        _reference("practitioner", "id", "Practitioner"),
        Param("role", "token", "grade"),
        Param("active", "boolean", "active"),
        organization=("organization",),
        practitioner=("practitioner",),
    ),
    "CareTeam": _directory(
        _code("status", "care-team-status", "status"),
        _reference("participant", "participant", "PractitionerRole"),
        participant=("participant", "member"),
        doc="An agency's working staff, derived from the directory; it bears the agency's id.",
    ),
    "Practitioner": _directory(Param("name", "string", "name", personal=True), Param("active", "boolean", "active")),
    "Subscription": Type(
        "subscription",
        ("read", "search-type", "create", "update"),
        (
            ID,
            CHANGED,
            Param("status", "code", "status"),
            Param(
                "criteria",
                "uri",
                "topic",
                definition="The topic that is subscribed to.",
                expression="Subscription.criteria",
            ),
            Param("url", "uri", "endpoint"),
        ),
        doc="Notices by rest-hook (Subscriptions R5 Backport 1.1; JSON only), empty, id-only or full-resource, and where the "
        "operator has a mail server by email, empty or id-only; topics urn:yuanshe:topic:task, "
        "urn:yuanshe:topic:service-request and the two of SDOHCC. The extension urn:yuanshe:webhook-secret holds what signs "
        "a post (Standard Webhooks), in the answer to the create alone.",
        operations=(STATUS, EVENTS),
    ),
    "AuditEvent": Type(
        "audit",
        READ,
        (
            ID,
            CHANGED,
            Param("date", "date", "date"),
            _reference("patient", "person", "Patient"),
            Param("agent", "reference", "agent", targets=("Organization", "Device")),
            Param("entity", "reference", "entity", targets=("Patient", "ServiceRequest", "Task")),
            Param("altid", "token", "actor"),
            Param("action", "code", "action"),
            Param("outcome", "token", "outcome"),
            Param("type", "token", "kind"),
            Param("subtype", "token", "subtype"),
        ),
        doc="Who did what to whose data, one a request, the refused ones too; for the auditor alone. An event shows once it has "
        "its place in the chain of the audit, seconds after it. It holds ids and codes, no name and no text that anybody sent.",
        who=("auditor",),
    ),
    "Binary": Type(
        "attachment",
        ("read", "create"),
        (),
        doc="A file: sent and read as it is, or as FHIR JSON with its content in base64, as Content-Type and Accept say. Who reads "
        "the resource that it belongs to (`securityContext`, in a raw create the header X-Security-Context: a DocumentReference, "
        "ServiceRequest, Task, Patient or Consent) reads it; without one its author alone does. PDF, PNG, JPEG and plain text in UTF-8, "
        "each told by its content, of at most 10,000,000 octets unless the deployment says otherwise. It does not change: a "
        "new file is a new Binary.",
    ),
    "Questionnaire": _published(
        Param("url", "uri", "url"),
        Param("version", "token", "version"),
        Param("name", "string", "name"),
        Param("title", "string", "title"),
        Param("status", "code", "status"),
        Param("identifier", "token", "number"),
        Param("code", "token", "code"),
        doc="The screening instruments that the service understands. A response names one by its url; the link id of an item "
        "is its LOINC code.",
    ),
    "SearchParameter": _published(
        Param("url", "uri", "url"),
        Param("name", "string", "name"),
        Param("code", "code", "plain-code"),
        Param("base", "code", "base"),
        Param("type", "code", "plain-type"),
        Param("status", "code", "status"),
        doc="The search parameters that base R4 does not define.",
    ),
    "OperationDefinition": _published(
        Param("url", "uri", "url"),
        Param("name", "string", "name"),
        Param("code", "code", "plain-code"),
        Param("kind", "code", "kind-of"),
        Param("status", "code", "status"),
        doc="The operations of the service's own.",
    ),
    "Device": _published(
        Param("device-name", "string", "name"),
        Param("status", "code", "status"),
        _reference("organization", "owner", "Organization"),
        doc="The service itself: it observes every AuditEvent, and acts where its clock does.",
    ),
    "Group": Type(
        "group",
        ("read", "search-type"),
        (
            ID,
            CHANGED,
            Param("characteristic", "token", "need"),
            _reference("member", "member", "Patient"),
            _reference("managing-entity", "organization", "Organization"),
        ),
        doc="People by what they need (`characteristic`, `urn:yuanshe:need`): one Group for each need and organisation, put together "
        "from referrals when it is asked for. A hospital's holds its own people, an agency's those disclosed to it.",
        operations=(export("instance", "group-export", "What is about the members of the Group, as NDJSON files."),),
    ),
    "CodeSystem": Type(
        "directory",
        READ,
        (ID, Param("url", "uri", "url"), Param("name", "string", "name"), Param("status", "code", "status")),
        who=ALL,
    ),
}
"""Every type of the surface; any other is answered with 404 `not-supported`."""


def revincludes(name: str) -> tuple[str, ...]:
    """The includes of other types that lead to this one, for `_revinclude`: `Task:focus` of ServiceRequest."""
    return tuple(
        f"{source}:{include}"
        for source, type in SURFACE.items()
        for include in type.includes
        if (param := type.param(include)) and name in param.targets
    )
