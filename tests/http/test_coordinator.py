"""What the coordinator does: refuse, give up, void, offer by hand, split, record a lawful basis; and who may not."""

from typing import Any

from tests.http.loop import done, forgotten, later, message, nothing_changes, refused, says, started, sweep
from tests.http.world import Referred, World, closed, output, reason

ADVICE = reason("service-not-offered", "请联系街道民政服务站")


async def unplaced(world: World) -> Referred:
    """A referral that both eligible agencies declined."""
    referred = await world.refer("N05")
    for agency in ("agency-a", "agency-b"):
        offer = await world.offer(referred, agency)
        done(await world.party(agency).put(offer, status="rejected", statusReason=reason("no-capacity")))
    assert says(await world.parent(referred)) == "unplaced"
    return referred


def by_hand(world: World, parent: dict[str, Any], agency: str | None = None, **changes: Any) -> dict[str, Any]:
    """A child Task as the coordinator posts it."""
    return {
        "resourceType": "Task",
        "status": "requested",
        "intent": "order",
        "partOf": [{"reference": f"Task/{parent['id']}"}],
    } | ({"owner": {"reference": world.organizations[agency]}} if agency else {}) | changes  # fmt: skip


async def test_the_coordinator_refuses_with_advice_before_anybody_accepted(world: World) -> None:
    platform, hospital = world.party("platform"), world.party("his-a")
    referred = await world.refer("N05")
    offer = await world.offer(referred)
    parent = await world.parent(referred, "platform")
    async with nothing_changes(world):
        refused(
            await hospital.put(await hospital.read(f"Task/{parent['id']}"), status="rejected", statusReason=ADVICE), 403
        )
        refused(await platform.put(parent, status="rejected"), 422)
        refused(await platform.put(parent, status="rejected", statusReason={"text": "不受理"}), 422)
        refused(await platform.put(parent, status="completed", statusReason=ADVICE), 403)
    gone = done(await platform.put(parent, status="rejected", statusReason=ADVICE))
    assert gone["status"] == "rejected" and says(gone) == "refused"
    request = await hospital.read(referred.request)
    assert request["status"] == "revoked" and "民政" in str(request["extension"])
    assert says(await world.party("agency-a").read(f"Task/{offer['id']}")) == "withdrawn"
    assert (await world.timeline(referred))[1] is None
    async with nothing_changes(world):
        done(await platform.put(gone))


async def test_after_an_acceptance_it_is_not_refused_any_more(world: World) -> None:
    referred = await world.refer("N05")
    await world.accepted(referred)
    async with nothing_changes(world):
        parent = await world.parent(referred, "platform")
        refused(await world.party("platform").put(parent, status="rejected", statusReason=ADVICE), 422)


async def test_giving_up_is_rejected_before_and_failed_after_an_acceptance(world: World) -> None:
    platform = world.party("platform")
    never = await unplaced(world)
    parent = await world.parent(never, "platform")
    async with nothing_changes(world):
        refused(await platform.put(parent, status="failed"), 422)
        refused(
            await world.party("his-a").put(
                await world.parent(never), status="failed", statusReason=closed("unforeseen")
            ),
            403,
        )
    gone = done(await platform.put(parent, status="failed", statusReason=closed("unforeseen")))
    assert gone["status"] == "rejected" and says(gone) == "failed"
    assert (await world.party("his-a").read(never.request))["status"] == "revoked"

    once = await world.refer("N02")
    share = await started(world, once)
    async with nothing_changes(world):
        refused(
            await platform.put(
                await world.parent(once, "platform"), status="failed", statusReason=closed("unforeseen")
            ),
            422,
        )
    done(await world.party("agency-a").put(share, status="failed", statusReason=closed("unforeseen")))
    parent = await world.parent(once, "platform")
    assert parent["status"] == "in-progress" and says(parent) == "unplaced"
    gone = done(await platform.put(parent, status="failed", statusReason=closed("unforeseen")))
    assert gone["status"] == "failed" and says(gone) == "failed"
    assert (await world.timeline(once))[1] is None


async def test_what_was_recorded_in_error_leaves_every_list_whatever_its_state(world: World) -> None:
    hospital, agency, platform = world.party("his-a"), world.party("agency-a"), world.party("platform")
    for end in ("requested", "accepted", "completed"):
        referred = await world.refer("N05")
        share = await world.offer(referred)
        if end != "requested":
            share = await world.accepted(referred)
        if end == "completed":
            share = done(await agency.put(share, status="completed", output=[output()], statusReason=closed()))
        parent = await world.parent(referred)
        async with nothing_changes(world):
            refused(await hospital.put(parent, status="entered-in-error"), 422)
            refused(await agency.put(share, status="entered-in-error", statusReason={"text": "误录"}), 403)
            refused(
                await world.party("his-b").put(parent, status="entered-in-error", statusReason={"text": "误录"}), 404
            )
        voider = platform if end == "accepted" else hospital
        gone = done(await voider.put(parent, status="entered-in-error", statusReason={"text": "误录"}))
        assert gone["status"] == "entered-in-error" and says(gone) is None
        assert (await hospital.read(referred.request))["status"] == "entered-in-error"
        child = await agency.read(f"Task/{share['id']}")
        assert child["status"] == "entered-in-error" and says(child) is None
        assert (await world.timeline(referred))[1] is None
        assert (await agency.get(referred.patient)).status == 404
        async with nothing_changes(world):
            for status in ("requested", "cancelled", "completed"):
                refused(
                    await hospital.put(gone, status=status, statusReason=closed()),
                    403 if status == "completed" else 422,
                )


async def test_a_request_is_voided_by_its_author(world: World) -> None:
    hospital = world.party("his-a")
    referred = await world.refer("N05")
    gone = done(await hospital.put(await hospital.read(referred.request), status="entered-in-error"))
    assert gone["status"] == "entered-in-error"
    assert (await world.parent(referred))["status"] == "entered-in-error"


async def test_an_offer_by_hand_names_an_agency_of_a_partnership_in_force(world: World) -> None:
    platform = world.party("platform")
    referred = await unplaced(world)
    parent = await world.parent(referred, "platform")
    async with nothing_changes(world):
        answer = refused(
            await platform.post("Task", by_hand(world, parent, "agency-c", statusReason=reason("waitlist"))), 409
        )
        assert "partnership" in str(answer["issue"])
        refused(await platform.post("Task", by_hand(world, parent, "agency-a")), 422, "reason")
        refused(await platform.post("Task", by_hand(world, parent, "agency-a", status="accepted")), 422)
        refused(await platform.post("Task", by_hand(world, parent, "hospital-b", statusReason=reason("waitlist"))), 409)
        for party in ("his-a", "agency-a", "agency-b"):
            refused(await world.party(party).post("Task", by_hand(world, parent, "agency-a")), 403)
    made = await platform.post("Task", by_hand(world, parent, "agency-a", statusReason={"text": "机构答应接收"}))
    assert made.status == 201 and made["status"] == "requested"
    assert made["owner"]["reference"] == world.organizations["agency-a"]
    assert (await world.offer(referred))["id"] == made["id"]
    assert says(await world.parent(referred)) == "offered"
    actions, _ = await world.timeline(referred)
    assert actions[-1] == "offer"


async def test_a_need_that_somebody_has_accepted_is_not_offered_again(world: World) -> None:
    referred = await world.refer("N05")
    await world.accepted(referred)
    parent = await world.parent(referred, "platform")
    async with nothing_changes(world):
        made = await world.party("platform").post(
            "Task", by_hand(world, parent, "agency-b", statusReason={"text": "再派"})
        )
        refused(made, 409)
        refused(await world.party("platform").post("Task", by_hand(world, parent)), 409)


async def test_nothing_is_offered_of_what_has_ended(world: World) -> None:
    referred = await world.refer("N05")
    hospital = world.party("his-a")
    done(await hospital.put(await hospital.read(referred.request), status="revoked"))
    parent = await world.parent(referred, "platform")
    async with nothing_changes(world):
        refused(await world.party("platform").post("Task", by_hand(world, parent, "agency-b")), 422)


def needs(*codes: str) -> dict[str, Any]:
    return {"reasonCode": {"coding": [{"system": "urn:yuanshe:need", "code": code} for code in codes]}}


async def test_behaviour_16_a_referral_with_several_needs_is_split_and_completes_when_every_share_has_ended(
    world: World,
) -> None:
    platform, agency = world.party("platform"), world.party("agency-a")
    referred = await world.refer("N02", "N06")
    parent = await world.parent(referred, "platform")
    assert says(parent) == "unplaced"
    async with nothing_changes(world):
        refused(await platform.post("Task", by_hand(world, parent, "agency-a", **needs("N05"))), 422)
    first = done(await platform.post("Task", by_hand(world, parent, "agency-a", **needs("N02"))))
    second = done(await platform.post("Task", by_hand(world, parent, "agency-b", **needs("N06"))))
    share = await agency.read(f"Task/{first['id']}")
    shown = await agency.read(share["focus"]["reference"])
    assert [c["coding"][0]["code"] for c in shown["category"]] == ["N02"]
    done(await agency.put(share, status="accepted"))
    assert (await world.party("agency-b").read(f"Task/{second['id']}"))["status"] == "requested"
    done(
        await world.party("agency-b").put(await world.party("agency-b").read(f"Task/{second['id']}"), status="accepted")
    )
    await world.consent(referred, "agency-a", "agency-b")
    share = await agency.read(f"Task/{first['id']}")
    done(await agency.put(share, status="completed", output=[output()], statusReason=closed()))
    assert (await world.parent(referred))["status"] == "accepted"
    assert (await world.timeline(referred))[1] is not None
    other = await world.party("agency-b").read(f"Task/{second['id']}")
    done(await world.party("agency-b").put(other, status="in-progress"))
    assert (await world.parent(referred))["status"] == "in-progress"
    other = await world.party("agency-b").read(f"Task/{second['id']}")
    done(await world.party("agency-b").put(other, status="failed", statusReason=closed("client-ended")))
    assert await forgotten(world) == 0
    assert (await world.parent(referred))["status"] == "completed"


async def test_every_share_on_hold_holds_the_referral(world: World) -> None:
    hospital, agency = world.party("his-a"), world.party("agency-a")
    referred = await world.refer("N05")
    held = done(await agency.put(await started(world, referred), status="on-hold", statusReason={"text": "外出"}))
    parent = await world.parent(referred)
    assert parent["status"] == "on-hold" and says(parent) == "paused"
    assert (await hospital.read(referred.request))["status"] == "on-hold"
    _, step = await world.timeline(referred)
    assert step is not None and step["what"] == "resume"
    done(await agency.put(held, status="in-progress"))
    assert (await world.parent(referred))["status"] == "in-progress"
    assert (await hospital.read(referred.request))["status"] == "active"


async def test_one_offer_is_taken_back_and_the_next_agency_has_it(world: World) -> None:
    hospital = world.party("his-a")
    referred = await world.refer("N05")
    offer = await world.offer(referred)
    seen = await hospital.read(f"Task/{offer['id']}")
    async with nothing_changes(world):
        refused(await hospital.put(seen, status="cancelled"), 422)
    gone = done(await hospital.put(seen, status="cancelled", statusReason={"text": "家属想换一家"}))
    assert says(gone) == "withdrawn"
    assert (await world.offer(referred, "agency-b"))["status"] == "requested"


async def test_a_lawful_basis_opens_identity_to_the_agency_it_names(world: World) -> None:
    platform = world.party("platform")
    referred = await world.refer("N05")
    share = await world.accepted(referred, consent=False)
    basis = {
        "resourceType": "Provenance",
        "target": [{"reference": referred.request}],
        "recorded": later().isoformat(),
        "reason": [
            {
                "coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "HLEGAL"}],
                "text": "强制报告",
            }
        ],
        "agent": [{"who": {"reference": world.organizations["agency-a"]}}],
    }
    async with nothing_changes(world):
        for party in ("his-a", "agency-a"):
            refused(await world.party(party).post("Provenance", basis), 403)
        wordless = basis | {"reason": [{"coding": basis["reason"][0]["coding"]}]}  # type: ignore[index]
        refused(await platform.post("Provenance", wordless), 422)
    done(await platform.post("Provenance", basis))
    share = await world.party("agency-a").read(f"Task/{share['id']}")
    assert share["for"]["reference"] == referred.patient and says(share) == "accepted"
    assert (await world.party("agency-b").get(referred.patient)).status == 404
    actions, _ = await world.timeline(referred, "agency-a")
    assert "强制报告" not in str(await world.party("agency-a").read(f"{referred.request}/$timeline"))
    assert actions


async def test_the_coordinator_asks_and_the_hospital_answers(world: World) -> None:
    referred = await world.refer("N05")
    offer = await world.offer(referred)
    done(
        await world.party("platform").post(
            "Communication", message("question", f"Task/{offer['id']}", payload=[{"contentString": "住几楼？"}])
        )
    )
    assert says(await world.party("agency-a").read(f"Task/{offer['id']}")) == "awaiting-information"


async def test_when_nobody_is_left_the_coordinator_has_it_with_a_limit(world: World) -> None:
    referred = await world.refer("N05")
    assert await sweep(world, "expire", later(days=30)) == 1
    assert await sweep(world, "expire", later(days=60)) == 1
    parent = await world.parent(referred)
    assert parent["status"] == "requested" and says(parent) == "unplaced"
    _, step = await world.timeline(referred)
    assert step is not None and step["what"] == "place" and step["who"]["reference"] == world.organizations["platform"]
    assert step["by"] == parent["restriction"]["period"]["end"]


async def test_of_a_split_referral_no_part_is_forgotten(world: World) -> None:
    platform, agency = world.party("platform"), world.party("agency-a")
    referred = await world.refer("N02", "N06")
    parent = await world.parent(referred, "platform")
    first = done(await platform.post("Task", by_hand(world, parent, "agency-a", **needs("N02"))))
    done(await agency.put(await agency.read(f"Task/{first['id']}"), status="accepted"))
    _, step = await world.timeline(referred)
    assert step is not None and step["what"] == "place", "nobody has N06 yet"
    second = done(await platform.post("Task", by_hand(world, parent, "agency-b", **needs("N06"))))
    _, step = await world.timeline(referred)
    assert step is not None and step["what"] != "place"
    other = world.party("agency-b")
    done(await other.put(await other.read(f"Task/{second['id']}"), status="rejected", statusReason=reason("waitlist")))
    _, step = await world.timeline(referred)
    assert step is not None and step["what"] == "place"
