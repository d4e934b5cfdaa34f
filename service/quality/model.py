"""What a look across cases finds."""

from datetime import datetime

import msgspec

from service.values import Id


class Orphan(msgspec.Struct, frozen=True):
    """A broken link in one case, a code of urn:yuanshe:case-orphan; no person is in it. `since` when it was noticed first."""

    id: Id
    agency: Id
    task: Id
    phase: str
    kind: str
    since: datetime
    subject: Id | None = None
    need: str | None = None


class Followed(msgspec.Struct, frozen=True):
    """How follow-up went in one window (`T2`, `D7`, …) or in all (code None): windows due, those in which the person was
    reached at all and in time, and lost; `plans` are the referrals that they belong to."""

    code: str | None
    due: int
    in_time: int
    reached: int
    lost: int
    plans: int
    plans_lost: int


class Readmissions(msgspec.Struct, frozen=True):
    """Of a hospital's live discharges of a period whose time is over: how many were followed by an admission that nobody said
    was planned, and by one that was. `pending`: discharges of which the time is not over, in neither count."""

    hospital: Id
    discharges: int
    unplanned: int
    planned: int
    pending: int

    @property
    def rate(self) -> float | None:
        """The unplanned ones among all (domain e)."""
        return round(self.unplanned / self.discharges, 4) if self.discharges else None


class Reach(msgspec.Struct, frozen=True):
    """A region of a service area, and how many contacts its people had; names are empty where the directory knows none."""

    code: str
    name_zh: str | None
    name_en: str | None
    contacts: int
