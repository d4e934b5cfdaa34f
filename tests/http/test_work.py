"""Work on a share: what may be written when, and who reads it (contract.md, “Work”)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.http.loop import done, message, nothing_changes, procedure, refused, says, started
from tests.http.world import World, closed, output

NOTE: dict[str, Any] = {
    "Observation": {"status": "final", "code": {"text": "生活自理能力"}, "valueString": "需协助"},
    "Goal": {"lifecycleStatus": "active", "description": {"text": "两周内安置"}},
    "CarePlan": {"status": "active", "intent": "plan", "description": "联系养老机构"},
    "QuestionnaireResponse": {"status": "completed", "item": [{"linkId": "1", "answer": [{"valueString": "可以"}]}]},
}


def note(type: str, share: dict[str, Any]) -> dict[str, Any]:
    based = {"basedOn": [share["focus"]]} if type != "Goal" else {}
    return {"resourceType": type, "subject": share["for"]} | NOTE[type] | based


@pytest.mark.parametrize("type", NOTE)
async def test_case_notes_are_the_agencys_own(world: World, type: str) -> None:
    agency = world.party("agency-a")
    referred = await world.refer("N05")
    share = await started(world, referred)
    made = done(await agency.post(type, note(type, share)))
    assert made.status == 201
    assert done(await agency.get(f"{type}/{made['id']}"))["id"] == made["id"]
    for other in ("his-a", "his-b", "agency-b", "auditor"):
        assert (await world.party(other).get(f"{type}/{made['id']}")).status in (403, 404)
        assert (await world.party(other).get(f"{type}/{made['id']}/_history")).status in (403, 404)
    for other in ("his-a", "his-b", "agency-b"):
        assert await world.party(other).search(type) == []
        async with nothing_changes(world):
            refused(await world.party(other).put(made), 404)
    changed = done(await agency.put(made, language="zh"))
    assert changed["meta"]["versionId"] == "2"
    async with nothing_changes(world):
        refused(await agency.put(made, if_match='W/"1"', language="en"), 412)


async def test_behaviour_15_what_an_output_names_is_given_back_to_the_hospital(world: World) -> None:
    agency, hospital = world.party("agency-a"), world.party("his-a")
    referred = await world.refer("N05")
    share = await started(world, referred)
    work = done(await agency.post("Procedure", procedure(share)))
    kept = done(await agency.post("Observation", note("Observation", share)))
    assert (await hospital.get(f"Procedure/{work['id']}")).status == 404
    share = await agency.read(f"Task/{share['id']}")
    given = [output(f"Procedure/{work['id']}")]
    done(await agency.put(share, status="completed", output=given, statusReason=closed()))
    assert (await hospital.read(f"Procedure/{work['id']}"))["status"] == "completed"
    assert (await hospital.get(f"Observation/{kept['id']}")).status == 404
    assert (await world.party("his-b").get(f"Procedure/{work['id']}")).status == 404


async def test_an_output_names_ones_own_work_on_this_referral(world: World) -> None:
    agency = world.party("agency-a")
    one = await started(world, await world.refer("N05"))
    other = await started(world, await world.refer("N05"))
    work = done(await agency.post("Procedure", procedure(other)))
    async with nothing_changes(world):
        for name in (f"Procedure/{work['id']}", "Procedure/00000000-0000-4000-8000-000000000000", "Procedure/1"):
            refused(await agency.put(one, status="completed", output=[output(name)], statusReason=closed()), 422)


@pytest.mark.parametrize("type", ["Procedure", *NOTE])
async def test_before_disclosure_only_words_and_coded_outputs_are_written(world: World, type: str) -> None:
    agency = world.party("agency-a")
    referred = await world.refer("N05")
    offer = await world.offer(referred)
    for consented in (False, None):
        share = offer if consented is None else await world.accepted(referred, consent=False)
        body = procedure(share) if type == "Procedure" else note(type, share)
        async with nothing_changes(world):
            refused(await agency.post(type, body), 422)
        if consented is None:
            break
        said = done(
            await agency.post(
                "Communication", message(None, f"Task/{share['id']}", payload=[{"contentString": "明日到病房"}])
            )
        )
        assert said.status == 201
        coded = await agency.read(f"Task/{share['id']}")
        given = done(await agency.put(coded, output=[output()]))
        assert given["output"] == [output()] and says(given) == "awaiting-consent"
        offer = given


@pytest.mark.parametrize("changes", [
    {"code": {"coding": [{"system": "urn:yuanshe:service-type", "code": "magic"}]}},
    {"code": {"text": "谈话"}},
    {"performedDateTime": None},
    {"performedDateTime": "nächste Woche"},
    {"performedDateTime": (datetime.now(UTC) + timedelta(days=2)).isoformat()},
    {"performedDateTime": None, "performedPeriod": {"start": "2026-03-04T10:00:00Z", "end": "2026-03-04T09:00:00Z"}},
    {"basedOn": []},
    {"basedOn": [{"reference": "ServiceRequest/00000000-0000-4000-8000-000000000000"}]},
    {"status": "finished"},
    {"performer": [{"actor": {"reference": "PractitionerRole/00000000-0000-4000-8000-000000000000"}}]},
    {"extension": [{"url": "urn:yuanshe:minutes", "valueInteger": 2**31}]},
    {"extension": [{"url": "urn:yuanshe:minutes", "valueInteger": -1}]},
    {"extension": [{"url": "urn:yuanshe:minutes", "valueInteger": 10**30}]},
])  # fmt: skip
async def test_an_intervention_says_what_when_and_on_which_request(world: World, changes: dict[str, Any]) -> None:
    share = await started(world, await world.refer("N05"))
    body = {key: value for key, value in procedure(share, **changes).items() if value is not None}
    async with nothing_changes(world):
        answer = await world.party("agency-a").post("Procedure", body)
        assert answer.status in (400, 404, 422), answer
        assert answer["resourceType"] == "OperationOutcome"


async def test_an_intervention_is_corrected_by_its_agency(world: World) -> None:
    agency = world.party("agency-a")
    share = await started(world, await world.refer("N05"))
    extra = [{"url": "urn:yuanshe:minutes", "valueInteger": 45}]
    made = done(await agency.post("Procedure", procedure(share, extension=extra, note=[{"text": "面谈"}])))
    fixed = done(await agency.put(made, status="entered-in-error"))
    assert fixed["meta"]["versionId"] == "2" and fixed["note"] == [{"text": "面谈"}]
    async with nothing_changes(world):
        refused(await agency.put(made, if_match='W/"1"'), 412)
        refused(await world.party("agency-b").put(made), 404)
        refused(await world.party("his-a").post("Procedure", procedure(share)), 403)
    assert len((await agency.get(f"Procedure/{made['id']}/_history"))["entry"]) == 2


@pytest.mark.parametrize("type", ["Procedure", *NOTE])
async def test_work_is_about_the_person_of_its_task(world: World, type: str) -> None:
    agency = world.party("agency-a")
    share = await started(world, await world.refer("N05"))
    body = procedure(share) if type == "Procedure" else note(type, share) | {"basedOn": [share["focus"]]}
    made = done(await agency.post(type, body))
    for stranger in ("00000000-0000-4000-8000-000000000000", "1"):
        about = {"subject": {"reference": f"Patient/{stranger}"}}
        async with nothing_changes(world):
            refused(await agency.post(type, body | about), 422)
            refused(await agency.put(made, **about), 422)


async def test_what_a_hospital_adds_is_read_for_the_referral_that_it_names(world: World) -> None:
    hospital = world.party("his-a")
    mrn = "ZY-two-referrals"
    one, other = await world.refer("N05", mrn=mrn), await world.refer("N06", mrn=mrn)
    assert one.patient == other.patient
    await world.accepted(one, "agency-a")
    await world.accepted(other, "agency-b")
    seen: dict[str, Any] = {"resourceType": "Observation", "subject": {"reference": one.patient}} | NOTE["Observation"]
    named = done(await hospital.post("Observation", seen | {"basedOn": [{"reference": one.request}]}))
    stayed = done(await hospital.post("Observation", seen | {"encounter": {"reference": other.stay}}))
    at_large = done(await hospital.post("Observation", seen))
    for made, readers in ((named, {"agency-a"}), (stayed, {"agency-b"}), (at_large, {"agency-a", "agency-b"})):
        for agency in ("agency-a", "agency-b"):
            status = (await world.party(agency).get(f"Observation/{made['id']}")).status
            assert status == (200 if agency in readers else 404)
    changed = done(await hospital.put(named, status="amended"))
    assert (await world.party("agency-b").get(f"Observation/{changed['id']}")).status == 404
    stranger = await world.refer("N05")
    async with nothing_changes(world):
        for said in ({"subject": {"reference": stranger.patient}}, {"basedOn": [{"reference": stranger.request}]}):
            refused(await hospital.put(named, **said), 422)
            refused(await hospital.post("Observation", seen | {"basedOn": [{"reference": one.request}]} | said), 422)
        refused(await hospital.put(named, basedOn=[{"reference": other.request}]), 422)


async def test_after_the_share_has_ended_nothing_more_is_written(world: World) -> None:
    agency = world.party("agency-a")
    share = await started(world, await world.refer("N05"))
    done(await agency.put(share, status="completed", output=[output()], statusReason=closed()))
    async with nothing_changes(world):
        refused(await agency.post("Procedure", procedure(share)), 422)
        answer = await agency.post("Observation", note("Observation", share))
        assert answer.status in (404, 422)


async def test_a_withdrawn_consent_withholds_identity_again_and_own_work_stays(world: World) -> None:
    hospital, agency = world.party("his-a"), world.party("agency-a")
    referred = await world.refer("N05")
    offer = await world.offer(referred)
    share = await world.accepted(referred, consent=False)
    consent = await world.consent(referred, "agency-a")
    begun = done(await agency.put(await agency.read(f"Task/{share['id']}"), status="in-progress"))
    work = done(await agency.post("Procedure", procedure(begun)))
    done(await hospital.put(consent, status="inactive"))
    after = await agency.read(f"Task/{share['id']}")
    assert after["for"] == offer["for"] and says(after) == "awaiting-consent" and after["status"] == "in-progress"
    for gone in (
        referred.patient,
        referred.request,
        referred.stay,
        f"{referred.patient}/_history",
        f"{referred.request}/$timeline",
    ):
        assert (await agency.get(gone)).status == 404, gone
    assert (await agency.read(after["for"]["reference"]))["meta"]["security"][0]["code"] == "PSEUDED"
    filler = await agency.read(after["focus"]["reference"])
    assert filler["subject"] == offer["for"] and "basedOn" not in filler
    assert (await agency.read(f"Procedure/{work['id']}"))["id"] == work["id"]
    async with nothing_changes(world):
        refused(await agency.post("Procedure", procedure(begun)), 422)
        refused(await agency.post("Procedure", procedure(after)), 422)
    assert (await agency.read(f"Task/{share['id']}/_history/{share['meta']['versionId']}"))["for"] == offer["for"]
    done(await hospital.put(await hospital.read(f"Consent/{consent['id']}"), status="active"))
    again = await agency.read(f"Task/{share['id']}")
    assert again["for"]["reference"] == referred.patient and says(again) == "in-service"


async def test_after_its_end_an_agency_reads_its_own_tasks_and_what_it_wrote(world: World) -> None:
    agency = world.party("agency-a")
    referred = await world.refer("N05")
    offer = await world.offer(referred)
    share = await started(world, referred)
    work = done(await agency.post("Procedure", procedure(share)))
    end = done(
        await agency.put(
            await agency.read(f"Task/{share['id']}"), status="completed", output=[output()], statusReason=closed()
        )
    )
    for own in (
        f"Task/{share['id']}",
        f"Task/{share['id']}/_history",
        f"Procedure/{work['id']}",
        offer["for"]["reference"],
    ):
        assert (await agency.get(own)).status == 200, own
    for version in range(1, int(end["meta"]["versionId"]) + 1):
        assert (await agency.get(f"Task/{share['id']}/_history/{version}")).status == 200
    for gone in (referred.patient, referred.request, referred.stay, f"{referred.request}/$timeline"):
        assert (await agency.get(gone)).status == 404, gone
    for none in ("Patient", "Encounter", "Consent"):
        assert all(found["id"] == offer["for"]["reference"].split("/")[1] for found in await agency.search(none))
    found = await agency.get(f"Task?patient={referred.patient}&_include=Task:patient")
    assert [each["resource"]["id"] for each in found["entry"]] == [share["id"]], (
        "its own Task, and nobody along with it"
    )
    assert "陈素芬" not in str(await agency.get("Task?_include=Task:patient&_include=Task:focus"))


async def test_what_the_hospital_wrote_is_read_while_the_work_goes_on_and_not_after(world: World) -> None:
    hospital, agency = world.party("his-a"), world.party("agency-a")
    for named_too in (False, True):
        referred = await world.refer("N05")
        offer = await world.offer(referred)
        question = done(
            await agency.post(
                "Communication", message("question", f"Task/{offer['id']}", payload=[{"contentString": "几楼？"}])
            )
        )
        reply = message(
            None, inResponseTo=[{"reference": f"Communication/{question['id']}"}], payload=[{"contentString": "三楼"}]
        )
        told = [done(await hospital.post("Communication", reply))]
        assert (await agency.get(f"Communication/{told[0]['id']}")).status == 200
        if named_too:
            share = await started(world, referred)
            told.append(
                done(
                    await hospital.post(
                        "Communication",
                        message(None, f"Task/{share['id']}", payload=[{"contentString": "陈素芬今天出院"}]),
                    )
                )
            )
            for each in told:
                assert (await agency.get(f"Communication/{each['id']}")).status == 200
            consent = (await hospital.search(f"Consent?patient={referred.patient}"))[0]
            done(await hospital.put(consent, status="inactive"))
            assert [(await agency.get(f"Communication/{each['id']}")).status for each in told] == [200, 404]
            share = await agency.read(f"Task/{share['id']}")
            done(
                await agency.put(share, status="completed", output=[output()], statusReason=closed("consent-withdrawn"))
            )
        else:
            from tests.http.world import reason

            done(await agency.put(offer, status="rejected", statusReason=reason("waitlist")))
        for each in told:
            assert (await agency.get(f"Communication/{each['id']}")).status == 404
            assert (await hospital.get(f"Communication/{each['id']}")).status == 200
        assert (await agency.get(f"Communication/{question['id']}")).status == 200


async def test_behaviour_25_an_appointment_shows_as_scheduled_and_as_no_show_until_they_meet(world: World) -> None:
    referred = await world.refer("N05")
    share = await started(world, referred)
    agency = world.party("agency-a")
    soon = (datetime.now(UTC) + timedelta(days=2)).isoformat()
    visit = done(await agency.post("Procedure", procedure(share, status="preparation", performedDateTime=soon)))
    assert says(await agency.read(f"Task/{share['id']}")) == "scheduled"
    assert says(await world.parent(referred)) == "scheduled"
    missed = {"coding": [{"system": "urn:yuanshe:business-status", "code": "no-show"}], "text": "未赴约"}
    done(await agency.put(visit, status="not-done", statusReason=missed))
    assert says(await agency.read(f"Task/{share['id']}")) == "no-show"
    done(await agency.post("Procedure", procedure(share)))
    assert says(await agency.read(f"Task/{share['id']}")) == "in-service"


async def test_an_appointment_that_is_called_off_or_kept_leaves_no_trace_in_the_status(world: World) -> None:
    share = await started(world, await world.refer("N05"))
    agency = world.party("agency-a")
    soon = (datetime.now(UTC) + timedelta(days=2)).isoformat()
    for status in ("not-done", "completed"):
        visit = done(await agency.post("Procedure", procedure(share, status="preparation", performedDateTime=soon)))
        assert says(await agency.read(f"Task/{share['id']}")) == "scheduled"
        done(await agency.put(visit, status=status, performedDateTime=datetime.now(UTC).isoformat()))
        assert says(await agency.read(f"Task/{share['id']}")) == "in-service"
