"""Parts of resources: `_summary` and `_elements` leave out of an answer what was not asked for, and mark it SUBSETTED."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from service.errors import Malformed

Json = dict[str, Any]

SUBSETTED: Json = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "SUBSETTED",
    "display": "subsetted",
}
ALWAYS = frozenset({"resourceType", "id", "meta", "implicitRules", "modifierExtension"})
"""What every form of a resource keeps: who it is, and what changes its meaning."""
SUMMARIES = ("true", "text", "data", "false")

_TABLE = """
AuditEvent | type subtype action recorded outcome outcomeDesc purposeOfEvent | agent recorded source type
Binary | contentType securityContext | contentType
CarePlan | identifier instantiatesCanonical instantiatesUri basedOn replaces partOf status intent category title
  description subject encounter period created author addresses | intent status subject
CareTeam | identifier status category name subject encounter period managingOrganization |
CodeSystem | url identifier version name title status experimental date publisher contact useContext jurisdiction
  caseSensitive valueSet hierarchyMeaning compositional versionNeeded content supplements count filter property |
  content status
Communication | identifier instantiatesCanonical instantiatesUri basedOn partOf status statusReason priority subject
  encounter reasonCode reasonReference | status
Condition | identifier clinicalStatus verificationStatus code bodySite subject encounter onset[x] recordedDate
  recorder asserter | subject
Consent | identifier status scope category patient dateTime performer organization source[x] policyRule verification
  provision | category scope status
Coverage | identifier status type policyHolder subscriber subscriberId beneficiary dependent period payor order
  network | beneficiary payor status
Device | udiCarrier status safety |
DocumentReference | masterIdentifier identifier status docStatus type category subject date author relatesTo
  description securityLabel content context | content status
Encounter | identifier status class type serviceType subject episodeOfCare participant appointment reasonCode
  reasonReference diagnosis | class status
Goal | lifecycleStatus achievementStatus category priority description subject start[x] statusDate expressedBy |
  description lifecycleStatus subject
Group | identifier active type actual code name quantity managingEntity | actual type
HealthcareService | identifier active providedBy category type specialty location name comment photo |
Location | identifier status operationalStatus name description mode type physicalType managingOrganization |
Observation | identifier basedOn partOf status code subject focus encounter effective[x] issued performer value[x]
  hasMember derivedFrom component | code status
OperationDefinition | url version name title status kind experimental date publisher contact useContext jurisdiction
  affectsState code base resource system type instance | code instance kind name status system type
Organization | identifier active type name partOf |
Patient | identifier active name telecom gender birthDate deceased[x] address managingOrganization link |
Practitioner | identifier active name telecom address gender birthDate |
PractitionerRole | identifier active period practitioner organization code specialty location telecom |
Procedure | identifier instantiatesCanonical instantiatesUri basedOn partOf status statusReason category code subject
  encounter performed[x] recorder asserter performer location reasonCode reasonReference bodySite outcome | status
  subject
Provenance | target recorded | agent recorded target
Questionnaire | url identifier version name title status experimental subjectType date publisher contact useContext
  jurisdiction effectivePeriod code | status
QuestionnaireResponse | identifier basedOn partOf questionnaire status subject encounter authored author source |
  status
RelatedPerson | identifier active patient relationship name telecom gender birthDate address | patient
SearchParameter | url version name status experimental date publisher contact description useContext jurisdiction code
  base type | base code description name status type url
ServiceRequest | identifier instantiatesCanonical instantiatesUri basedOn replaces requisition status intent category
  priority doNotPerform code orderDetail quantity[x] subject encounter occurrence[x] asNeeded[x] authoredOn requester
  performerType performer locationCode locationReference reasonCode reasonReference specimen bodySite
  patientInstruction | intent status subject
Subscription | status contact end reason criteria error channel | channel criteria reason status
Task | instantiatesCanonical instantiatesUri basedOn groupIdentifier partOf status statusReason businessStatus intent
  code description focus for encounter executionPeriod lastModified requester owner location | intent status
"""
"""Of each type: the elements of its summary (FHIR R4, marked with a sigma there), and those that it must have."""


class Kept(msgspec.Struct, frozen=True):
    """Elements by name; `choices` are those with a type at their end (`value[x]`)."""

    names: frozenset[str]
    choices: tuple[str, ...] = ()

    def has(self, element: str) -> bool:
        """Whether the element (or what extends it, `_birthDate`) is one of these."""
        bare = element.removeprefix("_")
        return bare in self.names or any(
            bare.startswith(choice) and bare[len(choice) : len(choice) + 1].isupper() for choice in self.choices
        )


def _kept(names: Iterable[str]) -> Kept:
    listed = list(names)
    choices = tuple(name.removesuffix("[x]") for name in listed if name.endswith("[x]"))
    return Kept(ALWAYS | frozenset(listed), choices)


def _read(table: str) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    found: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {}
    for row in table.strip().replace("\n  ", " ").splitlines():
        type, summary, mandatory = (part.split() for part in f"{row} ".split(" |"))
        found[type[0]] = tuple(summary), tuple(mandatory)
    return found


ELEMENTS = _read(_TABLE)
CHOICES = frozenset(name.removesuffix("[x]") for summary, _ in ELEMENTS.values() for name in summary if "[x]" in name)


class Shape(msgspec.Struct, frozen=True):
    """What is wanted of each resource: a `summary` of FHIR R4 search.html#summary, or the `elements` named."""

    summary: str = "false"
    elements: tuple[str, ...] = ()

    @property
    def of_included(self) -> "Shape":
        """Elements are named of the type that is searched; what comes along is not cut by them."""
        return Shape(self.summary)


WHOLE = Shape()


def asked(shape: Shape, name: str, value: str) -> Shape:
    """The shape with one more parameter, `_summary` or `_elements`. Raises Malformed for a summary that there is not."""
    if name == "_elements":
        named = tuple(part.strip().rpartition(".")[2] for part in value.split(",") if part.strip())
        return msgspec.structs.replace(shape, elements=(*shape.elements, *named))
    if value not in SUMMARIES:
        raise Malformed("_summary is true, text, data, count (of a search) or false.", code="invalid")
    return msgspec.structs.replace(shape, summary=value)


def shaped(body: Json, shape: Shape) -> Json:
    """The resource in this shape; mandatory elements stay in any."""
    type = body["resourceType"]
    if shape == WHOLE or type not in ELEMENTS:
        return body
    summary, mandatory = ELEMENTS[type]
    if shape.elements:
        choices = (f"{name}[x]" for name in shape.elements if name in CHOICES)
        kept = _kept((*shape.elements, *choices, *mandatory))
    elif shape.summary == "true":
        kept = _kept((*summary, *mandatory))
    elif shape.summary == "text":
        kept = _kept(("text", *mandatory))
    elif shape.summary == "data":
        kept = None
    else:
        return body
    whole = {name: value for name, value in body.items() if (name != "text" if kept is None else kept.has(name))}
    meta = body.get("meta") or {}
    return whole | {"meta": meta | {"tag": [*meta.get("tag", ()), SUBSETTED]}}


def read(body: Json, query: Sequence[tuple[str, str]]) -> Json:
    """A resource that was read by itself, in the shape that its query asks for."""
    shape = WHOLE
    for name, value in query:
        if name in ("_summary", "_elements"):
            shape = asked(shape, name, value)
    return shaped(body, shape)
