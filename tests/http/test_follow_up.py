"""Follow-ups: attempts, outcomes and what they decide (contract.md, “Stays”)."""

from typing import Any

import pytest

from tests.http.loop import (
    attempt,
    discharge,
    done,
    follow_ups,
    nothing_changes,
    outcome,
    refused,
    says,
    started,
)
from tests.http.world import Referred, World, closed, output


async def planned(world: World) -> tuple[Referred, list[dict[str, Any]]]:
    """A referral in service whose person has gone home."""
    referred = await world.refer("N05")
    await started(world, referred)
    done(await discharge(world, referred))
    return referred, await follow_ups(world.party("agency-a"), referred)


# Contract.md, “Stays”, written down by hand: outcome → the Task's status, and whether the rest is called off.
OUTCOMES = {
    "stable": ("completed", False), "need-met": ("completed", False), "need-persisting": ("completed", False),
    "new-need": ("completed", False), "readmitted": ("completed", False), "ed-visit": ("completed", False), "moved": ("completed", False),
    "crisis": ("completed", False), "unreachable": ("accepted", False), "lost": ("failed", True), "declined": ("failed", True),
    "deceased": ("cancelled", True),
}  # fmt: skip


@pytest.mark.parametrize("code", OUTCOMES)
async def test_the_outcome_decides_the_status_and_what_becomes_of_the_rest(world: World, code: str) -> None:
    agency = world.party("agency-a")
    status, final = OUTCOMES[code]
    referred, made = await planned(world)
    for other in ("completed", "failed", "cancelled", "rejected", "in-progress"):
        if other != status:
            async with nothing_changes(world):
                refused(await agency.put(made[0], status=other, output=[outcome(code)]), 422)
    ended = done(await agency.put(made[0], status=status, output=[outcome(code)]))
    assert ended["status"] == status and ended["output"] == [outcome(code)]
    rest = {task["status"] for task in (await follow_ups(agency, referred)) if task["id"] != made[0]["id"]}
    assert rest == ({"cancelled"} if final else {"accepted"})
    _, step = await world.timeline(referred)
    assert step is not None and (step["what"] == "acknowledge") == (code == "crisis")
    async with nothing_changes(world):
        again = done(await agency.put(made[0], status=status, output=[outcome(code)]))
        assert again["meta"]["versionId"] == ended["meta"]["versionId"]


async def test_the_outcome_may_come_without_a_new_status(world: World) -> None:
    agency = world.party("agency-a")
    _, made = await planned(world)
    assert done(await agency.put(made[0], output=[outcome("stable")]))["status"] == "completed"


async def test_no_end_without_an_outcome_of_the_list(world: World) -> None:
    agency = world.party("agency-a")
    _, made = await planned(world)
    coded = outcome("stable")
    async with nothing_changes(world):
        refused(await agency.put(made[0], status="completed"), 422)
        refused(await agency.put(made[0], status="cancelled", statusReason=closed("deceased")), 422)
        refused(await agency.put(made[0], status="completed", output=[outcome("fine")]), 422)
        refused(
            await agency.put(made[0], status="completed", output=[{"type": coded["type"], "valueString": "stable"}]),
            422,
        )
        refused(await agency.put(made[0], status="entered-in-error"), 403)
        refused(await agency.put(made[0], restriction={"period": {"end": "2030-01-01T00:00:00Z"}}), 422)
        refused(await agency.put(made[0], if_match='W/"7"', output=[outcome("stable")]), 412)


async def test_only_the_owner_works_on_it(world: World) -> None:
    _, made = await planned(world)
    async with nothing_changes(world):
        for party, status in (("his-a", 403), ("platform", 403), ("agency-b", 404), ("his-b", 404)):
            refused(await world.party(party).put(made[0], status="completed", output=[outcome("stable")]), status)
            answer = await world.party(party).post("Communication", attempt(made[0]))
            refused(answer, status)


async def test_attempts_may_come_before_the_window_and_propose_the_next(world: World) -> None:
    agency = world.party("agency-a")
    referred, made = await planned(world)
    last = made[-1]
    told = done(await agency.post("Communication", attempt(last, reached=False)))
    assert told.status == 201
    assert (await agency.read(f"Task/{last['id']}"))["status"] == "accepted"
    assert (await agency.search(f"Communication?based-on=Task/{last['id']}"))[0]["id"] == told["id"]
    for other in ("his-a", "agency-b", "his-b"):
        assert (await world.party(other).get(f"Communication/{told['id']}")).status == 404
    actions, _ = await world.timeline(referred, "agency-a")
    assert "attempt" in actions


@pytest.mark.parametrize("changes", [
    {"status": "preparation"}, {"medium": None}, {"status": "not-done"}, {"sent": "2099-01-01T00:00:00Z"}, {"sent": "nonsense"},
    {"sent": "1024-01-01T00:00:00Z"}, {"sent": "0001-01-01T00:00:00Z"},
])  # fmt: skip
async def test_an_attempt_says_how_whether_and_why_not(world: World, changes: dict[str, Any]) -> None:
    _, made = await planned(world)
    body = {key: value for key, value in (attempt(made[0]) | changes).items() if value is not None}
    async with nothing_changes(world):
        refused(await world.party("agency-a").post("Communication", body), 422)


async def test_after_an_outcome_there_are_no_more_attempts(world: World) -> None:
    agency = world.party("agency-a")
    _, made = await planned(world)
    done(await agency.put(made[0], output=[outcome("stable")]))
    async with nothing_changes(world):
        refused(await agency.post("Communication", attempt(made[0])), 422)
        refused(await agency.put(made[0], output=[outcome("lost")]), 422)


async def test_a_failed_share_hands_its_follow_ups_to_the_hospital(world: World) -> None:
    agency = world.party("agency-a")
    referred, made = await planned(world)
    share = next(t for t in await agency.search("Task?status=in-progress"))
    done(await agency.put(share, status="failed", statusReason=closed("worker-agency-change")))
    own = await follow_ups(world.party("his-a"), referred)
    assert {task["owner"]["reference"] for task in own} == {world.organizations["hospital-a"]}
    assert (await agency.get(referred.patient)).status == 404
    async with nothing_changes(world):
        answer = await agency.put(made[0], output=[outcome("stable")])
        assert answer.status in (403, 404)
    done(await world.party("his-a").put(own[0], output=[outcome("stable")]))


async def test_its_owner_keeps_the_view_until_the_last_one_ends_while_consent_lasts(world: World) -> None:
    agency, hospital = world.party("agency-a"), world.party("his-a")
    referred, made = await planned(world)
    share = next(t for t in await agency.search("Task?status=in-progress"))
    done(await agency.put(share, status="completed", output=[output()], statusReason=closed()))
    assert (await agency.get(referred.patient)).status == 200
    consent = (await hospital.search(f"Consent?patient={referred.patient}"))[0]
    done(await hospital.put(consent, status="inactive"))
    assert (await agency.get(referred.patient)).status == 404
    kept = await agency.read(f"Task/{made[0]['id']}")
    assert kept["for"]["reference"] != referred.patient
    async with nothing_changes(world):
        refused(await agency.post("Communication", attempt(made[0])), 422)
    done(await hospital.put(await hospital.read(f"Consent/{consent['id']}"), status="active"))
    assert (await agency.get(referred.patient)).status == 200
    for task in await follow_ups(agency, referred):
        assert says(task) == "follow-up"
        done(await agency.put(task, output=[outcome("stable")]))
    assert (await agency.get(referred.patient)).status == 404
    assert (await agency.read(f"Task/{made[0]['id']}"))["status"] == "completed"


async def test_a_worker_of_ones_own_is_named(world: World) -> None:
    agency = world.party("agency-a")
    _, made = await planned(world)
    roles = await agency.search("PractitionerRole?_count=50")
    own = [r for r in roles if r["organization"]["reference"] == world.organizations["agency-a"]]
    foreign = [r for r in roles if r["organization"]["reference"] == world.organizations["agency-b"]]
    other = next(r for r in own if f"PractitionerRole/{r['id']}" != made[0]["owner"]["reference"])
    named = done(await agency.put(made[0], owner={"reference": f"PractitionerRole/{other['id']}"}))
    assert named["owner"]["reference"] == f"PractitionerRole/{other['id']}"
    async with nothing_changes(world):
        refused(await agency.put(made[1], owner={"reference": f"PractitionerRole/{foreign[0]['id']}"}), 422)
