"""The timeline and histories: what happened, by whom, why, and who acts next (contract.md, “Follow”)."""

from datetime import UTC, datetime

from tests.http.loop import crisis, discharge, done, follow_ups, outcome, says, started
from tests.http.test_sweeps import swept
from tests.http.world import World, closed, output, reason


def parts(parameter: dict) -> dict:  # type: ignore[type-arg]
    return {
        part["name"]: next(value for key, value in part.items() if key.startswith("value"))
        for part in parameter["part"]
    }


async def test_every_event_says_when_who_what_and_why(world: World) -> None:
    referred = await world.refer("N05")
    offer = await world.offer(referred)
    done(await world.party("agency-a").put(offer, status="rejected", statusReason=reason("no-capacity", "本周已满")))
    told = await world.party("his-a").read(f"{referred.request}/$timeline")
    assert told["resourceType"] == "Parameters"
    events = [parts(p) for p in told["parameter"] if p["name"] == "event"]
    following = [parts(p) for p in told["parameter"] if p["name"] == "next"]
    assert [event["action"] for event in events] == ["submit", "offer", "decline", "offer"]
    whens = [datetime.fromisoformat(event["when"]) for event in events]
    assert whens == sorted(whens) and all(when.tzinfo for when in whens)
    assert events[0]["who"]["reference"] == world.organizations["hospital-a"]
    declined = events[2]
    assert declined["who"]["reference"] == world.organizations["agency-a"]
    assert declined["reason"] == "本周已满" and declined["task"]["reference"] == f"Task/{offer['id']}"
    assert len(following) == 1 and set(following[0]) >= {"who", "what", "by"}
    assert following[0]["who"]["reference"] == world.organizations["agency-b"]


async def test_the_next_step_is_the_deadline_that_the_tasks_show(world: World) -> None:
    agency, hospital = world.party("agency-a"), world.party("his-a")
    referred = await world.refer("N05")

    async def step(what: str) -> dict[str, object]:
        _, found = await world.timeline(referred)
        parent = await world.parent(referred)
        assert found is not None and found["what"] == what
        assert datetime.fromisoformat(found["by"]) == datetime.fromisoformat(parent["restriction"]["period"]["end"])
        return found

    await step("accept-or-decline")
    share = done(await agency.put(await world.offer(referred), status="accepted"))
    assert says(share) == "awaiting-consent"
    assert (await step("obtain-consent"))["who"]["reference"] == world.organizations["hospital-a"]  # type: ignore[index]
    await world.consent(referred, "agency-a")
    await step("first-contact")
    share = done(await agency.put(await agency.read(f"Task/{share['id']}"), status="in-progress"))
    assert (await step("assessment"))["who"]["reference"] == share["owner"]["reference"]  # type: ignore[index]
    share = done(await agency.put(share, status="on-hold", statusReason={"text": "外出"}))
    await step("resume")
    share = done(await agency.put(share, status="in-progress"))
    done(await hospital.put(await hospital.read(referred.request), status="revoked"))
    await step("confirm-cancel")
    share = await agency.read(f"Task/{share['id']}")
    done(await agency.put(share, status="completed", output=[output()], statusReason=closed()))
    assert (await world.timeline(referred))[1] is None


async def test_each_side_sees_its_own_part(world: World) -> None:
    referred = await world.refer("N05")
    first = await world.offer(referred)
    done(
        await world.party("agency-a").put(
            first, status="rejected", statusReason=reason("conflict-of-interest", "甲的内部原因")
        )
    )
    share = await world.accepted(referred, "agency-b")
    told = await world.party("agency-b").read(f"{referred.request}/$timeline")
    assert "甲的内部原因" not in str(told) and world.organizations["agency-a"] not in str(told)
    assert f"Task/{first['id']}" not in str(told) and f"Task/{share['id']}" in str(told)
    for other in ("agency-a", "his-b", "agency-c"):
        assert (await world.party(other).get(f"{referred.request}/$timeline")).status == 404
    assert (await world.party("auditor").get(f"{referred.request}/$timeline")).status in (403, 404)


async def test_a_closed_loop_has_no_next_step_but_a_crisis_brings_one(world: World) -> None:
    referred = await world.refer("N05")
    share = await started(world, referred)
    done(await world.party("agency-a").put(share, status="completed", output=[output()], statusReason=closed()))
    assert (await world.timeline(referred))[1] is None
    done(await world.party("his-a").post("Communication", crisis("raised", referred.request, "病房来电")))
    _, step = await world.timeline(referred)
    assert step is not None and step["who"]["reference"] == world.organizations["platform"]


async def test_history_shows_every_version_and_none_is_rewritten(world: World) -> None:
    agency, hospital = world.party("agency-a"), world.party("his-a")
    referred = await world.refer("N05")
    offer = await world.offer(referred)
    share = await started(world, referred)
    history = await agency.get(f"Task/{share['id']}/_history")
    assert [e["resource"]["status"] for e in history["entry"]] == ["in-progress", "accepted", "accepted", "requested"]
    assert [e["resource"]["for"] == offer["for"] for e in history["entry"]] == [False, False, True, True]
    assert await hospital.get(f"Task/{share['id']}/_history/1") == await agency.get(f"Task/{share['id']}/_history/1")
    again = await hospital.get(f"Task/{share['id']}/_history")
    assert [e["resource"] for e in again["entry"]] == [e["resource"] for e in history["entry"]]
    for other in ("agency-b", "his-b"):
        assert (await world.party(other).get(f"Task/{share['id']}/_history")).status == 404
        assert (await world.party(other).get(f"Task/{share['id']}/_history/1")).status == 404
    assert (await agency.get(f"Task/{share['id']}/_history/9")).status == 404
    assert (await hospital.get(f"{referred.request}/_history")).status == 200


async def test_follow_ups_stand_in_the_timeline(world: World) -> None:
    referred = await world.refer("N05")
    await started(world, referred)
    done(await discharge(world, referred))
    first = (await follow_ups(world.party("agency-a"), referred))[0]
    done(await world.party("agency-a").put(first, output=[outcome("declined")]))
    actions, _ = await world.timeline(referred)
    assert (
        "discharge" in actions
        and actions.count("follow-up") == 5
        and "outcome" in actions
        and actions.count("cancel") == 4
    )


async def test_a_deadline_in_a_year_without_a_published_calendar_is_marked_unconfirmed(world: World) -> None:
    referred = await world.refer("N05")
    assert await swept(world, "expire", datetime(2099, 1, 5, tzinfo=UTC)) == 1
    told = await world.party("his-a").read(f"{referred.request}/$timeline")
    assert next(parts(p) for p in told["parameter"] if p["name"] == "next")["unconfirmed"] is True
