"""Decides where a notice may go: https to public addresses, anything to the networks the operator names, mail where there is any."""

import ipaddress
import re
from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

import msgspec

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

NAT64 = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/48"))
# Kept here because Python's own list of what is not public differs between its patch releases.
NEVER = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24",
        "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
        "::/96", "::ffff:0:0:0/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16",
        "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
    )
)  # fmt: skip
"""IANA's special-purpose registries (RFC 6890, its successors), and old ways of hiding an IPv4 address in IPv6."""


def allowed(url: str, addresses: Iterable[str], networks: Sequence[Network]) -> bool:
    """Whether a post to `url`, whose host stands for `addresses`, is allowed."""
    return fault(url, addresses, networks) is None


def fault(url: str, addresses: Iterable[str], networks: Sequence[Network]) -> str | None:
    """Why a post to `url` is not allowed, or None. Every address that its host stands for must be allowed.

    No addresses at all (a host that nobody knows yet) is no fault of the URL: the check is made again when sending.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "it cannot be read as a URL"
    if parts.scheme not in ("https", "http"):
        return "only https is used"
    if not host or port == 0:
        return "it names no host"
    if parts.username is not None or parts.password is not None:
        return "credentials belong into a header, not into the URL"
    if parts.fragment or any(ord(letter) <= 32 or ord(letter) == 127 for letter in url):
        return "it holds a fragment, a space or a control character"
    for text in addresses:
        try:
            address = _plain(ipaddress.ip_address(text))
        except ValueError:
            return "its host has an address that cannot be read"
        if any(address in network for network in networks if network.version == address.version):
            continue
        if not _public(address):
            return "its host is not a public address"
        if parts.scheme == "http":
            return "only https is used on public addresses"
        if port is not None and port < 1024 and port != 443:
            return "its port belongs to another protocol: use 443, or one from 1024 on"
    if parts.scheme == "http" and not networks:
        return "only https is used"
    return None


LOCAL = re.compile(r"(?=.{1,64}$)[A-Za-z0-9!#$&'*+/=^_`{|}~-]+(\.[A-Za-z0-9!#$&'*+/=^_`{|}~-]+)*")
DOMAIN = re.compile(
    r"(?=.{1,253}$)([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z][A-Za-z0-9-]{0,61}[A-Za-z0-9]"
)


def mailbox(url: str) -> str | None:
    """The one address of `mailto:somebody@example.org`; None for anything more or other (headers, lists, percent signs)."""
    scheme, _, address = url.partition(":")
    local, _, domain = address.rpartition("@")
    return address if scheme == "mailto" and LOCAL.fullmatch(local) and DOMAIN.fullmatch(domain) else None


def host_of(url: str) -> str:
    """Where an endpoint is, without what in it may be a secret or a person's name: its path, its mailbox."""
    if address := mailbox(url):
        return f"mailto:*@{address.rpartition('@')[2]}"
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('/')[0].partition('?')[0]}"


class Reach(msgspec.Struct, frozen=True):
    """Where notices may go in this deployment: `networks` besides public https, and mail if it `mails` at all, to these
    `domains` alone where any are named."""

    networks: tuple[Network, ...] = ()
    mails: bool = False
    domains: tuple[str, ...] = ()


def mail_fault(url: str, reach: Reach) -> str | None:
    """Why a mail to `url` is not allowed, or None."""
    address = mailbox(url)
    if address is None:
        return "it is one plain address, as mailto:notices@example.org"
    domain = address.rpartition("@")[2].lower()
    if reach.domains and domain not in reach.domains:
        return "mail goes to other domains only, which the operator names"
    return None


def _plain(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for, so that 127.0.0.1 is seen in every disguise."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.scope_id is not None:
        raise ValueError("a zone names an interface of this machine")
    if address.ipv4_mapped:
        return address.ipv4_mapped
    if address in NAT64[0]:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _public(address: Address) -> bool:
    if any(address in network for network in NEVER if network.version == address.version):
        return False
    return not (address.is_private or address.is_multicast or address.is_reserved or address.is_unspecified)
