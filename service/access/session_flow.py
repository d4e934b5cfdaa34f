"""People come and go: sign in with password and, where the account asks for one, a code; be known by a cookie; leave.

Each verb takes the database, not a session: what a refused attempt leaves behind must outlive its refusal, and a password is
checked while no transaction is open.
"""

import asyncio
import hashlib
import secrets
from datetime import datetime, timedelta
from weakref import WeakKeyDictionary

import msgspec
from pyotp import random_base32
from pyotp.totp import TOTP

from service.access import flow, session_store, store
from service.access.model import Account, Actor, Call
from service.db import Database, Scope, Session, as_platform
from service.errors import Forbidden, NotFound, TooMany, Unauthenticated
from service.practice import Limit
from service.values import Id, new_id

COOKIE = "yuanshe"
"""The name of the cookie that holds a session's token."""
DOOR = Scope(None, "client")
TOUCHED = timedelta(minutes=1)
"""How exactly it is known when a session was last used: writing it at each request would cost a row version a page."""
AT_ONCE = 2
"""Passwords checked at a time: each takes 64 MiB and a core for a moment."""
_turns: WeakKeyDictionary[Database, asyncio.Semaphore] = WeakKeyDictionary()


class Known(msgspec.Struct, frozen=True):
    """Who holds a session, the language of their pages, and when it ends if they do nothing from now on."""

    actor: Actor
    language: str
    ends_at: datetime


async def sign_in(
    database: Database, login: str, password: str, code: str | None, language: str, now: datetime | None = None, *,
    browser: str | None = None,
) -> str:  # fmt: skip
    """The cookie of a new session. Raises Unauthenticated with the key `wrong-password` (which of the two was wrong is not
    said), `code-needed` or `wrong-code`; TooMany after too many failures in a row under this login, existing or not."""
    login_digest = hashlib.sha256(flow.login_of(login).encode()).digest()
    practice = database.practice
    async with database.transaction(DOOR) as session:
        now = now or session.began
        until = await session_store.locked_until(session, login_digest)
        if until is not None and until > now:
            raise locked(until, now)
        async with as_platform(session, "sign in"):
            found = await store.find_account(session, flow.login_of(login))
            secret = await session_store.totp_secret(session, found[0].id) if found else None
    right, rehashed = await fits(database, found[1] if found else None, password)
    async with database.transaction(DOOR) as session, as_platform(session, "sign in"):
        account = found[0] if found else None
        refused: Unauthenticated | None = None
        if account is None or not account.active or not right:
            refused = Unauthenticated("Login or password is wrong.", key="wrong-password")
        elif secret is not None and not code:
            raise Unauthenticated("This account asks for a code besides.", key="code-needed")
        elif secret is not None and not await _spent(session, account.id, secret, code or "", now):
            refused = Unauthenticated("The code is wrong, or was used before.", key="wrong-code")
        if refused is None and account is not None:
            if rehashed:
                await store.rehash(session, account.id, rehashed)
            await session_store.succeeded(session, login_digest)
            token = await begin(session, account, language, now, browser=browser)
            await flow.log_sweep(session, account.actor, Call("E", "sign-in"), now)
            return token
        until = await session_store.failed(
            session, login_digest, now, practice.sign_in_failures, _for(practice.sign_in_lock)
        )
    # What was written above is committed: only now is the attempt refused.
    assert refused is not None
    if account is not None:
        await flow.log_failure(database, account.actor, Call("E", "sign-in"), now, refused)
    raise locked(until, now) if until else refused


async def fits(database: Database, password_hash: str | None, password: str) -> tuple[bool, str | None]:
    """As `flow.fits`, a few at a time. No transaction is open meanwhile."""
    async with _turns.setdefault(database, asyncio.Semaphore(AT_ONCE)):
        return await flow.fits(password_hash, password)


async def begin(
    session: Session, account: Account, language: str, now: datetime, *, browser: str | None = None, issuer: str | None = None
) -> str:  # fmt: skip
    """The cookie of a new session of somebody who has shown who they are."""
    token = secrets.token_urlsafe(32)
    ends_at = now + _for(session.practice.session)
    await session_store.begin(session, new_id(), _digest(token), account.id, now, ends_at, language, browser, issuer)
    return token


async def _spent(session: Session, account: Id, secret: str, code: str, now: datetime) -> bool:
    """Whether this is the generator's code of now, and was not taken yet."""
    near = step_of(secret, code, now)
    return near is not None and await session_store.spend_totp(session, account, near)


def step_of(secret: str, code: str, now: datetime) -> int | None:
    """The step of time of which this is the generator's code: now, or the one before or after (RFC 6238)."""
    totp = TOTP(secret)
    given = "".join(code.split())
    step = int(now.timestamp()) // totp.interval
    return next(
        (
            each
            for each in (step, step - 1, step + 1)
            if secrets.compare_digest(given.encode(), totp.generate_otp(each).encode())
        ),
        None,
    )


def locked(until: datetime, now: datetime) -> TooMany:
    """What is said under a login at which somebody failed too often."""
    return TooMany(
        "Too many attempts to sign in under this login; try again later.", wait=max((until - now).total_seconds(), 1.0)
    )


def _for(limit: Limit) -> timedelta:
    return timedelta(minutes=limit.minutes)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


async def known(database: Database, token: str, now: datetime | None = None, *, touches: bool = True) -> Known:
    """Whose session this is; being asked for it keeps it alive, unless it `touches` nothing. Raises Unauthenticated with the key `session-ended` when it has ended, by time or by somebody."""
    async with database.transaction(DOOR, writes=False) as session:
        now = now or session.began
        async with as_platform(session, "know who it is"):
            seen = await session_store.find(session, _digest(token))
        idle = _for(session.practice.session_idle)
        if seen is None or not seen.account.active or now >= min(seen.ends_at, seen.seen_at + idle):
            raise Unauthenticated("Your session has ended; sign in again.", key="session-ended")
        if touches and now - seen.seen_at >= TOUCHED:
            await session_store.touch(session, seen.id, now)
    return Known(seen.account.actor, seen.language, min(seen.ends_at, (now if touches else seen.seen_at) + idle))


async def speak(database: Database, token: str, language: str) -> None:
    """Let the pages speak `zh` or `en` from now on."""
    async with database.transaction(DOOR) as session:
        await session_store.speak(session, _digest(token), language)


async def sign_out(database: Database, token: str) -> str | None:
    """End this session, wherever it is open. The provider that vouched for the person, if one did: they may leave there too."""
    async with database.transaction(DOOR) as session:
        return await session_store.end(session, _digest(token))


async def end_sessions(session: Session, actor: Actor, login: str) -> int:
    """The administrator ends all sessions of a person; how many there were. NotFound for an unknown login."""
    account = await _account(session, actor, login)
    return await session_store.end_all(session, account)


async def ask_for_code(session: Session, actor: Actor, login: str) -> str:
    """From now on this account asks for a code besides its password: the otpauth address for the person's generator, shown
    once. Again makes a new generator and ends the old one."""
    account = await _account(session, actor, login)
    secret = random_base32()
    async with as_platform(session, "change an account"):
        await session_store.set_totp(session, account, secret)
    return TOTP(secret).provisioning_uri(name=flow.login_of(login), issuer_name="Yuanshe")


async def ask_for_no_code(session: Session, actor: Actor, login: str) -> None:
    """The account asks for its password alone again."""
    account = await _account(session, actor, login)
    async with as_platform(session, "change an account"):
        await session_store.set_totp(session, account, None)


async def set_password(session: Session, actor: Actor, login: str, password: str) -> None:
    """Another password; every session of the account ends. Invalid for one too short or too long."""
    account = await _account(session, actor, login)
    hashed = await flow.hashed(password)
    async with as_platform(session, "change an account"):
        await store.rehash(session, account, hashed)
    await session_store.end_all(session, account)


async def put_away(session: Session, actor: Actor, login: str) -> None:
    """The account signs in no more, and its sessions end."""
    account = await _account(session, actor, login)
    async with as_platform(session, "change an account"):
        await session_store.put_away(session, account)
    await session_store.end_all(session, account)


async def list_accounts(session: Session, actor: Actor) -> list[tuple[Account, bool]]:
    """Every account, and whether it asks for a code."""
    _permit(actor)
    async with as_platform(session, "list accounts"):
        return await session_store.list_accounts(session)


def _permit(actor: Actor) -> None:
    if actor.role != "administrator":
        raise Forbidden("Accounts are the administrator's.", key="wrong-role")


async def _account(session: Session, actor: Actor, login: str) -> Id:
    _permit(actor)
    async with as_platform(session, "change an account"):
        found = await store.find_account(session, flow.login_of(login))
    if found is None:
        raise NotFound("There is no account of this login.")
    return found[0].id
