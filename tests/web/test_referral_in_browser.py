"""A referral in a real browser: by keyboard alone, at once in two browsers, what happens elsewhere, and no fault by axe on any side's page."""

import asyncio
import re
from typing import Any

import pytest

from tests.http.loop import crisis, done
from tests.http.world import World, reason
from tests.web.chromium import SIZES, journey, visit

pytestmark = journey


async def busy(world: World) -> dict[str, str]:
    """A referral of each kind that a page draws otherwise: offered, asked about, waiting for consent, in a crisis, with nobody, ended."""
    agency, hospital = world.party("agency-a"), world.party("his-a")
    offered, asked, waiting, up, nobody, ended = [
        await world.refer(*needs) for needs in (("N05", "N01"), ("N03",), ("N05",), ("N13",), ("N17",), ("N05",))
    ]
    share = await world.offer(asked)
    said = {
        "resourceType": "Communication", "status": "completed", "about": [{"reference": f"Task/{share['id']}"}],
        "category": [{"coding": [{"system": "urn:yuanshe:message", "code": "question"}]}], "payload": [{"contentString": "家里有电梯吗？"}],
    }  # fmt: skip
    assert (await agency.post("Communication", said)).status == 201
    await world.accepted(waiting, consent=False)
    await hospital.post("Communication", crisis("raised", up.request, "身上有新伤"))
    done(await agency.put(await world.offer(ended), status="rejected", statusReason=reason("no-capacity", "名额已满")))
    names = ("offered", "asked", "waiting", "up", "nobody", "ended")
    return {name: str(each.id) for name, each in zip(names, (offered, asked, waiting, up, nobody, ended), strict=True)}


@pytest.mark.parametrize("language", ["zh-CN", "en-GB"])
@pytest.mark.parametrize("size", ["desk", "phone"])
async def test_no_page_of_any_side_has_a_serious_fault(
    world: World, site: str, chromium: Any, size: str, language: str
) -> None:
    made = await busy(world)
    for login, pages in (("nurse-a", ("asked", "waiting", "up", "ended")), ("worker-a", ("offered", "waiting")), ("coordinator", ("nobody",))):  # fmt: skip
        one = await visit(chromium, site, size, language)
        await one.sign_in(login)
        await one.page.wait_for_load_state()
        one.said.clear()  # What the first page of the day says of itself is its own tests' to look at.
        if login == "nurse-a":
            await one.goto("/referrals")
            assert await one.faults() == [], "the list"
        for name in pages:
            await one.goto(f"/referrals/{made[name]}")
            assert await one.faults() == [], f"{login}: {name}"
            # With every form open that can be: their fields have labels and colours, too.
            await one.page.evaluate("document.querySelectorAll('details.act').forEach((one) => { one.removeAttribute('name'); one.open = true; })")  # fmt: skip
            assert await one.faults() == [], f"{login}: {name}, with its forms open"
        await one.context.close()
    assert {"desk", "phone"} <= SIZES.keys()


async def test_a_worker_accepts_by_keyboard_and_takes_it_back(world: World, site: str, chromium: Any) -> None:
    referred = await world.refer("N05")
    one = await visit(chromium, site)
    await one.sign_in("worker-a")
    one.said.clear()
    await one.goto(f"/referrals/{referred.id}")
    keys = one.page.keyboard
    await keys.press("?")
    await one.page.locator("#keys[open]").wait_for()
    assert {"接单", "退单", "追问"} <= set(await one.page.locator("#keys dd").all_inner_texts())
    await keys.press("Escape")
    await keys.press("a")
    await one.page.locator("details[open] select[name=worker]:focus").wait_for()
    await keys.press("Tab")
    assert await one.page.evaluate("document.activeElement.textContent.trim()") == "确定：接单"
    async with one.page.expect_navigation():
        await keys.press("Enter")
    await one.page.get_by_text("已接单。").wait_for()
    await one.page.get_by_role("link", name="撤销：退回").click()
    await one.page.locator("select[id^=return-]:visible").select_option("no-capacity")
    await one.page.locator("textarea[id^=return-]:visible").fill("接错了")
    async with one.page.expect_navigation():
        await one.page.get_by_role("button", name="确定：退回").click()
    await one.page.get_by_text("已退回").first.wait_for()
    assert one.said == []


async def test_news_are_told_politely_and_move_nothing_until_asked(
    world: World, site: str, chromium: Any, worker: None
) -> None:
    """Who reads keeps their place: the sentence follows, the rest waits for a press, and what is being typed stays."""
    referred = await world.refer("N05")
    nurse = await visit(chromium, site)
    await nurse.sign_in("nurse-a")
    await nurse.goto(f"/referrals/{referred.id}")
    await nurse.page.locator("html[data-live=on]").wait_for()
    await nurse.page.locator("summary", has_text="撤回转介").click()
    typed = nurse.page.locator("textarea[id=withdraw-text]")
    await typed.fill("家属说不需要")
    await nurse.page.evaluate(
        "new PerformanceObserver((list) => { for (const e of list.getEntries()) if (!e.hadRecentInput) window.moved = (window.moved || 0) + e.value; })"
        ".observe({ type: 'layout-shift', buffered: false })"
    )
    assert (await world.party("agency-a").put(await world.offer(referred), status="accepted")).status == 200
    await nurse.page.locator(".hero", has_text="取得同意").wait_for()
    status = nurse.page.locator("[data-fresh]")
    await status.get_by_text("有 1 条新记录").wait_for()
    assert await status.get_attribute("role") == "status"
    assert await typed.input_value() == "家属说不需要" and await nurse.page.evaluate("window.moved || 0") < 0.01
    assert not await nurse.page.locator(".story .new").count()
    await status.get_by_role("button").click()
    await nurse.page.locator(".story .new", has_text="接单").wait_for()
    assert await typed.input_value() == "家属说不需要", "a form in use is left alone"
    # An agency was quicker: what is sent now is a request to it, and the page says so.
    async with nurse.page.expect_navigation():
        await nurse.page.get_by_role("button", name="确定：撤回转介").click()
    assert (
        await nurse.page.get_by_text("等待机构确认").first.is_visible()
        or await nurse.page.locator("#fault").is_visible()
    )


async def test_the_list_counts_what_changed_and_leaves_its_rows_where_they_are(
    world: World, site: str, chromium: Any, worker: None
) -> None:
    await world.refer("N05")
    nurse = await visit(chromium, site)
    await nurse.sign_in("nurse-a")
    await nurse.goto("/referrals")
    await nurse.page.locator("html[data-live=on]").wait_for()
    assert await nurse.page.locator(".row").count() == 1
    await world.refer("N03")
    await nurse.page.locator("[data-pill] a", has_text=re.compile(r"有 \d 条更新")).wait_for()
    assert await nurse.page.locator(".row").count() == 1
    async with nurse.page.expect_navigation():
        await nurse.page.locator("[data-pill] a").click()
    await nurse.page.locator(".row").nth(1).wait_for()
    await nurse.page.keyboard.press("/")
    await nurse.page.keyboard.type("情绪")
    async with nurse.page.expect_navigation():
        await nurse.page.keyboard.press("Enter")
    assert await nurse.page.locator(".row").count() == 1 and nurse.page.url.endswith("/referrals")
    assert nurse.said == []


async def test_two_browsers_race_for_one_offer_and_the_slower_one_sees_who_was_first(
    world: World, site: str, chromium: Any
) -> None:
    referred = await world.refer("N05")
    one, two = [await visit(chromium, site) for _ in range(2)]
    for each, login in ((one, "worker-a"), (two, "worker-a2")):
        await each.sign_in(login)
        await each.goto(f"/referrals/{referred.id}")
        await each.page.locator("summary", has_text="退单" if each is two else "接单").click()
    await two.page.locator("select[id^=decline-]").select_option("no-capacity")
    await two.page.locator("textarea[id^=decline-]").fill("这周排满了")

    async def press(each: Any, name: str) -> None:
        async with each.page.expect_navigation():
            await each.page.get_by_role("button", name=name).click()

    await asyncio.gather(press(one, "确定：接单"), press(two, "确定：退单"))
    faults = [each for each in (one, two) if await each.page.locator("#fault").count()]
    assert len(faults) == 1, "one was first, the other is told"
    late = faults[0].page
    assert await late.locator(".meanwhile li").count() >= 1
    assert await late.evaluate("document.activeElement.id") == "fault", "the summary is read out"


async def test_the_back_button_after_an_act_repeats_nothing(world: World, site: str, chromium: Any) -> None:
    referred = await world.refer("N05")
    one = await visit(chromium, site)
    await one.sign_in("worker-a")
    await one.goto(f"/referrals/{referred.id}")
    await one.page.locator("summary", has_text="追问").click()
    await one.page.locator("textarea[id^=ask-]").fill("家里有人照顾吗？")
    async with one.page.expect_navigation():
        await one.page.get_by_role("button", name="确定：追问").click()
    await one.page.go_back()
    await one.page.go_forward()
    await one.page.reload()
    assert await one.page.locator(".story .text", has_text="家里有人照顾吗？").count() == 1


JOURNEY = {
    "zh-CN": ("答复", "记录同意", "确定：记录同意", "同意已记录", "请求撤回", "确定：请求撤回", "已请求撤回", "已说明"),
    "en-GB": ("Answer", "Record a consent", "Confirm: Record a consent", "Consent recorded", "Request cancellation", "Confirm: Request cancellation",
              "Cancellation requested", "I explained"),
}  # fmt: skip


@pytest.mark.parametrize("size", ["desk", "phone"])
@pytest.mark.parametrize("language", JOURNEY)
async def test_a_nurse_answers_records_a_consent_and_takes_it_back(world: World, site: str, chromium: Any, language: str, size: str) -> None:  # fmt: skip
    """A ward's morning: what waits for us, a question answered, a consent written down at the bedside, and a change of mind."""
    answer, consent, record, recorded, cancel, confirm, requested, explained = JOURNEY[language]
    made = await busy(world)
    one = await visit(chromium, site, size, language)
    await one.sign_in("nurse-a")
    await one.goto("/referrals?folder=mine")
    assert await one.page.locator(".row").count() == 3
    await one.page.locator(f"a[href='/referrals/{made['asked']}']").click()
    await one.page.locator(".asked textarea").fill("住三楼，没有电梯")
    async with one.page.expect_navigation():
        await one.page.locator(".asked").get_by_role("button", name=answer, exact=True).click()
    await one.page.locator(".story .text", has_text="住三楼").wait_for()
    await one.goto(f"/referrals/{made['waiting']}")
    await one.page.locator("summary", has_text=consent).click()
    await one.page.locator("input[name=signer][value=guardian]").check()
    await one.page.locator("#consent-guardian").fill("陈大力")
    await one.page.locator("input[name=how][value=spoken]").check()
    await one.page.locator("#consent-witness").fill("王医生")
    await one.page.get_by_label(explained).check()
    async with one.page.expect_navigation():
        await one.page.get_by_role("button", name=record).click()
    await one.page.get_by_text(recorded).wait_for()
    await one.page.locator("summary", has_text=cancel).click()
    await one.page.locator("#request-cancel-text").fill("家属改变主意")
    async with one.page.expect_navigation():
        await one.page.get_by_role("button", name=confirm).click()
    await one.page.get_by_text(requested).first.wait_for()
    assert await one.faults() == []
