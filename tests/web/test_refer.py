"""The ward's page to refer: who is found, who would receive it, what is kept, what is sent, and what is put on paper."""

import re
from html import unescape
from typing import Any

import pytest

from adapters.web.refer import submission
from service.access.model import clock_actor
from service.db import Scope
from service.practice import PLATFORM
from service.referrals import draft_flow
from service.values import new_id, utc_now
from tests.http.world import BASE, World, citizen_number, phq9, reason
from tests.web.conftest import Browser

HX = {"hx-request": "true"}


def field(text: str, name: str) -> str:
    """The value of an input on a page."""
    found = re.search(rf'name="{name}"[^>]*?value="([^"]*)"', text)
    assert found, name
    return unescape(found[1])


class Sheet:
    """One form on one page, as a person without a script fills it in."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser
        self.said: dict[str, Any] = {"urgency": "routine", "signer": "self", "how": "written", "sex": "female"}

    async def open(self, path: str = "/refer") -> "Sheet":
        await self.browser.get(path)
        assert self.browser.page.status_code == 200, self.browser.page.text
        self.said |= {name: field(self.browser.page.text, name) for name in ("draft", "token")}
        return self

    def fill(self, **said: Any) -> "Sheet":
        self.said |= said
        return self

    def somebody(self, **said: Any) -> "Sheet":
        """Somebody new, with nothing missing."""
        return self.fill(
            name="王桂兰", birth="1950-02-03", number=f"ZY-{new_id()}", phone="13900001111", region="520502001", need="N05",
            reason="出院后没有人照顾", consent="later",
        ).fill(**said)  # fmt: skip

    async def look(self, **headers: str) -> Any:
        return await self.browser.post("/refer/look", self.said, token=False, **headers)

    async def send(self) -> Any:
        return await self.browser.post("/refer", self.said, token=False)


@pytest.fixture
async def sheet(browser: Any) -> Sheet:
    return await Sheet(await browser("nurse-a")).open()


async def placed(world: World) -> list[Any]:
    """The requests that hospital-a has placed."""
    found = await world.party("his-a").search("ServiceRequest")
    return [each for each in found if each["intent"] == "order"]


def sent(sheet: Sheet) -> str:
    """The referral that was made."""
    page = sheet.browser.page
    assert page.status_code == 200 and "/refer/sent/" in str(page.url), page.text[:3000]
    return str(page.url).rpartition("/")[2].partition("?")[0]


async def test_a_known_number_fills_the_form_and_the_common_case_is_a_few_keys(world: World, browser: Any) -> None:
    await world.refer("N01", mrn="ZY-100")
    sheet = await Sheet(await browser("nurse-a")).open()
    found = await sheet.fill(number="ZY-100").look()
    for known in ("陈素芬", "1952-03-15", "13800000001"):
        assert known in found.text
    assert 'value="520502001" selected' in found.text
    assert str(found.url).startswith(f"{BASE}/refer?draft=") and "ZY-100" not in str(found.url)
    # From here on it is a need, the consent that is still to be had, and one press.
    sheet.fill(
        known=field(found.text, "known"), name="陈素芬", birth="1952-03-15", phone="13800000001", region="520502001"
    )
    done = await sheet.fill(need="N05", consent="later").send()
    id = sent(sheet)
    assert "等待「同行社会工作服务中心」接单或退单" in done.text and "再转介一位" in done.text
    number = submission.number(new_id().__class__(sheet.said["draft"]))
    assert number in done.text and f"/referrals/{id}/print" in done.text
    stored = await world.party("his-a").read(f"ServiceRequest/{id}")
    assert stored["identifier"][0]["value"] == number
    patient = await world.party("his-a").read(stored["subject"]["reference"])
    assert patient["identifier"] == [{"system": "urn:his-a:patient", "value": "ZY-100"}], "the same person, not another"


async def test_a_number_of_the_stay_finds_ward_and_bed_too(world: World, browser: Any) -> None:
    def lies(name: str, kind: str) -> dict[str, Any]:
        return {"location": {"display": name}, "physicalType": {"coding": [{"code": kind}]}, "status": "active"}

    stay = {
        "identifier": [{"system": "urn:his-a:stay", "value": "ZY2026-77"}],
        "location": [lies("心内科二病区", "wa"), lies("12", "bd")],
    }
    await world.refer("N01", mrn="MR-77", encounter=stay)
    sheet = await Sheet(await browser("nurse-a")).open()
    for number in ("ZY2026-77", "MR-77"):
        found = (await sheet.fill(number=number).look()).text
        assert "陈素芬" in found and "心内科二病区" in found and "12 床" in found, number


async def test_a_number_of_several_people_asks_which(world: World, browser: Any) -> None:
    await world.refer("N01", mrn="77")
    second = {
        "identifier": [{"system": "urn:his-a:old-patient", "value": "77"}],
        "name": [{"text": "周建军"}],
        "birthDate": "1960-06-01",
    }
    await world.refer("N01", patient=second)
    sheet = await Sheet(await browser("nurse-a")).open()
    asked = (await sheet.fill(number="77", need="N05", consent="later").look(**HX)).text
    assert "这个号码对应几个人" in asked and "陈素芬 · 1952-03-15" in asked
    refused = await sheet.send()
    assert refused.status_code == 422 and "请选择是哪一位" in refused.text
    which = re.search(r'name="pick" value="([^"]+)"[^>]*><span>周建军', asked)
    assert which
    chosen = (await sheet.fill(pick=which[1], drawn="77").look(**HX)).text
    assert "周建军" in chosen and "陈素芬" not in chosen and field(chosen, "pick") == which[1]
    await sheet.fill(
        known=field(chosen, "known"), name="周建军", birth="1960-06-01", phone="13800000001", region="520502001"
    ).send()
    stored = await world.party("his-a").read(f"ServiceRequest/{sent(sheet)}")
    assert (await world.party("his-a").read(stored["subject"]["reference"]))["name"][0]["text"] == "周建军"


async def test_whoever_is_found_is_looked_at_before_anything_is_sent(world: World, browser: Any) -> None:
    await world.refer("N01", mrn="ZY-100")
    sheet = await Sheet(await browser("nurse-a")).open()
    refused = await sheet.somebody(number="ZY-100", name="别的人").send()
    assert refused.status_code == 422 and "请先核对是不是本人" in refused.text
    assert "陈素芬" in refused.text and 'value="别的人"' not in refused.text
    # Looked at, it goes; and the person keeps the name that the hospital knows.
    await sheet.fill(
        known=field(refused.text, "known"), name="陈素芬", birth="1952-03-15", phone="", region="520502001"
    ).send()
    stored = await world.party("his-a").read(f"ServiceRequest/{sent(sheet)}")
    patient = await world.party("his-a").read(stored["subject"]["reference"])
    assert patient["name"][0]["text"] == "陈素芬" and patient["telecom"][0]["value"] == "13800000001"


async def test_somebody_new_is_registered_with_the_referral(world: World, sheet: Sheet) -> None:
    number = citizen_number(7)
    await sheet.somebody(number="", citizen=number.lower(), birth="", none="").send()
    stored = await world.party("his-a").read(f"ServiceRequest/{sent(sheet)}")
    patient = await world.party("his-a").read(stored["subject"]["reference"])
    assert patient["name"][0]["text"] == "王桂兰" and patient["identifier"][0]["value"] == number
    assert stored["reasonCode"][0]["text"] == "出院后没有人照顾"


async def test_nobody_known_has_a_reason_and_goes_without_a_name(world: World, sheet: Sheet) -> None:
    refused = await sheet.somebody(number="", name="", birth="").send()
    assert refused.status_code == 422 and "没有住院号也没有身份证号时，请选择原因" in refused.text
    await sheet.fill(none="unidentified", need="N15").send()
    stored = await world.party("his-a").read(f"ServiceRequest/{sent(sheet)}")
    patient = await world.party("his-a").read(stored["subject"]["reference"])
    assert "name" not in patient and patient["extension"][0]["valueCode"] == "unidentified"


async def test_what_is_refused_is_said_beside_its_field_and_everything_typed_is_still_there(
    world: World, sheet: Sheet
) -> None:
    bad = sheet.somebody(citizen="520502195203150021", birth="1952-13-01", need="", consent="", reason="独自带两个孩子")
    refused = await bad.send()
    assert refused.status_code == 422
    for said, where in (
        ("身份证号不对", "citizen"),
        ("出生日期写成", "birth"),
        ("至少选择一项需求", "need"),
        ("选择同意的情况", "consent"),
    ):
        assert said in refused.text and f'href="#{where}"' in refused.text, where
    assert re.search(r'id="citizen"[^>]*aria-invalid="true"', refused.text)
    for typed in ("王桂兰", "1952-13-01", "520502195203150021", "独自带两个孩子", "13900001111"):
        assert typed in refused.text
    assert await placed(world) == []


async def test_what_the_service_refuses_keeps_everything_too(world: World, sheet: Sheet) -> None:
    """A citizen number of one person with the hospital number of another: only the service can know."""
    await world.refer("N01", mrn="ZY-1")
    refused = await sheet.somebody(preferred="0190a000-0000-7000-8000-00000000ffff", name="王桂兰").send()
    if refused.status_code == 200:  # a performer that is no partner is passed over with a warning
        sent(sheet)
        return
    assert refused.status_code in (409, 422) and "王桂兰" in refused.text


async def test_a_form_that_is_sent_twice_makes_one_referral(world: World, sheet: Sheet) -> None:
    import asyncio

    sheet.somebody()
    page = sheet.browser.page.text
    one, other = await asyncio.gather(sheet.send(), sheet.send())
    assert one.url.path == other.url.path and "/refer/sent/" in one.url.path, page[:100]
    assert len(await placed(world)) == 1
    # And when one goes back and presses again, or reads the draft anew.
    again = await sheet.send()
    assert again.url.path == one.url.path
    assert (await sheet.browser.get(f"/refer?draft={sheet.said['draft']}")).url.path == one.url.path
    assert len(await placed(world)) == 1


async def test_the_ranking_says_who_would_receive_it_and_why_not_the_others(world: World, sheet: Sheet) -> None:
    empty = await sheet.look(**HX)
    assert "选择需求后" in empty.text
    piece = (await sheet.somebody().look(**HX)).text
    assert "<html" not in piece and 'id="promise" hx-swap-oob' in piece
    assert "提交后先派给同行社会工作服务中心" in piece
    order = [piece.index(f"<strong>{name}社会工作服务中心</strong>") for name in ("同行", "暖光", "邻里")]
    assert order == sorted(order)
    assert "合作协议已到期" in piece and "收不到：" in piece
    for rule in ("合作协议", "区域", "名额", "持证社工", "保护资质"):
        assert rule in piece
    unknown = (await sheet.fill(region="").look(**HX)).text
    assert "地址区划不详" in unknown and "出院后住在哪里" in unknown and "由协调员派单" in unknown
    chosen = (
        await sheet.fill(region="520502001", preferred=world.organizations["agency-b"].split("/")[1]).look(**HX)
    ).text
    assert "您指定的机构" in chosen
    assert await placed(world) == [], "nothing is stored by asking"


async def test_agencies_between_whom_only_the_lot_decides_are_not_put_in_an_order(world: World, sheet: Sheet) -> None:
    async with world.as_owner() as owner:
        await owner.execute("UPDATE partnership SET rank = 1")
    piece = (await sheet.somebody().look(**HX)).text
    assert "先派给其中一家：" in piece and "条件相同，轮流" in piece
    assert piece.count('<span class="place">1</span>') == 2


async def test_a_ranking_speaks_the_readers_language(world: World, browser: Any) -> None:
    nurse: Browser = await browser("nurse-a")
    await nurse.post("/language", {"language": "en", "next": "/refer"})
    sheet = await Sheet(nurse).open()
    piece = (await sheet.somebody().look(**HX)).text
    assert "Once sent it is offered first to" in piece and "The partnership has ended." in piece
    assert not re.search(r"[\u4e00-\u9fff]", piece.replace("王桂兰", ""))


async def test_a_telephone_number_can_be_dialled(sheet: Sheet) -> None:
    page = (await sheet.somebody(phone="没有").send()).text
    assert 'href="#phone"' in page and "5 到 20 位数字" in page


async def test_nothing_typed_leaves_no_draft(browser: Any) -> None:
    nurse: Browser = await browser("nurse-a")
    await nurse.get("/refer")
    draft = re.search(r'name="draft" value="([^"]+)"', nurse.page.text)[1]  # type: ignore[index]
    assert (await nurse.post("/refer", {"draft": draft, "urgency": "routine"})).status_code == 422
    assert "没有发送的草稿" not in (await nurse.get("/refer")).text


async def test_what_stopped_a_form_is_found_again_in_another_language(browser: Any) -> None:
    nurse: Browser = await browser("nurse-a")
    await nurse.get("/refer")
    draft = re.search(r'name="draft" value="([^"]+)"', nurse.page.text)[1]  # type: ignore[index]
    refused = await nurse.post("/refer", {"draft": draft, "reason": "中途换了语言"}, referer=f"{BASE}/refer")
    assert refused.status_code == 422 and f'name="next" value="/refer?draft={draft}"' in refused.text
    english = await nurse.post("/language", {"language": "en", "next": f"/refer?draft={draft}"})
    assert "中途换了语言" in english.text and '<html lang="en">' in english.text


async def test_urgency_promises_what_the_clocks_hold_to(world: World, sheet: Sheet) -> None:
    for said in (
        "1 个工作日内答复，3 天内联系",
        "4 个工作小时内答复，2 天内联系",
        "2 小时内答复，24 小时内联系",
        "30 分钟内答复，2 小时内联系",
    ):
        assert said in sheet.browser.page.text
    said = {}
    for urgency in ("routine", "asap"):
        said[urgency] = (await sheet.somebody(urgency=urgency, need="N01").look(**HX)).text
    assert "1 个工作日内答复" in said["routine"] and "3 天" in said["routine"]
    assert "2 小时内答复" in said["asap"]
    raised = (await sheet.fill(urgency="routine", need="N11").look(**HX)).text
    assert "实际按“危机”处理" in raised and "30 分钟内答复" in raised


async def test_a_safety_need_says_what_to_do_on_the_spot(world: World, sheet: Sheet) -> None:
    piece = (await sheet.somebody(need="N11", birth="1990-01-01").look(**HX)).text
    assert "不要让其独处" in piece and "12356" in piece
    done = await sheet.send()
    assert "不要让其独处" in done.text and "危机：" in done.text and sent(sheet)


async def test_screening_is_scored_by_the_service_and_item_nine_raises_a_crisis(world: World, sheet: Sheet) -> None:
    sheet.somebody(need="N03", instrument="phq-9")
    opened = (await sheet.look(**HX)).text
    assert 'name="item-44260-8"' in opened and "做事时提不起劲" in opened
    items = ("44250-9", "44255-8", "44259-0", "44254-1", "44251-7", "44258-2", "44252-5", "44253-3")
    sheet.fill(shown="phq-9", **{f"item-{code}": "LA6569-3" for code in items})
    assert "还有 1 题没有回答" in (await sheet.look(**HX)).text
    scored = (await sheet.fill(**{"item-44260-8": "LA6569-3"}).look(**HX)).text
    assert "总分 9" in scored and "立即立为危机" in scored and "按“危机”处理" in scored
    done = await sheet.send()
    id = sent(sheet)
    assert "危机：" in done.text
    kept = await world.party("his-a").search(
        f"QuestionnaireResponse?based-on=ServiceRequest/{id}"
    ) or await world.party("his-a").search("QuestionnaireResponse")
    assert kept[0]["questionnaire"] == "urn:yuanshe:questionnaire:phq-9" and len(kept[0]["item"]) == 9
    totals = await world.party("his-a").search("Observation?code=44261-6")
    assert [each["valueInteger"] for each in totals] == [9]


async def test_two_ticks_are_two_consents_and_identity_opens_only_to_who_was_named(world: World, sheet: Sheet) -> None:
    agency = world.organizations["agency-a"].split("/")[1]
    refused = await sheet.somebody(consent="yes", agree_identity="1").send()
    assert refused.status_code == 422 and "没有本人（或监护人）同意转介的勾选" in refused.text
    assert "请勾选告知过的机构" in refused.text
    await sheet.fill(agree_refer="1", agency=agency, how="spoken").send()
    assert "填写见证人姓名" in sheet.browser.page.text
    await sheet.fill(witness="周护士长").send()
    id = sent(sheet)
    kept = await world.party("his-a").search("Consent")
    assert sorted(each["scope"]["coding"][0]["code"] for each in kept) == ["patient-privacy", "treatment"]
    opening = next(each for each in kept if each["scope"]["coding"][0]["code"] == "patient-privacy")
    assert [actor["reference"]["reference"] for actor in opening["provision"]["actor"]] == [f"Organization/{agency}"]
    assert opening["verification"][0]["verified"] is True and "sourceAttachment" not in opening
    offer = (await world.party("agency-a").search("Task?status=requested"))[0]
    taken = await world.party("agency-a").put(
        await world.party("agency-a").read(f"Task/{offer['id']}"), status="accepted"
    )
    assert taken.status == 200 and taken["businessStatus"]["coding"][0]["code"] == "accepted", id
    assert (await world.party("agency-a").read(taken["for"]["reference"]))["name"][0]["text"] == "王桂兰"


async def test_under_fourteen_a_guardian_signs(world: World, sheet: Sheet) -> None:
    agency = world.organizations["agency-a"].split("/")[1]
    child = sheet.somebody(
        birth="2018-05-01", need="N04", consent="yes", agree_refer="1", agree_identity="1", agency=agency
    )
    note = (await child.look(**HX)).text
    assert "不满 14 岁：由监护人同意并签字" in note
    refused = await child.send()
    assert refused.status_code == 422 and "请选择监护人并填写姓名" in refused.text
    await child.fill(signer="guardian", guardian="王建国", relation="父亲").send()
    sent(sheet)
    opening = (await world.party("his-a").search("Consent"))[0]
    assert opening["performer"][0]["reference"].startswith("RelatedPerson/")


async def test_safe_contact_goes_with_it(world: World, sheet: Sheet) -> None:
    await sheet.somebody(
        prohibited="1", channel="phone", **{"from": "14:00", "to": "16:00"}, no_message="1", asked_by="patient"
    ).send()
    stored = await world.party("his-a").read(f"ServiceRequest/{sent(sheet)}")
    rules = await world.party("his-a").read(f"{stored['subject']['reference']}/$safe-contact")
    said = {each["name"]: each for each in rules["parameter"]}
    assert said["prohibited"]["valueBoolean"] is True and said["channel"]["valueCode"] == "phone"
    assert said["message"]["valueBoolean"] is False and said["asked-by"]["valueCode"] == "patient"


async def test_the_region_that_the_ward_names_corrects_where_the_stay_leads(world: World, browser: Any) -> None:
    referred = await world.refer("N01", mrn="ZY-9")
    sheet = await Sheet(await browser("nurse-a")).open()
    found = await sheet.fill(number="ZY-9").look()
    sheet.fill(known=field(found.text, "known"), name="陈素芬", birth="1952-03-15", phone="13800000001")
    await sheet.fill(region="520502002", need="N05", consent="later").send()
    sent(sheet)
    stay = await world.party("his-a").read(referred.stay)
    assert stay["contained"][0]["address"]["district"] == "520502002"
    patient = await world.party("his-a").read(referred.patient)
    assert patient["address"][0]["district"] == "520502001", "where the person is at home stays as it was"
    found = (await (await sheet.open()).fill(number="ZY-9", need="", known="").look()).text
    assert 'value="520502002" selected' in found


async def test_a_likely_duplicate_is_shown_before_it_is_made(world: World, browser: Any) -> None:
    referred = await world.refer("N05", mrn="ZY-5")
    sheet = await Sheet(await browser("nurse-a")).open()
    found = await sheet.fill(number="ZY-5", need="N05").look()
    assert "相同的需求已经有转介在进行" in found.text and f"/referrals/{referred.id}" in found.text
    assert "等待「同行社会工作服务中心」接单或退单" in found.text
    sheet.fill(
        known=field(found.text, "known"), name="陈素芬", birth="1952-03-15", phone="13800000001", region="520502001"
    )
    refused = await sheet.fill(consent="later").send()
    assert refused.status_code == 422 and "请写明为什么仍要再转介" in refused.text
    await sheet.fill(again="上次的机构只管费用").send()
    stored = await world.party("his-a").read(f"ServiceRequest/{sent(sheet)}")
    assert stored["note"][0]["text"] == "上次的机构只管费用"


# ---- drafts -----------------------------------------------------------------------------------------------------------


async def test_a_draft_keeps_itself_and_is_its_authors_alone(world: World, browser: Any) -> None:
    sheet = await Sheet(await browser("nurse-a")).open()
    kept = await sheet.somebody(reason="草稿里的话").look(**HX)
    assert kept.headers["hx-replace-url"] == f"/refer?draft={sheet.said['draft']}" and "草稿已保存" in kept.text
    listed = (await sheet.browser.get("/refer")).text
    assert "还有 1 份没有发送的草稿" in listed and "王桂兰 · 出院安置与过渡" in listed
    again = (await sheet.browser.get(f"/refer?draft={sheet.said['draft']}")).text
    assert "草稿里的话" in again and 'value="N05" id="need" checked' not in again and "王桂兰" in again
    async with world.as_owner() as owner:
        assert await owner.fetchval("SELECT count(*) FROM referral_draft") == 1
    for other in ("coordinator", "worker-a", "bureau"):
        stranger: Browser = await browser(other)
        assert (await stranger.get(f"/refer?draft={sheet.said['draft']}")).status_code == 403
    await sheet.browser.get("/refer")
    gone = await sheet.browser.post("/refer/discard", {"draft": sheet.said["draft"]})
    assert "草稿已丢弃" in gone.text and "没有发送的草稿" not in gone.text


async def test_no_other_persons_draft_is_read_or_written_by_any_statement(world: World, browser: Any) -> None:
    sheet = await Sheet(await browser("nurse-a")).open()
    await sheet.somebody().look(**HX)
    hospital = new_id().__class__(world.organizations["hospital-a"].split("/")[1])
    for scope in (
        Scope(hospital, "referrer", account=new_id()),
        Scope(hospital, "hospital"),
        Scope(PLATFORM, "coordinator", platform=True),
    ):
        async with world.database.transaction(scope) as session:
            assert await session.fetchval("SELECT count(*) FROM referral_draft") == 0


async def test_drafts_are_forgotten_and_what_was_sent_keeps_nothing_of_what_was_typed(
    world: World, sheet: Sheet
) -> None:
    await sheet.somebody().send()
    sent(sheet)
    async with world.as_owner() as owner:
        assert await owner.fetchrow("SELECT content, referral_id IS NOT NULL AS sent FROM referral_draft") == (
            None,
            True,
        )
    clock = clock_actor(PLATFORM)
    async with world.database.transaction(clock.scope) as session:
        assert await draft_flow.forget(session, clock, utc_now()) == 0
        from datetime import timedelta

        assert await draft_flow.forget(session, clock, utc_now() + timedelta(days=8)) == 1


async def test_an_ended_session_leaves_the_draft(world: World, browser: Any) -> None:
    sheet = await Sheet(await browser("nurse-a")).open()
    await sheet.somebody(reason="还没写完").look(**HX)
    async with world.as_owner() as owner:
        await owner.execute("DELETE FROM web_session")
    piece = await sheet.look(**HX)
    assert "/sign-in" in piece.headers["hx-redirect"]
    await sheet.browser.sign_in("nurse-a")
    assert "还没写完" in (await sheet.browser.get(f"/refer?draft={sheet.said['draft']}")).text


async def test_only_a_ward_refers_and_only_by_its_own_form(world: World, browser: Any, sheet: Sheet) -> None:
    for login in ("worker-a", "supervisor-a", "coordinator", "bureau", "admin"):
        other: Browser = await browser(login)
        assert (await other.get("/refer")).status_code == 403, login
        assert (await other.post("/refer", sheet.somebody().said)).status_code == 403, login
    assert (await sheet.browser.post("/refer", sheet.said | {"token": "0" * 80}, token=False)).status_code == 403
    assert (
        await sheet.browser.post("/refer", sheet.said, token=False, **{"sec-fetch-site": "cross-site"})
    ).status_code == 403
    assert await placed(world) == []


async def test_nothing_that_was_typed_stands_in_the_audit_or_an_address(world: World, sheet: Sheet) -> None:
    await sheet.somebody().look()
    await sheet.send()
    sent(sheet)
    async with world.as_owner() as owner:
        lines = await owner.fetch("SELECT row_to_json(a)::text AS line FROM audit a WHERE interaction LIKE 'page-%'")
    said = " ".join(line["line"] for line in lines)
    assert "page-draft" in said and "page-refer-send" in said
    for secret in ("王桂兰", "13900001111", "没有人照顾", sheet.said["number"]):
        assert secret not in said and secret not in str(sheet.browser.page.url)


# ---- paper ------------------------------------------------------------------------------------------------------------


async def test_the_sheet_prints_to_each_reader_what_they_may_read(world: World, browser: Any) -> None:
    referred = await world.refer(
        "N05", patient={"identifier": [{"system": "urn:oid:2.16.156.10011.1.3", "value": "520502195203150020"}]}
    )
    nurse: Browser = await browser("nurse-a")
    worker: Browser = await browser("worker-a")
    own = (await nurse.get(f"/referrals/{referred.id}/print")).text
    assert "转介单" in own and "陈素芬" in own and "520502********0020" in own and "520502195203150020" not in own
    assert "打印于" in own and "林护士" in own and "等待「同行社会工作服务中心」接单或退单" in own
    offered = (await worker.get(f"/referrals/{referred.id}/print")).text
    assert "未开放" in offered and "陈素芬" not in offered and "1952" not in offered and "13800000001" not in offered
    await world.accepted(referred)
    known = (await worker.get(f"/referrals/{referred.id}/print")).text
    assert "陈素芬" in known and "13800000001" in known
    stranger: Browser = await browser("worker-b")
    assert (await stranger.get(f"/referrals/{referred.id}/print")).status_code == 404
    assert (await (await browser("bureau")).get(f"/referrals/{referred.id}/print")).status_code == 404


async def test_what_is_sealed_is_never_printed(world: World, browser: Any) -> None:
    referred = await world.refer("N12", request={"reasonCode": [{"text": "丈夫动手"}]}, extra=[phq9(2)])
    for login in ("nurse-a", "worker-a", "coordinator"):
        paper = (await (await browser(login)).get(f"/referrals/{referred.id}/print")).text
        assert "人身安全" in paper and "家暴" not in paper and "丈夫动手" not in paper, login


async def test_no_stage_of_a_share_prints_more_than_its_tier(world: World, browser: Any) -> None:
    """Offered, accepted without consent, declined: nobody's name; disclosed: who it is, but what the consent leaves out; ended: nobody's name again."""
    secrets = ("陈素芬", "13800000001", "1952", "示例街道", "心内科", "腿脚不便")
    stay = {
        "location": [
            {"location": {"display": "心内科二病区"}, "physicalType": {"coding": [{"code": "wa"}]}, "status": "active"}
        ]
    }
    worker: Browser = await browser("worker-a")

    async def paper(referred: Any) -> str:
        return "".join([(await worker.get(f"/referrals/{referred.id}/{kind}")).text for kind in ("print", "receipt")])

    async def silent(referred: Any) -> bool:
        said = await paper(referred)
        return "转介单" in said and not any(secret in said for secret in secrets)

    async def placed_for() -> Any:
        return await world.refer("N05", encounter=stay, request={"reasonCode": [{"text": "腿脚不便"}]})

    declined = await placed_for()
    offer = await world.offer(declined)
    assert await silent(declined), "offered"
    assert (
        await world.party("agency-a").put(offer, status="rejected", statusReason=reason("no-capacity"))
    ).status == 200
    assert await silent(declined), "declined"
    taken = await placed_for()
    share = await world.accepted(taken, consent=False)
    assert await silent(taken), "accepted, and nobody has agreed yet"
    left_out = [{"type": "deny", "class": [{"system": "urn:yuanshe:data-category", "code": "stay"}]}]
    form = world.consent_form(taken.patient, taken.request, "agency-a")
    form["provision"]["provision"] = left_out
    made = await world.party("his-a").post("Consent", form)
    assert made.status == 201, made
    said = await paper(taken)
    assert "陈素芬" in said and "腿脚不便" in said and "心内科" not in said, "disclosed, without the stay"
    own = (await (await browser("nurse-a")).get(f"/referrals/{taken.id}/print")).text
    assert all(secret in own for secret in secrets)
    gone = await world.party("his-a").put(await world.party("his-a").read(f"Consent/{made['id']}"), status="inactive")
    assert gone.status == 200, gone
    assert await silent(taken), f"withdrawn: {share['id']}"


async def test_paper_says_to_whom_the_person_agreed_to_be_known_and_how_to_reach_them(
    world: World, browser: Any
) -> None:
    hours = [{"url": "begins", "valueTime": "14:00:00"}, {"url": "ends", "valueTime": "16:00:00"}]
    rules = [
        {"url": "channel", "valueCode": "phone"},
        {"url": "time", "extension": hours},
        {"url": "message", "valueBoolean": False},
    ]
    referred = await world.refer(
        "N05", request={"extension": [{"url": "urn:yuanshe:safe-contact", "extension": rules}]}
    )
    nurse: Browser = await browser("nurse-a")
    paper = (await nurse.get(f"/referrals/{referred.id}/print")).text
    assert "尚未取得" in paper and "电话 · 14:00–16:00 · 不可留言" in paper
    await world.consent(referred, "agency-a")
    assert "同意披露给：同行社会工作服务中心" in (await nurse.get(f"/referrals/{referred.id}/print")).text


async def test_whoever_must_not_be_contacted_has_no_number_on_paper(world: World, browser: Any) -> None:
    rules = [{"url": "urn:yuanshe:safe-contact", "extension": [{"url": "prohibited", "valueBoolean": True}]}]
    referred = await world.refer("N05", request={"extension": rules})
    paper = (await (await browser("nurse-a")).get(f"/referrals/{referred.id}/print")).text
    assert "不可直接联系" in paper and "13800000001" not in paper and "示例街道" not in paper


async def test_a_keystroke_asks_few_questions_of_the_database(world: World, sheet: Sheet, monkeypatch: Any) -> None:
    from service.db import Session

    asked: list[str] = []
    for name in ("fetch", "fetchrow", "fetchval", "execute"):
        real = getattr(Session, name)

        async def counted(self: Any, query: str, *values: Any, _real: Any = real) -> Any:
            asked.append(query)
            return await _real(self, query, *values)

        monkeypatch.setattr(Session, name, counted)
    await sheet.somebody(drawn=sheet.somebody().said["number"]).look(**HX)
    assert len(asked) <= 14, asked


async def test_the_receipt_says_what_came_of_it(world: World, browser: Any) -> None:
    from tests.http.world import closed, output

    referred = await world.refer("N05")
    nurse: Browser = await browser("nurse-a")
    assert "还没有回执" in (await nurse.get(f"/referrals/{referred.id}/receipt")).text
    share = await world.accepted(referred)
    agency = world.party("agency-a")
    started = await agency.put(share, status="in-progress")
    done = await agency.put(started, status="completed", output=[output()], statusReason=closed())
    assert done.status == 200, done
    paper = (await nurse.get(f"/referrals/{referred.id}/receipt")).text
    assert "目标达成" in paper and "同行社会工作服务中心" in paper
