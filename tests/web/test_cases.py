"""The cases of a worker over HTTP: the list, the page, its forms, who may see what, and what a refusal leaves standing."""

import re
from datetime import datetime, timedelta
from typing import Any

from service.casework.forms import FORMS
from service.db import Session
from service.safety.instruments import INSTRUMENTS
from service.values import SHANGHAI
from tests.http.filing import filled
from tests.http.staff import do, share_of, workers
from tests.http.world import BASE, World
from tests.web.conftest import Browser

NAME = "陈素芬"


def once(text: str) -> str:
    return re.findall(r'name="once" value="([^"]+)"', text)[-1]


async def send(who: Browser, path: str, act: str, **said: str) -> Any:
    """A form of the case page, as a browser without scripts sends it."""
    fields = {"act": act, "once": once(who.page.text)} | {key.replace("_", "-"): value for key, value in said.items()}
    return await who.post(path, fields)


def shown(page: Any) -> str:
    """What stands on a page, without its marks: what a failed test shows."""
    main = page.text.partition("<main")[2]
    return f"{page.status_code} " + re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", main))[:600]


async def mine(world: World, *needs: str, worker: str = "worker-a") -> str:
    """A case in service of this worker; its address."""
    share = await share_of(world, (await workers(world))[worker], "agency-a", *needs)
    return f"/cases/{share['id']}"


async def test_my_cases_say_what_is_due_what_is_missing_and_when_the_person_was_met(world: World, browser: Any) -> None:
    path = await mine(world)
    worker: Browser = await browser("worker-a")
    page = await worker.get("/cases")
    assert page.status_code == 200 and path in page.text
    for words in (NAME, "轮到您完成预估", "预估", "接案登记表", "还没有见过面"):
        assert words in page.text, words
    assert path not in (await worker.get("/cases?phase=plan")).text
    assert path in (await worker.get("/cases?phase=assessment&due=")).text
    assert path not in (await worker.get("/cases?due=late")).text and "没有符合这些条件的个案" in worker.page.text


async def test_the_case_page_says_whom_it_is_about_what_is_next_and_what_the_phase_needs(
    world: World, browser: Any
) -> None:
    path = await mine(world)
    worker: Browser = await browser("worker-a")
    page = await worker.get(path)
    assert page.status_code == 200, shown(page)
    for words in (
        NAME,
        "轮到您完成预估",
        "需求评估表",
        "问题清单",
        "之前的阶段还缺",
        "接案登记表",
        "写记录",
        "快记工时",
    ):
        assert words in page.text, words
    for tab in ("goals", "contacts", "screening", "resources", "documents", "supervision", "time", "team", "crisis"):
        other = await worker.get(f"{path}/{tab}")
        assert other.status_code == 200, (tab, shown(other))
    assert (await worker.get(f"{path}/nonsense")).status_code == 404


async def fill(who: Browser, path: str, document: str, **changes: str) -> Any:
    """Fill in the form of a document as far as it has to be."""
    page = await who.get(f"{path}/forms/{document}")
    assert page.status_code == 200, (document, shown(page))
    said: dict[str, str] = {"once": once(page.text), "as": "done"}
    for item in FORMS[f"urn:yuanshe:questionnaire:case-{document}"].items:
        if item.required:
            given = {"boolean": "true", "date": "2026-11-22"}.get(item.type, "如实填写")
            said[item.code] = item.options[0][1].code if item.options else given
    for name in ("of", "version"):
        if found := re.search(rf'name="{name}" value="([^"]*)"', page.text):
            said[name] = found[1]
    return await who.post(f"{path}/forms/{document}", said | changes)


async def goal_of(who: Browser, path: str) -> str:
    page = await who.get(f"{path}/goals")
    return re.findall(r'name="goal-id" value="([^"]+)"', page.text)[0]


async def test_a_case_from_accepted_to_archived_by_its_worker_with_the_supervisors_signatures(
    world: World, browser: Any
) -> None:
    agency = world.party("agency-a")
    referred = await world.refer("N05")
    share = await world.accepted(referred)
    path = f"/cases/{share['id']}"
    worker: Browser = await browser("worker-a")
    supervisor: Browser = await browser("supervisor-a")

    # Nobody has it yet: whoever begins it has it
    await worker.get(path)
    page = await send(worker, path, "start")
    assert page.status_code == 200 and "已开始服务。" in page.text and "（您）" in page.text

    # The gate names everything that is missing, each a link to its form
    page = await send(worker, path, "advance", to="plan")
    assert page.status_code == 409 and "还不能进入「计划」" in page.text
    for document in ("intake-form", "service-consent", "risk-screen", "needs-assessment", "problem-list"):
        assert f'href="{path}/forms/{document}"' in page.text, document
        page_of = await fill(worker, path, document)
        assert "文书已存入个案。" in page_of.text, (document, shown(page_of))
    page = await send(worker, path, "advance", to="plan")
    assert "个案已进入新的阶段。" in page.text and "文书完整度 100%" in page.text

    # Goals and the plan, which only a supervisor signs
    await worker.get(f"{path}/goals")
    page = await send(
        worker,
        f"{path}/goals",
        "goal",
        goal_text="两周内安置到养老机构",
        goal_type="resolve",
        unit="individual",
        measure="入住",
        need="N05",
    )
    assert "目标已保存。" in page.text and "两周内安置到养老机构" in page.text, shown(page)
    goal = await goal_of(worker, path)
    page = await send(worker, f"{path}/goals", "plan", plan_title="服务计划", review="2027-01-10", plan_goal=goal)
    assert "服务计划已保存" in page.text and "待督导签批" in page.text
    await fill(worker, path, "client-agreement")
    page = await send(worker, path, "advance", to="intervention")
    assert (
        page.status_code == 409 and "服务计划：待督导签批" in page.text and f"{path}/supervision#approvals" in page.text
    )
    assert (await send(worker, f"{path}/supervision", "approve", document="service-plan")).status_code == 403
    await supervisor.get(f"{path}/supervision")
    page = await send(supervisor, f"{path}/supervision", "approve", document="service-plan", approve_note="同意")
    assert "已签批。" in page.text and "同意" in page.text
    await worker.get(path)
    assert "个案已进入新的阶段。" in (await send(worker, path, "advance", to="intervention")).text

    # Work: a note for the goal, an application that is approved, a supervision note that only a supervisor writes
    page = await send(
        worker,
        path,
        "note",
        type="discharge-planning",
        minutes="45",
        contact="home-visit",
        text="看了两家养老院。",
        goal=goal,
    )
    assert "已记录。" in page.text and "看了两家养老院。" in page.text and "45 分钟" in page.text
    await worker.get(f"{path}/resources")
    page = await send(
        worker, f"{path}/resources", "apply", link_type="resource-linkage", benefit="applied", amount="1,200.50", link_text="申请临时救助",
        link_goal=goal,
    )  # fmt: skip
    assert "¥1,200.50" in page.text and "已申请" in page.text
    await worker.get(f"{path}/goals")
    page = await send(worker, f"{path}/goals", "achieve", goal_id=goal, achievement="achieved")
    assert page.status_code == 409 and "还有为这个目标协调的事项没有了结" in page.text
    page = await worker.get(f"{path}/resources")
    link = re.findall(r'name="link" value="([^"]+)"', page.text)[0]
    page = await send(worker, f"{path}/resources", "settle", link=link, came="approved", settled_amount="1000", of=link)
    assert "¥1,000" in page.text and "已批准" in page.text
    assert (await fill(worker, path, "supervision-note")).status_code == 403
    assert "文书已存入个案。" in (await fill(supervisor, path, "supervision-note", points="节奏合适")).text
    assert "节奏合适" in (await worker.get(f"{path}/supervision")).text
    assert "个案已进入新的阶段。" in (await send(worker, path, "advance", to="evaluation")).text
    await worker.get(f"{path}/goals")
    page = await send(worker, f"{path}/goals", "achieve", goal_id=goal, achievement="achieved")
    assert page.status_code == 200 and "达成" in page.text
    await fill(worker, path, "evaluation")
    await send(worker, path, "advance", to="closure")
    await fill(worker, path, "closure-summary")
    await supervisor.get(f"{path}/supervision")
    assert "已签批。" in (await send(supervisor, f"{path}/supervision", "approve", document="closure-summary")).text

    # The end: what came of it goes to the hospital, the rest does not
    page = await worker.get(path)
    output = re.findall(r'name="output" value="([^"]+)"', page.text)[-1]
    page = await send(worker, path, "complete", complete_code="goals-met", complete_why="目标达成")
    assert page.status_code == 422 and "请填写这一项" in page.text and "目标达成" in page.text
    page = await send(worker, path, "complete", complete_code="goals-met", complete_why="目标达成", output=output)
    assert page.status_code == 200 and "已结案，回执已发给医院。" in page.text and NAME not in page.text
    assert (await agency.read(f"Task/{share['id']}"))["status"] == "completed"
    page = await send(worker, path, "advance", to="follow-up")
    assert "个案已进入新的阶段。" in page.text
    page = await send(worker, path, "advance", to="archive")
    assert page.status_code in (200, 409), shown(page)
    assert path in (await worker.get("/cases?state=ended")).text and "已结案" in worker.page.text


# ---- who may see what ------------------------------------------------------------------------------------------------


async def test_another_agency_and_other_sides_find_no_case(world: World, browser: Any) -> None:
    path = await mine(world)
    other: Browser = await browser("worker-b")
    for at in (
        path,
        f"{path}/goals",
        f"{path}/documents",
        f"{path}/forms/intake-form",
        f"{path}/screening/phq-9",
        f"{path}/card",
    ):
        page = await other.get(at)
        assert page.status_code == 404 and NAME not in page.text, at
    await other.get("/cases")
    assert "没有进行中的个案" in other.page.text
    for login, status in (("nurse-a", 403), ("coordinator", 403), ("bureau", 403)):
        visitor: Browser = await browser(login)
        assert (await visitor.get("/cases")).status_code == status, login
        assert (await visitor.get(path)).status_code in (403, 404), login
    nobody: Browser = await browser()
    assert "sign-in" in str((await nobody.get(path)).url)


async def test_staff_who_are_not_on_a_case_see_and_add_what_they_write_themselves(world: World, browser: Any) -> None:
    path = await mine(world)
    worker, colleague = await browser("worker-a"), await browser("worker-a2")
    await worker.get(path)
    await send(worker, path, "note", type="psych-support", text="只有负责人看得到的话")
    page = await colleague.get(path)
    assert page.status_code == 200 and "这个个案由同事负责" in page.text and NAME in page.text
    assert "只有负责人看得到的话" not in page.text and "转交同事" not in page.text and "需求评估表" not in page.text
    assert "我的记录" in (await colleague.get(f"{path}/goals")).text, "the parts of the file are for who has it"
    for at in (f"{path}/forms/intake-form", f"{path}/screening/phq-9", f"{path}/report"):
        assert (await colleague.get(at)).status_code == 403, at
    await colleague.get(path)
    page = await send(colleague, path, "note", type="companionship", text="代班探访一次")
    assert page.status_code == 200 and "代班探访一次" in page.text and "只有负责人看得到的话" not in page.text
    assert (await send(colleague, path, "hold", hold_why="暂停")).status_code == 403
    # As a second worker they have the whole file
    await worker.get(path)
    a2 = (await workers(world))["worker-a2"].split("/")[1]
    page = await send(worker, path, "co-work", co_worker=a2, co_role="co-worker")
    assert "已增加协同社工" in page.text
    page = await colleague.get(path)
    assert "只有负责人看得到的话" in page.text and "您是协同社工" in page.text
    assert path in (await colleague.get("/cases")).text and "您是协同社工" in colleague.page.text


async def test_before_disclosure_a_case_shows_nobody_and_of_a_safety_need_no_more_than_that(
    world: World, browser: Any
) -> None:
    share = await world.accepted(await world.refer("N13"), consent=False)
    path = f"/cases/{share['id']}"
    supervisor: Browser = await browser("supervisor-a")
    for at in (path, "/cases?whose=agency"):
        page = await supervisor.get(at)
        assert page.status_code == 200 and "身份未开放" in page.text and "人身安全" in page.text
        assert NAME not in page.text and "虐待" not in page.text and "写记录" not in page.text


async def test_what_is_sealed_stands_nowhere_on_the_pages_of_a_case(world: World, browser: Any) -> None:
    path = await mine(world, "N12")
    worker: Browser = await browser("worker-a")
    supervisor: Browser = await browser("supervisor-a")
    await worker.get(f"{path}/crisis")
    page = await send(worker, f"{path}/crisis", "raise", raise_text="丈夫昨晚持刀")
    assert "危机已上报" in page.text and "确认：我来处理" in page.text, shown(page)
    page = await worker.get(f"{path}/report")
    answers = {
        "situation": "adult-violence", "known": "2026-11-20T09:10", "reported": "2026-11-20T09:25", "channel": "call-110",
        "receiver": "城东派出所王警官", "preserved": "photograph", "reporter": "工号0457", "once": once(page.text),
    }  # fmt: skip
    page = await worker.post(f"{path}/report", answers | {"reporter": ""})
    assert page.status_code == 422 and "城东派出所王警官" in page.text, "what was typed is still there"
    page = await worker.post(f"{path}/report", answers | {"once": once(page.text)})
    assert page.status_code == 200 and "报告已记录" in page.text, shown(page)
    for who in (worker, supervisor):
        for tab in (
            "",
            "/goals",
            "/contacts",
            "/screening",
            "/documents",
            "/supervision",
            "/team",
            "/crisis",
            "/report",
        ):
            text = (await who.get(path + tab)).text
            assert "持刀" not in text and "王警官" not in text and "0457" not in text, tab


async def test_a_supervisor_moves_a_case_of_their_own_and_signs_nothing_in_it(world: World, browser: Any) -> None:
    share = await share_of(world, (await workers(world))["supervisor-a"])
    await filled(world, share, "intake-form", "service-consent", "risk-screen", "needs-assessment", "problem-list")
    path = f"/cases/{share['id']}"
    supervisor: Browser = await browser("supervisor-a")
    await supervisor.get(path)
    assert "个案已进入新的阶段。" in (await send(supervisor, path, "advance", to="plan")).text
    await filled(world, share, "service-plan", "client-agreement")
    page = await send(supervisor, path, "advance", to="intervention")
    assert page.status_code == 409 and "服务计划：待督导签批" in page.text
    page = await send(supervisor, f"{path}/supervision", "approve", document="service-plan")
    assert page.status_code == 403 and "不能督导自己的个案" in page.text, shown(page)


async def test_after_the_end_what_is_missing_is_supplied_and_a_goals_outcome_said(world: World, browser: Any) -> None:
    path = await mine(world)
    share = await world.party("agency-a").read(f"Task/{path.rpartition('/')[2]}")
    await filled(world, share, "service-plan")
    worker: Browser = await browser("worker-a")
    goal = await goal_of(worker, path)
    await worker.get(path)
    page = await send(worker, path, "complete", complete_code="goals-met", complete_why="好了", outcome_words="已安置")
    assert page.status_code == 200 and NAME not in page.text
    page = await send(worker, f"{path}/goals", "achieve", goal_id=goal, achievement="achieved", of=goal)
    assert page.status_code == 200 and "目标的结果已保存" in page.text, shown(page)
    assert "文书已存入个案。" in (await fill(worker, path, "needs-assessment")).text
    page = await send(worker, path, "note", type="psych-support", text="晚到的记录")
    assert page.status_code == 422 and "晚到的记录" not in (await worker.get(path)).text, "work is not"


# ---- what is typed, what is sent twice, what is corrected ---------------------------------------------------------------


async def test_what_was_typed_survives_a_refusal_and_the_summary_leads_to_the_field(world: World, browser: Any) -> None:
    path = await mine(world)
    worker: Browser = await browser("worker-a")
    await worker.get(path)
    page = await send(worker, path, "note", type="", minutes="四十", text="打了三次电话，<b>没人接</b>。")
    assert (
        page.status_code == 422
        and "打了三次电话，&lt;b&gt;没人接&lt;/b&gt;。" in page.text
        and 'value="四十"' in page.text
    )
    assert 'href="#type"' in page.text and 'href="#minutes"' in page.text and 'aria-invalid="true"' in page.text
    page = await worker.get(f"{path}/forms/needs-assessment")
    page = await worker.post(
        f"{path}/forms/needs-assessment", {"self": "行动不便", "as": "done", "once": once(page.text)}
    )
    assert (
        page.status_code == 422
        and "行动不便" in page.text
        and 'href="#family"' in page.text
        and 'href="#self"' not in page.text
    )
    page = await worker.post(
        f"{path}/forms/needs-assessment", {"self": "行动不便", "as": "draft", "once": once(page.text)}
    )
    assert "草稿已保存" in page.text and "缺" in page.text
    page = await worker.get(f"{path}/forms/needs-assessment")
    assert "行动不便" in page.text and "先存草稿" in page.text


async def test_a_form_that_is_sent_twice_is_done_once_and_one_of_another_site_not_at_all(
    world: World, browser: Any
) -> None:
    path = await mine(world)
    worker: Browser = await browser("worker-a")
    mark = once((await worker.get(path)).text)
    for _ in range(2):
        page = await worker.post(path, {"act": "note", "once": mark, "type": "psych-support", "text": "面谈一次"})
        assert page.status_code == 200 and page.text.count("面谈一次") == 2, "in the list, and in its correction"
    foreign = {"act": "note", "once": mark, "type": "psych-support", "text": "外来"}
    assert (await worker.post(path, foreign, token=False)).status_code == 403
    await worker.get(path)
    assert (await worker.post(path, foreign, **{"Sec-Fetch-Site": "cross-site"})).status_code == 403  # pyright: ignore[reportArgumentType]
    await worker.get(path)
    assert (await worker.post(path, {"act": "nonsense", "once": mark})).status_code == 404


async def test_ones_own_note_is_corrected_and_its_earlier_version_stays(world: World, browser: Any) -> None:
    path = await mine(world)
    worker: Browser = await browser("worker-a")
    supervisor: Browser = await browser("supervisor-a")
    await worker.get(path)
    page = await send(worker, path, "note", type="psych-support", minutes="20", text="第一次的写法")
    note = re.findall(r'name="note" value="([^"]+)"', page.text)[0]
    asked = {"note": note, "of": note, "version": "1", "type": "psych-support", "minutes": "25", "text": "更正后的写法"}
    page = await send(worker, path, "correct", **asked)
    assert (
        "已更正" in page.text and "更正后的写法" in page.text and "第一次的写法" in page.text and "25 分钟" in page.text
    )
    page = await send(worker, path, "correct", **asked | {"text": "晚到的写法"})
    assert page.status_code == 409 and "晚到的写法" in page.text, "another version came first; what was typed is there"
    await supervisor.get(path)
    page = await send(supervisor, path, "correct", **asked | {"version": "2", "text": "督导改的"})
    assert page.status_code == 403 and "督导改的" not in (await worker.get(path)).text


# ---- time, contacts, screening, files, hands --------------------------------------------------------------------------


async def test_time_is_recorded_taken_back_and_listed(world: World, browser: Any) -> None:
    path = await mine(world)
    worker: Browser = await browser("worker-a")
    await worker.get(path)
    page = await send(worker, path, "time", activity="telephone", minutes_spent="15")
    assert "已记工时。" in page.text and "撤销" in page.text
    entry = re.findall(r'name="entry" value="([^"]+)"', page.text)[0]
    page = await send(worker, path, "time", activity="telephone", minutes_spent="0")
    assert page.status_code == 422 and 'href="#minutes-spent"' in page.text
    page = await worker.get(f"{path}/time")
    assert "登记 15 分钟" in page.text and "电话服务" in page.text
    page = await send(worker, f"{path}/time", "void-time", entry=entry)
    assert "登记 0 分钟" in page.text and "已作废" in page.text


async def test_appointments_are_kept_missed_or_called_off_and_questions_go_to_the_hospital(
    world: World, browser: Any
) -> None:
    path = await mine(world)
    worker: Browser = await browser("worker-a")
    await worker.get(f"{path}/contacts")
    later = (datetime.now(SHANGHAI) + timedelta(days=2)).strftime("%Y-%m-%dT%H:%M")
    at = f"{path}/contacts"
    page = await send(worker, at, "visit", visit_type="companionship", visit_at="2020-01-01T09:00")
    assert page.status_code == 422 and "这个时间已经过了" in page.text
    for _ in range(3):
        page = await send(worker, at, "visit", visit_type="companionship", visit_at=later, visit_contact="home-visit")
        assert "已约定。" in page.text, shown(page)
    visits = re.findall(r'<input type="hidden" name="visit" value="([^"]+)">', page.text)
    page = await send(worker, at, "kept", visit=visits[0], of=visits[0], kept_minutes="40", kept_text="一起去看了房")
    assert "已记录。" in page.text and "陪伴探访" in page.text
    rest = [each for each in dict.fromkeys(visits) if each != visits[0]]
    assert "已记为未赴约。" in (await send(worker, at, "no-show", visit=rest[0])).text
    assert "约定已取消。" in (await send(worker, at, "no-show", visit=rest[1], why="called-off")).text
    assert "一起去看了房" in (await worker.get(path)).text
    page = await send(worker, path, "ask", question="家属什么时候能到？")
    assert "问题已发给医院" in page.text and "家属什么时候能到？" in page.text


async def test_an_instrument_is_filled_in_scored_by_the_service_and_suggests_to_a_person(
    world: World, browser: Any
) -> None:
    path = await mine(world)
    worker: Browser = await browser("worker-a")
    page = await worker.get(f"{path}/screening/gad-7")
    codes = [item.code for item in INSTRUMENTS["gad-7"].items if item.scored]
    page = await worker.post(f"{path}/screening/gad-7", {"once": once(page.text)} | dict.fromkeys(codes, "LA6570-1"))
    assert "筛查已保存" in page.text and ">14<" in page.text and "情绪心理" in page.text, shown(page)
    suggestion = re.findall(r'name="suggestion" value="([^"]+)"', page.text)[0]
    page = await send(worker, f"{path}/screening", "decide", suggestion=suggestion, of=suggestion, decision="dismiss")
    assert page.status_code == 422
    page = await send(
        worker,
        f"{path}/screening",
        "decide",
        suggestion=suggestion,
        of=suggestion,
        decision="dismiss",
        decide_why="已在疏导",
    )
    assert "您的决定已保存。" in page.text and "未采纳" in page.text
    # Item 9 raises a crisis whatever the total
    page = await worker.get(f"{path}/screening/phq-9")
    answers = {item.code: "LA6568-5" for item in INSTRUMENTS["phq-9"].items if item.scored} | {"44260-8": "LA6569-3"}
    page = await worker.post(f"{path}/screening/phq-9", {"once": once(page.text)} | answers)
    assert "筛查提示危险" in page.text and "确认：我来处理" in page.text, shown(page)
    assert "危机：" in (await worker.get("/cases")).text and "确认危机" in worker.page.text


async def test_files_are_uploaded_listed_opened_and_refused_with_the_reason(world: World, browser: Any) -> None:
    path = await mine(world)
    worker, colleague, other = await browser("worker-a"), await browser("worker-a2"), await browser("worker-b")

    async def upload(content: bytes, kind: str, **said: str) -> Any:
        page = await worker.get(f"{path}/documents")
        token = re.search(r'name="token" value="(\w+)"', page.text)
        assert token
        worker.page = await worker._http.post(
            f"{BASE}{path}/documents", data={"token": token[1], "once": once(page.text)} | said, files={"file": ("同意书.pdf", content, kind)},
            follow_redirects=True,
        )  # fmt: skip
        return worker.page

    page = await upload(b"%PDF-1.4 signed", "application/pdf", document="service-consent", title="签名页")
    assert page.status_code == 200 and "文件已上传。" in page.text and "签名页" in page.text, shown(page)
    file = re.findall(rf'href="({path}/files/[^"]+)"', page.text)[0]
    got = await worker.get(file)
    assert got.content == b"%PDF-1.4 signed" and got.headers["content-disposition"].startswith("attachment")
    assert (await colleague.get(file)).status_code == 404 and (await other.get(file)).status_code == 404
    page = await upload(b"MZ\x90\x00", "application/pdf")
    assert page.status_code == 422 and "文件内容和它的类型不一致" in page.text
    page = await upload(b"x", "text/html")
    assert page.status_code == 415 or page.status_code == 422
    page = await upload(b"%PDF-" + b"0" * 10_000_001, "application/pdf")
    assert page.status_code == 413 and "文件太大" in page.text
    page = await upload(b"", "application/pdf")
    assert page.status_code == 422 and "请选择要上传的文件" in page.text
    assert "知情同意（服务）书" not in (await worker.get("/cases")).text.partition("缺：")[2][:60]


async def test_a_case_changes_hands_is_held_resumed_and_opened_again(world: World, browser: Any) -> None:
    path = await mine(world)
    staff = await workers(world)
    worker, colleague = await browser("worker-a"), await browser("worker-a2")
    await worker.get(path)
    page = await send(worker, path, "hold", hold_why="")
    assert page.status_code == 422 and 'href="#hold-why"' in page.text
    assert "已暂停。" in (await send(worker, path, "hold", hold_why="转院检查")).text
    assert "已恢复服务。" in (await send(worker, path, "resume")).text
    a2 = staff["worker-a2"].split("/")[1]
    page = await send(worker, path, "transfer", transfer_to=a2, transfer_why="家近", transfer_note="女儿白天不在家")
    assert "个案已转交" in page.text and path not in page.text
    page = await colleague.get(f"{path}/team")
    assert "女儿白天不在家" in page.text and "林知行" in page.text
    await worker.get(path)
    assert (await send(worker, path, "hold", hold_why="再停")).status_code == 403
    page = await send(
        colleague, path, "complete", complete_code="goals-met", complete_why="好了", outcome_words="已安置"
    )
    assert "已结案" in page.text, shown(page)
    page = await send(colleague, path, "reopen", reopen_why="又需要照顾")
    assert page.status_code == 200 and "个案已重新开启" in page.text and path not in str(page.url), shown(page)


async def test_who_stands_in_reads_for_whom_and_who_is_away_that_somebody_does(world: World, browser: Any) -> None:
    path = await mine(world)
    staff = await workers(world)
    until = (datetime.now(SHANGHAI) + timedelta(days=7)).isoformat()
    given = await do(
        world.party("agency-a"),
        f"{staff['worker-a']}/$hand-over",
        to=staff["worker-a2"],
        reason="sickness",
        period={"end": until},
    )
    assert given.status == 200, given
    colleague, worker = await browser("worker-a2"), await browser("worker-a")
    assert "代管 林知行 的个案" in (await colleague.get("/cases")).text and path in colleague.page.text
    assert "代管 林知行 的个案" in (await colleague.get(path)).text
    assert "正在代管" in (await worker.get("/cases")).text and path not in worker.page.text


async def test_pages_of_cases_follow_each_other_and_neither_skip_nor_repeat(
    world: World, browser: Any, monkeypatch: Any
) -> None:
    from adapters.web.cases import mine as listing

    monkeypatch.setattr(listing, "AT_A_TIME", 2)
    made = [await mine(world) for _ in range(5)]
    for login, first in (("worker-a", "/cases?whose=mine"), ("supervisor-a", "/cases?whose=agency")):
        reader: Browser = await browser(login)
        found: list[str] = []
        at = first
        while at:
            text = (await reader.get(at)).text
            found += re.findall(r'class="open" href="(/cases/[^"]+)"', text)
            more = re.search(r'href="(/cases\?[^"]+)" rel="next"', text)
            at = more[1].replace("&amp;", "&") if more else ""
        assert sorted(found) == sorted(made), login
    assert (await reader.get("/cases?after=nonsense")).status_code == 200


async def test_a_card_is_printed_for_the_person_where_it_is_safe(world: World, browser: Any) -> None:
    safe, unsafe = await mine(world), await mine(world, "N12")
    worker: Browser = await browser("worker-a")
    page = await worker.get(f"{safe}/card")
    assert page.status_code == 200 and "script" not in page.text and NAME not in page.text, shown(page)
    page = await worker.get(f"{unsafe}/card")
    assert page.status_code == 422 and "不给这位服务对象打印卡片" in page.text


async def test_what_was_looked_at_and_done_is_in_the_audit_in_words_of_the_pages(world: World, browser: Any) -> None:
    path = await mine(world)
    worker: Browser = await browser("worker-a")
    await worker.get(path)
    await send(worker, path, "note", type="psych-support", text="面谈")
    async with world.as_owner() as owner:
        lines = await owner.fetch("SELECT interaction, outcome, cardinality(patients) AS n FROM audit WHERE interaction LIKE '%case%' ORDER BY at")  # fmt: skip
    assert [(each["interaction"], each["outcome"]) for each in lines] == [
        ("page-case-notes", "success"), ("case-note", "success"), ("page-case-notes", "success"),
    ]  # fmt: skip
    assert all(each["n"] for each in lines)


async def test_a_longer_list_and_a_fuller_case_ask_the_database_no_more_often(
    world: World, browser: Any, monkeypatch: Any
) -> None:
    asked: list[str] = []
    for way in ("fetch", "fetchrow", "fetchval", "execute"):
        real = getattr(Session, way)

        async def counted(self: Session, statement: str, *given: Any, _real: Any = real) -> Any:
            asked.append(statement)
            return await _real(self, statement, *given)

        monkeypatch.setattr(Session, way, counted)

    async def times(who: Browser, at: str) -> int:
        asked.clear()
        assert (await who.get(at)).status_code == 200
        return len(asked)

    path = await mine(world)
    worker: Browser = await browser("worker-a")
    before = [await times(worker, at) for at in ("/cases", path, f"{path}/goals")]
    share = await world.party("agency-a").read(f"Task/{path.rpartition('/')[2]}")
    for _ in range(3):
        await mine(world)
        await filled(world, share, "service-plan", "evaluation")
        await worker.get(path)
        await send(worker, path, "note", type="psych-support", text="面谈")
    after = [await times(worker, at) for at in ("/cases", path, f"{path}/goals")]
    assert after == before and max(after) <= 24, (before, after)
