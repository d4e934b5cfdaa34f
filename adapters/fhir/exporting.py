"""Exports as clients ask for them: the kick-off, how an export fares, its manifest, its files, and DELETE.

Source: HL7 Bulk Data Access 2.0.0 (STU 2), export.html. A request only notes what is asked for; `bulk.py` does it in the worker.
"""

import asyncio
import re
import zlib
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from email.utils import format_datetime
from typing import Any

from adapters.fhir import bulk, dates, outcomes, paging, parameters, reading, references, render
from adapters.fhir.addresses import Place
from adapters.fhir.exchange import Answer, Asked
from adapters.fhir.surface import SURFACE
from adapters.manners import takes_gzip
from service.access import flow as access
from service.access.model import Actor, Call
from service.access.scopes import may
from service.db import Database, Session
from service.db.finding import Condition
from service.errors import Forbidden, Invalid, Issue, Malformed, NotFound, Refusal
from service.exports import flow as exports
from service.exports.model import Export, File, Level, Wish
from service.patients import finding as patient_finding
from service.referrals import group_finding
from service.values import Id

NDJSON = "application/fhir+ndjson"
FORMATS = frozenset({NDJSON, "application/ndjson", "ndjson"})
MOST_PERSONS = 1000
"""Persons that `patient` may name."""
SOON, LATER = 1, 10
"""Seconds after which a client is to ask again: at first, and once an export has run for a minute."""

ELSEWHERE = frozenset({"_format", "_pretty"})
NOT_DONE = frozenset(
    {"_elements", "_typeFilter", "includeAssociatedData", "organizeOutputBy", "allowPartialManifests", "_until"}
)
"""Parameters of the guide and its drafts that this server does not honour."""
_FILE = re.compile(r"([A-Z][A-Za-z]{1,40})-([1-9][0-9]{0,5})\.ndjson\Z")


def is_file(path: tuple[str, ...]) -> bool:
    """Whether a file is asked for, which is NDJSON whatever else this server answers."""
    return len(path) == 3 and path[0] == "$export"


# ---- the kick-off ------------------------------------------------------------------------------------------------------


async def kick_off(session: Session, actor: Actor, asked: Asked, place: Place, now: datetime) -> Answer:
    """Note what is to be exported: 202 with the address at which to ask how it fares. Raises Malformed, Forbidden, NotFound,
    TooMany."""
    preferred = {each.strip().lower() for each in re.split("[,;]", asked.headers.get("prefer", ""))}
    if "respond-async" not in preferred:
        raise Malformed("An export takes its time: ask for it with Prefer: respond-async.", code="not-supported")
    level: Level = "group" if place.type == "Group" else "patient" if place.type else "system"
    params = [(name, value) for name, value in asked.query if name not in ELSEWHERE]
    params += parameters.words((), asked.body)
    wish = await _wish(session, actor, asked, place, level, params, lenient=asked.prefers("handling") == "lenient")
    id = await exports.ask(session, actor, wish, now)
    headers = {"content-location": f"{asked.base}/$export/{id}", "preference-applied": "respond-async"}
    return Answer(202, None, headers)


def _at(name: str) -> str:
    return f"Parameters.parameter.where(name = '{name}')"


async def _wish(
    session: Session,
    actor: Actor,
    asked: Asked,
    place: Place,
    level: Level,
    params: Sequence[tuple[str, str]],
    *,
    lenient: bool,
) -> Wish:
    types: list[str] = []
    persons: list[str] = []
    since: datetime | None = None
    used: list[tuple[str, str]] = []
    for name, value in params:
        match name:
            case "_outputFormat":
                # In a URL a bare plus is a blank.
                if value.replace(" ", "+").split(";")[0].strip().lower() not in FORMATS:
                    raise Malformed(f"Files are written as {NDJSON}.", at=_at(name), code="not-supported")
            case "_since":
                since = _instant(value)
            case "_type":
                types += [each.strip() for each in value.split(",")]
            case "patient" if asked.method == "POST" and level != "system":
                persons += value.split(",")
                continue  # Whom it is about stands in no address.
            case _ if lenient:
                continue
            case "patient":
                text = "`patient` goes with a POST, to Patient/$export or Group/…/$export."
                raise Malformed(text, at=_at(name), code="not-supported")
            case _:
                raise _unknown(name)
        used.append((name, value))
    group = await _group(session, actor, place) if level == "group" else None
    return Wish(
        level=level,
        types=_types(actor, level, types, lenient=lenient),
        base=asked.base,
        request="/".join(asked.path) + paging.query(used),
        since=since,
        group=group,
        persons=await _known(session, persons, group) if persons else None,
    )


def _unknown(name: str) -> Refusal:
    known = name if name in NOT_DONE else None
    what = f"The parameter {known}" if known else "One of the parameters"
    return Malformed(
        f"{what} is not honoured here: leave it out, or send Prefer: handling=lenient and it is passed over.",
        at=_at(known) if known else None,
        code="not-supported",
    )


def _instant(value: str) -> datetime:
    try:
        since = datetime.fromisoformat(value.replace(" ", "+"))
        if "T" not in value or since.tzinfo is None or not dates.EARLIEST <= since <= dates.LATEST:
            raise ValueError
    except (ValueError, OverflowError):
        raise Malformed(
            "_since is an instant with its zone, such as 2026-11-22T08:00:00+08:00.", at=_at("_since"), code="value"
        ) from None
    return since


def _types(actor: Actor, level: Level, wanted: Sequence[str], *, lenient: bool) -> tuple[str, ...]:
    """The types to be exported, in the order of the table: those asked for, else all that the token may read."""
    offered = bulk.EXPORTED if level == "system" else bulk.OF_PATIENTS
    if strange := [type for type in wanted if type not in offered]:
        if not lenient:
            named = ", ".join(type for type in strange if re.fullmatch(r"[A-Z][A-Za-z]{1,40}", type)) or "one of them"
            text = (
                f"These types are not exported here: {named}." if any(strange) else "_type names no type: leave it out."
            )
            raise Malformed(text, at=_at("_type"), code="not-supported")
        wanted = [type for type in wanted if type in offered]
        if not wanted:
            raise Malformed("None of these types is exported here.", at=_at("_type"), code="not-supported")
    seen = [type for type in offered if actor.side in SURFACE[type].who]
    if hidden := [type for type in wanted if type not in seen]:
        raise Forbidden(
            f"These types are not for the {actor.side}: {', '.join(hidden)}.", at=_at("_type"), key="wrong-actor"
        )
    open_to = [type for type in seen if may(actor, type, "r") and may(actor, type, "s")]
    if closed := [type for type in wanted if type not in open_to]:
        raise _closed(closed)
    if not open_to:
        raise Forbidden("The token's scopes allow no type to be exported.", key="insufficient-scope")
    return tuple(type for type in open_to if not wanted or type in wanted)


def _closed(types: Sequence[str]) -> Forbidden:
    names = ", ".join(sorted(set(types)))
    return Forbidden(f"The token's scopes do not allow reading and searching {names}.", key="insufficient-scope")


async def _group(session: Session, actor: Actor, place: Place) -> tuple[Id, str]:
    id = references.as_id(place.id or "")
    if id is None or not (found := await group_finding.groups(session, [Condition("id", (id,))], 1)):
        raise NotFound(reading.ABSENT)
    if not may(actor, "Group", "r"):
        raise _closed(["Group"])
    return found[0].organization, found[0].need


async def _known(session: Session, named: Sequence[str], group: tuple[Id, str] | None) -> tuple[Id, ...]:
    """The persons named, if all are the reader's to see and, where a group is asked for, its members. Raises Invalid, in the
    same words whoever is not."""
    if len(named) > MOST_PERSONS:
        raise Malformed(f"`patient` names at most {MOST_PERSONS} persons.", at=_at("patient"), code="too-costly")
    # An id that is none of ours is nobody's.
    ids: set[Id | None] = set()
    for each in named:
        parsed = references.parse(each)
        if parsed is None or parsed[0] != "Patient":
            raise Malformed("`patient` is a reference such as Patient/….", at=_at("patient"), code="value")
        ids.add(references.as_id(parsed[1]))
    known = [id for id in ids if id]
    seen = {each.id for each in await patient_finding.patients(session, [Condition("id", tuple(known))], len(known))}
    if group and seen == ids:
        seen = set(await group_finding.among(session, *group, known))
    if seen != ids:
        where = "members of this group" if group else "here"
        raise Invalid(
            f"Not all of these persons are {where}, or not yours to see.", at=_at("patient"), code="not-found"
        )
    return tuple(sorted(known))


# ---- how it fares ------------------------------------------------------------------------------------------------------


def _identified(place: Place) -> Id:
    if (id := references.as_id(place.words[0])) is None:
        raise NotFound(exports.ABSENT)
    return id


async def status(session: Session, actor: Actor, asked: Asked, place: Place, now: datetime) -> Answer:
    """202 while it is written, then the manifest; 500 where it could not be written. Raises NotFound, TooMany, Forbidden (a
    token that may not read all of it)."""
    export = await exports.find(session, actor, _identified(place), now)
    if closed := [type for type in export.wish.types if not may(actor, type, "r")]:
        raise _closed(closed)
    if export.state == "running":
        await exports.poll(session, export, now)
        wait = SOON if (now - export.asked_at).total_seconds() < 60 else LATER
        return Answer(202, None, {"x-progress": _progress(export), "retry-after": str(wait)})
    if export.state == "failed":
        failed = Issue("The export could not be written; ask for it again.", code="exception")
        return Answer(500, outcomes.outcome([failed]))
    assert export.expires_at
    files = await exports.files(session, export)
    headers = {"expires": format_datetime(export.expires_at, usegmt=True), "content-type": "application/json"}
    return Answer(200, _manifest(export, files), headers)


def _progress(export: Export) -> str:
    plan = bulk.stages(export.wish)
    at = plan[min(export.cursor.stage, len(plan) - 1)].type
    return f"{export.rows} resources, at {at}" if export.transaction_time else "waiting for a worker"


def _manifest(export: Export, files: Sequence[File]) -> dict[str, Any]:
    assert export.transaction_time
    return {
        "transactionTime": render.instant(export.transaction_time),
        "request": f"{export.wish.base}/{export.wish.request}",
        "requiresAccessToken": True,
        "output": [
            {
                "type": file.type,
                "url": f"{export.wish.base}/$export/{export.id}/{file.type}-{file.number}.ndjson",
                "count": file.rows,
            }
            for file in files
        ],
        "error": [],
    }


async def cancel(session: Session, actor: Actor, asked: Asked, place: Place, now: datetime) -> Answer:
    """Stop it and give up its files: 202, and from then on 404."""
    await exports.cancel(session, actor, _identified(place), now)
    return Answer(202)


# ---- files -------------------------------------------------------------------------------------------------------------


async def file(database: Database, actor: Actor, asked: Asked, place: Place) -> Answer:
    """One file, piece by piece, each in a transaction of its own: what it costs in memory does not depend on its size.

    Raises NotFound, Forbidden, Gone (somebody in it is disclosed to the agency no longer).
    """
    named = _FILE.match(place.words[1])
    id = _identified(place)
    call = Call("R", "export-file", resource_id=id, request_id=asked.request_id)
    async with access.open(database, actor, call) as session:
        export = await exports.find(session, actor, id, session.began)
        if named is None:
            raise NotFound("There is no such file, or it is not yours.")
        if not may(actor, named[1], "r"):
            raise _closed([named[1]])
        found = await exports.open_file(session, export, named[1], int(named[2]))
    headers = {"content-type": NDJSON, "cache-control": "private, no-store", "accept-ranges": "none"}
    if takes_gzip(asked.headers.get("accept-encoding", "")):
        headers |= {"content-encoding": "gzip"}
        return Answer(200, None, headers, pieces=_packed(_pieces(database, export, found)))
    return Answer(200, None, headers | {"content-length": str(found.size)}, pieces=_pieces(database, export, found))


async def _pieces(database: Database, export: Export, file: File) -> AsyncIterator[bytes]:
    after = 0
    while True:
        async with database.transaction(export.actor.scope, writes=False) as session:
            found = await exports.content(session, export, file, after)
        if found is None:
            break
        after, content = found
        yield await asyncio.to_thread(zlib.decompress, content)
    if after != file.parts:
        # Dropped meanwhile: a file that is cut off must not look whole.
        raise NotFound("The file was dropped while it was being read.")


async def _packed(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """As one gzip member; of several, some clients read the first alone."""
    packing = zlib.compressobj(bulk.LEVEL, wbits=31)
    async for piece in pieces:
        if packed := await asyncio.to_thread(packing.compress, piece):
            yield packed
    yield packing.flush()
