"""Time in two keystrokes, and how much of it was administration (domain a, row 17; docs/handing-over.md)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from service import codes
from service.access.model import Actor
from service.casework import time_flow, timekeeping
from service.casework.timekeeping import NewTime, Ratio
from service.errors import Forbidden
from service.values import Id, new_id, utc_now
from tests.http.loop import done, nothing_changes, procedure, refused
from tests.http.staff import do, parts, share_of, workers
from tests.http.world import BASE, Answered, World

AGENCY = "agency-a"
MINUTES = "urn:yuanshe:minutes"


async def plain(world: World, path: str, by: str = AGENCY) -> tuple[int, Any]:
    token = world.said["clients"][by]["access_token"]
    answer = await world.http.get(f"{BASE}/{path}", headers={"authorization": f"Bearer {token}"})
    return answer.status_code, answer.json()


async def measured(world: World, query: str = "") -> Any:
    status, said = await plain(world, f"quality/time{query}")
    assert status == 200, said
    return said


async def wrote(world: World, where: str, activity: str, minutes: int, **given: Any) -> Answered:
    return done(await do(world.party(AGENCY), f"{where}/$time", activity=activity, minutes=minutes, **given))


def test_the_pick_list_has_fourteen_items_and_each_is_professional_or_administrative() -> None:
    listed = codes.LISTS[codes.ACTIVITY].codes
    assert len(listed) == 14 and set(listed) > codes.ADMINISTRATIVE
    assert all(codes.label(codes.ACTIVITY, code, lang) != code for code in listed for lang in ("zh", "en"))


async def test_what_and_how_many_minutes_is_all_that_it_takes(world: World) -> None:
    staff = await workers(world)
    share = await share_of(world, staff["worker-a"])
    written = await wrote(world, f"Task/{share['id']}", "home-visit", 45)
    (entry,) = parts(written, "entry")
    assert (entry["kind"], entry["minutes"], entry["worker"]) == ("professional", 45, staff["worker-a"])
    await wrote(world, "Task", "meeting", 30, worker=staff["worker-a"])
    listed = parts(done(await world.party(AGENCY).get(f"Task/{share['id']}/$time")), "entry")
    assert listed == [entry]
    said = await measured(world)
    assert said["workers"] == [
        {
            "worker": staff["worker-a"],
            "professional": 45,
            "administrative": 30,
            "minutes": 75,
            "share": 0.4,
            "over": False,
        }
    ]
    assert said["agency"]["minutes"] == 75 and said["over"] == []


async def test_a_worker_over_the_threshold_is_listed_and_the_ratio_can_be_worked_out_again(world: World) -> None:
    staff = await workers(world)
    for activity, minutes in (("counselling", 60), ("reporting", 90), ("errand", 15)):
        await wrote(world, "Task", activity, minutes, worker=staff["worker-a"])
    await wrote(world, "Task", "interview", 500, worker=staff["worker-a2"])
    said = await measured(world)
    assert said["over"] == [staff["worker-a"]]
    assert said == await measured(world)
    _, listed = await plain(world, f"quality/time/entries?worker={staff['worker-a'].partition('/')[2]}")
    count = {
        kind: sum(e["minutes"] for e in listed["entries"] if e["kind"] == kind)
        for kind in ("professional", "administrative")
    }
    mine = next(row for row in said["workers"] if row["worker"] == staff["worker-a"])
    assert mine["share"] == round(count["administrative"] / sum(count.values()), 4) == 0.6364
    yesterday = (datetime.now(UTC) - timedelta(days=20)).date().isoformat()
    assert (await measured(world, f"?from={yesterday}&to={yesterday}"))["workers"] == []


async def test_an_interventions_minutes_count_once_and_an_entry_for_it_stands_in_their_place(world: World) -> None:
    staff = await workers(world)
    agency = world.party(AGENCY)
    share = await share_of(world, staff["worker-a"])
    spent = [{"url": MINUTES, "valueInteger": 60}]
    visit = done(await agency.post("Procedure", procedure(share, extension=spent)))
    assert (await measured(world))["agency"]["professional"] == 60
    twice = await wrote(world, f"Task/{share['id']}", "home-visit", 60)
    assert visit["id"] in str([p for p in twice["parameter"] if p["name"] == "warning"])
    (entry,) = parts(twice, "entry")
    named = {"procedure": f"Procedure/{visit['id']}"}
    right = await wrote(world, f"Task/{share['id']}", "home-visit", 50, entry=entry["id"], **named)
    assert parts(right, "entry")[0]["replaces"] == entry["id"] and "warning" not in str(right)
    assert (await measured(world))["agency"]["professional"] == 50
    refused(await do(agency, f"Task/{share['id']}/$time", activity="home-visit", minutes=5, **named), 409, "already")
    done(await do(agency, "Task/$time", entry=parts(right, "entry")[0]["id"], void=True))
    assert (await measured(world))["agency"]["professional"] == 60
    done(await agency.put(visit, status="entered-in-error"))
    assert (await measured(world))["agency"]["minutes"] == 0


async def test_a_correction_keeps_what_it_corrects_and_nothing_is_corrected_twice(world: World) -> None:
    staff = await workers(world)
    agency = world.party(AGENCY)
    share = await share_of(world, staff["worker-a"])
    where = f"Task/{share['id']}"
    first = parts(await wrote(world, where, "telephone", 500), "entry")[0]
    second = parts(await wrote(world, where, "telephone", 5, entry=first["id"]), "entry")[0]
    listed = parts(done(await agency.get(f"{where}/$time")), "entry")
    assert [(e["minutes"], e.get("void", False)) for e in listed] == [(500, True), (5, False)]
    async with nothing_changes(world):
        refused(await do(agency, f"{where}/$time", activity="telephone", minutes=6, entry=first["id"]), 409, "before")
        refused(await do(agency, "Task/$time", entry=first["id"], void=True), 409)
    done(await do(agency, "Task/$time", entry=second["id"], void=True))
    assert (await measured(world))["agency"]["minutes"] == 0


@pytest.mark.parametrize(
    ("given", "status", "says"),
    [
        ({"activity": "gossip", "minutes": 5}, 422, "activity"), ({"activity": "meeting", "minutes": 0}, 422, "Minutes"),
        ({"activity": "meeting", "minutes": 1441}, 422, "Minutes"), ({"activity": "meeting"}, 422, "minutes"),
        ({"activity": "meeting", "minutes": 5, "at": "2099-01-01"}, 422, "future"), ({"activity": "meeting", "minutes": 5, "at": "2020-01-01"}, 422, "within"),
        ({"activity": "meeting", "minutes": 5, "note": "x"}, 422, "not known"), ({"activity": "meeting", "minutes": 5}, 422, "whose time"),
        ({"entry": "nonsense", "activity": "meeting", "minutes": 5}, 422, "id"), ({"void": True}, 422, "which entry"),
    ],
)  # fmt: skip
async def test_what_is_wrong_with_an_entry_is_said(world: World, given: dict[str, Any], status: int, says: str) -> None:
    refused(await do(world.party(AGENCY), "Task/$time", **given), status, says)


async def test_time_is_the_agencys_own(world: World) -> None:
    staff = await workers(world)
    share = await share_of(world, staff["worker-a"])
    refused(await do(world.party("agency-b"), f"Task/{share['id']}/$time", activity="interview", minutes=5), 404)
    refused(
        await do(world.party("agency-b"), "Task/$time", activity="meeting", minutes=5, worker=staff["worker-a"]),
        422,
        "agency",
    )
    refused(await do(world.party("his-a"), f"Task/{share['id']}/$time", activity="interview", minutes=5), 403)
    await wrote(world, f"Task/{share['id']}", "interview", 5)
    _, theirs = await plain(world, "quality/time", "agency-b")
    assert theirs["workers"] == []
    assert (await plain(world, "quality/time", "his-a"))[0] == 403
    assert (await plain(world, "quality/time?from=soon"))[0] == 400
    assert (await plain(world, "quality/time?from=2020-01-01"))[0] == 400
    offer = await world.offer(await world.refer("N05"))
    refused(
        await do(world.party(AGENCY), f"Task/{offer['id']}/$time", activity="interview", minutes=5), 422, "accepted"
    )


async def test_a_person_writes_down_and_corrects_their_own_time_alone(world: World) -> None:
    staff = {key: Id(name.partition("/")[2]) for key, name in (await workers(world)).items()}
    agency = Id(world.organizations[AGENCY].partition("/")[2])
    one, other = (Actor(new_id(), "person", agency, "social_worker", key, worker=staff[key]) for key in ("worker-a", "worker-a2"))  # fmt: skip
    now = utc_now()
    async with world.database.transaction(one.scope) as session:
        made = await time_flow.record(session, one, NewTime("interview", 20, now), now)
        assert made.entry.worker == one.worker
    async with world.database.transaction(other.scope) as session:
        with pytest.raises(Forbidden):
            await time_flow.void(session, other, made.entry.id, now)
        with pytest.raises(Forbidden):
            await time_flow.record(session, other, NewTime("interview", 20, now, worker=one.worker), now)


def test_nobodys_time_is_no_division_by_nothing() -> None:
    assert Ratio(None, 0, 0).share == 0.0 and not timekeeping.judged(Ratio(None, 0, 0), 0.0).over
    assert timekeeping.judged(Ratio(None, 60, 40), 0.4).over is False
    assert timekeeping.judged(Ratio(None, 59, 41), 0.4).over is True


async def test_time_sent_again_under_its_name_is_written_down_once(world: World) -> None:
    staff = await workers(world)
    body = {"resourceType": "Parameters", "parameter": [
        {"name": "activity", "valueCode": "meeting"}, {"name": "minutes", "valueInteger": 30}, {"name": "worker", "valueString": staff["worker-a"]},
    ]}  # fmt: skip
    answers = [done(await world.party(AGENCY).post("Task/$time", body, x_request_id="time-1")) for _ in range(2)]
    assert answers[0] == answers[1] and answers[1].headers["idempotent-replayed"] == "true"
    assert (await measured(world))["agency"]["minutes"] == 30
