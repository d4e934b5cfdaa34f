"""The same submission again: stored once, answered with what is stored; anything else under that number is refused."""

import asyncio
import copy
import json
import socket

import httpx
import pytest
import uvicorn

from tests.http.submitting import SECRETS, locations, order, put_in, refused, renamed, resource, rows, statuses, words
from tests.http.world import FHIR_JSON, Party, World, submission


async def test_the_same_again_answers_200_for_each_entry_with_its_stored_location(world: World) -> None:
    hospital = world.party("his-a")
    bundle = submission("N05")
    first = await hospital.post("", bundle)
    before = await rows(world)
    again = await hospital.post("", bundle)
    assert again.status == 200 and statuses(again) == ["200", "200", "200"]
    assert locations(again) == locations(first)
    assert await rows(world) == before


async def test_other_urn_uuids_ids_meta_and_narrative_are_the_same_again(world: World) -> None:
    hospital = world.party("his-a")
    bundle = submission("N05")
    first = await hospital.post("", bundle)
    before = await rows(world)
    other = renamed(bundle)
    for entry in other["entry"]:
        entry["resource"] |= {
            "id": "another-1",
            "meta": {"lastUpdated": "2026-03-04T10:00:00Z"},
            "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">另一段</div>'},
        }
        entry["resource"] = dict(reversed(entry["resource"].items()))
    again = await hospital.post("", other)
    assert again.status == 200 and statuses(again) == ["200", "200", "200"], again
    assert locations(again) == locations(first)
    assert await rows(world) == before


async def test_names_of_another_kind_for_the_same_entries_are_the_same_again(world: World) -> None:
    hospital = world.party("his-a")
    bundle = submission("N05")
    first = await hospital.post("", bundle)
    text = json.dumps(bundle)
    for entry, name in zip(bundle["entry"], ("Patient/p-2", "Encounter/e-2", "ServiceRequest/s-2"), strict=True):
        text = text.replace(f'"fullUrl": "{entry["fullUrl"]}"', f'"fullUrl": "http://his.example/fhir/{name}"')
        text = text.replace(entry["fullUrl"], name)
    other = json.loads(text)
    for entry, id in zip(other["entry"], ("p-2", "e-2", "s-2"), strict=True):
        entry["resource"]["id"] = id
    again = await hospital.post("", other)
    assert again.status == 200 and locations(again) == locations(first), again


@pytest.mark.parametrize(
    ("type", "change"),
    [
        ("ServiceRequest", {"priority": "stat"}),
        ("ServiceRequest", {"note": [{"text": "另一句"}]}),
        ("Patient", {"telecom": [{"system": "phone", "value": "13800000009"}]}),
        ("Encounter", {"status": "arrived"}),
    ],
)
async def test_any_difference_is_a_duplicate_that_names_the_stored_one(
    world: World, type: str, change: dict[str, object]
) -> None:
    bundle = submission("N05", number="ORDER-77")
    first = await world.party("his-a").post("", bundle)
    stored = locations(first)[2].split("/_history")[0]
    answer = await refused(world, world.party("his-a"), "", put_in(bundle, **{type: change}), 409)
    assert answer["issue"][0]["code"] == "duplicate" and stored in words(answer)
    assert "ORDER-77" not in repr(answer)


async def test_entries_in_another_order_or_one_more_of_them_differ(world: World) -> None:
    hospital = world.party("his-a")
    bundle = submission("N05")
    assert (await hospital.post("", bundle)).status == 200
    turned = copy.deepcopy(bundle)
    turned["entry"].reverse()
    await refused(world, hospital, "", turned, 409)
    more = copy.deepcopy(bundle)
    form = world.consent_form(bundle["entry"][0]["fullUrl"], bundle["entry"][2]["fullUrl"], "agency-a")
    more["entry"].append({"resource": form, "request": {"method": "POST", "url": "Consent"}})
    await refused(world, hospital, "", more, 409)


async def test_a_lone_request_again(world: World) -> None:
    hospital = world.party("his-a")
    patient = await hospital.post("Patient", resource(submission(), "Patient"))
    asked = order({"reference": f"Patient/{patient['id']}"})
    first = await hospital.post("ServiceRequest", asked)
    again = await hospital.post("ServiceRequest", asked)
    assert (first.status, again.status) == (201, 200) and again["id"] == first["id"]
    assert again.headers["location"] == first.headers["location"]
    await refused(world, hospital, "ServiceRequest", asked | {"priority": "urgent"}, 409)


async def test_the_number_is_the_hospitals_own(world: World) -> None:
    first = await world.refer("N05", number="ORDER-1")
    other = await world.refer("N05", number="ORDER-1", by="his-b")
    assert first.request != other.request
    system = {"identifier": [{"system": "urn:his-a:other-orders", "value": "ORDER-1"}]}
    third = await world.refer("N05", request=system)
    assert third.request not in (first.request, other.request)


async def test_the_same_again_after_the_referral_went_on(world: World) -> None:
    hospital = world.party("his-a")
    bundle = submission("N05")
    first = await hospital.post("", bundle)
    offer = (await world.party("agency-a").search("Task?status=requested"))[0]
    assert (await world.party("agency-a").put(offer, status="accepted")).status == 200
    again = await hospital.post("", renamed(bundle))
    assert again.status == 200 and locations(again) == locations(first)


async def test_fifty_parallel_tries_over_real_connections_make_one_referral(world: World) -> None:
    listening = socket.create_server(("127.0.0.1", 0), backlog=100)
    port = listening.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(world.app, lifespan="off", log_level="error"))
    serving = asyncio.create_task(server.serve([listening]))
    bundle = submission("N05")
    token = world.said["clients"]["his-a"]["access_token"]

    async def attempt() -> httpx.Response:
        async with httpx.AsyncClient(timeout=60) as http:
            return await http.post(
                f"http://127.0.0.1:{port}/fhir",
                json=renamed(bundle),
                headers={"authorization": f"Bearer {token}", "content-type": FHIR_JSON},
            )

    try:
        answers = await asyncio.gather(*(attempt() for _ in range(50)))
    finally:
        server.should_exit = True
        await serving
    assert {answer.status_code for answer in answers} == {200}
    found = [[entry["response"] for entry in answer.json()["entry"]] for answer in answers]
    assert len({tuple(one["location"] for one in each) for each in found}) == 1
    assert sorted(each[2]["status"][:3] for each in found).count("201") == 1
    there = await rows(world)
    assert (there["referral"], there["patient"], there["stay"], there["submission"], there["task"]) == (1, 1, 1, 1, 2)


async def test_a_refused_number_may_be_used_once_its_fault_is_mended(world: World) -> None:
    hospital: Party = world.party("his-a")
    bundle = submission("N05", number="ORDER-9")
    wrong = put_in(bundle, Patient={"identifier": None})
    answer = await refused(world, hospital, "", wrong, 422)
    assert not any(secret in repr(answer) for secret in SECRETS)
    assert statuses(await hospital.post("", bundle)) == ["201", "201", "201"]
