"""What people do from the queue, one row at a time: each act knows whether somebody was quicker, and says who."""

from datetime import datetime
from typing import Literal

import msgspec

from service import codes
from service.access.model import Actor
from service.casework import flow as casework
from service.db import Session
from service.directory import steps as directory
from service.errors import Conflict, Forbidden, Invalid, NotFound
from service.referrals import flow as referrals
from service.referrals import messaging, queue_store, store
from service.referrals.lifecycle import legal
from service.referrals.model import Task
from service.values import Id, Reason, local_day

Act = Literal["accept", "claim", "decline", "ask", "hold", "resume", "return", "start", "assign", "confirm-cancel"]
LONGEST = 1000
"""Letters that one may say why, or ask."""
UNDO = Reason("needs-more-info", "撤销接单")
"""Why an acceptance is returned at once: the table of moves asks for a coded reason, and whoever pressed the wrong key has none.
Nothing was worked out about the need yet, so that what lacks is information."""


class Said(msgspec.Struct, frozen=True):
    """An act and what was said with it. `worker`: to whom it is assigned. `until`: when what is held is to go on."""

    act: Act
    reason: str | None = None
    words: str | None = None
    worker: Id | None = None
    until: datetime | None = None


async def do(session: Session, actor: Actor, task: Id, said: Said, now: datetime) -> Task:
    """Do it; the Task as it then stands. Raises Conflict `taken-here` (with the colleague's name) or `taken` (another agency)
    for who was slower, and whatever the verb raises."""
    if actor.side != "agency":
        raise Forbidden("The queue is an agency's.", key="wrong-actor")
    # What is read from here on stays as it is: who was slower has waited, and reads what the other did.
    await store.lock_of(session, task)
    found = await store.task(session, task)
    if found is not None and said.act in ("accept", "claim", "decline") and found.accepted_at and found.open:
        taken = (await queue_store.taken_by(session, [found])).get(task)
        if taken is None or taken.by != actor.id or said.act == "decline":
            raise Conflict(
                "A colleague has accepted this meanwhile.", key="taken-here",
                names={"who": taken.name if taken else "", "at": taken.at.isoformat() if taken else ""},
            )  # fmt: skip
        return found
    await _do(session, actor, task, found, said, now)
    after = await store.task(session, task)
    if after is None:
        raise NotFound("There is no such Task, or it is not yours to see.")
    return after


async def _do(session: Session, actor: Actor, task: Id, found: Task | None, said: Said, now: datetime) -> None:
    words = _words(said.words)
    match said.act:
        case "accept" | "claim":
            await casework.accept(session, actor, task, await _oneself(session, actor, now), now)
        case "decline":
            await referrals.decline(session, actor, task, coded(said.reason, words), now)
        case "ask":
            if not words:
                raise Invalid("A question needs words.", at="words", key="no-words", code="required")
            await messaging.ask_in_words(session, actor, task, words, now)
        case "hold":
            if not words:
                raise Invalid("A reason with text is required.", at="words", key="no-words", code="required")
            await casework.hold(session, actor, task, Reason(None, words), said.until, now)
        case "resume":
            await casework.resume(session, actor, task, None, now)
        case "return":
            why = coded(said.reason, words) if said.reason else UNDO
            await casework.return_offer(session, actor, task, why, now)
        case "start":
            own = None if found and found.worker else await _oneself(session, actor, now)
            await casework.start(session, actor, task, own, now)
        case "assign":
            await casework.assign(session, actor, task, _to_whom(actor, said.worker), now)
        case "confirm-cancel":
            await casework.confirm_cancel(session, actor, task, now)


def acts(task: Task, actor: Actor, now: datetime, grace: float) -> tuple[str, ...]:
    """What this person may do with it from the queue now, in the order of the table of moves; `grace` in seconds is how long an
    acceptance can be returned."""
    if task.kind == "follow-up":
        return ("assign",)
    found = [move for move in legal(task, actor.side) if move not in ("complete", "fail", "return")]
    if may_return(task, now, grace):
        found.append("return")
    if task.accepted_at is not None and task.open and (actor.role == "supervisor" or actor.worker):
        found.append("assign")
    return tuple(found)


def may_return(task: Task, now: datetime, grace: float) -> bool:
    """Whether the acceptance can still be undone."""
    recent = task.accepted_at is not None and (now - task.accepted_at).total_seconds() <= grace
    return task.status == "accepted" and recent and not task.recorded


def coded(code: str | None, words: str | None) -> Reason:
    """A reason to decline: where nothing was written the code's own words say it. Raises Invalid for none of the list."""
    if not code or not codes.known(codes.DECLINE_REASON, code) or code == "expired":
        raise Invalid("A reason of the list is needed.", at="reason", key="no-reason", code="required")
    return Reason(code, words or codes.label(codes.DECLINE_REASON, code, "zh"))


def _words(text: str | None) -> str | None:
    """What was written, without blanks around it and control characters within. Raises Invalid where it is too much."""
    said = "".join(letter for letter in (text or "").strip() if letter.isprintable() or letter == "\n")
    if len(said) > LONGEST:
        raise Invalid(f"At most {LONGEST} letters are taken.", at="words", key="too-many-words", code="too-long")
    return said or None


async def _oneself(session: Session, actor: Actor, now: datetime) -> Id | None:
    """A social worker who takes something takes it for themselves, where their licence lets them; else it waits for a worker."""
    if actor.role != "social_worker" or actor.worker is None:
        return None
    return await directory.licensed_worker(session, actor.organization, actor.worker, local_day(now))


def _to_whom(actor: Actor, worker: Id | None) -> Id:
    """Raises Forbidden where somebody who is no supervisor names another than themselves."""
    to = worker or actor.worker
    if to is None:
        raise Invalid("Say to whom it is assigned.", at="worker", key="no-worker", code="required")
    if actor.role == "social_worker" and to != actor.worker:
        raise Forbidden("Only a supervisor assigns work to others.", key="assign-others")
    return to
