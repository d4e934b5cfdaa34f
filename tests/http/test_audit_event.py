"""The auditor reads who did what to whose data, and nothing else; nobody but the auditor does (contract.md)."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class

from adapters import worker
from adapters.fhir import audit
from service.access import flow as access
from service.access.finding import RESTFUL
from service.access.model import Call
from tests.http.loop import done, procedure, refused, started
from tests.http.world import Referred, World, output

SECRETS = ("陈素芬", "13800000001", "示例街道", "MRN-4711")


async def chained(world: World) -> None:
    await worker.chain(world.database)


async def events(world: World, query: str = "") -> list[dict[str, Any]]:
    """What the auditor finds, once everything so far has its place in the chain."""
    await chained(world)
    return await world.party("auditor").search(f"AuditEvent?_count=200{'&' if query else ''}{query}")


def names(event: dict[str, Any]) -> set[str]:
    return {each["what"]["reference"] for each in event.get("entity", ()) if "reference" in each.get("what", {})}


def word(event: dict[str, Any]) -> str:
    return event["subtype"][0]["code"]


async def worked(world: World) -> tuple[Referred, dict[str, Any]]:
    """A referral accepted, started and completed; a program let in, and the clock at work."""
    for word in ("token", "sweep-reminders"):
        async with access.open(world.database, worker.CLOCK, Call("E", word)):
            pass
    agency = world.party("agency-a")
    referred = await world.refer("N05", mrn="MRN-4711")
    share = await started(world, referred)
    work = done(await agency.post("Procedure", procedure(share)))
    return referred, done(
        await agency.put(
            share,
            status="completed",
            output=[output(f"Procedure/{work['id']}")],
            statusReason={
                "coding": [{"system": "urn:yuanshe:closure-reason", "code": "goals-met"}],
                "text": "目标达成",
            },
        )
    )


async def test_behaviour_42_every_access_and_every_transition_has_its_audit_event(world: World) -> None:
    """A move is an update of the Task by the agency's program, a read is a read, and each names the person it touched."""
    referred, share = await worked(world)
    await world.party("his-a").read(referred.patient)
    found = await events(world, f"entity={referred.request}")
    moves = [each for each in found if word(each) == "update" and f"Task/{share['id']}" in names(each)]
    assert len(moves) == 3 and {each["outcome"] for each in moves} == {"0"}, "accept, start, complete"
    agency = world.organizations["agency-a"]
    for each in moves:
        assert each["action"] == "U" and each["agent"][1]["who"]["reference"] == agency
    by_person = await events(world, f"patient={referred.patient}")
    assert [each for each in by_person if word(each) == "read" and each["action"] == "R"]
    assert all(referred.patient in names(each) for each in by_person)
    actions, _ = await world.timeline(referred)
    assert [action for action in actions if action in ("accept", "start", "complete")] == [
        "accept",
        "start",
        "complete",
    ]
    assert not any(secret in str(found + by_person) for secret in SECRETS)


async def test_each_is_an_audit_event_of_r4(world: World) -> None:
    await worked(world)
    assert (await world.party("agency-b").get("Patient/0190a000-0000-7000-8000-00000000dead")).status == 404
    found = await events(world)
    assert {each["type"]["code"] for each in found} == {"rest", "110100", "110114"}
    for each in found:
        get_fhir_model_class("AuditEvent").model_validate(each)
        assert each["meta"]["lastUpdated"] >= each["recorded"]
    assert (await world.party("auditor").read(found[0]["source"]["observer"]["reference"]))["resourceType"] == "Device"


async def test_a_refused_attempt_says_which_rule_stood_against_it(world: World) -> None:
    referred = await world.refer("N05")
    assert (await world.party("agency-b").get(referred.patient)).status == 404
    (event,) = await events(world, f"outcome=4&entity={referred.patient}")
    assert (
        event["outcomeDesc"] == "not-found" and event["agent"][1]["who"]["reference"] == world.organizations["agency-b"]
    )


async def test_reading_the_audit_is_audited(world: World) -> None:
    await world.refer("N05")
    (first, *_) = await events(world)
    await world.party("auditor").read(f"AuditEvent/{first['id']}")
    found = await events(world, f"entity=AuditEvent/{first['id']}")
    assert [(word(each), each["outcome"]) for each in found] == [("read", "0")]


QUERIES: dict[str, Callable[[dict[str, Any], dict[str, str]], bool]] = {
    "action=U": lambda e, known: e["action"] == "U",
    "action=U,E": lambda e, known: e["action"] in "UE",
    "action:not=R": lambda e, known: e["action"] != "R",
    "outcome=0": lambda e, known: e["outcome"] == "0",
    "outcome=4,8": lambda e, known: e["outcome"] in "48",
    "type=rest": lambda e, known: e["type"]["code"] == "rest",
    "type=http://dicom.nema.org/resources/ontology/DCM|110100": lambda e, known: e["type"]["code"] == "110100",
    "subtype=sweep-reminders": lambda e, known: word(e) == "sweep-reminders",
    "subtype=110122": lambda e, known: e["type"]["code"] == "110114",
    "subtype=search-type": lambda e, known: word(e) == "search-type",
    "subtype=http://hl7.org/fhir/restful-interaction|transaction": lambda e, known: word(e) == "transaction",
    "subtype=history-type": lambda e, known: word(e) == "history-type",
    "subtype=history-instance,vread": lambda e, known: word(e) in ("history-instance", "vread"),
    "subtype=operation": lambda e, known: word(e) == "operation",
    "subtype=timeline": lambda e, known: {"system": "urn:yuanshe:interaction", "code": "timeline"} in e["subtype"],
    "date=ge2026-01-01": lambda e, known: True,
    "date=lt2026-01-01": lambda e, known: False,
    "_lastUpdated=ge2026-01-01": lambda e, known: True,
    "patient:missing=true": lambda e, known: not any(name.startswith("Patient/") for name in names(e)),
    "agent=Device/{device}": lambda e, known: "reference" in e["agent"][0]["who"],
    "agent={hospital}": lambda e, known: known["hospital"] in [a["who"].get("reference") for a in e["agent"]],
    "altid={program}": lambda e, known: e["agent"][0]["altId"] == known["program"],
    "_id={first}": lambda e, known: e["id"] == known["first"],
    "entity=Task/{task}": lambda e, known: f"Task/{known['task']}" in names(e),
    "entity=Patient/{task}": lambda e, known: False,
}


async def test_each_parameter_finds_what_it_says_and_nothing_else(world: World) -> None:
    referred, share = await worked(world)
    await world.timeline(referred)
    for path in ("Task/_history", f"{referred.request}/_history", f"{referred.request}/_history/1"):
        done(await world.party("his-a").get(path))
    assert (await world.party("agency-b").get(referred.patient)).status == 404
    every = await events(world)
    until = every[0]["meta"]["lastUpdated"]
    known = {
        "device": str(audit.DEVICE), "hospital": world.organizations["hospital-a"], "task": share["id"], "first": every[-1]["id"],
        "program": next(e["agent"][0]["altId"] for e in every if word(e) == "transaction"),
    }  # fmt: skip
    for query, fits in QUERIES.items():
        for name, value in known.items():
            query = query.replace(f"{{{name}}}", value)
        found = await world.party("auditor").search(f"AuditEvent?_count=200&_lastUpdated=le{until}&{query}")
        assert {e["id"] for e in found} == {e["id"] for e in every if fits(e, known)}, query
    assert {"history-type", "history-instance", "vread", "operation", "read"} <= {word(e) for e in every}


async def test_pages_hold_every_event_once(world: World) -> None:
    await worked(world)
    every = [each["id"] for each in await events(world)]
    for order in ("", "&_sort=_lastUpdated", "&_sort=-_lastUpdated"):
        auditor, got = world.party("auditor"), list[str]()
        page = await auditor.get(f"AuditEvent?_count=4{order}")
        while True:
            got += [entry["resource"]["id"] for entry in page.get("entry", ())]
            more = next((link["url"] for link in page["link"] if link["relation"] == "next"), None)
            if more is None:
                break
            page = await auditor.get(more.split("/fhir/")[1])
        assert len(got) == len(set(got)) and set(every) <= set(got), order


@pytest.mark.parametrize("party", ["his-a", "his-b", "agency-a", "agency-c", "platform"])
async def test_nobody_but_the_auditor_reads_it(world: World, party: str) -> None:
    await world.refer("N05")
    (event, *_) = await events(world)
    for path in ("AuditEvent", f"AuditEvent/{event['id']}", f"AuditEvent/{event['id']}/_history", "AuditEvent?_id=x"):
        refused(await world.party(party).get(path), 403)
    for method in ("PUT", "PATCH", "DELETE"):
        assert (await world.party("auditor").ask(method, f"AuditEvent/{event['id']}", event)).status == 405
    assert (await world.party("auditor").post("AuditEvent", event)).status == 405


async def test_who_polls_by_time_of_change_misses_no_line(world: World) -> None:
    """Lines take later times than those before them, whatever the clock of the job that chains them says."""
    await world.refer("N05")
    last = (await events(world))[0]["meta"]["lastUpdated"]
    await world.refer("N05")
    async with world.database.transaction(worker.CLOCK.scope) as session:
        assert await access.chain(session, datetime(2026, 1, 1, tzinfo=UTC))
    fresh = await world.party("auditor").search(f"AuditEvent?_lastUpdated=gt{last}")
    assert "transaction" in {word(each) for each in fresh}


def test_every_word_of_an_interaction_is_known_on_both_sides() -> None:
    assert set(audit.WORDS) == set(RESTFUL)
