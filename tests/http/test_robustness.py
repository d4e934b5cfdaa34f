"""Whatever is sent, the answer is FHIR's: never a 5xx, never a trace, and a refused request leaves nothing behind."""

import copy
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.fhir import writing
from service.errors import TooLarge
from tests.http.world import BASE, FHIR_JSON, Answered, Party, World, closed, output, phq9, reason, submission

SILENT = frozenset({"audit", "audit_patient"})
"""A refused attempt is written down here, and nowhere else."""


class Stored:
    """What the tables hold, by number of rows and by who wrote last."""

    def __init__(self, connection: "asyncpg.Connection[Any]", statement: str) -> None:
        self._connection = connection
        self._statement = statement

    @classmethod
    async def on(cls, dsn: str) -> "Stored":
        connection = await asyncpg.connect(dsn)
        tables = [row["t"] for row in await connection.fetch(
            "SELECT c.oid::regclass::text AS t FROM pg_class c WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace"
        )]  # fmt: skip
        assert SILENT.issubset(tables)
        return cls(connection, " UNION ALL ".join(
            f"SELECT '{t}', count(*), max(xmin::text::bigint) FROM {t}" for t in sorted(tables) if t not in SILENT
        ))  # fmt: skip

    async def now(self) -> list[Any]:
        return await self._connection.fetch(self._statement)

    async def close(self) -> None:
        await self._connection.close()


Request = tuple[Party, str, str, Any]
"""Who sends what where: party, method, path, body."""


class Valid:
    """Requests that are in order, to be spoilt. One that was carried out is made anew."""

    def __init__(self, world: World, stored: Stored) -> None:
        self.world = world
        self.stored = stored
        self.made: dict[str, Request] = {}

    async def request(self, name: str) -> Request:
        if name not in self.made:
            self.made[name] = await REQUESTS[name](self.world)
        return self.made[name]

    async def send(self, name: str, body: bytes) -> Answered:
        party, method, path, _ = await self.request(name)
        answer = await party.ask(
            method, path, body, kind="application/json-patch+json" if method == "PATCH" else FHIR_JSON
        )
        if answer.status < 300:
            self.made.pop(name)
        return answer


async def submit(world: World) -> Request:
    extra = [phq9(0), ANSWERS, world.consent_form("PATIENT", "REQUEST", "agency-a"), OWN_TASK]
    return world.party("his-a"), "POST", "", submission("N05", extra=extra)


async def submit_alone(world: World) -> Request:
    person, _, asked = (entry["resource"] for entry in submission("N05")["entry"])
    asked = {key: value for key, value in asked.items() if key != "encounter"}
    return (
        world.party("his-a"),
        "POST",
        "ServiceRequest",
        asked | {"subject": {"reference": "#p"}, "contained": [person | {"id": "p"}]},
    )


async def batch(world: World) -> Request:
    party, method, path, body = await submit(world)
    return party, method, path, {"resourceType": "Bundle", "type": "batch", "entry": body["entry"][:1]}


async def several(world: World) -> Request:
    """A transaction that places no request."""
    party, method, path, body = await submit(world)
    return party, method, path, body | {"entry": [*body["entry"][:2], *body["entry"][3:5]]}


async def ask_first(world: World) -> Request:
    return world.party("his-a"), "POST", "ServiceRequest/$route", submission("N05", extra=[phq9(0)])


async def revoke(world: World) -> Request:
    referred = await world.refer("N05")
    asked = await world.party("his-a").read(referred.request)
    return world.party("his-a"), "PUT", referred.request, asked | {"status": "revoked", "note": [{"text": "改变主意"}]}


async def register(world: World) -> Request:
    return world.party("his-a"), "POST", "Patient", submission()["entry"][0]["resource"]


async def correct(world: World) -> Request:
    referred = await world.refer("N05")
    return (
        world.party("his-a"),
        "PUT",
        referred.patient,
        await world.party("his-a").read(referred.patient) | {"birthDate": "1952-03-16"},
    )


async def discharge(world: World) -> Request:
    referred = await world.refer("N05")
    await world.accepted(referred)
    stay = await world.party("his-a").read(referred.stay)
    return (
        world.party("his-a"),
        "PUT",
        referred.stay,
        stay
        | {
            "status": "finished",
            "period": stay["period"] | {"end": datetime.now(UTC).isoformat()},
            "hospitalization": {
                "dischargeDisposition": {"coding": [{"system": "urn:oid:2.16.156.10011.2.3.1.265", "code": "1"}]}
            },
        },
    )


async def consent(world: World) -> Request:
    referred = await world.refer("N05")
    form = world.consent_form(referred.patient, referred.request, "agency-a", "agency-b")
    form["provision"]["period"] = {"start": "2026-01-01", "end": "2030-01-01"}
    return world.party("his-a"), "POST", "Consent", form


async def ask(world: World) -> Request:
    offer = await world.offer(await world.refer("N05"))
    return world.party("agency-a"), "POST", "Communication", message("question", f"Task/{offer['id']}")


async def crisis(world: World) -> Request:
    raised = {"coding": [{"system": "urn:yuanshe:crisis", "code": "raised"}], "text": "说不想活了"}
    referred = await world.refer("N05")
    return world.party("his-a"), "POST", "Communication", message("crisis", referred.request) | {"reasonCode": [raised]}


async def attempt(world: World) -> Request:
    party, _, path, body = await discharge(world)
    assert (await party.ask("PUT", path, body)).status == 200
    task = (await world.party("agency-a").search("Task?code=follow-up&status=accepted"))[0]
    return world.party("agency-a"), "POST", "Communication", {
        "resourceType": "Communication", "status": "not-done", "sent": "2026-01-02T10:00:00+08:00", "basedOn": [{"reference": f"Task/{task['id']}"}],
        "medium": [{"text": "PHONE"}], "statusReason": {"text": "无人接听"},
    }  # fmt: skip


async def in_service(world: World) -> Answered:
    share = await world.accepted(await world.refer("N05"))
    started = await world.party("agency-a").put(share, status="in-progress")
    assert started.status == 200, started
    return started


async def work(world: World) -> Request:
    share = await in_service(world)
    now = datetime.now(UTC).isoformat()
    return world.party("agency-a"), "POST", "Procedure", {
        "resourceType": "Procedure", "status": "completed", "subject": share["for"], "basedOn": [share["focus"]],
        "code": {"coding": [{"system": "urn:yuanshe:service-type", "code": "discharge-planning"}]},
        "performedPeriod": {"start": now, "end": now}, "performer": [{"actor": share["owner"]}],
        "extension": [{"url": "urn:yuanshe:minutes", "valueInteger": 60}], "note": [{"text": "谈话"}],
    }  # fmt: skip


async def plan(world: World) -> Request:
    share = await in_service(world)
    return world.party("agency-a"), "POST", "CarePlan", {
        "resourceType": "CarePlan", "status": "active", "intent": "plan", "subject": share["for"], "basedOn": [share["focus"]],
    }  # fmt: skip


async def basis(world: World) -> Request:
    referred = await world.refer("N05")
    return world.party("platform"), "POST", "Provenance", {
        "resourceType": "Provenance", "target": [{"reference": referred.request}], "recorded": "2026-01-02T10:00:00+08:00",
        "reason": [{"coding": [{"code": "HLEGAL"}], "text": "依法报告"}], "agent": [{"who": {"reference": world.organizations["agency-a"]}}],
    }  # fmt: skip


async def offer(world: World) -> Request:
    referred = await world.refer("N05")
    return world.party("platform"), "POST", "Task", {
        "resourceType": "Task", "status": "requested", "intent": "order", "focus": {"reference": referred.request},
        "owner": {"reference": world.organizations["agency-b"]},
    }  # fmt: skip


async def capacity(world: World) -> Request:
    services = await world.party("agency-a").search("HealthcareService")
    own = next(each for each in services if each["providedBy"]["reference"] == world.organizations["agency-a"])
    return (
        world.party("agency-a"),
        "PUT",
        f"HealthcareService/{own['id']}",
        own | {"extension": [{"url": "urn:yuanshe:places", "valueInteger": 300}]},
    )


async def subscribe(world: World) -> Request:
    return world.party("agency-a"), "POST", "Subscription", {
        "resourceType": "Subscription", "status": "requested", "reason": "r", "criteria": "urn:yuanshe:topic:task",
        "channel": {"type": "rest-hook", "endpoint": "https://1.1.1.1/x", "payload": "application/fhir+json"},
    }  # fmt: skip


def put(task: dict[str, Any], **changes: Any) -> tuple[str, str, Any]:
    return "PUT", f"Task/{task['id']}", task | changes


async def accept(world: World) -> Request:
    return world.party("agency-a"), *put(await world.offer(await world.refer("N05")), status="accepted")


async def decline(world: World) -> Request:
    offered = await world.offer(await world.refer("N05"))
    return world.party("agency-a"), *put(offered, status="rejected", statusReason=reason("no-capacity"))


async def start(world: World) -> Request:
    share = await world.accepted(await world.refer("N05"))
    return world.party("agency-a"), *put(share, status="in-progress", note=[{"text": "明日上门"}])


async def hold(world: World) -> Request:
    until = {"period": {"end": "2026-12-31T00:00:00+08:00"}}
    return world.party("agency-a"), *put(
        await in_service(world), status="on-hold", statusReason=reason("other"), restriction=until
    )


async def complete(world: World) -> Request:
    return world.party("agency-a"), *put(
        await in_service(world), status="completed", output=[output()], statusReason=closed()
    )


async def patch(world: World) -> Request:
    share = await in_service(world)
    return world.party("agency-a"), "PATCH", f"Task/{share['id']}", [
        {"op": "test", "path": "/status", "value": "in-progress"}, {"op": "replace", "path": "/status", "value": "on-hold"},
        {"op": "add", "path": "/statusReason", "value": reason("other")},
    ]  # fmt: skip


REQUESTS: dict[str, Callable[[World], Awaitable[Request]]] = {
    made.__name__: made
    for made in (
        submit, submit_alone, batch, several, ask_first, revoke, register, correct, discharge, consent, ask, crisis, attempt, work, plan, basis,
        offer, capacity, subscribe, accept, decline, start, hold, complete, patch,
    )
}  # fmt: skip


ANSWERS = {"resourceType": "QuestionnaireResponse", "status": "completed", "subject": {"reference": "PATIENT"},
           "item": [{"linkId": "/44249-1", "item": [{"linkId": "/44260-8", "answer": [{"valueCoding": {"code": "LA6568-5"}}]}]}]}  # fmt: skip
OWN_TASK = {"resourceType": "Task", "status": "requested", "intent": "order", "focus": {"reference": "REQUEST"}, "for": {"reference": "PATIENT"},
            "requester": {"display": "ward"}, "authoredOn": "2026-01-02T10:00:00+08:00"}  # fmt: skip


def message(kind: str, about: str) -> dict[str, Any]:
    return {"resourceType": "Communication", "status": "completed", "about": [{"reference": about}], "payload": [{"contentString": "是否需要轮椅？"}],
            "category": [{"coding": [{"system": "urn:yuanshe:message", "code": kind}]}]}  # fmt: skip


@pytest.fixture
async def valid(world: World) -> AsyncIterator[Valid]:
    stored = await Stored.on(world.clone.owner_dsn)
    yield Valid(world, stored)
    await stored.close()


# ---- spoiling ----------------------------------------------------------------------------------------------------------

LONG = "".join(f"{uuid.uuid5(uuid.NAMESPACE_OID, str(n)).hex}" for n in range(3000))
"""Long, and not to be compressed: no index takes it."""


def nested(levels: int) -> Any:
    value: Any = "x"
    for _ in range(levels):
        value = {"extension": [value]}
    return value


ODD: list[Any] = [
    None, True, 0, -1, 2**31, 2**63, 10**30, 1.5, 1e308, -0.0, "", " ", "x", "\0", "陈\0素芬", "\ud800", "\U0001f600", "²", "a'b\"c\\d", LONG, [], {},
    [[]], [None], [{}], {"": None}, {"reference": "Patient/x"}, {"reference": "#"}, {"reference": f"Patient/{uuid.UUID(int=1)}"}, {"text": 1},
    {"coding": {}}, {"coding": [{"system": "urn:yuanshe:need", "code": "N99"}]}, "2026", "2026-02-30", "9999-12-31", "0001-01-01",
    "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "2026-01-01T25:00:00Z", "Patient/", "urn:uuid:", "http://[", str(uuid.UUID(int=1)),
    "Task", "-1", "520502", "110101199003070000", "active", "completed", "entered-in-error", nested(40), nested(60),
]  # fmt: skip
"""What programs send that should not: wrong types, ends of ranges, what databases and decoders trip over."""


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, each in inner for found in places(each, (*path, key)))]


@st.composite
def spoils(draw: st.DrawFn) -> list[tuple[str, float, Any]]:
    """A few changes: what is done, where (a fraction of all places), and with what."""
    what = st.sampled_from(["drop", "replace", "replace", "replace", "wrap", "unwrap", "twice", "add", "text"])
    value = st.one_of(st.sampled_from(ODD), st.text(max_size=20), st.integers(-(2**70), 2**70))
    return draw(st.lists(st.tuples(what, st.floats(0, 1, exclude_max=True), value), min_size=1, max_size=3))


def spoilt(body: Any, changes: list[tuple[str, float, Any]]) -> Any:
    holder = {"": copy.deepcopy(body)}
    for what, where, odd in changes:
        value = copy.deepcopy(odd)
        found = places(holder[""], ("",))
        *outer, last = found[int(where * len(found))]
        target: Any = holder
        for key in outer:
            target = target[key]
        match what, target[last]:
            case "drop", _ if outer:
                del target[last]
            case "wrap", inner:
                target[last] = [inner]
            case "unwrap", [first, *_]:
                target[last] = first
            case "twice", [*several]:
                target[last] = several * 2
            case "add", dict() as inner:
                inner[value if isinstance(value, str) else "added"] = value
            case "text", inner:
                target[last] = json.dumps(inner) if not isinstance(inner, str) else inner + str(value)[:50]
            case _:
                target[last] = value
    return holder[""]


def torn(body: bytes, how: int, at: float) -> bytes:
    """Bytes that are no longer JSON, or hardly."""
    cut = int(at * len(body))
    return [body, body[:cut], body[:cut] + b"\xff" + body[cut:], body[:cut] + b"\0" + body[cut:], b"\xef\xbb\xbf" + body, body + body,
            b"[" * 100_000, body[:cut] + b"\\ud800" + body[cut:]][how]  # fmt: skip


def assert_in_form(answer: Answered) -> None:
    """FHIR-shaped, and silent about how the service is built."""
    assert answer.status < 500, answer
    assert answer.headers.get("content-type", FHIR_JSON).startswith(FHIR_JSON)
    if answer.status >= 400:
        assert answer["resourceType"] == "OperationOutcome" and answer["issue"], answer
        said = json.dumps(answer, ensure_ascii=False)
        assert not any(word in said for word in ("Traceback", "asyncpg", "msgspec", ".py", "SELECT ", "INSERT ")), (
            answer
        )


ASYNC = settings(
    deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


async def test_unspoilt_they_are_carried_out(valid: Valid) -> None:
    for name in REQUESTS:
        answer = await valid.send(name, json.dumps((await valid.request(name))[3]).encode())
        assert answer.status in (200, 201), (name, answer)


@settings(ASYNC, max_examples=300)
@given(data=st.data())
async def test_spoilt_they_are_answered_and_what_is_refused_stores_nothing(valid: Valid, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(REQUESTS)))
    body = (await valid.request(name))[3]
    sent = json.dumps(spoilt(body, data.draw(spoils()))).encode()
    if data.draw(st.integers(0, 9)) == 0:
        sent = torn(sent, data.draw(st.integers(0, 7)), data.draw(st.floats(0, 1)))
    before = await valid.stored.now()
    answer = await valid.send(name, sent)
    assert_in_form(answer)
    if answer.status >= 400:
        assert await valid.stored.now() == before, (name, answer)


# ---- the shape of refusals ---------------------------------------------------------------------------------------------

ODD_REQUESTS: list[tuple[str, str, dict[str, str], int]] = [
    ("GET", "Nothing", {}, 404), ("GET", "陈素芬", {}, 404), ("GET", "Task/%00", {}, 404), ("GET", "Task/x/y/z", {}, 404),
    ("GET", "Task/x/_history/1", {}, 404), ("GET", f"Task/{uuid.UUID(int=1)}/_history/%C2%B2", {}, 404),
    ("GET", f"Task/{uuid.UUID(int=1)}/_history/99999999999999999999", {}, 404), ("GET", "$nothing", {}, 404),
    ("GET", "Task/$nothing", {}, 404), ("DELETE", f"Task/{uuid.UUID(int=1)}", {}, 405), ("PUT", "Task", {}, 400),
    ("PATCH", "", {"content_type": "application/json-patch+json"}, 405), ("OPTIONS", "Task", {}, 204), ("TRACE", "", {}, 405),
    ("GET", "", {}, 405), ("GET", "_history", {}, 404), ("DELETE", "Task?status=draft", {}, 405), ("GET", f"Patient/{uuid.UUID(int=1)}/*", {}, 404),
    ("GET", "Task", {"accept": "application/fhir+xml"}, 406), ("GET", "Task", {"accept": "text/html, ;q=x"}, 406),
    ("GET", "Task?_format=xml", {}, 406), ("GET", "Task?_format=ttl", {"accept": FHIR_JSON}, 406), ("GET", "metadata?_format=xml", {}, 406),
    ("GET", "Task", {"authorization": "Bearer"}, 401), ("GET", "Task", {"authorization": "Basic eDp5"}, 401),
    ("GET", "Task", {"authorization": "Bearer x.y.z"}, 401), ("GET", "Task", {"authorization": "Bearer a b c"}, 401),
    ("POST", "Patient", {"content_type": "text/plain"}, 415), ("POST", "Patient", {"content_type": ""}, 415),
    ("POST", "Patient", {"content_type": "application/fhir+xml"}, 415), ("PATCH", f"Task/{uuid.UUID(int=1)}", {"content_type": FHIR_JSON}, 415),
    ("POST", "Task/_search", {"content_type": FHIR_JSON}, 415), ("POST", "Patient", {"content-length": "9999999999999999"}, 413),
    ("POST", "Patient", {"content-length": "six"}, 422), ("GET", "Task?_lastUpdated=yesterday", {}, 400), ("GET", "Task?_count=²", {}, 400),
    ("GET", "Task?status=%00", {}, 400), ("GET", "Task?_cursor=%FF", {}, 400), ("GET", "Task?x=1", {"prefer": "handling=strict"}, 400),
    ("PUT", f"Task/{uuid.UUID(int=1)}", {"if-match": "yesterday"}, 400),
]  # fmt: skip


async def test_what_cannot_be_asked_is_answered_in_form(world: World) -> None:
    for method, path, changed, status in ODD_REQUESTS:
        answer = await world.party("his-a").ask(
            method, path, b"{}" if method in ("POST", "PUT", "PATCH") else None, **changed
        )
        assert_in_form(answer)
        assert answer.status == status, (method, path, changed, answer)
        assert "陈素芬" not in json.dumps(answer, ensure_ascii=False)


async def test_a_body_over_the_limit_is_refused_before_it_is_read_whole(world: World) -> None:
    sent: list[int] = []

    async def chunks() -> AsyncIterator[bytes]:
        for number in range(1000):
            sent.append(number)
            yield b" " * 1024 * 1024

    assert_in_form(whole := await world.party("his-a").post("", b" " * 6 * 1024 * 1024))
    token = world.said["clients"]["his-a"]["access_token"]
    streamed = await world.http.post(
        f"{BASE}/fhir", content=chunks(), headers={"authorization": f"Bearer {token}", "content-type": FHIR_JSON}
    )
    assert whole.status == streamed.status_code == 413
    assert streamed.json()["resourceType"] == "OperationOutcome"
    assert len(sent) < 10


async def test_deep_json_and_characters_nobody_can_keep_are_refused_with_their_place(world: World) -> None:
    hospital = world.party("his-a")
    deep = await hospital.post("Patient", b'{"resourceType": "Patient", "x": ' + b"[" * 5000 + b"]" * 5000 + b"}")
    assert deep.status == 413 and deep["issue"][0]["expression"] == ["Patient"]
    assert "100 levels" in deep["issue"][0]["details"]["text"]
    person = submission()["entry"][0]["resource"]
    nul = await hospital.post("Patient", person | {"name": [{"text": "陈\0素芬"}]})
    assert nul.status == 400 and nul["issue"][0]["expression"] == ["Patient.name[0].text"]
    lone = await hospital.post("Patient", json.dumps(person | {"x": "\ud800"}).encode())
    assert lone.status == 400
    marked = await hospital.post("Patient", b"\xef\xbb\xbf" + json.dumps(person).encode())
    assert marked.status == 201


async def test_a_discharge_far_ahead_is_a_slip_of_the_pen(world: World) -> None:
    hospital = world.party("his-a")
    stay = await hospital.read((await world.refer("N05")).stay)
    ended = await hospital.put(stay, status="finished", period=stay["period"] | {"end": "9999-12-31"})
    assert ended.status == 422 and ended["issue"][0]["expression"] == ["Encounter.period.end"]


async def test_a_patch_cannot_make_more_than_it_brings(world: World) -> None:
    agency = world.party("agency-a")
    offer = await world.offer(await world.refer("N05"))
    for changes, status in (
        ([{"op": "copy", "from": "", "path": "/x"}] * 30, 413),
        ([{"op": "copy", "from": "", "path": "/x"}] * 8, 422),
        ([{"op": "test", "path": "/status", "value": "requested"}] * 101, 413),
        ([{"op": "move", "from": "/code", "path": "/code/coding"}], 400),
        ([{"op": "replace", "path": "/code/coding/x/y", "value": 1}, 5], 400),
        ([{"op": "add", "path": "/note/99999999999999999999", "value": 1}], 400),
        ([{"op": "replace", "path": "", "value": None}], 422),
        ({"op": "replace"}, 400),
    ):
        answer = await agency.ask("PATCH", f"Task/{offer['id']}", changes, kind="application/json-patch+json")
        assert_in_form(answer)
        assert answer.status == status, (changes[:1] if isinstance(changes, list) else changes, answer)
    assert (await agency.read(f"Task/{offer['id']}"))["meta"]["versionId"] == offer["meta"]["versionId"]


def test_what_a_patch_makes_is_measured_as_it_grows() -> None:
    large = {"resourceType": "Task", "note": [{"text": "x" * 1_500_000}]}
    doubling = [{"op": "copy", "from": "", "path": f"/copy-{n}"} for n in range(8)]
    with pytest.raises(TooLarge):
        writing.patched(large, json.dumps(doubling).encode())
    added = [{"op": "add", "path": "/x", "value": "x" * 4_000_000}]
    with pytest.raises(TooLarge):
        writing.patched(large, json.dumps(added).encode())
    # A small part of a large resource may be copied as often as any.
    few = [{"op": "add", "path": "/y", "value": {"z": 1}}] + [
        {"op": "copy", "from": "/y", "path": f"/y-{n}"} for n in range(8)
    ]
    assert json.loads(writing.patched(large, json.dumps(few).encode())) == large | {"y": {"z": 1}} | {
        f"y-{n}": {"z": 1} for n in range(8)
    }
    assert large.keys() == {"resourceType", "note"}


@pytest.mark.parametrize("part", ["[]", "{}", "[[]]", '{"a":{}}'])
async def test_a_body_of_very_many_parts_is_refused_before_it_is_read(world: World, part: str) -> None:
    body = '{"resourceType": "Patient", "x": [' + ",".join([part] * 500_000) + "]}"
    answer = await world.party("his-a").post("Patient", body)
    assert_in_form(answer)
    assert answer.status == 413 and "200000" in answer["issue"][0]["details"]["text"]


@pytest.mark.parametrize("type", ["batch", "transaction"])
async def test_entries_that_ask_for_nothing_sensible_are_answered_in_form(world: World, type: str) -> None:
    agency = world.party("agency-a")
    offer = await world.offer(await world.refer("N05"))
    task = f"Task/{offer['id']}"
    for method, url, resource in (
        ("PATCH", task, None), ("PATCH", task, {}), ("PUT", task, None), ("PUT", task, {"resourceType": "Patient"}), ("POST", "Communication", None),
        ("POST", "", {"resourceType": "Bundle", "type": "batch"}), ("POST", "陈素芬", {"resourceType": "Patient"}), ("GET", "Task/x", None),
        ("GET", "Task?status=%00", None), ("GET", "?x", None), ("DELETE", task, None), ("HEAD", "metadata/x/y", None), ("PUT", "Task", offer),
        ("POST", "Communication", {"resourceType": 5}), ("GET", "http://[", None),
    ):  # fmt: skip
        entry = {"request": {"method": method, "url": url or "/"}} | (
            {"resource": resource} if resource is not None else {}
        )
        answer = await agency.post("", {"resourceType": "Bundle", "type": type, "entry": [entry, entry]})
        assert_in_form(answer)
        assert "陈素芬" not in json.dumps(answer, ensure_ascii=False)
        if type == "transaction":
            assert answer.status in (400, 404, 405, 422) and answer["issue"][0]["expression"][0].startswith(
                "Bundle.entry[0]"
            ), (entry, answer)
        else:
            assert answer.status == 200, (entry, answer)
            for each in answer["entry"]:
                assert each["response"]["status"][0] == "4" and each["response"]["outcome"]["issue"], (entry, each)
