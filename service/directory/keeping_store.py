"""SQL of the directory as its administrator looks through it: lists by key with a filter, what ends soon, what nobody confirmed."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import msgspec

from service.db import Session
from service.directory.model import Organization, Partnership, Service, Worker
from service.directory.store import ORGANIZATION, SERVICE, limits
from service.values import Id

# Lists of the whole directory, in the order of their unique keys; a text is looked for in names and keys.
_FOUND = "($1::text IS NULL OR strpos(lower({0}), lower($1)) > 0)"

ORGANIZATIONS = f"""
SELECT {ORGANIZATION} FROM organization
WHERE {_FOUND.format("name_zh || ' ' || name_en || ' ' || key")} AND ($2::text[] IS NULL OR kind = ANY ($2)) AND key > $3 ORDER BY key LIMIT $4
"""


async def organizations(session: Session, text: str | None, kinds: Sequence[str] | None, after: str, limit: int) -> list[Organization]:  # fmt: skip
    rows = await session.fetch(ORGANIZATIONS, text, list(kinds) if kinds else None, after, limit)
    return [Organization(**row) for row in rows]


class Offered(msgspec.Struct, frozen=True):
    """A service, its agency's name and key, and how many of its places are held."""

    service: Service
    agency_key: str
    agency_zh: str
    agency_en: str
    taken: int


_SERVICES = f"""
SELECT {", ".join(f"s.{column.strip()}" for column in SERVICE.split(","))}, o.key AS agency_key, o.name_zh AS agency_zh, o.name_en AS agency_en,
       (SELECT count(*) FROM place p WHERE p.service_id = s.id AND p.task_id IS NOT NULL) AS taken
FROM agency_service s JOIN organization o ON o.id = s.agency_id
"""
SERVICES = f"""{_SERVICES}
WHERE {_FOUND.format("s.name_zh || ' ' || s.name_en || ' ' || s.key || ' ' || o.name_zh")} AND ($2::uuid IS NULL OR s.agency_id = $2)
  AND ($3::timestamptz IS NULL OR (s.active AND s.confirmed_at < $3)) AND s.key > $4 ORDER BY s.key LIMIT $5
"""
SERVICE_BY_ID = f"{_SERVICES} WHERE s.id = $1"


async def services(
    session: Session, text: str | None, agency: Id | None, confirmed_before: datetime | None, after: str, limit: int
) -> list[Offered]:
    """`confirmed_before`: only services in use whose capacity nobody confirmed since."""
    return [_offered(row) for row in await session.fetch(SERVICES, text, agency, confirmed_before, after, limit)]


async def service(session: Session, id: Id) -> Offered | None:
    row = await session.fetchrow(SERVICE_BY_ID, id)
    return _offered(row) if row else None


def _offered(row: Any) -> Offered:
    names = Service.__struct_fields__
    columns: dict[str, Any] = {name: tuple(row[name]) if isinstance(row[name], list) else row[name] for name in names}
    return Offered(Service(**columns), row["agency_key"], row["agency_zh"], row["agency_en"], row["taken"])


class Employed(msgspec.Struct, frozen=True):
    """A worker with their certificate, and their agency's name and key."""

    worker: Worker
    agency_key: str
    agency_zh: str
    agency_en: str


_WORKERS = """
SELECT w.id, w.key, w.agency_id AS agency, w.name, w.grade, w.licensed_from, w.licensed_to, w.duty, w.supervisor, w.active, w.version,
       w.updated_at, w.away_since, w.stand_in_id AS stand_in, c.number AS certificate,
       o.key AS agency_key, o.name_zh AS agency_zh, o.name_en AS agency_en
FROM worker w JOIN organization o ON o.id = w.agency_id LEFT JOIN worker_certificate c ON c.worker_id = w.id
"""
WORKERS = f"""{_WORKERS}
WHERE {_FOUND.format("w.name || ' ' || w.key || ' ' || o.name_zh")} AND ($2::uuid IS NULL OR w.agency_id = $2)
  AND ($3::date IS NULL OR (w.active AND w.licensed_to <= $3)) AND w.key > $4 ORDER BY w.key LIMIT $5
"""
WORKER_BY_ID = f"{_WORKERS} WHERE w.id = $1"


async def workers(
    session: Session, text: str | None, agency: Id | None, licensed_until: date | None, after: str, limit: int
) -> list[Employed]:
    """`licensed_until`: only active workers whose licence ends by that day, or has ended."""
    return [_employed(row) for row in await session.fetch(WORKERS, text, agency, licensed_until, after, limit)]


async def worker(session: Session, id: Id) -> Employed | None:
    row = await session.fetchrow(WORKER_BY_ID, id)
    return _employed(row) if row else None


def _employed(row: Any) -> Employed:
    worker = Worker(**{name: row[name] for name in Worker.__struct_fields__})
    return Employed(worker, row["agency_key"], row["agency_zh"], row["agency_en"])


_PARTNERSHIP = """p.id, p.hospital_id AS hospital, p.agency_id AS agency, p.valid_from, p.valid_to, p.needs, p.rank, p.mode, p.reply_limits,
    p.departments, p.version, p.updated_at"""
PARTNERSHIPS = f"""
SELECT {_PARTNERSHIP} FROM partnership p WHERE p.hospital_id = ANY ($1) ORDER BY p.hospital_id, p.agency_id, p.valid_from LIMIT $2
"""
PARTNERSHIP_BY_ID = f"SELECT {_PARTNERSHIP} FROM partnership p WHERE p.id = $1"
ENDING = f"""
SELECT {_PARTNERSHIP} FROM partnership p WHERE p.valid_to BETWEEN $1 AND $2
  AND NOT EXISTS (SELECT FROM partnership n WHERE n.hospital_id = p.hospital_id AND n.agency_id = p.agency_id AND n.valid_from > p.valid_from
                  AND n.valid_from <= p.valid_to + 1)
ORDER BY p.valid_to, p.id LIMIT $3
"""
# Whoever writes a partnership has the directory's lock, so that none comes in between.
OVERLAPPING = """
SELECT count(*) FROM partnership p JOIN partnership n ON n.hospital_id = p.hospital_id AND n.agency_id = p.agency_id AND n.id > p.id
WHERE p.hospital_id = $1 AND p.agency_id = $2
  AND daterange(p.valid_from, p.valid_to, '[]') && daterange(n.valid_from, n.valid_to, '[]')
"""


async def partnerships(session: Session, hospitals: Sequence[Id], limit: int = 2000) -> list[Partnership]:
    """Of these hospitals and campuses, past and coming ones too, agency by agency in the order of time."""
    return [_partnership(row) for row in await session.fetch(PARTNERSHIPS, list(hospitals), limit)]


async def partnership(session: Session, id: Id) -> Partnership | None:
    """One of them; who writes has the directory's lock."""
    row = await session.fetchrow(PARTNERSHIP_BY_ID, id)
    return _partnership(row) if row else None


async def ending(session: Session, first: date, last: date, limit: int) -> list[Partnership]:
    """Partnerships whose last day lies between these, and which nothing follows."""
    return [_partnership(row) for row in await session.fetch(ENDING, first, last, limit)]


async def overlapping(session: Session, hospital: Id, agency: Id) -> bool:
    """Whether two partnerships of this pair hold on one day."""
    return bool(await session.fetchval(OVERLAPPING, hospital, agency))


def _partnership(row: Any) -> Partnership:
    columns: dict[str, Any] = dict(row)
    columns["needs"], columns["departments"] = tuple(row["needs"]), tuple(row["departments"])
    columns["reply_limits"] = limits(row["reply_limits"])
    return Partnership(**columns)


CAMPUSES = f"SELECT {ORGANIZATION} FROM organization WHERE id = $1 OR part_of = $1 ORDER BY (id <> $1), key LIMIT 100"


async def campuses(session: Session, hospital: Id) -> list[Organization]:
    """A hospital and its campuses, itself first."""
    return [Organization(**row) for row in await session.fetch(CAMPUSES, hospital)]


COUNT_UNCONFIRMED = "SELECT count(*) FROM agency_service WHERE active AND confirmed_at < $1"
COUNT_LICENCES = "SELECT count(*) FROM worker WHERE active AND licensed_to <= $1"


async def counts(session: Session, confirmed_before: datetime, licensed_until: date) -> tuple[int, int]:
    """How many services in use nobody confirmed since, and how many active workers' licences end by that day."""
    return (
        await session.fetchval(COUNT_UNCONFIRMED, confirmed_before),
        await session.fetchval(COUNT_LICENCES, licensed_until),
    )


VERSION_OF_ORGANIZATION = "SELECT version FROM organization WHERE key = $1"
VERSION_OF_SERVICE = "SELECT version FROM agency_service WHERE key = $1"
VERSION_OF_WORKER = "SELECT version FROM worker WHERE key = $1"
_VERSIONS = {"organizations": VERSION_OF_ORGANIZATION, "services": VERSION_OF_SERVICE, "workers": VERSION_OF_WORKER}


async def version(session: Session, table: str, key: str) -> int | None:
    """The version of the line of this key; None where there is none."""
    return await session.fetchval(_VERSIONS[table], key)


NEEDS_OF_PARTNERSHIPS = "SELECT id, needs FROM partnership WHERE id = ANY ($1)"
NEEDS_OF_SERVICES = "SELECT id, needs FROM agency_service WHERE id = ANY ($1)"


async def needs_of(session: Session, partnerships: Sequence[Id], services: Sequence[Id]) -> dict[Id, frozenset[str]]:
    """What these partnerships and services serve now, by their ids."""
    rows = await session.fetch(NEEDS_OF_PARTNERSHIPS, list(partnerships))
    rows += await session.fetch(NEEDS_OF_SERVICES, list(services))
    return {row["id"]: frozenset(row["needs"]) for row in rows}
