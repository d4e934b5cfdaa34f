"""`/follow-ups`: whose window is open, late first; what comes; what was done today; what an agency found and a ward must refer."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

from litestar import MediaType, Request, get, post
from litestar.datastructures import State
from litestar.params import FromPath

from adapters.web import acting, faults, shell
from adapters.web.faults import Fault
from adapters.web.followup import rows
from adapters.web.shell import Page, Person, Signed
from adapters.web.speech import noted
from service.access import flow as access
from service.db import Session
from service.errors import Refusal
from service.followup import agenda_flow
from service.followup.agenda_store import Place
from service.values import Id

AT_A_TIME = 50
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


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
            after=_place(request.query_params.get("after")), coming_after=_place(request.query_params.get("coming")),
        )  # fmt: skip
        now = session.began

    def told(calls: tuple[agenda_flow.Call, ...]) -> list[rows.Row]:
        return [rows.row(each, found.names, who, now) for each in calls]

    return shell.page(
        request, "followup/list.html", who, who.speech, status=fault.status if fault else 200, title=who.speech.gettext("随访"),
        mine=mine, choosable=who.actor.worker is not None, open=told(found.open), coming=told(found.coming), seen_to=told(found.done),
        new_needs=told(found.new_needs), next=_written(found.after), coming_next=_written(found.coming_after),
        later=bool({"after", "coming"} & set(request.query_params)), fault=fault,
    )  # fmt: skip


def _place(written: str | None) -> Place | None:
    """Where a page begins, as a link carries it; a link that is none of ours begins at the beginning."""
    try:
        raw = base64.urlsafe_b64decode((written or "").encode())
        return EPOCH + timedelta(microseconds=int.from_bytes(raw[:8], "big")), Id(bytes=raw[8:])
    except (ValueError, OverflowError):
        return None


def _written(after: Place | None) -> str | None:
    if after is None:
        return None
    micros = (after[0] - EPOCH) // timedelta(microseconds=1)
    return base64.urlsafe_b64encode(micros.to_bytes(8, "big") + after[1].bytes).decode()


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
