"""A person who must not be contacted: the word goes along to whoever works on the referral (SDOH Clinical Care, orderDetail)."""

from typing import Any

from service.access.model import Actor
from service.referrals import flow
from service.values import Id, new_id, utc_now
from tests.http.loop import discharge, done, follow_ups
from tests.http.world import NEED, SDOHCC, World

PROHIBITED = {"coding": [{"system": SDOHCC, "code": "contacting-subject-prohibited"}]}


def says(request: dict[str, Any]) -> bool:
    return "contacting-subject-prohibited" in [c["code"] for d in request.get("orderDetail", ()) for c in d["coding"]]


async def in_queue(world: World, agency: str) -> dict[str, bool]:
    """What the agency's queue says of each referral that is open there."""
    organization = Id(world.organizations[agency].split("/")[1])
    actor = Actor(new_id(), "client", organization, "agency", agency)
    async with world.database.transaction(actor.scope) as session:
        page = await flow.queue(session, actor, utc_now())
    return {str(task.referral): task.contact_prohibited for task in page.tasks}


async def test_behaviour_40_contact_prohibited_reaches_the_child_referral_and_the_queue_and_nothing_is_proposed(
    world: World,
) -> None:
    """It stands on the placer's request, on the filler's once the person is disclosed, in the agency's queue all along; no
    follow-up proposes to call by itself; after a decline the next agency is told the same."""
    agency = world.party("agency-b")
    referred = await world.refer(
        "N05", request={"code": {"coding": [{"system": NEED, "code": "N05"}]}, "orderDetail": [PROHIBITED]}
    )
    other = await world.refer("N05")
    assert says(await world.party("his-a").read(referred.request))
    assert await in_queue(world, "agency-a") == {referred.id: True, other.id: False}
    offer = await world.offer(referred)
    told = {"coding": [{"system": "urn:yuanshe:decline-reason", "code": "no-capacity"}], "text": "名额已满"}
    done(await world.party("agency-a").put(offer, status="rejected", statusReason=told))
    assert await in_queue(world, "agency-b") == {referred.id: True}
    share = await world.accepted(referred, "agency-b")
    filler = await agency.read(share["focus"]["reference"])
    assert filler["intent"] == "filler-order" and says(filler)
    assert says(await agency.read(referred.request))
    done(await discharge(world, referred))
    plan = await follow_ups(agency, referred)
    assert plan and "proposed" not in str(plan)
    async with world.as_owner() as connection:
        proposed = await connection.fetch(
            "SELECT v.snapshot -> 'follow_up' ->> 'proposed_channel' AS channel FROM task t JOIN task_version v ON v.task_id = t.id"
            " AND v.version = t.version WHERE t.kind = 'follow-up' AND t.referral_id = $1", Id(referred.id or ""),
        )  # fmt: skip
    assert [row["channel"] for row in proposed] == [None] * len(plan)
