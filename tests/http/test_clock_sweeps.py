"""What time brings: expiry, reminders, escalation, clocks that pause, and a consent that runs out (moves.md)."""

from datetime import datetime, timedelta
from typing import Any

from adapters import worker
from service.access.model import clock_actor
from service.practice import PLATFORM
from service.referrals import sweeps
from service.values import utc_now
from tests.http.loop import discharge, done, ending, later, message, nothing_changes, says, started, sweep
from tests.http.world import World, closed, output, reason


async def at(world: World, moment: datetime, run: Any) -> int:
    async with world.database.transaction(worker.CLOCK.scope) as session:
        return await run(session, clock_actor(PLATFORM), moment)


async def test_before_its_limit_an_offer_does_not_expire_and_at_it_it_does(world: World) -> None:
    referred = await world.refer("N05")
    offer = await world.offer(referred)
    async with nothing_changes(world):
        assert await at(world, ending(offer) - timedelta(seconds=1), sweeps.expire_due) == 0
    assert await at(world, ending(offer), sweeps.expire_due) == 1
    gone = await world.party("agency-a").read(f"Task/{offer['id']}")
    assert gone["status"] == "cancelled" and says(gone) == "expired"
    assert (await world.offer(referred, "agency-b"))["status"] == "requested"
    async with nothing_changes(world):
        assert await at(world, ending(offer), sweeps.expire_due) == 0


async def test_a_reply_limit_depends_on_the_urgency(world: World) -> None:
    stat = await world.offer(await world.refer("N05", request={"priority": "stat"}))
    asap = await world.offer(await world.refer("N05", request={"priority": "asap"}))
    routine = await world.offer(await world.refer("N01", request={"priority": "routine"}))
    assert abs(ending(stat) - utc_now() - timedelta(minutes=30)) < timedelta(minutes=1)
    assert abs(ending(asap) - utc_now() - timedelta(hours=2)) < timedelta(minutes=1)
    # One working day counts working hours alone.
    assert ending(routine) - utc_now() > timedelta(hours=8) - timedelta(minutes=1)


async def test_while_a_question_is_open_the_offer_does_not_expire(world: World) -> None:
    hospital, agency = world.party("his-a"), world.party("agency-a")
    referred = await world.refer("N05", request={"priority": "asap"})
    offer = await world.offer(referred)
    question = done(
        await agency.post(
            "Communication", message("question", f"Task/{offer['id']}", payload=[{"contentString": "几楼？"}])
        )
    )
    assert await sweep(world, "expire", later(days=30)) == 0
    assert (await agency.read(f"Task/{offer['id']}"))["status"] == "requested"
    _, step = await world.timeline(referred)
    assert step is not None and step["what"] == "answer"
    done(
        await hospital.post(
            "Communication",
            message(
                None,
                inResponseTo=[{"reference": f"Communication/{question['id']}"}],
                payload=[{"contentString": "三楼"}],
            ),
        )
    )
    assert await sweep(world, "expire", later(days=30)) == 1


async def test_first_contact_pauses_while_consent_is_awaited(world: World) -> None:
    referred = await world.refer("N05", request={"priority": "asap"})
    share = await world.accepted(referred, consent=False)
    _, step = await world.timeline(referred)
    assert step is not None and step["what"] == "obtain-consent"
    assert await sweep(world, "remind", later(days=30)) >= 2
    await world.consent(referred, "agency-a")
    share = await world.party("agency-a").read(f"Task/{share['id']}")
    assert abs(ending(share) - utc_now() - timedelta(hours=24)) < timedelta(minutes=1)


async def told(world: World, referred: Any) -> list[dict[str, Any]]:
    async with world.as_owner() as connection:
        rows = await connection.fetch(
            "SELECT kind, data FROM event WHERE referral_id = $1 AND kind IN ('remind', 'escalate') ORDER BY number",
            referred.id,
        )
    import json

    return [{"kind": row["kind"]} | json.loads(row["data"]) for row in rows]


async def test_at_80_percent_its_owner_at_100_the_supervisor_then_the_coordinator(world: World) -> None:
    referred = await world.refer("N05", request={"priority": "asap"})
    start, end = utc_now(), ending(await world.offer(referred))
    limit = end - start
    assert await at(world, start + limit * 0.79, sweeps.remind_due) == 0
    for moment, kind, who in (
        (0.81, "remind", "owner"),
        (1.01, "escalate", "supervisor"),
        (1.25, "escalate", "coordinator"),
    ):
        assert await at(world, start + limit * moment, sweeps.remind_due) == 1
        assert await at(world, start + limit * moment, sweeps.remind_due) == 0
        last = (await told(world, referred))[-1]
        assert (last["kind"], last["told"], last["what"]) == (kind, who, "accept-or-decline")
    assert await at(world, start + limit * 9, sweeps.remind_due) == 0


async def test_each_new_step_is_reminded_of_anew(world: World) -> None:
    referred = await world.refer("N05")
    assert await sweep(world, "remind", later(days=30)) == 2
    await world.accepted(referred)
    assert await sweep(world, "remind", later(days=60)) == 2
    assert [each["what"] for each in await told(world, referred)][-1] == "first-contact"


async def test_what_nobody_owns_escalates_too(world: World) -> None:
    referred = await world.refer("N17")
    assert says(await world.parent(referred)) == "unplaced"
    assert await sweep(world, "remind", later(days=30)) == 2
    assert {each["what"] for each in await told(world, referred)} == {"place"}


async def test_a_hold_a_crisis_a_follow_up_and_a_cancellation_are_reminded_of(world: World) -> None:
    agency, hospital = world.party("agency-a"), world.party("his-a")
    held_of = await world.refer("N05")
    done(await agency.put(await started(world, held_of), status="on-hold", statusReason={"text": "外出"}))
    home = await world.refer("N05")
    share = await started(world, home)
    done(await agency.put(share, status="completed", output=[output()], statusReason=closed()))
    done(await discharge(world, home))
    cancelled = await world.refer("N05")
    await world.accepted(cancelled)
    done(await hospital.put(await hospital.read(cancelled.request), status="revoked"))
    await sweep(world, "remind", later(days=200))
    assert {each["what"] for each in await told(world, held_of)} == {"resume"}
    assert {each["what"] for each in await told(world, home)} == {"follow-up"}
    assert {each["what"] for each in await told(world, cancelled)} == {"confirm-cancel"}


async def test_a_sweep_moves_a_bounded_number_and_the_next_one_goes_on(world: World) -> None:
    for _ in range(3):
        await world.refer("N04")
    original, sweeps.BATCH = sweeps.BATCH, 2
    try:
        assert [await at(world, later(days=30), sweeps.expire_due) for _ in range(3)] == [2, 1, 0]
    finally:
        sweeps.BATCH = original


async def test_an_accepted_share_is_never_expired(world: World) -> None:
    share = await world.accepted(await world.refer("N05"))
    assert await sweep(world, "expire", later(days=300)) == 0
    assert (await world.party("agency-a").read(f"Task/{share['id']}"))["status"] == "accepted"


async def test_a_consent_that_runs_out_withholds_identity_again(world: World) -> None:
    agency = world.party("agency-a")
    referred = await world.refer("N05")
    share = await world.accepted(referred, consent=False)
    form = world.consent_form(referred.patient, referred.request, "agency-a")
    form["provision"]["period"] = {"start": later(days=-1).isoformat(), "end": later(days=10).isoformat()}
    done(await world.party("his-a").post("Consent", form))
    assert (await agency.get(referred.patient)).status == 200
    await sweep(world, "consents", later(days=9))
    assert (await agency.get(referred.patient)).status == 200
    await sweep(world, "consents", later(days=11))
    assert (await agency.get(referred.patient)).status == 404
    assert says(await agency.read(f"Task/{share['id']}")) == "awaiting-consent"


async def test_a_declined_offers_limit_no_longer_runs(world: World) -> None:
    referred = await world.refer("N04")
    done(
        await world.party("agency-a").put(
            await world.offer(referred), status="rejected", statusReason=reason("waitlist")
        )
    )
    assert await sweep(world, "expire", later(days=30)) == 0


async def test_what_stays_undone_is_told_to_the_coordinator_again_each_day(world: World) -> None:
    referred = await world.refer("N17")
    assert await sweep(world, "remind", later(days=30)) == 2
    assert await sweep(world, "remind", later(days=30, hours=23)) == 0
    assert await sweep(world, "remind", later(days=31, hours=1)) == 1
    assert (await told(world, referred))[-1]["told"] == "coordinator"


async def test_service_is_looked_at_again_and_again(world: World) -> None:
    """The assessment limit, then a review every 30 days (moves.md)."""
    referred = await world.refer("N05")
    share = await world.accepted(referred)
    done(await world.party("agency-a").put(share, status="in-progress"))
    for day, what in ((10, "assessment"), (50, "review"), (90, "review")):
        await sweep(world, "remind", later(days=day))
        assert (await told(world, referred))[-1]["what"] == what
    _, step = await world.timeline(referred)
    assert step is not None and step["what"] == "review"
