"""The crisis overlay: raised, acknowledged, safety-planned, reported, stood down; pure (domain b-4, moves.md)."""

from datetime import datetime

import msgspec

from service.errors import Invalid
from service.practice import Limit, Practice
from service.referrals import clocks
from service.referrals.model import Crisis, CrisisOwner, CrisisState, Loop, Task
from service.values import Reason

STEPS: dict[str, tuple[str, ...]] = {
    "acknowledged": ("raised",),
    "safety-planned": ("acknowledged",),
    "reported": ("safety-planned",),
    "stood-down": ("safety-planned", "reported"),
}
"""Each step and the states that it may follow; `reported` can be passed over, with a reason in text (each step has one)."""

REPORTED_ALWAYS = frozenset({"N13"})
"""Child abuse is reported at once by law (domain, table of needs): nobody's reason passes the report over."""


def raised(loop: Loop, now: datetime, practice: Practice, owner: CrisisOwner = "hospital") -> Loop:
    """A crisis is up: it is stat from now on, and somebody must acknowledge it. Raising it twice changes nothing."""
    referral = loop.referral
    if referral.crisis is not None:
        return loop
    crisis = _state("raised", practice.crisis_acknowledge, owner, now, now, practice)
    shares = tuple(_urgent(share, now, practice) if share.open else share for share in loop.shares)
    return msgspec.structs.replace(
        loop, referral=msgspec.structs.replace(referral, crisis=crisis, effective_urgency="stat"), shares=shares
    )


def _urgent(share: Task, now: datetime, practice: Practice) -> Task:
    """The share as stat: what is left to answer and to make contact is no more than a stat's limit."""
    limits = {"reply": practice.reply["stat"], "contact": practice.first_contact["stat"]}
    shorter = {
        name: clocks.shortened(clock, limits[name], now, practice) if name in limits else clock
        for name, clock in share.clocks.items()
    }
    return msgspec.structs.replace(share, urgency="stat", clocks=shorter)


def stepped(loop: Loop, step: str, reason: Reason, now: datetime, practice: Practice) -> Loop:
    """The next step of a crisis. Raises Invalid when none is up, the step does not follow, or its words are missing."""
    crisis = loop.referral.crisis
    if crisis is None:
        raise Invalid("No crisis is up on this referral.", at="reasonCode", key="no-crisis")
    if not reason.text:
        raise Invalid("Each step of a crisis says what was done, in text.", at="reasonCode.text", code="required")
    if crisis.state not in STEPS[step]:
        raise Invalid(f"“{step}” cannot follow “{crisis.state}”.", at="reasonCode", key="illegal-move")
    if step == "stood-down" and crisis.state != "reported" and not REPORTED_ALWAYS.isdisjoint(loop.referral.needs):
        raise Invalid("Child abuse is reported before its crisis is stood down.", at="reasonCode", key="report-first")
    if step == "stood-down":
        return msgspec.structs.replace(loop, referral=msgspec.structs.replace(loop.referral, crisis=None))
    limit = {
        "acknowledged": practice.crisis_plan,
        "safety-planned": practice.crisis_report,
        "reported": practice.crisis_stand_down,
    }[step]
    moved = _state(step, limit, crisis.owner, crisis.since, now, practice)  # pyright: ignore[reportArgumentType]
    return msgspec.structs.replace(loop, referral=msgspec.structs.replace(loop.referral, crisis=moved))


def _state(
    state: CrisisState, limit: Limit, owner: CrisisOwner, since: datetime, now: datetime, practice: Practice
) -> Crisis:
    return Crisis(state, since, clocks.begin(limit, now, practice).due, owner, now)
