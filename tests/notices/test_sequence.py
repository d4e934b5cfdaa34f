"""Positions follow commits: a reader with a cursor sees every event once, and each referral's in their own order."""

import asyncio
import random

from service import events
from service.access.model import clock_actor
from service.practice import PLATFORM

from .conftest import AGENCY, HOSPITAL, OTHER_AGENCY, as_platform, happen, happened, new_referral

PLATFORM_SCOPE = clock_actor(PLATFORM).scope


async def sequence_all(service):
    while await as_platform(service, lambda session: events.sequence(session, 7)):
        pass


async def read(service, after=0, limit=1000):
    return await as_platform(service, lambda session: events.after(session, after, limit))


async def test_positions_are_contiguous_and_keep_each_referrals_order(service):
    one, two = await new_referral(service), await new_referral(service)
    for _ in range(10):
        await happen(service, two, "ask", "answer")
        await happen(service, one, "offer")
    await sequence_all(service)
    seen = await read(service)
    assert [each.position for each in seen] == list(range(1, 31))
    for referral, count in ((one, 10), (two, 20)):
        assert [e.number for e in seen if e.event.referral == referral] == list(range(1, count + 1))


async def test_an_event_that_commits_late_gets_a_later_position_than_what_was_read_before(service):
    slow, fast = await new_referral(service), await new_referral(service)
    async with service.transaction(PLATFORM_SCOPE) as session:
        await events.append(session, slow, [happened(slow, "submit")])
        await happen(service, fast, "submit")
        await sequence_all(service)
        assert [each.event.referral for each in await read(service)] == [fast]
    await sequence_all(service)
    assert [(each.position, each.event.referral) for each in await read(service, after=1)] == [(2, slow)]


async def test_what_was_rolled_back_leaves_no_gap(service):
    referral = await new_referral(service)
    await happen(service, referral, "submit")
    try:
        async with service.transaction(PLATFORM_SCOPE) as session:
            await events.append(session, referral, [happened(referral, "offer")])
            raise RuntimeError
    except RuntimeError:
        pass
    await happen(service, referral, "withdraw")
    await sequence_all(service)
    assert [(e.position, e.number, e.event.kind) for e in await read(service)] == [(1, 1, "submit"), (2, 2, "withdraw")]


async def test_a_position_is_not_given_twice_even_when_the_last_rows_are_gone(service, database):
    import asyncpg

    referral = await new_referral(service)
    await happen(service, referral, "submit", "offer")
    await sequence_all(service)
    owner = await asyncpg.connect(database.owner_dsn)
    await owner.execute("DELETE FROM event WHERE position = 2")
    await owner.close()
    await happen(service, referral, "accept")
    await sequence_all(service)
    assert [e.position for e in await read(service)] == [1, 3]


async def test_no_writer_waits_for_a_sequencer_and_two_sequencers_take_turns(service):
    referral = await new_referral(service)
    await happen(service, referral, "submit")
    async with service.transaction(PLATFORM_SCOPE) as holding:
        assert await events.sequence(holding) == 1
        await happen(service, referral, "offer")  # would hang if writers took the sequencer's lock
        second = asyncio.create_task(sequence_all(service))
        waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        while not await as_platform(service, lambda session: session.fetchval(waiting)):
            assert not second.done()
    await second
    assert [(e.position, e.event.kind) for e in await read(service)] == [(1, "submit"), (2, "offer")]


async def test_a_cursor_misses_nothing_while_writers_commit_in_any_order(service):
    """Twelve writers hold their transactions open for odd times; two sequencers and a reader run all the while."""
    dice = random.Random(7)
    referrals = [await new_referral(service) for _ in range(8)]
    each_writer, written = 25, 0

    async def write() -> None:
        nonlocal written
        for _ in range(each_writer):
            referral = dice.choice(referrals)
            made = [happened(referral, "ask") for _ in range(dice.randint(1, 3))]
            async with service.transaction(PLATFORM_SCOPE) as session:
                await events.append(session, referral, made)
                for _ in range(dice.randint(0, 12)):
                    await session.fetchval("SELECT 1")  # keeps it open while others overtake it
            written += len(made)

    done = asyncio.Event()

    async def sequence() -> None:
        while not done.is_set():
            await as_platform(service, lambda session: events.sequence(session, dice.choice((1, 5, 500))))

    seen: list[events.Placed] = []

    async def follow() -> None:
        while not (done.is_set() and len(seen) == written):
            seen.extend(await read(service, after=seen[-1].position if seen else 0, limit=dice.choice((1, 10, 100))))

    background = [asyncio.create_task(sequence()), asyncio.create_task(sequence()), asyncio.create_task(follow())]
    await asyncio.gather(*(write() for _ in range(12)))
    while await as_platform(
        service, lambda session: session.fetchval("SELECT count(*) FROM event WHERE position IS NULL")
    ):
        pass  # the question itself waits for the database
    done.set()
    await asyncio.gather(*background)
    assert len(seen) == written
    assert [each.position for each in seen] == list(range(1, written + 1))
    for referral in referrals:
        numbers = [each.number for each in seen if each.event.referral == referral]
        assert numbers == list(range(1, len(numbers) + 1))


async def test_a_reader_sees_only_events_to_which_its_organisation_is_a_party(service):
    referral = await new_referral(service)
    await happen(service, referral, "submit", agency=None)
    await happen(service, referral, "offer")
    await sequence_all(service)
    for actor, kinds in ((HOSPITAL, ["submit", "offer"]), (AGENCY, ["offer"]), (OTHER_AGENCY, [])):
        async with service.transaction(actor.scope) as session:
            assert [each.event.kind for each in await events.after(session, 0, 10)] == kinds
