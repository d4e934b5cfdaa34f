"""The CapabilityStatement says what holds, to everybody, and can be kept."""

import uuid
from typing import Any

import pytest
from fhir.resources.R4B.capabilitystatement import CapabilityStatement
from fhir.resources.R4B.terminologycapabilities import TerminologyCapabilities

from adapters.fhir import profiles
from adapters.fhir.surface import SURFACE
from tests.http.loop import done, procedure, started
from tests.http.world import Answered, Party, World

SAMPLES: dict[str, tuple[str, ...]] = {
    "token": ("urn:x|y", "y", "|y"),
    "reference": (f"Patient/{uuid.UUID(int=1)}", str(uuid.UUID(int=1))),
    "date": ("2026-03-04", "gt2026-03-04T10:00:00+08:00"),
    "string": ("x",),
    "uri": ("urn:x",),
}


def named(param: dict[str, Any]) -> list[str]:
    """Searches by a parameter that could be meant."""
    values = SAMPLES[param["type"]]
    if param["name"] in ("active",):
        values = ("true",)
    return [f"{param['name']}={value}" for value in values] + [f"{param['name']}:missing=false"]


def known(answer: Answered) -> bool:
    """Whether the address and the method are taken, whatever is thought of what was asked."""
    refused = answer.get("issue", [{}])[0].get("code") == "not-supported" and answer.status in (404, 405)
    return not refused and answer.status < 500


@pytest.fixture
async def busy(world: World) -> World:
    """A referral in service, with work and a message, so that most types have something to read."""
    share = await started(world, await world.refer("N05"))
    done(await world.party("agency-a").post("Procedure", procedure(share)))
    return world


def reader(world: World, type: str) -> Party:
    return world.party("auditor" if type == "AuditEvent" else "his-a")


async def test_behaviour_1_every_listed_interaction_and_parameter_works(busy: World) -> None:
    statement = await busy.nobody.get("metadata")
    assert statement.status == 200 and statement["fhirVersion"] == "4.0.1"
    read: set[str] = set()
    for listed in statement["rest"][0]["resource"]:
        type, party = listed["type"], reader(busy, listed["type"])
        offered = {each["code"] for each in listed["interaction"]}
        for param in listed["searchParam"]:
            for query in named(param):
                answer = await party.get(f"{type}?{query}&_count=1", prefer="handling=strict")
                assert answer.status == 200, (type, query, answer)
        for how, names in (("_include", "searchInclude"), ("_revinclude", "searchRevInclude")):
            for name in listed.get(names, ()):
                answer = await party.get(f"{type}?{how}={name}&_count=1", prefer="handling=strict")
                assert answer.status == 200, (type, how, name, answer)
        found = (await party.get(f"{type}?_count=1")).get("entry", [])
        if found and found[0]["search"]["mode"] == "match":
            read.add(type)
            one = f"{type}/{found[0]['resource']['id']}"
            version = found[0]["resource"].get("meta", {}).get("versionId")
            assert version, (type, found[0])
            for code, path in (("read", one), ("vread", f"{one}/_history/{version}"), ("history-instance", f"{one}/_history")):  # fmt: skip
                assert (await party.get(path)).status == (200 if code in offered else 404), (code, path)
        if "history-type" in offered:
            assert (await party.get(f"{type}/_history")).status == 200, type
        for operation in listed.get("operation", ()):
            asked = [await party.ask(method, f"{type}{id}/${operation['name']}", None if method == "GET" else b"{}")
                     for method in ("GET", "POST") for id in ("", f"/{uuid.UUID(int=1)}")]  # fmt: skip
            assert any(known(answer) for answer in asked), (type, operation, asked)
        nothing = {"resourceType": type}
        writes = {
            "create": await party.post(type, nothing),
            "update": await party.ask("PUT", f"{type}/{uuid.UUID(int=1)}", nothing | {"id": str(uuid.UUID(int=1))}),
            "patch": await party.ask("PATCH", f"{type}/{uuid.UUID(int=1)}", [], kind="application/json-patch+json"),
        }
        for code, answer in writes.items():
            assert (answer.status == 405) == (code not in offered), (type, code, answer)
            assert answer.status in (400, 403, 404, 405, 422), (type, code, answer)
        assert listed["conditionalUpdate"] == ("update" in offered)
    assert {"Task", "ServiceRequest", "Patient", "Encounter", "Organization", "CodeSystem"} <= read


async def test_behaviour_1_what_is_not_listed_is_not_there(world: World) -> None:
    hospital = world.party("his-a")
    assert "Medication" not in SURFACE
    for method, path in (
        ("GET", "Medication"), ("POST", "Medication"), ("GET", "Medication/1"), ("GET", "Medication/_history"),
        ("GET", "$nothing"), ("POST", "Task/$nothing"), ("GET", "_history"), ("POST", "_search"),
        ("GET", f"Patient/{uuid.UUID(int=1)}/*"), ("GET", f"Patient/{uuid.UUID(int=1)}/Organization"),
    ):  # fmt: skip
        form = "application/x-www-form-urlencoded" if path.endswith("_search") else "application/fhir+json"
        answer = await hospital.ask(method, path, b"" if method == "POST" else None, kind=form)
        assert (answer.status, answer["resourceType"]) == (404, "OperationOutcome"), (path, answer)
        assert answer["issue"][0]["code"] == "not-supported"
    whole = await hospital.get("?_lastUpdated=gt2026-01-01")
    assert (whole.status, whole.headers["allow"]) == (405, "POST") and "search" in str(whole)


async def test_the_statement_is_valid_and_can_be_kept(world: World) -> None:
    first = await world.nobody.get("metadata")
    CapabilityStatement.model_validate(dict(first))
    assert "max-age" in first.headers["cache-control"]
    again = await world.nobody.get("metadata", if_none_match=first.headers["etag"])
    assert again.status == 304 and not again
    assert (await world.nobody.ask("HEAD", "metadata")).headers["etag"] == first.headers["etag"]
    refused = await world.nobody.post("metadata", {"resourceType": "Parameters"})
    assert (refused.status, refused.headers["allow"]) == (405, "GET, HEAD")


async def test_the_statement_comes_whole_or_in_parts(world: World) -> None:
    whole = await world.nobody.get("metadata")
    assert dict(await world.nobody.get("metadata?mode=full")) == dict(whole)
    normative = await world.nobody.get("metadata?mode=normative")
    types = {each["type"] for each in normative["rest"][0]["resource"]}
    assert {"Patient", "Observation", "CodeSystem"} <= types and "Task" not in types
    terms = await world.nobody.get("metadata?mode=terminology")
    TerminologyCapabilities.model_validate(dict(terms))
    assert "urn:yuanshe:need" in {each["uri"] for each in terms["codeSystem"]}
    assert (await world.nobody.get("metadata?mode=short")).status == 400


async def test_a_profile_that_is_claimed_is_met(world: World) -> None:
    listed = {each["type"]: each for each in (await world.nobody.get("metadata"))["rest"][0]["resource"]}
    assert set(listed["Task"]["supportedProfile"]) <= profiles.PROFILES.keys()
    referred = await world.refer("N05")
    await started(world, referred)
    for party in ("his-a", "agency-a", "platform"):
        found = await world.party(party).search("Task")
        assert found
        for task in found:
            for canonical in listed["Task"]["supportedProfile"]:
                assert profiles.issues(profiles.PROFILES[canonical], task, "Task") == []


async def test_the_statement_says_who_may(world: World) -> None:
    listed = {each["type"]: each for each in (await world.nobody.get("metadata"))["rest"][0]["resource"]}
    assert "create: agency" in listed["Procedure"]["documentation"]
    for who, status in (("his-a", 403), ("platform", 403), ("agency-a", 422)):
        assert (await world.party(who).post("Procedure", {"resourceType": "Procedure"})).status == status
    assert {"route", "timeline", "validate"} <= {each["name"] for each in listed["ServiceRequest"]["operation"]}
    assert {"everything", "validate"} <= {each["name"] for each in listed["Patient"]["operation"]}
    assert not any(each["conditionalDelete"] != "not-supported" or each["updateCreate"] for each in listed.values())
