"""What a fresh machine relies on before any of our code runs."""

import re
import tomllib
from urllib.parse import urlsplit

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
