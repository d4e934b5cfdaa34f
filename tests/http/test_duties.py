"""What is owed on a referral beside its one next step: it has an owner and a limit, and never changes who must act next."""

from typing import Any

from adapters import worker
from service.referrals import duties, steps
from service.values import Id, utc_now
from tests.http.test_sweeps import later, swept
from tests.http.world import Referred, World, output


async def owed(world: World, referred: Referred, what: str, party: str, **by: float) -> dict[str, Any]:
    """Let a party owe something, as an upper room's verb would; the Task as it reads."""
    organization = world.organizations[party].split("/")[-1]
    async with world.database.transaction(worker.CLOCK.scope) as session:
        referral = Id(referred.id or "")
        async with steps.on_referral(session, worker.CLOCK, referral, session.began) as moving:
            task = duties.owe(moving, what, Id(organization), later(**(by or {"hours": 2})))
    return await world.party("platform").read(f"Task/{task.id}")


async def test_a_duty_is_a_task_of_its_owner_with_its_word_and_its_limit(world: World) -> None:
    referred = await world.refer("N05")
    _, before = await world.timeline(referred)
    duty = await owed(world, referred, "notify-later", "hospital-a")
    assert duty["code"]["coding"][0] == {
        "system": "urn:yuanshe:task-code",
        "code": "notify-later",
        "display": "补办告知",
    }
    assert duty["status"] == "accepted" and duty["restriction"]["period"]["end"]
    assert duty["owner"]["reference"] == world.organizations["hospital-a"]
    assert duty["basedOn"] == [{"reference": referred.request}]
    ward = world.party("his-a")
    for query in ("code=notify-later", f"based-on={referred.request}", f"owner={world.organizations['hospital-a']}"):
        assert [each["id"] for each in await ward.search(f"Task?{query}")] == [duty["id"]], query
    assert await ward.search("Task?code=bereavement") == []
    assert await world.party("agency-a").search("Task?code=notify-later") == []
    assert (await world.party("agency-a").get(f"Task/{duty['id']}")).status == 404
    actions, after = await world.timeline(referred)
    assert actions[-1] == "owe" and after == before, "who must act next on the referral stays the same"


async def test_its_owner_sees_to_it_and_nobody_else(world: World) -> None:
    referred = await world.refer("N05")
    duty = await owed(world, referred, "merge-review", "platform")
    refused = await world.party("his-a").put(duty, status="completed")
    assert (refused.status, refused["issue"][0]["code"]) == (403, "forbidden")
    done = await world.party("platform").put(duty, status="completed", output=[output(referred.request)])
    assert done.status == 200 and done["status"] == "completed" and "restriction" not in done
    again = await world.party("platform").put(dict(done))
    assert again.status == 200 and again["meta"]["versionId"] == done["meta"]["versionId"]
    assert (await world.party("platform").put(dict(done), status="accepted")).status == 422


async def test_a_duty_is_called_off_with_a_reason(world: World) -> None:
    referred = await world.refer("N05")
    duty = await owed(world, referred, "bereavement", "hospital-a")
    ward = world.party("his-a")
    assert (await ward.put(duty, status="cancelled")).status == 422
    assert (await ward.put(duty, status="cancelled", statusReason={"text": "家属已有支持"})).status == 200


async def test_a_duty_that_is_late_is_told_of_once_and_shows(world: World) -> None:
    referred = await world.refer("N05")
    duty = await owed(world, referred, "notify-later", "hospital-a", hours=1)
    assert await swept(world, "duties", utc_now()) == 0
    assert await swept(world, "duties", later(hours=3)) == 1
    assert await swept(world, "duties", later(hours=9)) == 0
    late = await world.party("his-a").read(f"Task/{duty['id']}")
    assert late["businessStatus"]["coding"][0]["code"] == "overdue" and late["status"] == "accepted"
    actions, _ = await world.timeline(referred)
    assert actions[-1] == "escalate"


async def test_a_duty_outlives_the_referral_and_goes_with_it_when_it_is_void(world: World) -> None:
    referred = await world.refer("N05")
    duty = await owed(world, referred, "notify-later", "hospital-a")
    ward = world.party("his-a")
    parent = await world.parent(referred)
    assert (await ward.put(parent, status="cancelled", statusReason={"text": "不再需要"})).status == 200
    assert (await ward.read(f"Task/{duty['id']}"))["status"] == "accepted"
    parent = await world.parent(referred)
    assert (await ward.put(parent, status="entered-in-error", statusReason={"text": "误录"})).status == 200
    assert (await ward.read(f"Task/{duty['id']}"))["status"] == "entered-in-error"
