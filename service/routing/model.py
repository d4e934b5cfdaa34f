"""Nouns of routing: what is needed, what is known of each partner, and the decision with its reasons."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import msgspec

from service.practice import Limit
from service.routing.words import RULES
from service.values import Id

Result = Literal["pass", "fail", "unknown"]
Mode = Literal["sequence", "broadcast", "manual"]


class Need(msgspec.Struct, frozen=True, omit_defaults=True):
    """What routing is asked. `region` is a region code; `exclude` are the agencies that had their turn already.

    It says nothing else of the person: what is kept of a decision is kept of this.
    """

    hospital: Id
    needs: tuple[str, ...]
    urgency: str = "routine"
    region: str | None = None
    language: str | None = None
    age_band: str = "unknown"
    safety: bool = False
    preferred: Id | None = None
    exclude: frozenset[Id] = frozenset()


class Prospect(msgspec.Struct, frozen=True, gc=False):
    """What the directory knows of one partner and one of its services on the day, before any rule is asked.

    `distance` is 0 for a partnership of the hospital itself, 1 for one of what it is part of, and so on. Without a
    service, `service` is None and what belongs to it is empty.
    """

    agency: Id
    partnership: Id
    begun: bool
    ended: bool
    distance: int
    rank: int
    mode: Mode
    reply_limits: dict[str, Limit] | None
    partnership_needs: frozenset[str]
    service: Id | None
    service_needs: frozenset[str]
    regions: tuple[str, ...]
    capacity_status: str | None
    places: int
    free: bool
    licensed: bool
    active: bool
    status: str | None
    ready: bool
    co_supervised: bool
    protection_qualified: bool


class RuleResult(msgspec.Struct, frozen=True):
    """What one hard rule said of a candidate; `key` stands for the words of `why`."""

    name: str
    result: Result
    key: str

    def why(self, lang: str = "en") -> str:
        """The reason for people, in `zh` or `en`."""
        _, zh, en = RULES[self.name][self.key]
        return en if lang.startswith("en") else zh


class Verdict(msgspec.Struct, frozen=True):
    """All rules together: eligible only where every one passed; `open` where some are unknown and none failed."""

    rules: tuple[RuleResult, ...]
    eligible: bool
    open: bool


class Candidate(msgspec.Struct, frozen=True, gc=False):
    """One agency, judged. `rank` is the partnership's; `load` the share of places held, where it was asked for.

    `prefix` is how many digits of the person's region code the agency covers; `rotation` lies in [0, 1).
    """

    agency: Id
    service: Id | None
    partnership: Id
    rank: int
    mode: Mode
    reply_limits: dict[str, Limit] | None
    verdict: Verdict
    preferred: bool
    prefix: int
    load: float | None
    rotation: float

    @property
    def eligible(self) -> bool:
        return self.verdict.eligible

    @property
    def rules(self) -> tuple[RuleResult, ...]:
        return self.verdict.rules

    def passes(self, rule: str) -> bool:
        """Whether the rule of this name passed."""
        return any(each.name == rule and each.result == "pass" for each in self.verdict.rules)

    @property
    def score(self) -> float:
        """One number that falls from the first candidate to the last, level where only rotation decides; 0 if not eligible."""
        if not self.eligible:
            return 0.0
        spare = 1 - min(self.load or 0.0, 1.0)
        return round(1_000_000 * self.preferred + 1000 * (1000 - self.rank) + 10 * self.prefix + 9 * spare, 4)

    @property
    def parts(self) -> tuple[tuple[str, float], ...]:
        """What the ranking compared, in its order. Load is absent where no other candidate was level so far."""
        told: list[tuple[str, float]] = [
            ("preferred", int(self.preferred)),
            ("rank", self.rank),
            ("prefix", max(self.prefix, 0)),
        ]
        if self.load is not None:
            told.append(("load", round(self.load, 4)))
        told.append(("rotation", round(self.rotation, 6)))
        return tuple(told)


class Decision(msgspec.Struct, frozen=True):
    """Every partner in order, the eligible ones first. `mode` is how the offer goes out by itself.

    `manual`: there are eligible partners, and with each of them the coordinator places by hand. `none`: nobody is
    eligible; `questions` are the keys of what nobody knows and might make somebody so (words in `words.QUESTIONS`).
    """

    id: Id
    need: Need
    mode: Literal["sequence", "broadcast", "manual", "none"]
    candidates: tuple[Candidate, ...]
    questions: tuple[str, ...]

    @property
    def offers(self) -> tuple[Candidate, ...]:
        """Who is offered it without a person's doing: in a broadcast all at once, else the first that still has a place.

        A broadcast stands in the order of services, in which their places are to be taken (directory.steps.take_place).
        """
        if self.mode not in ("sequence", "broadcast"):
            return ()
        found = [each for each in self.candidates if each.eligible and each.mode == self.mode]
        return tuple(sorted(found, key=lambda each: str(each.service)) if self.mode == "broadcast" else found)

    def of(self, agency: Id) -> Candidate | None:
        """The candidate of this agency, if it is or was a partner."""
        return next((each for each in self.candidates if each.agency == agency), None)


class Kept(msgspec.Struct, frozen=True, array_like=True):
    """One candidate in a snapshot; `verdict` is an index into the snapshot's verdicts."""

    agency: Id
    service: Id | None
    partnership: Id
    rank: int
    mode: Mode
    verdict: int
    preferred: bool
    prefix: int
    load: float | None
    rotation: float


class Snapshot(msgspec.Struct, frozen=True):
    """A decision as it is kept. Verdicts are few however many candidates there are, so each stands once."""

    need: Need
    questions: tuple[str, ...]
    verdicts: tuple[tuple[RuleResult, ...], ...]
    candidates: Sequence[Kept]


class KeptDecision(msgspec.Struct, frozen=True):
    """A stored decision with its place and time."""

    id: Id
    referral: Id
    hospital: Id
    at: datetime
    by: Id
    decision: Decision
