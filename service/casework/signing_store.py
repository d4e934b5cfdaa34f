"""SQL of documents that wait for a supervisor: which stand unsigned, and which were given back."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from service.db import Session
from service.values import Id


class Unsigned(msgspec.Struct, frozen=True):
    """A document that its case needs a supervisor's signature on, as it now stands. `case` pages."""

    case: Id
    task: Id
    referral: Id
    phase: str
    patient: Id | None
    worker: Id | None
    document: str
    type: str
    subject: Id
    version: int
    at: datetime


# The newest document of its kind, without a signature on that version, and not given back at that version either.
UNSIGNED = """
SELECT c.id, c.task_id, c.referral_id, c.phase, t.patient_id, c.worker_id, d.code, d.type, d.id AS subject, d.version, d.at
FROM (SELECT * FROM case_file WHERE agency_id = $1 AND phase <> 'archive' AND id > $2 AND ($6::uuid IS NULL OR task_id = $6) ORDER BY id) c
JOIN task t ON t.id = c.task_id AND t.status <> 'entered-in-error'
JOIN unnest($3::text[], $4::text[]) AS s (phase, document) ON s.phase = c.phase
JOIN LATERAL (SELECT code, type, id, version, at FROM record
              WHERE task_id = c.task_id AND current AND author_id = c.agency_id AND code = s.document AND type <> 'Procedure'
              ORDER BY at DESC, id DESC LIMIT 1) d ON true
WHERE NOT EXISTS (SELECT FROM case_approval a WHERE a.case_id = c.id AND a.document = d.code AND a.subject_id = d.id AND a.subject_version = d.version)
  AND NOT EXISTS (SELECT FROM case_return b WHERE b.task_id = c.task_id AND b.subject_id = d.id AND b.subject_version = d.version)
ORDER BY c.id LIMIT $5
"""


async def unsigned(
    session: Session, agency: Id, signs: Sequence[tuple[str, str]], after: Id, limit: int, task: Id | None = None
) -> list[Unsigned]:
    """Documents of an agency's cases behind the case `after`; `signs`: pairs of a phase and the document that is signed in it."""
    phases, documents = [phase for phase, _ in signs], [document for _, document in signs]
    rows = await session.fetch(UNSIGNED, agency, after, phases, documents, limit, task)
    return [Unsigned(*row) for row in rows]


class Returned(msgspec.Struct, frozen=True):
    """One version of a document given back: by which supervisor, when, with which words."""

    id: Id
    case: Id
    task: Id
    agency: Id
    document: str
    subject: Id
    version: int
    supervisor: Id
    by: Id
    at: datetime
    words: str


_RETURNED = "id, case_id, task_id, agency_id, document, subject_id, subject_version, supervisor_id, by_id, at, words"
GIVE_BACK = f"INSERT INTO case_return ({_RETURNED}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"


async def give_back(session: Session, it: Returned) -> None:
    await session.execute(GIVE_BACK, *msgspec.structs.astuple(it))


RETURNED = f"SELECT {_RETURNED} FROM case_return WHERE task_id = $1 ORDER BY at DESC, id DESC LIMIT 50"


async def returned(session: Session, task: Id) -> list[Returned]:
    """What was given back of a case, newest first."""
    return [Returned(*row) for row in await session.fetch(RETURNED, task)]
