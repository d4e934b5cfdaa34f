"""`$card`: a page for the person to take along, in plain Chinese and English; no script, and nothing from elsewhere."""

import base64
from collections.abc import AsyncIterator
from datetime import datetime

import jinja2

from adapters.fhir import binary, references
from adapters.fhir.addresses import Place
from adapters.fhir.exchange import Answer, Asked
from adapters.fhir.reading import ABSENT
from service.access.model import Actor
from service.casework import card_flow as flow
from service.casework.card_flow import Caller, Card
from service.db import Session
from service.errors import NotAcceptable, NotFound
from service.values import SHANGHAI

PAGES = jinja2.Environment(
    loader=jinja2.PackageLoader("adapters.fhir", "pages"), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True,
)  # fmt: skip
KIND = "text/html"
HEADERS = {
    "content-type": f"{KIND}; charset=utf-8",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
}
TELLING = (
    "精神", "心理", "心身", "康宁", "安宁", "临终", "肿瘤", "传染", "结核", "艾滋", "戒毒", "妇幼", "儿童", "残疾", "保护", "救助", "社会", "社工",
    "psych", "mental", "hospice", "cancer", "tumour", "tumor", "oncolog", "infect", "tubercul", "addict", "drug", "maternal", "child",
    "disab", "protect", "relief", "social", "welfare",
)  # fmt: skip
"""Words of a hospital's name that tell why somebody was there: such a name is not printed (our own list (D))."""


def may_go_raw(path: tuple[str, ...]) -> bool:
    """Whether a request could be answered with a page, in a media type of its own."""
    return len(path) == 3 and path[0] == "ServiceRequest" and path[2] == "$card"


async def answer(session: Session, actor: Actor, asked: Asked, place: Place, now: datetime) -> Answer:
    """The card as a page where one is asked for, else as a Binary that holds it."""
    kinds = binary.wanted_raw(asked.headers, asked.query)
    raw = bool(kinds & {KIND, "text/*"})
    if kinds and not raw and "*/*" not in kinds:
        raise NotAcceptable("A card is text/html; or ask for application/fhir+json.")
    request = references.as_id(place.id or "")
    if request is None:
        raise NotFound(ABSENT)
    content = page(await flow.card(session, actor, request, now)).encode()
    if raw:
        return Answer(200, None, HEADERS | {"content-length": str(len(content))}, pieces=_whole(content))
    return Answer(
        200,
        {
            "resourceType": "Binary",
            "contentType": HEADERS["content-type"],
            "securityContext": {"reference": f"ServiceRequest/{request}"},
            "data": base64.b64encode(content).decode(),
        },
    )


async def _whole(content: bytes) -> AsyncIterator[bytes]:
    yield content


def page(card: Card) -> str:
    """The card as HTML."""
    return PAGES.get_template("card.html").render(
        hospital_zh=_plain(card.hospital_zh),
        hospital_en=_plain(card.hospital_en),
        callers=[_caller(each) for each in card.callers],
    )


def _plain(name: str) -> str | None:
    return None if any(word in name.lower() for word in TELLING) else name


def _caller(it: Caller) -> dict[str, str | None]:
    local = it.by.astimezone(SHANGHAI) if it.by else None
    return {
        "name": it.name, "number": it.number, "by_zh": f"{local.month}月{local.day}日{local.hour}点" if local else None,
        "by_en": f"{local:%-d %B, %H:%M}" if local else None,
    }  # fmt: skip
