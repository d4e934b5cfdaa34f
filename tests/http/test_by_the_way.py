"""What one may not read is not told by the way either: by a stored answer, a link, a chain, or a refusal that differs."""

import uuid
from typing import Any
from urllib.parse import unquote

import pytest

from tests.http.loop import procedure
from tests.http.submitting import SECRETS
from tests.http.test_scopes import bundle, narrow
from tests.http.world import CITIZEN, World, submission

JSON_PATCH = "application/json-patch+json"
NUMBER, OWN_NUMBER = "520502195203150020", "ZY-4711"
PERSON: dict[str, Any] = {
    "identifier": [{"system": CITIZEN, "value": NUMBER}, {"system": "urn:his-a:patient", "value": OWN_NUMBER}]
}


def asking(*urls: str) -> dict[str, Any]:
    return bundle("transaction", *({"request": {"method": "GET", "url": url}} for url in urls))


async def test_an_answer_that_is_given_again_shows_nobody_who_was_withdrawn_meanwhile(world: World) -> None:
    referred, agency, hospital = await world.refer("N05"), world.party("agency-a"), world.party("his-a")
    share = await world.accepted(referred, consent=False)
    consent = await world.consent(referred, "agency-a")
    asked, named = asking(referred.patient, f"Task/{share['id']}"), {"x_request_id": str(uuid.uuid4())}
    first = await agency.post("", asked, **named)
    again = await agency.post("", asked, **named)
    assert SECRETS[0] in str(first) and dict(again) == dict(first)
    assert (await hospital.put(dict(consent), status="inactive")).status == 200
    after = await agency.post("", asked, **named)
    assert (after.status, after.headers["idempotent-replayed"]) == (200, "true")
    assert not any(secret in str(after) for secret in SECRETS)
    # What became of each entry is told all the same.
    assert [set(entry) for entry in after["entry"]] == [{"response"}] * 2


async def test_what_an_agency_did_is_told_again_without_the_resource(world: World) -> None:
    referred, agency = await world.refer("N05"), world.party("agency-a")
    share = await world.accepted(referred, consent=False)
    consent = await world.consent(referred, "agency-a")
    share = await agency.read(f"Task/{share['id']}")
    started = dict(share) | {"status": "in-progress"}
    named = {"x_request_id": str(uuid.uuid4())}
    first = await agency.ask("PUT", f"Task/{share['id']}", started, **named)
    assert first.status == 200 and referred.patient in str(first)
    assert (await world.party("his-a").put(dict(consent), status="inactive")).status == 200
    again = await agency.ask("PUT", f"Task/{share['id']}", started, **named)
    assert (again.status, dict(again), again.headers["etag"]) == (200, {}, first.headers["etag"])


@pytest.mark.parametrize(
    "query",
    (
        f"Task?patient:identifier={CITIZEN}|{NUMBER}",
        f"Encounter?patient:identifier={NUMBER}",
        f"Task?focus.patient:identifier={NUMBER}",
        f"ServiceRequest?_has:Task:focus:patient:identifier={NUMBER}",
    ),
)
async def test_no_link_holds_the_number_of_whoever_is_referenced(world: World, query: str) -> None:
    for _ in range(2):
        await world.refer("N05", patient=PERSON)
    found = await world.party("his-a").get(f"{query}&_count=1")
    assert found.status == 200 and len(found["entry"]) >= 2
    links = [unquote(link["url"]) for link in found["link"] if link["relation"] != "self"]
    assert not any(NUMBER in link for link in links), links


async def test_an_agency_finds_a_person_by_no_number_that_it_is_not_told(world: World) -> None:
    referred, agency = await world.refer("N05", patient=PERSON), world.party("agency-a")
    await world.accepted(referred)
    shown = await agency.read(referred.patient)
    assert [each["system"] for each in shown["identifier"]] == [CITIZEN]
    assert len(await agency.search(f"Patient?identifier={NUMBER}")) == 1
    for wanted in (OWN_NUMBER, f"urn:his-a:patient|{OWN_NUMBER}", "urn:his-a:patient|"):
        for query in (f"Patient?identifier={wanted}", f"Task?patient.identifier={wanted}", f"Task?patient:identifier={wanted}"):  # fmt: skip
            assert await agency.search(query) == [], query
            assert len(await world.party("his-a").search(query)) >= 1


async def test_an_auditor_meets_nobodys_resources_by_way_of_the_directory(world: World) -> None:
    await world.refer("N05")
    async with world.as_owner() as connection:
        # An auditor of the hospital's own, whose rows the policies would show.
        await connection.execute(
            "UPDATE client SET organization_id = $1, scope = 'system/*.rs' WHERE client_id = $2",
            uuid.UUID(world.organizations["hospital-a"].partition("/")[2]),
            world.said["clients"]["auditor"]["client_id"],
        )
    auditor = await narrow(world, "auditor", "system/*.rs")
    assert {each["resourceType"] for each in await auditor.search("Organization")} == {"Organization"}
    along = await auditor.get("Organization?_revinclude=ServiceRequest:requester&_revinclude=Task:owner")
    assert {entry["resource"]["resourceType"] for entry in along["entry"]} == {"Organization"}
    for chain in ("_has:ServiceRequest:requester:status=active", "_has:Communication:sender:sent=gt2020"):
        assert (await auditor.get(f"Organization?{chain}")).status == 403


async def test_a_request_that_is_not_open_to_an_agency_is_like_one_that_there_is_not(world: World) -> None:
    referred, agency = await world.refer("N05"), world.party("agency-a")
    share = await world.accepted(referred, consent=False)
    answers: list[Any] = []
    for request in (referred.request, f"ServiceRequest/{uuid.uuid4()}"):
        answers.append(await agency.post("Procedure", procedure(share, basedOn=[{"reference": request}])))
    assert [answer.status for answer in answers] == [404, 404]
    assert dict(answers[0]) == dict(answers[1])


async def test_a_test_in_a_patch_needs_the_scope_to_read(world: World) -> None:
    referred = await world.refer("N05")
    for scope, statuses in (("system/Patient.u", [403, 403]), ("system/Patient.ru", [200, 409])):
        writer = await narrow(world, "his-a", scope)
        answers = [
            await writer.ask(
                "PATCH", referred.patient, [{"op": "test", "path": "/birthDate", "value": born}], kind=JSON_PATCH
            )
            for born in ("1952-03-15", "1953-03-15")
        ]
        assert [answer.status for answer in answers] == statuses
        if scope == "system/Patient.u":
            assert dict(answers[0]) == dict(answers[1])


async def test_another_hospitals_request_is_replaced_no_more_than_one_that_there_is_not(world: World) -> None:
    referred = await world.refer("N05")
    answers: list[Any] = []
    for request in (referred.request, f"ServiceRequest/{uuid.uuid4()}"):
        sent = submission("N05", request={"replaces": [{"reference": request}]})
        answers.append(await world.party("his-b").post("", sent))
    assert answers[0].status == 404
    assert dict(answers[0]) == dict(answers[1])
