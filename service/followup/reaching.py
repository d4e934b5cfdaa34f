"""How a person may be reached at this moment: by which way, at which number, what not, why, and when again; pure (domain b-3)."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from service import codes
from service.followup.model import Attempt
from service.patients.model import Patient
from service.practice import Practice
from service.referrals import ladder
from service.safety.contact import SUPERVISED, ContactRules, Decision, forbids

WAYS = (*ladder.LADDER, "message")
"""The ways that a call page offers; the others are for the record."""
ANY_NUMBER = frozenset({"phone", "message", "video"})
"""Ways for which a telephone number is needed."""


class Way(msgspec.Struct, frozen=True):
    """One way of contact: the rule that forbids it now (urn:yuanshe:contact-rule), and when it may be used again, where it may."""

    channel: str
    forbidden: str | None = None
    safe_at: datetime | None = None


class Reach(msgspec.Struct, frozen=True):
    """How to reach somebody. `number` is the one to call and `callable` whether it may be called at this moment; without a
    number, `hidden` says by which rule none is shown. `alone`: what it is about is said to the person and to nobody else."""

    rules: ContactRules
    ways: tuple[Way, ...]
    number: str | None = None
    callable: bool = False
    hidden: str | None = None
    only_number: bool = False
    may_leave_message: bool = True
    alone: bool = False
    decision: Decision | None = None

    @property
    def restricted(self) -> bool:
        """Whether there is anything that a caller must know before the call."""
        said = self.rules
        return bool(
            self.hidden or said.guarded or said.channels or said.times or said.number or not self.may_leave_message
        )

    def way(self, channel: str) -> Way:
        return next((each for each in self.ways if each.channel == channel), Way(channel))


def reach(
    rules: ContactRules, person: Patient | None, needs: Sequence[str], now: datetime, *, deceased: bool = False
) -> Reach:
    """How the person may be reached at `now`; `person` is None where the reader may not know who it is. A number is no secret
    of the rules: but who must not call at all, or not by telephone, is not shown one to call by mistake."""
    died = deceased or (person is not None and person.deceased)
    ways = tuple(
        Way(channel, "deceased") if died else Way(channel, rule, ladder.safe_from(rules, channel, now) if rule else now)
        for channel in WAYS
        for rule in [forbids(rules, channel, now)]
    )
    by_phone = next(each for each in ways if each.channel == "phone")
    hidden = by_phone.forbidden if by_phone.forbidden and by_phone.forbidden != "time-not-safe" else None
    known = rules.number or (person.phone if person else None)
    if person is None and not hidden:
        hidden = "not-disclosed"
    covering = [each for each in rules.decisions if each.until >= now]
    return Reach(
        rules=rules, ways=ways, number=None if hidden else known, callable=bool(known) and by_phone.forbidden is None and not hidden,
        hidden=hidden, only_number=rules.number is not None, may_leave_message=rules.may_leave_message and not rules.guarded,
        alone=rules.guarded or not SUPERVISED.isdisjoint(needs) or codes.is_safety(tuple(needs)) or not rules.may_leave_message,
        decision=min(covering, key=lambda each: each.begins, default=None),
    )  # fmt: skip


def missing(made: Sequence[Attempt], rules: ContactRules, practice: Practice) -> tuple[str, ...]:
    """The rungs of the ladder that were not tried since the person was last reached: without them nobody is lost by itself."""
    last = max((place for place, each in enumerate(made) if each.reached), default=-1)
    since = made[last + 1 :]
    dead = [each.channel for each in since if each.result in ladder.LEADS_NOWHERE]
    return ladder.left([each.channel for each in since], dead, rules, practice)
