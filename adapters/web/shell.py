"""What every page of a signed-in person has: who they are, their language, the frame around it, and what keeps others out."""

import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import jinja2
import msgspec
from litestar import MediaType, Request, Response
from litestar.datastructures import Cookie, State
from litestar.di import NamedDependency

from adapters.web import done
from adapters.web.speech import ROOMS, SPEECH, Language, Speech, asked, noted
from service import codes
from service.access import session_flow
from service.access.model import Actor, Call
from service.access.session_flow import COOKIE
from service.errors import Forbidden, Malformed, TooLarge, Unauthenticated
from service.values import new_id, utc_now

READER = "yuanshe.reader"
LONGEST_FORM = 65_536
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Vary": "Cookie, Accept-Language",
}
"""Everything from here and nothing inline; what a page shows of people is kept nowhere."""

Asked = Request[Any, Any, State]
Page = Response[Any]


class Person(msgspec.Struct, frozen=True):
    """Who looks at a page: `form_token` stands in each of their forms, `form_once` names a single one."""

    actor: Actor
    speech: Speech
    form_token: str
    ends_at: datetime

    @property
    def form_once(self) -> str:
        return str(new_id())


Signed = NamedDependency[Person]
"""Of a handler: the person that `person` finds."""


class Elsewhere(Exception):
    """The reader is sent to another page."""

    def __init__(self, to: str) -> None:
        self.to = to


async def person(request: Asked, state: State) -> Person:
    """The person of this request's cookie; nobody's is sent to sign in, and back to where they were."""
    cookie = request.cookies.get(COOKIE)
    back = _returning(request)
    to = f"?next={quote(back, safe='/')}" if back else ""
    if not cookie:
        raise Elsewhere(f"/sign-in{to}")
    try:
        # What a page fetches by itself is nobody's use: an unattended screen would never be left.
        known = await session_flow.known(state.database, cookie, touches="x-background" not in request.headers)
    except Unauthenticated:
        ended = "1" if request.method == "GET" else "form"
        raise Elsewhere(f"/sign-in{to}{'&' if to else '?'}ended={ended}") from None
    language: Language = "en" if known.language == "en" else "zh"
    found = Person(known.actor, SPEECH[language], form_token(cookie), known.ends_at)
    request.scope["state"][READER] = found
    return found


def reader(request: Asked) -> Person | None:
    """Who `person` found for this request, for a page that says why it failed."""
    return request.scope.get("state", {}).get(READER)


def _returning(request: Asked) -> str:
    """Where to go after signing in: the page asked for; the page of the form that was sent, or that a script asked from."""
    script = request.headers.get("hx-current-url")
    if request.method == "GET" and not script:
        return _back(request)
    return before(request, script or request.headers.get("referer"))


def before(request: Asked, address: str | None) -> str:
    """The path of a page of ours that an address names; nothing for another host's."""
    try:
        parts = urlsplit(address or "")
    except ValueError:
        return ""
    if not parts.path or parts.netloc.lower() not in _ours(request):
        return ""
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    return path if local(path) == path else ""


def _back(request: Asked) -> str:
    query = request.scope["query_string"].decode("latin-1")
    return quote(request.url.path, safe="/") + (f"?{query}" if query else "")


def local(path: str | None) -> str:
    """A path of our own to go to; anything else leads home. Browsers drop tabs and line ends out of an address, so that `/`, a
    tab and `/` again would be another host's."""
    ours = (
        path and path.isascii() and path.isprintable() and path.startswith("/") and not path.startswith(("//", "/\\"))
    )
    return path if path and ours else "/today"


def form_token(cookie: str, salt: str | None = None) -> str:
    """What a form of this session carries, so that no other site can send one: derived, hence kept nowhere, and another one
    in every page, so that packed pages tell nothing of it by their length."""
    salt = salt or secrets.token_hex(8)
    return salt + hmac.new(cookie.encode(), salt.encode(), hashlib.sha256).hexdigest()


def foreign(request: Asked) -> bool:
    """Whether a form was sent from another site's page, as the browser says. Without TLS no browser says `Sec-Fetch-Site`; where a
    form came from each says."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = request.headers.get("origin")
    if origin is None:
        return False
    try:
        return urlsplit(origin).netloc.lower() not in _ours(request)
    except ValueError:
        return True


def _ours(request: Asked) -> set[str]:
    """The hosts that this service is asked by."""
    return {request.headers.get("host", "").lower(), urlsplit(request.app.state.base_url).netloc.lower()}


def guard_site(request: Asked) -> None:
    """Raises Forbidden for a form that another site sent."""
    if foreign(request):
        raise Forbidden("This form came from another site.", key="foreign-form")


def guard_session(request: Asked, given: str) -> None:
    """Raises Forbidden for a form whose token `given` is of another session, or of none."""
    cookie = request.cookies.get(COOKIE, "")
    if not (cookie and hmac.compare_digest(given.encode(), form_token(cookie, given[:16]).encode())):
        raise Forbidden("This form is of another session; open the page again.", key="foreign-form")


async def fields(request: Asked, *, signed_in: bool = True, longest: int = LONGEST_FORM) -> dict[str, list[str]]:
    """Every value of every name that a form of ours says, in its order. Raises Forbidden for one that another site sent,
    TooLarge, Malformed."""
    guard_site(request)
    body = await request.body()
    if len(body) > longest:
        raise TooLarge("The form is too large.")
    said: dict[str, list[str]] = {}
    try:
        for name, value in parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=bool(body)):
            # No keyboard types it, and no text of the database holds it.
            said.setdefault(name, []).append(value.replace("\0", ""))
    except (UnicodeDecodeError, ValueError):
        raise Malformed("This is no form.") from None
    given = (said.pop("token", None) or [request.headers.get("x-form-token", "")])[-1]
    if signed_in:
        guard_session(request, given)
    return said


async def form(request: Asked, *, signed_in: bool = True, longest: int = LONGEST_FORM) -> dict[str, str]:
    """What a form of ours says, of each name the last value. Raises as `fields`."""
    return {name: values[-1] for name, values in (await fields(request, signed_in=signed_in, longest=longest)).items()}


def spoken(request: Asked) -> Speech:
    """The language of a page for nobody in particular."""
    return SPEECH[asked(request.query_params.get("lang"), request.headers.get("accept-language"))]


def call(request: Asked, interaction: str, action: str = "R", **of: Any) -> Call:
    """The words of a page's audit line."""
    return Call(action, interaction, request_id=str(request.scope.get("yuanshe.request_id", "")) or None, **of)  # pyright: ignore[reportArgumentType]


# ---- rendering -------------------------------------------------------------------------------------------------------


class Static(msgspec.Struct, frozen=True):
    """A file that pages load: its content, its type, and the mark of its content that addresses carry."""

    content: bytes
    media_type: str
    mark: str


TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml", ".txt": "text/plain; charset=utf-8"}  # fmt: skip


def _files() -> dict[str, Static]:
    found: dict[str, Static] = {}
    web = resources.files("adapters.web")
    shared = [
        (file.name, file)
        for folder in ("static", "style")
        if (web / folder).is_dir()
        for file in (web / folder).iterdir()
    ]
    # A room's own style and script are named after it.
    own = [
        (f"{room}{end}", web / room / f"{name}{end}")
        for room in ROOMS
        for name, end in (("style", ".css"), ("script", ".js"))
    ]
    for name, file in shared + [(name, file) for name, file in own if file.is_file()]:
        kind = TYPES.get(name[name.rfind(".") :]) if "." in name else None
        if kind:
            content = file.read_bytes()
            found[name] = Static(content, kind, hashlib.sha256(content).hexdigest()[:12])
    return found


FILES = _files()


def address(name: str) -> str:
    """Where a page loads a file from: a new content has a new address, so a browser may keep it for good."""
    return f"/static/{name}?{FILES[name].mark}" if name in FILES else f"/static/{name}"


def _environment(speech: Speech) -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.ChoiceLoader([
            jinja2.PackageLoader("adapters.web", "pages"),
            # By path: a PackageLoader would import the rooms, which import this.
            jinja2.PrefixLoader({room: jinja2.FileSystemLoader(Path(__file__).parent / room / "pages") for room in ROOMS}),
        ]), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.i18n"],
    )  # fmt: skip
    made.install_gettext_callables(speech.gettext, speech.ngettext, newstyle=True)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    made.globals.update(speech=speech, static=address, codes=codes)  # pyright: ignore[reportCallIssue, reportArgumentType]
    return made


_PAGES = {language: _environment(speech) for language, speech in SPEECH.items()}

Stop = tuple[str, str, str, str]
"""One entry of the rail: path, icon, word, and the key that leads there after `g`."""
_REFERRALS: Stop = ("/referrals", "clipboard-list", noted("我的转介"), "r")
_REFER: Stop = ("/refer", "plus", noted("新转介"), "n")
_QUEUE: Stop = ("/queue", "inbox", noted("队列"), "q")
_CASES: Stop = ("/cases", "folder", noted("我的个案"), "c")
_FOLLOW_UPS: Stop = ("/follow-ups", "phone", noted("随访"), "f")
_TEAM: Stop = ("/team", "users", noted("团队"), "t")
_CAPACITY: Stop = ("/capacity", "calendar", noted("服务与容量"), "y")
_DISPATCH: Stop = ("/dispatch", "route", noted("调度"), "d")
_REPORTS: Stop = ("/reports", "chart-bar", noted("报表"), "b")
_DOWNTIME: Stop = ("/downtime", "printer", noted("停机表"), "o")
_ADMIN: Stop = ("/admin", "settings", noted("管理"), "a")
_AUDIT: Stop = ("/audit", "shield-check", noted("审计"), "u")
_VISITS: Stop = ("/visits", "heart-handshake", noted("探访"), "v")

NAVIGATION: Mapping[str, tuple[Stop, ...]] = {
    "referrer": (_REFERRALS, _REFER, _FOLLOW_UPS, _REPORTS, _DOWNTIME),
    "social_worker": (_QUEUE, _CASES, _FOLLOW_UPS, _CAPACITY, _REPORTS, _DOWNTIME),
    "supervisor": (_QUEUE, _TEAM, _CASES, _FOLLOW_UPS, _CAPACITY, _REPORTS, _DOWNTIME),
    "coordinator": (_DISPATCH, _REPORTS),
    "administrator": (_ADMIN, _DISPATCH, _AUDIT, _REPORTS),
    "auditor": (_AUDIT,),
    "volunteer": (_VISITS,),
}
"""Role → the pages of its rail; the first is its home."""


def home(who: Person) -> str:
    """Where somebody's day begins."""
    return NAVIGATION[who.actor.role][0][0]


def page(
    request: Asked, template: str, who: Person | None, speech: Speech, *, status: int = 200, title: str, cookies: list[Cookie] | None = None,
    **said: Any,
) -> Page:  # fmt: skip
    """A page in its frame."""
    party = who is not None and who.actor.side in ("hospital", "agency", "platform")
    # The page of a form that was not taken stands at the form's address, which only POST knows.
    form_page = before(request, request.headers.get("referer")) if request.method == "POST" else ""
    here = (said.get("form_page") or form_page) if status >= 400 else ""
    frame = {
        "title": title, "who": who, "path": request.url.path, "now": utc_now(), "same_page": here or _back(request),
        "navigation": NAVIGATION[who.actor.role] if who else (),
        # Crises, news and the search box are for the parties to referrals.
        "party": party,
        # Where an agency's day begins: whether it still has the places that it said.
        "nagged": who is not None and who.actor.side == "agency" and request.url.path == home(who),
        "done": done.said(request.query_params.get("done"), speech),
        "form_page": form_page,
        "htmx": json.dumps({"includeIndicatorStyles": False, "allowEval": False, "historyCacheSize": 0}),
    }  # fmt: skip
    text = _PAGES[speech.language].get_template(template).render(frame | said)
    headers = HEADERS | {"Content-Language": speech.html}
    return Response(text, status_code=status, media_type=MediaType.HTML, headers=headers, cookies=cookies or [])


def drawn(template: str, speech: Speech, **said: Any) -> str:
    """A template without the frame: a paper that stands by itself."""
    return _PAGES[speech.language].get_template(template).render(said)


def to(path: str, cookies: list[Cookie] | None = None) -> Page:
    """Go on there with GET, whatever was sent here."""
    return Response(b"", status_code=303, headers=HEADERS | {"Location": path}, cookies=cookies or [])


def cookie(request: Asked, state: State, value: str | None) -> Cookie:
    """The session's cookie; None takes it away. Only over TLS, unless the service itself is spoken to without."""
    return Cookie(
        key=COOKIE, value=value or "", path="/", httponly=True, samesite="lax", secure=state.base_url.startswith("https:"),
        max_age=None if value else 0,
    )  # fmt: skip


def elsewhere(request: Asked, sent: Elsewhere) -> Page:
    """A page asked for by script learns from a header where to go, since it would show the other page within itself."""
    if request.headers.get("hx-request"):
        return Response(b"", status_code=200, headers=HEADERS | {"HX-Redirect": sent.to})
    return to(sent.to)
