"""SQL of transfers: how a case changed hands."""

from datetime import datetime

import msgspec

from service.db import Session
from service.values import Id


class Transfer(msgspec.Struct, frozen=True):
    """A case given to another worker (`to`), or its need to another agency by the referral `onward`. `note` is for who goes on."""

    id: Id
    task: Id
    referral: Id
    agency: Id
    reason: str
    by: Id
    at: datetime
    frm: Id | None = None
    to: Id | None = None
    onward: Id | None = None
    note: str | None = None


_TRANSFER = "id, task_id, referral_id, agency_id, reason_text, by_id, at, from_worker_id, to_worker_id, onward_id, note"
KEEP = f"INSERT INTO case_transfer ({_TRANSFER}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"


async def keep(session: Session, t: Transfer) -> None:
    await session.execute(KEEP, *msgspec.structs.astuple(t))


OF_TASK = f"SELECT {_TRANSFER} FROM case_transfer WHERE task_id = $1 ORDER BY id"


async def of_task(session: Session, task: Id) -> list[Transfer]:
    """How a share changed hands, in order."""
    return [Transfer(*row) for row in await session.fetch(OF_TASK, task)]
