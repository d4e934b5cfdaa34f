"""Pool and transactions: a session is one transaction whose row scope is set in the round trip that begins it."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import msgspec

from service.errors import SetupError, Unavailable
from service.practice import Practice
from service.values import Id

AWAY = (OSError, asyncpg.InterfaceError, asyncpg.PostgresConnectionError, asyncpg.CannotConnectNowError)
"""What asyncpg raises when the database cannot be reached or went away: of its InterfaceErrors only some, see `lost`."""

GONE = ("closed", "closing", "released back to the pool")
"""How asyncpg says that a connection is gone; the pool takes back one that is lost while somebody uses it."""


def lost(fault: BaseException) -> bool:
    """Whether the database is away. An InterfaceError may as well say that a value does not fit or that there are too
    many of them: only one of no narrower kind that speaks of a connection gone is an outage."""
    if isinstance(fault, asyncpg.InterfaceError):
        return type(fault) is asyncpg.InterfaceError and any(word in str(fault) for word in GONE)
    return isinstance(fault, AWAY)


class Scope(msgspec.Struct, frozen=True):
    """Whose rows a transaction may see and write; row policies compare columns with it. `account` is of a person who acts:
    what is theirs alone, not their organisation's, is compared with it."""

    organization: Id | None
    role: str
    platform: bool = False
    account: Id | None = None


class Session:
    """One open transaction. Verbs hand it down; nobody commits but `transaction`."""

    __slots__ = (
        "attachments", "began", "connection", "patients", "platform_reasons", "practice", "referrals", "scanner", "scope", "stirred",
        "writes",
    )  # fmt: skip

    def __init__(
        self,
        connection: "asyncpg.pool.PoolConnectionProxy[Any]",
        scope: Scope,
        practice: Practice,
        began: datetime,
        writes: bool,
        attachments: Path,
        scanner: tuple[str, ...] = (),
    ) -> None:
        self.connection = connection
        self.scope = scope
        self.began = began
        """When it began, by the database's clock: the `now` of what it does."""
        self.writes = writes
        """Whether it may change what is followed by time of change; see service/db/horizon.py."""
        self.practice = practice
        """How this deployment works: limits, hours, calendar."""
        self.attachments = attachments
        """Where the content of files lies."""
        self.scanner = scanner
        """The command that says of a file whether it is harmful; empty: none is asked."""
        self.patients: set[Id] = set()
        """The persons whose data this transaction touched, for its audit line."""
        self.referrals: set[Id] = set()
        """The referrals that it touched, for its audit line."""
        self.platform_reasons: list[str] = []
        """Why the scope was widened, for its audit line."""
        self.stirred = False
        """Whether events were appended: then the relay wakes the sequencer after commit."""

    async def fetch(self, query: str, *values: Any) -> list[asyncpg.Record]:
        return await self.connection.fetch(query, *values)

    async def fetchrow(self, query: str, *values: Any) -> asyncpg.Record | None:
        return await self.connection.fetchrow(query, *values)

    async def fetchval(self, query: str, *values: Any) -> Any:
        return await self.connection.fetchval(query, *values)

    async def execute(self, query: str, *values: Any) -> str:
        return await self.connection.execute(query, *values)

    async def executemany(self, query: str, rows: Sequence[Sequence[Any]]) -> None:
        await self.connection.executemany(query, rows)


async def _roll_back(connection: "asyncpg.pool.PoolConnectionProxy[Any]") -> None:
    try:
        await connection.execute("ROLLBACK")
    except (*AWAY, asyncpg.PostgresError):
        # The next request must not find itself in this one's transaction: what cannot be rolled back is given up.
        with suppress(asyncpg.InterfaceError):
            connection.terminate()


ERA = datetime(2020, 1, 1, tzinfo=UTC)
"""From here seconds are counted in the key of a writer's lock: its 31 bits last until 2088."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_WRITER = f"pg_advisory_xact_lock(floor(extract(epoch FROM clock_timestamp()) - {ERA.timestamp():.0f})::int, pg_backend_pid())"
"""The lock of a transaction that may write. No writer ever waits for it: its key is the backend's own."""


def _begin(scope: Scope, writes: bool) -> str:
    # Literals are safe here: an id prints as hex digits, a role is a word of ours. One simple-protocol message begins
    # the transaction and sets its scope, so no statement can ever run between the two. The time is taken after the lock is
    # held (FROM comes first), and comes back as a parameter that the server reports of itself: asyncpg hands out no rows
    # of such a message, and a second one would be a second round trip.
    if not scope.role.replace("_", "").replace("-", "").isalnum():
        raise ValueError(f"not a role: {scope.role!r}")
    return (
        "BEGIN; SELECT set_config('yuanshe.organization', '"
        f"{scope.organization or ''}', true), set_config('yuanshe.account', '{scope.account or ''}', true), "
        f"set_config('yuanshe.role', '{scope.role}', true), "
        f"set_config('yuanshe.platform', '{'on' if scope.platform else ''}', true), set_config('application_name', "
        f"'yuanshe ' || (extract(epoch FROM clock_timestamp()) * 1000000)::bigint, true){f' FROM {_WRITER}' if writes else ''}"
    )


def _began(connection: "asyncpg.pool.PoolConnectionProxy[Any]") -> datetime:
    """The time that the begin of the transaction took."""
    said: str = connection.get_settings().application_name
    return _EPOCH + timedelta(microseconds=int(said.removeprefix("yuanshe ")))


ATTACHMENTS = Path(".yuanshe") / "attachments"
"""Where files lie unless the settings say otherwise."""


class Database:
    """The pool, how the deployment works, and what is told of each commit that appended events."""

    def __init__(
        self,
        pool: "asyncpg.Pool[Any]",
        practice: Practice | None = None,
        on_commit: Callable[[], None] | None = None,
        attachments: Path = ATTACHMENTS,
        scanner: tuple[str, ...] = (),
    ) -> None:
        self.pool = pool
        self.practice = practice or Practice()
        self.on_commit = on_commit
        self.attachments = attachments
        self.scanner = scanner

    @asynccontextmanager
    async def transaction(self, scope: Scope, *, writes: bool = True) -> AsyncIterator[Session]:
        """Begin with the scope, commit at the end, roll back on any exception. Raises Unavailable when the database is away.

        `writes` is false for what changes nothing that is followed by time of change; an audit line is no such thing.
        """
        try:
            connection = await self.pool.acquire()
        except AWAY as away:
            raise Unavailable("The database is away; try again shortly.") from away
        try:
            try:
                await connection.execute(_begin(scope, writes))
                session = Session(
                    connection, scope, self.practice, _began(connection), writes, self.attachments, self.scanner
                )
                yield session
                await connection.execute("COMMIT")
            except BaseException as fault:
                # A dead connection has rolled back, too (asyncpg then refuses even to be asked): the first failure counts.
                await _roll_back(connection)
                if lost(fault):
                    raise Unavailable("The database went away; nothing is certain to be stored. Try again.") from fault
                raise
        finally:
            await self.pool.release(connection)
        if session.stirred and self.on_commit:
            self.on_commit()

    async def close(self) -> None:
        await self.pool.close()


@asynccontextmanager
async def as_platform(session: Session, reason: str) -> AsyncIterator[None]:
    """Widen the row scope to every row while the block lasts; the reason stands in the audit line.

    Who does so, and what they bring back, is a table: docs/decisions/wider-scope.md.
    An exception leaves the scope as it is: the transaction is lost with it.
    """
    if session.scope.platform:
        yield
        return
    session.platform_reasons.append(reason)
    await session.execute("SELECT set_config('yuanshe.platform', 'on', true)")
    wide = session.scope
    session.scope = msgspec.structs.replace(wide, platform=True)
    yield
    session.scope = wide
    await session.execute("SELECT set_config('yuanshe.platform', '', true)")


@asynccontextmanager
async def as_organization(session: Session, organization: Id, role: str) -> AsyncIterator[None]:
    """Narrow the platform's own scope to one organisation's rows while the block lasts: what is made for its staff is read as they
    read it. An exception leaves the scope as it is: the transaction, or the savepoint around it, is lost with it."""
    wide = session.scope
    session.scope = Scope(organization, role)
    await session.execute(NARROW, str(organization), role)
    yield
    session.scope = wide
    await session.execute(WIDEN, str(wide.organization or ""), wide.role)


NARROW = """SELECT set_config('yuanshe.organization', $1, true), set_config('yuanshe.role', $2, true),
    set_config('yuanshe.platform', '', true)"""
WIDEN = """SELECT set_config('yuanshe.organization', $1, true), set_config('yuanshe.role', $2, true),
    set_config('yuanshe.platform', 'on', true)"""


@asynccontextmanager
async def savepoint(session: Session) -> AsyncIterator[None]:
    """A part of a transaction that may fail by itself: an exception undoes the block alone, and goes on to the caller."""
    await session.execute("SAVEPOINT part")
    scope = session.scope
    try:
        yield
    except BaseException:
        if not session.connection.is_closed():
            await session.execute("ROLLBACK TO SAVEPOINT part")
        # The database takes back a wider scope with the rest; so must whoever remembers it.
        session.scope = scope
        raise
    await session.execute("RELEASE SAVEPOINT part")


async def _nothing(connection: Any) -> None:
    """No reset on release: no session state is ever set, only transaction-local settings."""


_PATIENCE = {"idle_in_transaction_session_timeout": "60s"}
"""A transaction whose process does nothing with it any more is ended: it holds locks, and back whoever follows changes."""


async def connect(
    dsn: str,
    *,
    size: int = 16,
    practice: Practice | None = None,
    on_commit: Callable[[], None] | None = None,
    attachments: Path = ATTACHMENTS,
    scanner: tuple[str, ...] = (),
) -> Database:
    """Open a pool on `dsn` as the service role. Raises SetupError when the database cannot be reached or refuses us."""
    try:
        pool = await asyncpg.create_pool(
            dsn, min_size=1, max_size=size, reset=_nothing, command_timeout=60, server_settings=_PATIENCE
        )
    except asyncpg.InvalidAuthorizationSpecificationError as refused:
        raise SetupError("The database refuses this user or password.") from refused
    except asyncpg.InvalidCatalogNameError as absent:
        raise SetupError("There is no database of this name on the server.") from absent
    except AWAY as away:
        raise SetupError("The database cannot be reached; is it running, and is its address right?") from away
    return Database(pool, practice, on_commit, attachments, scanner)
