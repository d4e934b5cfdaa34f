"""Searches: every parameter of the surface works, and nobody finds more than they may see."""

import base64
from datetime import timedelta
from urllib.parse import urlsplit

import msgspec
import pytest

from adapters.fhir import reading
from adapters.fhir.surface import SURFACE
from service.errors import Malformed, NotFound
from service.patients.model import CITIZEN_NUMBER
from service.records.model import Record
from service.values import Id, new_id
from tests.fhir.asked import BASE, ask, ids, link, named
from tests.fhir.world import CITIZEN, NOW, PLACER, World, actor, body

PROBES = {
    "token": ["x", "urn:x|y", "|y", "urn:x|", "a,b"],
    "code": ["active", "active,requested"],
    "reference": [str(new_id()), f"ServiceRequest/{new_id()}", f"{BASE}/Patient/{new_id()}", "no-id-of-ours"],
    "date": [
        "2026",
        "ge2026-03",
        "lt2026-03-02",
        "gt2026-03-02T01:30:00Z",
        "ne2026-03-02T09:30:00.5+08:00",
        "le2026-03-02T01:30",
    ],
    "string": ["王", "a%'\\"],
    "uri": ["urn:yuanshe:need"],
    "boolean": ["true", "false"],
}


@pytest.mark.parametrize("type", [name for name, type in SURFACE.items() if "search-type" in type.interactions])
async def test_every_parameter_of_every_type_is_understood(world: World, type: str) -> None:
    readers = [
        each for each in (world.hospital, world.a, world.platform, world.auditor) if each.side in SURFACE[type].who
    ]
    for param in SURFACE[type].params:
        for value in PROBES[param.kind]:
            for reader in readers:
                found = await ask(
                    world, reader, f"{type}?{param.name}={value.replace('+', '%2B')}", handling_strict=True
                )
                assert found["type"] == "searchset"
        reader = readers[-1]
        absent = await ask(world, reader, f"{type}?{param.name}:missing=true&_count=200", handling_strict=True)
        present = await ask(world, reader, f"{type}?{param.name}:missing=false&_count=200", handling_strict=True)
        assert not ids(absent) & ids(present), param.name
    whole = await ask(world, readers[-1], f"{type}?_sort=-_lastUpdated&_total=none")
    assert "total" not in whole


async def test_a_hospital_finds_its_tasks_by_what_they_say(world: World) -> None:
    referral, parent = await world.refer("N05")
    other, other_parent = await world.refer("N06", number="R-2")
    share = await world.offer(referral, world.a)
    window = await world.follow_up(referral, None, world.patient.id)
    every = named(parent, share, window, other_parent)
    agency, hospital = world.a.organization, world.hospital.organization
    for query, found in {
        "": every,
        f"_id={parent.id}": named(parent),
        f"_id={parent.id},{share.id},nonsense": named(parent, share),
        "status=requested": named(parent, share, other_parent),
        "status=accepted,completed": named(window),
        "status:not=requested": named(window),
        "intent=order": every,
        "intent=plan": set(),
        "code=fulfill": named(parent, share, other_parent),
        "code=http://hl7.org/fhir/CodeSystem/task-code|fulfill": named(parent, share, other_parent),
        "code=urn:yuanshe:task-code|follow-up": named(window),
        "code=urn:yuanshe:task-code|fulfill": set(),
        "code:not=fulfill": named(window),
        "business-status=urn:yuanshe:business-status|offered": named(parent, share, other_parent),
        "business-status=offered": named(parent, share, other_parent),
        "business-status=urn:other|offered": set(),
        f"patient={world.patient.id}": every,
        f"patient=Patient/{world.patient.id}": every,
        f"subject={BASE}/Patient/{world.patient.id}": every,
        f"patient=Patient/{share.stand_in}": named(share),
        f"patient={new_id()}": set(),
        f"patient.identifier={CITIZEN_NUMBER}|{CITIZEN}": every,
        "patient.identifier=123": set(),
        f"focus=ServiceRequest/{referral.id}": named(parent),
        f"focus={share.filler}": named(share),
        f"based-on=ServiceRequest/{referral.id}": named(window),
        f"part-of=Task/{parent.id}": named(share),
        f"owner=Organization/{agency}": named(share),
        f"owner={hospital}": named(window),
        f"owner={world.platform.organization}": named(parent, other_parent),
        f"requester=Organization/{hospital}": named(parent, other_parent),
        f"requester={world.platform.organization}": named(share, window),
        "identifier=urn:his-a:task|T-R-2": named(other_parent),
        "identifier=T-R-1": named(parent),
        "identifier=urn:other|T-R-1": set(),
        "_lastUpdated=ge2026-03-02": every,
        "_lastUpdated=gt2026-03-02T01:30:00Z": every,
        "_lastUpdated=gt2026-03-02T01:30:00.000250Z": set(),
        "_lastUpdated=lt2026-03-02": set(),
        "_lastUpdated=2026-03-02T09:30:00%2B08:00": every,
        f"status=requested&owner=Organization/{agency}": named(share),
        "owner:missing=true": set(),
    }.items():
        bundle = await ask(world, world.hospital, f"Task?{query}", handling_strict=True)
        assert ids(bundle) == found, query
        assert bundle["total"] == len(found), query
    assert ids(await ask(world, world.stranger, f"Task?patient={world.patient.id}")) == set()
    assert other.id


async def test_an_agency_finds_by_a_person_nothing_before_disclosure(world: World) -> None:
    referral, parent = await world.refer("N05")
    share = await world.offer(referral, world.a)
    searches = (
        f"Task?patient={world.patient.id}", f"Task?patient.identifier={CITIZEN}", f"ServiceRequest?patient={world.patient.id}",
        f"Patient?identifier={CITIZEN_NUMBER}|{CITIZEN}", "Patient?name=王", "Patient?gender=female", f"Patient?_id={world.patient.id}",
        f"ServiceRequest?identifier={PLACER}|R-1", f"ServiceRequest?based-on={referral.id}", f"ServiceRequest?_id={referral.id}",
        f"Task?_id={parent.id}", f"Task?focus={referral.id}", "Task?patient.name=王", "ServiceRequest?intent=order",
    )  # fmt: skip
    for query in searches:
        bundle = await ask(world, world.a, query)
        assert (bundle["total"], ids(bundle)) == (0, set()), query
    assert ids(await ask(world, world.a, "Task")) == named(share)
    assert ids(await ask(world, world.a, f"Task?part-of={parent.id}")) == named(share)
    assert ids(await ask(world, world.a, f"Task?patient={share.stand_in}")) == named(share)
    assert ids(await ask(world, world.a, f"Patient?_id={share.stand_in}")) == named(share.stand_in)
    share = await world.disclose(share)
    for query in searches[:2]:
        assert ids(await ask(world, world.a, query)) == named(share), query
    assert ids(await ask(world, world.a, searches[2])) == named(referral, share.filler)
    assert ids(await ask(world, world.a, searches[3])) == named(world.patient)
    assert ids(await ask(world, world.a, searches[8])) == named(share.filler)
    assert ids(await ask(world, world.b, "Task")) == set()
    for query in searches:
        assert ids(await ask(world, world.b, query)) == set(), query


async def test_an_offer_without_owner_is_found_by_whom_it_is_open_to_until_it_is_taken(world: World) -> None:
    referral, _ = await world.refer("N05")
    share = await world.offer(referral, None, open_to=(world.a, world.b))
    query = "Task?owner:missing=true&status=requested&_lastUpdated=gt2026-03-01T00:00:00Z"
    for agency in (world.a, world.b):
        assert ids(await ask(world, agency, query)) == named(share)
    share = await world.move(share, agency=world.a.organization, status="accepted", business_status="accepted")
    for reader in (world.a, world.b, world.platform):
        assert ids(await ask(world, reader, query)) == set()
    assert ids(await ask(world, world.a, "Task")) == named(share)
    assert ids(await ask(world, world.b, "Task")) == set()


async def test_a_workers_task_is_found_under_the_agency_too(world: World) -> None:
    referral, _ = await world.refer("N05")
    worker = new_id()
    share = await world.offer(referral, world.a, worker=worker)
    assert ids(await ask(world, world.a, f"Task?owner=PractitionerRole/{worker}")) == named(share)
    assert ids(await ask(world, world.a, f"Task?owner=Organization/{world.a.organization}")) == named(share)
    bundle = await ask(world, world.a, f"Task?owner:Organization={world.a.organization}")
    assert ids(bundle) == named(share)


async def test_requests_of_both_kinds_are_found_together(world: World) -> None:
    referral, _ = await world.refer("N05", "N06")
    share = await world.offer(referral, world.a, needs=("N05",))
    for query, found in {
        "": named(referral, share.filler),
        "intent=order": named(referral),
        "intent=filler-order": named(share.filler),
        "intent=order,filler-order": named(referral, share.filler),
        "status=active": named(referral, share.filler),
        "status:not=active": set(),
        "category=urn:yuanshe:need|N05": named(referral, share.filler),
        "category=N06": named(referral),
        "category=urn:yuanshe:need|": named(referral, share.filler),
        "category:not=N06": named(share.filler),
        "category=urn:other|N05": set(),
        f"patient={world.patient.id}": named(referral, share.filler),
        f"identifier={PLACER}|R-1": named(referral),
        "identifier=R-1": named(referral),
        f"based-on={referral.id}": named(share.filler),
        f"performer={world.a.organization}": named(share.filler),
        f"requester={world.hospital.organization}": named(referral),
        f"requester={world.platform.organization}": named(share.filler),
        "supporting-info=Consent/00000000-0000-4000-8000-000000000000": named(referral),
        "_id": named(referral, share.filler),
        f"_id={referral.id},{share.filler}": named(referral, share.filler),
    }.items():
        bundle = await ask(world, world.hospital, f"ServiceRequest?{query}")
        assert (ids(bundle), bundle["total"]) == (found, len(found)), query


async def test_a_safety_need_is_found_as_safety_until_disclosure(world: World) -> None:
    referral, _ = await world.refer("N12")
    share = await world.offer(referral, world.a, safety=True, region="520502", gender=None, age_band="adult")
    assert ids(await ask(world, world.a, "ServiceRequest?category=N12")) == set()
    assert ids(await ask(world, world.a, "ServiceRequest?code=urn:yuanshe:need|N12,N13")) == set()
    assert ids(await ask(world, world.a, "ServiceRequest?category=urn:yuanshe:need|safety")) == named(share.filler)
    await world.disclose(share)
    assert ids(await ask(world, world.a, "ServiceRequest?category=N12")) == named(referral, share.filler)


async def test_includes_come_along_and_are_not_counted(world: World) -> None:
    referral, parent = await world.refer("N05")
    share = await world.offer(referral, world.a)
    bundle = await ask(world, world.hospital, "Task?_include=Task:focus&_include=Task:patient")
    assert bundle["total"] == 2 and ids(bundle) == named(parent, share)
    assert ids(bundle, "include") == named(referral, share.filler, world.patient, share.stand_in)
    bundle = await ask(world, world.a, "Task?_include=Task:focus&_include=Task:part-of")
    assert ids(bundle, "include") == named(share.filler)
    work = new_id()
    await world.keep(
        Record(work, 1, "Procedure", "work", world.a.organization, body(resourceType="Procedure", status="completed",
               subject={"reference": f"Patient/{world.patient.id}"}, code={"text": "陪伴"}), NOW, hospital=world.hospital.organization,
               agency=world.a.organization, task=share.id, returned=True)
    )  # fmt: skip
    from service.referrals.model import Output

    element = {"type": {"text": "结果"}, "valueReference": {"reference": f"Procedure/{work}"}}
    await world.move(
        share,
        status="completed",
        ended_at=NOW,
        due_at=None,
        outputs=(Output("resulting-activity", element, f"Procedure/{work}"),),
    )
    bundle = await ask(world, world.hospital, f"Task?_id={share.id}&_include=Task:output")
    assert ids(bundle, "include") == named(work)
    assert ids(await ask(world, world.hospital, f"Task?output=Procedure/{work}")) == named(share)
    narrow = actor(world.hospital.organization, "hospital", "system/Task.rs")
    assert ids(await ask(world, narrow, f"Task?_id={share.id}&_include=Task:output"), "include") == set()
    assert parent.id


async def test_what_is_not_known_is_ignored_and_left_out_of_self_or_refused_when_strict(world: World) -> None:
    _, parent = await world.refer("N05")
    bundle = await ask(world, world.hospital, "Task?status=requested&colour=blue&_text=id")
    assert ids(bundle) == named(parent)
    assert link(bundle, "self") == f"{BASE}/Task?status=requested"
    assert len(ids(bundle, "match")) == bundle["total"]
    for query in ("Task?colour=blue", "Task?patient.colour=blue", "Task?_include=Task:colour"):
        with pytest.raises(Malformed):
            await ask(world, world.hospital, query, handling_strict=True)
    for query in ("Task?status:exact=requested", "Task?_lastUpdated=yesterday", "Task?_lastUpdated=2026-02-30", "Task?_count=many",
                  "Task?_sort=colour", "Task?_cursor=abc", "Task?owner:missing=perhaps", "Patient?name:text=王"):  # fmt: skip
        with pytest.raises(Malformed):
            await ask(world, world.hospital, query)
    with pytest.raises(NotFound):
        await ask(world, world.hospital, "Medication?status=active")


@pytest.mark.parametrize(("type", "sort"), [("Task", ""), ("Task", "_id"), ("Task", "_lastUpdated"), ("ServiceRequest", ""), ("ServiceRequest", "-_lastUpdated"),
                                            ("Patient", ""), ("Observation", "_lastUpdated"), ("CodeSystem", "")])  # fmt: skip
async def test_pages_hold_every_match_once(world: World, type: str, sort: str) -> None:
    for n in range(4):
        referral, _ = await world.refer("N05", number=f"R-{n}", at=NOW + timedelta(seconds=n % 2))
        await world.offer(referral, world.a, NOW + timedelta(seconds=n))
        await world.keep(
            Record(new_id(), 1, "Observation", "supporting", world.hospital.organization, body(resourceType="Observation", status="final",
                   code={"text": "x"}), NOW, hospital=world.hospital.organization, patient=world.patient.id)
        )  # fmt: skip
    query = f"{type}?_count=3" + (f"&_sort={sort}" if sort else "")
    whole = ids(await ask(world, world.hospital, query.replace("_count=3", "_count=200")))
    seen: list[str] = []
    extra: set[str] = set()
    url: str | None = f"{BASE}/{query}"
    while url:
        assert url.startswith(f"{BASE}/{type}?")
        bundle = await ask(world, world.hospital, f"{type}?{urlsplit(url).query}")
        assert bundle["total"] == len(whole)
        seen += sorted(ids(bundle))
        if len(seen) == 3:
            # Somebody else is placed meanwhile: what was there before comes once all the same.
            await world.refer("N05", number="meanwhile", at=NOW + timedelta(hours=1))
            whole_now = ids(await ask(world, world.hospital, query.replace("_count=3", "_count=200")))
            extra, whole = whole_now - whole, whole_now
        url = link(bundle, "next")
    assert len(seen) == len(set(seen)) and set(seen) | extra == whole


async def test_no_link_but_self_repeats_what_may_identify_a_person(world: World) -> None:
    for n in range(3):
        await world.refer("N05", number=f"R-{n}")
    bundle = await ask(world, world.hospital, f"Task?patient.identifier={CITIZEN}&_count=1")
    assert len(ids(bundle)) == 3 and link(bundle, "next") is None
    bundle = await ask(world, world.hospital, f"Task?patient={world.patient.id}&_count=1")
    assert len(ids(bundle)) == 1 and link(bundle, "next")
    assert CITIZEN not in msgspec.json.encode(bundle["link"]).decode()


async def test_counting_alone_answers_no_entries(world: World) -> None:
    await world.refer("N05")
    for query in ("Task?_summary=count", "Task?_count=0"):
        bundle = await ask(world, world.hospital, query)
        assert bundle["total"] == 1 and "entry" not in bundle


async def test_messages_and_the_receipt_are_found_by_what_they_are_about(world: World) -> None:
    referral, _ = await world.refer("N05")
    share = await world.end(await world.disclose(await world.offer(referral, world.a)))
    question = new_id()
    about = [{"reference": f"Task/{share.id}"}]
    await world.keep(
        Record(question, 1, "Communication", "message", world.a.organization, body(
                   resourceType="Communication", status="completed", about=about, basedOn=about,
                   category=[{"coding": [{"system": "urn:yuanshe:message", "code": "question"}]}]), NOW,
               hospital=world.hospital.organization, agency=world.a.organization, referral=referral.id, task=share.id, returned=True, code="question")
    )  # fmt: skip
    bundle = await ask(world, world.hospital, "Communication?category=urn:yuanshe:message|receipt")
    receipt = ids(bundle)
    assert len(receipt) == 1
    said = bundle["entry"][0]["resource"]
    assert said["recipient"] == [{"reference": f"Organization/{world.hospital.organization}"}]
    for query, found in {
        f"based-on=ServiceRequest/{referral.id}": receipt,
        f"about=ServiceRequest/{referral.id}": receipt,
        f"about=Task/{share.id}": receipt | named(question),
        f"based-on=Task/{share.id}": named(question),
        "category=question": named(question),
        "category=urn:other|question": set(),
        "status=completed": receipt | named(question),
        f"sender={world.a.organization}": receipt,
        f"recipient={world.hospital.organization}": receipt,
    }.items():
        for reader in (world.hospital, world.a, world.platform):
            assert ids(await ask(world, reader, f"Communication?{query}")) == found, query
        assert ids(await ask(world, world.b, f"Communication?{query}")) == set(), query


async def test_an_agencys_work_is_found_by_the_person_or_their_stand_in(world: World) -> None:
    referral, _ = await world.refer("N05")
    share = await world.disclose(await world.offer(referral, world.a))
    work = new_id()
    await world.keep(
        Record(work, 1, "Procedure", "work", world.a.organization, body(
                   resourceType="Procedure", status="completed", basedOn=[{"reference": f"ServiceRequest/{share.filler}"}],
                   category={"coding": [{"system": "urn:x", "code": "c"}]}, code={"coding": [{"system": "urn:yuanshe:service-type", "code": "psych-support"}]},
                   subject={"reference": f"Patient/{world.patient.id}"}, performer=[{"actor": {"reference": f"{BASE}/PractitionerRole/{share.id}"}}]), NOW,
               hospital=world.hospital.organization, agency=world.a.organization, referral=referral.id, task=share.id)
    )  # fmt: skip
    for query in (
        f"patient={world.patient.id}", f"subject=Patient/{share.stand_in}", f"based-on={share.filler}",
        f"based-on=ServiceRequest/{share.filler}", "code=urn:yuanshe:service-type|psych-support", "category=c", "category=urn:x|",
        "status=completed", f"performer=PractitionerRole/{share.id}", f"performer:PractitionerRole={share.id}",
    ):  # fmt: skip
        assert ids(await ask(world, world.a, f"Procedure?{query}")) == named(work), query
        # Work goes back to the hospital only when it is named as an output.
        assert ids(await ask(world, world.hospital, f"Procedure?{query}")) == set(), query
        assert ids(await ask(world, world.b, f"Procedure?{query}")) == set(), query


async def test_an_auditor_finds_no_person(world: World) -> None:
    referral, _ = await world.refer("N05")
    await world.offer(referral, world.a)
    for type in ("Task", "ServiceRequest", "Patient", "Communication", "Consent", "Encounter"):
        assert ids(await ask(world, world.auditor, type)) == set()


async def test_code_systems_are_found_by_their_url(world: World) -> None:
    bundle = await ask(world, world.a, "CodeSystem?url=urn:yuanshe:decline-reason")
    assert [e["resource"]["url"] for e in bundle["entry"]] == ["urn:yuanshe:decline-reason"]
    everyone = await ask(world, world.a, "CodeSystem?_count=200")
    for entry in everyone["entry"]:
        id: Id = Id(entry["resource"]["id"])
        again = await world.in_scope(world.a, lambda session, id=id: reading.read(session, world.a, "CodeSystem", id))
        assert again.body == entry["resource"]


@pytest.mark.parametrize("value", ["ge0001-01-01", "0001", "lt0001-01-01T00:00:00+08:00", "le9999-12-31", "9999", "ge9999-12-31T23:59:59Z"])  # fmt: skip
async def test_a_date_outside_the_years_that_can_be_kept_is_refused(world: World, value: str) -> None:
    for query in (f"Task?_lastUpdated={value.replace('+', '%2B')}", f"Patient?birthdate={value.replace('+', '%2B')}"):
        with pytest.raises(Malformed):
            await ask(world, world.hospital, query)


@pytest.mark.parametrize("at", ["2026", "2026-03-02", "2026-03-02T01:30", "2026-03-02T01:30:00", "0001-01-01T00:00:00+14:00",
                                "9999-12-31T23:59:59-14:00", "2026-02-30T00:00:00Z", "infinity", "now", ""])  # fmt: skip
async def test_a_page_link_that_is_not_one_of_ours_is_refused(world: World, at: str) -> None:
    cursor = base64.urlsafe_b64encode(msgspec.json.encode([str(new_id()), at])).decode().rstrip("=")
    with pytest.raises(Malformed):
        await ask(world, world.hospital, f"Task?_sort=_lastUpdated&_cursor={cursor}")


async def test_a_search_has_a_bounded_number_of_values(world: World) -> None:
    _, parent = await world.refer("N05")
    many = ",".join([str(parent.id), *(str(new_id()) for _ in range(199))])
    assert ids(await ask(world, world.hospital, f"Task?_id={many}")) == named(parent)
    for query in (f"Task?_id={many},{parent.id}", "Task?" + "&".join(["status=requested"] * 201)):
        with pytest.raises(Malformed) as refused:
            await ask(world, world.hospital, query)
        assert refused.value.issues[0].code == "too-costly"
