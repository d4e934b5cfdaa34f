"""SQL of people's sessions, and of logins at which somebody failed."""

from datetime import datetime, timedelta

import msgspec
from asyncpg import Record as Row

from service.access.model import Account
from service.db import Session
from service.values import Id

LOCKED = "SELECT locked_until FROM sign_in_failure WHERE login_digest = $1"


async def locked_until(session: Session, login: bytes) -> datetime | None:
    """Until when nobody signs in under this login; empty or past: anybody may try."""
    return await session.fetchval(LOCKED, login)


# What failed longer ago than a lock lasts does not count any more.
FAILED = """
INSERT INTO sign_in_failure AS f (login_digest, failures, last_at) VALUES ($1, 1, $2)
ON CONFLICT (login_digest) DO UPDATE SET last_at = $2,
    failures = CASE WHEN f.last_at < $2::timestamptz - $4::interval THEN 1 ELSE f.failures + 1 END,
    locked_until = CASE WHEN f.last_at >= $2::timestamptz - $4::interval AND f.failures + 1 >= $3 THEN $2::timestamptz + $4::interval END
RETURNING locked_until
"""


async def failed(session: Session, login: bytes, now: datetime, most: int, lasting: timedelta) -> datetime | None:
    """Count a failure; the `most`th in a row locks the login for as long as `lasting`. Until when it is locked now."""
    return await session.fetchval(FAILED, login, now, most, lasting)


SUCCEEDED = "DELETE FROM sign_in_failure WHERE login_digest = $1"


async def succeeded(session: Session, login: bytes) -> None:
    """Whoever knows the password has not failed."""
    await session.execute(SUCCEEDED, login)


TOTP = "SELECT totp_secret FROM account WHERE id = $1"


async def totp_secret(session: Session, account: Id) -> str | None:
    return await session.fetchval(TOTP, account)


SET_TOTP = "UPDATE account SET totp_secret = $2, totp_used = NULL WHERE id = $1"


async def set_totp(session: Session, account: Id, secret: str | None) -> None:
    """Ask this account for a code of this generator besides the password, or for none."""
    await session.execute(SET_TOTP, account, secret)


SPEND_TOTP = "UPDATE account SET totp_used = $2 WHERE id = $1 AND (totp_used IS NULL OR totp_used < $2) RETURNING true"


async def spend_totp(session: Session, account: Id, step: int) -> bool:
    """Whether the code of this step was not taken before; from now on it is."""
    return bool(await session.fetchval(SPEND_TOTP, account, step))


PUT_AWAY = "UPDATE account SET active = false WHERE id = $1"


async def put_away(session: Session, account: Id) -> None:
    await session.execute(PUT_AWAY, account)


LIST = """
SELECT id, login, role, organization_id, worker_id, name, active, totp_secret IS NOT NULL AS code FROM account ORDER BY login
"""


async def list_accounts(session: Session) -> list[tuple[Account, bool]]:
    """Every account that the scope may see, and whether it asks for a code."""
    return [(_account(row), row["code"]) for row in await session.fetch(LIST)]


class Seen(msgspec.Struct, frozen=True):
    """A session as found: whose it is, since when it is idle, when it ends."""

    id: Id
    account: Account
    language: str
    seen_at: datetime
    ends_at: datetime


BEGIN = """
INSERT INTO web_session (id, digest, account_id, created_at, seen_at, ends_at, language, browser, issuer)
VALUES ($1, $2, $3, $4, $4, $5, $6, $7, $8)
"""


async def begin(
    session: Session, id: Id, digest: bytes, account: Id, now: datetime, ends_at: datetime, language: str,
    browser: str | None, issuer: str | None,
) -> None:  # fmt: skip
    await session.execute(BEGIN, id, digest, account, now, ends_at, language, browser, issuer)


FIND = """
SELECT w.id AS session_id, w.language, w.seen_at, w.ends_at, a.id, a.login, a.role, a.organization_id, a.worker_id, a.name, a.active
FROM web_session w JOIN account a ON a.id = w.account_id WHERE w.digest = $1
"""


async def find(session: Session, digest: bytes) -> Seen | None:
    row = await session.fetchrow(FIND, digest)
    return _seen(row) if row else None


def _seen(row: Row) -> Seen:
    return Seen(row["session_id"], _account(row), row["language"], row["seen_at"], row["ends_at"])


def _account(row: Row) -> Account:
    return Account(
        id=row["id"], login=row["login"], role=row["role"], organization=row["organization_id"], worker=row["worker_id"],
        name=row["name"], active=row["active"],
    )  # fmt: skip


TOUCH = "UPDATE web_session SET seen_at = $2 WHERE id = $1 AND seen_at < $2"


async def touch(session: Session, id: Id, now: datetime) -> None:
    """It is in use."""
    await session.execute(TOUCH, id, now)


SPEAK = "UPDATE web_session SET language = $2 WHERE digest = $1"


async def speak(session: Session, digest: bytes, language: str) -> None:
    """The language of the pages, from now on."""
    await session.execute(SPEAK, digest, language)


END = "DELETE FROM web_session WHERE digest = $1 RETURNING issuer"


async def end(session: Session, digest: bytes) -> str | None:
    """The provider that vouched for the person, if one did."""
    return await session.fetchval(END, digest)


END_ALL = "DELETE FROM web_session WHERE account_id = $1"


async def end_all(session: Session, account: Id) -> int:
    """End every session of this account; how many there were."""
    return int((await session.execute(END_ALL, account)).rpartition(" ")[2])


FORGET_SESSIONS = "DELETE FROM web_session WHERE ends_at < $1"
FORGET_ATTEMPTS = "DELETE FROM sign_in_attempt WHERE made_at < $1"
FORGET_FAILURES = "DELETE FROM sign_in_failure WHERE last_at < $1 AND (locked_until IS NULL OR locked_until < $1)"


async def forget(session: Session, before: datetime) -> None:
    """Drop what ended, and failures that do not count any more."""
    await session.execute(FORGET_SESSIONS, before)
    await session.execute(FORGET_ATTEMPTS, before)
    await session.execute(FORGET_FAILURES, before)
