"""What is done with a message: taken once, translated, applied in one transaction with its place in the inbox; or parked,
or refused. Only what is committed is acknowledged."""

import asyncio
import logging
import random
import re
import traceback
import uuid
from collections.abc import Mapping
from datetime import datetime

import asyncpg
import msgspec

from adapters.hl7v2 import acknowledging, bodies, er7, faults, translating
from adapters.hl7v2.er7 import Message, Unreadable
from adapters.hl7v2.senders import Known, Peer, Sender, sender_of, stranger
from service import db
from service.access import flow as access
from service.access.model import Actor, Call, operator
from service.db import Session
from service.directory import store as directory
from service.errors import Conflict, Refusal, SetupError, Stale, Unavailable
from service.followup import tidings_flow
from service.followup.tidings import Heard
from service.records import inbox_flow as inbox
from service.records import model
from service.records.model import Fault
from service.values import Id, new_id, utc_now

log = logging.getLogger("yuanshe.hl7")

VERSION = re.compile(r"2\.[3-8](\.\d)?\Z")
LONGEST_ID = 199
TRIES = 8
AGAIN = (asyncpg.UniqueViolationError, asyncpg.DeadlockDetectedError, asyncpg.SerializationError, Stale)
"""What happens when two messages about one person come at the same time: the second finds what the first made."""

TAKEN = "It is stored."
RECORDED = "It is stored; what is known here is as new or newer."
KEPT = "It is kept here and waits for a person; it need not be sent again."
AWAY = Fault("internal", None, "The database is away: it is not certain to be stored. Send it again.")


class Answer(msgspec.Struct, frozen=True):
    """What is sent back; `well`: it was applied, now or before."""

    messages: list[bytes]
    well: bool


class Interface:
    """The senders and the database. One for a process; it keeps nothing of any message."""

    def __init__(self, database: db.Database, known: Mapping[str, Known]) -> None:
        self._database = database
        self._known = known
        self._senders = [one.sender for one in known.values()]

    async def answer(self, raw: bytes, peer: Peer) -> Answer:
        """Take what one frame held. Never raises: what is sent is always answered, but for answers themselves."""
        now = utc_now()
        try:
            message = er7.header(raw)
        except Unreadable as refused:
            fault = faults.fault_of(refused)
            return Answer([acknowledging.without_header("It is no message of HL7 v2.", fault, now)], False)
        if message.code == "ACK":
            return Answer([], True)
        sender = sender_of(self._senders, message.header, peer)
        if (fault := unfit(message, sender)) is not None:
            return _said(message, sender, now, acknowledging.application(message, now, "It is not taken.", fault, reject=True), "CR", well=False)  # fmt: skip
        taken = await self._taken(raw, er7.digest(message), message, sender, now)
        if taken is None:
            return _said(message, sender, now, acknowledging.application(message, now, "It is not stored.", AWAY), "CE", well=False)  # fmt: skip
        return _said(message, sender, now, taken.answer, "CA", well=taken.state not in ("parked", "dropped"))

    async def _taken(
        self, raw: bytes, digest: bytes, header: Message, sender: Sender | None, now: datetime
    ) -> model.Message | None:
        """The message as it stands in the inbox; None where the database is away."""
        try:
            if sender is None:
                fault = Fault("unknown-sender", "MSH^1^3", "No sender of the configuration fits MSH-3, MSH-4 and where this came from.")  # fmt: skip
                return await self._park(raw, digest, header, None, fault, now)
            try:
                return await self._applied(raw, digest, sender, header, now)
            except Unavailable:
                raise
            except (Refusal, Unreadable) as refused:
                return await self._park(raw, digest, header, sender, faults.fault_of(refused), now)
            except Exception as failure:
                _log("a message", failure)
                return await self._park(raw, digest, header, sender, faults.fault_of(failure), now)
        except Unavailable:
            return None
        except Exception as failure:
            _log("parking a message", failure)
            return None

    async def _applied(
        self, raw: bytes, digest: bytes, sender: Sender, header: Message, now: datetime
    ) -> model.Message:
        known = self._known[sender.name]
        actor = actor_of(known)
        for tried in range(TRIES):
            try:
                call = Call("U", "hl7")
                async with access.open(self._database, actor, call) as session:
                    before = await inbox.earlier(session, sender.name, header.control_id)
                    if same := next((one for one in before if one.digest == digest), None):
                        return same
                    if before:
                        raise Conflict("Another message of this sender has this MSH-10.", at="MSH^1^10", key="message-id-reused")  # fmt: skip
                    message = er7.read(raw, sender.charset)
                    moved, event_at = await apply(session, actor, message, sender, session.began)
                    changed = any(one.changed for one in moved)
                    answer = acknowledging.application(message, now, TAKEN if changed else RECORDED)
                    kept = model.Message(
                        id=new_id(), sender=sender.name, hospital=known.hospital, control_id=header.control_id, digest=digest,
                        event=message.trigger, received_at=session.began, state="applied" if changed else "recorded", answer=answer,
                        event_at=event_at, body=raw, patient=moved[-1].patient, stay=moved[-1].stay,
                    )  # fmt: skip
                    await inbox.keep(session, kept)
                    call.resource_id = kept.id
                    return kept
            except AGAIN:
                if tried == TRIES - 1:
                    raise
                await asyncio.sleep(0.01 * 2**tried * random.uniform(0.5, 1.5))
        raise AssertionError("the last try returns or raises")

    async def _park(
        self, raw: bytes, digest: bytes, header: Message, sender: Sender | None, fault: Fault, now: datetime
    ) -> model.Message:
        known = self._known[sender.name] if sender else None
        actor = actor_of(known) if known else operator()
        name = sender.name if sender else stranger(header.header)
        try:
            call = Call("C", "hl7-park")
            async with access.open(self._database, actor, call) as session:
                before = await inbox.earlier(session, name, header.control_id)
                if same := next((one for one in before if one.digest == digest), None):
                    return same
                kept = model.Message(
                    id=new_id(), sender=name, hospital=known.hospital if known else None, control_id=header.control_id, digest=digest,
                    event=header.trigger, received_at=session.began, state="parked", fault=fault, body=raw,
                    answer=acknowledging.application(header, now, KEPT, fault),
                )  # fmt: skip
                await inbox.keep(session, kept)
                call.resource_id = kept.id
                return kept
        except asyncpg.UniqueViolationError:
            async with access.open(self._database, actor, Call("R", "hl7")) as session:
                before = await inbox.earlier(session, name, header.control_id)
                return next(one for one in before if one.digest == digest)


async def apply(
    session: Session, actor: Actor, message: Message, sender: Sender, now: datetime
) -> tuple[list[Heard], datetime]:
    """Translate and apply a message, whole or not at all. What came of it, and when it had happened."""
    told = translating.tidings(message, sender, now)
    return [await tidings_flow.hear(session, actor, each, bodies.write, now) for each in told], told[0].at


def unfit(message: Message, sender: Sender | None) -> Fault | None:
    """Why a message is not even kept: nobody could mend it here."""
    version, processing = message.version, message.header.text(11, 1).upper()
    if not message.control_id or len(message.control_id) > LONGEST_ID:
        return Fault("required-field", "MSH^1^10", f"MSH-10 has 1 to {LONGEST_ID} characters.")
    if not VERSION.match(version):
        return Fault("version", "MSH^1^12", "Versions 2.3 to 2.8 are taken.")
    if message.code != "ADT":
        return Fault("message-type", "MSH^1^9", "Messages of type ADT are taken.")
    if message.trigger not in translating.EVENTS:
        return Fault("event-code", "MSH^1^9", f"These events of ADT are taken: {' '.join(translating.EVENTS)}.")
    if sender is not None and (processing or "P") != sender.processing:
        return Fault(
            "processing-id", "MSH^1^11", f"From this sender messages with MSH-11 {sender.processing} are taken."
        )
    return None


def _said(
    message: Message, sender: Sender | None, now: datetime, application: bytes, code: str, *, well: bool
) -> Answer:
    silent = sender is not None and sender.silent
    accept, answer = acknowledging.wanted(message.header, received=code == "CA", well=well, silent=silent)
    first = [acknowledging.accepted(message, now, code)] if accept else []
    return Answer([*first, *([application] if answer else [])], well)


def actor_of(known: Known) -> Actor:
    """A hospital's system that speaks HL7, as it acts here."""
    id = uuid.uuid5(uuid.NAMESPACE_URL, f"urn:yuanshe:hl7:{known.sender.name}")
    return Actor(id, "client", known.hospital, "interface", known.sender.name)


async def known_of(database: db.Database, senders: tuple[Sender, ...]) -> dict[str, Known]:
    """The senders with the organisations of their hospitals. Raises SetupError for a hospital that the directory has not."""
    async with database.transaction(operator().scope, writes=False) as session:
        return await known_in(session, senders)


async def known_in(session: Session, senders: tuple[Sender, ...]) -> dict[str, Known]:
    """The same, in an open session."""
    found = await directory.organizations_by_key(session, {one.hospital for one in senders})
    for one in senders:
        if one.hospital not in found or found[one.hospital].kind not in ("hospital", "campus"):
            raise SetupError(f"sender {one.name}: the directory has no hospital {one.hospital!r}.")
    return {one.name: Known(one, Id(str(found[one.hospital].id))) for one in senders}


def _log(what: str, fault: Exception) -> None:
    # The message of a database error can quote a row, so only its kind and its place are logged.
    frame = traceback.extract_tb(fault.__traceback__)[-1:]
    place = f" at {frame[0].name} line {frame[0].lineno}" if frame else ""
    log.warning("%s failed: %s%s", what, type(fault).__name__, place)
