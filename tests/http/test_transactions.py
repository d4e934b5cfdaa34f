"""A transaction that places no request: entries find one another in any order, and a person who is known keeps the id."""

import uuid
from typing import Any

from tests.http.world import World, submission

ANSWERED = {
    "resourceType": "QuestionnaireResponse",
    "status": "completed",
    "item": [{"linkId": "/44260-8", "answer": [{"valueInteger": 0}]}],
}


def posted(url: str, resource: dict[str, Any]) -> dict[str, Any]:
    return {"fullUrl": url, "resource": resource, "request": {"method": "POST", "url": resource["resourceType"]}}


async def test_entries_find_the_patient_wherever_it_stands(world: World) -> None:
    hospital = world.party("his-a")
    person, stay = (entry["resource"] for entry in submission("N05")["entry"][:2])
    for known in (False, True):
        url = f"urn:uuid:{uuid.uuid4()}"
        entries = [
            posted(f"urn:uuid:{uuid.uuid4()}", ANSWERED | {"subject": {"reference": url}}),
            posted(f"urn:uuid:{uuid.uuid4()}", stay | {"subject": {"reference": url}}),
            posted(url, person),
        ]
        answer = await hospital.post("", {"resourceType": "Bundle", "type": "transaction", "entry": entries})
        assert [entry["response"]["status"][:3] for entry in answer["entry"]] == [
            "201",
            "201",
            "200" if known else "201",
        ]
        read = [
            await hospital.read(entry["response"]["location"].partition("/_history")[0]) for entry in answer["entry"]
        ]
        assert read[0]["subject"]["reference"] == read[1]["subject"]["reference"] == f"Patient/{read[2]['id']}"


async def test_a_relative_reference_names_the_entry_of_the_same_server(world: World) -> None:
    person = submission("N05")["entry"][0]["resource"] | {"id": "p-1"}
    entries = [
        posted("http://his.example.org/fhir/Patient/p-1", person),
        posted(
            "http://his.example.org/fhir/QuestionnaireResponse/q-1",
            ANSWERED | {"id": "q-1", "subject": {"reference": "Patient/p-1"}},
        ),
    ]
    answer = await world.party("his-a").post("", {"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert answer.status == 200, answer


async def test_one_refused_entry_refuses_all_and_is_named(world: World) -> None:
    hospital = world.party("his-a")
    person = submission("N05")["entry"][0]["resource"]
    entries = [posted("urn:uuid:1", person), posted("urn:uuid:2", {"resourceType": "Claim", "status": "active"})]
    answer = await hospital.post("", {"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert answer.status == 404 and answer["issue"][0]["expression"][0].startswith("Bundle.entry[1].")
    number = person["identifier"][0]
    assert await hospital.search(f"Patient?identifier={number['system']}|{number['value']}") == []


async def test_names_whose_parts_are_only_extensions_are_taken(world: World) -> None:
    person = submission("N05")["entry"][0]["resource"]
    extension = {
        "extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}]
    }
    name = {"family": "陈", "given": [None, "素芬"], "_given": [extension, None]}
    made = await world.party("his-a").post("Patient", person | {"name": [name]})
    assert made.status == 201 and made["name"] == [name]
