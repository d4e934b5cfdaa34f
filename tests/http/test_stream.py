"""The event stream: what happens, in order, to whoever may see it; a reader who comes back misses nothing."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest
import uvicorn

from adapters import app, settings
from adapters.commands import serve
from service.values import new_id
from tests.http.outside import working
from tests.http.world import BASE, World


class Told(msgspec.Struct):
    """One event of a stream."""

    id: str
    said: dict[str, Any]

    @property
    def data(self) -> dict[str, Any]:
        return self.said["data"]


class Reading:
    """An open stream, read an event at a time. No limit of its own: the suite's limit says when one never came."""

    def __init__(self, answer: httpx.Response) -> None:
        self._lines = answer.aiter_lines()

    async def next(self) -> Told:
        fields: dict[str, str] = {}
        async for line in self._lines:
            if line:
                name, _, value = line.partition(": ")
                fields[name] = value
            elif "id" in fields:
                return Told(fields["id"], msgspec.json.decode(fields["data"]))
            else:
                fields = {}
        raise EOFError("the stream ended")

    async def until(self, kind: str) -> list[Told]:
        found = [await self.next()]
        while found[-1].data["kind"] != kind:
            found.append(await self.next())
        return found


class Served(World):
    """The world at a port of its own, since a stream needs a real connection."""

    server: serve.Server
    outside: httpx.AsyncClient
    """What reaches it over the network; `http` speaks to the same application directly."""

    def bearer(self, name: str) -> dict[str, str]:
        return {"authorization": f"Bearer {self.said['clients'][name]['access_token']}"}

    @contextlib.asynccontextmanager
    async def reading(self, name: str, after: str | None = None) -> AsyncIterator[Reading]:
        headers = self.bearer(name) | ({"last-event-id": after} if after else {})
        async with self.outside.stream("GET", "/events", headers=headers) as answer:
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith("text/event-stream")
            yield Reading(answer)


@pytest.fixture
async def served(network: dict[str, Any], network_database: Any) -> AsyncIterator[Served]:
    """The service with two connections to its database, and a worker."""
    built = app.create(settings.Settings(), network_database.app_dsn, base_url=BASE, size=2)
    world = Served(built, network, network_database)
    world.server = serve.Server(uvicorn.Config(built, log_level="warning", timeout_graceful_shutdown=60))
    listening = serve.listen("127.0.0.1", 0)
    running = asyncio.create_task(world.server.serve(sockets=[listening]))
    address = f"http://127.0.0.1:{listening.getsockname()[1]}"
    inside = httpx.AsyncClient(transport=httpx.ASGITransport(built), timeout=60)
    async with httpx.AsyncClient(base_url=address, timeout=None) as outside, inside, working(network_database):
        world.http, world.outside = inside, outside
        assert (await outside.get("/health/ready")).status_code == 200
        yield world
        world.server.should_exit = True
        await running


async def test_a_stream_is_for_whoever_may_read_it(served: Served) -> None:
    unknown = await served.outside.get("/events")
    assert unknown.status_code == 401 and unknown.headers["www-authenticate"].startswith("Bearer")
    assert unknown.headers["content-type"] == "application/problem+json" and unknown.json()["status"] == 401
    assert (await served.outside.get("/events", headers={"authorization": "Bearer nobody's"})).status_code == 401
    assert (await served.outside.get("/events", headers=served.bearer("auditor"))).status_code == 403
    assert (await served.outside.post("/events", headers=served.bearer("his-a"))).status_code == 405
    for after, status in (("first", 400), (str(new_id()), 404)):
        headers = served.bearer("his-a") | {"last-event-id": after}
        assert (await served.outside.get("/events", headers=headers)).status_code == status


async def test_a_refusal_is_audited_and_carries_the_request_id(served: Served) -> None:
    headers = served.bearer("auditor") | {"x-request-id": "stream-1"}
    refused = await served.outside.get("/events", headers=headers)
    assert refused.status_code == 403 and refused.headers["x-request-id"] == "stream-1"
    async with served.as_owner() as owner:
        lines = await owner.fetch("SELECT outcome FROM audit WHERE request_id = 'stream-1'")
    assert [line["outcome"] for line in lines] == ["refused"]


async def test_without_its_database_a_reader_is_told_when_to_come_again(
    network: dict[str, Any], network_database: Any
) -> None:
    built = app.create(settings.Settings(), network_database.app_dsn, base_url=BASE)
    async with World(built, network, network_database).running() as world:
        await world.database.pool.close()
        answer = await world.http.get(f"{BASE}/events", headers=Served.bearer(world, "his-a"))
    assert answer.status_code == 503 and answer.headers["retry-after"]


async def test_events_come_as_they_happen_and_again_after_the_last_one_seen(served: Served) -> None:
    async with served.reading("his-a") as stream:
        referred = await served.refer("N05")
        submitted, offered = await stream.until("offer")
        parent = await served.parent(referred)
        assert submitted.data == {"kind": "submit", "task": parent["id"], "referral": referred.id}
        share = (await served.offer(referred))["id"]
        assert offered.data["task"] == share
        assert offered.said["type"] == "urn:yuanshe:event"
    await served.accepted(referred)
    async with served.reading("his-a", submitted.id) as stream:
        again = await stream.next()
        assert again == offered, "what followed the last one seen, in the same words"
        taken = await stream.next()
        assert (taken.data["kind"], taken.data["task"]) == ("accept", share)


async def test_an_agency_hears_of_its_own_tasks_and_of_nothing_that_links_them(served: Served) -> None:
    async with (
        served.reading("agency-a") as first,
        served.reading("agency-b") as second,
        served.reading("platform") as all,
    ):
        one, other = await served.refer("N05"), await served.refer("N06")
        ours, theirs = await first.next(), await second.next()
        assert (ours.data["kind"], theirs.data["kind"]) == ("offer", "offer")
        assert ours.data["task"] == (await served.offer(one, "agency-a"))["id"]
        assert theirs.data["task"] == (await served.offer(other, "agency-b"))["id"]
        for told in (ours, theirs):
            assert told.data.keys() == {"kind", "task"}
        seen = [await all.next() for _ in range(4)]
        assert {each.data["referral"] for each in seen} == {one.id, other.id}
        positions = [each.data["position"] for each in seen]
        assert positions == sorted(positions)


async def test_streams_keep_no_connection_of_the_pool(served: Served) -> None:
    async with contextlib.AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(served.reading("his-a")) for _ in range(12)]
        referred = await served.refer("N05")
        for stream in streams:
            assert (await stream.next()).data["referral"] == referred.id
        # Nobody reads on; two connections serve all the rest.
        for _ in range(8):
            assert (await served.outside.get("/health/ready")).status_code == 200


async def test_streams_end_when_the_server_leaves(served: Served) -> None:
    async with served.reading("his-a") as stream:
        await served.refer("N05")
        await stream.until("offer")
        served.server.should_exit = True
        with pytest.raises(EOFError):
            await stream.next()
