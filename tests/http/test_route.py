"""Ask first: who would receive a referral, in what order and why, with nothing stored."""

from typing import Any

from tests.http.submitting import expressions, order, put_in, resource, rows
from tests.http.world import CITIZEN, Answered, World, phq9, submission


def candidates(answer: Answered) -> list[dict[str, Any]]:
    """Each candidate with its values by name, `rule` and `part` as dicts."""
    found: list[dict[str, Any]] = []
    for parameter in answer.get("parameter", ()):
        assert parameter["name"] == "candidate"
        said: dict[str, Any] = {"rule": {}, "part": {}}
        for part in parameter["part"]:
            if part["name"] in ("rule", "part"):
                inner = {p["name"]: value(p) for p in part["part"]}
                said[part["name"]][inner["name"]] = inner
            else:
                said[part["name"]] = value(part)
        said["agency"] = said["agency"]["reference"]
        found.append(said)
    return found


def value(part: dict[str, Any]) -> Any:
    return next(v for k, v in part.items() if k.startswith("value"))


async def test_every_agency_with_every_rule_in_the_order_in_which_they_would_be_asked(world: World) -> None:
    before = await rows(world)
    answer = await world.party("his-a").post("ServiceRequest/$route", submission("N05"))
    assert answer.status == 200 and answer["resourceType"] == "Parameters"
    found = candidates(answer)
    assert [one["agency"] for one in found] == [
        world.organizations[name] for name in ("agency-a", "agency-b", "agency-c")
    ]
    assert [one["rank"] for one in found[:2]] == [1, 2]
    for one in found:
        assert {"partnership", "need", "region", "capacity", "worker", "ready"} <= set(one["rule"])
        for rule in one["rule"].values():
            assert rule["result"] in ("pass", "fail", "unknown") and rule["why"]
        assert isinstance(one["score"], int | float) and one["part"]
    assert {rule["result"] for rule in found[0]["rule"].values()} == {"pass"}
    assert found[2]["rule"]["partnership"]["result"] == "fail"
    assert await rows(world) == before


async def test_it_takes_the_same_body_as_a_submission(world: World) -> None:
    hospital = world.party("his-a")
    person = resource(submission(), "Patient")
    known = await hospital.post("Patient", person)
    before = await rows(world)
    for asked in (
        order({"reference": f"Patient/{known['id']}"}),
        order({"identifier": person["identifier"][0]}),
        order({"reference": "#p"}, contained=[person | {"id": "p"}]),
        submission("N05", extra=[phq9(1), world.consent_form("PATIENT", "REQUEST", "agency-a")]),
    ):
        answer = await hospital.post("ServiceRequest/$route", asked)
        assert answer.status == 200, answer
        assert candidates(answer)[0]["agency"] == world.organizations["agency-a"]
    assert await rows(world) == before


async def test_what_nobody_knows_is_unknown_and_not_passed(world: World) -> None:
    bundle = submission("N05", patient={"address": [{"use": "home", "district": "520500"}]})
    found = candidates(await world.party("his-a").post("ServiceRequest/$route", bundle))
    assert {one["rule"]["region"]["result"] for one in found} == {"unknown"}
    assert not any(one.get("eligible") for one in found)


async def test_what_is_asked_first_is_what_happens(world: World) -> None:
    for needs, values in (
        (("N05",), {}),
        (("N06",), {}),
        (("N12",), {}),
        (("N05",), {"request": {"performer": [{"reference": world.organizations["agency-b"]}]}}),
        (("N05",), {"patient": {"address": [{"use": "home", "district": "520521"}]}}),
        (("N17",), {}),
    ):
        bundle = submission(*needs, **values)
        asked = candidates(await world.party("his-a").post("ServiceRequest/$route", bundle))
        first = [one["agency"] for one in asked if {r["result"] for r in one["rule"].values()} == {"pass"}][:1]
        before = {task["id"] for task in await world.party("platform").search("Task?status=requested")}
        assert (await world.party("his-a").post("", bundle)).status == 200
        made = [
            task
            for task in await world.party("platform").search("Task?status=requested")
            if task["id"] not in before and "partOf" in task
        ]
        assert [task["owner"]["reference"] for task in made] == first


async def test_the_stay_already_known_leads_where_it_leads(world: World) -> None:
    hospital = world.party("his-a")
    place = {"resourceType": "Location", "id": "n", "address": {"district": "520502002"}}
    stay = {"contained": [place], "hospitalization": {"destination": {"reference": "#n"}}}
    far = {"address": [{"use": "home", "district": "520521"}]}
    referred = await world.refer("N05", patient=far, encounter=stay)
    asked = order({"reference": referred.patient}, "N01", encounter={"reference": referred.stay})
    found = candidates(await hospital.post("ServiceRequest/$route", asked))
    assert found[0]["rule"]["region"]["result"] == "pass"


async def test_what_a_submission_would_be_refused_for_is_refused_here(world: World) -> None:
    hospital = world.party("his-a")
    before = await rows(world)
    for change, where in (
        ({"status": None}, "status"),
        ({"identifier": None}, "identifier"),
        ({"category": None}, "code"),
        ({"subject": {"reference": "Patient/0190a000-0000-7000-8000-00000000abcd"}}, "subject"),
    ):
        answer = await hospital.post("ServiceRequest/$route", put_in(submission("N05"), ServiceRequest=change))
        assert answer.status == 422 and expressions(answer)[0].endswith(where), answer
    wrong = put_in(submission("N05"), Patient={"identifier": [{"system": CITIZEN, "value": "520502195203150021"}]})
    answer = await hospital.post("ServiceRequest/$route", wrong)
    assert answer.status == 422 and expressions(answer) == ["Bundle.entry[0].resource.identifier"]
    assert await rows(world) == before


async def test_agencies_do_not_ask(world: World) -> None:
    assert (await world.party("agency-a").post("ServiceRequest/$route", submission("N05"))).status == 403
    assert (await world.nobody.post("ServiceRequest/$route", submission("N05"))).status == 401
