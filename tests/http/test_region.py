"""Where somebody lives decides who may be asked; what nobody knows never leads to an offer."""

from typing import Any

import pytest

from tests.http.world import Referred, World, submission

SC_CODING = "http://hl7.org/fhir/StructureDefinition/iso21090-SC-coding"


async def placed(world: World, referred: Referred) -> str:
    return (await world.parent(referred))["businessStatus"]["coding"][0]["code"]


def coded(code: str) -> dict[str, Any]:
    coding = {"system": "urn:yuanshe:region", "code": code}
    return {"_district": {"extension": [{"url": SC_CODING, "valueCoding": coding}]}}


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ({"district": "520502"}, "offered"),
        ({"district": "520502001"}, "offered"),
        ({"district": "520502001003"}, "offered"),
        ({"district": "520502000000"}, "offered"),
        ({"district": "520502003"}, "offered"),
        (coded("520502002"), "offered"),
        ({"district": "七星关区"} | coded("520502002"), "offered"),
        ({"district": "520521"}, "unplaced"),
        ({"district": "500108006"}, "unplaced"),
        ({"district": "520500"}, "unplaced"),
        ({"district": "七星关区"}, "unplaced"),
        ({"district": "52050"}, "unplaced"),
        ({"district": "5205020010030"}, "unplaced"),
        ({"postalCode": "520502"}, "unplaced"),
        ({"postalCode": "520502", "district": "520521"}, "unplaced"),
        ({"text": "520502", "city": "520502", "state": "520502"}, "unplaced"),
    ],
)
async def test_the_code_in_district_decides_and_nothing_else(world: World, address: dict[str, Any], says: str) -> None:
    referred = await world.refer("N05", patient={"address": [{"use": "home"} | address]})
    assert await placed(world, referred) == says


async def test_no_address_at_all_is_not_known(world: World) -> None:
    assert await placed(world, await world.refer("N05", patient={"address": None})) == "unplaced"


async def test_the_number_of_a_person_says_nothing_of_where_they_live(world: World) -> None:
    numbers = {"identifier": [{"system": "urn:oid:2.16.156.10011.1.3", "value": "520502195203150020"}]}
    assert await placed(world, await world.refer("N05", patient=numbers | {"address": None})) == "unplaced"


@pytest.mark.parametrize(
    ("first", "second", "says"),
    [
        (("temp", "520502001"), ("home", "520521"), "offered"),
        (("home", "520521"), ("temp", "520502001"), "offered"),
        (("home", "520502001"), ("temp", "520521"), "unplaced"),
        (("home", "520502001"), ("work", "520521"), "offered"),
        (("old", "520502001"), ("home", "520521"), "unplaced"),
        (("billing", "520502001"), ("work", "520502001"), "unplaced"),
    ],
)
async def test_the_temporary_address_comes_before_the_home(
    world: World, first: tuple[str, str], second: tuple[str, str], says: str
) -> None:
    both = [{"use": use, "district": code} for use, code in (first, second)]
    assert await placed(world, await world.refer("N05", patient={"address": both})) == says


@pytest.mark.parametrize(("going", "says"), [("520502002", "offered"), ("520521", "unplaced")])
@pytest.mark.parametrize("how", ["contained", "entry"])
async def test_the_destination_of_the_stay_wins(world: World, going: str, says: str, how: str) -> None:
    lives = {"address": [{"use": "temp", "district": "520521" if says == "offered" else "520502001"}]}
    place = {"resourceType": "Location", "id": "nursing-home", "address": {"district": going}}
    if how == "contained":
        stay = {"contained": [place], "hospitalization": {"destination": {"reference": "#nursing-home"}}}
        referred = await world.refer("N05", patient=lives, encounter=stay)
    else:
        stay = {"hospitalization": {"destination": {"reference": "urn:uuid:00000000-0000-4000-8000-00000000aaaa"}}}
        bundle = submission("N05", patient=lives, encounter=stay, extra=[place])
        bundle["entry"][3]["fullUrl"] = "urn:uuid:00000000-0000-4000-8000-00000000aaaa"
        referred = Referred(bundle, await world.party("his-a").post("", bundle))
    assert await placed(world, referred) == says


async def test_a_destination_that_is_known_here_already(world: World) -> None:
    lives = {"address": [{"use": "home", "district": "520521"}]}
    to_agency = {"hospitalization": {"destination": {"reference": world.organizations["agency-b"]}}}
    assert await placed(world, await world.refer("N05", patient=lives, encounter=to_agency)) == "offered"


async def test_an_unplaced_referral_says_what_must_be_known(world: World) -> None:
    platform = world.party("platform")
    unknown = await world.refer("N05", patient={"address": None})
    rough = await world.refer("N05", patient={"address": [{"use": "home", "district": "520500"}]})
    for referred, rule in ((unknown, "no-region"), (rough, "coarse")):
        _, step = await world.timeline(referred)
        assert step is not None and step["what"] == "place"
        assert step["who"]["reference"] == world.organizations["platform"]
        timeline = await platform.read(f"{referred.request}/$timeline")
        reasons = [
            part["valueString"]
            for parameter in timeline["parameter"]
            for part in parameter["part"]
            if part["name"] == "reason"
        ]
        assert any(question in reason for reason in reasons for question in QUESTIONS[rule]), timeline


QUESTIONS = {
    "no-region": ("现在住在哪里", "出院后住在哪里"),
    "coarse": ("在哪个区县、街道",),
}
