"""A volunteer's page: whom they visit, where, when, and whom they ask; nothing else of anybody."""

from service.access import flow as access
from service.access.model import NewAccount, operator
from service.values import Id, utc_now
from tests.http.test_disclosing import KNOWN, agreed, at_work, visit
from tests.http.world import World
from tests.web.conftest import Browser

PASSWORD = "a long password of theirs"


async def signed_in(world: World, browser) -> tuple[Browser, str]:
    """A volunteer of agency-a at their browser, and the id of their account."""
    agency = Id(world.organizations["agency-a"].split("/")[1])
    async with world.database.transaction(operator().scope) as session:
        made = await access.add_account(
            session, operator(), NewAccount("volunteer-a", "volunteer", agency, "志愿者甲"), PASSWORD, utc_now()
        )  # fmt: skip
    someone: Browser = await browser()
    await someone.get("/sign-in")
    await someone.post("/sign-in", {"login": "volunteer-a", "password": PASSWORD})
    return someone, str(made.id)


async def test_a_volunteer_reads_what_a_visit_needs_and_nothing_else(world: World, browser) -> None:
    someone, id = await signed_in(world, browser)
    assert someone.page.status_code == 200 and "目前没有安排给您的探访" in someone.page.text
    referred, share = await at_work(world, patient=KNOWN)
    await agreed(world, referred)
    made = await world.party("agency-a").post(f"Task/{share['id']}/$volunteer", visit(id))
    assert made.status == 201, made
    text = (await someone.get("/visits")).text
    assert "素芬" in text and "示例街道 1 号" in text and "后天" in text and "社工：" in text
    for secret in ("陈素芬", "13800000001", "1952", str(referred.id), "出院"):
        assert secret not in text
    assert (await someone.get(f"/referrals/{referred.id}")).status_code in (403, 404)
    assert (await someone.get("/reports")).status_code == 403


async def test_nobody_elses_page(world: World, browser) -> None:
    worker: Browser = await browser("worker-a")
    assert (await worker.get("/visits")).status_code == 403
