"""Subscriptions over FHIR: asked for, greeted, told of what happens by ids alone, ended, and asked for again."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.subscription import Subscription
from standardwebhooks import Webhook

from adapters.fhir.subscriptions import TOPICS
from adapters.worker import CLOCK, SWEEPS
from service.db import Scope
from service.practice import PLATFORM
from service.values import Id
from tests.http.outside import ROOT
from tests.http.subscribing import (
    GUIDE,
    REQUEST,
    SDOHCC,
    SECRET,
    TASK,
    focus,
    heard,
    secret_of,
    serving,
    settled,
    status_of,
    subscribed,
    wish,
)
from tests.http.test_sweeps import later
from tests.http.world import BASE, World, reason


@pytest.fixture
async def world(network: dict[str, Any], network_database: Any) -> AsyncIterator[World]:
    async with serving(network, network_database) as running:
        yield running


async def test_a_hospital_hears_of_its_referral_by_signed_notices_without_any_person(world, worker, hook) -> None:
    hospital = world.party("his-a")
    made = await hospital.post("Subscription", wish(f"{hook.url}/hook", header=["X-Ward: 6"]))
    assert made.status == 201 and made["status"] == "requested"
    assert made.headers["location"].removesuffix("/_history/1") == f"{BASE}/fhir/Subscription/{made['id']}"
    (secret,) = secret_of(made)

    greeting = await hook.next()
    Webhook(secret).verify(greeting.body, greeting.headers)
    said = status_of(greeting.json)
    assert (said["type"], said["status"], said["events-since-subscription-start"]) == ("handshake", "requested", "0")
    assert said["subscription"] == f"{BASE}/fhir/Subscription/{made['id']}" and said["topic"] == TASK
    assert (await settled(world, hospital, made, "active"))["status"] == "active"

    referred = await world.refer("N05")
    parent = await world.parent(referred)
    submitted, offered = await heard(hook, 2)
    assert focus(submitted) == f"Task/{parent['id']}"
    share = focus(offered)
    assert (await hospital.read(share))["partOf"][0]["reference"] == f"Task/{parent['id']}"
    await world.accepted(referred, consent=False)
    taken = await hook.next()
    assert focus(taken) == share and (await hospital.read(share))["status"] == "accepted"

    for number, got in enumerate((submitted, offered, taken), 1):
        Webhook(secret).verify(got.body, got.headers)
        assert got.headers["content-type"] == "application/fhir+json" and got.headers["x-ward"] == "6"
        bundle = got.json
        assert bundle["type"] == "history"
        assert all(entry["fullUrl"] and entry["request"] and entry["response"] for entry in bundle["entry"])
        assert not any("resource" in entry for entry in bundle["entry"][1:])
        Bundle.model_validate(bundle)
        said = status_of(bundle)
        assert (said["type"], said["status"]) == ("event-notification", "active")
        assert said["events-since-subscription-start"] == str(number)
        (event,) = said["events"]
        assert dict(event)["event-number"] == str(number)
        named = [value for name, value in event if name in ("focus", "additional-context")]
        assert named == [entry["fullUrl"] for entry in bundle["entry"][1:]]
        assert {f"{BASE}/fhir/Task/{parent['id']}", f"{BASE}/fhir/{referred.request}"} <= set(named)
        for personal in ("陈素芬", "13800000001", referred.patient):
            assert personal.encode() not in got.body


async def test_an_agency_is_never_referred_to_what_would_link_its_offers(world, worker, hook) -> None:
    agency = world.party("agency-a")
    await subscribed(agency, hook, REQUEST)
    referred = await world.refer("N05")
    offer = await world.offer(referred)
    got = await hook.next()
    assert focus(got) == offer["focus"]["reference"]
    named = {entry["fullUrl"] for entry in got.json["entry"][1:]}
    assert named == {f"{BASE}/fhir/{offer['focus']['reference']}", f"{BASE}/fhir/Task/{offer['id']}"}
    parent = await world.parent(referred)
    for hidden in (parent["id"], referred.id, referred.patient.split("/")[1]):
        assert str(hidden).encode() not in got.body


async def test_an_agency_hears_when_the_person_is_named_to_it_and_when_no_longer(world, worker, hook) -> None:
    agency = world.party("agency-a")
    referred = await world.refer("N05")
    share = await world.accepted(referred, consent=False)
    await subscribed(agency, hook)
    consent = await world.consent(referred, "agency-a")
    assert focus(await hook.next()) == f"Task/{share['id']}"
    assert (await agency.read(f"Task/{share['id']}"))["for"]["reference"] == referred.patient
    withdrawn = await world.party("his-a").put(consent, status="inactive")
    assert withdrawn.status == 200, withdrawn
    assert focus(await hook.next()) == f"Task/{share['id']}"
    assert (await agency.read(f"Task/{share['id']}"))["for"]["reference"] != referred.patient


async def test_an_agency_hears_of_offers_that_it_may_claim(world, worker, hook) -> None:
    await subscribed(world.party("agency-b"), hook)
    referred = await world.refer("N05")
    parent = await world.parent(referred, "platform")
    made = await world.party("platform").post(
        "Task",
        {
            "resourceType": "Task", "status": "requested", "intent": "order", "partOf": [{"reference": f"Task/{parent['id']}"}],
            "focus": {"reference": referred.request}, "requester": {"reference": world.organizations["platform"]},
            "for": {"reference": referred.patient}, "authoredOn": "2026-03-04T10:00:00+08:00",
        },
    )  # fmt: skip
    assert made.status == 201, made
    assert focus(await hook.next()) == f"Task/{made['id']}"


@pytest.mark.parametrize("topic", [TASK, REQUEST, f"{SDOHCC}/Task", f"{SDOHCC}/Servicerequest"])
async def test_each_topic_is_known_and_shown_as_asked_for(world, topic) -> None:
    made = await world.party("his-a").post("Subscription", wish("https://his.example.org/hook?q=1", topic, "_lastUpdated=gt2024-01-01"))  # fmt: skip
    assert made.status == 201, made
    found = await world.party("his-a").read(f"Subscription/{made['id']}")
    Subscription.model_validate(found)
    asked = wish("https://his.example.org/hook?q=1", topic, "_lastUpdated=gt2024-01-01")
    assert {name: found[name] for name in asked} == asked
    assert secret_of(made) and not secret_of(found)


async def test_no_filter_needed_to_be_told_least(world) -> None:
    made = await world.party("his-a").post(
        "Subscription",
        wish("https://his.example.org/hook")
        | {"channel": {"type": "rest-hook", "endpoint": "https://his.example.org/"}},
    )
    assert made.status == 201
    assert made["channel"]["_payload"]["extension"][0]["valueCode"] == "id-only"


CHANNEL = "Subscription.channel"


@pytest.mark.parametrize(
    ("change", "at"),
    [
        ({"criteria": "Task?status=requested"}, "Subscription.criteria"),
        ({"criteria": f"{SDOHCC}/Patient"}, "Subscription.criteria"),
        ({"_criteria": ["Task?patient=Patient/1"]}, "Subscription.criteria.extension[0]"),
        ({"_criteria": ["Task?status:not=draft"]}, "Subscription.criteria.extension[0]"),
        ({"_criteria": ["ServiceRequest?_id=1"]}, "Subscription.criteria.extension[0]"),
        ({"_criteria": ["Task?status=asleep"]}, "Subscription.criteria.extension[0]"),
        ({"_criteria": ["Task?_lastUpdated=lt2030-01-01"]}, "Subscription.criteria.extension[0]"),
        ({"type": "websocket"}, f"{CHANNEL}.type"),
        ({"type": "sms"}, f"{CHANNEL}.type"),
        ({"type": "message"}, f"{CHANNEL}.type"),
        ({"_type": {"extension": [{"url": f"{GUIDE}/backport-channel-type", "valueCoding": {"code": "z"}}]}}, f"{CHANNEL}.type"),
        ({"payload": "application/fhir+xml"}, f"{CHANNEL}.payload"),
        ({"content": "much"}, f"{CHANNEL}.payload.extension"),
        ({"endpoint": None}, f"{CHANNEL}.endpoint"),
        ({"endpoint": "http://1.1.1.1/hook"}, f"{CHANNEL}.endpoint"),
        ({"endpoint": "https://10.1.2.3/hook"}, f"{CHANNEL}.endpoint"),
        ({"endpoint": "https://[::1]/hook"}, f"{CHANNEL}.endpoint"),
        ({"endpoint": "ftp://his.example.org"}, f"{CHANNEL}.endpoint"),
        ({"header": ["webhook-signature: v1,x"]}, f"{CHANNEL}.header"),
        ({"header": ["no header"]}, f"{CHANNEL}.header"),
        ({"extension": [{"url": SECRET, "valueString": "short"}]}, "Subscription.extension"),
        ({"status": "off"}, "Subscription.status"),
        ({"end": "2020-01-01T00:00:00Z"}, "Subscription.end"),
    ],
)  # fmt: skip
async def test_what_the_service_does_not_do_is_refused_with_the_element_that_asks_for_it(world, change, at) -> None:
    content = change.pop("content", "id-only")
    filters = change.pop("_criteria", ())
    top = {name: change.pop(name) for name in ("criteria", "status", "extension", "end") if name in change}
    asked = wish("https://his.example.org/hook", TASK, *filters, content=content) | top
    asked["channel"] = {name: value for name, value in (asked["channel"] | change).items() if value is not None}
    refused = await world.party("his-a").post("Subscription", asked)
    assert refused.status == 422, refused
    assert refused["issue"][0]["expression"] == [at]
    assert await world.party("his-a").search("Subscription") == []


async def test_who_may_not_subscribe_is_told_so(world) -> None:
    asked = wish("https://his.example.org/hook")
    assert (await world.nobody.post("Subscription", asked)).status == 401
    assert (await world.party("auditor").post("Subscription", asked)).status == 403


async def test_filters_pass_what_fits_a_task_that_the_subscriber_may_read(world, worker, hook) -> None:
    hospital = world.party("his-a")
    await subscribed(
        hospital, hook, f"{SDOHCC}/Task", f"Task?requester={hospital.organization}&status=accepted,in-progress"
    )
    referred = await world.refer("N05")
    await world.accepted(referred, consent=False)
    got = await hook.next()
    assert focus(got) == f"Task/{(await world.parent(referred))['id']}"
    assert status_of(got.json)["events-since-subscription-start"] == "1"


async def test_owner_and_status_choose_among_an_agencys_tasks(world, worker, hook) -> None:
    agency = world.party("agency-a")
    await subscribed(
        agency, hook, TASK, f"Task?owner={BASE}/fhir/{agency.organization}", "Task?status=rejected&code=fulfill"
    )
    offer = await world.offer(await world.refer("N05"))
    declined = await agency.put(offer, status="rejected", statusReason=reason("no-capacity"))
    assert declined.status == 200, declined
    got = await hook.next()
    assert focus(got) == f"Task/{offer['id']}"


async def test_an_empty_notice_says_only_that_there_is_news(world, worker, hook) -> None:
    await subscribed(world.party("his-a"), hook, content="empty")
    referred = await world.refer("N05")
    got = await hook.next()
    (status,) = got.json["entry"]
    assert status["resource"]["resourceType"] == "Parameters"
    said = status_of(got.json)
    assert "topic" not in said and [name for name, _ in said["events"][0]] == ["event-number", "timestamp"]
    assert str(referred.id).encode() not in got.body


@pytest.mark.slow
async def test_an_endpoint_that_does_not_answer_is_an_error_until_asked_for_again_and_nothing_is_lost(
    world, worker, hook
) -> None:
    hospital = world.party("his-a")
    hook.answers["/hook"] = ["500 Sorry"]
    made = await hospital.post("Subscription", wish(f"{hook.url}/hook"))
    failed = await settled(world, hospital, made, "error")
    assert failed["error"] == "status-500"
    assert failed["meta"]["versionId"] == "2"
    referred = await world.refer("N05")
    parent = await world.parent(referred)

    again = await hospital.put(failed)
    assert again.status == 200 and again["status"] == "error", "an error is not reset by repeating it"
    hook.answers["/hook"] = ["204 No Content"]
    again = await hospital.put(failed, status="requested")
    assert again.status == 200 and again["status"] == "requested" and "error" not in again
    got, _ = await heard(hook, 2)
    assert focus(got) == f"Task/{parent['id']}"


async def test_off_ends_it_and_requested_begins_it_anew(world, worker, hook) -> None:
    hospital = world.party("his-a")
    made = await subscribed(hospital, hook)
    active = await settled(world, hospital, made, "active")
    stale = await hospital.put(active, if_match='W/"1"', status="off")
    assert stale.status == 412
    ended = await hospital.put(active, if_match=active.headers["etag"], status="off")
    assert ended.status == 200 and ended["status"] == "off"
    await world.refer("N05")
    secret = "whsec_" + "YWJj" * 8
    renewed = await hospital.put(ended, status="requested", extension=[{"url": SECRET, "valueString": secret}])
    assert renewed["status"] == "requested" and secret_of(renewed) == [secret]
    greeting = await hook.next()
    assert status_of(greeting.json)["type"] == "handshake", "nothing was sent while it was off"
    Webhook(secret).verify(greeting.body, greeting.headers)
    changed = await hospital.put(renewed, status="active", criteria=REQUEST)
    assert changed.status == 422
    assert (await hospital.ask("DELETE", f"Subscription/{made['id']}")).status == 405


async def test_status_and_events_tell_what_was_to_be_heard(world, worker, hook) -> None:
    hospital = world.party("his-a")
    made = await subscribed(hospital, hook)
    await world.refer("N05")
    first, second = await heard(hook, 2)

    found = await hospital.read(f"Subscription/{made['id']}/$status")
    (entry,) = found["entry"]
    assert found["type"] == "searchset"
    said = status_of({"entry": [entry]})
    assert (said["status"], said["type"], said["events-since-subscription-start"]) == ("active", "query-status", "2")
    assert len((await hospital.read("Subscription/$status?status=active"))["entry"]) == 1
    assert "entry" not in await hospital.read("Subscription/$status?status=off")  # No list of FHIR's JSON is empty.
    for path in ("Subscription/$status", f"Subscription/{made['id']}/$status", f"Subscription/{made['id']}/$events"):
        bare = await hospital.ask("POST", path)
        assert bare.status == 200 and bare["entry"]

    told = await hospital.read(f"Subscription/{made['id']}/$events")
    assert status_of(told)["type"] == "query-event"
    assert [dict(event)["focus"] for event in status_of(told)["events"]] == [
        f"{BASE}/fhir/{focus(each)}" for each in (first, second)
    ]
    later = await hospital.read(f"Subscription/{made['id']}/$events?eventsSinceNumber=2")
    assert [dict(event)["event-number"] for event in status_of(later)["events"]] == ["2"]
    assert (await hospital.get(f"Subscription/{made['id']}/$events?eventsSinceNumber=x")).status == 400


async def test_subscriptions_are_seen_by_their_own_organisation_and_their_secrets_by_nobody(world) -> None:
    hospital = world.party("his-a")
    made = await hospital.post("Subscription", wish("https://his.example.org/hook?key=1", TASK, header=["Authorization: Bearer abc"]))  # fmt: skip
    assert [each["id"] for each in await hospital.search(f"Subscription?status=requested&criteria={TASK}")] == [
        made["id"]
    ]
    assert await hospital.search("Subscription?status=active") == []
    for stranger in ("his-b", "agency-a"):
        other = world.party(stranger)
        for path in ("", "/$status", "/$events"):
            assert (await other.get(f"Subscription/{made['id']}{path}")).status == 404
        assert (await other.put(made, status="off")).status == 404
        assert await other.search("Subscription") == []
    (seen,) = await world.party("platform").search("Subscription")
    assert seen["channel"]["header"] == ["Authorization: *"] and "key" not in seen["channel"]["endpoint"]
    assert not secret_of(seen)
    async with world.database.transaction(Scope(PLATFORM, "platform", platform=True)) as session:
        kept = await session.fetchval("SELECT terms::text FROM subscriber WHERE id = $1", Id(made["id"]))
    assert secret_of(made)[0] not in kept


async def test_a_subscription_with_an_end_is_over_then(world) -> None:
    hospital = world.party("his-a")
    made = await hospital.post("Subscription", wish("https://his.example.org/hook") | {"end": "2099-01-01T00:00:00Z"})
    assert made.status == 201 and made["end"] == "2099-01-01T00:00:00Z"
    async with world.database.transaction(CLOCK.scope) as session:
        assert await SWEEPS["end-subscriptions"].run(session, CLOCK, later(days=3)) == 0
    async with world.database.transaction(CLOCK.scope) as session:
        assert await SWEEPS["end-subscriptions"].run(session, CLOCK, later(days=36_500)) == 1
    assert (await hospital.read(f"Subscription/{made['id']}"))["status"] == "off"


def test_the_page_names_every_topic_and_filter() -> None:
    page = (ROOT / "docs" / "subscriptions.md").read_text()
    for criteria, topic in TOPICS.items():
        row = next(line for line in page.splitlines() if line.startswith("|") and f"`{criteria}`" in line)
        assert all(f"`{name}`" in row for name in topic.filters)
    assert SECRET in page
