"""SQL of calls to those on duty."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

import asyncpg
import msgspec

from service.db import Session
from service.notices.ladder import Called, PageState, Rung
from service.values import Id


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """One call by one channel. `organization` is who is called, `name` and `worker` the person, where a roster names one.

    `token` is that of the link that acknowledges it; `limit_at` by when the crisis has to be acknowledged.
    """

    id: Id
    referral: Id
    hospital: Id
    agency: Id | None
    task: Id
    raised_at: datetime
    place: int
    rung: Rung
    channel: str
    organization: Id
    worker: Id | None
    name: str | None
    endpoint: str | None
    token: str | None
    limit_at: datetime
    state: PageState
    attempts: int = 0
    next_at: datetime | None = None
    last_status: int | None = None
    last_error: str | None = None
    made_at: datetime
    sent_at: datetime | None = None
    acknowledged_at: datetime | None = None
    acknowledged_by: str | None = None

    def __repr__(self) -> str:
        return f"Page({self.id})"


COLUMNS = """id, referral_id, hospital_id, agency_id, task_id, raised_at, place, rung, channel, organization_id, worker_id, name,
 endpoint, token, limit_at, state, attempts, next_at, last_status, last_error, made_at, sent_at, acknowledged_at, acknowledged_by"""


def read_page(row: "asyncpg.Record") -> Page:
    said: dict[str, Any] = {name.removesuffix("_id"): value for name, value in row.items()}
    return Page(**said)


RAISED = "SELECT id, crisis_at FROM referral WHERE crisis = 'raised' ORDER BY crisis_at LIMIT 500"


async def raised(session: Session) -> list[Id]:
    """Referrals on which a crisis is up that nobody has acknowledged, the oldest first."""
    return [row["id"] for row in await session.fetch(RAISED)]


CALLS = "SELECT rung, place, made_at, state, acknowledged_at FROM page WHERE referral_id = $1 AND raised_at = $2 ORDER BY place"


async def calls(session: Session, referral: Id, raised_at: datetime) -> list[Called]:
    """The calls of one crisis, oldest first."""
    found: list[Called] = []
    for _, each in groupby(await session.fetch(CALLS, referral, raised_at), lambda row: row["place"]):
        rows = list(each)
        states = tuple(row["state"] for row in rows)
        found.append(Called(rows[0]["rung"], rows[0]["made_at"], states, any(row["acknowledged_at"] for row in rows)))
    return found


INSERT = f"""
INSERT INTO page ({COLUMNS})
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::timestamptz[], $7::int[], $8::text[], $9::text[],
    $10::uuid[], $11::uuid[], $12::text[], $13::text[], $14::text[], $15::timestamptz[], $16::text[], $17::int[], $18::timestamptz[],
    $19::int[], $20::text[], $21::timestamptz[], $22::timestamptz[], $23::timestamptz[], $24::text[])
"""


async def insert(session: Session, pages: Sequence[Page]) -> None:
    """Make calls. Of one crisis each place has one call by a channel: whoever comes second breaks the unique index."""
    columns = zip(*(msgspec.structs.astuple(page) for page in pages), strict=True)
    await session.execute(INSERT, *map(list, columns))


# Leased like a delivery: what a killed worker took comes due again by itself, under the same id.
CLAIM = f"""
UPDATE page SET next_at = $2 WHERE id IN (
    SELECT id FROM page WHERE state = 'waiting' AND next_at <= $1 ORDER BY next_at LIMIT $3 FOR UPDATE SKIP LOCKED)
RETURNING {COLUMNS}
"""


async def claim(session: Session, now: datetime, lease: timedelta, room: int) -> list[Page]:
    return [read_page(row) for row in await session.fetch(CLAIM, now, now + lease, room)]


SETTLE = """
UPDATE page SET state = $2, attempts = attempts + 1, next_at = $3, last_status = $4, last_error = $5,
    sent_at = CASE WHEN $2 = 'sent' THEN $6::timestamptz END
WHERE id = $1 AND state = 'waiting'
"""


async def settle(
    session: Session, page: Id, state: str, next_at: datetime | None, status: int | None, error: str | None, now: datetime
) -> None:  # fmt: skip
    await session.execute(SETTLE, page, state, next_at, status, error, now)


# Of a crisis that is acknowledged nobody is called any more; one in flight is not taken back. Who has put a report on record
# has acknowledged it, too (crisis.py).
CALL_OFF = """
UPDATE page SET state = 'called-off', next_at = NULL WHERE state = 'waiting' AND next_at <= $1 AND NOT EXISTS (
    SELECT FROM referral r WHERE r.id = page.referral_id AND r.crisis = 'raised' AND r.crisis_at = page.raised_at)
"""
CONFIRM = """
UPDATE page SET acknowledged_at = done.at, acknowledged_by = 'crisis-step'
FROM (SELECT p.id, min(e.at) AS at FROM page p JOIN event e ON e.referral_id = p.referral_id AND e.kind IN ('acknowledged', 'reported')
          AND e.at >= p.raised_at WHERE p.state = 'sent' AND p.acknowledged_at IS NULL GROUP BY p.id) AS done
WHERE page.id = done.id
"""


async def close(session: Session, now: datetime) -> None:
    """Let calls follow what became of their crises: those that wait are called off, those that were made are answered by the
    step itself."""
    await session.execute(CALL_OFF, now)
    await session.execute(CONFIRM)


BY_TOKEN = f"SELECT {COLUMNS} FROM page WHERE token = $1"


async def by_token(session: Session, token: str) -> Page | None:
    row = await session.fetchrow(BY_TOKEN, token)
    return read_page(row) if row else None


# By every channel of the same call: who has acknowledged one has acknowledged it.
ACKNOWLEDGE = """
UPDATE page SET acknowledged_at = $4, acknowledged_by = 'link',
    state = CASE state WHEN 'waiting' THEN 'called-off' ELSE state END, next_at = NULL
WHERE referral_id = $1 AND raised_at = $2 AND place = $3 AND acknowledged_at IS NULL
"""


async def acknowledge(session: Session, page: Page, now: datetime) -> bool:
    """Whether it was not acknowledged before."""
    tag = await session.execute(ACKNOWLEDGE, page.referral, page.raised_at, page.place, now)
    return tag != "UPDATE 0"


LISTED = f"""
SELECT {COLUMNS} FROM page WHERE $1::uuid IS NULL OR referral_id = $1 ORDER BY made_at DESC, id DESC LIMIT $2
"""


async def listed(session: Session, referral: Id | None, limit: int) -> list[Page]:
    """Newest first, of one referral or of all that the scope sees."""
    return [read_page(row) for row in await session.fetch(LISTED, referral, limit)]
