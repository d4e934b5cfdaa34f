"""What is done, in an open session, for each row of the table: the interactions of FHIR's REST, and the operations."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from email.utils import format_datetime
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, urlencode

import msgspec

from adapters.fhir import (
    binary,
    card,
    case_operations,
    conditional,
    disclosing,
    everything,
    exporting,
    history,
    merges,
    operations,
    outcomes,
    parameters,
    reading,
    references,
    safe_contact,
    screening,
    search,
    shaping,
    staff_operations,
    subscription_operations,
    subscriptions,
    validation,
    visit_plans,
    wire,
    writing,
)
from adapters.fhir.addresses import Place
from adapters.fhir.exchange import Answer, Asked
from adapters.fhir.reading import Read
from adapters.fhir.submission import Stored
from adapters.fhir.surface import SURFACE
from service.access.model import Actor
from service.access.scopes import may
from service.db import Session, savepoint
from service.errors import Forbidden, Issue, Malformed, NotAcceptable, NotFound, Refusal, Stale
from service.values import Id, new_id, write_json

Handler = Callable[[Session, Actor, Asked, Place, datetime], Awaitable[Answer]]


async def perform(session: Session, actor: Actor, asked: Asked, place: Place, now: datetime) -> Answer:
    """Do what is asked, if the actor may. Raises a Refusal."""
    await _permitted(session, actor, place)
    # A copy: what a condition makes of it holds for this attempt alone.
    asked = msgspec.structs.replace(asked)
    place, met = await settled(session, actor, asked, place)
    return await carried_out(session, actor, asked, place, met, now)


async def carried_out(
    session: Session, actor: Actor, asked: Asked, place: Place, met: Stored | None, now: datetime
) -> Answer:
    """Do what is asked, its condition settled."""
    await _permitted(session, actor, place)
    if met:
        return await written(session, actor, asked, met)
    return await HANDLERS[place.way.name](session, actor, asked, place, now)


async def _permitted(session: Session, actor: Actor, place: Place) -> None:
    """Raise Forbidden where this is not for the actor; NotFound instead where it may not even know of the resource."""
    try:
        place.permit(actor)
    except Forbidden as refusal:
        if refusal.key == "wrong-actor" and place.way.affects and place.id is not None:
            await reading.read(session, actor, place.type, identified(place))
        raise


async def prepared(actor: Actor, asked: Asked, place: Place) -> None:
    """What has to be known before a transaction begins: what the host of an endpoint stands for, and what the scanner says of
    a file; asked for those alone who may have it (the others are refused anyway)."""
    if place.type == "Subscription" and place.way.name in ("create", "update"):
        assert place.way.letter
        allowed = may(actor, place.type, place.way.letter) and actor.side in place.sides
        asked.resolved = await subscriptions.addresses(asked.body) if allowed else ()
    if place.type == "Binary" and place.way.name == "create" and asked.scanner and may(actor, "Binary", "c"):
        asked.verdict = await binary.examined(asked.scanner, asked.practice, asked.body, asked.headers)


def identified(place: Place) -> Id:
    """The id in the address. Raises NotFound: what is no id of ours names nothing here."""
    if place.id is None or (id := references.as_id(place.id)) is None:
        raise NotFound(reading.ABSENT)
    return id


# ---- reading -----------------------------------------------------------------------------------------------------------


async def _read(session: Session, actor: Actor, asked: Asked, place: Place, now: datetime) -> Answer:
    if place.type == "Binary" and (kinds := binary.wanted_raw(asked.headers, asked.query)):
        return await _file(session, asked, identified(place), kinds)
    found = await reading.read(session, actor, place.type, identified(place))
    return _shown(asked, found)


async def _file(session: Session, asked: Asked, id: Id, kinds: frozenset[str]) -> Answer:
    """A file as it is."""
    found = await binary.found(session, id)
    if not binary.fits(found, kinds):
        raise NotAcceptable(f"This file is {found.media_type}; or ask for application/fhir+json.")
    headers = _versioned(1, found.at)
    if conditional.same(headers["etag"], found.at, asked.headers):
        return Answer(304, None, headers)
    return Answer(200, None, headers | binary.raw_headers(found), pieces=await binary.pieces(session, found))


async def _vread(session: Session, actor: Actor, asked: Asked, place: Place, now: datetime) -> Answer:
    word = place.words[0]
    if not (word.isascii() and word.isdigit() and len(word) < 10):
        raise NotFound("There is no such version.")
    found = await reading.vread(session, actor, place.type, identified(place), int(word))
    return _shown(asked, found)


def _shown(asked: Asked, found: Read) -> Answer:
    """The resource, or that it is what the asker has (FHIR R4 http.html#cread)."""
    headers = _versioned(found.version, found.last_modified)
    had = conditional.same(headers["etag"], found.last_modified, asked.headers)
    return Answer(304, None, headers) if had else Answer(200, shaping.read(found.body, asked.query), headers)


async def _history(session: Session, actor: Actor, asked: Asked, place: Place, now: datetime) -> Answer:
    wish = history.asked(asked.query, of_type=False, handling_strict=asked.strict)
    return Answer(200, await history.of_one(session, actor, place.type, identified(place), wish, asked.base))


async def _type_history(session: Session, actor: Actor, asked: Asked, place: Place, now: datetime) -> Answer:
    wish = history.asked(asked.query, of_type=True, handling_strict=asked.strict)
    return Answer(200, await history.of_type(session, actor, place.type, wish, asked.base))


async def _search(session: Session, actor: Actor, asked: Asked, place: Place, now: datetime) -> Answer:
    return await _found(session, actor, asked, place.type, [])


async def _compartment(session: Session, actor: Actor, asked: Asked, place: Place, now: datetime) -> Answer:
    """`Patient/{id}/{type}`: those of a type that are about this person."""
    type = place.words[0]
    param = SURFACE[type].param("patient") if type in SURFACE else None
    if param is None:
        raise NotFound("There is nothing of that kind in a Patient's compartment.", code="not-supported")
    Place(next(way for way in SURFACE[type].ways if way.name == "search-type"), type).permit(actor)
    return await _found(session, actor, asked, type, [("patient", str(identified(place)))])


async def _found(session: Session, actor: Actor, asked: Asked, type: str, given: list[tuple[str, str]]) -> Answer:
    form = parse_qsl(asked.body.decode("utf-8", "replace"), keep_blank_values=True)
    params = [*given, *asked.query, *form]
    return Answer(200, await search.search(session, actor, type, params, asked.base, handling_strict=asked.strict))


def _versioned(version: int, modified: datetime | None) -> dict[str, str]:
    headers = {"etag": f'W/"{version}"'}
    if modified:
        headers["last-modified"] = format_datetime(modified, usegmt=True)
    return headers


# ---- writing -----------------------------------------------------------------------------------------------------------


async def settled(session: Session, actor: Actor, asked: Asked, place: Place) -> tuple[Place, Stored | None]:
    """Which resource a condition means: what an If-None-Exist meets stands as it is; `PUT Type?…` and `PATCH Type?…` become
    those of the one that fits, a PUT that none fits a create (FHIR R4 http.html#ccreate, #cond-update). Raises Stale where
    several fit, Malformed for a condition that cannot be understood, NotFound where nothing can be made."""
    type, name = place.type, place.way.name
    if name == "create" and (condition := asked.headers.get("if-none-exist")) is not None:
        met = await conditional.existing(session, actor, type, condition)
        return place, Stored(type, *met, 200) if met else None
    if name not in ("update", "patch") or place.id is not None:
        return place, None
    query = urlencode([pair for pair in asked.query if pair[0] not in conditional.OF_THE_ANSWER])
    met = await conditional.existing(session, actor, type, query)
    said = wire.decode(asked.body, wire.Kind, type).id if name == "update" else None
    if met:
        if name == "update":
            asked.body = _with_id(asked.body, said, met[0], type)
        return msgspec.structs.replace(place, id=str(met[0])), None
    making = next((way for way in SURFACE[type].ways if way.name == "create"), None)
    if name == "patch" or making is None:
        raise NotFound("Nothing fits the condition.", at=type)
    if said is not None:
        raise Malformed("Nothing fits the condition, and ids are given by this server: leave it out.", at=f"{type}.id")
    return Place(making, type), None


def _with_id(body: bytes, said: str | None, id: Id, type: str) -> bytes:
    """The body with the id of what it is put to; what it says otherwise is kept letter by letter."""
    if said is not None and said != str(id):
        raise Malformed("The id of the body is not that of the resource which fits the condition.", at=f"{type}.id")
    return body if said else b'{"id":"%s",' % str(id).encode() + body.lstrip()[1:]


async def _create(session: Session, actor: Actor, asked: Asked, place: Place, now: datetime) -> Answer:
    type = place.type
    if type == "Subscription":
        body = await subscriptions.create(session, actor, asked.body, now, asked.resolved, asked.reach)
        id = references.as_id(body["id"])
        assert id is not None
        stored = Stored(type, id, int(body["meta"]["versionId"]))
        # Shown whatever `Prefer` asks for: nobody could learn the secret later.
        headers = {"location": f"{asked.base}/{stored.location}", **_versioned(stored.version, now)}
        return Answer(201, body, headers, stored)
    id = asked.new or new_id()
    if type == "Binary":
        kept = await binary.create(session, actor, asked.body, asked.headers, id, now, asked.verdict)
        if told := binary.warnings(kept):
            stored = Stored(type, id, 1, warnings=told)
            headers = {"location": f"{asked.base}/{stored.location}", **_versioned(1, now)}
            return Answer(201, outcomes.information(told, type), headers, stored)
        # Nobody needs what they have just sent: a file comes back to who asks for it.
        asked.headers.setdefault("prefer", "return=minimal")
        return await written(session, actor, asked, Stored(type, id, 1))
    return await written(session, actor, asked, await writing.create(session, actor, type, asked.body, id, now))


async def _update(session: Session, actor: Actor, asked: Asked, place: Place, now: datetime) -> Answer:
    expected = references.if_match(asked.headers.get("if-match"))
    type, id = place.type, identified(place)
    await _only_new(session, actor, asked, type, id)
    if type == "Subscription":
        body = await subscriptions.update(session, actor, asked.body, id, expected, now, asked.resolved, asked.reach)
        return await written(session, actor, asked, Stored(type, id, int(body["meta"]["versionId"]), 200), body)
    return await written(
        session, actor, asked, await writing.update(session, actor, type, asked.body, id, expected, now)
    )


async def _patch(session: Session, actor: Actor, asked: Asked, place: Place, now: datetime) -> Answer:
    expected = references.if_match(asked.headers.get("if-match"))
    type, id = place.type, identified(place)
    await _only_new(session, actor, asked, type, id)
    body = await writing.patch(session, actor, type, id, asked.body, expected)
    return await written(session, actor, asked, await writing.update(session, actor, type, body, id, expected, now))


async def _only_new(session: Session, actor: Actor, asked: Asked, type: str, id: Id) -> None:
    """`If-None-Match: *` asks that there is nothing yet (RFC 9110, 13.1.2): what can be changed here is always there."""
    if asked.headers.get("if-none-match", "").strip() == "*":
        found = await reading.read(session, actor, type, id)
        raise Stale(f"The {type} exists already, at version {found.version}.")


async def written(
    session: Session, actor: Actor, asked: Asked, stored: Stored, shown: dict[str, Any] | None = None
) -> Answer:
    """The answer to a write, in the form that `Prefer` asks for: the resource, nothing, or an outcome. A token that may not
    read is shown nothing: what is stored can hold more than was sent."""
    wants = asked.prefers("return")
    readable = wants not in ("minimal", "OperationOutcome") and may(actor, stored.type, "r")
    # What was made just now was made when this transaction began; what stands as it stood says itself since when.
    headers = _versioned(stored.version, session.began if stored.status == 201 else None)
    if shown is not None:
        headers |= _versioned(stored.version, datetime.fromisoformat(shown["meta"]["lastUpdated"]))
    elif readable or stored.status != 201:
        found = await reading.read(session, actor, stored.type, stored.id)
        shown, headers = found.body, _versioned(found.version, found.last_modified)
    if asked.method == "POST" or stored.status == 201:
        headers["location"] = f"{asked.base}/{stored.location}"
    if wants in ("minimal", "representation", "OperationOutcome"):
        headers["preference-applied"] = f"return={wants}"
    body = shown if readable else None
    if wants == "OperationOutcome":
        said = stored.warnings or [Issue("Stored.", code="informational", severity="information")]
        body = outcomes.information(said, stored.type)
    return Answer(stored.status, body, headers, stored)


# ---- operations --------------------------------------------------------------------------------------------------------


async def _route(session: Session, actor: Actor, asked: Asked, place: Place, now: datetime) -> Answer:
    return Answer(200, await operations.route(session, actor, asked.body, now))


async def _timeline(session: Session, actor: Actor, asked: Asked, place: Place, now: datetime) -> Answer:
    return Answer(200, await operations.timeline(session, actor, identified(place), asked.base))


async def _suggest(session: Session, actor: Actor, asked: Asked, place: Place, now: datetime) -> Answer:
    if asked.method == "POST":
        words = parameters.words(asked.query, asked.body)
        return Answer(200, await screening.decide(session, actor, identified(place), words, now))
    return Answer(200, await screening.suggestions(session, actor, identified(place)))


async def _status(session: Session, actor: Actor, asked: Asked, place: Place, now: datetime) -> Answer:
    words = parameters.words(asked.query, asked.body)
    id = None if place.id is None else identified(place)
    return Answer(200, await subscription_operations.status(session, actor, id, words, asked.base))


async def _events(session: Session, actor: Actor, asked: Asked, place: Place, now: datetime) -> Answer:
    words = parameters.words(asked.query, asked.body)
    return Answer(200, await subscription_operations.events(session, actor, identified(place), words, asked.base))


async def _validate(session: Session, actor: Actor, asked: Asked, place: Place, now: datetime) -> Answer:
    """Of the resource that is sent; of the one at the address where none is."""
    words, body = parameters.with_resource(asked.query, asked.body)
    mode = next((value for name, value in words if name == "mode"), None)
    profiles = [value for name, value in words if name == "profile"]
    if body is None and place.id is not None and mode not in ("create", "update", "delete"):
        body = write_json((await _stored(session, actor, place)).body)
    if body is None and mode != "delete":
        raise Malformed("Send the resource that is to be validated.", at="Parameters.parameter", code="required")
    work = partial(validation.validate, place.type, body or b"", mode=mode, profile=profiles, id=place.id)
    found = await asyncio.to_thread(work)
    if mode == "create" and body is not None and not any(issue.severity == "error" for issue in found):
        found += await _rehearsed(session, actor, place.type, body, now)
    return Answer(200, outcomes.outcome(found))


class _Undone(Exception):
    """What was only tried goes as far as here."""


async def _rehearsed(session: Session, actor: Actor, type: str, body: bytes, now: datetime) -> list[Issue]:
    """What the service's own rules would refuse a create for (FHIR R4 resource-operation-validate.html, mode `create`): it is
    carried out, and undone. Nothing of who may not create one, and of what is more than rows (files, handshakes)."""
    row = SURFACE[type]
    able = "create" in row.interactions and actor.side in row.creates and may(actor, type, "c")
    if not able or row.room in ("attachment", "subscription"):
        return []
    scope, stirred = session.scope, session.stirred
    touched = set(session.patients), set(session.referrals)
    try:
        async with savepoint(session):
            await writing.create(session, actor, type, body, new_id(), now)
            raise _Undone
    except _Undone:
        return []
    except Refusal as refused:
        return list(refused.issues)
    finally:
        # The database forgets by itself, the session does not.
        session.scope, session.stirred = scope, stirred
        session.patients, session.referrals = touched


async def _stored(session: Session, actor: Actor, place: Place) -> Read:
    if not may(actor, place.type, "r"):
        raise Forbidden(
            f"The token's scopes do not allow to read {place.type}.", at=place.type, key="insufficient-scope"
        )
    return await reading.read(session, actor, place.type, identified(place))


async def _everything(session: Session, actor: Actor, asked: Asked, place: Place, now: datetime) -> Answer:
    words = parameters.words(asked.query, asked.body)
    person = identified(place)
    return Answer(200, await everything.everything(session, actor, person, words, asked.base, strict=asked.strict))


async def _safe_contact(session: Session, actor: Actor, asked: Asked, place: Place, now: datetime) -> Answer:
    said = asked.body if asked.method == "POST" else None
    return Answer(200, await safe_contact.asked(session, actor, identified(place), said, now))


async def _case(session: Session, actor: Actor, asked: Asked, place: Place, now: datetime) -> Answer:
    return Answer(200, await operations.case(session, actor, identified(place), now))


async def _advance(session: Session, actor: Actor, asked: Asked, place: Place, now: datetime) -> Answer:
    words = parameters.words(asked.query, asked.body)
    return Answer(200, await operations.advance(session, actor, identified(place), words, now))


async def _approve(session: Session, actor: Actor, asked: Asked, place: Place, now: datetime) -> Answer:
    words = parameters.words(asked.query, asked.body)
    return Answer(200, await operations.approve(session, actor, identified(place), words, now))


async def _merge(session: Session, actor: Actor, asked: Asked, place: Place, now: datetime) -> Answer:
    made, survivor = await merges.merge(session, actor, asked.body, now)
    shown = await reading.read(session, actor, "Patient", survivor) if may(actor, "Patient", "r") else None
    return Answer(200, merges.merged(made, shown.body if shown else None))


async def _undo_merge(session: Session, actor: Actor, asked: Asked, place: Place, now: datetime) -> Answer:
    return Answer(200, merges.undone(await merges.undo(session, actor, identified(place), asked.body, now)))


HANDLERS: dict[str, Handler] = {
    "$merge": _merge,
    "$undo-merge": _undo_merge,
    "$validate": _validate,
    "$case": _case,
    "$advance": _advance,
    "$approve": _approve,
    "$everything": _everything,
    "$safe-contact": _safe_contact,
    "read": _read,
    "vread": _vread,
    "history-instance": _history,
    "history-type": _type_history,
    "search-type": _search,
    "search-compartment": _compartment,
    "create": _create,
    "update": _update,
    "patch": _patch,
    "$route": _route,
    "$timeline": _timeline,
    "$suggest": _suggest,
    "$status": _status,
    "$events": _events,
    "$hand-over": staff_operations.hand_over,
    "$card": card.answer,
    "$time": case_operations.time,
    "$visit-plan": visit_plans.visit_plan,
    "$transfer": case_operations.transfer,
    "$co-work": case_operations.co_work,
    "$team": case_operations.team,
    "$reopen": case_operations.reopen,
    "$come-back": staff_operations.come_back,
    "$caseload": staff_operations.caseload,
    "$disclosures": disclosing.disclosures,
    "$reveal": disclosing.reveal,
    "$declare-conflict": disclosing.declare_conflict,
    "$volunteer": disclosing.volunteer,
    "$visits": disclosing.visits,
    "$export": exporting.kick_off,
    "export-status": exporting.status,
    "export-cancel": exporting.cancel,
}
"""Who does what the table names. A new operation is a row of the table and a line here."""
