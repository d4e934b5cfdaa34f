"""What notices are tested with: two organisations, events of a referral, and a real HTTP server that listens for them."""

import asyncio
import contextlib
import ipaddress
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime

import msgspec
import pytest

from service import db, events
from service.access.model import Actor
from service.practice import PLATFORM
from service.values import Id, new_id

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)
HOSPITAL = Actor(new_id(), "client", new_id(), "hospital", "his")
AGENCY = Actor(new_id(), "client", new_id(), "agency", "agency")
OTHER_AGENCY = Actor(new_id(), "client", new_id(), "agency", "another agency")
COORDINATOR = Actor(new_id(), "client", PLATFORM, "platform", "platform")


@pytest.fixture
async def service(database) -> AsyncIterator[db.Database]:
    """The service's own pool, as the role without privileges."""
    pool = await db.connect(database.app_dsn, size=24)
    yield pool
    await pool.close()


def happened(referral: Id, kind: str = "offer", agency: Id | None = AGENCY.organization, **more) -> events.Event:
    return events.Event(
        id=new_id(),
        referral=referral,
        kind=kind,
        at=datetime.now(UTC),
        by=HOSPITAL.id,
        by_role="hospital",
        by_organization=HOSPITAL.organization,
        by_name="his",
        hospital=HOSPITAL.organization,
        agency=agency,
        task=more.pop("task", new_id()),
        **more,
    )


async def new_referral(service: db.Database) -> Id:
    referral = new_id()
    async with service.transaction(COORDINATOR.scope) as session:
        await session.execute("INSERT INTO referral_counter (referral_id) VALUES ($1)", referral)
    return referral


async def happen(service: db.Database, referral: Id, *kinds: str, **more) -> list[events.Event]:
    """Commit one event a kind, all in one transaction."""
    made = [happened(referral, kind, **more) for kind in kinds]
    async with service.transaction(COORDINATOR.scope) as session:
        await events.append(session, referral, made)
    return made


async def as_platform(service: db.Database, run: Callable[[db.Session], Awaitable]):
    async with service.transaction(COORDINATOR.scope) as session:
        return await run(session)


class Received(msgspec.Struct):
    """One POST as it came in."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def json(self):
        return msgspec.json.decode(self.body)


class Listener:
    """A subscriber's HTTP server. `answers` gives the status lines to send by path, in turn; the last one stays."""

    def __init__(self) -> None:
        self.received: asyncio.Queue[Received] = asyncio.Queue()
        self.answers: dict[str, list[str]] = {}
        self.silent: set[str] = set()
        """Paths at which a request is read and never answered."""
        self.url = ""
        self._open: set[asyncio.StreamWriter] = set()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            first, *lines = head.strip().split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            path = first.split(" ")[1]
            self.received.put_nowait(Received(path, headers, body))
            if path in self.silent:
                await reader.read()  # until the other side gives up
                return
            answers = self.answers.get(path, ["204 No Content"])
            line = answers.pop(0) if len(answers) > 1 else answers[0]
            writer.write(f"HTTP/1.1 {line}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode())
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._open.discard(writer)
            writer.close()

    async def next(self) -> Received:
        """The next POST. No limit of its own: the suite's limit on a test says when one never came."""
        return await self.received.get()

    async def next_event(self) -> Received:
        """The next POST that is no handshake."""
        while True:
            got = await self.next()
            if got.json["type"] == "urn:yuanshe:event":
                return got


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    listener = Listener()
    server = await asyncio.start_server(listener.answer, "127.0.0.1", 0)
    listener.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield listener
    server.close()
    for writer in list(listener._open):
        writer.close()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(server.wait_closed(), 5)
