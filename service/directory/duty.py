"""Who is on duty, and where a roster has gaps or too few people; pure."""

import itertools
from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec

from service.values import Id


class Person(msgspec.Struct, frozen=True, omit_defaults=True):
    """Somebody on duty: `email` and `webhook` are where a page goes, `phone` is for people to call, `worker` who it is in the
    directory."""

    name: str
    worker: Id | None = None
    email: str | None = None
    webhook: str | None = None
    phone: str | None = None


class Shift(msgspec.Struct, frozen=True):
    """Who is on duty for an organisation from `begins` until `ends`: the first to be paged, and the second."""

    id: Id
    organization: Id
    begins: datetime
    ends: datetime
    first: Person
    second: Person | None = None
    active: bool = True


class Gap(msgspec.Struct, frozen=True):
    """A time in which an organisation has fewer than two people on duty: none, or one."""

    organization: Id
    begins: datetime
    ends: datetime
    people: int


def on_duty(shifts: Iterable[Shift], at: datetime) -> Shift | None:
    """The shift that runs at this moment; where several do, the one that began last."""
    running = [shift for shift in shifts if shift.active and shift.begins <= at < shift.ends]
    return max(running, key=lambda shift: shift.begins, default=None)


def gaps(organization: Id, shifts: Sequence[Shift], since: datetime, until: datetime) -> list[Gap]:
    """When, from `since` until `until`, fewer than two people of the organisation are on duty, in order; neighbours that are
    short of the same number are one."""
    own = [shift for shift in shifts if shift.organization == organization and shift.active]
    edges = sorted({since, until, *(at for shift in own for at in (shift.begins, shift.ends) if since < at < until)})
    found: list[Gap] = []
    for begins, ends in itertools.pairwise(edges):
        running = on_duty(own, begins)
        people = 0 if running is None else 1 if running.second is None else 2
        if people == 2:
            continue
        if found and found[-1].ends == begins and found[-1].people == people:
            found[-1] = msgspec.structs.replace(found[-1], ends=ends)
        else:
            found.append(Gap(organization, begins, ends, people))
    return found
