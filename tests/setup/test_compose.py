"""docker-compose brings up PostgreSQL, the migration, the service and its worker, and takes them down again."""

import json
import os
import shutil
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
NAME = "yuanshe-test"
LONGEST = 900
"""Seconds for one command: the first build fetches every dependency."""


def _answers(*command: str) -> bool:
    return shutil.which(command[0]) is not None and subprocess.run(command, capture_output=True).returncode == 0


pytestmark = pytest.mark.skipif(
    not os.environ.get("YUANSHE_TEST_ALL") or not _answers("docker", "info") or not shutil.which("docker-compose"),
    reason="builds an image and runs docker-compose: `make test-all`, where a Docker daemon answers",
)

Compose = Callable[..., str]


@pytest.fixture
def compose(tmp_path: Path) -> Iterator[Compose]:
    """docker-compose in a copy of the project, on a port that the system gives; everything is removed afterwards."""
    project = tmp_path / "project"
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode()
    for name in tracked.rstrip("\0").split("\0"):
        if (ROOT / name).is_file():
            (project / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, project / name)
    (project / "docker-compose.yml").write_text(
        (project / "docker-compose.yml").read_text().replace("127.0.0.1:8080:8080", "127.0.0.1::8080")
    )
    subprocess.run(["make", "--silent", "secrets"], cwd=project, check=True)

    def run(*arguments: str) -> str:
        said = subprocess.run(
            ["docker-compose", "--project-name", NAME, *arguments], cwd=project, capture_output=True, timeout=LONGEST
        )
        assert said.returncode == 0, said.stderr.decode()[-3000:]
        return said.stdout.decode()

    try:
        yield run
    finally:
        run("down", "--volumes", "--timeout", "20")


def _until_healthy(container: str) -> None:
    """Wait for the event that Docker itself sends, past ones included."""
    command = [
        "docker",
        "events",
        "--since",
        "1h",
        "--filter",
        f"container={container}",
        "--filter",
        "event=health_status",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as events:
        assert events.stdout is not None
        try:
            said = next((line for line in events.stdout if "health_status: healthy" in line), None)
        finally:
            events.terminate()
    assert said, "Docker stopped telling"


def _get(address: str, path: str) -> Any:
    with urllib.request.urlopen(f"http://{address}{path}", timeout=30) as answer:
        assert answer.status == 200
        return answer.read()


def test_two_commands_bring_up_a_service_that_is_ready_and_takes_a_directory(compose: Compose) -> None:
    compose("up", "--detach", "--build")
    container = compose("ps", "--quiet", "serve").strip()
    _until_healthy(container)
    address = compose("port", "serve", "8080").strip()
    assert _get(address, "/health/ready") == b"ready"
    assert json.loads(_get(address, "/fhir/metadata"))["fhirVersion"] == "4.0.1"
    said = compose("run", "--rm", "--volume", f"{ROOT}/adapters/network:/files:ro", "serve", "import", "/files")
    assert "organizations" in said
    for service, exited in (("migrate", "exited 0"), ("work", "running 0"), ("postgres", "running 0")):
        id = compose("ps", "--all", "--quiet", service).strip()
        state = subprocess.run(
            ["docker", "inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", id],
            capture_output=True,
            text=True,
            check=True,
        )
        assert state.stdout.strip() == exited, service
