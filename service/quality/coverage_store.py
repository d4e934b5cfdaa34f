"""SQL of how far the service reaches: contacts by region of the service area."""

from datetime import datetime

from service.db import Session
from service.quality.model import Reach
from service.values import Id

# A contact counts for every region of the area that its person's code lies in: for the street, and for the county around it.
_REACH = """
WITH area AS (
    SELECT DISTINCT code FROM agency_service, unnest(regions) AS code WHERE active AND ($3::uuid IS NULL OR agency_id = $3)
), met AS (
    SELECT task_id FROM intervention
    WHERE status IN ('in-progress', 'completed') AND started_at >= $1 AND started_at < $2 AND {intervention}
    UNION ALL
    SELECT task_id FROM contact_attempt WHERE reached AND at >= $1 AND at < $2 AND {attempt}
), placed AS (
    SELECT v.snapshot ->> 'region' AS region, count(*) AS contacts
    FROM met JOIN task t ON t.id = met.task_id JOIN task_version v ON v.task_id = t.id AND v.version = t.version
    GROUP BY 1
)
SELECT area.code, r.name_zh, r.name_en, coalesce(sum(placed.contacts), 0)::bigint AS contacts
FROM area LEFT JOIN region r ON r.code = area.code LEFT JOIN placed ON starts_with(placed.region, area.code)
GROUP BY area.code, r.name_zh, r.name_en ORDER BY contacts, area.code
"""
REACH = _REACH.format(intervention="true", attempt="true")
REACH_OF = _REACH.format(intervention="agency_id = $3", attempt="owner_id = $3")


async def reach(session: Session, begins: datetime, ends: datetime, agency: Id | None) -> list[Reach]:
    """Every region of the service area of one agency, or of all, with its contacts in this time; those without any first."""
    rows = await session.fetch(REACH_OF if agency else REACH, begins, ends, agency)
    return [Reach(row["code"], row["name_zh"], row["name_en"], row["contacts"]) for row in rows]
