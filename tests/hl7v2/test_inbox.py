"""Once is once; what cannot be applied waits, sealed, for a person who reads it saying why, mends it, replays it or drops it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from service.access.model import Actor
from service.errors import Forbidden
from service.records import inbox_flow
from tests.hl7v2.ward import HIS_A, Line, adt, inbox, line, listening, patient, stay, stay_line, stays, ward
from tests.http.world import World

ROOT = Path(__file__).parents[2]
CONFIG = """
[listen]
peers = ["127.0.0.0/8"]

[[sender]]
name = "his-a"
hospital = "hospital-a"
application = "HIS"

[sender.identifiers]
MR = "urn:his-a:patient"
NI = "urn:oid:2.16.156.10011.1.3"

[sender.stay]
system = "urn:his-a:stay"
"""
WRONG_NUMBER = "PID|1||MR1^^^HIS^MR~110105194912310021^^^MPS^NI||陈^素芬||19491231|F"
RIGHT_NUMBER = WRONG_NUMBER.replace("110105194912310021", "11010519491231002X")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "hl7.toml"
    file.write_text(CONFIG)
    return file


def run(world: World, config: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """`yuanshe hl7 …` on this world's database."""
    environ = os.environ | {"DATABASE_URL": world.clone.app_dsn, "YUANSHE_HL7": str(config)}
    return subprocess.run([sys.executable, "-m", "adapters.main", "hl7", *words], cwd=ROOT, env=environ, capture_output=True, text=True)  # fmt: skip


def parked(world: World, config: Path) -> list[dict[str, Any]]:
    return json.loads(run(world, config, "list", "--json").stdout)


async def reasons(world: World) -> list[str]:
    async with world.as_owner() as connection:
        rows = await connection.fetch("SELECT unnest(platform_reasons) AS why FROM audit")
    return [row["why"] for row in rows]


# ---- once --------------------------------------------------------------------------------------------------------------


async def test_the_same_message_again_gets_the_same_answer_and_writes_nothing(world: World, his: Line) -> None:
    first = await his.send(adt("A01", "1"))
    before = await patient(world), await stay(world)
    again = await his.send(adt("A01", "1"))
    assert again.raw == first.raw
    sent_later = adt("A01", "1").replace("|P|20261121100000|", "|P|20261121110000|", 1)
    assert sent_later != adt("A01", "1") and (await his.send(sent_later)).raw == first.raw
    assert (await patient(world), await stay(world)) == before
    assert len(await inbox(world)) == 1


async def test_the_same_number_on_another_message_is_not_taken_for_the_same(world: World, his: Line) -> None:
    await his.send(adt("A01", "1"))
    said = await his.send(adt("A03", "1", at="20261121120000", pv1=stay_line(disposition="1")))
    assert (said.code, said.condition, said.place, said.key) == ("AE", "205", "MSH^1^10", "message-id-reused")
    assert (await stay(world))["status"] == "in-progress"
    assert [row["state"] for row in await inbox(world)] == ["applied", "parked"]


async def test_a_message_that_comes_on_two_lines_at_once_is_stored_once(world: World) -> None:
    async with listening(world) as port, line(port) as one, line(port) as other:
        import asyncio

        said = await asyncio.gather(*(each.send(adt("A01", "1")) for each in (one, other)))
    assert [each.code for each in said] == ["AA", "AA"] and said[0].raw == said[1].raw
    assert len(await inbox(world)) == 1 and len(await stays(world)) == 1


async def test_messages_of_one_person_at_once_all_end_well(world: World) -> None:
    import asyncio
    import contextlib

    async with listening(world) as port, contextlib.AsyncExitStack() as stack:
        lines = [await stack.enter_async_context(line(port)) for _ in range(6)]
        said = await asyncio.gather(
            *(
                each.send(adt("A08", str(n), at=f"2026112110000{n}", pv1=stay_line(place=f"W^1^{n}")))
                for n, each in enumerate(lines)
            )
        )
    assert {each.code for each in said} == {"AA"}, said
    assert (await stay(world))["location"][-1]["location"]["display"] == "5"


# ---- parked ------------------------------------------------------------------------------------------------------------

PARKED = {
    "a citizen number whose check digit fails": (adt("A01", "1", pid=WRONG_NUMBER), "value", "PID^1^3"),
    "no number that the configuration knows": (adt("A01", "1", pid="PID|1||7^^^X^XX||陈^素芬"), "no-identifier", "PID^1^3"),
    "nobody": (adt("A01", "1", pid=""), "segment-sequence", "PID"),
    "no stay": (adt("A01", "1", pv1=""), "segment-sequence", "PV1"),
    "a line that is no segment": (adt("A01", "1", more=("what is this",)), "segment-sequence", "MSH"),
    "no such time": (adt("A01", "1", at="20261341"), "data-type", "EVN^1^2"),
    "an event that lies ahead": (adt("A01", "1", at="20290801"), "event-time", "EVN^1^2"),
    "a way of leaving that nobody knows": (adt("A03", "1", pv1=stay_line(disposition="77")), "table-value", "PV1^1^36"),
    "an end before the beginning": (
        adt("A03", "1", pv1=stay_line(disposition="1", began="20261120", ended="20261119")), "business-rule", "PV1^1^45",
    ),
    "more repetitions than anybody has": (adt("A01", "1", name="陈^素芬" + "~陈^素芬" * 100), "data-type", "PID^1^5"),
    "two citizen numbers": (adt("A31", "1", pid="PID|1||MR1^^^HIS^MR~11010519491231002X^^^MPS^NI~520502195203150020^^^MPS^NI||陈^素芬", pv1=""), "value", "PID^1^3"),
    "a sex that nobody knows": (adt("A01", "1", pid="PID|1||MR1^^^HIS^MR||陈^素芬||19520315|Q"), "table-value", "PID^1^8"),
}  # fmt: skip


@pytest.mark.parametrize("what", PARKED)
async def test_what_cannot_be_applied_is_parked_with_the_reason_and_the_place(
    world: World, his: Line, what: str
) -> None:
    message, key, place = PARKED[what]
    said = await his.send(message)
    assert (said.code, said.key, said.place) == ("AE", key, place), said
    assert said.why and not {"陈", "MR1", "110105"} & {part for part in ("陈", "MR1", "110105") if part in repr(said)}
    rows = await inbox(world)
    assert [(row["state"], row["key"], row["place"], row["body"]) for row in rows] == [
        ("parked", key, place, message.encode())
    ]
    async with world.as_owner() as connection:
        assert await connection.fetchval("SELECT count(*) FROM patient") == 0


async def test_another_citizen_number_under_a_known_number_may_be_another_person(world: World, his: Line) -> None:
    def told(number: str) -> str:
        return f"PID|1||MR1^^^HIS^MR~{number}^^^MPS^NI||陈^素芬"

    assert (await his.send(adt("A28", "1", pid=told("11010519491231002X"), pv1=""))).code == "AA"
    said = await his.send(adt("A31", "2", at="20261121110000", pid=told("520502195203150020"), pv1=""))
    assert (said.code, said.condition, said.key, said.place) == ("AE", "205", "identity-conflict", "PID^1^3")


async def test_a_parked_message_sent_again_is_answered_as_it_was(world: World, his: Line) -> None:
    first = await his.send(adt("A01", "1", pid=WRONG_NUMBER))
    assert (await his.send(adt("A01", "1", pid=WRONG_NUMBER))).raw == first.raw
    assert len(await inbox(world)) == 1


@pytest.mark.slow
async def test_a_sender_whom_nobody_configured_is_parked_and_replayed_once_it_is(world: World, config: Path) -> None:
    async with ward(world, his=msgspec.structs.replace(HIS_A, application="ANOTHER")) as his:
        said = await his.send(adt("A01", "1"))
    assert (said.code, said.key) == ("AE", "unknown-sender")
    [waits] = parked(world, config)
    assert waits["sender"].startswith("?") and waits["key"] == "unknown-sender"
    done = run(world, config, "replay", waits["id"])
    assert done.returncode == 0, done.stderr
    assert (await stay(world))["status"] == "in-progress"
    assert [row["state"] for row in await inbox(world)] == ["replayed"]


@pytest.mark.slow
async def test_a_parked_message_is_read_with_a_reason_that_the_audit_keeps(
    world: World, his: Line, config: Path
) -> None:
    await his.send(adt("A01", "1", pid=WRONG_NUMBER))
    [waits] = parked(world, config)
    listed = run(world, config, "list").stdout
    assert "PID^1^3" in listed and "陈" not in listed
    assert run(world, config, "show", waits["id"]).returncode == 2
    shown = run(world, config, "show", waits["id"], "--reason", "核对证件号码").stdout
    assert shown.splitlines()[2] == WRONG_NUMBER
    assert "hl7-show: 核对证件号码" in await reasons(world)


async def test_a_mended_message_is_applied_and_the_original_is_kept(world: World, his: Line, config: Path, tmp_path: Path) -> None:  # fmt: skip
    original = adt("A01", "1", pid=WRONG_NUMBER)
    await his.send(original)
    [waits] = parked(world, config)
    file = tmp_path / "mended.hl7"
    file.write_text(adt("A01", "1", pid=RIGHT_NUMBER).replace("\r", "\n"))
    done = run(world, config, "mend", waits["id"], "--reason", "号码抄错", "--file", str(file))
    assert done.returncode == 0, done.stderr
    assert {each["value"] for each in (await patient(world))["identifier"]} == {"MR1", "11010519491231002X"}
    kept, mended = await inbox(world)
    assert (kept["state"], kept["body"]) == ("replayed", original.encode())
    assert (mended["state"], mended["mends"]) == ("applied", kept["id"])
    assert "hl7-mend: 号码抄错" in await reasons(world)
    assert (await his.send(original)).code == "AA"


@pytest.mark.slow
async def test_without_a_file_an_editor_opens_and_what_it_leaves_unchanged_stays_parked(world: World, his: Line, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    await his.send(adt("A01", "1", pid=WRONG_NUMBER))
    [waits] = parked(world, config)
    monkeypatch.setenv("EDITOR", "true")
    left = run(world, config, "mend", waits["id"], "--reason", "看一看")
    assert left.returncode == 0 and "stays parked" in left.stdout
    assert "hl7-show: 看一看" in await reasons(world)
    monkeypatch.setenv("EDITOR", "sed -i s/110105194912310021/11010519491231002X/")
    done = run(world, config, "mend", waits["id"], "--reason", "号码抄错")
    assert done.returncode == 0, done.stderr
    assert [row["state"] for row in await inbox(world)] == ["replayed", "applied"]


@pytest.mark.slow
async def test_a_replay_that_fails_again_stays_parked_and_says_for_what(world: World, his: Line, config: Path, tmp_path: Path) -> None:  # fmt: skip
    await his.send(adt("A01", "1", pid=WRONG_NUMBER))
    [waits] = parked(world, config)
    file = tmp_path / "mended.hl7"
    file.write_text(adt("A01", "1", pid=""))
    done = run(world, config, "mend", waits["id"], "--reason", "试", "--file", str(file))
    assert done.returncode == 1 and "PID" in done.stderr
    assert [(row["state"], row["key"]) for row in await inbox(world)] == [("parked", "segment-sequence")]
    assert run(world, config, "replay", "--all").returncode == 1


async def test_a_replay_keeps_to_the_order_of_events(world: World, his: Line, config: Path) -> None:
    said = await his.send(adt("A02", "1", at="20261121090000", pid=WRONG_NUMBER, pv1=stay_line(place="W03^1^1")))
    assert said.code == "AE"
    await his.send(adt("A03", "2", at="20261121120000", pv1=stay_line(disposition="1", place="W03^9^9")))
    async with world.as_owner() as connection:
        # As if the check had been lifted: the message may be applied now.
        await connection.execute("UPDATE hl7_message SET body = $1 WHERE state = 'parked'", adt("A02", "1", at="20261121090000", pv1=stay_line(place="W03^1^1")).encode())  # fmt: skip
    assert run(world, config, "replay", "--all").returncode == 0
    lies = await stay(world)
    assert lies["status"] == "finished" and lies["location"][-1]["location"]["display"] == "9"


@pytest.mark.slow
async def test_a_dropped_message_goes_unapplied_for_a_reason(world: World, his: Line, config: Path) -> None:
    await his.send(adt("A01", "1", pid=WRONG_NUMBER))
    [waits] = parked(world, config)
    assert run(world, config, "drop", waits["id"], "--reason", "测试数据").returncode == 0
    assert parked(world, config) == []
    [row] = await inbox(world)
    assert (row["state"], row["reason"]) == ("dropped", "测试数据")
    again = run(world, config, "drop", waits["id"], "--reason", "再一次")
    assert again.returncode == 2 and "dropped" in again.stderr


async def test_the_inbox_is_sealed_from_the_hospital_and_the_agencies(world: World, his: Line) -> None:
    await his.send(adt("A01", "1", pid=WRONG_NUMBER))
    for party, role in (
        ("hospital-a", "hospital"),
        ("hospital-a", "referrer"),
        ("agency-a", "agency"),
        ("hospital-b", "interface"),
    ):
        organization = world.organizations[party].split("/")[1]
        actor = Actor(msgspec.convert(organization, type=__import__("uuid").UUID), "client", msgspec.convert(organization, type=__import__("uuid").UUID), role, "")  # fmt: skip
        async with world.database.transaction(actor.scope) as session:
            assert await session.fetch("SELECT id FROM hl7_message") == [], (party, role)
            if role != "interface":
                with pytest.raises(Forbidden):
                    await inbox_flow.list_messages(session, actor, ["parked"])


async def test_what_handled_messages_said_is_forgotten_in_time_and_what_waits_is_not(world: World, his: Line) -> None:
    from tests.http.loop import later, sweep

    await his.send(adt("A01", "1"))
    await his.send(adt("A01", "2", pid=WRONG_NUMBER))
    await sweep(world, "forget-hl7", later(days=29))
    assert [row["body"] is None for row in await inbox(world)] == [False, False]
    await sweep(world, "forget-hl7", later(days=31))
    assert [row["body"] is None for row in await inbox(world)] == [True, False]
    assert (await his.send(adt("A01", "1"))).code == "AA"
