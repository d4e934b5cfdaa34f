"""`/search`: the box on every page. What is looked for may be a name, so it is sent as a form and stands in no address."""

from datetime import datetime
from typing import Any

import msgspec
from litestar import MediaType, Request, get, post
from litestar.datastructures import State

from adapters.web import shell
from adapters.web.sentence import Sentence, sentence
from adapters.web.shell import Page, Person, Signed
from service import codes
from service.access import flow as access
from service.patients.model import Patient
from service.referrals import search_flow
from service.referrals.model import Referral, Task
from service.referrals.search_flow import Found
from service.values import Id, as_id

AT_A_TIME = 50


class Row(msgspec.Struct, frozen=True):
    """One referral that was found: with its sentence while it is open, else what became of it, and when."""

    id: Id
    urgency: str
    needs: tuple[str, ...]
    person: Patient | None
    age_band: str | None
    gender: str | None
    region: str | None
    sentence: Sentence | None
    ended: str
    at: datetime
    flagged: bool


@get("/search", media_type=MediaType.HTML)
async def box(request: Request[Any, Any, Any], who: Signed) -> Page:
    """The box alone."""
    return _page(request, who, "", None, (), ())


@post("/search", media_type=MediaType.HTML, status_code=200, request_max_body_size=shell.LONGEST_FORM)
async def search(request: Request[Any, Any, Any], state: State, who: Signed) -> Page:
    """What was found, the latest first."""
    said = await shell.form(request)
    words = " ".join(said.get("words", "").split())[: search_flow.LONGEST]
    needs = _needs_called(words)
    if not words:
        return _page(request, who, "", None, (), ())
    async with access.open(state.database, who.actor, shell.call(request, "page-search")) as session:
        now = session.began
        found = await search_flow.search(
            session, who.actor, words, needs, now, after=as_id(said.get("after")), limit=AT_A_TIME
        )
    lines = [_row(line.referral, found, who, now, line.parent, line.closed_at) for line in found.lines]
    shares = [_row(share, found, who, now, share, share.ended_at) for share in found.shares]
    return _page(request, who, words, found, (*lines, *shares), needs)


def _page(request: Request[Any, Any, Any], who: Person, words: str, found: Found | None, rows: tuple[Row, ...], needs: tuple[str, ...]) -> Page:  # fmt: skip
    return shell.page(
        request, "search/found.html", who, who.speech, title=who.speech.gettext("查找转介"), words=words, rows=rows, needs_=needs,
        crowd=found is not None and found.crowd, after=str(found.after) if found and found.after else "",
    )  # fmt: skip


def _row(about: Referral | Task, found: Found, who: Person, now: datetime, task: Task | None, closed_at: datetime | None) -> Row:  # fmt: skip
    """What this reader may see of it: an agency sees “safety” alone of a safety need of somebody whom it does not know."""
    id = about.referral if isinstance(about, Task) else about.id
    opened, names, speech = found.steps.get(id), found.names, who.speech
    step = opened.step if opened else None
    at = closed_at or about.updated_at
    return Row(
        id=id,
        urgency=about.urgency if isinstance(about, Task) else about.effective_urgency,
        needs=about.told_needs if isinstance(about, Task) else about.needs,
        person=names.patients.get(about.patient) if about.patient else None,
        age_band=about.age_band,
        gender=about.gender,
        region=speech.name(names.regions.get(about.region)) or about.region if about.region else None,
        sentence=sentence(
            step, who.actor, names.organizations.get(step.organization), names.workers.get(step.worker) if step.worker else None, speech, now
        ) if step else None,
        ended=speech.code(codes.BUSINESS_STATUS, task.business_status) if task and task.business_status else speech.gettext("已结束"),
        at=at,
        flagged=about.contact_prohibited,
    )  # fmt: skip


def _needs_called(words: str) -> tuple[str, ...]:
    """The needs that are called so, in either language: what is looked for has two letters at least."""
    word = words.casefold()
    if len(word) < 2:
        return ()
    return tuple(
        concept.code
        for concept in codes.LISTS[codes.NEED].concepts
        if word == concept.code.casefold() or word in concept.zh.casefold() or (len(word) > 3 and word in concept.en.casefold())
    )  # fmt: skip


route_handlers = [box, search]
