"""SQL of the directory: reading it, loading it, and the places that shares hold."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any

import asyncpg
import msgspec

from service.db import Session
from service.directory import duty_store
from service.directory.model import (
    Batch,
    Known,
    KnownOrganization,
    Organization,
    Partnership,
    Region,
    Service,
    Tally,
    Worker,
)
from service.practice import Limit
from service.values import Id

ORGANIZATION = """id, key, kind, name_zh, name_en, part_of, uscc, region, status, ready, protection_qualified, co_supervised_by,
phone, email, active, version, updated_at"""
FIND_ORGANIZATIONS = f"SELECT {ORGANIZATION} FROM organization WHERE id = ANY ($1)"


async def organizations(session: Session, ids: Iterable[Id]) -> dict[Id, Organization]:
    """The organisations of these ids, by id; unknown ids are absent."""
    return {row["id"]: Organization(**row) for row in await session.fetch(FIND_ORGANIZATIONS, list(set(ids)))}


async def organization(session: Session, id: Id) -> Organization | None:
    """One organisation."""
    return (await organizations(session, (id,))).get(id)


FIND_KEYS = f"SELECT {ORGANIZATION} FROM organization WHERE key = ANY ($1)"


async def organizations_by_key(session: Session, keys: Iterable[str]) -> dict[str, Organization]:
    """The organisations of these keys (the names in the files), by key."""
    return {row["key"]: Organization(**row) for row in await session.fetch(FIND_KEYS, list(set(keys)))}


LIST_ORGANIZATIONS = f"SELECT {ORGANIZATION} FROM organization WHERE kind = ANY ($1) AND id > $2 ORDER BY id LIMIT $3"


async def list_organizations(session: Session, kinds: Sequence[str], after: Id, limit: int) -> list[Organization]:
    """Organisations of these kinds in the order of their ids, behind `after`."""
    return [Organization(**row) for row in await session.fetch(LIST_ORGANIZATIONS, list(kinds), after, limit)]


SERVICE = """id, key, agency_id AS agency, name_zh, name_en, service_types, needs, regions, populations, languages,
capacity_status, places, confirmed_at, active, version, updated_at"""
FIND_SERVICE = f"SELECT {SERVICE} FROM agency_service WHERE id = $1"


def _service(row: "asyncpg.Record") -> Service:
    columns: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in row.items()}
    return Service(**columns)


async def service(session: Session, id: Id) -> Service | None:
    """One service of an agency."""
    row = await session.fetchrow(FIND_SERVICE, id)
    return _service(row) if row else None


LIST_SERVICES = f"""
SELECT {SERVICE} FROM agency_service WHERE ($1::uuid IS NULL OR agency_id = $1) AND id > $2 ORDER BY id LIMIT $3
"""


async def services(session: Session, agency: Id | None, after: Id, limit: int) -> list[Service]:
    """An agency's services, or everybody's where `agency` is None, behind `after`."""
    return [_service(row) for row in await session.fetch(LIST_SERVICES, agency, after, limit)]


LIST_PARTNERSHIPS = """
SELECT id, hospital_id AS hospital, agency_id AS agency, valid_from, valid_to, needs, rank, mode, reply_limits, departments,
       version, updated_at
FROM partnership WHERE hospital_id = $1 OR agency_id = $1 ORDER BY rank, valid_from DESC, id LIMIT $2
"""


async def partnerships(session: Session, organization: Id, limit: int = 1000) -> list[Partnership]:
    """The partnerships of a hospital or an agency, past ones too, first rank first."""
    return [_partnership(row) for row in await session.fetch(LIST_PARTNERSHIPS, organization, limit)]


def _partnership(row: "asyncpg.Record") -> Partnership:
    columns: dict[str, Any] = dict(row)
    columns["needs"], columns["departments"] = tuple(row["needs"]), tuple(row["departments"])
    columns["reply_limits"] = limits(row["reply_limits"])
    return Partnership(**columns)


def limits(text: str | None) -> dict[str, Limit] | None:
    """A partnership's reply limits by urgency, as stored."""
    return msgspec.json.decode(text, type=dict[str, Limit]) if text else None


REGIONS = "SELECT code, name_zh, name_en, valid_from, valid_to, superseded_by FROM region WHERE code = ANY ($1)"


async def regions(session: Session, codes: Iterable[str]) -> dict[str, Region]:
    """The regions of these codes, by code; unknown ones are absent."""
    return {row["code"]: Region(**row) for row in await session.fetch(REGIONS, list(set(codes)))}


# UNION, not UNION ALL, ends a circle that two files may have made.
SUCCESSOR = """
WITH RECURSIVE later AS (
    SELECT code, superseded_by FROM region WHERE code = $1
    UNION SELECT region.code, region.superseded_by FROM region JOIN later ON region.code = later.superseded_by
)
SELECT code FROM later WHERE superseded_by IS NULL AND code <> $1
"""


async def successor(session: Session, code: str) -> str | None:
    """The region that took the place of this one, if one did."""
    return await session.fetchval(SUCCESSOR, code)


WORKER = """w.id, w.key, w.agency_id AS agency, w.name, w.grade, w.licensed_from, w.licensed_to, w.duty, w.supervisor, w.active,
w.version, w.updated_at, w.away_since, w.stand_in_id AS stand_in, c.number AS certificate"""
FROM_WORKER = "worker w LEFT JOIN worker_certificate c ON c.worker_id = w.id"
FIND_WORKERS = f"SELECT {WORKER} FROM {FROM_WORKER} WHERE w.id = ANY ($1)"


async def workers(session: Session, ids: Iterable[Id]) -> dict[Id, Worker]:
    """The workers of these ids, by id; the certificate's number only for those who may read it."""
    return {row["id"]: Worker(**row) for row in await session.fetch(FIND_WORKERS, list(set(ids)))}


async def worker(session: Session, id: Id) -> Worker | None:
    """One worker."""
    return (await workers(session, (id,))).get(id)


LIST_WORKERS = f"""
SELECT {WORKER} FROM {FROM_WORKER} WHERE ($1::uuid IS NULL OR w.agency_id = $1) AND w.id > $2 ORDER BY w.id LIMIT $3
"""


async def list_workers(session: Session, agency: Id | None, after: Id, limit: int) -> list[Worker]:
    """An agency's staff, or everybody's where `agency` is None, behind `after`."""
    return [Worker(**row) for row in await session.fetch(LIST_WORKERS, agency, after, limit)]


LICENSED = "active AND away_since IS NULL AND licensed_from <= $2 AND (licensed_to IS NULL OR licensed_to >= $2)"
LICENSED_WORKER = f"""
SELECT id FROM worker WHERE agency_id = $1 AND {LICENSED} AND ($3::uuid IS NULL OR id = $3) ORDER BY duty DESC, id LIMIT 1
"""


async def licensed_worker(session: Session, agency: Id, worker: Id | None, day: date) -> Id | None:
    """The worker, if of this agency and licensed on the day; where none is named, the duty worker or another who is."""
    return await session.fetchval(LICENSED_WORKER, agency, day, worker)


# Who hands their work over locks their own row for it and changes it (GO_AWAY): whoever names them at that moment waits, and then sees that
# they are away; whoever was quicker has committed, and what they named is handed over with the rest.
NAMED_WORKER = LICENSED_WORKER + "FOR SHARE"


async def named_worker(session: Session, agency: Id, worker: Id | None, day: date) -> Id | None:
    """As `licensed_worker`, for whom something is written down: until the transaction ends they cannot go away."""
    return await session.fetchval(NAMED_WORKER, agency, day, worker)


WORKER_BY_KEY = "SELECT id FROM worker WHERE key = $1"


async def worker_by_key(session: Session, key: str) -> Id | None:
    """The worker of this key (the name in the files)."""
    return await session.fetchval(WORKER_BY_KEY, key)


PRESENT_WORKER = "SELECT id FROM worker WHERE id = $1 AND agency_id = $2 AND active AND away_since IS NULL FOR SHARE"


async def present_worker(session: Session, agency: Id, worker: Id) -> bool:
    """Whether the worker is in the agency's service and not away; until the transaction ends they cannot go away."""
    return await session.fetchval(PRESENT_WORKER, worker, agency) is not None


LOCK_WORKERS = "SELECT id FROM worker WHERE id = ANY ($1) ORDER BY id FOR UPDATE"


async def lock_workers(session: Session, ids: Sequence[Id]) -> None:
    """Until the transaction ends nobody else names these workers, and none of them goes away."""
    await session.execute(LOCK_WORKERS, list(ids))


GO_AWAY = "UPDATE worker SET away_since = $2, stand_in_id = $3, version = version + 1, updated_at = $4 WHERE id = $1"


async def set_away(session: Session, worker: Id, since: datetime | None, stand_in: Id | None, now: datetime) -> None:
    """The worker is away from now on, and who stands in; or, with None, is back."""
    await session.execute(GO_AWAY, worker, since, stand_in, now)


SUPERVISORS = f"SELECT id FROM worker WHERE agency_id = $1 AND {LICENSED} AND supervisor ORDER BY id LIMIT 100"


async def supervisors(session: Session, agency: Id, day: date) -> list[Id]:
    """The agency's licensed supervisors."""
    return [row["id"] for row in await session.fetch(SUPERVISORS, agency, day)]


# Places. A place is taken and given back by one statement; who holds a lock on it is waited for only when nothing else is free.
TAKE = """
WITH free AS MATERIALIZED (
    SELECT p.service_id, p.number FROM place p JOIN agency_service s ON s.id = p.service_id
    WHERE p.service_id = $1 AND p.task_id IS NULL AND p.number <= s.places
    ORDER BY p.number LIMIT 1 FOR UPDATE OF p SKIP LOCKED
)
UPDATE place SET task_id = $2 FROM free WHERE place.service_id = free.service_id AND place.number = free.number
RETURNING place.number
"""


async def take(session: Session, service: Id, task: Id) -> bool:
    """Give the task a free place that nobody has locked; False when there is none."""
    return await session.fetchval(TAKE, service, task) is not None


# Waits for the holder of the first free place. Where that one took it for good, this transaction has come to hold a lock on
# somebody else's place, which it must give up again before it waits for the next: two that did so would wait for each other.
SAVEPOINT = "SAVEPOINT place"
WAIT = """
WITH first AS MATERIALIZED (
    SELECT p.number FROM place p JOIN agency_service s ON s.id = p.service_id
    WHERE p.service_id = $1 AND p.task_id IS NULL AND p.number <= s.places ORDER BY p.number LIMIT 1
), got AS (
    UPDATE place SET task_id = $2 FROM first
    WHERE place.service_id = $1 AND place.number = first.number AND place.task_id IS NULL RETURNING place.number
)
SELECT EXISTS (SELECT FROM first) AS seen, EXISTS (SELECT FROM got) AS got
"""
UNLOCK = "ROLLBACK TO place"


async def wait_for(session: Session, service: Id, task: Id) -> bool | None:
    """Give the task the first free place, once its holder has let go; None where another got it, False where none is."""
    await session.execute(SAVEPOINT)
    row = await session.fetchrow(WAIT, service, task)
    assert row is not None
    if row["got"]:
        return True
    await session.execute(UNLOCK)
    return None if row["seen"] else False


# Locks first: the next statement then sees what a change of capacity made of these places while this one waited.
LOCK_HELD = "SELECT service_id FROM place WHERE task_id = ANY ($1) ORDER BY service_id, number FOR UPDATE"
RELEASE = """
WITH held AS MATERIALIZED (
    SELECT p.service_id, p.number, p.number > s.places AS surplus FROM place p JOIN agency_service s ON s.id = p.service_id
    WHERE p.task_id = ANY ($1)
), gone AS (
    DELETE FROM place USING held WHERE held.surplus AND place.service_id = held.service_id AND place.number = held.number
)
UPDATE place SET task_id = NULL FROM held
WHERE NOT held.surplus AND place.service_id = held.service_id AND place.number = held.number
RETURNING place.service_id
"""


async def lock_held(session: Session, tasks: Sequence[Id]) -> int:
    """Lock the places that these tasks hold; how many."""
    return len(await session.fetch(LOCK_HELD, tasks))


async def release(session: Session, tasks: Sequence[Id]) -> list[Id]:
    """Free the places of these tasks, drop those above the service's number; the services that got a free place back."""
    return list({row["service_id"] for row in await session.fetch(RELEASE, tasks)})


# After capacity was lowered, shares hold places above the number. Each free place below it goes to one of them, or a
# newcomer could take it and more shares would be held than there are places.
MOVE_DOWN = """
WITH surplus AS MATERIALIZED (
    SELECT h.*, row_number() OVER (PARTITION BY h.service_id ORDER BY h.number) AS turn FROM (
        SELECT p.service_id, p.number, s.places FROM place p JOIN agency_service s ON s.id = p.service_id
        WHERE p.service_id = ANY ($1) AND p.task_id IS NOT NULL AND p.number > s.places
        ORDER BY p.service_id, p.number FOR UPDATE OF p) h
), free AS MATERIALIZED (
    SELECT f.*, row_number() OVER (PARTITION BY f.service_id ORDER BY f.number) AS turn FROM (
        SELECT p.service_id, p.number FROM place p JOIN (SELECT DISTINCT service_id, places FROM surplus) s USING (service_id)
        WHERE p.task_id IS NULL AND p.number <= s.places ORDER BY p.service_id, p.number FOR UPDATE OF p) f
), moved AS (
    DELETE FROM place USING surplus JOIN free USING (service_id, turn)
    WHERE place.service_id = surplus.service_id AND place.number = surplus.number
    RETURNING place.service_id, place.task_id, free.number AS down
)
UPDATE place SET task_id = moved.task_id FROM moved WHERE place.service_id = moved.service_id AND place.number = moved.down
"""


async def move_down(session: Session, services: Sequence[Id]) -> None:
    """Move shares from places above their service's number to free ones below it."""
    await session.execute(MOVE_DOWN, services)


LOCK_PLACES = "SELECT FROM place WHERE service_id = ANY ($1) ORDER BY service_id, number FOR UPDATE"
ADD_PLACES = """
INSERT INTO place (service_id, number) SELECT s.id, n FROM agency_service s, generate_series(1, s.places) n
WHERE s.id = ANY ($1) ON CONFLICT DO NOTHING
"""
DROP_PLACES = """
DELETE FROM place p USING agency_service s
WHERE s.id = p.service_id AND s.id = ANY ($1) AND p.task_id IS NULL AND p.number > s.places
"""


async def fit_places(session: Session, services: Sequence[Id]) -> None:
    """Make the rows of `place` fit the services' numbers. Waits for those who hold one; evicts nobody."""
    await session.execute(LOCK_PLACES, services)
    await session.execute(ADD_PLACES, services)
    await move_down(session, services)
    await session.execute(DROP_PLACES, services)


LOCK_SERVICE = f"SELECT {SERVICE} FROM agency_service WHERE id = $1 FOR UPDATE"


async def lock_service(session: Session, id: Id) -> Service | None:
    """One service, locked against another change of it."""
    row = await session.fetchrow(LOCK_SERVICE, id)
    return _service(row) if row else None


SAVE_CAPACITY = """
UPDATE agency_service SET capacity_status = $2, places = $3, confirmed_at = $4, updated_at = $4, version = version + 1
WHERE id = $1
"""


async def save_capacity(session: Session, service: Service, now: datetime) -> None:
    """Write down the capacity of a service that the caller has locked."""
    await session.execute(SAVE_CAPACITY, service.id, service.capacity_status, service.places, now)


TAKEN = "SELECT service_id, count(*) AS taken FROM place WHERE service_id = ANY ($1) AND task_id IS NOT NULL GROUP BY 1"


async def taken(session: Session, services: Sequence[Id]) -> dict[Id, int]:
    """How many places of each service are held; services of which none is are absent."""
    return {row["service_id"]: row["taken"] for row in await session.fetch(TAKEN, services)}


# Loading.
KNOWN_REGIONS = "SELECT code FROM region"
KNOWN_ORGANIZATIONS = "SELECT id, key, kind, part_of, uscc, status FROM organization"
KNOWN_SERVICES = "SELECT key, id, agency_id FROM agency_service"
KNOWN_WORKERS = "SELECT key, id, agency_id FROM worker"
KNOWN_PARTNERSHIPS = "SELECT hospital_id, agency_id, valid_from, id FROM partnership"


async def known(session: Session) -> Known:
    """What files may refer to. Reads the keys of the whole directory: for loading only."""
    return Known(
        frozenset(row["code"] for row in await session.fetch(KNOWN_REGIONS)),
        {row["key"]: KnownOrganization(**row) for row in await session.fetch(KNOWN_ORGANIZATIONS)},
        {row["key"]: (row["id"], row["agency_id"]) for row in await session.fetch(KNOWN_SERVICES)},
        {row["key"]: (row["id"], row["agency_id"]) for row in await session.fetch(KNOWN_WORKERS)},
        {
            (row["hospital_id"], row["agency_id"], row["valid_from"]): row["id"]
            for row in await session.fetch(KNOWN_PARTNERSHIPS)
        },
        await duty_store.known(session),
    )


LOCK_LOADS = "SELECT pg_advisory_xact_lock(hashtextextended('yuanshe.directory', 0))"


async def lock_loads(session: Session) -> None:
    """One load at a time."""
    await session.execute(LOCK_LOADS)


LOAD_REGIONS = """
INSERT INTO region AS old (code, name_zh, name_en, valid_from, valid_to, superseded_by)
SELECT * FROM json_to_recordset($1)
    AS r(code text, name_zh text, name_en text, valid_from date, valid_to date, superseded_by text)
ON CONFLICT (code) DO UPDATE SET name_zh = excluded.name_zh, name_en = excluded.name_en, valid_from = excluded.valid_from,
    valid_to = excluded.valid_to, superseded_by = excluded.superseded_by
WHERE (old.name_zh, old.name_en, old.valid_from, old.valid_to, old.superseded_by)
    IS DISTINCT FROM (excluded.name_zh, excluded.name_en, excluded.valid_from, excluded.valid_to, excluded.superseded_by)
RETURNING old.xmax = 0 AS added
"""
LOAD_ORGANIZATIONS = """
INSERT INTO organization AS old (id, key, kind, part_of, lineage, name_zh, name_en, uscc, region, status, ready,
    protection_qualified, co_supervised_by, phone, email, active, updated_at)
SELECT id, key, kind, part_of, ARRAY[id], name_zh, name_en, uscc, region, status, ready, protection_qualified,
    co_supervised_by, phone, email, active, $2
FROM json_to_recordset($1) AS r(id uuid, key text, kind text, part_of uuid, name_zh text, name_en text, uscc text,
    region text, status text, ready boolean, protection_qualified boolean, co_supervised_by uuid, phone text, email text,
    active boolean)
ON CONFLICT (key) DO UPDATE SET part_of = excluded.part_of, name_zh = excluded.name_zh, name_en = excluded.name_en,
    uscc = excluded.uscc, region = excluded.region, status = excluded.status, ready = excluded.ready,
    protection_qualified = excluded.protection_qualified, co_supervised_by = excluded.co_supervised_by,
    phone = excluded.phone, email = excluded.email, active = excluded.active, version = old.version + 1, updated_at = $2
WHERE (old.part_of, old.name_zh, old.name_en, old.uscc, old.region, old.status, old.ready, old.protection_qualified,
       old.co_supervised_by, old.phone, old.email, old.active)
    IS DISTINCT FROM (excluded.part_of, excluded.name_zh, excluded.name_en, excluded.uscc, excluded.region, excluded.status,
       excluded.ready, excluded.protection_qualified, excluded.co_supervised_by, excluded.phone, excluded.email,
       excluded.active)
RETURNING old.xmax = 0 AS added
"""
# A move of a hospital carries its campuses along, so that every lineage is written anew where it differs.
LOAD_LINEAGES = """
WITH RECURSIVE up AS (
    SELECT id, part_of, ARRAY[id] AS lineage FROM organization
    UNION ALL SELECT up.id, above.part_of, up.lineage || above.id FROM up JOIN organization above ON above.id = up.part_of
)
UPDATE organization SET lineage = up.lineage FROM up
WHERE up.part_of IS NULL AND organization.id = up.id AND organization.lineage <> up.lineage
"""
# What an agency has said of its capacity since stands; a file that is newer than that replaces it.
LOAD_SERVICES = """
INSERT INTO agency_service AS old (id, key, agency_id, name_zh, name_en, service_types, needs, regions, populations,
    languages, capacity_status, places, confirmed_at, active, updated_at)
SELECT id, key, agency, name_zh, name_en, service_types, needs, regions, populations, languages, capacity_status, places,
    confirmed_at, active, $2
FROM json_to_recordset($1) AS r(id uuid, key text, agency uuid, name_zh text, name_en text, service_types text[],
    needs text[], regions text[], populations text[], languages text[], capacity_status text, places integer,
    confirmed_at timestamptz, active boolean)
ON CONFLICT (key) DO UPDATE SET name_zh = excluded.name_zh, name_en = excluded.name_en,
    service_types = excluded.service_types, needs = excluded.needs, regions = excluded.regions,
    populations = excluded.populations, languages = excluded.languages,
    capacity_status = CASE WHEN $3 AND excluded.confirmed_at > old.confirmed_at THEN excluded.capacity_status
                           ELSE old.capacity_status END,
    places = CASE WHEN $3 AND excluded.confirmed_at > old.confirmed_at THEN excluded.places ELSE old.places END,
    confirmed_at = CASE WHEN $3 THEN greatest(excluded.confirmed_at, old.confirmed_at) ELSE old.confirmed_at END,
    active = excluded.active, version = old.version + 1, updated_at = $2
WHERE (old.name_zh, old.name_en, old.service_types, old.needs, old.regions, old.populations, old.languages, old.active)
    IS DISTINCT FROM (excluded.name_zh, excluded.name_en, excluded.service_types, excluded.needs, excluded.regions,
       excluded.populations, excluded.languages, excluded.active)
    OR ($3 AND excluded.confirmed_at > old.confirmed_at)
RETURNING old.id, old.xmax = 0 AS added
"""
LOAD_PARTNERSHIPS = """
INSERT INTO partnership AS old (id, hospital_id, agency_id, valid_from, valid_to, needs, rank, mode, reply_limits,
    departments, updated_at)
SELECT id, hospital, agency, valid_from, valid_to, needs, rank, mode, reply_limits, departments, $2
FROM json_to_recordset($1) AS r(id uuid, hospital uuid, agency uuid, valid_from date, valid_to date, needs text[],
    rank integer, mode text, reply_limits json, departments text[])
ON CONFLICT (hospital_id, agency_id, valid_from) DO UPDATE SET valid_to = excluded.valid_to, needs = excluded.needs,
    rank = excluded.rank, mode = excluded.mode, reply_limits = excluded.reply_limits, departments = excluded.departments,
    version = old.version + 1, updated_at = $2
WHERE (old.valid_to, old.needs, old.rank, old.mode, old.reply_limits::text, old.departments)
    IS DISTINCT FROM (excluded.valid_to, excluded.needs, excluded.rank, excluded.mode, excluded.reply_limits::text,
       excluded.departments)
RETURNING old.xmax = 0 AS added
"""
LOAD_WORKERS = """
INSERT INTO worker AS old (id, key, agency_id, name, grade, licensed_from, licensed_to, duty, supervisor, active, updated_at)
SELECT id, key, agency, name, grade, licensed_from, licensed_to, duty, supervisor, active, $2
FROM json_to_recordset($1) AS r(id uuid, key text, agency uuid, name text, grade text, licensed_from date, licensed_to date,
    duty boolean, supervisor boolean, active boolean)
ON CONFLICT (key) DO UPDATE SET name = excluded.name, grade = excluded.grade, licensed_from = excluded.licensed_from,
    licensed_to = excluded.licensed_to, duty = excluded.duty, supervisor = excluded.supervisor, active = excluded.active,
    version = old.version + 1, updated_at = $2
WHERE (old.name, old.grade, old.licensed_from, old.licensed_to, old.duty, old.supervisor, old.active)
    IS DISTINCT FROM (excluded.name, excluded.grade, excluded.licensed_from, excluded.licensed_to, excluded.duty,
       excluded.supervisor, excluded.active)
RETURNING old.xmax = 0 AS added
"""
LOAD_CERTIFICATES = """
INSERT INTO worker_certificate AS old (worker_id, agency_id, number)
SELECT id, agency, certificate FROM json_to_recordset($1) AS r(id uuid, agency uuid, certificate text)
WHERE certificate IS NOT NULL
ON CONFLICT (worker_id) DO UPDATE SET number = excluded.number WHERE old.number <> excluded.number
"""


async def load(session: Session, batch: Batch, now: datetime) -> list[Tally]:
    """Write a batch: new rows are added, changed ones get a new version, equal ones are left alone."""
    done = [
        _tally("regions", batch.regions, await session.fetch(LOAD_REGIONS, _json(batch.regions))),
        _tally(
            "organizations",
            batch.organizations,
            await session.fetch(LOAD_ORGANIZATIONS, _json(batch.organizations), now),
        ),
    ]
    await session.execute(LOAD_LINEAGES)
    # A row without a date of its own got `now`: it says nothing newer than what the agency said.
    dated = [service for service in batch.services if service.confirmed_at != now]
    undated = [service for service in batch.services if service.confirmed_at == now]
    changed = await session.fetch(LOAD_SERVICES, _json(dated), now, True)
    changed += await session.fetch(LOAD_SERVICES, _json(undated), now, False)
    if changed:
        await fit_places(session, [row["id"] for row in changed])
    done += [
        _tally("services", batch.services, changed),
        _tally(
            "partnerships", batch.partnerships, await session.fetch(LOAD_PARTNERSHIPS, _json(batch.partnerships), now)
        ),
        _tally("workers", batch.workers, await session.fetch(LOAD_WORKERS, _json(batch.workers), now)),
    ]
    await session.execute(LOAD_CERTIFICATES, _json(batch.workers))
    if batch.rosters:
        done.append(_tally("rosters", batch.rosters, await duty_store.load(session, batch.rosters, now)))
    return done


def _json(rows: Sequence[Any]) -> str:
    return msgspec.json.encode(rows).decode()


def _tally(table: str, rows: Sequence[Any], written: "list[asyncpg.Record]") -> Tally:
    added = sum(row["added"] for row in written)
    return Tally(table, added, len(written) - added, len(rows) - len(written))
