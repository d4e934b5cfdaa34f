"""(d) Start to ready, and memory per process."""

import asyncio
import subprocess
import sys
import time
from typing import Any

import httpx

from tests.bench import ward
from tests.bench.ground import Ground, median, memory_mb, owner, program, say, serving, table
from tests.bench.submissions import postgres_pids

STARTS = 3
BARE = "import asyncpg, litestar, msgspec, uvicorn"
FIRST = 800_000


def measure(on: Ground, submissions: int) -> dict[str, Any]:
    """The service started several times, each beside an interpreter that only imports its frameworks; memory before and after work."""
    ready: list[float] = []
    bare: list[float] = []
    for _ in range(STARTS):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", BARE], check=True)
        bare.append(time.perf_counter() - began)
        with serving(on) as served:
            ready.append(served.seconds)
    held = "import threading; " + BARE + "; print(1, flush=True); threading.Event().wait()"
    with subprocess.Popen([sys.executable, "-c", held], stdout=subprocess.PIPE) as idle, serving(on) as served:
        assert idle.stdout is not None
        idle.stdout.readline()
        empty = memory_mb(idle.pid)
        idle.terminate()
        fresh = memory_mb(served.process.pid)
        asyncio.run(_submit(on, served.port, submissions))
        used = memory_mb(served.process.pid)
        with program(on, "work") as working:
            asyncio.run(_alive(on))
            worker = memory_mb(working.pid)
            postgres = postgres_pids(on)
            server = sum(memory_mb(pid) for pid in postgres)
    said = [
        ("`yuanshe serve`, start to ready", f"{median(ready):.2f} s", f"{median(bare):.2f} s", f"{median(ready) / median(bare):.1f}"),
        ("memory of `serve`, ready", f"{fresh:.0f} MB", f"{empty:.0f} MB", f"{fresh / empty:.1f}"),
        (f"memory of `serve` after {submissions} submissions", f"{used:.0f} MB", f"{empty:.0f} MB", f"{used / empty:.1f}"),
        ("memory of `work`", f"{worker:.0f} MB", f"{empty:.0f} MB", f"{worker / empty:.1f}"),
        (f"memory of PostgreSQL, {len(postgres)} processes", f"{server:.0f} MB", f"{empty:.0f} MB", f"{server / empty:.1f}"),
    ]  # fmt: skip
    say(table(("what", "figure", "Python that imports the same frameworks", "ratio"), said))
    return {"ready": median(ready), "ratio": median(ready) / median(bare), "serve_mb": used, "work_mb": worker}


async def _submit(on: Ground, port: int, submissions: int) -> None:
    sent = {"authorization": f"Bearer {on.token('his-a')}", "content-type": "application/fhir+json"}
    async with httpx.AsyncClient(timeout=60) as http:
        for n in range(FIRST, FIRST + submissions):
            answer = await http.post(f"http://127.0.0.1:{port}/fhir", content=ward.body(n), headers=sent)
            if answer.status_code != 200:
                raise RuntimeError(f"a submission answered {answer.status_code}")


async def _alive(on: Ground) -> None:
    """Until the worker has shown its first sign of life, and has put every event into its place."""
    async with owner(on) as connection:
        while not await connection.fetchval(  # noqa: ASYNC110 - another process writes it
            "SELECT EXISTS (SELECT FROM worker_heartbeat) AND NOT EXISTS (SELECT FROM event WHERE position IS NULL)"
        ):
            await asyncio.sleep(0.1)
