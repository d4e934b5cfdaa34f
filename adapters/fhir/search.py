"""Searches: what is asked is understood, the room answers in pages, and their links name nobody."""

import re
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta

from adapters.fhir import asking, including, paging, rooms, shaping, steady
from adapters.fhir.asking import PERSONAL_PAGE, Search
from adapters.fhir.outcomes import information
from adapters.fhir.render import Json
from adapters.fhir.surface import SURFACE
from service.access.model import Actor
from service.db import Session
from service.db.finding import COUNT_MOST, After, Condition
from service.db.horizon import horizon
from service.errors import Issue, Malformed, NotFound


async def search(
    session: Session,
    actor: Actor,
    type: str,
    params: Sequence[tuple[str, str]],
    base_url: str,
    *,
    handling_strict: bool = False,
    carried: bool = False,
) -> Json:
    """A searchset Bundle of what the reader's scope shows. `base_url`: of the FHIR surface, no slash at its end.

    An unknown parameter is ignored and left out of `self`; with `handling_strict` it is refused (Malformed, 400), as is a
    modifier or value that cannot be understood. `total` counts matches up to 10,000 and is left out beyond.
    `carried`: the answer is made to be carried away, so what is sealed is left out of it.
    """
    if type not in SURFACE:
        raise NotFound("This server has no resources of that type.", code="not-supported")
    asked = asking.understood(actor, type, params)
    if asked.ignored and handling_strict:
        raise _unknown(type, asked.ignored)
    if carried and SURFACE[type].room == "record":
        asked.conditions.append(Condition("carried"))
    if actor.side in ("hospital", "agency") and SURFACE[type].room in OF_PERSONS and _wide(asked.conditions):
        asked.conditions.append(Condition(f"of-{actor.side}"))
        if SURFACE[type].room in ("task", "request") and (since := _since(session, asked.conditions)):
            asked.conditions.append(Condition("since", (since,)))
    follows = asking.follows(asked.conditions)
    asked.before = await _before(session, type, asked, follows)
    if asked.before and follows:
        asked.conditions.append(Condition("changed", (asked.before,), "lt"))
    limit = PERSONAL_PAGE if asked.personal else asked.count
    room = rooms.room(session, actor, type)
    found = [] if asked.counting else await _page(session, type, room, asked, limit + 1, follows)
    more, found = len(found) > limit, found[:limit]
    if more and asked.personal:
        raise Malformed("This finds too many; narrow the search.", code="too-costly")
    total: int | None = len(found)
    if asked.total == "none" and not asked.counting:
        total = None
    elif more or asked.after or asked.counting:
        total = await room.count(asked.conditions)
        total = total if total <= COUNT_MOST else None
    # The entries are made whole first: what is left out of a body can be the reference that an include follows.
    included, cut = await including.included(session, actor, type, asked, [each.read.body for each in found])
    entries = [_entry(base_url, shaping.shaped(each.read.body, asked.shape), "match") for each in found]
    entries += [_entry(base_url, shaping.shaped(body, asked.shape.of_included), "include") for body in included]
    if cut:
        entries.append(_outcome(f"Of what is included only {including.MOST} are shown.", "incomplete"))
    if asked.ignored:
        text = f"These search parameters are not known for {type} and were ignored: {_names(asked.ignored)}. See self."
        entries.append(_outcome(text, "not-supported"))
    bundle: Json = {"resourceType": "Bundle", "id": str(uuid.uuid4()), "type": "searchset"}
    if total is not None:
        bundle["total"] = total
    bundle["link"] = paging.links(f"{base_url}/{type}", asked.used, _behind(asked, found[-1]) if more else None)
    if entries:
        bundle["entry"] = entries
    return bundle


OF_PERSONS = frozenset({"task", "request", "patient", "record"})
"""Rooms whose rows belong to one side and another: a wide search names the asker's own, so that an index finds them."""
NARROW = frozenset({"id", "patient", "number", "referral", "focus", "based-on"})
"""Fields by which an index finds the few rows that are meant, whoever asks."""


def _wide(conditions: Sequence[Condition]) -> bool:
    return not any(
        c.field in NARROW and c.test == "among" and not c.negated and all(inner.few for inner in c.chosen)
        for c in conditions
    )


RECENT = timedelta(days=2)
"""Of so little time what has changed is best found by its versions; of more, among everything that there is."""


def _since(session: Session, conditions: Sequence[Condition]) -> datetime | None:
    """The time since which whatever fits has changed, if they say one that is not long ago."""
    lows = [
        c.values[0] for c in conditions if c.field == "changed" and c.test in ("gt", "ge", "within") and not c.negated
    ]
    return next((low for low in lows if low > session.began - RECENT), None)


async def _before(session: Session, type: str, asked: Search, follows: bool) -> datetime | None:
    """The horizon of a search that depends on times of change: that of its first page on all that follow, whatever they are
    sorted by. Otherwise what changes meanwhile could show a later time than something that is not shown."""
    if asked.after and asked.after.before:
        return datetime.fromisoformat(asked.after.before)
    named = any(each.field == "id" and each.test == "among" and not each.chosen for each in asked.conditions)
    sorted_by_it = asked.order.by_change and not named and SURFACE[type].param("_lastUpdated") is not None
    return await horizon(session) if sorted_by_it or follows else None


async def _page(
    session: Session, type: str, room: rooms.Room, asked: Search, limit: int, follows: bool
) -> list[steady.Placed]:
    """One page. Who follows changes finds a resource that changed meanwhile with what changed next; in a list that is only
    sorted by change it keeps its place."""
    if asked.before and not follows:
        return await steady.page(session, type, room, asked.conditions, limit, asked.after, asked.order, asked.before)
    found = await room.page(asked.conditions, limit, asked.after, asked.order)
    return [steady.Placed(each.last_modified, each) for each in found]


def _entry(base_url: str, body: Json, mode: str) -> Json:
    return {"fullUrl": f"{base_url}/{body['resourceType']}/{body['id']}", "resource": body, "search": {"mode": mode}}


def _outcome(text: str, code: str) -> Json:
    said = information([Issue(text, code=code, severity="warning")])
    return {"fullUrl": f"urn:uuid:{uuid.uuid4()}", "resource": said, "search": {"mode": "outcome"}}


def _unknown(type: str, ignored: Sequence[str]) -> Malformed:
    text = f"These search parameters are not known for {type}: {_names(ignored)}."
    if any(name.count(".") > 1 or name.count("_has") > 1 for name in ignored):
        text += " A chain goes one step."
    return Malformed(text, code="not-supported")


def _names(ignored: Sequence[str]) -> str:
    """The names that could be those of parameters: what else was sent may be anything."""
    names = dict.fromkeys(name for name in ignored if re.fullmatch(r"[_A-Za-z][_A-Za-z:.\-]{0,80}", name))
    return ", ".join(names) or "one of them"


def _behind(asked: Search, last: steady.Placed) -> After:
    at = last.at.isoformat() if asked.order.by_change else None
    return After(last.read.body["id"], at, asked.before.isoformat() if asked.before else None)
