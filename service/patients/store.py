"""SQL of persons and stays."""

from collections.abc import Sequence

from asyncpg import Record as Row

from service.db import Session
from service.patients.model import Identifier, Patient, Stay
from service.values import Id

PATIENT = """id, hospital_id, version, name, phone, birth_date, gender, address, region, language, no_identifier_reason, deceased,
 received, updated_at"""

_WHOLE = f"""SELECT {PATIENT}, merged_into,
    ARRAY(SELECT ARRAY[i.system, i.value] FROM patient_identifier i WHERE i.patient_id = patient.id ORDER BY 1) AS identifiers
FROM patient"""

BY_IDENTIFIERS = f"""{_WHOLE} WHERE id IN (
    SELECT patient_id FROM patient_identifier
    WHERE hospital_id = $1 AND (system, value) IN (SELECT * FROM unnest($2::text[], $3::text[])))"""


LOCK_BY_IDENTIFIERS = f"{BY_IDENTIFIERS} ORDER BY id FOR NO KEY UPDATE OF patient"


async def by_identifiers(
    session: Session, hospital: Id, identifiers: Sequence[Identifier], *, lock: bool = False
) -> list[Patient]:
    """The hospital's patients that carry any of these numbers: none, one, or a conflict of several."""
    query = LOCK_BY_IDENTIFIERS if lock else BY_IDENTIFIERS
    rows = await session.fetch(query, hospital, [i.system for i in identifiers], [i.value for i in identifiers])
    return [_patient(row) for row in rows]


GET = f"{_WHOLE} WHERE id = ANY($1)"


async def get(session: Session, id: Id) -> Patient | None:
    found = await get_many(session, [id])
    return found[0] if found else None


async def get_many(session: Session, ids: Sequence[Id]) -> list[Patient]:
    return [_patient(row) for row in await session.fetch(GET, list(ids))]


def _patient(row: Row) -> Patient:
    return Patient(
        id=row["id"], hospital=row["hospital_id"], version=row["version"], name=row["name"], phone=row["phone"],
        birth_date=row["birth_date"], gender=row["gender"], address=row["address"], region=row["region"], language=row["language"],
        no_identifier_reason=row["no_identifier_reason"], deceased=row["deceased"], received=row["received"],
        updated_at=row["updated_at"], merged_into=row["merged_into"], identifiers=tuple(Identifier(system, value) for system, value in row["identifiers"] or ()),
    )  # fmt: skip


# Whoever adds something to a person holds the row in this way until the commit: a merge waits for it, or it sees the merge.
LIVING = "SELECT id, merged_into FROM patient WHERE id = $1 FOR KEY SHARE"


async def living(session: Session, id: Id) -> Id:
    """The record that answers for this person, which is another one where it was absorbed; from here on it stays so until
    the transaction ends. An id that the scope does not know stays what it is."""
    row = await session.fetchrow(LIVING, id)
    if row is None or row["merged_into"] is None:
        return id
    return await living(session, row["merged_into"])


ANSWERING = "SELECT coalesce(merged_into, id) FROM patient WHERE id = $1"


async def answering(session: Session, id: Id) -> Id:
    """The record that answers for this one, as the scope sees it; an id that it does not know stays what it is."""
    return await session.fetchval(ANSWERING, id) or id


# A number that another transaction gives to another patient meanwhile raises UniqueViolationError: the request is
# tried again and finds that patient. The deferred reference lets both rows go in one statement.
SAVE = f"""
WITH gone AS (
    DELETE FROM patient_identifier WHERE patient_id = $1 AND $17
    AND (system, value) NOT IN (SELECT * FROM unnest($15::text[], $16::text[]))
    AND NOT EXISTS (SELECT 1 FROM patient_merge_row j JOIN patient_merge m ON m.id = j.merge_id
                    WHERE j.hospital_id = $2 AND j.system = patient_identifier.system AND j.value = patient_identifier.value
                    AND m.undone_at IS NULL)
), numbers AS (
    INSERT INTO patient_identifier (hospital_id, system, value, patient_id)
    SELECT $2, n.system, n.value, $1 FROM unnest($15::text[], $16::text[]) AS n(system, value)
    WHERE NOT EXISTS (SELECT 1 FROM patient_identifier i WHERE i.hospital_id = $2 AND i.system = n.system AND i.value = n.value
                      AND i.patient_id = $1)
)
INSERT INTO patient ({PATIENT}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
ON CONFLICT (id) DO UPDATE SET version = excluded.version, name = excluded.name, phone = excluded.phone,
    birth_date = excluded.birth_date, gender = excluded.gender, address = excluded.address, region = excluded.region,
    language = excluded.language, no_identifier_reason = excluded.no_identifier_reason, deceased = excluded.deceased,
    received = excluded.received, updated_at = excluded.updated_at
    WHERE patient.version = excluded.version - 1
RETURNING version
"""


async def save(session: Session, patient: Patient, *, whole: bool = False) -> bool:
    """Insert or update; False when another update came first. `whole`: numbers that the patient had besides are dropped, but
    for those of a record that was merged into it."""
    p = patient
    stored = await session.fetchval(
        SAVE, p.id, p.hospital, p.version, p.name, p.phone, p.birth_date, p.gender, p.address, p.region, p.language,
        p.no_identifier_reason, p.deceased, p.received, p.updated_at, [i.system for i in p.identifiers], [i.value for i in p.identifiers],
        whole,
    )  # fmt: skip
    return stored is not None


DIED = "SELECT EXISTS (SELECT 1 FROM stay WHERE patient_id = $1 AND status = 'finished' AND disposition = '5')"


async def died(session: Session, patient: Id) -> bool:
    """Whether a stay of the person ended in death."""
    return bool(await session.fetchval(DIED, patient))


STAY = """id, hospital_id, patient_id, version, status, number_system, number, started_at, ended_at, disposition, destination_region,
 received, updated_at, class, ward, room, bed, department, expected_end, fit_at, admitted_from, receiving, readmission_of, elective"""

GET_STAY = f"SELECT {STAY} FROM stay WHERE id = $1"


LOCK_STAY = f"{GET_STAY} FOR NO KEY UPDATE"


async def get_stay(session: Session, id: Id, *, lock: bool = False) -> Stay | None:
    """The stay. With `lock` nobody else changes it until the transaction ends, and what another was changing is seen."""
    row = await session.fetchrow(LOCK_STAY if lock else GET_STAY, id)
    return _stay(row) if row else None


# What ended in death or was never discharged is followed by no readmission; nor is a visit to the out-patients.
FORMER = f"""
SELECT {STAY} FROM stay
WHERE patient_id = $1 AND hospital_id = $2 AND id <> $3 AND status = 'finished' AND disposition IS NOT NULL AND disposition <> '5'
  AND (class IS NULL OR class = 'in') AND ended_at <= $4 AND ended_at >= $4::timestamptz - make_interval(days => $5)
ORDER BY ended_at DESC, id DESC LIMIT 1
"""


async def former_stay(session: Session, stay: Stay, days: int) -> Stay | None:
    """The patient's last stay at this hospital that ended alive within so many days before this one began."""
    row = await session.fetchrow(FORMER, stay.patient, stay.hospital, stay.id, stay.started_at, days)
    return _stay(row) if row else None


READMITTED = """
SELECT EXISTS (SELECT 1 FROM stay WHERE readmission_of = $1 AND status NOT IN ('planned', 'cancelled', 'entered-in-error', 'unknown'))
"""


async def readmitted(session: Session, stay: Id) -> bool:
    """Whether a readmission followed this stay."""
    return bool(await session.fetchval(READMITTED, stay))


STAY_BY_NUMBER = f"SELECT {STAY} FROM stay WHERE hospital_id = $1 AND number_system = $2 AND number = $3"


LOCK_STAY_BY_NUMBER = f"{STAY_BY_NUMBER} FOR NO KEY UPDATE"


async def locked_stay_by_number(session: Session, hospital: Id, number: Identifier) -> Stay | None:
    """The hospital's stay with this number, locked as by `get_stay`."""
    row = await session.fetchrow(LOCK_STAY_BY_NUMBER, hospital, number.system, number.value)
    return _stay(row) if row else None


def _stay(row: Row) -> Stay:
    return Stay(
        id=row["id"], hospital=row["hospital_id"], patient=row["patient_id"], version=row["version"], status=row["status"],
        number=Identifier(row["number_system"] or "", row["number"]) if row["number"] else None, started_at=row["started_at"],
        ended_at=row["ended_at"], disposition=row["disposition"], region=row["destination_region"], received=row["received"],
        updated_at=row["updated_at"], class_=row["class"], ward=row["ward"], room=row["room"], bed=row["bed"],
        department=row["department"], expected_end=row["expected_end"], fit_at=row["fit_at"], admitted_from=row["admitted_from"],
        receiving=row["receiving"], readmission_of=row["readmission_of"], elective=row["elective"],
    )  # fmt: skip


SAVE_STAY = f"""
INSERT INTO stay ({STAY}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24)
ON CONFLICT (id) DO UPDATE SET version = excluded.version, status = excluded.status, number_system = excluded.number_system,
    number = excluded.number, started_at = excluded.started_at, ended_at = excluded.ended_at, disposition = excluded.disposition,
    destination_region = excluded.destination_region, received = excluded.received, updated_at = excluded.updated_at,
    class = excluded.class, ward = excluded.ward, room = excluded.room, bed = excluded.bed, department = excluded.department,
    expected_end = excluded.expected_end, fit_at = excluded.fit_at, admitted_from = excluded.admitted_from,
    receiving = excluded.receiving, readmission_of = excluded.readmission_of,
    elective = excluded.elective
    WHERE stay.version = excluded.version - 1
RETURNING version
"""


async def save_stay(session: Session, stay: Stay) -> bool:
    """Insert or update; False when another update came first."""
    number = stay.number
    stored = await session.fetchval(
        SAVE_STAY, stay.id, stay.hospital, stay.patient, stay.version, stay.status, number.system if number else None,
        number.value if number else None, stay.started_at, stay.ended_at, stay.disposition, stay.region, stay.received, stay.updated_at,
        stay.class_, stay.ward, stay.room, stay.bed, stay.department, stay.expected_end, stay.fit_at, stay.admitted_from, stay.receiving,
        stay.readmission_of, stay.elective,
    )  # fmt: skip
    return stored is not None
