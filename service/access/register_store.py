"""SQL of accounts and programs as an administrator looks after them: who is signed in, who came when, how old keys are."""

from datetime import datetime
from typing import Any

import msgspec

from service.access.model import Account, Client
from service.access.store import CLIENT
from service.db import Session
from service.values import Id


class Seat(msgspec.Struct, frozen=True):
    """An account: whether it asks for a code, how many sessions are open, and when one of them was last used."""

    account: Account
    code: bool
    created_at: datetime
    sessions: int
    seen_at: datetime | None


_SEATS = """
SELECT a.id, a.login, a.role, a.organization_id, a.worker_id, a.name, a.active, a.totp_secret IS NOT NULL AS code, a.created_at,
       s.sessions, s.seen_at
FROM account a CROSS JOIN LATERAL (
    SELECT count(*) AS sessions, max(w.seen_at) AS seen_at FROM web_session w WHERE w.account_id = a.id AND w.ends_at > now()) AS s
"""
SEATS = f"""{_SEATS}
WHERE ($1::text IS NULL OR strpos(lower(a.login || ' ' || a.name), lower($1)) > 0) AND ($2::uuid IS NULL OR a.organization_id = $2)
  AND ($3::text IS NULL OR a.role = $3) AND a.login > $4 ORDER BY a.login LIMIT $5
"""
SEAT = f"{_SEATS} WHERE a.id = $1"


async def seats(session: Session, text: str | None, organization: Id | None, role: str | None, after: str, limit: int) -> list[Seat]:  # fmt: skip
    """Accounts in the order of their logins, behind `after`."""
    return [_seat(row) for row in await session.fetch(SEATS, text, organization, role, after, limit)]


async def seat(session: Session, id: Id) -> Seat | None:
    row = await session.fetchrow(SEAT, id)
    return _seat(row) if row else None


def _seat(row: Any) -> Seat:
    account = Account(row["id"], row["login"], row["role"], row["organization_id"], row["worker_id"], row["name"], row["active"])  # fmt: skip
    return Seat(account, row["code"], row["created_at"], row["sessions"], row["seen_at"])


class Program(msgspec.Struct, frozen=True):
    """A program, since when it has its keys, and when it last asked for anything (as far as the audit is chained)."""

    client: Client
    keys_since: datetime
    used_at: datetime | None


_PROGRAMS = f"""
SELECT {", ".join("c." + column for column in CLIENT.split(", "))}, coalesce(c.keys_changed_at, c.created_at) AS keys_since, u.used_at
FROM client c LEFT JOIN LATERAL (
    SELECT a.at AS used_at FROM audit a WHERE a.actor_id = c.id AND a.position IS NOT NULL ORDER BY a.id DESC LIMIT 1) AS u ON true
"""
PROGRAMS = f"""{_PROGRAMS}
WHERE ($1::text IS NULL OR strpos(lower(c.name || ' ' || c.client_id), lower($1)) > 0) AND ($2::uuid IS NULL OR c.organization_id = $2)
  AND ($3::timestamptz IS NULL OR (c.revoked_at IS NULL AND c.jwks IS NOT NULL AND coalesce(c.keys_changed_at, c.created_at) < $3))
  AND ($4::uuid IS NULL OR c.id < $4) ORDER BY c.id DESC LIMIT $5
"""
PROGRAM = f"{_PROGRAMS} WHERE c.id = $1"
COUNT_OLD_KEYS = """
SELECT count(*) FROM client WHERE revoked_at IS NULL AND jwks IS NOT NULL AND coalesce(keys_changed_at, created_at) < $1
"""


async def programs(
    session: Session, text: str | None, organization: Id | None, keys_before: datetime | None, before: Id | None, limit: int
) -> list[Program]:  # fmt: skip
    """Programs, the newest first. `keys_before`: only those in use whose keys are older (a program that publishes its keys at an
    address changes them there)."""
    rows = await session.fetch(PROGRAMS, text, organization, keys_before, before, limit)
    return [_program(row) for row in rows]


async def program(session: Session, id: Id) -> Program | None:
    row = await session.fetchrow(PROGRAM, id)
    return _program(row) if row else None


async def old_keys(session: Session, before: datetime) -> int:
    """How many programs in use have keys older than this."""
    return await session.fetchval(COUNT_OLD_KEYS, before)


def _program(row: Any) -> Program:
    client = Client(
        id=row["id"], client_id=row["client_id"], organization=row["organization_id"], role=row["role"], name=row["name"], scope=row["scope"],
        jwks=None if row["jwks"] is None else msgspec.json.decode(row["jwks"], type=dict[str, Any]), jwks_url=row["jwks_url"],
        created_at=row["created_at"], revoked_at=row["revoked_at"],
    )  # fmt: skip
    return Program(client, row["keys_since"], row["used_at"])
