"""The case: phases with gates, documents, completeness, goals that hang together, approvals, supervision (domain b-2)."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from service.safety.instruments import INSTRUMENTS
from tests.http.filing import PERTAINS, advance, asked, file, filled, form, goal, plan, serving, supervisor, typed
from tests.http.loop import DISPOSITION, discharge, done, nothing_changes, procedure, refused, started, sweep
from tests.http.world import World, closed, output

INTAKE = ("intake-form", "service-consent", "risk-screen")
ASSESSED = ("needs-assessment", "problem-list")


async def test_leaving_a_phase_without_its_documents_names_what_is_missing(world: World) -> None:
    agency = world.party("agency-a")
    share = await started(world, await world.refer("N05"))
    assert (await file(agency, share)).phase == "assessment"
    async with nothing_changes(world):
        answer = refused(await advance(agency, share, "plan"), 409)
    texts = [issue["details"]["text"] for issue in answer["issue"]]
    assert len(texts) == 5
    for document, zh, en in (
        ("intake-form", "接案登记表", "intake form"), ("service-consent", "知情同意（服务）书", "consent to the service"),
        ("risk-screen", "风险筛查", "risk screen"), ("needs-assessment", "需求评估表", "needs assessment"),
        ("problem-list", "问题清单", "problem list"),
    ):  # fmt: skip
        (text,) = [text for text in texts if document in text]
        assert zh in text and en in text and "QuestionnaireResponse" in text
    await filled(world, share, *INTAKE, "needs-assessment")
    answer = refused(await advance(agency, share, "plan"), 409, "problem-list")
    assert len(answer["issue"]) == 1
    await filled(world, share, "problem-list")
    moved = done(await advance(agency, share, "plan"))
    assert (await file(agency, share)).phase == "plan" and moved["resourceType"] == "Parameters"


async def test_a_started_share_shows_what_its_intake_still_lacks(world: World) -> None:
    agency = world.party("agency-a")
    share = await started(world, await world.refer("N05"))
    seen = await file(agency, share)
    assert (seen.completeness, seen.one("required"), seen.one("present")) == (0, 3, 0)
    assert seen.codes("missing") == list(INTAKE)
    assert seen.codes("needed") == [*INTAKE, *ASSESSED]
    assert [step["phase"] for step in seen.all("step")] == ["intake", "assessment"]
    await filled(world, share, "intake-form")
    assert (await file(agency, share)).completeness == 33


async def test_deleting_one_required_document_lowers_the_score_and_names_it(world: World) -> None:
    agency = world.party("agency-a")
    share = await started(world, await world.refer("N05"))
    made = await filled(world, share, *INTAKE, *ASSESSED)
    done(await advance(agency, share, "plan"))
    assert (await file(agency, share)).completeness == 100
    done(await agency.put(made["needs-assessment"], status="entered-in-error"))
    seen = await file(agency, share)
    assert seen.completeness == 80 and seen.codes("missing") == ["needs-assessment"]
    assert "需求评估表" in seen.all("missing")[0]["how"] and "needs assessment" in seen.all("missing")[0]["how"]
    done(
        await agency.put(await agency.read(f"QuestionnaireResponse/{made['needs-assessment']['id']}"), status="amended")
    )
    assert (await file(agency, share)).completeness == 100


async def test_a_draft_or_a_refusal_is_kept_and_is_no_document(world: World) -> None:
    agency = world.party("agency-a")
    share = await started(world, await world.refer("N05"))
    draft = form(
        "intake-form", share, status="in-progress", item=[{"linkId": "background", "answer": [{"valueString": "草稿"}]}]
    )
    done(await agency.post("QuestionnaireResponse", draft))
    no = form("service-consent", share, answers={"agrees": {"valueBoolean": False}})
    done(await agency.post("QuestionnaireResponse", no))
    assert (await file(agency, share)).codes("document") == []


async def test_a_form_that_is_not_filled_in_is_refused_item_by_item(world: World) -> None:
    agency = world.party("agency-a")
    share = await started(world, await world.refer("N05"))
    empty = form("needs-assessment", share, item=[{"linkId": "self", "answer": [{"valueString": "可以走动"}]}])
    async with nothing_changes(world):
        answer = refused(await agency.post("QuestionnaireResponse", empty), 422)
        assert len(answer["issue"]) == 4 and "家庭系统" in str(answer["issue"])
        strange = form(
            "intake-form", share, answers={"source": {"valueCoding": {"system": "urn:yuanshe:source", "code": "magic"}}}
        )
        refused(await agency.post("QuestionnaireResponse", strange), 422, "source")


async def test_a_file_typed_with_the_documents_code_counts_as_the_document(world: World) -> None:
    agency = world.party("agency-a")
    share = await started(world, await world.refer("N05"))
    for document in INTAKE:
        done(await agency.post("DocumentReference", typed(document, share)))
    assert (await file(agency, share)).completeness == 100
    async with nothing_changes(world):
        refused(await agency.post("DocumentReference", typed("diary", share)), 422)
        for made_otherwise in ("service-plan", "process-note", "receipt"):
            refused(await agency.post("DocumentReference", typed(made_otherwise, share)), 422)


async def test_a_screening_instrument_is_a_risk_screen_and_a_condition_with_a_need_a_problem(world: World) -> None:
    agency = world.party("agency-a")
    share = await started(world, await world.refer("N05"))
    phq = {"resourceType": "QuestionnaireResponse", "status": "completed", "questionnaire": "urn:yuanshe:questionnaire:phq-9|1.0",
           "subject": share["for"], "basedOn": [share["focus"]],
           "item": [{"linkId": "44260-8", "answer": [{"valueCoding": {"system": "http://loinc.org", "code": "LA6568-5"}}]}]}  # fmt: skip
    done(await agency.post("QuestionnaireResponse", phq))
    problem = {
        "resourceType": "Condition",
        "subject": share["for"],
        "code": {"coding": [{"system": "urn:yuanshe:need", "code": "N05"}]},
    }
    done(await agency.post("Condition", problem))
    assert set((await file(agency, share)).codes("document")) == {"risk-screen", "problem-list"}


async def test_what_the_hospital_screened_for_need_not_be_asked_again(world: World) -> None:
    """The risk screen of a referral that came with a whole PHQ-9 is there from the first."""
    answers = [
        {"linkId": item.code, "answer": [{"valueCoding": {"system": "http://loinc.org", "code": "LA6568-5"}}]}
        for item in INSTRUMENTS["phq-9"].items
        if item.scored
    ]
    whole = {"resourceType": "QuestionnaireResponse", "status": "completed", "questionnaire": "urn:yuanshe:questionnaire:phq-9",
             "subject": {"reference": "PATIENT"}, "item": answers}  # fmt: skip
    agency = world.party("agency-a")
    share = await started(world, await world.refer("N05", extra=[whole]))
    assert (await file(agency, share)).codes("document") == ["risk-screen"]
    share = done(await agency.put(share, status="completed", output=[output()], statusReason=closed()))
    assert "risk-screen" in (await file(agency, share)).codes("document"), "the same after the end"
    lace = {
        "resourceType": "QuestionnaireResponse",
        "status": "completed",
        "questionnaire": "urn:yuanshe:questionnaire:lace",
    }
    other = await started(world, await world.refer("N05"))
    done(await agency.post("QuestionnaireResponse", lace | {"subject": other["for"], "basedOn": [other["focus"]]}))
    assert (await file(agency, other)).codes("document") == [], "what asks nobody about danger screens for none"


async def test_the_forms_of_the_documents_are_questionnaires(world: World) -> None:
    (found,) = await world.party("agency-a").search("Questionnaire?code=urn:yuanshe:case-document|needs-assessment")
    assert found["title"] == "需求评估表" and "Needs assessment" in str(found["_title"])
    assert {"self", "family", "community", "strengths"} <= {
        item["linkId"] for item in found["item"] if item.get("required")
    }


async def test_a_plan_needs_goals_of_a_type_and_a_supervisors_signature(world: World) -> None:
    agency = world.party("agency-a")
    share = await started(world, await world.refer("N05"))
    await filled(world, share, *INTAKE, *ASSESSED)
    done(await advance(agency, share, "plan"))
    untyped = done(await agency.post("Goal", goal(share, category=None)))
    async with nothing_changes(world):
        refused(await agency.post("CarePlan", plan(share, untyped["id"])), 422, "urn:yuanshe:goal-type")
        refused(await agency.post("CarePlan", plan(share, "00000000-0000-4000-8000-000000000000")), 422)
        refused(
            await agency.post(
                "Goal", goal(share, category=[{"coding": [{"system": "urn:yuanshe:goal-type", "code": "win"}]}])
            ),
            422,
        )
        unit = [{"url": "urn:yuanshe:client-unit", "valueCode": "nation"}]
        refused(await agency.post("Goal", goal(share, extension=unit)), 422)
    made = await filled(world, share, "service-plan", "client-agreement")
    async with nothing_changes(world):
        answer = refused(await advance(agency, share, "intervention"), 409, "$approve")
        assert len(answer["issue"]) == 1
        refused(await agency.put(made["goal"], category=[]), 422)
    who = await supervisor(world)
    done(await agency.post(f"Task/{share['id']}/$approve", asked(document="service-plan", supervisor=who)))
    assert (await file(agency, share)).one("approval") | {"at": ""} == {
        "document": "service-plan", "supervisor": {"reference": who}, "version": 1, "at": "", "current": True,
    }  # fmt: skip
    changed = done(await agency.put(made["service-plan"], title="服务计划（修订）"))
    assert (await file(agency, share)).one("approval")["current"] is False
    refused(await advance(agency, share, "intervention"), 409, "$approve")
    assert changed["meta"]["versionId"] == "2"
    done(await advance(agency, share, "intervention", supervisor=who))
    seen = await file(agency, share)
    assert seen.phase == "intervention" and seen.all("step")[-1]["approvedBy"] == {"reference": who}


async def test_only_a_licensed_supervisor_of_the_agency_who_is_not_the_caseworker_signs(world: World) -> None:
    agency = world.party("agency-a")
    who = await supervisor(world)
    share = await started(world, await world.refer("N05"))
    await filled(world, share, "service-plan")
    sign = f"Task/{share['id']}/$approve"
    async with nothing_changes(world):
        refused(await agency.post(sign, asked(document="service-plan")), 422)
        refused(await agency.post(sign, asked(document="service-plan", supervisor=share["owner"]["reference"])), 403)
        refused(
            await agency.post(sign, asked(document="service-plan", supervisor=await supervisor(world, "agency-b"))), 403
        )
        refused(await agency.post(sign, asked(document="diary", supervisor=who)), 422)
        refused(await agency.post(sign, asked(document="closure-summary", supervisor=who)), 409, "closure-summary")
    own = done(await agency.put(await agency.read(f"Task/{share['id']}"), owner={"reference": who}))
    async with nothing_changes(world):
        refused(await agency.post(sign, asked(document="service-plan", supervisor=who)), 403)
    assert own["owner"]["reference"] == who


async def test_a_case_goes_back_with_a_reason_and_not_just_anywhere(world: World) -> None:
    agency = world.party("agency-a")
    share = await started(world, await world.refer("N05"))
    await filled(world, share, *INTAKE, *ASSESSED, "service-plan", "client-agreement")
    done(await advance(agency, share, "intervention", supervisor=await supervisor(world)))
    async with nothing_changes(world):
        refused(await advance(agency, share, "assessment"), 422)
        refused(await advance(agency, share, "intake", reason="重新开始"), 422)
        refused(await advance(agency, share, "somewhere"), 422)
        assert (await advance(agency, share, "intervention")).status == 200
    done(await advance(agency, share, "assessment", reason="家庭情况有变"))
    seen = await file(agency, share)
    assert [step["phase"] for step in seen.all("step")] == ["intake", "assessment", "intervention", "assessment"]
    assert seen.all("step")[-1]["reason"] == "家庭情况有变"


async def test_the_case_is_its_agencys_alone(world: World) -> None:
    share = await started(world, await world.refer("N05"))
    for path, body in (("$advance", asked(to="plan")), ("$approve", asked(document="service-plan"))):
        for other, status in (("agency-b", 404), ("his-b", 404), ("his-a", 403), ("platform", 403), ("auditor", 403)):
            assert (await world.party(other).post(f"Task/{share['id']}/{path}", body)).status in (status, 404), other
    for other in ("agency-b", "his-a", "his-b", "platform", "auditor"):
        assert (await world.party(other).get(f"Task/{share['id']}/$case")).status in (403, 404), other
    offer = await world.offer(await world.refer("N05"))
    refused(await world.party("agency-a").get(f"Task/{offer['id']}/$case"), 404)


async def test_completing_the_task_asks_for_no_document_and_shows_what_is_missing(world: World) -> None:
    """contract.md: a share completes with an output and a reason; the gates are the case's own."""
    agency = world.party("agency-a")
    share = await started(world, await world.refer("N05"))
    done(await agency.put(share, status="completed", output=[output()], statusReason=closed()))
    seen = await file(agency, share)
    assert seen.phase == "closure" and seen.completeness < 100
    assert {"intake-form", "needs-assessment", "service-plan", "evaluation", "closure-summary"} <= set(
        seen.codes("missing")
    )
    assert "receipt" in seen.codes("document") and "receipt" not in seen.codes("missing")
    last = [each["part"] for each in seen.body["parameter"] if each["name"] == "step"][-1]
    assert "intake-form" in [each["valueCode"] for each in last if each["name"] == "missing"]
    async with nothing_changes(world):
        refused(await advance(agency, share, "archive"), 409, "closure-summary")
        refused(await advance(agency, share, "archive", waive=True, reason="历史个案"), 422)
        refused(await advance(agency, share, "archive", waive=True, supervisor=await supervisor(world)), 422)
    done(await advance(agency, share, "archive", waive=True, reason="历史个案", supervisor=await supervisor(world)))
    seen = await file(agency, share)
    assert seen.phase == "archive" and seen.completeness < 100 and seen.all("step")[-1]["waived"] is True


async def test_a_missing_document_is_supplied_after_the_end_and_nothing_else_is(world: World) -> None:
    agency = world.party("agency-a")
    share = await started(world, await world.refer("N05"))
    share = done(await agency.put(share, status="completed", output=[output()], statusReason=closed()))
    before = (await file(agency, share)).completeness
    done(await agency.post("QuestionnaireResponse", form("closure-summary", share)))
    assert (await file(agency, share)).completeness > before
    async with nothing_changes(world):
        refused(await agency.post("Procedure", procedure(share)), 422)
        refused(await agency.post("Goal", goal(share)), 422)
        plain = form("closure-summary", share) | {"questionnaire": "urn:somebody:else"}
        refused(await agency.post("QuestionnaireResponse", plain), 422)
    done(await advance(agency, share, "archive", waive=True, reason="其余不补", supervisor=await supervisor(world)))
    async with nothing_changes(world):
        refused(await agency.post("QuestionnaireResponse", form("intake-form", share)), 422)


async def test_what_became_of_a_goal_is_said_until_the_case_is_archived(world: World) -> None:
    agency = world.party("agency-a")
    share = await started(world, await world.refer("N05"))
    aim = done(await agency.post("Goal", goal(share)))
    share = done(await agency.put(share, status="completed", output=[output()], statusReason=closed()))
    assert ("goal-without-outcome", f"Goal/{aim['id']}") in (await file(agency, share)).orphans
    achieved = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/goal-achievement", "code": "achieved"}]}
    done(await agency.put(aim, achievementStatus=achieved))
    assert (await file(agency, share)).orphans == []


async def test_a_supervision_note_is_a_supervisors_and_nobody_edits_it(world: World) -> None:
    agency = world.party("agency-a")
    share = await started(world, await world.refer("N05"))
    who = await supervisor(world)
    async with nothing_changes(world):
        refused(await agency.post("QuestionnaireResponse", form("supervision-note", share)), 422)
        refused(await agency.post("QuestionnaireResponse", form("supervision-note", share, author=share["owner"])), 403)
    note = done(await agency.post("QuestionnaireResponse", form("supervision-note", share, author={"reference": who})))
    async with nothing_changes(world):
        for change in ({"status": "amended"}, {"status": "entered-in-error"}, {"author": share["owner"]}):
            refused(await agency.put(note, **change), 403)
    for other in ("his-a", "agency-b", "platform"):
        party = world.party(other)
        for path in ("", "/_history", "/_history/1"):
            assert (await party.get(f"QuestionnaireResponse/{note['id']}{path}")).status == 404, (other, path)
        assert await party.search("QuestionnaireResponse") == []
        assert (await party.get("QuestionnaireResponse?_summary=count"))["total"] == 0
    assert len(await agency.search("QuestionnaireResponse")) == 1
    assert "supervision-note" in (await file(agency, share)).codes("document")


async def test_a_note_saved_25_hours_after_the_contact_counts_late(world: World) -> None:
    agency = world.party("agency-a")
    share = await started(world, await world.refer("N05"))
    for hours in (1, 23.9, 25):
        at = (datetime.now(UTC) - timedelta(hours=hours)).isoformat()
        done(await agency.post("Procedure", procedure(share, performedDateTime=at)))
    seen = await file(agency, share)
    assert (seen.one("notes"), seen.one("lateNotes")) == (3, 1)


async def test_an_appointment_is_no_note_until_it_was_written_down_as_done(world: World) -> None:
    agency = world.party("agency-a")
    share = await started(world, await world.refer("N05"))
    at = (datetime.now(UTC) - timedelta(hours=30)).isoformat()
    visit = done(await agency.post("Procedure", procedure(share, status="preparation", performedDateTime=at)))
    assert (await file(agency, share)).one("notes") == 0
    done(await agency.put(visit, status="completed"))
    assert (await file(agency, share)).one("lateNotes") == 1


async def test_need_goal_and_intervention_hang_together_or_are_listed(world: World) -> None:
    agency = world.party("agency-a")
    share = await started(world, await world.refer("N05", "N03"))
    loose = done(await agency.post("Procedure", procedure(share)))
    vague = done(await agency.post("Goal", goal(share, target=None, addresses=None)))
    assert set((await file(agency, share)).orphans) == {
        ("intervention-without-goal", f"Procedure/{loose['id']}"), ("goal-without-measure", f"Goal/{vague['id']}"),
    }  # fmt: skip
    problem = {
        "resourceType": "Condition",
        "subject": share["for"],
        "code": {"coding": [{"system": "urn:yuanshe:need", "code": "N03"}]},
    }
    problem = done(await agency.post("Condition", problem))
    aims = [{"reference": f"Condition/{problem['id']}"}]
    done(await agency.put(vague, target=[{"measure": {"text": "PHQ-9"}}], addresses=aims))
    done(await agency.put(loose, extension=serving(share, vague["id"])["extension"]))
    assert (await file(agency, share)).orphans == []
    await filled(world, share, *INTAKE, *ASSESSED, "client-agreement")
    done(await agency.post("CarePlan", plan(share, vague["id"])))
    done(await advance(agency, share, "intervention", supervisor=await supervisor(world)))
    assert (await file(agency, share)).orphans == [("need-without-goal", "N05")]
    done(
        await agency.post(
            "Goal", goal(share, extension=[{"url": "urn:yuanshe:need", "valueCode": "N05"}], addresses=None)
        )
    )
    assert (await file(agency, share)).orphans == []
    async with nothing_changes(world):
        refused(await agency.post("Procedure", serving(share, "00000000-0000-4000-8000-000000000000")), 422)


async def test_the_plans_review_date_is_what_the_worker_owes_next(world: World) -> None:
    agency = world.party("agency-a")
    referred = await world.refer("N05")
    share = await started(world, referred)
    made = await filled(world, share, *INTAKE, *ASSESSED)
    done(await advance(agency, share, "plan"))
    _, step = await world.timeline(referred)
    assert step is not None and step["what"] == "plan"
    made = await filled(world, share, "service-plan", "client-agreement")
    done(await advance(agency, share, "intervention", supervisor=await supervisor(world)))
    _, step = await world.timeline(referred)
    review = datetime.fromisoformat(made["service-plan"]["period"]["end"])
    assert step is not None and step["what"] == "review" and datetime.fromisoformat(step["by"]) == review
    sooner = datetime.now(UTC).replace(microsecond=0) + timedelta(days=3)
    period = made["service-plan"]["period"] | {"end": sooner.isoformat()}
    done(await agency.put(made["service-plan"], period=period))
    _, step = await world.timeline(referred)
    assert step is not None and datetime.fromisoformat(step["by"]) == sooner
    # Its reminder follows: 80 % of the way to it.
    assert await sweep(world, "remind", sooner - timedelta(hours=1)) == 1
    assert "remind" in (await world.timeline(referred))[0]


async def test_supervision_is_owed_every_thirty_days_and_the_note_puts_it_off(world: World) -> None:
    agency = world.party("agency-a")
    referred = await world.refer("N05")
    share = await started(world, referred)
    await filled(world, share, *INTAKE, *ASSESSED, "client-agreement")
    aim = done(await agency.post("Goal", goal(share)))
    far = datetime.now(UTC) + timedelta(days=90)
    done(await agency.post("CarePlan", plan(share, aim["id"], review=far)))
    done(await advance(agency, share, "intervention", supervisor=await supervisor(world)))
    _, step = await world.timeline(referred)
    assert step is not None and step["what"] == "supervision"
    first = datetime.fromisoformat(step["by"])
    assert timedelta(days=29) < first - datetime.now(UTC) <= timedelta(days=30)
    await filled(world, share, "supervision-note")
    _, step = await world.timeline(referred)
    assert step is not None and datetime.fromisoformat(step["by"]) > first


async def test_a_group_session_of_twelve_is_one_session_and_twelve_attendances(world: World) -> None:
    agency = world.party("agency-a")
    share = await started(world, await world.refer("N05"))
    group = {"category": {"coding": [{"system": "urn:yuanshe:method", "code": "group"}]}}
    twelve = [{"url": "urn:yuanshe:attendance", "valueInteger": 12}]
    done(await agency.post("Procedure", procedure(share, extension=twelve, **group)))
    assert (await file(agency, share)).one("outcome") == {"sessions": 1, "attendances": 12}
    visit = [{"url": "urn:yuanshe:contact-type", "valueCode": "home-visit"}]
    done(await agency.post("Procedure", procedure(share, extension=visit)))
    assert (await file(agency, share)).one("outcome") == {"sessions": 2, "attendances": 13}
    async with nothing_changes(world):
        for bad in (
            {"url": "urn:yuanshe:contact-type", "valueCode": "telepathy"},
            {"url": "urn:yuanshe:attendance", "valueInteger": -1},
        ):
            refused(await agency.post("Procedure", procedure(share, extension=[bad])), 422)


async def test_an_approved_benefit_reaches_the_outcome_of_the_case(world: World) -> None:
    agency = world.party("agency-a")
    share = await started(world, await world.refer("N01"))

    def benefit(state: str, amount: int) -> list[dict[str, Any]]:
        return [
            {"url": "urn:yuanshe:benefit", "valueCode": state},
            {"url": "urn:yuanshe:amount", "valueInteger": amount},
        ]

    made = done(
        await agency.post("Procedure", procedure(share, status="in-progress", extension=benefit("applied", 500_000)))
    )
    assert (await file(agency, share)).one("outcome")["approvedAmount"] == 0
    done(await agency.put(made, status="completed", extension=benefit("approved", 320_000)))
    assert (await file(agency, share)).one("outcome") == {
        "sessions": 1,
        "attendances": 1,
        "benefits": 1,
        "approvedAmount": 320_000,
    }
    async with nothing_changes(world):
        alone = [{"url": "urn:yuanshe:amount", "valueInteger": 1}]
        refused(await agency.post("Procedure", procedure(share, extension=alone)), 422)


async def test_a_goal_closes_only_when_what_is_coordinated_with_others_is_settled(world: World) -> None:
    agency = world.party("agency-a")
    share = await started(world, await world.refer("N05"))
    aim = done(await agency.post("Goal", goal(share)))
    police = [{"url": "urn:yuanshe:coordination", "valueCode": "police"}]
    task = done(await agency.post("Procedure", serving(share, aim["id"], status="in-progress", extension=police)))
    async with nothing_changes(world):
        refused(await agency.put(aim, lifecycleStatus="completed"), 409)
    done(await agency.put(task, status="completed"))
    done(await agency.put(aim, lifecycleStatus="completed"))


async def test_the_intake_form_says_how_the_person_came_to_it_and_where_they_belong(world: World) -> None:
    agency = world.party("agency-a")
    share = await started(world, await world.refer("N05"))
    said = {"source": "proactive", "domain": "elder-care", "population": "living-alone"}
    answers = {item: {"valueCoding": {"system": f"urn:yuanshe:{item}", "code": code}} for item, code in said.items()}
    done(await agency.post("QuestionnaireResponse", form("intake-form", share, answers=answers)))
    seen = await file(agency, share)
    assert {item: seen.one(item)["code"] for item in said} == said
    assert seen.one("source")["display"] == "主动发现"


async def test_a_plan_comes_with_its_goals_in_one_transaction_in_any_order(world: World) -> None:
    agency = world.party("agency-a")
    share = await started(world, await world.refer("N05"))
    names = {
        "goal": "urn:uuid:0b3d0f4e-6c4f-4d6e-9d0a-0d5b0e1c0001",
        "note": "urn:uuid:0b3d0f4e-6c4f-4d6e-9d0a-0d5b0e1c0002",
    }
    drawn = plan(share) | {"goal": [{"reference": names["goal"]}]}
    served = procedure(share, extension=[{"url": PERTAINS, "valueReference": {"reference": names["goal"]}}])
    entries = [
        {"fullUrl": url, "resource": body, "request": {"method": "POST", "url": body["resourceType"]}}
        for url, body in ((None, drawn), (names["note"], served), (names["goal"], goal(share)))
    ]
    entries[0].pop("fullUrl")
    done(await agency.post("", {"resourceType": "Bundle", "type": "transaction", "entry": entries}))
    seen = await file(agency, share)
    assert set(seen.codes("document")) == {"service-plan", "process-note"} and seen.orphans == []


async def test_a_goal_within_a_plan_says_its_type_too(world: World) -> None:
    agency = world.party("agency-a")
    share = await started(world, await world.refer("N05"))
    within = goal(share, id="g1", category=None)
    async with nothing_changes(world):
        body = plan(share) | {"contained": [within], "goal": [{"reference": "#g1"}]}
        refused(await agency.post("CarePlan", body), 422, "urn:yuanshe:goal-type")


async def test_what_is_kept_of_a_file_is_what_the_file_says(world: World) -> None:
    """Lists and figures read rows that are reckoned with every change."""
    agency = world.party("agency-a")
    share = await started(world, await world.refer("N05"))
    made = await filled(world, share, *INTAKE, *ASSESSED)

    async def rows() -> tuple[int, int, list[str]]:
        async with world.as_owner() as connection:
            row = await connection.fetchrow(
                "SELECT required, present, lacks FROM case_file WHERE task_id = $1", UUID(share["id"])
            )
        return row["required"], row["present"], row["lacks"]

    assert await rows() == (3, 3, [])
    done(await advance(agency, share, "plan"))
    done(await agency.put(made["risk-screen"], status="entered-in-error"))
    assert await rows() == (5, 4, ["risk-screen"])
    done(
        await agency.put(
            await agency.read(f"Task/{share['id']}"), status="completed", output=[output()], statusReason=closed()
        )
    )
    seen = await file(agency, share)
    assert await rows() == (seen.one("required"), seen.one("present"), seen.codes("missing"))


async def test_a_follow_up_that_was_the_agencys_leaves_its_record_in_the_file(world: World) -> None:
    agency = world.party("agency-a")
    referred = await world.refer("N05")
    share = await started(world, referred)
    done(await discharge(world, referred))
    share = await agency.read(f"Task/{share['id']}")
    done(await agency.put(share, status="completed", output=[output()], statusReason=closed()))
    answer = refused(await advance(agency, share, "archive"), 409, "follow-up-record")
    assert DISPOSITION not in str(answer)


@pytest.mark.parametrize("ending", ["failed", "cancelled"])
async def test_a_case_that_ended_early_is_measured_to_where_it_had_come(world: World, ending: str) -> None:
    from tests.http.world import reason

    agency = world.party("agency-a")
    if ending == "failed":
        share = await started(world, await world.refer("N05"))
        done(await agency.put(share, status="failed", statusReason=closed("moved")))
    else:
        share = await world.accepted(await world.refer("N05"))
        done(await agency.put(share, status="cancelled", statusReason=reason("no-capacity")))
    seen = await file(agency, share)
    assert seen.phase == "closure"
    assert seen.codes("missing") == (list(INTAKE) if ending == "failed" else [])
