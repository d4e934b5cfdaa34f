"""Signing in and out, and the language of the pages."""

import json
import logging
import math
import traceback
from pathlib import Path
from typing import Any, cast

from litestar import MediaType, Request, Response, get, post
from litestar.datastructures import State
from litestar.exceptions import HTTPException

from adapters.pace import Pace, Rate
from adapters.web import acting, faults, shell
from adapters.web.shell import Page, Signed
from adapters.web.speech import LANGUAGES, Speech, noted
from service.access import session_flow
from service.errors import NotFound, Refusal, TooLarge, TooMany, Unauthenticated, Unavailable

log = logging.getLogger(__name__)

TRIES = Rate(0.2, 30)
"""Attempts that one address may make, whatever the logins: a lock of one login does not stop who tries many."""

ROLES = {
    "referrer": noted("病房转介人员"),
    "social_worker": noted("社工"),
    "supervisor": noted("督导"),
    "coordinator": noted("协调员"),
    "administrator": noted("管理员"),
    "auditor": noted("审计员"),
    "volunteer": noted("志愿者"),
}
"""A person's role, in words."""


@get("/sign-in", media_type=MediaType.HTML)
async def door(request: Request[Any, Any, Any], state: State) -> Page:
    """The page to sign in at; in a demo it offers the demo's people."""
    return _door(request, state, shell.spoken(request))


@post("/sign-in", media_type=MediaType.HTML, status_code=200, request_max_body_size=shell.LONGEST_FORM)
async def sign_in(request: Request[Any, Any, Any], state: State) -> Page:
    """Let a person in, and lead them on to where they wanted to go."""
    speech = shell.spoken(request)
    said = await shell.form(request, signed_in=False)
    try:
        slow(request, state)
        offered = _offered(state).get(said.get("demo", ""))
        login, password = (
            (offered["login"], offered["password"]) if offered else (said.get("login", ""), said.get("password", ""))
        )
        made = await session_flow.sign_in(
            state.database, login, password, said.get("code") or None, speech.language, browser=machine(request)
        )
    except Unauthenticated as refused:
        return _door(request, state, speech, said, wrong=_wrong(refused, speech), code=refused.key != "wrong-password")  # fmt: skip
    except TooMany as refused:
        wrong = speech.gettext("尝试次数太多，请在 %(time)s后再试。") % {
            "time": speech.lasting(math.ceil(refused.wait / 60) * 60)
        }
        return _door(request, state, speech, said, wrong=wrong, status=429)
    if left := request.cookies.get(shell.COOKIE):
        # Whoever sat here before is gone from this browser; their session is no longer anybody's to go on with.
        await session_flow.sign_out(state.database, left)
    return shell.to(shell.local(said.get("next")), [shell.cookie(request, state, made)])


BROWSERS = {"MicroMessenger": "WeChat", "Edg": "Edge", "OPR": "Opera", "Firefox": "Firefox", "Chrome": "Chrome", "Safari": "Safari"}  # fmt: skip
MACHINES = {"Android": "Android", "iPhone": "iPhone", "iPad": "iPad", "Windows": "Windows", "Mac OS X": "macOS", "HarmonyOS": "HarmonyOS", "Linux": "Linux"}  # fmt: skip


def machine(request: Request[Any, Any, Any]) -> str | None:
    """The kind of browser and machine, for the person's own list; of what a browser says of itself, only words of ours are kept."""
    said = request.headers.get("user-agent", "")
    named = [next((word for mark, word in kinds.items() if mark in said), None) for kinds in (BROWSERS, MACHINES)]
    return " · ".join(filter(None, named)) or None


def _wrong(refused: Unauthenticated, speech: Speech) -> str:
    words = faults.KEYS[refused.key or "wrong-password"]
    return speech.gettext(words)


def slow(request: Request[Any, Any, Any], state: State) -> None:
    """Hold up who tries too often from one address. Raises TooMany."""
    pace = state.get("tries") or Pace(TRIES)
    state["tries"] = pace
    pace.take(request.client.host if request.client else "")


def _door(
    request: Request[Any, Any, Any], state: State, speech: Speech, said: dict[str, str] | None = None, *,
    wrong: str | None = None, code: bool = False, status: int = 200,
) -> Page:  # fmt: skip
    said = said or {}
    return shell.page(
        request, "sign-in.html", None, speech, status=422 if wrong and status == 200 else status, title=speech.gettext("登录"),
        offered=_offered(state), roles=ROLES, wrong=wrong, code=code, login=said.get("login", ""),
        provider=state.get("provider"), next=shell.local(said.get("next") or request.query_params.get("next")), ended=request.query_params.get("ended"),
    )  # fmt: skip


def _offered(state: State) -> dict[str, dict[str, str]]:
    """The demo's people by login; nobody anywhere else."""
    file = cast("Path | None", state.settings.demo)
    if file is None:
        return {}
    try:
        return json.loads(file.read_text())["people"]
    except (OSError, ValueError, KeyError):
        return {}


@get("/today", media_type=MediaType.HTML)
async def today(request: Request[Any, Any, Any], who: Signed) -> Page:
    """Lead everybody to where their day begins; what was just done is said there."""
    word = request.query_params.get("done", "")
    home = shell.home(who)
    return shell.to(acting.done(home, word) if word in acting.DONE else home)


@post("/sign-out", status_code=303)
async def sign_out(request: Request[Any, Any, Any], state: State, who: Signed) -> Page:
    """End this session, and lead whoever came from their organisation's sign-in to leave there too."""
    await shell.form(request)
    vouched = await session_flow.sign_out(state.database, request.cookies[shell.COOKIE])
    gone = shell.cookie(request, state, None)
    provider = state.get("provider")
    to = await provider.leaving(f"{state.base_url}/sign-in") if vouched and provider else None
    if to is None:
        return shell.to("/sign-in", [gone])
    # A page, not a redirect: the form's own policy (form-action) lets nobody be led to another host.
    title = who.speech.gettext("已退出院社")
    answer = shell.page(request, "left.html", None, who.speech, title=title, to=to, cookies=[gone])
    answer.headers["Refresh"] = f"0; url={to}"
    return answer


def enter(request: Request[Any, Any, Any], state: State, token: str, next: str) -> Page:
    """Let somebody in who has shown elsewhere who they are."""
    return shell.to(next, [shell.cookie(request, state, token)])


def refused_elsewhere(request: Request[Any, Any, Any], refused: Refusal) -> Page:
    """The page of somebody whom the provider, or we, do not let in: what happened, and what to do."""
    speech = shell.spoken(request)
    fault = faults.told(refused, speech)
    words = faults.KEYS.get(refused.key or "")
    return shell.page(
        request, "not-in.html", None, speech, status=fault.status, title=speech.gettext("没有登录成功"),
        why=speech.gettext(words) if words else fault.summary, subject=refused.names.get("subject"),
    )  # fmt: skip


@get("/session", media_type=MediaType.JSON)
async def session(who: Signed) -> Response[dict[str, int]]:
    """When this session ends if nothing is done from now on, in seconds since 1970; asking is doing something."""
    return Response({"ends": int(who.ends_at.timestamp())}, headers=shell.HEADERS)


@post("/language", status_code=303)
async def language(request: Request[Any, Any, Any], state: State, who: Signed) -> Page:
    """Let the pages speak another language, and go back to the page."""
    said = await shell.form(request)
    wanted = said.get("language")
    if wanted in LANGUAGES:
        await session_flow.speak(state.database, request.cookies[shell.COOKIE], wanted)
    return shell.to(shell.local(said.get("next")))


def failed(request: Request[Any, Any, Any], fault: Refusal) -> Page:
    """A page that could not be shown, in its reader's frame where somebody is signed in: what happened, and what to do. Nothing
    of what was asked is repeated."""
    who = shell.reader(request)
    speech = who.speech if who else shell.spoken(request)
    said = faults.told(fault, speech)
    answer = shell.page(
        request, "failed.html", who, speech, status=said.status, title=speech.gettext("打不开这个页面"), fault=said
    )
    if isinstance(fault, Unavailable):
        answer.headers["Retry-After"] = "5"
    return answer


def nowhere(request: Request[Any, Any, Any], refused: HTTPException) -> Page:
    """What no route takes, for somebody at a browser: an address mistyped, of a page that is not there any more, or a form
    that is too long."""
    too_long = refused.status_code == 413
    answer = failed(request, TooLarge("The form is too large.") if too_long else NotFound("There is no such page."))
    answer.status_code = refused.status_code
    return answer


def broken(request: Request[Any, Any, Any], fault: Exception) -> Page:
    """What nobody foresaw: what was asked was not carried out, and a number to name when one asks for help."""
    # For the log by kind and place alone: its message could hold what was sent.
    where = "".join(traceback.format_tb(fault.__traceback__))
    log.error("a page broke: %s\n%s", type(fault).__name__, where)
    who = shell.reader(request)
    speech = who.speech if who else shell.spoken(request)
    return shell.page(
        request, "broken.html", who, speech, status=500, title=noted("这一步没有完成"), number=request.scope.get("yuanshe.request_id", ""),
    )  # fmt: skip


route_handlers = [door, sign_in, today, sign_out, session, language]
