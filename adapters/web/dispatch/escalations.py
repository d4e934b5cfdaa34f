"""Escalations: what the clocks told a supervisor or the coordinator of, since when, how often, and who has seen it."""

from datetime import datetime
from typing import Any

import msgspec
from litestar import MediaType, Request, get, post
from litestar.datastructures import State
from litestar.params import FromPath

from adapters.web import acting, faults, paging, shell
from adapters.web.dispatch import rows
from adapters.web.shell import Page, Person, Signed
from adapters.web.speech import noted
from service.access import flow as access
from service.db import Session
from service.errors import Forbidden, Malformed, Refusal
from service.referrals import escalation_flow
from service.referrals.escalation_flow import MAY_SEE, Escalations
from service.referrals.escalation_store import Escalated
from service.values import Id

AT_A_TIME = 50
TOLD = {"supervisor": noted("已升级给督导"), "coordinator": noted("已升级给督导和协调员")}
acting.says({"seen": noted("已记下：您知道了。这一步仍然超时，做了才算完。")})


class Row(msgspec.Struct, frozen=True):
    """An escalation in words; `what` and `since` name the step that somebody has seen."""

    row: rows.Row
    told: str
    times: int
    first: str
    exact: str
    what: str
    since: str
    seen: str | None
    note: str | None


@get(["/team/escalations", "/dispatch/escalations"], media_type=MediaType.HTML)
async def escalations(request: Request[Any, Any, Any], state: State, who: Signed) -> Page:
    """The longest overdue first: an agency's own for its supervisor, those that came to the coordinator for the platform."""
    return await _escalations(request, state, who)


async def _escalations(
    request: Request[Any, Any, Any], state: State, who: Person, fault: faults.Fault | None = None, at: Id | None = None,
    typed: str = "", status: int = 200,
) -> Page:  # fmt: skip
    after = paging.place(request.query_params.get("after"))
    behind = (after[0], after[1]) if after and after[0] else None
    async with access.open(state.database, who.actor, shell.call(request, "page-escalations")) as session:
        found = await escalation_flow.escalations(session, who.actor, after=behind, limit=AT_A_TIME)
        now = session.began
    return shell.page(
        request, "dispatch/escalations.html", who, who.speech, status=status, title=who.speech.gettext("升级"), fault=fault, at=at, typed=typed,
        rows=[made for each in found.rows if (made := _row(each, found, who, now))], next=paging.written(found.after), later=behind is not None,
        platform=who.actor.side == "platform", home=home(who), may=who.actor.role in MAY_SEE,
    )  # fmt: skip


def home(who: Person) -> str:
    """Where this reader's escalations stand."""
    return "/dispatch/escalations" if who.actor.side == "platform" else "/team/escalations"


def _row(it: Escalated, found: Escalations, who: Person, now: datetime) -> Row | None:
    open_row = found.open(it)
    if open_row.referral is None and open_row.task is None:
        return None
    speech, first = who.speech, it.first_at or it.step.by
    seen = None
    if it.seen_at:
        seen = speech.gettext("%(name)s %(time)s 已知悉") % {"name": it.seen_by, "time": speech.when(it.seen_at, now)}
    return Row(
        rows.row(open_row, found.names, who, now), speech.gettext(TOLD[it.told]), it.times, speech.when(first, now), speech.exact(first),
        it.step.what, it.step.since.isoformat(), seen, it.note,
    )  # fmt: skip


@post("/escalations/{referral:uuid}/seen", media_type=MediaType.HTML, status_code=200)
async def see(request: Request[Any, Any, Any], state: State, who: Signed, referral: FromPath[Id]) -> Page:
    """Say that one has seen it, and what one will do about it."""
    said = await shell.form(request)
    if who.actor.role not in MAY_SEE:
        raise Forbidden("A supervisor or the coordinator says so.", key="wrong-actor")
    try:
        since = datetime.fromisoformat(said.get("since", ""))
    except ValueError:
        raise Malformed("This is no form of ours.") from None

    async def do(session: Session) -> str:
        await escalation_flow.see(session, who.actor, referral, said.get("what", ""), since, said.get("note"), session.began)  # fmt: skip
        return acting.done(home(who), "seen")

    try:
        return await acting.act(request, state, who, said, "page-escalation-seen", do, resource_type="ServiceRequest", resource_id=referral)  # fmt: skip
    except Refusal as refusal:
        fault = faults.told(refusal, who.speech, {"note": f"note-{referral}"})
        return await _escalations(request, state, who, fault, referral, said.get("note", ""), fault.status)


route_handlers = [escalations, see]
