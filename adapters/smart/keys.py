"""Fetches the public keys that a client publishes, and keeps them for a while."""

import asyncio
import ipaddress
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import httpx
import msgspec

from service.errors import Unauthenticated

KEPT_FOR = 60.0
"""Seconds that fetched keys are believed, at most: by then a withdrawn one is forgotten."""
PAUSE = 5.0
"""Seconds between two requests to one address, at least, whatever its `Cache-Control` says and whoever asks."""
LARGEST = 64 * 1024
"""Octets of a key set."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Fetched(msgspec.Struct, frozen=True):
    """A key set, when it was fetched and until when it is believed, in seconds of the clock."""

    keys: Mapping[str, Any]
    at: float
    until: float


class PublishedKeys:
    """Key sets by address, each fetched once while it is believed; `Cache-Control` may shorten that.

    An operator registered the address, so it is not an attacker's; still only https is fetched, and plain http only
    from addresses in the networks of WEBHOOK_ALLOW (the demo's loopback). Redirects are not followed.
    """

    def __init__(self, allowed: Sequence[Network] = (), clock: Callable[[], float] = time.monotonic) -> None:
        self.allowed = allowed
        self._clock = clock
        self._kept: dict[str, Fetched] = {}
        self._turns: dict[str, asyncio.Lock] = {}

    async def fetch(self, url: str, anew: bool = False) -> Mapping[str, Any]:
        """The JWK Set at `url`; `anew`: although it is believed still, unless that was a moment ago (a key may have been
        added). Raises Unauthenticated when it cannot be had.
        """
        if not self.may_fetch(url):
            raise _refuse("The client's keys are not published at an https address.")
        async with self._turns.setdefault(url, asyncio.Lock()):
            kept, now = self._kept.get(url), self._clock()
            if kept and now < (kept.at + PAUSE if anew else kept.until):
                return kept.keys
            keys, life = await self._ask(url)
            self._kept[url] = Fetched(keys, now, now + life)
            return keys

    async def _ask(self, url: str) -> tuple[Mapping[str, Any], float]:
        try:
            async with httpx.AsyncClient(timeout=5, follow_redirects=False) as client:
                async with client.stream("GET", url, headers={"Accept": "application/json"}) as answer:
                    answer.raise_for_status()
                    body = bytearray()
                    async for part in answer.aiter_bytes():
                        body += part
                        if len(body) > LARGEST:
                            raise _refuse("The client's key set is larger than 64 KiB.")
            return msgspec.json.decode(bytes(body), type=dict[str, Any]), _life(answer.headers.get("cache-control", ""))
        except (httpx.HTTPError, httpx.InvalidURL, msgspec.DecodeError) as fault:
            raise _refuse("The client's keys cannot be fetched from the address that is registered.") from fault

    def may_fetch(self, url: str) -> bool:
        """https anywhere; http only to an address in an allowed network, or to `localhost` where loopback is one."""
        try:
            read = httpx.URL(url)
        except httpx.InvalidURL:
            return False
        if read.scheme != "http":
            return read.scheme == "https" and bool(read.host)
        try:
            host = ipaddress.ip_address("127.0.0.1" if read.host == "localhost" else read.host)
        except ValueError:
            return False
        return any(host in network for network in self.allowed)


def _life(cache_control: str) -> float:
    """Seconds that an answer is believed (SMART App Launch 2.2: a server honours the client's Cache-Control)."""
    if re.search(r"\bno-(store|cache)\b", cache_control, re.IGNORECASE):
        return PAUSE
    found = re.search(r"\bmax-age=([0-9]{1,9})", cache_control, re.IGNORECASE)
    return min(KEPT_FOR, max(PAUSE, float(found[1]))) if found else KEPT_FOR


def _refuse(text: str) -> Unauthenticated:
    return Unauthenticated(text, key="invalid_client")
