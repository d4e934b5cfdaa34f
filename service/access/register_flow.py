"""How an administrator looks through accounts and programs, and lets somebody in with a password that is shown once."""

import secrets
from datetime import datetime, timedelta

from service.access import flow, register_store
from service.access.model import Account, Actor, NewAccount
from service.access.register_store import Program, Seat
from service.db import Session, as_platform
from service.errors import Conflict, Forbidden, Invalid, NotFound
from service.values import Id

OLD_KEYS = timedelta(days=365)
"""Keys that a program has had for longer are to be changed (D)."""
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
"""Those that nobody takes for one another when they are read out."""


def permit(actor: Actor) -> None:
    """Raise Forbidden for anybody but an administrator."""
    if actor.role != "administrator":
        raise Forbidden("Accounts and programs are the administrator's.", key="wrong-role")


async def accounts(
    session: Session, actor: Actor, *, text: str = "", organization: Id | None = None, role: str | None = None, after: str = "", limit: int = 50
) -> list[Seat]:  # fmt: skip
    """Accounts in the order of their logins."""
    permit(actor)
    async with as_platform(session, "list accounts"):
        return await register_store.seats(session, text.strip() or None, organization, role, after, limit)


async def account(session: Session, actor: Actor, id: Id) -> Seat:
    """One account. Raises Forbidden, NotFound."""
    permit(actor)
    async with as_platform(session, "list accounts"):
        found = await register_store.seat(session, id)
    if found is None:
        raise NotFound("There is no such account.")
    return found


async def let_in(session: Session, actor: Actor, new: NewAccount, now: datetime) -> tuple[Account, str]:
    """Give a person of staff an account, and the password that they sign in with first: it is shown once. Raises as
    `flow.add_account`, and Invalid without a name."""
    permit(actor)
    if not new.name.strip():
        raise Invalid("A person has a name.", at="name", key="cell-empty")
    if not flow.login_of(new.login):
        raise Invalid("A login is not empty.", at="login", key="cell-empty")
    made = password()
    try:
        return await flow.add_account(session, actor, new, made, now), made
    except Conflict:
        raise Conflict("This login is taken.", at="login", key="cell-taken") from None


def password() -> str:
    """Four groups of four letters: more than anybody can guess, and little enough to be read out."""
    return "-".join("".join(secrets.choice(_LETTERS) for _ in range(4)) for _ in range(4))


async def programs(
    session: Session, actor: Actor, *, text: str = "", organization: Id | None = None, old: bool = False, before: Id | None = None, limit: int = 50
) -> list[Program]:  # fmt: skip
    """Programs, the newest first."""
    permit(actor)
    keys_before = session.began - OLD_KEYS if old else None
    return await register_store.programs(session, text.strip() or None, organization, keys_before, before, limit)


async def program(session: Session, actor: Actor, id: Id) -> Program:
    """One program. Raises Forbidden, NotFound."""
    permit(actor)
    found = await register_store.program(session, id)
    if found is None:
        raise NotFound("There is no such program.")
    return found


async def old_keys(session: Session, actor: Actor) -> int:
    """How many programs in use have keys older than OLD_KEYS."""
    permit(actor)
    return await register_store.old_keys(session, session.began - OLD_KEYS)
