"""Files of a referral: kept with the resource that they belong to, and read by whoever may read that."""

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from service.access import flow as access
from service.access.model import Actor, Call, clock_actor
from service.consent import store as consents
from service.db import Database, Session
from service.errors import Forbidden, Gone, Invalid, Refusal, Unavailable
from service.patients import store as patients
from service.practice import PLATFORM, Practice
from service.records import files, media, scanning
from service.records import store as records
from service.records.model import Attachment
from service.records.scanning import Verdict
from service.referrals import store
from service.referrals.model import Task
from service.values import Id

log = logging.getLogger(__name__)

CONTEXTS = ("DocumentReference", "ServiceRequest", "Task", "Patient", "Consent")
"""Types of the resource that a file may belong to."""


async def examined(scanner: Sequence[str], practice: Practice, content: bytes, declared: str) -> Verdict | None:
    """What the operator's scanner says of a file, asked before any transaction begins; None for one that `attach` refuses
    anyway, so that nobody scans it."""
    try:
        media.checked(content, declared, practice, "contentType")
    except Refusal:
        return None
    return await scanning.scanned(scanner, content, practice.scan_seconds)


async def attach(
    session: Session, actor: Actor, id: Id, content: bytes, declared: str, context: tuple[str, Id] | None, now: datetime,
    verdict: Verdict | None = None,
) -> Attachment:  # fmt: skip
    """Keep a file. `declared` is the media type that its sender says; `context` the resource that it belongs to, whose
    readers will read it; without one its author alone does. `verdict` is what `examined` said: of a file that the scanner could not
    judge, or was not asked about, the content is held back until it has.

    Raises Forbidden for an auditor; Invalid for a context that is not the actor's to add to, and for an agency's before
    identity is disclosed to it; UnsupportedMedia, TooLarge and Invalid for the content (`infected`: nothing is kept of it); Unavailable when
    the disk fails.
    """
    if actor.side == "auditor":
        raise Forbidden("An auditor writes nothing.", key="wrong-actor")
    kind = media.checked(content, declared, session.practice, "contentType")
    if verdict == "infected":
        raise Invalid(
            "The scanner found something harmful in this file: it was not kept.", at="content", key="infected"
        )
    said = verdict or ("pending" if session.scanner else "unasked")
    again = now + timedelta(minutes=session.practice.scan_again[0].minutes) if said == "pending" else None
    kept = Attachment(id, actor.organization, kind, len(content), b"", now, scan=said, scan_at=again)
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
    """Its content. Raises Unavailable while it waits to be scanned, and when the disk has it no longer as it was; Gone where
    the scanner found something in it later."""
    if attachment.scan == "pending":
        raise Unavailable("This file has not been scanned yet: ask again later.", key="scan-pending")
    if attachment.scan == "infected":
        raise Gone("The scanner found something harmful in this file: its content was destroyed.", key="infected")
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


async def rescan(database: Database) -> bool:
    """Scan one file that waits for it; whether there was one. What is found clean is read from then on; what is harmful is
    destroyed, wherever it was sent; of what the scanner cannot judge once more it is asked again later."""
    if not database.scanner:
        return False
    actor, practice = clock_actor(PLATFORM), database.practice
    async with database.transaction(actor.scope) as session:
        lease = timedelta(seconds=2 * practice.scan_seconds)
        claimed = await records.claim_pending(session, session.began, session.began + lease)
    if claimed is None:
        return False
    file, tries = claimed
    try:
        content = await asyncio.to_thread(files.read, database.attachments, file.sha256)
        verdict = await scanning.scanned(database.scanner, content, practice.scan_seconds)
    except OSError as fault:
        log.error("a file that waits to be scanned cannot be read: %s", type(fault).__name__)
        verdict = "pending"
    wait = practice.scan_again[min(tries, len(practice.scan_again) - 1)]
    async with database.transaction(actor.scope) as session:
        again = session.began + timedelta(minutes=wait.minutes) if verdict == "pending" else None
        await records.set_scanned(session, file.sha256, verdict, again)
        if verdict == "infected":
            await asyncio.to_thread(files.destroy, database.attachments, file.sha256)
            log.warning("a file was harmful and is destroyed: Binary/%s", file.id)
        _touched(session, file)
        await access.log_sweep(session, actor, Call("U", "scan", "Binary", file.id), session.began)
    return True


AT_ONCE = 1000
"""Contents that are looked up in one statement."""


async def sweep_orphans(session: Session, actor: Actor, now: datetime) -> int:
    """Take away contents that no row names (their transactions failed), once they are old enough; 0, for it is all at once."""
    before = (now - timedelta(minutes=session.practice.orphans_after.minutes)).timestamp()
    old = await asyncio.to_thread(files.old, session.attachments, before)
    gone = 0
    for start in range(0, len(old), AT_ONCE):
        for digest in await records.unnamed(session, old[start : start + AT_ONCE]):
            gone += await asyncio.to_thread(files.swept, session.attachments, digest, before)
    if gone:
        log.info("files that nothing names: %d swept out", gone)
    return 0


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
