"""Which agencies a hospital works with: a timeline of its partnerships; begun, changed from a day on, ended; what is past stays."""

from datetime import date, timedelta
from typing import Any

import msgspec
from litestar import MediaType, Request, get, post
from litestar.datastructures import State
from litestar.params import FromPath

from adapters.web import acting, faults, shell
from adapters.web.admin import desk
from adapters.web.faults import Fault
from adapters.web.shell import Page, Person, Signed
from adapters.web.speech import noted
from service.access import flow as access
from service.db import Session
from service.directory import keeping_flow as keeping
from service.directory.model import PLACERS, TAKERS, Organization, Partnership
from service.errors import Invalid, Refusal
from service.values import Id, as_id, local_day

ROOM = "/admin/partnerships"
YEARS = 4
"""The timeline shows so many years: two before this one's, and the next."""
ONE, NEW = noted("一份协议"), noted("新建协议")
STATES = {"in-force": noted("有效"), "ended": noted("已结束"), "coming": noted("未开始")}


class Bar(msgspec.Struct, frozen=True):
    """A partnership on the timeline: where its bar begins and how long it is, in a thousand of the whole; its state and names."""

    it: Partnership
    agency: Organization | None
    hospital: Organization | None
    state: str
    left: int
    width: int
    soon: bool


def bars(found: keeping.Sight, today: date) -> list[Bar]:
    """Partnerships in the order of agencies and time, on a line that begins with the year before last."""
    first, last = date(today.year - 2, 1, 1), date(today.year - 2 + YEARS, 1, 1)
    span = (last - first).days
    places = {each.id: each for each in found.places}

    def at(day: date) -> int:
        return round(1000 * min(max((day - first).days, 0), span) / span)

    made: list[Bar] = []
    for it in found.partnerships:
        end = it.valid_to + timedelta(days=1) if it.valid_to else last
        state = "coming" if it.valid_from > today else "ended" if it.valid_to and it.valid_to < today else "in-force"
        soon = state == "in-force" and it.valid_to is not None and it.valid_to <= today + keeping.SOON
        left = at(it.valid_from)
        made.append(Bar(it, found.named.get(it.agency), places.get(it.hospital), state, left, max(at(end) - left, 4), soon))  # fmt: skip
    return sorted(made, key=lambda each: (str(each.it.hospital), each.it.rank if each.state == "in-force" else 1000, str(each.it.agency), each.it.valid_from))  # fmt: skip


@get(ROOM, media_type=MediaType.HTML)
async def partnerships(request: Request[Any, Any, Any], state: State, who: Signed) -> Page:
    """The partnerships of one hospital and its campuses."""
    async with access.open(state.database, who.actor, shell.call(request, "page-partnerships")) as session:
        keeping.permit(who.actor)
        hospitals = await keeping.organizations(session, who.actor, kinds=["hospital"], limit=500)
        wanted = as_id(request.query_params.get("hospital")) or (hospitals[0].id if hospitals else None)
        found = await keeping.partnerships(session, who.actor, wanted) if wanted else None
        today = local_day(session.began)
    return desk.page(
        request, "partnerships.html", who, title=who.speech.gettext("合作协议"), room=ROOM, hospitals=hospitals, wanted=wanted,
        bars=bars(found, today) if found else [], states=STATES, years=[today.year - 2 + n for n in range(YEARS)],
        now_at=round(1000 * (today - date(today.year - 2, 1, 1)).days / (date(today.year - 2 + YEARS, 1, 1) - date(today.year - 2, 1, 1)).days),
        campuses=len(found.places) > 1 if found else False,
    )  # fmt: skip


async def _form(
    request: Request[Any, Any, Any],
    state: State,
    who: Person,
    filled: dict[str, str],
    *,
    id: Id | None = None,
    fault: Fault | None = None,
) -> Page:
    async with access.open(state.database, who.actor, shell.call(request, "page-partnership-form")) as session:
        keeping.permit(who.actor)
        found = await keeping.partnership(session, who.actor, id) if id else None
        choice = await keeping.for_choice(session, who.actor)
        today = local_day(session.began)
    it = found[0] if found else None
    cells = keeping.cells_of_partnership(*found) if found else {"valid_from": today.isoformat(), "rank": "1", "mode": "sequence"}  # fmt: skip
    return desk.page(
        request, "partnership.html", who, title=who.speech.gettext(ONE if id else NEW), room=ROOM, status=fault.status if fault else 200,
        fault=fault, it=it, hospital=found[1] if found else None, agency=found[2] if found else None, filled=cells | filled,
        hospitals=desk.named(choice, PLACERS, who.speech), agencies=desk.named(choice, TAKERS, who.speech),
        today=today, ended=it is not None and it.valid_to is not None and it.valid_to < today,
    )  # fmt: skip


@get(ROOM + "/add", media_type=MediaType.HTML)
async def add(request: Request[Any, Any, Any], state: State, who: Signed) -> Page:
    """An empty form."""
    hospital = desk.text(request, "hospital")
    return await _form(request, state, who, {"hospital": hospital} if hospital else {})


@get(ROOM + "/{partnership:uuid}", media_type=MediaType.HTML)
async def partnership(request: Request[Any, Any, Any], state: State, who: Signed, partnership: FromPath[Id]) -> Page:
    """One partnership, to be changed from a day on or ended."""
    return await _form(request, state, who, {}, id=partnership)


def _cells(said: dict[str, list[str]]) -> dict[str, str]:
    words = {name: values[-1].replace("\x00", "").strip() for name, values in said.items()}
    fields = ("hospital", "agency", "valid_from", "valid_to", "rank", "mode", "reply_limits", "departments")
    return {name: words.get(name, "") for name in fields} | {"needs": " ".join(said.get("needs", []))}


@post(ROOM + "/add", media_type=MediaType.HTML, status_code=303)
async def begin(request: Request[Any, Any, Any], state: State, who: Signed) -> Page:
    """A hospital and an agency work together from a day on."""
    lists = await shell.fields(request)
    cells = _cells(lists)

    async def act(session: Session) -> str:
        await keeping.begin_partnership(session, who.actor, cells)
        return acting.done(ROOM, "saved")

    return await _done(request, state, who, lists, cells, None, "page-partnership-begin", act)


@post(ROOM + "/{partnership:uuid}", media_type=MediaType.HTML, status_code=303)
async def change(request: Request[Any, Any, Any], state: State, who: Signed, partnership: FromPath[Id]) -> Page:
    """From a day on it reads otherwise."""
    lists = await shell.fields(request)
    cells = _cells(lists)

    async def act(session: Session) -> str:
        since = _day(lists, "since")
        await keeping.change_partnership(session, who.actor, partnership, _version(lists), cells, since)
        return acting.done(ROOM, "saved")

    return await _done(request, state, who, lists, cells, partnership, "page-partnership-change", act)


@post(ROOM + "/{partnership:uuid}/end", media_type=MediaType.HTML, status_code=303)
async def end(request: Request[Any, Any, Any], state: State, who: Signed, partnership: FromPath[Id]) -> Page:
    """It holds up to a day and no longer."""
    lists = await shell.fields(request)

    async def act(session: Session) -> str:
        await keeping.end_partnership(session, who.actor, partnership, _version(lists), _day(lists, "last"))
        return acting.done(ROOM, "saved")

    return await _done(request, state, who, lists, {}, partnership, "page-partnership-end", act, {"valid_to": "last"})


def _version(lists: dict[str, list[str]]) -> int:
    return desk.number_of(lists.get("version", [""])[-1]) or 0


def _day(lists: dict[str, list[str]], name: str) -> date:
    try:
        return date.fromisoformat(lists.get(name, [""])[-1])
    except ValueError:
        raise Invalid("This is no day.", at=name, key="cell-date") from None


async def _done(
    request: Request[Any, Any, Any], state: State, who: Person, lists: dict[str, list[str]], cells: dict[str, str], id: Id | None,
    interaction: str, act: Any, fields: dict[str, str] | None = None,
) -> Page:  # fmt: skip
    said = {name: values[-1] for name, values in lists.items()}
    try:
        return await acting.act(request, state, who, said, interaction, act)
    except Refusal as refused:
        if refused.code in ("forbidden", "not-found"):
            raise
        told = faults.told(refused, who.speech, ({name: name for name in (*cells, "since", "last")} | fields) if fields else None)  # fmt: skip
        kept = {name: value for name, value in cells.items() if id is None or name not in ("hospital", "agency", "valid_from")}  # fmt: skip
        return await _form(request, state, who, kept | {name: said[name] for name in ("since", "last") if name in said}, id=id, fault=told)  # fmt: skip


route_handlers = [partnerships, add, partnership, begin, change, end]
