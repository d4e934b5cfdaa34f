"""How much one program may ask in a second: a bucket of tokens for each, in this process, without a lock.

Kept as the one number of the generic cell rate algorithm (ITU-T I.371): the moment at which a bucket will be full again.
"""

import math
import time
from collections.abc import Callable, Hashable

import msgspec

from service.errors import TooMany

MOST = 10_000
"""Buckets that are remembered; full ones are forgotten first, and a forgotten bucket is a full one."""


class Room(msgspec.Struct, frozen=True):
    """What is left of a bucket: `limit` and `left` in requests, `full_in` in seconds."""

    limit: int
    left: int
    full_in: float

    @property
    def headers(self) -> dict[str, str]:
        """As answers say it (draft-ietf-httpapi-ratelimit-headers-07)."""
        return {
            "ratelimit-limit": str(self.limit),
            "ratelimit-remaining": str(self.left),
            "ratelimit-reset": str(math.ceil(self.full_in)),
        }


class Rate(msgspec.Struct, frozen=True):
    """Requests `each_second`, and as many as `burst` at once."""

    each_second: float
    burst: int


class Pace:
    """The buckets of one rate, by whom they are for; `clock` counts seconds."""

    def __init__(self, rate: Rate, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._clock = clock
        self._full_at: dict[Hashable, float] = {}

    def look(self, whose: Hashable) -> Room:
        """What is left, taking nothing. Raises TooMany where that is nothing."""
        now = self._clock()
        room = self._room(max(self._full_at.get(whose, now), now) - now)
        if not room.left:
            wait = room.full_in - (self._rate.burst - 1) / self._rate.each_second
            raise TooMany(
                f"Too many requests: at most {self._rate.each_second:g} a second, {self._rate.burst} at once. "
                "Try again after the time that Retry-After says.",
                wait=wait,
            )
        return room

    def take(self, whose: Hashable) -> Room:
        """Take one, and say what is left. Raises TooMany where nothing is; that takes nothing."""
        self.look(whose)
        return self.count(whose)

    def count(self, whose: Hashable) -> Room:
        """Take one, though nothing be left: what has happened counts. A bucket is never emptier than empty."""
        now = self._clock()
        emptiest = now + self._rate.burst / self._rate.each_second
        full_at = min(max(self._full_at.get(whose, now), now) + 1 / self._rate.each_second, emptiest)
        self._full_at[whose] = full_at
        if len(self._full_at) > MOST:
            self._forget(now)
        return self._room(full_at - now)

    def _room(self, full_in: float) -> Room:
        taken = math.ceil(full_in * self._rate.each_second - 1e-9)
        return Room(self._rate.burst, self._rate.burst - taken, full_in)

    def _forget(self, now: float) -> None:
        # The fuller half goes: who is near the limit stays.
        emptiest = sorted(self._full_at.items(), key=lambda one: one[1], reverse=True)[: MOST // 2]
        self._full_at = {whose: full_at for whose, full_at in emptiest if full_at > now}
