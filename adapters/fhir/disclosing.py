"""The operations around disclosure: `$disclosures`, `$reveal`, `$declare-conflict`, and a volunteer's `$volunteer` and `$visits`."""

from datetime import datetime
from typing import Any

from adapters.fhir import parameters, reading, references, wire
from adapters.fhir.addresses import Place
from adapters.fhir.exchange import Answer, Asked
from adapters.fhir.render import concept, instant, ref
from service import codes
from service.access.model import Actor
from service.consent import categories
from service.consent import flow as relations
from service.consent.marks import Features
from service.db import Session
from service.errors import Invalid, NotFound
from service.patients.model import CITIZEN_NUMBER, Identifier
from service.referrals import disclosure_flow, volunteer_flow
from service.values import Id, new_id

Json = dict[str, Any]
AT_ONCE = 200
"""Looks of one page of a disclosure log."""


async def disclosures(session: Session, actor: Actor, asked: Asked, place: Place, now: datetime) -> Answer:
    """Who saw what about this person: each opening, each look, each number shown."""
    given = parameters.typed(asked.query, asked.body, {"_count": "integer", "before": "integer"})
    limit = min(given.get("_count", AT_ONCE), AT_ONCE)
    if limit < 1:
        raise Invalid("At least one.", at="_count", code="value")
    log = await disclosure_flow.log(session, actor, _id(place), limit, given.get("before"))
    said: list[Json] = []
    for each in log.openings:
        part: list[Json] = [
            {"name": "agency", "valueReference": ref("Organization", each.agency)},
            {"name": "basis", "valueCoding": _coding(codes.CONSENT_KIND, each.basis)},
            {"name": "since", "valueInstant": instant(each.opened_at)},
        ]
        if each.closed_at:
            part.append({"name": "until", "valueInstant": instant(each.closed_at)})
        part += [{"name": "without", "valueCoding": _coding(codes.DATA_CATEGORY, name)} for name in each.withheld]
        said.append({"name": "disclosure", "part": part})
    for look in log.looks:
        part = [
            {"name": "when", "valueInstant": instant(look.at)},
            {"name": "who", "valueReference": ref("Organization", look.organization)},
            {"name": "role", "valueCode": look.role},
            {"name": "how", "valueCode": look.interaction},
        ]
        if look.resource_type:
            part.append({"name": "what", "valueCode": look.resource_type})
            found = sorted(categories.of_type(look.resource_type))
            part += [{"name": "category", "valueCoding": _coding(codes.DATA_CATEGORY, name)} for name in found]
        said.append({"name": "read", "part": part})
    for shown in log.reveals:
        part = [
            {"name": "when", "valueInstant": instant(shown.at)},
            {"name": "who", "valueReference": ref("Organization", shown.agency)},
            {"name": "role", "valueCode": shown.role},
        ]
        said.append({"name": "reveal", "part": part})
    if log.more is not None:
        said.append({"name": "before", "valueInteger": log.more})
    return Answer(200, parameters.reply(said))


async def reveal(session: Session, actor: Actor, asked: Asked, place: Place, now: datetime) -> Answer:
    given = parameters.typed([], asked.body, {"reason": "string"})
    numbers = await disclosure_flow.reveal(session, actor, _id(place), given.get("reason"), now)
    shown = [{"name": "identifier", "valueIdentifier": {"system": n.system, "value": n.value}} for n in numbers]
    return Answer(200, parameters.reply(shown), {"cache-control": "no-store"})


SAID: dict[str, parameters.Kind] = {"number": "string", "phone": "string", "name": "string", "birthDate": "string"}


async def declare_conflict(session: Session, actor: Actor, asked: Asked, place: Place, now: datetime) -> Answer:
    """Whom a worker may not serve; in the body alone, for an address is written down on its way."""
    given = parameters.typed([], asked.body, SAID)
    born = wire.day(given["birthDate"], "birthDate") if "birthDate" in given else None
    number = (Identifier(CITIZEN_NUMBER, given["number"]),) if "number" in given else ()
    phones = (given["phone"],) if "phone" in given else ()
    who = Features(number, phones, given.get("name"), born)
    await relations.declare_conflict(session, actor, new_id(), _id(place), who, now)
    return Answer(204, None)


MATCHED: dict[str, parameters.Kind] = {"volunteer": "string", "for": "code", "at": "dateTime", "callOff": "string"}


async def volunteer(session: Session, actor: Actor, asked: Asked, place: Place, now: datetime) -> Answer:
    """Match a volunteer to the person of a share, or call a visit off."""
    given = parameters.typed([], asked.body, MATCHED)
    if "callOff" in given:
        await volunteer_flow.call_off(session, actor, _id(place), _named(given, "callOff"), now)
        return Answer(204, None)
    parameters.required(given, "volunteer", "for", "at")
    made = await volunteer_flow.match(
        session, actor, _id(place), _named(given, "volunteer"), given["for"], given["at"], now
    )
    return Answer(201, parameters.reply([{"name": "visit", "valueId": str(made)}]))


async def visits(session: Session, actor: Actor, asked: Asked, place: Place, now: datetime) -> Answer:
    """A volunteer's visits: given name, address, when, what for, and whom to ask."""
    said: list[Json] = []
    for each in await volunteer_flow.visits(session, actor, now):
        part: list[Json] = [{"name": "id", "valueId": str(each.id)}]
        if each.given_name:
            part.append({"name": "name", "valueString": each.given_name})
        if each.address:
            part.append({"name": "address", "valueString": each.address})
        part += [
            {"name": "at", "valueInstant": instant(each.starts_at)},
            {"name": "for", "valueCodeableConcept": concept(codes.SERVICE_TYPE, each.service_type)},
            {"name": "worker", "valueReference": ref("PractitionerRole", each.worker)},
        ]
        said.append({"name": "visit", "part": part})
    return Answer(200, parameters.reply(said), {"cache-control": "no-store"})


def _named(given: dict[str, Any], name: str) -> Id:
    found = references.as_id(given[name])
    if found is None:
        raise NotFound("There is none of this id.", at=name)
    return found


def _coding(system: str, code: str) -> Json:
    return {"system": system, "code": code, "display": codes.label(system, code)}


def _id(place: Place) -> Id:
    if place.id is None or (id := references.as_id(place.id)) is None:
        raise NotFound(reading.ABSENT)
    return id
