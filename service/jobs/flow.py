"""What a worker does about its own work: take a sweep, say that it lives, leave."""

from datetime import datetime, timedelta

import msgspec

from service.db import Session
from service.jobs import silence, store
from service.jobs.silence import Alarm
from service.values import Id, new_id


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


class Look(msgspec.Struct, frozen=True):
    """What a look at the workers found: for how long none was heard of, and until when one is known to have run."""

    silence: timedelta
    known: datetime


async def look(session: Session, known: datetime, now: datetime) -> Look:
    """How long no worker was heard of; `known`: until when there was one, as the last look found, or since when one watches."""
    beat = await store.last_beat(session)
    return Look(silence.silent(beat, known, now), max(beat or known, known))


async def watch(session: Session, known: datetime, after: timedelta, now: datetime) -> Look:
    """Raise the alarm when no worker was heard of for so long, once a silence, whoever watches; end it when one is back."""
    found = await look(session, known, now)
    if silence.is_alarm(found.silence, after):
        await store.raise_alarm(session, new_id(), found.known, now)
    else:
        await store.end_alarm(session, now)
    return found


async def untold(session: Session, now: datetime, lease: timedelta) -> list[Alarm]:
    """Take what has to be told of silences; who is killed then leaves it to be taken again."""
    return await store.untold(session, now, now + lease)


async def told(session: Session, alarm: Alarm, now: datetime) -> None:
    """It was told."""
    await store.told(session, alarm.id, alarm.beginning, now)
