"""SQL of the figures of follow-up."""

from collections.abc import Sequence
from datetime import datetime

from service.db import Session
from service.quality.model import Followed
from service.values import Id

# A window is due once it has closed. One that was called off is not; the windows of a person who has died leave from the
# death on, those that had closed before stay (domain e).
_FOLLOWED = """
WITH followed AS (
    SELECT t.referral_id, t.status, t.ended_at, (v.snapshot ->> 'window_to')::timestamptz AS closes,
           v.snapshot -> 'follow_up' ->> 'window' AS code, v.snapshot -> 'follow_up' ->> 'outcome' AS outcome,
           v.snapshot -> 'reason' ->> 'code' AS reason
    FROM task t JOIN task_version v ON v.task_id = t.id AND v.version = t.version
    WHERE t.kind = 'follow-up' AND {whose}
), due AS (
    SELECT referral_id, code, outcome, ended_at, closes FROM followed
    WHERE closes >= $1 AND closes < $2 AND closes <= $3
      AND (status IN ('accepted', 'completed', 'failed')
           OR (status = 'cancelled' AND reason = 'deceased' AND closes < ended_at))
)
SELECT code, count(*)::int AS due, count(*) FILTER (WHERE outcome = ANY ($4) AND ended_at <= closes)::int AS in_time,
       count(*) FILTER (WHERE outcome = ANY ($4))::int AS reached, count(*) FILTER (WHERE outcome = 'lost')::int AS lost,
       count(DISTINCT referral_id)::int AS plans, count(DISTINCT referral_id) FILTER (WHERE outcome = 'lost')::int AS plans_lost
FROM due GROUP BY GROUPING SETS ((code), ())
"""
FOLLOWED = _FOLLOWED.format(whose="true")
FOLLOWED_BY_HOSPITAL = _FOLLOWED.format(whose="t.hospital_id = $5")
FOLLOWED_BY_AGENCY = _FOLLOWED.format(whose="t.agency_id = $5")


async def followed(
    session: Session, begins: datetime, ends: datetime, now: datetime, reached: Sequence[str], *, hospital: Id | None = None,
    agency: Id | None = None,
) -> list[Followed]:  # fmt: skip
    """Windows that closed from `begins` to before `ends`, by their code, and all of them together (code None)."""
    given = (begins, ends, now, list(reached))
    if hospital:
        rows = await session.fetch(FOLLOWED_BY_HOSPITAL, *given, hospital)
    elif agency:
        rows = await session.fetch(FOLLOWED_BY_AGENCY, *given, agency)
    else:
        rows = await session.fetch(FOLLOWED, *given)
    return [Followed(**dict(row)) for row in rows]
