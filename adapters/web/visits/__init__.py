"""`/visits`: what a volunteer is told of the visits matched to them, and nothing else of anybody."""

from datetime import timedelta
from typing import Any

import msgspec
from litestar import MediaType, Request, get
from litestar.datastructures import State

from adapters.web import shell
from adapters.web.shell import Page, Signed
from adapters.web.speech import noted
from service import codes
from service.access import flow as access
from service.directory import store as directory
from service.referrals import volunteer_flow


class Row(msgspec.Struct, frozen=True):
    """A visit in words; `today`: it is to be made today."""

    when: str
    exact: str
    at: str
    today: bool
    whom: str
    where: str
    what: str
    asks: str


@get("/visits", media_type=MediaType.HTML)
async def visits(request: Request[Any, Any, Any], state: State, who: Signed) -> Page:
    """The visits that are to be made, soonest first, each with the social worker to ask."""
    async with access.open(state.database, who.actor, shell.call(request, "page-visits")) as session:
        found = await volunteer_flow.visits(session, who.actor, session.began)
        workers = await directory.workers(session, [each.worker for each in found])
        now = session.began
    speech = who.speech
    rows = [
        Row(
            when=speech.when(each.starts_at, now), exact=speech.exact(each.starts_at), at=each.starts_at.isoformat(),
            today=abs(each.starts_at - now) < timedelta(hours=12), whom=each.given_name or speech.gettext("姓名不详"),
            where=each.address or speech.gettext("地址请问社工"), what=speech.code(codes.SERVICE_TYPE, each.service_type),
            asks=workers[each.worker].name if each.worker in workers else "",
        )
        for each in found
    ]  # fmt: skip
    return shell.page(request, "visits/visits.html", who, speech, title=noted("探访"), rows=rows)


route_handlers = [visits]
