"""SQL of readmissions after a discharge, by hospital."""

from datetime import datetime, timedelta

from service.db import Session
from service.quality.model import Readmissions
from service.values import Id

# A stay that ended alive counts once, with the first stay that came after it soon enough. Of whoever died before the time was
# over and had not come back nobody can say whether they would have: they leave the count. What is not over yet is told apart.
READMISSIONS = """
WITH live AS (
    SELECT s.id, s.hospital_id, s.ended_at + $5::interval > $4 AS pending, n.id AS readmission, n.elective
    FROM stay s JOIN patient p ON p.id = s.patient_id
    LEFT JOIN LATERAL (
        SELECT r.id, r.elective FROM stay r WHERE r.readmission_of = s.id AND r.status NOT IN ('planned', 'cancelled', 'entered-in-error', 'unknown')
        ORDER BY r.started_at, r.id LIMIT 1
    ) AS n ON true
    WHERE ($1::uuid IS NULL OR s.hospital_id = $1) AND s.status = 'finished' AND s.disposition IS NOT NULL AND s.disposition <> '5'
      AND (s.class IS NULL OR s.class = 'in') AND s.ended_at >= $2 AND s.ended_at < $3
      AND (n.id IS NOT NULL OR NOT (p.deceased OR EXISTS (
            SELECT FROM stay d WHERE d.patient_id = s.patient_id AND d.status = 'finished' AND d.disposition = '5'
            AND d.ended_at BETWEEN s.ended_at AND s.ended_at + $5::interval)))
)
SELECT hospital_id, count(*) FILTER (WHERE NOT pending) AS discharges,
       count(readmission) FILTER (WHERE NOT pending AND elective IS NOT TRUE) AS unplanned,
       count(readmission) FILTER (WHERE NOT pending AND elective) AS planned, count(*) FILTER (WHERE pending) AS pending
FROM live GROUP BY hospital_id ORDER BY hospital_id
"""


async def readmissions(
    session: Session, hospital: Id | None, begins: datetime, ends: datetime, now: datetime, days: int
) -> list[Readmissions]:
    """Of one hospital, or of each that the scope sees: discharges from `begins` to before `ends`, and who came back."""
    rows = await session.fetch(READMISSIONS, hospital, begins, ends, now, timedelta(days=days))
    return [
        Readmissions(row["hospital_id"], row["discharges"], row["unplanned"], row["planned"], row["pending"]) for row in rows
    ]  # fmt: skip
