"""How much work there is against what can be taken: agencies for the platform, workers for their supervisor."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from service.access.model import Actor
from service.casework import time_store
from service.casework.handing_over import licensed
from service.casework.timekeeping import Ratio
from service.db import Session
from service.directory import store as directory
from service.directory.model import TAKERS, Organization, Worker
from service.errors import Forbidden, NotFound
from service.quality import workload_store as store
from service.quality.workload_store import Load, Wanted
from service.referrals import board_flow, overview_flow, settling
from service.referrals.board_store import Capacity
from service.referrals.model import NextStep, Task
from service.referrals.overview_flow import Overview
from service.referrals.overview_store import Open
from service.values import Id, days, local_day

MOST = 1000
"""How many agencies, or workers of one, a table holds: they are compared by eye."""


class OfAgency(msgspec.Struct, frozen=True):
    """An agency's open work, its open cases by phase, and its services with their places."""

    agency: Organization
    load: Load
    phases: Mapping[str, int]
    services: tuple[Capacity, ...]

    @property
    def places(self) -> int:
        return sum(each.places for each in self.services)

    @property
    def held(self) -> int:
        return sum(each.held for each in self.services)

    @property
    def reserved(self) -> int:
        return sum(each.reserved for each in self.services)

    @property
    def confirmed_at(self) -> datetime | None:
        """When the service that was confirmed longest ago was."""
        return min((each.confirmed_at for each in self.services), default=None)


class OfWorker(msgspec.Struct, frozen=True):
    """A worker's open work (None: what names nobody), their open cases by phase, and their minutes of this month."""

    worker: Worker | None
    load: Load
    phases: Mapping[str, int]
    minutes: Ratio | None = None

    @property
    def cases(self) -> int:
        return sum(self.phases.values())


async def of_agencies(session: Session, actor: Actor, now: datetime) -> list[OfAgency]:
    """Every agency that takes referrals, with its work and its places; for the platform."""
    board_flow.permit(actor)
    found = [each for each in await directory.list_organizations(session, TAKERS, UUID(int=0), MOST) if each.active]
    loads, phases = await store.loads(session, now, None), await store.phases(session, None)
    services: dict[Id, list[Capacity]] = {each.id: [] for each in found}
    for each in await board_flow.capacities(session, actor, list(services)):
        services[each.agency].append(each)
    return [
        OfAgency(each, loads.get(each.id, Load(each.id)), phases.get(each.id, {}), tuple(services[each.id])) for each in found
    ]  # fmt: skip


async def of_workers(session: Session, actor: Actor, now: datetime) -> list[OfWorker]:
    """Everybody of the supervisor's agency who is in service or has something open, and what names nobody, with their minutes
    since the month began."""
    _permit(actor)
    agency = actor.organization
    loads, phases = await store.loads(session, now, agency), await store.phases(session, agency)
    today = local_day(now)
    ratios = {
        each.worker: each for each in await time_store.ratios(session, agency, days(today.replace(day=1), today), None)
    }
    staff = await directory.list_workers(session, agency, UUID(int=0), MOST)
    rows = [
        OfWorker(each, loads.get(each.id, Load(each.id)), phases.get(each.id, {}), ratios.get(each.id))
        for each in staff
        if each.active or each.id in loads
    ]  # fmt: skip
    return [*rows, OfWorker(None, loads[None], phases.get(None, {}))] if None in loads else rows


async def capacity(session: Session, actor: Actor) -> list[Capacity]:
    """What the supervisor's agency said that it can take, and what of it is held."""
    _permit(actor)
    return await board_flow.capacities(session, actor, [actor.organization])


async def staff(session: Session, actor: Actor) -> list[Worker]:
    """Who of the supervisor's agency may be given a case today: licensed, and there."""
    _permit(actor)
    today = local_day(session.began)
    found = await directory.list_workers(session, actor.organization, UUID(int=0), MOST)
    return [each for each in found if each.away_since is None and licensed(each, today)]


def step_of(session: Session, task: Task) -> NextStep | None:
    """What a share or follow-up of somebody waits for by itself; None of what waits for nothing."""
    return settling.step_of(task, session.began, session.practice) if task.kind in ("share", "follow-up") else None


async def named(session: Session, worker: Id) -> Worker | None:
    """Who this is."""
    return await directory.worker(session, worker)


BEHIND = ("open", "offered", "working", "paused", "late", "follow-ups", "due")
"""The lists that stand behind the figures, by the word of each."""


def wanted(show: str, now: datetime, worker: Id | None, *, nobody: bool, phase: str | None) -> Wanted:
    """What a figure counts, as what its list looks for; pure."""
    of = {"worker": worker, "nobody": nobody, "phase": phase}
    match show:
        case "offered":
            return Wanted("share", ("requested",), **of)  # pyright: ignore[reportArgumentType]
        case "working":
            return Wanted("share", ("accepted", "in-progress"), **of)  # pyright: ignore[reportArgumentType]
        case "paused":
            return Wanted("share", ("on-hold",), **of)  # pyright: ignore[reportArgumentType]
        case "late":
            return Wanted(until=now, **of)  # pyright: ignore[reportArgumentType]
        case "follow-ups":
            return Wanted("follow-up", **of)  # pyright: ignore[reportArgumentType]
        case "due":
            return Wanted("follow-up", until=now + timedelta(days=1), **of)  # pyright: ignore[reportArgumentType]
        case _:
            return Wanted(**of)  # pyright: ignore[reportArgumentType]


async def behind(
    session: Session, actor: Actor, agency: Id, show: str, now: datetime, *, worker: Id | None = None, nobody: bool = False,
    phase: str | None = None, after: tuple[datetime | None, Id] | None = None, limit: int = 50,
) -> Overview:  # fmt: skip
    """The open work that a figure counts, soonest due first: an agency's for the platform and for its own supervisor."""
    if actor.side == "platform":
        board_flow.permit(actor)
    else:
        _permit(actor)
        if agency != actor.organization:
            raise NotFound("There is no such agency, or its work is not yours to see.")
    found = await store.tasks(session, agency, wanted(show, now, worker, nobody=nobody, phase=phase), after, limit + 1)
    tasks = found[:limit]
    session.referrals.update(task.referral for task in tasks)
    rows = [Open(step, None, task) for task in tasks if (step := settling.step_of(task, now, session.practice))]
    more = (tasks[-1].due_at, tasks[-1].id) if len(found) > limit else None
    return Overview(tuple(rows), await overview_flow.names(session, rows, [agency]), more)


def _permit(actor: Actor) -> None:
    if actor.role != "supervisor":
        raise Forbidden("This is for an agency's supervisor.", key="wrong-actor")
