"""What is refused never repeats what was sent, and never shows the inside: no name, no identifier, no stack trace."""

import copy
import json
import logging
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.http.world import BASE, FHIR_JSON, World, phq9, submission

NAME, NUMBER, PHONE = "王标记", "MARK-520502195203150020", "13911112222"
MARKS = (NAME, quote(NAME), NUMBER, quote(NUMBER), PHONE, json.dumps(NAME).strip('"'))
INSIDE = (
    "Traceback",
    'File "',
    "asyncpg",
    "msgspec",
    "litestar",
    "psql",
    "SELECT ",
    "INSERT ",
    "/work",
    "site-packages",
)


def clean(text: str, *words: str) -> None:
    found = [word for word in (*MARKS, *INSIDE, *words) if word in text]
    assert not found, (found, text[:600])


def logged(caplog: pytest.LogCaptureFixture) -> str:
    """What the service logged; the client of this test logs its own requests."""
    return "\n".join(f"{one.getMessage()} {one.exc_text}" for one in caplog.records if not one.name.startswith("http"))


def shown(answer: httpx.Response) -> str:
    """Body and head, but for the ids, which are the sender's own to choose."""
    head = {name: value for name, value in answer.headers.items() if name not in ("x-request-id", "x-correlation-id")}
    return f"{head} {answer.text}"


async def sent(
    world: World, method: str, path: str, by: str = "his-a", body: Any = None, **headers: str
) -> httpx.Response:
    token = world.said["clients"][by]["access_token"]
    head: dict[str, Any] = {"authorization": f"Bearer {token}", "content-type": FHIR_JSON}
    head |= {name.replace("_", "-"): value.encode() for name, value in headers.items()}
    content = body if isinstance(body, str | bytes) or body is None else json.dumps(body)
    return await world.http.request(method, f"{BASE}/fhir{path}", content=content, headers=head)


def marked(**values: Any) -> dict[str, Any]:
    """A submission whose person can be recognised wherever they turn up."""
    patient = {
        "identifier": [{"system": "urn:his-a:patient", "value": NUMBER}],
        "name": [{"text": NAME}],
        "telecom": [{"system": "phone", "value": PHONE}],
    }
    return submission("N05", patient=patient | values.pop("patient", {}), **values)


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield (*path, key)
        yield from leaves(each, (*path, key))


def spoilt(whole: Any, path: tuple[Any, ...], value: Any) -> Any:
    changed = copy.deepcopy(whole)
    at = changed
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return changed


@pytest.mark.parametrize("value", [NAME, [NAME], {NAME: PHONE}, {"value": NAME}])
async def test_behaviour_41_a_submission_spoilt_anywhere_is_refused_without_repeating_it(
    world: World, caplog: pytest.LogCaptureFixture, value: Any
) -> None:
    caplog.set_level(logging.INFO)
    whole = marked(extra=[phq9(0)])
    refused = 0
    for path in leaves(whole):
        answer = await sent(world, "POST", "", body=spoilt(whole, path, value))
        assert answer.status_code < 500, (path, answer.text)
        if answer.status_code >= 400:
            refused += 1
            clean(shown(answer))
        else:
            whole = marked(extra=[phq9(0)])
    assert refused > 20
    clean(logged(caplog))


URLS = [
    "/{}", "/Task/{}", "/Task/{}/_history", "/Task/{}/_history/{}", "/Task/0190a000-0000-7000-8000-000000000001/_history/{}",
    "/Task/{}/$nothing", "/ServiceRequest/{}/$timeline", "/{}/_search", "/{}/{}/{}/{}", "/$" + "{}", "/Patient/${}",
    "/Task?status={}", "/Task?{}=x", "/Task?owner={}", "/Task?focus={}/{}", "/Task?_id={}", "/Task?_sort={}", "/Task?_count={}",
    "/Task?_include={}", "/Task?_include=Task:{}", "/Task?_revinclude={}:{}", "/Task?_lastUpdated={}", "/Task?_total={}",
    "/Task?_summary={}", "/Task?_elements={}", "/Task?_has:{}:{}:{}=x", "/Task?patient.{}=x", "/Task?patient.name={}",
    "/Task?status:{}=x", "/Task?_cursor={}", "/Task?page={}", "/Task?_format={}", "/Patient?identifier={}|{}|{}",
    "/Patient?birthdate={}", "/Encounter?date=gt{}", "/CodeSystem?url={}", "/Subscription/$status?id={}", "/metadata?mode={}",
    "/Group/{}/$export", "/$export?_type={}", "/$export?_since={}", "/$export?_outputFormat={}", "/Patient/{}/$everything",
]  # fmt: skip


@pytest.mark.parametrize(
    ("by", "prefer"),
    [("his-a", "handling=strict"), ("agency-a", "handling=lenient"), ("auditor", "handling=strict")],
)
async def test_behaviour_41_addresses_are_not_repeated_in_refusals(
    world: World, caplog: pytest.LogCaptureFixture, by: str, prefer: str
) -> None:
    caplog.set_level(logging.INFO)
    for form in URLS:
        for mark in (NAME, NUMBER, "%00" + NAME, "'" + NAME):
            path = form.replace("{}", quote(mark, safe="%"))
            for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
                body = None if method in ("GET", "DELETE") else {}
                answer = await sent(world, method, path, by, body, prefer=prefer)
                assert answer.status_code < 500, (method, path, answer.text)
                if answer.status_code >= 400:
                    clean(shown(answer))
    for path in ("/ChenSufen", "/ChenSufen/1", "/ChenSufen?x=y", "/Patient/$ChenSufen", "/Task?_include=ChenSufen:x"):
        answer = await sent(world, "GET", path, by, prefer="handling=strict")
        assert answer.status_code in (400, 403, 404), (path, answer.text)
        clean(shown(answer), "ChenSufen")
    clean(logged(caplog))


async def test_behaviour_41_heads_are_not_repeated_in_refusals(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    referred = await world.refer("N05")
    offer = await world.offer(referred)
    heads = ["accept", "content_type", "content_encoding", "if_match", "if_none_match", "if_none_exist", "if_modified_since",
             "prefer", "authorization", "x_request_id", "x_correlation_id", "accept_encoding", "content_length"]  # fmt: skip
    form = world.consent_form(referred.patient, referred.request, "agency-a") | {"status": NAME}
    asked = [("POST", "/Consent", "his-a", form), ("PUT", f"/Task/{offer['id']}", "agency-a", dict(offer) | {"status": NAME}),
             ("GET", f"/Task/{offer['id']}", "agency-a", None)]  # fmt: skip
    for head in heads:
        for value in (NAME, f"identifier={NUMBER}", f'W/"{NUMBER}"', f"Bearer {NAME}"):
            for method, path, by, body in asked:
                answer = await sent(world, method, path, by, body, **{head: value})
                assert answer.status_code < 500, (head, answer.text)
                if answer.status_code >= 400:
                    clean(shown(answer))
    clean(logged(caplog))


async def test_behaviour_41_what_is_refused_by_rule_does_not_name_the_person(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    number = NUMBER + "-order"
    first = await sent(world, "POST", "", body=marked(number=number))
    assert first.status_code == 200, first.text
    patient, _, request = (entry["response"]["location"].split("/_history")[0] for entry in first.json()["entry"])
    task = (await world.party("his-a").search(f"Task?focus={request}"))[0]
    child = (await world.party("agency-a").search("Task?status=requested"))[0]
    patch = [{"op": "test", "path": f"/{NAME}", "value": NAME}, {"op": "replace", "path": "/status", "value": NAME}]
    note = [{"text": f"{NAME} {NUMBER} {PHONE}"}]
    told = {"resourceType": "Communication", "status": "completed", "about": [{"reference": f"Task/{child['id']}"}],
            "category": [{"coding": [{"system": "urn:yuanshe:message", "code": "answer"}]}]}  # fmt: skip
    tried = [
        ("POST", "", "his-a", marked(number=number, request={"note": note}), {}),
        ("POST", "", "his-a", marked(number=number), {"x_request_id": NAME}),
        ("POST", "/Communication", "his-a", told | {"payload": [{"contentString": f"{NAME}，电话 {PHONE}"}]}, {}),
        ("GET", f"/{patient}", "agency-a", None, {}),
        ("GET", f"/{request}", "agency-a", None, {}),
        ("PUT", f"/Task/{task['id']}", "agency-a", task | {"note": note}, {}),
        ("PUT", f"/Task/{child['id']}", "agency-b", child | {"note": note}, {}),
        ("PUT", f"/Task/{child['id']}", "agency-a", child | {"status": "rejected", "note": note}, {}),
        ("PUT", f"/Task/{child['id']}", "agency-a", child | {"description": NAME}, {"if_match": 'W/"99"'}),
        ("PATCH", f"/Task/{child['id']}", "agency-a", patch, {"content_type": "application/json-patch+json"}),
        ("PUT", f"/{patient}", "his-a", {"resourceType": "Patient", "id": NAME, "name": [{"text": NAME}]}, {}),
        ("POST", "/Patient", "his-a", {"resourceType": NAME, "name": [{"text": NAME}]}, {}),
        ("POST", "/Patient", "his-a", {"resourceType": "Patient", "birthDate": NUMBER, "name": [{"text": NAME}]}, {}),
        ("POST", "/Subscription", "his-a", {"resourceType": "Subscription", "status": "requested", "reason": NAME,
         "criteria": NAME, "channel": {"type": "rest-hook", "endpoint": f"http://{NUMBER}.example/{quote(NAME)}",
         "payload": FHIR_JSON}}, {}),
    ]  # fmt: skip
    for method, path, by, body, headers in tried:
        answer = await sent(world, method, path, by, body, **headers)
        assert 400 <= answer.status_code < 500, (method, path, answer.text)
        clean(shown(answer))
    clean(logged(caplog))


async def test_behaviour_41_addresses_that_the_service_makes_hold_ids_alone(world: World) -> None:
    made = await sent(world, "POST", "", body=marked())
    clean(shown(made))
    patient = made.json()["entry"][0]["response"]["location"].split("/_history")[0]
    alone = await sent(world, "POST", "/Patient", body={"resourceType": "Patient", "name": [{"text": NAME}],
                       "identifier": [{"system": "urn:his-a:patient", "value": NUMBER + "2"}]})  # fmt: skip
    assert alone.status_code == 201, alone.text
    clean(alone.headers["location"])
    found = await sent(world, "GET", f"/Patient?identifier=urn:his-a:patient|{NUMBER}&_count=1")
    assert [entry["fullUrl"] for entry in found.json()["entry"]] == [f"{BASE}/fhir/{patient}"]
    for link in found.json()["link"]:
        assert link["relation"] == "self" or NUMBER not in link["url"]


async def test_behaviour_41_a_fault_of_the_server_shows_and_logs_its_kind_alone(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fails(*_: object, **__: object) -> None:
        raise RuntimeError(f"the row of {NAME} {NUMBER}")

    monkeypatch.setattr("adapters.fhir.writing.create", fails)
    monkeypatch.setattr("adapters.fhir.submission.submit", fails)
    for path, body in (("", marked()), ("/Patient", marked()["entry"][0]["resource"])):
        answer = await sent(world, "POST", path, body=body)
        assert answer.status_code == 500
        clean(shown(answer))
    assert "RuntimeError" in logged(caplog)
    assert not [mark for mark in MARKS if mark in logged(caplog)]
