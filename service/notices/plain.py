"""What an organisation hears of an event: that something happened to what, never to whom."""

from typing import Any

from service.events import Placed
from service.values import Id


def event(place: Placed, organization: Id, *, whole_network: bool) -> dict[str, Any]:
    """One event as `organization` may hear of it, shaped as Standard Webhooks recommends: type, timestamp, data with ids alone.

    An agency gets the id of its Task but not the referral's, which stays unlinkable to it until identity is disclosed. What is
    sealed reads "restricted", as in a timeline, to all but the platform and who did it.
    """
    happened = place.event
    hidden = happened.sealed and not whole_network and happened.by_organization != organization
    data: dict[str, Any] = {"kind": "restricted" if hidden else happened.kind}
    if happened.task:
        data["task"] = str(happened.task)
    if whole_network or happened.hospital == organization:
        data["referral"] = str(happened.referral)
    if whole_network:
        data["position"] = place.position
    return {"type": "urn:yuanshe:event", "timestamp": happened.at, "data": data}
