"""What an agency can take, as a bar with its numbers and its age: number and words, never colour alone."""

from collections.abc import Iterable
from datetime import datetime, timedelta

import msgspec

from adapters.web.speech import Speech, noted
from service import codes
from service.referrals.board_store import Capacity


class Places(msgspec.Struct, frozen=True):
    """One service's places. `wide` are the widths of the bar's parts in percent: at work, reserved."""

    name: str
    status: str
    places: int
    working: int
    reserved: int
    free: int
    over: int
    wide: tuple[float, float]
    age: str
    exact: str
    old: bool


def places(services: Iterable[Capacity], speech: Speech, now: datetime, fresh: int) -> tuple[Places, ...]:
    """Services in words; `fresh`: minutes after which what was said of them is old."""
    return tuple(_places(each, speech, now, fresh) for each in services)


def _places(it: Capacity, speech: Speech, now: datetime, fresh: int) -> Places:
    whole = max(it.places, it.held, 1)
    old = now - it.confirmed_at > timedelta(minutes=fresh)
    ago = (now - it.confirmed_at).total_seconds()
    words = noted("%(time)s前确认，可能已变") if old else noted("%(time)s前确认")
    return Places(
        name=speech.name(it), status=speech.code(codes.CAPACITY_STATUS, it.status), places=it.places, working=it.working,
        reserved=it.reserved, free=it.free, over=max(it.held - it.places, 0),
        wide=(round(it.working * 100 / whole, 1), round(it.reserved * 100 / whole, 1)),
        age=speech.gettext(words) % {"time": speech.lasting(ago)} if ago >= 60 else speech.gettext("刚刚确认"),
        exact=speech.exact(it.confirmed_at), old=old,
    )  # fmt: skip
