"""The plain JSON body of a notice: that something happened to what, never to whom."""

from typing import Any

import msgspec

from service.events import Placed
from service.notices.model import Notice
from service.values import Id


def render(notice: Notice) -> tuple[str, bytes]:
    """The content type and the body, shaped as Standard Webhooks recommends: type, timestamp, data with ids alone."""
    to, place = notice.subscriber, notice.event
    if place is None:
        said: dict[str, Any] = {"type": "urn:yuanshe:handshake", "timestamp": notice.created_at, "data": {}}
    else:
        said = event(place, to.organization, whole_network=to.whole_network)
    said["data"] = {"subscription": str(to.id), "number": notice.number} | said["data"]
    return "application/json", msgspec.json.encode(said)


def event(place: Placed, organization: Id, *, whole_network: bool) -> dict[str, Any]:
    """One event as `organization` may hear of it.

    An agency gets the id of its Task but not the referral's, which stays unlinkable to it until identity is disclosed.
    """
    happened = place.event
    data: dict[str, Any] = {"kind": happened.kind}
    if happened.task:
        data["task"] = str(happened.task)
    if whole_network or happened.hospital == organization:
        data["referral"] = str(happened.referral)
    if whole_network:
        data["position"] = place.position
    return {"type": "urn:yuanshe:event", "timestamp": happened.at, "data": data}
