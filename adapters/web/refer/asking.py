"""`/refer`: the form to refer, kept as it is typed, with who would receive it beside it; sent once, as a program would send it."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from litestar import MediaType, Request, get, post
from litestar.datastructures import State
from litestar.params import FromPath

from adapters.web import done, faults, shell
from adapters.web.faults import Fault
from adapters.web.refer import form as forms
from adapters.web.refer import plain, submission, view
from adapters.web.refer.form import Form
from adapters.web.refer.view import View
from adapters.web.sentence import sentence
from adapters.web.shell import Page, Person, Signed
from adapters.web.speech import noted
from service import codes
from service.access import flow as access
from service.errors import Refusal
from service.referrals import draft_flow, overview_flow
from service.safety import duties
from service.safety.instruments import INSTRUMENTS
from service.values import Id, as_id, local_day, new_id

Asked = Request[Any, Any, Any]
PATH = "/refer"
done.says({"refer": noted("转介已发送。"), "discard": noted("草稿已丢弃。")})


@get(PATH, media_type=MediaType.HTML)
async def refer(request: Asked, state: State, who: Signed) -> Page:
    """The form: a draft's that the address names, else an empty one."""
    named = as_id(request.query_params.get("draft"))
    async with access.open(state.database, who.actor, shell.call(request, "page-refer")) as session:
        drafts = await draft_flow.mine(session, who.actor)
        draft = await draft_flow.one(session, who.actor, named) if named else None
        if draft is not None and draft.referral:
            return shell.to(f"{PATH}/sent/{draft.referral}")
        seen = await view.look(
            session, who, draft.id if draft else new_id(), forms.typed(draft.content if draft else {}), session.began
        )
        now = session.began
    others = [
        (each.id, forms.summary(forms.typed(each.content), who.speech.language), who.speech.when(each.changed_at, now))
        for each in drafts
        if each.id != seen.draft
    ]
    gone = named is not None and draft is None
    return _page(
        request, who, seen, drafts=others, gone=gone, saved=who.speech.when(draft.changed_at, now) if draft else ""
    )


@post(f"{PATH}/look", media_type=MediaType.HTML, status_code=200, request_max_body_size=shell.LONGEST_FORM)
async def look(request: Asked, state: State, who: Signed) -> Page:
    """Keep what was typed so far, and say what follows from it: a piece of the page for a script, else the page again."""
    fields = await shell.fields(request)
    draft, typed = _draft(fields), forms.typed(fields)
    # What stood there when it was sent: it is drawn anew only where it is another's now, so that nobody types into what goes away.
    drawn, shown = (fields.get(name, [""])[-1].strip() for name in ("drawn", "shown"))
    script = bool(request.headers.get("hx-request"))
    call = shell.call(request, "page-draft", "U")
    async with access.open(state.database, who.actor, call) as session:
        seen = await view.look(session, who, draft, typed, session.began, drawn=drawn if script else None)
        kept = None
        if not seen.form.empty:
            kept = await draft_flow.keep(session, who.actor, draft, dict(seen.form.fields), session.began)
        now = session.began
    if kept is not None and kept.referral:
        return _elsewhere(request, f"{PATH}/sent/{kept.referral}")
    if not script:
        return shell.to(
            f"{PATH}?draft={draft}#{'who' if seen.form.one('number') and not seen.form.needs else 'ranking'}"
        )
    refilled = seen.form.one("known") != typed.one("known") or seen.form.one("number") != drawn
    piece = shell.page(
        request, "refer/look.html", who, who.speech, title=who.speech.gettext("转介"), **_said(seen, who), refilled=refilled,
        saved=who.speech.when(now, now) if kept else "", fault=None, instrument_changed=typed.one("instrument") != shown,
    )  # fmt: skip
    if kept is not None:
        # Going on and coming back, or loading again, finds what was typed.
        piece.headers["HX-Replace-Url"] = f"{PATH}?draft={draft}"
    return piece


@post(PATH, media_type=MediaType.HTML, status_code=200, request_max_body_size=shell.LONGEST_FORM)
async def send(request: Asked, state: State, who: Signed) -> Page:
    """Place the referral; with what stops it said beside its field, and everything that was typed still there."""
    fields = await shell.fields(request)
    draft, typed = _draft(fields), forms.typed(fields)
    try:
        sent, seen, wrong = await _placed(request, state, who, draft, typed)
    except Refusal as refused:
        async with access.open(state.database, who.actor, shell.call(request, "page-draft", "U")) as session:
            await draft_flow.keep(session, who.actor, draft, dict(typed.fields), session.began)
            seen = await view.look(session, who, draft, typed, session.began)
        return _page(request, who, seen, fault=faults.told(refused, who.speech, forms.FIELDS))
    if sent is not None:
        return shell.to(f"{PATH}/sent/{sent}?done=refer")
    return _page(request, who, seen, fault=faults.lacking(wrong, who.speech))


async def _placed(
    request: Asked, state: State, who: Person, draft: Id, typed: Form
) -> tuple[Id | None, View, list[tuple[str, str]]]:
    """The referral that the draft became, by this sending or by one before; or what is missing, and then the draft is kept."""
    call = shell.call(request, "page-refer-send", "E", resource_type="ServiceRequest")
    async with access.open(state.database, who.actor, call) as session:
        actor, now = who.actor, session.began
        kept = await draft_flow.keep(session, actor, draft, dict(typed.fields), now)
        seen = await view.look(session, who, draft, typed, now)
        if kept.referral:
            return kept.referral, seen, []
        checked = seen.found.patient is None or typed.one("known") == str(seen.found.patient.id)
        wrong = forms.faults(seen.form, seen.found, now, again=bool(seen.same), checked=checked)
        if wrong:
            if seen.form.empty:
                # Nobody comes back to a draft of nothing.
                await draft_flow.discard(session, actor, draft)
            return None, seen, wrong
        # Somebody new is registered under the hospital's own system of numbers.
        system = await draft_flow.number_system(session, actor) if seen.found.patient is None else ""
        bundle = submission.bundle(seen.form, seen.found, draft, actor, system, now)
        answer = await state.fhir(session, actor, "POST", "", bundle, now)
        made = _made(answer)
        await draft_flow.sent(session, actor, draft, made)
        call.resource_id = made
    return made, seen, []


def _made(answer: Mapping[str, Any]) -> Id:
    """The id of the request that was stored."""
    where = (entry["response"]["location"].split("/") for entry in answer["entry"])
    return Id(next(parts[parts.index("ServiceRequest") + 1] for parts in where if "ServiceRequest" in parts))


@post(f"{PATH}/discard", status_code=303)
async def discard(request: Asked, state: State, who: Signed) -> Page:
    """Throw a draft away."""
    fields = await shell.fields(request)
    async with access.open(state.database, who.actor, shell.call(request, "page-draft-discard", "D")) as session:
        await draft_flow.discard(session, who.actor, _draft(fields))
    return shell.to(f"{PATH}?done=discard")


@get(f"{PATH}/sent/{{referral:uuid}}", media_type=MediaType.HTML)
async def sent(request: Asked, state: State, who: Signed, referral: FromPath[UUID]) -> Page:
    """After sending: its number, who must act next, what to do on the spot, and what one does next."""
    call = shell.call(request, "page-refer-sent", resource_type="ServiceRequest", resource_id=referral)
    async with access.open(state.database, who.actor, call) as session:
        draft_flow.permit(who.actor)
        told = await overview_flow.one(session, who.actor, referral)
        now = session.began
    found = told.referral
    step = told.open.step if told.open else None
    says = None
    if step is not None:
        worker = told.names.workers.get(step.worker) if step.worker else None
        says = sentence(step, who.actor, told.names.organizations.get(step.organization), worker, who.speech, now)
    person = told.names.patients.get(found.patient) if found else None
    danger = frozenset({duties.ITEM_9}) if found and found.crisis else frozenset[str]()
    owed = duties.owed(
        duties.facts(
            found.needs if found else (), birth=person.birth_date if person else None, today=local_day(now),
            gender=person.gender if person else "unknown", signs=danger,
        )
    )  # fmt: skip
    return shell.page(
        request, "refer/sent.html", who, who.speech, title=who.speech.gettext("已转介"), id=referral, number=found.placer_value if found else "",
        name=person.name if person else None,
        says=says, spot=view.told(owed, who.speech), crisis=bool(found and found.crisis),
        urgency_=found.effective_urgency if found else "routine", placed=found.urgency if found else "routine",
    )  # fmt: skip


def _draft(fields: Mapping[str, list[str]]) -> Id:
    return as_id(fields.get("draft", [""])[-1]) or new_id()


def _elsewhere(request: Asked, path: str) -> Page:
    return shell.elsewhere(request, shell.Elsewhere(path))


def _said(seen: View, who: Person) -> dict[str, Any]:
    it = seen.form.instrument
    return {
        "v": seen, "f": seen.form, "plain": plain, "need_codes": codes.LISTS[codes.NEED].concepts, "safety": codes.SAFETY_NEEDS,
        "instruments": [INSTRUMENTS[key] for key in plain.INSTRUMENTS], "it": it, "zh": who.speech.language == "zh",
        "lists": {name: codes.LISTS[system].concepts for name, system in
                  (("none", codes.NO_IDENTIFIER_REASON), ("channel", codes.CHANNEL), ("asked_by", codes.CONTACT_ASKED_BY))},
    }  # fmt: skip


def _page(
    request: Asked, who: Person, seen: View, *, fault: Fault | None = None, drafts: list[tuple[Id, str, str]] | None = None,
    gone: bool = False, saved: str = "",
) -> Page:  # fmt: skip
    # What was typed is found again after another language was chosen.
    kept: dict[str, Any] = {"form_page": f"{PATH}?draft={seen.draft}"} if fault and not seen.form.empty else {}
    return shell.page(
        request, "refer/form.html", who, who.speech, status=fault.status if fault else 200, title=who.speech.gettext("转介"),
        **_said(seen, who), fault=fault, drafts=drafts or [], gone=gone, saved=saved, refilled=False, instrument_changed=False,
        **kept,
    )  # fmt: skip


route_handlers = [refer, look, send, discard, sent]
