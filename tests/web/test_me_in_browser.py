"""The door, one's own account and the search box in a real browser: no serious fault in either size and language, by keyboard alone."""

import os
from typing import Any

import pyotp
import pytest

from tests.http.provider import CLIENT, SECRET, small
from tests.http.world import World
from tests.web.chromium import journey, serving, visit

pytestmark = journey
LANGUAGES = ["zh-CN", "en-GB"]


async def kept(page: Any, name: str, size: str, language: str) -> None:
    """A picture for whoever asks for one by YUANSHE_PICTURES."""
    if folder := os.environ.get("YUANSHE_PICTURES"):
        await page.screenshot(path=f"{folder}/{name}-{size}-{language}.png", full_page=True)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("size", ["desk", "phone"])
async def test_no_page_of_ones_own_has_a_serious_fault(world: World, site: str, chromium: Any, size: str, language: str) -> None:  # fmt: skip
    for need in ("N05", "N06", "N11"):
        await world.refer(need)
    one = await visit(chromium, site, size, language)
    await one.sign_in("nurse-a")
    await one.goto("/me")
    assert await one.faults() == []
    await kept(one.page, "me", size, language)
    await one.page.fill("#old", "wrong")
    await one.page.fill("#new", "short")
    await one.page.fill("#again", "short")
    await one.page.click("form[action='/me/password'] .btn-primary")
    await one.page.locator("#fault").wait_for()
    assert await one.page.evaluate("document.activeElement.id") == "fault"
    one.said = [said for said in one.said if "422" not in said]  # the browser itself notes the status of a page
    assert await one.faults() == []
    await kept(one.page, "me-wrong", size, language)
    await one.page.click("#fault a")
    assert await one.page.evaluate("location.hash") in ("#old", "#new")
    await one.goto("/me")
    await one.page.click("form[action='/me/code/new'] button")
    await one.page.wait_for_url("**/me/code")
    assert await one.faults() == []
    await kept(one.page, "code", size, language)
    await one.goto("/search")
    assert await one.faults() == []
    await kept(one.page, "search-empty", size, language)
    for words, name in (("N06", "found"), ("没有这个人", "nothing")):
        await one.page.fill("#words", words)
        await one.page.keyboard.press("Enter")
        await one.page.locator(".rows" if name == "found" else ".empty p:nth-of-type(2)").wait_for()
        assert await one.faults() == []
        await kept(one.page, f"search-{name}", size, language)
    await one.goto("/referrals/00000000-0000-7000-8000-000000000000")
    one.said = [said for said in one.said if "404" not in said]
    assert await one.faults() == []
    await kept(one.page, "failed", size, language)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("size", ["desk", "phone"])
async def test_the_door_to_the_organisations_own_sign_in(world: World, tmp_path: Any, chromium: Any, size: str, language: str) -> None:  # fmt: skip
    from adapters.settings import Oidc

    async with small() as provider, serving(world, tmp_path, oidc=Oidc(provider.issuer, CLIENT, SECRET, None, "市第一人民医院统一登录")) as site:  # fmt: skip
        one = await visit(chromium, site, size, language)
        await one.goto("/sign-in?ended=form&next=/me")
        assert await one.faults() == []
        await kept(one.page, "door", size, language)
        await one.page.click("a.elsewhere")
        await one.page.locator(".subject").wait_for()
        one.said = [said for said in one.said if provider.issuer not in said and "403" not in said]
        assert await one.faults() == [] and provider.subject in await one.page.locator(".subject").inner_text()
        await kept(one.page, "not-in", size, language)


async def test_a_code_is_set_up_and_used_by_keyboard_alone(world: World, site: str, chromium: Any) -> None:
    one = await visit(chromium, site)
    await one.sign_in("nurse-a")
    await one.goto("/me")
    await one.page.focus("form[action='/me/code/new'] button")
    await one.page.keyboard.press("Enter")
    await one.page.wait_for_url("**/me/code")
    secret = (await one.page.locator("code").inner_text()).replace(" ", "")
    assert await one.page.evaluate("document.activeElement.id") == "code"
    await one.page.keyboard.type(pyotp.TOTP(secret).now())
    await one.page.keyboard.press("Enter")
    await one.page.locator(".state").wait_for()
    assert "已启用" in await one.page.locator(".done").inner_text()
    await one.page.go_back()
    await one.page.wait_for_load_state()
    assert await one.page.locator("img.qr").count() == 0, "the way back shows no secret"


async def test_the_search_box_is_a_key_away_and_its_words_stand_nowhere(world: World, site: str, chromium: Any) -> None:
    await world.refer("N06")
    one = await visit(chromium, site)
    await one.sign_in("nurse-a")
    await one.goto("/me")
    await one.page.keyboard.press("/")
    await one.page.keyboard.type("N06")
    await one.page.keyboard.press("Enter")
    await one.page.wait_for_url(f"{site}/search")
    await one.page.locator("[data-rows] .open").first.wait_for()
    assert "N06" not in one.page.url
    await one.page.locator("h1").click()
    await one.page.keyboard.press("j")
    await one.page.keyboard.press("Enter")
    await one.page.wait_for_url("**/referrals/*")
