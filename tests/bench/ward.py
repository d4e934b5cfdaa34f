"""The load: a ward's system that submits referrals over HTTP on many connections, as a process of its own.

`python -m tests.bench.ward` reads one JSON line (Load) from its input, prints `ready`, waits for a line, submits, and
prints a JSON line (Told). Requests are made before the first is sent, so that what it takes from the cores is little.
"""

import asyncio
import sys
import time
from itertools import cycle, islice
from typing import cast

import msgspec
import uvloop

NUMBER = "000000000000"
"""Twelve digits in the placer's and the hospital's number, replaced in each submission."""
CITIZEN = "520502195203150020"
"""The citizen number, replaced in each submission by another valid one."""


class Load(msgspec.Struct):
    """`ports` are spread over the connections; `first` is the number of the first submission."""

    ports: list[int]
    token: str
    organization: str
    connections: int
    warm: float
    seconds: float
    first: int
    most: int


class Told(msgspec.Struct):
    """How many were answered with 200 within the measured `seconds`, each one's latency, and how many otherwise."""

    done: int
    seconds: float
    latencies: list[float]
    failed: int
    sent: int
    cpu: float


def bundle() -> bytes:
    """A ward's submission: the person with two numbers, the stay, a diagnosis, and the request; 3 needs, no consent yet."""
    person, stay, request, condition = (f"urn:uuid:0f0e0d0c-0b0a-4908-8706-05040302010{n}" for n in range(4))

    def entry(url: str, resource: dict[str, object]) -> dict[str, object]:
        return {"fullUrl": url, "resource": resource, "request": {"method": "POST", "url": resource["resourceType"]}}

    patient = {
        "resourceType": "Patient",
        "identifier": [
            {"system": "urn:oid:2.16.156.10011.1.3", "value": CITIZEN},
            {"system": "urn:bench:hospital-number", "value": f"ZY{NUMBER}"},
        ],
        "name": [{"use": "official", "text": "陈素芬", "family": "陈", "given": ["素芬"]}],
        "telecom": [{"system": "phone", "value": "13800000001", "use": "mobile"}],
        "gender": "female",
        "birthDate": "1952-03-15",
        "address": [{"use": "home", "text": "贵州省毕节市七星关区示例街道 1 号", "district": "520502001"}],
        "communication": [{"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": "zh"}]}, "preferred": True}],
    }
    encounter = {
        "resourceType": "Encounter",
        "status": "in-progress",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP", "display": "住院"},
        "identifier": [{"system": "urn:bench:stay", "value": f"S{NUMBER}"}],
        "subject": {"reference": person},
        "period": {"start": "2026-11-02T09:30:00+08:00"},
    }
    diagnosis = {
        "resourceType": "Condition",
        "clinicalStatus": {
            "coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}]
        },
        "code": {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10", "code": "S72.0", "display": "股骨颈骨折"}]},
        "subject": {"reference": person},
        "encounter": {"reference": stay},
    }
    asked = {
        "resourceType": "ServiceRequest",
        "status": "active",
        "intent": "order",
        "identifier": [{"system": "urn:bench:order", "value": f"R{NUMBER}"}],
        "category": [
            {"coding": [{"system": "urn:yuanshe:need", "code": code}], "text": text}
            for code, text in (
                ("N01", "经济困难，医疗费用难以承担"),
                ("N03", "情绪低落，需要心理支持"),
                ("N05", "出院后照护安排"),
            )
        ],
        "priority": "urgent",
        "authoredOn": "2026-11-20T10:15:00+08:00",
        "subject": {"reference": person},
        "encounter": {"reference": stay},
        "reasonReference": [{"reference": condition}],
        "note": [{"text": "独居，子女在外省；术后需要助行器，担心回家后无人照料。希望出院前评估居家环境。"}],
    }
    entries = [entry(person, patient), entry(stay, encounter), entry(condition, diagnosis), entry(request, asked)]
    return msgspec.json.encode({"resourceType": "Bundle", "type": "transaction", "entry": entries})


WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def citizen(n: int) -> str:
    """The n-th of ten million citizen numbers that nobody has (GB 11643), each with its check digit."""
    day, serial = divmod(n, 1000)
    year, day = divmod(day, 336)
    month, day = divmod(day, 28)
    digits = f"520502{1930 + year % 80}{month + 1:02d}{day + 1:02d}{serial:03d}"
    return digits + "10X98765432"[sum(int(d) * w for d, w in zip(digits, WEIGHTS, strict=True)) % 11]


def body(n: int) -> bytes:
    """The n-th submission: a person of their own, born on the day that the citizen number says."""
    number = citizen(n)
    born = f"{number[6:10]}-{number[10:12]}-{number[12:14]}"
    changed = bundle().replace(NUMBER.encode(), f"{n:012d}".encode()).replace(CITIZEN.encode(), number.encode())
    return changed.replace(b"1952-03-15", born.encode())


def requests(load: Load) -> list[bytes]:
    head = (
        f"POST /fhir HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {load.token}\r\n"
        "Accept: application/fhir+json\r\nContent-Type: application/fhir+json\r\nContent-Length: "
    ).encode()
    made: list[bytes] = []
    for n in range(load.first, load.first + load.most):
        one = body(n)
        made.append(head + str(len(one)).encode() + b"\r\n\r\n" + one)
    return made


class Run:
    """One run over all connections."""

    def __init__(self, load: Load, made: list[bytes]) -> None:
        self.load = load
        self.waiting = iter(made)
        self.latencies: list[float] = []
        self.failed = self.sent = 0
        self.counting = False
        self.stopped = False
        self.shown = False
        self.open = 0
        self.idle = asyncio.Event()

    def answered(self, status: bytes, answer: bytes, took: float) -> None:
        if status != b"200":
            self.failed += 1
            if not self.shown:
                self.shown = True
                print(status, answer[:600], file=sys.stderr, flush=True)
        elif self.counting:
            self.latencies.append(took)


class Line(asyncio.Protocol):
    """One connection: a request, its answer, the next request."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.buffer = b""
        self.began = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.run.open += 1
        self.next()

    def next(self) -> None:
        request = None if self.run.stopped else next(self.run.waiting, None)
        if request is None:
            self.transport.close()
            return
        self.run.sent += 1
        self.began = time.perf_counter()
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self.buffer[:end].lower()
        place = head.index(b"content-length:") + 15
        length = int(head[place : (head + b"\r").index(b"\r", place)])
        if len(self.buffer) < end + 4 + length:
            return
        answer, self.buffer = self.buffer[end + 4 :], b""
        self.run.answered(head[9:12], answer, time.perf_counter() - self.began)
        self.next()

    def connection_lost(self, error: Exception | None) -> None:
        self.run.open -= 1
        if not self.run.open:
            self.run.idle.set()


async def drive(load: Load, made: list[bytes]) -> Told:
    loop = asyncio.get_running_loop()
    run = Run(load, made)
    for port in islice(cycle(load.ports), load.connections):
        await loop.create_connection(lambda: Line(run), "127.0.0.1", port)
    await asyncio.wait([asyncio.ensure_future(run.idle.wait())], timeout=load.warm)
    run.counting = True
    began, used = time.perf_counter(), time.process_time()
    await asyncio.wait([asyncio.ensure_future(run.idle.wait())], timeout=load.seconds)
    run.counting = False
    took = time.perf_counter() - began
    told = Told(len(run.latencies), took, run.latencies, run.failed, 0, time.process_time() - used)
    run.stopped = True
    await run.idle.wait()
    told.failed, told.sent = run.failed, run.sent
    return told


def main() -> None:
    load = msgspec.json.decode(sys.stdin.readline(), type=Load)
    made = requests(load)
    print("ready", flush=True)
    sys.stdin.readline()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        told = runner.run(drive(load, made))
    print(msgspec.json.encode(told).decode(), flush=True)


if __name__ == "__main__":
    main()
