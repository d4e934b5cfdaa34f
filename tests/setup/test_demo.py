"""`yuanshe demo`: one command, one referral, and nothing left behind however it ends."""

import contextlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from adapters.demo import supervisor
from service.practice import PLATFORM
from tests.conftest import Clone


class Demo:
    """A running demo, read line by line."""

    def __init__(self, home: Path, *words: str, port: int | None = None) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1] if port is None else port
        self.home = home
        environ = {k: v for k, v in os.environ.items() if k not in ("DATABASE_URL", "YUANSHE_OWNER_DATABASE_URL")}
        environ |= {"YUANSHE_HOME": str(home), "PORT": str(self.port), "PYTHONUNBUFFERED": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "adapters.main", "demo", *words], env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )  # fmt: skip
        self.lines: list[str] = []
        STARTED.append(self)

    def until(self, words: str) -> None:
        """Read on until a line holds these words."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            if words in line:
                return
        raise AssertionError("the demo ended: " + "".join(self.lines[-20:]))

    @property
    def said(self) -> dict[str, Any]:
        return json.loads((self.home / "demo.json").read_text())

    def children(self) -> list[int]:
        """The pids of serve and work."""
        threads = Path(f"/proc/{self.process.pid}/task").iterdir()
        return [int(pid) for thread in threads for pid in (thread / "children").read_text().split()]

    def ready(self) -> int:
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"http://127.0.0.1:{self.port}/health/ready", timeout=10).status_code
        return 0

    def postgres(self) -> int | None:
        """The server's pid, while it runs."""
        found = list(self.home.rglob("postmaster.pid"))
        return int(found[0].read_text().splitlines()[0]) if found else None


@pytest.fixture
def home() -> Iterator[Path]:
    # Not pytest's own folder: every run of pytest on the machine closes that to the user as which PostgreSQL runs.
    place = Path(tempfile.mkdtemp(prefix="yuanshe-demo-"))
    place.chmod(0o711)
    yield place / "y"
    for demo in STARTED:
        if demo.process.poll() is None:
            demo.process.terminate()
            demo.process.communicate(timeout=60)
    STARTED.clear()
    shutil.rmtree(place, ignore_errors=True)


STARTED: list["Demo"] = []


def gone(pid: int) -> bool:
    """Wait until a process that is not our child has ended."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    try:
        return bool(poll.poll(30_000))
    finally:
        os.close(descriptor)


def test_one_command_runs_one_referral_and_sigterm_stops_everything(home: Path) -> None:
    demo = Demo(home)
    demo.until("Serving")
    told = "".join(demo.lines)
    assert "A referral went round" in told and "the loop is closed" in told
    assert demo.ready() == 200
    said = demo.said
    assert (home / "demo.json").stat().st_mode & 0o777 == 0o600
    assert {"platform", "hospital-a", "hospital-b", "agency-a", "agency-b", "agency-c"} == said["organizations"].keys()
    assert {"his-a", "his-b", "agency-a", "agency-b", "agency-c", "platform", "auditor"} == said["clients"].keys()
    assert {"nurse-a", "worker-a", "worker-a2", "supervisor-a", "worker-b", "coordinator", "bureau", "admin"} == said[
        "people"
    ].keys()
    assert httpx.get(f"http://127.0.0.1:{demo.port}/docs").status_code == 200
    children, server = demo.children(), demo.postgres()
    assert server is not None
    demo.process.send_signal(signal.SIGTERM)
    demo.process.communicate(timeout=60)
    assert [pid for pid in (*children, server) if not gone(pid)] == []

    again = Demo(home, "--serve-only")
    again.until("Serving")
    assert "A referral went round" not in "".join(again.lines)
    assert again.said["clients"] == said["clients"] and again.said["people"] == said["people"]
    token = said["clients"]["his-a"]["access_token"]
    found = httpx.get(
        f"http://127.0.0.1:{again.port}/fhir/ServiceRequest", headers={"authorization": f"Bearer {token}"}
    )
    assert found.status_code == 200 and found.json()["total"] > 0
    again.process.send_signal(signal.SIGINT)
    again.process.communicate(timeout=60)
    assert again.postgres() is None


@pytest.mark.slow
def test_what_dies_is_started_again_and_nothing_outlives_a_killed_supervisor(home: Path) -> None:
    demo = Demo(home, "--serve-only")
    demo.until("Serving")
    first = demo.children()
    for pid in first:
        os.kill(pid, signal.SIGKILL)
    demo.until("starting it again")
    demo.until("starting it again")
    demo.until("the worker runs")
    second = demo.children()
    assert len(second) == 2 and not set(first) & set(second)
    server = demo.postgres()
    assert server is not None
    demo.process.kill()
    demo.process.communicate(timeout=60)
    assert [pid for pid in (*second, server) if not gone(pid)] == []


@pytest.mark.slow
def test_a_database_that_dies_is_started_again(home: Path) -> None:
    demo = Demo(home, "--serve-only")
    demo.until("Serving")
    server = demo.postgres()
    assert server is not None
    os.kill(server, signal.SIGKILL)
    demo.until("PostgreSQL ended")
    demo.until("started PostgreSQL")
    # Whoever asks meanwhile is told to try again; the next who gets through finds what was stored.
    token = demo.said["clients"]["his-a"]["access_token"]
    with httpx.Client(transport=httpx.HTTPTransport(retries=3), timeout=30) as http:
        try:
            while (
                found := http.get(
                    f"http://127.0.0.1:{demo.port}/fhir/Task", headers={"authorization": f"Bearer {token}"}
                )
            ).status_code == 503:
                assert found.headers["retry-after"]
        except httpx.ConnectError:
            demo.process.terminate()
            raise AssertionError("nobody listens: " + "".join(demo.lines) + demo.process.communicate()[0]) from None
    assert found.status_code == 200
    assert "Traceback" not in "".join(demo.lines), "that it was away is said in a line"


@pytest.mark.slow
def test_two_demos_do_not_share_a_home(home: Path) -> None:
    demo = Demo(home, "--serve-only")
    demo.until("Serving")
    said = demo.said
    other = Demo(home, "--serve-only")
    with pytest.raises(AssertionError, match="A demo runs in"):
        other.until("Serving")
    assert demo.said == said and demo.ready() == 200


def test_a_taken_port_is_named_before_anything_is_started(home: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        environ = os.environ | {"YUANSHE_HOME": str(home), "PORT": str(taken.getsockname()[1])}
        said = subprocess.run(
            [sys.executable, "-m", "adapters.main", "demo"], env=environ, capture_output=True, text=True, timeout=60
        )
    assert said.returncode == 2
    assert "is taken" in said.stderr and "PORT" in said.stderr and "Traceback" not in said.stderr
    assert not home.exists()


def refused(home: Path, *words: str, **environ: str) -> str:
    """What the demo says as it refuses to begin."""
    kept = {k: v for k, v in os.environ.items() if k not in ("DATABASE_URL", "YUANSHE_OWNER_DATABASE_URL")}
    said = subprocess.run(
        [sys.executable, "-m", "adapters.main", "demo", *words], env=kept | {"YUANSHE_HOME": str(home), "PORT": "0"} | environ,
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert said.returncode == 2 and "Traceback" not in said.stderr
    return said.stderr


@pytest.mark.slow
def test_a_demo_that_lost_its_passwords_says_how_to_begin_anew(home: Path) -> None:
    demo = Demo(home, "--serve-only", port=0)
    demo.until("Serving")
    assert demo.said["base_url"].rpartition(":")[2] not in ("0", "8080"), "with PORT=0 it chose a free one"
    assert httpx.get(f"{demo.said['base_url']}/health/ready").status_code == 200
    assert home.stat().st_mode & 0o777 & ~0o711 == 0
    demo.process.terminate()
    demo.process.communicate(timeout=60)
    (home / "demo.json").unlink()
    assert "demo.json" in (said := refused(home)) and "--fresh" in said
    assert not (home / "demo.json").exists()


@pytest.mark.slow
async def test_a_database_with_another_directory_is_refused_and_left_alone(home: Path, database: Clone) -> None:
    connection = await asyncpg.connect(database.owner_dsn)
    try:
        await connection.execute("SELECT set_config('yuanshe.platform', 'on', false)")
        await connection.execute(
            "INSERT INTO organization (id, key, kind, name_zh, name_en, lineage, updated_at)"
            f" VALUES ('{PLATFORM}', 'platform', 'platform', '平台', 'Platform', '{{{PLATFORM}}}', now())"
        )
        assert "directory of its own" in refused(home, DATABASE_URL=database.app_dsn)
        assert await connection.fetchval("SELECT count(*) FROM client") == 0
    finally:
        await connection.close()


@pytest.mark.slow
def test_no_program_is_started_again_once_all_is_to_end() -> None:
    watching = supervisor.Supervisor({}, None)
    watching.stop()
    child = watching.children[0]
    assert watching._again(child)
    assert child._process is None


@pytest.mark.slow
def test_fresh_refuses_a_database_that_is_not_its_own(home: Path) -> None:
    environ = os.environ | {"YUANSHE_HOME": str(home), "DATABASE_URL": "postgresql://a:b@127.0.0.1/c"}
    said = subprocess.run(
        [sys.executable, "-m", "adapters.main", "demo", "--fresh"],
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert said.returncode == 2 and "DATABASE_URL" in said.stderr
