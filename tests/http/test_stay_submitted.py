"""A stay that comes with a referral: its end is a discharge, older news does not take it back, and neither waits unseen."""

import asyncio
from datetime import UTC, datetime
from typing import Any

from adapters.fhir import submission as submitting
from service.followup import flow as followup
from service.patients import store as patients
from service.patients.model import Stay
from service.values import Id, utc_now, write_json
from tests.casework.town import actor
from tests.http.loop import DISPOSITION, discharge, done, follow_ups
from tests.http.world import Referred, World, submission

NUMBER = {"identifier": [{"system": "urn:oid:2.16.156.10011.1.12", "value": "ZYH-9"}]}


def ended(**changes: Any) -> dict[str, Any]:
    """An Encounter that has ended as a discharge does."""
    left = {"dischargeDisposition": {"coding": [{"system": DISPOSITION, "code": "1"}]}}
    period = {"start": "2026-03-01T08:00:00+08:00", "end": datetime.now(UTC).isoformat()}
    return {"status": "finished", "period": period, "hospitalization": left} | changes


async def test_a_stay_that_has_ended_when_it_comes_is_followed_up_at_once(world: World) -> None:
    hospital = world.party("his-a")
    referred = await world.refer("N05", encounter=ended())
    assert (await hospital.read(referred.stay))["status"] == "finished"
    assert len(await follow_ups(hospital, referred)) == 5
    assert (await world.timeline(referred))[0].count("discharge") == 1


async def test_an_end_that_comes_with_a_referral_concerns_the_others_of_the_stay(world: World) -> None:
    hospital = world.party("his-a")
    first = await world.refer("N05", mrn="ZY-9", encounter=NUMBER)
    second = await world.refer("N01", mrn="ZY-9", encounter=NUMBER | ended())
    assert first.stay == second.stay
    for referred in (first, second):
        assert len(await follow_ups(hospital, referred)) == 5


async def test_older_news_of_a_stay_does_not_take_its_discharge_back(world: World) -> None:
    hospital = world.party("his-a")
    first = await world.refer("N05", mrn="ZY-9", encounter=NUMBER)
    done(await discharge(world, first))
    before = await hospital.read(first.stay)
    made = await follow_ups(hospital, first)
    second = await world.refer("N01", mrn="ZY-9", encounter=NUMBER)
    assert [entry["response"]["status"][:3] for entry in second.answer["entry"]] == ["200", "200", "201"]
    assert second.stay == first.stay and await hospital.read(first.stay) == before
    assert await follow_ups(hospital, first) == made
    assert len(await follow_ups(hospital, second)) == 5


async def until_it_waits(world: World, request: "asyncio.Task[Any]") -> None:
    """Until another connection waits for a row that this test holds."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    async with world.as_owner() as connection:
        while not await connection.fetchval(waiting):
            assert not request.done(), request.result()


async def test_a_referral_placed_while_its_stay_ends_is_followed_up(world: World) -> None:
    hospital = world.party("his-a")
    first = await world.refer("N05", mrn="ZY-9", encounter=NUMBER)
    who = actor(Id(world.organizations["hospital-a"].split("/")[1]), "hospital")
    now = utc_now()
    async with world.database.transaction(who.scope) as session:
        known = await patients.get_stay(session, Id(first.stay.split("/")[1]))
        assert known is not None
        left = Stay(
            known.id,
            known.hospital,
            known.patient,
            0,
            "finished",
            now,
            number=known.number,
            ended_at=now,
            disposition="1",
        )
        await followup.discharge(session, who, left, write_json(await hospital.read(first.stay)), now)
        placing = asyncio.create_task(hospital.post("", submission("N01", mrn="ZY-9", encounter=NUMBER)))
        await until_it_waits(world, placing)
    placed = Referred({}, done(await placing))
    for referred in (first, placed):
        assert len(await follow_ups(hospital, referred)) == 5


async def test_a_stay_that_ends_while_a_referral_is_placed_follows_it_up(world: World) -> None:
    hospital = world.party("his-a")
    first = await world.refer("N05")
    who = actor(Id(world.organizations["hospital-a"].split("/")[1]), "hospital")
    order = {
        "resourceType": "ServiceRequest", "status": "active", "intent": "order", "identifier": [{"system": "urn:his-a:order", "value": "S-9"}],
        "category": [{"coding": [{"system": "urn:yuanshe:need", "code": "N01"}], "text": "需要帮助"}],
        "subject": {"reference": first.patient}, "encounter": {"reference": first.stay},
    }  # fmt: skip
    async with world.database.transaction(who.scope) as session:
        stored = await submitting.submit(session, who, submitting.lone(write_json(order)), utc_now())
        leaving = asyncio.create_task(discharge(world, first))
        await until_it_waits(world, leaving)
    done(await leaving)
    for request in (first.request, f"ServiceRequest/{stored[0].id}"):
        assert len(await hospital.search(f"Task?based-on={request}&status=accepted")) == 5
