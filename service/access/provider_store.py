"""SQL of people whom a provider of sign-in vouches for, and of those who are on their way there."""

from datetime import datetime

import msgspec

from service.access.model import Account
from service.db import Session
from service.values import Id


class Attempt(msgspec.Struct, frozen=True):
    """What was remembered of somebody led to the provider: the nonce and verifier of this one way, where to go on, the language."""

    nonce: str
    verifier: str
    next: str
    language: str


REMEMBER = """
INSERT INTO sign_in_attempt (state_digest, browser_digest, nonce, verifier, next, language, made_at) VALUES ($1, $2, $3, $4, $5, $6, $7)
"""


async def remember(session: Session, state: bytes, browser: bytes, attempt: Attempt, now: datetime) -> None:
    await session.execute(
        REMEMBER, state, browser, attempt.nonce, attempt.verifier, attempt.next, attempt.language, now
    )


TAKE = """
DELETE FROM sign_in_attempt WHERE state_digest = $1 AND browser_digest = $2 AND made_at >= $3 RETURNING nonce, verifier, next, language
"""


async def take(session: Session, state: bytes, browser: bytes, since: datetime) -> Attempt | None:
    """The attempt that comes back with this state, to this browser, in time; it is gone then."""
    row = await session.fetchrow(TAKE, state, browser, since)
    return Attempt(row["nonce"], row["verifier"], row["next"], row["language"]) if row else None


LINKED = """
SELECT a.id, a.login, a.role, a.organization_id, a.worker_id, a.name, a.active
FROM account_link l JOIN account a ON a.id = l.account_id WHERE l.issuer = $1 AND l.subject = $2
"""


async def linked(session: Session, issuer: str, subject: str) -> Account | None:
    """The account that is linked to whom the provider calls so."""
    row = await session.fetchrow(LINKED, issuer, subject)
    if row is None:
        return None
    return Account(
        id=row["id"], login=row["login"], role=row["role"], organization=row["organization_id"], worker=row["worker_id"],
        name=row["name"], active=row["active"],
    )  # fmt: skip


LINK = """
INSERT INTO account_link (issuer, subject, account_id, linked_at, how) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING RETURNING true
"""


async def link(session: Session, issuer: str, subject: str, account: Id, now: datetime, how: str) -> bool:
    """Whether it is linked now: a person of the provider has one account here, an account one person of each provider."""
    return bool(await session.fetchval(LINK, issuer, subject, account, now, how))


UNLINK = "DELETE FROM account_link WHERE account_id = $1 RETURNING issuer"


async def unlink(session: Session, account: Id) -> list[str]:
    """Unlink the account from every provider; their issuers."""
    return [row["issuer"] for row in await session.fetch(UNLINK, account)]
