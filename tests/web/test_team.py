"""A supervisor's team: who has what, what to sign, what was escalated, how complete the files are, and work in other hands."""

import re
from datetime import timedelta
from typing import Any
from uuid import UUID

from adapters.web.dispatch import work
from service.values import utc_now
from tests.http.filing import file, filled
from tests.http.loop import done, procedure, sweep
from tests.http.staff import do, share_of, workers
from tests.http.test_hand_over import naming
from tests.http.world import World
from tests.web.conftest import Browser
from tests.web.test_dispatch import PERSON, words

TEAM = ("/team", "/team/work", "/team/approvals", "/team/escalations", "/team/files", "/team/hand-over", "/team/roster")
PLATFORM = ("/dispatch/agencies", "/dispatch/escalations", "/dispatch/roster")


def line(text: str, name: str) -> str:
    """A row of the table of work, by its name, in words."""
    rows = re.findall(r"<tr>.*?</tr>", text, re.S)
    return next(words(row) for row in rows if f">{name}</a>" in row)


async def plain(worker: str) -> str:
    return worker.partition("/")[2]


async def test_every_figure_of_the_team_is_counted_and_leads_to_its_list(world: World, browser: Any) -> None:
    staff = await workers(world)
    shares = [await share_of(world, staff["worker-a"]) for _ in range(3)]
    await share_of(world, staff["worker-a2"])
    await world.refer("N05")
    async with world.as_owner() as connection:
        await connection.execute(
            "UPDATE open_task SET due_at = now() - interval '1 hour' WHERE task_id = $1", UUID(shares[0]["id"])
        )
    supervisor: Browser = await browser("supervisor-a")
    page = await supervisor.get("/team")
    assert page.status_code == 200
    one = line(page.text, "林知行")
    assert "3 / 25" in one and "预估 3" in one
    found = dict(
        re.findall(
            r'show=([a-z-]+)">(\d+)</a>', next(r for r in re.findall(r"<tr>.*?</tr>", page.text, re.S) if "林知行" in r)
        )
    )
    assert found == {"working": "3", "late": "1"}
    assert "未指定社工" in page.text and "在办 4 · 预留 1" in page.text
    me = await plain(staff["worker-a"])
    for show, count in (("working", 3), ("late", 1), ("open", 3), ("offered", 0)):
        listed = await supervisor.get(f"/team/work?worker={me}&show={show}")
        assert listed.text.count('name="task"') == count, show
    assert f"/cases/{shares[0]['id']}" in (await supervisor.get(f"/team/work?worker={me}&show=late")).text
    assert (await supervisor.get(f"/team/work?worker={me}&phase=assessment")).text.count('name="task"') == 3
    assert "选择" in (await supervisor.get("/team/work?worker=nobody&show=offered")).text
    names = re.findall(
        r'class="open" href="/team/work\?[^"]+">([^<]+)</a>', (await supervisor.get("/team?sort=name")).text
    )
    assert names == sorted(names)
    busiest = re.findall(
        r'class="open" href="/team/work\?[^"]+">([^<]+)</a>', (await supervisor.get("/team?sort=working")).text
    )
    assert busiest[0] == "林知行"


async def test_the_coordinator_compares_agencies_and_reads_behind_each_number(world: World, browser: Any) -> None:
    await world.accepted(await world.refer("N05"))
    await world.refer("N05")
    await world.refer("N06")
    coordinator: Browser = await browser("coordinator")
    page = await coordinator.get("/dispatch/agencies?sort=working")
    one = line(page.text, "同行社会工作服务中心")
    assert "在办 1 · 预留 1 · 空余 498 / 共 500" in one and "接案 1" in one and "确认" in one
    assert "预留 1" in line(page.text, "暖光社会工作服务中心")
    links = re.findall(r'href="(/dispatch/work\?agency=[0-9a-f-]+&amp;show=working)"', page.text)
    assert len(links) == 1
    listed = await coordinator.get(links[0].replace("&amp;", "&"))
    assert listed.text.count('class="row ') == 1 and 'name="task"' not in listed.text
    assert (await coordinator.get("/dispatch/work?agency=none")).status_code == 404


async def test_lists_page_by_key(world: World, browser: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(work, "AT_A_TIME", 2)
    staff = await workers(world)
    shares = {(await share_of(world, staff["worker-a"]))["id"] for _ in range(3)}
    supervisor: Browser = await browser("supervisor-a")
    seen: list[str] = []
    path: str | None = f"/team/work?worker={await plain(staff['worker-a'])}&show=open"
    while path:
        page = await supervisor.get(path)
        seen += re.findall(r'name="task" value="([0-9a-f-]+)"', page.text)
        more = re.search(r'href="([^"]+)" rel="next"', page.text)
        path = more[1].replace("&amp;", "&") if more else None
    assert len(seen) == 3 and set(seen) == shares


async def to_sign(world: World) -> dict[str, Any]:
    """A case in planning whose plan nobody has signed."""
    staff = await workers(world)
    share = await share_of(world, staff["worker-a"])
    await filled(world, share, "intake-form", "service-consent", "risk-screen", "needs-assessment", "problem-list", "service-plan", "client-agreement")  # fmt: skip
    for to in ("assessment", "plan"):
        done(await do(world.party("agency-a"), f"Task/{share['id']}/$advance", to=to))
    return share


async def test_a_plan_is_given_back_with_words_and_then_signed(world: World, browser: Any) -> None:
    share = await to_sign(world)
    supervisor: Browser = await browser("supervisor-a")
    page = await supervisor.get("/team/approvals")
    assert (
        "服务计划" in page.text
        and PERSON in page.text
        and "林知行" in page.text
        and f"/cases/{share['id']}" in page.text
    )
    where = f"/team/approvals/{share['id']}"
    version = re.search(r'name="version" value="(\d+)"', page.text)
    assert version
    form = {"document": "service-plan", "version": version[1]}
    empty = await supervisor.post(f"{where}/return", form | {"words": " ", "once": "1"})
    assert empty.status_code == 422 and f'href="#words-{share["id"]}"' in empty.text
    back = await supervisor.post(f"{where}/return", form | {"words": "目标要写清由谁衡量", "once": "2"})
    assert "已退回" in back.text and "没有等您签批的文书" in back.text
    twice = await supervisor.post(f"{where}/return", form | {"words": "目标要写清由谁衡量", "once": "3"})
    assert twice.status_code == 409, "it was given back already"
    async with world.as_owner() as connection:
        kept = await connection.fetch("SELECT document, words FROM case_return")
    assert [(row["document"], row["words"]) for row in kept] == [("service-plan", "目标要写清由谁衡量")]
    worker: Browser = await browser("worker-a")
    assert "督导退回：目标要写清由谁衡量" in (await worker.get(f"/cases/{share['id']}/supervision")).text
    await filled(world, share, "service-plan")
    page = await supervisor.get("/team/approvals")
    assert "服务计划" in page.text, "a new one is looked at again"
    stale = await supervisor.post(f"{where}/sign", {"document": "service-plan", "version": "7", "once": "4"})
    assert stale.status_code == 409, "nobody signs what they have not read"
    signed = await supervisor.post(
        f"{where}/sign", {"document": "service-plan", "version": "1", "note": "同意", "once": "5"}
    )
    assert "已签批" in signed.text and "没有等您签批的文书" in signed.text
    done(await do(world.party("agency-a"), f"Task/{share['id']}/$advance", to="intervention"))


async def test_only_a_supervisor_signs_and_never_their_own_case(world: World, browser: Any) -> None:
    share = await to_sign(world)
    worker: Browser = await browser("worker-a")
    for act in ("sign", "return"):
        refused = await worker.post(
            f"/team/approvals/{share['id']}/{act}", {"document": "service-plan", "words": "x", "once": "1"}
        )
        assert refused.status_code == 403
    staff = await workers(world)
    done(
        await do(
            world.party("agency-a"), f"Task/{share['id']}/$transfer", to=staff["supervisor-a"], reason="r", note="n"
        )
    )
    supervisor: Browser = await browser("supervisor-a")
    page = await supervisor.get("/team/approvals")
    assert "这是您自己的个案" in page.text and f"/team/approvals/{share['id']}/sign" not in page.text
    own = await supervisor.post(
        f"/team/approvals/{share['id']}/sign", {"document": "service-plan", "version": "1", "once": "2"}
    )
    assert own.status_code == 403


async def test_the_figures_of_completeness_are_those_of_the_interface(world: World, browser: Any) -> None:
    share = await to_sign(world)
    staff = await workers(world)
    other = await share_of(world, staff["worker-a2"])
    await filled(world, other, "intake-form")
    agency = world.party("agency-a")
    # What was done for no goal is a broken link.
    done(await agency.post("Procedure", procedure(other)))
    supervisor: Browser = await browser("supervisor-a")
    page = await supervisor.get("/team/files")
    files = [await file(agency, each) for each in (share, other)]
    async with world.as_owner() as connection:
        row = await connection.fetchrow(
            "SELECT sum(required) AS required, sum(present) AS present FROM case_file WHERE closed_at IS NULL"
        )
    assert f"应有文书 {row['required']} 份，已有 {row['present']} 份" in page.text
    for each, case in zip(files, (share, other), strict=True):
        async with world.as_owner() as connection:
            kept = await connection.fetchrow(
                "SELECT required, present FROM case_file WHERE task_id = $1", UUID(case["id"])
            )
        assert (kept["present"] * 100 // kept["required"] if kept["required"] else 100) == each.completeness
    assert ("没有缺文书的个案" in page.text) == all(each.completeness == 100 for each in files)
    async with world.as_owner() as connection:
        await connection.execute("UPDATE case_plan SET review_at = now() - interval '2 days'")
    assert "服务计划复核已超时 2 天" in (await supervisor.get("/team/files?show=reviews")).text
    broken = await supervisor.get("/team/files?show=broken")
    told = await world.http.get("http://yuanshe.test/quality/orphans", headers={"authorization": f"Bearer {world.said['clients']['agency-a']['access_token']}"})  # fmt: skip
    orphans = told.json()["orphans"]
    assert broken.text.count('class="slip"') == len(orphans) > 0
    assert all(each["zh"] in broken.text and each["task"].replace("Task", "/cases") in broken.text for each in orphans)


async def test_what_was_escalated_says_to_whom_and_who_has_seen_it(world: World, browser: Any) -> None:
    referred = await world.refer("N05")
    await world.accepted(referred)
    supervisor: Browser = await browser("supervisor-a")
    assert "没有升级的事项" in (await supervisor.get("/team/escalations")).text
    ahead = utc_now() + timedelta(days=4)
    await sweep(world, "remind", ahead)
    page = await supervisor.get("/team/escalations")
    assert "已升级给督导" in page.text and PERSON in page.text
    form = {name: re.search(rf'name="{name}" value="([^"]+)"', page.text)[1] for name in ("what", "since")}  # pyright: ignore
    where = f"/escalations/{referred.id}/seen"
    seen = await supervisor.post(where, form | {"note": "下午陪同首次联系", "once": "1"})
    assert (
        "已记下：您知道了" in seen.text
        and "许静安" in seen.text
        and "下午陪同首次联系" in seen.text
        and where not in seen.text
    )
    await supervisor.get("/team")
    assert (await supervisor.post(where, form | {"once": "2"})).status_code == 409, "once is enough"
    await supervisor.get("/team")
    assert (await supervisor.post(where, form | {"what": "other", "once": "3"})).status_code == 409
    coordinator: Browser = await browser("coordinator")
    page = await coordinator.get("/dispatch/escalations")
    assert "已升级给督导和协调员" in page.text and "下午陪同首次联系" not in page.text, (
        "each organisation sees to it for itself"
    )
    worker: Browser = await browser("worker-a")
    assert (await worker.post(where, form | {"once": "4"})).status_code == 403


async def test_work_is_previewed_handed_over_with_one_exception_and_given_back(world: World, browser: Any) -> None:
    staff = await workers(world)
    for _ in range(3):
        await share_of(world, staff["worker-a"])
    barred = await barred_from(world, staff["worker-a"], staff["worker-a2"])
    supervisor: Browser = await browser("supervisor-a")
    absent, colleague, third = [await plain(staff[key]) for key in ("worker-a", "worker-a2", "supervisor-a")]
    form = {"absent": absent, "colleague": colleague, "reason": "leave", "begins": "", "ends": ""}
    await supervisor.get("/team/hand-over")
    page = await supervisor.post("/team/hand-over/preview", form)
    assert "手上有 4 项，都会交给周明远" in page.text and "其中 1 项不能交给这位同事" in page.text
    assert page.text.count("可以交接") == 3 and f'name="other-{barred["id"]}"' in page.text
    assert page.text.index(f'name="other-{barred["id"]}"') < page.text.index("可以交接"), (
        "what stands in the way stands first"
    )
    refused = await supervisor.post("/team/hand-over", form | {"once": "1"})
    assert refused.status_code == 422 and "什么都没有移交" in refused.text
    assert (await naming(world, staff["worker-a"]))["tasks"] == 4, "nothing moved"
    made = await supervisor.post(
        "/team/hand-over", form | {f"other-{barred['id']}": third, "words": "请先打电话", "once": "2"}
    )
    assert made.status_code == 200 and "已交接" in made.text and "交了 3 项" in made.text
    assert (await naming(world, staff["worker-a"]))["tasks"] == 0
    assert (await naming(world, staff["worker-a2"]))["tasks"] == 3 and (await naming(world, staff["supervisor-a"]))[
        "tasks"
    ] == 1
    back = await supervisor.post(f"/team/workers/{absent}/back", {"once": "3"})
    assert "已交还" in back.text and (await naming(world, staff["worker-a"]))["tasks"] == 3


async def barred_from(world: World, owner: str, other: str) -> Any:
    """A share of `owner`'s with a person whom `other` had declared to be close to."""
    agency, phone = world.party("agency-a"), "13900000077"
    assert (await do(agency, f"{other}/$declare-conflict", phone=phone)).status == 204
    referred = await world.refer("N05", patient={"telecom": [{"system": "phone", "value": phone}]})
    return done(await agency.put(await world.accepted(referred), status="in-progress", owner={"reference": owner}))


async def test_several_cases_are_transferred_each_by_itself(world: World, browser: Any) -> None:
    staff = await workers(world)
    shares = [await share_of(world, staff["worker-a"]) for _ in range(2)]
    shares.insert(1, await barred_from(world, staff["worker-a"], staff["worker-a2"]))
    supervisor: Browser = await browser("supervisor-a")
    me, colleague = await plain(staff["worker-a"]), await plain(staff["worker-a2"])
    await supervisor.get(f"/team/work?worker={me}&show=open")
    where = f"/team/transfer?worker={me}&show=open"
    ids = [share["id"] for share in shares]
    lacking = await supervisor.post(where, {"task": ids, "to": "", "reason": "", "note": "", "once": "1"})  # pyright: ignore
    assert lacking.status_code == 422 and 'href="#to"' in lacking.text and lacking.text.count(" checked") == 3
    form = {"task": ids, "to": colleague, "reason": "分片调整", "note": "家属周末在", "once": "2"}
    made = await supervisor.post(where, form)  # pyright: ignore
    assert made.status_code == 200 and "2 条已转给 周明远" in made.text and "1 条没有转" in made.text
    assert f"/cases/{ids[1]}" in made.text and "利益冲突" in made.text
    assert (await naming(world, staff["worker-a2"]))["tasks"] == 2 and (await naming(world, staff["worker-a"]))[
        "tasks"
    ] == 1


async def test_the_roster_says_who_is_on_duty_and_where_nobody_is(world: World, browser: Any) -> None:
    supervisor: Browser = await browser("supervisor-a")
    assert "现在没有人值班" in (await supervisor.get("/team/roster")).text
    async with world.as_owner() as connection:
        agency = UUID(await plain(world.organizations["agency-a"]))
        await connection.execute(
            """INSERT INTO duty_shift (id, organization_id, begins_at, ends_at, first, updated_at)
               VALUES (gen_random_uuid(), $1, now() - interval '1 hour', now() + interval '5 hours', '{"name": "林督导", "phone": "0857-8220101"}', now())""",
            agency,
        )
    page = await supervisor.get("/team/roster")
    assert (
        "林督导" in page.text
        and "tel:0857-8220101" in page.text
        and "只有一人值班" in page.text
        and "星河医院" not in page.text
    )
    coordinator: Browser = await browser("coordinator")
    page = await coordinator.get("/dispatch/roster")
    assert "星河医院" in page.text and "林督导" in page.text


async def test_the_wrong_role_is_refused_on_every_page(world: World, browser: Any) -> None:
    for login, paths in (
        ("nurse-a", (*TEAM, *PLATFORM)), ("worker-a", (*TEAM, *PLATFORM)), ("coordinator", ("/team", "/team/approvals", "/team/hand-over", "/team/files")),
        ("supervisor-a", ("/dispatch/agencies", "/dispatch")), ("bureau", (*TEAM, *PLATFORM)),
    ):  # fmt: skip
        one: Browser = await browser(login)
        for path in paths:
            assert (await one.get(path)).status_code == 403, (login, path)
    nurse: Browser = await browser("nurse-a")
    for path in ("/team/hand-over", "/team/hand-over/preview", "/team/transfer"):
        assert (await nurse.post(path, {"once": "1"})).status_code == 403


async def test_a_name_stands_on_no_page_of_who_may_not_read_it(world: World, browser: Any) -> None:
    referred = await world.refer("N12")
    await world.offer(referred)
    supervisor: Browser = await browser("supervisor-a")
    listed = await supervisor.get("/team/work?show=open")
    assert "人身安全" in listed.text and PERSON not in listed.text and "家暴" not in listed.text
    await world.accepted(referred, consent=False)
    for path in ("/team/work?show=open", "/crises/all", "/team/approvals", "/team/files", "/team/escalations"):
        page = await supervisor.get(path)
        assert PERSON not in page.text and "星河医院" not in page.text.replace("等待「星河医院」", ""), path
