"""The queue's pages that change nothing: the list beside its views and one open row, the row alone, what changed, what is next."""

from datetime import datetime
from typing import Any

from litestar import MediaType, Request, get, post
from litestar.datastructures import State
from litestar.params import FromPath

from adapters.web import acting, faults, shell, story
from adapters.web.faults import Fault
from adapters.web.queue import rows, words
from adapters.web.queue.rows import Line, Where
from adapters.web.shell import Page, Person, Signed
from service import codes
from service.access import flow as access
from service.casework import bulk_flow, taking_flow
from service.db import Session
from service.directory.model import Worker
from service.errors import NotFound, Refusal
from service.referrals import filtering, overview_flow, queue_flow
from service.referrals.filtering import STATES
from service.referrals.queue_store import BEGINNING
from service.values import URGENCIES, Id, as_id

AT_A_TIME = 50
ENTRIES = 4
"""How many of the last things that happened stand beside the list."""
REASONS = tuple(code for code in codes.LISTS[codes.DECLINE_REASON].codes if code != "expired")
"""Why an agency may refuse; that the limit passed is the clock's to say."""


def where(request: Request[Any, Any, Any]) -> Where:
    """What an address asks for; what it cannot ask for it does not."""
    asked = request.query_params
    view = asked.get("view", "all")
    return Where(
        view if view in words.VIEWS else "all", filtering.tokens_of(asked.get("q")), as_id(asked.get("open")),
        rows.place(asked.get("after")), as_id(asked.get("saved")),
    )  # fmt: skip


@get("/queue", media_type=MediaType.HTML)
async def queue(request: Request[Any, Any, Any], state: State, who: Signed) -> Page:
    """A view of the queue, with one row open where the address says so."""
    at = where(request)
    async with access.open(state.database, who.actor, shell.call(request, "page-queue")) as session:
        return await show(request, session, who, at)


async def show(
    request: Request[Any, Any, Any], session: Session, who: Person, at: Where, *, fault: Fault | None = None, unknown: tuple[str, ...] = (),
    typed: str | None = None, said: dict[str, str] | None = None, taken: bool = False,
) -> Page:  # fmt: skip
    """The whole page. `said`: what was typed in the form of an act that was refused."""
    now, actor = session.began, who.actor
    counts = await queue_flow.counts(session, actor, now)
    kept = await queue_flow.saved(session, actor)
    found = await queue_flow.view(session, actor, at.view, at.tokens, now, after=at.after, limit=AT_A_TIME)
    places = await _names(session, at.tokens, who)
    detail = await _detail(session, who, at.open, now) if at.open else None
    undo = await _undo(request, session, who, now)
    return shell.page(
        request, "queue/queue.html", who, who.speech, status=fault.status if fault else 200, title=words.VIEWS[at.view][1], at=at,
        views=words.VIEWS, counts=counts, kept=kept, rows=rows.lines(found, who, now), next=found.after, first=BEGINNING, detail=detail, fault=fault,
        chips=_chips(at, who, places), said=said or {}, unknown=unknown, taken=taken, reasons=REASONS, acts_words=words.ACTS,
        box=typed if typed is not None else " ".join(words.typed(token, who.speech, places) for token in at.tokens),
        needs_=codes.LISTS[codes.NEED].codes, running=await bulk_flow.running(session, actor), many=words.MANY, undo=undo,
        colleagues=await colleagues(session, who),
    )  # fmt: skip


async def _names(session: Session, tokens: tuple[str, ...], who: Person) -> dict[str, str]:
    """What the places and hospitals of a filter are called."""
    named = await queue_flow.called(session, tokens)
    return {token: who.speech.name(thing) for token, thing in named.items()}


async def colleagues(session: Session, who: Person) -> tuple[Worker, ...]:
    """To whom work may be given: a supervisor's question, nobody else assigns to others."""
    if who.actor.role != "supervisor":
        return ()
    return (await overview_flow.colleagues(session, who.actor, who.actor.organization)).workers


def _chips(at: Where, who: Person, places: dict[str, str]) -> list[tuple[str, str, bool, str]]:
    """The filter's words beside its box: token, words, whether it is on, and the address with it put in or taken out."""
    every = [*words.CHIPS, *(token for token in at.tokens if token not in words.CHIPS)]
    return [
        (token, words.token(token, who.speech, places), token in at.tokens, at.with_token(token)) for token in every
    ]


async def _undo(
    request: Request[Any, Any, Any], session: Session, who: Person, now: datetime
) -> tuple[str, Id, str] | None:
    """What the confirmation that stands above offers to undo: an acceptance or a hold, of the Task in the address; and of what
    it speaks, since by then another row may be open."""
    task = as_id(request.query_params.get("undo"))
    if task is None:
        return None
    try:
        found = await queue_flow.task(session, who.actor, task)
    except NotFound:
        return None
    legal = taking_flow.acts(found, who.actor, now, session.practice.return_grace.minutes * 60)
    act = next((act for act in ("return", "resume") if act in legal), None)
    about = ("、" if who.speech.language == "zh" else ", ").join(
        who.speech.code(codes.NEED, need) or need for need in found.told_needs
    )
    return (act, task, about) if act else None


async def _detail(session: Session, who: Person, id: Id, now: datetime) -> dict[str, Any]:
    """One row in full: the same facts, what may be done with it, and what happened last."""
    try:
        task = await queue_flow.task(session, who.actor, id)
    except NotFound:
        return {"line": None, "gone": True}
    grace = session.practice.return_grace.minutes * 60
    acts = taking_flow.acts(task, who.actor, now, grace) if task.open else ()
    told = await overview_flow.one(session, who.actor, task.referral)
    found = await queue_flow.shown(session, who.actor, [task], now) if task.open else None
    return {
        "gone": False,
        "task": task,
        "line": rows.line(found.rows[0], found, who, now) if found and found.rows else None,
        "needs": task.told_needs,
        "ended": None if task.open else who.speech.code(codes.BUSINESS_STATUS, task.business_status) or who.speech.gettext(words.STATUS.get(task.status, task.status)),
        "acts": acts,
        "case": task.accepted_at is not None and task.kind == "share",
        "events": [story.entry(event, told, who, now) for event in reversed(told.events[-ENTRIES:])],
        "mine": task.worker is not None and task.worker == who.actor.worker,
        "supervisor": who.actor.role == "supervisor",
    }  # fmt: skip


@get("/queue/row/{task:uuid}", media_type=MediaType.HTML)
async def row(request: Request[Any, Any, Any], state: State, who: Signed, task: FromPath[Id]) -> Page:
    """The open row alone, for a page that is there already."""
    at = where(request)
    async with access.open(
        state.database, who.actor, shell.call(request, "page-queue-row", resource_type="Task", resource_id=task)
    ) as session:
        detail = await _detail(session, who, task, session.began)
        others = await colleagues(session, who)
    return shell.page(
        request, "queue/row.html", who, who.speech, title=words.VIEWS[at.view][1], at=at, detail=detail, reasons=REASONS, said={},
        acts_words=words.ACTS, colleagues=others, fault=None,
    )  # fmt: skip


@get("/queue/rows", media_type=MediaType.HTML)
async def since(request: Request[Any, Any, Any], state: State, who: Signed) -> Page:
    """How rows stand that a page shows, and which Tasks that it heard of belong to its view: what it needs to change itself."""
    at = where(request)
    asked = [id for text in request.query_params.get("tasks", "").split(" ")[:200] if (id := as_id(text))]
    async with access.open(state.database, who.actor, shell.call(request, "page-queue-rows")) as session:
        now = session.began
        found = await queue_flow.since(session, who.actor, at.view, at.tokens, asked, now)
        counts = await queue_flow.counts(session, who.actor, now)
    shown, gone = rows.changed(found, asked, who, now)
    return shell.page(
        request, "queue/rows.html", who, who.speech, title=words.VIEWS[at.view][1], at=at, rows=shown, gone=gone, inside=found.inside,
        counts=counts, views=words.VIEWS,
    )  # fmt: skip


@get("/queue/next", media_type=MediaType.HTML)
async def next_up(request: Request[Any, Any, Any], state: State, who: Signed) -> Page:
    """Lead to the most urgent that nobody has; looking claims nothing."""
    at = where(request)
    async with access.open(state.database, who.actor, shell.call(request, "page-queue-next")) as session:
        found = await queue_flow.next_up(session, who.actor, at.open)
    if found is None:
        return shell.to(acting.done(at.path(open=None), "nobody-waits"))
    view = "offers" if found.status == "requested" else "unassigned"
    return shell.to(Where(view, open=found.id).path())


@post("/queue/filter", media_type=MediaType.HTML, status_code=200)
async def filter(request: Request[Any, Any, Any], state: State, who: Signed) -> Page:
    """Read the words of the filter and lead to their tokens: what was typed could be a name, and stands in no address."""
    said = await shell.form(request)
    view = said.get("view", "all")
    text = said.get("words", "")
    async with access.open(state.database, who.actor, shell.call(request, "page-queue-filter")) as session:
        read = await queue_flow.understood(session, text)
        at = Where(view if view in words.VIEWS else "all", read.tokens)
        if read.unknown:
            return await show(request, session, who, at, unknown=read.unknown, typed=text[: filtering.LONGEST])
    return shell.to(at.path())


def refused(refusal: Refusal, who: Person) -> Fault:
    """The refusal in words; whoever was quicker is named."""
    fault = faults.told(refusal, who.speech, FIELDS)
    name, at = refusal.names.get("who"), refusal.names.get("at")
    if refusal.key != "taken-here" or not name or not at:
        return fault
    when = who.speech.when(datetime.fromisoformat(at), datetime.fromisoformat(at))
    summary = who.speech.gettext("%(who)s 在%(when)s已经接了这一条。没有改变任何内容；下面是下一条。") % {
        "who": name,
        "when": when,
    }
    return Fault(summary, (), fault.status)


FIELDS = {"reason": "reason", "words": "words", "until": "until", "restriction.period.end": "until", "worker": "worker", "owner": "worker", "statusReason.text": "words", "statusReason.coding": "reason"}  # fmt: skip
"""A refusal's field → the field of the form."""

assert set(words.CHIPS) <= {*URGENCIES, *STATES, *filtering.MARKS}

__all__ = ["Line", "refused", "route_handlers", "show", "where"]

route_handlers = [queue, row, since, next_up, filter]
