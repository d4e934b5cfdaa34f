"""What stands on a list for when the service is away, and what may be entered afterwards; pure.

Paper lies about and is read by others, so a line holds what is needed to go on working and nothing besides: a number, whose turn
it is on what and by when, and of a person what a call needs, where a call is safe.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

import msgspec

from service import codes
from service.consent.tiers import family_name
from service.errors import Invalid
from service.followup import reaching
from service.patients.model import Patient
from service.referrals.model import NextStep, Referral, Task
from service.safety.contact import ANY, ContactRules, Hours, on_referral
from service.values import LATE_CLOCK, Id

KEPT = 24
"""How many hours' lists are kept (D)."""
MOST = 1000
"""How many lines a list holds."""
AHEAD = timedelta(days=2)
"""How soon a follow-up's window opens that already stands on a list."""
LATEST = timedelta(days=7)
"""How long ago something was done that is entered afterwards (D): for what is older there is the usual way, with its own limits."""


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """One piece of open work. `what` is a next step's word or a duty's code; `by` its limit; `mine`: it is the organisation's own turn.

    `patient` is there to look again whether the person may still be known when the list is read; it is never printed. `rule` says
    why there is no number (urn:yuanshe:contact-rule)."""

    task: Id
    referral: Id
    kind: str
    what: str
    number: str
    by: datetime | None = None
    urgency: str = "routine"
    mine: bool = True
    organization: Id | None = None
    worker: Id | None = None
    needs: tuple[str, ...] = ()
    window: str | None = None
    next_at: datetime | None = None
    next_channel: str | None = None
    patient: Id | None = None
    called: str | None = None
    gender: str | None = None
    bed: str | None = None
    phone: str | None = None
    rule: str | None = None
    channels: tuple[str, ...] = ()
    times: tuple[Hours, ...] = ()
    may_leave_message: bool = True


def number(referral: Id) -> str:
    """What an agency calls a referral by on paper and on the telephone, whose placer's number it may not know yet: the last eight
    signs of its id, which tell nothing. A hospital has its own number."""
    last = referral.hex[-8:].upper()
    return f"{last[:4]}-{last[4:]}"


def stands(task: Task, now: datetime) -> bool:
    """Whether an agency's open Task is on its list: all but follow-ups whose window is still far off."""
    return task.kind != "follow-up" or task.window_from is None or task.window_from <= now + AHEAD


def of_agency(
    task: Task, step: NextStep | None, persons: Mapping[Id, Patient], said: Mapping[Id, ContactRules], now: datetime
) -> Line:  # fmt: skip
    """An agency's share, follow-up or duty as a line."""
    told = task.follow_up
    line = Line(
        task=task.id, referral=task.referral, kind=task.kind, number=number(task.referral), what=step.what if step else task.item or "follow-up",
        by=step.by if step else task.due_at, urgency=task.urgency, mine=step is None or step.organization == task.agency,
        organization=step.organization if step else task.agency, worker=task.worker, needs=_needs(task.needs, sealed=task.safety),
        window=told.window if told else None, next_at=told.proposed_at if told else None,
        next_channel=told.proposed_channel if told else None,
    )  # fmt: skip
    person = persons.get(task.patient) if task.patient else None
    rules = on_referral(
        said.get(task.patient, ANY) if task.patient else ANY, task.needs, prohibited=task.contact_prohibited
    )
    return _called(line, person, rules, task.needs, now) if task.kind != "duty" else line


def of_hospital(
    step: NextStep, referral: Referral, bed: str | None, persons: Mapping[Id, Patient], said: Mapping[Id, ContactRules],
    now: datetime,
) -> Line:  # fmt: skip
    """A hospital's open referral as a line: by bed and family name, but for needs of safety, where the next bed may read along."""
    safety = codes.is_safety(referral.needs)
    line = Line(
        task=step.task, referral=referral.id, kind="referral", number=referral.placer_value, what=step.what, by=step.by, urgency=referral.effective_urgency,
        mine=step.organization == step.hospital, organization=step.organization, worker=step.worker,
        needs=_needs(referral.needs, sealed=safety), bed=None if safety else bed,
    )  # fmt: skip
    person = persons.get(referral.patient)
    if safety or person is None:
        return line
    if step.what == "follow-up" and line.mine:
        rules = on_referral(said.get(referral.patient, ANY), referral.needs, prohibited=referral.contact_prohibited)
        return _called(line, person, rules, referral.needs, now)
    return msgspec.structs.replace(line, patient=person.id, called=family_name(person.name), gender=person.gender)


def _needs(needs: tuple[str, ...], *, sealed: bool) -> tuple[str, ...]:
    """The needs as paper may say them: of safety no more than the word."""
    return (codes.SAFETY,) if sealed or codes.is_safety(needs) else needs


def _called(line: Line, person: Patient | None, rules: ContactRules, needs: tuple[str, ...], now: datetime) -> Line:
    """The line with what a call needs, where the person may be called at all; never where a supervisor decides each step, whatever
    was decided: a decision is for one step, and paper lasts."""
    reach = reaching.reach(rules, person, needs, now)
    if person is None:
        return line
    if rules.guarded or reach.hidden or not reach.number:
        return msgspec.structs.replace(line, rule=reach.hidden or (_guard(rules) if rules.guarded else None))
    return msgspec.structs.replace(
        line, patient=person.id, called=family_name(person.name), gender=person.gender, phone=reach.number,
        channels=rules.channels, times=rules.times, may_leave_message=reach.may_leave_message,
    )  # fmt: skip


def _guard(rules: ContactRules) -> str:
    return "contact-prohibited" if rules.prohibited else "supervisor-decides"


def unsaid(line: Line, rule: str) -> Line:
    """The line without whom it is about, as somebody may no longer know it, or call."""
    return msgspec.structs.replace(line, patient=None, called=None, gender=None, bed=None, phone=None, channels=(), times=(), rule=rule)  # fmt: skip


def still(line: Line, persons: Mapping[Id, Patient], said: Mapping[Id, ContactRules], guarded: bool) -> Line:
    """The line as it may be shown now: who is not disclosed any more is not named, who must not be called any more has no number."""
    if line.patient is None:
        return line
    person = persons.get(line.patient)
    if person is None:
        return unsaid(line, "not-disclosed")
    if person.deceased:
        return unsaid(line, "deceased")
    rules = said.get(line.patient, ANY)
    if line.phone is None:
        return line
    if rules.guarded or guarded:
        return unsaid(line, _guard(rules))
    if rules.channels and "phone" not in rules.channels:
        return unsaid(line, "channel-not-safe")
    return msgspec.structs.replace(
        line, phone=rules.number or person.phone, channels=rules.channels, times=rules.times, may_leave_message=rules.may_leave_message
    )  # fmt: skip


# ---- afterwards ------------------------------------------------------------------------------------------------------

WHATS = ("accept", "decline", "attempt", "activity", "note")
"""What may be entered afterwards."""


class Entry(msgspec.Struct, frozen=True):
    """A row that was entered: when it was done, and why it was not taken, where it was not."""

    id: Id
    batch: Id
    place: int
    recorded_at: datetime
    performed_at: datetime | None
    what: str
    why: str
    referral: Id | None = None
    task: Id | None = None
    refused: str | None = None


def may_be_entered(what: str, task: Task, performed: datetime, now: datetime) -> None:
    """Raise Invalid where the past that is told cannot have been, or cannot be made up for."""
    if what in ("accept", "decline", "activity") and task.kind != "share":
        raise Invalid("This is for a share of a referral.", at="what", key="entry-other-kind")
    if what == "attempt" and task.kind != "follow-up":
        raise Invalid("An attempt belongs to a follow-up.", at="what", key="entry-other-kind")
    if performed > now + LATE_CLOCK:
        raise Invalid("What was done lies in the past.", at="performed", key="entry-in-the-future")
    if performed < now - LATEST:
        raise Invalid(f"What is entered afterwards was done within {LATEST.days} days.", at="performed", key="entry-too-old")  # fmt: skip
    if performed < task.authored_at - LATE_CLOCK:
        raise Invalid("It was done before there was anything to do.", at="performed", key="entry-before-offer")
    if what in ("accept", "decline") and task.status != "requested":
        raise Invalid("The offer is not open any more.", at="what", key="entry-offer-gone")
    if what == "activity" and (task.accepted_at is None or performed < task.accepted_at - LATE_CLOCK):
        raise Invalid("Work on a share begins when it was accepted.", at="performed", key="entry-before-accepted")
