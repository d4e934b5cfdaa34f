"""Reads a database URL, says it without its password, and opens one connection with a clear refusal."""

import ssl
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

import asyncpg
import msgspec

from service.errors import SetupError

OLDEST = 15


class Address(msgspec.Struct, frozen=True):
    """A URL in two halves: `public` may be shown and stand in a process list, the password may not."""

    public: str
    user: str | None
    password: str | None
    database: str | None


def read(dsn: str) -> Address:
    """Raises SetupError when it is no PostgreSQL URL; its message never repeats the URL."""
    parts = urlsplit(dsn)
    if parts.scheme not in ("postgresql", "postgres"):
        raise SetupError(
            "A database URL begins with postgresql:// , for example postgresql://user:password@host:5432/name."
        )
    login, _, hosts = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    query = parse_qsl(parts.query, keep_blank_values=True)
    named = dict(query)
    kept = urlencode([(name, value) for name, value in query if name != "password"], quote_via=quote, safe="/:,")
    public = urlunsplit(("postgresql", f"{user}@{hosts}" if user else hosts, parts.path, kept, ""))
    if not hosts and public.startswith("postgresql:/") and not public.startswith("postgresql://"):
        public = public.replace("postgresql:/", "postgresql:///", 1)
    return Address(
        public=public,
        user=unquote(user) or named.get("user"),
        password=unquote(password) or named.get("password"),
        database=unquote(parts.path.lstrip("/")) or named.get("dbname") or named.get("database"),
    )


async def connect(dsn: str) -> "asyncpg.Connection[asyncpg.Record]":
    """One connection to the primary, outside any pool. Raises SetupError with the reason."""
    address = read(dsn)
    try:
        # A string is what asyncpg documents; only its stubs want the enumeration, which is private.
        primary: Any = "primary"
        connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(
            dsn, timeout=20, target_session_attrs=primary
        )
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError, ValueError, ssl.SSLError) as error:
        reason = str(error) or type(error).__name__
        raise SetupError(f"No connection to {address.public}: {reason}") from error
    version = connection.get_server_version().major
    if version < OLDEST:
        await connection.close()
        raise SetupError(f"{address.public} is PostgreSQL {version}; version {OLDEST} or newer is needed.")
    return connection
