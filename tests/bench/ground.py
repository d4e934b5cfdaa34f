"""The ground that every benchmark stands on: a database of its own with the demo network, services, and this machine."""

import asyncio
import contextlib
import os
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import msgspec

from adapters import network as files
from adapters.demo import people
from service import db
from service.access.model import clock_actor
from service.db import Scope, embedded, migrate
from service.directory import flow as directory
from service.practice import PLATFORM
from service.values import Id, utc_now


class Ground(msgspec.Struct, frozen=True):
    """A server with the settings of production (fsync on), in a temporary home, and the demo network in its database."""

    attached: embedded.Attached
    home: Path
    said: dict[str, Any]

    def organization(self, key: str) -> Id:
        return Id(self.said["organizations"][key].split("/")[1])

    def token(self, client: str) -> str:
        return self.said["clients"][client]["access_token"]

    def named(self, dsn: str, database: str) -> str:
        return urlunsplit(urlsplit(dsn)._replace(path=f"/{database}"))

    @property
    def app_dsn(self) -> str:
        return self.attached.app_dsn

    @property
    def owner_dsn(self) -> str:
        return self.attached.owner_dsn


@contextlib.contextmanager
def ground() -> Iterator[Ground]:
    """Everything from nothing, and nothing left behind."""
    home = Path(tempfile.mkdtemp(prefix="yuanshe-bench-"))
    home.chmod(0o711)  # as root the server runs as `nobody`, who has to pass
    precede("self")
    try:
        with embedded.attach(home) as attached:
            precede(int((attached.data / "postmaster.pid").read_text().split()[0]))
            asyncio.run(migrate.migrate(attached.owner_dsn))
            yield Ground(attached, home, asyncio.run(_fill(attached.app_dsn)))
    finally:
        embedded.stop(home)
        with contextlib.suppress(FileNotFoundError):
            embedded.discard(home)
        shutil.rmtree(home, ignore_errors=True)


async def _fill(dsn: str) -> dict[str, Any]:
    database = await db.connect(dsn, size=1)
    try:
        async with database.transaction(Scope(PLATFORM, "platform", platform=True)) as session:
            await directory.load(session, clock_actor(PLATFORM), files.read([files.DEMO]), utc_now())
            return await people.register(session, utc_now())
    finally:
        await database.close()


@contextlib.asynccontextmanager
async def owner(on: Ground) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """A connection that owns the tables and sees every row: for filling, and for looking at what was written."""
    connection = await asyncpg.connect(on.owner_dsn)
    try:
        await connection.execute("SELECT set_config('yuanshe.platform', 'on', false)")
        yield connection
    finally:
        await connection.close()


class Serving(msgspec.Struct, frozen=True):
    """A running `yuanshe serve`: its address, and the seconds from start to ready."""

    process: "subprocess.Popen[bytes]"
    port: int
    seconds: float


@contextlib.contextmanager
def program(on: Ground, name: str, port: int = 0, **environ: str) -> Iterator["subprocess.Popen[bytes]"]:
    """The real `yuanshe serve` or `yuanshe work` on this ground, as its own process, which ends with ours, however that ends."""
    read, lifeline = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "adapters.main", name, "--lifeline", str(read)],
        env=os.environ | {"YUANSHE_HOME": str(on.home), "HOST": "127.0.0.1", "PORT": str(port)} | environ,
        pass_fds=(read,),
        start_new_session=True,
    )
    os.close(read)
    precede(process.pid)
    try:
        yield process
    finally:
        os.close(lifeline)
        process.wait(30)


@contextlib.contextmanager
def serving(on: Ground, database: str | None = None, **environ: str) -> Iterator[Serving]:
    """A running `yuanshe serve`, on another database of this ground where one is named."""
    port = free_port()
    if database:
        environ["DATABASE_URL"] = on.named(on.app_dsn, database)
    began = time.perf_counter()
    with program(on, "serve", port, **environ) as process:
        while not _ready(port):
            if process.poll() is not None or time.perf_counter() - began > 60:
                raise RuntimeError("yuanshe serve did not become ready")
            threading.Event().wait(0.01)
        yield Serving(process, port, time.perf_counter() - began)


def _ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def precede(pid: int | str) -> bool:
    """Let a process and those of its session go before whatever else runs on this machine, where the system lets us.

    Control and service get it alike. What others do meanwhile would else count for the one or the other.
    """
    try:
        Path(f"/proc/{pid}/autogroup").write_text("-10")
    except OSError:
        return False
    return True


TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int, *, ended: bool = False) -> float:
    """Processor time that a process has used, or (`ended`) its children that have ended; 0 where the system does not tell."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    first = 13 if ended else 11
    return (int(fields[first]) + int(fields[first + 1])) / TICKS


def memory_mb(pid: int) -> float:
    """Resident memory of a process in MB: its own pages and its part of those it shares (PSS); 0 where the system does not tell."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def quantile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else float("nan")


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def machine() -> str:
    """What it was measured on, in a line."""
    model, memory = platform.processor() or platform.machine(), ""
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), model)
        kb = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal"))
        memory = f", {int(kb.split()[1]) // 1024 // 1024} GiB"
    load = f", load {os.getloadavg()[0]:.1f} at the start" if hasattr(os, "getloadavg") else ""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return (
        f"{cores} × {model}{memory}, {platform.system()} {platform.machine()}, Python {platform.python_version()}{load}"
    )


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table that reads in a terminal and in Markdown."""
    cells = [[str(cell) for cell in row] for row in (head, *rows)]
    width = [max(len(row[column]) for row in cells) for column in range(len(head))]
    lines = ["| " + " | ".join(cell.ljust(w) for cell, w in zip(row, width, strict=True)) + " |" for row in cells]
    lines.insert(1, "|" + "|".join("-" * (w + 2) for w in width) + "|")
    return "\n".join(lines)


def say(text: str = "") -> None:
    print(text, flush=True)
