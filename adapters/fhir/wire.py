"""FHIR R4 as Structs: what the service reads of each resource, with required bindings as literals; decoded once, at the edge."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta, Raw, Struct

from service.errors import Invalid, Issue, Malformed, Refusal, TooLarge
from service.values import SHANGHAI

Text = Annotated[str, Meta(min_length=1)]
Short = Annotated[str, Meta(min_length=1, max_length=255)]
"""What is searched by an index; longer ones are nobody's number."""
Integer = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)]
T = TypeVar("T")


class Coding(Struct, frozen=True):
    system: Text | None = None
    code: Text | None = None
    display: Text | None = None


class Concept(Struct, frozen=True):
    """CodeableConcept."""

    coding: tuple[Coding, ...] = ()
    text: Text | None = None

    @property
    def words(self) -> str | None:
        """What its sender called it."""
        return self.text or next((coding.display for coding in self.coding if coding.display), None)

    def code(self, system: str) -> str | None:
        return next((coding.code for coding in self.coding if coding.system == system), None)


class Identifier(Struct, frozen=True):
    system: Short | None = None
    value: Short | None = None
    use: Literal["usual", "official", "temp", "secondary", "old"] | None = None
    type: Concept | None = None


class Reference(Struct, frozen=True):
    reference: Text | None = None
    type: Text | None = None
    identifier: Identifier | None = None
    display: Text | None = None


class Period(Struct, frozen=True):
    start: Text | None = None
    end: Text | None = None


class Extension(Struct, frozen=True):
    url: Text
    value_code: Text | None = msgspec.field(default=None, name="valueCode")
    value_string: Text | None = msgspec.field(default=None, name="valueString")
    value_integer: Integer | None = msgspec.field(default=None, name="valueInteger")
    value_unsigned: Integer | None = msgspec.field(default=None, name="valueUnsignedInt")
    value_positive: Integer | None = msgspec.field(default=None, name="valuePositiveInt")
    value_uri: Text | None = msgspec.field(default=None, name="valueUri")
    value_canonical: Text | None = msgspec.field(default=None, name="valueCanonical")
    value_coding: Coding | None = msgspec.field(default=None, name="valueCoding")
    value_concept: Concept | None = msgspec.field(default=None, name="valueCodeableConcept")
    value_datetime: Text | None = msgspec.field(default=None, name="valueDateTime")
    value_boolean: bool | None = msgspec.field(default=None, name="valueBoolean")
    value_time: Text | None = msgspec.field(default=None, name="valueTime")
    value_reference: Reference | None = msgspec.field(default=None, name="valueReference")
    extension: tuple["Extension", ...] = ()


class Element(Struct, frozen=True):
    """What stands beside a primitive: `_district`."""

    extension: tuple[Extension, ...] = ()


class Name(Struct, frozen=True):
    use: Literal["usual", "official", "temp", "nickname", "anonymous", "old", "maiden"] | None = None
    text: Text | None = None
    family: Text | None = None
    given: tuple[Text | None, ...] = ()
    """With a null where only an extension stands (`_given`), as FHIR's JSON has it; so in an address's lines."""

    @property
    def words(self) -> str | None:
        if self.text:
            return self.text
        given = [part for part in self.given if part]
        parts = [self.family or "", *given]
        chinese = any("\u3400" <= letter <= "\u9fff" for letter in "".join(parts))
        joined = ("" if chinese else " ").join(
            part for part in (parts if chinese else [*given, self.family or ""]) if part
        )
        return joined or None


class Telecom(Struct, frozen=True):
    system: Literal["phone", "fax", "email", "pager", "url", "sms", "other"] | None = None
    value: Text | None = None


class Address(Struct, frozen=True):
    use: Literal["home", "work", "temp", "old", "billing"] | None = None
    text: Text | None = None
    line: tuple[Text | None, ...] = ()
    city: Text | None = None
    district: Text | None = None
    state: Text | None = None
    extension: tuple[Extension, ...] = ()
    beside_district: Element | None = msgspec.field(default=None, name="_district")


class Communicates(Struct, frozen=True):
    language: Concept
    preferred: bool = False


class Link(Struct, frozen=True):
    """Another record of the same person."""

    other: Reference
    type: Literal["replaced-by", "replaces", "refer", "seealso"]


class Patient(Struct, frozen=True):
    id: Text | None = None
    active: bool | None = None
    link: tuple[Link, ...] = ()
    identifier: tuple[Identifier, ...] = ()
    name: tuple[Name, ...] = ()
    telecom: tuple[Telecom, ...] = ()
    gender: Literal["male", "female", "other", "unknown"] = "unknown"
    birth_date: Text | None = msgspec.field(default=None, name="birthDate")
    address: tuple[Address, ...] = ()
    communication: tuple[Communicates, ...] = ()
    extension: tuple[Extension, ...] = ()
    deceased_boolean: bool | None = msgspec.field(default=None, name="deceasedBoolean")
    deceased_date: Text | None = msgspec.field(default=None, name="deceasedDateTime")


class Actor(Struct, frozen=True):
    role: Concept
    reference: Reference


class Data(Struct, frozen=True):
    meaning: Literal["instance", "related", "dependents", "authoredby"]
    reference: Reference


class Provision(Struct, frozen=True):
    type: Literal["deny", "permit"] | None = None
    period: Period | None = None
    actor: tuple[Actor, ...] = ()
    purpose: tuple[Coding, ...] = ()
    data: tuple[Data, ...] = ()
    action: tuple[Concept, ...] = ()
    classes: tuple[Coding, ...] = msgspec.field(default=(), name="class")
    code: Any = None
    security_label: Any = msgspec.field(default=None, name="securityLabel")
    data_period: Any = msgspec.field(default=None, name="dataPeriod")
    provision: tuple[Raw, ...] = ()


class Verification(Struct, frozen=True):
    verified: bool
    verified_with: Reference | None = msgspec.field(default=None, name="verifiedWith")
    extension: tuple[Extension, ...] = ()


class Consent(Struct, frozen=True):
    status: Literal["draft", "proposed", "active", "rejected", "inactive", "entered-in-error"]
    scope: Concept
    category: Annotated[tuple[Concept, ...], Meta(min_length=1)]
    patient: Reference
    date_time: Text | None = msgspec.field(default=None, name="dateTime")
    performer: tuple[Reference, ...] = ()
    organization: tuple[Reference, ...] = ()
    source_attachment: Any = msgspec.field(default=None, name="sourceAttachment")
    source_reference: Reference | None = msgspec.field(default=None, name="sourceReference")
    policy_rule: Concept | None = msgspec.field(default=None, name="policyRule")
    verification: tuple[Verification, ...] = ()
    provision: Provision | None = None


class Quantity(Struct, frozen=True):
    value: float | None = None


class Component(Struct, frozen=True):
    """One answer of an Observation that has several."""

    code: Concept
    value_integer: Integer | None = msgspec.field(default=None, name="valueInteger")
    value_quantity: Quantity | None = msgspec.field(default=None, name="valueQuantity")
    value_concept: Concept | None = msgspec.field(default=None, name="valueCodeableConcept")


class Observation(Struct, frozen=True):
    status: Literal[
        "registered", "preliminary", "final", "amended", "corrected", "cancelled", "entered-in-error", "unknown"
    ]
    code: Concept
    subject: Reference | None = None
    value_integer: Integer | None = msgspec.field(default=None, name="valueInteger")
    value_quantity: Quantity | None = msgspec.field(default=None, name="valueQuantity")
    value_concept: Concept | None = msgspec.field(default=None, name="valueCodeableConcept")
    component: tuple[Component, ...] = ()
    derived_from: tuple[Reference, ...] = msgspec.field(default=(), name="derivedFrom")


class Answer(Struct, frozen=True):
    value_integer: Integer | None = msgspec.field(default=None, name="valueInteger")
    value_decimal: float | None = msgspec.field(default=None, name="valueDecimal")
    value_quantity: Quantity | None = msgspec.field(default=None, name="valueQuantity")
    value_coding: Coding | None = msgspec.field(default=None, name="valueCoding")
    item: "tuple[Item, ...]" = ()


class Item(Struct, frozen=True):
    link_id: Text = msgspec.field(name="linkId")
    answer: tuple[Answer, ...] = ()
    item: "tuple[Item, ...]" = ()


class QuestionnaireResponse(Struct, frozen=True):
    status: Literal["in-progress", "completed", "amended", "entered-in-error", "stopped"]
    subject: Reference | None = None
    questionnaire: Text | None = None
    item: tuple[Item, ...] = ()


class Subject(Struct, frozen=True):
    """Any other resource about a person, as far as ownership goes."""

    status: Text | None = None
    subject: Reference | None = None
    patient: Reference | None = None


class Note(Struct, frozen=True):
    text: Text


class ServiceRequest(Struct, frozen=True):
    status: Literal["draft", "active", "on-hold", "revoked", "completed", "entered-in-error", "unknown"]
    intent: Literal[
        "proposal",
        "plan",
        "directive",
        "order",
        "original-order",
        "reflex-order",
        "filler-order",
        "instance-order",
        "option",
    ]
    subject: Reference
    identifier: tuple[Identifier, ...] = ()
    category: tuple[Concept, ...] = ()
    code: Concept | None = None
    reason_code: tuple[Concept, ...] = msgspec.field(default=(), name="reasonCode")
    order_detail: tuple[Concept, ...] = msgspec.field(default=(), name="orderDetail")
    priority: Literal["routine", "urgent", "asap", "stat"] = "routine"
    encounter: Reference | None = None
    performer: tuple[Reference, ...] = ()
    replaces: tuple[Reference, ...] = ()
    based_on: tuple[Reference, ...] = msgspec.field(default=(), name="basedOn")
    authored_on: Text | None = msgspec.field(default=None, name="authoredOn")
    note: tuple[Note, ...] = ()
    extension: tuple[Extension, ...] = ()
    contained: tuple[Raw, ...] = ()


class Restriction(Struct, frozen=True):
    period: Period | None = None


class TaskOutput(Struct, frozen=True):
    type: Concept
    value_reference: Reference | None = msgspec.field(default=None, name="valueReference")
    value_concept: Concept | None = msgspec.field(default=None, name="valueCodeableConcept")
    extension: tuple[Extension, ...] = ()


class Task(Struct, frozen=True):
    status: Literal[
        "draft", "requested", "received", "accepted", "rejected", "ready", "cancelled", "in-progress", "on-hold", "failed",
        "completed", "entered-in-error",
    ]  # fmt: skip
    intent: Literal[
        "unknown",
        "proposal",
        "plan",
        "order",
        "original-order",
        "reflex-order",
        "filler-order",
        "instance-order",
        "option",
    ]
    code: Concept | None = None
    part_of: tuple[Reference, ...] = msgspec.field(default=(), name="partOf")
    focus: Reference | None = None
    for_: Reference | None = msgspec.field(default=None, name="for")
    requester: Reference | None = None
    owner: Reference | None = None
    authored_on: Text | None = msgspec.field(default=None, name="authoredOn")
    status_reason: Concept | None = msgspec.field(default=None, name="statusReason")
    reason_code: Concept | None = msgspec.field(default=None, name="reasonCode")
    priority: Literal["routine", "urgent", "asap", "stat"] | None = None
    restriction: Restriction | None = None
    output: tuple[TaskOutput, ...] = ()
    note: tuple[Note, ...] = ()


class Payload(Struct, frozen=True):
    content_string: Text | None = msgspec.field(default=None, name="contentString")


class Communication(Struct, frozen=True):
    status: Literal[
        "preparation", "in-progress", "not-done", "on-hold", "stopped", "completed", "entered-in-error", "unknown"
    ]
    category: tuple[Concept, ...] = ()
    about: tuple[Reference, ...] = ()
    based_on: tuple[Reference, ...] = msgspec.field(default=(), name="basedOn")
    in_response_to: tuple[Reference, ...] = msgspec.field(default=(), name="inResponseTo")
    reason_code: tuple[Concept, ...] = msgspec.field(default=(), name="reasonCode")
    status_reason: Concept | None = msgspec.field(default=None, name="statusReason")
    medium: tuple[Concept, ...] = ()
    sent: Text | None = None
    subject: Reference | None = None
    payload: tuple[Payload, ...] = ()
    note: tuple[Note, ...] = ()


class Performer(Struct, frozen=True):
    actor: Reference


class Procedure(Struct, frozen=True):
    status: Literal[
        "preparation", "in-progress", "not-done", "on-hold", "stopped", "completed", "entered-in-error", "unknown"
    ]
    code: Concept
    subject: Reference
    based_on: tuple[Reference, ...] = msgspec.field(default=(), name="basedOn")
    status_reason: Concept | None = msgspec.field(default=None, name="statusReason")
    category: Concept | None = None
    performed_date: Text | None = msgspec.field(default=None, name="performedDateTime")
    performed_period: Period | None = msgspec.field(default=None, name="performedPeriod")
    performer: tuple[Performer, ...] = ()
    location: Reference | None = None
    outcome: Concept | None = None
    note: tuple[Note, ...] = ()
    extension: tuple[Extension, ...] = ()


class RelatedPerson(Struct, frozen=True):
    patient: Reference
    identifier: tuple[Identifier, ...] = ()
    name: tuple[Name, ...] = ()
    telecom: tuple[Telecom, ...] = ()
    birth_date: Text | None = msgspec.field(default=None, name="birthDate")
    extension: tuple[Extension, ...] = ()


class Agent(Struct, frozen=True):
    who: Reference


class Provenance(Struct, frozen=True):
    target: Annotated[tuple[Reference, ...], Meta(min_length=1)]
    agent: Annotated[tuple[Agent, ...], Meta(min_length=1)]
    reason: tuple[Concept, ...] = ()
    recorded: Text | None = None


class HealthcareService(Struct, frozen=True):
    active: bool | None = None
    extension: tuple[Extension, ...] = ()


class EntryRequest(Struct, frozen=True):
    method: Literal["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"]
    url: Text
    if_match: Text | None = msgspec.field(default=None, name="ifMatch")
    if_none_exist: Text | None = msgspec.field(default=None, name="ifNoneExist")
    if_none_match: Text | None = msgspec.field(default=None, name="ifNoneMatch")
    if_modified_since: Text | None = msgspec.field(default=None, name="ifModifiedSince")


class Entry(Struct, frozen=True):
    full_url: Text | None = msgspec.field(default=None, name="fullUrl")
    resource: Raw = Raw(b"")
    """Left undecoded; empty where there is none."""
    request: EntryRequest | None = None


class Bundle(Struct, frozen=True):
    resource_type: Literal["Bundle"] = msgspec.field(name="resourceType")
    type: Literal[
        "document",
        "message",
        "transaction",
        "transaction-response",
        "batch",
        "batch-response",
        "history",
        "searchset",
        "collection",
    ]
    entry: tuple[Entry, ...] = ()


class Labels(Struct, frozen=True):
    """What stays of a sender's `meta`."""

    profile: tuple[Text, ...] = ()
    security: tuple[Coding, ...] = ()
    tag: tuple[Coding, ...] = ()
    source: Text | None = None


class Kind(Struct, frozen=True):
    """What a resource says it is, and the form of what every resource may have and the service shows again."""

    resource_type: Text = msgspec.field(name="resourceType")
    id: Text | None = None
    meta: Labels | None = None
    contained: tuple[dict[str, Any], ...] = ()


LARGEST = 5 * 1024 * 1024
"""Octets of a body, or of what a patch makes; a larger one is refused with 413."""
MOST_PARTS = 200_000
"""Objects and lists in a body. Each costs time to look at, however few octets it has: five million of `[],` seconds."""
DEEPEST = 100
"""Levels of nesting that are read; forms nest some twenty."""
TOO_DEEP = f"A body is nested at most {DEEPEST} levels deep."


def sound(body: bytes) -> bytes:
    """The body, shown to be JSON that can be kept; a byte order mark is dropped.

    Structs skip what they do not read, so this looks at all of it: its form, its letters and numbers, its depth. Raises
    Malformed, for the character NUL (which FHIR forbids and PostgreSQL cannot keep) with the place; TooLarge.
    """
    body = body.removeprefix(b"\xef\xbb\xbf")
    # Brackets within texts are counted along: a bound is wanted before anything is built, and forms stay far below.
    if body.count(b"[") + body.count(b"{") > MOST_PARTS:
        raise TooLarge(f"A body has at most {MOST_PARTS} objects and lists.")
    try:
        whole: Any = msgspec.json.decode(body)
    except msgspec.ValidationError:
        raise Malformed("A number is out of range.", code="value") from None
    except RecursionError:
        raise TooLarge(TOO_DEEP) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Malformed("The body is not JSON.") from None
    level: list[Any] = [[whole]]
    for _ in range(DEEPEST):
        level = [
            inner
            for value in level
            for inner in (value.values() if type(value) is dict else value)
            if type(inner) is dict or type(inner) is list
        ]
        if not level:
            break
    else:
        raise TooLarge(TOO_DEEP)
    if b"\\u0000" in body:
        nul = next(_nul(whole, str(whole.get("resourceType", "")) if isinstance(whole, dict) else ""), None)
        if nul is not None:
            raise Malformed("A text holds the character NUL.", at=nul or None, code="value")
    return body


def _nul(value: Any, at: str) -> Iterator[str]:
    if isinstance(value, str):
        if "\0" in value:
            yield at
    elif isinstance(value, list):
        for position, inner in enumerate(value):
            yield from _nul(inner, f"{at}[{position}]")
    elif isinstance(value, dict):
        for key, inner in value.items():
            if "\0" in key:
                yield at
            yield from _nul(inner, f"{at}.{key}")


_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}


def decode(body: bytes | Raw, form: type[T], at: str) -> T:
    """Read JSON as a Struct. Raises Malformed when it is no JSON, Invalid with the path of the fault otherwise."""
    decoder = _decoders.get(form)
    if decoder is None:
        decoder = _decoders[form] = msgspec.json.Decoder(form)
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as fault:
        text, _, path = str(fault).partition(" - at `$")
        # msgspec does not say which one of a list; without a number the path means all of it, as in FHIRPath.
        issue = _issue(text, at + path.rstrip("`").replace("[...]", ""))
        raise Invalid(issue.text, issues=[issue]) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Malformed("The body is not JSON.", at=at) from None


def _issue(text: str, at: str) -> Issue:
    # msgspec repeats a wrong enum value, which could be anything that somebody typed; say only what is allowed.
    if text.startswith("Invalid enum value"):
        return Issue("The value is not in the required value set.", at, "code-invalid")
    if missing := re.match(r"Object missing required field `(\w+)`", text):
        return Issue(f"The element {missing[1]} is missing.", f"{at}.{missing[1]}", "required")
    return Issue(text, at, "value")


_DATE = re.compile(r"\d{4}(-\d{2}(-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2}))?)?)?\Z")


def instant(value: str, at: str) -> datetime:
    """A FHIR dateTime as an instant; a date without time is the start of that day in Shanghai."""
    try:
        if not _DATE.match(value):
            raise ValueError
        if "T" in value:
            return datetime.fromisoformat(value).astimezone(UTC)
        year, month, day = ([int(part) for part in value.split("-")] + [1, 1])[:3]
        return datetime(year, month, day, tzinfo=SHANGHAI).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Invalid("This is not a date and time of FHIR (YYYY-MM-DDThh:mm:ss+zz:zz).", at=at, code="value") from None


def day(value: str, at: str) -> date | None:
    """A FHIR date; one without a day is no birthday to count from."""
    if not re.match(r"\d{4}(-\d{2}){0,2}\Z", value):
        raise Invalid("This is not a date of FHIR (YYYY-MM-DD).", at=at, code="value")
    try:
        return date.fromisoformat(value) if len(value) == 10 else None
    except ValueError:
        raise Invalid("There is no such date.", at=at, code="value") from None


@contextmanager
def within(at: str) -> Iterator[None]:
    """Say of a rule's fault where in the sender's input it lies: `identifier` becomes `Patient.identifier`; a fault of no
    place of its own lies in all of it."""
    try:
        yield
    except Refusal as refusal:
        refusal.issues = tuple(
            msgspec.structs.replace(issue, at=f"{at}.{issue.at}" if issue.at else at)
            if not issue.at or not issue.at[0].isupper()
            else issue
            for issue in refusal.issues
        )
        raise


@contextmanager
def entry(at: str, type: str) -> Iterator[None]:
    """Within a Bundle: `Patient.identifier` becomes `Bundle.entry[3].resource.identifier`."""
    try:
        with within(type):
            yield
    except Refusal as refusal:
        refusal.issues = tuple(
            msgspec.structs.replace(issue, at=f"{at}.resource{(issue.at or type).removeprefix(type)}")
            if (issue.at or type).partition(".")[0] == type
            else issue
            for issue in refusal.issues
        )
        raise
