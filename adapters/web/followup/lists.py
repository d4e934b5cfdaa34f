"""`/follow-ups`: whose window is open, late first; what comes; what was done today; what an agency found and a ward must refer."""

from typing import Any

from litestar import MediaType, Request, get, post
from litestar.datastructures import State
from litestar.params import FromPath

from adapters.web import acting, faults, paging, shell
from adapters.web.faults import Fault
from adapters.web.followup import rows
from adapters.web.shell import Page, Person, Signed
from adapters.web.speech import noted
from service.access import flow as access
from service.db import Session
from service.errors import Refusal
from service.followup import agenda_flow
from service.values import Id

AT_A_TIME = 50


def whose(request: Request[Any, Any, Any], who: Person) -> bool:
    """Whether the reader wants their own alone: what they asked for, else a social worker's own and everybody's for others."""
    asked = request.query_params.get("whose")
    if asked in ("mine", "all"):
        return asked == "mine" and who.actor.worker is not None
    return who.actor.role == "social_worker" and who.actor.worker is not None


@get("/follow-ups", media_type=MediaType.HTML)
async def follow_ups(request: Request[Any, Any, Any], state: State, who: Signed) -> Page:
    """The list, late ones first."""
    return await _list(request, state, who)


async def _list(request: Request[Any, Any, Any], state: State, who: Person, fault: Fault | None = None) -> Page:
    mine = whose(request, who)
    async with access.open(state.database, who.actor, shell.call(request, "page-follow-ups")) as session:
        found = await agenda_flow.agenda(
            session, who.actor, session.began, mine=mine, limit=AT_A_TIME,
            after=paging.timed(request.query_params.get("after")), coming_after=paging.timed(request.query_params.get("coming")),
        )  # fmt: skip
        now = session.began

    def told(calls: tuple[agenda_flow.Call, ...]) -> list[rows.Row]:
        return [rows.row(each, found.names, who, now) for each in calls]

    return shell.page(
        request, "followup/list.html", who, who.speech, status=fault.status if fault else 200, title=who.speech.gettext("随访"),
        mine=mine, choosable=who.actor.worker is not None, open=told(found.open), coming=told(found.coming), seen_to=told(found.done),
        new_needs=told(found.new_needs), next=paging.written(found.after), coming_next=paging.written(found.coming_after),
        later=bool({"after", "coming"} & set(request.query_params)), fault=fault,
    )  # fmt: skip


@post("/follow-ups/needs/{duty:uuid}", status_code=303, request_max_body_size=shell.LONGEST_FORM)
async def refer_new_need(request: Request[Any, Any, Any], state: State, who: Signed, duty: FromPath[Id]) -> Page:
    """The hospital refers what an agency's follow-up found, in one step, or says why it does not."""
    said = await shell.form(request)
    refers = said.get("act") == "refer"
    why = said.get("reason", "").strip()
    if not refers and not why:
        return await _list(request, state, who, faults.lacking([(f"why-{duty}", NO_REASON)], who.speech))

    async def do(session: Session) -> str:
        task = await state.fhir(session, who.actor, "GET", f"Task/{duty}", None, session.began)
        changes: dict[str, Any] = {"status": "completed"} if refers else {"status": "cancelled", "statusReason": {"text": why}}  # fmt: skip
        done = await state.fhir(session, who.actor, "PUT", f"Task/{duty}", task | changes, session.began)
        made = next(
            (r for each in done.get("output", ()) if (r := each.get("valueReference", {}).get("reference", ""))), ""
        )
        if refers and made.startswith("ServiceRequest/"):
            return acting.done(f"/referrals/{made.partition('/')[2]}", "refer-new-need")
        return acting.done("/follow-ups", "refer-new-need" if refers else "not-refer")

    try:
        return await acting.act(request, state, who, said, "refer-new-need", do, resource_type="Task", resource_id=duty)
    except Refusal as refused:
        return await _list(request, state, who, faults.told(refused, who.speech, {"text": f"why-{duty}"}))


NO_REASON = noted("请写明为什么不转介，机构会看到。")

route_handlers = [follow_ups, refer_new_need]
