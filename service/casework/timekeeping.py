"""What a worker's time went into: an entry, what is wrong with one, and how much of all of it was administration; pure."""

from datetime import datetime, timedelta

import msgspec

from service import codes
from service.errors import Issue
from service.values import LATE_CLOCK, Id

MOST = 24 * 60
"""Minutes of one entry at most."""


class NewTime(msgspec.Struct, frozen=True):
    """`minutes` spent on `activity` (a code of urn:yuanshe:activity) at `at`, by `worker` (None: whoever writes it down). `task` is
    the share or follow-up that it was for; none: the agency's own work. `procedure`: the intervention that it was, whose own
    minutes these stand in place of."""

    activity: str
    minutes: int
    at: datetime
    worker: Id | None = None
    task: Id | None = None
    procedure: Id | None = None


class TimeEntry(msgspec.Struct, frozen=True):
    """An entry as stored. A correction is a new one that `replaces` it; what was replaced or taken back is void."""

    id: Id
    agency: Id
    worker: Id
    activity: str
    administrative: bool
    minutes: int
    at: datetime
    recorded_at: datetime
    by: Id
    task: Id | None = None
    referral: Id | None = None
    procedure: Id | None = None
    replaces: Id | None = None
    voided_at: datetime | None = None


class Spent(msgspec.Struct, frozen=True):
    """One item of what is counted: an entry, or an intervention's own minutes (`activity` is empty)."""

    id: Id
    worker: Id | None
    minutes: int
    administrative: bool
    at: datetime
    activity: str | None = None
    task: Id | None = None


class Ratio(msgspec.Struct, frozen=True):
    """A worker's minutes in a period (None: of nobody in particular); `over` a threshold that the deployment sets."""

    worker: Id | None
    professional: int
    administrative: int
    over: bool = False

    @property
    def minutes(self) -> int:
        return self.professional + self.administrative

    @property
    def share(self) -> float:
        """Administrative of all minutes, from 0 to 1 (domain e: 行政化占比)."""
        return round(self.administrative / self.minutes, 4) if self.minutes else 0.0


def faults(new: NewTime, now: datetime, back: timedelta) -> tuple[Issue, ...]:
    """What is wrong with an entry; `back` is how long ago it may have been."""
    found: list[Issue] = []
    if not codes.known(codes.ACTIVITY, new.activity):
        found.append(Issue(f"The activity needs a code of {codes.ACTIVITY}.", "activity", "code-invalid"))
    if not 1 <= new.minutes <= MOST:
        found.append(Issue(f"Minutes are from 1 to {MOST}.", "minutes", "value"))
    if new.at > now + LATE_CLOCK:
        found.append(Issue("Time that was spent does not lie in the future.", "at", "business-rule"))
    if new.at < now - back:
        found.append(Issue(f"Time is written down within {back.days} days.", "at", "business-rule"))
    if new.procedure is not None and new.activity in codes.ADMINISTRATIVE:
        found.append(Issue("An intervention is no administration.", "activity", "business-rule"))
    return tuple(found)


def judged(ratio: Ratio, threshold: float) -> Ratio:
    return msgspec.structs.replace(ratio, over=ratio.minutes > 0 and ratio.share > threshold)
