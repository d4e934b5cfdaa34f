"""Files are scanned before anybody reads them, by a program of the operator's; what nothing names is swept out (docs/handing-over.md)."""

import asyncio
import base64
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from adapters import app, settings, worker
from service.errors import SetupError
from service.practice import Practice
from service.records import files
from service.referrals import attachment_flow
from service.values import utc_now
from tests.http.loop import done, refused, sweep
from tests.http.test_binary import PDF, TEXT, fetch, folder, name_of, readers, send
from tests.http.world import BASE, FHIR_JSON, World, submission

EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
"""What every scanner finds, and which harms nobody (eicar.org)."""

SCANNER = """#!/bin/sh
# Finds the test file, waits for ever when it is told to hang, breaks when it is told to break.
here=$(dirname "$0")
[ -e "$here/hangs" ] && exec tail -f /dev/null
[ -e "$here/broken" ] && exit 2
env > "$here/environment"
grep -q EICAR-STANDARD-ANTIVIRUS-TEST-FILE "$1" && exit 1
exit 0
"""


class Scanned:
    """A world with a scanner, which can be told to fail."""

    def __init__(self, world: World, place: Path) -> None:
        self.world = world
        self.place = place

    def says(self, what: str) -> Path:
        return self.place / what


Make = Callable[..., Awaitable[Scanned]]


@pytest.fixture
async def made(network: dict[str, Any], network_database: Any, tmp_path: Path) -> AsyncIterator[Make]:
    async with AsyncExitStack() as stack:

        async def make(**practice: Any) -> Scanned:
            script = tmp_path / "scanner.sh"
            script.write_text(SCANNER)
            script.chmod(0o755)
            read = settings.Settings(home=tmp_path, scanner=(str(script), "{}"), practice=Practice(**practice))
            built = app.create(read, network_database.app_dsn, base_url=BASE)
            return Scanned(await stack.enter_async_context(World(built, network, network_database).running()), tmp_path)

        yield make


def kept(world: World) -> list[Path]:
    return [path for path in folder(world).rglob("*") if path.is_file()]


async def due(world: World) -> None:
    """The time to scan again has come."""
    async with world.as_owner() as connection:
        await connection.execute("UPDATE attachment SET scan_at = now() WHERE scan = 'pending'")


async def test_a_clean_file_is_read_and_a_harmful_one_is_refused_and_not_kept(made: Make) -> None:
    it = await made()
    hospital = it.world.party("his-a")
    name = name_of(await send(hospital, PDF, "application/pdf"))
    assert (await fetch(hospital, name)).content == PDF
    answer = await send(hospital, EICAR, "text/plain")
    assert answer.status_code == 422 and "harmful" in answer.text
    as_json = {"resourceType": "Binary", "contentType": "text/plain", "data": base64.b64encode(EICAR).decode()}
    refused(await hospital.post("Binary", as_json), 422, "harmful")
    async with it.world.as_owner() as connection:
        assert await connection.fetchval("SELECT count(*) FROM attachment") == 1
    assert len(kept(it.world)) == 1
    assert "harmful" not in (await send(hospital, TEXT, "text/plain")).text
    seen = it.says("environment").read_text()
    assert "PATH=" in seen and not any(word in seen for word in ("YUANSHE", "DATABASE", "PASSWORD"))
    assert not list(Path(os.environ.get("TMPDIR", "/tmp")).glob("yuanshe-scan-*")), "nothing is left behind"


async def test_a_harmful_file_in_a_submission_refuses_the_whole_of_it(made: Make) -> None:
    it = await made()
    file = {"resourceType": "Binary", "contentType": "text/plain", "securityContext": {"reference": "PATIENT"}}
    for content, status in ((EICAR, 422), (TEXT, 200)):
        bundle = submission("N05", number="SCAN-1", extra=[file | {"data": base64.b64encode(content).decode()}])
        answer = await it.world.party("his-a").post("", bundle)
        assert answer.status == status, answer
        async with it.world.as_owner() as connection:
            assert await connection.fetchval("SELECT count(*) FROM referral") == (status == 200)


@pytest.mark.parametrize("how", ["broken", "hangs", "absent"])
async def test_what_the_scanner_cannot_judge_is_held_back_and_neither_lost_nor_readable_until_it_can(
    made: Make, how: str
) -> None:
    it = await made(scan_seconds=1) if how == "hangs" else await made()
    hospital = it.world.party("his-a")
    script = it.says("scanner.sh")
    if how == "absent":
        script.rename(it.says("away"))
    else:
        it.says(how).touch()
    answer = await send(hospital, PDF, "application/pdf", prefer="return=representation")
    name = name_of(answer)
    assert "scan-pending" in answer.text
    for accept in ("*/*", FHIR_JSON):
        held = await fetch(hospital, name, accept)
        assert held.status_code == 503 and "retry-after" in held.headers and PDF not in held.content
    assert await attachment_flow.rescan(it.world.database) is False, "not before its time"
    await due(it.world)
    assert await attachment_flow.rescan(it.world.database) is True
    assert (await fetch(hospital, name)).status_code == 503, "it could not say again"
    if how == "absent":
        it.says("away").rename(script)
    else:
        it.says(how).unlink()
    await due(it.world)
    assert await attachment_flow.rescan(it.world.database) is True
    assert (await fetch(hospital, name)).content == PDF
    assert await attachment_flow.rescan(it.world.database) is False


async def test_a_file_that_proves_harmful_later_is_destroyed_wherever_it_was_sent(made: Make) -> None:
    it = await made()
    hospital = it.world.party("his-a")
    it.says("broken").touch()
    names = [name_of(await send(hospital, EICAR, "text/plain")) for _ in range(2)]
    assert len(kept(it.world)) == 1
    it.says("broken").unlink()
    await due(it.world)
    assert await attachment_flow.rescan(it.world.database) is True
    for name in names:
        assert (await fetch(hospital, name)).status_code == 410
    assert kept(it.world) == []
    async with it.world.as_owner() as connection:
        assert await connection.fetchval("SELECT count(*) FROM audit WHERE interaction = 'scan' AND resource_type = 'Binary'") == 1  # fmt: skip


async def test_two_workers_scan_a_waiting_file_once_and_its_readers_are_who_they_were(made: Make) -> None:
    it = await made()
    referred = await it.world.refer("N05")
    await it.world.accepted(referred)
    it.says("broken").touch()
    name = name_of(await send(it.world.party("his-a"), PDF, "application/pdf", referred.request))
    it.says("broken").unlink()
    await due(it.world)
    worked = await asyncio.gather(*(attachment_flow.rescan(it.world.database) for _ in range(2)))
    assert sorted(worked) == [False, True]
    assert await readers(it.world, name) == {"his-a", "agency-a", "platform"}


async def test_a_file_sent_in_a_submission_while_the_scanner_is_away_is_held_back_too(made: Make) -> None:
    it = await made()
    it.says("broken").touch()
    file = {"resourceType": "Binary", "contentType": "application/pdf", "securityContext": {"reference": "PATIENT"}}
    bundle = submission("N05", extra=[file | {"data": base64.b64encode(PDF).decode()}])
    answer = done(await it.world.party("his-a").post("", bundle, prefer="return=representation"))
    entry = next(e for e in answer["entry"] if e["response"]["location"].startswith("Binary/"))
    assert "scan-pending" in str(entry["response"]["outcome"]) and "resource" not in entry
    assert (
        await fetch(it.world.party("his-a"), "/".join(entry["response"]["location"].split("/")[:2]))
    ).status_code == 503


# ---- what nothing names ------------------------------------------------------------------------------------------------


def aged(path: Path, days: float) -> None:
    at = (utc_now() - timedelta(days=days)).timestamp()
    os.utime(path, (at, at))


async def test_what_no_row_names_is_swept_out_once_it_is_old(world: World) -> None:
    hospital = world.party("his-a")
    name = name_of(await send(hospital, PDF, "application/pdf"))
    orphan, fresh = (
        files._place(folder(world), files.write(folder(world), content)) for content in (b"orphan", b"fresh")
    )
    half = orphan.with_name(".part-half")
    half.write_bytes(b"half")
    for path in (*kept(world), half):
        if path != fresh:
            aged(path, 2)
    await sweep(world, "orphans", utc_now())
    assert not orphan.exists() and not half.exists() and fresh.exists()
    assert (await fetch(hospital, name)).content == PDF


async def test_who_writes_the_same_content_again_keeps_it_from_being_swept(tmp_path: Path) -> None:
    digest = files.write(tmp_path, b"letter")
    place = files._place(tmp_path, digest)
    aged(place, 2)
    before = (utc_now() - timedelta(days=1)).timestamp()
    assert files.old(tmp_path, before) == [digest]
    files.write(tmp_path, b"letter")  # Between the look and the sweep.
    assert files.swept(tmp_path, digest, before) is False and files.read(tmp_path, digest) == b"letter"
    aged(place, 2)
    assert files.swept(tmp_path, digest, before) is True and not place.exists()
    assert files.swept(tmp_path, digest, before) is False
    assert files.write(tmp_path, b"letter") == digest and files.read(tmp_path, digest) == b"letter"


def test_the_worker_scans_and_sweeps() -> None:
    assert "orphans" in worker.SWEEPS


@pytest.mark.parametrize("text", ["clamdscan --fdpass '", "no-such-scanner-anywhere {}"])
def test_a_scanner_that_cannot_be_run_stops_the_start_with_one_clear_line(text: str) -> None:
    with pytest.raises(SetupError, match="ATTACHMENT_SCAN"):
        settings.read({"ATTACHMENT_SCAN": text})


def test_a_scanner_is_a_command_in_words_that_no_shell_reads() -> None:
    assert settings.read({"ATTACHMENT_SCAN": "sh -c 'exit 0' {}"}).scanner == ("sh", "-c", "exit 0", "{}")
    assert settings.read({}).scanner == ()
