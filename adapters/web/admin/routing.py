"""The rules of routing in words, and a change of them tried over last month's referrals before it is made."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import msgspec
from litestar import MediaType, Request, get, post
from litestar.datastructures import State
from litestar.params import FromPath

from adapters.web import acting, faults, shell
from adapters.web.admin import desk
from adapters.web.faults import Fault
from adapters.web.shell import Page, Person, Signed
from adapters.web.speech import Speech, noted
from service import codes
from service.access import flow as access
from service.db import Session
from service.directory import keeping_flow as keeping
from service.directory import store as directory
from service.directory.keeping_store import Offered
from service.directory.model import Organization, Partnership
from service.errors import Invalid, Refusal
from service.routing import rehearsal_flow as rehearsal
from service.routing.rehearsal import Terms, Way
from service.routing.rehearsal_flow import Moved
from service.routing.words import RULES
from service.values import Id, as_id, local_day

ROOM = "/admin/routing"
RULE_NAMES = {
    "partnership": noted("合作协议"),
    "need": noted("需求"),
    "region": noted("区域"),
    "capacity": noted("名额"),
    "worker": noted("持证社工"),
    "ready": noted("认可与就绪"),
    "protection": noted("保护资质"),
    "untried": noted("没有派过"),
}
"""The rules, in the order in which they are asked."""
NOBODY = {"manual": noted("协调员手工派单"), "none": noted("没有机构能接，转协调员")}
"""Where a referral goes that goes to no agency by itself."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Proposal(msgspec.Struct, frozen=True):
    """A change that somebody thinks of, as a form says it, beside how things are."""

    partnership: Partnership
    hospital: Organization
    agency: Organization
    offered: Offered | None
    rank: int
    needs: tuple[str, ...]
    service_needs: tuple[str, ...]
    status: str
    places: int

    @property
    def terms(self) -> Terms:
        it, service = self.partnership, self.offered.service if self.offered else None
        return Terms(
            partnership=it.id,
            service=service.id if service else None,
            rank=self.rank if self.rank != it.rank else None,
            agreed=frozenset(self.needs) if set(self.needs) != set(it.needs) else None,
            offered=frozenset(self.service_needs)
            if service and set(self.service_needs) != set(service.needs)
            else None,
            capacity_status=self.status if service and self.status != service.capacity_status else None,
            places=self.places if service and self.places != service.places else None,
            places_now=service.places if service else 0,
        )

    @property
    def changes(self) -> bool:
        terms = self.terms
        return any(each is not None for each in (terms.rank, terms.agreed, terms.offered, terms.capacity_status, terms.places))  # fmt: skip

    @property
    def query(self) -> str:
        """As the address of a dry run carries it: ids and codes, nobody's data."""
        said = [("rank", self.rank), ("status", self.status), ("places", self.places), ("asked", "1")]
        said += [("needs", each) for each in self.needs] + [("service_needs", each) for each in self.service_needs]
        return urlencode(said)


async def _proposal(session: Session, who: Person, id: Id, said: Mapping[str, list[str]]) -> Proposal:
    """What is proposed for this partnership, and how things are. Raises Invalid by field, NotFound."""
    it, hospital, agency = await keeping.partnership(session, who.actor, id)
    services = await keeping.services_of(session, who.actor, agency.id)
    offered = next((each for each in services if each.service.active), None)
    service = offered.service if offered else None
    if "asked" not in said:
        return Proposal(
            it, hospital, agency, offered, it.rank, it.needs, service.needs if service else (), service.capacity_status if service else "",
            service.places if service else 0,
        )  # fmt: skip
    rank, places = (desk.number_of(said.get(name, [""])[-1]) for name in ("rank", "places"))
    if rank is None or not 1 <= rank <= 999:
        raise Invalid("A rank is from 1 to 999.", at="rank", key="cell-number")
    if service and (places is None or places > 100_000):
        raise Invalid("The number of places is from 0 to 100,000.", at="places", key="places")
    status = said.get("status", [""])[-1]
    if service and not codes.known(codes.CAPACITY_STATUS, status):
        raise Invalid("This is no capacity status.", at="status", key="unknown-code")
    needs, service_needs = (tuple(dict.fromkeys(said.get(name, ()))) for name in ("needs", "service_needs"))
    for name, given in (("needs", needs), ("service_needs", service_needs)):
        if not all(codes.known(codes.NEED, each) for each in given) or (not given and (name == "needs" or service)):
            raise Invalid("At least one need, of the list.", at=name, key="cell-code")
    return Proposal(it, hospital, agency, offered, rank, needs, service_needs, status, places or 0)


@get(ROOM, media_type=MediaType.HTML)
async def rules(request: Request[Any, Any, Any], state: State, who: Signed) -> Page:
    """The rules and the ranking in words, and the partnerships that they read, hospital by hospital."""
    async with access.open(state.database, who.actor, shell.call(request, "page-routing")) as session:
        rehearsal.permit(who.actor)
        hospitals = await keeping.organizations(session, who.actor, kinds=["hospital"], limit=500)
        wanted = as_id(request.query_params.get("hospital")) or (hospitals[0].id if hospitals else None)
        found = await keeping.partnerships(session, who.actor, wanted) if wanted else None
        today = local_day(session.began)
        counted = await rehearsal.total(session, who.actor, session.began)
    in_force = [
        each
        for each in (found.partnerships if found else [])
        if each.valid_from <= today and (each.valid_to is None or each.valid_to >= today)
    ]
    told = [(name, _words(name, who.speech)) for name in RULE_NAMES]
    return desk.page(
        request, "routing.html", who, title=who.speech.gettext("派单规则"), room=ROOM, rules=told, names=RULE_NAMES, hospitals=hospitals,
        wanted=wanted, rows=sorted(in_force, key=lambda each: (each.rank, str(each.agency))), named=found.named if found else {},
        counted=counted, most=rehearsal.MOST,
    )  # fmt: skip


def _words(rule: str, speech: Speech) -> list[tuple[str, str]]:
    return [(result, zh if speech.language == "zh" else en) for result, zh, en in RULES[rule].values()]


@get(ROOM + "/{partnership:uuid}", media_type=MediaType.HTML)
async def editor(request: Request[Any, Any, Any], state: State, who: Signed, partnership: FromPath[Id]) -> Page:
    """A change to think of: how things are, in fields; nothing is kept of what is tried."""
    return await _editor(request, state, who, partnership)


async def _editor(request: Request[Any, Any, Any], state: State, who: Person, id: Id, fault: Fault | None = None, said: Mapping[str, list[str]] | None = None) -> Page:  # fmt: skip
    async with access.open(state.database, who.actor, shell.call(request, "page-routing-editor")) as session:
        rehearsal.permit(who.actor)
        proposal = await _proposal(session, who, id, {} if fault else said or {})
        counted = await rehearsal.total(session, who.actor, session.began)
    typed = {name: values[-1] for name, values in (said or {}).items()} if fault else {}
    lists = {name: (said or {}).get(name, []) for name in ("needs", "service_needs")} if fault else {}
    return desk.page(
        request, "routing-editor.html", who, title=who.speech.gettext("试改规则"), room=ROOM, status=fault.status if fault else 200, fault=fault,
        it=proposal, counted=counted, typed=typed, lists=lists,
    )  # fmt: skip


def _asked(request: Request[Any, Any, Any]) -> dict[str, list[str]]:
    return {name: request.query_params.getall(name) for name in ("rank", "status", "places", "asked", "needs", "service_needs") if name in request.query_params}  # fmt: skip


@get(ROOM + "/{partnership:uuid}/try", media_type=MediaType.HTML)
async def dry_run(request: Request[Any, Any, Any], state: State, who: Signed, partnership: FromPath[Id]) -> Page:
    """The dry run, a step a request: it goes on by itself, can be left, and stores nothing."""
    said = _asked(request) | {"asked": ["1"]}
    at = _place(request)
    try:
        async with access.open(state.database, who.actor, shell.call(request, "page-routing-try")) as session:
            rehearsal.permit(who.actor)
            proposal = await _proposal(session, who, partnership, said)
            until = at.until or session.began
            found = (
                await rehearsal.step(session, who.actor, proposal.terms, until, at.after) if proposal.changes else None
            )
            total = await rehearsal.total(session, who.actor, until) if at.total is None else at.total
            agencies = {id for each in (found.moved if found else ()) for id in (*each.before.to, *each.after.to)}
            agencies |= {each.why.agency for each in (found.moved if found else ()) if each.why}
            named = await directory.organizations(session, agencies | {each.hospital for each in (found.moved if found else ())})  # fmt: skip
            now = session.began
    except Refusal as refused:
        if refused.code in ("forbidden", "not-found"):
            raise
        return await _editor(request, state, who, partnership, faults.told(refused, who.speech), said)
    seen, moved = at.seen + (found.seen if found else 0), at.moved + len(found.moved if found else ())
    over = found is None or found.next is None or seen >= rehearsal.MOST
    ahead = "" if over or found is None or found.next is None else urlencode({"until": _micros(until), "at": _micros(found.next[0]), "id": str(found.next[1]), "seen": seen, "moved": moved, "total": total})  # fmt: skip
    part = bool(request.headers.get("hx-request"))
    return desk.page(
        request, "routing-part.html" if part else "routing-try.html", who, title=who.speech.gettext("试跑结果"), room=ROOM, it=proposal,
        rows=[_row(each, named, who.speech) for each in (found.moved if found else ())], seen=seen, moved=moved, total=max(total, seen),
        ahead=ahead, now=now, most=rehearsal.MOST, unchanged=found is None, tomorrow=local_day(now) + timedelta(days=1),
    )  # fmt: skip


class Place(msgspec.Struct, frozen=True):
    """How far a dry run has come, as its address carries it; the figures are its reader's own."""

    until: datetime | None
    after: tuple[datetime, Id] | None
    seen: int
    moved: int
    total: int | None


def _place(request: Request[Any, Any, Any]) -> Place:
    asked = request.query_params
    until, at, id = _moment(asked.get("until")), _moment(asked.get("at")), as_id(asked.get("id"))
    if until is None or at is None or id is None:
        return Place(None, None, 0, 0, None)
    seen, moved, total = (desk.number_of(asked.get(name)) for name in ("seen", "moved", "total"))
    return Place(until, (at, id), seen or 0, moved or 0, total)


def _micros(at: datetime) -> int:
    return (at - EPOCH) // timedelta(microseconds=1)


def _moment(written: str | None) -> datetime | None:
    number = desk.number_of(written)
    try:
        return EPOCH + timedelta(microseconds=number) if number is not None else None
    except OverflowError:
        return None


class Row(msgspec.Struct, frozen=True):
    """A referral that would have gone elsewhere, in words."""

    referral: Id
    at: datetime
    hospital: str
    needs: tuple[str, ...]
    urgency: str
    before: str
    after: str
    why: str
    rough: bool


def _row(it: Moved, named: Mapping[Id, Organization], speech: Speech) -> Row:
    return Row(
        it.referral, it.at, speech.name(named.get(it.hospital)), (codes.SAFETY,) if it.need.safety else it.need.needs, it.need.urgency,
        _to(it.before, named, speech), _to(it.after, named, speech), _why(it, named, speech), it.rough,
    )  # fmt: skip


def _to(way: Way, named: Mapping[Id, Organization], speech: Speech) -> str:
    if not way.to:
        return speech.gettext(NOBODY.get(way.mode, NOBODY["none"]))
    return ("、" if speech.language == "zh" else ", ").join(speech.name(named.get(each)) for each in way.to)


def _why(it: Moved, named: Mapping[Id, Organization], speech: Speech) -> str:
    if it.why is None:
        return ""
    agency = speech.name(named.get(it.why.agency))
    if it.why.rule and it.why.key:
        _, zh, en = RULES[it.why.rule][it.why.key]
        return f"{agency}：{zh}" if speech.language == "zh" else f"{agency}: {en}"
    return speech.gettext("%(agency)s的排序从 %(before)s 变为 %(after)s") % {"agency": agency, "before": it.why.before, "after": it.why.after}  # fmt: skip


@post(ROOM + "/{partnership:uuid}/apply", media_type=MediaType.HTML, status_code=303)
async def apply(request: Request[Any, Any, Any], state: State, who: Signed, partnership: FromPath[Id]) -> Page:
    """Make the change: the partnership's from a day on, the service's needs at once. Capacity is the agency's own word."""
    lists = await shell.fields(request)
    said = {name: values[-1] for name, values in lists.items()}

    async def act(session: Session) -> str:
        rehearsal.permit(who.actor)
        if "sure" not in said:
            raise Invalid("Say that you have read what the dry run found.", at="sure", key="not-tried")
        proposal = await _proposal(session, who, partnership, lists)
        await _apply(session, who, proposal, said)
        return acting.done(f"/admin/partnerships?hospital={proposal.partnership.hospital}", "applied")

    try:
        return await acting.act(request, state, who, said, "page-routing-apply", act, action="U")
    except Refusal as refused:
        if refused.code in ("forbidden", "not-found"):
            raise
        return await _editor(request, state, who, partnership, faults.told(refused, who.speech), lists)


async def _apply(session: Session, who: Person, it: Proposal, said: dict[str, str]) -> None:
    terms, version = it.terms, desk.number_of(said.get("version")) or 0
    if terms.rank is None and terms.agreed is None and terms.offered is None:
        raise Invalid("Nothing to apply.", key="nothing-to-apply")
    if terms.rank is not None or terms.agreed is not None:
        try:
            since = date.fromisoformat(said.get("since", ""))
        except ValueError:
            raise Invalid("This is no day.", at="since", key="cell-date") from None
        cells = keeping.cells_of_partnership(it.partnership, it.hospital, it.agency) | {"rank": str(it.rank), "needs": " ".join(it.needs)}  # fmt: skip
        await keeping.change_partnership(session, who.actor, it.partnership.id, version, cells, since)
    if terms.offered is not None and it.offered is not None:
        cells, now, _ = await keeping.line(session, who.actor, "services", it.offered.service.id)
        if now != desk.number_of(said.get("service_version")):
            now = 0
        await keeping.keep(session, who.actor, "services", cells | {"needs": " ".join(it.service_needs)}, expected=now)


route_handlers = [rules, editor, dry_run, apply]
