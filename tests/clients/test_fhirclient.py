"""fhirclient (SMART), from PyPI: its own models, its own token exchange with a signed assertion, on the service."""

import asyncio
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from fhirclient import client as smart
from fhirclient.models import bundle as bundles
from fhirclient.models import patient as patients
from fhirclient.models import servicerequest as requests_
from fhirclient.models import task as tasks
from joserfc import jwt
from joserfc.jwk import import_key

from tests.clients.conftest import Served
from tests.http.world import submission


def connected(served: Served, party: str) -> Any:
    """A client that has exchanged an assertion of its own for a token, as SMART Backend Services has it."""
    said = served.world.said["clients"][party]
    token_url = served.url.removesuffix("/fhir") + "/auth/token"
    now = int(time.time())
    claims = {
        "iss": said["client_id"],
        "sub": said["client_id"],
        "aud": token_url,
        "exp": now + 240,
        "jti": str(uuid.uuid4()),
    }
    key = import_key(said["private_jwk"])
    header = {"alg": said["private_jwk"].get("alg", "ES384"), "kid": said["private_jwk"]["kid"], "typ": "JWT"}
    made = smart.FHIRClient(
        settings={
            "app_id": said["client_id"], "api_base": served.url, "scope": "system/*.cruds",
            "jwt_token": jwt.encode(header, claims, key, algorithms=[header["alg"]]),
        }
    )  # fmt: skip
    made.prepare()
    made.authorize()
    assert made.ready
    return made.server


async def of(act: Callable[..., Any], *arguments: Any) -> Any:
    """What a blocking client does, beside the service's own loop."""
    return await asyncio.to_thread(act, *arguments)


async def test_exchange_create_read_update_and_search(served: Served) -> None:
    def act() -> None:
        server = connected(served, "his-a")
        made = patients.Patient({
            "resourceType": "Patient", "identifier": [{"system": "urn:his-a:patient", "value": f"ZY-{uuid.uuid4()}"}],
            "name": [{"text": "林示例"}], "gender": "female", "birthDate": "1952-03-15",
        })  # fmt: skip
        created = made.create(server)
        held = patients.Patient.read(created["id"], server)
        assert held.birthDate.isostring == "1952-03-15" and held.meta.versionId == "1"
        held.gender = "other"
        assert held.update(server)["meta"]["versionId"] == "2"
        found = patients.Patient.where({"_id": held.id}).perform_resources(server)
        assert [each.gender for each in found] == ["other"]

    await of(act)


async def test_a_transaction_and_what_the_agency_reads_of_it(served: Served) -> None:
    def refer() -> str:
        server = connected(served, "his-a")
        answer = bundles.Bundle(server.post_json("", bundles.Bundle(submission("N05")).as_json()).json())
        assert answer.type == "transaction-response"
        located = [entry.response.location for entry in answer.entry]
        return next(each.split("/")[1] for each in located if each.startswith("ServiceRequest"))

    def accept(request: str) -> None:
        server = connected(served, "agency-a")
        offer = tasks.Task.where({"status": "requested"}).perform_resources(server)[0]
        focus = requests_.ServiceRequest.read_from(offer.focus.reference, server)
        assert focus.intent == "filler-order" and focus.id != request
        offer.status = "accepted"
        assert offer.update(server)["status"] == "accepted"

    request = await of(refer)
    await of(accept, request)


async def test_pages_follow_next_links_to_the_last(served: Served) -> None:
    for _ in range(4):
        await served.world.refer("N05")

    def act() -> None:
        server = connected(served, "his-a")
        seen = [each.id for each in tasks.Task.where({"_count": "3"}).perform_resources_iter(server)]
        assert len(seen) == len(set(seen)) == 8

    await of(act)


async def test_a_refusal_reaches_the_caller_as_an_outcome(served: Served) -> None:
    def act() -> None:
        server = connected(served, "his-a")
        with pytest.raises(Exception) as raised:
            server.post_json("Patient", {"resourceType": "Patient", "gender": "bogus"})
        assert raised.value.response.json()["issue"][0]["expression"] == ["Patient.gender"]

    await of(act)
