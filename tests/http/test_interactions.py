"""What may be asked of a resource: by id or by a condition, with preferences, and by operations."""

import asyncio
import json
import uuid
from typing import Any

import pytest

from tests.http.loop import done, message, procedure, started
from tests.http.world import Answered, Party, World, submission

PATCH = "application/json-patch+json"
ORDERS = "urn:his-a:thing"


def person(**changes: Any) -> dict[str, Any]:
    return submission("N05")["entry"][0]["resource"] | changes


def condition(of: str, value: str, **changes: Any) -> dict[str, Any]:
    """A Condition of a patient, with a number of the hospital's own."""
    return {
        "resourceType": "Condition",
        "identifier": [{"system": ORDERS, "value": value}],
        "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-category", "code": "problem-list-item"}]}],
        "code": {"text": "独居"},
        "subject": {"reference": of},
    } | changes  # fmt: skip


def query(resource: dict[str, Any]) -> str:
    identifier = resource["identifier"][0]
    return f"identifier={identifier['system']}|{identifier['value']}"


def counted(answers: list[Answered]) -> dict[int, int]:
    found: dict[int, int] = {}
    for answer in answers:
        found[answer.status] = found.get(answer.status, 0) + 1
    return found


# ---- conditions --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("type", ["ServiceRequest", "Patient", "Encounter", "Condition"])
async def test_behaviour_5_of_fifty_conditional_creates_at_once_one_makes_it(world: World, type: str) -> None:
    hospital = world.party("his-a")
    known = done(await hospital.post("Patient", person()))
    of, value = f"Patient/{known['id']}", str(uuid.uuid4())
    order = {key: value for key, value in submission("N05")["entry"][2]["resource"].items() if key != "encounter"}
    new: dict[str, dict[str, Any]] = {
        "ServiceRequest": order | {"subject": {"reference": of}},
        "Patient": person(),
        "Encounter": submission("N05")["entry"][1]["resource"]
        | {"identifier": [{"system": ORDERS, "value": value}], "subject": {"reference": of}},
        "Condition": condition(of, value),
    }
    sent = new[type]
    answers = await asyncio.gather(*(hospital.post(type, sent, if_none_exist=query(sent)) for _ in range(50)))
    assert counted(list(answers)) == {201: 1, 200: 49}
    assert len({answer["id"] for answer in answers}) == 1
    assert len(await hospital.search(f"{type}?{query(sent)}")) == 1


async def test_a_condition_is_understood_or_refused(world: World) -> None:
    hospital = world.party("his-a")
    known = done(await hospital.post("Patient", person()))
    for number in ("1", "2"):
        done(await hospital.post("Condition", condition(f"Patient/{known['id']}", number)))
    new = condition(f"Patient/{known['id']}", "3")
    before = len(await hospital.search("Condition"))
    for said, status in ((f"patient={known['id']}", 412), ("colour=red", 400), ("", 400), ("identifier=", 400), ("_count=1", 400)):  # fmt: skip
        answer = await hospital.post("Condition", new, if_none_exist=said)
        assert answer.status == status, (said, answer)
    assert len(await hospital.search("Condition")) == before


async def test_an_update_by_condition_makes_changes_or_is_refused(world: World) -> None:
    hospital = world.party("his-a")
    known = done(await hospital.post("Patient", person()))
    of = f"Patient/{known['id']}"
    one, two = condition(of, "1"), condition(of, "2")
    made = await hospital.ask("PUT", f"Condition?{query(one)}", one)
    assert made.status == 201 and made.headers["location"].endswith(f"Condition/{made['id']}/_history/1")
    changed = await hospital.ask("PUT", f"Condition?{query(one)}", one | {"code": {"text": "跌倒风险"}})
    assert (changed.status, changed["id"], changed["meta"]["versionId"]) == (200, made["id"], "2")
    own = await hospital.ask("PUT", f"Condition?{query(one)}", one | {"id": made["id"]}, if_match='W/"2"')
    assert own.status == 200
    for path, body, headers, status in (
        (f"Condition?{query(one)}", one | {"id": str(uuid.uuid4())}, {}, 400),
        (f"Condition?{query(one)}", one, {"if_match": 'W/"1"'}, 412),
        (f"Condition?{query(two)}", two | {"id": str(uuid.uuid4())}, {}, 400),
        ("Condition", one, {}, 400),
        ("Condition?colour=red", one, {}, 400),
    ):
        assert (await hospital.ask("PUT", path, body, **headers)).status == status, (path, headers)
    done(await hospital.post("Condition", two))
    several = await hospital.ask("PUT", f"Condition?patient={of}", one)
    assert several.status == 412 and several["issue"][0]["code"] == "multiple-matches"
    # What is never created by a client is not created by a condition either.
    service = (await world.party("agency-a").search("HealthcareService?_count=1"))[0]
    del service["id"]
    none = await world.party("agency-a").ask("PUT", f"HealthcareService?_id={uuid.uuid4()}", service)
    assert none.status == 404
    assert (await hospital.ask("DELETE", f"Condition?{query(one)}")).status == 405


async def test_updates_by_one_condition_at_once_make_one(world: World) -> None:
    hospital = world.party("his-a")
    known = done(await hospital.post("Patient", person()))
    one = condition(f"Patient/{known['id']}", "1")
    answers = await asyncio.gather(*(hospital.ask("PUT", f"Condition?{query(one)}", one) for _ in range(10)))
    assert counted(list(answers)) == {201: 1, 200: 9}
    assert len(await hospital.search(f"Condition?{query(one)}")) == 1


async def test_a_patch_by_condition_changes_the_one_that_fits(world: World) -> None:
    hospital = world.party("his-a")
    known = done(await hospital.post("Patient", person()))
    changes = [{"op": "replace", "path": "/birthDate", "value": "1953-01-01"}]
    for said, status in ((query(known), 200), (query(person()), 404), ("gender=female", 412 if False else 200)):
        answer = await hospital.ask("PATCH", f"Patient?{said}", changes, kind=PATCH)
        assert answer.status == status, (said, answer)
    done(await hospital.post("Patient", person()))
    assert (await hospital.ask("PATCH", "Patient?gender=female", changes, kind=PATCH)).status == 412
    assert (await hospital.read(f"Patient/{known['id']}"))["birthDate"] == "1953-01-01"


async def test_a_patch_that_cannot_be_done_names_its_operation(world: World) -> None:
    hospital = world.party("his-a")
    known = done(await hospital.post("Patient", person()))
    good = {"op": "replace", "path": "/birthDate", "value": "1953-01-01"}
    for bad, status in (
        ({"op": "remove", "path": "/name/7"}, 400),
        ({"op": "whim", "path": "/name"}, 400),
        ({"op": "test", "path": "/birthDate", "value": "1900-01-01"}, 409),
    ):
        answer = await hospital.ask("PATCH", f"Patient/{known['id']}", [good, bad], kind=PATCH)
        assert answer.status == status and "operation 2 of 2" in answer["issue"][0]["details"]["text"], answer


# ---- versions ----------------------------------------------------------------------------------------------------------


async def test_behaviour_13_a_stale_version_is_refused_and_of_two_at_once_one_wins(world: World) -> None:
    offer = await world.offer(await world.refer("N05"))
    agency = world.party("agency-a")
    assert (await agency.put(offer, status="accepted", if_match='W/"99"')).status == 412
    current = f'W/"{offer["meta"]["versionId"]}"'
    answers = await asyncio.gather(
        agency.put(offer, status="accepted", if_match=current),
        agency.put(offer, status="rejected", if_match=current,
                   statusReason={"coding": [{"system": "urn:yuanshe:decline-reason", "code": "at-capacity"}], "text": "已满"}),
    )  # fmt: skip
    assert sorted(answer.status for answer in answers) == [200, 412], answers


async def test_behaviour_9_an_offset_of_time_keeps_the_moment(world: World) -> None:
    hospital = world.party("his-a")
    known = done(await hospital.post("Patient", person()))
    of = f"Patient/{known['id']}"
    for number, moment in enumerate(("2026-03-04T10:00:00+08:00", "2026-03-03T21:00:00-05:00", "2026-03-04T07:30:00+05:30",
                                     "2026-03-04T02:00:00Z", "2026-03-04T02:00:00.000Z")):  # fmt: skip
        made = done(await hospital.post("Condition", condition(of, str(number), recordedDate=moment)))
        assert (await hospital.read(f"Condition/{made['id']}"))["recordedDate"] == moment
    for asked in ("2026-03-04T02:00:00Z", "2026-03-04T10:00:00%2B08:00", "2026-03-03T21:00:00-05:00"):
        assert len(await hospital.search(f"Condition?patient={of}&recorded-date={asked}")) == 5, asked
    assert await hospital.search(f"Condition?patient={of}&recorded-date=lt2026-03-04T02:00:00Z") == []
    for moment in ("2026-03-04T10:00:00", "2026-13-04T10:00:00Z", "yesterday"):
        wrong = await hospital.post("Condition", condition(of, "wrong", recordedDate=moment))
        assert wrong.status in (400, 422) and "recordedDate" in wrong["issue"][0]["expression"][0]


# ---- preferences -------------------------------------------------------------------------------------------------------


async def test_a_write_answers_in_the_form_that_is_preferred(world: World) -> None:
    hospital = world.party("his-a")
    for wish, form in (("minimal", None), ("representation", "Patient"), ("OperationOutcome", "OperationOutcome")):
        made = await hospital.post("Patient", person(), prefer=f"return={wish}")
        assert (made.status, made.get("resourceType")) == (201, form)
        assert made.headers["preference-applied"] == f"return={wish}" and made.headers["etag"] == 'W/"1"'
        one = made.headers["location"].partition("/fhir/")[2].partition("/_history")[0]
        changed = dict(await hospital.read(one)) | {"birthDate": "1953-01-01"}
        put = await hospital.ask("PUT", one, changed, prefer=f"return={wish}; handling=strict")
        assert (put.status, put.get("resourceType"), put.headers["etag"]) == (200, form, 'W/"2"')
    assert (await hospital.get("Patient?colour=red", prefer="handling=strict")).status == 400
    assert (await hospital.get("Patient?colour=red", prefer="handling=lenient")).status == 200


async def test_an_answer_is_laid_out_for_reading_when_asked(world: World) -> None:
    token = world.said["clients"]["his-a"]["access_token"]
    known = done(await world.party("his-a").post("Patient", person()))
    url = f"http://yuanshe.test/fhir/Patient/{known['id']}"
    headers = {"authorization": f"Bearer {token}"}
    plain, pretty = (
        await world.http.get(f"{url}?_format=json", headers=headers),
        await world.http.get(f"{url}?_pretty=true", headers=headers),
    )
    assert plain.json() == pretty.json() and "\n  " in pretty.text and "\n" not in plain.text
    head = await world.http.head(url, headers=headers)
    assert not head.content and head.headers["etag"] == plain.headers["etag"]
    assert int(head.headers["content-length"]) > 0


# ---- operations --------------------------------------------------------------------------------------------------------


async def pages(party: Party, path: str) -> list[dict[str, Any]]:
    """Every page of an answer."""
    found: list[dict[str, Any]] = []
    following: str | None = path
    while following:
        page = await party.get(following)
        assert page.status == 200, page
        found.append(page)
        following = next(
            (link["url"].partition("/fhir/")[2] for link in page["link"] if link["relation"] == "next"), None
        )
    return found


def names(*found: dict[str, Any]) -> list[str]:
    entries = [entry["resource"] for page in found for entry in page.get("entry", ())]
    return [f"{each['resourceType']}/{each['id']}" for each in entries]


async def test_everything_about_a_person_is_read_in_pages(world: World) -> None:
    hospital, referred = world.party("his-a"), await world.refer("N05")
    other = await world.refer("N05")
    for number in range(5):
        done(await hospital.post("Condition", condition(referred.patient, str(number))))
    path = f"{referred.patient}/$everything"
    whole = await hospital.read(path)
    held = names(whole)
    assert whole["total"] == len(held) == len(set(held)) and held[0] == referred.patient
    assert {referred.request, referred.stay} < set(held) and not {other.patient, other.request} & set(held)
    assert sum(name.startswith("Condition/") for name in held) == 5
    by_twos = await pages(hospital, f"{path}?_count=2")
    assert names(*by_twos) == held and all(len(page.get("entry", ())) <= 2 for page in by_twos)
    assert "total" not in by_twos[0]
    some = await hospital.read(f"{path}?_type=Condition,Patient")
    assert {name.split("/")[0] for name in names(some)} == {"Condition", "Patient"}
    posted = await hospital.post(path, {"resourceType": "Parameters", "parameter": [
        {"name": "_type", "valueString": "Encounter"}, {"name": "_count", "valueInteger": 10}]})  # fmt: skip
    assert names(posted) == [referred.stay]
    assert names(await hospital.read(f"{path}?_since=2999-01-01T00:00:00Z")) == []
    for wrong in ("_since=yesterday", "_count=0", "_type=Nothing", "_cursor=x", "start=2026-01-01"):
        assert (await hospital.get(f"{path}?{wrong}")).status == 400, wrong
    assert (await hospital.get(f"{path}?colour=red", prefer="handling=strict")).status == 400
    assert (await hospital.get(f"{path}?colour=red")).status == 200


async def test_everything_shows_an_agency_what_was_disclosed_and_no_more(world: World) -> None:
    referred = await world.refer("N05")
    agency, path = world.party("agency-a"), f"{referred.patient}/$everything"
    offer = await world.offer(referred)
    # Neither the person, whom it does not know, nor the stand-in, who is nobody.
    assert (await agency.get(path)).status == 404
    assert (await agency.get(f"{offer['for']['reference']}/$everything")).status == 404
    share = await started(world, referred)
    done(await agency.post("Procedure", procedure(share)))
    seen = set(names(await agency.read(path)))
    assert {referred.patient, referred.request, f"Task/{share['id']}"} <= seen
    assert any(name.startswith("Procedure/") for name in seen)
    for name in seen:
        assert (await agency.get(name)).status == 200, name
    for other in ("agency-b", "his-b"):
        assert (await world.party(other).get(path)).status == 404
    assert (await world.party("auditor").get(path)).status == 403
    consent = (await world.party("his-a").search(f"Consent?patient={referred.patient}"))[0]
    done(await world.party("his-a").put(consent, status="inactive"))
    assert (await agency.get(path)).status == 404


async def test_what_is_about_a_person_is_found_in_their_compartment(world: World) -> None:
    hospital, referred, other = world.party("his-a"), await world.refer("N05"), await world.refer("N05")
    stays = await hospital.read(f"{referred.patient}/Encounter?status=in-progress")
    assert names(stays) == [referred.stay]
    assert names(await hospital.read(f"{referred.patient}/Encounter?_id={other.stay.split('/')[1]}")) == []
    form = "application/x-www-form-urlencoded"
    posted = await hospital.ask("POST", f"{referred.patient}/Encounter/_search", "status=in-progress", kind=form)
    assert names(posted) == [referred.stay]
    assert (await hospital.get(f"{referred.patient}/Organization")).status == 404
    assert (await world.party("his-b").read(f"{referred.patient}/Encounter"))["total"] == 0


async def test_a_resource_is_validated_without_being_stored(world: World) -> None:
    hospital = world.party("his-a")
    right = person()
    wrong = right | {"gender": "robot", "birthDate": "not a day"}

    def given(resource: dict[str, Any], **said: str) -> dict[str, Any]:
        parameter: list[dict[str, Any]] = [{"name": "resource", "resource": resource}]
        parameter += [{"name": name, "valueCode": value} for name, value in said.items()]
        return {"resourceType": "Parameters", "parameter": parameter}

    def errors(answer: Answered) -> set[str]:
        assert (answer.status, answer["resourceType"]) == (200, "OperationOutcome"), answer
        return {
            issue.get("expression", ["Parameters"])[0]
            for issue in answer["issue"]
            if issue["severity"] in ("error", "fatal")
        }

    for body in (right, given(right), given(right, mode="create")):
        assert errors(await hospital.post("Patient/$validate", body)) == set()
    for body in (wrong, given(wrong)):
        assert errors(await hospital.post("Patient/$validate", body)) == {"Patient.gender", "Patient.birthDate"}
    assert "Patient.id" in errors(await hospital.post("Patient/$validate?mode=update", right))
    known = done(await hospital.post("Patient", right))
    one = f"Patient/{known['id']}/$validate"
    assert errors(await hospital.post(f"{one}?mode=update", dict(known))) == set()
    assert errors(await hospital.post(f"{one}?mode=update", known | {"id": str(uuid.uuid4())})) == {"Patient.id"}
    assert errors(await hospital.post(f"{one}?mode=profile", b"")) == set()
    assert errors(await hospital.post(f"{one}?mode=delete", b"")) == {"Patient"}
    assert (await hospital.post("Patient/$validate", b"")).status == 400
    assert (await hospital.post(f"Patient/{uuid.uuid4()}/$validate", b"")).status == 404
    assert errors(await hospital.post("Patient/$validate?profile=http://example.org/no-such-profile", right))
    assert (await hospital.read(f"Patient/{known['id']}/_history"))["total"] == 1


async def test_a_timeline_is_read_and_not_posted(world: World) -> None:
    referred = await world.refer("N05")
    posted = await world.party("his-a").post(f"{referred.request}/$timeline", b"")
    assert (posted.status, posted.headers["allow"]) == (405, "GET, HEAD")
    assert json.dumps(await world.party("his-a").read(f"{referred.request}/$timeline"))
    assert (await world.party("agency-a").post("ServiceRequest/$route", submission("N05"))).status == 403
    assert message("question")


async def test_what_is_asked_to_be_new_is_refused_where_it_exists(world: World) -> None:
    hospital = world.party("his-a")
    person = submission()["entry"][0]["resource"]
    made = await hospital.post("Patient", person)
    number = f"{person['identifier'][0]['system']}%7C{person['identifier'][0]['value']}"
    for path in (f"Patient/{made['id']}", f"Patient?identifier={number}"):
        again = await hospital.ask("PUT", path, dict(made), if_none_match="*")
        assert again.status == 412, again
    assert (await hospital.read(f"Patient/{made['id']}"))["meta"]["versionId"] == "1"
    absent = await hospital.ask(
        "PUT", f"Patient/{world.organizations['agency-a'].split('/')[1]}", dict(made), if_none_match="*"
    )
    assert absent.status in (400, 404), absent
