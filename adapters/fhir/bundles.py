"""Bundles: a transaction as one, and its answers."""

from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

from adapters.fhir import conditional, outcomes, reading, references, search, submission, wire, writing
from adapters.fhir.submission import Stored
from adapters.fhir.surface import SURFACE
from service.access.model import Actor
from service.access.scopes import may
from service.db import Session
from service.errors import Forbidden, Invalid, Malformed, NotFound, TooLarge
from service.values import new_id

MOST_ENTRIES = 200
ORDER = ("DELETE", "POST", "PUT", "PATCH", "GET", "HEAD")
"""FHIR: the order in which a transaction's entries take effect, whatever their order in the Bundle."""
FIRST = ("Patient", "Encounter")


def read(body: bytes) -> wire.Bundle:
    kind = wire.decode(body, wire.Kind, "Bundle")
    if kind.resource_type != "Bundle":
        raise Malformed("What is posted here is a Bundle of type transaction or batch.", at="resourceType")
    bundle = wire.decode(body, wire.Bundle, "Bundle")
    if len(bundle.entry) > MOST_ENTRIES:
        raise TooLarge(f"A Bundle has at most {MOST_ENTRIES} entries.", at="Bundle.entry")
    return bundle


async def transaction(
    session: Session, actor: Actor, bundle: wire.Bundle, base: str, now: datetime, representation: bool
) -> dict[str, Any]:
    """All of it or nothing: a hospital's submission where it places a request, else each entry in FHIR's order."""
    if not bundle.entry:
        return {"resourceType": "Bundle", "type": "transaction-response", "entry": []}
    for position, entry in enumerate(bundle.entry):
        if entry.request is None:
            raise Invalid(
                "An entry of a transaction needs a request.", at=f"Bundle.entry[{position}].request", code="required"
            )
    places = any(
        e.request and e.request.method == "POST" and e.request.url.strip("/") == "ServiceRequest" for e in bundle.entry
    )
    if places:
        parts = submission.parts_of(bundle.entry)
        for part in parts:
            _permit(actor, part.type, "u" if part.request and part.request.method == "PUT" else "c")
        stored = await submission.submit(session, actor, parts, now)
        entries = [_stored(one) for one in stored]
        if representation:
            for entry, one in zip(entries, stored, strict=True):
                if may(actor, one.type, "r"):
                    entry["resource"] = (await reading.read(session, actor, one.type, one.id)).body
    else:
        entries = await _each(session, actor, bundle, base, now)
    return {"resourceType": "Bundle", "type": "transaction-response", "entry": entries}


def _permit(actor: Actor, type: str, letter: Any) -> None:
    if not may(actor, type, letter):
        raise Forbidden(f"The token's scopes do not allow this on {type}.", key="insufficient-scope")


async def _each(session: Session, actor: Actor, bundle: wire.Bundle, base: str, now: datetime) -> list[dict[str, Any]]:
    ids = [new_id() for _ in bundle.entry]
    names: dict[str, str] = {}
    for position, (entry, id) in enumerate(zip(bundle.entry, ids, strict=True)):
        assert entry.request is not None
        if entry.request.method == "POST" and bytes(entry.resource):
            kind = wire.decode(entry.resource, wire.Kind, f"Bundle.entry[{position}].resource")
            for url in references.urls(kind.resource_type, kind.id, entry.full_url):
                names[url] = f"{kind.resource_type}/{id}"
    answers: list[dict[str, Any]] = [{} for _ in bundle.entry]

    def made(position: int, stored: Stored) -> None:
        # A patient who is known here already keeps the id: what else came along is about that one.
        old, new = f"{stored.type}/{ids[position]}", f"{stored.type}/{stored.id}"
        names.update({url: new for url, name in names.items() if name == old})
        answers[position] = _stored(stored)

    for position in sorted(range(len(bundle.entry)), key=lambda p: _turn(bundle.entry[p])):
        entry, at = bundle.entry[position], f"Bundle.entry[{position}]"
        request = entry.request
        assert request is not None
        path, _, query = request.url.partition("?")
        parts = tuple(part for part in path.split("/") if part)
        body = references.rewritten(bytes(entry.resource), names)
        if not parts or parts[0] not in SURFACE:
            raise NotFound("This server has no resources of that type.", at=f"{at}.request.url", code="not-supported")
        with wire.entry(at, parts[0] if parts else "Bundle"):
            match request.method, parts:
                case "POST", (type,):
                    _permit(actor, type, "c")
                    condition = request.if_none_exist
                    met = await conditional.existing(session, actor, type, condition) if condition is not None else None
                    stored = Stored(type, *met, 200) if met else None
                    made(position, stored or await writing.create(session, actor, type, body, ids[position], now))
                case "PUT" | "PATCH", (type, id) if named := references.as_id(id):
                    _permit(actor, type, "u")
                    expected = references.if_match(request.if_match)
                    if request.method == "PATCH":
                        body = await writing.patch(session, actor, type, named, body, expected)
                    answers[position] = _stored(await writing.update(session, actor, type, body, named, expected, now))
                case "GET" | "HEAD", (type, id) if named := references.as_id(id):
                    _permit(actor, type, "r")
                    found = await reading.read(session, actor, type, named)
                    answers[position] = response_entry(200, found.body, {"etag": f'W/"{found.version}"'})
                case "GET" | "HEAD", (type,):
                    _permit(actor, type, "s")
                    answers[position] = response_entry(
                        200, await search.search(session, actor, type, parse_qsl(query), base), {}
                    )
                case _:
                    raise NotFound(
                        "This entry asks for nothing that this server does.", at=f"{at}.request", code="not-supported"
                    )
    return answers


def _turn(entry: wire.Entry) -> tuple[int, int]:
    """By method, as FHIR says; of what is made, first the persons and their stays, which the rest is about."""
    assert entry.request is not None
    type = entry.request.url.strip("/")
    return ORDER.index(entry.request.method), FIRST.index(type) if type in FIRST else len(FIRST)


def _stored(stored: Stored) -> dict[str, Any]:
    response: dict[str, Any] = {
        "status": "201 Created" if stored.status == 201 else "200 OK",
        "location": stored.location,
        "etag": f'W/"{stored.version}"',
    }
    if stored.warnings:
        response["outcome"] = outcomes.information(stored.warnings)
    return {"response": response}


STATUS = {200: "OK", 201: "Created", 304: "Not Modified"}


def response_entry(status: int, body: Any, headers: dict[str, str]) -> dict[str, Any]:
    """An answer as an entry of a response Bundle."""
    response: dict[str, Any] = {"status": f"{status} {STATUS.get(status, '')}".strip()}
    for header, element in (("location", "location"), ("etag", "etag")):
        if header in headers:
            response[element] = headers[header]
    entry: dict[str, Any] = {"response": response}
    if status >= 400:
        response["outcome"] = body
    elif body is not None:
        entry["resource"] = body
    return entry
