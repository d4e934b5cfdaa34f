"""Lists sorted by time of change that hold still while they are walked: what changes meanwhile keeps the place it had."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from adapters.fhir import references
from adapters.fhir.reading import Read
from adapters.fhir.rooms import Room
from adapters.fhir.surface import SURFACE
from service.db import Session
from service.db.finding import After, Condition, Order
from service.records import past_finding as past_records
from service.referrals import past_finding as past
from service.values import Id

MOST = 2000
"""Resources that may change while one list is walked; of more, those that are not looked at leave it."""


class Placed(msgspec.Struct, frozen=True):
    """A resource as it is now, at the place where it stood when the first page was asked."""

    at: datetime
    read: Read

    @property
    def id(self) -> Id:
        id = references.as_id(self.read.body["id"])
        assert id is not None
        return id


async def page(
    session: Session,
    type: str,
    room: Room,
    conditions: Sequence[Condition],
    limit: int,
    after: After | None,
    order: Order,
    before: datetime,
) -> list[Placed]:
    """One page of what there was before the horizon `before`, each resource once over all the pages."""
    still = await room.page([*conditions, Condition("changed", (before,), "lt")], limit, after, order)
    moved = await room.page([*conditions, Condition("changed", (before,), "ge")], MOST, None, Order())
    found = [Placed(each.last_modified, each) for each in still]
    if moved:
        stood = await _stood(session, type, [Placed(before, each).id for each in moved], before)
        back = [Placed(stood[placed.id], each) for each in moved if (placed := Placed(before, each)).id in stood]
        found += [each for each in back if after is None or _behind(each, after, order)]
        found.sort(key=lambda each: (each.at, each.id), reverse=not order.ascending)
    return found[:limit]


def _behind(each: Placed, after: After, order: Order) -> bool:
    last = references.as_id(after.id)
    if after.at is None or last is None:
        return False  # No page of this list goes on from there.
    here, there = (each.at, each.id), (datetime.fromisoformat(after.at), last)
    return here > there if order.ascending else here < there


async def _stood(session: Session, type: str, ids: Sequence[Id], before: datetime) -> dict[Id, datetime]:
    """When each had changed last before that time, as far as the reader may see its past."""
    match SURFACE[type].room:
        case "task":
            return await past.task_times(session, ids, before)
        case "request":
            return await past.request_times(session, ids, before)
        case "record" | "patient":
            return await past_records.times(session, ids, before)
        case _:
            return {}
