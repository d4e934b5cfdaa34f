"""SQL of the inbox of HL7 v2."""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from asyncpg import Record as Row

from service.db import Session
from service.records.model import Fault, InboxState, Message
from service.values import Id

_HEAD = "id, sender, hospital_id, control_id, digest, event, received_at, state, answer, event_at, key, place, reason, patient_id, stay_id, mends, handled_at"
COLUMNS = f"{_HEAD}, body"

INSERT = f"""
INSERT INTO hl7_message ({COLUMNS})
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
"""


async def insert(session: Session, message: Message) -> None:
    """Keep a message. Raises UniqueViolationError where the same came in meanwhile."""
    m = message
    fault = m.fault or Fault("", None, "")
    await session.execute(
        INSERT, m.id, m.sender, m.hospital, m.control_id, m.digest, m.event, m.received_at, m.state, m.answer, m.event_at,
        fault.key or None, fault.place, fault.text or None, m.patient, m.stay, m.mends, m.handled_at, m.body,
    )  # fmt: skip


def _message(row: Row, body: bytes | None) -> Message:
    return Message(
        id=row["id"], sender=row["sender"], hospital=row["hospital_id"], control_id=row["control_id"], digest=row["digest"],
        event=row["event"], received_at=row["received_at"], state=row["state"], answer=row["answer"], event_at=row["event_at"],
        fault=Fault(row["key"] or "", row["place"], row["reason"]) if row["reason"] else None, body=body, patient=row["patient_id"],
        stay=row["stay_id"], mends=row["mends"], handled_at=row["handled_at"],
    )  # fmt: skip


EARLIER = f"SELECT {_HEAD} FROM hl7_message WHERE sender = $1 AND control_id = $2"


async def earlier(session: Session, sender: str, control_id: str) -> list[Message]:
    """What this sender sent under this MSH-10 before."""
    return [_message(row, None) for row in await session.fetch(EARLIER, sender, control_id)]


LIST = f"""
SELECT {_HEAD} FROM hl7_message WHERE state = ANY($1) AND ($2::uuid IS NULL OR id < $2) ORDER BY id DESC LIMIT $3
"""


async def page(session: Session, states: Sequence[InboxState], before: Id | None, limit: int) -> list[Message]:
    """Messages in these states, the newest first, without what they say."""
    return [_message(row, None) for row in await session.fetch(LIST, list(states), before, limit)]


HEAD = f"SELECT {_HEAD} FROM hl7_message WHERE id = $1"


async def head(session: Session, id: Id) -> Message | None:
    """One message without what it says."""
    row = await session.fetchrow(HEAD, id)
    return _message(row, None) if row else None


WAITING = "SELECT count(*) FROM (SELECT FROM hl7_message WHERE state = 'parked' LIMIT 10000) bounded"


async def waiting(session: Session) -> int:
    """How many are parked."""
    return await session.fetchval(WAITING)


LOCK = f"SELECT {COLUMNS} FROM hl7_message WHERE id = $1 FOR NO KEY UPDATE"


async def locked(session: Session, id: Id) -> Message | None:
    """The message, which nobody else handles until the transaction ends."""
    row = await session.fetchrow(LOCK, id)
    return _message(row, row["body"]) if row else None


SETTLE = """
UPDATE hl7_message SET state = $2, key = $3, place = $4, reason = $5, answer = $6, patient_id = $7, stay_id = $8, handled_at = $9,
    event = $10, event_at = $11, hospital_id = $12
WHERE id = $1
"""


async def settle(session: Session, message: Message) -> None:
    """Keep what became of it."""
    m = message
    fault = m.fault or Fault("", None, "")
    await session.execute(
        SETTLE, m.id, m.state, fault.key or None, fault.place, fault.text or None, m.answer, m.patient, m.stay, m.handled_at,
        m.event, m.event_at, m.hospital,
    )  # fmt: skip


FORGET = """
UPDATE hl7_message SET body = NULL WHERE id IN (
    SELECT id FROM hl7_message WHERE body IS NOT NULL AND state <> 'parked' AND received_at < $1 LIMIT 1000 FOR NO KEY UPDATE SKIP LOCKED)
RETURNING id
"""


async def forget(session: Session, before: datetime) -> int:
    """Drop what messages said that were handled and came in before, some of them; how many."""
    return len(await session.fetch(FORGET, before))


def settled(message: Message, state: InboxState, at: datetime, fault: Fault | None = None) -> Message:
    """The message once somebody handled it."""
    return msgspec.structs.replace(message, state=state, handled_at=at, fault=fault)
