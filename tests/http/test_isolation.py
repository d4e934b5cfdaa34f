"""Nobody else finds out: other hospitals and agencies, the auditor, and whoever holds no token (contract.md)."""

from typing import Any

import pytest

from adapters.fhir.surface import SURFACE
from tests.http.loop import attempt, discharge, done, follow_ups, message, nothing_changes, procedure, started
from tests.http.world import World, output

OTHERS = ("his-b", "agency-b", "agency-c")


class Everything:
    """One referral with all that can hang on it: reference → how."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.secrets: list[str] = ["陈素芬", "13800000001", "示例街道", "MRN-4711"]


async def everything(world: World) -> Everything:
    agency, hospital = world.party("agency-a"), world.party("his-a")
    found = Everything()
    referred = await world.refer("N05", mrn="MRN-4711")
    offer = await world.offer(referred)
    question = done(
        await agency.post(
            "Communication", message("question", f"Task/{offer['id']}", payload=[{"contentString": "住几楼？"}])
        )
    )
    answer = done(
        await hospital.post(
            "Communication",
            message(
                None,
                inResponseTo=[{"reference": f"Communication/{question['id']}"}],
                payload=[{"contentString": "三楼"}],
            ),
        )
    )
    share = await started(world, referred)
    consent = (await hospital.search(f"Consent?patient={referred.patient}"))[0]
    work = done(await agency.post("Procedure", procedure(share)))
    seen = done(
        await agency.post(
            "Observation",
            {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "subject": share["for"]},
        )
    )
    done(await discharge(world, referred))
    plan = await follow_ups(agency, referred)
    tried = done(await agency.post("Communication", attempt(plan[0], reached=False)))
    share = await agency.read(f"Task/{share['id']}")
    done(await agency.put(share, output=[output(f"Procedure/{work['id']}")]))
    parent = await world.parent(referred)
    found.names = [
        referred.patient, referred.request, referred.stay, offer["for"]["reference"], offer["focus"]["reference"],
        f"Task/{parent['id']}", f"Task/{share['id']}", *(f"Task/{task['id']}" for task in plan), f"Consent/{consent['id']}",
        f"Procedure/{work['id']}", f"Observation/{seen['id']}", f"Communication/{question['id']}", f"Communication/{answer['id']}",
        f"Communication/{tried['id']}",
    ]  # fmt: skip
    return found


@pytest.mark.parametrize("party", OTHERS)
async def test_no_other_hospital_or_agency_reads_or_finds_any_of_it(world: World, party: str) -> None:
    all_of_it = await everything(world)
    other = world.party(party)
    ids = [name.split("/")[1] for name in all_of_it.names]

    def clean(answer: Any) -> None:
        text = str(answer)
        assert not any(secret in text for secret in all_of_it.secrets), text
        assert not any(id in text for id in ids if id not in str(answer.get("link", ""))), text

    for name in all_of_it.names:
        for path in (name, f"{name}/_history", f"{name}/_history/1"):
            answer = await other.get(path)
            assert answer.status == 404, path
            clean(answer)
        assert (await other.get(f"{name}/$timeline")).status in (404,)
    for type in {name.split("/")[0] for name in all_of_it.names}:
        clean(await other.get(f"{type}?_count=100"))
        clean(await other.get(f"{type}?_id={','.join(ids)}"))
    patient, request = all_of_it.names[0], all_of_it.names[1]
    for query in (
        f"Task?patient={patient}", f"Task?focus={request}", f"Task?based-on={request}", "Task?_include=Task:patient&_include=Task:focus",
        f"ServiceRequest?patient={patient}", f"Communication?about={request}", f"Communication?based-on={request}", f"Procedure?patient={patient}",
        f"Observation?subject={patient}", f"Encounter?patient={patient}", f"Consent?patient={patient}",
        "Patient?name=陈素芬", "Patient?identifier=MRN-4711", "Task?patient.name=陈素芬", "Patient?phone=13800000001",
    ):  # fmt: skip
        answer = await other.get(query)
        if answer.status == 200:
            assert answer.get("entry", []) == [] or all(e["search"]["mode"] == "outcome" for e in answer["entry"]), (
                query
            )
            body = {key: value for key, value in answer.items() if key != "link"}
            assert not any(secret in str(body) for secret in all_of_it.secrets)
        else:
            assert answer.status in (400, 404), (query, answer)


@pytest.mark.parametrize("party", OTHERS)
async def test_no_other_hospital_or_agency_changes_any_of_it(world: World, party: str) -> None:
    all_of_it = await everything(world)
    reader, other = world.party("platform"), world.party(party)
    async with nothing_changes(world):
        for name in all_of_it.names:
            whole = await reader.get(name)
            if whole.status != 200:
                continue
            # What nobody updates is said of the type, whatever there is of it.
            hidden = 404 if "update" in SURFACE[name.split("/")[0]].interactions else 405
            answer = await other.put(whole)
            assert answer.status == hidden, (name, answer)
            answer = await other.ask(
                "PATCH", name, [{"op": "add", "path": "/language", "value": "zh"}], kind="application/json-patch+json"
            )
            assert answer.status == hidden, (name, answer)
            assert (await other.ask("DELETE", name)).status in (404, 405)
        share = next(n for n in all_of_it.names if n.startswith("Task/"))
        for body in (
            message("question", share),
            message(None, all_of_it.names[1]),
            attempt({"id": share.split("/")[1]}),
        ):
            assert (await other.post("Communication", body)).status == 404


async def test_the_auditor_reads_no_persons_rows_and_changes_nothing(world: World) -> None:
    all_of_it = await everything(world)
    auditor = world.party("auditor")
    for name in all_of_it.names:
        for path in (name, f"{name}/_history", f"{name}/_history/1"):
            assert (await auditor.get(path)).status in (403, 404), path
    for type in {name.split("/")[0] for name in all_of_it.names}:
        answer = await auditor.get(type)
        assert answer.status == 403 or (answer.status == 200 and not answer.get("entry")), type
    async with nothing_changes(world):
        for name in all_of_it.names[:8]:
            whole = await world.party("platform").read(name)
            assert (await auditor.put(whole)).status in (403, 404)
        assert (await auditor.post("", {"resourceType": "Bundle", "type": "transaction", "entry": []})).status in (
            200,
            403,
        )


async def test_without_a_token_nothing_is_said(world: World) -> None:
    all_of_it = await everything(world)
    for name in all_of_it.names:
        answer = await world.nobody.get(name)
        assert answer.status == 401 and not any(secret in str(answer) for secret in all_of_it.secrets)


async def test_the_hospital_reads_task_outputs_and_receipt_and_no_case_note(world: World) -> None:
    all_of_it = await everything(world)
    hospital = world.party("his-a")
    answers = {name: (await hospital.get(name)).status for name in all_of_it.names}
    hidden = {name for name, status in answers.items() if status == 404}
    assert hidden == {n for n in all_of_it.names if n.startswith("Observation/")} | {all_of_it.names[-1]}


async def test_another_hospitals_patient_of_the_same_number_is_another_person(world: World) -> None:
    from tests.http.world import citizen_number

    number = {"identifier": [{"system": "urn:oid:2.16.156.10011.1.3", "value": citizen_number(7)}]}
    one = await world.refer("N05", patient=number)
    other = await world.refer("N05", by="his-b", patient=number)
    assert one.patient != other.patient
    assert (await world.party("his-b").get(one.patient)).status == 404
    found = await world.party("his-b").search(f"Patient?identifier={number['identifier'][0]['value']}")
    assert [each["id"] for each in found] == [other.patient.split("/")[1]]


# ---- the audit -------------------------------------------------------------------------------------------------------


async def lines(world: World) -> list[dict[str, Any]]:
    async with world.as_owner() as connection:
        return [dict(row) for row in await connection.fetch("SELECT * FROM audit ORDER BY at, id")]


async def test_every_read_and_write_of_a_person_is_written_down_with_whom_it_touched(world: World) -> None:
    referred = await world.refer("N05")
    patient, request = referred.patient.split("/")[1], referred.request.split("/")[1]
    hospital, agency = world.party("his-a"), world.party("agency-a")
    offer = await world.offer(referred)

    async def last() -> dict[str, Any]:
        return (await lines(world))[-1]

    await hospital.read(referred.patient)
    line = await last()
    assert (line["action"], line["interaction"], line["outcome"]) == ("R", "read", "success")
    assert str(line["resource_id"]) == patient and [str(p) for p in line["patients"]] == [patient]

    await hospital.search(f"Patient?_id={patient}")
    line = await last()
    assert (line["action"], line["interaction"]) == ("E", "search") and [str(p) for p in line["patients"]] == [patient]

    done(await agency.put(offer, status="accepted"))
    line = await last()
    assert (line["action"], line["resource_type"], line["outcome"]) == ("U", "Task", "success")
    assert [str(r) for r in line["referrals"]] == [request] and str(line["organization_id"]) == world.organizations[
        "agency-a"
    ].split("/")[1]
    assert line["platform_reasons"]

    for path in ("$timeline", "_history", "_history/1"):
        done(await hospital.get(f"{referred.request}/{path}"))
        line = await last()
        assert line["action"] == "R" and patient in [str(p) for p in line["patients"]], path


async def test_a_refused_attempt_is_written_down_too_though_it_changed_nothing(world: World) -> None:
    referred = await world.refer("N05")
    offer = await world.offer(referred)
    agency, stranger = world.party("agency-a"), world.party("agency-b")
    async with nothing_changes(world):
        before = len(await lines(world))
        assert (await agency.put(offer, status="completed")).status == 422
        assert (await stranger.get(referred.patient)).status == 404
        assert (await stranger.put(offer, status="accepted")).status == 404
        after = (await lines(world))[before:]
    assert [(line["action"], line["outcome"]) for line in after] == [
        ("U", "refused"),
        ("R", "refused"),
        ("U", "refused"),
    ]
    assert after[0]["why"] and str(after[1]["resource_id"]) == referred.patient.split("/")[1]
    text = str(after)
    assert "陈素芬" not in text and "13800000001" not in text


async def test_the_auditor_reads_the_audit(world: World) -> None:
    from adapters import worker

    referred = await world.refer("N05")
    await world.party("his-a").read(referred.patient)
    await worker.chain(world.database)
    found = await world.party("auditor").search(f"AuditEvent?patient={referred.patient}")
    assert {each["action"] for each in found} == {"E", "R"}
    assert "陈素芬" not in str(found)
    for other in ("his-a", "agency-a", "his-b", "platform"):
        assert (await world.party(other).get("AuditEvent")).status == 403
