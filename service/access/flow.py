"""Verbs of the access room: let programs and people in, open a request with its audit line, chain the audit."""

import asyncio
import contextlib
import hashlib
import logging
import re
import secrets
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Literal
from weakref import WeakKeyDictionary

import argon2
import asyncpg
import msgspec

from service.access import assertion, scopes, session_store, store
from service.access import chain as links
from service.access.model import (
    CLIENT_ROLES,
    NOBODY,
    PERSON_ROLES,
    Account,
    Actor,
    AuditLine,
    Break,
    Call,
    ChainReport,
    Client,
    Issued,
    Kept,
    Link,
    Named,
    NewAccount,
    NewClient,
)
from service.db import Database, Scope, Session, as_platform
from service.errors import Conflict, Forbidden, Invalid, NotFound, Refusal, TooEarly, Unauthenticated
from service.values import Id, new_id

log = logging.getLogger(__name__)

TOKEN_LIFE = timedelta(seconds=300)
"""SMART Backend Services: at most five minutes, and no refresh token."""


# ---- a request -------------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def open(database: Database, actor: Actor, call: Call, now: datetime | None = None) -> AsyncIterator[Session]:
    """One request's transaction in the actor's scope, with its audit line. `now` is the session's `began` unless given.

    The line commits with the request. Does the request fail, its transaction is rolled back, the attempt is logged in a
    transaction of its own, and the failure goes on to the caller.
    """
    session: Session | None = None
    try:
        async with database.transaction(actor.scope, writes=call.writes) as session:
            yield session
            line = _line(actor, call, now or session.began, session, "success", None)
            if call.named and call.answer:
                await store.write_answered(session, line, call.named, call.answer)
            else:
                await store.write(session, line)
    except Exception as failure:
        await log_failure(database, actor, call, now, failure, session)
        raise


async def answered(session: Session, actor: Actor, named: Named, *, waits: bool = False) -> Kept | None:
    """What was answered under this name, if anything was; from here on the name is this transaction's. `waits`: another
    request of the name that is at work is waited for.

    Raises TooEarly while another request of the name is at work, Invalid when something else was asked under it.
    Source: NHS England BaRS, transactional integrity; FHIR R4 http.html#custom (X-Request-Id).
    """
    if waits:
        await store.wait_for(session, actor.id, named)
    mine, content, kept = await store.answered(session, actor.id, named)
    if kept:
        if content != named.content:
            raise Invalid(
                "This X-Request-ID was used for another request (its method, address, conditions, scopes or body differ): "
                "a new request takes a new one.",
                code="duplicate",
                key="request-id-reused",
            )
        return kept
    if not mine:
        raise TooEarly("The request of this X-Request-ID is being carried out: ask again shortly.", key="in-flight")
    return None


async def log_sweep(session: Session, actor: Actor, call: Call, now: datetime) -> None:
    """Write the line of a transaction that nobody asked for, once it is known to have touched something."""
    await store.write(session, _line(actor, call, now, session, "success", None))


async def log_failure(
    database: Database,
    actor: Actor,
    call: Call,
    now: datetime | None,
    failure: Exception,
    session: Session | None = None,
) -> None:
    """Log an attempt that was refused or broke, in its own transaction; `session` is the one that was rolled back."""
    try:
        async with database.transaction(actor.scope, writes=False) as own:
            at = now or own.began
            if isinstance(failure, Refusal):
                line = _line(actor, call, at, session, "refused", failure.key or failure.issues[0].code)
            else:
                line = _line(actor, call, at, session, "error", type(failure).__name__)
            # An answer that tells of success belongs to what was rolled back.
            if call.named and call.answer and call.answer.status >= 400:
                await store.write_answered(own, line, call.named, call.answer)
            else:
                await store.write(own, line)
    except asyncpg.UniqueViolationError:
        # Another request of that name was answered meanwhile: that answer stands, and the attempt is logged alone.
        call.answer = None
        await log_failure(database, actor, call, now, failure, session)
    except Exception as second:
        # The caller learns of the first failure. Nothing was done: what cannot be logged was rolled back.
        log.error("an attempt could not be logged: %s (request %s)", type(second).__name__, _request_id(call))


def _request_id(call: Call) -> str | None:
    """The caller's own name for the request, as far as it is one: whatever else stands there could be a person's."""
    return re.sub(r"[^A-Za-z0-9._-]", "", call.request_id[:64]) or None if call.request_id else None


def _line(
    actor: Actor,
    call: Call,
    now: datetime,
    session: Session | None,
    outcome: Literal["success", "refused", "error"],
    why: str | None,
) -> AuditLine:
    return AuditLine(
        id=new_id(),
        at=now,
        actor_id=actor.id,
        actor_kind=actor.kind,
        actor_role=actor.role,
        organization_id=actor.organization,
        action=call.action,
        interaction=call.interaction,
        resource_type=call.resource_type,
        resource_id=call.resource_id,
        outcome=outcome,
        why=why,
        request_id=_request_id(call),
        patients=tuple(sorted(session.patients)) if session else (),
        referrals=tuple(sorted(session.referrals)) if session else (),
        platform_reasons=tuple(session.platform_reasons) if session else (),
    )


# ---- programs --------------------------------------------------------------------------------------------------------


def _permit_administration(actor: Actor) -> None:
    if actor.kind != "system" and actor.role != "administrator":
        raise Forbidden("Only an administrator may do this.")


async def add_client(session: Session, actor: Actor, new: NewClient, now: datetime) -> Client:
    """Register a program. Raises Forbidden, Invalid (role, scope, keys)."""
    _permit_administration(actor)
    if new.role not in CLIENT_ROLES:
        raise Invalid(f"A program's role is one of {', '.join(CLIENT_ROLES)}.", at="role")
    unread = [scope for scope in new.scope.split() if scopes.read(scope) is None]
    if unread or not new.scope.strip():
        raise Invalid("A program's scopes are system scopes such as system/*.cruds or system/Task.rs.", at="scope")
    if (new.jwks is None) == (new.jwks_url is None):
        raise Invalid("A program has either public keys or the address of its keys.", at="jwks")
    if new.jwks is not None:
        assertion.check_keys(new.jwks)
    client = Client(
        id=new_id(),
        # A letter first: one that began with a dash would be an option on a command line.
        client_id="c" + secrets.token_urlsafe(16),
        organization=new.organization,
        role=new.role,
        name=new.name,
        scope=" ".join(new.scope.split()),
        jwks=new.jwks,
        jwks_url=new.jwks_url,
        created_at=now,
    )
    await store.add_client(session, client)
    return client


async def change_keys(
    session: Session,
    actor: Actor,
    client_id: str,
    jwks: dict[str, Any] | None,
    jwks_url: str | None,
    *,
    add: bool = False,
) -> tuple[str, ...]:
    """Give a program other keys, or with `add` more of them; the kids it has from now on (none for an address).

    To rotate without a gap: add the new key, sign with it, then set it alone. Tokens that were issued stay. Raises
    Forbidden, Invalid (keys), NotFound, Conflict (a kid to be added is there already, as another key).
    """
    _permit_administration(actor)
    client = await store.find_client(session, client_id)
    if client is None or client.revoked_at is not None:
        raise NotFound("No program of this client_id is in use.")
    if (jwks is None) == (jwks_url is None):
        raise Invalid("A program has either public keys or the address of its keys.", at="jwks")
    if jwks is not None:
        assertion.check_keys(jwks)
    if add:
        if jwks is None or client.jwks is None:
            raise Invalid(
                "Keys are added to keys; a program that publishes them at an address adds them there.", at="jwks"
            )
        held = {key["kid"]: key for key in client.jwks["keys"]}
        if any(held.get(key["kid"], key) != key for key in jwks["keys"]):
            raise Conflict(
                "A kid is there already, as another key: give the new key a kid of its own.", key="taken", at="jwks"
            )
        jwks = {"keys": [*held.values(), *(key for key in jwks["keys"] if key["kid"] not in held)]}
    await store.change_keys(session, client_id, jwks, jwks_url)
    return tuple(key["kid"] for key in jwks["keys"]) if jwks else ()


async def revoke_client(session: Session, actor: Actor, client_id: str, now: datetime) -> None:
    """End a program's access: what tokens it has are refused within KNOWN_FOR. Raises Forbidden, NotFound."""
    _permit_administration(actor)
    if not await store.revoke_client(session, client_id, now):
        raise NotFound("No program of this client_id is in use.")


async def list_clients(session: Session, actor: Actor, *, after: Id = NOBODY, limit: int = 200) -> list[Client]:
    """Programs in the order they were added, revoked ones too: `limit` behind the id `after`. Raises Forbidden."""
    _permit_administration(actor)
    return await store.list_clients(session, after, limit)


async def exchange(
    database: Database,
    form: Mapping[str, str],
    *,
    token_urls: Collection[str],
    keys_at: Callable[[str, bool], Awaitable[Mapping[str, Any]]],
    request_id: str | None,
    now: datetime,
) -> Issued:
    """Exchange a program's signed assertion for a token of TOKEN_LIFE (SMART Backend Services).

    `form` is the token request; `token_urls` are the names under which this server's token endpoint is known;
    `keys_at` fetches a JWK Set, or raises a Refusal when it cannot; it is asked anew (True) where a client published no
    key of the assertion's kid, for it may have rotated. Each refusal's `key` is an OAuth error word.
    Attempts that name a client are audited; those that name none have nobody to be logged for.
    """
    said = assertion.claim(form)
    async with database.transaction(Scope(None, "client"), writes=False) as session:
        client = await store.find_client(session, said.issuer)
    if client is None:
        raise assertion.refuse("No such client.")
    actor, call = client.actor(()), Call("E", "token", request_id=request_id)
    try:
        keys = client.jwks if client.jwks_url is None else await keys_at(client.jwks_url, False)
        if client.jwks_url is not None and not assertion.named_keys(said, keys or {}):
            keys = await keys_at(client.jwks_url, True)
    except Refusal as refusal:
        await log_failure(database, actor, call, now, refusal)
        raise
    async with open(database, actor, call, now) as session:
        if client.revoked_at is not None:
            raise assertion.refuse("The client's access was revoked.")
        proof = assertion.prove(said, keys or {}, token_urls, now)
        granted = scopes.narrow(said.scope, client.scope.split())
        if not granted:
            raise Invalid("Nothing of the scope asked for is open to this client.", key="invalid_scope", at="scope")
        if not await store.spend_assertion(session, client.id, proof.jti, proof.expires_at):
            raise assertion.refuse("The assertion was used before (jti).")
        return await _issue(session, client, granted, now, TOKEN_LIFE)


async def issue_lasting(session: Session, actor: Actor, client: Client, now: datetime) -> Issued:
    """A token with all of a program's scopes that lives as long as the database: the demo's. Raises Forbidden."""
    _permit_administration(actor)
    return await _issue(session, client, tuple(client.scope.split()), now, None)


async def _issue(
    session: Session, client: Client, granted: tuple[str, ...], now: datetime, life: timedelta | None
) -> Issued:
    issued = Issued(secrets.token_urlsafe(32), " ".join(granted), int(life.total_seconds()) if life else None)
    await store.add_token(session, _digest(issued.token), client.id, issued.scope, now, now + life if life else None)
    return issued


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


class Known(msgspec.Struct, frozen=True):
    """A token looked up before, and between which times the answer is believed."""

    actor: Actor
    since: datetime
    until: datetime


KNOWN_FOR = timedelta(seconds=20)
"""How long a token is believed without asking again: well under the minute within which a revoked client is refused."""
KNOWN_MOST = 4096

_known: WeakKeyDictionary[Database, OrderedDict[bytes, Known]] = WeakKeyDictionary()


async def authenticate(database: Database, token: str, now: datetime) -> Actor:
    """The client program that holds this token. Raises Unauthenticated (answer 401 with WWW-Authenticate: Bearer)."""
    digest = _digest(token)
    known = _known.setdefault(database, OrderedDict())
    if (one := known.get(digest)) and one.since <= now < one.until:
        return one.actor
    known.pop(digest, None)
    async with database.transaction(Scope(None, "client"), writes=False) as session:
        found = await store.find_token(session, digest, now)
    if found is None:
        raise Unauthenticated("The token is unknown, has ended, or was revoked.", key="invalid_token")
    client, granted, ends = found
    actor = client.actor(tuple(granted.split()))
    known[digest] = Known(actor, now, min(now + KNOWN_FOR, ends or now + KNOWN_FOR))
    while len(known) > KNOWN_MOST:
        known.popitem(last=False)
    return actor


async def forget(session: Session, now: datetime) -> None:
    """Drop spent assertions, tokens and sessions that ended more than an hour ago, and answers that were kept long enough: a sweep."""
    kept = timedelta(minutes=session.practice.answers_kept.minutes)
    await session_store.forget(session, now - timedelta(hours=1))
    await store.forget(session, now - timedelta(hours=1), now - kept)


# ---- people ----------------------------------------------------------------------------------------------------------

SHORTEST_PASSWORD = 10
LONGEST_PASSWORD = 1024

_hasher = argon2.PasswordHasher()


@lru_cache(maxsize=1)
def _hash_of_nothing() -> str:
    # Verified against where there is no account, so that the time taken does not tell who has one.
    return _hasher.hash(secrets.token_urlsafe(32))


async def add_account(session: Session, actor: Actor, new: NewAccount, password: str | None, now: datetime) -> Account:
    """Give a person of staff an account; without a password they sign in through their organisation's provider. Raises Forbidden, Invalid (role, password), Conflict (login taken)."""
    _permit_administration(actor)
    if new.role not in PERSON_ROLES:
        raise Invalid(f"A person's role is one of {', '.join(PERSON_ROLES)}.", at="role")
    login = login_of(new.login)
    if not login:
        raise Invalid("A login is not empty.", at="login")
    account = Account(new_id(), login, new.role, new.organization, new.worker, new.name, active=True)
    password_hash = None if password is None else await hashed(password)
    async with as_platform(session, "add an account"):
        added = await store.add_account(session, account, password_hash, now)
    if not added:
        raise Conflict("This login is taken.", key="taken", at="login")
    return account


async def hashed(password: str) -> str:
    """What is kept of a password. Raises Invalid for one too short or too long."""
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise Invalid(
            f"A password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters.",
            at="password",
            key="password-length",
        )
    return await asyncio.to_thread(_hasher.hash, password)


async def fits(password_hash: str | None, password: str) -> tuple[bool, str | None]:
    """Whether this is the password (None: of nobody, in the same time), and its hash with today's parameters where those of
    the stored one are not. No transaction is open meanwhile: it takes a core for a moment."""
    if len(password) > LONGEST_PASSWORD or not await asyncio.to_thread(
        _fits, password_hash or _hash_of_nothing(), password
    ):
        return False, None
    if password_hash is None or not _hasher.check_needs_rehash(password_hash):
        return password_hash is not None, None
    return True, await asyncio.to_thread(_hasher.hash, password)


def login_of(text: str) -> str:
    """A login in the form in which it is kept."""
    return text.replace("\x00", "").strip().lower()


def _fits(password_hash: str, password: str) -> bool:
    try:
        return _hasher.verify(password_hash, password)
    except argon2.exceptions.VerificationError:
        return False


# ---- the audit -------------------------------------------------------------------------------------------------------

AT_ONCE = 1000
"""Rows that one step of the chaining job takes, and one step of the walk reads."""


async def find_audit(session: Session, actor: Actor, id: Id) -> AuditLine:
    """One audit line. Raises Forbidden, NotFound."""
    permit_audit(actor)
    if (line := await store.find_line(session, id)) is None:
        raise NotFound("There is no such audit line.")
    return line


async def list_audit(
    session: Session, actor: Actor, *, patient: Id | None = None, before: int = 2**63 - 1, limit: int = 100
) -> list[Link]:
    """Chained audit lines, latest first, `limit` of them before a position; with `patient`, who touched that person.

    A line shows here as soon as the chaining job has passed it: positions are the only cursor. Raises Forbidden.
    """
    permit_audit(actor)
    if patient is None:
        return await store.before(session, before, limit)
    return await store.before_of(session, before, limit, patient)


def permit_audit(actor: Actor) -> None:
    """Raise Forbidden unless the actor may read the audit."""
    if actor.kind != "system" and actor.role not in ("auditor", "administrator"):
        raise Forbidden("Only an auditor may read the audit.")


async def chain(session: Session, now: datetime) -> int:
    """Give committed audit lines without a place the next ones, at most AT_ONCE; returns how many.

    The session is the platform's. Lines that are written meanwhile and commit later get later places, whatever their
    ids and times: the chain follows commits, and no writer waits for it.
    """
    await store.lock_chain(session)
    lines = await store.unchained(session, AT_ONCE)
    if not lines:
        return 0
    position, head, last = await store.head(session) or (0, links.GENESIS, now)
    # Later than every link before it, whichever job took its time first: who polls by this time misses no line.
    now = max(now, last + timedelta(microseconds=1))
    linked = links.link(lines, position, head, now)
    if await store.chain(session, linked, now) != len(linked):
        raise RuntimeError("the chaining job does not see every row that it read: its session is not the platform's")
    return len(linked)


async def verify(session: Session) -> ChainReport:
    """Walk the whole chain and recompute every hash; the session is the platform's or an auditor's.

    Who can rewrite the whole table can rewrite the whole chain: keep the report's `head` elsewhere from time to time,
    and compare. Rows cut off at the end show as a smaller number of rows than was reported before.
    """
    position, head = 0, links.GENESIS
    while batch := await store.walk(session, position, AT_ONCE):
        if broken := links.first_break(batch, position, head):
            return ChainReport(broken.position - 1, head, await store.count_unchained(session), broken)
        position, head = batch[-1].position, batch[-1].hash
    return ChainReport(position, head, await store.count_unchained(session))


async def verify_span(session: Session, after: int, most: int) -> tuple[int, bytes, Break | None]:
    """Recompute up to `most` hashes behind the place `after`: the last place that holds, its hash, and the first break. The session
    is the platform's or an auditor's."""
    position, head = after, links.GENESIS
    if after and (before := await store.walk(session, after - 1, 1)) and before[0].position == after:
        head = before[0].hash
    left = most
    while left > 0 and (batch := await store.walk(session, position, min(AT_ONCE, left))):
        if broken := links.first_break(batch, position, head):
            return broken.position - 1, head, broken
        position, head = batch[-1].position, batch[-1].hash
        left -= len(batch)
    return position, head, None
