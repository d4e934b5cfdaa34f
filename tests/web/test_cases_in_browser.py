"""The case page in a real browser: two keystrokes record an activity, Ctrl+Enter saves, and a case walks from accepted to closed."""

from typing import Any

import pytest

from service.casework.forms import FORMS
from tests.http.filing import filled
from tests.http.loop import done, procedure
from tests.http.outside import working
from tests.http.staff import share_of, workers
from tests.http.world import World
from tests.web.chromium import journey, visit

pytestmark = journey
TABS = (
    "",
    "/goals",
    "/contacts",
    "/screening",
    "/resources",
    "/documents",
    "/supervision",
    "/time",
    "/team",
    "/crisis",
)


async def mine(world: World) -> str:
    share = await share_of(world, (await workers(world))["worker-a"], "agency-a", "N05", "N03")
    return f"/cases/{share['id']}"


async def test_two_keystrokes_record_an_activity_and_ctrl_enter_saves_a_note(
    world: World, site: str, chromium: Any
) -> None:
    path = await mine(world)
    one = await visit(chromium, site)
    await one.sign_in("worker-a")
    await one.goto(path)
    page = one.page
    await page.keyboard.press("t")
    assert "armed" in (await page.locator(".quick").get_attribute("class"))
    await page.keyboard.press("3")
    await page.get_by_text("已记工时。").wait_for()
    await one.goto(f"{path}/time")
    assert "电话服务" in await page.locator("table").inner_text() and "30" in await page.locator("table").inner_text()
    # While somebody types, no key does anything but write.
    await one.goto(path)
    await page.keyboard.press("w")
    assert await page.evaluate("document.activeElement.id") == "note-text"
    await page.keyboard.type("t3 面谈一次")
    # The headings of a kind of note never take the place of what was typed.
    await page.select_option("#type", "psych-support")
    assert await page.input_value("#note-text") == "t3 面谈一次"
    await page.fill("#note-text", "")
    await page.select_option("#type", "crisis")
    assert "危险程度与依据" in await page.input_value("#note-text")
    await page.fill("#note-text", "谈了四十分钟")
    await page.fill("#minutes", "40")
    await page.focus("#note-text")
    await page.keyboard.press("Control+Enter")
    await page.get_by_text("已记录。").wait_for()
    assert "谈了四十分钟" in await page.locator(".notes").inner_text()
    # Going back and forth repeats nothing.
    await page.go_back()
    await page.go_forward()
    await one.goto(path)
    assert (await page.locator(".notes > li").count()) == 1


async def test_the_gate_names_what_is_missing_and_leads_there_without_a_mouse(
    world: World, site: str, chromium: Any
) -> None:
    path = await mine(world)
    one = await visit(chromium, site)
    await one.sign_in("worker-a")
    page = one.page
    await one.goto("/cases")
    await page.keyboard.press("j")
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"**{path}")
    await page.keyboard.press("n")
    await page.locator("#fault").wait_for()
    assert await page.evaluate("document.activeElement.id") == "fault"
    await page.keyboard.press("Tab")
    assert "接案登记表" in await page.evaluate("document.activeElement.textContent")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/forms/intake-form")
    await page.fill("#presenting", "出院后无人照顾")
    await page.keyboard.press("Control+Enter")
    await page.locator("#fault").wait_for()
    assert await page.input_value("#presenting") == "出院后无人照顾", "what was typed survives the refusal"
    one.said.clear()  # The browser complains of every page that answers 422.
    assert await one.faults() == []


async def test_a_case_that_changed_elsewhere_says_so_and_moves_nothing(world: World, site: str, chromium: Any) -> None:
    """Waits on the event: somebody else's commit is told by the service's own worker; one's own is no news."""
    path = await mine(world)
    share = await world.party("agency-a").read(f"Task/{path.rpartition('/')[2]}")
    one = await visit(chromium, site)
    await one.sign_in("worker-a")
    async with working(world.clone):
        await one.goto(path)
        await one.page.locator("html[data-live=on]").wait_for(state="attached")
        await one.page.fill("#note-text", "还没有写完")
        before = await one.page.locator("#note-text").bounding_box()
        done(await world.party("agency-a").post("Procedure", procedure(share)))
        await one.page.locator("[data-changed]", has_text="刚刚有了变化").wait_for()
        assert await one.page.locator("#note-text").bounding_box() == before
        assert await one.page.input_value("#note-text") == "还没有写完"


@pytest.mark.parametrize("size", ["desk", "phone"])
async def test_no_page_of_a_case_has_a_serious_fault(world: World, site: str, chromium: Any, size: str) -> None:
    path = await mine(world)
    share = await world.party("agency-a").read(f"Task/{path.rpartition('/')[2]}")
    await filled(world, share, "intake-form", "service-plan", "process-note", "supervision-note")
    one = await visit(chromium, site, size)
    await one.sign_in("worker-a")
    one.said.clear()
    for at in (
        "/cases",
        *(path + tab for tab in TABS),
        f"{path}/forms/needs-assessment",
        f"{path}/screening/phq-9",
        f"{path}/report",
    ):
        await one.goto(at)
        assert await one.faults() == [], at


WORDS = {
    "zh-CN": {"start": "开始服务", "gate": "还不能进入", "advance": "个案已进入新的阶段", "saved": "文书已存入个案", "sign": "签批服务计划",
              "signed": "已签批", "closed": "已结案", "sign-closure": "签批结案表", "complete": "结案"},
    "en-GB": {"start": "Start", "gate": "cannot enter", "advance": "entered another phase", "saved": "in the file", "sign": "Sign the",
              "signed": "Signed", "closed": "Case closed", "sign-closure": "Sign the", "complete": "Complete"},
}  # fmt: skip


@pytest.mark.parametrize("language", WORDS)
async def test_a_worker_and_a_supervisor_take_a_case_from_accepted_to_closed(
    world: World, site: str, chromium: Any, language: str
) -> None:
    t = WORDS[language]
    path = f"/cases/{(await world.accepted(await world.refer('N05')))['id']}"
    worker, supervisor = await visit(chromium, site, "desk", language), await visit(chromium, site, "desk", language)
    await worker.sign_in("worker-a")
    await supervisor.sign_in("supervisor-a")
    page = worker.page

    async def advance() -> None:
        await worker.goto(path)
        await page.locator(".forward button").click()
        await page.locator("[data-done]", has_text=t["advance"]).wait_for()

    async def fill(document: str, by: Any = worker) -> None:
        await by.goto(f"{path}/forms/{document}")
        for item in FORMS[f"urn:yuanshe:questionnaire:case-{document}"].items:
            if not item.required:
                continue
            field = by.page.locator(f"#{item.code}")
            if await field.evaluate("e => e.tagName") == "FIELDSET":
                await field.locator("label").first.click()
            elif item.options:
                await field.select_option(index=1)
            else:
                await field.fill("2026-11-22" if item.type == "date" else "如实填写")
        await by.page.locator("button[value=done]").click()
        await by.page.locator("[data-done]", has_text=t["saved"]).wait_for()

    async def sign(words: str) -> None:
        await supervisor.goto(f"{path}/supervision")
        await supervisor.page.get_by_role("button", name=words).first.click()
        await supervisor.page.locator("[data-done]", has_text=t["signed"]).wait_for()

    await worker.goto(path)
    await page.keyboard.press("s")
    await page.locator("[data-done]").wait_for()
    await page.locator(".forward button").click()
    await page.locator("#fault", has_text=t["gate"]).wait_for()
    for document in ("intake-form", "service-consent", "risk-screen", "needs-assessment", "problem-list"):
        await fill(document)
    await advance()
    await worker.goto(f"{path}/goals")
    await page.fill("#goal-text", "两周内安置")
    await page.select_option("#goal-type", "resolve")
    await page.fill("#measure", "入住养老机构")
    await page.keyboard.press("Control+Enter")
    await page.locator(".goal").wait_for()
    await page.fill("#review", "2027-01-10")
    await page.keyboard.press("Control+Enter")
    await page.locator("#plan a[href$=approvals]").wait_for()
    await fill("client-agreement")
    await sign(t["sign"])
    await advance()
    await worker.goto(path)
    await page.select_option("#type", "discharge-planning")
    await page.fill("#note-text", "看了两家养老院")
    await page.keyboard.press("Control+Enter")
    await page.locator(".notes > li").wait_for()
    await fill("supervision-note", supervisor)
    await advance()
    await worker.goto(f"{path}/goals")
    await page.locator(".goal summary").first.click()
    await page.locator("input[value=achieved]").first.check()
    await page.locator(".goal .act[open] button").click()
    await page.locator("[data-done]").wait_for()
    await fill("evaluation")
    await advance()
    await fill("closure-summary")
    await sign(t["sign-closure"])
    await worker.goto(path)
    await page.keyboard.press("e")
    await page.select_option("#complete-code", "goals-met")
    await page.fill("#complete-why", "目标达成")
    await page.locator("#act-complete .tick").first.click()
    await page.locator("#act-complete form > button").click()
    await page.locator("[data-done]").wait_for()
    assert "陈素芬" not in await page.locator("main").inner_text(), "the person is no longer disclosed"
    assert (await world.party("agency-a").read(f"Task/{path.rpartition('/')[2]}"))["status"] == "completed"
