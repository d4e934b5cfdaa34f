"""What is done about exports: asked for, looked at, written page by page, cancelled, forgotten."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from service.access.model import Actor
from service.db import Session, turns
from service.errors import Gone, NotFound, TooMany
from service.exports import store
from service.exports.model import Cursor, Export, File, Page, Wish
from service.values import Id, new_id

AT_ONCE = 3
"""Exports of one client that may be under way together."""
AGAIN = 10.0
"""Seconds after which a client that has too many may ask for another."""
PAUSE = timedelta(milliseconds=500)
"""How soon a client may ask again how its export fares."""
STUMBLES = 5
"""How often in a row a page may fail before the export is given up."""
IN_TURN = 8
"""Exports that a worker looks at for one that no other worker is writing."""
FILE_ROWS, FILE_SIZE = 100_000, 256 * 1024 * 1024
"""Lines and octets from which a type's next page begins a new file."""
DROPPED = 200
"""Pieces of files that one step of the sweep drops."""

ABSENT = "There is no such export, or it is not yours."


async def ask(session: Session, actor: Actor, wish: Wish, now: datetime) -> Id:
    """Note what is to be exported; a worker does it. Raises TooMany while AT_ONCE of the client's are under way."""
    # One client's requests one after another, so that none of them is one too many.
    await turns.wait(session, "export", str(actor.id))
    if await store.count_running(session, actor.id) >= AT_ONCE:
        raise TooMany(f"{AT_ONCE} exports of yours are under way: wait for one, or cancel it (DELETE).", wait=AGAIN)
    id = new_id()
    await store.insert(session, id, actor, wish, now)
    session.stirred = True  # The worker is told.
    return id


async def find(session: Session, actor: Actor, id: Id, now: datetime) -> Export:
    """The client's own export. Raises NotFound: it never was, is another's, was cancelled, or has expired."""
    if (found := await store.of_client(session, id, actor.id, now)) is None:
        raise NotFound(ABSENT)
    return found


async def poll(session: Session, export: Export, now: datetime) -> None:
    """Note that it is asked how a running export fares. Raises TooMany when that was asked less than PAUSE ago."""
    if not await store.poll(session, export.id, now, now - PAUSE):
        raise TooMany("You ask too often how this export fares: wait as long as Retry-After says.")


async def cancel(session: Session, actor: Actor, id: Id, now: datetime) -> None:
    """Stop it, or give up its files; a sweep drops them. Raises NotFound."""
    export = await find(session, actor, id, now)
    await store.end(session, export.id, "cancelled", now, now)


async def files(session: Session, export: Export) -> list[File]:
    """Its files in order, by type and number."""
    return await store.files(session, export.id)


async def open_file(session: Session, export: Export, type: str, number: int) -> File:
    """A file that is to be given out. Raises NotFound; Gone when a disclosure to the agency has ended since of somebody who
    is in it: what it says is the agency's to see no longer."""
    found = await store.file(session, export.id, type, number) if export.state == "done" else None
    if found is None:
        raise NotFound("There is no such file, or it is not yours.")
    if export.actor.side == "agency" and await store.withdrawn(session, export, type, number):
        raise Gone("Somebody in this file is disclosed to you no longer: ask for a new export.", key="disclosure-ended")
    return found


async def content(session: Session, export: Export, file: File, after: int) -> tuple[int, bytes] | None:
    """The piece of a file behind the piece `after` (0: the first) as its number and its deflated octets; None at the end."""
    return await store.content(session, export.id, file.type, file.number, after)


# ---- the worker's ------------------------------------------------------------------------------------------------------


async def waiting(session: Session) -> list[tuple[Id, Actor]]:
    """Exports that have something to be written, longest waiting first, each with the actor in whose scope it is read."""
    return await store.waiting(session, IN_TURN)


async def take(session: Session, id: Id, now: datetime) -> Export | None:
    """The export, if it is to be written and no other worker does; it stays this one's until the transaction ends.

    The export of a client whose access was revoked ends here.
    """
    if not await store.take(session, id):
        return None
    # Read behind the lock: what another worker wrote last is in it.
    found = await store.running(session, id)
    if found is None:
        return None
    export, revoked = found
    if revoked:
        await store.end(session, id, "cancelled", now, now)
        return None
    return export


async def begin(session: Session, export: Export, transaction_time: datetime) -> None:
    """Say from when the export is: whatever changed before is in it."""
    await store.begin(session, export.id, transaction_time)


async def written(session: Session, export: Export, page: Page | None, to: Cursor, now: datetime) -> bool:
    """Keep a page, if anything was on it, and stand where the next begins; both or, once the export was cancelled, neither.

    Whether the export goes on.
    """
    if not await store.move(session, export.id, to, page.rows if page else 0, now):
        return False
    if page:
        last = await store.last_file(session, export.id, page.type)
        if last and last.rows < FILE_ROWS and last.size < FILE_SIZE:
            await store.keep(session, export, last.number, last.parts + 1, page)
        else:
            await store.keep(session, export, last.number + 1 if last else 1, 1, page)
    return True


async def done(session: Session, export: Export, kept: timedelta, now: datetime) -> None:
    """All is written; its files are kept for a while."""
    await store.end(session, export.id, "done", now + kept, now)


async def stumbled(session: Session, id: Id, kept: timedelta, now: datetime) -> bool:
    """A page could not be written: whether the export is given up for that."""
    if await store.stumble(session, id, now) < STUMBLES:
        return False
    await store.end(session, id, "failed", now + kept, now)
    return True


async def forget(session: Session, actor: Actor, now: datetime) -> int:
    """Drop the files of exports that have expired or were cancelled, a bounded number, then the exports: a sweep."""
    ids: Sequence[Id] = await store.expired(session, now, IN_TURN)
    if not ids:
        return 0
    dropped = await store.drop_parts(session, ids, DROPPED)
    if dropped < DROPPED:
        await store.drop(session, ids)
    return len(ids) + dropped
