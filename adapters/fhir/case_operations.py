"""What is done with a case beside its moves: `$time`, `$transfer`, `$co-work`, `$team` and `$reopen` on a Task."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from adapters.fhir import parameters, references
from adapters.fhir.addresses import Place
from adapters.fhir.exchange import Answer, Asked
from adapters.fhir.reading import ABSENT
from adapters.fhir.render import instant, ref
from service.access.model import Actor
from service.casework import time_flow, transfer_flow
from service.casework.handing_over import CoWork
from service.casework.timekeeping import NewTime, TimeEntry
from service.db import Session
from service.errors import Invalid, Issue, NotFound
from service.referrals.model import Loop
from service.values import Id, Reason

Json = dict[str, Any]
TIME: dict[str, parameters.Kind] = {
    "activity": "code", "minutes": "integer", "at": "dateTime", "worker": "reference", "procedure": "reference", "entry": "string",
    "void": "boolean",
}  # fmt: skip


def task_of(place: Place) -> Id | None:
    """The Task at the address; None where the operation is asked of the type."""
    if place.id is None:
        return None
    id = references.as_id(place.id)
    if id is None:
        raise NotFound(ABSENT)
    return id


def answer(given: Sequence[Json]) -> Answer:
    return Answer(200, parameters.reply(given))


async def time(session: Session, actor: Actor, asked: Asked, place: Place, now: datetime) -> Answer:
    """POST: write time down, correct it, or take it back. GET: what was written down for this Task."""
    task = task_of(place)
    if asked.method != "POST":
        assert task is not None
        return answer([_entry(each) for each in await time_flow.of_task(session, actor, task)])
    given = parameters.typed(asked.query, asked.body, TIME)
    entry = references.as_id(given["entry"]) if "entry" in given else None
    if "entry" in given and entry is None:
        raise Invalid("An entry is named by its id.", at="entry", code="value")
    if given.get("void"):
        if entry is None:
            raise Invalid("Say which entry is to be taken back.", at="entry", code="required")
        return answer([_entry(await time_flow.void(session, actor, entry, now))])
    parameters.required(given, "activity", "minutes")
    new = NewTime(
        given["activity"], given["minutes"], given.get("at", now), parameters.id_of(given, "worker", "PractitionerRole"), task,
        parameters.id_of(given, "procedure", "Procedure"),
    )  # fmt: skip
    written = await time_flow.record(session, actor, new, now, entry)
    return answer([_entry(written.entry), *_warnings(written.warnings)])


def _entry(it: TimeEntry) -> Json:
    part: list[Json] = [
        {"name": "id", "valueId": str(it.id)},
        {"name": "activity", "valueCode": it.activity},
        {"name": "kind", "valueCode": "administrative" if it.administrative else "professional"},
        {"name": "minutes", "valueInteger": it.minutes},
        {"name": "at", "valueInstant": instant(it.at)},
        {"name": "worker", "valueReference": ref("PractitionerRole", it.worker)},
    ]
    if it.task:
        part.append({"name": "task", "valueReference": ref("Task", it.task)})
    if it.procedure:
        part.append({"name": "procedure", "valueReference": ref("Procedure", it.procedure)})
    if it.replaces:
        part.append({"name": "replaces", "valueId": str(it.replaces)})
    if it.voided_at:
        part.append({"name": "void", "valueBoolean": True})
    return {"name": "entry", "part": part}


def _warnings(issues: Sequence[Issue]) -> list[Json]:
    return [{"name": "warning", "valueString": issue.text} for issue in issues]


TRANSFER: dict[str, parameters.Kind] = {"to": "reference", "reason": "string", "note": "string", "need": "codes"}


async def transfer(session: Session, actor: Actor, asked: Asked, place: Place, now: datetime) -> Answer:
    """To a worker of the agency: the case; to another agency, or to whom routing finds: a need, by an onward referral."""
    task = instance(place)
    given = parameters.typed(asked.query, asked.body, TRANSFER)
    parameters.required(given, "reason")
    to = references.parse(given.get("to"))
    if to is not None and to[0] == "PractitionerRole":
        worker = parameters.id_of(given, "to", "PractitionerRole")
        assert worker is not None
        if "need" in given:
            raise Invalid("A worker takes the whole case; a need is passed on to an agency.", at="need", code="value")
        expected = references.if_match(asked.headers.get("if-match"))
        note = given.get("note", "")
        loop = await transfer_flow.transfer(session, actor, task, worker, given["reason"], note, now, expected)
        return answer(_said(loop, task))
    agency = parameters.id_of(given, "to", "Organization")
    made = await transfer_flow.pass_on(
        session, actor, task, given.get("need", ()), agency, given["reason"], given.get("note"), now
    )
    return answer(_onward(made))


CO_WORK: dict[str, parameters.Kind] = {"worker": "reference", "role": "code", "period": "period", "end": "boolean"}


async def co_work(session: Session, actor: Actor, asked: Asked, place: Place, now: datetime) -> Answer:
    """A second worker on a share; `end` says that they are it no longer."""
    task = instance(place)
    given = parameters.typed(asked.query, asked.body, CO_WORK)
    parameters.required(given, "worker")
    worker = parameters.id_of(given, "worker", "PractitionerRole")
    assert worker is not None
    if given.get("end"):
        await transfer_flow.end_co_work(session, actor, task, worker, now)
        return await team(session, actor, msgspec.structs.replace(asked, method="GET"), place, now)
    starts, ends = given.get("period", (None, None))
    role = given.get("role", "co-worker")
    made = await transfer_flow.co_work(session, actor, task, worker, role, starts or now, ends, now)
    return answer([_second(made)])


async def team(session: Session, actor: Actor, asked: Asked, place: Place, now: datetime) -> Answer:
    """Who has a share and had it, how it changed hands, and what goes on from it."""
    found = await transfer_flow.team(session, actor, instance(place))
    said: list[Json] = []
    if found.share.worker:
        said.append({"name": "owner", "valueReference": ref("PractitionerRole", found.share.worker)})
    said += [_second(each) for each in found.seconds]
    for each in found.transfers:
        part: list[Json] = [
            {"name": "at", "valueInstant": instant(each.at)},
            {"name": "reason", "valueString": each.reason},
        ]
        if each.frm:
            part.append({"name": "from", "valueReference": ref("PractitionerRole", each.frm)})
        if each.to:
            part.append({"name": "to", "valueReference": ref("PractitionerRole", each.to)})
        if each.onward:
            part.append({"name": "onward", "valueReference": ref("ServiceRequest", each.onward)})
        if each.note:
            part.append({"name": "note", "valueString": each.note})
        said.append({"name": "transfer", "part": part})
    for each in found.onward:
        part = [{"name": "request", "valueReference": ref("ServiceRequest", each.id)}, {"name": "accepted", "valueBoolean": each.taken is not None}]  # fmt: skip
        said.append({"name": "onward", "part": part})
    if found.before:
        said.append({"name": "continues", "valueReference": ref("Task", found.before)})
    return answer(said)


REOPEN: dict[str, parameters.Kind] = {"reason": "string", "owner": "reference"}


async def reopen(session: Session, actor: Actor, asked: Asked, place: Place, now: datetime) -> Answer:
    """A closed case is needed again: a new referral that goes on from it."""
    given = parameters.typed(asked.query, asked.body, REOPEN)
    parameters.required(given, "reason")
    worker = parameters.id_of(given, "owner", "PractitionerRole")
    made = await transfer_flow.reopen(session, actor, instance(place), Reason(None, given["reason"]), worker, now)
    return answer(_onward(made))


def instance(place: Place) -> Id:
    task = task_of(place)
    assert task is not None
    return task


def _said(loop: Loop, task: Id) -> list[Json]:
    share = loop.share(task)
    part = [{"name": "task", "valueReference": ref("Task", share.id)}]
    return part + ([{"name": "owner", "valueReference": ref("PractitionerRole", share.worker)}] if share.worker else [])


def _onward(made: Loop) -> list[Json]:
    """The new request, how it stands, and to whom it is out."""
    said: list[Json] = [
        {"name": "request", "valueReference": ref("ServiceRequest", made.referral.id)},
        {"name": "status", "valueCode": made.parent.business_status or made.parent.status},
    ]
    for share in made.shares:
        part: list[Json] = [
            {"name": "task", "valueReference": ref("Task", share.id)},
            {"name": "status", "valueCode": share.status},
        ]
        if share.agency:
            part.append({"name": "agency", "valueReference": ref("Organization", share.agency)})
        said.append({"name": "offer", "part": part})
    return said


def _second(it: CoWork) -> Json:
    period = {"start": instant(it.starts_at)} | ({"end": instant(it.ends_at)} if it.ends_at else {})
    return {
        "name": "second",
        "part": [
            {"name": "worker", "valueReference": ref("PractitionerRole", it.worker)},
            {"name": "role", "valueCode": it.role},
            {"name": "period", "valuePeriod": period},
        ],
    }
