"""SQL of the case file: its history, goals, plans, signatures, documents, and what was reckoned of them."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from service.casework.model import Approval, Case, Filed, Goal, Orphan, Plan, Standing, Step
from service.db import Session
from service.values import Id, new_id

_steps = msgspec.json.Decoder(tuple[Step, ...])
_goals = msgspec.json.Decoder(tuple[Goal, ...])
_plans = msgspec.json.Decoder(tuple[Plan, ...])
_approvals = msgspec.json.Decoder(tuple[Approval, ...])


class Parts(msgspec.Struct, frozen=True):
    """What a case file is made of besides its documents and its work."""

    steps: tuple[Step, ...]
    goals: tuple[Goal, ...]
    plans: tuple[Plan, ...]
    approvals: tuple[Approval, ...]
    follow_ups: int


ENTER = """
INSERT INTO case_step (case_id, number, agency_id, phase, at, by_id, by_role, worker_id, reason, approved_by, missing, waived)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
"""


async def enter(session: Session, agency: Id, s: Step) -> None:
    """One more step in the history of a case."""
    await session.execute(
        ENTER, s.case, s.number, agency, s.phase, s.at, s.by, s.by_role, s.worker, s.reason, s.approved_by, list(s.missing), s.waived,
    )  # fmt: skip


_STEP = """json_build_object('case', case_id, 'number', number, 'phase', phase, 'at', at, 'by', by_id, 'by_role', by_role, 'worker', worker_id,
    'reason', reason, 'approved_by', approved_by, 'missing', missing, 'waived', waived)"""


SAVE_GOAL = """
INSERT INTO case_goal (id, case_id, task_id, agency_id, status, goal_type, client_unit, needs, measured, achievement, at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
ON CONFLICT (id) DO UPDATE SET status = excluded.status, goal_type = excluded.goal_type, client_unit = excluded.client_unit,
    needs = excluded.needs, measured = excluded.measured, achievement = excluded.achievement
"""


async def save_goal(session: Session, g: Goal) -> None:
    """A goal as it now stands; `at` stays when it was set."""
    await session.execute(
        SAVE_GOAL, g.id, g.case, g.task, g.agency, g.status, g.goal_type, g.client_unit, list(g.needs), g.measured, g.achievement, g.at
    )  # fmt: skip


_GOAL = """json_build_object('id', id, 'case', case_id, 'task', task_id, 'agency', agency_id, 'status', status, 'at', at, 'goal_type', goal_type,
    'client_unit', client_unit, 'needs', needs, 'measured', measured, 'achievement', achievement)"""
GOALS = f"SELECT json_agg({_GOAL} ORDER BY at, id) FROM case_goal WHERE case_id = $1"


async def goals(session: Session, case: Id) -> tuple[Goal, ...]:
    """The goals of a case, oldest first."""
    return _goals.decode(await session.fetchval(GOALS, case) or "[]")


SAVE_PLAN = """
INSERT INTO case_plan (id, version, case_id, task_id, agency_id, status, goals, review_at, at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (id) DO UPDATE SET version = excluded.version, status = excluded.status, goals = excluded.goals,
    review_at = excluded.review_at, at = excluded.at
"""


async def save_plan(session: Session, p: Plan) -> None:
    await session.execute(
        SAVE_PLAN, p.id, p.version, p.case, p.task, p.agency, p.status, list(p.goals), p.review_at, p.at
    )


_PLAN = """json_build_object('id', id, 'version', version, 'case', case_id, 'task', task_id, 'agency', agency_id, 'status', status, 'at', at,
    'goals', goals, 'review_at', review_at)"""
PLANS = f"SELECT json_agg({_PLAN} ORDER BY at, id) FROM case_plan WHERE case_id = $1"


async def plans(session: Session, case: Id) -> tuple[Plan, ...]:
    """The service plans of a case, oldest first."""
    return _plans.decode(await session.fetchval(PLANS, case) or "[]")


APPROVE = """
INSERT INTO case_approval (id, case_id, agency_id, document, subject_id, subject_version, supervisor_id, at, by_id, note)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
"""


async def approve(session: Session, agency: Id, made: Sequence[Approval]) -> None:
    """Store signatures."""
    rows = [
        (a.id, a.case, agency, a.document, a.subject, a.subject_version, a.supervisor, a.at, a.by, a.note) for a in made
    ]
    await session.executemany(APPROVE, rows)


# A document of a case is a resource of its share whose code is one of ours; a Procedure's code is its service type. What the
# file counts of others besides: contacts that were noted, attempts to reach the person after discharge.
DOCUMENTS = """
SELECT code AS document, type, id, version, at FROM record
WHERE task_id = $1 AND current AND author_id = $2 AND code = ANY($3) AND type <> 'Procedure'
UNION ALL
SELECT 'process-note', 'Procedure', id, version, noted_at FROM intervention
WHERE task_id = $1 AND status = 'completed' AND noted_at IS NOT NULL
UNION ALL
SELECT 'follow-up-record', 'Communication', a.id, 1, a.recorded_at FROM task t JOIN contact_attempt a ON a.task_id = t.id
WHERE t.referral_id = $4 AND t.kind = 'follow-up' AND a.owner_id = $2
ORDER BY 5, 3
"""


async def documents(session: Session, case: Case, codes: Sequence[str]) -> tuple[Filed, ...]:
    """What is in the file and counts, oldest first."""
    rows = await session.fetch(DOCUMENTS, case.task, case.agency, list(codes), case.referral)
    return tuple(Filed(r["document"], r["type"], r["id"], r["version"], r["at"]) for r in rows)


_APPROVAL = """json_build_object('id', id, 'case', case_id, 'document', document, 'subject', subject_id, 'subject_version', subject_version,
    'supervisor', supervisor_id, 'at', at, 'by', by_id, 'note', note)"""

# All that a file is besides its documents and its work, in one question: it is asked with every change of a file.
PARTS = f"""
SELECT (SELECT json_agg({_STEP} ORDER BY number) FROM case_step WHERE case_id = $1) AS steps, ({GOALS}) AS goals, ({PLANS}) AS plans,
       (SELECT json_agg({_APPROVAL} ORDER BY at, id) FROM case_approval WHERE case_id = $1) AS approvals,
       (SELECT count(*) FROM task WHERE referral_id = $2 AND kind = 'follow-up' AND agency_id = $3 AND status <> 'entered-in-error') AS follow_ups
"""


async def parts(session: Session, case: Case) -> Parts:
    """The history, goals, plans and signatures of a case, each oldest first, and how many follow-ups are, or were, the agency's."""
    row = await session.fetchrow(PARTS, case.id, case.referral, case.agency)
    assert row is not None
    return Parts(
        _steps.decode(row["steps"] or "[]"), _goals.decode(row["goals"] or "[]"), _plans.decode(row["plans"] or "[]"),
        _approvals.decode(row["approvals"] or "[]"), row["follow_ups"],
    )  # fmt: skip


RECKON = """
UPDATE case_file SET required = $2, present = $3, lacks = $4
WHERE id = $1 AND (required, present, lacks) IS DISTINCT FROM ($2::smallint, $3::smallint, $4::text[])
"""


async def reckon(session: Session, case: Id, standing: Standing) -> None:
    """Keep how complete the file is."""
    lacks = list(dict.fromkeys(lack.document for lack in standing.lacks))
    await session.execute(RECKON, case, standing.required, standing.present, lacks)


# One statement: what is broken no more goes, what is newly broken comes, and what stays keeps its id and since when.
ORPHANED = """
WITH found AS (
    SELECT * FROM unnest($5::uuid[], $6::text[], $7::uuid[], $8::text[]) AS f (id, kind, subject_id, need)
), mended AS (
    DELETE FROM case_orphan o WHERE o.case_id = $1 AND NOT EXISTS (
        SELECT 1 FROM found f WHERE f.kind = o.kind AND f.subject_id IS NOT DISTINCT FROM o.subject_id AND f.need IS NOT DISTINCT FROM o.need)
)
INSERT INTO case_orphan (id, case_id, task_id, agency_id, kind, subject_id, need, since)
SELECT id, $1, $2, $3, kind, subject_id, need, $4 FROM found
ON CONFLICT (case_id, kind, coalesce(subject_id, case_id), coalesce(need, '')) DO NOTHING
"""


async def orphaned(session: Session, case: Case, found: Sequence[Orphan], now: datetime) -> None:
    """Keep which links of a case are broken now."""
    await session.execute(
        ORPHANED, case.id, case.task, case.agency, now, [new_id() for _ in found], [each.kind for each in found],
        [each.subject for each in found], [each.need for each in found],
    )  # fmt: skip
