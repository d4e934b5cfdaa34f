"""A person who lives alone is visited again and again, and a visit that did not take place is on somebody's list (domain row 43)."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.http.loop import done, later, nothing_changes, procedure, refused, started, sweep
from tests.http.world import Answered, Party, World, closed, output


async def plan(party: Party, share: dict[str, Any], **given: Any) -> Answered:
    kinds = {"every": "valueInteger", "first": "valueDateTime", "end": "valueBoolean"}
    said = [{"name": name, kinds[name]: value} for name, value in given.items()]
    return await party.post(f"Task/{share['id']}/$visit-plan", {"resourceType": "Parameters", "parameter": said})


def told(answer: Answered) -> dict[str, Any]:
    return {each["name"]: next(v for k, v in each.items() if k.startswith("value")) for each in answer["parameter"]}


async def missed(party: Party) -> list[dict[str, Any]]:
    return await party.search("Task?code=urn:yuanshe:task-code|missed-visit&status=accepted")


async def served(world: World, every: int = 7) -> Answered:
    share = await started(world, await world.refer("N05"))
    done(await plan(world.party("agency-a"), share, every=every))
    return share


async def test_a_missed_visit_is_on_the_workers_list(world: World) -> None:
    agency = world.party("agency-a")
    share = await served(world)
    assert await sweep(world, "missed-visits", later(hours=23)) == 0, "it may still take place"
    assert await missed(agency) == []
    assert await sweep(world, "missed-visits", later(hours=25)) == 1
    (duty,) = await missed(agency)
    assert duty["owner"] == share["owner"] and duty["restriction"]["period"]["end"]
    assert await sweep(world, "missed-visits", later(hours=25)) == 0
    assert await sweep(world, "missed-visits", later(days=9)) == 1
    assert len(await missed(agency)) == 1, "one that is still on the list is not put there twice"
    done(await agency.put(duty, status="completed"))
    assert await sweep(world, "missed-visits", later(days=16)) == 1
    assert len(await missed(agency)) == 1


async def test_a_visit_that_cannot_be_looked_at_holds_up_no_other(world: World) -> None:
    broken, other = await served(world), await served(world)
    async with world.as_owner() as owner:
        await owner.execute("UPDATE visit_plan SET referral_id = gen_random_uuid(), next_at = next_at - interval '1 hour' WHERE task_id = $1", broken["id"])  # fmt: skip
    assert await sweep(world, "missed-visits", later(hours=26)) == 1
    (duty,) = await missed(world.party("agency-a"))
    assert duty["basedOn"] == [{"reference": f"ServiceRequest/{await referral_of(world, other)}"}]


async def test_a_visit_that_took_place_is_not_missed_and_a_telephone_call_is_none(world: World) -> None:
    agency = world.party("agency-a")
    visited, called = await served(world), await served(world)
    kind = {"url": "urn:yuanshe:contact-type", "valueCode": "phone"}
    done(await agency.post("Procedure", procedure(visited)))
    done(await agency.post("Procedure", procedure(called, extension=[kind])))
    await sweep(world, "missed-visits", later(hours=25))
    async with world.as_owner() as owner:
        contacts = await owner.fetch("SELECT contact FROM intervention ORDER BY contact NULLS FIRST")
    assert [row["contact"] for row in contacts] == [None, "phone"]
    assert [duty["basedOn"] for duty in await missed(agency)] == [
        [{"reference": f"ServiceRequest/{await referral_of(world, called)}"}]
    ]


async def referral_of(world: World, share: dict[str, Any]) -> str:
    async with world.as_owner() as owner:
        return str(await owner.fetchval("SELECT referral_id FROM task WHERE id = $1", share["id"]))


async def test_a_plan_says_when_next_is_changed_and_ended(world: World) -> None:
    agency = world.party("agency-a")
    share = await served(world)
    first = (datetime.now(UTC) + timedelta(days=2)).replace(microsecond=0)
    changed = told(done(await plan(agency, share, every=3, first=first.isoformat())))
    assert changed["every"] == 3 and datetime.fromisoformat(changed["next"]) == first
    assert told(await agency.get(f"Task/{share['id']}/$visit-plan")) == changed
    ended = told(done(await plan(agency, share, end=True)))
    assert "next" not in ended and ended["ended"]
    assert await sweep(world, "missed-visits", later(days=30)) == 0 and await missed(agency) == []


async def test_with_the_share_the_visits_end(world: World) -> None:
    agency = world.party("agency-a")
    share = await served(world)
    done(
        await agency.put(
            await agency.read(f"Task/{share['id']}"), status="completed", output=[output()], statusReason=closed()
        )
    )
    await sweep(world, "missed-visits", later(days=2))
    assert await missed(agency) == []
    assert "ended" in told(await agency.get(f"Task/{share['id']}/$visit-plan"))


async def test_who_plans_visits_and_how(world: World) -> None:
    share = await started(world, await world.refer("N05"))
    async with nothing_changes(world):
        refused(await plan(world.party("agency-a"), share, every=0), 422)
        refused(await plan(world.party("agency-a"), share, every=7, first="2020-01-01T00:00:00Z"), 422)
        refused(await plan(world.party("agency-a"), share), 422)
        refused(await plan(world.party("agency-b"), share, every=7), 404)
        refused(await plan(world.party("his-a"), share, every=7), 403)
    assert (await world.party("agency-a").get(f"Task/{share['id']}/$visit-plan")).status == 404
