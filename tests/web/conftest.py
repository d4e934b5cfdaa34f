"""The pages over HTTP as a browser without scripts would use them: people of the demo network with their cookies."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from adapters import app, settings
from adapters.web.speech import asked
from service.access import session_flow, store
from service.db import as_platform
from tests.http.conftest import *  # noqa: F403 - the demo network's fixtures
from tests.http.world import BASE, World
from tests.web.chromium import chromium as chromium
from tests.web.chromium import site as site


class Browser:
    """One person's browser: it keeps cookies, follows redirects of forms, and shows the last page."""

    def __init__(self, http: httpx.AsyncClient, world: World, **headers: str) -> None:
        self._http = http
        self.world = world
        self._headers = headers
        self.page: httpx.Response

    async def get(self, path: str, **headers: str) -> httpx.Response:
        self.page = await self._http.get(f"{BASE}{path}", headers=self._headers | headers, follow_redirects=True)
        return self.page

    async def post(self, path: str, said: dict[str, str], *, token: bool = True, **headers: str) -> httpx.Response:
        """Send a form, with the token of the page that it stands on."""
        if token and (found := re.search(r'name="token" value="(\w+)"', self.page.text)):
            said = said | {"token": found[1]}
        self.page = await self._http.post(f"{BASE}{path}", data=said, headers=self._headers | headers, follow_redirects=True)  # fmt: skip
        return self.page

    async def known(self, login: str) -> httpx.Response:
        """Signed in, where the day begins: without the door, whose hash of a password takes its time by design."""
        spoken = asked(None, self._headers.get("accept-language"))
        async with self.world.database.transaction(session_flow.DOOR) as session, as_platform(session, "sign in"):
            found = await store.find_account(session, login)
            assert found is not None
            cookie = await session_flow.begin(session, found[0], spoken, session.began)
        self._http.cookies.set(session_flow.COOKIE, cookie, domain="yuanshe.test", path="/")
        return await self.get("/today")

    async def sign_in(self, login: str, next: str = "") -> httpx.Response:
        """Through the door."""
        person = self.world.said["people"][login]
        await self.get("/sign-in")
        return await self.post(
            "/sign-in", {"login": login, "password": person["password"], **({"next": next} if next else {})}
        )


@pytest.fixture
async def browser(world: World) -> AsyncIterator[Any]:
    """Makes browsers: `await browser("nurse-a")` is signed in, `await browser()` is nobody's."""
    opened: list[httpx.AsyncClient] = []

    async def open(login: str | None = None, **headers: str) -> Browser:
        http = httpx.AsyncClient(transport=httpx.ASGITransport(world.app), timeout=60)
        opened.append(http)
        made = Browser(http, world, **headers)
        if login:
            await made.known(login)
        return made

    yield open
    for http in opened:
        await http.aclose()


@pytest.fixture
async def demo(world: World, tmp_path: Path) -> AsyncIterator[World]:
    """The same service as the demo runs it: its door offers the demo's people."""
    import json

    file = tmp_path / "demo.json"
    file.write_text(json.dumps(world.said))
    built = app.create(settings.Settings(demo=file), world.clone.app_dsn, base_url=BASE)
    async with World(built, world.said, world.clone).running() as running:
        yield running
