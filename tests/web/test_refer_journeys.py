"""Referring as a nurse does it: the common case in a few keys, without a mouse, without a script, once; going back, and a session that ends."""

from typing import Any

from tests.http.world import World
from tests.web.chromium import Visit, journey
from tests.web.test_refer_in_browser import nurse

pytestmark = journey


async def keys(one: Visit, *pressed: str) -> None:
    for key in pressed:
        await one.page.keyboard.press(key)


async def test_the_common_case_is_a_number_a_need_a_word_on_consent_and_one_press(
    world: World, site: str, chromium: Any
) -> None:
    """Somebody whom the hospital knows: counted in what a person does, not in seconds."""
    await world.refer("N01", mrn="ZY-400")
    one = await nurse(chromium, site)
    page, done = one.page, 0
    assert await page.evaluate("document.activeElement.id") == "number", "one begins to type at once"
    await page.keyboard.type("ZY-400")
    await keys(one, "Enter")
    done += 2
    await page.locator(".found-name", has_text="陈素芬").wait_for()
    # The need by a word of the ward's own; Enter takes the first card.
    await page.locator("[data-need-filter]").focus()
    await page.keyboard.type("没有合适的地方")
    await keys(one, "Enter")
    done += 3
    await page.locator("#ranking .gets").first.wait_for()
    await page.check("input[name=consent][value=later]")
    await keys(one, "Control+Enter")
    done += 2
    await page.wait_for_url("**/refer/sent/*")
    assert done <= 8, "seven acts: two pieces of typing, a choice, and keys"
    assert "接单或退单" in await page.locator(".sentence").inner_text()
    await keys(one, "n")
    await page.wait_for_url("**/refer")
    assert await page.evaluate("document.activeElement.id") == "number", "and the next one"


async def test_everything_is_done_without_a_mouse(world: World, site: str, chromium: Any) -> None:
    await world.refer("N01", mrn="ZY-401")
    one = await nurse(chromium, site, language="en-GB")
    page = one.page
    await page.keyboard.type("ZY-401")
    await keys(one, "Enter")
    await page.locator(".found-name", has_text="陈素芬").wait_for()
    agency = world.organizations["agency-a"].split("/")[1]

    async def until(where: str) -> None:
        for _ in range(80):
            await keys(one, "Tab")
            if await page.evaluate(f"document.activeElement.matches('{where}')"):
                return
        raise AssertionError(f"no way to {where} by Tab")

    await until("input[name=need][value=N05]")
    await keys(one, "Space")
    await until("#reason")
    await page.keyboard.type("No lift at home")
    await until("input[name=consent]")
    await keys(one, "Space")
    await until("#agree_refer")
    await keys(one, "Space")
    await until("#agree_identity")
    await keys(one, "Space")
    await until(f'input[name=agency][value="{agency}"]')
    await keys(one, "Space")
    await until(".send .btn-primary")
    await page.locator("#ranking .gets").first.wait_for()
    await keys(one, "Enter")
    await page.wait_for_url("**/refer/sent/*")
    kept = await world.party("his-a").search("Consent")
    assert len(kept) == 2, "two ticks, two consents"


async def test_going_back_shows_what_was_sent_and_sends_nothing_again(world: World, site: str, chromium: Any) -> None:
    one = await nurse(chromium, site)
    page = one.page
    await page.fill("#number", "ZY-402")
    await keys(one, "Enter")
    await page.locator("#person .notice").wait_for()
    await page.fill("#name", "王桂兰")
    await page.check("input[value=N05]")
    await page.locator("#saved", has_text="草稿已保存").wait_for()
    await page.wait_for_url("**/refer?draft=*")
    await page.reload()
    assert await page.input_value("#name") == "王桂兰", "loading again finds what was typed"
    await page.check("input[name=consent][value=later]")
    await page.locator(".send .btn-primary").dblclick()
    await page.wait_for_url("**/refer/sent/*")
    sent = page.url.partition("?")[0]
    await page.go_back()
    await page.locator("h1").wait_for()
    if "/refer/sent/" not in page.url:
        await page.locator(".send .btn-primary").click()
        await page.wait_for_url("**/refer/sent/*")
    assert page.url.partition("?")[0] == sent
    placed = [each for each in await world.party("his-a").search("ServiceRequest") if each["intent"] == "order"]
    assert len(placed) == 1


async def test_a_session_that_ends_amid_the_form_loses_nothing(world: World, site: str, chromium: Any) -> None:
    one = await nurse(chromium, site)
    page = one.page
    await page.fill("#number", "ZY-403")
    await keys(one, "Enter")
    await page.locator("#person .notice").wait_for()
    await page.fill("#name", "王桂兰")
    await page.wait_for_url("**/refer?draft=*")
    async with world.as_owner() as owner:
        await owner.execute("DELETE FROM web_session")
    await page.fill("#reason", "家里没有人照顾")
    await page.wait_for_url("**/sign-in?**")
    await page.click("button[value=nurse-a]")
    await page.wait_for_url("**/refer?draft=*")
    assert await page.input_value("#name") == "王桂兰"
    assert await page.input_value("#reason") == "家里没有人照顾", "even what was typed after it had ended"


async def test_the_form_is_sent_without_any_script(world: World, site: str, chromium: Any) -> None:
    await world.refer("N01", mrn="ZY-404")
    context = await chromium.new_context(locale="zh-CN", java_script_enabled=False)
    one = Visit(await context.new_page(), site)
    await one.sign_in("nurse-a")
    await one.goto("/refer")
    page = one.page
    await page.fill("#number", "ZY-404")
    await page.locator("#who").get_by_role("button", name="查找").click()
    await page.locator(".found-name", has_text="陈素芬").wait_for()
    await page.check("input[value=N05]")
    await page.check("input[name=consent][value=later]")
    await page.get_by_role("button", name="保存草稿，看谁会收到").click()
    await page.locator("#ranking .gets").first.wait_for()
    await page.locator(".send .btn-primary").click()
    await page.wait_for_url("**/refer/sent/*")
