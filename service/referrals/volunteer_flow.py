"""Volunteers under a named social worker: matched to a person for one visit, with the person's own consent (rows 31, 32)."""

from datetime import datetime

from service import codes
from service.access import store as access
from service.access.model import Actor
from service.consent import grounds
from service.consent import store as consents
from service.db import Session, as_platform
from service.errors import Conflict, Invalid, NotFound
from service.referrals import contact_flow, steps, volunteer_store
from service.referrals.lifecycle import LIVE
from service.referrals.volunteer_store import Matched, Visit
from service.safety.contact import ANY, on_referral
from service.safety.contact_store import Stated
from service.values import Id, new_id

PURPOSE = "volunteer"
"""The purpose (urn:yuanshe:purpose) that a consent names for it."""


async def match(
    session: Session, actor: Actor, task: Id, volunteer: Id, service_type: str, starts_at: datetime, now: datetime
) -> Id:
    """Match a volunteer of the agency to the person of a share, for one visit. The person agreed to that by name, and a social
    worker is named whom the volunteer works under. Nobody is sent where a supervisor decides each step of contact.

    Raises NotFound, Invalid, Conflict `no-volunteer-consent`.
    """
    steps.only(actor, "agency")
    if not codes.known(codes.SERVICE_TYPE, service_type):
        raise Invalid(f"What the visit is for is a code of {codes.SERVICE_TYPE}.", at="for", code="code-invalid")
    async with steps.turn(session, actor, task, now) as moving:
        share = next((each for each in moving.loop.shares if each.id == task), None)
        if share is None:
            raise Invalid("A volunteer visits for an agency's share of a referral.", at="id", key="no-share")
        steps.own_agency(moving)
        assert share.agency is not None
        if share.status not in LIVE or share.patient is None:
            raise Conflict("Nobody is visited whose identity is not disclosed to you.", key="not-disclosed")
        if share.worker is None:
            raise Invalid("A volunteer works under a named social worker: name one first.", at="owner", code="required")
        if not await access.volunteers_for(session, volunteer, share.agency):
            raise NotFound("There is no such volunteer of this agency.", at="volunteer")
        referral = moving.loop.referral
        said = await consents.said_of(session, referral.patient, referral.hospital)
        if not grounds.agreed_to(said, referral.id, share.agency, PURPOSE, now):
            raise Conflict(
                "The person has not agreed to a volunteer: a Consent names this agency and the purpose volunteer.",
                key="no-volunteer-consent",
                code="business-rule",
            )
        if (await contact_flow.rules_on(session, referral)).guarded:
            raise Conflict("A supervisor decides each step of contact here: no volunteer is sent.", key="guarded")
        if referral.deceased or referral.after_death:
            raise Conflict("The person has died: no volunteer is sent.", key="deceased")
        id = new_id()
        await volunteer_store.add(session, share, id, volunteer, service_type, starts_at, actor.id, now)
        moving.tell("match", share, visit=str(id))
    return id


async def call_off(session: Session, actor: Actor, task: Id, visit: Id, now: datetime) -> None:
    """The visit does not take place, or has taken place: the volunteer is told nothing of it any more."""
    steps.only(actor, "agency")
    async with steps.turn(session, actor, task, now) as moving:
        steps.own_agency(moving)
        if not await volunteer_store.call_off(session, visit, task):
            raise NotFound("There is no such visit.", at="visit")
        moving.tell("unmatch", moving.share, visit=str(visit))


async def visits(session: Session, actor: Actor, now: datetime) -> list[Visit]:
    """What a volunteer is told of the visits matched to them: built by name from what is known, nothing else goes along.

    Asked anew each time: what has ended, whom nobody may contact by now without a supervisor, and who has died is left out.
    """
    steps.only(actor, "volunteer")
    async with as_platform(session, "a volunteer's visits"):
        found = await volunteer_store.of_volunteer(session, actor.id, actor.organization, now)
        stated = await contact_flow.known(session, [each.patient for each in found])
    told = [each for each in found if _safe(each, stated.get(each.patient))]
    session.patients.update(each.patient for each in told)
    session.referrals.update(each.referral.id for each in told)
    return [each.visit for each in told]


def _safe(it: Matched, stated: Stated | None) -> bool:
    referral = it.referral
    rules = on_referral(stated.rules if stated else ANY, referral.needs, prohibited=referral.contact_prohibited)
    return not (rules.guarded or referral.deceased or referral.after_death)
