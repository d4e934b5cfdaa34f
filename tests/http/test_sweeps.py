"""What the worker does by the clock: offers that nobody answers go on, and whoever must act is reminded."""

from datetime import datetime, timedelta

from adapters import worker
from service.values import utc_now
from tests.http.world import World


def later(**by: float) -> datetime:
    return utc_now() + timedelta(**by)


async def swept(world: World, name: str, now: datetime) -> int:
    async with world.database.transaction(worker.CLOCK.scope) as session:
        return await worker.SWEEPS[name].run(session, worker.CLOCK, now)


async def test_an_offer_that_nobody_answers_expires_and_the_next_agency_gets_it(world: World) -> None:
    referred = await world.refer("N05")
    first = await world.offer(referred)
    assert await swept(world, "expire", utc_now()) == 0
    assert await swept(world, "expire", later(days=60)) == 1
    assert (await world.party("agency-a").read(f"Task/{first['id']}"))["status"] == "cancelled"
    assert (await world.offer(referred, "agency-b"))["status"] == "requested"
    actions, _ = await world.timeline(referred)
    assert actions[-2:] == ["expire", "offer"]


async def test_whoever_must_act_is_reminded_and_what_stays_undone_escalates_once_a_level(world: World) -> None:
    referred = await world.refer("N05")
    assert await swept(world, "remind", utc_now()) == 0
    done = 0
    while await swept(world, "remind", later(days=60)):
        done += 1
        assert done < 10, "it comes to an end"
    actions, _ = await world.timeline(referred)
    assert "escalate" in actions


async def test_every_sweep_runs_on_an_idle_network(world: World) -> None:
    for name in worker.SWEEPS:
        assert await swept(world, name, utc_now()) == 0
