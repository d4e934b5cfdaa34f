"""How requests are taken and answered over HTTP: heads and bodies read, media types agreed on, refusals put as outcomes."""

import logging
import re
import traceback
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from litestar.types import Receive, Send

from adapters.fhir import outcomes, surface, wire
from service.errors import Issue, NotAcceptable, Refusal, TooLarge, Unauthenticated, Unavailable, UnsupportedMedia
from service.notices.reach import Network
from service.values import write_json

log = logging.getLogger(__name__)

FHIR_JSON = "application/fhir+json"
JSON = frozenset({FHIR_JSON, "application/json"})
PATCH = frozenset({"application/json-patch+json"})
FORM = "application/x-www-form-urlencoded"


class Asked(msgspec.Struct):
    """A request, read as far as its head goes."""

    method: str
    path: tuple[str, ...]
    query: list[tuple[str, str]]
    headers: dict[str, str]
    base: str
    body: bytes = b""
    networks: tuple[Network, ...] = ()

    def prefers(self, key: str) -> str | None:
        found = re.search(rf"\b{key}=([A-Za-z\-]+)", self.headers.get("prefer", ""))
        return found.group(1) if found else None


class Answer(msgspec.Struct):
    """What goes back."""

    status: int
    body: Any = None
    headers: dict[str, str] = {}


def head(scope: Any, base_url: str) -> Asked:
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    path = scope["path"]
    path = path[len("/fhir") :] if path.startswith("/fhir") else path
    query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    return Asked(scope["method"], tuple(part for part in path.split("/") if part), query, headers, f"{base_url}/fhir")


async def received(asked: Asked, receive: Receive) -> bytes:
    length = asked.headers.get("content-length", "")
    if length.isascii() and length.isdigit() and (len(length) > 9 or int(length) > wire.LARGEST):
        raise TooLarge(f"A body has at most {wire.LARGEST} octets.")
    chunks: list[bytes] = []
    size = 0
    while True:
        message: Any = await receive()
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > wire.LARGEST:
            raise TooLarge(f"A body has at most {wire.LARGEST} octets.")
        chunks.append(chunk)
        if not message.get("more_body"):
            return b"".join(chunks)


def acceptable(asked: Asked) -> None:
    format = next((value for key, value in asked.query if key == "_format"), None)
    # In a URL a bare plus is a blank: `_format=application/fhir+json`.
    accepted = format.replace(" ", "+") if format else asked.headers.get("accept") or "*/*"
    kinds = {kind.split(";")[0].strip().lower() for kind in accepted.split(",")}
    if not kinds & (JSON | {"*/*", "application/*", "json", "text/json"}):
        raise NotAcceptable("This server answers application/fhir+json only.")


def readable(asked: Asked) -> None:
    kind = asked.headers.get("content-type", "").split(";")[0].strip().lower()
    searching = asked.path[-1:] == ("_search",)
    wanted = frozenset({FORM}) if searching else PATCH if asked.method == "PATCH" else JSON
    if kind not in wanted:
        raise UnsupportedMedia(f"Send this as {' or '.join(sorted(wanted))}.")


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
    if isinstance(refusal, Unauthenticated):
        headers["www-authenticate"] = 'Bearer realm="yuanshe"'
    if isinstance(refusal, Unavailable):
        headers["retry-after"] = "2"
    issues = refusal.issues
    if asked.method in ("POST", "PUT", "PATCH") and status not in (401, 503):
        # A fault that lies nowhere in particular lies in the whole of what was sent.
        whole = next((part for part in asked.path[:1] if part in surface.SURFACE), "Bundle" if not asked.path else None)
        issues = tuple(issue if issue.at else msgspec.structs.replace(issue, at=whole) for issue in issues)
    return Answer(status, outcomes.outcome(issues), headers)


async def reply(send: Send, asked: Asked, answer: Answer) -> None:
    body = b"" if answer.body is None else write_json(answer.body)
    headers = dict(answer.headers)
    if body:
        headers["content-type"] = f"{FHIR_JSON}; charset=utf-8"
    headers["content-length"] = str(len(body))
    headers.setdefault("cache-control", "no-store" if answer.status >= 400 else "private, no-cache")
    for echoed in ("x-request-id", "x-correlation-id"):
        if (value := asked.headers.get(echoed)) and len(value) <= 200 and value.isprintable():
            headers[echoed] = value
    await send(
        {
            "type": "http.response.start",
            "status": answer.status,
            "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()],
        }
    )  # pyright: ignore[reportArgumentType]
    await send({"type": "http.response.body", "body": b"" if asked.method == "HEAD" else body, "more_body": False})
