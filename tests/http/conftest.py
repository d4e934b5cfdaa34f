"""The demo network over HTTP: its clients with their tokens, on a database of each test's own."""

import asyncio
import contextlib
import fcntl
import json
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters import app, settings
from adapters import network as files
from adapters.demo import people
from service import db
from service.access import flow as access
from service.access.model import clock_actor
from service.db import Scope
from service.directory import flow as directory
from service.practice import PLATFORM
from service.values import utc_now
from tests.http.loop import forgotten
from tests.http.outside import hearing, working
from tests.http.world import BASE, World
from tests.http.writers import Ground
from tests.notices.conftest import Listener

TEMPLATE = "yuanshe_network"


@pytest.fixture(scope="session")
def network(server: Any) -> dict[str, Any]:
    """A template database with the demo network in it, made once for the run; what `demo.json` says of it."""
    home = Path(os.environ["YUANSHE_TEST_HOME"])
    said = home / "network.json"
    with open(home / "network.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not said.exists():
            server.execute(f'DROP DATABASE IF EXISTS "{TEMPLATE}"')
            server.execute(f'CREATE DATABASE "{TEMPLATE}" TEMPLATE yuanshe_template')
            said.write_text(json.dumps(asyncio.run(_fill(server.app_dsn(TEMPLATE)))))
    return json.loads(said.read_text())


async def _fill(dsn: str) -> dict[str, Any]:
    database = await db.connect(dsn, size=1)
    try:
        async with database.transaction(Scope(PLATFORM, "platform", platform=True)) as session:
            await directory.load(session, clock_actor(PLATFORM), files.read([files.DEMO]), utc_now())
            return await people.register(session, utc_now())
    finally:
        await database.close()


@pytest.fixture
def network_database(server: Any, network: dict[str, Any]) -> Iterator[Any]:
    """A database of one test's own with the demo network in it."""
    clone = server.create(TEMPLATE)
    yield clone
    server.drop(clone)


@pytest.fixture
async def world(network: dict[str, Any], network_database: Any, tmp_path: Path) -> AsyncIterator[World]:
    """The service in this process, spoken to over HTTP."""
    built = app.create(settings.Settings(home=tmp_path), network_database.app_dsn, base_url=BASE)
    async with World(built, network, network_database).running() as running:
        yield running
        # Whatever a test did: every open referral has exactly one answer to “who acts next”.
        assert await forgotten(running) == 0


@pytest.fixture
async def writing_world(world: World) -> AsyncIterator[Ground]:
    """The same, with writers of another process, which has a pool of its own."""
    async with contextlib.AsyncExitStack() as stack:
        elsewhere = await db.connect(world.clone.app_dsn, size=40)
        stack.push_async_callback(elsewhere.close)
        actor = await access.authenticate(world.database, world.said["clients"]["his-a"]["access_token"], utc_now())
        yield Ground(world, elsewhere, actor, (await world.refer("N05")).patient)


@pytest.fixture
async def hook() -> AsyncIterator[Listener]:
    """Where notices are posted."""
    async with hearing() as listener:
        yield listener


@pytest.fixture
async def worker(world: World) -> AsyncIterator[None]:
    """A worker of the world's database."""
    async with working(world.clone):
        yield
