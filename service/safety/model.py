"""What screening came to, what it suggests, and a mandatory report, as stored."""

from datetime import datetime
from typing import Literal

import msgspec

from service.values import Id

SuggestionStatus = Literal["open", "accepted", "dismissed", "withdrawn"]


class Screening(msgspec.Struct, frozen=True):
    """What the answers of one response come to; `author` asked. `observation` is the id of the derived Observation,
    `observation_version` 0 while there is none. `answers`: the points of each scored item by link id."""

    response: Id
    version: int
    hospital: Id
    author: Id
    patient: Id
    instrument: str
    score: int | None
    band: str | None
    answers: dict[str, int]
    missing: tuple[str, ...]
    signs_crisis: bool
    void: bool
    observation: Id
    observation_version: int
    computed_at: datetime
    agency: Id | None = None
    referral: Id | None = None
    task: Id | None = None


class Suggestion(msgspec.Struct, frozen=True):
    """What is put to a person of `organization`, who decides. `why`: instrument and item, or a rule, in codes."""

    id: Id
    referral: Id
    patient: Id
    organization: Id
    kind: str
    code: str
    why: str
    made_at: datetime
    response: Id | None = None
    status: SuggestionStatus = "open"
    decided_by: Id | None = None
    decided_at: datetime | None = None
    reason: str | None = None


class MandatoryReport(msgspec.Struct, frozen=True):
    """A report to the police: what triggered it (urn:yuanshe:report-situation), when it was known and when reported, by
    which channel, who took it under which number, what was preserved, who reported."""

    record: Id
    version: int
    referral: Id
    patient: Id
    hospital: Id
    author: Id
    situation: str
    known_at: datetime
    reported_at: datetime
    channel: str
    receiver: str
    reporter: str
    recorded_at: datetime
    receipt: str | None = None
    preserved: tuple[str, ...] = ()
    void: bool = False

    @property
    def minutes(self) -> int:
        """From knowing to reporting."""
        return int((self.reported_at - self.known_at).total_seconds() // 60)


class Timeliness(msgspec.Struct, frozen=True):
    """How soon reports were made: how many, the median of the minutes from knowing to reporting, how many within the limit."""

    reports: int
    median_minutes: float | None
    within: int
    limit_minutes: int
