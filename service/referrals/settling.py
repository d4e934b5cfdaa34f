"""What follows from the shares: the parent Task, the placer's request, every businessStatus and the one next step."""

from datetime import datetime

import msgspec

from service.practice import PLATFORM, Practice
from service.referrals import clocks, transitions
from service.referrals.model import TERMINAL, Clock, Loop, NextStep, Referral, Task, Who

SHARE_STEP = {"cancel": "confirm-cancel", "resume": "resume", "information": "answer", "consent": "obtain-consent",
              "worker": "name-worker",
              "reply": "accept-or-decline", "contact": "first-contact"}  # fmt: skip
"""Which clock runs out next on a share, in the order of moves.md, and what it waits for; `item` names its own."""


def settle(loop: Loop, now: datetime, practice: Practice) -> Loop:
    """The loop with everything derived: nothing here is remembered that could be worked out."""
    if loop.referral.deceased:
        loop = msgspec.structs.replace(
            loop, shares=tuple(transitions.closing(share, now, practice) for share in loop.shares)
        )  # fmt: skip
    shares = tuple(_stated(share) for share in loop.shares)
    loop = msgspec.structs.replace(loop, shares=shares)
    loop = msgspec.structs.replace(loop, parent=_parent_status(loop, now))
    loop = msgspec.structs.replace(loop, referral=_request(loop, now))
    step = next_step(loop, now, practice)
    parent = msgspec.structs.replace(
        loop.parent,
        business_status=_parent_says(loop, step),
        due_at=step.by if step and loop.parent.open else None,
        urgency=loop.referral.effective_urgency,
        ended_at=loop.parent.ended_at if loop.parent.status in TERMINAL else None,
    )
    return msgspec.structs.replace(loop, parent=parent, next=step)


def running(share: Task) -> tuple[str, Clock] | None:
    """The clock whose end is the share's deadline, with its name."""
    for name in (*SHARE_STEP, "item"):
        clock = share.clocks.get(name)
        if clock is not None and clock.left is None:
            return name, clock
    return None


def _stated(share: Task) -> Task:
    """businessStatus, derived in the order of moves.md, and the running deadline."""
    if not share.open:
        return msgspec.structs.replace(share, due_at=None)
    says = {"requested": "offered", "accepted": "accepted", "in-progress": "in-service", "on-hold": "paused"}[
        share.status
    ]
    for name, word in (
        ("consent", "awaiting-consent"),
        ("information", "awaiting-information"),
        ("cancel", "cancellation-requested"),
    ):
        if name in share.clocks and not (share.status == "on-hold" and name != "cancel"):
            says = word
    if share.visit and says in ("accepted", "in-service"):
        says = share.visit.state
    clock = running(share)
    return msgspec.structs.replace(share, business_status=says, due_at=clock[1].due if clock else None)


def _parent_status(loop: Loop, now: datetime) -> Task:
    """moves.md's second table: the parent follows its shares and never steps back."""
    parent = loop.parent
    if not parent.open or parent.status == "draft":
        return parent
    taken = [share for share in loop.shares if share.accepted_at is not None and share.status != "entered-in-error"]
    live = [share for share in loop.shares if share.open]
    status = parent.status
    if not live and not unplaced(loop) and loop.referral.crisis is None:
        if any(share.status == "completed" for share in taken):
            return completed(loop, now)
    at_work = [share for share in live if share.accepted_at is not None]
    if at_work and len(at_work) == len(live) and all(share.status == "on-hold" for share in at_work):
        status = "on-hold"
    elif any(share.status == "in-progress" for share in at_work) or (at_work and parent.status == "on-hold"):
        status = "in-progress"
    elif at_work and parent.status == "requested":
        status = "accepted"
    return parent if status == parent.status else msgspec.structs.replace(parent, status=status, updated_at=now)


def completed(loop: Loop, now: datetime) -> Task:
    """The parent with everything that its completed shares brought about."""
    done = [share for share in loop.shares if share.status == "completed"]
    return msgspec.structs.replace(
        loop.parent, status="completed", reason=done[-1].reason, ended_at=now, updated_at=now,
        outputs=tuple(output for share in done for output in share.outputs),
    )  # fmt: skip


REQUEST_STATUS = {"draft": "draft", "on-hold": "on-hold", "completed": "completed", "cancelled": "revoked", "rejected": "revoked",
                  "failed": "revoked", "entered-in-error": "entered-in-error"}  # fmt: skip


def _request(loop: Loop, now: datetime) -> Referral:
    referral = loop.referral
    status = REQUEST_STATUS.get(loop.parent.status, "active")
    if status == "on-hold" and any(share.open and share.status != "on-hold" for share in loop.shares):
        status = "active"  # The parent has no edge back from on-hold; the request is being placed again all the same.
    reason = loop.parent.reason if status == "revoked" else referral.reason
    follow_up = any(task.open for task in loop.follow_ups)
    return msgspec.structs.replace(referral, status=status, reason=reason, follow_up=follow_up)


ENDED = {"cancelled": "withdrawn", "rejected": "refused", "failed": "failed"}


def _parent_says(loop: Loop, step: NextStep | None) -> str | None:
    parent = loop.parent
    if parent.status == "entered-in-error":
        return None
    if parent.status == "completed":
        return "follow-up" if loop.referral.follow_up else "closed"
    if not parent.open:
        return (
            parent.business_status
            if parent.business_status in ("failed", "refused", "withdrawn")
            else ENDED[parent.status]
        )
    live = [share for share in loop.shares if share.open]
    if not live:
        return "unplaced"
    return min(live, key=lambda share: (share.due_at is None, share.due_at, share.id)).business_status


def is_open(loop: Loop) -> bool:
    """moves.md: the parent is not terminal, follow-ups are pending, or a crisis is up."""
    return loop.parent.open or loop.referral.follow_up or loop.referral.crisis is not None


def next_step(loop: Loop, now: datetime, practice: Practice) -> NextStep | None:
    """Who must act next, on what, by when: exactly one answer for every open referral (moves.md's last table)."""
    referral = loop.referral
    if referral.crisis is not None:
        return _crisis_step(loop, practice)
    if not is_open(loop):
        return None
    steps = [step for share in loop.shares if share.open and (step := _share_step(share, now, practice))]
    if loop.parent.open and (not steps or unplaced(loop)):
        # Nobody has it, or a part of it: the coordinator places or refuses it within the reply limit, counted from when
        # that began.
        old = loop.next
        kept = old is not None and old.what == "place" and old.task == loop.parent.id
        clock = clocks.begin(practice.reply[referral.effective_urgency], old.since if kept and old else now, practice)
        steps.append(_step(loop.parent, "coordinator", None, "place", clock, now, practice))
    steps += [_follow_up_step(task, now, practice) for task in loop.follow_ups if task.open]
    return min(steps, key=lambda step: (step.by, step.task))


def unplaced(loop: Loop) -> bool:
    """Whether a need has found nobody: of a split referral no part is forgotten, and none completes over a part that all have
    declined (moves.md)."""
    return bool(unplaced_needs(loop))


def unplaced_needs(loop: Loop) -> set[str]:
    """The needs that have found nobody: no share of them is out, goes on, succeeded, failed after it was taken, or was taken
    back."""
    placed = {
        need
        for share in loop.shares
        if share.open or share.status in ("completed", "failed") or share.business_status == "withdrawn"
        for need in share.needs
    }
    return set(loop.referral.needs) - placed


def step_of(task: Task, now: datetime, practice: Practice) -> NextStep | None:
    """The step that one share or follow-up waits for by itself, whatever else is up on its referral."""
    return _share_step(task, now, practice) if task.kind == "share" else _follow_up_step(task, now, practice)


def _share_step(share: Task, now: datetime, practice: Practice) -> NextStep | None:
    found = running(share)
    if found is None:
        return None
    name, clock = found
    what = SHARE_STEP.get(name) or share.item or "review"
    who: Who = (
        "referrer"
        if name in ("information", "consent")
        else "worker"
        if share.worker and name not in ("reply", "worker")
        else "agency"
    )
    if share.agency is None and name == "reply":
        # An offer that nobody owns waits for a claim; the coordinator answers for it.
        return _step(share, "coordinator", None, "claim", clock, now, practice)
    return _step(share, who, share, what, clock, now, practice)


def _follow_up_step(task: Task, now: datetime, practice: Practice) -> NextStep:
    due = task.window_to or now
    clock = Clock(max(int((due - (task.window_from or due)).total_seconds() // 60), 0), task.window_from or due, due)
    who: Who = "worker" if task.worker else "agency" if task.agency else "hospital"
    return _step(task, who, task, "follow-up", clock, now, practice)


def _crisis_step(loop: Loop, practice: Practice) -> NextStep:
    referral = loop.referral
    crisis = referral.crisis
    assert crisis is not None
    live = [share for share in loop.shares if share.open and share.accepted_at]
    share = live[0] if crisis.owner == "agency" and live else None
    who: Who = "agency" if share else "coordinator" if crisis.owner != "hospital" else "hospital"
    minutes = int((crisis.by - crisis.at).total_seconds() // 60)
    clock = Clock(minutes, crisis.at, crisis.by)
    return _step(share or loop.parent, who, share, crisis.waits_for, clock, crisis.at, practice)


def _step(
    task: Task, who: Who, owner: Task | None, what: str, clock: Clock, now: datetime, practice: Practice
) -> NextStep:
    agency = owner.agency if owner else None
    organization = (
        task.hospital if who in ("referrer", "hospital") else agency if who in ("agency", "worker") else PLATFORM
    )
    assert organization is not None
    return NextStep(
        referral=task.referral, hospital=task.hospital, agency=agency, who=who, organization=organization,
        worker=owner.worker if owner and who == "worker" else None, what=what, task=task.id, since=clock.since,
        warn_at=clocks.warn_at(clock, clock.since, practice), by=clock.due,
        confirmed=clocks.confirmed(clock, practice),
    )  # fmt: skip
