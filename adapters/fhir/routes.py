"""The FHIR surface over HTTP: one mount, in which a request is admitted, looked up in the table, done in one transaction, and
answered."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from itertools import groupby
from time import perf_counter
from typing import Any

import asyncpg
from litestar import asgi
from litestar.types import Receive, Scope, Send

from adapters import figures
from adapters.fhir import addresses, binary, bundles, card, exporting, interactions, metadata, submission, wire
from adapters.fhir.addresses import Place
from adapters.fhir.exchange import (
    Answer,
    Asked,
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
from adapters.pace import Pace
from service.access import flow as access
from service.access.model import Actor, Call
from service.consent import store as consents
from service.db import Database, Session
from service.errors import Conflict, Invalid, Refusal, Unauthenticated
from service.notices.reach import Reach
from service.values import utc_now

TRIES = 4
"""How often a request is done anew when another one got in its way (a number taken meanwhile, a deadlock)."""
IN_THE_WAY = (asyncpg.UniqueViolationError, asyncpg.DeadlockDetectedError, asyncpg.SerializationError)


def handler(
    database: Callable[[], Database],
    base_url: Callable[[], str],
    reach: Reach | None = None,
    pace: Pace | None = None,
    shared: bool = False,
) -> Any:
    """The mount at /fhir; `database` and `base_url` are asked at each request, because they exist once the app has started.

    `reach` is where notices may go; `pace` is what one program may ask in a second; `shared`, whether pages of
    other origins may read answers (CORS).
    """

    @asgi("/fhir", is_mount=True, copy_scope=True)
    async def fhir(scope: Scope, receive: Receive, send: Send) -> None:
        began = perf_counter()
        asked = head(scope, base_url())
        asked.reach, asked.shared = reach or asked.reach, shared
        try:
            asked.scanner, asked.practice = database().scanner, database().practice
            answer = await _answer(database(), asked, receive, pace)
        except Refusal as refusal:
            answer = refused(refusal, asked)
        except Exception as fault:
            answer = broken(fault, asked)
        await reply(send, asked, answer)
        figures.answered(asked.what, answer.status, perf_counter() - began)

    return fhir


async def _answer(database: Database, asked: Asked, receive: Receive, pace: Pace | None) -> Answer:
    raw = binary.may_go_raw(asked.method, asked.path) or card.may_go_raw(asked.path)
    if not exporting.is_file(asked.path) and not raw:
        acceptable(asked)
    if asked.method == "OPTIONS":
        return Answer(204, None, {"allow": ", ".join(addresses.methods(asked.path))})
    if asked.path == ("metadata",):
        asked.what = addresses.find(asked.method, asked.path).way.name, ""
        return metadata.answer(asked)
    actor = await _who(database, asked)
    if pace:
        asked.room = pace.take(actor.id)
    place = addresses.find(asked.method, asked.path)
    asked.what = place.way.name, place.type
    if asked.method in ("POST", "PUT", "PATCH"):
        files = place.type == "Binary"
        most = binary.largest(database.practice) if files else wire.LARGEST
        asked.body = await received(asked, receive, most)
        # What is asked of an operation may stand in the URL: a POST of it needs no body, nor to say what kind of one.
        if files and binary.comes_raw(asked.headers):
            pass
        elif asked.body or not place.way.is_operation:
            readable(asked)
            if asked.path[-1:] != ("_search",):
                asked.body = wire.sound(asked.body)
        asked.named = named(asked, actor)
    return await act(database, actor, asked, place)


async def _who(database: Database, asked: Asked) -> Actor:
    scheme, _, token = asked.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated("Send an access token: Authorization: Bearer …", key="no-token")
    return await access.authenticate(database, token.strip(), utc_now())


async def act(database: Database, actor: Actor, asked: Asked, place: Place) -> Answer:
    """Do what an admitted request asks: a Bundle by its type, all else in a transaction of its own."""
    if place.way.name in ("transaction", "batch"):
        return await _bundle(database, actor, asked)
    if place.way.name == "export-file":
        return await exporting.file(database, actor, asked, place)
    await interactions.prepared(actor, asked, place)
    call = place.call()

    async def once(session: Session, now: datetime) -> Answer:
        answer = await interactions.perform(session, actor, asked, place, now)
        call.resource_id = answer.stored.id if answer.stored else call.resource_id
        return answer

    return await transact(database, actor, call, asked, once, affects=place.way.affects)


async def transact(
    database: Database, actor: Actor, call: Call, asked: Asked, run: Callable[[Session, datetime], Awaitable[Answer]], *,
    affects: bool = True,
) -> Answer:  # fmt: skip
    """One request, one transaction with its audit line; done anew when another one got in its way.

    A write that its sender named is carried out once: after that, the name is answered what it was answered then.
    """
    call.request_id = asked.request_id
    call.named = asked.named if affects else None
    for attempt in range(TRIES):
        call.answer = None
        try:
            async with access.open(database, actor, call) as session:
                if call.named and (given := await access.answered(session, actor, call.named)):
                    call.action, call.interaction, call.resource_id = "R", "replay", None
                    ended = given.at and await consents.has_ended(session, actor.organization, given.at)
                    return again(given, shown=not ended)
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


async def _bundle(database: Database, actor: Actor, asked: Asked) -> Answer:
    """A Bundle: a transaction is one transaction, a batch one for each entry."""
    bundle = submission.bundle_of(asked.body)
    if bundle.type == "transaction":
        known = await bundles.prepared(actor, bundle, asked)

        async def once(session: Session, now: datetime) -> Answer:
            # Read anew at each attempt: conditions and references are settled in place.
            entries = bundles.entries_of(bundle, asked, known)
            return Answer(200, await bundles.transaction(session, actor, entries, asked, now))

        return await transact(database, actor, Call("E", "transaction"), asked, once)
    if bundle.type != "batch":
        raise Invalid("A Bundle is posted as transaction or batch.", at="Bundle.type", code="value")
    if asked.named:
        await transact(database, actor, Call("E", "batch"), asked, _begun)
    turn = asyncio.Semaphore(AT_ONCE)

    async def one(position: int, entry: wire.Entry) -> dict[str, Any]:
        async with turn:
            return await _batched(database, actor, asked, entry, position)

    answers: list[dict[str, Any]] = []
    # What is read one after the other is read at once; what is written keeps its place in the order.
    for reading, run in groupby(enumerate(bundle.entry), key=lambda each: _reads(each[1])):
        if reading:
            answers += await asyncio.gather(*(one(*each) for each in run))
        else:
            for each in run:
                answers.append(await one(*each))
    return Answer(200, bundles.reply("batch-response", answers))


AT_ONCE = 4
"""Entries of a batch that are read at the same time: each takes a connection."""


def _reads(entry: wire.Entry) -> bool:
    return entry.request is not None and entry.request.method in ("GET", "HEAD")


async def _begun(session: Session, now: datetime) -> Answer:
    """Of a batch itself only its name is kept: another batch cannot take it, and this one's entries have their own."""
    return Answer(200)


async def _batched(database: Database, actor: Actor, asked: Asked, entry: wire.Entry, position: int) -> dict[str, Any]:
    """One entry of a batch, by itself: its failure is its own."""
    one = asked
    try:
        one = bundles.asked_by(asked, entry, "Bundle.entry")
        one.named = entry_named(asked.named, position)
        place = addresses.find(one.method, one.path)
        if not place.type or place.way.name == "$export":
            raise Invalid(
                "A batch holds what is asked of a resource or a type, and no export.",
                at="Bundle.entry.request.url",
                code="value",
            )
        bundles.opened(one, "Bundle.entry")
        answer = await act(database, actor, one, place)
    except Refusal as refusal:
        answer = refused(refusal, one)
    except Exception as fault:
        # What was done before it stands: the sender has to learn of that.
        answer = broken(fault, one)
    return bundles.response(answer, one)
