"""Histories: the versions of one resource, or of all of a type, newest first and in pages (FHIR R4 http.html#history)."""

import uuid
from collections.abc import Sequence
from datetime import datetime

import msgspec

from adapters.fhir import dates, paging, reading, references, render
from adapters.fhir.asking import FORMAT
from adapters.fhir.reading import Read
from adapters.fhir.render import Json
from adapters.fhir.surface import SURFACE
from service.access.model import NOBODY, Actor
from service.db import Session
from service.db.finding import After, Condition, Order
from service.db.horizon import horizon
from service.db.past import Behind
from service.directory import store as directory
from service.errors import Malformed, NotFound
from service.patients import finding as patient_finding
from service.records import past_finding as past_records
from service.referrals import past_finding as past
from service.values import Id


class Wish(msgspec.Struct):
    """What a history is asked for; `used` are the parameters that count. `current`: in which time a version must have been
    the current one. `after`: the last version of the page before."""

    used: list[tuple[str, str]]
    ignored: list[str]
    count: int = paging.PAGE
    since: datetime | None = None
    current: tuple[datetime, datetime] | None = None
    after: Behind | None = None


def asked(params: Sequence[tuple[str, str]], *, of_type: bool, handling_strict: bool = False) -> Wish:
    """Raises Malformed for what cannot be read, and with `handling_strict` for what is not known."""
    wish = Wish([], [])
    for name, value in params:
        match name:
            case "_count":
                wish.count = paging.size(value)
            case "_since":
                wish.since, _ = _time(value, name)
            case "_at" if not of_type:
                wish.current = _time(value, name)
            case "_cursor":
                wish.after = _cursor(value)
            case _:
                if name not in FORMAT:
                    wish.ignored.append(name)
                continue
        wish.used.append((name, value))
    if wish.ignored and handling_strict:
        raise Malformed("A history takes _count, _since and, of one resource, _at; nothing else.", code="not-supported")
    return wish


def _time(value: str, name: str) -> tuple[datetime, datetime]:
    prefix, start, end = dates.span(value, name)
    if value.startswith(prefix):
        raise Malformed(f"{name} is a time, without a prefix.", code="invalid")
    return start, end


def _cursor(value: str) -> Behind:
    found = paging.place(value, Behind)
    if not (found.at.tzinfo and found.since.tzinfo and 0 <= found.version < 2**31):
        raise paging.strange()
    if not all(dates.EARLIEST <= moment <= dates.LATEST for moment in (found.at, found.since)):
        raise paging.strange()
    return found


async def of_one(session: Session, actor: Actor, type: str, id: Id, wish: Wish, base_url: str) -> Json:
    """The versions of one resource that the reader may see. `base_url`: of the FHIR surface. Raises NotFound."""
    found = await reading.versions(session, actor, type, id)
    if not found:
        raise NotFound(reading.ABSENT)
    if wish.current:
        start, end = wish.current
        # The first is the current one, and has no end; each before it ended when the one after it began.
        until = [None, *(each.last_modified for each in found[:-1])]
        found = [
            each
            for each, ended in zip(found, until, strict=True)
            if each.last_modified < end and (ended is None or ended > start)
        ]
    if wish.since:
        # What a later page shows is behind what the first one did.
        before = dates.LATEST if wish.after else await horizon(session)
        found = [each for each in found if wish.since <= each.last_modified < before]
    total = len(found)
    if wish.after:
        found = [each for each in found if each.version < wish.after.version]
    return _bundle(f"{base_url}/{type}/{id}/_history", base_url, type, wish, found, total)


async def of_type(session: Session, actor: Actor, type: str, wish: Wish, base_url: str) -> Json:
    """The versions of a type that the reader may see: no other than the history of each resource shows it. Those that came
    about after the first page was asked are on none of its pages."""
    behind = wish.after or Behind(await horizon(session), wish.since or dates.EARLIEST)
    found = await _page(session, actor, type, behind, wish.count + 1)
    return _bundle(f"{base_url}/{type}/_history", base_url, type, wish, found, None)


async def _page(session: Session, actor: Actor, type: str, behind: Behind, limit: int) -> list[Read]:
    side = reading.reader_of(actor)
    agencies = side == "agency"
    owners = [actor.organization] if side != "platform" else await _hospitals(session)
    match SURFACE[type].room:
        case "task":
            found = await past.tasks(session, owners, behind, limit, agencies=agencies)
            if agencies:
                found += await past.offered(session, actor.organization, behind, limit)
            return _newest(await reading.tasks(session, found), limit)
        case "request":
            shares = await past.fillers(session, owners, behind, limit, agencies=agencies)
            if agencies:
                placed = await past.disclosed(session, behind, limit)
                shares += await past.offered_fillers(session, actor.organization, behind, limit)
            else:
                placed = await past.placed(session, owners, behind, limit)
            return _newest(await reading.requests(session, actor, [*placed, *shares]), limit)
        case "patient" if agencies:
            # An agency sees a person as they are now, and nothing of what the hospital wrote before.
            open_now = [Condition("of-agency"), Condition("changed", (behind.since,), "ge")]
            after = After(str(behind.id), behind.at.isoformat())
            found = await patient_finding.patients(session, open_now, limit, after, Order(by_change=True))
            return await reading.patients(session, actor, found)
        case "patient":
            return reading.shown(session, actor, await past_records.patients(session, owners, behind, limit))
        case _:
            raise NotFound("This type has no history of its own; each of its resources has.", code="not-supported")


async def _hospitals(session: Session) -> list[Id]:
    found = await directory.list_organizations(session, ("hospital", "campus"), NOBODY, 100_000)
    return [each.id for each in found]


def _newest(found: Sequence[Read], limit: int) -> list[Read]:
    return sorted(found, key=_place, reverse=True)[:limit]


def _place(each: Read) -> tuple[datetime, Id, int]:
    id = references.as_id(each.body["id"])
    assert id is not None
    return each.last_modified, id, each.version


def _bundle(address: str, base_url: str, type: str, wish: Wish, found: Sequence[Read], total: int | None) -> Json:
    more, found = len(found) > wish.count, found[: wish.count]
    bundle: Json = {"resourceType": "Bundle", "id": str(uuid.uuid4()), "type": "history"}
    if total is not None:
        bundle["total"] = total
    following: Behind | None = None
    if more and found:
        at, id, version = _place(found[-1])
        following = Behind(at, wish.since or dates.EARLIEST, id, version)
    bundle["link"] = paging.links(address, wish.used, following)
    if found:
        bundle["entry"] = [_entry(base_url, type, each) for each in found]
    return bundle


def _entry(base_url: str, type: str, each: Read) -> Json:
    name = f"{type}/{each.body['id']}"
    made = each.version == 1
    return {
        "fullUrl": f"{base_url}/{name}",
        "resource": each.body,
        "request": {"method": "POST" if made else "PUT", "url": type if made else name},
        "response": {
            "status": "201 Created" if made else "200 OK",
            "location": f"{base_url}/{name}/_history/{each.version}",
            "etag": f'W/"{each.version}"',
            "lastModified": render.instant(each.last_modified),
        },
    }
