"""What readers are shown: valid FHIR, as received where it is theirs, and nothing of a person before it may be."""

import importlib
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from adapters.fhir import directory, metadata, outcomes, persons, render
from adapters.fhir.surface import SURFACE
from service import codes, errors
from service.directory.model import Organization, Region, Service, Worker
from service.errors import Issue, Refusal
from service.patients.model import CITIZEN_NUMBER, Identifier, Patient
from service.practice import PLATFORM
from service.records.model import Record
from service.referrals.model import FILLER_STATUS, Output, Receipt, Referral, Task
from service.values import Reason, new_id

NOW = datetime(2026, 3, 2, 1, 30, 0, 250, tzinfo=UTC)
HOSPITAL, AGENCY, PERSON, WORKER = new_id(), new_id(), new_id(), new_id()
SECRETS = ("王秀兰", "李医生", "13800000000", "520502195203150020", "德溪路", "1952-03-15", "R-1", "urn:his-a")


def valid(resource: dict[str, Any]) -> dict[str, Any]:
    """The resource, after another library has read it from its bytes."""
    name = resource["resourceType"]
    form = getattr(importlib.import_module(f"fhir.resources.R4B.{name.lower()}"), name)
    form.model_validate(msgspec.json.decode(msgspec.json.encode(resource)))
    return resource


def leaks(resource: dict[str, Any]) -> list[str]:
    text = msgspec.json.encode(resource).decode()
    return [secret for secret in SECRETS if secret in text]


def share(**values: Any) -> Task:
    made = Task(
        new_id(), "share", 3, new_id(), HOSPITAL, "requested", "urgent", ("N05", "N01"), NOW, NOW, agency=AGENCY, stand_in=new_id(),
        filler=new_id(), filler_version=1, filler_at=NOW, part_of=new_id(), business_status="offered", region="520502001008",
        language="zh", age_band="60-74", gender="female", due_at=NOW + timedelta(hours=4), contact_prohibited=True,
    )  # fmt: skip
    return msgspec.structs.replace(made, **values)


REFERRAL = Referral(
    new_id(), 2, HOSPITAL, "urn:his-a:placer", "R-1", PERSON, new_id(), "active", ("N05",), "routine", "stat", "60-74", "female", 1, NOW, NOW
)  # fmt: skip
REQUEST: dict[str, Any] = {
    "resourceType": "ServiceRequest", "id": "from-his", "meta": {"versionId": "9", "profile": ["urn:his-a:profile"]}, "status": "draft",
    "intent": "order", "priority": "routine", "identifier": [{"system": "urn:his-a:placer", "value": "R-1"}],
    "text": {"status": "generated", "div": "<div xmlns='http://www.w3.org/1999/xhtml'>王秀兰</div>"},
    "category": [{"coding": [{"system": codes.NEED, "code": "N05", "display": "出院", "extension": [{"url": "urn:his-a:x", "valueString": "王秀兰"}]}],
                  "extension": [{"url": "urn:his-a:x", "valueString": "王秀兰"}]}],
    "code": {"text": "出院安置", "id": "urn:his-a"}, "subject": {"reference": "#p", "display": "王秀兰", "identifier": {"value": "520502195203150020"}},
    "encounter": {"reference": "Encounter/1"}, "occurrencePeriod": {"start": "2026-03-03", "extension": [{"url": "urn:his-a:y", "valueString": "李医生"}]},
    "requester": {"reference": "Practitioner/1", "display": "李医生"}, "performer": [{"reference": f"Organization/{AGENCY}", "display": "王秀兰的"}],
    "reasonCode": [{"text": "独居"}], "note": [{"text": "三楼，无电梯", "authorString": "李医生"}], "orderDetail": [render.DO_NOT_CONTACT],
    "extension": [{"url": "urn:his-a:ward", "valueString": "心内科"}], "supportingInfo": [{"reference": "Condition/1", "display": "王秀兰"}],
    "contained": [{"resourceType": "Patient", "id": "p", "name": [{"text": "王秀兰"}]}], "patientInstruction": "李医生",
    "_authoredOn": {"extension": [{"url": "urn:his-a:by", "valueString": "李医生"}]}, "authoredOn": "2026-03-02T09:00:00+08:00",
}  # fmt: skip
PATIENT = Patient(
    PERSON, HOSPITAL, 4, (Identifier(CITIZEN_NUMBER, "520502195203150020"), Identifier("urn:his-a:mrn", "A-77")), NOW, name="王秀兰",
    phone="13800000000", birth_date=date(1952, 3, 15), gender="female", address="德溪路1号", region="520502001", language="zh",
)  # fmt: skip


@pytest.mark.parametrize("status", FILLER_STATUS)
@pytest.mark.parametrize("kind", ["parent", "share", "follow-up"])
def test_a_task_of_any_kind_and_state_is_valid(kind: Any, status: Any) -> None:
    task = share(
        kind=kind, status=status, reason=Reason("goals-met", "已安置"), worker=WORKER, window_from=NOW, window_to=NOW + timedelta(days=1),
        outputs=(Output("outcome", {"type": {"text": "结果"}, "valueString": "好"}),), notes=({"text": "已联系"},), patient=PERSON,
    )  # fmt: skip
    said = valid(render.task(task))
    assert said["status"] == status and said["intent"] == "order" and said["priority"] == "urgent"
    assert said["meta"] == {"versionId": "3", "lastUpdated": "2026-03-02T01:30:00.000250Z"}
    assert said["for"] == {"reference": f"Patient/{PERSON}"}


def test_the_three_kinds_of_task_say_who_asks_whom_for_what() -> None:
    offer = share()
    said = render.task(offer)
    assert said["partOf"] == [{"reference": f"Task/{offer.part_of}"}]
    assert said["focus"] == {"reference": f"ServiceRequest/{offer.filler}"}
    assert said["for"] == {"reference": f"Patient/{offer.stand_in}"}
    assert said["requester"] == {"reference": f"Organization/{PLATFORM}"}
    assert said["owner"] == {"reference": f"Organization/{AGENCY}"}
    assert said["restriction"] == {"period": {"end": "2026-03-02T05:30:00.000250Z"}}
    assert "basedOn" not in said
    assert render.task(share(worker=WORKER))["owner"] == {"reference": f"PractitionerRole/{WORKER}"}
    assert "owner" not in render.task(share(agency=None))
    parent = render.task(share(kind="parent", patient=PERSON))
    assert parent["requester"] == {"reference": f"Organization/{HOSPITAL}"}
    assert parent["owner"] == {"reference": f"Organization/{PLATFORM}"}
    window = render.task(share(kind="follow-up", agency=None, window_from=NOW, window_to=NOW))
    assert window["code"]["coding"][0] == {"system": "urn:yuanshe:task-code", "code": "follow-up", "display": "随访"}
    assert window["owner"] == {"reference": f"Organization/{HOSPITAL}"}
    assert set(window["restriction"]["period"]) == {"start", "end"}


def test_a_parent_keeps_what_its_hospital_sent_and_the_service_does_not_speak_of() -> None:
    received = {
        "resourceType": "Task", "id": "t", "meta": {"versionId": "7", "tag": [{"code": "x"}]}, "status": "draft", "intent": "order",
        "extension": [{"url": "urn:his-a:floor", "valueInteger": 6}], "input": [{"type": {"text": "附加"}, "valueString": "轮椅"}],
        "statusReason": {"text": "stale"}, "output": [{"type": {"text": "stale"}, "valueString": "stale"}], "priority": "routine",
        "authoredOn": "2026-03-02T09:00:00+08:00", "_priority": {"extension": [{"url": "urn:his-a:p", "valueString": "?"}]},
        "identifier": [{"system": "urn:his-a:task", "value": "1"}], "owner": {"reference": "Organization/somebody"},
    }  # fmt: skip
    task = share(kind="parent", patient=PERSON, status="requested")
    said = valid(render.task(task, received))
    assert said["extension"] == received["extension"] and said["input"] == received["input"]
    assert said["identifier"] == received["identifier"] and said["authoredOn"] == received["authoredOn"]
    assert said["id"] == str(task.id) and said["status"] == "requested" and said["priority"] == "urgent"
    assert said["owner"] == {"reference": f"Organization/{PLATFORM}"} and said["meta"]["versionId"] == "3"
    assert said["meta"]["tag"] == [{"code": "x"}]
    assert {"statusReason", "output", "_priority"}.isdisjoint(said)


@pytest.mark.parametrize(
    ("status", "code", "system"),
    [("rejected", "ineligible", codes.DECLINE_REASON), ("completed", "ineligible", codes.CLOSURE_REASON), ("failed", "moved", codes.CLOSURE_REASON),
     ("cancelled", "no-capacity", codes.DECLINE_REASON), ("rejected", "moved", codes.CLOSURE_REASON)],
)  # fmt: skip
def test_a_reason_names_the_list_that_knows_its_code(status: Any, code: str, system: str) -> None:
    said = render.task(share(status=status, reason=Reason(code, "因为")))["statusReason"]
    assert said["coding"] == [{"system": system, "code": code, "display": codes.label(system, code)}]
    assert said["text"] == "因为"


@pytest.mark.parametrize(
    ("status", "says"), [("cancelled", "expired"), ("cancelled", "not-selected"), ("on-hold", "paused")]
)
def test_a_task_that_ended_badly_always_says_why(status: Any, says: str) -> None:
    assert render.task(share(status=status, business_status=says))["statusReason"]["text"]


@pytest.mark.parametrize(
    ("status", "says"), [("cancelled", "withdrawn"), ("accepted", "cancellation-requested"), ("entered-in-error", None)]
)
def test_the_hospitals_words_do_not_reach_an_agency_that_was_told_of_nobody(status: Any, says: str | None) -> None:
    undisclosed = share(status=status, business_status=says, reason=Reason(None, "王秀兰 is better"))
    assert not leaks(valid(render.task(undisclosed)))
    disclosed = msgspec.structs.replace(undisclosed, patient=PERSON)
    assert render.task(disclosed)["statusReason"]["text"] == "王秀兰 is better"


def test_a_request_goes_back_to_its_hospital_as_it_came() -> None:
    for reader in ("hospital", "platform"):
        said = valid(render.placer_request(REFERRAL, REQUEST, reader))
        changed = {"id", "meta", "status", "subject", "contained"}
        assert {key: value for key, value in said.items() if key not in changed} == {
            key: value for key, value in REQUEST.items() if key not in changed
        }
        assert (
            said["status"] == "active"
            and said["meta"]["versionId"] == "2"
            and said["meta"]["profile"] == ["urn:his-a:profile"]
        )
        assert said["subject"]["reference"] == f"Patient/{PERSON}"
        assert "contained" not in said  # The submitted Patient is stored by itself now; nothing points to the copy.


def test_a_revoked_request_says_why() -> None:
    revoked = msgspec.structs.replace(REFERRAL, status="revoked", reason=Reason("duplicate", "已另行安排"))
    said = valid(render.placer_request(revoked, REQUEST, "hospital"))
    reasons = [e["valueCodeableConcept"] for e in said["extension"] if e["url"] == render.STATUS_REASON]
    assert [reason["text"] for reason in reasons] == ["已另行安排"]
    assert len(said["extension"]) == 2  # The hospital's own stays.


def test_an_agency_is_shown_of_a_request_what_is_listed_and_nothing_else() -> None:
    said = valid(render.placer_request(REFERRAL, REQUEST, "agency"))
    assert not leaks(said)
    assert set(said) == {
        "resourceType", "id", "meta", "status", "intent", "category", "code", "priority", "subject", "authoredOn", "requester", "performer",
        "reasonCode", "orderDetail", "note", "occurrencePeriod",
    }  # fmt: skip
    assert said["category"] == [{"coding": [{"system": codes.NEED, "code": "N05", "display": "出院"}]}]
    assert said["note"] == [{"text": "三楼，无电梯"}] and said["occurrencePeriod"] == {"start": "2026-03-03"}
    assert said["requester"] == {"reference": f"Organization/{HOSPITAL}"}
    assert said["performer"] == [{"reference": f"Organization/{AGENCY}"}]
    assert said["orderDetail"] == [render.DO_NOT_CONTACT]


def test_a_request_that_came_without_fhir_is_shown_all_the_same() -> None:
    for reader in ("hospital", "agency", "platform"):
        said = valid(render.placer_request(msgspec.structs.replace(REFERRAL, contact_prohibited=True), None, reader))
        assert said["category"][0]["coding"][0]["code"] == "N05" and said["orderDetail"]


@pytest.mark.parametrize("status", FILLER_STATUS)
def test_a_filler_request_has_needs_urgency_and_language_and_names_nobody(status: Any) -> None:
    offer = share(status=status)
    said = valid(render.filler_request(offer))
    assert said["status"] == FILLER_STATUS[status] and said["intent"] == "filler-order" and said["priority"] == "urgent"
    assert [c["coding"][0]["code"] for c in said["category"]] == ["N05", "N01"]
    assert said["subject"] == {"reference": f"Patient/{offer.stand_in}"}
    assert said["extension"] == [{"url": "urn:yuanshe:language", "valueCode": "zh"}]
    assert said["performer"] == [{"reference": f"Organization/{AGENCY}"}]
    assert {"basedOn", "note", "identifier", "supportingInfo", "reasonCode", "encounter", "orderDetail"}.isdisjoint(
        said
    )
    disclosed = valid(render.filler_request(msgspec.structs.replace(offer, patient=PERSON)))
    assert disclosed["basedOn"] == [{"reference": f"ServiceRequest/{offer.referral}"}]
    assert disclosed["subject"] == {"reference": f"Patient/{PERSON}"}
    # Whom one must not contact is said to whoever can.
    assert disclosed["orderDetail"][0]["coding"][0]["code"] == "contacting-subject-prohibited"


def test_an_offer_with_a_safety_need_says_safety_county_and_how_old_in_three_words() -> None:
    offer = share(needs=("N13",), safety=True, region="520502", age_band="minor", gender=None)
    request, person = valid(render.filler_request(offer)), valid(render.stand_in(offer))
    text = msgspec.json.encode([request, person, render.task(offer)]).decode()
    assert "N13" not in text and "520502001" not in text and '"zh"' not in text and "gender" not in text
    assert [c["coding"][0]["code"] for c in request["category"]] == ["safety"]
    assert person["address"][0]["district"] == "520502" and person["extension"][0]["valueCode"] == "minor"
    opened = render.filler_request(msgspec.structs.replace(offer, patient=PERSON))
    assert [c["coding"][0]["code"] for c in opened["category"]] == ["N13"]
    assert codes.needs_of(codes.NEED, "safety") == ()  # Nobody can ask for it.


def test_a_stand_in_is_pseudonymous_and_never_finer_than_a_street() -> None:
    offer = share()
    said = valid(render.stand_in(offer))
    assert said["id"] == str(offer.stand_in)
    assert said["meta"]["security"] == [persons.PSEUDONYMOUS]
    masked = {"extension": [{"url": persons.ABSENT, "valueCode": "masked"}]}
    assert said["name"] == [masked] and said["_birthDate"] == masked and "birthDate" not in said
    assert said["extension"] == [{"url": "urn:yuanshe:age-band", "valueCode": "60-74"}]
    assert said["gender"] == "female" and said["communication"][0]["language"]["coding"][0]["code"] == "zh"
    (address,) = said["address"]
    assert address["district"] == "520502001"
    assert address["_district"]["extension"][0]["valueCoding"] == {"system": "urn:yuanshe:region", "code": "520502001"}
    assert set(said) <= {
        "resourceType", "id", "meta", "extension", "name", "_birthDate", "gender", "address", "communication",
    }  # fmt: skip


def test_a_person_goes_back_to_their_hospital_as_they_came_and_to_an_agency_with_a_masked_number() -> None:
    received = {"resourceType": "Patient", "id": "x", "name": [{"family": "王"}], "extension": [{"url": "urn:his-a:c", "valueString": "青"}],
                "meta": {"versionId": "1", "profile": ["urn:p"]}}  # fmt: skip
    own = valid(render.patient(PATIENT, received, "hospital"))
    assert own["extension"] == received["extension"] and own["id"] == str(PERSON) and own["meta"]["versionId"] == "4"
    assert own["meta"]["profile"] == ["urn:p"]
    told = valid(render.patient(PATIENT, received, "agency"))
    assert told["identifier"] == [{"system": CITIZEN_NUMBER, "value": "520502********0020"}]
    assert told["name"] == [{"text": "王秀兰"}] and told["telecom"][0]["value"] == "13800000000"
    assert told["birthDate"] == "1952-03-15" and told["address"][0]["text"] == "德溪路1号"
    assert "extension" not in told and "urn:his-a" not in msgspec.json.encode(told).decode()


def test_a_receipt_is_a_communication_to_the_hospital_on_its_request() -> None:
    made = Receipt(new_id(), new_id(), Reason("goals-met", "已安置到社区"), NOW, (f"Procedure/{new_id()}",))
    record = Record(new_id(), 1, "Communication", "message", AGENCY, msgspec.json.encode(made), NOW, hospital=HOSPITAL, agency=AGENCY,
                    referral=made.referral, task=made.task, returned=True, status="completed", code="receipt")  # fmt: skip
    said = valid(render.record(record))
    assert said["category"][0]["coding"][0] == {
        "system": "urn:yuanshe:message",
        "code": "receipt",
        "display": "转介回执",
    }
    assert said["recipient"] == [{"reference": f"Organization/{HOSPITAL}"}]
    assert said["sender"] == {"reference": f"Organization/{AGENCY}"}
    assert said["basedOn"] == [{"reference": f"ServiceRequest/{made.referral}"}]
    assert (
        said["reasonCode"][0]["coding"][0]["code"] == "goals-met"
        and "已安置到社区" in said["payload"][0]["contentString"]
    )


def test_any_other_resource_comes_back_as_received_under_our_id_and_version() -> None:
    content = {"resourceType": "Condition", "id": "theirs", "meta": {"tag": [{"code": "t"}]}, "subject": {"reference": "Patient/1"},
               "extension": [{"url": "urn:unknown", "valueString": "x"}]}  # fmt: skip
    record = Record(new_id(), 5, "Condition", "supporting", HOSPITAL, msgspec.json.encode(content), NOW)
    said = valid(render.record(record))
    assert said == content | {
        "id": str(record.id),
        "meta": {"versionId": "5", "lastUpdated": "2026-03-02T01:30:00.000250Z", "tag": [{"code": "t"}]},
    }


def test_the_directory_is_valid_and_a_service_always_states_its_capacity() -> None:
    agency = Organization(AGENCY, "a", "agency", "甲社", "Agency A", uscc="52520502MJ0000018J", status="accredited", phone="0857-1", email="a@example.org",
                          part_of=HOSPITAL, protection_qualified=True, updated_at=NOW)  # fmt: skip
    said = valid(directory.organization(agency))
    assert said["name"] == "甲社" and said["identifier"][0]["value"] == "52520502MJ0000018J"
    service = Service(new_id(), "s", AGENCY, "出院安置", "Placement", ("companionship",), ("N05",), ("520502",), ("elder",), ("zh",), "waitlist", 7, NOW,
                      updated_at=NOW)  # fmt: skip
    for each in (
        service,
        msgspec.structs.replace(service, service_types=(), needs=(), populations=(), languages=(), regions=()),
    ):
        said = valid(directory.healthcare_service(each, {"520502": "七星关区"}))
        capacity, places, _ = said["extension"]
        assert (
            capacity["extension"][0]["valueCodeableConcept"]["coding"][0]["code"] == "waitlist"
            and places["valueInteger"] == 7
        )
    worker = Worker(WORKER, "w", AGENCY, "陈社工", "senior", date(2020, 1, 1), None, certificate="SECRET-1")
    for form in (directory.practitioner, directory.practitioner_role):
        assert "SECRET-1" not in msgspec.json.encode(valid(form(worker))).decode()


def test_every_code_list_is_a_code_system_with_words_in_both_languages() -> None:
    regions = [Region("520502", "七星关区", "Qixingguan District"), Region("520502001", "市西街道", "Shixi Street")]
    systems = [*(directory.code_system(each) for each in codes.LISTS.values()), directory.region_system(regions)]
    assert {each["url"] for each in systems} == set(directory.SYSTEMS.values())
    for each in systems:
        valid(each)
        assert each["count"] == len(each["concept"]) and all(
            c["display"] and c["designation"][0]["value"] for c in each["concept"]
        )


def test_the_page_of_the_surface_says_what_its_table_says() -> None:
    held = (Path(__file__).parents[2] / "docs" / "surface.md").read_text()
    assert held == metadata.page(), (
        "write docs/surface.md anew: python -c 'from adapters.fhir import metadata; print(metadata.page(), end=\"\")'"
    )


def _refusals(of: type[Refusal] = Refusal) -> list[type[Refusal]]:
    return [each for sub in of.__subclasses__() if sub.__module__ == errors.__name__ for each in (sub, *_refusals(sub))]


@pytest.mark.parametrize("refusal", _refusals())
def test_every_refusal_has_a_status_and_a_valid_outcome(refusal: type[Refusal]) -> None:
    assert refusal in outcomes.STATUS and str(outcomes.STATUS[refusal]) in (errors.__doc__ or "")
    raised = refusal("This cannot be.", at="statusReason.text")
    assert outcomes.status_of(raised) == outcomes.STATUS[refusal]
    said = valid(outcomes.outcome(raised.issues, "Task"))
    assert said["issue"][0]["expression"] == ["Task.statusReason.text"]
    assert said["issue"][0]["details"]["text"] == "This cannot be." and "diagnostics" not in said["issue"][0]


def test_information_along_with_a_success_is_no_error() -> None:
    said = valid(
        outcomes.information(
            [Issue("Likely a duplicate.", severity="warning"), Issue("Not mapped.", code="informational")]
        )
    )
    assert [issue["severity"] for issue in said["issue"]] == ["warning", "information"]
    assert valid(outcomes.information([]))["issue"][0]["severity"] == "information"


def test_the_capability_statement_says_what_the_table_of_the_surface_says() -> None:
    said = valid(metadata.capability("https://yuanshe.example/fhir"))
    assert said["fhirVersion"] == "4.0.1"
    resources = {each["type"]: each for each in said["rest"][0]["resource"]}
    assert set(resources) == set(SURFACE)
    for name, type in SURFACE.items():
        assert [i["code"] for i in resources[name]["interaction"]] == list(type.interactions)
        assert [p["name"] for p in resources[name]["searchParam"]] == [p.name for p in type.params]
        assert len({p.name for p in type.params}) == len(type.params)
