"""SQL of how complete an agency's case files are."""

from datetime import datetime

import msgspec

from service.db import Session
from service.values import Id


class Filed(msgspec.Struct, frozen=True):
    """Open cases in one phase, or in all (None): how many, the documents required of them, those that are there, and how many of
    them lack something."""

    phase: str | None
    cases: int
    required: int
    present: int
    lacking: int

    @property
    def percent(self) -> int:
        """Whole percents, rounded down: 100 only where nothing is missing (domain e: 档案完整率)."""
        return self.present * 100 // self.required if self.required else 100


FIGURES = """
SELECT phase, count(*)::int, coalesce(sum(required), 0)::int, coalesce(sum(present), 0)::int, count(*) FILTER (WHERE present < required)::int
FROM case_file WHERE agency_id = $1 AND closed_at IS NULL GROUP BY GROUPING SETS ((phase), ())
"""


async def figures(session: Session, agency: Id) -> list[Filed]:
    """The files of an agency's open cases, by phase and all together."""
    return [Filed(*row) for row in await session.fetch(FIGURES, agency)]


class Lacking(msgspec.Struct, frozen=True):
    """A case whose file lacks documents: codes of urn:yuanshe:case-document. `case` pages."""

    case: Id
    task: Id
    referral: Id
    phase: str
    worker: Id | None
    patient: Id | None
    required: int
    present: int
    lacks: tuple[str, ...]

    @property
    def percent(self) -> int:
        return self.present * 100 // self.required if self.required else 100


# Whom the agency knows at this moment stands in the share, not in the case, which keeps its person.
LACKING = """
SELECT c.id, c.task_id, c.referral_id, c.phase, c.worker_id, t.patient_id, c.required, c.present, c.lacks
FROM case_file c JOIN task t ON t.id = c.task_id
WHERE c.agency_id = $1 AND c.closed_at IS NULL AND c.present < c.required AND c.id > $2 ORDER BY c.id LIMIT $3
"""


async def lacking(session: Session, agency: Id, after: Id, limit: int) -> list[Lacking]:
    """An agency's open cases that lack documents, oldest first, behind the case `after`."""
    return [
        Lacking(
            row["id"], row["task_id"], row["referral_id"], row["phase"], row["worker_id"], row["patient_id"], row["required"],
            row["present"], tuple(row["lacks"]),
        )
        for row in await session.fetch(LACKING, agency, after, limit)
    ]  # fmt: skip


class Review(msgspec.Struct, frozen=True):
    """A service plan whose review is overdue. `id` and `at` page."""

    id: Id
    at: datetime
    task: Id
    referral: Id
    phase: str
    worker: Id | None
    patient: Id | None


REVIEWS = """
SELECT p.id, p.review_at, c.task_id, c.referral_id, c.phase, c.worker_id, t.patient_id
FROM case_plan p JOIN case_file c ON c.id = p.case_id AND c.closed_at IS NULL JOIN task t ON t.id = c.task_id
WHERE p.agency_id = $1 AND p.status = 'active' AND p.review_at <= $2 AND (p.review_at, p.id) > ($3::timestamptz, $4::uuid)
ORDER BY p.review_at, p.id LIMIT $5
"""


async def reviews(session: Session, agency: Id, now: datetime, after: tuple[datetime, Id], limit: int) -> list[Review]:
    """Active plans of open cases whose review is overdue, the longest first."""
    return [Review(*row) for row in await session.fetch(REVIEWS, agency, now, *after, limit)]
