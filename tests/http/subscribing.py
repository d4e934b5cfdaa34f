"""What tests of Subscriptions share: the service and a worker that reach this machine, wishes, and notices taken apart."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from adapters import app, settings
from tests.http.outside import LOOPBACK
from tests.http.world import BASE, Answered, Party, World
from tests.notices.conftest import Listener, Received

GUIDE = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition"
SECRET = "urn:yuanshe:webhook-secret"
TASK, REQUEST = "urn:yuanshe:topic:task", "urn:yuanshe:topic:service-request"
SDOHCC = "http://hl7.org/fhir/us/sdoh-clinicalcare/SubscriptionTopic"


@contextlib.asynccontextmanager
async def serving(network: dict[str, Any], database: Any, **more: Any) -> AsyncIterator[World]:
    """The service, which may post to this machine, with these settings besides."""
    built = app.create(settings.Settings(webhook_allow=LOOPBACK, **more), database.app_dsn, base_url=BASE)
    async with World(built, network, database).running() as running:
        yield running


def wish(endpoint: str, topic: str = TASK, *filters: str, content: str = "id-only", **channel: Any) -> dict[str, Any]:
    asked: dict[str, Any] = {
        "resourceType": "Subscription",
        "status": "requested",
        "reason": "follow our referrals",
        "criteria": topic,
        "channel": {
            "type": "rest-hook",
            "endpoint": endpoint,
            "payload": "application/fhir+json",
            "_payload": {"extension": [{"url": f"{GUIDE}/backport-payload-content", "valueCode": content}]},
            **channel,
        },
    }
    if filters:
        said = [{"url": f"{GUIDE}/backport-filter-criteria", "valueString": each} for each in filters]
        asked["_criteria"] = {"extension": said}
    return asked


async def subscribed(party: Party, hook: Listener, *args: Any, **more: Any) -> Answered:
    """A subscription whose handshake was answered."""
    made = await party.post("Subscription", wish(f"{hook.url}/hook", *args, **more))
    assert made.status == 201, made
    assert status_of((await hook.next()).json)["type"] == "handshake"
    return made


def status_of(bundle: dict[str, Any]) -> dict[str, Any]:
    """The parameters of a notification's first entry by name, its events as dicts of their parts."""
    found: dict[str, Any] = {"events": []}
    for parameter in bundle["entry"][0]["resource"]["parameter"]:
        if parameter["name"] == "notification-event":
            found["events"].append([(part["name"], value_of(part)) for part in parameter["part"]])
        else:
            found[parameter["name"]] = value_of(parameter)
    return found


def value_of(parameter: dict[str, Any]) -> Any:
    value = next(value for name, value in parameter.items() if name.startswith("value"))
    return value["reference"] if isinstance(value, dict) and "reference" in value else value


def focus(got: Received) -> str:
    """What the one event of a notice is about, without the address of the server."""
    (event,) = status_of(got.json)["events"]
    return dict(event)["focus"].removeprefix(f"{BASE}/fhir/")


async def heard(hook: Listener, count: int) -> list[Received]:
    """The next notices of events by their numbers: some are posted at once, so they may overtake one another."""
    found: list[Received] = []
    while len(found) < count:
        if status_of((got := await hook.next()).json)["type"] == "event-notification":
            found.append(got)
    return sorted(found, key=lambda got: int(dict(status_of(got.json)["events"][0])["event-number"]))


def secret_of(subscription: dict[str, Any]) -> list[str]:
    return [each["valueString"] for each in subscription.get("extension", ()) if each["url"] == SECRET]


async def settled(world: World, party: Party, made: Answered, status: str) -> Answered:
    """The subscription once the worker has recorded what came of the handshake."""
    while (found := await party.read(f"Subscription/{made['id']}"))["status"] != status:
        assert found["status"] == "requested"
    return found
