"""Volunteers under a named social worker: matched to a person for one visit, with the person's own consent (rows 31, 32)."""

from datetime import datetime

import msgspec
from asyncpg import Record as Row

from service import codes
from service.access import store as access
from service.access.model import Actor
from service.consent import grounds, tiers
from service.consent import store as consents
from service.db import Session, as_platform
from service.errors import Conflict, Invalid, NotFound
from service.referrals import contact_flow, steps
from service.referrals.lifecycle import LIVE
from service.values import Id, new_id

PURPOSE = "volunteer"
"""The purpose (urn:yuanshe:purpose) that a consent names for it."""


class Visit(msgspec.Struct, frozen=True):
    """All that a volunteer is told: whom they visit, where, when, for what, and which social worker they ask."""

    id: Id
    given_name: str | None
    address: str | None
    starts_at: datetime
    service_type: str
    worker: Id


MATCH = """
INSERT INTO visit (id, version, referral_id, task_id, hospital_id, agency_id, patient_id, worker_id, volunteer_id, service_type,
                   starts_at, made_by, made_at)
VALUES ($1, 1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
"""


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
        id = new_id()
        await session.execute(
            MATCH, id, referral.id, share.id, referral.hospital, share.agency, referral.patient, share.worker, volunteer,
            service_type, starts_at, actor.id, now,
        )  # fmt: skip
        moving.tell("match", share, visit=str(id))
    return id


CALL_OFF = (
    "UPDATE visit SET open = false, version = version + 1 WHERE id = $1 AND task_id = $2 AND open RETURNING referral_id"
)


async def call_off(session: Session, actor: Actor, task: Id, visit: Id, now: datetime) -> None:
    """The visit does not take place, or has taken place: the volunteer is told nothing of it any more."""
    steps.only(actor, "agency")
    async with steps.turn(session, actor, task, now) as moving:
        steps.own_agency(moving)
        if await session.fetchval(CALL_OFF, visit, task) is None:
            raise NotFound("There is no such visit.", at="visit")
        moving.tell("unmatch", moving.share, visit=str(visit))


# Asked anew each time: a consent that was withdrawn, a share that ended, a ground that closed ends the visit with it.
OF_VOLUNTEER = """
SELECT v.id, v.starts_at, v.service_type, v.worker_id, v.patient_id, v.referral_id, p.name, p.address
FROM visit v JOIN patient p ON p.id = v.patient_id
JOIN task t ON t.id = v.task_id AND t.open AND t.agency_id = v.agency_id AND t.worker_id IS NOT NULL
WHERE v.volunteer_id = $1 AND v.agency_id = $2 AND v.open
AND EXISTS (SELECT 1 FROM disclosure d WHERE d.referral_id = v.referral_id AND d.agency_id = v.agency_id AND d.closed_at IS NULL
            AND d.basis <> 'break-glass')
AND EXISTS (SELECT 1 FROM consent c WHERE c.patient_id = v.patient_id AND c.hospital_id = v.hospital_id AND c.active
            AND c.kind = 'consent' AND 'volunteer' = ANY (c.purposes) AND v.agency_id = ANY (c.agencies)
            AND (c.referrals = '{}' OR v.referral_id = ANY (c.referrals))
            AND coalesce(c.valid_from <= $3, true) AND coalesce(c.valid_to >= $3, true))
ORDER BY v.starts_at, v.id LIMIT 200
"""


async def visits(session: Session, actor: Actor, now: datetime) -> list[Visit]:
    """What a volunteer is told of the visits matched to them: built by name from what is known, nothing else goes along."""
    steps.only(actor, "volunteer")
    async with as_platform(session, "a volunteer's visits"):
        rows = await session.fetch(OF_VOLUNTEER, actor.id, actor.organization, now)
    session.patients.update(row["patient_id"] for row in rows)
    session.referrals.update(row["referral_id"] for row in rows)
    return [_visit(row) for row in rows]


def _visit(row: Row) -> Visit:
    return Visit(
        row["id"], tiers.given_name(row["name"]), row["address"], row["starts_at"], row["service_type"], row["worker_id"]
    )  # fmt: skip
