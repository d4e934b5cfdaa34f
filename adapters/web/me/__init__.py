"""`/me`: who one is here, one's password and code, and where one is signed in."""

from typing import Any

import msgspec
import segno
from litestar import MediaType, Request, get, post
from litestar.datastructures import State

from adapters.web import acting, done, faults, shell
from adapters.web.door import ROLES
from adapters.web.faults import Fault
from adapters.web.shell import Page, Signed
from adapters.web.speech import noted
from service.access import flow as access
from service.access import own_flow
from service.access.flow import SHORTEST_PASSWORD
from service.access.session_flow import COOKIE
from service.db import Session
from service.directory import store as directory
from service.errors import Refusal

done.says(
    {
        "password": noted("密码已更改，其他设备上的登录都已结束。"),
        "code-on": noted("验证码已启用。下次登录时，除密码外还要输入验证器上的六位数字。"),
        "code-off": noted("验证码已停用。"),
        "sessions-ended": noted("其他设备上的登录都已结束。"),
    }
)
FIELDS = {"old": "old", "new": "new"}
UNCHANGED = noted("密码没有更改。请更正下面的内容，再填一次密码。")
STILL = noted("验证码没有停用。")
AGAIN = noted("两次输入的新密码不一样。请再输入一次。")


@get("/me", media_type=MediaType.HTML)
async def me(request: Request[Any, Any, Any], state: State, who: Signed) -> Page:
    """The reader's own account."""
    return await _me(request, state, who)


async def _me(request: Request[Any, Any, Any], state: State, who: Signed, fault: Fault | None = None, form: str = "") -> Page:  # fmt: skip
    token = request.cookies[COOKIE]
    async with access.open(state.database, who.actor, shell.call(request, "page-me")) as session:
        mine = await own_flow.mine(session, who.actor, token)
        organization = await directory.organization(session, who.actor.organization)
    return shell.page(
        request, "me/me.html", who, who.speech, title=who.speech.gettext("我的账号"), mine=mine, organization=organization,
        role=ROLES[who.actor.role], shortest=SHORTEST_PASSWORD, fault=fault, form=form, status=fault.status if fault else 200,
    )  # fmt: skip


@post("/me/password", media_type=MediaType.HTML, status_code=200, request_max_body_size=shell.LONGEST_FORM)
async def password(request: Request[Any, Any, Any], state: State, who: Signed) -> Page:
    """Another password; the old one is asked."""
    said = await shell.form(request)
    if said.get("new", "") != said.get("again", ""):
        return await _me(
            request, state, who, _unchanged(faults.lacking([("again", AGAIN)], who.speech), who), "password"
        )
    try:
        await own_flow.change_password(
            state.database, who.actor, request.cookies[COOKIE], said.get("old", ""), said.get("new", "")
        )
    except Refusal as refused:
        return await _me(request, state, who, _unchanged(faults.told(refused, who.speech, FIELDS), who), "password")
    return shell.to(acting.done("/me", "password"))


def _unchanged(fault: Fault, who: Signed) -> Fault:
    """No password stands in a page again, so that not everything typed is still there."""
    return msgspec.structs.replace(fault, summary=who.speech.gettext(UNCHANGED)) if fault.status == 422 else fault


def _still(fault: Fault, who: Signed) -> Fault:
    return msgspec.structs.replace(fault, summary=who.speech.gettext(STILL)) if fault.status == 422 else fault


@post("/me/code/new", status_code=303)
async def new_code(request: Request[Any, Any, Any], state: State, who: Signed) -> Page:
    """Offer a generator to this session, and show it."""
    said = await shell.form(request)

    async def do(session: Session) -> str:
        await own_flow.offer_code(session, who.actor, request.cookies[COOKIE])
        return "/me/code"

    return await acting.act(request, state, who, said, "page-me-code-new", do)


@get("/me/code", media_type=MediaType.HTML)
async def code(request: Request[Any, Any, Any], state: State, who: Signed) -> Page:
    """The generator that is offered, to be scanned and confirmed."""
    return await _code(request, state, who)


async def _code(request: Request[Any, Any, Any], state: State, who: Signed, fault: Fault | None = None) -> Page:
    async with access.open(state.database, who.actor, shell.call(request, "page-me-code")) as session:
        offered = await own_flow.offered_code(session, who.actor, request.cookies[COOKIE])
    if offered is None:
        return shell.to("/me")
    secret, address = offered
    # Black on white whatever the theme: that is what cameras read.
    drawn = segno.make(address, micro=False).svg_data_uri(scale=5, border=4, dark="#000", light="#fff")
    return shell.page(
        request, "me/code.html", who, who.speech, title=who.speech.gettext("启用验证码"), drawn=drawn, fault=fault,
        secret=" ".join(secret[at : at + 4] for at in range(0, len(secret), 4)), status=fault.status if fault else 200,
    )  # fmt: skip


@post("/me/code", media_type=MediaType.HTML, status_code=200, request_max_body_size=shell.LONGEST_FORM)
async def take_code(request: Request[Any, Any, Any], state: State, who: Signed) -> Page:
    """From now on a code is asked for, since this one shows that the generator works."""
    said = await shell.form(request)

    async def do(session: Session) -> str:
        await own_flow.take_code(session, who.actor, request.cookies[COOKIE], said.get("code", ""))
        return acting.done("/me", "code-on")

    try:
        return await acting.act(request, state, who, said, "page-me-code-on", do)
    except Refusal as refused:
        return await _code(request, state, who, faults.told(refused, who.speech, {"code": "code"}))


@post("/me/code/off", media_type=MediaType.HTML, status_code=200, request_max_body_size=shell.LONGEST_FORM)
async def code_off(request: Request[Any, Any, Any], state: State, who: Signed) -> Page:
    """No code any more; the password is asked."""
    said = await shell.form(request)
    try:
        await own_flow.drop_code(state.database, who.actor, said.get("old", ""))
    except Refusal as refused:
        return await _me(
            request, state, who, _still(faults.told(refused, who.speech, {"old": "code-old"}), who), "code"
        )
    return shell.to(acting.done("/me", "code-off"))


@post("/me/sessions/end", status_code=303)
async def end_others(request: Request[Any, Any, Any], state: State, who: Signed) -> Page:
    """End every session of one's own but this one."""
    said = await shell.form(request)

    async def do(session: Session) -> str:
        await own_flow.end_others(session, who.actor, request.cookies[COOKIE])
        return acting.done("/me", "sessions-ended")

    return await acting.act(request, state, who, said, "page-me-sessions-end", do)


route_handlers = [me, password, new_code, code, take_code, code_off, end_others]
