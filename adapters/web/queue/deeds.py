"""What is done with one row of the queue, and with views: each a form, each once."""

from datetime import datetime
from typing import Any, cast

from litestar import MediaType, Request, post
from litestar.datastructures import State
from litestar.params import FromPath

from adapters.web import acting, shell
from adapters.web.queue import looking, words
from adapters.web.queue.rows import Where
from adapters.web.shell import Page, Person, Signed
from service.access import flow as access
from service.casework import taking_flow
from service.casework.taking_flow import Act, Said
from service.db import Session
from service.errors import Conflict, Invalid, NotFound, Refusal
from service.referrals import filtering, queue_flow
from service.values import SHANGHAI, Id, as_id

UNDONE = frozenset({"accept", "claim", "hold"})
"""Acts whose confirmation offers to undo them."""
LEADS_ON = frozenset({"accept", "claim", "decline", "return"})
"""Acts after which the next offer is opened: this one is answered."""


def where(said: dict[str, str]) -> Where:
    """Where the form stood."""
    view = said.get("view", "all")
    return Where(view if view in words.VIEWS else "all", filtering.tokens_of(said.get("q")), as_id(said.get("task")))


def until(text: str | None) -> datetime | None:
    """A local time as a form says it. Raises Invalid."""
    if not text:
        return None
    try:
        return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI)
    except ValueError:
        raise Invalid("The time cannot be read.", at="until", key="time-unreadable") from None


def said_of(said: dict[str, str]) -> Said:
    """An act as a form says it. Raises Invalid for one that there is not."""
    act = said.get("act", "")
    if act not in words.ACTS:
        raise Invalid("There is no such act.", at="act", key="no-such-act")
    return Said(cast(Act, act), said.get("reason"), said.get("words"), as_id(said.get("worker")), until(said.get("until")))  # fmt: skip


@post("/queue/act", media_type=MediaType.HTML, status_code=200)
async def act(request: Request[Any, Any, Any], state: State, who: Signed) -> Page:
    """Do it; lead to the row, or to the next one, with what was done and how to undo it."""
    said = await shell.form(request)
    at = where(said)
    task = at.open
    if task is None:
        raise NotFound("There is no such Task, or it is not yours to see.")

    async def do(session: Session) -> str:
        told = said_of(said)
        after = await taking_flow.do(session, who.actor, task, told, session.began)
        to = at
        if told.act in LEADS_ON and at.view == "offers":
            to = Where(at.view, at.tokens, await _next(session, who, at, task))
        path = acting.done(to.path(), told.act)
        return f"{path}&undo={after.id}" if told.act in UNDONE else path

    try:
        return await acting.act(
            request, state, who, said, f"page-queue-{_word(said)}", do, resource_type="Task", resource_id=task
        )
    except Refusal as refusal:
        return await _again(request, state, who, at, said, refusal)


def _word(said: dict[str, str]) -> str:
    return said["act"] if said.get("act") in words.ACTS else "act"


async def _next(session: Session, who: Person, at: Where, task: Id) -> Id | None:
    found = await queue_flow.view(session, who.actor, at.view, at.tokens, session.began, limit=2)
    return next((row.task.id for row in found.rows if row.task and row.task.id != task), None)


async def _again(
    request: Request[Any, Any, Any], state: State, who: Person, at: Where, said: dict[str, str], refusal: Refusal
) -> Page:
    """The page again with why not: who was slower gets the next offer, who forgot something finds what they typed."""
    taken = isinstance(refusal, Conflict) and refusal.key in ("taken", "taken-here")
    async with access.open(state.database, who.actor, shell.call(request, "page-queue")) as session:
        if taken:
            following = await queue_flow.next_up(session, who.actor, None)
            at = Where(at.view, at.tokens, following.id if following else None)
        kept = {} if taken else {name: said[name] for name in ("act", "reason", "words", "until", "worker") if name in said}  # fmt: skip
        return await looking.show(
            request, session, who, at, fault=looking.refused(refusal, who), said=kept, taken=taken
        )


@post("/queue/saved", media_type=MediaType.HTML, status_code=200)
async def keep(request: Request[Any, Any, Any], state: State, who: Signed) -> Page:
    """Keep the view and its filter under a name, for oneself or for the team."""
    said = await shell.form(request)
    at = where({name: value for name, value in said.items() if name != "task"})

    async def do(session: Session) -> str:
        id = await queue_flow.keep(
            session, who.actor, said.get("name", ""), at.view, at.tokens, session.began, shared=said.get("shared") == "yes"
        )  # fmt: skip
        return acting.done(Where(at.view, at.tokens, saved=id).path(), "view-kept")

    try:
        return await acting.act(request, state, who, said, "page-queue-keep", do, action="C")
    except Invalid as refusal:
        async with access.open(state.database, who.actor, shell.call(request, "page-queue")) as session:
            return await looking.show(
                request, session, who, at, fault=looking.refused(refusal, who), said={"name": said.get("name", "")}
            )


@post("/queue/saved/{saved:uuid}/drop", media_type=MediaType.HTML, status_code=200)
async def drop(request: Request[Any, Any, Any], state: State, who: Signed, saved: FromPath[Id]) -> Page:
    """Drop a view of one's own."""
    said = await shell.form(request)

    async def do(session: Session) -> str:
        await queue_flow.drop(session, who.actor, saved)
        return acting.done("/queue", "view-dropped")

    return await acting.act(request, state, who, said, "page-queue-drop", do, action="D")


route_handlers = [act, keep, drop]
