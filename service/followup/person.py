"""What a referral knows of its person, and what it makes of news of them: corrected facts, a death, a death that was none; pure."""

from datetime import date, datetime

import msgspec

from service import codes
from service.followup import schedule
from service.patients.model import Patient, Stay
from service.practice import Practice
from service.referrals import clocks, transitions
from service.referrals.model import Loop, Task
from service.values import Id, Reason

DEAD = Reason("deceased", "The person has died.")


class Person(msgspec.Struct, frozen=True):
    """What referrals follow of a person: the record, whether they have died (by the record, or a stay that ended so), and
    whether nobody is contacted without a supervisor. `bearer` is the referral on which a duty to the family is owed."""

    patient: Patient
    died: bool = False
    guarded: bool = False
    bearer: Id | None = None


def known(patient: Patient) -> tuple[object, ...]:
    """All of a record that referrals follow."""
    return patient.birth_date, patient.gender, patient.region, patient.language, patient.deceased


def identified(loop: Loop, patient: Patient, stay: Stay | None, today: date, now: datetime) -> Loop:
    """The loop with what an offer may show of the person, as it is known now: on the referral, and on every share that is
    open, whose per-offer Patient has a new version. What is not known any more stays as it was; where a stay leads to is
    where the person will be (contract.md)."""
    old = loop.referral
    band = codes.age_band(patient.birth_date, today)
    referral = msgspec.structs.replace(
        old, age_band=old.age_band if band == "unknown" else band,
        gender=old.gender if patient.gender == "unknown" else patient.gender,
        region=(stay.region if stay else None) or patient.region or old.region, language=patient.language or old.language,
    )  # fmt: skip
    if referral == old:
        return loop
    loop = msgspec.structs.replace(loop, referral=referral)
    for share in loop.shares:
        if share.open:
            loop = loop.with_share(_shown(share, loop, now))
    for task in loop.follow_ups:
        if task.open and task.agency:
            loop = loop.with_follow_up(_shown(task, loop, now))
    return loop


def _shown(task: Task, loop: Loop, now: datetime) -> Task:
    """T0 alone (domain f-7), and of a safety need less still; the stand-in has a new version where it shows something else."""
    referral, safety = loop.referral, task.safety
    shown = msgspec.structs.replace(
        task, region=referral.region[:6] if safety and referral.region else referral.region, language=referral.language,
        age_band=codes.coarse_age_band(referral.age_band) if safety else referral.age_band,
        gender=None if safety else referral.gender,
    )  # fmt: skip
    if shown == task:
        return task
    return msgspec.structs.replace(shown, stand_in_version=task.stand_in_version + 1, stand_in_at=now, updated_at=now)


def frozen(loop: Loop, now: datetime, practice: Practice) -> Loop:
    """The person has died: nobody is contacted any more. Follow-ups are called off, no attempt is proposed, and each share
    that an agency has accepted waits for being closed and for nothing else."""
    loop = msgspec.structs.replace(loop, referral=msgspec.structs.replace(loop.referral, deceased=True))
    loop = schedule.called_off(loop, DEAD, now, begun=True)
    for share in loop.shares:
        loop = loop.with_share(transitions.closing(share, now, practice))
    return loop


def thawed(loop: Loop, now: datetime, practice: Practice) -> Loop:
    """The death was recorded in error: what waited for being closed goes on with its next item, or the first contact, each
    from now. The follow-ups come back as new ones where their stay has ended otherwise."""
    loop = msgspec.structs.replace(
        loop, referral=msgspec.structs.replace(loop.referral, deceased=False, after_death=False)
    )
    for share in loop.shares:
        if share.open and share.item == transitions.CLOSE:
            left = {name: clock for name, clock in share.clocks.items() if name != "item"}
            if share.started_at is None:
                left["contact"] = clocks.begin(practice.first_contact[share.urgency], now, practice)
                share = msgspec.structs.replace(share, item=None)
            else:
                left["item"] = clocks.begin(practice.review, now, practice)
                share = msgspec.structs.replace(share, item="review")
            loop = loop.with_share(msgspec.structs.replace(share, clocks=left, updated_at=now))
    return loop
