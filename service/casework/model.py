"""A case (个案) and the interventions made in it."""

from datetime import datetime
from typing import Literal

import msgspec

from service.values import Id, Reason

Phase = Literal["intake", "assessment", "plan", "intervention", "evaluation", "closure", "follow-up", "archive"]
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
    source: str | None = None
    """How the person came to it: a code of urn:yuanshe:source, from the intake form, as are the next two."""
    domain: str | None = None
    populations: tuple[str, ...] = ()
    """A filter for lists; nothing is decided by it."""


class NewIntervention(msgspec.Struct, frozen=True):
    """What was done with or for the person (a Procedure). `task` is the share, `about` its person; `service_type` a code of
    urn:yuanshe:service-type, `method` of urn:yuanshe:method; `minutes` the time spent; `outcome` what came of it.

    `preparation` is an appointment at `started_at`; `no_show`: it was not done because the person did not come.
    `worker` None: the share's worker. The id of one's own intervention makes its next version. `goals`: those of the case
    that it serves; `contact` a code of urn:yuanshe:contact-type; `attendance` how many people took part (人次);
    `coordination` the partner with whom something is to be settled, `benefit` how far an application has come, `amount` what
    was asked for or approved, in 分.
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
    goals: tuple[Id, ...] = ()
    contact: str | None = None
    attendance: int = 1
    coordination: str | None = None
    benefit: str | None = None
    amount: int | None = None


class Intervention(msgspec.Struct, frozen=True):
    """An intervention as stored; `recorded_at` is when it was first written down, `noted_at` when it was first written down
    as done: an appointment is no note."""

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
    goals: tuple[Id, ...] = ()
    contact: str | None = None
    attendance: int = 1
    coordination: str | None = None
    benefit: str | None = None
    amount: int | None = None
    noted_at: datetime | None = None


class Step(msgspec.Struct, frozen=True):
    """A case enters a phase: one row of its history. `approved_by` is the supervisor who let it, `missing` what the phases
    behind it lacked at that moment (codes of urn:yuanshe:case-document), `waived`: a supervisor did without it."""

    case: Id
    number: int
    phase: Phase
    at: datetime
    by: Id
    by_role: str
    worker: Id | None = None
    reason: str | None = None
    approved_by: Id | None = None
    missing: tuple[str, ...] = ()
    waived: bool = False


class Goal(msgspec.Struct, frozen=True):
    """A goal of a case. `goal_type` is a code of urn:yuanshe:goal-type, `client_unit` of urn:yuanshe:client-unit; `needs` the
    need codes that it is for; `measured`: it says by what one will know. `status` and `achievement` are FHIR's words."""

    id: Id
    case: Id
    task: Id
    agency: Id
    status: str
    at: datetime
    goal_type: str | None = None
    client_unit: str = "individual"
    needs: tuple[str, ...] = ()
    measured: bool = False
    achievement: str | None = None


class Plan(msgspec.Struct, frozen=True):
    """A service plan of a case: `review_at` is when it is looked at again."""

    id: Id
    version: int
    case: Id
    task: Id
    agency: Id
    status: str
    at: datetime
    goals: tuple[Id, ...] = ()
    review_at: datetime | None = None


class Approval(msgspec.Struct, frozen=True):
    """A supervisor's signature: on one version of one document, which a later version leaves behind."""

    id: Id
    case: Id
    document: str
    subject: Id
    subject_version: int
    supervisor: Id
    at: datetime
    by: Id
    note: str | None = None


class Filed(msgspec.Struct, frozen=True):
    """A document that is in the file and counts: what it is, and the version of the resource that holds it."""

    document: str
    type: str
    id: Id
    version: int
    at: datetime


class Answered(msgspec.Struct, frozen=True):
    """An answer to an item of a form: its code where it was chosen from a list."""

    item: str
    code: str | None = None


class Written(msgspec.Struct, frozen=True):
    """What a resource of the case says besides being kept: a document, a goal, a plan. `form` is the canonical name of the
    Questionnaire that it answers, `settled`: it counts (completed, not entered in error); `author` the worker it names.
    `needs`: of a Condition, the needs that it stands for; of a goal, those it is for, with `addresses` the resources that say so."""

    document: str | None = None
    settled: bool = False
    form: str | None = None
    answers: tuple[Answered, ...] = ()
    author: Id | None = None
    needs: tuple[str, ...] = ()
    addresses: tuple[Id, ...] = ()
    status: str | None = None
    goal_type: str | None = None
    client_unit: str | None = None
    measured: bool = False
    achievement: str | None = None
    goals: tuple[Id, ...] = ()
    review_at: datetime | None = None


class CaseFile(msgspec.Struct, frozen=True):
    """Everything that is known of a case when its phase is decided on; each part in the order of its time."""

    case: Case
    needs: tuple[str, ...]
    at: datetime
    """When it is looked at."""
    steps: tuple[Step, ...] = ()
    documents: tuple[Filed, ...] = ()
    goals: tuple[Goal, ...] = ()
    plans: tuple[Plan, ...] = ()
    interventions: tuple[Intervention, ...] = ()
    approvals: tuple[Approval, ...] = ()
    follow_ups: int = 0
    """How many follow-ups of this referral are, or were, the agency's."""

    @property
    def entered_at(self) -> datetime:
        """When the case came to the phase in which it is."""
        return next((step.at for step in reversed(self.steps) if step.phase == self.case.phase), self.case.opened_at)

    @property
    def plan(self) -> Plan | None:
        """The plan that holds now."""
        return next((plan for plan in reversed(self.plans) if plan.status == "active"), None)


class Lack(msgspec.Struct, frozen=True):
    """A document that a phase needs and the file has not; `signature`: it is there, and not signed as it stands."""

    phase: Phase
    document: str
    signature: bool = False


class Orphan(msgspec.Struct, frozen=True):
    """A broken link between need, goal, intervention and outcome: `kind` is a code of urn:yuanshe:case-orphan, `subject` the
    goal or intervention, `need` the need's code."""

    kind: str
    subject: Id | None = None
    need: str | None = None


class Standing(msgspec.Struct, frozen=True):
    """How complete a file is: documents required by the phases behind it, how many of them it has, and what it lacks."""

    required: int
    present: int
    lacks: tuple[Lack, ...]

    @property
    def percent(self) -> int:
        """Whole percents, rounded down: 100 only of a file that lacks nothing."""
        return self.present * 100 // self.required if self.required else 100
