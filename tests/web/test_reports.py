"""Reports: charts with their tables and definitions, each side's own figures, counts with every rate."""

import html
import json
import re
from datetime import timedelta

from service.values import local_day, utc_now
from tests.http.world import World, reason
from tests.web.conftest import Browser


def charts(text: str) -> list[dict]:
    return [json.loads(html.unescape(found)) for found in re.findall(r'data-chart="([^"]*)"', text)]


def rows(text: str, heading: str) -> list[list[str]]:
    """The cells of the table in the section with this heading."""
    section = text[text.index(f'id="{heading}"') :].split("</section>")[0]
    return [
        [" ".join(re.sub(r"<[^>]+>", " ", cell).split()) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.S)]
        for row in re.findall(r"<tr[^>]*>(.*?)</tr>", section, re.S)
    ]  # fmt: skip


async def acted(world: World) -> None:
    """Three referrals: one accepted and begun, one declined on to agency-b, one void."""
    first = await world.refer("N05")
    await world.accepted(first)
    second = await world.refer("N05")
    declined = await world.party("agency-a").put(await world.offer(second), status="rejected", statusReason=reason("no-capacity"))  # fmt: skip
    assert declined.status == 200
    third = await world.refer("N05")
    request = await world.party("his-a").read(third.request)
    assert (await world.party("his-a").put(request, status="entered-in-error")).status == 200


async def test_each_side_reads_its_own_figures_and_what_is_void_is_in_none(world: World, browser) -> None:
    await acted(world)
    nurse: Browser = await browser("nurse-a")
    text = (await nurse.get("/reports")).text
    assert rows(text, "acceptance")[1][1:] == ["2", "2", "1", "50 %"]
    assert (rows(text, "declines")[1][1:] == ["1", "1"] and "名额已满" in text) or "no-capacity" not in text
    worker: Browser = await browser("supervisor-a")
    assert rows((await worker.get("/reports")).text, "acceptance")[1][1:] == ["2", "1", "50 %"]
    other: Browser = await browser("worker-b")
    assert rows((await other.get("/reports")).text, "acceptance")[1][1:] == ["1", "0", "0 %"]
    assert len(rows((await other.get("/reports")).text, "capacity")) == 2, "an agency sees its own places alone"
    coordinator: Browser = await browser("coordinator")
    text = (await coordinator.get("/reports?weeks=4")).text
    assert rows(text, "acceptance")[1][1:3] == ["2", "2"] and len(rows(text, "capacity")) > 2


async def test_a_chart_says_what_its_table_says(world: World, browser) -> None:
    await acted(world)
    nurse: Browser = await browser("nurse-a")
    text = (await nurse.get("/reports?weeks=4")).text
    drawn = charts(text)[0]
    assert [sum(line["values"]) for line in drawn["series"]] == [2, 2, 1] and len(drawn["x"]) == 4
    assert "怎样计算" in text and "接单率 = " in text
    english: Browser = await browser("nurse-a", **{"accept-language": "en"})
    await english.post("/language", {"language": "en", "next": "/reports"})
    assert "Acceptance = " in english.page.text and "Referrals and acceptance" in english.page.text


async def test_nothing_yet_says_so(world: World, browser) -> None:
    nurse: Browser = await browser("nurse-a")
    text = (await nurse.get("/reports")).text
    assert all(words in text for words in ("这段时间没有转介。", "这段时间没有接单。", "这段时间没有退单。"))


async def test_a_period_is_chosen_in_days_and_a_wrong_one_is_told(world: World, browser) -> None:
    await acted(world)
    nurse: Browser = await browser("nurse-a")
    today = local_day(utc_now())
    assert "50 %" in (await nurse.get(f"/reports?from={today}&to={today}")).text
    before = today - timedelta(days=1)
    assert "50 %" not in (await nurse.get(f"/reports?from={before}&to={before}")).text
    for wrong in (f"from={today}&to={before}", "from=nonsense&to=x", f"from=2020-01-01&to={today}"):
        refused = await nurse.get(f"/reports?{wrong}")
        assert refused.status_code == 422 and "data-fault" in refused.text, wrong


async def test_time_to_first_contact_counts_from_acceptance_to_start(world: World, browser) -> None:
    referred = await world.refer("N05")
    await world.accepted(referred)
    agency = world.party("agency-a")
    task = (await agency.search("Task?status=accepted&code:not=urn:yuanshe:task-code|follow-up"))[0]
    begun = await agency.put(await agency.read(f"Task/{task['id']}"), status="in-progress")
    assert begun.status == 200, begun
    supervisor: Browser = await browser("supervisor-a")
    found = rows((await supervisor.get("/reports")).text, "first-contact")[1]
    assert found[1:5] == ["1", "1", "1", "100 %"] and found[5] == "0.0"


async def test_an_auditor_and_a_volunteer_have_no_reports(world: World, browser) -> None:
    bureau: Browser = await browser("bureau")
    assert (await bureau.get("/reports")).status_code == 403
