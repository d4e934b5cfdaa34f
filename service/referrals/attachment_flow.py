"""Files of a referral: kept with the resource that they belong to, and read by whoever may read that."""

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime

import msgspec

from service.access.model import Actor
from service.consent import store as consents
from service.db import Session
from service.errors import Forbidden, Invalid, Unavailable
from service.patients import store as patients
from service.records import files, media
from service.records import store as records
from service.records.model import Attachment
from service.referrals import store
from service.referrals.model import Task
from service.values import Id

log = logging.getLogger(__name__)

CONTEXTS = ("DocumentReference", "ServiceRequest", "Task", "Patient", "Consent")
"""Types of the resource that a file may belong to."""


async def attach(
    session: Session, actor: Actor, id: Id, content: bytes, declared: str, context: tuple[str, Id] | None, now: datetime
) -> Attachment:
    """Keep a file. `declared` is the media type that its sender says; `context` the resource that it belongs to, whose
    readers will read it; without one its author alone does.

    Raises Forbidden for an auditor; Invalid for a context that is not the actor's to add to, and for an agency's before
    identity is disclosed to it; UnsupportedMedia, TooLarge and Invalid for the content; Unavailable when the disk fails.
    """
    if actor.side == "auditor":
        raise Forbidden("An auditor writes nothing.", key="wrong-actor")
    kind = media.checked(content, declared, session.practice, "contentType")
    kept = Attachment(id, actor.organization, kind, len(content), b"", now)
    if context is not None:
        kept = await _within(session, actor, kept, *context)
    try:
        digest = await asyncio.to_thread(files.write, session.attachments, content)
    except OSError as fault:
        raise _failing(fault) from fault
    kept = msgspec.structs.replace(kept, sha256=digest)
    await records.attach(session, kept)
    _touched(session, kept)
    return kept


async def read(session: Session, attachment: Attachment) -> bytes:
    """Its content. Raises Unavailable when the disk has it no longer as it was."""
    try:
        return await asyncio.to_thread(files.read, session.attachments, attachment.sha256)
    except OSError as fault:
        raise _failing(fault) from fault


async def find(session: Session, ids: Sequence[Id]) -> list[Attachment]:
    """What is known of those of these files that the actor may read; the row policy decides."""
    found = await records.attachments(session, ids)
    for each in found:
        _touched(session, each)
    return found


def _failing(fault: OSError) -> Unavailable:
    log.error("an attachment cannot be written or read: %s", type(fault).__name__)
    return Unavailable("Files cannot be kept or read at the moment; the operator has to look at the disk. Try again.")


def _touched(session: Session, attachment: Attachment) -> None:
    if attachment.patient:
        session.patients.add(attachment.patient)
    if attachment.referral:
        session.referrals.add(attachment.referral)


async def _within(session: Session, actor: Actor, kept: Attachment, type: str, id: Id) -> Attachment:
    """The file as part of this resource."""
    if type not in CONTEXTS:
        raise Invalid(f"A file belongs to one of {', '.join(CONTEXTS)}.", at="securityContext", code="value")
    match type:
        case "Task":
            share = await store.task(session, id)
        case "ServiceRequest":
            share = await store.by_filler(session, id)
            if share is None and actor.side == "agency" and await consents.is_open(session, id, actor.organization):
                # Not for the other agencies of the same request; and none of it to one that may not know of the request.
                share = await store.own_share(session, id, actor.organization)
        case _:
            share = None
    if share is not None:
        return await _of_task(session, actor, kept, share)
    if type == "Task" or (actor.side == "agency" and type != "DocumentReference"):
        raise _unknown()
    if type == "Patient":
        person = await patients.get(session, id)
        if person is None or (actor.side == "hospital" and person.hospital != actor.organization):
            raise _unknown()
        return msgspec.structs.replace(kept, context_type=type, context=id, hospital=person.hospital, patient=person.id)
    held = await records.current(session, type, id)
    if held is None or (actor.side != "platform" and held.author != actor.organization):
        raise _unknown()
    return msgspec.structs.replace(
        kept, context_type=type, context=id, hospital=held.hospital, patient=held.patient, referral=held.referral
    )


async def _of_task(session: Session, actor: Actor, kept: Attachment, task: Task) -> Attachment:
    """Part of a Task, for its agency and the hospital: a parent for the hospital alone."""
    if actor.side == "agency":
        if task.agency != actor.organization:
            raise _unknown()
        if not await consents.is_open(session, task.referral, actor.organization):
            raise Invalid(
                "While identity is not disclosed, only messages and coded outputs are written.",
                at="securityContext", code="business-rule", key="not-disclosed",
            )  # fmt: skip
    return msgspec.structs.replace(
        kept, context_type="Task", context=task.id, hospital=task.hospital, agency=task.agency, patient=task.patient, referral=task.referral
    )  # fmt: skip


def _unknown() -> Invalid:
    return Invalid("This is no resource that you may add a file to.", at="securityContext", code="not-found")
