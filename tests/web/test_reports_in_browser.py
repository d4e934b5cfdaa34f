"""The reports as somebody sees them: charts are drawn, and whoever sees none reads the table."""

import pytest

from tests.http.world import World
from tests.web.chromium import journey, visit
from tests.web.test_reports import acted

pytestmark = journey


@pytest.mark.parametrize(("size", "language"), [("desk", "zh-CN"), ("phone", "en-GB")])
async def test_charts_are_drawn_beside_their_tables(
    world: World, site: str, chromium, size: str, language: str
) -> None:
    await acted(world)
    one = await visit(chromium, site, size, language)
    await one.sign_in("nurse-a")
    await one.goto("/reports?weeks=4")
    await one.page.locator(".chart canvas").first.wait_for()
    assert await one.page.locator(".chart canvas").count() == await one.page.locator("[data-chart]").count() == 1
    assert await one.faults() == []
    await one.page.locator("#from").focus()
    await one.page.keyboard.press("Escape")
    assert await one.page.locator("#first-contact").is_visible()
