"""`GET /quality/follow-up`: in how many windows after discharge the person was reached in time, and how many were lost."""

from typing import Any

from litestar import MediaType, Request, Response, get
from litestar.datastructures import State
from litestar.handlers import HTTPRouteHandler

from adapters.api import door
from service.access.model import Call
from service.quality import follow_up_flow as flow
from service.quality.model import Followed


@get("/quality/follow-up", media_type=MediaType.JSON)
async def followed(request: Request[Any, Any, State]) -> Response[Any]:
    """Of windows that closed from `from` to `to` (the last 30 days unless said otherwise), each with n and d."""

    async def run() -> Any:
        first, last = door.period(request.query_params)
        async with door.opened(request, Call("E", "quality-follow-up"), "Task") as (session, actor):
            found = await flow.followed(session, actor, first, last, session.began)
        order = {window.code: place for place, window in enumerate(request.app.state.settings.practice.follow_up)}
        windows = sorted((each for each in found if each.code), key=lambda each: order.get(each.code or "", len(order)))
        whole = next((each for each in found if each.code is None), Followed(None, 0, 0, 0, 0, 0, 0))
        return {
            "from": first.isoformat(), "to": last.isoformat(),
            "windows": [{"window": each.code} | _said(each) for each in windows],
            "all": _said(whole),
            "lost": {"n": whole.plans_lost, "d": whole.plans},
        }  # fmt: skip

    return await door.answered(run)


def _said(it: Followed) -> dict[str, Any]:
    return {"in-time": {"n": it.in_time, "d": it.due}, "reached": {"n": it.reached, "d": it.due}, "lost": {"n": it.lost, "d": it.due}}  # fmt: skip


route_handlers: list[HTTPRouteHandler] = [followed]
