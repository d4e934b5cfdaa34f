"""One referral on its page: exactly the acts that may be made now, each done over HTTP, races told, and of a person no more than
the reader may know."""

import asyncio
import html
import re
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from adapters.web.referral import offering
from service.access import session_flow
from service.db import Scope
from service.practice import Practice
from service.referrals import lifecycle
from service.referrals.model import Clock, Task
from service.values import Id, new_id, utc_now
from tests.http.loop import crisis, discharge, message, share_in
from tests.http.test_claims import open_offer, withdrawn_first
from tests.http.test_consent import basis
from tests.http.test_disclosing import asked
from tests.http.world import Referred, World, reason
from tests.web.conftest import Browser

PRACTICE = Practice()


def acts(page: str) -> set[str]:
    """The acts whose forms a page draws."""
    return set(re.findall(r'action="/referrals/[0-9a-f-]+/([a-z-]+)"', page))


async def do(browser: Browser, referral: Any, word: str, at: str | None = None, **said: str) -> Any:
    """Fill in a form that the page draws, with everything hidden in it, and send it. `at`: of the forms of this act the one that
    holds these words. The page that is open already is used as it is."""
    if f"/referrals/{referral}" not in str(browser.page.url):
        await browser.get(f"/referrals/{referral}")
    forms = re.findall(rf'<form[^>]*action="/referrals/{referral}/{word}"[^>]*>(.*?)</form>', browser.page.text, re.S)
    form = next((each for each in forms if at is None or at in each), None)
    assert form is not None, f"no form to {word} among {acts(browser.page.text)}"
    hidden = {
        name: html.unescape(value) for name, value in re.findall(r'type="hidden" name="([\w-]+)" value="([^"]*)"', form)
    }
    return await browser.post(f"/referrals/{referral}/{word}", hidden | said, token=False)


def story(page: str) -> str:
    """The timeline alone, without its markup."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page[page.index('class="story"') :]))


# ---- what is drawn ---------------------------------------------------------------------------------------------------

STATUSES = sorted(lifecycle.EVERY - {"draft"})
CLOCKS: dict[str, tuple[str, ...]] = {
    "plain": (),
    "asked": ("information",),
    "to be cancelled": ("cancel",),
    "without consent": ("consent",),
}


def share(status: str, clocks: tuple[str, ...], **changes: Any) -> Task:
    now = utc_now()
    clock = Clock(60, now, now + timedelta(hours=1))
    live = status not in ("requested", "rejected")
    return Task(
        id=new_id(), kind="share", version=1, referral=new_id(), hospital=new_id(), status=status, urgency="routine", needs=("N05",),  # pyright: ignore[reportArgumentType]
        authored_at=now, updated_at=now, agency=new_id(), accepted_at=now if live else None, clocks=dict.fromkeys(clocks, clock),
        ended_at=None if status in ("requested", *lifecycle.LIVE) else now, **changes,
    )  # fmt: skip


@pytest.mark.parametrize("side", ["agency", "hospital", "coordinator"])
@pytest.mark.parametrize("clocks", CLOCKS)
@pytest.mark.parametrize("status", STATUSES)
def test_a_share_offers_what_the_table_of_moves_lets_this_side_do_and_nothing_else(
    status: str, clocks: str, side: str
) -> None:
    now = utc_now()
    one = share(status, CLOCKS[clocks])
    drawn = set(offering.share_acts(one, side, now, PRACTICE))
    legal = set(lifecycle.legal(one, side))
    if side != "agency":
        legal = {offering.OF_THE_PLACER.get(word, word) for word in legal} - {"void", "request-cancel"}
    needs_ground = {"start", "resume"} if "consent" in one.clocks else set()
    beside = {"assign"} if side == "agency" and status in lifecycle.LIVE else set()
    assert drawn == legal - needs_ground | beside


def test_what_the_verbs_ask_beyond_the_table_is_not_drawn_either() -> None:
    now = utc_now()
    fresh = share("accepted", ())
    assert "return" in offering.share_acts(fresh, "agency", now, PRACTICE)
    assert "return" not in offering.share_acts(fresh, "agency", now + timedelta(hours=3), PRACTICE)
    worked = msgspec.structs.replace(fresh, recorded=True)
    assert "return" not in offering.share_acts(worked, "agency", now, PRACTICE)
    assert "complete" not in offering.share_acts(fresh, "agency", now, PRACTICE, crisis_up=True)
    unowned = msgspec.structs.replace(share("requested", ()), agency=None)
    assert offering.share_acts(unowned, "agency", now, PRACTICE) == ("claim",)


WHOLE = {"raise", "consent", "withdraw", "request-cancel", "void", "offer", "refuse", "give-up", "basis"}
IN_STATE: dict[str, dict[str, set[str]]] = {
    "requested": {
        "worker-a": {"accept", "decline", "ask", "raise"},
        "nurse-a": {"consent", "withdraw", "void", "raise"},
        "coordinator": {"offer", "refuse", "basis", "withdraw", "void", "raise", "ask", "withdraw-share"},
    },
    "accepted": {
        "worker-a": {"ask", "start", "hold", "return", "complete", "fail", "assign", "raise"},
        "nurse-a": {"consent", "withdraw-consent", "request-cancel", "void", "raise"},
        "coordinator": {"void", "raise", "ask"},
    },
    "in-progress": {
        "worker-a": {"ask", "hold", "complete", "fail", "assign", "raise"},
        "nurse-a": {"consent", "withdraw-consent", "request-cancel", "void", "raise"},
        "coordinator": {"void", "raise", "ask"},
    },
    "on-hold": {
        "worker-a": {"resume", "complete", "fail", "assign", "raise"},
        "nurse-a": {"consent", "withdraw-consent", "request-cancel", "void", "raise"},
        "coordinator": {"void", "raise"},
    },
    "completed": {"worker-a": set(), "nurse-a": {"void", "raise", "withdraw-consent"}, "coordinator": {"void", "raise"}},
}  # fmt: skip


@pytest.mark.parametrize("status", IN_STATE)
async def test_each_side_is_offered_what_it_may_do_in_each_state(world: World, browser, status: str) -> None:
    task = await share_in(world, status)
    shared = await world.party("his-a").read(f"Task/{task['id']}")
    parent = await world.party("his-a").read(shared["partOf"][0]["reference"])
    referral = parent["focus"]["reference"].split("/")[1]
    for login, expected in IN_STATE[status].items():
        one: Browser = await browser(login)
        assert acts((await one.get(f"/referrals/{referral}")).text) == expected, login


async def test_nobody_else_finds_the_page_or_its_acts(world: World, browser) -> None:
    referred = await world.refer("N05")
    for login in ("worker-b", "bureau"):
        other: Browser = await browser(login)
        assert (await other.get(f"/referrals/{referred.id}")).status_code == 404
        offer = await world.offer(referred)
        tried = await other.post(f"/referrals/{referred.id}/accept", {"task": offer["id"]})
        assert tried.status_code in (403, 404, 409), login
    nurse: Browser = await browser("nurse-a")
    await nurse.get(f"/referrals/{referred.id}")
    assert (await nurse.post(f"/referrals/{referred.id}/accept", {"task": offer["id"]})).status_code == 403
    assert (await nurse.post(f"/referrals/{referred.id}/nothing", {})).status_code == 404
    foreign = await nurse.post(f"/referrals/{referred.id}/withdraw", {"text": "不需要了"}, token=False)
    assert foreign.status_code == 403


# ---- each act --------------------------------------------------------------------------------------------------------


async def test_an_agency_takes_a_referral_from_its_offer_to_its_end(world: World, browser) -> None:
    referred = await world.refer("N05")
    worker: Browser = await browser("worker-a")
    accepted = await do(worker, referred.id, "accept")
    assert "已接单。" in accepted.text and "撤销：" in accepted.text and "等待取得同意" in accepted.text
    assert "start" not in acts(accepted.text), "nothing begins without a ground"
    await world.consent(referred, "agency-a")
    begun = await do(worker, (await worker.get(f"/referrals/{referred.id}")) and referred.id, "start")
    assert "已开始服务" in begun.text and "陈素芬" in begun.text
    held = await do(worker, referred.id, "hold", text="病人转院检查", until="2030-01-02T09:30")
    assert "已暂停" in held.text and "病人转院检查" in held.text and "2030年1月2日 09:30 前" in held.text
    again = await do(worker, referred.id, "resume")
    assert "已恢复服务" in again.text
    done = await do(worker, referred.id, "complete", reason="goals-met", text="已落实安置", output="住进了护理院")
    assert "已结案" in done.text and "回执" in done.text and acts(done.text) == set()
    nurse: Browser = await browser("nurse-a")
    told = (await nurse.get(f"/referrals/{referred.id}")).text
    assert "目标达成 · 已落实安置" in story(told) and f"/referrals/{referred.id}/receipt" in told


async def test_what_is_missing_is_said_where_it_is_missing_and_nothing_typed_is_lost(world: World, browser) -> None:
    referred = await world.refer("N05")
    await world.accepted(referred)
    worker: Browser = await browser("worker-a")
    tried = await do(worker, referred.id, "fail", reason="", text="联系了三次，家属不同意服务")
    assert tried.status_code == 422 and "联系了三次，家属不同意服务" in tried.text
    assert re.search(r'href="#fail-\w+-reason"', tried.text) and re.search(r'id="fail-\w+-reason-wrong"', tried.text)
    assert re.search(r'id="act-fail-\w+" open', tried.text), "its form stands open"
    mended = await do(worker, referred.id, "fail", reason="client-ended", text="联系了三次，家属不同意服务")
    assert mended.status_code == 200 and "服务对象要求结束" in story(mended.text)


async def test_a_question_and_its_answer_stand_in_the_story_with_their_words(world: World, browser) -> None:
    referred = await world.refer("N05")
    worker: Browser = await browser("worker-a")
    nurse: Browser = await browser("nurse-a")
    asked = await do(worker, referred.id, "ask", text="家里有电梯吗？")
    assert "问题已发给医院" in asked.text and "家里有电梯吗？" in story(asked.text)
    page = (await nurse.get(f"/referrals/{referred.id}")).text
    assert (
        "轮到「星河医院」答复问题" in page
        and "家里有电梯吗？" in page[page.index("等待答复的问题") : page.index("现在可以做的")]
    )
    named = await do(nurse, referred.id, "answer", text="陈素芬家住三楼，没有电梯")
    assert named.status_code == 422 and "身份还没有对这家机构开放" in named.text and "没有电梯" in named.text
    answered = await do(nurse, referred.id, "answer", text="住三楼，没有电梯")
    assert "答复已发给机构" in answered.text and "answer" not in acts(answered.text)
    seen = story((await worker.get(f"/referrals/{referred.id}")).text)
    assert seen.index("住三楼，没有电梯") < seen.index("家里有电梯吗？"), "newest first"
    only = (await worker.get(f"/referrals/{referred.id}?show=talk")).text
    assert "家里有电梯吗？" in story(only) and "派单" not in story(only)


async def test_a_decline_and_a_return_move_on_to_the_next_agency(world: World, browser) -> None:
    referred = await world.refer("N05")
    worker: Browser = await browser("worker-a")
    declined = await do(worker, referred.id, "decline", reason="no-capacity", text="本周名额已满")
    assert "已退单" in declined.text and acts(declined.text) == set() and "名额已满" in declined.text
    nurse: Browser = await browser("nurse-a")
    assert "本周名额已满" in (await nurse.get(f"/referrals/{referred.id}")).text
    other = await world.refer("N05")
    await do(worker, other.id, "accept")
    back = await do(worker, other.id, "return", reason="conflict-of-interest", text="社工与家属相识")
    assert "已退回" in back.text and acts(back.text) == set()


async def test_a_hospital_takes_a_referral_back_before_and_after_it_was_accepted(world: World, browser) -> None:
    nurse: Browser = await browser("nurse-a")
    worker: Browser = await browser("worker-a")
    early = await world.refer("N05")
    without = await do(nurse, early.id, "withdraw", text="")
    assert without.status_code == 422 and "withdraw" in acts(without.text)
    assert "已撤回" in (await do(nurse, early.id, "withdraw", text="病人已出院回家")).text
    assert acts((await worker.get(f"/referrals/{early.id}")).text) == set()
    late = await world.refer("N05")
    await world.accepted(late)
    asked = await do(nurse, late.id, "request-cancel", text="家属改变主意")
    assert "等待机构确认" in asked.text and "request-cancel" not in acts(asked.text)
    ready = await worker.get(f"/referrals/{late.id}")
    assert "确认撤回或结案" in ready.text
    assert "已确认撤回" in (await do(worker, late.id, "confirm-cancel")).text
    wrong = await world.refer("N05")
    void = await do(nurse, wrong.id, "void", text="录错了病人")
    assert "已作废" in void.text and "误录作废" in void.text and acts(void.text) == set()


async def test_a_reason_that_agencies_read_names_nobody(world: World, browser) -> None:
    """The agency that was offered it reads why it was taken back, and never who it was."""
    referred = await world.refer("N05")
    nurse: Browser = await browser("nurse-a")
    for text in ("陈 素芬已回家", "家属电话 138-0000-0001"):
        tried = await do(nurse, referred.id, "withdraw", text=text)
        assert tried.status_code == 422 and "不能有患者的姓名、电话或证件号" in tried.text and text in tried.text
    await do(nurse, referred.id, "withdraw", text="病人已回家")
    worker: Browser = await browser("worker-a")
    told = (await worker.get(f"/referrals/{referred.id}")).text
    assert "病人已回家" in told and "陈" not in story(told)


async def test_a_crisis_goes_its_steps_and_two_persons_end_it(world: World, browser) -> None:
    referred = await world.refer("N05")
    nurse: Browser = await browser("nurse-a")
    raised = await do(nurse, referred.id, "raise", text="说不想活了")
    assert "危机已上报" in raised.text and "危机：" in raised.text and "说不想活了" in story(raised.text)
    worker: Browser = await browser("worker-a")
    agency = story((await worker.get(f"/referrals/{referred.id}")).text)
    assert "说不想活了" not in agency
    assert {"acknowledged"} <= acts(raised.text) and "stood-down" not in acts(raised.text)
    await do(nurse, referred.id, "acknowledged", text="已陪在床边")
    without = await do(nurse, referred.id, "safety-planned", text="有人陪伴，移走危险物品")
    assert without.status_code == 422 and "风险等级" in without.text
    planned = await do(nurse, referred.id, "safety-planned", text="有人陪伴，移走危险物品", risk="high")
    assert "安全计划已记录" in planned.text
    assert "stood-down" not in acts(planned.text) and "reported" in acts(planned.text), "not who made the plan"
    other: Browser = await browser("coordinator")
    ended = await do(other, referred.id, "stood-down", text="精神科已会诊，风险低")
    assert "危机已解除" in ended.text and "危机：" not in ended.text


async def test_a_consent_is_recorded_later_by_whoever_may_sign_and_withdrawn(world: World, browser) -> None:
    referred = await world.refer("N05")
    await world.accepted(referred, consent=False)
    agency = world.organizations["agency-a"].split("/")[1]
    nurse: Browser = await browser("nurse-a")
    worker: Browser = await browser("worker-a")
    wrong = await do(
        nurse, referred.id, "consent", agency=agency, signer="guardian", how="spoken", guardian="", witness=""
    )
    assert wrong.status_code == 422 and "请写监护人的姓名" in wrong.text and "口头同意要有见证人" in wrong.text
    assert "陈素芬" not in (await worker.get(f"/referrals/{referred.id}")).text
    given = await do(
        nurse, referred.id, "consent", agency=agency, signer="guardian", guardian="陈大力", relation="儿子", how="spoken",
        witness="王医生", witness_role="staff", agree="yes",
    )  # fmt: skip
    assert "同意已记录" in given.text and "监护人或近亲属（口头，有见证人）" in given.text
    known = (await worker.get(f"/referrals/{referred.id}")).text
    assert "陈素芬" in known and "start" in acts(known)
    heard = await do(
        nurse,
        referred.id,
        "consent",
        agency=agency,
        signer="patient",
        how="spoken",
        witness="陈小妹",
        witness_role="relative",
        agree="yes",
    )
    assert heard.text.count("本人（口头，有见证人）") == 1
    await do(nurse, referred.id, "withdraw-consent")
    taken = await do(nurse, referred.id, "withdraw-consent")
    assert "同意已撤回，身份已收回" in taken.text
    gone = (await worker.get(f"/referrals/{referred.id}")).text
    assert "陈素芬" not in gone and "同意已撤回或已到期，身份已收回" in gone and "start" not in acts(gone)


async def test_a_coordinator_places_refuses_and_gives_up(world: World, browser) -> None:
    coordinator: Browser = await browser("coordinator")
    referred = await withdrawn_first(world, "N05")
    b = world.organizations["agency-b"].split("/")[1]
    placed = await do(coordinator, referred.id, "offer", agency=b, text="离家近")
    assert "已派单。" in placed.text and "暖光社会工作服务中心" in placed.text
    taken = await do(coordinator, referred.id, "withdraw-share", text="机构来电说接不了")
    assert "已收回" in taken.text
    refused = await do(coordinator, referred.id, "refuse", reason="ineligible", text="建议联系民政局")
    assert "不受理" in refused.text and acts(refused.text) == {"void", "raise"}
    other = await world.refer("N17")
    ended = await do(coordinator, other.id, "give-up", text="辖区内没有机构")
    assert "已终止派单" in ended.text
    nurse: Browser = await browser("nurse-a")
    assert "建议联系民政局" in (await nurse.get(f"/referrals/{referred.id}")).text


async def test_a_lawful_basis_opens_identity_and_leaves_a_duty_that_its_owner_sees_to(world: World, browser) -> None:
    referred = await world.refer("N05")
    await world.accepted(referred, consent=False)
    agency = world.organizations["agency-a"].split("/")[1]
    coordinator: Browser = await browser("coordinator")
    made = await do(coordinator, referred.id, "basis", kind="ETREAT", agency=agency, text="昏迷，需要立即联系家属")
    assert "依据已记录" in made.text and "补办告知" in made.text
    worker: Browser = await browser("worker-a")
    assert "陈素芬" in (await worker.get(f"/referrals/{referred.id}")).text
    nurse: Browser = await browser("nurse-a")
    assert {"see-to", "call-off"} <= acts((await nurse.get(f"/referrals/{referred.id}")).text)
    assert "see-to" not in acts((await worker.get(f"/referrals/{referred.id}")).text)
    seen = await do(nurse, referred.id, "see-to", text="已当面告知")
    assert "已记为办好" in seen.text and "补办告知" not in seen.text[: seen.text.index('class="story"')]


# ---- two at once -----------------------------------------------------------------------------------------------------


async def test_of_two_colleagues_the_slower_one_is_told_who_did_what_and_sees_the_state_as_it_is(
    world: World, browser
) -> None:
    referred = await world.refer("N05")
    one: Browser = await browser("worker-a")
    two: Browser = await browser("worker-a2")
    for each in (one, two):
        await each.get(f"/referrals/{referred.id}")
    assert (await do(one, referred.id, "accept")).status_code == 200
    late = await do(two, referred.id, "decline", reason="no-capacity", text="这周排满了")
    name = world.said["people"]["worker-a"]["name"]
    told = late.text[late.text.index("在您打开这一页之后") : late.text.index("下面是现在的情况")]
    assert late.status_code == 422 and name in told and "接单" in told
    assert "这周排满了" in late.text and "decline" not in acts(late.text) and "return" in acts(late.text)


async def test_a_hospital_that_withdraws_while_an_agency_accepts_is_told(world: World, browser) -> None:
    referred = await world.refer("N05")
    nurse: Browser = await browser("nurse-a")
    worker: Browser = await browser("worker-a")
    for each in (nurse, worker):
        await each.get(f"/referrals/{referred.id}")
    await do(nurse, referred.id, "withdraw", text="不需要了")
    late = await do(worker, referred.id, "accept")
    assert (
        late.status_code == 422
        and "撤回" in late.text[late.text.index("在您打开这一页之后") :]
        and acts(late.text) == set()
    )


async def test_whoever_claims_second_learns_that_it_is_taken(world: World, browser) -> None:
    referred = await withdrawn_first(world, "N05")
    await open_offer(world, referred)
    one: Browser = await browser("worker-a")
    two: Browser = await browser("worker-b")
    for each in (one, two):
        assert "claim" in acts((await each.get(f"/referrals/{referred.id}")).text)
    assert "已认领" in (await do(one, referred.id, "claim")).text
    late = await do(two, referred.id, "claim")
    assert late.status_code == 409 and "已被别人接走" in late.text and "看下一条" in late.text


async def test_a_form_that_is_sent_twice_is_one_act(world: World, browser) -> None:
    referred = await world.refer("N05")
    worker: Browser = await browser("worker-a")
    page = (await worker.get(f"/referrals/{referred.id}")).text
    form = re.search(rf'action="/referrals/{referred.id}/ask"[^>]*>(.*?)</form>', page, re.S)
    assert form
    said = {n: html.unescape(v) for n, v in re.findall(r'type="hidden" name="([\w-]+)" value="([^"]*)"', form[1])} | {
        "text": "家里有人吗？"
    }
    both = await asyncio.gather(*(worker.post(f"/referrals/{referred.id}/ask", said, token=False) for _ in range(2)))
    assert {answer.status_code for answer in both} == {200}
    assert story((await worker.get(f"/referrals/{referred.id}")).text).count("家里有人吗？") == 1


# ---- what is shown of a person ---------------------------------------------------------------------------------------


async def test_at_each_stage_a_page_shows_of_the_person_what_its_reader_may_know_and_why_no_more(
    world: World, browser
) -> None:
    referred = await world.refer("N05", request={"reasonCode": [{"text": "独居，无人照顾"}]})
    worker: Browser = await browser("worker-a")

    async def page() -> str:
        return (await worker.get(f"/referrals/{referred.id}")).text

    offered = await page()
    assert (
        "陈素芬" not in offered
        and "独居，无人照顾" not in offered
        and "接单，并取得同意（或有法定依据）后开放" in offered
    )
    share = await world.accepted(referred, consent=False)
    accepted = await page()
    assert "陈素芬" not in accepted and "独居，无人照顾" not in accepted and "等待取得同意" in accepted
    consent = await world.consent(referred, "agency-a")
    disclosed = await page()
    assert "陈素芬" in disclosed and "独居，无人照顾" in disclosed
    await world.party("his-a").put(consent, status="inactive")
    withdrawn = await page()
    assert "陈素芬" not in withdrawn and "独居，无人照顾" not in withdrawn and "身份已收回" in withdrawn
    await world.consent(referred, "agency-a")
    agency = world.party("agency-a")
    done = await agency.put(await agency.read(f"Task/{share['id']}"), status="failed", statusReason=reason("moved", "搬走了", "urn:yuanshe:closure-reason"))  # fmt: skip
    assert done.status == 200
    ended = await page()
    assert "陈素芬" not in ended and "独居，无人照顾" not in ended and "不再开放身份" in ended


async def test_of_a_safety_need_an_ended_share_says_no_more_than_its_offer_did(world: World, browser) -> None:
    referred = await world.refer("N13", request={"reasonCode": [{"text": "身上有伤"}]})
    share = await world.accepted(referred)
    worker: Browser = await browser("worker-a")
    assert "虐待" in (await worker.get(f"/referrals/{referred.id}")).text
    agency = world.party("agency-a")
    over = await agency.put(
        share, status="failed", statusReason=reason("moved", "搬走了", "urn:yuanshe:closure-reason")
    )
    assert over.status == 200
    said = (await worker.get(f"/referrals/{referred.id}")).text
    assert "虐待" not in said and "身上有伤" not in said and "人身安全" in said


async def test_a_conflict_of_interest_withholds_the_person_until_another_worker_is_named(world: World, browser) -> None:
    worker: Browser = await browser("worker-a")
    own = await worker_of(worker)
    declared = await world.party("agency-a").post(
        f"PractitionerRole/{own}/$declare-conflict", asked(phone="13800000001")
    )
    assert declared.status == 204
    referred = await world.refer("N05")
    await world.consent(referred, "agency-a")
    page = (await do(worker, referred.id, "accept", worker=own)).text
    assert (
        "陈素芬" not in page
        and "社工已申报利益冲突" in page
        and "改派另一位社工后开放" in page
        and "assign" in acts(page)
    )
    refused = await do(worker, referred.id, "start", worker=own)
    assert refused.status_code == 422 and "已申报利益冲突" in refused.text and "陈素芬" not in refused.text
    other: Browser = await browser("worker-a2")
    named = await do(other, referred.id, "assign", worker=await worker_of(other))
    assert "已改派社工" in named.text and "陈素芬" in named.text


async def worker_of(browser: Browser) -> str:
    """The worker that somebody is in the directory."""
    known = await session_flow.known(browser.world.database, browser._http.cookies["yuanshe"])
    return str(known.actor.worker)


async def test_flags_stand_first_and_sealed_entries_are_one_quiet_line(world: World, browser) -> None:
    contact = {"url": "urn:yuanshe:safe-contact", "extension": [{"url": "prohibited", "valueBoolean": True}]}
    referred = await world.refer("N03", request={"extension": [contact]}, patient={"birthDate": "2016-05-01"})
    nurse: Browser = await browser("nurse-a")
    page = (await nurse.get(f"/referrals/{referred.id}")).text
    assert page.index("不可直接联系") < page.index("未满14周岁")
    for step in ("raised", "acknowledged"):
        await world.party("platform").post("Communication", crisis(step, referred.request, "平台说的话"))
    told = (await nurse.get(f"/referrals/{referred.id}")).text
    assert "2 条受限内容" in told and "平台说的话" not in told
    coordinator: Browser = await browser("coordinator")
    assert "平台说的话" in (await coordinator.get(f"/referrals/{referred.id}")).text


async def test_a_message_that_moves_nothing_stands_in_the_story(world: World, browser) -> None:
    referred = await world.refer("N05")
    share = await world.accepted(referred)
    said = message("note", f"Task/{share['id']}", payload=[{"contentString": "请带上医保卡"}])
    assert (await world.party("his-a").post("Communication", said)).status == 201
    worker: Browser = await browser("worker-a")
    assert "请带上医保卡" in story((await worker.get(f"/referrals/{referred.id}")).text)


async def test_the_page_speaks_english_too(world: World, browser) -> None:
    referred = await world.refer("N05")
    await world.party("platform").post("Provenance", basis(world, referred, "ETREAT"))
    for login in ("nurse-a", "worker-a", "coordinator"):
        one: Browser = await browser(login)
        await one.post("/language", {"language": "en", "next": f"/referrals/{referred.id}"})
        page = re.sub(r"<blockquote.*?</blockquote>|lang=\"zh-CN\">中文<", "", one.page.text, flags=re.S)
        words = re.sub(r"<[^>]+>", " ", page[page.index("<main") :])
        own = {"陈素芬", "法定报告职责", *(p["name"] for p in world.said["people"].values())}
        found = {w for w in re.findall(r"[\u4e00-\u9fff]+", words) if not any(w in name for name in own)}
        assert found == set(), login


# ---- the ward's list -------------------------------------------------------------------------------------------------


async def folders(nurse: Browser, referred: Referred) -> set[str]:
    found: set[str] = set()
    for folder in ("mine", "waiting", "service", "follow-up", "ended", "all"):
        if str(referred.id) in (await nurse.get(f"/referrals?folder={folder}")).text:
            found.add(folder)
    return found


async def test_a_referral_moves_through_the_folders_and_ends_with_what_came_of_it(world: World, browser) -> None:
    nurse: Browser = await browser("nurse-a")
    referred = await world.refer("N05")
    assert await folders(nurse, referred) == {"waiting", "all"}
    share = await world.accepted(referred, consent=False)
    assert await folders(nurse, referred) == {"mine", "all"}, "the consent is the hospital's to obtain"
    await world.consent(referred, "agency-a")
    assert await folders(nurse, referred) == {"service", "all"}
    counts = dict(re.findall(r'folder=([\w-]+)"[^>]*>\s*<span>[^<]*</span> <span class="count">(\d+)', nurse.page.text))
    assert counts == {"all": "1", "mine": "0", "waiting": "0", "service": "1", "follow-up": "0"}
    assert (await discharge(world, referred)).status == 200
    agency = world.party("agency-a")
    from tests.http.world import closed, output

    assert (await agency.put(await agency.read(f"Task/{share['id']}"), status="completed", output=[output()], statusReason=closed())).status == 200  # fmt: skip
    assert await folders(nurse, referred) == {"follow-up", "all"}
    worker: Browser = await browser("worker-a")
    page = (await worker.get(f"/referrals/{referred.id}")).text
    assert "陈素芬" in page and "/follow-ups/" in page, "who is followed up is known"
    other = await world.refer("N05")
    await do(nurse, other.id, "withdraw", text="不需要了")
    assert await folders(nurse, other) == {"ended"}
    ended = (await nurse.get("/referrals?folder=ended")).text
    assert "已撤回" in ended and "今天" in ended


async def test_a_filter_finds_by_name_ward_need_urgency_and_agency_and_stands_in_no_address(
    world: World, browser
) -> None:
    await world.refer("N05", patient={"name": [{"text": "刘德顺"}]})
    first = await world.refer("N05", "N01", patient={"name": [{"text": "吴桂花"}]})
    nurse: Browser = await browser("nurse-a")
    for words, finds in (
        ("吴桂花", True),
        ("桂花 出院", True),
        ("优先 同行", True),
        ("桂花 哀伤", False),
        ("经济", True),
        ("wu", False),
    ):
        page = await nurse.post("/referrals", {"words": words, "folder": "all"})
        assert (str(first.id) in page.text) == finds, words
        assert page.status_code == 200 and str(page.url).endswith("/referrals")
        assert ("没有符合的" in page.text) == (not finds)
    assert "刘德顺" not in (await nurse.post("/referrals", {"words": "吴桂花"})).text


async def test_pages_of_the_list_follow_each_other_and_neither_skip_nor_repeat(
    world: World, browser, monkeypatch
) -> None:
    from adapters.web.referral import listing

    monkeypatch.setattr(listing, "AT_A_TIME", 2)
    nurse: Browser = await browser("nurse-a")
    made = [(await world.refer("N05")).id for _ in range(5)]
    ended = [(await world.refer("N03")).id for _ in range(3)]
    for id in ended:
        await nurse.get("/referrals")
        await do(nurse, id, "withdraw", text="不需要了")
    for start, expected in (
        ("/referrals", made),
        ("/referrals?folder=waiting", made),
        ("/referrals?folder=ended", ended),
    ):
        seen: list[str] = []
        path: str | None = start
        while path:
            text = (await nurse.get(path)).text
            seen += re.findall(r'class="open" href="/referrals/([^"]+)"', text)
            found = re.search(r'href="([^"]*after=[^"]*)" rel="next"', text)
            path = html.unescape(found[1]) if found else None
        assert seen == [str(id) for id in (expected if "ended" not in start else expected[::-1])], start
    words = await nurse.post("/referrals", {"words": "陈素芬", "folder": "waiting"})
    more = re.search(r'name="after" value="([^"]+)"', words.text)
    assert more
    second = await nurse.post("/referrals", {"words": "陈素芬", "folder": "waiting", "after": more[1]})
    assert not set(re.findall(r'class="open" href="/referrals/([^"]+)"', words.text)) & set(re.findall(r'class="open" href="/referrals/([^"]+)"', second.text))  # fmt: skip
    assert (await nurse.get("/referrals?after=nonsense&folder=none")).status_code == 200


async def test_mine_are_those_that_i_placed(world: World, browser) -> None:
    from tests.http.world import submission

    of_the_system = await world.refer("N05")
    nurse: Browser = await browser("nurse-a")
    known = await session_flow.known(world.database, nurse._http.cookies["yuanshe"])
    async with world.database.transaction(known.actor.scope) as session:
        made = await world.app.state.fhir(session, known.actor, "POST", "", submission("N03"), session.began)
    mine = next(e["response"]["location"].split("/")[1] for e in made["entry"] if "ServiceRequest" in e["response"]["location"])  # fmt: skip
    page = (await nurse.get("/referrals?mine=1")).text
    assert mine in page and str(of_the_system.id) not in page and '<span class="count">1</span>' in page
    assert mine in (await nurse.get("/referrals?folder=waiting&mine=1")).text
    assert mine not in (await nurse.get("/referrals?folder=ended&mine=1")).text
    assert "没有您发起的转介" in nurse.page.text


async def test_sides_that_place_nothing_have_no_such_list(world: World, browser) -> None:
    worker: Browser = await browser("worker-a")
    assert not str((await worker.get("/referrals")).url).endswith("/referrals")
    await worker.get("/me")
    assert (await worker.post("/referrals", {"words": "陈"})).status_code == 403


async def test_each_folder_walks_its_own_index(world: World) -> None:
    """As the service's role, under row security: an operator that is not leakproof would make the planner read whole tables."""
    from service.referrals import overview_store as store

    hospital, now, nobody = world.organizations["hospital-a"].split("/")[1], utc_now(), new_id()
    asked = {
        "next_step_folder": (store.FOLDER_KEYS, hospital, now, nobody, 50, "mine"),
        "next_step_hospital": (store.OPEN_KEYS, hospital, now, nobody, 50),
        "referral_closed": (store.CLOSED_KEYS, hospital, now, nobody, 50),
        "event_submitted": (store.OWN_CLOSED_KEYS, nobody, now, nobody, 50, hospital),
    }
    async with world.database.transaction(Scope(Id(hospital), "referrer")) as session:
        await session.execute("SET LOCAL enable_seqscan = off")
        await session.execute("SET LOCAL enable_sort = off")
        for index, (statement, *values) in asked.items():
            plan = "\n".join(row[0] for row in await session.fetch(f"EXPLAIN {statement}", *values))
            assert index in plan, plan
        counted = "\n".join(
            row[0] for row in await session.fetch(f"EXPLAIN {store.COUNTS}", hospital, list(store.FOLDERS))
        )
        assert "next_step_folder" in counted, counted
