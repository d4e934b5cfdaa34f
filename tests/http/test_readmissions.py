"""Readmissions are counted: which discharges, who came back, whose time is not over, and who left the count."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.http.loop import DISPOSITION, done
from tests.http.test_time import plain
from tests.http.world import Referred, World

NOW = datetime.now(UTC)
ELECTIVE = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActPriority", "code": "EL"}]}


async def left(world: World, days_ago: float, how: str = "1", **changes: Any) -> Referred:
    """A person whose stay ended so many days ago."""
    ended = NOW - timedelta(days=days_ago)
    stay = {
        "status": "finished",
        "period": {"start": (ended - timedelta(days=5)).isoformat(), "end": ended.isoformat()},
        "hospitalization": {"dischargeDisposition": {"coding": [{"system": DISPOSITION, "code": how}]}},
    }
    return await world.refer("N05", encounter=stay | changes)


async def back(world: World, person: Referred, days_ago: float, **changes: Any) -> None:
    stay = {
        "resourceType": "Encounter", "status": "in-progress", "class": {"code": "IMP"}, "subject": {"reference": person.patient},
        "period": {"start": (NOW - timedelta(days=days_ago)).isoformat()},
    }  # fmt: skip
    done(await world.party("his-a").post("Encounter", stay | changes))


async def counted(world: World, by: str = "his-a", query: str = "") -> Any:
    since = (NOW - timedelta(days=120)).date().isoformat()
    status, said = await plain(world, f"quality/readmissions?from={since}{query}", by)
    assert status == 200, said
    return said


async def test_a_rate_comes_with_what_it_is_counted_of(world: World) -> None:
    for days in (50, 60, 70):
        await left(world, days)
    await back(world, await left(world, 55), 40)
    await back(world, await left(world, 57), 40, priority=ELECTIVE)
    await back(world, await left(world, 90), 40)  # too late to be one
    await back(world, await left(world, 10), 5)  # whose time is not over
    await left(world, 58, "5")  # died
    await left(world, 59, **{"class": {"code": "AMB"}})  # no in-patient
    said = await counted(world)
    assert said["days"] == 31
    assert said["hospitals"] == [
        {"hospital": world.organizations["hospital-a"], "discharges": 6, "unplanned": 1, "planned": 1, "pending": 1, "rate": round(1 / 6, 4)}
    ]  # fmt: skip
    assert (await counted(world, "platform"))["hospitals"] == said["hospitals"]
    assert (await counted(world, "his-b"))["hospitals"] == []


async def test_whoever_died_before_the_time_was_over_leaves_the_count(world: World) -> None:
    person = await left(world, 50)
    await left(world, 50)
    assert (await counted(world))["hospitals"][0]["discharges"] == 2
    known = await world.party("his-a").read(person.patient)
    done(await world.party("his-a").put(known, deceasedBoolean=True))
    assert (await counted(world))["hospitals"][0]["discharges"] == 1


async def test_the_figures_of_hospitals_are_not_an_agencys(world: World) -> None:
    assert (await plain(world, "quality/readmissions", "agency-a"))[0] == 403
    assert (await plain(world, "quality/readmissions?from=soon", "his-a"))[0] == 400
