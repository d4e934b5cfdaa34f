"""SQL of merges: who was absorbed by whom, and the journal of every row that moved."""

from collections.abc import Sequence
from datetime import datetime

from asyncpg import Record as Row

from service.db import Session
from service.patients.model import Merge
from service.values import Id

MOVED = {
    "stay": "id", "consent": "id", "disclosure": "id", "related": "id", "reveal": "id", "visit": "id", "case_file": "id",
    "intervention": "id", "contact_attempt": "id", "attachment": "id", "screening": "response_id", "suggestion": "id",
    "mandatory_report": "record_id",
}  # fmt: skip
"""Tables whose rows follow the person by `patient_id`, each with its key; a test holds the list complete. Referrals and Tasks
follow by moves of their own, which give them new versions, records below, and the rules of safe contact are stated anew."""

COLUMNS = "id, hospital_id, survivor_id, absorbed_id, at, by_id, survivor_deceased, survivor_reason, absorbed_received, undone_at"

LOCK_STAYS = "SELECT id FROM stay WHERE patient_id = ANY($1) ORDER BY id FOR NO KEY UPDATE"
LOCK_PATIENTS = "SELECT id FROM patient WHERE id = ANY($1) ORDER BY id FOR UPDATE"
LOCK_CONSENTS = "SELECT id FROM consent WHERE patient_id = ANY($1) ORDER BY id FOR NO KEY UPDATE"


async def lock(session: Session, patients: Sequence[Id]) -> None:
    """Nobody else admits, places, consents for or merges these persons until the transaction ends. The order is that of
    every other verb: the stay, the person, the consent, then (the caller's) the referrals."""
    await session.execute(LOCK_STAYS, list(patients))
    await session.execute(LOCK_PATIENTS, list(patients))
    await session.execute(LOCK_CONSENTS, list(patients))


def _moves(old: str, new: str, chosen: str) -> str:
    """One statement that moves rows of every kind from the person `old` to `new`, as far as `chosen` says, and answers with
    what it moved: kind, row_id, system, value. The resource of a person itself stays with its id."""
    parts = [
        f"moved_{table} AS (UPDATE {table} t SET patient_id = {new} WHERE t.patient_id = {old}"
        f" AND {chosen.format(kind=table, id=f't.{key}')} RETURNING t.{key} AS id)"
        for table, key in MOVED.items()
    ]
    parts.append(
        f"moved_record AS (UPDATE record t SET patient_id = {new} WHERE t.patient_id = {old} AND t.type <> 'Patient' AND t.id IN ("
        f"SELECT r.id FROM record r WHERE r.patient_id = {old} AND r.current AND {chosen.format(kind='record', id='r.id')}) RETURNING t.id)"
    )
    parts.append(
        f"moved_patient AS (UPDATE patient t SET merged_into = {new} WHERE t.merged_into = {old} AND t.id <> {new}"
        f" AND {chosen.format(kind='patient', id='t.id')} RETURNING t.id)"
    )
    rows = [
        f"SELECT '{table}' AS kind, id AS row_id, NULL AS system, NULL AS value FROM moved_{table}"
        for table in (*MOVED, "patient")
    ]
    rows.append("SELECT DISTINCT 'record', id, NULL, NULL FROM moved_record")
    return f"WITH {', '.join(parts)}, moved AS ({' UNION ALL '.join(rows)})"


# $1 absorbed, $2 survivor, $3 the merge, $4 its hospital.
MOVE = f"""{_moves("$1", "$2", "true")}, numbers AS (
    UPDATE patient_identifier SET patient_id = $2 WHERE patient_id = $1 RETURNING system, value
)
INSERT INTO patient_merge_row (merge_id, hospital_id, kind, row_id, system, value)
SELECT $3::uuid, $4::uuid, kind, row_id, system, value FROM moved
UNION ALL SELECT $3, $4, 'patient_identifier', NULL, system, value FROM numbers
UNION ALL SELECT $3, $4, 'referral', referral_id, NULL, NULL FROM task WHERE kind = 'parent' AND patient_id = $1
"""


async def move(session: Session, absorbed: Id, survivor: Id, merge: Id, hospital: Id) -> None:
    """Everything of the absorbed record becomes the survivor's, and the journal says what; its referrals, which are journalled
    with it, are the caller's to move. Needs the platform's scope."""
    await session.execute(MOVE, absorbed, survivor, merge, hospital)


_JOURNALLED = (
    "EXISTS (SELECT 1 FROM patient_merge_row j WHERE j.merge_id = $3 AND j.kind = '{kind}' AND j.row_id = {id})"
)

MOVE_BACK = f"""{_moves("$2", "$1", _JOURNALLED)}, numbers AS (
    UPDATE patient_identifier i SET patient_id = $1 WHERE i.patient_id = $2 AND EXISTS (
        SELECT 1 FROM patient_merge_row j WHERE j.merge_id = $3 AND j.system = i.system AND j.value = i.value)
    RETURNING 1
)
SELECT (SELECT count(*) FROM moved) + (SELECT count(*) FROM numbers)
"""


async def move_back(session: Session, absorbed: Id, survivor: Id, merge: Id) -> None:
    """What the merge moved, and is the survivor's still, is the absorbed record's again. Needs the platform's scope."""
    await session.execute(MOVE_BACK, absorbed, survivor, merge)


# What was suspected of somebody around either record keeps them from signing for both: the stricter of two seals is kept.
KEEP_SUSPECTS = """
INSERT INTO related (id, hospital_id, patient_id, suspected, marks, at)
SELECT gen_random_uuid(), r.hospital_id, CASE r.patient_id WHEN $1 THEN $2 ELSE $1 END, true, r.marks, r.at
FROM related r WHERE r.patient_id IN ($1, $2) AND r.suspected AND NOT EXISTS (
    SELECT 1 FROM related k WHERE k.patient_id = CASE r.patient_id WHEN $1 THEN $2 ELSE $1 END AND k.suspected AND k.marks = r.marks)
"""


async def keep_suspects(session: Session, one: Id, other: Id) -> None:
    """After the undo of a merge whoever was suspected on one record is so on the other as well."""
    await session.execute(KEEP_SUSPECTS, one, other)


REFERRALS = "SELECT row_id FROM patient_merge_row WHERE merge_id = $1 AND kind = 'referral' ORDER BY row_id"


async def referrals(session: Session, merge: Id) -> list[Id]:
    """The referrals that a merge moved."""
    return [row["row_id"] for row in await session.fetch(REFERRALS, merge)]


# Ids are ordered by time, and the merge has one: what came later was added since.
ADDED = """
SELECT type, id FROM (
    SELECT 'ServiceRequest' AS type, referral_id AS id FROM task WHERE kind = 'parent' AND patient_id = $1
    UNION SELECT type, id FROM record WHERE patient_id = $1 AND current AND type NOT IN ('Patient', 'ServiceRequest', 'Task')
) AS theirs WHERE id > $2 ORDER BY id
"""


async def added(session: Session, survivor: Id, merge: Id) -> list[tuple[str, Id]]:
    """What came to the survivor since the merge: type and id of each resource, oldest first."""
    return [(row["type"], row["id"]) for row in await session.fetch(ADDED, survivor, merge)]


ADD = f"INSERT INTO patient_merge ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"


async def add(session: Session, m: Merge, by: Id) -> None:
    """Begin the journal of a merge."""
    await session.execute(
        ADD, m.id, m.hospital, m.survivor, m.absorbed, m.at, by, m.survivor_deceased, m.survivor_reason, m.absorbed_received, m.undone_at
    )  # fmt: skip


GET = f"SELECT {COLUMNS} FROM patient_merge WHERE id = $1"


async def get(session: Session, id: Id) -> Merge | None:
    row = await session.fetchrow(GET, id)
    return _merge(row) if row else None


STANDING = f"SELECT {COLUMNS} FROM patient_merge WHERE absorbed_id = $1 AND undone_at IS NULL"


async def standing(session: Session, absorbed: Id) -> Merge | None:
    """The merge by which this record was absorbed, unless it was undone."""
    row = await session.fetchrow(STANDING, absorbed)
    return _merge(row) if row else None


UNDO = "UPDATE patient_merge SET undone_at = $2, undone_by = $3, undone_why = $4 WHERE id = $1"


async def set_undone(session: Session, id: Id, now: datetime, by: Id, why: str) -> None:
    await session.execute(UNDO, id, now, by, why)


# A record that takes another in, or gives it back, has a new version though its hospital sent none.
ABSORB = """
WITH absorbed AS (
    UPDATE patient SET merged_into = $2, version = version + 1, updated_at = $3, received = coalesce($4, received) WHERE id = $1
    RETURNING deceased
)
UPDATE patient p SET version = p.version + 1, updated_at = $3, deceased = p.deceased OR absorbed.deceased,
    no_identifier_reason = CASE WHEN EXISTS (SELECT 1 FROM patient_identifier i WHERE i.patient_id = p.id)
                                THEN NULL ELSE p.no_identifier_reason END
FROM absorbed WHERE p.id = $2
"""


async def absorb(session: Session, absorbed: Id, survivor: Id, now: datetime, received: int | None) -> None:
    """Mark the one record as absorbed by the other; `received`: the version in which its hospital said so, if it did."""
    await session.execute(ABSORB, absorbed, survivor, now, received)


RELEASE = """
WITH released AS (
    UPDATE patient SET merged_into = NULL, version = version + 1, updated_at = $3, received = $6 WHERE id = $1 RETURNING 1
)
UPDATE patient p SET version = p.version + 1, updated_at = $3, deceased = $4,
    no_identifier_reason = CASE WHEN EXISTS (SELECT 1 FROM patient_identifier i WHERE i.patient_id = p.id)
                                THEN p.no_identifier_reason ELSE $5 END
FROM released WHERE p.id = $2
"""


async def release(session: Session, m: Merge, now: datetime, deceased: bool) -> None:
    """Both records stand for themselves again; the survivor without a number says why again, as it did before."""
    await session.execute(RELEASE, m.absorbed, m.survivor, now, deceased, m.survivor_reason, m.absorbed_received)


# A blanket consent was given on one of the two records, and covers that one's referrals alone from now on.
CONFINE = """
UPDATE consent c SET confined = ARRAY(SELECT t.referral_id FROM task t WHERE t.kind = 'parent' AND t.patient_id = c.patient_id)
WHERE c.patient_id = ANY($1) AND cardinality(c.referrals) = 0 AND c.confined IS NULL
"""


ORIGIN_OF_DISCLOSURES = "UPDATE disclosure SET origin_id = patient_id WHERE patient_id = ANY($1) AND origin_id IS NULL"

ORIGIN_OF_RECORDS = """
UPDATE record SET origin_id = patient_id WHERE id IN (
    SELECT id FROM record WHERE patient_id = ANY($1) AND current AND category = 'supporting' AND referral_id IS NULL AND origin_id IS NULL)
"""

# A ground that opens somebody only after the merge opens them on the record on which it was given.
ORIGIN_OF_CONSENTS = "UPDATE consent SET origin_id = patient_id WHERE patient_id = ANY($1) AND origin_id IS NULL"
ORIGIN_OF_STAYS = "UPDATE stay SET origin_id = patient_id WHERE patient_id = ANY($1) AND origin_id IS NULL"


async def confine(session: Session, patients: Sequence[Id]) -> None:
    """No consent given on one of these records opens what was the other's: neither its referrals, nor what speaks of the
    person as such. Call it before anything is moved."""
    await session.execute(CONFINE, list(patients))
    await session.execute(ORIGIN_OF_DISCLOSURES, list(patients))
    await session.execute(ORIGIN_OF_RECORDS, list(patients))
    await session.execute(ORIGIN_OF_CONSENTS, list(patients))
    await session.execute(ORIGIN_OF_STAYS, list(patients))


def _merge(row: Row) -> Merge:
    return Merge(
        id=row["id"], hospital=row["hospital_id"], survivor=row["survivor_id"], absorbed=row["absorbed_id"], at=row["at"],
        survivor_deceased=row["survivor_deceased"], survivor_reason=row["survivor_reason"], absorbed_received=row["absorbed_received"], undone_at=row["undone_at"],
    )  # fmt: skip
