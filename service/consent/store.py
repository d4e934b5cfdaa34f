"""SQL of consents and disclosures."""

from collections.abc import Sequence
from datetime import datetime

from asyncpg import Record as Row

from service.consent.model import Consent
from service.db import Session
from service.values import Id, new_id

COLUMNS = """id, hospital_id, patient_id, version, kind, active, discloses, agencies, referrals, signer, recorded_by, recorded_at,
 valid_from, valid_to, spoken, reason_text, received"""

SAVE = f"""
INSERT INTO consent ({COLUMNS}, due) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
ON CONFLICT (id) DO UPDATE SET version = excluded.version, active = excluded.active, discloses = excluded.discloses,
    agencies = excluded.agencies, referrals = excluded.referrals, signer = excluded.signer, valid_from = excluded.valid_from,
    valid_to = excluded.valid_to, spoken = excluded.spoken, received = excluded.received, due = excluded.due
    WHERE consent.version = excluded.version - 1
RETURNING version
"""


async def save(session: Session, c: Consent, due: datetime | None = None) -> bool:
    """Insert or update; False when another update came first. `due`: when its period begins or ends next."""
    stored = await session.fetchval(
        SAVE, c.id, c.hospital, c.patient, c.version, c.kind, c.active, c.discloses, list(c.agencies), list(c.referrals), c.signer,
        c.recorded_by, c.recorded_at, c.valid_from, c.valid_to, c.spoken, c.reason_text, c.received, due,
    )  # fmt: skip
    return stored is not None


def _consent(row: Row) -> Consent:
    return Consent(
        id=row["id"], hospital=row["hospital_id"], patient=row["patient_id"], version=row["version"], kind=row["kind"],
        active=row["active"], discloses=row["discloses"], agencies=tuple(row["agencies"]), referrals=tuple(row["referrals"]),
        signer=row["signer"], recorded_by=row["recorded_by"], recorded_at=row["recorded_at"], valid_from=row["valid_from"],
        valid_to=row["valid_to"], spoken=row["spoken"], reason_text=row["reason_text"], received=row["received"],
    )  # fmt: skip


OF_PATIENT = f"SELECT {COLUMNS} FROM consent WHERE patient_id = $1 AND hospital_id = $2 AND active AND discloses"


async def of_patient(session: Session, patient: Id, hospital: Id) -> list[Consent]:
    """Every active consent and basis that may open this person's identity."""
    return [_consent(row) for row in await session.fetch(OF_PATIENT, patient, hospital)]


GET = f"SELECT {COLUMNS} FROM consent WHERE id = $1"


async def get(session: Session, id: Id) -> Consent | None:
    row = await session.fetchrow(GET, id)
    return _consent(row) if row else None


DUE = f"SELECT {COLUMNS} FROM consent WHERE due <= $1 ORDER BY due LIMIT $2 FOR UPDATE SKIP LOCKED"


async def due(session: Session, now: datetime, limit: int) -> list[Consent]:
    """Consents whose period began or ended, locked."""
    return [_consent(row) for row in await session.fetch(DUE, now, limit)]


FOLLOWED = "UPDATE consent SET due = $2 WHERE id = $1"


async def followed(session: Session, id: Id, due: datetime | None) -> None:
    """The clock has seen to this consent; when it must do so again."""
    await session.execute(FOLLOWED, id, due)


# The insertion waits for the closing: of one agency one disclosure is open.
DISCLOSE = """
WITH wanted AS (
    SELECT * FROM unnest($4::uuid[], $5::uuid[], $6::uuid[], $7::text[], $8::uuid[]) AS w (id, agency_id, task_id, basis, basis_id)
), closed AS (
    UPDATE disclosure d SET closed_at = $9 WHERE d.referral_id = $1 AND d.closed_at IS NULL
    AND NOT EXISTS (SELECT 1 FROM wanted w WHERE w.agency_id = d.agency_id AND w.basis_id = d.basis_id)
    RETURNING d.id
)
INSERT INTO disclosure (id, referral_id, patient_id, hospital_id, agency_id, task_id, basis, basis_id, opened_at)
SELECT w.id, $1, $2, $3, w.agency_id, w.task_id, w.basis, w.basis_id, $9 FROM wanted w
WHERE (SELECT count(*) FROM closed) >= 0 AND NOT EXISTS (
    SELECT 1 FROM disclosure d
    WHERE d.referral_id = $1 AND d.closed_at IS NULL AND d.agency_id = w.agency_id AND d.basis_id = w.basis_id)
"""


async def disclose(
    session: Session, referral: Id, patient: Id, hospital: Id, wanted: Sequence[tuple[Id, Id, str, Id]], now: datetime
) -> None:
    """Let the open disclosures of a referral be those `wanted` (agency, its Task, the ground's kind and id) and no others.

    One that goes on is left as it is; one that goes on, on another ground than it was opened on, is closed and opened
    anew, so that the log says since when which ground holds.
    """
    agencies, tasks, kinds, bases = ([row[n] for row in wanted] for n in range(4))
    ids = [new_id() for _ in wanted]
    await session.execute(DISCLOSE, referral, patient, hospital, ids, agencies, tasks, kinds, bases, now)


IS_OPEN = "SELECT EXISTS (SELECT 1 FROM disclosure WHERE referral_id = $1 AND agency_id = $2 AND closed_at IS NULL)"


async def is_open(session: Session, referral: Id, agency: Id) -> bool:
    """Whether identity is disclosed to the agency for this referral now."""
    return bool(await session.fetchval(IS_OPEN, referral, agency))


# The minute: of two transactions at once either may have begun first.
HAS_ENDED = """
SELECT EXISTS (SELECT 1 FROM disclosure WHERE agency_id = $1 AND closed_at >= $2::timestamptz - interval '1 minute')
"""


async def has_ended(session: Session, agency: Id, since: datetime) -> bool:
    """Whether anybody was disclosed to the agency who has not been since."""
    return bool(await session.fetchval(HAS_ENDED, agency, since))
