"""Crises in red until a person acknowledges them, and the board on which a coordinator places what nobody has."""

import re
from typing import Any

from adapters import worker
from service.notices import paging_flow
from service.values import utc_now
from tests.http.loop import crisis, done
from tests.http.world import World
from tests.web.conftest import Browser

PERSON = "陈素芬"


def words(text: str) -> str:
    """What a page says, without its tags."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", text)).strip()


# ---- crises ----------------------------------------------------------------------------------------------------------


async def test_the_red_bar_says_the_most_pressing_crisis_to_those_who_must_act_and_is_empty_else(
    world: World, browser: Any
) -> None:
    nurse: Browser = await browser("nurse-a")
    assert (await nurse.get("/crises")).text.strip() == ""
    referred = await world.refer("N11")
    await world.refer("N12")
    bar = await nurse.get("/crises")
    assert bar.status_code == 200 and "2 项危机等待确认" in bar.text and "轮到「星河医院」确认危机" in words(bar.text)
    assert PERSON not in bar.text and "N11" not in bar.text and "自杀" not in bar.text
    for other in ("worker-a", "supervisor-a", "coordinator", "admin", "bureau"):
        assert (await (await browser(other)).get("/crises")).text.strip() == "", other
    done(await world.party("his-a").post("Communication", crisis("acknowledged", referred.request)))
    assert "1 项危机等待确认" in (await nurse.get("/crises")).text


async def test_a_crisis_past_its_limit_comes_to_the_coordinator(world: World, browser: Any) -> None:
    referred = await world.refer("N11")
    coordinator: Browser = await browser("coordinator")
    assert (await coordinator.get("/crises")).text.strip() == ""
    async with world.as_owner() as connection:
        await connection.execute("UPDATE next_step SET by = now() - interval '5 minutes', warn_at = now() - interval '10 minutes'")  # fmt: skip
    assert "等待「星河医院」确认危机" in words((await coordinator.get("/crises")).text)
    done(await world.party("his-a").post("Communication", crisis("acknowledged", referred.request)))
    assert (await coordinator.get("/crises")).text.strip() == ""


async def test_a_call_that_has_come_to_the_coordinator_shows_and_a_person_acknowledges_in_words(
    world: World, browser: Any
) -> None:
    referred = await world.refer("N11")
    async with world.database.transaction(worker.CLOCK.scope) as session:
        await paging_flow.call_due(session, worker.CLOCK, utc_now())
        # Nobody is on the demo's roster: each rung reaches nobody, and the next one is called at once.
        for _ in range(4):
            await paging_flow.call_due(session, worker.CLOCK, utc_now())
    coordinator: Browser = await browser("coordinator")
    assert "1 项危机等待确认" in (await coordinator.get("/crises")).text
    page = await coordinator.get("/crises/all")
    assert page.status_code == 200 and "第一值班" in page.text and "没有人值班，已呼叫下一级" in page.text
    where = f"/crises/{referred.id}/acknowledge"
    empty = await coordinator.post(where, {"words": "  ", "once": "1"})
    assert empty.status_code == 422 and 'id="fault"' in empty.text and f'href="#words-{referred.id}"' in empty.text
    after = await coordinator.post(where, {"words": "已联系病区护士长，家属在场", "once": "2"})
    assert after.status_code == 200 and "已确认危机" in after.text
    assert (await coordinator.get("/crises")).text.strip() == ""
    page = await coordinator.get("/crises/all")
    assert "制定安全计划" in page.text, "it goes on until it is stood down"
    actions, _ = await world.timeline(referred, "platform")
    assert actions.count("acknowledged") == 1


async def test_who_is_no_party_sees_no_crises(world: World, browser: Any) -> None:
    referred = await world.refer("N11")
    bureau: Browser = await browser("bureau")
    assert (await bureau.get("/crises/all")).status_code == 403
    other: Browser = await browser("worker-b")
    assert "现在没有危机" in (await other.get("/crises/all")).text
    refused = await other.post(f"/crises/{referred.id}/acknowledge", {"words": "x", "once": "1"})
    assert refused.status_code == 404
    nobody: Browser = await browser()
    assert "/sign-in" in str((await nobody.get("/crises/all")).url)
    admin: Browser = await browser("admin")
    assert (await admin.post(f"/crises/{referred.id}/acknowledge", {"words": "x", "once": "1"})).status_code == 403
