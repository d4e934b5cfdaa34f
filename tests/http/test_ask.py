"""Questions and answers about an offer; an answer names nobody before disclosure (contract.md, “Ask and answer”)."""

from typing import Any

import pytest

from tests.http.loop import done, ending, message, nothing_changes, refused, says
from tests.http.world import Answered, World, named

WORDS = {"payload": [{"contentString": "是否需要轮椅？"}]}


async def asked(world: World) -> tuple[Answered, Answered]:
    referred = await world.refer("N05")
    offer = await world.offer(referred)
    question = done(
        await world.party("agency-a").post("Communication", message("question", f"Task/{offer['id']}", **WORDS))
    )
    return offer, question


async def test_behaviour_22_a_question_stops_the_agencys_clock_and_the_answer_lets_it_run(world: World) -> None:
    hospital, agency = world.party("his-a"), world.party("agency-a")
    offer, question = await asked(world)
    waiting = await agency.read(f"Task/{offer['id']}")
    assert waiting["status"] == "requested" and says(waiting) == "awaiting-information"
    assert says(await hospital.read(f"Task/{offer['id']}")) == "awaiting-information"
    answered = done(
        await hospital.post(
            "Communication",
            message(
                None,
                inResponseTo=[{"reference": f"Communication/{question['id']}"}],
                payload=[{"contentString": "需要"}],
            ),
        )
    )
    after = await agency.read(f"Task/{offer['id']}")
    assert says(after) == "offered" and ending(after) >= ending(offer)
    assert (await agency.read(f"Communication/{answered['id']}"))["payload"] == [{"contentString": "需要"}]
    for place in ("about", "based-on"):
        found = await agency.search(f"Communication?{place}=Task/{offer['id']}")
        assert {c["id"] for c in found} == {question["id"], answered["id"]}


async def test_an_offer_with_an_open_question_is_still_answered(world: World) -> None:
    offer, _ = await asked(world)
    taken = done(await world.party("agency-a").put(offer, status="accepted"))
    assert taken["status"] == "accepted"


async def test_a_question_may_stand_in_based_on_as_well(world: World) -> None:
    offer = await world.offer(await world.refer("N05"))
    done(
        await world.party("agency-a").post(
            "Communication", message("question", None, basedOn=[{"reference": f"Task/{offer['id']}"}], **WORDS)
        )
    )
    assert says(await world.party("agency-a").read(f"Task/{offer['id']}")) == "awaiting-information"


async def test_who_asks_and_who_answers(world: World) -> None:
    offer, question = await asked(world)
    reply = message(
        None, inResponseTo=[{"reference": f"Communication/{question['id']}"}], payload=[{"contentString": "需要"}]
    )
    async with nothing_changes(world):
        refused(await world.party("agency-a").post("Communication", reply), 403)
        for other in ("his-b", "agency-b"):
            answer = await world.party(other).post("Communication", reply)
            assert answer.status in (404, 422), answer
            refused(
                await world.party(other).post("Communication", message("question", f"Task/{offer['id']}", **WORDS)), 404
            )
        refused(
            await world.party("his-a").post("Communication", message("question", f"Task/{offer['id']}", **WORDS)), 403
        )
        refused(await world.party("agency-a").post("Communication", message("question", **WORDS)), 422)
        refused(
            await world.party("agency-a").post("Communication", message("receipt", f"Task/{offer['id']}", **WORDS)), 403
        )


NAMED: list[dict[str, Any]] = [
    {"payload": [{"contentString": "陈素芬需要轮椅"}]},
    {"payload": [{"contentString": "陈 素 芬需要轮椅"}]},
    {"payload": [{"contentString": "联系 138-0000-0001"}]},
    {"payload": [{"contentString": "住院号 MRN-77"}]},
    {"payload": [{"contentString": "需要"}], "note": [{"text": "陈素芬"}]},
    {"payload": [{"contentString": "需要"}], "text": {"status": "generated", "div": "<div>陈素芬</div>"}},
    {"payload": [{"contentString": "需要"}], "topic": {"text": "陈素芬"}},
    {"payload": [{"contentAttachment": {"title": "陈素芬.pdf"}}]},
    {
        "payload": [{"contentString": "需要"}],
        "contained": [{"resourceType": "Patient", "id": "p", "name": [{"text": "陈素芬"}]}],
        "recipient": [{"reference": "#p"}],
    },
]
REFERRING: list[dict[str, Any]] = [
    {"subject": {"reference": "PATIENT"}},
    {"encounter": {"reference": "STAY"}},
    {"about": [{"reference": "REQUEST"}]},
    {"payload": [{"contentString": "需要"}, {"contentReference": {"reference": "REQUEST"}}]},
]


async def written(world: World, kind: str, body: dict[str, Any]) -> tuple[Answered, str, dict[str, Any]]:
    """An offer with a question, the person's references, and what the hospital is about to write."""
    referred = await world.refer("N05", mrn="MRN-77")
    offer = await world.offer(referred)
    question = done(
        await world.party("agency-a").post("Communication", message("question", f"Task/{offer['id']}", **WORDS))
    )
    body = named(body, {"PATIENT": referred.patient, "STAY": referred.stay, "REQUEST": referred.request})
    sent = message(None) | {"payload": [{"contentString": "需要"}]} | body
    if kind == "answer":
        sent["inResponseTo"] = [{"reference": f"Communication/{question['id']}"}]
    sent["about"] = [{"reference": f"Task/{offer['id']}"}, *sent.get("about", [])]
    return offer, f"{referred.patient} {referred.stay} {referred.request}", sent


@pytest.mark.parametrize("body", NAMED)
@pytest.mark.parametrize("kind", ["answer", "message"])
async def test_before_disclosure_the_hospital_names_nobody_to_the_agency(
    world: World, body: dict[str, Any], kind: str
) -> None:
    _, _, sent = await written(world, kind, body)
    async with nothing_changes(world):
        refused(await world.party("his-a").post("Communication", sent), 422, "name, number or phone")


@pytest.mark.parametrize("body", REFERRING)
async def test_what_the_hospital_refers_to_is_its_own_to_read(world: World, body: dict[str, Any]) -> None:
    offer, person, sent = await written(world, "answer", body)
    told = done(await world.party("his-a").post("Communication", sent))
    assert says(await world.party("agency-a").read(f"Task/{offer['id']}")) == "offered"
    seen = await world.party("agency-a").read(f"Communication/{told['id']}")
    assert seen["payload"] == [{"contentString": "需要"}]
    assert seen["about"] == seen["basedOn"] == [{"reference": f"Task/{offer['id']}"}]
    everything = str(await world.party("agency-a").search("Communication"))
    assert not any(name in everything for name in person.split())
    kept = str(await world.party("his-a").read(f"Communication/{told['id']}"))
    assert any(name in kept for name in person.split())


async def test_after_disclosure_the_hospital_may_name_the_person(world: World) -> None:
    referred = await world.refer("N05")
    share = await world.accepted(referred)
    told = message(
        None,
        f"Task/{share['id']}",
        payload=[{"contentString": "陈素芬今天出院"}],
        subject={"reference": referred.patient},
    )
    told = done(await world.party("his-a").post("Communication", told))
    assert "陈素芬" in str(await world.party("agency-a").read(f"Communication/{told['id']}"))


async def test_while_on_hold_a_question_can_still_be_answered(world: World) -> None:
    hospital, agency = world.party("his-a"), world.party("agency-a")
    referred = await world.refer("N05")
    share = await world.accepted(referred)
    question = done(await agency.post("Communication", message("question", f"Task/{share['id']}", **WORDS)))
    share = await agency.read(f"Task/{share['id']}")
    done(await agency.put(share, status="on-hold", statusReason={"text": "等答复"}))
    done(
        await hospital.post(
            "Communication",
            message(
                None,
                inResponseTo=[{"reference": f"Communication/{question['id']}"}],
                payload=[{"contentString": "需要"}],
            ),
        )
    )
    held = await agency.read(f"Task/{share['id']}")
    assert held["status"] == "on-hold" and says(held) == "paused"
    assert says(done(await agency.put(held, status="in-progress"))) == "in-service"


async def test_nothing_is_asked_of_what_has_ended_or_rests(world: World) -> None:
    from tests.http.loop import share_in

    for state in ("on-hold", "completed", "rejected"):
        share = await share_in(world, state)
        async with nothing_changes(world):
            refused(
                await world.party("agency-a").post(
                    "Communication", message("question", f"Task/{share['id']}", **WORDS)
                ),
                422,
            )
