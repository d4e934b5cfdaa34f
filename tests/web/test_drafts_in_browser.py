"""What is typed outlives the session, in its tab and for its account alone; and what is shown of people does not outlive it."""

from typing import Any

from tests.http.world import World
from tests.web.chromium import Visit, journey, visit

pytestmark = journey
FORM = """
new MutationObserver((_, watching) => {
  const token = document.querySelector("header [name=token]"), main = document.querySelector("main");
  if (!token || !main || location.pathname !== "/me") return;
  watching.disconnect();
  const form = Object.assign(document.createElement("form"), { id: "tried", method: "post", action: "/language" });
  form.dataset.draft = "tried";
  form.innerHTML = `<input type="hidden" name="token" value="${token.value}"><input type="hidden" name="next" value="/me">
    <label>x <textarea name="note"></textarea></label><label><input type="checkbox" name="sure" value="1"> y</label>
    <label>z <input type="password" name="word"></label><button name="language" value="zh" id="send">send</button>`;
  main.append(form);
}).observe(document, { childList: true, subtree: true });
"""
KEPT = "Object.keys(sessionStorage).filter((name) => name.startsWith('yuanshe-draft:')).map((name) => sessionStorage[name])"


async def with_a_form(one: Visit) -> None:
    """The page has a form whose text is kept, as each room's own forms ask for it, before the page's scripts run."""
    await one.page.add_init_script(FORM)


async def write(one: Visit) -> None:
    await one.page.fill("[name=note]", "她下午来过")
    await one.page.check("[name=sure]")
    await one.page.fill("[name=word]", "secret")


async def typed(one: Visit) -> tuple[str, bool]:
    await one.page.locator("#tried").wait_for()
    return await one.page.input_value("[name=note]"), await one.page.is_checked("[name=sure]")


async def test_what_was_typed_comes_back_after_signing_in_again(world: World, site: str, chromium: Any) -> None:
    one = await visit(chromium, site)
    await with_a_form(one)
    await one.sign_in("nurse-a")
    await one.goto("/me")
    await write(one)
    kept = await one.page.evaluate(KEPT)
    assert len(kept) == 1 and "她下午来过" in kept[0] and "secret" not in kept[0]
    async with world.as_owner() as owner:
        await owner.execute("UPDATE web_session SET seen_at = seen_at - interval '31 minutes'")
    await one.page.click("#send")
    await one.page.wait_for_url("**/sign-in?next=/me&ended=form")
    assert "没有保存" in await one.page.locator(".notice").inner_text()
    await one.page.click("button[value=nurse-a]")
    await one.page.wait_for_url(f"{site}/me")
    assert await typed(one) == ("她下午来过", True)
    assert "恢复" in await one.page.locator(".draft-back").inner_text()
    assert await one.page.input_value("[name=word]") == ""
    await one.page.reload()
    assert await typed(one) == ("她下午来过", True)
    async with one.page.expect_navigation():
        await one.page.click("#send")
    assert await typed(one) == ("", False)
    assert await one.page.evaluate(KEPT) == [], "taken: nothing of it is kept"


async def test_what_was_sent_from_within_a_field_and_pressed_twice_does_not_come_back(
    world: World, site: str, chromium: Any
) -> None:
    one = await visit(chromium, site)
    await with_a_form(one)
    await one.sign_in("nurse-a")
    await one.goto("/me")
    await write(one)
    async with one.page.expect_navigation():
        await one.page.evaluate(
            "() => { const form = document.getElementById('tried'), by = document.getElementById('send');"
            " form.requestSubmit(by); form.requestSubmit(by); }"
        )
    assert await typed(one) == ("", False)
    assert await one.page.evaluate(KEPT) == []


async def test_nothing_typed_is_there_for_the_next_person(world: World, site: str, chromium: Any) -> None:
    one = await visit(chromium, site)
    await with_a_form(one)
    await one.sign_in("nurse-a")
    await one.goto("/me")
    await write(one)
    await one.page.click("form[action='/sign-out'] button")
    await one.page.wait_for_url(f"{site}/sign-in")
    assert await one.page.evaluate(KEPT) == []
    await one.sign_in("nurse-a")
    await one.goto("/me")
    assert await typed(one) == ("", False)
    await write(one)
    await one.page.context.clear_cookies()
    await one.page.goto(f"{site}/me")
    await one.page.click("button[value=worker-a]")
    await one.page.wait_for_url(f"{site}/me")
    assert await typed(one) == ("", False)
    assert await one.page.evaluate(KEPT) == []


async def test_an_ended_session_leaves_nobodys_data_on_the_screen(world: World, site: str, chromium: Any) -> None:
    await world.refer("N05")
    one = await visit(chromium, site)
    await with_a_form(one)
    await one.page.clock.install()
    await one.sign_in("nurse-a")
    await one.goto("/me")
    await write(one)
    await one.page.clock.fast_forward("31:00")
    await one.page.wait_for_url("**/sign-in?ended=1&next=%2Fme")
    await one.page.click("button[value=nurse-a]")
    await one.page.wait_for_url(f"{site}/me")
    assert await typed(one) == ("她下午来过", True)
    assert one.said == []
