"""The SQL of sweeps and heartbeats."""

from datetime import datetime

from service.db import Session
from service.values import Id

# A sweep that another worker runs holds its row; one that never ran has none yet.
KNOW_SWEEP = "INSERT INTO sweep (name, last_at) VALUES ($1, '-infinity') ON CONFLICT DO NOTHING"


async def know_sweep(session: Session, name: str) -> None:
    await session.execute(KNOW_SWEEP, name)


TAKE_SWEEP = """
UPDATE sweep SET last_at = $2
WHERE name = (SELECT name FROM sweep WHERE name = $1 AND last_at <= $3 FOR UPDATE SKIP LOCKED)
RETURNING true
"""


async def take_sweep(session: Session, name: str, now: datetime, unless_since: datetime) -> bool:
    return await session.fetchval(TAKE_SWEEP, name, now, unless_since) or False


BEAT = """
INSERT INTO worker_heartbeat (id, started_at, at) VALUES ($1, $2, $2) ON CONFLICT (id) DO UPDATE SET at = excluded.at
"""


async def beat(session: Session, worker: Id, now: datetime) -> None:
    await session.execute(BEAT, worker, now)


LEAVE = "DELETE FROM worker_heartbeat WHERE id = $1"


async def leave(session: Session, worker: Id) -> None:
    await session.execute(LEAVE, worker)


LAST_BEAT = "SELECT max(at) FROM worker_heartbeat"


async def last_beat(session: Session) -> datetime | None:
    return await session.fetchval(LAST_BEAT)
