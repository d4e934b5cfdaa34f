"""What a person does with their own account: another password, a code besides it, and the end of sessions left open elsewhere.

Verbs that ask for the password take the database, not a session, as at the door: a wrong one is counted even though it is refused,
and it is checked while no transaction is open.
"""

import hashlib
from datetime import datetime, timedelta

import msgspec
from pyotp import random_base32
from pyotp.totp import TOTP

from service.access import flow, own_store, session_flow, session_store, store
from service.access.model import Actor, Call
from service.access.own_store import Own, Seat
from service.db import Database, Session, as_platform
from service.errors import Conflict, Forbidden, Invalid, NotFound


class Mine(msgspec.Struct, frozen=True):
    """Somebody's own account and where it is signed in. `password` is False where their organisation's provider has it."""

    login: str
    password: bool
    code: bool
    sessions: tuple[Seat, ...]


async def mine(session: Session, actor: Actor, token: str) -> Mine:
    """The account and its sessions, this one first."""
    own = await _own(session, actor)
    now = session.began
    idle_since = now - timedelta(minutes=session.practice.session_idle.minutes)
    seats = await own_store.sessions(session, actor.id, _digest(token), now, idle_since)
    return Mine(own.login, own.password_hash is not None, own.code, tuple(seats))


async def end_others(session: Session, actor: Actor, token: str) -> int:
    """End every other session of one's own; how many there were."""
    return await own_store.end_others(session, actor.id, _digest(token))


async def change_password(database: Database, actor: Actor, token: str, old: str, new: str) -> None:
    """Another password; every other session ends. Raises Invalid `wrong-old-password` (at `old`), `password-length` and
    `same-password` (at `new`); TooMany after too many wrong ones."""
    account = await _proved(database, actor, old, "own-password")
    if new == old:
        raise Invalid("The new password is the old one.", at="new", key="same-password")
    if flow.login_of(new) == account.login:
        raise Invalid("A password is not the login.", at="new", key="password-login")
    try:
        hashed = await flow.hashed(new)
    except Invalid as refused:
        raise Invalid(str(refused), at="new", key=refused.key) from None
    async with database.transaction(actor.scope) as session:
        async with as_platform(session, "change one's own account"):
            await store.rehash(session, actor.id, hashed)
        await own_store.end_others(session, actor.id, _digest(token))
        await flow.log_sweep(session, actor, Call("U", "own-password"), session.began)


async def offer_code(session: Session, actor: Actor, token: str) -> None:
    """Offer a generator in this session; nothing is asked for until it is confirmed. Forbidden `no-password`."""
    own = await _own(session, actor)
    if own.password_hash is None:
        raise Forbidden("This account has no password, so a code is its provider's to ask for.", key="no-password")
    await own_store.offer(session, _digest(token), actor.id, random_base32())


async def offered_code(session: Session, actor: Actor, token: str) -> tuple[str, str] | None:
    """The secret that is offered in this session, and the address that says it to a generator; None: none is."""
    secret = await own_store.offered(session, _digest(token), actor.id)
    if secret is None:
        return None
    own = await _own(session, actor)
    return secret, TOTP(secret).provisioning_uri(name=own.login, issuer_name="Yuanshe")


async def take_code(session: Session, actor: Actor, token: str, code: str) -> None:
    """From now on the account asks for a code of the generator that was offered, which this code proves to work. Raises
    Invalid `wrong-code` (at `code`), Conflict where nothing is offered."""
    digest = _digest(token)
    secret = await own_store.offered(session, digest, actor.id)
    if secret is None:
        raise Conflict("No generator is offered in this session.", key="no-generator")
    step = session_flow.step_of(secret, code, session.began)
    if step is None:
        raise Invalid("The code is wrong.", at="code", key="wrong-code")
    async with as_platform(session, "change one's own account"):
        await session_store.set_totp(session, actor.id, secret)
        await session_store.spend_totp(session, actor.id, step)
    await own_store.offer(session, digest, actor.id, None)


async def drop_code(database: Database, actor: Actor, password: str) -> None:
    """The account asks for its password alone again. Raises as `change_password`."""
    await _proved(database, actor, password, "own-code-off")
    async with database.transaction(actor.scope) as session:
        async with as_platform(session, "change one's own account"):
            await session_store.set_totp(session, actor.id, None)
        await flow.log_sweep(session, actor, Call("U", "own-code-off"), session.began)


async def _own(session: Session, actor: Actor) -> Own:
    async with as_platform(session, "one's own account"):
        found = await own_store.own(session, actor.id)
    if found is None or actor.kind != "person":
        raise NotFound("This is no person's account.")
    return found


async def _proved(
    database: Database, actor: Actor, password: str, interaction: str, now: datetime | None = None
) -> Own:
    """The account, of which the password was just given. Wrong ones count as at the door, so that an open screen is no place to guess."""
    async with database.transaction(actor.scope) as session:
        now = now or session.began
        account = await _own(session, actor)
        login = hashlib.sha256(account.login.encode()).digest()
        until = await session_store.locked_until(session, login)
    if until is not None and until > now:
        raise session_flow.locked(until, now)
    if account.password_hash is None:
        raise Forbidden("This account has no password here.", key="no-password")
    fits, _ = await session_flow.fits(database, account.password_hash, password)
    if fits:
        return account
    practice = database.practice
    lock = timedelta(minutes=practice.sign_in_lock.minutes)
    async with database.transaction(actor.scope) as session:
        until = await session_store.failed(session, login, now, practice.sign_in_failures, lock)
    refused = Invalid("The password is wrong.", at="old", key="wrong-old-password")
    await flow.log_failure(database, actor, Call("U", interaction), now, refused)
    raise session_flow.locked(until, now) if until else refused


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
