"""Screening over FHIR: answers are stored, scores are reckoned here, danger raises a crisis, and the rest a person decides."""

from typing import Any

import pytest

from tests.http.loop import crisis, discharge, done, follow_ups, later, nothing_changes, refused, started
from tests.http.world import Answered, Party, Referred, World, output, submission

LOINC = "http://loinc.org"
FREQUENCY = ("LA6568-5", "LA6569-3", "LA6570-1", "LA6571-9")
ITEMS = ("44250-9", "44255-8", "44259-0", "44254-1", "44251-7", "44258-2", "44252-5", "44253-3", "44260-8")


def phq9(*points: int, total: int | None = None, **changes: Any) -> dict[str, Any]:
    """A response to the PHQ-9; `total`: the sum that its sender reckoned."""
    items: list[dict[str, Any]] = [
        {"linkId": code, "answer": [{"valueCoding": {"system": LOINC, "code": FREQUENCY[worth]}}]}
        for code, worth in zip(ITEMS, points, strict=False)
    ]
    if total is not None:
        items.append({"linkId": "44261-6", "answer": [{"valueInteger": total}]})
    return {
        "resourceType": "QuestionnaireResponse", "status": "completed", "questionnaire": "urn:yuanshe:questionnaire:phq-9|1.0",
        "subject": {"reference": "PATIENT"}, "item": items,
    } | changes  # fmt: skip


def lace(days: int, acute: str = "LA33-6", charlson: int = 2, visits: int = 1) -> dict[str, Any]:
    said = {"lace-l": {"valueInteger": days}, "lace-a": {"valueCoding": {"system": LOINC, "code": acute}},
            "lace-c": {"valueInteger": charlson}, "lace-e": {"valueInteger": visits}}  # fmt: skip
    return {
        "resourceType": "QuestionnaireResponse", "status": "completed", "questionnaire": "urn:yuanshe:questionnaire:lace",
        "subject": {"reference": "PATIENT"}, "item": [{"linkId": link, "answer": [value]} for link, value in said.items()],
    }  # fmt: skip


LOW, MILD, GRAVE = (0,) * 9, (2, 2, 2, 2, 2, 0, 0, 0, 0), (3, 3, 3, 3, 3, 0, 0, 0, 0)
DANGER = (0, 0, 0, 0, 0, 0, 0, 0, 1)


def about(resource: dict[str, Any], patient: str, **changes: Any) -> dict[str, Any]:
    return resource | {"subject": {"reference": patient}} | changes


def keys(outcome: dict[str, Any] | None) -> list[str]:
    """The stable words of an outcome's issues."""
    issues = (outcome or {}).get("issue", ())
    return [
        c["code"] for issue in issues for c in issue["details"].get("coding", ()) if c["system"] == "urn:yuanshe:issue"
    ]


def told(referred: Referred, type: str) -> list[str]:
    """What the entries of a type were answered beside their places."""
    found: list[str] = []
    for entry in referred.answer["entry"]:
        if entry["response"]["location"].startswith(f"{type}/"):
            found += keys(entry["response"].get("outcome"))
    return found


async def ask(party: Party, body: dict[str, Any]) -> Answered:
    """Post it and be told what came of it."""
    return done(await party.post(body["resourceType"], body, prefer="return=OperationOutcome"))


def located(answer: Answered) -> str:
    return "/".join(answer.headers["location"].split("/fhir/")[1].split("/")[:2])


async def suggestions(party: Party, referred: Referred) -> list[dict[str, Any]]:
    """What is suggested, each as a plain dict."""
    found = await party.read(f"{referred.request}/$suggest")
    return [
        {part["name"]: next(value for key, value in part.items() if key != "name") for part in each["part"]}
        for each in found.get("parameter", ())
        if each["name"] == "suggestion"
    ]


def codes(found: list[dict[str, Any]]) -> set[tuple[str, str]]:
    return {(each["what"]["coding"][0]["code"] if "coding" in each["what"] else "", each["status"]) for each in found}


async def decide(party: Party, referred: Referred, one: dict[str, Any], **said: str) -> Answered:
    parameter = [
        {"name": "suggestion", "valueId": one["id"]},
        *({"name": name, "valueString": value} for name, value in said.items()),
    ]
    return await party.post(f"{referred.request}/$suggest", {"resourceType": "Parameters", "parameter": parameter})


# ---- scores -------------------------------------------------------------------------------------------------------------


async def test_a_score_is_reckoned_here_and_read_as_an_observation_derived_from_the_response(world: World) -> None:
    referred = await world.refer("N05", extra=[phq9(*MILD)])
    hospital = world.party("his-a")
    (response,) = await hospital.search(f"QuestionnaireResponse?patient={referred.patient}")
    (score,) = await hospital.search(f"Observation?derived-from=QuestionnaireResponse/{response['id']}")
    assert score["valueInteger"] == 10 and score["code"]["coding"] == [{"system": LOINC, "code": "44261-6"}]
    assert score["derivedFrom"] == [{"reference": f"QuestionnaireResponse/{response['id']}"}]
    assert score["interpretation"][0]["coding"][0]["code"] == "moderate"
    assert await hospital.search(f"Observation?code={LOINC}|44260-8&patient={referred.patient}") == []
    assert response["item"] == phq9(*MILD)["item"], "the answers are kept as they were received"
    assert told(referred, "QuestionnaireResponse") == ["score", "suggestion"]


async def test_a_total_that_differs_is_reported_and_decides_nothing(world: World) -> None:
    referred = await world.refer("N05", extra=[phq9(*LOW, total=27)])
    assert told(referred, "QuestionnaireResponse") == ["score", "score-differs"]
    hospital = world.party("his-a")
    (score,) = await hospital.search(f"Observation?code=44261-6&patient={referred.patient}")
    assert score["valueInteger"] == 0
    assert await suggestions(hospital, referred) == []


async def test_a_total_that_is_sent_as_an_observation_is_compared_with_the_answers_or_decides_nothing(
    world: World,
) -> None:
    referred, hospital = await world.refer("N05", extra=[phq9(*MILD)]), world.party("his-a")
    (response,) = await hospital.search(f"QuestionnaireResponse?patient={referred.patient}")
    total: dict[str, Any] = {
        "resourceType": "Observation", "status": "final", "code": {"coding": [{"system": LOINC, "code": "44261-6"}]},
        "subject": {"reference": referred.patient}, "derivedFrom": [{"reference": f"QuestionnaireResponse/{response['id']}"}],
    }  # fmt: skip
    assert keys(await ask(hospital, total | {"valueInteger": 10})) == []
    assert keys(await ask(hospital, total | {"valueQuantity": {"value": 26}})) == ["score-differs"]
    assert keys(await ask(hospital, total | {"valueInteger": 26, "derivedFrom": [{"display": "纸质量表"}]})) == [
        "score-unverified"
    ]
    assert await what_next(world, referred) == "accept-or-decline"
    assert codes(await suggestions(hospital, referred)) == {("N03", "open")}


async def test_an_incomplete_form_has_no_total_and_says_what_is_missing(world: World) -> None:
    referred = await world.refer("N05")
    answer = await ask(world.party("his-a"), about(phq9(*GRAVE[:7]), referred.patient))
    assert keys(answer) == ["incomplete"] and "44253-3, 44260-8" in str(answer)
    assert await world.party("his-a").search(f"Observation?patient={referred.patient}") == []


async def test_a_correction_is_scored_anew_and_an_error_takes_the_score_back(world: World) -> None:
    referred, hospital = await world.refer("N05", extra=[phq9(*GRAVE)]), world.party("his-a")
    (response,) = await hospital.search(f"QuestionnaireResponse?patient={referred.patient}")
    assert codes(await suggestions(hospital, referred)) == {("N03", "open"), ("asap", "open")}
    done(await hospital.put(response, item=phq9(*MILD)["item"]))
    (score,) = await hospital.search(f"Observation?patient={referred.patient}")
    assert (score["valueInteger"], score["status"]) == (10, "amended")
    assert codes(await suggestions(hospital, referred)) == {("N03", "open"), ("asap", "withdrawn")}
    done(await hospital.put(await hospital.read(f"QuestionnaireResponse/{response['id']}"), status="entered-in-error"))
    (score,) = await hospital.search(f"Observation?patient={referred.patient}")
    assert score["status"] == "entered-in-error"
    assert codes(await suggestions(hospital, referred)) == {("N03", "withdrawn"), ("asap", "withdrawn")}


async def test_nobody_writes_a_score_but_the_service(world: World) -> None:
    referred, hospital = await world.refer("N05", extra=[phq9(*LOW)]), world.party("his-a")
    (score,) = await hospital.search(f"Observation?patient={referred.patient}")
    async with nothing_changes(world):
        refused(await hospital.put(score, valueInteger=27), 403, "reckons")
        smuggled = submission("N05", mrn="ZY-2")
        smuggled["entry"].append(
            {
                "resource": score | {"valueInteger": 27},
                "request": {"method": "PUT", "url": f"Observation/{score['id']}"},
            }
        )
        refused(await hospital.post("", smuggled), 403, "reckons")


async def test_whoever_reads_the_response_reads_the_score_and_nobody_else(world: World) -> None:
    referred = await world.refer("N05", extra=[phq9(*MILD)])
    share = await world.accepted(referred, consent=False)
    agency, hospital = world.party("agency-a"), world.party("his-a")
    (score,) = await hospital.search(f"Observation?patient={referred.patient}")
    assert (await agency.get(f"Observation/{score['id']}")).status == 404
    await world.consent(referred, "agency-a")
    assert (await agency.read(f"Observation/{score['id']}"))["valueInteger"] == 10
    assert (await world.party("agency-b").get(f"Observation/{score['id']}")).status == 404
    assert (await world.party("his-b").get(f"Observation/{score['id']}")).status == 404
    # The other way round: what the agency asks in its case is its own.
    share = await agency.read(f"Task/{share['id']}")
    done(await agency.put(share, status="in-progress"))
    asked = await ask(agency, about(phq9(*GRAVE), referred.patient, basedOn=[share["focus"]]))
    (own,) = await agency.search(f"Observation?derived-from={located(asked)}")
    assert own["valueInteger"] == 15
    assert (await hospital.get(f"Observation/{own['id']}")).status == 404


async def test_a_score_goes_back_to_the_hospital_with_the_answers_that_an_output_names(world: World) -> None:
    referred = await world.refer("N05")
    share, agency, hospital = await started(world, referred), world.party("agency-a"), world.party("his-a")
    asked = located(await ask(agency, about(phq9(*MILD), referred.patient)))
    done(
        await agency.put(
            await agency.read(f"Task/{share['id']}"), status="completed",
            output=[{"type": {"text": "复测量表"}, "valueReference": {"reference": asked}}],
            statusReason={"coding": [{"system": "urn:yuanshe:closure-reason", "code": "goals-met"}], "text": "目标达成"},
        )
    )  # fmt: skip
    assert (await hospital.read(asked))["resourceType"] == "QuestionnaireResponse"
    (score,) = await hospital.search(f"Observation?derived-from={asked}")
    assert score["valueInteger"] == 10


# ---- danger -------------------------------------------------------------------------------------------------------------


async def what_next(world: World, referred: Referred) -> str:
    _, step = await world.timeline(referred)
    assert step is not None
    return str(step["what"])


@pytest.mark.parametrize("by", ["his-a", "agency-a"])
async def test_item_9_raises_a_crisis_whatever_the_total_whoever_sends_it_and_whenever(world: World, by: str) -> None:
    referred = await world.refer("N05")
    share, party = await started(world, referred), world.party(by)
    based = {"basedOn": [share["focus"]]} if by == "agency-a" else {}
    calm = await ask(party, about(phq9(*GRAVE), referred.patient, **based))
    assert "on-the-spot" not in keys(calm) and await what_next(world, referred) == "assessment"
    grave = await ask(party, about(phq9(*DANGER), referred.patient, **based))
    assert {"score", "crisis-raised", "on-the-spot", "on-the-spot:suicide"} <= set(keys(grave)) and "12356" in str(
        grave
    )
    assert await what_next(world, referred) == "acknowledge"
    assert (await world.parent(referred))["priority"] == "stat"


async def test_item_9_alone_as_an_observation_raises_it_later_too(world: World) -> None:
    referred = await world.refer("N05")
    said = {
        "resourceType": "Observation", "status": "final", "code": {"coding": [{"system": LOINC, "code": "44260-8"}]},
        "subject": {"reference": referred.patient}, "valueInteger": 2,
    }  # fmt: skip
    done(
        await world.party("his-a").post(
            "Observation", said | {"code": {"coding": [{"system": LOINC, "code": "44261-6"}]}}
        )
    )
    assert await what_next(world, referred) == "accept-or-decline", (
        "27 of 27 is a total, and a total that nobody here reckoned"
    )
    done(await world.party("his-a").post("Observation", said))
    assert await what_next(world, referred) == "acknowledge"


async def test_a_correction_that_changes_nothing_of_the_danger_raises_it_no_second_time(world: World) -> None:
    referred, hospital = await world.refer("N05", extra=[phq9(*DANGER)]), world.party("his-a")
    (response,) = await hospital.search(f"QuestionnaireResponse?patient={referred.patient}")
    for step in ("acknowledged", "safety-planned", "stood-down"):
        done(await hospital.post("Communication", crisis(step, referred.request)))
    done(await hospital.put(response, item=phq9(1, 0, 0, 0, 0, 0, 0, 0, 1)["item"]))
    assert await what_next(world, referred) == "accept-or-decline"


async def test_danger_in_what_an_agency_supplies_after_its_share_has_ended_still_counts(world: World) -> None:
    referred = await world.refer("N05")
    share, agency = await started(world, referred), world.party("agency-a")
    done(
        await agency.put(
            share, status="completed", output=[output()],
            statusReason={"coding": [{"system": "urn:yuanshe:closure-reason", "code": "goals-met"}], "text": "目标达成"},
        )
    )  # fmt: skip
    late = await agency.post("QuestionnaireResponse", about(phq9(*DANGER), referred.patient, basedOn=[share["focus"]]))
    assert late.status == 201, late
    _, step = await world.timeline(referred)
    assert step is not None and step["what"] == "acknowledge"
    assert step["who"]["reference"] == world.organizations["platform"]


async def test_danger_in_somebody_without_an_open_referral_is_told_to_who_asks(world: World) -> None:
    referred, hospital = await world.refer("N05"), world.party("his-a")
    done(await hospital.put(await hospital.read(referred.request), status="revoked"))
    answer = await ask(hospital, about(phq9(*DANGER), referred.patient))
    assert {"not-referred", "on-the-spot:suicide"} <= set(keys(answer))


async def test_a_submission_of_danger_is_answered_with_what_to_do_on_the_spot(world: World) -> None:
    calm = await world.refer("N05")
    assert told(calm, "ServiceRequest") == []
    grave = await world.refer("N03", extra=[phq9(*DANGER)])
    said = next(
        e["response"]["outcome"] for e in grave.answer["entry"] if "ServiceRequest" in e["response"]["location"]
    )
    assert keys(said) == ["on-the-spot", "on-the-spot:suicide"]
    assert told(grave, "QuestionnaireResponse")[:2] == ["score", "crisis-raised"], (
        "a low total beside it reassures nobody"
    )
    texts = [issue["details"]["text"] for issue in said["issue"]]
    assert all(issue["severity"] == "information" for issue in said["issue"])
    assert all(" / " in text and text.index("。") < text.index(" / ") for text in texts), (
        "Chinese first, English second"
    )
    assert all(number in str(texts) for number in ("110", "120", "12356"))
    assert await what_next(world, grave) == "acknowledge"


@pytest.mark.parametrize(
    ("need", "born", "capacity", "rules"),
    [
        ("N11", "1952-03-15", None, ["suicide"]),
        ("N13", "2018-03-15", None, ["child-abuse", "child-evidence"]),
        ("N14", "2018-03-15", None, ["child-abandoned"]),
        ("N12", "1952-03-15", "none", ["adult-violence"]),
        ("N12", "1952-03-15", "full", ["adult-offer"]),
        ("N12", "1952-03-15", None, ["adult-capacity"]),
        ("N12", "2010-03-15", None, ["child-violence-as-adult"]),
    ],
)
async def test_what_to_do_on_the_spot_depends_on_need_age_and_capacity(
    world: World, need: str, born: str, capacity: str | None, rules: list[str]
) -> None:
    said = {"extension": [{"url": "urn:yuanshe:legal-capacity", "valueCode": capacity}]} if capacity else {}
    referred = await world.refer(need, patient={"birthDate": born} | said)
    assert told(referred, "ServiceRequest")[:1] == ["on-the-spot"]
    assert [key.partition(":")[2] for key in told(referred, "ServiceRequest")[1:]] == rules


async def test_a_girl_under_14_who_is_pregnant_is_a_red_signal_whatever_was_asked_for(world: World) -> None:
    pregnant = {
        "resourceType": "Condition", "subject": {"reference": "PATIENT"},
        "code": {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10", "code": "O26.9"}]},
    }  # fmt: skip
    girl = await world.refer("N05", patient={"birthDate": "2014-06-01", "gender": "female"}, extra=[pregnant])
    assert "on-the-spot:pregnant-under-14" in told(girl, "ServiceRequest")
    assert ("N13", "open") in codes(await suggestions(world.party("his-a"), girl))
    woman = await world.refer("N05", extra=[pregnant])
    assert told(woman, "ServiceRequest") == []


async def test_a_diagnosis_that_is_written_later_signals_too(world: World) -> None:
    hospital = world.party("his-a")
    girl = await world.refer("N05", patient={"birthDate": "2014-06-01", "gender": "female"})
    said = {
        "resourceType": "Condition", "subject": {"reference": girl.patient},
        "code": {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10", "code": "O26.9"}]},
    }  # fmt: skip
    answer = await ask(hospital, said)
    assert keys(answer) == ["on-the-spot", "on-the-spot:pregnant-under-14"]
    (one,) = await suggestions(hospital, girl)
    assert (one["what"]["coding"][0]["code"], one["why"]) == ("N13", "duty/pregnant-under-14")
    cold = said | {"code": {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10", "code": "J00"}]}}
    assert keys(await ask(hospital, cold)) == []


# ---- a suggestion is shown, a person decides ---------------------------------------------------------------------------


async def test_a_suggestion_changes_nothing_until_a_person_accepts_it(world: World) -> None:
    referred, hospital = await world.refer("N01", extra=[phq9(*GRAVE)]), world.party("his-a")
    assert (await world.parent(referred))["priority"] == "routine"
    found = {each["kind"]: each for each in await suggestions(hospital, referred)}
    assert found["urgency"]["why"] == "phq-9/total"
    before = (await world.offer(referred))["restriction"]["period"]["end"]
    done(await decide(hospital, referred, found["urgency"], decision="accept"))
    assert (await world.parent(referred))["priority"] == "asap"
    offer = await world.offer(referred)
    assert offer["priority"] == "asap" and offer["restriction"]["period"]["end"] <= before
    assert later(hours=2, minutes=1).isoformat() > offer["restriction"]["period"]["end"]
    assert "priority" not in await hospital.read(referred.request), "the placer's own urgency is never touched"
    assert codes(await suggestions(hospital, referred)) == {("N03", "open"), ("asap", "accepted")}


async def test_an_accepted_need_is_placed_by_a_request_that_replaces_the_old_one(world: World) -> None:
    referred, hospital = await world.refer("N01", extra=[phq9(*MILD)]), world.party("his-a")
    (one,) = await suggestions(hospital, referred)
    answer = done(await decide(hospital, referred, one, decision="accept"))
    draft = next(each["resource"] for each in answer["parameter"] if each["name"] == "request")
    assert {c["coding"][0]["code"] for c in draft["category"]} == {"N01", "N03"}
    assert draft["replaces"] == [{"reference": referred.request}]
    assert (await hospital.read(referred.request))["status"] == "active", "nothing was placed yet"
    number = {"identifier": [{"system": "urn:his-a:order", "value": "2026-N03"}], "status": "active"}
    placed = done(await hospital.post("ServiceRequest", draft | number))
    assert placed.status == 201
    assert (await hospital.read(referred.request))["status"] == "revoked"


async def test_beside_what_an_agency_has_accepted_a_new_need_is_a_request_of_its_own(world: World) -> None:
    referred, hospital = await world.refer("N01", extra=[phq9(*MILD)]), world.party("his-a")
    await world.accepted(referred)
    (one,) = await suggestions(hospital, referred)
    answer = done(await decide(hospital, referred, one, decision="accept"))
    draft = next(each["resource"] for each in answer["parameter"] if each["name"] == "request")
    assert "replaces" not in draft and [c["coding"][0]["code"] for c in draft["category"]] == ["N03"]


async def test_a_suggestion_is_dismissed_with_a_reason_and_decided_once(world: World) -> None:
    referred, hospital = await world.refer("N01", extra=[phq9(*MILD)]), world.party("his-a")
    (one,) = await suggestions(hospital, referred)
    async with nothing_changes(world):
        refused(await decide(hospital, referred, one, decision="dismiss"), 422)
        refused(await decide(hospital, referred, one, decision="perhaps"), 422)
        refused(await decide(world.party("his-b"), referred, one, decision="accept"), 404)
    done(await decide(hospital, referred, one, decision="dismiss", reason="已由精神科随访"))
    (after,) = await suggestions(hospital, referred)
    assert (after["status"], after["reason"]) == ("dismissed", "已由精神科随访")
    refused(await decide(hospital, referred, one, decision="accept"), 404)
    (response,) = await hospital.search(f"QuestionnaireResponse?patient={referred.patient}")
    done(await hospital.put(response, item=phq9(2, 2, 2, 2, 3)["item"] + phq9(*LOW)["item"][5:]))
    assert codes(await suggestions(hospital, referred)) == {("N03", "dismissed")}, "the same answers do not ask again"


async def test_what_an_agency_screens_is_suggested_to_it_alone(world: World) -> None:
    referred = await world.refer("N01")
    await started(world, referred)
    agency = world.party("agency-a")
    await ask(agency, about(phq9(*MILD), referred.patient))
    assert codes(await suggestions(agency, referred)) == {("N03", "open")}
    assert await suggestions(world.party("his-a"), referred) == []


# ---- LACE ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("days", "visit"), [(14, True), (1, False)])
async def test_a_high_lace_makes_the_seventh_day_a_visit(world: World, days: int, visit: bool) -> None:
    referred = await world.refer("N05", extra=[lace(days)])
    done(await discharge(world, referred))
    assert await visits(world, referred) == ({"D7"} if visit else set())


async def test_a_lace_that_becomes_known_after_the_discharge_still_makes_it_one(world: World) -> None:
    referred = await world.refer("N05")
    done(await discharge(world, referred))
    assert await visits(world, referred) == set() and await follow_ups(world.party("his-a"), referred)
    answer = await ask(world.party("his-a"), about(lace(14), referred.patient))
    assert "13" in str(answer)
    assert await visits(world, referred) == {"D7"}


async def visits(world: World, referred: Referred) -> set[str]:
    """The windows that are visits, as the follow-ups themselves say."""
    async with world.as_owner() as connection:
        rows = await connection.fetch(
            "SELECT v.snapshot->'follow_up'->>'window' AS name FROM task t JOIN task_version v ON v.task_id = t.id AND v.version = t.version"
            " WHERE t.kind = 'follow-up' AND t.referral_id = $1::uuid AND (v.snapshot->'follow_up'->>'visit') = 'true'",
            referred.id,
        )  # fmt: skip
    return {row["name"] for row in rows}


# ---- a journey ---------------------------------------------------------------------------------------------------------


async def test_a_person_who_thinks_of_dying_is_never_out_of_sight(world: World) -> None:
    """Given a person in a bed whose PHQ-9 is mild but for item 9, when the ward refers, then the ward knows what to do on
    the spot, somebody must acknowledge within half an hour, and until two people have seen to it nothing closes."""
    # Given and when.
    hospital, agency = world.party("his-a"), world.party("agency-a")
    referred = await world.refer("N03", extra=[phq9(*DANGER, total=0)])
    # Then: steps on the spot; the total that was sent along is not believed; stat, and the acknowledgement is next.
    assert {"on-the-spot", "on-the-spot:suicide"} <= set(told(referred, "ServiceRequest"))
    assert "score-differs" in told(referred, "QuestionnaireResponse")
    _, step = await world.timeline(referred)
    assert step is not None and step["what"] == "acknowledge"
    assert step["who"]["reference"] == world.organizations["hospital-a"] and step["by"] < later(minutes=31).isoformat()
    # When an agency takes it and starts, the crisis still comes first, and nothing closes.
    share = await started(world, referred)
    assert await what_next(world, referred) == "acknowledge"
    done(await agency.post("Communication", crisis("acknowledged", f"Task/{share['id']}", "已到床旁")))
    plan = crisis("safety-planned", f"Task/{share['id']}", "移除危险物品，家属陪护，精神科会诊")
    plan["reasonCode"].append({"coding": [{"system": "urn:yuanshe:risk", "code": "high"}]})
    async with nothing_changes(world):
        wrong = plan | {
            "reasonCode": [plan["reasonCode"][0], {"coding": [{"system": "urn:yuanshe:risk", "code": "very"}]}]
        }
        refused(await agency.post("Communication", wrong), 422, "risk")
    done(await agency.post("Communication", plan))
    async with world.as_owner() as connection:
        held = await connection.fetchval(
            "SELECT v.snapshot->'crisis'->>'risk' FROM referral r JOIN referral_version v ON v.referral_id = r.id AND v.version = r.version"
            " WHERE r.id = $1::uuid", referred.id,
        )  # fmt: skip
    assert held == "high"
    # The adult may refuse a report: it is passed over with a reason. Asked again, the answers are calm.
    calm = await ask(agency, about(phq9(*LOW), referred.patient, basedOn=[share["focus"]]))
    assert "on-the-spot" not in keys(calm)
    done(
        await agency.post(
            "Communication", crisis("stood-down", f"Task/{share['id']}", "本人拒绝报告，家属知情，复测无自杀意念")
        )
    )
    assert await what_next(world, referred) == "assessment"
    # When the thought comes back, months into the case or not, it is a crisis again.
    await ask(agency, about(phq9(*DANGER), referred.patient, basedOn=[share["focus"]]))
    assert await what_next(world, referred) == "acknowledge"
    assert "不想" not in str(await hospital.get("Communication")), "its words are sealed to the other side"
