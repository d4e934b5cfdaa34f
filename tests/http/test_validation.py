"""What is written is held against R4 and the closed loop's own rules; the answer names every element that is wrong, and nothing is stored."""

import json
from typing import Any

import pytest

from adapters.fhir import profiles, validation
from service.values import read_json
from tests.clients.test_emitted import emitted  # noqa: F401 -- a fixture
from tests.http.loop import nothing_changes, share_in
from tests.http.submitting import expressions, put_in
from tests.http.world import BASE, FHIR_JSON, World, closed, output, submission

Resource = dict[str, Any]


def with_task(**changes: Any) -> Resource:
    """A submission with the hospital's own Task, whose elements are changed; None takes one away."""
    task = {
        "resourceType": "Task", "status": "requested", "intent": "order", "focus": {"reference": "REQUEST"}, "for": {"reference": "PATIENT"},
        "code": {"coding": [{"system": "http://hl7.org/fhir/CodeSystem/task-code", "code": "fulfill"}]},
        "authoredOn": "2026-03-04T10:00:00+08:00", "requester": {"display": "病区"},
    } | changes  # fmt: skip
    return submission("N05", extra=[{key: value for key, value in task.items() if value is not None}])


@pytest.mark.parametrize(
    ("changes", "element"),
    [
        ({"focus": None}, "focus"),
        ({"for": None}, "for"),
        ({"requester": None}, "requester"),
        ({"authoredOn": None}, "authoredOn"),
        ({"intent": None}, "intent"),
        ({"intent": "plan"}, "intent"),
        ({"intent": "bogus"}, "intent"),
        ({"status": "bogus"}, "status"),
        ({"status": "accepted"}, "status"),
        ({"for": {"reference": "Medication/1"}}, "for"),
        ({"focus": {"reference": "Procedure/1"}}, "focus"),
        ({"requester": {"reference": "Medication/1"}}, "requester"),
        ({"owner": {"reference": "Encounter/1"}}, "owner"),
        ({"authoredOn": "04.03.2026"}, "authoredOn"),
        ({"restriction": {"period": {"start": "2026-03-04", "end": "2026-03-03"}}}, "restriction.period.end"),
        ({"statusReason": {"coding": [{"code": "x"}]}}, "statusReason.text"),
    ],
)
async def test_behaviour_3_a_task_that_is_not_one_is_refused_by_element(
    world: World, changes: Resource, element: str
) -> None:
    async with nothing_changes(world):
        answer = await world.party("his-a").post("", with_task(**changes))
    assert answer.status == 422, answer
    assert expressions(answer) == [f"Bundle.entry[3].resource.{element}"]


async def test_behaviour_3_all_that_is_missing_is_said_at_once(world: World) -> None:
    answer = await world.party("his-a").post("", with_task(**{"focus": None, "for": None, "authoredOn": None}))
    task = "Bundle.entry[3].resource"
    assert expressions(answer) == [f"{task}.focus", f"{task}.for", f"{task}.authoredOn"]


async def test_behaviour_3_faults_of_several_entries_are_said_at_once(world: World) -> None:
    wrong = put_in(
        submission("N05"), Patient={"gender": "F"}, Encounter={"class": None}, ServiceRequest={"priority": "now"}
    )
    async with nothing_changes(world):
        answer = await world.party("his-a").post("", wrong)
    assert answer.status == 422 and expressions(answer) == [
        f"Bundle.entry[{n}].resource.{element}" for n, element in enumerate(("gender", "class", "priority"))
    ]


@pytest.mark.parametrize(
    ("type", "changes", "element"),
    [
        ("Patient", {"gender": "F"}, "gender"),
        ("Patient", {"name": []}, "name"),
        ("Encounter", {"status": "here"}, "status"),
        ("Encounter", {"subject": {"reference": "Practitioner/1"}}, "subject"),
        ("ServiceRequest", {"status": "bogus"}, "status"),
        ("ServiceRequest", {"subject": None}, "subject"),
        ("ServiceRequest", {"orderDetail": [{"text": "先联系病区"}]}, "orderDetail"),
        ("ServiceRequest", {"performer": [{"reference": "Encounter/1"}]}, "performer[0]"),
        ("ServiceRequest", {"note": {"text": "one"}}, "note"),
    ],
)
async def test_behaviour_3_whatever_else_is_wrong_is_named_too(
    world: World, type: str, changes: Resource, element: str
) -> None:
    bundle = put_in(submission("N05"), **{type: changes})
    position = next(n for n, entry in enumerate(bundle["entry"]) if entry["resource"]["resourceType"] == type)
    async with nothing_changes(world):
        answer = await world.party("his-a").post("", bundle)
    assert answer.status == 422, answer
    assert expressions(answer) == [f"Bundle.entry[{position}].resource.{element}"]


async def test_behaviour_3_what_is_no_json_is_400(world: World) -> None:
    for body in (b"{", b"", b"\xff{}", b"[1,", b"nothing"):
        answer = await world.party("his-a").post("Patient", body)
        assert answer.status == 400 and answer["resourceType"] == "OperationOutcome"


@pytest.mark.parametrize("to", ["rejected", "on-hold", "failed", "cancelled"])
@pytest.mark.parametrize("why", [None, {"coding": [{"system": "urn:yuanshe:decline-reason", "code": "no-capacity"}]}])
async def test_behaviour_4_no_end_and_no_pause_without_a_reason_in_words(
    world: World, to: str, why: Resource | None
) -> None:
    share = await share_in(world, "requested" if to == "rejected" else "accepted")
    changes = {"statusReason": why} if why else {}
    async with nothing_changes(world):
        answer = await world.party("agency-a").put(share, status=to, **changes)
    assert answer.status == 422, answer
    assert expressions(answer) == ["Task.statusReason.text"]


async def test_behaviour_4_a_reason_without_words_is_refused_with_any_status(world: World) -> None:
    share = await share_in(world, "in-progress")
    wordless = {"coding": closed()["coding"]}
    async with nothing_changes(world):
        answer = await world.party("agency-a").put(share, status="completed", output=[output()], statusReason=wordless)
    assert answer.status == 422 and expressions(answer) == ["Task.statusReason.text"]


async def test_behaviour_10_what_comes_along_with_a_task_comes_back_as_it_was(world: World) -> None:
    """Inputs of every kind, extensions on them, beside primitives and within one another, and 1.50, which is not 1.5."""
    more = {
        "url": "urn:his-a:more",
        "extension": [{"url": "depth", "valueDecimal": 2.50}, {"url": "who", "valueReference": {"display": "病区"}}],
    }
    given: list[Resource] = [
        {
            "type": {"text": "附件"},
            "valueReference": {"reference": "DocumentReference/1", "display": "评估表"},
            "extension": [more],
        },
        {"type": {"text": "体重"}, "valueQuantity": {"value": "1.50", "unit": "kg"}},
        {
            "type": {"text": "说明"},
            "valueString": "带齐证件",
            "_valueString": {"extension": [{"url": "urn:his-a:read", "valueBoolean": True}]},
        },
    ]
    beside = {"extension": [{"url": "urn:his-a:why", "valueCode": "ward"}]}
    bundle = with_task(input=given, extension=[more], _priority=beside, description="转介", _description=beside)
    body = json.dumps(bundle, ensure_ascii=False).replace('"1.50"', "1.50").replace("2.5}", "2.50}").encode()
    hospital = world.party("his-a")
    answer = await hospital.post("", body)
    assert answer.status == 200, answer
    place = answer["entry"][3]["response"]["location"].split("/_history")[0]
    headers = {"authorization": f"Bearer {world.said['clients']['his-a']['access_token']}", "accept": FHIR_JSON}
    shown = (await world.http.get(f"{BASE}/fhir/{place}", headers=headers)).content
    assert b"1.50" in shown and b"2.50" in shown
    sent, kept = read_json(body)["entry"][3]["resource"], read_json(shown)
    for element in ("input", "extension", "description", "_description"):
        assert kept[element] == sent[element], element


async def test_what_must_not_be_overlooked_is_refused_and_what_is_only_unknown_is_kept(world: World) -> None:
    hospital = world.party("his-a")
    person = submission("N05")["entry"][0]["resource"]
    for overlooked in (
        {"modifierExtension": [{"url": "urn:his-a:not", "valueBoolean": True}]},
        {"implicitRules": "urn:his-a:rules"},
    ):
        async with nothing_changes(world):
            answer = await hospital.post("Patient", person | overlooked)
        assert answer.status == 422 and expressions(answer) == [f"Patient.{next(iter(overlooked))}"]
    made = await hospital.post("Patient", person | {"somethingOfR6": {"a": [1]}})
    assert made.status == 201 and made["somethingOfR6"] == {"a": [1]}


async def test_what_a_patch_makes_is_held_to_the_same_rules(world: World) -> None:
    hospital = world.party("his-a")
    made = await hospital.post("Patient", submission("N05")["entry"][0]["resource"])
    patch = [{"op": "replace", "path": "/gender", "value": "F"}]
    async with nothing_changes(world):
        answer = await hospital.ask("PATCH", f"Patient/{made['id']}", patch, kind="application/json-patch+json")
    assert answer.status == 422 and expressions(answer) == ["Patient.gender"]


async def test_each_of_a_batch_answers_for_its_own_resource(world: World) -> None:
    good = submission("N05")["entry"][0]["resource"]
    entries = [{"resource": r, "request": {"method": "POST", "url": "Patient"}} for r in (good | {"gender": "F"}, good)]
    answer = await world.party("his-a").post("", {"resourceType": "Bundle", "type": "batch", "entry": entries})
    assert [entry["response"]["status"][:3] for entry in answer["entry"]] == ["422", "201"]
    assert answer["entry"][0]["response"]["outcome"]["issue"][0]["expression"] == ["Patient.gender"]


async def test_a_question_is_held_to_the_same_rules_as_what_it_asks_about(world: World) -> None:
    for body in (
        submission("N05")["entry"][2]["resource"] | {"priority": "now"},
        put_in(submission("N05"), ServiceRequest={"priority": "now"}),
    ):
        answer = await world.party("his-a").post("ServiceRequest/$route", body)
        assert answer.status == 422 and expressions(answer)[0].endswith("priority")


async def test_what_the_service_says_is_valid_itself(emitted: list[Resource]) -> None:  # noqa: F811
    for resource in emitted:
        issues = [
            i for i in validation.issues(resource["resourceType"], resource, remarks=True) if i.code != "not-supported"
        ]
        assert issues == [], (resource, issues)


async def test_the_tasks_of_a_referral_keep_the_profile_of_sdohcc(emitted: list[Resource]) -> None:  # noqa: F811
    tasks = [
        each for each in emitted if each["resourceType"] == "Task" and each["code"]["coding"][0]["code"] == "fulfill"
    ]
    assert {task["status"] for task in tasks} >= {"requested", "accepted", "in-progress", "completed"}
    for task in tasks:
        assert profiles.against(f"{profiles.BASE}TaskForReferralManagement", True, task, True) == [], task


async def test_asked_as_a_create_it_says_what_the_service_itself_would_refuse_and_stores_nothing(world: World) -> None:
    hospital, agency = world.party("his-a"), world.party("agency-a")
    referred = await world.refer("N05")
    nameless = {"resourceType": "Patient", "name": [{"text": "林示例"}]}
    stranger = {"resourceType": "ServiceRequest", "status": "active", "intent": "order", "identifier": [{"system": "urn:x", "value": "1"}],
                "category": [{"coding": [{"system": "urn:yuanshe:need", "code": "N05"}]}],
                "subject": {"reference": "Patient/00000000-0000-4000-8000-000000000000"}}  # fmt: skip
    fine = stranger | {"subject": {"reference": referred.patient}}
    async with nothing_changes(world):
        for type, body in (("Patient", nameless), ("ServiceRequest", stranger)):
            said = await hospital.post(f"{type}/$validate?mode=create", body)
            refused = await hospital.post(type, body)
            assert said.status == 200 and refused.status >= 400
            assert [i for i in said["issue"] if i["severity"] == "error"] == [
                i for i in refused["issue"] if i["severity"] == "error"
            ]
        assert "error" not in {
            i["severity"] for i in (await hospital.post("ServiceRequest/$validate?mode=create", fine))["issue"]
        }
        # Without the mode it is the content alone that is looked at; and who may not create one learns nothing more.
        assert "error" not in {i["severity"] for i in (await hospital.post("Patient/$validate", nameless))["issue"]}
        assert "error" not in {
            i["severity"] for i in (await agency.post("ServiceRequest/$validate?mode=create", stranger))["issue"]
        }
    done = await hospital.post("ServiceRequest", fine)
    assert done.status == 201, done
