"""Bundles: a transaction is carried out as one, a batch entry by entry, and each entry may ask what a request may."""

import base64
import json
import uuid
from typing import Any

import pytest

from tests.http.loop import done, nothing_changes
from tests.http.submitting import expressions, statuses
from tests.http.test_interactions import condition, person, query
from tests.http.world import Answered, Party, World, submission


def entry(method: str, url: str, resource: Any = None, full_url: str | None = None, **request: str) -> dict[str, Any]:
    said: dict[str, Any] = {"request": {"method": method, "url": url} | request}
    if full_url:
        said["fullUrl"] = full_url
    return said | ({"resource": resource} if resource is not None else {})


def bundle(*entries: dict[str, Any], type: str = "transaction") -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": type, "entry": list(entries)}


def patch(*changes: dict[str, Any], kind: str = "application/json-patch+json") -> dict[str, Any]:
    """A JSON Patch as R4 puts it into a Bundle."""
    return {
        "resourceType": "Binary",
        "contentType": kind,
        "data": base64.b64encode(json.dumps(changes).encode()).decode(),
    }


def located(answer: Answered, position: int) -> str:
    return answer["entry"][position]["response"]["location"].partition("/_history")[0]


async def known(hospital: Party) -> dict[str, Any]:
    return dict(done(await hospital.post("Patient", person())))


async def test_behaviour_2_one_bad_entry_and_nothing_is_stored(world: World) -> None:
    hospital = world.party("his-a")
    held = await known(hospital)
    one, placing = f"Patient/{held['id']}", submission("N05")["entry"]
    subject = placing[0]["fullUrl"]
    right = condition(subject, "1")
    for wrong, where in (
        (entry("POST", "Condition", right | {"subject": {"reference": "Practitioner/1"}}), "resource"),
        (entry("POST", "Condition", right | {"code": "x"}), "resource.code"),
        (entry("POST", "Condition", condition(f"Patient?{query(person())}", "2")), "resource.subject.reference"),
        (entry("GET", f"Patient/{uuid.uuid4()}"), "request.url"),
        (entry("DELETE", one), "request.url"),
        (entry("PATCH", one, patch({"op": "remove", "path": "/nothing"})), "resource"),
        (entry("PUT", one, held | {"birthDate": "1953-01-01"}, ifMatch='W/"9"'), ""),
        (entry("POST", "Medication", {"resourceType": "Medication"}), ""),
    ):
        for others in (placing, placing[:2]):  # One that places a request, and one that does not.
            async with nothing_changes(world):
                answer = await hospital.post("", bundle(*others, entry("POST", "Condition", right), wrong))
            assert answer["resourceType"] == "OperationOutcome" and 400 <= answer.status < 500, (wrong, answer)
            assert expressions(answer)[0].startswith(f"Bundle.entry[{len(others) + 1}].{where}"), (wrong, answer)


async def test_behaviour_35_a_batch_answers_each_entry_for_itself(world: World) -> None:
    hospital = world.party("his-a")
    held = await known(hospital)
    one = f"Patient/{held['id']}"
    reads = [entry("GET", one if n % 2 else f"Patient/{uuid.uuid4()}") for n in range(20)]
    answer = await hospital.post("", bundle(*reads, type="batch"))
    assert answer.status == 200 and answer["type"] == "batch-response"
    assert statuses(answer) == ["404", "200"] * 10
    for said in answer["entry"]:
        if said["response"]["status"][:3] == "200":
            assert said["resource"]["id"] == held["id"] and said["response"]["etag"] == 'W/"1"'
        else:
            assert said["response"]["outcome"]["resourceType"] == "OperationOutcome" and "resource" not in said
    mixed = await hospital.post("", bundle(
        entry("POST", "Patient", person()), entry("POST", "Patient", {"resourceType": "Patient", "gender": "robot"}),
        entry("HEAD", one), entry("DELETE", one), entry("GET", f"{one}/_history"), entry("GET", f"{one}/_history/1"),
        entry("GET", f"Patient?_id={held['id']}"), entry("PATCH", one, patch({"op": "replace", "path": "/birthDate", "value": "1953-01-01"})),
        entry("PATCH", one, patch(kind="application/merge-patch+json")), entry("GET", "metadata"), entry("POST", "Patient/$validate", held),
        type="batch"))  # fmt: skip
    assert statuses(mixed) == ["201", "422", "200", "405", "200", "200", "200", "200", "415", "422", "200"], mixed
    assert "resource" not in mixed["entry"][2] and mixed["entry"][4]["resource"]["type"] == "history"


async def test_a_transaction_takes_every_kind_of_entry_and_answers_in_their_order(world: World) -> None:
    hospital = world.party("his-a")
    held, other = await known(hospital), await known(hospital)
    one, two = f"Patient/{held['id']}", f"Patient/{other['id']}"
    there = done(await hospital.post("Condition", condition(one, "there")))
    url = f"urn:uuid:{uuid.uuid4()}"
    answer = await hospital.post("", bundle(
        entry("GET", one),
        entry("PATCH", one, patch({"op": "replace", "path": "/birthDate", "value": "1953-01-01"})),
        entry("PUT", two, other | {"birthDate": "1954-01-01"}, ifMatch='W/"1"'),
        entry("POST", "Condition", condition(url, "new")),
        entry("POST", "Patient", person(), full_url=url),
        entry("POST", "Condition", condition(one, "there"), ifNoneExist=query(dict(there))),
        entry("PUT", f"Condition?{query(condition(one, 'put'))}", condition(f"Patient?{query(held)}", "put")),
        entry("HEAD", two),
        entry("GET", f"{one}/_history/1"),
        entry("GET", f"Condition?patient={held['id']}"),
        entry("POST", "Patient/$validate", person()),
        entry("GET", f"Condition/{there['id']}", ifNoneMatch='W/"1"'),
        entry("POST", "Condition/_search", {"resourceType": "Binary", "contentType": "application/x-www-form-urlencoded",
                                            "data": base64.b64encode(f"patient={held['id']}".encode()).decode()}),
    ))  # fmt: skip
    assert answer.status == 200, answer
    assert answer["type"] == "transaction-response"
    assert statuses(answer) == [
        "200",
        "200",
        "200",
        "201",
        "201",
        "200",
        "201",
        "200",
        "200",
        "200",
        "200",
        "304",
        "200",
    ]
    entries = answer["entry"]
    # Reading comes last, whatever its place.
    assert (
        entries[0]["resource"]["birthDate"] == "1953-01-01" and entries[8]["resource"]["birthDate"] == held["birthDate"]
    )
    assert [located(answer, position) for position in (1, 2, 5)] == [one, two, f"Condition/{there['id']}"]
    assert entries[9]["resource"]["total"] == 2
    assert "resource" not in entries[7] and entries[10]["resource"]["resourceType"] == "OperationOutcome"
    assert (await hospital.read(located(answer, 3)))["subject"]["reference"] == located(answer, 4)
    assert (await hospital.read(located(answer, 6)))["subject"]["reference"] == one
    assert not any("resource" in entries[position] for position in (1, 2, 3, 4, 5, 6))


async def test_what_an_entry_answers_is_what_is_preferred(world: World) -> None:
    hospital = world.party("his-a")
    for wish, resource, outcome in (("minimal", False, False), ("representation", True, False), ("OperationOutcome", False, True)):  # fmt: skip
        for whole in (bundle(entry("POST", "Patient", person())), submission("N05")):
            answer = await hospital.post("", whole, prefer=f"return={wish}")
            assert all(("resource" in e, "outcome" in e["response"]) == (resource, outcome) for e in answer["entry"]), (wish, answer)  # fmt: skip
    strict = bundle(entry("GET", "Patient?colour=red"))
    assert (await hospital.post("", strict)).status == 200
    refused = await hospital.post("", strict, prefer="handling=strict")
    assert refused.status == 400 and expressions(refused) == ["Bundle.entry[0].request.url"]


async def test_the_same_resource_twice_in_a_transaction_is_refused(world: World) -> None:
    hospital = world.party("his-a")
    held, new = await known(hospital), person()
    one = f"Patient/{held['id']}"
    url = f"urn:uuid:{uuid.uuid4()}"
    changed = held | {"birthDate": "1953-01-01"}
    for first, second in (
        (entry("PUT", one, changed), entry("PUT", one, changed)),
        (entry("PUT", one, changed), entry("PATCH", one, patch({"op": "remove", "path": "/birthDate"}))),
        (entry("PUT", one, changed), entry("PUT", f"Patient?{query(held)}", changed)),
        (entry("POST", "Patient", new, full_url=url), entry("POST", "Patient", person(), full_url=url)),
        (entry("POST", "Patient", new), entry("POST", "Patient", new)),
        (entry("POST", "Patient", new, ifNoneExist=query(new)), entry("POST", "Patient", new, ifNoneExist=query(new))),
        (entry("POST", "Patient", new, full_url="http://x.org/fhir/Patient/1/_history/2"), entry("GET", one)),
    ):  # fmt: skip
        async with nothing_changes(world):
            answer = await hospital.post("", bundle(first, second))
        assert answer.status in (400, 422), (first, second, answer)
        assert expressions(answer)[0].startswith("Bundle.entry["), answer
    # Where both conditions find what is there already, nothing is made twice.
    kept = condition(one, "kept")
    done(await hospital.post("Condition", kept))
    twice = await hospital.post("", bundle(entry("POST", "Condition", kept, ifNoneExist=query(kept)),
                                           entry("POST", "Condition", kept, ifNoneExist=f"{query(kept)}&patient={one}")))  # fmt: skip
    assert statuses(twice) == ["200", "200"], twice


async def test_a_submission_may_ask_for_more_than_it_brings(world: World) -> None:
    hospital = world.party("his-a")
    held = await known(hospital)
    whole = submission("N05")
    whole["entry"] = [
        entry("GET", f"ServiceRequest?{query(whole['entry'][2]['resource'])}"),
        *whole["entry"],
        entry("PATCH", f"Patient/{held['id']}", patch({"op": "replace", "path": "/birthDate", "value": "1953-01-01"})),
    ]
    answer = await hospital.post("", whole)
    assert statuses(answer) == ["200", "201", "201", "201", "200"], answer
    assert answer["entry"][0]["resource"]["total"] == 1
    again = await hospital.post("", whole)
    assert statuses(again) == ["200"] * 5 and located(again, 3) == located(answer, 3)


async def test_a_submission_may_put_its_patient_by_a_condition(world: World) -> None:
    hospital, one = world.party("his-a"), person()
    for status in ("201", "200"):
        whole = submission("N05")
        whole["entry"][0] |= {"resource": one, "request": {"method": "PUT", "url": f"Patient?{query(one)}"}}
        answer = await hospital.post("", whole)
        assert statuses(answer) == [status, "201", "201"], answer
    assert len(await hospital.search(f"Patient?{query(one)}")) == 1


async def test_an_entry_is_read_only_if_it_is_news(world: World) -> None:
    hospital = world.party("his-a")
    held = await known(hospital)
    one = f"Patient/{held['id']}"
    for type in ("transaction", "batch"):
        answer = await hospital.post("", bundle(
            entry("GET", f"http://yuanshe.test/fhir/{one}", ifModifiedSince="2999-01-01T00:00:00+08:00"),
            entry("GET", f"/{one}", ifModifiedSince="2020-01-01T00:00:00Z"), entry("GET", one, ifNoneMatch='W/"1"'),
            entry("GET", one, ifNoneMatch='W/"2"'), type=type))  # fmt: skip
        assert statuses(answer) == ["304", "200", "304", "200"], answer
        assert ["resource" in each for each in answer["entry"]] == [False, True, False, True]


async def test_a_transaction_may_subscribe_and_shows_the_secret_once(world: World) -> None:
    wish = {
        "resourceType": "Subscription", "status": "requested", "reason": "r", "criteria": "urn:yuanshe:topic:task",
        "channel": {"type": "rest-hook", "endpoint": "https://93.184.216.34/hook", "payload": "application/fhir+json"},
    }  # fmt: skip
    hospital = world.party("his-a")
    answer = await hospital.post("", bundle(entry("POST", "Subscription", wish)))
    assert statuses(answer) == ["201"] and "webhook-secret" in json.dumps(answer["entry"][0]["resource"])
    private = wish | {
        "channel": {"type": "rest-hook", "endpoint": "https://10.0.0.1/hook", "payload": "application/fhir+json"}
    }
    refused = await hospital.post("", bundle(entry("POST", "Subscription", private)))
    assert refused.status == 422 and expressions(refused)[0].startswith("Bundle.entry[0].resource.channel")


async def test_a_conditional_reference_finds_exactly_one(world: World) -> None:
    hospital = world.party("his-a")
    held = await known(hospital)
    await known(hospital)
    for named, status in ((query(held), 200), (query(person()), 412), ("gender=female", 412), ("colour=red", 400)):
        about = f"Patient?{named}"
        alone = await hospital.post("", bundle(entry("POST", "Condition", condition(about, str(uuid.uuid4())))))
        whole = submission("N05", extra=[condition(about, str(uuid.uuid4()))])
        whole["entry"][0]["resource"] = held
        placed = await hospital.post("", whole)
        assert (alone.status, placed.status) == (status, status), (named, alone, placed)
        if status == 200:
            assert (await hospital.read(located(alone, 0)))["subject"]["reference"] == f"Patient/{held['id']}"
            assert (await hospital.read(located(placed, 3)))["subject"]["reference"] == f"Patient/{held['id']}"
        else:
            assert expressions(alone) == ["Bundle.entry[0].resource.subject.reference"]
            assert expressions(placed) == ["Bundle.entry[3].resource.subject.reference"]


async def test_entries_are_named_wherever_a_reference_may_stand(world: World) -> None:
    hospital = world.party("his-a")
    held = await known(hospital)
    there, here = (f"urn:uuid:{uuid.uuid4()}" for _ in range(2))
    form = {
        "resourceType": "DocumentReference", "status": "current", "subject": {"reference": f"Patient/{held['id']}"},
        "identifier": [{"system": "urn:ietf:rfc:3986", "value": there}],
        "content": [{"attachment": {"url": there, "title": there}}],
        "context": {"related": [{"reference": there, "display": there}]},
        "extension": [{"url": "urn:his-a:see", "valueUri": there}, {"url": "urn:his-a:say", "valueString": there}],
        "text": {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml"><a href="{there}">x</a></div>'},
    }  # fmt: skip
    answer = await hospital.post("", bundle(entry("POST", "DocumentReference", form, full_url=here),
                                            entry("POST", "Condition", condition(f"Patient/{held['id']}", "1"), full_url=there)))  # fmt: skip
    assert statuses(answer) == ["201", "201"], answer
    stored, name = await hospital.read(located(answer, 0)), located(answer, 1)
    assert stored["content"][0]["attachment"] == {"url": name, "title": there}
    assert stored["context"]["related"] == [{"reference": name, "display": there}]
    assert [next(v for k, v in e.items() if k != "url") for e in stored["extension"]] == [name, there]
    assert f'href="{name}"' in stored["text"]["div"] and stored["identifier"][0]["value"] == there


@pytest.mark.parametrize("type", ["transaction", "batch"])
async def test_a_bundle_of_nothing_answers_nothing(world: World, type: str) -> None:
    for whole in ({"resourceType": "Bundle", "type": type}, bundle(type=type)):
        answer = await world.party("his-a").post("", whole)
        assert (answer.status, answer["type"], answer.get("entry", [])) == (200, f"{type}-response", [])
    refused = await world.party("his-a").post("", {"resourceType": "Bundle", "type": "collection"})
    assert refused.status == 422 and expressions(refused) == ["Bundle.type"]


@pytest.mark.parametrize("type", ["transaction", "batch"])
async def test_a_bundle_of_nothing_is_answered_without_an_empty_list(world: World, type: str) -> None:
    assert done(await world.party("his-a").post("", bundle(type=type))) == {
        "resourceType": "Bundle",
        "type": f"{type}-response",
    }
