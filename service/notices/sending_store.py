"""The SQL of what is sent: deliveries taken under a lease, what came of them, their lists, and sending one again."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

import asyncpg
import msgspec

from service import events
from service.access.model import Actor
from service.db import Session
from service.notices import reach
from service.notices.model import Attempt, Delivery, Notice, Outcome, Outgoing, Subscriber
from service.notices.permission import Standing
from service.notices.store import SUBSCRIBER, read_subscriber
from service.safety.contact import ContactRules
from service.values import Id, new_id

DELIVERED = """{0}.id AS delivery_id, {0}.number AS delivery_number, {0}.attempts, {0}.created_at AS delivery_created_at,
    {0}.task_id AS delivery_task, {0}.parent_id AS delivery_parent, {0}.request_id AS delivery_request, {0}.batch_id"""

# Per subscriber only as many as it has room for, so that a slow one cannot take all places, and of each the first before
# the second of any, so that one with much to hear keeps nobody waiting; `next_at` becomes the end of the lease, so that
# what a killed worker took comes due again by itself.
# In error nothing waits but what somebody wished to be sent again. Whoever takes several events at a time is served by
# CLAIM_BATCHES.
CLAIM = f"""
WITH due AS (
    SELECT d.id, d.next_at, s.timeout, s.failures > 0 AS failing,
           row_number() OVER (PARTITION BY s.id ORDER BY d.next_at, d.number) AS place
    FROM subscriber s
    LEFT JOIN unnest($3::uuid[], $4::int[]) AS flying(id, posts) ON flying.id = s.id
    CROSS JOIN LATERAL (
        SELECT d.id, d.next_at, d.number FROM delivery d
        WHERE d.subscriber_id = s.id AND d.state = 'waiting' AND d.next_at <= $1
          AND (d.event_id IS NULL) = (s.state = 'requested')
        ORDER BY d.next_at, d.number
        LIMIT greatest(CASE WHEN s.failures > 0 THEN 1 ELSE $5::int END - coalesce(flying.posts, 0), 0)
        FOR UPDATE SKIP LOCKED
    ) AS d
    WHERE s.state <> 'off' AND (s.state = 'requested' OR coalesce(s.max_count, 1) = 1)
),
ready AS (
    SELECT id, timeout
    FROM (SELECT *, row_number() OVER (PARTITION BY failing ORDER BY place, next_at) AS turn FROM due) AS due
    WHERE turn <= CASE WHEN failing THEN $7::int ELSE $6::int END
),
taken AS (
    UPDATE delivery d SET next_at = greatest($2, $1 + make_interval(secs => 2 * ready.timeout))
    FROM ready WHERE d.id = ready.id
    RETURNING d.*
)
SELECT {DELIVERED.format("t")}, to_json(s)::text AS subscriber, e.*
FROM taken t
JOIN (SELECT {SUBSCRIBER}, s.secret FROM subscriber s) AS s ON s.id = t.subscriber_id
LEFT JOIN (SELECT {events.COLUMNS} FROM event) AS e ON e.id = t.event_id
ORDER BY t.number
"""


async def claim(
    session: Session, now: datetime, until: datetime, flying: Mapping[Id, int], at_once: int, rooms: tuple[int, int]
) -> list[Outgoing]:
    """`rooms` is for subscribers that answer, and for those that fail, each of which gets one at a time."""
    rows = await session.fetch(CLAIM, now, until, list(flying), list(flying.values()), at_once, *rooms)
    return [Outgoing(notice, secret) for notice, secret in _claimed(rows)]


def _claimed(rows: Sequence[asyncpg.Record]) -> list[tuple[Notice, str]]:
    known: dict[str, tuple[Subscriber, str]] = {}
    for text in {row["subscriber"] for row in rows}:
        said = msgspec.json.decode(text)
        known[text] = (read_subscriber(said), said["secret"])
    found = [(row, *known[row["subscriber"]]) for row in rows]
    return [(_notice(row, to), secret) for row, to, secret in found]


# What most deployments have none of is looked for in one trip.
SPECIAL = """
SELECT EXISTS (SELECT FROM subscriber WHERE max_count > 1 AND state IN ('active', 'error')) AS batches,
       EXISTS (SELECT FROM subscriber WHERE state = 'active' AND beat_at <= $1) AS beats
"""


async def special(session: Session, now: datetime) -> tuple[bool, bool]:
    """Whether any subscriber takes several events at a time, and whether a heartbeat is due."""
    row = await session.fetchrow(SPECIAL, now)
    return (row["batches"], row["beats"]) if row else (False, False)


# One taker of batches at a time: what it takes depends on what the last one left.
LOCK_BATCHES = "SELECT pg_advisory_xact_lock($1)"
BATCH_LOCK = 0x7975616E0012

MOST_OF_A_BATCH = 100
"""Events in one notice, whatever more the subscriber would take."""

# In order, so one notice at a time: while the earliest event that waits is not due (it is in flight, or to be tried again
# later) nothing behind it is taken. A notice that failed is tried again with the same events under the same id.
CLAIM_BATCHES = f"""
WITH rested AS (
    SELECT s.id, s.max_count, s.timeout, s.failures > 0 AS failing, h.batch_id AS known,
           row_number() OVER (PARTITION BY s.failures > 0 ORDER BY h.next_at) AS turn
    FROM subscriber s
    CROSS JOIN LATERAL (
        SELECT d.batch_id, d.next_at FROM delivery d
        WHERE d.subscriber_id = s.id AND d.state = 'waiting' AND d.event_id IS NOT NULL
        ORDER BY d.number LIMIT 1
    ) AS h
    WHERE s.state IN ('active', 'error') AND s.max_count > 1 AND h.next_at <= $1
),
head AS MATERIALIZED (
    SELECT *, coalesce(known, gen_random_uuid()) AS batch_id FROM rested
    WHERE turn <= CASE WHEN failing THEN $4::int ELSE $3::int END
),
ready AS (
    SELECT m.id, head.batch_id, head.timeout
    FROM head CROSS JOIN LATERAL (
        SELECT d.id FROM delivery d
        WHERE d.subscriber_id = head.id AND d.state = 'waiting' AND d.event_id IS NOT NULL AND d.next_at <= $1
          AND d.batch_id IS NOT DISTINCT FROM head.known
        ORDER BY d.number LIMIT least(head.max_count, $5)
        FOR UPDATE SKIP LOCKED
    ) AS m
),
taken AS (
    UPDATE delivery d SET batch_id = ready.batch_id, next_at = greatest($2, $1 + make_interval(secs => 2 * ready.timeout))
    FROM ready WHERE d.id = ready.id
    RETURNING d.*
)
SELECT {DELIVERED.format("t")}, to_json(s)::text AS subscriber, e.*
FROM taken t
JOIN (SELECT {SUBSCRIBER}, s.secret FROM subscriber s) AS s ON s.id = t.subscriber_id
LEFT JOIN (SELECT {events.COLUMNS} FROM event) AS e ON e.id = t.event_id
ORDER BY t.subscriber_id, t.number
"""


async def claim_batches(session: Session, now: datetime, until: datetime, rooms: tuple[int, int]) -> list[Outgoing]:
    """The next notice of each subscriber that takes several events at a time and is at rest."""
    await session.execute(LOCK_BATCHES, BATCH_LOCK)
    rows = await session.fetch(CLAIM_BATCHES, now, until, *rooms, MOST_OF_A_BATCH)
    taken: list[Outgoing] = []
    for _, each in groupby(_claimed(rows), lambda one: one[0].batch):
        (first, secret), *more = each
        taken.append(Outgoing(first, secret, tuple(notice for notice, _ in more)))
    return taken


# Taken by putting off the next one: a heartbeat that is lost is followed by the next, so it is not recorded or repeated.
CLAIM_BEATS = f"""
WITH due AS (
    SELECT s.id FROM subscriber s WHERE s.state = 'active' AND s.beat_at <= $1
    ORDER BY s.beat_at LIMIT $2 FOR UPDATE SKIP LOCKED
)
UPDATE subscriber s SET beat_at = $1 + make_interval(secs => s.heartbeat) FROM due WHERE s.id = due.id
RETURNING {SUBSCRIBER}, s.secret
"""


async def claim_beats(session: Session, now: datetime, room: int) -> list[Outgoing]:
    """Heartbeats for those to whom nothing was sent for as long as they asked for."""
    found = [(read_subscriber(row), row["secret"]) for row in await session.fetch(CLAIM_BEATS, now, room)]
    return [
        Outgoing(
            Notice(
                delivery=new_id(),
                number=to.event_number,
                attempts=0,
                created_at=now,
                subscriber=to,
                event=None,
                heartbeat=True,
            ),
            secret,
        )
        for to, secret in found
    ]


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
        batch=row["batch_id"],
    )


TOLD = f"""
SELECT {DELIVERED.format("d")}, e.*
FROM delivery d LEFT JOIN (SELECT {events.COLUMNS} FROM event) AS e ON e.id = d.event_id
WHERE d.subscriber_id = $1 AND d.event_id IS NOT NULL AND d.number BETWEEN $2 AND $3 ORDER BY d.number LIMIT $4
"""


async def told(session: Session, to: Subscriber, since: int, until: int, limit: int) -> list[Notice]:
    """What one subscriber was to hear, by number."""
    return [_notice(row, to) for row in await session.fetch(TOLD, to.id, since, until, limit)]


# The same conditions as of the claims, or the worker would wake for what it does not take.
NEXT_DUE = """
SELECT min(least(s.beat_at, d.next_at)) FROM subscriber s
CROSS JOIN LATERAL (
    SELECT CASE
        WHEN s.state <> 'requested' AND s.max_count > 1 THEN (
            SELECT next_at FROM delivery WHERE subscriber_id = s.id AND state = 'waiting' AND event_id IS NOT NULL
            ORDER BY number LIMIT 1)
        ELSE (
            SELECT min(next_at) FROM delivery
            WHERE subscriber_id = s.id AND state = 'waiting' AND (event_id IS NULL) = (s.state = 'requested'))
    END AS next_at
) AS d
WHERE s.state <> 'off'
"""


async def next_due(session: Session) -> datetime | None:
    return await session.fetchval(NEXT_DUE)


# Why a subscription is in error stays to be seen, whatever is sent to it by somebody's wish.
SAVE_ANSWER = """
UPDATE subscriber SET failures = CASE WHEN $2 THEN 0 ELSE failures + 1 END,
    last_error = CASE WHEN state = 'error' THEN last_error ELSE $3 END,
    beat_at = CASE WHEN $2 AND state = 'active' THEN $4::timestamptz + make_interval(secs => heartbeat) ELSE beat_at END
WHERE id = $1
"""


async def save_answer(session: Session, subscriber: Id, arrived: bool, error: str | None, now: datetime) -> None:
    """Count failures in a row, and put the heartbeat off when something arrived."""
    await session.execute(SAVE_ANSWER, subscriber, arrived, error, now)


# Of any number of subscribers: where nothing changes but what was told, no row of theirs is written or locked.
SAVE_ARRIVED = """
WITH told AS (
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::int[], $5::int[]) AS told(id, organization_id, subscriber_id, status, took)
),
attempt AS (
    INSERT INTO delivery_attempt (delivery_id, organization_id, subscriber_id, at, what, status, took)
    SELECT id, organization_id, subscriber_id, $6, 'post', status, took FROM told
)
UPDATE delivery d
SET state = 'sent', attempts = attempts + 1, next_at = NULL, last_status = told.status, last_error = NULL, sent_at = $6
FROM told WHERE d.id = told.id AND d.state = 'waiting'
"""


async def save_arrived(session: Session, arrived: Sequence[tuple[Outgoing, Outcome]], now: datetime) -> None:
    told = [
        (each.delivery, each.subscriber.organization, each.subscriber.id, outcome.status, outcome.took)
        for sent, outcome in arrived
        for each in sent.notices
    ]
    await session.execute(SAVE_ARRIVED, *map(list, zip(*told, strict=True)), now)


GIVE_BACK = "UPDATE delivery SET next_at = $2 WHERE id = ANY ($1) AND state = 'waiting' AND next_at > $2"


async def give_back(session: Session, taken: Sequence[Outgoing], now: datetime) -> None:
    told = [notice.delivery for sent in taken for notice in sent.notices]
    await session.execute(GIVE_BACK, told, now)


# Only what still waits changes: an attempt that answers late can neither undo nor repeat what another one settled.
SAVE_OUTCOME = """
WITH attempt AS (
    INSERT INTO delivery_attempt (delivery_id, organization_id, subscriber_id, at, what, status, error, took)
    SELECT told, $2, $8, $3, 'post', $4, $5, $9 FROM unnest($1::uuid[]) AS told
)
UPDATE delivery
SET state = $6, attempts = attempts + 1, next_at = $7, last_status = $4, last_error = $5,
    sent_at = CASE WHEN $6 = 'sent' THEN $3::timestamptz END
WHERE id = ANY ($1) AND state = 'waiting'
"""


async def save_outcome(
    session: Session,
    sent: Outgoing,
    outcome: Outcome,
    error: str | None,
    state: str,
    next_at: datetime | None,
    now: datetime,
) -> None:
    told = [notice.delivery for notice in sent.notices]
    to = sent.notice.subscriber
    await session.execute(
        SAVE_OUTCOME, told, to.organization, now, outcome.status, error, state, next_at, to.id, outcome.took
    )


# Of each notice, how things stand now with the person that its event is about. An agency's disclosure is asked as it was when
# the event happened and as it is now.
STANDINGS = """
SELECT d.id, e.sealed, r.needs,
       p.deceased OR EXISTS (SELECT FROM stay y WHERE y.patient_id = p.id AND y.status = 'finished' AND y.disposition = '5') AS deceased,
       r.contact_prohibited, c.prohibited, c.supervised, s.whole_network OR e.hospital_id = d.organization_id AS party,
       EXISTS (SELECT FROM disclosure x WHERE x.referral_id = e.referral_id AND x.agency_id = d.organization_id
               AND x.opened_at <= e.at AND (x.closed_at IS NULL OR x.closed_at > e.at)) AS disclosed_then,
       EXISTS (SELECT FROM disclosure x WHERE x.referral_id = e.referral_id AND x.agency_id = d.organization_id
               AND x.closed_at IS NULL) AS disclosed_now
FROM delivery d
JOIN subscriber s ON s.id = d.subscriber_id
JOIN event e ON e.id = d.event_id
JOIN referral r ON r.id = e.referral_id
LEFT JOIN patient p ON p.id = r.patient_id
LEFT JOIN contact_rule c ON c.patient_id = r.patient_id AND c.current
WHERE d.id = ANY ($1)
"""


async def standings(session: Session, deliveries: Sequence[Id]) -> dict[Id, Standing]:
    """By delivery; a handshake or heartbeat is about nobody and not there."""
    return {
        row["id"]: Standing(
            sealed=row["sealed"],
            disclosed_then=row["party"] or row["disclosed_then"],
            disclosed_now=row["party"] or row["disclosed_now"],
            deceased=bool(row["deceased"]),
            rules=ContactRules(prohibited=bool(row["prohibited"]), supervised=bool(row["supervised"])),
            needs=tuple(row["needs"]),
            prohibited=row["contact_prohibited"],
        )
        for row in await session.fetch(STANDINGS, list(deliveries))
    }


WITHHELD = """
UPDATE delivery d SET withheld = said.rule FROM unnest($1::uuid[], $2::text[]) AS said (id, rule)
WHERE d.id = said.id AND d.withheld IS DISTINCT FROM said.rule
"""


async def save_withheld(session: Session, rules: Mapping[Id, str | None]) -> None:
    """Record for which rule each is not told in full; None: it is."""
    await session.execute(WITHHELD, list(rules), list(rules.values()))


DELIVERY = """d.id, d.subscriber_id AS subscriber, d.organization_id AS organization, s.endpoint, d.number, d.position,
    coalesce(e.kind, 'handshake') AS kind, e.referral_id AS referral, e.task_id AS task, d.state, d.attempts, d.next_at,
    d.last_status, d.last_error, d.created_at, d.sent_at, d.withheld"""
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


# Counted up to a bound, in the index of states: beyond it the figure says no more, and costs no more.
BACKLOG = """
SELECT state, (SELECT count(*) FROM (SELECT FROM delivery d WHERE d.state = s.state LIMIT 100000) bounded) AS found
FROM unnest($1::text[]) AS s (state)
"""


async def backlog(session: Session, states: Sequence[str]) -> dict[str, int]:
    return {row["state"]: row["found"] for row in await session.fetch(BACKLOG, states)}


LIST_ATTEMPTS = """
SELECT at, what, status, error, by_name, took FROM delivery_attempt WHERE delivery_id = $1 ORDER BY at LIMIT 200
"""


async def attempts(session: Session, delivery: Id) -> list[Attempt]:
    rows = await session.fetch(LIST_ATTEMPTS, delivery)
    return [Attempt(row["at"], row["what"], row["status"], row["error"], row["by_name"], row["took"]) for row in rows]


RESEND = """
WITH wish AS (
    INSERT INTO delivery_attempt (delivery_id, organization_id, subscriber_id, at, what, by_id, by_role, by_name)
    SELECT id, organization_id, subscriber_id, $2, 'resend', $3, $4, $5 FROM delivery WHERE id = $1
)
UPDATE delivery SET state = 'waiting', next_at = $2, attempts = 0, sent_at = NULL, batch_id = NULL WHERE id = $1
"""


async def resend(session: Session, delivery: Id, actor: Actor, now: datetime) -> None:
    await session.execute(RESEND, delivery, now, actor.id, actor.role, actor.name)


def _delivery(row: asyncpg.Record) -> Delivery:
    shown: dict[str, Any] = {name: row[name] for name in Delivery.__struct_fields__ if name != "to"}
    return Delivery(to=reach.host_of(row["endpoint"]), **shown)
