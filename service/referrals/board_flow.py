"""What a coordinator works from: referrals in the order in which they need somebody, and for one of them who could take it."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from uuid import UUID

import msgspec

from service.access.model import Actor
from service.db import Session
from service.errors import Forbidden, NotFound
from service.referrals import board_store as store
from service.referrals import overview_flow, steps
from service.referrals import store as referrals
from service.referrals.board_store import SECTIONS, Capacity, Placed, Section
from service.referrals.model import NextStep, Referral, Task
from service.referrals.overview_flow import Names
from service.referrals.overview_store import Open
from service.routing import steps as routing
from service.routing import store as decisions
from service.routing.model import Candidate, Decision, KeptDecision
from service.values import Id

FIRST = (datetime.min.replace(tzinfo=UTC), UUID(int=0))
Place = tuple[Section, datetime, Id]
"""Where a page begins: behind this row of this section."""


class Board(msgspec.Struct, frozen=True):
    """One page of the board. `decisions`: how routing last decided on what is nobody's; `shares`: who was offered it before.
    `after` continues behind it; None: there is no more."""

    rows: tuple[Placed, ...]
    counts: Mapping[Section, int]
    names: Names
    decisions: Mapping[Id, KeptDecision]
    shares: Mapping[Id, tuple[Task, ...]]
    after: Place | None


class Placing(msgspec.Struct, frozen=True):
    """One referral and who could take it: `live` is how routing decides at this moment, `kept` how it did each time, newest
    first; `free_needs`: the needs that nobody has."""

    referral: Referral
    step: NextStep | None
    shares: tuple[Task, ...]
    parent_open: bool
    free_needs: tuple[str, ...]
    live: Decision
    kept: tuple[KeptDecision, ...]
    capacities: Mapping[Id, tuple[Capacity, ...]]
    names: Names

    @property
    def chosen(self) -> tuple[Candidate, ...]:
        """Whom the coordinator may name: partners in force and, of a safety need, qualified for protection; the rest of the
        rules may be overridden with a reason."""
        return tuple(each for each in self.live.candidates if each.passes("partnership") and each.passes("protection"))

    @property
    def may_offer(self) -> bool:
        return self.parent_open and bool(self.free_needs)

    @property
    def may_refuse(self) -> bool:
        return self.parent_open and not any(share.accepted_at for share in self.shares)

    @property
    def may_give_up(self) -> bool:
        """Whether something was taken and every share has ended: before that the word is to refuse."""
        return self.parent_open and not self.may_refuse and not any(share.open for share in self.shares)

    @property
    def out(self) -> tuple[Task, ...]:
        """Offers that nobody has answered yet."""
        return tuple(share for share in self.shares if share.status == "requested")


def permit(actor: Actor) -> None:
    """The board is the platform's: its coordinator's, and its administrator may look."""
    if actor.side != "platform":
        raise Forbidden("The board is the coordinator's.", key="wrong-actor")


async def board(session: Session, actor: Actor, now: datetime, *, after: Place | None = None, limit: int = 50) -> Board:
    """What needs the coordinator: first what nobody has (unplaced, declined by all, unclaimed, waiting for an answer to a
    question), then what is late, then what will be within a day."""
    permit(actor)
    rows: list[Placed] = []
    begin = SECTIONS.index(after[0]) if after else 0
    for number, section in enumerate(SECTIONS[begin:]):
        behind = (after[1], after[2]) if after and number == 0 else FIRST
        rows += await store.page(session, section, now, behind, limit + 1 - len(rows))
        if len(rows) > limit:
            break
    # A crisis of what nobody has can be late as well: it stands once, where it stands first.
    shown: dict[Id, Placed] = {}
    for row in rows[:limit]:
        shown.setdefault(row.step.referral, row)
    last = rows[limit - 1] if len(rows) > limit else None
    session.referrals.update(shown)
    nobodys = [id for id, row in shown.items() if row.section == "nobodys"]
    shares = await store.shares(session, nobodys) if nobodys else {}
    kept = await decisions.latest(session, nobodys) if nobodys else {}
    named = {share.agency for every in shares.values() for share in every}
    named |= {each.agency for one in kept.values() for each in one.decision.candidates}
    names = await overview_flow.names(session, [Open(row.step, row.referral) for row in shown.values()], named)
    place = (last.section, last.step.by, last.step.referral) if last else None
    return Board(tuple(shown.values()), await store.counts(session, now), names, kept, shares, place)


async def placing(session: Session, actor: Actor, id: Id, now: datetime) -> Placing:
    """One referral with everybody who could take it, now, and how it came to be nobody's. NotFound where there is none."""
    permit(actor)
    loop = await referrals.load(session, id)
    if loop is None:
        raise NotFound("There is no such referral.")
    session.referrals.add(id)
    session.patients.add(loop.referral.patient)
    taken = {need for share in loop.shares if share.open and share.accepted_at for need in share.needs}
    free = tuple(need for need in loop.referral.needs if need not in taken)
    wanted = free if free and free != loop.referral.needs else None
    live = await routing.route(session, steps.need_of(loop, wanted), id, now)
    kept = await decisions.kept(session, id, 20)
    agencies = list({each.agency for each in live.candidates})
    found = await store.capacities(session, agencies)
    capacities: dict[Id, tuple[Capacity, ...]] = {}
    for each in found:
        capacities[each.agency] = (*capacities.get(each.agency, ()), each)
    shares = tuple(share for share in loop.shares if share.status != "entered-in-error")
    named = {share.agency for share in shares} | set(agencies)
    named |= {each.agency for one in kept for each in one.decision.candidates}
    # An ended referral has no step, and still its hospital and its person.
    rows = [Open(loop.next or _none(loop.referral), loop.referral)]
    names = await overview_flow.names(session, rows, named)
    return Placing(
        loop.referral, loop.next, shares, loop.parent.open, free if loop.parent.open else (), live, tuple(kept), capacities, names
    )  # fmt: skip


def _none(referral: Referral) -> NextStep:
    """In place of the step of what has ended, so that its hospital is named."""
    at = referral.updated_at
    return NextStep(
        referral.id, referral.hospital, None, "hospital", referral.hospital, None, "", referral.parent, at, at, at
    )


async def offer_out(session: Session, actor: Actor, referral: Id, share: Id | None) -> Id:
    """The offer of this referral that nobody has answered yet: `share`, if it is one. NotFound."""
    permit(actor)
    found = await store.shares(session, [referral])
    if share is None or share not in {each.id for each in found[referral] if each.status == "requested"}:
        raise NotFound("There is no such offer, or it was answered meanwhile.")
    return share


async def capacities(session: Session, actor: Actor, agencies: Sequence[Id]) -> list[Capacity]:
    """What these agencies can take, as they last said, and what they hold; for the platform, and for an agency its own."""
    if actor.side != "platform" and (actor.side != "agency" or set(agencies) - {actor.organization}):
        raise Forbidden("How full an agency is, is its own and the platform's to know.", key="wrong-actor")
    return await store.capacities(session, agencies)
