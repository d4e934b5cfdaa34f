"""`Patient/{id}/$everything`: what there is about one person, as far as the reader may see it (FHIR R4 patient-operation-everything)."""

import uuid
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from adapters.fhir import dates, paging, reading, search
from adapters.fhir.render import Json
from adapters.fhir.surface import SURFACE
from service.access.model import Actor
from service.access.scopes import may
from service.db import Session
from service.db.finding import Condition
from service.errors import Malformed, NotFound
from service.patients import finding as patient_finding
from service.values import Id

PAGE = 100
"""Resources of a page, unasked."""
COMPARTMENT = tuple(sorted(name for name, type in SURFACE.items() if (param := type.param("patient")) and param.kind == "reference"))  # fmt: skip
"""The types that are about a person by their parameter `patient`."""


class Wish(msgspec.Struct):
    """What is asked for. `types`: those that are left; `rest`: the query of the first one's next page."""

    types: tuple[str, ...]
    since: str | None = None
    count: int = PAGE
    rest: str | None = None
    begun: bool = False


async def everything(
    session: Session, actor: Actor, id: Id, words: Sequence[tuple[str, str]], base_url: str, *, strict: bool = False
) -> Json:
    """A searchset: the Patient, then type by type what names them as its patient. Raises NotFound unless the reader sees the
    person themselves: an agency, only while their identity is disclosed to it; Malformed."""
    if not await patient_finding.patients(session, [Condition("id", (id,))], 1):
        raise NotFound(reading.ABSENT)
    asked, used = _understood(words, strict)
    found: list[Json] = []
    if not asked.begun and "Patient" in asked.types:
        found += await _matches(session, actor, "Patient", [("_id", str(id)), *_of(asked)], base_url)
    types = [name for name in COMPARTMENT if name in asked.types and _readable(actor, name)]
    rest: tuple[str, str] | None = None
    while types and rest is None:
        room = asked.count - len(found)
        if room <= 0:
            rest = (types[0], asked.rest or "")
            break
        # What a link says is never believed of whom it is about.
        given = [("patient", str(id)), *(p for p in parse_qsl(asked.rest or "") if p[0] == "_cursor"), *_of(asked)]
        page = await search.search(session, actor, types[0], [*given, ("_count", str(room))], base_url, carried=True)
        found += [entry for entry in page.get("entry", ()) if entry["search"]["mode"] == "match"]
        following = next((link["url"] for link in page["link"] if link["relation"] == "next"), None)
        asked.rest = None
        if following:
            rest = (types[0], following.partition("?")[2])
        else:
            types.pop(0)
    bundle: Json = {"resourceType": "Bundle", "id": str(uuid.uuid4()), "type": "searchset"}
    if rest is None and not asked.begun:
        bundle["total"] = len(found)
    bundle["link"] = paging.links(f"{base_url}/Patient/{id}/$everything", used, rest)
    if found:
        bundle["entry"] = found
    return bundle


def _readable(actor: Actor, type: str) -> bool:
    return actor.side in SURFACE[type].who and may(actor, type, "s") and may(actor, type, "r")


async def _matches(
    session: Session, actor: Actor, type: str, given: list[tuple[str, str]], base_url: str
) -> list[dict[str, Any]]:
    page = await search.search(session, actor, type, given, base_url)
    return [entry for entry in page.get("entry", ()) if entry["search"]["mode"] == "match"]


def _of(asked: Wish) -> list[tuple[str, str]]:
    since = [("_lastUpdated", f"ge{asked.since}")] if asked.since else []
    return [*since, ("_sort", "_id"), ("_total", "none")]


def _understood(words: Sequence[tuple[str, str]], strict: bool) -> tuple[Wish, list[tuple[str, str]]]:
    """What is asked, and the parameters that counted. Raises Malformed."""
    asked = Wish(tuple(SURFACE))
    used: list[tuple[str, str]] = []
    for name, value in words:
        match name:
            case "_since":
                dates.condition("changed", f"ge{value}", "_since")
                asked.since = value
            case "_type":
                asked.types = tuple(value.split(","))
                if not set(asked.types) <= SURFACE.keys():
                    raise Malformed("_type names types that this server does not have.", code="not-supported")
            case "_count":
                asked.count = paging.size(value, least=1)
            case "_cursor":
                _resume(asked, value)
            case "_format" | "_pretty":
                continue
            case "start" | "end":
                raise Malformed(f"{name} is not taken here; use _since and _type.", code="not-supported")
            case _ if strict:
                raise Malformed("$everything takes _since, _type and _count.", code="not-supported")
            case _:
                continue
        used.append((name, value))
    return asked, used


def _resume(asked: Wish, cursor: str) -> None:
    type, asked.rest = paging.place(cursor, tuple[str, str])
    if type not in COMPARTMENT:
        raise paging.strange()
    first = COMPARTMENT.index(type)
    asked.begun = True
    asked.types = tuple(name for name in asked.types if name in COMPARTMENT and COMPARTMENT.index(name) >= first)
