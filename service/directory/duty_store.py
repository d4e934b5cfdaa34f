"""SQL of the crisis roster."""

from collections.abc import Sequence
from datetime import datetime

import asyncpg
import msgspec

from service.db import Session
from service.directory.duty import Person, Shift
from service.values import Id, write_json

SHIFT = "s.id, s.organization_id, s.begins_at, s.ends_at, s.first, s.second, s.active"

KNOWN = "SELECT organization_id, begins_at, id, ends_at, active FROM duty_shift"


async def known(session: Session) -> dict[tuple[Id, datetime], tuple[Id, datetime, bool]]:
    """Every shift by what it is known by: for loading only."""
    return {
        (row["organization_id"], row["begins_at"]): (row["id"], row["ends_at"], row["active"])
        for row in await session.fetch(KNOWN)
    }


LOAD = """
INSERT INTO duty_shift AS old (id, organization_id, begins_at, ends_at, first, second, active, updated_at)
SELECT id, organization, begins, ends, first, CASE WHEN second::text <> 'null' THEN second END, active, $2
FROM json_to_recordset($1) AS r(id uuid, organization uuid, begins timestamptz, ends timestamptz, first json, second json,
    active boolean)
ON CONFLICT (organization_id, begins_at) DO UPDATE SET ends_at = excluded.ends_at, first = excluded.first,
    second = excluded.second, active = excluded.active, updated_at = $2
WHERE (old.ends_at, old.first::text, old.second::text, old.active)
    IS DISTINCT FROM (excluded.ends_at, excluded.first::text, excluded.second::text, excluded.active)
RETURNING old.xmax = 0 AS added
"""


async def load(session: Session, shifts: Sequence[Shift], now: datetime) -> "list[asyncpg.Record]":
    """Write shifts; what each written row says of itself: whether it was added."""
    return await session.fetch(LOAD, write_json(shifts).decode(), now)


NOW = f"""
SELECT DISTINCT ON (s.organization_id) {SHIFT} FROM duty_shift s
WHERE s.organization_id = ANY ($1) AND s.active AND s.begins_at <= $2 AND s.ends_at > $2
ORDER BY s.organization_id, s.begins_at DESC
"""


async def on_duty(session: Session, organizations: Sequence[Id], at: datetime) -> dict[Id, Shift]:
    """The shift of each of these organisations that runs at this moment; one without a roster is not there."""
    return {row["organization_id"]: _shift(row) for row in await session.fetch(NOW, list(organizations), at)}


BETWEEN = f"""
SELECT {SHIFT} FROM duty_shift s
WHERE ($1::uuid IS NULL OR s.organization_id = $1) AND s.active AND s.ends_at > $2 AND s.begins_at < $3
ORDER BY s.organization_id, s.begins_at LIMIT 10000
"""


async def between(session: Session, organization: Id | None, since: datetime, until: datetime) -> list[Shift]:
    """Shifts that touch this time, of one organisation or of all that the scope sees."""
    return [_shift(row) for row in await session.fetch(BETWEEN, organization, since, until)]


# Who places referrals, and the platform, are called in a crisis: for them a roster that is not there is a gap, too. Of the
# others only those that keep one.
KEEPERS = """
SELECT o.id, o.key, o.name_zh, o.email FROM organization o
WHERE o.active AND (o.kind IN ('hospital', 'platform') OR EXISTS (SELECT FROM duty_shift s WHERE s.organization_id = o.id))
  AND ($1::uuid IS NULL OR o.id = $1)
ORDER BY o.key LIMIT 10000
"""


async def keepers(session: Session, organization: Id | None) -> dict[Id, str]:
    """Organisations whose rosters are looked at, by id, with their keys."""
    return {row["id"]: row["key"] for row in await session.fetch(KEEPERS, organization)}


def _shift(row: "asyncpg.Record") -> Shift:
    second = row["second"]
    return Shift(
        row["id"], row["organization_id"], row["begins_at"], row["ends_at"],
        msgspec.json.decode(row["first"], type=Person), msgspec.json.decode(second, type=Person) if second else None, row["active"],
    )  # fmt: skip
