"""Whether a person may be contacted in a certain way at a certain time; pure (domain b-3: N12 to N14, contact prohibited)."""

from collections.abc import Collection
from datetime import datetime, time, timedelta

import msgspec

from service import codes
from service.errors import Issue
from service.values import SHANGHAI, Id

SUPERVISED = frozenset({"N12", "N13", "N14"})
"""Needs for which a supervisor decides each step of contact: who is met at home may be who did it."""

DECISION_LASTS = timedelta(days=7)
"""How long at most one decision of a supervisor holds (D): it is for one step, not for good."""


class Hours(msgspec.Struct, frozen=True, omit_defaults=True):
    """When it is safe: between two times of the day where people live, on these days of the week (1 is Monday; none named:
    on every day). An end before the beginning lies on the next day."""

    begins: time
    ends: time
    days: tuple[int, ...] = ()

    def hold(self, at: datetime) -> bool:
        """Whether `at` lies within; the end itself does not."""
        local = at.astimezone(SHANGHAI)
        clock, day = local.time(), local.isoweekday()
        if self.begins < self.ends:
            return self.begins <= clock < self.ends and self._on(day)
        before = day - 1 or 7
        return (clock >= self.begins and self._on(day)) or (clock < self.ends and self._on(before))

    def _on(self, day: int) -> bool:
        return not self.days or day in self.days


class Decision(msgspec.Struct, frozen=True):
    """A supervisor's leave for one step: this channel, from when to when, and who decided."""

    channel: str
    begins: datetime
    until: datetime
    supervisor: Id

    def covers(self, channel: str, at: datetime) -> bool:
        return self.channel == channel and self.begins <= at <= self.until


class ContactRules(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a person may safely be contacted. Nothing said: in every way, at every time.

    `prohibited`: not at all; `supervised`: only as a supervisor decides; both give way to a decision, step by step.
    `channels` and `times` name what is safe (none named: all is). `number` is the one to call, in place of any other.
    `asked_by` says whose wish it is (urn:yuanshe:contact-asked-by).
    """

    prohibited: bool = False
    supervised: bool = False
    channels: tuple[str, ...] = ()
    times: tuple[Hours, ...] = ()
    number: str | None = None
    may_leave_message: bool = True
    asked_by: str | None = None
    decisions: tuple[Decision, ...] = ()

    @property
    def guarded(self) -> bool:
        """Whether no step is taken without a supervisor's decision."""
        return self.prohibited or self.supervised


ANY = ContactRules()
"""Nothing is known that would forbid any contact."""


def forbids(rules: ContactRules, channel: str, at: datetime, *, leaves_message: bool = False) -> str | None:
    """The rule (urn:yuanshe:contact-rule) that forbids to contact the person by this channel (urn:yuanshe:channel) at this
    moment, or to leave word with somebody or something else; None: it may be done.

    A decision lifts the prohibition of its step and nothing more: an unsafe channel or hour stays unsafe.
    """
    if rules.guarded and not any(decision.covers(channel, at) for decision in rules.decisions):
        return "contact-prohibited" if rules.prohibited else "supervisor-decides"
    if rules.channels and channel not in rules.channels:
        return "channel-not-safe"
    if rules.times and not any(hours.hold(at) for hours in rules.times):
        return "time-not-safe"
    if leaves_message and (rules.guarded or not rules.may_leave_message):
        return "no-message"
    return None


def on_referral(rules: ContactRules, needs: Collection[str], *, prohibited: bool = False) -> ContactRules:
    """The person's rules as they hold on a referral: with N12 to N14 a supervisor decides; `prohibited` is the referral's
    own word (SDOH Clinical Care: contacting-subject-prohibited)."""
    return msgspec.structs.replace(
        rules,
        prohibited=rules.prohibited or prohibited,
        supervised=rules.supervised or not SUPERVISED.isdisjoint(needs),
    )


def stricter(one: ContactRules, other: ContactRules) -> ContactRules:
    """What holds for a person whom two records speak of: whatever either forbids. Where they contradict each other nobody
    can tell what is safe, and a supervisor decides. Decisions were made on one of them alone, so none is left."""
    channels = tuple(channel for channel in one.channels if channel in other.channels)
    unclear = (
        bool(one.channels and other.channels and not channels)
        or bool(one.times and other.times and one.times != other.times)
        or bool(one.number and other.number and one.number != other.number)
    )
    return ContactRules(
        prohibited=one.prohibited or other.prohibited,
        supervised=one.supervised or other.supervised or unclear,
        channels=channels if one.channels and other.channels else one.channels or other.channels,
        times=one.times or other.times,
        number=None if unclear else one.number or other.number,
        may_leave_message=one.may_leave_message and other.may_leave_message,
        asked_by=one.asked_by or other.asked_by,
    )


def faults(rules: ContactRules) -> tuple[Issue, ...]:
    """What is wrong with rules as they were said; `at` is beneath the rules. No text repeats what stood there."""
    found: list[Issue] = []
    for position, channel in enumerate(rules.channels):
        if not codes.known(codes.CHANNEL, channel):
            found.append(Issue(f"A channel is a code of {codes.CHANNEL}.", f"channel[{position}]", "code-invalid"))
    if rules.asked_by is not None and not codes.known(codes.CONTACT_ASKED_BY, rules.asked_by):
        found.append(Issue(f"Who asked is a code of {codes.CONTACT_ASKED_BY}.", "asked-by", "code-invalid"))
    for position, hours in enumerate(rules.times):
        if hours.begins == hours.ends:
            found.append(Issue("Safe hours begin and end at different times.", f"time[{position}]", "value"))
        if not set(hours.days) <= set(range(1, 8)):
            found.append(Issue("A day is mon, tue, wed, thu, fri, sat or sun.", f"time[{position}]", "value"))
    if rules.number is not None and not (5 <= sum(letter.isdigit() for letter in rules.number) <= 20):
        found.append(Issue("The number to call has 5 to 20 digits.", "number", "value"))
    for position, decision in enumerate(rules.decisions):
        at = f"decision[{position}]"
        if not codes.known(codes.CHANNEL, decision.channel):
            found.append(Issue(f"A channel is a code of {codes.CHANNEL}.", f"{at}.channel", "code-invalid"))
        if decision.until <= decision.begins:
            found.append(Issue("A decision ends after it begins.", f"{at}.until", "value"))
        elif decision.until - decision.begins > DECISION_LASTS:
            found.append(Issue(f"A decision is for one step: at most {DECISION_LASTS.days} days.", f"{at}.until", "business-rule"))  # fmt: skip
    return tuple(found)
