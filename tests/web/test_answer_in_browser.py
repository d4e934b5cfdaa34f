"""The pages of a link in a real browser: no serious fault by axe, no script, no mouse, in both languages and sizes."""

import os
from html import unescape
from typing import Any

import pytest

from adapters.settings import Smtp
from tests.http.answering import links, mailbox, mails
from tests.http.subscribing import serving as answering_service
from tests.http.world import BASE, World
from tests.web.chromium import CHROMIUM, SIZES, Visit, serving

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium (make test-all installs it)"),
]
SHOTS = os.environ.get("YUANSHE_SHOTS")
"""A folder to keep pictures in, for whoever looks."""


@pytest.fixture
async def world(network: dict[str, Any], network_database: Any) -> Any:
    async with answering_service(
        network, network_database, smtp=Smtp("127.0.0.1", 1, "none", "n@yuanshe.example")
    ) as running:
        yield running


async def visit(chromium: Any, site: str, size: str, language: str, *, scripts: bool = True) -> Visit:
    width, height = SIZES[size]
    context = await chromium.new_context(
        viewport={"width": width, "height": height}, locale=language, java_script_enabled=scripts
    )
    return Visit(await context.new_page(), site)


async def offered(world: World, *needs: str) -> dict[str, str]:
    """The paths of the links of an offer."""
    await world.refer(*needs)
    return {act: link.removeprefix(BASE) for act, link in links((await mails(world))[-1]).items()}


async def faults(one: Visit) -> list[str]:
    """What is wrong with the page; that a refusal has a status of its own is not."""
    return [fault for fault in await one.faults() if not fault.startswith("Failed to load resource")]


async def shot(one: Visit, name: str) -> None:
    if SHOTS:
        await one.page.screenshot(path=f"{SHOTS}/{name}.png", full_page=True)


@pytest.mark.slow
@pytest.mark.parametrize(("size", "language"), [("desk", "zh-CN"), ("phone", "en-GB")])
async def test_no_page_of_a_link_has_a_serious_fault(
    world: World, chromium: Any, tmp_path: Any, size: str, language: str
) -> None:
    await mailbox(world)
    found = await offered(world, "N05", "N01")
    safety = await offered(world, "N12")
    async with serving(world, tmp_path) as site:
        one = await visit(chromium, site, size, language)
        for act, path in {**found, "safety": safety["accept"], "nothing": "/answer/nothing"}.items():
            await one.page.goto(site + path)
            assert await faults(one) == [], act
            await shot(one, f"{act}-{size}-{language}")
        for act, words in (("decline", None), ("ask", "是否有电梯？")):
            await one.page.goto(site + found[act])
            if words:
                await one.page.fill("#words", words)
            async with one.page.expect_navigation():
                await one.page.click("button[type=submit]")
            assert await faults(one) == [], f"{act}, sent"
            await shot(one, f"{act}-sent-{size}-{language}")


async def test_a_link_is_answered_without_a_mouse_and_without_scripts(
    world: World, chromium: Any, tmp_path: Any
) -> None:
    await mailbox(world)
    found = await offered(world, "N05")
    async with serving(world, tmp_path) as site:
        one = await visit(chromium, site, "phone", "zh-CN", scripts=False)
        await one.page.goto(site + found["accept"])
        for key in ("Tab", "Tab", "Tab", "Space", "Tab", "Enter"):  # skip link, language, the tick, the button
            await one.page.keyboard.press(key)
        await one.page.get_by_role("heading", name="已接单", exact=True).wait_for()
        assert one.page.url.startswith(site + found["accept"]), "the address bar holds the link and nothing new"
        await one.page.reload()
        assert await one.page.locator("h1").inner_text() == "已接单", "reloading asks for nothing again"
        await one.page.get_by_role("link", name="可以退回").click()
        await one.page.get_by_label("名额已满").check()
        await one.page.fill("#words", "点错了")
        await one.page.keyboard.press("Tab")
        await one.page.keyboard.press("Enter")
        await one.page.get_by_role("heading", name="已退回", exact=True).wait_for()
        assert "陈素芬" not in unescape(await one.page.content())


@pytest.mark.slow
async def test_a_fault_leads_to_its_field(world: World, chromium: Any, tmp_path: Any) -> None:
    await mailbox(world)
    found = await offered(world, "N05")
    async with serving(world, tmp_path) as site:
        one = await visit(chromium, site, "desk", "zh-CN")
        await one.page.goto(site + found["decline"])
        button = "getComputedStyle(document.querySelector('button')).backgroundColor"
        assert await one.page.evaluate(button) == "rgb(15, 118, 110)", "the policy lets the page's own style through"
        await one.page.click("button[type=submit]")
        await one.page.get_by_role("link", name="请选择一个原因").click()
        assert await one.page.evaluate("document.activeElement.name") == "reason"
