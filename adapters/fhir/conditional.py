"""Conditions: a search in place of an id, which one resource meets, or none, and never several."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import parse_qsl

from adapters.fhir import references, search
from service.access.model import Actor
from service.access.scopes import may
from service.db import Session, turns
from service.errors import Forbidden, Malformed, Stale
from service.values import Id

OF_THE_ANSWER = frozenset({"_format", "_pretty", "_count", "_sort", "_total", "_summary", "_elements"})
"""What says how a search is answered, and nothing of what fits."""
PLAIN = (("_count", "2"), ("_sort", "_id"))
"""Two are enough to know of several; not by time of change, which would leave out what was written a moment ago."""


async def existing(
    session: Session, actor: Actor, type: str, query: str, at: str | None = None, *, waiting: bool = True
) -> tuple[Id, int] | None:
    """Id and version of the one resource that the condition finds; None when there is none.

    `query` is a search as after the `?`. Who asks the same at the same time waits for this transaction's end (`waiting`),
    so that of several of them one creates and the others find. Raises Stale (412) when several fit, Malformed for a
    condition that says nothing or that cannot be understood: everything would fit it; Forbidden where the token may not
    search.
    """
    if not may(actor, type, "s"):
        raise Forbidden(
            f"The token's scopes do not allow a condition on {type}: it is a search.", at=at, key="insufficient-scope"
        )
    given = parse_qsl(query.partition("?")[2] if "?" in query else query, keep_blank_values=True)
    params = sorted(pair for pair in given if pair[0] not in OF_THE_ANSWER)
    if not params or not all(value for _, value in params):
        raise Malformed("A condition is a search, as identifier=system|value.", at=at)
    if waiting:
        await turns.wait(session, str(actor.organization), type, *(word for pair in params for word in pair))
    try:
        found = await search.search(session, actor, type, [*params, *PLAIN], "", handling_strict=True)
    except Malformed as fault:
        raise Malformed(str(fault), at=at, code=fault.issues[0].code) from None
    matches: list[dict[str, Any]] = [
        entry["resource"] for entry in found.get("entry", ()) if entry["search"]["mode"] == "match"
    ]
    if len(matches) > 1:
        raise Stale("Several resources fit the condition; nothing was made.", at=at, code="multiple-matches")
    if not matches:
        return None
    id = references.as_id(matches[0]["id"])
    assert id is not None
    return id, int(matches[0]["meta"]["versionId"])


_TAGS = re.compile(r'(?:W/)?"([^"]*)"')


def same(etag: str, modified: datetime, headers: Mapping[str, str]) -> bool:
    """Whether the asker has this version already: `If-None-Match` names it (weakly compared) or says `*`; or, where that is
    not sent, it did not change after `If-Modified-Since`, to the second (RFC 9110, 13.1.2 and 13.1.3). A time that cannot be
    read is as if it were not sent."""
    if (named := headers.get("if-none-match")) is not None:
        return named.strip() == "*" or etag.removeprefix("W/").strip('"') in _TAGS.findall(named)
    since = _moment(headers.get("if-modified-since", ""))
    return since is not None and modified.replace(microsecond=0) <= since


def _moment(text: str) -> datetime | None:
    """A date of HTTP; in an entry of a Bundle it is an instant of FHIR."""
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            found = read(text)
        except ValueError:
            continue
        return found if found.tzinfo else found.replace(tzinfo=UTC)
    return None
