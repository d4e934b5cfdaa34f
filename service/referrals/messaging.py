"""The verbs of talking about a share: ask, answer, keep a message; before disclosure no words to the agency name anybody."""

import re
from collections.abc import Iterable
from datetime import datetime

from service.access.model import Actor
from service.db import Session, as_platform
from service.errors import Invalid
from service.patients import store as patients
from service.records import store as records
from service.records.model import Record
from service.referrals import flow, steps, store
from service.referrals.model import Task
from service.values import Id


async def question(session: Session, actor: Actor, task: Id, now: datetime) -> None:
    """The agency needs to know more: see `flow.ask`."""
    await flow.ask(session, actor, task, now)


async def answer(session: Session, actor: Actor, task: Id, now: datetime) -> None:
    """The hospital answers; the agency's clock runs on where a question had stopped it."""
    steps.only(actor, "hospital", "platform")
    share = await store.task(session, task)
    if share is not None and "information" in share.clocks:
        await flow.answer(session, actor, task, now)


async def names_nobody(session: Session, share: Task, words: Iterable[str]) -> None:
    """Raise Invalid when what is written to an agency before disclosure holds the patient's own name, number or phone."""
    if share.patient is not None:
        return
    referral = await store.referral(session, share.referral)
    patient = await patients.get(session, referral.patient) if referral else None
    if patient is None:
        return
    own = [patient.name, patient.phone, *(identifier.value for identifier in patient.identifiers)]
    if any(_holds(text, word) for text in words for word in own if word):
        raise Invalid(
            "Identity is not disclosed to this agency yet: what you write to it may not hold the patient's name, number or phone.",
            at="Communication.payload", key="identity-in-answer",
        )  # fmt: skip


def _holds(text: str, word: str) -> bool:
    """Whether the words hold this name or number, however it is spaced or cased."""
    bare = re.sub(r"[\s·.\-]+", "", word).casefold()
    return len(bare) > 1 and bare in re.sub(r"[\s·.\-]+", "", text).casefold()


async def keep(
    session: Session,
    actor: Actor,
    referral: Id,
    task: Task | None,
    kind: str,
    id: Id,
    body: bytes,
    status: str,
    now: datetime,
) -> None:
    """Store a message where both sides of the share may read it; a crisis step stays with who wrote it, and the platform.

    What is said about a share before disclosure names nobody and has no patient: its agency reads it on that ground."""
    async with as_platform(session, "address a message"):
        whose = await store.referral(session, referral)
    hospital = task.hospital if task else whose.hospital if whose else None
    agency = task.agency if task else (actor.organization if actor.side == "agency" else None)
    known = task is None or task.patient is not None
    await records.keep(
        session,
        [Record(id, 1, "Communication", "safety" if kind == "crisis" else "message", actor.organization, body, now, hospital=hospital,
                agency=agency, patient=whose.patient if whose and known else None, referral=referral,
                task=task.id if task else None, returned=kind != "crisis", status=status, code=kind)],
    )  # fmt: skip


async def about(session: Session, message: Id) -> Id | None:
    """Which Task a message was about."""
    found = await records.current(session, "Communication", message)
    return found.task if found else None
