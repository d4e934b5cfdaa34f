"""Dispatch and a team in a browser: crises that come and go by themselves, and days of work with the keyboard alone."""

from typing import Any

import pytest

from tests.http.loop import crisis, done
from tests.http.outside import working
from tests.http.staff import share_of, workers
from tests.http.world import World, reason
from tests.web.chromium import SIZES, Visit, journey, visit
from tests.web.test_team import barred_from, plain, to_sign

pytestmark = journey
"""What is long: `make test-all` walks it."""


async def declined_by_all(world: World) -> Any:
    """A referral that both partners have declined."""
    referred = await world.refer("N05")
    for agency in ("agency-a", "agency-b"):
        offer = await world.offer(referred, agency)
        done(await world.party(agency).put(offer, status="rejected", statusReason=reason("no-capacity")))
    return referred


async def test_the_red_bar_comes_and_goes_by_itself_once_a_person_acknowledges(
    world: World, site: str, chromium: Any
) -> None:
    nurse = await visit(chromium, site)
    await nurse.sign_in("nurse-a")
    bar = nurse.page.locator(".crisis-bar")
    async with working(world.clone):
        await nurse.page.locator("html[data-live=on]").wait_for()
        referred = await world.refer("N11")
        await bar.wait_for()
        assert "1 项危机等待确认" in await bar.inner_text() and await nurse.faults() == []
        # Somebody of the ward acknowledges it elsewhere: nothing is loaded anew here.
        done(await world.party("his-a").post("Communication", crisis("acknowledged", referred.request)))
        await bar.wait_for(state="detached")


async def test_what_comes_waits_behind_a_pill_and_no_row_moves(world: World, site: str, chromium: Any) -> None:
    first = await world.refer("N17")
    one = await visit(chromium, site)
    await one.sign_in("coordinator")
    await one.page.locator(f'[data-id="{first.id}"]').wait_for()
    async with working(world.clone):
        await one.page.locator("html[data-live=on]").wait_for()
        box = await one.page.locator(f'[data-id="{first.id}"]').bounding_box()
        second = await world.refer("N18")
        pill = one.page.locator("[data-pill]:not([hidden])")
        await pill.wait_for()
        assert "1 条新的" in await pill.inner_text() and await one.page.locator(f'[data-id="{second.id}"]').count() == 0
        assert box is not None
        await one.page.keyboard.press("u")
        await one.page.locator(f'[data-id="{second.id}"]').wait_for()
        assert await one.page.evaluate("document.activeElement.className") == "open"


@pytest.mark.parametrize(
    ("language", "words"), [("zh-CN", "已派单，机构已收到通知。"), ("en-GB", "Offered; the agency has been told.")]
)
async def test_a_coordinator_places_with_the_keyboard_alone(
    world: World, site: str, chromium: Any, language: str, words: str
) -> None:
    referred = await declined_by_all(world)
    one = await visit(chromium, site, language=language)
    await one.sign_in("coordinator")
    keys = one.page.keyboard
    await keys.press("j")
    assert await one.page.evaluate("document.activeElement.getAttribute('href')") == f"/dispatch/{referred.id}"
    await keys.press("Enter")
    await one.page.locator("#placing article").wait_for()
    await one.page.locator("[data-focus]:focus").wait_for()
    assert one.page.url.endswith(f"/dispatch/{referred.id}")
    await keys.press("2")
    assert await one.page.locator("input[name=agency]:checked").count() == 1
    await keys.press("o")
    assert await one.page.evaluate("document.activeElement.id") == "reason"
    await keys.type("Confirmed by telephone: 2 places 今天")
    assert await one.page.locator("input[name=agency]").nth(1).is_checked(), "keys are words while one types"
    await keys.press("Tab")
    await keys.press("Enter")
    await one.page.locator("[data-done]").wait_for()
    assert words in await one.page.locator("[data-done]").inner_text()
    # Going back shows the form again; nothing is done twice.
    await one.page.go_back()
    await one.page.locator("#placing article").wait_for()
    offers = [share for share in await world.shares(referred) if share["status"] == "requested"]
    assert len(offers) == 1 and one.said == []


async def test_a_coordinator_refuses_by_key_and_may_come_back_to_the_list(
    world: World, site: str, chromium: Any
) -> None:
    await world.refer("N17")
    one = await visit(chromium, site)
    await one.sign_in("coordinator")
    await one.page.keyboard.press("j")
    await one.page.keyboard.press("Enter")
    await one.page.locator("[data-focus]:focus").wait_for()
    await one.page.keyboard.press("r")
    await one.page.locator("#refuse-code:focus").wait_for()
    await one.page.go_back()
    await one.page.wait_for_url("**/dispatch")
    assert await one.page.locator("#board-list .row").count() == 1


@pytest.mark.parametrize(("language", "signed"), [("zh-CN", "已签批"), ("en-GB", "Signed")])
async def test_a_supervisor_signs_with_the_keyboard_alone(
    world: World, site: str, chromium: Any, language: str, signed: str
) -> None:
    await to_sign(world)
    one = await visit(chromium, site, language=language)
    await one.sign_in("supervisor-a")
    keys = one.page.keyboard
    await keys.press("g")
    await keys.press("t")
    await one.page.wait_for_url("**/team")
    await one.page.goto(f"{site}/team/approvals")
    await keys.press("j")
    await keys.press("Enter")
    await one.page.locator("details[open] form").first.wait_for()
    await keys.press("Tab")
    await keys.press("Tab")
    await keys.type("OK")
    await keys.press("Tab")
    await keys.press("Enter")
    await one.page.locator("[data-done]").wait_for()
    assert signed in await one.page.locator("[data-done]").inner_text()


async def looked_at(one: Visit, path: str) -> None:
    one.said.clear()
    await one.goto(path)
    assert await one.faults() == [], path


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("language", ["zh-CN", "en-GB"])
async def test_no_page_of_dispatch_or_a_team_has_a_serious_fault(
    world: World, site: str, chromium: Any, size: str, language: str
) -> None:
    if language == "en-GB" and size == "tablet":
        pytest.skip("Looked at in Chinese.")
    staff = await workers(world)
    await share_of(world, staff["worker-a"])
    await barred_from(world, staff["worker-a"], staff["worker-a2"])
    await to_sign(world)
    referred = await declined_by_all(world)
    await world.refer("N11")
    async with world.as_owner() as connection:
        await connection.execute(
            "UPDATE next_step SET reminded = 3, by = now() - interval '1 hour' WHERE what <> 'place'"
        )
        await connection.execute(
            "UPDATE agency_service SET confirmed_at = now() - interval '9 days' WHERE key = 'agency-b-msw'"
        )
    one = await visit(chromium, site, size, language)
    await one.sign_in("coordinator")
    agency = await plain(world.organizations["agency-a"])
    for path in (
        "/dispatch", f"/dispatch/{referred.id}", "/dispatch/agencies", f"/dispatch/work?agency={agency}", "/dispatch/escalations",
        "/dispatch/roster", "/crises/all",
    ):  # fmt: skip
        await looked_at(one, path)
    other = await visit(chromium, site, size, language)
    await other.sign_in("supervisor-a")
    me, colleague = await plain(staff["worker-a"]), await plain(staff["worker-a2"])
    for path in (
        "/team", f"/team/work?worker={me}", "/team/approvals", "/team/escalations", "/team/files", "/team/files?show=broken",
        "/team/files?show=reviews", "/team/hand-over", "/team/roster",
    ):  # fmt: skip
        await looked_at(other, path)
    await other.goto("/team/hand-over")
    for field, value in (("absent", me), ("colleague", colleague), ("reason", "leave")):
        await other.page.select_option(f"#{field}", value)
    await other.page.locator(".asking .btn").click()
    await other.page.locator(".preview").wait_for()
    assert await other.faults() == [] and "leave" not in other.page.url
