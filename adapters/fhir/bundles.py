"""Bundles: a transaction as one, a batch entry by entry, and what is answered to each."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, unquote

import msgspec

from adapters.fhir import (
    addresses,
    binary,
    conditional,
    exchange,
    interactions,
    outcomes,
    reading,
    references,
    submission,
    wire,
)
from adapters.fhir.addresses import Place
from adapters.fhir.exchange import Answer, Asked
from adapters.fhir.render import instant
from adapters.fhir.submission import Stored
from adapters.fhir.ways import INTERACTIONS
from service.access.model import Actor
from service.access.scopes import may
from service.db import Session
from service.errors import Forbidden, Invalid, Issue, Refusal, Stale, UnsupportedMedia
from service.records.scanning import Verdict
from service.values import Id, new_id, read_json

ORDER = ("DELETE", "POST", "PUT", "PATCH", "GET", "HEAD")
"""FHIR: the order in which a transaction's entries take effect, whatever their order in the Bundle."""
FIRST = ("Patient", "Encounter", "Condition", "Goal")
"""What is made first, in this order: the rest is about it."""
MAKING = next(way for way in INTERACTIONS if way.name == "create")


class Carrier(msgspec.Struct, frozen=True):
    """A Binary: what comes within a Bundle and is no resource."""

    resource_type: str = msgspec.field(name="resourceType")
    content_type: str | None = msgspec.field(default=None, name="contentType")
    data: str | None = None


class Entry(msgspec.Struct):
    """One entry on its way: what it asks of what, and where it stands."""

    position: int
    said: wire.Entry
    asked: Asked
    place: Place
    id: Id
    """What it is stored as, if it makes something."""
    met: Stored | None = None
    """What its If-None-Exist found."""

    @property
    def at(self) -> str:
        return f"Bundle.entry[{self.position}]"

    @property
    def turn(self) -> tuple[int, int]:
        """By method, as FHIR says; of what is made, first the persons, stays, problems and goals that the rest is about."""
        type = self.place.type
        # A file last: what it belongs to may come along.
        return ORDER.index(self.asked.method), FIRST.index(type) if type in FIRST else len(FIRST) + (type == "Binary")


def asked_by(whole: Asked, entry: wire.Entry, at: str) -> Asked:
    """An entry as a request of its own. Of the Bundle's own head only what is said of each entry counts: a condition is the
    entry's own or there is none. Raises Invalid, Malformed."""
    request = entry.request
    if request is None:
        raise Invalid("An entry of a batch or transaction needs a request.", at=f"{at}.request", code="required")
    path, _, query = request.url.removeprefix(f"{whole.base}/").partition("?")
    conditions = {
        "if-match": request.if_match,
        "if-none-match": request.if_none_match,
        "if-modified-since": request.if_modified_since and _http_date(request.if_modified_since, at),
        "if-none-exist": request.if_none_exist,
    }
    # Within a Bundle everything is a resource, a file too.
    headers = {"accept": exchange.FHIR_JSON} | {name: said for name, said in conditions.items() if said is not None}
    if "prefer" in whole.headers:
        headers["prefer"] = whole.headers["prefer"]
    return Asked(
        request.method,
        tuple(unquote(part) for part in path.split("/") if part),
        parse_qsl(query, keep_blank_values=True),
        headers,
        whole.base,
        bytes(entry.resource),
        whole.reach,
        request_id=whole.request_id,
        practice=whole.practice,
        scanner=whole.scanner,
    )


def _http_date(moment: str, at: str) -> str:
    return format_datetime(wire.instant(moment, f"{at}.request.ifModifiedSince"), usegmt=True)


def opened(asked: Asked, at: str) -> None:
    """What is no resource comes within a Binary: a patch, the form of a search (FHIR R4 http.html#patch). Raises
    UnsupportedMedia, Malformed."""
    searching = asked.path[-1:] == ("_search",)
    if not asked.body or not (searching or asked.method == "PATCH"):
        return
    if not searching and asked.body.lstrip()[:1] == b"[":
        return  # A JSON Patch as it is: what older senders put there.
    carrier = wire.decode(asked.body, Carrier, f"{at}.resource")
    wanted = {exchange.FORM} if searching else exchange.PATCH
    if carrier.resource_type != "Binary" or (carrier.content_type or "").partition(";")[0].strip() not in wanted:
        kinds = " or ".join(sorted(wanted))
        raise UnsupportedMedia(f"Send this as a Binary with contentType {kinds}.", at=f"{at}.resource")
    body = binary.octets(carrier.data or "", f"{at}.resource.data")
    with placed(f"{at}.resource.data"):
        asked.body = body if searching else wire.sound(body)


@contextmanager
def placed(at: str) -> Iterator[None]:
    """A fault of no place of its own lies here."""
    try:
        yield
    except Refusal as refusal:
        refusal.issues = tuple(
            issue if (issue.at or "").startswith("Bundle.") else msgspec.structs.replace(issue, at=at)
            for issue in refusal.issues
        )
        raise


# ---- a transaction -----------------------------------------------------------------------------------------------------


async def transaction(session: Session, actor: Actor, entries: Sequence[Entry], whole: Asked, now: datetime) -> Any:
    """All of it or nothing: a hospital's submission where it places a request, else each entry in FHIR's order. `entries`
    as `read` and looked up. Raises the first refusal, which names the entry."""
    answers: dict[int, dict[str, Any]] = {}
    names: dict[str, str] = {}
    placing = any(e.place.way.name == "create" and e.place.type == "ServiceRequest" for e in entries)
    parts = [e for e in entries if placing and e.place.way.name in ("create", "update")]
    others = [e for e in entries if e not in parts]
    for entry in parts:
        with placed(f"{entry.at}.request"):
            _permit_part(actor, entry.place)
    for entry in entries:
        names |= await _conditions(session, actor, entry)
    if parts:
        answers |= await _submitted(session, actor, parts, names, whole, now)
    names |= await _settled(session, actor, others)
    written: set[tuple[str, Id]] = set()
    for entry in sorted(others, key=lambda e: e.turn):
        entry.asked.body = references.rewritten(entry.asked.body, names)
        with wire.entry(entry.at, entry.place.type), _where(entry):
            answer = await interactions.carried_out(session, actor, entry.asked, entry.place, entry.met, now)
        stored = answer.stored
        if stored and not entry.met:
            _once(written, stored, entry)
            # A patient who is known here already keeps the id: what else came along is about that one.
            old, new = f"{stored.type}/{entry.id}", f"{stored.type}/{stored.id}"
            names |= {url: new for url, name in names.items() if name == old}
        answers[entry.position] = response(answer, entry.asked)
    return reply("transaction-response", [answers[entry.position] for entry in entries])


def reply(type: str, answers: list[dict[str, Any]]) -> dict[str, Any]:
    """The answer to a whole Bundle. FHIR's JSON has no empty list (json.html)."""
    return {"resourceType": "Bundle", "type": type} | ({"entry": answers} if answers else {})


Known = dict[int, tuple[tuple[str, ...], Verdict | None]]
"""By position: what the host of an entry's endpoint stands for, and what the scanner says of its file."""


async def prepared(actor: Actor, bundle: wire.Bundle, whole: Asked) -> Known:
    """What entries have to know before a transaction begins, by their position; whatever is wrong is said in it."""
    known: Known = {}
    for position, said in enumerate(bundle.entry):
        if said.request and said.request.url.lstrip("/").startswith(("Subscription", "Binary")):
            with suppress(Refusal):
                asked = asked_by(whole, said, "")
                await interactions.prepared(actor, asked, addresses.find(asked.method, asked.path))
                known[position] = asked.resolved, asked.verdict
    return known


def entries_of(bundle: wire.Bundle, whole: Asked, known: Known) -> list[Entry]:
    """The entries of a transaction, each looked up in the table. Raises a Refusal that names the first which is not of it,
    or which says what another one says already. `known` as `prepared`."""
    preferring = "return" not in whole.headers.get("prefer", "")
    placing = any(
        said.request and said.request.method == "POST" and said.request.url.strip("/") == "ServiceRequest"
        for said in bundle.entry
    )
    found: list[Entry] = []
    for position, said in enumerate(bundle.entry):
        at = f"Bundle.entry[{position}]"
        asked = asked_by(whole, said, at)
        if preferring:
            # Of a transaction only what became of each entry is told, unless more is asked for.
            asked.headers["prefer"] = ", ".join(filter(None, (asked.headers.get("prefer"), "return=minimal")))
        asked.resolved, asked.verdict = known.get(position, ((), None))
        with placed(f"{at}.request.url"):
            place = _looked_up(asked, placing)
        with placed(f"{at}.resource"):
            opened(asked, at)
        found.append(Entry(position, said, asked, place, new_id()))
    _unambiguous(found)
    return found


def _looked_up(asked: Asked, placing: bool) -> Place:
    """The row of the table. `placing`: the transaction is a submission, along with which come places and people that nobody
    writes by themselves; they are kept with the referral, and the directory stays as it is."""
    try:
        place = addresses.find(asked.method, asked.path)
    except exchange.Refused405 as refusal:
        if placing and asked.method == "POST" and len(asked.path) == 1 and asked.path[0] in submission.SUPPORTING:
            return Place(MAKING, asked.path[0])
        # As an answer to the transaction, Allow would speak of another address.
        raise Invalid(f"{refusal} Allowed: {', '.join(refusal.allow)}.", code="not-supported") from None
    if not place.type or place.way.name == "$export":
        raise Invalid("A transaction holds what is asked of a resource or a type, and no export.", code="not-supported")
    return place


def _unambiguous(entries: Sequence[Entry]) -> None:
    """Each entry is about a resource of its own (FHIR R4 http.html#trules; bdl-7, bdl-8). Raises Invalid."""
    named: dict[str, str] = {}
    targets: dict[tuple[str, str], str] = {}
    for entry in entries:
        url = entry.said.full_url
        if url is not None:
            if "/_history/" in url:
                raise Invalid("A fullUrl names no version.", at=f"{entry.at}.fullUrl", code="value")
            _other(named, url, f"{entry.at}.fullUrl", "Two entries have the same fullUrl.")
        condition = entry.asked.headers.get("if-none-exist")
        if entry.place.way.name in ("update", "patch"):
            query = "&".join(sorted(f"{key}={value}" for key, value in entry.asked.query))
            target, where = entry.place.id or f"?{query}", "url"
        elif entry.place.way.name == "create" and condition is not None:
            target, where = "?" + "&".join(sorted(condition.rpartition("?")[2].split("&"))), "ifNoneExist"
        else:
            continue
        _other(targets, (entry.place.type, target), f"{entry.at}.request.{where}", TWICE)


TWICE = "Two entries of the transaction are about the same resource."


def _other(met: dict[Any, str], one: Any, at: str, text: str) -> None:
    """Raise Invalid, with both places, for what was met before."""
    if one in met:
        raise Invalid(text, issues=[Issue(text, place, "duplicate") for place in (met[one], at)])
    met[one] = at


def _permit_part(actor: Actor, place: Place) -> None:
    """What is submitted along with a request needs the scope to write it; who submits is asked of the request alone, which
    brings places and people along that nobody writes by themselves."""
    if place.type == "ServiceRequest":
        place.permit(actor)
    assert place.way.letter
    if not may(actor, place.type, place.way.letter):
        raise Forbidden(f"The token's scopes do not allow this on {place.type}.", key="insufficient-scope")


async def _conditions(session: Session, actor: Actor, entry: Entry) -> dict[str, str]:
    """What the conditional references of an entry mean (`Patient?identifier=…`; FHIR R4 http.html#trules): each must find
    exactly one. Raises Stale (412) with the place."""
    names: dict[str, str] = {}
    if not entry.place.way.affects or not references.may_hold_conditions(entry.asked.body):
        return names
    for text, path in references.conditions(read_json(entry.asked.body), f"{entry.at}.resource"):
        if text in names:
            continue
        type, _, query = text.partition("?")
        found = await conditional.existing(session, actor, type, query, path, waiting=False)
        if found is None:
            raise Stale("Nothing fits this conditional reference.", at=path, code="not-found")
        names[text] = f"{type}/{found[0]}"
    return names


async def _settled(session: Session, actor: Actor, entries: Sequence[Entry]) -> dict[str, str]:
    """Settle the conditions, and name everything that other entries may reference before anything is stored."""
    names: dict[str, str] = {}
    for entry in entries:
        entry.asked.new = entry.id
        if not entry.place.way.affects or entry.place.way.is_operation:
            continue
        with wire.entry(entry.at, entry.place.type), _where(entry):
            entry.place.permit(actor)
            entry.place, entry.met = await interactions.settled(session, actor, entry.asked, entry.place)
        id = entry.met.id if entry.met else entry.place.id or entry.id
        if entry.asked.method != "PATCH" and entry.asked.body:
            kind = wire.decode(entry.asked.body, wire.Kind, f"{entry.at}.resource")
            for url in references.urls(kind.resource_type, kind.id, entry.said.full_url):
                names[url] = f"{entry.place.type}/{id}"
    return names


@contextmanager
def _where(entry: Entry) -> Iterator[None]:
    """Where a fault of an entry without a resource of its own lies."""
    if entry.asked.method in ("GET", "HEAD"):
        with placed(f"{entry.at}.request.url"):
            yield
    else:
        yield


def _once(written: set[tuple[str, Id]], stored: Stored, entry: Entry) -> None:
    """FHIR R4 http.html#trules: where two entries turn out to be of one resource, the transaction fails."""
    if (stored.type, stored.id) in written:
        raise Invalid(TWICE, at=f"{entry.at}.resource", code="duplicate")
    written.add((stored.type, stored.id))


async def _submitted(
    session: Session, actor: Actor, entries: Sequence[Entry], names: dict[str, str], whole: Asked, now: datetime
) -> dict[int, dict[str, Any]]:
    """A hospital's submission. `names` learns what its entries are stored as."""
    parts = submission.parts_of((entry.position, entry.said) for entry in entries)
    verdicts: dict[int, Verdict | None] = {entry.position: entry.asked.verdict for entry in entries}
    stored = await submission.submit(session, actor, parts, now, names, verdicts)
    answers: dict[int, dict[str, Any]] = {}
    for part, one in zip(parts, stored, strict=True):
        for url in submission.urls(part):
            names[url] = f"{one.type}/{one.id}"
        told: dict[str, Any] = {
            "status": _status(one.status),
            "location": one.location,
            "etag": f'W/"{one.version}"',
        }
        wants = whole.prefers("return")
        if one.warnings:
            told["outcome"] = outcomes.information(one.warnings, one.type)
        elif wants == "OperationOutcome":
            told["outcome"] = outcomes.information([STORED])
        answer: dict[str, Any] = {"response": told}
        if wants == "representation" and may(actor, one.type, "r") and not binary.waits(one.warnings):
            answer["resource"] = (await reading.read(session, actor, one.type, one.id)).body
        answers[part.position] = answer
    return answers


# ---- answers -----------------------------------------------------------------------------------------------------------

STORED = Issue("Stored.", code="informational", severity="information")


def _status(status: int) -> str:
    return f"{status} {HTTPStatus(status).phrase}"


def response(answer: Answer, asked: Asked) -> dict[str, Any]:
    """An answer as an entry of a response Bundle."""
    told: dict[str, Any] = {"status": _status(answer.status)}
    stored = answer.stored
    if stored:
        told["location"] = stored.location
    elif "location" in answer.headers:
        told["location"] = answer.headers["location"].removeprefix(f"{asked.base}/")
    if "etag" in answer.headers:
        told["etag"] = answer.headers["etag"]
    if "last-modified" in answer.headers:
        told["lastModified"] = instant(parsedate_to_datetime(answer.headers["last-modified"]).astimezone(UTC))
    entry: dict[str, Any] = {"response": told}
    speaking = answer.body is not None and answer.body.get("resourceType") == "OperationOutcome"
    if answer.status >= 400 or (speaking and stored):
        told["outcome"] = answer.body
    elif answer.body is not None and asked.method != "HEAD":
        entry["resource"] = answer.body
    if stored and stored.warnings and "outcome" not in told:
        told["outcome"] = outcomes.information(stored.warnings, stored.type)
    return entry
