"""The main job over HTTP: from a hospital's FHIR referral to a closed follow-up."""

from datetime import UTC, datetime

from tests.http.world import World, closed, output, reason

OUTCOME = "urn:yuanshe:follow-up-outcome"


async def test_from_the_bed_to_the_closed_follow_up(world: World) -> None:
    hospital, agency = world.party("his-a"), world.party("agency-a")
    referred = await world.refer("N05", request={"priority": "urgent"})
    assert [entry["response"]["status"][:3] for entry in referred.answer["entry"]] == ["201", "201", "201"]

    parent = await world.parent(referred)
    assert parent["status"] == "requested" and parent["owner"]["reference"] == world.organizations["platform"]
    assert parent["businessStatus"]["coding"][0]["code"] == "offered"
    _, step = await world.timeline(referred)
    assert step is not None and step["what"] == "accept-or-decline"
    assert step["who"]["reference"] == world.organizations["agency-a"]

    offer = await world.offer(referred)
    taken = await agency.put(offer, status="accepted")
    assert taken.status == 200 and taken["businessStatus"]["coding"][0]["code"] == "awaiting-consent"
    assert (await world.parent(referred))["status"] == "accepted"
    assert (await agency.get(referred.patient)).status == 404
    refused = await agency.put(taken, status="in-progress")
    assert refused.status == 422

    await world.consent(referred, "agency-a")
    taken = await agency.read(f"Task/{offer['id']}")
    assert taken["for"]["reference"] == referred.patient
    assert taken["businessStatus"]["coding"][0]["code"] == "accepted"
    assert (await agency.read(referred.patient))["name"][0]["text"] == "陈素芬"
    assert (await agency.read(referred.request))["id"] == referred.id

    started = await agency.put(taken, status="in-progress")
    assert started.status == 200 and started["owner"]["reference"].startswith("PractitionerRole/")
    assert (await world.parent(referred))["status"] == "in-progress"

    work = await agency.post(
        "Procedure",
        {
            "resourceType": "Procedure",
            "status": "completed",
            "code": {"coding": [{"system": "urn:yuanshe:service-type", "code": "discharge-planning"}]},
            "subject": started["for"],
            "basedOn": [started["focus"]],
            "performedDateTime": datetime.now(UTC).isoformat(),
        },
    )
    assert work.status == 201, work

    bed = await hospital.read(referred.stay)
    left = await hospital.put(
        bed,
        status="finished",
        period=bed["period"] | {"end": datetime.now(UTC).isoformat()},
        hospitalization={
            "dischargeDisposition": {"coding": [{"system": "urn:oid:2.16.156.10011.2.3.1.265", "code": "1"}]}
        },
    )
    assert left.status == 200, left
    follow_ups = await agency.search(f"Task?based-on={referred.request}&status=accepted")
    assert len(follow_ups) == 5
    assert all(
        task["code"]["coding"][0]
        == {"system": "urn:yuanshe:task-code", "code": "follow-up"} | task["code"]["coding"][0]
        for task in follow_ups
    )

    done = await agency.put(
        await agency.read(f"Task/{offer['id']}"),
        status="completed",
        output=[output(f"Procedure/{work['id']}")],
        statusReason=closed(),
    )
    assert done.status == 200, done
    parent = await world.parent(referred)
    assert parent["status"] == "completed" and parent["businessStatus"]["coding"][0]["code"] == "follow-up"
    assert (await hospital.read(referred.request))["status"] == "completed"
    receipts = await hospital.search(f"Communication?based-on={referred.request}")
    assert any(c["category"][0]["coding"][0]["code"] == "receipt" for c in receipts)
    assert (await hospital.read(f"Procedure/{work['id']}"))["status"] == "completed"

    for task in follow_ups:
        attempt = await agency.post(
            "Communication",
            {
                "resourceType": "Communication",
                "status": "completed",
                "basedOn": [{"reference": f"Task/{task['id']}"}],
                "medium": [{"text": "PHONE"}],
            },
        )
        assert attempt.status == 201, attempt
        outcome = {
            "type": {"coding": [{"system": "urn:yuanshe:task-code", "code": "outcome"}]},
            "valueCodeableConcept": {"coding": [{"system": OUTCOME, "code": "stable"}]},
        }
        ended = await agency.put(await agency.read(f"Task/{task['id']}"), status="completed", output=[outcome])
        assert ended.status == 200 and ended["status"] == "completed", ended

    actions, step = await world.timeline(referred)
    assert step is None
    assert [a for a in actions if a in ("submit", "offer", "accept", "consent", "start", "complete")] == [
        "submit", "offer", "accept", "consent", "start", "complete",
    ]  # fmt: skip
    assert (await world.parent(referred))["businessStatus"]["coding"][0]["code"] == "closed"
    assert (await agency.get(referred.patient)).status == 404
    assert (await agency.read(f"Task/{offer['id']}"))["status"] == "completed"


async def test_a_declined_offer_goes_to_the_next_agency_at_once(world: World) -> None:
    referred = await world.refer("N05")
    declined = await world.party("agency-a").put(
        await world.offer(referred), status="rejected", statusReason=reason("no-capacity")
    )
    assert declined.status == 200 and declined["status"] == "rejected"
    second = await world.offer(referred, "agency-b")
    assert second["status"] == "requested"
    again = await world.party("agency-b").put(second, status="rejected", statusReason=reason("out-of-area"))
    assert again.status == 200
    parent = await world.parent(referred)
    assert parent["status"] == "requested" and parent["businessStatus"]["coding"][0]["code"] == "unplaced"
    _, step = await world.timeline(referred)
    assert step is not None and step["what"] == "place" and step["who"]["reference"] == world.organizations["platform"]
    assert await world.party("agency-c").search("Task") == []


async def test_who_can_serve_what(world: World) -> None:
    for need, first in (("N06", "agency-b"), ("N01", "agency-a")):
        assert (await world.offer(await world.refer(need), first))["status"] == "requested"
    nobody = await world.refer("N17")
    assert (await world.parent(nobody))["businessStatus"]["coding"][0]["code"] == "unplaced"
    by_b = await world.refer("N05", by="his-b")
    parent = await world.parent(by_b, "his-b")
    assert (await world.party("agency-b").search(f"Task?part-of=Task/{parent['id']}"))[0]["status"] == "requested"


async def test_withdrawn_before_and_after_acceptance(world: World) -> None:
    hospital, agency = world.party("his-a"), world.party("agency-a")
    early = await world.refer("N05")
    offer = await world.offer(early)
    gone = await hospital.put(await hospital.read(early.request), status="revoked", note=[{"text": "家属改变主意"}])
    assert gone.status == 200 and gone["status"] == "revoked"
    assert (await agency.read(f"Task/{offer['id']}"))["status"] == "cancelled"
    assert (await world.parent(early))["status"] == "cancelled"

    late = await world.refer("N05")
    share = await world.accepted(late)
    asked = await hospital.put(await hospital.read(late.request), status="revoked")
    assert asked.status == 200 and asked["status"] == "active"
    share = await agency.read(f"Task/{share['id']}")
    assert share["businessStatus"]["coding"][0]["code"] == "cancellation-requested"
    confirmed = await agency.put(share, status="cancelled")
    assert confirmed.status == 200 and confirmed["status"] == "cancelled"
    assert (await hospital.read(late.request))["status"] == "revoked"
    again = await hospital.put(await hospital.read(late.request), status="revoked")
    assert again.status == 200


async def test_crisis_blocks_completion_until_it_is_stood_down(world: World) -> None:
    hospital, agency = world.party("his-a"), world.party("agency-a")
    from tests.http.world import phq9

    referred = await world.refer("N03", extra=[phq9(1)])
    parent = await world.parent(referred)
    assert parent["priority"] == "stat"
    assert (await hospital.read(referred.request)).get("priority") in (None, "routine")
    _, step = await world.timeline(referred)
    assert step is not None and step["what"] == "acknowledge"
    share = await world.accepted(referred)
    started = await agency.put(share, status="in-progress")
    blocked = await agency.put(started, status="completed", output=[output()], statusReason=closed())
    assert blocked.status == 422
    for code in ("acknowledged", "safety-planned", "stood-down"):
        told = await hospital.post(
            "Communication",
            {
                "resourceType": "Communication",
                "status": "completed",
                "category": [{"coding": [{"system": "urn:yuanshe:message", "code": "crisis"}]}],
                "reasonCode": [{"coding": [{"system": "urn:yuanshe:crisis", "code": code}], "text": "已处理"}],
                "about": [{"reference": referred.request}],
            },
        )
        assert told.status == 201, told
    done = await agency.put(
        await agency.read(f"Task/{share['id']}"), status="completed", output=[output()], statusReason=closed()
    )
    assert done.status == 200, done


async def test_ask_and_answer(world: World) -> None:
    hospital, agency = world.party("his-a"), world.party("agency-a")
    referred = await world.refer("N05")
    offer = await world.offer(referred)
    question = await agency.post(
        "Communication",
        {
            "resourceType": "Communication",
            "status": "completed",
            "category": [{"coding": [{"system": "urn:yuanshe:message", "code": "question"}]}],
            "about": [{"reference": f"Task/{offer['id']}"}],
            "payload": [{"contentString": "是否需要轮椅？"}],
        },
    )
    assert question.status == 201, question
    waiting = await agency.read(f"Task/{offer['id']}")
    assert waiting["businessStatus"]["coding"][0]["code"] == "awaiting-information"
    _, step = await world.timeline(referred)
    assert (
        step is not None and step["what"] == "answer" and step["who"]["reference"] == world.organizations["hospital-a"]
    )
    answer = {
        "resourceType": "Communication",
        "status": "completed",
        "inResponseTo": [{"reference": f"Communication/{question['id']}"}],
        "payload": [{"contentString": "陈素芬需要轮椅"}],
    }
    told = await hospital.post("Communication", answer)
    assert told.status == 422
    told = await hospital.post("Communication", answer | {"payload": [{"contentString": "需要轮椅"}]})
    assert told.status == 201, told
    assert (await agency.read(f"Task/{offer['id']}"))["businessStatus"]["coding"][0]["code"] == "offered"
    assert len(await agency.search(f"Communication?about=Task/{offer['id']}")) == 2
