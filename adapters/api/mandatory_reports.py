"""`GET /quality/mandatory-reports`: how soon reports that the law asks for were made, once it was known; nobody is in it."""

from typing import Any

from litestar import MediaType, Request, Response, get
from litestar.datastructures import State
from litestar.handlers import HTTPRouteHandler

from adapters.api import door
from service.access.model import Call
from service.referrals import report_flow


@get("/quality/mandatory-reports", media_type=MediaType.JSON)
async def mandatory_reports(request: Request[Any, Any, State]) -> Response[Any]:
    """Of the reports made from `from` to `to`: how many, the median of the minutes, and how many within the limit."""

    async def run() -> Any:
        first, last = door.period(request.query_params)
        async with door.opened(request, Call("E", "quality-mandatory-reports"), "QuestionnaireResponse") as (
            session,
            actor,
        ):
            found = await report_flow.timeliness(session, actor, first, last)
        return {
            "from": first.isoformat(), "to": last.isoformat(), "reports": found.reports, "median-minutes": found.median_minutes,
            "within-limit": {"n": found.within, "d": found.reports}, "limit-minutes": found.limit_minutes,
        }  # fmt: skip

    return await door.answered(run)


route_handlers: list[HTTPRouteHandler] = [mandatory_reports]
