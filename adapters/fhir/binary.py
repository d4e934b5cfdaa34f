"""Files over HTTP: a Binary comes and goes as it is or as FHIR JSON, and is shown to whoever may read what it belongs to."""

import base64
import binascii
import re
from collections.abc import AsyncIterator, Sequence
from datetime import datetime

import msgspec

from adapters.fhir import media, references, validation, wire
from adapters.fhir.render import Json, meta
from service.access.model import Actor
from service.db import Session
from service.errors import Invalid, Issue, Malformed, NotFound, Refusal
from service.practice import Practice
from service.records.media import SUFFIXES
from service.records.model import Attachment
from service.records.scanning import Verdict
from service.referrals import attachment_flow as attachments
from service.values import Id, read_json

CONTEXT = "x-security-context"
"""FHIR R4 binary.html#rest: what the header says of a file that comes as it is."""


class Sent(msgspec.Struct, frozen=True):
    """A Binary as FHIR JSON."""

    content_type: str = msgspec.field(name="contentType")
    data: str
    security_context: wire.Reference | None = msgspec.field(default=None, name="securityContext")


def comes_raw(headers: dict[str, str]) -> bool:
    """Whether the body of a create is the file itself: every media type but FHIR's JSON says so."""
    kind, _ = next(media.kinds(headers.get("content-type", media.FHIR_JSON)))
    return kind not in media.OURS


def largest(practice: Practice) -> int:
    """How long the body of a create may be: the file as base64 in its JSON."""
    return practice.attachment_octets * 4 // 3 + 10_000


async def create(
    session: Session, actor: Actor, body: bytes, headers: dict[str, str], id: Id, now: datetime, verdict: Verdict | None
) -> Attachment:
    """Keep a file, sent as it is (its type and what it belongs to stand in the headers) or as FHIR JSON."""
    content, declared, named = _sent(body, headers)
    with wire.within("Binary"):
        return await attachments.attach(session, actor, id, content, declared, _context(named), now, verdict)


async def examined(
    scanner: tuple[str, ...], practice: Practice, body: bytes, headers: dict[str, str]
) -> Verdict | None:  # fmt: skip
    """What the scanner says of a file that is sent; None for what is refused anyway."""
    try:
        content, declared, _ = _sent(body, headers)
    except Refusal:
        return None
    return await attachments.examined(scanner, practice, content, declared)


def _sent(body: bytes, headers: dict[str, str]) -> tuple[bytes, str, wire.Reference | None]:
    """The content, what its sender calls it, and what it belongs to."""
    if comes_raw(headers):
        return body, headers["content-type"], wire.Reference(reference=headers.get(CONTEXT))
    validation.check("Binary", read_json(body))
    sent = wire.decode(body, Sent, "Binary")
    return octets(sent.data, "Binary.data"), sent.content_type, sent.security_context


WAITING = Issue(
    "The file is kept and has not been scanned yet: nobody reads it before that (scan-pending).", "Binary", "informational", "warning"
)  # fmt: skip


def warnings(kept: Attachment) -> tuple[Issue, ...]:
    """What whoever sent a file has to know: that nobody can read it yet, themselves included."""
    return (WAITING,) if kept.scan == "pending" else ()


def waits(told: Sequence[Issue]) -> bool:
    return WAITING in told


def octets(text: str, at: str) -> bytes:
    """What base64 holds; blanks and line breaks in it are nothing. Raises Malformed."""
    try:
        return base64.b64decode(re.sub(r"\s", "", text), validate=True)
    except (binascii.Error, ValueError):
        raise Malformed("The data is not base64.", at=at, code="value") from None


def _context(named: wire.Reference | None) -> tuple[str, Id] | None:
    if named is None or named.reference is None:
        return None
    parsed = references.parse(named.reference)
    id = references.as_id(parsed[1]) if parsed else None
    if parsed is None or id is None:
        raise Invalid(
            "The security context names no resource of this server.", at="securityContext.reference", code="value"
        )
    return parsed[0], id


async def resource(session: Session, it: Attachment) -> Json:
    """A file as FHIR JSON."""
    content = await attachments.read(session, it)
    said: Json = {
        "resourceType": "Binary", "id": str(it.id), "meta": meta(1, it.at), "contentType": it.media_type,
        "securityContext": {"reference": _name(it)}, "data": base64.b64encode(content).decode(),
    }  # fmt: skip
    return {key: value for key, value in said.items() if value != {"reference": None}}


def _name(it: Attachment) -> str | None:
    return f"{it.context_type}/{it.context}" if it.context else None


def may_go_raw(method: str, path: tuple[str, ...]) -> bool:
    """Whether a request could be answered with a file as it is, in a media type of its own."""
    return method in ("GET", "HEAD") and path[:1] == ("Binary",) and len(path) == 2


def wanted_raw(headers: dict[str, str], query: list[tuple[str, str]]) -> frozenset[str]:
    """What a reader takes; nothing where it asks for FHIR's JSON (FHIR R4 binary.html#rest)."""
    wished = media.kinds(media.accepted(headers, query))
    kinds = frozenset(kind for kind, parameters in wished if media.weight(parameters))
    return frozenset() if kinds & media.OURS.keys() else kinds


async def found(session: Session, id: Id) -> Attachment:
    """What is known of a file. Raises NotFound, whether it is absent or not the reader's to see."""
    held = await attachments.find(session, [id])
    if not held:
        raise NotFound("There is no such resource, or it is not yours to see.")
    return held[0]


async def pieces(session: Session, it: Attachment) -> AsyncIterator[bytes]:
    """The content as it goes out."""
    content = await attachments.read(session, it)

    async def whole() -> AsyncIterator[bytes]:
        yield content

    return whole()


def fits(it: Attachment, kinds: frozenset[str]) -> bool:
    """Whether the file may be sent as it is to who takes these."""
    return not kinds.isdisjoint({"*/*", it.media_type, f"{it.media_type.partition('/')[0]}/*"})


def raw_headers(it: Attachment) -> dict[str, str]:
    """What goes with a file sent as it is: no browser shows it within a page of ours, or guesses what it is."""
    said = {
        "content-length": str(it.octets),
        "content-type": f"{it.media_type}; charset=utf-8" if it.media_type == "text/plain" else it.media_type,
        "content-disposition": f'attachment; filename="{it.id}{SUFFIXES[it.media_type]}"',
        "x-content-type-options": "nosniff",
        "content-security-policy": "sandbox; default-src 'none'",
    }
    return said | ({CONTEXT: name} if (name := _name(it)) else {})
