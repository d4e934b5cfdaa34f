"""(f) From the commit of a referral to the subscriber who is told of it, while other referrals keep coming."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx

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

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                length = int(head.partition("content-length:")[2].partition("\r\n")[0] or 0)
                body = await reader.readexactly(length)
                now = time.perf_counter()
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
                self.posts += 1
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
    """As many referrals on 8 connections, and when a subscriber heard of each; seconds."""
    with serving(on, **LOOPBACK) as served, program(on, "work", **LOOPBACK):
        return asyncio.run(_measure(on, served.port, referrals))


async def _measure(on: Ground, port: int, referrals: int) -> dict[str, Any]:
    sent = {"authorization": f"Bearer {on.token('his-a')}", "content-type": "application/fhir+json"}
    base = f"http://127.0.0.1:{port}/fhir"
    async with hearing() as (heard, endpoint), httpx.AsyncClient(timeout=60, headers=sent) as http:
        made = await http.post(f"{base}/Subscription", json=_subscription(endpoint))
        if made.status_code != 201:
            raise RuntimeError(f"the subscription answered {made.status_code}: {made.text[:300]}")
        async with asyncio.timeout(30):
            while (await http.get(f"{base}/Subscription/{made.json()['id']}")).json()["status"] != "active":  # noqa: ASYNC110 - another process writes it
                await asyncio.sleep(0.05)
        numbers = iter(range(FIRST, FIRST + referrals))
        answered: dict[str, float] = {}

        async def ward_of() -> None:
            for n in numbers:
                answer = await http.post(base, content=ward.body(n))
                now = time.perf_counter()
                located = [entry["response"]["location"] for entry in answer.json()["entry"]]
                answered[next(each.split("/")[1] for each in located if each.startswith("ServiceRequest/"))] = now

        began = time.perf_counter()
        await asyncio.gather(*(ward_of() for _ in range(CONNECTIONS)))
        rate = referrals / (time.perf_counter() - began)
        heard.wanted = set(answered)
        if not heard.wanted <= heard.at.keys():
            async with asyncio.timeout(120):
                await heard.all.wait()
        plain = await _plain(http, endpoint)
    # The answer follows the commit; a notice may overtake it.
    lags = [max(heard.at[id] - at, 0.0) for id, at in answered.items()]
    said = [
        ("commit to subscriber", f"{quantile(lags, 0.5) * 1000:.0f}", f"{quantile(lags, 0.99) * 1000:.0f}"),
        ("a bare POST to the same subscriber", f"{quantile(plain, 0.5) * 1000:.1f}", f"{quantile(plain, 0.99) * 1000:.1f}"),
    ]  # fmt: skip
    say(table((f"{referrals} referrals at {rate:.0f} a second, {heard.posts} notices", "p50 ms", "p99 ms"), said))
    return {"p50": quantile(lags, 0.5), "p99": quantile(lags, 0.99)}


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
