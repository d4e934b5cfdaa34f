"""Loops made by hand, for what needs no database."""

from datetime import UTC, datetime

import msgspec

from service.practice import Practice
from service.referrals import settling, transitions
from service.referrals.model import Ground, Loop, Referral, Task
from service.values import Id, Reason, new_id

NOW = datetime(2026, 3, 4, 2, 0, tzinfo=UTC)
"""A Wednesday, 10:00 in Shanghai: a working day and hour."""
PRACTICE = Practice()
HOSPITAL, AGENCY, OTHER = new_id(), new_id(), new_id()
WHY = Reason("no-capacity", "满员")
DONE = Reason("goals-met", "目标达成")


def loop(urgency: str = "routine", needs: tuple[str, ...] = ("N05",), permitted: bool = True) -> Loop:
    """A submitted referral with nothing offered yet; by default AGENCY and OTHER have the patient's consent."""
    id, parent, patient = new_id(), new_id(), new_id()
    referral = Referral(
        id=id, version=1, hospital=HOSPITAL, placer_system="urn:x", placer_value="1", patient=patient, parent=parent, status="active",
        needs=needs, urgency=urgency, effective_urgency=urgency, age_band="60-74", gender="female", received=1, authored_at=NOW,
        updated_at=NOW, region="520502001",
    )  # fmt: skip
    task = Task(parent, "parent", 1, id, HOSPITAL, "requested", urgency, needs, NOW, NOW, patient=patient)
    grounds = {agency: Ground("consent", new_id()) for agency in (AGENCY, OTHER)} if permitted else {}
    return settling.settle(Loop(referral, task, permitted=grounds), NOW, PRACTICE)


def offered(made: Loop, agency: Id | None = AGENCY, *, broadcast: bool = False) -> tuple[Loop, Id]:
    share = transitions.offered(made.referral, agency, NOW, PRACTICE, broadcast=broadcast)
    return settling.settle(made.with_share(share), NOW, PRACTICE), share.id


def at(status: str) -> tuple[Loop, Id]:
    """A loop whose one share stands in this status, led there by moves."""
    made, share = offered(loop())
    output = transitions.Output("resulting-activity", {}, None)
    steps = {
        "requested": [],
        "accepted": ["accept"],
        "in-progress": ["accept", "start"],
        "on-hold": ["accept", "start", "hold"],
        "completed": ["accept", "start", "complete"],
        "failed": ["accept", "fail"],
        "rejected": ["decline"],
        "cancelled": ["expire"],
        "entered-in-error": ["void"],
    }[status]
    for action in steps:
        made = apply(made, share, action, NOW, output)
    assert made.share(share).status == status
    return made, share


def apply(made: Loop, id: Id, action: str, now: datetime, output: transitions.Output | None = None) -> Loop:
    """Make the move, without asking whether it is allowed; settled."""
    share = made.share(id)
    worker = share.worker or new_id()
    moved = {
        "accept": lambda: transitions.accepted(made, share, share.agency or AGENCY, None, now, PRACTICE),
        "claim": lambda: transitions.accepted(made, share, AGENCY, None, now, PRACTICE),
        "decline": lambda: transitions.declined(made, share, WHY, now),
        "expire": lambda: transitions.expired(made, share, now),
        "start": lambda: transitions.started(made, share, worker, now, PRACTICE),
        "hold": lambda: transitions.held(made, share, WHY, None, now, PRACTICE),
        "resume": lambda: transitions.resumed(made, share, worker, now, PRACTICE),
        "return": lambda: transitions.returned(made, share, WHY, now, PRACTICE),
        "complete": lambda: transitions.completed(made, share, DONE, (output,) if output else (), now),
        "fail": lambda: transitions.failed(made, share, WHY, now),
        "withdraw": lambda: transitions.withdrawn(made, share, WHY, now),
        "request-cancel": lambda: transitions.cancel_requested(made, share, WHY, now, PRACTICE),
        "confirm-cancel": lambda: transitions.withdrawn(made, share, share.reason, now),
        "ask": lambda: transitions.asked(made, share, new_id(), now, PRACTICE),
        "answer": lambda: transitions.answered(made, share, (), now, PRACTICE),
        "void": lambda: transitions.voided(made, share, WHY, now),
        "consent": lambda: transitions.disclosed(
            msgspec.structs.replace(made, permitted={AGENCY: Ground("consent", new_id())}), share, now, PRACTICE
        ),
        "withdraw-consent": lambda: transitions.disclosed(
            msgspec.structs.replace(made, permitted={}), share, now, PRACTICE
        ),
    }[action]()
    return settling.settle(moved, now, PRACTICE)
