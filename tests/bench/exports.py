"""An export of everything at two sizes of the network: rows in a second, and a worker's peak memory, which must not grow with them."""

import asyncio
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

from adapters.fhir import bulk
from service import db
from service.access.model import Actor
from service.exports import flow as exports
from service.exports.model import Wish
from service.practice import PLATFORM
from service.values import Id, new_id, utc_now
from tests.bench.filled import Filled, filled
from tests.bench.ground import Ground, say, table

EACH = 8
"""Lines that a referral makes, about: two Tasks, two requests, a person, a stand-in, a stay, and what was sent along."""
READERS = ("platform", "hospital")
MIB = 1024


class Run(msgspec.Struct):
    """One export by one reader: its lines, the seconds it took, and the process's peak of resident memory."""

    reader: str
    rows: int
    seconds: float
    peak_mib: float

    @property
    def rate(self) -> float:
        return self.rows / self.seconds


def measure(on: Ground, small: int, large: int) -> dict[str, Any]:
    """Export about `small` and about `large` lines as the platform, and what of them is one hospital's; each in a process of
    its own. Gives the rate, and the peak at the large one as a ratio to the small one's."""
    runs = {rows: asyncio.run(_exported(on, max(1, rows // EACH))) for rows in (small, large)}
    lines = [
        [each.reader, f"{each.rows:,}", f"{each.seconds:.1f}", f"{each.rate:,.0f}", f"{each.peak_mib:.0f}"]
        for found in runs.values()
        for each in found
    ]
    say(table(["reader", "lines", "seconds", "lines/s", "peak MiB"], lines))
    growth = max(after.peak_mib / before.peak_mib for before, after in zip(runs[small], runs[large], strict=True))
    say(f"peak memory grows by {growth:.2f} from the small one to the large")
    return {"rate": min(each.rate for each in runs[large]), "growth": growth, "runs": runs}


async def _exported(on: Ground, referrals: int) -> list[Run]:
    async with filled(on, referrals) as made:
        return [await asyncio.to_thread(_process, on, made, reader) for reader in READERS]


def _process(on: Ground, made: Filled, reader: str) -> Run:
    organization = str(PLATFORM) if reader == "platform" else made.said["organizations"]["hospital-a"].split("/")[1]
    dsn = on.named(on.app_dsn, made.name)
    said = subprocess.run(
        [sys.executable, "-m", "tests.bench.exports", dsn, organization, reader], check=True, stdout=subprocess.PIPE
    )
    return msgspec.json.decode(said.stdout, type=Run)


async def _run(dsn: str, organization: str, role: str) -> Run:
    actor = Actor(new_id(), "client", Id(organization), role, role, ("system/*.rs",))
    database = await db.connect(dsn, size=2)
    try:
        async with database.transaction(actor.scope, writes=False) as session:
            id = await exports.ask(
                session, actor, Wish("system", bulk.EXPORTED, "http://127.0.0.1/fhir", "$export"), session.began
            )
        began = time.perf_counter()
        while await bulk.step(database):
            pass
        seconds = time.perf_counter() - began
        async with database.transaction(actor.scope, writes=False) as session:
            found = await exports.find(session, actor, id, utc_now())
            assert found.state == "done"
            return Run(role, found.rows, seconds, _peak())
    finally:
        await database.close()


def _peak() -> float:
    """MiB of this process alone: getrusage would count the parent's before the exec, too."""
    said = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert said
    return int(said[1]) / MIB


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(asyncio.run(_run(*sys.argv[1:]))))
