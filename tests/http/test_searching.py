"""Searches over HTTP, as a program of a hospital and one of an agency ask them."""

from typing import Any
from urllib.parse import parse_qsl, urlsplit

from adapters.fhir.surface import SURFACE
from tests.http.loop import done, procedure, refused, started
from tests.http.world import Answered, Party, World, closed, output

FORM = "application/x-www-form-urlencoded"


def found(answer: Answered, mode: str = "match") -> set[str]:
    assert answer.status == 200, answer
    return {
        f"{entry['resource']['resourceType']}/{entry['resource']['id']}"
        for entry in answer.get("entry", ())
        if entry["search"]["mode"] == mode
    }


def itself(answer: Answered) -> list[tuple[str, str]]:
    """The parameters of the `self` link."""
    url = next(link["url"] for link in answer["link"] if link["relation"] == "self")
    return parse_qsl(urlsplit(url).query, keep_blank_values=True)


async def both_ways(party: Party, query: str) -> Answered:
    """The answer to GET, which POST `_search` gives as well, wherever the parameters stand."""
    type, _, params = query.partition("?")
    got = await party.get(query)
    for url, form in ((f"{type}/_search", params), (f"{type}/_search?{params}", "")):
        posted = await party.ask("POST", url, form.encode(), kind=FORM)
        assert found(posted) == found(got) and posted["total"] == got["total"], query
    return got


async def test_behaviour_26_every_parameter_that_the_guide_requires_is_searched_by(world: World) -> None:
    referred = await world.refer("N05", number="R-77", mrn="ZY-77")
    other = await world.refer("N06")
    hospital = world.party("his-a")
    parent, elsewhere = await world.parent(referred), await world.parent(other)
    (share,) = await world.shares(referred)
    (another,) = await world.shares(other)
    every = {f"Task/{each['id']}" for each in (parent, elsewhere, share, another)}
    mine = f"Task/{parent['id']}"
    request, patient = parent["focus"]["reference"], parent["for"]["reference"]
    owner, requester = share["owner"]["reference"], parent["requester"]["reference"]
    changed = parent["meta"]["lastUpdated"].replace("+", "%2B")
    for query, tasks in {
        f"_id={parent['id']}": {mine}, f"_id={parent['id']},{elsewhere['id']}": {mine, f"Task/{elsewhere['id']}"},
        "code=fulfill": every, "code=http://hl7.org/fhir/CodeSystem/task-code|fulfill": every, "code=|fulfill": set[str](), "code:not=fulfill": set[str](),
        f"patient={patient}&focus={request}": {mine}, f"patient={patient.partition('/')[2]}&focus={request.partition('/')[2]}": {mine},
        f"requester={requester}": {mine, f"Task/{elsewhere['id']}"}, f"owner={owner}": {f"Task/{each['id']}" for each in (share, another) if each["owner"] == share["owner"]},
        "status=requested,accepted": every, "status:not=requested": set[str](), "owner:missing=true": set[str](), "owner:missing=false": every,
        f"_lastUpdated=ge{changed}&focus={request}": {mine}, f"_lastUpdated=le{changed}&focus={request}": {mine},
        f"_lastUpdated=lt{changed}&focus={request}": set[str](), f"_lastUpdated=gt2100&focus={request}": set[str](),
        "focus.identifier=R-77": {mine}, "patient.identifier=urn:his-a:patient|ZY-77&part-of:missing=true": {mine},
    }.items():  # fmt: skip
        assert found(await both_ways(hospital, f"Task?{query}")) & every == tasks, query
    for query in (
        f"ServiceRequest?_id={request.partition('/')[2]}&category=N05&intent=order&status=active&patient={patient}",
        f"ServiceRequest?_has:Task:focus:_id={parent['id']}",
    ):
        assert found(await both_ways(hospital, query)) == {request}, query
    assert found(await both_ways(hospital, f"Patient?_id={patient.partition('/')[2]}")) == {patient}


async def test_behaviour_27_what_is_included_is_marked_so_and_not_counted(world: World) -> None:
    referred = await world.refer("N05")
    accepted = await world.accepted(referred)
    agency, hospital = world.party("agency-a"), world.party("his-a")
    share = f"Task/{accepted['id']}"
    work = await agency.post("Procedure", {
        "resourceType": "Procedure", "status": "completed", "code": {"coding": [{"system": "urn:yuanshe:service-type", "code": "psych-support"}]},
        "subject": accepted["for"], "basedOn": [accepted["focus"]], "performedDateTime": "2026-11-20T10:00:00+08:00",
    })  # fmt: skip
    assert work.status == 201, work
    done = await agency.put(
        accepted, status="completed", statusReason=closed(), output=[output(f"Procedure/{work['id']}")]
    )
    assert done.status == 200, done
    answer = await hospital.get(f"Task?_id={accepted['id']}&_include=Task:focus&_include=Task:output")
    assert found(answer) == {share} and answer["total"] == 1
    assert found(answer, "include") == {accepted["focus"]["reference"], f"Procedure/{work['id']}"}
    answer = await hospital.get(
        f"ServiceRequest?_id={accepted['focus']['reference'].partition('/')[2]}&_revinclude=Task:focus"
    )
    assert found(answer, "include") == {share} and answer["total"] == 1


async def test_behaviour_28_an_unknown_parameter_is_ignored_and_left_out_of_self_or_refused_when_strict(
    world: World,
) -> None:
    await world.refer("N05")
    hospital = world.party("his-a")
    answer = await hospital.get("Task?status=requested&colour=blue&focus.patient.name=x&_count=5")
    assert found(answer) and itself(answer) == [("status", "requested"), ("_count", "5")]
    (outcome,) = [entry["resource"] for entry in answer["entry"] if entry["search"]["mode"] == "outcome"]
    assert {issue["severity"] for issue in outcome["issue"]} <= {"warning", "information"}
    said = outcome["issue"][0]["details"]["text"]
    assert "colour" in said and "focus.patient.name" in said and "blue" not in said, said
    for query, told in (
        ("colour=blue", "colour"),
        ("focus.patient.name=x", "focus.patient.name"),
        ("_include=Task:colour", "_include"),
    ):
        refused = await hospital.get(f"Task?{query}", prefer="handling=strict")
        assert refused.status == 400 and told in refused["issue"][0]["details"]["text"], refused
    assert (await hospital.get("Task?status=requested&_count=1", prefer="handling=strict")).status == 200
    for query in (
        "status:exact=requested",
        "_sort=status",
        "_sort=_id,_lastUpdated",
        "_lastUpdated=soon",
        "owner:missing=x",
    ):
        assert (await hospital.get(f"Task?{query}")).status == 400, query


async def test_a_read_gives_the_part_that_is_asked_for(world: World) -> None:
    referred = await world.refer("N05")
    hospital = world.party("his-a")
    parent = await world.parent(referred)
    part = await hospital.get(f"Task/{parent['id']}?_elements=owner")
    assert (
        set(part) == {"resourceType", "id", "meta", "status", "intent", "owner"}
        and part["meta"]["tag"][0]["code"] == "SUBSETTED"
    )
    part = await hospital.get(f"Task/{parent['id']}/_history/{parent['meta']['versionId']}?_summary=true")
    assert "focus" in part and "restriction" not in part
    assert (await hospital.get(f"Task/{parent['id']}?_summary=count")).status == 400


async def test_a_piece_of_work_is_found_by_the_request_that_it_belongs_to_and_belongs_to_one(world: World) -> None:
    agency, hospital = world.party("agency-a"), world.party("his-a")
    referred, other = await world.refer("N05"), await world.refer("N05")
    share, another = await started(world, referred), await started(world, other)
    work, elsewhere = (
        done(await agency.post("Procedure", procedure(share))),
        done(await agency.post("Procedure", procedure(another))),
    )
    plan = {"reference": "CarePlan/00000000-0000-4000-8000-000000000000"}
    both = done(
        await agency.post(
            "Procedure", procedure(share) | {"basedOn": [plan, share["focus"], {"reference": referred.request}]}
        )
    )
    mine = {f"Procedure/{work['id']}", f"Procedure/{both['id']}"}
    assert found(await agency.get(f"Procedure?based-on={share['focus']['reference']}")) == mine
    assert found(await agency.get(f"Procedure?based-on={another['focus']['reference']}")) == {
        f"Procedure/{elsewhere['id']}"
    }
    assert found(await agency.get(f"Procedure?based-on={referred.request}")) == {f"Procedure/{both['id']}"}
    assert not found(await hospital.get(f"Procedure?based-on={share['focus']['reference']}"))
    refused(await agency.post("Procedure", procedure(share) | {"basedOn": [share["focus"], another["focus"]]}), 422)


async def test_behaviour_26_the_directory_is_found_by_each_parameter(world: World) -> None:
    hospital = world.party("his-a")
    agency = await hospital.read(world.organizations["agency-a"])
    services = await hospital.search(f"HealthcareService?organization={world.organizations['agency-a']}")
    service, role = (
        services[0],
        (await hospital.search(f"PractitionerRole?organization={world.organizations['agency-a']}&role:missing=false"))[
            0
        ],
    )
    worker = await hospital.read(role["practitioner"]["reference"])
    number, kind = agency["identifier"][0], agency["type"][0]["coding"][0]
    offered, need = service["type"][0]["coding"][0], service["specialty"][0]["coding"][0]
    grade = role["code"][0]["coding"][0]
    owner, elsewhere = world.organizations["agency-a"], world.organizations["agency-c"]
    told: dict[str, tuple[dict[str, Any], dict[str, tuple[str, str]]]] = {
        "Organization": (agency, {
            "identifier": (f"{number['system']}|{number['value']}", "1"), "name": (agency["name"][:2], "无"), "name:exact": (agency["name"], agency["name"][:-1]),
            "name:contains": (agency["alias"][0][2:].upper(), "无"), "type": (f"{kind['system']}|{kind['code']}", "hospital"), "active": ("true", "false"),
            "partof": ("", elsewhere),
        }),
        "HealthcareService": (service, {
            "organization": (owner, elsewhere), "name": (service["name"][:2], "无"), "active": ("true", "false"), "location": ("", f"Location/{agency['id']}"),
            "service-type": (f"{offered['system']}|{offered['code']}", "urn:o|x"), "specialty": (need["code"], "N99"), "organization.name": (agency["name"], "无"),
            "organization:identifier": (number["value"], "1"),
        }),
        "PractitionerRole": (role, {
            "organization": (owner, elsewhere), "practitioner": (f"Practitioner/{worker['id']}", f"Practitioner/{agency['id']}"), "active": ("true", "false"),
            "role": (f"{grade['system']}|{grade['code']}", f"urn:o|{grade['code']}"), "practitioner.name": (worker["name"][0]["text"], "无"),
        }),
        "Practitioner": (worker, {"name": (worker["name"][0]["text"][:1], "无"), "active": ("true", "false"), "_has:PractitionerRole:practitioner:organization": (owner, elsewhere)}),
    }  # fmt: skip
    for type, (resource, params) in told.items():
        name = f"{type}/{resource['id']}"
        assert {param.partition(":")[0].partition(".")[0] for param in params} - {"_has"} == {
            p.name for p in SURFACE[type].params
        } - {"_id", "_lastUpdated"}
        for param, (finding, missing) in params.items():
            if finding:
                assert name in found(await both_ways(hospital, f"{type}?{param}={finding}&_count=200")), (type, param)
            assert name not in found(await both_ways(hospital, f"{type}?{param}={missing}&_count=200")), (type, param)
        assert found(await both_ways(hospital, f"{type}?_id={resource['id']}&_lastUpdated=gt2000")) == {name}
        assert not found(await both_ways(hospital, f"{type}?_id={resource['id']}&_lastUpdated=lt2000"))
    assert (await hospital.get("Organization?active=perhaps")).status == 400


async def test_a_date_that_cannot_be_read_is_answered_with_how_dates_are_written(world: World) -> None:
    hospital = world.party("his-a")
    for value in ("xx2026", "2026-1", "20261122", "now"):
        answer = await hospital.get(f"Task?authored-on={value}")
        assert answer.status == 400 and "2026-11-22T15:30:00+08:00" in answer["issue"][0]["details"]["text"], answer
    far = await hospital.get("Task?authored-on=le9999-12-31")
    assert far.status == 400 and "not of these times" in far["issue"][0]["details"]["text"], far
