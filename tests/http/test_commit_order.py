"""Who follows changes by `_lastUpdated` misses none, however long a writer takes from its time to its commit; and who pages
through what others are writing sees each resource once."""

import asyncio
import random
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from adapters.fhir import writing
from adapters.fhir.addresses import Place
from adapters.fhir.surface import SURFACE
from adapters.fhir.ways import SYSTEM
from service.access import flow as access
from service.access.model import Call
from service.db import horizon
from service.errors import Unavailable
from service.values import utc_now, write_json
from tests.http.test_claims import open_offer, withdrawn_first
from tests.http.world import Party, World, reason
from tests.http.writers import Ground, Writer, condition, next_page


class Poller:
    """A program that keeps the latest time it has seen and asks for what is later."""

    def __init__(self, party: Party, type: str = "Condition") -> None:
        self._party = party
        self._type = type
        self.last = "2020-01-01T00:00:00Z"
        self.seen: set[str] = set()

    async def poll(self) -> list[str]:
        """One look; the ids that it found, over all its pages."""
        found: list[dict[str, Any]] = []
        page: str | None = f"{self._type}?_lastUpdated=gt{self.last}&_count=7"
        while page:
            bundle = await self._party.read(page)
            found += [entry["resource"] for entry in bundle.get("entry", [])]
            page = next_page(bundle)
        self.last = max([self.last, *(each["meta"]["lastUpdated"] for each in found)], key=datetime.fromisoformat)
        self.seen |= {each["id"] for each in found}
        return [each["id"] for each in found]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Readers that hardly wait for writers."""
    monkeypatch.setattr(horizon, "PATIENCE", 0.005)


async def test_a_poller_waits_for_the_writer_in_flight_and_then_finds_what_it_wrote(writing_world: Ground) -> None:
    poller = Poller(writing_world.his)
    early = await writing_world.begin()
    late = await writing_world.create()
    poll = asyncio.create_task(poller.poll())
    await writing_world.waits(poll)
    assert sorted([await early.commit(), late]) == sorted(await poll)


@pytest.mark.usefixtures("impatient")
async def test_what_began_earlier_and_is_committed_later_is_found_by_the_next_poll(writing_world: Ground) -> None:
    """Behaviour 30, the trap itself: the poller has looked while the earlier writer was at work."""
    poller = Poller(writing_world.his)
    early = await writing_world.begin()
    late = await writing_world.create()
    await poller.poll()
    committed = await early.commit()
    await poller.poll()
    assert poller.seen == {committed, late}


@pytest.mark.usefixtures("impatient")
async def test_behaviour_30_a_poller_of_many_writers_that_commit_in_any_order_has_seen_every_change(
    writing_world: Ground,
) -> None:
    dice, poller = random.Random(30), Poller(writing_world.his)
    flying: list[Writer] = []
    written: set[str] = set()
    over = asyncio.Event()

    async def follow() -> None:
        while not over.is_set():
            await poller.poll()

    following = asyncio.create_task(follow())
    for _ in range(120):
        match dice.randrange(4):
            case 0 | 1 if len(flying) < 20:
                flying.append(await writing_world.begin())
            case 2:
                written.add(await writing_world.create())
            case _ if flying:
                written.add(await flying.pop(dice.randrange(len(flying))).commit())
            case _:
                pass
    for writer in dice.sample(flying, len(flying)):
        written.add(await writer.commit())
    over.set()
    await following
    await poller.poll()
    assert poller.seen == written


async def test_what_a_program_wrote_itself_it_finds_at_once_whoever_else_writes(writing_world: Ground) -> None:
    early = await writing_world.begin()
    since = f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}"
    own = await writing_world.create()
    search = asyncio.create_task(writing_world.his.search(f"Condition?_lastUpdated=ge{since}"))
    await writing_world.waits(search)
    await early.commit()
    assert own in {each["id"] for each in await search}


async def test_a_reader_that_waits_holds_up_no_writer(writing_world: Ground) -> None:
    early = await writing_world.begin()
    search = asyncio.create_task(writing_world.his.search("Condition?_sort=_lastUpdated"))
    await writing_world.waits(search)
    others = [await writing_world.begin() for _ in range(3)]
    committed = [await writer.commit() for writer in others]
    assert not search.done()
    # What was begun after the reader had asked is not its concern: it waits for the one writer alone.
    assert [each["id"] for each in await _after(early, search)] == [str(early.id)]
    assert len(await writing_world.his.search("Condition?_sort=_lastUpdated")) == len(committed) + 1


async def _after(writer: Writer, search: asyncio.Task[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    await writer.commit()
    return await search


async def test_a_writer_that_hangs_is_ended_and_holds_back_nobody_for_ever(writing_world: Ground) -> None:
    limit = "SHOW idle_in_transaction_session_timeout"
    poller, hung = Poller(writing_world.his), Call("C", "create", "Condition")
    with pytest.raises(Unavailable):
        async with access.open(writing_world.elsewhere, writing_world.actor, hung) as session:
            assert await session.fetchval(limit) == "1min"
            await session.execute("SET LOCAL idle_in_transaction_session_timeout = 50")
            late = await writing_world.create()
            while late not in await poller.poll():
                pass


@pytest.mark.usefixtures("impatient")
async def test_a_transaction_that_writes_waits_for_nobody_and_shows_nothing_that_could_be_overtaken(
    writing_world: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(horizon, "PATIENCE", 3600.0)
    early = await writing_world.begin()
    await writing_world.create()
    answer = await writing_world.his.post(
        "",
        {
            "resourceType": "Bundle",
            "type": "transaction",
            "entry": [
                {"resource": condition(writing_world.patient), "request": {"method": "POST", "url": "Condition"}},
                {"request": {"method": "GET", "url": "Condition?_lastUpdated=gt2020-01-01T00:00:00Z"}},
            ],
        },
    )
    assert answer.status == 200, answer
    began = early_second(await stamp(writing_world, early))
    shown = [entry["resource"] for entry in answer["entry"][1]["resource"].get("entry", [])]
    assert all(datetime.fromisoformat(each["meta"]["lastUpdated"]) < began for each in shown)


async def stamp(ground: Ground, writer: Writer) -> datetime:
    made = await ground.his.read(f"Condition/{await writer.commit()}")
    return datetime.fromisoformat(made["meta"]["lastUpdated"])


def early_second(at: datetime) -> datetime:
    return at.replace(microsecond=0) + timedelta(seconds=1)


async def test_times_of_change_are_the_databases_whatever_the_clock_of_the_host_says(
    writing_world: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.fhir.routes.utc_now", lambda: datetime(2031, 1, 1, tzinfo=UTC))
    async with writing_world.elsewhere.transaction(writing_world.actor.scope) as session:
        before = await session.fetchval("SELECT clock_timestamp()")
        made = await writing_world.his.post("Condition", condition(writing_world.patient))
        after = await session.fetchval("SELECT clock_timestamp()")
    assert before < datetime.fromisoformat(made["meta"]["lastUpdated"]) < after


@pytest.mark.parametrize("who", ["his-a", "agency-a", "agency-b", "platform"])
@pytest.mark.parametrize("type", ["Task", "ServiceRequest"])
async def test_what_changed_lately_is_all_that_a_long_look_back_finds_changed_lately(
    world: World, who: str, type: str
) -> None:
    """What is found by its versions is what is found among everything; an offer that nobody owns is there, too."""
    party = world.party(who)
    await world.accepted(await world.refer("N05"))
    middle = (await world.party("his-a").search("Task?_sort=-_lastUpdated&_count=1"))[0]["meta"]["lastUpdated"]
    await world.accepted(await world.refer("N03"))
    await open_offer(world, await withdrawn_first(world, "N05"))
    everything = await party.search(f"{type}?_lastUpdated=gt2020-01-01T00:00:00Z")
    lately = await party.search(f"{type}?_lastUpdated=gt{middle}")
    assert [each["id"] for each in lately] == [
        each["id"] for each in everything if each["meta"]["lastUpdated"] > middle
    ]
    assert lately


@pytest.mark.parametrize("who", ["his-a", "agency-a", "platform", "auditor"])
async def test_every_type_that_can_be_followed_is_followed_and_sorted_by_its_times(world: World, who: str) -> None:
    await world.accepted(await world.refer("N05"))
    party, followed = world.party(who), set[str]()
    said = await world.nobody.get("metadata")
    for resource in said["rest"][0]["resource"]:
        if "_lastUpdated" not in {each["name"] for each in resource["searchParam"]}:
            continue
        whole = await party.get(f"{resource['type']}?_count=200")
        for asked in ("_lastUpdated=gt2020-01-01T00:00:00Z", "_sort=_lastUpdated", "_sort=-_lastUpdated"):
            found = await party.get(f"{resource['type']}?{asked}&_count=200")
            assert found.status == whole.status, found
            times = [entry["resource"]["meta"]["lastUpdated"] for entry in found.get("entry", [])]
            assert len(times) == len(whole.get("entry", []))
            if "_sort" in asked:
                assert times == sorted(times, key=datetime.fromisoformat, reverse="=-" in asked)
            followed |= {resource["type"]} if times else set()
    assert ("Task" in followed) == (who != "auditor") and len(followed) > 4


async def test_no_version_of_a_task_is_older_than_the_one_before_it(writing_world: Ground) -> None:
    world, agency = writing_world.world, writing_world.world.party("agency-a")
    share = await world.accepted(await world.refer("N05"))
    token = world.said["clients"]["agency-a"]["access_token"]
    actor = await access.authenticate(world.database, token, utc_now())
    async with access.open(writing_world.elsewhere, actor, Call("U", "put", "Task")) as session:
        started = await agency.put(share, status="in-progress")
        assert started.status == 200
        held = write_json(dict(started) | {"status": "on-hold", "statusReason": reason("other")})
        await writing.update(session, actor, "Task", held, uuid.UUID(share["id"]), None, session.began)
    found = await agency.read(f"Task/{share['id']}/_history")
    assert [entry["resource"]["status"] for entry in found["entry"]][:3] == ["on-hold", "in-progress", "accepted"]
    times = [entry["resource"]["meta"]["lastUpdated"] for entry in found["entry"]]
    assert times == sorted(times, reverse=True)


def test_whatever_changes_nothing_keeps_no_follower_waiting_and_whatever_may_does() -> None:
    """The table of the surface says which is which; a search that counted as a writer would not wait for the others."""
    ways = [("", way) for way in SYSTEM] + [(name, way) for name, type in SURFACE.items() for way in type.ways]
    for name, way in ways:
        for level in way.levels:
            id = str(uuid.uuid4()) if level == "instance" else None
            assert Place(way, name, id, ("Task",)).call().writes == way.affects, (name, way.name)


# ---- paging ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["", "&_sort=_lastUpdated", "&_sort=-_lastUpdated"])
async def test_what_is_written_while_a_poller_pages_is_found_by_its_next_poll(
    writing_world: Ground, order: str
) -> None:
    his = writing_world.his
    earlier = [await writing_world.create() for _ in range(6)]
    first = await his.read(f"Condition?_lastUpdated=gt2020-01-01T00:00:00Z&_count=2{order}")
    made = await writing_world.create()
    shown = {entry["resource"]["id"] for entry in first["entry"]}
    changed = next(id for id in earlier if id not in shown)
    assert (await his.put(await his.read(f"Condition/{changed}"), code={"text": "已改"})).status == 200
    seen, page = [entry["resource"] for entry in first["entry"]], next_page(first)
    while page:
        bundle = await his.read(page)
        seen += [entry["resource"] for entry in bundle.get("entry", [])]
        page = next_page(bundle)
    last = max((each["meta"]["lastUpdated"] for each in seen), key=datetime.fromisoformat)
    found = await his.search(f"Condition?_lastUpdated=gt{last}")
    assert {each["id"] for each in found} == {made, changed}
    assert {each["id"] for each in seen} == set(earlier) - {changed}


@pytest.mark.parametrize("order", ["", "&_sort=_id", "&_sort=-_id", "&_sort=_lastUpdated", "&_sort=-_lastUpdated"])
async def test_behaviour_29_pages_that_are_written_between_show_each_earlier_resource_once(
    writing_world: Ground, order: str
) -> None:
    earlier = [await writing_world.create() for _ in range(9)]
    dice, seen = random.Random(29), []
    page: str | None = f"Condition?_count=2{order}"
    while page:
        bundle = await writing_world.his.read(page)
        seen += [entry["resource"]["id"] for entry in bundle["entry"]]
        page = next_page(bundle)
        await writing_world.create()
        changed = await writing_world.his.read(f"Condition/{dice.choice(earlier)}")
        assert (await writing_world.his.put(changed, code={"text": "已改"})).status == 200
    assert len(seen) == len(set(seen))
    assert set(seen) >= set(earlier)


@pytest.mark.parametrize("who", ["his-a", "platform"])
@pytest.mark.parametrize("type", ["Task", "ServiceRequest"])
@pytest.mark.parametrize("order", ["_lastUpdated", "-_lastUpdated"])
async def test_behaviour_29_referrals_that_move_while_they_are_listed_are_shown_once(
    world: World, who: str, type: str, order: str
) -> None:
    party, agency = world.party(who), world.party("agency-a")
    offers = [await world.offer(await world.refer("N04")) for _ in range(4)]
    earlier = {each["id"] for each in await party.search(f"{type}?_count=200")}
    seen: list[str] = []
    page: str | None = f"{type}?_count=3&_sort={order}"
    while page:
        bundle = await party.read(page)
        seen += [entry["resource"]["id"] for entry in bundle["entry"]]
        page = next_page(bundle)
        if offers:
            moved = await agency.put(offers.pop(len(offers) // 2), status="accepted")
            assert moved.status == 200
            await world.refer("N04")
    assert sorted(seen) == sorted(earlier)
