"""The life of a Subscription as a strict subscriber follows it: by its states, its numbers, its operations, and an operator's help."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.parameters import Parameters

from tests.http.outside import command, working
from tests.http.subscribing import (
    GUIDE,
    REQUEST,
    SDOHCC,
    TASK,
    focus,
    heard,
    serving,
    settled,
    status_of,
    subscribed,
    wish,
)
from tests.http.world import BASE, Answered, Party, World

PERSONAL = ("陈素芬", "13800000001", "示例街道")


@pytest.fixture
async def world(network: dict[str, Any], network_database: Any) -> AsyncIterator[World]:
    async with serving(network, network_database) as running:
        yield running


async def fares(party: Party, made: Answered) -> dict[str, Any]:
    """What $status says of one subscription."""
    found = await party.read(f"Subscription/{made['id']}/$status")
    Bundle.model_validate(found)
    (entry,) = found["entry"]
    return status_of({"entry": [entry]})


async def test_behaviour_32_requested_then_greeted_then_active_and_what_happened_meanwhile_is_told(world, worker, hook) -> None:  # fmt: skip
    hospital = world.party("his-a")
    hook.silent.add("/hook")
    second = [{"url": f"{GUIDE}/backport-timeout", "valueUnsignedInt": 1}]
    made = await hospital.post("Subscription", wish(f"{hook.url}/hook", extension=second))
    assert (made.status, made["status"]) == (201, "requested")
    greeting = await hook.next()
    assert status_of(greeting.json)["status"] == "requested"
    referred = await world.refer("N05")  # while the handshake hangs
    assert (await hospital.read(f"Subscription/{made['id']}"))["status"] == "requested"
    hook.silent.clear()
    assert (await hook.next()).id == greeting.id, "the same handshake again"
    await settled(world, hospital, made, "active")
    told = await heard(hook, 2)
    assert focus(told[0]) == f"Task/{(await world.parent(referred))['id']}"


async def test_behaviour_32_an_endpoint_that_fails_the_handshake_is_an_error_and_stays_one(world, worker, hook) -> None:
    hospital = world.party("his-a")
    hook.answers["/hook"] = ["500 SELECT secret FROM hook", "500 SELECT secret FROM hook", "204 No Content"]
    made = await hospital.post("Subscription", wish(f"{hook.url}/hook"))
    failed = await settled(world, hospital, made, "error")
    assert failed["error"] == "status-500", "a word of ours"
    await world.refer("N05")
    while (await fares(hospital, made))["events-since-subscription-start"] != "2":
        pass  # counted all the same, and nothing is sent
    assert (await fares(hospital, made))["status"] == "error"
    again = await hospital.put(failed, status="active")
    assert again["status"] == "requested", "its client resets it, by either word of the guide, and it is greeted anew"
    await settled(world, hospital, again, "active")
    assert len(await heard(hook, 2)) == 2


async def test_behaviour_33_ids_alone_in_order_retried_until_they_arrive_and_seen_in_status(
    world, worker, hook
) -> None:
    hospital = world.party("his-a")
    made = await subscribed(hospital, hook, header=["Authorization: Bearer of-the-subscriber", "X-Ward: 6"])
    await settled(world, hospital, made, "active")
    hook.answers["/hook"] = ["503 Busy"]
    referred = await world.refer("N05")
    while "error" not in (said := await fares(hospital, made)):
        pass
    assert said["status"] == "active" and said["error"] == {"text": "status-503"}
    while said["events-since-subscription-start"] != "2":
        said = await fares(hospital, made)  # both count, though neither has arrived
    hook.answers["/hook"] = ["204 No Content"]
    numbers: dict[int, str] = {}
    while len(numbers) < 2 or "error" in await fares(hospital, made):
        got = await hook.next()
        Bundle.model_validate(got.json)
        assert got.json["type"] == "history" and got.json["entry"][0]["resource"]["resourceType"] == "Parameters"
        assert not any("resource" in entry for entry in got.json["entry"][1:])
        assert all(entry["fullUrl"] and entry["request"] and entry["response"] for entry in got.json["entry"])
        assert (got.headers["authorization"], got.headers["x-ward"]) == ("Bearer of-the-subscriber", "6")
        for personal in (*PERSONAL, referred.patient):
            assert personal.encode() not in got.body
        (event,) = status_of(got.json)["events"]
        assert numbers.setdefault(int(dict(event)["event-number"]), got.id) == got.id, "tried again under the same id"
    assert sorted(numbers) == [1, 2]


async def test_behaviour_46_an_operator_sends_a_failed_notice_again_once_and_on_record(world, hook) -> None:
    hospital = world.party("his-a")
    async with working(world.clone, WEBHOOK_RETRY="0"):
        made = await subscribed(hospital, hook, "urn:yuanshe:topic:task", "Task?status=accepted")
        await settled(world, hospital, made, "active")
        hook.answers["/hook"] = ["500 Broken"]
        await world.accepted(await world.refer("N05"), consent=False)
        lost = await hook.next()
        assert (await hook.next()).id == lost.id
        while (await fares(hospital, made))["status"] != "error":
            pass  # tries ran out
        (failed,) = json.loads(await command(world.clone, "delivery", "list", "--state", "not-delivered", "--json"))
        hook.answers["/hook"] = ["204 No Content"]
        said = await command(world.clone, "delivery", "resend", failed["id"])
        assert "#1" in said and "/hook" not in said
        again = await hook.next()
    assert again.id == lost.id and status_of(again.json)["events"] == status_of(lost.json)["events"]
    told = status_of(await hospital.read(f"Subscription/{made['id']}/$events"))["events"]
    assert [dict(event)["event-number"] for event in told] == ["1"], "no number twice"
    assert (await fares(hospital, made))["status"] == "error", "which only its client resets"
    async with world.as_owner() as owner:
        wished = await owner.fetch("SELECT what, by_name FROM delivery_attempt WHERE delivery_id = $1 AND what = 'resend'", failed["id"])  # fmt: skip
        assert [tuple(row) for row in wished] == [("resend", "operator")]
        audited = await owner.fetchval("SELECT count(*) FROM audit WHERE interaction = 'delivery-resend'")
    assert audited == 1


async def test_an_endpoint_that_is_gone_is_an_error_at_once_and_what_it_missed_can_be_asked_for(
    world, worker, hook
) -> None:
    hospital = world.party("his-a")
    made = await subscribed(hospital, hook)
    await settled(world, hospital, made, "active")
    hook.answers["/hook"] = ["410 Gone"]
    await world.refer("N05")
    while (said := await fares(hospital, made))["status"] != "error":
        pass
    assert said["error"] == {"text": "gone"}
    while len(status_of(await hospital.read(f"Subscription/{made['id']}/$events"))["events"]) < 2:
        pass


async def test_the_operations_are_asked_by_parameters_too(world, worker, hook) -> None:
    hospital = world.party("his-a")
    made = await subscribed(hospital, hook)
    other = await hospital.post("Subscription", wish("https://his.example.org/hook", REQUEST))
    await settled(world, hospital, made, "active")
    await world.refer("N05")
    await heard(hook, 2)

    async def asked(path: str, *parameters: dict[str, Any]) -> Answered:
        said = {"resourceType": "Parameters", "parameter": list(parameters)}
        Parameters.model_validate(said)
        return await hospital.post(path, said)

    def named(found: Answered) -> set[str]:
        Bundle.model_validate(found)
        return {status_of({"entry": [entry]})["subscription"].rpartition("/")[2] for entry in found["entry"]}

    assert named(await asked("Subscription/$status", {"name": "id", "valueId": other["id"]})) == {other["id"]}
    both = await asked("Subscription/$status", *({"name": "id", "valueId": each["id"]} for each in (made, other)))
    assert named(both) == {made["id"], other["id"]} == named(await hospital.read("Subscription/$status"))
    assert named(await asked("Subscription/$status", {"name": "status", "valueCode": "active"})) == {made["id"]}
    assert named(await hospital.read(f"Subscription/$status?id=nothing,{made['id']}")) == {made["id"]}
    one = await asked(f"Subscription/{made['id']}/$events", {"name": "eventsSinceNumber", "valueString": "2"},
                      {"name": "eventsUntilNumber", "valueString": "2"}, {"name": "content", "valueCode": "empty"})  # fmt: skip
    (event,) = status_of(one)["events"]
    assert [name for name, _ in event] == ["event-number", "timestamp"] and len(one["entry"]) == 1
    whole = await hospital.read(f"Subscription/{made['id']}/$events?content=full-resource&eventsUntilNumber=1")
    Bundle.model_validate(whole)
    assert any(entry["resource"]["resourceType"] == "Task" for entry in whole["entry"][1:])
    for path in (
        f"Subscription/{made['id']}/$events?content=much",
        f"Subscription/{made['id']}/$events?eventsUntilNumber=x",
    ):
        assert (await hospital.get(path)).status == 400
    assert (await hospital.post("Subscription/$status", {"resourceType": "Task"})).status == 400


async def test_events_in_full_are_told_as_the_one_who_asks_may_read_them(world, worker, hook) -> None:
    agency = world.party("agency-a")
    made = await subscribed(agency, hook)
    referred = await world.refer("N05")
    await hook.next()
    told = await agency.read(f"Subscription/{made['id']}/$events?content=full-resource")
    (share,) = [entry["resource"] for entry in told["entry"][1:] if entry["resource"]["resourceType"] == "Task"]
    assert share == await agency.read(f"Task/{share['id']}") and share["for"]["reference"] != referred.patient


OLD = f"{GUIDE}/backport-topic-canonical"


@pytest.mark.parametrize("criteria", [TASK, "Task?status=accepted"])
async def test_a_topic_said_in_the_older_way_is_understood_and_shown_in_todays(world, criteria) -> None:
    asked = wish("https://his.example.org/hook") | {"criteria": criteria, "extension": [{"url": OLD, "valueUri": TASK}]}
    made = await world.party("his-a").post("Subscription", asked)
    assert made.status == 201, made
    assert made["criteria"] == TASK and not any(each["url"] == OLD for each in made["extension"])
    filters = [each["valueString"] for each in made.get("_criteria", {}).get("extension", ())]
    assert filters == ([] if criteria == TASK else [criteria])


@pytest.mark.parametrize(
    ("criteria", "topic", "at"),
    [(REQUEST, TASK, "Subscription.extension"), (TASK, "urn:none", "Subscription.extension"),
     ("Task?colour=red", TASK, "Subscription.criteria"), ("Patient?_id=1", f"{SDOHCC}/Patient", "Subscription.extension")],
)  # fmt: skip
async def test_two_topics_that_differ_and_filters_that_are_none_are_refused(world, criteria, topic, at) -> None:
    asked = wish("https://his.example.org/hook") | {
        "criteria": criteria,
        "extension": [{"url": OLD, "valueUri": topic}],
    }
    refused = await world.party("his-a").post("Subscription", asked)
    assert refused.status == 422 and refused["issue"][0]["expression"] == [at], refused


async def test_the_topics_are_found_in_the_capability_statement(world) -> None:
    said = await world.nobody.get("metadata")
    (offered,) = [each for each in said["rest"][0]["resource"] if each["type"] == "Subscription"]
    assert f"{GUIDE}/backport-subscription" in offered["supportedProfile"]
    assert {TASK, REQUEST, f"{SDOHCC}/Task"} <= {each["valueCanonical"] for each in offered["extension"]}
    for topic in (each["valueCanonical"] for each in offered["extension"]):
        assert (
            await world.party("his-a").post("Subscription", wish("https://his.example.org/hook", topic))
        ).status == 201


async def test_a_notice_is_addressed_to_this_server_and_its_operation(world, worker, hook) -> None:
    made = await world.party("his-a").post("Subscription", wish(f"{hook.url}/hook"))
    first = (await hook.next()).json["entry"][0]
    assert first["request"] == {"method": "GET", "url": f"{BASE}/fhir/Subscription/{made['id']}/$status"}
    assert first["fullUrl"] == f"urn:uuid:{first['resource']['id']}"
    assert first["resource"]["meta"]["profile"] == [f"{GUIDE}/backport-subscription-status-r4"]
