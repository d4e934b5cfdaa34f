"""The pages in a real browser: no serious fault by axe, no error in the console, no mouse needed, in both languages and sizes."""

import asyncio
import contextlib
import json
import shutil
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from adapters import app, settings
from tests.http.world import World

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium (make test-all installs it)"),
]
QUIET = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
SIZES = {"desk": (1440, 900), "phone": (390, 844)}


@contextlib.asynccontextmanager
async def serving(world: World, tmp_path: Path) -> AsyncIterator[str]:
    """The demo's service at a port of its own, in this process; its address."""
    (tmp_path / "demo.json").write_text(json.dumps(world.said))
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        built = app.create(settings.Settings(demo=tmp_path / "demo.json"), world.clone.app_dsn, base_url=address)
        server = uvicorn.Server(uvicorn.Config(built, log_level="warning", access_log=False))
        task = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            yield address
        finally:
            server.should_exit = True
            built.state.news.end()
            await task


@pytest.fixture
async def site(world: World, tmp_path: Path) -> AsyncIterator[str]:
    async with serving(world, tmp_path) as address:
        yield address


@pytest.fixture
async def chromium() -> AsyncIterator[Any]:
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield browser
        await browser.close()


class Visit:
    """One person at one browser: what its console said, and what axe finds on a page."""

    def __init__(self, page: Any, site: str) -> None:
        self.page = page
        self.site = site
        self.said: list[str] = []
        page.on("console", lambda message: self.said.append(message.text) if message.type in ("error", "warning") else None)  # fmt: skip
        page.on("pageerror", lambda fault: self.said.append(str(fault)))
        page.on("request", lambda request: request.url.startswith((site, "data:")) or self.said.append(request.url))

    async def sign_in(self, login: str) -> None:
        await self.page.goto(f"{self.site}/today")
        await self.page.click(f"button[value={login}]")
        await self.page.wait_for_url(f"{self.site}/today")

    async def faults(self) -> list[str]:
        """What axe-core calls serious or critical, and whatever the console complained of."""
        from axe_playwright_python.async_playwright import Axe

        found = await Axe().run(self.page)
        serious = [each for each in found.response["violations"] if each["impact"] in ("serious", "critical")]
        told = [f"{each['id']}: {[node['target'] for node in each['nodes']][:3]}" for each in serious]
        width = await self.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        return [*told, *self.said, *(["the page is wider than the screen"] if width > 0 else [])]


async def visit(chromium: Any, site: str, size: str = "desk", language: str = "zh-CN") -> Visit:
    width, height = SIZES[size]
    context = await chromium.new_context(viewport={"width": width, "height": height}, locale=language)
    return Visit(await context.new_page(), site)


@pytest.mark.parametrize("language", ["zh-CN", "en-GB"])
@pytest.mark.parametrize("size", SIZES)
async def test_no_page_has_a_serious_fault(world: World, site: str, chromium: Any, size: str, language: str) -> None:
    for need in ("N05", "N11", "N17"):
        await world.refer(need)
    for login in ("nurse-a", "worker-a", "coordinator", "bureau"):
        one = await visit(chromium, site, size, language)
        await one.page.goto(f"{site}/sign-in")
        assert await one.faults() == [], "the door"
        await one.sign_in(login)
        assert await one.faults() == [], login
        if await one.page.locator("[data-rows] .open").count():
            await one.page.locator("[data-rows] .open").first.click()
            await one.page.wait_for_url("**/referrals/*")
            assert await one.faults() == [], f"{login}: a referral"


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
    await one.page.wait_for_url(f"{site}/today")
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
