"""SQL of searches for Tasks and requests; the row policies decide what a reader finds at all."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec

from service import codes
from service.db import Session
from service.db.finding import (
    COUNT_MOST,
    DISCLOSED,
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
from service.practice import PLATFORM
from service.referrals.model import FILLER_STATUS, Referral, Task
from service.values import Id

_task = msgspec.json.Decoder(Task, float_hook=Decimal)
_referral = msgspec.json.Decoder(Referral)

# A parent Task is seen by its hospital and the platform alone, so an agency finds nothing by a person whom it was not
# told of; the others find undisclosed shares too.
_REFERRALS_OF = "ARRAY(SELECT p.referral_id FROM task p WHERE p.kind = 'parent' AND p.patient_id = ANY($1))"
_PERSON = f"t.patient_id = ANY($1) OR t.stand_in_id = ANY($1) OR t.referral_id = ANY({_REFERRALS_OF})"
_THEIRS = "coalesce(t.patient_id, (SELECT p.patient_id FROM task p WHERE p.referral_id = t.referral_id AND p.kind = 'parent'))"
_SAFETY = f"string_to_array('{' '.join(sorted(codes.SAFETY_NEEDS))}', ' ')"

_OUTPUTS = "json_array_elements(CASE WHEN t.status IN ('completed', 'failed', 'accepted', 'cancelled') THEN v.snapshot -> 'outputs' END) AS o"

_OF_HOSPITAL = Field(f"t.hospital_id = {OWN}", ())
_OF_AGENCY = Field(f"t.agency_id = {OWN} OR (t.agency_id IS NULL AND t.kind = 'share')", ())

# What has changed since a time has a version since then, which one index finds; an offer without owner is a side's own matter.
_SINCE = Field(
    f"t.id IN (SELECT w.task_id FROM task_version w WHERE w.hospital_id = {OWN} AND w.at >= ($1)[1]"
    f" UNION ALL SELECT w.task_id FROM task_version w WHERE w.agency_id = {OWN} AND w.at >= ($1)[1]"
    f" UNION ALL SELECT o.task_id FROM open_offer o WHERE o.agency_id = {OWN})",
    ("timestamptz",),
)

TASK: dict[str, Field] = {
    "of-hospital": _OF_HOSPITAL,
    "of-agency": _OF_AGENCY,
    "since": _SINCE,
    "id": column("t.id", "uuid"),
    # A duty's word is its code.
    "kind": Field("t.kind = ANY($1) OR (t.kind = 'duty' AND v.snapshot ->> 'item' = ANY($1))", ("text",), "false"),
    "intent": column("'order'::text", "text"),
    "status": column("t.status", "text"),
    "business-status": column("t.business_status", "text"),
    "urgency": column("t.urgency", "text"),
    "changed": column("t.updated_at", "timestamptz"),
    "due": column("t.due_at", "timestamptz"),
    "authored": column("(v.snapshot ->> 'authored_at')::timestamptz", "timestamptz"),
    "patient": Field(_PERSON, names=_THEIRS),
    "named": Field("t.patient_id = ANY($1) OR t.stand_in_id = ANY($1)"),
    "requested-by": Field("t.filler_id = ANY($1) OR t.referral_id = ANY($1)"),
    "withheld": Field("t.kind = 'share' AND t.patient_id IS NULL", ()),
    "referral": column("t.referral_id", "uuid"),
    "focus": Field(
        "(t.kind = 'parent' AND t.referral_id = ANY($1)) OR (t.kind = 'share' AND t.filler_id = ANY($1))",
        missing="t.kind IN ('follow-up', 'duty')",
        names="CASE t.kind WHEN 'parent' THEN t.referral_id WHEN 'share' THEN t.filler_id END",
    ),
    "based-on": Field(
        "t.kind IN ('follow-up', 'duty') AND t.referral_id = ANY($1)",
        missing="t.kind NOT IN ('follow-up', 'duty')",
        names="CASE WHEN t.kind IN ('follow-up', 'duty') THEN t.referral_id END",
    ),
    # Whoever sees the parent finds its shares by an index; an agency, which does not, by what its own shares say.
    "part-of": Field(
        "t.kind = 'share' AND (t.referral_id = ANY(ARRAY(SELECT p.referral_id FROM task p WHERE p.id = ANY($1) AND p.kind = 'parent'))"
        f" OR (t.agency_id = {OWN} AND (v.snapshot ->> 'part_of')::uuid = ANY($1)))",
        missing="t.kind <> 'share'",
        names="CASE t.kind WHEN 'share' THEN (v.snapshot ->> 'part_of')::uuid END",
    ),
    "owner": Field(
        "t.agency_id = ANY($1) OR t.worker_id = ANY($1)"
        f" OR (t.kind = 'parent' AND '{PLATFORM}' = ANY($1))"
        " OR (t.kind IN ('follow-up', 'duty') AND t.agency_id IS NULL AND t.hospital_id = ANY($1))",
        missing="t.kind = 'share' AND t.agency_id IS NULL",
    ),
    "requester": Field(
        f"(t.kind = 'parent' AND t.hospital_id = ANY($1)) OR (t.kind <> 'parent' AND '{PLATFORM}' = ANY($1))",
        missing="false",
    ),
    "output": Field(
        f"EXISTS (SELECT 1 FROM {_OUTPUTS} WHERE substring(o ->> 'reference' from '[A-Za-z]+/[^/]+') = ANY($1))",
        ("text",),
        missing=f"NOT EXISTS (SELECT 1 FROM {_OUTPUTS} WHERE o ->> 'reference' IS NOT NULL)",
    ),
    # The numbers that the hospital gave its own Task; ours have none.
    "number": Field(
        "t.kind = 'parent' AND EXISTS (SELECT 1 FROM record b, json_array_elements(b.body -> 'identifier') AS i,"
        " unnest($1, $2) AS wanted (system, value) WHERE b.id = t.id AND b.current"
        " AND (wanted.system IS NULL OR coalesce(i ->> 'system', '') = wanted.system)"
        " AND (wanted.value IS NULL OR i ->> 'value' = wanted.value))",
        ("text", "text"),
        missing="NOT EXISTS (SELECT 1 FROM record b WHERE b.id = t.id AND b.current AND b.body -> 'identifier' IS NOT NULL)",
    ),
}
"""What Tasks can be searched by."""


async def tasks(
    session: Session,
    conditions: Sequence[Condition],
    limit: int,
    after: After | None = None,
    order: Order | None = None,
) -> list[Task]:
    """Tasks that the scope may see, one page."""
    where = Where(TASK)
    order = order or Order()
    source = _source(conditions, holds := where.holds(conditions))
    behind, by = where.page("t.id", "t.updated_at", after, order)
    # The page first, by what stands in columns; then its snapshots.
    sql = f"""SELECT v.snapshot
        FROM (SELECT t.id, t.version, t.updated_at FROM {source} WHERE {holds} AND {behind} ORDER BY {by} LIMIT {limit:d}) AS t
        JOIN task_version v ON v.task_id = t.id AND v.version = t.version ORDER BY {by}"""
    return [_task.decode(row["snapshot"]) for row in await session.fetch(sql, *where.values)]


def chosen_tasks(conditions: Sequence[Condition], *, field: str = "id", few: bool = False) -> tuple[Chosen, ...]:
    """Tasks, or what they reference by a field, within a search of others."""
    joined = "LEFT JOIN task_version v ON v.task_id = t.id AND v.version = t.version"
    return (Chosen(TASK, f"FROM task t {joined} WHERE true", tuple(conditions), field, few=few),)


async def count_tasks(session: Session, conditions: Sequence[Condition]) -> int:
    """How many there are, counted up to COUNT_MOST + 1."""
    where = Where(TASK)
    source = _source(conditions, holds := where.holds(conditions))
    sql = f"SELECT count(*) FROM (SELECT 1 FROM {source} WHERE {holds} LIMIT {COUNT_MOST + 1}) AS counted"
    return await session.fetchval(sql, *where.values)


# Each half has an index of its own; of the condition with its OR none is made, and the planner would rather walk everybody's
# Tasks until a page is full. Row security shows an offer without owner to those it is open to, and to no other agency.
_ALL_OF_AGENCY = (
    f"(SELECT * FROM task WHERE agency_id = {OWN}"
    " UNION ALL SELECT * FROM task WHERE agency_id IS NULL AND kind = 'share'"
    f" AND id = ANY(ARRAY(SELECT o.task_id FROM open_offer o WHERE o.agency_id = {OWN}))) AS t"
)


def _source(conditions: Sequence[Condition], holds: str) -> str:
    """What the conditions need: the rows alone, or with their snapshots."""
    rows = _ALL_OF_AGENCY if any(each.field == "of-agency" for each in conditions) else "task t"
    joined = " JOIN task_version v ON v.task_id = t.id AND v.version = t.version"
    return f"{rows}{joined if 'v.snapshot' in holds else ''}"


_STATUS = " ".join(f"WHEN '{status}' THEN '{request}'" for status, request in FILLER_STATUS.items())
_RECEIVED = (
    "EXISTS (SELECT 1 FROM record b, jsonb_path_query(b.body::jsonb, '{path}') AS found,"
    " unnest($1, $2) AS wanted (system, code) WHERE b.id = r.id AND b.version = r.received"
    " AND (wanted.system IS NULL OR coalesce(found ->> 'system', '') = wanted.system)"
    " AND (wanted.code IS NULL OR found ->> 'code' = wanted.code))"
)
_LACKS = "EXISTS (SELECT 1 FROM record b WHERE b.id = r.id AND b.version = r.received AND b.body -> '{0}' IS NULL)"
_OURS = (
    f"ARRAY(SELECT w.code FROM unnest($1, $2) AS w (system, code) WHERE w.system IS NULL OR w.system = '{codes.NEED}')"
)
_ANY_OURS = (
    f"EXISTS (SELECT 1 FROM unnest($1, $2) AS w (system, code) WHERE w.system = '{codes.NEED}' AND w.code IS NULL)"
)
# Before disclosure a safety need is found as what it reads, never as what it is.
_SHOWN = (
    f"({_ANY_OURS} OR CASE WHEN t.needs && {_SAFETY} AND t.patient_id IS NULL"
    f" THEN '{codes.SAFETY}' = ANY({_OURS}) ELSE t.needs && {_OURS} END)"
)

# A part of the resource as received, by a path that the searcher knows.
_BODY_PART = (
    "LATERAL (SELECT jsonb_path_query(b.body::jsonb, wanted.path::jsonpath) AS found FROM record b"
    " WHERE b.id = {key} AND b.version = {version}) AS part"
)

_NUMBERS = (
    "SELECT s.referral_id FROM submission s, unnest($1, $2) AS wanted (system, value)"
    " WHERE {0} AND (wanted.system IS NULL OR s.system = wanted.system)"
)

PLACED: dict[str, Field] = {
    "of-hospital": Field(f"r.hospital_id = {OWN}", ()),
    "of-agency": Field(f"r.id = ANY({DISCLOSED.format('referral_id')})", ()),
    "since": Field(
        f"r.id IN (SELECT w.referral_id FROM referral_version w WHERE w.hospital_id = {OWN} AND w.at >= ($1)[1]"
        f" UNION ALL SELECT d.referral_id FROM disclosure d WHERE d.closed_at IS NULL AND d.agency_id = {OWN})",
        ("timestamptz",),
    ),
    "opened": Field(f"r.id = ANY({OPENED.format('referral_id')})", ("timestamptz",)),
    "id": column("r.id", "uuid"),
    "status": column("r.status", "text"),
    "intent": column("'order'::text", "text"),
    "urgency": column("r.urgency", "text"),
    "changed": column("r.updated_at", "timestamptz"),
    "authored": column("r.authored_at", "timestamptz"),
    # By way of the Tasks, which are indexed by person: the parent's, or the share's to which it was disclosed.
    "patient": Field(
        "r.patient_id = ANY($1) AND r.id = ANY(ARRAY(SELECT p.referral_id FROM task p WHERE p.patient_id = ANY($1)))",
        names="r.patient_id",
    ),
    "requester": column("r.hospital_id", "uuid"),
    "performer": column("r.preferred_agency", "uuid"),
    "replaces": column("r.replaces", "uuid"),
    "population": Field(
        "r.id = ANY(ARRAY(SELECT p.referral_id FROM referral_population p WHERE p.code = ANY($1)))",
        ("text",),
        missing="NOT EXISTS (SELECT 1 FROM referral_population p WHERE p.referral_id = r.id)",
    ),
    "based-on": Field("false AND $1 IS NULL", missing="true"),
    "number": Field(
        # By index for a hospital's own number; by looking through them all for the platform, or for a system alone.
        f"r.id = ANY(ARRAY({_NUMBERS.format(f's.hospital_id = {OWN} AND s.value = wanted.value')} UNION ALL"
        f" {_NUMBERS.format(f'({WIDE} OR wanted.value IS NULL) AND (wanted.value IS NULL OR s.value = wanted.value)')}))",
        ("text", "text"),
        missing="false",
    ),
    "category": Field(
        f"{_ANY_OURS} OR r.needs && {_OURS} OR {_RECEIVED.format(path='$.category[*].coding[*]')}",
        ("text", "text"),
        _LACKS.format("category"),
    ),
    "code": Field(
        f"{_ANY_OURS} OR r.needs && {_OURS} OR {_RECEIVED.format(path='$.code.coding[*]')}",
        ("text", "text"),
        _LACKS.format("code"),
    ),
    "supporting": Field(
        "EXISTS (SELECT 1 FROM record b, jsonb_path_query(b.body::jsonb, '$.supportingInfo[*].reference') AS found"
        " WHERE b.id = r.id AND b.version = r.received AND substring(found #>> '{}' from '[A-Za-z]+/[^/]+') = ANY($1))",
        ("text",),
        _LACKS.format("supportingInfo"),
    ),
    "occurrence": dated(_BODY_PART.format(key="r.id", version="r.received")),
    "has-occurrence": Field(
        f"EXISTS (SELECT 1 FROM unnest($1) AS wanted (path), {_BODY_PART.format(key='r.id', version='r.received')})",
        ("text",),
    ),
}
"""What placers' requests can be searched by."""

FILLED: dict[str, Field] = {
    "of-hospital": _OF_HOSPITAL,
    "of-agency": _OF_AGENCY,
    "since": _SINCE,
    "opened": Field("false AND $1 IS NULL", ("timestamptz",)),
    "id": column("t.filler_id", "uuid"),
    "status": column(f"CASE t.status {_STATUS} END", "text"),
    "intent": column("'filler-order'::text", "text"),
    "urgency": column("t.urgency", "text"),
    # Its share changes with it.
    "changed": msgspec.structs.replace(
        column("(v.snapshot ->> 'filler_at')::timestamptz", "timestamptz"), upper="t.updated_at"
    ),
    "authored": column("(v.snapshot ->> 'authored_at')::timestamptz", "timestamptz"),
    "patient": Field(_PERSON, names=_THEIRS),
    "requester": column(f"'{PLATFORM}'::uuid", "uuid"),
    "performer": column("t.agency_id", "uuid"),
    "replaces": Field("false AND $1 IS NULL", missing="true"),
    "population": Field("false AND $1 IS NULL", ("text",), missing="true"),
    # Only to whom the placer's request is open: to an agency it is while identity is disclosed.
    "based-on": Field(
        "t.referral_id = ANY(ARRAY(SELECT r.id FROM referral r WHERE r.id = ANY($1)))",
        missing="t.patient_id IS NULL",
        names="(SELECT r.id FROM referral r WHERE r.id = t.referral_id)",
    ),
    "number": Field("false AND $1 IS NULL AND $2 IS NULL", ("text", "text"), missing="true"),
    "category": Field(_SHOWN, ("text", "text")),
    "code": Field(_SHOWN, ("text", "text")),
    "supporting": Field("false AND $1 IS NULL", ("text",), missing="true"),
    "occurrence": Field("false AND num_nonnulls($1, $2, $3, $4) = 0", ("text", "text", "timestamptz", "timestamptz")),
    "has-occurrence": Field("false AND $1 IS NULL", ("text",)),
}
"""The same of filler requests, which are derived from shares."""

_PLACED = "FROM referral r JOIN referral_version v ON v.referral_id = r.id AND v.version = r.version"
_FILLED = "FROM task t JOIN task_version v ON v.task_id = t.id AND v.version = t.version WHERE t.filler_id IS NOT NULL"


async def requests(
    session: Session,
    conditions: Sequence[Condition],
    limit: int,
    after: After | None = None,
    order: Order | None = None,
) -> list[Referral | Task]:
    """Placers' requests, and shares in place of their filler requests, that the scope may see; one page."""
    order = order or Order()
    values: list[Any] = []
    halves: list[str] = []
    for fields, source, columns in (
        (PLACED, f"{_PLACED} WHERE", "'placed' AS source, r.id, r.updated_at AS changed, v.snapshot"),
        (FILLED, f"{_FILLED} AND", "'filled' AS source, t.filler_id AS id, (v.snapshot ->> 'filler_at')::timestamptz AS changed, v.snapshot"),
    ):  # fmt: skip
        where = Where(fields, values)
        holds = where.holds(conditions)
        behind, by = where.page(str(fields["id"].value), str(fields["changed"].value), after, order)
        halves.append(f"(SELECT {columns} {source} {holds} AND {behind} ORDER BY {by} LIMIT {limit:d})")
    _, by = Where({}, []).page("id", "changed", None, order)
    rows = await session.fetch(f"{' UNION ALL '.join(halves)} ORDER BY {by} LIMIT {limit:d}", *values)
    return [(_referral if row["source"] == "placed" else _task).decode(row["snapshot"]) for row in rows]


def chosen_requests(conditions: Sequence[Condition], *, field: str = "id", few: bool = False) -> tuple[Chosen, ...]:
    """Requests of both kinds, or what they reference by a field, within a search of others."""
    wanted = tuple(conditions)
    both = (
        Chosen(PLACED, f"{_PLACED} WHERE true", wanted, field, few=few),
        Chosen(FILLED, _FILLED, wanted, field, few=few),
    )
    return tuple(each for each in both if each.fields[field].names or each.fields[field].value)


async def count_requests(session: Session, conditions: Sequence[Condition]) -> int:
    """How many there are, counted up to COUNT_MOST + 1."""
    values: list[Any] = []
    placed = f"(SELECT 1 {_PLACED} WHERE {Where(PLACED, values).holds(conditions)} LIMIT {COUNT_MOST + 1})"
    filled = f"(SELECT 1 {_FILLED} AND {Where(FILLED, values).holds(conditions)} LIMIT {COUNT_MOST + 1})"
    sql = (
        f"SELECT count(*) FROM (SELECT * FROM ({placed} UNION ALL {filled}) AS whole LIMIT {COUNT_MOST + 1}) AS counted"
    )
    return await session.fetchval(sql, *values)


FILLER_VERSIONS = """
SELECT DISTINCT ON (v.filler_version) v.snapshot FROM task t JOIN task_version v ON v.task_id = t.id
WHERE t.filler_id = $1 AND ($2::int IS NULL OR v.filler_version = $2)
ORDER BY v.filler_version DESC, v.version
"""


async def filler_versions(session: Session, filler: Id, version: int | None = None) -> list[Task]:
    """The share as it was when each version of its filler request began, newest first."""
    return [_task.decode(row["snapshot"]) for row in await session.fetch(FILLER_VERSIONS, filler, version)]


SHARES_OF_STAND_INS = """
SELECT v.snapshot FROM task t JOIN task_version v ON v.task_id = t.id AND v.version = t.version
WHERE t.stand_in_id = ANY($1) ORDER BY t.id DESC
"""


async def shares_of_stand_ins(session: Session, stand_ins: Sequence[Id]) -> list[Task]:
    """The shares whose per-offer Patients these are."""
    return [_task.decode(row["snapshot"]) for row in await session.fetch(SHARES_OF_STAND_INS, list(stand_ins))]


REFERRALS_OF = "SELECT DISTINCT referral_id FROM task WHERE patient_id = ANY($1) ORDER BY referral_id"


async def referrals_of(session: Session, persons: Sequence[Id]) -> list[Id]:
    """The referrals of these persons, as far as the scope knows whose they are."""
    return [row["referral_id"] for row in await session.fetch(REFERRALS_OF, list(persons))]
