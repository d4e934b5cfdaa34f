"""The front door and the list of routes: Chinese first, nothing from another host, nobody's data."""

import re

import pytest

from adapters import app, settings
from tests.http.world import BASE, World


@pytest.mark.parametrize("path", ["/", "/docs"])
async def test_pages_load_nothing_from_another_host(world: World, path: str) -> None:
    built = app.create(settings.Settings(docs=True), world.clone.app_dsn, base_url=BASE)
    async with World(built, world.said, world.clone).running() as running:
        page = await running.http.get(f"{BASE}{path}")
        assert page.status_code == 200 and page.headers["content-type"].startswith("text/html")
        assert '<html lang="zh-CN">' in page.text
        assert not re.findall(r'(?:src|href)=["\'](?:https?:)?//', page.text)
        listed = await running.http.get(f"{BASE}/docs/openapi.json")
        assert listed.status_code == 200 and "/auth/token" in listed.json()["paths"]


async def test_the_list_of_routes_is_there_only_when_asked_for(world: World) -> None:
    assert (await world.http.get(f"{BASE}/docs")).status_code == 404
    assert "/docs" not in (await world.http.get(f"{BASE}/")).text


async def test_health_and_figures(world: World) -> None:
    assert (await world.http.get(f"{BASE}/health/live")).status_code == 200
    assert (await world.http.get(f"{BASE}/health/ready")).status_code == 200
    figures = await world.http.get(f"{BASE}/metrics")
    assert figures.status_code == 200 and "python_info" in figures.text
