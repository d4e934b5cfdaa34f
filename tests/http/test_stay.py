"""Stays: a discharge makes the follow-ups, a correction moves them, death ends them (contract.md, “Stays”)."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.http.loop import (
    DISPOSITION,
    discharge,
    done,
    ending,
    follow_ups,
    nothing_changes,
    outcome,
    refused,
    says,
    started,
)
from tests.http.world import World, closed, output


async def test_behaviour_25_a_discharge_has_made_the_follow_ups_when_it_answers(world: World) -> None:
    referred = await world.refer("N05")
    share = await started(world, referred)
    done(await discharge(world, referred))
    made = await follow_ups(world.party("agency-a"), referred)
    assert len(made) == 5
    for task in made:
        assert task["status"] == "accepted" and says(task) == "follow-up"
        assert (
            task["code"]["coding"][0]["code"] == "follow-up"
            and task["code"]["coding"][0]["system"] == "urn:yuanshe:task-code"
        )
        assert task["basedOn"] == [{"reference": referred.request}]
        assert task["owner"] == share["owner"]
        assert task["restriction"]["period"]["start"] < task["restriction"]["period"]["end"]
        assert task["for"]["reference"] == referred.patient
    assert {task["id"] for task in await follow_ups(world.party("his-a"), referred)} == {task["id"] for task in made}
    for other in ("agency-b", "his-b"):
        assert await world.party(other).search(f"Task?based-on={referred.request}") == []
        assert (await world.party(other).get(f"Task/{made[0]['id']}")).status == 404


async def test_where_nobody_was_disclosed_to_the_hospital_follows_up_itself(world: World) -> None:
    referred = await world.refer("N05")
    await world.accepted(referred, consent=False)
    done(await discharge(world, referred))
    assert await follow_ups(world.party("agency-a"), referred) == []
    own = await follow_ups(world.party("his-a"), referred)
    assert len(own) == 5 and own[0]["owner"] == {"reference": world.organizations["hospital-a"]}


async def test_the_same_discharge_again_changes_no_follow_up(world: World) -> None:
    referred = await world.refer("N05")
    await started(world, referred)
    at = datetime.now(UTC)
    done(await discharge(world, referred, at=at))
    before = await follow_ups(world.party("agency-a"), referred)
    done(await discharge(world, referred, at=at))
    assert await follow_ups(world.party("agency-a"), referred) == before


async def test_a_corrected_date_moves_what_has_not_begun(world: World) -> None:
    agency = world.party("agency-a")
    referred = await world.refer("N05")
    await started(world, referred)
    at = datetime.now(UTC)
    done(await discharge(world, referred, at=at))
    before = await follow_ups(agency, referred)
    done(await agency.put(before[0], output=[outcome("unreachable")]))
    done(await discharge(world, referred, at=at - timedelta(days=2)))
    after = await follow_ups(agency, referred)
    by_id = {task["id"]: task for task in after}
    assert len(after) == 5
    assert by_id[before[0]["id"]]["restriction"] == before[0]["restriction"]
    for task in before[1:]:
        assert ending(by_id[task["id"]]) == ending(task) - timedelta(days=2)


async def test_who_leaves_against_advice_is_contacted_within_a_day(world: World) -> None:
    referred = await world.refer("N05")
    await started(world, referred)
    at = datetime.now(UTC)
    done(await discharge(world, referred, "4", at))
    first = (await follow_ups(world.party("agency-a"), referred))[0]
    assert abs(ending(first) - at - timedelta(hours=24)) < timedelta(seconds=2)


async def test_death_cancels_and_makes_no_follow_up(world: World) -> None:
    agency = world.party("agency-a")
    referred = await world.refer("N05")
    await started(world, referred)
    done(await discharge(world, referred, "1"))
    done(await discharge(world, referred, "5"))
    assert {task["status"] for task in await follow_ups(agency, referred)} == {"cancelled"}
    actions, step = await world.timeline(referred)
    assert {"died", "owe", "propose-close"} <= set(actions) and step is not None and step["what"] == "close"
    other = await world.refer("N05")
    await started(world, other)
    done(await discharge(world, other, "5"))
    assert await follow_ups(agency, other) == []


async def test_a_discharge_says_when_and_how(world: World) -> None:
    hospital = world.party("his-a")
    referred = await world.refer("N05")
    bed = await hospital.read(referred.stay)
    how = {"dischargeDisposition": {"coding": [{"system": DISPOSITION, "code": "1"}]}}
    wrong = {"dischargeDisposition": {"coding": [{"system": DISPOSITION, "code": "7"}]}}
    early = bed["period"] | {"end": "2001-01-01T00:00:00Z"}
    left = bed["period"] | {"end": datetime.now(UTC).isoformat()}
    async with nothing_changes(world):
        refused(await hospital.put(bed, status="finished", hospitalization=how), 422)
        refused(await hospital.put(bed, status="finished", period=early, hospitalization=how), 422)
        refused(await hospital.put(bed, status="finished", period=left, hospitalization=wrong), 422)
        refused(await hospital.put(bed, if_match='W/"7"', status="finished", period=left, hospitalization=how), 412)
        for other in ("his-b", "agency-a", "agency-b", "platform"):
            answer = await world.party(other).put(bed, status="finished", period=left, hospitalization=how)
            assert answer.status in (403, 404), answer


async def test_a_discharge_before_acceptance_follows_up_too(world: World) -> None:
    referred = await world.refer("N05")
    done(await discharge(world, referred))
    own = await follow_ups(world.party("his-a"), referred)
    assert len(own) == 5 and own[0]["owner"] == {"reference": world.organizations["hospital-a"]}


@pytest.mark.parametrize("end", ["revoked", "entered-in-error"])
async def test_a_referral_that_ends_other_than_completed_ends_its_follow_ups(world: World, end: str) -> None:
    hospital = world.party("his-a")
    referred = await world.refer("N05")
    done(await discharge(world, referred))
    done(await hospital.put(await hospital.read(referred.request), status=end))
    statuses = {task["status"] for task in await follow_ups(hospital, referred)}
    assert statuses == {"cancelled" if end == "revoked" else "entered-in-error"}
    assert (await world.timeline(referred))[1] is None


async def test_after_the_completion_the_referral_is_open_for_its_follow_ups(world: World) -> None:
    agency, hospital = world.party("agency-a"), world.party("his-a")
    referred = await world.refer("N05")
    share = await started(world, referred)
    done(await agency.put(share, status="completed", output=[output()], statusReason=closed()))
    assert says(await world.parent(referred)) == "closed"
    assert (await agency.get(referred.patient)).status == 404
    done(await discharge(world, referred))
    parent = await world.parent(referred)
    assert parent["status"] == "completed" and says(parent) == "follow-up"
    assert (await hospital.read(referred.request))["status"] == "completed"
    assert (await agency.read(referred.patient))["name"][0]["text"] == "陈素芬"
    _, step = await world.timeline(referred)
    assert step is not None and step["what"] == "follow-up"
    made = await follow_ups(agency, referred)
    for task in made:
        done(await agency.put(task, status="completed", output=[outcome("stable")]))
    assert says(await world.parent(referred)) == "closed" and (await world.timeline(referred))[1] is None
    assert (await agency.get(referred.patient)).status == 404
