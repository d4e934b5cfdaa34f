"""One act on many rows of a queue: noted at once, then done by the service's worker row by row, so that whoever asked may leave.

Each row is a request of its own: its transaction, its line in the audit, and what came of it, committed together. A worker that is
killed leaves the rest to another; a row is never done twice, for it is marked in the transaction that does it.
"""

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import cast

import asyncpg

from service.access import flow as access
from service.access.model import Actor, Call, clock_actor
from service.casework import bulk_store, taking_flow
from service.casework.bulk_store import Bulk, BulkRow, InHand
from service.casework.taking_flow import Act, Said
from service.db import Database, Session
from service.errors import Forbidden, Invalid, NotFound, Refusal
from service.practice import PLATFORM
from service.referrals.queue_flow import MOST_AT_ONCE
from service.values import Id, new_id

log = logging.getLogger(__name__)

ACTS = ("accept", "decline", "assign", "hold")
AT_ONCE = 4
"""Rows of one act that are done side by side: others keep most of the pool."""
TAKEN = 40
"""Rows taken in hand at a time."""
LEASE = timedelta(minutes=2)
KEPT = timedelta(days=7)
CLOCK = clock_actor(PLATFORM)


async def ask(session: Session, actor: Actor, said: Said, tasks: Sequence[Id], now: datetime) -> Id:
    """Note an act on these rows; its id. What is wrong with all of them is refused now: Invalid, Forbidden."""
    if actor.side != "agency" or actor.kind != "person":
        raise Forbidden("This is for an agency's people.", key="wrong-actor")
    wanted = list(dict.fromkeys(tasks))
    if said.act not in ACTS:
        raise Invalid("This is not done with many at once.", at="act", key="not-in-bulk")
    if not wanted:
        raise Invalid("No row is selected.", at="task", key="none-selected", code="required")
    if len(wanted) > MOST_AT_ONCE:
        raise Invalid(f"At most {MOST_AT_ONCE} rows are done at once.", at="task", key="too-many-rows")
    reason: tuple[str | None, str | None] = (None, None)
    if said.act == "decline":
        why = taking_flow.coded(said.reason, (said.words or "").strip() or None)
        reason = (why.code, why.text)
    elif said.act == "hold":
        if not (said.words or "").strip():
            raise Invalid("A reason with text is required.", at="words", key="no-words", code="required")
        if said.until and said.until <= now:
            raise Invalid("The resume-by date lies in the past.", at="until", key="until-past")
        reason = (None, (said.words or "").strip())
    elif said.act == "assign":
        if said.worker is None:
            raise Invalid("Say to whom it is assigned.", at="worker", key="no-worker", code="required")
        if actor.role != "supervisor" and said.worker != actor.worker:
            raise Forbidden("Only a supervisor assigns work to others.", key="assign-others")
    id = new_id()
    await bulk_store.make(session, id, actor, said.act, reason, said.worker, said.until, wanted, now)
    session.stirred = True  # The worker is told.
    return id


async def find(session: Session, actor: Actor, id: Id) -> Bulk:
    """An act of one's own and how far it is. NotFound."""
    found = await bulk_store.own(session, id, actor.id)
    if found is None:
        raise NotFound("There is no such act, or it is not yours.")
    return found


async def running(session: Session, actor: Actor) -> list[Bulk]:
    """One's own that are not through."""
    return await bulk_store.running(session, actor.id)


async def rows(session: Session, bulk: Bulk, state: str | None = None) -> list[BulkRow]:
    """What came of each row, in their order."""
    return await bulk_store.rows(session, bulk.id, state)


# ---- the worker's ------------------------------------------------------------------------------------------------------


async def step(database: Database) -> bool:
    """Do some rows of the oldest act that has any; whether there were any."""
    async with database.transaction(CLOCK.scope, writes=False) as session:
        taken = await bulk_store.take(session, session.began, session.began + LEASE, TAKEN)
    if not taken:
        return False
    room = asyncio.Semaphore(AT_ONCE)

    async def one(row: InHand) -> None:
        async with room:
            await _row(database, row)

    await asyncio.gather(*(one(row) for row in taken))
    async with database.transaction(CLOCK.scope, writes=False) as session:
        for act in {row.act for row in taken}:
            await bulk_store.end(session, act, session.began)
    return True


async def _row(database: Database, row: InHand) -> None:
    said = Said(cast(Act, row.action), row.reason_code, row.reason_text, row.worker, row.until)
    try:
        if not row.allowed:
            raise Forbidden("The account was closed meanwhile.", key="account-closed")
        call = Call("E", f"page-bulk-{row.action}", "Task", row.task)
        async with access.open(database, row.actor, call) as session:
            if await bulk_store.settle(session, row, "done"):
                await taking_flow.do(session, row.actor, row.task, said, session.began)
    except Refusal as refused:
        async with database.transaction(row.actor.scope, writes=False) as session:
            why = refused.key or refused.issues[0].code
            await bulk_store.settle(session, row, "refused", why, refused.names.get("who") or None)
    except (asyncpg.DeadlockDetectedError, asyncpg.SerializationError):
        log.info("a row of an act on many met another transaction: it is taken again when its lease is out")
    except Exception as broke:
        # Else it would be taken again for ever, and the act never be through. Its words may hold data of a person.
        log.error("a row of an act on many broke: %s", type(broke).__name__)
        async with database.transaction(row.actor.scope, writes=False) as session:
            await bulk_store.settle(session, row, "refused", "row-broke")


async def forget(session: Session, actor: Actor, now: datetime) -> int:
    """A sweep: acts that ended long ago are dropped with what came of their rows."""
    if actor.side != "platform":
        raise Forbidden("Only the platform forgets another's acts.")
    return await bulk_store.forget(session, now - KEPT)
