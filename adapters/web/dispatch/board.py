"""`/dispatch`: what nobody has first, then what is late, then what soon will be; and for one of them who could take it."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any

import msgspec
from litestar import MediaType, Request, get, post
from litestar.datastructures import State
from litestar.params import FromPath

from adapters.web import acting, faults, paging, shell
from adapters.web.dispatch import crises, rows
from adapters.web.dispatch.capacity import Places, places
from adapters.web.shell import Page, Person, Signed
from adapters.web.speech import Speech, noted
from service import codes
from service.access import flow as access
from service.db import Session
from service.errors import Forbidden, Refusal
from service.notices import crises_flow
from service.referrals import board_flow, messaging
from service.referrals import flow as referrals
from service.referrals.board_flow import Board, Placing
from service.referrals.board_store import Placed, Section
from service.referrals.model import Task
from service.routing.model import Candidate, KeptDecision
from service.routing.words import question
from service.values import Id, Reason, as_id

AT_A_TIME = 50
SECTIONS = {
    "nobodys": (noted("没有人接"), noted("还没有机构接、全部退回、没人认领，或提问没人答复的")),
    "late": (noted("已超时"), noted("轮到的一方过了时限还没有做")),
    "soon": (noted("快到时限"), noted("24 小时内到期，时限已用去八成的")),
}
"""Section → its heading, and what stands in it."""

BASES = {"legal-duty": "HLEGAL", "emergency": "ETREAT"}
"""A lawful basis → the code of its reason (v3-ActReason)."""

acting.says(
    {
        "offered": noted("已派单，机构已收到通知。"),
        "opened": noted("已公开派单，符合条件的机构都可以认领。"),
        "refused": noted("已记为不受理，医院已收到通知。"),
        "gave-up": noted("已终止派单，医院已收到通知。"),
        "taken-back": noted("已收回这次派单，系统已按规则转给下一家机构。"),
        "basis": noted("已记录法定依据，身份已向所选机构开放；事后告知的待办已建立。"),
    }
)


class Why(msgspec.Struct, frozen=True):
    """Why one agency has not got it, in words: the rules that failed, or what it answered."""

    agency: str
    words: tuple[str, ...]


class Item(msgspec.Struct, frozen=True):
    """One row of the board."""

    row: rows.Row
    section: Section
    why: tuple[Why, ...]
    questions: tuple[str, ...]
    judged: str | None


class Choice(msgspec.Struct, frozen=True):
    """One agency that could be named. `may`: the verb would take it; `fits`: every rule passes; `fails` says which do not."""

    number: int
    id: Id
    name: str
    fits: bool
    may: bool
    rank: int
    preferred: bool
    fails: tuple[tuple[str, str], ...]
    places: tuple[Places, ...]


class Had(msgspec.Struct, frozen=True):
    """One share: who has or had it, what became of it and why, when."""

    id: Id
    agency: str
    says: str
    when: str
    exact: str
    out: bool
    needs: tuple[str, ...]


class Judged(msgspec.Struct, frozen=True):
    """How routing decided once, every agency with what spoke against it."""

    when: str
    exact: str
    why: tuple[Why, ...]
    questions: tuple[str, ...]


# ---- the list --------------------------------------------------------------------------------------------------------


@get("/dispatch", media_type=MediaType.HTML)
async def board(request: Request[Any, Any, Any], state: State, who: Signed) -> Page:
    """The board; as a fragment its list alone, for a page that hears that something happened."""
    return await _board(request, state, who)


async def _board(
    request: Request[Any, Any, Any], state: State, who: Person, chosen: Id | None = None, fault: faults.Fault | None = None,
    typed: dict[str, list[str]] | None = None, status: int = 200,
) -> Page:  # fmt: skip
    interaction = "page-dispatch-referral" if chosen else "page-dispatch"
    of: dict[str, Any] = {"resource_type": "ServiceRequest", "resource_id": chosen} if chosen else {}
    async with access.open(state.database, who.actor, shell.call(request, interaction, **of)) as session:
        now = session.began
        after = _place(request.query_params.get("after"))
        # A browser that comes back asks for the whole page, by script as well.
        alone = (
            chosen is not None
            and "hx-request" in request.headers
            and "hx-history-restore-request" not in request.headers
        )
        found = None if alone else await board_flow.board(session, who.actor, now, after=after, limit=AT_A_TIME)
        up = None if alone or after or chosen else await crises_flow.up(session, who.actor, now)
        one = await board_flow.placing(session, who.actor, chosen, now) if chosen else None
        fresh = session.practice.capacity_fresh
    said: dict[str, Any] = {
        "placing": _placing(one, who, now, fresh.minutes, typed or {}) if one else None,
        "fault": fault,
    }
    speech = who.speech
    if found is None:
        return shell.page(request, "dispatch/placing.html", who, speech, title="", acts=_acts(who), **said)
    items = [_item(placed, found, who, now) for placed in found.rows]
    template = "dispatch/list.html" if "fragment" in request.query_params else "dispatch/board.html"
    return shell.page(
        request, template, who, speech, status=status, title=speech.gettext("调度"), items=items, counts=found.counts, sections=SECTIONS,
        next=_written(found.after), later=after is not None, chosen=chosen, acts=_acts(who),
        crises=crises.rows(up, who, now) if up else [], **said,
    )  # fmt: skip


def _acts(who: Person) -> bool:
    """The coordinator acts; an administrator looks."""
    return who.actor.role == "coordinator"


def _item(placed: Placed, found: Board, who: Person, now: datetime) -> Item:
    speech, id = who.speech, placed.step.referral
    kept = found.decisions.get(id)
    why = _why(kept, found.shares.get(id, ()), found.names.organizations, speech)
    return Item(
        rows.row(rows.Open(placed.step, placed.referral), found.names, who, now), placed.section, why,
        tuple(question(key, speech.language) for key in kept.decision.questions) if kept else (),
        speech.when(kept.at, now) if kept else None,
    )  # fmt: skip


def _why(kept: KeptDecision | None, shares: Sequence[Task], organizations: Any, speech: Speech) -> tuple[Why, ...]:
    """Of each agency why it has not got it: what it said itself, else the rules that it failed."""
    said: dict[Id, tuple[str, ...]] = {}
    for share in shares:
        if share.agency and not share.open:
            said[share.agency] = (_became(share, speech),)
    for each in kept.decision.candidates if kept else ():
        if each.agency not in said and not each.eligible:
            said[each.agency] = tuple(words for _, words in _fails(each, speech))
    return tuple(Why(speech.name(organizations.get(agency)), words) for agency, words in said.items())


def _fails(candidate: Candidate, speech: Speech) -> list[tuple[str, str]]:
    return [(rule.result, rule.why(speech.language)) for rule in candidate.rules if rule.result != "pass"]


def _became(share: Task, speech: Speech) -> str:
    """How a share stands, and why it ended so."""
    says = speech.code(codes.BUSINESS_STATUS, share.business_status) or share.status
    return says + (f" – {why}" if not share.open and (why := _reason(share.reason, speech)) else "")


def _reason(reason: Reason | None, speech: Speech) -> str:
    if reason is None:
        return ""
    lists = (codes.DECLINE_REASON, codes.CLOSURE_REASON)
    system = next((each for each in lists if reason.code and codes.known(each, reason.code)), None)
    return " · ".join(filter(None, [speech.code(system, reason.code) if system else "", reason.text or ""]))


# ---- one of them -----------------------------------------------------------------------------------------------------


@get("/dispatch/{referral:uuid}", media_type=MediaType.HTML)
async def placing(request: Request[Any, Any, Any], state: State, who: Signed, referral: FromPath[Id]) -> Page:
    """One referral beside the board; alone, where a page asks for it by script."""
    return await _board(request, state, who, referral)


def _placing(one: Placing, who: Person, now: datetime, fresh: int, typed: dict[str, list[str]]) -> dict[str, Any]:
    speech, organizations = who.speech, one.names.organizations
    may = {each.agency for each in one.chosen}
    # An agency that has a share of it is no candidate for another one.
    have = {share.agency for share in one.shares if share.open}
    choices = [
        Choice(
            number, each.agency, speech.name(organizations.get(each.agency)), each.eligible,
            each.agency in may and each.agency not in have and any(p.free for p in one.capacities.get(each.agency, ())), each.rank,
            each.preferred, tuple(_fails(each, speech)), places(one.capacities.get(each.agency, ()), speech, now, fresh),
        )
        for number, each in enumerate(one.live.candidates, 1)
    ]  # fmt: skip
    shares = [
        Had(
            share.id, speech.name(organizations.get(share.agency)) if share.agency else speech.gettext("公开派单（待认领）"),
            _became(share, speech),
            speech.when(share.ended_at or share.updated_at, now), speech.exact(share.ended_at or share.updated_at),
            share in one.out, share.needs,
        )
        for share in reversed(one.shares)
    ]  # fmt: skip
    open_row = rows.Open(one.step, one.referral) if one.step else None
    return {
        "id": one.referral.id,
        "row": rows.row(open_row, one.names, who, now) if open_row else None,
        "urgency": one.referral.effective_urgency,
        "needs": one.referral.needs,
        "free_needs": one.free_needs,
        "hospital": speech.name(organizations.get(one.referral.hospital)),
        "placing": one,
        "choices": choices,
        "eligible": sum(choice.fits for choice in choices),
        "shares": shares,
        "questions": [question(key, speech.language) for key in one.live.questions],
        "kept": [_judged(each, organizations, speech, now) for each in one.kept],
        "typed": {name: values[-1] for name, values in typed.items()},
        "typed_lists": typed,
        "reasons": codes.LISTS[codes.DECLINE_REASON].concepts,
        "bases": list(BASES),
    }


def _judged(kept: KeptDecision, organizations: Any, speech: Speech, now: datetime) -> Judged:
    return Judged(
        speech.when(kept.at, now), speech.exact(kept.at),
        tuple(
            Why(speech.name(organizations.get(each.agency)), tuple(words for _, words in _fails(each, speech)))
            for each in kept.decision.candidates
        ),
        tuple(question(key, speech.language) for key in kept.decision.questions),
    )  # fmt: skip


# ---- acts ------------------------------------------------------------------------------------------------------------

Lists = dict[str, list[str]]
Lacks = list[tuple[str, str]]
"""What a form misses before any verb is asked: field and words."""


async def _act(
    request: Request[Any, Any, Any], state: State, who: Person, referral: Id, interaction: str, fields: dict[str, str],
    do: Callable[[Session, Lists], Awaitable[str]], lacks: Callable[[Lists], Lacks] = lambda _: [],
    told: tuple[str, str] | None = None,
) -> Page:  # fmt: skip
    """Do it for the coordinator; refused, the board again with that referral, and everything that was typed. `told`: the name and
    the place of the words that agencies read which may not know the person, so that they name nobody."""
    lists = await shell.fields(request)
    if not _acts(who):
        raise Forbidden("The coordinator places referrals; an administrator looks.", key="wrong-actor")
    if missing := lacks(lists):
        return await _board(request, state, who, referral, faults.lacking(missing, who.speech), lists, 422)

    if told:
        fields = fields | {"Communication.payload": told[1]}

    async def carry(session: Session) -> str:
        if told:
            await messaging.nameless(session, referral, [_last(lists, told[0])])
        return await do(session, lists)

    try:
        # A list of values counts as a whole: sent again with another one ticked it is another act.
        said = {name: "\n".join(values) for name, values in lists.items()}
        return await acting.act(
            request, state, who, said, interaction, carry, resource_type="ServiceRequest", resource_id=referral
        )
    except Refusal as refusal:
        fault = faults.told(refusal, who.speech, fields)
        return await _board(request, state, who, referral, fault, lists, fault.status)


def _last(lists: Lists, name: str) -> str:
    return lists.get(name, [""])[-1].strip()


@post("/dispatch/{referral:uuid}/offer", media_type=MediaType.HTML, status_code=200)
async def offer(request: Request[Any, Any, Any], state: State, who: Signed, referral: FromPath[Id]) -> Page:
    """Offer it to one agency, or to every eligible one; always with a reason, which everybody on the timeline reads."""

    def lacks(lists: Lists) -> Lacks:
        found: Lacks = [] if "agency" in lists else [("agency", noted("请选择一家机构，或选择公开派单。"))]
        return found if _last(lists, "reason") else [*found, ("reason", noted("请写明派单的理由。"))]

    async def do(session: Session, lists: Lists) -> str:
        agency = as_id(_last(lists, "agency"))
        needs = tuple(lists.get("need", ())) or None
        reason = Reason(None, _last(lists, "reason"))
        await referrals.offer(session, who.actor, referral, agency, reason, session.began, needs=needs)
        return acting.done("/dispatch", "offered" if agency else "opened")

    fields = {"owner": "agency", "statusReason.text": "reason"}
    return await _act(request, state, who, referral, "page-dispatch-offer", fields, do, lacks, ("reason", "reason"))


@post("/dispatch/{referral:uuid}/refuse", media_type=MediaType.HTML, status_code=200)
async def refuse(request: Request[Any, Any, Any], state: State, who: Signed, referral: FromPath[Id]) -> Page:
    """Not take it on, before any agency accepted it: with a coded reason and words for the ward."""

    def lacks(lists: Lists) -> Lacks:
        found: Lacks = [] if _last(lists, "code") else [("refuse-code", noted("请选择不受理的原因。"))]
        return (
            found
            if _last(lists, "words")
            else [*found, ("refuse-words", noted("请写几句给病房：为什么，可以怎么办。"))]
        )

    async def do(session: Session, lists: Lists) -> str:
        reason = Reason(_last(lists, "code"), _last(lists, "words"))
        await referrals.refuse(session, who.actor, referral, reason, session.began)
        return acting.done("/dispatch", "refused")

    return await _act(
        request,
        state,
        who,
        referral,
        "page-dispatch-refuse",
        {"statusReason.text": "refuse-words"},
        do,
        lacks,
        ("words", "refuse-words"),
    )


@post("/dispatch/{referral:uuid}/give-up", media_type=MediaType.HTML, status_code=200)
async def give_up(request: Request[Any, Any, Any], state: State, who: Signed, referral: FromPath[Id]) -> Page:
    """Give up what no agency could bring to an end, in words."""

    def lacks(lists: Lists) -> Lacks:
        return [] if _last(lists, "words") else [("refuse-words", noted("请写几句给病房：为什么，可以怎么办。"))]

    async def do(session: Session, lists: Lists) -> str:
        await referrals.give_up(session, who.actor, referral, Reason(None, _last(lists, "words")), session.began)
        return acting.done("/dispatch", "gave-up")

    return await _act(
        request,
        state,
        who,
        referral,
        "page-dispatch-give-up",
        {"statusReason.text": "refuse-words"},
        do,
        lacks,
        ("words", "refuse-words"),
    )


@post("/dispatch/{referral:uuid}/take-back", media_type=MediaType.HTML, status_code=200)
async def take_back(request: Request[Any, Any, Any], state: State, who: Signed, referral: FromPath[Id]) -> Page:
    """Take back an offer that nobody has answered; the next agency is offered it."""

    def lacks(lists: Lists) -> Lacks:
        return [] if _last(lists, "back") else [("back", noted("请写明为什么收回。"))]

    async def do(session: Session, lists: Lists) -> str:
        share = await board_flow.offer_out(session, who.actor, referral, as_id(_last(lists, "share")))
        await referrals.withdraw_share(session, who.actor, share, Reason(None, _last(lists, "back")), session.began)
        return acting.done(f"/dispatch/{referral}", "taken-back")

    return await _act(
        request,
        state,
        who,
        referral,
        "page-dispatch-take-back",
        {"statusReason.text": "back"},
        do,
        lacks,
        ("back", "back"),
    )


@post("/dispatch/{referral:uuid}/basis", media_type=MediaType.HTML, status_code=200)
async def basis(request: Request[Any, Any, Any], state: State, who: Signed, referral: FromPath[Id]) -> Page:
    """Record a lawful basis in place of a consent: for which agencies, and why. Kept as FHIR keeps it, a Provenance."""

    def lacks(lists: Lists) -> Lacks:
        found: Lacks = [] if _last(lists, "kind") in BASES else [("kind", noted("请选择是哪一种法定依据。"))]
        found += (
            [] if any(as_id(each) for each in lists.get("to", ())) else [("to", noted("请选择向哪家机构开放身份。"))]
        )
        return found if _last(lists, "basis") else [*found, ("basis", noted("请写明依据：哪条法律，什么事实。"))]

    async def do(session: Session, lists: Lists) -> str:
        code = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": BASES[_last(lists, "kind")]}
        agents = [{"who": {"reference": f"Organization/{id}"}} for each in lists["to"] if (id := as_id(each))]
        resource = {
            "resourceType": "Provenance", "target": [{"reference": f"ServiceRequest/{referral}"}], "recorded": session.began.isoformat(),
            "reason": [{"coding": [code], "text": _last(lists, "basis")}], "agent": agents,
        }  # fmt: skip
        await state.fhir(session, who.actor, "POST", "Provenance", resource, session.began)
        return acting.done(f"/dispatch/{referral}", "basis")

    return await _act(
        request, state, who, referral, "page-dispatch-basis", {"reason.text": "basis", "agent": "to"}, do, lacks
    )


def _place(written: str | None) -> board_flow.Place | None:
    section, dot, place = (written or "").partition(".")
    found = paging.place(place) if dot and section in SECTIONS else None
    return (section, found[0], found[1]) if found and found[0] else None  # pyright: ignore[reportReturnType]


def _written(after: board_flow.Place | None) -> str | None:
    return f"{after[0]}.{paging.written(after[1:])}" if after else None


route_handlers = [board, placing, offer, refuse, give_up, take_back, basis]
