"""Reads, versions and histories: who may read what, from the offer to the end of the share."""

import importlib
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from adapters.fhir import history, reading
from adapters.fhir.reading import Read
from service.access.model import Actor
from service.errors import NotFound
from service.records.model import Record
from service.values import Id, new_id
from tests.fhir.world import CITIZEN, NOW, World, body

BASE = "https://yuanshe.example/fhir"
LATER = NOW + timedelta(hours=1)


async def read(world: World, who: Actor, type: str, id: Id | None, version: int | None = None) -> Read:
    assert id is not None

    async def run(session: Any) -> Read:
        if version is None:
            return await reading.read(session, who, type, id)
        return await reading.vread(session, who, type, id, version)

    return await world.in_scope(who, run)


async def hidden(world: World, who: Actor, type: str, id: Id | None, version: int | None = None) -> None:
    with pytest.raises(NotFound) as refused:
        await read(world, who, type, id, version)
    with pytest.raises(NotFound) as absent:
        await read(world, who, type, new_id(), version)
    assert refused.value.issues == absent.value.issues  # Hidden and absent sound alike.


async def versions(world: World, who: Actor, type: str, id: Id | None) -> list[str]:
    assert id is not None
    wish = history.asked([], of_type=False)
    bundle = await world.in_scope(who, lambda session: history.of_one(session, who, type, id, wish, BASE))
    form = importlib.import_module("fhir.resources.R4B.bundle").Bundle
    form.model_validate(msgspec.json.decode(msgspec.json.encode(bundle)))
    return [entry["resource"]["meta"]["versionId"] for entry in bundle["entry"]]


async def test_before_disclosure_an_agency_reads_its_offer_and_nothing_of_the_person(world: World) -> None:
    referral, parent = await world.refer("N05")
    share = await world.offer(referral, world.a)
    shown = [
        await read(world, world.a, "Task", share.id),
        await read(world, world.a, "ServiceRequest", share.filler),
        await read(world, world.a, "Patient", share.stand_in),
    ]
    text = msgspec.json.encode([each.body for each in shown]).decode()
    for secret in (
        "王",
        "秀兰",
        CITIZEN,
        "13800000000",
        str(world.patient.id),
        str(referral.id),
        "R-1",
        "urn:his-a",
        "李医生",
    ):
        assert secret not in text, secret
    for type, id in (("ServiceRequest", referral.id), ("Task", parent.id), ("Patient", world.patient.id)):
        await hidden(world, world.a, type, id)
        await hidden(world, world.a, type, id, 1)
        with pytest.raises(NotFound):
            await versions(world, world.a, type, id)
    for type, id in (("Task", share.id), ("ServiceRequest", share.filler), ("Patient", share.stand_in)):
        await hidden(world, world.b, type, id)
        await hidden(world, world.stranger, type, id)
        await hidden(world, world.auditor, type, id)


async def test_a_version_reads_alike_for_every_reader_and_stays_as_it_was(world: World) -> None:
    referral, _ = await world.refer("N05")
    share = await world.offer(referral, world.a)
    before = (await read(world, world.a, "Task", share.id)).body
    first = (await read(world, world.a, "ServiceRequest", share.filler)).body
    share = await world.disclose(share, LATER)
    for reader in (world.a, world.hospital, world.platform):
        assert (await read(world, reader, "Task", share.id, 1)).body == before
        assert (await read(world, reader, "ServiceRequest", share.filler, 1)).body == first
        now = await read(world, reader, "Task", share.id)
        assert now.body["for"] == {"reference": f"Patient/{world.patient.id}"} and now.version == 2
        request = await read(world, reader, "ServiceRequest", share.filler)
        assert request.body["subject"] == {"reference": f"Patient/{world.patient.id}"} and request.version == 2
        assert request.body == (await read(world, reader, "ServiceRequest", share.filler, 2)).body
        assert await versions(world, reader, "Task", share.id) == ["2", "1"]
        assert await versions(world, reader, "ServiceRequest", share.filler) == ["2", "1"]
    assert before["for"] == first["subject"] == {"reference": f"Patient/{share.stand_in}"}
    assert first["meta"]["lastUpdated"] != request.body["meta"]["lastUpdated"]
    assert (await read(world, world.a, "Patient", share.stand_in)).body["meta"]["security"][0]["code"] == "PSEUDED"


async def test_a_filler_request_has_a_new_version_only_when_it_shows_something_new(world: World) -> None:
    referral, _ = await world.refer("N05")
    share = await world.disclose(await world.offer(referral, world.a))
    share = await world.move(share, LATER, status="in-progress", business_status="in-service")
    assert await versions(world, world.a, "ServiceRequest", share.filler) == ["2", "1"]
    share = await world.move(share, LATER, status="on-hold", business_status="paused")
    assert await versions(world, world.a, "ServiceRequest", share.filler) == ["3", "2", "1"]
    held = await read(world, world.hospital, "ServiceRequest", share.filler)
    assert held.body["status"] == "on-hold" and held.last_modified == LATER


async def test_after_disclosure_an_agency_reads_what_it_needs_and_its_hospital_what_it_sent(world: World) -> None:
    referral, parent = await world.refer("N05")
    await world.disclose(await world.offer(referral, world.a))
    condition, sealed = new_id(), new_id()
    for id, category in ((condition, "supporting"), (sealed, "safety")):
        await world.keep(
            Record(id, 1, "Condition", category, world.hospital.organization, body(resourceType="Condition", code={"text": "骨折"},  # pyright: ignore[reportArgumentType]
                   subject={"reference": f"Patient/{world.patient.id}"}), NOW, hospital=world.hospital.organization, patient=world.patient.id,
                   referral=referral.id)
        )  # fmt: skip
    request = (await read(world, world.a, "ServiceRequest", referral.id)).body
    assert "urn:his-a" not in msgspec.json.encode(request).decode() and request["note"] == [{"text": "住六楼"}]
    person = (await read(world, world.a, "Patient", world.patient.id)).body
    assert person["name"] == [{"text": "王秀兰"}] and CITIZEN not in msgspec.json.encode(person).decode()
    assert await versions(world, world.a, "Patient", world.patient.id) == ["1"]
    assert (await read(world, world.a, "Condition", condition)).body["code"] == {"text": "诊断"}, (
        "of which kind, not which"
    )
    await hidden(world, world.a, "Condition", sealed)
    await hidden(world, world.a, "Task", parent.id)
    await hidden(world, world.b, "ServiceRequest", referral.id)
    for reader in (world.hospital, world.platform):
        own = (await read(world, reader, "ServiceRequest", referral.id)).body
        assert own["extension"] == world.received["ServiceRequest"]["extension"]
        assert (await read(world, reader, "Patient", world.patient.id)).body["extension"] == world.received["Patient"][
            "extension"
        ]
        task = (await read(world, reader, "Task", parent.id)).body
        assert (
            task["input"] == world.received["Task"]["input"]
            and task["extension"] == world.received["Task"]["extension"]
        )
        assert task["focus"] == {"reference": f"ServiceRequest/{referral.id}"}


async def test_after_its_share_has_ended_an_agency_reads_its_own_task_and_what_it_wrote(world: World) -> None:
    referral, parent = await world.refer("N05")
    share = await world.disclose(await world.offer(referral, world.a))
    work, message = new_id(), new_id()
    await world.keep(
        Record(work, 1, "Procedure", "work", world.a.organization, body(resourceType="Procedure", status="completed"), NOW,
               hospital=world.hospital.organization, agency=world.a.organization, referral=referral.id, task=share.id, returned=True),
        Record(message, 1, "Consent", "supporting", world.hospital.organization,
               body(resourceType="Consent", status="active", provision={"actor": [{"reference": {"reference": f"Organization/{world.a.organization}"}}]}), NOW,
               hospital=world.hospital.organization, patient=world.patient.id, referral=referral.id),
    )  # fmt: skip
    assert (await read(world, world.a, "Consent", message)).version == 1
    share = await world.end(share, LATER)
    for type, id in (
        ("ServiceRequest", referral.id),
        ("Task", parent.id),
        ("Patient", world.patient.id),
        ("Consent", message),
    ):
        await hidden(world, world.a, type, id)
        await hidden(world, world.a, type, id, 1)
    assert await versions(world, world.a, "Task", share.id) == ["3", "2", "1"]
    assert (await read(world, world.a, "Procedure", work)).version == 1
    assert (await read(world, world.a, "ServiceRequest", share.filler)).body["status"] == "completed"
    assert (await read(world, world.a, "Patient", share.stand_in)).version == 1
    for reader in (world.hospital, world.platform):
        assert (await read(world, reader, "Task", share.id)).body["output"] == [
            {"type": {"text": "结果"}, "valueString": "已入住"}
        ]
        assert (await read(world, reader, "Procedure", work)).version == 1


async def test_a_candidate_that_lost_reads_the_task_no_more(world: World) -> None:
    referral, _ = await world.refer("N05")
    share = await world.offer(referral, None, open_to=(world.a, world.b))
    assert "owner" not in (await read(world, world.b, "Task", share.id)).body
    await world.move(share, agency=world.a.organization, status="accepted", business_status="accepted")
    await hidden(world, world.b, "Task", share.id)
    await hidden(world, world.b, "ServiceRequest", share.filler)
    await hidden(world, world.b, "Patient", share.stand_in)


async def test_every_read_notes_the_person_it_touched(world: World) -> None:
    referral, parent = await world.refer("N05")
    share = await world.offer(referral, world.a)

    async def touched(who: Actor, type: str, id: Id | None) -> set[Id]:
        async def run(session: Any) -> set[Id]:
            assert id is not None
            await reading.read(session, who, type, id)
            return set(session.patients)

        return await world.in_scope(who, run)

    for type, id in (("Task", parent.id), ("ServiceRequest", referral.id), ("Patient", world.patient.id)):
        assert await touched(world.hospital, type, id) == {world.patient.id}
    assert await touched(world.a, "Task", share.id) == set()
    await world.disclose(share)
    for type, id in (
        ("Task", share.id),
        ("ServiceRequest", share.filler),
        ("ServiceRequest", referral.id),
        ("Patient", world.patient.id),
    ):
        assert await touched(world.a, type, id) == {world.patient.id}


async def test_an_unknown_type_or_version_is_not_found(world: World) -> None:
    referral, _ = await world.refer("N05")
    for version in (0, 2, 2**40):
        await hidden(world, world.hospital, "ServiceRequest", referral.id, version)
    with pytest.raises(NotFound) as refused:
        await read(world, world.hospital, "Medication", new_id())
    assert refused.value.issues[0].code == "not-supported"
