"""A glass that is broken: who somebody is, for a while, for a reason, seen by everybody who must see it, and looked at."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.http.loop import later, message
from tests.http.submitting import expressions, refused
from tests.http.test_consent import ACT_REASON, as_time_passes, basis, form, waiting
from tests.http.world import Answered, Referred, World, output, phq9, reason

REVIEW = "urn:yuanshe:access-review"


async def supervisor(world: World, agency: str = "agency-a") -> str:
    async with world.as_owner() as connection:
        found = await connection.fetchval(
            "SELECT id FROM worker WHERE agency_id = $1 AND supervisor ORDER BY id LIMIT 1",
            world.organizations[agency].split("/")[1],
        )
    return f"PractitionerRole/{found}"


async def share_of(world: World, referred: Referred, agency: str = "agency-a") -> dict[str, Any]:
    parent = (await world.parent(referred, "platform"))["id"]
    return (await world.party(agency).search(f"Task?part-of=Task/{parent}"))[-1]


async def glass(world: World, referred: Referred, **changes: Any) -> dict[str, Any]:
    share = await share_of(world, referred)
    return {
        "resourceType": "Provenance",
        "target": [{"reference": f"Task/{share['id']}"}],
        "recorded": datetime.now(UTC).isoformat(),
        "reason": [{"coding": [{"system": ACT_REASON, "code": "BTG"}], "text": "患者失联，家中有明火"}],
        "agent": [{"who": {"reference": await supervisor(world)}}],
    } | changes


async def broken(world: World, referred: Referred) -> Answered:
    made = await world.party("agency-a").post("Provenance", await glass(world, referred))
    assert made.status == 201, made
    return made


async def test_who_breaks_the_glass_sees_who_it_is_and_nothing_more_until_it_mends(world: World) -> None:
    referred = await waiting(world, extra=[phq9(0)])
    agency = world.party("agency-a")
    await broken(world, referred)
    person = await agency.read(referred.patient)
    assert person["name"] == [{"text": "陈素芬"}] and person["telecom"][0]["value"] == "13800000001"
    assert (await agency.get(referred.request)).status == 200
    assert (await agency.get(referred.stay)).status == 404
    assert await agency.search(f"Observation?patient={referred.patient}") == []
    share = await share_of(world, referred)
    assert share["for"]["reference"] == referred.patient
    assert share["businessStatus"]["coding"][0]["code"] == "awaiting-consent", "the work still waits for a ground"
    start = await agency.put(share, status="in-progress")
    assert start.status == 422 and start["issue"][0]["expression"] == ["Task.status"]
    done = await agency.put(
        share, status="completed", output=[output()], statusReason=reason("goals-met", "完成", "urn:yuanshe:closure-reason")
    )  # fmt: skip
    assert done.status == 422

    assert await as_time_passes(world, later(hours=5)) == 1
    assert (await agency.get(referred.patient)).status == 404
    assert (await share_of(world, referred))["for"]["reference"] != referred.patient
    _, step = await world.timeline(referred)
    assert step is not None and step["what"] == "obtain-consent"


async def test_who_broke_the_glass_neither_says_how_to_contact_nor_sees_the_number_nor_passes_anybody_on(
    world: World,
) -> None:
    referred = await waiting(world)
    agency = world.party("agency-a")
    await broken(world, referred)
    share = await share_of(world, referred)
    said = {"resourceType": "Parameters", "parameter": [{"name": "number", "valueString": "13900000009"}]}
    because = [{"name": "reason", "valueString": "需要"}]
    for path, body in (
        (f"{referred.patient}/$safe-contact", said),
        (f"{referred.patient}/$reveal", {"resourceType": "Parameters", "parameter": because}),
        (f"Task/{share['id']}/$transfer", {"resourceType": "Parameters", "parameter": [*because, {"name": "need", "valueCode": "N01"}, {"name": "onward", "valueBoolean": True}]}),
    ):  # fmt: skip
        answer = await agency.post(path, body)
        assert answer.status in (403, 422), (path, answer)
    assert (
        await agency.post(f"{referred.patient}/$reveal", {"resourceType": "Parameters", "parameter": because})
    ).status == 403


async def test_a_consent_takes_the_place_of_a_broken_glass(world: World) -> None:
    referred = await waiting(world, extra=[phq9(0)])
    agency = world.party("agency-a")
    await broken(world, referred)
    assert (await world.party("his-a").post("Consent", await form(world, referred))).status == 201
    share = await share_of(world, referred)
    assert share["businessStatus"]["coding"][0]["code"] == "accepted"
    assert len(await agency.search(f"Observation?patient={referred.patient}")) == 1
    await as_time_passes(world, later(hours=5))
    assert (await agency.get(referred.patient)).status == 200
    assert (await agency.put(await share_of(world, referred), status="in-progress")).status == 200


async def test_everybody_who_must_hears_of_it_and_the_coordinator_owes_a_look(world: World) -> None:
    referred = await waiting(world)
    made = await broken(world, referred)
    actions, _ = await world.timeline(referred)
    assert actions[-3:] == ["break-glass", "owe", "disclose"]
    platform = world.party("platform")
    duty = (await platform.search("Task?code=review-access"))[0]
    assert duty["owner"]["reference"] == world.organizations["platform"] and duty["status"] == "accepted"
    assert (await platform.get(f"Provenance/{made['id']}"))["reason"][0]["text"] == "患者失联，家中有明火"
    assert (await world.party("his-a").get(f"Provenance/{made['id']}")).status == 404, "why is the reviewer's to read"
    assert (await world.party("agency-a").search("Task?code=review-access")) == []
    for without in ({}, {"statusReason": {"text": "看过了"}}, {"statusReason": reason("fine", "好", REVIEW)}):
        answer = await platform.put(duty, status="completed", **without)
        assert answer.status == 422 and answer["issue"][0]["expression"] == ["Task.statusReason"]
    found = reason("not-justified", "可以先征得同意", REVIEW)
    ended = await platform.put(duty, status="completed", statusReason=found)
    assert ended.status == 200, ended
    assert ended["statusReason"]["coding"][0] == {"system": REVIEW, "code": "not-justified", "display": "无正当理由"}


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"reason": [{"coding": [{"system": ACT_REASON, "code": "BTG"}]}]}, "reason.text"),
        ({"agent": [{"who": {"display": "督导"}}]}, "agent"),
        ({"agent": [{"who": {"reference": "PractitionerRole/0190a000-0000-7000-8000-00000000abcd"}}]}, "agent"),
    ],
)
async def test_a_glass_is_broken_for_a_reason_by_a_supervisor(world: World, change: dict[str, Any], where: str) -> None:
    referred = await waiting(world)
    answer = await refused(world, world.party("agency-a"), "Provenance", await glass(world, referred, **change), 422)
    assert expressions(answer) == [f"Provenance.{where}"]
    assert (await world.party("agency-a").get(referred.patient)).status == 404


async def test_no_glass_stands_before_an_offer_nor_before_anothers_share(world: World) -> None:
    referred = await world.refer("N05")
    answer = await refused(world, world.party("agency-a"), "Provenance", await glass(world, referred), 422)
    assert expressions(answer) == ["Provenance.target"]
    for party, status in (("agency-b", 404), ("his-a", 403)):
        await refused(world, world.party(party), "Provenance", await glass(world, referred), status)
    assert (await world.party("agency-a").get(referred.patient)).status == 404


# ---- told afterwards ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["HLEGAL", "ETREAT"])
async def test_a_lawful_basis_owes_the_person_to_be_told(world: World, code: str) -> None:
    referred = await waiting(world)
    decided = [{"who": {"reference": world.organizations["agency-a"]}}, {"who": {"reference": await supervisor(world)}}]
    made = await world.party("platform").post("Provenance", basis(world, referred, code, agent=decided))
    assert made.status == 201, made
    ward = world.party("his-a")
    duty = (await ward.search("Task?code=notify-later"))[0]
    assert duty["owner"]["reference"] == world.organizations["hospital-a"] and "restriction" in duty
    async with world.as_owner() as connection:
        row = await connection.fetchrow("SELECT decided_by, reason_text FROM consent WHERE id = $1", made["id"])
    assert (row["decided_by"], row["reason_text"]) == (await supervisor(world), "法定报告职责")
    done = await ward.put(duty, status="completed", statusReason={"text": "已电话告知本人"})
    assert done.status == 200, done


async def test_nobody_is_told_while_telling_may_do_harm(world: World) -> None:
    referred = await waiting_for_safety(world)
    assert (await world.party("platform").post("Provenance", basis(world, referred))).status == 201
    ward = world.party("his-a")
    duty = (await ward.search("Task?code=notify-later"))[0]
    blocked = await ward.put(duty, status="completed", statusReason={"text": "已告知"})
    assert blocked.status == 409, blocked
    assert (await ward.read(f"Task/{duty['id']}"))["status"] == "accepted"
    off = await ward.put(duty, status="cancelled", statusReason={"text": "督导决定不告知"})
    assert off.status == 200, off


async def waiting_for_safety(world: World) -> Referred:
    referred = await world.refer("N12")
    await world.accepted(referred, consent=False)
    return referred


async def test_a_question_can_still_be_asked_while_the_glass_is_broken(world: World) -> None:
    referred = await waiting(world)
    await broken(world, referred)
    share = await share_of(world, referred)
    asked = message("question", f"Task/{share['id']}", payload=[{"contentString": "家属电话？"}])
    assert (await world.party("agency-a").post("Communication", asked)).status == 201
