"""SQL of the access room: clients, tokens, accounts, and the audit."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import asyncpg
import msgspec

from service.access.model import Account, AuditLine, Client, Kept, Link, Look, Named
from service.db import Session
from service.values import Id

CLIENT = "id, client_id, organization_id, role, name, scope, jwks, jwks_url, created_at, revoked_at"


def _client(row: "asyncpg.Record") -> Client:
    return Client(
        id=row["id"],
        client_id=row["client_id"],
        organization=row["organization_id"],
        role=row["role"],
        name=row["name"],
        scope=row["scope"],
        jwks=None if row["jwks"] is None else msgspec.json.decode(row["jwks"], type=dict[str, Any]),
        jwks_url=row["jwks_url"],
        created_at=row["created_at"],
        revoked_at=row["revoked_at"],
    )


ADD_CLIENT = """
INSERT INTO client (id, client_id, organization_id, role, name, scope, jwks, jwks_url, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
"""


async def add_client(session: Session, client: Client) -> None:
    """Insert a new program."""
    jwks = None if client.jwks is None else msgspec.json.encode(client.jwks).decode()
    await session.execute(
        ADD_CLIENT,
        client.id,
        client.client_id,
        client.organization,
        client.role,
        client.name,
        client.scope,
        jwks,
        client.jwks_url,
        client.created_at,
    )


FIND_CLIENT = f"SELECT {CLIENT} FROM client WHERE client_id = $1"


async def find_client(session: Session, client_id: str) -> Client | None:
    """The program of that name, revoked or not."""
    row = await session.fetchrow(FIND_CLIENT, client_id)
    return None if row is None else _client(row)


LIST_CLIENTS = f"SELECT {CLIENT} FROM client WHERE id > $1 ORDER BY id LIMIT $2"


async def list_clients(session: Session, after: Id, limit: int) -> list[Client]:
    """Programs in the order they were added, behind `after`."""
    return [_client(row) for row in await session.fetch(LIST_CLIENTS, after, limit)]


# The one statement that rotates: the keys themselves or their address, and never both.
CHANGE_KEYS = """
UPDATE client SET jwks = $2, jwks_url = $3, keys_changed_at = now() WHERE client_id = $1 AND revoked_at IS NULL
"""


async def change_keys(session: Session, client_id: str, jwks: dict[str, Any] | None, jwks_url: str | None) -> bool:
    """Whether a program of that name is in use; its keys are these from now on."""
    keys = None if jwks is None else msgspec.json.encode(jwks).decode()
    return await session.execute(CHANGE_KEYS, client_id, keys, jwks_url) == "UPDATE 1"


REVOKE_CLIENT = "UPDATE client SET revoked_at = $2 WHERE client_id = $1 AND revoked_at IS NULL"


async def revoke_client(session: Session, client_id: str, at: datetime) -> bool:
    """Whether a program of that name was in use and is no longer."""
    return await session.execute(REVOKE_CLIENT, client_id, at) == "UPDATE 1"


# The primary key decides who was first: of parallel tries one inserts, the others wait for it and then conflict.
SPEND_ASSERTION = """
INSERT INTO assertion_id (client_id, jti, expires_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING
"""


async def spend_assertion(session: Session, client: Id, jti: str, expires_at: datetime) -> bool:
    """Whether this assertion of the client was not used before."""
    return await session.execute(SPEND_ASSERTION, client, jti, expires_at) == "INSERT 0 1"


ADD_TOKEN = "INSERT INTO access_token (hash, client_id, scope, issued_at, expires_at) VALUES ($1, $2, $3, $4, $5)"


async def add_token(
    session: Session, digest: bytes, client: Id, scope: str, issued_at: datetime, expires_at: datetime | None
) -> None:
    """Insert a token by its hash."""
    await session.execute(ADD_TOKEN, digest, client, scope, issued_at, expires_at)


FIND_TOKEN = f"""
SELECT {", ".join("c." + column for column in CLIENT.split(", "))}, t.scope AS granted, t.expires_at AS token_expires_at
FROM access_token t JOIN client c ON c.id = t.client_id
WHERE t.hash = $1 AND c.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > $2)
"""


async def find_token(session: Session, digest: bytes, now: datetime) -> tuple[Client, str, datetime | None] | None:
    """The unrevoked client that holds a living token, the scope granted, and when the token ends."""
    row = await session.fetchrow(FIND_TOKEN, digest, now)
    return None if row is None else (_client(row), row["granted"], row["token_expires_at"])


FORGET_ASSERTIONS = "DELETE FROM assertion_id WHERE expires_at < $1"
FORGET_TOKENS = "DELETE FROM access_token WHERE expires_at < $1"


FORGET_ANSWERED = "DELETE FROM answered WHERE at < $1"


async def forget(session: Session, before: datetime, answered_before: datetime) -> None:
    """Drop assertions and tokens that ended before, and answers given before."""
    await session.execute(FORGET_ASSERTIONS, before)
    await session.execute(FORGET_TOKENS, before)
    await session.execute(FORGET_ANSWERED, answered_before)


ADD_ACCOUNT = """
INSERT INTO account (id, login, password_hash, role, organization_id, worker_id, name, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (login) DO NOTHING
"""


async def add_account(session: Session, account: Account, password_hash: str | None, at: datetime) -> bool:
    """Whether the login was free and the account is added."""
    tag = await session.execute(
        ADD_ACCOUNT,
        account.id,
        account.login,
        password_hash,
        account.role,
        account.organization,
        account.worker,
        account.name,
        at,
    )
    return tag == "INSERT 0 1"


FIND_ACCOUNT = """
SELECT id, login, role, organization_id, worker_id, name, active, password_hash FROM account WHERE login = $1
"""


async def find_account(session: Session, login: str) -> tuple[Account, str | None] | None:
    """The account of that login and its password hash, if it has a password."""
    row = await session.fetchrow(FIND_ACCOUNT, login)
    return (
        None
        if row is None
        else (
            Account(
                id=row["id"],
                login=row["login"],
                role=row["role"],
                organization=row["organization_id"],
                worker=row["worker_id"],
                name=row["name"],
                active=row["active"],
            ),
            row["password_hash"],
        )
    )


REHASH = "UPDATE account SET password_hash = $2 WHERE id = $1"


async def rehash(session: Session, account: Id, password_hash: str) -> None:
    """Replace the hash of an unchanged password by one with today's parameters."""
    await session.execute(REHASH, account, password_hash)


LINE = ", ".join(AuditLine.__struct_fields__)
WRITE = f"INSERT INTO audit ({LINE}) VALUES ({', '.join(f'${n}' for n, _ in enumerate(LINE.split(', '), 1))})"


async def write(session: Session, line: AuditLine) -> None:
    """Write one audit line in the caller's transaction, without a place in the chain."""
    await session.execute(WRITE, *msgspec.structs.astuple(line))


# In one statement with the line: a named write costs one round trip more than another one, not two. Of a refusal the
# transaction is a second one, in which another of the same name may have come first: that one's answer stands.
WRITE_ANSWERED = f"""
WITH kept AS (
    INSERT INTO answered (actor_id, name, content, organization_id, at, status, headers, body)
    VALUES (${len(LINE.split(", ")) + 1}, ${len(LINE.split(", ")) + 2}, ${len(LINE.split(", ")) + 3},
            ${len(LINE.split(", ")) + 4}, ${len(LINE.split(", ")) + 5}, ${len(LINE.split(", ")) + 6},
            ${len(LINE.split(", ")) + 7}, ${len(LINE.split(", ")) + 8})
)
{WRITE}
"""


async def write_answered(session: Session, line: AuditLine, named: Named, answer: Kept) -> None:
    """Write a line and the answer that goes with it. Raises UniqueViolationError where one of that name is kept."""
    await session.execute(
        WRITE_ANSWERED,
        *msgspec.structs.astuple(line),
        line.actor_id,
        named.name,
        named.content,
        line.organization_id,
        line.at,
        answer.status,
        msgspec.json.encode(answer.headers).decode(),
        answer.body,
    )


# The lock ends with the transaction. Whoever gets it after another's commit, but looked before it, finds no row here,
# does everything anew, and fails at the unique key: nothing is done twice.
ANSWERED = """
SELECT held.mine, a.content, a.status, a.headers, a.body, a.at
FROM (SELECT pg_try_advisory_xact_lock($3) AS mine) held
LEFT JOIN answered a ON a.actor_id = $1 AND a.name = $2
"""


WAIT_FOR = "SELECT pg_advisory_xact_lock($1)"


async def wait_for(session: Session, actor: Id, named: Named) -> None:
    """Wait until nobody else is at work under that name; a statement of its own, so that the next one sees what they did."""
    await session.execute(WAIT_FOR, _lock(actor, named))


def _lock(actor: Id, named: Named) -> int:
    return int.from_bytes(hashlib.sha256(actor.bytes + named.name).digest()[:8], signed=True)


async def answered(session: Session, actor: Id, named: Named) -> tuple[bool, bytes | None, Kept | None]:
    """Whether nobody else is at work under that name, and what was asked and answered under it."""
    row = await session.fetchrow(ANSWERED, actor, named.name, _lock(actor, named))
    assert row is not None
    if row["content"] is None:
        return row["mine"], None, None
    headers = msgspec.json.decode(row["headers"], type=dict[str, str])
    return row["mine"], row["content"], Kept(row["status"], headers, row["body"], row["at"])


def _line(row: "asyncpg.Record") -> AuditLine:
    return msgspec.convert(dict(row), AuditLine)


def link_of(row: "asyncpg.Record") -> Link:
    return Link(_line(row), row["position"], row["chained_at"], row["previous_hash"], row["hash"])


# No writer takes this lock; it makes sure that one chaining job works at a time. Statements after it see all that the
# job before it committed, because READ COMMITTED takes a new snapshot for each.
CHAINING = 0x7975616E0003
LOCK_CHAIN = "SELECT pg_advisory_xact_lock($1)"


async def lock_chain(session: Session) -> None:
    """Wait until no other job chains."""
    await session.execute(LOCK_CHAIN, CHAINING)


HEAD = "SELECT position, hash, chained_at FROM audit WHERE position IS NOT NULL ORDER BY position DESC LIMIT 1"


async def head(session: Session) -> tuple[int, bytes, datetime] | None:
    """The last link's position and hash, and when it was chained."""
    row = await session.fetchrow(HEAD)
    return None if row is None else (row["position"], row["hash"], row["chained_at"])


UNCHAINED = f"SELECT {LINE} FROM audit WHERE position IS NULL ORDER BY id LIMIT $1"


async def unchained(session: Session, limit: int) -> list[AuditLine]:
    """Committed lines without a place yet, oldest id first."""
    return [_line(row) for row in await session.fetch(UNCHAINED, limit)]


CHAIN = """
WITH link AS (
    SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bytea[], $4::bytea[]) AS l (id, position, previous_hash, hash)
), chained AS (
    UPDATE audit a SET position = l.position, chained_at = $5, previous_hash = l.previous_hash, hash = l.hash
    FROM link l WHERE a.id = l.id AND a.position IS NULL
    RETURNING a.patients, a.referrals, a.position
), seen AS (
    INSERT INTO audit_patient (patient_id, position) SELECT DISTINCT unnest(patients), position FROM chained
), referred AS (
    INSERT INTO audit_referral (referral_id, position) SELECT DISTINCT unnest(referrals), position FROM chained
)
SELECT count(*) FROM chained
"""


async def chain(session: Session, links: Sequence[Link], at: datetime) -> int:
    """Give the lines their places; note whom and which referral each touched. Returns how many took theirs."""
    return await session.fetchval(
        CHAIN,
        [link.line.id for link in links],
        [link.position for link in links],
        [link.previous_hash for link in links],
        [link.hash for link in links],
        at,
    )


WALK = f"""
SELECT {LINE}, position, chained_at, previous_hash, hash FROM audit WHERE position > $1 ORDER BY position LIMIT $2
"""


async def walk(session: Session, after: int, limit: int) -> list[Link]:
    """Links in the order of the chain, behind position `after`."""
    return [link_of(row) for row in await session.fetch(WALK, after, limit)]


BEFORE = f"""
SELECT {LINE}, position, chained_at, previous_hash, hash FROM audit WHERE position < $1 ORDER BY position DESC LIMIT $2
"""


async def before(session: Session, position: int, limit: int) -> list[Link]:
    """Links before a position, latest first."""
    return [link_of(row) for row in await session.fetch(BEFORE, position, limit)]


BEFORE_OF = f"""
SELECT {", ".join("a." + column for column in LINE.split(", "))}, a.position, a.chained_at, a.previous_hash, a.hash
FROM audit_patient p JOIN audit a ON a.position = p.position
WHERE p.patient_id = $3 AND p.position < $1 ORDER BY p.position DESC LIMIT $2
"""


async def before_of(session: Session, position: int, limit: int, patient: Id) -> list[Link]:
    """Links before a position that touched a person, latest first."""
    return [link_of(row) for row in await session.fetch(BEFORE_OF, position, limit, patient)]


FIND_LINE = f"SELECT {LINE} FROM audit WHERE id = $1"


async def find_line(session: Session, id: Id) -> AuditLine | None:
    """One audit line, chained or not."""
    row = await session.fetchrow(FIND_LINE, id)
    return None if row is None else _line(row)


COUNT_UNCHAINED = "SELECT count(*) FROM audit WHERE position IS NULL"


async def count_unchained(session: Session) -> int:
    """How many committed lines wait for their place."""
    return await session.fetchval(COUNT_UNCHAINED)


LOOKS = """
SELECT a.position, a.at, a.organization_id, a.actor_role, a.action, a.interaction, a.resource_type, a.referrals
FROM audit_patient p JOIN audit a ON a.position = p.position
WHERE p.patient_id = $1 AND ($3::bigint IS NULL OR p.position < $3) AND a.outcome = 'success' AND a.actor_kind <> 'system'
ORDER BY p.position DESC LIMIT $2
"""


async def looks(session: Session, patient: Id, limit: int, before: int | None) -> list[Look]:
    """What somebody did with this person's data, latest first."""
    return [
        Look(
            row["position"], row["at"], row["organization_id"], row["actor_role"], row["action"], row["interaction"],
            row["resource_type"], tuple(row["referrals"]),
        )
        for row in await session.fetch(LOOKS, patient, limit, before)
    ]  # fmt: skip


VOLUNTEERS = """
SELECT EXISTS (SELECT 1 FROM client WHERE id = $1 AND organization_id = $2 AND role = 'volunteer' AND revoked_at IS NULL
               UNION ALL SELECT 1 FROM account WHERE id = $1 AND organization_id = $2 AND role = 'volunteer' AND active)
"""


async def volunteers_for(session: Session, id: Id, organization: Id) -> bool:
    """Whether this is a volunteer of the organisation: an account, or a program of theirs."""
    return bool(await session.fetchval(VOLUNTEERS, id, organization))
