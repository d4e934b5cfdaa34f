"""How news of a person reaches their referrals: one turn each, told to those alone who know the person; called by verbs."""

from datetime import datetime
from typing import Any

from service.db import Session
from service.followup import person as people
from service.followup import schedule
from service.followup.person import DEAD, Person
from service.patients import store as patients
from service.patients.model import Stay
from service.referrals import clocks, contact_flow, duties, ladder, settling, steps, transitions
from service.referrals import store as referrals
from service.referrals.model import Loop, Task
from service.referrals.steps import ROUTER, Turn
from service.safety import contact_store
from service.values import Id, Reason, local_day

ALIVE = Reason(None, "The death was recorded in error.")


async def facts(session: Session, patient: Id) -> Person:
    """What the person's referrals follow; needs the hospital's or the platform's scope."""
    found = await patients.get(session, patient)
    assert found is not None
    died = found.deceased or await patients.died(session, patient)
    if not died:
        return Person(found)
    rules = (await contact_store.current(session, [patient])).get(patient)
    guarded = (rules is not None and rules.rules.guarded) or await referrals.guarded(session, patient, found.hospital)
    theirs = await referrals.open_of_patient(session, patient, found.hospital)
    return Person(found, died, guarded, theirs[0] if theirs else None)


async def propose(moving: Turn) -> None:
    """What is proposed next follows the rules of safe contact as they have become, where they came with another record."""
    rules = await contact_flow.rules_on(moving.session, moving.loop.referral)
    if not moving.loop.referral.deceased:
        moving.loop = ladder.anew(moving.loop, rules, moving.now, moving.practice)


async def follow(moving: Turn, person: Person) -> None:
    """Let one referral follow what is known of its person; nothing is told where nothing is new."""
    now, practice = moving.now, moving.practice
    await correct(moving, person)
    before = moving.loop
    known = before.referral.deceased or before.referral.after_death
    if person.died and not known and settling.is_open(before):
        moving.loop = people.frozen(before, now, practice)
        tell_parties(moving, "died")
        tell_follow_ups(moving, before)
        for share in moving.loop.shares:
            if share.open and share.item == transitions.CLOSE and share.patient is not None:
                # The agency alone knows what is left to be written down; that it closes is its own act.
                moving.tell("propose-close", share, DEAD)
        if not person.guarded and before.referral.id == person.bearer:
            # The offer of bereavement support to the family: somebody decides whom to ask, and how.
            by = clocks.begin(practice.bereavement, now, practice).due
            duties.owe(moving, "bereavement", before.referral.hospital, by, about=person.patient.id)
    elif known and not person.died:
        moving.loop = people.thawed(before, now, practice)
        stay = await patients.get_stay(moving.session, before.referral.stay) if before.referral.stay else None
        if stay is not None and schedule.discharged(stay):
            rules = await contact_flow.rules_on(moving.session, moving.loop.referral)
            moving.loop = schedule.placed(moving.loop, stay, None, now, practice, rules)
        duties.settle(moving, "bereavement", person.patient.id, called_off=ALIVE)
        tell_parties(moving, "undo-died", ALIVE)
        tell_follow_ups(moving, before)


async def correct(moving: Turn, person: Person, stay: Stay | None = None) -> None:
    """Let the referral show what is known of the person now; what nobody could be offered for want of a fact is routed
    again."""
    before, now = moving.loop, moving.now
    if not settling.is_open(before) and not before.parent.open:
        return
    stay = stay or (await patients.get_stay(moving.session, before.referral.stay) if before.referral.stay else None)
    loop = people.identified(before, person.patient, stay, local_day(now), now)
    if loop == before:
        return
    moving.loop = loop
    old = {share.id: share for share in before.shares}
    moving.tell("correct", loop.parent)
    for share in loop.shares:
        if share != old[share.id]:
            # An agency hears that its offer reads otherwise, and not who it was that was corrected.
            moving.tell("correct", share, by=ROUTER)
    missing = settling.unplaced_needs(loop)
    if missing and loop.parent.open and not person.died:
        await steps.redispatch(moving, tuple(need for need in loop.referral.needs if need in missing))


def tell_parties(moving: Turn, kind: str, reason: Reason | None = None, **data: Any) -> None:
    """Tell the hospital, and each agency that knows who the person is, by its own Task; an agency that does not learns
    nothing. Data are ids and codes."""
    loop = moving.loop
    told: dict[Id, Task] = {}
    for task in (*loop.shares, *loop.follow_ups):
        if task.agency and task.open and task.patient is not None:
            told.setdefault(task.agency, task)
    moving.tell(kind, loop.parent, reason, **data)
    by = ROUTER if moving.actor.side == "agency" else None
    for task in told.values():
        moving.tell(kind, task, reason, by=by, **data)


def tell_follow_ups(moving: Turn, before: Loop) -> None:
    """Say what became of each follow-up since `before`."""
    old = {task.id: task for task in before.follow_ups}
    for task in moving.loop.follow_ups:
        was = old.get(task.id)
        window = task.follow_up.window if task.follow_up else None
        if was is None:
            moving.tell("follow-up", task, window=window)
        elif was.open and not task.open:
            moving.tell("cancel", task, task.reason, window=window)
        elif was != task:
            moving.tell("move", task, window=window)


def tell_close(moving: Turn) -> None:
    """Say that the last follow-up has ended, and the referral with it; while a crisis is up it stays open."""
    assert moving.before is not None
    pending = any(task.open for task in moving.before.follow_ups)
    loop = moving.loop
    if pending and not (loop.parent.open or loop.referral.crisis or any(task.open for task in loop.follow_ups)):
        moving.tell("close", loop.parent)


async def every_open(session: Session, person: Person, now: datetime) -> list[Id]:
    """The referrals that news of a person concern: the open ones, and with a death that was none those that it ended."""
    patient = person.patient
    if person.died:
        return await referrals.open_of_patient(session, patient.id, patient.hospital)
    return [referral for referral, _ in await referrals.of_patients(session, [patient.id])]
