"""SQL of the histories of types: versions of Tasks and requests across resources; the row policies decide what a reader finds."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

import msgspec

from service.db import Session
from service.db.finding import DISCLOSED
from service.db.past import Behind
from service.referrals.model import Referral, Task
from service.values import Id

_task = msgspec.json.Decoder(Task, float_hook=Decimal)
_referral = msgspec.json.Decoder(Referral)

# One walk along an index for each organisation, so that the platform's page of all hospitals costs no more than its parts.
_TASKS = """
SELECT v.snapshot FROM unnest($1::uuid[]) AS side (id), LATERAL (
    SELECT v.at, v.task_id, v.version, v.snapshot FROM task_version v
    WHERE v.{owner} = side.id AND v.at >= $2 AND (v.at, v.task_id, v.version) < ($3, $4, $5)
    ORDER BY v.at DESC, v.task_id DESC, v.version DESC LIMIT $6
) AS v ORDER BY v.at DESC, v.task_id DESC, v.version DESC LIMIT $6
"""
TASKS_OF_HOSPITALS = _TASKS.format(owner="hospital_id")
TASKS_OF_AGENCIES = _TASKS.format(owner="agency_id")


async def tasks(session: Session, sides: Sequence[Id], behind: Behind, limit: int, *, agencies: bool) -> list[Task]:
    """Versions of the Tasks of these hospitals (of these `agencies`: those that name them as owner), newest first."""
    sql = TASKS_OF_AGENCIES if agencies else TASKS_OF_HOSPITALS
    rows = await session.fetch(sql, list(sides), behind.since, behind.at, behind.id, behind.version, limit)
    return [_task.decode(row["snapshot"]) for row in rows]


OFFERED = """
SELECT v.snapshot FROM open_offer o JOIN task_version v ON v.task_id = o.task_id
WHERE o.agency_id = $1 AND v.agency_id IS NULL AND v.at >= $2 AND (v.at, v.task_id, v.version) < ($3, $4, $5)
ORDER BY v.at DESC, v.task_id DESC, v.version DESC LIMIT $6
"""


async def offered(session: Session, agency: Id, behind: Behind, limit: int) -> list[Task]:
    """Versions of offers without owner that this agency might claim, from before somebody did; newest first."""
    rows = await session.fetch(OFFERED, agency, behind.since, behind.at, behind.id, behind.version, limit)
    return [_task.decode(row["snapshot"]) for row in rows]


# A version of a share begins one of its filler request where the number of that changes.
_FILLERS = """
SELECT v.snapshot FROM unnest($1::uuid[]) AS side (id), LATERAL (
    SELECT v.at, (v.snapshot ->> 'filler')::uuid AS filler, v.filler_version, v.snapshot FROM task_version v
    WHERE v.{owner} = side.id AND v.at >= $2 AND v.at <= $3 AND v.filler_version > 0
      AND (v.at, (v.snapshot ->> 'filler')::uuid, v.filler_version) < ($3, $4, $5)
      AND NOT EXISTS (SELECT 1 FROM task_version p WHERE p.task_id = v.task_id AND p.version = v.version - 1
                      AND p.filler_version = v.filler_version)
    ORDER BY v.at DESC, filler DESC, v.filler_version DESC LIMIT $6
) AS v ORDER BY v.at DESC, v.filler DESC, v.filler_version DESC LIMIT $6
"""
FILLERS_OF_HOSPITALS = _FILLERS.format(owner="hospital_id")
FILLERS_OF_AGENCIES = _FILLERS.format(owner="agency_id")


async def fillers(session: Session, sides: Sequence[Id], behind: Behind, limit: int, *, agencies: bool) -> list[Task]:
    """Shares as they were when each version of their filler requests began, newest first."""
    sql = FILLERS_OF_AGENCIES if agencies else FILLERS_OF_HOSPITALS
    rows = await session.fetch(sql, list(sides), behind.since, behind.at, behind.id, behind.version, limit)
    return [_task.decode(row["snapshot"]) for row in rows]


OFFERED_FILLERS = """
SELECT v.snapshot FROM open_offer o JOIN task t ON t.id = o.task_id JOIN task_version v ON v.task_id = t.id
WHERE o.agency_id = $1 AND (t.agency_id IS NULL OR t.agency_id = $1) AND v.agency_id IS NULL AND v.filler_version > 0 AND v.at >= $2
  AND (v.at, t.filler_id, v.filler_version) < ($3, $4, $5)
  AND NOT EXISTS (SELECT 1 FROM task_version p WHERE p.task_id = v.task_id AND p.version = v.version - 1
                  AND p.filler_version = v.filler_version)
ORDER BY v.at DESC, t.filler_id DESC, v.filler_version DESC LIMIT $6
"""


async def offered_fillers(session: Session, agency: Id, behind: Behind, limit: int) -> list[Task]:
    """The same of the filler requests of offers that nobody but this agency has claimed."""
    rows = await session.fetch(OFFERED_FILLERS, agency, behind.since, behind.at, behind.id, behind.version, limit)
    return [_task.decode(row["snapshot"]) for row in rows]


PLACED = """
SELECT v.snapshot FROM unnest($1::uuid[]) AS side (id), LATERAL (
    SELECT v.at, v.referral_id, v.version, v.snapshot FROM referral_version v
    WHERE v.hospital_id = side.id AND v.at >= $2 AND (v.at, v.referral_id, v.version) < ($3, $4, $5)
    ORDER BY v.at DESC, v.referral_id DESC, v.version DESC LIMIT $6
) AS v ORDER BY v.at DESC, v.referral_id DESC, v.version DESC LIMIT $6
"""


async def placed(session: Session, hospitals: Sequence[Id], behind: Behind, limit: int) -> list[Referral]:
    """Versions of what these hospitals placed, newest first."""
    rows = await session.fetch(PLACED, list(hospitals), behind.since, behind.at, behind.id, behind.version, limit)
    return [_referral.decode(row["snapshot"]) for row in rows]


DISCLOSED_TO = f"""
SELECT v.snapshot FROM referral_version v
WHERE v.referral_id = ANY({DISCLOSED.format("referral_id")}) AND v.at >= $1 AND (v.at, v.referral_id, v.version) < ($2, $3, $4)
ORDER BY v.at DESC, v.referral_id DESC, v.version DESC LIMIT $5
"""


async def disclosed(session: Session, behind: Behind, limit: int) -> list[Referral]:
    """Versions of the requests that are open to the agency of the scope now, newest first."""
    rows = await session.fetch(DISCLOSED_TO, behind.since, behind.at, behind.id, behind.version, limit)
    return [_referral.decode(row["snapshot"]) for row in rows]


TASK_TIMES = """
SELECT DISTINCT ON (task_id) task_id AS id, at FROM task_version WHERE task_id = ANY($1) AND at < $2 ORDER BY task_id, version DESC
"""


async def task_times(session: Session, ids: Sequence[Id], before: datetime) -> dict[Id, datetime]:
    """When each of these Tasks had changed last before a time; those that there were not yet are left out."""
    return {row["id"]: row["at"] for row in await session.fetch(TASK_TIMES, list(ids), before)}


REQUEST_TIMES = """
SELECT DISTINCT ON (id) id, at FROM (
    SELECT referral_id AS id, version, at FROM referral_version WHERE referral_id = ANY($1) AND at < $2
    UNION ALL
    SELECT t.filler_id, v.version, (v.snapshot ->> 'filler_at')::timestamptz FROM task t JOIN task_version v ON v.task_id = t.id
    WHERE t.filler_id = ANY($1) AND v.at < $2
) AS past ORDER BY id, version DESC
"""


async def request_times(session: Session, ids: Sequence[Id], before: datetime) -> dict[Id, datetime]:
    """The same of placers' and filler requests."""
    return {row["id"]: row["at"] for row in await session.fetch(REQUEST_TIMES, list(ids), before)}
