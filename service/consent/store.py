"""SQL of consents and disclosures."""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from asyncpg import Record as Row

from service.consent import categories
from service.consent.model import Conflict, Consent, Disclosure, Related, Reveal
from service.db import Session
from service.values import Id, new_id

COLUMNS = """id, hospital_id, patient_id, version, kind, active, discloses, agencies, referrals, signer, recorded_by, recorded_at,
 valid_from, valid_to, spoken, reason_text, received, purposes, withheld, witness, decided_by"""

SAVE = f"""
INSERT INTO consent ({COLUMNS}, due) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20,
    $21, $22)
ON CONFLICT (id) DO UPDATE SET version = excluded.version, active = excluded.active, discloses = excluded.discloses,
    agencies = excluded.agencies, referrals = excluded.referrals, signer = excluded.signer, valid_from = excluded.valid_from,
    valid_to = excluded.valid_to, spoken = excluded.spoken, received = excluded.received, due = excluded.due,
    purposes = excluded.purposes, withheld = excluded.withheld, witness = excluded.witness
    WHERE consent.version = excluded.version - 1
RETURNING version
"""


async def save(session: Session, c: Consent, due: datetime | None = None) -> bool:
    """Insert or update; False when another update came first. `due`: when its period begins or ends next."""
    stored = await session.fetchval(
        SAVE, c.id, c.hospital, c.patient, c.version, c.kind, c.active, c.discloses, list(c.agencies), list(c.referrals), c.signer,
        c.recorded_by, c.recorded_at, c.valid_from, c.valid_to, c.spoken, c.reason_text, c.received,
        list(c.purposes), list(c.withheld), c.witness, c.decided_by, due,
    )  # fmt: skip
    return stored is not None


def _consent(row: Row) -> Consent:
    return Consent(
        id=row["id"], hospital=row["hospital_id"], patient=row["patient_id"], version=row["version"], kind=row["kind"],
        active=row["active"], discloses=row["discloses"], agencies=tuple(row["agencies"]), referrals=tuple(row["referrals"]),
        signer=row["signer"], recorded_by=row["recorded_by"], recorded_at=row["recorded_at"], valid_from=row["valid_from"],
        valid_to=row["valid_to"], spoken=row["spoken"], reason_text=row["reason_text"], received=row["received"],
        purposes=tuple(row["purposes"]), withheld=tuple(row["withheld"]), witness=row["witness"], decided_by=row["decided_by"],
        confined=tuple(row["confined"]) if row["confined"] is not None else None,
    )  # fmt: skip


OF_PATIENT = (
    f"SELECT {COLUMNS}, confined FROM consent WHERE patient_id = $1 AND hospital_id = $2 AND active AND discloses"
)


async def of_patient(session: Session, patient: Id, hospital: Id) -> list[Consent]:
    """Every active consent and basis that may open this person's identity."""
    return [_consent(row) for row in await session.fetch(OF_PATIENT, patient, hospital)]


SAID_OF = f"SELECT {COLUMNS}, confined FROM consent WHERE patient_id = $1 AND hospital_id = $2 AND active AND kind = 'consent'"


async def said_of(session: Session, patient: Id, hospital: Id) -> list[Consent]:
    """Every active consent of this person, those for purposes of their own too."""
    return [_consent(row) for row in await session.fetch(SAID_OF, patient, hospital)]


ABOUT = f"""
SELECT {COLUMNS}, confined FROM consent
WHERE patient_id = $1 AND hospital_id = $2 AND (cardinality(referrals) = 0 OR $3 = ANY (referrals)) ORDER BY recorded_at, id
"""


async def about(session: Session, patient: Id, hospital: Id, referral: Id) -> list[Consent]:
    """Everything that was ever said of disclosing this referral, withdrawn or not, oldest first."""
    return [_consent(row) for row in await session.fetch(ABOUT, patient, hospital, referral)]


GET = f"SELECT {COLUMNS}, confined FROM consent WHERE id = $1"


async def get(session: Session, id: Id) -> Consent | None:
    row = await session.fetchrow(GET, id)
    return _consent(row) if row else None


DUE = f"SELECT {COLUMNS}, confined FROM consent WHERE due <= $1 ORDER BY due LIMIT $2 FOR UPDATE SKIP LOCKED"


async def due(session: Session, now: datetime, limit: int) -> list[Consent]:
    """Consents whose period began or ended, locked."""
    return [_consent(row) for row in await session.fetch(DUE, now, limit)]


FOLLOWED = "UPDATE consent SET due = $2 WHERE id = $1"


async def followed(session: Session, id: Id, due: datetime | None) -> None:
    """The clock has seen to this consent; when it must do so again."""
    await session.execute(FOLLOWED, id, due)


# The insertion waits for the closing: of one agency one disclosure is open.
DISCLOSE = """
WITH wanted AS (
    SELECT w.id, w.agency_id, w.task_id, w.basis, w.basis_id, string_to_array(w.withheld, ' ') AS withheld,
           string_to_array(w.hidden, ' ') AS hidden, w.until
    FROM unnest($4::uuid[], $5::uuid[], $6::uuid[], $7::text[], $8::uuid[], $10::text[], $11::text[], $12::timestamptz[])
         AS w (id, agency_id, task_id, basis, basis_id, withheld, hidden, until)
), closed AS (
    UPDATE disclosure d SET closed_at = $9 WHERE d.referral_id = $1 AND d.closed_at IS NULL
    AND NOT EXISTS (SELECT 1 FROM wanted w WHERE w.agency_id = d.agency_id AND w.basis_id = d.basis_id
                    AND w.withheld = d.withheld AND d.patient_id = $2)
    RETURNING d.id
)
INSERT INTO disclosure (id, referral_id, patient_id, hospital_id, agency_id, task_id, basis, basis_id, opened_at, withheld,
    hidden, until, origin_id)
SELECT w.id, $1, $2, $3, w.agency_id, w.task_id, w.basis, w.basis_id, $9, w.withheld, w.hidden, w.until,
       (SELECT c.origin_id FROM consent c WHERE c.id = w.basis_id)
FROM wanted w
WHERE (SELECT count(*) FROM closed) >= 0 AND NOT EXISTS (
    SELECT 1 FROM disclosure d
    WHERE d.referral_id = $1 AND d.closed_at IS NULL AND d.agency_id = w.agency_id AND d.basis_id = w.basis_id
    AND d.withheld = w.withheld AND d.patient_id = $2)
"""


class Wanted(msgspec.Struct, frozen=True):
    """A disclosure that is to be open: to which agency, by which Task, on what ground, without which categories, until when."""

    agency: Id
    task: Id
    basis: str
    basis_id: Id
    withheld: tuple[str, ...] = ()
    until: datetime | None = None


async def disclose(
    session: Session, referral: Id, patient: Id, hospital: Id, wanted: Sequence[Wanted], now: datetime
) -> None:
    """Let the open disclosures of a referral be those `wanted` and no others.

    One that goes on is left as it is; one that goes on, on another ground or showing more or less than it was opened on, is
    closed and opened anew, so that the log says since when which ground holds. So is one that shows another record of the
    person than the referral's: it was opened between a merge and its undo.
    """
    await session.execute(
        DISCLOSE, referral, patient, hospital, [new_id() for _ in wanted], [w.agency for w in wanted], [w.task for w in wanted],
        [w.basis for w in wanted], [w.basis_id for w in wanted], now, [" ".join(w.withheld) for w in wanted],
        [" ".join(categories.hidden(w.withheld)) for w in wanted], [w.until for w in wanted],
    )  # fmt: skip


IS_OPEN = "SELECT EXISTS (SELECT 1 FROM disclosure WHERE referral_id = $1 AND agency_id = $2 AND closed_at IS NULL)"


async def is_open(session: Session, referral: Id, agency: Id) -> bool:
    """Whether identity is disclosed to the agency for this referral now."""
    return bool(await session.fetchval(IS_OPEN, referral, agency))


# The minute: of two transactions at once either may have begun first.
HAS_ENDED = """
SELECT EXISTS (SELECT 1 FROM disclosure WHERE agency_id = $1 AND closed_at >= $2::timestamptz - interval '1 minute')
"""


async def has_ended(session: Session, agency: Id, since: datetime) -> bool:
    """Whether anybody was disclosed to the agency who has not been since."""
    return bool(await session.fetchval(HAS_ENDED, agency, since))


OPENED = """
SELECT id, referral_id, patient_id, agency_id, basis, basis_id, opened_at, closed_at, withheld, until FROM disclosure
WHERE patient_id = $1 ORDER BY opened_at, id
"""


async def opened(session: Session, patient: Id) -> list[Disclosure]:
    """Every opening of this person that the scope may see, the oldest first."""
    return [
        Disclosure(
            row["id"], row["referral_id"], row["patient_id"], row["agency_id"], row["basis"], row["basis_id"], row["opened_at"],
            row["closed_at"], tuple(row["withheld"]), row["until"],
        )
        for row in await session.fetch(OPENED, patient)
    ]  # fmt: skip


# ---- persons by marks ------------------------------------------------------------------------------------------------

KEY = "SELECT key FROM installation"


async def key(session: Session) -> bytes:
    """The installation's own key."""
    return await session.fetchval(KEY)


RELATE = """
INSERT INTO related (id, hospital_id, patient_id, suspected, marks, at) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (id) DO NOTHING
"""


async def relate(session: Session, r: Related) -> None:
    await session.execute(RELATE, r.id, r.hospital, r.patient, r.suspected, list(r.marks), r.at)


AROUND = "SELECT id, hospital_id, patient_id, suspected, marks, at FROM related WHERE patient_id = $1"


async def around(session: Session, patient: Id) -> list[Related]:
    """The persons around a patient."""
    return [
        Related(row["id"], row["hospital_id"], row["patient_id"], row["suspected"], tuple(row["marks"]), row["at"])
        for row in await session.fetch(AROUND, patient)
    ]


AROUND_EACH = "SELECT patient_id, marks FROM related WHERE patient_id = ANY ($1)"


async def around_each(session: Session, patients: Sequence[Id]) -> dict[Id, frozenset[bytes]]:
    """The marks of all the persons around each of these patients."""
    found: dict[Id, frozenset[bytes]] = {}
    for row in await session.fetch(AROUND_EACH, list(patients)):
        found[row["patient_id"]] = found.get(row["patient_id"], frozenset()) | frozenset(row["marks"])
    return found


DECLARE = (
    "INSERT INTO conflict (id, agency_id, worker_id, marks, declared_by, declared_at) VALUES ($1, $2, $3, $4, $5, $6)"
)


async def declare(session: Session, c: Conflict) -> None:
    await session.execute(DECLARE, c.id, c.agency, c.worker, list(c.marks), c.declared_by, c.declared_at)


DECLARED = """
SELECT id, agency_id, worker_id, marks, declared_by, declared_at FROM conflict WHERE agency_id = ANY ($1::uuid[])
"""


async def declared(session: Session, agencies: Sequence[Id]) -> list[Conflict]:
    """What the workers of these agencies declared."""
    return [
        Conflict(row["id"], row["agency_id"], row["worker_id"], tuple(row["marks"]), row["declared_by"], row["declared_at"])
        for row in await session.fetch(DECLARED, list(agencies))
    ]  # fmt: skip


REVEAL = """
INSERT INTO reveal (id, referral_id, patient_id, hospital_id, agency_id, actor_id, actor_role, reason, at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
"""


async def keep_reveal(session: Session, r: Reveal) -> None:
    await session.execute(REVEAL, r.id, r.referral, r.patient, r.hospital, r.agency, r.actor, r.role, r.reason, r.at)


REVEALED = """
SELECT id, referral_id, patient_id, hospital_id, agency_id, actor_id, actor_role, reason, at FROM reveal WHERE patient_id = $1 ORDER BY at
"""


async def revealed(session: Session, patient: Id) -> list[Reveal]:
    """Each time an agency was shown the whole number of this person."""
    return [
        Reveal(row["id"], row["referral_id"], row["patient_id"], row["hospital_id"], row["agency_id"], row["actor_id"], row["actor_role"], row["reason"], row["at"])
        for row in await session.fetch(REVEALED, patient)
    ]  # fmt: skip
