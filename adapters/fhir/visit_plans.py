"""`$visit-plan` on a Task: how often the person is visited, from when, and when next."""

from datetime import datetime

from adapters.fhir import parameters
from adapters.fhir.addresses import Place
from adapters.fhir.case_operations import answer, task_of
from adapters.fhir.exchange import Answer, Asked
from adapters.fhir.render import instant
from service.access.model import Actor
from service.casework import visiting_flow as flow
from service.casework.visiting import VisitPlan
from service.db import Session
from service.errors import NotFound

ASKED: dict[str, parameters.Kind] = {"every": "integer", "first": "dateTime", "end": "boolean"}


async def visit_plan(session: Session, actor: Actor, asked: Asked, place: Place, now: datetime) -> Answer:
    """POST: plan visits, or end them. GET: the plan."""
    task = task_of(place)
    if task is None:
        raise NotFound("Visits are planned for a Task.")
    if asked.method != "POST":
        return _said(await flow.planned(session, actor, task))
    given = parameters.typed(asked.query, asked.body, ASKED)
    if given.get("end"):
        return _said(await flow.end(session, actor, task, now))
    parameters.required(given, "every")
    return _said(await flow.plan(session, actor, task, given["every"], given.get("first", now), now))


def _said(plan: VisitPlan) -> Answer:
    when = {"name": "ended", "valueInstant": instant(plan.ended_at)} if plan.ended_at else {"name": "next", "valueInstant": instant(plan.next_at)}  # fmt: skip
    return answer([{"name": "every", "valueInteger": plan.every_days}, when])
