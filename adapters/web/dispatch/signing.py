"""`/team/approvals`: documents that a case needs a supervisor's signature on; sign as it stands, or give it back with words."""

from datetime import datetime
from typing import Any

import msgspec
from litestar import MediaType, Request, get, post
from litestar.datastructures import State
from litestar.params import FromPath

from adapters.web import acting, faults, shell
from adapters.web.shell import Page, Person, Signed
from adapters.web.speech import noted
from service import codes
from service.access import flow as access
from service.case_codes import CASE_DOCUMENT
from service.casework import phase_flow, signing_flow
from service.casework.signing_store import Unsigned
from service.db import Session
from service.errors import Forbidden, Refusal
from service.quality import completeness_flow
from service.quality.completeness_flow import Known
from service.values import Id, as_id

AT_A_TIME = 50
acting.says(
    {
        "signed": noted("已签批：签的是您看到的这一版，以后再改需要重新签。"),
        "sent-back": noted("已退回，社工在个案里会看到您的话；改过之后会再来签批。"),
    }
)


class Row(msgspec.Struct, frozen=True):
    """A document to sign, in words."""

    task: Id
    person: str | None
    phase: str
    worker: str
    own: bool
    document: str
    code: str
    version: int
    when: str
    exact: str


@get("/team/approvals", media_type=MediaType.HTML)
async def approvals(request: Request[Any, Any, Any], state: State, who: Signed) -> Page:
    """What waits for a signature, the oldest cases first."""
    return await _approvals(request, state, who)


async def _approvals(
    request: Request[Any, Any, Any], state: State, who: Person, fault: faults.Fault | None = None, at: Id | None = None,
    typed: dict[str, str] | None = None, status: int = 200,
) -> Page:  # fmt: skip
    after = as_id(request.query_params.get("after"))
    async with access.open(state.database, who.actor, shell.call(request, "page-approvals")) as session:
        if who.actor.role != "supervisor":
            raise Forbidden("This is for an agency's supervisor.", key="wrong-actor")
        found = await signing_flow.waiting(session, who.actor, after, AT_A_TIME + 1)
        shown = found[:AT_A_TIME]
        known = await completeness_flow.known(
            session, {each.worker for each in shown}, {each.patient for each in shown}
        )
        now = session.began
    return shell.page(
        request, "dispatch/approvals.html", who, who.speech, status=status, title=who.speech.gettext("待签批"), fault=fault, at=at,
        typed=typed or {}, rows=[_row(each, known, who, now) for each in shown], later=after is not None,
        next=shown[-1].case if len(found) > AT_A_TIME else None,
    )  # fmt: skip


def _row(it: Unsigned, known: Known, who: Person, now: datetime) -> Row:
    person = known.patients.get(it.patient) if it.patient else None
    worker = known.workers.get(it.worker) if it.worker else None
    return Row(
        task=it.task, person=person.name if person else None, phase=who.speech.code(codes.CASE_PHASE, it.phase),
        worker=worker.name if worker else "", own=it.worker is not None and it.worker == who.actor.worker,
        document=who.speech.code(CASE_DOCUMENT, it.document), code=it.document, version=it.version, when=who.speech.when(it.at, now),
        exact=who.speech.exact(it.at),
    )  # fmt: skip


def _version(said: dict[str, str]) -> int | None:
    text = said.get("version", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 9 else None


@post("/team/approvals/{task:uuid}/sign", media_type=MediaType.HTML, status_code=200)
async def sign(request: Request[Any, Any, Any], state: State, who: Signed, task: FromPath[Id]) -> Page:
    """Sign the version that was shown; a later one is refused, so that nobody signs what they have not read."""
    said = await shell.form(request)

    async def do(session: Session) -> str:
        note = said.get("note", "").strip() or None
        await phase_flow.approve(
            session, who.actor, task, said.get("document", ""), None, note, session.began, version=_version(said)
        )
        return acting.done("/team/approvals", "signed")

    return await _act(request, state, who, task, said, "page-sign", do)


@post("/team/approvals/{task:uuid}/return", media_type=MediaType.HTML, status_code=200)
async def send_back(request: Request[Any, Any, Any], state: State, who: Signed, task: FromPath[Id]) -> Page:
    """Give it back with words; the worker finds them in the case."""
    said = await shell.form(request)

    async def do(session: Session) -> str:
        await signing_flow.send_back(
            session, who.actor, task, said.get("document", ""), _version(said), said.get("words", ""), session.began
        )
        return acting.done("/team/approvals", "sent-back")

    return await _act(request, state, who, task, said, "page-send-back", do)


async def _act(
    request: Request[Any, Any, Any],
    state: State,
    who: Person,
    task: Id,
    said: dict[str, str],
    interaction: str,
    do: Any,
) -> Page:
    if who.actor.role != "supervisor":
        raise Forbidden("A supervisor signs, in person.", key="wrong-actor")
    try:
        return await acting.act(request, state, who, said, interaction, do, resource_type="Task", resource_id=task)
    except Refusal as refusal:
        fault = faults.told(refusal, who.speech, {"words": f"words-{task}"})
        return await _approvals(request, state, who, fault, task, said, fault.status)


route_handlers = [approvals, sign, send_back]
