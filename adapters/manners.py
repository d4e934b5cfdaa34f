"""What every answer of this server has, whatever gives it: the request's id, HEAD like GET, gzip, and CORS where it is configured.

Sources: RFC 9110 (HEAD, content coding, Vary), FHIR R4 http.html#custom (X-Request-Id), the Fetch standard (CORS), NHS England BaRS
(X-Correlation-ID).
"""

import asyncio
import gzip
import re
from typing import Any

from litestar.types import ASGIApp, Receive, Scope, Send

from service.values import new_id

WORTH = 1024
"""Octets from which an answer is packed; below, the head outweighs what is saved."""
AT_ONCE = 64 * 1024
"""Octets up to which packing is quicker than handing it to a thread."""
LEVEL = 1
"""JSON shrinks to a fifth at once; what the higher levels add costs several times the time."""
PACKED = re.compile(rb"application/(fhir\+json|json|yaml|fhir\+ndjson)|text/|application/vnd\.oai")
LONGEST_ID = 200

EXPOSED = "ETag, Location, Content-Location, Last-Modified, Retry-After, X-Request-ID, X-Correlation-ID"
ALLOWED = (
    "Accept, Authorization, Content-Encoding, Content-Type, If-Match, If-Modified-Since, If-None-Exist, If-None-Match, "
    "Last-Event-ID, Prefer, X-Correlation-ID, X-Request-ID"
)
METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
PREFLIGHT_KEPT = "600"

KNOW_HEAD = re.compile(r"/fhir(?!/\.well-known/)|/events")
"""The surface does as GET does, by itself; a stream has no end, and so no head to ask for alone."""

Headers = list[tuple[bytes, bytes]]


class Manners:
    """Wraps the application. `origins` are those whose pages may read answers: none, a list of them, or `*`."""

    def __init__(self, app: ASGIApp, origins: tuple[str, ...] = ()) -> None:
        self.app = app
        self.origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        asked: dict[bytes, bytes] = dict(scope["headers"])
        always: Headers = []
        given = asked.get(b"x-request-id")
        id = given.decode() if given and _fit(given) else str(new_id())
        always.append((b"x-request-id", id.encode()))
        if (correlation := asked.get(b"x-correlation-id")) and _fit(correlation):
            always.append((b"x-correlation-id", correlation))
        if self.origins:
            always += self._shared(asked.get(b"origin", b"").decode("latin-1"))
            if scope["method"] == "OPTIONS" and b"access-control-request-method" in asked:
                return await _preflight(send, always)
        scope = {**scope, "yuanshe.request_id": id}  # pyright: ignore[reportAssignmentType]
        headless = scope["method"] == "HEAD"
        if headless and not KNOW_HEAD.match(scope["path"]):
            scope["method"] = "GET"
        packs = takes_gzip(asked.get(b"accept-encoding", b"").decode("latin-1"))
        return await self.app(scope, receive, _Sending(send, always, packs, headless))

    def _shared(self, origin: str) -> Headers:
        if self.origins == ("*",):
            return [(b"access-control-allow-origin", b"*"), (b"access-control-expose-headers", EXPOSED.encode())]
        if origin not in self.origins:
            return [(b"vary", b"Origin")]
        return [
            (b"access-control-allow-origin", origin.encode("latin-1")),
            (b"access-control-expose-headers", EXPOSED.encode()),
            (b"vary", b"Origin"),
        ]


class _Sending:
    """Sends one answer: where its length is known, the head waits for the body, because packing changes both."""

    def __init__(self, send: Send, always: Headers, packs: bool, headless: bool) -> None:
        self._send = send
        self._always = always
        self._packs = packs
        self._headless = headless
        self._start: Any = None

    async def __call__(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            own = {b"x-request-id", b"x-correlation-id"}
            message["headers"] = [*(h for h in message.get("headers", ()) if h[0].lower() not in own), *self._always]
            if any(name.lower() == b"content-length" for name, _ in message["headers"]):
                self._start = message
                return
        elif message["type"] == "http.response.body":
            if self._start is not None:
                start, self._start = self._start, None
                if not message.get("more_body"):
                    message = await self._whole(start, message)
                await self._send(start)
            if self._headless:
                message = {**message, "body": b""}
        await self._send(message)

    async def _whole(self, start: Any, message: Any) -> Any:
        body: bytes = message.get("body", b"")
        if len(body) >= WORTH:
            said = {name.lower(): value for name, value in start["headers"]}
            if PACKED.match(said.get(b"content-type", b"")) and b"content-encoding" not in said:
                start["headers"].append((b"vary", b"Accept-Encoding"))
                if self._packs:
                    body = await _packed(body)
                    kept = [h for h in start["headers"] if h[0].lower() != b"content-length"]
                    length = str(len(body)).encode()
                    start["headers"] = [*kept, (b"content-encoding", b"gzip"), (b"content-length", length)]
        return {"type": "http.response.body", "body": body, "more_body": False}


async def _packed(body: bytes) -> bytes:
    if len(body) <= AT_ONCE:
        return gzip.compress(body, LEVEL, mtime=0)
    return await asyncio.to_thread(gzip.compress, body, LEVEL, mtime=0)


async def _preflight(send: Send, always: Headers) -> None:
    headers = [
        *always,
        (b"access-control-allow-methods", METHODS.encode()),
        (b"access-control-allow-headers", ALLOWED.encode()),
        (b"access-control-max-age", PREFLIGHT_KEPT.encode()),
    ]
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def _fit(id: bytes) -> bool:
    """Whether an id can be repeated as it came: printable ASCII, of a length that no log minds."""
    return len(id) <= LONGEST_ID and id.isascii() and id.decode().isprintable()


def takes_gzip(accepted: str) -> bool:
    """Whether Accept-Encoding names gzip, and not to refuse it (RFC 9110, 12.5.3)."""
    for coding in accepted.lower().split(","):
        name, _, weight = coding.partition(";")
        if name.strip() == "gzip":
            return re.sub(r"\s", "", weight) not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
