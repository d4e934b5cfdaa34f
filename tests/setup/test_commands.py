"""What the `yuanshe` command promises: one clear line for a fault, nothing loaded that is not needed, safe backups."""

import importlib.util
import os
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import asyncpg
import pytest

from adapters.main import COMMANDS
from adapters.network import DEMO
from service.db import embedded
from tests.conftest import Clone
from tests.setup.conftest import ROOT


def yuanshe(home: Path, *words: object, **environ: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DATABASE_URL", "YUANSHE_"))}
    return subprocess.run(
        [sys.executable, "-m", "adapters.main", *map(str, words)],
        cwd=ROOT,
        env={**kept, "YUANSHE_HOME": str(home), **environ},
        capture_output=True,
        text=True,
        check=False,
    )


async def run(dsn: str, statement: str) -> object:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


def test_help_lists_every_command_that_exists(home: Path) -> None:
    shown = yuanshe(home, "--help")
    assert shown.returncode == 0
    for name, (module, line) in COMMANDS.items():
        if importlib.util.find_spec(f"adapters.commands.{module}"):
            assert name in shown.stdout
            assert line.split(":")[0] in " ".join(shown.stdout.split())


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_explains_itself(home: Path, name: str) -> None:
    if not importlib.util.find_spec(f"adapters.commands.{COMMANDS[name][0]}"):
        pytest.skip(f"`yuanshe {name}` is not built yet")
    shown = yuanshe(home, name, "--help")
    assert shown.returncode == 0, shown.stderr
    assert "Usage:" in shown.stdout


def test_starting_the_database_loads_no_web_server(home: Path) -> None:
    script = (
        "import sys; from adapters.main import yuanshe\n"
        "yuanshe(['db', '--help'], standalone_mode=False)\n"
        "assert 'litestar' not in sys.modules and 'uvicorn' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True)


@pytest.mark.parametrize("environ", [{"PORT": "x"}, {"DATABASE_URL": "postgresql://a:hidden-word@127.0.0.1:1/x"}])
def test_a_fault_of_the_environment_is_one_line_and_exit_code_2(home: Path, environ: dict[str, str]) -> None:
    done = yuanshe(home, "migrate", **environ)
    assert done.returncode == 2
    assert done.stderr.startswith("yuanshe: ")
    assert done.stderr.count("\n") == 1
    assert "hidden-word" not in done.stderr


def test_a_database_is_started_migrated_and_stopped(home: Path) -> None:
    started = yuanshe(home, "db", "start", "--show-url")
    assert started.returncode == 0, started.stderr
    assert "DATABASE_URL=postgresql://yuanshe_app:" in started.stdout
    behind = yuanshe(home, "migrate", "--check")
    assert behind.returncode == 2
    assert "yuanshe migrate" in behind.stderr
    assert "applied 0001_" in yuanshe(home, "migrate").stdout
    assert "Nothing to apply" in yuanshe(home, "migrate").stdout
    assert yuanshe(home, "migrate", "--check").returncode == 0
    assert "is stopped" in yuanshe(home, "db", "stop").stdout
    assert not (home / "postgres" / "data" / "postmaster.pid").exists()


def test_a_command_that_is_told_to_end_gives_the_database_up(home: Path) -> None:
    script = (
        "import sys, adapters.main as m, adapters.commands.migrate as c, asyncio\n"
        "async def wait(found):\n    print('here', flush=True)\n    await asyncio.Event().wait()\n"
        "c._migrate = wait\nsys.argv = ['yuanshe', 'migrate']\nm.main()"
    )
    environ = {**os.environ, "YUANSHE_HOME": str(home)}
    with subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, env=environ, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"here\n"
        pids = list(home.glob("postgres/data/postmaster.pid"))
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 128 + signal.SIGTERM
    if pids:  # not so where the home had to be somewhere else
        assert not pids[0].exists()


def test_one_url_alone_gets_the_service_a_role_of_its_own(home: Path, empty_database: Clone) -> None:
    done = yuanshe(home, "migrate", DATABASE_URL=empty_database.owner_dsn)
    assert done.returncode == 0, done.stderr
    assert "applied 0001_" in done.stdout
    refused = yuanshe(home, "migrate", DATABASE_URL=empty_database.app_dsn)
    assert refused.returncode == 2
    assert "YUANSHE_OWNER_DATABASE_URL" in refused.stderr
    assert yuanshe(home, "migrate", "--check", DATABASE_URL=empty_database.app_dsn).returncode == 0


@pytest.mark.parametrize(
    "words", [("client", "list"), ("delivery", "list"), ("audit", "verify"), ("import", DEMO), ("export", "out")],
    ids=lambda words: words[0],
)  # fmt: skip
def test_a_database_that_was_not_migrated_is_named_in_one_line(
    home: Path, empty_database: Clone, words: tuple[object, ...]
) -> None:
    refused = yuanshe(home, *words, DATABASE_URL=empty_database.app_dsn)
    assert refused.returncode == 2
    assert refused.stderr.startswith("yuanshe: ") and refused.stderr.count("\n") == 1, refused.stderr
    assert "yuanshe migrate" in refused.stderr


async def test_a_backup_is_restored_whole_with_its_attachments(home: Path, database: Clone, tmp_path: Path) -> None:
    attachments = home / "attachments"
    attachments.mkdir(parents=True)
    (attachments / "scan.pdf").write_bytes(b"first")
    (attachments / "2026").mkdir()
    (attachments / "2026" / "院.pdf").write_bytes(b"deeper")
    await run(database.owner_dsn, "CREATE TABLE kept AS SELECT '李'::text AS name")
    await run(database.owner_dsn, "GRANT SELECT ON kept TO yuanshe_app")
    file = tmp_path / "b.tar"
    written = yuanshe(home, "db", "backup", file, DATABASE_URL=database.owner_dsn)
    assert written.returncode == 0, written.stderr
    assert file.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["b.tar"]

    # Twice, because a restored database has to be as good as the first one.
    assert yuanshe(home, "db", "restore", file, DATABASE_URL=database.owner_dsn).returncode == 0
    again = tmp_path / "again.tar"
    assert yuanshe(home, "db", "backup", again, DATABASE_URL=database.owner_dsn).returncode == 0
    refused = yuanshe(home, "db", "backup", file, DATABASE_URL=database.owner_dsn)
    assert refused.returncode == 2 and "is there already" in refused.stderr

    (attachments / "scan.pdf").write_bytes(b"second")
    (attachments / "later.pdf").write_bytes(b"later")
    await run(database.owner_dsn, "UPDATE kept SET name = 'changed'")
    await run(database.owner_dsn, "CREATE TABLE later (n int)")
    restored = yuanshe(home, "db", "restore", file, DATABASE_URL=database.owner_dsn)
    assert restored.returncode == 0, restored.stderr
    assert await run(database.app_dsn, "SELECT name FROM kept") == "李"
    assert await run(database.owner_dsn, "SELECT to_regclass('later')") is None
    found = {str(entry.relative_to(attachments)): entry.read_bytes() for entry in attachments.rglob("*.pdf")}
    assert found == {"scan.pdf": b"first", "2026/院.pdf": b"deeper"}
    assert yuanshe(home, "migrate", "--check", DATABASE_URL=database.app_dsn).returncode == 0
    assert [entry.name for entry in home.iterdir()] == ["attachments"]


async def test_restoring_is_refused_while_a_service_is_connected(home: Path, database: Clone, tmp_path: Path) -> None:
    file = tmp_path / "b.tar"
    assert yuanshe(home, "db", "backup", file, DATABASE_URL=database.owner_dsn).returncode == 0
    await run(database.owner_dsn, "CREATE TABLE later (n int)")
    connection = await asyncpg.connect(database.app_dsn)
    try:
        refused = yuanshe(home, "db", "restore", file, DATABASE_URL=database.owner_dsn)
    finally:
        await connection.close()
    assert refused.returncode == 2
    assert "yuanshe serve" in refused.stderr
    assert await run(database.owner_dsn, "SELECT to_regclass('later') IS NOT NULL")


async def test_a_damaged_backup_changes_nothing(home: Path, database: Clone, tmp_path: Path) -> None:
    attachments = home / "attachments"
    attachments.mkdir(parents=True)
    (attachments / "scan.pdf").write_bytes(b"first")
    await run(database.owner_dsn, "CREATE TABLE kept AS SELECT n FROM generate_series(1, 20000) n")
    whole, torn, foreign, outside = (tmp_path / f"{name}.tar" for name in ("whole", "torn", "foreign", "outside"))
    assert yuanshe(home, "db", "backup", whole, DATABASE_URL=database.owner_dsn).returncode == 0
    with tarfile.open(whole) as archive:
        dump = archive.extractfile("database.dump").read()
    (tmp_path / "database.dump").write_bytes(dump[: len(dump) - 200])
    with tarfile.open(torn, "w") as archive:
        archive.add(tmp_path / "database.dump", "database.dump")
    foreign.write_bytes(b"not an archive")
    with tarfile.open(outside, "w") as archive:
        archive.add(whole, "attachments/../../outside")
    await run(database.owner_dsn, "CREATE TABLE later (n int)")
    for bad in (torn, foreign, outside):
        refused = yuanshe(home, "db", "restore", bad, DATABASE_URL=database.owner_dsn)
        assert refused.returncode == 2, refused.stdout
        assert refused.stderr.count("\n") == 1
        assert await run(database.owner_dsn, "SELECT to_regclass('later') IS NOT NULL")
        assert await run(database.owner_dsn, "SELECT count(*) FROM kept") == 20000
        assert (attachments / "scan.pdf").read_bytes() == b"first"


@pytest.mark.slow
def test_the_embedded_database_is_backed_up_and_restored_too(home: Path, tmp_path: Path) -> None:
    assert yuanshe(home, "migrate").returncode == 0
    file = tmp_path / "b.tar"
    assert yuanshe(home, "db", "backup", file).returncode == 0
    embedded.discard(home)
    restored = yuanshe(home, "db", "restore", file)
    assert restored.returncode == 0, restored.stderr
    assert yuanshe(home, "migrate", "--check").returncode == 0


def test_with_a_given_database_there_is_none_to_start(home: Path) -> None:
    done = yuanshe(home, "db", "start", DATABASE_URL="postgresql://a@b/c")
    assert done.returncode == 2
    assert "no embedded database" in done.stderr
