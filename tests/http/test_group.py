"""Groups: people by what they need, put together from referrals for whoever may know them, and exported."""

from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class

from adapters.fhir import bulk
from tests.http.exporting import everything, exported, ids
from tests.http.world import Party, World


async def group(party: Party, need: str) -> dict[str, Any]:
    found = await party.search(f"Group?characteristic=urn:yuanshe:need|{need}")
    assert len(found) == 1, found
    return found[0]


def members(found: dict[str, Any]) -> set[str]:
    return {each["entity"]["reference"] for each in found["member"]}


async def test_people_are_grouped_by_what_they_need(world: World) -> None:
    home, care, both = await world.refer("N05"), await world.refer("N02"), await world.refer("N05", "N02")
    his = world.party("his-a")
    found = await group(his, "N05")
    get_fhir_model_class("Group").model_validate(found)
    assert (found["type"], found["actual"], found["active"]) == ("person", True, True)
    assert found["managingEntity"]["reference"] == his.organization
    assert members(found) == {home.patient, both.patient} and found["quantity"] == 2
    assert members(await group(his, "N02")) == {care.patient, both.patient}
    assert dict(await his.read(f"Group/{found['id']}")) == found
    assert {each["id"] for each in await his.search(f"Group?member={both.patient}")} == {
        (await group(his, need))["id"] for need in ("N05", "N02")
    }
    assert await his.search(f"Group?member={home.patient}&characteristic=N02") == []
    assert len(await his.search(f"Group?managing-entity={his.organization}")) == 2
    assert [each["id"] for each in await his.search(f"Group?_id={found['id']}")] == [found["id"]]
    assert await his.search("Group?_lastUpdated=lt2026-01-01") == []


async def test_behaviour_38_a_group_holds_whom_its_reader_may_know(world: World) -> None:
    withheld, disclosed = await world.refer("N05"), await world.refer("N05")
    foreign = await world.refer("N05", by="his-b")
    agency = world.party("agency-a")
    assert await agency.search("Group?_count=50") == []
    await world.accepted(disclosed)
    own = await group(agency, "N05")
    assert members(own) == {disclosed.patient} and own["managingEntity"]["reference"] == agency.organization
    assert await agency.search(f"Group?member={withheld.patient}") == []
    hospital = await group(world.party("his-a"), "N05")
    assert members(hospital) == {withheld.patient, disclosed.patient}
    assert (await agency.get(f"Group/{hospital['id']}")).status == 404
    assert (await world.party("his-b").get(f"Group/{hospital['id']}")).status == 404
    assert members(await group(world.party("his-b"), "N05")) == {foreign.patient}
    assert (await world.party("auditor").get(f"Group/{hospital['id']}")).status == 403
    every = await world.party("platform").search("Group?characteristic=N05")
    assert {each["managingEntity"]["reference"] for each in every} >= {
        world.party("his-a").organization, world.party("his-b").organization
    }  # fmt: skip


async def test_whoever_leaves_a_group_is_seen_to_leave(world: World) -> None:
    """By consent withdrawn, or by a referral that was recorded in error; whoever follows changes hears of it."""
    withdrawn, voided = await world.refer("N05"), await world.refer("N05")
    stays = await world.refer("N05")
    agency, his = world.party("agency-a"), world.party("his-a")
    share = await world.offer(withdrawn)
    assert (await agency.put(share, status="accepted")).status == 200
    consent = await world.consent(withdrawn, "agency-a")
    await world.accepted(stays)
    before = await group(agency, "N05")
    assert members(before) == {withdrawn.patient, stays.patient}
    assert (await his.put(consent, status="inactive")).status == 200
    [after] = await agency.search(f"Group?characteristic=N05&_lastUpdated=gt{before['meta']['lastUpdated']}")
    assert members(after) == {stays.patient} and after["meta"]["versionId"] != before["meta"]["versionId"]
    before = await group(his, "N05")
    request = await his.read(voided.request)
    assert (await his.put(request, status="entered-in-error")).status == 200
    [after] = await his.search(f"Group?characteristic=N05&_lastUpdated=gt{before['meta']['lastUpdated']}")
    assert members(after) == members(before) - {voided.patient} and after["quantity"] == before["quantity"] - 1


async def test_no_group_tells_that_an_offer_has_a_safety_need(world: World) -> None:
    """Neither by being there nor by having changed."""
    agency = world.party("agency-a")
    known = await world.refer("N11")
    assert await agency.search("Group?characteristic=N11") == []
    await world.accepted(known)
    before = await group(agency, "N11")
    assert members(before) == {known.patient}
    await world.offer(await world.refer("N11"))
    assert await group(agency, "N11") == before


async def test_behaviour_44_a_group_is_exported_with_what_is_about_its_members(world: World) -> None:
    home, care = await world.refer("N05"), await world.refer("N02")
    his = world.party("his-a")
    lines = await exported(world, his, f"Group/{(await group(his, 'N05'))['id']}/$export")
    assert home.patient.split("/")[1] in ids(lines, "Patient")
    assert {(await world.parent(home))["id"], (await world.offer(home))["id"]} <= ids(lines, "Task")
    assert home.request.split("/")[1] in ids(lines, "ServiceRequest")
    assert care.patient.split("/")[1] not in everything(lines)
    assert "Organization" not in lines
    unknown = await his.get("Group/01890000-0000-7000-8000-000000000000/$export", prefer="respond-async")
    assert unknown.status == 404
    agency = world.party("agency-a")
    of_hospital = await agency.get(f"Group/{(await group(his, 'N05'))['id']}/$export", prefer="respond-async")
    assert of_hospital.status == 404
    await world.accepted(home)
    mine = await exported(world, agency, f"Group/{(await group(agency, 'N05'))['id']}/$export")
    assert ids(mine, "Patient") == {home.patient.split("/")[1]}


async def test_a_group_of_many_pages_is_exported_whole(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    referred = [await world.refer("N05") for _ in range(5)]
    his = world.party("his-a")
    monkeypatch.setattr(bulk, "ROWS", 2)
    monkeypatch.setattr(bulk, "PERSONS", 2)
    lines = await exported(world, his, f"Group/{(await group(his, 'N05'))['id']}/$export")
    assert ids(lines, "Patient") >= {each.patient.split("/")[1] for each in referred}
    assert ids(lines, "ServiceRequest") >= {each.request.split("/")[1] for each in referred}
    for type, found in lines.items():
        assert len(ids(lines, type)) == len(found), f"a {type} comes twice"


async def test_a_group_is_found_by_way_of_its_members(world: World) -> None:
    await world.refer("N05", mrn="ZY-77")
    his = world.party("his-a")
    found = await his.search("Group?member.identifier=urn:his-a:patient|ZY-77")
    assert [each["characteristic"][0]["code"]["coding"][0]["code"] for each in found] == ["N05"]
    assert await world.party("his-b").search("Group?member.identifier=urn:his-a:patient|ZY-77") == []
