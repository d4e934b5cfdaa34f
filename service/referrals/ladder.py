"""Which attempt to reach a person comes next, when it is safe, and whether everything was tried; pure (domain b-3, d-5)."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from service.practice import Practice
from service.referrals.model import FollowUp, Loop
from service.safety.contact import ContactRules, forbids, on_referral

LADDER = ("phone", "visit", "community", "letter")
"""The loss ladder of a county hospital rule: telephone, home visit, neighbourhood committee or police station, letter;
after the last rung a person decides whether the outcome is `lost`."""

LEADS_NOWHERE = frozenset({"wrong-number", "moved-away"})
"""Results after which the same way is not tried again."""

AHEAD = timedelta(days=8)
"""How far ahead a safe hour is looked for: each day of the week comes once."""
STEP = timedelta(minutes=15)


def tries(rung: str, practice: Practice) -> int:
    """How often a rung is tried before the next: the telephone more than once (US TCM: at least two attempts)."""
    return practice.phone_tries if rung == "phone" else 1


def left(tried: Sequence[str], dead: Sequence[str], rules: ContactRules, practice: Practice) -> tuple[str, ...]:
    """The rungs that were not tried to the end; one that is not safe is no rung."""
    return tuple(
        rung
        for rung in LADDER
        if rung not in dead
        and (not rules.channels or rung in rules.channels)
        and tried.count(rung) < tries(rung, practice)
    )


def safe_from(rules: ContactRules, channel: str, at: datetime) -> datetime | None:
    """The first moment from `at` at which the person may be contacted so; None within eight days: a supervisor decides."""
    when, end = at, at + AHEAD
    while when <= end:
        if forbids(rules, channel, when) is None:
            return when
        when += STEP - (timedelta(minutes=when.minute % 15, seconds=when.second, microseconds=when.microsecond))
    return None


def next_attempt(
    told: FollowUp, rules: ContactRules, at: datetime, practice: Practice, *, visit: bool = False
) -> tuple[datetime, str] | None:
    """The next way and moment, not before `at`. Of a person who must not be contacted, or with N12 to N14, nothing but what
    a supervisor has decided. `visit`: a visit is wanted first."""
    if rules.guarded:
        decided = sorted((max(each.begins, at), each.channel) for each in rules.decisions if each.until >= at)
        return next(((when, way) for when, way in decided if forbids(rules, way, when) is None), None)
    rungs = left(told.tried, told.dead, rules, practice)
    if visit and "visit" in rungs:
        rungs = ("visit", *(rung for rung in rungs if rung != "visit"))
    found = ((safe_from(rules, rung, at), rung) for rung in rungs)
    return next(((when, rung) for when, rung in found if when is not None), None)


def proposing(told: FollowUp, attempt: tuple[datetime, str] | None) -> FollowUp:
    """The follow-up with this next attempt, or none."""
    at, channel = attempt or (None, None)
    return msgspec.structs.replace(told, proposed_at=at, proposed_channel=channel)


def anew(loop: Loop, rules: ContactRules, now: datetime, practice: Practice) -> Loop:
    """The loop with its next attempts as the rules have become; who was reached needs none."""
    held = on_referral(rules, loop.referral.needs, prohibited=loop.referral.contact_prohibited)
    for task in loop.follow_ups:
        told = task.follow_up
        if not task.open or told is None or told.reached or (told.outcome and told.outcome != "unreachable"):
            continue
        at = max(now, told.proposed_at or task.window_from or now)
        wanted = proposing(told, next_attempt(told, held, at, practice, visit=told.visit))
        if wanted != told:
            loop = loop.with_follow_up(msgspec.structs.replace(task, follow_up=wanted, updated_at=now))
    return loop
