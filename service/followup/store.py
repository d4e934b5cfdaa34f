"""SQL of contact attempts."""

from datetime import datetime

from asyncpg import Record as Row

from service.db import Session
from service.followup.model import Attempt
from service.values import Id, Reason

COLUMNS = "id, task_id, referral_id, patient_id, owner_id, worker_id, channel, at, reached, reason_code, reason_text, recorded_at, result, broke"

ADD = f"""
INSERT INTO contact_attempt ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
ON CONFLICT (id) DO NOTHING RETURNING true
"""


async def add(session: Session, a: Attempt) -> bool:
    """Store an attempt; False when one with this id was stored before."""
    code, text = (a.reason.code, a.reason.text) if a.reason else (None, None)
    return bool(
        await session.fetchval(
            ADD, a.id, a.task, a.referral, a.patient, a.owner, a.worker, a.channel, a.at, a.reached, code, text, a.recorded_at,
            a.result, a.broke,
        )
    )  # fmt: skip


# Two-way contact: an attempt that reached the person, or work that was done with them.
LAST_CONTACT = """
SELECT max(at) FROM (
    SELECT max(a.at) AS at FROM contact_attempt a JOIN task t ON t.id = a.task_id
    WHERE t.referral_id = $1 AND t.kind = 'follow-up' AND a.reached
    UNION ALL
    SELECT max(coalesce(i.ended_at, i.started_at)) FROM intervention i JOIN task t ON t.id = i.task_id
    WHERE t.referral_id = $1 AND t.kind = 'share' AND i.status = 'completed'
) AS contacts
"""


async def last_contact(session: Session, referral: Id) -> datetime | None:
    """When somebody last was in contact with the person of a referral, whoever it was; needs the platform's scope."""
    return await session.fetchval(LAST_CONTACT, referral)


OF_TASK = f"SELECT {COLUMNS} FROM contact_attempt WHERE task_id = $1 ORDER BY at, id"


async def of_task(session: Session, task: Id) -> list[Attempt]:
    """The attempts of a follow-up in their order, as far as they are the reader's own."""
    return [read_attempt(row) for row in await session.fetch(OF_TASK, task)]


OF_REFERRAL = f"SELECT {COLUMNS} FROM contact_attempt WHERE referral_id = $1 ORDER BY at, id"


async def of_referral(session: Session, referral: Id) -> list[Attempt]:
    """The attempts of all follow-ups of a referral in their order, as far as the scope shows them."""
    return [read_attempt(row) for row in await session.fetch(OF_REFERRAL, referral)]


def read_attempt(row: Row) -> Attempt:
    return Attempt(
        id=row["id"], task=row["task_id"], referral=row["referral_id"], patient=row["patient_id"], owner=row["owner_id"],
        channel=row["channel"], at=row["at"], reached=row["reached"], recorded_at=row["recorded_at"], worker=row["worker_id"],
        result=row["result"], broke=row["broke"],
        reason=Reason(row["reason_code"], row["reason_text"]) if row["reason_code"] or row["reason_text"] else None,
    )  # fmt: skip
