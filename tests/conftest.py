"""Databases for tests: one server for the whole run, migrated once, and a fresh clone of it for each test that asks.

The server is the embedded one, or with YUANSHE_TEST_DATABASE=container a PostgreSQL in a container; no test can tell.
"""

import asyncio
import fcntl
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import msgspec
import pytest

from service.db import embedded, migrate

HOME = "YUANSHE_TEST_HOME"
CONTAINER_URL = "YUANSHE_TEST_OWNER_URL"
TEMPLATE = "yuanshe_template"
IMAGE = "postgres:17"

MEMORY = 4 * 2**30
"""Octets that have to be free in memory before the tests' databases go there."""

# A crash of the machine may lose a test's rows, and nothing else is given up.
FAST = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "128MB",
    "max_connections": "300",
    "autovacuum": "off",
}


class Clone(msgspec.Struct, frozen=True):
    """A database of one test's own: `owner_dsn` owns the schema, `app_dsn` is the service's role."""

    name: str
    owner_dsn: str
    app_dsn: str


class Server:
    """The run's server, with a connection of its own to make and drop databases.

    They are made and dropped in a thread beside the tests: while one runs, the next one's database is made already.
    """

    def __init__(self, owner_dsn: str, app_dsn: str) -> None:
        self._owner_dsn = owner_dsn
        self._app_dsn = app_dsn
        self._loop = asyncio.new_event_loop()
        self._beside = ThreadPoolExecutor(1)
        self._ahead: dict[str, Future[Clone]] = {}
        self._admin: asyncpg.Connection[asyncpg.Record] = self._wait(asyncpg.connect(owner_dsn))

    def owner_dsn(self, database: str) -> str:
        return _named(self._owner_dsn, database)

    def app_dsn(self, database: str) -> str:
        return _named(self._app_dsn, database)

    def execute(self, statement: str) -> None:
        self._wait(self._admin.execute(statement))

    def create(self, template: str = TEMPLATE) -> Clone:
        made = self._ahead.pop(template, None) or self._beside.submit(self._create, template)
        clone = made.result()
        self._ahead[template] = self._beside.submit(self._create, template)
        return clone

    def _create(self, template: str) -> Clone:
        name = f"t_{secrets.token_hex(8)}"
        # Without fsync, copying files beats writing every page to the log.
        self._loop.run_until_complete(
            self._admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY FILE_COPY')
        )
        return Clone(name, self.owner_dsn(name), self.app_dsn(name))

    def drop(self, clone: Clone) -> None:
        self._beside.submit(
            self._loop.run_until_complete, self._admin.execute(f'DROP DATABASE IF EXISTS "{clone.name}" WITH (FORCE)')
        )

    def close(self) -> None:
        for made in self._ahead.values():
            self.drop(made.result())
        self._wait(self._admin.close())
        self._beside.shutdown()
        self._loop.close()

    def _wait(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return self._beside.submit(self._loop.run_until_complete, coroutine).result()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What starts many processes, or walks far, is for `make test-all`; each promise keeps a quicker test beside it."""
    if os.environ.get("YUANSHE_TEST_ALL"):
        return
    later = pytest.mark.skip(reason="takes long: `make test-all`")
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(later)


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        return
    if os.environ.get("YUANSHE_TEST_DATABASE") == "container":
        os.environ[CONTAINER_URL] = _container(config)
    # The controller decides once; its workers inherit the environment.
    home = os.environ[HOME] = tempfile.mkdtemp(prefix="yuanshe-test-", dir=_in_memory())
    config.add_cleanup(lambda: _leave(Path(home)))  # this one alone: a run within a run inherits the other's variable
    os.chmod(home, 0o711)  # our own directory; `nobody` has to pass when the tests run as root


def _in_memory() -> str | None:
    """The machine's file system in memory, where it has one with room: copying databases is most of what the disk would do."""
    memory = Path("/dev/shm")
    room = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > MEMORY
    return str(memory) if room else None


def _container(config: pytest.Config) -> str:
    """The owner's URL of a PostgreSQL in a container, for as long as the run lasts."""
    os.environ["TESTCONTAINERS_RYUK_DISABLED"] = "true"
    from docker.errors import DockerException
    from testcontainers.community.postgres import PostgresContainer

    try:
        container = PostgresContainer(
            IMAGE, username=embedded.OWNER, password=secrets.token_urlsafe(16), dbname=embedded.DATABASE, driver=None
        ).with_command("postgres -c max_connections=300 -c fsync=off")
        config.add_cleanup(container.stop)
        return container.start().get_connection_url()
    except DockerException as fault:
        raise pytest.UsageError(
            "YUANSHE_TEST_DATABASE=container needs a Docker daemon that can run "
            f"{IMAGE}; unset it to test on the embedded PostgreSQL. ({type(fault).__name__})"
        ) from fault


def _leave(home: Path) -> None:
    embedded.stop(home)
    shutil.rmtree(home, ignore_errors=True)
    os.environ.pop(HOME, None)


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """The run's server, shared by all workers, with the template migrated."""
    home = Path(os.environ[HOME])
    if url := os.environ.get(CONTAINER_URL):
        yield from _serve(home, url, _as_app(url, home))
    else:
        with embedded.attach(home, settings=FAST) as attached:
            yield from _serve(home, attached.owner_dsn, attached.app_dsn)


@pytest.fixture
def database(server: Server) -> Iterator[Clone]:
    """A fresh, migrated database, dropped afterwards."""
    clone = server.create()
    yield clone
    server.drop(clone)


@pytest.fixture
def empty_database(server: Server) -> Iterator[Clone]:
    """A fresh database without any table."""
    clone = server.create("template0")
    yield clone
    server.drop(clone)


@pytest.fixture
def new_database(server: Server) -> Iterator[Callable[[], Clone]]:
    """For a test that needs several migrated databases."""
    made: list[Clone] = []

    def make() -> Clone:
        made.append(server.create())
        return made[-1]

    yield make
    for clone in made:
        server.drop(clone)


def _serve(home: Path, owner_dsn: str, app_dsn: str) -> Iterator[Server]:
    server = Server(owner_dsn, app_dsn)
    try:
        with open(home / "template.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            ready = home / "template.ready"
            if not ready.exists():
                server.execute(f'DROP DATABASE IF EXISTS "{TEMPLATE}"')
                server.execute(f'CREATE DATABASE "{TEMPLATE}" TEMPLATE template0')
                password = urlsplit(app_dsn).password
                asyncio.run(migrate.migrate(server.owner_dsn(TEMPLATE), app_password=password))
                ready.touch()
        yield server
    finally:
        server.close()


def _as_app(url: str, home: Path) -> str:
    """The service's URL on a container's server; all workers agree on its password through a file."""
    file = home / "app.password"
    with open(home / "template.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not file.exists():
            file.write_text(secrets.token_urlsafe(16))
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{embedded.APP}:{file.read_text()}@{parts.netloc.rpartition('@')[2]}"))


def _named(dsn: str, database: str) -> str:
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{database}"))
