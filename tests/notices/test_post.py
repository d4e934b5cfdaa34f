"""A post goes to the address that was checked, whatever the name comes to mean, and one that hangs is cut off."""

import asyncio
import contextlib
import ssl
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from adapters.delivery.post import posting
from service.notices.model import Message, Notice, Outcome, Outgoing, Subscriber
from service.values import new_id

from .conftest import LOOPBACK, Listener

NOW = datetime.now(UTC)
SECRET = "whsec_" + "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"


def outgoing(endpoint: str) -> Outgoing:
    to = Subscriber(
        id=new_id(), organization=new_id(), client=new_id(), whole_network=False, state="active", endpoint=endpoint,
        headers=(), format="json", topic="", about="any", kinds=(), filters={}, event_number=0, failures=0,
        last_error=None, created_at=NOW, changed_at=NOW, version=1, ends_at=None, terms={},
    )  # fmt: skip
    return Outgoing(Notice(delivery=new_id(), number=1, attempts=0, created_at=NOW, subscriber=to, event=None), SECRET)


class Names:
    """A resolver that says what the test wants, and remembers what it was asked."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    async def __call__(self, host, port):
        self.asked.append((host, port))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


async def send(endpoint, names, networks=LOOPBACK, timeout=10) -> Outcome:
    async with posting(networks, timeout, resolver=names) as post:
        return await post(outgoing(endpoint), Message("application/json", b"{}"), NOW)


async def test_the_name_is_resolved_once_and_its_checked_address_is_what_is_reached(listener):
    port = listener.url.rpartition(":")[2]
    names = Names(("127.0.0.1",))
    outcome = await send(f"http://his.example:{port}/hook?q=1", names)
    assert outcome.arrived
    got = await listener.next()
    assert (got.path, got.headers["host"]) == ("/hook?q=1", f"his.example:{port}")
    assert names.asked == [("his.example", int(port))]


@pytest.mark.parametrize("addresses", [("127.0.0.1",), ("93.184.216.34", "127.0.0.1"), ("::ffff:127.0.0.1",), ()])
async def test_a_name_that_has_come_to_mean_an_inner_address_is_not_reached(listener, addresses):
    """Behaviour 34: the address is checked at the moment of connecting, so that a name cannot be bound anew in between."""
    port = listener.url.rpartition(":")[2]
    outcome = await send(f"https://his.example:{port}/hook", Names(addresses), networks=())
    assert outcome == Outcome(error="address-not-allowed")
    assert listener.received.empty()


async def test_the_next_address_is_tried_when_one_refuses(listener):
    port = listener.url.rpartition(":")[2]
    assert (await send(f"http://his.example:{port}/hook", Names(("127.0.0.9", "127.0.0.1")))).arrived


async def test_a_proxy_of_the_environment_is_not_used(listener, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", listener.url)
    monkeypatch.setenv("ALL_PROXY", listener.url)
    assert await send("http://127.0.0.1:1/hook", Names(("127.0.0.1",))) == Outcome(error="no-connection")
    assert listener.received.empty()


async def test_faults_are_told_in_one_word_of_ours():
    assert await send("http://his.example/", Names(OSError())) == Outcome(error="host-not-found")
    assert await send("http://his.example:1/", Names(("127.0.0.1",))) == Outcome(error="no-connection")


def certificate(name: str, folder) -> tuple[str, ssl.SSLContext]:
    """A certificate that signs itself for one name: its file, and a server's context."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    public, private = folder / f"{name}.pem", folder / f"{name}.key"
    public.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    return str(public), context


async def test_the_certificate_must_be_that_of_the_name_though_the_address_is_reached(tmp_path, monkeypatch):
    heard = Listener()
    trusted, context = certificate("his.example", tmp_path)
    server = await asyncio.start_server(heard.answer, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    assert await send(f"https://his.example:{port}/", Names(("127.0.0.1",))) == Outcome(error="tls")
    monkeypatch.setenv("SSL_CERT_FILE", trusted)
    assert (await send(f"https://his.example:{port}/", Names(("127.0.0.1",)))).arrived
    assert await send(f"https://other.example:{port}/", Names(("127.0.0.1",))) == Outcome(error="tls")
    assert heard.received.qsize() == 1
    server.close()


@contextlib.asynccontextmanager
async def keeping(answers: int, context: ssl.SSLContext | None = None):
    """A server that keeps a connection for so many answers, then closes it without a word; what came on which connection."""
    connections: list[list[str]] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        mine: list[str] = []
        connections.append(mine)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            for _ in range(answers):
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                await reader.readexactly(int(head.partition("content-length:")[2].partition("\r\n")[0]))
                mine.append(head.partition("host: ")[2].partition(":")[0])
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
            await reader.read(1)  # a request of which nothing is read any more
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    async with server:
        yield connections, server.sockets[0].getsockname()[1]


async def test_a_connection_is_kept_for_the_next_notice_to_the_same_name_and_for_no_other(tmp_path, monkeypatch):
    """Behaviour 34: what a connection was checked for, address and certificate, is what it is used for."""
    trusted, context = certificate("his.example", tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", trusted)
    names = Names(("127.0.0.1",), ("127.0.0.1",))
    async with keeping(10, context) as (connections, port), posting(LOOPBACK, 10, resolver=names) as post:
        for host, outcome in (
            ("his.example", Outcome(status=200)), ("his.example", Outcome(status=200)), ("other.example", Outcome(error="tls")),
        ):  # fmt: skip
            assert await post(outgoing(f"https://{host}:{port}/"), Message("application/json", b"{}"), NOW) == outcome
    assert names.asked == [("his.example", port), ("other.example", port)]
    assert [each for each in connections if each] == [["his.example", "his.example"]]


async def test_a_kept_connection_that_was_closed_is_no_failure_of_the_subscriber():
    async with (
        keeping(1) as (connections, port),
        posting(LOOPBACK, 10, resolver=Names(*[("127.0.0.1",)] * 3)) as post,
    ):
        for _ in range(3):
            assert (
                await post(outgoing(f"http://his.example:{port}/"), Message("application/json", b"{}"), NOW)
            ).arrived
    assert connections == [["his.example"]] * 3


async def test_a_subscriber_that_closes_without_an_answer_is_told_as_such():
    async with keeping(0) as (connections, port):
        assert await send(f"http://his.example:{port}/", Names(("127.0.0.1",))) == Outcome(error="broken-off")
    assert len(connections) == 1


async def test_a_subscriber_that_never_answers_is_cut_off(listener):
    listener.silent.add("/hook")
    assert await send(f"{listener.url}/hook", Names(("127.0.0.1",)), timeout=0.2) == Outcome(error="timeout")


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("120", 120), ("soon", None), ("-5", None), ("Wed, 21 Oct 2015 07:28:00 GMT", "past")],
)
async def test_retry_after_is_read_as_seconds_or_a_date(listener, said, seconds):
    listener.answers["/hook"] = [f"503 Busy\r\nretry-after: {said}"]
    outcome = await send(f"{listener.url}/hook", Names(("127.0.0.1",)))
    assert outcome.status == 503
    if seconds == "past":
        assert outcome.retry_after < 0
    else:
        assert outcome.retry_after == seconds


async def test_a_cookie_of_one_subscriber_is_sent_to_nobody(listener):
    port = listener.url.rpartition(":")[2]
    listener.answers["/hook"] = ["204 No Content\r\nset-cookie: session=of-the-first"]
    async with posting(LOOPBACK, 10, resolver=Names(("127.0.0.1",), ("127.0.0.1",))) as post:
        for host in ("first.example", "second.example"):
            assert (await post(outgoing(f"http://{host}:{port}/hook"), Message("application/json", b"{}"), NOW)).arrived
    assert ["cookie" in (await listener.next()).headers for _ in range(2)] == [False, False]
