"""The queue in a real browser: every act by its key, undo, two people at one offer, news that moves nothing, many at once."""

import re
from typing import Any

import pytest

from service.casework import bulk_flow
from tests.http.world import World
from tests.web.chromium import Visit, journey, visit
from tests.web.test_queue import overdue, own_worker

pytestmark = journey
SAID = {
    "zh-CN": {
        "accept": "已接单", "mine": "您已接单", "return": "已退回", "decline": "已退单", "ask": "问题已发给医院", "start": "已开始服务", "hold": "已暂停",
        "resume": "已恢复服务", "held": "暂停中", "keys": "看最急的", "undo": "撤销", "words": "紧急 未接",
    },
    "en-GB": {
        "accept": "Accepted", "mine": "You accepted it", "return": "Returned", "decline": "Declined", "ask": "question", "start": "started",
        "hold": "hold", "resume": "resumed", "held": "On hold", "keys": "most urgent", "undo": "Undo", "words": "urgent unanswered",
    },
}  # fmt: skip


async def at_the_queue(chromium: Any, site: str, path: str = "/queue", login: str = "worker-a", size: str = "desk", language: str = "zh-CN") -> Visit:  # fmt: skip
    one = await visit(chromium, site, size, language)
    await one.sign_in(login)
    await one.goto(path)
    return one


def full(task: str) -> str:
    return f'[data-full="{task}"]'


def row(task: str) -> str:
    return f'[data-list] > [data-task="{task}"]'


async def opened(one: Visit, task: str) -> None:
    await one.page.locator(f"[data-detail]:not([aria-busy]) {full(task)}").wait_for()


async def done(one: Visit, words: str) -> None:
    await one.page.locator(".done", has_text=re.compile(words, re.IGNORECASE)).wait_for()


@pytest.mark.parametrize("language", SAID)
async def test_a_day_at_the_keyboard(world: World, site: str, chromium: Any, language: str) -> None:
    """Accept, undo, decline by a number, ask, start, hold, resume, filter, select, help: no mouse."""
    say = SAID[language]
    offers = [(await world.offer(await world.refer("N05")))["id"] for _ in range(3)]
    share = (await world.accepted(await world.refer("N05")))["id"]
    one = await at_the_queue(chromium, site, "/queue?view=offers", language=language)
    press = one.page.keyboard.press
    await press("j")
    await opened(one, offers[0])
    await press("a")
    await done(one, say["accept"])
    await one.page.locator(f"{row(offers[0])}.over", has_text=say["mine"]).wait_for()
    await opened(one, offers[1])
    await press("u")
    await done(one, say["return"])
    await opened(one, offers[1])
    await press("d")
    await one.page.locator("details[open] [data-number='2']").wait_for()
    await press("2")
    assert await one.page.evaluate("document.activeElement.value") == "waitlist"
    await press("Enter")
    await done(one, say["decline"])
    await opened(one, offers[2])
    await press("i")
    await one.page.keyboard.type("何时出院？")
    await press("Control+Enter")
    await done(one, say["ask"])
    declined = await world.party("agency-a").read(f"Task/{offers[1]}")
    assert declined["status"] == "rejected" and declined["statusReason"]["coding"][0]["code"] == "waitlist"
    await one.goto("/queue?view=unassigned")
    await press("j")
    await opened(one, share)
    await press("s")
    await done(one, say["start"])
    await opened(one, share)
    await press("h")
    await one.page.keyboard.type("回家休养")
    await press("Control+Enter")
    await done(one, say["hold"])
    await opened(one, share)
    await press("u")
    await done(one, say["resume"])
    assert (await world.party("agency-a").read(f"Task/{share}"))["status"] == "in-progress"
    await one.goto("/queue")
    await press("?")
    await one.page.locator("#keys[open]", has_text=say["keys"]).wait_for()
    await press("Escape")
    await press("/")
    await one.page.keyboard.type(say["words"])
    await press("Enter")
    await one.page.wait_for_url("**q=asap+offered*")
    assert await one.faults() == []


async def test_a_key_meant_for_the_next_row_never_acts_on_the_one_before(
    world: World, site: str, chromium: Any
) -> None:
    first, second = [(await world.offer(await world.refer("N05")))["id"] for _ in range(2)]
    one = await at_the_queue(chromium, site, "/queue?view=offers")
    await one.page.keyboard.press("j")
    await opened(one, first)
    # Pressed one behind the other: the second row is still on its way when the act is asked for.
    await one.page.keyboard.press("j")
    await one.page.keyboard.press("a")
    await done(one, "已接单")
    statuses = [(await world.party("agency-a").read(f"Task/{task}"))["status"] for task in (first, second)]
    assert statuses == ["requested", "accepted"]


async def test_of_two_at_one_offer_the_slower_is_told_and_goes_on(world: World, site: str, chromium: Any) -> None:
    first, second = [(await world.offer(await world.refer("N05")))["id"] for _ in range(2)]
    quick = await at_the_queue(chromium, site, f"/queue?view=offers&open={first}")
    slow = await at_the_queue(chromium, site, f"/queue?view=offers&open={first}", "worker-a2")
    await quick.page.keyboard.press("a")
    await done(quick, "已接单")
    await slow.page.keyboard.press("a")
    await slow.page.locator(".fault-box", has_text=world.said["people"]["worker-a"]["name"]).wait_for()
    await slow.page.locator(f"{row(first)}.over").wait_for()
    await opened(slow, second)
    share = await world.party("agency-a").read(f"Task/{first}")
    assert share["owner"]["reference"].endswith(await own_worker(world))


async def test_what_happens_elsewhere_changes_rows_in_their_places_and_moves_none(
    world: World, site: str, chromium: Any, worker: None
) -> None:
    """Waits on the event: a commit by other programs and people, told by the service's own worker."""
    tasks = [(await world.offer(await world.refer("N02")))["id"] for _ in range(3)]
    one = await at_the_queue(chromium, site, "/queue?view=offers")
    await one.page.locator("html[data-live=on]").wait_for(state="attached")
    await one.page.evaluate("""() => { window.shifted = 0;
        new PerformanceObserver((list) => { for (const each of list.getEntries()) window.shifted += each.value; }).observe({ type: "layout-shift" }); }""")  # fmt: skip
    before = await one.page.evaluate("[...document.querySelectorAll('[data-list] > li')].map((row) => row.getBoundingClientRect().top)")  # fmt: skip
    await world.refer("N05")  # More urgent: it would stand first.
    pill = one.page.locator("[data-pill]:not([hidden])")
    await pill.wait_for()
    assert await pill.inner_text() == "1 条新转介"
    await one.page.locator('[data-count="offers"]', has_text="4").wait_for()
    taken = await world.party("agency-a").put(await world.party("agency-a").read(f"Task/{tasks[1]}"), status="accepted")
    assert taken.status == 200
    await one.page.locator(f"{row(tasks[1])}.over", has_text="已由").wait_for()
    shown = await one.page.evaluate("[...document.querySelectorAll('[data-list] > li')].map((row) => row.dataset.task)")
    after = await one.page.evaluate("[...document.querySelectorAll('[data-list] > li')].map((row) => row.getBoundingClientRect().top)")  # fmt: skip
    assert shown == tasks and after == before and await one.page.evaluate("window.shifted") == 0
    await pill.click()
    await one.page.locator("[data-list] > [data-task]:nth-child(3)").wait_for()
    assert await one.page.locator("[data-list] > [data-task]").count() == 3
    assert await one.faults() == []


async def test_rows_are_chosen_by_key_and_range_and_the_bar_says_what_will_happen(
    world: World, site: str, chromium: Any
) -> None:
    tasks = [(await world.offer(await world.refer("N05")))["id"] for _ in range(5)]
    one = await at_the_queue(chromium, site, "/queue?view=offers")
    await one.page.keyboard.press("j")
    await one.page.keyboard.press("x")
    for _ in range(3):
        await one.page.keyboard.press("j")
    await one.page.keyboard.press("Shift+X")
    button = one.page.locator("form[data-many] button[value=accept]")
    assert await button.inner_text() == "接单 4 条"
    request = await world.party("his-a").search(f"ServiceRequest?_id={(await world.party('his-a').search('Task'))[0]['focus']['reference'].split('/')[1]}")  # fmt: skip
    assert request
    await button.click()
    await one.page.wait_for_url("**/queue/bulk/*")
    while await bulk_flow.step(world.database):
        pass
    await one.page.locator(".outcome", has_text="全部办成").wait_for()
    assert await one.faults() == []
    statuses = [(await world.party("agency-a").read(f"Task/{task}"))["status"] for task in tasks]
    assert statuses == ["accepted"] * 4 + ["requested"]


async def test_a_row_that_does_not_come_says_so(world: World, site: str, chromium: Any) -> None:
    await world.offer(await world.refer("N05"))
    one = await at_the_queue(chromium, site, "/queue?view=offers")
    await one.page.route("**/queue/row/*", lambda route: route.abort())
    await one.page.keyboard.press("j")
    await one.page.locator("[data-detail] .fault", has_text="这一条没有打开").wait_for()


@pytest.mark.parametrize("size", ["desk", "tablet", "phone"])
async def test_no_state_of_the_queue_has_a_serious_fault(world: World, site: str, chromium: Any, size: str) -> None:
    for need in ("N05", "N13", "N02"):
        await world.refer(need)
    await overdue(world, (await world.offer(await world.refer("N04")))["id"])
    share = (await world.accepted(await world.refer("N05", "N01")))["id"]
    for language in ("zh-CN", "en-GB"):
        one = await at_the_queue(chromium, site, f"/queue?open={share}", size=size, language=language)
        assert await one.faults() == [], (language, "open")
        await one.goto("/queue?q=offered+r520502001")
        assert await one.faults() == [], (language, "filtered")
        await one.goto("/queue?view=held")
        assert await one.faults() == [], (language, "empty")
        if size == "phone":
            await one.goto("/queue")
            await one.page.locator("[data-list] .open").first.click()
            await one.page.locator(".queue.opened .detail").wait_for()
            await one.page.go_back()
            await one.page.locator("[data-list]").wait_for()


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_a_thousand_rows_of_which_some_fail(world: World, site: str, chromium: Any, worker: None) -> None:
    """All of a view at once; the page is left and come back to; what failed stays selected with its reason."""
    async with world.as_owner() as owner:
        await owner.execute("UPDATE agency_service SET places = 2000 WHERE key = 'agency-a-msw'")
        await owner.execute("INSERT INTO place (service_id, number) SELECT id, n FROM agency_service, generate_series(501, 2000) AS n WHERE key = 'agency-a-msw'")  # fmt: skip
    referred = [await world.refer("N05") for _ in range(1000)]
    one = await at_the_queue(chromium, site, "/queue?view=offers")
    assert await one.page.locator('[data-count="offers"]').inner_text() == "99+"
    await one.page.locator("[data-all]").check()
    # Some are gone by the time their turn comes.
    async with world.as_owner() as owner:
        await owner.execute("UPDATE partnership SET mode = 'manual'")
    await one.page.locator("form[data-many] button[value=accept]").click()
    await one.page.wait_for_url("**/queue/bulk/*")
    there = one.page.url
    for each in referred[-10:]:
        request = await world.party("his-a").read(each.request)
        await world.party("his-a").put(request, status="revoked")
    await one.goto("/queue")
    await one.page.locator(".running a").click()
    await one.page.wait_for_url(there)
    await one.page.locator(".outcome").wait_for(timeout=300_000)
    async with world.as_owner() as owner:
        states = {r["state"]: r["n"] for r in await owner.fetch("SELECT state, count(*)::int AS n FROM bulk_row GROUP BY state")}  # fmt: skip
        accepted = await owner.fetchval("SELECT count(*) FROM task WHERE status = 'accepted' AND kind = 'share'")
        lines = await owner.fetchval("SELECT count(*) FROM audit WHERE interaction = 'page-bulk-accept'")
    assert states["done"] == accepted and sum(states.values()) == 1000 == lines and states.get("refused", 0) >= 1, (
        states
    )
    assert await one.page.locator(".results .why").count() == states["refused"]
    assert await one.faults() == []


async def test_a_question_that_was_typed_outlives_the_session(world: World, site: str, chromium: Any) -> None:
    offer = (await world.offer(await world.refer("N05")))["id"]
    one = await at_the_queue(chromium, site, "/queue?view=offers")
    await one.page.keyboard.press("j")
    await opened(one, offer)
    await one.page.keyboard.press("i")
    await one.page.keyboard.type("家属何时能到？")
    async with world.as_owner() as owner:
        await owner.execute("DELETE FROM web_session")
    await one.page.keyboard.press("Control+Enter")
    await one.page.locator("button[value=worker-a]").click()  # The door leads back to where they were.
    box = one.page.locator("details[open] textarea[name=words]")
    await box.wait_for()
    assert await box.input_value() == "家属何时能到？"
    await box.press("Control+Enter")
    await done(one, "问题已发给医院")
    async with world.as_owner() as owner:
        assert await owner.fetchval("SELECT count(*) FROM event WHERE kind = 'ask'") == 1


async def test_a_key_pressed_twice_accepts_one_offer(world: World, site: str, chromium: Any) -> None:
    first, second = [(await world.offer(await world.refer("N05")))["id"] for _ in range(2)]
    one = await at_the_queue(chromium, site, f"/queue?view=offers&open={first}")
    await one.page.keyboard.press("a")
    await one.page.keyboard.press("a")
    await done(one, "已接单")
    await opened(one, second)
    statuses = [(await world.party("agency-a").read(f"Task/{task}"))["status"] for task in (first, second)]
    assert statuses == ["accepted", "requested"], "the next one was not seen yet"
