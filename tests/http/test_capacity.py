"""An agency says what capacity it has, and no more is offered than there is (contract.md)."""

from typing import Any

import pytest

from tests.http.loop import done, nothing_changes, refused, says
from tests.http.world import Answered, World, closed, output, reason, submission


async def service(world: World, agency: str = "agency-a") -> Answered:
    found = [
        each for each in await world.party(agency).search("HealthcareService?_count=50")
        if each["providedBy"]["reference"] == world.organizations[agency]
    ]  # fmt: skip
    assert len(found) == 1
    return await world.party(agency).read(f"HealthcareService/{found[0]['id']}")


def with_places(read: dict[str, Any], places: int) -> list[dict[str, Any]]:
    others = [each for each in read.get("extension", []) if each["url"] != "urn:yuanshe:places"]
    return [*others, {"url": "urn:yuanshe:places", "valueInteger": places}]


def places(read: dict[str, Any]) -> int:
    return next(each["valueInteger"] for each in read["extension"] if each["url"] == "urn:yuanshe:places")


async def test_an_agency_says_its_places_and_everybody_reads_them(world: World) -> None:
    read = await service(world)
    assert places(read) >= 200
    said = done(await world.party("agency-a").put(read, extension=with_places(read, 7)))
    assert places(said) == 7 and int(said["meta"]["versionId"]) == int(read["meta"]["versionId"]) + 1
    assert places(await world.party("his-a").read(f"HealthcareService/{read['id']}")) == 7


async def test_only_the_agency_itself_says_it_and_on_the_current_version(world: World) -> None:
    read = await service(world)
    async with nothing_changes(world):
        for other in ("agency-b", "his-a", "his-b"):
            refused(await world.party(other).put(read, extension=with_places(read, 1)), 403)
        for wrong in (-1, 100_001, "7"):
            answer = await world.party("agency-a").put(read, extension=with_places(read, wrong))  # type: ignore[arg-type]
            assert answer.status in (400, 422)
        refused(await world.party("agency-a").put(read, if_match='W/"99"', extension=with_places(read, 7)), 412)
        refused(await world.party("agency-a").put(read | {"id": "00000000-0000-4000-8000-000000000000"}), 404)


@pytest.mark.parametrize(
    ("element", "value"),
    [("name", "另一个名称"), ("active", False), ("coverageArea", []), ("comment", "暂停"), ("extension", "more")],
)
async def test_what_is_not_capacity_is_not_changed_and_not_lost_in_silence(
    world: World, element: str, value: Any
) -> None:
    read = await service(world)
    if value == "more":
        value = [*read["extension"], {"url": "urn:x:more", "valueString": "y"}]
    async with nothing_changes(world):
        answer = refused(await world.party("agency-a").put(read, **{element: value}), 422)
        assert answer["issue"][0]["expression"] == [f"HealthcareService.{element}"]


async def test_with_no_place_left_the_next_agency_is_asked(world: World) -> None:
    agency = world.party("agency-a")
    read = await service(world)
    done(await agency.put(read, extension=with_places(read, 1)))
    first = await world.refer("N05")
    offer = await world.offer(first)
    second = await world.refer("N05")
    assert (await world.offer(second, "agency-b"))["status"] == "requested"
    done(await agency.put(offer, status="rejected", statusReason=reason("out-of-area")))
    third = await world.refer("N05")
    assert (await world.offer(third))["status"] == "requested"


async def test_a_place_is_held_until_the_task_ends_however_it_ends(world: World) -> None:
    agency, hospital = world.party("agency-a"), world.party("his-a")
    read = await service(world)
    done(await agency.put(read, extension=with_places(read, 1)))
    for end in ("completed", "failed", "cancelled", "withdrawn", "void"):
        referred = await world.refer("N04")
        share = await world.accepted(referred)
        full = await world.refer("N04")
        assert says(await world.parent(full)) == "unplaced"
        match end:
            case "completed":
                done(await agency.put(share, status=end, output=[output()], statusReason=closed()))
            case "failed":
                done(await agency.put(share, status=end, statusReason=closed("unforeseen")))
            case "cancelled":
                done(await agency.put(share, status=end, statusReason=reason("waitlist")))
            case "withdrawn":
                done(await hospital.put(await hospital.read(referred.request), status="revoked"))
                done(await agency.put(await agency.read(f"Task/{share['id']}"), status="cancelled"))
            case _:
                done(await hospital.put(await hospital.read(referred.request), status="entered-in-error"))


async def test_fewer_places_evict_nobody_and_give_none_out(world: World) -> None:
    agency = world.party("agency-a")
    read = await service(world)
    shares = [await world.accepted(await world.refer("N04")) for _ in range(3)]
    done(await agency.put(read, extension=with_places(read, 1)))
    for share in shares:
        assert (await agency.read(f"Task/{share['id']}"))["status"] == "accepted"
    for share in shares[:2]:
        assert says(await world.parent(await world.refer("N04"))) == "unplaced"
        done(await agency.put(share, status="failed", statusReason=closed("moved")))
    assert says(await world.parent(await world.refer("N04"))) == "unplaced"
    done(await agency.put(shares[2], status="failed", statusReason=closed("moved")))
    assert says(await world.parent(await world.refer("N04"))) == "offered"


async def test_who_says_no_capacity_is_offered_nothing(world: World) -> None:
    agency = world.party("agency-a")
    read = await service(world)
    text = str(read["extension"])
    assert "'capacity'" in text
    closed_now = recoded(read["extension"], "capacity", "no-capacity")
    done(await agency.put(read, extension=closed_now))
    assert says(await world.parent(await world.refer("N04"))) == "unplaced"
    again = await service(world)
    done(await agency.put(again, extension=recoded(again["extension"], "no-capacity", "capacity")))
    assert says(await world.parent(await world.refer("N04"))) == "offered"


async def test_behaviour_43_every_service_found_states_its_capacity_and_routing_passes_over_who_has_none(
    world: World,
) -> None:
    """Whatever a HealthcareService is searched by, it says its capacity; who has none is passed over, and told of as such."""
    hospital, agency = world.party("his-a"), world.party("agency-a")
    read = await service(world)
    done(await agency.put(read, extension=recoded(read["extension"], "capacity", "no-capacity")))
    for query in (
        "",
        "?active=true",
        f"?organization={world.organizations['agency-a']}",
        f"?_id={read['id']}",
        "?specialty=N05",
    ):
        found = await hospital.search(f"HealthcareService{query}")
        assert found, query
        for each in found:
            (stated,) = [e for e in each["extension"] if e["url"].endswith("ExtensionHealthcareServiceCapacityStatus")]
            (status,) = [e["valueCodeableConcept"] for e in stated["extension"] if e["url"] == "capacityStatus"]
            mine = each["providedBy"]["reference"] == world.organizations["agency-a"]
            assert status["coding"][0]["code"] == ("no-capacity" if mine else "capacity")
    asked = done(await hospital.post("ServiceRequest/$route", submission("N05")))
    told = {
        next(p["valueReference"]["reference"] for p in c["part"] if p["name"] == "agency"): {
            rule["part"][0]["valueCode"]: (rule["part"][1]["valueCode"], rule["part"][2]["valueString"])
            for rule in c["part"] if rule["name"] == "rule"
        }
        for c in asked["parameter"]
    }  # fmt: skip
    result, why = told[world.organizations["agency-a"]]["capacity"]
    assert result == "fail" and why
    assert told[world.organizations["agency-b"]]["capacity"][0] == "pass"
    referred = await world.refer("N05")
    assert (await world.offer(referred, "agency-b"))["owner"]["reference"] == world.organizations["agency-b"]
    assert not await agency.search("Task?status=requested")
    nobody = await world.refer("N04")
    assert says(await world.parent(nobody)) == "unplaced"


def recoded(value: Any, code: str, other: str) -> Any:
    """The extensions with one code in place of another."""
    if isinstance(value, dict):
        return {
            k: other if (k, v) == ("code", code) else recoded(v, code, other)
            for k, v in value.items()
            if k != "display"
        }
    return [recoded(each, code, other) for each in value] if isinstance(value, list) else value
