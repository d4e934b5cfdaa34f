"""A person's open work given to a colleague: what that is, what it makes of each Task, and what stands in the way; pure."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Literal

import msgspec

from service.access.model import Actor
from service.directory.model import Worker
from service.errors import Issue
from service.events import Event
from service.referrals.model import Task
from service.values import Id, new_id

State = Literal["planned", "in-force", "ended", "kept", "called-off", "stuck"]


class NewHandOver(msgspec.Struct, frozen=True):
    """`absent` hands over to `colleague`, from `starts_at` (None: at once) to `ends_at` (None: for good, or until somebody says
    that the person is back). `reason` is a code of urn:yuanshe:absence-reason."""

    absent: Id
    colleague: Id
    reason: str
    starts_at: datetime | None = None
    ends_at: datetime | None = None


class HandOver(msgspec.Struct, frozen=True):
    """A hand-over as stored. `stuck`: it was to begin by itself and could not (`why` is the key); `kept`: what was moved
    stayed with the colleague, because the person could not take it back."""

    id: Id
    agency: Id
    absent: Id
    colleague: Id
    reason: str
    starts_at: datetime
    ends_at: datetime | None
    state: State
    by: Id
    made_at: datetime
    moved: int = 0
    given_back: int = 0
    why: str | None = None
    ended_at: datetime | None = None


class CoWork(msgspec.Struct, frozen=True):
    """A second worker on a share, from a time to a time; `role` is a code of urn:yuanshe:co-work-role."""

    id: Id
    task: Id
    referral: Id
    agency: Id
    worker: Id
    role: str
    starts_at: datetime
    made_at: datetime
    ends_at: datetime | None = None

    def lasts(self, now: datetime) -> bool:
        return self.ends_at is None or self.ends_at > now


class Item(msgspec.Struct, frozen=True):
    """An open Task of a person: their own, or one on which they are second by `co_work`."""

    task: Task
    co_work: CoWork | None = None


class Moved(msgspec.Struct, frozen=True):
    """Where an item went, so that it can go back: `was` is the co-work that ended, `now` the one in its place."""

    task: Id
    was: Id | None = None
    now: Id | None = None


class Handing(msgspec.Struct, frozen=True):
    """A hand-over with what it moved, or would move, and what stands in its way."""

    hand_over: HandOver
    items: tuple[Item, ...]
    refused: tuple[Issue, ...] = ()


def fits(colleague: Worker | None, absent: Worker, day: date) -> Issue | None:
    """Why the colleague cannot take anything over today; None: they can."""
    if colleague is None or colleague.agency != absent.agency:
        return Issue("The colleague is no worker of the same agency.", "to", "business-rule")
    if colleague.id == absent.id:
        return Issue("Nobody stands in for themself.", "to", "business-rule")
    if colleague.away_since is not None:
        return Issue("The colleague is away too: name somebody who is there.", "to", "business-rule")
    if not licensed(colleague, day):
        return Issue("The colleague is not licensed today; who works on cases has to be.", "to", "business-rule")
    return None


def licensed(worker: Worker, day: date) -> bool:
    """In the agency's service, with a licence that holds on the day."""
    begun = worker.licensed_from is not None and worker.licensed_from <= day
    return worker.active and begun and (worker.licensed_to is None or worker.licensed_to >= day)


def conflicts(items: Sequence[Item], referrals: Collection[Id]) -> tuple[Issue, ...]:
    """Each item on a referral (of these) with whose person the colleague has a conflict of interest."""
    return tuple(
        Issue(
            "The colleague has a conflict of interest here: name another worker for this one first.", f"Task/{item.task.id}",
            "business-rule",
        )
        for item in items
        if item.task.referral in referrals
    )  # fmt: skip


def given(tasks: Sequence[Task], to: Id, now: datetime) -> list[Task]:
    """The Tasks in their next versions, with this worker."""
    return [
        # Who began earlier can have waited for the one who made the version before: no version is older than that one.
        msgspec.structs.replace(task, worker=to, version=task.version + 1, updated_at=max(now, task.updated_at))
        for task in tasks
    ]


def news(
    kind: str, tasks: Sequence[Task], actor: Actor, now: datetime, *, frm: Id, to: Id, hand_over: Id, second: bool = False
) -> list[Event]:  # fmt: skip
    """What is told of each Task: who had it, who has it. Why somebody is away is nobody's business but their agency's."""
    data = {"from": str(frm), "to": str(to), "hand_over": str(hand_over)} | ({"second": True} if second else {})
    return [
        Event(
            new_id(), task.referral, kind, now, actor.id, actor.role, actor.organization, actor.name, task.hospital, task.agency,
            task.id, task.version, None, None, task.kind == "duty", data,
        )
        for task in tasks
    ]  # fmt: skip


def seconded(
    items: Sequence[Item], colleague: Id, engaged: Collection[Id], now: datetime
) -> tuple[list[CoWork], list[Moved]]:
    """The colleague second in the person's place, on every share where they do not work already (`engaged`)."""
    made: list[CoWork] = []
    moved: list[Moved] = []
    for item in items:
        assert item.co_work is not None
        if item.task.worker == colleague or item.task.id in engaged:
            moved.append(Moved(item.task.id, item.co_work.id))
            continue
        new = msgspec.structs.replace(
            item.co_work, id=new_id(), worker=colleague, starts_at=max(now, item.co_work.starts_at), made_at=now
        )
        made.append(new)
        moved.append(Moved(item.task.id, item.co_work.id, new.id))
    return made, moved


def again(known: Mapping[Id, CoWork], moved: Moved, now: datetime) -> CoWork:
    """The person second again, as long as the co-work that stood in for theirs would have lasted."""
    assert moved.was is not None
    until = known[moved.now].ends_at if moved.now else None
    return msgspec.structs.replace(known[moved.was], id=new_id(), starts_at=now, ends_at=until, made_at=now)
