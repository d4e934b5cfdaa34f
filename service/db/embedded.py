"""Runs the embedded PostgreSQL: one server per home, shared by `serve`, `work` and each command, gone with the last.

Each user of the server holds a shared `flock`; starting and leaving happen under a second, exclusive one, so that
nobody starts what another is stopping. The kernel takes the locks of a killed process; no stale file can keep them.

As root the server runs as `nobody`, which is neither created nor let into any directory that was not made for it: where
`nobody` could not reach the home or the programs, data and a copy of the programs go to a place under `/var/lib`.
"""

import errno
import fcntl
import hashlib
import importlib.metadata
import logging
import os
import secrets
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO
from urllib.parse import quote, urlencode

from service.db import account, binaries
from service.db.migrate import scram
from service.errors import SetupError

log = logging.getLogger("yuanshe.db")

DATABASE = "yuanshe"
OWNER = "yuanshe_owner"
APP = "yuanshe_app"
PORT = 5432
SOCKET_BYTES = 107 if sys.platform == "linux" else 103
ROOT_PLACES = ("/var/lib", "/var/tmp")  # noqa: S108 - owner and mode are verified before use
SHORT_PLACES = ("/run", "/tmp")  # noqa: S108 - likewise
PATIENCE = 60.0

# Terse messages and no statements: the server's log would otherwise repeat names and numbers of patients.
SETTINGS: Mapping[str, str] = {
    "max_connections": "100",
    "shared_buffers": "512MB",
    "effective_cache_size": "1GB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "random_page_cost": "1.1",
    "jit": "off",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "min_wal_size": "256MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
}


class Attached:
    """One user's hold on the running server; `leave` gives it up, and stops the server if nobody else has one."""

    def __init__(self, server: "_Server", users: IO[str], port: int, database: str) -> None:
        self._server = server
        self._users = users
        self._process = os.getpid()
        self._left = False
        self.database = database
        self.port = port
        self.home = server.home
        self.data = server.data
        self.socket_directory = server.run
        self.binaries = server.programs
        self.owner_dsn = self.dsn(OWNER)
        self.app_dsn = self.dsn(APP)

    def dsn(self, role: str, database: str | None = None) -> str:
        """A URL that asyncpg and libpq both take, for `OWNER` or `APP`."""
        password = self._server.password(role)
        where = urlencode({"host": str(self.socket_directory), "port": self.port}, quote_via=quote)
        return f"postgresql://{role}:{quote(password, safe='')}@/{quote(database or self.database)}?{where}"

    def pin(self) -> None:
        """Let the server outlive its last user, until `stop`."""
        self._server.pinned.touch(mode=0o600)

    def alive(self) -> bool:
        """Whether the server's process is there."""
        try:
            os.kill(int((self.data / "postmaster.pid").read_text().split()[0]), 0)
        except PermissionError:
            return True
        except (OSError, ValueError, IndexError):
            return False
        return True

    def ensure_running(self) -> None:
        """Start the server again if it died. Raises SetupError when it does not come back."""
        with self._server.alone():
            self._server.ensure_running(None, SETTINGS)

    def leave(self) -> None:
        # After a fork the lock is the parent's to give up.
        if self._left or os.getpid() != self._process:
            return
        self._left = True
        with self._server.alone():
            self._users.close()
            if not self._server.pinned.exists():
                try:
                    self._server.stop_if_unused()
                except SetupError as error:
                    log.warning("%s", error)  # Whoever leaves has done its work; its result must not be lost to this.

    def __enter__(self) -> "Attached":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.leave()


def attach(
    home: Path,
    *,
    tcp_port: int | None = None,
    database: str = DATABASE,
    settings: Mapping[str, str] | None = None,
) -> Attached:
    """Join the server of this home, starting (and first making) it where needed.

    `settings` replace those in SETTINGS, and count only for the one who starts the server. With `tcp_port` the server
    also listens on 127.0.0.1. Raises SetupError, with the reason, when there is no server to be had.
    """
    with _clear_faults(home):
        server = _Server(home)
        with server.alone():
            users = server.join()
            try:
                port = server.ensure_running(tcp_port, {**SETTINGS, **(settings or {})})
                server.ensure_prepared(port, database)
            except BaseException:
                users.close()
                server.stop_if_unused()
                raise
            return Attached(server, users, port, database)


def stop(home: Path) -> bool:
    """Unpin the server and stop it; False when others still use it (it then stops with the last of them)."""
    if not (home / "postgres").is_dir():
        return True
    with _clear_faults(home):
        server = _Server(home)
        with server.alone():
            server.pinned.unlink(missing_ok=True)
            return server.stop_if_unused()


def discard(home: Path) -> None:
    """Remove the database of this home with everything in it. Raises SetupError while somebody uses it."""
    with _clear_faults(home):
        server = _Server(home)
        with server.alone():
            if not server.stop_if_unused():
                raise SetupError(
                    f"The database in {server.home} is in use; stop `yuanshe serve` and `yuanshe work` first."
                )
            server.pinned.unlink(missing_ok=True)
            (server.control / "prepared").unlink(missing_ok=True)
            for leftover in (server.data, server.run, server.place / "programs"):
                shutil.rmtree(leftover, ignore_errors=True)
            if server.place != server.control:
                shutil.rmtree(server.place, ignore_errors=True)
                (server.control / "place").unlink(missing_ok=True)


class _Server:
    """The files and the process of one home; every method but `alone` is called with `alone` held."""

    def __init__(self, home: Path) -> None:
        self.account = account.current()
        self.home = home.absolute()
        self.control = self.home / "postgres"
        # As root `nobody` has to pass through; listing stays ours in either case. Existing modes are left as they are.
        mode = 0o711 if self.account.dropped else 0o700
        self.home.mkdir(parents=True, exist_ok=True, mode=mode)
        self.control.mkdir(exist_ok=True, mode=mode)
        if self.control.stat().st_uid != os.geteuid():
            raise SetupError(f"{self.control} belongs to another user; run as that user or set YUANSHE_HOME.")
        self.key = hashlib.sha256(str(self.home.resolve()).encode()).hexdigest()[:12]
        self.pinned = self.control / "pinned"
        self.place = self._find_place()
        self.data = self.place / "data"
        self.log = self.place / "log" / "postgresql.log"
        self.run = self._find_socket_directory()
        self.programs = self._find_programs()

    # Where things are

    def _find_place(self) -> Path:
        """The folder of data, log and socket: beside the locks, unless the server's user could not get there."""
        if not self.account.dropped:
            return self.control
        written = self.control / "place"
        if written.exists():
            place = Path(written.read_text().strip())
            if not place.is_dir():
                raise SetupError(
                    f"The database of {self.home} was in {place}, which is gone: restore it, or remove {written}."
                )
            return place
        if account.reachable(self.control, self.account):
            return self.control
        for parent in ROOT_PLACES:
            if Path(parent).is_dir() and account.reachable(Path(parent), self.account):
                place = Path(parent) / "yuanshe" / self.key
                if not account.reachable(place.parent, self.account):
                    continue
                place.parent.mkdir(exist_ok=True, mode=0o711)
                account.own_directory(place, os.geteuid(), os.getegid(), 0o711)
                fresh = written.with_suffix(f".{os.getpid()}")
                fresh.write_text(f"{place}\n")
                fresh.replace(written)
                log.warning(
                    "%s cannot be reached by the user %s: the database is in %s", self.home, account.UNPRIVILEGED, place
                )
                return place
        raise SetupError(
            f"The user `{account.UNPRIVILEGED}` can reach neither {self.home} nor any of {', '.join(ROOT_PLACES)}: "
            "set YUANSHE_HOME to a directory that every user may pass, or run as an ordinary user."
        )

    def _find_socket_directory(self) -> Path:
        name = ".s.PGSQL.65535"
        own = self.place / "run"
        # Clients read a comma as the beginning of another host.
        if len(os.fsencode(own / name)) <= SOCKET_BYTES and "," not in str(own):
            return own
        xdg = os.environ.get("XDG_RUNTIME_DIR")
        for parent in ([xdg] if xdg and not self.account.dropped else []) + list(SHORT_PLACES):
            short = Path(parent) / f"yuanshe-{self.key}"
            if not os.access(parent, os.W_OK | os.X_OK) or not account.reachable(Path(parent), self.account):
                continue
            if len(os.fsencode(short / name)) <= SOCKET_BYTES:
                return short
        raise SetupError(
            f"The path {own} is too long for a socket (at most {SOCKET_BYTES} bytes with the socket's name): "
            "set YUANSHE_HOME to a shorter path."
        )

    def _find_programs(self) -> binaries.Binaries:
        version = self.data / "PG_VERSION"
        if not version.exists():
            return binaries.find()
        made_by = version.read_text().strip()
        try:
            return binaries.find(int(made_by))
        except (LookupError, ValueError) as found:
            raise SetupError(
                f"The data directory {self.data} was made by PostgreSQL {made_by}, and the programs here are of "
                f"version {found}: install PostgreSQL {made_by} and run `yuanshe db backup`, or set YUANSHE_HOME to "
                "another directory."
            ) from None

    # Locks

    @contextmanager
    def alone(self) -> Iterator[None]:
        with open(self.control / "start.lock", "a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def join(self) -> IO[str]:
        users = open(self.control / "users.lock", "a")  # noqa: SIM115 - held until `leave`
        fcntl.flock(users, fcntl.LOCK_SH)
        return users

    def stop_if_unused(self) -> bool:
        with open(self.control / "users.lock", "a") as users:
            try:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            if (self.data / "postmaster.pid").exists():
                done = self._run(
                    "pg_ctl", "stop", "-D", str(self.data), "-m", "fast", "-w", "-t", "60", "-s", check=False
                )
                # A server that was killed left its file behind, and there is nothing to stop.
                if (
                    done.returncode != 0
                    and self._run("pg_ctl", "status", "-D", str(self.data), check=False).returncode == 0
                ):
                    raise SetupError(_explain(done.stdout, self.data, None))
            return True

    # Starting

    def ensure_running(self, tcp_port: int | None, settings: Mapping[str, str]) -> int:
        """Start the server unless it runs, and wait until it answers; the port is returned."""
        pause = threading.Event()
        waited = 0.0
        while True:
            port, listens = self._find_running()
            answer = self._answer(port) if port else "nothing"
            if answer == "ready" and port:
                if tcp_port and (port != tcp_port or not listens):
                    raise SetupError(
                        "The database runs already, without that TCP port: stop it first (`yuanshe db stop`, and "
                        "`serve` and `work`), then start it with the port."
                    )
                return port
            if answer == "nothing":
                fault = self._start(tcp_port, settings)
                if fault is None:
                    continue
                if "postmaster.pid" not in fault and "shared memory block" not in fault:
                    raise SetupError(fault)
            else:
                fault = f"it starts up or shuts down, and does not come to an end; see {self.log}"
            # The children of a killed server notice its death a moment later, and PostgreSQL signals it to nobody.
            if waited > PATIENCE:
                raise SetupError(f"The database does not start: {fault}")
            pause.wait(0.1)
            waited += 0.1

    def _start(self, tcp_port: int | None, settings: Mapping[str, str]) -> str | None:
        self.run = self._find_socket_directory()
        for folder in (self.run, self.log.parent):
            account.own_directory(folder, self.account.uid, self.account.gid, 0o700)
        if not (self.data / "PG_VERSION").exists():
            self._create()
        self._remove_stale_pid()
        if self.log.exists() and self.log.stat().st_size > 16 << 20:
            self.log.replace(self.log.with_suffix(".log.1"))
        before = self.log.stat().st_size if self.log.exists() else 0
        self._write_settings(tcp_port, settings)
        # Relative paths: pg_ctl hands them to a shell, which some names of directories would not survive.
        done = self._run(
            "pg_ctl", "start", "-D", self.data.name, "-l", str(self.log.relative_to(self.place)), "-w", "-t", str(int(PATIENCE)), "-s",
            check=False,
        )  # fmt: skip
        if done.returncode == 0:
            log.info("started PostgreSQL %s in %s", self.programs.major, self.data)
            return None
        said = done.stderr + done.stdout
        if self.log.exists():
            with self.log.open("rb") as written:
                written.seek(before)
                said += written.read().decode(errors="replace")
        return _explain(said, self.data, tcp_port)

    def _create(self) -> None:
        """A new, empty cluster, made beside its final place so that a killed attempt leaves nothing half-made."""
        fresh = self.place / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        account.own_directory(fresh, self.account.uid, self.account.gid, 0o700)
        (self.control / "prepared").unlink(missing_ok=True)
        if self.programs.major >= 17:
            locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        else:
            locale = ["--locale=C.UTF-8" if sys.platform == "linux" else "--locale=C"]
        # A file, not a pipe: the server's user may not reopen a pipe that root made.
        handed = self.run / "password"
        handed.unlink(missing_ok=True)
        try:
            account.write_private(handed, self.password(OWNER), self.account)
            self._run(
                "initdb", "-D", str(fresh), "-U", OWNER, "-A", "scram-sha-256", f"--pwfile={handed}",
                "-E", "UTF8", "--data-checksums", *locale,
            )  # fmt: skip
        except BaseException:
            shutil.rmtree(fresh, ignore_errors=True)
            raise
        finally:
            handed.unlink(missing_ok=True)
        fresh.rename(self.data)

    def _write_settings(self, tcp_port: int | None, settings: Mapping[str, str]) -> None:
        directory = str(self.run).replace('"', '""').replace("\\", "\\\\")
        every = {
            **settings,
            "unix_socket_directories": f'"{directory}"',
            "unix_socket_permissions": "0700",
            "listen_addresses": "127.0.0.1" if tcp_port else "",
            "port": str(tcp_port or PORT),
        }
        lines = [f"{name} = '{value.replace(chr(39), chr(39) * 2)}'\n" for name, value in every.items()]
        # Made anew, never opened as it stands: the directory belongs to the server's user, who may not aim root's hand.
        target = self.data / "postgresql.conf"
        target.unlink(missing_ok=True)
        account.write_private(target, "".join(lines), self.account)

    def ensure_prepared(self, port: int, database: str) -> None:
        """Make the service's role and the database, once for each cluster."""
        marker = self.control / "prepared"
        if marker.exists() and marker.read_text() == database and (self.control / f"{APP}.password").exists():
            return
        self._sql(
            port,
            f"""SELECT 'CREATE ROLE {APP}' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{APP}') \\gexec
            ALTER ROLE {APP} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS
                PASSWORD '{scram(self.password(APP))}';
            SELECT 'CREATE DATABASE "{database}"'
                WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = '{database}') \\gexec
            """,
        )
        marker.write_text(database)

    def password(self, role: str) -> str:
        """The role's random password, made at first use; only files of mode 0600 hold it."""
        file = self.control / f"{role}.password"
        try:
            return file.read_text()
        except FileNotFoundError:
            pass
        if role == OWNER and (self.data / "PG_VERSION").exists():
            raise SetupError(f"{file} is lost, and with it the way into {self.data}; put it back from a backup.")
        password = secrets.token_urlsafe(24)
        fresh = file.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        account.write_private(fresh, password, None)
        fresh.rename(file)
        return password

    # The process

    def _find_running(self) -> tuple[int | None, bool]:
        """(port, does it listen on TCP), as the running server wrote them; (None, False) when none wrote any."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
            # Where it was started the environment may have led to another socket directory than here.
            self.run = Path(lines[4])
            return int(lines[3]), bool(lines[5].strip())
        except (FileNotFoundError, IndexError, ValueError):
            return None, False

    def _answer(self, port: int) -> str:
        command = [self.programs.program("pg_isready"), "-q", "-h", str(self.run), "-p", str(port), "-t", "5"]
        done = subprocess.run(command, env=_environment(), check=False)
        return {0: "ready", 1: "busy"}.get(done.returncode, "nothing")

    def _remove_stale_pid(self) -> None:
        """After a reboot another process may bear the number of the old server, and PostgreSQL would give up."""
        file = self.data / "postmaster.pid"
        try:
            number = int(file.read_text().splitlines()[0])
        except (FileNotFoundError, IndexError, ValueError):
            return
        if Path("/proc/self/comm").exists():
            comm = Path(f"/proc/{number}/comm")
            name = comm.read_text() if comm.exists() else ""
        else:
            command = ["ps", "-p", str(number), "-o", "comm="]
            name = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        if "postgres" not in name:
            file.unlink(missing_ok=True)

    def _sql(self, port: int, script: str) -> None:
        env = _environment() | {"PGPASSWORD": self.password(OWNER)}
        command = [
            self.programs.program("psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1",
            "-h", str(self.run), "-p", str(port), "-U", OWNER, "-d", "postgres", "-f", "-",
        ]  # fmt: skip
        done = subprocess.run(command, input=script, capture_output=True, text=True, env=env, check=False)
        if done.returncode != 0:
            raise SetupError(_explain(done.stderr, self.data, None))

    def _run(self, program: str, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run one of PostgreSQL's programs as the server's user; output goes to files, as a server keeps pipes open."""
        said = self.place / "said"
        command = [self._reachable_programs().program(program), *arguments]
        with said.open("w+") as output:
            done = self._spawn(command, output)
            output.seek(0)
            text = output.read()
        said.unlink(missing_ok=True)
        if check and done != 0:
            raise SetupError(_explain(text, self.data, None))
        return subprocess.CompletedProcess(command, done, text, "")

    def _spawn(self, command: list[str], output: IO[str]) -> int:
        drop = self.account.dropped
        try:
            return subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self.place,
                env=_environment(),
                umask=0o077,
                check=False,
                user=self.account.uid if drop else None,
                group=self.account.gid if drop else None,
                extra_groups=() if drop else None,
            ).returncode
        except PermissionError as error:
            raise SetupError(
                f"{command[0]} cannot be run as the user `{account.UNPRIVILEGED}`: {error.strerror}."
            ) from error

    def _reachable_programs(self) -> binaries.Binaries:
        """The programs, from a copy that the server's user can reach where it could not reach the originals."""
        found = self.programs
        if not self.account.dropped or account.reachable(found.bin / "postgres", self.account):
            return found
        if not found.wheel:
            raise SetupError(
                f"The user `{account.UNPRIVILEGED}` cannot reach {found.bin}; set DATABASE_URL, or install the wheel."
            )
        version = importlib.metadata.version(binaries.WHEEL.replace("_", "-"))
        package = found.bin.parents[1]
        copy = self.place / "programs" / f"{version}-{found.major}"
        if not copy.exists():
            log.info("copying PostgreSQL's programs to %s, where %s can reach them", copy, account.UNPRIVILEGED)
            fresh = copy.with_name(copy.name + ".new")
            shutil.rmtree(fresh, ignore_errors=True)
            # The programs find their libraries by a relative path, so both trees keep their places to each other.
            for tree in (found.bin.parent, package.with_name(package.name + ".libs")):
                if tree.exists():
                    shutil.copytree(
                        tree, fresh / tree.relative_to(package.parent), symlinks=True,
                        ignore=shutil.ignore_patterns("include", "doc", "man", "*.a"),
                    )  # fmt: skip
            for path in [copy.parent, fresh, *fresh.rglob("*")]:
                if not path.is_symlink():
                    path.chmod(0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644)
            fresh.rename(copy)
        return binaries.Binaries(found.major, copy / found.bin.relative_to(package.parent), wheel=True)


def _environment() -> dict[str, str]:
    """No PG* variable of the caller may steer these programs; English messages, because `_explain` reads them."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}


def _full(place: Path) -> str:
    return f"The disk that holds {place} is full: make room there, or set YUANSHE_HOME to another disk."


@contextmanager
def _clear_faults(home: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise SetupError(_full(home)) from error
        if isinstance(error, (PermissionError, NotADirectoryError, FileExistsError)) or error.errno == errno.EROFS:
            raise SetupError(
                f"{error.filename}: {error.strerror}; set YUANSHE_HOME to a directory of your own."
            ) from error
        if error.errno == errno.ENAMETOOLONG:
            raise SetupError(f"The path {home} is too long: set YUANSHE_HOME to a shorter path.") from error
        raise


def _explain(said: str, data: Path, tcp_port: int | None) -> str:
    """One clear line from what PostgreSQL's programs said."""
    if "No space left on device" in said:
        return _full(data)
    if "Address already in use" in said and tcp_port:
        return f"Port {tcp_port} on 127.0.0.1 is taken: choose another, or stop the program that holds it."
    words = ("FATAL", "PANIC", "error:", "ERROR", "postgres: could not")
    told = [line for line in said.splitlines() if any(word in line for word in words)]
    reason = (told or [line for line in said.splitlines() if line.strip()] or ["it said nothing"])[0]
    return f"PostgreSQL in {data} did not start or stop: {reason.strip()}"
