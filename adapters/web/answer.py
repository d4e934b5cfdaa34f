"""`/answer/<token>`: the page of a link by which an agency answers an offer without an account. GET changes nothing, whoever
asks; the form's POST does. No script, nothing from another host, no person.

The token is a secret and stands in the path of one page alone: no log of this service holds paths, and no Referer goes out.
"""

import base64
import hashlib
import logging
import math
from collections.abc import Awaitable, Callable
from datetime import datetime
from importlib import resources
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from litestar import MediaType, Request, Response, get, post
from litestar.datastructures import State
from litestar.params import FromPath

from adapters.pace import Pace, Rate
from adapters.web import answer_words as words
from adapters.web.rendering import PAGES
from service import codes
from service.access import flow as access
from service.access.model import Call
from service.db import Session
from service.errors import Conflict, Invalid, NotFound, Refusal, TooMany, Unavailable
from service.notices import link_flow
from service.notices.link_flow import LONGEST_QUESTION, LONGEST_REASON, Holder, Shown
from service.values import Reason

log = logging.getLogger(__name__)

STYLE = resources.files("adapters.web").joinpath("pages", "answer.css").read_text()
_STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex, nofollow",
    "Cache-Control": "no-store",
    "Vary": "Accept-Language",
}
GUESSES = Rate(0.05, 20)
"""How many links that were never made one address may open: a token has 256 bits, so that this only keeps the log short."""
LONGEST_FORM = 32_768

Page = Response[str]
H = TypeVar("H")
"""Who holds a link, of whichever kind."""


@get("/answer/{token:str}", media_type=MediaType.HTML)
async def look(request: Request[Any, Any, Any], state: State, token: FromPath[str]) -> Page:
    """Show what may be answered, or what became of it."""
    lang = _lang(request)
    try:
        holder = await _held(request, state, token)
        return _page(*await _shown(request, state, holder), lang)
    except Exception as fault:
        return _failed(fault, lang)


@post("/answer/{token:str}", media_type=MediaType.HTML, status_code=200, request_max_body_size=LONGEST_FORM)
async def answer(request: Request[Any, Any, Any], state: State, token: FromPath[str]) -> Page:
    """Do what the link is for, with what the form says; then show the page of what was done."""
    lang = _lang(request)
    try:
        said = _form(await request.body())
        holder = await _held(request, state, token)
        faults = _faults(holder, said, lang)
        if faults:
            shown, now = await _shown(request, state, holder)
            return (
                _page(shown, now, lang, said, faults) if shown.state == "open" else _page(shown, now, lang, again=True)
            )
        try:
            call = Call("E", f"answer-{holder.link.action}", "Task", holder.link.task, request_id=_request_id(request))
            async with access.open(state.database, holder.actor, call) as session:
                await _ACTS[holder.link.action](session, holder, said, session.began)
        except (Conflict, Invalid, NotFound):
            # Whoever was quicker, a program or another link, is what there is to say; else the verb's own reason is.
            shown, now = await _shown(request, state, holder)
            if shown.state == "open":
                raise
            return _page(shown, now, lang, again=True)
        # The page of a used link says what it did: reloading it asks for nothing again.
        return Response("", status_code=303, headers=HEADERS | {"Location": f"/answer/{token}?lang={lang}"})
    except Exception as fault:
        return _failed(fault, lang)


async def _held(request: Request[Any, Any, Any], state: State, token: str) -> Holder:
    """Whose link it is. Raises as `known_link`."""
    return await known_link(request, state, link_flow.holder(state.database, token))


async def known_link(request: Request[Any, Any, Any], state: State, found: Awaitable[H]) -> H:
    """Who holds a link, as it is looked up. Raises NotFound, and TooMany where one address has asked for too many that are none.

    A link that is one is never held up by them: behind a proxy all the world comes from one address.
    """
    if "link_guesses" not in state:
        state.link_guesses = Pace(GUESSES)
    pace: Pace = state.link_guesses
    try:
        return await found
    except NotFound:
        pace.take(request.client.host if request.client else "")
        raise


async def _shown(request: Request[Any, Any, Any], state: State, holder: Holder) -> tuple[Shown, datetime]:
    call = Call("R", "answer-look", "Task", holder.link.task, request_id=_request_id(request))
    async with access.open(state.database, holder.actor, call) as session:
        return await link_flow.look(session, holder, session.began), session.began


def _request_id(request: Request[Any, Any, Any]) -> str:
    return str(request.scope.get("yuanshe.request_id", ""))


def _lang(request: Request[Any, Any, Any]) -> str:
    return words.chosen(request.query_params.get("lang"), request.headers.get("accept-language", ""))


# ---- what the form says ------------------------------------------------------------------------------------------------


def _form(body: bytes) -> dict[str, str]:
    try:
        return dict(parse_qsl(body.decode(), errors="strict", max_num_fields=10))
    except ValueError:
        raise Invalid("The form cannot be read.", key="form") from None


REASONS = tuple(code for code in codes.LISTS[codes.DECLINE_REASON].codes if code != "expired")
"""Why an agency may refuse; that the limit passed is the clock's to say."""


def _faults(holder: Holder, said: dict[str, str], lang: str) -> dict[str, str]:
    """What is missing, by the field that it is missing from."""
    t, act = words.WORDS[lang], holder.link.action
    found: dict[str, str] = {}
    if act == "accept":
        return {} if said.get("sure") == "yes" else {"sure": t["not-sure"]}
    if act != "ask" and said.get("reason") not in REASONS:
        found["reason"] = t["no-reason"]
    text = said.get("words", "").strip()
    if not text:
        found["words"] = t["no-question" if act == "ask" else "no-words"]
    elif len(text.replace("\r\n", "\n")) > _most(act):
        found["words"] = t["too-many-words"].format(most=_most(act))
    return found


def _most(act: str) -> int:
    return LONGEST_QUESTION if act == "ask" else LONGEST_REASON


async def _accept(session: Session, holder: Holder, said: dict[str, str], now: datetime) -> None:
    await link_flow.accept(session, holder, now)


async def _decline(session: Session, holder: Holder, said: dict[str, str], now: datetime) -> None:
    await link_flow.decline(session, holder, Reason(said["reason"], said["words"]), now)


async def _ask(session: Session, holder: Holder, said: dict[str, str], now: datetime) -> None:
    await link_flow.ask(session, holder, said["words"], now)


async def _return(session: Session, holder: Holder, said: dict[str, str], now: datetime) -> None:
    await link_flow.give_back(session, holder, Reason(said["reason"], said["words"]), now)


_ACTS: dict[str, Callable[[Session, Holder, dict[str, str], datetime], Awaitable[None]]] = {
    "accept": _accept, "decline": _decline, "ask": _ask, "return": _return,
}  # fmt: skip


# ---- what the page says ------------------------------------------------------------------------------------------------


def _page(
    shown: Shown, now: datetime, lang: str, said: dict[str, str] | None = None, faults: dict[str, str] | None = None,
    *, again: bool = False,
) -> Page:  # fmt: skip
    """The form of an open link; of any other what became of the offer. `again`: something was just asked for in vain."""
    if shown.state == "used" and not again:
        if shown.link.action == "accept" and shown.task and shown.task.business_status == "returned":
            return _closed("returned", 200, lang)
        return _done(shown, now, lang)
    if shown.state != "open":
        return _ended(shown, now, lang, 409 if again else 200)
    t, act = words.WORDS[lang], shown.link.action
    agency = shown.agency[0 if lang == "zh" else 1]
    sentence = t["undo-by" if act == "return" else "waiting"]
    return _render(
        lang, 422 if faults else 200, heading=words.HEADINGS[lang][act], act=act, button=t[act], facts=_facts(shown, now, lang),
        lines=[sentence.format(agency=agency, by=words.when(shown.link.expires_at, now, lang)), t["opening"]],
        reasons=[(code, codes.label(codes.DECLINE_REASON, code, lang)) for code in REASONS], most=_most(act),
        sure=t["sure"], said=said or {}, faults=faults or {}, small=[t["identity"], t["once"]],
    )  # fmt: skip


def _facts(shown: Shown, now: datetime, lang: str) -> list[tuple[str, str, str]]:
    """T0 of the offer (domain f-7): of a need for safety no more than that it is one, where roughly, and minor, adult or elder."""
    task, t = shown.task, words.WORDS[lang]
    if task is None:
        return []
    needs = (codes.SAFETY,) if task.safety else task.needs
    facts = [
        (t["need"], ("、" if lang == "zh" else ", ").join(codes.label(codes.NEED, need, lang) for need in needs), ""),
        (t["urgency"], codes.label(codes.URGENCY, task.urgency, lang), {"stat": "crisis", "asap": "late"}.get(task.urgency, "")),
        (t["age"], codes.label(codes.AGE_BAND, task.age_band or "unknown", lang), ""),
    ]  # fmt: skip
    if place := _place(shown, lang):
        facts.append((t["place"], place, ""))
    if task.language and not task.safety:
        facts.append((t["language"], words.LANGUAGES[lang].get(task.language.lower(), task.language), ""))
    if shown.link.action != "return":
        facts.append((t["by"], words.when(shown.link.expires_at, now, lang), ""))
    return facts


def _place(shown: Shown, lang: str) -> str:
    region = shown.task.region if shown.task else None
    if not region:
        return ""
    parts = [shown.places[code][0 if lang == "zh" else 1] for code in dict.fromkeys((region[:6], region)) if code in shown.places]  # fmt: skip
    return (" · " if lang == "zh" else ", ").join(parts)


def _done(shown: Shown, now: datetime, lang: str) -> Page:
    """What the link did, and what follows from it."""
    act, task = shown.link.action, shown.task
    heading, *lines = words.DONE[lang][act]
    follows = list(words.NEXT[lang][act])
    undo_words = None
    if act == "accept":
        contact = task.clocks.get("contact") if task and task.open else None
        if task and "consent" in task.clocks:
            follows.insert(0, words.CONSENT[lang])
        elif contact and contact.left is None:
            follows.insert(0, words.FIRST_CONTACT[lang].format(by=words.when(contact.due, now, lang)))
    if shown.undo and shown.undo_until:
        undo_words = words.WORDS[lang]["undo"].format(by=words.when(shown.undo_until, now, lang))
    return _render(lang, 200, heading=heading, lines=lines, next=follows, undo=shown.undo, undo_words=undo_words)


def _ended(shown: Shown, now: datetime, lang: str, status: int) -> Page:
    state, used = shown.state, shown.link.used_at
    if state != "used":
        return _closed(state, status, lang)
    assert used is not None
    heading, *lines = words.CLOSED[lang]["again"]
    act = words.WORDS[lang][shown.link.action]
    said = [line.format(used=words.when(used, now, lang), act=act.lower()) for line in lines]
    return _render(lang, status, heading=heading, lines=said, next=words.NEXT[lang][shown.link.action])


def _closed(word: str, status: int, lang: str, **headers: str) -> Page:
    heading, *lines = words.CLOSED[lang][word]
    return _render(lang, status, heading=heading, lines=lines, headers=headers)


KNOWN_REFUSALS = frozenset({"unlicensed", "no-capacity"})


def _failed(fault: Exception, lang: str) -> Page:
    """What went wrong as a page; the link is as it was."""
    if isinstance(fault, NotFound) and fault.key == "no-link":
        return _closed("no-link", 404, lang)
    if isinstance(fault, TooMany):
        return _closed("throttled", 429, lang, **{"Retry-After": str(math.ceil(fault.wait))})
    if isinstance(fault, Unavailable):
        return _closed("away", 503, lang, **{"Retry-After": "60"})
    if isinstance(fault, Refusal):
        return _closed(fault.key if fault.key in KNOWN_REFUSALS else "refused", 422, lang)
    # By its kind alone: its message could hold what was written.
    log.error("a page of a link broke: %s", type(fault).__name__)
    return _closed("away", 500, lang)


def _render(lang: str, status: int, *, heading: str, headers: dict[str, str] | None = None, **said: Any) -> Page:
    empty = {"lines": (), "facts": (), "act": None, "faults": {}, "said": {}, "next": (), "undo": None, "undo_words": None,
             "small": (), "reasons": (), "most": 0, "sure": "", "button": ""}  # fmt: skip
    page = PAGES.get_template("answer.html").render(
        **{**empty, **said}, heading=heading, lang=lang, t=words.WORDS[lang], style=STYLE
    )
    return Response(page, status_code=status, headers=HEADERS | (headers or {}))


route_handlers = [look, answer]
