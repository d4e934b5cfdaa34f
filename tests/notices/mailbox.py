"""A real SMTP server that a test reads: with or without TLS and passwords, in whatever mood the test wants."""

import asyncio
import contextlib
import email
import email.policy
import ssl
from collections.abc import AsyncIterator
from email.message import EmailMessage
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult

USER, PASSWORD = "yuanshe", "a password of the relay's"


class Mailbox:
    """Where mail arrives. `refuses` maps an address to the line that is said to it; `silent`: nothing is said to data."""

    def __init__(self) -> None:
        self.received: asyncio.Queue[tuple[EmailMessage, list[str]]] = asyncio.Queue()
        self.refuses: dict[str, str] = {}
        self.silent = False
        self.port = 0

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if refused := self.refuses.get(address):
            return refused
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        said = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert isinstance(said, EmailMessage)
        self.received.put_nowait((said, list(envelope.rcpt_tos)))
        if self.silent:
            await asyncio.Event().wait()
        return "250 OK"

    async def next(self) -> EmailMessage:
        """The next mail. No limit of its own: the suite's limit on a test says when one never came."""
        return (await self.received.get())[0]


def _knows(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
    return AuthResult(success=(data.login.decode(), data.password.decode()) == (USER, PASSWORD), handled=False)


@contextlib.asynccontextmanager
async def mailing(
    *, starttls: ssl.SSLContext | None = None, implicit: ssl.SSLContext | None = None, password: bool = False
) -> AsyncIterator[Mailbox]:
    """An SMTP server of this machine, until the block ends."""
    box, loop = Mailbox(), asyncio.get_running_loop()
    # Over implicit TLS the server library does not see that there is TLS already; the socket does not take anything else.
    wants = {"authenticator": _knows, "auth_required": True, "auth_require_tls": implicit is None} if password else {}
    server = await loop.create_server(
        lambda: SMTP(box, loop=loop, hostname="relay.example", tls_context=starttls, require_starttls=bool(starttls), **wants),
        "127.0.0.1",
        0,
        ssl=implicit,
    )  # fmt: skip
    box.port = server.sockets[0].getsockname()[1]
    try:
        yield box
    finally:
        server.close()
