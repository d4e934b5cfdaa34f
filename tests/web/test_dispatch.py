"""Crises in red until a person acknowledges them, and the board on which a coordinator places what nobody has."""

import re
from datetime import timedelta
from typing import Any
from uuid import UUID

from adapters import worker
from adapters.web.dispatch import board
from service.access.model import NOBODY
from service.notices import paging_flow
from service.values import utc_now
from tests.http.loop import crisis, done, message
from tests.http.world import World, reason
from tests.web.conftest import Browser

PERSON = "陈素芬"


def words(text: str) -> str:
    """What a page says, without its tags."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", text)).strip()


# ---- crises ----------------------------------------------------------------------------------------------------------


async def test_the_red_bar_says_the_most_pressing_crisis_to_those_who_must_act_and_is_empty_else(
    world: World, browser: Any
) -> None:
    nurse: Browser = await browser("nurse-a")
    assert (await nurse.get("/crises")).text.strip() == ""
    referred = await world.refer("N11")
    await world.refer("N12")
    bar = await nurse.get("/crises")
    assert bar.status_code == 200 and "2 项危机等待确认" in bar.text and "轮到「星河医院」确认危机" in words(bar.text)
    assert PERSON not in bar.text and "N11" not in bar.text and "自杀" not in bar.text
    for other in ("worker-a", "supervisor-a", "coordinator", "admin", "bureau"):
        assert (await (await browser(other)).get("/crises")).text.strip() == "", other
    done(await world.party("his-a").post("Communication", crisis("acknowledged", referred.request)))
    assert "1 项危机等待确认" in (await nurse.get("/crises")).text


async def test_a_crisis_past_its_limit_comes_to_the_coordinator(world: World, browser: Any) -> None:
    referred = await world.refer("N11")
    coordinator: Browser = await browser("coordinator")
    assert (await coordinator.get("/crises")).text.strip() == ""
    async with world.as_owner() as connection:
        await connection.execute("UPDATE next_step SET by = now() - interval '5 minutes', warn_at = now() - interval '10 minutes'")  # fmt: skip
    assert "等待「星河医院」确认危机" in words((await coordinator.get("/crises")).text)
    done(await world.party("his-a").post("Communication", crisis("acknowledged", referred.request)))
    assert (await coordinator.get("/crises")).text.strip() == ""


async def test_a_call_that_has_come_to_the_coordinator_shows_and_a_person_acknowledges_in_words(
    world: World, browser: Any
) -> None:
    referred = await world.refer("N11")
    async with world.database.transaction(worker.CLOCK.scope) as session:
        await paging_flow.call_due(session, worker.CLOCK, utc_now())
        # Nobody is on the demo's roster: each rung reaches nobody, and the next one is called at once.
        for _ in range(4):
            await paging_flow.call_due(session, worker.CLOCK, utc_now())
    coordinator: Browser = await browser("coordinator")
    assert "1 项危机等待确认" in (await coordinator.get("/crises")).text
    page = await coordinator.get("/crises/all")
    assert page.status_code == 200 and "第一值班" in page.text and "没有人值班，已呼叫下一级" in page.text
    where = f"/crises/{referred.id}/acknowledge"
    empty = await coordinator.post(where, {"words": "  ", "once": "1"})
    assert empty.status_code == 422 and 'id="fault"' in empty.text and f'href="#words-{referred.id}"' in empty.text
    after = await coordinator.post(where, {"words": "已联系病区护士长，家属在场", "once": "2"})
    assert after.status_code == 200 and "已确认危机" in after.text
    assert (await coordinator.get("/crises")).text.strip() == ""
    page = await coordinator.get("/crises/all")
    assert "制定安全计划" in page.text, "it goes on until it is stood down"
    actions, _ = await world.timeline(referred, "platform")
    assert actions.count("acknowledged") == 1


async def test_who_is_no_party_sees_no_crises(world: World, browser: Any) -> None:
    referred = await world.refer("N11")
    bureau: Browser = await browser("bureau")
    assert (await bureau.get("/crises/all")).status_code == 403
    other: Browser = await browser("worker-b")
    assert "现在没有危机" in (await other.get("/crises/all")).text
    refused = await other.post(f"/crises/{referred.id}/acknowledge", {"words": "x", "once": "1"})
    assert refused.status_code == 404
    nobody: Browser = await browser()
    assert "/sign-in" in str((await nobody.get("/crises/all")).url)
    admin: Browser = await browser("admin")
    assert (await admin.post(f"/crises/{referred.id}/acknowledge", {"words": "x", "once": "1"})).status_code == 403


# ---- the board -------------------------------------------------------------------------------------------------------

LATE = "UPDATE next_step SET by = now() - $2::interval, warn_at = now() - $2::interval - interval '1 hour', since = now() - $2::interval - interval '2 hours' WHERE referral_id = $1"  # fmt: skip


async def late(world: World, referral: str | None, ago: str = "5 minutes") -> None:
    """Let the limit of a referral's next step have passed so long ago; a negative time lies ahead."""
    async with world.as_owner() as connection:
        hours, _, unit = ago.partition(" ")
        await connection.execute(LATE, UUID(referral), timedelta(**{unit: float(hours)}))


def shown(text: str) -> list[str]:
    """The referrals on a page of the board, in its order."""
    return re.findall(r'data-id="([0-9a-f-]+)"', text)


async def test_what_nobody_has_stands_first_then_what_is_late_then_what_soon_will_be(
    world: World, browser: Any
) -> None:
    soon, old, late_one, fresh = [await world.refer("N05") for _ in range(4)]
    await late(world, old.id, "3 hours")
    await late(world, late_one.id, "1 hours")
    await late(world, soon.id, "-2 hours")
    async with world.as_owner() as connection:
        await connection.execute(
            "UPDATE next_step SET warn_at = now() - interval '1 hour' WHERE referral_id = $1", UUID(soon.id)
        )
    # No partner serves it: it is nobody's, however far its limit is away; declined by all, it is nobody's as well.
    none = await world.refer("N17")
    passed = await world.refer("N05")
    for agency in ("agency-a", "agency-b"):
        offer = await world.offer(passed, agency)
        done(await world.party(agency).put(offer, status="rejected", statusReason=reason("no-capacity", "本周已满")))
    asked = await world.refer("N05")
    question = message(
        "question", f"Task/{(await world.offer(asked))['id']}", payload=[{"contentString": "住在哪里？"}]
    )
    done(await world.party("agency-a").post("Communication", question))
    await late(world, asked.id, "20 minutes")
    coordinator: Browser = await browser("coordinator")
    page = await coordinator.get("/dispatch")
    expected = [asked, none, passed, old, late_one, soon]
    assert shown(page.text)[:1] == [asked.id] and set(shown(page.text)[:3]) == {asked.id, none.id, passed.id}
    assert shown(page.text)[3:] == [each.id for each in expected[3:]] and fresh.id not in page.text
    said = words(page.text)
    assert "没有人接 3" in said and "已超时 2" in said and "快到时限 1" in said
    assert "同行社会工作服务中心：已退单 – 名额已满 · 本周已满" in said, "what an agency said itself"
    assert "机构不提供该需求的服务" in said or "合作协议不含该需求" in said, (
        "the rule that failed, of the stored decision"
    )
    assert PERSON in said, "the coordinator reads what the hospital sent (domain f-7)"


async def test_the_board_pages_through_its_sections_by_key(world: World, browser: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(board, "AT_A_TIME", 2)
    referred = [await world.refer("N17") for _ in range(3)] + [await world.refer("N05") for _ in range(2)]
    for each in referred[3:]:
        await late(world, each.id, "2 hours")
    coordinator: Browser = await browser("coordinator")
    found: list[str] = []
    path: str | None = "/dispatch"
    while path:
        page = await coordinator.get(path)
        found += shown(page.text)
        more = re.search(r'href="(/dispatch\?after=[^"]+)" rel="next"', page.text)
        path = more[1] if more else None
    assert len(found) == 5 and set(found) == {each.id for each in referred}
    assert set(found[:3]) == {each.id for each in referred[:3]}
    assert (await coordinator.get("/dispatch?after=nonsense")).status_code == 200


async def test_a_referral_is_placed_by_hand_with_a_reason_that_is_told(world: World, browser: Any) -> None:
    referred = await world.refer("N05")
    offer = await world.offer(referred)
    done(await world.party("agency-a").put(offer, status="rejected", statusReason=reason("no-capacity")))
    offer = await world.offer(referred, "agency-b")
    done(await world.party("agency-b").put(offer, status="rejected", statusReason=reason("waitlist")))
    coordinator: Browser = await browser("coordinator")
    page = await coordinator.get(f"/dispatch/{referred.id}")
    assert page.status_code == 200 and "已派过" in page.text and "在办" in page.text
    agency = world.organizations["agency-b"].split("/")[1]
    where = f"/dispatch/{referred.id}/offer"
    missing = await coordinator.post(where, {"agency": agency, "reason": " ", "once": "1"})
    assert (
        missing.status_code == 422
        and 'href="#reason"' in missing.text
        and re.search(rf'value="{agency}"[^>]* checked', missing.text)
    )
    sent = await coordinator.post(where, {"agency": agency, "reason": "与暖光电话确认，今天下午腾出名额", "once": "2"})
    assert sent.status_code == 200 and "已派单" in sent.text and str(sent.url).endswith("/dispatch?done=offered")
    again = await coordinator.post(where, {"agency": agency, "reason": "与暖光电话确认，今天下午腾出名额", "once": "2"})
    assert str(again.url) == str(sent.url), "sent twice, done once"
    shares = [share for share in await world.shares(referred) if share["status"] == "requested"]
    assert [share["owner"]["reference"] for share in shares] == [world.organizations["agency-b"]]
    told = await world.party("his-a").read(f"{referred.request}/$timeline")
    assert "腾出名额" in str(told)
    await coordinator.get(f"/dispatch/{referred.id}")
    taken = await coordinator.post(
        f"/dispatch/{referred.id}/take-back", {"share": shares[0]["id"], "back": "家属改主意", "once": "3"}
    )
    assert taken.status_code == 200 and "已收回这次派单" in taken.text


async def test_what_agencies_read_of_a_placing_names_nobody(world: World, browser: Any) -> None:
    async with world.as_owner() as connection:
        await connection.execute("UPDATE partnership SET mode = 'manual'")
    referred = await world.refer(
        "N05", patient={"name": [{"text": "钱立"}], "gender": "male", "birthDate": "1962-06-06"}
    )
    coordinator: Browser = await browser("coordinator")
    await coordinator.get(f"/dispatch/{referred.id}")
    agency = world.organizations["agency-a"].split("/")[1]
    acts = (
        ("offer", {"agency": agency, "reason": "钱立的女儿来过电话", "once": "1"}, "reason"),
        ("refuse", {"code": "service-not-offered", "words": "请钱立找残联", "once": "2"}, "refuse-words"),
    )
    for act, said, field in acts:
        refused = await coordinator.post(f"/dispatch/{referred.id}/{act}", said)
        assert refused.status_code == 422 and "不能有患者的姓名" in refused.text and f'href="#{field}"' in refused.text
    assert await world.shares(referred) == []


async def test_of_two_coordinators_the_slower_is_told_and_loses_nothing_typed(world: World, browser: Any) -> None:
    async with world.as_owner() as connection:
        await connection.execute("UPDATE partnership SET mode = 'manual'")
    referred = await world.refer("N05")
    one: Browser = await browser("coordinator")
    other: Browser = await browser("coordinator")
    agency = world.organizations["agency-a"].split("/")[1]
    for each in (one, other):
        await each.get(f"/dispatch/{referred.id}")
    where = f"/dispatch/{referred.id}/offer"
    assert "已派单" in (await one.post(where, {"agency": agency, "reason": "先派", "once": "1"})).text
    slower = await other.post(where, {"agency": agency, "reason": "我也想派给同行", "once": "2"})
    assert slower.status_code == 409 and "已经在这条转介里" in slower.text and "我也想派给同行" in slower.text
    assert len(await world.shares(referred)) == 1


async def test_an_open_offer_a_refusal_and_a_lawful_basis(world: World, browser: Any) -> None:
    coordinator: Browser = await browser("coordinator")
    async with world.as_owner() as connection:
        await connection.execute("UPDATE partnership SET mode = 'manual'")
    opened = await world.refer("N05")
    page = await coordinator.get(f"/dispatch/{opened.id}")
    assert "2 家符合条件的机构都可认领" in page.text
    sent = await coordinator.post(f"/dispatch/{opened.id}/offer", {"agency": "", "reason": "两家都可以", "once": "1"})
    assert "已公开派单" in sent.text
    assert [share.get("owner") for share in await world.shares(opened)] == [None]
    referred = await world.refer("N17")
    await coordinator.get(f"/dispatch/{referred.id}")
    lacking = await coordinator.post(f"/dispatch/{referred.id}/refuse", {"code": "", "words": "", "once": "2"})
    assert (
        lacking.status_code == 422 and 'href="#refuse-code"' in lacking.text and 'href="#refuse-words"' in lacking.text
    )
    given = {"code": "service-not-offered", "words": "请联系区残联就业服务", "once": "3"}
    refused = await coordinator.post(f"/dispatch/{referred.id}/refuse", given)
    assert "已记为不受理" in refused.text and referred.id not in refused.text
    assert (await world.parent(referred))["status"] == "rejected"
    await coordinator.get(f"/dispatch/{opened.id}")
    agency = world.organizations["agency-a"].split("/")[1]
    basis = {"kind": "legal-duty", "to": agency, "basis": "强制报告制度，疑似遗弃", "once": "4"}
    empty = await coordinator.post(f"/dispatch/{opened.id}/basis", basis | {"basis": " "})
    assert empty.status_code == 422 and 'href="#basis"' in empty.text
    kept = await coordinator.post(f"/dispatch/{opened.id}/basis", basis)
    assert "已记录法定依据" in kept.text
    actions, _ = await world.timeline(opened, "platform")
    assert "legal-duty" in actions


async def test_capacity_has_an_age_and_old_words_are_marked_as_old(world: World, browser: Any) -> None:
    referred = await world.refer("N05")
    coordinator: Browser = await browser("coordinator")
    for hours, said in ((3, "3 小时前确认"), (6 * 24, "6 天前确认"), (8 * 24, "8 天前确认，可能已变")):
        async with world.as_owner() as connection:
            at = utc_now() - timedelta(hours=hours, minutes=1)
            await connection.execute(
                "UPDATE agency_service SET confirmed_at = $1, places = 20 WHERE key = 'agency-a-msw'", at
            )
        page = await coordinator.get(f"/dispatch/{referred.id}")
        card = next(each for each in page.text.split('<li class="choice')[1:] if "同行社会工作服务中心" in each)
        found = re.search(r'<div class="places( old)?">(.*?)</div>', card, re.S)
        assert found
        old, bar = found.groups()
        assert said in bar and bool(old) == ("可能已变" in said)
        assert "预留 1 · 空余 19 / 共 20" in words(bar), "the offer that is out holds a place"


async def test_only_the_coordinator_places_and_only_the_platform_looks(world: World, browser: Any) -> None:
    referred = await world.refer("N17")
    for login in ("nurse-a", "worker-a", "supervisor-a", "bureau"):
        one: Browser = await browser(login)
        for path in ("/dispatch", f"/dispatch/{referred.id}"):
            assert (await one.get(path)).status_code == 403, (login, path)
        for act in ("offer", "refuse", "give-up", "take-back", "basis"):
            assert (await one.post(f"/dispatch/{referred.id}/{act}", {"once": "1"})).status_code == 403, (login, act)
    admin: Browser = await browser("admin")
    page = await admin.get(f"/dispatch/{referred.id}")
    assert page.status_code == 200 and "派单理由" not in page.text
    # An administrator sees what is late and where, and nobody by name.
    for path in ("/dispatch", f"/dispatch/{referred.id}", "/crises/all"):
        page = await admin.get(path)
        assert page.status_code == 200 and "陈素芬" not in page.text and 'action="/search"' not in page.text, path
    for path in (f"/referrals/{referred.id}", f"/referrals/{referred.id}/print", f"/referrals/{referred.id}/receipt"):
        assert (await admin.get(path)).status_code == 403, path
    await admin.get("/dispatch")
    for path, said in (
        ("/search", {"words": "陈素芬"}),
        (f"/referrals/{referred.id}/withdraw", {"reason": "x", "once": "2"}),
    ):
        assert (await admin.post(path, said)).status_code == 403, path
        await admin.get("/dispatch")
    assert (
        await admin.post(f"/dispatch/{referred.id}/refuse", {"code": "duplicate", "words": "x", "once": "1"})
    ).status_code == 403
    coordinator: Browser = await browser("coordinator")
    await coordinator.get("/dispatch")
    assert (
        await coordinator.post(f"/dispatch/{referred.id}/refuse", {"token": "other", "once": "1"}, token=False)
    ).status_code == 403
    assert (await coordinator.get(f"/dispatch/{NOBODY}")).status_code == 404
