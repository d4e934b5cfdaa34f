"""The crisis overlay: raised, acknowledged, safety-planned, reported, stood down; pure (domain b-4, moves.md)."""

from datetime import datetime

import msgspec

from service.access.model import Actor
from service.errors import Invalid
from service.practice import Limit, Practice
from service.referrals import clocks
from service.referrals.model import Crisis, CrisisOwner, CrisisState, Loop, Referral, Risk, Task
from service.safety import duties
from service.values import Reason, more_urgent

STEPS: dict[str, tuple[str, ...]] = {
    "acknowledged": ("raised",),
    "safety-planned": ("acknowledged", "reported"),
    "reported": ("safety-planned",),
    "stood-down": ("safety-planned", "reported"),
}
"""Each step and the states that it may follow; `reported` can be passed over, with a reason in text (each step has one).
A plan follows `reported` only where the report came first, and nothing stands down without a plan."""

LIMIT = {"acknowledge": "crisis_acknowledge", "safety-plan": "crisis_plan", "report": "crisis_report", "stand-down": "crisis_stand_down"}  # fmt: skip


def raised(loop: Loop, now: datetime, practice: Practice, owner: CrisisOwner = "hospital") -> Loop:
    """A crisis is up: it is stat from now on, and somebody must acknowledge it. Raising it twice changes nothing."""
    referral = loop.referral
    if referral.crisis is not None:
        return loop
    crisis = _state("raised", practice.crisis_acknowledge, owner, now, now, practice)
    loop = hastened(loop, "stat", now, practice)
    return msgspec.structs.replace(loop, referral=msgspec.structs.replace(loop.referral, crisis=crisis))


def hastened(loop: Loop, urgency: str, now: datetime, practice: Practice) -> Loop:
    """The referral and its open shares at least this urgent: what is left to answer and to make contact is no more than
    that urgency's limit. The placer's own urgency stays as it was placed."""
    referral = msgspec.structs.replace(
        loop.referral, effective_urgency=more_urgent(urgency, loop.referral.effective_urgency)
    )
    shares = tuple(_urgent(share, urgency, now, practice) if share.open else share for share in loop.shares)
    return msgspec.structs.replace(loop, referral=referral, shares=shares)


def _urgent(share: Task, urgency: str, now: datetime, practice: Practice) -> Task:
    limits = {"reply": practice.reply[urgency], "contact": practice.first_contact[urgency]}
    shorter = {
        name: clocks.shortened(clock, limits[name], now, practice) if name in limits else clock
        for name, clock in share.clocks.items()
    }
    return msgspec.structs.replace(share, urgency=more_urgent(urgency, share.urgency), clocks=shorter)


def stepped(
    loop: Loop, step: str, reason: Reason, now: datetime, practice: Practice, *, by: Actor | None = None, risk: Risk | None = None
) -> Loop:  # fmt: skip
    """The next step of a crisis. Raises Invalid when none is up, the step does not follow, or its words are missing; when
    the law's report is left out; when a person stands down what they planned themselves."""
    crisis = loop.referral.crisis
    if crisis is None:
        raise Invalid("No crisis is up on this referral.", at="reasonCode", key="no-crisis")
    if not reason.text:
        raise Invalid("Each step of a crisis says what was done, in text.", at="reasonCode.text", code="required")
    if crisis.state not in STEPS[step] or (step == "safety-planned" and crisis.planned):
        raise Invalid(
            f"“{step}” cannot follow “{crisis.state}”; next may come: {_may_follow(crisis)}.",
            at="reasonCode",
            key="illegal-move",
        )
    if risk is not None and step != "safety-planned":
        raise Invalid("The risk band is recorded with the safety plan.", at="reasonCode", key="risk-with-plan")
    if step == "stood-down":
        _may_stand_down(loop.referral, crisis, by)
        return msgspec.structs.replace(loop, referral=msgspec.structs.replace(loop.referral, crisis=None))
    moved = msgspec.structs.replace(crisis, state=step, at=now)
    if step == "safety-planned":
        moved = msgspec.structs.replace(moved, planned_at=now, planned_by=by.id if by else None, risk=risk)
    elif step == "reported":
        moved = msgspec.structs.replace(moved, reported_at=now)
    return _waiting(loop, moved, now, practice)


def may_follow(referral: Referral, by: Actor | None = None) -> tuple[str, ...]:
    """The steps that may be taken now, by this person: what a page offers, and `stepped` takes."""
    crisis = referral.crisis
    if crisis is None:
        return ()
    found: list[str] = []
    for step, after in STEPS.items():
        if crisis.state not in after or (step == "safety-planned" and crisis.planned):
            continue
        if step == "stood-down":
            try:
                _may_stand_down(referral, crisis, by)
            except Invalid:
                continue
        found.append(step)
    return tuple(found)


def _may_follow(crisis: Crisis) -> str:
    steps = [step for step, after in STEPS.items() if crisis.state in after]
    if crisis.planned:
        steps = [step for step in steps if step != "safety-planned"]
    return ", ".join(step for step in steps if crisis.planned or step != "stood-down")


def reported(loop: Loop, now: datetime, practice: Practice, owner: CrisisOwner) -> Loop:
    """A report to the police was made and is on record, at whatever point: the law does not wait for the plan. It raises
    the crisis where none is up; who reported has acknowledged it. A second report changes nothing."""
    loop = raised(loop, now, practice, owner)
    crisis = loop.referral.crisis
    assert crisis is not None
    if crisis.reported:
        return loop
    return _waiting(loop, msgspec.structs.replace(crisis, state="reported", at=now, reported_at=now), now, practice)


def _may_stand_down(referral: Referral, crisis: Crisis, by: Actor | None) -> None:
    if not crisis.planned:
        raise Invalid("A crisis is stood down after a safety plan.", at="reasonCode", key="plan-first")
    if not crisis.reported and duties.must_report(referral.needs, referral.age_band):
        raise Invalid("The law asks for a report here; it comes before the crisis is stood down.", at="reasonCode", key="report-first")  # fmt: skip
    if by is not None and by.kind == "person" and by.id == crisis.planned_by:
        raise Invalid(
            "Somebody else than who made the plan stands the crisis down.", at="reasonCode", key="two-persons"
        )


def _waiting(loop: Loop, crisis: Crisis, now: datetime, practice: Practice) -> Loop:
    limit: Limit = getattr(practice, LIMIT[crisis.waits_for])
    due = clocks.begin(limit, now, practice).due
    return msgspec.structs.replace(
        loop, referral=msgspec.structs.replace(loop.referral, crisis=msgspec.structs.replace(crisis, by=due))
    )


def _state(
    state: CrisisState, limit: Limit, owner: CrisisOwner, since: datetime, now: datetime, practice: Practice
) -> Crisis:
    return Crisis(state, since, clocks.begin(limit, now, practice).due, owner, now)
