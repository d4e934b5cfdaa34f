"""(g) The pages: the queue's server time at 10⁶ referrals, what goes over the wire, and how soon a screen shows what was committed."""

import asyncio
import contextlib
import random
import re
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import msgspec

from tests.bench import ward
from tests.bench.filled import HOSPITALS, Filled, filled
from tests.bench.ground import Ground, program, quantile, say, serving, table

FIRST_LOAD, LATER = 250_000, 30_000
"""Bytes over the wire, packed: a first load with everything it brings, and each page after that; chart pages apart."""
FIRST = 900_000
FIELD = re.compile(r'name="token" value="(\w+)"')
BROUGHT = re.compile(r'(?:href|src)="(/static/[^"#]+)')


class Look(msgspec.Struct, frozen=True):
    """A page that somebody opens again and again; `path` makes the n-th address."""

    login: str
    path: Callable[[Filled, int], str]
    charts: bool = False


LOOKS: dict[str, Look] = {
    "the queue": Look("worker-a", lambda made, n: "/queue"),
    "a referral, for its ward": Look("nurse-a", lambda made, n: f"/referrals/{made.id('referral', n * HOSPITALS)}"),
    "a ward's referrals": Look("nurse-a", lambda made, n: "/referrals"),
    "the page to refer": Look("nurse-a", lambda made, n: "/refer"),
    "my cases": Look("worker-a", lambda made, n: "/cases"),
    "follow-ups": Look("worker-a", lambda made, n: "/follow-ups"),
    "the coordinator's board": Look("coordinator", lambda made, n: "/dispatch"),
    "reports": Look("nurse-a", lambda made, n: "/reports?weeks=4", charts=True),
}  # fmt: skip


def measure(on: Ground, referrals: int, times: int, commits: int) -> dict[str, Any]:
    """What a browser asks for, one request after the other, each beside a bare one; then a real browser that waits for news."""
    found = asyncio.run(_served(on, referrals, times))
    with serving(on) as served:
        return found | asyncio.run(_told(on, served.port, commits))


@contextlib.asynccontextmanager
async def _signed_in(port: int, said: dict[str, Any], login: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as http:
        entered = await http.post("/sign-in", data={"login": login, "password": said["people"][login]["password"]})
        if entered.status_code != 303:
            raise RuntimeError(f"the door answered {entered.status_code}")
        yield http


async def _served(on: Ground, referrals: int, times: int) -> dict[str, Any]:
    rows: list[tuple[object, ...]] = []
    figures: dict[str, Any] = {"heaviest": 0, "first_load": 0}
    async with filled(on, referrals) as made:
        with serving(on, database=made.name) as served:
            for name, look in LOOKS.items():
                async with _signed_in(served.port, made.said, look.login) as http:
                    took, bare, packed, first = await _asked(http, made, look, times)
                if name == "the queue":
                    figures["queue_p95"] = quantile(took, 0.95)
                if not look.charts:
                    figures["heaviest"] = max(figures["heaviest"], packed)
                    figures["first_load"] = max(figures["first_load"], first)
                rows.append((name, f"{quantile(took, 0.5) * 1000:.1f}", f"{quantile(took, 0.95) * 1000:.1f}",
                             f"{quantile(took, 0.5) / quantile(bare, 0.5):.1f}", f"{packed / 1000:.1f}", f"{first / 1000:.0f}"))  # fmt: skip
    head = (f"at {referrals:,} referrals", "p50 ms", "p95 ms", "p50 to a bare request", "packed kB", "first load kB")
    say(table(head, rows))
    return figures


async def _asked(
    http: httpx.AsyncClient, made: Filled, look: Look, times: int
) -> tuple[list[float], list[float], int, int]:
    of = made.referrals // HOSPITALS
    took: list[float] = []
    bare: list[float] = []
    packed, text = 0, ""
    for turn in range(times + 5):
        began = time.perf_counter()
        await http.get("/health/live")
        bare.append(time.perf_counter() - began)
        path = look.path(made, random.Random(turn).randrange(of))
        began = time.perf_counter()
        answer = await http.get(path)
        took.append(time.perf_counter() - began)
        if answer.status_code != 200:
            raise RuntimeError(f"{path} answered {answer.status_code}")
        packed, text = max(packed, answer.num_bytes_downloaded), answer.text
    brought = sorted(set(BROUGHT.findall(text)))
    first = packed + sum([(await http.get(each)).num_bytes_downloaded for each in brought])
    return took[5:], bare[5:], packed, first


# ---- a browser ---------------------------------------------------------------------------------------------------------

WATCH = """() => {
  window.heard = {}; window.moved = 0;
  document.addEventListener("news", (event) => {
    const task = event.detail.task;
    // What is on the screen is known once the frame after the change has been drawn.
    if (task) requestAnimationFrame(() => requestAnimationFrame(() => { window.heard[task] ??= Date.now() / 1000; }));
  });
  new PerformanceObserver((list) => { for (const one of list.getEntries()) if (!one.hadRecentInput) window.moved += one.value; })
    .observe({ type: "layout-shift", buffered: true });
  window.moved = 0;
}"""


async def _told(on: Ground, port: int, commits: int) -> dict[str, Any]:
    """From the answer to a submission, which follows its commit, to the frame in which an agency's open queue shows it."""
    from tests.web.chromium import CHROMIUM, QUIET

    if CHROMIUM is None:
        say("commit to screen: not measured, there is no chromium here")
        return {}
    from playwright.async_api import async_playwright

    site = f"http://127.0.0.1:{port}"
    sent = {"authorization": f"Bearer {on.token('his-a')}", "content-type": "application/fhir+json"}
    async with (
        async_playwright() as playwright,
        httpx.AsyncClient(base_url=f"{site}/fhir", headers=sent, timeout=60) as http,
    ):
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        try:
            page = await (await browser.new_context(locale="zh-CN")).new_page()
            await page.goto(f"{site}/sign-in")
            await page.fill("#login", "worker-a")
            await page.fill("#password", on.said["people"]["worker-a"]["password"])
            await page.press("#password", "Enter")
            await page.locator("nav.rail").wait_for()
            await page.goto(f"{site}/queue")
            await page.locator("html[data-live=on]").wait_for()
            await page.evaluate(WATCH)
            with program(on, "work"):
                committed: dict[str, float] = {}
                # The first is not counted: the worker starts meanwhile.
                for n in range(FIRST, FIRST + commits + 1):
                    answer = await http.post("", content=ward.body(n))
                    now = time.time()
                    if answer.status_code != 200:
                        raise RuntimeError(f"a submission answered {answer.status_code}")
                    offered = [each["response"]["location"] for each in answer.json()["entry"]]
                    request = next(each.split("/")[1] for each in offered if each.startswith("ServiceRequest/"))
                    committed[request] = now
                    await _shown(page, n - FIRST + 1)
                heard = sorted((await page.evaluate("window.heard")).values())
            moved = await page.evaluate("window.moved")
        finally:
            await browser.close()
    lags = [max(at - since, 0.0) for at, since in zip(heard, sorted(committed.values()), strict=True)][1:]
    rows = [
        (
            "commit to screen",
            len(lags),
            f"{quantile(lags, 0.5) * 1000:.0f}",
            f"{quantile(lags, 0.99) * 1000:.0f}",
            f"{moved:.6f}",
        )
    ]
    say(table(("an open queue", "updates", "p50 ms", "p99 ms", "layout shift"), rows))
    return {"screen_p99": quantile(lags, 0.99), "moved": moved}


async def _shown(page: Any, most: int) -> None:
    """Wait until the page has shown as many pieces of news; its own clock tells when each was."""
    async with asyncio.timeout(60):
        while await page.evaluate("Object.keys(window.heard).length") < most:  # noqa: ASYNC110 - another process shows it
            await asyncio.sleep(0.02)
