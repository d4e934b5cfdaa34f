"""People who sign in through their organisation's provider (OpenID Connect): led there, back again, and known by the provider's name of them.

What a provider says is checked in adapters/oidc; here is who that is for us. Whom no account is linked to is let in nowhere: accounts
are given by an administrator.
"""

import hashlib
import secrets
from datetime import timedelta

import msgspec

from service.access import flow, provider_store, session_flow, session_store, store
from service.access.model import Account, Actor, Call
from service.access.provider_store import Attempt
from service.access.session_flow import DOOR
from service.db import Database, Session, as_platform
from service.errors import Conflict, Forbidden, Invalid, NotFound, Unauthenticated

WAY = timedelta(minutes=10)
"""How long somebody may be on the way: time for a password and a code at the provider."""


class Way(msgspec.Struct, frozen=True):
    """What somebody takes along to the provider: `state` and `nonce` come back, the hash of `verifier` goes with the question,
    `browser` is the cookie of the browser that may come back."""

    state: str
    browser: str
    nonce: str
    verifier: str


async def leave_for(database: Database, next: str, language: str) -> Way:
    """Somebody goes to the provider, to come back once and within minutes, and then to go on to `next`."""
    way = Way(*(secrets.token_urlsafe(32) for _ in range(4)))
    async with database.transaction(DOOR) as session:
        attempt = Attempt(way.nonce, way.verifier, next, language)
        await provider_store.remember(session, _digest(way.state), _digest(way.browser), attempt, session.began)
    return way


async def come_back(database: Database, state: str, browser: str) -> Attempt:
    """What was remembered of the way. Raises Unauthenticated `lost-way` for one that nobody of this browser went, that was
    used, or that took too long."""
    async with database.transaction(DOOR) as session:
        found = await provider_store.take(session, _digest(state), _digest(browser), session.began - WAY)
    if found is None:
        raise Unauthenticated("Nobody of this browser is on the way to sign in.", key="lost-way")
    return found


async def sign_in(
    database: Database, issuer: str, subject: str, login: str | None, language: str, *, browser: str | None = None
) -> str:
    """The cookie of a new session of whom the provider vouches for. `login`: the login that the provider states and is trusted
    to state; the first time it links the account, afterwards only the link counts. Raises Unauthenticated `unknown-person`."""
    refused = Unauthenticated("No account is linked to this person.", key="unknown-person", names={"subject": subject})
    async with database.transaction(DOOR) as session, as_platform(session, "sign in"):
        now = session.began
        account = await provider_store.linked(session, issuer, subject)
        if account is None and login:
            found = await store.find_account(session, flow.login_of(login))
            # An account that is linked to somebody already is not given to another who bears its login now.
            if (
                found
                and found[0].active
                and await provider_store.link(session, issuer, subject, found[0].id, now, "claim")
            ):
                account = found[0]
                await flow.log_sweep(session, account.actor, Call("C", "account-link"), now)
        if account is not None and account.active:
            token = await session_flow.begin(session, account, language, now, browser=browser, issuer=issuer)
            await flow.log_sweep(session, account.actor, Call("E", "sign-in"), now)
            return token
    if account is not None:
        await flow.log_failure(database, account.actor, Call("E", "sign-in"), now, refused)
    raise refused


async def link(session: Session, actor: Actor, login: str, issuer: str, subject: str) -> None:
    """The administrator links an account to whom the provider calls so. Raises NotFound, Invalid, Conflict `taken` where either
    is linked already."""
    account = await _account(session, actor, login)
    if not issuer or not subject:
        raise Invalid("A link names the provider's issuer and its name of the person.", at="subject")
    async with as_platform(session, "change an account"):
        linked = await provider_store.link(session, issuer, subject, account.id, session.began, "command")
    if not linked:
        raise Conflict("This account, or this person of the provider, is linked already: unlink it first.", key="taken")


async def unlink(session: Session, actor: Actor, login: str) -> int:
    """Unlink an account from every provider, and end its sessions; how many links there were."""
    account = await _account(session, actor, login)
    async with as_platform(session, "change an account"):
        gone = await provider_store.unlink(session, account.id)
    await session_store.end_all(session, account.id)
    return len(gone)


async def _account(session: Session, actor: Actor, login: str) -> Account:
    if actor.role != "administrator":
        raise Forbidden("Accounts are the administrator's.", key="wrong-role")
    async with as_platform(session, "change an account"):
        found = await store.find_account(session, flow.login_of(login))
    if found is None:
        raise NotFound("There is no account of this login.")
    return found[0]


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
