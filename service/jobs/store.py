"""The SQL of sweeps and heartbeats."""

from datetime import datetime

from service.db import Session
from service.jobs.silence import Alarm
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


# One silence runs at a time: of several that watch, one raises the alarm.
RAISE = """
INSERT INTO worker_silence (id, since, raised_at, next_at) VALUES ($1, $2, $3, $3) ON CONFLICT DO NOTHING RETURNING true
"""


async def raise_alarm(session: Session, id: Id, since: datetime, now: datetime) -> bool:
    return await session.fetchval(RAISE, id, since, now) or False


# By a sign of life alone: who has just begun to watch has heard of no silence, and must not end another's alarm.
END = """
UPDATE worker_silence SET ended_at = $1, next_at = $1
WHERE ended_at IS NULL AND since < (SELECT max(at) FROM worker_heartbeat) RETURNING true
"""


async def end_alarm(session: Session, now: datetime) -> bool:
    return await session.fetchval(END, now) or False


# What nobody has told yet, the beginning of a silence before its end; leased, so that one who is killed leaves it to others.
UNTOLD = """
UPDATE worker_silence SET next_at = $2 WHERE id IN (
    SELECT id FROM worker_silence
    WHERE (told_at IS NULL OR (ended_at IS NOT NULL AND end_told_at IS NULL)) AND next_at <= $1
    ORDER BY raised_at LIMIT 10 FOR UPDATE SKIP LOCKED)
RETURNING id, since, raised_at, told_at IS NULL AS beginning, ended_at
"""


async def untold(session: Session, now: datetime, until: datetime) -> list[Alarm]:
    return [Alarm(**row) for row in await session.fetch(UNTOLD, now, until)]


TOLD = """
UPDATE worker_silence SET told_at = coalesce(told_at, $3), end_told_at = CASE WHEN $2 THEN end_told_at ELSE $3::timestamptz END,
    next_at = $3
WHERE id = $1
"""


async def told(session: Session, alarm: Id, beginning: bool, now: datetime) -> None:
    await session.execute(TOLD, alarm, beginning, now)
