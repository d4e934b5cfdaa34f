"""SQL of time: entries, and what they and interventions come to."""

from collections.abc import Sequence
from datetime import datetime

from asyncpg import Record as Row

from service.casework.timekeeping import Ratio, Spent, TimeEntry
from service.db import Session
from service.values import Id

_ENTRY = "id, agency_id, worker_id, activity, administrative, minutes, at, recorded_at, by_id, task_id, referral_id, procedure_id, replaces"
ADD = f"INSERT INTO time_entry ({_ENTRY}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"


async def add(session: Session, e: TimeEntry) -> None:
    await session.execute(
        ADD, e.id, e.agency, e.worker, e.activity, e.administrative, e.minutes, e.at, e.recorded_at, e.by, e.task, e.referral,
        e.procedure, e.replaces,
    )  # fmt: skip


VOID = "UPDATE time_entry SET voided_at = $2 WHERE id = $1 AND voided_at IS NULL RETURNING true"


async def void(session: Session, id: Id, now: datetime) -> bool:
    """Take an entry back; False when it was void already."""
    return bool(await session.fetchval(VOID, id, now))


ENTRY = f"SELECT {_ENTRY}, voided_at FROM time_entry WHERE id = $1"


async def entry(session: Session, id: Id) -> TimeEntry | None:
    row = await session.fetchrow(ENTRY, id)
    return _entry(row) if row else None


OF_TASK = f"SELECT {_ENTRY}, voided_at FROM time_entry WHERE task_id = $1 ORDER BY id"


async def of_task(session: Session, task: Id) -> list[TimeEntry]:
    """All that was written down for a Task, void ones too."""
    return [_entry(row) for row in await session.fetch(OF_TASK, task)]


def _entry(row: Row) -> TimeEntry:
    return TimeEntry(
        id=row["id"], agency=row["agency_id"], worker=row["worker_id"], activity=row["activity"], administrative=row["administrative"],
        minutes=row["minutes"], at=row["at"], recorded_at=row["recorded_at"], by=row["by_id"], task=row["task_id"],
        referral=row["referral_id"], procedure=row["procedure_id"], replaces=row["replaces"], voided_at=row["voided_at"],
    )  # fmt: skip


TAKEN = "SELECT EXISTS (SELECT 1 FROM time_entry WHERE procedure_id = $1 AND voided_at IS NULL)"


async def taken(session: Session, procedure: Id) -> bool:
    """Whether an entry stands in place of this intervention's minutes already."""
    return await session.fetchval(TAKEN, procedure)


ALIKE = """
SELECT i.id FROM intervention i
WHERE i.task_id = $1 AND i.worker_id = $2 AND i.minutes = $3 AND i.started_at >= $4 AND i.started_at < $5
  AND i.status NOT IN ('entered-in-error', 'not-done', 'preparation')
  AND NOT EXISTS (SELECT 1 FROM time_entry e WHERE e.procedure_id = i.id AND e.voided_at IS NULL)
ORDER BY i.id LIMIT 1
"""


async def alike(session: Session, task: Id, worker: Id, minutes: int, day: tuple[datetime, datetime]) -> Id | None:
    """An intervention of the same worker, case, day and minutes, which may well be the same time."""
    return await session.fetchval(ALIKE, task, worker, minutes, *day)


# What is counted, each minute once: the entries, and the minutes of interventions in whose place none of them stands.
_SPENT = """
    SELECT id, worker_id, minutes, administrative, at, activity, task_id FROM time_entry
    WHERE agency_id = $1 AND at >= $2 AND at < $3 AND voided_at IS NULL AND ($4::uuid IS NULL OR worker_id = $4)
    UNION ALL
    SELECT i.id, i.worker_id, i.minutes, false, i.started_at, NULL, i.task_id FROM intervention i
    WHERE i.agency_id = $1 AND i.started_at >= $2 AND i.started_at < $3 AND i.minutes > 0
      AND i.status NOT IN ('entered-in-error', 'not-done', 'preparation') AND ($4::uuid IS NULL OR i.worker_id = $4)
      AND NOT EXISTS (SELECT 1 FROM time_entry e WHERE e.procedure_id = i.id AND e.voided_at IS NULL)
"""
SPENT = f"""
SELECT * FROM ({_SPENT}) AS s(id, worker_id, minutes, administrative, at, activity, task_id)
WHERE $5::uuid IS NULL OR id > $5 ORDER BY id LIMIT $6
"""


async def spent(
    session: Session, agency: Id, period: tuple[datetime, datetime], worker: Id | None, after: Id | None, limit: int
) -> list[Spent]:
    """What the ratios are made of, by id."""
    return [
        Spent(row["id"], row["worker_id"], row["minutes"], row["administrative"], row["at"], row["activity"], row["task_id"])
        for row in await session.fetch(SPENT, agency, *period, worker, after, limit)
    ]  # fmt: skip


RATIOS = f"""
SELECT worker_id, coalesce(sum(minutes) FILTER (WHERE NOT administrative), 0)::int AS professional,
       coalesce(sum(minutes) FILTER (WHERE administrative), 0)::int AS administrative
FROM ({_SPENT}) AS s(id, worker_id, minutes, administrative, at, activity, task_id) GROUP BY worker_id ORDER BY worker_id
"""


async def ratios(session: Session, agency: Id, period: tuple[datetime, datetime], worker: Id | None) -> Sequence[Ratio]:
    """Each worker's minutes in the period."""
    return [
        Ratio(row["worker_id"], row["professional"], row["administrative"])
        for row in await session.fetch(RATIOS, agency, *period, worker)
    ]
