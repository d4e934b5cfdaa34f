"""The listener: connections of those who may send, their frames in order, each answered before the next is taken."""

import asyncio
import contextlib
import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable

from adapters.hl7v2 import acknowledging
from adapters.hl7v2.handling import Answer
from adapters.hl7v2.mllp import Broken, Frames, framed
from adapters.hl7v2.senders import Listen, Peer, admits, shown
from service.records.model import Fault
from service.values import utc_now

log = logging.getLogger("yuanshe.hl7")

Take = Callable[[bytes, Peer], Awaitable[Answer]]

PIECE = 65536


class Listener:
    """Connections, each served by itself: a message that cannot be read ends none, and none stops the others."""

    def __init__(self, listen: Listen, take: Take) -> None:
        self._listen = listen
        self._take = take
        self._open: set[asyncio.Task[None]] = set()
        self._waiting: set[asyncio.Task[None]] = set()
        self._leaving = False

    @contextlib.asynccontextmanager
    async def running(self, port: int | None = None) -> AsyncIterator[int]:
        """Listens while the block lasts; the port. At its end messages in hand are still answered."""
        context = self._listen.tls.context() if self._listen.tls else None
        handshake = {"ssl_handshake_timeout": self._listen.slow} if context else {}
        server = await asyncio.start_server(
            self._connected, self._listen.host, self._listen.port if port is None else port, ssl=context, limit=PIECE, **handshake
        )  # fmt: skip
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            self._leaving = True
            server.close()
            for task in self._waiting:
                task.cancel()
            if self._open:
                _, late = await asyncio.wait(self._open, timeout=self._listen.slow)
                for task in late:
                    task.cancel()
                await asyncio.gather(*self._open, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        peer = _peer(writer)
        if self._leaving or len(self._open) >= self._listen.connections or not self._admitted(peer):
            log.warning("a connection was not taken: %s", "too many" if self._admitted(peer) else "not a peer")
            writer.transport.abort()
            return
        self._open.add(task)
        try:
            await self._serve(reader, writer, peer)
        except (OSError, TimeoutError, asyncio.CancelledError, ssl.SSLError):
            # The sender went away, was too slow, or we leave: what it was not answered it sends again.
            pass
        except Exception as fault:
            log.warning("a connection ended: %s", type(fault).__name__)
        finally:
            self._open.discard(task)
            writer.close()
            with contextlib.suppress(Exception, asyncio.CancelledError):
                async with asyncio.timeout(1):
                    await writer.wait_closed()

    def _admitted(self, peer: Peer) -> bool:
        return not self._listen.peers or admits(self._listen.peers, peer.address)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: Peer) -> None:
        frames = Frames(self._listen.longest)
        loop = asyncio.get_running_loop()
        begun: float | None = None
        while not self._leaving:
            if not frames.inside:
                begun = None
            elif begun is None:
                begun = loop.time()
            # However it dribbles: a message that has begun is whole within `slow` seconds.
            left = self._listen.idle if begun is None else begun + self._listen.slow - loop.time()
            data = await self._read(reader, left)
            if not data:
                return
            for frame in frames.feed(data):
                begun = None
                if isinstance(frame, Broken):
                    await self._send(writer, [self._too_long()])
                    return
                await self._send(writer, (await self._take(frame, peer)).messages)

    async def _read(self, reader: asyncio.StreamReader, seconds: float) -> bytes:
        task = asyncio.current_task()
        assert task is not None
        # Only who waits for a sender is sent away when we leave, never who has a message in hand.
        self._waiting.add(task)
        try:
            async with asyncio.timeout(max(seconds, 0)):
                return await reader.read(PIECE)
        finally:
            self._waiting.discard(task)

    async def _send(self, writer: asyncio.StreamWriter, messages: list[bytes]) -> None:
        for message in messages:
            writer.write(framed(message))
        async with asyncio.timeout(self._listen.slow):
            await writer.drain()

    def _too_long(self) -> bytes:
        fault = Fault("data-type", "MSH", f"A message has at most {self._listen.longest} octets.")
        return acknowledging.without_header("It is too long.", fault, utc_now())


def _peer(writer: asyncio.StreamWriter) -> Peer:
    address = writer.get_extra_info("peername")
    found: ssl.SSLObject | None = writer.get_extra_info("ssl_object")
    certificates = shown(found.getpeercert(binary_form=True), found.getpeercert()) if found else frozenset[str]()
    return Peer(address[0] if isinstance(address, tuple) else "", certificates)
