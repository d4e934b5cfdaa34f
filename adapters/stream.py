"""`GET /events`: what happens, as Server-Sent Events, in commit order, for whoever may see it; ids alone, no person.

A stream reads the log in bounded transactions of its reader's own scope and writes between them, so that a slow reader
holds no connection of the pool and at most one batch in memory. `id:` is the event's own id; a reader that comes back
with it in `Last-Event-ID` misses nothing.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from http.cookies import SimpleCookie
from typing import Any
from uuid import UUID

import msgspec
from litestar import asgi
from litestar.types import Receive, Scope, Send

from adapters import relay
from service.access import flow as access
from service.access import session_flow
from service.access.model import Actor, Call
from service.access.scopes import may
from service.access.session_flow import COOKIE
from service.db import Database
from service.errors import Forbidden, Issue, Malformed, NotFound, Refusal, Unauthenticated, Unavailable
from service.events import Placed
from service.notices import flow as notices
from service.notices import plain
from service.values import Id, utc_now

log = logging.getLogger(__name__)

BEAT = 15.0
"""Seconds of silence after which a comment is sent: it keeps proxies from closing, and finds out who is gone."""
STUCK = 60.0
"""Seconds that one write may take before its reader is given up; it comes back and continues."""
AT_ONCE = 4
"""Streams that read the database at the same time, so that many of them never take the whole pool."""
AGAIN = b"retry: 2000\n\n"
"""Milliseconds after which a browser's EventSource connects again."""


class News:
    """Wakes every stream of this process; one LISTEN connection serves them all."""

    def __init__(self) -> None:
        self._bells: set[asyncio.Event] = set()
        self.turn = asyncio.Semaphore(AT_ONCE)
        self.over = False

    def ring(self) -> None:
        for bell in self._bells:
            bell.set()

    def end(self) -> None:
        """End all streams: the server is leaving, and their readers come back to another."""
        self.over = True
        self.ring()

    @contextlib.contextmanager
    def bell(self) -> Any:
        bell = asyncio.Event()
        self._bells.add(bell)
        try:
            yield bell
        finally:
            self._bells.discard(bell)


@contextlib.asynccontextmanager
async def listening(dsn: str, news: News) -> AsyncIterator[None]:
    """Ring for every batch of events that got their positions, while the block lasts."""
    async with relay.listening(dsn, news.ring, relay.SEQUENCED):
        yield


def handler(database: Callable[[], Database], news: Callable[[], News]) -> Any:
    """The handler of /events; `database` and `news` exist once the application has started."""

    @asgi("/events", copy_scope=True)
    async def events(scope: Scope, receive: Receive, send: Send) -> None:
        headers: dict[str, str] = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
        }
        # The request's own, or the one that it was given (adapters/manners.py): what its audit line has.
        headers["x-request-id"] = str(scope.get("yuanshe.request_id", ""))
        try:
            if scope.get("method") != "GET":
                return await _refuse(send, 405, Malformed("Events are read with GET."))
            actor = await _known(database(), headers)
            position = await _start(database(), actor, headers)
        except Refusal as refusal:
            status = next((code for kind, code in STATUS.items() if isinstance(refusal, kind)), 422)
            return await _refuse(send, status, refusal)
        except Exception as fault:
            # By its kind alone: its message could hold what was sent.
            log.error("a stream could not begin: %s", type(fault).__name__)
            return await _refuse(send, 500, BROKEN)
        await _send(send, {"type": "http.response.start", "status": 200, "headers": STREAMING})
        gone = asyncio.create_task(_gone(receive))
        telling = asyncio.create_task(_tell(database(), news(), headers, actor, position, send))
        try:
            await asyncio.wait((gone, telling), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (gone, telling):
                task.cancel()
            _, fault = await asyncio.gather(gone, telling, return_exceptions=True)
            if isinstance(fault, Exception):
                # By its kind alone; the reader finds the stream ended, comes back and continues.
                log.error("a stream broke: %s", type(fault).__name__)

    return events


STREAMING = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]


STATUS: dict[type[Refusal], int] = {
    Malformed: 400, Unauthenticated: 401, Forbidden: 403, NotFound: 404, Unavailable: 503,
}  # fmt: skip
"""The HTTP status of each kind of refusal that a reader can meet."""
BROKEN = Refusal("The server failed; come back and continue.", issues=(Issue("The server failed; come back and continue.", code="exception"),))  # fmt: skip


async def _known(database: Database, headers: dict[str, str]) -> Actor:
    """Who asks: a program by its token, a person by the cookie of their session, in a browser of this site alone. Raises
    Unauthenticated."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token:
        return await access.authenticate(database, token.strip(), utc_now())
    cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    if cookie is None or headers.get("sec-fetch-site", "same-origin") != "same-origin":
        raise Unauthenticated("Send an access token: Authorization: Bearer …", key="no-token")
    # That a page listens is no use of the session: left alone, it ends.
    return (await session_flow.known(database, cookie.value, touches=False)).actor


def _permit(actor: Actor) -> None:
    if actor.side == "volunteer":
        raise Forbidden("The stream is for the parties to referrals.", key="wrong-actor")
    if not may(actor, "Task", "r"):
        raise Forbidden("The token's scopes do not allow reading Task.", key="insufficient-scope")


async def _start(database: Database, actor: Actor, headers: dict[str, str]) -> int:
    """Where the stream begins; opening it is a request like others, with its line in the audit, refused or not."""
    call = Call("E", "events", request_id=headers.get("x-request-id"))
    async with access.open(database, actor, call) as session:
        _permit(actor)
        return await notices.start(session, actor, _last(headers))


def _last(headers: dict[str, str]) -> Id | None:
    text = headers.get("last-event-id", "").strip()
    try:
        return UUID(text) if text else None
    except ValueError:
        raise Malformed("Last-Event-ID is the id of an event.", at="Last-Event-ID") from None


async def _tell(
    database: Database, news: News, headers: dict[str, str], actor: Actor, position: int, send: Send
) -> None:
    """Write events until the reader may read no more, is stuck, or the server leaves."""
    with news.bell() as bell, contextlib.suppress(TimeoutError, Refusal, OSError):
        await _write(send, AGAIN)
        while not news.over:
            bell.clear()
            more = True
            while more and not news.over:
                # Asked before each batch: a program that was revoked meanwhile gets nothing more.
                actor = await _known(database, headers)
                _permit(actor)
                async with news.turn, database.transaction(actor.scope, writes=False) as session:
                    heard = await notices.heard(session, actor, position)
                if heard.events:
                    await _write(send, b"".join(_event(place, actor) for place in heard.events))
                position, more = heard.upto, heard.more
            try:
                async with asyncio.timeout(BEAT):
                    await bell.wait()
            except TimeoutError:
                await _write(send, b": still here\n\n")
    with contextlib.suppress(OSError):
        await _send(send, {"type": "http.response.body", "body": b"", "more_body": False})


def _event(place: Placed, actor: Actor) -> bytes:
    said = plain.event(place, actor.organization, whole_network=actor.side == "platform")
    return b"id: %s\ndata: %s\n\n" % (str(place.event.id).encode(), msgspec.json.encode(said))


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _write(send: Send, chunk: bytes) -> None:
    async with asyncio.timeout(STUCK):
        await _send(send, {"type": "http.response.body", "body": chunk, "more_body": True})


async def _send(send: Send, message: dict[str, Any]) -> None:
    await send(message)  # pyright: ignore[reportArgumentType]


async def _refuse(send: Send, status: int, refusal: Refusal) -> None:
    """Say why, as Problem Details (RFC 9457): this is no address of FHIR."""
    first = refusal.issues[0]
    said = msgspec.json.encode({"status": status, "title": first.text, "code": refusal.key or first.code})
    headers = [(b"content-type", b"application/problem+json"), (b"content-length", str(len(said)).encode()), (b"cache-control", b"no-store")]  # fmt: skip
    if status == 401:
        headers.append((b"www-authenticate", b'Bearer realm="yuanshe"'))
    if status == 503:
        headers.append((b"retry-after", b"2"))
    if status == 405:
        headers.append((b"allow", b"GET"))
    await _send(send, {"type": "http.response.start", "status": status, "headers": headers})
    await _send(send, {"type": "http.response.body", "body": said, "more_body": False})
