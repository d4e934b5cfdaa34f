"""`GET /quality/orphans`: what does not hang together, over all of an agency's cases (domain row 16)."""

from typing import Any

import httpx

from tests.http.filing import file, goal, serving
from tests.http.loop import done, procedure, started
from tests.http.world import BASE, World


async def orphans(world: World, party: str, query: str = "") -> httpx.Response:
    token = world.said["clients"][party]["access_token"]
    return await world.http.get(f"{BASE}/quality/orphans{query}", headers={"authorization": f"Bearer {token}"})


async def listed(world: World, party: str) -> list[dict[str, Any]]:
    """All pages of the list, two rows each."""
    found: list[dict[str, Any]] = []
    after = ""
    while True:
        answer = await orphans(world, party, f"?limit=2{after}")
        assert answer.status_code == 200, answer.text
        found += answer.json()["orphans"]
        if "next" not in answer.json():
            return found
        after = f"&after={answer.json()['next']}"


async def test_an_intervention_with_no_goal_and_a_goal_with_no_measure_are_listed_until_they_are_mended(
    world: World,
) -> None:
    agency = world.party("agency-a")
    assert await listed(world, "agency-a") == []
    share = await started(world, await world.refer("N05"))
    loose = done(await agency.post("Procedure", procedure(share)))
    vague = done(await agency.post("Goal", goal(share, target=None)))
    other = await started(world, await world.refer("N05"))
    done(await agency.post("Procedure", procedure(other)))
    found = await listed(world, "agency-a")
    assert [(each["kind"], each["subject"], each["task"]) for each in found[:2]] == [
        ("intervention-without-goal", f"Procedure/{loose['id']}", f"Task/{share['id']}"),
        ("goal-without-measure", f"Goal/{vague['id']}", f"Task/{share['id']}"),
    ]
    assert len(found) == 3 and found[0]["zh"] == "介入没有对应目标" and found[0]["phase"] == "assessment"
    assert await listed(world, "platform") == found
    assert await listed(world, "agency-b") == []
    for refused in ("his-a", "auditor"):
        answer = await orphans(world, refused)
        assert answer.status_code == 403 and answer.headers["content-type"] == "application/problem+json"
    done(await agency.put(vague, target=[{"measure": {"text": "PHQ-9"}}]))
    done(await agency.put(loose, extension=serving(share, vague["id"])["extension"]))
    assert [each["task"] for each in await listed(world, "agency-a")] == [f"Task/{other['id']}"]
    assert (await file(agency, share)).orphans == []


async def test_what_stays_broken_keeps_its_place_in_the_list(world: World) -> None:
    agency = world.party("agency-a")
    share = await started(world, await world.refer("N05"))
    done(await agency.post("Procedure", procedure(share)))
    before = await listed(world, "agency-a")
    done(await agency.post("Procedure", procedure(share)))
    after = await listed(world, "agency-a")
    assert after[0] == before[0] and len(after) == 2


async def test_a_voided_referral_leaves_the_list(world: World) -> None:
    referred = await world.refer("N05")
    share = await started(world, referred)
    done(await world.party("agency-a").post("Procedure", procedure(share)))
    his = world.party("his-a")
    done(await his.put(await his.read(referred.request), status="entered-in-error"))
    assert await listed(world, "agency-a") == []


async def test_who_asks_wrongly_is_told_so(world: World) -> None:
    for query in ("?limit=0", "?limit=201", "?limit=many", "?after=陈素芬"):
        answer = await orphans(world, "agency-a", query)
        assert answer.status_code == 400 and "陈素芬" not in answer.text
    assert (await world.http.get(f"{BASE}/quality/orphans")).status_code == 401
