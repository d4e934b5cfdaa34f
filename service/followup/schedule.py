"""When follow-ups fall due, who owns them, and which attempt comes next; pure (domain b-3, d-5)."""

from datetime import date, datetime, time, timedelta

import msgspec

from service.followup.model import FINAL
from service.patients.model import Stay
from service.practice import Practice
from service.referrals import clocks, ladder
from service.referrals.lifecycle import LIVE
from service.referrals.model import FollowUp, Loop, Referral, Task
from service.safety.contact import ANY, ContactRules, on_referral
from service.values import SHANGHAI, Id, Reason, local_day, new_id, unlinkable_id

TRANSFERRED = frozenset({"2", "3"})
AGAINST_ADVICE = "4"
DIED = "5"
"""National codes of the way of leaving (离院方式) that change the schedule."""

LAST_MINUTE = time(23, 59)
"""A window ends with its day, and reads as that day."""


class Span(msgspec.Struct, frozen=True):
    """A window of the schedule in time."""

    code: str
    opens: datetime
    closes: datetime


def discharged(stay: Stay) -> bool:
    """Whether the stay ended as a discharge does: finished, with a time and a way of leaving (contract.md)."""
    return stay.status == "finished" and stay.ended_at is not None and stay.disposition is not None


def spans(ended_at: datetime, disposition: str | None, practice: Practice) -> tuple[Span, ...]:
    """The windows after a discharge at `ended_at`. Who left against advice is contacted first within a day."""
    found: list[Span] = []
    left = local_day(ended_at)
    for window in practice.follow_up:
        opens = datetime.combine(_days_after(left, window.opens, window.working, practice), time(0), SHANGHAI)
        closes = datetime.combine(_days_after(left, window.closes, window.working, practice), LAST_MINUTE, SHANGHAI)
        found.append(Span(window.code, max(opens, ended_at), closes))
    if disposition == AGAINST_ADVICE and found:
        soon = clocks.begin(practice.follow_up_against_advice, ended_at, practice).due
        found[0] = Span(found[0].code, found[0].opens, soon)
    return tuple(found)


def _days_after(day: date, days: int, working: bool, practice: Practice) -> date:
    """The day `days` later, of which in working time only working days count."""
    if not working:
        return day + timedelta(days=days)
    while days:
        day += timedelta(days=1)
        days -= clocks.is_workday(day, practice)[0]
    return day


def owner(loop: Loop) -> Task | None:
    """The share whose agency follows up: the first accepted one that goes on or was completed, and whose agency may see
    the person; None: the hospital follows up itself."""
    fit = [
        share
        for share in loop.shares
        if share.accepted_at is not None
        and (share.status in LIVE or share.status == "completed")
        and share.patient is not None
        and share.agency is not None
        and (ground := loop.permitted.get(share.agency)) is not None
        and ground.kind != "break-glass"
    ]
    return min(fit, key=lambda share: (share.accepted_at, share.id), default=None)


def proposes(referral: Referral) -> bool:
    """Whether attempts are proposed at all: never for a person who must not be contacted or has died, nor for N12 to N14."""
    held = on_referral(ANY, referral.needs, prohibited=referral.contact_prohibited)
    return not (held.guarded or referral.deceased)


def placed(
    loop: Loop, stay: Stay, lace: int | None, now: datetime, practice: Practice, rules: ContactRules = ANY
) -> Loop:
    """The loop with its follow-ups as this discharge wants them: the missing ones made, those not begun moved. `rules` say how
    the person may safely be contacted.

    The same discharge again changes nothing. A referral that ended other than completed gets none, nor does one whose
    person declined, was lost or has died; nor one that names no stay and was placed after the last window had closed.
    """
    assert stay.ended_at is not None
    if (
        loop.referral.deceased
        or loop.referral.after_death
        or not (loop.parent.open or loop.parent.status == "completed")
    ):
        return loop
    if any(task.follow_up and task.follow_up.outcome in FINAL for task in loop.follow_ups):
        return loop
    wanted = spans(stay.ended_at, stay.disposition, practice)
    if loop.referral.stay is None and all(span.closes < loop.referral.authored_at for span in wanted):
        return loop
    share = owner(loop)
    rules = on_referral(rules, loop.referral.needs, prohibited=loop.referral.contact_prohibited)
    for span in wanted:
        old = next((task for task in reversed(loop.follow_ups) if _stands_for(task, span.code, stay.id)), None)
        visit = span.code == practice.follow_up_visit and lace is not None and lace >= practice.lace_high
        if old is None:
            loop = loop.with_follow_up(_made(loop, share, span, visit, stay, now, practice, rules))
        elif old.open and old.follow_up and not old.follow_up.begun:
            visit = old.follow_up.visit if lace is None else visit
            moved = _timed(old, span, visit, stay, rules, now, practice)
            if (moved.window_from, moved.window_to) != (old.window_from, old.window_to) or _kind(moved) != _kind(old):
                loop = loop.with_follow_up(msgspec.structs.replace(moved, updated_at=now))
    if loop.follow_ups and loop.referral.stay is None:
        loop = msgspec.structs.replace(loop, referral=msgspec.structs.replace(loop.referral, stay=stay.id))
    return loop


UNDONE = frozenset({"deceased", "readmitted"})
"""Reasons for which the service itself ended a follow-up, and which may turn out to be errors."""


def _stands_for(task: Task, window: str, stay: Id) -> bool:
    """Whether the follow-up fills the window after this stay: one that was called off before it brought anything leaves it
    free, and so does one that the service ended on news that did not hold."""
    told = task.follow_up
    if told is None or told.window != window or told.stay not in (None, stay):
        return False
    if not task.open and task.reason and task.reason.code in UNDONE and told.outcome in (None, "readmitted"):
        return False
    return task.status not in ("cancelled", "entered-in-error") or told.begun


def readmitted(loop: Loop, now: datetime) -> Loop:
    """The person is in hospital again: the follow-up that was due next has that as its outcome, the others are called off.
    The new stay's end makes new ones."""
    first = True
    for task in sorted(loop.follow_ups, key=lambda each: (each.window_to is None, each.window_to, each.id)):
        if not task.open or task.follow_up is None:
            continue
        if first:
            told = msgspec.structs.replace(task.follow_up, outcome="readmitted")
            loop = loop.with_follow_up(
                ended(msgspec.structs.replace(task, follow_up=told), "completed", READMITTED, now)
            )
        else:
            loop = loop.with_follow_up(ended(task, "cancelled", READMITTED, now))
        first = False
    return loop


READMITTED = Reason("readmitted", "The person was admitted again.")


def _kind(task: Task) -> tuple[bool, bool]:
    assert task.follow_up is not None
    return task.follow_up.visit, task.follow_up.receiving


def _made(
    loop: Loop, share: Task | None, span: Span, visit: bool, stay: Stay, now: datetime, practice: Practice, rules: ContactRules
) -> Task:  # fmt: skip
    referral = loop.referral
    task = Task(
        id=new_id(),
        kind="follow-up",
        version=0,
        referral=referral.id,
        hospital=referral.hospital,
        status="accepted",
        # Its window says when it is due; the referral's urgency is that of the need.
        urgency="routine",
        needs=referral.needs,
        authored_at=now,
        updated_at=now,
        business_status="follow-up",
        patient=referral.patient,
        contact_prohibited=referral.contact_prohibited,
        accepted_at=now,
        follow_up=FollowUp(span.code, stay=stay.id),
    )
    if share is not None:
        # What stands in the person's place should the consent be withdrawn.
        task = msgspec.structs.replace(
            task, agency=share.agency, worker=share.worker, needs=share.needs, stand_in=unlinkable_id(), safety=share.safety,
            region=share.region, language=share.language, age_band=share.age_band, gender=share.gender,
        )  # fmt: skip
    return _timed(task, span, visit, stay, rules, now, practice)


def _timed(
    task: Task, span: Span, visit: bool, stay: Stay, rules: ContactRules, now: datetime, practice: Practice
) -> Task:
    assert task.follow_up is not None
    told = msgspec.structs.replace(task.follow_up, visit=visit, receiving=stay.disposition in TRANSFERRED)
    at = _in_time(clocks.add_working(max(span.opens, now), 0, practice), span.closes, now)
    told = ladder.proposing(told, ladder.next_attempt(told, rules, at, practice, visit=visit))
    return msgspec.structs.replace(
        task, window_from=span.opens, window_to=span.closes, due_at=span.closes, follow_up=told
    )


def _in_time(at: datetime, closes: datetime, now: datetime) -> datetime:
    """Not after the window's end, while that is still to come."""
    return min(at, closes) if closes > now else at


def attempted(
    task: Task, channel: str, reached: bool, referral: Referral, at: datetime, practice: Practice,
    rules: ContactRules = ANY, result: str | None = None,
) -> Task:  # fmt: skip
    """The follow-up after an attempt. Nobody reached: the next safe rung of the ladder is proposed for the next working day,
    within the window while it lasts. Reached, or refused to talk: the outcome is what comes next."""
    assert task.follow_up is not None and task.window_to is not None
    rules = on_referral(rules, referral.needs, prohibited=referral.contact_prohibited or referral.deceased)
    dead = (channel,) if result in ladder.LEADS_NOWHERE else ()
    spoken = reached or result == "refused"
    told = msgspec.structs.replace(
        task.follow_up, tried=(*task.follow_up.tried, channel), dead=(*task.follow_up.dead, *dead),
        reached=task.follow_up.reached or reached,
    )  # fmt: skip
    local = at.astimezone(SHANGHAI)
    next_day = datetime.combine(_days_after(local.date(), 1, True, practice), local.time(), SHANGHAI)
    when = _in_time(next_day, task.window_to, at)
    proposed = None if spoken else ladder.next_attempt(told, rules, when, practice)
    return msgspec.structs.replace(task, follow_up=ladder.proposing(told, proposed))


ENDED_AS = {"completed": "closed", "failed": "failed", "cancelled": "withdrawn"}


def unproposed(task: Task) -> Task:
    """The follow-up without a next attempt: a person decides."""
    told = task.follow_up and msgspec.structs.replace(task.follow_up, proposed_at=None, proposed_channel=None)
    return msgspec.structs.replace(task, follow_up=told)


def ended(task: Task, status: str, reason: Reason | None, now: datetime) -> Task:
    """The follow-up is over; nothing is proposed any more."""
    return msgspec.structs.replace(
        unproposed(task), status=status, business_status=ENDED_AS[status], reason=reason, due_at=None, ended_at=now, updated_at=now,
    )  # fmt: skip


def called_off(loop: Loop, reason: Reason, now: datetime, *, begun: bool, but: Id | None = None) -> Loop:
    """The loop with its open follow-ups cancelled: all of them, or only those not begun."""
    for task in loop.follow_ups:
        if task.open and task.id != but and (begun or not (task.follow_up and task.follow_up.begun)):
            loop = loop.with_follow_up(ended(task, "cancelled", reason, now))
    return loop
