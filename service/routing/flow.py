"""What is asked of routing itself: the decisions made on a referral."""

from service.db import Session
from service.routing import store
from service.routing.model import KeptDecision
from service.values import Id


async def decisions(session: Session, referral: Id) -> list[KeptDecision]:
    """How this referral was routed each time, the newest first; empty for whom may not know of it."""
    return await store.kept(session, referral)
