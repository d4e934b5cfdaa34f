"""The SQL of notices."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import asyncpg
import msgspec

from service import events
from service.access.model import Actor
from service.db import Session
from service.notices.model import Attempt, Delivery, Notice, Outcome, Outgoing, Subscriber, Wish
from service.practice import PLATFORM
from service.values import Id

SUBSCRIBER = """s.id, s.organization_id, s.client_id, s.whole_network, s.state, s.endpoint, s.headers, s.format,
    s.topic, s.about, s.kinds, s.filters, s.event_number, s.failures, s.last_error, s.created_at, s.changed_at, s.version,
    s.ends_at, s.terms"""

# The cursor begins at the head that this transaction sees: what commits later gets a later position, so none is missed.
INSERT_SUBSCRIBER = """
INSERT INTO subscriber (id, organization_id, client_id, whole_network, state, endpoint, secret, headers, format, topic,
                        about, kinds, filters, terms, ends_at, cursor, created_at, changed_at)
SELECT $1, $2, $3, $4, 'requested', $5, $6, $7, $8, $9, $10, $11, $12::text::json, $13::text::json, $14, last, $15, $15
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
        now,
    )


COUNT_OF_CLIENT = "SELECT count(*) FROM subscriber WHERE client_id = $1 AND state <> 'off'"


async def count_of_client(session: Session, client: Id) -> int:
    return await session.fetchval(COUNT_OF_CLIENT, client)


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
UPDATE subscriber SET state = $2, last_error = $3, failures = 0, version = version + 1, changed_at = $4
WHERE id = $1 AND state <> $2
"""


async def set_state(session: Session, id: Id, state: str, error: str | None, now: datetime) -> bool:
    """Whether it was in another state before."""
    return await session.execute(SET_STATE, id, state, error, now) != "UPDATE 0"


# Only while it is as it was when the post was taken: an answer that comes after the subscription was ended or asked for
# anew says nothing of how it is now.
SETTLE = """
UPDATE subscriber SET state = $3, last_error = $4, failures = 0, version = version + 1, changed_at = $5
WHERE id = $1 AND version = $2 AND state <> 'off'
"""


async def settle(session: Session, to: Subscriber, state: str, error: str | None, now: datetime) -> bool:
    """Change the state by the answer to a post; whether it was still the subscription that was posted to."""
    return await session.execute(SETTLE, to.id, to.version, state, error, now) != "UPDATE 0"


CHANGE = """
UPDATE subscriber SET state = 'requested', last_error = NULL, failures = 0, endpoint = $2, headers = $3, format = $4,
    topic = $5, about = $6, kinds = $7, filters = $8::text::json, secret = coalesce($9, secret),
    terms = $10::text::json, ends_at = $11, version = version + 1, changed_at = $12
WHERE id = $1 AND version = $13
"""


async def change(session: Session, id: Id, version: int, wish: Wish, now: datetime) -> bool:
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
    )
    return done != "UPDATE 0"


END_DUE = """
UPDATE subscriber s
SET state = 'off', version = version + 1, changed_at = $1,
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
UPDATE delivery SET state = 'waiting', next_at = $3, attempts = 0
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
                      WHEN 'task.code' THEN ARRAY[CASE t.kind WHEN 'follow-up' THEN 'follow-up' ELSE 'fulfill' END]
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


DELIVERED = """{0}.id AS delivery_id, {0}.number AS delivery_number, {0}.attempts, {0}.created_at AS delivery_created_at,
    {0}.task_id AS delivery_task, {0}.parent_id AS delivery_parent, {0}.request_id AS delivery_request"""

# Per subscriber only as many as it has room for, so that a slow one cannot take all places; `next_at` becomes the end
# of the lease, so that what a killed worker took comes due again by itself.
CLAIM = f"""
WITH ready AS (
    SELECT d.id
    FROM subscriber s
    LEFT JOIN unnest($3::uuid[], $4::int[]) AS flying(id, posts) ON flying.id = s.id
    CROSS JOIN LATERAL (
        SELECT d.id, d.next_at FROM delivery d
        WHERE d.subscriber_id = s.id AND d.state = 'waiting' AND d.next_at <= $1
          AND (d.event_id IS NULL) = (s.state = 'requested')
        ORDER BY d.next_at, d.number
        LIMIT greatest($5::int - coalesce(flying.posts, 0), 0)
        FOR UPDATE SKIP LOCKED
    ) AS d
    WHERE s.state IN ('requested', 'active') AND (s.failures > 0) = $6
    ORDER BY d.next_at LIMIT $7
),
taken AS (
    UPDATE delivery d SET next_at = $2 FROM ready WHERE d.id = ready.id
    RETURNING d.*
)
SELECT {DELIVERED.format("t")}, to_json(s) AS subscriber, e.*
FROM taken t
JOIN (SELECT {SUBSCRIBER}, s.secret FROM subscriber s) AS s ON s.id = t.subscriber_id
LEFT JOIN (SELECT {events.COLUMNS} FROM event) AS e ON e.id = t.event_id
ORDER BY t.number
"""


async def claim(
    session: Session,
    now: datetime,
    until: datetime,
    flying: Mapping[Id, int],
    at_once: int,
    failing: bool,
    room: int,
) -> list[Outgoing]:
    rows = await session.fetch(CLAIM, now, until, list(flying), list(flying.values()), at_once, failing, room)
    return [_outgoing(row, msgspec.json.decode(row["subscriber"])) for row in rows]


def _outgoing(row: asyncpg.Record, to: dict[str, Any]) -> Outgoing:
    return Outgoing(_notice(row, read_subscriber(to)), to["secret"])


def _notice(row: asyncpg.Record, to: Subscriber) -> Notice:
    return Notice(
        delivery=row["delivery_id"],
        number=row["delivery_number"],
        attempts=row["attempts"],
        created_at=row["delivery_created_at"],
        subscriber=to,
        event=events.placed(row) if row["id"] else None,
        task=row["delivery_task"],
        parent=row["delivery_parent"],
        request=row["delivery_request"],
    )


TOLD = f"""
SELECT {DELIVERED.format("d")}, e.*
FROM delivery d LEFT JOIN (SELECT {events.COLUMNS} FROM event) AS e ON e.id = d.event_id
WHERE d.subscriber_id = $1 AND d.event_id IS NOT NULL AND d.number BETWEEN $2 AND $3 ORDER BY d.number LIMIT $4
"""


async def told(session: Session, to: Subscriber, since: int, until: int, limit: int) -> list[Notice]:
    """What one subscriber was to hear, by number."""
    return [_notice(row, to) for row in await session.fetch(TOLD, to.id, since, until, limit)]


# The same conditions as of CLAIM, or the worker would wake for what it does not take.
NEXT_DUE = """
SELECT min(d.next_at) FROM subscriber s
CROSS JOIN LATERAL (
    SELECT min(next_at) AS next_at FROM delivery
    WHERE subscriber_id = s.id AND state = 'waiting' AND (event_id IS NULL) = (s.state = 'requested')
) AS d
WHERE s.state IN ('requested', 'active')
"""


async def next_due(session: Session) -> datetime | None:
    return await session.fetchval(NEXT_DUE)


SAVE_FAILURES = """
UPDATE subscriber SET failures = CASE WHEN $2 THEN 0 ELSE failures + 1 END, last_error = $3 WHERE id = $1
"""


async def save_failures(session: Session, subscriber: Id, arrived: bool, error: str | None) -> None:
    await session.execute(SAVE_FAILURES, subscriber, arrived, error)


# Only what still waits changes: an attempt that answers late can neither undo nor repeat what another one settled.
SAVE_OUTCOME = """
WITH attempt AS (
    INSERT INTO delivery_attempt (delivery_id, organization_id, at, what, status, error)
    VALUES ($1, $2, $3, 'post', $4, $5)
)
UPDATE delivery
SET state = $6, attempts = attempts + 1, next_at = $7, last_status = $4, last_error = $5,
    sent_at = CASE WHEN $6 = 'sent' THEN $3::timestamptz END
WHERE id = $1 AND state = 'waiting'
"""


async def save_outcome(
    session: Session,
    notice: Notice,
    outcome: Outcome,
    error: str | None,
    state: str,
    next_at: datetime | None,
    now: datetime,
) -> None:
    await session.execute(
        SAVE_OUTCOME, notice.delivery, notice.subscriber.organization, now, outcome.status, error, state, next_at
    )


DELIVERY = """d.id, d.subscriber_id AS subscriber, d.organization_id AS organization, s.endpoint, d.number, d.position,
    coalesce(e.kind, 'handshake') AS kind, e.referral_id AS referral, e.task_id AS task, d.state, d.attempts, d.next_at,
    d.last_status, d.last_error, d.created_at, d.sent_at"""
JOINED = "JOIN subscriber s ON s.id = d.subscriber_id LEFT JOIN event e ON e.id = d.event_id"
BEFORE = """(created_at, id) < (coalesce((SELECT c.created_at FROM delivery c WHERE c.id = $1), 'infinity'),
    coalesce($1::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))"""
NEWEST = "ORDER BY created_at DESC, id DESC"

# Each walks one index in its order, so a page costs the same at any length of the list.
LIST_ALL = f"""
SELECT {DELIVERY} FROM (SELECT * FROM delivery WHERE {BEFORE} {NEWEST} LIMIT $2) AS d {JOINED}
ORDER BY d.created_at DESC, d.id DESC
"""
LIST_STATE = f"""
SELECT {DELIVERY} FROM (SELECT * FROM delivery WHERE state = $3 AND {BEFORE} {NEWEST} LIMIT $2) AS d {JOINED}
ORDER BY d.created_at DESC, d.id DESC
"""
LIST_OWN = f"""
SELECT {DELIVERY}
FROM (SELECT * FROM delivery WHERE organization_id = $3 AND ($4::text IS NULL OR state = $4) AND {BEFORE} {NEWEST}
      LIMIT $2) AS d {JOINED} ORDER BY d.created_at DESC, d.id DESC
"""


async def deliveries(
    session: Session, state: str | None, organization: Id | None, after: Id | None, limit: int
) -> list[Delivery]:
    """Newest first; `after` is the last one of the page before."""
    if organization is not None:
        rows = await session.fetch(LIST_OWN, after, limit, organization, state)
    elif state is not None:
        rows = await session.fetch(LIST_STATE, after, limit, state)
    else:
        rows = await session.fetch(LIST_ALL, after, limit)
    return [_delivery(row) for row in rows]


READ_DELIVERY = f"SELECT {DELIVERY} FROM delivery d {JOINED} WHERE d.id = $1"


async def delivery(session: Session, id: Id) -> Delivery | None:
    row = await session.fetchrow(READ_DELIVERY, id)
    return _delivery(row) if row else None


LIST_ATTEMPTS = """
SELECT at, what, status, error, by_name FROM delivery_attempt WHERE delivery_id = $1 ORDER BY at LIMIT 200
"""


async def attempts(session: Session, delivery: Id) -> list[Attempt]:
    rows = await session.fetch(LIST_ATTEMPTS, delivery)
    return [Attempt(row["at"], row["what"], row["status"], row["error"], row["by_name"]) for row in rows]


RESEND = """
WITH wish AS (
    INSERT INTO delivery_attempt (delivery_id, organization_id, at, what, by_id, by_role, by_name)
    SELECT id, organization_id, $2, 'resend', $3, $4, $5 FROM delivery WHERE id = $1
)
UPDATE delivery SET state = 'waiting', next_at = $2, attempts = 0, sent_at = NULL WHERE id = $1
"""


async def resend(session: Session, delivery: Id, actor: Actor, now: datetime) -> None:
    await session.execute(RESEND, delivery, now, actor.id, actor.role, actor.name)


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
        },
        Subscriber,
    )


def _delivery(row: asyncpg.Record) -> Delivery:
    scheme, _, rest = row["endpoint"].partition("://")
    shown: dict[str, Any] = {name: row[name] for name in Delivery.__struct_fields__ if name != "to"}
    return Delivery(to=f"{scheme}://{rest.partition('/')[0].partition('?')[0]}", **shown)


POSITION_OF = "SELECT position FROM event WHERE id = $1"


async def position_of(session: Session, event: Id) -> int | None:
    return await session.fetchval(POSITION_OF, event)


# `position` is bound on both sides, so that a reader who sees little of the log never walks all of it at once.
HEARD = f"""
SELECT {events.COLUMNS} FROM event WHERE position > $1 AND position <= $2 ORDER BY position LIMIT $3
"""


async def heard(session: Session, position: int, upto: int, limit: int) -> list[events.Placed]:
    return [events.placed(row) for row in await session.fetch(HEARD, position, upto, limit)]
