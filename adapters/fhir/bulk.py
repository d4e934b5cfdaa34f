"""Exports as a worker writes them: page by page, each read in its client's row scope and stored with the cursor behind it.

A page, its place in a file and the cursor are one transaction, so a worker may be killed at any point: no line is lost and none
comes twice. Source: HL7 Bulk Data Access 2.0.0 (STU 2), export.html.
"""

import asyncio
import zlib
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Literal

import msgspec

from adapters.fhir import reading, rooms
from adapters.fhir.reading import Read
from adapters.fhir.render import Json
from adapters.fhir.search import OF_PERSONS
from adapters.fhir.surface import SURFACE
from service.access import flow as access
from service.access.model import Actor, Call, clock_actor
from service.db import Database, Session
from service.db.finding import After, Condition, Order, either
from service.db.horizon import horizon
from service.errors import Unavailable
from service.exports import flow as exports
from service.exports.model import Cursor, Export, Page, Wish
from service.practice import PLATFORM
from service.records import finding as record_finding
from service.referrals import finding, group_finding
from service.values import Id, write_json

EXPORTED = tuple(
    name
    for name, type in SURFACE.items()
    if type.room in OF_PERSONS | {"directory"} and type.param("_lastUpdated") is not None
)
"""The types that can be exported, in this order: what is about persons, then the directory. Code lists change only with the
program, subscriptions are nobody's data, and Groups are put together from what is exported."""
OF_PATIENTS = tuple(name for name in EXPORTED if SURFACE[name].room in OF_PERSONS and name != "Location")
"""Of a Patient or Group export: the types of the patient compartment, and Task, which R4 leaves out of it and without which
a referral says nothing."""

ROWS = 500
"""Rows of a page: few enough that notices, which the same process posts, do not wait for them."""
LOOKS = 20
"""Queries of a page: stages and persons that have little do not cost a transaction each."""
PERSONS = 100
"""Persons that are asked for at once, where an export goes by persons."""
LEVEL = 1
"""Of deflate: a fifth of the octets for a tenth of the time that rendering takes."""
ASCENDING = Order(ascending=True)


class Stage(msgspec.Struct, frozen=True):
    """A part of an export: a type from the room that answers for it; the stand-ins that its undisclosed offers name; or what
    hospitals sent along of their own people and places, kept as received."""

    type: str
    source: Literal["room", "stand-ins", "received"] = "room"


def stages(wish: Wish) -> list[Stage]:
    """What is to be done, in order. It follows from the wish alone, so that whoever goes on knows where."""
    found: list[Stage] = []
    for type in wish.types:
        found.append(Stage(type))
        if SURFACE[type].room == "patient":
            found.append(Stage(type, "stand-ins"))
        elif SURFACE[type].room == "directory":
            found.append(Stage(type, "received"))
    return found


async def step(database: Database) -> bool:
    """Write one page of one export; False when there is nothing to write. Any number of workers may do so at once."""
    async with database.transaction(clock_actor(PLATFORM).scope, writes=False) as session:
        waiting = await exports.waiting(session)
    for id, actor in waiting:
        try:
            if await _page(database, id, actor):
                return True
        except Unavailable:
            raise
        except Exception:
            async with database.transaction(actor.scope, writes=False) as session:
                await exports.stumbled(session, id, timedelta(hours=session.practice.export_hours), session.began)
            raise
    return False


async def _page(database: Database, id: Id, actor: Actor) -> bool:
    """Write one page of it; False when another worker does, or there is nothing left of it to do."""
    # What it writes is followed by no time of change, so nobody who asks for the horizon waits for it.
    async with database.transaction(actor.scope, writes=False) as session:
        if (export := await exports.take(session, id, session.began)) is None:
            return False
        if export.transaction_time is None:
            export = msgspec.structs.replace(export, transaction_time=await horizon(session))
            assert export.transaction_time is not None
            await exports.begin(session, export, export.transaction_time)
        type, lines, to = await _read(session, export)
        page = await _deflated(type, lines, session if actor.side == "agency" else None) if lines else None
        goes_on = await exports.written(session, export, page, to, session.began)
        if goes_on and to.stage == len(stages(export.wish)):
            kept = timedelta(hours=session.practice.export_hours)
            await exports.done(session, export, kept, session.began)
        if session.patients or session.referrals:
            await access.log_sweep(session, actor, Call("E", "export", resource_id=id), session.began)
    return True


async def _deflated(type: str, lines: Sequence[bytes], session: Session | None) -> Page:
    text = b"".join(lines)
    content = await asyncio.to_thread(zlib.compress, text, LEVEL)
    return Page(type, len(lines), len(text), content, tuple(session.patients) if session else ())


async def _read(session: Session, export: Export) -> tuple[str, list[bytes], Cursor]:
    """The next page: resources of one type, a line each, and the cursor behind them. It may be empty."""
    plan, cursor, wish = stages(export.wish), export.cursor, export.wish
    lines: list[bytes] = []
    type = plan[cursor.stage].type
    for _ in range(LOOKS):
        if len(lines) >= ROWS or cursor.stage == len(plan) or plan[cursor.stage].type != type:
            break
        stage = plan[cursor.stage]
        persons = await _persons(session, wish, cursor)
        if persons == []:
            cursor = Cursor(cursor.stage + 1)
            continue
        limit = ROWS - len(lines)
        found = await _rows(session, export, stage, persons, limit, After(cursor.row) if cursor.row else None)
        lines += [_line(each.body, wish.base) for _, each in found if not _later(each, export)]
        if len(found) == limit:
            cursor = msgspec.structs.replace(cursor, row=found[-1][0])
        elif persons is not None:
            cursor = Cursor(cursor.stage, persons[-1])
        else:
            cursor = Cursor(cursor.stage + 1)
    return type, lines, cursor


ATTACHMENTS = frozenset({"attachment", "contentAttachment", "photo", "sourceAttachment", "valueAttachment"})
"""Elements of type Attachment."""


def _line(body: Json, base: str) -> bytes:
    """A resource in one line. Where it names a file of ours, it does so by its whole address: a line is read far from here
    (Bulk Data Access 2.0.0, export.html#attachments)."""
    line = write_json(body)
    if b'"Binary/' in line:
        line = write_json(_placed(body, base, within=False))
    return line + b"\n"


def _placed(value: Any, base: str, *, within: bool) -> Any:
    if isinstance(value, list):
        return [_placed(each, base, within=within) for each in value]
    if not isinstance(value, dict):
        return value
    placed = {name: _placed(each, base, within=name in ATTACHMENTS) for name, each in value.items()}
    if within and isinstance(url := placed.get("url"), str) and url.startswith("Binary/"):
        placed["url"] = f"{base}/{url}"
    return placed


def _later(each: Read, export: Export) -> bool:
    """Whether it came into being after the export's time. What was only changed since is given as it is now: an older state
    may have been withdrawn, and the next export with `_since` gives it again."""
    return each.version == 1 and export.transaction_time is not None and each.last_modified >= export.transaction_time


async def _persons(session: Session, wish: Wish, cursor: Cursor) -> list[Id] | None:
    """The persons behind the last one done, some at a time; None where an export does not go by persons."""
    if wish.group:
        return await group_finding.members(session, *wish.group, cursor.person, PERSONS)
    if wish.persons is not None:
        return [person for person in sorted(wish.persons) if cursor.person is None or person > cursor.person][:PERSONS]
    return None


async def _rows(
    session: Session, export: Export, stage: Stage, persons: list[Id] | None, limit: int, after: After | None
) -> list[tuple[str, Read]]:
    """Resources with the key that they are in the order of."""
    conditions = await _conditions(session, export, stage, persons)
    match stage.source:
        case "stand-ins":
            shares = await finding.tasks(session, [Condition("withheld"), *conditions], limit, after, ASCENDING)
            return [(str(share.id), read) for share, read in zip(shares, reading.stand_ins(shares), strict=True)]
        case "received":
            conditions = [Condition("type", (stage.type,)), *conditions]
            found = reading.shown(
                session, export.actor, await record_finding.records(session, conditions, limit, after, ASCENDING)
            )
        case "room":
            if SURFACE[stage.type].room == "record":
                conditions = [Condition("type", (stage.type,)), *conditions]
            found = await rooms.room(session, export.actor, stage.type).page(conditions, limit, after, ASCENDING)
    return [(each.body["id"], each) for each in found]


async def _conditions(session: Session, export: Export, stage: Stage, persons: list[Id] | None) -> list[Condition]:
    side, since = export.actor.side, export.wish.since
    room = (
        "task" if stage.source == "stand-ins" else "record" if stage.source == "received" else SURFACE[stage.type].room
    )
    conditions = [Condition("carried")] if room == "record" else []
    if persons is not None:
        match room:
            case "patient":
                conditions.append(Condition("id", tuple(persons)))
            case "record":
                # What names nobody, such as a message to an agency that may not know yet, hangs on the referral.
                referrals = await finding.referrals_of(session, persons)
                conditions.append(either(Condition("patient", tuple(persons)), Condition("referral", tuple(referrals))))
            case _:
                conditions.append(Condition("patient", tuple(persons)))
    elif side in ("hospital", "agency") and room in OF_PERSONS:
        conditions.append(Condition(f"of-{side}"))
    if since:
        changed = Condition("changed", (since,), "ge")
        if side == "agency" and room in ("patient", "request", "record"):
            # Disclosed since: new to the agency, whenever it was written.
            changed = either(changed, Condition("opened", (since,)))
        elif side == "hospital" and room == "record":
            changed = either(changed, Condition("handed", (since,)))
        conditions.append(changed)
    return conditions
