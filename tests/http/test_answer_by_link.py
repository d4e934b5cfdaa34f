"""Answering an offer without an account: a link in a mail, for one act, once, in time; opening it changes nothing."""

import base64
import hashlib
import json
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from html import unescape
from typing import Any

import pytest

from adapters import worker
from adapters.settings import Smtp
from service.values import utc_now
from tests.http.answering import (
    FOR,
    LINKS,
    MAILBOX,
    asks_for_links,
    heading,
    links,
    mailbox,
    mails,
    offered,
    opened,
    pressed,
)
from tests.http.loop import done, later, message, nothing_changes, refused, says, sweep
from tests.http.outside import working
from tests.http.subscribing import serving
from tests.http.world import BASE, World, closed, output, phq9
from tests.notices.mailbox import mailing

SENDER = "notices@yuanshe.example"


@pytest.fixture
async def world(network: dict[str, Any], network_database: Any) -> AsyncIterator[World]:
    async with serving(network, network_database, smtp=Smtp("127.0.0.1", 1, "none", SENDER)) as running:
        yield running


async def shares(world: World, referred: Any) -> dict[str, str]:
    """Which agency's share of the referral is how."""
    names = {reference: name for name, reference in world.organizations.items()}
    found = await world.shares(referred)
    owners = {share["id"]: share.get("owner", {}).get("reference", "") for share in found}
    return {names.get(owners[share["id"]], "a worker"): share["status"] for share in found}


# ---- the journey --------------------------------------------------------------------------------------------------------


async def test_journey_declined_by_a_link_in_a_mail_and_offered_to_the_next_agency(world: World) -> None:
    """Given an agency that has a mailbox and no account, when it is offered a referral, then a mail with three links comes
    by SMTP; when somebody opens the link to decline, nothing happens; when they give a reason and press the button, the
    offer is declined and the next agency has it, the hospital sees why, and the link is used up."""
    # Given: the platform subscribes the agency's mailbox.
    made = done(
        await world.party("platform").post("Subscription", asks_for_links(agency=world.organizations["agency-a"]))
    )
    async with (
        mailing() as box,
        working(world.clone, SMTP_URL=f"smtp://127.0.0.1:{box.port}?tls=none", SMTP_FROM=SENDER),
    ):
        assert (await box.next())["To"] == MAILBOX.removeprefix("mailto:")
        while (await world.party("platform").read(f"Subscription/{made['id']}"))["status"] != "active":
            pass
        # When: a referral is offered.
        referred = await world.refer("N05")
        told = (await box.next()).get_content()
    # Then: links, and nobody's data.
    found = links(told)
    assert found.keys() == {"accept", "decline", "ask"}
    for personal in ("陈素芬", "13800000001", "N05", "出院", referred.patient, str(referred.id)):
        assert personal not in told
    # When: a machine or a person opens it; then: nothing has changed.
    async with nothing_changes(world):
        page = await opened(world, found["decline"])
    assert page.status_code == 200 and heading(page) == "退单，请说明原因"
    # When: declined with a reason.
    answer = await world.http.post(found["decline"], data={"reason": "no-capacity", "words": "本月名额已满"})
    assert answer.status_code == 303
    # Then: the next agency has the offer, made in the transaction of the refusal.
    assert await shares(world, referred) == {"agency-a": "rejected", "agency-b": "requested"}
    async with world.as_owner() as owner:
        moments = await owner.fetch(
            "SELECT kind, at FROM event WHERE referral_id = $1 ORDER BY number DESC LIMIT 2", referred.id
        )
    assert [row["kind"] for row in moments] == ["offer", "decline"] and moments[0]["at"] == moments[1]["at"]
    seen = next(share for share in await world.shares(referred) if share["status"] == "rejected")
    assert seen["statusReason"]["coding"][0]["code"] == "no-capacity" and seen["statusReason"]["text"] == "本月名额已满"
    timeline = await world.party("his-a").read(f"{referred.request}/$timeline")
    assert "邮件链接" in json.dumps(timeline, ensure_ascii=False), "the hospital sees that it was by a link"
    # And: the page says what was done; the link is used up, the others find that it is declined.
    assert heading(await opened(world, found["decline"])) == "已退单"
    async with nothing_changes(world):
        again = await pressed(world, found["decline"], reason="no-capacity", words="再退一次")
        assert again.status_code == 409 and heading(again) == "这个链接已经用过"
        late = await pressed(world, found["accept"], sure="yes")
        assert late.status_code == 409 and heading(late) == "贵机构已退单"


# ---- opening changes nothing ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("act", ["accept", "decline", "ask"])
async def test_whoever_opens_a_link_changes_nothing(world: World, act: str) -> None:
    """A mail scanner that prefetches, asks for the head, follows the form with GET, or presses a button with an empty form."""
    _, found = await offered(world, "N05")
    filled = {"sure": "yes", "reason": "no-capacity", "words": "x", "action": act, "confirm": "1"}
    async with nothing_changes(world):
        for _ in range(2):
            assert (await opened(world, found[act])).status_code == 200
        assert (await world.http.head(found[act])).status_code == 200
        assert heading(await world.http.get(found[act], params=filled)) == heading(await opened(world, found[act]))
        assert (await world.http.request("GET", found[act], data=filled)).status_code == 200
        for method in ("PUT", "DELETE", "OPTIONS"):
            await world.http.request(method, found[act], data=filled)
        assert (await pressed(world, found[act])).status_code == 422
    async with world.as_owner() as owner:
        assert await owner.fetchval("SELECT count(*) FROM answer_link WHERE used_at IS NOT NULL") == 0


async def test_the_page_is_closed_to_everything_else(world: World) -> None:
    _, found = await offered(world, "N05")
    for link in (*found.values(), f"{BASE}/answer/nothing"):
        page = await opened(world, link)
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "form-action 'self'" in policy and "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy and "script" not in page.text
        style = re.search(r"<style>(.*?)</style>", page.text, re.S)[1]
        allowed = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        assert f"style-src 'sha256-{allowed}'" in policy, "its own style, and no other"
        assert page.headers["referrer-policy"] == "no-referrer" and page.headers["cache-control"] == "no-store"
        assert not re.findall(r'(?:src|href|action)=["\'](?:https?:)?//', page.text)
        assert 'name="viewport"' in page.text and "noindex" in page.headers["x-robots-tag"]


async def test_the_token_is_kept_nowhere(world: World, caplog: pytest.LogCaptureFixture) -> None:
    _, found = await offered(world, "N05")
    await opened(world, found["decline"])
    await pressed(world, found["decline"], reason="no-capacity", words="名额已满")
    await opened(world, f"{BASE}/answer/not-a-token")
    token = found["decline"].rpartition("/")[2]
    assert token not in caplog.text
    async with world.as_owner() as owner:
        tables = [row[0] for row in await owner.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
        for table in tables:
            assert not await owner.fetchval(
                f"SELECT count(*) FROM {table} t WHERE t::text LIKE '%' || $1 || '%'", token
            ), table
    assert token not in (await world.http.get(f"{BASE}/metrics")).text


# ---- what is shown -------------------------------------------------------------------------------------------------------


async def test_the_page_shows_the_offer_and_nobody(world: World) -> None:
    referred, found = await offered(world, "N05", "N01")
    for link in found.values():
        page = unescape((await opened(world, link)).text)
        for part in ("出院安置与过渡", "经济与医疗费用困难", "优先", "60—74岁", "答复时限"):
            assert part in page, part
        for personal in (
            "陈素芬",
            "13800000001",
            "1952",
            "示例街道 1 号",
            str(referred.id),
            referred.patient.split("/")[1],
            "医院 A",
        ):
            assert personal not in page, personal


async def test_of_a_need_for_safety_less_is_shown(world: World) -> None:
    _, found = await offered(world, "N12", extra=())
    page = unescape((await opened(world, found["accept"])).text)
    assert "人身安全" in page and "老年人" in page and "危机" in page
    for more in ("家暴", "N12", "60—74岁", "520502001", "自杀"):
        assert more not in page, more


async def test_whatever_becomes_of_the_referral_no_page_and_no_mail_says_who_it_is_about(world: World) -> None:
    """Accepted, consented, in service, completed: the link stays what it was, a way to answer and not to know."""
    agency, hospital = world.party("agency-a"), world.party("his-a")
    referred, found = await offered(world, "N05")
    personal = (
        "陈素芬",
        "13800000001",
        "1952-03-15",
        "示例街道 1 号",
        str(referred.id),
        referred.patient.split("/")[1],
    )

    async def shows_nobody() -> None:
        for link in found.values():
            for lang in ("zh", "en"):
                page = unescape((await opened(world, f"{link}?lang={lang}")).text)
                assert not [word for word in personal if word in page]
        for told in await mails(world):
            assert not [word for word in personal if word in told]

    await pressed(world, found["ask"], words="住几楼？")
    await shows_nobody()
    await pressed(world, found["accept"], sure="yes")
    await shows_nobody()
    await world.consent(referred, "agency-a")
    await shows_nobody()
    share = await agency.read(f"Task/{(await world.shares(referred))[0]['id']}")
    assert share["for"]["reference"] == referred.patient, "a program that signs in knows"
    share = done(await agency.put(share, status="in-progress"))
    await shows_nobody()
    done(await agency.put(share, status="completed", output=[output()], statusReason=closed()))
    await shows_nobody()
    consent = (await hospital.search(f"Consent?patient={referred.patient}"))[0]
    done(await hospital.put(consent, status="inactive"))
    await shows_nobody()


async def test_chinese_first_and_english_for_whoever_asks(world: World) -> None:
    _, found = await offered(world, "N05")
    assert 'lang="zh-CN"' in (await opened(world, found["accept"])).text
    assert heading(await opened(world, found["accept"], accept_language="en-GB,en;q=0.9")) == "Accept this referral?"
    assert heading(await opened(world, found["accept"], accept_language="de,fr")) == "接下这条转介？"
    assert heading(await opened(world, found["accept"] + "?lang=zh", accept_language="en")) == "接下这条转介？"
    english = unescape((await opened(world, found["decline"] + "?lang=en")).text)
    main = english[english.index("<main") :]
    assert not re.search("[\u4e00-\u9fff]", re.sub(r"<dd>.*?</dd>|Waiting for .*? to answer", "", main)), (
        "no Chinese beside names"
    )


# ---- accept, ask, return -------------------------------------------------------------------------------------------------


async def test_accepted_by_link_is_accepted_by_the_same_verb_and_says_what_follows(world: World) -> None:
    referred, found = await offered(world, "N05")
    without = await pressed(world, found["accept"])
    assert without.status_code == 422 and 'href="#sure"' in without.text and 'id="sure"' in without.text
    page = await pressed(world, found["accept"], sure="yes")
    assert page.status_code == 200 and heading(page) == "已接单"
    assert "登录" in page.text and "同意" in page.text
    share = next(share for share in await world.shares(referred) if share["status"] == "accepted")
    assert says(share) == "awaiting-consent"
    assert "陈素芬" not in page.text
    await world.consent(referred, "agency-a")
    page = await opened(world, found["accept"])
    assert "首次联系时限" in page.text and "陈素芬" not in page.text, (
        "identity needs a sign-in, whatever was consented to"
    )
    await worker.chain(world.database)
    lines = await world.party("auditor").search("AuditEvent?_count=200")
    acted = [line for line in lines if any(s.get("code") == "answer-accept" for s in line.get("subtype", ()))]
    assert [line["agent"][0]["who"]["reference"] for line in acted] == [world.organizations["agency-a"]]
    assert acted[0]["agent"][0]["who"]["identifier"]["system"] == LINKS


async def test_an_acceptance_by_link_is_returned_by_the_link_that_comes_with_it(world: World) -> None:
    referred, found = await offered(world, "N05")
    page = await pressed(world, found["accept"], sure="yes")
    undo = BASE + unescape(re.search(r'href="(/answer/[^"?]+)', page.text)[1])
    (told,) = await mails(world)
    assert links(told).keys() == {"return"}, "and by mail, for whoever closed the page"
    async with nothing_changes(world):
        assert heading(await opened(world, undo)) == "退回已接的转介"
        assert (await pressed(world, undo, reason="no-capacity")).status_code == 422
    assert heading(await pressed(world, undo, reason="no-capacity", words="点错了")) == "已退回"
    assert await shares(world, referred) == {"agency-a": "cancelled", "agency-b": "requested"}
    assert heading(await opened(world, found["accept"])) == "贵机构已退回"


async def test_a_question_by_link_pauses_the_clock_and_the_answer_brings_new_links(world: World) -> None:
    referred, found = await offered(world, "N05")
    page = await pressed(world, found["ask"], words="是否需要轮椅？\n住几楼？")
    assert page.status_code == 200 and heading(page) == "问题已发给医院"
    hospital = world.party("his-a")
    (share,) = await world.shares(referred)
    assert says(share) == "awaiting-information"
    (question,) = await hospital.search(f"Communication?about=Task/{share['id']}")
    assert question["payload"] == [{"contentString": "是否需要轮椅？\n住几楼？"}]
    assert (
        question["category"][0]["coding"][0]["code"] == "question"
        and question["sender"]["reference"] == world.organizations["agency-a"]
    )
    assert (await opened(world, found["accept"])).status_code == 200, "the other links still work"
    await mails(world)
    replied = message(
        None, inResponseTo=[{"reference": f"Communication/{question['id']}"}], payload=[{"contentString": "需要"}]
    )
    done(await hospital.post("Communication", replied))
    (share,) = await world.shares(referred)
    assert says(share) == "offered"
    (told,) = await mails(world)
    assert links(told).keys() == {"accept", "decline", "ask"} and not set(links(told).values()) & set(found.values())
    assert heading(await pressed(world, found["ask"], words="再问")) == "这个链接已经用过"
    assert heading(await pressed(world, links(told)["accept"], sure="yes")) == "已接单"


async def test_an_open_offer_is_claimed_by_link_and_the_slower_one_is_told(world: World) -> None:
    await mailbox(world, "agency-b")
    referred = await world.refer("N05")
    offer = await world.offer(referred)
    done(
        await world.party("agency-a").put(
            offer,
            status="rejected",
            statusReason={"coding": [{"system": "urn:yuanshe:decline-reason", "code": "waitlist"}], "text": "排队"},
        )
    )
    found = links((await mails(world))[-1])
    share = next(share for share in await world.shares(referred) if share["status"] == "requested")
    done(
        await world.party("his-a").put(
            await world.party("his-a").read(f"Task/{share['id']}"), status="cancelled", statusReason={"text": "撤回"}
        )
    )
    async with nothing_changes(world):
        page = await pressed(world, found["accept"], sure="yes")
    assert page.status_code == 409 and heading(page) == "医院已撤回这条转介"


# ---- what a link finds when it is too late ---------------------------------------------------------------------------------


async def test_after_the_reply_limit_a_link_says_so(world: World) -> None:
    referred, found = await offered(world, "N05")
    async with world.as_owner() as owner:
        await owner.execute("UPDATE answer_link SET expires_at = now() - interval '1 minute'")
    async with nothing_changes(world):
        page = await pressed(world, found["accept"], sure="yes")
    assert page.status_code == 409 and heading(page) == "已过答复时限"
    await sweep(world, "expire", later(days=9))
    assert heading(await opened(world, found["decline"])) == "已过答复时限"
    assert (await shares(world, referred))["agency-a"] == "cancelled"


async def test_the_limit_of_a_link_is_the_offers(world: World) -> None:
    await offered(world, "N05")
    async with world.as_owner() as owner:
        ends = await owner.fetch(
            "SELECT DISTINCT l.expires_at, t.due_at FROM answer_link l JOIN task t ON t.id = l.task_id"
        )
    assert [row["expires_at"] for row in ends] == [row["due_at"] for row in ends] and len(ends) == 1


async def test_what_was_answered_by_a_program_meanwhile_is_said(world: World) -> None:
    referred, found = await offered(world, "N05")
    done(await world.party("agency-a").put(await world.offer(referred), status="accepted"))
    async with nothing_changes(world):
        for act, form in (
            ("accept", {"sure": "yes"}),
            ("decline", {"reason": "no-capacity", "words": "x"}),
            ("ask", {"words": "x"}),
        ):
            page = await pressed(world, found[act], **form)
            assert page.status_code == 409 and heading(page) == "贵机构已接单", act


async def test_a_link_of_a_mailbox_that_is_switched_off_is_dead(world: World) -> None:
    await mailbox(world)
    made = (await world.party("platform").search("Subscription"))[0]
    await world.refer("N05")
    (told,) = await mails(world)
    done(await world.party("platform").put(made, status="off"))
    async with nothing_changes(world):
        page = await pressed(world, links(told)["accept"], sure="yes")
    assert page.status_code == 409 and heading(page) == "这个邮箱已停用"


async def test_what_the_agency_cannot_accept_it_is_told_why_and_may_try_again(world: World) -> None:
    _, found = await offered(world, "N05")
    async with world.as_owner() as owner:
        await owner.execute("UPDATE worker SET licensed_to = current_date - 1")
    async with nothing_changes(world):
        page = await pressed(world, found["accept"], sure="yes")
    assert page.status_code == 422 and heading(page) == "暂时不能接单"
    async with world.as_owner() as owner:
        await owner.execute("UPDATE worker SET licensed_to = NULL")
    assert heading(await pressed(world, found["accept"], sure="yes")) == "已接单"


async def test_of_two_who_press_at_once_one_has_answered(world: World) -> None:
    import asyncio

    _, found = await offered(world, "N05")
    answers = await asyncio.gather(
        *(world.http.post(found["decline"], data={"reason": "no-capacity", "words": "满"}) for _ in range(4)),
        world.http.post(found["accept"], data={"sure": "yes"}),
    )
    assert sorted(answer.status_code for answer in answers) == [303, 409, 409, 409, 409]


async def test_a_link_for_one_act_does_no_other(world: World) -> None:
    referred, found = await offered(world, "N05")
    async with nothing_changes(world):
        page = await pressed(world, found["ask"], sure="yes", reason="no-capacity")
        assert page.status_code == 422
    assert says((await world.shares(referred))[0]) == "offered"


async def test_guesses_are_slowed_down(world: World) -> None:
    _, found = await offered(world, "N05")
    statuses = [(await opened(world, f"{BASE}/answer/guess-{n}")).status_code for n in range(25)]
    assert statuses[:20] == [404] * 20 and statuses[20:] == [429] * 5
    slowed = await opened(world, f"{BASE}/answer/another")
    assert int(slowed.headers["retry-after"]) >= 1 and heading(slowed) == "请稍后再试"
    assert (await opened(world, found["accept"])).status_code == 200, (
        "a link that is one is held up by nobody's guesses"
    )


@pytest.mark.parametrize(
    ("form", "missing"),
    [({}, {"reason", "words"}), ({"reason": "no-capacity"}, {"words"}), ({"words": "满"}, {"reason"}), ({"reason": "expired", "words": "满"}, {"reason"}),
     ({"reason": "no-capacity", "words": "满" * 501}, {"words"}), ({"reason": "no-capacity", "words": " \n "}, {"words"})],
)  # fmt: skip
async def test_what_a_form_lacks_is_said_at_its_field_and_what_was_written_is_kept(
    world: World, form: dict[str, str], missing: set[str]
) -> None:
    _, found = await offered(world, "N05")
    async with nothing_changes(world):
        page = await pressed(world, found["decline"], **form)
    assert page.status_code == 422 and set(re.findall(r'<li><a href="#(\w+)">', page.text)) == missing
    if "words" in form:
        assert form["words"].strip()[:50] in page.text
    if form.get("reason") == "no-capacity":
        assert re.search(r'value="no-capacity" required checked', page.text)


# ---- the mailbox ---------------------------------------------------------------------------------------------------------


async def test_a_notice_that_is_sent_again_has_the_same_links(world: World) -> None:
    await mailbox(world)
    await world.refer("N05")
    (first,) = await mails(world)
    async with world.as_owner() as owner:
        await owner.execute(
            "UPDATE delivery SET state = 'waiting', next_at = now(), sent_at = NULL WHERE event_id IS NOT NULL"
        )
    (second,) = await mails(world)
    assert links(first) == links(second)


async def test_of_an_offer_that_has_gone_a_late_mail_has_no_links(world: World) -> None:
    await mailbox(world)
    referred = await world.refer("N05")
    done(await world.party("his-a").put(await world.party("his-a").read(referred.request), status="revoked"))
    assert [links(told) for told in await mails(world)] == [{}, {}], "decided when it is sent, not when it is queued"


async def test_an_agency_asks_for_links_itself_and_who_does_not_ask_gets_none(world: World) -> None:
    agency = world.party("agency-a")
    made = done(await agency.post("Subscription", asks_for_links("mailto:own@agency.example")))
    assert {"url": LINKS, "valueBoolean": True} in made["channel"]["extension"]
    plain = asks_for_links("mailto:plain@agency.example")
    del plain["channel"]["extension"]
    done(await agency.post("Subscription", plain))
    await mails(world)
    await world.refer("N05")
    assert sorted(bool(links(told)) for told in await mails(world)) == [False, True]


async def test_who_may_subscribe_a_mailbox_and_for_whom(world: World) -> None:
    agency = world.organizations["agency-b"]
    refused(await world.party("agency-a").post("Subscription", asks_for_links(agency=agency)), 403)
    refused(await world.party("his-a").post("Subscription", asks_for_links(agency=agency)), 403)
    refused(await world.party("his-a").post("Subscription", asks_for_links()), 422, "agency")
    refused(
        await world.party("platform").post("Subscription", asks_for_links(agency=world.organizations["hospital-a"])),
        422,
        "agency",
    )
    hook = asks_for_links("https://agency.example/hook", agency=agency)
    hook["channel"] |= {"type": "rest-hook", "payload": "application/fhir+json"}
    refused(await world.party("platform").post("Subscription", hook), 422)
    made = done(await world.party("platform").post("Subscription", asks_for_links(agency=agency)))
    assert made["extension"] == [{"url": FOR, "valueReference": {"reference": agency}}]
    assert (await world.party("agency-b").read(f"Subscription/{made['id']}"))["channel"][
        "endpoint"
    ] == "mailto:*@agency.example"
    assert (await world.party("agency-a").get(f"Subscription/{made['id']}")).status == 404


async def test_a_mailbox_hears_what_its_agency_may_hear_and_no_more(world: World) -> None:
    await mailbox(world, "agency-b")
    await world.refer("N05")
    assert await mails(world) == [], "offered to agency-a"


async def test_links_that_ended_long_ago_are_forgotten(world: World) -> None:
    _, found = await offered(world, "N05")
    assert await sweep(world, "forget-links", utc_now() + timedelta(days=120)) == 3
    assert (await opened(world, found["accept"])).status_code == 404


async def test_a_crisis_by_item_nine_is_offered_by_link_as_safety_alone(world: World) -> None:
    _, found = await offered(world, "N03", extra=(phq9(1),))
    page = unescape((await opened(world, found["accept"])).text)
    assert "危机" in page and "陈素芬" not in page
