"""The first page: what is open, whose turn it is and until when, and of the person no more than the reader may know."""

from tests.http.loop import crisis
from tests.http.world import BASE, World, reason
from tests.web.conftest import Browser


async def test_every_side_reads_the_same_next_step_of_a_referral(world: World, browser) -> None:
    await world.refer("N05")
    nurse: Browser = await browser("nurse-a")
    worker: Browser = await browser("worker-a")
    assert "等待「同行社会工作服务中心」接单或退单" in nurse.page.text
    assert "轮到「同行社会工作服务中心」接单或退单" in worker.page.text


async def test_an_agency_reads_no_name_before_it_is_disclosed(world: World, browser) -> None:
    referred = await world.refer("N05")
    name = next(
        e["resource"]["name"][0]["text"] for e in referred.bundle["entry"] if e["resource"]["resourceType"] == "Patient"
    )
    nurse: Browser = await browser("nurse-a")
    worker: Browser = await browser("worker-a")
    assert name in nurse.page.text
    assert name not in worker.page.text and "身份未开放" in worker.page.text
    one = await worker.get(f"/referrals/{referred.id}")
    assert one.status_code == 200 and name not in one.text and "派单" in one.text


async def test_of_a_safety_need_a_page_says_no_more_than_the_offer_until_it_is_disclosed(world: World, browser) -> None:
    """An offer, an accepted share that waits for consent, and one that is over: safety, county, minor, adult or elder."""
    agency = world.party("agency-a")
    referred = await world.refer("N13")
    worker: Browser = await browser("worker-a")

    async def pages() -> str:
        return (await worker.get("/today")).text + (await worker.get(f"/referrals/{referred.id}")).text

    said = await pages()
    assert "虐待" not in said and "安全" in said and "七星关区" in said
    share = await world.accepted(referred, consent=False)
    assert "虐待" not in await pages()
    await world.consent(referred, "agency-a")
    assert "虐待" in await pages(), "whom it knows it knows the need of"
    other = await world.refer("N13")
    over = await agency.put(await world.offer(other), status="rejected", statusReason=reason("no-capacity"))
    assert over.status == 200 and share["status"] == "accepted"
    ended = await worker.get(f"/referrals/{other.id}")
    assert ended.status_code == 200 and "虐待" not in ended.text


async def test_what_is_not_ones_own_does_not_exist(world: World, browser) -> None:
    referred = await world.refer("N05")
    other: Browser = await browser("worker-b")
    assert (await other.get(f"/referrals/{referred.id}")).status_code == 404
    assert (await other.get("/referrals/0190a000-0000-7000-8000-000000000009")).status_code == 404
    assert "队列" in (await other.get("/today")).text and "没有待办" in other.page.text


async def test_what_nobody_can_take_is_the_coordinators(world: World, browser) -> None:
    await world.refer("N17")
    coordinator: Browser = await browser("coordinator")
    assert "派单或不受理" in coordinator.page.text and "轮到" in coordinator.page.text


async def test_a_crisis_stands_first_and_says_so_in_words(world: World, browser) -> None:
    await world.refer("N05")
    referred = await world.refer("N03")
    await world.party("his-a").post("Communication", crisis("raised", referred.request, "有自伤表达"))
    nurse: Browser = await browser("nurse-a")
    first = nurse.page.text.index("危机：")
    assert first < nurse.page.text.index("接单或退单") and "确认危机" in nurse.page.text
    assert "有自伤表达" not in nurse.page.text
    one = await nurse.get(f"/referrals/{referred.id}")
    assert "上报危机" in one.text


async def test_an_auditor_reads_no_referrals(world: World, browser) -> None:
    referred = await world.refer("N05")
    bureau: Browser = await browser("bureau")
    assert str(bureau.page.url).endswith("/audit")
    assert (await bureau.get("/referrals")).status_code == 200 and str(referred.id) not in bureau.page.text
    assert (await bureau.get(f"/referrals/{referred.id}")).status_code == 404


async def test_what_is_looked_at_is_in_the_audit(world: World, browser) -> None:
    referred = await world.refer("N05")
    nurse: Browser = await browser("nurse-a")
    await nurse.get(f"/referrals/{referred.id}")
    async with world.as_owner() as owner:
        lines = await owner.fetch("SELECT interaction, actor_kind, cardinality(patients) AS patients FROM audit WHERE interaction LIKE 'page-%' ORDER BY at")  # fmt: skip
    assert [(line["interaction"], line["actor_kind"]) for line in lines] == [("page-referrals", "person"), ("page-referral", "person")]  # fmt: skip
    assert all(line["patients"] for line in lines)


async def test_pages_load_nothing_from_elsewhere_and_run_nothing_inline(world: World, browser) -> None:
    await world.refer("N05")
    nurse: Browser = await browser("nurse-a")
    policy = nurse.page.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
    assert "<style" not in nurse.page.text and "style=" not in nurse.page.text and "onclick" not in nurse.page.text
    for part in nurse.page.text.split('="/static/')[1:]:
        file = await nurse._http.get(f"{BASE}/static/{part.split(chr(34))[0]}")
        assert file.status_code == 200 and "immutable" in file.headers["cache-control"], part[:40]
