"""SQL of crises that are up: which wait for somebody, and the calls of many at once."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from service.db import Session
from service.notices.paging_store import COLUMNS, Page, read_page
from service.referrals.model import NextStep, Referral
from service.referrals.store import STEP_OF, read_referral, read_step
from service.values import Id

MOST = 50
"""How many crises a look brings back: beyond that a list helps nobody."""

OF_SIDE = f"""
SELECT {STEP_OF} AS step FROM next_step n WHERE n.what = 'acknowledge' AND n.organization_id = $1
ORDER BY n.by, n.referral_id LIMIT {MOST}
"""
# The coordinator's own, those whose limit has passed, and those whose ladder of calls has come to the coordinator.
OF_COORDINATOR = f"""
SELECT {STEP_OF} AS step FROM next_step n
WHERE n.what = 'acknowledge' AND (n.organization_id = $1 OR n.by <= $2
      OR EXISTS (SELECT FROM page p WHERE p.referral_id = n.referral_id AND p.raised_at = n.since AND p.rung = 'coordinator'))
ORDER BY n.by, n.referral_id LIMIT {MOST}
"""


async def unacknowledged(session: Session, organization: Id) -> list[NextStep]:
    """Crises that this organisation must acknowledge, soonest due first."""
    return [read_step(row["step"]) for row in await session.fetch(OF_SIDE, organization)]


async def unacknowledged_anywhere(session: Session, platform: Id, now: datetime) -> list[NextStep]:
    """Crises that have come to the coordinator, soonest due first."""
    return [read_step(row["step"]) for row in await session.fetch(OF_COORDINATOR, platform, now)]


class Called(msgspec.Struct, frozen=True):
    """A crisis for which somebody of an organisation was called and nobody has answered: since when it is up, until when it
    is to be acknowledged, by which Task they know of it."""

    referral: Id
    hospital: Id
    task: Id
    raised_at: datetime
    limit_at: datetime


CALLED = f"""
SELECT DISTINCT ON (referral_id) referral_id, hospital_id, task_id, raised_at, limit_at FROM page
WHERE organization_id = $1 AND acknowledged_at IS NULL AND state IN ('waiting', 'sent')
ORDER BY referral_id, raised_at DESC, place DESC LIMIT {MOST}
"""


async def called(session: Session, organization: Id) -> list[Called]:
    """Crises for which somebody of this organisation is called."""
    return [Called(*row) for row in await session.fetch(CALLED, organization)]


UP = f"""
SELECT {STEP_OF} AS step, v.snapshot AS referral
FROM (SELECT * FROM referral WHERE crisis IS NOT NULL AND ($1::uuid IS NULL OR hospital_id = $1) ORDER BY crisis_at, id LIMIT {MOST}) r
JOIN next_step n ON n.referral_id = r.id
JOIN referral_version v ON v.referral_id = r.id AND v.version = r.version
ORDER BY n.what <> 'acknowledge', n.by, n.referral_id
"""


async def up(session: Session, hospital: Id | None) -> list[tuple[NextStep, Referral]]:
    """Every crisis that is up, of one hospital or of all, those that nobody has acknowledged first."""
    rows = await session.fetch(UP, hospital)
    return [(read_step(row["step"]), read_referral(row["referral"])) for row in rows]


OF_AGENCY = f"""
SELECT {STEP_OF} AS step FROM next_step n
WHERE n.agency_id = $1 AND n.organization_id = $1 AND n.what IN ('acknowledge', 'safety-plan', 'report', 'stand-down')
ORDER BY n.by, n.referral_id LIMIT {MOST}
"""


async def up_at_agency(session: Session, agency: Id) -> list[NextStep]:
    """Crises whose next step is the agency's."""
    return [read_step(row["step"]) for row in await session.fetch(OF_AGENCY, agency)]


CALLS = f"SELECT {COLUMNS} FROM page WHERE referral_id = ANY ($1) ORDER BY referral_id, raised_at, place, channel LIMIT 1000"


async def calls(session: Session, referrals: Sequence[Id]) -> list[Page]:
    """The calls of these referrals, as far as the scope sees them, in the order in which they were made."""
    return [read_page(row) for row in await session.fetch(CALLS, list(referrals))]
