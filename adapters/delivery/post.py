"""Posts one message: resolve, check, connect to the checked address, sign (Standard Webhooks), read the status alone."""

import asyncio
import email.utils
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx
from standardwebhooks import Webhook

from adapters import resolve
from service.notices import reach
from service.notices.flow import LONGEST_TIMEOUT
from service.notices.model import Channel, Message, Outcome, Outgoing

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

Post = Callable[[Outgoing, Message, datetime], Awaitable[Outcome]]
"""(to whom, what, now) → what came of it; never raises for what the subscriber does."""


def by_channel(posts: Mapping[Channel, Post]) -> Post:
    """What sends each message by its subscriber's own channel."""

    async def post(sent: Outgoing, message: Message, now: datetime) -> Outcome:
        return await posts[sent.notice.subscriber.channel](sent, message, now)

    return post


@asynccontextmanager
async def posting(
    networks: Sequence[reach.Network], timeout: float, *, resolver: Resolve = resolve.addresses
) -> AsyncIterator[Post]:
    """A function that posts, while the block lasts; `timeout` in seconds bounds a whole attempt with its look-up, unless the
    subscriber says how long one may take."""
    # No connection is kept: two hosts may share an address, and a kept one was verified for one name alone. No proxy of
    # the environment is used: it would resolve the name again. No cookie is taken: subscribers at one address would be
    # handed one another's.
    async with httpx.AsyncClient(
        verify=httpx.create_ssl_context(),  # SSL_CERT_FILE may name authorities of the operator's own
        trust_env=False,
        follow_redirects=False,
        timeout=LONGEST_TIMEOUT,  # The block around a whole attempt is the limit.
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
    ) as client:

        async def post(sent: Outgoing, message: Message, now: datetime) -> Outcome:
            try:
                async with asyncio.timeout(sent.notice.subscriber.timeout or timeout):
                    return await _post(client, networks, resolver, sent, message, now)
            except TimeoutError:
                return Outcome(error="timeout")

        yield post


async def _post(
    client: httpx.AsyncClient,
    networks: Sequence[reach.Network],
    resolver: Resolve,
    sent: Outgoing,
    message: Message,
    now: datetime,
) -> Outcome:
    notice = sent.notice
    url = httpx.URL(notice.subscriber.endpoint)
    host = url.raw_host.decode("ascii")
    try:
        addresses = await resolver(host, url.port or (443 if url.scheme == "https" else 80))
    except (OSError, UnicodeError):
        return Outcome(error="host-not-found")
    if not addresses or reach.fault(notice.subscriber.endpoint, addresses, networks):
        return Outcome(error="address-not-allowed")
    id, body = str(sent.id), message.body
    headers = httpx.Headers([_header(line) for line in notice.subscriber.headers])
    headers.setdefault("user-agent", "yuanshe")
    headers["host"] = url.netloc.decode("ascii")
    headers["content-type"] = message.content_type
    headers["webhook-id"] = id
    headers["webhook-timestamp"] = str(int(now.timestamp()))
    headers["webhook-signature"] = Webhook(sent.secret).sign(id, now.astimezone(UTC), body.decode())
    outcome = Outcome(error="no-connection")
    for address in addresses:
        try:
            # The checked address itself is what we connect to, so that the name cannot come to mean another one in
            # between; the certificate is still that of the name.
            async with client.stream(
                "POST",
                url.copy_with(host=address),
                headers=headers,
                content=body,
                extensions={"sni_hostname": host},
            ) as answer:
                return Outcome(status=answer.status_code, retry_after=_seconds(answer.headers.get("retry-after"), now))
        except httpx.ConnectError as fault:
            outcome = Outcome(error="tls" if _is_tls(fault) else "no-connection")
        except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError, OSError):
            return Outcome(error="broken-off")
    return outcome


def _header(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name, value.strip()


def _is_tls(fault: BaseException | None) -> bool:
    while fault is not None:
        if isinstance(fault, ssl.SSLError):
            return True
        fault = fault.__cause__ or fault.__context__
    return False


def _seconds(retry_after: str | None, now: datetime) -> float | None:
    """Retry-After as seconds: a number, or a date (RFC 9110, 10.2.3); None when it is neither."""
    if retry_after is None:
        return None
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        at = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - now.timestamp()
