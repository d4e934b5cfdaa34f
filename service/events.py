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
    columns = [
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
    tag = await session.execute(APPEND, len(events), referral, *columns)
    if tag != f"INSERT 0 {len(events)}":
        raise RuntimeError(f"the event log took {tag!r} for {len(events)} events")
    session.stirred = True
