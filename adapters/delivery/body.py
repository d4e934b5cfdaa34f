"""The plain JSON body of a notice: that something happened to what, never to whom."""

from collections.abc import Sequence
from typing import Any

import msgspec

from service.db import Database
from service.notices import plain
from service.notices.model import Message, Notice


async def render(database: Database, notices: Sequence[Notice]) -> Message:
    """One notice, shaped as Standard Webhooks recommends: type, timestamp, data with ids alone."""
    notice = notices[0]
    to, place = notice.subscriber, notice.event
    if place is None:
        type = "heartbeat" if notice.heartbeat else "handshake"
        said: dict[str, Any] = {"type": f"urn:yuanshe:{type}", "timestamp": notice.created_at, "data": {}}
    else:
        said = plain.event(place, to.organization, whole_network=to.whole_network)
    said["data"] = {"subscription": str(to.id), "number": notice.number} | said["data"]
    return Message("application/json", msgspec.json.encode(said))
