"""A write that its sender named is carried out once, and answered alike however often it is sent."""

import asyncio
import uuid
from datetime import timedelta
from typing import Any

import asyncpg

from service.access import flow as access
from service.access import store
from service.access.model import clock_actor
from service.practice import PLATFORM
from service.values import utc_now
from tests.http.world import Answered, World, submission


def name() -> dict[str, str]:
    return {"x_request_id": str(uuid.uuid4())}


async def counted(world: World, table: str) -> int:
    async with world.as_owner() as connection:
        return await connection.fetchval(f"SELECT count(*) FROM {table}")


def same(one: Answered, other: Answered) -> None:
    assert other == one
    assert other.status == one.status
    for header in ("location", "etag", "last-modified", "content-type"):
        assert other.headers.get(header) == one.headers.get(header)
    assert "idempotent-replayed" not in one.headers
    assert other.headers["idempotent-replayed"] == "true"


async def test_behaviour_6_a_submission_sent_again_is_answered_what_it_was_answered(world: World) -> None:
    his, bundle, named = world.party("his-a"), submission("N05"), name()
    first = await his.post("", bundle, prefer="return=representation", **named)
    assert first.status == 200, first
    again = await his.post("", bundle, prefer="return=representation", **named)
    same(first, again)
    assert [entry["response"]["status"] for entry in again["entry"]] == ["201 Created"] * 3
    assert await counted(world, "referral") == 1


async def test_behaviour_6_a_create_sent_again_has_the_same_location_and_makes_nothing(world: World) -> None:
    referred = await world.refer("N05")
    his, named = world.party("his-a"), name()
    form = world.consent_form(referred.patient, referred.request, "agency-a")
    first = await his.post("Consent", form, **named)
    assert first.status == 201, first
    same(first, await his.post("Consent", form, **named))
    assert await counted(world, "consent") == 1


async def test_behaviour_6_a_move_sent_again_is_no_second_move(world: World) -> None:
    referred = await world.refer("N05")
    offer, named = await world.offer(referred), name()
    agency = world.party("agency-a")
    first = await agency.ask("PUT", f"Task/{offer['id']}", dict(offer) | {"status": "accepted"}, **named)
    assert first.status == 200, first
    await world.consent(referred, "agency-a")
    begun = await agency.put(await agency.read(f"Task/{offer['id']}"), status="in-progress")
    assert begun.status == 200, begun
    same(first, await agency.ask("PUT", f"Task/{offer['id']}", dict(offer) | {"status": "accepted"}, **named))
    assert (await agency.read(f"Task/{offer['id']}"))["status"] == "in-progress"


async def test_behaviour_6_another_request_under_the_same_id_is_refused_and_stores_nothing(world: World) -> None:
    referred = await world.refer("N05")
    his, named = world.party("his-a"), name()
    form = world.consent_form(referred.patient, referred.request, "agency-a")
    assert (await his.post("Consent", form, **named)).status == 201
    for path, body in (("Consent", form | {"dateTime": "2026-03-01"}), ("", submission("N05"))):
        refused = await his.post(path, body, **named)
        assert refused.status == 422, refused
        assert "X-Request-ID" in refused["issue"][0]["details"]["text"]
    changed = await his.post("Consent", form, if_none_exist="status=active", **named)
    assert changed.status == 422, "a condition is part of what is asked"
    assert await counted(world, "consent") == 1


async def test_behaviour_6_twenty_at_once_make_one_referral_and_the_others_wait_or_hear_of_it(world: World) -> None:
    his, bundle, named = world.party("his-a"), submission("N05"), name()
    answers = await asyncio.gather(*(his.post("", bundle, **named) for _ in range(20)))
    done = [answer for answer in answers if answer.status == 200]
    early = [answer for answer in answers if answer.status == 425]
    assert done and len(done) + len(early) == 20
    assert sum("idempotent-replayed" not in answer.headers for answer in done) == 1
    assert all(answer["entry"] == done[0]["entry"] for answer in done)
    for answer in early:
        assert answer["issue"][0]["code"] == "transient"
        assert int(answer.headers["retry-after"]) >= 1
    assert await counted(world, "referral") == 1


async def test_behaviour_6_while_the_first_is_at_work_the_second_is_told_at_once(world: World) -> None:
    referred = await world.refer("N05")
    his, named = world.party("his-a"), name()
    form = world.consent_form(referred.patient, referred.request, "agency-a")
    async with world.as_owner() as connection, connection.transaction():
        # What the first one needs is held, so it stays at work until this block ends.
        await connection.execute("LOCK TABLE consent IN ACCESS EXCLUSIVE MODE")
        first = asyncio.create_task(his.post("Consent", form, **named))
        await _waits(world)
        second = await his.post("Consent", form, **named)
        assert second.status == 425, second
        assert second.headers["retry-after"] == "1"
    assert (await first).status == 201
    same(await first, await his.post("Consent", form, **named))


async def test_behaviour_6_who_looked_before_the_first_was_done_is_answered_what_it_was(
    world: World, monkeypatch: Any
) -> None:
    referred = await world.refer("N05")
    his, named = world.party("his-a"), name()
    form = world.consent_form(referred.patient, referred.request, "agency-a")
    first = await his.post("Consent", form, **named)
    look, looks = store.answered, []

    async def too_soon(*asked: Any) -> Any:
        looks.append(asked)
        return (True, None, None) if len(looks) == 1 else await look(*asked)

    monkeypatch.setattr(store, "answered", too_soon)
    same(first, await his.post("Consent", form, **named))
    assert len(looks) == 2
    assert await counted(world, "consent") == 1


async def test_behaviour_6_a_refusal_never_takes_the_place_of_an_answer_that_came_first(
    world: World, monkeypatch: Any
) -> None:
    referred = await world.refer("N05")
    his, named = world.party("his-a"), name()
    form = world.consent_form(referred.patient, referred.request, "agency-a")
    first = await his.post("Consent", form, **named)

    async def too_soon(*_: Any) -> Any:
        return True, None, None

    with monkeypatch.context() as early:
        early.setattr(store, "answered", too_soon)
        assert (await his.post("Consent", form | {"status": "no such"}, **named)).status == 422
    assert await counted(world, "audit WHERE outcome = 'refused'") == 1
    same(first, await his.post("Consent", form, **named))


async def _waits(world: World) -> None:
    watching = await asyncpg.connect(world.clone.owner_dsn)
    try:
        while not await watching.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
            pass
    finally:
        await watching.close()


async def test_behaviour_6_a_refusal_is_given_again_even_where_it_would_now_succeed(world: World) -> None:
    referred = await world.refer("N05")
    share, named = await world.accepted(referred, consent=False), name()
    agency, begun = world.party("agency-a"), dict(share) | {"status": "in-progress"}
    first = await agency.ask("PUT", f"Task/{share['id']}", begun, **named)
    assert first.status == 422, first
    await world.consent(referred, "agency-a")
    same(first, await agency.ask("PUT", f"Task/{share['id']}", begun, **named))
    now = await agency.read(f"Task/{share['id']}")
    done = await agency.ask("PUT", f"Task/{share['id']}", dict(now) | {"status": "in-progress"}, **name())
    assert done.status == 200, done


async def test_behaviour_6_after_a_failure_of_the_server_the_request_is_done_anew(
    world: World, monkeypatch: Any
) -> None:
    referred = await world.refer("N05")
    his, named = world.party("his-a"), name()
    form = world.consent_form(referred.patient, referred.request, "agency-a")
    with monkeypatch.context() as broken:
        broken.setattr("service.access.store.write_answered", _fails)
        assert (await his.post("Consent", form, **named)).status == 500
    assert await counted(world, "consent") == 0
    done = await his.post("Consent", form, **named)
    assert done.status == 201, done
    assert "idempotent-replayed" not in done.headers


async def _fails(*_: object) -> None:
    raise RuntimeError("on purpose")


async def test_behaviour_6_each_entry_of_a_batch_is_done_once(world: World) -> None:
    referred = await world.refer("N05")
    his, named = world.party("his-a"), name()
    form = world.consent_form(referred.patient, referred.request, "agency-a")
    batch = {
        "resourceType": "Bundle",
        "type": "batch",
        "entry": [
            {"request": {"method": "POST", "url": "Consent"}, "resource": form},
            {"request": {"method": "GET", "url": referred.request}},
            {"request": {"method": "POST", "url": "Consent"}, "resource": form | {"status": "no such"}},
        ],
    }
    first = await his.post("", batch, **named)
    assert [entry["response"]["status"][:3] for entry in first["entry"]] == ["201", "200", "422"], first
    again = await his.post("", batch, **named)
    assert again["entry"] == first["entry"]
    assert await counted(world, "consent") == 1
    other = await his.post("", batch | {"entry": [*batch["entry"], batch["entry"][0]]}, **named)
    assert other.status == 422, "another batch under the same id does nothing at all"
    assert await counted(world, "consent") == 1


async def test_an_id_is_its_senders_own(world: World) -> None:
    named = name()
    one = await world.party("his-a").post("", submission("N05"), **named)
    other = await world.party("his-b").post("", submission("N05"), **named)
    assert (one.status, other.status) == (200, 200)
    assert one["entry"][0]["response"]["location"] != other["entry"][0]["response"]["location"]


async def test_reads_and_searches_ignore_the_id(world: World) -> None:
    referred = await world.refer("N05")
    his, named = world.party("his-a"), name()
    for path in (referred.request, referred.stay, "Task?status=in-progress"):
        found = await his.get(path, **named)
        assert found.status == 200
        assert "idempotent-replayed" not in found.headers
    assert (await his.post("ServiceRequest/$route", submission("N05"), **named)).status == 200
    assert (await his.post("ServiceRequest/$route", submission("N06"), **named)).status == 200
    assert await counted(world, "answered") == 0


async def test_without_an_id_nothing_is_kept(world: World) -> None:
    await world.refer("N05")
    assert await counted(world, "answered") == 0


async def test_answers_are_kept_for_a_day_and_seen_by_their_own_organisation(world: World) -> None:
    his, bundle, named = world.party("his-a"), submission("N05"), name()
    assert (await his.post("", bundle, **named)).status == 200
    async with world.database.transaction(clock_actor(PLATFORM).scope) as session:
        await access.forget(session, utc_now() + timedelta(hours=23))
        assert await session.fetchval("SELECT count(*) FROM answered") == 1
        await access.forget(session, utc_now() + timedelta(hours=25))
        assert await session.fetchval("SELECT count(*) FROM answered") == 0
    # Then the placer's own number still keeps it from being stored twice.
    assert (await his.post("", bundle, **named)).status == 200
    assert await counted(world, "referral") == 1
