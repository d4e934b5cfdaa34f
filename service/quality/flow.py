"""Looks across cases, for who answers for their quality: an agency's supervisor or its program, and the platform."""

from service.access.model import Actor
from service.db import Session
from service.errors import Forbidden
from service.quality import store
from service.quality.model import Orphan
from service.values import Id


async def orphans(session: Session, actor: Actor, after: Id | None, limit: int) -> list[Orphan]:
    """Where the chain need → goal → intervention → outcome is broken (domain row 16): an agency's own, the platform's all.

    A caseworker sees those of a case in the case itself (`$case`).
    """
    if actor.side == "platform":
        return await store.orphans(session, None, after, limit)
    if actor.side != "agency" or actor.role == "social_worker":
        raise Forbidden("This is for an agency's supervisor and for the platform.", key="wrong-actor")
    return await store.orphans(session, actor.organization, after, limit)
