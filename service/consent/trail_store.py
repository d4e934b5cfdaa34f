"""SQL of the audit as people read it: who the actors are by name, and when glasses were broken."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from service.db import Session
from service.values import Id

# Whoever may have acted, by name and without anything else of theirs.
ACTORS = """
SELECT id, name, login, role, organization_id FROM account WHERE id = ANY ($1)
UNION ALL SELECT id, name, NULL, role, organization_id FROM client WHERE id = ANY ($1)
"""


class ActorName(msgspec.Struct, frozen=True):
    """A person of staff (who has a login) or a program."""

    id: Id
    name: str
    login: str | None
    role: str
    organization: Id


async def actors(session: Session, ids: Sequence[Id]) -> dict[Id, ActorName]:
    """Those of these ids that are people or programs."""
    return {row["id"]: ActorName(*row) for row in await session.fetch(ACTORS, list(ids))}


CALLED = """
(SELECT id FROM account WHERE login = lower($1) OR strpos(lower(name), lower($1)) > 0 ORDER BY id LIMIT $2)
UNION ALL (SELECT id FROM client WHERE client_id = $1 OR strpos(lower(name), lower($1)) > 0 ORDER BY id LIMIT $2)
"""


async def called(session: Session, text: str, limit: int) -> list[Id]:
    """People whose login it is, and people and programs in whose names it stands."""
    return [row["id"] for row in await session.fetch(CALLED, text, limit)]


class Glass(msgspec.Struct, frozen=True):
    """A broken glass: who somebody was was open to an agency for a while without their consent."""

    referral: Id
    patient: Id
    agency: Id
    opened_at: datetime
    closed_at: datetime | None


# The latest ones: breaking the glass is rare, or something is wrong that shows at once.
GLASSES = """
SELECT referral_id, patient_id, agency_id, opened_at, closed_at FROM disclosure WHERE basis = 'break-glass' ORDER BY opened_at DESC LIMIT $1
"""
GLASSES_OF = """
SELECT referral_id, patient_id, agency_id, opened_at, closed_at FROM disclosure WHERE basis = 'break-glass'
  AND (referral_id = ANY ($1) OR patient_id = ANY ($2)) ORDER BY opened_at DESC LIMIT $3
"""
# By the person as well: who is read by id alone stands in the audit without a referral.
BY_GLASS = """
SELECT a.position FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::timestamptz[], $5::timestamptz[])
    AS g (referral, patient, agency, opened, closed)
CROSS JOIN LATERAL (SELECT position FROM audit_referral WHERE referral_id = g.referral
                    UNION SELECT position FROM audit_patient WHERE patient_id = g.patient) AS f
JOIN audit a ON a.position = f.position
WHERE a.organization_id = g.agency AND a.at >= g.opened AND (g.closed IS NULL OR a.at < g.closed)
GROUP BY a.position
"""


async def glasses(session: Session, limit: int) -> list[Glass]:
    """Broken glasses, the latest first."""
    return [Glass(*row) for row in await session.fetch(GLASSES, limit)]


async def glasses_of(session: Session, referrals: Sequence[Id], patients: Sequence[Id], limit: int) -> list[Glass]:
    """Those of these referrals and people."""
    return [Glass(*row) for row in await session.fetch(GLASSES_OF, list(referrals), list(patients), limit)]


async def by_glass(session: Session, found: Sequence[Glass]) -> list[int]:
    """The places in the audit of what the agencies did with these referrals while the glass was broken."""
    rows = await session.fetch(
        BY_GLASS, [g.referral for g in found], [g.patient for g in found], [g.agency for g in found], [g.opened_at for g in found],
        [g.closed_at for g in found],
    )  # fmt: skip
    return [row["position"] for row in rows]
