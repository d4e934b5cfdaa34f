"""The horizon: up to which time a reader has every change, however long a writer takes from its time to its commit.

A change carries the time at which its transaction began (`Session.began`, the database's clock), and is seen only once that
transaction has committed. Who follows changes by their time would therefore skip what began earlier and committed later.
Each transaction that may write holds, from before it takes its time until it has ended, a lock whose key says since when.
A reader that answers only what changed before `await horizon(session)` has all of that: nothing can appear later with an
older time. See docs/decisions/commit-order.md.
"""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from service.db import ERA, Session

PATIENCE = 1.0
"""Seconds that a reader waits in all for writers in flight; it waits for their end, not for a clock."""

# A pair of keys is this lock's own way: every other advisory lock of the service has a single one.
IN_FLIGHT = """
SELECT classid::bigint AS since, objid::bigint AS backend, virtualtransaction AS of FROM pg_locks
WHERE locktype = 'advisory' AND objsubid = 2 AND mode = 'ExclusiveLock' AND granted AND pid <> pg_backend_pid()
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
ORDER BY since
"""


async def in_flight(session: Session) -> list[asyncpg.Record]:
    """The writers whose transactions have not ended, the oldest first: since when (whole seconds), which backend, which
    transaction of it."""
    return await session.fetch(IN_FLIGHT)


AWAIT = """
SAVEPOINT horizon; SET LOCAL lock_timeout = {limit:d}; SELECT pg_advisory_xact_lock_shared({since:d}, {backend:d});
ROLLBACK TO SAVEPOINT horizon; RELEASE SAVEPOINT horizon
"""
"""One message; what it locks it gives back at once, so that the writer's backend is held up by nothing."""


async def _ended(session: Session, writer: asyncpg.Record, seconds: float) -> bool:
    """Wait until the writer's transaction has ended; False when that takes longer."""
    try:
        await session.execute(
            AWAIT.format(limit=max(1, round(seconds * 1000)), since=writer["since"], backend=writer["backend"])
        )
    except asyncpg.LockNotAvailableError:
        await session.execute("ROLLBACK TO SAVEPOINT horizon; RELEASE SAVEPOINT horizon")
        return False
    return True


async def horizon(session: Session) -> datetime:
    """The time before which every change is visible to the session's next statement, and stays so: answer only rows that
    changed earlier than this, and give it to the pages that follow.

    It is the time at which the session began once the writers in flight then have ended, so that what anybody was told is
    stored is found. A writer that takes longer than PATIENCE, or a session that writes itself (which waits for nobody),
    brings it back to before the oldest writer in flight.
    """
    began: datetime = session.began
    writers = await in_flight(session)
    if not writers:
        return began
    if not session.writes:
        clock = asyncio.get_running_loop()
        until = clock.time() + PATIENCE
        for writer in writers:
            if (left := until - clock.time()) <= 0 or not await _ended(session, writer, left):
                break
        else:
            return began
        still: set[Any] = {writer["of"] for writer in await in_flight(session)}
        writers = [writer for writer in writers if writer["of"] in still]
    return min([began, *(ERA + timedelta(seconds=writer["since"]) for writer in writers)])
