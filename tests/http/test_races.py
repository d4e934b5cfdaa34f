"""Races over real connections: one winner, never more than there are places, and nothing half done."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from adapters import worker
from service.referrals import sweeps
from service.values import utc_now
from tests.http.loop import STORED, done, ending, later, message, says
from tests.http.test_capacity import service, with_places
from tests.http.test_claims import open_offer, withdrawn_first
from tests.http.test_coordinator import by_hand
from tests.http.world import Answered, World, closed, output, reason, submission


async def held(world: World) -> tuple[int, int]:
    """Places that are held, and shares that are open: the same number, always."""
    async with world.database.transaction(worker.CLOCK.scope) as session:
        places = await session.fetchval("SELECT count(*) FROM place WHERE task_id IS NOT NULL")
        shares = await session.fetchval(
            "SELECT count(*) FROM task WHERE kind = 'share' AND open AND agency_id IS NOT NULL"
        )
    return places, shares


async def expire(world: World, now: Any) -> int:
    async with world.database.transaction(worker.CLOCK.scope) as session:
        return await sweeps.expire_due(session, worker.CLOCK, now)


async def whole(world: World) -> None:
    """Every current row has its version, every open share its place, every next step its referral."""
    places, shares = await held(world)
    assert places == shares
    async with world.database.transaction(worker.CLOCK.scope) as session:
        assert await session.fetchval(
            "SELECT count(*) FROM task t WHERE t.version <> (SELECT max(version) FROM task_version v WHERE v.task_id = t.id)"
        ) == 0  # fmt: skip
        assert await session.fetchval(
            "SELECT count(*) FROM task_version v WHERE v.version > 1"
            " AND NOT EXISTS (SELECT 1 FROM task_version o WHERE o.task_id = v.task_id AND o.version = v.version - 1)"
        ) == 0  # fmt: skip
        numbers = await session.fetch(
            "SELECT referral_id, array_agg(number ORDER BY number) AS given FROM event GROUP BY 1"
        )
    for row in numbers:
        assert row["given"] == list(range(row["given"][0], row["given"][0] + len(row["given"])))


async def test_of_twenty_referrals_for_the_last_place_one_has_it(world: World) -> None:
    agency = world.party("agency-a")
    read = await service(world)
    done(await agency.put(read, extension=with_places(read, 1)))
    await asyncio.gather(*(world.refer("N04") for _ in range(20)))
    assert len(await agency.search("Task?status=requested&_count=50")) == 1
    unplaced = await world.party("platform").search("Task?business-status=unplaced&_count=50")
    assert len(unplaced) == 19
    await whole(world)


async def test_twenty_referrals_for_five_places_overflow_to_the_next_agency(world: World) -> None:
    read = await service(world)
    done(await world.party("agency-a").put(read, extension=with_places(read, 5)))
    await asyncio.gather(*(world.refer("N05") for _ in range(20)))
    count = {a: len(await world.party(a).search("Task?status=requested&_count=50")) for a in ("agency-a", "agency-b")}
    assert count == {"agency-a": 5, "agency-b": 15}
    await whole(world)


async def test_capacity_lowered_meanwhile_is_never_over_committed(world: World) -> None:
    read = await service(world)
    agency = world.party("agency-a")
    done(await agency.put(read, extension=with_places(read, 6)))

    async def lower() -> Answered:
        return await agency.put(read, extension=with_places(read, 2))

    answers = await asyncio.gather(
        *(world.refer("N04") for _ in range(8)), lower(), *(world.refer("N04") for _ in range(8))
    )
    assert done(answers[8]).status == 200  # type: ignore[arg-type]
    offers = await agency.search("Task?status=requested&_count=50")
    assert len(offers) <= 6
    assert says(await world.parent(await world.refer("N04"))) == ("unplaced" if len(offers) >= 2 else "offered")
    await whole(world)
    for offer in offers:
        done(await agency.put(offer, status="rejected", statusReason=reason("no-capacity")))
    assert (await held(world))[0] == 0


async def test_the_same_acceptance_twenty_times_is_one(world: World) -> None:
    offer = await world.offer(await world.refer("N05"))
    answers = await asyncio.gather(*(world.party("agency-a").put(offer, status="accepted") for _ in range(20)))
    assert {answer.status for answer in answers} == {200}
    assert {answer["meta"]["versionId"] for answer in answers} == {"2"}
    await whole(world)


async def test_accept_and_decline_at_once_one_holds(world: World) -> None:
    for _ in range(5):
        offer = await world.offer(await world.refer("N05"))
        agency = world.party("agency-a")
        answers = await asyncio.gather(
            agency.put(offer, status="accepted"), agency.put(offer, status="rejected", statusReason=reason("waitlist"))
        )
        assert sorted(answer.status for answer in answers) == [200, 422]
        now = await agency.read(f"Task/{offer['id']}")
        assert now["status"] == next(answer["status"] for answer in answers if answer.status == 200)
    await whole(world)


async def test_accept_against_expiry_one_holds(world: World) -> None:
    for _ in range(5):
        referred = await world.refer("N04")
        offer = await world.offer(referred)
        answer, expired = await asyncio.gather(
            world.party("agency-a").put(offer, status="accepted"), expire(world, later(days=30))
        )
        now = await world.party("agency-a").read(f"Task/{offer['id']}")
        if answer.status == 200:
            assert now["status"] == "accepted"
        else:
            assert answer.status == 422 and expired == 1 and says(now) == "expired"
    await whole(world)


async def test_accept_against_withdrawal_one_holds(world: World) -> None:
    hospital = world.party("his-a")
    for _ in range(5):
        referred = await world.refer("N05")
        offer = await world.offer(referred)
        request = await hospital.read(referred.request)
        taken, gone = await asyncio.gather(
            world.party("agency-a").put(offer, status="accepted"), hospital.put(request, status="revoked")
        )
        assert gone.status == 200
        if taken.status == 200:
            assert gone["status"] == "active" and says(await world.parent(referred)) == "cancellation-requested"
        else:
            assert taken.status == 422 and gone["status"] == "revoked"
    await whole(world)


async def test_two_sweeps_at_once_expire_each_offer_once(world: World) -> None:
    referrals = [await world.refer("N04") for _ in range(6)]
    counts = await asyncio.gather(*(expire(world, later(days=30)) for _ in range(4)))
    assert sum(counts) == 6
    for referred in referrals:
        actions, _ = await world.timeline(referred)
        assert actions.count("expire") == 1
    await whole(world)


async def test_of_many_claims_with_rivals_and_retries_one_agency_wins(world: World) -> None:
    for _ in range(3):
        referred = await withdrawn_first(world, "N05")
        made = await open_offer(world, referred)

        async def claim(agency: str, made: Answered = made) -> tuple[str, int]:
            own = {"reference": world.organizations[agency]}
            return agency, (await world.party(agency).put(made, status="accepted", owner=own)).status

        answers = await asyncio.gather(*(claim(agency) for agency in ("agency-a", "agency-b") * 5))
        winners = {agency for agency, status in answers if status == 200}
        assert len(winners) == 1
        assert Counter(answers) == {(winners.pop(), 200): 5, **{pair: 5 for pair in answers if pair[1] == 409}}
    await whole(world)


async def test_complete_against_a_crisis_closes_nothing_unsafely(world: World) -> None:
    from tests.http.loop import crisis, started

    for _ in range(4):
        referred = await world.refer("N05")
        share = await started(world, referred)
        ended, raised = await asyncio.gather(
            world.party("agency-a").put(share, status="completed", output=[output()], statusReason=closed()),
            world.party("his-a").post("Communication", crisis("raised", referred.request, "病房来电")),
        )
        assert raised.status == 201 and ended.status in (200, 422)
        _, step = await world.timeline(referred)
        assert step is not None and step["what"] == "acknowledge"
        if ended.status == 200:
            assert step["who"]["reference"] == world.organizations["platform"]


async def test_two_offers_by_hand_for_one_need_end_in_one_acceptance(world: World) -> None:
    platform = world.party("platform")
    referred = await withdrawn_first(world, "N05")
    parent = await world.parent(referred, "platform")
    made = await asyncio.gather(*(
        platform.post("Task", by_hand(world, parent, agency, statusReason={"text": "并行询问"})) for agency in ("agency-a", "agency-b")
    ))  # fmt: skip
    assert {answer.status for answer in made} == {201}
    offers = {
        agency: await world.party(agency).read(f"Task/{a['id']}")
        for agency, a in zip(("agency-a", "agency-b"), made, strict=True)
    }
    answers = await asyncio.gather(
        *(world.party(agency).put(offer, status="accepted") for agency, offer in offers.items())
    )
    assert sorted(answer.status for answer in answers) == [200, 409]
    await whole(world)


async def test_consent_and_its_withdrawal_against_the_work_leave_no_open_door(world: World) -> None:
    hospital, agency = world.party("his-a"), world.party("agency-a")
    referred = await world.refer("N05")
    share = await world.accepted(referred, consent=False)
    consent = await world.consent(referred, "agency-a")
    share = await agency.read(f"Task/{share['id']}")
    begun, gone = await asyncio.gather(
        agency.put(share, status="in-progress"), hospital.put(consent, status="inactive")
    )
    assert gone.status == 200 and begun.status in (200, 422)
    assert (await agency.get(referred.patient)).status == 404
    assert says(await agency.read(f"Task/{share['id']}")) == "awaiting-consent"
    await whole(world)


async def test_stale_writers_of_one_version_one_wins(world: World) -> None:
    share = await world.accepted(await world.refer("N05"))
    etag = share.headers["etag"]
    answers = await asyncio.gather(*(
        world.party("agency-a").put(share, if_match=etag, note=[{"text": f"记录{n}"}]) for n in range(8)
    ))  # fmt: skip
    assert Counter(answer.status for answer in answers) == {200: 1, 412: 7}


@pytest.mark.parametrize("sides", [("his-a", "agency-a")])
async def test_a_storm_on_one_referral_breaks_nothing(world: World, sides: tuple[str, str]) -> None:
    from tests.http.loop import crisis

    hospital, agency = (world.party(side) for side in sides)
    referred = await world.refer("N05")
    offer = await world.offer(referred)
    request = await hospital.read(referred.request)
    answers = await asyncio.gather(
        agency.put(offer, status="accepted"),
        agency.post("Communication", message("question", f"Task/{offer['id']}", payload=[{"contentString": "几楼？"}])),
        hospital.post("Consent", world.consent_form(referred.patient, referred.request, "agency-a")),
        hospital.post("Communication", crisis("raised", referred.request, "病房来电")),
        hospital.put(request, status="revoked"),
        agency.put(offer, status="in-progress"),
        agency.put(offer, status="rejected", statusReason=reason("waitlist")),
        expire(world, utc_now()),
        expire(world, ending(offer)),
        return_exceptions=True,
    )
    for answer in answers:
        assert not isinstance(answer, BaseException), answer
        assert isinstance(answer, int) or answer.status in (200, 201, 404, 409, 412, 422), answer
    await whole(world)


async def test_the_same_submission_many_times_is_one_referral(world: World) -> None:
    bundle = submission("N05", number="ORDER-1")
    answers = await asyncio.gather(*(world.party("his-a").post("", bundle) for _ in range(20)))
    assert {answer.status for answer in answers} == {200}
    located = {answer["entry"][2]["response"]["location"] for answer in answers}
    assert len(located) == 1
    async with world.database.transaction(worker.CLOCK.scope) as session:
        assert await session.fetchval("SELECT count(*) FROM referral") == 1
    assert "referral" in STORED
    await whole(world)
