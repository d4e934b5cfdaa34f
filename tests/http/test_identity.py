"""Who somebody is: citizen numbers that are checked, hospital numbers, coded reasons for having none; never merged silently."""

from typing import Any

import pytest

from tests.http.submitting import expressions, put_in, refused, resource, rows, statuses, words
from tests.http.world import CITIZEN, World, citizen_number, submission

REASON = "urn:yuanshe:no-identifier-reason"


def person(*numbers: str, birth: str | None = None, **changes: Any) -> dict[str, Any]:
    return {"identifier": [{"system": CITIZEN, "value": number} for number in numbers], "birthDate": birth} | changes


@pytest.mark.parametrize(
    ("number", "birth"),
    [
        ("11010519491231002X", "1949-12-31"),
        ("11010519491231002x", "1949-12-31"),
        ("34052419800101001X", "1980-01-01"),
        ("520502195203150020", "1952-03-15"),
        ("520502195203150020", None),
    ],
)
async def test_a_valid_citizen_number_is_accepted(world: World, number: str, birth: str | None) -> None:
    made = await world.party("his-a").post("", put_in(submission(), Patient=person(number, birth=birth)))
    assert made.status == 200, made


@pytest.mark.parametrize(
    "number",
    [
        "520502195203150021",
        "520502195203150019",
        "11010519491231002Y",
        "110105194902290010",
        "110105491231002",
        "920502195203150020",
        "52050219520315002",
        "５20502195203150020",
    ],
)
async def test_an_invalid_citizen_number_is_refused_without_repeating_it(world: World, number: str) -> None:
    bundle = put_in(submission(), Patient=person(number))
    answer = await refused(world, world.party("his-a"), "", bundle, 422)
    assert expressions(answer) == ["Bundle.entry[0].resource.identifier"]
    assert number not in repr(answer)


async def test_a_birth_date_that_the_citizen_number_denies_is_refused(world: World) -> None:
    bundle = put_in(submission(), Patient=person("520502195203150020", birth="1952-03-16"))
    answer = await refused(world, world.party("his-a"), "", bundle, 422)
    assert expressions(answer) == ["Bundle.entry[0].resource.birthDate"]
    assert "1952" not in repr(answer)


async def test_a_gender_that_the_citizen_number_denies_is_a_warning(world: World) -> None:
    bundle = put_in(submission(), Patient=person("520502195203150020", birth="1952-03-15", gender="male"))
    made = await world.party("his-a").post("", bundle)
    assert made.status == 200, made
    outcome = made["entry"][0]["response"]["outcome"]
    assert outcome["issue"][0]["severity"] == "warning"
    assert outcome["issue"][0]["expression"] == ["Bundle.entry[0].resource.gender"]
    agreeing = put_in(submission(), Patient=person("520502195203150020", birth="1952-03-15", gender="female"))
    made = await world.party("his-a").post("", agreeing)
    assert "outcome" not in made["entry"][0]["response"]


async def test_nobody_without_a_number_or_a_coded_reason(world: World) -> None:
    hospital = world.party("his-a")
    answer = await refused(world, hospital, "", put_in(submission(), Patient={"identifier": None}), 422)
    assert expressions(answer) == ["Bundle.entry[0].resource.identifier"]
    for reason in ("no-household-registration", "unidentified", "newborn", "refused"):
        bundle = put_in(submission(), Patient={"identifier": None, "extension": [{"url": REASON, "valueCode": reason}]})
        made = await hospital.post("", bundle)
        assert made.status == 200 and statuses(made)[0] == "201", made
    wrong = put_in(submission(), Patient={"identifier": None, "extension": [{"url": REASON, "valueCode": "forgot"}]})
    answer = await refused(world, hospital, "", wrong, 422)
    assert expressions(answer) == ["Bundle.entry[0].resource.extension"]
    assert "forgot" not in repr(answer)


async def test_people_without_numbers_are_never_taken_for_one_another(world: World) -> None:
    nobody = {"identifier": None, "extension": [{"url": REASON, "valueCode": "unidentified"}]}
    for _ in range(2):
        made = await world.party("his-a").post("", put_in(submission(), Patient=nobody))
        assert statuses(made)[0] == "201"
    assert (await rows(world))["patient"] == 2


async def test_one_person_one_patient_by_any_of_their_numbers(world: World) -> None:
    hospital = world.party("his-a")
    number = "11010519491231002X"
    both = person(number.lower(), birth="1949-12-31")
    both["identifier"].append({"system": "urn:his-a:patient", "value": "ZY-1"})
    first = await hospital.post("", put_in(submission(), Patient=both))
    by_citizen = await hospital.post("", put_in(submission("N01"), Patient=person(number, birth="1949-12-31")))
    by_hospital = await hospital.post("", submission("N09", mrn="ZY-1", patient={"birthDate": "1949-12-31"}))
    found = {answer["entry"][0]["response"]["location"].split("/")[1] for answer in (first, by_citizen, by_hospital)}
    assert len(found) == 1
    assert statuses(by_citizen)[0] == statuses(by_hospital)[0] == "200"


async def test_two_hospitals_patients_are_not_merged(world: World) -> None:
    number = citizen_number(7)
    mine = await world.party("his-a").post("", put_in(submission(), Patient=person(number, birth="1952-03-15")))
    theirs = await world.party("his-b").post("", put_in(submission(), Patient=person(number, birth="1952-03-15")))
    assert statuses(mine)[0] == statuses(theirs)[0] == "201"
    one, other = (a["entry"][0]["response"]["location"].split("/_history")[0] for a in (mine, theirs))
    assert one != other
    assert (await world.party("his-b").get(one)).status == 404
    assert (await world.party("his-a").get(other)).status == 404


async def test_numbers_of_two_patients_on_one_are_a_conflict(world: World) -> None:
    hospital = world.party("his-a")
    await world.refer("N05", mrn="ZY-1")
    await world.refer("N05", mrn="ZY-2")
    both = {"identifier": [{"system": "urn:his-a:patient", "value": value} for value in ("ZY-1", "ZY-2")]}
    answer = await refused(world, hospital, "", put_in(submission(), Patient=both), 409)
    assert expressions(answer) == ["Bundle.entry[0].resource.identifier"]
    assert "ZY-" not in repr(answer)
    alone = await refused(world, hospital, "Patient", resource(put_in(submission(), Patient=both), "Patient"), 409)
    assert "ZY-" not in words(alone)


async def test_an_old_number_identifies_nobody(world: World) -> None:
    await world.refer("N05", mrn="ZY-1")
    old = {"identifier": [{"use": "old", "system": "urn:his-a:patient", "value": "ZY-1"}]}
    await refused(world, world.party("his-a"), "", put_in(submission(), Patient=old), 422)


async def test_one_hospital_number_with_another_citizen_number_is_another_person(world: World) -> None:
    hospital = world.party("his-a")
    mine, theirs = citizen_number(1), citizen_number(2)
    shared = {"system": "urn:his-a:patient", "value": "ZY-1"}
    first = person(mine, birth="1952-03-15")
    first["identifier"].append(shared)
    assert (await hospital.post("", put_in(submission(), Patient=first))).status == 200
    other = person(theirs, birth="1952-03-15")
    other["identifier"].append(shared)
    answer = await refused(world, hospital, "", put_in(submission(), Patient=other), 409)
    assert expressions(answer) == ["Bundle.entry[0].resource.identifier"]
    both = put_in(submission(), Patient=person(mine, theirs))
    assert expressions(await refused(world, hospital, "", both, 422)) == ["Bundle.entry[0].resource.identifier"]


async def test_a_corrected_number_names_the_person_no_longer(world: World) -> None:
    hospital = world.party("his-a")
    wrong, right = citizen_number(1), citizen_number(2)
    made = await hospital.post("", put_in(submission(), Patient=person(wrong, birth="1952-03-15")))
    patient = made["entry"][0]["response"]["location"].split("/_history")[0]
    corrected = await hospital.put(await hospital.read(patient), identifier=[{"system": CITIZEN, "value": right}])
    assert corrected.status == 200, corrected
    assert await hospital.search(f"Patient?identifier={CITIZEN}|{wrong}") == []
    other = await hospital.post("", put_in(submission("N01"), Patient=person(wrong, birth="1952-03-15")))
    assert statuses(other)[0] == "201"


async def test_a_referral_that_knows_fewer_numbers_takes_none_back(world: World) -> None:
    hospital = world.party("his-a")
    number = citizen_number(1)
    whole = person(number, birth="1952-03-15")
    whole["identifier"].append({"system": "urn:his-a:patient", "value": "ZY-1"})
    await hospital.post("", put_in(submission(), Patient=whole))
    assert statuses(await hospital.post("", submission("N01", mrn="ZY-1")))[0] == "200"
    assert statuses(await hospital.post("", put_in(submission("N09"), Patient=person(number))))[0] == "200"
    assert (await rows(world))["patient"] == 1
