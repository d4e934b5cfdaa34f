"""What a fresh machine relies on before any of our code runs."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from urllib.parse import urlsplit

from adapters.fhir import metadata
from tests.setup.conftest import ROOT


def test_the_lock_names_ordinary_sources_alone() -> None:
    lock = (ROOT / "uv.lock").read_text()
    hosts = {urlsplit(url).hostname for url in re.findall(r'"(https?://[^"]+)"', lock)}
    assert hosts == {"pypi.org", "files.pythonhosted.org"}


def test_every_dependency_is_pinned_with_a_hash() -> None:
    lock = tomllib.loads((ROOT / "uv.lock").read_text())
    for package in lock["package"]:
        if package["source"] != {"editable": "."}:
            files = [*package.get("wheels", []), *([package["sdist"]] if "sdist" in package else [])]
            assert files, package["name"]
            assert all(file["hash"].startswith("sha256:") for file in files), package["name"]


def test_the_set_up_script_finds_the_version_of_uv_in_the_lock() -> None:
    locked = {
        package["name"]: package.get("version") for package in tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    }
    found = re.search(r'^name = "uv"\nversion = "(.+)"$', (ROOT / "uv.lock").read_text(), re.MULTILINE)
    assert found
    assert found.group(1) == locked["uv"]


def test_the_version_stands_in_one_place() -> None:
    said = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert metadata.capability("http://x/fhir")["software"]["version"] == said
    elsewhere = [path for wing in ("service", "adapters") for path in (ROOT / wing).rglob("*.py") if f'"{said}"' in path.read_text()]  # fmt: skip
    assert elsewhere == []


TOP = {"service", "adapters", "migrations", "tests", "docs", "docker-compose.yml", "pyproject.toml", "README.md", "Makefile",
       "Dockerfile", "uv.lock", "LICENSE", "CHANGELOG.md"}  # fmt: skip


def test_nothing_stands_at_the_top_that_a_newcomer_would_not_look_for() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split(
        "\n"
    )
    assert {name.split("/")[0] for name in tracked if name and not name.startswith(".")} == TOP


def test_the_containers_are_told_of_the_deployment() -> None:
    compose = (ROOT / "docker-compose.yml").read_text()
    for name in ("YUANSHE_URL", "YUANSHE_PRACTICE", "WEBHOOK_ALLOW", "WEBHOOK_RETRY", "SMTP_URL", "SMTP_FROM"):
        assert f"{name}: ${{{name}:-}}" in compose
    for command in ("serve", "work"):
        assert re.search(rf"command: \[{command}\]\n    environment: \*settings\n", compose)


def secrets_in(folder: Path) -> dict[str, str]:
    subprocess.run(["sh", folder / ".docker" / "secrets"], check=True)
    return {file.name: file.read_text() for file in (folder / "secrets").iterdir()}


def test_secrets_are_whole_closed_and_never_written_over(tmp_path: Path) -> None:
    (tmp_path / ".docker").mkdir()
    shutil.copy(ROOT / ".docker" / "secrets", tmp_path / ".docker")
    folder = tmp_path / "secrets"
    folder.mkdir(mode=0o755)
    (folder / "postgres-password").touch()  # what a full disk left behind
    first = secrets_in(tmp_path)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert re.fullmatch("[0-9a-f]{48}", first["postgres-password"])
    assert f":{first['postgres-password']}@" in first["owner-database-url"]
    assert re.search(r"yuanshe_app:[0-9a-f]{48}@", first["database-url"])
    assert first.keys() == {"postgres-password", "database-url", "owner-database-url"}
    assert secrets_in(tmp_path) == first


def test_without_a_docker_daemon_the_tests_say_what_is_missing(tmp_path: Path) -> None:
    environ = os.environ | {"YUANSHE_TEST_DATABASE": "container", "DOCKER_HOST": f"unix://{tmp_path}/nobody.sock"}
    said = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "tests/setup/test_project.py"],
        cwd=ROOT, env=environ, capture_output=True, text=True,
    )  # fmt: skip
    assert said.returncode == 4
    assert "needs a Docker daemon" in said.stderr and "Traceback" not in said.stderr
