"""The queue over HTTP: what each view holds, what a row may say, the acts and who was quicker, filters, saved views, many at once."""

import re
from datetime import timedelta
from typing import Any

from adapters.web.queue import looking
from service.access import flow as access
from service.access.model import NewAccount, operator
from service.casework import bulk_flow
from service.values import Id, utc_now
from tests.http.loop import crisis
from tests.http.test_claims import open_offer, withdrawn_first
from tests.http.world import World
from tests.web.conftest import Browser

NAME = "陈素芬"


def listed(page: str) -> list[str]:
    """The Tasks of the list, in its order."""
    rows = page.split('<ol class="rows" data-rows data-list>', 1)
    return (
        re.findall(r'<li class="row [^"]*" data-task="([\w-]+)"', rows[1].split("</ol>\n  <nav", 1)[0])
        if len(rows) > 1
        else []
    )


def counted(page: str) -> dict[str, str]:
    return dict(re.findall(r'data-count="([\w-]+)">([\d+]+)<', page))


async def act(visitor: Browser, task: str, act: str, view: str = "offers", **said: str) -> Any:
    """Open the row and send the form of an act on it."""
    await visitor.get(f"/queue?view={view}&open={task}")
    once = re.search(r'name="once" value="([\w-]+)"', visitor.page.text)
    assert once
    return await visitor.post(
        "/queue/act", {"act": act, "task": task, "view": view, "q": "", "once": once[1]} | said
    )  # fmt: skip


# ---- views -------------------------------------------------------------------------------------------------------------


async def test_each_view_holds_what_it_says_and_counts_it(world: World, browser) -> None:
    agency = world.party("agency-a")
    offered, taken, asked, unconsented, held, late, up = [
        await world.refer(need) for need in ("N05", "N05", "N05", "N01", "N05", "N02", "N03")
    ]
    tasks = {"offered": (await world.offer(offered))["id"], "late": (await world.offer(late))["id"]}
    tasks["up"] = (await world.offer(up))["id"]
    await world.party("his-a").post("Communication", crisis("raised", up.request, "有自伤表达"))
    for name, referred in (("taken", taken), ("asked", asked), ("held", held)):
        tasks[name] = (await world.accepted(referred))["id"]
    tasks["unconsented"] = (await world.accepted(unconsented, consent=False))["id"]
    share = await agency.read(f"Task/{tasks['held']}")
    assert (await agency.put(share, status="in-progress")).status == 200
    share = await agency.read(f"Task/{tasks['held']}")
    assert (await agency.put(share, status="on-hold", statusReason={"text": "回老家"})).status == 200
    worker: Browser = await browser("worker-a")
    await act(worker, tasks["taken"], "assign", "unassigned", worker=await own_worker(world))
    assert worker.page.status_code == 200 and "已指派" in worker.page.text, worker.page.text
    await act(worker, tasks["asked"], "ask", "unassigned", words="家属何时能到？")
    assert "问题已发给医院" in worker.page.text
    async with world.as_owner() as owner:
        await owner.execute(
            "UPDATE open_task SET due_at = now() - interval '1 hour' WHERE task_id = $1", Id(tasks["late"])
        )
    expected = {
        "all": set(tasks.values()),
        "offers": {tasks["offered"], tasks["late"], tasks["up"]},
        "unassigned": {tasks["asked"], tasks["unconsented"]},
        "mine": {tasks["taken"]},
        "waiting": {tasks["asked"], tasks["unconsented"]},
        "overdue": {tasks["late"]},
        "held": {tasks["held"]},
        "crises": {tasks["up"]},
    }
    for view, inside in expected.items():
        page = (await worker.get(f"/queue?view={view}")).text
        assert set(listed(page)) == inside, view
        assert counted(page)[view] == str(len(inside)), view
    assert listed((await worker.get("/queue")).text)[0] == tasks["up"], "the most urgent stands first"


async def overdue(world: World, *tasks: str) -> None:
    """Let the limits of these Tasks have passed, each a second after the one before."""
    async with world.as_owner() as owner:
        for at, task in enumerate(tasks):
            past = utc_now() - timedelta(hours=1, seconds=-at)
            await owner.execute("UPDATE open_task SET due_at = $2 WHERE task_id = $1", Id(task), past)
            await owner.execute(
                "UPDATE task_version SET snapshot = jsonb_set(snapshot::jsonb, '{due_at}', to_jsonb($2::text))::json WHERE task_id = $1",
                Id(task), past.isoformat(),
            )  # fmt: skip


async def own_worker(world: World, login: str = "worker-a") -> str:
    async with world.as_owner() as owner:
        return str(await owner.fetchval("SELECT worker_id FROM account WHERE login = $1", login))


async def test_every_empty_view_says_what_will_appear_and_how(world: World, browser) -> None:
    worker: Browser = await browser("worker-b")
    for view, words in (("offers", "按 a 接单"), ("held", "恢复的日期"), ("crises", "计时日夜不停"), ("mine", "按 n")):
        assert words in (await worker.get(f"/queue?view={view}")).text
    english = await browser("worker-b", **{"accept-language": "en"})
    assert "Nothing is overdue." in (await english.get("/queue?view=overdue")).text


async def test_counts_stop_at_99(world: World, browser) -> None:
    await copies(world, 130)
    worker: Browser = await browser("worker-a")
    page = (await worker.get("/queue?view=offers")).text
    assert counted(page)["offers"] == "99+" and counted(page)["held"] == "0"


async def test_pages_follow_each_other_and_neither_skip_nor_repeat(world: World, browser, monkeypatch) -> None:
    monkeypatch.setattr(looking, "AT_A_TIME", 2)
    made = [(await world.offer(await world.refer("N05")))["id"] for _ in range(5)]
    await overdue(world, *made)
    worker: Browser = await browser("worker-a")
    for view in ("all", "offers", "overdue"):
        seen: list[str] = []
        path = f"/queue?view={view}"
        while path:
            text = (await worker.get(path)).text
            seen += listed(text)
            found = re.search(r'href="(/queue\?[^"]*after=[^"]*)" rel="next"', text)
            path = found[1].replace("&amp;", "&") if found else ""
        assert sorted(seen) == sorted(made) and len(seen) == 5, view
    assert (await worker.get("/queue?after=nonsense&view=nonsense&q=nonsense")).status_code == 200


# ---- disclosure --------------------------------------------------------------------------------------------------------


async def test_a_row_says_no_more_of_a_person_than_its_tier(world: World, browser) -> None:
    offered, taken = await world.refer("N05"), await world.refer("N05")
    offer = (await world.offer(offered))["id"]
    share = await world.accepted(taken, consent=False)
    worker: Browser = await browser("worker-a")
    for path in (
        "/queue",
        f"/queue?open={offer}",
        f"/queue?open={share['id']}",
        f"/queue/row/{share['id']}",
        f"/queue/rows?tasks={offer}",
    ):
        page = await worker.get(path)
        assert page.status_code == 200 and NAME not in page.text and "13800000001" not in page.text, path
    assert "身份未开放" in (await worker.get(f"/queue/row/{offer}")).text
    await world.consent(taken, "agency-a")
    assert NAME in (await worker.get("/queue?view=unassigned")).text
    assert NAME in (await worker.get(f"/queue/row/{share['id']}")).text
    assert NAME not in (await worker.get("/queue?view=offers")).text


async def test_of_a_safety_need_nobody_learns_which_by_filtering(world: World, browser) -> None:
    referred = await world.refer("N13")
    offer = (await world.offer(referred))["id"]
    worker: Browser = await browser("worker-a")
    page = (await worker.get(f"/queue?open={offer}")).text
    assert listed(page) == [offer]
    shown = page.split("data-list", 1)[1]
    assert (
        "虐待" not in shown.split('id="many"')[0]
        and "人身安全" in shown
        and "七星关区" in shown
        and "星河医院" not in shown
    )
    for need in ("N11", "N12", "N13", "N14"):
        assert listed((await worker.get(f"/queue?q={need}")).text) == [], need
    assert listed((await worker.get("/queue?q=safety")).text) == [offer]
    await world.accepted(referred)
    assert listed((await worker.get("/queue?q=N13")).text) == [offer], "whom it knows it knows the need of"


async def test_what_is_not_the_agencys_is_not_there(world: World, browser) -> None:
    offer = (await world.offer(await world.refer("N05")))["id"]
    other: Browser = await browser("worker-b")
    assert listed((await other.get("/queue")).text) == []
    page = await other.get(f"/queue/row/{offer}")
    assert "本机构看不到了" in page.text and "N05" not in page.text
    refused = await act(other, offer, "accept")
    assert refused.status_code == 404
    for login in ("nurse-a", "coordinator", "bureau"):
        someone: Browser = await browser(login)
        assert (await someone.get("/queue")).status_code == 403, login


# ---- acts --------------------------------------------------------------------------------------------------------------


async def test_who_accepts_has_the_case_and_may_undo_it(world: World, browser) -> None:
    referred, after = await world.refer("N05"), await world.refer("N05")
    offer, following = (await world.offer(referred))["id"], (await world.offer(after))["id"]
    worker: Browser = await browser("worker-a")
    page = await act(worker, offer, "accept")
    assert "已接单" in page.text and 'data-key="u"' in page.text
    assert f"open={following}" in str(page.url), "the next offer is open"
    assert re.search(rf'href="[^"]*open={offer}"[^>]*>出院安置与过渡</a>', page.text), "and what was accepted is named"
    share = await world.party("agency-a").read(f"Task/{offer}")
    assert share["status"] == "accepted" and share["owner"]["reference"].endswith(await own_worker(world))
    assert listed((await worker.get("/queue?view=mine")).text) == [offer]
    page = await act(worker, offer, "return", "mine")
    assert "已退回" in page.text and listed(page.text) == []
    share = await world.party("agency-a").read(f"Task/{offer}")
    assert share["status"] == "cancelled"


async def test_what_is_held_is_resumed_at_one_key(world: World, browser) -> None:
    share = await world.accepted(await world.refer("N05"))
    worker: Browser = await browser("worker-a")
    assert "已开始服务" in (await act(worker, share["id"], "start", "unassigned")).text
    missing = await act(worker, share["id"], "hold", "mine", words=" ")
    assert missing.status_code == 422 and "请写几句说明" in missing.text
    past = await act(worker, share["id"], "hold", "mine", words="住院检查", until="2020-01-01T09:00")
    assert past.status_code == 422 and "住院检查" in past.text and "2020-01-01T09:00" in past.text, (
        "what was typed stays"
    )
    page = await act(worker, share["id"], "hold", "mine", words="住院检查")
    assert "已暂停" in page.text and 'value="resume" data-key="u"' in page.text
    assert "已恢复服务" in (await act(worker, share["id"], "resume", "held")).text


async def test_a_refusal_needs_a_reason_of_the_list_and_finds_its_own_words(world: World, browser) -> None:
    referred = await world.refer("N05")
    offer = (await world.offer(referred))["id"]
    worker: Browser = await browser("worker-a")
    for code in ("", "expired", "nonsense"):
        page = await act(worker, offer, "decline", reason=code)
        assert page.status_code == 422 and "请从列表中选择退单原因" in page.text
    assert "已退单" in (await act(worker, offer, "decline", reason="no-capacity")).text
    share = await world.party("agency-a").read(f"Task/{offer}")
    assert share["status"] == "rejected" and share["statusReason"]["text"] == "名额已满"


async def test_a_form_sent_twice_acts_once(world: World, browser) -> None:
    offer = (await world.offer(await world.refer("N05")))["id"]
    worker: Browser = await browser("worker-a")
    await worker.get(f"/queue?view=offers&open={offer}")
    once = re.search(r'name="once" value="([\w-]+)"', worker.page.text)
    assert once
    said = {"act": "accept", "task": offer, "view": "offers", "q": "", "once": once[1]}
    token = re.search(r'name="token" value="(\w+)"', worker.page.text)
    assert token
    first = await worker.post("/queue/act", said | {"token": token[1]}, token=False)
    again = await worker.post("/queue/act", said | {"token": token[1]}, token=False)
    assert first.status_code == again.status_code == 200 and "已接单" in again.text
    async with world.as_owner() as owner:
        assert await owner.fetchval("SELECT count(*) FROM event WHERE kind = 'accept'") == 1
    foreign = await worker.post("/queue/act", said, token=False)
    assert foreign.status_code == 403


async def test_the_slower_of_two_is_told_who_was_quicker_and_gets_the_next(world: World, browser) -> None:
    first, second = [(await world.offer(await world.refer("N05")))["id"] for _ in range(2)]
    quick: Browser = await browser("worker-a")
    slow: Browser = await browser("worker-a2")
    await slow.get(f"/queue?view=offers&open={first}")
    await act(quick, first, "accept")
    for act_, said in (("accept", {}), ("decline", {"reason": "no-capacity"})):
        page = await slow.post("/queue/act", {"act": act_, "task": first, "view": "offers", "q": ""} | said)
        assert (
            page.status_code == 409
            and "林知行" in page.text
            and "已经接了这一条" in page.text
            and "data-taken" in page.text
        )
        assert f'data-full="{second}"' in page.text, "the next one is open"
    share = await world.party("agency-a").read(f"Task/{first}")
    assert share["owner"]["reference"].endswith(await own_worker(world)), "nobody took it from who was quicker"


async def test_an_offer_that_is_open_to_several_is_claimed_and_the_slower_agency_is_told(world: World, browser) -> None:
    referred = await withdrawn_first(world, "N05")
    offer = (await open_offer(world, referred))["id"]
    worker: Browser = await browser("worker-a")
    other: Browser = await browser("worker-b")
    for visitor in (worker, other):
        page = (await visitor.get("/queue?view=offers")).text
        assert listed(page) == [offer] and counted(page)["offers"] == counted(page)["all"] == "1"
        assert listed((await visitor.get("/queue?view=offers&q=N05+r520502001")).text) == [offer]
        assert listed((await visitor.get("/queue?q=N09")).text) == []
    await other.get(f"/queue?view=offers&open={offer}")
    page = await act(worker, offer, "claim")
    assert "已认领" in page.text and listed((await worker.get("/queue?view=mine")).text) == [offer]
    page = await other.post("/queue/act", {"act": "claim", "task": offer, "view": "offers", "q": ""})
    assert page.status_code == 409 and "别人先了一步" in page.text and listed(page.text) == []


async def test_next_leads_to_the_most_urgent_that_nobody_has_and_claims_nothing(world: World, browser) -> None:
    calm, urgent = await world.refer("N02"), await world.refer("N09", request={"priority": "asap"})
    worker: Browser = await browser("worker-a")
    tasks = {name: (await world.offer(referred))["id"] for name, referred in (("calm", calm), ("urgent", urgent))}
    page = await worker.get("/queue/next")
    assert f'data-full="{tasks["urgent"]}"' in page.text
    page = await worker.get(f"/queue/next?open={tasks['urgent']}")
    assert f'data-full="{tasks["calm"]}"' in page.text, "again leads on"
    page = await worker.get(f"/queue/next?open={tasks['calm']}")
    assert f'data-full="{tasks["urgent"]}"' in page.text, "and round"
    assert (await world.party("agency-a").read(f"Task/{tasks['urgent']}"))["status"] == "requested"
    other: Browser = await browser("worker-b")
    assert "没有无人处理的转介了" in (await other.get("/queue/next")).text


async def test_only_a_supervisor_assigns_to_others(world: World, browser) -> None:
    share = (await world.accepted(await world.refer("N05")))["id"]
    worker: Browser = await browser("worker-a")
    other = await own_worker(world, "worker-a2")
    page = await act(worker, share, "assign", "unassigned", worker=other)
    assert page.status_code == 403 and "只有督导" in page.text
    supervisor: Browser = await browser("supervisor-a")
    assert "已指派" in (await act(supervisor, share, "assign", "unassigned", worker=other)).text
    assert listed((await (await browser("worker-a2")).get("/queue?view=mine")).text) == [share]


# ---- filter and saved views --------------------------------------------------------------------------------------------


async def test_words_become_tokens_and_no_name_ever_stands_in_an_address(world: World, browser) -> None:
    wanted = (await world.offer(await world.refer("N09", request={"priority": "asap"})))["id"]
    await world.offer(await world.refer("N05"))
    worker: Browser = await browser("worker-a")
    await worker.get("/queue")
    page = await worker.post("/queue/filter", {"words": "紧急 未接 市西 N09", "view": "all"})
    assert "q=asap+offered+r520502001+N09" in str(page.url) and listed(page.text) == [wanted]
    assert 'value="紧急 未接 市西街道 N09"' in page.text, "the box says it in words"
    page = await worker.post("/queue/filter", {"words": f"紧急 {NAME}", "view": "all"})
    assert (
        str(page.url).endswith("/queue/filter")
        and f"不认识这些词：{NAME}" in page.text
        and listed(page.text) == [wanted]
    )
    assert (
        (await worker.post("/queue/filter", {"words": "星河医院 逾期", "view": "offers"}))
        .url.params["q"]
        .endswith("late")
    )
    english = await browser("worker-a", **{"accept-language": "en"})
    await english.get("/queue")
    page = await english.post("/queue/filter", {"words": "urgent unanswered", "view": "all"})
    assert listed(page.text) == [wanted] and 'value="Urgent Unanswered"' in page.text


async def test_a_view_is_kept_and_shared_with_the_team_and_with_nobody_else(world: World, browser) -> None:
    worker: Browser = await browser("worker-a")
    for name, shared in (("只给我", ""), ("大家的", "yes")):
        await worker.get("/queue?view=offers&q=asap+N05")
        page = await worker.post("/queue/saved", {"name": name, "view": "offers", "q": "asap N05", **({"shared": shared} if shared else {})})  # fmt: skip
        assert page.status_code == 200 and "视图已保存" in page.text and name in page.text
    colleague: Browser = await browser("worker-a2")
    page = (await colleague.get("/queue")).text
    assert "大家的" in page and "只给我" not in page
    other: Browser = await browser("worker-b")
    page = (await other.get("/queue")).text
    assert "大家的" not in page and "只给我" not in page
    mine = re.findall(r"/queue/saved/([\w-]+)/drop", (await worker.get("/queue")).text)
    assert len(mine) == 2
    assert not re.findall(r"/queue/saved/([\w-]+)/drop", (await colleague.get("/queue")).text), "a colleague's stays"
    for visitor in (colleague, other):
        await visitor.get("/queue")
        assert (await visitor.post(f"/queue/saved/{mine[1]}/drop", {})).status_code == 404
    await worker.get("/queue")
    assert "视图已删除" in (await worker.post(f"/queue/saved/{mine[1]}/drop", {})).text
    assert "大家的" not in (await colleague.get("/queue")).text
    await worker.get("/queue?q=asap")
    page = await worker.post("/queue/saved", {"name": " ", "view": "all", "q": "asap"})
    assert page.status_code == 422 and "请给视图起个名字" in page.text


# ---- what changed ------------------------------------------------------------------------------------------------------


async def test_rows_say_what_became_of_them(world: World, browser) -> None:
    taken, withdrawn, left = [await world.refer("N05") for _ in range(3)]
    tasks = [(await world.offer(referred))["id"] for referred in (taken, withdrawn, left)]
    await act(await browser("worker-a2"), tasks[0], "accept")
    request = await world.party("his-a").read(withdrawn.request)
    await world.party("his-a").put(request, status="revoked")
    worker: Browser = await browser("worker-a")
    page = (await worker.get(f"/queue/rows?view=offers&tasks={'+'.join(tasks)}+{Id(int=9)}")).text
    name = world.said["people"]["worker-a2"]["name"]
    assert f"已由 {name} 接单" in page and f'data-gone="{tasks[1]}"' in page and "已撤回" in page
    assert re.findall(r'data-inside="([\w-]+)"', page) == [tasks[2]]
    assert f'data-gone="{Id(int=9)}">已由其他机构接单，或已收回' in page


# ---- many at once ------------------------------------------------------------------------------------------------------


async def copies(world: World, count: int) -> None:
    """So many more offers to agency-a, set by set: copies of a real one, each of a referral of its own that has ended."""
    offer = await world.offer(await world.refer("N05"))
    async with world.as_owner() as owner:
        await owner.execute(
            """INSERT INTO open_task (task_id, agency_id, hospital_id, urgency_rank, due_at, version, status, needs, kind, says, region)
               SELECT gen_random_uuid(), agency_id, hospital_id, urgency_rank, due_at + i * interval '1 second', version, status, needs,
                   kind, says, region
               FROM open_task, generate_series(1, $2::int) AS i WHERE task_id = $1""",
            Id(offer["id"]), count,
        )  # fmt: skip


async def begun(visitor: Browser, tasks: list[str], act: str, **said: str) -> str:
    """Send the form of many; the path of its page."""
    token = re.search(r'name="token" value="(\w+)"', (await visitor.get("/queue")).text)
    assert token
    fields: dict[str, Any] = {"act": act, "view": "all", "q": "", "token": token[1], "task": tasks} | said
    visitor.page = await visitor._http.post("http://yuanshe.test/queue/bulk", data=fields, follow_redirects=True)
    return visitor.page.url.path


async def through(world: World) -> None:
    while await bulk_flow.step(world.database):
        pass


async def test_of_many_each_row_has_its_own_result_and_what_failed_stays_selected(world: World, browser) -> None:
    referred = [await world.refer("N05") for _ in range(6)]
    tasks = [(await world.offer(each))["id"] for each in referred]
    colleague: Browser = await browser("worker-a2")
    await act(colleague, tasks[1], "accept")
    request = await world.party("his-a").read(referred[4].request)
    await world.party("his-a").put(request, status="revoked")
    worker: Browser = await browser("worker-a")
    path = await begun(worker, tasks, "accept")
    assert "可以离开这一页" in worker.page.text and "已办 0 / 6" in worker.page.text
    assert "接单 6 条" in (await worker.get("/queue")).text, "the queue leads back to what is under way"
    await through(world)
    page = (await worker.get(path)).text
    assert "4 条办成，2 条没有" in page and page.count("data-pick checked") == 1, page
    assert f"已由 {world.said['people']['worker-a2']['name']} 接单" in page
    for at, task in enumerate(tasks):
        status = (await world.party("agency-a").read(f"Task/{task}"))["status"]
        assert status == ("cancelled" if at == 4 else "accepted")
    assert (await (await browser("worker-a2")).get(path)).status_code == 404, "another's results are not there"
    async with world.as_owner() as owner:
        lines = await owner.fetch("SELECT outcome, count(*) AS n FROM audit WHERE interaction = 'page-bulk-accept' GROUP BY outcome")  # fmt: skip
    assert {line["outcome"]: line["n"] for line in lines} == {"success": 4, "refused": 2}


async def test_many_are_declined_assigned_and_held_and_what_lacks_is_said_at_once(world: World, browser) -> None:
    offers = [(await world.offer(await world.refer("N05")))["id"] for _ in range(2)]
    shares = [(await world.accepted(await world.refer("N05")))["id"] for _ in range(2)]
    supervisor: Browser = await browser("supervisor-a")
    other = await own_worker(world, "worker-a2")
    for tasks, deed, said, words in (
        (offers, "decline", {}, "请从列表中选择退单原因"), (shares, "assign", {}, "请选择指派给哪位社工"), (shares, "hold", {}, "请写几句说明"),
        ([], "accept", {}, "还没有选择任何一条"), (offers, "return", {}, "不能对多条一起做"),
    ):  # fmt: skip
        await begun(supervisor, tasks, deed, **said)
        assert supervisor.page.status_code == 422 and words in supervisor.page.text, deed
    for tasks, deed, said in ((offers, "decline", {"reason": "waitlist"}), (shares, "assign", {"worker": other}), (shares, "hold", {"words": "节后再做"})):  # fmt: skip
        path = await begun(supervisor, tasks, deed, **said)
        await through(world)
        assert "全部办成" in (await supervisor.get(path)).text, deed
    states = [(await world.party("agency-a").read(f"Task/{task}"))["status"] for task in (*offers, *shares)]
    assert states == ["rejected", "rejected", "on-hold", "on-hold"]
    worker: Browser = await browser("worker-a")
    await begun(worker, shares, "assign", worker=other)
    assert worker.page.status_code == 403 and "只有督导" in worker.page.text


async def test_a_row_that_breaks_is_told_and_the_others_are_done(world: World, browser, monkeypatch) -> None:
    tasks = [(await world.offer(await world.refer("N05")))["id"] for _ in range(2)]
    worker: Browser = await browser("worker-a")
    path = await begun(worker, tasks, "accept")
    whole = bulk_flow.taking_flow.do

    async def breaks(session: Any, actor: Any, task: Any, *said: Any) -> Any:
        if str(task) == tasks[0]:
            raise KeyError("a fault of ours")
        return await whole(session, actor, task, *said)

    monkeypatch.setattr(bulk_flow.taking_flow, "do", breaks)
    await through(world)
    page = (await worker.get(path)).text
    assert "1 条办成，1 条没有" in page and "系统出了差错" in page and "a fault of ours" not in page
    states = [(await world.party("agency-a").read(f"Task/{task}"))["status"] for task in tasks]
    assert states == ["requested", "accepted"]


async def test_a_row_that_a_killed_worker_had_in_hand_is_done_once_by_another(world: World, browser) -> None:
    tasks = [(await world.offer(await world.refer("N05")))["id"] for _ in range(2)]
    worker: Browser = await browser("worker-a")
    path = await begun(worker, tasks, "accept")
    from service.casework import bulk_store

    async with world.database.transaction(bulk_flow.CLOCK.scope) as session:
        taken = await bulk_store.take(session, session.began, session.began + bulk_flow.LEASE, 40)
    assert len(taken) == 2 and not await bulk_flow.step(world.database), "what another has in hand is left to it"
    async with world.as_owner() as owner:
        await owner.execute("UPDATE bulk_row SET lease = now() - interval '1 second'")
    await through(world)
    for row in taken:  # The first one was only slow, and goes on.
        await bulk_flow._row(world.database, row)
    assert "全部办成" in (await worker.get(path)).text
    async with world.as_owner() as owner:
        assert await owner.fetchval("SELECT count(*) FROM event WHERE kind = 'accept'") == 2


async def test_whose_account_was_closed_acts_no_more(world: World, browser) -> None:
    task = (await world.offer(await world.refer("N05")))["id"]
    agency = Id(world.organizations["agency-a"].split("/")[1])
    async with world.database.transaction(operator().scope) as session:
        await access.add_account(session, operator(), NewAccount("leaver", "social_worker", agency, "离职者"), "a long password of theirs", utc_now())  # fmt: skip
    someone: Browser = await browser()
    await someone.get("/sign-in")
    await someone.post("/sign-in", {"login": "leaver", "password": "a long password of theirs"})
    await begun(someone, [task], "accept")
    async with world.as_owner() as owner:
        await owner.execute("UPDATE account SET active = false WHERE login = 'leaver'")
    await through(world)
    async with world.as_owner() as owner:
        assert await owner.fetchval("SELECT why FROM bulk_row") == "account-closed"
    assert (await world.party("agency-a").read(f"Task/{task}"))["status"] == "requested"


async def test_the_sweep_drops_what_ended_long_ago(world: World, browser) -> None:
    task = (await world.offer(await world.refer("N05")))["id"]
    worker: Browser = await browser("worker-a")
    path = await begun(worker, [task], "accept")
    await through(world)
    for later, left in ((timedelta(days=6), 200), (timedelta(days=8), 404)):
        async with world.database.transaction(bulk_flow.CLOCK.scope) as session:
            await bulk_flow.forget(session, bulk_flow.CLOCK, session.began + later)
        assert (await worker.get(path)).status_code == left
