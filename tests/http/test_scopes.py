"""A token does and shows what its scopes allow, by whatever way it is asked."""

import hashlib
import secrets
import uuid

from adapters import resolve
from service.access import store
from service.access.model import clock_actor
from service.practice import PLATFORM
from service.values import utc_now
from tests.http.world import Party, World, submission


async def narrow(world: World, name: str, scope: str) -> Party:
    """The party with a token of fewer scopes."""
    token = secrets.token_urlsafe(16)
    said = world.said["clients"][name]
    async with world.database.transaction(clock_actor(PLATFORM).scope) as session:
        client = await store.find_client(session, said["client_id"])
        assert client
        await store.add_token(session, hashlib.sha256(token.encode()).digest(), client.id, scope, utc_now(), None)
    return Party(world.http, token, world.party(name).organization)


def person() -> dict:
    return submission("N05", mrn=f"ZY-{uuid.uuid4()}")["entry"][0]["resource"]


def condition(of: dict) -> str:
    return f"identifier={of['identifier'][0]['system']}|{of['identifier'][0]['value']}"


def entry(resource: dict, **request: str) -> dict:
    return {"resource": resource, "request": {"method": "POST", "url": resource["resourceType"]} | request}


def bundle(type: str, *entries: dict) -> dict:
    return {"resourceType": "Bundle", "type": type, "entry": list(entries)}


async def test_a_condition_is_a_search_and_needs_its_scope(world: World) -> None:
    known = person()
    assert (await world.party("his-a").post("Patient", known)).status == 201
    writer = await narrow(world, "his-a", "system/Patient.c system/ServiceRequest.c")
    alone = await writer.post("Patient", person(), if_none_exist=condition(known))
    one = await writer.post("", bundle("transaction", entry(person(), ifNoneExist=condition(known))))
    each = await writer.post("", bundle("batch", entry(person(), ifNoneExist=condition(known))))
    asked = {key: value for key, value in submission()["entry"][2]["resource"].items() if key != "encounter"}
    about = await writer.post("ServiceRequest", asked | {"subject": {"reference": f"Patient?{condition(known)}"}})
    whole = submission("N05")
    whole["entry"][0]["request"]["ifNoneExist"] = condition(known)
    placed = await (await narrow(world, "his-a", "system/*.c")).post("", whole)
    assert [answer.status for answer in (alone, one, about, placed)] == [403] * 4
    assert each["entry"][0]["response"]["status"][:3] == "403"
    assert not any("陈素芬" in str(answer) for answer in (alone, one, each, about, placed))


async def test_what_was_found_or_written_is_shown_to_those_who_may_read(world: World) -> None:
    hospital, known = world.party("his-a"), person()
    stored = await hospital.post("Patient", known)
    for scope, shown in (("system/Patient.cus", False), ("system/Patient.crus", True)):
        writer = await narrow(world, "his-a", scope)
        version = (await hospital.read(f"Patient/{stored['id']}"))["meta"]["versionId"]
        found = await writer.post("Patient", person(), if_none_exist=condition(known))
        assert (found.status, found.headers.get("etag"), bool(found)) == (200, f'W/"{version}"', shown), found
        assert f"Patient/{stored['id']}" in found.headers["location"]
        # By its number the person is found, too, and holds more than was sent.
        again = await writer.post("Patient", {key: known[key] for key in ("resourceType", "identifier")})
        put = await writer.put(await hospital.read(f"Patient/{stored['id']}"), birthDate="1953-01-01")
        changes = [{"op": "replace", "path": "/resourceType", "value": "Patient"}]
        patched = await writer.ask("PATCH", f"Patient/{stored['id']}", changes, kind="application/json-patch+json")
        assert [(a.status, bool(a)) for a in (again, put, patched)] == [(200, shown)] * 3, (again, put, patched)
    whole = submission("N05")
    asked = await (await narrow(world, "his-a", "system/*.c system/Encounter.r")).post(
        "", whole, prefer="return=representation"
    )
    assert asked.status == 200
    assert [each["resource"]["resourceType"] for each in asked["entry"] if "resource" in each] == ["Encounter"]


async def test_a_chain_through_the_patient_needs_the_scope_to_search_patients(world: World) -> None:
    referred = await world.refer("N05")
    number = referred.bundle["entry"][0]["resource"]["identifier"][0]["value"]
    reader = await narrow(world, "his-a", "system/Task.rs system/Patient.r")
    for chain in (f"patient.identifier={number}", "subject.name=陈素芬"):
        assert (await reader.get(f"Task?{chain}")).status == 403
        assert len(await (await narrow(world, "his-a", "system/Task.rs system/Patient.s")).search(f"Task?{chain}&focus={referred.request}")) == 1  # fmt: skip
    assert len(await reader.search(f"Task?patient={referred.patient}&focus={referred.request}")) == 1


async def test_an_entry_of_a_batch_has_conditions_of_its_own(world: World) -> None:
    hospital, known = world.party("his-a"), person()
    stored = await hospital.post("Patient", known)
    # The head of the batch names a condition and a version; no entry is bound by them.
    answer = await hospital.post(
        "",
        bundle(
            "batch",
            entry(person()),
            entry(person(), ifNoneExist=condition(known)),
            {"request": {"method": "GET", "url": f"Patient/{stored['id']}", "ifNoneMatch": 'W/"1"'}},
            entry(
                dict(stored) | {"birthDate": "1953-01-01"}, method="PUT", url=f"Patient/{stored['id']}", ifMatch='W/"1"'
            ),
            entry(dict(stored), method="PUT", url=f"Patient/{stored['id']}", ifMatch='W/"1"'),
        ),
        if_none_exist=condition(known),
        if_match='W/"7"',
        if_none_match='W/"2"',
        prefer="return=minimal",
    )
    assert [each["response"]["status"][:3] for each in answer["entry"]] == ["201", "200", "304", "200", "412"]
    assert not any("resource" in each for each in answer["entry"])


async def test_an_entry_of_a_batch_that_breaks_leaves_the_others_their_answers(world: World) -> None:
    hospital, known, other = world.party("his-a"), await world.refer("N05"), person()
    async with world.as_owner() as owner:
        await owner.execute("ALTER TABLE task RENAME TO task_gone")
    answer = await hospital.post(
        "", bundle("batch", entry(other), {"request": {"method": "GET", "url": f"Task?focus={known.request}"}})
    )
    assert answer.status == 200
    assert [each["response"]["status"][:3] for each in answer["entry"]] == ["201", "500"]
    assert "task" not in str(answer["entry"][1]["response"]["outcome"])


async def test_the_version_that_a_put_of_a_submission_names_is_compared_whatever_its_type(world: World) -> None:
    hospital, referred = world.party("his-a"), await world.refer("N05")
    stay = dict(await hospital.read(referred.stay))
    for version, status in (("9", 412), (stay["meta"]["versionId"], 200)):
        again = submission("N06")
        again["entry"][0]["resource"] = dict(await hospital.read(referred.patient))
        again["entry"][1] |= {
            "resource": stay | {"subject": {"reference": again["entry"][0]["fullUrl"]}},
            "request": {"method": "PUT", "url": referred.stay, "ifMatch": f'W/"{version}"'},
        }
        answer = await hospital.post("", again)
        assert answer.status == status, answer
        if status == 412:
            assert answer["issue"][0]["expression"] == ["Bundle.entry[1].request.ifMatch"]


async def test_a_method_that_an_address_does_not_take_is_told_which_it_takes(world: World) -> None:
    referred = await world.refer("N05")
    for path, allowed in (
        (referred.patient, "GET, HEAD, PUT, PATCH"),
        ("Patient", "GET, HEAD, POST, PUT, PATCH"),
        (f"{referred.patient}/_history", "GET, HEAD"),
    ):
        answer = await world.party("his-a").ask("DELETE", path)
        assert (answer.status, answer.headers["allow"]) == (405, allowed)


async def test_a_condition_on_a_subscription_finds_the_one_that_is_there(world: World) -> None:
    hospital = world.party("his-a")
    wish = {
        "resourceType": "Subscription",
        "status": "requested",
        "reason": "follow our referrals",
        "criteria": "urn:yuanshe:topic:task",
        "channel": {"type": "rest-hook", "endpoint": "https://93.184.216.34/hook", "payload": "application/fhir+json"},
    }
    made = await hospital.post("Subscription", wish, if_none_exist="url=https://93.184.216.34/hook")
    again = await hospital.post("Subscription", wish, if_none_exist="url=https://93.184.216.34/hook")
    assert (made.status, again.status, again["id"]) == (201, 200, made["id"])
    assert len(await hospital.search("Subscription?url=https://93.184.216.34/hook")) == 1
    # The secret is shown once.
    assert "extension" in made and "extension" not in again


async def test_a_host_is_asked_for_only_where_the_token_may_subscribe(world: World, monkeypatch) -> None:
    asked: list[str] = []
    look_up = resolve.addresses

    async def remembered(host: str, port: int) -> tuple[str, ...]:
        asked.append(host)
        return await look_up(host, port)

    monkeypatch.setattr(resolve, "addresses", remembered)
    wish = {
        "resourceType": "Subscription", "status": "requested", "reason": "r", "criteria": "urn:yuanshe:topic:task",
        "channel": {"type": "rest-hook", "endpoint": "https://93.184.216.34/hook"},
    }  # fmt: skip
    reader = await narrow(world, "his-a", "system/*.rs")
    assert (await reader.post("Subscription", wish)).status == 403
    assert (await reader.put(wish | {"id": str(uuid.uuid4())})).status == 403
    assert asked == []
    assert (await world.party("his-a").post("Subscription", wish)).status == 201
    assert asked == ["93.184.216.34"]


async def test_the_capability_statement_says_of_each_type_what_holds_of_it(world: World) -> None:
    said = (await world.nobody.get("metadata"))["rest"][0]["resource"]
    flags = {each["type"]: (each["conditionalCreate"], each["readHistory"]) for each in said}
    assert flags["Patient"] == (True, True)
    assert flags["Subscription"] == (True, False)
    assert flags["Organization"] == flags["HealthcareService"] == (False, False)
    assert flags["Location"] == (False, True)
