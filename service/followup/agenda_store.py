"""SQL of the call list: which follow-ups are to be seen to, what was tried, and what was done today."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from service.db import Session
from service.followup.model import Attempt
from service.followup.store import COLUMNS, read_attempt
from service.referrals.model import Task
from service.referrals.store import read_task
from service.values import Id

Place = tuple[datetime, Id]
"""Where a page begins: behind the follow-up with this end of its window."""

# Each walks its index of open follow-ups in the order of their windows' ends. When a window opens stands in the snapshot alone: of
# those that close within the widest window it is looked at, of later ones it is known.
_PAGE = """
SELECT v.snapshot FROM task t JOIN task_version v ON v.task_id = t.id AND v.version = t.version
WHERE {side} AND t.kind = 'follow-up' AND t.open AND (t.due_at, t.id) > ($2::timestamptz, $3::uuid)
AND ($4::uuid IS NULL OR t.worker_id = $4) {when}
ORDER BY t.due_at, t.id LIMIT $5
"""
_AGENCY = "t.agency_id = $1"
_HOSPITAL = "t.hospital_id = $1 AND t.agency_id IS NULL"
_TODAY = "AND t.due_at <= $7 AND (v.snapshot->>'window_from')::timestamptz < $6"
_COMING = "AND (t.due_at > $7 OR (v.snapshot->>'window_from')::timestamptz >= $6)"
AGENCY_TODAY = _PAGE.format(side=_AGENCY, when=_TODAY)
AGENCY_COMING = _PAGE.format(side=_AGENCY, when=_COMING)
HOSPITAL_TODAY = _PAGE.format(side=_HOSPITAL, when=_TODAY)
HOSPITAL_COMING = _PAGE.format(side=_HOSPITAL, when=_COMING)
_STATEMENTS = {
    ("agency", True): AGENCY_TODAY,
    ("agency", False): AGENCY_COMING,
    ("hospital", True): HOSPITAL_TODAY,
    ("hospital", False): HOSPITAL_COMING,
}


async def page(
    session: Session, side: str, organization: Id, worker: Id | None, after: Place, limit: int, *, tomorrow: datetime,
    widest: datetime, open: bool,
) -> list[Task]:  # fmt: skip
    """Open follow-ups of the organisation (or of one worker) behind `after`, soonest end first: those whose window is `open` before
    `tomorrow` (which closes before `widest`), or those that open later."""
    rows = await session.fetch(_STATEMENTS[side, open], organization, *after, worker, limit, tomorrow, widest)
    return [read_task(row["snapshot"]) for row in rows]


class Tried(msgspec.Struct, frozen=True):
    """How often the reader's organisation tried, and the last time."""

    times: int
    last: Attempt


TRIED = f"""
SELECT DISTINCT ON (task_id) {COLUMNS}, count(*) OVER (PARTITION BY task_id) AS times
FROM contact_attempt WHERE task_id = ANY ($1) ORDER BY task_id, at DESC, id DESC
"""


async def tried(session: Session, tasks: Sequence[Id]) -> dict[Id, Tried]:
    """What was tried for each of these follow-ups; who has none is not there."""
    return {row["task_id"]: Tried(row["times"], read_attempt(row)) for row in await session.fetch(TRIED, list(tasks))}


# Whoever was tried to be reached since, and whatever ended since with an outcome that somebody gave.
DONE = f"""
SELECT v.snapshot, a.* FROM (
    SELECT DISTINCT ON (task_id) {COLUMNS} FROM contact_attempt
    WHERE owner_id = $1 AND recorded_at >= $2 AND ($3::uuid IS NULL OR worker_id = $3) ORDER BY task_id, recorded_at DESC, id DESC
) AS a JOIN task t ON t.id = a.task_id JOIN task_version v ON v.task_id = t.id AND v.version = t.version
ORDER BY a.recorded_at DESC, a.id DESC LIMIT $4
"""


async def done(
    session: Session, organization: Id, worker: Id | None, since: datetime, limit: int
) -> list[tuple[Task, Attempt]]:
    """The follow-ups that somebody tried since, each with the last try, latest first."""
    rows = await session.fetch(DONE, organization, since, worker, limit)
    return [(read_task(row["snapshot"]), read_attempt(row)) for row in rows]


NEW_NEEDS = """
SELECT v.snapshot FROM task t JOIN task_version v ON v.task_id = t.id AND v.version = t.version
WHERE t.hospital_id = $1 AND t.kind = 'duty' AND t.open AND v.snapshot->>'item' = 'refer-new-need'
ORDER BY t.due_at, t.id LIMIT $2
"""


async def new_needs(session: Session, hospital: Id, limit: int) -> list[Task]:
    """The hospital's open duties to refer what a follow-up of an agency found."""
    return [read_task(row["snapshot"]) for row in await session.fetch(NEW_NEEDS, hospital, limit)]


OF_REFERRAL = """
SELECT v.snapshot FROM task t JOIN task_version v ON v.task_id = t.id AND v.version = t.version
WHERE t.referral_id = $1 AND t.kind = 'follow-up' ORDER BY t.due_at NULLS FIRST, t.id
"""


async def of_referral(session: Session, referral: Id) -> list[Task]:
    """The follow-ups of a referral that the scope shows."""
    return [read_task(row["snapshot"]) for row in await session.fetch(OF_REFERRAL, referral)]
