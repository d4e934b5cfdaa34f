"""SQL of searches for persons; the row policies decide whom a reader finds at all."""

from collections.abc import Sequence

import msgspec

from service.db import Session
from service.db.finding import (
    COUNT_MOST,
    DISCLOSED,
    OPENED,
    OWN,
    SAID,
    WIDE,
    After,
    Chosen,
    Condition,
    Field,
    Order,
    Where,
    column,
    text,
)
from service.patients import store
from service.patients.model import CITIZEN_NUMBER, Patient
from service.values import Id

_NAME = text("p.name")
# The parts of the names as received, for those who may read that: the hospital and the platform.
_PARTS = (
    "EXISTS (SELECT 1 FROM unnest($1, $2) AS wanted (how, text), record b, jsonb_path_query(b.body::jsonb,"
    """ '$.name[*].keyvalue() ? (@.key == "family" || @.key == "given" || @.key == "text").value[*]') AS part, LATERAL (SELECT part #>> '{}' AS said) AS s"""
    f" WHERE b.id = p.id AND b.version = p.received AND {SAID})"
)

# To an agency only the citizen number is told of, so it finds by no other.
_TOLD = f"(i.hospital_id = {OWN} OR {WIDE} OR i.system = '{CITIZEN_NUMBER}')"

PATIENT: dict[str, Field] = {
    "of-hospital": Field(f"p.hospital_id = {OWN}", ()),
    "of-agency": Field(f"p.id = ANY({DISCLOSED.format('patient_id')})", ()),
    "opened": Field(f"p.id = ANY({OPENED.format('patient_id')})", ("timestamptz",)),
    "id": column("p.id", "uuid"),
    "changed": column("p.updated_at", "timestamptz"),
    "gender": column("p.gender", "text"),
    "born": column("p.birth_date", "date"),
    "hospital": column("p.hospital_id", "uuid"),
    "name": msgspec.structs.replace(_NAME, among=f"{_NAME.among} OR {_PARTS}"),
    "phone": column("p.phone", "text"),
    "number": Field(
        "p.id = ANY(ARRAY(SELECT i.patient_id FROM patient_identifier i, unnest($1, $2) AS wanted (system, value)"
        " WHERE (wanted.system IS NULL OR i.system = wanted.system) AND (wanted.value IS NULL OR i.value = wanted.value)"
        f" AND {_TOLD}))",
        ("text", "text"),
        missing=f"NOT EXISTS (SELECT 1 FROM patient_identifier i WHERE i.patient_id = p.id AND {_TOLD})",
    ),
}
"""What persons can be searched by."""


async def patients(
    session: Session,
    conditions: Sequence[Condition],
    limit: int,
    after: After | None = None,
    order: Order | None = None,
) -> list[Patient]:
    """Persons that the scope may see, one page."""
    where = Where(PATIENT)
    holds = where.holds(conditions)
    behind, by = where.page("p.id", "p.updated_at", after, order or Order())
    rows = await session.fetch(
        f"SELECT p.id FROM patient p WHERE {holds} AND {behind} ORDER BY {by} LIMIT {limit:d}", *where.values
    )
    ids: list[Id] = [row["id"] for row in rows]
    found = {patient.id: patient for patient in await store.get_many(session, ids)}
    return [found[id] for id in ids if id in found]


def chosen(conditions: Sequence[Condition], *, few: bool = False) -> tuple[Chosen, ...]:
    """Persons within a search of what is theirs."""
    return (Chosen(PATIENT, "FROM patient p WHERE true", tuple(conditions), few=few),)


async def count_patients(session: Session, conditions: Sequence[Condition]) -> int:
    """How many there are, counted up to COUNT_MOST + 1."""
    where = Where(PATIENT)
    holds = where.holds(conditions)
    sql = f"SELECT count(*) FROM (SELECT 1 FROM patient p WHERE {holds} LIMIT {COUNT_MOST + 1}) AS counted"
    return await session.fetchval(sql, *where.values)
