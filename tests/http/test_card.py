"""A card for the person: who will call, from which number, how to stop; nothing that gives anything away (docs/handing-over.md)."""

import base64
import re
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from adapters.fhir import card
from service.casework.card_flow import Caller, Card
from service.codes import LISTS, NEED, ORGANIZATION_KIND, SERVICE_TYPE
from service.values import new_id
from tests.http.loop import discharge, done, refused
from tests.http.staff import workers
from tests.http.world import BASE, SDOHCC, World, closed, output
from tests.http.world import NEED as NEEDS

AGENCY = "agency-a"
PHONE = "0851-88880001"

SENSITIVE = (
    "自杀", "自伤", "自残", "轻生", "家暴", "暴力", "虐待", "侵害", "性侵", "遗弃", "危机", "危险", "安全", "保护", "报警", "警察", "派出所", "强制报告", "报告",
    "精神", "心理", "抑郁", "焦虑", "情绪", "辅导", "咨询", "临终", "安宁", "丧亲", "哀伤", "死亡", "艾滋", "戒毒", "残疾", "贫困", "困难", "低保", "特困", "救助",
    "补助", "慈善", "无名氏", "三无", "滞留", "社工", "社会工作", "社会服务", "机构", "转介", "个案", "评估", "需求", "随访", "监护", "法院", "诊断", "病情",
    "suicid", "self-harm", "violen", "abus", "neglect", "crisis", "danger", "safe", "protect", "police", "report", "mental", "psych", "depress", "anxi",
    "counsel", "hospice", "palliat", "bereave", "death", "hiv", "addict", "disab", "poverty", "poor", "hardship", "welfare", "benefit", "charit", "homeless",
    "social work", "social service", "agency", "referral", "case", "assessment", "need ", "needs", "follow-up", "guardian", "court", "diagnos",
)  # fmt: skip
"""Words that give away why somebody is called, or by whom."""


def plain(page: str) -> str:
    """What a reader sees."""
    return re.sub(r"<[^>]+>", " ", re.sub(r"<style>.*?</style>", "", page, flags=re.S)).lower()


def given_away(page: str) -> list[str]:
    text = plain(page).replace("you need not", "")
    return [word for word in SENSITIVE if word in text]


async def with_number(world: World, number: str | None = PHONE) -> None:
    async with world.as_owner() as connection:
        await connection.execute("UPDATE organization SET phone = $1 WHERE kind = 'agency'", number)


async def fetch(world: World, request: str, by: str, accept: str = "text/html") -> httpx.Response:
    token = world.said["clients"][by]["access_token"]
    return await world.http.get(
        f"{BASE}/fhir/{request}/$card", headers={"authorization": f"Bearer {token}", "accept": accept}
    )


async def test_the_card_says_who_calls_from_which_number_and_how_to_stop_and_nothing_else(world: World) -> None:
    await with_number(world)
    staff = await workers(world)
    agency = world.party(AGENCY)
    referred = await world.refer("N03", "N05")
    share = await world.accepted(referred)
    done(await agency.put(share, owner={"reference": staff["worker-a"]}))
    filler = share["focus"]["reference"]
    for request, by in (
        (referred.request, "his-a"),
        (filler, AGENCY),
        (referred.request, AGENCY),
        (referred.request, "platform"),
    ):
        answer = await fetch(world, request, by)
        assert answer.status_code == 200, answer.text
        assert (
            "林知行" in answer.text
            and PHONE in answer.text
            and "请不要再打来" in answer.text
            and "please do not call again" in answer.text
        )
        assert given_away(answer.text) == []
        assert "<script" not in answer.text and not re.search(r"(src|href|url\(|@import)", answer.text)
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert answer.headers["cache-control"] == "no-store" and "陈素芬" not in answer.text
    told = done(await world.party("his-a").get(f"{referred.request}/$card"))
    assert (
        told["resourceType"] == "Binary"
        and base64.b64decode(told["data"]).decode() == (await fetch(world, referred.request, "his-a")).text
    )
    assert (await fetch(world, referred.request, "his-a", "application/pdf")).status_code == 406
    for by in ("his-b", "agency-b"):
        assert (await fetch(world, referred.request, by)).status_code == 404
    assert (await fetch(world, referred.request, "auditor")).status_code == 403
    async with world.as_owner() as connection:
        assert (
            await connection.fetchval("SELECT count(*) FROM audit WHERE interaction = 'card' AND outcome = 'success'")
            >= 4
        )


async def test_no_card_before_anybody_who_would_call_may_know_the_person(world: World) -> None:
    await with_number(world)
    referred = await world.refer("N05")
    offer = await world.offer(referred)
    refused(await world.party("his-a").get(f"{referred.request}/$card"), 422, "consent")
    refused(await world.party(AGENCY).get(f"{offer['focus']['reference']}/$card"), 422, "consent")
    refused(await world.party(AGENCY).get(f"{referred.request}/$card"), 404)
    done(await world.party(AGENCY).put(offer, status="accepted"))
    refused(await world.party("his-a").get(f"{referred.request}/$card"), 422, "consent")
    consent = await world.consent(referred, AGENCY)
    assert (await fetch(world, referred.request, "his-a")).status_code == 200
    done(await world.party("his-a").put(consent, status="inactive"))
    refused(await world.party("his-a").get(f"{referred.request}/$card"), 422, "consent")


@pytest.mark.parametrize("needs", [("N12",), ("N05", "N13"), ("N14",)])
async def test_no_card_where_who_finds_it_may_be_who_did_it(world: World, needs: tuple[str, ...]) -> None:
    await with_number(world)
    referred = await world.refer(*needs)
    await world.accepted(referred)
    answer = refused(await world.party("his-a").get(f"{referred.request}/$card"), 422, "supervisor-decides")
    assert "code" in answer["issue"][0]


async def test_no_card_where_contact_is_prohibited_or_only_some_ways_or_hours_are_safe(world: World) -> None:
    await with_number(world)
    hospital = world.party("his-a")
    prohibited = {"coding": [{"system": SDOHCC, "code": "contacting-subject-prohibited"}]}
    referred = await world.refer(
        "N05", request={"code": {"coding": [{"system": NEEDS, "code": "N05"}]}, "orderDetail": [prohibited]}
    )
    await world.accepted(referred)
    refused(await hospital.get(f"{referred.request}/$card"), 422, "contact-prohibited")
    for rules, why in (
        ([{"name": "channel", "valueCode": "phone"}], "channel-not-safe"),
        ([{"name": "message", "valueBoolean": False}], "no-message"),
        ([{"name": "time", "part": [{"name": "begins", "valueTime": "00:00:00"}, {"name": "ends", "valueTime": "23:59:00"}]}], "time-not-safe"),
    ):  # fmt: skip
        referred = await world.refer("N05")
        await world.accepted(referred)
        assert (await fetch(world, referred.request, "his-a")).status_code == 200
        done(
            await hospital.post(f"{referred.patient}/$safe-contact", {"resourceType": "Parameters", "parameter": rules})
        )
        refused(await hospital.get(f"{referred.request}/$card"), 422, why)


async def test_no_card_without_a_number_and_none_for_the_dead(world: World) -> None:
    await with_number(world, None)
    hospital = world.party("his-a")
    referred = await world.refer("N05")
    await world.accepted(referred)
    refused(await hospital.get(f"{referred.request}/$card"), 422, "number")
    await with_number(world)
    done(await discharge(world, referred, "5"))
    refused(await hospital.get(f"{referred.request}/$card"), 422, "deceased")


async def test_after_the_case_the_card_names_who_follows_up_and_then_nobody(world: World) -> None:
    await with_number(world)
    referred = await world.refer("N05")
    share = await world.accepted(referred)
    share = done(await world.party(AGENCY).put(share, status="in-progress"))
    done(await discharge(world, referred))
    done(await world.party(AGENCY).put(share, status="completed", output=[output()], statusReason=closed()))
    assert "周明远" in (await fetch(world, referred.request, "his-a")).text


@pytest.mark.parametrize(
    "hospital",
    [
        ("市第一人民医院", "First People's Hospital"),
        ("市精神卫生中心", "Mental Health Centre"),
        ("安宁疗护医院", "Hospice"),
    ],
)
@pytest.mark.parametrize("callers", [
    (Caller(PHONE),), (Caller(PHONE, "林知行", datetime(2026, 11, 25, 1, tzinfo=UTC)), Caller("13900000000", "周明远")),
    (Caller("<b>1</b>", "<script>alert(1)</script>"),),
])  # fmt: skip
def test_no_card_however_it_is_filled_holds_a_word_that_gives_something_away(
    hospital: tuple[str, str], callers: Any
) -> None:
    page = card.page(Card(new_id(), *hospital, callers))
    assert given_away(page) == []
    assert "<script" not in page and "<b>" not in page
    assert ("市第一人民医院" in page) == (hospital[0] == "市第一人民医院")
    labels = {
        c
        for system in (NEED, SERVICE_TYPE, ORGANIZATION_KIND)
        for concept in LISTS[system].concepts
        for c in (concept.zh, concept.en.lower())
    }
    assert not [label for label in labels - {"医院", "hospital", "other", "其他"} if label in plain(page)]


def test_the_list_of_words_finds_what_it_is_for() -> None:
    assert given_away("<p>社工会评估您的需求</p>") and given_away("<p>A social worker from a protection agency</p>")
