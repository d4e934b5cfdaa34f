"""The page to refer and its papers in a real browser: no serious fault, in both languages and sizes, empty, filled in, refused, sent."""

import os
from typing import Any

import pytest

from tests.http.world import World
from tests.web.chromium import Visit, journey, visit

pytestmark = journey
SHOTS = os.environ.get("YUANSHE_SHOTS")
"""A folder to keep pictures in, for whoever looks."""


async def shot(one: Visit, name: str) -> None:
    if SHOTS:
        await one.page.screenshot(path=f"{SHOTS}/{name}.png", full_page=True, caret="initial")


async def nurse(chromium: Any, site: str, size: str = "desk", language: str = "zh-CN") -> Visit:
    one = await visit(chromium, site, size, language)
    await one.sign_in("nurse-a")
    await one.goto("/refer")
    return one


@pytest.mark.parametrize("language", ["zh-CN", "en-GB"])
@pytest.mark.parametrize("size", ["desk", "phone"])
async def test_no_page_of_referring_has_a_serious_fault(
    world: World, site: str, chromium: Any, size: str, language: str
) -> None:
    await world.refer("N05", mrn="ZY-300")
    one = await nurse(chromium, site, size, language)
    page, mark = one.page, f"{size}-{language[:2]}"
    assert await one.faults() == [], "empty"
    await shot(one, f"refer-empty-{mark}")
    await page.fill("#number", "ZY-300")
    await page.keyboard.press("Enter")
    await page.locator(".found-name", has_text="陈素芬").wait_for()
    await page.check("input[value=N05]")
    await page.locator(".already.same").wait_for()
    await page.locator("#ranking .gets").first.wait_for()
    await page.locator("#ranking .not summary").last.click()
    await page.check("input[value=yes]")
    await page.check("#agree_identity")
    await page.check("input[value=spoken]")
    assert await one.faults() == [], "known, with a duplicate"
    await shot(one, f"refer-known-{mark}")
    await page.click(".send .btn-primary")
    await page.locator("#fault a").first.wait_for()
    one.said = [each for each in one.said if "422" not in each]
    assert await one.faults() == [], "refused"
    await shot(one, f"refer-refused-{mark}")
    await one.goto("/refer")
    await page.locator("details.drafts > summary").click()
    await page.fill("#number", "ZY-301")
    await page.keyboard.press("Enter")
    await page.locator("#person .notice").wait_for()
    await page.check("input[value=N11]")
    await page.locator(".spot").wait_for()
    await page.locator("details.more", has=page.locator("#instrument")).locator("summary").click()
    await page.select_option("#instrument", "phq-9")
    await page.locator("#items fieldset").first.wait_for()
    assert await one.faults() == [], "somebody new in danger"
    await shot(one, f"refer-danger-{mark}")
    await page.fill("#name", "王桂兰")
    await page.check("input[value=later]")
    await page.click(".send .btn-primary")
    await page.wait_for_url("**/refer/sent/*")
    await page.locator(".sent .number").wait_for()
    assert await one.faults() == [], "sent"
    await shot(one, f"refer-sent-{mark}")
    await page.click("a[href$='/print']")
    await page.locator(".paper").wait_for()
    assert await one.faults() == [], "paper"
    await shot(one, f"refer-paper-{mark}")
    if SHOTS:
        await page.emulate_media(media="print")
        await shot(one, f"refer-printed-{mark}")
