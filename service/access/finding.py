"""SQL of searches in the audit, for those who may read it: lines show once they have their place in the chain."""

from collections.abc import Sequence

from service.access.model import Link
from service.access.store import LINE, link_of
from service.db import Session
from service.db.finding import COUNT_MOST, After, Condition, Field, Order, Where, column

_POSITIONS = (
    "ARRAY(SELECT p.position FROM audit_patient p WHERE p.patient_id = ANY({0})"
    " UNION ALL SELECT f.position FROM audit_referral f WHERE f.referral_id = ANY({0}))"
)

RESTFUL = (
    "read", "vread", "history", "history-type", "history-system", "search", "search-compartment", "create", "put", "patch", "transaction",
    "batch",
)  # fmt: skip
"""What is asked of resources besides operations."""
_RESTFUL = ", ".join(f"'{word}'" for word in RESTFUL)

AUDIT: dict[str, Field] = {
    "id": column("a.id", "uuid"),
    "position": column("a.position", "bigint"),
    "changed": column("a.chained_at", "timestamptz"),
    "date": column("a.at", "timestamptz"),
    "action": column("a.action", "text"),
    "outcome": column("a.outcome", "text"),
    "interaction": column("a.interaction", "text"),
    # What was asked of resources, who came in, and what the service or its operator did by themselves.
    "kind": column(
        "CASE WHEN a.interaction = 'token' THEN 'login' WHEN a.resource_type IS NOT NULL OR a.interaction IN ('transaction', 'batch')"
        " THEN 'request' ELSE 'activity' END",
        "text",
    ),
    "operation": column(
        f"CASE WHEN a.resource_type IS NOT NULL AND a.interaction NOT IN ({_RESTFUL}) THEN 'operation' END", "text"
    ),
    "organization": column("a.organization_id", "uuid"),
    "actor": column("a.actor_id", "uuid"),
    "actor-kind": column("a.actor_kind", "text"),
    # Whose data was touched, and who was asked for by id without being shown.
    "patient": Field(
        "a.position = ANY(ARRAY(SELECT p.position FROM audit_patient p WHERE p.patient_id = ANY($1)))"
        " OR (a.resource_type = 'Patient' AND a.resource_id = ANY($1))",
        missing="a.patients = '{}' AND (a.resource_type IS DISTINCT FROM 'Patient' OR a.resource_id IS NULL)",
    ),
    # By type and id, or by id alone: found by index, then looked at.
    "entity": Field(
        f"(a.resource_id = ANY($2) OR a.position = ANY({_POSITIONS.format('$2')}))"
        " AND EXISTS (SELECT 1 FROM unnest($1, $2) AS wanted (type, id)"
        " WHERE (wanted.id = a.resource_id AND coalesce(wanted.type, a.resource_type) = a.resource_type)"
        " OR (wanted.id = ANY(a.patients) AND coalesce(wanted.type, 'Patient') = 'Patient')"
        " OR (wanted.id = ANY(a.referrals) AND coalesce(wanted.type, 'ServiceRequest') = 'ServiceRequest'))",
        ("text", "uuid"),
        missing="a.resource_id IS NULL AND a.patients = '{}' AND a.referrals = '{}' AND a.request_id IS NULL",
    ),
}
"""What audit lines can be searched by."""


async def lines(
    session: Session,
    conditions: Sequence[Condition],
    limit: int,
    after: After | None = None,
    order: Order | None = None,
) -> list[Link]:
    """Chained lines, one page."""
    where = Where(AUDIT)
    holds = where.holds(conditions)
    behind, by = where.page("a.id", "a.chained_at", after, order or Order())
    columns = ", ".join(f"a.{column}" for column in LINE.split(", "))
    sql = f"""SELECT {columns}, a.position, a.chained_at, a.previous_hash, a.hash
        FROM audit a WHERE a.position IS NOT NULL AND {holds} AND {behind} ORDER BY {by} LIMIT {limit:d}"""
    return [link_of(row) for row in await session.fetch(sql, *where.values)]


async def count_lines(session: Session, conditions: Sequence[Condition]) -> int:
    """How many there are, counted up to COUNT_MOST + 1."""
    where = Where(AUDIT)
    holds = where.holds(conditions)
    sql = f"SELECT count(*) FROM (SELECT 1 FROM audit a WHERE a.position IS NOT NULL AND {holds} LIMIT {COUNT_MOST + 1}) AS counted"
    return await session.fetchval(sql, *where.values)
