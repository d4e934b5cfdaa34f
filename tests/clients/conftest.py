"""The service on a port of its own, and the foreign clients that speak to it."""

import asyncio
import fcntl
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import uvicorn

from adapters import app, settings
from adapters.commands import serve
from tests.http.conftest import network, network_database  # noqa: F401 -- fixtures
from tests.http.loop import forgotten
from tests.http.world import World

HERE = Path(__file__).parent
MADE_FROM = HERE / "node_modules" / ".made-from"
NODE = HERE / "node_modules" / ".bin" / "node"


class Served(msgspec.Struct, frozen=True):
    """A running service: `world` speaks to it as the other tests do, clients by its `url` (of the FHIR surface)."""

    url: str
    world: World

    def token(self, party: str) -> str:
        return self.world.said["clients"][party]["access_token"]


@pytest.fixture
async def served(network: dict[str, Any], network_database: Any) -> AsyncIterator[Served]:  # noqa: F811
    listening = serve.listen("127.0.0.1", 0)
    base = f"http://127.0.0.1:{listening.getsockname()[1]}"
    built = app.create(settings.Settings(), network_database.app_dsn, base_url=base)
    server = serve.Server(uvicorn.Config(built, log_level="warning", access_log=False))
    # What connects before the server accepts waits in the socket's own queue.
    running = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        async with World(built, network, network_database).running() as world:
            yield Served(f"{base}/fhir", world)
            assert await forgotten(world) == 0
    finally:
        server.should_exit = True
        await running


@pytest.fixture(scope="session")
def packages() -> None:
    """The clients of npm, as package-lock.json pins them."""
    if not os.environ.get("YUANSHE_TEST_ALL"):
        pytest.skip("clients written in JavaScript are installed by `make test-all` alone")
    if not shutil.which("npm"):
        pytest.skip("npm is not installed")
    with open(HERE / "package.json") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = (HERE / "package-lock.json").read_text()
        if not NODE.exists() or not MADE_FROM.exists() or MADE_FROM.read_text() != wanted:
            subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=HERE, check=True, capture_output=True)
            MADE_FROM.write_text(wanted)


Script = Callable[..., Awaitable[str]]


@pytest.fixture
def javascript(packages: None) -> Script:
    """Run a file of this folder with Node, `sent` on its standard input; what it printed. Fails with its words when it fails."""

    async def run(*arguments: str, sent: str = "", **environ: str) -> str:
        process = await asyncio.create_subprocess_exec(
            NODE, *arguments, cwd=HERE, env={**os.environ, **environ}, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        said = (await process.communicate(sent.encode()))[0].decode()
        assert process.returncode == 0, said
        return said

    return run
