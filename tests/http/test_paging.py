"""Calls in a crisis: whoever is on duty, then the next, until somebody acknowledges; a call says nothing of the person."""

import asyncio
import contextlib
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from adapters.delivery.page import SUBJECT
from adapters.settings import Smtp
from tests.http.loop import crisis, done
from tests.http.outside import ROOT, command, hearing
from tests.http.subscribing import serving
from tests.http.world import BASE, Referred, World, phq9
from tests.notices.conftest import Listener
from tests.notices.mailbox import mailing

COLUMNS = "organization,from,to,first,first_email,first_webhook,second,second_email,second_webhook\n"
PERSONAL = ("陈素芬", "13800000001", "示例街道", "N05", "44260")
SECRET = "whsec_" + "A" * 43 + "="
SENDER = "duty@yuanshe.example"


@pytest.fixture
async def world(network: dict[str, Any], network_database: Any) -> AsyncIterator[World]:
    async with serving(network, network_database, smtp=Smtp("127.0.0.1", 1, "none", SENDER)) as running:
        yield running


@pytest.fixture
async def pager() -> AsyncIterator[Listener]:
    async with hearing() as listener:
        yield listener


async def on_duty(world: World, folder: Path, *lines: str) -> None:
    """Load a roster: `organization,first,first_email,first_webhook,second,second_email,second_webhook` for the whole day."""
    now = datetime.now(UTC)
    shift = f"{(now - timedelta(hours=1)).isoformat()},{(now + timedelta(days=1)).isoformat()}"
    rows = [f"{line.partition(',')[0]},{shift},{line.partition(',')[2]}" for line in lines]
    (folder / "rosters.csv").write_text(COLUMNS + "\n".join(rows) + "\n", encoding="utf-8")
    await command(world.clone, "import", str(folder / "rosters.csv"))


@contextlib.asynccontextmanager
async def at_work(world: World, folder: Path, smtp: int = 1, **practice: Any) -> AsyncIterator[Any]:
    """`yuanshe work` that calls by these intervals, until the block ends; the process is handed out to be killed."""
    file = folder / "practice.json"
    file.write_text(json.dumps({"page_next": 86400, "page_again": 86400, "page_retry": [0, 0, 0], **practice}))
    environ = {
        "DATABASE_URL": world.clone.app_dsn, "WEBHOOK_ALLOW": "127.0.0.0/8", "YUANSHE_URL": BASE, "YUANSHE_PRACTICE": str(file),
        "WEBHOOK_TIMEOUT": "1", "WEBHOOK_SECRET": SECRET, "SMTP_URL": f"smtp://127.0.0.1:{smtp}?tls=none", "SMTP_FROM": SENDER,
    }  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "adapters.main", "work", cwd=ROOT, env=os.environ | environ
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def pages(world: World) -> list[dict[str, Any]]:
    """Every call, oldest first."""
    async with world.as_owner() as owner:
        return [dict(row) for row in await owner.fetch("SELECT * FROM page ORDER BY place, channel")]


async def until(world: World, state: str, count: int) -> list[dict[str, Any]]:
    """The calls, once so many of them are in this state."""
    found = await pages(world)
    while [page["state"] for page in found].count(state) < count:
        found = await pages(world)
    return found


async def in_crisis(world: World) -> Referred:
    return await world.refer("N05", extra=[phq9(2)])


async def test_the_first_on_duty_is_called_at_once_by_mail_and_the_mail_says_nothing_of_the_person(
    world, tmp_path
) -> None:
    await on_duty(world, tmp_path, "hospital-a,王护士,wang@his.example,,李护士,li@his.example,")
    async with mailing() as box, at_work(world, tmp_path, box.port):
        referred = await in_crisis(world)
        mail = await box.next()
        (page,) = await until(world, "sent", 1)
    assert (mail["To"], mail["Subject"]) == ("wang@his.example", SUBJECT)
    text = mail.get_content()
    assert "A crisis needs you" in text and f"{BASE}/page/" in text
    assert f"{page['limit_at'].astimezone(tz=None):%M}" in text
    for personal in (*PERSONAL, referred.patient.split("/")[1], referred.id or ""):
        assert personal not in str(mail)
    assert (page["rung"], page["name"], page["channel"]) == ("first", "王护士", "email")
    assert mail["Message-ID"] == f"<{page['id']}@yuanshe.example>"


async def test_without_acknowledgement_the_next_ones_are_called_in_their_order(world, tmp_path, pager) -> None:
    """The second on duty, the accepted agency's supervisor, then the coordinator, each over a signed webhook."""
    await on_duty(
        world, tmp_path,
        f"hospital-a,王护士,,{pager.url}/first,李护士,,{pager.url}/second",
        f"agency-a,林督导,,{pager.url}/supervisor,,,", f"platform,协调员,,{pager.url}/coordinator,,,",
    )  # fmt: skip
    referred = await world.refer("N05")
    await world.accepted(referred)
    async with at_work(world, tmp_path, page_next=0):
        done(await world.party("his-a").post("Communication", crisis("raised", referred.request)))
        got = [await pager.next() for _ in range(4)]
    assert [one.path for one in got] == ["/first", "/second", "/supervisor", "/coordinator"]
    for one in got:
        assert one.headers["webhook-signature"].startswith("v1,")
        assert one.json["type"] == "urn:yuanshe:page" and set(one.json["data"]) == {"page", "place", "what", "by", "acknowledge", "task"}  # fmt: skip
        assert not any(personal.encode() in one.body for personal in (*PERSONAL, referred.patient.split("/")[1]))
    parent = (await world.parent(referred))["id"]
    tasks = [one.json["data"]["task"].rpartition("/")[2] for one in got]
    assert tasks[0] == tasks[1] == tasks[3] == parent and tasks[2] != parent, "an agency knows its own Task alone"
    actions, step = await world.timeline(referred, "platform")
    assert actions.count("page") == 4
    assert step is not None and step["what"] == "acknowledge", "a call is no step of the crisis"


@pytest.mark.slow
async def test_where_no_roster_names_anybody_the_coordinator_is_called_at_once_and_the_gap_is_on_record(
    world, tmp_path, pager
) -> None:
    await on_duty(world, tmp_path, f"platform,协调员,,{pager.url}/coordinator,,,")
    async with world.as_owner() as owner:
        await owner.execute("UPDATE organization SET email = NULL")
    async with at_work(world, tmp_path):
        await in_crisis(world)
        assert (await pager.next()).path == "/coordinator"
        found = await until(world, "sent", 1)
    assert [(page["rung"], page["state"]) for page in found] == [
        ("first", "nobody"), ("second", "nobody"), ("coordinator", "sent"),
    ]  # fmt: skip


async def test_a_call_is_acknowledged_by_its_link_once_and_that_is_no_stand_down(world, tmp_path, pager) -> None:
    await on_duty(world, tmp_path, f"hospital-a,王护士,,{pager.url}/first,李护士,,{pager.url}/second")
    async with at_work(world, tmp_path):
        referred = await in_crisis(world)
        link = (await pager.next()).json["data"]["acknowledge"]
        await until(world, "sent", 1)
    for _ in range(2):  # Whoever opens it, a scanner of links too, changes nothing.
        opened = await world.http.get(link)
        assert opened.status_code == 200 and "A crisis needs you" in opened.text
        assert not any(personal in opened.text for personal in PERSONAL)
    assert (await pages(world))[0]["acknowledged_at"] is None
    assert (await world.http.post(link)).status_code == 303
    assert "Noted: you see to it" in (await world.http.get(link)).text
    assert (await world.http.post(link)).status_code == 409
    (page,) = await pages(world)
    assert page["acknowledged_by"] == "link"
    actions, step = await world.timeline(referred, "platform")
    assert actions[-1] == "acknowledge-page" and "acknowledged" not in actions
    assert step is not None and step["what"] == "acknowledge"
    async with at_work(world, tmp_path, page_next=0):
        done(await world.party("his-a").post("Communication", crisis("acknowledged", referred.request)))
        while (await world.timeline(referred))[1]["what"] != "safety-plan":
            pass
    assert len(await pages(world)) == 1, "who has acknowledged is not followed by the next before the limit"
    assert (await world.http.get(f"{BASE}/page/{'x' * 43}")).status_code == 404


@pytest.mark.slow
async def test_the_link_of_a_call_is_held_up_by_nobodys_guesses(world, tmp_path, pager) -> None:
    """Behind a proxy all the world comes from one address, and in a crisis the one who was called is let in."""
    await on_duty(world, tmp_path, f"hospital-a,王护士,,{pager.url}/first,李护士,,{pager.url}/second")
    async with at_work(world, tmp_path):
        await in_crisis(world)
        link = (await pager.next()).json["data"]["acknowledge"]
    guesses = [(await world.http.get(f"{BASE}/page/guess-{n}")).status_code for n in range(25)]
    assert guesses[:20] == [404] * 20 and guesses[20:] == [429] * 5
    assert (await world.http.get(link)).status_code == 200
    assert (await world.http.post(link)).status_code == 303


@pytest.mark.slow
async def test_the_step_of_the_crisis_acknowledges_every_call_and_calls_off_what_waits(world, tmp_path, pager) -> None:
    pager.answers["/second"] = ["500 Broken"]
    await on_duty(world, tmp_path, f"hospital-a,王护士,,{pager.url}/first,李护士,,{pager.url}/second")
    async with at_work(world, tmp_path, page_next=0, page_retry=[0, 3600]):
        referred = await in_crisis(world)
        await until(world, "sent", 1)
        while [page["attempts"] for page in await pages(world)][1:2] != [2]:
            pass
        done(await world.party("his-a").post("Communication", crisis("acknowledged", referred.request)))
        while (await pages(world))[0]["acknowledged_at"] is None:
            pass
    async with world.as_owner() as owner:
        await owner.execute("UPDATE page SET next_at = now() WHERE state = 'waiting'")
    async with at_work(world, tmp_path, page_next=0):
        await until(world, "called-off", 1)
    first, *_ = await pages(world)
    assert first["acknowledged_by"] == "crisis-step"
    link = f"{BASE}/page/{first['token']}"
    assert "acknowledged already" in (await world.http.get(link)).text
    assert (await world.http.post(link)).status_code == 409


@pytest.mark.slow
async def test_a_call_that_fails_is_tried_again_as_the_same_and_then_the_next_one_is_called(
    world, tmp_path, pager
) -> None:
    pager.answers["/first"] = ["500 Broken"]
    await on_duty(world, tmp_path, f"hospital-a,王护士,,{pager.url}/first,李护士,,{pager.url}/second")
    async with at_work(world, tmp_path):
        await in_crisis(world)
        got = [await pager.next() for _ in range(5)]
        await until(world, "sent", 1)
    assert [one.path for one in got] == ["/first"] * 4 + ["/second"]
    assert len({one.id for one in got[:4]}) == 1, "under one id"
    assert len({one.body for one in got[:4]}) == 1
    first, second = await pages(world)
    assert (first["state"], first["attempts"], first["last_error"]) == ("not-delivered", 4, "status-500")
    assert second["state"] == "sent"


async def test_a_worker_killed_in_the_middle_loses_no_call_and_makes_none_under_another_id(
    world, tmp_path, pager
) -> None:
    pager.silent.add("/first")
    await on_duty(world, tmp_path, f"hospital-a,王护士,,{pager.url}/first,李护士,,{pager.url}/second")
    async with at_work(world, tmp_path) as process:
        await in_crisis(world)
        lost = await pager.next()
        process.send_signal(signal.SIGKILL)
        await process.wait()
    assert [page["state"] for page in await pages(world)] == ["waiting"]
    pager.silent.clear()
    async with at_work(world, tmp_path), at_work(world, tmp_path):
        again = await pager.next()
        await until(world, "sent", 1)
    assert again.id == lost.id and again.body == lost.body
    assert len(await pages(world)) == 1


@pytest.mark.slow
async def test_how_calls_fared_is_listed_without_what_would_acknowledge_them(world, tmp_path, pager) -> None:
    await on_duty(world, tmp_path, f"hospital-a,王护士,wang@his.example,{pager.url}/first,,,")
    async with at_work(world, tmp_path, page_retry=[]):
        await in_crisis(world)
        await pager.next()
        found = await until(world, "not-delivered", 1)
    said = await command(world.clone, "roster", "pages")
    assert re.search(r"first\s+王护士\s+webhook\s+sent", said) and re.search(r"email\s+not-delivered", said)
    shown = json.loads(await command(world.clone, "roster", "pages", "--json"))
    assert len(shown) == len(found) == 2
    for page in found:
        assert page["token"] not in str(shown) + said and page["endpoint"] not in str(shown) + said


@pytest.mark.slow
async def test_in_a_crisis_the_one_next_step_names_who_is_on_duty_and_their_telephone(world, tmp_path) -> None:
    now = datetime.now(UTC)
    row = f"hospital-a,{(now - timedelta(hours=1)).isoformat()},{(now + timedelta(days=1)).isoformat()},王护士,wang@his.example,0857-8220000"
    (tmp_path / "rosters.csv").write_text(
        f"organization,from,to,first,first_email,first_phone\n{row}\n", encoding="utf-8"
    )
    await command(world.clone, "import", str(tmp_path / "rosters.csv"))
    referred = await world.refer("N05")
    share = await world.accepted(referred)
    assert "on-duty" not in (await world.timeline(referred))[1]
    done(
        await world.party("agency-a").post("Communication", crisis("raised", f"Task/{share['id']}", "电话中说不想活了"))
    )
    for reader in ("his-a", "platform"):
        _, step = await world.timeline(referred, reader)
        assert step is not None
        assert step["on-duty"] == {"name": "王护士", "telecom": [{"system": "phone", "value": "0857-8220000"}]}
        assert "wang@his.example" not in str(await world.party(reader).read(f"{referred.request}/$timeline"))
