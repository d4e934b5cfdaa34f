"""The order of those whom the rules let through: partnership rank, longest region prefix, load, rotation (moves.md)."""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b

import msgspec

from service.routing import rules
from service.routing.model import Candidate, Decision, Need, Prospect, Verdict
from service.routing.words import QUESTIONS
from service.values import Id


class Judged(msgspec.Struct, frozen=True, gc=False):
    """A partner with the rules' verdict and the digits of the region covered."""

    it: Prospect
    verdict: Verdict
    prefix: int
    preferred: bool

    @property
    def level(self) -> tuple[bool, int, int]:
        """Those that are equal in this are told apart by load and rotation."""
        return (not self.preferred, self.it.rank, -self.prefix)


def weigh(need: Need, prospects: Iterable[Prospect]) -> list[Judged]:
    """Judge every partner, keeping of each agency the partnership and service that serve best."""
    wanted = frozenset(need.needs)
    best: dict[Id, Judged] = {}
    for it in prospects:
        verdict, prefix = rules.judge(need, wanted, it)
        judged = Judged(it, verdict, prefix, it.agency == need.preferred)
        other = best.get(it.agency)
        if other is None or _worth(judged) < _worth(other):
            best[it.agency] = judged
    return list(best.values())


def _worth(judged: Judged) -> tuple[bool, int, bool, int, int, Id]:
    # A campus's own partnership replaces its hospital's with the same agency, so nearness comes before all but force.
    it = judged.it
    failed = sum(rule.result != "pass" for rule in judged.verdict.rules)
    in_force = it.begun and not it.ended
    return (
        not in_force,
        it.distance,
        not judged.verdict.eligible,
        failed,
        -judged.prefix,
        it.service or it.partnership,
    )


def level(judged: Iterable[Judged]) -> list[Id]:
    """The services whose load decides: those of eligible agencies that are level with another so far."""
    groups: dict[tuple[bool, int, int], list[Id]] = {}
    for each in judged:
        if each.verdict.eligible and each.it.service is not None:
            groups.setdefault(each.level, []).append(each.it.service)
    return [service for group in groups.values() if len(group) > 1 for service in group]


def rotation(referral: Id, agency: Id) -> float:
    """A fixed lot in [0, 1) for this referral and agency, so that equals take turns over many referrals."""
    return int.from_bytes(blake2b(referral.bytes + agency.bytes, digest_size=6).digest()) / 2**48


def decide(
    id: Id, need: Need, judged: Sequence[Judged], referral: Id, taken: Mapping[Id, int] | None = None
) -> Decision:
    """Order the judged; `taken` are the places held, by service, of every one that `level` names.

    Nobody is offered anything on a fact that nobody knows: only an eligible agency is, and only where its partnership
    does not leave dispatch to the coordinator.
    """
    found = [_candidate(each, referral, (taken or {}) if each.verdict.eligible else {}) for each in judged]
    return arrange(id, need, found)


def arrange(id: Id, need: Need, candidates: Iterable[Candidate]) -> Decision:
    """The decision that these candidates come to: the eligible ones in their order, then the others, and how the offer goes out."""
    eligible: list[Candidate] = []
    others: list[Candidate] = []
    for each in candidates:
        (eligible if each.eligible else others).append(each)
    eligible.sort(key=_order)
    others.sort(key=lambda each: (not each.verdict.open, not each.preferred, each.rank, each.agency.bytes))
    first = next((each for each in eligible if each.mode != "manual"), None)
    mode = first.mode if first else "manual" if eligible else "none"
    asked = dict.fromkeys(
        rule.key
        for each in others
        if not eligible and each.verdict.open
        for rule in each.rules
        if rule.result == "unknown" and rule.key in QUESTIONS
    )
    return Decision(id, need, mode, (*eligible, *others), tuple(asked))


def _candidate(each: Judged, referral: Id, taken: Mapping[Id, int]) -> Candidate:
    it = each.it
    held = taken.get(it.service) if it.service else None
    return Candidate(
        it.agency,
        it.service,
        it.partnership,
        it.rank,
        it.mode,
        it.reply_limits,
        each.verdict,
        each.preferred,
        each.prefix,
        None if held is None else held / max(it.places, 1),
        rotation(referral, it.agency) if each.verdict.eligible else 0.0,
    )


def _order(each: Candidate) -> tuple[bool, int, int, float, float, bytes]:
    return (not each.preferred, each.rank, -each.prefix, each.load or 0.0, each.rotation, each.agency.bytes)
