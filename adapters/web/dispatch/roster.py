"""Who is on duty in a crisis now, and where the roster is short of people in the next two weeks."""

from datetime import datetime, timedelta
from typing import Any

import msgspec
from litestar import MediaType, Request, get
from litestar.datastructures import State

from adapters.web import shell
from adapters.web.shell import Page, Person, Signed
from service.access import flow as access
from service.directory import flow as directory
from service.directory.duty import Shift
from service.errors import Forbidden

AHEAD = timedelta(days=14)


class Now(msgspec.Struct, frozen=True):
    """Who is on duty for one organisation: name and telephone of each, and until when; nobody where the roster has a gap."""

    organization: str
    people: tuple[tuple[str, str], ...]
    until: str
    gaps: tuple[str, ...]
    none: bool


@get(["/team/roster", "/dispatch/roster"], media_type=MediaType.HTML)
async def roster(request: Request[Any, Any, Any], state: State, who: Signed) -> Page:
    """The supervisor's own agency; for the platform every organisation that keeps a roster or must."""
    async with access.open(state.database, who.actor, shell.call(request, "page-roster")) as session:
        if who.actor.side != "platform" and who.actor.role != "supervisor":
            raise Forbidden("This is for a supervisor and the platform.", key="wrong-actor")
        found = await directory.on_duty(session, who.actor, session.began, session.began + AHEAD)
        now = session.began
    speech = who.speech
    rows = [
        Now(
            speech.name(each), _people(found.now.get(id)), speech.when(found.now[id].ends, now) if id in found.now else "",
            tuple(_gap(gap.begins, gap.ends, gap.people, who, now) for gap in found.gaps if gap.organization == id), id not in found.now,
        )
        for id, each in sorted(found.organizations.items(), key=lambda item: (item[0] in found.now, speech.name(item[1])))
    ]  # fmt: skip
    return shell.page(
        request,
        "dispatch/roster.html",
        who,
        speech,
        title=speech.gettext("值班"),
        rows=rows,
        platform=who.actor.side == "platform",
    )


def _people(shift: Shift | None) -> tuple[tuple[str, str], ...]:
    people = [shift.first, shift.second] if shift else []
    return tuple((each.name, each.phone or "") for each in people if each)


def _gap(begins: datetime, ends: datetime, people: int, who: Person, now: datetime) -> str:
    speech = who.speech
    words = (
        speech.gettext("%(from)s 至 %(to)s 没有人值班")
        if people == 0
        else speech.gettext("%(from)s 至 %(to)s 只有一人值班")
    )
    return words % {"from": speech.when(begins, now), "to": speech.when(ends, now)}


route_handlers = [roster]
