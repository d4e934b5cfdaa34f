"""SQL of exports and of the pieces of their files."""

from collections.abc import Sequence
from datetime import datetime

from asyncpg import Record as Row

from service.access.model import Actor
from service.db import Session
from service.exports.model import Cursor, Export, File, Page, Wish
from service.values import Id

COLUMNS = """id, organization_id, client_id, role, name, scopes, level, group_organization, group_need, persons, types, since,
    base, request, state, asked_at, transaction_time, stage, person, row_id, rows, stumbles, expires_at"""


def _export(row: Row) -> Export:
    group = (row["group_organization"], row["group_need"]) if row["group_need"] else None
    persons = None if row["persons"] is None else tuple(row["persons"])
    return Export(
        id=row["id"],
        actor=Actor(row["client_id"], "client", row["organization_id"], row["role"], row["name"], tuple(row["scopes"])),
        wish=Wish(row["level"], tuple(row["types"]), row["base"], row["request"], row["since"], group, persons),
        state=row["state"], asked_at=row["asked_at"], transaction_time=row["transaction_time"],
        cursor=Cursor(row["stage"], row["person"], row["row_id"]),
        rows=row["rows"], stumbles=row["stumbles"], expires_at=row["expires_at"],
    )  # fmt: skip


COUNT_RUNNING = "SELECT count(*) FROM export WHERE client_id = $1 AND state = 'running'"


async def count_running(session: Session, client: Id) -> int:
    return await session.fetchval(COUNT_RUNNING, client)


INSERT = """
INSERT INTO export (id, organization_id, client_id, role, name, scopes, level, group_organization, group_need, persons, types,
                    since, base, request, state, asked_at, worked_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, 'running', $15, $15)
"""


async def insert(session: Session, id: Id, actor: Actor, wish: Wish, now: datetime) -> None:
    organization, need = wish.group or (None, None)
    persons = None if wish.persons is None else list(wish.persons)
    await session.execute(
        INSERT, id, actor.organization, actor.id, actor.role, actor.name, list(actor.scopes), wish.level, organization, need,
        persons, list(wish.types), wish.since, wish.base, wish.request, now,
    )  # fmt: skip


OF_CLIENT = f"SELECT {COLUMNS} FROM export WHERE id = $1 AND client_id = $2 AND state <> 'cancelled' AND (expires_at IS NULL OR expires_at > $3)"


async def of_client(session: Session, id: Id, client: Id, now: datetime) -> Export | None:
    """The export of this client, unless it has expired or was cancelled."""
    row = await session.fetchrow(OF_CLIENT, id, client, now)
    return _export(row) if row else None


POLL = "UPDATE export SET polled_at = $2 WHERE id = $1 AND (polled_at IS NULL OR polled_at <= $3) RETURNING true"


async def poll(session: Session, id: Id, now: datetime, unless_since: datetime) -> bool:
    """Whether it was not asked for since."""
    return await session.fetchval(POLL, id, now, unless_since) or False


END = """
UPDATE export SET state = $2, expires_at = $3, transaction_time = coalesce(transaction_time, $4)
WHERE id = $1 AND (state = 'running' OR $2 = 'cancelled')
"""


async def end(session: Session, id: Id, state: str, expires_at: datetime, now: datetime) -> None:
    await session.execute(END, id, state, expires_at, now)


WAITING = "SELECT id, client_id, organization_id, role, name, scopes FROM export WHERE state = 'running' ORDER BY worked_at LIMIT $1"


async def waiting(session: Session, limit: int) -> list[tuple[Id, Actor]]:
    """What is to be written, and in whose scope; longest waiting first."""
    return [
        (row["id"], Actor(row["client_id"], "client", row["organization_id"], row["role"], row["name"], tuple(row["scopes"])))
        for row in await session.fetch(WAITING, limit)
    ]  # fmt: skip


# A lock of its own and not the row's: how an export fares can be asked while a page of it is being written.
TAKE = "SELECT pg_try_advisory_xact_lock(hashtextextended('export ' || $1::uuid::text, 0))"


async def take(session: Session, id: Id) -> bool:
    """Whether no other worker writes it; held until this transaction ends."""
    return await session.fetchval(TAKE, id)


RUNNING = f"""
SELECT {COLUMNS}, EXISTS (SELECT 1 FROM client c WHERE c.id = export.client_id AND c.revoked_at IS NOT NULL) AS revoked
FROM export WHERE id = $1 AND state = 'running'
"""


async def running(session: Session, id: Id) -> tuple[Export, bool] | None:
    """The export if it is still to be written, and whether its client's access was revoked meanwhile."""
    row = await session.fetchrow(RUNNING, id)
    return (_export(row), row["revoked"]) if row else None


BEGIN = "UPDATE export SET transaction_time = $2 WHERE id = $1"


async def begin(session: Session, id: Id, transaction_time: datetime) -> None:
    await session.execute(BEGIN, id, transaction_time)


MOVE = """
UPDATE export SET stage = $2, person = $3, row_id = $4, rows = rows + $5, stumbles = 0, worked_at = $6
WHERE id = $1 AND state = 'running' RETURNING true
"""


async def move(session: Session, id: Id, to: Cursor, rows: int, now: datetime) -> bool:
    """Whether it was still to be written, and the cursor now stands there."""
    return await session.fetchval(MOVE, id, to.stage, to.person, to.row, rows, now) or False


KEEP = """
INSERT INTO export_part (export_id, type, file, part, organization_id, rows, size, content, persons)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
"""


async def keep(session: Session, export: Export, file: int, part: int, page: Page) -> None:
    await session.execute(
        KEEP, export.id, page.type, file, part, export.actor.organization, page.rows, page.size, page.content,
        list(page.persons),
    )  # fmt: skip


LAST_FILE = """
SELECT file, count(*)::int AS parts, sum(rows)::bigint AS rows, sum(size)::bigint AS size FROM export_part
WHERE export_id = $1 AND type = $2 AND file = (SELECT max(file) FROM export_part WHERE export_id = $1 AND type = $2)
GROUP BY file
"""


async def last_file(session: Session, id: Id, type: str) -> File | None:
    """The file of this type that was begun last."""
    row = await session.fetchrow(LAST_FILE, id, type)
    return _file(type, row) if row else None


STUMBLE = (
    "UPDATE export SET stumbles = stumbles + 1, worked_at = $2 WHERE id = $1 AND state = 'running' RETURNING stumbles"
)


async def stumble(session: Session, id: Id, now: datetime) -> int:
    return await session.fetchval(STUMBLE, id, now) or 0


FILES = """
SELECT type, file, count(*)::int AS parts, sum(rows)::bigint AS rows, sum(size)::bigint AS size FROM export_part
WHERE export_id = $1 GROUP BY type, file ORDER BY type, file
"""


def _file(type: str, row: Row) -> File:
    return File(type, row["file"], row["rows"], row["size"], row["parts"])


async def files(session: Session, id: Id) -> list[File]:
    return [_file(row["type"], row) for row in await session.fetch(FILES, id)]


FILE = """
SELECT file, count(*)::int AS parts, sum(rows)::bigint AS rows, sum(size)::bigint AS size FROM export_part
WHERE export_id = $1 AND type = $2 AND file = $3 GROUP BY file
"""


async def file(session: Session, id: Id, type: str, number: int) -> File | None:
    row = await session.fetchrow(FILE, id, type, number)
    return _file(type, row) if row else None


# Ended since the export began: of whoever is in the file, whatever else of theirs is still open.
WITHDRAWN = """
SELECT EXISTS (
    SELECT 1 FROM disclosure d JOIN export_part p ON d.patient_id = ANY(p.persons)
    WHERE d.agency_id = $4 AND d.closed_at >= $5 AND p.export_id = $1 AND p.type = $2 AND p.file = $3
)
"""


async def withdrawn(session: Session, export: Export, type: str, number: int) -> bool:
    """Whether somebody is in the file who has been disclosed no longer, or for less, since the export began."""
    return await session.fetchval(
        WITHDRAWN, export.id, type, number, export.actor.organization, export.transaction_time
    )


CONTENT = """
SELECT part, content FROM export_part WHERE export_id = $1 AND type = $2 AND file = $3 AND part > $4 ORDER BY part LIMIT 1
"""


async def content(session: Session, id: Id, type: str, number: int, after: int) -> tuple[int, bytes] | None:
    """The next piece of a file and its place."""
    row = await session.fetchrow(CONTENT, id, type, number, after)
    return (row["part"], row["content"]) if row else None


EXPIRED = "SELECT id FROM export WHERE state <> 'running' AND expires_at <= $1 ORDER BY expires_at LIMIT $2"


async def expired(session: Session, now: datetime, limit: int) -> list[Id]:
    return [row["id"] for row in await session.fetch(EXPIRED, now, limit)]


DROP_PARTS = """
DELETE FROM export_part p USING (
    SELECT export_id, type, file, part FROM export_part WHERE export_id = ANY($1) ORDER BY export_id, type, file, part LIMIT $2
) AS gone
WHERE p.export_id = gone.export_id AND p.type = gone.type AND p.file = gone.file AND p.part = gone.part
"""


async def drop_parts(session: Session, ids: Sequence[Id], limit: int) -> int:
    """How many pieces of these exports went, at most `limit`."""
    return int((await session.execute(DROP_PARTS, list(ids), limit)).split()[-1])


DROP = "DELETE FROM export WHERE id = ANY($1)"


async def drop(session: Session, ids: Sequence[Id]) -> None:
    await session.execute(DROP, list(ids))
