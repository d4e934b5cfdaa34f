"""SQL of the reports: the event log of a stretch of time, in the reader's own row scope."""

from collections.abc import Mapping
from datetime import datetime

from service.db import Session
from service.reports.model import Capacity, Contact, Declined, Week
from service.values import Id

# A week is China's, from Monday. Events of the period are found by their time (a BRIN index: the log is written in its order),
# what became of a referral by its own number. A void referral is in no figure.
_WEEK = "date_trunc('week', {at} AT TIME ZONE 'Asia/Shanghai')::date"
_SOUND = "NOT EXISTS (SELECT 1 FROM event x WHERE x.referral_id = {of}.referral_id AND x.kind = 'void')"

WEEKS = f"""
WITH received AS (
    SELECT {_WEEK.format(at="e.at")} AS week, count(*) AS received FROM event e
    WHERE e.kind = 'submit' AND e.at >= $1 AND e.at < $2 AND {_SOUND.format(of="e")} GROUP BY 1
), first AS (
    SELECT e.referral_id, min(e.at) AS at FROM event e WHERE e.kind = 'offer' AND e.at >= $1 AND e.at < $2 GROUP BY 1
), offered AS (
    SELECT {_WEEK.format(at="f.at")} AS week, count(*) AS offered, count(*) FILTER (WHERE EXISTS (
        SELECT 1 FROM event a WHERE a.referral_id = f.referral_id AND a.kind IN ('accept', 'claim') AND a.at >= f.at)) AS accepted
    FROM first f WHERE {_SOUND.format(of="f")} GROUP BY 1
)
SELECT week, coalesce(received, 0)::int AS received, coalesce(offered, 0)::int AS offered, coalesce(accepted, 0)::int AS accepted
FROM received FULL JOIN offered USING (week) ORDER BY week
"""


async def weeks(session: Session, begins: datetime, ends: datetime) -> list[Week]:
    """Each week in which something was submitted or first offered."""
    return [Week(**dict(row)) for row in await session.fetch(WEEKS, begins, ends)]


CONTACTS = f"""
WITH taken AS (
    SELECT a.task_id, a.at, t.urgency,
           (SELECT min(s.at) FROM event s WHERE s.referral_id = a.referral_id AND s.task_id = a.task_id AND s.kind = 'start') AS started
    FROM event a JOIN task t ON t.id = a.task_id
    WHERE a.kind IN ('accept', 'claim') AND a.at >= $1 AND a.at < $2 AND {_SOUND.format(of="a")}
), lasted AS (
    SELECT at, started, extract(epoch FROM started - at) / 3600 AS hours, l.minutes AS allowed
    FROM taken JOIN unnest($3::text[], $4::int[]) AS l(urgency, minutes) USING (urgency)
)
SELECT {_WEEK.format(at="at")} AS week, count(*)::int AS accepted, count(started)::int AS contacted,
       count(*) FILTER (WHERE hours * 60 <= allowed)::int AS in_time,
       round((percentile_cont(0.5) WITHIN GROUP (ORDER BY hours))::numeric, 1)::float AS median,
       round((percentile_cont(0.9) WITHIN GROUP (ORDER BY hours))::numeric, 1)::float AS ninetieth
FROM lasted GROUP BY 1 ORDER BY 1
"""


async def contacts(session: Session, begins: datetime, ends: datetime, limits: Mapping[str, int]) -> list[Contact]:
    """Each week in which shares were accepted. `limits`: minutes to the first contact by urgency."""
    rows = await session.fetch(CONTACTS, begins, ends, list(limits), list(limits.values()))
    return [Contact(**dict(row)) for row in rows]


CAPACITIES = """
SELECT s.agency_id AS agency, sum(s.places)::int AS places, min(s.confirmed_at) AS confirmed_at,
       coalesce(sum(held.taken), 0)::int AS taken
FROM agency_service s LEFT JOIN LATERAL (
    SELECT count(*) AS taken FROM place p WHERE p.service_id = s.id AND p.task_id IS NOT NULL) AS held ON true
WHERE s.active AND (s.agency_id = ANY ($1) OR $1 IS NULL) GROUP BY 1 ORDER BY 1
"""


async def capacities(session: Session, agencies: list[Id] | None) -> list[Capacity]:
    """Places of these agencies, or of all."""
    return [Capacity(**dict(row)) for row in await session.fetch(CAPACITIES, agencies)]


PARTNERS = "SELECT DISTINCT agency_id FROM partnership WHERE hospital_id = $1 AND valid_from <= $2 AND (valid_to IS NULL OR valid_to >= $2)"


async def partners(session: Session, hospital: Id, now: datetime) -> list[Id]:
    """Agencies that a hospital works with today."""
    return [row["agency_id"] for row in await session.fetch(PARTNERS, hospital, now.date())]


DECLINED = """
SELECT agency_id AS agency, reason_code AS reason, count(*)::int AS count
FROM event WHERE kind = 'decline' AND at >= $1 AND at < $2 AND agency_id IS NOT NULL GROUP BY 1, 2 ORDER BY 1, 3 DESC, 2
"""


async def declined(session: Session, begins: datetime, ends: datetime) -> list[Declined]:
    """How often each agency declined, by reason, most frequent first."""
    return [Declined(**dict(row)) for row in await session.fetch(DECLINED, begins, ends)]
