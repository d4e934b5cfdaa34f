"""Resources made from the table of definitions: the least that is valid, and the least with one more element."""

import copy
from collections.abc import Iterator
from typing import Any

from adapters.fhir.definitions import SHAPES, Element, Shape

Resource = dict[str, Any]

PRIMITIVES: dict[str, Any] = {
    "base64Binary": "YQ==", "boolean": True, "canonical": "urn:example:canonical", "code": "a", "date": "2026-03-04",
    "dateTime": "2026-03-04T10:00:00+08:00", "decimal": 1.5, "id": "a", "instant": "2026-03-04T10:00:00+08:00", "integer": 1,
    "markdown": "text", "oid": "urn:oid:1.2.3", "positiveInt": 1, "string": "text", "time": "10:00:00", "unsignedInt": 1,
    "uri": "urn:example:uri", "url": "http://example.org/", "uuid": "urn:uuid:c757873d-ec9a-4326-a141-556f43239520",
    "xhtml": '<div xmlns="http://www.w3.org/1999/xhtml">text</div>',
}  # fmt: skip

WITH: dict[str, Resource] = {
    "Consent": {"policyRule": {"text": "rule"}},
    "Organization": {"name": "name"},
    "Patient.contact": {"name": {"text": "name"}},
    "Condition.stage": {"summary": {"text": "stage"}},
    "Condition.evidence": {"code": [{"text": "evidence"}]},
    "Observation.referenceRange": {"text": "range"},
    "Bundle": {"type": "collection"},
    "Bundle.entry": {"resource": {"resourceType": "Patient"}},
    "Questionnaire.item": {"type": "string"},
    "Parameters.parameter": {"valueString": "value"},
    "OperationDefinition.parameter": {"type": "string"},
    "Extension": {"valueString": "value"},
    "Expression": {"expression": "true"},
    "Ratio": {"numerator": {"value": 1}, "denominator": {"value": 2}},
    "DataRequirement.codeFilter": {"path": "code"},
    "DataRequirement.dateFilter": {"path": "date"},
    "TriggerDefinition": {"type": "named-event", "name": "name"},
    "Subscription": {"channel": {"type": "rest-hook"}},
    "CareTeam.participant": {"member": {"reference": "Practitioner/1"}},
}
"""What an invariant wants in the least resource of a type, or part of one."""

COMPANY: dict[str, Resource] = {
    "ServiceRequest.orderDetail": {"code": {"text": "code"}},
    "Condition.abatement": {
        "clinicalStatus": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "resolved"}]}
    },
    "Goal.target.detail": {"measure": {"text": "measure"}},
    "Group.member": {"actual": True},
    "SearchParameter.xpath": {"xpathUsage": "normal"},
    "SearchParameter.chain": {"type": "reference"},
    "OperationDefinition.parameter.targetProfile": {"type": "Reference"},
    "Bundle.total": {"type": "searchset"},
    "CodeSystem.concept.concept": {"concept": [{"code": "b"}]},
    "Questionnaire.item.answerValueSet": {"type": "choice"},
    "Questionnaire.item.answerOption": {"type": "choice"},
    "Questionnaire.item.type": {"item": [{"linkId": "2", "type": "string"}]},
    "Questionnaire.item.enableWhen.answer": {"operator": "="},
}  # fmt: skip
"""What has to come along with an element, by an invariant."""

ONLY_SOMETIMES = frozenset({
    "Bundle.type", "Bundle.entry.request", "Bundle.entry.response", "Bundle.entry.search", "Questionnaire.item.item", "Parameters.parameter.resource",
    "Parameters.parameter.part",
})  # fmt: skip
"""Elements that a resource of this type has in some of its uses; the tests of the invariants show them."""


def value(element: Element, kind: str) -> Any:
    """The least value of an element that the table describes as `kind`."""
    bare, _, codes = kind.partition(" = ")
    if element.reference:
        return {"reference": f"{min(element.targets) if element.targets else 'Patient'}/1"}
    if element.bound:
        system, allowed = element.bound
        return {"coding": [{"system": system, "code": min(allowed)}]}
    if element.resource:
        return {"resourceType": "Patient", "generalPractitioner": [{"reference": "#"}]}
    if element.path == "statusReason" and bare == "CodeableConcept":
        return {"text": "reason"}
    if element.shape:
        return least(element.shape)
    return codes.split()[0] if codes else PRIMITIVES[bare]


def kind_of(shape: Shape, key: str) -> str:
    """What the table says of one element under its name in JSON."""
    element = shape.elements[key]
    kinds = shape.kinds[element.path].partition(" ")[2]
    if not element.choice:
        return kinds
    wanted = key.removeprefix(element.path)
    found = [k for k in kinds.split(" | ") if k.partition("(")[0].replace("Simple", "").lower() == wanted.lower()]
    return found[0] if found else wanted[0].lower() + wanted[1:]


def names(shape: Shape) -> Iterator[str]:
    """Its elements under their names in JSON; those beside primitives, and those that are always refused, are left out."""
    yield from (
        key for key, element in shape.elements.items()
        if not key.startswith("_") and element.path not in ("modifierExtension", "implicitRules")
    )  # fmt: skip


def put(shape: Shape, key: str) -> Any:
    element = shape.elements[key]
    made = value(element, kind_of(shape, key))
    return [made] if element.many else made


def least(shape: Shape) -> Resource:
    """The least that is valid."""
    made: Resource = {"resourceType": shape.name} if shape.resource else {}
    for _, allowed in shape.required:
        key = next(name for name in shape.elements if name in allowed and not name.startswith("_"))
        made[shape.elements[key].path if not shape.elements[key].choice else key] = put(shape, key)
    made |= copy.deepcopy(WITH.get(shape.name, {}))
    if not made:
        made["id"] = "a"
    return made


def parts(type: str) -> Iterator[str]:
    """A resource type and the parts of it that have elements of their own."""
    yield from (name for name in SHAPES if name == type or name.startswith(f"{type}."))


def within(part: str, content: Resource) -> Resource:
    """The least resource that holds this content as one of its parts: `Task.restriction`, …"""
    while "." in part:
        part, _, key = part.rpartition(".")
        shape = SHAPES[part]
        outer = least(shape) | COMPANY.get(f"{part}.{key}", {})
        outer[key] = [content] if shape.elements[key].many else content
        content = outer
    return content


def place(part: str) -> str:
    """The FHIRPath of what `within` puts there: `Task.input[0]`."""
    steps = part.split(".")
    path = steps[0]
    for depth, step in enumerate(steps[1:], 1):
        many = SHAPES[".".join(steps[:depth])].elements[step].many
        path += f".{step}[0]" if many else f".{step}"
    return path
