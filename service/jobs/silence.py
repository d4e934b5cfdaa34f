"""Whether no worker runs: how long it has been silent, and when that is an alarm; pure."""

from datetime import datetime, timedelta

import msgspec

from service.values import Id


class Alarm(msgspec.Struct, frozen=True):
    """What is to be told of a silence: its `beginning`, or that it ended."""

    id: Id
    since: datetime
    raised_at: datetime
    beginning: bool
    ended_at: datetime | None = None


def silent(beat: datetime | None, known: datetime, now: datetime) -> timedelta:
    """For how long no worker has said that it lives. `beat` is the last sign of life (None: none runs, and none died);
    `known` is until when whoever asks knows that there was one, or since when it watches."""
    return max(now - max(beat or known, known), timedelta())


def is_alarm(silence: timedelta, after: timedelta) -> bool:
    """Whether the silence is too long."""
    return silence >= after
