"""SQL of received resources."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from asyncpg import Record as Row

from service.db import Session
from service.records.model import Attachment, Record
from service.records.scanning import Verdict
from service.values import Id

COLUMNS = "id, version, type, category, hospital_id, author_id, agency_id, patient_id, referral_id, task_id, returned, status, code, body, at"

INSERT = f"""
INSERT INTO record ({COLUMNS})
SELECT * FROM unnest($1::uuid[], $2::int[], $3::text[], $4::text[], $5::uuid[], $6::uuid[], $7::uuid[], $8::uuid[], $9::uuid[],
                     $10::uuid[], $11::bool[], $12::text[], $13::text[], $14::json[], $15::timestamptz[])
"""

# A later version came from the same record of the person as the one before.
INSERT_LATER = f"""
INSERT INTO record ({COLUMNS}, origin_id)
SELECT n.*, (SELECT o.origin_id FROM record o WHERE o.id = n.id AND o.version = n.version - 1)
FROM unnest($1::uuid[], $2::int[], $3::text[], $4::text[], $5::uuid[], $6::uuid[], $7::uuid[], $8::uuid[], $9::uuid[],
            $10::uuid[], $11::bool[], $12::text[], $13::text[], $14::json[], $15::timestamptz[]) AS n ({COLUMNS})
"""

SUPERSEDE = "UPDATE record SET current = false WHERE id = ANY($1) AND current"


async def keep(session: Session, records: Sequence[Record]) -> None:
    """Store new versions; those before them stop being current."""
    if not records:
        return
    later = [record.id for record in records if record.version > 1]
    if later:
        await session.execute(SUPERSEDE, later)
    columns: list[list[Any]] = [
        [r.id for r in records], [r.version for r in records], [r.type for r in records], [r.category for r in records],
        [r.hospital for r in records], [r.author for r in records], [r.agency for r in records], [r.patient for r in records],
        [r.referral for r in records], [r.task for r in records], [r.returned for r in records], [r.status for r in records],
        [r.code for r in records], [r.body.decode() for r in records], [r.at for r in records],
    ]  # fmt: skip
    await session.execute(INSERT_LATER if later else INSERT, *columns)


def record_of(row: Row) -> Record:
    return Record(
        id=row["id"], version=row["version"], type=row["type"], category=row["category"], author=row["author_id"],
        body=row["body"].encode(), at=row["at"], hospital=row["hospital_id"], agency=row["agency_id"], patient=row["patient_id"],
        referral=row["referral_id"], task=row["task_id"], returned=row["returned"], status=row["status"], code=row["code"],
    )  # fmt: skip


CURRENT = f"SELECT {COLUMNS} FROM record WHERE id = $1 AND type = $2 AND current"


async def current(session: Session, type: str, id: Id) -> Record | None:
    row = await session.fetchrow(CURRENT, id, type)
    return record_of(row) if row else None


WRITTEN_BY = f"SELECT {COLUMNS} FROM record WHERE id = ANY($2) AND author_id = $1 AND current"


async def written_by(session: Session, author: Id, ids: Sequence[Id]) -> list[Record]:
    """Those of these resources that this organisation wrote, as they stand."""
    return [record_of(row) for row in await session.fetch(WRITTEN_BY, author, list(ids))]


THESE = f"SELECT {COLUMNS} FROM record WHERE id = ANY($1) AND current"


async def these(session: Session, ids: Sequence[Id]) -> list[Record]:
    """Those of these resources that the scope may see, as they stand."""
    return [record_of(row) for row in await session.fetch(THESE, list(ids))] if ids else []


VERSION = f"SELECT {COLUMNS} FROM record WHERE id = $1 AND type = $2 AND version = $3"


async def version(session: Session, type: str, id: Id, number: int) -> Record | None:
    row = await session.fetchrow(VERSION, id, type, number)
    return record_of(row) if row else None


VERSIONS = f"SELECT {COLUMNS} FROM record WHERE id = $1 AND type = $2 ORDER BY version DESC"


async def versions(session: Session, type: str, id: Id) -> list[Record]:
    return [record_of(row) for row in await session.fetch(VERSIONS, id, type)]


OWN = """
SELECT id FROM record WHERE id = ANY($1) AND current AND author_id = $2 AND referral_id = $3 AND category <> 'safety'
"""


async def own(session: Session, ids: Sequence[Id], author: Id, referral: Id) -> set[Id]:
    """Which of these records this author wrote for this referral; what is sealed is none that is given to others."""
    return {row["id"] for row in await session.fetch(OWN, list(ids), author, referral)}


RETURN = "UPDATE record SET returned = true WHERE id = ANY($1) AND current AND author_id = $2 AND NOT returned"


async def return_to_hospital(session: Session, ids: Sequence[Id], author: Id) -> None:
    """Let the hospital read what an agency names as its output."""
    if ids:
        await session.execute(RETURN, list(ids), author)


ATTACH = """
INSERT INTO attachment (id, author_id, media_type, octets, sha256, at, context_type, context_id, hospital_id, agency_id, patient_id, referral_id,
    scan, scan_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
"""


async def attach(session: Session, attachment: Attachment) -> None:
    """Store what is known of a file."""
    await session.execute(ATTACH, *msgspec.structs.astuple(attachment))


ATTACHMENT = "id, author_id, media_type, octets, sha256, at, context_type, context_id, hospital_id, agency_id, patient_id, referral_id, scan, scan_at"
ATTACHMENTS = f"SELECT {ATTACHMENT} FROM attachment WHERE id = ANY($1)"


async def attachments(session: Session, ids: Sequence[Id]) -> list[Attachment]:
    """Those of these files that the scope may see."""
    return [Attachment(*row) for row in await session.fetch(ATTACHMENTS, list(ids))]


# One at a time, and another's as soon as its lease has ended: who scans may be killed.
CLAIM_PENDING = f"""
UPDATE attachment SET scan_at = $2, scan_tries = scan_tries + 1
WHERE id = (SELECT id FROM attachment WHERE scan = 'pending' AND scan_at <= $1 ORDER BY scan_at LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING {ATTACHMENT}, scan_tries
"""


async def claim_pending(session: Session, now: datetime, until: datetime) -> tuple[Attachment, int] | None:
    """A file that waits to be scanned, ours until then, and how often it was tried, this time included."""
    row = await session.fetchrow(CLAIM_PENDING, now, until)
    return (Attachment(*tuple(row)[:-1]), row["scan_tries"]) if row else None


SET_SCANNED = (
    "UPDATE attachment SET scan = $2, scan_at = $3 WHERE sha256 = $1 AND (scan = 'pending' OR $2 = 'infected')"
)


async def set_scanned(session: Session, sha256: bytes, scan: Verdict, again: datetime | None) -> None:
    """What is known of a content now: of every file that has it."""
    await session.execute(SET_SCANNED, sha256, scan, again)


UNNAMED = "SELECT d FROM unnest($1::bytea[]) AS d WHERE NOT EXISTS (SELECT 1 FROM attachment a WHERE a.sha256 = d)"


async def unnamed(session: Session, digests: Sequence[bytes]) -> list[bytes]:
    """Those of these contents that no file has. Needs the platform's scope."""
    return [row["d"] for row in await session.fetch(UNNAMED, list(digests))]
