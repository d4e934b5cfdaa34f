"""Calls to those on duty: a mail or a signed webhook that says that a crisis needs them, by when, and where; nobody is in it."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from adapters.delivery.post import Post, by_channel, posting
from service.access import flow as access
from service.access.model import Call, clock_actor
from service.db import Database
from service.notices import paging_flow as paging
from service.notices.model import Message, Notice, Outcome, Outgoing, Subscriber
from service.notices.paging_store import Page
from service.notices.reach import Network
from service.practice import PLATFORM
from service.values import SHANGHAI, Id, utc_now

CLOCK = clock_actor(PLATFORM)

SUBJECT = "院社 Yuanshe: 值班呼叫 duty call"
"""It has to stand out, and says no more than that."""


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """What calls are made with: `base_url` of this server (no slash at its end), the operator's `secret` that signs webhooks (or
    none), `mail`, and the `networks` and the `timeout` in seconds of every notice."""

    base_url: str
    mail: Post
    networks: Sequence[Network] = ()
    timeout: float = 10.0
    secret: str = ""

    async def step(self, database: Database) -> bool:
        """Call whoever is to be called, and make the calls that are due; whether there was anything to do."""
        async with database.transaction(CLOCK.scope) as session:
            made = await paging.call_due(session, CLOCK, session.began)
            if made:
                await access.log_sweep(session, CLOCK, Call("E", "page"), session.began)
        async with database.transaction(CLOCK.scope) as session:
            taken = await paging.claim(session, session.began, timedelta(seconds=2 * self.timeout))
        if taken:
            async with posting(self.networks, self.timeout) as hook:
                post = by_channel({"rest-hook": hook, "email": self.mail})
                await asyncio.gather(*(self._make(database, post, page) for page in taken))
        return bool(made or taken)

    async def _make(self, database: Database, post: Post, page: Page) -> None:
        try:
            outcome = await post(outgoing(page, self.secret), self.message(page), utc_now())
        except Exception:
            # A fault of ours counts as an attempt: the next one of the ladder must not wait for it.
            outcome = Outcome(error="internal-error")
        async with database.transaction(CLOCK.scope) as session:
            await paging.settle(session, page, outcome, session.began)

    def message(self, page: Page) -> Message:
        """What is said: the same bytes at every attempt."""
        link, task = f"{self.base_url}/page/{page.token}", f"{self.base_url}/fhir/Task/{page.task}"
        data = {"page": str(page.id), "place": page.place + 1, "what": "crisis", "by": page.limit_at, "acknowledge": link, "task": task}  # fmt: skip
        body = msgspec.json.encode({"type": "urn:yuanshe:page", "timestamp": page.made_at, "data": data})
        if page.channel == "webhook":
            return Message("application/json", body)
        until = page.limit_at.astimezone(SHANGHAI)
        text = (
            f"有一项危机需要您。请在 {until:%Y-%m-%d %H:%M} 前确认。\n"
            f"A crisis needs you. Acknowledge it by {until:%Y-%m-%d %H:%M} (+08:00).\n\n"
            f"收到，我来处理 / I see to it:\n{link}\n\n"
            "紧急情况请拨打 110 或 120。 In an emergency call 110 or 120.\n"
        )
        return Message("text/plain", b"", text, SUBJECT)


def outgoing(page: Page, secret: str) -> Outgoing:
    """A call in the shape of what is posted and mailed: its id is the webhook-id and the Message-ID of every attempt."""
    email = page.channel == "email"
    endpoint = f"mailto:{page.endpoint}" if email else page.endpoint or ""
    return addressed(page.id, page.organization, endpoint, secret, page.made_at)


def addressed(id: Id, organization: Id, endpoint: str, secret: str, at: datetime) -> Outgoing:
    """Something to be sent to one who subscribed to nothing."""
    to = Subscriber(
        id=id, organization=organization, client=id, whole_network=False, state="active", endpoint=endpoint, headers=(), format="page",
        topic="", about="any", kinds=(), filters={}, event_number=0, failures=0, last_error=None, created_at=at, changed_at=at,
        version=1, ends_at=None, terms={}, channel="email" if endpoint.startswith("mailto:") else "rest-hook",
    )  # fmt: skip
    return Outgoing(Notice(delivery=id, number=0, attempts=0, created_at=at, subscriber=to, event=None), secret)
