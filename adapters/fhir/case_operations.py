"""What is done with a case beside its moves: `$time` on a Task."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from adapters.fhir import parameters, references
from adapters.fhir.addresses import Place
from adapters.fhir.exchange import Answer, Asked
from adapters.fhir.reading import ABSENT
from adapters.fhir.render import instant, ref
from service.access.model import Actor
from service.casework import time_flow
from service.casework.timekeeping import NewTime, TimeEntry
from service.db import Session
from service.errors import Invalid, Issue, NotFound
from service.values import Id

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
    return Answer(200, {"resourceType": "Parameters"} | ({"parameter": list(given)} if given else {}))


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
