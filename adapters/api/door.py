"""How a plain question comes in: by a token, in one transaction with its audit line; a refusal as Problem Details (RFC 9457)."""

import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import date, timedelta
from typing import Any

from litestar import Request, Response
from litestar.datastructures import State

from service.access import flow as access
from service.access.model import Actor, Call
from service.access.scopes import may
from service.db import Session
from service.errors import (
    Conflict,
    Forbidden,
    Malformed,
    NotFound,
    Refusal,
    TooMany,
    Unauthenticated,
    Unavailable,
)
from service.values import Id, local_day, utc_now

log = logging.getLogger(__name__)

LONGEST, USUAL = timedelta(days=366), timedelta(days=30)
PROBLEM = "application/problem+json"
STATUS: dict[type[Refusal], int] = {
    Malformed: 400, Unauthenticated: 401, Forbidden: 403, NotFound: 404, Conflict: 409, TooMany: 429, Unavailable: 503,
}  # fmt: skip
"""What is in none of these is 422."""


@contextlib.asynccontextmanager
async def opened(request: Request[Any, Any, State], call: Call, type: str) -> AsyncIterator[tuple[Session, Actor]]:
    """The transaction of a request that reads what is made of resources of this type; the token has to allow that."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated("Send an access token: Authorization: Bearer …", key="no-token")
    database = request.app.state.database
    actor = await access.authenticate(database, token.strip(), utc_now())
    call.request_id = request.scope.get("yuanshe.request_id")  # pyright: ignore[reportAttributeAccessIssue]
    async with access.open(database, actor, call) as session:
        if actor.side == "volunteer":
            raise Forbidden("A volunteer reads the visits that are matched to them.", key="wrong-actor")
        if not may(actor, type, "r"):
            raise Forbidden(f"The token's scopes do not allow reading {type}.", key="insufficient-scope")
        yield session, actor


async def answered(run: Callable[[], Awaitable[Any]]) -> Response[Any]:
    """The answer as JSON that nobody keeps, or the problem."""
    headers = {"Cache-Control": "no-store"}
    try:
        return Response(await run(), headers=headers)
    except Refusal as refusal:
        status = next((code for kind, code in STATUS.items() if isinstance(refusal, kind)), 422)
        first = refusal.issues[0]
        said: dict[str, Any] = {"status": status, "title": first.text, "code": refusal.key or first.code}
        if status == 401:
            headers["WWW-Authenticate"] = 'Bearer realm="yuanshe"'
        if status == 503:
            headers["Retry-After"] = "2"
        return Response(said, status_code=status, headers=headers, media_type=PROBLEM)
    except Exception as fault:
        # By its kind alone: its message could hold what was sent.
        log.error("a plain question broke: %s", type(fault).__name__)
        said = {"status": 500, "title": "The server failed; nothing was changed.", "code": "exception"}
        return Response(said, status_code=500, headers=headers, media_type=PROBLEM)


def day(query: Any, name: str, otherwise: date) -> date:
    """A day of the query. Raises Malformed."""
    text = query.get(name)
    try:
        return date.fromisoformat(text) if text else otherwise
    except ValueError:
        raise Malformed(f"{name} is a day, as 2026-11-22.", at=name) from None


def lately(last: date) -> date:
    """The last 30 days."""
    return last - USUAL


def this_month(last: date) -> date:
    """From the first of the month."""
    return last.replace(day=1)


def period(query: Any, usual: Callable[[date], date] = lately) -> tuple[date, date]:
    """The days `from` and `to` of the query; from when `usual` says, to today, unless it says otherwise. Raises Malformed."""
    last = day(query, "to", local_day(utc_now()))
    first = day(query, "from", usual(last))
    if not first <= last <= first + LONGEST:
        raise Malformed("A period has at least one day, and at most a year.", at="from")
    return first, last


def id(query: Any, name: str) -> Id | None:
    """An id of the query. Raises Malformed."""
    text = query.get(name)
    try:
        return Id(text) if text else None
    except ValueError:
        raise Malformed(f"{name} is an id.", at=name) from None
