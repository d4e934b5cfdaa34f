"""What upper rooms ask of the directory within their own moves: places for shares, workers for cases."""

from collections.abc import Sequence
from datetime import date

from service.db import Session
from service.directory import store
from service.values import Id


async def take_place(session: Session, service: Id, task: Id) -> bool:
    """Give the task a place of the service, until the caller's transaction ends or `release_places`; False: all are held.

    Free places that others have locked are passed over; only when there is no other are they waited for, as their holders
    may yet roll back. Who takes places of several services in one transaction takes them in the order of the services' ids,
    or two of them may wait for one another.
    """
    while not await store.take(session, service, task):
        got = await store.wait_for(session, service, task)
        if got is not None:
            return got
    return True


async def release_places(session: Session, tasks: Sequence[Id]) -> None:
    """Give back the places of these tasks, if they hold any."""
    if not tasks:
        return
    held = await store.lock_held(session, tasks)
    if held < len(tasks):
        # A change of capacity may have moved some while this one waited; the next look sees where to.
        held = await store.lock_held(session, tasks)
    if held and (freed := await store.release(session, tasks)):
        await store.move_down(session, freed)


async def licensed_worker(session: Session, agency: Id, worker: Id | None, day: date) -> Id | None:
    """The worker, if of this agency and licensed on the day; where none is named, the duty worker or another who is."""
    return await store.licensed_worker(session, agency, worker, day)


async def named_worker(session: Session, agency: Id, worker: Id | None, day: date) -> Id | None:
    """As `licensed_worker`, for whom something is written down: until the transaction ends they cannot go away."""
    return await store.named_worker(session, agency, worker, day)


async def present_worker(session: Session, agency: Id, worker: Id) -> bool:
    """Whether the worker, licensed or not, is in the agency's service and not away; they stay until the transaction ends."""
    return await store.present_worker(session, agency, worker)


async def is_away(session: Session, worker: Id) -> bool:
    """Whether the worker handed their work over and is not back."""
    found = await store.worker(session, worker)
    return found is not None and found.away_since is not None


async def works_for(session: Session, worker: Id, agency: Id) -> bool:
    """Whether this is a worker of the agency, licensed or not."""
    found = await store.worker(session, worker)
    return found is not None and found.agency == agency


async def supervisors(session: Session, agency: Id, day: date) -> list[Id]:
    """The agency's licensed supervisors."""
    return await store.supervisors(session, agency, day)
