"""SQL of searches among subscribers; row security shows an organisation its own, and the platform all."""

from collections.abc import Sequence

from service.db import Session
from service.db.finding import COUNT_MOST, After, Condition, Field, Order, Where, column
from service.notices.model import Subscriber
from service.notices.store import SUBSCRIBER, read_subscriber

FIELDS: dict[str, Field] = {
    "id": column("s.id", "uuid"),
    "status": column("s.state", "text"),
    "topic": column("s.topic", "text"),
    "endpoint": column("s.endpoint", "text"),
    "format": column("s.format", "text"),
    "changed": column("s.changed_at", "timestamptz"),
}


async def subscribers(
    session: Session,
    conditions: Sequence[Condition],
    limit: int,
    after: After | None = None,
    order: Order | None = None,
) -> list[Subscriber]:
    where = Where(FIELDS)
    holds = where.holds(conditions)
    behind, ordered = where.page("s.id", "s.changed_at", after, order or Order())
    rows = await session.fetch(
        f"SELECT {SUBSCRIBER} FROM subscriber s WHERE {holds} AND {behind} ORDER BY {ordered} LIMIT {where.add(limit)}",
        *where.values,
    )
    return [read_subscriber(row) for row in rows]


async def count_subscribers(session: Session, conditions: Sequence[Condition]) -> int:
    where = Where(FIELDS)
    holds = where.holds(conditions)
    return await session.fetchval(
        f"SELECT count(*) FROM (SELECT 1 FROM subscriber s WHERE {holds} LIMIT {COUNT_MOST + 1}) AS found",
        *where.values,
    )
