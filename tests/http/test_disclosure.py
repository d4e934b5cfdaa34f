"""Identity is withheld in an offer: what an agency may know before it has accepted and somebody has consented, and after."""

import logging
import uuid
from typing import Any

import pytest

from adapters.fhir import submission as submitting
from tests.http.submitting import SECRETS, put_in, refused
from tests.http.world import CITIZEN, World, output, phq9, submission

NUMBER = "520502195203150020"
PSEUDED = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "PSEUDED"}
MASKED = {"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "masked"}
AGE_BAND = "urn:yuanshe:age-band"

PERSON: dict[str, Any] = {
    "identifier": [{"system": CITIZEN, "value": NUMBER}, {"system": "urn:his-a:patient", "value": "ZY-4711"}],
    "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">陈素芬 病区</div>'},
    "extension": [{"url": "urn:his-a:bed", "valueString": "病区 12 床"}],
    "contact": [{"name": {"text": "陈家属"}, "telecom": [{"system": "phone", "value": "13800000005"}]}],
    "communication": [{"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": "zh"}]}}],
    "photo": [{"title": "照片"}],
}
ASKED: dict[str, Any] = {
    "note": [{"text": "陈素芬独居,病区 12 床"}],
    "patientInstruction": "带齐证件",
    "reasonCode": [{"text": "跌倒骨折后"}],
    "extension": [{"url": "urn:his-a:bed", "valueString": "病区 12 床"}],
    "supportingInfo": [{"display": "评估表"}],
    "occurrenceDateTime": "2026-03-05",
    "code": {"text": "出院后谁照料"},
    "orderDetail": [{"text": "先联系病区"}],
}
TELLTALE = (
    *SECRETS,
    NUMBER,
    "ZY-4711",
    "病区",
    "陈家属",
    "13800000005",
    "1952",
    "跌倒",
    "带齐证件",
    "照片",
    "评估表",
    "谁照料",
    "ORDER-4711",
)


def whole(*needs: str, **values: Any) -> dict[str, Any]:
    return {"patient": PERSON, "request": ASKED, "number": "ORDER-4711"} | values


def hidden(*found: Any) -> None:
    for one in found:
        for secret in TELLTALE:
            assert secret not in repr(one), (secret, one)


async def test_an_offer_holds_needs_urgency_and_language_and_nothing_of_the_person(world: World) -> None:
    agency = world.party("agency-a")
    referred = await world.refer("N05", "N01", **whole())
    offer = await world.offer(referred)
    focus = await agency.read(offer["focus"]["reference"])
    person = await agency.read(offer["for"]["reference"])
    hidden(offer, focus, person)
    assert offer["for"] == focus["subject"]
    assert offer["for"]["reference"] != referred.patient
    assert focus["intent"] == "filler-order" and focus["status"] == "active"
    assert [c["coding"][0]["code"] for c in focus["category"]] == ["N01", "N05"]
    assert focus["priority"] == offer["priority"] == "urgent"
    assert {"url": "urn:yuanshe:language", "valueCode": "zh"} in focus["extension"]
    for absent in ("basedOn", "identifier", "supportingInfo", "note", "reasonCode", "orderDetail", "encounter", "text"):
        assert absent not in focus, absent
    assert "basedOn" not in offer and "identifier" not in offer and "encounter" not in offer
    for reference in (referred.id, referred.patient.split("/")[1], referred.stay.split("/")[1]):
        assert reference not in repr((offer, focus, person))


async def test_the_per_offer_patient_is_exactly_this(world: World) -> None:
    referred = await world.refer("N05", **whole())
    offer = await world.offer(referred)
    person = await world.party("agency-a").read(offer["for"]["reference"])
    assert uuid.UUID(person["id"]).version == 4
    security = [{name: label[name] for name in ("system", "code")} for label in person["meta"]["security"]]
    assert security == [PSEUDED]
    assert person["name"] == [{"extension": [MASKED]}]
    assert person["_birthDate"] == {"extension": [MASKED]} and "birthDate" not in person
    assert person["extension"] == [{"url": AGE_BAND, "valueCode": person["extension"][0]["valueCode"]}]
    assert person["extension"][0]["valueCode"] in ("60-74", "75-84")
    assert person["gender"] == "female"
    assert [address["district"] for address in person["address"]] == ["520502001"]
    assert set(person) == {
        "resourceType", "id", "meta", "name", "_birthDate", "extension", "gender", "address", "communication",
    }  # fmt: skip


async def test_an_address_finer_than_the_street_is_shown_as_the_street(world: World) -> None:
    lives = {"address": [{"use": "home", "district": "520502001003"}]}
    offer = await world.offer(await world.refer("N05", patient=lives))
    person = await world.party("agency-a").read(offer["for"]["reference"])
    assert "520502001003" not in repr(person) and person["address"][0]["district"] == "520502001"


async def test_two_offers_of_one_person_cannot_be_linked(world: World) -> None:
    agency = world.party("agency-a")
    first = await world.offer(await world.refer("N05", mrn="ZY-1"))
    second = await world.offer(await world.refer("N01", mrn="ZY-1"))
    assert first["for"] != second["for"] and first["focus"] != second["focus"]
    one, other = [await agency.read(offer["for"]["reference"]) for offer in (first, second)]
    assert one["id"] not in repr(second) and other["id"] not in repr(first)


async def test_an_offer_is_its_own_agencys_alone(world: World) -> None:
    referred = await world.refer("N05")
    offer = await world.offer(referred)
    for reference in (f"Task/{offer['id']}", offer["focus"]["reference"], offer["for"]["reference"]):
        for party, status in (
            ("agency-a", 200),
            ("his-a", 200),
            ("platform", 200),
            ("agency-b", 404),
            ("agency-c", 404),
            ("his-b", 404),
        ):
            assert (await world.party(party).get(reference)).status == status, (party, reference)
    assert await world.party("agency-b").search(f"Patient?_id={offer['for']['reference'].split('/')[1]}") == []


async def test_what_an_agency_may_not_know_of_is_404(world: World) -> None:
    agency = world.party("agency-a")
    referred = await world.refer(
        "N05",
        **whole(
            extra=[
                {"resourceType": "Condition", "code": {"text": "骨折"}, "subject": {"reference": "PATIENT"}},
                phq9(0),
            ]
        ),
    )
    parent = await world.parent(referred)
    others = [entry["response"]["location"].split("/_history")[0] for entry in referred.answer["entry"][3:]]
    for taken in (False, True):
        for reference in (referred.request, referred.patient, referred.stay, f"Task/{parent['id']}", *others):
            for address in (reference, f"{reference}/_history", f"{reference}/_history/1"):
                answer = await agency.get(address)
                assert answer.status == 404, address
                hidden(answer)
        assert (await agency.get(f"{referred.request}/$timeline")).status == 404
        if not taken:
            accepted = await agency.put(await world.offer(referred), status="accepted")
            assert accepted.status == 200
            assert accepted["businessStatus"]["coding"][0]["code"] == "awaiting-consent"


@pytest.mark.parametrize(
    "query",
    [
        "Patient?name=陈素芬",
        "Patient?identifier={number}",
        "Patient?identifier=urn:his-a:patient|ZY-4711",
        "Patient?phone=13800000001",
        "Patient?birthdate=1952-03-15",
        "Patient?_id={patient}",
        "Patient",
        "Task?patient={patient}",
        "Task?patient=Patient/{patient}",
        "Task?patient.name=陈素芬",
        "Task?patient.identifier={number}",
        "ServiceRequest?subject=Patient/{patient}",
        "ServiceRequest?patient.identifier={number}",
        "ServiceRequest?identifier=urn:his-a:order|ORDER-4711",
        "ServiceRequest?_id={request}",
        "Encounter",
        "Condition",
        "Consent",
    ],
)
async def test_searches_about_persons_match_nothing_for_the_agency(world: World, query: str) -> None:
    condition = {"resourceType": "Condition", "code": {"text": "骨折"}, "subject": {"reference": "PATIENT"}}
    referred = await world.refer("N05", **whole(extra=[condition]))
    await world.consent(referred, "agency-b")
    names = {"number": f"{CITIZEN}|{NUMBER}", "patient": referred.patient.split("/")[1], "request": referred.id}
    asked = query.format(**names)
    if not query.startswith(("ServiceRequest?identifier", "ServiceRequest?_id", "Encounter", "Condition", "Consent")):
        mine = await world.party("his-a").search(asked)
        assert mine, asked
    assert await world.party("agency-a").search(asked) == []


async def test_includes_bring_nobody_along(world: World) -> None:
    await world.refer("N05", **whole())
    agency = world.party("agency-a")
    for query in (
        "Task?_include=Task:patient&_include=Task:focus&_include=Task:part-of",
        "ServiceRequest?_include=ServiceRequest:subject&_include=ServiceRequest:based-on",
    ):
        found = await agency.get(query)
        assert found.status == 200 and len(found["entry"]) > 1
        hidden(found)


async def test_a_safety_offer_says_less_still(world: World) -> None:
    referred = await world.refer("N05", "N12", **whole())
    offer = await world.offer(referred)
    agency = world.party("agency-a")
    focus, person = await agency.read(offer["focus"]["reference"]), await agency.read(offer["for"]["reference"])
    hidden(offer, focus, person)
    assert [c["coding"][0]["code"] for c in focus["category"]] == ["safety"]
    assert "N12" not in repr((offer, focus)) and "N05" not in repr((offer, focus))
    assert person["extension"] == [{"url": AGE_BAND, "valueCode": "elder"}]
    assert [address["district"] for address in person["address"]] == ["520502"]
    assert "520502001" not in repr((offer, focus, person))
    for absent in ("gender", "communication"):
        assert absent not in person
    assert "extension" not in focus
    await world.accepted(referred)
    focus = await agency.read(offer["focus"]["reference"])
    assert [c["coding"][0]["code"] for c in focus["category"]] == ["N05", "N12"]


@pytest.mark.parametrize(("birth", "says"), [("2020-01-01", "minor"), ("1990-01-01", "adult"), ("1940-01-01", "elder")])
async def test_a_safety_offer_says_minor_adult_or_elder(world: World, birth: str, says: str) -> None:
    offer = await world.offer(await world.refer("N13", patient={"birthDate": birth}))
    person = await world.party("agency-a").read(offer["for"]["reference"])
    assert person["extension"] == [{"url": AGE_BAND, "valueCode": says}]


async def test_a_safety_offer_goes_to_none_but_the_protection_qualified(world: World) -> None:
    referred = await world.refer("N11", request={"performer": [{"reference": world.organizations["agency-b"]}]})
    offer = await world.offer(referred, "agency-a")
    declined = await world.party("agency-a").put(
        offer,
        status="rejected",
        statusReason={"coding": [{"system": "urn:yuanshe:decline-reason", "code": "no-capacity"}], "text": "名额已满"},
    )
    assert declined.status == 200
    assert [share["owner"]["reference"] for share in await world.shares(referred)] == [world.organizations["agency-a"]]
    assert await world.party("agency-b").search("Task") == []
    by_b = await world.refer("N11", by="his-b")
    assert (await world.parent(by_b, "his-b"))["businessStatus"]["coding"][0]["code"] == "unplaced"


async def test_at_disclosure_both_references_switch_and_earlier_versions_stay(world: World) -> None:
    agency = world.party("agency-a")
    referred = await world.refer("N05", **whole())
    offer = await world.offer(referred)
    before = await agency.read(offer["focus"]["reference"])
    share = await world.accepted(referred)
    focus = await agency.read(share["focus"]["reference"])
    assert share["for"]["reference"] == focus["subject"]["reference"] == referred.patient
    assert focus["basedOn"] == [{"reference": referred.request}]
    assert int(focus["meta"]["versionId"]) > int(before["meta"]["versionId"])
    task, filler = f"Task/{offer['id']}", offer["focus"]["reference"]
    first = await agency.read(f"{task}/_history/{offer['meta']['versionId']}")
    assert first["for"] == offer["for"] and dict(first) == dict(offer)
    assert dict(await agency.read(f"{filler}/_history/1")) == dict(before)
    assert "basedOn" not in before
    hidden(first, before)
    assert (await agency.read(offer["for"]["reference"]))["meta"]["security"]


async def test_a_version_reads_alike_for_every_reader(world: World) -> None:
    referred = await world.refer("N05", **whole())
    share = await world.accepted(referred)
    hospital, agency, platform = (world.party(name) for name in ("his-a", "agency-a", "platform"))
    for reference in (f"Task/{share['id']}", share["focus"]["reference"]):
        told = await agency.read(f"{reference}/_history")
        versions = [entry["resource"]["meta"]["versionId"] for entry in told["entry"]]
        assert len(versions) > 1
        for version in versions:
            addresses = f"{reference}/_history/{version}"
            mine = dict(await agency.read(addresses))
            assert dict(await hospital.read(addresses)) == mine == dict(await platform.read(addresses))


async def test_the_hospitals_and_the_platforms_search_finds_undisclosed_children(world: World) -> None:
    referred = await world.refer("N05", **whole())
    offer = await world.offer(referred)
    parent = await world.parent(referred)
    for name in ("his-a", "platform"):
        for query in (f"Task?patient={referred.patient}", f"Task?patient.identifier={CITIZEN}|{NUMBER}"):
            found = {task["id"] for task in await world.party(name).search(query)}
            assert found == {offer["id"], parent["id"]}, (name, query)
    assert await world.party("his-b").search(f"Task?patient={referred.patient}") == []


async def test_after_disclosure_the_agency_reads_what_it_needs_to_reach_the_person(world: World) -> None:
    referred = await world.refer("N05", **whole())
    await world.accepted(referred)
    agency = world.party("agency-a")
    person = await agency.read(referred.patient)
    assert person["name"][0]["text"] == "陈素芬" and person["telecom"][0]["value"] == "13800000001"
    assert person["identifier"] == [{"system": CITIZEN, "value": "520502********0020"}]
    for absent in ("contact", "photo", "text"):
        assert absent not in person
    assert NUMBER not in repr(person) and "ZY-4711" not in repr(person) and "12 床" not in repr(person)
    request = await agency.read(referred.request)
    for absent in ("identifier", "supportingInfo", "extension", "patientInstruction", "text"):
        assert absent not in request
    for other in ("agency-b", "agency-c", "his-b"):
        assert (await world.party(other).get(referred.patient)).status == 404


async def test_before_disclosure_only_messages_and_coded_outputs_are_written(world: World) -> None:
    agency = world.party("agency-a")
    referred = await world.refer("N05")
    share = await world.accepted(referred, consent=False)
    work = {
        "resourceType": "Procedure",
        "status": "completed",
        "code": {"coding": [{"system": "urn:yuanshe:service-type", "code": "discharge-planning"}]},
        "subject": share["for"],
        "basedOn": [share["focus"]],
        "performedDateTime": "2026-03-05T10:00:00+08:00",
    }
    await refused(world, agency, "Procedure", work, 422)
    goal = {
        "resourceType": "Goal",
        "lifecycleStatus": "active",
        "description": {"text": "回家"},
        "subject": share["for"],
    }
    await refused(world, agency, "Goal", goal, 422)
    note = {
        "resourceType": "Communication",
        "status": "completed",
        "about": [{"reference": f"Task/{share['id']}"}],
        "payload": [{"contentString": "我们周一开始"}],
    }
    assert (await agency.post("Communication", note)).status == 201
    written = await agency.put(share, output=[output()])
    assert written.status == 200, written


async def test_the_placers_reason_to_withdraw_is_not_told_before_disclosure(world: World) -> None:
    hospital, agency = world.party("his-a"), world.party("agency-a")
    referred = await world.refer("N05")
    offer = await world.offer(referred)
    gone = await hospital.put(await hospital.read(referred.request), status="revoked", note=[{"text": "陈素芬已回家"}])
    assert gone.status == 200
    for address in (f"Task/{offer['id']}", f"Task/{offer['id']}/_history", offer["focus"]["reference"]):
        hidden(await agency.read(address))


# ---- nothing leaks into refusals, addresses and logs -------------------------------------------------------------------


async def test_no_name_number_or_free_text_in_any_error_address_or_log_line(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    hospital, agency = world.party("his-a"), world.party("agency-a")
    referred = await world.refer("N05", **whole())
    bundle = submission("N05", **whole())
    wrong: list[Any] = [
        put_in(bundle, Patient={"birthDate": "陈素芬"}),
        put_in(bundle, Patient={"gender": "陈素芬"}),
        put_in(bundle, Patient={"identifier": [{"system": CITIZEN, "value": "520502195203150021"}]}),
        put_in(bundle, Patient={"name": "陈素芬"}),
        put_in(bundle, ServiceRequest={"status": "陈素芬"}),
        put_in(bundle, ServiceRequest={"authoredOn": "1952 陈素芬"}),
        put_in(bundle, ServiceRequest={"subject": {"reference": "Patient/陈素芬"}}),
        put_in(bundle, ServiceRequest={"subject": {"reference": "Patient?name=陈素芬"}}),
        put_in(bundle, ServiceRequest={"replaces": [{"reference": "陈素芬"}]}),
        put_in(bundle, Encounter={"period": {"start": "陈素芬"}}),
        put_in(bundle, ServiceRequest={"note": [{"text": "陈素芬,另一句"}]}),
        {"resourceType": "陈素芬"},
        {"resourceType": "Bundle", "type": "陈素芬"},
    ]
    for entry, url in ((0, "陈素芬"), (0, "Patient?name=陈素芬"), (2, "ServiceRequest/陈素芬")):
        other = put_in(bundle)
        other["entry"][entry]["request"]["url"] = url
        wrong.append(other)
    other = put_in(bundle, Patient={"resourceType": "ChenSufen"})
    wrong.append(other)
    other = put_in(bundle)
    other["entry"][0]["request"]["ifNoneExist"] = "陈素芬=1"
    wrong.append(other)
    answers = [await hospital.post("", body) for body in wrong]
    answers += [
        await hospital.post(
            "Patient", b'{"resourceType":"Patient","name":[{"text":"\xe9\x99\x88\xe7\xb4\xa0\xe8\x8a\xac'
        ),
        await hospital.post("Patient", {"resourceType": "陈素芬"}),
        await hospital.post("陈素芬", {"resourceType": "陈素芬"}),
        await hospital.get("Patient/陈素芬"),
        await hospital.get("陈素芬"),
        await hospital.get("Patient?陈素芬=1", prefer="handling=strict"),
        await hospital.get("Patient?birthdate=陈素芬"),
        await hospital.get("Patient?name:陈素芬=1"),
        await hospital.get(f"{referred.patient}/_history/陈素芬"),
        await agency.get(f"Patient?identifier={CITIZEN}|{NUMBER}&name=陈素芬&_sort=陈素芬"),
        await agency.put(await world.offer(referred), status="陈素芬"),
        await agency.put(await world.offer(referred), owner={"reference": "陈素芬"}),
        await hospital.ask("PATCH", referred.request, [{"op": "陈素芬"}], kind="application/json-patch+json"),
    ]
    for answer in answers:
        assert 400 <= answer.status < 500, answer
        hidden(answer, *[value for name, value in answer.headers.items() if name == "location"])
        assert "ChenSufen" not in repr(answer)
    for record in caplog.records:
        if record.name.startswith(("httpx", "httpcore")):
            continue  # the client of this test
        hidden(record.getMessage(), record.exc_text or "")


async def test_what_breaks_is_logged_by_kind_alone(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise KeyError(SECRETS[0])

    monkeypatch.setattr(submitting, "answers_of", broken)
    answer = await world.party("his-a").post("", submission("N05", **whole()))
    assert answer.status == 500
    hidden(answer)
    assert any(record.levelno == logging.ERROR for record in caplog.records)
    hidden(caplog.text)
