"""Subscriptions and how they fare; every delivery with its attempts; sent again, turned off and on."""

from datetime import date, timedelta
from typing import Any

import msgspec
from litestar import MediaType, Request, get, post
from litestar.datastructures import State
from litestar.params import FromPath

from adapters.web import acting, faults, shell
from adapters.web.admin import desk
from adapters.web.shell import Page, Person, Signed
from adapters.web.speech import Speech, noted
from adapters.web.story import HAPPENED
from service.access import flow as access
from service.db import Session
from service.directory import store as directory
from service.directory.model import Organization
from service.errors import Refusal
from service.notices import flow as notices
from service.notices import health_flow as health
from service.notices.health_store import Health
from service.referrals.lifecycle import MOVES
from service.values import Id, as_id, local_day

ROOM = "/admin/subscriptions"
STATES = {
    "active": noted("正常"),
    "requested": noted("等待握手"),
    "error": noted("出错"),
    "off": noted("已停用"),
}
"""State of a subscription, in words."""
DELIVERY_STATES = {
    "waiting": noted("等待发送"),
    "sent": noted("已送达"),
    "not-delivered": noted("未送达"),
}
"""State of a delivery, in words."""
CHANNELS = {"rest-hook": noted("网络推送"), "email": noted("电子邮件")}
"""How notices go out, in words."""
ERRORS = {
    "timeout": noted("对方没有在时限内答复"),
    "no-connection": noted("连不上对方的服务器"),
    "broken-off": noted("连接中途断开"),
    "tls": noted("对方的证书不可信或已过期"),
    "host-not-found": noted("找不到这个网址"),
    "address-not-allowed": noted("这个地址不在允许的范围内"),
    "gone": noted("对方说这个地址已经不用了（410）"),
    "internal-error": noted("本系统出错，没有发出"),
    "subscription-in-error": noted("订阅出错后不再发送"),
    "unsubscribed": noted("订阅停用后不再发送"),
    "asked-again": noted("已由新的握手代替"),
    "ended": noted("订阅期限已到"),
    "client-revoked": noted("接口程序已被吊销"),
    "no-mail-server": noted("没有配置发信服务器"),
}
"""What went wrong with a delivery, by our own word for it."""


class Bar(msgspec.Struct, frozen=True):
    """A day's failures, as a bar: its height in a hundred."""

    day: date
    failed: int
    height: int


def error(word: str | None, speech: Speech) -> str:
    """Why it did not arrive, in words."""
    if not word:
        return ""
    if word in ERRORS:
        return speech.gettext(ERRORS[word])
    kind, _, status = word.partition("-")
    if kind == "status":
        return speech.gettext("对方答复 HTTP %(status)s") % {"status": status}
    if kind == "smtp":
        return speech.gettext("邮件服务器答复 %(status)s") % {"status": status}
    return word


def what(kind: str, speech: Speech) -> str:
    """What a delivery tells of, in words."""
    if kind == "handshake":
        return speech.gettext("握手")
    if kind in MOVES:
        return MOVES[kind].zh if speech.language == "zh" else MOVES[kind].en
    return speech.gettext(HAPPENED[kind]) if kind in HAPPENED else kind


def bars(found: Health, today: date) -> list[Bar]:
    """The last days, the oldest first."""
    counted = [(day, found.failed.get(day, 0)) for day in (today - timedelta(days=n) for n in range(health.DAYS - 1, -1, -1))]  # fmt: skip
    most = max(1, *(failed for _, failed in counted))
    return [Bar(day, failed, max(4, round(100 * failed / most)) if failed else 0) for day, failed in counted]


@get(ROOM, media_type=MediaType.HTML)
async def subscriptions(request: Request[Any, Any, Any], state: State, who: Signed) -> Page:
    """Every subscription with its state, what waits, what arrived last and what failed by day."""
    wanted = desk.among(desk.text(request, "state"), STATES)
    before = as_id(request.query_params.get("before"))
    async with access.open(state.database, who.actor, shell.call(request, "page-subscriptions")) as session:
        found = await health.subscriptions(
            session, who.actor, session.began, state=wanted or None, before=before, limit=desk.AT_A_TIME + 1
        )
        named = await directory.organizations(session, {each.organization for each in found})
        now = session.began
    more, found = len(found) > desk.AT_A_TIME, found[: desk.AT_A_TIME]
    return desk.page(
        request, "subscriptions.html", who, title=who.speech.gettext("订阅与投递"), room=ROOM, rows=found, named=named, states=STATES,
        wanted=wanted, channels=CHANNELS, bars={each.id: bars(each, local_day(now)) for each in found}, now=now,
        next=found[-1].id if more else None, later=before is not None, error=error, ago=desk.ago,
    )  # fmt: skip


@get(ROOM + "/{subscription:uuid}", media_type=MediaType.HTML)
async def subscription(request: Request[Any, Any, Any], state: State, who: Signed, subscription: FromPath[Id]) -> Page:
    """One subscription: how it fares, and what it was to hear."""
    return await _one(request, state, who, subscription)


async def _one(request: Request[Any, Any, Any], state: State, who: Person, id: Id, refused: Refusal | None = None) -> Page:  # fmt: skip
    wanted = desk.among(desk.text(request, "state"), DELIVERY_STATES)
    before = desk.number_of(request.query_params.get("before"))
    call = shell.call(request, "page-subscription", resource_type="Subscription", resource_id=id)
    async with access.open(state.database, who.actor, call) as session:
        found = await health.subscription(session, who.actor, id, session.began)
        told = await health.deliveries_of(
            session, who.actor, id, state=wanted or None, before=before, limit=desk.AT_A_TIME + 1
        )
        named = await directory.organizations(session, {found.organization})
        now = session.began
    more, told = len(told) > desk.AT_A_TIME, told[: desk.AT_A_TIME]
    fault = faults.told(refused, who.speech) if refused else None
    return desk.page(
        request, "subscription.html", who, title=who.speech.gettext("订阅"), room=ROOM, status=fault.status if fault else 200, fault=fault,
        it=found, organization=named.get(found.organization), rows=told, states=STATES, delivery_states=DELIVERY_STATES, wanted=wanted,
        channels=CHANNELS, bars=bars(found, local_day(now)), now=now, next=told[-1].number if more else None, later=before is not None,
        error=error, what=what, ago=desk.ago,
    )  # fmt: skip


@get("/admin/deliveries/{delivery:uuid}", media_type=MediaType.HTML)
async def delivery(request: Request[Any, Any, Any], state: State, who: Signed, delivery: FromPath[Id]) -> Page:
    """One delivery and everything that was tried: when, how long it took, what was answered. Nobody's data."""
    return await _delivery(request, state, who, delivery)


async def _delivery(request: Request[Any, Any, Any], state: State, who: Person, id: Id, refused: Refusal | None = None) -> Page:  # fmt: skip
    async with access.open(state.database, who.actor, shell.call(request, "page-delivery")) as session:
        health.permit(who.actor)
        found = await notices.delivery(session, who.actor, id)
        tried = await notices.attempts(session, who.actor, id)
        to = await health.subscription(session, who.actor, found.subscriber, session.began)
        named = await directory.organizations(session, {found.organization})
        now = session.began
    fault = faults.told(refused, who.speech) if refused else None
    organization: Organization | None = named.get(found.organization)
    return desk.page(
        request, "delivery.html", who, title=who.speech.gettext("一次投递"), room=ROOM, status=fault.status if fault else 200, fault=fault,
        it=found, tried=tried, to=to, organization=organization, states=STATES, delivery_states=DELIVERY_STATES, now=now, error=error,
        what=what,
    )  # fmt: skip


@post("/admin/deliveries/{delivery:uuid}/resend", media_type=MediaType.HTML, status_code=303)
async def resend(request: Request[Any, Any, Any], state: State, who: Signed, delivery: FromPath[Id]) -> Page:
    """Send it again under its number; who wished it is written down."""
    said = await shell.form(request)

    async def act(session: Session) -> str:
        health.permit(who.actor)
        await notices.resend(session, who.actor, delivery, session.began)
        return acting.done(f"/admin/deliveries/{delivery}", "resend")

    try:
        return await acting.act(request, state, who, said, "page-delivery-resend", act)
    except Refusal as refused:
        if refused.code in ("forbidden", "not-found"):
            raise
        return await _delivery(request, state, who, delivery, refused)


@post(ROOM + "/{subscription:uuid}/resend", media_type=MediaType.HTML, status_code=303)
async def resend_lost(request: Request[Any, Any, Any], state: State, who: Signed, subscription: FromPath[Id]) -> Page:
    """Send again what was not delivered to it."""

    async def act(session: Session) -> str:
        await health.resend_lost(session, who.actor, subscription, session.began)
        return acting.done(f"{ROOM}/{subscription}", "resend")

    return await _done(request, state, who, subscription, "page-subscription-resend", act)


@post(ROOM + "/{subscription:uuid}/off", media_type=MediaType.HTML, status_code=303)
async def off(request: Request[Any, Any, Any], state: State, who: Signed, subscription: FromPath[Id]) -> Page:
    """Send nothing more to it."""

    async def act(session: Session) -> str:
        await health.turn_off(session, who.actor, subscription, session.began)
        return acting.done(f"{ROOM}/{subscription}", "off")

    return await _done(request, state, who, subscription, "page-subscription-off", act)


@post(ROOM + "/{subscription:uuid}/on", media_type=MediaType.HTML, status_code=303)
async def on(request: Request[Any, Any, Any], state: State, who: Signed, subscription: FromPath[Id]) -> Page:
    """Ask for it again, as it is."""

    async def act(session: Session) -> str:
        await health.turn_on(session, who.actor, subscription, session.began)
        return acting.done(f"{ROOM}/{subscription}", "on")

    return await _done(request, state, who, subscription, "page-subscription-on", act)


async def _done(request: Request[Any, Any, Any], state: State, who: Person, id: Id, interaction: str, act: Any) -> Page:
    said = await shell.form(request)
    try:
        return await acting.act(request, state, who, said, interaction, act, resource_type="Subscription", resource_id=id)  # fmt: skip
    except Refusal as refused:
        if refused.code in ("forbidden", "not-found"):
            raise
        return await _one(request, state, who, id, refused)


route_handlers = [subscriptions, subscription, delivery, resend, resend_lost, off, on]
