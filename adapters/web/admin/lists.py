"""The directory as its administrator keeps it: organisations, services, staff; each list found by key, each line added and changed by a form
whose fields are the columns of the files that the directory is loaded from."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import msgspec
from litestar import MediaType, Request, get, post
from litestar.datastructures import State
from litestar.params import FromPath

from adapters.web import acting, faults, shell
from adapters.web.admin import desk
from adapters.web.faults import Fault
from adapters.web.shell import Page, Person, Signed
from adapters.web.speech import noted
from service import codes
from service.access import flow as access
from service.db import Session
from service.directory import keeping_flow as keeping
from service.directory.model import STAFFED, TAKERS
from service.errors import Refusal
from service.values import Id, local_day


class Field(msgspec.Struct, frozen=True):
    """A field of a form: its column, what it is called, how it is filled in (`codes` and `many` from the list of this code system),
    and a hint where one helps. `fixed`: it does not change once it is there."""

    name: str
    words: str
    kind: str = "text"
    system: str | None = None
    hint: str | None = None
    fixed: bool = False
    among: tuple[str, ...] = ()
    must: bool = False


KEY = Field("key", noted("编码"), hint=noted("导入导出用的名字，保存后不改。"), fixed=True, must=True)
ORGANIZATION = (
    KEY,
    Field("kind", noted("类型"), "code", codes.ORGANIZATION_KIND, fixed=True, must=True),
    Field("name_zh", noted("中文名称"), must=True),
    Field("name_en", noted("英文名称"), must=True),
    Field("part_of", noted("上级机构（编码）"), hint=noted("院区要填所属医院的编码。")),
    Field("uscc", noted("统一社会信用代码")),
    Field("region", noted("所在区划代码"), hint=noted("例如 520502，只到已知的一级。")),
    Field("status", noted("认可状态"), "code", codes.AGENCY_STATUS, hint=noted("只有服务机构有；暂停后不再派单。")),
    Field("ready", noted("准备清单齐全"), "tick"),
    Field("protection_qualified", noted("有保护服务资质"), "tick", hint=noted("有资质才会收到自伤、家暴、虐待、遗弃类转介。")),
    Field("co_supervised_by", noted("协同督导机构（编码）"), hint=noted("孵化中的机构要有一家已认可的机构协同督导才能接单。")),
    Field("phone", noted("电话")),
    Field("email", noted("电子邮箱")),
    Field("active", noted("在用"), "tick"),
)  # fmt: skip
SERVICE = (
    KEY,
    Field("agency", noted("机构"), "organization", fixed=True, among=TAKERS, must=True),
    Field("name_zh", noted("中文名称"), must=True),
    Field("name_en", noted("英文名称"), must=True),
    Field("needs", noted("服务的需求"), "many", codes.NEED, must=True),
    Field("service_types", noted("服务类型"), "many", codes.SERVICE_TYPE, must=True),
    Field("regions", noted("覆盖区域（区划代码）"), hint=noted("用空格分开；520502 覆盖整个区，520502001 只覆盖一个街道。"), must=True),
    Field("populations", noted("服务人群"), "many", codes.POPULATION),
    Field("languages", noted("语言"), hint=noted("用空格分开，例如 zh。")),
    Field("places", noted("名额"), "number", hint=noted("只在新建时使用；以后由机构在“服务与容量”里确认。"), must=True),
    Field("active", noted("在用"), "tick"),
)  # fmt: skip
WORKER = (
    KEY,
    Field("agency", noted("机构"), "organization", fixed=True, among=STAFFED, must=True),
    Field("name", noted("姓名"), must=True),
    Field("grade", noted("证书等级"), "code", codes.GRADE, hint=noted("没有证书就留空。")),
    Field("certificate_no", noted("证书编号")),
    Field("licensed_from", noted("证书起始日"), "date"),
    Field("licensed_to", noted("证书到期日"), "date", hint=noted("到期后不再派单给没有其他持证社工的机构；空着表示长期。")),
    Field("duty", noted("值班社工"), "tick", hint=noted("没有指定社工的个案由值班社工接。")),
    Field("supervisor", noted("督导"), "tick"),
    Field("active", noted("在职"), "tick"),
)  # fmt: skip


class Room(msgspec.Struct, frozen=True):
    """A list of the directory: its table, its address, its fields, and what it is called."""

    table: str
    path: str
    title: str
    one: str
    add: str
    fields: tuple[Field, ...]
    type: str


ROOMS = {
    "organizations": Room("organizations", "/admin/organizations", noted("机构名录"), noted("一家机构"), noted("登记机构"), ORGANIZATION, "Organization"),
    "services": Room("services", "/admin/services", noted("服务与名额"), noted("一项服务"), noted("登记服务"), SERVICE, "HealthcareService"),
    "workers": Room("workers", "/admin/workers", noted("社工与证书"), noted("一位社工"), noted("登记社工"), WORKER, "PractitionerRole"),
}  # fmt: skip


def cells(room: Room, said: Mapping[str, str], lists: Mapping[str, list[str]]) -> dict[str, str]:
    """A form as a line of a file."""
    found: dict[str, str] = {}
    for field in room.fields:
        match field.kind:
            case "many":
                found[field.name] = " ".join(lists.get(field.name, []))
            case "tick":
                found[field.name] = "yes" if field.name in said else "no"
            case _:
                found[field.name] = said.get(field.name, "").replace("\x00", "").strip()
    return found


# ---- lists ---------------------------------------------------------------------------------------------------------------


@get(ROOMS["organizations"].path, media_type=MediaType.HTML)
async def organizations(request: Request[Any, Any, Any], state: State, who: Signed) -> Page:
    """Organisations by key."""
    text, kind, after = desk.text(request, "q"), desk.among(desk.text(request, "kind"), codes.LISTS[codes.ORGANIZATION_KIND].codes), desk.text(request, "after")  # fmt: skip
    async with access.open(state.database, who.actor, shell.call(request, "page-organizations")) as session:
        found = await keeping.organizations(
            session, who.actor, text=text, kinds=[kind] if kind else None, after=after, limit=desk.AT_A_TIME + 1
        )
        now = session.began
    return _list(request, who, "organizations", found, lambda each: each.key, {"q": text, "kind": kind}, now=now)


@get(ROOMS["services"].path, media_type=MediaType.HTML)
async def services(request: Request[Any, Any, Any], state: State, who: Signed) -> Page:
    """Services by key, with what is known of their capacity and how old that is."""
    text, old, after = desk.text(request, "q"), bool(desk.text(request, "old")), desk.text(request, "after")
    async with access.open(state.database, who.actor, shell.call(request, "page-services")) as session:
        keeping.permit(who.actor)
        found = await keeping.services(
            session, who.actor, text=text, unconfirmed=old, after=after, limit=desk.AT_A_TIME + 1
        )
        now, stale = session.began, keeping.stale_before(session)
    return _list(
        request, who, "services", found, lambda each: each.service.key, {"q": text, "old": "1" if old else ""}, now=now,
        stale=stale,
    )  # fmt: skip


@get(ROOMS["workers"].path, media_type=MediaType.HTML)
async def workers(request: Request[Any, Any, Any], state: State, who: Signed) -> Page:
    """Staff by key, with their licences and when these end."""
    text, ending, after = desk.text(request, "q"), bool(desk.text(request, "ending")), desk.text(request, "after")
    async with access.open(state.database, who.actor, shell.call(request, "page-workers")) as session:
        found = await keeping.workers(session, who.actor, text=text, ending=ending, after=after, limit=desk.AT_A_TIME + 1)  # fmt: skip
        now = session.began
    today = local_day(now)
    return _list(
        request, who, "workers", found, lambda each: each.worker.key, {"q": text, "ending": "1" if ending else ""}, now=now, today=today,
        soon=today + timedelta(days=keeping.SOON.days),
    )  # fmt: skip


def _list(request: Request[Any, Any, Any], who: Person, table: str, found: list[Any], key: Any, asked: dict[str, str], **more: Any) -> Page:  # fmt: skip
    room = ROOMS[table]
    next = key(found[desk.AT_A_TIME - 1]) if len(found) > desk.AT_A_TIME else None
    query = urlencode({name: value for name, value in asked.items() if value})
    return desk.page(
        request, f"{table}.html", who, title=who.speech.gettext(room.title), room=room.path, rows=found[: desk.AT_A_TIME], it=room,
        asked=asked, query=query, next=next, later="after" in request.query_params, ago=desk.ago, kinds=codes.LISTS[codes.ORGANIZATION_KIND].codes,
        **more,
    )  # fmt: skip


# ---- one line ----------------------------------------------------------------------------------------------------------


async def _form(
    request: Request[Any, Any, Any], state: State, who: Person, room: Room, filled: Mapping[str, str], *, id: Id | None = None,
    version: int | None = None, name: str = "", fault: Fault | None = None,
) -> Page:  # fmt: skip
    async with access.open(state.database, who.actor, shell.call(request, f"page-{room.table}-form")) as session:
        keeping.permit(who.actor)
        choice = await keeping.for_choice(session, who.actor)
    return desk.page(
        request, "line.html", who, title=who.speech.gettext(room.one if id else room.add), room=room.path, status=fault.status if fault else 200,
        fault=fault, it=room, filled=filled, id=id, version=version, name=name,
        organizations=lambda among: desk.named(choice, among, who.speech),
    )  # fmt: skip


ADD = [f"{room.path}/add" for room in ROOMS.values()]
ONE = [room.path + "/{line:uuid}" for room in ROOMS.values()]


@get(ADD, media_type=MediaType.HTML)
async def add(request: Request[Any, Any, Any], state: State, who: Signed) -> Page:
    """An empty form."""
    return await _form(request, state, who, _room(request), {"ready": "yes", "active": "yes", "places": "0", "languages": "zh"})  # fmt: skip


@post(ADD, media_type=MediaType.HTML, status_code=303)
async def add_line(request: Request[Any, Any, Any], state: State, who: Signed) -> Page:
    """Keep a new line."""
    return await _keep(request, state, who, _room(request), None)


@get(ONE, media_type=MediaType.HTML)
async def line(request: Request[Any, Any, Any], state: State, who: Signed, line: FromPath[Id]) -> Page:
    """One line, to be changed."""
    room = _room(request)
    async with access.open(state.database, who.actor, shell.call(request, f"page-{room.table}-one")) as session:
        found, version, name = await keeping.line(session, who.actor, room.table, line)
    return await _form(request, state, who, room, found, id=line, version=version, name=name)


@post(ONE, media_type=MediaType.HTML, status_code=303)
async def change_line(request: Request[Any, Any, Any], state: State, who: Signed, line: FromPath[Id]) -> Page:
    """Keep a changed line."""
    return await _keep(request, state, who, _room(request), line)


async def _keep(request: Request[Any, Any, Any], state: State, who: Person, room: Room, id: Id | None) -> Page:
    lists = await shell.fields(request)
    said = {name: values[-1] for name, values in lists.items()}
    filled = cells(room, said, lists)
    version = desk.number_of(said.get("version"))

    async def act(session: Session) -> str:
        keeping.permit(who.actor)
        told = filled
        if id is not None:
            before, _, _ = await keeping.line(session, who.actor, room.table, id)
            told = before | {field.name: filled[field.name] for field in room.fields if not field.fixed and field.name != "places"}  # fmt: skip
        await keeping.keep(session, who.actor, room.table, told, expected=(version or 0) if id else None)
        return acting.done(room.path, "saved")

    try:
        return await acting.act(
            request, state, who, said, f"page-{room.table}-keep", act, action="U" if id else "C", resource_type=room.type, resource_id=id,
        )  # fmt: skip
    except Refusal as refused:
        if refused.code in ("forbidden", "not-found"):
            raise
        return await _form(request, state, who, room, filled, id=id, version=version, fault=faults.told(refused, who.speech))  # fmt: skip


def _room(request: Request[Any, Any, Any]) -> Room:
    return ROOMS[request.url.path.split("/")[2]]


route_handlers = [organizations, services, workers, add, add_line, line, change_line]
