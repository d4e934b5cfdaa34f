"""The listener holds: against noise, slowness, crowds and strangers; and it never listens to everybody."""

import asyncio
import contextlib
import datetime as dt
import ipaddress
import os
import ssl
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.hl7v2 import senders
from adapters.hl7v2.handling import Answer, known_of
from adapters.hl7v2.listener import Listener
from adapters.hl7v2.mllp import framed
from adapters.hl7v2.senders import Configuration, Listen, Peer, Tls
from service.errors import SetupError
from tests.hl7v2.ward import HIS_A, LISTEN, Line, adt, inbox, line, listening, patient, stay_line, ward
from tests.http.world import World

ROOT = Path(__file__).parents[2]


async def test_many_messages_in_one_piece_are_answered_in_order(his: Line) -> None:
    await his.raw(b"noise" + b"".join(framed(adt("A08", str(n)).encode()) for n in range(5)))
    assert [(await his.answer()).control_id for _ in range(5)] == ["0", "1", "2", "3", "4"]


async def test_a_message_may_come_byte_by_byte(his: Line) -> None:
    for byte in framed(adt("A01", "1").encode()):
        await his.raw(bytes([byte]))
    assert (await his.answer()).code == "AA"


async def test_one_that_is_too_long_is_refused_and_its_line_ended_alone(world: World) -> None:
    short = msgspec.structs.replace(LISTEN, longest=2000)
    async with listening(world, listen=short) as port, line(port) as one, line(port) as other:
        await one.raw(b"\x0bMSH|^~\\&|" + b"x" * 2100)
        said = await one.answer()
        assert said.code == "AR" and "2000" in said.why
        assert await one.ended()
        assert (await other.send(adt("A01", "1"))).code == "AA"


async def test_who_is_slow_with_a_message_or_says_nothing_is_let_go(world: World) -> None:
    async with listening(world, listen=msgspec.structs.replace(LISTEN, slow=0.2)) as port, line(port) as one:
        await one.raw(b"\x0bMSH|")
        assert await one.ended()
    async with listening(world, listen=msgspec.structs.replace(LISTEN, idle=0.2)) as port, line(port) as one:
        assert await one.ended()


async def test_there_are_only_so_many_lines(world: World) -> None:
    async with listening(world, listen=msgspec.structs.replace(LISTEN, connections=1)) as port, line(port) as one:
        assert (await one.send(adt("A01", "1"))).code == "AA"
        async with line(port) as other:
            assert await other.ended()
        assert (await one.send(adt("A08", "2"))).code == "AA"


async def test_who_is_no_peer_is_not_heard(world: World) -> None:
    elsewhere = msgspec.structs.replace(LISTEN, peers=("10.1.0.0/16",))
    async with listening(world, listen=elsewhere) as port, line(port) as one:
        assert await one.ended()
    assert await inbox(world) == []


async def test_a_line_that_breaks_off_loses_nothing_of_what_was_answered(world: World) -> None:
    async with listening(world) as port:
        async with line(port) as one:
            assert (await one.send(adt("A01", "1"))).code == "AA"
            await one.raw(framed(adt("A08", "2").encode())[:40])
        async with line(port) as one:
            assert (await one.send(adt("A08", "2"))).code == "AA"
    assert [row["control_id"] for row in await inbox(world)] == ["1", "2"]


async def test_a_message_in_hand_is_answered_before_the_listener_leaves() -> None:
    taken, go = asyncio.Event(), asyncio.Event()

    async def take(raw: bytes, peer: Peer) -> Answer:
        taken.set()
        await go.wait()
        return Answer([b"MSH|^~\\&|\rMSA|AA|1\r"], True)

    async with contextlib.AsyncExitStack() as stack:
        port = await stack.enter_async_context(Listener(LISTEN, take).running(0))
        async with line(port) as one:
            await one.raw(framed(b"x"))
            await taken.wait()
            leaving = asyncio.create_task(stack.aclose())
            go.set()
            assert (await one.answer()).code == "AA"
            await leaving


async def test_a_fault_of_ours_ends_no_other_line_and_is_parked(world: World, his: Line, monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    from adapters.hl7v2 import translating

    with monkeypatch.context() as patched:
        patched.setattr(translating, "_class", lambda *_: 1 / 0)
        said = await his.send(adt("A01", "1"))
    assert (said.code, said.condition, said.key) == ("AE", "207", "internal")
    assert (await his.send(adt("A08", "2"))).code == "AA"
    assert [row["state"] for row in await inbox(world)] == ["parked", "applied"]


async def test_while_the_database_is_away_nothing_is_acknowledged_and_nothing_kept(world: World, his: Line, monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    from service.errors import Unavailable

    @contextlib.asynccontextmanager
    async def away(*_: Any, **__: Any) -> Any:
        raise Unavailable("The database is away; try again shortly.")
        yield

    with monkeypatch.context() as patched:
        patched.setattr(type(world.database), "transaction", away)
        said = await his.send(adt("A01", "1"))
    assert (said.code, said.condition) == ("AE", "207") and "again" in said.why
    assert (await his.send(adt("A01", "1"))).code == "AA"


# ---- fuzz --------------------------------------------------------------------------------------------------------------

WELL = [
    adt("A01", "1", more=("PV2|||||||||20261130", "ZPI|1|x")).encode(),
    adt("A03", "2", pv1=stay_line(disposition="1", ended="20261121")).encode("gb18030").replace(b"UNICODE UTF-8", b"GB18030"),
    adt("A40", "3", pv1="", more=("MRG|MR2^^^HIS^MR",)).encode(),
    adt("A31", "4", pid='PID|1||MR1^^^HIS^MR||""||195203|""|||a&b^c^^^^^C|||||', pv1="").encode(),
]  # fmt: skip
DELIMITED = st.sampled_from(
    [
        b"|",
        b"^",
        b"~",
        b"\\",
        b"&",
        b"\r",
        b"\n",
        b'""',
        b"\\X",
        b"\\X41\\",
        b"MSH",
        b"PID|",
        b"\x00",
        b"\xff",
        b"\x81",
        "张".encode(),
    ]
)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A message with parts cut out, doubled, swapped for delimiters or noise."""
    raw = bytearray(draw(st.sampled_from(WELL)))
    for _ in range(draw(st.integers(1, 8))):
        at, to = sorted((draw(st.integers(0, len(raw))), draw(st.integers(0, len(raw)))))
        match draw(st.integers(0, 3)):
            case 0:
                del raw[at : min(to, at + 30)]
            case 1:
                raw[at:at] = raw[at : min(to, at + 60)]
            case 2:
                raw[at:at] = draw(DELIMITED)
            case _:
                raw[at:at] = draw(st.binary(max_size=12))
    return bytes(byte for byte in raw if byte not in (0x0B, 0x1C))


EVERYTHING = bool(os.environ.get("YUANSHE_TEST_ALL"))


@pytest.mark.timeout(900 if EVERYTHING else 120)
async def test_no_message_kills_the_listener_and_each_is_answered(world: World) -> None:
    """Mutated messages and random bytes over a real socket. In `make test` a few, in `make test-all` many."""
    tried: dict[str, int] = {}
    loop = asyncio.get_running_loop()
    async with ward(world) as his:

        async def one(raw: bytes) -> None:
            said = await his.send(raw)
            assert said.code in ("AA", "AE", "AR"), said
            tried[said.code] = tried.get(said.code, 0) + 1

        @settings(
            max_examples=2000 if EVERYTHING else 60,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(
            st.one_of(
                mutated(),
                mutated(),
                st.binary(max_size=200).map(lambda raw: bytes(b for b in raw if b not in (0x0B, 0x1C))),
            )
        )
        def each(raw: bytes) -> None:
            asyncio.run_coroutine_threadsafe(one(raw), loop).result(60)

        await asyncio.to_thread(each)
        assert (await his.send(adt("A01", "at-last", mr="MR9", stay="S9"))).code == "AA"
    assert {"AE", "AR"} <= tried.keys(), tried
    for row in await inbox(world):
        assert row["state"] != "parked" or row["key"] != "internal", row["body"]


@pytest.mark.timeout(900 if EVERYTHING else 120)
async def test_no_stream_kills_the_listener(world: World) -> None:
    """Noise that is in no frame, in several, in half of one; each on a line of its own that breaks off."""
    loop = asyncio.get_running_loop()
    pieces = st.sampled_from([b"\x0b", b"\x1c", b"\r", b"\x1c\r", framed(WELL[0]), WELL[1][:90], b"\x0bMSH|"])
    async with listening(world, listen=msgspec.structs.replace(LISTEN, slow=1.0, longest=3000)) as port:

        async def one(parts: list[bytes]) -> None:
            async with line(port) as noise:
                with contextlib.suppress(ConnectionError):
                    for part in parts:
                        await noise.raw(part)

        @settings(
            max_examples=500 if EVERYTHING else 30,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(st.lists(st.one_of(pieces, st.binary(max_size=300)), max_size=8))
        def each(parts: list[bytes]) -> None:
            asyncio.run_coroutine_threadsafe(one(parts), loop).result(60)

        await asyncio.to_thread(each)
        async with line(port) as his:
            assert (await his.send(adt("A01", "at-last", mr="MR9", stay="S9"))).code == "AA"


# ---- who may send ------------------------------------------------------------------------------------------------------

CLOSED = Configuration(LISTEN, (HIS_A,))
OTHER = msgspec.structs.replace(HIS_A, name="his-b", hospital="hospital-b", application="HISB")


@pytest.mark.parametrize(
    ("read", "says"),
    [
        (Configuration(Listen(), (HIS_A,)), "never listens to everybody"),
        (Configuration(Listen(host="0.0.0.0"), (HIS_A,)), "never listens to everybody"),
        (Configuration(Listen(peers=("0.0.0.0/0",)), (HIS_A,)), "everybody"),
        (Configuration(Listen(peers=("10.0.0.1/8",)), (HIS_A,)), "networks"),
        (Configuration(LISTEN, ()), "At least one"),
        (Configuration(LISTEN, (HIS_A, OTHER)), "proves nothing"),
        (Configuration(LISTEN, (msgspec.structs.replace(HIS_A, certificates=("his-a",)),)), "need [listen.tls]"),
        (Configuration(LISTEN, (msgspec.structs.replace(HIS_A, dispositions={"H": "7"}),)), "way of leaving"),
        (Configuration(LISTEN, (msgspec.structs.replace(HIS_A, zone="Nowhere/Town"),)), "time zone"),
        (Configuration(LISTEN, (HIS_A, HIS_A)), "name of its own"),
        (Configuration(LISTEN, (msgspec.structs.replace(HIS_A, stay=senders.Stay("urn:s", "PV119")),)), "PV1-19"),
    ],
)
def test_a_configuration_that_would_let_anybody_in_or_means_nothing_is_refused(read: Configuration, says: str) -> None:
    senders.check(CLOSED)
    with pytest.raises(SetupError, match=says.replace("[", r"\[").replace(".", r"\.")):
        senders.check(read)


def test_a_configuration_file_says_what_is_wrong_in_it(tmp_path: Path) -> None:
    file = tmp_path / "hl7.toml"
    file.write_text('[listen]\npeers = ["127.0.0.0/8"]\nport = "x"\n')
    with pytest.raises(SetupError, match="port"):
        senders.load(file)
    file.write_text('[listen]\npeers = ["127.0.0.0/8"]\nwelcome = true\n')
    with pytest.raises(SetupError, match="welcome"):
        senders.load(file)
    with pytest.raises(SetupError, match="cannot be read"):
        senders.load(tmp_path / "absent.toml")


def test_the_configuration_of_the_page_is_one(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "hl7v2.md").read_text()
    file = tmp_path / "hl7.toml"
    file.write_text(page.partition("```toml\n")[2].partition("```")[0])
    read = senders.load(file)
    assert read.sender[0].destinations["CHC1"].region == "520502002" and read.listen.tls is not None


async def test_the_demo_network_has_a_configuration_that_fits_it(world: World) -> None:
    read = senders.load(ROOT / "adapters" / "network" / "hl7.toml")
    known = await known_of(world.database, read.sender)
    hospitals = {f"Organization/{one.hospital}" for one in known.values()}
    assert hospitals == {world.organizations["hospital-a"]}


async def test_a_sender_is_known_by_where_it_sends_from_not_by_what_it_says(world: World) -> None:
    one = msgspec.structs.replace(HIS_A, peers=("10.0.0.0/8",))
    two = msgspec.structs.replace(OTHER, peers=("127.0.0.0/8",))
    async with ward(world, his=one) as his:
        assert (await his.send(adt("A01", "1"))).key == "unknown-sender"
    async with listening(world, two, his=one) as port, line(port) as his:
        assert (await his.send(adt("A01", "2").replace("|HIS|A", "|HISB|A"))).code == "AA"
    async with world.as_owner() as connection:
        hospital = await connection.fetchval("SELECT hospital_id FROM patient")
    assert f"Organization/{hospital}" == world.organizations["hospital-b"]


class Authority:
    """A certificate authority of nobody, and what it signs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")])
        self.file = folder / f"{id(self)}.pem"
        self.file.write_bytes(self._signed(self._name, self._key.public_key(), authority=True).public_bytes(serialization.Encoding.PEM))  # fmt: skip

    def _signed(self, subject: x509.Name, key: Any, *, authority: bool = False) -> x509.Certificate:
        now = dt.datetime.now(dt.UTC)
        alternative = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        made = (
            x509.CertificateBuilder().subject_name(subject).issuer_name(self._name).public_key(key).serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1)).not_valid_after(now + dt.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )  # fmt: skip
        if not authority:
            made = made.add_extension(alternative, critical=False)
        return made.sign(self._key, hashes.SHA256())

    def sign(self, name: str) -> tuple[Path, Path]:
        """A certificate and its key, in files."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._signed(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), key.public_key())
        files = self.folder / f"{name}-{id(self)}.crt", self.folder / f"{name}-{id(self)}.key"
        files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        files[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))  # fmt: skip
        return files

    def client(self, *own: Path) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.file))
        if own:
            context.load_cert_chain(*own)
        return context


async def test_with_mutual_tls_a_sender_is_known_by_its_certificate(world: World, tmp_path: Path) -> None:
    ours, stranger = Authority(tmp_path), Authority(tmp_path)
    server, key = ours.sign("yuanshe")
    listen = Listen(tls=Tls(str(server), str(key), str(ours.file)))
    known = msgspec.structs.replace(HIS_A, certificates=("HIS-A.example",))
    async with listening(world, listen=listen, his=known) as port:
        async with line(port, ours.client(*ours.sign("his-a.example"))) as his:
            assert (await his.send(adt("A01", "1"))).code == "AA"
        async with line(port, ours.client(*ours.sign("another.example"))) as his:
            assert (await his.send(adt("A01", "2", mr="MR2"))).key == "unknown-sender"
        for context in (ours.client(), ours.client(*stranger.sign("his-a.example"))):
            with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
                async with line(port, context) as his:
                    await his.send(adt("A01", "3"))
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            async with line(port) as his:
                await his.send(adt("A01", "4"))
    assert (await patient(world))["name"][0]["text"] == "陈素芬"
    assert [row["state"] for row in await inbox(world)] == ["applied", "parked"]
