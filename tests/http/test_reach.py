"""Whom the service reaches: groups in special hardship, found and never refused for it; and regions in which nobody was met."""

from datetime import timedelta
from typing import Any

from service.values import local_day, utc_now
from tests.http.loop import done, procedure, started
from tests.http.world import BASE, World, submission

POPULATION = "urn:yuanshe:population"


def flagged(*groups: str, **values: Any) -> dict[str, Any]:
    bundle = submission("N05", **values)
    request = next(e["resource"] for e in bundle["entry"] if e["resource"]["resourceType"] == "ServiceRequest")
    request["extension"] = [
        *request.get("extension", []), *({"url": POPULATION, "valueCoding": {"system": POPULATION, "code": each}} for each in groups)
    ]  # fmt: skip
    return bundle


async def test_a_group_is_found_by_its_flag_and_is_no_reason_to_refuse(world: World) -> None:
    ward = world.party("his-a")
    plain = await world.refer("N05")
    answer = await ward.post("", flagged("living-alone", "disabled"))
    assert answer.status == 200, answer
    found = await ward.search(f"ServiceRequest?population={POPULATION}|living-alone")
    assert len(found) == 1 and found[0]["id"] != plain.id
    assert {e["valueCoding"]["code"] for e in found[0]["extension"]} == {"living-alone", "disabled"}
    assert await ward.search("ServiceRequest?population=relocated") == []
    offers = await world.party("agency-a").search("Task?status=requested&code=fulfill")
    assert len(offers) == 2, "offered like any other"
    assert "living-alone" not in str(offers), "and what flags it is not the offer's to show"


async def test_a_flag_that_nobody_knows_is_named_where_it_stands(world: World) -> None:
    refused = await world.party("his-a").post("", flagged("elder", "nonsense"))
    assert refused.status == 422
    assert any(".extension[" in e for e in refused["issue"][0]["expression"])
    assert "nonsense" not in str(refused)


async def test_the_agency_that_knows_the_person_reads_the_flags(world: World) -> None:
    answer = await world.party("his-a").post("", flagged("living-alone"))
    id = next(e["response"]["location"].split("/")[1] for e in answer["entry"] if "ServiceRequest" in e["response"]["location"])  # fmt: skip

    class Made:
        request, patient = f"ServiceRequest/{id}", next(e["response"]["location"].rsplit("/_history")[0] for e in answer["entry"] if "Patient/" in e["response"]["location"])  # fmt: skip

    made = Made()
    made.id = id  # type: ignore[attr-defined]
    await started(world, made)  # type: ignore[arg-type]
    read = await world.party("agency-a").read(made.request)
    assert [e["valueCoding"]["code"] for e in read["extension"]] == ["living-alone"]


async def coverage(world: World, who: str, **query: str) -> Any:
    token = world.said["clients"][who]["access_token"]
    return await world.http.get(f"{BASE}/quality/coverage", params=query, headers={"authorization": f"Bearer {token}"})


async def test_regions_in_which_nobody_was_met_stand_first(world: World) -> None:
    before = (await coverage(world, "agency-a")).json()
    assert before["covered"]["n"] == 0 and before["covered"]["d"] == len(before["regions"]) > 1
    referred = await world.refer("N05")
    share = await started(world, referred)
    done(await world.party("agency-a").post("Procedure", procedure(share)))
    after = (await coverage(world, "agency-a")).json()
    met = {each["code"] for each in after["regions"] if each["contacts"]}
    assert met == {"520502", "520502001"} and after["regions"][0] == {
        "code": "520502002", "zh": after["regions"][0]["zh"], "en": after["regions"][0]["en"], "contacts": 0,
    }  # fmt: skip
    assert (await coverage(world, "agency-b")).json()["covered"]["n"] == 0
    assert (await coverage(world, "platform")).json()["covered"]["n"] == 2
    yesterday = str(local_day(utc_now()) - timedelta(days=1))
    assert (await coverage(world, "agency-a", **{"from": yesterday, "to": yesterday})).json()["covered"]["n"] == 0


async def test_coverage_is_for_supervisors_and_the_platform(world: World) -> None:
    assert (await coverage(world, "his-a")).status_code == 403
    assert (await coverage(world, "agency-a", **{"from": "x"})).status_code == 400
    assert (await coverage(world, "agency-a", **{"from": "2026-03-02", "to": "2026-03-01"})).status_code == 400
