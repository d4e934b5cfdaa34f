"""The forms of a case's documents, the screening instruments and the record of a mandatory report, each filled in on a page of its own."""

import json
from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec
from litestar import MediaType, Request, get, post
from litestar.datastructures import State
from litestar.params import FromPath

from adapters.web import acting, faults, shell
from adapters.web.cases import reading, wording
from adapters.web.cases.writing import (
    EMPTY,
    NOT_A_TIME,
    NOT_CHOSEN,
    Lacking,
    Said,
    about,
    said,
    written,
)
from adapters.web.faults import Entry, Fault
from adapters.web.shell import Page, Person, Signed
from adapters.web.speech import Speech, noted
from service import codes
from service.access import flow as access
from service.casework import desk_flow, phases
from service.casework.desk_flow import View
from service.casework.forms import FORMS, Form
from service.db import Session
from service.errors import Forbidden, NotFound, Refusal, Stale
from service.records.model import Record
from service.safety import reporting
from service.safety.instruments import INSTRUMENTS, Instrument
from service.values import SHANGHAI, Id, as_id

Asked = Request[Any, Any, Any]
Json = dict[str, Any]
LOINC = "http://loinc.org"
MANY = frozenset({"supervision-note", "follow-up-record"})
"""Documents of which a case has several: an empty form makes another one."""


NOT_ON_SCALE = noted("请填写量表范围内的整数。")
BEFORE = noted("报告时间不能早于知悉时间，也不能在将来。")


class Field(msgspec.Struct, frozen=True):
    """A question as a form asks it."""

    name: str
    label: str
    kind: Literal["text", "line", "date", "time", "yes-no", "one", "list", "many", "number"]
    required: bool = False
    options: tuple[tuple[str, str], ...] = ()
    highest: int | None = None


class Sheet(msgspec.Struct, frozen=True):
    """A form to be filled in: what it asks, where it is sent, what stands in it already."""

    title: str
    path: str
    fields: tuple[Field, ...]
    lead: str = ""
    rights: str = ""
    drafts: bool = False
    sealed: bool = False
    held: Record | None = None
    answers: dict[str, list[str]] = {}
    back: str = ""


# ---- documents -------------------------------------------------------------------------------------------------------


@get("/cases/{task:uuid}/forms/{document:str}", media_type=MediaType.HTML)
async def form(request: Asked, state: State, who: Signed, task: FromPath[Id], document: FromPath[str]) -> Page:
    """The form of a document, with what it says already."""
    it = _form(document)
    async with _open(request, state, who, task, "form") as session:
        view = await _whole(session, who, task)
        sheet = await _sheet(session, who, view, it, as_id(request.query_params.get("of")))
    return _page(request, who, sheet)


@post("/cases/{task:uuid}/forms/{document:str}", media_type=MediaType.HTML, status_code=200)
async def fill(request: Asked, state: State, who: Signed, task: FromPath[Id], document: FromPath[str]) -> Page:
    """Keep the document: as a draft, or as done."""
    it = _form(document)
    given = await said(request)
    draft = given.text("as") == "draft"
    asked = _asked_of(it, who.speech)

    async def do(session: Session) -> str:
        view = await _whole(session, who, task)
        if phases.DOCUMENTS[document].by_supervisor and who.actor.role != "supervisor":
            raise Forbidden("This is for a supervisor, in person.", key="supervisor-only")
        items = _items(asked, given, {item.code: item.type for item in it.items}, _systems(it), whole=not draft)
        held = await _held(session, who, view, it, as_id(given.text("of")))
        body = _body(held, given) | {
            "resourceType": "QuestionnaireResponse", "questionnaire": it.url, **about(view), "item": items,
            "status": "in-progress" if draft else _status(held), "authored": session.began.isoformat(),
        }  # fmt: skip
        if phases.DOCUMENTS[document].by_supervisor and who.actor.worker:
            body["author"] = {"reference": f"PractitionerRole/{who.actor.worker}"}
        await written(state, session, who, body, session.began)
        return wording.done(f"/cases/{task}", "draft-filed" if draft else "filed")

    async def again(session: Session) -> Sheet:
        view = await _whole(session, who, task)
        return await _sheet(session, who, view, it, as_id(given.text("of")))

    return await _kept(request, state, who, task, given, "case-form", do, again)


def _form(document: str) -> Form:
    found = next((each for each in FORMS.values() if each.document == document), None)
    if found is None:
        raise NotFound("There is no such form.")
    return found


def _asked_of(it: Form, speech: Speech) -> tuple[Field, ...]:
    found: list[Field] = []
    for item in it.items:
        options = tuple((concept.code, getattr(concept, speech.language)) for _, concept in item.options)
        if item.type == "choice":
            kind = "many" if item.repeats else "list" if len(options) > 7 else "one"
        else:
            kind = {"boolean": "yes-no", "date": "date"}.get(item.type, "text")
        found.append(Field(item.code, getattr(item, speech.language), kind, item.required, options))  # pyright: ignore[reportArgumentType]
    return tuple(found)


def _systems(it: Form) -> dict[tuple[str, str], str]:
    return {(item.code, concept.code): system for item in it.items for system, concept in item.options}


async def _held(session: Session, who: Person, view: View, it: Form, wanted: Id | None) -> Record | None:
    """The response that the form goes on from: the one asked for; else the newest, where a case has one of them alone."""
    papers = await desk_flow.papers(session, who.actor, view, "QuestionnaireResponse")
    own = [
        each for each in papers if reading.named(json.loads(each.body)) == it.url and each.status != "entered-in-error"
    ]
    if wanted is not None:
        found = next((each for each in own if each.id == wanted), None)
        if found is None:
            raise NotFound("There is no such document of this case.")
        return found
    return None if it.document in MANY else next(iter(own), None)


async def _sheet(session: Session, who: Person, view: View, it: Form, wanted: Id | None) -> Sheet:
    held = await _held(session, who, view, it, wanted)
    speech = who.speech
    zh = speech.language == "zh"
    return Sheet(
        it.title[0 if zh else 1], f"/cases/{view.share.id}/forms/{it.document}", _asked_of(it, speech), it.lead_zh if zh else it.lead_en,
        drafts=held is None or held.status == "in-progress", held=held, answers=reading.answers(json.loads(held.body)) if held else {},
        back=f"/cases/{view.share.id}",
    )  # fmt: skip


def _status(held: Record | None) -> str:
    return "amended" if held and held.status in ("completed", "amended") else "completed"


def _body(held: Record | None, given: Said) -> Json:
    """What the next version begins from. Raises Stale where somebody else wrote one meanwhile."""
    if held is None:
        return {}
    if given.text("version") and given.text("version") != str(held.version):
        raise Stale("Somebody else changed this meanwhile.")
    body: Json = json.loads(held.body)
    body.pop("meta", None)
    return body | {"id": str(held.id)}


# ---- instruments -----------------------------------------------------------------------------------------------------


@get("/cases/{task:uuid}/screening/{instrument:str}", media_type=MediaType.HTML)
async def ask(request: Asked, state: State, who: Signed, task: FromPath[Id], instrument: FromPath[str]) -> Page:
    """An instrument to be filled in with the person."""
    it = _instrument(instrument)
    async with _open(request, state, who, task, "screening-form") as session:
        view = await _whole(session, who, task)
        sheet = _questions(view, it, who.speech)
    return _page(request, who, sheet)


@post("/cases/{task:uuid}/screening/{instrument:str}", media_type=MediaType.HTML, status_code=200)
async def answer(request: Asked, state: State, who: Signed, task: FromPath[Id], instrument: FromPath[str]) -> Page:
    """Keep the answers; what they come to is reckoned by the service."""
    it = _instrument(instrument)
    given = await said(request)

    async def do(session: Session) -> str:
        view = await _whole(session, who, task)
        asked = _questions(view, it, who.speech).fields
        types = {item.code: "integer" if item.kind == "integer" else "choice" for item in it.items}
        systems = {(item.code, choice.code): LOINC if choice.code.startswith("LA") else it.url
                   for item in it.items if item.kind == "choice" for choice in it.choices[item.choices]}  # fmt: skip
        body = {
            "resourceType": "QuestionnaireResponse", "status": "completed", "questionnaire": f"{it.url}|{it.version}", **about(view),
            "authored": session.began.isoformat(), "item": _items(asked, given, types, systems, whole=False),
        }  # fmt: skip
        if not body["item"]:
            raise Lacking([(asked[0].name, NOT_CHOSEN)])
        before = view.step.what if view.step else None
        await written(state, session, who, body, session.began)
        after = await desk_flow.view(session, who.actor, task, session.began)
        raised = bool(after.step and after.step.what in desk_flow.OF_A_CRISIS and before not in desk_flow.OF_A_CRISIS)
        return wording.done(
            f"/cases/{task}/{'crisis' if raised else 'screening'}", "screened-danger" if raised else "screened"
        )

    async def again(session: Session) -> Sheet:
        return _questions(await _whole(session, who, task), it, who.speech)

    return await _kept(request, state, who, task, given, "case-screening", do, again)


def _instrument(key: str) -> Instrument:
    if key not in INSTRUMENTS:
        raise NotFound("There is no such instrument.")
    return INSTRUMENTS[key]


def _questions(view: View, it: Instrument, speech: Speech) -> Sheet:
    zh = speech.language == "zh"
    found: list[Field] = []
    for item in it.items:
        options = (
            ()
            if item.kind == "integer"
            else tuple((each.code, getattr(each, speech.language)) for each in it.choices[item.choices])
        )
        kind = "number" if item.kind == "integer" else "many" if item.repeats else "one"
        found.append(Field(item.code, getattr(item, speech.language), kind, False, options, item.highest))
    return Sheet(
        it.title_zh if zh else it.title_en, f"/cases/{view.share.id}/screening/{it.key}", tuple(found), it.lead_zh if zh else it.lead_en,
        it.copyright, back=f"/cases/{view.share.id}/screening",
    )  # fmt: skip


# ---- the record of a mandatory report ---------------------------------------------------------------------------------


@get("/cases/{task:uuid}/report", media_type=MediaType.HTML)
async def report(request: Asked, state: State, who: Signed, task: FromPath[Id]) -> Page:
    """The record of a report to the police: always a new one, and what was written before is not shown (T3)."""
    async with _open(request, state, who, task, "report-form") as session:
        sheet = _report(await _whole(session, who, task), who.speech)
    return _page(request, who, sheet)


@post("/cases/{task:uuid}/report", media_type=MediaType.HTML, status_code=200)
async def reported(request: Asked, state: State, who: Signed, task: FromPath[Id]) -> Page:
    """Keep it, sealed; the crisis stands as reported in the same act."""
    given = await said(request)

    async def do(session: Session) -> str:
        view = await _whole(session, who, task)
        types = {each.code: each.type for each in reporting.QUESTIONS}
        systems = {
            (each.code, concept.code): each.list
            for each in reporting.QUESTIONS
            if each.list
            for concept in codes.LISTS[each.list].concepts
        }
        items = _items(_report(view, who.speech).fields, given, types, systems, whole=True)
        known, made = (
            datetime.fromisoformat(given.text(name)).replace(tzinfo=SHANGHAI) for name in ("known", "reported")
        )
        if not known <= made <= session.began + timedelta(minutes=5):
            raise Lacking([("reported", BEFORE)])
        body = {
            "resourceType": "QuestionnaireResponse", "status": "completed", "questionnaire": reporting.URL, "basedOn": about(view)["basedOn"],
            "item": items,
        }  # fmt: skip
        await written(state, session, who, body, session.began, sealed=True)
        return wording.done(f"/cases/{task}/crisis", "reported")

    async def again(session: Session) -> Sheet:
        return _report(await _whole(session, who, task), who.speech)

    return await _kept(request, state, who, task, given, "case-report", do, again)


def _report(view: View, speech: Speech) -> Sheet:
    found: list[Field] = []
    for each in reporting.QUESTIONS:
        options = (
            tuple((concept.code, getattr(concept, speech.language)) for concept in codes.LISTS[each.list].concepts)
            if each.list
            else ()
        )
        kind = (
            "many"
            if each.repeats
            else "list"
            if each.type == "choice"
            else "time"
            if each.type == "dateTime"
            else "line"
        )
        found.append(Field(each.code, getattr(each, speech.language), kind, each.required, options))
    return Sheet(
        reporting.TITLE[0 if speech.language == "zh" else 1], f"/cases/{view.share.id}/report", tuple(found),
        speech.gettext("向公安机关报告以后填写。保存后封存：不再显示，更正请另写一份。"), sealed=True, back=f"/cases/{view.share.id}/crisis",
    )  # fmt: skip


# ---- what all of them share ------------------------------------------------------------------------------------------


def _open(request: Asked, state: State, who: Person, task: Id, what: str) -> Any:
    return access.open(
        state.database, who.actor, shell.call(request, f"page-case-{what}", resource_type="Task", resource_id=task)
    )


async def _whole(session: Session, who: Person, task: Id) -> View:
    """The case, for whom its file is."""
    view = await desk_flow.view(session, who.actor, task, session.began)
    if not view.whole:
        raise Forbidden("This is for who has the case.", key="wrong-actor")
    return view


def _items(
    asked: tuple[Field, ...], given: Said, types: dict[str, str], systems: dict[tuple[str, str], str], *, whole: bool
) -> list[Json]:
    """The answers as a response holds them. Raises Lacking for each that is missing (`whole`) or none of the form's."""
    wrong: list[tuple[str, str]] = []
    items: list[Json] = []
    for field in asked:
        values = [value.strip() for value in given.all.get(field.name, ()) if value.strip()]
        if not values:
            if whole and field.required:
                wrong.append((field.name, NOT_CHOSEN if field.options or field.kind == "yes-no" else EMPTY))
            continue
        try:
            if field.highest is not None and not 0 <= int(values[-1]) <= field.highest:
                raise ValueError(field.name)
            answers = [_value(types[field.name], value, systems.get((field.name, value))) for value in values]
        except ValueError:
            wrong.append(
                (
                    field.name,
                    {"number": NOT_ON_SCALE, "date": NOT_A_TIME, "time": NOT_A_TIME}.get(field.kind, NOT_CHOSEN),
                )
            )
            continue
        items.append({"linkId": field.name, "answer": answers if field.kind == "many" else answers[-1:]})
    if wrong:
        raise Lacking(wrong)
    return items


def _value(kind: str, value: str, system: str | None) -> Json:
    match kind:
        case "choice":
            if system is None:
                raise ValueError(value)
            return {"valueCoding": {"system": system, "code": value}}
        case "boolean":
            return {
                "valueBoolean": {"true": True, "false": False}[value] if value in ("true", "false") else _none(value)
            }
        case "date":
            return {"valueDate": datetime.fromisoformat(value).date().isoformat()}
        case "dateTime":
            return {"valueDateTime": datetime.fromisoformat(value).replace(tzinfo=SHANGHAI).isoformat()}
        case "integer":
            return {"valueInteger": int(value)}
        case _:
            return {"valueString": value}


def _none(value: str) -> bool:
    raise ValueError(value)


async def _kept(
    request: Asked, state: State, who: Person, task: Id, given: Said, interaction: str, do: Any, again: Any
) -> Page:
    """Do it and go on; or show the form again with what was typed and what is wrong with it."""
    fault: Fault
    try:
        return await acting.act(
            request, state, who, given.one, interaction, do, action="C", resource_type="Task", resource_id=task
        )
    except Lacking as lacking:
        fault = lacking.told(who)
    except (NotFound, Forbidden):
        raise
    except Refusal as refusal:
        fault = faults.told(refusal, who.speech, {})
    async with _open(request, state, who, task, "form") as session:
        sheet: Sheet = await again(session)
    return _page(request, who, sheet, fault, given)


def _named(fault: Fault, sheet: Sheet, who: Person) -> Fault:
    """The fault as its summary says it: away from its field, an entry names the question that it is about."""
    at = {field.name: f"{n}. {field.label}" for n, field in enumerate(sheet.fields, 1)}
    colon = "：" if who.speech.language == "zh" else ": "
    entries = (
        Entry(each.field, f"{at[each.field]}{colon}{each.words}") if each.field in at else each
        for each in fault.entries
    )
    return Fault(fault.summary, tuple(entries), fault.status)


def _page(request: Asked, who: Person, sheet: Sheet, fault: Fault | None = None, given: Said | None = None) -> Page:
    answers = {field.name: given.all.get(field.name, []) for field in sheet.fields} if given else sheet.answers
    return shell.page(
        request, "cases/form.html", who, who.speech, status=fault.status if fault else 200, title=noted("文书"), sheet=sheet, fault=fault,
        summary=_named(fault, sheet, who) if fault else None,
        answers=answers, of=str(sheet.held.id) if sheet.held else "", version=sheet.held.version if sheet.held else "",
    )  # fmt: skip


route_handlers = [form, fill, ask, answer, report, reported]
