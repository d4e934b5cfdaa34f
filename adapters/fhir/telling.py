"""Notices as they are sent: with ids alone, or with the resources that the subscriber may read at that very moment."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

from adapters.fhir import notification, reading
from adapters.fhir.notification import Named
from adapters.fhir.render import Json, instant
from service.access import flow as access
from service.access.model import Actor, Call, clock_actor
from service.access.scopes import may
from service.db import Database, Session
from service.notices import flow, link_flow
from service.notices.link_flow import Answerable
from service.notices.model import Message, Notice, Subscriber
from service.notices.permission import in_full
from service.practice import PLATFORM
from service.values import SHANGHAI, write_json

Telling = Callable[[Database, Sequence[Notice]], Awaitable[Message]]


def telling(base_url: str) -> Telling:
    """What renders notices of a server whose FHIR surface is at `base_url` (no slash at its end)."""

    async def tell(database: Database, notices: Sequence[Notice]) -> Message:
        """The notices of one subscriber as one message: the same bytes each time, but for resources in full, which are shown
        as they may be read now."""
        first, last = notices[0], notices[-1]
        to = first.subscriber
        told = [] if first.event is None else notices
        type = "event-notification" if told else "heartbeat" if first.heartbeat else "handshake"
        shown = await _in_full(database, to, told) if told and to.terms["content"] == "full-resource" else {}
        said = notification.bundle(to, type, told, base_url, first.batch or first.delivery, shown=shown)
        said["timestamp"] = instant(last.event.event.at if last.event else last.created_at)
        body = write_json(said)
        if to.channel == "email":
            answerable = await _answerable(database, to, told) if to.terms.get("links") else ()
            return Message(*_letter(to, type, told, base_url, body, answerable))
        return Message(to.terms["mime"], body)

    return tell


async def _answerable(database: Database, to: Subscriber, told: Sequence[Notice]) -> Sequence[Answerable]:
    """Links by which what is told of can be answered at this moment."""
    async with database.transaction(clock_actor(PLATFORM).scope) as session:
        return await link_flow.answerable(session, to, told, session.began)


async def _in_full(database: Database, to: Subscriber, notices: Sequence[Notice]) -> Mapping[Named, Json]:
    """The resources of these events as the subscriber's program may read them now; what it may not read is not there."""
    async with database.transaction(clock_actor(PLATFORM).scope) as session:
        actor = await flow.reader(session, to)
        withheld = await flow.withheld(session, notices)
    # Who must not be told of in full by now is told of by ids, whatever held when this was queued.
    notices = [notice for notice in notices if in_full(withheld.get(notice.delivery))]
    if actor is None or not notices:
        return {}
    # A reading like any other: in the reader's own row scope, and with a line in the audit.
    async with access.open(database, actor, Call("R", "notify", "Subscription", to.id)) as session:
        return await readable(session, actor, notices)


async def readable(session: Session, actor: Actor, notices: Sequence[Notice]) -> Mapping[Named, Json]:
    """What the actor may read, at this moment, of what these events are about."""
    wanted: dict[Named, None] = {}
    for notice in await flow.told_in_full(session, actor, notices):
        wanted |= dict.fromkeys(notification.concerned(notice))
    shown: dict[Named, Json] = {}
    for type in ("Task", "ServiceRequest"):
        ids = [id for named, id in wanted if named == type]
        if ids and may(actor, type, "r"):
            found = {each.body["id"]: each.body for each in await reading.many(session, actor, type, ids)}
            shown |= {(type, id): found[str(id)] for id in ids if str(id) in found}
    return shown


ATTACHED = ";attach=application/fhir+json"


def _letter(
    to: Subscriber, type: str, told: Sequence[Notice], base_url: str, body: bytes, answerable: Sequence[Answerable]
) -> tuple[str, bytes, str]:
    """A mail: its attachment's form and bytes (none where none was asked for), and what a person reads; no person in it."""
    lines = {
        "handshake": ["这个邮箱将收到转介平台的通知。", "This mailbox will receive notices of the referral platform."],
        "heartbeat": ["没有新的消息；通知服务运行正常。", "There is no news; notices work."],
        "event-notification": [f"转介有新的进展（{len(told)} 条）。", f"There is news of referrals ({len(told)})."],
    }[type]
    for one in answerable:
        lines += _answers(one, base_url)
    lines += ["", f"Subscription: {base_url}/Subscription/{to.id}"]
    lines += [f"#{notice.number}{_link(to, notice, base_url)}" for notice in told]
    attached = to.terms["mime"].endswith(ATTACHED)
    return "application/fhir+json", body if attached else b"", "\n".join(lines) + "\n"


def _link(to: Subscriber, notice: Notice, base_url: str) -> str:
    if to.terms["content"] == "empty":
        return ""
    return "".join(f"  {base_url}/{type}/{id}" for type, id in notification.concerned(notice)[:1])


ASKED = {
    "accept": "接单 Accept", "decline": "退单 Decline", "ask": "追问 Ask", "return": "退回 Return",
}  # fmt: skip


def _answers(one: Answerable, base_url: str) -> list[str]:
    """The links of one offer, and what they do: they name neither the need nor the person."""
    until = one.until.astimezone(SHANGHAI)
    zh, en = f"{until.month}月{until.day}日 {until:%H:%M}", f"{until:%d %b %H:%M} (Beijing time)"
    if "return" in one.tokens:
        lines = ["", f"接单后可在 {zh} 前退回。", f"What was accepted can be returned until {en}."]
    else:
        lines = ["", f"有一条转介等待贵机构答复，请于 {zh} 前答复。", f"An offer waits for your answer, by {en}."]
    site = base_url.removesuffix("/fhir")
    lines += [f"{ASKED[act]}: {site}/answer/{token}" for act, token in one.tokens.items()]
    return [
        *lines,
        "打开链接不会改变任何内容，在页面上确认后才生效；每个链接只能用一次，请勿转发。",
        "Opening a link changes nothing, only confirming on its page does; each works once. Do not forward this mail.",
    ]
