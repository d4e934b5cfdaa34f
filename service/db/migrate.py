"""Brings a database to the schema of this version: numbered SQL files, applied once each, under one lock."""

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from importlib import resources

import asyncpg
import msgspec

from service.db import address
from service.errors import SetupError

APP = "yuanshe_app"
LOCK = 0x7975616E736865  # "yuanshe": one number, so that any two migrations of one database exclude each other.

CREATE_RECORD = """
CREATE TABLE IF NOT EXISTS schema_migration (
    number integer PRIMARY KEY,
    name text NOT NULL,
    sha256 text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)
"""
COMMENT_RECORD = "COMMENT ON TABLE schema_migration IS 'Which files of `migrations` this database has seen'"
GRANT_RECORD = f"GRANT SELECT ON schema_migration TO {APP}"
RECORD_EXISTS = "SELECT to_regclass('schema_migration') IS NOT NULL"
READ_RECORD = "SELECT number, name, sha256 FROM schema_migration ORDER BY number"
WRITE_RECORD = "INSERT INTO schema_migration (number, name, sha256) VALUES ($1, $2, $3)"
ROLE_EXISTS = "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)"
ROLE = f"{APP} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS"

UNSAFE_ROLE = """
SELECT current_user AS name, rolsuper AS is_superuser, rolbypassrls AS bypasses,
       (SELECT c.relname FROM pg_class c
         WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm')
           AND pg_has_role(current_user, c.relowner, 'MEMBER')
         ORDER BY c.relname LIMIT 1) AS owned
  FROM pg_roles WHERE rolname = current_user
"""


class Migration(msgspec.Struct, frozen=True):
    number: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


class Current(msgspec.Struct, frozen=True):
    """The database has exactly the files of this version."""


class Behind(msgspec.Struct, frozen=True):
    """Files of this version are not applied yet."""

    missing: tuple[str, ...]


class Ahead(msgspec.Struct, frozen=True):
    """The database knows files that this version does not have: it belongs to a newer one."""

    unknown: tuple[str, ...]


def files() -> list[Migration]:
    """The files of this version in order. Raises SetupError for a wrong name or a number used twice."""
    found: dict[int, Migration] = {}
    for entry in resources.files("migrations").iterdir():
        if not entry.name.endswith(".sql"):
            continue
        named = re.fullmatch(r"(\d{4})_[a-z0-9_]+\.sql", entry.name)
        if not named:
            raise SetupError(f"The migration {entry.name} is not named like 0001_some_words.sql.")
        number = int(named.group(1))
        if number in found:
            raise SetupError(f"Two migrations bear the number {named.group(1)}: {found[number].name} and {entry.name}.")
        found[number] = Migration(number, entry.name, entry.read_bytes().decode().replace("\r\n", "\n"))
    return [found[number] for number in sorted(found)]


async def migrate(
    owner_dsn: str, *, app_password: str | None = None, migrations: Sequence[Migration] | None = None
) -> list[str]:
    """Apply what is missing, each file in a transaction of its own; the names of the applied ones are returned.

    Creates the role `yuanshe_app` with `app_password` where it is missing. Two at once take turns. Raises SetupError
    when an applied file was edited, a file comes too late or fails, or the database belongs to a newer version.
    """
    every = files() if migrations is None else list(migrations)
    connection = await address.connect(owner_dsn)
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", LOCK)
        await ensure_role(connection, app_password)
        await connection.execute("SET client_min_messages = warning")
        await connection.execute(f"{CREATE_RECORD}; {COMMENT_RECORD}; {GRANT_RECORD}")
        return [each.name for each in await _missing(connection, every) if await _apply(connection, each)]
    except asyncpg.InsufficientPrivilegeError as error:
        raise SetupError(f"{address.read(owner_dsn).public} may not change the schema: {error}") from error
    finally:
        await connection.close()


async def state(
    connection: "asyncpg.Connection[asyncpg.Record]", migrations: Sequence[Migration] | None = None
) -> Current | Behind | Ahead:
    """Where the database stands. Raises SetupError when an applied file was edited since."""
    every = files() if migrations is None else list(migrations)
    if not await connection.fetchval(RECORD_EXISTS):
        return Behind(tuple(each.name for each in every)) if every else Current()
    applied = await _applied(connection)
    known = {each.number: each for each in every}
    if unknown := tuple(name for number, (name, _) in applied.items() if number not in known):
        return Ahead(unknown)
    for number, (name, sha256) in applied.items():
        if known[number].sha256 != sha256:
            raise SetupError(
                f"The migration {known[number].name} was edited after this database applied it (as {name}): "
                "put the file back, and say the change in a new one."
            )
    if missing := tuple(each.name for each in every if each.number not in applied):
        return Behind(missing)
    return Current()


async def refuse_other_schema(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Raises SetupError unless the schema is exactly that of this version."""
    found = await state(connection)
    if isinstance(found, Behind):
        raise SetupError(f"The database lacks {', '.join(found.missing)}: run `yuanshe migrate`.")
    if isinstance(found, Ahead):
        raise SetupError(
            f"The database has {', '.join(found.unknown)}, which this version does not know: run a newer one."
        )


async def refuse_unsafe_role(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Raises SetupError when row security would not bind the current role (superuser, BYPASSRLS, owner)."""
    role = await connection.fetchrow(UNSAFE_ROLE)
    if role is None:
        raise SetupError("The database does not know the current role.")
    if role["is_superuser"]:
        reason = "is a superuser"
    elif role["bypasses"]:
        reason = "has BYPASSRLS"
    elif role["owned"]:
        reason = f"owns the table {role['owned']}"
    else:
        return
    raise SetupError(
        f"The role {role['name']} {reason}, so row security would not bind it: connect as `{APP}` "
        "(`yuanshe migrate` creates it), and keep the owner's URL for YUANSHE_OWNER_DATABASE_URL."
    )


async def role_exists(connection: "asyncpg.Connection[asyncpg.Record]") -> bool:
    return bool(await connection.fetchval(ROLE_EXISTS, APP))


async def ensure_role(connection: "asyncpg.Connection[asyncpg.Record]", password: str | None) -> bool:
    """Create `yuanshe_app` unless it exists; whether it was created. Raises SetupError, with its SQL, if refused."""
    if await role_exists(connection):
        return False
    if password is None:
        raise SetupError(
            f"There is no role `{APP}`. Set DATABASE_URL to its URL with a password and YUANSHE_OWNER_DATABASE_URL to "
            f"the owner's, and migrate again; or let an administrator run: CREATE ROLE {ROLE} PASSWORD '…';"
        )
    try:
        # The verifier, not the password, so that no log of statements can hold it.
        await connection.execute(f"CREATE ROLE {ROLE} PASSWORD '{scram(password)}'")
    except asyncpg.DuplicateObjectError:
        return False
    except asyncpg.InsufficientPrivilegeError as error:
        raise SetupError(
            f"There is no role `{APP}`, and the owner may not create one. Let an administrator run: "
            f"CREATE ROLE {ROLE} PASSWORD '…'; and migrate again."
        ) from error
    return True


def scram(password: str) -> str:
    """What a server stores for a password (RFC 5803), so that the password itself need not stand in a statement."""
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, 4096)
    client = hmac.digest(salted, b"Client Key", "sha256")
    parts = (hashlib.sha256(client).digest(), hmac.digest(salted, b"Server Key", "sha256"))
    stored, server = (base64.b64encode(part).decode() for part in parts)
    return f"SCRAM-SHA-256$4096:{base64.b64encode(salt).decode()}${stored}:{server}"


async def _applied(connection: "asyncpg.Connection[asyncpg.Record]") -> dict[int, tuple[str, str]]:
    return {row["number"]: (row["name"], row["sha256"]) for row in await connection.fetch(READ_RECORD)}


async def _missing(connection: "asyncpg.Connection[asyncpg.Record]", every: Sequence[Migration]) -> list[Migration]:
    found = await state(connection, every)
    if isinstance(found, Current):
        return []
    if isinstance(found, Ahead):
        raise SetupError(
            f"The database has {', '.join(found.unknown)}, which this version does not know: run a newer one."
        )
    applied = await _applied(connection)
    last = max(applied, default=0)
    missing = [each for each in every if each.number not in applied]
    if late := [each.name for each in missing if each.number < last]:
        raise SetupError(
            f"{', '.join(late)} comes too late: the database has number {last:04} already. Give it a higher one."
        )
    return missing


async def _apply(connection: "asyncpg.Connection[asyncpg.Record]", migration: Migration) -> bool:
    try:
        async with connection.transaction():
            await connection.execute(migration.sql)
            await connection.execute(WRITE_RECORD, migration.number, migration.name, migration.sha256)
    except asyncpg.PostgresError as error:
        position = getattr(error, "position", None)
        line = f", line {migration.sql.count(chr(10), 0, int(position)) + 1}" if position else ""
        raise SetupError(f"The migration {migration.name}{line} failed and left nothing behind: {error}") from error
    return True
