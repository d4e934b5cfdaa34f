"""If-None-Exist: what is stored already and fits, so that nothing new is made."""

from typing import Any
from urllib.parse import parse_qsl

from adapters.fhir import references, search
from service.access.model import Actor
from service.access.scopes import may
from service.db import Session
from service.errors import Forbidden, Malformed, Stale
from service.values import Id


async def existing(
    session: Session, actor: Actor, type: str, query: str, at: str | None = None
) -> tuple[Id, int] | None:
    """Id and version of the one resource that the condition finds; None when there is none.

    `query` is a search as after the `?`. Raises Stale (412) when several fit, Malformed for a condition that says nothing
    or that cannot be understood: everything would fit it; Forbidden where the token may not search.
    """
    if not may(actor, type, "s"):
        raise Forbidden(
            f"The token's scopes do not allow a condition on {type}: it is a search.", at=at, key="insufficient-scope"
        )
    params = [
        pair
        for pair in parse_qsl(query.partition("?")[2] if "?" in query else query)
        if pair[0][:1] != "_" or pair[0] == "_id"
    ]
    if not params:
        raise Malformed("If-None-Exist is a search, as identifier=system|value.", at=at)
    found = await search.search(session, actor, type, [*params, ("_count", "2")], "", handling_strict=True)
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
