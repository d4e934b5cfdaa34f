"""A certified provider of sign-in (npm's oidc-provider) lets people in here: discovery, PKCE, its own keys, userinfo, signing out."""

import asyncio
import html
import re
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urljoin

import httpx
import pytest

from adapters import app, settings
from adapters.settings import Oidc
from tests.clients.conftest import HERE, NODE
from tests.http.world import BASE, World

CLIENT, SECRET = "yuanshe", "between us/two+one"


@pytest.fixture
async def issuer(packages: None) -> AsyncIterator[str]:
    process = await asyncio.create_subprocess_exec(
        NODE, "provider.mjs", CLIENT, SECRET, f"{BASE}/sign-in/provider/back", f"{BASE}/sign-in", cwd=HERE,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        said = ""
        while not said.startswith("http://"):
            line = await process.stdout.readline()
            assert line, "the provider did not start"
            said = line.decode().strip()
        yield said
    finally:
        process.terminate()
        await process.wait()


async def shown(there: httpx.AsyncClient, address: str, login: str) -> httpx.Response:
    """Walk through the provider's own pages as a person does, until it sends them back to us."""
    answer = await there.get(address)
    for _ in range(12):
        to = answer.headers.get("location")
        if to and urljoin(str(answer.url), to).startswith(BASE):
            return answer
        if to:
            answer = await there.get(urljoin(str(answer.url), to))
            continue
        assert answer.status_code == 200, answer.text
        form = re.search(r'<form[^>]*action="([^"]+)"', answer.text)
        assert form, answer.text
        said = dict(re.findall(r'<input[^>]*name="([^"]+)"[^>]*value="([^"]*)"', answer.text))
        said |= dict(re.findall(r'<button[^>]*name="([^"]+)"[^>]*value="([^"]*)"', answer.text)[:1])
        if 'name="login"' in answer.text:
            said |= {"login": login, "password": "any"}
        answer = await there.post(urljoin(str(answer.url), html.unescape(form[1])), data=said)
    raise AssertionError("the provider did not send them back")


@pytest.fixture
async def led(network: dict[str, Any], network_database: Any, issuer: str) -> AsyncIterator[World]:
    """The service whose sign-in is this provider's."""
    read = settings.Settings(oidc=Oidc(issuer, CLIENT, SECRET, "preferred_username"))
    built = app.create(read, network_database.app_dsn, base_url=BASE)
    async with World(built, network, network_database).running() as running:
        yield running


async def test_a_certified_provider_lets_people_in_and_out(led: World, issuer: str) -> None:
    ours = httpx.AsyncClient(transport=httpx.ASGITransport(led.app), timeout=60)
    async with ours, httpx.AsyncClient(timeout=30) as there:
        for _ in range(2):
            away = await ours.get(f"{BASE}/sign-in/provider?next=/me")
            assert away.status_code == 303 and away.headers["location"].startswith(issuer), away.text
            back = (await shown(there, away.headers["location"], "nurse-a")).headers["location"]
            inside = await ours.get(back)
            assert inside.status_code == 303 and inside.headers["location"] == "/me", inside.text
            page: Any = await ours.get(f"{BASE}/me")
            assert "<dd>nurse-a</dd>" in page.text
            token = page.text.split('name="token" value="')[1].split('"')[0]
            left = await ours.post(f"{BASE}/sign-out", data={"token": token})
            gone = await shown(there, left.headers["refresh"].removeprefix("0; url="), "")
            assert gone.headers["location"].startswith(f"{BASE}/sign-in")
        async with httpx.AsyncClient(timeout=30) as another:
            away = await ours.get(f"{BASE}/sign-in/provider")
            back = (await shown(another, away.headers["location"], "somebody-else")).headers["location"]
            unknown = await ours.get(back)
            assert unknown.status_code == 403 and "somebody-else" in unknown.text
