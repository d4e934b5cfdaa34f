"""“More information needed”: several questions at once, whose clock stands and whose runs, messages both ways, and the undo of an
acceptance with a question open (moves.md: ask, answer, return)."""

from datetime import timedelta
from typing import Any

import pytest

from tests.http.loop import (
    crisis,
    done,
    ending,
    later,
    message,
    nothing_changes,
    refused,
    says,
    share_in,
    started,
    sweep,
)
from tests.http.world import Answered, World, reason


def payload(text: str) -> dict[str, Any]:
    return {"payload": [{"contentString": text}]}


async def ask(world: World, share: dict[str, Any], text: str = "住几楼？", by: str = "agency-a") -> Answered:
    return done(
        await world.party(by).post("Communication", message("question", f"Task/{share['id']}", **payload(text)))
    )


async def reply(world: World, *questions: Answered, by: str = "his-a", **more: Any) -> Answered:
    to = [{"reference": f"Communication/{question['id']}"} for question in questions]
    return await world.party(by).post("Communication", message(None, inResponseTo=to, **payload("三楼，无电梯")) | more)


async def test_with_several_questions_open_the_clock_runs_on_with_the_last_answer(world: World) -> None:
    agency = world.party("agency-a")
    offer = await world.offer(await world.refer("N05"))
    first, second, third = [await ask(world, offer, text) for text in ("住几楼？", "有无家属？", "能否自理？")]
    for answered in ((first,), (third,)):
        done(await reply(world, *answered))
        assert says(await agency.read(f"Task/{offer['id']}")) == "awaiting-information"
    done(await reply(world, second))
    after = await agency.read(f"Task/{offer['id']}")
    assert says(after) == "offered" and ending(after) >= ending(offer)
    found = await agency.search(f"Communication?about=Task/{offer['id']}")
    assert len(found) == 6, "each question and each answer is there for both"
    assert {c["id"] for c in found} == {
        c["id"] for c in await world.party("his-a").search(f"Communication?about=Task/{offer['id']}")
    }


async def test_one_answer_may_answer_several_questions(world: World) -> None:
    offer = await world.offer(await world.refer("N05"))
    asked = [await ask(world, offer), await ask(world, offer)]
    done(await reply(world, *asked))
    assert says(await world.party("agency-a").read(f"Task/{offer['id']}")) == "offered"


async def test_asking_again_starts_no_second_clock(world: World) -> None:
    agency = world.party("agency-a")
    offer = await world.offer(await world.refer("N05"))
    await ask(world, offer)
    waiting = await agency.read(f"Task/{offer['id']}")
    await ask(world, offer)
    assert ending(await agency.read(f"Task/{offer['id']}")) == ending(waiting)


async def test_an_answer_to_another_agencys_question_answers_nothing_here(world: World) -> None:
    offer = await world.offer(await world.refer("N05"))
    other = await world.offer(await world.refer("N06"), "agency-b")
    foreign = await ask(world, other, by="agency-b")
    await ask(world, offer)
    done(await reply(world, foreign, about=[{"reference": f"Task/{offer['id']}"}]))
    assert says(await world.party("agency-a").read(f"Task/{offer['id']}")) == "awaiting-information"


async def test_while_a_question_waits_the_offer_does_not_expire_and_the_hospital_is_next(world: World) -> None:
    agency = world.party("agency-a")
    referred = await world.refer("N05")
    offer = await world.offer(referred)
    await ask(world, offer)
    _, step = await world.timeline(referred)
    assert step is not None and step["what"] == "answer"
    assert step["who"]["reference"] == world.organizations["hospital-a"]
    assert await sweep(world, "expire", later(days=9)) == 0
    assert (await agency.read(f"Task/{offer['id']}"))["status"] == "requested"


@pytest.mark.parametrize("state", ["accepted", "in-progress"])
async def test_a_question_stops_the_agencys_own_clock_later_too(world: World, state: str) -> None:
    agency = world.party("agency-a")
    share = await share_in(world, state)
    before = await agency.read(f"Task/{share['id']}")
    question = await ask(world, share)
    waiting = await agency.read(f"Task/{share['id']}")
    assert waiting["status"] == state
    async with world.as_owner() as owner:
        kept = await owner.fetchval(
            "SELECT snapshot -> 'clocks' FROM task_version WHERE task_id = $1 ORDER BY version DESC LIMIT 1",
            share["id"],
        )
    assert '"left"' in kept and '"information"' in kept
    done(await reply(world, question))
    after = await agency.read(f"Task/{share['id']}")
    assert says(after) == says(before) and ending(after) >= ending(before) - timedelta(seconds=2)


async def test_a_crisis_waits_for_no_answer(world: World) -> None:
    referred = await world.refer("N05")
    share = await started(world, referred)
    done(await world.party("agency-a").post("Communication", crisis("raised", f"Task/{share['id']}")))
    _, before = await world.timeline(referred)
    await ask(world, share)
    _, after = await world.timeline(referred)
    assert after == before and after is not None and after["what"] == "acknowledge"


# ---- both ways -----------------------------------------------------------------------------------------------------------


async def test_the_hospital_writes_to_the_agency_and_the_agency_writes_back_without_touching_a_clock(
    world: World,
) -> None:
    agency, hospital = world.party("agency-a"), world.party("his-a")
    share = await world.accepted(await world.refer("N05"))
    before = await agency.read(f"Task/{share['id']}")
    told = done(
        await hospital.post("Communication", message(None, f"Task/{share['id']}", **payload("今天下午能来病房吗？")))
    )
    back = done(await reply(world, told, by="agency-a"))
    after = await agency.read(f"Task/{share['id']}")
    assert (says(after), ending(after)) == (says(before), ending(before))
    assert (await hospital.read(f"Communication/{back['id']}"))["payload"] == [{"contentString": "三楼，无电梯"}]
    assert (await hospital.read(f"Communication/{back['id']}"))["inResponseTo"] == [
        {"reference": f"Communication/{told['id']}"}
    ]


async def test_nobody_answers_their_own_question(world: World) -> None:
    offer = await world.offer(await world.refer("N05"))
    question = await ask(world, offer)
    async with nothing_changes(world):
        refused(await reply(world, question, by="agency-a"), 403)
        refused(
            await world.party("his-a").post(
                "Communication", message("question", f"Task/{offer['id']}", **payload("？"))
            ),
            403,
        )


async def test_the_coordinator_asks_the_hospital_on_the_agencys_behalf(world: World) -> None:
    offer = await world.offer(await world.refer("N05"))
    question = await ask(world, offer, by="platform")
    assert says(await world.party("agency-a").read(f"Task/{offer['id']}")) == "awaiting-information"
    done(await reply(world, question))
    assert says(await world.party("agency-a").read(f"Task/{offer['id']}")) == "offered"


# ---- the undo of an acceptance ---------------------------------------------------------------------------------------------


async def test_an_acceptance_is_returned_while_a_question_is_open(world: World) -> None:
    agency = world.party("agency-a")
    referred = await world.refer("N05")
    offer = await world.offer(referred)
    question = await ask(world, offer)
    taken = done(await agency.put(offer, status="accepted"))
    back = done(await agency.put(taken, status="cancelled", statusReason=reason("needs-more-info")))
    assert says(back) == "returned"
    assert says(await world.offer(referred, "agency-b")) == "offered", "the next agency has a clock of its own"
    done(await reply(world, question))
    assert says(await agency.read(f"Task/{offer['id']}")) == "returned", "an answer that comes late is a message"


async def test_a_question_asked_of_an_offer_is_still_to_be_answered_after_it_is_accepted(world: World) -> None:
    agency = world.party("agency-a")
    referred = await world.refer("N05")
    offer = await world.offer(referred)
    question = await ask(world, offer)
    taken = done(await agency.put(offer, status="accepted"))
    await world.consent(referred, "agency-a")
    assert says(await agency.read(f"Task/{taken['id']}")) == "awaiting-information"
    done(await reply(world, question))
    assert says(await agency.read(f"Task/{taken['id']}")) == "accepted"
