"""Debian's Chromium through Playwright: the pages as a person sees them, at a desk and on a phone."""

import asyncio
import contextlib
import json
import os
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
needs_browser = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium (make test-all installs it)"),
]
"""`pytestmark` of what runs in `make test` wherever a browser is."""
journey = [
    *needs_browser,
    pytest.mark.skipif(not os.environ.get("YUANSHE_TEST_ALL"), reason="walks through many pages: `make test-all`"),
]
"""`pytestmark` of journeys: long, so `make test-all` runs them."""
QUIET = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
SIZES = {"desk": (1440, 900), "tablet": (768, 1024), "phone": (390, 844)}


@contextlib.asynccontextmanager
async def serving(world: World, tmp_path: Path, **read: Any) -> AsyncIterator[str]:
    """The demo's service at a port of its own, in this process; its address. `read`: settings beside the demo's."""
    (tmp_path / "demo.json").write_text(json.dumps(world.said))
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        built = app.create(
            settings.Settings(demo=tmp_path / "demo.json", **read), world.clone.app_dsn, base_url=address
        )
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
        try:
            yield browser
        finally:
            await browser.close()


class Visit:
    """One person's browser, and what went wrong in it; `page` is Playwright's own. `context`: its cookies and storage."""

    def __init__(self, page: Any, site: str) -> None:
        self.page = page
        self.context = page.context
        self.site = site
        self.said: list[str] = []
        page.on("console", lambda message: self.said.append(message.text) if message.type in ("error", "warning") else None)  # fmt: skip
        page.on("pageerror", lambda fault: self.said.append(str(fault)))
        page.on(
            "request", lambda request: request.url.startswith((site, "data:", "blob:")) or self.said.append(request.url)
        )

    async def sign_in(self, login: str) -> None:
        """Through the demo's door, to where this person's day begins."""
        await self.page.goto(f"{self.site}/sign-in")
        await self.page.click(f"button[value={login}]")
        await self.page.locator("nav.rail").wait_for()

    async def goto(self, path: str) -> None:
        await self.page.goto(f"{self.site}{path}")

    async def faults(self) -> list[str]:
        """What axe-core calls serious or critical, whatever the console complained of, and a page wider than its screen."""
        from axe_playwright_python.async_playwright import Axe

        found = await Axe().run(self.page)
        serious = [each for each in found.response["violations"] if each["impact"] in ("serious", "critical")]
        told = [f"{each['id']}: {[node['target'] for node in each['nodes']][:3]}" for each in serious]
        width = await self.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        return [*told, *self.said, *(["the page is wider than the screen"] if width > 0 else [])]


async def visit(chromium: Any, site: str, size: str = "desk", language: str = "zh-CN") -> Visit:
    """A new person at a new browser. Their language is the browser's until they choose another."""
    width, height = SIZES[size]
    context = await chromium.new_context(viewport={"width": width, "height": height}, locale=language)
    return Visit(await context.new_page(), site)
