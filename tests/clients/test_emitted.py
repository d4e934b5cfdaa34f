"""Every resource that the service emits from the bed to the closed follow-up is one that others can read."""

import importlib
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fhir.resources import R4B
from fhirclient.models import fhirelementfactory

from tests.clients.conftest import Script
from tests.http import test_journey
from tests.http.conftest import network, network_database, world  # noqa: F401 -- fixtures
from tests.http.world import World

Resource = dict[str, Any]
ELSE = (
    "metadata", "Organization", "HealthcareService", "PractitionerRole", "Practitioner", "CodeSystem", "Task", "ServiceRequest",
    "Task?_include=Task:focus", "Patient", "Encounter", "Consent", "Communication", "Procedure",
)  # fmt: skip


def resources_in(answer: Any) -> Iterator[Resource]:
    """The resources of an answer, each by itself; a Bundle as a whole too."""
    if isinstance(answer, dict) and "resourceType" in answer:
        yield answer
        for entry in answer.get("entry", ()):
            yield from resources_in(entry.get("resource"))
            yield from resources_in(entry.get("response", {}).get("outcome"))


@pytest.fixture
async def emitted(world: World) -> list[Resource]:  # noqa: F811
    """What every party is answered in the journey, and when it looks around afterwards."""
    answers: list[Any] = []

    async def keep(response: httpx.Response) -> None:
        await response.aread()
        if "json" in response.headers.get("content-type", "") and response.content:
            answers.append(response.json())

    world.http.event_hooks["response"].append(keep)
    await test_journey.test_from_the_bed_to_the_closed_follow_up(world)
    for party in ("his-a", "agency-a", "platform"):
        for path in ELSE:
            await world.party(party).get(path)
    world.http.event_hooks["response"].remove(keep)
    found = [resource for answer in answers for resource in resources_in(answer)]
    assert len(found) > 100
    return found


async def test_fhir_resources_parses_them_all(emitted: list[Resource]) -> None:
    for resource in emitted:
        type = resource["resourceType"]
        model = getattr(importlib.import_module(f"{R4B.__name__}.{type.lower()}"), type)
        model.model_validate(resource)


async def test_fhirclient_parses_them_all(emitted: list[Resource]) -> None:
    for resource in emitted:
        fhirelementfactory.FHIRElementFactory.instantiate(resource["resourceType"], resource)


async def test_medplum_validates_them_all(emitted: list[Resource], javascript: Script) -> None:
    lines = "\n".join(json.dumps(resource, ensure_ascii=False) for resource in emitted)
    await javascript("validate.mjs", sent=lines)
