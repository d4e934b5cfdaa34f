"""Fetches the public keys that a client publishes, and keeps them for a while."""

import ipaddress
import time
from collections.abc import Mapping, Sequence
from typing import Any

import httpx
import msgspec

from service.errors import Unauthenticated

KEPT_FOR = 300.0
"""Seconds that fetched keys are believed: by then a new key is known and a withdrawn one forgotten."""
LARGEST = 64 * 1024
"""Octets of a key set."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class PublishedKeys:
    """Key sets by address, each fetched at most once in KEPT_FOR.

    An operator registered the address, so it is not an attacker's; still only https is fetched, and plain http only
    from addresses in the networks of WEBHOOK_ALLOW (the demo's loopback). Redirects are not followed.
    """

    def __init__(self, allowed: Sequence[Network] = ()) -> None:
        self.allowed = allowed
        self._kept: dict[str, tuple[float, Mapping[str, Any]]] = {}

    async def fetch(self, url: str) -> Mapping[str, Any]:
        """The JWK Set at `url`. Raises Unauthenticated when it cannot be had."""
        kept = self._kept.get(url)
        if kept and time.monotonic() - kept[0] < KEPT_FOR:
            return kept[1]
        if not self.may_fetch(url):
            raise _refuse("The client's keys are not published at an https address.")
        try:
            async with httpx.AsyncClient(timeout=5, follow_redirects=False) as client:
                async with client.stream("GET", url, headers={"Accept": "application/json"}) as answer:
                    answer.raise_for_status()
                    body = bytearray()
                    async for part in answer.aiter_bytes():
                        body += part
                        if len(body) > LARGEST:
                            raise _refuse("The client's key set is larger than 64 KiB.")
            keys = msgspec.json.decode(bytes(body), type=dict[str, Any])
        except (httpx.HTTPError, httpx.InvalidURL, msgspec.DecodeError) as fault:
            raise _refuse("The client's keys cannot be fetched from the address that is registered.") from fault
        self._kept[url] = (time.monotonic(), keys)
        return keys

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


def _refuse(text: str) -> Unauthenticated:
    return Unauthenticated(text, key="invalid_client")
