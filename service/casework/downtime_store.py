"""SQL of the lists for when the service is away, and of what was entered afterwards."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from service.casework.downtime import KEPT, Entry, Line
from service.db import Session
from service.referrals.model import Task
from service.referrals.store import read_task
from service.values import Id

_lines = msgspec.json.Decoder(tuple[Line, ...])


class Made(msgspec.Struct, frozen=True):
    """A list as it was made. Of several wards of an hour one is a list each."""

    organization: Id
    slot: datetime
    ward: str
    made_at: datetime
    count: int
    more: bool
    lines: tuple[Line, ...] = ()


TO_MAKE = """
SELECT o.id, o.kind IN ('hospital', 'campus') AS hospital FROM organization o
WHERE o.active AND o.kind = ANY ($1) AND NOT EXISTS (SELECT 1 FROM downtime_list d WHERE d.organization_id = o.id AND d.slot = $2)
AND (EXISTS (SELECT 1 FROM open_task t WHERE t.agency_id = o.id) OR EXISTS (SELECT 1 FROM next_step n WHERE n.hospital_id = o.id)
     OR EXISTS (SELECT 1 FROM downtime_list d WHERE d.organization_id = o.id AND d.count > 0))
ORDER BY o.id LIMIT $3
"""


async def to_make(session: Session, kinds: Sequence[str], slot: datetime, limit: int) -> list[tuple[Id, bool]]:
    """Organisations with open work, or that had some, which have no list for this hour yet; and whether each is a hospital."""
    return [(row["id"], row["hospital"]) for row in await session.fetch(TO_MAKE, list(kinds), slot, limit)]


KEEP = """
INSERT INTO downtime_list (organization_id, slot, ward, made_at, lines, count, more)
SELECT $1, $2, n.ward, $3, n.lines, n.count, n.more FROM unnest($4::text[], $5::json[], $6::int[], $7::bool[]) AS n(ward, lines, count, more)
ON CONFLICT DO NOTHING
"""
FORGET = """
DELETE FROM downtime_list WHERE organization_id = $1 AND slot < (
    SELECT min(slot) FROM (SELECT DISTINCT slot FROM downtime_list WHERE organization_id = $1 ORDER BY slot DESC LIMIT $2) AS kept)
"""


async def keep(session: Session, organization: Id, slot: datetime, now: datetime, made: Sequence[Made]) -> None:
    """Store the lists of an hour, and let go of those beyond the last `KEPT` hours."""
    await session.execute(
        KEEP, organization, slot, now, [each.ward for each in made], [msgspec.json.encode(each.lines).decode() for each in made],
        [each.count for each in made], [each.more for each in made],
    )  # fmt: skip
    await session.execute(FORGET, organization, KEPT)


HOURS = """
SELECT organization_id, slot, ward, made_at, count, more FROM downtime_list WHERE organization_id = $1 ORDER BY slot DESC, ward
"""


async def hours(session: Session, organization: Id) -> list[Made]:
    """The lists there are, newest first, without their lines."""
    return [
        Made(row["organization_id"], row["slot"], row["ward"], row["made_at"], row["count"], row["more"])
        for row in await session.fetch(HOURS, organization)
    ]


LISTS = """
SELECT organization_id, slot, ward, made_at, count, more, lines FROM downtime_list
WHERE organization_id = $1 AND slot = $2 AND ($3::text IS NULL OR ward = $3) ORDER BY ward
"""


async def lists(session: Session, organization: Id, slot: datetime, ward: str | None) -> list[Made]:
    """The lists of an hour: an agency's one, a hospital's wards, or one of them."""
    return [
        Made(row["organization_id"], row["slot"], row["ward"], row["made_at"], row["count"], row["more"], _lines.decode(row["lines"]))
        for row in await session.fetch(LISTS, organization, slot, ward)
    ]  # fmt: skip


NEWEST = (
    "SELECT organization_id, max(slot) AS slot FROM downtime_list GROUP BY organization_id ORDER BY organization_id"
)


async def newest(session: Session) -> list[tuple[Id, datetime]]:
    """Of every organisation the hour of its newest list."""
    return [(row["organization_id"], row["slot"]) for row in await session.fetch(NEWEST)]


WARDS = (
    "SELECT id, ward, bed FROM stay WHERE id = ANY ($1) AND status NOT IN ('finished', 'cancelled', 'entered-in-error')"
)


async def wards(session: Session, stays: Sequence[Id]) -> dict[Id, tuple[str, str | None]]:
    """Where these stays are, ward and bed, as far as they go on; who lies on no ward is on the ward without a name."""
    return {row["id"]: (row["ward"] or "", row["bed"]) for row in await session.fetch(WARDS, list(stays))}


PROHIBITED_OF = "SELECT id FROM referral WHERE id = ANY ($1) AND contact_prohibited"


async def prohibited(session: Session, referrals: Sequence[Id]) -> set[Id]:
    """Which of these referrals say that nobody contacts the person."""
    return {row["id"] for row in await session.fetch(PROHIBITED_OF, list(referrals))}


OPEN_FOLLOW_UPS = """
SELECT v.snapshot FROM task t JOIN task_version v ON v.task_id = t.id AND v.version = t.version
WHERE t.hospital_id = $1 AND t.agency_id IS NULL AND t.kind = 'follow-up' AND t.open ORDER BY t.due_at, t.id LIMIT $2
"""


async def open_follow_ups(session: Session, hospital: Id, limit: int) -> list[Task]:
    """A hospital's own open follow-ups, soonest end first."""
    return [read_task(row["snapshot"]) for row in await session.fetch(OPEN_FOLLOW_UPS, hospital, limit)]


ADD_ENTRIES = """
INSERT INTO downtime_entry (id, batch_id, place, organization_id, actor_id, recorded_at, performed_at, what, referral_id, task_id, why, refused)
SELECT n.id, $1, n.place, $2, $3, $4, n.performed, n.what, n.referral, n.task, $5, n.refused
FROM unnest($6::uuid[], $7::int[], $8::timestamptz[], $9::text[], $10::uuid[], $11::uuid[], $12::text[])
    AS n(id, place, performed, what, referral, task, refused)
"""


async def add_entries(session: Session, organization: Id, actor: Id, batch: Id, why: str, entries: Sequence[Entry], now: datetime) -> None:  # fmt: skip
    """Store what was entered together."""
    await session.execute(
        ADD_ENTRIES, batch, organization, actor, now, why, [e.id for e in entries], [e.place for e in entries],
        [e.performed_at for e in entries], [e.what for e in entries], [e.referral for e in entries], [e.task for e in entries],
        [e.refused for e in entries],
    )  # fmt: skip


ENTRIES = """
SELECT id, batch_id, place, recorded_at, performed_at, what, why, referral_id, task_id, refused FROM downtime_entry
WHERE batch_id = $1 ORDER BY place
"""


async def entries(session: Session, batch: Id) -> list[Entry]:
    """The rows of one time, as far as they are the reader's own."""
    return [
        Entry(
            id=row["id"], batch=row["batch_id"], place=row["place"], recorded_at=row["recorded_at"], performed_at=row["performed_at"],
            what=row["what"], why=row["why"], referral=row["referral_id"], task=row["task_id"], refused=row["refused"],
        )
        for row in await session.fetch(ENTRIES, batch)
    ]  # fmt: skip
