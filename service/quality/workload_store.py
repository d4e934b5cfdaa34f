"""SQL of how much work there is, by agency and by worker, and of the lists behind the figures."""

from datetime import datetime

import msgspec

from service.db import Session
from service.referrals.model import Task
from service.referrals.store import read_task
from service.values import Id


class Load(msgspec.Struct, frozen=True):
    """What one agency, or one worker of it (None: nobody is named), has open. `offered` are offers to answer, `working` shares that
    go on, `paused` ones on hold, `late` whatever is past its limit, `due` follow-ups that close within a day or should have."""

    who: Id | None
    offered: int = 0
    working: int = 0
    paused: int = 0
    late: int = 0
    follow_ups: int = 0
    due: int = 0

    @property
    def shares(self) -> int:
        return self.offered + self.working + self.paused


_LOADS = """
SELECT {who}, count(*) FILTER (WHERE share AND o.status = 'requested')::int,
       count(*) FILTER (WHERE share AND o.status IN ('accepted', 'in-progress'))::int,
       count(*) FILTER (WHERE share AND o.status = 'on-hold')::int, count(*) FILTER (WHERE o.due_at <= $1)::int,
       count(*) FILTER (WHERE NOT share)::int, count(*) FILTER (WHERE NOT share AND o.due_at <= $1 + interval '1 day')::int
FROM open_task o JOIN task t ON t.id = o.task_id CROSS JOIN LATERAL (SELECT t.kind = 'share' AS share) k
WHERE {whose} GROUP BY {who}
"""
OF_AGENCIES = _LOADS.format(who="o.agency_id", whose="true")
OF_WORKERS = _LOADS.format(who="t.worker_id", whose="o.agency_id = $2")


async def loads(session: Session, now: datetime, agency: Id | None) -> dict[Id | None, Load]:
    """The open work of each agency, or of each worker of one."""
    rows = await session.fetch(OF_WORKERS, now, agency) if agency else await session.fetch(OF_AGENCIES, now)
    return {row[0]: Load(*row) for row in rows}


_PHASES = """
SELECT {who} AS who, phase, count(*)::int AS cases FROM case_file WHERE closed_at IS NULL AND {whose} GROUP BY 1, 2
"""
PHASES_OF_AGENCIES = _PHASES.format(who="agency_id", whose="true")
PHASES_OF_WORKERS = _PHASES.format(who="worker_id", whose="agency_id = $1")


async def phases(session: Session, agency: Id | None) -> dict[Id | None, dict[str, int]]:
    """Open cases by phase, of each agency or of each worker of one."""
    rows = await session.fetch(PHASES_OF_WORKERS, agency) if agency else await session.fetch(PHASES_OF_AGENCIES)
    found: dict[Id | None, dict[str, int]] = {}
    for row in rows:
        found.setdefault(row["who"], {})[row["phase"]] = row["cases"]
    return found


# Walks open_task_due, an agency's open work by its time; what runs by no clock comes last.
_LIST = """
SELECT v.snapshot FROM (
    SELECT o.task_id, o.version, o.due_at FROM open_task o JOIN task t ON t.id = o.task_id
    WHERE o.agency_id = $1{behind}
      AND ($3::text IS NULL OR t.kind = $3) AND ($4::text[] IS NULL OR o.status = ANY ($4)) AND ($5::timestamptz IS NULL OR o.due_at <= $5)
      AND ($6::uuid IS NULL OR t.worker_id = $6) AND (NOT $7 OR t.worker_id IS NULL)
      AND ($8::text IS NULL OR EXISTS (SELECT FROM case_file c WHERE c.task_id = o.task_id AND c.closed_at IS NULL AND c.phase = $8))
    ORDER BY o.due_at, o.task_id LIMIT $2
) AS l JOIN task_version v USING (task_id, version) ORDER BY l.due_at, l.task_id
"""
LIST = _LIST.format(behind="")
LIST_NEXT = _LIST.format(behind=" AND (o.due_at, o.task_id) > (coalesce($9::timestamptz, 'infinity'), $10::uuid)")


class Wanted(msgspec.Struct, frozen=True):
    """Which of an agency's open Tasks: of a kind, in one of these states, due until, of a worker or (`nobody`) of none, in a phase."""

    kind: str | None = None
    status: tuple[str, ...] | None = None
    until: datetime | None = None
    worker: Id | None = None
    nobody: bool = False
    phase: str | None = None


async def tasks(
    session: Session, agency: Id, wanted: Wanted, after: tuple[datetime | None, Id] | None, limit: int
) -> list[Task]:
    """The Tasks behind a figure, soonest due first, behind `after`."""
    given = (
        agency, limit, wanted.kind, list(wanted.status) if wanted.status else None, wanted.until, wanted.worker, wanted.nobody, wanted.phase,
    )  # fmt: skip
    rows = await session.fetch(LIST_NEXT, *given, *after) if after else await session.fetch(LIST, *given)
    return [read_task(row["snapshot"]) for row in rows]
