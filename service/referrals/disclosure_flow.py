"""Who saw what about a person, for their hospital to tell them; and the whole citizen number, shown to an agency for a reason."""

from datetime import datetime, timedelta

import msgspec

from service import codes
from service.access import seen_flow
from service.access.model import Actor, Look
from service.consent import store as consents
from service.consent.model import Disclosure, Reveal
from service.db import Session, as_platform
from service.errors import Forbidden, Invalid, NotFound
from service.patients import store as patients
from service.patients.model import CITIZEN_NUMBER, Identifier, Patient
from service.referrals import steps, store
from service.safety import store as safety
from service.values import Id, new_id

KEPT = timedelta(days=3 * 366)
"""How long what was disclosed to whom is kept at least (PIPL art. 56). Nothing of it is ever deleted by the service."""


class Log(msgspec.Struct, frozen=True):
    """What may be told to a person: the openings, who looked at what since, the whole numbers shown. `more`: the position
    to go on behind."""

    openings: tuple[Disclosure, ...]
    looks: tuple[Look, ...]
    reveals: tuple[Reveal, ...]
    more: int | None = None


async def log(session: Session, actor: Actor, patient: Id, limit: int, before: int | None = None) -> Log:
    """The disclosure log of a person, for their hospital and the coordinator, latest look first.

    Sealed entries are not in it, nor any sign of them: what belongs to a referral with a safety need, and what was opened
    for a legal duty. It is made to be handed out, and whoever reads it at home may be whom it is about (domain f-6).
    """
    steps.only(actor, "hospital", "platform")
    person = await _known(session, patient)
    session.patients.add(patient)
    opened = await consents.opened(session, patient)
    sealed = frozenset(await store.of_needs(session, patient, sorted(codes.SAFETY_NEEDS)))
    sealed |= {each.referral for each in opened if each.basis == "legal-duty"}
    async with as_platform(session, "disclosure log"):
        # A report to the police may stand on a referral that was placed for something else.
        sealed |= frozenset(await safety.reported_on(session, patient))
    openings = tuple(each for each in opened if each.referral not in sealed)
    # An agency that only knows of the person by what is sealed is not named.
    secret = {each.agency for each in opened} - {each.agency for each in openings}
    async with as_platform(session, "disclosure log"):
        found = await seen_flow.looks(session, patient, limit, before)
    looks = tuple(each for each in found if each.organization not in secret and sealed.isdisjoint(each.referrals))
    reveals = tuple(
        each
        for each in await consents.revealed(session, patient)
        if each.referral not in sealed and each.hospital == person.hospital
    )
    return Log(openings, looks, reveals, found[-1].position if len(found) == limit else None)


async def reveal(
    session: Session, actor: Actor, patient: Id, reason: str | None, now: datetime
) -> tuple[Identifier, ...]:
    """The whole citizen number of somebody disclosed to the agency, for a reason in text. It is logged, and the hospital
    hears of it. Everywhere else the number is masked."""
    steps.only(actor, "agency")
    if not reason or not reason.strip():
        raise Invalid("The whole number is shown for a reason, in text.", at="reason", code="required")
    person = await _known(session, patient)
    opened = [each for each in await consents.opened(session, patient) if each.closed_at is None]
    own = next((each for each in opened if each.agency == actor.organization), None)
    if own is None:
        raise NotFound("There is no such Patient, or it is not yours to see.")
    if own.basis == "break-glass":
        raise Forbidden("Who broke the glass reads who the person is, and no more.", key="break-glass")
    numbers = tuple(each for each in person.identifiers if each.system == CITIZEN_NUMBER)
    if not numbers:
        raise NotFound("No citizen number is known of this person.", key="no-number")
    shown = Reveal(
        new_id(), own.referral, patient, person.hospital, actor.organization, actor.id, actor.role, reason, now
    )
    await consents.keep_reveal(session, shown)
    async with steps.on_referral(session, actor, own.referral, now) as moving:
        share = next((s for s in moving.loop.shares if s.agency == actor.organization and s.open), None)
        moving.tell("reveal", share, reveal=str(shown.id))
    return numbers


async def _known(session: Session, patient: Id) -> Patient:
    found = await patients.get(session, patient)
    if found is None:
        raise NotFound("There is no such Patient, or it is not yours to see.")
    return found
