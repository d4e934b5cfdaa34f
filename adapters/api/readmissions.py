"""`GET /quality/readmissions`: how many of a hospital's discharges were followed by another admission."""

from typing import Any

from litestar import MediaType, Request, Response, get
from litestar.datastructures import State
from litestar.handlers import HTTPRouteHandler

from adapters.api import door
from service.access.model import Call
from service.quality import readmission_flow as flow
from service.quality.model import Readmissions


@get("/quality/readmissions", media_type=MediaType.JSON)
async def readmissions(request: Request[Any, Any, State]) -> Response[Any]:
    """Counts and rate by hospital; the hospital's own, or for the platform each."""

    async def run() -> Any:
        first, last = door.period(request.query_params, door.this_month)
        async with door.opened(request, Call("E", "quality-readmissions"), "Encounter") as (session, actor):
            found = await flow.readmissions(session, actor, first, last, session.began)
            days = session.practice.readmission_days
        return {
            "from": first.isoformat(), "to": last.isoformat(), "days": days, "hospitals": [_said(each) for each in found],
        }  # fmt: skip

    return await door.answered(run)


def _said(it: Readmissions) -> dict[str, Any]:
    return {
        "hospital": f"Organization/{it.hospital}", "discharges": it.discharges, "unplanned": it.unplanned, "planned": it.planned,
        "pending": it.pending, "rate": it.rate,
    }  # fmt: skip


route_handlers: list[HTTPRouteHandler] = [readmissions]
