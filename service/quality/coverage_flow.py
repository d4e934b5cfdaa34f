"""How far the service reaches (domain row 18, 服务辐射; e: 服务覆盖率): regions of the service area in which nobody was met."""

from datetime import date

from service.access.model import Actor
from service.db import Session
from service.errors import Forbidden
from service.quality import coverage_store as store
from service.quality.model import Reach
from service.values import days


async def coverage(session: Session, actor: Actor, first: date, last: date) -> list[Reach]:
    """The regions of an agency's service area, or of all agencies' for the platform, with their contacts in these days."""
    begins, ends = days(first, last)
    if actor.side == "platform":
        return await store.reach(session, begins, ends, None)
    if actor.role not in ("agency", "supervisor"):
        raise Forbidden("This is for an agency's supervisor and for the platform.", key="wrong-actor")
    return await store.reach(session, begins, ends, actor.organization)
