"""The call list and the call page: who may be called how, an attempt in two clicks, what comes of a follow-up, and a new need."""

import re
from datetime import datetime, timedelta
from typing import Any

import pytest

from service.followup import reaching
from service.followup.model import FINAL, status_after
from service.followup.script import PARTS, SOURCES, script
from service.patients.model import Patient
from service.safety.contact import ANY, ContactRules, Decision, Hours
from service.values import SHANGHAI, Id, new_id, utc_now
from tests.http.loop import discharge, done, follow_ups, nothing_changes, started, tried
from tests.http.world import Referred, World
from tests.web.conftest import Browser

LONG_AGO = {"period": {"start": (utc_now() - timedelta(days=20)).isoformat()}}


async def planned(world: World, *needs: str, days: float = 1, disposition: str = "1") -> tuple[Referred, list[dict[str, Any]]]:  # fmt: skip
    """A referral in agency-a's service whose person went home so many days ago, and its follow-ups."""
    referred = await world.refer(*(needs or ("N05",)), encounter=LONG_AGO)
    await started(world, referred)
    done(await discharge(world, referred, disposition, utc_now() - timedelta(days=days)))
    return referred, await follow_ups(world.party("agency-a"), referred)


async def says(world: World, referred: Referred, *parts: dict[str, Any]) -> None:
    """The hospital says how the person may safely be contacted."""
    said = {"resourceType": "Parameters", "parameter": list(parts)}
    done(await world.party("his-a").post(f"{referred.patient}/$safe-contact", said))


def once(page: str) -> dict[str, str]:
    found = re.search(r'name="once" value="([^"]+)"', page)
    assert found
    return {"once": found[1]}


def at(**ago: float) -> str:
    return (datetime.now(SHANGHAI) - timedelta(**ago)).strftime("%Y-%m-%dT%H:%M")


# ---- how somebody may be reached -------------------------------------------------------------------------------------

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=SHANGHAI)  # a Monday
WHO = Patient(new_id(), new_id(), 1, (), NOON, name="陈示例", phone="13800000001")
SUPERVISOR = Id(int=7)
MORNING = Hours(datetime(2026, 1, 1, 9).time(), datetime(2026, 1, 1, 11).time(), (2,))
DECIDED = Decision("phone", NOON - timedelta(hours=1), NOON + timedelta(hours=1), SUPERVISOR)

# Rules, needs → the number shown, whether it may be called, why none is shown, whether word may be left, to the person alone.
REACH: list[tuple[str, ContactRules, tuple[str, ...], tuple[Any, ...]]] = [
    ("nothing was said", ANY, ("N05",), ("13800000001", True, None, True, False)),
    ("prohibited", ContactRules(prohibited=True), ("N05",), (None, False, "contact-prohibited", False, True)),
    ("a supervisor decides", ContactRules(supervised=True), ("N05",), (None, False, "supervisor-decides", False, True)),
    ("decided, for now", ContactRules(prohibited=True, decisions=(DECIDED,)), ("N05",), ("13800000001", True, None, False, True)),
    ("no telephone", ContactRules(channels=("visit",)), ("N05",), (None, False, "channel-not-safe", True, False)),
    ("other hours", ContactRules(times=(MORNING,)), ("N05",), ("13800000001", False, None, True, False)),
    ("another number", ContactRules(number="13800000099"), ("N05",), ("13800000099", True, None, True, False)),
    ("no message", ContactRules(may_leave_message=False), ("N05",), ("13800000001", True, None, False, True)),
    ("a need of safety", ANY, ("N13",), ("13800000001", True, None, True, True)),
]  # fmt: skip


@pytest.mark.parametrize(("rules", "needs", "wanted"), [row[1:] for row in REACH], ids=[row[0] for row in REACH])
def test_who_may_be_called_at_which_number(rules: ContactRules, needs: tuple[str, ...], wanted: tuple[Any, ...]) -> None:  # fmt: skip
    found = reaching.reach(rules, WHO, needs, NOON)
    assert (found.number, found.callable, found.hidden, found.may_leave_message, found.alone) == wanted


def test_outside_safe_hours_the_next_safe_moment_is_known() -> None:
    found = reaching.reach(ContactRules(times=(MORNING,)), WHO, ("N05",), NOON)
    assert found.way("phone").safe_at == datetime(2026, 11, 24, 9, 0, tzinfo=SHANGHAI)
    assert reaching.reach(ANY, None, ("N05",), NOON).hidden == "not-disclosed"
    dead = reaching.reach(ANY, WHO, ("N05",), NOON, deceased=True)
    assert dead.hidden == "deceased" and {way.forbidden for way in dead.ways} == {"deceased"}


def test_the_script_fits_the_call_in_both_languages_and_says_where_it_is_from() -> None:
    for part in PARTS:
        assert part.source in SOURCES and part.lines
        for words in (part.title, *part.lines):
            assert re.search(r"[\u4e00-\u9fff]", words.zh) and not re.search(r"[\u4e00-\u9fff]", words.en)

    def titles(*given: Any, **named: Any) -> list[str]:
        given_named = {"alone": False, "visit": False, "receiving": False} | named
        return [part.title.en for part in script(*given, **given_named)]

    assert titles("T2", ("N05",), "routine") == ["Opening", "The first days at home", "Care, and living alone", "Closing"]  # fmt: skip
    assert "Mood and safety" in titles("D7", ("N05",), "stat") and "Mood and safety" in titles(
        "D7", ("N11",), "routine"
    )
    alone = titles("D30", ("N12",), "urgent", alone=True)
    assert alone[0] == "Opening (to the person alone)" and "Closing" not in alone and "Safety" in alone
    assert "This one is a visit" in titles("D7", ("N05",), "routine", visit=True)


# ---- the list --------------------------------------------------------------------------------------------------------


async def test_late_windows_come_first_then_todays_then_what_comes(world: World, browser) -> None:
    await planned(world, days=6)
    await planned(world, days=1)
    worker: Browser = await browser("worker-a")
    page = (await worker.get("/follow-ups?whose=all")).text
    assert page.index("已超时") < page.index("出院后第 7 天") < page.index("接下来") < page.index("出院后第 90 天")
    assert "陈素芬" in page and "还没有联系过" in page and "建议" in page
    assert (await worker.get("/follow-ups")).text.count("出院后") <= page.count("出院后")


async def test_an_empty_list_says_what_will_appear(world: World, browser) -> None:
    for login in ("worker-a", "nurse-a"):
        one: Browser = await browser(login)
        assert "没有随访。病人出院时" in (await one.get("/follow-ups")).text


async def test_pages_of_the_list_follow_each_other(world: World, browser, monkeypatch) -> None:
    from adapters.web.followup import lists

    await planned(world, days=6)
    await planned(world, days=1)
    worker: Browser = await browser("worker-a")
    whole = re.findall(r'class="open" href="/follow-ups/([0-9a-f-]+)', (await worker.get("/follow-ups?whose=all")).text)
    assert len(whole) == len(set(whole)) == 10
    monkeypatch.setattr(lists, "AT_A_TIME", 2)
    seen: list[str] = []
    address = "/follow-ups?whose=all"
    for _ in range(12):
        page = (await worker.get(address)).text
        seen += re.findall(r'class="open" href="/follow-ups/([0-9a-f-]+)', page)
        following = re.search(r'href="([^"]+)" rel="next"', page)
        if not following:
            break
        address = following[1].replace("&amp;", "&")
    assert seen == whole


async def test_a_guarded_person_is_flagged_and_has_no_number(world: World, browser) -> None:
    referred, made = await planned(world, "N12")
    worker: Browser = await browser("worker-a")
    page = (await worker.get("/follow-ups?whose=all")).text
    assert "每一步由督导决定" in page and "等督导决定下一步" in page
    call = (await worker.get(f"/follow-ups/{made[0]['id']}")).text
    assert "tel:" not in call and "13800000001" not in call and "所以这里没有电话号码" in call
    await says(world, referred, {"name": "prohibited", "valueBoolean": True})
    call = (await worker.get(f"/follow-ups/{made[0]['id']}")).text
    assert "不得联系本人" in call and "tel:" not in call and "13800000001" not in call


async def test_outside_safe_hours_the_page_says_when_and_there_is_no_link(world: World, browser) -> None:
    referred, made = await planned(world)
    worker: Browser = await browser("worker-a")
    call = (await worker.get(f"/follow-ups/{made[0]['id']}")).text
    assert 'href="tel:13800000001"' in call
    other_day = (datetime.now(SHANGHAI).isoweekday() + 2) % 7
    day = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")[other_day]
    hours = [{"name": "day", "valueCode": day}, {"name": "begins", "valueTime": "09:00:00"}, {"name": "ends", "valueTime": "11:00:00"}]  # fmt: skip
    await says(
        world, referred, {"name": "time", "part": hours}, {"name": "number", "valueString": "13800000099"}, {"name": "message", "valueBoolean": False}
    )  # fmt: skip
    call = (await worker.get(f"/follow-ups/{made[0]['id']}")).text
    assert "tel:" not in call and "现在打电话不安全。下一个安全时段从" in call and "13800000001" not in call
    assert "只打这个号码" in call and 'value="left-message"' not in call and "不得留言" in call


async def test_who_is_not_the_owner_finds_nothing(world: World, browser) -> None:
    _, made = await planned(world)
    for login, status in (("worker-b", 404), ("nurse-a", 404), ("coordinator", 403), ("bureau", 403)):
        one: Browser = await browser(login)
        assert (await one.get(f"/follow-ups/{made[0]['id']}")).status_code == status, login
        assert made[0]["id"] not in (await one.get("/follow-ups")).text
        async with nothing_changes(world):
            await one.get("/me")
            answer = await one.post(f"/follow-ups/{made[0]['id']}/attempts", {"channel": "phone", "result": "reached"})
            assert answer.status_code in (403, 404), login


async def test_identity_that_is_not_disclosed_any_more_is_not_shown(world: World, browser) -> None:
    referred, made = await planned(world)
    consent = (await world.party("his-a").search(f"Consent?patient={referred.patient}"))[0]
    done(await world.party("his-a").put(consent, status="inactive"))
    worker: Browser = await browser("worker-a")
    for path in ("/follow-ups?whose=all", f"/follow-ups/{made[0]['id']}"):
        page = (await worker.get(path)).text
        assert "陈素芬" not in page and "13800000001" not in page and "身份未开放" in page
    async with nothing_changes(world):
        said = await worker.post(f"/follow-ups/{made[0]['id']}/attempts", {"channel": "phone", "result": "no-answer"})
        assert said.status_code == 422 and "身份没有对本机构开放" in said.text


async def test_a_supervisor_gives_leave_for_one_step_and_then_there_is_a_number(world: World, browser) -> None:
    _, made = await planned(world, "N12")
    path = f"/follow-ups/{made[0]['id']}"
    worker: Browser = await browser("worker-a")
    supervisor: Browser = await browser("supervisor-a")
    assert "请督导打开这一页" in (await worker.get(path)).text and "准许这一步" not in worker.page.text
    said = {"channel": "phone", "begins": at(minutes=1), "until": at(hours=-6)}
    async with nothing_changes(world):
        assert (await worker.post(f"{path}/decide", said)).status_code == 403
        await supervisor.get(path)
        long = await supervisor.post(f"{path}/decide", said | {"until": at(days=-9)})
        assert long.status_code == 422 and at(days=-9)[:13] in long.text
        assert (await supervisor.post(f"{path}/decide", said | {"until": ""})).status_code == 422
    assert "已准许这一步联系" in (await supervisor.post(f"{path}/decide", said)).text
    page = (await worker.get(path)).text
    assert 'href="tel:13800000001"' in page and "督导已决定：电话" in page and "只做这一步" in page
    assert 'value="left-message"' not in page, "a decision lifts nothing more"
    made_ = await worker.post(f"{path}/attempts", {"channel": "phone", "result": "no-answer"})
    assert made_.status_code == 200 and "这次联系不安全" not in made_.text


# ---- an attempt ------------------------------------------------------------------------------------------------------


async def test_an_attempt_is_two_clicks_and_proposes_the_next(world: World, browser) -> None:
    _, made = await planned(world)
    agency = world.party("agency-a")
    worker: Browser = await browser("worker-a")
    listed = (await worker.get("/follow-ups?whose=all")).text
    first = re.search(r'href="(/follow-ups/[0-9a-f-]+\?whose=all)"', listed)
    assert first
    call = (await worker.get(first[1])).text  # one click
    chosen = re.search(r'name="channel" value="(\w+)" checked', call)
    assert chosen and chosen[1] == "phone"
    said = {"channel": chosen[1], "result": "no-answer", "at": "", "text": ""} | once(call)
    after = await worker.post(f"/follow-ups/{made[0]['id']}/attempts", said)  # the other
    assert after.status_code == 200 and "已记下这次联系" in after.text and "无人接听" in after.text
    again = await worker.post(f"/follow-ups/{made[0]['id']}/attempts", said)
    assert again.status_code == 200
    kept = await agency.search(f"Communication?based-on=Task/{made[0]['id']}")
    assert len(kept) == 1, "a form that is sent twice is one attempt"
    assert kept[0]["status"] == "not-done" and kept[0]["statusReason"]["coding"][0]["code"] == "no-answer"
    assert "今天已联系" in (await worker.get("/follow-ups?whose=all")).text


async def test_an_attempt_made_earlier_keeps_its_time_and_its_words(world: World, browser) -> None:
    _, made = await planned(world)
    worker: Browser = await browser("worker-a")
    await worker.get(f"/follow-ups/{made[0]['id']}")
    when = at(hours=3)
    path = f"/follow-ups/{made[0]['id']}/attempts"
    wrong = await worker.post(path, {"channel": "visit", "result": "other", "at": when, "text": ""})
    assert wrong.status_code == 422 and "请用几个字说明结果" in wrong.text and when in wrong.text
    future = await worker.post(path, {"channel": "visit", "result": "reached", "at": at(hours=-30), "text": "等"})
    assert future.status_code == 422 and at(hours=-30)[:13] in future.text
    said = await worker.post(path, {"channel": "visit", "result": "other", "at": when, "text": "邻居说去了女儿家"})
    assert said.status_code == 200 and "邻居说去了女儿家" in said.text
    kept = (await world.party("agency-a").search(f"Communication?based-on=Task/{made[0]['id']}"))[0]
    assert datetime.fromisoformat(kept["sent"]).astimezone(SHANGHAI).strftime("%Y-%m-%dT%H:%M") == when


async def test_an_unsafe_attempt_is_written_down_and_the_page_says_what_follows(world: World, browser) -> None:
    referred, made = await planned(world)
    await says(world, referred, {"name": "channel", "valueCode": "visit"})
    worker: Browser = await browser("worker-a")
    await worker.get(f"/follow-ups/{made[0]['id']}")
    said = await worker.post(f"/follow-ups/{made[0]['id']}/attempts", {"channel": "phone", "result": "no-answer"})
    assert said.status_code == 200 and "但这次联系不安全（此联系方式不安全）：督导会" in said.text


async def test_the_next_attempt_is_changed_within_the_window_and_never_to_an_unsafe_one(world: World, browser) -> None:
    referred, made = await planned(world)
    worker: Browser = await browser("worker-a")
    path = f"/follow-ups/{made[2]['id']}"
    await worker.get(path)
    closes = datetime.fromisoformat(made[2]["restriction"]["period"]["end"]).astimezone(SHANGHAI)
    wanted = (closes - timedelta(hours=5)).strftime("%Y-%m-%dT%H:%M")
    said = await worker.post(f"{path}/next", {"channel": "visit", "at": wanted})
    assert said.status_code == 200 and "下一次联系已改好" in said.text and f'value="{wanted}"' in said.text
    task = await world.party("agency-a").read(f"Task/{made[2]['id']}")
    assert "visit" in str(task["extension"])
    async with nothing_changes(world):
        late = (closes + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M")
        refused = await worker.post(f"{path}/next", {"channel": "visit", "at": late})
        assert refused.status_code == 422 and "窗口那时已经结束" in refused.text and late in refused.text
        refused = await worker.post(f"{path}/next", {"channel": "visit", "at": at(hours=1)})
        assert refused.status_code == 422 and "下一次联系要在以后" in refused.text
        refused = await worker.post(f"{path}/next", {"channel": "visit", "at": "soon"})
        assert refused.status_code == 422 and "请写出日期和时间" in refused.text
    await says(world, referred, {"name": "channel", "valueCode": "letter"})
    async with nothing_changes(world):
        refused = await worker.post(f"{path}/next", {"channel": "visit", "at": wanted})
        assert refused.status_code == 422 and "不安全，没有安排" in refused.text


# ---- what came of it -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [
    "stable", "need-met", "need-persisting", "readmitted", "ed-visit", "moved", "unreachable", "declined", "lost", "deceased",
    "crisis", "new-need",
])  # fmt: skip
async def test_every_outcome_does_from_the_page_what_the_rules_say(world: World, browser, code: str) -> None:
    referred, made = await planned(world)
    agency = world.party("agency-a")
    worker: Browser = await browser("worker-a")
    page = (await worker.get(f"/follow-ups/{made[0]['id']}")).text
    if code in FINAL:
        assert "同时取消：出院后第 7 天、出院后第 14 天、出院后第 30 天、出院后第 90 天" in page
    if code in ("lost", "crisis"):
        async with nothing_changes(world):
            bare = await worker.post(f"/follow-ups/{made[0]['id']}/outcome", {"code": code, "note": ""})
            assert bare.status_code == 422 and "请写明" in bare.text
    said = await worker.post(f"/follow-ups/{made[0]['id']}/outcome", {"code": code, "note": "联系后的情况"})
    assert said.status_code == 200 and "已记下随访结果" in said.text, said.text
    now = await follow_ups(agency, referred)
    assert next(t for t in now if t["id"] == made[0]["id"])["status"] == status_after(code)
    rest = {t["status"] for t in now if t["id"] != made[0]["id"]}
    assert rest == ({"cancelled"} if code in FINAL else {"accepted"})
    _, step = await world.timeline(referred)
    assert step is not None and (step["what"] == "acknowledge") == (code == "crisis")


async def test_lost_without_the_ladder_says_what_is_missing_and_a_supervisor_may_have_decided(world: World, browser) -> None:  # fmt: skip
    _, made = await planned(world)
    worker: Browser = await browser("worker-a")
    page = (await worker.get(f"/follow-ups/{made[0]['id']}")).text
    assert "还没有试过：电话、入户走访、居委会/派出所、信函" in page
    supervisor = re.search(r'<select[^>]+id="supervisor".*?<option value="([0-9a-f-]{36})"', page, re.DOTALL)
    assert supervisor
    said = {"code": "lost", "note": "邻居说已搬去外省", "supervisor": supervisor[1]}
    assert (await worker.post(f"/follow-ups/{made[0]['id']}/outcome", said)).status_code == 200
    task = await world.party("agency-a").read(f"Task/{made[0]['id']}")
    assert task["status"] == "failed" and task["statusReason"]["text"] == "邻居说已搬去外省"
    duties = await world.party("agency-a").search("Task?code=urn:yuanshe:task-code|review-contact")
    assert duties == [], "a supervisor has said so already"


async def test_lost_after_every_rung_needs_nobody(world: World, browser) -> None:
    _, made = await planned(world)
    await tried(world.party("agency-a"), made[0])
    worker: Browser = await browser("worker-a")
    page = (await worker.get(f"/follow-ups/{made[0]['id']}")).text
    assert "还没有试过" not in page and "各种方式都试过了" in page


async def test_a_crisis_on_the_call_is_raised_at_once_and_the_follow_up_goes_on(world: World, browser) -> None:
    referred, made = await planned(world)
    worker: Browser = await browser("worker-a")
    await worker.get(f"/follow-ups/{made[0]['id']}")
    bare = await worker.post(f"/follow-ups/{made[0]['id']}/crisis", {"text": " "})
    assert bare.status_code == 422 and "请写明看到或听到了什么" in bare.text
    said = await worker.post(f"/follow-ups/{made[0]['id']}/crisis", {"text": "说不想活了"})
    assert said.status_code == 200 and "危机已上报" in said.text
    _, step = await world.timeline(referred)
    assert step is not None and step["what"] == "acknowledge"
    assert (await world.party("agency-a").read(f"Task/{made[0]['id']}"))["status"] == "accepted"


async def test_an_agencys_new_need_waits_for_the_ward_which_refers_it_in_one_step(world: World, browser) -> None:
    referred, made = await planned(world)
    hospital = world.party("his-a")
    worker: Browser = await browser("worker-a")
    nurse: Browser = await browser("nurse-a")
    await worker.get(f"/follow-ups/{made[0]['id']}")
    async with nothing_changes(world):
        bare = await worker.post(f"/follow-ups/{made[0]['id']}/outcome", {"code": "new-need", "note": ""})
        assert bare.status_code == 422 and "请选至少一项需求" in bare.text
    said = {"code": "new-need", "need": "N01", "note": "药费付不起"}
    assert "新需求已交给医院确认" in (await worker.post(f"/follow-ups/{made[0]['id']}/outcome", said)).text
    page = (await nurse.get("/follow-ups")).text
    assert "机构随访发现的新需求" in page and "药费付不起" in page and "陈素芬" in page
    duty = re.search(r'action="/follow-ups/needs/([0-9a-f-]+)"', page)
    assert duty
    async with nothing_changes(world):
        bare = await nurse.post(f"/follow-ups/needs/{duty[1]}", {"act": "not", "reason": ""})
        assert bare.status_code == 422 and "请写明为什么不转介" in bare.text
    done_ = await nurse.post(f"/follow-ups/needs/{duty[1]}", {"act": "refer"} | once(page))
    assert done_.status_code == 200 and "/referrals/" in str(done_.url) and "新需求已转介" in done_.text
    new = await hospital.read(f"ServiceRequest/{str(done_.url).partition('/referrals/')[2].partition('?')[0]}")
    assert new["subject"]["reference"] == referred.patient and new["basedOn"][0]["reference"] == referred.request
    assert new["category"][0]["coding"][0]["code"] == "N01"
    offered = await world.party("agency-a").search("Task?status=requested")
    assert len(offered) == 1, "the agency that knows the person is asked first"


async def test_a_hospital_refers_its_own_new_need_from_the_call(world: World, browser) -> None:
    referred = await world.refer("N05", encounter=LONG_AGO)
    done(await discharge(world, referred, "1", utc_now() - timedelta(days=1)))
    made = await follow_ups(world.party("his-a"), referred)
    nurse: Browser = await browser("nurse-a")
    await nurse.get(f"/follow-ups/{made[0]['id']}")
    said = await nurse.post(f"/follow-ups/{made[0]['id']}/outcome", {"code": "new-need", "need": "N02", "note": ""})
    assert said.status_code == 200 and "/referrals/" in str(said.url) and "新需求已成为新转介" in said.text
    assert str(referred.id) not in str(said.url)


# ---- who calls -------------------------------------------------------------------------------------------------------


async def test_a_supervisor_names_who_follows_up_and_a_worker_only_takes_it_on(world: World, browser) -> None:
    _, made = await planned(world)
    agency = world.party("agency-a")
    supervisor: Browser = await browser("supervisor-a")
    page = (await supervisor.get(f"/follow-ups/{made[0]['id']}")).text
    staff = re.findall(r'<option value="([0-9a-f-]{36})"', page[page.index('id="worker"') :])
    owner = (await agency.read(f"Task/{made[0]['id']}"))["owner"]["reference"].partition("/")[2]
    other = next(each for each in staff if each != owner)
    assert (
        "已改由这位社工跟进" in (await supervisor.post(f"/follow-ups/{made[0]['id']}/assign", {"worker": other})).text
    )
    assert (await agency.read(f"Task/{made[0]['id']}"))["owner"]["reference"].endswith(other)
    for login in ("worker-a", "worker-a2"):
        one: Browser = await browser(login)
        page = (await one.get(f"/follow-ups/{made[1]['id']}")).text
        async with nothing_changes(world):
            foreign = next(each for each in staff if f'value="{each}"' not in page[page.index("由谁跟进") :])
            assert (await one.post(f"/follow-ups/{made[1]['id']}/assign", {"worker": foreign})).status_code == 403
        if mine := re.search(r'name="worker" value="([0-9a-f-]{36})"', page):
            took = await one.post(f"/follow-ups/{made[1]['id']}/assign", {"worker": mine[1]})
            assert took.status_code == 200 and "由您跟进" in took.text


async def test_a_form_of_another_session_does_nothing(world: World, browser) -> None:
    _, made = await planned(world)
    worker: Browser = await browser("worker-a")
    await worker.get(f"/follow-ups/{made[0]['id']}")
    async with nothing_changes(world):
        for act in ("attempts", "next", "outcome", "crisis", "assign"):
            said = {
                "channel": "phone",
                "result": "reached",
                "code": "stable",
                "text": "x",
                "at": at(hours=-2),
                "worker": "",
            }
            assert (await worker.post(f"/follow-ups/{made[0]['id']}/{act}", said, token=False)).status_code == 403


async def test_english_says_the_same(world: World, browser) -> None:
    _, made = await planned(world)
    worker: Browser = await browser("worker-a", **{"accept-language": "en"})
    await worker.sign_in("worker-a")
    page = (await worker.get("/follow-ups?whose=all")).text
    assert "within 2 working days of discharge" in page and "day 90 after discharge" in page
    call = (await worker.get(f"/follow-ups/{made[0]['id']}")).text
    assert "How to make contact safely" in call and "The first days at home" in call and "怎样" not in call
