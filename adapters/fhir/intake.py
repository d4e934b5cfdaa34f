"""From FHIR to the service's words: patients, consents, needs, screening answers; pure translation."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from adapters.fhir import dates, references, wire
from service import codes
from service.consent.categories import ALWAYS, TYPES, withheld
from service.consent.marks import Features
from service.consent.model import Consent
from service.directory.regions import stripped
from service.errors import Invalid, Issue
from service.patients.model import Identifier, Patient
from service.referrals.model import NewReferral
from service.safety.scoring import Given
from service.safety.screening import Answer
from service.values import Id, read_json

SC_CODING = "http://hl7.org/fhir/StructureDefinition/iso21090-SC-coding"
NO_IDENTIFIER = "urn:yuanshe:no-identifier-reason"
ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
CONSENT_SCOPE, PRIVACY = "http://terminology.hl7.org/CodeSystem/consentscope", "patient-privacy"
PARTICIPATION, RECIPIENT = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "IRCP"
RESOURCE_TYPES = "http://hl7.org/fhir/resource-types"
CONSENT_ACTION, PROCESSING = (
    "http://terminology.hl7.org/CodeSystem/consentaction",
    frozenset({"collect", "use", "correct"}),
)
"""What is done with data where they are: a matter of its own, apart from handing them on."""
WITNESS = "urn:yuanshe:witness"
PURPOSES = frozenset({"TREAT", "ETREAT", "CAREMGT", "COC"})
"""v3-ActReason: treatment, care management, coordination of care. A Consent for another purpose opens nothing to an agency."""


def identifiers(given: tuple[wire.Identifier, ...]) -> tuple[Identifier, ...]:
    """Those that identify: with a system and a value, and still in use."""
    return tuple(Identifier(i.system, i.value) for i in given if i.system and i.value and i.use != "old")


AHEAD = timedelta(days=1)
"""How far a sender's calendar may be ahead of ours."""


def patient(read: wire.Patient, id: Id, hospital: Id, now: datetime, at: str) -> Patient:
    reason = next((e.value_code for e in read.extension if e.url == NO_IDENTIFIER), None)
    language = next(
        (c for c in read.communication if c.preferred), read.communication[0] if read.communication else None
    )
    home = address(read.address)
    if read.deceased_date and dates.span(read.deceased_date, "deceased")[1] > now + AHEAD:
        # One wrong digit would freeze all contact and owe the family a call.
        raise Invalid("A death lies in the past.", at=f"{at}.deceasedDateTime", code="value")
    name = next((n for n in read.name if n.use in (None, "official", "usual")), read.name[0] if read.name else None)
    return Patient(
        id=id, hospital=hospital, version=0, identifiers=identifiers(read.identifier), updated_at=now,
        name=name.words if name else None, phone=next((t.value for t in read.telecom if t.system in ("phone", "sms")), None),
        birth_date=wire.day(read.birth_date, f"{at}.birthDate") if read.birth_date else None, gender=read.gender,
        address=" ".join(filter(None, (home.state, home.city, *home.line))) or home.text if home else None, region=region(read.address),
        language=next((c.code for c in language.language.coding if c.code), None) if language else None, no_identifier_reason=reason,
        deceased=bool(read.deceased_boolean or read.deceased_date),
    )  # fmt: skip


def address(given: tuple[wire.Address, ...]) -> wire.Address | None:
    """Where the person lives now: `temp` before `home` (contract.md)."""
    for use in ("temp", "home", None):
        found = next((a for a in given if a.use == use), None)
        if found:
            return found
    return None


def region(given: tuple[wire.Address, ...]) -> str | None:
    """The region code of where the person lives now; `postalCode` is never read."""
    for use in ("temp", "home", None):
        for a in given:
            if a.use == use and (code := region_code(a)):
                return code
    return None


def region_code(a: wire.Address) -> str | None:
    """6 to 12 digits in `district`, or its iso21090-SC-coding extension; trailing levels of zeros are stripped (domain f-3)."""
    beside = (*(a.beside_district.extension if a.beside_district else ()), *a.extension)
    coded = next(
        (e.value_coding.code for e in beside if e.url == SC_CODING and e.value_coding and e.value_coding.code), None
    )
    for candidate in (coded, a.district):
        if candidate and candidate.isascii() and candidate.isdigit() and 6 <= len(candidate) <= 12:
            return stripped(candidate)
    return None


def consent(read: wire.Consent, id: Id, patient: Id, actor: Id, now: datetime, at: str) -> Consent:
    """A Consent to disclose, or of another category, which is kept and opens nothing.

    What would be read wider than it was signed is refused: exceptions in nested provisions, `data` that is no referral,
    a directive of another matter in the same signature (domain f-6: independent ticks).
    """
    verified = any(one.verified for one in read.verification)
    spoken = verified and not (read.source_attachment or read.source_reference)
    for name, missing in (
        ("dateTime", not read.date_time), ("organization", not read.organization), ("policyRule", not read.policy_rule),
        ("source", not (read.source_attachment or read.source_reference or verified)),
    ):  # fmt: skip
        if missing:
            raise Invalid(f"A Consent needs {name}.", at=f"{at}.{name}", code="required")
    provision = read.provision or wire.Provision()
    matters = {c.code for concept in read.category for c in concept.coding if c.system == ACT_CODE}
    shares = "IDSCL" in matters and read.scope.code(CONSENT_SCOPE) == PRIVACY and provision.type != "deny"
    purposes = {c.code for c in provision.purpose if c.system != codes.PURPOSE}
    discloses = shares and provision.type == "permit" and (not provision.purpose or not PURPOSES.isdisjoint(purposes))
    signers = _signers(read, patient, at)
    if shares:
        _as_signed(read, provision, matters, signers, at)
    agencies = [
        references.required(who.reference, "Organization", at=f"{at}.provision.actor[{n}].reference")
        for n, who in enumerate(provision.actor)
        if who.role.code(PARTICIPATION) == RECIPIENT
    ]
    named = [
        references.required(d.reference, "ServiceRequest", at=f"{at}.provision.data[{n}].reference")
        for n, d in enumerate(provision.data)
        if discloses or "ServiceRequest/" in (d.reference.reference or "")
    ]
    period = provision.period
    return Consent(
        id=id, hospital=actor, patient=patient, version=0, kind="consent", active=read.status == "active", discloses=discloses,
        agencies=tuple(dict.fromkeys(agencies)), referrals=tuple(dict.fromkeys(named)),
        signer="patient" if "Patient" in signers else "related" if "RelatedPerson" in signers else "staff",
        recorded_by=actor, recorded_at=now, spoken=spoken, purposes=_purposes(provision, f"{at}.provision") if shares and provision.type == "permit" else (),
        withheld=_withheld(provision, f"{at}.provision") if shares else (), witness=_witness(read, at) if shares else None,
        valid_from=wire.instant(period.start, f"{at}.provision.period.start") if period and period.start else None,
        valid_to=_end(period.end, f"{at}.provision.period.end") if period and period.end else None,
    )  # fmt: skip


def _signers(read: wire.Consent, patient: Id, at: str) -> set[str]:
    """Which kinds of signer there are. A Patient who signs is the one whom the Consent is about."""
    kinds: set[str] = set()
    for position, signer in enumerate(read.performer):
        found = references.parse(signer.reference)
        if found is None:
            continue
        if found[0] == "Patient" and references.as_id(found[1]) != patient:
            raise Invalid("Another patient does not sign.", at=f"{at}.performer[{position}]", code="value")
        kinds.add(found[0])
    return kinds


def _as_signed(
    read: wire.Consent, provision: wire.Provision, matters: set[str | None], signers: set[str], at: str
) -> None:
    """Raise unless a Consent that would open identity can be taken at its word."""
    if provision.type is None and read.status == "active":
        raise Invalid("Say whether the signer permits or denies.", at=f"{at}.provision.type", code="required")
    for name, said in (("securityLabel", provision.security_label), ("code", provision.code), ("dataPeriod", provision.data_period)):  # fmt: skip
        if said:
            text = "This limit is not read, so it would be read wider than it was signed; name classes of data instead."
            raise Invalid(text, at=f"{at}.provision.{name}", code="not-supported")
    for where, bundled in (
        ("category", len(matters) > 1),
        ("scope", any(c.system == CONSENT_SCOPE and c.code != PRIVACY for c in read.scope.coding)),
        ("provision.action", any(c.system == CONSENT_ACTION and c.code in PROCESSING for a in provision.action for c in a.coding)),
    ):  # fmt: skip
        if bundled:
            raise Invalid(
                "Consent to disclose is given by itself, apart from consent to anything else: two ticks, two Consents.",
                at=f"{at}.{where}",
                code="business-rule",
            )
    if read.verification and not any(one.verified for one in read.verification):
        raise Invalid("This consent was not verified yet.", at=f"{at}.verification", code="business-rule")
    if not signers & {"Patient", "RelatedPerson"}:
        raise Invalid(
            "A Consent names who signs it: the Patient or a RelatedPerson.", at=f"{at}.performer", code="required"
        )


def _purposes(provision: wire.Provision, at: str) -> tuple[str, ...]:
    """What it was given for. A purpose of our own list goes beyond what a referral is for, and opens nothing by itself."""
    for position, coding in enumerate(provision.purpose):
        if coding.system == codes.PURPOSE and not codes.known(codes.PURPOSE, coding.code or ""):
            raise Invalid("This is not one of our purposes.", at=f"{at}.purpose[{position}]", code="code-invalid")
    return tuple(dict.fromkeys(c.code for c in provision.purpose if c.code))


def _withheld(provision: wire.Provision, at: str) -> tuple[str, ...]:
    """The categories of data that the signer did not agree to share: not among the classes permitted, or denied by name."""
    agreed = _classes(provision.classes, f"{at}.class", whole=True) | {"contact"} if provision.classes else set()
    refused: set[str] = set()
    for raw in provision.provision:
        said = read_json(bytes(raw))
        inner = wire.decode(bytes(raw), wire.Provision, f"{at}.provision")
        if set(said) - {"type", "class", "id"} or inner.type != "deny" or not inner.classes:
            raise Invalid(
                "An exception denies classes of data and nothing else; name in one Consent whom it opens to.",
                at=f"{at}.provision",
                code="not-supported",
            )
        refused |= _classes(inner.classes, f"{at}.provision.class", whole=False)
    if not ALWAYS.isdisjoint(refused):
        raise Invalid(
            "Who the person is and what they need is what a disclosure shows: whoever refuses that, denies it (type deny).",
            at=f"{at}.provision",
            code="business-rule",
        )
    return withheld(agreed, refused)


def _classes(said: tuple[wire.Coding, ...], at: str, *, whole: bool) -> set[str]:
    """Categories of data, by our code or by type of resource. `whole`: a category is named when all of its types are; else
    when one is."""
    found: set[str] = set()
    types: set[str] = set()
    for position, coding in enumerate(said):
        if coding.system == codes.DATA_CATEGORY and coding.code in TYPES:
            found.add(coding.code)
        elif coding.system == RESOURCE_TYPES and coding.code:
            types.add(coding.code)
        else:
            text = f"A class of data is a code of {codes.DATA_CATEGORY} or a type of resource ({RESOURCE_TYPES})."
            raise Invalid(text, at=f"{at}[{position}]", code="code-invalid")
    return found | {name for name, each in TYPES.items() if (each <= types if whole else each & types)}


def _witness(read: wire.Consent, at: str) -> str | None:
    """Who heard it besides the signer: named as such, or the relative with whom it was verified."""
    signed = {references.parse(signer.reference) for signer in read.performer}
    heard: list[tuple[str, str]] = []
    for position, one in enumerate(read.verification):
        if not one.verified:
            continue
        for each in one.extension:
            if each.url != WITNESS or each.value_reference is None:
                continue
            found = references.parse(each.value_reference.reference)
            where = f"{at}.verification[{position}].extension"
            if found is None or found[0] not in ("Practitioner", "PractitionerRole", "RelatedPerson"):
                raise Invalid(
                    "A witness is a Practitioner, a PractitionerRole or a RelatedPerson.", at=where, code="value"
                )
            if found in signed:
                raise Invalid("Who signs is not the witness of it.", at=where, code="business-rule")
            heard.append(found)
        relative = references.parse(one.verified_with.reference) if one.verified_with else None
        if relative and relative[0] == "RelatedPerson" and relative not in signed:
            heard.append(relative)
    return "/".join(heard[0]) if heard else None


def signers(read: wire.Consent) -> tuple[Id, ...]:
    """The RelatedPersons who sign."""
    named = (references.parse(signer.reference) for signer in read.performer)
    return tuple(id for each in named if each and each[0] == "RelatedPerson" and (id := references.as_id(each[1])))


def features(read: wire.RelatedPerson, at: str) -> Features:
    """What a person around a patient is recognised by."""
    name = next((n.words for n in read.name if n.words), None)
    phones = tuple(t.value for t in read.telecom if t.system in ("phone", "sms") and t.value)
    born = wire.day(read.birth_date, f"{at}.birthDate") if read.birth_date else None
    return Features(identifiers(read.identifier), phones, name, born)


def _end(value: str, at: str) -> datetime:
    # A period whose end is a day includes that day (FHIR Period).
    end = wire.instant(value, at)
    return end + timedelta(days=1, microseconds=-1) if len(value) == 10 else end


def answers(read: wire.Observation | wire.QuestionnaireResponse) -> list[Answer]:
    """Screening answers by LOINC code of the item: from an Observation and its components, or from the items of a
    QuestionnaireResponse, whose linkId is that code (`44260-8`, `/44260-8`, `/44249-1/44260-8`)."""
    if read.status in ("cancelled", "entered-in-error"):
        return []
    if isinstance(read, wire.Observation):
        return [
            Answer(coding.code, _score(value), _code((value.value_concept or wire.Concept()).coding))
            for value in (read, *read.component)
            for coding in value.code.coding
            if coding.code and (coding.system or "").endswith("loinc.org")
        ]
    return [
        Answer(
            item.link_id.rpartition("/")[2], _score(given), _code((given.value_coding,) if given.value_coding else ())
        )
        for item in _items(read.item)
        for given in item.answer
    ]


def given(read: wire.Observation | wire.QuestionnaireResponse) -> Given:
    """A response as it is scored: what it names, what is in it, what was answered."""
    if isinstance(read, wire.Observation):
        return Given(tuple(answers(read)), void=read.status in ("cancelled", "entered-in-error"))
    links = frozenset(item.link_id.rpartition("/")[2] for item in _items(read.item))
    return Given(tuple(answers(read)), read.questionnaire, links, read.status == "entered-in-error")


def _items(items: tuple[wire.Item, ...]) -> Iterator[wire.Item]:
    for item in items:
        yield item
        yield from _items(item.item)
        for given in item.answer:
            yield from _items(given.item)


def _score(value: wire.Observation | wire.Component | wire.Answer) -> float | None:
    if value.value_integer is not None:
        return value.value_integer
    if isinstance(value, wire.Answer) and value.value_decimal is not None:
        return value.value_decimal
    return value.value_quantity.value if value.value_quantity else None


def _code(codings: tuple[wire.Coding, ...]) -> str | None:
    """The answer's code, LOINC's before others; that it was not asked or not answered is no answer."""
    said = [c for c in codings if c.code and not (c.system or "").endswith(("data-absent-reason", "NullFlavor"))]
    return next((c.code for c in sorted(said, key=lambda c: not (c.system or "").endswith("loinc.org"))), None)


def needs(read: wire.ServiceRequest, at: str) -> tuple[tuple[str, ...], list[Issue]]:
    """The need codes of a request, from category, code and reasonCode, and warnings for what could not be mapped.

    An unmapped code becomes N99 with its text kept (contract.md), when nothing else says what is needed.
    """
    found: dict[str, None] = {}
    warnings: list[Issue] = []
    spoken = False
    for place, concepts in (
        ("category", read.category),
        ("code", (read.code,) if read.code else ()),
        ("reasonCode", read.reason_code),
    ):
        for position, concept in enumerate(concepts):
            where = f"{at}.{place}" if place == "code" else f"{at}.{place}[{position}]"
            spoken = spoken or bool(concept.coding or concept.text)
            mapped = False
            for coding in concept.coding:
                if not coding.code:
                    continue
                if coding.system == codes.NEED and not codes.known(codes.NEED, coding.code):
                    raise Invalid(
                        "This is not one of our need codes (CodeSystem?url=urn:yuanshe:need).",
                        at=where,
                        code="code-invalid",
                    )
                for need in codes.needs_of(coding.system or "", coding.code):
                    found[need] = None
                    mapped = True
            if not mapped and concept.coding and not any(c.system == codes.NEED for c in concept.coding):
                warnings.append(
                    Issue("This code is not mapped to a need; its text is kept.", where, "informational", "information")
                )
    if not spoken:
        raise Invalid("A need is missing: give it in category, code or reasonCode.", at=f"{at}.code", code="required")
    if not found:
        found[codes.OTHER_NEED] = None
    if codes.OTHER_NEED in found and not warnings and not _need_text(read):
        raise Invalid("“Other” needs words: give text or display.", at=f"{at}.code.text", code="required")
    return tuple(sorted(found)), warnings


def _need_text(read: wire.ServiceRequest) -> bool:
    concepts = (*read.category, *((read.code,) if read.code else ()), *read.reason_code)
    return any(c.words for c in concepts) or bool(read.note)


def placer(read: wire.ServiceRequest, at: str) -> Identifier:
    """The placer's number: typed PLAC, else the first with a value."""
    typed = [i for i in read.identifier if i.value and i.type and any(c.code == "PLAC" for c in i.type.coding)]
    chosen = next(iter(typed or [i for i in read.identifier if i.value]), None)
    if chosen is None:
        raise Invalid(
            "The placer's identifier is missing: one `identifier` with system and value.",
            at=f"{at}.identifier",
            code="required",
        )
    return Identifier(chosen.system or "", chosen.value or "")


def referral(
    read: wire.ServiceRequest, id: Id, task: Id, patient: Id, body: bytes, now: datetime, at: str
) -> tuple[NewReferral, list[Issue]]:
    """A hospital's request to place."""
    if read.status != "active":
        raise Invalid("A request is placed with status active.", at=f"{at}.status", code="business-rule")
    if read.intent not in ("order", "original-order"):
        raise Invalid("A request is placed with intent order.", at=f"{at}.intent", code="business-rule")
    number = placer(read, at)
    wanted, warnings = needs(read, at)
    preferred = None
    for position, who in enumerate(read.performer):
        named = references.parse(who.reference)
        if named and named[0] == "Organization" and (found := references.as_id(named[1])):
            preferred = preferred or found
        else:
            warnings.append(
                Issue(
                    "This performer is not known here; routing decides.",
                    f"{at}.performer[{position}]",
                    "informational",
                    "information",
                )
            )
    prohibited = any(c.code == "contacting-subject-prohibited" for d in read.order_detail for c in d.coding)
    replaced = next(
        (references.required(r, "ServiceRequest", at=f"{at}.replaces[{n}]") for n, r in enumerate(read.replaces)), None
    )
    # What else a request can be based on (a plan) stays as it was sent.
    named = [references.parse(r.reference) for r in read.based_on]
    onward = next(
        (found for each in named if each and each[0] == "ServiceRequest" and (found := references.as_id(each[1]))), None
    )
    groups: dict[str, None] = {}
    for position, extension in enumerate(read.extension):
        if extension.url == codes.POPULATION:
            said = extension.value_coding.code if extension.value_coding else extension.value_code
            if not said or not codes.known(codes.POPULATION, said):
                raise Invalid(
                    f"A group is a code of {codes.POPULATION}.", at=f"{at}.extension[{position}]", code="code-invalid"
                )
            groups[said] = None
    new = NewReferral(
        id=id, task=task, placer_system=number.system, placer_value=number.value, patient=patient, needs=wanted, urgency=read.priority,
        body=body, authored_at=wire.instant(read.authored_on, f"{at}.authoredOn") if read.authored_on else now,
        preferred=preferred, contact_prohibited=prohibited, replaces=replaced,
        continues=onward, populations=tuple(sorted(groups)),
    )  # fmt: skip
    return new, warnings
