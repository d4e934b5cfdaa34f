"""What the standards of closed-loop referral demand and no other file of tests is about, each by its number."""

from typing import Any

from tests.http.loop import done, nothing_changes, refused, says, started
from tests.http.world import World, closed, output, reason


async def test_behaviour_14_a_claimed_task_is_at_once_no_longer_listed_as_unowned(world: World) -> None:
    async with world.as_owner() as connection:
        await connection.execute("UPDATE partnership SET mode = 'manual'")
    referred = await world.refer("N05")
    parent = await world.parent(referred, "platform")
    made = done(
        await world.party("platform").post("Task", {
            "resourceType": "Task", "status": "requested", "intent": "order", "partOf": [{"reference": f"Task/{parent['id']}"}],
            "focus": {"reference": referred.request}, "for": {"reference": referred.patient},
            "requester": {"reference": world.organizations["platform"]}, "authoredOn": "2026-11-20T10:00:00+08:00",
            "code": {"coding": [{"system": "http://hl7.org/fhir/CodeSystem/task-code", "code": "fulfill"}]},
        })
    )  # fmt: skip
    unowned = "Task?owner:missing=true&status=requested"
    agency = world.party("agency-a")
    assert [task["id"] for task in await agency.search(unowned)] == [made["id"]]
    own = {"reference": world.organizations["agency-a"]}
    done(await agency.put(await agency.read(f"Task/{made['id']}"), status="accepted", owner=own))
    for party in ("agency-a", "agency-b", "platform"):
        assert await world.party(party).search(unowned) == []


async def test_behaviour_16_a_share_is_part_of_the_parent_and_its_moves_show_there(world: World) -> None:
    referred = await world.refer("N05")
    parent = await world.parent(referred)
    share = await world.accepted(referred)
    assert share["partOf"] == [{"reference": f"Task/{parent['id']}"}]
    assert (await world.parent(referred))["status"] == "accepted"
    filler = await world.party("agency-a").read(share["focus"]["reference"])
    assert filler["intent"] == "filler-order" and filler["basedOn"] == [{"reference": referred.request}]
    share = done(await world.party("agency-a").put(share, status="in-progress"))
    assert (await world.parent(referred))["status"] == "in-progress"
    done(await world.party("agency-a").put(share, status="completed", output=[output()], statusReason=closed()))
    assert (await world.parent(referred))["status"] == "completed"


async def test_behaviour_17_who_has_no_place_declines_and_the_referral_goes_on(world: World) -> None:
    referred = await world.refer("N05")
    offer = await world.offer(referred)
    declined = done(
        await world.party("agency-a").put(offer, status="rejected", statusReason=reason("no-capacity", "本周已满"))
    )
    assert declined["statusReason"]["coding"][0]["code"] == "no-capacity"
    parent = await world.parent(referred)
    assert parent["status"] == "requested" and says(parent) == "offered"
    assert (await world.offer(referred, "agency-b"))["status"] == "requested"
    shares = await world.shares(referred)
    assert [share["status"] for share in shares] == ["rejected", "requested"]
    assert shares[0]["statusReason"]["text"] == "本周已满"


async def test_behaviour_19_what_is_not_current_is_not_cancelled_and_an_error_is_no_withdrawal(world: World) -> None:
    hospital = world.party("his-a")
    ended = await world.refer("N05")
    asked = await hospital.read(ended.request)
    done(await hospital.put(asked, status="revoked", note=[{"text": "家属另有安排"}]))
    revoked = await hospital.read(ended.request)
    parent = await world.parent(ended)
    assert revoked["status"] == "revoked" and parent["status"] == "cancelled"
    async with nothing_changes(world):
        refused(await hospital.put(parent, status="requested"), 422)
        refused(await hospital.put(revoked, status="active"), 422)
    done(await hospital.put(revoked, status="revoked"))  # the same again is no fault
    finished = await world.refer("N05")
    share = await started(world, finished)
    done(await world.party("agency-a").put(share, status="completed", output=[output()], statusReason=closed()))
    whole = await hospital.read(finished.request)
    async with nothing_changes(world):
        refused(await hospital.put(whole, status="revoked", note=[{"text": "太晚了"}]), 422)
    voided = await world.refer("N05")
    mistaken = await hospital.read(voided.request)
    done(await hospital.put(mistaken, status="entered-in-error", note=[{"text": "误录"}]))
    assert (await hospital.read(voided.request))["status"] == "entered-in-error"
    assert (await world.parent(voided))["status"] == "entered-in-error"


async def test_behaviour_20_the_request_ends_as_its_task_does(world: World) -> None:
    hospital = world.party("his-a")
    cancelled = await world.refer("N05")
    done(await hospital.put(await world.parent(cancelled), status="cancelled", statusReason={"text": "转院"}))
    assert (await hospital.read(cancelled.request))["status"] == "revoked"
    completed = await world.refer("N05")
    share = await started(world, completed)
    done(await world.party("agency-a").put(share, status="completed", output=[output()], statusReason=closed()))
    assert (await hospital.read(completed.request))["status"] == "completed"
    turned = await world.refer("N17")
    done(
        await world.party("platform").put(
            await world.parent(turned, "platform"), status="rejected", statusReason=reason("ineligible", "不在服务范围")
        )
    )
    assert (await hospital.read(turned.request))["status"] == "revoked"


async def test_behaviour_23_every_open_referral_waits_for_exactly_one(world: World) -> None:
    states = {"offered": "N05", "unplaced": "N17", "accepted": "N05", "started": "N05"}
    waiting: dict[str, Any] = {}
    for state, need in states.items():
        referred = await world.refer(need)
        if state == "accepted":
            await world.accepted(referred)
        if state == "started":
            await started(world, referred)
        _, waiting[state] = await world.timeline(referred)
    assert all(step is not None and step["by"] for step in waiting.values())
    assert waiting["offered"]["who"]["reference"] == world.organizations["agency-a"]
    assert waiting["unplaced"]["who"]["reference"] == world.organizations["platform"]
    async with world.as_owner() as connection:
        doubled = await connection.fetch("SELECT referral_id FROM next_step GROUP BY 1 HAVING count(*) > 1")
        without = await connection.fetch(
            "SELECT r.id FROM referral r LEFT JOIN next_step n ON n.referral_id = r.id WHERE r.open <> (n.referral_id IS NOT NULL)"
        )
    assert doubled == without == []
