"""A case (个案) and the interventions made in it."""

from datetime import datetime
from typing import Literal

import msgspec

from service.values import Id, Reason

Phase = Literal["intake", "assessment", "plan", "intervention", "evaluation", "closure", "archive"]
Ending = Literal["complete", "return", "fail", "confirm-cancel", "void"]
Status = Literal[
    "preparation", "in-progress", "not-done", "on-hold", "stopped", "completed", "entered-in-error", "unknown"
]


class Case(msgspec.Struct, frozen=True):
    """An agency's file on a referral that it accepted, one a share. `patient` is empty until identity was disclosed.

    `phase` is a code of urn:yuanshe:case-phase. A closed case says which move ended it, and why.
    """

    id: Id
    version: int
    referral: Id
    task: Id
    agency: Id
    opened_at: datetime
    phase: Phase = "intake"
    patient: Id | None = None
    worker: Id | None = None
    closed_at: datetime | None = None
    ending: Ending | None = None
    reason: Reason | None = None


class NewIntervention(msgspec.Struct, frozen=True):
    """What was done with or for the person (a Procedure). `task` is the share, `about` its person; `service_type` a code of
    urn:yuanshe:service-type, `method` of urn:yuanshe:method; `minutes` the time spent; `outcome` what came of it.

    `preparation` is an appointment at `started_at`; `no_show`: it was not done because the person did not come.
    `worker` None: the share's worker. The id of one's own intervention makes its next version.
    """

    id: Id
    task: Id
    about: Id
    service_type: str
    status: Status
    method: str = "casework"
    started_at: datetime | None = None
    ended_at: datetime | None = None
    minutes: int | None = None
    place: str | None = None
    outcome: str | None = None
    worker: Id | None = None
    no_show: bool = False


class Intervention(msgspec.Struct, frozen=True):
    """An intervention as stored; `recorded_at` is when it was first written down."""

    id: Id
    version: int
    case: Id
    task: Id
    referral: Id
    agency: Id
    patient: Id
    service_type: str
    status: Status
    method: str
    recorded_at: datetime
    updated_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    minutes: int | None = None
    place: str | None = None
    outcome: str | None = None
    worker: Id | None = None
