"""SQL of what a worker's pages show: lists of cases, each with its share and what is due; and what was written down in one."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from asyncpg import Record as Row

from service.casework.model import Case, Intervention
from service.casework.store import CASE, INTERVENTION, read_case, read_intervention
from service.db import Session
from service.records.model import Attachment, Record
from service.records.store import ATTACHMENT, COLUMNS, record_of
from service.referrals.model import Referral, Task
from service.referrals.store import read_referral
from service.values import Id


class Listed(msgspec.Struct, frozen=True):
    """A case as a list shows it. `referral`: where a crisis is up, as far as the scope may know of it; `met`: when somebody of the agency last met the person;
    `second`: as what the reader is second on it (urn:yuanshe:co-work-role); `absent`, `until`: for whom its worker has it, and
    how long."""

    case: Case
    share: Task
    required: int
    present: int
    lacks: tuple[str, ...]
    referral: Referral | None = None
    met: datetime | None = None
    second: str | None = None
    absent: Id | None = None
    until: datetime | None = None


class Wanted(msgspec.Struct, frozen=True):
    """Which cases of an agency: those of a worker, in a phase, due by a time; behind `after` (when, id of the share or case)."""

    agency: Id
    worker: Id | None
    reader: Id | None
    phase: str | None = None
    due: datetime | None = None
    after: tuple[datetime | None, Id] | None = None
    limit: int = 50


_CASE = ", ".join(f"c.{column}" for column in CASE.split(", "))
_SHOWN = f"""
SELECT {_CASE}, c.required, c.present, c.lacks, v.snapshot AS share, rv.snapshot AS referral,
       met.at AS met, second.role AS second, h.absent_id, h.ends_at AS until
FROM page p
JOIN case_file c ON c.id = p.case_id
JOIN task t ON t.id = c.task_id
JOIN task_version v ON v.task_id = t.id AND v.version = t.version
LEFT JOIN referral r ON r.id = c.referral_id AND r.crisis IS NOT NULL
LEFT JOIN referral_version rv ON rv.referral_id = r.id AND rv.version = r.version
LEFT JOIN LATERAL (
    SELECT max(i.started_at) AS at FROM intervention i WHERE i.task_id = t.id AND i.status IN ('in-progress', 'completed')
) met ON true
LEFT JOIN LATERAL (
    SELECT w.role FROM co_work w WHERE w.task_id = t.id AND w.worker_id = $3 AND w.starts_at <= $8
    AND (w.ends_at IS NULL OR w.ends_at > $8) LIMIT 1
) second ON true
LEFT JOIN LATERAL (
    SELECT o.absent_id, o.ends_at FROM hand_over_item x JOIN hand_over o ON o.id = x.hand_over_id
    WHERE x.task_id = t.id AND o.state = 'in-force' AND o.colleague_id = c.worker_id ORDER BY o.id DESC LIMIT 1
) h ON true
"""
_OF_WORKER = """
(SELECT m.task_id FROM case_file m WHERE m.worker_id = $2 AND m.closed_at IS NULL
 UNION ALL SELECT w.task_id FROM co_work w WHERE w.worker_id = $2 AND w.starts_at <= $8 AND (w.ends_at IS NULL OR w.ends_at > $8))
"""

# Cases that go on, what is due soonest first; where no clock runs, last.
_GOING_ON = f"""
WITH page AS (
    SELECT c.id AS case_id, t.due_at FROM task t JOIN case_file c ON c.task_id = t.id
    WHERE t.agency_id = $1 AND t.kind = 'share' AND t.status IN ('accepted', 'in-progress', 'on-hold') AND {{whose}}
      AND ($4::text IS NULL OR c.phase = $4) AND ($5::timestamptz IS NULL OR t.due_at <= $5)
      AND ($7::uuid IS NULL OR (coalesce(t.due_at, 'infinity'), t.id) > (coalesce($6::timestamptz, 'infinity'), $7))
    ORDER BY coalesce(t.due_at, 'infinity'), t.id LIMIT $9
)
{_SHOWN} ORDER BY coalesce(p.due_at, 'infinity'), t.id
"""
GOING_ON = _GOING_ON.format(whose="$2::uuid IS NULL")
OF_WORKER = _GOING_ON.format(whose=f"t.id IN {_OF_WORKER}")

# Cases whose share has ended, the last ones first; one that was voided leaves every list.
_ENDED = f"""
WITH page AS (
    SELECT c.id AS case_id, c.closed_at FROM case_file c
    WHERE {{whose}} AND c.closed_at IS NOT NULL AND c.ending <> 'void'
      AND ($4::text IS NULL OR c.phase = $4) AND ($5::timestamptz IS NULL OR true)
      AND ($7::uuid IS NULL OR (c.closed_at, c.id) < ($6::timestamptz, $7))
    ORDER BY c.closed_at DESC, c.id DESC LIMIT $9
)
{_SHOWN} ORDER BY p.closed_at DESC, c.id DESC
"""
ENDED = _ENDED.format(whose="$2::uuid IS NULL AND c.agency_id = $1")
ENDED_OF_WORKER = _ENDED.format(whose="c.worker_id = $2 AND c.agency_id = $1")


async def page(session: Session, wanted: Wanted, now: datetime, *, ended: bool = False) -> list[Listed]:
    """A page of an agency's cases."""
    statement = (ENDED_OF_WORKER if wanted.worker else ENDED) if ended else (OF_WORKER if wanted.worker else GOING_ON)
    at, id = wanted.after or (None, None)
    rows = await session.fetch(
        statement, wanted.agency, wanted.worker, wanted.reader, wanted.phase, wanted.due, at, id, now, wanted.limit
    )  # fmt: skip
    return [_listed(row) for row in rows]


_share = msgspec.json.Decoder(Task)


def _listed(row: Row) -> Listed:
    return Listed(
        read_case(row), _share.decode(row["share"]), row["required"], row["present"], tuple(row["lacks"]),
        read_referral(row["referral"]) if row["referral"] else None, row["met"], row["second"], row["absent_id"], row["until"],
    )  # fmt: skip


class Part(msgspec.Struct, frozen=True):
    """The reader's part in a case: second on it now; and for whom its worker has it, until when."""

    second: str | None
    absent: Id | None
    until: datetime | None


PART = """
SELECT (SELECT role FROM co_work w WHERE w.task_id = $1 AND w.worker_id = $2 AND w.starts_at <= $3
        AND (w.ends_at IS NULL OR w.ends_at > $3) LIMIT 1) AS second, h.absent_id, h.ends_at
FROM (SELECT 1) one LEFT JOIN LATERAL (
    SELECT o.absent_id, o.ends_at FROM hand_over_item x JOIN hand_over o ON o.id = x.hand_over_id
    JOIN case_file c ON c.task_id = x.task_id AND c.worker_id = o.colleague_id
    WHERE x.task_id = $1 AND o.state = 'in-force' ORDER BY o.id DESC LIMIT 1
) h ON true
"""


async def part(session: Session, task: Id, reader: Id | None, now: datetime) -> Part:
    row = await session.fetchrow(PART, task, reader, now)
    assert row is not None
    return Part(row["second"], row["absent_id"], row["ends_at"])


class Note(msgspec.Struct, frozen=True):
    """What was done in a case, with its words as they were sent, and those of its earlier versions, the last first."""

    work: Intervention
    body: str
    earlier: tuple["Earlier", ...] = ()


class Earlier(msgspec.Struct, frozen=True):
    """A version of a resource that another one took the place of."""

    version: int
    at: datetime
    body: dict[str, Any]


_earlier = msgspec.json.Decoder(tuple[Earlier, ...])
_WORK = ", ".join(f"i.{column.strip()}" for column in INTERVENTION.split(","))
_NOTE = f"""
SELECT {_WORK}, r.body, (
    SELECT json_agg(json_build_object('version', o.version, 'at', o.at, 'body', o.body) ORDER BY o.version DESC)
    FROM record o WHERE o.id = i.id AND NOT o.current
) AS earlier
FROM intervention i JOIN record r ON r.id = i.id AND r.current
"""
NOTES = f"""
{_NOTE} WHERE i.task_id = $1 AND ($2::uuid IS NULL OR i.worker_id = $2)
  AND ($4::uuid IS NULL OR (coalesce(i.started_at, i.recorded_at), i.id) < ($3::timestamptz, $4))
ORDER BY coalesce(i.started_at, i.recorded_at) DESC, i.id DESC LIMIT $5
"""


async def notes(
    session: Session, task: Id, worker: Id | None, after: tuple[datetime, Id] | None, limit: int
) -> list[Note]:
    """What was done on a share, by this worker or by all, newest first."""
    at, id = after or (None, None)
    return [_note(row) for row in await session.fetch(NOTES, task, worker, at, id, limit)]


NOTE = f"{_NOTE} WHERE i.id = $1 AND i.task_id = $2"


async def note(session: Session, task: Id, id: Id) -> Note | None:
    row = await session.fetchrow(NOTE, id, task)
    return _note(row) if row else None


def _note(row: Row) -> Note:
    return Note(read_intervention(row), row["body"], _earlier.decode(row["earlier"] or "[]"))


# Not what is sealed (T3): that has a page of its own, for whom it is for.
PAPERS = f"""
SELECT {COLUMNS} FROM record
WHERE task_id = $1 AND current AND author_id = $2 AND type = ANY($3) AND category IN ('work', 'case-note', 'supervision')
ORDER BY at DESC, id LIMIT 500
"""


async def papers(session: Session, task: Id, agency: Id, types: Sequence[str]) -> list[Record]:
    """What an agency wrote in a case, of these types, the newest first."""
    return [record_of(row) for row in await session.fetch(PAPERS, task, agency, list(types))]


MESSAGES = f"""
SELECT {COLUMNS} FROM record
WHERE task_id = $1 AND current AND type = 'Communication' AND category = 'message' AND code IN ('question', 'answer', 'note')
ORDER BY at DESC, id LIMIT 100
"""


async def messages(session: Session, task: Id) -> list[Record]:
    """What agency and hospital said to each other about a share, the newest first."""
    return [record_of(row) for row in await session.fetch(MESSAGES, task)]


FILES = f"SELECT {ATTACHMENT} FROM attachment WHERE context_id = ANY($1) ORDER BY at, id"


async def files(session: Session, contexts: Sequence[Id]) -> list[Attachment]:
    """The files that belong to these resources, oldest first."""
    return [Attachment(*row) for row in await session.fetch(FILES, list(contexts))] if contexts else []
