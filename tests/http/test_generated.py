"""Requests made from the table of the surface, likely and unlikely ones: none breaks the service, none that is refused stores."""

import json
import os
import uuid
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.fhir.definitions import SHAPES
from adapters.fhir.rows import Type
from adapters.fhir.surface import SURFACE
from adapters.fhir.ways import SYSTEM, Way
from tests.fhir.samples import least
from tests.http.test_robustness import ASYNC, Stored, assert_in_form, spoils, spoilt
from tests.http.world import FHIR_JSON, World, submission

MANY = 2_000 if os.environ.get("YUANSHE_TEST_ALL") else 300
PARTIES = ("his-a", "his-b", "agency-a", "agency-b", "platform", "auditor")
WORDS = (
    "",
    "x",
    "陈素芬",
    "%00",
    "%2E%2E",
    "a" * 65,
    "$nothing",
    "_history",
    "*",
    "-1",
    "0",
    "1",
    "2",
    "99999999999999999999",
)
PREFIXES = ("", "eq", "ne", "gt", "ge", "lt", "le", "sa", "eb", "ap", "xx")
MODIFIERS = (
    "",
    ":not",
    ":missing",
    ":exact",
    ":contains",
    ":identifier",
    ":Patient",
    ":below",
    ":x",
    ":",
    ".identifier",
    ".x.y",
)
VALUES = (
    "", "true", "false", "requested", "urn:yuanshe:need|N05", "|N05", "N05|", "a,b", "\\,", "|", "2026", "2026-11", "2026-11-22T03:00:00Z",
    "9999-99-99", "2026-11-22T25:00:00+99:99", "陈", "%", "_", "'; --", "Patient/x", "http://elsewhere.example/Patient/1", "\0", "1" * 300,
)  # fmt: skip
RESULTS = {
    "_count": ("0", "1", "200", "-1", "x", "99999999999"), "_sort": ("_id", "-_lastUpdated", "status", "a,b", "-"),
    "_total": ("none", "accurate", "x"), "_summary": ("true", "count", "text", "data", "false", "x"), "_elements": ("status", "id,meta", "x", ""),
    "_include": ("Task:focus", "Task:*", "*", "x", "Task:focus:Patient"), "_revinclude": ("Task:focus", "x:y", "*"), "_format": ("json", "xml", "x"),
    "_has:Task:patient:status": ("requested", "x"), "_has:x": ("y",), "_since": ("2026-11-22T03:00:00Z", "x"), "_type": ("Task", "Task,x", ""),
    "_cursor": ("x", "e30"), "mode": ("create", "update", "delete", "x"), "profile": ("x", "http://hl7.org/fhir/StructureDefinition/Task"),
    "_at": ("2026",), "_pretty": ("true",), "_outputFormat": ("ndjson", "csv"), "x": ("y",),
}  # fmt: skip
HEADERS = {
    "prefer": ("return=minimal", "return=OperationOutcome", "handling=strict", "respond-async", "x", "return="),
    "if-match": ('W/"1"', 'W/"9"', "*", "x"), "if-none-match": ('W/"1"', "*", "x"), "if-modified-since": ("Sun, 22 Nov 2026 03:00:00 GMT", "x"),
    "if-none-exist": ("identifier=a|b", "_id=x", "x=y", ""), "accept": (FHIR_JSON, "application/fhir+xml", "text/html", "*/*;q=0", "x"),
    "accept-encoding": ("gzip", "identity;q=0", "br"), "x-correlation-id": ("x", "y" * 300), "content-encoding": ("gzip", "br"),
    "range": ("bytes=0-1",), "origin": ("https://elsewhere.example",), "content-type": ("text/plain", FHIR_JSON, "application/json-patch+json"),
}  # fmt: skip
BODIES: tuple[Any, ...] = (
    None, [], {}, "", {"resourceType": "Bundle", "type": "batch"}, {"resourceType": "Parameters"},
    [{"op": "replace", "path": "/status", "value": "accepted"}], [{"op": "test", "path": "/status", "value": "x"}],
    [{"op": "remove", "path": "/status"}], [{"op": "x"}],
)  # fmt: skip


class Ground:
    """A network in which something has happened, with the ids of what there is."""

    def __init__(self, world: World, stored: Stored) -> None:
        self.world = world
        self.stored = stored
        self.ids: dict[str, list[str]] = {}
        self.held: dict[str, Any] = {}

    async def look(self) -> None:
        for party in PARTIES:
            for type in SURFACE:
                found = await self.world.party(party).get(f"{type}?_count=5")
                for entry in found.get("entry", ()):
                    resource = entry["resource"]
                    if resource["resourceType"] == type:
                        self.ids.setdefault(type, []).append(resource["id"])
                        self.held[type] = resource


@pytest.fixture
async def ground(world: World) -> Any:
    referred = await world.refer("N05")
    await world.accepted(referred)
    await world.refer("N06", "N17")
    await world.refer("N05", by="his-b")
    stored = await Stored.on(world.clone.owner_dsn)
    made = Ground(world, stored)
    await made.look()
    yield made
    await stored.close()


def word(data: st.DataObject, type: str, ground: Ground) -> str:
    known = [*ground.ids.get(type, ()), *ground.ids.get(type, ()), str(uuid.UUID(int=7)), *WORDS]
    return data.draw(st.sampled_from(known))


def address(data: st.DataObject, type: str, way: Way, ground: Ground) -> str:
    """An address of this way, at one of its levels, with a word of some kind where it takes any."""
    level = data.draw(st.sampled_from(way.levels))
    parts = {"system": [], "type": [type], "instance": [type, word(data, type, ground)]}[level]
    parts += [
        word(data, type, ground) if each == "*" and data.draw(st.booleans()) else "Task" if each == "*" else each
        for each in way.words
    ]
    return "/".join(part for part in parts if part != "\0")


def query(data: st.DataObject, surface: Type | None, ground: Ground) -> str:
    names = ["_id", *(param.name for param in surface.params)] if surface else ["_id"]
    pairs: list[str] = []
    for _ in range(data.draw(st.integers(0, 3))):
        if data.draw(st.booleans()):
            name = data.draw(st.sampled_from(sorted(RESULTS)))
            value = data.draw(st.sampled_from(RESULTS[name]))
        else:
            name = data.draw(st.sampled_from(names)) + data.draw(st.sampled_from(MODIFIERS))
            known = [f"{type}/{ids[0]}" for type, ids in ground.ids.items()]
            value = data.draw(st.sampled_from(PREFIXES)) + data.draw(st.sampled_from([*VALUES, *known]))
        pairs.append(
            f"{name}={value.replace('%', '%25').replace('&', '%26').replace('#', '%23').replace(chr(0), '%00')}"
        )
    return "?" + "&".join(pairs) if pairs else ""


def body(data: st.DataObject, type: str, ground: Ground) -> Any:
    kinds: list[Any] = [*BODIES, submission("N05"), least(SHAPES[type]) if type in SHAPES else {"resourceType": type}]
    kinds += [ground.held[type]] * 3 if type in ground.held else []
    chosen = data.draw(st.sampled_from(kinds))
    return spoilt(chosen, data.draw(spoils())) if chosen and data.draw(st.booleans()) else chosen


@settings(ASYNC, max_examples=MANY)
@given(data=st.data())
@pytest.mark.timeout(900)
async def test_none_breaks_the_service_and_none_that_is_refused_stores(ground: Ground, data: st.DataObject) -> None:
    type = data.draw(st.sampled_from([*SURFACE, "Medication", "nothing"]))
    surface = SURFACE.get(type)
    way = data.draw(st.sampled_from([*(surface.ways if surface else ()), *SYSTEM]))
    usual = data.draw(st.integers(0, 9)) > 0
    method = data.draw(
        st.sampled_from(way.methods if usual else ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"))
    )
    path = address(data, type, way, ground) + query(data, surface, ground)
    sent = body(data, type, ground) if method in ("POST", "PUT", "PATCH") else None
    headers = {
        name: data.draw(st.sampled_from(HEADERS[name]))
        for name in data.draw(st.sets(st.sampled_from(sorted(HEADERS)), max_size=2))
    }
    kind = headers.pop("content-type", "application/json-patch+json" if method == "PATCH" else FHIR_JSON)
    content: str | bytes | None = json.dumps(sent).encode() if method in ("POST", "PUT", "PATCH") else None
    if path.partition("?")[0].endswith("_search"):
        kind, content = "application/x-www-form-urlencoded", path.partition("?")[2]
    party = data.draw(st.sampled_from(PARTIES))
    before = await ground.stored.now()
    answer = await ground.world.party(party).ask(method, path, content, kind=kind, **headers)
    assert answer.status < 500, (party, method, path, answer)
    if method != "HEAD" and answer.headers.get("content-type", FHIR_JSON).startswith(FHIR_JSON):
        assert_in_form(answer)
    if answer.status >= 400:
        assert await ground.stored.now() == before, (party, method, path, answer)
