"""SQL of what received resources were: Patients as hospitals sent them, and when a resource had changed last."""

from collections.abc import Sequence
from datetime import datetime

from service.db import Session
from service.db.past import Behind
from service.records.model import Record
from service.records.store import COLUMNS, record_of
from service.values import Id

PATIENTS = f"""
SELECT {COLUMNS} FROM unnest($1::uuid[]) AS side (owner), LATERAL (
    SELECT * FROM record r
    WHERE r.hospital_id = side.owner AND r.type = 'Patient' AND r.at >= $2 AND (r.at, r.id, r.version) < ($3, $4, $5)
    ORDER BY r.at DESC, r.id DESC, r.version DESC LIMIT $6
) AS r ORDER BY at DESC, id DESC, version DESC LIMIT $6
"""


async def patients(session: Session, hospitals: Sequence[Id], behind: Behind, limit: int) -> list[Record]:
    """Versions of the Patients of these hospitals, newest first."""
    rows = await session.fetch(PATIENTS, list(hospitals), behind.since, behind.at, behind.id, behind.version, limit)
    return [record_of(row) for row in rows]


TIMES = "SELECT DISTINCT ON (id) id, at FROM record WHERE id = ANY($1) AND at < $2 ORDER BY id, version DESC"


async def times(session: Session, ids: Sequence[Id], before: datetime) -> dict[Id, datetime]:
    """When each of these resources had changed last before a time; those that there were not yet are left out."""
    return {row["id"]: row["at"] for row in await session.fetch(TIMES, list(ids), before)}
