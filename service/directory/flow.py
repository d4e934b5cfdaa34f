"""What is done to the directory: load it from files, and say what capacity a service has."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from service import codes
from service.access.model import Actor
from service.db import Session
from service.directory import duty, duty_store, rows, store, unload
from service.directory.duty import Gap, Shift
from service.directory.model import CapacityStatus, Organization, Service, Table, Tally
from service.errors import Forbidden, Invalid, NotFound, Stale
from service.values import Id


async def load(session: Session, actor: Actor, tables: Sequence[Table], now: datetime) -> list[Tally]:
    """Load plain files into the directory, all or nothing; the same files again change nothing.

    Raises Invalid with one issue for each thing that is wrong, `at` the file and line; then nothing was written.
    """
    if actor.side != "platform":
        raise Forbidden("The directory is loaded by the platform.", key="platform-only")
    await store.lock_loads(session)
    batch, faults = rows.read(tables, await store.known(session), now)
    if faults:
        raise Invalid(f"{len(faults)} faults; nothing was loaded.", issues=faults, key="faulty-files")
    return await store.load(session, batch, now)


class Watch(msgspec.Struct, frozen=True):
    """Where rosters are short of people in a time: each gap with the key of its organisation, and how many keep a roster."""

    gaps: tuple[tuple[str, Gap], ...]
    organizations: int


async def roster_gaps(session: Session, actor: Actor, since: datetime, until: datetime) -> Watch:
    """Times with fewer than two people on duty: of the actor's own organisation, or for the platform of every hospital, of the
    platform itself, and of every other organisation that keeps a roster."""
    own = None if actor.side == "platform" else actor.organization
    keys = await duty_store.keepers(session, own)
    shifts = await duty_store.between(session, own, since, until)
    found = [(key, gap) for id, key in keys.items() for gap in duty.gaps(id, shifts, since, until)]
    return Watch(tuple(found), len(keys))


class Duty(msgspec.Struct, frozen=True):
    """Who is on duty now, by organisation; the shifts that run or begin until `until`, and where they are short of people."""

    now: dict[Id, Shift]
    shifts: tuple[Shift, ...]
    gaps: tuple[Gap, ...]
    organizations: dict[Id, Organization]
    until: datetime


async def on_duty(session: Session, actor: Actor, now: datetime, until: datetime) -> Duty:
    """The roster as people look at it: of the actor's own organisation, or for the platform of whoever keeps one or must."""
    if actor.side not in ("hospital", "agency", "platform"):
        raise Forbidden("A roster is for those who are on it, and the platform.", key="wrong-actor")
    own = None if actor.side == "platform" else actor.organization
    keepers = list(await duty_store.keepers(session, own)) if own is None else [own]
    shifts = await duty_store.between(session, own, now, until)
    gaps = [gap for id in keepers for gap in duty.gaps(id, shifts, now, until)]
    running = {id: shift for id in keepers if (shift := duty.on_duty((s for s in shifts if s.organization == id), now))}
    return Duty(running, tuple(shifts), tuple(gaps), await store.organizations(session, keepers), until)


COLUMNS = rows.COLUMNS
"""Table → its columns, and whether each must be filled."""


async def export(session: Session, actor: Actor) -> dict[str, list[dict[str, str]]]:
    """The whole directory as the rows of the files that `load` reads; loading them again changes nothing."""
    if actor.side != "platform":
        raise Forbidden("The directory is written out by the platform.", key="platform-only")
    return await unload.unload(session)


async def set_capacity(
    session: Session,
    actor: Actor,
    service: Id,
    status: str | None,
    places: int | None,
    now: datetime,
    expected: int | None = None,
) -> Service:
    """An agency says what capacity its service has, now: the status, the number of places, or both (None: as before).

    Fewer places than are held evict nobody: those above the number go as they are released, and none is given out
    before. Saying the same again confirms it and is a new version. Raises Stale when `expected` is not the current one.
    """
    found = await store.lock_service(session, service)
    if found is None:
        raise NotFound("There is no such service.")
    if actor.side != "platform" and actor.organization != found.agency:
        raise Forbidden("Only the agency itself says what capacity its service has.", key="own-service-only")
    if expected is not None and expected != found.version:
        raise Stale(f"The service is at version {found.version} now; read it again.")
    if status is not None and not codes.known(codes.CAPACITY_STATUS, status):
        raise Invalid("This is no capacity status.", at="capacityStatus", key="unknown-code")
    if places is not None and not 0 <= places <= 100_000:
        raise Invalid("The number of places is from 0 to 100,000.", at="places", key="places")
    said = msgspec.structs.replace(
        found,
        capacity_status=_status(status, found),
        places=found.places if places is None else places,
        confirmed_at=now,
        updated_at=now,
        version=found.version + 1,
    )
    await store.save_capacity(session, said, now)
    if said.places != found.places:
        await store.fit_places(session, [service])
    return said


def _status(said: str | None, found: Service) -> CapacityStatus:
    return found.capacity_status if said is None else said  # type: ignore[return-value]
