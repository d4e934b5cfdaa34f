"""SQL of recurring visits."""

from datetime import datetime

from asyncpg import Record as Row

from service.casework.visiting import VisitPlan
from service.db import Session
from service.values import Id

PLAN = "task_id, referral_id, agency_id, every_days, next_at, set_by, set_at, ended_at"

SAVE = f"""
INSERT INTO visit_plan ({PLAN}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (task_id) DO UPDATE SET every_days = excluded.every_days, next_at = excluded.next_at, set_by = excluded.set_by,
    set_at = excluded.set_at, ended_at = excluded.ended_at
"""


async def save(session: Session, p: VisitPlan) -> None:
    """Store the plan of a share, in place of the one before."""
    await session.execute(SAVE, p.task, p.referral, p.agency, p.every_days, p.next_at, p.set_by, p.set_at, p.ended_at)


OF_TASK = f"SELECT {PLAN} FROM visit_plan WHERE task_id = $1"


async def of_task(session: Session, task: Id) -> VisitPlan | None:
    """The plan of a share, as far as the scope shows it."""
    row = await session.fetchrow(OF_TASK, task)
    return _plan(row) if row else None


DUE = f"SELECT {PLAN} FROM visit_plan WHERE ended_at IS NULL AND next_at <= $1 ORDER BY next_at LIMIT $2"


async def due(session: Session, before: datetime, limit: int) -> list[VisitPlan]:
    """Plans whose next visit was wanted before then."""
    return [_plan(row) for row in await session.fetch(DUE, before, limit)]


# A talk on the telephone is no visit; who says nothing of how they met was there.
VISITED = """
SELECT EXISTS (SELECT 1 FROM intervention WHERE task_id = $1 AND status = 'completed' AND started_at >= $2 AND started_at <= $3
               AND coalesce(contact, 'home-visit') IN ('home-visit', 'interview'))
"""


async def visited(session: Session, task: Id, begins: datetime, ends: datetime) -> bool:
    """Whether the person was visited between these times."""
    return await session.fetchval(VISITED, task, begins, ends)


def _plan(row: Row) -> VisitPlan:
    return VisitPlan(*row)
