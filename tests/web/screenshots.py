"""`make screenshots`: the pages of an ordinary day as pictures, into docs/images; looked at, and used in the README.

Run by its path: it is no test, it draws. Each picture is taken when its page says that it is there."""

import os
from pathlib import Path
from typing import Any

import pytest

from tests.http.outside import working
from tests.http.world import World
from tests.web.chromium import needs_browser, visit
from tests.web.day import Day, a_day

pytestmark = [*needs_browser, pytest.mark.timeout(600)]
FOLDER = Path(os.environ.get("YUANSHE_SCREENSHOTS") or Path(__file__).parents[2] / "docs" / "images")

PICTURES: tuple[tuple[str, str, str], ...] = (
    ("sign-in", "", "/sign-in"),
    ("referrals", "nurse-a", "/referrals"),
    ("refer", "nurse-a", "/refer?draft={draft}"),
    ("referral", "nurse-a", "/referrals/{serving}"),
    ("print", "nurse-a", "/referrals/{offered}/print"),
    ("queue", "worker-a", "/queue?open={offer}"),
    ("offer", "worker-a", "/referrals/{offered}"),
    ("cases", "worker-a", "/cases"),
    ("case", "worker-a", "/cases/{share}"),
    ("follow-ups", "worker-a", "/follow-ups"),
    ("call", "worker-a", "/follow-ups/{follow_up}"),
    ("capacity", "supervisor-a", "/capacity"),
    ("team", "supervisor-a", "/team"),
    ("dispatch", "coordinator", "/dispatch"),
    ("reports", "coordinator", "/reports?weeks=4"),
    ("admin", "admin", "/admin"),
    ("deliveries", "admin", "/admin/subscriptions"),
    ("routing", "admin", "/admin/routing"),
    ("audit", "bureau", "/audit"),
    ("downtime", "worker-a", "/downtime"),
    ("me", "nurse-a", "/me"),
)
"""Name, who looks, and where."""


def paths(day: Day) -> dict[str, str]:
    """What stands in the addresses of PICTURES."""
    return {
        "serving": str(day.serving.id),
        "offered": str(day.offered.id),
        "share": day.share["id"],
        "follow_up": day.follow_up["id"],
        "offer": day.offer["id"],
        "draft": day.draft,
    }


async def test_every_page_is_drawn(world: World, site: str, chromium: Any) -> None:
    from playwright.async_api import expect

    # A worker beside: it gives events their positions, chains the audit, makes the hourly lists.
    async with working(world.clone):
        known = paths(await a_day(world))
        FOLDER.mkdir(parents=True, exist_ok=True)
        missing: list[str] = []
        for size, language in (("desk", "zh-CN"), ("desk", "en-GB"), ("phone", "zh-CN"), ("phone", "en-GB")):
            people: dict[str, Any] = {}
            for name, login, path in PICTURES:
                if login not in people:
                    people[login] = one = await visit(chromium, site, size, language)
                    if login:
                        await one.sign_in(login)
                one = people[login]
                answer = await one.page.goto(site + path.format(**known), wait_until="load")
                if answer.status != 200:
                    missing.append(f"{name}: {answer.status}")
                    continue
                # What a page fetches once it is there (a crisis bar, a ranking, a chart) has come when nothing is under way.
                await expect(one.page.locator(".htmx-request")).to_have_count(0)
                await one.page.evaluate("document.fonts.ready.then(() => true)")
                await one.page.screenshot(path=FOLDER / f"{name}-{size}-{language[:2]}.png")
            for one in people.values():
                await one.context.close()
        assert sorted(set(missing)) == []
