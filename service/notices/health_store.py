"""SQL of how subscriptions fare: what waits, what was not delivered, when something arrived last, what failed by day."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import msgspec

from service.access.model import Actor
from service.db import Session
from service.notices import reach
from service.notices.model import Delivery, SubscriberState
from service.notices.sending_store import DELIVERY, JOINED
from service.values import Id

MOST = 10_000
"""What waits or failed is counted up to here; beyond, the figure says no more and costs no more."""


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """A subscription and how it fares. `to` is the endpoint without its path; `failed` counts the attempts in vain since the
    day that was asked for, by day."""

    id: Id
    organization: Id
    client: Id
    client_name: str | None
    client_revoked: bool
    state: SubscriberState
    channel: str
    to: str
    topic: str
    events: int
    last_error: str | None
    changed_at: datetime
    ends_at: datetime | None
    version: int
    waiting: int
    lost: int
    arrived_at: datetime | None
    oldest: datetime | None
    failed: dict[date, int] = {}


# A row a subscription; each figure is one walk in an index of its own, and the counts end at a bound.
_HEALTH = f"""
SELECT s.id, s.organization_id, s.client_id, c.name AS client_name, c.revoked_at IS NOT NULL AS client_revoked, s.state, s.channel,
       s.endpoint, s.topic, s.event_number, s.last_error, s.changed_at, s.ends_at, s.version, w.waiting, w.oldest, l.lost, a.arrived_at
FROM subscriber s LEFT JOIN client c ON c.id = s.client_id
CROSS JOIN LATERAL (SELECT count(*) AS waiting, min(created_at) AS oldest FROM (
    SELECT created_at FROM delivery d WHERE d.subscriber_id = s.id AND d.state = 'waiting' AND d.event_id IS NOT NULL
    ORDER BY d.number LIMIT {MOST}) bounded) AS w
CROSS JOIN LATERAL (SELECT count(*) AS lost FROM (
    SELECT FROM delivery d WHERE d.subscriber_id = s.id AND d.state = 'not-delivered' AND d.event_id IS NOT NULL LIMIT {MOST}) bounded) AS l
LEFT JOIN LATERAL (SELECT at AS arrived_at FROM delivery_attempt t
    WHERE t.subscriber_id = s.id AND t.what = 'post' AND t.status BETWEEN 200 AND 299 ORDER BY t.at DESC LIMIT 1) AS a ON true
"""
LIST_HEALTH = f"""{_HEALTH}
WHERE ($1::text[] IS NULL OR s.state = ANY ($1)) AND ($2::uuid IS NULL OR s.organization_id = $2) AND ($3::uuid IS NULL OR s.id < $3)
ORDER BY s.id DESC LIMIT $4
"""
ONE_HEALTH = f"{_HEALTH} WHERE s.id = $1"

FAILED_BY_DAY = f"""
SELECT subscriber_id, day, count(*) AS failed FROM (
    SELECT s.id AS subscriber_id, (t.at AT TIME ZONE 'Asia/Shanghai')::date AS day
    FROM unnest($1::uuid[]) AS s (id) CROSS JOIN LATERAL (
        SELECT at FROM delivery_attempt a WHERE a.subscriber_id = s.id AND a.at >= $2 AND a.what = 'post'
          AND (a.status IS NULL OR a.status NOT BETWEEN 200 AND 299) ORDER BY a.at DESC LIMIT {MOST}) AS t) AS found
GROUP BY 1, 2
"""


async def subscriptions(
    session: Session, states: Sequence[str] | None, organization: Id | None, before: Id | None, since: datetime, limit: int
) -> list[Health]:  # fmt: skip
    """Subscriptions with how they fare, the newest first, and what failed of each since then."""
    rows = await session.fetch(LIST_HEALTH, list(states) if states else None, organization, before, limit)
    failed = await _failed(session, [row["id"] for row in rows], since)
    return [_health(row, failed) for row in rows]


async def subscription(session: Session, id: Id, since: datetime) -> Health | None:
    """One of them."""
    row = await session.fetchrow(ONE_HEALTH, id)
    return _health(row, await _failed(session, [id], since)) if row else None


async def _failed(session: Session, ids: list[Id], since: datetime) -> dict[Id, dict[date, int]]:
    found: dict[Id, dict[date, int]] = {}
    for row in await session.fetch(FAILED_BY_DAY, ids, since) if ids else ():
        found.setdefault(row["subscriber_id"], {})[row["day"]] = row["failed"]
    return found


def _health(row: Any, failed: dict[Id, dict[date, int]]) -> Health:
    return Health(
        id=row["id"], organization=row["organization_id"], client=row["client_id"], client_name=row["client_name"],
        client_revoked=row["client_revoked"], state=row["state"], channel=row["channel"], to=reach.host_of(row["endpoint"]),
        topic=row["topic"], events=row["event_number"], last_error=row["last_error"], changed_at=row["changed_at"],
        ends_at=row["ends_at"], version=row["version"], waiting=row["waiting"], lost=row["lost"], arrived_at=row["arrived_at"],
        oldest=row["oldest"], failed=failed.get(row["id"], {}),
    )  # fmt: skip


# The states are asked for one by one, so that each page walks the index of its state in the order of numbers.
_OF = f"SELECT {DELIVERY} FROM delivery d {JOINED} WHERE d.subscriber_id = $1 AND d.event_id IS NOT NULL"
_PAGE = "($2::bigint IS NULL OR d.number < $2) ORDER BY d.number DESC LIMIT $3"
DELIVERIES_OF = f"{_OF} AND {_PAGE}"
WAITING_OF = f"{_OF} AND d.state = 'waiting' AND {_PAGE}"
LOST_OF = f"{_OF} AND d.state = 'not-delivered' AND {_PAGE}"
SENT_OF = f"{_OF} AND d.state = 'sent' AND {_PAGE}"
_BY_STATE = {None: DELIVERIES_OF, "waiting": WAITING_OF, "not-delivered": LOST_OF, "sent": SENT_OF}


async def deliveries_of(session: Session, subscriber: Id, state: str | None, before: int | None, limit: int) -> list[Delivery]:  # fmt: skip
    """What one subscriber was to hear, the latest number first."""
    rows = await session.fetch(_BY_STATE[state], subscriber, before, limit)
    return [
        Delivery(
            to=reach.host_of(row["endpoint"]),
            **{name: row[name] for name in Delivery.__struct_fields__ if name != "to"},
        )
        for row in rows
    ]


# As `sending_store.RESEND` does with one: numbers and ids stay, and who wished it stands beside each.
RESEND_LOST = """
WITH lost AS MATERIALIZED (
    SELECT id, organization_id, subscriber_id FROM delivery
    WHERE subscriber_id = $1 AND state = 'not-delivered' AND event_id IS NOT NULL ORDER BY number LIMIT $2 FOR UPDATE
), wish AS (
    INSERT INTO delivery_attempt (delivery_id, organization_id, subscriber_id, at, what, by_id, by_role, by_name)
    SELECT id, organization_id, subscriber_id, $3, 'resend', $4, $5, $6 FROM lost
)
UPDATE delivery d SET state = 'waiting', next_at = $3, attempts = 0, sent_at = NULL, batch_id = NULL
FROM lost WHERE d.id = lost.id RETURNING d.id
"""


async def resend_lost(session: Session, subscriber: Id, actor: Actor, now: datetime, most: int) -> int:
    """Send again what was not delivered, the earliest first; how many."""
    return len(await session.fetch(RESEND_LOST, subscriber, most, now, actor.id, actor.role, actor.name))


TROUBLE = """
SELECT count(*) FILTER (WHERE s.state = 'error') AS in_error,
       count(*) FILTER (WHERE s.state = 'active' AND s.failures > 0) AS failing FROM subscriber s WHERE s.state <> 'off'
"""


async def trouble(session: Session) -> tuple[int, int]:
    """How many subscriptions are in error, and how many active ones failed at their last attempt."""
    row = await session.fetchrow(TROUBLE)
    return (row["in_error"], row["failing"]) if row else (0, 0)


OF_CLIENT = "SELECT count(*) FROM subscriber WHERE client_id = $1 AND state <> 'off'"


async def of_client(session: Session, client: Id) -> int:
    """How many subscriptions of a program run."""
    return await session.fetchval(OF_CLIENT, client)
