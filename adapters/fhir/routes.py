"""The FHIR surface over HTTP: one mount, in which a request is admitted, understood, done in one transaction, and answered."""

import asyncio
import re
import uuid
from collections.abc import Awaitable, Callable
from datetime import datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qsl

import asyncpg
from litestar import asgi
from litestar.types import Receive, Scope, Send

from adapters.fhir import (
    bundles,
    conditional,
    metadata,
    operations,
    outcomes,
    reading,
    references,
    search,
    subscriptions,
    surface,
    wire,
    writing,
)
from adapters.fhir.exchange import (
    Answer,
    Asked,
    Refused405,
    acceptable,
    again,
    broken,
    entry_named,
    head,
    kept,
    named,
    readable,
    received,
    refused,
    reply,
)
from adapters.fhir.submission import Stored
from adapters.pace import Pace
from service.access import flow as access
from service.access.model import Actor, Call
from service.access.scopes import may
from service.db import Database, Session
from service.errors import (
    Conflict,
    Forbidden,
    Invalid,
    Issue,
    NotFound,
    Refusal,
    Unauthenticated,
)  # fmt: skip
from service.notices.reach import Network
from service.values import Id, new_id, utc_now

TRIES = 4
"""How often a request is done anew when another one got in its way (a number taken meanwhile, a deadlock)."""
IN_THE_WAY = (asyncpg.UniqueViolationError, asyncpg.DeadlockDetectedError, asyncpg.SerializationError)

_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}\Z")
_TYPE = re.compile(r"[A-Z][A-Za-z]{1,40}\Z")
_VERSION = re.compile(r"[0-9]{1,9}\Z")


def handler(
    database: Callable[[], Database],
    base_url: Callable[[], str],
    networks: tuple[Network, ...] = (),
    pace: Pace | None = None,
) -> Any:
    """The mount at /fhir; `database` and `base_url` are asked at each request, because they exist once the app has started.

    `networks` are those that notices may reach besides public https; `pace` is what one program may ask in a second.
    """

    @asgi("/fhir", is_mount=True, copy_scope=True)
    async def fhir(scope: Scope, receive: Receive, send: Send) -> None:
        asked = head(scope, base_url())
        asked.networks = networks
        try:
            answer = await _answer(database(), asked, receive, pace)
        except Refusal as refusal:
            answer = refused(refusal, asked)
        except Exception as fault:
            answer = broken(fault, asked)
        await reply(send, asked, answer)

    return fhir


async def _answer(database: Database, asked: Asked, receive: Receive, pace: Pace | None) -> Answer:
    acceptable(asked)
    if asked.path == ("metadata",) and asked.method in ("GET", "HEAD"):
        return Answer(200, metadata.capability(asked.base))
    actor = await _who(database, asked)
    if pace:
        asked.room = pace.take(actor.id)
    if asked.method in ("POST", "PUT", "PATCH"):
        asked.body = await received(asked, receive)
        # What is asked of Subscriptions stands in the URL: a POST of it needs no body, nor to say what kind of one.
        if asked.body or not (asked.path[:1] == ("Subscription",) and asked.path[-1].startswith("$")):
            readable(asked)
            if asked.path[-1:] != ("_search",):
                asked.body = wire.sound(asked.body)
        asked.named = named(asked, actor)
    return await act(database, actor, asked)


async def _who(database: Database, asked: Asked) -> Actor:
    scheme, _, token = asked.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated("Send an access token: Authorization: Bearer …", key="no-token")
    return await access.authenticate(database, token.strip(), utc_now())


async def act(database: Database, actor: Actor, asked: Asked) -> Answer:
    """Route an admitted request to what it is."""
    match asked.method, asked.path:
        case "POST", ():
            return await _system(database, actor, asked)
        case "POST", ("ServiceRequest", "$route"):
            return await _in_session(database, actor, Call("E", "route", "ServiceRequest"), asked, "ServiceRequest", "r",
                                     lambda session, now: operations.route(session, actor, asked.body, now))  # fmt: skip
        case "GET" | "HEAD", ("ServiceRequest", id, "$timeline"):
            return await _in_session(database, actor, Call("R", "timeline", "ServiceRequest", _id(id)), asked, "ServiceRequest", "r",
                                     lambda session, now: operations.timeline(session, actor, _id(id), asked.base))  # fmt: skip
        case "POST", ("Subscription",):
            return await _subscribe(database, actor, asked)
        case "PUT", ("Subscription", id):
            return await _resubscribe(database, actor, asked, id)
        case "GET" | "HEAD" | "POST", ("Subscription", "$status"):
            ids = [_id(value) for key, value in asked.query if key == "id"] or None
            states = [value for key, value in asked.query if key == "status"]
            return await _in_session(database, actor, Call("E", "status", "Subscription"), asked, "Subscription", "r",
                                     lambda session, now: subscriptions.status(session, actor, ids, states, asked.base))  # fmt: skip
        case "GET" | "HEAD" | "POST", ("Subscription", id, "$status"):
            return await _in_session(database, actor, Call("R", "status", "Subscription", _id(id)), asked, "Subscription", "r",
                                     lambda session, now: subscriptions.one_status(session, actor, _id(id), asked.base))  # fmt: skip
        case "GET" | "HEAD" | "POST", ("Subscription", id, "$events"):
            return await _in_session(database, actor, Call("R", "events", "Subscription", _id(id)), asked, "Subscription", "r",
                                     lambda session, now: subscriptions.events(session, actor, _id(id), asked.query, asked.base))  # fmt: skip
        case "GET" | "HEAD", (type,):
            return await _search(database, actor, asked, type, asked.query)
        case "POST", (type, "_search"):
            form = parse_qsl(asked.body.decode("utf-8", "replace"), keep_blank_values=True)
            return await _search(database, actor, asked, type, asked.query + form)
        case "GET" | "HEAD", (type, id):
            _supported(type)
            return await _read(database, actor, asked, type, id)
        case "GET" | "HEAD", (type, id, "_history"):
            _supported(type)
            return await _in_session(database, actor, Call("R", "history", type, _id(id)), asked, type, "r",
                                     lambda session, now: reading.history(session, actor, type, _id(id), asked.base))  # fmt: skip
        case "GET" | "HEAD", (type, id, "_history", version):
            _supported(type)
            return await _read(database, actor, asked, type, id, version)
        case "POST", (type,):
            _supported(type)
            return await _create(database, actor, asked, type)
        case "PUT" | "PATCH", (type, id):
            _supported(type)
            return await _update(database, actor, asked, type, id)
        case "DELETE", (type, *_):
            _supported(type)
            raise Refused405(
                "Nothing is deleted here; a referral is voided with status entered-in-error.", _allowed(asked.path)
            )
        case _:
            raise NotFound("There is nothing at this address.", code="not-supported")


def _allowed(path: tuple[str, ...]) -> tuple[str, ...]:
    """What may be asked of this address (RFC 9110, 10.2.1), by the table of the surface."""
    offered = surface.SURFACE[path[0]].interactions
    ways = {1: (("POST", "create"),), 2: (("PUT", "update"), ("PATCH", "patch"))}.get(len(path), ())
    return ("GET", "HEAD", *(method for method, interaction in ways if interaction in offered))


def _supported(type: str) -> None:
    if type not in surface.SURFACE:
        # What is no type of FHIR could be anything that somebody typed; only what looks like one is repeated.
        named = type if _TYPE.match(type) else None
        raise NotFound(f"This server has no resources of type {named or '?'}.", at=named, code="not-supported")


def _id(text: str) -> Id:
    if not _ID.match(text):
        raise NotFound("There is no such resource, or it is not yours to see.")
    try:
        return uuid.UUID(text)
    except ValueError:
        raise NotFound("There is no such resource, or it is not yours to see.") from None


def permit(actor: Actor, type: str, interaction: str) -> None:
    """Raise Forbidden unless the token's scopes allow the interaction."""
    if not may(actor, type, interaction):  # pyright: ignore[reportArgumentType]
        raise Forbidden(f"The token's scopes do not allow this on {type}.", at=type, key="insufficient-scope")


async def _in_session(
    database: Database, actor: Actor, call: Call, asked: Asked, type: str, letter: str,
    run: Callable[[Session, datetime], Awaitable[Any]], status: int = 200,
) -> Answer:  # fmt: skip
    async def once(session: Session, now: datetime) -> Answer:
        permit(actor, type, letter)
        return Answer(status, await run(session, now))

    return await transact(database, actor, call, asked, once)


async def transact(
    database: Database, actor: Actor, call: Call, asked: Asked, run: Callable[[Session, datetime], Awaitable[Answer]]
) -> Answer:
    """One request, one transaction with its audit line; done anew when another one got in its way.

    A write that its sender named is carried out once: after that, the name is answered what it was answered then.
    """
    call.request_id = asked.request_id
    call.named = asked.named if call.action in ("C", "U", "D") or call.interaction in ("transaction", "batch") else None
    for attempt in range(TRIES):
        try:
            async with access.open(database, actor, call) as session:
                if call.named and (given := await access.answered(session, actor, call.named)):
                    call.interaction, call.resource_id = "replay", None
                    return again(given)
                try:
                    answer = await run(session, session.began)
                except Refusal as refusal:
                    call.answer = call.named and kept(refused(refusal, asked))
                    raise
                call.answer = call.named and kept(answer)
                return answer
        except IN_THE_WAY as clash:
            if attempt == TRIES - 1:
                raise Conflict("Other requests got in the way; try again.", key="conflict") from clash
            await asyncio.sleep(0)
    raise AssertionError("unreachable")


async def _read(
    database: Database, actor: Actor, asked: Asked, type: str, id: str, version: str | None = None
) -> Answer:
    async def once(session: Session, now: datetime) -> Answer:
        permit(actor, type, "r")
        if version is not None and not _VERSION.match(version):
            raise NotFound("There is no such version.")
        found = (
            await reading.vread(session, actor, type, _id(id), int(version))
            if version
            else await reading.read(session, actor, type, _id(id))
        )
        headers = _versioned(found.version, found.last_modified)
        if version is None and asked.headers.get("if-none-match", "").strip() == headers["etag"]:
            return Answer(304, None, headers)
        return Answer(200, found.body, headers)

    return await transact(database, actor, Call("R", "vread" if version else "read", type, _maybe(id)), asked, once)


def _maybe(id: str) -> Id | None:
    try:
        return uuid.UUID(id)
    except ValueError:
        return None


def _versioned(version: int, modified: datetime | None) -> dict[str, str]:
    headers = {"etag": f'W/"{version}"'}
    if modified:
        headers["last-modified"] = format_datetime(modified, usegmt=True)
    return headers


async def _search(database: Database, actor: Actor, asked: Asked, type: str, params: list[tuple[str, str]]) -> Answer:
    _supported(type)

    async def once(session: Session, now: datetime) -> Answer:
        permit(actor, type, "s")
        strict = asked.prefers("handling") == "strict"
        return Answer(200, await search.search(session, actor, type, params, asked.base, handling_strict=strict))

    return await transact(database, actor, Call("E", "search", type), asked, once)


async def _create(database: Database, actor: Actor, asked: Asked, type: str) -> Answer:
    call = Call("C", "create", type)

    async def once(session: Session, now: datetime) -> Answer:
        permit(actor, type, "c")
        stored = await _unless(session, actor, asked, type)
        stored = stored or await writing.create(session, actor, type, asked.body, new_id(), now)
        call.resource_id = stored.id
        answer = await _written(session, actor, asked, stored)
        return Answer(answer.status, answer.body, answer.headers | {"location": f"{asked.base}/{stored.location}"})

    return await transact(database, actor, call, asked, once)


async def _subscribe(database: Database, actor: Actor, asked: Asked) -> Answer:
    call = Call("C", "create", "Subscription")
    addresses = await _resolved(actor, asked, "c")

    async def once(session: Session, now: datetime) -> Answer:
        permit(actor, "Subscription", "c")
        if held := await _unless(session, actor, asked, "Subscription"):
            call.resource_id = held.id
            answer = await _written(session, actor, asked, held)
            return Answer(
                answer.status, answer.body, answer.headers | {"location": f"{asked.base}/{held.type}/{held.id}"}
            )
        body = await subscriptions.create(session, actor, asked.body, now, addresses, asked.networks)
        call.resource_id = uuid.UUID(body["id"])
        # Shown whatever `Prefer` asks for: nobody could learn the secret later.
        location = f"{asked.base}/Subscription/{body['id']}"
        return Answer(201, body, {"location": location, **_versioned(int(body["meta"]["versionId"]), now)})

    return await transact(database, actor, call, asked, once)


async def _resolved(actor: Actor, asked: Asked, letter: str) -> tuple[str, ...]:
    """What the endpoint's host stands for, asked for those alone who may have it: the others are refused anyway."""
    allowed = may(actor, "Subscription", letter)  # pyright: ignore[reportArgumentType]
    return await subscriptions.addresses(asked.body) if allowed else ()


async def _resubscribe(database: Database, actor: Actor, asked: Asked, id: str) -> Answer:
    addresses = await _resolved(actor, asked, "u")
    expected = references.if_match(asked.headers.get("if-match"))

    async def once(session: Session, now: datetime) -> Answer:
        permit(actor, "Subscription", "u")
        body = await subscriptions.update(session, actor, asked.body, _id(id), expected, now, addresses, asked.networks)
        return await _written(
            session, actor, asked, Stored("Subscription", _id(id), int(body["meta"]["versionId"]), 200), body
        )

    return await transact(database, actor, Call("U", "put", "Subscription", _maybe(id)), asked, once)


async def _unless(session: Session, actor: Actor, asked: Asked, type: str) -> Stored | None:
    """What `If-None-Exist` finds, if it is asked."""
    query = asked.headers.get("if-none-exist")
    found = await conditional.existing(session, actor, type, query) if query is not None else None
    return Stored(type, *found, 200) if found else None


async def _written(
    session: Session, actor: Actor, asked: Asked, stored: Stored, shown: dict[str, Any] | None = None
) -> Answer:
    """The answer to a write, in the form that `Prefer` asks for: the resource, nothing, or an outcome. A token that may not
    read is shown nothing: what is stored can hold more than was sent."""
    wants, headers = asked.prefers("return"), _versioned(stored.version, None)
    if wants == "OperationOutcome":
        said = stored.warnings or [Issue("Stored.", code="informational", severity="information")]
        return Answer(stored.status, outcomes.information(said), headers)
    if wants == "minimal" or not may(actor, stored.type, "r"):
        return Answer(stored.status, None, headers)
    if shown:
        return Answer(stored.status, shown, headers)
    found = await reading.read(session, actor, stored.type, stored.id)
    return Answer(stored.status, found.body, _versioned(found.version, found.last_modified))


async def _update(database: Database, actor: Actor, asked: Asked, type: str, id: str) -> Answer:
    expected = references.if_match(asked.headers.get("if-match"))

    async def once(session: Session, now: datetime) -> Answer:
        permit(actor, type, "u")
        body = asked.body
        if asked.method == "PATCH":
            body = await writing.patch(session, actor, type, _id(id), body, expected)
        stored = await writing.update(session, actor, type, body, _id(id), expected, now)
        return await _written(session, actor, asked, stored)

    return await transact(database, actor, Call("U", asked.method.lower(), type, _maybe(id)), asked, once)


async def _system(database: Database, actor: Actor, asked: Asked) -> Answer:
    """A Bundle: a transaction is one transaction, a batch one for each entry."""
    bundle = bundles.read(asked.body)
    if bundle.type == "transaction":

        async def once(session: Session, now: datetime) -> Answer:
            return Answer(
                200,
                await bundles.transaction(
                    session, actor, bundle, asked.base, now, asked.prefers("return") == "representation"
                ),
            )

        return await transact(database, actor, Call("E", "transaction"), asked, once)
    if bundle.type != "batch":
        raise Invalid("A Bundle is posted as transaction or batch.", at="Bundle.type", code="value")
    if asked.named:
        await transact(database, actor, Call("E", "batch"), asked, _begun)
    answers: list[dict[str, Any]] = []
    for position, entry in enumerate(bundle.entry):
        answers.append(await _batched(database, actor, asked, entry, position))
    return Answer(200, {"resourceType": "Bundle", "type": "batch-response", "entry": answers})


async def _begun(session: Session, now: datetime) -> Answer:
    """Of a batch itself only its name is kept: another batch cannot take it, and this one's entries have their own."""
    return Answer(200)


async def _batched(database: Database, actor: Actor, asked: Asked, entry: wire.Entry, position: int) -> dict[str, Any]:
    """One entry of a batch, by itself: its failure is its own."""
    try:
        if entry.request is None:
            raise Invalid("An entry of a batch needs a request.", at="Bundle.entry.request", code="required")
        path, _, query = entry.request.url.partition("?")
        # Of the batch's own head only what is said of each entry counts: a condition is the entry's own or there is none.
        headers = {name: asked.headers[name] for name in ("prefer",) if name in asked.headers}
        conditions = {
            "if-match": entry.request.if_match,
            "if-none-match": entry.request.if_none_match,
            "if-none-exist": entry.request.if_none_exist,
        }
        headers |= {name: said for name, said in conditions.items() if said is not None}
        one = Asked(entry.request.method, tuple(part for part in path.split("/") if part), parse_qsl(query, keep_blank_values=True), headers,
                    asked.base, bytes(entry.resource), asked.networks,
                    request_id=asked.request_id, named=entry_named(asked.named, position))  # fmt: skip
        if not one.path:
            raise Invalid("A batch holds no batch.", at="Bundle.entry.request.url", code="value")
        answer = await act(database, actor, one)
    except Refusal as refusal:
        answer = refused(refusal, asked)
    except Exception as fault:
        # What was done before it stands: the sender has to learn of that.
        answer = broken(fault, asked)
    return bundles.response_entry(answer.status, answer.body, answer.headers)
