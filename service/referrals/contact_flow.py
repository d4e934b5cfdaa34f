"""The verbs of safe contact: state a person's rules, see them, and what they are on a referral."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from service.access.model import Actor
from service.consent import store as consents
from service.db import Session, as_platform
from service.directory import steps as directory
from service.errors import Forbidden, Invalid, NotFound
from service.patients import store as patients
from service.patients.model import Patient
from service.referrals import ladder, steps, store
from service.referrals.model import Loop, Referral
from service.safety import contact, contact_store
from service.safety.contact import ANY, ContactRules
from service.safety.contact_store import Stated
from service.values import Id, local_day


async def state(
    session: Session, actor: Actor, patient: Id, rules: ContactRules, why: str | None, now: datetime
) -> Stated:
    """Say how a person may safely be contacted, in place of what was said before: the person's hospital, the coordinator, or
    an agency to which the person is disclosed. It holds at once, on every open referral, whose parties hear of it.

    A prohibition that somebody else put up an agency does not lift; each decision names the supervisor who made it. The
    same again changes nothing. Raises NotFound, Forbidden, Invalid with every fault.
    """
    person = await _visible(session, actor, patient)
    if issues := contact.faults(rules):
        raise Invalid("The rules of safe contact do not hold.", issues=issues)
    await contact_store.lock(session, patient)
    old = (await contact_store.current(session, [patient])).get(patient)
    before = old.rules if old else ANY
    if (
        old
        and rules == before
        and (why is None or why == await contact_store.why(session, patient, actor.organization))
    ):
        return old
    await _permit(session, actor, patient, old, rules, now)
    version = await contact_store.state(session, patient, person.hospital, rules, why, actor, now)
    session.patients.add(patient)
    for referral in await _open(session, person):
        async with steps.on_referral(session, actor, referral, now) as moving:
            # A next attempt that is not safe any more is not proposed any longer, and one that was decided is.
            moving.loop = ladder.anew(marked(moving.loop, rules), rules, now, session.practice)
            known = [task for task in (*moving.loop.shares, *moving.loop.follow_ups) if task.open and task.patient]
            for task in {task.agency: task for task in known}.values() or [None]:
                # No agency learns from it that another one works with the person.
                own = actor.side != "agency" or (task and task.agency == actor.organization)
                moving.tell("safe-contact", task, by=None if own else steps.ROUTER)
    return Stated(patient, rules, version, now, actor.organization)


async def prohibit(session: Session, actor: Actor, patient: Id, now: datetime) -> None:
    """Nobody contacts the person any more without a supervisor's decision; what was said besides stands."""
    await contact_store.lock(session, patient)
    old = (await contact_store.current(session, [patient])).get(patient)
    rules = old.rules if old else ANY
    if not rules.prohibited:
        await state(session, actor, patient, msgspec.structs.replace(rules, prohibited=True), None, now)


def marked(loop: Loop, rules: ContactRules) -> Loop:
    """The loop with the word that nobody contacts the person, on the referral and on what is open of it; or without."""
    mark = {"contact_prohibited": rules.prohibited}
    for share in loop.shares:
        if share.open and share.contact_prohibited != rules.prohibited:
            loop = loop.with_share(msgspec.structs.replace(share, **mark))
    for task in loop.follow_ups:
        if task.open and task.contact_prohibited != rules.prohibited:
            loop = loop.with_follow_up(msgspec.structs.replace(task, **mark))
    return msgspec.structs.replace(loop, referral=msgspec.structs.replace(loop.referral, **mark))


async def stated(session: Session, actor: Actor, patient: Id) -> tuple[Stated | None, str | None]:
    """What was said last, and the sealed reason where the reader's own organisation gave it. Raises NotFound."""
    await _visible(session, actor, patient)
    session.patients.add(patient)
    found = (await contact_store.current(session, [patient])).get(patient)
    return found, await contact_store.why(session, patient, actor.organization) if found else None


async def known(session: Session, found: Sequence[Id]) -> dict[Id, Stated]:
    """What was said last of each of these persons, as far as the scope sees them; who has no rules is not there."""
    return await contact_store.current(session, found)


async def rules_on(session: Session, referral: Referral) -> ContactRules:
    """The rules as they hold on a referral at this moment; asked before each contact and each message to the person."""
    found = (await contact_store.current(session, [referral.patient])).get(referral.patient)
    rules = found.rules if found else ANY
    return contact.on_referral(rules, referral.needs, prohibited=referral.contact_prohibited)


async def _visible(session: Session, actor: Actor, patient: Id) -> Patient:
    found = await patients.get(session, patient)
    if found is None:
        raise NotFound("There is no such Patient, or it is not yours to see.")
    return found


async def _open(session: Session, person: Patient) -> list[Id]:
    """The person's open referrals; an agency's scope shows its own, the move is carried on all of them."""
    async with as_platform(session, "carry a move"):
        return await store.open_of_patient(session, person.id, person.hospital)


async def _by_glass(session: Session, actor: Actor, patient: Id) -> bool:
    """Whether the agency knows the person by a broken glass alone."""
    own = [
        each
        for each in await consents.opened(session, patient)
        if each.agency == actor.organization and each.closed_at is None
    ]
    return bool(own) and all(each.basis == "break-glass" for each in own)


async def _permit(
    session: Session, actor: Actor, patient: Id, old: Stated | None, rules: ContactRules, now: datetime
) -> None:
    before = old.rules if old else ANY
    fresh = [decision for decision in rules.decisions if decision not in before.decisions]
    if actor.side == "agency":
        if await _by_glass(session, actor, patient):
            raise Forbidden(
                "Who broke the glass reads how to contact the person, and does not say it anew.", key="break-glass"
            )
        lifted = (before.prohibited and not rules.prohibited) or (before.supervised and not rules.supervised)
        if old and lifted and old.written_by != actor.organization:
            raise Forbidden("Who put up this prohibition lifts it, or the hospital does.", key="prohibition-of-another")
    elif actor.side not in ("hospital", "platform"):
        raise Forbidden("Safe contact is said by the hospital, or by who works with the person.", key="wrong-actor")
    able = {actor.organization}
    if actor.side == "agency":
        able = set(await directory.supervisors(session, actor.organization, local_day(now))) if fresh else set()
    for decision in fresh:
        if decision.supervisor not in able:
            at = f"decision[{rules.decisions.index(decision)}].supervisor"
            raise Invalid("A licensed supervisor of this agency decides, or the hospital itself.", at=at, key="not-a-supervisor")  # fmt: skip
