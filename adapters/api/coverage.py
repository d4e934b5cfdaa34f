"""`GET /quality/coverage`: regions of the service area with their contacts, those in which nobody was met first."""

from typing import Any

from litestar import MediaType, Request, Response, get
from litestar.datastructures import State
from litestar.handlers import HTTPRouteHandler

from adapters.api import door
from service.access.model import Call
from service.quality import coverage_flow as flow


@get("/quality/coverage", media_type=MediaType.JSON)
async def coverage(request: Request[Any, Any, State]) -> Response[Any]:
    """Contacts from `from` to `to` (the last 30 days unless said otherwise) by region, and in how many there were any."""

    async def run() -> Any:
        first, last = door.period(request.query_params)
        async with door.opened(request, Call("E", "quality-coverage"), "Task") as (session, actor):
            found = await flow.coverage(session, actor, first, last)
        return {
            "from": first.isoformat(), "to": last.isoformat(),
            "covered": {"n": sum(each.contacts > 0 for each in found), "d": len(found)},
            "regions": [
                {"code": each.code, "zh": each.name_zh, "en": each.name_en, "contacts": each.contacts} for each in found
            ],
        }  # fmt: skip

    return await door.answered(run)


route_handlers: list[HTTPRouteHandler] = [coverage]
