"""What comes along with the matches of a search: `_include`, what they reference; `_revinclude`, what references them."""

from collections.abc import Sequence
from typing import Any

from adapters.fhir import asking, reading, rooms
from adapters.fhir.asking import Search
from adapters.fhir.references import as_id, parse
from adapters.fhir.render import Json
from adapters.fhir.surface import SURFACE
from service.access.model import Actor
from service.access.scopes import may
from service.db import Session
from service.db.finding import Condition, Order
from service.values import Id

MOST = 1000
"""Included resources of a page."""


async def included(
    session: Session, actor: Actor, type: str, asked: Search, found: Sequence[Json]
) -> tuple[list[Json], bool]:
    """The resources that come along, each once and none that is a match, as far as the reader may see them and its token may
    read (`_revinclude`: search) them; and whether there are more. One statement for each type and parameter."""
    known = {(type, body["id"]) for body in found}
    bodies: list[Json] = []
    for target, ids in _wanted(type, asked, found, known).items():
        if actor.side in SURFACE[target].who and may(actor, target, "r"):
            bodies += [each.body for each in await reading.many(session, actor, target, ids[: MOST + 1])]
    known |= {(body["resourceType"], body["id"]) for body in bodies}
    names = ",".join(f"{type}/{body['id']}" for body in found)
    for source, name in asked.revincludes if found else ():
        param = SURFACE[source].param(name)
        assert param is not None
        if actor.side not in SURFACE[source].who or not may(actor, source, "s"):
            continue
        conditions = [asking.condition(actor, source, param, "", names)]
        if SURFACE[source].room == "record":
            conditions.insert(0, Condition("type", (source,)))
        for each in await rooms.room(session, actor, source).page(conditions, MOST + 1, None, Order()):
            if (source, each.body["id"]) not in known:
                known.add((source, each.body["id"]))
                bodies.append(each.body)
    return bodies[:MOST], len(bodies) > MOST


def _wanted(type: str, asked: Search, found: Sequence[Json], known: set[tuple[str, str]]) -> dict[str, list[Id]]:
    """By type, the ids that the matches reference by the elements asked for."""
    wanted: dict[str, dict[Id, None]] = {}
    for name, only in asked.includes:
        for body in found:
            for reference in named(body, SURFACE[type].includes[name]):
                parsed = parse(reference)
                if not parsed or parsed in known or parsed[0] not in SURFACE or only not in ("", parsed[0]):
                    continue
                if (id := as_id(parsed[1])) is not None:
                    wanted.setdefault(parsed[0], {})[id] = None
    return {target: list(ids) for target, ids in wanted.items()}


def named(value: Any, path: Sequence[str]) -> list[str]:
    """The references at the end of a path of elements."""
    if isinstance(value, list):
        return [name for each in value for name in named(each, path)]
    if not isinstance(value, dict):
        return []
    if path:
        return named(value.get(path[0]), path[1:])
    return [value["reference"]] if isinstance(value.get("reference"), str) else []
