"""`/page/<token>`: the page of a link in a call to somebody on duty. GET changes nothing, whoever asks; the button's POST
acknowledges the call, once. Nobody is in it: a crisis needs them, by when, and nothing else."""

from typing import Any

from litestar import MediaType, Request, Response, get, post
from litestar.datastructures import State
from litestar.params import FromPath

from adapters.web.answer import HEADERS, STYLE, known_link
from adapters.web.rendering import PAGES
from service.access import flow as access
from service.access.model import Call
from service.errors import Conflict, NotFound, TooMany
from service.notices import paging_flow as paging
from service.notices.paging_flow import Holder
from service.values import SHANGHAI

Page = Response[str]

SAID: dict[str, tuple[str, str]] = {
    "open": ("有一项危机需要您。", "A crisis needs you."),
    "done": ("已记下：由您处理。", "Noted: you see to it."),
    "over": ("这项危机已有人确认，这里无需再操作。", "The crisis was acknowledged already; nothing is left to do here."),
    "unknown": ("此链接无效。", "This link is not known here."),
    "slow": ("请稍后再试。", "Please try again in a while."),
}  # fmt: skip


@get("/page/{token:str}", media_type=MediaType.HTML)
async def look(request: Request[Any, Any, Any], state: State, token: FromPath[str]) -> Page:
    """Say that a crisis needs whoever was called, or that somebody has seen to it."""
    try:
        holder = await _held(request, state, token)
    except (NotFound, TooMany) as refusal:
        return _refused(refusal)
    page = holder.page
    return _page("done" if page.acknowledged_by == "link" else "over" if page.acknowledged_at else "open", holder)


@post("/page/{token:str}", media_type=MediaType.HTML, status_code=200)
async def acknowledge(request: Request[Any, Any, Any], state: State, token: FromPath[str]) -> Page:
    """Say that whoever was called sees to it."""
    try:
        holder = await _held(request, state, token)
    except (NotFound, TooMany) as refusal:
        return _refused(refusal)
    request_id = str(request.scope.get("yuanshe.request_id", ""))
    call = Call("E", "acknowledge-page", "Task", holder.page.task, request_id=request_id)
    try:
        async with access.open(state.database, holder.actor, call) as session:
            await paging.acknowledge_page(session, holder, session.began)
    except Conflict:
        return _page("over", holder, 409)
    return Response("", status_code=303, headers=HEADERS | {"Location": f"/page/{token}"})


async def _held(request: Request[Any, Any, Any], state: State, token: str) -> Holder:
    """Whose link it is. Raises as `known_link`."""
    return await known_link(request, state, paging.holder(state.database, token))


def _refused(refusal: Exception) -> Page:
    return _page("slow", None, 429) if isinstance(refusal, TooMany) else _page("unknown", None, 404)


def _page(word: str, holder: Holder | None, status: int = 200) -> Page:
    until = f"{holder.page.limit_at.astimezone(SHANGHAI):%Y-%m-%d %H:%M}" if holder else ""
    page = PAGES.get_template("duty.html").render(style=STYLE, zh=SAID[word][0], en=SAID[word][1], until=until, open=word == "open")  # fmt: skip
    return Response(page, status_code=status, headers=HEADERS)


route_handlers = [look, acknowledge]
