"""A database with as many real referrals as are asked for: one submission that the service took, multiplied by SQL."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import msgspec

from adapters import network as files
from adapters.demo import people
from service import db
from service.access.model import clock_actor
from service.db import Scope, migrate
from service.directory import flow as directory
from service.practice import PLATFORM
from service.values import utc_now
from tests.bench import control, ward
from tests.bench.ground import Ground

HOSPITALS, AGENCIES = 20, 100
"""Over so many the referrals are spread evenly; the first of each is the demo's hospital-a and agency-a."""
TABLES = (
    "referral_counter",
    "patient",
    "patient_identifier",
    "record",
    "referral",
    "referral_version",
    "task",
    "task_version",
    "next_step",
)
"""What is multiplied; the rest of a submission (what was received, its events, the routing decision, the audit) no reader of the surface looks at."""


class Filled(msgspec.Struct, frozen=True):
    """`name` of the database, what `demo.json` would say of it, and the ids of the real submission by what they name."""

    name: str
    said: dict[str, Any]
    referrals: int
    ids: dict[str, str]

    def id(self, what: str, n: int) -> str:
        """The id of the n-th referral's `referral`, `parent`, `share`, `filler` or `patient`."""
        return f"{n:012x}"[:8] + "-" + f"{n:012x}"[8:] + self.ids[what][13:]

    def token(self, client: str) -> str:
        return self.said["clients"][client]["access_token"]


@contextlib.asynccontextmanager
async def filled(on: Ground, referrals: int) -> AsyncIterator[Filled]:
    """Two Tasks a referral: its parent, and a share; of an agency's shares one in five is offered, one accepted, the others have ended."""
    name = f"filled_{referrals}"
    admin = await asyncpg.connect(on.owner_dsn)
    try:
        await admin.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
        try:
            await migrate.migrate(on.named(on.owner_dsn, name))
            said, ids = await _first(on.named(on.app_dsn, name), on)
            made = Filled(name, said, referrals, ids)
            await _multiply(on.named(on.owner_dsn, name), made)
            yield made
        finally:
            await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    finally:
        await admin.close()


async def _first(dsn: str, on: Ground) -> tuple[dict[str, Any], dict[str, str]]:
    """The demo network and one submission of hospital-a; what was written of it is the pattern of all others."""
    database = await db.connect(dsn, size=1)
    try:
        async with database.transaction(Scope(PLATFORM, "platform", platform=True)) as session:
            await directory.load(session, clock_actor(PLATFORM), files.read([files.DEMO]), utc_now())
            said = await people.register(session, utc_now())
    finally:
        await database.close()
    async with control.running(on, dsn) as (database, http):
        await control.post(http, said["clients"]["his-a"]["access_token"], 1)
        async with database.transaction(Scope(PLATFORM, "platform", platform=True)) as session:
            found = await session.fetchrow(
                "SELECT r.id AS referral, r.parent_id AS parent, t.id AS share, t.filler_id AS filler, r.patient_id AS patient"
                " FROM referral r JOIN task t ON t.referral_id = r.id AND t.kind = 'share'"
            )
    assert found is not None
    return said, {name: str(value) for name, value in found.items()}


KNOWN = "SELECT id FROM organization UNION SELECT id FROM agency_service UNION SELECT id FROM worker UNION SELECT id FROM client"
INDEXES = """
SELECT indexrelid::regclass::text AS name, pg_get_indexdef(indexrelid) AS made FROM pg_index
WHERE indrelid = $1::regclass AND NOT indisprimary
  AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
"""
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_MOMENT = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+(\+00:00|Z)")


async def _multiply(dsn: str, made: Filled) -> None:
    connection = await asyncpg.connect(dsn, command_timeout=3600)
    try:
        await connection.execute("SELECT set_config('yuanshe.platform', 'on', false)")
        known = {str(row["id"]) for row in await connection.fetch(KNOWN)} | {str(PLATFORM)}
        demo = {key: ref.split("/")[1] for key, ref in made.said["organizations"].items()}
        patterns = {
            name: [
                _pattern(row["row"], known, demo)
                for row in await connection.fetch(f"SELECT row_to_json(t)::text AS row FROM {name} t")
            ]
            for name in TABLES
        }
        indexes: list[str] = []
        for name in reversed(TABLES):
            for row in await connection.fetch(INDEXES, name):
                indexes.append(row["made"])
                await connection.execute(f"DROP INDEX {row['name']}")
        await connection.execute(f"TRUNCATE {', '.join(TABLES)}, open_task, event")
        # Unlogged only makes filling quicker; a reader cannot tell. A table that refers to another goes first.
        for name in sorted(TABLES, key=len, reverse=True):
            await connection.execute(f"ALTER TABLE {name} SET UNLOGGED")
        rows = asyncio.Queue[tuple[str, str]]()
        for name in TABLES:
            for pattern in patterns[name]:
                rows.put_nowait((name, pattern))
        async with asyncio.TaskGroup() as both:
            for _ in range(2):
                both.create_task(_write(dsn, rows, made.referrals, demo["hospital-a"], demo["agency-a"]))
        await connection.execute(QUEUED)
        for line in indexes:
            await connection.execute(line)
        await connection.execute("VACUUM ANALYZE")
    finally:
        await connection.close()


async def _write(dsn: str, rows: "asyncio.Queue[tuple[str, str]]", referrals: int, hospital: str, agency: str) -> None:
    connection = await asyncpg.connect(dsn, command_timeout=3600)
    try:
        await connection.execute("SELECT set_config('yuanshe.platform', 'on', false)")
        while not rows.empty():
            name, pattern = rows.get_nowait()
            # References are those of the one submission, which held: to look each up again would double the time.
            await connection.execute("SET session_replication_role = replica")
            await connection.execute(_insert(name), pattern, referrals, hospital, agency)
    finally:
        await connection.close()


def _pattern(row: str, known: set[str], demo: dict[str, str]) -> str:
    """A row's JSON with marks for what each referral has of its own: ids, numbers, moments, hospital and agency."""
    row = _ID.sub(lambda found: found[0] if found[0] in known else "<head>" + found[0][13:], row)
    row = row.replace(demo["hospital-a"], "<hospital>").replace(demo["agency-a"], "<agency>")
    row = row.replace(f"{1:012d}", "<number>").replace(ward.citizen(1), "<citizen>")
    return _MOMENT.sub("<moment>", row)


def _insert(table: str) -> str:
    """A statement that writes a pattern's row for each referral: $1 the pattern, $2 how many, $3 and $4 the demo's own."""
    spread = "(lpad(to_hex({0} % {1}), 8, '0') || '-0000-7000-8000-00000000000{2}')"
    row = f"""
        replace(replace(replace(replace(replace(replace($1::text,
            '<head>', substr(lpad(to_hex(i), 12, '0'), 1, 8) || '-' || substr(lpad(to_hex(i), 12, '0'), 9)),
            '<moment>', to_char((now() - interval '1 second' * ($2 - i)) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')),
            '<hospital>', CASE WHEN i % {HOSPITALS} = 0 THEN $3::text ELSE {spread.format("i", HOSPITALS, "1")} END),
            '<agency>', CASE WHEN i % {AGENCIES} = 0 THEN $4::text ELSE {spread.format("i", AGENCIES, "2")} END),
            '<number>', lpad(i::text, 12, '0')),
            '<citizen>', lpad(i::text, 18, '0'))"""
    if table in ("task", "task_version"):
        ended = f"""replace(replace(replace({row}, '"open":true', '"open":false'), '"ended_at":null', '"ended_at":"' || now() || '"'),
            'status":"requested', 'status":"completed')"""
        taken = f"""replace({row}, 'status":"requested', 'status":"accepted')"""
        row = f"CASE i / {AGENCIES} % 5 WHEN 0 THEN {row} WHEN 1 THEN {taken} ELSE {ended} END"
    return f"""
    INSERT INTO {table} SELECT made.* FROM (SELECT {row} AS row FROM generate_series(0, $2::int - 1) AS i) AS text,
        json_populate_record(NULL::public.{table}, text.row::json) AS made
    """


QUEUED = """
INSERT INTO open_task (task_id, agency_id, hospital_id, urgency_rank, due_at, version, status, needs)
SELECT id, agency_id, hospital_id, urgency_rank, coalesce(due_at, 'infinity'), version, status, needs FROM task WHERE kind = 'share' AND open
"""
