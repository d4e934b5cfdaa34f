"""A hospital submits: what is accepted, what is refused and where the fault lies, and that it is all or nothing."""

import asyncio
import copy
import json
import uuid

import pytest

from tests.http.submitting import expressions, needs_of, order, put_in, refused, resource, rows, statuses, words
from tests.http.world import NEED, SDOHCC, Referred, World, submission

TASK = {
    "resourceType": "Task",
    "status": "requested",
    "intent": "order",
    "code": {"coding": [{"system": "http://hl7.org/fhir/CodeSystem/task-code", "code": "fulfill"}]},
    "focus": {"reference": "REQUEST"},
    "for": {"reference": "PATIENT"},
    "requester": {"display": "星河医院"},
    "authoredOn": "2026-03-04T10:00:00+08:00",
}


async def test_the_least_request_for_a_patient_known_here(world: World) -> None:
    hospital = world.party("his-a")
    patient = await hospital.post("Patient", resource(submission(), "Patient"))
    assert patient.status == 201
    made = await hospital.post("ServiceRequest", order({"reference": f"Patient/{patient['id']}"}))
    assert made.status == 201, made
    assert made.headers["location"].endswith(f"/fhir/ServiceRequest/{made['id']}/_history/1")
    tasks = await hospital.search(f"Task?focus=ServiceRequest/{made['id']}")
    assert len(tasks) == 1
    parent = tasks[0]
    assert parent["owner"]["reference"] == world.organizations["platform"]
    assert parent["requester"]["reference"] == world.organizations["hospital-a"]
    assert parent["for"]["reference"] == f"Patient/{patient['id']}"
    offers = await world.party("agency-a").search("Task?status=requested")
    assert len(offers) == 1 and offers[0]["partOf"] == [{"reference": f"Task/{parent['id']}"}]


async def test_a_request_with_the_patient_contained(world: World) -> None:
    hospital = world.party("his-a")
    person = resource(submission(), "Patient") | {"id": "p"}
    made = await hospital.post("ServiceRequest", order({"reference": "#p"}, contained=[person]))
    assert made.status == 201, made
    assert (await hospital.read(made["subject"]["reference"]))["name"][0]["text"] == "陈素芬"


async def test_a_patient_known_here_may_be_named_by_identifier(world: World) -> None:
    hospital = world.party("his-a")
    person = resource(submission(), "Patient")
    patient = await hospital.post("Patient", person)
    number = person["identifier"][0]
    made = await hospital.post("ServiceRequest", order({"identifier": number}))
    assert made.status == 201, made
    assert made["subject"]["reference"] == f"Patient/{patient['id']}"
    asked = await hospital.post(
        "ServiceRequest", order({"reference": f"Patient?identifier={number['system']}|{number['value']}"})
    )
    assert asked.status == 201 and asked["subject"]["reference"] == f"Patient/{patient['id']}"
    unknown = await refused(world, hospital, "ServiceRequest", order({"identifier": number | {"value": "nobody"}}), 422)
    assert expressions(unknown) == ["ServiceRequest.subject"]
    other = await world.party("his-b").post("ServiceRequest", order({"identifier": number}))
    assert other.status == 422


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"status": None}, "status"),
        ({"status": "draft"}, "status"),
        ({"intent": None}, "intent"),
        ({"intent": "plan"}, "intent"),
        ({"subject": None}, "subject"),
        ({"identifier": None}, "identifier"),
        ({"category": None}, "code"),
        ({"priority": "soon"}, "priority"),
        ({"authoredOn": "yesterday"}, "authoredOn"),
    ],
)
async def test_what_is_missing_or_wrong_is_named_and_nothing_is_stored(
    world: World, change: dict[str, str | None], where: str
) -> None:
    answer = await refused(world, world.party("his-a"), "", put_in(submission(), ServiceRequest=change), 422)
    assert [e for e in expressions(answer) if e.endswith(f".{where}")], answer
    assert all(e.startswith("Bundle.entry[2].resource") for e in expressions(answer)), answer


@pytest.mark.parametrize("with_ids", [True, False])
async def test_absolute_full_urls_and_relative_references(world: World, with_ids: bool) -> None:
    bundle = submission()
    old = [entry["fullUrl"] for entry in bundle["entry"]]
    text = json.dumps(bundle)
    for full, type in zip(old, ("Patient", "Encounter", "ServiceRequest"), strict=True):
        text = text.replace(f'"fullUrl": "{full}"', f'"fullUrl": "http://his.example/fhir/{type}/{type.lower()}-1"')
    text = text.replace(old[0], "Patient/patient-1").replace(old[1], "http://his.example/fhir/Encounter/encounter-1")
    bundle = json.loads(text)
    for entry in bundle["entry"] if with_ids else ():
        entry["resource"]["id"] = f"{entry['resource']['resourceType'].lower()}-1"
    made = await world.party("his-a").post("", bundle)
    assert made.status == 200, made
    patient, stay, request = (entry["response"]["location"].rsplit("/", 2)[0] for entry in made["entry"])
    stored = await world.party("his-a").read(request)
    assert stored["subject"]["reference"] == patient and stored["encounter"]["reference"] == stay


async def test_a_transaction_answers_200_with_201_for_each_entry(world: World) -> None:
    referred = await world.refer("N05")
    assert referred.answer["type"] == "transaction-response"
    assert statuses(referred.answer) == ["201", "201", "201"]
    assert all(entry["response"]["etag"] == 'W/"1"' for entry in referred.answer["entry"])


async def test_a_patient_known_by_identifier_is_updated_and_answers_200_the_rest_201(world: World) -> None:
    first = await world.refer("N05", mrn="ZY-1")
    again = await world.refer("N01", mrn="ZY-1", patient={"telecom": [{"system": "phone", "value": "13800000002"}]})
    assert statuses(again.answer) == ["200", "201", "201"]
    assert again.patient == first.patient
    stored = await world.party("his-a").read(first.patient)
    assert stored["telecom"][0]["value"] == "13800000002" and stored["meta"]["versionId"] == "2"


async def test_two_referrals_from_one_stay_share_that_stay(world: World) -> None:
    number = {"identifier": [{"system": "urn:oid:2.16.156.10011.1.12", "value": "ZYH-7"}]}
    first = await world.refer("N05", mrn="ZY-1", encounter=number)
    second = await world.refer("N01", mrn="ZY-1", encounter=number)
    assert second.stay == first.stay and second.request != first.request
    other = await refused(world, world.party("his-a"), "", submission("N05", mrn="ZY-2", encounter=number), 409)
    assert expressions(other) == ["Bundle.entry[1].resource.identifier"]


async def test_parallel_referrals_of_one_patient_are_all_stored(world: World) -> None:
    hospital = world.party("his-a")
    answers = await asyncio.gather(
        *(hospital.post("", submission(need, mrn="ZY-1")) for need in ("N01", "N03", "N05", "N06", "N09"))
    )
    assert [answer.status for answer in answers] == [200] * 5, answers
    assert (await rows(world))["patient"] == 1


async def test_if_none_exist_keeps_what_is_there(world: World) -> None:
    hospital = world.party("his-a")
    first = await world.refer("N05", mrn="ZY-1")
    bundle = submission("N01", mrn="ZY-1", patient={"name": [{"text": "别名"}]})
    bundle["entry"][0]["request"]["ifNoneExist"] = "identifier=urn:his-a:patient|ZY-1"
    made = await hospital.post("", bundle)
    assert made.status == 200 and statuses(made) == ["200", "201", "201"], made
    assert (await hospital.read(first.patient))["name"][0]["text"] == "陈素芬"
    alone = await hospital.post(
        "Patient", resource(bundle, "Patient"), if_none_exist="identifier=urn:his-a:patient|ZY-1"
    )
    assert alone.status == 200 and f"Patient/{alone['id']}" == first.patient
    assert alone["meta"]["versionId"] == "1"
    bundle = submission("N03", mrn="ZY-9")
    bundle["entry"][0]["request"]["ifNoneExist"] = "identifier=urn:his-a:patient|ZY-9"
    assert statuses(await hospital.post("", bundle)) == ["201", "201", "201"]
    bundle = submission("N03", mrn="ZY-8")
    bundle["entry"][0]["request"]["ifNoneExist"] = "birthdate=1952-03-15"
    await refused(world, hospital, "", bundle, 412)


async def test_a_known_patient_may_be_put(world: World) -> None:
    hospital = world.party("his-a")
    first = await world.refer("N05", mrn="ZY-1")
    bundle = submission("N01", mrn="ZY-1")
    bundle["entry"][0]["request"] = {"method": "PUT", "url": first.patient}
    bundle["entry"][0]["resource"]["id"] = first.patient.split("/")[1]
    made = await hospital.post("", bundle)
    assert made.status == 200 and statuses(made) == ["200", "201", "201"], made
    assert made["entry"][0]["response"]["location"] == f"{first.patient}/_history/2"
    other = await world.refer("N05", mrn="ZY-2")
    bundle = submission("N03", mrn="ZY-1")
    bundle["entry"][0]["request"] = {"method": "PUT", "url": other.patient}
    await refused(world, hospital, "", bundle, 409)


async def test_an_id_that_another_hospital_has_names_nothing(world: World) -> None:
    first = await world.refer("N05", mrn="ZY-1")
    bundle = submission("N05", mrn="ZY-1")
    bundle["entry"][0]["request"] = {"method": "PUT", "url": first.patient}
    made = await world.party("his-b").post("", bundle)
    assert made.status == 200 and statuses(made)[0] == "201", made
    assert not made["entry"][0]["response"]["location"].startswith(first.patient)
    assert (await world.party("his-a").read(first.patient))["meta"]["versionId"] == "1"


async def test_two_requests_in_one_bundle_are_refused(world: World) -> None:
    bundle = submission("N05")
    other = copy.deepcopy(bundle["entry"][2])
    other["fullUrl"] = f"urn:uuid:{uuid.uuid4()}"
    other["resource"]["identifier"][0]["value"] = "another"
    bundle["entry"].append(other)
    answer = await refused(world, world.party("his-a"), "", bundle, 422)
    assert expressions(answer) == ["Bundle.entry[3].resource"]


async def test_a_task_may_come_along_and_keeps_what_it_says(world: World) -> None:
    hospital = world.party("his-a")
    sent = TASK | {
        "extension": [{"url": "urn:his-a:ward", "valueDecimal": "DECIMAL"}],
        "input": [{"type": {"text": "路径"}, "valueString": "绿色通道"}],
    }
    bundle = json.loads(json.dumps(submission("N05", extra=[sent])))
    made = await hospital.post("", json.dumps(bundle).replace('"DECIMAL"', "1.50"))
    assert made.status == 200, made
    task = made["entry"][3]["response"]["location"].split("/_history")[0]
    tasks = await hospital.search(f"Task?focus={made['entry'][2]['response']['location'].split('/_history')[0]}")
    assert [f"Task/{one['id']}" for one in tasks] == [task]
    stored = await hospital.read(task)
    assert stored["owner"]["reference"] == world.organizations["platform"]
    assert stored["input"] == [{"type": {"text": "路径"}, "valueString": "绿色通道"}]
    raw = await world.http.get(
        f"http://yuanshe.test/fhir/{task}",
        headers={"authorization": f"Bearer {world.said['clients']['his-a']['access_token']}"},
    )
    assert b'"valueDecimal":1.50' in raw.content


@pytest.mark.parametrize("name", ["focus", "for", "requester", "authoredOn"])
async def test_a_task_that_lacks_what_it_needs_is_refused_by_name(world: World, name: str) -> None:
    task = {key: value for key, value in TASK.items() if key != name}
    answer = await refused(world, world.party("his-a"), "", submission("N05", extra=[task]), 422)
    assert expressions(answer) == [f"Bundle.entry[3].resource.{name}"]


async def test_a_task_is_about_the_request_and_patient_that_it_came_with(world: World) -> None:
    other = await world.refer("N05", mrn="ZY-other")
    for name, reference in (("focus", other.request), ("for", other.patient)):
        task = TASK | {name: {"reference": reference}}
        answer = await refused(world, world.party("his-a"), "", submission("N05", extra=[task]), 422)
        assert expressions(answer) == [f"Bundle.entry[3].resource.{name}"]


async def test_one_bad_entry_and_nothing_is_stored(world: World) -> None:
    bad = {
        "resourceType": "Observation",
        "status": "finished",
        "code": {"text": "评估"},
        "subject": {"reference": "PATIENT"},
    }
    answer = await refused(world, world.party("his-a"), "", submission("N05", extra=[bad]), 422)
    assert expressions(answer) == ["Bundle.entry[3].resource.status"]
    late = {
        "resourceType": "Condition",
        "code": {"text": "跌倒"},
        "subject": {"reference": "Patient/0190a000-0000-7000-8000-00000000abcd"},
    }
    answer = await refused(world, world.party("his-a"), "", submission("N05", extra=[late]), 422)
    assert expressions(answer)[0].startswith("Bundle.entry[3].resource.subject")
    consent = world.consent_form("PATIENT", "REQUEST") | {"provision": {"type": "permit"}}
    answer = await refused(world, world.party("his-a"), "", submission("N05", extra=[consent]), 422)
    assert expressions(answer)[0].startswith("Bundle.entry[3].resource.provision")


async def test_a_resource_sent_to_another_types_address_is_refused(world: World) -> None:
    bundle = submission("N05")
    bundle["entry"][1]["request"]["url"] = "Condition"
    answer = await refused(world, world.party("his-a"), "", bundle, 422)
    assert expressions(answer) == ["Bundle.entry[1].request.url"]


async def test_unknown_extensions_and_decimals_come_back_intact(world: World) -> None:
    extension = [
        {"url": "urn:his-a:score", "valueDecimal": 77001},
        {"url": "urn:his-a:nested", "extension": [{"url": "a", "valueString": "内部字段"}]},
    ]
    bundle = submission(
        "N05",
        patient={"extension": extension, "maritalStatus": {"text": "丧偶"}},
        request={"extension": extension, "_priority": {"extension": extension}, "patientInstruction": "带齐证件"},
        encounter={"extension": extension},
        extra=[
            {"resourceType": "Condition", "code": {"text": "骨折"}, "subject": {"reference": "PATIENT"}, "extension": extension}
        ],
    )  # fmt: skip
    made = await world.party("his-a").post("", json.dumps(bundle).replace("77001", "1.50"))
    assert made.status == 200, made
    token = world.said["clients"]["his-a"]["access_token"]
    for entry in made["entry"]:
        where = entry["response"]["location"]
        for address in (where.split("/_history")[0], where):
            raw = await world.http.get(
                f"http://yuanshe.test/fhir/{address}", headers={"authorization": f"Bearer {token}"}
            )
            assert raw.content.count(b'"valueDecimal":1.50') >= 1, (address, raw.content)
            stored = raw.json()
            assert stored["extension"] == [
                extension[0] | {"valueDecimal": 1.5},
                extension[1],
            ]
            if stored["resourceType"] == "ServiceRequest":
                assert stored["_priority"]["extension"][1] == extension[1]
                assert stored["patientInstruction"] == "带齐证件"


async def test_a_second_open_referral_for_the_same_need_warns_and_says_which(world: World) -> None:
    first = await world.refer("N05", "N01", mrn="ZY-1")
    second = await world.refer("N05", mrn="ZY-1")
    outcome = second.answer["entry"][2]["response"]["outcome"]
    assert first.request in words(outcome)  # type: ignore[arg-type]
    assert {issue["severity"] for issue in outcome["issue"]} <= {"warning", "information"}
    assert all(place.startswith("ServiceRequest") for issue in outcome["issue"] for place in issue["expression"])
    third = await world.refer("N09", mrn="ZY-1")
    assert "outcome" not in third.answer["entry"][2]["response"]
    other = await world.refer("N05", mrn="ZY-2")
    assert "outcome" not in other.answer["entry"][2]["response"]


async def test_a_named_agency_is_tried_first_if_it_is_eligible(world: World) -> None:
    for agency, first in (("agency-b", "agency-b"), ("agency-c", "agency-a")):
        referred = await world.refer("N05", request={"performer": [{"reference": world.organizations[agency]}]})
        assert (await world.shares(referred))[0]["owner"]["reference"] == world.organizations[first]


# ---- needs --------------------------------------------------------------------------------------------------------------

ICD10 = "http://hl7.org/fhir/sid/icd-10"
ICD10_CM = "http://hl7.org/fhir/sid/icd-10-cm"


MAPPED = [
    (SDOHCC, "medical-cost-burden", ["N01"]),
    (SDOHCC, "financial-insecurity", ["N01"]),
    (SDOHCC, "health-insurance-coverage-status", ["N02"]),
    (SDOHCC, "stress", ["N03"]),
    (SDOHCC, "inadequate-housing", ["N05"]),
    (SDOHCC, "personal-health-literacy", ["N08"]),
    (SDOHCC, "intimate-partner-violence", ["N12"]),
    (SDOHCC, "elder-abuse", ["N12"]),
    (SDOHCC, "homelessness", ["N15"]),
    (SDOHCC, "educational-attainment", ["N16"]),
    (SDOHCC, "employment-status", ["N17"]),
    (SDOHCC, "transportation-insecurity", ["N18"]),
    (ICD10, "Z59.6", ["N01"]),
    (ICD10, "Z59.7", ["N01", "N02"]),
    (ICD10, "Z63.6", ["N04"]),
    (ICD10, "Z63.4", ["N10"]),
    (ICD10, "Z63.0", ["N06"]),
    (ICD10, "Z75.1", ["N05"]),
    (ICD10_CM, "Z91.5", ["N11"]),
    (ICD10, "T74.0", ["N14"]),
    (ICD10, "T74.1", ["N12", "N13"]),
    (ICD10, "Z56.0", ["N17"]),
]


@pytest.mark.parametrize(
    ("system", "code", "needs", "place"),
    [(*each, "code") for each in MAPPED]
    + [(*each, place) for each in MAPPED if each[1] in ("stress", "Z59.7") for place in ("category", "reasonCode")],
)
async def test_codes_of_others_are_mapped_to_our_needs(
    world: World, system: str, code: str, needs: list[str], place: str
) -> None:
    concept = {"coding": [{"system": system, "code": code}]}
    bundle = put_in(submission(), ServiceRequest={"category": None})
    resource(bundle, "ServiceRequest")[place] = concept if place == "code" else [concept]
    made = await world.party("his-a").post("", bundle)
    assert made.status == 200, made
    assert await needs_of(world, Referred(bundle, made)) == needs


async def test_an_unmapped_code_becomes_n99_with_its_text_kept_and_a_warning(world: World) -> None:
    concept = {"coding": [{"system": "http://snomed.info/sct", "code": "410606002", "display": "Social service"}]}
    referred = await world.refer("N05", request={"category": [concept]})
    assert await needs_of(world, referred) == ["N99"]
    outcome = referred.answer["entry"][2]["response"]["outcome"]
    assert outcome["issue"][0]["expression"] == ["Bundle.entry[2].resource.category[0]"]
    assert {issue["severity"] for issue in outcome["issue"]} == {"information"}
    assert (await world.party("his-a").read(referred.request))["category"] == [concept]
    assert (await world.parent(referred))["businessStatus"]["coding"][0]["code"] == "unplaced"
    bare = {"coding": [{"system": "http://snomed.info/sct", "code": "410606002"}]}
    assert await needs_of(world, await world.refer("N05", request={"category": [bare]})) == ["N99"]


async def test_other_needs_words_and_an_unknown_code_of_ours_is_refused(world: World) -> None:
    hospital = world.party("his-a")
    other = put_in(submission(), ServiceRequest={"category": [{"coding": [{"system": NEED, "code": "N99"}]}]})
    await refused(world, hospital, "", other, 422)
    other = put_in(
        submission(),
        ServiceRequest={"category": [{"coding": [{"system": NEED, "code": "N99"}], "text": "找回走失的亲人"}]},
    )
    assert (await hospital.post("", other)).status == 200
    unknown = put_in(submission(), ServiceRequest={"category": [{"coding": [{"system": NEED, "code": "N98"}]}]})
    answer = await refused(world, hospital, "", unknown, 422)
    assert expressions(answer) == ["Bundle.entry[2].resource.category[0]"]
    assert answer["issue"][0]["code"] == "code-invalid"


async def test_a_need_brings_its_least_urgency_and_the_placers_own_is_never_touched(world: World) -> None:
    for need, urgency in (("N01", "routine"), ("N05", "urgent"), ("N12", "stat")):
        referred = await world.refer(need)
        assert (await world.parent(referred))["priority"] == urgency
        assert "priority" not in await world.party("his-a").read(referred.request)


# ---- screening ----------------------------------------------------------------------------------------------------------


def answered(link: str, **answer: object) -> dict[str, object]:
    return {
        "resourceType": "QuestionnaireResponse",
        "status": "completed",
        "subject": {"reference": "PATIENT"},
        "item": [{"linkId": "/44249-1", "item": [{"linkId": link, "answer": [answer]}]}],
    }


def observed(code: str, **value: object) -> dict[str, object]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
        "subject": {"reference": "PATIENT"},
    } | value


LA = "http://loinc.org"


@pytest.mark.parametrize(
    ("screening", "raised"),
    [
        (observed("44260-8", valueInteger=1), True),
        (observed("44260-8", valueInteger=0), False),
        (observed("44260-8", valueQuantity={"value": 2}), True),
        (observed("44260-8", valueCodeableConcept={"coding": [{"system": LA, "code": "LA6569-3"}]}), True),
        (observed("44260-8", valueCodeableConcept={"coding": [{"system": LA, "code": "LA6568-5"}]}), False),
        (observed("44260-8", valueCodeableConcept={"coding": [{"system": "urn:x", "code": "often"}]}), True),
        (observed("44261-6", valueInteger=1), False),
        (observed("44261-6", valueInteger=27), False),
        (observed("44261-6", valueQuantity={"value": 27}), False),
        (
            observed(
                "44249-1",
                component=[
                    {"code": {"coding": [{"system": LA, "code": "44260-8"}]}, "valueInteger": 3},
                    {"code": {"coding": [{"system": LA, "code": "44261-6"}]}, "valueInteger": 3},
                ],
            ),
            True,
        ),
        (answered("44260-8", valueInteger=1), True),
        (answered("/44260-8", valueInteger=1), True),
        (answered("/44249-1/44260-8", valueInteger=1), True),
        (answered("44260-8", valueInteger=0), False),
        (answered("44260-8", valueDecimal=1.0), True),
        (answered("44260-8", valueCoding={"system": LA, "code": "LA6571-9"}), True),
        (answered("/44260-8", valueCoding={"system": LA, "code": "LA6568-5"}), False),
        (answered("44261-6", valueInteger=20), False),
        (answered("44250-9", valueCoding={"system": LA, "code": "LA6571-9"}), False),
    ],
)
async def test_item_9_of_the_phq_9_raises_a_crisis_and_the_total_does_not(
    world: World, screening: dict[str, object], raised: bool
) -> None:
    referred = await world.refer("N03", extra=[screening])
    assert (await world.parent(referred))["priority"] == ("stat" if raised else "routine")
    _, step = await world.timeline(referred)
    assert step is not None and step["what"] == ("acknowledge" if raised else "accept-or-decline")


async def test_a_crisis_answer_that_was_entered_in_error_raises_nothing(world: World) -> None:
    referred = await world.refer("N03", extra=[observed("44260-8", valueInteger=3, status="entered-in-error")])
    assert (await world.parent(referred))["priority"] == "routine"


# ---- replaces -----------------------------------------------------------------------------------------------------------


async def test_behaviour_21_of_a_request_and_the_one_that_replaces_it_one_stays_open(world: World) -> None:
    hospital = world.party("his-a")
    old = await world.refer("N05", mrn="ZY-1")
    new = await world.refer("N05", "N01", mrn="ZY-1", request={"replaces": [{"reference": old.request}]})
    assert "outcome" not in new.answer["entry"][2]["response"]
    assert (await hospital.read(old.request))["status"] == "revoked"
    assert (await world.parent(old))["status"] == "cancelled"
    assert (await hospital.read(new.request))["replaces"] == [{"reference": old.request}]
    assert [share["status"] for share in await world.shares(old)] == ["cancelled"]
    again = put_in(submission("N05", mrn="ZY-1"), ServiceRequest={"replaces": [{"reference": old.request}]})
    await refused(world, hospital, "", again, 409)


async def test_a_request_that_was_accepted_is_withdrawn_before_it_is_replaced(world: World) -> None:
    old = await world.refer("N05", mrn="ZY-1")
    await world.accepted(old)
    new = put_in(submission("N05", mrn="ZY-1"), ServiceRequest={"replaces": [{"reference": old.request}]})
    await refused(world, world.party("his-a"), "", new, 409)
    assert (await world.party("his-a").read(old.request))["status"] == "active"


async def test_nobody_replaces_anothers_request(world: World) -> None:
    old = await world.refer("N05", by="his-a")
    new = put_in(submission("N05"), ServiceRequest={"replaces": [{"reference": old.request}]})
    answer = await refused(world, world.party("his-b"), "", new, 404)
    assert expressions(answer) == ["Bundle.entry[2].resource.replaces"]


async def test_a_bundle_without_a_request_is_a_transaction_like_any(world: World) -> None:
    hospital = world.party("his-a")
    known = await world.refer("N05", mrn="ZY-1")
    bundle = submission("N05", mrn="ZY-1")
    form = world.consent_form(bundle["entry"][0]["fullUrl"], known.request, "agency-a")
    bundle["entry"] = [
        {"fullUrl": "urn:uuid:c", "resource": form, "request": {"method": "POST", "url": "Consent"}},
        bundle["entry"][0],
    ]
    made = await hospital.post("", bundle)
    assert made.status == 200 and statuses(made) == ["201", "200"], made
    assert (await hospital.read(made["entry"][0]["response"]["location"].split("/_history")[0]))["patient"][
        "reference"
    ] == known.patient


async def test_a_slash_may_be_escaped(world: World) -> None:
    patient = (await world.party("his-a").post("Patient", resource(submission(mrn="ZY-1"), "Patient")))["id"]
    bundle = submission("N05", mrn="ZY-1")
    url = bundle["entry"][0]["fullUrl"]
    text = json.dumps(bundle).replace(url, "http://his.example/fhir/Patient/p-1").replace("/", "\\/")
    made = await world.party("his-a").post("", text)
    assert made.status == 200 and made["entry"][0]["response"]["location"].startswith(f"Patient/{patient}/"), made


async def test_two_entries_with_one_name_are_refused(world: World) -> None:
    bundle = submission("N05")
    bundle["entry"][1]["fullUrl"] = bundle["entry"][0]["fullUrl"]
    answer = await refused(world, world.party("his-a"), "", bundle, 422)
    assert expressions(answer) == ["Bundle.entry[1].fullUrl"]


async def test_a_stay_is_of_the_patient_who_is_referred(world: World) -> None:
    hospital = world.party("his-a")
    other = await world.refer("N05", mrn="ZY-2")
    stay = put_in(submission("N05"), Encounter={"subject": {"reference": other.patient}})
    answer = await refused(world, hospital, "", stay, 422)
    assert expressions(answer) == ["Bundle.entry[1].resource.subject"]
    patient = await hospital.post("Patient", resource(submission(), "Patient"))
    asked = order({"reference": f"Patient/{patient['id']}"}, encounter={"reference": other.stay})
    assert expressions(await refused(world, hospital, "ServiceRequest", asked, 422)) == ["ServiceRequest.encounter"]


async def test_a_known_stay_may_be_put(world: World) -> None:
    hospital = world.party("his-a")
    first = await world.refer("N05", mrn="ZY-1")
    bundle = submission("N01", mrn="ZY-1")
    bundle["entry"][1]["request"] = {"method": "PUT", "url": first.stay}
    made = await hospital.post("", bundle)
    assert statuses(made) == ["200", "200", "201"], made
    assert made["entry"][1]["response"]["location"] == f"{first.stay}/_history/2"
    elsewhere = submission("N05")
    elsewhere["entry"][1]["request"] = {"method": "PUT", "url": first.stay}
    made = await world.party("his-b").post("", elsewhere)
    assert statuses(made)[1] == "201" and not made["entry"][1]["response"]["location"].startswith(first.stay)


async def test_only_a_hospital_submits(world: World) -> None:
    for who in ("agency-a", "platform", "auditor"):
        before = await rows(world)
        assert (await world.party(who).post("", submission("N05"))).status == 403
        assert await rows(world) == before


async def test_a_performer_who_cannot_take_it_is_passed_over_with_a_word(world: World) -> None:
    for agency, told in (("agency-a", 0), ("agency-c", 1)):
        referred = await world.refer("N05", request={"performer": [{"reference": world.organizations[agency]}]})
        issues = [
            issue
            for entry in referred.answer["entry"]
            for issue in entry["response"].get("outcome", {}).get("issue", [])
            if issue.get("expression", [""])[0].endswith("performer[0]")
        ]
        assert len(issues) == told, issues
        assert (await world.offer(referred))["status"] == "requested"


async def test_places_and_people_come_along_though_nobody_writes_them_by_themselves(world: World) -> None:
    """They are kept with the referral for the agency that takes it; the directory stays as it is."""
    hospital = world.party("his-a")
    along = [
        {"resourceType": "Organization", "name": "示例医院心内科"}, {"resourceType": "Practitioner", "name": [{"text": "李医生"}]},
        {"resourceType": "PractitionerRole", "active": True}, {"resourceType": "Location", "name": "七病区"},
    ]  # fmt: skip
    before = {
        type: len(await hospital.search(f"{type}?_count=200"))
        for type in ("Organization", "Practitioner", "PractitionerRole")
    }
    referred = await world.refer("N05", extra=along)
    assert [entry["response"]["status"][:3] for entry in referred.answer["entry"]] == ["201"] * (3 + len(along))
    for entry, sent in zip(referred.answer["entry"][3:], along, strict=True):
        kept = await hospital.read("/".join(entry["response"]["location"].split("/")[:2]))
        assert {key: kept[key] for key in sent} == sent
    assert {type: len(await hospital.search(f"{type}?_count=200")) for type in before} == before
    alone = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [{"resource": along[0], "request": {"method": "POST", "url": "Organization"}}],
    }
    answer = await hospital.post("", alone)
    assert answer.status == 422 and answer["issue"][0]["expression"] == ["Bundle.entry[0].request.url"]
