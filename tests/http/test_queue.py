"""An agency's queue: what is open there, most urgent first, page by page, and nothing of anybody else's."""

import asyncpg
import pytest

from service.access.model import Actor
from service.errors import Forbidden
from service.referrals import flow, store
from service.values import Id, new_id, utc_now
from tests.http.world import World, reason

DIFFERS = """
SELECT count(*) FROM open_task q FULL JOIN (SELECT * FROM task WHERE open AND kind <> 'parent' AND agency_id IS NOT NULL) AS t
    ON t.id = q.task_id
WHERE (q.agency_id, q.hospital_id, q.urgency_rank, q.due_at, q.version, q.status, q.needs)
    IS DISTINCT FROM (t.agency_id, t.hospital_id, t.urgency_rank, coalesce(t.due_at, 'infinity'), t.version, t.status, t.needs)
"""


def agency(world: World, name: str = "agency-a") -> Actor:
    organization = Id(world.organizations[name].split("/")[1])
    return Actor(new_id(), "client", organization, "agency", name)


async def queue(world: World, name: str = "agency-a", **asked: object) -> flow.Page:
    actor = agency(world, name)
    async with world.database.transaction(actor.scope) as session:
        return await flow.queue(session, actor, utc_now(), **asked)


async def test_the_queue_is_what_is_open_whatever_was_done(world: World) -> None:
    declined, taken, withdrawn, left = [await world.refer() for _ in range(4)]
    offer = await world.offer(declined)
    await world.party("agency-a").put(offer, status="rejected", statusReason=reason("no-capacity"))
    await world.accepted(taken)
    request = await world.party("his-a").read(withdrawn.request)
    await world.party("his-a").put(request, status="revoked")
    page = await queue(world)
    assert {str(task.referral) for task in page.tasks} == {taken.id, left.id} and page.count == 2
    assert [str(task.referral) for task in (await queue(world, "agency-b")).tasks] == [declined.id]
    connection = await asyncpg.connect(world.clone.owner_dsn)
    try:
        await connection.execute("SELECT set_config('yuanshe.platform', 'on', false)")
        assert await connection.fetchval(DIFFERS) == 0
    finally:
        await connection.close()


async def test_the_most_urgent_comes_first_and_pages_leave_nothing_out(world: World) -> None:
    urgencies = ("routine", "stat", "urgent", "routine", "asap")
    for urgency in urgencies:
        await world.refer("N01", request={"priority": urgency})
    whole = (await queue(world)).tasks
    assert [task.urgency for task in whole] == ["stat", "asap", "urgent", "routine", "routine"]
    walked = []
    after = None
    while tasks := (await queue(world, after=after, limit=2)).tasks:
        walked += [task.id for task in tasks]
        after = tasks[-1]
    assert walked == [task.id for task in whole]


async def test_the_queue_is_filtered_by_status_and_need(world: World) -> None:
    await world.refer("N01")
    wanted = await world.refer("N05")
    await world.accepted(wanted)
    assert [str(task.referral) for task in (await queue(world, need="N05")).tasks] == [wanted.id]
    accepted = await queue(world, status="accepted")
    assert [str(task.referral) for task in accepted.tasks] == [wanted.id] and accepted.count == 1
    assert (await queue(world, status="accepted", need="N01")).count == 0


async def test_only_an_agency_has_a_queue(world: World) -> None:
    organization = Id(world.organizations["hospital-a"].split("/")[1])
    actor = Actor(new_id(), "client", organization, "hospital", "his-a")
    async with world.database.transaction(actor.scope) as session:
        with pytest.raises(Forbidden):
            await flow.queue(session, actor, utc_now())
        # Nor may its own scope see another's rows by naming the agency.
        assert await store.queue_count(session, agency(world, "agency-b").organization, None, None) == 0
