"""Which links a notice carries, how each is signed, until when it holds, and how things stand when it is opened; pure."""

import base64
import hashlib
import hmac
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from service.practice import Practice
from service.referrals import clocks
from service.referrals.model import Task
from service.values import Id

Act = Literal["accept", "decline", "ask", "return"]
"""What one link is for: a move of the table of moves, by its word."""

State = Literal[
    "open", "used", "expired", "switched-off", "withdrawn", "taken", "declined", "accepted", "returned", "too-late"
]
"""How an offer stands towards a link: only an open one can be answered by it.

`switched-off`: its mailbox gets no notices any more; `accepted`, `declined`, `returned`: the agency has answered otherwise;
`too-late`: an acceptance that cannot be returned any more.
"""


class AnswerLink(msgspec.Struct, frozen=True):
    """A link as stored: for one act on one share, once, by whoever reads the agency's mail. Its token is nowhere."""

    id: Id
    subscriber: Id
    delivery: Id
    task: Id
    agency: Id
    action: Act
    made_at: datetime
    expires_at: datetime
    used_at: datetime | None = None


def token(secret: str, delivery: Id, task: Id, action: Act) -> str:
    """The secret part of a link: an HMAC-SHA-256 of what it is for under its mailbox's own secret (`whsec_…`), so that a
    notice that is sent again says the same, and nobody can make one for another act."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    said = b"answer-link:" + delivery.bytes + task.bytes + action.encode()
    return base64.urlsafe_b64encode(hmac.digest(key, said, "sha256")).rstrip(b"=").decode()


def digest(token: str) -> bytes:
    """As which a token is stored and looked up."""
    return hashlib.sha256(token.encode()).digest()


def offered(task: Task, agency: Id, now: datetime, practice: Practice) -> dict[Act, datetime]:
    """The links that a notice about this share carries now, each with its end: of an open offer what it may be answered
    with, of a fresh acceptance its undo. An offer without owner can only be claimed."""
    if task.kind != "share" or task.agency not in (None, agency):
        return {}
    if task.status == "requested" and (end := _reply_limit(task, now, practice)) and end > now:
        return dict.fromkeys(("accept",) if task.agency is None else ("accept", "decline", "ask"), end)
    if task.status == "accepted" and (end := grace_end(task, practice)) and end > now and not task.recorded:
        return {"return": end}
    return {}


def _reply_limit(task: Task, now: datetime, practice: Practice) -> datetime | None:
    """When the offer has to be answered; while a question waits for the hospital, when that would be if it answered at its
    own limit."""
    reply, asked = task.clocks.get("reply"), task.clocks.get("information")
    if reply is None:
        return None
    return clocks.resume(reply, max(asked.due, now) if asked else now, practice).due


def grace_end(task: Task, practice: Practice) -> datetime | None:
    """Until when an acceptance may be returned."""
    return task.accepted_at and task.accepted_at + timedelta(minutes=practice.return_grace.minutes)


ENDED: dict[str | None, State] = {
    "withdrawn": "withdrawn", "not-selected": "taken", "expired": "expired", "declined": "declined", "returned": "returned",
}  # fmt: skip
"""What became of an offer that is not open any more, by its businessStatus."""


def state(link: AnswerLink, task: Task | None, now: datetime, practice: Practice, *, listens: bool = True) -> State:
    """How things stand for whoever opens the link. `task` None: the agency may not see it any more, because another was
    quicker to claim it; `listens`: whether the mailbox still gets notices."""
    if link.used_at is not None:
        return "used"
    if not listens:
        return "switched-off"
    if task is None:
        return "taken"
    if link.action == "return":
        if task.status == "accepted":
            return "open" if "return" in offered(task, link.agency, now, practice) else "too-late"
        return "returned" if task.business_status == "returned" else "too-late"
    if task.status != "requested":
        if task.status in ("accepted", "in-progress", "on-hold", "completed", "failed"):
            return "accepted"
        return ENDED.get(task.business_status, "withdrawn")
    return "open" if now < link.expires_at else "expired"
