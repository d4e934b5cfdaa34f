"""The SQL of notices."""

from datetime import datetime
from typing import Any

import asyncpg
import msgspec

from service import events
from service.access.model import Actor
from service.db import Session
from service.notices.model import Subscriber, Wish
from service.practice import PLATFORM
from service.values import Id

SUBSCRIBER = """s.id, s.organization_id, s.client_id, s.whole_network, s.state, s.endpoint, s.headers, s.format,
    s.topic, s.about, s.kinds, s.filters, s.event_number, s.failures, s.last_error, s.created_at, s.changed_at, s.version,
    s.ends_at, s.terms, s.channel, s.scopes, s.heartbeat, s.timeout, s.max_count"""

# The cursor begins at the head that this transaction sees: what commits later gets a later position, so none is missed.
INSERT_SUBSCRIBER = """
INSERT INTO subscriber (id, organization_id, client_id, whole_network, state, endpoint, secret, headers, format, topic,
                        about, kinds, filters, terms, ends_at, channel, scopes, heartbeat, timeout, max_count, cursor,
                        created_at, changed_at)
SELECT $1, $2, $3, $4, 'requested', $5, $6, $7, $8, $9, $10, $11, $12::text::json, $13::text::json, $14, $15, $16, $17,
       $18, $19, last, $20, $20
FROM sequence_head WHERE name = 'event'
"""


async def insert_subscriber(session: Session, id: Id, actor: Actor, wish: Wish, secret: str, now: datetime) -> None:
    await session.execute(
        INSERT_SUBSCRIBER,
        id,
        actor.organization,
        actor.id,
        actor.side == "platform",
        wish.endpoint,
        secret,
        list(wish.headers),
        wish.format,
        wish.topic,
        wish.about,
        list(wish.kinds),
        msgspec.json.encode(wish.filters).decode(),
        msgspec.json.encode(wish.terms).decode(),
        wish.ends_at,
        wish.channel,
        list(actor.scopes),
        wish.heartbeat,
        wish.timeout,
        wish.max_count,
        now,
    )


COUNT_OF_CLIENT = "SELECT count(*) FROM subscriber WHERE client_id = $1 AND organization_id = $2 AND state <> 'off'"


async def count_of_client(session: Session, client: Id, organization: Id) -> int:
    """How many a client has for an organisation: its own, or one that the platform subscribed a mailbox of."""
    return await session.fetchval(COUNT_OF_CLIENT, client, organization)


READ_SUBSCRIBER = f"SELECT {SUBSCRIBER} FROM subscriber s WHERE s.id = $1"


async def subscriber(session: Session, id: Id) -> Subscriber | None:
    row = await session.fetchrow(READ_SUBSCRIBER, id)
    return read_subscriber(row) if row else None


LIST_SUBSCRIBERS = f"""
SELECT {SUBSCRIBER} FROM subscriber s
WHERE ($1::uuid IS NULL OR s.organization_id = $1) AND ($2::uuid IS NULL OR s.id > $2) ORDER BY s.id LIMIT $3
"""


async def subscribers(session: Session, organization: Id | None, after: Id | None, limit: int) -> list[Subscriber]:
    return [read_subscriber(row) for row in await session.fetch(LIST_SUBSCRIBERS, organization, after, limit)]


# Always the subscriber first, then its deliveries: the one order in which these rows are locked.
SET_STATE = """
UPDATE subscriber SET state = $2, last_error = $3, failures = 0, beat_at = NULL, version = version + 1, changed_at = $4
WHERE id = $1 AND state <> $2
"""


async def set_state(session: Session, id: Id, state: str, error: str | None, now: datetime) -> bool:
    """Whether it was in another state before."""
    return await session.execute(SET_STATE, id, state, error, now) != "UPDATE 0"


# Only while it is as it was when the post was taken: an answer that comes after the subscription was ended or asked for
# anew says nothing of how it is now.
SETTLE = """
UPDATE subscriber SET state = $3, last_error = $4, failures = 0, version = version + 1, changed_at = $5,
    beat_at = CASE WHEN $3 = 'active' THEN $5::timestamptz + make_interval(secs => heartbeat) END
WHERE id = $1 AND version = $2 AND state <> 'off'
"""


async def settle(session: Session, to: Subscriber, state: str, error: str | None, now: datetime) -> bool:
    """Change the state by the answer to a post; whether it was still the subscription that was posted to."""
    return await session.execute(SETTLE, to.id, to.version, state, error, now) != "UPDATE 0"


CHANGE = """
UPDATE subscriber SET state = 'requested', last_error = NULL, failures = 0, endpoint = $2, headers = $3, format = $4,
    topic = $5, about = $6, kinds = $7, filters = $8::text::json, secret = coalesce($9, secret),
    terms = $10::text::json, ends_at = $11, version = version + 1, changed_at = $12, channel = $14, scopes = $15,
    heartbeat = $16, timeout = $17, max_count = $18, beat_at = NULL
WHERE id = $1 AND version = $13
"""


async def change(session: Session, id: Id, actor: Actor, version: int, wish: Wish, now: datetime) -> bool:
    """Whether it was still at this version."""
    done = await session.execute(
        CHANGE,
        id,
        wish.endpoint,
        list(wish.headers),
        wish.format,
        wish.topic,
        wish.about,
        list(wish.kinds),
        msgspec.json.encode(wish.filters).decode(),
        wish.secret,
        msgspec.json.encode(wish.terms).decode(),
        wish.ends_at,
        now,
        version,
        wish.channel,
        list(actor.scopes),
        wish.heartbeat,
        wish.timeout,
        wish.max_count,
    )
    return done != "UPDATE 0"


END_DUE = """
UPDATE subscriber s
SET state = 'off', version = version + 1, changed_at = $1, beat_at = NULL,
    last_error = CASE WHEN s.ends_at <= $1 THEN 'ended' ELSE 'client-revoked' END
WHERE s.state <> 'off' AND (s.ends_at <= $1 OR EXISTS (
    SELECT 1 FROM client c WHERE c.id = s.client_id AND c.revoked_at IS NOT NULL))
RETURNING s.id
"""


async def end_due(session: Session, now: datetime) -> list[Id]:
    return [row["id"] for row in await session.fetch(END_DUE, now)]


INSERT_HANDSHAKE = """
INSERT INTO delivery (id, subscriber_id, organization_id, number, state, next_at, created_at)
VALUES ($1, $2, $3, 0, 'waiting', $4, $4)
"""


async def insert_handshake(session: Session, id: Id, subscriber: Subscriber, now: datetime) -> None:
    await session.execute(INSERT_HANDSHAKE, id, subscriber.id, subscriber.organization, now)


GIVE_UP_WAITING = """
UPDATE delivery SET state = 'not-delivered', next_at = NULL, last_error = $2
WHERE subscriber_id = ANY ($1) AND state = 'waiting'
"""


async def give_up_waiting(session: Session, subscribers: list[Id], error: str) -> None:
    """What still waits for these subscribers will not be sent; it stays visible."""
    await session.execute(GIVE_UP_WAITING, subscribers, error)


GIVE_UP_HANDSHAKES = """
UPDATE delivery SET state = 'not-delivered', next_at = NULL, last_error = 'asked-again'
WHERE subscriber_id = $1 AND state = 'waiting' AND event_id IS NULL
"""


async def give_up_handshakes(session: Session, subscriber: Id) -> None:
    """Handshakes that wait are overtaken by a new one."""
    await session.execute(GIVE_UP_HANDSHAKES, subscriber)


REVIVE = """
UPDATE delivery SET state = 'waiting', next_at = $3, attempts = 0, batch_id = NULL
WHERE subscriber_id = $1 AND state = 'not-delivered' AND event_id IS NOT NULL AND created_at >= $2
"""


async def revive(session: Session, subscriber: Id, since: datetime, now: datetime) -> None:
    await session.execute(REVIVE, subscriber, since, now)


# One fan-out at a time, under a lock that writers do not take; its snapshot begins after the last one's commit.
FAN_OUT_LOCK = 0x7975616E0002
LOCK_FAN_OUT = "SELECT pg_advisory_xact_lock($1)"

# A subscriber hears of events to which its organisation is a party, of offers open to it, or, as the platform, of all.
# Hospital and platform may read the parent Task, so an event concerns it, too; `subject` is the first of the Tasks
# concerned that answers every filter. Without filters the inner look-ups of a Task's facts are never made.
FAN_OUT = f"""
WITH due AS (
    SELECT s.*, least(head.last, s.cursor + $2) AS upto
    FROM subscriber s, (SELECT last FROM sequence_head WHERE name = 'event') AS head
    WHERE s.state <> 'off' AND s.cursor < head.last
    ORDER BY s.cursor, s.id LIMIT $3
    FOR UPDATE OF s
),
heard AS (
    SELECT due.id AS subscriber_id, due.organization_id, due.state, e.id, e.position,
           subject.task_id, subject.parent_id, subject.request_id,
           due.event_number + row_number() OVER (PARTITION BY due.id ORDER BY e.position) AS number
    FROM due JOIN event e ON e.position > due.cursor AND e.position <= due.upto
    CROSS JOIN LATERAL (SELECT due.whole_network OR e.hospital_id = due.organization_id AS whole) AS view
    LEFT JOIN task p ON view.whole AND p.referral_id = e.referral_id AND p.kind = 'parent'
    CROSS JOIN LATERAL (
        SELECT concerned.id AS task_id, p.id AS parent_id, known.request_id
        FROM (VALUES (e.task_id, 1), (p.id, 2)) AS concerned(id, place)
        LEFT JOIN task t ON t.id = concerned.id
        CROSS JOIN LATERAL (SELECT CASE WHEN view.whole THEN e.referral_id ELSE t.filler_id END AS request_id) AS known
        WHERE (due.about = 'any' OR concerned.id IS NOT NULL)
          AND NOT EXISTS (
              SELECT 1 FROM json_each(due.filters) AS wanted(key, choices)
              WHERE NOT EXISTS (
                  SELECT 1 FROM json_array_elements_text(wanted.choices) AS choice(word)
                  WHERE choice.word = ANY (CASE wanted.key
                      WHEN 'task' THEN ARRAY[concerned.id::text]
                      WHEN 'task.status' THEN ARRAY[(
                          SELECT v.snapshot ->> 'status' FROM task_version v
                          WHERE v.task_id = t.id AND CASE
                              WHEN e.task_id = t.id AND e.task_version IS NOT NULL THEN v.version = e.task_version
                              ELSE v.at <= e.at END
                          ORDER BY v.version DESC LIMIT 1)]
                      WHEN 'task.owner' THEN ARRAY[t.worker_id::text, (CASE t.kind
                          WHEN 'parent' THEN '{PLATFORM}' WHEN 'share' THEN t.agency_id
                          ELSE coalesce(t.agency_id, t.hospital_id) END)::text]
                      WHEN 'task.requester' THEN ARRAY[(CASE t.kind
                          WHEN 'parent' THEN t.hospital_id ELSE '{PLATFORM}' END)::text]
                      WHEN 'task.code' THEN ARRAY[CASE t.kind WHEN 'follow-up' THEN 'follow-up'
                          WHEN 'duty' THEN (SELECT v.snapshot ->> 'item' FROM task_version v WHERE v.task_id = t.id AND v.version = t.version)
                          ELSE 'fulfill' END]
                      WHEN 'request' THEN ARRAY[known.request_id::text]
                      ELSE ARRAY[e.data ->> wanted.key] END)))
        ORDER BY concerned.id IS NULL, concerned.place LIMIT 1
    ) AS subject
    WHERE (due.whole_network OR e.hospital_id = due.organization_id OR e.agency_id = due.organization_id
           OR (e.agency_id IS NULL AND EXISTS (
               SELECT 1 FROM open_offer o WHERE o.task_id = e.task_id AND o.agency_id = due.organization_id)))
      AND (due.kinds = '{{}}' OR e.kind = ANY (due.kinds))
),
made AS (
    INSERT INTO delivery (id, subscriber_id, organization_id, event_id, position, task_id, parent_id, request_id, number,
                          state, next_at, last_error, created_at)
    SELECT gen_random_uuid(), subscriber_id, organization_id, id, position, task_id, parent_id, request_id, number,
           CASE state WHEN 'error' THEN 'not-delivered' ELSE 'waiting' END,
           CASE state WHEN 'error' THEN NULL ELSE $1::timestamptz END,
           CASE state WHEN 'error' THEN 'subscription-in-error' END, $1
    FROM heard
    RETURNING 1
),
moved AS (
    UPDATE subscriber s
    SET cursor = due.upto,
        event_number = s.event_number + (SELECT count(*) FROM heard WHERE heard.subscriber_id = s.id)
    FROM due WHERE s.id = due.id
    RETURNING 1
)
SELECT (SELECT count(*) FROM moved) AS subscribers, (SELECT count(*) FROM made) AS deliveries
"""


async def fan_out(session: Session, now: datetime, span: int, limit: int) -> tuple[int, int]:
    """Make the deliveries of the next `span` positions for up to `limit` subscribers: (moved, made)."""
    await session.execute(LOCK_FAN_OUT, FAN_OUT_LOCK)
    row = await session.fetchrow(FAN_OUT, now, span, limit)
    return (row["subscribers"], row["deliveries"]) if row else (0, 0)


def read_subscriber(row: "asyncpg.Record | dict[str, Any]") -> Subscriber:
    """A row of SUBSCRIBER as a Struct."""
    filters, terms = row["filters"], row["terms"]
    return msgspec.convert(
        {
            "id": row["id"],
            "organization": row["organization_id"],
            "client": row["client_id"],
            "whole_network": row["whole_network"],
            "state": row["state"],
            "endpoint": row["endpoint"],
            "headers": row["headers"],
            "format": row["format"],
            "topic": row["topic"],
            "about": row["about"],
            "kinds": row["kinds"],
            "filters": msgspec.json.decode(filters) if isinstance(filters, str) else filters,
            "event_number": row["event_number"],
            "failures": row["failures"],
            "last_error": row["last_error"],
            "created_at": row["created_at"],
            "changed_at": row["changed_at"],
            "version": row["version"],
            "ends_at": row["ends_at"],
            "terms": msgspec.json.decode(terms) if isinstance(terms, str) else terms,
            "channel": row["channel"],
            "scopes": row["scopes"],
            "heartbeat": row["heartbeat"],
            "timeout": row["timeout"],
            "max_count": row["max_count"],
        },
        Subscriber,
    )


# Of one client, which nobody's rows are: what it holds now.
READ_CLIENT = "SELECT role, name, scope FROM client WHERE id = $1 AND revoked_at IS NULL"


async def client_of(session: Session, to: Subscriber) -> tuple[str, str, str] | None:
    """Role, name and scope of a subscriber's program; None when it is not in use any more."""
    row = await session.fetchrow(READ_CLIENT, to.client)
    return (row["role"], row["name"], row["scope"]) if row else None


POSITION_OF = "SELECT position FROM event WHERE id = $1"


async def position_of(session: Session, event: Id) -> int | None:
    return await session.fetchval(POSITION_OF, event)


# `position` is bound on both sides, so that a reader who sees little of the log never walks all of it at once.
HEARD = f"""
SELECT {events.COLUMNS} FROM event WHERE position > $1 AND position <= $2 ORDER BY position LIMIT $3
"""


async def heard(session: Session, position: int, upto: int, limit: int) -> list[events.Placed]:
    return [events.placed(row) for row in await session.fetch(HEARD, position, upto, limit)]
