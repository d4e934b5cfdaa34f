"""What is said of the people around a person, and of those whom a worker may not serve: kept by marks alone."""

from datetime import datetime

from service.access.model import Actor
from service.consent import conflicts, store
from service.consent.marks import Features, marks
from service.consent.model import Related
from service.db import Session
from service.directory import steps as directory
from service.errors import Forbidden, Invalid, NotFound
from service.values import Id


async def relate(
    session: Session, actor: Actor, id: Id, patient: Id, suspected: bool, who: Features, now: datetime
) -> None:
    """Keep a person around a patient of the actor's hospital. `suspected` of harm is sealed: it is told to nobody."""
    made = tuple(sorted(marks(who, await store.key(session))))
    if made or suspected:
        await store.relate(session, Related(id, actor.organization, patient, suspected, made, now))


async def declare_conflict(session: Session, actor: Actor, id: Id, worker: Id, who: Features, now: datetime) -> None:
    """A worker of the actor's agency may not serve somebody. Nobody can read afterwards who that is, the agency neither.

    It counts for referrals that are placed from now on. Raises Forbidden, NotFound, Invalid where nothing identifies.
    """
    if actor.side != "agency":
        raise Forbidden("A conflict of interest is declared by the worker's agency.", key="wrong-actor")
    if not await directory.works_for(session, worker, actor.organization):
        raise NotFound("There is no such worker of this agency.")
    if not await conflicts.declare(session, id, actor.organization, worker, who, actor.id, now):
        raise Invalid(
            "Nothing here identifies a person: give a citizen number, a telephone, or a name with a birth date.",
            at="Parameters.parameter",
            code="required",
        )
