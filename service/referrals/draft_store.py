"""SQL of what a ward has begun to refer: drafts, whom a number means, what the hospital's partners cover, what is open of a person."""

from datetime import date, datetime

import msgspec
from asyncpg import Record as Row

from service.db import Session
from service.directory.model import Region
from service.patients.model import CITIZEN_NUMBER
from service.referrals.model import NextStep, Referral
from service.referrals.store import STEP_OF, read_referral, read_step
from service.values import Id

Content = dict[str, list[str]]
"""The fields of a form as they were typed."""


class Draft(msgspec.Struct, frozen=True):
    """A form as far as it is filled in; once it is sent, only the referral that it became."""

    id: Id
    content: Content
    changed_at: datetime
    referral: Id | None = None


def _draft(row: Row) -> Draft:
    content = msgspec.json.decode(row["content"], type=Content) if row["content"] else {}
    return Draft(row["id"], content, row["changed_at"], row["referral_id"])


# Whoever sends the same form twice waits here for the first of the two, and finds what it became.
KEEP = """
INSERT INTO referral_draft AS d (id, hospital_id, account_id, content, created_at, changed_at) VALUES ($1, $2, $3, $4, $5, $5)
ON CONFLICT (id) DO UPDATE SET content = CASE WHEN d.referral_id IS NULL THEN excluded.content END,
    changed_at = CASE WHEN d.referral_id IS NULL THEN excluded.changed_at ELSE d.changed_at END
    WHERE d.account_id = $3
RETURNING id, content, changed_at, referral_id
"""


async def keep(session: Session, id: Id, hospital: Id, account: Id, content: Content, now: datetime) -> Draft | None:
    """The draft as it now stands; unchanged where it was sent; None where it is another one's."""
    row = await session.fetchrow(KEEP, id, hospital, account, msgspec.json.encode(content).decode(), now)
    return _draft(row) if row else None


ONE = "SELECT id, content, changed_at, referral_id FROM referral_draft WHERE id = $1 AND account_id = $2"


async def one(session: Session, id: Id, account: Id) -> Draft | None:
    row = await session.fetchrow(ONE, id, account)
    return _draft(row) if row else None


MINE = """
SELECT id, content, changed_at, referral_id FROM referral_draft WHERE account_id = $1 AND referral_id IS NULL
ORDER BY changed_at DESC, id LIMIT $2
"""


async def mine(session: Session, account: Id, limit: int) -> list[Draft]:
    """What this account has begun, last typed in first."""
    return [_draft(row) for row in await session.fetch(MINE, account, limit)]


SENT = "UPDATE referral_draft SET content = NULL, referral_id = $2 WHERE id = $1"


async def sent(session: Session, id: Id, referral: Id) -> None:
    """It became this referral; what was typed goes."""
    await session.execute(SENT, id, referral)


DISCARD = "DELETE FROM referral_draft WHERE id = $1 AND account_id = $2 AND referral_id IS NULL"


async def discard(session: Session, id: Id, account: Id) -> None:
    await session.execute(DISCARD, id, account)


FORGET = "DELETE FROM referral_draft WHERE id IN (SELECT id FROM referral_draft WHERE changed_at < $1 LIMIT 1000)"


async def forget(session: Session, before: datetime) -> int:
    """Drop what nobody typed in since; how many there were."""
    return int((await session.execute(FORGET, before)).rpartition(" ")[2])


# ---- whom a number means ----------------------------------------------------------------------------------------------

# A number of the person or of a stay of theirs, under whatever system the hospital's programs gave it.
BY_NUMBER = f"""
SELECT patient_id, NULL::uuid AS stay_id FROM patient_identifier
WHERE hospital_id = $1 AND value = $2 AND system <> '{CITIZEN_NUMBER}'
UNION
SELECT patient_id, id FROM stay WHERE hospital_id = $1 AND number = $2 AND status NOT IN ('cancelled', 'entered-in-error')
LIMIT 10
"""


async def by_number(session: Session, hospital: Id, number: str) -> list[tuple[Id, Id | None]]:
    """Patients whose number this is, each with the stay whose number it is."""
    return [(row["patient_id"], row["stay_id"]) for row in await session.fetch(BY_NUMBER, hospital, number)]


LIES_HERE = """
SELECT id FROM stay WHERE patient_id = $1 AND status IN ('planned', 'arrived', 'triaged', 'in-progress', 'onleave')
ORDER BY id DESC LIMIT 1
"""


async def lies_here(session: Session, patient: Id) -> Id | None:
    """The stay of somebody who lies in the hospital now."""
    return await session.fetchval(LIES_HERE, patient)


# The least and the greatest name of a system of numbers, before and behind the citizen numbers, which are as many as people: each is
# one look at the index.
SYSTEMS = f"""
SELECT ARRAY(SELECT DISTINCT name FROM unnest(ARRAY[
    (SELECT min(system) FROM patient_identifier WHERE hospital_id = $1 AND system < '{CITIZEN_NUMBER}'),
    (SELECT max(system) FROM patient_identifier WHERE hospital_id = $1 AND system < '{CITIZEN_NUMBER}'),
    (SELECT min(system) FROM patient_identifier WHERE hospital_id = $1 AND system > '{CITIZEN_NUMBER}'),
    (SELECT max(system) FROM patient_identifier WHERE hospital_id = $1 AND system > '{CITIZEN_NUMBER}')
]) AS name WHERE name IS NOT NULL)
"""


async def number_system(session: Session, hospital: Id) -> str | None:
    """The one system in which all of the hospital's numbers stand; None where there is none, or several."""
    found: list[str] = await session.fetchval(SYSTEMS, hospital)
    return found[0] if len(found) == 1 else None


# ---- what a form offers -----------------------------------------------------------------------------------------------

# Counties and streets that the services of partners in force cover: what lies beneath a covered region, and the county of a covered
# street. Codes are digits alone, so those beneath one lie between it and the last that could.
COVERED = """
WITH covered AS (
    SELECT DISTINCT unnest(s.regions) AS code FROM organization h
    JOIN partnership p ON p.hospital_id = ANY (h.lineage) AND p.valid_from <= $2 AND (p.valid_to IS NULL OR p.valid_to >= $2)
    JOIN agency_service s ON s.agency_id = p.agency_id AND s.active
    WHERE h.id = $1
), codes AS (
    SELECT r.code FROM covered c JOIN region r ON r.code BETWEEN c.code AND c.code || '999999'
    UNION SELECT left(code, 6) FROM covered WHERE length(code) > 6
)
SELECT r.code, r.name_zh, r.name_en, r.valid_from, r.valid_to, r.superseded_by FROM region r JOIN codes USING (code)
WHERE length(r.code) IN (6, 9) AND r.superseded_by IS NULL ORDER BY r.code LIMIT 500
"""


async def covered(session: Session, hospital: Id, day: date) -> list[Region]:
    """Counties and streets where the hospital's partners serve, each county before its streets."""
    return [Region(**row) for row in await session.fetch(COVERED, hospital, day)]


PARTNERS = """
SELECT DISTINCT p.agency_id, min(p.rank) OVER (PARTITION BY p.agency_id) AS rank FROM organization h
JOIN partnership p ON p.hospital_id = ANY (h.lineage) AND p.valid_from <= $2 AND (p.valid_to IS NULL OR p.valid_to >= $2)
WHERE h.id = $1 ORDER BY rank, agency_id LIMIT 100
"""


async def partners(session: Session, hospital: Id, day: date) -> list[Id]:
    """The agencies with which the hospital has a partnership today, by rank."""
    return [row["agency_id"] for row in await session.fetch(PARTNERS, hospital, day)]


# ---- what is open of a person -----------------------------------------------------------------------------------------

OPEN_OF = f"""
SELECT {STEP_OF} AS step, v.snapshot AS referral FROM referral r
JOIN next_step n ON n.referral_id = r.id
JOIN referral_version v ON v.referral_id = r.id AND v.version = r.version
WHERE r.patient_id = $1 AND r.hospital_id = $2 AND r.open ORDER BY n.by, r.id LIMIT 10
"""


async def open_of(session: Session, patient: Id, hospital: Id) -> list[tuple[NextStep, Referral]]:
    """The person's open referrals at this hospital, soonest due first, each with who must act next."""
    rows = await session.fetch(OPEN_OF, patient, hospital)
    return [(read_step(row["step"]), read_referral(row["referral"])) for row in rows]
