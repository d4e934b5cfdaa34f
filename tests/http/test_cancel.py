"""Withdrawing: at once before acceptance, by agreement after it, and never a crisis along with it (contract.md)."""

from typing import Any

import pytest

from tests.http.loop import crisis, done, nothing_changes, refused, says, started
from tests.http.test_coordinator import by_hand, needs
from tests.http.world import World, closed, output, reason

REASON = "http://hl7.org/fhir/StructureDefinition/request-statusReason"


async def test_behaviour_18_before_acceptance_the_request_is_revoked_at_once_with_its_reason(world: World) -> None:
    hospital, agency = world.party("his-a"), world.party("agency-a")
    referred = await world.refer("N05")
    offer = await world.offer(referred)
    request = await hospital.read(referred.request)
    gone = done(
        await hospital.put(
            request, status="revoked", extension=[{"url": REASON, "valueCodeableConcept": {"text": "家属自行安排"}}]
        )
    )
    assert gone["status"] == "revoked" and "家属自行安排" in str(gone["extension"])
    parent = await world.parent(referred)
    assert parent["status"] == "cancelled" and says(parent) == "withdrawn"
    assert "家属自行安排" in str(parent["statusReason"])
    share = await agency.read(f"Task/{offer['id']}")
    assert share["status"] == "cancelled" and says(share) == "withdrawn"
    # What the hospital wrote may name the person; this agency may not know whom.
    assert "家属自行安排" not in str(share)
    assert (await world.timeline(referred))[1] is None
    async with nothing_changes(world):
        done(await hospital.put(gone))
        refused(await hospital.put(gone, status="active"), 422)
        refused(await agency.put(share, status="accepted"), 422)


async def test_a_new_note_is_the_reason_and_without_one_it_is_by_the_placer(world: World) -> None:
    hospital = world.party("his-a")
    for note, words in (({"note": [{"text": "转往外地"}]}, "转往外地"), ({}, "withdrawn by the placer")):
        referred = await world.refer("N05")
        done(await hospital.put(await hospital.read(referred.request), status="revoked", **note))
        assert words in str((await world.parent(referred))["statusReason"])


async def test_the_parent_is_cancelled_with_a_reason(world: World) -> None:
    hospital = world.party("his-a")
    referred = await world.refer("N05")
    parent = await world.parent(referred)
    async with nothing_changes(world):
        refused(await hospital.put(parent, status="cancelled"), 422)
        refused(await world.party("his-b").put(parent, status="cancelled", statusReason={"text": "x"}), 404)
        refused(await world.party("agency-a").put(parent, status="cancelled", statusReason={"text": "x"}), 404)
    done(await hospital.put(parent, status="cancelled", statusReason={"text": "不需要了"}))
    assert (await hospital.read(referred.request))["status"] == "revoked"


async def test_a_placed_request_does_not_change_otherwise(world: World) -> None:
    hospital = world.party("his-a")
    referred = await world.refer("N05")
    request = await hospital.read(referred.request)
    async with nothing_changes(world):
        for changes in (
            {"priority": "stat"},
            {"category": []},
            {"status": "completed"},
            {"status": "on-hold"},
            {"status": "draft"},
        ):
            refused(await hospital.put(request, **changes), 422)
        refused(await hospital.put(request, if_match='W/"9"', status="revoked"), 412)
        refused(await world.party("his-b").put(request, status="revoked"), 404)
        refused(await world.party("agency-a").put(request, status="revoked"), 404)


async def test_behaviour_18_after_acceptance_it_is_a_request_that_the_agency_confirms(world: World) -> None:
    hospital, agency = world.party("his-a"), world.party("agency-a")
    for state in ("accepted", "in-progress", "on-hold"):
        referred = await world.refer("N05")
        share = await world.accepted(referred)
        if state != "accepted":
            share = done(await agency.put(share, status="in-progress"))
        if state == "on-hold":
            share = done(await agency.put(share, status="on-hold", statusReason={"text": "外出"}))
        async with nothing_changes(world):
            refused(await agency.put(share, status="cancelled", statusReason={"text": "x"}), 422)
        asked = done(
            await hospital.put(await hospital.read(referred.request), status="revoked", note=[{"text": "改由亲属照顾"}])
        )
        assert asked["status"] == ("on-hold" if state == "on-hold" else "active")
        parent = await world.parent(referred)
        assert says(parent) == "cancellation-requested" and parent["status"] == state
        async with nothing_changes(world):
            done(await hospital.put(await hospital.read(referred.request), status="revoked"))
        share = await agency.read(f"Task/{share['id']}")
        assert share["status"] == state and says(share) == "cancellation-requested"
        _, step = await world.timeline(referred)
        assert step is not None and step["what"] == "confirm-cancel"
        gone = done(await agency.put(share, status="cancelled"))
        assert says(gone) == "withdrawn"
        assert (await hospital.read(referred.request))["status"] == "revoked"
        assert (await world.parent(referred))["status"] == "cancelled"
        assert (await agency.get(referred.patient)).status == 404
        async with nothing_changes(world):
            done(await agency.put(share, status="cancelled"))


async def test_behaviour_18_completing_overrides_a_requested_cancellation(world: World) -> None:
    hospital, agency = world.party("his-a"), world.party("agency-a")
    referred = await world.refer("N05")
    share = await started(world, referred)
    parent = await world.parent(referred)
    done(await hospital.put(parent, status="cancelled", statusReason={"text": "改由亲属照顾"}))
    assert (await world.parent(referred))["status"] == "in-progress"
    share = await agency.read(f"Task/{share['id']}")
    done(await agency.put(share, status="completed", output=[output()], statusReason=closed()))
    assert (await hospital.read(referred.request))["status"] == "completed"
    assert says(await world.parent(referred)) == "closed"


async def test_what_nobody_accepted_yet_is_taken_back_with_the_request_to_cancel(world: World) -> None:
    hospital, platform = world.party("his-a"), world.party("platform")
    agency, other = world.party("agency-a"), world.party("agency-b")
    referred = await world.refer("N02", "N06")
    parent = await world.parent(referred, "platform")
    first = done(await platform.post("Task", by_hand(world, parent, "agency-a", **needs("N02"))))
    second = done(await platform.post("Task", by_hand(world, parent, "agency-b", **needs("N06"))))
    done(await agency.put(await agency.read(f"Task/{first['id']}"), status="accepted"))
    done(await hospital.put(await hospital.read(referred.request), status="revoked"))
    assert (await other.read(f"Task/{second['id']}"))["status"] == "cancelled"
    share = await agency.read(f"Task/{first['id']}")
    done(await agency.put(share, status="cancelled"))
    assert (await world.parent(referred))["status"] == "cancelled"


async def test_taking_one_share_of_a_split_back_leaves_the_other(world: World) -> None:
    hospital, platform = world.party("his-a"), world.party("platform")
    agency = world.party("agency-a")
    referred = await world.refer("N02", "N06")
    parent = await world.parent(referred, "platform")
    first = done(await platform.post("Task", by_hand(world, parent, "agency-a", **needs("N02"))))
    second = done(await platform.post("Task", by_hand(world, parent, "agency-b", **needs("N06"))))
    done(await agency.put(await agency.read(f"Task/{first['id']}"), status="accepted"))
    seen = await hospital.read(f"Task/{first['id']}")
    asked = done(await hospital.put(seen, status="cancelled", statusReason={"text": "家属自行办理"}))
    assert asked["status"] == "accepted" and says(asked) == "cancellation-requested"
    done(await agency.put(await agency.read(f"Task/{first['id']}"), status="cancelled"))
    assert (await world.party("agency-b").read(f"Task/{second['id']}"))["status"] == "requested"
    assert (await world.parent(referred))["status"] == "accepted"


async def test_while_it_is_re_routed_a_withdrawal_takes_effect_at_once(world: World) -> None:
    hospital, agency = world.party("his-a"), world.party("agency-a")
    referred = await world.refer("N05")
    share = await started(world, referred)
    done(await agency.put(share, status="failed", statusReason=closed("client-ended")))
    done(await hospital.put(await hospital.read(referred.request), status="revoked"))
    parent = await world.parent(referred)
    assert parent["status"] == "cancelled"
    assert [s["status"] for s in await world.shares(referred)] == ["failed", "cancelled"]


async def test_no_withdrawal_drops_a_crisis_the_coordinator_has_it(world: World) -> None:
    hospital = world.party("his-a")
    referred = await world.refer("N05")
    done(await hospital.post("Communication", crisis("raised", referred.request, "病人自述不想活")))
    done(await hospital.put(await hospital.read(referred.request), status="revoked"))
    _, step = await world.timeline(referred)
    assert step is not None and step["what"] == "acknowledge"
    assert step["who"]["reference"] == world.organizations["platform"]
    for one in ("acknowledged", "safety-planned", "stood-down"):
        done(await world.party("platform").post("Communication", crisis(one, referred.request)))
    assert (await world.timeline(referred))[1] is None


async def test_a_hospitals_reason_on_a_share_needs_words(world: World) -> None:
    hospital = world.party("his-a")
    referred = await world.refer("N05")
    share = await world.accepted(referred)
    seen = await hospital.read(f"Task/{share['id']}")
    async with nothing_changes(world):
        refused(await hospital.put(seen, status="cancelled"), 422)
        refused(await hospital.put(seen, status="in-progress"), 403)
        refused(await hospital.put(seen, status="rejected", statusReason=reason("waitlist")), 403)
        refused(await hospital.put(seen, status="ready"), 422)


async def test_what_is_not_stored_is_not_taken_in_silence(world: World) -> None:
    hospital = world.party("his-a")
    request = await hospital.read((await world.refer("N05")).request)
    async with nothing_changes(world):
        refused(await hospital.put(request, note=[{"text": "补充说明"}]), 422)
        refused(await hospital.put(request, extension=[{"url": "urn:x", "valueString": "y"}]), 422)
        done(await hospital.put(request))


@pytest.mark.parametrize("party", ["his-a", "platform"])
@pytest.mark.parametrize("which", ["parent", "share"])
async def test_who_has_not_the_work_changes_nothing_but_the_status(world: World, party: str, which: str) -> None:
    who, referred = world.party(party), await world.refer("N05")
    share = await world.accepted(referred)
    task = await who.read(f"Task/{(await world.parent(referred))['id'] if which == 'parent' else share['id']}")
    async with nothing_changes(world):
        for element, value in (
            ("priority", "stat"), ("note", [{"text": "补充说明"}]), ("output", [output()]), ("statusReason", {"text": "x"}),
            ("for", {"reference": "Patient/00000000-0000-4000-8000-000000000000"}), ("description", "另有所求"),
        ):  # fmt: skip
            answer = refused(await who.put(task, **{element: value}), 422)
            assert answer["issue"][0]["expression"] == [f"Task.{element}"]
            if element != "statusReason":
                end: dict[str, Any] = {"status": "cancelled", "statusReason": {"text": "家属自行办理"}, element: value}
                refused(await who.put(task, **end), 422)
    done(await who.put(task))
