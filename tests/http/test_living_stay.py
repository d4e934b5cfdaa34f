"""The living referral: what happens to a person in the hospital reaches who works with them, and nobody else."""

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.http.loop import (
    DISPOSITION,
    attempt,
    discharge,
    done,
    ending,
    follow_ups,
    outcome,
    procedure,
    says,
    started,
)
from tests.http.world import Referred, World

PLACES = "http://terminology.hl7.org/CodeSystem/location-physical-type"
EXPECTED, FIT = "urn:yuanshe:expected-discharge", "urn:yuanshe:fit-for-discharge"
WARD, BED = "老年医学科二病区", "12床"


def lies(ward: str = WARD, bed: str = BED) -> list[dict[str, Any]]:
    """Where somebody lies, as a hospital system says it: by name alone."""
    return [
        {
            "location": {"display": name},
            "status": "active",
            "physicalType": {"coding": [{"system": PLACES, "code": code}]},
        }
        for name, code in ((ward, "wa"), (bed, "bd"))
    ]


def at(**dates: datetime) -> list[dict[str, Any]]:
    urls = {"expected": EXPECTED, "fit": FIT}
    return [{"url": urls[name], "valueDateTime": moment.isoformat()} for name, moment in dates.items()]


async def bed(world: World, referred: Referred, **changes: Any) -> Any:
    """The next version of a referral's stay."""
    hospital = world.party("his-a")
    return await hospital.put(await hospital.read(referred.stay), **changes)


async def heard(world: World, referred: Referred, agency: str) -> list[str]:
    """What this agency was told of the referral, by kind, in order."""
    async with world.as_owner() as connection:
        rows = await connection.fetch(
            "SELECT kind FROM event WHERE referral_id = $1 AND agency_id = $2 ORDER BY number",
            uuid.UUID(referred.id), uuid.UUID(world.organizations[agency].split("/")[1]),
        )  # fmt: skip
    return [row["kind"] for row in rows]


async def test_what_happens_on_the_ward_reaches_who_works_with_the_person(world: World) -> None:
    """Ward and bed, the expected discharge, readiness, a leave of absence: each is news once, and the Encounter shows it."""
    agency = world.party("agency-a")
    referred = await world.refer("N05")
    await started(world, referred)
    soon = datetime.now(UTC) + timedelta(days=4)
    done(await bed(world, referred, location=lies()))
    done(await bed(world, referred, location=lies(bed="13床")))
    done(await bed(world, referred, extension=at(expected=soon)))
    done(await bed(world, referred, extension=at(expected=soon, fit=datetime.now(UTC))))
    done(await bed(world, referred, status="onleave"))
    done(await bed(world, referred, status="in-progress"))
    done(await bed(world, referred))
    news = [kind for kind in await heard(world, referred, "agency-a") if kind not in ("offer", "accept", "disclose", "consent", "start")]  # fmt: skip
    assert news == ["move-ward", "move-ward", "expected-discharge", "fit", "away", "back"]
    stay = await agency.read(referred.stay)
    assert stay["location"][1]["location"]["display"] == "13床"
    assert int(stay["meta"]["versionId"]) == 8
    assert set(news) <= set((await world.timeline(referred, "agency-a"))[0])


async def test_no_word_of_the_ward_is_in_any_event(world: World) -> None:
    referred = await world.refer("N05")
    await started(world, referred)
    done(await bed(world, referred, location=lies(), serviceType={"text": "老年医学科"}))
    async with world.as_owner() as connection:
        said = await connection.fetchval("SELECT string_agg(event::text, ' ') FROM event")
    for word in (WARD, BED, "老年医学科"):
        assert word not in said and json.dumps(word)[1:-1] not in said


async def test_an_agency_that_is_not_disclosed_to_learns_nothing(world: World) -> None:
    """An offer, and a share that waits for consent: no ward, no date, not even that something happened."""
    offered = await world.refer("N05")
    waiting = await world.refer("N05")
    share = await world.accepted(waiting, consent=False)
    for referred in (offered, waiting):
        before = await heard(world, referred, "agency-a")
        done(await bed(world, referred, location=lies(), extension=at(expected=datetime.now(UTC) + timedelta(days=3))))
        done(await bed(world, referred, status="onleave"))
        assert await heard(world, referred, "agency-a") == before
        assert (await world.party("agency-a").get(referred.stay)).status == 404
        assert {"move-ward", "expected-discharge", "away"} <= set((await world.timeline(referred))[0])
    same = await world.party("agency-a").read(f"Task/{share['id']}")
    assert same["meta"]["versionId"] == share["meta"]["versionId"]


async def test_a_transfer_that_names_no_institution_is_taken_and_the_name_is_owed(world: World) -> None:
    referred = await world.refer("N05")
    where = {"dischargeDisposition": {"coding": [{"system": DISPOSITION, "code": "3"}]}}
    ended = (await world.party("his-a").read(referred.stay))["period"] | {"end": datetime.now(UTC).isoformat()}
    done(await bed(world, referred, status="finished", period=ended, hospitalization=where))
    ward = world.party("his-a")
    assert len(await ward.search(f"Task?code=follow-up&based-on={referred.request}")) == 5, "the discharge is not lost"
    (owed,) = await ward.search("Task?code=name-receiving")
    assert owed["status"] == "accepted"
    named = where | {"destination": {"display": "示例镇卫生院"}}
    done(await bed(world, referred, status="finished", period=ended, hospitalization=named))
    assert (await ward.read(f"Task/{owed['id']}"))["status"] == "completed"


async def test_places_that_the_hospital_told_before_are_named_by_their_reference(world: World) -> None:
    """A ward that the submission brought along, and the health centre that the person goes to: name and region are known."""
    ward = {"resourceType": "Location", "name": WARD, "physicalType": {"coding": [{"system": PLACES, "code": "wa"}]}}
    home = {"resourceType": "Location", "name": "示例镇卫生院", "address": {"district": "520502002"}}
    referred = await world.refer("N05", extra=[ward, home])
    places = [entry["response"]["location"] for entry in referred.answer["entry"] if "Location/" in entry["response"]["location"]]  # fmt: skip
    there, going = (place.partition("/_history")[0] for place in places)
    done(await bed(world, referred, location=[{"location": {"reference": there}, "status": "active"}]))
    how = {"coding": [{"system": DISPOSITION, "code": "3"}]}
    ended = (await world.party("his-a").read(referred.stay))["period"] | {"end": datetime.now(UTC).isoformat()}
    where = {"dischargeDisposition": how, "destination": {"reference": going}}
    async with world.as_owner() as connection:
        assert await connection.fetchval("SELECT ward FROM stay") == WARD
        done(await bed(world, referred, status="finished", period=ended, hospitalization=where))
        row = await connection.fetchrow("SELECT receiving, destination_region FROM stay")
        assert tuple(row) == ("示例镇卫生院", "520502002")
        assert await connection.fetchval("SELECT region FROM referral") == "520502002"


async def test_discharge_date_corrected_twice(world: World) -> None:
    """Given a discharge with its follow-ups. When its date is corrected, and corrected again, then what nobody has begun moves
    each time, by as much; what was begun stays; and taken back altogether, nobody calls somebody who is still there."""
    agency = world.party("agency-a")
    referred = await world.refer("N05")
    await started(world, referred)
    first = datetime.now(UTC)
    done(await discharge(world, referred, at=first))
    made = await follow_ups(agency, referred)
    done(await agency.post("Communication", attempt(made[0], reached=False)))
    for days in (1, 2):
        done(await discharge(world, referred, at=first - timedelta(days=days)))
        now = {task["id"]: task for task in await follow_ups(agency, referred)}
        assert now.keys() == {task["id"] for task in made}
        assert ending(now[made[0]["id"]]) == ending(made[0])
        for task in made[1:]:
            assert ending(now[task["id"]]) == ending(task) - timedelta(days=days)
    assert (await heard(world, referred, "agency-a")).count("discharge") == 3
    stay = await world.party("his-a").read(referred.stay)
    back = {key: value for key, value in stay.items() if key != "hospitalization"} | {
        "status": "in-progress", "period": {"start": stay["period"]["start"]},
    }  # fmt: skip
    done(await world.party("his-a").ask("PUT", referred.stay, back))
    left = [task for task in await follow_ups(agency, referred) if task["status"] == "accepted"]
    assert [task["id"] for task in left] == [made[0]["id"]]
    assert "undo-discharge" in await heard(world, referred, "agency-a")
    done(await discharge(world, referred))
    again = [task for task in await follow_ups(agency, referred) if task["status"] == "accepted"]
    assert len(again) == 5 and ending(again[-1]) > ending(made[-1]) - timedelta(hours=1)


async def test_an_admission_that_was_none_is_told(world: World) -> None:
    referred = await world.refer("N05")
    await started(world, referred)
    done(await bed(world, referred, status="cancelled"))
    assert (await heard(world, referred, "agency-a"))[-1] == "undo-admit"


async def readmitted(world: World, referred: Referred, days: float = 0, **changes: Any) -> Any:
    """The person of a referral comes back, so many days after now."""
    person = {"reference": referred.patient}
    begins = (datetime.now(UTC) + timedelta(days=days)).isoformat()
    stay = {
        "resourceType": "Encounter", "status": "in-progress", "class": {"code": "IMP"}, "subject": person,
        "period": {"start": begins},
    }  # fmt: skip
    return await world.party("his-a").post("Encounter", stay | changes)


async def told(world: World, referred: Referred, kind: str) -> list[dict[str, Any]]:
    async with world.as_owner() as connection:
        rows = await connection.fetch("SELECT data FROM event WHERE referral_id = $1 AND kind = $2 ORDER BY number", uuid.UUID(referred.id), kind)  # fmt: skip
    return [json.loads(row["data"]) for row in rows]


async def test_a_readmission_within_31_days_is_linked_and_told_with_the_time_since_the_last_contact(
    world: World,
) -> None:
    """The owner hears of it, the follow-up that was due next has it as its outcome, the others end; the new stay's end makes
    new ones on the same referral."""
    agency = world.party("agency-a")
    referred = await world.refer("N05", encounter={"period": {"start": (datetime.now(UTC) - timedelta(days=30)).isoformat()}})  # fmt: skip
    share = await started(world, referred)
    seen = (datetime.now(UTC) - timedelta(days=9)).isoformat()
    done(await agency.post("Procedure", procedure(share, performedDateTime=seen)))
    done(await discharge(world, referred, at=datetime.now(UTC) - timedelta(days=7)))
    before = await follow_ups(agency, referred)
    back = done(await readmitted(world, referred))
    news = await told(world, referred, "readmit")
    assert news[-1] == {
        "stay": back["id"], "former": referred.stay.split("/")[1], "days": 7, "since_contact": 9,
    }  # fmt: skip
    assert "readmit" in await heard(world, referred, "agency-a")
    after = {task["id"]: task for task in await follow_ups(agency, referred)}
    assert [after[task["id"]]["status"] for task in before] == ["completed", *["cancelled"] * 4]
    assert after[before[0]["id"]]["output"][0]["valueCodeableConcept"]["coding"][0]["code"] == "readmitted"
    async with world.as_owner() as connection:
        former = await connection.fetchval("SELECT readmission_of FROM stay WHERE id = $1", uuid.UUID(back["id"]))
    assert f"Encounter/{former}" == referred.stay
    left = back["period"] | {"end": (datetime.now(UTC) + timedelta(minutes=1)).isoformat()}
    how = {"dischargeDisposition": {"coding": [{"system": DISPOSITION, "code": "1"}]}}
    done(await world.party("his-a").put(back, status="finished", period=left, hospitalization=how))
    fresh = [task for task in await follow_ups(agency, referred) if task["status"] == "accepted"]
    assert len(fresh) == 5 and {task["id"] for task in fresh}.isdisjoint(after)


@pytest.mark.parametrize(
    ("days", "disposition", "changes"),
    [(32, "1", {}), (5, "1", {"class": {"code": "AMB"}}), (5, "1", {"status": "planned"}), (-3, "1", {})],
    ids=["too late", "out-patient", "only planned", "before the discharge"],
)
async def test_what_is_no_readmission(world: World, days: float, disposition: str, changes: dict[str, Any]) -> None:
    referred = await world.refer("N05")
    await started(world, referred)
    done(await discharge(world, referred, disposition))
    open_ones = len(
        [task for task in await follow_ups(world.party("agency-a"), referred) if task["status"] == "accepted"]
    )
    done(await readmitted(world, referred, days, **changes))
    assert await told(world, referred, "readmit") == []
    now = [task for task in await follow_ups(world.party("agency-a"), referred) if task["status"] == "accepted"]
    assert len(now) == open_ones == 5


async def test_a_readmission_that_was_none_gives_the_follow_ups_back(world: World) -> None:
    agency = world.party("agency-a")
    referred = await world.refer("N05")
    await started(world, referred)
    done(await discharge(world, referred))
    back = done(await readmitted(world, referred))
    assert {task["status"] for task in await follow_ups(agency, referred)} == {"completed", "cancelled"}
    done(await world.party("his-a").put(back, status="cancelled"))
    fresh = [task for task in await follow_ups(agency, referred) if task["status"] == "accepted"]
    assert len(fresh) == 5 and "undo-readmit" in await heard(world, referred, "agency-a")


async def test_a_readmission_in_a_new_submission_is_one_too(world: World) -> None:
    first = await world.refer("N05", mrn="ZY-AGAIN")
    await started(world, first)
    done(await discharge(world, first))
    begins = {"period": {"start": datetime.now(UTC).isoformat()}}
    second = await world.refer("N03", mrn="ZY-AGAIN", encounter=begins)
    assert second.patient == first.patient
    assert len(await told(world, first, "readmit")) == 2, "the hospital and the agency"
    assert await told(world, second, "readmit") == []


async def test_whoever_may_not_know_the_person_is_not_told_of_the_readmission(world: World) -> None:
    referred = await world.refer("N05")
    await world.accepted(referred, consent=False)
    done(await discharge(world, referred))
    done(await readmitted(world, referred))
    assert "readmit" not in await heard(world, referred, "agency-a")
    assert "readmit" in (await world.timeline(referred))[0]
    assert says(await world.parent(referred)) == "awaiting-consent"


async def test_an_outcome_that_somebody_gave_stays_when_the_person_comes_back(world: World) -> None:
    agency = world.party("agency-a")
    referred = await world.refer("N05")
    await started(world, referred)
    done(await discharge(world, referred))
    first = (await follow_ups(agency, referred))[0]
    done(await agency.put(first, status="completed", output=[outcome("stable")]))
    done(await readmitted(world, referred))
    kept = await agency.read(f"Task/{first['id']}")
    assert kept["output"][0]["valueCodeableConcept"]["coding"][0]["code"] == "stable"
