"""The dry run against a history that is known: what would have gone elsewhere, why, and that nothing is stored until somebody applies it."""

import re
from datetime import timedelta
from typing import Any

from service.routing import rehearsal_flow
from service.values import local_day, utc_now
from tests.http.world import World
from tests.web.conftest import Browser
from tests.web.test_admin_directory import stored, value

AGREED = ["N01", "N02", "N03", "N04", "N05", "N09", "N10", "N11", "N12", "N13", "N14"]


async def partnership(world: World, agency: str = "agency-a", hospital: str = "hospital-a") -> str:
    async with world.as_owner() as owner:
        return str(await owner.fetchval("SELECT p.id FROM partnership p JOIN organization a ON a.id = p.agency_id JOIN organization h ON h.id = p.hospital_id WHERE a.key = $1 AND h.key = $2", agency, hospital))  # fmt: skip


def proposal(**other: Any) -> str:
    from urllib.parse import urlencode

    said = {
        "asked": "1",
        "rank": "1",
        "status": "capacity",
        "places": "500",
        "needs": AGREED,
        "service_needs": AGREED,
    } | other
    return urlencode(said, doseq=True)


async def everything(world: World) -> list[Any]:
    """What a dry run might have touched."""
    async with world.as_owner() as owner:
        return [await owner.fetch(f"SELECT * FROM {table} ORDER BY 1") for table in ("routing_decision", "partnership", "agency_service", "task", "event", "place")]  # fmt: skip


async def test_a_dry_run_finds_what_would_have_gone_elsewhere_and_stores_nothing(world: World, browser: Any) -> None:
    for need in ("N05", "N05", "N05", "N06", "N04"):
        await world.refer(need)
    admin: Browser = await browser("admin")
    id = await partnership(world)
    assert "近 30 天有 5 件转介可以试跑" in (await admin.get("/admin/routing")).text
    page = (await admin.get(f"/admin/routing/{id}")).text
    assert "用近 30 天的 5 件转介试跑" in page
    before = await everything(world)
    rank = (await admin.get(f"/admin/routing/{id}/try?{proposal(rank='5')}")).text
    assert "近 30 天 5 件转介中，3 件会去往别处" in rank
    assert rank.count("<strong>暖光社会工作服务中心</strong>") == 3 and "同行社会工作服务中心的排序从 1 变为 5" in rank
    needs = (await admin.get(f"/admin/routing/{id}/try?{proposal(needs=['N04', 'N03'])}")).text
    assert "5 件转介中，3 件会去往别处" in needs and "合作协议不含该需求" in needs
    offered = (await admin.get(f"/admin/routing/{id}/try?{proposal(service_needs=['N05'])}")).text
    assert (
        "5 件转介中，1 件会去往别处" in offered
        and "没有机构能接，转协调员" in offered
        and "机构不提供该需求的服务" in offered
    )
    full = (await admin.get(f"/admin/routing/{id}/try?{proposal(status='no-capacity')}")).text
    assert "5 件转介中，4 件会去往别处" in full and "机构声明无名额" in full
    more = (await admin.get(f"/admin/routing/{id}/try?{proposal(needs=[*AGREED, 'N06'], service_needs=[*AGREED, 'N06'])}")).text  # fmt: skip
    assert "5 件转介中，1 件会去往别处" in more and "<strong>同行社会工作服务中心</strong>" in more
    assert "都不会改变去向" in (await admin.get(f"/admin/routing/{id}/try?{proposal(places='400')}")).text
    assert "和现在的规则一样" in (await admin.get(f"/admin/routing/{id}/try?{proposal()}")).text
    assert await everything(world) == before
    for name in ("陈素芬", "13800000001"):
        assert name not in rank + needs + full


async def test_a_dry_run_goes_in_steps_and_each_referral_counts_once(world: World, browser: Any, monkeypatch: Any) -> None:  # fmt: skip
    monkeypatch.setattr(rehearsal_flow, "AT_ONCE", 2)
    for _ in range(5):
        referred = await world.refer("N05")
    # A second decision on the last one: it had its turn, and counts by its first.
    offer = await world.offer(referred)
    from tests.http.world import reason

    assert (await world.party("agency-a").put(offer, status="rejected", statusReason=reason("no-capacity"))).status == 200  # fmt: skip
    admin: Browser = await browser("admin")
    id = await partnership(world)
    page = (await admin.get(f"/admin/routing/{id}/try?{proposal(rank='5')}")).text
    found: list[str] = []
    steps = 0
    while True:
        found += re.findall(r'href="/dispatch/([0-9a-f-]+)"', page)
        steps += 1
        ahead = re.search(r'hx-get="([^"]+)"', page.split('class="ahead"')[1]) if 'class="ahead"' in page else None
        if ahead is None:
            break
        assert f"已看 {2 * steps} / 5 件" in page
        page = (await admin.get(ahead[1].replace("&amp;", "&"), **{"hx-request": "true"})).text
        assert "<html" not in page
    assert steps == 3 and len(found) == len(set(found)) == 5 and "5 件转介中，5 件会去往别处" in page


async def test_what_is_proposed_wrongly_is_named_and_roles_are_kept(world: World, browser: Any) -> None:
    id = await partnership(world)
    admin: Browser = await browser("admin")
    for wrong, field in ((proposal(rank="0"), "rank"), (proposal(rank="9" * 40), "rank"), (proposal(places="-1"), "places"), (proposal(needs=["N05", "<script>"]), "needs"), (proposal(needs=[]), "needs")):  # fmt: skip
        refused = await admin.get(f"/admin/routing/{id}/try?{wrong}")
        assert refused.status_code == 422 and f'href="#{field}"' in refused.text, wrong
        assert "<script>" not in refused.text.split("<main")[1]
    for login in ("nurse-a", "worker-a", "supervisor-a", "coordinator", "bureau"):
        someone: Browser = await browser(login)
        for path in ("/admin/routing", f"/admin/routing/{id}", f"/admin/routing/{id}/try?{proposal(rank='5')}"):
            assert (await someone.get(path)).status_code == 403, (login, path)
    assert (await admin.get("/admin/routing/0190a000-0000-7000-8000-000000000009")).status_code == 404


async def test_applying_is_another_act_from_a_day_on(world: World, browser: Any) -> None:
    await world.refer("N05")
    admin: Browser = await browser("admin")
    id = await partnership(world)
    page = (await admin.get(f"/admin/routing/{id}/try?{proposal(rank='5', service_needs=['N01', 'N05'])}")).text
    today = local_day(utc_now())
    said: dict[str, Any] = {"asked": "1", "rank": "5", "status": "capacity", "places": "500", "needs": AGREED, "service_needs": ["N01", "N05"], "version": value(page, "version"), "service_version": value(page, "service_version"), "since": (today + timedelta(days=1)).isoformat()}  # fmt: skip
    unread = await admin.post(f"/admin/routing/{id}/apply", said)
    assert unread.status_code == 422 and "已看过试跑结果" in unread.text
    await admin.get(f"/admin/routing/{id}")
    past = await admin.post(f"/admin/routing/{id}/apply", said | {"sure": "yes", "since": (today - timedelta(days=1)).isoformat()})  # fmt: skip
    assert past.status_code == 422 and "过去的记录保持原样" in past.text
    done = await admin.post(f"/admin/routing/{id}/apply", said | {"sure": "yes"})
    assert done.status_code == 200 and "规则已改" in done.text
    rows = await stored(world, "agency-a")
    assert [(row[0], row[2]) for row in rows][1:] == [(today + timedelta(days=1), 5)] and rows[0][1:3] == (today, 1)
    async with world.as_owner() as owner:
        row = await owner.fetchrow("SELECT needs, places FROM agency_service WHERE key = 'agency-a-msw'")
    assert (row["needs"], row["places"]) == (["N01", "N05"], 500)
    again = await admin.post(f"/admin/routing/{id}/apply", said | {"sure": "yes", "once": "another"})
    assert again.status_code in (409, 422)
