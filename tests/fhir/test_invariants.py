"""Each invariant of R4 that the table has is shown broken once, and named; the profiles of the closed loop likewise."""

import copy
from typing import Any

import pytest

from adapters.fhir import profiles, validation
from adapters.fhir.definitions import SHAPES
from adapters.fhir.invariants import RULES
from tests.fhir.samples import Resource, least, place, within

CLINICAL, VERIFICATION = (f"http://terminology.hl7.org/CodeSystem/condition-{of}" for of in ("clinical", "ver-status"))
PATIENT = {"resourceType": "Patient", "id": "p"}
EXTENSION = {"url": "urn:x", "valueString": "y"}
UCUM = "http://unitsofmeasure.org"


def coded(system: str, code: str) -> Resource:
    return {"coding": [{"system": system, "code": code}]}


def referenced(contained: Resource, **more: Any) -> Resource:
    return {"contained": [contained], "basedOn": [{"reference": f"#{contained['id']}"}]} | more


def item(**more: Any) -> Resource:
    return {"linkId": "1", "type": "string"} | more


BROKEN: list[tuple[str, str, Resource, str]] = [
    ("Task", "inv-1", {"authoredOn": "2026-03-04", "lastModified": "2026-03-03"}, "lastModified"),
    ("Task", "inv-1", {"authoredOn": "2026-03-04T10:00:00+08:00", "lastModified": "2026-03-04T01:59:59Z"}, "lastModified"),
    ("Task", "SDOHCC", {"statusReason": {"coding": [{"code": "x"}]}}, "statusReason.text"),
    ("Task.restriction", "per-1", {"period": {"start": "2026-03-04", "end": "2026-03"}}, "-"),
    ("Task.restriction", "per-1", {"period": {"start": "2026-03-04", "end": "2026-02"}}, "period.end"),
    ("Task", "ext-1", {"extension": [{"url": "urn:x"}]}, "extension[0]"),
    ("Task", "ext-1", {"extension": [EXTENSION | {"extension": [EXTENSION]}]}, "extension[0]"),
    ("Task", "ext-1", {"extension": [{"url": "urn:x", "_valueString": {"extension": [EXTENSION]}}]}, "-"),
    ("Task", "dom-2", referenced({"resourceType": "ServiceRequest", "id": "a", "status": "active", "intent": "order",
                                  "subject": {"reference": "#p"}, "contained": [PATIENT]}), "contained"),
    ("Task", "dom-3", {"contained": [PATIENT]}, "contained"),
    ("Task", "dom-4", referenced(PATIENT | {"meta": {"versionId": "1"}}), "contained"),
    ("Task", "dom-4", referenced(PATIENT | {"meta": {"lastUpdated": "2026-03-04T10:00:00Z"}}), "contained"),
    ("Task", "dom-5", referenced(PATIENT | {"meta": {"security": [{"code": "R"}]}}), "contained"),
    ("Task.input", "qty-3", {"valueQuantity": {"value": 1, "code": "kg"}}, "value.system"),
    ("Task.input", "sqty-1", {"valueRange": {"low": {"value": 1, "comparator": "<"}}}, "value.low.comparator"),
    ("Task.input", "rng-2", {"valueRange": {"low": {"value": 2}, "high": {"value": 1}}}, "value.low"),
    ("Task.input", "rat-1", {"valueRatio": {"numerator": {"value": 1}}}, "value"),
    ("Task.input", "age-1", {"valueAge": {"value": 3}}, "value.code"),
    ("Task.input", "drt-1", {"valueDuration": {"value": 3, "system": "urn:x", "code": "d"}}, "value.code"),
    ("Task.input", "dis-1", {"valueDistance": {"value": 3}}, "value.code"),
    ("Task.input", "cnt-3", {"valueCount": {"value": 1.5, "system": UCUM, "code": "1"}}, "value.code"),
    ("Task.input", "att-1", {"valueAttachment": {"data": "YQ=="}}, "value.contentType"),
    ("Task.input", "cpt-2", {"valueContactPoint": {"value": "1"}}, "value.system"),
    ("Task.input", "exp-1", {"valueExpression": {"language": "text/cql"}}, "value.expression"),
    ("Task.input", "drq-1", {"valueDataRequirement": {"type": "Patient", "codeFilter": [{"code": [{"code": "a"}]}]}}, "value.codeFilter[0].path"),
    ("Task.input", "drq-2", {"valueDataRequirement": {"type": "Patient", "dateFilter": [{"path": "a", "searchParam": "b"}]}}, "value.dateFilter[0].path"),
    ("Task.input", "trd-1", {"valueTriggerDefinition": {"type": "periodic", "timingDate": "2026", "data": [{"type": "Patient"}]}}, "value.data"),
    ("Task.input", "trd-2", {"valueTriggerDefinition": {"type": "named-event", "name": "a", "condition": {"language": "x", "expression": "y"}}},
     "value.condition"),
    *(("Task.input", "trd-3", {"valueTriggerDefinition": {"type": type}}, "value") for type in ("named-event", "periodic", "data-added")),
    *(
        ("Task.input", key, {"valueTiming": {"repeat": repeat}}, f"value.repeat.{at}")
        for key, repeat, at in (
            ("tim-1", {"duration": 1}, "durationUnit"), ("tim-2", {"period": 1}, "periodUnit"), ("tim-4", {"duration": -1, "durationUnit": "h"}, "duration"),
            ("tim-5", {"period": -1, "periodUnit": "h"}, "period"), ("tim-6", {"periodMax": 1}, "period"), ("tim-7", {"durationMax": 1}, "duration"),
            ("tim-8", {"countMax": 1}, "count"), ("tim-9", {"offset": 1}, "when"),
            ("tim-10", {"timeOfDay": ["10:00:00"], "when": ["MORN"]}, "when"),
        )
    ),
    ("ServiceRequest", "prr-1", {"orderDetail": [{"text": "x"}]}, "orderDetail"),
    ("Patient.contact", "pat-1", {"name": None, "gender": "female"}, ""),
    ("Consent", "ppc-1", {"policyRule": None}, "policyRule"),
    ("Consent", "ppc-2", {"scope": coded("http://terminology.hl7.org/CodeSystem/consentscope", "patient-privacy")}, "patient"),
    ("Condition", "con-4", {"abatementDateTime": "2026"}, "clinicalStatus"),
    ("Condition", "con-5", {"clinicalStatus": coded(CLINICAL, "active"), "verificationStatus": coded(VERIFICATION, "entered-in-error")}, "clinicalStatus"),
    ("Condition.stage", "con-1", {"summary": None, "type": {"text": "x"}}, ""),
    ("Condition.evidence", "con-2", {"code": None, "id": "a"}, ""),
    ("Observation", "obs-6", {"dataAbsentReason": {"text": "x"}, "valueInteger": 1}, "dataAbsentReason"),
    ("Observation", "obs-7", {"code": coded("urn:x", "a"), "valueInteger": 1, "component": [{"code": coded("urn:x", "a"), "valueInteger": 1}]}, "value"),
    ("Observation.referenceRange", "obs-3", {"text": None, "id": "a"}, ""),
    ("QuestionnaireResponse.item", "qrs-1", {"answer": [{"valueInteger": 1}], "item": [{"linkId": "2"}]}, "item"),
    ("Goal.target", "gol-1", {"detailInteger": 1}, "measure"),
    ("CarePlan.activity", "cpl-3", {"detail": {"status": "scheduled"}, "reference": {"reference": "Task/1"}}, "detail"),
    ("Organization", "org-1", {"name": None}, "name"),
    ("Organization", "org-2", {"telecom": [{"use": "home"}]}, "telecom"),
    ("Organization", "org-3", {"address": [{"use": "home"}]}, "address"),
    ("Group", "grp-1", {"actual": False, "member": [{"entity": {"reference": "Patient/1"}}]}, "member"),
    ("CareTeam.participant", "ctm-1", {"member": {"reference": "Patient/1"}, "onBehalfOf": {"reference": "Organization/1"}}, "onBehalfOf"),
    ("AuditEvent.entity", "sev-1", {"name": "x", "query": "YQ=="}, "query"),
    ("Parameters.parameter", "inv-1", {"valueString": None}, ""),
    ("Parameters.parameter", "inv-1", {"resource": {"resourceType": "Patient"}}, ""),
    ("Questionnaire", "que-2", {"item": [item(), item()]}, "item"),
    ("Questionnaire.item", "que-1", {"type": "group"}, "item"),
    ("Questionnaire.item", "que-1", {"type": "display", "item": [item(linkId="2")]}, "item"),
    ("Questionnaire.item", "que-3", {"type": "display", "code": [{"code": "a"}]}, "code"),
    ("Questionnaire.item", "que-4", {"type": "choice", "answerOption": [{"valueString": "x"}], "answerValueSet": "urn:x"}, "answerOption"),
    ("Questionnaire.item", "que-5", {"type": "boolean", "answerValueSet": "urn:x"}, "answerOption"),
    ("Questionnaire.item", "que-6", {"type": "display", "required": True}, "required"),
    ("Questionnaire.item.enableWhen", "que-7", {"operator": "exists", "answerBoolean": None, "answerString": "x"}, "answer"),
    ("Questionnaire.item", "que-8", {"type": "display", "initial": [{"valueString": "x"}]}, "initial"),
    ("Questionnaire.item", "que-9", {"type": "display", "readOnly": True}, "readOnly"),
    ("Questionnaire.item", "que-10", {"type": "date", "maxLength": 3}, "maxLength"),
    ("Questionnaire.item", "que-11", {"answerOption": [{"valueString": "x"}], "initial": [{"valueString": "x"}]}, "initial"),
    ("Questionnaire.item", "que-12", {"enableWhen": [{"question": "1", "operator": "exists", "answerBoolean": True}] * 3}, "enableBehavior"),
    ("Questionnaire.item", "que-13", {"initial": [{"valueString": "x"}, {"valueString": "y"}]}, "initial"),
    ("CodeSystem", "csd-1", {"concept": [{"code": "a", "concept": [{"code": "a"}]}]}, "concept"),
    ("SearchParameter", "spd-1", {"xpath": "x"}, "xpathUsage"),
    ("SearchParameter", "spd-2", {"type": "token", "chain": ["x"]}, "chain"),
    ("OperationDefinition.parameter", "opd-1", {"type": None}, "type"),
    ("OperationDefinition.parameter", "opd-2", {"type": "code", "searchType": "token"}, "searchType"),
    ("OperationDefinition.parameter", "opd-3", {"targetProfile": ["urn:x"]}, "targetProfile"),
    ("Bundle", "bdl-1", {"total": 1}, "total"),
    ("Bundle", "bdl-2", {"entry": [{"resource": PATIENT, "search": {"mode": "match"}}]}, "entry.search"),
    ("Bundle", "bdl-3", {"type": "transaction", "entry": [{"resource": PATIENT}]}, "entry[0].request"),
    ("Bundle", "bdl-3", {"entry": [{"resource": PATIENT, "request": {"method": "POST", "url": "Patient"}}]}, "entry[0].request"),
    ("Bundle", "bdl-4", {"type": "batch-response", "entry": [{"resource": PATIENT}]}, "entry[0].response"),
    ("Bundle", "bdl-7", {"entry": [{"fullUrl": "urn:x:1", "resource": PATIENT}] * 2}, "entry[1].fullUrl"),
    ("Bundle", "bdl-9", {"type": "document", "timestamp": "2026-03-04T10:00:00Z",
                         "entry": [{"resource": {"resourceType": "Composition"}}]}, "identifier"),
    ("Bundle", "bdl-10", {"type": "document", "identifier": {"system": "urn:x", "value": "1"},
                          "entry": [{"resource": {"resourceType": "Composition"}}]}, "timestamp"),
    ("Bundle", "bdl-11", {"type": "document", "identifier": {"system": "urn:x", "value": "1"}, "timestamp": "2026-03-04T10:00:00Z",
                          "entry": [{"resource": PATIENT}]}, "entry"),
    ("Bundle", "bdl-12", {"type": "message", "entry": [{"resource": PATIENT}]}, "entry"),
    ("Bundle.entry", "bdl-5", {"resource": None, "fullUrl": "urn:x:1"}, "resource"),
    ("Bundle.entry", "bdl-8", {"fullUrl": "http://example.org/Patient/1/_history/2"}, "fullUrl"),
]  # fmt: skip
"""A type or part of one, the invariant, what breaks it (None takes away), and where; `-`: it does not break it."""


def spoilt(part: str, changes: Resource) -> Resource:
    elements, base = SHAPES[part].elements, least(SHAPES[part])
    chosen = {elements[key].path for key in changes if elements[key].choice}
    kept = {key: value for key, value in base.items() if key not in elements or elements[key].path not in chosen}
    made = kept | copy.deepcopy(changes)
    return within(part, {key: value for key, value in made.items() if value is not None})


@pytest.mark.parametrize(("part", "key", "changes", "at"), BROKEN)
def test_what_breaks_an_invariant_is_named_with_it(part: str, key: str, changes: Resource, at: str) -> None:
    resource = spoilt(part, changes)
    issues = validation.issues(resource["resourceType"], resource)
    if at == "-":
        assert not any(f"({key})" in issue.text for issue in issues)
        return
    assert [(issue.at, issue.severity) for issue in issues] == [(f"{place(part)}.{at}".rstrip("."), "error")], issues
    assert f"({key})" in issues[0].text


def test_every_invariant_of_the_table_is_shown_broken() -> None:
    shown = {key for _, key, _, at in BROKEN if at != "-"}
    assert {rule.key for rules in RULES.values() for rule in rules if rule.severity == "error"} == shown


def test_what_is_merely_good_practice_is_a_remark_and_no_fault() -> None:
    listed = spoilt(
        "Condition",
        {"category": [coded("http://terminology.hl7.org/CodeSystem/condition-category", "problem-list-item")]},
    )
    assert validation.issues("Condition", listed) == []
    assert [(i.severity, i.at) for i in validation.issues("Condition", listed, remarks=True)] == [
        ("warning", "Condition.clinicalStatus")
    ]


# ---- profiles ----------------------------------------------------------------------------------------------------------

SDOH = {"coding": [{"system": profiles.US_CATEGORY, "code": "sdoh"}]}
FOOD = {"coding": [{"system": profiles.TEMPORARY, "code": "food-insecurity"}]}
ACTIVITY = {"coding": [{"system": profiles.TEMPORARY, "code": "resulting-activity"}]}
CAPACITY = {"url": f"{profiles.BASE}ExtensionHealthcareServiceCapacityStatus", "valueCode": "capacity"}
KEPT: dict[str, Resource] = {
    "TaskForReferralManagement": {
        "resourceType": "Task", "status": "requested", "intent": "order", "code": coded(profiles.TASK_CODE, "fulfill"),
        "focus": {"reference": "ServiceRequest/1"}, "for": {"reference": "Patient/1"}, "authoredOn": "2026-03-04",
        "requester": {"reference": "Organization/1"},
    },
    "ServiceRequest": least(SHAPES["ServiceRequest"]) | {"category": [FOOD], "code": {"text": "x"}, "subject": {"reference": "Patient/1"}},
    "Consent": least(SHAPES["Consent"]) | {
        "category": [coded(profiles.ACT_CODE, "IDSCL")], "patient": {"reference": "Patient/1"}, "dateTime": "2026-03-04",
        "organization": [{"reference": "Organization/1"}], "sourceAttachment": {"title": "x"},
    },
    "Procedure": least(SHAPES["Procedure"]) | {
        "status": "completed", "code": {"text": "x"}, "subject": {"reference": "Patient/1"}, "performedDateTime": "2026-03-04",
    },
    "Condition": least(SHAPES["Condition"]) | {
        "subject": {"reference": "Patient/1"}, "code": {"text": "x"}, "category": [SDOH, coded(profiles.CONDITION_CATEGORY, "problem-list-item")],
        "clinicalStatus": coded(CLINICAL, "active"),
    },
    "ObservationScreeningResponse": least(SHAPES["Observation"]) | {
        "status": "final", "category": [SDOH, FOOD], "subject": {"reference": "Patient/1"}, "effectiveDateTime": "2026-03-04", "valueInteger": 1,
    },
    "ObservationAssessment": least(SHAPES["Observation"]) | {
        "category": [coded(profiles.OBSERVATION_CATEGORY, "social-history")], "subject": {"reference": "Patient/1"},
    },
    "Goal": least(SHAPES["Goal"]) | {"subject": {"reference": "Patient/1"}},
    "HealthcareService": {"resourceType": "HealthcareService", "active": True, "name": "x", "telecom": [{"system": "phone", "value": "1"}]},
    "HealthcareServiceForReferralManagement": {
        "resourceType": "HealthcareService", "active": True, "name": "x", "category": [FOOD], "type": [{"text": "x"}], "extension": [CAPACITY],
    },
    "Group": {
        "resourceType": "Group", "active": True, "type": "person", "actual": True,
        "characteristic": [
            {"code": coded(profiles.TEMPORARY, code), "valueBoolean": True, "exclude": False} for code in ("sdoh-condition-category", "payer-coverage")
        ],
    },
}  # fmt: skip

AGAINST: list[tuple[str, Resource, str]] = [
    *(("TaskForReferralManagement", {name: None}, name) for name in ("focus", "for", "authoredOn", "requester")),
    ("TaskForReferralManagement", {"intent": "plan"}, "intent"),
    ("TaskForReferralManagement", {"status": "received"}, "status"),
    ("TaskForReferralManagement", {"status": "ready"}, "status"),
    ("TaskForReferralManagement", {"code": coded(profiles.TASK_CODE, "approve")}, "code"),
    ("TaskForReferralManagement", {"focus": {"reference": "Procedure/1"}}, "focus"),
    ("TaskForReferralManagement", {"for": {"reference": "https://x.example/fhir/Location/1"}}, "for"),
    ("TaskForReferralManagement", {"requester": {"reference": "Practitioner/1"}}, "requester"),
    ("TaskForReferralManagement", {"status": "on-hold"}, "statusReason"),
    ("TaskForReferralManagement", {"output": [{"type": ACTIVITY, "valueReference": {"reference": "Goal/1"}}]}, "output[0].value"),
    ("ServiceRequest", {"code": None}, "code"),
    ("ServiceRequest", {"category": [SDOH]}, "category"),
    ("ServiceRequest", {"subject": {"reference": "Device/1"}}, "subject"),
    *(("Consent", {name: None}, at) for name, at in (("patient", "patient"), ("dateTime", "dateTime"), ("organization", "organization"), ("sourceAttachment", "source"))),
    ("Consent", {"category": [{"text": "x"}]}, "category"),
    ("Consent", {"organization": [{"display": "a"}, {"display": "b"}]}, "organization"),
    ("Procedure", {"code": None}, "code"),
    ("Procedure", {"performedDateTime": None}, "performed"),
    ("Procedure", {"subject": {"reference": "Group/1"}}, "subject"),
    ("Condition", {"category": [SDOH]}, "category"),
    ("Condition", {"category": [coded(profiles.CONDITION_CATEGORY, "encounter-diagnosis")]}, "category"),
    ("Condition", {"bodySite": [{"text": "x"}]}, "bodySite"),
    ("Condition", {"asserter": {"reference": "Patient/1"}, "extension": [
        {"url": f"{profiles.BASE}ExtensionConditionAsserter", "valueReference": {"reference": "Device/1"}}]}, "asserter"),
    ("ObservationScreeningResponse", {"category": [FOOD, FOOD]}, "category"),
    ("ObservationScreeningResponse", {"category": [SDOH]}, "category"),
    ("ObservationScreeningResponse", {"subject": None}, "subject"),
    ("ObservationScreeningResponse", {"effectiveDateTime": None}, "effective"),
    ("ObservationScreeningResponse", {"valueInteger": None}, "value"),
    ("ObservationScreeningResponse", {"status": "amended"}, "status"),
    ("ObservationAssessment", {"category": [SDOH]}, "category"),
    ("Goal", {"addresses": [{"reference": "ServiceRequest/1"}]}, "addresses"),
    ("HealthcareService", {"telecom": None}, "telecom"),
    ("HealthcareServiceForReferralManagement", {"active": False}, "active"),
    ("HealthcareServiceForReferralManagement", {"extension": None}, "extension"),
    ("HealthcareServiceForReferralManagement", {"type": [{"text": "x"}, {"text": "y"}]}, "type"),
    ("Group", {"actual": False}, "actual"),
    ("Group", {"characteristic": [{"code": coded(profiles.TEMPORARY, "payer-coverage"), "valueBoolean": True, "exclude": False}]}, "characteristic"),
]  # fmt: skip


@pytest.mark.parametrize("name", [name.removeprefix(profiles.BASE) for name in profiles.PROFILES])
def test_what_keeps_a_profile_is_found_to(name: str) -> None:
    resource = KEPT[name]
    assert list(profiles.against(f"{profiles.BASE}{name}", True, resource, True)) == []
    assert validation.issues(resource["resourceType"], resource) == []


@pytest.mark.parametrize(("name", "changes", "at"), AGAINST)
def test_what_breaks_a_profile_is_named(name: str, changes: Resource, at: str) -> None:
    resource = {key: value for key, value in (KEPT[name] | copy.deepcopy(changes)).items() if value is not None}
    issues = profiles.against(f"{profiles.BASE}{name}|3.0.0", True, resource, True)
    assert [issue.at for issue in issues] == [f"{resource['resourceType']}.{at}".rstrip(".")], issues


def test_a_profile_that_nobody_here_knows_is_a_fault_where_it_is_asked_for_and_a_remark_where_it_is_claimed() -> None:
    """FHIR R4 resource-operation-validate.html: an error, if a nominated profile cannot be checked."""
    claimed = {"resourceType": "Patient", "meta": {"profile": ["urn:x:claimed"]}}
    named = list(profiles.nominated(claimed, ["urn:x:asked", "http://hl7.org/fhir/StructureDefinition/Patient"]))
    issues = [issue for canonical, asked in named for issue in profiles.against(canonical, asked, claimed, True)]
    assert [(i.severity, i.code, i.at) for i in issues] == [
        ("error", "not-supported", None), ("warning", "not-supported", "Patient.meta.profile"),
    ]  # fmt: skip
