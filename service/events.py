"""The event log: what happened to a referral, committed with the move that made it; the outbox of all news."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from service.db import Session
from service.values import Id


class Event(msgspec.Struct, frozen=True):
    """One thing that happened. `kind` is the verb's word (`accept`, `offer`, …); `hospital` and `agency` say who may read it.

    `sealed` hides the step's reason and data from everyone but the platform and the two parties to it (safety, reports).
    """

    id: Id
    referral: Id
    kind: str
    at: datetime
    by: Id
    by_role: str
    by_organization: Id
    by_name: str
    hospital: Id
    agency: Id | None = None
    task: Id | None = None
    task_version: int | None = None
    reason_code: str | None = None
    reason_text: str | None = None
    sealed: bool = False
    data: dict[str, Any] = {}


# The referral's own counter is taken under its row lock, so that events of one referral are numbered in commit order;
# `position` stays empty until the sequencer gives committed events the next ones.
APPEND = """
WITH counter AS (
    UPDATE referral_counter SET last = last + $1 WHERE referral_id = $2 RETURNING last - $1 AS before
)
INSERT INTO event (id, referral_id, number, kind, at, by_id, by_role, by_organization, by_name, hospital_id, agency_id,
                   task_id, task_version, reason_code, reason_text, sealed, data)
SELECT e.id, $2, counter.before + e.place, e.kind, e.at, e.by_id, e.by_role, e.by_organization, e.by_name, e.hospital_id,
       e.agency_id, e.task_id, e.task_version, e.reason_code, e.reason_text, e.sealed, e.data
FROM counter, unnest($3::uuid[], $4::text[], $5::timestamptz[], $6::uuid[], $7::text[], $8::uuid[], $9::text[], $10::uuid[],
       $11::uuid[], $12::uuid[], $13::int[], $14::text[], $15::text[], $16::bool[], $17::text[]::json[]) WITH ORDINALITY
     AS e(id, kind, at, by_id, by_role, by_organization, by_name, hospital_id, agency_id, task_id, task_version,
          reason_code, reason_text, sealed, data, place)
"""


async def append(session: Session, referral: Id, events: Sequence[Event]) -> None:
    """Append the events of one referral in the caller's transaction, in the order given."""
    if not events:
        return
    tag = await session.execute(APPEND, len(events), referral, *_columns(events))
    if tag != f"INSERT 0 {len(events)}":
        raise RuntimeError(f"the event log took {tag!r} for {len(events)} events")
    session.stirred = True
    session.referrals.add(referral)


def _columns(events: Sequence[Event]) -> list[list[Any]]:
    return [
        [e.id for e in events],
        [e.kind for e in events],
        [e.at for e in events],
        [e.by for e in events],
        [e.by_role for e in events],
        [e.by_organization for e in events],
        [e.by_name for e in events],
        [e.hospital for e in events],
        [e.agency for e in events],
        [e.task for e in events],
        [e.task_version for e in events],
        [e.reason_code for e in events],
        [e.reason_text for e in events],
        [e.sealed for e in events],
        [msgspec.json.encode(e.data).decode() for e in events],
    ]


APPEND_EACH = """
WITH given AS (
    SELECT e.*, row_number() OVER (PARTITION BY e.referral_id ORDER BY e.place) AS nth
    FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::timestamptz[], $5::uuid[], $6::text[], $7::uuid[], $8::text[], $9::uuid[],
           $10::uuid[], $11::uuid[], $12::int[], $13::text[], $14::text[], $15::bool[], $16::text[]::json[]) WITH ORDINALITY
         AS e(id, referral_id, kind, at, by_id, by_role, by_organization, by_name, hospital_id, agency_id, task_id, task_version,
              reason_code, reason_text, sealed, data, place)
), counter AS (
    UPDATE referral_counter c SET last = last + n.some
    FROM (SELECT referral_id, count(*) AS some FROM given GROUP BY referral_id) AS n WHERE c.referral_id = n.referral_id
    RETURNING c.referral_id, c.last - n.some AS before
)
INSERT INTO event (id, referral_id, number, kind, at, by_id, by_role, by_organization, by_name, hospital_id, agency_id,
                   task_id, task_version, reason_code, reason_text, sealed, data)
SELECT g.id, g.referral_id, counter.before + g.nth, g.kind, g.at, g.by_id, g.by_role, g.by_organization, g.by_name, g.hospital_id,
       g.agency_id, g.task_id, g.task_version, g.reason_code, g.reason_text, g.sealed, g.data
FROM given g JOIN counter USING (referral_id)
"""


async def append_each(session: Session, events: Sequence[Event]) -> None:
    """Append events of many referrals at once, each referral's in the order given; the caller holds all their locks."""
    if not events:
        return
    columns = [[e.referral for e in events], *_columns(events)[1:]]
    tag = await session.execute(APPEND_EACH, [e.id for e in events], *columns)
    if tag != f"INSERT 0 {len(events)}":
        raise RuntimeError(f"the event log took {tag!r} for {len(events)} events")
    session.stirred = True
    session.referrals.update(event.referral for event in events)


# Taken by sequencers alone, so no writer ever waits for it.
SEQUENCER = 0x7975616E0001
LOCK_SEQUENCER = "SELECT pg_advisory_xact_lock($1)"

# A referral's earlier events commit before its later ones (the counter's row lock), so a snapshot that holds one holds
# all before it, and the order by number cannot run ahead of a commit. The head is kept apart from the rows, so that a
# position is never given twice.
SEQUENCE = """
WITH head AS (SELECT last FROM sequence_head WHERE name = 'event'),
batch AS (
    SELECT id, row_number() OVER (ORDER BY referral_id, number) AS place
    FROM (SELECT id, referral_id, number FROM event WHERE position IS NULL ORDER BY referral_id, number LIMIT $1) AS e
),
placed AS (
    UPDATE event SET position = head.last + batch.place FROM batch, head WHERE event.id = batch.id RETURNING 1
)
UPDATE sequence_head SET last = last + (SELECT count(*) FROM placed)
WHERE name = 'event' AND EXISTS (SELECT 1 FROM placed)
RETURNING (SELECT count(*) FROM placed)
"""


async def sequence(session: Session, limit: int = 500) -> int:
    """Give committed events that have no position the next ones, at most `limit`; how many got one.

    The lock is a statement of its own: the next statement's snapshot then begins after the last sequencer's commit.
    Needs the platform's scope, and a transaction that commits at once. Call it again until it answers 0.
    """
    await session.execute(LOCK_SEQUENCER, SEQUENCER)
    return await session.fetchval(SEQUENCE, limit) or 0


HEAD = "SELECT last FROM sequence_head WHERE name = 'event'"


async def head(session: Session) -> int:
    """The last position given: every event up to it is committed, and none will ever come below it."""
    return await session.fetchval(HEAD)


class Placed(msgspec.Struct, frozen=True):
    """An event with its place in commit order and among its referral's events."""

    position: int
    number: int
    event: Event


COLUMNS = """position, number, id, referral_id, kind, at, by_id, by_role, by_organization, by_name, hospital_id,
    agency_id, task_id, task_version, reason_code, reason_text, sealed, data"""

AFTER = f"SELECT {COLUMNS} FROM event WHERE position > $1 ORDER BY position LIMIT $2"


async def after(session: Session, position: int, limit: int) -> list[Placed]:
    """The events behind a cursor in commit order, as far as the row scope lets them be seen."""
    return [placed(row) for row in await session.fetch(AFTER, position, limit)]


def placed(row: Any) -> Placed:
    """A row of COLUMNS as a Struct."""
    return Placed(
        row["position"],
        row["number"],
        Event(
            id=row["id"],
            referral=row["referral_id"],
            kind=row["kind"],
            at=row["at"],
            by=row["by_id"],
            by_role=row["by_role"],
            by_organization=row["by_organization"],
            by_name=row["by_name"],
            hospital=row["hospital_id"],
            agency=row["agency_id"],
            task=row["task_id"],
            task_version=row["task_version"],
            reason_code=row["reason_code"],
            reason_text=row["reason_text"],
            sealed=row["sealed"],
            data=msgspec.json.decode(row["data"]),
        ),
    )
