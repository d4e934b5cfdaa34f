"""Every search parameter of every type finds what it should and does not find what it should not."""

from datetime import timedelta
from typing import Any

import pytest

from adapters.fhir import chains
from adapters.fhir.surface import SURFACE
from service.access.model import Actor
from service.records.model import Record
from service.referrals.model import Task
from service.values import Id, new_id
from tests.fhir import asked as asking
from tests.fhir.asked import ids, named
from tests.fhir.world import CITIZEN, NOW, PLACER, World, body

Json = dict[str, Any]


async def ask(world: World, who: Actor, query: str, **how: Any) -> Json:
    """Examples say what is searched by and no more."""
    return await asking.ask(world, who, query, whole=False, **how)


OTHER = "00000000-0000-4000-8000-00000000000a"


def concept(system: str, code: str) -> Json:
    return {"coding": [{"system": system, "code": code}]}


def coded(name: str, system: str = "urn:s", code: str = "c1") -> dict[str, tuple[list[str], list[str]]]:
    """What a token over a CodeableConcept takes, in all its forms."""
    finding = [code, f"{system}|{code}", f"{system}|", f"urn:o|x,{code}"]
    return {name: (finding, ["c2", f"|{code}", f"urn:o|{code}", "urn:o|", f"{system}|c2"])}


def plain(name: str, code: str, system: str) -> dict[str, tuple[list[str], list[str]]]:
    """The same of an element of type code."""
    whole = f"http://hl7.org/fhir/{system}"
    return {name: ([code, f"{whole}|{code}", f"{whole}|", f"x,{code}"], ["x", f"urn:o|{code}"])}


def dated(name: str) -> dict[str, tuple[list[str], list[str]]]:
    """Of the moment 2026-02-10T10:00:00+08:00."""
    finding = ["2026-02-10", "2026-02", "eq2026-02-10T10:00:00%2B08:00", "2026-02-10T02:00:00Z", "ge2026-02-10", "le2026-02-10", "gt2026-02-09",
               "lt2026-02-11", "ne2026-02-09", "sa2026-02-09", "eb2026-02-11", "ap2026-02-09", "2025,2026", "2026-02-10T10:00"]  # fmt: skip
    return {name: (finding, ["2026-02-09", "2026-02-10T09:00", "2025", "gt2026-02-10", "lt2026-02-10", "ge2026-02-11", "le2026-02-09", "ne2026-02-10",
                             "sa2026-02-10", "eb2026-02-10", "ap2026-02-07"])}  # fmt: skip


def between(name: str) -> dict[str, tuple[list[str], list[str]]]:
    """Of the period from 2026-02-10 to 2026-02-12."""
    finding = ["2026-02", "gt2026-02-10", "ge2026-02-11", "lt2026-02-11", "le2026-02-12", "sa2026-02-09", "eb2026-02-13", "ne2026-02-11",
               "ap2026-02-11", "ap2026-02-13"]  # fmt: skip
    return {name: (finding, ["2026-02-11", "gt2026-02-12", "lt2026-02-10", "sa2026-02-10", "eb2026-02-12", "ne2026-02", "ap2026-02-15"])}  # fmt: skip


def refers(name: str, type: str) -> dict[str, tuple[list[str], list[str]]]:
    """Of a reference to the OTHER of a type."""
    elsewhere = "Task" if type != "Task" else "Patient"
    finding = [OTHER, f"{type}/{OTHER}", f"https://yuanshe.example/fhir/{type}/{OTHER}", f"x,{OTHER}"]
    return {
        name: (finding, [f"{elsewhere}/{OTHER}", f"{type}/00000000-0000-4000-8000-00000000000b", "x"]),
        f"{name}:{type}": ([OTHER], ["x"]),
    }


PERIOD = {"start": "2026-02-10", "end": "2026-02-12"}
AT = "2026-02-10T10:00:00+08:00"
NUMBER: Json = {"identifier": [{"system": "urn:s", "value": "c1"}]}
THEIRS = {
    "patient": (["{patient}", "Patient/{patient}"], [OTHER]),
    "patient:Patient": (["{patient}"], [OTHER]),
    "patient:identifier": ([CITIZEN, f"urn:his-a:mrn|A-77,x|{CITIZEN}"], ["1", "urn:x|A-77"]),
    "patient.birthdate": (["1952-03-15", "lt1953"], ["1953"]),
    "patient.name": (["王"], ["李"]),
}
SUBJECT = {"subject": THEIRS["patient"]}


def one(name: str) -> Json:
    return {"reference": f"{name}/{OTHER}"}


KEPT: dict[str, tuple[Json, dict[str, tuple[list[str], list[str]]]]] = {
    "Encounter": (
        NUMBER | {"status": "in-progress", "class": {"system": "urn:s", "code": "c1"}, "type": [concept("urn:s", "c1")], "period": {"start": "2026-02-10"}},
        plain("status", "in-progress", "encounter-status") | coded("class") | coded("type") | coded("identifier")
        | {"date": (["gt2030", "ge2026-02-10", "sa2026-02-09", "lt2026-02-11"], ["2026", "eb2030", "lt2026-02-10"])},
    ),
    "Consent": (
        NUMBER | {"status": "active", "category": [concept("urn:s", "c1")], "scope": concept("urn:s", "c1"), "dateTime": AT,
                  "sourceReference": one("DocumentReference"), "organization": [one("Organization")],
                  "provision": {"actor": [{"reference": one("Organization")}], "data": [{"reference": one("ServiceRequest")}]}},
        plain("status", "active", "consent-state-codes") | coded("category") | coded("scope") | coded("identifier") | dated("date")
        | refers("source-reference", "DocumentReference") | refers("organization", "Organization") | refers("actor", "Organization")
        | refers("data", "ServiceRequest"),
    ),
    "Condition": (
        NUMBER | {"category": [concept("urn:s", "c1")], "code": concept("urn:s", "c1"), "clinicalStatus": concept("urn:s", "c1"),
                  "verificationStatus": concept("urn:s", "c1"), "encounter": one("Encounter"), "onsetPeriod": PERIOD, "recordedDate": AT},
        coded("category") | coded("code") | coded("clinical-status") | coded("verification-status") | coded("identifier")
        | refers("encounter", "Encounter") | between("onset-date") | dated("recorded-date"),
    ),
    "Observation": (
        NUMBER | {"status": "final", "category": [concept("urn:s", "c1")], "code": concept("urn:s", "c1"), "effectiveDateTime": AT,
                  "basedOn": [one("ServiceRequest")], "derivedFrom": [one("QuestionnaireResponse")], "encounter": one("Encounter")},
        plain("status", "final", "observation-status") | coded("category") | coded("code") | coded("identifier") | dated("date")
        | refers("based-on", "ServiceRequest") | refers("derived-from", "QuestionnaireResponse") | refers("encounter", "Encounter"),
    ),
    "QuestionnaireResponse": (
        {"status": "completed", "identifier": {"system": "urn:s", "value": "c1"}, "questionnaire": "http://s/q", "authored": AT,
         "author": one("PractitionerRole"), "basedOn": [one("ServiceRequest")], "encounter": one("Encounter")},
        plain("status", "completed", "questionnaire-answers-status") | coded("identifier") | dated("authored")
        | refers("author", "PractitionerRole") | refers("based-on", "ServiceRequest") | refers("encounter", "Encounter")
        | {"questionnaire": (["http://s/q"], ["http://s/", "q"])},
    ),
    "DocumentReference": (
        NUMBER | {"status": "current", "category": [concept("urn:s", "c1")], "type": concept("urn:s", "c1"), "date": AT},
        plain("status", "current", "document-reference-status") | coded("category") | coded("type") | coded("identifier") | dated("date"),
    ),
    "Procedure": (
        NUMBER | {"status": "completed", "category": concept("urn:s", "c1"), "code": concept("urn:s", "c1"), "performedPeriod": PERIOD,
                  "performer": [{"actor": one("Organization")}]},
        plain("status", "completed", "event-status") | coded("category") | coded("code") | coded("identifier") | between("date")
        | {"based-on": (["{filler}", "ServiceRequest/{filler}"], [OTHER, "Task/{filler}"]), "based-on:ServiceRequest": (["{filler}"], ["x"])} | refers("performer", "Organization"),
    ),
    "Goal": (
        NUMBER | {"lifecycleStatus": "active", "category": [concept("urn:s", "c1")], "achievementStatus": concept("urn:s", "c1"),
                  "startDate": "2026-02-10", "target": [{"dueDate": "2027-01-01"}, {"dueDate": "2026-02-10"}]},
        plain("lifecycle-status", "active", "goal-status") | coded("category") | coded("achievement-status") | coded("identifier")
        | {"start-date": (["2026-02-10", "2026"], ["2026-02-09", "2026-02-10T10:00"]), "target-date": (["2026-02", "2027", "gt2026-12-31"], ["2028"])},
    ),
    "CarePlan": (
        NUMBER | {"status": "active", "intent": "plan", "category": [concept("urn:s", "c1")], "period": PERIOD, "basedOn": [one("ServiceRequest")]},
        plain("status", "active", "request-status") | plain("intent", "plan", "care-plan-intent") | coded("category") | coded("identifier")
        | between("date") | refers("based-on", "ServiceRequest"),
    ),
    "Communication": (
        NUMBER | {"status": "completed", "category": [concept("urn:s", "c1")], "medium": [concept("urn:s", "c1")], "sent": AT, "received": AT,
                  "basedOn": [one("Task")], "about": [one("ServiceRequest")], "sender": one("Organization"), "recipient": [one("PractitionerRole")]},
        plain("status", "completed", "event-status") | coded("category") | coded("medium") | coded("identifier") | dated("sent") | dated("received")
        | refers("based-on", "Task") | refers("about", "ServiceRequest") | refers("sender", "Organization") | refers("recipient", "PractitionerRole"),
    ),
    "Provenance": (
        {"target": [one("ServiceRequest")], "agent": [{"who": one("Organization")}], "recorded": AT},
        refers("target", "ServiceRequest") | refers("agent", "Organization") | dated("recorded"),
    ),
    "RelatedPerson": (NUMBER, coded("identifier")),
    "Location": (NUMBER, coded("identifier")),
    "Coverage": (NUMBER | {"status": "active"}, plain("status", "active", "fm-status") | coded("identifier") | {"beneficiary": THEIRS["patient"]}),
}  # fmt: skip
"""Of each type that is kept as received: an example, and of each parameter what finds it and what does not."""


async def probe(world: World, type: str, id: Id, asked: dict[str, tuple[list[str], list[str]]], **names: Any) -> None:
    """Each parameter finds the one resource by what finds it, and by nothing else; turned round by `:not` and `:missing`."""
    every = {
        "_id": ([str(id), f"{new_id()},{id}"], [str(new_id()), "x"]),
        "_lastUpdated": (["ge2026-03-02", "2026-03-02T01:30:00Z"], ["lt2026-03-02"]),
    }
    told = {
        name: tuple([v.format(**names) for v in values] for values in both) for name, both in (asked | every).items()
    }
    assert {name.partition(":")[0].partition(".")[0] for name in told} == {param.name for param in SURFACE[type].params}
    for name, (finding, missing) in told.items():
        for value in finding:
            assert str(id) in ids(await ask(world, world.hospital, f"{type}?{name}={value}", handling_strict=True)), (
                name,
                value,
            )
        for value in missing:
            assert str(id) not in ids(
                await ask(world, world.hospital, f"{type}?{name}={value}", handling_strict=True)
            ), (name, value)
        param = SURFACE[type].param(name)
        if param and param.kind in ("token", "code", "boolean"):
            for values, there in ((finding, False), (missing, True)):
                found = ids(await ask(world, world.hospital, f"{type}?{name}:not={values[0]}", handling_strict=True))
                assert (str(id) in found) == there, name
        if param:
            for value, there in (("false", True), ("true", False)):
                found = ids(await ask(world, world.hospital, f"{type}?{name}:missing={value}", handling_strict=True))
                assert (str(id) in found) == there, (name, value)


@pytest.mark.parametrize("type", [name for name, type in SURFACE.items() if type.room == "record" and name in KEPT])
async def test_behaviour_26_a_kept_resource_is_found_by_each_parameter(world: World, type: str) -> None:
    content, asked = KEPT[type]
    kept, without = new_id(), new_id()
    referral, _ = await world.refer("N05")
    share = await world.offer(referral, world.a)
    if type == "Procedure":
        # A piece of work belongs to a share, and is found by its request that way.
        content = content | {"basedOn": [{"reference": f"ServiceRequest/{share.filler}"}]}
    params = {param.name for param in SURFACE[type].params}
    asked = asked | (THEIRS if "patient" in params else {}) | (SUBJECT if "subject" in params else {})
    for id, said in ((kept, content), (without, {})):
        whose = world.patient.id if id == kept else None
        await world.keep(
            Record(id, 1, type, "supporting", world.hospital.organization, body(resourceType=type, **said), NOW,
                   hospital=world.hospital.organization, patient=whose, task=share.id if type == "Procedure" and whose else None)
        )  # fmt: skip
    await probe(world, type, kept, asked, patient=world.patient.id, filler=share.filler)
    # One that says nothing is found by nothing but its absence.
    for param in SURFACE[type].params:
        if param.name not in ("_id", "_lastUpdated"):
            for value, there in (("true", True), ("false", False)):
                found = ids(await ask(world, world.hospital, f"{type}?{param.name}:missing={value}"))
                assert (str(without) in found) == there, param.name


def test_every_kept_type_has_its_example() -> None:
    # What the service itself writes or takes apart is shown by the tests of its own rooms.
    assert {name for name, type in SURFACE.items() if type.room == "record"} - {"Binary", "CareTeam"} == set(KEPT)


async def test_behaviour_26_a_task_is_found_by_each_parameter(world: World) -> None:
    referral, parent = await world.refer("N05")
    share: Task = await world.offer(referral, world.a)
    await world.refer("N06", number="R-2")
    names = {"patient": world.patient.id, "request": referral.id, "filler": share.filler, "parent": parent.id,
             "agency": world.a.organization, "hospital": world.hospital.organization, "platform": world.platform.organization}  # fmt: skip
    of_task = {"due": (["ge2026-03-02", "2026-03-02T05:30:00Z"], ["2026-03-03"]), "modified": (["2026-03-02", "ge2026"], ["2025"]),
               "authored-on": (["2026-03-02", "2026-03-02T01:30:00Z"], ["2026-03-01"])}  # fmt: skip
    words = (
        plain("status", "requested", "task-status") | plain("intent", "order", "task-intent") | plain("priority", "urgent", "request-priority")
        | {"business-status": (["offered", "urn:yuanshe:business-status|offered", "urn:yuanshe:business-status|"], ["closed", "urn:o|offered"]),
           "code": (["fulfill", "http://hl7.org/fhir/CodeSystem/task-code|fulfill"], ["follow-up", "urn:yuanshe:task-code|fulfill"])}
    )  # fmt: skip
    asked = of_task | words | THEIRS | SUBJECT
    parents = {
        "focus": (["{request}", "ServiceRequest/{request}"], ["{filler}", "Task/{request}"]),
        "requester": (["Organization/{hospital}"], ["{agency}"]),
        "owner": (["{platform}"], ["{agency}"]),
        "identifier": (["T-R-1", "urn:his-a:task|T-R-1"], ["urn:o|T-R-1", "T-R-2"]),
        "based-on": ([], ["{request}"]), "part-of": ([], ["{parent}"]), "output": ([], [f"Procedure/{OTHER}"]),
        "focus.status": (["active"], ["revoked"]), "requester:identifier": ([], ["x"]), "focus.identifier": (["R-1"], ["R-2"]),
    }  # fmt: skip
    some = set(parents) - {"based-on", "part-of", "output"}
    told = {name: both for name, both in (asked | parents).items() if name in some or name in asked}
    for name, (finding, missing) in told.items():
        for value in finding:
            assert str(parent.id) in ids(
                await ask(world, world.hospital, f"Task?{name}={value.format(**names)}", handling_strict=True)
            ), (name, value)
        for value in missing:
            assert str(parent.id) not in ids(
                await ask(world, world.hospital, f"Task?{name}={value.format(**names)}", handling_strict=True)
            ), (name, value)
    shares = {
        "focus": (["{filler}"], ["{request}"]), "part-of": (["{parent}", "Task/{parent}"], ["{filler}"]), "owner": (["{agency}", "Organization/{agency}"], ["{hospital}"]),
        "requester": (["{platform}"], ["{hospital}"]), "part-of.status": (["requested"], ["completed"]), "focus.intent": (["filler-order"], ["order"]),
    }  # fmt: skip
    for name, (finding, missing) in shares.items():
        for value in finding:
            assert str(share.id) in ids(
                await ask(world, world.hospital, f"Task?{name}={value.format(**names)}", handling_strict=True)
            ), (name, value)
        for value in missing:
            assert str(share.id) not in ids(
                await ask(world, world.hospital, f"Task?{name}={value.format(**names)}", handling_strict=True)
            ), (name, value)
    for name in ("based-on", "output", "identifier"):
        assert str(share.id) in ids(await ask(world, world.hospital, f"Task?{name}:missing=true"))
    assert {name.partition(":")[0].partition(".")[0] for name in asked | parents} | {"_id", "_lastUpdated"} == {
        p.name for p in SURFACE["Task"].params
    }


async def test_behaviour_26_a_request_is_found_by_each_parameter(world: World) -> None:
    replaced, _ = await world.refer("N05", number="R-0")
    referral, _ = await world.refer(
        "N05", replaces=replaced.id, preferred=world.a.organization, populations=("elder", "living-alone")
    )
    share = await world.offer(referral, world.a)
    names = {
        "patient": world.patient.id,
        "replaced": replaced.id,
        "hospital": world.hospital.organization,
        "agency": world.a.organization,
    }
    asked = THEIRS | SUBJECT | plain("status", "active", "request-status") | plain("intent", "order", "request-intent") \
        | plain("priority", "routine", "request-priority") | coded("category", "urn:yuanshe:need", "N05") | coded("code", "urn:yuanshe:need", "N05") \
        | dated("occurrence") | {
            "replaces": (["{replaced}", "ServiceRequest/{replaced}"], [OTHER, "Task/{replaced}"]), "requester": (["{hospital}"], ["{agency}"]),
            "performer": (["Organization/{agency}"], ["{hospital}"]), "authored": (["2026-03-02", "ge2026-03"], ["2026-03-03"]),
            "identifier": (["R-1", f"{PLACER}|R-1", f"{PLACER}|"], ["R-0", "urn:o|R-1", "|R-1"]),
            "population": (["elder", "urn:yuanshe:population|living-alone"], ["disabled", "urn:o|elder"]),
            "supporting-info": (["Consent/00000000-0000-4000-8000-000000000000"], [f"Consent/{OTHER}"]),
        }  # fmt: skip
    params = {param.name for param in SURFACE["ServiceRequest"].params}
    assert {name.partition(":")[0].partition(".")[0] for name in asked} | {"_id", "_lastUpdated", "based-on"} == params
    for name, (finding, missing) in asked.items():
        for value in finding:
            query = f"ServiceRequest?{name}={value.format(**names)}"
            assert str(referral.id) in ids(await ask(world, world.hospital, query, handling_strict=True)), (name, value)
        for value in missing:
            query = f"ServiceRequest?{name}={value.format(**names)}"
            assert str(referral.id) not in ids(await ask(world, world.hospital, query, handling_strict=True)), (
                name,
                value,
            )
    for query in (
        f"based-on={referral.id}",
        "based-on.identifier=R-1",
        "based-on.status=active",
    ):
        assert ids(await ask(world, world.hospital, f"ServiceRequest?{query}")) == named(share.filler), query


async def test_behaviour_26_a_person_is_found_by_each_parameter(world: World) -> None:
    asked = plain("gender", "female", "administrative-gender") | {
        "identifier": ([CITIZEN, "urn:his-a:mrn|A-77", "urn:his-a:mrn|"], ["|A-77", "urn:o|A-77", "B-77"]),
        "name": (["王", "王秀", "x,王秀兰", "秀兰"], ["李", "秀兰王"]), "name:exact": (["王秀兰"], ["王秀"]), "name:contains": (["秀", "兰"], ["丽"]),
        "phone": (["13800000000", "phone|13800000000"], ["13900000000", "email|13800000000"]),
        "birthdate": (["1952-03-15", "1952-03", "lt1953", "ge1952-03-15", "ap1952-03-16"], ["1952-03-16", "gt1952-03-15", "ap1952-03-18"]),
    }  # fmt: skip
    await probe(world, "Patient", world.patient.id, asked)


async def test_strings_heed_case_only_when_asked_to(world: World) -> None:
    id = new_id()
    await world.database.pool.execute("SELECT 1")
    async with world.database.transaction(world.hospital.scope) as session:
        await session.execute("UPDATE patient SET name = 'Anna Maria' WHERE id = $1", world.patient.id)
    for query, there in {"name=anna": True, "name=ANNA M": True, "name=maria": False, "name:contains=MARIA": True, "name:exact=anna maria": False,
                         "name:exact=Anna Maria": True, "name:contains=%25": False, "name=_nna": False}.items():  # fmt: skip
        assert (str(world.patient.id) in ids(await ask(world, world.hospital, f"Patient?{query}"))) == there, query
    assert id


async def test_dates_of_any_precision_and_none_are_compared_and_never_break_a_search(world: World) -> None:
    said = {"2026": "2026", "month": "2026-02", "day": "2026-02-10", "minute": "2026-02-10T10:00+08:00", "second": "2026-02-10T02:00:00Z", "part": "2026-02-10T02:00:00.123456Z",
            "west": "2026-02-09T21:00:00-05:00", "no day": "2026-02-30", "no moment": "yesterday", "nothing": "", "zero": "0000-00-00T99:99:99+99:59"}  # fmt: skip
    kept: dict[str, str] = {}
    for name, moment in said.items():
        kept[name] = str(new_id())
        await world.keep(
            Record(Id(kept[name]), 1, "Communication", "message", world.hospital.organization, body(resourceType="Communication", sent=moment), NOW,
                   hospital=world.hospital.organization, patient=world.patient.id)
        )  # fmt: skip
    for query, found in {
        "2026-02-10": ("day", "minute", "second", "part", "west"),
        "2026-02": ("month", "day", "minute", "second", "part", "west"),
        "2026": ("2026", "month", "day", "minute", "second", "part", "west", "no day"),
        "eq2026-02-10T02:00:00Z": ("second", "part", "west"),
        "gt2026-02-10T02:00:00Z": ("2026", "month", "day", "minute", "no day"),
        "sa2026-02-10": ("no day",),
        "lt2026-02-10": ("2026", "month", "zero"),
    }.items():
        bundle = await ask(world, world.hospital, f"Communication?sent={query}")
        assert ids(bundle) == {kept[name] for name in found}, query


def test_every_type_that_a_reference_may_name_can_be_reached_or_is_told_not_to_be() -> None:
    targets = {target for type in SURFACE.values() for param in type.params for target in param.targets}
    assert {target for target in targets if target in SURFACE and not chains.reachable(target)} <= {"Device", "Group"}


async def test_the_pages_of_a_chain_hold_every_match_once(world: World) -> None:
    found: set[str] = set()
    for n in range(5):
        _, parent = await world.refer("N05", number=f"R-{n}", at=NOW + timedelta(seconds=n))
        found.add(str(parent.id))
    seen: list[str] = []
    query: str | None = "focus.status=active&_count=2"
    while query:
        bundle = await ask(world, world.hospital, f"Task?{query}")
        assert bundle["total"] == 5
        seen += ids(bundle)
        query = next((each["url"].partition("?")[2] for each in bundle["link"] if each["relation"] == "next"), None)
    assert sorted(seen) == sorted(found)
