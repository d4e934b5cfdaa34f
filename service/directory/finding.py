"""SQL of searches in the directory, which every organisation that signs in may read."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeVar

from asyncpg import Record as Row

from service.db import Session
from service.db.finding import COUNT_MOST, After, Chosen, Condition, Field, Order, Where, column, text
from service.directory.model import STAFFED, USCC, Member, Organization, Region, Service, Team, Worker

T = TypeVar("T")

ORGANIZATION: dict[str, Field] = {
    "id": column("o.id", "uuid"),
    "changed": column("o.updated_at", "timestamptz"),
    "name": text("o.name_zh", "o.name_en"),
    "number": Field(
        "EXISTS (SELECT 1 FROM unnest($1, $2) AS wanted (system, value) WHERE o.uscc IS NOT NULL"
        f" AND (wanted.system IS NULL OR wanted.system = '{USCC}') AND (wanted.value IS NULL OR wanted.value = o.uscc))",
        ("text", "text"),
        missing="o.uscc IS NULL",
    ),
    "type": column("o.kind", "text"),
    "active": column("o.active", "bool"),
    "part-of": column("o.part_of", "uuid"),
}
SERVICE: dict[str, Field] = {
    "id": column("s.id", "uuid"),
    "changed": column("s.updated_at", "timestamptz"),
    "name": text("s.name_zh", "s.name_en"),
    "active": column("s.active", "bool"),
    "organization": column("s.agency_id", "uuid"),
    "type": Field("s.service_types && $1", ("text",), "cardinality(s.service_types) = 0"),
    "need": Field("s.needs && $1", ("text",), "cardinality(s.needs) = 0"),
    # Services are where their agency's people go; no places of their own are kept.
    "location": Field("false AND $1 IS NULL", missing="true"),
}
WORKER: dict[str, Field] = {
    "id": column("w.id", "uuid"),
    "changed": column("w.updated_at", "timestamptz"),
    "active": column("w.active", "bool"),
    "organization": column("w.agency_id", "uuid"),
    "name": text("w.name"),
    "grade": column("w.grade", "text"),
}
TEAM: dict[str, Field] = {
    "id": column("t.id", "uuid"),
    "changed": column("t.updated_at", "timestamptz"),
    "status": column("CASE WHEN t.active THEN 'active' ELSE 'inactive' END", "text"),
    "participant": Field("t.workers && $1", missing="false"),
}
_TEAMS = f"""(SELECT o.id, o.name_zh, o.name_en, o.active, array_agg(w.id ORDER BY w.id) FILTER (WHERE w.active) AS workers,
    array_agg(w.duty ORDER BY w.id) FILTER (WHERE w.active) AS duties,
    array_agg(w.supervisor ORDER BY w.id) FILTER (WHERE w.active) AS supervisors,
    (o.version + sum(w.version))::int AS version, greatest(o.updated_at, max(w.updated_at)) AS updated_at
    FROM organization o JOIN worker w ON w.agency_id = o.id WHERE o.kind = ANY('{{{",".join(STAFFED)}}}')
    GROUP BY o.id HAVING bool_or(w.active)) AS t"""


def _organization(row: Row) -> Organization:
    return Organization(
        id=row["id"], key=row["key"], kind=row["kind"], name_zh=row["name_zh"], name_en=row["name_en"], part_of=row["part_of"],
        uscc=row["uscc"], region=row["region"], status=row["status"], ready=row["ready"],
        protection_qualified=row["protection_qualified"], co_supervised_by=row["co_supervised_by"], phone=row["phone"],
        email=row["email"], active=row["active"], version=row["version"], updated_at=row["updated_at"],
    )  # fmt: skip


def _service(row: Row) -> Service:
    return Service(
        id=row["id"], key=row["key"], agency=row["agency_id"], name_zh=row["name_zh"], name_en=row["name_en"],
        service_types=tuple(row["service_types"]), needs=tuple(row["needs"]), regions=tuple(row["regions"]),
        populations=tuple(row["populations"]), languages=tuple(row["languages"]), capacity_status=row["capacity_status"],
        places=row["places"], confirmed_at=row["confirmed_at"], active=row["active"], version=row["version"],
        updated_at=row["updated_at"],
    )  # fmt: skip


def _worker(row: Row) -> Worker:
    return Worker(
        id=row["id"], key=row["key"], agency=row["agency_id"], name=row["name"], grade=row["grade"],
        licensed_from=row["licensed_from"], licensed_to=row["licensed_to"], duty=row["duty"], supervisor=row["supervisor"],
        active=row["active"], version=row["version"], updated_at=row["updated_at"], away_since=row["away_since"],
        stand_in=row["stand_in_id"],
    )  # fmt: skip


async def organizations(
    session: Session,
    conditions: Sequence[Condition],
    limit: int,
    after: After | None = None,
    order: Order | None = None,
) -> list[Organization]:
    return await _page(session, "organization o", "o", ORGANIZATION, _organization, conditions, limit, after, order)


async def services(
    session: Session,
    conditions: Sequence[Condition],
    limit: int,
    after: After | None = None,
    order: Order | None = None,
) -> list[Service]:
    return await _page(session, "agency_service s", "s", SERVICE, _service, conditions, limit, after, order)


async def workers(
    session: Session,
    conditions: Sequence[Condition],
    limit: int,
    after: After | None = None,
    order: Order | None = None,
) -> list[Worker]:
    """Workers without the numbers of their certificates."""
    return await _page(session, "worker w", "w", WORKER, _worker, conditions, limit, after, order)


def _team(row: Row) -> Team:
    parts = zip(row["workers"], row["duties"], row["supervisors"], strict=True)
    return Team(
        id=row["id"], name_zh=row["name_zh"], name_en=row["name_en"], active=row["active"], version=row["version"],
        members=tuple(Member(*part) for part in parts), updated_at=row["updated_at"],
    )  # fmt: skip


async def teams(
    session: Session,
    conditions: Sequence[Condition],
    limit: int,
    after: After | None = None,
    order: Order | None = None,
) -> list[Team]:
    """Every agency that has working staff, as a team."""
    return await _page(session, _TEAMS, "t", TEAM, _team, conditions, limit, after, order)


async def count_teams(session: Session, conditions: Sequence[Condition]) -> int:
    return await _count(session, _TEAMS, TEAM, conditions)


async def _page(
    session: Session, table: str, name: str, fields: Mapping[str, Field], read: Callable[[Row], T],
    conditions: Sequence[Condition], limit: int, after: After | None, order: Order | None,
) -> list[T]:  # fmt: skip
    where = Where(fields)
    holds = where.holds(conditions)
    behind, by = where.page(f"{name}.id", f"{name}.updated_at", after, order or Order())
    sql = f"SELECT {name}.* FROM {table} WHERE {holds} AND {behind} ORDER BY {by} LIMIT {limit:d}"
    return [read(row) for row in await session.fetch(sql, *where.values)]


def chosen(
    table: Literal["organization", "service", "worker"], conditions: Sequence[Condition], *, field: str = "id"
) -> tuple[Chosen, ...]:
    """Entries of the directory within another search; there are few."""
    fields, source = {
        "organization": (ORGANIZATION, "organization o"),
        "service": (SERVICE, "agency_service s"),
        "worker": (WORKER, "worker w"),
    }[table]
    return (Chosen(fields, f"FROM {source} WHERE true", tuple(conditions), field, few=True),)


async def count_organizations(session: Session, conditions: Sequence[Condition]) -> int:
    return await _count(session, "organization o", ORGANIZATION, conditions)


async def count_services(session: Session, conditions: Sequence[Condition]) -> int:
    return await _count(session, "agency_service s", SERVICE, conditions)


async def count_workers(session: Session, conditions: Sequence[Condition]) -> int:
    return await _count(session, "worker w", WORKER, conditions)


async def _count(session: Session, table: str, fields: Mapping[str, Field], conditions: Sequence[Condition]) -> int:
    where = Where(fields)
    holds = where.holds(conditions)
    sql = f"SELECT count(*) FROM (SELECT 1 FROM {table} WHERE {holds} LIMIT {COUNT_MOST + 1}) AS counted"
    return await session.fetchval(sql, *where.values)


REGIONS = "SELECT code, name_zh, name_en, valid_from, valid_to, superseded_by FROM region ORDER BY code"


async def regions(session: Session) -> list[Region]:
    """Every region code, with its names."""
    return [Region(**dict[str, Any](row)) for row in await session.fetch(REGIONS)]


REGION_NAMES = "SELECT code, name_zh FROM region WHERE code = ANY($1)"


async def region_names(session: Session, codes: Sequence[str]) -> dict[str, str]:
    return {row["code"]: row["name_zh"] for row in await session.fetch(REGION_NAMES, list(codes))}
