"""Follow-ups and the downtime lists in a real browser: a day's calls by keyboard in both languages, no fault by axe, news that move nothing, print."""

import re
from typing import Any

import pytest

from service.values import utc_now
from tests.http.loop import attempt, done, sweep
from tests.http.world import World
from tests.web.chromium import journey, visit
from tests.web.test_follow_ups import planned, says

pytestmark = journey

WORDS = {
    "zh-CN": ("已记下这次联系", "无人接听", "已联系上：请记录随访结果", "情况稳定", "已记下随访结果"),
    "en-GB": ("The contact is recorded", "Nobody answered", "Reached: record the outcome", "Stable", "The outcome is recorded"),
}  # fmt: skip


@pytest.mark.parametrize("language", ["zh-CN", "en-GB"])
@pytest.mark.parametrize("size", ["desk", "phone"])
async def test_no_page_has_a_serious_fault(world: World, site: str, chromium: Any, size: str, language: str) -> None:
    free, free_ones = await planned(world, days=6)
    limited, limited_ones = await planned(world)
    _, guarded_ones = await planned(world, "N12")
    hours = [{"name": "day", "valueCode": "wed"}, {"name": "begins", "valueTime": "09:00:00"}, {"name": "ends", "valueTime": "09:15:00"}]  # fmt: skip
    await says(world, limited, {"name": "time", "part": hours}, {"name": "message", "valueBoolean": False})
    done(await world.party("agency-a").post("Communication", attempt(free_ones[0], reached=False)))
    await sweep(world, "downtime-lists", utc_now())
    one = await visit(chromium, site, size, language)
    await one.goto("/sign-in")
    await one.page.click("button[value=supervisor-a]")
    await one.page.locator("nav.rail").wait_for()
    one.said.clear()  # What the first page of the day says is its own room's.
    paths = [
        "/follow-ups", *(f"/follow-ups/{each[0]['id']}" for each in (free_ones, limited_ones, guarded_ones)),
        "/downtime", "/downtime/enter",
    ]  # fmt: skip
    for path in paths:
        await one.goto(path)
        for details in await one.page.locator("main details").all():
            await details.evaluate("box => { box.open = true; }")
        assert await one.faults() == [], path
    await one.goto(f"/follow-ups/{free_ones[0]['id']}")
    await one.page.locator("button[name=result][value=other]").click()
    await one.page.locator("[data-fault]").wait_for()
    assert [each for each in await one.faults() if "422" not in each] == [], "what is missing"
    assert free.id != limited.id


@pytest.mark.parametrize("language", ["zh-CN", "en-GB"])
async def test_a_days_calls_are_made_by_keyboard(world: World, site: str, chromium: Any, language: str) -> None:
    recorded, nobody, reached, stable, ended = WORDS[language]
    await planned(world, days=6)
    await planned(world)
    one = await visit(chromium, site, language=language)
    await one.sign_in("worker-a")
    page, press = one.page, one.page.keyboard.press
    await press("g")
    await press("f")
    await page.wait_for_url("**/follow-ups")
    await press("o")
    await page.wait_for_url("**/follow-ups?whose=all")
    await press("j")
    first = await page.evaluate("document.activeElement.getAttribute('href')")
    await press("n")
    await page.wait_for_url(f"**{first}")
    await press("2")  # nobody answered: the way is chosen already
    await page.get_by_text(recorded).wait_for()
    assert nobody in await page.locator(".tries").inner_text()
    await press("1")  # reached
    await page.get_by_text(reached).wait_for()
    button = page.get_by_role("button", name=stable, exact=True)
    await page.locator("#note").focus()
    await page.keyboard.type("家里有女儿照顾")
    await press("Tab")
    assert await page.evaluate("document.activeElement.textContent.trim()") == await button.inner_text()
    await press("Enter")
    await page.get_by_text(ended).wait_for()
    await press("n")
    await page.wait_for_url(re.compile(r"/follow-ups/(?!" + re.escape(first.split("/")[2].split("?")[0]) + ")"))
    await press("?")
    assert await page.locator("#keys").is_visible()
    keys = await page.locator("#keys").inner_text()
    assert "1" in keys and "n" in keys and "c" in keys
    kept = await world.party("agency-a").read(f"Task/{first.split('/')[2].split('?')[0]}")
    assert kept["status"] == "completed" and kept["output"][0]["valueCodeableConcept"]["text"] == "家里有女儿照顾"


async def test_a_result_pressed_twice_or_gone_back_to_is_one_attempt(world: World, site: str, chromium: Any) -> None:
    _, made = await planned(world)
    one = await visit(chromium, site)
    await one.sign_in("worker-a")
    await one.goto(f"/follow-ups/{made[0]['id']}")
    await one.page.evaluate(
        """() => { const b = document.querySelector('[name=result][value=no-answer]'); b.click(); b.click(); }"""
    )
    await one.page.get_by_text("已记下这次联系").wait_for()
    await one.page.go_back()
    await one.page.go_forward()
    await one.page.locator(".tries li").first.wait_for()
    assert await one.page.locator(".tries li").count() == 1
    assert len(await world.party("agency-a").search(f"Communication?based-on=Task/{made[0]['id']}")) == 1


async def test_what_happens_elsewhere_is_said_and_moves_no_row(world: World, site: str, chromium: Any, worker: None) -> None:  # fmt: skip
    _, made = await planned(world)
    one = await visit(chromium, site)
    await one.sign_in("worker-a")
    await one.goto("/follow-ups?whose=all")
    await one.page.locator("html[data-live=on]").wait_for()
    rows = await one.page.locator("[data-rows]").first.inner_text()
    assert not await one.page.locator("#news").is_visible()
    done(await world.party("agency-a").post("Communication", attempt(made[0], reached=False)))
    await one.page.locator("#news").wait_for(state="visible")
    assert await one.page.locator("[data-rows]").first.inner_text() == rows
    await one.page.locator("#news a").click()
    await one.page.get_by_text("已试 1 次").first.wait_for()
    assert "whose=all" in one.page.url


async def test_a_list_is_printed_without_the_frame_and_with_room_to_write(world: World, site: str, chromium: Any) -> None:  # fmt: skip
    await planned(world)
    await sweep(world, "downtime-lists", utc_now())
    one = await visit(chromium, site)
    await one.sign_in("worker-a")
    await one.goto("/downtime")
    assert not await one.page.locator("td.write").first.is_visible()
    await one.page.emulate_media(media="print")
    assert await one.page.locator("td.write").first.is_visible()
    for hidden in (".top", ".rail", ".head", ".lead"):
        assert not await one.page.locator(hidden).first.is_visible(), hidden
    assert "截至" in await one.page.locator(".as-of").first.inner_text()
    assert (await one.page.pdf(prefer_css_page_size=True)).startswith(b"%PDF")
    await one.page.emulate_media(media="screen")
    async with one.page.expect_download() as waiting:
        await one.page.keyboard.press("s")
    kept = await waiting.value
    alone = await visit(chromium, site)
    await alone.page.goto(f"file://{await kept.path()}")
    text = await alone.page.locator("body").inner_text()
    assert "接单" in text or "随访" in text
    assert [each for each in alone.said if not each.startswith("file:")] == [], (
        "it loads nothing, and nothing is missing"
    )


@pytest.mark.parametrize("language", ["zh-CN", "en-GB"])
async def test_what_was_done_meanwhile_is_entered_by_keyboard(world: World, site: str, chromium: Any, language: str) -> None:  # fmt: skip
    _, made = await planned(world)
    one = await visit(chromium, site, language=language)
    await one.sign_in("worker-a")
    await one.goto("/downtime")
    await one.page.keyboard.press("e")
    await one.page.wait_for_url("**/downtime/enter")
    await one.page.locator("#why").focus()
    await one.page.keyboard.type("停机 14:00–16:30")
    await one.page.select_option("#about-1", made[0]["id"])
    await one.page.select_option("#did-1", "attempt:no-answer")
    now = await one.page.evaluate("new Date(Date.now() + 8 * 3600e3).toISOString().slice(0, 16)")
    await one.page.fill("#at-1", now)
    await one.page.select_option("#about-2", made[0]["id"])
    await one.page.select_option("#did-2", "accept")
    await one.page.fill("#at-2", now)
    await one.page.locator("#words-2").focus()
    await one.page.keyboard.press("Enter")
    await one.page.locator("[data-fault]").wait_for()
    assert await one.page.evaluate("document.activeElement.id") == "fault"
    assert await one.page.locator("li.taken").count() == 1 and await one.page.locator("#about-2").count() == 1
    assert await one.page.locator("#about-1").count() == 0
