"""News of a person after the referral: a death freezes all outreach, an identity that is corrected reaches every offer."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.http.loop import discharge, done, follow_ups, nothing_changes, procedure, refused, says, started
from tests.http.test_living_stay import heard
from tests.http.world import CITIZEN, Referred, World, citizen_number, closed, output

PROHIBITED = {
    "code": {"coding": [{"system": "urn:yuanshe:need", "code": "N05"}]},
    "orderDetail": [{"coding": [{"code": "contacting-subject-prohibited"}]}],
}
NOBODY = {
    "identifier": None, "name": None, "telecom": None, "birthDate": None, "gender": "unknown", "address": None,
    "extension": [{"url": "urn:yuanshe:no-identifier-reason", "valueCode": "unidentified"}],
}  # fmt: skip


async def said(world: World, referred: Referred, **changes: Any) -> Any:
    """The hospital's next word on the person."""
    hospital = world.party("his-a")
    return await hospital.put(await hospital.read(referred.patient), **changes)


async def duties(world: World, word: str) -> list[dict[str, Any]]:
    return await world.party("his-a").search(f"Task?code={word}")


async def test_death_during_service(world: World) -> None:
    """Given a person in service, with follow-ups pending and another referral on offer. When the hospital says that they
    died, then all outreach ends at once: nothing is proposed, the agency is told to close, and the family is offered
    support. When it was an error, each goes on, and what was called off comes back as new."""
    agency = world.party("agency-a")
    referred = await world.refer("N05", mrn="ZY-DEAD")
    share = await started(world, referred)
    done(await discharge(world, referred))
    before = await follow_ups(agency, referred)
    other = await world.refer("N01", mrn="ZY-DEAD")

    done(await said(world, referred, deceasedBoolean=True))

    assert {task["status"] for task in await follow_ups(agency, referred)} == {"cancelled"}
    news = await heard(world, referred, "agency-a")
    assert {"died", "propose-close"} <= set(news)
    _, step = await world.timeline(referred)
    assert step is not None and step["what"] == "close" and step["task"] == {"reference": f"Task/{share['id']}"}
    assert len(await duties(world, "bereavement")) == 1, "one family is asked once, however many referrals there are"
    assert "died" in (await world.timeline(other))[0] and "died" not in await heard(world, other, "agency-a")
    assert (await agency.read(referred.patient))["deceasedBoolean"] is True
    open_one = await agency.read(f"Task/{share['id']}")
    assert open_one["status"] == "in-progress", "closing is the agency's own act"

    done(await said(world, referred, deceasedBoolean=False))

    fresh = [task for task in await follow_ups(agency, referred) if task["status"] == "accepted"]
    assert len(fresh) == 5 and {task["id"] for task in fresh}.isdisjoint(task["id"] for task in before)
    assert "undo-died" in await heard(world, referred, "agency-a")
    assert [duty["status"] for duty in await duties(world, "bereavement")] == ["cancelled"]
    _, step = await world.timeline(referred)
    assert step is not None and step["what"] != "close"
    share = await agency.read(f"Task/{share['id']}")
    done(await agency.post("Procedure", procedure(share)))
    done(await agency.put(share, status="completed", output=[output()], statusReason=closed()))


async def test_the_agency_closes_what_it_did_for_a_person_who_died(world: World) -> None:
    agency = world.party("agency-a")
    referred = await world.refer("N05")
    share = await started(world, referred)
    done(await said(world, referred, deceasedDateTime=datetime.now(UTC).isoformat()))
    share = await agency.read(f"Task/{share['id']}")
    done(await agency.put(share, status="completed", output=[output()], statusReason=closed("deceased")))
    assert says(await world.parent(referred)) == "closed"


async def test_nobody_is_called_for_the_first_time_after_a_death(world: World) -> None:
    referred = await world.refer("N05")
    await world.accepted(referred)
    assert (await world.timeline(referred))[1]["what"] == "first-contact"  # pyright: ignore[reportOptionalSubscript]
    done(await said(world, referred, deceasedBoolean=True))
    _, step = await world.timeline(referred)
    assert step is not None and step["what"] == "close"
    done(await said(world, referred, deceasedBoolean=False))
    _, step = await world.timeline(referred)
    assert step is not None and step["what"] == "first-contact"


async def test_whatever_is_written_down_after_a_death_closing_stays_what_is_owed(world: World) -> None:
    """Started after the death, held and resumed, and with work recorded: the limit runs on, and no call is owed."""
    agency = world.party("agency-a")
    referred = await world.refer("N05")
    await world.accepted(referred)
    done(await said(world, referred, deceasedBoolean=True))
    by = (await world.timeline(referred))[1]
    share = await agency.read(f"Task/{(await world.shares(referred))[0]['id']}")
    share = done(await agency.put(share, status="in-progress"))
    done(await agency.post("Procedure", procedure(share)))
    share = await agency.read(f"Task/{share['id']}")
    share = done(await agency.put(share, status="on-hold", statusReason={"text": "等待家属"}))
    done(await agency.put(share, status="in-progress"))
    step = (await world.timeline(referred))[1]
    assert by is not None and step is not None and step["what"] == "close"


async def test_where_contact_is_prohibited_no_family_is_offered_anything_by_itself(world: World) -> None:
    """The family may be whom the person was to be kept from: one such referral is enough."""
    for needs, request in ((("N12",), {}), ((), PROHIBITED)):
        guarded = await world.refer(*needs, mrn=f"ZY-GUARD-{len(needs)}", request=request)
        other = await world.refer("N01", mrn=f"ZY-GUARD-{len(needs)}")
        done(await said(world, guarded, deceasedBoolean=True))
        assert "died" in (await world.timeline(other))[0]
        assert await duties(world, "bereavement") == []


async def test_what_is_placed_after_a_death_is_for_those_who_are_left(world: World) -> None:
    """Given a person who died, by the record or by the stay. When the hospital refers afterwards, then an agency works on it
    like on any other, and nothing is proposed to the person."""
    for n, way in enumerate(("record", "stay")):
        first = await world.refer("N05", mrn=f"ZY-AFTER-{way}")
        if way == "record":
            done(await said(world, first, deceasedBoolean=True))
        else:
            done(await discharge(world, first, "5"))
        dead = {"deceasedBoolean": True} if way == "record" else {}
        later = await world.refer("N01", mrn=f"ZY-AFTER-{way}", patient=dead, number=f"after-{n}")
        await started(world, later)
        actions, step = await world.timeline(later)
        assert "died" not in actions and step is not None and step["what"] == "assessment"
        assert await follow_ups(world.party("agency-a"), later) == []


async def test_a_death_that_the_stay_says_ends_outreach_on_every_referral_and_is_undone_with_it(world: World) -> None:
    agency = world.party("agency-a")
    one = await world.refer("N05", mrn="ZY-STAY-DEAD")
    await started(world, one)
    other = await world.refer("N01", mrn="ZY-STAY-DEAD")
    await started(world, other)
    done(await discharge(world, one, "5"))
    for referred in (one, other):
        assert {"died", "propose-close"} <= set(await heard(world, referred, "agency-a"))
    assert await follow_ups(agency, one) == []
    # The record alone does not take back what the stay says.
    done(await said(world, one, deceasedBoolean=False))
    assert "undo-died" not in await heard(world, other, "agency-a")
    done(await discharge(world, one, "1"))
    for referred in (one, other):
        assert "undo-died" in await heard(world, referred, "agency-a")
    assert len([task for task in await follow_ups(agency, one) if task["status"] == "accepted"]) == 5


async def test_an_unidentified_patient_is_identified_later(world: World) -> None:
    """Given somebody brought in without a name, of whom nothing is known that routing needs, so that nobody could be asked.
    When the hospital learns who it is, then the reason for having no number is gone, the referral is routed by itself, and
    the offer shows what an offer may: a band of ages, gender, a street; no name and no number."""
    hospital, agency = world.party("his-a"), world.party("agency-a")
    referred = await world.refer("N05", patient=NOBODY)
    assert says(await world.parent(referred)) == "unplaced"
    number = citizen_number(7)
    known = {
        "resourceType": "Patient", "id": referred.patient.split("/")[1],
        "identifier": [{"system": CITIZEN, "value": number}], "name": [{"text": "王建国"}], "gender": "male",
        "address": [{"use": "home", "district": "520502001"}],
        "extension": NOBODY["extension"],
    }  # fmt: skip
    done(await hospital.put(known))
    actions, step = await world.timeline(referred)
    assert actions.count("offer") == 1 and "correct" in actions and step is not None
    offer = await world.offer(referred)
    who = await agency.read(offer["for"]["reference"])
    assert who["gender"] == "male" and who["address"][0]["district"] == "520502001"
    assert {"url": "urn:yuanshe:age-band", "valueCode": "60-74"} in who["extension"]
    assert number not in repr(who) and "王建国" not in repr(who)
    async with world.as_owner() as connection:
        assert (
            await connection.fetchval("SELECT no_identifier_reason FROM patient WHERE birth_date = '1952-03-15'")
            is None
        )


async def test_a_corrected_birth_date_makes_a_new_version_of_what_an_undisclosed_offer_shows(world: World) -> None:
    agency = world.party("agency-a")
    referred = await world.refer("N05")
    offer = await world.offer(referred)
    before = await agency.read(offer["for"]["reference"])
    done(await said(world, referred, birthDate="1990-03-15"))
    after = await agency.read(offer["for"]["reference"])
    assert after["extension"] == [{"url": "urn:yuanshe:age-band", "valueCode": "18-39"}] != before["extension"]
    assert int(after["meta"]["versionId"]) == int(before["meta"]["versionId"]) + 1
    assert await agency.read(f"{offer['for']['reference']}/_history/{before['meta']['versionId']}") == before
    newer = await agency.read(f"Task/{offer['id']}")
    assert newer["meta"]["versionId"] != offer["meta"]["versionId"] and newer["for"] == offer["for"]
    assert (await agency.get(referred.patient)).status == 404
    # Of a safety need still less: neither band nor gender.
    safety = await world.refer("N13", patient={"birthDate": "2015-01-01"})
    hidden = await world.offer(safety)
    done(await said(world, safety, birthDate="2016-01-01", gender="male"))
    shown = await agency.read(hidden["for"]["reference"])
    assert shown["extension"] == [{"url": "urn:yuanshe:age-band", "valueCode": "minor"}] and "gender" not in shown


async def test_a_correction_that_no_offer_shows_changes_no_task(world: World) -> None:
    agency = world.party("agency-a")
    referred = await world.refer("N05")
    offer = await world.offer(referred)
    done(await said(world, referred, name=[{"text": "陈淑芬"}], telecom=[{"system": "phone", "value": "13900000002"}]))
    assert (await agency.read(f"Task/{offer['id']}"))["meta"]["versionId"] == offer["meta"]["versionId"]
    done(await world.party("agency-a").put(offer, status="accepted"))
    await world.consent(referred, "agency-a")
    assert (await agency.read(referred.patient))["name"][0]["text"] == "陈淑芬"


async def test_a_citizen_number_that_is_anothers_is_refused_and_points_to_the_merge(world: World) -> None:
    number = citizen_number(11)
    owner = await world.refer("N01", patient={"identifier": [{"system": CITIZEN, "value": number}]})
    referred = await world.refer("N05")
    person = await world.party("his-a").read(referred.patient)
    async with nothing_changes(world):
        both = [*person["identifier"], {"system": CITIZEN, "value": number}]
        answer = refused(await world.party("his-a").put(person, identifier=both), 409, "merge")
    assert owner.patient in repr(answer) and number not in repr(answer)


async def test_a_death_that_lies_ahead_is_a_slip_of_the_pen(world: World) -> None:
    referred = await world.refer("N05")
    hospital = world.party("his-a")
    person = await hospital.read(referred.patient)
    ahead = (datetime.now(UTC) + timedelta(days=200)).isoformat()
    answer = await hospital.put(person, deceasedDateTime=ahead)
    assert answer.status == 422 and answer["issue"][0]["expression"] == ["Patient.deceasedDateTime"]
    assert "died" not in (await world.timeline(referred))[0]
    assert (await hospital.put(person, deceasedDateTime=str(datetime.now(UTC).year))).status == 200
