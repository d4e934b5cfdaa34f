"""Every view of the queue walks an index of its own at 100,000 rows, and its page costs the same wherever it begins."""

import json
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from service import db
from service.db import Scope
from service.referrals import filtering, queue_store
from service.referrals.queue_store import BEGINNING, STATEMENTS, Place
from service.values import Id, utc_now

AGENCY = Id(int=1)
WORKER = Id(int=100)
ROWS = 100_000
FILL = """
INSERT INTO open_task (task_id, agency_id, hospital_id, urgency_rank, due_at, version, status, needs, kind, worker_id, says, region, sealed)
SELECT md5(i::text)::uuid, lpad(to_hex(1 + i % 5), 32, '0')::uuid, lpad(to_hex(900 + i % 20), 32, '0')::uuid, (i / 5) % 4,
    now() + (i % 100000 - 5000) * interval '1 minute', 1, status, CASE WHEN i % 50 = 0 THEN '{N13}'::text[] ELSE '{N05}' END,
    CASE WHEN i % 40 = 7 THEN 'follow-up' ELSE 'share' END,
    CASE WHEN status = 'requested' OR i % 97 = 0 THEN NULL ELSE lpad(to_hex(100 + i % 50), 32, '0')::uuid END,
    CASE WHEN status = 'accepted' AND i % 7 = 0 THEN 'awaiting-information' ELSE 'in-service' END, '52050200' || (1 + i % 9), i % 50 = 0
FROM (SELECT i, (ARRAY['requested', 'accepted', 'in-progress', 'in-progress', 'on-hold'])[1 + (i / 20) % 5] AS status
      FROM generate_series(1, $1::int) AS i) AS n
"""
VERSIONS = """
INSERT INTO task_version (task_id, version, hospital_id, agency_id, filler_version, at, snapshot)
SELECT task_id, 1, hospital_id, agency_id, 1, now(), '{}' FROM open_task
"""
INDEX = {
    "all": "open_task_queue", "offers": "open_task_offers", "unassigned": "open_task_unassigned", "mine": "open_task_of_worker",
    "waiting": "open_task_waiting", "overdue": "open_task_due", "held": "open_task_held", "crises": "open_task_queue",
}  # fmt: skip


@pytest.fixture
async def filled(database: Any) -> Any:
    owner = await asyncpg.connect(database.owner_dsn)
    await owner.execute("SELECT set_config('yuanshe.platform', 'on', false)")
    await owner.execute(FILL, ROWS)
    await owner.execute(VERSIONS)
    await owner.execute("VACUUM (ANALYZE) open_task")
    await owner.execute("ANALYZE task_version")
    await owner.close()
    found = await db.connect(database.app_dsn, size=1)
    yield found
    await found.close()


def walked(node: dict[str, Any]) -> list[tuple[str, str]]:
    """(kind of scan, what it scans) of a plan."""
    own = [(node["Node Type"], node.get("Index Name") or node["Relation Name"])] if "Scan" in node["Node Type"] and (node.get("Index Name") or node.get("Relation Name")) else []  # fmt: skip
    return own + [each for child in node.get("Plans", ()) for each in walked(child)]


async def test_each_view_walks_its_own_index_from_wherever_it_goes_on(filled: Any) -> None:
    now = utc_now()
    places = (BEGINNING, Place(3, now + timedelta(days=20), Id(int=2**127)))
    told: list[str] = []
    async with filled.transaction(Scope(AGENCY, "social_worker")) as session:
        for view, statement in STATEMENTS.items():
            for tokens in ((), ("asap", "N05", "offered")):
                asked = filtering.filter_of(tokens)
                for at in places if not tokens else places[:1]:
                    row = await session.fetchval(
                        f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}", AGENCY, at.rank, at.due, at.task, 51, asked.urgencies,
                        asked.needs, asked.places, asked.hospitals, asked.states, asked.waiting, asked.late, asked.today, asked.mine,
                        asked.nobody, WORKER, now, now, None,
                    )  # fmt: skip
                    plan = json.loads(row)[0]
                    scans = walked(plan["Plan"])
                    blocks = plan["Plan"]["Shared Hit Blocks"] + plan["Plan"]["Shared Read Blocks"]
                    told.append(f"{view:10} {' '.join(tokens):18} {blocks:5} blocks {plan['Execution Time']:7.2f} ms")
                    assert ("Seq Scan", "open_task") not in scans, (view, scans)
                    if not tokens:
                        # Of a view that holds much of the queue the whole queue's index is as good: it carries what is asked.
                        assert {INDEX[view], "open_task_queue"} & {name for _, name in scans}, (view, at, scans)
                        assert blocks < 700, (view, at, blocks)
        await session.fetchrow(queue_store.COUNTS, AGENCY, WORKER, now)
        plan = json.loads(await session.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {queue_store.COUNTS}", AGENCY, WORKER, now))[0]  # fmt: skip
        blocks = plan["Plan"]["Shared Hit Blocks"] + plan["Plan"]["Shared Read Blocks"]
        told.append(f"{'counts':29} {blocks:5} blocks {plan['Execution Time']:7.2f} ms")
        assert blocks < 1500 and ("Seq Scan", "open_task") not in walked(plan["Plan"])
    print("\n".join(told))
