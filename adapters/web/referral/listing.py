"""The ward's list: its referrals in folders like mail, whose turn it is on each and until when, and what came of those that ended."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from litestar import MediaType, Request, get, post
from litestar.datastructures import State

from adapters.web import paging, shell
from adapters.web.sentence import Sentence, sentence
from adapters.web.shell import Page, Person, Signed
from adapters.web.speech import Speech, noted
from service import codes
from service.access import flow as access
from service.patients.model import Patient
from service.referrals import overview_flow
from service.referrals.overview_flow import Names, Ward
from service.referrals.overview_store import FOLDERS, MOST, Line, Wanted
from service.values import Id

AT_A_TIME = 50

FOLDER_WORDS: Mapping[str, tuple[str, str]] = {
    "all": (
        noted("全部进行中"),
        noted("没有进行中的转介。发出的转介会出现在这里，并一直显示下一步由谁、在什么时候前完成。"),
    ),
    "mine": (noted("等我处理"), noted("没有等本院处理的。机构追问、需要补办同意、危机需要确认时，会出现在这里。")),
    "waiting": (noted("等待机构"), noted("没有等待接单的。刚发出、还没有机构接的转介会出现在这里。")),
    "service": (noted("服务中"), noted("没有服务中的。机构接单后，转介移到这里。")),
    "follow-up": (noted("随访中"), noted("没有随访中的。服务结束、出院随访还没做完的，会出现在这里。")),
    "ended": (noted("已结束"), noted("还没有结束的。结束后会留在这里：结果是什么，什么时候。")),
}
"""Folder → its name, and what stands there while it is empty."""


class Row(msgspec.Struct, frozen=True):
    """One referral of the list: with its sentence while it is open, else with what came of it."""

    id: Id
    urgency: str
    needs: tuple[str, ...]
    person: Patient | None
    age_band: str | None
    gender: str | None
    region: str | None
    where: str
    sentence: Sentence | None
    ended: "Ending | None"
    flagged: bool
    deceased: bool


class Ending(msgspec.Struct, frozen=True):
    """What came of a referral: the word for it, by whom, why, and when."""

    what: str
    who: str
    why: str
    when: str
    exact: str
    at: datetime
    good: bool


@get("/referrals", media_type=MediaType.HTML)
async def listing(request: Request[Any, Any, Any], state: State, who: Signed) -> Page:
    """One folder of the ward's list; a side that places no referrals has a list of its own."""
    if who.actor.side != "hospital":
        return shell.to("/today")
    return await _listed(request, state, who, dict(request.query_params), "")


@post("/referrals", media_type=MediaType.HTML, status_code=200)
async def filtered(request: Request[Any, Any, Any], state: State, who: Signed) -> Page:
    """The same, of those alone in which every word is found. What is looked for may be a name: it stands in no address."""
    said = await shell.form(request)
    return await _listed(request, state, who, said, said.get("words", "").strip()[:100])


async def _listed(
    request: Request[Any, Any, Any], state: State, who: Person, said: Mapping[str, str], words: str
) -> Page:
    folder = said.get("folder", "all")
    folder = folder if folder in FOLDER_WORDS else "all"
    mine = said.get("mine") == "1" and who.actor.kind == "person"
    after = paging.timed(said.get("after"))
    async with access.open(state.database, who.actor, shell.call(request, "page-referrals")) as session:
        ward = await overview_flow.ward(
            session, who.actor, folder=None if folder == "all" else folder, mine=mine, words=wanted(words), after=after,
            limit=AT_A_TIME,
        )  # fmt: skip
        now = session.began
    return shell.page(
        request, "referral/list.html", who, who.speech, title=noted("我的转介"), rows=[row(line, ward.names, who, now) for line in ward.rows],
        folders=_folders(ward, who.speech), folder=folder, empty=FOLDER_WORDS[folder][1], mine=mine, words=words, next=paging.written(ward.after),
        later=after is not None, looked=ward.looked, most=MOST,
    )  # fmt: skip


def _folders(ward: Ward, speech: Speech) -> list[tuple[str, str, str]]:
    """Each folder: its code, its name, and how many are in it; what has ended is not counted."""
    total = sum(ward.counts.values())
    counts = {**ward.counts, "all": total}
    return [
        (code, speech.gettext(name), "" if code == "ended" else _count(counts.get(code, 0), any(ward.counts.get(each, 0) > MOST for each in FOLDERS) if code == "all" else False))
        for code, (name, _) in FOLDER_WORDS.items()
    ]  # fmt: skip


def _count(number: int, more: bool) -> str:
    return f"{MOST}+" if more or number > MOST else str(number)


def row(line: Line, named: Names, who: Person, now: datetime) -> Row:
    """One referral as its ward reads it."""
    referral, step, speech = line.referral, line.step, who.speech
    return Row(
        id=referral.id, urgency=referral.effective_urgency, needs=referral.needs, person=named.patients.get(referral.patient),
        age_band=referral.age_band, gender=referral.gender,
        region=speech.name(named.regions.get(referral.region)) or referral.region if referral.region else None,
        where=place(line.ward, line.bed, speech),
        sentence=sentence(step, who.actor, named.organizations.get(step.organization), named.workers.get(step.worker) if step.worker else None, speech, now)
        if step else None,
        ended=None if step else _ending(line, named, speech, now), flagged=referral.contact_prohibited, deceased=referral.deceased,
    )  # fmt: skip


def place(ward: str | None, bed: str | None, speech: Speech) -> str:
    """Where somebody lies: 骨科 12床."""
    if not bed:
        return ward or ""
    named = bed if speech.language == "en" or bed.endswith("床") else f"{bed}床"
    return " ".join(
        filter(None, [ward, speech.gettext("床位 %(bed)s") % {"bed": bed} if speech.language == "en" else named])
    )


def _ending(line: Line, named: Names, speech: Speech, now: datetime) -> Ending:
    parent, at = line.parent, line.closed_at or line.referral.updated_at
    status = parent.status if parent else "completed"
    says = (parent.business_status if parent else None) or {"completed": "closed"}.get(status, "failed")
    what = speech.gettext("误录作废") if status == "entered-in-error" else speech.code(codes.BUSINESS_STATUS, says)
    return Ending(
        what=what, who=speech.name(named.organizations.get(line.closed_by)) if line.closed_by else "",
        why=why(parent.reason.code if parent and parent.reason else None, None, speech), when=speech.when(at, now), exact=speech.exact(at), at=at,
        good=status == "completed",
    )  # fmt: skip


REASONS = (codes.DECLINE_REASON, codes.CLOSURE_REASON, codes.FOLLOW_UP_OUTCOME, codes.ACCESS_REVIEW)


def why(code: str | None, text: str | None, speech: Speech) -> str:
    """A reason in words: its code's, and those that were written."""
    system = next((system for system in REASONS if code and codes.known(system, code)), None)
    return " · ".join(filter(None, [speech.code(system, code) if system else "", text or ""]))


def wanted(words: str) -> tuple[Wanted, ...]:
    """Words of the box: each stands for the urgencies and needs that are called so, in either language, or is looked for as it is."""
    found: list[Wanted] = []
    for word in words.casefold().split()[:8]:
        found.append(Wanted(word, _called(codes.URGENCY, word), _called(codes.NEED, word)))
    return tuple(found)


def _called(system: str, word: str) -> tuple[str, ...]:
    return tuple(
        each.code for each in codes.LISTS[system].concepts if word in each.zh.casefold() or word in each.en.casefold()
    )


route_handlers = [listing, filtered]
