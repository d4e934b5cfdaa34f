"""How a person may safely be contacted: said by the hospital or by who works with them, shown to whoever may contact them."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from service.access.model import Actor
from service.referrals import contact_flow
from service.safety.contact import ContactRules
from service.values import Id, new_id
from tests.http.loop import done
from tests.http.test_no_contact import PROHIBITED, in_queue, says
from tests.http.world import World

URL = "urn:yuanshe:safe-contact"
EVENING = {"url": "time", "extension": [{"url": "day", "valueCode": "mon"}, {"url": "begins", "valueTime": "18:00:00"}, {"url": "ends", "valueTime": "20:00:00"}]}  # fmt: skip
SAFELY = {
    "url": URL,
    "extension": [
        {"url": "channel", "valueCode": "phone"}, EVENING, {"url": "number", "valueString": "13800000099"},
        {"url": "message", "valueBoolean": False}, {"url": "asked-by", "valueCode": "patient"}, {"url": "why", "valueString": "家中有人查看手机"},
    ],
}  # fmt: skip
PROHIBITION = {"resourceType": "Parameters", "parameter": [{"name": "prohibited", "valueBoolean": True}]}


def told(resource: dict[str, Any]) -> dict[str, Any]:
    """The parts of the extension that are simple, by name; nothing where there is none."""
    found = [each for each in resource.get("extension", ()) if each["url"] == URL]
    parts = found[0]["extension"] if found else resource.get("parameter", [])
    return {
        part.get("url") or part["name"]: next((v for k, v in part.items() if k.startswith("value")), None)
        for part in parts
    }


async def test_who_works_with_the_person_sees_how_to_call_and_never_why(world: World) -> None:
    referred = await world.refer("N05", patient={"extension": [SAFELY]})
    await world.accepted(referred)
    agency, hospital = world.party("agency-a"), world.party("his-a")
    seen = await agency.read(referred.patient)
    assert told(seen)["number"] == "13800000099"
    assert seen["telecom"][0]["value"] == "13800000099", "the safe number stands in place of any other"
    assert (told(seen)["message"], told(seen)["channel"], told(seen)["asked-by"]) == (False, "phone", "patient")
    asked = await agency.read(f"{referred.patient}/$safe-contact")
    assert told(asked)["number"] == "13800000099" and told(asked)["version"] == 1
    assert "家中" not in str(seen) + str(asked)
    assert told(await hospital.read(f"{referred.patient}/$safe-contact"))["why"] == "家中有人查看手机"
    assert SAFELY in (await hospital.read(referred.patient))["extension"], "as received, to who sent it"


async def test_a_patient_that_says_nothing_of_it_takes_no_rule_back(world: World) -> None:
    referred = await world.refer("N05", patient={"extension": [SAFELY]})
    hospital = world.party("his-a")
    patient = await hospital.read(referred.patient)
    done(await hospital.put({key: value for key, value in patient.items() if key != "extension"}))
    assert told(await hospital.read(f"{referred.patient}/$safe-contact"))["channel"] == "phone"


async def test_before_identity_is_disclosed_nobody_is_told_how_to_contact(world: World) -> None:
    referred = await world.refer("N05", patient={"extension": [SAFELY]})
    offer = await world.offer(referred)
    agency = world.party("agency-a")
    stand_in = await agency.read(offer["for"]["reference"])
    assert URL not in str(stand_in) and "1380000" not in str(stand_in)
    assert (await agency.get(f"{offer['for']['reference']}/$safe-contact")).status == 404
    assert (await agency.get(f"{referred.patient}/$safe-contact")).status == 404


async def test_a_prohibition_that_the_agency_learns_of_reaches_queue_filler_and_hospital_at_once(world: World) -> None:
    referred = await world.refer("N05")
    share = await world.accepted(referred)
    agency = world.party("agency-a")
    before = await agency.read(referred.patient)
    done(await agency.post(f"{referred.patient}/$safe-contact", PROHIBITION))
    after = await agency.read(referred.patient)
    assert told(after)["prohibited"] is True
    assert after.headers["etag"] != before.headers["etag"], "whoever keeps a copy learns that it changed"
    assert says(await agency.read(share["focus"]["reference"]))
    assert await in_queue(world, "agency-a") == {referred.id: True}
    assert told(await world.party("his-a").read(f"{referred.patient}/$safe-contact"))["prohibited"] is True
    actions, _ = await world.timeline(referred)
    assert actions[-1] == "safe-contact"


async def test_the_word_of_one_referral_holds_for_the_person_and_their_next_referral(world: World) -> None:
    referred = await world.refer("N05", request={"orderDetail": [PROHIBITED], "code": {"text": "出院安置"}})
    hospital = world.party("his-a")
    assert told(await hospital.read(f"{referred.patient}/$safe-contact"))["prohibited"] is True
    mrn = referred.bundle["entry"][0]["resource"]["identifier"][0]["value"]
    again = await world.refer("N05", mrn=mrn)
    assert again.patient == referred.patient
    assert (await in_queue(world, "agency-a"))[again.id or ""] is True


async def test_an_agency_does_not_lift_what_the_hospital_put_up_and_the_hospital_does(world: World) -> None:
    referred = await world.refer("N05", request={"orderDetail": [PROHIBITED], "code": {"text": "出院安置"}})
    await world.accepted(referred)
    open_again = {"resourceType": "Parameters", "parameter": [{"name": "prohibited", "valueBoolean": False}]}
    refused = await world.party("agency-a").post(f"{referred.patient}/$safe-contact", open_again)
    assert refused.status == 403, refused
    done(await world.party("his-a").post(f"{referred.patient}/$safe-contact", open_again))
    assert await in_queue(world, "agency-a") == {referred.id: False}


async def test_a_step_under_prohibition_is_decided_by_a_supervisor_who_is_named(world: World) -> None:
    referred = await world.refer("N05")
    await world.accepted(referred)
    agency, now = world.party("agency-a"), datetime.now(UTC)
    workers = await agency.search(f"PractitionerRole?organization={world.organizations['agency-a']}")
    async with world.as_owner() as connection:
        rows = await connection.fetch("SELECT id, supervisor FROM worker")
    supervises = {str(row["id"]): row["supervisor"] for row in rows}
    able = next(each["id"] for each in workers if supervises[each["id"]])
    unable = next(each["id"] for each in workers if not supervises[each["id"]])

    def decided(worker: str) -> dict[str, Any]:
        part = [
            {"name": "channel", "valueCode": "phone"}, {"name": "begins", "valueDateTime": now.isoformat()},
            {"name": "until", "valueDateTime": (now + timedelta(hours=4)).isoformat()},
            {"name": "supervisor", "valueReference": {"reference": f"PractitionerRole/{worker}"}},
        ]  # fmt: skip
        return {
            "resourceType": "Parameters",
            "parameter": [*PROHIBITION["parameter"], {"name": "decision", "part": part}],
        }

    refused = await agency.post(f"{referred.patient}/$safe-contact", decided(unable))
    assert refused.status == 422
    assert refused["issue"][0]["expression"] == ["Parameters.parameter.decision[0].supervisor"]
    done(await agency.post(f"{referred.patient}/$safe-contact", decided(able)))
    stands = await world.party("his-a").read(f"{referred.patient}/$safe-contact")
    assert any(part["name"] == "decision" for part in stands["parameter"])


async def test_what_cannot_be_read_is_refused_with_its_place_and_nothing_is_stored(world: World) -> None:
    referred = await world.refer("N05")
    hospital = world.party("his-a")
    for parameter, at in (
        ({"name": "channel", "valueCode": "pigeon"}, "Parameters.parameter.channel[0]"),
        ({"name": "whatever", "valueCode": "x"}, "Parameters.parameter[0].name"),
        ({"name": "prohibited", "valueCode": "yes"}, "Parameters.parameter[0].valueBoolean"),
        ({"name": "number", "valueString": "none"}, "Parameters.parameter.number"),
    ):  # fmt: skip
        refused = await hospital.post(f"{referred.patient}/$safe-contact", {"resourceType": "Parameters", "parameter": [parameter]})  # fmt: skip
        assert (refused.status, refused["issue"][0]["expression"]) == (422, [at]), refused
    assert (await hospital.read(f"{referred.patient}/$safe-contact")).get("parameter") is None


async def test_why_is_read_by_nobody_but_the_organisation_that_gave_it_by_any_way(world: World) -> None:
    referred = await world.refer("N05", request={"extension": [SAFELY]}, patient={"extension": [SAFELY]})
    await world.accepted(referred)
    agency, hospital, platform = world.party("agency-a"), world.party("his-a"), world.party("platform")
    assert told(await hospital.read(f"{referred.patient}/$safe-contact"))["channel"] == "phone", "said on the request"
    assert "家中" in str(await hospital.read(referred.request))
    for reader in (agency, platform):
        for path in (
            referred.patient, referred.request, f"{referred.patient}/$safe-contact", f"{referred.patient}/_history",
            f"{referred.patient}/$everything", f"{referred.request}/_history", f"{referred.request}/$timeline",
            f"Patient?_id={referred.patient.split('/')[1]}&_revinclude=ServiceRequest:patient",
        ):  # fmt: skip
            assert "家中" not in str(await reader.read(path)), path
    own = {
        "resourceType": "Parameters",
        "parameter": [{"name": "channel", "valueCode": "visit"}, {"name": "why", "valueString": "伴侣在场"}],
    }
    done(await agency.post(f"{referred.patient}/$safe-contact", own))
    assert told(await agency.read(f"{referred.patient}/$safe-contact"))["why"] == "伴侣在场"
    for reader in (hospital, platform):
        stands = await reader.read(f"{referred.patient}/$safe-contact")
        assert told(stands)["channel"] == "visit" and "伴侣" not in str(stands)
        assert "伴侣" not in str(await reader.read(referred.patient)) + str(
            await reader.read(f"{referred.request}/$timeline")
        )


async def test_an_agency_that_writes_at_the_same_moment_lifts_nobodys_prohibition(world: World) -> None:
    """What the agency may say is decided on what stands when its turn has come, not on what it saw before it waited."""
    referred = await world.refer("N05")
    await world.accepted(referred)
    patient = Id(referred.patient.split("/")[1])
    hospital = Actor(new_id(), "client", Id(world.organizations["hospital-a"].split("/")[1]), "hospital", "HIS")
    async with world.database.transaction(hospital.scope) as session:
        await contact_flow.state(session, hospital, patient, ContactRules(prohibited=True), None, session.began)
        own = {"resourceType": "Parameters", "parameter": [{"name": "channel", "valueCode": "visit"}]}
        writing = asyncio.create_task(world.party("agency-a").post(f"{referred.patient}/$safe-contact", own))
        async with world.as_owner() as owner:
            while not await owner.fetchval("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"):  # fmt: skip
                assert not writing.done(), writing.result()
    refused = await writing
    assert refused.status == 403, refused
    assert told(await world.party("his-a").read(f"{referred.patient}/$safe-contact"))["prohibited"] is True
