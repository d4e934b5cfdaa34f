"""SQL of cases and interventions."""

from collections.abc import Sequence
from datetime import datetime

from asyncpg import Record as Row

from service.casework.model import Case, Ending, Intervention
from service.db import Session
from service.values import Id, Reason

CASE = "id, version, referral_id, task_id, agency_id, patient_id, worker_id, phase, opened_at, closed_at, ending, reason_code, reason_text, source, domain, populations"

SAVE_CASE = f"""
INSERT INTO case_file ({CASE}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
ON CONFLICT (id) DO UPDATE SET version = excluded.version, patient_id = excluded.patient_id, worker_id = excluded.worker_id,
    phase = excluded.phase, closed_at = excluded.closed_at, ending = excluded.ending, reason_code = excluded.reason_code,
    reason_text = excluded.reason_text, source = excluded.source,
    domain = excluded.domain, populations = excluded.populations
    WHERE case_file.version = excluded.version - 1
RETURNING version
"""


async def save_case(session: Session, c: Case) -> bool:
    """Insert or update; False when another update came first."""
    code, text = (c.reason.code, c.reason.text) if c.reason else (None, None)
    stored = await session.fetchval(
        SAVE_CASE, c.id, c.version, c.referral, c.task, c.agency, c.patient, c.worker, c.phase, c.opened_at, c.closed_at, c.ending,
        code, text, c.source, c.domain, list(c.populations),
    )  # fmt: skip
    return stored is not None


CLOSE_CASES = """
WITH closed AS (
    UPDATE case_file SET version = version + 1, phase = 'closure', closed_at = $3, ending = $2, reason_code = $4, reason_text = $5
    WHERE task_id = ANY($1) AND closed_at IS NULL RETURNING id, agency_id, worker_id
), forgotten AS (
    DELETE FROM case_orphan WHERE case_id IN (SELECT id FROM case_file WHERE task_id = ANY($1))
)
INSERT INTO case_step (case_id, number, agency_id, phase, at, by_id, by_role, worker_id)
SELECT id, (SELECT count(*) + 1 FROM case_step s WHERE s.case_id = closed.id), agency_id, 'closure', $3, $6, $7, worker_id FROM closed
"""


async def close_cases(
    session: Session, tasks: Sequence[Id], ending: Ending, reason: Reason, now: datetime, by: Id, role: str
) -> None:
    """Close the open ones of the cases of these shares; what is broken in any of them is shown no more."""
    await session.execute(CLOSE_CASES, list(tasks), ending, now, reason.code, reason.text, by, role)


CASE_OF = f"SELECT {CASE} FROM case_file WHERE task_id = $1"


async def case_of(session: Session, task: Id) -> Case | None:
    """The case of a share."""
    row = await session.fetchrow(CASE_OF, task)
    return read_case(row) if row else None


# A share that was voided leaves every list, its case with it.
OPEN_CASES = f"""
SELECT {CASE} FROM case_file c
WHERE agency_id = $1 AND closed_at IS NULL AND ($2::uuid IS NULL OR worker_id = $2 OR EXISTS (
        SELECT 1 FROM co_work w WHERE w.task_id = c.task_id AND w.worker_id = $2 AND w.starts_at <= $5
        AND (w.ends_at IS NULL OR w.ends_at > $5)))
  AND ($3::uuid IS NULL OR id > $3)
  AND EXISTS (SELECT 1 FROM task t WHERE t.id = c.task_id AND t.open)
ORDER BY id LIMIT $4
"""


async def open_cases(
    session: Session, agency: Id, worker: Id | None, after: Id | None, limit: int, now: datetime
) -> list[Case]:
    """An agency's open cases, oldest first, behind the case `after`; a worker's are those on which they are second now, too."""
    return [read_case(row) for row in await session.fetch(OPEN_CASES, agency, worker, after, limit, now)]


def read_case(row: Row) -> Case:
    """A row of CASE."""
    return Case(
        id=row["id"], version=row["version"], referral=row["referral_id"], task=row["task_id"], agency=row["agency_id"],
        opened_at=row["opened_at"], phase=row["phase"], patient=row["patient_id"], worker=row["worker_id"],
        closed_at=row["closed_at"], ending=row["ending"],
        reason=Reason(row["reason_code"], row["reason_text"]) if row["reason_code"] or row["reason_text"] else None,
        source=row["source"], domain=row["domain"], populations=tuple(row["populations"]),
    )  # fmt: skip


INTERVENTION = """id, version, case_id, task_id, referral_id, agency_id, patient_id, worker_id, service_type, method, status, started_at,
 ended_at, minutes, place, outcome, recorded_at, updated_at, goals, contact, attendance, coordination, benefit, amount, noted_at"""

SAVE_INTERVENTION = f"""
INSERT INTO intervention ({INTERVENTION})
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25)
ON CONFLICT (id) DO UPDATE SET version = excluded.version, worker_id = excluded.worker_id, service_type = excluded.service_type,
    method = excluded.method, status = excluded.status, started_at = excluded.started_at, ended_at = excluded.ended_at,
    minutes = excluded.minutes, place = excluded.place, outcome = excluded.outcome, updated_at = excluded.updated_at,
    goals = excluded.goals, contact = excluded.contact, attendance = excluded.attendance, coordination = excluded.coordination,
    benefit = excluded.benefit, amount = excluded.amount, noted_at = excluded.noted_at
    WHERE intervention.version = excluded.version - 1
RETURNING version
"""


async def save_intervention(session: Session, i: Intervention) -> bool:
    """Insert or update; False when another update came first."""
    stored = await session.fetchval(
        SAVE_INTERVENTION, i.id, i.version, i.case, i.task, i.referral, i.agency, i.patient, i.worker, i.service_type, i.method,
        i.status, i.started_at, i.ended_at, i.minutes, i.place, i.outcome, i.recorded_at, i.updated_at,
        list(i.goals), i.contact, i.attendance, i.coordination, i.benefit, i.amount, i.noted_at,
    )  # fmt: skip
    return stored is not None


GET_INTERVENTION = f"SELECT {INTERVENTION} FROM intervention WHERE id = $1"


async def intervention(session: Session, id: Id) -> Intervention | None:
    row = await session.fetchrow(GET_INTERVENTION, id)
    return read_intervention(row) if row else None


INTERVENTIONS = (
    f"SELECT {INTERVENTION} FROM intervention WHERE task_id = $1 ORDER BY coalesce(started_at, recorded_at), id"
)


async def interventions(session: Session, task: Id) -> list[Intervention]:
    """What was done on a share, in its order."""
    return [read_intervention(row) for row in await session.fetch(INTERVENTIONS, task)]


def read_intervention(row: Row) -> Intervention:
    """A row of INTERVENTION."""
    return Intervention(
        id=row["id"], version=row["version"], case=row["case_id"], task=row["task_id"], referral=row["referral_id"],
        agency=row["agency_id"], patient=row["patient_id"], service_type=row["service_type"], status=row["status"],
        method=row["method"], recorded_at=row["recorded_at"], updated_at=row["updated_at"], started_at=row["started_at"],
        ended_at=row["ended_at"], minutes=row["minutes"], place=row["place"], outcome=row["outcome"], worker=row["worker_id"],
        goals=tuple(row["goals"]), contact=row["contact"], attendance=row["attendance"], coordination=row["coordination"],
        benefit=row["benefit"], amount=row["amount"], noted_at=row["noted_at"],
    )  # fmt: skip
