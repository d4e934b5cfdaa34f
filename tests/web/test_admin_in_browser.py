"""An administrator and an auditor at work in a real browser: with the keyboard alone, in both languages, at a desk and on a phone."""

from pathlib import Path
from typing import Any

import pytest

from service.routing import rehearsal_flow
from tests.hl7v2.test_inbox import CONFIG, RIGHT_NUMBER, WRONG_NUMBER
from tests.hl7v2.ward import adt, patient, ward
from tests.http.world import World
from tests.web.chromium import Visit, journey, serving, visit
from tests.web.test_admin_pages import chained
from tests.web.test_admin_routing import partnership, proposal

pytestmark = journey
PATHS = (
    "/admin", "/admin/organizations", "/admin/organizations/add", "/admin/partnerships", "/admin/partnerships/add", "/admin/services",
    "/admin/services/add", "/admin/workers", "/admin/workers/add", "/admin/accounts", "/admin/accounts/add", "/admin/clients", "/admin/clients/add",
    "/admin/subscriptions", "/admin/hl7", "/admin/routing", "/audit", "/audit/chain",
)  # fmt: skip


async def walk(one: Visit, count: int, stop: str) -> None:
    """Press Tab until the element of this selector has the focus."""
    for _ in range(count):
        if await one.page.evaluate("(stop) => document.activeElement.matches(stop)", stop):
            return
        await one.page.keyboard.press("Tab")
    raise AssertionError(f"{stop} is not reached by the keyboard")


@pytest.mark.parametrize("language", ["zh-CN", "en-GB"])
@pytest.mark.parametrize("size", ["desk", "phone"])
async def test_no_page_of_the_administrator_has_a_serious_fault(world: World, chromium: Any, tmp_path: Path, size: str, language: str) -> None:  # fmt: skip
    file = tmp_path / "hl7.toml"
    file.write_text(CONFIG)
    async with ward(world) as his:
        await his.send(adt("A01", "1", pid=WRONG_NUMBER))
    await world.refer("N05")
    async with world.as_owner() as owner:
        await owner.execute("UPDATE agency_service SET confirmed_at = now() - interval '8 days'")
    await chained(world)
    rule = await partnership(world)
    async with serving(world, tmp_path, hl7=file) as site:
        admin = await visit(chromium, site, size, language)
        await admin.sign_in("admin")
        for path in (*PATHS, f"/admin/routing/{rule}", f"/admin/routing/{rule}/try?{proposal(rank='5')}"):
            await admin.goto(path)
            assert await admin.faults() == [], path
        for path in ("/admin/organizations", "/admin/services", "/admin/workers", "/admin/partnerships", "/admin/accounts", "/admin/clients", "/admin/hl7", "/audit"):  # fmt: skip
            await admin.goto(path)
            await admin.page.locator("[data-rows] .open").first.click()
            await admin.page.wait_for_url(lambda url, path=path: not url.endswith(path))
            assert await admin.faults() == [], f"one of {path}"
        worker = await visit(chromium, site, size, language)
        await worker.sign_in("worker-a")
        await worker.goto("/capacity")
        assert await worker.faults() == []


@pytest.mark.parametrize("language", ["zh-CN", "en-GB"])
async def test_an_administrator_mends_a_message_with_the_keyboard_alone(world: World, chromium: Any, tmp_path: Path, language: str) -> None:  # fmt: skip
    file = tmp_path / "hl7.toml"
    file.write_text(CONFIG)
    async with ward(world) as his:
        await his.send(adt("A01", "1", pid=WRONG_NUMBER))
    async with serving(world, tmp_path, hl7=file) as site:
        one = await visit(chromium, site, language=language)
        await one.sign_in("admin")
        await one.goto("/admin")
        page = one.page
        await page.keyboard.press("j")
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/admin/hl7")
        await page.keyboard.press("j")
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/admin/hl7/*")
        assert "110105194912310021" not in await page.content()
        await walk(one, 60, "#reason")
        await page.keyboard.type("核对证件号码")
        await page.keyboard.press("Enter")
        await page.locator("#text").wait_for()
        assert WRONG_NUMBER in await page.locator("#text").input_value()
        assert "reason" not in page.url and "110105" not in page.url
        await page.locator("#text").fill((await page.locator("#text").input_value()).replace(WRONG_NUMBER, RIGHT_NUMBER))  # fmt: skip
        await page.locator("#text").focus()
        await walk(one, 5, "#reason")
        await page.keyboard.press("Control+a")
        await page.keyboard.type("号码抄错")
        await page.keyboard.press("Enter")
        await page.locator("[data-done]").wait_for()
        assert await one.faults() == []
    assert {each["value"] for each in (await patient(world))["identifier"]} == {"MR1", "11010519491231002X"}


@pytest.mark.parametrize("language", ["zh-CN", "en-GB"])
async def test_an_auditor_finds_who_saw_what_with_the_keyboard_alone(world: World, chromium: Any, site: str, language: str) -> None:  # fmt: skip
    referred = await world.refer("N05")
    nurse = await visit(chromium, site)
    await nurse.sign_in("nurse-a")
    await nurse.goto(f"/referrals/{referred.id}")
    await chained(world)
    one = await visit(chromium, site, language=language)
    await one.sign_in("bureau")
    await one.goto("/audit")
    page = one.page
    await page.keyboard.press("/")
    await walk(one, 1, "#who")
    await page.keyboard.type("nurse-a")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**who=nurse-a**")
    assert "陈素芬" not in await page.content() and "林护士" in await page.content()
    await page.keyboard.press("j")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/audit/lines/*")
    assert await one.faults() == []
    await page.go_back()
    assert await page.locator("#who").input_value() == "nurse-a"
    await page.keyboard.press("v")
    await page.wait_for_url("**/audit/chain")
    await page.locator(".good-words").wait_for()
    await one.goto("/audit")
    async with page.expect_download() as written:
        await page.keyboard.press("e")
    assert (await written.value).suggested_filename.endswith(".xlsx")


async def test_a_dry_run_and_a_verification_go_on_by_themselves(world: World, chromium: Any, site: str, monkeypatch: Any) -> None:  # fmt: skip
    from adapters.web.admin import audit

    monkeypatch.setattr(rehearsal_flow, "AT_ONCE", 2)
    monkeypatch.setattr(audit, "AT_A_STEP", 3)
    for _ in range(5):
        await world.refer("N05")
    await chained(world)
    one = await visit(chromium, site)
    await one.sign_in("admin")
    await one.goto(f"/admin/routing/{await partnership(world)}/try?{proposal(rank='5')}")
    await one.page.locator("tr.sum").wait_for()
    assert "5 件转介中，5 件会去往别处" in await one.page.locator("tr.sum").inner_text()
    assert await one.page.locator("tbody a[href^='/dispatch/']").count() == 5
    await one.goto("/audit/chain")
    await one.page.locator(".good-words").wait_for()
    assert await one.faults() == []
