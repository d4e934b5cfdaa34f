"""SQL of the coordinator's board: referrals that nobody has, late ones, those that will be late soon; and who could take one."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from service.db import Session
from service.referrals.model import NextStep, Referral, Task
from service.referrals.store import STEP_OF, read_referral, read_step, read_task
from service.values import Id

Section = Literal["nobodys", "late", "soon"]
SECTIONS: tuple[Section, ...] = ("nobodys", "late", "soon")
"""In the order in which they stand on the board."""
SOON = timedelta(hours=24)
"""What falls due later than this is not on the board, however little of its limit is left: a month's review in five days can wait."""


class Placed(msgspec.Struct, frozen=True):
    """One referral on the board, with the section in which it stands; `by` is what the section is ordered by."""

    section: Section
    step: NextStep
    referral: Referral


# A question that nobody answered in time is nobody's, too; an unacknowledged crisis stands above all, and not here again. Each part walks its own partial index and stops at a page; what is nobody's and in a crisis waits for the crisis' step, so that
# it is found by its crisis, of which few are up.
_PARTS = {
    "nobodys": """
        (SELECT * FROM next_step WHERE what IN ('place', 'claim', 'answer') AND (what <> 'answer' OR by <= $4)
           AND (by, referral_id) > ($1::timestamptz, $2::uuid)
         ORDER BY by, referral_id LIMIT $3)
        UNION ALL
        (SELECT n.* FROM referral r JOIN task p ON p.id = r.parent_id AND p.open AND p.business_status = 'unplaced'
         JOIN next_step n ON n.referral_id = r.id
         WHERE r.crisis IS NOT NULL AND (n.by, n.referral_id) > ($1::timestamptz, $2::uuid) ORDER BY n.by, n.referral_id LIMIT $3)
    """,
    "late": """
        SELECT * FROM next_step WHERE by <= $4 AND (by, referral_id) > ($1::timestamptz, $2::uuid)
          AND what NOT IN ('place', 'claim', 'answer', 'acknowledge')
        ORDER BY by, referral_id LIMIT $3
    """,
    "soon": """
        SELECT * FROM next_step WHERE by > $4 AND by <= $5 AND warn_at <= $4 AND (by, referral_id) > ($1::timestamptz, $2::uuid)
          AND what NOT IN ('place', 'claim', 'acknowledge')
        ORDER BY by, referral_id LIMIT $3
    """,
}
_PAGE = f"""
SELECT {STEP_OF} AS step, v.snapshot AS referral
FROM (SELECT * FROM ({{part}}) AS found ORDER BY by, referral_id LIMIT $3) AS n
JOIN referral r ON r.id = n.referral_id
JOIN referral_version v ON v.referral_id = r.id AND v.version = r.version
ORDER BY n.by, n.referral_id
"""
NOBODYS = _PAGE.format(part=_PARTS["nobodys"])
LATE = _PAGE.format(part=_PARTS["late"])
DUE_SOON = _PAGE.format(part=_PARTS["soon"])


async def page(
    session: Session, section: Section, now: datetime, after: tuple[datetime, Id], limit: int
) -> list[Placed]:
    """One section behind `after` (by, referral), soonest due first."""
    if section == "nobodys":
        rows = await session.fetch(NOBODYS, *after, limit, now)
    elif section == "late":
        rows = await session.fetch(LATE, *after, limit, now)
    else:
        rows = await session.fetch(DUE_SOON, *after, limit, now, now + SOON)
    return [Placed(section, read_step(row["step"]), read_referral(row["referral"])) for row in rows]


COUNTS = """
SELECT (SELECT count(*) FROM (SELECT FROM next_step WHERE what IN ('place', 'claim', 'answer') AND (what <> 'answer' OR by <= $1)
                               LIMIT 1001) AS c)
       + (SELECT count(*) FROM referral r JOIN task p ON p.id = r.parent_id AND p.open AND p.business_status = 'unplaced'
          WHERE r.crisis IS NOT NULL) AS nobodys,
       (SELECT count(*) FROM (SELECT FROM next_step WHERE by <= $1 AND what NOT IN ('place', 'claim', 'answer', 'acknowledge')
                              LIMIT 1001) AS c) AS late,
       (SELECT count(*) FROM (SELECT FROM next_step WHERE by > $1 AND by <= $2 AND warn_at <= $1 AND what NOT IN ('place', 'claim', 'acknowledge')
                              LIMIT 1001) AS c) AS soon
"""


async def counts(session: Session, now: datetime) -> dict[Section, int]:
    """How many stand in each section; counting stops at 1,001, which reads “1,000+”."""
    row = await session.fetchrow(COUNTS, now, now + SOON)
    assert row is not None
    return {section: row[section] for section in SECTIONS}


SHARES = """
SELECT v.snapshot FROM task t JOIN task_version v ON v.task_id = t.id AND v.version = t.version
WHERE t.referral_id = ANY ($1) AND t.kind = 'share' AND t.status <> 'entered-in-error' ORDER BY t.id
"""


async def shares(session: Session, referrals: Sequence[Id]) -> dict[Id, tuple[Task, ...]]:
    """Every share of these referrals, oldest first: who was offered it, and what became of it."""
    found: dict[Id, list[Task]] = {id: [] for id in referrals}
    for row in await session.fetch(SHARES, list(referrals)):
        task = read_task(row["snapshot"])
        found[task.referral].append(task)
    return {id: tuple(tasks) for id, tasks in found.items()}


class Capacity(msgspec.Struct, frozen=True):
    """What an agency's service can take: `places` in all, of which `working` are held by what was accepted, `reserved` by offers
    that are out; `confirmed_at` is when the agency last said so."""

    service: Id
    agency: Id
    name_zh: str
    name_en: str
    status: str
    places: int
    working: int
    reserved: int
    confirmed_at: datetime

    @property
    def held(self) -> int:
        return self.working + self.reserved

    @property
    def free(self) -> int:
        """Places that nobody holds; fewer places than are held are none."""
        return max(self.places - self.held, 0)


CAPACITIES = """
SELECT s.id, s.agency_id, s.name_zh, s.name_en, s.capacity_status, s.places, held.working, held.reserved, s.confirmed_at
FROM agency_service s LEFT JOIN LATERAL (
    SELECT count(*) FILTER (WHERE t.status IS DISTINCT FROM 'requested')::int AS working,
           count(*) FILTER (WHERE t.status = 'requested')::int AS reserved
    FROM place p LEFT JOIN task t ON t.id = p.task_id WHERE p.service_id = s.id AND p.task_id IS NOT NULL) AS held ON true
WHERE s.agency_id = ANY ($1) AND s.active ORDER BY s.agency_id, s.id
"""


async def capacities(session: Session, agencies: Sequence[Id]) -> list[Capacity]:
    """The services of these agencies with what they hold now; needs a scope that sees their Tasks."""
    return [Capacity(*row) for row in await session.fetch(CAPACITIES, list(agencies))]
