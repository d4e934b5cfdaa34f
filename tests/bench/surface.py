"""(e) The FHIR surface over HTTP: a read and the commonest searches at 10⁶ Tasks, and a transaction beside single creates."""

import asyncio
import random
import time
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import httpx
import msgspec

from service.values import utc_now
from tests.bench import ward
from tests.bench.filled import AGENCIES, HOSPITALS, Filled, filled
from tests.bench.ground import Ground, quantile, say, serving, table

LONGEST, USUAL = 5.0, 2.1
"""Seconds: NHS BaRS asks that every answer takes less than the first, nine in ten less than the second (behaviour 45)."""
PAIRS = 150
"""Transactions, and as many rounds of single creates that store the same."""
FIRST = 500_000


class Case(msgspec.Struct, frozen=True):
    """What a party asks again and again; `path` makes the n-th question."""

    party: str
    path: Callable[[Filled, int], str]


def _since(made: Filled, n: int) -> str:
    at: datetime = utc_now() - timedelta(seconds=made.referrals // 50 + n)
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


CASES: dict[str, Case] = {
    "read a Task by id": Case("agency-a", lambda made, n: f"Task/{made.id('share', n * AGENCIES)}"),
    "what is offered to me": Case("agency-a", lambda made, n: "Task?status=requested&_count=50"),
    "what I have, with its requests": Case("agency-a", lambda made, n: "Task?status=accepted,in-progress,on-hold&_include=Task:focus&_count=50"),
    "what changed since": Case("agency-a", lambda made, n: f"Task?_lastUpdated=gt{_since(made, n)}&_sort=_lastUpdated&_count=50"),
    "what became of this request": Case("his-a", lambda made, n: f"Task?focus=ServiceRequest/{made.id('referral', n * HOSPITALS)}"),
    "everything of this person": Case("his-a", lambda made, n: f"Task?patient=Patient/{made.id('patient', n * HOSPITALS)}"),
}  # fmt: skip


def measure(on: Ground, referrals: int, times: int) -> dict[str, Any]:
    """Sequential requests on one connection, each beside a bare one; raises where an answer is not what it should be."""
    found = asyncio.run(_searches(on, referrals, times))
    return found | asyncio.run(_writes(on))


async def _searches(on: Ground, referrals: int, times: int) -> dict[str, Any]:
    began = time.perf_counter()
    async with filled(on, referrals) as made:
        say(
            f"  {2 * referrals:,} Tasks of {HOSPITALS} hospitals and {AGENCIES} agencies: filled in {time.perf_counter() - began:.0f} s"
        )
        rows: list[tuple[object, ...]] = []
        slowest: list[float] = []
        with serving(on, database=made.name) as served:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{served.port}", timeout=60) as http:
                for name, case in CASES.items():
                    took, bare, size = await _asked(http, made, case, times)
                    slowest += took
                    rows.append((name, f"{quantile(took, 0.5) * 1000:.1f}", f"{quantile(took, 0.99) * 1000:.1f}", size,
                                 f"{quantile(took, 0.5) / quantile(bare, 0.5):.1f}"))  # fmt: skip
        say(table((f"at {2 * referrals:,} Tasks", "p50 ms", "p99 ms", "entries", "p50 to a bare request"), rows))
        return {"p90": quantile(slowest, 0.9), "longest": max(slowest)}


async def _asked(http: httpx.AsyncClient, made: Filled, case: Case, times: int) -> tuple[list[float], list[float], int]:
    sent = {"authorization": f"Bearer {made.token(case.party)}"}
    of = made.referrals // (AGENCIES if case.party == "agency-a" else HOSPITALS)
    took: list[float] = []
    bare: list[float] = []
    size = 0
    for turn in range(times + 5):
        began = time.perf_counter()
        await http.get("/health/live")
        bare.append(time.perf_counter() - began)
        path = case.path(made, random.Random(turn).randrange(of))
        began = time.perf_counter()
        answer = await http.get(f"/fhir/{path}", headers=sent)
        took.append(time.perf_counter() - began)
        size = len(answer.json().get("entry", [1]))
        if answer.status_code != 200 or not size:
            raise RuntimeError(f"{path} answered {answer.status_code} with {size} entries")
    return took[5:], bare[5:], size


async def _writes(on: Ground) -> dict[str, Any]:
    """The same four resources in one transaction, and one by one."""
    whole: list[float] = []
    parts: list[float] = []
    sent = {"authorization": f"Bearer {on.token('his-a')}", "content-type": "application/fhir+json"}
    with serving(on) as served:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{served.port}/fhir", timeout=60, headers=sent) as http:
            for n in range(FIRST, FIRST + 2 * PAIRS, 2):
                began = time.perf_counter()
                answer = await http.post("", content=ward.body(n))
                whole.append(time.perf_counter() - began)
                if answer.status_code != 200:
                    raise RuntimeError(f"a transaction answered {answer.status_code}")
                began = time.perf_counter()
                await _one_by_one(http, ward.body(n + 1))
                parts.append(time.perf_counter() - began)
    rows = [
        (name, f"{quantile(each, 0.5) * 1000:.1f} / {quantile(each, 0.99) * 1000:.1f}", f"{1 / quantile(each, 0.5):.0f}")
        for name, each in (("one transaction", whole), ("four creates", parts))
    ]  # fmt: skip
    say(table(("a referral, on one connection", "p50 / p99 ms", "a second"), rows))
    ratio = quantile(parts, 0.5) / quantile(whole, 0.5)
    say(f"a transaction is {ratio:.1f} times as quick as four creates")
    return {"transaction_ratio": ratio}


async def _one_by_one(http: httpx.AsyncClient, bundle: bytes) -> None:
    names: dict[str, str] = {}
    for entry in msgspec.json.decode(bundle)["entry"]:
        body = msgspec.json.encode(entry["resource"]).decode()
        for old, new in names.items():
            body = body.replace(old, new)
        answer = await http.post(f"/{entry['request']['url']}", content=body)
        if answer.status_code != 201:
            raise RuntimeError(f"a create answered {answer.status_code}: {answer.text[:300]}")
        made = answer.json()
        names[entry["fullUrl"]] = f"{made['resourceType']}/{uuid.UUID(made['id'])}"
