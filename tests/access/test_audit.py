"""Every request leaves a line, refused ones too; nobody can change a line unseen."""

import asyncio
import uuid
from typing import Any

import asyncpg
import msgspec
import pytest

from service.access import chain as links
from service.access import flow, store
from service.access.model import Actor, Call, ChainReport, clock_actor
from service.db import Database, Scope, as_platform
from service.errors import Conflict, Forbidden, NotFound
from service.values import new_id, utc_now
from tests.access.network import AGENCY, HOSPITAL, PLATFORM

HIS = Actor(new_id(), "client", HOSPITAL, "hospital", "HIS A", ("system/*.cruds",))
CLOCK = clock_actor(PLATFORM)
AUDITOR = Actor(new_id(), "client", AGENCY, "auditor", "bureau")
READ = Call("R", "read", "Task", request_id="r-1")


async def lines(pool: Database) -> list[asyncpg.Record]:
    async with pool.transaction(CLOCK.scope) as session:
        return await session.fetch("SELECT * FROM audit ORDER BY id")


async def chained(pool: Database) -> int:
    async with pool.transaction(CLOCK.scope) as session:
        return await flow.chain(session, utc_now())


async def report(pool: Database) -> ChainReport:
    async with pool.transaction(CLOCK.scope) as session:
        return await flow.verify(session)


async def request(pool: Database, count: int = 1) -> None:
    for _ in range(count):
        async with flow.open(pool, HIS, READ, utc_now()):
            pass


async def test_a_request_leaves_a_line_that_names_the_persons_it_touched(pool):
    patient, referral, task, now = new_id(), new_id(), new_id(), utc_now()
    call = Call("U", "update", "Task", request_id="r-7")
    async with flow.open(pool, HIS, call, now) as session:
        session.patients.add(patient)
        session.referrals.add(referral)
        call.resource_id = task
        async with as_platform(session, "offer the next one"):
            pass
    (line,) = await lines(pool)
    assert (line["actor_id"], line["actor_kind"], line["actor_role"]) == (HIS.id, "client", "hospital")
    assert (line["organization_id"], line["at"], line["request_id"]) == (HOSPITAL, now, "r-7")
    assert (line["action"], line["interaction"], line["resource_type"]) == ("U", "update", "Task")
    assert (line["resource_id"], line["outcome"], line["why"]) == (task, "success", None)
    assert (line["patients"], line["referrals"]) == ([patient], [referral])
    assert line["platform_reasons"] == ["offer the next one"]


async def test_a_refused_attempt_is_logged_though_its_transaction_is_rolled_back(pool):
    patient = new_id()
    with pytest.raises(Conflict):
        async with flow.open(pool, HIS, READ, utc_now()) as session:
            session.patients.add(patient)
            await session.execute("INSERT INTO referral_counter (referral_id) VALUES ($1)", new_id())
            raise Conflict("Somebody was first.", key="taken")
    (line,) = await lines(pool)
    assert (line["outcome"], line["why"], line["patients"]) == ("refused", "taken", [patient])
    async with pool.transaction(CLOCK.scope) as session:
        assert await session.fetchval("SELECT count(*) FROM referral_counter") == 0


async def test_a_refusal_without_a_key_is_logged_by_its_issue_code_and_never_by_its_words(pool):
    with pytest.raises(NotFound):
        async with flow.open(pool, HIS, READ, utc_now()):
            raise NotFound("There is no such Task.")
    (line,) = await lines(pool)
    assert (line["outcome"], line["why"]) == ("refused", "not-found")


async def test_a_request_that_breaks_is_logged_by_the_kind_of_error(pool):
    with pytest.raises(asyncpg.DivisionByZeroError):
        async with flow.open(pool, HIS, READ, utc_now()) as session:
            await session.fetchval("SELECT 1 / 0")
    (line,) = await lines(pool)
    assert (line["outcome"], line["why"]) == ("error", "DivisionByZeroError")


async def test_the_line_and_the_work_commit_together(pool):
    """A request whose line cannot be written is not done either."""
    impossible = Call("X", "read")  # pyright: ignore[reportArgumentType]
    with pytest.raises(asyncpg.CheckViolationError):
        async with flow.open(pool, HIS, impossible, utc_now()) as session:
            await session.execute("INSERT INTO referral_counter (referral_id) VALUES ($1)", new_id())
    async with pool.transaction(CLOCK.scope) as session:
        assert await session.fetchval("SELECT count(*) FROM referral_counter") == 0


async def test_only_auditors_and_the_platform_read_the_audit(pool):
    await request(pool)
    await chained(pool)
    for scope, seen in (
        (HIS.scope, 0),
        (Scope(AGENCY, "agency"), 0),
        (Scope(None, ""), 0),
        (AUDITOR.scope, 1),
        (CLOCK.scope, 1),
    ):
        if not scope.role:
            continue
        async with pool.transaction(scope) as session:
            assert await session.fetchval("SELECT count(*) FROM audit") == seen, scope


async def test_an_auditor_reads_the_audit_latest_first_and_page_by_page(pool):
    await request(pool, 5)
    await chained(pool)
    async with pool.transaction(AUDITOR.scope) as session:
        first = await flow.list_audit(session, AUDITOR, limit=3)
        rest = await flow.list_audit(session, AUDITOR, limit=3, before=first[-1].position)
        assert [found.position for found in first + rest] == [5, 4, 3, 2, 1]
        assert await flow.find_audit(session, AUDITOR, first[0].line.id) == first[0].line
        with pytest.raises(NotFound):
            await flow.find_audit(session, AUDITOR, new_id())


async def test_an_auditor_finds_whoever_saw_a_person(pool):
    patient = new_id()
    async with flow.open(pool, HIS, READ, utc_now()) as session:
        session.patients |= {patient, new_id()}
    await request(pool)
    await chained(pool)
    async with pool.transaction(AUDITOR.scope) as session:
        (found,) = await flow.list_audit(session, AUDITOR, patient=patient)
        assert await flow.list_audit(session, AUDITOR, patient=patient, before=found.position) == []
    assert (found.line.actor_id, patient in found.line.patients) == (HIS.id, True)


async def test_nobody_else_is_let_into_the_audit(pool):
    coordinator = Actor(new_id(), "client", PLATFORM, "platform", "coordinator")
    for actor in (HIS, coordinator):
        async with pool.transaction(actor.scope) as session:
            with pytest.raises(Forbidden):
                await flow.list_audit(session, actor)
            with pytest.raises(Forbidden):
                await flow.find_audit(session, actor, new_id())


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET outcome = 'success'",
        "UPDATE audit SET patients = '{}'",
        "UPDATE audit SET at = now()",
        "DELETE FROM audit",
        "TRUNCATE audit",
        "DELETE FROM audit_patient",
        "UPDATE audit_patient SET patient_id = gen_random_uuid()",
        "ALTER TABLE audit DISABLE ROW LEVEL SECURITY",
    ],
)
async def test_the_service_cannot_change_or_remove_what_was_written(pool, statement):
    await request(pool)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with pool.transaction(CLOCK.scope) as session:
            await session.execute(statement)


async def test_the_service_cannot_chain_a_row_again(pool):
    await request(pool)
    await chained(pool)
    async with pool.transaction(CLOCK.scope) as session:
        tag = await session.execute("UPDATE audit SET hash = sha256('other'), position = position + 5")
        assert tag == "UPDATE 0"


async def test_a_row_cannot_be_written_with_a_place_in_the_chain(pool):
    await request(pool)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with pool.transaction(CLOCK.scope) as session:
            await session.execute(
                """INSERT INTO audit (id, at, actor_id, actor_kind, actor_role, organization_id, action, interaction,
                                      outcome, position, chained_at, previous_hash, hash)
                   VALUES (gen_random_uuid(), now(), $1, 'system', 'platform', $1, 'R', 'read',
                           'success', 9, now(), '', '')""",
                PLATFORM,
            )


async def test_the_chain_holds_over_several_runs_of_the_job(pool):
    await request(pool, 3)
    assert await chained(pool) == 3
    assert await chained(pool) == 0
    await request(pool, 2)
    assert (await report(pool)).unchained == 2
    assert await chained(pool) == 2
    found = await report(pool)
    assert (found.rows, found.unchained, found.broken) == (5, 0, None)
    assert [line["position"] for line in await lines(pool)] == [1, 2, 3, 4, 5]


async def test_an_empty_audit_holds(pool):
    assert await report(pool) == ChainReport(0, links.GENESIS, 0, None)


TAMPERINGS = {
    "another actor": ("UPDATE audit SET actor_id = gen_random_uuid() WHERE position = 3", 3, "not what was written"),
    "a person left out": ("UPDATE audit SET patients = '{}' WHERE position = 2", 2, "not what was written"),
    "another time": (
        "UPDATE audit SET at = at + interval '1 microsecond' WHERE position = 4",
        4,
        "not what was written",
    ),
    "a refusal made good": (
        "UPDATE audit SET outcome = 'error', why = 'x' WHERE position = 1",
        1,
        "not what was written",
    ),
    "a later chaining time": ("UPDATE audit SET chained_at = now() WHERE position = 5", 5, "not what was written"),
    "a row removed": ("DELETE FROM audit WHERE position = 3", 3, "missing"),
    "the first row removed": ("DELETE FROM audit WHERE position = 1", 1, "missing"),
    "a row and its own hash": (
        "UPDATE audit SET previous_hash = sha256('x') WHERE position = 3",
        3,
        "does not follow the one before",
    ),
    "rows that changed places": (
        """UPDATE audit a SET actor_id = b.actor_id, id = b.id, request_id = b.request_id, patients = b.patients
           FROM (SELECT gen_random_uuid() AS id, actor_id, request_id, patients FROM audit WHERE position = 4) b
           WHERE a.position = 2""",
        2,
        "not what was written",
    ),
}


@pytest.mark.parametrize("how", TAMPERINGS)
async def test_a_row_that_was_tampered_with_is_named(pool, database, how):
    for _ in range(5):
        async with flow.open(pool, HIS, READ, utc_now()) as session:
            session.patients.add(new_id())
    await chained(pool)
    statement, position, what = TAMPERINGS[how]
    # Whoever owns the schema can switch row security off; the chain is what is left.
    owner = await asyncpg.connect(database.owner_dsn)
    await owner.execute("ALTER TABLE audit NO FORCE ROW LEVEL SECURITY")
    at_place = await owner.fetchval("SELECT id FROM audit WHERE position = $1", position)
    assert (await owner.execute(statement)).endswith(" 1")
    await owner.execute("ALTER TABLE audit FORCE ROW LEVEL SECURITY")
    await owner.close()
    found = await report(pool)
    assert found.broken is not None
    assert found.broken.position == position
    assert what in found.broken.what
    if "missing" in what:
        assert found.broken.id is None
    elif "changed places" not in how:
        assert found.broken.id == at_place
    assert found.rows == position - 1


async def test_the_chain_follows_commits_and_not_ids(pool):
    """The writer that began first commits last: the job passes its row over, then gives it the next place."""
    early, late = pool.transaction(HIS.scope), pool.transaction(HIS.scope)
    first, second = await early.__aenter__(), await late.__aenter__()
    older, younger = sorted([new_id(), new_id()])
    await store.write(first, line(older))
    await store.write(second, line(younger))
    assert await chained(pool) == 0
    await late.__aexit__(None, None, None)
    assert await chained(pool) == 1
    await early.__aexit__(None, None, None)
    assert await chained(pool) == 1
    async with pool.transaction(CLOCK.scope) as session:
        order = await session.fetch("SELECT id FROM audit ORDER BY position")
    assert [row["id"] for row in order] == [younger, older]
    found = await report(pool)
    assert (found.rows, found.unchained, found.broken) == (2, 0, None)


async def test_two_jobs_at_once_make_one_chain_while_writers_go_on(pool):
    async def write() -> None:
        await request(pool, 20)

    async def chain() -> None:
        for _ in range(10):
            await chained(pool)

    await asyncio.gather(write(), chain(), write(), chain(), write())
    await chained(pool)
    found = await report(pool)
    assert (found.rows, found.unchained, found.broken) == (60, 0, None)


async def test_no_writer_waits_for_the_chaining_job(pool):
    async with pool.transaction(CLOCK.scope) as job:
        await store.lock_chain(job)
        await request(pool)
    assert len(await lines(pool)) == 1


async def test_the_job_works_in_batches(pool, monkeypatch):
    monkeypatch.setattr(flow, "AT_ONCE", 2)
    await request(pool, 5)
    assert [await chained(pool) for _ in range(4)] == [2, 2, 1, 0]
    found = await report(pool)
    assert (found.rows, found.broken) == (5, None)


async def test_a_refusal_that_cannot_be_logged_because_the_database_went_away_is_still_told(pool, database):
    owner = await asyncpg.connect(database.owner_dsn, database="postgres")
    with pytest.raises(Conflict):
        async with flow.open(pool, HIS, READ, utc_now()):
            await owner.execute(f'DROP DATABASE "{database.name}" WITH (FORCE)')
            raise Conflict("Somebody was first.")
    await owner.close()


def line(id: uuid.UUID) -> Any:
    return msgspec.structs.replace(flow._line(HIS, READ, utc_now(), None, "success", None), id=id)


async def test_a_callers_name_for_a_request_is_kept_only_as_far_as_it_is_one(pool, caplog):
    call = Call("R", "read", "Task", request_id="r-8 陈素芬\n13800000001;" + "x" * 100)
    with pytest.raises(NotFound):
        async with flow.open(pool, HIS, call, utc_now()):
            raise NotFound("There is no such Task.")
    kept = (await lines(pool))[-1]["request_id"]
    assert kept.startswith("r-813800000001x") and len(kept) <= 64
    await pool.close()
    await flow.log_failure(pool, HIS, call, utc_now(), NotFound("There is no such Task."))
    assert "could not be logged" in caplog.text and "陈素芬" not in caplog.text and "r-813800000001x" in caplog.text
