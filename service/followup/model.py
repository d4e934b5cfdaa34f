"""A contact attempt, and what an outcome makes of its follow-up."""

from datetime import datetime

import msgspec

from service.referrals.model import TaskStatus
from service.values import Id, Reason


class NewAttempt(msgspec.Struct, frozen=True):
    """One try to reach the person of a follow-up, by `channel` (urn:yuanshe:channel), at `at`.

    `reached`: two-way contact came about; where not, `reason` says why. `worker` is who tried, if not the Task's own.
    """

    id: Id
    task: Id
    channel: str
    at: datetime
    reached: bool
    reason: Reason | None = None
    worker: Id | None = None


class Attempt(msgspec.Struct, frozen=True):
    """An attempt as stored; `owner` is the organisation that made it, the only one that reads it."""

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
