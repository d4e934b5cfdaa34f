"""SQL of what is open for a hospital or the coordinator: next steps, soonest due first, each with its referral."""

from datetime import datetime

import msgspec
from asyncpg import Record as Row

from service.db import Session
from service.referrals.model import NextStep, Referral, Task
from service.referrals.store import STEP_OF, read_referral, read_step
from service.values import Id


class Open(msgspec.Struct, frozen=True):
    """An open referral as a side sees it: who must act next, and the referral (its hospital, the coordinator) or the side's
    own share or follow-up of it (an agency)."""

    step: NextStep
    referral: Referral | None = None
    task: Task | None = None

    @property
    def patient(self) -> Id | None:
        """The person, where the side may know them."""
        return self.referral.patient if self.referral else self.task.patient if self.task else None


# Each page walks its index alone and looks up what it shows by primary key; a statement for each side, since a condition that
# covers several would walk them all.
_PAGE = f"""
SELECT {STEP_OF} AS step, v.snapshot AS referral
FROM (SELECT * FROM next_step WHERE {{side}} = $1 AND (by, referral_id) > ($2::timestamptz, $3::uuid)
      ORDER BY by, referral_id LIMIT $4) AS n
JOIN referral r ON r.id = n.referral_id
JOIN referral_version v ON v.referral_id = r.id AND v.version = r.version
ORDER BY n.by, n.referral_id
"""
OF_HOSPITAL = _PAGE.format(side="hospital_id")
OF_COORDINATOR = _PAGE.format(side="organization_id")


async def page(session: Session, side: str, organization: Id, after: tuple[datetime, Id], limit: int) -> list[Open]:
    """What is open behind `after` (by, referral), as the hospital or the platform that asks sees it."""
    statement = OF_HOSPITAL if side == "hospital" else OF_COORDINATOR
    return [_open(row) for row in await session.fetch(statement, organization, *after, limit)]


def _open(row: Row) -> Open:
    return Open(read_step(row["step"]), read_referral(row["referral"]))
