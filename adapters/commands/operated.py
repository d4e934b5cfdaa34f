"""What a command does in the database: one transaction of the operator's, with its line in the audit."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from adapters import relay, settings
from service import db
from service.access import flow as access
from service.access.model import Call, operator
from service.db import Database, Session, migrate

T = TypeVar("T")


def run(call: Call, act: Callable[[Session], Awaitable[T]]) -> T:
    """Do it, and wake the worker when something was said that it has to carry on. Raises SetupError."""

    async def audited(dsn: str) -> T:
        async with database(dsn) as opened:
            async with access.open(opened, operator(), call) as session:
                done = await act(session)
                stirred = session.stirred
            if stirred:
                async with opened.pool.acquire() as connection:
                    await connection.execute("SELECT pg_notify($1, '')", relay.COMMITTED)
            return done

    with settings.databases(settings.read()) as found:
        return asyncio.run(audited(found.app))


@asynccontextmanager
async def database(dsn: str) -> AsyncIterator[Database]:
    """The database, while the block lasts. Raises SetupError when it is away, or not at the schema of this version:
    asked before anything else, so that nothing fails halfway."""
    opened = await db.connect(dsn, size=1)
    try:
        async with opened.pool.acquire() as connection:
            await migrate.refuse_other_schema(connection)  # pyright: ignore[reportArgumentType]
        yield opened
    finally:
        await opened.close()
