"""The pages in a real browser: no serious fault by axe, no error in the console, no mouse needed, in both languages and sizes."""

import os
from typing import Any

import pytest

from tests.http.world import World
from tests.web.chromium import needs_browser, visit

pytestmark = needs_browser


LONG = pytest.mark.skipif(not os.environ.get("YUANSHE_TEST_ALL"), reason="the same pages once more: `make test-all`")


@pytest.mark.parametrize(
    ("size", "language"),
    [
        ("desk", "zh-CN"),
        pytest.param("phone", "en-GB", marks=LONG),
        pytest.param("tablet", "zh-CN", marks=LONG),
        pytest.param("desk", "en-GB", marks=LONG),
        pytest.param("phone", "zh-CN", marks=LONG),
    ],
)
@pytest.mark.parametrize("login", ["nurse-a", "worker-a", "supervisor-a", "coordinator", "admin", "bureau"])
async def test_no_page_of_anybodys_rail_has_a_serious_fault(
    world: World, site: str, chromium: Any, login: str, size: str, language: str
) -> None:
    for need in ("N05", "N11", "N17"):
        await world.refer(need)
    one = await visit(chromium, site, size, language)
    await one.goto("/sign-in")
    assert await one.faults() == [], "the door"
    await one.sign_in(login)
    for path in await one.page.eval_on_selector_all("nav.rail a", "links => links.map(link => link.pathname)"):
        await one.goto(path)
        assert await one.faults() == [], path


async def test_everything_is_done_with_the_keyboard(world: World, site: str, chromium: Any) -> None:
    for need in ("N05", "N06"):
        await world.refer(need)
    one = await visit(chromium, site)
    nurse = world.said["people"]["nurse-a"]
    await one.page.goto(f"{site}/sign-in")
    await one.page.keyboard.type("nurse-a")
    await one.page.keyboard.press("Tab")
    await one.page.keyboard.type(nurse["password"])
    await one.page.keyboard.press("Enter")
    await one.page.wait_for_url(f"{site}/referrals")
    await one.page.keyboard.press("Tab")
    assert await one.page.evaluate("document.activeElement.className") == "skip"
    await one.page.keyboard.press("j")
    await one.page.keyboard.press("j")
    second = await one.page.evaluate("document.activeElement.getAttribute('href')")
    assert second == await one.page.locator("[data-rows] .open").nth(1).get_attribute("href")
    await one.page.keyboard.press("k")
    await one.page.keyboard.press("Enter")
    await one.page.wait_for_url("**/referrals/*")
    await one.page.go_back()
    assert await one.page.locator("h1").inner_text() == "我的转介"


async def test_a_session_about_to_end_says_so_and_goes_on_at_one_key(world: World, site: str, chromium: Any) -> None:
    one = await visit(chromium, site)
    await one.page.clock.install()
    await one.sign_in("nurse-a")
    assert not await one.page.locator("#ending").is_visible()
    await one.page.clock.fast_forward("26:00")
    await one.page.locator("#ending").wait_for(state="visible")
    assert "分钟后将自动退出" in await one.page.locator("#ending").inner_text()
    assert await one.page.evaluate("document.activeElement.hasAttribute('data-stay')")
