"""What a Subscription may not ask for, and where its notices may never go: refused with the element at fault, nothing stored."""

from typing import Any

import pytest

from tests.http.subscribing import GUIDE, TASK, wish
from tests.http.world import World

HOOK = "https://his.example.org/hook"
CHANNEL = "Subscription.channel"


async def refused_at(world: World, asked: dict[str, Any]) -> list[str]:
    """The elements that are at fault; nothing is stored."""
    hospital = world.party("his-a")
    refused = await hospital.post("Subscription", asked)
    assert refused.status == 422, refused
    assert await hospital.search("Subscription") == []
    return [each["expression"][0] for each in refused["issue"]]


def extended(url: str, **value: Any) -> dict[str, Any]:
    return {"extension": [{"url": url, **value}]}


@pytest.mark.parametrize(
    ("change", "at"),
    [
        ({"_criteria": extended("http://hl7.org/fhir/5.0/subscriptions-backport/StructureDefinition/backport-filter-criteria",
                                valueString="Encounter?patient=Patient/123")}, "Subscription.criteria.extension[0]"),
        ({"criteria": "http://example.org/SubscriptionTopic/none"}, "Subscription.criteria"),
        ({"_criteria": extended(f"{GUIDE}/backport-filter-criteria", valueString="Task?description=x")}, "Subscription.criteria.extension[0]"),
        ({"channel": {"type": "websocket"}}, f"{CHANNEL}.type"),
        ({"channel": {"endpoint": "ftp://his.example.org/hook"}}, f"{CHANNEL}.endpoint"),
        ({"channel": {"payload": "application/fhir+xml"}}, f"{CHANNEL}.payload"),
        ({"channel": {"type": "email", "endpoint": "mailto:a@his.example.org", "payload": "application/fhir+json"}}, f"{CHANNEL}.payload"),
    ],
    ids=["cross-version-extension", "topic", "filter", "channel-type", "endpoint", "payload-type", "payload-and-channel"],
)  # fmt: skip
async def test_behaviour_34_the_seven_rejections_of_the_subscriptions_test_kit(world: World, change, at) -> None:
    asked = wish(HOOK)
    asked |= {name: value for name, value in change.items() if name != "channel"}
    asked["channel"] |= change.get("channel", {})
    assert await refused_at(world, asked) == [at]


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://93.184.216.34/hook", "http://his.example.org/hook", "https://127.0.0.1/hook", "https://localhost/hook",
        "https://10.0.0.5/hook", "https://192.168.1.1/hook", "https://172.16.0.1/hook", "https://169.254.169.254/latest",
        "https://100.64.0.1/hook", "https://0.0.0.0/hook", "https://[::1]/hook", "https://[fe80::1]/hook", "https://[fd00::1]/hook",
        "https://[::ffff:127.0.0.1]/hook", "https://[::ffff:a9fe:a9fe]/hook", "https://[64:ff9b::7f00:1]/hook",
        "https://2130706433/hook", "https://0x7f.1/hook", "https://93.184.216.34:22/hook", "https://u:p@his.example.org/hook",
        "file:///etc/passwd", "https:///hook", "his.example.org/hook",
    ],
)  # fmt: skip
async def test_behaviour_34_no_notice_goes_to_http_or_into_a_private_network(world: World, endpoint: str) -> None:
    assert await refused_at(world, wish(endpoint)) == [f"{CHANNEL}.endpoint"]


@pytest.mark.parametrize(
    ("change", "at"),
    [
        ({"type": "sms", "endpoint": "tel:+8613800000001"}, f"{CHANNEL}.type"),
        ({"type": "message"}, f"{CHANNEL}.type"),
        ({"_type": extended(f"{GUIDE}/backport-channel-type", valueCoding={"code": "zulip"})}, f"{CHANNEL}.type"),
        ({"payload": "text/plain"}, f"{CHANNEL}.payload"),
        ({"_payload": extended(f"{GUIDE}/backport-payload-content", valueCode="all")}, f"{CHANNEL}.payload.extension"),
        ({"extension": [{"url": "urn:example:retry", "valueInteger": 3}]}, f"{CHANNEL}.extension[0]"),
        ({"extension": [{"url": f"{GUIDE}/backport-timeout", "valueString": "soon"}]}, f"{CHANNEL}.extension[0]"),
        ({"extension": [{"url": f"{GUIDE}/backport-max-count", "valuePositiveInt": 0}]}, f"{CHANNEL}.extension"),
    ],
)  # fmt: skip
async def test_nothing_that_is_asked_of_a_channel_is_passed_over_in_silence(world: World, change, at) -> None:
    asked = wish(HOOK)
    asked["channel"] |= change
    assert (await refused_at(world, asked))[0].startswith(at)


async def test_a_program_that_may_not_read_tasks_cannot_have_them_sent(world: World) -> None:
    async with world.as_owner() as owner:
        await owner.execute("UPDATE access_token SET scope = 'system/Subscription.cruds system/ServiceRequest.rs'")
    for content in ("full-resource", "id-only"):
        refused = await world.party("his-a").post("Subscription", wish(HOOK, TASK, content=content))
        assert refused.status == 403, refused
