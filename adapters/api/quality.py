"""`GET /quality/orphans`: broken links between need, goal, intervention and outcome, for the agency's supervisor and the platform."""

from typing import Any

from litestar import MediaType, Request, Response, get
from litestar.datastructures import State
from litestar.handlers import HTTPRouteHandler

from adapters.api import door
from service.access.model import Call
from service.case_codes import CASE_ORPHAN
from service.codes import label
from service.errors import Malformed
from service.quality import flow
from service.quality.model import Orphan

PAGE, LARGEST_PAGE = 50, 200


@get("/quality/orphans", media_type=MediaType.JSON)
async def orphans(request: Request[Any, Any, State]) -> Response[Any]:
    """One page, oldest first: `after` is the last id of the one before, `limit` how many rows."""

    async def run() -> Any:
        after, limit = door.id(request.query_params, "after"), _limit(request.query_params.get("limit", ""))
        async with door.opened(request, Call("E", "quality-orphans"), "Task") as (session, actor):
            found = await flow.orphans(session, actor, after, limit)
        more = {"next": str(found[-1].id)} if len(found) == limit else {}
        return {"orphans": [_said(each) for each in found]} | more

    return await door.answered(run)


def _limit(text: str) -> int:
    if not text:
        return PAGE
    if not (text.isascii() and text.isdecimal() and len(text) < 4 and 1 <= int(text) <= LARGEST_PAGE):
        raise Malformed(f"limit is a number from 1 to {LARGEST_PAGE}.", at="limit")
    return int(text)


def _said(it: Orphan) -> dict[str, Any]:
    type = "Procedure" if it.kind.startswith("intervention") else "Goal"
    said: dict[str, Any] = {
        "id": str(it.id),
        "kind": it.kind,
        "zh": label(CASE_ORPHAN, it.kind),
        "en": label(CASE_ORPHAN, it.kind, "en"),
        "agency": f"Organization/{it.agency}",
        "task": f"Task/{it.task}",
        "phase": it.phase,
        "since": it.since.isoformat(),
    }
    if it.subject:
        said["subject"] = f"{type}/{it.subject}"
    if it.need:
        said["need"] = it.need
    return said


route_handlers: list[HTTPRouteHandler] = [orphans]
