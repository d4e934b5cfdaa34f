"""What is told of a person is decided when it is sent: a rule that changed since it was queued withholds it, on record."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from adapters import worker
from tests.http.loop import done
from tests.http.outside import command, working
from tests.http.subscribing import REQUEST, focus, heard, serving, settled, status_of, subscribed
from tests.http.test_safe_contact import PROHIBITION
from tests.http.test_subscription_channels import bodies
from tests.http.world import World, phq9


@pytest.fixture
async def world(network: dict[str, Any], network_database: Any) -> AsyncIterator[World]:
    async with serving(network, network_database) as running:
        yield running


async def queued(world: World) -> None:
    """Let everything that happened be queued for its subscribers, and send nothing of it."""
    await worker.advance(world.database, lambda: None, lambda: None)


async def listed(world: World) -> list[dict[str, Any]]:
    """Deliveries of events, oldest first, as an operator sees them."""
    found = json.loads(await command(world.clone, "delivery", "list", "--json"))
    return [each for each in reversed(found) if each["kind"] != "handshake"]


async def test_a_prohibition_between_queueing_and_sending_leaves_ids_alone_and_stands_on_record(world, hook) -> None:
    """The hospital's own request may hold a telephone number as received; it is not pushed any more."""
    hospital = world.party("his-a")
    async with working(world.clone):
        made = await subscribed(hospital, hook, REQUEST, content="full-resource")
        await settled(world, hospital, made, "active")
    referred = await world.refer("N05")
    await queued(world)
    before = await listed(world)
    assert before and all(each["state"] == "waiting" and each["withheld"] is None for each in before)
    done(await hospital.post(f"{referred.patient}/$safe-contact", PROHIBITION))
    async with working(world.clone):
        told = await heard(hook, len(before) + 1)
    for got in told:
        assert bodies(got) == {} and focus(got) == referred.request
        for personal in ("陈素芬", "13800000001", "示例街道"):
            assert personal.encode() not in got.body
    assert {each["withheld"] for each in await listed(world)} == {"contact-prohibited"}
    assert "withheld: contact-prohibited" in await command(world.clone, "delivery", "list")


@pytest.mark.slow
async def test_what_was_withheld_is_told_in_full_when_the_rule_is_gone_and_it_is_sent_again(world, hook) -> None:
    hospital = world.party("his-a")
    referred = await world.refer("N05")
    done(await hospital.post(f"{referred.patient}/$safe-contact", PROHIBITION))
    async with working(world.clone):
        await settled(world, hospital, await subscribed(hospital, hook, REQUEST, content="full-resource"), "active")
        await world.accepted(referred, consent=False)
        (got,) = await heard(hook, 1)
        assert bodies(got) == {}
        done(await hospital.post(f"{referred.patient}/$safe-contact", {"resourceType": "Parameters", "parameter": [{"name": "prohibited", "valueBoolean": False}]}))  # fmt: skip
        while not all(each["state"] == "sent" for each in await listed(world)):
            pass
        await command(world.clone, "delivery", "resend", got.id)
        while (again := (await heard(hook, 1))[0]).id != got.id:
            pass
    assert referred.request in bodies(again)
    assert {each["id"]: each["withheld"] for each in await listed(world)}[got.id] is None


async def test_a_consent_withdrawn_between_queueing_and_sending_leaves_nobody_named(world, hook) -> None:
    agency = world.party("agency-a")
    async with working(world.clone):
        await settled(world, agency, await subscribed(agency, hook, content="full-resource"), "active")
    referred = await world.refer("N05")
    await world.accepted(referred)
    await queued(world)
    consent = (await world.party("his-a").search(f"Consent?patient={referred.patient}"))[0]
    done(await world.party("his-a").put(consent, status="inactive"))
    async with working(world.clone):
        told = await heard(hook, 4)
    assert all(referred.patient.encode() not in got.body for got in told)
    withheld = {each["kind"]: each["withheld"] for each in await listed(world)}
    assert withheld == {"offer": None, "accept": None, "disclose": "not-disclosed", "conceal": None}


@pytest.mark.slow
async def test_of_somebody_who_died_meanwhile_nothing_more_is_pushed(world, hook) -> None:
    hospital = world.party("his-a")
    async with working(world.clone):
        await settled(world, hospital, await subscribed(hospital, hook, REQUEST, content="full-resource"), "active")
    referred = await world.refer("N05")
    await queued(world)
    done(await hospital.put(await hospital.read(referred.patient), deceasedBoolean=True))
    async with working(world.clone):
        (first, *_) = await heard(hook, 2)
    assert bodies(first) == {}
    assert (await listed(world))[0]["withheld"] == "deceased"


@pytest.mark.slow
async def test_what_is_sealed_is_notified_by_its_id_alone(world, worker, hook) -> None:
    hospital = world.party("his-a")
    await subscribed(hospital, hook, content="full-resource")
    await world.refer("N05", extra=[phq9(1)])
    while not {"submit", "raise", "offer"} <= {each["kind"] for each in await listed(world) if each["state"] == "sent"}:
        pass
    rules = {each["id"]: each["withheld"] for each in await listed(world)}
    told = await heard(hook, 3)
    assert {each["kind"]: each["withheld"] for each in await listed(world)}["raise"] == "sealed"
    for got in told:
        assert (bodies(got) == {}) == (rules[got.id] == "sealed")
        assert "raise" not in str(status_of(got.json))


@pytest.mark.slow
@pytest.mark.parametrize("need", ["N12", "N13", "N14"])
async def test_with_violence_or_abuse_no_resource_is_pushed_to_anybody(world, worker, hook, need) -> None:
    await subscribed(world.party("platform"), hook, REQUEST, content="full-resource")
    await world.refer(need)
    for got in await heard(hook, 2):
        assert bodies(got) == {} and b"13800000001" not in got.body
