"""(h) ADT messages a second over MLLP, when each was acknowledged, and that none which was is lost when the listener is killed;
against a listener that stores each message in one row and understands nothing."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import asyncpg
import msgspec
from uvicorn.loops.auto import auto_loop_factory

from tests.bench.ground import Ground, cpu_seconds, free_port, median, owner, program, quantile, say, table
from tests.bench.submissions import postgres_cpu, settle

CONNECTIONS = 16
WARM = 3.0
TIMES = ("A01", "A02", "A08", "A02", "A03")
"""What is told of each stay, in its order."""
KILLED_AFTER = 2.0

CONFIG = """
[listen]
port = {port}
peers = ["127.0.0.0/8"]
[[sender]]
name = "his-a"
hospital = "hospital-a"
[sender.identifiers]
MR = "urn:his-a:patient"
[sender.stay]
system = "urn:his-a:stay"
"""


class Load(msgspec.Struct, frozen=True):
    """What a load generator is told: where to, on how many connections, how long, and the number of the first person."""

    port: int
    connections: int
    warm: float
    seconds: float
    first: int


class Told(msgspec.Struct, frozen=True):
    """What it saw: messages acknowledged in the counted stretch and their latencies in seconds; the ids of all that were; others."""

    seconds: float
    latencies: list[float]
    taken: list[str]
    refused: int


def message(person: int, step: int) -> tuple[str, bytes]:
    """A message as a ward sends it, and its id: of each person a stay from admission to discharge."""
    trigger, id = TIMES[step], f"{person}-{step}"
    pv1 = [""] * 46
    pv1[0:4] = ["PV1", "1", "I", f"W{step % 3}^{person % 30}^{step}"]
    pv1[19], pv1[36] = f"ZY{person}", "1" if trigger == "A03" else ""
    lines = (
        f"MSH|^~\\&|HIS|A|YUANSHE|P|202611210{step}0000||ADT^{trigger}|{id}|P|2.5||||||UNICODE UTF-8",
        f"EVN||202611210{step}0000",
        f"PID|1||MR{person}^^^HIS^MR||陈^素芬^^^^^L||19520315|F|||示例街道 {person} 号^^毕节市^贵州省^^CHN^H^^520502001||^PRN^CP^^^^13800000001||zh",
        "NK1|1|陈^小妹|SIS|||||||||||||||||||||||||||||",
        "|".join(pv1),
        "PV2|||||||||20261130",
        "DG1|1||I50.900^心力衰竭^ICD10|||A",
    )
    return id, ("\x0b" + "\r".join(lines) + "\r\x1c\r").encode()


def measure(on: Ground, seconds: float, rounds: int) -> dict[str, Any]:
    """Rounds of control and service, then the listener killed at work. Figures, and how many acknowledged messages were lost."""
    asyncio.run(_prepare(on))
    rates: list[float] = []
    controls: list[float] = []
    latencies: list[float] = []
    cpu: list[tuple[float, float]] = []
    first = 1
    for _ in range(rounds):
        asyncio.run(settle(on))
        with controlling(on) as port:
            told = loaded(Load(port, CONNECTIONS, WARM, seconds, first))
        controls.append(len(told.latencies) / told.seconds)
        asyncio.run(settle(on))
        with listening(on) as (process, port):
            used, base = cpu_seconds(process.pid), postgres_cpu(on)
            told = loaded(Load(port, CONNECTIONS, WARM, seconds, first))
            cpu.append(
                ((cpu_seconds(process.pid) - used) / len(told.taken), (postgres_cpu(on) - base) / len(told.taken))
            )
        if told.refused:
            raise RuntimeError(f"{told.refused} messages were not acknowledged")
        rates.append(len(told.latencies) / told.seconds)
        latencies += told.latencies
        first += 1_000_000
    lost, acknowledged = killed(on, first)
    ratio = median(rates) / median(controls)
    say(
        table(
            ("ADT over MLLP, 16 connections", "a second", "ACK p50 ms", "ACK p99 ms", "CPU ms", "of PostgreSQL"),
            [
                ("service", f"{median(rates):.0f}", f"{quantile(latencies, 0.5) * 1000:.1f}", f"{quantile(latencies, 0.99) * 1000:.1f}",
                 f"{median([one for one, _ in cpu]) * 1000:.1f}", f"{median([other for _, other in cpu]) * 1000:.1f}"),
                ("control: one row each", f"{median(controls):.0f}", "", "", "", ""),
            ],
        )
    )  # fmt: skip
    say(f"ratio {ratio:.2f}; of {acknowledged} acknowledged before a kill -9, lost: {lost}")
    return {"rate": median(rates), "ratio": ratio, "p99": quantile(latencies, 0.99), "lost": lost}


async def _prepare(on: Ground) -> None:
    async with owner(on) as connection:
        await connection.execute("CREATE TABLE IF NOT EXISTS bench_adt (id text PRIMARY KEY, body bytea NOT NULL)")
        await connection.execute("GRANT INSERT ON bench_adt TO yuanshe_app")


@contextlib.contextmanager
def listening(on: Ground) -> Iterator[tuple["subprocess.Popen[bytes]", int]]:
    """`yuanshe listen` on this ground; its port."""
    port = free_port()
    file = on.home / "hl7.toml"
    file.write_text(CONFIG.format(port=port))
    with program(on, "listen", YUANSHE_HL7=str(file)) as process:
        _open(port, process)
        yield process, port


@contextlib.contextmanager
def controlling(on: Ground) -> Iterator[int]:
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "tests.bench.adt", "control", str(port), on.app_dsn])
    try:
        _open(port, process)
        yield port
    finally:
        process.terminate()
        process.wait(30)


def _open(port: int, process: "subprocess.Popen[bytes]") -> None:
    began = time.perf_counter()
    while True:
        if process.poll() is not None or time.perf_counter() - began > 60:
            raise RuntimeError("the listener did not start")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        threading.Event().wait(0.02)


def loaded(load: Load, kill: "subprocess.Popen[bytes] | None" = None) -> Told:
    """What a load generator of its own process saw; with `kill`, that listener is killed while it works."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.adt", "load"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin and process.stdout
    process.stdin.write(msgspec.json.encode(load).decode() + "\n")
    process.stdin.flush()
    if kill is not None:
        if process.stdout.readline() != "begun\n":
            raise RuntimeError("the load generator did not start")
        threading.Event().wait(KILLED_AFTER)
        os.kill(kill.pid, signal.SIGKILL)
    elif process.stdout.readline() != "begun\n":
        raise RuntimeError("the load generator did not start")
    told = msgspec.json.decode(process.stdout.readline(), type=Told)
    process.wait(60)
    return told


def killed(on: Ground, first: int) -> tuple[int, int]:
    """How many of the messages that were acknowledged before a kill -9 are not there afterwards, and how many those were."""
    with listening(on) as (process, port):
        told = loaded(Load(port, CONNECTIONS, 0, 60, first), process)
    with listening(on):
        stored = asyncio.run(_stored(on, first))
    return len(set(told.taken) - stored), len(told.taken)


async def _stored(on: Ground, first: int) -> set[str]:
    async with owner(on) as connection:
        rows = await connection.fetch(
            "SELECT control_id FROM hl7_message WHERE split_part(control_id, '-', 1)::int >= $1", first
        )
    return {row["control_id"] for row in rows}


# ---- the load generator and the control, each a process of its own ------------------------------------------------------


async def _load(load: Load) -> Told:
    taken: list[str] = []
    latencies: list[float] = []
    refused = 0
    begins = time.perf_counter() + load.warm
    ends = begins + load.seconds

    async def one(n: int) -> None:
        nonlocal refused
        reader, writer = await asyncio.open_connection("127.0.0.1", load.port)
        person = load.first + n
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                for step in range(len(TIMES)):
                    id, framed = message(person, step)
                    at = time.perf_counter()
                    if at > ends:
                        writer.close()
                        return
                    writer.write(framed)
                    answer = await reader.readuntil(b"\x1c\r")
                    now = time.perf_counter()
                    if b"MSA|AA|" not in answer:
                        refused += 1
                        continue
                    taken.append(id)
                    if begins <= now <= ends:
                        latencies.append(now - at)
                person += load.connections

    await asyncio.gather(*(one(n) for n in range(load.connections)))
    return Told(load.seconds, latencies, taken, refused)


async def _control(port: int, dsn: str) -> None:
    pool = await asyncpg.create_pool(dsn, min_size=CONNECTIONS, max_size=CONNECTIONS)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    n = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal n
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                raw = (await reader.readuntil(b"\x1c\r"))[1:-2]
                n += 1
                id = f"{os.getpid()}-{n}"
                async with pool.acquire() as connection, connection.transaction():
                    await connection.execute("INSERT INTO bench_adt (id, body) VALUES ($1, $2)", id, raw)
                writer.write(b"\x0bMSH|^~\\&|\rMSA|AA|1\r\x1c\r")

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    async with server:
        await stop.wait()
    pool.terminate()


def _main(words: Sequence[str]) -> None:
    with asyncio.Runner(loop_factory=auto_loop_factory()) as runner:
        if words[0] == "control":
            runner.run(_control(int(words[1]), words[2]))
            return
        load = msgspec.json.decode(sys.stdin.readline(), type=Load)
        say("begun")
        say(msgspec.json.encode(runner.run(_load(load))).decode())


if __name__ == "__main__":
    _main(sys.argv[1:])
