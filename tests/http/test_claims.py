"""Open offers and broadcasts: whoever is first has it, the others are told that they were not (contract.md)."""

import asyncio

from tests.http.loop import done, nothing_changes, refused, says
from tests.http.test_coordinator import by_hand
from tests.http.world import Answered, Referred, World, reason


async def open_offer(world: World, referred: Referred) -> Answered:
    parent = await world.parent(referred, "platform")
    made = done(await world.party("platform").post("Task", by_hand(world, parent)))
    assert "owner" not in made
    return made


async def withdrawn_first(world: World, *needs: str) -> Referred:
    """A referral whose partnerships leave dispatch to the coordinator."""
    async with world.as_owner() as connection:
        await connection.execute("UPDATE partnership SET mode = 'manual'")
    referred = await world.refer(*needs)
    assert says(await world.parent(referred)) == "unplaced"
    return referred


async def test_in_manual_partnerships_nothing_is_offered_by_itself(world: World) -> None:
    referred = await withdrawn_first(world, "N05")
    _, step = await world.timeline(referred)
    assert step is not None and step["what"] == "place"
    for agency in ("agency-a", "agency-b"):
        assert await world.party(agency).search("Task") == []


async def test_behaviour_14_an_open_offer_is_seen_and_claimed_by_any_eligible_partner(world: World) -> None:
    referred = await withdrawn_first(world, "N05")
    made = await open_offer(world, referred)
    offers = {agency: await world.party(agency).read(f"Task/{made['id']}") for agency in ("agency-a", "agency-b")}
    assert (await world.party("agency-c").get(f"Task/{made['id']}")).status == 404
    assert (await world.party("his-b").get(f"Task/{made['id']}")).status == 404
    _, step = await world.timeline(referred)
    assert step is not None and step["what"] == "claim"
    b = world.party("agency-b")
    own = {"reference": world.organizations["agency-b"]}
    async with nothing_changes(world):
        refused(await b.put(offers["agency-b"], status="rejected", statusReason=reason("waitlist")), 422)
        refused(await b.put(offers["agency-b"], status="in-progress", owner=own), 422)
        refused(
            await b.put(offers["agency-b"], status="accepted", owner={"reference": world.organizations["agency-a"]}),
            422,
        )
        refused(await world.party("agency-c").put(offers["agency-b"], status="accepted", owner=own), 404)
        refused(await world.party("his-a").put(offers["agency-b"], status="accepted", owner=own), 403)
    claimed = done(await b.put(offers["agency-b"], status="accepted", owner=own))
    assert claimed["owner"] == own and says(claimed) == "awaiting-consent"
    async with nothing_changes(world):
        again = done(await b.put(offers["agency-b"], status="accepted", owner=own))
        assert again["meta"]["versionId"] == claimed["meta"]["versionId"]
        a = world.party("agency-a")
        mine = {"reference": world.organizations["agency-a"]}
        refused(await a.put(offers["agency-a"], status="accepted", owner=mine), 409)
        refused(await a.ask("PATCH", f"Task/{made['id']}", [{"op": "replace", "path": "/status", "value": "accepted"}],
                            kind="application/json-patch+json"), 409)  # fmt: skip
        assert (await a.get(f"Task/{made['id']}")).status == 404
    assert (await world.parent(referred))["status"] == "accepted"
    actions, _ = await world.timeline(referred)
    assert "claim" in actions


async def test_behaviour_14_of_many_who_claim_one_wins(world: World) -> None:
    referred = await withdrawn_first(world, "N05")
    made = await open_offer(world, referred)

    async def claim(agency: str) -> Answered:
        party = world.party(agency)
        return await party.put(made, status="accepted", owner={"reference": world.organizations[agency]})

    answers = await asyncio.gather(*(claim(agency) for agency in ("agency-a", "agency-b")))
    assert sorted(answer.status for answer in answers) == [200, 409]


async def broadcast(world: World) -> tuple[Referred, dict[str, Answered]]:
    async with world.as_owner() as connection:
        await connection.execute("UPDATE partnership SET mode = 'broadcast'")
    referred = await world.refer("N05")
    return referred, {agency: await world.offer(referred, agency) for agency in ("agency-a", "agency-b")}


async def test_a_broadcast_makes_one_task_for_each_and_the_first_wins(world: World) -> None:
    referred, offers = await broadcast(world)
    assert offers["agency-a"]["id"] != offers["agency-b"]["id"]
    assert offers["agency-a"]["for"] != offers["agency-b"]["for"]
    assert offers["agency-a"]["focus"] != offers["agency-b"]["focus"]
    assert (await world.party("agency-a").get(f"Task/{offers['agency-b']['id']}")).status == 404
    done(await world.party("agency-b").put(offers["agency-b"], status="accepted"))
    lost = await world.party("agency-a").read(f"Task/{offers['agency-a']['id']}")
    assert lost["status"] == "cancelled" and says(lost) == "not-selected"
    async with nothing_changes(world):
        refused(await world.party("agency-a").put(offers["agency-a"], status="accepted"), 409)
        refused(
            await world.party("agency-a").put(offers["agency-a"], status="accepted", note=[{"text": "我们可以"}]), 409
        )
        refused(await world.party("agency-a").put(lost, status="rejected", statusReason=reason("waitlist")), 422)
    assert (await world.parent(referred))["status"] == "accepted"


async def test_of_all_who_accept_a_broadcast_at_once_one_wins(world: World) -> None:
    referred, offers = await broadcast(world)
    answers = await asyncio.gather(*(world.party(a).put(offer, status="accepted") for a, offer in offers.items()))
    assert sorted(answer.status for answer in answers) == [200, 409]
    shares = await world.shares(referred)
    assert sorted(share["status"] for share in shares) == ["accepted", "cancelled"]


async def test_a_decline_of_a_broadcast_leaves_the_others_offers(world: World) -> None:
    referred, offers = await broadcast(world)
    done(await world.party("agency-a").put(offers["agency-a"], status="rejected", statusReason=reason("no-capacity")))
    assert (await world.party("agency-b").read(f"Task/{offers['agency-b']['id']}"))["status"] == "requested"
    done(await world.party("agency-b").put(offers["agency-b"], status="rejected", statusReason=reason("no-capacity")))
    assert says(await world.parent(referred)) == "unplaced"
