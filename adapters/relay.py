"""Both ends of the wake-up: a coalescing NOTIFY after commits, and a LISTEN that reconnects and rings after each gap.

A notification says only "look": the tables are the truth, and whoever missed one finds all when next looking. It is
never sent inside a writer's transaction, because that makes commits wait for one another.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable

import asyncpg

from service.db import AWAY

COMMITTED = "yuanshe"
"""Something was committed: events to sequence, a notice to send."""
SEQUENCED = "yuanshe_sequenced"
"""Events got their positions: readers with a cursor may look."""

PAUSE = 0.02
"""Seconds between two notifications: at most 50 a second, however many commits there are."""
AGAIN = 1.0
"""Seconds before a lost connection is tried again."""

log = logging.getLogger(__name__)


class Relay:
    """Call `ring` after a commit (`Database.on_commit`); it never waits and never fails."""

    def __init__(self, dsn: str, channel: str = COMMITTED) -> None:
        self._dsn = dsn
        self._channel = channel
        self._rung = asyncio.Event()

    def ring(self) -> None:
        self._rung.set()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Relay"]:
        task = asyncio.create_task(self._run(), name=f"relay {self._channel}")
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            try:
                connection = await asyncpg.connect(self._dsn)
            except (*AWAY, asyncpg.PostgresError):
                await asyncio.sleep(AGAIN)
                continue
            try:
                while True:
                    await self._rung.wait()
                    self._rung.clear()
                    await connection.execute("SELECT pg_notify($1, '')", self._channel)
                    await asyncio.sleep(PAUSE)
            except (*AWAY, asyncpg.PostgresError):
                self._rung.set()  # What could not be said is said again on the next connection.
            finally:
                connection.terminate()


@contextlib.asynccontextmanager
async def listening(dsn: str, on_news: Callable[[], None], channel: str = COMMITTED) -> AsyncIterator[None]:
    """Call `on_news` for each notification, and whenever the connection was made (again): one may have been missed."""
    task = asyncio.create_task(_listen(dsn, on_news, channel), name=f"listen {channel}")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _listen(dsn: str, on_news: Callable[[], None], channel: str) -> None:
    while True:
        lost = asyncio.Event()
        try:
            connection = await asyncpg.connect(dsn)
        except (*AWAY, asyncpg.PostgresError):
            await asyncio.sleep(AGAIN)
            continue
        try:
            connection.add_termination_listener(lambda _connection, lost=lost: lost.set())
            await connection.add_listener(channel, lambda *_notification: on_news())
            on_news()
            await lost.wait()
            log.warning("the listening connection was lost; connecting again")
        except (*AWAY, asyncpg.PostgresError):
            pass
        finally:
            connection.terminate()
        await asyncio.sleep(PAUSE)
