"""What a decision would have been under other terms: the rules that the terms touch are asked again, the others stand as they were."""

from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from service.routing import rules, scoring
from service.routing.model import Candidate, Decision
from service.routing.words import RULES
from service.values import Id


class Terms(msgspec.Struct, frozen=True):
    """Other terms of one partnership and of one service; None: as they are. `agreed` and `offered` are needs."""

    partnership: Id
    service: Id | None = None
    rank: int | None = None
    agreed: frozenset[str] | None = None
    offered: frozenset[str] | None = None
    capacity_status: str | None = None
    places: int | None = None
    places_now: int = 0


def again(decision: Decision, referral: Id, terms: Terms, needs: Mapping[Id, frozenset[str]]) -> Decision:
    """The decision under these terms; `needs` are what partnerships and services serve today, by id."""
    return scoring.arrange(decision.id, decision.need, [_judged(each, decision, referral, terms, needs) for each in decision.candidates])  # fmt: skip


def _judged(it: Candidate, decision: Decision, referral: Id, terms: Terms, needs: Mapping[Id, frozenset[str]]) -> Candidate:  # fmt: skip
    ours, serves = it.partnership == terms.partnership, it.service is not None and it.service == terms.service
    if not ours and not serves:
        return it
    said = {rule.name: rule.key for rule in it.rules}
    if (ours and terms.agreed is not None) or (serves and terms.offered is not None):
        agreed = terms.agreed if ours and terms.agreed is not None else needs.get(it.partnership, frozenset())
        offered = terms.offered if serves and terms.offered is not None else needs.get(it.service or it.partnership, frozenset())  # fmt: skip
        if it.service is not None:
            said["need"] = rules.serving(frozenset(decision.need.needs), agreed, offered)
    if serves and (terms.capacity_status is not None or terms.places is not None):
        said["capacity"] = _capacity(said["capacity"], it.load, terms)
    verdict = rules.verdict_of(*(said[name] for name in RULES))
    rank = terms.rank if ours and terms.rank is not None else it.rank
    rotation = scoring.rotation(referral, it.agency) if verdict.eligible else 0.0
    return replace(it, verdict=verdict, rank=rank, rotation=rotation)


def _capacity(before: str, load: float | None, terms: Terms) -> str:
    """What the service would have said. How many of its places were held then is known where load was asked for alone."""
    if terms.capacity_status in ("no-capacity", "waitlist"):
        return terms.capacity_status
    if terms.places == 0:
        return "full"
    if terms.capacity_status == "additional-assessment-required":
        return "assessment"
    if terms.capacity_status == "capacity" and before in ("no-capacity", "waitlist", "assessment"):
        return "free"
    if terms.places is not None and terms.places_now:
        if before == "full" and terms.places > terms.places_now:
            return "free"
        if before == "free" and load is not None and load * terms.places_now >= terms.places:
            return "full"
    return before


class Way(msgspec.Struct, frozen=True):
    """Where an offer goes: to whom at first (a broadcast: to all of them), or nobody, and how."""

    mode: str
    to: tuple[Id, ...]


def way(decision: Decision) -> Way:
    """Where this decision sends a referral."""
    offers = decision.offers
    to = tuple(each.agency for each in offers) if decision.mode == "broadcast" else tuple(each.agency for each in offers[:1])  # fmt: skip
    return Way(decision.mode, to)


def is_rough(decision: Decision) -> bool:
    """Whether the first two are level but for a load that nobody asked for then: rotation alone tells them apart."""
    first, *rest = decision.offers or (None,)
    second = rest[0] if rest else None
    if first is None or second is None or decision.mode == "broadcast":
        return False
    level = (first.preferred, first.rank, first.prefix) == (second.preferred, second.rank, second.prefix)
    return level and (first.load is None or second.load is None)


class Reason(msgspec.Struct, frozen=True):
    """Why it goes elsewhere, of the agency that it is about: `rule` and `key` where a rule says otherwise now, else its ranks."""

    agency: Id
    rule: str | None
    key: str | None
    before: int
    after: int


def reason(before: Decision, after: Decision) -> Reason | None:
    """What of the candidates that changed moved it; the one that a rule turned away or let in comes first."""
    changed: list[Reason] = []
    for was in before.candidates:
        now = after.of(was.agency)
        if now is None or (was.verdict, was.rank) == (now.verdict, now.rank):
            continue
        told = next((new for old, new in zip(was.rules, now.rules, strict=True) if old.key != new.key), None)
        changed.append(Reason(was.agency, told.name if told else None, told.key if told else None, was.rank, now.rank))
    return min(changed, key=lambda each: each.rule is None, default=None)
