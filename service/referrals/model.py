"""A referral, its Tasks and the closed loop they form."""

from datetime import datetime
from typing import Any, Literal

import msgspec

from service.codes import SAFETY
from service.values import Id, Reason

TaskStatus = Literal[
    "draft",
    "requested",
    "accepted",
    "rejected",
    "cancelled",
    "in-progress",
    "on-hold",
    "completed",
    "failed",
    "entered-in-error",
]
TERMINAL: frozenset[str] = frozenset({"rejected", "cancelled", "completed", "failed", "entered-in-error"})
RequestStatus = Literal["draft", "active", "on-hold", "revoked", "completed", "entered-in-error"]
FILLER_STATUS: dict[str, RequestStatus] = {
    "draft": "draft",
    "requested": "active",
    "accepted": "active",
    "in-progress": "active",
    "on-hold": "on-hold",
    "completed": "completed",
    "rejected": "revoked",
    "cancelled": "revoked",
    "failed": "revoked",
    "entered-in-error": "entered-in-error",
}
"""What a share's status makes of the filler ServiceRequest that is derived from it."""
Kind = Literal["parent", "share", "follow-up", "duty"]
CrisisState = Literal["raised", "acknowledged", "safety-planned", "reported"]
CrisisOwner = Literal["hospital", "agency", "coordinator"]
Risk = Literal["low", "medium", "high", "imminent"]


class Clock(msgspec.Struct, frozen=True, omit_defaults=True):
    """A limit that runs: from `since` to `due`, counted in working time or not. While paused, `left` is the seconds
    (of the kind counted) that remain, and `due` is the time it would have been."""

    minutes: int
    since: datetime
    due: datetime
    working: bool = False
    left: int | None = None


class Output(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a Task brought about: the code of its type and the element as received."""

    type: str
    element: dict[str, Any]
    reference: str | None = None


class FollowUp(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a follow-up Task knows besides: the name of its window (`T2`, `D7`, …), whether it is a visit, whether to ask
    at the receiving institution, the channels tried so far, the next attempt as proposed, the outcome's code, and the stay
    after which it is.

    `dead`: channels that lead nowhere (a wrong number); `reached`: two-way contact came about. Nothing is proposed where a
    supervisor decides each step and has not, nor after the last channel.
    """

    window: str
    visit: bool = False
    receiving: bool = False
    tried: tuple[str, ...] = ()
    proposed_at: datetime | None = None
    proposed_channel: str | None = None
    outcome: str | None = None
    stay: Id | None = None
    dead: tuple[str, ...] = ()
    reached: bool = False

    @property
    def begun(self) -> bool:
        return bool(self.tried) or self.outcome is not None


class Visit(msgspec.Struct, frozen=True):
    """An appointment with the person within a share, by the intervention that it will be: kept `scheduled` until that takes
    place or is called off, or `no-show` when the person did not come (BSeR; urn:yuanshe:business-status)."""

    intervention: Id
    state: Literal["scheduled", "no-show"]


class Task(msgspec.Struct, frozen=True, omit_defaults=True):
    """A parent Task (`parent`), one agency's share of the referral (`share`), a follow-up (`follow-up`), or something owed
    beside the one next step (`duty`: `item` says what, `about` on what).

    A share carries what its offer may show and nothing else of the person; `patient` is set only while identity is
    disclosed to its agency, until then `stand_in` takes its place. `filler_version` counts the versions of the filler
    ServiceRequest that is derived from the share. `clocks` holds the running limits by name: reply, contact,
    information, consent, resume, cancel, item.
    """

    id: Id
    kind: Kind
    version: int
    referral: Id
    hospital: Id
    status: TaskStatus
    urgency: str
    needs: tuple[str, ...]
    authored_at: datetime
    updated_at: datetime
    agency: Id | None = None
    worker: Id | None = None
    business_status: str | None = None
    patient: Id | None = None
    stand_in: Id | None = None
    filler: Id | None = None
    filler_version: int = 0
    filler_at: datetime | None = None
    """When the filler ServiceRequest last changed."""
    stand_in_version: int = 1
    stand_in_at: datetime | None = None
    """When the per-offer Patient last changed, if it did."""
    part_of: Id | None = None
    """The parent Task of a share."""
    safety: bool = False
    region: str | None = None
    language: str | None = None
    age_band: str | None = None
    gender: str | None = None
    contact_prohibited: bool = False
    reason: Reason | None = None
    cancel_reason: Reason | None = None
    """Why the hospital asked to cancel: a hold in between has a reason of its own."""
    outputs: tuple[Output, ...] = ()
    notes: tuple[dict[str, Any], ...] = ()
    clocks: dict[str, Clock] = {}
    questions: tuple[Id, ...] = ()
    """Messages that ask something and are not answered yet."""
    item: str | None = None
    window_from: datetime | None = None
    window_to: datetime | None = None
    follow_up: FollowUp | None = None
    about: Id | None = None
    """What a duty is about: a disclosure to be reviewed, a merge, …"""
    due_at: datetime | None = None
    accepted_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    recorded: bool = False
    visit: Visit | None = None
    """Work was recorded on the share: from then on it cannot be returned, only failed."""
    received: int = 0
    """Version of the record that holds the Task as its hospital sent it; 0: made by the service."""
    broadcast: bool = False

    @property
    def open(self) -> bool:
        return self.status not in TERMINAL

    @property
    def sealed(self) -> bool:
        """A safety need of somebody whom its agency does not know (domain f-7): until it does, it is told county, minor, adult or
        elder, and “safety”; neither which need, nor which hospital, nor which language."""
        return self.safety and self.patient is None

    @property
    def told_needs(self) -> tuple[str, ...]:
        """The needs as its agency may read them."""
        return (SAFETY,) if self.sealed else self.needs

    @property
    def filler_face(self) -> tuple[object, ...]:
        """Whatever the filler ServiceRequest shows and can change: it has a new version whenever this differs."""
        return FILLER_STATUS[self.status], self.urgency, self.agency, self.patient, self.contact_prohibited


class Crisis(msgspec.Struct, frozen=True, omit_defaults=True):
    """A crisis that is up: how far it is, since when, the limit of its next step, and who must take it.

    The law asks for a report at once, which may come before the plan: so whether it was planned (by whom, with which
    risk band) and whether it was reported stand beside the state.
    """

    state: CrisisState
    since: datetime
    by: datetime
    owner: CrisisOwner
    at: datetime
    risk: Risk | None = None
    planned_at: datetime | None = None
    planned_by: Id | None = None
    reported_at: datetime | None = None

    @property
    def planned(self) -> bool:
        # Of a crisis from before these times were kept the state alone says it.
        return (
            self.planned_at is not None
            or self.state == "safety-planned"
            or (self.state == "reported" and not self.reported_at)
        )

    @property
    def reported(self) -> bool:
        return self.reported_at is not None or self.state == "reported"

    @property
    def waits_for(self) -> str:
        """What must be done next (domain b-4); what was reported before the plan is not asked for again after it."""
        if not self.planned:
            return "acknowledge" if self.state == "raised" else "safety-plan"
        return "stand-down" if self.reported else "report"


class Referral(msgspec.Struct, frozen=True, omit_defaults=True):
    """The need, as the hospital placed it (the placer's ServiceRequest)."""

    id: Id
    version: int
    hospital: Id
    placer_system: str
    placer_value: str
    patient: Id
    parent: Id
    status: RequestStatus
    needs: tuple[str, ...]
    urgency: str
    effective_urgency: str
    age_band: str
    gender: str
    received: int
    authored_at: datetime
    updated_at: datetime
    stay: Id | None = None
    region: str | None = None
    language: str | None = None
    preferred: Id | None = None
    contact_prohibited: bool = False
    replaces: Id | None = None
    populations: tuple[str, ...] = ()
    """Groups in special hardship that the hospital named (domain row 37): to find and count by, never a reason to refuse."""
    deceased: bool = False
    """The person has died: nobody is contacted any more, nothing is proposed, and each share waits for being closed."""
    after_death: bool = False
    """It was placed when the person had died already: for those who are left, so it goes on like any other; nothing is
    proposed to the person."""
    continues: Id | None = None
    """The referral that this one goes on from: a case opened again, or a need passed on to others."""
    passed_on_by: Id | None = None
    """The agency that passed the need on: it is not offered to that one again."""
    crisis: Crisis | None = None
    follow_up: bool = False
    reason: Reason | None = None


class Continued(msgspec.Struct, frozen=True):
    """A referral that goes on from another one. `taken`: the status of the share that some agency accepted."""

    id: Id
    open: bool
    taken: str | None


Who = Literal["agency", "worker", "referrer", "coordinator", "hospital"]


class NextStep(msgspec.Struct, frozen=True):
    """Who must act next on an open referral, on what, by when. `organization` is the one that must act. `confirmed`: no day
    that `by` was counted over is of a year whose working days are not published yet."""

    referral: Id
    hospital: Id
    agency: Id | None
    who: Who
    organization: Id
    worker: Id | None
    what: str
    task: Id
    since: datetime
    warn_at: datetime
    by: datetime
    confirmed: bool = True


class Loop(msgspec.Struct, frozen=True):
    """One referral with everything that its moves touch: what a verb loads, decides on and saves as a whole.

    `permitted`: agencies to which a consent or a lawful basis lets identity be disclosed now, with its ground. `conflicted`:
    workers who declared that they may not serve this person, or somebody around them: their share shows nobody.
    """

    referral: Referral
    parent: Task
    shares: tuple[Task, ...] = ()
    follow_ups: tuple[Task, ...] = ()
    duties: tuple[Task, ...] = ()
    permitted: dict[Id, "Ground"] = {}
    conflicted: frozenset[Id] = frozenset()
    next: NextStep | None = None

    @property
    def tasks(self) -> tuple[Task, ...]:
        """Every Task of the loop, the parent first."""
        return self.parent, *self.shares, *self.follow_ups, *self.duties

    def share(self, task: Id) -> Task:
        return next(share for share in self.shares if share.id == task)

    def with_share(self, share: Task) -> "Loop":
        shares = tuple(share if old.id == share.id else old for old in self.shares)
        return msgspec.structs.replace(self, shares=shares if share in shares else (*self.shares, share))

    def with_follow_up(self, task: Task) -> "Loop":
        tasks = tuple(task if old.id == task.id else old for old in self.follow_ups)
        return msgspec.structs.replace(self, follow_ups=tasks if task in tasks else (*self.follow_ups, task))

    def with_duty(self, task: Task) -> "Loop":
        tasks = tuple(task if old.id == task.id else old for old in self.duties)
        return msgspec.structs.replace(self, duties=tasks if task in tasks else (*self.duties, task))


class Ground(msgspec.Struct, frozen=True):
    """Why identity may be disclosed: a consent, a lawful basis (legal-duty, emergency), or a glass that was broken, which
    shows who somebody is and lets no work begin. `withheld`: categories of data that it leaves out."""

    kind: Literal["consent", "legal-duty", "emergency", "break-glass"]
    id: Id
    until: datetime | None = None
    withheld: tuple[str, ...] = ()


class Receipt(msgspec.Struct, frozen=True):
    """The outcome return (转介回执) that a completed share sends to its hospital."""

    task: Id
    referral: Id
    reason: Reason
    at: datetime
    outputs: tuple[str, ...] = ()


class Question(msgspec.Struct, frozen=True):
    """What an agency asks in plain words, without a protocol of its own: adapters give it its form."""

    task: Id
    agency: Id
    text: str
    at: datetime


class NewReferral(msgspec.Struct, frozen=True):
    """A submission, read: what the hospital asks for. `digest` is the SHA-256 of the whole submission in canonical form,
    `locations` what its entries will be stored as, `body` the request as received and `task_body` the Task that came along.

    `signs_crisis`: screening in the submission raises a crisis. `task`: the id for the parent Task.
    """

    id: Id
    task: Id
    placer_system: str
    placer_value: str
    patient: Id
    needs: tuple[str, ...]
    urgency: str
    body: bytes
    authored_at: datetime
    stay: Id | None = None
    region: str | None = None
    language: str | None = None
    preferred: Id | None = None
    contact_prohibited: bool = False
    replaces: Id | None = None
    continues: Id | None = None
    populations: tuple[str, ...] = ()
    """Groups in special hardship (urn:yuanshe:population)."""
    signs_crisis: bool = False
    task_body: bytes | None = None
    newcomer: bool = False
    """The person came with this submission: no other referral of theirs is open, and nothing was consented to before."""
    received: tuple[Any, ...] = ()
    """The submission's other resources as received, not stored yet (`service.records.model.Record`s)."""
