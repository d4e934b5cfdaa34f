"""The directory over HTTP as its administrator keeps it: by form, by field, and without overwriting what was."""

import re
from datetime import date, timedelta
from typing import Any

from service.values import local_day, utc_now
from tests.http.world import World
from tests.web.conftest import Browser

ROOMS = ("/admin/organizations", "/admin/services", "/admin/workers", "/admin/partnerships")


def opened(text: str, room: str) -> list[str]:
    """The ids of what a list links to."""
    return list(dict.fromkeys(re.findall(room + r"/([0-9a-f]{8}-[0-9a-f-]{27})", text)))


def value(text: str, name: str) -> str:
    return re.search(rf'name="{name}"[^>]* value="([^"]*)"', text)[1]  # type: ignore[index]


async def test_the_directory_is_the_administrators(world: World, browser: Any) -> None:
    for login in ("nurse-a", "supervisor-a", "coordinator", "bureau"):
        someone: Browser = await browser(login)
        for path in ROOMS:
            assert (await someone.get(path)).status_code == 403, (login, path)
            assert (await someone.get(f"{path}/add")).status_code == 403, (login, path)


async def test_an_organisation_is_registered_found_changed_and_wrong_fields_are_named(world: World, browser: Any) -> None:  # fmt: skip
    admin: Browser = await browser("admin")
    await admin.get("/admin/organizations/add")
    wrong = {
        "key": "Agency X",
        "kind": "agency",
        "name_zh": "<b>新</b>机构",
        "name_en": "",
        "uscc": "123",
        "region": "999999",
    }
    refused = await admin.post("/admin/organizations/add", wrong)
    assert refused.status_code == 422
    for words in ("小写字母", "这一栏要填写", "18 位", "没有这个区划代码"):
        assert words in refused.text, words
    assert "&lt;b&gt;新" in refused.text and 'href="#uscc"' in refused.text and "<b>新" not in refused.text
    right = {"key": "agency-x", "kind": "agency", "name_zh": "新街社工站", "name_en": "Xinjie", "uscc": "52520502MJ0000149M", "region": "520502", "status": "incubating", "active": "yes"}  # fmt: skip
    from stdnum.cn import uscc

    right["uscc"] = right["uscc"][:17] + uscc.calc_check_digit(right["uscc"][:17])
    saved = await admin.post("/admin/organizations/add", right)
    assert saved.status_code == 200 and "已保存" in saved.text and "新街社工站" in saved.text and "未就绪" in saved.text
    assert "已经有人用了" in (await admin.post("/admin/organizations/add", right)).text
    found = await admin.get("/admin/organizations?q=新街")
    [id] = opened(found.text, "/admin/organizations")
    page = (await admin.get(f"/admin/organizations/{id}")).text
    changed = right | {
        "version": value(page, "version"),
        "status": "accredited",
        "ready": "yes",
        "name_zh": "新街社会工作站",
    }
    assert "新街社会工作站" in (await admin.post(f"/admin/organizations/{id}", changed)).text
    stale = await admin.post(f"/admin/organizations/{id}", changed | {"name_zh": "又一个"})
    assert stale.status_code == 409 and "别人刚刚改过" in stale.text and "又一个" in stale.text
    assert "没有这样的机构" in (await admin.get("/admin/organizations?q=' OR 1=1 --")).text
    assert (await admin.get("/admin/organizations?q=" + "x" * 5000 + "&after=" + "z" * 5000)).status_code == 200


async def test_a_services_content_changes_and_its_capacity_stays_the_agencys(world: World, browser: Any) -> None:
    admin: Browser = await browser("admin")
    listed = (await admin.get("/admin/services")).text
    id = opened(listed, "/admin/services")[0]
    page = (await admin.get(f"/admin/services/{id}")).text
    said = {"version": value(page, "version"), "name_zh": "医务社会工作服务", "name_en": "Medical social work", "needs": "N01", "service_types": "crisis", "regions": "520502 999", "places": "1", "active": "yes"}  # fmt: skip
    refused = await admin.post(f"/admin/services/{id}", said)
    assert refused.status_code == 422 and "没有这个区划代码" in refused.text
    saved = await admin.post(f"/admin/services/{id}", said | {"regions": "520502"})
    assert saved.status_code == 200 and "共 500" in saved.text, "its places are the agency's word"
    async with world.as_owner() as owner:
        row = await owner.fetchrow("SELECT needs, regions, places FROM agency_service WHERE id = $1", id)
    assert (row["needs"], row["regions"], row["places"]) == (["N01"], ["520502"], 500)
    assert "没有这样的服务" in (await admin.get("/admin/services?old=1")).text


async def test_licences_that_end_are_found_and_a_worker_leaves(world: World, browser: Any) -> None:
    soon = (local_day(utc_now()) + timedelta(days=10)).isoformat()
    admin: Browser = await browser("admin")
    [id] = opened((await admin.get("/admin/workers?q=何暖")).text, "/admin/workers")
    page = (await admin.get(f"/admin/workers/{id}")).text
    assert "DEMO-0004" in page
    said = {"version": value(page, "version"), "name": "何暖", "grade": "certified", "certificate_no": "DEMO-0004", "licensed_from": "2020-01-01", "licensed_to": soon, "duty": "yes", "active": "yes"}  # fmt: skip
    backwards = await admin.post(f"/admin/workers/{id}", said | {"licensed_to": "2019-01-01"})
    assert backwards.status_code == 422 and "不能早于" in backwards.text
    nothing = await admin.post(f"/admin/workers/{id}", said | {"certificate_no": ""})
    assert nothing.status_code == 422 and 'href="#certificate_no"' in nothing.text
    assert "已保存" in (await admin.post(f"/admin/workers/{id}", said)).text
    ending = (await admin.get("/admin/workers?ending=1")).text
    assert "何暖" in ending and f"{soon} 到期" in ending and "林知行" not in ending
    page = (await admin.get(f"/admin/workers/{id}")).text
    del said["active"]
    assert "已离职" in (await admin.post(f"/admin/workers/{id}", said | {"version": value(page, "version")})).text


async def test_a_partnership_changes_from_a_day_on_and_what_was_stays(world: World, browser: Any) -> None:
    today = local_day(utc_now())
    hospital = world.organizations["hospital-a"].split("/")[1]
    admin: Browser = await browser("admin")
    page = (await admin.get(f"/admin/partnerships?hospital={hospital}")).text
    assert page.count("<tr>") == 4 and "有效" in page and "已结束" in page and "邻里社会工作服务中心" in page
    ids = opened(page, "/admin/partnerships")
    async with world.as_owner() as owner:
        first = await owner.fetchval(
            "SELECT p.id FROM partnership p JOIN organization o ON o.id = p.agency_id WHERE o.key = 'agency-a'"
        )
    assert str(first) in ids
    one = (await admin.get(f"/admin/partnerships/{first}")).text
    said = {"version": value(one, "version"), "since": (today - timedelta(days=1)).isoformat(), "valid_to": "", "rank": "5", "mode": "sequence", "needs": "N05", "reply_limits": "", "departments": ""}  # fmt: skip
    past = await admin.post(f"/admin/partnerships/{first}", said)
    assert past.status_code == 422 and "过去的记录保持原样" in past.text and 'href="#since"' in past.text
    tomorrow = (today + timedelta(days=1)).isoformat()
    assert "已保存" in (await admin.post(f"/admin/partnerships/{first}", said | {"since": tomorrow})).text
    rows = await stored(world, "agency-a")
    assert rows == [(date(2025, 1, 1), today, 1, 11), (today + timedelta(days=1), None, 5, 1)], (
        "the old line ends, a new one follows"
    )
    assert "未开始" in (await admin.get(f"/admin/partnerships?hospital={hospital}")).text
    await admin.get("/admin/partnerships/add?hospital=hospital-a")
    new = {"hospital": "hospital-a", "agency": "agency-b", "valid_from": today.isoformat(), "valid_to": "", "rank": "9", "mode": "manual", "needs": "N05"}  # fmt: skip
    overlapping = await admin.post("/admin/partnerships/add", new)
    assert overlapping.status_code == 422 and "已有协议" in overlapping.text
    wrong = await admin.post("/admin/partnerships/add", new | {"agency": "agency-c", "rank": "9999999999999999999999", "reply_limits": "soon"})  # fmt: skip
    assert wrong.status_code == 422 and "范围内的整数" in wrong.text and "stat=30" in wrong.text
    assert "已保存" in (await admin.post("/admin/partnerships/add", new | {"agency": "agency-c"})).text
    async with world.as_owner() as owner:
        second = await owner.fetchval("SELECT p.id FROM partnership p JOIN organization o ON o.id = p.agency_id WHERE o.key = 'agency-b' AND p.hospital_id = $1", hospital)  # fmt: skip
    one = (await admin.get(f"/admin/partnerships/{second}")).text
    ended = await admin.post(
        f"/admin/partnerships/{second}/end", {"version": value(one, "version"), "last": "not a day"}
    )
    assert ended.status_code == 422
    assert "已保存" in (await admin.post(f"/admin/partnerships/{second}/end", {"version": value(one, "version"), "last": today.isoformat()})).text  # fmt: skip
    assert "30 天内到期" in (await admin.get(f"/admin/partnerships?hospital={hospital}")).text


async def stored(world: World, agency: str) -> list[tuple[date, date | None, int, int]]:
    async with world.as_owner() as owner:
        rows = await owner.fetch("SELECT valid_from, valid_to, rank, cardinality(needs) AS needs FROM partnership p JOIN organization o ON o.id = p.agency_id WHERE o.key = $1 ORDER BY valid_from", agency)  # fmt: skip
    return [tuple(row) for row in rows]
