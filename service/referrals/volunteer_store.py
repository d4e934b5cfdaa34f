"""SQL of volunteers' visits."""

from datetime import datetime

import msgspec
from asyncpg import Record as Row

from service.consent import tiers
from service.db import Session
from service.referrals.model import Referral, Task
from service.referrals.store import read_referral
from service.values import Id


class Visit(msgspec.Struct, frozen=True):
    """All that a volunteer is told: whom they visit, where, when, for what, and which social worker they ask."""

    id: Id
    given_name: str | None
    address: str | None
    starts_at: datetime
    service_type: str
    worker: Id


class Matched(msgspec.Struct, frozen=True):
    """A visit with whom it is to, and the referral as it stands: what decides whether it is told."""

    visit: Visit
    patient: Id
    referral: Referral


ADD = """
INSERT INTO visit (id, version, referral_id, task_id, hospital_id, agency_id, patient_id, worker_id, volunteer_id, service_type,
                   starts_at, made_by, made_at)
VALUES ($1, 1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
"""


async def add(
    session: Session, share: Task, id: Id, volunteer: Id, service_type: str, starts_at: datetime, by: Id, now: datetime
) -> None:
    """A visit to the person of a share, under its worker."""
    await session.execute(
        ADD, id, share.referral, share.id, share.hospital, share.agency, share.patient, share.worker, volunteer, service_type,
        starts_at, by, now,
    )  # fmt: skip


CALL_OFF = "UPDATE visit SET open = false, version = version + 1 WHERE id = $1 AND task_id = $2 AND open RETURNING true"


async def call_off(session: Session, visit: Id, task: Id) -> bool:
    """End a visit; False where there is none that is open on this share."""
    return bool(await session.fetchval(CALL_OFF, visit, task))


# A consent that was withdrawn, a share that ended, a ground that closed ends the visit with it; so does the undo of a merge within
# which it was matched, for it is about somebody else then.
OF_VOLUNTEER = """
SELECT v.id, v.starts_at, v.service_type, v.worker_id, v.patient_id, p.name, p.address, rv.snapshot
FROM visit v JOIN patient p ON p.id = v.patient_id
JOIN task t ON t.id = v.task_id AND t.open AND t.agency_id = v.agency_id AND t.worker_id IS NOT NULL
JOIN referral r ON r.id = v.referral_id AND r.patient_id = v.patient_id JOIN referral_version rv ON rv.referral_id = r.id AND rv.version = r.version
WHERE v.volunteer_id = $1 AND v.agency_id = $2 AND v.open
AND EXISTS (SELECT 1 FROM disclosure d WHERE d.referral_id = v.referral_id AND d.agency_id = v.agency_id AND d.closed_at IS NULL
            AND d.basis <> 'break-glass')
AND EXISTS (SELECT 1 FROM consent c WHERE c.patient_id = v.patient_id AND c.hospital_id = v.hospital_id AND c.active
            AND c.kind = 'consent' AND 'volunteer' = ANY (c.purposes) AND v.agency_id = ANY (c.agencies)
            AND (c.referrals = '{}' OR v.referral_id = ANY (c.referrals))
            AND (c.confined IS NULL OR v.referral_id = ANY (c.confined))
            AND coalesce(c.valid_from <= $3, true) AND coalesce(c.valid_to >= $3, true))
ORDER BY v.starts_at, v.id LIMIT 200
"""


async def of_volunteer(session: Session, volunteer: Id, agency: Id, now: datetime) -> list[Matched]:
    """The visits of a volunteer that a consent in force and an open disclosure still carry. Needs the platform's scope."""
    return [_matched(row) for row in await session.fetch(OF_VOLUNTEER, volunteer, agency, now)]


def _matched(row: Row) -> Matched:
    visit = Visit(
        row["id"], tiers.given_name(row["name"]), row["address"], row["starts_at"], row["service_type"], row["worker_id"]
    )  # fmt: skip
    return Matched(visit, row["patient_id"], read_referral(row["snapshot"]))
