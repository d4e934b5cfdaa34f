"""Acts on many rows of the queue: asked for by one form, then looked at on a page that one may leave and come back to."""

from typing import Any

from litestar import MediaType, Request, get, post
from litestar.datastructures import State
from litestar.params import FromPath

from adapters.web import acting, faults, shell
from adapters.web.queue import deeds, looking, rows, words
from adapters.web.queue.rows import Line
from adapters.web.shell import Page, Person, Signed
from adapters.web.speech import noted
from service import codes
from service.access import flow as access
from service.casework import bulk_flow
from service.casework.bulk_store import BulkRow
from service.db import Session
from service.errors import Refusal
from service.referrals import queue_flow
from service.values import Id, as_id

NOT_DONE = noted("没有办成：情况已经变了。请打开这一条看看。")
LONGEST = 131_072
"""Octets of a form that names 1,000 rows."""


@post("/queue/bulk", media_type=MediaType.HTML, status_code=200)
async def begin(request: Request[Any, Any, Any], state: State, who: Signed) -> Page:
    """Note the act; the service's worker does it."""
    every = await shell.fields(request, longest=LONGEST)
    said = {name: values[-1] for name, values in every.items()}
    at = deeds.where({name: value for name, value in said.items() if name != "task"})

    async def do(session: Session) -> str:
        told = deeds.said_of(said)
        chosen = [id for text in every.get("task", []) if (id := as_id(text))]
        if said.get("all") == "yes":
            chosen = await queue_flow.ids(session, who.actor, at.view, at.tokens, session.began)
        id = await bulk_flow.ask(session, who.actor, told, chosen, session.began)
        return acting.done(f"/queue/bulk/{id}", "bulk")

    try:
        return await acting.act(request, state, who, said | {"task": " ".join(every.get("task", []))}, "page-queue-bulk", do)  # fmt: skip
    except Refusal as refusal:
        async with access.open(state.database, who.actor, shell.call(request, "page-queue")) as session:
            return await looking.show(request, session, who, at, fault=looking.refused(refusal, who), said=said)


@get("/queue/bulk/{act:uuid}", media_type=MediaType.HTML)
async def look(request: Request[Any, Any, Any], state: State, who: Signed, act: FromPath[Id]) -> Page:
    """How far it is, and what came of each row; those that were refused stay selected, to be tried again or otherwise."""
    async with access.open(state.database, who.actor, shell.call(request, "page-queue-bulk")) as session:
        now = session.began
        bulk = await bulk_flow.find(session, who.actor, act)
        part = request.query_params.get("part") == "progress"
        refused = [] if part else await bulk_flow.rows(session, bulk, "refused")
        done = [] if part else await bulk_flow.rows(session, bulk, "done")
        known = await _lines(session, who, [row.task for row in (*refused, *done)]) if not part else {}
        colleagues = await looking.colleagues(session, who)
    if part and bulk.ended_at is not None:
        answer = shell.page(request, "queue/progress.html", who, who.speech, title=words.ACTS[bulk.action], bulk=bulk, many=words.MANY)  # fmt: skip
        answer.headers["HX-Refresh"] = "true"
        return answer
    if part:
        return shell.page(request, "queue/progress.html", who, who.speech, title=words.ACTS[bulk.action], bulk=bulk, many=words.MANY)  # fmt: skip
    return shell.page(
        request, "queue/bulk.html", who, who.speech, title=words.ACTS[bulk.action], bulk=bulk, many=words.MANY, at=rows.Where(),
        refused=[(row, known.get(row.task), _why(row, who)) for row in refused], finished=[(row, known.get(row.task)) for row in done],
        colleagues=colleagues, reasons=looking.REASONS, acts_words=words.ACTS, said={}, now=now,
        reason=who.speech.code(codes.DECLINE_REASON, bulk.reason_code) or bulk.reason_text or "",
    )  # fmt: skip


async def _lines(session: Session, who: Person, tasks: list[Id]) -> dict[Id, Line]:
    """The rows as the list shows them, as far as they are open still."""
    found = await queue_flow.open_rows(session, who.actor, tasks, session.began)
    return {each.task: each for each in rows.lines(found, who, session.began)}


def _why(row: BulkRow, who: Person) -> str:
    if row.why == "taken-here" and row.detail:
        return who.speech.gettext("已由 %(who)s 接单") % {"who": row.detail}
    return who.speech.gettext(faults.KEYS.get(row.why or "", NOT_DONE))


route_handlers = [begin, look]
