"""A hospital's system as it speaks HL7 v2: its messages, its connection, and the answers that it gets."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from typing import Any

from adapters.hl7v2 import senders
from adapters.hl7v2.er7 import Message
from adapters.hl7v2.handling import Interface, known_of
from adapters.hl7v2.listener import Listener
from adapters.hl7v2.mllp import framed
from adapters.hl7v2.senders import Configuration, Listen, Sender, Stay
from tests.http.world import CITIZEN, World

NUMBERS, STAYS = "urn:his-a:patient", "urn:his-a:stay"
HIS_A = Sender(
    name="his-a",
    hospital="hospital-a",
    identifiers={"MR": NUMBERS, "NI": CITIZEN, "PID-19": CITIZEN},
    application="HIS",
    stay=Stay(STAYS),
    wards={"W03": "心内科病区"},
    destinations={"CHC1": senders.Destination("示例社区卫生服务中心", "520502002")},
)
LISTEN = Listen(peers=("127.0.0.0/8", "::1/128"))


def stay_line(
    kind: str = "I", place: str = "W03^12^02", stay: str = "S1", disposition: str = "", to: str = "", began: str = "", ended: str = ""
) -> str:  # fmt: skip
    """A PV1."""
    fields = [""] * 46
    fields[0:4] = ["PV1", "1", kind, place]
    fields[19], fields[36], fields[37], fields[44], fields[45] = stay, disposition, to, began, ended
    return "|".join(fields).rstrip("|")


def adt(
    trigger: str, control_id: str, *, at: str = "20261121100000", pid: str | None = None, pv1: str | None = None, msh: str = "|",
    more: tuple[str, ...] = (), mr: str = "MR1", stay: str = "S1", name: str = "陈^素芬^^^^^L", version: str = "2.5", charset: str = "UNICODE UTF-8",
) -> str:  # fmt: skip
    """A message; `pid` and `pv1` are whole lines where they are given, an empty one leaves the segment out. `msh`: MSH-15 and 16."""
    pid = f"PID|1||{mr}^^^HIS^MR||{name}||19520315|F" if pid is None else pid
    pv1 = stay_line(stay=stay) if pv1 is None else pv1
    head = f"MSH|^~\\&|HIS|A|YUANSHE|P|{at}||ADT^{trigger}|{control_id}|P|{version}|||{msh}||{charset}"
    return "\r".join(part for part in (head, f"EVN||{at}", pid, *more, pv1) if part) + "\r"


class Acked:
    """What was answered to a message."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        charset = next(
            (
                codec
                for said, codec in ((b"GB 18030", "gb18030"), (b"8859/1", "latin-1"))
                if said in raw.split(b"\r")[0]
            ),
            "utf-8",
        )
        self.message = Message(raw.decode(charset), charset)
        msa = self.message.first("MSA")
        assert msa is not None, raw
        self.code, self.control_id, self.text = msa.text(1), msa.text(2), msa.text(3)
        self.error = self.message.or_empty("ERR")
        self.condition, self.key, self.place, self.why = (
            self.error.text(3), self.error.text(5), self.error.raw(2), self.error.text(8)
        )  # fmt: skip

    def __repr__(self) -> str:
        return self.message.text.replace("\r", "\n")


class Line:
    """A connection to a listener."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def raw(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self) -> Acked:
        async with asyncio.timeout(20):
            return Acked((await self.reader.readuntil(b"\x1c\r"))[1:-2])

    async def send(self, message: str | bytes, charset: str = "utf-8") -> Acked:
        await self.raw(framed(message.encode(charset) if isinstance(message, str) else message))
        return await self.answer()

    async def ended(self) -> bool:
        """Whether the other side has closed it."""
        async with asyncio.timeout(20):
            try:
                return await self.reader.read() == b""
            except ConnectionError:
                return True


@contextlib.asynccontextmanager
async def line(port: int, context: ssl.SSLContext | None = None) -> AsyncIterator[Line]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    try:
        yield Line(reader, writer)
    finally:
        writer.close()


@contextlib.asynccontextmanager
async def listening(world: World, *more: Sender, listen: Listen = LISTEN, his: Sender = HIS_A) -> AsyncIterator[int]:
    """A listener on the world's database; its port."""
    read = Configuration(listen, (his, *more))
    senders.check(read)
    interface = Interface(world.database, await known_of(world.database, read.sender))
    async with Listener(listen, interface.answer).running(0) as port:
        yield port


@contextlib.asynccontextmanager
async def ward(world: World, **how: Any) -> AsyncIterator[Line]:
    """One connection of the hospital's system."""
    async with listening(world, **how) as port, line(port) as one:
        yield one


async def patient(world: World, mr: str = "MR1") -> dict[str, Any]:
    """The person with this number, as the hospital reads them over FHIR."""
    found = await world.party("his-a").search(f"Patient?identifier={NUMBERS}|{mr}")
    assert len(found) == 1, found
    return found[0]


async def stays(world: World, mr: str = "MR1") -> list[dict[str, Any]]:
    person = await patient(world, mr)
    return await world.party("his-a").search(f"Encounter?patient=Patient/{person['id']}")


async def stay(world: World, mr: str = "MR1") -> dict[str, Any]:
    """The person's only stay."""
    found = await stays(world, mr)
    assert len(found) == 1, found
    return found[0]


async def inbox(world: World) -> list[Any]:
    """Every message in the inbox, oldest first."""
    async with world.as_owner() as connection:
        return await connection.fetch("SELECT * FROM hl7_message ORDER BY id")
