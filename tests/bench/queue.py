"""(b) An agency's queue at two sizes of the network: the same plan, nearly the same buffers, and its latencies."""

import asyncio
import contextlib
import json
import re
import time
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import msgspec

from service import db
from service.db import Scope, migrate
from service.referrals import store
from service.referrals.model import Task
from service.values import Id
from tests.bench import control
from tests.bench.ground import Ground, quantile, say, table

OPEN = 2_000
"""Open Tasks of each agency, at either size."""
PAGE = 50

INDEXES = """
SELECT indexdef FROM pg_indexes WHERE tablename IN ('task', 'task_version', 'open_task') AND indexname NOT LIKE '%_pkey'
"""

# Set by set: for each referral its parent and one share; of each agency's shares 2,000 are open, spread evenly over its
# whole history. Ids rise with time, as UUIDv7 does; the snapshot is a real one with its ids, urgency and limit replaced.
TASKS = """
INSERT INTO task (id, kind, version, referral_id, hospital_id, agency_id, status, business_status, urgency, urgency_rank, needs,
    patient_id, stand_in_id, filler_id, due_at, open, updated_at, ended_at)
SELECT id, 'share', 2, referral, hospital, agency, status, 'offered', (ARRAY['stat', 'asap', 'urgent', 'routine'])[rank + 1], rank,
    needs, NULL, gen_random_uuid(), gen_random_uuid(), CASE WHEN open THEN due END, open, made, CASE WHEN open THEN NULL ELSE made END
FROM (
    SELECT (lpad(to_hex(i), 12, '0') || '70008001' || substr(md5(i::text), 1, 12))::uuid AS id,
        (lpad(to_hex(i), 12, '0') || '70008000' || substr(md5(i::text), 1, 12))::uuid AS referral, ($3::uuid[])[1 + i % 20] AS hospital,
        ($4::uuid[])[1 + i % $2] AS agency, open, now() - interval '1 minute' * ($1 - i) AS made,
        CASE WHEN open THEN (ARRAY['requested', 'accepted', 'in-progress', 'in-progress', 'on-hold'])[1 + hash / 10 % 5] ELSE 'completed' END
            AS status,
        (CASE WHEN hash % 100 < 2 THEN 0 WHEN hash % 100 < 12 THEN 1 WHEN hash % 100 < 40 THEN 2 ELSE 3 END)::smallint AS rank,
        CASE hash % 10 WHEN 0 THEN ARRAY['N01', 'N05'] WHEN 1 THEN ARRAY['N03'] ELSE ARRAY['N05'] END AS needs,
        now() + interval '1 second' * (hash % 400000) AS due
    FROM (SELECT i, (('x' || substr(md5(i::text), 1, 7))::bit(28)::int) AS hash,
                 (i / $2 + 1) * $5 / ($1 / $2) > i / $2 * $5 / ($1 / $2) AS open
          FROM generate_series(0, $1 - 1) AS i) AS numbered
) AS made
"""
PARENTS = """
INSERT INTO task (id, kind, version, referral_id, hospital_id, status, business_status, urgency, urgency_rank, needs, patient_id,
    due_at, open, updated_at, ended_at)
SELECT referral_id, 'parent', 1, referral_id, hospital_id, status, business_status, urgency, urgency_rank, needs, referral_id,
    due_at, open, updated_at, ended_at FROM task WHERE kind = 'share'
"""
QUEUED = """
INSERT INTO open_task (task_id, agency_id, hospital_id, urgency_rank, due_at, version, status, needs)
SELECT id, agency_id, hospital_id, urgency_rank, due_at, version, status, needs FROM task WHERE kind = 'share' AND open
"""
VERSIONS = """
INSERT INTO task_version (task_id, version, hospital_id, agency_id, filler_version, at, snapshot)
SELECT t.id, v, t.hospital_id, t.agency_id, 1, t.updated_at,
    replace(replace(replace($1::text, '{id}', t.id::text), '{urgency}', t.urgency),
            '{due}', to_char(coalesce(t.due_at, t.updated_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))::json
FROM task t, generate_series(1, t.version) AS v
"""


@contextlib.asynccontextmanager
async def network(on: Ground, snapshot: str, referrals: int, agencies: int) -> AsyncIterator[tuple[str, list[Id]]]:
    """A database with so many referrals and agencies; its URL for the service's role, and the agencies."""
    name = f"queue_{referrals}"
    ids = [Id(int=(0x0190B << 108) | (7 << 76) | (8 << 60) | n) for n in range(agencies + 20)]
    admin = await asyncpg.connect(on.owner_dsn)
    try:
        await admin.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
        try:
            await migrate.migrate(on.named(on.owner_dsn, name))
            await _fill(on.named(on.owner_dsn, name), snapshot, referrals, ids[20:], ids[:20])
            yield on.named(on.app_dsn, name), ids[20:]
        finally:
            await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    finally:
        await admin.close()


async def _fill(dsn: str, snapshot: str, referrals: int, agencies: list[Id], hospitals: list[Id]) -> None:
    connection = await asyncpg.connect(dsn, command_timeout=1200)
    try:
        await connection.execute("SELECT set_config('yuanshe.platform', 'on', false)")
        definitions = [row["indexdef"] for row in await connection.fetch(INDEXES)]
        for line in definitions:
            found = re.search(r"INDEX (\S+) ON", line)
            assert found is not None
            await connection.execute(f"DROP INDEX {found.group(1)}")
        # Unlogged only makes filling quicker; a reader cannot tell.
        await connection.execute("ALTER TABLE task SET UNLOGGED")
        await connection.execute("ALTER TABLE task_version SET UNLOGGED")
        await connection.execute(TASKS, referrals, len(agencies), hospitals, agencies, OPEN)
        await connection.execute(PARENTS)
        await connection.execute(QUEUED)
        await connection.execute(VERSIONS, snapshot)
        for line in definitions:
            await connection.execute(line)
        await connection.execute("VACUUM ANALYZE")
    finally:
        await connection.close()


async def real_snapshot(on: Ground) -> str:
    """A share's snapshot as the service writes it, with marks for what differs from row to row."""
    async with control.running(on) as (database, http):
        await control.post(http, on.token("his-a"), 7)
        async with database.transaction(Scope(on.organization("agency-a"), "agency")) as session:
            found = await session.fetchval(
                "SELECT v.snapshot FROM task t JOIN task_version v ON v.task_id = t.id AND v.version = t.version "
                "WHERE t.kind = 'share' ORDER BY t.id DESC LIMIT 1"
            )
    task = msgspec.json.decode(found)
    return msgspec.json.encode(task | {"id": "{id}", "urgency": "{urgency}", "due_at": "{due}"}).decode()


CASES: dict[str, tuple[str | None, str | None]] = {
    "all": (None, None), "status=requested": ("requested", None), "need=N03": (None, "N03"), "both": ("requested", "N03"),
}  # fmt: skip
TYPES = {
    "first": "uuid, text, text, int",
    "next": "uuid, text, text, int, smallint, timestamptz, uuid",
    "count": "uuid, text, text",
}


class Looked(msgspec.Struct, frozen=True):
    """One question at one size: its plan without costs, the buffers it touched, latencies in seconds, rows."""

    plan: str
    buffers: int
    latencies: list[float]
    rows: int


async def look(dsn: str, agencies: list[Id], times: int) -> tuple[dict[str, Looked], float]:
    """Every case as the service asks it, and the median of an empty round trip beside them."""
    database = await db.connect(dsn, size=1)
    found: dict[str, Looked] = {}
    try:
        empty: list[float] = []
        for case, (status, need) in CASES.items():
            firsts = {
                agency: await _page(database, agency, status, need, None)
                for agency in agencies[: min(20, len(agencies))]
            }
            for page in TYPES:
                took: list[float] = []
                for turn in range(times):
                    agency = list(firsts)[turn % len(firsts)]
                    last = firsts[agency][-1]
                    async with database.transaction(Scope(agency, "agency")) as session:
                        began = time.perf_counter()
                        await session.fetchval("SELECT 1")
                        empty.append(time.perf_counter() - began)
                        began = time.perf_counter()
                        if page == "count":
                            await store.queue_count(session, agency, status, need)
                        else:
                            await store.queue(session, agency, status, need, last if page == "next" else None, PAGE)
                        took.append(time.perf_counter() - began)
                agency = next(iter(firsts))
                plan, buffers, rows = await explain(database, page, agency, status, need, firsts[agency][-1])
                found[f"{page}, {case}"] = Looked(plan, buffers, took, rows)
        return found, quantile(empty, 0.5)
    finally:
        await database.close()


async def _page(
    database: db.Database, agency: Id, status: str | None, need: str | None, after: Task | None
) -> list[Task]:
    async with database.transaction(Scope(agency, "agency")) as session:
        return await store.queue(session, agency, status, need, after, PAGE)


async def explain(
    database: db.Database, page: str, agency: Id, status: str | None, need: str | None, last: Task
) -> tuple[str, int, int]:
    """Plan, buffers and rows of a prepared statement that was used often enough for the planner to have settled."""
    sql = {"first": store.QUEUE, "next": store.QUEUE_NEXT, "count": store.QUEUE_COUNT}[page]
    values: list[Any] = [agency, status, need]
    if page != "count":
        values.append(PAGE)
    if page == "next":
        values += [store.urgency_rank(last.urgency), last.due_at, last.id]
    given = ", ".join("NULL" if value is None else f"'{value}'" for value in values)
    async with database.transaction(Scope(agency, "agency")) as session:
        await session.execute(f"PREPARE asked ({TYPES[page]}) AS {sql}")
        for _ in range(8):
            said = await session.fetchval(
                f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) EXECUTE asked ({given})"
            )
        await session.execute("DEALLOCATE asked")
    top = json.loads(said)[0]["Plan"]
    return shape(top), top["Shared Hit Blocks"] + top["Shared Read Blocks"], int(top["Actual Rows"])


def shape(node: dict[str, Any]) -> str:
    """The plan's nodes with their tables and indexes, without costs; what was never executed is left out."""
    name = " ".join(str(node[key]) for key in ("Node Type", "Index Name", "Relation Name") if key in node)
    inner = [shape(child) for child in node.get("Plans", ()) if child.get("Actual Loops", 1)]
    return f"{name}({', '.join(inner)})" if inner else name


def measure(on: Ground, small: int, large: int, times: int) -> dict[str, Any]:
    """Both sizes, one after the other; raises nothing, the caller judges."""
    return asyncio.run(_measure(on, small, large, times))


async def _measure(on: Ground, small: int, large: int, times: int) -> dict[str, Any]:
    snapshot = await real_snapshot(on)
    seen: list[dict[str, Looked]] = []
    empties: list[float] = []
    for referrals, agencies in ((small, small // 2_500), (large, max(large // 10_000, 4))):
        began = time.perf_counter()
        async with network(on, snapshot, referrals, agencies) as (dsn, ids):
            say(
                f"  {referrals:,} referrals, {agencies} agencies with {OPEN:,} open each: filled in {time.perf_counter() - began:.0f} s"
            )
            found, empty = await look(dsn, ids, times)
            seen.append(found)
            empties.append(empty)
    rows: list[tuple[object, ...]] = []
    ratios: dict[str, float] = {}
    same = True
    for case in seen[0]:
        one, other = seen[0][case], seen[1][case]
        ratios[case] = other.buffers / one.buffers
        same = same and one.plan == other.plan
        rows.append(
            (case, one.buffers, other.buffers, f"{ratios[case]:.2f}", "same" if one.plan == other.plan else "DIFFERENT",
             *(f"{quantile(each.latencies, 0.5) * 1000:.2f} / {quantile(each.latencies, 0.99) * 1000:.2f}" for each in (one, other)),
             f"{quantile(other.latencies, 0.5) / empties[1]:.1f}")
        )  # fmt: skip
        if one.plan != other.plan:
            say(f"  {case}:\n    {small:,}: {one.plan}\n    {large:,}: {other.plan}")
    say(table(("page, filter", f"buffers at {small:,}", f"at {large:,}", "ratio", "plan", f"p50 / p99 ms at {small:,}", f"at {large:,}",
               "p50 to an empty round trip"), rows))  # fmt: skip
    return {
        "same_plan": same,
        "worst_ratio": max(ratios.values()),
        "plans": {case: one.plan for case, one in seen[0].items()},
    }
