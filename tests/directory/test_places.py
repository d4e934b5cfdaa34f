"""Places: as many shares at once as an agency says, under any race; nobody is refused while one may yet be had."""

import asyncio

import pytest

from service.access.model import operator
from service.db import Database
from service.directory import flow, steps, store
from service.directory.model import Organization
from service.errors import Forbidden, Invalid, NotFound
from service.values import Id, new_id, utc_now
from tests.directory.network import agent, only_service

WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


async def waiting(pool: Database) -> int:
    """How many connections to this database wait for a lock; a transaction would see the same number all along."""
    async with pool.transaction(operator().scope) as session:
        return await session.fetchval(WAITING)


async def service_of(pool: Database, agency: Organization, places: int) -> Id:
    """The agency's service, with this many places."""
    async with pool.transaction(agent(agency).scope) as session:
        service = await only_service(session, agency.id)
        await flow.set_capacity(session, agent(agency), service.id, None, places, utc_now())
    return service.id


async def take(pool: Database, service: Id, task: Id | None = None) -> bool:
    async with pool.transaction(operator().scope) as session:
        return await steps.take_place(session, service, task or new_id())


async def held(pool: Database, service: Id) -> int:
    async with pool.transaction(operator().scope) as session:
        return (await store.taken(session, [service])).get(service, 0)


@pytest.mark.parametrize("places", [1, 5])
async def test_twenty_at_once_get_exactly_the_places_there_are(
    pool: Database, demo: dict[str, Organization], places: int
) -> None:
    service = await service_of(pool, demo["agency-b"], places)
    got = await asyncio.gather(*(take(pool, service) for _ in range(20)))
    assert sum(got) == places
    assert await held(pool, service) == places


async def test_nobody_is_refused_while_the_holder_of_the_last_place_may_roll_back(
    pool: Database, demo: dict[str, Organization]
) -> None:
    service = await service_of(pool, demo["agency-b"], 5)
    for _ in range(4):
        assert await take(pool, service)
    taken, give_up = asyncio.Event(), asyncio.Event()

    async def rolls_back() -> None:
        with pytest.raises(RuntimeError):
            async with pool.transaction(operator().scope) as session:
                assert await steps.take_place(session, service, new_id())
                taken.set()
                await give_up.wait()
                raise RuntimeError

    first = asyncio.create_task(rolls_back())
    await taken.wait()
    others = [asyncio.create_task(take(pool, service)) for _ in range(15)]
    while await waiting(pool) < 15:  # noqa: ASYNC110 - only the database knows
        await asyncio.sleep(0)
    assert not any(other.done() and other.result() is False for other in others), "refused while one may be had"
    give_up.set()
    await first
    assert sum(await asyncio.gather(*others)) == 1
    assert await held(pool, service) == 5


async def test_a_place_comes_back_when_its_share_has_ended(pool: Database, demo: dict[str, Organization]) -> None:
    service, task = await service_of(pool, demo["agency-b"], 1), new_id()
    assert await take(pool, service, task)
    assert not await take(pool, service)
    async with pool.transaction(operator().scope) as session:
        await steps.release_places(session, [task, new_id()])
        await steps.release_places(session, [task])
    assert await take(pool, service)


async def test_lowering_capacity_evicts_nobody_and_gives_out_nothing_until_it_fits(
    pool: Database, demo: dict[str, Organization]
) -> None:
    service = await service_of(pool, demo["agency-b"], 6)
    tasks = [new_id() for _ in range(6)]
    for task in tasks:
        assert await take(pool, service, task)
    async with pool.transaction(operator().scope) as session:
        await steps.release_places(session, [tasks.pop(0)])
    await service_of(pool, demo["agency-b"], 2)
    assert await held(pool, service) == 5
    while len(tasks) > 2:
        assert not await take(pool, service)
        async with pool.transaction(operator().scope) as session:
            await steps.release_places(session, [tasks.pop(0)])
        assert await held(pool, service) == len(tasks)
    assert not await take(pool, service)
    async with pool.transaction(operator().scope) as session:
        await steps.release_places(session, [tasks.pop(0)])
    assert await take(pool, service)
    assert not await take(pool, service)


async def test_shares_that_hold_high_numbers_count_against_the_lower_capacity(
    pool: Database, demo: dict[str, Organization]
) -> None:
    service = await service_of(pool, demo["agency-b"], 10)
    tasks = [new_id() for _ in range(10)]
    for task in tasks:
        assert await take(pool, service, task)
    async with pool.transaction(operator().scope) as session:
        await steps.release_places(session, tasks[:8])
    await service_of(pool, demo["agency-b"], 3)
    assert [await take(pool, service) for _ in range(2)] == [True, False]
    assert await held(pool, service) == 3


async def test_capacity_lowered_while_others_take_and_release_is_never_exceeded_afterwards(
    pool: Database, demo: dict[str, Organization]
) -> None:
    service = await service_of(pool, demo["agency-b"], 12)

    async def comes_and_goes(stays: bool) -> None:
        task = new_id()
        if await take(pool, service, task) and not stays:
            async with pool.transaction(operator().scope) as session:
                await steps.release_places(session, [task])

    await asyncio.gather(
        *(comes_and_goes(stays=number % 4 == 0) for number in range(16)),
        service_of(pool, demo["agency-b"], 5),
        *(comes_and_goes(stays=number % 4 == 0) for number in range(16)),
    )
    stay = await held(pool, service)
    free = 0
    while await take(pool, service):
        free += 1
    assert stay <= 8
    assert stay + free == max(stay, 5)
    async with pool.transaction(operator().scope) as session:
        assert await session.fetchval("SELECT count(*) FROM place WHERE service_id = $1", service) == max(stay, 5)


async def test_raising_capacity_opens_places_at_once(pool: Database, demo: dict[str, Organization]) -> None:
    service = await service_of(pool, demo["agency-b"], 0)
    assert not await take(pool, service)
    await service_of(pool, demo["agency-b"], 1)
    assert await take(pool, service)


async def test_an_agency_speaks_for_its_own_capacity_alone(pool: Database, demo: dict[str, Organization]) -> None:
    other, coordinator = agent(demo["agency-a"]), agent(demo["platform"], "platform")
    async with pool.transaction(operator().scope) as session:
        service = await only_service(session, demo["agency-b"].id)
        with pytest.raises(Forbidden):
            await flow.set_capacity(session, other, service.id, "no-capacity", None, utc_now())
        with pytest.raises(NotFound):
            await flow.set_capacity(session, other, new_id(), "no-capacity", None, utc_now())
        with pytest.raises(Invalid):
            await flow.set_capacity(session, coordinator, service.id, "plenty", None, utc_now())
        now = utc_now()
        said = await flow.set_capacity(session, coordinator, service.id, "no-capacity", None, now)
        assert (said.capacity_status, said.places, said.confirmed_at) == ("no-capacity", service.places, now)
        assert said == await store.service(session, service.id)
        assert said.version == service.version + 1
