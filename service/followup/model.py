"""A contact attempt, and what an outcome makes of its follow-up."""

from datetime import datetime

import msgspec

from service.referrals.model import TaskStatus
from service.values import Id, Reason


class NewAttempt(msgspec.Struct, frozen=True):
    """One try to reach the person of a follow-up, by `channel` (urn:yuanshe:channel), at `at`.

    `reached`: two-way contact came about; where not, `reason` says why. `result` is a code of urn:yuanshe:contact-result.
    `worker` is who tried, if not the Task's own.
    """

    id: Id
    task: Id
    channel: str
    at: datetime
    reached: bool
    reason: Reason | None = None
    worker: Id | None = None
    result: str | None = None


class Attempt(msgspec.Struct, frozen=True):
    """An attempt as stored; `owner` is the organisation that made it, the only one that reads it. `broke` is the rule of safe
    contact that it broke: what was done is a fact."""

    id: Id
    task: Id
    referral: Id
    patient: Id
    owner: Id
    channel: str
    at: datetime
    reached: bool
    recorded_at: datetime
    reason: Reason | None = None
    worker: Id | None = None
    result: str | None = None
    broke: str | None = None


class NewNeed(msgspec.Struct, frozen=True):
    """A need that a follow-up found, to be referred in one step: the ids and the placer's number of the request that becomes of
    it, and its body as an adapter has written it. `text` is what was said of it."""

    referral: Id
    task: Id
    needs: tuple[str, ...]
    urgency: str
    body: bytes
    text: str | None = None


FOLLOW_UP_SYSTEM = "urn:yuanshe:follow-up"
"""The system of the placer's number where a referral comes of a follow-up: the number is the follow-up's."""

ENDS: dict[str, TaskStatus] = {
    "lost": "failed",
    "declined": "failed",
    "deceased": "cancelled",
    "unreachable": "accepted",
}
"""The status that an outcome brings; every other outcome completes the follow-up (contract.md)."""

FINAL = frozenset({"declined", "lost", "deceased"})
"""Outcomes after which nobody calls again: they cancel the rest."""


def status_after(outcome: str) -> TaskStatus:
    return ENDS.get(outcome, "completed")
