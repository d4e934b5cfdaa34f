"""A message is what it says it is: a misspelt word of ours, or a crisis that does not say so, is never taken for a note."""

import uuid
from typing import Any

import pytest

from tests.http.world import World


def message(about: str, category: str | None = None, **more: Any) -> dict[str, Any]:
    said = {"category": [{"coding": [{"system": "urn:yuanshe:message", "code": category}]}]} if category else {}
    return {"resourceType": "Communication", "status": "completed", "about": [{"reference": about}], **said, **more}


RAISED = [{"coding": [{"system": "urn:yuanshe:crisis", "code": "raised"}], "text": "危险"}]


@pytest.mark.parametrize("category", ["crisiss", "zzz", None])
async def test_a_crisis_that_is_misspelt_is_refused_and_not_kept_as_a_note(world: World, category: str | None) -> None:
    referred = await world.refer("N05")
    offer = await world.offer(referred)
    refused = await world.party("agency-a").post(
        "Communication", message(f"Task/{offer['id']}", category, reasonCode=RAISED)
    )
    assert refused.status == 422 and refused["issue"][0]["expression"] == ["Communication.category"]
    assert await world.party("agency-a").search("Communication?status=completed") == []


@pytest.mark.parametrize("sent", ["nonsense", "2026-02-30T10:00:00Z", "0001-01-01T00:00:00+14:00"])
async def test_a_message_was_sent_at_a_time_that_there_is(world: World, sent: str) -> None:
    offer = await world.offer(await world.refer("N05"))
    answer = await world.party("agency-a").post("Communication", message(f"Task/{offer['id']}", sent=sent))
    assert answer.status == 422 and answer["issue"][0]["expression"] == ["Communication.sent"]


async def test_the_clock_waits_until_every_question_is_answered(world: World) -> None:
    hospital, agency = world.party("his-a"), world.party("agency-a")
    offer = await world.offer(await world.refer("N05"))
    task = f"Task/{offer['id']}"
    asked = [
        await agency.post("Communication", message(task, "question", payload=[{"contentString": words}]))
        for words in ("轮椅？", "语言？")
    ]
    for position, left in ((1, "awaiting-information"), (0, "offered")):
        answer = message(
            task,
            "answer",
            inResponseTo=[{"reference": f"Communication/{asked[position]['id']}"}],
            payload=[{"contentString": "是"}],
        )
        assert (await hospital.post("Communication", answer)).status == 201
        assert (await agency.read(task))["businessStatus"]["coding"][0]["code"] == left


async def test_a_question_says_what_is_asked(world: World) -> None:
    offer = await world.offer(await world.refer("N05"))
    refused = await world.party("agency-a").post("Communication", message(f"Task/{offer['id']}", "question"))
    assert refused.status == 422 and refused["issue"][0]["expression"] == ["Communication.payload"]


@pytest.mark.parametrize(
    ("system", "code", "follow_ups"),
    [
        ("http://terminology.hl7.org/CodeSystem/discharge-disposition", "home", 5),
        ("http://terminology.hl7.org/CodeSystem/discharge-disposition", "exp", 0),
        ("urn:oid:2.16.156.10011.2.3.1.265", "4", 5),
    ],
)
async def test_the_way_of_leaving_is_read_in_both_codings(
    world: World, system: str, code: str, follow_ups: int
) -> None:
    hospital = world.party("his-a")
    referred = await world.refer("N05")
    bed = await hospital.read(referred.stay)
    left = {"dischargeDisposition": {"coding": [{"system": system, "code": code}]}}
    done = await hospital.put(
        bed, status="finished", period=bed["period"] | {"end": "2026-11-20T10:00:00+08:00"}, hospitalization=left
    )
    assert done.status == 200, done
    assert len(await hospital.search(f"Task?based-on={referred.request}&status=accepted&code=follow-up")) == follow_ups


async def test_a_way_of_leaving_that_nobody_knows_is_refused_rather_than_lost(world: World) -> None:
    hospital = world.party("his-a")
    bed = await hospital.read((await world.refer("N05")).stay)
    left = {"dischargeDisposition": {"coding": [{"system": "urn:x", "code": str(uuid.uuid4())}]}}
    refused = await hospital.put(
        bed, status="finished", period=bed["period"] | {"end": "2026-11-20T10:00:00+08:00"}, hospitalization=left
    )
    assert refused.status == 422
    assert refused["issue"][0]["expression"] == ["Encounter.hospitalization.dischargeDisposition"]
