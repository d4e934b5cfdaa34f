"""SQL of acts on many rows of a queue."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import msgspec

from service.access.model import Actor
from service.db import Session
from service.values import Id


class Bulk(msgspec.Struct, frozen=True):
    """One act on many rows, and how far it is."""

    id: Id
    action: str
    made_at: datetime
    ended_at: datetime | None
    rows: int
    done: int
    refused: int
    reason_code: str | None = None
    reason_text: str | None = None
    worker: Id | None = None
    until: datetime | None = None


class BulkRow(msgspec.Struct, frozen=True):
    """One row: `why` is the key of what refused it, `detail` who was quicker."""

    place: int
    task: Id
    state: Literal["waiting", "done", "refused"]
    why: str | None
    detail: str | None


class InHand(msgspec.Struct, frozen=True):
    """A row that this worker has in hand: whose act it is, and what to do; `allowed`: their account is open still."""

    act: Id
    place: int
    task: Id
    actor: Actor
    allowed: bool
    action: str
    reason_code: str | None
    reason_text: str | None
    worker: Id | None
    until: datetime | None


MAKE = """
WITH act AS (
    INSERT INTO bulk_act (id, organization_id, account_id, action, reason_code, reason_text, worker_id, until, made_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
)
INSERT INTO bulk_row (act_id, place, task_id, organization_id, account_id)
SELECT $1, t.place, t.id, $2, $3 FROM unnest($10::uuid[]) WITH ORDINALITY AS t(id, place)
"""


async def make(
    session: Session, id: Id, actor: Actor, action: str, reason: tuple[str | None, str | None], worker: Id | None, until: datetime | None,
    tasks: Sequence[Id], now: datetime,
) -> None:  # fmt: skip
    await session.execute(
        MAKE, id, actor.organization, actor.id, action, *reason, worker, until, now, list(tasks)
    )  # fmt: skip


_BULK = """a.id, a.action, a.made_at, a.ended_at, a.reason_code, a.reason_text, a.worker_id AS worker, a.until,
    count(*)::int AS rows, count(*) FILTER (WHERE r.state = 'done')::int AS done, count(*) FILTER (WHERE r.state = 'refused')::int AS refused"""
OWN = f"""
SELECT {_BULK} FROM bulk_act a JOIN bulk_row r ON r.act_id = a.id WHERE a.id = $1 AND a.account_id = $2 GROUP BY a.id
"""


async def own(session: Session, id: Id, account: Id) -> Bulk | None:
    """An act of one's own."""
    row = await session.fetchrow(OWN, id, account)
    return Bulk(**row) if row else None


RUNNING = f"""
SELECT {_BULK} FROM (SELECT * FROM bulk_act WHERE account_id = $1 AND ended_at IS NULL ORDER BY made_at DESC LIMIT 3) a
JOIN bulk_row r ON r.act_id = a.id
GROUP BY a.id, a.action, a.made_at, a.ended_at, a.reason_code, a.reason_text, a.worker_id, a.until ORDER BY a.made_at DESC
"""


async def running(session: Session, account: Id) -> list[Bulk]:
    """Acts of one's own that are not through, the last first."""
    return [Bulk(**row) for row in await session.fetch(RUNNING, account)]


ROWS = "SELECT place, task_id AS task, state, why, detail FROM bulk_row WHERE act_id = $1 AND ($2::text IS NULL OR state = $2) ORDER BY place LIMIT 1000"


async def rows(session: Session, id: Id, state: str | None = None) -> list[BulkRow]:
    return [BulkRow(**row) for row in await session.fetch(ROWS, id, state)]


# The oldest act first; rows that another worker has in hand are passed over until its lease is out.
TAKE = """
WITH taken AS (
    SELECT r.act_id, r.place FROM bulk_row r
    WHERE r.act_id = (SELECT a.id FROM bulk_act a WHERE a.ended_at IS NULL AND EXISTS (
            SELECT 1 FROM bulk_row w WHERE w.act_id = a.id AND w.state = 'waiting' AND (w.lease IS NULL OR w.lease < $1))
        ORDER BY a.made_at, a.id LIMIT 1)
      AND r.state = 'waiting' AND (r.lease IS NULL OR r.lease < $1)
    ORDER BY r.place LIMIT $3 FOR UPDATE SKIP LOCKED
), leased AS (
    UPDATE bulk_row r SET lease = $2 FROM taken t WHERE r.act_id = t.act_id AND r.place = t.place
    RETURNING r.act_id, r.place, r.task_id
)
SELECT l.act_id AS act, l.place, l.task_id AS task, a.action, a.reason_code, a.reason_text, a.worker_id AS worker, a.until,
    u.id AS account, u.role, u.organization_id AS organization, u.name, u.worker_id AS own_worker,
    u.active AND u.organization_id = a.organization_id AS allowed
FROM leased l JOIN bulk_act a ON a.id = l.act_id JOIN account u ON u.id = a.account_id ORDER BY l.place
"""


async def take(session: Session, now: datetime, until: datetime, limit: int) -> list[InHand]:
    """Take rows that are to be done. Needs the platform's scope."""
    return [
        InHand(
            act=row["act"], place=row["place"], task=row["task"], allowed=row["allowed"], action=row["action"],
            reason_code=row["reason_code"], reason_text=row["reason_text"], worker=row["worker"], until=row["until"],
            actor=Actor(row["account"], "person", row["organization"], row["role"], row["name"], worker=row["own_worker"]),
        )
        for row in await session.fetch(TAKE, now, until, limit)
    ]  # fmt: skip


SETTLE = "UPDATE bulk_row SET state = $3, why = $4, detail = $5, lease = NULL WHERE act_id = $1 AND place = $2 AND state = 'waiting' RETURNING true"


async def settle(session: Session, row: InHand, state: str, why: str | None = None, detail: str | None = None) -> bool:
    """Write down what came of a row; False when somebody has done so before."""
    return bool(await session.fetchval(SETTLE, row.act, row.place, state, why, detail))


END = """
UPDATE bulk_act a SET ended_at = $2 WHERE a.id = $1 AND a.ended_at IS NULL
  AND NOT EXISTS (SELECT 1 FROM bulk_row r WHERE r.act_id = a.id AND r.state = 'waiting')
"""


async def end(session: Session, act: Id, now: datetime) -> None:
    """It is through when no row waits any more."""
    await session.execute(END, act, now)


FORGET = """
WITH old AS (SELECT id FROM bulk_act WHERE made_at < $1 AND ended_at IS NOT NULL ORDER BY made_at LIMIT 50),
gone AS (DELETE FROM bulk_row WHERE act_id IN (SELECT id FROM old))
SELECT id FROM old
"""
DROP = "DELETE FROM bulk_act WHERE id = ANY($1)"


async def forget(session: Session, before: datetime) -> int:
    """Drop acts that ended before; how many."""
    old = [row["id"] for row in await session.fetch(FORGET, before)]
    await session.execute(DROP, old)
    return len(old)
