"""Who looked at a person: lines of the audit that a disclosure log may be made of, without names and addresses of requests."""

from service.access import store
from service.access.model import Look
from service.db import Session
from service.values import Id


async def looks(session: Session, patient: Id, limit: int, before: int | None = None) -> list[Look]:
    """What was done with this person's data by somebody, latest first, `limit` of them behind a position; the session is the
    platform's. A line shows here once it has its place in the chain."""
    return await store.looks(session, patient, limit, before)
