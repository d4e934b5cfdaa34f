"""The ledger of contact attempts, the loss ladder, and what a follow-up finds (domain b-3, d-5; row 43 of the first table)."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from service.values import SHANGHAI, Id
from tests.http.loop import (
    LADDER,
    attempt,
    discharge,
    done,
    follow_ups,
    nothing_changes,
    outcome,
    refused,
    says,
    started,
    tried,
)
from tests.http.test_merge import absorbed
from tests.http.world import NEED, Answered, Party, Referred, World

PROPOSED, RULE, DECIDED_BY = "urn:yuanshe:proposed-contact", "urn:yuanshe:contact-rule", "urn:yuanshe:decided-by"
SAFE = "urn:yuanshe:safe-contact"


def strict(world: World, refuses: bool = True) -> None:
    """A deployment that refuses a loss before everything was tried."""
    world.database.practice = msgspec.structs.replace(world.database.practice, lost_needs_ladder=refuses)


@pytest.fixture(autouse=True)
def refusing(world: World) -> None:
    strict(world)


async def planned(world: World, *needs: str, **values: Any) -> tuple[Referred, list[dict[str, Any]]]:
    """A referral in service whose person has gone home, and its follow-ups."""
    referred = await world.refer(*needs or ("N05",), **values)
    await started(world, referred)
    done(await discharge(world, referred))
    return referred, await follow_ups(world.party("agency-a"), referred)


def proposed(task: dict[str, Any]) -> tuple[str, datetime] | None:
    for extension in task.get("extension", ()):
        if extension["url"] == PROPOSED:
            parts = {part["url"]: part for part in extension["extension"]}
            return parts["channel"]["valueCode"], datetime.fromisoformat(parts["at"]["valueDateTime"])
    return None


def result(code: str, text: str = "已尝试") -> dict[str, Any]:
    return {"coding": [{"system": "urn:yuanshe:contact-result", "code": code}], "text": text}


def ways(*channels: str) -> dict[str, Any]:
    return {"url": SAFE, "extension": [{"url": "channel", "valueCode": channel} for channel in channels]}


async def duties(party: Party, word: str) -> list[dict[str, Any]]:
    return await party.search(f"Task?code=urn:yuanshe:task-code|{word}")


# ---- the journey --------------------------------------------------------------------------------------------------------


async def test_journey_an_unreachable_patient_is_looked_for_and_then_lost(world: World) -> None:
    """Given a person who has gone home and is followed up, when nobody answers, then the next rung is proposed by itself,
    telephone twice, home visit, neighbourhood committee, letter; lost is refused until all of them were tried; then the
    follow-up fails with its evidence, the others are called off, and the referral closes when its share has ended."""
    agency = world.party("agency-a")
    # Given
    referred, made = await planned(world)
    first = made[0]
    assert proposed(first) and proposed(first)[0] == "phone"
    # When nobody answers; then the next one is proposed.
    walked: list[str] = []
    for channel in LADDER:
        assert proposed(first)[0] == channel
        async with nothing_changes(world):
            refused(await agency.put(first, output=[outcome("lost")]), 422, "Not everything was tried")
        first = await tried(agency, first, channel)
        walked.append(channel)
        assert first["status"] == "accepted"
    assert proposed(first) is None, "after the last rung a person decides"
    # When it is lost; then it has failed, and nobody is called any more.
    lost = done(await agency.put(first, output=[outcome("lost")]))
    assert lost["status"] == "failed"
    assert {task["status"] for task in await follow_ups(agency, referred)} == {"failed", "cancelled"}
    ledger = await agency.search(f"Communication?based-on=Task/{first['id']}")
    assert [said["medium"][0]["coding"][0]["code"] for said in sorted(ledger, key=lambda said: said["id"])] == walked
    assert await world.party("his-a").search(f"Communication?based-on=Task/{first['id']}") == [], (
        "how they tried is their own"
    )
    assert (await world.party("his-a").read(f"Task/{first['id']}"))["status"] == "failed"


# ---- the ledger ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["no-answer", "busy", "switched-off", "wrong-number", "moved-away", "left-message", "refused", "sent", "other"])  # fmt: skip
async def test_each_attempt_has_its_result(world: World, code: str) -> None:
    agency = world.party("agency-a")
    _, made = await planned(world)
    told = done(await agency.post("Communication", attempt(made[0], reached=False, statusReason=result(code))))
    assert (await agency.read(f"Communication/{told['id']}"))["statusReason"] == result(code)
    async with world.as_owner() as owner:
        assert await owner.fetchval("SELECT result FROM contact_attempt") == code
    after = proposed(await agency.read(f"Task/{made[0]['id']}"))
    expected = {"wrong-number": "visit", "moved-away": "visit", "refused": None}.get(code, "phone")
    assert (after and after[0]) == expected


async def test_a_result_of_no_list_is_refused_and_one_that_contradicts_itself(world: World) -> None:
    agency = world.party("agency-a")
    _, made = await planned(world)
    async with nothing_changes(world):
        refused(
            await agency.post("Communication", attempt(made[0], reached=False, statusReason=result("perhaps"))), 422
        )
        refused(
            await agency.post("Communication", attempt(made[0], reached=False, statusReason=result("reached"))), 422
        )
        refused(await agency.post("Communication", attempt(made[0], reached=True, statusReason=result("busy"))), 422)


async def test_an_attempt_that_was_not_safe_is_written_down_with_a_warning_and_a_supervisor_looks_at_it(
    world: World,
) -> None:
    """Facts are facts: the call was made. But who made it is told, and so is their supervisor."""
    agency = world.party("agency-a")
    _, made = await planned(world, patient={"extension": [ways("visit", "letter")]})
    assert proposed(made[0])[0] == "visit", "what is proposed is safe"
    sent = attempt(made[0], reached=False, statusReason=result("no-answer"))
    told = done(await agency.post("Communication", sent))
    assert {"url": RULE, "valueCode": "channel-not-safe"} in told["extension"]
    (duty,) = await duties(agency, "review-contact")
    assert (
        duty["owner"]["reference"].startswith(("PractitionerRole/", "Organization/")) and duty["status"] == "accepted"
    )
    assert await duties(world.party("agency-b"), "review-contact") == []
    said = await agency.post(
        "Communication",
        sent | {"extension": [{"url": RULE, "valueCode": "no-message"}]},
        prefer="return=OperationOutcome",
    )
    assert said.status == 201 and said["issue"][0]["severity"] == "warning" and "not safe" in str(said["issue"])
    async with world.as_owner() as owner:
        assert [row["broke"] for row in await owner.fetch("SELECT broke FROM contact_attempt")] == [
            "channel-not-safe"
        ] * 2
    safe = done(
        await agency.post(
            "Communication",
            attempt(made[0], reached=False, medium=[{"coding": [{"system": "urn:yuanshe:channel", "code": "visit"}]}]),
        )
    )
    assert "extension" not in safe
    done(await agency.put(duty, status="completed"))


async def test_word_left_where_none_may_be_left_is_a_breach(world: World) -> None:
    quiet = {"url": SAFE, "extension": [{"url": "message", "valueBoolean": False}]}
    _, made = await planned(world, patient={"extension": [quiet]})
    agency = world.party("agency-a")
    told = done(
        await agency.post("Communication", attempt(made[0], reached=False, statusReason=result("left-message")))
    )
    assert {"url": RULE, "valueCode": "no-message"} in told["extension"]
    fine = done(await agency.post("Communication", attempt(made[0], reached=False, statusReason=result("no-answer"))))
    assert "extension" not in fine


async def test_the_next_attempt_is_proposed_at_a_safe_hour(world: World) -> None:
    evening = {
        "url": "time",
        "extension": [{"url": "begins", "valueTime": "19:00:00"}, {"url": "ends", "valueTime": "20:00:00"}],
    }
    _, made = await planned(world, patient={"extension": [{"url": SAFE, "extension": [evening]}]})
    agency = world.party("agency-a")
    for task in (made[0], await tried(agency, made[0], "phone")):
        found = proposed(task)
        assert found and found[1].astimezone(SHANGHAI).hour == 19, found


async def test_what_is_proposed_follows_the_rules_as_they_change(world: World) -> None:
    agency = world.party("agency-a")
    referred, made = await planned(world)
    assert proposed(made[0])[0] == "phone"
    done(
        await agency.post(
            f"{referred.patient}/$safe-contact",
            {"resourceType": "Parameters", "parameter": [{"name": "channel", "valueCode": "letter"}]},
        )
    )
    assert proposed(await agency.read(f"Task/{made[0]['id']}"))[0] == "letter"
    done(
        await agency.post(
            f"{referred.patient}/$safe-contact",
            {"resourceType": "Parameters", "parameter": [{"name": "prohibited", "valueBoolean": True}]},
        )
    )
    assert all(proposed(task) is None for task in await follow_ups(agency, referred))


async def test_what_is_proposed_follows_the_stricter_rules_of_a_merged_record(world: World) -> None:
    agency = world.party("agency-a")
    stays, made = await planned(world)
    assert proposed(made[0])[0] == "phone"
    goes = await world.refer("N01", patient={"extension": [ways("letter")]})
    done(await absorbed(world, goes, stays))
    assert {proposed(task)[0] for task in await follow_ups(agency, stays)} == {"letter"}


# ---- lost ----------------------------------------------------------------------------------------------------------------


async def supervisor_of(world: World, agency: str) -> str:
    organization = Id(world.organizations[agency].split("/")[1])
    async with world.as_owner() as owner:
        await owner.execute(
            "UPDATE worker SET supervisor = true WHERE id = (SELECT min(id::text)::uuid FROM worker WHERE agency_id = $1 AND active)",
            organization,
        )
        found = await owner.fetchval(
            "SELECT id FROM worker WHERE agency_id = $1 AND supervisor AND active ORDER BY id LIMIT 1", organization
        )
    return f"PractitionerRole/{found}"


def decided(code: str, by: str) -> dict[str, Any]:
    return outcome(code) | {"extension": [{"url": DECIDED_BY, "valueReference": {"reference": by}}]}


async def test_a_supervisor_may_say_with_a_reason_that_somebody_is_lost(world: World) -> None:
    agency = world.party("agency-a")
    _, made = await planned(world)
    own, foreign = await supervisor_of(world, "agency-a"), await supervisor_of(world, "agency-b")
    async with nothing_changes(world):
        refused(await agency.put(made[0], output=[decided("lost", own)]), 422)
        refused(await agency.put(made[0], output=[outcome("lost")], statusReason={"text": "房屋已拆除"}), 422)
        refused(await agency.put(made[0], output=[decided("lost", foreign)], statusReason={"text": "房屋已拆除"}), 422)
    lost = done(await agency.put(made[0], output=[decided("lost", own)], statusReason={"text": "房屋已拆除"}))
    assert lost["status"] == "failed" and lost["statusReason"]["text"] == "房屋已拆除"


async def test_who_must_not_be_contacted_is_never_walked_down_a_ladder(world: World) -> None:
    """N12 to N14: nothing is proposed, every step is a supervisor's, and so is the word that somebody is lost."""
    agency = world.party("agency-a")
    _, made = await planned(world, "N12")
    assert all(proposed(task) is None for task in made)
    first = await tried(agency, made[0])
    assert proposed(first) is None
    assert len(await duties(agency, "review-contact")) == len(LADDER), "each step without a decision is looked at"
    async with nothing_changes(world):
        refused(await agency.put(first, output=[outcome("lost")]), 422, "supervisor")


async def test_who_was_reached_since_is_looked_for_anew(world: World) -> None:
    agency = world.party("agency-a")
    _, made = await planned(world)
    await tried(agency, made[0])
    done(await agency.post("Communication", attempt(made[0])))
    done(await agency.put(await agency.read(f"Task/{made[0]['id']}"), output=[outcome("stable")]))
    async with nothing_changes(world):
        refused(await agency.put(made[1], output=[outcome("lost")]), 422, "Not everything was tried")
    done(await agency.put(await tried(agency, made[1]), output=[outcome("lost")]))


async def test_attempts_of_two_windows_count_together(world: World) -> None:
    agency = world.party("agency-a")
    _, made = await planned(world)
    await tried(agency, made[0], "phone", "phone", "visit")
    second = await tried(agency, made[1], "community", "letter")
    assert done(await agency.put(second, output=[outcome("lost")]))["status"] == "failed"


async def test_a_loss_before_everything_was_tried_stands_and_a_supervisor_looks_at_it(world: World) -> None:
    """What contract.md says by itself; a deployment may refuse it instead."""
    strict(world, False)
    agency = world.party("agency-a")
    _, made = await planned(world)
    assert done(await agency.put(made[0], output=[outcome("lost")]))["status"] == "failed"
    owed = await agency.search("Task?code=review-contact")
    assert len(owed) == 1 and owed[0]["owner"]["reference"].startswith("PractitionerRole/")


async def test_a_loss_with_evidence_is_looked_at_by_nobody(world: World) -> None:
    strict(world, False)
    agency = world.party("agency-a")
    _, made = await planned(world)
    done(await agency.put(await tried(agency, made[0]), output=[outcome("lost")]))
    assert await agency.search("Task?code=review-contact") == []


# ---- a new need ----------------------------------------------------------------------------------------------------------


def new_need(code: str = "N01", text: str = "药费负担不起") -> dict[str, Any]:
    return {
        "type": {"coding": [{"system": "urn:yuanshe:task-code", "code": "need"}]},
        "valueCodeableConcept": {"coding": [{"system": NEED, "code": code}], "text": text},
    }


async def request_of(party: Party, task: dict[str, Any]) -> Answered:
    found = [each["valueReference"]["reference"] for each in task["output"] if "valueReference" in each]
    assert len(found) == 1
    return await party.read(found[0])


async def test_a_new_need_that_the_hospital_finds_is_referred_in_the_same_step(world: World) -> None:
    hospital = world.party("his-a")
    referred = await world.refer("N05")
    await world.accepted(referred, consent=False)
    done(await discharge(world, referred))
    own = await follow_ups(hospital, referred)
    ended = done(await hospital.put(own[0], output=[outcome("new-need"), new_need()]))
    assert ended["status"] == "completed"
    made = await request_of(hospital, ended)
    assert made["status"] == "active" and made["subject"]["reference"] == referred.patient
    assert made["basedOn"] == [{"reference": referred.request}]
    assert made["category"][0]["coding"][0]["code"] == "N01" and made["category"][0]["text"] == "药费负担不起"
    (parent,) = await hospital.search(f"Task?focus=ServiceRequest/{made['id']}")
    offers = await world.party("agency-a").search("Task?status=requested")
    assert len(offers) == 1 and says(parent) == "offered"
    async with nothing_changes(world):
        again = done(await hospital.put(ended, output=[outcome("new-need"), new_need()]))
        assert again["meta"]["versionId"] == ended["meta"]["versionId"]


async def test_a_new_need_that_an_agency_finds_is_the_hospitals_to_confirm_in_one_step(world: World) -> None:
    agency, hospital = world.party("agency-a"), world.party("his-a")
    referred, made = await planned(world)
    ended = done(await agency.put(made[0], output=[outcome("new-need"), new_need()]))
    assert ended["status"] == "completed" and len(ended["output"]) == 2
    (duty,) = await duties(hospital, "refer-new-need")
    assert duty["owner"]["reference"] == world.organizations["hospital-a"]
    assert duty["input"][0]["valueCodeableConcept"]["coding"][0]["code"] == "N01"
    assert duty["note"] == [{"text": "药费负担不起"}] and duty["for"]["reference"] == referred.patient
    assert (await agency.get(f"Task/{duty['id']}")).status == 404, "it is the hospital's own"
    seen = done(await hospital.put(duty, status="completed"))
    request = await request_of(hospital, seen)
    assert (
        request["basedOn"] == [{"reference": referred.request}] and request["identifier"][0]["value"] == made[0]["id"]
    )
    offers = await agency.search("Task?status=requested")
    assert len(offers) == 1, "tried first with the agency that knows the person"


async def test_the_hospital_may_decline_to_refer_a_new_need(world: World) -> None:
    agency, hospital = world.party("agency-a"), world.party("his-a")
    _, made = await planned(world)
    done(await agency.put(made[0], output=[outcome("new-need"), new_need()]))
    (duty,) = await duties(hospital, "refer-new-need")
    done(await hospital.put(duty, status="cancelled", statusReason={"text": "已由门诊处理"}))
    assert await agency.search("Task?status=requested") == []


async def test_a_need_goes_with_new_need_alone_and_is_one_of_ours_or_in_words(world: World) -> None:
    agency = world.party("agency-a")
    _, made = await planned(world)
    async with nothing_changes(world):
        refused(await agency.put(made[0], output=[outcome("stable"), new_need()]), 422)
        refused(await agency.put(made[0], output=[new_need()]), 422)
        refused(await agency.put(made[0], output=[outcome("new-need"), new_need("N77")]), 422)
    done(await agency.put(made[0], output=[outcome("new-need")]))
    assert await duties(world.party("his-a"), "refer-new-need") == [], "without a need nothing is referred"


async def test_an_unsafe_step_is_sealed_in_the_timeline(world: World) -> None:
    agency = world.party("agency-a")
    referred, made = await planned(world, patient={"extension": [ways("letter")]})
    await tried(agency, made[0], "phone")
    shown = json.dumps(await world.party("his-a").read(f"{referred.request}/$timeline"), ensure_ascii=False)
    assert "channel-not-safe" not in shown


async def test_an_attempt_of_long_ago_may_still_be_written_down(world: World) -> None:
    agency = world.party("agency-a")
    _, made = await planned(world)
    early = (datetime.now(UTC) - timedelta(days=3)).isoformat()
    done(await agency.post("Communication", attempt(made[0], reached=False, sent=early)))
