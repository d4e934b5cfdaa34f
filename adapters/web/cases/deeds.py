"""What is done on the page of a case: each form says which deed it is (`act`), is sent to the tab that it stands on, and shows it
again with what was typed where it is refused."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import msgspec
from litestar import MediaType, Request, get, post
from litestar.datastructures import State
from litestar.params import FromPath

from adapters.web import acting, faults
from adapters.web.cases import frame, moving, working
from adapters.web.cases.writing import Lacking, Said, said
from adapters.web.shell import Page, Person, Signed
from service.casework import desk_flow
from service.casework.desk_flow import View
from service.db import Session
from service.errors import Conflict, Forbidden, NotFound, Refusal
from service.values import Id


class Doing(msgspec.Struct, frozen=True):
    """One deed as it is done: by whom, on which case, with which words, when."""

    state: State
    session: Session
    who: Person
    view: View
    form: Said
    now: datetime


Deed = Callable[[Doing], Awaitable[str]]
"""Does it, and says where the page goes on."""

DEEDS: dict[str, Deed] = {**moving.DEEDS, **working.DEEDS}
FOR_ALL_STAFF = frozenset({"note", "correct", "time", "void-time", "start"})
"""What staff of the agency may do who are not on the case: write down their own work; begin what nobody has."""

Asked = Request[Any, Any, Any]


@get("/cases/{task:uuid}", media_type=MediaType.HTML)
async def case(request: Asked, state: State, who: Signed, task: FromPath[Id]) -> Page:
    """A case: what was done and what is to be done."""
    return await frame.show(request, state, who, task, "notes")


PARTS = [f"/cases/{{task:uuid}}/{tab}" for tab in frame.TABS if tab not in ("notes", "documents")]
"""The addresses of the tabs, but the first and the one that takes files (papers.py)."""


@get(PARTS, media_type=MediaType.HTML)
async def part(request: Asked, state: State, who: Signed, task: FromPath[Id]) -> Page:
    """One part of a case."""
    return await frame.show(request, state, who, task, _tab(request))


@post("/cases/{task:uuid}", media_type=MediaType.HTML, status_code=200)
async def on_case(request: Asked, state: State, who: Signed, task: FromPath[Id]) -> Page:
    """A deed on the case's first page."""
    return await do(request, state, who, task, "notes")


@post(PARTS, media_type=MediaType.HTML, status_code=200)
async def on_part(request: Asked, state: State, who: Signed, task: FromPath[Id]) -> Page:
    """A deed on another part of it."""
    return await do(request, state, who, task, _tab(request))


def _tab(request: Asked) -> str:
    return request.url.path.rpartition("/")[2]


async def do(request: Asked, state: State, who: Person, task: Id, tab: str) -> Page:
    """Do what a form on this tab asks for, and go on; or show the tab again with what was typed."""
    form = await said(request)
    act = form.one.get("act", "")
    deed = DEEDS.get(act)
    if deed is None:
        raise NotFound("There is no such deed.")

    async def deed_of(session: Session) -> str:
        view = await desk_flow.view(session, who.actor, task, session.began)
        if not view.whole and (act not in FOR_ALL_STAFF or (act == "start" and view.share.worker)):
            raise Forbidden("This is for who has the case.", key="wrong-actor")
        return await deed(Doing(state, session, who, view, form, session.began))

    try:
        return await acting.act(
            request, state, who, form.one, f"case-{act}", deed_of, resource_type="Task", resource_id=task
        )  # fmt: skip
    except Lacking as lacking:
        fault = lacking.told(who)
        return await frame.show(request, state, who, task, tab, status=422, fault=fault, act=act, typed=form.typed())
    except NotFound:
        raise
    except Refusal as refusal:
        fault = faults.told(refusal, who.speech, FIELDS.get(act))
        gate = form.text("to") if isinstance(refusal, Conflict) and refusal.key == "documents-missing" else None
        return await frame.show(
            request,
            state,
            who,
            task,
            tab,
            status=fault.status,
            fault=fault,
            act=act,
            typed=form.typed(),
            gate=gate or None,
        )


FIELDS: dict[str, dict[str, str]] = {
    "note": {"code": "type", "performed": "at", "minutes": "minutes"},
    "correct": {"code": "type", "performed": "at", "minutes": "minutes"},
    "visit": {"code": "visit-type", "performed": "visit-at"},
    "goal": {"category": "goal-type", "description": "goal-text"},
    "plan": {"goal": "plan-goal", "period": "review"},
    "hold": {"text": "hold-why"}, "complete": {"text": "complete-why", "coding": "complete-code", "output": "output"},
    "fail": {"text": "fail-why", "coding": "fail-code"}, "return": {"text": "return-why", "coding": "return-code"},
    "transfer": {"note": "transfer-note", "to": "transfer-to", "owner": "transfer-to"},
    "co-work": {"worker": "co-worker", "role": "co-role", "period.end": "co-until"},
    "pass-on": {"reason": "pass-why"}, "reopen": {"reason": "reopen-why", "owner": "reopen-why"},
    "time": {"activity": "activity", "minutes": "minutes-spent", "at": "spent-at"},
    "advance": {}, "approve": {}, "crisis": {"text": "crisis-text", "reasonCode": "crisis-step"}, "raise": {"text": "raise-text"},
    "ask": {"payload": "question"}, "decide": {"reason": "decide-why"}, "start": {}, "resume": {}, "confirm-cancel": {},
}  # fmt: skip
"""Deed → where its verb finds fault → the field of its form."""

route_handlers = [case, part, on_case, on_part]
