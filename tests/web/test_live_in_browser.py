"""What happens elsewhere reaches every open tab, over one stream of the browser, and whoever lost the stream is told."""

from typing import Any

from tests.http.outside import working
from tests.http.world import World
from tests.web.chromium import needs_browser, visit

pytestmark = needs_browser

COUNT = "() => { window.heard = 0; document.addEventListener('news', () => { window.heard += 1; document.body.dataset.heard = window.heard; }); }"  # fmt: skip


async def test_one_stream_serves_all_tabs_and_another_tab_goes_on_when_one_is_closed(
    world: World, site: str, chromium: Any
) -> None:
    one = await visit(chromium, site)
    streams: list[str] = []
    one.context.on("request", lambda request: streams.append(request.url) if request.url.endswith("/events") else None)
    await one.sign_in("worker-a")
    await one.page.locator("html[data-live=on]").wait_for()
    await one.page.evaluate(COUNT)
    second = await one.context.new_page()
    await second.goto(f"{site}/reports")
    await second.locator("html[data-live=on]").wait_for()
    await second.evaluate(COUNT)
    before = len(streams)
    async with working(world.clone):
        await world.refer("N05")
        await one.page.locator("body[data-heard]").wait_for(state="attached")
        await second.locator("body[data-heard]").wait_for(state="attached")
        assert len(streams) == before, "the second tab opens no stream of its own"
        await one.page.close()
        async with second.expect_event("request", lambda request: request.url.endswith("/events")):
            pass
        heard = await second.evaluate("window.heard")
        await second.locator("html[data-live=on]").wait_for()
        await world.refer("N05")
        await second.locator(f"body[data-heard='{heard + 1}']").wait_for(state="attached")


async def test_keys_are_listed_where_one_asks_for_them_and_lead_to_pages(
    world: World, site: str, chromium: Any
) -> None:
    one = await visit(chromium, site)
    await one.sign_in("worker-a")
    await one.page.keyboard.press("?")
    listed = await one.page.locator("#keys").inner_text()
    assert "报表" in listed and "按键" in listed
    assert await one.faults() == []
    await one.page.keyboard.press("Escape")
    await one.page.keyboard.press("g")
    await one.page.keyboard.press("b")
    await one.page.wait_for_url("**/reports")


async def test_a_form_is_sent_once_however_often_one_presses(world: World, site: str, chromium: Any) -> None:
    one = await visit(chromium, site)
    await one.sign_in("nurse-a")
    sent: list[str] = []
    one.page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    async with one.page.expect_navigation():
        await one.page.evaluate(
            "() => { const form = document.querySelector('.language'); form.requestSubmit(); form.requestSubmit(); }"
        )
    assert len(sent) == 1
