"""Follow-up in figures: reached within the window and lost, with what they are counted of (domain e)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from tests.http.loop import discharge, done, follow_ups, outcome, started, tried
from tests.http.world import BASE, World

LONG_AGO = timedelta(days=120)


async def figures(world: World, who: str | None, **query: str) -> httpx.Response:
    token = world.said["clients"][who]["access_token"] if who else "none"
    return await world.http.get(f"{BASE}/quality/follow-up", params=query, headers={"authorization": f"Bearer {token}"})


async def followed(world: World, *codes: str, ago: timedelta = timedelta(0)) -> list[dict[str, Any]]:
    """A person who went home then, with these outcomes of the first windows."""
    agency = world.party("agency-a")
    referred = await world.refer("N05")
    await started(world, referred)
    done(await discharge(world, referred))
    made = await follow_ups(agency, referred)
    for task, code in zip(made, codes, strict=False):
        if code == "lost":
            task = await tried(agency, task)
        done(await agency.put(task, output=[outcome(code)]))
    async with world.as_owner() as owner:
        # Time passes: every window of this person was so long before.
        await owner.execute(
            """UPDATE task_version v SET snapshot = (v.snapshot::jsonb || jsonb_build_object('window_to',
                 (v.snapshot ->> 'window_to')::timestamptz - $2::interval))::json
               FROM task t WHERE t.id = v.task_id AND t.kind = 'follow-up' AND t.referral_id = $1""",
            referred.id, ago,
        )  # fmt: skip
        await owner.execute("UPDATE task SET ended_at = ended_at - $2::interval WHERE kind = 'follow-up' AND referral_id = $1", referred.id, ago)  # fmt: skip
    return made


def period(ago: timedelta = LONG_AGO) -> dict[str, str]:
    today = datetime.now(UTC).date()
    return {"from": (today - ago).isoformat(), "to": (today - ago + timedelta(days=100)).isoformat()}


async def test_reached_in_time_and_lost_are_counted_of_what_was_due(world: World) -> None:
    await followed(world, "stable", "stable", "lost", ago=LONG_AGO)
    await followed(world, "stable", ago=LONG_AGO)
    found = (await figures(world, "agency-a", **period())).json()
    by = {each["window"]: each for each in found["windows"]}
    assert list(by) == ["T2", "D7", "D14", "D30", "D90"]
    assert by["T2"]["in-time"] == {"n": 2, "d": 2} and by["D7"]["in-time"] == {"n": 1, "d": 2}
    assert by["D14"]["lost"] == {"n": 1, "d": 2}, "called off after that: D30 and D90 are of the other alone"
    assert by["D30"]["in-time"] == {"n": 0, "d": 1}
    assert found["lost"] == {"n": 1, "d": 2} and found["all"]["lost"] == {"n": 1, "d": 8}
    assert found["from"] == period()["from"]


async def test_who_has_died_leaves_the_denominator_from_then_on(world: World) -> None:
    await followed(world, "stable", "deceased", ago=LONG_AGO)
    found = (await figures(world, "agency-a", **period())).json()
    assert [each["window"] for each in found["windows"]] == ["T2"] and found["all"]["in-time"] == {"n": 1, "d": 1}


async def test_a_window_that_is_still_open_is_not_due(world: World) -> None:
    await followed(world, "stable")
    found = (await figures(world, "agency-a", **period(timedelta(0)))).json()
    assert found["windows"] == [] and found["lost"] == {"n": 0, "d": 0}


async def test_each_sees_its_own(world: World) -> None:
    await followed(world, "stable", ago=LONG_AGO)
    for who, due in (("agency-a", 5), ("his-a", 5), ("platform", 5), ("agency-b", 0), ("his-b", 0)):
        assert (await figures(world, who, **period())).json()["all"]["in-time"]["d"] == due, who
    assert (await figures(world, "auditor")).status_code == 403
    assert (await figures(world, None)).status_code == 401


async def test_a_period_has_an_end_and_a_beginning(world: World) -> None:
    for query in (
        {"from": "2026-02-30"},
        {"from": "2026-03-02", "to": "2026-03-01"},
        {"from": "2020-01-01", "to": "2026-01-01"},
    ):
        refused = await figures(world, "agency-a", **query)
        assert refused.status_code == 400 and refused.headers["content-type"] == "application/problem+json", query
