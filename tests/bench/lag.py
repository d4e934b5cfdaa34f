"""(f) From the commit of a referral to the subscriber who is told of it, while other referrals keep coming."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import msgspec

from tests.bench import ward
from tests.bench.ground import Ground, program, quantile, say, serving, table

FIRST = 700_000
CONNECTIONS = 8
TOPIC = "urn:yuanshe:topic:service-request"
GUIDE = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition"
LOOPBACK = {"WEBHOOK_ALLOW": "127.0.0.0/8,::1/128"}


class Heard:
    """A subscriber's server: when it first heard of each request, on the clock that the sender of the referrals uses too."""

    def __init__(self) -> None:
        self.at: dict[str, float] = {}
        self.wanted: set[str] = set()
        self.all = asyncio.Event()
        self.posts = 0
        self.times: list[float] = []

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                length = int(head.partition("content-length:")[2].partition("\r\n")[0] or 0)
                body = await reader.readexactly(length)
                now = time.perf_counter()
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
                self.posts += 1
                self.times.append(now)
                for part in body.split(b'"ServiceRequest/')[1:]:
                    self.at.setdefault(part[:36].decode(), now)
                if self.wanted and self.wanted <= self.at.keys():
                    self.all.set()
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        finally:
            writer.close()


@contextlib.asynccontextmanager
async def hearing() -> AsyncIterator[tuple[Heard, str]]:
    heard = Heard()
    server = await asyncio.start_server(heard.answer, "127.0.0.1", 0)
    async with server:
        yield heard, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/told"


def measure(on: Ground, referrals: int) -> dict[str, Any]:
    """A hospital that refers without a pause on 8 connections, another one after the other, and when each one's subscriber
    heard of each referral, in seconds; then how many notices a second one subscriber takes of what had waited for it."""
    with serving(on, **LOOPBACK) as served:
        return asyncio.run(_measure(on, served.port, referrals))


class Ward(msgspec.Struct):
    """A hospital's system, what it was answered when, and its subscriber."""

    http: httpx.AsyncClient
    heard: Heard
    answered: dict[str, float]

    async def refer(self, numbers: Iterator[int]) -> None:
        for n in numbers:
            answer = await self.http.post("", content=ward.body(n))
            now = time.perf_counter()
            if answer.status_code != 200:
                raise RuntimeError(f"a submission answered {answer.status_code}")
            located = [entry["response"]["location"] for entry in answer.json()["entry"]]
            self.answered[next(each.split("/")[1] for each in located if each.startswith("ServiceRequest/"))] = now

    async def hear_all(self) -> list[float]:
        """From each answer, which follows the commit, to the notice; 0 where the notice overtook it."""
        self.heard.wanted = set(self.answered)
        if not self.heard.wanted <= self.heard.at.keys():
            async with asyncio.timeout(300):
                await self.heard.all.wait()
        return [max(self.heard.at[id] - at, 0.0) for id, at in self.answered.items()]


@contextlib.asynccontextmanager
async def _ward(on: Ground, party: str, port: int) -> AsyncIterator[Ward]:
    sent = {"authorization": f"Bearer {on.token(party)}", "content-type": "application/fhir+json"}
    async with (
        hearing() as (heard, endpoint),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}/fhir", timeout=60, headers=sent) as http,
    ):
        made = await http.post("/Subscription", json=_subscription(endpoint))
        if made.status_code != 201:
            raise RuntimeError(f"the subscription answered {made.status_code}: {made.text[:300]}")
        async with asyncio.timeout(30):
            while (await http.get(f"/Subscription/{made.json()['id']}")).json()["status"] != "active":  # noqa: ASYNC110 - another process writes it
                await asyncio.sleep(0.05)
        yield Ward(http, heard, {})


async def _measure(on: Ground, port: int, referrals: int) -> dict[str, Any]:
    numbers, others = iter(range(FIRST, FIRST + referrals)), iter(range(FIRST + referrals, FIRST + 10 * referrals))
    with contextlib.ExitStack() as working:
        working.enter_context(program(on, "work", 0, **LOOPBACK))
        async with _ward(on, "his-a", port) as busy, _ward(on, "his-b", port) as quiet:
            began = time.perf_counter()
            beside = asyncio.create_task(quiet.refer(others))
            await asyncio.gather(*(busy.refer(numbers) for _ in range(CONNECTIONS)))
            rate = referrals / (time.perf_counter() - began)
            beside.cancel()
            await asyncio.wait([beside])
            lags = await quiet.hear_all()
            behind = await busy.hear_all()
            async with hearing() as (_, endpoint):
                plain = await _plain(quiet.http, endpoint)
            await asyncio.to_thread(working.close)
            drained = await _drained(on, busy, iter(range(FIRST + 10 * referrals, FIRST + 11 * referrals)))
    rows = [
        (name, len(each), f"{quantile(each, 0.5) * 1000:.0f}", f"{quantile(each, 0.99) * 1000:.0f}")
        for name, each in (
            ("commit to subscriber, a hospital of a ward's pace", lags), ("the busy hospital's own subscriber", behind),
            ("a bare POST to a subscriber", plain),
        )
    ]  # fmt: skip
    say(table((f"beside {rate:.0f} referrals a second", "heard of", "p50 ms", "p99 ms"), rows))
    say(
        f"of what had waited one subscriber takes {drained:.0f} notices a second, {drained * quantile(plain, 0.5):.2f} of bare POSTs"
    )
    return {"p50": quantile(lags, 0.5), "p99": quantile(lags, 0.99), "rate": drained}


async def _drained(on: Ground, busy: Ward, numbers: Iterator[int]) -> float:
    """Notices a second, from the first to the last, after nobody had worked for a while."""
    busy.answered.clear()
    await asyncio.gather(*(busy.refer(numbers) for _ in range(CONNECTIONS)))
    busy.heard.all.clear()
    posts, busy.heard.times = busy.heard.posts, []
    with program(on, "work", 0, **LOOPBACK):
        await busy.hear_all()
    times = busy.heard.times
    return (busy.heard.posts - posts - 1) / (times[-1] - times[0])


async def _plain(http: httpx.AsyncClient, endpoint: str) -> list[float]:
    took: list[float] = []
    for _ in range(100):
        began = time.perf_counter()
        await http.post(endpoint, content=b"{}")
        took.append(time.perf_counter() - began)
    return took


def _subscription(endpoint: str) -> dict[str, Any]:
    content = {"extension": [{"url": f"{GUIDE}/backport-payload-content", "valueCode": "id-only"}]}
    return {
        "resourceType": "Subscription",
        "status": "requested",
        "reason": "to measure how long it takes",
        "criteria": TOPIC,
        "channel": {"type": "rest-hook", "endpoint": endpoint, "payload": "application/fhir+json", "_payload": content},
    }
