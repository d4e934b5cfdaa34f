"""`/downtime`: the newest list of open work, earlier ones, to print, and as a file that needs nothing else."""

from datetime import UTC, datetime
from importlib import resources
from typing import Any

import msgspec
from litestar import MediaType, Request, Response, get
from litestar.datastructures import State

from adapters.web import shell
from adapters.web.downtime.lines import Printed, printed, stamp
from adapters.web.shell import Page, Person, Signed
from adapters.web.speech import Speech
from service.access import flow as access
from service.casework import downtime_flow
from service.casework.downtime_flow import OLD, Lists
from service.values import SHANGHAI

STYLE = resources.files("adapters.web.downtime").joinpath("paper.css").read_text(encoding="utf-8")


class Sheet(msgspec.Struct, frozen=True):
    """One list on paper: of a hospital a ward's."""

    ward: str
    as_of: str
    lines: tuple[Printed, ...]
    more: bool


class Hour(msgspec.Struct, frozen=True):
    """An hour of which there are lists."""

    at: str
    words: str
    count: int
    shown: bool


def sheets(found: Lists, speech: Speech) -> list[Sheet]:
    """The lists of an hour in words."""
    return [
        Sheet(
            each.ward,
            stamp(each.made_at, speech),
            tuple(printed(line, found, each.made_at, speech) for line in each.lines),
            each.more,
        )
        for each in found.shown
    ]


def slot(said: str | None) -> datetime | None:
    """The hour in an address, as 2026112214 in UTC; anything else means the newest."""
    try:
        return datetime.strptime(said or "", "%Y%m%d%H").replace(tzinfo=UTC)
    except ValueError:
        return None


def written(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y%m%d%H")


async def _found(
    request: Request[Any, Any, Any], state: State, who: Person, interaction: str
) -> tuple[Lists, datetime]:
    async with access.open(state.database, who.actor, shell.call(request, interaction)) as session:
        found = await downtime_flow.lists(
            session, who.actor, slot(request.query_params.get("at")), request.query_params.get("ward")
        )
        return found, session.began


@get("/downtime", media_type=MediaType.HTML)
async def downtime(request: Request[Any, Any, Any], state: State, who: Signed) -> Page:
    """The list to print before it is needed."""
    found, now = await _found(request, state, who, "page-downtime")
    speech = who.speech
    shown = found.shown[0] if found.shown else None
    hours: dict[datetime, int] = {}
    for each in found.hours:
        hours[each.slot] = hours.get(each.slot, 0) + each.count
    newest = found.hours[0].slot if found.hours else None
    late_one = bool(shown and newest and shown.slot != newest)
    return shell.page(
        request, "downtime/list.html", who, speech, title=speech.gettext("停机表"), sheets=sheets(found, speech),
        organization=speech.name(found.organizations.get(who.actor.organization)),
        old=speech.lasting((now - shown.made_at).total_seconds()) if shown and found.hours and now - shown.made_at > OLD and (late_one or found.hours[0].count) else None,
        late_one=late_one,
        wards=sorted({each.ward for each in found.hours if shown and each.slot == shown.slot}) if who.actor.side == "hospital" else [],
        ward=request.query_params.get("ward"), at=written(shown.slot) if shown else "",
        hours=[Hour(written(at), stamp(at, speech), count, bool(shown and shown.slot == at)) for at, count in hours.items()],
    )  # fmt: skip


@get("/downtime/copy", media_type=MediaType.HTML)
async def copy(request: Request[Any, Any, Any], state: State, who: Signed) -> Response[str]:
    """The list as one file that loads nothing, to be kept on a disk of one's own."""
    found, _ = await _found(request, state, who, "page-downtime-copy")
    text = paper(found, who.speech, who.actor.organization)
    at = found.shown[0].made_at.astimezone(SHANGHAI) if found.shown else datetime.now(SHANGHAI)
    headers = shell.HEADERS | {"Content-Disposition": f'attachment; filename="yuanshe-{at:%Y%m%d-%H%M}.html"'}
    return Response(text, media_type=MediaType.HTML, headers=headers)


def paper(found: Lists, speech: Speech, organization: Any) -> str:
    """The lists of an hour as a page that stands by itself."""
    return shell.drawn(
        "downtime/copy.html", speech, sheets=sheets(found, speech), organization=speech.name(found.organizations.get(organization)),
        paper_style=STYLE,
    )  # fmt: skip


route_handlers = [downtime, copy]
