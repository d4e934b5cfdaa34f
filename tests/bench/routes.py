"""(c) Routing over 10, 1,000 and 10,000 agencies: what one decision costs, with every agency's every rule."""

import asyncio
import time
from datetime import date
from typing import Any

import asyncpg

from service import db
from service.db import Scope, migrate
from service.routing import steps
from service.routing.model import Need
from service.values import Id, new_id, utc_now
from tests.bench.ground import Ground, quantile, say, table

SIZES = (10, 1_000, 10_000)

REGION = (
    "INSERT INTO region (code, name_zh, name_en) VALUES ('520502', '七星关区', 'Qixingguan') ON CONFLICT DO NOTHING"
)
HOSPITAL = """
INSERT INTO organization (id, key, kind, lineage, name_zh, name_en, updated_at) VALUES ($1, 'hospital', 'hospital', ARRAY[$1::uuid], '医院', 'Hospital', now())
"""
AGENCIES = """
WITH made AS (SELECT n, md5('a' || n)::uuid AS id FROM generate_series(1, $1) AS n),
agency AS (
    INSERT INTO organization (id, key, kind, lineage, name_zh, name_en, status, protection_qualified, updated_at)
    SELECT id, 'agency-' || n, 'agency', ARRAY[id], '机构 ' || n, 'Agency ' || n, 'accredited', n % 7 = 0, now() FROM made
), served AS (
    INSERT INTO agency_service (id, key, agency_id, name_zh, name_en, service_types, needs, regions, populations, languages,
        capacity_status, places, confirmed_at, updated_at)
    SELECT md5('s' || n)::uuid, 'service-' || n, id, '服务', 'Service', ARRAY['discharge-planning'],
        CASE WHEN n % 3 = 0 THEN ARRAY['N01', 'N03'] ELSE ARRAY['N01', 'N03', 'N05'] END,
        CASE WHEN n % 5 = 0 THEN ARRAY['520503'] ELSE ARRAY['520502'] END, ARRAY['adult', 'elder'], ARRAY['zh'], 'capacity', 5, now(), now()
    FROM made
), staff AS (
    INSERT INTO worker (id, key, agency_id, name, grade, licensed_from, updated_at)
    SELECT md5('w' || n)::uuid, 'worker-' || n, id, '社工 ' || n, 'certified', '2020-01-01', now() FROM made
)
INSERT INTO partnership (id, hospital_id, agency_id, valid_from, needs, rank, mode, departments, updated_at)
SELECT md5('p' || n)::uuid, $2, id, '2025-01-01', ARRAY['N01', 'N03', 'N05'], 1 + n % 20, 'sequence', '{}', now() FROM made
"""
PLACES = """
INSERT INTO place (service_id, number, task_id)
SELECT s.id, n, CASE WHEN n < 3 THEN md5(s.id::text || n)::uuid END FROM agency_service s, generate_series(1, s.places) AS n
"""


def measure(on: Ground, times: int) -> list[dict[str, Any]]:
    """One database for each size; the figures of each."""
    found = [asyncio.run(_size(on, agencies, times)) for agencies in SIZES]
    rows = [
        (f"{one['agencies']:,}", f"{one['p50'] * 1000:.2f} / {one['p99'] * 1000:.2f}", f"{one['p50'] / one['read']:.2f}",
         f"{one['p50'] / one['agencies'] * 1e6:.1f}", f"{one['p50'] / one['empty']:.0f}")
        for one in found
    ]  # fmt: skip
    say(
        table(
            (
                "agencies",
                "p50 / p99 ms",
                "ratio to reading the partners alone",
                "µs an agency",
                "ratio to an empty round trip",
            ),
            rows,
        )
    )
    return found


async def _size(on: Ground, agencies: int, times: int) -> dict[str, Any]:
    name, hospital = f"routes_{agencies}", Id(int=7 << 76 | 1)
    admin = await asyncpg.connect(on.owner_dsn)
    try:
        await admin.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
        try:
            await migrate.migrate(on.named(on.owner_dsn, name))
            owner = await asyncpg.connect(on.named(on.owner_dsn, name))
            try:
                await owner.execute(REGION)
                await owner.execute(HOSPITAL, hospital)
                await owner.execute(AGENCIES, agencies, hospital)
                await owner.execute(PLACES)
                await owner.execute("VACUUM ANALYZE")
            finally:
                await owner.close()
            return await _route(on.named(on.app_dsn, name), hospital, agencies, times)
        finally:
            await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    finally:
        await admin.close()


async def _route(dsn: str, hospital: Id, agencies: int, times: int) -> dict[str, Any]:
    from service.routing.store import PROSPECTS

    database = await db.connect(dsn, size=1)
    need = Need(hospital, ("N05",), "urgent", "520502001")
    took: list[float] = []
    read: list[float] = []
    empty: list[float] = []
    try:
        for turn in range(times + 5):
            async with database.transaction(Scope(hospital, "hospital")) as session:
                for into, run in (
                    (empty, lambda: session.fetchval("SELECT 1")),
                    (read, lambda: session.fetch(PROSPECTS, hospital, date(2026, 11, 22))),
                    (took, lambda: steps.route(session, need, new_id(), utc_now())),
                ):
                    began = time.perf_counter()
                    done = await run()
                    if turn >= 5:
                        into.append(time.perf_counter() - began)
                if not done.offers:
                    raise RuntimeError("routing found nobody")
    finally:
        await database.close()
    return {
        "agencies": agencies,
        "p50": quantile(took, 0.5),
        "p99": quantile(took, 0.99),
        "read": quantile(read, 0.5),
        "empty": quantile(empty, 0.5),
    }
