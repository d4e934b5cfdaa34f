"""SQL of what a person sees and changes of their own account."""

from datetime import datetime

import msgspec

from service.db import Session
from service.values import Id

OWN = """
SELECT login, password_hash, totp_secret IS NOT NULL AS code FROM account WHERE id = $1
"""


class Own(msgspec.Struct, frozen=True):
    """An account as its person sees it: whether it has a password, and whether it asks for a code besides."""

    login: str
    password_hash: str | None
    code: bool


async def own(session: Session, account: Id) -> Own | None:
    row = await session.fetchrow(OWN, account)
    return Own(row["login"], row["password_hash"], row["code"]) if row else None


class Seat(msgspec.Struct, frozen=True):
    """A session of one's own: where, since when, last used when, and whether it is this one."""

    browser: str | None
    created_at: datetime
    seen_at: datetime
    here: bool


SESSIONS = """
SELECT browser, created_at, seen_at, digest = $2 AS here FROM web_session
WHERE account_id = $1 AND ends_at > $3 AND seen_at > $4 ORDER BY digest <> $2, seen_at DESC, id LIMIT 50
"""


async def sessions(session: Session, account: Id, digest: bytes, now: datetime, idle_since: datetime) -> list[Seat]:
    """The sessions that have not ended, this one first, then the latest used."""
    rows = await session.fetch(SESSIONS, account, digest, now, idle_since)
    return [Seat(row["browser"], row["created_at"], row["seen_at"], row["here"]) for row in rows]


END_OTHERS = "DELETE FROM web_session WHERE account_id = $1 AND digest <> $2"


async def end_others(session: Session, account: Id, digest: bytes) -> int:
    """End every session of the account but this one; how many there were."""
    return int((await session.execute(END_OTHERS, account, digest)).rpartition(" ")[2])


OFFERED = "SELECT offered_secret FROM web_session WHERE digest = $1 AND account_id = $2"
OFFER = "UPDATE web_session SET offered_secret = $3 WHERE digest = $1 AND account_id = $2"


async def offered(session: Session, digest: bytes, account: Id) -> str | None:
    """The secret that this session was shown and has not confirmed."""
    return await session.fetchval(OFFERED, digest, account)


async def offer(session: Session, digest: bytes, account: Id, secret: str | None) -> None:
    await session.execute(OFFER, digest, account, secret)
