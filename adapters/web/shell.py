"""What every page of a signed-in person has: who they are, their language, the frame around it, and what keeps others out."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import datetime
from importlib import resources
from typing import Any
from urllib.parse import parse_qsl, quote

import jinja2
import msgspec
from litestar import MediaType, Request, Response
from litestar.datastructures import Cookie, State
from litestar.di import NamedDependency

from adapters.web.speech import SPEECH, Language, Speech, asked, noted
from service import codes
from service.access import session_flow
from service.access.model import Actor, Call
from service.errors import Forbidden, Malformed, TooLarge, Unauthenticated
from service.values import utc_now

COOKIE = "yuanshe"
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
    """Who looks at a page: `form_token` stands in each of their forms."""

    actor: Actor
    speech: Speech
    form_token: str
    ends_at: datetime


Signed = NamedDependency[Person]
"""Of a handler: the person that `person` finds."""


class Elsewhere(Exception):
    """The reader is sent to another page."""

    def __init__(self, to: str) -> None:
        self.to = to


async def person(request: Asked, state: State) -> Person:
    """The person of this request's cookie; nobody's is sent to sign in, and back to where they were."""
    cookie = request.cookies.get(COOKIE)
    back = f"?next={quote(_back(request), safe='/')}" if request.method == "GET" else ""
    if not cookie:
        raise Elsewhere(f"/sign-in{back}")
    try:
        known = await session_flow.known(state.database, cookie)
    except Unauthenticated:
        raise Elsewhere(f"/sign-in{back}{'&' if back else '?'}ended=1") from None
    language: Language = "en" if known.language == "en" else "zh"
    found = Person(known.actor, SPEECH[language], form_token(cookie), known.ends_at)
    request.scope["state"][READER] = found
    return found


def reader(request: Asked) -> Person | None:
    """Who `person` found for this request, for a page that says why it failed."""
    return request.scope.get("state", {}).get(READER)


def _back(request: Asked) -> str:
    query = request.scope["query_string"].decode("latin-1")
    return request.url.path + (f"?{query}" if query else "")


def local(path: str | None) -> str:
    """A path of our own to go to; anything else leads home. Browsers drop tabs and line ends out of an address, so that `/`, a
    tab and `/` again would be another host's."""
    ours = (
        path and path.isascii() and path.isprintable() and path.startswith("/") and not path.startswith(("//", "/\\"))
    )
    return path if path and ours else "/today"


def form_token(cookie: str) -> str:
    """What a form of this session carries, so that no other site can send one: derived, hence kept nowhere."""
    return hmac.new(cookie.encode(), b"form", hashlib.sha256).hexdigest()


async def form(request: Asked, *, signed_in: bool = True) -> dict[str, str]:
    """What a form of ours says. Raises Forbidden for one that another site sent, TooLarge, Malformed."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise Forbidden("This form came from another site.", key="foreign-form")
    body = await request.body()
    if len(body) > LONGEST_FORM:
        raise TooLarge("The form is too large.")
    try:
        said = dict(parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=bool(body)))
    except (UnicodeDecodeError, ValueError):
        raise Malformed("This is no form.") from None
    given = said.pop("token", "") or request.headers.get("x-form-token", "")
    cookie = request.cookies.get(COOKIE, "")
    if signed_in and not (cookie and hmac.compare_digest(given.encode(), form_token(cookie).encode())):
        raise Forbidden("This form is of another session; open the page again.", key="foreign-form")
    return said


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
    for folder in ("static", "style"):
        place = resources.files("adapters.web").joinpath(folder)
        for file in place.iterdir() if place.is_dir() else ():
            kind = TYPES.get(file.name[file.name.rfind(".") :]) if "." in file.name else None
            if kind:
                content = file.read_bytes()
                found[file.name] = Static(content, kind, hashlib.sha256(content).hexdigest()[:12])
    return found


FILES = _files()


def address(name: str) -> str:
    """Where a page loads a file from: a new content has a new address, so a browser may keep it for good."""
    return f"/static/{name}?{FILES[name].mark}" if name in FILES else f"/static/{name}"


def _environment(speech: Speech) -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("adapters.web", "pages"), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.i18n"],
    )  # fmt: skip
    made.install_gettext_callables(speech.gettext, speech.ngettext, newstyle=True)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    made.globals.update(speech=speech, static=address, codes=codes)  # pyright: ignore[reportCallIssue, reportArgumentType]
    return made


_PAGES = {language: _environment(speech) for language, speech in SPEECH.items()}

NAVIGATION: Mapping[str, tuple[tuple[str, str, str], ...]] = {
    "hospital": (("/today", "clipboard-list", noted("我的转介")),),
    "agency": (("/today", "inbox", noted("队列")),),
    "platform": (("/today", "route", noted("调度")),),
    "auditor": (),
    "volunteer": (),
}
"""Side → the pages of its rail: path, icon, word; a side with none reads no referrals."""


def page(
    request: Asked, template: str, who: Person | None, speech: Speech, *, status: int = 200, title: str, cookies: list[Cookie] | None = None,
    **said: Any,
) -> Page:  # fmt: skip
    """A page in its frame."""
    frame = {
        "title": title, "who": who, "path": request.url.path, "now": utc_now(), "here": quote(_back(request), safe="/"),
        "navigation": NAVIGATION[who.actor.side] if who else (),
        "htmx": json.dumps({"includeIndicatorStyles": False, "allowEval": False, "historyCacheSize": 0}),
    }  # fmt: skip
    text = _PAGES[speech.language].get_template(template).render(frame | said)
    headers = HEADERS | {"Content-Language": speech.html}
    return Response(text, status_code=status, media_type=MediaType.HTML, headers=headers, cookies=cookies or [])


def to(path: str, cookies: list[Cookie] | None = None) -> Page:
    """Go on there with GET, whatever was sent here."""
    return Response(
        b"", status_code=303, headers={"Location": path, "Cache-Control": "no-store"}, cookies=cookies or []
    )


def cookie(request: Asked, state: State, value: str | None) -> Cookie:
    """The session's cookie; None takes it away. Only over TLS, unless the service itself is spoken to without."""
    return Cookie(
        key=COOKIE, value=value or "", path="/", httponly=True, samesite="lax", secure=state.base_url.startswith("https:"),
        max_age=None if value else 0,
    )  # fmt: skip


def elsewhere(request: Asked, sent: Elsewhere) -> Page:
    """A page asked for by script learns from a header where to go, since it would show the other page within itself."""
    if request.headers.get("hx-request"):
        return Response(b"", status_code=200, headers={"HX-Redirect": sent.to, "Cache-Control": "no-store"})
    return to(sent.to)
