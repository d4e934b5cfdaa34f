"""Two records of one person: one absorbs the other, everything follows, nothing opens that nobody consented to, and it can be undone."""

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.http.loop import attempt, discharge, done, follow_ups, nothing_changes, procedure, refused, says, started
from tests.http.world import Answered, Referred, World, citizen_number, reason, submission

PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)
OLD, NEW = "ZY-OLD-1", "ZY-NEW-1"


async def pair(world: World, *, same: bool = False) -> tuple[Referred, Referred]:
    """A referral of the record that stays, and one of the record that goes, which an agency works on."""
    stays = await world.refer("N05" if same else "N01", mrn=NEW)
    goes = await world.refer("N05", mrn=OLD)
    return stays, goes


async def absorbed(world: World, goes: Referred, stays: Referred, by: str = "his-a", **changes: Any) -> Answered:
    """The record that goes, put as ADT A40 has it in FHIR."""
    gone = await world.party("his-a").read(goes.patient)
    link = [{"other": {"reference": stays.patient}, "type": "replaced-by"}]
    return await world.party(by).put(gone, active=False, link=link, **changes)


async def undone(world: World, goes: Referred, why: str | None = "两位患者同名，合并有误") -> Answered:
    reason = [{"name": "reason", "valueString": why}] if why else []
    body = {"resourceType": "Parameters", "parameter": reason}
    return await world.party("his-a").post(f"{goes.patient}/$undo-merge", body)


def merge_of(stays: Referred, goes: Referred) -> dict[str, Any]:
    return {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "source-patient", "valueReference": {"reference": goes.patient}},
            {"name": "target-patient", "valueReference": {"reference": stays.patient}},
        ],
    }


def named(parameters: Answered, name: str) -> list[str]:
    found = [each for each in parameters.get("parameter", []) if each["name"] == name]
    return [each["valueReference"]["reference"] for each in found]


async def test_merge_of_two_patients_and_undo(world: World) -> None:
    """Given two records of one person, of which an agency works with one. When the hospital merges them, then the agency
    goes on with the record that stays; when it undoes that, each has exactly what was its own."""
    hospital, agency = world.party("his-a"), world.party("agency-a")
    stays, goes = await pair(world)
    share = await started(world, goes)
    work = done(await agency.post("Procedure", procedure(share)))

    done(await absorbed(world, goes, stays))

    moved = await agency.read(f"Task/{share['id']}")
    assert moved["for"]["reference"] == stays.patient and moved["status"] == "in-progress"
    assert moved["meta"]["versionId"] != share["meta"]["versionId"]
    assert (await agency.read(f"Task/{share['id']}/_history/{share['meta']['versionId']}"))["for"] == share["for"]
    assert (await agency.read(stays.patient))["name"][0]["text"] == "陈素芬"
    assert (await hospital.read(stays.patient)).get("active") is not False
    for party in (hospital, agency):
        gone = await party.read(goes.patient)
        assert gone["active"] is False
        assert gone["link"] == [{"other": {"reference": stays.patient}, "type": "replaced-by"}]
    assert "name" not in await agency.read(goes.patient)
    for number in (OLD, NEW):
        found = await hospital.search(f"Patient?identifier=urn:his-a:patient|{number}")
        assert [f"Patient/{each['id']}" for each in found] == [stays.patient]
    assert {each["id"] for each in await hospital.search(f"Encounter?patient={stays.patient}")} == {
        referred.stay.split("/")[1] for referred in (stays, goes)
    }
    assert [each["id"] for each in await agency.search(f"Procedure?patient={stays.patient}")] == [work["id"]]
    assert {task["id"] for task in await hospital.search(f"Task?patient={stays.patient}")} >= {share["id"]}
    assert "merge" in (await world.timeline(goes))[0] and "merge" in (await world.timeline(stays))[0]
    # The loop goes on: what is written now is the survivor's.
    since = done(await agency.post("Procedure", procedure(moved)))
    late = done(await hospital.post("Consent", world.consent_form(stays.patient, goes.request, "agency-b")))

    back = done(await undone(world, goes))

    assert named(back, "restored") == [goes.patient] and named(back, "survivor") == [stays.patient]
    assert set(named(back, "added")) == {f"Procedure/{since['id']}", f"Consent/{late['id']}"}
    again = await agency.read(f"Task/{share['id']}")
    assert again["for"]["reference"] == goes.patient and again["status"] == "in-progress"
    assert (await hospital.read(goes.patient)).get("active") is not False
    assert "link" not in await hospital.read(goes.patient)
    for number, referred in ((OLD, goes), (NEW, stays)):
        found = await hospital.search(f"Patient?identifier=urn:his-a:patient|{number}")
        assert [f"Patient/{each['id']}" for each in found] == [referred.patient]
        stay = await hospital.search(f"Encounter?patient={referred.patient}")
        assert [f"Encounter/{each['id']}" for each in stay] == [referred.stay]
    # The case went back, and all work hangs on it.
    found = {each["id"] for each in await agency.search(f"Procedure?patient={goes.patient}")}
    assert found == {work["id"], since["id"]}
    assert (await agency.get(stays.patient)).status == 404
    assert "undo-merge" in (await world.timeline(goes))[0]


async def test_what_was_submitted_with_the_old_number_or_id_lands_on_the_survivor(world: World) -> None:
    hospital = world.party("his-a")
    stays, goes = await pair(world)
    done(await absorbed(world, goes, stays))
    later = await world.refer("N02", mrn=OLD)
    assert later.patient == stays.patient
    bundle = submission("N03", mrn="unused")
    request = bundle["entry"][2]["resource"] | {"subject": {"reference": goes.patient}}
    del request["encounter"]
    made = done(await hospital.post("ServiceRequest", request))
    assert made["id"] in {each["id"] for each in await hospital.search(f"ServiceRequest?patient={stays.patient}")}
    bed = {
        "resourceType": "Encounter", "status": "in-progress", "class": {"code": "IMP"},
        "subject": {"reference": goes.patient}, "period": {"start": datetime.now(UTC).isoformat()},
    }  # fmt: skip
    stay = done(await hospital.post("Encounter", bed))
    assert stay["id"] in {each["id"] for each in await hospital.search(f"Encounter?patient={stays.patient}")}
    # A correction of the survivor that leaves the old number out takes back its own numbers alone.
    person = await hospital.read(stays.patient)
    done(await hospital.put(person, gender="male"))
    assert (await world.refer("N04", mrn=OLD)).patient == stays.patient


async def test_an_ended_referral_follows_too(world: World) -> None:
    hospital = world.party("his-a")
    stays, goes = await pair(world)
    done(await hospital.put(await hospital.read(goes.request), status="revoked"))
    done(await absorbed(world, goes, stays))
    assert (await hospital.read(goes.request))["status"] == "revoked"
    ids = {each["id"] for each in await hospital.search(f"Task?patient={stays.patient}")}
    assert (await world.parent(goes))["id"] in ids


async def test_two_open_referrals_for_the_same_need_are_the_hospitals_to_look_at(world: World) -> None:
    hospital = world.party("his-a")
    stays, goes = await pair(world, same=True)
    done(await absorbed(world, goes, stays))
    duties = await hospital.search("Task?code=merge-review")
    assert len(duties) == 1 and duties[0]["status"] == "accepted"
    assert duties[0]["basedOn"] == [{"reference": goes.request}]
    for referred in (stays, goes):
        assert says(await world.parent(referred)) == "offered", "neither is merged nor withdrawn by itself"
    done(await undone(world, goes))
    assert [duty["status"] for duty in await hospital.search("Task?code=merge-review")] == ["cancelled"]


async def test_a_consent_for_one_record_never_opens_what_was_the_others(world: World) -> None:
    """Given a blanket consent on the record that goes. When it is merged, then it opens its own referrals and no others."""
    hospital, agency = world.party("his-a"), world.party("agency-a")
    stays, goes = await pair(world)
    other = await world.accepted(stays, consent=False)
    mine = await world.accepted(goes, consent=False)
    done(await hospital.post("Consent", world.consent_form(goes.patient, None, "agency-a")))
    assert (await agency.read(f"Task/{mine['id']}"))["for"]["reference"] == goes.patient
    done(await absorbed(world, goes, stays))
    assert (await agency.read(f"Task/{mine['id']}"))["for"]["reference"] == stays.patient
    closed = await agency.read(f"Task/{other['id']}")
    assert closed["for"] == other["for"] and says(closed) == "awaiting-consent"
    assert (await agency.get(stays.request)).status == 404
    later = await world.accepted(await world.refer("N02", mrn=NEW), consent=False)
    assert says(later) == "awaiting-consent", "nor what is placed afterwards"
    done(await undone(world, goes))
    assert (await agency.read(f"Task/{mine['id']}"))["for"]["reference"] == goes.patient
    assert says(await agency.read(f"Task/{other['id']}")) == "awaiting-consent"


async def test_what_belongs_to_no_referral_stays_with_those_who_knew_that_record(world: World) -> None:
    """Given an agency that works with each record. When they are merged, then neither sees the stays of the other one, a
    later version included; who consents anew opens all of the person."""
    hospital, agency = world.party("his-a"), world.party("agency-a")
    other = world.party("agency-b")
    stays = await world.refer("N06", mrn=NEW)
    await started(world, stays, "agency-b")
    goes = await world.refer("N05", mrn=OLD)
    await started(world, goes)
    await world.consent(stays, "agency-b")
    done(await absorbed(world, goes, stays))
    bed = await hospital.read(goes.stay)
    done(await hospital.put(bed, status="onleave"))
    for party, own, foreign in ((agency, goes, stays), (other, stays, goes)):
        assert (await party.read(own.stay))["id"] == own.stay.split("/")[1]
        assert (await party.get(foreign.stay)).status == 404
        assert [each["id"] for each in await party.search(f"Encounter?patient={stays.patient}")] == [
            own.stay.split("/")[1]
        ]
    fresh = await world.accepted(await world.refer("N02", mrn=NEW))
    assert fresh["for"]["reference"] == stays.patient
    assert {f"Encounter/{each['id']}" for each in await agency.search(f"Encounter?patient={stays.patient}")} >= {
        stays.stay, goes.stay,
    }  # fmt: skip


async def test_a_consent_that_opens_only_after_the_merge_opens_the_record_on_which_it_was_given(world: World) -> None:
    """Given a consent for two agencies on the record that goes. When the second one accepts after the merge, then it reads
    what that consent names, and nothing of the record that stays: it may be a child's whom nobody is to find."""
    hospital, first, second = world.party("his-a"), world.party("agency-a"), world.party("agency-b")
    stays = await world.refer("N13", mrn=NEW)
    goes = await world.refer("N05", mrn=OLD)
    mine = await world.accepted(goes, consent=False)
    await world.consent(goes, "agency-a", "agency-b")
    found = {
        "resourceType": "Observation", "status": "final", "code": {"text": "体重"}, "subject": {"reference": stays.patient},
        "effectiveDateTime": datetime.now(UTC).isoformat(), "valueString": "12 kg",
    }  # fmt: skip
    foreign = done(await hospital.post("Observation", found))
    own = done(await hospital.post("Observation", found | {"subject": {"reference": goes.patient}}))
    done(await absorbed(world, goes, stays))
    moved = await first.read(f"Task/{mine['id']}")
    done(await first.put(moved, status="cancelled", statusReason=reason("no-capacity")))
    taken = done(await second.put(await world.offer(goes, "agency-b"), status="accepted"))
    assert (await second.read(f"Task/{taken['id']}"))["for"]["reference"] == stays.patient
    assert (await second.get(f"Observation/{own['id']}")).status == 200
    assert (await second.get(goes.stay)).status == 200
    assert (await second.get(f"Observation/{foreign['id']}")).status == 404
    assert (await second.get(stays.stay)).status == 404


async def test_who_was_shown_the_person_after_the_merge_is_shown_the_other_one_after_its_undo(world: World) -> None:
    """Given two agencies that a consent names, of which the second accepts between a merge and its undo. Then it reads whom
    its referral is about, and the survivor, who is somebody else after all, no more."""
    first, second = world.party("agency-a"), world.party("agency-b")
    stays, goes = await pair(world)
    mine = await world.accepted(goes, consent=False)
    await world.consent(goes, "agency-a", "agency-b")
    done(await absorbed(world, goes, stays))
    moved = await first.read(f"Task/{mine['id']}")
    done(await first.put(moved, status="cancelled", statusReason=reason("no-capacity")))
    taken = done(await second.put(await world.offer(goes, "agency-b"), status="accepted"))
    assert (await second.get(stays.patient)).status == 200
    done(await undone(world, goes))
    assert (await second.read(f"Task/{taken['id']}"))["for"]["reference"] == goes.patient
    assert (await second.get(goes.patient)).status == 200
    assert (await second.get(stays.patient)).status == 404


async def test_a_file_of_the_other_record_is_not_opened_by_a_merge(world: World) -> None:
    """Given a file put on each record as such. When they are merged, then each is read by those who knew that record."""
    hospital, agency = world.party("his-a"), world.party("agency-a")
    stays, goes = await pair(world)
    await started(world, goes)
    put: list[str] = []
    for referred in (goes, stays):
        headers = {"x_security_context": referred.patient}
        kept = done(await hospital.ask("POST", "Binary", PNG, kind="image/png", **headers))
        put.append(kept.headers["location"].split("/fhir/")[1].split("/_history")[0])
    own, foreign = put
    done(await absorbed(world, goes, stays))
    assert (await agency.get(own)).status == 200
    assert (await agency.get(foreign)).status == 404
    assert (await hospital.get(foreign)).status == 200


async def test_of_both_the_stricter_word_on_contact_holds_and_the_undo_keeps_it(world: World) -> None:
    stays = await world.refer("N01", mrn=NEW)
    forbidden = {
        "code": {"coding": [{"system": "urn:yuanshe:need", "code": "N05"}]},
        "orderDetail": [{"coding": [{"code": "contacting-subject-prohibited"}]}],
    }
    goes = await world.refer("N05", mrn=OLD, request=forbidden)
    done(await absorbed(world, goes, stays))

    async def prohibited(referred: Referred) -> bool:
        async with world.as_owner() as connection:
            return await connection.fetchval(
                "SELECT contact_prohibited FROM referral WHERE id = $1", uuid.UUID(referred.id)
            )

    assert await prohibited(stays) and await prohibited(goes)
    done(await undone(world, goes))
    assert await prohibited(stays) and await prohibited(goes)


async def test_who_may_merge_what(world: World) -> None:
    stays, goes = await pair(world)
    foreign = await world.refer("N06", by="his-b")
    async with nothing_changes(world):
        for other in ("his-b", "agency-a", "platform"):
            assert (await absorbed(world, goes, stays, by=other)).status in (403, 404)
        refused(await absorbed(world, goes, foreign), 404)
        refused(await absorbed(world, goes, goes), 422)
        gone = await world.party("his-a").read(goes.patient)
        link = [{"other": {"reference": stays.patient}, "type": "replaced-by"}]
        refused(await world.party("his-a").put(gone, link=link), 422, "active")
        refused(await absorbed(world, goes, stays, if_match='W/"9"'), 412)
        refused(await undone(world, goes), 404)
    done(await absorbed(world, goes, stays))
    async with nothing_changes(world):
        done(await absorbed(world, goes, stays))
        refused(await undone(world, goes, None), 422)
        refused(await world.party("his-a").put(gone), 409, stays.patient)
        refused(await absorbed(world, stays, goes), 409, stays.patient)


async def test_two_citizen_numbers_are_two_persons(world: World) -> None:
    numbers = [citizen_number(seed) for seed in (1, 2)]
    both = [
        await world.refer("N01", patient={"identifier": [{"system": "urn:oid:2.16.156.10011.1.3", "value": number}]})
        for number in numbers
    ]
    async with nothing_changes(world):
        answer = refused(await absorbed(world, both[1], both[0]), 409, "citizen numbers")
    assert not any(number in repr(answer) for number in numbers)


async def test_a_number_that_is_anothers_points_to_the_merge(world: World) -> None:
    stays, goes = await pair(world)
    person = await world.party("his-a").read(stays.patient)
    async with nothing_changes(world):
        changed = [{"system": "urn:his-a:patient", "value": OLD}]
        refused(await world.party("his-a").put(person, identifier=changed), 409, goes.patient)


async def test_the_merge_may_be_asked_for_as_an_operation_by_numbers(world: World) -> None:
    hospital = world.party("his-a")
    stays, goes = await pair(world)
    asked = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": f"{name}-patient-identifier", "valueIdentifier": {"system": "urn:his-a:patient", "value": number}}
            for name, number in (("source", OLD), ("target", NEW))
        ],
    }
    made = done(await hospital.post("Patient/$merge", asked))
    result = next(each["resource"] for each in made["parameter"] if each["name"] == "result")
    assert f"Patient/{result['id']}" == stays.patient
    assert (await hospital.read(goes.patient))["active"] is False


async def test_merges_in_a_row_are_undone_last_first(world: World) -> None:
    hospital = world.party("his-a")
    first, second, third = [await world.refer("N01", mrn=f"ZY-ROW-{n}") for n in range(3)]
    done(await absorbed(world, first, second))
    done(await absorbed(world, second, third))
    assert (await hospital.read(first.patient))["link"][0]["other"]["reference"] == third.patient
    refused(await undone(world, first), 409, third.patient)
    done(await undone(world, second))
    assert (await hospital.read(first.patient))["link"][0]["other"]["reference"] == second.patient
    done(await undone(world, first))
    for number, referred in enumerate((first, second, third)):
        found = await hospital.search(f"Patient?identifier=urn:his-a:patient|ZY-ROW-{number}")
        assert [f"Patient/{each['id']}" for each in found] == [referred.patient]
        assert (await world.parent(referred))["for"]["reference"] == referred.patient


async def test_follow_ups_and_attempts_follow_and_come_back(world: World) -> None:
    hospital, agency = world.party("his-a"), world.party("agency-a")
    stays, goes = await pair(world)
    await started(world, goes)
    done(await discharge(world, goes))
    first = (await follow_ups(agency, goes))[0]
    done(await agency.post("Communication", attempt(first, reached=False)))
    done(await absorbed(world, goes, stays))
    assert {task["for"]["reference"] for task in await follow_ups(agency, goes)} == {stays.patient}
    # The discharge is corrected by the number of the record that is gone.
    done(await discharge(world, goes, "1", datetime.now(UTC) - timedelta(days=1)))
    done(await undone(world, goes))
    assert {task["for"]["reference"] for task in await follow_ups(agency, goes)} == {goes.patient}
    assert {task["for"]["reference"] for task in await follow_ups(hospital, goes)} == {goes.patient}


async def test_the_merge_names_both_in_the_audit(world: World) -> None:
    stays, goes = await pair(world)
    done(await absorbed(world, goes, stays))
    async with world.as_owner() as connection:
        touched = await connection.fetchval("SELECT patients FROM audit WHERE 'merge two records of a person' = ANY(platform_reasons) ORDER BY at DESC LIMIT 1")  # fmt: skip
    assert {f"Patient/{id}" for id in touched} >= {stays.patient, goes.patient}


@pytest.mark.parametrize("way", ["submitted", "accepted"])
async def test_a_merge_and_a_move_at_once_leave_nothing_behind(world: World, way: str) -> None:
    """Whoever comes first: in the end all of the absorbed record is the survivor's, and no Task lost its way."""
    agency = world.party("agency-a")
    for n in range(4):
        stays = await world.refer("N01", mrn=f"ZY-RACE-{way}-{n}-new")
        goes = await world.refer("N05", mrn=f"ZY-RACE-{way}-{n}-old")
        offer = await world.offer(goes)

        async def move(goes: Referred = goes, offer: Answered = offer, n: int = n) -> Answered:
            if way == "accepted":
                return await agency.put(offer, status="accepted")
            return await world.party("his-a").post("", submission("N02", mrn=f"ZY-RACE-{way}-{n}-old"))

        merged, moved = await asyncio.gather(absorbed(world, goes, stays), move())
        assert merged.status == 200 and moved.status == 200, (merged, moved)
        left = uuid.UUID(goes.patient.split("/")[1])
        async with world.as_owner() as connection:
            for table in ("referral", "task", "stay", "consent", "patient_identifier", "disclosure", "case_file"):
                assert await connection.fetchval(f"SELECT count(*) FROM {table} WHERE patient_id = $1", left) == 0, (
                    table
                )
            assert await connection.fetchval(
                "SELECT count(*) FROM referral r JOIN referral_version v ON v.referral_id = r.id AND v.version = r.version"
                " WHERE (v.snapshot ->> 'patient')::uuid <> r.patient_id"
            ) == 0  # fmt: skip
            assert await connection.fetchval(
                "SELECT count(*) FROM task t JOIN task_version v ON v.task_id = t.id AND v.version = t.version"
                " WHERE (v.snapshot ->> 'patient')::uuid IS DISTINCT FROM t.patient_id"
            ) == 0  # fmt: skip


STAYING = {
    "referral": "moves with a version of its own", "task": "moves with its referral", "record": "moves, but for the Patient itself",
    "patient_identifier": "moves, journalled by number", "contact_rule": "is stated anew, the stricter of both",
    "hl7_message": "the inbox says which record a message was about when it came",
    "audit_patient": "what was done then was done to that record",
}  # fmt: skip
"""Tables with a person that a merge does not move by `patient_id`, each with why."""


async def test_no_table_with_a_person_is_forgotten_by_a_merge(world: World) -> None:
    from service.patients.merging_store import MOVED

    async with world.as_owner() as connection:
        rows = await connection.fetch(
            "SELECT table_name FROM information_schema.columns WHERE table_schema = 'public' AND column_name = 'patient_id'"
        )
    assert {row["table_name"] for row in rows} == set(MOVED) | STAYING.keys()
