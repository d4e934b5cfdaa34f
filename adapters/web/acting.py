"""How a page does something: one form, one transaction, once; and then another page, so that going back repeats nothing."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from typing import Any, Literal

import asyncpg
import msgspec
from litestar import Request
from litestar.datastructures import State

from adapters.web import shell
from adapters.web.done import DONE, says
from adapters.web.shell import Page, Person
from service.access import flow as access
from service.access.model import Kept, Named
from service.db import Session
from service.errors import Conflict
from service.values import Id

__all__ = ["DONE", "act", "done", "says"]

TRIES = 4
IN_THE_WAY = (asyncpg.UniqueViolationError, asyncpg.DeadlockDetectedError, asyncpg.SerializationError)
"""What another request can do to this one: it is done anew, up to `TRIES` times."""


async def act(
    request: Request[Any, Any, Any], state: State, who: Person, said: dict[str, str], interaction: str,
    do: Callable[[Session], Awaitable[str]], *, action: Literal["C", "U", "D", "E"] = "E", resource_type: str | None = None,
    resource_id: Id | None = None,
) -> Page:  # fmt: skip
    """Do it in one transaction with its audit line, and lead on to the local path that `do` returns.

    `said` is the form as `shell.form` read it. The form's own mark (`once`, parts.html) makes a form that is sent twice one
    act, and both are led to the same page; of two at once the second waits. A Refusal goes on to the caller, who shows the
    page again with what was typed."""
    named = _named(request, said)
    for attempt in range(TRIES):
        call = shell.call(
            request, interaction, action, resource_type=resource_type, resource_id=resource_id, named=named
        )
        try:
            async with access.open(state.database, who.actor, call) as session:
                if named and (before := await access.answered(session, who.actor, named, waits=True)):
                    call.action, call.interaction = "R", "page-replay"
                    return shell.to(before.headers["location"])
                path = await do(session)
                call.answer = Kept(303, {"location": path}, b"") if named else None
            return shell.to(path)
        except IN_THE_WAY as clash:
            if attempt == TRIES - 1:
                raise Conflict("Other requests got in the way; try again.", key="conflict") from clash
            await asyncio.sleep(0)
    raise AssertionError("unreachable")


def done(path: str, word: str) -> str:
    """The path of the next page, which is to say that this was done; a word of DONE."""
    assert word in DONE, word
    where, mark, part = path.partition("#")
    return f"{where}{'&' if '?' in where else '?'}done={word}{mark}{part}"


def _named(request: Request[Any, Any, Any], said: dict[str, str]) -> Named | None:
    """The mark of a form together with what it says: sent again with other content it is another act."""
    once = said.get("once")
    if not once:
        return None
    content = hashlib.sha256(msgspec.json.encode([request.url.path, sorted(said.items())])).digest()
    return Named(hashlib.sha256(once.encode() + content).digest(), content)
