"""The cases of a worker over HTTP: the list, the page, its forms, who may see what, and what a refusal leaves standing."""

import re
from typing import Any

from service.casework.forms import FORMS
from tests.http.staff import share_of, workers
from tests.http.world import World
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
