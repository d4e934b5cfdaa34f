"""Messages of HL7 v2 that wait for a person: listed without what they say; opened for a reason, mended, replayed, dropped."""

from typing import Any, cast

from litestar import MediaType, Request, get, post
from litestar.datastructures import State
from litestar.params import FromPath

from adapters.web import acting, faults, shell
from adapters.web.admin import desk
from adapters.web.faults import Fault
from adapters.web.shell import Page, Person, Signed
from adapters.web.speech import Speech, noted
from service.access import flow as access
from service.db import Session
from service.directory import store as directory
from service.errors import Refusal
from service.records import inbox_flow as inbox
from service.records.model import InboxState, Message
from service.values import Id, as_id

ROOM = "/admin/hl7"
LONGEST_TEXT = 60_000
STATES: dict[str, str] = {
    "parked": noted("待处理"),
    "applied": noted("已应用"),
    "recorded": noted("已记录（没有更新的内容）"),
    "replayed": noted("已重放"),
    "dropped": noted("已放弃"),
}
"""What became of a message, in words."""
EVENTS = {
    "A01": noted("入院"),
    "A02": noted("转科"),
    "A03": noted("出院"),
    "A04": noted("登记"),
    "A05": noted("预入院"),
    "A06": noted("门诊转住院"),
    "A07": noted("住院转门诊"),
    "A08": noted("更新信息"),
    "A11": noted("取消入院"),
    "A12": noted("取消转科"),
    "A13": noted("取消出院"),
    "A21": noted("请假离院"),
    "A22": noted("请假返院"),
    "A28": noted("新增人员"),
    "A31": noted("更新人员"),
    "A40": noted("合并档案"),
}
"""Events of ADT, in words."""
FAULTS = {
    "value": noted("有一个值不对，例如证件号的校验位"),
    "no-identifier": noted("没有本院登记过的号码类型"),
    "segment-sequence": noted("缺少必要的段，或有读不懂的行"),
    "data-type": noted("日期或格式读不懂"),
    "event-time": noted("事件时间在将来"),
    "table-value": noted("有一个代码不在对照表里"),
    "business-rule": noted("内容前后矛盾"),
    "unknown-sender": noted("配置里没有这个发送方"),
    "message-id-reused": noted("同一编号以前发过别的内容"),
    "identity-conflict": noted("号码可能属于另一个人"),
    "stay-ended": noted("这个住院号已经出院"),
    "other-patient": noted("这个住院号属于另一位患者"),
    "which-stay": noted("不能确定是哪一次住院"),
}
"""Why a message waits, by its key."""


def fault_words(message: Message, speech: Speech) -> str:
    """Why it waits: in words where the key has some, else as it was told."""
    fault = message.fault
    if fault is None:
        return ""
    if message.state == "dropped":
        return fault.text
    return speech.gettext(FAULTS[fault.key]) if fault.key in FAULTS else fault.text


@get(ROOM, media_type=MediaType.HTML)
async def messages(request: Request[Any, Any, Any], state: State, who: Signed) -> Page:
    """Messages, the newest first, without what they say."""
    wanted = desk.among(desk.text(request, "state"), STATES) or "parked"
    before = as_id(request.query_params.get("before"))
    async with access.open(state.database, who.actor, shell.call(request, "page-hl7")) as session:
        desk.permit(who)
        found = await inbox.list_messages(session, who.actor, [cast("InboxState", wanted)], before, desk.AT_A_TIME + 1)
        named = await directory.organizations(session, {each.hospital for each in found if each.hospital})
        now = session.began
    more, found = len(found) > desk.AT_A_TIME, found[: desk.AT_A_TIME]
    return desk.page(
        request, "inbox.html", who, title=who.speech.gettext("HL7 收件箱"), room=ROOM, rows=found, named=named, states=STATES, wanted=wanted,
        events=EVENTS, why=fault_words, now=now, next=found[-1].id if more else None, later=before is not None,
        configured=state.hl7.configured, ago=desk.ago,
    )  # fmt: skip


@get(ROOM + "/{message:uuid}", media_type=MediaType.HTML)
async def message(request: Request[Any, Any, Any], state: State, who: Signed, message: FromPath[Id]) -> Page:
    """One message, still sealed: who sent it, when, what is wrong with it."""
    return await _one(request, state, who, message)


async def _one(
    request: Request[Any, Any, Any], state: State, who: Person, id: Id, *, fault: Fault | None = None, said: dict[str, str] | None = None,
    body: str | None = None,
) -> Page:  # fmt: skip
    async with access.open(state.database, who.actor, shell.call(request, "page-hl7-message")) as session:
        desk.permit(who)
        found = await inbox.head(session, who.actor, id)
        named = await directory.organizations(session, [found.hospital] if found.hospital else [])
        now = session.began
    return desk.page(
        request, "message.html", who, title=who.speech.gettext("一条 HL7 消息"), room=ROOM, status=fault.status if fault else 200, fault=fault,
        it=found, hospital=named.get(found.hospital) if found.hospital else None, states=STATES, events=EVENTS, why=fault_words, now=now,
        said=said or {}, body=body, configured=state.hl7.configured,
    )  # fmt: skip


@post(ROOM + "/{message:uuid}/open", media_type=MediaType.HTML, status_code=200)
async def unseal(request: Request[Any, Any, Any], state: State, who: Signed, message: FromPath[Id]) -> Page:
    """Show what it says, for a reason that is written down; it stands in this answer alone, and in no address."""
    said = await shell.form(request)
    call = shell.call(request, "page-hl7-show", resource_id=message)
    try:
        async with access.open(state.database, who.actor, call) as session:
            desk.permit(who)
            found = await inbox.show(session, who.actor, message, said.get("reason", ""))
    except Refusal as refused:
        if refused.code in ("forbidden", "not-found"):
            raise
        return await _one(request, state, who, message, fault=faults.told(refused, who.speech), said=said)
    body = state.hl7.legible(found.body) if found.body is not None else ""
    return await _one(request, state, who, message, said=said, body=body)


@post(ROOM + "/{message:uuid}/replay", media_type=MediaType.HTML, status_code=303)
async def replay(request: Request[Any, Any, Any], state: State, who: Signed, message: FromPath[Id]) -> Page:
    """Apply it as it came, now that what stood in its way is mended."""
    said = await shell.form(request)

    async def act(session: Session) -> str:
        desk.permit(who)
        await state.hl7.replay(session, who.actor, message)
        return acting.done(f"{ROOM}/{message}", "replayed")

    return await _tried(request, state, who, message, said, "page-hl7-replay", act)


@post(ROOM + "/{message:uuid}/mend", media_type=MediaType.HTML, status_code=303, request_max_body_size=4 * LONGEST_TEXT)
async def mend(request: Request[Any, Any, Any], state: State, who: Signed, message: FromPath[Id]) -> Page:
    """Apply a mended text in its place; the message as it came is kept."""
    said = await shell.form(request)
    lacking = [("reason", noted("请写明为什么要更正。"))] if not said.get("reason", "").strip() else []
    if lacking:
        return await _one(request, state, who, message, fault=faults.lacking(lacking, who.speech), said=said, body=said.get("text", ""))  # fmt: skip

    async def act(session: Session) -> str:
        desk.permit(who)
        done = await state.hl7.mend(session, who.actor, message, said.get("text", ""), said["reason"])
        return acting.done(f"{ROOM}/{done.id}", "mended")

    return await _tried(request, state, who, message, said, "page-hl7-mend", act, body=said.get("text", ""))


@post(ROOM + "/{message:uuid}/drop", media_type=MediaType.HTML, status_code=303)
async def drop(request: Request[Any, Any, Any], state: State, who: Signed, message: FromPath[Id]) -> Page:
    """Decide that it goes unapplied, for a reason."""
    said = await shell.form(request)

    async def act(session: Session) -> str:
        desk.permit(who)
        await inbox.drop(session, who.actor, message, said.get("why", ""), session.began)
        return acting.done(ROOM, "dropped")

    try:
        return await acting.act(request, state, who, said, "page-hl7-drop", act, resource_id=message)
    except Refusal as refused:
        if refused.code in ("forbidden", "not-found"):
            raise
        told = faults.told(refused, who.speech, {"reason": "why"})
        return await _one(request, state, who, message, fault=told, said=said)


async def _tried(
    request: Request[Any, Any, Any], state: State, who: Person, id: Id, said: dict[str, str], interaction: str, act: Any,
    body: str | None = None,
) -> Page:  # fmt: skip
    try:
        return await acting.act(request, state, who, said, interaction, act, resource_id=id)
    except Refusal as refused:
        if refused.code in ("forbidden", "not-found"):
            raise
        if refused.key not in ("not-parked", "hl7-not-configured", "hl7-configuration"):
            # What was tried is rolled back; why it stays parked is written down by itself.
            async with access.open(state.database, who.actor, shell.call(request, "page-hl7-park", "U", resource_id=id)) as session:  # fmt: skip
                await state.hl7.stays(session, who.actor, id, refused)
        return await _one(request, state, who, id, fault=_told(refused, who.speech), said=said, body=body)


def _told(refused: Refusal, speech: Speech) -> Fault:
    """Why it was not applied, and where in the message."""
    issue = refused.issues[0]
    words = FAULTS.get(refused.key or "")
    if words is None:
        return faults.told(refused, speech, {})
    where = f"{issue.at}：" if issue.at else ""
    summary = speech.gettext("还不能应用，消息仍在待处理。请更正后再试。")
    return Fault(summary, (faults.Entry("text", where + speech.gettext(words)),), 422)


route_handlers = [messages, message, unseal, replay, mend, drop]
