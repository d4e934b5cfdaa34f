"""What `yuanshe export` writes is what `yuanshe import` reads."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from adapters import network


def yuanshe(database: Any, *words: str) -> subprocess.CompletedProcess[str]:
    environ = os.environ | {"DATABASE_URL": database.app_dsn}
    return subprocess.run(
        [sys.executable, "-m", "adapters.main", *words], env=environ, capture_output=True, text=True, timeout=60
    )


def test_what_is_written_out_loads_again_and_changes_nothing(database: Any, tmp_path: Path) -> None:
    assert yuanshe(database, "import", str(network.DEMO)).returncode == 0
    written = yuanshe(database, "export", str(tmp_path / "out"))
    assert written.returncode == 0, written.stderr
    again = yuanshe(database, "import", str(tmp_path / "out"))
    assert again.returncode == 0, again.stderr
    assert "Nothing changed" in again.stdout
    assert {file.stat().st_mode & 0o777 for file in (tmp_path / "out").iterdir()} == {0o600}, (
        "workers are named in them"
    )
    third = yuanshe(database, "export", str(tmp_path / "again"))
    assert third.returncode == 0
    for file in sorted((tmp_path / "out").iterdir()):
        assert file.read_bytes() == (tmp_path / "again" / file.name).read_bytes()


def test_files_that_are_there_are_not_written_over(database: Any, tmp_path: Path) -> None:
    yuanshe(database, "import", str(network.DEMO))
    (tmp_path / "regions.csv").write_text("mine")
    refused = yuanshe(database, "export", str(tmp_path))
    assert refused.returncode == 2 and "already holds regions.csv" in refused.stderr
    assert (tmp_path / "regions.csv").read_text() == "mine"
    assert [file.name for file in tmp_path.iterdir()] == ["regions.csv"]
