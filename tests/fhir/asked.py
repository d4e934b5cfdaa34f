"""How the tests of searching ask, and what they read from an answer."""

from typing import Any
from urllib.parse import parse_qsl

import msgspec
from fhir.resources.R4B.bundle import Bundle

from adapters.fhir.search import search
from service.access.model import Actor
from tests.fhir.world import World

BASE = "https://yuanshe.example/fhir"


async def ask(world: World, who: Actor, query: str, *, whole: bool = True, **how: Any) -> dict[str, Any]:
    """`Task?status=requested` as this reader asks it; the answer is a Bundle that others can read (unless what is stored is
    not `whole`)."""
    type, _, params = query.partition("?")
    found = await world.in_scope(
        who, lambda session: search(session, who, type, parse_qsl(params, keep_blank_values=True), BASE, **how)
    )
    if whole and "_summary" not in query and "_elements" not in query:
        Bundle.model_validate(msgspec.json.decode(msgspec.json.encode(found)))
    return found


def ids(bundle: dict[str, Any], mode: str = "match") -> set[str]:
    return {e["resource"]["id"] for e in bundle.get("entry", ()) if e["search"]["mode"] == mode}


def link(bundle: dict[str, Any], relation: str) -> str | None:
    return next((each["url"] for each in bundle["link"] if each["relation"] == relation), None)


def named(*found: Any) -> set[str]:
    return {str(each.id if hasattr(each, "id") else each) for each in found}
