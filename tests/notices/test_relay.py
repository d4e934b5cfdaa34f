"""The wake-up after a commit: many commits ring few times, and a lost connection loses no news for good."""

import asyncio

import asyncpg

from adapters import relay
from service import db

from .conftest import COORDINATOR, happen, new_referral

OTHERS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


async def listen(dsn, channel, heard):
    connection = await asyncpg.connect(dsn)
    await connection.add_listener(channel, lambda *_: heard.put_nowait("news"))
    return connection


async def test_a_commit_with_events_rings_and_one_without_does_not(database):
    heard = asyncio.Queue()
    listening = await listen(database.app_dsn, relay.COMMITTED, heard)
    async with relay.Relay(database.app_dsn).running() as ringing:
        service = await db.connect(database.app_dsn, on_commit=ringing.ring)
        referral = await new_referral(service)
        async with service.transaction(COORDINATOR.scope) as session:
            await session.fetchval("SELECT 1")
        await listening.execute("SELECT pg_notify($1, '')", relay.COMMITTED)
        assert await heard.get() == "news"
        assert heard.empty(), "only the test's own bell so far"
        await happen(service, referral, "offer")
        assert await heard.get() == "news"
        await service.close()
    await listening.close()


async def test_many_commits_ring_few_times(database):
    heard = asyncio.Queue()
    listening = await listen(database.app_dsn, relay.COMMITTED, heard)
    async with relay.Relay(database.app_dsn).running() as ringing:
        ringing.ring()
        await heard.get()
        for _ in range(1000):
            ringing.ring()
        await heard.get()
        ringing.ring()
        await heard.get()
        assert heard.empty(), "a thousand commits at once were one ring"
    await listening.close()


async def test_a_listener_that_lost_its_connection_looks_again_when_it_is_back(database):
    news = asyncio.Event()
    async with relay.listening(database.app_dsn, news.set):
        await news.wait()
        news.clear()
        owner = await asyncpg.connect(database.owner_dsn)
        await owner.execute(OTHERS)
        await news.wait()  # rung by the new connection itself: a notification may have been missed
        news.clear()
        await owner.execute("SELECT pg_notify($1, '')", relay.COMMITTED)
        await news.wait()
        await owner.close()


async def test_a_relay_that_lost_its_connection_rings_again_when_it_is_back(database):
    heard = asyncio.Queue()
    async with relay.Relay(database.app_dsn).running() as ringing:
        owner = await listen(database.owner_dsn, relay.COMMITTED, heard)
        ringing.ring()
        await heard.get()
        await owner.execute(OTHERS)
        ringing.ring()
        await heard.get()
        await owner.close()
