"""Who may send, and what their words mean: the configuration file of the HL7 v2 interface (docs/hl7v2.md)."""

import hashlib
import ipaddress
import re
import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

import msgspec

from adapters.hl7v2.er7 import Segment
from service import codes
from service.errors import SetupError
from service.values import Id

_FIELD = re.compile(r"[A-Z][A-Z0-9]{2}-[1-9]\d?\Z")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Tls(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Mutual TLS: our certificate and key, and the authorities that sign those of the senders (PEM files)."""

    certificate: str
    key: str
    clients: str

    def context(self) -> ssl.SSLContext:
        """Raises SetupError for files that cannot be used."""
        try:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=self.clients)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_cert_chain(self.certificate, self.key)
        except (OSError, ssl.SSLError) as fault:
            raise SetupError(f"[listen.tls]: the certificate, the key or the clients' authorities cannot be read ({type(fault).__name__}).") from fault  # fmt: skip
        return context


class Listen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where it listens, to whom, and how patiently. `peers` are networks; `longest` octets of a message; seconds a
    connection may be `idle`, and a sender `slow` with one message or with taking its answer."""

    host: str = "127.0.0.1"
    port: int = 2575
    peers: tuple[str, ...] = ()
    tls: Tls | None = None
    longest: int = 1_000_000
    idle: float = 600.0
    slow: float = 30.0
    connections: int = 64


class Stay(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the number of a stay (住院号) stands, and the identifier system that it is of."""

    system: str
    field: str = "PV1-19"


class Destination(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An institution that people are discharged to: its name, and the region code of where it is."""

    name: str
    region: str | None = None


class Sender(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One system of one hospital.

    It is known by its `peers` (networks) or `certificates` (a name in the certificate, or its SHA-256 in hex), and by MSH-3
    and MSH-4 (`application`, `facility`) where they are said. `identifiers`: `TYPE`, `TYPE@AUTHORITY` or `@AUTHORITY` of
    PID-3, or a field such as `PID-19` → identifier system. `dispositions`: PV1-36 → national code of the way of leaving;
    `disposition_unsaid` where a discharge says none. `district`: the component of PID-11 with the region code.
    """

    name: str
    hospital: str
    identifiers: dict[str, str]
    application: str | None = None
    facility: str | None = None
    peers: tuple[str, ...] = ()
    certificates: tuple[str, ...] = ()
    charset: Literal["utf-8", "gb18030"] | None = None
    zone: str = "Asia/Shanghai"
    processing: Literal["P", "T", "D"] = "P"
    stay: Stay | None = None
    wards: dict[str, str] = {}
    dispositions: dict[str, str] = {}
    disposition_unsaid: str | None = None
    destinations: dict[str, Destination] = {}
    genders: dict[str, Literal["male", "female", "other", "unknown"]] = {}
    district: int = 9
    silent: bool = False

    @property
    def time_zone(self) -> ZoneInfo:
        return ZoneInfo(self.zone)


class Configuration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    listen: Listen
    sender: tuple[Sender, ...]


class Peer(msgspec.Struct, frozen=True):
    """The other end of a connection: its address, and the names and hash of its certificate, where it showed one."""

    address: str
    certificates: frozenset[str] = frozenset()


def load(file: Path) -> Configuration:
    """The configuration. Raises SetupError that says what is wrong, and where."""
    try:
        read = msgspec.toml.decode(file.read_bytes(), type=Configuration)
    except OSError as fault:
        raise SetupError(f"{file} cannot be read ({fault.strerror}).") from fault
    except (msgspec.ValidationError, msgspec.DecodeError) as fault:
        raise SetupError(f"{file}: {fault}") from None
    try:
        check(read)
    except SetupError as fault:
        raise SetupError(f"{file}: {fault}") from None
    return read


def check(read: Configuration) -> None:
    """Raise SetupError unless everybody who may send is known for who they are, and every word has a meaning."""
    listen = read.listen
    if listen.tls is None and not listen.peers:
        raise SetupError("[listen] needs peers (a list of networks) or [listen.tls] (mutual TLS): it never listens to everybody.")  # fmt: skip
    if not read.sender:
        raise SetupError("At least one [[sender]] is needed.")
    if not 0 <= listen.port <= 65535 or min(listen.longest, listen.idle, listen.slow, listen.connections) <= 0:
        raise SetupError("[listen]: port is a number to 65535; longest, idle, slow and connections are above 0.")
    for place, peers in (("[listen]", listen.peers), *((f"sender {one.name}", one.peers) for one in read.sender)):
        for network in _networks(peers, place):
            if network.prefixlen == 0 and listen.tls is None:
                raise SetupError(f"{place}: peers that are everybody are no list of peers; use [listen.tls].")
    if len({one.name for one in read.sender}) != len(read.sender):
        raise SetupError("Every sender has a name of its own.")
    hospitals = {one.hospital for one in read.sender}
    for one in read.sender:
        _check_sender(one, several=len(hospitals) > 1, tls=listen.tls is not None)


def _check_sender(one: Sender, *, several: bool, tls: bool) -> None:
    place = f"sender {one.name}"
    if not one.name or len(one.name) > 60 or one.name.startswith("?"):
        raise SetupError("A sender's name has 1 to 60 characters and does not begin with a question mark.")
    if several and not (one.peers or one.certificates):
        raise SetupError(f"{place}: where several hospitals send, each sender has peers or certificates of its own; what MSH says proves nothing.")  # fmt: skip
    if one.certificates and not tls:
        raise SetupError(f"{place}: certificates need [listen.tls].")
    if not one.identifiers:
        raise SetupError(f"{place}: identifiers say which number of a person is of which system.")
    if one.stay is not None and not _FIELD.match(one.stay.field):
        raise SetupError(f"{place}: the field of a stay's number reads as PV1-19, not {one.stay.field!r}.")
    if not 1 <= one.district <= 23:
        raise SetupError(f"{place}: district is a component of PID-11, 1 to 23.")
    for code in (*one.dispositions.values(), *filter(None, [one.disposition_unsaid])):
        if not codes.known(codes.DISPOSITION, code):
            raise SetupError(f"{place}: a way of leaving is 1, 2, 3, 4, 5 or 9 (离院方式), not {code!r}.")
    try:
        one.time_zone.key  # noqa: B018 - that there is such a zone
    except (KeyError, ValueError) as fault:
        raise SetupError(f"{place}: there is no time zone {one.zone!r}.") from fault


def _networks(texts: Sequence[str], place: str) -> tuple[Network, ...]:
    try:
        return tuple(ipaddress.ip_network(text) for text in texts)
    except ValueError as fault:
        raise SetupError(f"{place}: peers are networks such as 10.1.0.0/16: {fault}.") from None


def admits(networks: Sequence[str], address: str) -> bool:
    """Whether the address is in one of the networks."""
    try:
        at = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = at.ipv4_mapped if isinstance(at, ipaddress.IPv6Address) else None
    return any((mapped or at) in network for network in map(ipaddress.ip_network, networks))


def sender_of(senders: Sequence[Sender], header: Segment, peer: Peer) -> Sender | None:
    """Whose message this is: the first that fits in everything that is said of it."""
    for one in senders:
        if one.application is not None and not _is(header, 3, one.application):
            continue
        if one.facility is not None and not _is(header, 4, one.facility):
            continue
        if one.peers and not admits(one.peers, peer.address):
            continue
        if one.certificates and peer.certificates.isdisjoint(each.lower() for each in one.certificates):
            continue
        return one
    return None


def admitted_by_name(known: Mapping[str, "Known"], header: Segment) -> "Known | None":
    """Of a message that a person replays and that came from nobody known: the one sender that is said by what MSH says."""
    fit = [
        one
        for one in known.values()
        if (one.sender.application or one.sender.facility)
        and (one.sender.application is None or _is(header, 3, one.sender.application))
        and (one.sender.facility is None or _is(header, 4, one.sender.facility))
    ]
    return fit[0] if len(fit) == 1 else None


def _is(header: Segment, field: int, wanted: str) -> bool:
    return wanted in (header.raw(field), header.text(field, 1))


def stranger(header: Segment) -> str:
    """What a sender is called that nobody configured: the same for the same MSH-3 and MSH-4."""
    said = f"{header.raw(3)}\0{header.raw(4)}".encode("utf-8", "replace")
    return f"?{hashlib.sha256(said).hexdigest()[:16]}"


def shown(certificate: bytes | None, fields: dict[str, Any] | None) -> frozenset[str]:
    """The names in a certificate that was verified, and its SHA-256 in hex; in small letters."""
    if not certificate:
        return frozenset()
    names = {value for part in (fields or {}).get("subject", ()) for key, value in part if key == "commonName"}
    names |= {value for _, value in (fields or {}).get("subjectAltName", ())}
    return frozenset(name.lower() for name in names) | {hashlib.sha256(certificate).hexdigest()}


class Known(msgspec.Struct, frozen=True):
    """A sender and the organisation that its hospital is."""

    sender: Sender
    hospital: Id
