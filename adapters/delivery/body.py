"""The plain JSON body of a notice: that something happened to what, never to whom."""

from typing import Any

import msgspec

from service.notices.model import Notice


def render(notice: Notice) -> tuple[str, bytes]:
    """The content type and the body, shaped as Standard Webhooks recommends: type, timestamp, data with ids alone.

    An agency gets the id of its Task but not the referral's, which stays unlinkable to it until identity is disclosed.
    """
    to, place = notice.subscriber, notice.event
    data: dict[str, Any] = {"subscription": str(to.id), "number": notice.number}
    if place is None:
        kind, at = "urn:yuanshe:handshake", notice.created_at
    else:
        event = place.event
        kind, at = "urn:yuanshe:event", event.at
        data["kind"] = event.kind
        if event.task:
            data["task"] = str(event.task)
        if to.whole_network or event.hospital == to.organization:
            data["referral"] = str(event.referral)
        if to.whole_network:
            data["position"] = place.position
    return "application/json", msgspec.json.encode({"type": kind, "timestamp": at, "data": data})
