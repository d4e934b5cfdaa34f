"""The worker as it is run: killed at any point it loses nothing, and a dead subscriber delays nobody else."""

import asyncio
import contextlib
import os
import signal
import sys
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import msgspec
import pytest

from adapters import relay, worker
from adapters.delivery import body
from service import db, events
from service.jobs import flow as jobs
from service.notices import flow
from service.notices.model import Wish
from service.notices.reach import Reach

from .conftest import AGENCY, COORDINATOR, HOSPITAL, LOOPBACK, as_platform, happen, happened, new_referral

ROOT = Path(__file__).parents[2]


def environment(database, **more):
    return {
        **os.environ,
        "DATABASE_URL": database.app_dsn,
        "WEBHOOK_ALLOW": "127.0.0.0/8",
        "WEBHOOK_TIMEOUT": "1",
        **more,
    }


@contextlib.asynccontextmanager
async def yuanshe(database, *words, fds=(), **more):
    """A process of the real command; killed when the block ends, if it still runs."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "adapters.main", *words,
        cwd=ROOT, env=environment(database, **more), stdout=asyncio.subprocess.PIPE, pass_fds=fds,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def said(database, *words):
    async with yuanshe(database, *words) as process:
        out, _ = await process.communicate()
        return process.returncode, out.decode()


@contextlib.asynccontextmanager
async def working(database, service, **more):
    """A worker inside the test, until the block ends."""
    stop = asyncio.Event()
    async with relay.Relay(database.app_dsn).running() as ringing:
        service.on_commit = ringing.ring
        it = worker.Work(
            database=service, dsn=database.app_dsn, renders={"json": body.render}, networks=LOOPBACK,
            **{"sweeps": {}, "timeout": 60.0, **more},
        )  # fmt: skip
        task = asyncio.create_task(worker.work(it, stop))
        try:
            yield stop
        finally:
            stop.set()
            await task


async def subscribe(service, actor, url):
    async with service.transaction(actor.scope) as session:
        to, _ = await flow.subscribe(
            session, actor, Wish(endpoint=url), datetime.now(UTC), addresses=["127.0.0.1"], allowed=Reach(LOOPBACK)
        )
        return to


async def activate(service, *subscribers):
    """As if the handshakes had been answered."""
    ids = [each.id for each in subscribers]
    await as_platform(
        service, lambda session: session.execute("UPDATE subscriber SET state = 'active' WHERE id = ANY ($1)", ids)
    )
    await as_platform(
        service, lambda session: session.execute("UPDATE delivery SET state = 'sent', next_at = NULL, sent_at = now()")
    )


@pytest.mark.slow
async def test_dead_subscribers_do_not_delay_another(database, service, listener):
    """Three never answer and have many notices; all of the fourth's arrive while they hang."""
    dead = [await subscribe(service, HOSPITAL, f"{listener.url}/dead-{place}") for place in range(3)]
    well = await subscribe(service, HOSPITAL, f"{listener.url}/well")
    await activate(service, *dead, well)
    listener.silent.update(f"/dead-{place}" for place in range(3))
    referral = await new_referral(service)
    async with working(database, service):
        await happen(service, referral, *["ask"] * 60)
        got = []
        while len(got) < 60:
            each = await listener.next()
            if each.path == "/well":
                got.append(each.json["data"]["number"])
    assert sorted(got) == list(range(1, 61))


async def test_news_is_posted_at_once_and_in_order_of_its_numbers_to_one_at_rest(database, service, listener):
    async with working(database, service):
        await subscribe(service, HOSPITAL, f"{listener.url}/hook")
        assert (await listener.next()).json["type"] == "urn:yuanshe:handshake"
        referral = await new_referral(service)
        for number, kind in enumerate(("submit", "offer", "accept"), 1):
            await happen(service, referral, kind)
            got = await listener.next_event()
            assert (got.json["data"]["number"], got.json["data"]["kind"]) == (number, kind)


async def test_several_workers_at_once_post_each_notice_once(database, service, listener):
    to = await subscribe(service, HOSPITAL, f"{listener.url}/hook")
    await activate(service, to)
    referrals = [await new_referral(service) for _ in range(5)]
    async with working(database, service), working(database, service), working(database, service):
        for referral in referrals:
            await happen(service, referral, *["ask"] * 20)
        got = [await listener.next() for _ in range(100)]
    assert sorted(each.json["data"]["number"] for each in got) == list(range(1, 101))
    assert listener.received.empty()


async def test_one_that_fails_in_between_gets_the_rest_as_soon_as_it_answers(database, service, listener):
    """What was taken ahead for it is not kept until the lease of a minute or two ends."""
    to = await subscribe(service, HOSPITAL, f"{listener.url}/hook")
    await activate(service, to)
    listener.answers["/hook"] = [*["204 No Content"] * 20, "500 Broken", "204 No Content"]
    await happen(service, await new_referral(service), *["ask"] * 60)
    async with working(database, service, schedule=(timedelta(0),) * 5):
        got = [(await listener.next()).json["data"]["number"] for _ in range(61)]
    assert set(got) == set(range(1, 61))


async def test_what_was_taken_by_a_worker_that_is_told_to_stop_is_left_to_the_next(database, service, listener):
    to = await subscribe(service, HOSPITAL, f"{listener.url}/hook")
    await activate(service, to)
    await happen(service, await new_referral(service), *["ask"] * 60)
    got = set()
    async with working(database, service):
        while len(got) < 10:
            got.add((await listener.next()).json["data"]["number"])
    async with working(database, service):
        while len(got) < 60:
            got.add((await listener.next()).json["data"]["number"])


async def test_what_cannot_be_recorded_keeps_nothing_else_from_being_recorded(database, service, listener):
    to = await subscribe(service, HOSPITAL, f"{listener.url}/hook")
    await activate(service, to)
    referral = await new_referral(service)
    owner = await asyncpg.connect(database.owner_dsn)
    await owner.execute("ALTER TABLE delivery ADD CONSTRAINT broken CHECK (number <> 3 OR state <> 'sent')")
    async with working(database, service):
        await happen(service, referral, *["ask"] * 8)
        for _ in range(8):
            await listener.next()
        while (
            await as_platform(service, lambda s: s.fetchval("SELECT count(*) FROM delivery WHERE state = 'sent'")) < 8
        ):
            pass  # seven, and the handshake; the question itself waits for the database
    await owner.close()


async def test_a_worker_outlives_the_loss_of_its_connections(database, service, listener):
    to = await subscribe(service, HOSPITAL, f"{listener.url}/hook")
    await activate(service, to)
    own = await db.connect(database.app_dsn)
    referral = await new_referral(service)
    async with working(database, own):
        await happen(service, referral, "offer")
        await listener.next()
        owner = await asyncpg.connect(database.owner_dsn)
        await owner.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        await owner.close()
        again = await db.connect(database.app_dsn)
        await happen(again, referral, "accept")
        assert (await listener.next()).json["data"]["kind"] == "accept"
        await again.close()
    await own.close()


async def test_each_sweep_runs_when_it_is_due_once_for_all_workers(database, service):
    ran, enough = [], asyncio.Event()

    async def sweep(session, actor, now):
        ran.append((actor.kind, session.scope.platform))
        if len(ran) == 3:
            enough.set()
        return 1 if len(ran) < 3 else 0

    async def broken(session, actor, now):
        raise RuntimeError

    sweeps = {
        "broken": worker.Sweep(timedelta(hours=1), broken),
        "counted": worker.Sweep(timedelta(hours=1), sweep),
    }
    async with working(database, service, sweeps=sweeps), working(database, service, sweeps=sweeps):
        await enough.wait()
    assert ran == [("system", True)] * 3, "again at once as long as it did something, then not before it is due"
    now = datetime.now(UTC)
    for at, due in ((now, False), (now + timedelta(hours=1), True)):
        taken = await as_platform(service, lambda s, at=at: jobs.take_sweep(s, "counted", timedelta(hours=1), at))
        assert taken is due
    assert await as_platform(service, lambda s: jobs.take_sweep(s, "broken", timedelta(hours=1), now)), (
        "it failed: due still"
    )


async def test_a_worker_shows_that_it_lives_and_that_it_left(database, service):
    async with working(database, service):
        while await as_platform(service, jobs.last_beat) is None:
            pass  # the question itself waits for the database
    assert await as_platform(service, jobs.last_beat) is None


@pytest.mark.slow
async def test_killed_after_the_post_it_posts_again_under_the_same_id(database, service, listener):
    to = await subscribe(service, HOSPITAL, f"{listener.url}/hook")
    await activate(service, to)
    listener.silent.add("/hook")
    await happen(service, await new_referral(service), "offer")
    async with yuanshe(database, "work") as process:
        first = await listener.next()
        process.send_signal(signal.SIGKILL)
        await process.wait()
    listener.silent.clear()
    async with yuanshe(database, "work"):
        again = await listener.next()
    assert again.id == first.id and again.body == first.body


async def test_killed_between_claim_and_post_the_notice_is_posted_by_the_next(database, service, listener):
    to = await subscribe(service, HOSPITAL, f"{listener.url}/hook")
    await activate(service, to)
    await happen(service, await new_referral(service), "offer")
    while await as_platform(service, events.sequence):
        pass
    await as_platform(service, lambda session: flow.fan_out(session, datetime.now(UTC)))

    async def claim_and_die(session):
        return await flow.claim(
            session, datetime.now(UTC), timedelta(seconds=1), {}, at_once=4, room=10, room_failing=0
        )

    [taken] = await as_platform(service, claim_and_die)
    async with yuanshe(database, "work"):
        assert (await listener.next()).id == str(taken.notice.delivery)


@pytest.mark.slow
async def test_killed_again_and_again_it_loses_nothing(database, service, listener):
    to = await subscribe(service, HOSPITAL, f"{listener.url}/hook")
    await activate(service, to)
    referrals = [await new_referral(service) for _ in range(4)]
    for referral in referrals:
        await happen(service, referral, *["ask"] * 15)
    ids: dict[int, set[str]] = {}
    for kill_after in (1, 7, 20, None):
        async with yuanshe(database, "work") as process:
            seen = 0
            while len(ids) < 60:
                got = await listener.next()
                ids.setdefault(got.json["data"]["number"], set()).add(got.id)
                seen += 1
                if seen == kill_after:
                    process.send_signal(signal.SIGKILL)
                    await process.wait()
                    break
    assert set(ids) == set(range(1, 61))
    assert all(len(each) == 1 for each in ids.values()), "one number, one webhook-id, however often it came"


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, "lifeline"])
async def test_it_stops_when_told_and_when_its_supervisor_is_gone(database, service, listener, how):
    reading, writing = os.pipe()
    await subscribe(service, HOSPITAL, f"{listener.url}/hook")
    async with yuanshe(database, "work", "--lifeline", str(reading), fds=(reading,)) as process:
        os.close(reading)
        await listener.next()  # the handshake: it runs
        if how == "lifeline":
            os.close(writing)
        else:
            process.send_signal(how)
        assert await process.wait() == 0
        if how != "lifeline":
            os.close(writing)
    assert await as_platform(service, jobs.last_beat) is None


async def test_a_notice_that_was_not_delivered_is_listed_and_sent_again(database, service, listener):
    """As an administrator does it, at the console, while the worker runs."""
    to = await subscribe(service, AGENCY, f"{listener.url}/hook?token=secret")
    await activate(service, to)
    listener.answers["/hook?token=secret"] = ["500 Broken", "500 Broken", "200 OK"]
    await happen(service, await new_referral(service), "offer")
    async with yuanshe(database, "work", WEBHOOK_RETRY="0"):
        first = await listener.next()
        await listener.next()
        while True:
            code, out = await said(database, "delivery", "list", "--json", "--state", "not-delivered")
            if found := msgspec.json.decode(out):
                break
        assert code == 0
        [lost] = found
        assert (lost["id"], lost["number"], lost["kind"], lost["attempts"]) == (first.id, 1, "offer", 2)
        assert (lost["state"], lost["last_error"], lost["to"]) == ("not-delivered", "status-500", listener.url)
        assert "secret" not in out
        code, out = await said(database, "delivery", "resend", lost["id"])
        assert code == 0, out
        again = await listener.next()
        assert again.id == first.id and again.json["data"]["number"] == 1
    code, out = await said(database, "delivery", "list")
    assert code == 0 and first.id in out
    async with service.transaction(COORDINATOR.scope) as session:
        tried = await flow.attempts(session, COORDINATOR, uuid.UUID(first.id))
    assert [(each.what, each.by_name) for each in tried][:3] == [("post", None), ("post", None), ("resend", "operator")]


async def test_sending_again_what_does_not_exist_says_so(database, service):
    code, _ = await said(database, "delivery", "resend", "01890000-0000-7000-8000-000000000000")
    assert code == 2
    code, _ = await said(database, "delivery", "resend", "no-id")
    assert code == 2


async def test_a_sweep_that_touched_a_referral_stands_in_the_audit_and_one_that_found_nothing_does_not(
    database, service
):
    referral, swept = await new_referral(service), asyncio.Event()

    async def expire(session, actor, now):
        await events.append(session, referral, [happened(referral, "expire")])
        return 0

    async def nothing(session, actor, now):
        swept.set()
        return 0

    sweeps = {
        "expire": worker.Sweep(timedelta(hours=1), expire),
        "nothing": worker.Sweep(timedelta(hours=1), nothing),
    }
    async with working(database, service, sweeps=sweeps):
        await swept.wait()
    lines = await as_platform(
        service, lambda session: session.fetch("SELECT interaction, actor_kind, referrals FROM audit")
    )
    assert [(line["interaction"], line["actor_kind"], line["referrals"]) for line in lines] == [
        ("sweep-expire", "system", [referral])
    ]
