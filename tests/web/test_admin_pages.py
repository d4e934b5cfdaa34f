"""The administrator's rooms over HTTP: deliveries sent again, parked messages mended, capacity confirmed, the audit read and written out."""

import io
import re
import zipfile
from collections.abc import AsyncIterator
from typing import Any

import pytest

from adapters import app, settings
from service.access import flow as access
from service.access.model import NewAccount, operator
from service.values import Id, utc_now
from tests.hl7v2.test_inbox import CONFIG, RIGHT_NUMBER, WRONG_NUMBER
from tests.hl7v2.ward import adt, patient, ward
from tests.http.outside import LOOPBACK, working
from tests.http.subscribing import settled, status_of, subscribed
from tests.http.test_break_glass import broken, waiting
from tests.http.world import BASE, World
from tests.web.conftest import Browser

EVERYBODY = ("nurse-a", "worker-a", "supervisor-a", "coordinator", "bureau")
ADMINISTRATORS = (
    "/admin/subscriptions",
    "/admin/hl7",
)


@pytest.fixture
async def world(network: dict[str, Any], network_database: Any, tmp_path: Any) -> AsyncIterator[World]:
    """The demo's service, which may post to this machine and knows who speaks HL7 v2."""
    file = tmp_path / "hl7.toml"
    file.write_text(CONFIG)
    read = settings.Settings(home=tmp_path, webhook_allow=LOOPBACK, hl7=file)
    async with World(
        app.create(read, network_database.app_dsn, base_url=BASE), network, network_database
    ).running() as running:
        yield running


async def chained(world: World) -> None:
    """As a worker would."""
    async with world.database.transaction(operator().scope) as session:
        while await access.chain(session, session.began):
            pass


@pytest.mark.parametrize("login", EVERYBODY)
async def test_an_administrators_rooms_are_the_administrators(world: World, browser: Any, login: str) -> None:
    someone: Browser = await browser(login)
    for path in ADMINISTRATORS:
        assert (await someone.get(path)).status_code == 403, path


async def test_rooms_without_anything_say_what_will_be_there(world: World, browser: Any) -> None:
    admin: Browser = await browser("admin")
    for path in ADMINISTRATORS:
        page = await admin.get(path)
        assert page.status_code == 200 and "会" in page.text and 'class="empty"' in page.text, path


# ---- deliveries ----------------------------------------------------------------------------------------------------------


async def test_a_lost_notice_is_seen_with_its_attempts_and_sent_again_under_its_number(world: World, browser: Any, hook: Any) -> None:  # fmt: skip
    hospital = world.party("his-a")
    async with working(world.clone, WEBHOOK_RETRY="0"):
        made = await subscribed(hospital, hook, "urn:yuanshe:topic:task", "Task?status=accepted")
        await settled(world, hospital, made, "active")
        hook.answers["/hook"] = ["500 Broken"]
        await world.accepted(await world.refer("N05"), consent=False)
        lost = await hook.next()
        await hook.next()
        await settled_in_error(world, made)
        admin: Browser = await browser("admin")
        listed = (await admin.get("/admin/subscriptions?state=error")).text
        assert "出错" in listed and "对方答复 HTTP 500" in listed and "甲院信息系统" in listed and "/hook" not in listed
        page = (await admin.get(f"/admin/subscriptions/{made['id']}")).text
        assert "重发全部未送达（1 条）" in page and "#1" in page
        [delivery] = set(re.findall(r"/admin/deliveries/([0-9a-f-]+)", page))
        one = (await admin.get(f"/admin/deliveries/{delivery}")).text
        assert one.count("对方答复 HTTP 500") >= 2 and "毫秒" in one
        assert not {"陈素芬", "13800000001"} & {
            word for word in ("陈素芬", "13800000001") if word in one + page + listed
        }
        hook.answers["/hook"] = ["204 No Content"]
        said = await admin.post(f"/admin/deliveries/{delivery}/resend", {"once": "a-form-of-mine"})
        assert said.status_code == 200 and "已排队重发" in said.text
        again = await hook.next()
    assert again.id == lost.id and status_of(again.json)["events"] == status_of(lost.json)["events"]
    told = status_of(await hospital.read(f"Subscription/{made['id']}/$events"))["events"]
    assert [dict(event)["event-number"] for event in told] == ["1"], "no number twice"
    one = (await admin.get(f"/admin/deliveries/{delivery}")).text
    assert "要求重发" in one and "郑管理" in one and "已收到" in one
    async with world.as_owner() as owner:
        assert await owner.fetchval("SELECT count(*) FROM audit WHERE interaction = 'page-delivery-resend'") == 1


async def settled_in_error(world: World, made: Any) -> None:
    """Once the tries have run out."""
    while (await world.party("his-a").read(f"Subscription/{made['id']}"))["status"] != "error":
        pass


@pytest.mark.slow
async def test_everything_lost_is_sent_again_at_once_and_a_subscription_is_turned_off_and_on(world: World, browser: Any, hook: Any) -> None:  # fmt: skip
    hospital = world.party("his-a")
    admin: Browser = await browser("admin")
    async with working(world.clone, WEBHOOK_RETRY="0"):
        made = await subscribed(hospital, hook)
        await settled(world, hospital, made, "active")
        hook.answers["/hook"] = ["410 Gone"]
        await world.refer("N05")
        await settled_in_error(world, made)
        page = await admin.get(f"/admin/subscriptions/{made['id']}")
        while "重发全部未送达（2 条）" not in page.text:
            page = await admin.get(f"/admin/subscriptions/{made['id']}")
        assert "对方说这个地址已经不用了" in page.text
        while not hook.received.empty():
            hook.received.get_nowait()
        hook.answers["/hook"] = ["204 No Content"]
        assert "已排队重发" in (await admin.post(f"/admin/subscriptions/{made['id']}/resend", {})).text
        numbers = {dict(status_of((await hook.next()).json)["events"][0])["event-number"] for _ in range(2)}
        assert numbers == {"1", "2"}
        assert "已停用，不再发送" in (await admin.post(f"/admin/subscriptions/{made['id']}/off", {})).text
        assert (await hospital.read(f"Subscription/{made['id']}"))["status"] == "off"
        refused = await admin.post(f"/admin/subscriptions/{made['id']}/resend", {})
        assert refused.status_code == 409 and "先重新" in refused.text
        assert "等待对方答复握手" in (await admin.post(f"/admin/subscriptions/{made['id']}/on", {})).text
        assert status_of((await hook.next()).json)["type"] == "handshake"
        await settled(world, hospital, made, "active")
    again = await admin.post(f"/admin/subscriptions/{made['id']}/on", {})
    assert again.status_code == 409 and "已经启用" in again.text


@pytest.mark.slow
async def test_a_form_that_is_sent_twice_asks_for_one_more_delivery_once(world: World, browser: Any, hook: Any) -> None:
    admin: Browser = await browser("admin")
    async with working(world.clone, WEBHOOK_RETRY="0"):
        made = await subscribed(world.party("his-a"), hook)
        await settled(world, world.party("his-a"), made, "active")
        await world.refer("N05")
        await hook.next(), await hook.next()
    page = (await admin.get(f"/admin/subscriptions/{made['id']}")).text
    delivery = re.findall(r"/admin/deliveries/([0-9a-f-]+)", page)[0]
    await admin.get(f"/admin/deliveries/{delivery}")
    for _ in range(2):
        assert (await admin.post(f"/admin/deliveries/{delivery}/resend", {"once": "the-same"})).status_code == 200
    async with world.as_owner() as owner:
        assert await owner.fetchval("SELECT count(*) FROM delivery_attempt WHERE what = 'resend'") == 1


# ---- parked messages -------------------------------------------------------------------------------------------------------


async def test_a_parked_message_is_opened_with_a_reason_mended_and_applied(world: World, browser: Any) -> None:
    async with ward(world) as his:
        await his.send(adt("A01", "1", pid=WRONG_NUMBER))
    admin: Browser = await browser("admin")
    listed = (await admin.get("/admin/hl7")).text
    assert "校验位" in listed and "PID^1^3" in listed and "陈" not in listed and "入院" in listed
    [message] = set(re.findall(r"/admin/hl7/([0-9a-f-]{36})", listed))
    sealed = await admin.get(f"/admin/hl7/{message}")
    assert "110105" not in sealed.text and "素芬" not in sealed.text
    assert (await admin.post(f"/admin/hl7/{message}/open", {"reason": " "})).status_code == 422
    shown = await admin.post(f"/admin/hl7/{message}/open", {"reason": "核对证件号码"})
    assert shown.status_code == 200 and "110105194912310021" in shown.text
    text = re.search(r"<textarea[^>]*>(.*?)</textarea>", shown.text, re.S)[1].replace("&amp;", "&")  # type: ignore[index]
    refused = await admin.post(f"/admin/hl7/{message}/mend", {"text": text, "reason": "试一次"})
    assert refused.status_code == 422 and "校验位" in refused.text and "110105194912310021" in refused.text
    mended = text.replace(WRONG_NUMBER, RIGHT_NUMBER)
    assert (await admin.post(f"/admin/hl7/{message}/mend", {"text": mended, "reason": ""})).status_code == 422
    done = await admin.post(f"/admin/hl7/{message}/mend", {"text": mended, "reason": "号码抄错"})
    assert done.status_code == 200 and "改正后的消息已应用" in done.text
    assert {each["value"] for each in (await patient(world))["identifier"]} == {"MR1", "11010519491231002X"}
    assert "没有待处理的消息" in (await admin.get("/admin/hl7")).text
    async with world.as_owner() as owner:
        reasons = {row["why"] for row in await owner.fetch("SELECT unnest(platform_reasons) AS why FROM audit")}
    assert {"hl7-show: 核对证件号码", "hl7-mend: 号码抄错"} <= reasons


async def test_a_message_is_replayed_once_what_stood_in_its_way_is_mended_or_dropped_with_a_reason(world: World, browser: Any) -> None:  # fmt: skip
    async with ward(world) as his:
        await his.send(adt("A03", "1", pv1="PV1|1|I|W03^12^02||||||||||||||||S1|||||||||||||||||77"))
        await his.send(adt("A01", "2", pid=""))
    admin: Browser = await browser("admin")
    listed = (await admin.get("/admin/hl7")).text
    newer, older = dict.fromkeys(re.findall(r"/admin/hl7/([0-9a-f-]{36})", listed))
    await admin.get(f"/admin/hl7/{older}")
    assert (await admin.post(f"/admin/hl7/{older}/replay", {})).status_code == 422
    file = world.app.state.settings.hl7
    file.write_text(file.read_text().replace("[sender.stay]", '[sender.dispositions]\n"77" = "1"\n\n[sender.stay]'))
    done = await admin.post(f"/admin/hl7/{older}/replay", {})
    assert done.status_code == 200 and "已应用" in done.text
    assert (await patient(world))["name"][0]["text"] == "陈素芬"
    assert (await admin.post(f"/admin/hl7/{newer}/drop", {"why": ""})).status_code == 422
    assert "已放弃这条消息" in (await admin.post(f"/admin/hl7/{newer}/drop", {"why": "测试消息"})).text
    assert "测试消息" in (await admin.get("/admin/hl7?state=dropped")).text


# ---- capacity ------------------------------------------------------------------------------------------------------------


async def test_an_agency_confirms_its_capacity_by_one_key_and_is_asked_again_after_a_week(world: World, browser: Any) -> None:  # fmt: skip
    async with world.as_owner() as owner:
        await owner.execute("UPDATE agency_service SET confirmed_at = now() - interval '8 days'")
    for login in ("nurse-a", "coordinator", "bureau", "admin"):
        someone: Browser = await browser(login)
        assert (await someone.get("/capacity")).status_code == 403, login
        assert (await someone.get("/capacity/nag")).status_code == 403, login
    worker: Browser = await browser("worker-a")
    assert 'hx-get="/capacity/nag"' in (await worker.get("/queue")).text, "where their day begins"
    assert "1 项名额待确认" in (await worker.get("/capacity/nag")).text
    page = await worker.get("/capacity")
    assert (
        "超过 7 天没有确认" in page.text and "医务社会工作服务" in page.text and "社区与家庭支持服务" not in page.text
    )
    service = re.search(r'action="/capacity/([0-9a-f-]+)"', page.text)[1]  # type: ignore[index]
    version = re.search(r'name="version" value="(\d+)"', page.text)[1]  # type: ignore[index]
    done = await worker.post(f"/capacity/{service}", {"still": "1", "version": version})
    assert "名额待确认" not in (await worker.get("/capacity/nag")).text
    await worker.get("/capacity")
    assert "0 分钟前确认" in done.text and "医院看到的是灰色的旧数字" not in done.text and "已确认" in done.text
    stale = await worker.post(f"/capacity/{service}", {"places": "3", "status": "waitlist", "version": version})
    assert stale.status_code == 409 and "别人刚刚改过" in stale.text
    version = re.search(r'name="version" value="(\d+)"', (await worker.get("/capacity")).text)[1]  # type: ignore[index]
    for wrong in ("-1", "many", "", "1" * 40, "<script>alert(1)</script>"):
        refused = await worker.post(f"/capacity/{service}", {"places": wrong, "status": "capacity", "version": version})
        assert refused.status_code == 422 and "0 到 100,000" in refused.text and "<script>alert" not in refused.text
    await worker.get("/capacity")
    said = await worker.post(f"/capacity/{service}", {"places": "3", "status": "waitlist", "version": version})
    assert "共 3" in said.text and "排队" in said.text
    other: Browser = await browser("worker-b")
    await other.get("/capacity")
    assert (await other.post(f"/capacity/{service}", {"places": "9", "status": "capacity"})).status_code == 403


# ---- the audit -----------------------------------------------------------------------------------------------------------


async def test_an_auditor_reads_who_saw_what_in_words_and_no_patients_names(world: World, browser: Any) -> None:
    referred = await world.refer("N05")
    nurse: Browser = await browser("nurse-a")
    await nurse.get(f"/referrals/{referred.id}")
    await nurse.get("/audit")
    await chained(world)
    for login in ("bureau", "admin"):
        auditor: Browser = await browser(login)
        page = await auditor.get("/audit?who=nurse-a")
        assert page.status_code == 200 and "林护士" in page.text and "查看转介" in page.text and "被拒绝" in page.text
        assert "陈素芬" not in page.text
    assert "1 件转介" in page.text
    mine = (await auditor.get(f"/audit?referral={referred.id}")).text
    assert "林护士" in mine and "甲院信息系统" in mine
    only = (await auditor.get("/audit?refused=1")).text
    assert (
        only.count("<li") == only.count('class="refused"') + only.count("<li>") - only.count("<li>") or "被拒绝" in only
    )
    one = re.search(r"/audit/lines/[0-9a-f-]+", page.text)[0]  # type: ignore[index]
    opened = await auditor.get(one)
    assert "链中位置" in opened.text and "陈素芬" not in opened.text
    assert "没有符合条件" in (await auditor.get("/audit?who=nobody-of-this-name")).text
    assert (await auditor.get("/audit?since=yesterday")).status_code == 422
    assert (await auditor.get("/audit?referral=x%27%20OR%201=1&who=" + "a" * 3000)).status_code == 422
    assert "审计链完整" in (await auditor.get("/audit/chain")).text
    for login in ("worker-a", "supervisor-a", "coordinator"):
        someone: Browser = await browser(login)
        for path in ("/audit", "/audit/chain", "/audit/export", one):
            assert (await someone.get(path)).status_code == 403, (login, path)


async def test_what_is_written_out_computes_nothing_and_is_itself_in_the_audit(world: World, browser: Any) -> None:
    async with world.database.transaction(operator().scope) as session:
        new = NewAccount("=cmd", "referrer", Id(world.organizations["hospital-a"].split("/")[1]), "=HYPERLINK(\"http://x\")<script>", None)  # fmt: skip
        await access.add_account(session, operator(), new, "a long password of theirs", utc_now())
    risky: Browser = await browser()
    await risky.get("/sign-in")
    await risky.post("/sign-in", {"login": "=cmd", "password": "a long password of theirs"})
    await chained(world)
    auditor: Browser = await browser("bureau")
    shown = await auditor.get("/audit?who=%3Dcmd")
    assert "&lt;script&gt;" in shown.text and "<script>" not in shown.text.split("<main")[1]
    written = await auditor.get("/audit/export?format=csv")
    assert written.headers["content-disposition"].startswith("attachment") and written.content.startswith(
        b"\xef\xbb\xbf"
    )
    assert "\"'=HYPERLINK(" in written.text and '"=HYPERLINK' not in written.text
    book = await auditor.get("/audit/export?format=xlsx")
    with zipfile.ZipFile(io.BytesIO(book.content)) as file:
        sheet, strings = (file.read(f"xl/{name}.xml").decode() for name in ("worksheets/sheet1", "sharedStrings"))
    assert "<f>" not in sheet and "'=HYPERLINK" in strings and "陈素芬" not in strings
    await chained(world)
    assert "导出审计（CSV）" in (await auditor.get("/audit")).text


async def test_what_was_read_through_a_broken_glass_is_found_and_nothing_else(world: World, browser: Any) -> None:
    other = await world.accepted(await world.refer("N05"))
    assert (await world.party("agency-a").read(other["for"]["reference"]))["name"]
    referred = await waiting(world)
    auditor: Browser = await browser("bureau")
    assert "没有符合条件" in (await auditor.get("/audit?glass=1")).text
    await broken(world, referred)
    await world.party("agency-a").read(referred.patient)
    await world.party("his-a").read(referred.patient)
    await chained(world)
    page = (await auditor.get("/audit?glass=1")).text
    assert "甲机构业务系统" in page and "查看患者档案" in page and "紧急查阅期间" in page and "甲院信息系统" not in page
    assert str(referred.id) not in page and "陈素芬" not in page
    everything = (await auditor.get("/audit")).text
    assert everything.count('class="pill warn"') == page.count('class="pill warn"') >= 1


async def test_a_broken_chain_is_named_where_it_breaks(world: World, browser: Any) -> None:
    auditor: Browser = await browser("bureau")
    await auditor.get("/audit")
    await chained(world)
    async with world.as_owner() as owner:
        await owner.execute(
            "UPDATE audit SET why = NULL, outcome = 'success', interaction = 'search' WHERE position = 1"
        )
    assert "审计链在第 1 条断开" in (await auditor.get("/audit/chain")).text


# ---- the overview --------------------------------------------------------------------------------------------------------


async def test_what_needs_an_administrator_is_on_one_page_with_a_link_each(world: World, browser: Any) -> None:
    for login in EVERYBODY:
        someone: Browser = await browser(login)
        assert (await someone.get("/admin")).status_code == 403, login
    admin: Browser = await browser("admin")
    assert "现在没有需要处理的事" in (await admin.get("/admin")).text
    async with ward(world) as his:
        await his.send(adt("A01", "1", pid=WRONG_NUMBER))
    async with world.as_owner() as owner:
        await owner.execute(
            "UPDATE agency_service SET confirmed_at = now() - interval '8 days' WHERE key = 'agency-a-msw'"
        )
        await owner.execute("UPDATE worker SET licensed_to = current_date + 20 WHERE key = 'worker-b'")
        await owner.execute("UPDATE partnership SET valid_to = current_date + 12 WHERE valid_to IS NULL AND rank = 2")
        await owner.execute("UPDATE client SET keys_changed_at = now() - interval '2 years' WHERE name = '审计'")
        await owner.execute("INSERT INTO worker_heartbeat (id, started_at, at) VALUES (gen_random_uuid(), now() - interval '2 hours', now() - interval '1 hour')")  # fmt: skip
    page = (await admin.get("/admin")).text
    for words, path in (
        ("1 条 HL7 消息等人处理", "/admin/hl7"), ("1 项服务的名额超过 7 天没有确认", "/admin/services?old=1"),
        ("1 位社工的证书已到期或 30 天内到期", "/admin/workers?ending=1"), ("星河医院 → 暖光社会工作服务中心 的协议还有", "/admin/partnerships/"),
        ("1 个接口程序的密钥超过一年", "/admin/clients?old=1"), ("没有动静", "/audit"),
    ):  # fmt: skip
        assert words in page and f'href="{path}' in page, words
    assert page.index("没有动静") < page.index("1 项服务的名额")
    for path in re.findall(r'class="btn open" href="([^"]+)"', page):
        assert (await admin.get(path.replace("&amp;", "&"))).status_code == 200, path
