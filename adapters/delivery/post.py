"""Posts one message: resolve, check, connect to the checked address, sign (Standard Webhooks), read the status alone."""

import asyncio
import email.utils
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import cast

import httpcore
import httpx
from standardwebhooks import Webhook

from adapters import resolve
from service.notices import reach
from service.notices.model import Channel, Message, Outcome, Outgoing

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

Post = Callable[[Outgoing, Message, datetime], Awaitable[Outcome]]
"""(to whom, what, now) → what came of it; never raises for what the subscriber does."""


def by_channel(posts: Mapping[Channel, Post]) -> Post:
    """What sends each message by its subscriber's own channel."""

    async def post(sent: Outgoing, message: Message, now: datetime) -> Outcome:
        return await posts[sent.notice.subscriber.channel](sent, message, now)

    return post


KEPT = 2.0
"""Seconds for which a connection is kept after an answer: enough for one who is told much, and less than servers wait."""
REST_SECONDS, REST_BYTES = 1.0, 4096
"""Within these the rest of an answer has to come for its connection to be kept; nobody looks at what it says."""


class Refused(Exception):
    """The host stands for nothing, or for an address where notices must not go: a word of ours."""


class Checked(httpcore.AsyncNetworkBackend):
    """Connects to the very address that was checked, so that a name cannot come to mean another one in between. A connection
    belongs to its name, and over TLS that is what the certificate must have: two names at one address share none."""

    def __init__(self, scheme: str, networks: Sequence[reach.Network], resolver: Resolve) -> None:
        self._scheme = scheme
        self._networks = networks
        self._resolve = resolver
        self._plain = cast("httpcore.AsyncNetworkBackend", httpcore.AnyIOBackend())

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            addresses = await self._resolve(host, port)
        except (OSError, UnicodeError) as fault:
            raise Refused("host-not-found") from fault
        url = f"{self._scheme}://{f'[{host}]' if ':' in host else host}:{port}/"
        if not addresses or reach.fault(url, addresses, self._networks):
            raise Refused("address-not-allowed")
        *others, last = addresses
        for address in others:
            with suppress(httpcore.ConnectError):
                return await self._plain.connect_tcp(address, port, timeout, local_address, socket_options)
        return await self._plain.connect_tcp(last, port, timeout, local_address, socket_options)


@asynccontextmanager
async def posting(
    networks: Sequence[reach.Network], timeout: float, *, resolver: Resolve = resolve.addresses
) -> AsyncIterator[Post]:
    """A function that posts, while the block lasts; `timeout` in seconds bounds a whole attempt with its look-up, unless the
    subscriber says how long one may take."""
    # The pool is one without cookies, redirects and the environment's proxies: subscribers at one address would be handed
    # one another's cookies, and a detour or a proxy would lead to what was not checked.
    context = ssl.create_default_context()  # SSL_CERT_FILE may name authorities of the operator's own
    async with AsyncExitStack() as stack:
        pools = {
            scheme: await stack.enter_async_context(
                httpcore.AsyncConnectionPool(
                    ssl_context=context,
                    max_connections=None,
                    keepalive_expiry=KEPT,
                    network_backend=Checked(scheme, networks, resolver),
                )
            )
            for scheme in ("http", "https")
        }

        async def post(sent: Outgoing, message: Message, now: datetime) -> Outcome:
            if reach.fault(sent.notice.subscriber.endpoint, (), networks):
                return Outcome(error="address-not-allowed")
            url = httpx.URL(sent.notice.subscriber.endpoint)
            try:
                async with asyncio.timeout(sent.notice.subscriber.timeout or timeout):
                    return await _post(pools[url.scheme], url, sent, message, now)
            except TimeoutError:
                return Outcome(error="timeout")

        yield post


async def _post(
    pool: httpcore.AsyncConnectionPool, url: httpx.URL, sent: Outgoing, message: Message, now: datetime
) -> Outcome:
    headers = _headers(url, sent, message, now)
    fresh = False

    async def trace(event: str, _info: Mapping[str, object]) -> None:
        nonlocal fresh
        fresh = fresh or event == "connection.connect_tcp.started"

    while True:
        try:
            async with pool.stream(
                "POST",
                httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
                headers=headers,
                content=message.body,
                extensions={"trace": trace},
            ) as answer:
                retry_after = next((value for name, value in answer.headers if name.lower() == b"retry-after"), None)
                await _finish(answer)
                return Outcome(status=answer.status, retry_after=_seconds(retry_after, now))
        except Refused as refused:
            return Outcome(error=str(refused))
        except httpcore.ConnectError as fault:
            return Outcome(error="tls" if _is_tls(fault) else "no-connection")
        except (httpcore.NetworkError, httpcore.ProtocolError, ssl.SSLError, OSError):
            # One that was kept may have been closed at that moment: that says nothing of the subscriber.
            if fresh:
                return Outcome(error="broken-off")


async def _finish(answer: httpcore.Response) -> None:
    """Read what is left of an answer if it is short; else its connection is closed. Whatever becomes of it, the status holds."""
    with suppress(TimeoutError, httpcore.NetworkError, httpcore.ProtocolError, ssl.SSLError, OSError):
        async with asyncio.timeout(REST_SECONDS):
            read = 0
            async for part in answer.aiter_stream():
                read += len(part)
                if read > REST_BYTES:
                    return


def _headers(url: httpx.URL, sent: Outgoing, message: Message, now: datetime) -> list[tuple[bytes, bytes]]:
    id, body = str(sent.id), message.body
    headers = httpx.Headers([_header(line) for line in sent.notice.subscriber.headers])
    headers.setdefault("user-agent", "yuanshe")
    headers.setdefault("accept", "*/*")
    headers["host"] = url.netloc.decode("ascii")
    headers["content-type"] = message.content_type
    headers["webhook-id"] = id
    headers["webhook-timestamp"] = str(int(now.timestamp()))
    if sent.secret:  # A subscriber always has one; who is called in a crisis, where the operator gave one.
        headers["webhook-signature"] = Webhook(sent.secret).sign(id, now.astimezone(UTC), body.decode())
    return headers.raw


def _header(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name, value.strip()


def _is_tls(fault: BaseException | None) -> bool:
    while fault is not None:
        if isinstance(fault, ssl.SSLError):
            return True
        fault = fault.__cause__ or fault.__context__
    return False


def _seconds(retry_after: bytes | None, now: datetime) -> float | None:
    """Retry-After as seconds: a number, or a date (RFC 9110, 10.2.3); None when it is neither."""
    if retry_after is None:
        return None
    text = retry_after.decode("ascii", "replace").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        at = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - now.timestamp()
