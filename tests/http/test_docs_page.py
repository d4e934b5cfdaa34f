"""The description of the routes beside the FHIR surface says what they are, and nothing else; the figures say what was done."""

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from adapters import app, settings, web
from tests.access.network import claims, form, signed
from tests.http.world import BASE, World, submission


@pytest.fixture
async def documented(network: dict[str, Any], network_database: Any) -> AsyncIterator[tuple[World, dict[str, Any]]]:
    built = app.create(settings.Settings(docs=True), network_database.app_dsn, base_url=BASE)
    async with World(built, network, network_database).running() as running:
        yield running, (await running.http.get(f"{BASE}/docs/openapi.json")).json()


async def test_every_route_beside_the_surface_is_described_and_no_other(documented: Any) -> None:
    world, said = documented
    # Pages are for people: they describe themselves.
    pages = {route.path for route in web.pages.routes} | {"/", "/fhir"}
    routes = {
        (re.sub(r":\w+}", "}", route.path), method.lower())
        for route in world.app.routes
        for method in getattr(route, "methods", None) or ["GET"]
        if method != "OPTIONS" and not route.path.startswith("/docs") and route.path not in pages
    }
    assert routes == {(path, method) for path, methods in said["paths"].items() for method in methods}
    assert said["servers"] == [{"url": BASE}]
    page = (await world.http.get(f"{BASE}/docs")).text
    assert all(path in page for path in said["paths"])


def answer_of(said: dict[str, Any], path: str, method: str, status: int) -> dict[str, Any]:
    answer = said["paths"][path][method]["responses"][str(status)]
    name = answer.get("$ref", "").rpartition("/")[2]
    return said["components"]["responses"][name] if name else answer


async def test_the_routes_answer_as_they_are_described(documented: Any) -> None:
    world, said = documented
    token = world.said["clients"]["auditor"]["access_token"]
    tried = [
        ("GET", "/health/live", {}, 200),
        ("GET", "/health/ready", {}, 200),
        ("GET", "/metrics", {}, 200),
        ("GET", "/.well-known/smart-configuration", {}, 200),
        ("GET", "/fhir/.well-known/smart-configuration", {}, 200),
        ("GET", "/events", {}, 401),
        ("GET", "/events", {"headers": {"authorization": f"Bearer {token}"}}, 403),
        ("POST", "/events", {}, 405),
        ("GET", "/answer/nothing", {}, 404),
        ("POST", "/answer/nothing", {"data": {"sure": "yes"}}, 404),
        ("POST", "/auth/token", {"data": {}}, 400),
        ("POST", "/auth/token", {"data": form(signed(claims("nobody")))}, 401),
        ("POST", "/auth/token", {"data": {"x": "y" * 70_000}}, 413),
    ]
    for method, path, sent, status in tried:
        answer = await world.http.request(method, BASE + path, **sent)
        assert answer.status_code == status, (path, answer.text)
        described = answer_of(said, re.sub("^/answer/.*", "/answer/{token}", path), "get" if path == "/events" else method.lower(), status)  # fmt: skip
        assert answer.headers["content-type"].split(";")[0] in described["content"], path
        for header in described.get("headers", {}):
            assert header in answer.headers
        schema = next(iter(described["content"].values()))["schema"]
        schema = said["components"]["schemas"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
        if schema.get("type") == "object":
            assert set(schema["required"]) <= answer.json().keys() <= set(schema["properties"])


async def test_what_was_asked_is_counted_by_kind_and_nobody_is_in_the_figures(world: World) -> None:
    async def figures() -> dict[str, float]:
        text = (await world.http.get(f"{BASE}/metrics")).text
        return {name: float(value) for name, value in re.findall(r"^(yuanshe_\S+?) (\S+)$", text, re.MULTILINE)}

    before = await figures()
    referred = await world.refer("N05")
    his = world.party("his-a")
    await his.get(referred.request)
    await his.get("Task?patient.identifier=urn:oid:2.16.156.10011.1.3|520502195203150020")
    await his.get("Nothing/陈素芬")
    await his.post("", submission("N05") | {"type": "陈素芬"})
    await world.nobody.get("Task")
    after = await figures()

    def grew(name: str) -> float:
        return after.get(name, 0.0) - before.get(name, 0.0)

    assert grew('yuanshe_request_seconds_count{interaction="read",type="ServiceRequest"}') == 1
    assert grew('yuanshe_request_seconds_count{interaction="search-type",type="Task"}') == 1
    assert grew('yuanshe_request_seconds_count{interaction="transaction",type=""}') == 2
    assert grew('yuanshe_request_seconds_count{interaction="none",type="none"}') == 2
    assert grew('yuanshe_refused_total{status="401"}') == 1
    assert grew('yuanshe_refused_total{status="404"}') == 1
    assert after['yuanshe_deliveries{state="waiting"}'] == 0
    text = (await world.http.get(f"{BASE}/metrics")).text
    for named in (referred.id, "陈素芬", "520502195203150020", "his-a", *world.organizations.values()):
        assert str(named) not in text


async def test_while_the_database_is_away_the_figures_are_there_all_the_same(world: World) -> None:
    await world.database.close()
    answer = await world.http.get(f"{BASE}/metrics")
    assert answer.status_code == 200
    assert 'yuanshe_deliveries{state="waiting"} NaN' in answer.text
    world.app.state.database = await _opened(world)


async def _opened(world: World) -> Any:
    from service import db

    return await db.connect(world.clone.app_dsn, size=2)
