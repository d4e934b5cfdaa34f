"""`GET /quality/time`: how much of each worker's time was administration; `GET /quality/time/entries`: what that is made of."""

from typing import Any

from litestar import MediaType, Request, Response, get
from litestar.datastructures import State
from litestar.handlers import HTTPRouteHandler

from adapters.api import door
from service.access.model import Call
from service.casework import time_flow as flow
from service.casework.timekeeping import Ratio, Spent

PAGE = 200


@get("/quality/time", media_type=MediaType.JSON)
async def measured(request: Request[Any, Any, State]) -> Response[Any]:
    """Each worker's minutes by kind, and who is over the threshold; for one's own agency."""

    async def run() -> Any:
        first, last = door.period(request.query_params, door.this_month)
        worker = door.id(request.query_params, "worker")
        async with door.opened(request, Call("E", "quality-time"), "Task") as (session, actor):
            found = await flow.measured(session, actor, first, last, worker)
        return {
            "from": first.isoformat(), "to": last.isoformat(), "threshold": found.threshold,
            "workers": [_ratio(each) for each in found.workers], "agency": _ratio(found.whole),
            "over": [f"PractitionerRole/{each.worker}" for each in found.workers if each.over and each.worker],
        }  # fmt: skip

    return await door.answered(run)


@get("/quality/time/entries", media_type=MediaType.JSON)
async def entries(request: Request[Any, Any, State]) -> Response[Any]:
    """The entries and the interventions whose minutes are counted, in pages: `after` is the last id of the one before."""

    async def run() -> Any:
        first, last = door.period(request.query_params, door.this_month)
        worker, after = (door.id(request.query_params, name) for name in ("worker", "after"))
        async with door.opened(request, Call("E", "quality-time-entries"), "Task") as (session, actor):
            found = await flow.spent(session, actor, first, last, worker, after, PAGE)
        more = {"next": str(found[-1].id)} if len(found) == PAGE else {}
        return {"entries": [_spent(each) for each in found]} | more

    return await door.answered(run)


def _ratio(it: Ratio) -> dict[str, Any]:
    whose = {"worker": f"PractitionerRole/{it.worker}"} if it.worker else {}
    return whose | {
        "professional": it.professional, "administrative": it.administrative, "minutes": it.minutes, "share": it.share, "over": it.over,
    }  # fmt: skip


def _spent(it: Spent) -> dict[str, Any]:
    said: dict[str, Any] = {
        "id": str(it.id), "minutes": it.minutes, "kind": "administrative" if it.administrative else "professional",
        "at": it.at.isoformat(), "activity": it.activity or "procedure",
    }  # fmt: skip
    if it.worker:
        said["worker"] = f"PractitionerRole/{it.worker}"
    if it.task:
        said["task"] = f"Task/{it.task}"
    return said


route_handlers: list[HTTPRouteHandler] = [measured, entries]
