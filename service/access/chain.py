"""The audit chain: what each link's hash covers, and where a chain breaks."""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec

from service.access.model import AuditLine, Break, Link

GENESIS = bytes(32)
"""Stands before the first link."""

FORM = "yuanshe-audit-1"
"""Names the canonical form, so that a later form can be told from it."""

_encoder = msgspec.json.Encoder()


def canonical(line: AuditLine, position: int, chained_at: datetime) -> bytes:
    """A line as one JSON array in the order of AuditLine's fields: the same bytes wherever it is written down."""
    return _encoder.encode([FORM, position, chained_at, *msgspec.structs.astuple(line)])


def link(lines: Sequence[AuditLine], after: int, head: bytes, chained_at: datetime) -> list[Link]:
    """Chain the lines, in the order given, behind position `after` whose hash is `head`."""
    links: list[Link] = []
    for position, line in enumerate(lines, after + 1):
        digest = hashlib.sha256(head + canonical(line, position, chained_at)).digest()
        links.append(Link(line, position, chained_at, head, digest))
        head = digest
    return links


def first_break(links: Iterable[Link], after: int, head: bytes) -> Break | None:
    """The first of the consecutive links behind `after` that does not hold, if any."""
    for expected, found in enumerate(links, after + 1):
        if found.position != expected:
            return Break(expected, None, "the row at this position is missing")
        if found.previous_hash != head:
            return Break(found.position, found.line.id, "the row does not follow the one before it")
        if found.hash != hashlib.sha256(head + canonical(found.line, found.position, found.chained_at)).digest():
            return Break(found.position, found.line.id, "the row is not what was written")
        head = found.hash
    return None
