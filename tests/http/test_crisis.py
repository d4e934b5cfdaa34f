"""A crisis: its steps in their order, nothing closes while it is up, and nothing takes it away (moves.md)."""

import pytest

from tests.http.loop import crisis, done, later, nothing_changes, refused, says, started, sweep
from tests.http.world import Referred, World, closed, output, phq9, reason


async def up(world: World, need: str = "N05") -> Referred:
    referred = await world.refer(need)
    done(await world.party("his-a").post("Communication", crisis("raised", referred.request, "病人自述不想活")))
    return referred


async def test_its_steps_follow_one_another_and_the_wrong_ones_change_nothing(world: World) -> None:
    hospital = world.party("his-a")
    referred = await world.refer("N05")
    steps = ("acknowledged", "safety-planned", "reported", "stood-down")
    allowed = {None: {"raised"}, "raised": {"acknowledged"}, "acknowledged": {"safety-planned"},
               "safety-planned": {"reported", "stood-down"}, "reported": {"stood-down"}}  # fmt: skip
    waits = {
        "raised": "acknowledge",
        "acknowledged": "safety-plan",
        "safety-planned": "report",
        "reported": "stand-down",
    }
    state: str | None = None
    for following in ("raised", *steps):
        async with nothing_changes(world):
            for step in (*steps, "cured"):
                if step not in allowed[state]:
                    told = refused(await hospital.post("Communication", crisis(step, referred.request)), 422)
                    if state and step != "cured":
                        assert {name for name in steps if name in str(told).partition("next may come")[2]} == allowed[
                            state
                        ]
            refused(await hospital.post("Communication", crisis(following, referred.request, None)), 422)
        made = done(await hospital.post("Communication", crisis(following, referred.request)))
        assert made.status == 201
        state = following
        if state in waits:
            _, step_now = await world.timeline(referred)
            assert step_now is not None and step_now["what"] == waits[state]
    _, after = await world.timeline(referred)
    assert after is not None and after["what"] == "accept-or-decline"


async def test_the_hospital_must_acknowledge_first_and_its_clock_is_half_an_hour(world: World) -> None:
    referred = await world.refer("N05")
    share = await world.accepted(referred)
    done(
        await world.party("agency-a").post("Communication", crisis("raised", f"Task/{share['id']}", "电话中说不想活了"))
    )
    _, step = await world.timeline(referred)
    assert step is not None and step["what"] == "acknowledge"
    assert step["who"]["reference"] == world.organizations["hospital-a"]
    assert later(minutes=29).isoformat() < step["by"] < later(minutes=30, seconds=1).isoformat()


async def test_raising_it_makes_it_stat_and_leaves_the_placers_priority(world: World) -> None:
    referred = await up(world)
    parent = await world.parent(referred)
    assert parent["priority"] == "stat"
    assert (await world.offer(referred))["priority"] == "stat"
    assert (await world.party("his-a").read(referred.request)).get("priority", "routine") == "routine"


async def test_raising_it_twice_raises_one(world: World) -> None:
    referred = await up(world)
    done(await world.party("his-a").post("Communication", crisis("raised", referred.request, "又一次")))
    assert (await world.timeline(referred))[0].count("raise") == 1


async def test_nothing_closes_while_it_is_up(world: World) -> None:
    referred = await world.refer("N05")
    share = await started(world, referred)
    done(await world.party("agency-a").post("Communication", crisis("raised", f"Task/{share['id']}", "说不想活")))
    share = await world.party("agency-a").read(f"Task/{share['id']}")
    async with nothing_changes(world):
        refused(
            await world.party("agency-a").put(share, status="completed", output=[output()], statusReason=closed()),
            422,
            "crisis",
        )
        lost = await world.party("agency-a").put(
            share, status="completed", output=[output()], statusReason=closed("lost")
        )
        refused(lost, 422, "crisis")


@pytest.mark.parametrize("how", ["return", "fail", "confirm-cancel", "refuse", "void", "withdraw"])
async def test_whatever_ends_it_passes_to_the_coordinator(world: World, how: str) -> None:
    hospital, agency, platform = world.party("his-a"), world.party("agency-a"), world.party("platform")
    referred = await up(world)
    parent = await world.parent(referred, "platform")
    match how:
        case "refuse":
            done(await platform.put(parent, status="rejected", statusReason=reason("safety")))
        case "void":
            done(await platform.put(parent, status="entered-in-error", statusReason={"text": "误录"}))
        case "withdraw":
            done(await hospital.put(await world.parent(referred), status="cancelled", statusReason={"text": "x"}))
        case _:
            share = await world.accepted(referred)
            if how == "return":
                done(await agency.put(share, status="cancelled", statusReason=reason("no-capacity")))
            elif how == "fail":
                done(await agency.put(share, status="failed", statusReason=closed("unforeseen")))
            else:
                done(await hospital.put(await hospital.read(referred.request), status="revoked"))
                done(await agency.put(await agency.read(f"Task/{share['id']}"), status="cancelled"))
    _, step = await world.timeline(referred)
    assert step is not None and step["what"] == "acknowledge"
    assert step["who"]["reference"] == world.organizations["platform"]


async def test_a_passed_reply_limit_takes_nothing_away_and_adds_the_next_agency(world: World) -> None:
    referred = await up(world)
    first = await world.offer(referred)
    assert await sweep(world, "expire", later(days=3)) > 0
    kept = await world.party("agency-a").read(f"Task/{first['id']}")
    assert kept["status"] == "requested" and says(kept) == "offered"
    second = await world.offer(referred, "agency-b")
    assert second["priority"] == "stat"
    done(await world.party("agency-b").put(second, status="accepted"))
    lost = await world.party("agency-a").read(f"Task/{first['id']}")
    assert says(lost) == "not-selected"


async def test_its_clock_does_not_pause_for_consent_or_questions(world: World) -> None:
    referred = await world.refer("N05")
    share = await world.accepted(referred, consent=False)
    done(await world.party("agency-a").post("Communication", crisis("raised", f"Task/{share['id']}", "病房来电求助")))
    _, step = await world.timeline(referred)
    assert step is not None and step["what"] == "acknowledge"
    assert await sweep(world, "remind", later(minutes=31)) > 0
    actions, _ = await world.timeline(referred)
    assert "escalate" in actions


async def test_screening_raises_it_with_the_submission(world: World) -> None:
    referred = await world.refer("N03", extra=[phq9(2)])
    actions, step = await world.timeline(referred)
    assert actions[0] == "submit" and step is not None and step["what"] == "acknowledge"
    calm = await world.refer("N03", extra=[phq9(0)])
    assert (await world.timeline(calm))[1]["what"] == "accept-or-decline"  # type: ignore[index]


async def test_who_may_not_know_of_the_referral_says_nothing_of_its_crisis(world: World) -> None:
    referred = await world.refer("N05")
    offer = await world.offer(referred)
    async with nothing_changes(world):
        for party in ("his-b", "agency-b", "agency-c"):
            refused(await world.party(party).post("Communication", crisis("raised", referred.request, "x")), 404)
            refused(await world.party(party).post("Communication", crisis("raised", f"Task/{offer['id']}", "x")), 404)


async def test_its_words_are_sealed_to_the_other_side(world: World) -> None:
    referred = await world.refer("N05")
    share = await world.accepted(referred)
    told = done(
        await world.party("agency-a").post("Communication", crisis("raised", f"Task/{share['id']}", "床边密语"))
    )
    hospital = await world.party("his-a").read(f"{referred.request}/$timeline")
    assert "床边密语" not in str(hospital) and "restricted" in str(hospital)
    assert "床边密语" in str(await world.party("agency-a").read(f"{referred.request}/$timeline"))
    assert "床边密语" in str(await world.party("platform").read(f"{referred.request}/$timeline"))
    assert (await world.party("his-a").get(f"Communication/{told['id']}")).status == 404


async def test_who_is_not_at_work_does_not_move_it_on_and_who_has_ended_raises_none(world: World) -> None:
    referred = await up(world)
    agency, other = world.party("agency-a"), world.party("agency-b")
    offer = await world.offer(referred)
    async with nothing_changes(world):
        refused(await agency.post("Communication", crisis("acknowledged", f"Task/{offer['id']}")), 403)
    done(await agency.put(offer, status="rejected", statusReason=reason("no-capacity")))
    async with nothing_changes(world):
        refused(await agency.post("Communication", crisis("acknowledged", f"Task/{offer['id']}")), 403)
    share = await world.accepted(referred, "agency-b")
    for step in ("acknowledged", "safety-planned", "reported", "stood-down"):
        done(await other.post("Communication", crisis(step, f"Task/{share['id']}")))
    async with nothing_changes(world):
        refused(await agency.post("Communication", crisis("raised", f"Task/{offer['id']}", "来电求助")), 403)
    done(await other.post("Communication", crisis("raised", f"Task/{share['id']}", "来电求助")))
    _, step_now = await world.timeline(referred)
    assert step_now is not None and step_now["what"] == "acknowledge"


async def test_an_offer_lets_its_agency_raise_one(world: World) -> None:
    referred = await world.refer("N05")
    offer = await world.offer(referred)
    done(await world.party("agency-a").post("Communication", crisis("raised", f"Task/{offer['id']}", "来电求助")))
    _, step_now = await world.timeline(referred)
    assert step_now is not None and step_now["what"] == "acknowledge"


async def test_child_abuse_is_reported_before_its_crisis_is_stood_down(world: World) -> None:
    hospital = world.party("his-a")
    referred = await world.refer("N13")
    for step in ("acknowledged", "safety-planned"):
        done(await hospital.post("Communication", crisis(step, referred.request)))
    async with nothing_changes(world):
        refused(await hospital.post("Communication", crisis("stood-down", referred.request, "家属不同意")), 422)
    for step in ("reported", "stood-down"):
        done(await hospital.post("Communication", crisis(step, referred.request)))
