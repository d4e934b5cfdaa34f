"""How the surface answers over HTTP, whatever is asked: ids echoed, media types agreed on, refusals in FHIR's form, gzip, HEAD, CORS."""

import gzip
import json
import uuid
from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest

from adapters import app, settings
from adapters.fhir import wire
from adapters.pace import Pace, Rate
from service.errors import TooMany
from tests.http.world import BASE, FHIR_JSON, World, submission

JSON_4 = "application/fhir+json; fhirVersion=4.0"


@pytest.fixture
async def served(network: dict[str, Any], network_database: Any) -> AsyncIterator[Any]:
    """Run the service with other settings: `async with served(rate=…) as world`."""

    def running(**changed: Any) -> Any:
        made = msgspec.structs.replace(settings.Settings(), **changed)
        return World(app.create(made, network_database.app_dsn, base_url=BASE), network, network_database).running()

    yield running


async def raw(world: World, method: str, path: str, **headers: str) -> httpx.Response:
    token = world.said["clients"]["his-a"]["access_token"]
    sent = {"authorization": f"Bearer {token}"} | {name.replace("_", "-"): value for name, value in headers.items()}
    content = sent.pop("content", None)
    return await world.http.request(method, BASE + path, headers=sent, content=content)


def outcome(answer: httpx.Response, status: int) -> dict[str, Any]:
    """The OperationOutcome that an answer is; it says of itself what it is, and is not kept by anybody."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("application/fhir+json"), answer.headers
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-request-id"]
    body = answer.json()
    assert body["resourceType"] == "OperationOutcome"
    assert all(issue["severity"] in ("error", "fatal") and issue["details"]["text"] for issue in body["issue"])
    return body


# ---- ids ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/fhir/metadata"),
        ("GET", "/fhir/Task"),
        ("GET", "/fhir/Task/nothing"),
        ("GET", "/fhir/Nothing"),
        ("POST", "/fhir"),
        ("PUT", "/fhir/Task/1"),
        ("POST", "/auth/token"),
        ("GET", "/health/live"),
        ("GET", "/.well-known/smart-configuration"),
        ("GET", "/no/such/page"),
        ("POST", "/fhir/.well-known/smart-configuration"),
    ],
)
async def test_behaviour_7_both_ids_are_echoed_whatever_the_answer(world: World, method: str, path: str) -> None:
    ids = {"x-request-id": str(uuid.uuid4()), "x-correlation-id": f"urn:uuid:{uuid.uuid4()}"}
    answer = await world.http.request(method, BASE + path, headers=ids)
    assert {name: answer.headers.get_list(name) for name in ids} == {name: [id] for name, id in ids.items()}


async def test_behaviour_7_a_request_without_an_id_is_given_one_that_the_audit_has(world: World) -> None:
    answer = await raw(world, "GET", "/fhir/Task")
    id = answer.headers["x-request-id"]
    assert uuid.UUID(id)
    assert "x-correlation-id" not in answer.headers
    async with world.as_owner() as connection:
        assert await connection.fetchval("SELECT interaction FROM audit WHERE request_id = $1", id) == "search"


@pytest.mark.parametrize("id", ["x" * 201, "院社".encode(), b"a\xffb"])
async def test_behaviour_7_an_id_that_cannot_be_repeated_is_replaced(world: World, id: Any) -> None:
    answer = await world.http.get(f"{BASE}/fhir/metadata", headers={b"x-request-id": id})
    assert answer.status_code == 200
    assert uuid.UUID(answer.headers["x-request-id"])


# ---- media types -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("*/*", FHIR_JSON),
        ("application/*", FHIR_JSON),
        (FHIR_JSON, FHIR_JSON),
        ("application/json", "application/json"),
        ("Application/FHIR+JSON; fhirVersion=4.0", FHIR_JSON),
        ("application/fhir+json;fhirVersion=4.0.1", FHIR_JSON),
        ("application/fhir+xml, application/fhir+json;q=0.1", FHIR_JSON),
        ("text/html, application/json;q=0.9, */*;q=0.1", "application/json"),
        ("application/json;q=0.2, application/fhir+json;q=0.3", FHIR_JSON),
    ],
)
async def test_what_is_accepted_is_what_comes(world: World, accept: str, kind: str) -> None:
    answer = await raw(world, "GET", "/fhir/Task", accept=accept)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == f"{kind}; fhirVersion=4.0; charset=utf-8"
    assert "Accept" in ", ".join(answer.headers.get_list("vary"))


@pytest.mark.parametrize(
    "accept",
    [
        "application/fhir+xml",
        "text/turtle",
        "application/fhir+json; fhirVersion=5.0",
        "application/fhir+json;q=0",
        "application/fhir+xml, application/fhir+json;q=0.0",
        "text/html",
    ],
)
async def test_behaviour_8_what_cannot_be_had_is_406(world: World, accept: str) -> None:
    said = outcome(await raw(world, "GET", "/fhir/Task", accept=accept), 406)
    assert "application/fhir+json" in said["issue"][0]["details"]["text"]


@pytest.mark.parametrize(
    ("format", "status"),
    [
        ("json", 200),
        ("application/json", 200),
        ("application/fhir%2Bjson", 200),
        ("application/fhir+json", 200),
        ("xml", 406),
        ("application/fhir%2Bxml", 406),
        ("ttl", 406),
    ],
)
async def test_behaviour_8_a_format_in_the_address_counts_before_the_head(
    world: World, format: str, status: int
) -> None:
    answer = await raw(world, "GET", f"/fhir/Task?_format={format}", accept="application/fhir+xml")
    assert answer.status_code == status, answer.text


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (FHIR_JSON, 422),
        ("application/json", 422),
        (JSON_4, 422),
        ("application/fhir+json; charset=UTF-8", 422),
        ("application/fhir+xml", 415),
        ("application/xml", 415),
        ("text/plain", 415),
        ("", 415),
        ("application/fhir+json; fhirVersion=3.0", 415),
        ("application/fhir+json; charset=gb18030", 415),
    ],
)
async def test_behaviour_8_a_body_in_another_form_is_415(world: World, kind: str, status: int) -> None:
    outcome(await raw(world, "POST", "/fhir/Consent", content_type=kind, content="{}"), status if kind else 415)


@pytest.mark.parametrize("body", ["{", '{"resourceType": "Task",}', "nothing", "", '{"a": 1e999}', "\xff"])
async def test_behaviour_8_what_is_not_json_is_400(world: World, body: str) -> None:
    outcome(await raw(world, "POST", "/fhir/Task", content_type=FHIR_JSON, content=body), 400)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/fhir/Nothing", 404),
        ("GET", "/fhir/Task/1/2/3/4", 404),
        ("GET", "/fhir/.well-known/nothing", 404),
        ("POST", "/fhir/.well-known/smart-configuration", 405),
        ("GET", "/fhir/%2e%2e/etc/passwd", 404),
        ("DELETE", "/fhir/Task/1", 405),
        ("TRACE", "/fhir/Task/1", 405),
    ],
)
async def test_behaviour_8_an_address_that_is_none_is_refused_in_fhirs_form(
    world: World, method: str, path: str, status: int
) -> None:
    outcome(await raw(world, method, path), status)


async def test_behaviour_8_xml_is_refused_and_said_so(world: World) -> None:
    said = (await raw(world, "GET", "/fhir/metadata")).json()
    assert all("xml" not in format for format in said["format"])
    assert "XML" in said["description"] or "XML" in said["rest"][0].get("documentation", "")


# ---- sizes -------------------------------------------------------------------------------------------------------------


async def test_a_body_may_come_packed(world: World) -> None:
    body = gzip.compress(json.dumps(submission("N05")).encode())
    answer = await raw(world, "POST", "/fhir", content_type=FHIR_JSON, content_encoding="gzip", content=body)  # type: ignore[arg-type]
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("coding", ["br", "deflate", "gzip, gzip", "compress"])
async def test_a_body_packed_in_another_way_is_415_that_says_the_way(world: World, coding: str) -> None:
    answer = await raw(world, "POST", "/fhir", content_type=FHIR_JSON, content_encoding=coding, content="{}")
    outcome(answer, 415)
    assert answer.headers["accept-encoding"] == "gzip"


async def test_a_packed_body_is_unpacked_no_further_than_the_limit(world: World) -> None:
    bomb = gzip.compress(b" " * (200 * wire.LARGEST))
    assert len(bomb) < wire.LARGEST
    answer = await raw(world, "POST", "/fhir", content_type=FHIR_JSON, content_encoding="gzip", content=bomb)  # type: ignore[arg-type]
    assert str(wire.LARGEST) in outcome(answer, 413)["issue"][0]["details"]["text"]


@pytest.mark.parametrize("spoil", [lambda b: b[:-3], lambda b: b"{}", lambda b: b + b"more", lambda b: b""])
async def test_a_body_that_is_not_what_its_coding_says_is_400(world: World, spoil: Any) -> None:
    body = spoil(gzip.compress(b"{}"))
    outcome(await raw(world, "POST", "/fhir", content_type=FHIR_JSON, content_encoding="gzip", content=body), 400)


async def test_the_limits_are_said_where_they_are_passed(world: World) -> None:
    his = world.party("his-a")
    many = {"resourceType": "Bundle", "type": "batch", "entry": [{"request": {"method": "GET", "url": "Task"}}] * 201}
    refused = await his.post("", many)
    assert refused.status == 413 and "200" in refused["issue"][0]["details"]["text"]
    deep = await his.post("Task", '{"a":' * 150 + "1" + "}" * 150)
    assert deep.status == 413 and "100" in deep["issue"][0]["details"]["text"]
    large = await his.post("Task", b'"' + b"x" * wire.LARGEST + b'"')
    assert large.status == 413 and str(wire.LARGEST) in large["issue"][0]["details"]["text"]


async def test_an_answer_worth_it_is_packed_for_who_takes_it(world: World) -> None:
    plain = await raw(world, "GET", "/fhir/metadata", accept_encoding="identity")
    packed = await raw(world, "GET", "/fhir/metadata", accept_encoding="br, gzip;q=0.5")
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.json() == plain.json()
    assert int(packed.headers["content-length"]) * 3 < int(plain.headers["content-length"])
    for answer in (plain, packed):
        assert "Accept-Encoding" in answer.headers.get_list("vary")
    assert "content-encoding" not in plain.headers
    refused = await raw(world, "GET", "/fhir/metadata", accept_encoding="gzip;q=0")
    assert "content-encoding" not in refused.headers
    small = await raw(world, "GET", "/fhir/Nothing", accept_encoding="gzip")
    assert "content-encoding" not in small.headers


# ---- HEAD, OPTIONS, caches ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    ["/fhir/metadata", "/fhir/Task?status=requested", "/fhir/Nothing", "/health/live", "/metrics",
     "/.well-known/smart-configuration", "/fhir/.well-known/smart-configuration", "/"],
)  # fmt: skip
async def test_head_says_what_get_would_and_sends_nothing(world: World, path: str) -> None:
    await world.refer("N05")
    got = await raw(world, "GET", path, accept_encoding="identity")
    head = await raw(world, "HEAD", path, accept_encoding="identity")
    assert head.status_code == got.status_code
    assert head.content == b""
    assert head.headers["content-type"] == got.headers["content-type"]
    if path != "/metrics":  # Its figures move.
        assert head.headers["content-length"] == got.headers["content-length"]


async def test_head_of_a_packed_answer_says_its_packed_length(world: World) -> None:
    got = await raw(world, "GET", "/fhir/metadata", accept_encoding="gzip")
    head = await raw(world, "HEAD", "/fhir/metadata", accept_encoding="gzip")
    assert head.headers["content-encoding"] == "gzip"
    assert head.headers["content-length"] == got.headers["content-length"]


@pytest.mark.parametrize(
    ("path", "methods"),
    [("/fhir", {"POST"}), ("/fhir/Task", {"GET", "HEAD", "POST"}), ("/fhir/Task/1", {"GET", "HEAD", "PUT", "PATCH"}),
     ("/fhir/Task/_search", {"POST"}), ("/fhir/metadata", {"GET", "HEAD"}), ("/fhir/CodeSystem/x", {"GET", "HEAD"})],
)  # fmt: skip
async def test_options_says_what_an_address_takes(world: World, path: str, methods: set[str]) -> None:
    answer = await world.http.request("OPTIONS", BASE + path)
    assert (answer.status_code, answer.content) == (204, b"")
    assert "content-length" not in answer.headers
    assert methods | {"OPTIONS"} <= set(answer.headers["allow"].split(", "))


async def test_options_of_nowhere_is_404(world: World) -> None:
    outcome(await raw(world, "OPTIONS", "/fhir/Nothing"), 404)


async def test_a_read_may_be_kept_by_its_reader_and_asked_about_again(world: World) -> None:
    referred = await world.refer("N05")
    read = await raw(world, "GET", f"/fhir/{referred.request}")
    assert read.headers["cache-control"] == "private, no-cache, must-revalidate"
    assert read.headers["etag"].startswith('W/"')
    unchanged = await raw(world, "GET", f"/fhir/{referred.request}", if_none_match=read.headers["etag"])
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert "content-type" not in unchanged.headers
    assert unchanged.headers["etag"] == read.headers["etag"]


# ---- CORS --------------------------------------------------------------------------------------------------------------

PREFLIGHT = {"origin": "https://portal.example.org", "access-control-request-method": "PUT",
             "access-control-request-headers": "authorization, content-type, if-match, x-request-id"}  # fmt: skip


async def test_without_the_setting_no_page_of_another_origin_reads_anything(world: World) -> None:
    for method, path in (("OPTIONS", "/fhir/Task"), ("GET", "/fhir/metadata")):
        answer = await world.http.request(method, BASE + path, headers=PREFLIGHT)
        assert not [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.parametrize("path", ["/fhir/Task/1", "/fhir", "/auth/token", "/fhir/.well-known/smart-configuration"])
async def test_pages_of_an_origin_that_is_named_may_ask_and_read(served: Any, path: str) -> None:
    async with served(cors_origins=("https://portal.example.org", "http://localhost:3000")) as world:
        asked = await world.http.request("OPTIONS", BASE + path, headers=PREFLIGHT)
        assert asked.status_code == 204, asked.text
        assert asked.headers["access-control-allow-origin"] == PREFLIGHT["origin"]
        assert "PUT" in asked.headers["access-control-allow-methods"]
        allowed = asked.headers["access-control-allow-headers"].lower()
        assert all(name in allowed for name in PREFLIGHT["access-control-request-headers"].split(", "))
        got = await world.http.get(BASE + path, headers={"origin": PREFLIGHT["origin"]})
        assert got.headers["access-control-allow-origin"] == PREFLIGHT["origin"]
        exposed = got.headers["access-control-expose-headers"].split(", ")
        assert {"ETag", "Location", "Last-Modified", "X-Request-ID", "Content-Location"} <= set(exposed)
        assert "Origin" in got.headers.get_list("vary")
        assert (await world.nobody.get("metadata"))["rest"][0]["security"]["cors"] is True
        other = await world.http.get(BASE + path, headers={"origin": "https://portal.example.org.evil.example"})
        assert "access-control-allow-origin" not in other.headers


async def test_any_origin_may_be_let_in(served: Any) -> None:
    async with served(cors_origins=("*",)) as world:
        got = await world.http.get(f"{BASE}/fhir/metadata", headers={"origin": "https://anywhere.example"})
        assert got.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in got.headers


# ---- the pace ----------------------------------------------------------------------------------------------------------


async def test_behaviour_45_who_asks_too_much_is_told_when_to_come_back_and_others_are_not(served: Any) -> None:
    async with served(rate=Rate(0.01, 3)) as world:
        his = world.party("his-a")
        left = [(await his.get("Task")).headers["ratelimit-remaining"] for _ in range(3)]
        assert left == ["2", "1", "0"]
        refused = await his.get("Task")
        assert refused.status == 429, refused
        assert refused["resourceType"] == "OperationOutcome"
        assert refused["issue"][0]["code"] == "throttled"
        assert 90 <= int(refused.headers["retry-after"]) <= 100
        stored = await his.post("", submission("N05"), x_request_id=str(uuid.uuid4()))
        assert stored.status == 429
        assert (await world.party("his-b").get("Task")).status == 200
        async with world.as_owner() as connection:
            assert await connection.fetchval("SELECT count(*) FROM referral") == 0


def test_a_bucket_fills_as_time_passes() -> None:
    now = [0.0]
    pace = Pace(Rate(2, 4), clock=lambda: now[0])
    assert [pace.take("a").left for _ in range(4)] == [3, 2, 1, 0]
    with pytest.raises(TooMany) as refused:
        pace.take("a")
    assert refused.value.wait == pytest.approx(0.5)
    assert pace.take("b").left == 3
    now[0] = 0.5
    assert pace.take("a").left == 0
    now[0] = 60.0
    assert pace.take("a").left == 3


def test_buckets_are_forgotten_and_those_near_their_limit_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.pace.MOST", 10)
    pace = Pace(Rate(1, 2), clock=lambda: 0.0)
    pace.take("busy")
    pace.take("busy")
    for who in range(50):
        pace.take(who)
    with pytest.raises(TooMany):
        pace.take("busy")


@pytest.mark.parametrize(
    ("text", "rate"),
    [("1000/5000", Rate(1000, 5000)), ("50", Rate(50, 50)), ("0", None), ("0/10", None), ("", Rate(1000, 5000))],
)
def test_the_pace_is_a_setting(text: str, rate: Rate | None) -> None:
    assert settings.read({"RATE_LIMIT": text}).rate == rate
