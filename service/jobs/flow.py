"""What a worker does about its own work: take a sweep, say that it lives, leave."""

from datetime import datetime, timedelta

from service.db import Session
from service.jobs import store
from service.values import Id


async def take_sweep(session: Session, name: str, every: timedelta, now: datetime) -> bool:
    """Whether the sweep is due and ours; the mark commits or falls with what the sweep does in this transaction."""
    await store.know_sweep(session, name)
    return await store.take_sweep(session, name, now, now - every)


async def beat(session: Session, worker: Id, now: datetime) -> None:
    """Say that this worker lives."""
    await store.beat(session, worker, now)


async def leave(session: Session, worker: Id) -> None:
    """Say that this worker stops of its own accord."""
    await store.leave(session, worker)


async def last_beat(session: Session) -> datetime | None:
    """When a worker was last known to live; None when none runs and none died."""
    return await store.last_beat(session)
