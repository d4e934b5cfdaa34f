"""SQL of consents and disclosures."""

from collections.abc import Mapping
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


OPEN = """
INSERT INTO disclosure (id, referral_id, patient_id, hospital_id, agency_id, task_id, basis, basis_id, opened_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING
"""


async def open_disclosure(
    session: Session,
    id: Id,
    referral: Id,
    patient: Id,
    hospital: Id,
    agency: Id,
    task: Id,
    basis: str,
    basis_id: Id,
    now: datetime,
) -> None:
    await session.execute(OPEN, id, referral, patient, hospital, agency, task, basis, basis_id, now)


CLOSE = "UPDATE disclosure SET closed_at = $3 WHERE referral_id = $1 AND agency_id = $2 AND closed_at IS NULL"


async def close_disclosure(session: Session, referral: Id, agency: Id, now: datetime) -> None:
    await session.execute(CLOSE, referral, agency, now)


REGROUND = """
WITH closed AS (
    UPDATE disclosure d SET closed_at = $6
    FROM unnest($2::uuid[], $3::uuid[], $4::text[], $5::uuid[]) AS now (id, agency_id, basis, basis_id)
    WHERE d.referral_id = $1 AND d.agency_id = now.agency_id AND d.closed_at IS NULL AND d.basis_id <> now.basis_id
    RETURNING now.id, d.referral_id, d.patient_id, d.hospital_id, d.agency_id, d.task_id, now.basis, now.basis_id
)
INSERT INTO disclosure (id, referral_id, patient_id, hospital_id, agency_id, task_id, basis, basis_id, opened_at)
SELECT id, referral_id, patient_id, hospital_id, agency_id, task_id, basis, basis_id, $6 FROM closed
"""


async def reground(session: Session, referral: Id, grounds: Mapping[Id, tuple[str, Id]], now: datetime) -> None:
    """Disclosures that go on, on another ground than they were opened on: the log says since when. Agency → basis and id."""
    await session.execute(
        REGROUND, referral, [new_id() for _ in grounds], list(grounds), [kind for kind, _ in grounds.values()],
        [basis for _, basis in grounds.values()], now,
    )  # fmt: skip
