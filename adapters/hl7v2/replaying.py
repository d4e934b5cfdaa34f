"""A parked message again, as it came or mended by a person; by the rules of order that held when it came first."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from adapters.hl7v2 import acknowledging, er7, faults
from adapters.hl7v2.er7 import Message, Unreadable
from adapters.hl7v2.handling import TAKEN, actor_of, apply, unfit
from adapters.hl7v2.senders import Known, admitted_by_name
from service.access.model import Actor
from service.db import Session
from service.errors import Conflict, Invalid, Refusal
from service.records import inbox_flow as inbox
from service.records import model
from service.records.model import Fault
from service.values import Id, new_id


async def replay(session: Session, actor: Actor, id: Id, known: Mapping[str, Known]) -> model.Message:
    """Apply a parked message as it came. Raises what `mend` does."""
    message = await inbox.take(session, actor, id)
    assert message.body is not None
    done = await _apply(session, message, message.body, known)
    return await inbox.settle(
        session, message, session.began, answer=acknowledging.application(done.read, session.began, TAKEN), patient=done.patient,
        stay=done.stay, event=done.read.trigger, event_at=done.event_at, hospital=done.sender.hospital,
    )  # fmt: skip


async def mend(
    session: Session, actor: Actor, id: Id, text: str, why: str, known: Mapping[str, Known]
) -> model.Message:
    """Apply a mended text in the place of a parked message, which is kept as it came; `why` stands in the audit. Raises
    Refusal: then it stays parked."""
    session.platform_reasons.append(f"hl7-mend: {why.strip()[:200]}")
    message = await inbox.take(session, actor, id)
    body = in_utf8(text)
    done = await _apply(session, message, body, known)
    digest = er7.digest(done.read)
    answer = acknowledging.application(done.read, session.began, TAKEN)
    before = await inbox.earlier(session, message.sender, done.read.control_id)
    if any(one.digest == digest for one in before):
        raise Conflict("This very text was sent already; it is what it became.", at="MSH^1^10", key="message-id-reused")
    mended = model.Message(
        id=new_id(), sender=message.sender, hospital=done.sender.hospital, control_id=done.read.control_id, digest=digest,
        event=done.read.trigger, received_at=session.began, state="applied", answer=answer, event_at=done.event_at, body=body,
        patient=done.patient, stay=done.stay, mends=message.id,
    )  # fmt: skip
    await inbox.keep(session, mended)
    # To its sender, who may send the original again, that is stored from now on.
    await inbox.replaced(session, message, answer, session.began)
    return mended


async def still_parked(session: Session, actor: Actor, id: Id, why: Fault) -> model.Message:
    """A replay was refused: say for what."""
    message = await inbox.take(session, actor, id)
    return await inbox.settle(
        session, message, session.began, answer=message.answer, fault=why, patient=None, stay=None, event=message.event,
        event_at=message.event_at, hospital=message.hospital,
    )  # fmt: skip


class Done(NamedTuple):
    """What the last of a message's tidings was about, when, and as whose it was read."""

    patient: Id
    stay: Id | None
    event_at: datetime
    read: Message
    sender: Known


async def _apply(session: Session, message: model.Message, body: bytes, known: Mapping[str, Known]) -> Done:
    """Read and apply a text as its sender's. Raises Refusal."""
    try:
        head = er7.header(body)
        sender = known.get(message.sender) or admitted_by_name(known, head.header)
        if sender is None:
            raise Invalid("No sender of the configuration fits MSH-3 and MSH-4.", at="MSH^1^3", key="unknown-sender")
        if fault := unfit(head, sender.sender):
            raise Invalid(fault.text, at=fault.place, key=fault.key)
        read = er7.read(body, sender.sender.charset)
    except Unreadable as refused:
        raise Invalid(str(refused), at=refused.at, key=refused.key) from None
    moved, event_at = await apply(session, actor_of(sender), read, sender.sender, session.began)
    return Done(moved[-1].patient, moved[-1].stay, event_at, read, sender)


def in_utf8(text: str) -> bytes:
    """A text that a person mended, with its lines ended and its character set said as they are now."""
    lines = [line for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n") if line.strip()]
    if lines and lines[0].startswith("MSH") and len(lines[0]) > 3:
        field = lines[0][3]
        parts = lines[0].split(field)
        parts += [""] * (18 - len(parts))
        parts[17] = "UNICODE UTF-8"
        lines[0] = field.join(parts)
    return ("\r".join(lines) + "\r").encode()


def legible(body: bytes) -> str:
    """A message for a person to read, a segment a line; what is in no character set shows as its bytes."""
    for charset in ("utf-8", "gb18030"):
        try:
            text = body.removeprefix(er7.BOM).decode(charset)
            break
        except UnicodeDecodeError:
            continue
    else:
        text = body.decode("utf-8", "backslashreplace")
    return text.replace("\r\n", "\n").replace("\r", "\n").strip("\n") + "\n"


def fault_of(refused: Refusal) -> Fault:
    """As it is written beside the message."""
    return faults.fault_of(refused)
