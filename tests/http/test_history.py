"""What was: each version with its reason at that time, of one resource and of a type, in pages, as far as its reader may see;
and a read of what the reader has already says so."""

import asyncio
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any

import pytest

from tests.http.loop import done
from tests.http.test_claims import open_offer, withdrawn_first
from tests.http.world import Answered, Party, Referred, World, closed, output, reason
from tests.http.writers import Ground, next_page


async def whole_loop(world: World, referred: Referred) -> str:
    """A share from its offer to its end, with a pause; its reference."""
    agency = world.party("agency-a")
    share = await world.accepted(referred)
    name = f"Task/{share['id']}"
    share = done(await agency.put(share, status="in-progress"))
    share = done(await agency.put(share, status="on-hold", statusReason=reason("other", "病人暂回老家")))
    share = done(await agency.put(share, status="in-progress"))
    done(await agency.put(share, status="completed", output=[output()], statusReason=closed()))
    return name


async def claimed(world: World, offer: Answered) -> None:
    """An offer without owner, taken by agency-a."""
    agency = world.party("agency-a")
    mine = {"reference": world.organizations["agency-a"]}
    done(await agency.put(await agency.read(f"Task/{offer['id']}"), status="accepted", owner=mine))


def entries(bundle: Answered) -> list[dict[str, Any]]:
    return bundle.get("entry", [])


def named(entry: dict[str, Any]) -> tuple[str, str]:
    return entry["resource"]["id"], entry["resource"]["meta"]["versionId"]


async def paged(party: Party, page: str | None) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while page:
        bundle = await party.read(page)
        assert bundle["type"] == "history"
        found += entries(bundle)
        page = next_page(bundle)
    return found


async def test_behaviour_24_history_and_vread_give_every_transition_with_its_reason_at_that_time(world: World) -> None:
    referred = await world.refer("N05")
    share = await whole_loop(world, referred)
    for party in (world.party("agency-a"), world.party("his-a"), world.party("platform")):
        found = entries(await party.read(f"{share}/_history"))
        said = [(e["resource"]["status"], e["resource"].get("statusReason", {}).get("text")) for e in found]
        assert said == [
            ("completed", "目标达成"), ("in-progress", None), ("on-hold", "病人暂回老家"), ("in-progress", None),
            ("accepted", None), ("accepted", None), ("requested", None),
        ]  # fmt: skip
        for entry in found:
            one = await party.read(f"{share}/_history/{entry['resource']['meta']['versionId']}")
            assert dict(one) == entry["resource"]
            assert one.headers["etag"] == entry["response"]["etag"]
    parent = await world.parent(referred)
    for name in (f"Task/{parent['id']}", referred.request):
        found = entries(await world.party("his-a").read(f"{name}/_history"))
        assert found[0]["resource"]["status"] == "completed"
        assert len({named(entry) for entry in found}) == len(found) == int(found[0]["resource"]["meta"]["versionId"])


async def test_each_entry_says_which_request_made_it_and_what_it_was_answered(world: World) -> None:
    share = await whole_loop(world, await world.refer("N05"))
    found = entries(await world.party("agency-a").read(f"{share}/_history"))
    first, last = found[-1], found[0]
    assert first["request"] == {"method": "POST", "url": "Task"} and first["response"]["status"] == "201 Created"
    assert last["request"] == {"method": "PUT", "url": share} and last["response"]["status"] == "200 OK"
    assert last["response"]["lastModified"] == last["resource"]["meta"]["lastUpdated"]
    assert last["response"]["location"].endswith(f"{share}/_history/7")


async def test_the_history_of_one_comes_in_pages_newest_first_and_by_time(world: World) -> None:
    agency = world.party("agency-a")
    share = await whole_loop(world, await world.refer("N05"))
    whole = entries(await agency.read(f"{share}/_history"))
    assert [int(version) for _, version in map(named, whole)] == [7, 6, 5, 4, 3, 2, 1]
    first = await agency.read(f"{share}/_history?_count=3")
    assert len(entries(first)) == 3 and first["total"] == 7
    assert await paged(agency, f"{share}/_history?_count=3") == whole
    assert entries(await agency.read(f"{share}/_history?_count=0")) == []
    fifth = whole[2]["resource"]["meta"]["lastUpdated"]
    since = entries(await agency.read(f"{share}/_history?_since={fifth}"))
    assert [version for _, version in map(named, since)] == ["7", "6", "5"]
    at = entries(await agency.read(f"{share}/_history?_at={fifth}"))
    assert [version for _, version in map(named, at)] == ["5"]
    for wrong in ("_since=yesterday", "_count=-1", "_cursor=x", "_since=gt2026-01-01"):
        refused = await agency.get(f"{share}/_history?{wrong}")
        assert refused.status == 400 and refused["resourceType"] == "OperationOutcome"
    assert (await agency.get(f"{share}/_history?status=x", prefer="handling=strict")).status == 400


@pytest.mark.parametrize("type", ["Task", "ServiceRequest", "Patient"])
@pytest.mark.parametrize("who", ["his-a", "agency-a", "platform"])
async def test_the_history_of_a_type_is_that_of_its_resources_together(world: World, who: str, type: str) -> None:
    party = world.party(who)
    for _ in range(2):
        await whole_loop(world, await world.refer("N05"))
    await world.accepted(await world.refer("N05"))
    await open_offer(world, await withdrawn_first(world, "N05"))
    await claimed(world, await open_offer(world, await withdrawn_first(world, "N05")))
    known = [resource["id"] for resource in await party.search(f"{type}?_count=200")]
    together = [entry for id in known for entry in entries(await party.read(f"{type}/{id}/_history"))]
    assert together
    found = await paged(party, f"{type}/_history?_count=4")
    assert {named(entry) for entry in found} == {named(entry) for entry in together}
    assert len(found) == len(together)
    times = [entry["resource"]["meta"]["lastUpdated"] for entry in found]
    assert times == sorted(times, reverse=True)
    by_name = {named(entry): entry for entry in together}
    assert all(entry == by_name[named(entry)] for entry in found)
    middle = times[len(times) // 2]
    since = await paged(party, f"{type}/_history?_since={middle}&_count=3")
    assert [entry["resource"]["meta"]["lastUpdated"] for entry in since] == [time for time in times if time >= middle]


@pytest.mark.parametrize("type", ["Task", "ServiceRequest", "Patient"])
async def test_the_history_of_a_type_shows_nobody_what_was_never_theirs_to_see(world: World, type: str) -> None:
    referred = await world.refer("N05")
    for stranger in ("agency-b", "agency-c", "his-b"):
        assert await paged(world.party(stranger), f"{type}/_history") == []
    before = str(await paged(world.party("agency-a"), f"{type}/_history"))
    assert referred.patient not in before and referred.request not in before
    assert (await world.party("auditor").get(f"{type}/_history")).status == 403
    assert (await world.nobody.get(f"{type}/_history")).status == 401


async def test_a_type_that_keeps_no_history_of_its_own_says_so(world: World) -> None:
    said = await world.party("his-a").get("metadata")
    for resource in said["rest"][0]["resource"]:
        offered = "history-type" in {each["code"] for each in resource["interaction"]}
        answer = await world.party("platform").get(f"{resource['type']}/_history")
        assert (answer.status == 200) == offered, resource["type"]


async def test_behaviour_30_a_poller_of_the_history_of_a_type_misses_no_version(writing_world: Ground) -> None:
    writing_world.type = "Patient"
    await writing_world.create()
    newest = entries(await writing_world.his.read("Patient/_history?_count=1"))[0]["resource"]["meta"]["lastUpdated"]
    early = await writing_world.begin()
    late = await writing_world.create()
    poll = asyncio.create_task(writing_world.his.read(f"Patient/_history?_since={newest}"))
    await writing_world.waits(poll)
    committed = await early.commit()
    assert [id for id, _ in map(named, entries(await poll))][:2] == [late, committed]


async def test_pages_of_a_history_hold_what_there_was_when_the_first_was_asked(writing_world: Ground) -> None:
    writing_world.type = "Patient"
    made = [await writing_world.create() for _ in range(5)]
    first = await writing_world.his.read("Patient/_history?_count=2")
    await writing_world.create()
    rest = await paged(writing_world.his, next_page(first))
    assert [id for id, _ in map(named, [*entries(first), *rest])][:5] == made[::-1]


# ---- conditional read --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ('W/"1"', 304), ('"1"', 304), ('W/"7", W/"1"', 304), ("*", 304), ('W/"2"', 200), ('"7","8"', 200), ("1", 200), ("", 200),
    ],
)  # fmt: skip
async def test_behaviour_31_a_read_that_names_the_version_it_has_is_answered_304(
    world: World, said: str, status: int
) -> None:
    referred = await world.refer("N05")
    for path in (referred.patient, f"{referred.patient}/_history/1"):
        answer = await world.party("his-a").get(path, if_none_match=said)
        assert answer.status == status
        assert answer.headers["etag"] == 'W/"1"' and "last-modified" in answer.headers
        assert bool(answer) == (status == 200)


async def test_behaviour_31_a_read_of_what_has_not_changed_since_is_answered_304(world: World) -> None:
    referred = await world.refer("N05")
    party = world.party("his-a")
    read = await party.read(referred.patient)
    modified = read.headers["last-modified"]
    at = parsedate_to_datetime(modified)
    assert at == datetime.fromisoformat(read["meta"]["lastUpdated"]).replace(microsecond=0)

    async def since(text: str, **headers: str) -> int:
        return (await party.get(referred.patient, if_modified_since=text, **headers)).status

    assert await since(modified) == 304
    assert await since(format_datetime(at + timedelta(days=1), usegmt=True)) == 304
    assert await since(format_datetime(at - timedelta(seconds=1), usegmt=True)) == 200
    assert await since("not a date") == 200
    # If-None-Match counts alone where both are sent (RFC 9110, 13.2.2).
    assert await since(modified, if_none_match='W/"9"') == 200
    assert await since(format_datetime(at - timedelta(days=1), usegmt=True), if_none_match='W/"1"') == 304


@pytest.mark.parametrize("kind", ["batch", "transaction"])
async def test_behaviour_31_an_entry_of_a_bundle_can_be_conditional_too(world: World, kind: str) -> None:
    referred = await world.refer("N05")
    party = world.party("his-a")
    modified = (await party.read(referred.patient))["meta"]["lastUpdated"]
    conditions: list[dict[str, str]] = [
        {"ifNoneMatch": 'W/"1"'}, {"ifModifiedSince": modified}, {"ifNoneMatch": 'W/"9"'}, {"ifModifiedSince": "2020-01-01T00:00:00Z"},
    ]  # fmt: skip
    asked = [{"request": {"method": "GET", "url": referred.patient} | condition} for condition in conditions]
    answer = await party.post("", {"resourceType": "Bundle", "type": kind, "entry": asked})
    assert answer.status == 200, answer
    assert [entry["response"]["status"][:3] for entry in answer["entry"]] == ["304", "304", "200", "200"]
    assert ["resource" in entry for entry in answer["entry"]] == [False, False, True, True]


async def test_conditional_reads_are_promised_where_they_are_kept(world: World) -> None:
    said = await world.nobody.get("metadata")
    assert {each["conditionalRead"] for each in said["rest"][0]["resource"]} == {"full-support"}


async def test_a_write_says_when_and_as_which_version_it_is_stored(world: World) -> None:
    party = world.party("his-a")
    referred = await world.refer("N05")
    before = datetime.now(UTC) - timedelta(days=1)
    made = await party.post(
        "Condition", {"resourceType": "Condition", "subject": {"reference": referred.patient}, "code": {"text": "独居"}}
    )
    changed = await party.put(made, code={"text": "与人同住"})
    for answer, version in ((made, 1), (changed, 2)):
        assert answer.headers["etag"] == f'W/"{version}"'
        stamp = parsedate_to_datetime(answer.headers["last-modified"])
        assert stamp == datetime.fromisoformat(answer["meta"]["lastUpdated"]).replace(microsecond=0) > before
    bare = await party.ask(
        "PUT", f"Condition/{made['id']}", dict(changed) | {"code": {"text": "独居"}}, prefer="return=minimal"
    )
    assert not bare and bare.headers["etag"] == 'W/"3"' and "last-modified" in bare.headers
