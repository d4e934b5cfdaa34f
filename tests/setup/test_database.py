"""A database that is away is told from a value that does not fit, and no connection goes back with a transaction open."""

from typing import Any

import asyncpg
import pytest

from service import db
from service.errors import Unavailable

SCOPE = db.Scope(None, "client")


@pytest.fixture
async def pool(database: Any) -> Any:
    """One connection: what one request leaves behind, the next one finds."""
    opened = await db.connect(database.app_dsn, size=1)
    yield opened
    await opened.close()


async def test_a_value_that_does_not_fit_is_no_outage_and_leaves_no_transaction_open(pool: db.Database) -> None:
    for query, values in (
        ("SELECT $1::int", ("no number",)),
        ("SELECT 1", ("too", "many")),
        (f"SELECT {'$1,' * 32768}1", (1,) * 32768),
    ):
        with pytest.raises((asyncpg.InterfaceError, asyncpg.PostgresError)):
            async with pool.transaction(SCOPE) as session:
                await session.execute("SELECT set_config('yuanshe.role', 'left-behind', true)")
                await session.fetchval(query, *values)
        async with pool.transaction(SCOPE) as session:
            assert await session.fetchval("SELECT current_setting('yuanshe.role')") == "client"
        async with pool.pool.acquire() as connection:
            assert not connection.is_in_transaction()


async def test_a_connection_that_is_cut_is_an_outage_and_the_next_request_has_another(pool: db.Database) -> None:
    with pytest.raises(Unavailable):
        async with pool.transaction(SCOPE) as session:
            session.connection.terminate()
            await session.fetchval("SELECT 1")
    async with pool.transaction(SCOPE) as session:
        assert await session.fetchval("SELECT 1") == 1


async def test_a_pool_that_is_closed_is_an_outage(pool: db.Database) -> None:
    await pool.close()
    with pytest.raises(Unavailable):
        async with pool.transaction(SCOPE):
            pass
