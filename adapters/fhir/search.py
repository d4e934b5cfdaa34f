"""Searches: what is asked is understood, the room answers in pages, and their links name nobody."""

import base64
import re
import uuid
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from adapters.fhir import asking, reading, references, rooms
from adapters.fhir.asking import PERSONAL_PAGE, Asked
from adapters.fhir.outcomes import information
from adapters.fhir.reading import Read
from adapters.fhir.render import Json
from adapters.fhir.surface import SURFACE
from service.access.model import Actor
from service.access.scopes import may
from service.db import Session
from service.db.finding import COUNT_MOST, After, Condition
from service.errors import Issue, Malformed, NotFound
from service.values import Id


async def search(
    session: Session,
    actor: Actor,
    type: str,
    params: Sequence[tuple[str, str]],
    base_url: str,
    *,
    handling_strict: bool = False,
) -> Json:
    """A searchset Bundle of what the reader's scope shows. `base_url`: of the FHIR surface, no slash at its end.

    An unknown parameter is ignored and left out of `self`; with `handling_strict` it is refused (Malformed, 400), as is a
    modifier or value that cannot be understood. `total` counts matches up to 10,000 and is left out beyond.
    """
    if type not in SURFACE:
        raise NotFound("This server has no resources of that type.", code="not-supported")
    asked = await asking.understood(session, actor, type, params)
    if asked.ignored and handling_strict:
        names = (
            ", ".join(name for name in asked.ignored if re.fullmatch(r"[_a-z][a-z:.\-]{0,40}", name)) or "one of them"
        )
        raise Malformed(f"These search parameters are not known for {type}: {names}.", code="not-supported")
    if actor.side in ("hospital", "agency") and SURFACE[type].room in OF_PERSONS and _wide(asked.conditions):
        asked.conditions.append(Condition(f"of-{actor.side}"))
    limit = PERSONAL_PAGE if asked.personal else asked.count
    room = rooms.room(session, actor, type)
    found = [] if asked.counting else await room.page(asked.conditions, limit + 1, asked.after, asked.order)
    more, found = len(found) > limit, found[:limit]
    if more and asked.personal:
        raise Malformed("This finds too many; narrow the search.", code="too-costly")
    total: int | None = len(found)
    if asked.total == "none" and not asked.counting:
        total = None
    elif more or asked.after or asked.counting:
        total = await room.count(asked.conditions)
        total = total if total <= COUNT_MOST else None
    entries = [_entry(base_url, each.body, "match") for each in found]
    entries += [_entry(base_url, body, "include") for body in await _included(session, actor, type, asked, found)]
    if asked.ignored:
        entries.append(_warning(asked.ignored))
    bundle: Json = {"resourceType": "Bundle", "id": str(uuid.uuid4()), "type": "searchset"}
    if total is not None:
        bundle["total"] = total
    bundle["link"] = [{"relation": "self", "url": _url(base_url, type, asked.used)}]
    if more:
        bundle["link"].append({"relation": "next", "url": _url(base_url, type, _next(asked, found[-1]))})
    if entries:
        bundle["entry"] = entries
    return bundle


OF_PERSONS = frozenset({"task", "request", "patient", "record"})
"""Rooms whose rows belong to one side and another: a wide search names the asker's own, so that an index finds them."""
NARROW = frozenset({"id", "patient", "number", "referral", "focus", "based-on"})
"""Fields by which an index finds the few rows that are meant, whoever asks."""


def _wide(conditions: Sequence[Condition]) -> bool:
    return not any(c.field in NARROW and c.test == "among" and not c.negated for c in conditions)


def _entry(base_url: str, body: Json, mode: str) -> Json:
    return {"fullUrl": f"{base_url}/{body['resourceType']}/{body['id']}", "resource": body, "search": {"mode": mode}}


def _warning(ignored: list[str]) -> Json:
    text = f"{len(ignored)} search parameter(s) are not known here and were ignored; see self."
    said = information([Issue(text, code="not-supported", severity="warning")])
    return {"fullUrl": f"urn:uuid:{uuid.uuid4()}", "resource": said, "search": {"mode": "outcome"}}


def _url(base_url: str, type: str, params: Sequence[tuple[str, str]]) -> str:
    query = urlencode(params, quote_via=quote, safe=":/,")
    return f"{base_url}/{type}{'?' if query else ''}{query}"


def _next(asked: Asked, last: Read) -> list[tuple[str, str]]:
    at = last.last_modified.isoformat() if asked.order.by_change else None
    cursor = base64.urlsafe_b64encode(msgspec.json.encode(After(last.body["id"], at))).decode().rstrip("=")
    return [*(pair for pair in asked.used if pair[0] != "_cursor"), ("_cursor", cursor)]


async def _included(session: Session, actor: Actor, type: str, asked: Asked, found: Sequence[Read]) -> list[Json]:
    """What the matches reference by the elements asked for, as far as the reader may see it and its token may read it."""
    own = {(type, each.body["id"]) for each in found}
    wanted: dict[str, dict[Id, None]] = {}
    for include in asked.includes:
        for each in found:
            for name in _named(each.body, SURFACE[type].includes[include]):
                parsed = references.parse(name)
                if parsed and parsed not in own and parsed[0] in SURFACE and (id := references.as_id(parsed[1])):
                    wanted.setdefault(parsed[0], {})[id] = None
    included: list[Json] = []
    for target, ids in wanted.items():
        if may(actor, target, "r"):
            included += [each.body for each in await reading.many(session, actor, target, list(ids))]
    return included


def _named(value: Any, path: Sequence[str]) -> list[str]:
    """The references at the end of a path of elements."""
    if isinstance(value, list):
        return [name for each in value for name in _named(each, path)]
    if not isinstance(value, dict):
        return []
    if path:
        return _named(value.get(path[0]), path[1:])
    return [value["reference"]] if isinstance(value.get("reference"), str) else []
