"""A person's work in other hands: handed over whole for a leave and given back, or case by case; previewed, with a result a row."""

from datetime import datetime
from typing import Any

import msgspec
from litestar import MediaType, Request, get, post
from litestar.datastructures import State
from litestar.params import FromPath

from adapters.web import acting, faults, shell
from adapters.web.dispatch import rows, work
from adapters.web.shell import Page, Person, Signed
from adapters.web.speech import Speech, noted
from service import codes
from service.access import flow as access
from service.casework import handing_over_flow as handing
from service.casework import transfer_flow
from service.casework.handing_over import Handing, HandOver, NewHandOver
from service.db import Session
from service.errors import Forbidden, Invalid, Issue, Refusal
from service.quality import workload_flow
from service.referrals import overview_flow
from service.referrals.overview_store import Open
from service.values import SHANGHAI, Id, as_id

MOST = 1000
"""Cases of one act; a page's form is large enough for as many."""
LONGEST = 131_072
STATES = {
    "planned": noted("已安排"),
    "in-force": noted("交接中"),
    "ended": noted("已交还"),
    "kept": noted("留在接手人处：原来的人不能接回"),
    "called-off": noted("已取消"),
    "stuck": noted("没能开始：接手人那时不能接，工作还在原处"),
}
"""How a hand-over stands."""
KINDS = {"share": noted("个案"), "follow-up": noted("随访"), "duty": noted("待办")}

acting.says(
    {
        "handed-over": noted("已交接：个案、随访、待办和下一步都已转到接手人名下。"),
        "planned": noted("已安排：到时间自动交接，那时手上有什么就交什么。"),
        "came-back": noted("已交还：还没办完的回到本人名下。"),
    }
)


class Item(msgspec.Struct, frozen=True):
    """One thing that would be moved: what it is, and why it cannot go to the colleague."""

    task: Id
    kind: str
    second: bool
    row: rows.Row | None
    why: str | None


class Kept(msgspec.Struct, frozen=True):
    """A hand-over in words. `open`: it can be ended (or called off) now."""

    absent: Id
    name: str
    colleague: str
    reason: str
    state: str
    span: str
    moved: int
    back: int
    open: bool
    planned: bool


@get("/team/hand-over", media_type=MediaType.HTML)
async def hand_over(request: Request[Any, Any, Any], state: State, who: Signed) -> Page:
    """Whose work goes to whom, and what was handed over lately."""
    return await _hand_over(request, state, who, {})


@post("/team/hand-over/preview", media_type=MediaType.HTML, status_code=200)
async def preview(request: Request[Any, Any, Any], state: State, who: Signed) -> Page:
    """What would be moved and what could not, before anything is. A form, since why somebody is away stands in no address."""
    return await _hand_over(request, state, who, await shell.form(request))


async def _hand_over(
    request: Request[Any, Any, Any], state: State, who: Person, said: dict[str, str], fault: faults.Fault | None = None, status: int = 200
) -> Page:  # fmt: skip
    speech = who.speech
    async with access.open(state.database, who.actor, shell.call(request, "page-hand-over")) as session:
        _permit(who)
        now = session.began
        staff = await handing.staff(session, who.actor, now)
        names = {each.id: each.name for each in staff.workers}
        preview: Handing | None = None
        if as_id(said.get("absent")) and as_id(said.get("colleague")) and said.get("reason"):
            try:
                new = _new(said)
                preview = await handing.hand_over(session, who.actor, new, now, dry_run=True)
            except Refusal as refusal:
                fault = fault or faults.told(refusal, speech, FIELDS)
                status = status if status != 200 else fault.status
        found = list(preview.items[:MOST]) if preview else []
        steps = [(each, workload_flow.step_of(session, each.task)) for each in found]
        named = await overview_flow.names(session, [Open(step, None, each.task) for each, step in steps if step])
    unfit = next((issue for issue in preview.refused if not _task_of(issue)), None) if preview else None
    if unfit and fault is None:
        fault = faults.told(Invalid("", issues=[unfit], key="cannot-take"), speech, FIELDS)
    whys = {
        task: speech.gettext(CONFLICT) for issue in (preview.refused if preview else ()) if (task := _task_of(issue))
    }
    items = [
        Item(
            each.task.id, speech.gettext(KINDS.get(each.task.kind, each.task.kind)), each.co_work is not None,
            rows.row(Open(step, None, each.task), named, who, now) if step else None, whys.get(each.task.id),
        )
        for each, step in steps
    ]  # fmt: skip
    absent = as_id(said.get("absent"))
    return shell.page(
        request, "dispatch/hand-over.html", who, speech, status=status, title=speech.gettext("工作交接"), fault=fault, typed=said,
        workers=staff.workers, able=[each for each in staff.workers if each.id in staff.able],
        others=[each for each in staff.workers if each.id in staff.able and str(each.id) not in (said.get("absent"), said.get("colleague"))],
        reasons=codes.LISTS[codes.ABSENCE_REASON].concepts, preview=preview, items=sorted(items, key=lambda item: item.why is None),
        refused=len(whys), unfit=unfit is not None, total=len(preview.items) if preview else 0, name=names.get(absent) if absent else None,
        to=names.get(preview.hand_over.colleague) if preview else None, hand_overs=[_kept(each, names, speech, now) for each in staff.hand_overs],
    )  # fmt: skip


FIELDS = {"to": "colleague", "period.end": "ends", "reason": "reason"}
CONFLICT = noted("接手人与此人有利益冲突：请在这里另选一人，这一条先转给他")


def _permit(who: Person) -> None:
    if who.actor.role != "supervisor":
        raise Forbidden("An agency's supervisor hands its people's work over.", key="wrong-actor")


def _task_of(issue: Issue) -> Id | None:
    where, slash, id = (issue.at or "").partition("/")
    return as_id(id) if slash and where == "Task" else None


def _new(said: dict[str, str]) -> NewHandOver:
    absent, colleague = as_id(said.get("absent")), as_id(said.get("colleague"))
    if absent is None or colleague is None:
        raise Invalid("Choose who is away, and who takes over.", at="to", code="required")
    return NewHandOver(
        absent,
        colleague,
        said.get("reason", ""),
        _local(said.get("begins"), "period.start"),
        _local(said.get("ends"), "period.end"),
    )


def _local(text: str | None, at: str) -> datetime | None:
    """A local time of a form, if one was given."""
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise Invalid("This is no time.", at=at, code="value") from None
    return found if found.tzinfo else found.replace(tzinfo=SHANGHAI)


def _kept(it: HandOver, names: dict[Id, str], speech: Speech, now: datetime) -> Kept:
    ends = speech.when(it.ends_at, now) if it.ends_at else speech.gettext("回来为止")
    return Kept(
        it.absent, names.get(it.absent, ""), names.get(it.colleague, ""), speech.code(codes.ABSENCE_REASON, it.reason),
        speech.gettext(STATES[it.state]), f"{speech.when(it.starts_at, now)} – {ends}", it.moved, it.given_back,
        it.state in ("planned", "in-force"), it.state == "planned",
    )  # fmt: skip


@post("/team/hand-over", media_type=MediaType.HTML, status_code=200, request_max_body_size=LONGEST)
async def carry_over(request: Request[Any, Any, Any], state: State, who: Signed) -> Page:
    """Hand over: what the colleague cannot take goes first to whoever was chosen for it, then the rest as a whole."""
    said = await shell.form(request, longest=LONGEST)
    _permit(who)

    async def do(session: Session) -> str:
        new = _new(said)
        reason = codes.label(codes.ABSENCE_REASON, new.reason, "zh")
        for name, value in said.items():
            if name.startswith("other-") and (task := as_id(name[6:])) and (to := as_id(value)):
                await transfer_flow.transfer(
                    session, who.actor, task, to, reason, said.get("words", "").strip() or reason, session.began
                )
        made = await handing.hand_over(session, who.actor, new, session.began)
        return acting.done("/team/hand-over", "planned" if made.hand_over.state == "planned" else "handed-over")

    try:
        return await acting.act(request, state, who, said, "page-hand-over", do)
    except Refusal as refusal:
        fault = faults.told(refusal, who.speech, FIELDS)
        return await _hand_over(request, state, who, said, fault, fault.status)


@post("/team/workers/{worker:uuid}/back", media_type=MediaType.HTML, status_code=200)
async def come_back(request: Request[Any, Any, Any], state: State, who: Signed, worker: FromPath[Id]) -> Page:
    """The person is back: what is still open and still with the colleague goes back; what has not begun is called off."""
    said = await shell.form(request)
    _permit(who)

    async def do(session: Session) -> str:
        await handing.come_back(session, who.actor, worker, session.began)
        return acting.done("/team/hand-over", "came-back")

    try:
        return await acting.act(
            request, state, who, said, "page-come-back", do, resource_type="PractitionerRole", resource_id=worker
        )
    except Refusal as refusal:
        fault = faults.told(refusal, who.speech, {})
        return await _hand_over(request, state, who, {}, fault, fault.status)


@post("/team/transfer", media_type=MediaType.HTML, status_code=200, request_max_body_size=LONGEST)
async def transfer(request: Request[Any, Any, Any], state: State, who: Signed) -> Page:
    """Several cases to one worker, each by itself; then the list again, with what came of each."""
    lists = await shell.fields(request, longest=LONGEST)
    _permit(who)
    tasks = [id for each in lists.get("task", ())[:MOST] if (id := as_id(each))]
    to = as_id(lists.get("to", [""])[-1])
    reason, note = (lists.get(name, [""])[-1].strip() for name in ("reason", "note"))
    lacks = [
        (field, words)
        for field, words, there in (
            ("bulk", noted("请至少选中一个个案。"), tasks),
            ("to", noted("请选择转给谁。"), to),
            ("reason", noted("请写明为什么转。"), reason),
            ("note", noted("请给接手的人写几句话。"), note),
        )
        if not there
    ]
    if lacks:
        return await work.behind(
            request, state, who, "/team", fault=faults.lacking(lacks, who.speech), typed=lists, status=422
        )
    given: list[transfer_flow.Given] = []

    async def do(session: Session) -> str:
        assert to is not None
        given[:] = await transfer_flow.transfer_each(session, who.actor, tasks, to, reason, note, session.began)
        return "/team"

    marked = {name: "\n".join(values) for name, values in lists.items()}
    try:
        answer = await acting.act(request, state, who, marked, "page-transfer", do)
    except Refusal as refusal:
        fault = faults.told(refusal, who.speech)
        return await work.behind(request, state, who, "/team", fault=fault, typed=lists, status=fault.status)
    if not given:
        return answer
    async with access.open(state.database, who.actor, shell.call(request, "page-transfer-results")) as session:
        named = await workload_flow.named(session, to) if to else None
    refused = tuple((each.task, _why(each.refusal, who.speech)) for each in given if each.refusal)
    results = work.Results(named.name if named else "", len(given) - len(refused), refused)
    return await work.behind(request, state, who, "/team", results=results)


def _why(refusal: Refusal, speech: Speech) -> str:
    """Why one of several was refused, in one sentence."""
    told = faults.told(refusal, speech, {})
    return told.entries[0].words if told.entries else told.summary


route_handlers = [hand_over, preview, carry_over, come_back, transfer]
