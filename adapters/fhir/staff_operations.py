"""What is asked of a person's work as a whole: `$hand-over`, `$come-back`, `$caseload` on a PractitionerRole."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from adapters.fhir import parameters, references
from adapters.fhir.addresses import Place
from adapters.fhir.exchange import Answer, Asked
from adapters.fhir.render import instant, ref
from service.access.model import Actor
from service.casework import handing_over_flow as flow
from service.casework.handing_over import HandOver, Item, NewHandOver
from service.db import Session
from service.errors import Issue, NotFound
from service.values import Id

Json = dict[str, Any]
ASKED: dict[str, parameters.Kind] = {"to": "reference", "reason": "code", "period": "period", "dryRun": "boolean"}


async def hand_over(session: Session, actor: Actor, asked: Asked, place: Place, now: datetime) -> Answer:
    """POST: hand over, or only say what would be. GET: a person's last hand-overs."""
    absent = worker(place)
    if asked.method != "POST":
        found = await flow.hand_overs(session, actor, absent)
        return Answer(200, parameters.reply([{"name": "handOver", "part": _hand_over(each)} for each in found]))
    given = parameters.typed(asked.query, asked.body, ASKED)
    parameters.required(given, "to", "reason")
    starts, ends = given.get("period", (None, None))
    colleague = parameters.id_of(given, "to", "PractitionerRole")
    assert colleague is not None
    new = NewHandOver(absent, colleague, given["reason"], starts, ends)
    made = await flow.hand_over(session, actor, new, now, dry_run=given.get("dryRun", False))
    said: list[Json] = [{"name": "handOver", "part": _hand_over(made.hand_over)}, *_items(made.items)]
    return Answer(200, parameters.reply([*said, *_refused(made.refused)]))


async def come_back(session: Session, actor: Actor, asked: Asked, place: Place, now: datetime) -> Answer:
    ended = await flow.come_back(session, actor, worker(place), now)
    return Answer(200, parameters.reply([{"name": "handOver", "part": _hand_over(ended)}]))


async def caseload(session: Session, actor: Actor, asked: Asked, place: Place, now: datetime) -> Answer:
    return Answer(200, parameters.reply(_items(await flow.caseload(session, actor, worker(place), now))))


def worker(place: Place) -> Id:
    found = references.as_id(place.id or "")
    if found is None:
        raise NotFound("There is no such worker.")
    return found


def _hand_over(it: HandOver) -> list[Json]:
    period = {"start": instant(it.starts_at)} | ({"end": instant(it.ends_at)} if it.ends_at else {})
    part: list[Json] = [
        {"name": "id", "valueId": str(it.id)},
        {"name": "state", "valueCode": it.state},
        {"name": "from", "valueReference": ref("PractitionerRole", it.absent)},
        {"name": "to", "valueReference": ref("PractitionerRole", it.colleague)},
        {"name": "reason", "valueCode": it.reason},
        {"name": "period", "valuePeriod": period},
        {"name": "moved", "valueInteger": it.moved},
        {"name": "givenBack", "valueInteger": it.given_back},
    ]
    return [*part, {"name": "why", "valueCode": it.why}] if it.why else part


def _items(items: Sequence[Item]) -> list[Json]:
    """Each Task with whether the person has it or is second on it, what it is, and its deadline."""
    return [
        {
            "name": "item",
            "part": [
                {"name": "task", "valueReference": ref("Task", item.task.id)},
                {"name": "role", "valueCode": item.co_work.role if item.co_work else "owner"},
                {"name": "kind", "valueCode": item.task.kind},
                *([{"name": "by", "valueInstant": instant(by)}] if (by := item.task.due_at or item.task.window_to) else []),
            ],
        }
        for item in items
    ]  # fmt: skip


def _refused(issues: Sequence[Issue]) -> list[Json]:
    return [
        {"name": "refused", "part": [{"name": "why", "valueString": issue.text}, {"name": "at", "valueString": issue.at or "to"}]}
        for issue in issues
    ]  # fmt: skip
