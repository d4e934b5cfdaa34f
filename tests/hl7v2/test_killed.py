"""What was acknowledged is in the database, whenever the listener dies; the real process, killed."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.hl7v2.test_inbox import CONFIG, ROOT
from tests.hl7v2.test_listener import Authority
from tests.hl7v2.ward import Line, adt, inbox, line, stay_line
from tests.http.world import World

LINES, BEFORE = 4, 60
"""Connections that send at once, and how many messages are answered before the listener is killed."""


@contextlib.asynccontextmanager
async def listener(
    world: World, folder: Path, text: str = CONFIG
) -> AsyncIterator[tuple["asyncio.subprocess.Process", int]]:
    """`yuanshe listen` as it is run; its port."""
    file = folder / "hl7.toml"
    file.write_text(text.replace("[listen]", "[listen]\nport = 0", 1))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "adapters.main", "listen", "--config", str(file), cwd=ROOT, stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "DATABASE_URL": world.clone.app_dsn},
    )  # fmt: skip
    assert process.stderr is not None
    try:
        said = ""
        async with asyncio.timeout(60):
            while "MLLP at" not in said:
                said = (await process.stderr.readline()).decode()
                assert said, "it did not start"
        yield process, int(said.rpartition(":")[2])
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def send(one: Line, ids: list[str], taken: set[str], enough: asyncio.Event) -> None:
    """Send until the line breaks; what is acknowledged is noted only once its answer is read."""
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        for id in ids:
            said = await one.send(adt("A01", id, mr=f"MR-{id}", stay=f"S-{id}", pv1=stay_line(stay=f"S-{id}")))
            assert said.code == "AA", said
            taken.add(id)
            if len(taken) >= BEFORE:
                enough.set()


async def test_killed_at_any_moment_it_has_lost_nothing_that_it_acknowledged(world: World, tmp_path: Path) -> None:
    ids = [[f"{n}-{m}" for m in range(200)] for n in range(LINES)]
    taken: set[str] = set()
    enough = asyncio.Event()
    async with listener(world, tmp_path) as (process, port), contextlib.AsyncExitStack() as stack:
        lines = [await stack.enter_async_context(line(port)) for _ in range(LINES)]
        sending = asyncio.gather(*(send(one, own, taken, enough) for one, own in zip(lines, ids, strict=True)))
        async with asyncio.timeout(60):
            await enough.wait()
        process.send_signal(signal.SIGKILL)
        await process.wait()
        await sending
    assert BEFORE <= len(taken) < LINES * 200
    stored = {row["control_id"] for row in await inbox(world)}
    assert taken <= stored, f"acknowledged and lost: {taken - stored}"
    # What was under way and not answered is sent again, and is there once, whether or not it had been stored.
    again = [next(id for id in own if id not in taken) for own in ids]
    async with listener(world, tmp_path) as (_, port), line(port) as one:
        for id in again:
            said = await one.send(adt("A01", id, mr=f"MR-{id}", stay=f"S-{id}", pv1=stay_line(stay=f"S-{id}")))
            assert said.code == "AA", said
    everything = [row["control_id"] for row in await inbox(world)]
    assert sorted(everything) == sorted(taken | stored | set(again))
    async with world.as_owner() as connection:
        assert await connection.fetchval("SELECT count(*) FROM patient") == len(everything)
        assert await connection.fetchval("SELECT count(*) FROM stay") == len(everything)


async def test_told_to_stop_it_ends_at_once_and_well(world: World, tmp_path: Path) -> None:
    async with listener(world, tmp_path) as (process, port), line(port) as one:
        assert (await one.send(adt("A01", "1"))).code == "AA"
        process.terminate()
        assert await process.wait() == 0
        assert await one.ended()


@pytest.mark.slow
async def test_it_does_not_start_where_everybody_could_send_or_nobody_knows_the_hospital(world: World, tmp_path: Path) -> None:  # fmt: skip
    file = tmp_path / "hl7.toml"
    for text, says in (
        (CONFIG.replace('peers = ["127.0.0.0/8"]', 'host = "0.0.0.0"'), "never listens to everybody"),
        (CONFIG.replace("hospital-a", "hospital-z"), "hospital-z"),
        ("", "listen"),
    ):
        file.write_text(text)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "adapters.main", "listen", "--config", str(file), cwd=ROOT, stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "DATABASE_URL": world.clone.app_dsn},
        )  # fmt: skip
        _, said = await process.communicate()
        assert process.returncode == 2 and says in said.decode(), said


@pytest.mark.slow
async def test_as_it_is_run_it_takes_mutual_tls(world: World, tmp_path: Path) -> None:
    ours = Authority(tmp_path)
    server, key = ours.sign("yuanshe")
    tls = f'[listen]\n[listen.tls]\ncertificate = "{server}"\nkey = "{key}"\nclients = "{ours.file}"\n'
    text = CONFIG.replace('[listen]\npeers = ["127.0.0.0/8"]', tls).replace('application = "HIS"', 'certificates = ["his-a.example"]')  # fmt: skip
    async with listener(world, tmp_path, text) as (_, port):
        async with line(port, ours.client(*ours.sign("his-a.example"))) as one:
            assert (await one.send(adt("A01", "1"))).code == "AA"
        async with line(port, ours.client(*ours.sign("another.example"))) as one:
            assert (await one.send(adt("A01", "2"))).key == "unknown-sender"
