"""What stands outside the service in these tests: a subscriber's own HTTP server, and a worker as it is run."""

import asyncio
import contextlib
import ipaddress
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from tests.http.world import BASE
from tests.notices.conftest import Listener

ROOT = Path(__file__).parents[2]
LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)


@contextlib.asynccontextmanager
async def hearing() -> AsyncIterator[Listener]:
    """A subscriber's server, until the block ends."""
    listener = Listener()
    server = await asyncio.start_server(listener.answer, "127.0.0.1", 0)
    listener.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield listener
    finally:
        server.close()
        for writer in list(listener._open):
            writer.close()


@contextlib.asynccontextmanager
async def working(database: Any, **environ: str) -> AsyncIterator[None]:
    """`yuanshe work` on this database, told this besides, until the block ends."""
    more = {"DATABASE_URL": database.app_dsn, "WEBHOOK_ALLOW": "127.0.0.0/8", "YUANSHE_URL": BASE, **environ}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "adapters.main", "work", cwd=ROOT, env={**os.environ, **more}
    )
    try:
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def command(database: Any, *words: str) -> str:
    """What `yuanshe …` prints, run by an operator on the machine of this database."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "adapters.main", *words, cwd=ROOT, stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "DATABASE_URL": database.app_dsn},
    )  # fmt: skip
    said, _ = await process.communicate()
    assert process.returncode == 0, said
    return said.decode()
