"""fhirpy, from PyPI: its own ways to create, get or create, search, count and page, on the service."""

import uuid
from typing import Any

import pytest
from fhirpy import AsyncFHIRClient
from fhirpy.base.exceptions import MultipleResourcesFound, OperationOutcome, ResourceNotFound

from tests.clients.conftest import Served
from tests.http.world import submission


@pytest.fixture
def hospital(served: Served) -> AsyncFHIRClient:
    return AsyncFHIRClient(served.url, authorization=f"Bearer {served.token('his-a')}")


@pytest.fixture
def agency(served: Served) -> AsyncFHIRClient:
    return AsyncFHIRClient(served.url, authorization=f"Bearer {served.token('agency-a')}")


def person(number: str | None = None) -> dict[str, Any]:
    return {
        "identifier": [{"system": "urn:his-a:patient", "value": number or f"ZY-{uuid.uuid4()}"}],
        "name": [{"text": "林示例"}],
        "gender": "female",
        "birthDate": "1952-03-15",
    }


async def test_create_read_save_and_refresh(hospital: AsyncFHIRClient) -> None:
    made = hospital.resource("Patient", **person())
    await made.save()
    assert made.id and made["meta"]["versionId"] == "1"
    found = await hospital.reference("Patient", made.id).to_resource()
    assert found["birthDate"] == "1952-03-15"
    found["gender"] = "male"
    await found.save()
    await made.refresh()
    assert made["gender"] == "male"


async def test_get_or_create_makes_one_and_finds_it(hospital: AsyncFHIRClient) -> None:
    number = f"ZY-{uuid.uuid4()}"
    search = hospital.resources("Patient").search(identifier=f"urn:his-a:patient|{number}")
    made, created = await search.get_or_create(hospital.resource("Patient", **person(number)))
    again, anew = await search.get_or_create(hospital.resource("Patient", **person(number)))
    assert created and not anew and made.id == again.id
    assert (await search.get()).id == made.id


async def test_its_patch_is_no_patch_of_fhir_and_is_told_what_is(hospital: AsyncFHIRClient) -> None:
    made = hospital.resource("Patient", **person())
    await made.save()
    made["gender"] = "other"
    with pytest.raises(OperationOutcome) as raised:
        await made.save(fields=["gender"])  # it sends a part of the resource as application/json
    assert "application/json-patch+json" in raised.value.resource["issue"][0]["details"]["text"]
    await made.refresh()
    assert made["gender"] == "female"


async def test_conditional_update(hospital: AsyncFHIRClient) -> None:
    number = f"ZY-{uuid.uuid4()}"
    search = hospital.resources("Patient").search(identifier=f"urn:his-a:patient|{number}")
    made, created = await search.update(hospital.resource("Patient", **person(number)))
    assert created
    changed, anew = await search.update(hospital.resource("Patient", **person(number) | {"gender": "other"}))
    assert not anew and changed.id == made.id and changed["gender"] == "other"


async def test_search_count_limit_sort_include_and_has(served: Served, hospital: AsyncFHIRClient) -> None:
    for _ in range(5):
        await served.world.refer("N05")
    tasks = hospital.resources("Task")
    assert await tasks.search(status="requested").count() == 10  # each parent, and its offer
    assert len(await tasks.search(code__not="follow-up").limit(2).fetch()) == 2
    assert len(await tasks.limit(2).fetch_all()) == 10
    first = await tasks.sort("-_lastUpdated").first()
    assert first["resourceType"] == "Task"
    bundle = await tasks.include("Task", "focus").limit(4).fetch_raw()
    assert {entry.resource["resourceType"] for entry in bundle.entry} == {"Task", "ServiceRequest"}
    patients = await hospital.resources("Patient").has("ServiceRequest", "patient", status="active").fetch()
    assert len(patients) == 5
    slim = await tasks.elements("status").first()
    assert slim["status"] == "requested" and "businessStatus" not in slim


async def test_a_referral_is_sent_as_a_transaction_and_accepted_by_the_agency(
    hospital: AsyncFHIRClient, agency: AsyncFHIRClient
) -> None:
    answer = await hospital.execute("", method="post", data=submission("N05"))
    assert answer["type"] == "transaction-response"
    offer = await agency.resources("Task").search(status="requested").first()
    offer["status"] = "accepted"
    await offer.save()
    assert offer["businessStatus"]["coding"][0]["code"] == "awaiting-consent"
    history = await agency.execute(f"Task/{offer.id}/_history", method="get")
    assert history["total"] == 2


async def test_what_is_not_there_or_not_done_says_so(hospital: AsyncFHIRClient) -> None:
    with pytest.raises(ResourceNotFound):
        await hospital.reference("Patient", str(uuid.uuid4())).to_resource()
    with pytest.raises(OperationOutcome) as raised:
        await hospital.resource("Patient", **person() | {"gender": "bogus"}).save()
    assert raised.value.resource["issue"][0]["expression"] == ["Patient.gender"]
    made = hospital.resource("Patient", **person())
    await made.save()
    with pytest.raises(OperationOutcome):
        await made.delete()
    with pytest.raises((ResourceNotFound, OperationOutcome)):
        await hospital.resources("Medication").fetch()
    with pytest.raises(MultipleResourcesFound):
        twin = hospital.resource("Patient", **person())
        await twin.save()
        await hospital.resources("Patient").get()
