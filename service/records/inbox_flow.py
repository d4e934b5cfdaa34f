"""The inbox of HL7 v2: what came in once is answered once, what could not be applied waits for a person; sealed (T3)."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from service.access.model import Actor
from service.db import Session
from service.errors import Conflict, Forbidden, Invalid, NotFound
from service.records import inbox_store
from service.records.model import Fault, InboxState, Message
from service.values import Id

STATES: tuple[InboxState, ...] = ("parked", "applied", "recorded", "replayed", "dropped")
ABSENT = "There is no such message."


async def earlier(session: Session, sender: str, control_id: str) -> list[Message]:
    """What this sender sent under this message id before."""
    return await inbox_store.earlier(session, sender, control_id)


async def keep(session: Session, message: Message) -> None:
    """Keep a message with what became of it, in the transaction that did what it tells."""
    await inbox_store.insert(session, message)


async def list_messages(
    session: Session, actor: Actor, states: Sequence[InboxState], before: Id | None = None, limit: int = 200
) -> list[Message]:
    """Messages in these states, the newest first, without what they say. Raises Forbidden for any but the platform's."""
    _permit(actor)
    return await inbox_store.page(session, states, before, limit)


async def head(session: Session, actor: Actor, id: Id) -> Message:
    """One message without what it says. Raises Forbidden, NotFound."""
    _permit(actor)
    found = await inbox_store.head(session, id)
    if found is None:
        raise NotFound(ABSENT)
    return found


async def waiting(session: Session, actor: Actor) -> int:
    """How many are parked, counted to 10,000. Raises Forbidden."""
    _permit(actor)
    return await inbox_store.waiting(session)


async def show(session: Session, actor: Actor, id: Id, why: str) -> Message:
    """The message with what it says, for a reason that is written down in the audit. Raises Forbidden, Invalid, NotFound."""
    _permit(actor)
    if not why.strip():
        raise Invalid("Say why it has to be read: it is sealed.", at="reason", code="required")
    session.platform_reasons.append(f"hl7-show: {why.strip()[:200]}")
    return await _found(session, id)


async def take(session: Session, actor: Actor, id: Id) -> Message:
    """The parked message, locked, to be replayed or dropped. Raises Forbidden, NotFound, Conflict when it is not parked any more."""
    _permit(actor)
    message = await _found(session, id)
    if message.state != "parked":
        raise Conflict(f"This message is not parked: it is {message.state}.", key="not-parked")
    return message


async def settle(
    session: Session, message: Message, now: datetime, *, answer: bytes, fault: Fault | None = None,
    patient: Id | None = None, stay: Id | None = None, event: str, event_at: datetime | None, hospital: Id | None,
) -> Message:  # fmt: skip
    """A replay has ended: it is applied, or stays parked for this fault."""
    done = msgspec.structs.replace(
        message, state="parked" if fault else "replayed", fault=fault, answer=answer, patient=patient, stay=stay,
        handled_at=None if fault else now, event=event, event_at=event_at, hospital=hospital,
    )  # fmt: skip
    await inbox_store.settle(session, done)
    return done


async def drop(session: Session, actor: Actor, id: Id, why: str, now: datetime) -> Message:
    """Decide that a parked message goes unapplied, for a reason. Raises as `take`, and Invalid without a reason."""
    _permit(actor)
    if not why.strip():
        raise Invalid("Say why it is dropped.", at="reason", code="required")
    message = await take(session, actor, id)
    key = message.fault.key if message.fault else "dropped"
    dropped = inbox_store.settled(message, "dropped", now, Fault(key, None, why.strip()[:500]))
    await inbox_store.settle(session, dropped)
    return dropped


async def replaced(session: Session, message: Message, answer: bytes, now: datetime) -> None:
    """Its mended text was applied in its place; so its sender is answered from now on."""
    done = msgspec.structs.replace(message, answer=answer)
    await inbox_store.settle(session, inbox_store.settled(done, "replayed", now, message.fault))


async def forget(session: Session, actor: Actor, now: datetime) -> int:
    """Drop what handled messages said once their time is over; that they came, and what was answered, stays. How many."""
    _permit(actor)
    return await inbox_store.forget(session, now - timedelta(minutes=session.practice.hl7_kept.minutes))


async def _found(session: Session, id: Id) -> Message:
    message = await inbox_store.locked(session, id)
    if message is None:
        raise NotFound(ABSENT)
    return message


def _permit(actor: Actor) -> None:
    if actor.side != "platform":
        raise Forbidden("The inbox is the platform's administrator's.", key="platform-only")
