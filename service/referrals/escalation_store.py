"""SQL of escalations: late steps that the clock has told a supervisor or the coordinator of, and who has seen them."""

from datetime import datetime

import msgspec

from service.db import Session
from service.referrals.model import NextStep, Referral
from service.referrals.store import STEP_OF, read_referral, read_step
from service.values import Id


class Escalated(msgspec.Struct, frozen=True):
    """A late step that was escalated: to whom (`supervisor`, `coordinator`), how often it was told, when first and last, and who
    of the reader's organisation has seen it. `referral` where the reader may know it."""

    step: NextStep
    told: str
    times: int
    first_at: datetime | None
    last_at: datetime | None
    referral: Referral | None = None
    seen_by: str | None = None
    seen_at: datetime | None = None
    note: str | None = None


# To the second level a supervisor is told, to the third the coordinator; each step's own tellings are those since it is owed.
_ESCALATED = f"""
SELECT {STEP_OF} AS step, n.reminded, told.times, told.first_at, told.last_at, v.snapshot AS referral, s.by_name, s.at AS seen_at, s.note
FROM (SELECT * FROM next_step WHERE reminded >= {{level}} AND {{whose}} AND (by, referral_id) > ($2::timestamptz, $3::uuid)
      ORDER BY by, referral_id LIMIT $4) n
LEFT JOIN LATERAL (SELECT count(*)::int AS times, min(e.at) AS first_at, max(e.at) AS last_at FROM event e
                   WHERE e.referral_id = n.referral_id AND e.kind = 'escalate' AND e.at >= n.since) told ON true
LEFT JOIN referral r ON r.id = n.referral_id
LEFT JOIN referral_version v ON v.referral_id = r.id AND v.version = r.version
LEFT JOIN escalation_seen s ON s.referral_id = n.referral_id AND s.organization_id = $1 AND s.what = n.what AND s.since = n.since
ORDER BY n.by, n.referral_id
"""
OF_AGENCY = _ESCALATED.format(level=2, whose="agency_id = $1")
OF_COORDINATOR = _ESCALATED.format(level=3, whose="$1::uuid IS NOT NULL")


async def escalated(
    session: Session, organization: Id, *, platform: bool, after: tuple[datetime, Id], limit: int
) -> list[Escalated]:
    """What was escalated to an agency's supervisor, or to the coordinator, the longest overdue first."""
    statement = OF_COORDINATOR if platform else OF_AGENCY
    return [
        Escalated(
            read_step(row["step"]), "coordinator" if row["reminded"] >= 3 else "supervisor", row["times"], row["first_at"], row["last_at"],
            read_referral(row["referral"]) if row["referral"] else None, row["by_name"], row["seen_at"], row["note"],
        )
        for row in await session.fetch(statement, organization, *after, limit)
    ]  # fmt: skip


CURRENT = f"SELECT {STEP_OF} AS step, n.reminded FROM next_step n WHERE n.referral_id = $1"


async def current(session: Session, referral: Id) -> tuple[NextStep, int] | None:
    """The next step of a referral and how far it was told of, as far as the scope sees it."""
    row = await session.fetchrow(CURRENT, referral)
    return (read_step(row["step"]), row["reminded"]) if row else None


SEE = """
INSERT INTO escalation_seen (referral_id, organization_id, what, since, by_id, by_name, at, note)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING RETURNING true
"""


async def see(
    session: Session, step: NextStep, organization: Id, by: Id, name: str, now: datetime, note: str | None
) -> bool:
    """Keep that somebody of this organisation has seen it; False when somebody had before."""
    row = (step.referral, organization, step.what, step.since, by, name, now, note)
    return bool(await session.fetchval(SEE, *row))
