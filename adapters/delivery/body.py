"""The plain JSON body of a notice: that something happened to what, never to whom."""

from typing import Any

import msgspec

from service.notices import plain
from service.notices.model import Notice


def render(notice: Notice) -> tuple[str, bytes]:
    """The content type and the body, shaped as Standard Webhooks recommends: type, timestamp, data with ids alone."""
    to, place = notice.subscriber, notice.event
    if place is None:
        said: dict[str, Any] = {"type": "urn:yuanshe:handshake", "timestamp": notice.created_at, "data": {}}
    else:
        said = plain.event(place, to.organization, whole_network=to.whole_network)
    said["data"] = {"subscription": str(to.id), "number": notice.number} | said["data"]
    return "application/json", msgspec.json.encode(said)
