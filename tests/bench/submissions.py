"""(a) Full submissions a second at 32 connections, against the same rows written by pgbench in as many round trips."""

import asyncio
import contextlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import asyncpg
import msgspec

from tests.bench import control, ward
from tests.bench.ground import Ground, Serving, cpu_seconds, median, owner, quantile, say, serving, table

CONNECTIONS = 32
PLACES = 100_000
WARM = 3.0
"""Seconds of load before what is counted, for either side."""


class Round(msgspec.Struct, frozen=True):
    """One measured stretch: how many a second, latencies in seconds, processor seconds of each side for one submission."""

    per_second: float
    latencies: list[float]
    cpu: dict[str, float]


async def room(on: Ground) -> None:
    """As many free places as a submission each needs: agencies have so many that none is refused."""
    async with owner(on) as connection:
        await connection.execute("UPDATE agency_service SET places = $1", PLACES)
        await connection.execute(
            "INSERT INTO place (service_id, number) SELECT s.id, n FROM agency_service s, generate_series(1, s.places) n "
            "ON CONFLICT DO NOTHING"
        )
    await settle(on)


async def settle(on: Ground) -> None:
    """Begin each stretch alike: every place free, vacuumed, with fresh statistics and a checkpoint behind it."""
    async with owner(on) as connection:
        await connection.execute("UPDATE place SET task_id = NULL WHERE task_id IS NOT NULL")
        await connection.execute("VACUUM ANALYZE")
        with contextlib.suppress(asyncpg.InsufficientPrivilegeError):
            await connection.execute("CHECKPOINT")


def postgres_pids(on: Ground) -> list[int]:
    """The server's processes."""
    first = int((on.attached.data / "postmaster.pid").read_text().split()[0])
    return [first, *children(first)]


def postgres_cpu(on: Ground) -> float:
    """Processor seconds that the server has used, the backends that have ended included."""
    pids = postgres_pids(on)
    return sum(cpu_seconds(pid) for pid in pids) + cpu_seconds(pids[0], ended=True)


def children(pid: int) -> list[int]:
    try:
        found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [int(child) for child in found]


def service(on: Ground, served: list[Serving], seconds: float, first: int) -> tuple[Round, int]:
    """One stretch of the service; with the number of the next submission."""
    most = int((WARM + seconds) * 2000)
    load = ward.Load([one.port for one in served], on.token("his-a"), "", CONNECTIONS, WARM, seconds, first, most)
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.ward"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin and process.stdout
    process.stdin.write(msgspec.json.encode(load).decode() + "\n")
    process.stdin.flush()
    if process.stdout.readline() != "ready\n":
        raise RuntimeError("the load generator did not start")
    used = {one.process.pid: cpu_seconds(one.process.pid) for one in served}
    base = postgres_cpu(on)
    process.stdin.write("go\n")
    process.stdin.flush()
    told = msgspec.json.decode(process.stdout.readline(), type=ward.Told)
    process.wait(30)
    python = sum(cpu_seconds(pid) - then for pid, then in used.items())
    postgres = postgres_cpu(on) - base
    if told.failed or not told.done:
        raise RuntimeError(f"{told.failed} of {told.sent} submissions failed")
    cpu = {"service": python / told.sent, "postgres": postgres / told.sent, "load": told.cpu / told.done}
    return Round(told.done / told.seconds, told.latencies, cpu), first + most


def controlled(on: Ground, what: control.Script, seconds: float, base: int) -> Round:
    used = postgres_cpu(on)
    done = control.run(on, what, CONNECTIONS, WARM, seconds, base)
    cpu = {"postgres": (postgres_cpu(on) - used) / done.done}
    return Round(len(done.latencies) / done.seconds, done.latencies, cpu)


ALIKE = 20


async def _written(on: Ground) -> tuple[dict[str, int], int]:
    async with owner(on) as connection:
        await asyncio.sleep(1.2)  # A backend hands in its figures when it ends, and the server's own within a second.
        return await control.written(connection)


async def balance(on: Ground, what: control.Script) -> str:
    """Show that the control writes what the service writes: as many rows in each table. Raises when it does not."""
    found: list[dict[str, int]] = []
    logged: list[int] = []
    for turn in (0, 1):
        before = await _written(on)
        if turn == 0:
            async with control.running(on) as (_, http):
                for n in range(100, 100 + ALIKE):
                    await control.post(http, on.token("his-a"), n)
        else:
            await asyncio.to_thread(control.repeat, on, what, ALIKE, 900_000_000_000)
        after = await _written(on)
        counts = {name: rows - before[0].get(name, 0) for name, rows in after[0].items()}
        found.append({name: rows for name, rows in counts.items() if rows})
        logged.append(after[1] - before[1])
    if found[0] != found[1]:
        raise RuntimeError(f"the control does not write the service's rows: {found}")
    rows = sum(found[0].values()) / ALIKE
    return f"{rows:g} rows in {len(found[0])} tables by either; write-ahead log {logged[0] / ALIKE:.0f} and {logged[1] / ALIKE:.0f} bytes"


def measure(on: Ground, seconds: float, rounds: int, processes: int = 1) -> dict[str, Any]:
    """Interleaved stretches of control, writes alone, and service; their medians and ratios."""
    asyncio.run(room(on))
    trips = asyncio.run(control.capture(on, 1))
    whole, bare = control.script(trips), control.script(control.writes_alone(trips))
    say(
        f"one submission: {len(trips)} round trips, {sum(t.writes for t in trips)} of them write; body {len(ward.body(1))} bytes"
    )
    found: dict[str, list[Round]] = {"control": [], "writes": [], "service": []}
    say(asyncio.run(balance(on, whole)))
    # Rows enough for the planner to see tables in use; nobody measures this stretch.
    control.run(on, whole, CONNECTIONS, 0, 5, 100_000_000_000)
    next_number, base = 1000, 101_000_000_000
    with contextlib.ExitStack() as stack:
        served = [stack.enter_context(serving(on)) for _ in range(processes)]
        for _ in range(rounds):
            for name, what in (("control", whole), ("writes", bare)):
                asyncio.run(settle(on))
                found[name].append(controlled(on, what, seconds, base))
                base += 1_000_000_000
            asyncio.run(settle(on))
            one, next_number = service(on, served, seconds, next_number)
            found["service"].append(one)
            say("  " + "  ".join(f"{name} {each[-1].per_second:7.0f}/s" for name, each in found.items())
                + f"  ratio {one.per_second / found['control'][-1].per_second:.3f}  cpu ms control "
                + f"{found['control'][-1].cpu['postgres'] * 1000:.2f} "
                + " ".join(f"{k} {v * 1000:.2f}" for k, v in one.cpu.items()))  # fmt: skip
    return summary(trips, found)


def summary(trips: list[control.Trip], found: dict[str, list[Round]]) -> dict[str, Any]:
    rate = {name: median([one.per_second for one in each]) for name, each in found.items()}
    ratio = median([s.per_second / c.per_second for s, c in zip(found["service"], found["control"], strict=True)])
    against = median([s.per_second / c.per_second for s, c in zip(found["service"], found["writes"], strict=True)])
    rows = [
        (
            {"control": "pgbench, the same statements", "writes": "pgbench, the same writes in as many trips", "service": "the service over HTTP"}[name],
            f"{rate[name]:.0f}",
            f"{rate['service'] / rate[name]:.2f}" if name != "service" else "",
            f"{median([quantile(one.latencies, 0.5) for one in each]) * 1000:.0f} / "
            f"{median([quantile(one.latencies, 0.99) for one in each]) * 1000:.0f}",
        )
        for name, each in found.items()
    ]  # fmt: skip
    say(table(("32 connections", "a second", "the service's ratio to it", "p50 / p99 ms"), rows))
    say(
        f"ratio to each control, median of rounds: {ratio:.2f} to the same statements, {against:.2f} to the writes alone"
    )
    return {"ratio": ratio, "ratio_writes": against, "trips": len(trips), "rate": rate,
            "cpu": {key: median([one.cpu[key] for one in found["service"]]) for key in found["service"][0].cpu}}  # fmt: skip
