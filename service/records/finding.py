"""SQL of searches in resources kept as received; the row policies decide what a reader finds at all."""

from collections.abc import Sequence

import msgspec

from service.db import Session
from service.db.finding import (
    COUNT_MOST,
    DISCLOSED,
    ID_IN_REFERENCE,
    OPENED,
    OWN,
    WIDE,
    After,
    Chosen,
    Condition,
    Field,
    Order,
    Where,
    column,
    dated,
)
from service.records.model import Record
from service.records.store import COLUMNS, record_of
from service.values import Id

# A part of a resource is named by a JSON path, itself a value: the searcher's table of parameters says where in its
# resources a thing stands, and this room need not know.
_PART = "jsonb_path_query(r.body::jsonb, wanted.path::jsonpath) AS found"

_MADE = "CASE WHEN r.body ->> 'resourceType' IS NULL THEN r.{0} END"

RECORD: dict[str, Field] = {
    "of-hospital": Field(
        f"r.author_id = {OWN} OR (r.returned AND r.hospital_id = {OWN} AND r.author_id <> r.hospital_id)", ()
    ),
    "of-agency": Field(
        f"r.author_id = {OWN} OR r.agency_id = {OWN} OR r.referral_id = ANY({DISCLOSED.format('referral_id')})"
        f" OR r.patient_id = ANY({DISCLOSED.format('patient_id')})",
        (),
    ),
    "opened": Field(
        f"r.referral_id = ANY({OPENED.format('referral_id')}) OR r.patient_id = ANY({OPENED.format('patient_id')})",
        ("timestamptz",),
    ),
    # Given back to the hospital by a Task that changed since: the record itself did not.
    "handed": Field(
        "r.returned AND r.referral_id = ANY(ARRAY(SELECT t.referral_id FROM task t"
        f" WHERE t.hospital_id = {OWN} AND t.updated_at >= ANY($1)))",
        ("timestamptz",),
    ),
    "type": column("r.type", "text"),
    "id": column("r.id", "uuid"),
    "changed": column("r.at", "timestamptz"),
    # Work of an agency hangs on its Task, which may have been told who it is about after the work was written.
    "patient": msgspec.structs.replace(
        column("r.patient_id", "uuid"),
        names="coalesce(r.patient_id, (SELECT t.patient_id FROM task t WHERE t.id = r.task_id))",
    ),
    "referral": column("r.referral_id", "uuid"),
    "task": column("r.task_id", "uuid"),
    "author": column("r.author_id", "uuid"),
    "status": column("coalesce(r.body ->> 'status', r.status)", "text"),
    "kind": column("r.code", "text"),
    # What others wrote to an agency is shown to it in part; the rest is searched by those alone who see the whole.
    "whole": Field(f"r.author_id = {OWN} OR r.hospital_id = {OWN} OR {WIDE}", ()),
    # What is made to be carried away, an export or all about a person, leaves out what is sealed (T3).
    "carried": Field("r.category <> 'safety'", ()),
    # What the service itself wrote has no parts as received; its columns say the same.
    "made": Field("r.body ->> 'resourceType' IS NULL", ()),
    "made-at": Field("", value="CASE WHEN r.body ->> 'resourceType' IS NULL THEN r.at END"),
    "made-kind": Field("r.body ->> 'resourceType' IS NULL AND r.code = ANY($1)", ("text",)),
    "made-referral": Field(
        "r.body ->> 'resourceType' IS NULL AND r.referral_id = ANY($1)", names=_MADE.format("referral_id")
    ),
    "made-task": Field("r.body ->> 'resourceType' IS NULL AND r.task_id = ANY($1)", names=_MADE.format("task_id")),
    "made-agency": Field(
        "r.body ->> 'resourceType' IS NULL AND r.agency_id = ANY($1)", names=_MADE.format("agency_id")
    ),
    "made-hospital": Field(
        "r.body ->> 'resourceType' IS NULL AND r.hospital_id = ANY($1)", names=_MADE.format("hospital_id")
    ),
    "coded": Field(
        f"EXISTS (SELECT 1 FROM unnest($1, $2, $3) AS wanted (path, system, code), {_PART}"
        " WHERE (wanted.system IS NULL OR coalesce(found ->> 'system', '') = wanted.system)"
        " AND (wanted.code IS NULL OR coalesce(found ->> 'code', found ->> 'value') = wanted.code))",
        ("text", "text", "text"),
    ),
    "plain": Field(
        f"EXISTS (SELECT 1 FROM unnest($1, $2) AS wanted (path, text), {_PART} WHERE found #>> '{{}}' = wanted.text)",
        ("text", "text"),
    ),
    # `wanted.name` is `Type/id` or an id alone; references may be absolute, and may name a version.
    "refers": Field(
        f"EXISTS (SELECT 1 FROM unnest($1, $2) AS wanted (path, name), {_PART}"
        " WHERE right('/' || split_part(found #>> '{}', '/_history/', 1), length(wanted.name) + 1) = '/' || wanted.name)",
        ("text", "text"),
    ),
    # Whether the id that stands in a reference is one of those chosen; the other way round, that id.
    "reaches": Field(
        f"EXISTS (SELECT 1 FROM unnest($1) AS wanted (path), {_PART}"
        f" WHERE substring(found #>> '{{}}' from {ID_IN_REFERENCE})::uuid = ANY($2))",
        ("text", "uuid"),
        names=f"substring(jsonb_path_query(r.body::jsonb, $1::text::jsonpath) #>> '{{}}' from {ID_IN_REFERENCE})::uuid",
    ),
    "dated": dated(_PART),
    "has": Field(f"EXISTS (SELECT 1 FROM unnest($1) AS wanted (path), {_PART})", ("text",)),
}
"""What received resources can be searched by."""


_KEPT = f"r.current AND (r.category <> 'supervision' OR r.author_id = {OWN})"
"""What may be found: a supervision note by who wrote it alone, whose scope it ever is."""


async def records(
    session: Session,
    conditions: Sequence[Condition],
    limit: int,
    after: After | None = None,
    order: Order | None = None,
) -> list[Record]:
    """Current versions that the scope may see, one page."""
    where = Where(RECORD)
    holds = where.holds(conditions)
    behind, by = where.page("r.id", "r.at", after, order or Order())
    # An agency's few rows come by four indexes; the fence keeps the planner from walking through everybody's in order.
    fence = " OFFSET 0" if any(condition.field == "of-agency" for condition in conditions) else ""
    sql = f"""SELECT {COLUMNS} FROM (SELECT * FROM record r WHERE {_KEPT} AND {holds} AND {behind}{fence}) AS r
        ORDER BY {by} LIMIT {limit:d}"""
    return [record_of(row) for row in await session.fetch(sql, *where.values)]


def chosen(
    conditions: Sequence[Condition], *, field: str = "id", path: str | None = None, few: bool = False
) -> tuple[Chosen, ...]:
    """Received resources within a search of others. `path`: of the reference that names what is wanted (`reaches`)."""
    lead = (path,) if path else ()
    return (Chosen(RECORD, f"FROM record r WHERE {_KEPT}", tuple(conditions), field, lead, few),)


async def count_records(session: Session, conditions: Sequence[Condition]) -> int:
    """How many there are, counted up to COUNT_MOST + 1."""
    where = Where(RECORD)
    holds = where.holds(conditions)
    sql = f"SELECT count(*) FROM (SELECT 1 FROM record r WHERE {_KEPT} AND {holds} LIMIT {COUNT_MOST + 1}) AS counted"
    return await session.fetchval(sql, *where.values)


BODIES = """
SELECT r.id, r.version, r.body FROM record r JOIN unnest($1::uuid[], $2::int[]) AS wanted (id, version)
  ON wanted.id = r.id AND wanted.version = r.version
"""


async def bodies(session: Session, wanted: Sequence[tuple[Id, int]]) -> dict[tuple[Id, int], bytes]:
    """The bodies of these versions as received, as far as the scope may see them."""
    if not wanted:
        return {}
    rows = await session.fetch(BODIES, [id for id, _ in wanted], [version for _, version in wanted])
    return {(row["id"], row["version"]): row["body"].encode() for row in rows}
