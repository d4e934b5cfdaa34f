"""How notices reach a subscriber: in full where it may read, by mail, with a heartbeat in silence, several events at once."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.subscription import Subscription

from adapters.settings import Smtp
from service.practice import PLATFORM
from tests.http.outside import working
from tests.http.subscribing import (
    GUIDE,
    REQUEST,
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
from tests.http.world import BASE, World
from tests.notices.conftest import Received
from tests.notices.mailbox import Mailbox, mailing

SENDER = "notices@yuanshe.example"


@pytest.fixture
async def world(network: dict[str, Any], network_database: Any) -> AsyncIterator[World]:
    smtp = Smtp("127.0.0.1", 1, "none", SENDER)
    async with serving(network, network_database, smtp=smtp, smtp_domains=("his.example",)) as running:
        yield running


def bodies(got: Received) -> dict[str, dict[str, Any]]:
    """The resources of a notice by their references."""
    Bundle.model_validate(got.json)
    found = [entry["resource"] for entry in got.json["entry"][1:] if "resource" in entry]
    return {f"{each['resourceType']}/{each['id']}": each for each in found}


def limits(**asked: int) -> list[dict[str, Any]]:
    named = {"heartbeat": ("heartbeat-period", "valueUnsignedInt"), "timeout": ("timeout", "valueUnsignedInt"),
             "max_count": ("max-count", "valuePositiveInt")}  # fmt: skip
    return [{"url": f"{GUIDE}/backport-{named[name][0]}", named[name][1]: value} for name, value in asked.items()]


# ---- full-resource -----------------------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_a_hospital_is_sent_what_it_may_read_as_it_reads_it(world, worker, hook) -> None:
    hospital = world.party("his-a")
    await subscribed(hospital, hook, content="full-resource")
    referred = await world.refer("N05")
    submitted, offered = await heard(hook, 2)
    parent = focus(submitted)
    shown = bodies(offered)
    assert shown[parent] == await hospital.read(parent)
    assert shown[referred.request] == await hospital.read(referred.request)
    assert focus(offered) in shown and status_of(offered.json)["topic"] == TASK
    named = {entry["fullUrl"].removeprefix(f"{BASE}/fhir/") for entry in offered.json["entry"][1:]}
    assert named == set(shown) and all(entry["request"] and entry["response"] for entry in offered.json["entry"])


@pytest.mark.slow
async def test_an_agency_is_sent_no_person_until_it_may_read_who_it_is_and_then_again_when_it_may_not(
    world, worker, hook
) -> None:
    agency = world.party("agency-a")
    await subscribed(agency, hook, content="full-resource")
    referred = await world.refer("N05")
    offer = await hook.next()
    share = focus(offer)
    assert bodies(offer)[share]["for"]["reference"] != referred.patient
    for personal in ("陈素芬", "13800000001", referred.patient, referred.id):
        assert personal.encode() not in offer.body
    await world.accepted(referred, consent=False)
    await hook.next()
    consent = await world.consent(referred, "agency-a")
    disclosed = await hook.next()
    assert bodies(disclosed)[share]["for"]["reference"] == referred.patient
    assert bodies(disclosed)[share] == await agency.read(share)
    await world.party("his-a").put(consent, status="inactive")
    withdrawn = await hook.next()
    assert bodies(withdrawn)[share]["for"]["reference"] != referred.patient
    assert referred.patient.encode() not in withdrawn.body


async def test_what_may_be_shown_is_decided_when_it_is_sent_not_when_it_is_queued(world, hook) -> None:
    agency = world.party("agency-a")
    async with working(world.clone):
        await settled(world, agency, await subscribed(agency, hook, content="full-resource"), "active")
    referred = await world.refer("N05")
    share = await world.accepted(referred)
    await world.party("his-a").put(
        (await world.party("his-a").search(f"Consent?patient={referred.patient}"))[0], status="inactive"
    )
    async with working(world.clone):
        told = await heard(hook, 4)
    for got in told:
        assert referred.patient.encode() not in got.body, "it was disclosed when it happened, and is not any more"
        assert bodies(got)[f"Task/{share['id']}"]["for"]["reference"] != referred.patient


@pytest.mark.slow
async def test_of_a_need_for_safety_an_agency_is_told_ids_alone_before_it_knows_whom_it_is_about(
    world, worker, hook
) -> None:
    agency = world.party("agency-a")
    await subscribed(agency, hook, REQUEST, content="full-resource")
    referred = await world.refer("N11")
    offer = await hook.next()
    assert bodies(offer) == {} and focus(offer).startswith("ServiceRequest/")
    await world.accepted(referred, consent=False)
    assert bodies(await hook.next()) == {}
    await world.consent(referred, "agency-a")
    # In a crisis people are called meanwhile, which is news of its own.
    while focus(offer) not in bodies(await hook.next()):
        pass


@pytest.mark.slow
async def test_a_program_is_sent_no_more_than_it_still_may_read(world, worker, hook) -> None:
    hospital = world.party("his-a")
    made = await subscribed(hospital, hook, content="full-resource")
    await settled(world, hospital, made, "active")
    async with world.as_owner() as owner:
        await owner.execute("UPDATE client SET scope = 'system/Task.rs' WHERE client_id = $1", world.said["clients"]["his-a"]["client_id"])  # fmt: skip
    await world.refer("N05")
    for got in await heard(hook, 2):
        assert {each["resourceType"] for each in bodies(got).values()} == {"Task"}
        assert any("/ServiceRequest/" in entry["fullUrl"] for entry in got.json["entry"][1:]), "by its id, as before"


@pytest.mark.slow
async def test_what_was_sent_in_full_stands_in_the_audit(world, worker, hook) -> None:
    made = await subscribed(world.party("his-a"), hook, content="full-resource")
    await world.refer("N05")
    await heard(hook, 2)
    async with world.as_owner() as owner:
        lines = await owner.fetch("SELECT resource_id, organization_id FROM audit WHERE interaction = 'notify'")
    assert {str(line["resource_id"]) for line in lines} == {made["id"]}
    assert {f"Organization/{line['organization_id']}" for line in lines} == {world.party("his-a").organization}


# ---- mail --------------------------------------------------------------------------------------------------------------


def by_mail(
    content: str = "id-only",
    payload: str = "text/plain;attach=application/fhir+json",
    to: str = "mailto:notices@his.example",
    **more: Any,
) -> dict[str, Any]:
    return wish(to, content=content, type="email", payload=payload, **more)


async def mails(world: World, box: Mailbox):
    return working(world.clone, SMTP_URL=f"smtp://127.0.0.1:{box.port}?tls=none", SMTP_FROM=SENDER)


async def test_a_mailbox_is_greeted_and_told_of_events_with_the_notice_attached(world) -> None:
    hospital = world.party("his-a")
    made = await hospital.post("Subscription", by_mail())
    assert made.status == 201, made
    Subscription.model_validate(made)
    assert not secret_of(made), "nothing is signed"
    async with mailing() as box, await mails(world, box):
        greeting = await box.next()
        assert greeting["To"] == "notices@his.example"
        await settled(world, hospital, made, "active")
        referred = await world.refer("N05")
        numbers: set[str] = set()
        for mail in (await box.next(), await box.next()):  # two may overtake one another
            words, attached = mail.iter_parts()
            bundle = json.loads(attached.get_content())
            Bundle.model_validate(bundle)
            said = status_of(bundle)
            assert said["type"] == "event-notification"
            numbers.add(said["events-since-subscription-start"])
            assert f"{BASE}/fhir/Task/" in words.get_content()
            for personal in ("陈素芬", "13800000001", referred.patient):
                assert personal not in mail.as_string() and personal.encode() not in attached.get_payload(decode=True)
        assert numbers == {"1", "2"}
    (status,) = (await hospital.read(f"Subscription/{made['id']}/$status"))["entry"]
    assert status_of({"entry": [status]})["status"] == "active"


@pytest.mark.slow
async def test_an_empty_mail_names_nothing(world) -> None:
    made = await world.party("his-a").post("Subscription", by_mail("empty", "text/plain"))
    async with mailing() as box, await mails(world, box):
        await box.next()
        await settled(world, world.party("his-a"), made, "active")
        referred = await world.refer("N05")
        told = await box.next()
    assert not told.is_multipart()
    assert "Task" not in told.get_content() and str(referred.id) not in told.get_content()


@pytest.mark.slow
async def test_a_mailbox_that_is_not_there_is_an_error_of_the_subscription(world) -> None:
    hospital = world.party("his-a")
    made = await hospital.post("Subscription", by_mail())
    async with mailing() as box:
        box.refuses["notices@his.example"] = "550 No such user notices, ask postmaster"
        async with await mails(world, box):
            failed = await settled(world, hospital, made, "error")
    assert failed["error"] == "gone"


@pytest.mark.parametrize(
    ("asked", "at"),
    [
        (by_mail("full-resource"), "Subscription.channel.payload.extension"),
        (by_mail(payload="application/fhir+json"), "Subscription.channel.payload"),
        (by_mail(payload="text/plain;attach=application/fhir+xml"), "Subscription.channel.payload"),
        (by_mail(header=["X: y"]), "Subscription.channel.header"),
        (by_mail(to="mailto:a@elsewhere.example"), "Subscription.channel.endpoint"),
        (by_mail(to="mailto:a@his.example?bcc=b@his.example"), "Subscription.channel.endpoint"),
        (by_mail(to="https://his.example/hook"), "Subscription.channel.endpoint"),
        (by_mail(extension=limits(heartbeat=60)), "Subscription.channel.extension"),
        (by_mail() | {"extension": [{"url": SECRET, "valueString": "whsec_" + "YWJj" * 8}]}, "Subscription.extension"),
        (wish("http://10.1.2.3/hook", content="full-resource"), "Subscription.channel.endpoint"),
        (wish("http://his.example.org/hook", content="full-resource"), "Subscription.channel.endpoint"),
    ],
)
@pytest.mark.slow
async def test_what_no_mail_can_carry_is_refused(world, asked, at) -> None:
    refused = await world.party("his-a").post("Subscription", asked)
    assert refused.status == 422, refused
    assert refused["issue"][0]["expression"] == [at]


@pytest.mark.slow
async def test_where_there_is_no_mail_server_a_mail_is_refused_and_says_so(network, network_database) -> None:
    async with serving(network, network_database) as world:
        refused = await world.party("his-a").post("Subscription", by_mail())
    assert refused.status == 422 and refused["issue"][0]["expression"] == ["Subscription.channel.type"]
    assert "no mail" in refused["issue"][0]["details"]["text"]


@pytest.mark.slow
async def test_another_client_sees_where_a_mail_goes_but_not_to_whom(world) -> None:
    made = await world.party("his-a").post("Subscription", by_mail())
    seen = await world.party("platform").read(f"Subscription/{made['id']}")
    assert seen["channel"]["endpoint"] == "mailto:*@his.example"


# ---- limits ------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_what_is_asked_of_a_channel_is_kept_and_shown(world) -> None:
    asked = wish("https://his.example.org/hook", extension=limits(heartbeat=86400, timeout=60, max_count=20))
    made = await world.party("his-a").post("Subscription", asked)
    assert made.status == 201, made
    assert made["channel"] == asked["channel"]
    Subscription.model_validate(made)


@pytest.mark.slow
@pytest.mark.parametrize(
    "asked", [{"heartbeat": 0}, {"heartbeat": 5}, {"heartbeat": 10**7}, {"timeout": 0}, {"timeout": 61}]
)
async def test_what_a_channel_cannot_keep_to_is_refused(world, asked) -> None:
    refused = await world.party("his-a").post("Subscription", wish("https://his.example.org/hook", extension=limits(**asked)))  # fmt: skip
    assert refused.status == 422, refused
    assert refused["issue"][0]["expression"] == ["Subscription.channel.extension"]


@pytest.mark.slow
async def test_after_silence_a_heartbeat_says_that_there_is_no_news(world, worker, hook) -> None:
    hospital = world.party("his-a")
    made = await subscribed(hospital, hook, extension=limits(heartbeat=30))
    await settled(world, hospital, made, "active")
    await world.refer("N05")
    await heard(hook, 2)
    async with world.as_owner() as owner:
        await owner.execute("UPDATE subscriber SET beat_at = now() WHERE id = $1", made["id"])
    beat = await hook.next()
    Bundle.model_validate(beat.json)
    said = status_of(beat.json)
    assert (said["type"], said["events-since-subscription-start"], said["events"]) == ("heartbeat", "2", [])
    assert len(beat.json["entry"]) == 1
    async with world.as_owner() as owner:
        ahead = await owner.fetchval("SELECT beat_at > now() FROM subscriber WHERE id = $1", made["id"])
    assert ahead


@pytest.mark.slow
async def test_what_waits_is_told_at_once_in_order_and_in_no_more_than_was_asked_for(world, hook) -> None:
    hospital = world.party("his-a")
    made = await hospital.post("Subscription", wish(f"{hook.url}/hook", extension=limits(max_count=3)))
    for _ in range(2):
        await world.refer("N05")
    hook.answers["/hook"] = ["204 No Content", "503 Busy", "204 No Content"]
    numbers: list[list[str]] = []
    ids: list[str] = []
    async with working(world.clone):
        await settled(world, hospital, made, "active")
        while not numbers or numbers[-1][-1] != "4":
            got = await hook.next()
            said = status_of(got.json)
            if said["type"] == "handshake":
                continue
            Bundle.model_validate(got.json)
            numbers.append([dict(event)["event-number"] for event in said["events"]])
            assert said["events-since-subscription-start"] == numbers[-1][-1]
            ids.append(got.id)
            named = {
                value for event in said["events"] for name, value in event if name in ("focus", "additional-context")
            }
            assert named == {entry["fullUrl"] for entry in got.json["entry"][1:]}
    assert numbers == [["1", "2", "3"], ["1", "2", "3"], ["4"]]
    assert ids[0] == ids[1] != ids[2], "tried again it is the same notice"


@pytest.mark.slow
async def test_an_empty_batch_is_counted_and_names_nothing(world, hook) -> None:
    made = await world.party("his-a").post(
        "Subscription", wish(f"{hook.url}/hook", content="empty", extension=limits(max_count=10))
    )
    await world.refer("N05")
    async with working(world.clone):
        await settled(world, world.party("his-a"), made, "active")
        while status_of((got := await hook.next()).json)["type"] != "event-notification":
            pass
    assert len(status_of(got.json)["events"]) == 2 and len(got.json["entry"]) == 1
    assert str(PLATFORM).encode() not in got.body
