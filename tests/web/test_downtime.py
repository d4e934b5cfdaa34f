"""Lists for when the service is away: made by the worker's sweep, holding what is needed and no more; and what was done, entered afterwards."""

import re
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from adapters import worker
from adapters.web.downtime.copies import Copies
from service.consent.tiers import family_name, given_name
from service.values import SHANGHAI, utc_now
from tests.http.loop import done, follow_ups, nothing_changes, started, sweep
from tests.http.world import World
from tests.web.conftest import Browser
from tests.web.test_follow_ups import LONG_AGO, once, planned, says

HOUR = timedelta(hours=1)


def ago(**by: float) -> str:
    return (datetime.now(SHANGHAI) - timedelta(**by)).strftime("%Y-%m-%dT%H:%M")


def row(place: int, about: Any, did: str, at: str, **more: str) -> dict[str, str]:
    given = {"about": str(about), "did": did, "at": at, "way": "phone", "minutes": "", "words": ""} | more
    return {f"{name}-{place}": value for name, value in given.items()}


async def lists(world: World) -> list[Any]:
    async with world.as_owner() as db:
        return await db.fetch("SELECT organization_id, slot, ward, count, lines::text AS lines FROM downtime_list ORDER BY slot, organization_id, ward")  # fmt: skip


# ---- made every hour -------------------------------------------------------------------------------------------------


def test_somebody_is_asked_for_by_what_is_left_of_their_name() -> None:
    for name, family in (
        ("陈素芬", "陈"),
        ("欧阳示例", "欧阳"),
        ("John Smith", "Smith"),
        ("", None),
        (None, None),
        ("陈", "陈"),
    ):
        assert family_name(name) == family
        if name and given_name(name) and name[0] >= "\u3400":
            assert (family or "") + (given_name(name) or "") == name


async def test_the_worker_makes_one_each_hour_and_keeps_the_last_day(world: World) -> None:
    await world.refer("N05")
    now = datetime(2026, 11, 22, 6, 0, 20, tzinfo=UTC)
    made = await sweep(world, "downtime-lists", now)
    first = await lists(world)
    organizations = {each["organization_id"] for each in first}
    assert made == len(organizations) == 2 and {each["slot"] for each in first} == {now.replace(second=0)}
    assert await sweep(world, "downtime-lists", now + timedelta(minutes=30)) == 0, "once an hour"
    for later in range(1, 27):
        assert await sweep(world, "downtime-lists", now + later * HOUR) == made
    kept = {each["slot"] for each in await lists(world)}
    assert len(kept) == 24 and min(kept) == now.replace(second=0) + 3 * HOUR
    assert worker.SWEEPS["downtime-lists"].every <= timedelta(minutes=1), "the full hour is not missed by much"


async def test_an_offer_is_on_paper_without_the_person_and_a_disclosed_one_with_what_a_call_needs(world: World, browser) -> None:  # fmt: skip
    offered = await world.refer("N05")
    taken = await world.refer("N04")
    await started(world, taken)
    await sweep(world, "downtime-lists", utc_now())
    worker_a: Browser = await browser("worker-a")
    page = (await worker_a.get("/downtime")).text
    assert "截至" in page and "接单或退单" in page and "同行社会工作服务中心" in page
    assert (
        page.count("13800000001") == 1 and page.count("陈女士") == 1 and "陈素芬" not in page and "示例街道" not in page
    )
    for referred in (offered, taken):
        short = str(referred.id).replace("-", "")[-8:].upper()
        assert f"{short[:4]}-{short[4:]}" in page
    other: Browser = await browser("worker-b")
    assert "还没有清单" in (await other.get("/downtime")).text
    for login in ("coordinator", "bureau"):
        one: Browser = await browser(login)
        assert (await one.get("/downtime")).status_code == 403


@pytest.mark.parametrize("need", ["N11", "N12", "N13", "N14"])
async def test_of_a_safety_need_paper_says_safety_and_no_more(world: World, browser, need: str) -> None:
    await world.refer(need)
    taken = await world.refer(need)
    await started(world, taken)
    await sweep(world, "downtime-lists", utc_now())
    words = ("自杀", "家暴", "虐待", "遗弃", "侵害")
    nurse: Browser = await browser("nurse-a")
    ward = (await nurse.get("/downtime")).text
    worker_a: Browser = await browser("worker-a")
    agency = (await worker_a.get("/downtime")).text
    for page in (ward, agency):
        assert "人身安全" in page and not any(word in page for word in words)
    assert "陈女士" not in ward, "the next bed reads along"
    assert ("13800000001" in agency) == (need == "N11"), "with N12 to N14 a supervisor decides each step"


async def test_a_number_stands_there_only_where_a_call_is_safe(world: World, browser) -> None:
    referred, _ = await planned(world)
    hours = [{"name": "begins", "valueTime": "18:00:00"}, {"name": "ends", "valueTime": "20:00:00"}]
    await says(world, referred, {"name": "number", "valueString": "13800000099"}, {"name": "time", "part": hours}, {"name": "message", "valueBoolean": False})  # fmt: skip
    await sweep(world, "downtime-lists", utc_now())
    one: Browser = await browser("worker-a")
    page = (await one.get("/downtime")).text
    assert "13800000099" in page and "13800000001" not in page and "18:00–20:00" in page and "不得留言" in page
    # What was made before the rules became stricter is not shown as it was made.
    await says(world, referred, {"name": "prohibited", "valueBoolean": True})
    page = (await one.get("/downtime")).text
    assert "13800000099" not in page and "陈女士" not in page and "不得联系本人" in page
    await sweep(world, "downtime-lists", utc_now() + HOUR)
    assert "13800000099" not in (await lists(world))[-1]["lines"]


async def test_who_is_not_disclosed_any_more_is_not_on_the_page_of_an_older_list(world: World, browser) -> None:
    taken = await world.refer("N05")
    await started(world, taken)
    await sweep(world, "downtime-lists", utc_now())
    one: Browser = await browser("worker-a")
    assert "13800000001" in (await one.get("/downtime")).text
    consent = (await world.party("his-a").search(f"Consent?patient={taken.patient}"))[0]
    done(await world.party("his-a").put(consent, status="inactive"))
    for path in ("/downtime", "/downtime/copy"):
        page = (await one.get(path)).text
        assert "13800000001" not in page and "陈女士" not in page and "身份已不再开放" in page


async def test_each_ward_has_its_own_list(world: World, browser) -> None:
    for ward, bed in (("心内科", "12"), ("老年科", "3")):
        place = [{"location": {"display": f"{ward} {bed}"}}]
        await world.refer("N05", encounter={"location": place})
    async with world.as_owner() as db:
        stays = await db.fetch("SELECT id FROM stay ORDER BY id")
        for stay, (ward, bed) in zip(stays, (("心内科", "12"), ("老年科", "3")), strict=True):
            await db.execute("UPDATE stay SET ward = $2, bed = $3 WHERE id = $1", stay["id"], ward, bed)
    await sweep(world, "downtime-lists", utc_now())
    nurse: Browser = await browser("nurse-a")
    page = (await nurse.get("/downtime")).text
    assert "星河医院 · 心内科" in page and "星河医院 · 老年科" in page and "12 床" in page and "陈女士" in page
    one = (await nurse.get("/downtime?ward=%E5%BF%83%E5%86%85%E7%A7%91")).text
    assert "12 床" in one and "3 床" not in one
    assert "13800000001" not in page, "a ward does not call who lies there"


async def test_earlier_lists_are_there_and_an_old_one_says_so(world: World, browser) -> None:
    await world.refer("N05")
    now = utc_now()
    one: Browser = await browser("worker-a")
    assert "还没有清单" in (await one.get("/downtime")).text
    for hours in (5, 4):
        await sweep(world, "downtime-lists", now - hours * HOUR)
    page = (await one.get("/downtime")).text
    assert "后台任务可能停了" in page and "更早的清单" in page
    await sweep(world, "downtime-lists", now)
    page = (await one.get("/downtime")).text
    assert "后台任务可能停了" not in page
    earlier = re.findall(r'href="/downtime\?at=(\d{10})"', page)
    assert len(earlier) == 3
    old = (await one.get(f"/downtime?at={earlier[-1]}")).text
    assert "看最新的" in old
    assert (await one.get("/downtime?at=2020010100")).status_code == 404
    assert (await one.get("/downtime?at=x")).status_code == 200


async def test_the_copy_is_one_file_that_loads_nothing(world: World, browser) -> None:
    await world.refer("N05")
    await sweep(world, "downtime-lists", utc_now())
    one: Browser = await browser("worker-a")
    page = await one.get("/downtime")
    link = re.search(r'href="(/downtime/copy[^"]+)"', page.text)
    assert link
    copy = await one.get(link[1].replace("&amp;", "&"))
    assert re.search(r'attachment; filename="yuanshe-\d{8}-\d{4}\.html"', copy.headers["content-disposition"])
    assert "接单或退单" in copy.text and "截至" in copy.text and "counter(page)" in copy.text
    assert not re.search(r"<script|<link|src=|href=|url\(|@import|http", copy.text)


async def test_the_worker_writes_them_into_a_folder_that_nobody_else_reads(world: World, tmp_path: Path) -> None:
    await world.refer("N05")
    copies = Copies(tmp_path / "lists")
    now = utc_now()
    for hours in range(26, -1, -1):
        await sweep(world, "downtime-lists", now - hours * HOUR)
        assert await copies.step(world.database) is False
    folders = list((tmp_path / "lists").iterdir())
    assert {folder.name for folder in folders} == {world.organizations[name].partition("/")[2] for name in ("hospital-a", "agency-a")}  # fmt: skip
    for folder in folders:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        files = sorted(folder.iterdir())
        assert len(files) == 25 and files[-1].name == "newest.html" and files[-1].read_text() == files[-2].read_text()
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
        assert not re.search(r"<script|<link|src=|href=|url\(|@import|http", files[-1].read_text())
        before = files[-2].stat().st_mtime_ns
        await copies.step(world.database)
        assert files[-2].stat().st_mtime_ns == before, "once an hour"


# ---- entered afterwards ----------------------------------------------------------------------------------------------


async def since_this_morning(world: World, *tasks: str) -> None:
    """These Tasks have been there for six hours."""
    async with world.as_owner() as db:
        for name in ("authored_at", "accepted_at"):
            await db.execute(
                """UPDATE task_version SET snapshot = jsonb_set(snapshot::jsonb, ARRAY[$2], to_jsonb($3::text))::json
                   WHERE task_id = ANY ($1::uuid[]) AND snapshot::jsonb ? $2""",
                list(tasks), name, (utc_now() - timedelta(hours=6)).isoformat(),
            )  # fmt: skip


async def test_rows_are_taken_each_by_itself_with_the_true_time_beside_the_time_of_entry(world: World, browser) -> None:
    offered = await world.refer("N05")
    share = await world.offer(offered)
    referred, made = await planned(world)
    await since_this_morning(world, share["id"], made[0]["id"])
    one: Browser = await browser("worker-a")
    page = (await one.get("/downtime/enter")).text
    assert share["id"] in page and made[0]["id"] in page
    before = utc_now()
    sent = (
        {"why": "停机 14:00–16:30"}
        | once(page)
        | row(1, share["id"], "accept", ago(hours=2))
        | row(2, made[0]["id"], "attempt:no-answer", ago(hours=1))
        | row(3, made[0]["id"], "accept", ago(hours=1))
        | row(4, "", "", "")
        | row(5, made[0]["id"], "attempt:reached", ago(hours=-3))
    )
    answer = await one.post("/downtime/enter", sent)
    assert answer.status_code == 422 and "2 行没有记下，其余都已记下" in answer.text
    assert "这件事不能记在所选的那一项上" in answer.text and "补录的是已经做过的事" in answer.text
    assert 'name="about-3"' in answer.text and 'name="about-1"' not in answer.text, "what was taken is not sent again"
    agency = world.party("agency-a")
    assert (await agency.read(f"Task/{share['id']}"))["status"] == "accepted"
    kept = await agency.search(f"Communication?based-on=Task/{made[0]['id']}")
    assert len(kept) == 1 and before - timedelta(minutes=62) < datetime.fromisoformat(kept[0]["sent"]) < before - timedelta(minutes=58)  # fmt: skip
    for referred_, words in ((offered, "停机后补录：接单"), (referred, "停机后补录：联系")):
        story = (await one.get(f"/referrals/{referred_.id}")).text
        assert words in story and "实际时间 今天" in story.replace("昨天", "今天") and "停机 14:00–16:30" in story
    again = await one.post("/downtime/enter", sent)
    assert again.status_code == 200 and "/downtime/entered/" in str(again.url), "sent twice, done once"
    assert again.text.count("没有记下：") == 2 and "实际" in again.text and "补录于" in again.text
    assert len(await agency.search(f"Communication?based-on=Task/{made[0]['id']}")) == 1
    other: Browser = await browser("worker-b")
    assert (await other.get(str(again.url).removeprefix("http://yuanshe.test"))).status_code == 404


async def test_work_and_notes_and_declines_are_entered(world: World, browser) -> None:
    offered = await world.refer("N05")
    share = await world.offer(offered)
    taken = await world.refer("N04")
    mine = await started(world, taken)
    await since_this_morning(world, share["id"], mine["id"])
    one: Browser = await browser("worker-a")
    page = (await one.get("/downtime/enter")).text
    sent = (
        {"why": "停电"}
        | once(page)
        | row(1, share["id"], "decline:no-capacity", ago(hours=2), words="今天已满")
        | row(2, mine["id"], "activity:companionship", ago(hours=3), minutes="40", words="陪同取药")
        | row(3, mine["id"], "note", ago(hours=1), words="已与病房口头核对")
    )
    answer = await one.post("/downtime/enter", sent)
    assert answer.status_code == 200 and "已补录" in answer.text and answer.text.count("补录于") == 3, answer.text
    agency = world.party("agency-a")
    work = (await agency.search(f"Procedure?based-on={mine['focus']['reference']}"))[0]
    begins, ends = (datetime.fromisoformat(work["performedPeriod"][name]) for name in ("start", "end"))
    assert ends - begins == timedelta(minutes=40) and utc_now() - begins < timedelta(hours=3, minutes=2)
    assert (await agency.get(f"Task/{share['id']}"))["status"] == "rejected"
    notes = [each["payload"][0]["contentString"] for each in await agency.search("Communication") if "payload" in each]
    assert "已与病房口头核对" in notes


async def test_what_cannot_have_been_is_refused_in_words(world: World, browser) -> None:
    offered = await world.refer("N05")
    share = await world.offer(offered)
    declined = await world.refer("N04")
    gone = await world.offer(declined)
    done(await world.party("agency-a").put(gone, status="rejected", statusReason={"coding": [{"system": "urn:yuanshe:decline-reason", "code": "no-capacity"}], "text": "满"}))  # fmt: skip
    one: Browser = await browser("worker-a")
    cases = [
        (row(1, share["id"], "accept", ago(days=9)), "补录只限最近 7 天"),
        (row(1, share["id"], "accept", ago(days=2)), "那时还没有这一项"),
        (row(1, share["id"], "accept", ago(hours=-2)), "补录的是已经做过的事"),
        (row(1, share["id"], "activity:companionship", ago(minutes=1)), "本机构接单之后才能有服务记录"),
        (row(1, share["id"], "attempt:reached", ago(minutes=1)), "这件事不能记在所选的那一项上"),
        (row(1, gone["id"], "accept", ago(minutes=1)), "派单已经不在了"),
        (row(1, share["id"], "decline:no-capacity", ago(minutes=1)), "请用几个字说明"),
        (row(1, share["id"], "nonsense", ago(minutes=1)), "请选做了什么"),
        (row(1, "nonsense", "accept", ago(minutes=1)), "请选这一行是哪一件"),
        (row(1, share["id"], "accept", "yesterday"), "请写出实际的日期和时间"),
        (row(1, "0190a000-0000-7000-8000-000000000009", "accept", ago(minutes=1)), "没有这个页面，或者它不在您可以看到的范围内"),
    ]  # fmt: skip
    async with nothing_changes(world):
        await one.get("/downtime/enter")
        for given, words in cases:
            answer = await one.post("/downtime/enter", {"why": "停机"} | given)
            assert answer.status_code == 422 and words in answer.text, (given, words)
        bare = await one.post("/downtime/enter", row(1, share["id"], "accept", ago(minutes=1)) | {"why": ""})
        assert bare.status_code == 422 and "请写明为什么补录" in bare.text and share["id"] in bare.text
        assert (await one.post("/downtime/enter", {"why": "停机"} | cases[0][0], token=False)).status_code == 403


async def test_a_ward_enters_its_own_contacts_and_notes(world: World, browser) -> None:
    from tests.http.loop import discharge

    referred = await world.refer("N05", encounter=LONG_AGO)
    done(await discharge(world, referred, "1", utc_now() - timedelta(days=1)))
    own = await follow_ups(world.party("his-a"), referred)
    open_ = await world.refer("N04")
    nurse: Browser = await browser("nurse-a")
    page = (await nurse.get("/downtime/enter")).text
    assert own[0]["id"] in page and str(open_.id) in page and "退单原因" not in page and 'value="accept"' not in page
    sent = {"why": "停机"} | once(page) | row(1, own[0]["id"], "attempt:reached", ago(minutes=0)) | row(2, open_.id, "note", ago(minutes=0), words="家属已到")  # fmt: skip
    answer = await nurse.post("/downtime/enter", sent)
    assert answer.status_code == 200 and "已补录" in answer.text, answer.text
    assert len(await world.party("his-a").search(f"Communication?based-on=Task/{own[0]['id']}")) == 1


async def test_without_open_work_there_is_nothing_to_enter(world: World, browser) -> None:
    one: Browser = await browser("worker-b")
    assert "没有未完成的工作可以补录" in (await one.get("/downtime/enter")).text
