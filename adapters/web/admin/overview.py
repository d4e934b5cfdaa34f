"""`/admin`: what needs an administrator now, each with the page where it is done; nothing, and it says so."""

from datetime import timedelta
from typing import Any

import msgspec
from litestar import MediaType, Request, get
from litestar.datastructures import State

from adapters.web import shell
from adapters.web.admin import desk
from adapters.web.shell import Page, Signed
from adapters.web.speech import Speech
from service.access import flow as access
from service.access import register_flow as register
from service.db import Session
from service.directory import keeping_flow as keeping
from service.directory import store as directory
from service.jobs import flow as jobs
from service.notices import flow as notices
from service.notices import health_flow as health
from service.records import inbox_flow as inbox
from service.values import local_day

ROOM = "/admin"
SILENT = timedelta(seconds=60)
"""So long without a sign of life is said here, whatever the alarm waits for."""


class Duty(msgspec.Struct, frozen=True):
    """Something that needs an administrator: what, what it means, and where it is done. `now`: it hurts already."""

    what: str
    means: str
    path: str
    act: str
    now: bool
    icon: str


@get(ROOM, media_type=MediaType.HTML)
async def overview(request: Request[Any, Any, Any], state: State, who: Signed) -> Page:
    """What needs an administrator, what hurts first."""
    async with access.open(state.database, who.actor, shell.call(request, "page-admin")) as session:
        desk.permit(who)
        found = await _duties(session, state, who.actor, who.speech)
        now = session.began
    return desk.page(
        request, "overview.html", who, title=who.speech.gettext("管理"), room=ROOM, duties=sorted(found, key=lambda each: not each.now), now=now,
        places=desk.ROOMS[1:],
    )  # fmt: skip


async def _duties(session: Session, state: State, actor: Any, speech: Speech) -> list[Duty]:
    _ = speech.gettext
    found: list[Duty] = []
    # One that died leaves its last sign of life; one that left of its own accord leaves none.
    silence = session.began - (await jobs.last_beat(session) or state.since)
    if silence >= SILENT:
        time = speech.lasting(silence.total_seconds())
        found.append(Duty(_("后台程序 %(time)s没有动静") % {"time": time}, _("消息不再发送，提醒和升级不再进行，审计不再入链。请让运维人员启动 yuanshe work。"), "/audit", _("查看最近的审计"), True, "alert-octagon"))  # fmt: skip
    in_error, failing = await health.trouble(session, actor)
    if in_error:
        found.append(Duty(_("%(n)s 条订阅出错") % {"n": in_error}, _("对方收不到消息，要等修好后重新启用。"), "/admin/subscriptions?state=error", _("查看出错的订阅"), True, "alert-triangle"))  # fmt: skip
    if failing:
        found.append(Duty(_("%(n)s 条订阅最近一次没有送达") % {"n": failing}, _("正在自动重试；一直不通会变成出错。"), "/admin/subscriptions?state=active", _("打开订阅列表"), False, "clock"))  # fmt: skip
    lost = (await notices.backlog(session)).get("not-delivered", 0)
    if lost:
        found.append(Duty(_("%(n)s 条消息没有送达") % {"n": lost}, _("对方修好后，可以一次全部重发，编号不变。"), "/admin/subscriptions", _("查看并重发"), True, "mail-forward"))  # fmt: skip
    parked = await inbox.waiting(session, actor)
    if parked:
        found.append(Duty(_("%(n)s 条 HL7 消息等人处理") % {"n": parked}, _("住院、转科或出院的变化还没有进来，转介看到的可能是旧情况。"), "/admin/hl7", _("打开收件箱"), True, "inbox"))  # fmt: skip
    ahead = await keeping.ahead(session, actor)
    if ahead.unconfirmed:
        found.append(Duty(_("%(n)s 项服务的名额超过 7 天没有确认") % {"n": ahead.unconfirmed}, _("派单用的是旧数字。机构登录后会看到提醒，也可以打电话催。"), "/admin/services?old=1", _("查看是哪几家"), False, "calendar"))  # fmt: skip
    if ahead.licences:
        found.append(Duty(_("%(n)s 位社工的证书已到期或 30 天内到期") % {"n": ahead.licences}, _("到期后不能接单；机构没有其他持证社工时，不再向它派单。"), "/admin/workers?ending=1", _("查看名单"), False, "user"))  # fmt: skip
    if ahead.partnerships:
        named = await directory.organizations(session, {id for each in ahead.partnerships for id in (each.hospital, each.agency)})  # fmt: skip
        today = local_day(session.began)
        for each in ahead.partnerships[:5]:
            pair = f"{speech.name(named.get(each.hospital))} → {speech.name(named.get(each.agency))}"
            days = (each.valid_to - today).days if each.valid_to else 0
            found.append(Duty(_("%(pair)s 的协议还有 %(n)s 天到期") % {"pair": pair, "n": days}, _("到期后不再向它派新的转介，没有接着的协议。"), f"/admin/partnerships/{each.id}", _("打开协议"), False, "heart-handshake"))  # fmt: skip
        if len(ahead.partnerships) > 5:
            found.append(Duty(_("另有 %(n)s 份协议 30 天内到期") % {"n": len(ahead.partnerships) - 5}, "", "/admin/partnerships", _("查看协议"), False, "heart-handshake"))  # fmt: skip
    old = await register.old_keys(session, actor)
    if old:
        found.append(Duty(_("%(n)s 个接口程序的密钥超过一年没有更换") % {"n": old}, _("请对方生成新密钥，先加上新的，再去掉旧的。"), "/admin/clients?old=1", _("查看程序"), False, "lock"))  # fmt: skip
    return found


route_handlers = [overview]
