"""The verbs of talking about a share: ask, answer, keep a message; before disclosure no words to the agency name anybody."""

import re
from collections.abc import Iterable
from datetime import datetime

import msgspec

from service.access.model import Actor
from service.db import Session
from service.errors import Invalid
from service.patients import store as patients
from service.records import store as records
from service.records.model import Record
from service.referrals import steps, store, transitions
from service.referrals.model import Loop, Question, Task
from service.values import Id, new_id


async def ask(session: Session, actor: Actor, task: Id, question: Id, now: datetime) -> Loop:
    """The agency (or the coordinator) needs to know more; its clock pauses until the hospital has answered every question."""
    async with steps.turn(session, actor, task, now) as moving:
        steps.own_agency(moving)
        moving.permit("ask")
        moving.loop = transitions.asked(moving.loop, moving.share, question, now, session.practice)
        moving.tell("ask", moving.share)
    return moving.loop


async def ask_in_words(session: Session, actor: Actor, task: Id, text: str, now: datetime) -> Loop:
    """The agency asks in plain words, by a page and not by a program; kept like any other question."""
    question = new_id()
    loop = await ask(session, actor, task, question, now)
    share = loop.share(task)
    asked = msgspec.json.encode(Question(task, actor.organization, text, now))
    await keep(session, actor, share.referral, share, "question", question, asked, "completed", now)
    return loop


async def answer(session: Session, actor: Actor, task: Id, questions: tuple[Id, ...], now: datetime) -> Loop:
    """The hospital answers the `questions` named, or all where it names none; with the last of them the agency's clock
    runs on with what was left. An answer to nothing that is open is a message like any other."""
    steps.only(actor, "hospital", "platform")
    async with steps.turn(session, actor, task, now) as moving:
        if "information" in moving.share.clocks:
            moving.permit("answer")
            moving.loop = transitions.answered(moving.loop, moving.share, questions, now, session.practice)
            moving.tell("answer", moving.share)
    return moving.loop


async def replies_to_others(session: Session, actor: Actor, messages: Iterable[Id]) -> bool:
    """Whether all of these messages were written by somebody else, and none of them is a question of one's own: then what is
    said to them is a message back, and no answer that the clocks wait for."""
    wanted = set(messages)
    found = await records.these(session, list(wanted))
    known = {each.id for each in found if each.type == "Communication" and each.author != actor.organization}
    return known == wanted


async def names_nobody(session: Session, share: Task, words: Iterable[str]) -> None:
    """Raise Invalid when what is written to an agency before disclosure holds the patient's own name, number or phone."""
    if share.patient is None:
        await nameless(session, share.referral, words)


async def nameless(session: Session, referral: Id, words: Iterable[str]) -> None:
    """Raise Invalid when words that also reach agencies which do not know the person hold the person's name, number or phone:
    the reason why a referral is taken back stands in the story of each of them."""
    found = await store.referral(session, referral)
    patient = await patients.get(session, found.patient) if found else None
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

    What is said about a share before disclosure names nobody and has no patient: its agency reads it on that ground. What
    is said of a share while the person is disclosed has the patient, and its agency reads it for as long as they are."""
    whose = task or await store.referral(session, referral)
    agency = task.agency if task else (actor.organization if actor.side == "agency" else None)
    await records.keep(
        session,
        [Record(id, 1, "Communication", "safety" if kind == "crisis" else "message", actor.organization, body, now,
                hospital=whose.hospital if whose else None, agency=agency, patient=whose.patient if whose else None, referral=referral,
                task=task.id if task else None, returned=kind != "crisis", status=status, code=kind)],
    )  # fmt: skip


async def about(session: Session, message: Id) -> Id | None:
    """Which Task a message was about."""
    found = await records.current(session, "Communication", message)
    return found.task if found else None
