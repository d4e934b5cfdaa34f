"""How requests are taken and answered over HTTP: heads and bodies read, media types agreed on, refusals put as outcomes."""

import hashlib
import logging
import math
import re
import traceback
import zlib
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from litestar.types import Receive, Send

from adapters import figures
from adapters.fhir import media, outcomes, surface, wire
from adapters.fhir.media import FHIR_JSON, JSON
from adapters.fhir.submission import Stored
from adapters.pace import Room
from service.access.model import Actor, Kept, Named
from service.errors import (
    Forbidden,
    Issue,
    Malformed,
    NotAcceptable,
    Refusal,
    TooEarly,
    TooLarge,
    TooMany,
    Unauthenticated,
    Unavailable,
    UnsupportedMedia,
)
from service.notices.reach import Reach
from service.practice import Practice
from service.records.scanning import Verdict
from service.values import Id, read_json, write_json

log = logging.getLogger(__name__)

PATCH = frozenset({"application/json-patch+json"})
FORM = "application/x-www-form-urlencoded"
FHIR_VERSIONS = frozenset({"4.0", "4.0.1"})
"""Values of the media type's `fhirVersion` that mean R4 (FHIR R4 http.html#version-parameter)."""
AGAIN = frozenset({401, 425, 429})
"""Refusals that are no answer to the request itself: asked again under the same name, it is done anew."""


class Asked(msgspec.Struct):
    """A request, read as far as its head goes."""

    method: str
    path: tuple[str, ...]
    query: list[tuple[str, str]]
    headers: dict[str, str]
    base: str
    body: bytes = b""
    reach: Reach = Reach()
    """Where notices may go."""
    resolved: tuple[str, ...] = ()
    """What the host of a subscription's endpoint stands for: looked up before any transaction begins."""
    practice: Practice = Practice()
    scanner: tuple[str, ...] = ()
    """What says of a file whether it is harmful."""
    verdict: Verdict | None = None
    """What it said of the file that is sent: asked before any transaction begins."""
    new: Id | None = None
    """What a create is to be stored as, where that is known before: other entries of the Bundle name it."""
    request_id: str | None = None
    """The sender's, or else the one that this server gave the request."""
    named: Named | None = None
    """A write that its sender named (`X-Request-ID`)."""
    what: tuple[str, str] = figures.NO_PLACE
    """Its interaction and type in the table, for the figures."""
    shared: bool = False
    """Whether pages of other origins may read answers (CORS)."""
    room: Room | None = None
    """What its sender may still ask at this moment."""
    kind: str = FHIR_JSON
    """The media type of the answer."""

    def prefers(self, key: str) -> str | None:
        found = re.search(rf"\b{key}=([A-Za-z\-]+)", self.headers.get("prefer", ""))
        return found.group(1) if found else None

    @property
    def strict(self) -> bool:
        """Whether what is not known is to be refused, not passed over (FHIR R4 search.html#errors)."""
        return self.prefers("handling") == "strict"


class Answer(msgspec.Struct):
    """What goes back."""

    status: int
    body: Any = None
    headers: dict[str, str] = {}
    stored: Stored | None = None
    """What a write made, met or changed."""
    pieces: AsyncIterator[bytes] | None = None
    """A body that is sent piece by piece as it comes; `headers` say what kind it is of."""


def head(scope: Any, base_url: str) -> Asked:
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    path = scope["path"]
    path = path[len("/fhir") :] if path.startswith("/fhir") else path
    query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    return Asked(
        scope["method"],
        tuple(part for part in path.split("/") if part),
        query,
        headers,
        f"{base_url}/fhir",
        request_id=scope.get("yuanshe.request_id"),
    )


async def received(asked: Asked, receive: Receive, most: int = wire.LARGEST) -> bytes:
    """The body, of at most `most` octets. Raises TooLarge, UnsupportedMedia, Malformed."""
    length = asked.headers.get("content-length", "")
    if length.isascii() and length.isdigit() and (len(length) > 9 or int(length) > most):
        raise TooLarge(f"A body has at most {most} octets.")
    coding = asked.headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("", "identity", "gzip"):
        raise UnsupportedMedia("A body comes as it is, or with Content-Encoding: gzip.")
    chunks: list[bytes] = []
    size = 0
    while True:
        message: Any = await receive()
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > most:
            raise TooLarge(f"A body has at most {most} octets.")
        chunks.append(chunk)
        if not message.get("more_body"):
            body = b"".join(chunks)
            return unpacked(body, most) if coding == "gzip" else body


def unpacked(body: bytes, most: int) -> bytes:
    """What a gzip body holds, up to `most` octets: no more than that is ever unpacked. Raises TooLarge, Malformed."""
    unpack = zlib.decompressobj(wbits=31)
    try:
        whole = unpack.decompress(body, most + 1)
    except zlib.error:
        raise Malformed("The body is not gzip, as its Content-Encoding says.") from None
    if len(whole) > most:
        raise TooLarge(f"A body has at most {most} octets, unpacked.")
    if not unpack.eof or unpack.unused_data:
        raise Malformed("The body is not one whole gzip member, as its Content-Encoding says.")
    return whole


def acceptable(asked: Asked) -> None:
    """Agree on the media type of the answer, which `asked` then names. Raises NotAcceptable."""
    accepted = media.accepted(asked.headers, asked.query)
    if accepted in (FHIR_JSON, "*/*"):
        return
    best = 0.0
    for kind, parameters in media.kinds(accepted):
        weight = media.weight(parameters)
        if parameters.get("fhirversion", "4.0") not in FHIR_VERSIONS or weight <= best:
            continue
        if kind in media.OURS or kind in ("application/*", "*/*"):
            asked.kind, best = media.OURS.get(kind, FHIR_JSON), weight
    if not best:
        raise NotAcceptable("This server answers application/fhir+json of FHIR 4.0 only: no XML, no Turtle.")


def readable(asked: Asked) -> None:
    """Whether the body comes in a media type that is read there. Raises UnsupportedMedia."""
    kind, parameters = next(media.kinds(asked.headers.get("content-type", "")))
    searching = asked.path[-1:] == ("_search",)
    wanted = frozenset({FORM}) if searching else PATCH if asked.method == "PATCH" else JSON
    if kind not in wanted:
        raise UnsupportedMedia(f"Send this as {' or '.join(sorted(wanted))}.")
    if parameters.get("fhirversion", "4.0") not in FHIR_VERSIONS:
        raise UnsupportedMedia("Send resources of FHIR 4.0: fhirVersion=4.0.")
    if parameters.get("charset", "utf-8") not in ("utf-8", "utf8", "us-ascii"):
        raise UnsupportedMedia("Send text as UTF-8 (FHIR R4 json.html).")


CONDITIONS = ("if-match", "if-none-match", "if-none-exist")


def named(asked: Asked, actor: Actor) -> Named | None:
    """The name that its sender gave a write, and all that is asked under it; scopes too, so that a token that may do less
    is not answered what another one was."""
    name = asked.headers.get("x-request-id")
    if not name:
        return None
    content = hashlib.sha256()
    said = [asked.method, "/".join(asked.path), *(f"{key}={value}" for key, value in asked.query)]
    said += [asked.headers.get(condition, "") for condition in CONDITIONS]
    for part in (*(text.encode("utf-8", "replace") for text in (*said, *sorted(actor.scopes))), asked.body):
        content.update(len(part).to_bytes(8) + part)
    return Named(hashlib.sha256(name.encode("utf-8", "replace")).digest(), content.digest())


def entry_named(whole: Named | None, position: int) -> Named | None:
    """An entry of a batch is a write of its own, under its own name."""
    return whole and Named(hashlib.sha256(whole.name + b"entry %d" % position).digest(), whole.content)


def kept(answer: Answer) -> Kept | None:
    """The answer as it is kept, if it is one that asking again should get."""
    if answer.status >= 500 or answer.status in AGAIN:
        return None
    return Kept(answer.status, answer.headers, b"" if answer.body is None else write_json(answer.body))


def again(kept: Kept, *, shown: bool) -> Answer:
    """The answer that was given before, and a word that it is that one. Not `shown` where somebody in it may not be seen any
    more: then it says what became of the request, and holds no resource."""
    body = read_json(kept.body) if kept.body else None
    if not shown:
        body = _bare(body)
    return Answer(kept.status, body, kept.headers | {"idempotent-replayed": "true"})


def _bare(body: Any) -> Any:
    """As with `Prefer: return=minimal`: an outcome, and what a Bundle says of its entries."""
    match body:
        case {"resourceType": "OperationOutcome"}:
            return body
        case {"resourceType": "Bundle", "type": "transaction-response", "entry": entries}:
            return body | {"entry": [{key: entry[key] for key in entry if key != "resource"} for entry in entries]}
        case _:
            return None


class Refused405(Refusal):
    """The method is not for this resource."""

    code = "not-supported"

    def __init__(self, text: str, allow: tuple[str, ...]) -> None:
        super().__init__(text)
        self.allow = allow
        """The methods that are."""


def broken(fault: Exception, asked: Asked) -> Answer:
    # What broke is for the log by kind and place alone: its message could hold what was sent.
    what = next((type for type in asked.path[:1] if type in surface.SURFACE), "")
    where = "".join(traceback.format_tb(fault.__traceback__))
    log.error("%s %s broke: %s\n%s", asked.method, what, type(fault).__name__, where)
    issue = Issue("The server failed; the request was not carried out.", code="exception")
    return Answer(500, outcomes.outcome([issue]))


def refused(refusal: Refusal, asked: Asked) -> Answer:
    status = 405 if isinstance(refusal, Refused405) else outcomes.status_of(refusal)
    headers: dict[str, str] = {}
    if isinstance(refusal, Refused405):
        headers["allow"] = ", ".join(refusal.allow)
    # RFC 6750, 3: a request without a token is told the scheme alone, one with a bad token what is wrong with it.
    if isinstance(refusal, Unauthenticated):
        bad = ', error="invalid_token"' if refusal.key == "invalid_token" else ""
        headers["www-authenticate"] = f'Bearer realm="yuanshe"{bad}'
    elif isinstance(refusal, Forbidden) and refusal.key == "insufficient-scope":
        headers["www-authenticate"] = 'Bearer realm="yuanshe", error="insufficient_scope"'
    elif isinstance(refusal, UnsupportedMedia) and "content-encoding" in asked.headers:
        headers["accept-encoding"] = "gzip"
    if isinstance(refusal, TooMany):
        headers["retry-after"] = str(math.ceil(refusal.wait))
    elif isinstance(refusal, TooEarly):
        headers["retry-after"] = "1"
    elif isinstance(refusal, Unavailable):
        headers["retry-after"] = "2"
    issues = refusal.issues
    if asked.method in ("POST", "PUT", "PATCH") and status not in (401, 425, 429, 503):
        # A fault that lies nowhere in particular lies in the whole of what was sent.
        whole = next((part for part in asked.path[:1] if part in surface.SURFACE), "Bundle" if not asked.path else None)
        issues = tuple(issue if issue.at else msgspec.structs.replace(issue, at=whole) for issue in issues)
    return Answer(status, outcomes.outcome(issues), headers)


async def reply(send: Send, asked: Asked, answer: Answer) -> None:
    body = b"" if answer.body is None else write_json(answer.body)
    if ("_pretty", "true") in asked.query:
        body = msgspec.json.format(body, indent=2) if body else body
    headers = dict(answer.headers)
    if body:
        headers.setdefault("content-type", f"{asked.kind}; fhirVersion=4.0; charset=utf-8")
    if answer.pieces is None and answer.status not in (204, 304):
        headers["content-length"] = str(len(body))
    if asked.room:
        headers |= asked.room.headers
    headers["vary"] = "Accept, Authorization"
    headers.setdefault("cache-control", "no-store" if answer.status >= 400 else "private, no-cache, must-revalidate")
    await send(
        {
            "type": "http.response.start",
            "status": answer.status,
            "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()],
        }
    )  # pyright: ignore[reportArgumentType]
    if answer.pieces is not None and asked.method != "HEAD":
        async for piece in answer.pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    # Of an answer to HEAD the body is dropped further out (adapters/manners.py), where its packed length is known.
    await send({"type": "http.response.body", "body": body, "more_body": False})
