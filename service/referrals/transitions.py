"""What each move makes of a share: pure, one function an action, after `lifecycle.check` has allowed it."""

from datetime import datetime

import msgspec

from service.codes import coarse_age_band, is_safety
from service.errors import Invalid
from service.practice import Limit, Practice
from service.referrals import clocks
from service.referrals.lifecycle import DISCLOSURE_NOT_NEEDED
from service.referrals.model import Clock, Loop, Output, Referral, Task
from service.values import Id, Reason, new_id, unlinkable_id

WORK = ("reply", "contact", "item")
"""The clocks of the agency's own work: they pause while the other side has the next move."""


def _changed(task: Task, now: datetime, **values: object) -> Task:
    return msgspec.structs.replace(task, updated_at=now, **values)


def _ended(task: Task, now: datetime, status: str, business_status: str | None, reason: Reason | None) -> Task:
    return _changed(
        task,
        now,
        status=status,
        business_status=business_status,
        reason=reason,
        clocks={},
        questions=(),
        item=None,
        ended_at=now,
    )


def offered(
    referral: Referral, agency: Id | None, now: datetime, practice: Practice, reply: Limit | None = None, *,
    needs: tuple[str, ...] | None = None, broadcast: bool = False, task: Id | None = None,
) -> Task:  # fmt: skip
    """A new share on offer. It shows T0 only: for a safety need only the county, minor, adult or elder, and “safety”
    (domain f-7); `reply` overrides the practice's limit where the partnership agreed another."""
    wanted = needs or referral.needs
    safety = is_safety(wanted)
    limit = reply or practice.reply[referral.effective_urgency]
    return Task(
        id=task or new_id(),
        kind="share",
        version=0,
        referral=referral.id,
        hospital=referral.hospital,
        status="requested",
        urgency=referral.effective_urgency,
        needs=wanted,
        authored_at=now,
        updated_at=now,
        agency=agency,
        stand_in=unlinkable_id(),
        filler=new_id(),
        part_of=referral.parent,
        safety=safety,
        region=referral.region[:6] if safety and referral.region else referral.region,
        language=referral.language,
        age_band=coarse_age_band(referral.age_band) if safety else referral.age_band,
        gender=None if safety else referral.gender,
        contact_prohibited=referral.contact_prohibited,
        clocks={"reply": clocks.begin(limit, now, practice)},
        broadcast=broadcast,
    )


def accepted(loop: Loop, share: Task, agency: Id, worker: Id | None, now: datetime, practice: Practice) -> Loop:
    """The agency takes the share; the other offers of the same needs lose. Identity opens when a ground permits it."""
    contact = {"contact": clocks.begin(practice.first_contact[share.urgency], now, practice)}
    if "information" in share.clocks:
        # What was asked is still to be answered: the next move stays the referrer's.
        contact = clocks.paused(contact, WORK, now, practice) | {"information": share.clocks["information"]}
    taken = _changed(
        share,
        now,
        status="accepted",
        agency=agency,
        worker=worker or share.worker,
        accepted_at=now,
        clocks=contact,
    )
    loop = loop.with_share(taken)
    for rival in loop.shares:
        if rival.id != share.id and rival.status == "requested" and set(rival.needs) & set(share.needs):
            loop = loop.with_share(_ended(rival, now, "cancelled", "not-selected", None))
    return disclosed(loop, taken, now, practice)


def disclosed(loop: Loop, share: Task, now: datetime, practice: Practice) -> Loop:
    """Let identity follow the grounds: open where one permits, closed where none does any more.

    While the agency waits for consent its first-contact clock pauses, a crisis' never does.
    """
    if share.accepted_at is None or not share.open or share.agency is None:
        return loop
    ground = loop.permitted.get(share.agency)
    waits = "consent" if ground is None else "worker" if share.worker in loop.conflicted else None
    withheld = {name for name in ("consent", "worker") if name in share.clocks}
    running = {name: clock for name, clock in share.clocks.items() if name not in withheld}
    if waits is not None:
        if share.patient is not None or withheld != {waits}:
            # Whose move it is: the referrer's, who obtains consent, or the agency's, which names another worker.
            limit = practice.consent if waits == "consent" else practice.name_worker
            clock = share.clocks.get(waits) or clocks.begin(limit, now, practice)
            waiting = clocks.paused(running, WORK, now, practice) | {waits: clock}
            share = _changed(share, now, patient=None, clocks=waiting)
    elif ground is not None and ground.kind == "break-glass":
        # It shows who somebody is, for a while; the work waits for a consent all the same.
        if share.patient is None:
            share = _changed(share, now, patient=loop.referral.patient)
    elif share.patient is None or withheld:
        if "information" not in running and share.status != "on-hold":
            running = clocks.resumed(running, WORK, now, practice)
        share = _changed(share, now, patient=loop.referral.patient, clocks=running)
    return loop.with_share(share)


def declined(loop: Loop, share: Task, reason: Reason, now: datetime) -> Loop:
    return loop.with_share(_ended(share, now, "rejected", "declined", reason))


def expired(loop: Loop, share: Task, now: datetime) -> Loop:
    return loop.with_share(_ended(share, now, "cancelled", "expired", Reason("expired", "The reply limit passed.")))


def started(loop: Loop, share: Task, worker: Id, now: datetime, practice: Practice) -> Loop:
    """Service begins: the first item of the case is the assessment."""
    return loop.with_share(
        _changed(share, now, status="in-progress", worker=worker, started_at=now, clocks=_with_item(share, now, practice),
                 item="assessment", reason=None)
    )  # fmt: skip


def held(
    loop: Loop, share: Task, reason: Reason, resume_by: datetime | None, now: datetime, practice: Practice
) -> Loop:
    if resume_by is not None and resume_by <= now:
        raise Invalid("The resume-by date lies in the past.", at="restriction.period.end")
    clock = clocks.until(resume_by, now) if resume_by else clocks.begin(practice.hold, now, practice)
    stopped = clocks.paused(share.clocks, WORK, now, practice)
    return loop.with_share(_changed(share, now, status="on-hold", reason=reason, clocks=stopped | {"resume": clock}))


def resumed(loop: Loop, share: Task, worker: Id, now: datetime, practice: Practice) -> Loop:
    running = _with_item(share, now, practice)
    return loop.with_share(
        _changed(share, now, status="in-progress", worker=worker, started_at=share.started_at or now, clocks=running,
                 item=share.item or "assessment", reason=None)
    )  # fmt: skip


def _with_item(share: Task, now: datetime, practice: Practice) -> dict[str, Clock]:
    """The clocks of service: the case's item runs, from where it stood, unless a question is still to be answered."""
    running = _kept(share)
    running = running | {"item": running.get("item") or clocks.begin(practice.assessment, now, practice)}
    change = clocks.paused if "information" in running else clocks.resumed
    return change(running, WORK, now, practice)


def advanced(loop: Loop, share: Task, now: datetime, practice: Practice) -> Loop:
    """The case's item was not done though everybody was told: it moves on to the next review, so that the share is looked
    at again and again (moves.md: the assessment limit, then a review every 30 days)."""
    item = clocks.begin(practice.review, now, practice)
    return loop.with_share(_changed(share, now, item="review", clocks=share.clocks | {"item": item}))


CLOSE = "close"
"""What a share waits for whose person has died: that its agency closes it (closure reason `deceased`)."""


def closing(share: Task, now: datetime, practice: Practice) -> Task:
    """A share that was accepted, of a person who has died: nobody is contacted any more, and its next item is to be closed,
    whatever else happens with it meanwhile; the limit runs on from when that began."""
    if not share.open or share.accepted_at is None or (share.item == CLOSE and "contact" not in share.clocks):
        return share
    left = {name: clock for name, clock in share.clocks.items() if name not in ("contact", "item")}
    held, limit = share.clocks.get("item"), practice.closure_after_death
    begun = held is not None and (held.minutes, held.working) == (limit.minutes, limit.working)
    left["item"] = held if held is not None and begun else clocks.begin(limit, now, practice)
    return _changed(share, now, item=CLOSE, clocks=left, visit=None)


def owes_next(loop: Loop, share: Task, item: str, clock: Clock, now: datetime, practice: Practice) -> Loop:
    """The case's next due item is this one, as its phase or its plan says. It pauses where the work does, and a clock that
    was paused and resumed since it began is still the same."""
    held = share.clocks.get("item")
    if loop.referral.deceased:
        return loop
    if share.item == item and held is not None and (held.since, held.minutes) == (clock.since, clock.minutes):
        return loop
    if held is not None and held.left is not None:
        clock = clocks.pause(clock, now, practice)
    return loop.with_share(_changed(share, now, item=item, clocks=share.clocks | {"item": clock}))


def _kept(share: Task) -> dict[str, Clock]:
    return {
        name: clock for name, clock in share.clocks.items() if name not in ("contact", "resume", "consent", "worker")
    }


def returned(loop: Loop, share: Task, reason: Reason, now: datetime, practice: Practice) -> Loop:
    """Undo of an acceptance, within the grace time and before anything was recorded (moves.md); later it must fail."""
    grace = practice.return_grace.minutes * 60
    assert share.accepted_at is not None
    if (now - share.accepted_at).total_seconds() > grace or share.recorded:
        raise Invalid(
            "An acceptance can be returned only within the grace time and before work is recorded; use failed.",
            at="status", key="grace-passed",
        )  # fmt: skip
    return loop.with_share(_ended(share, now, "cancelled", "returned", reason))


def completed(loop: Loop, share: Task, reason: Reason, outputs: tuple[Output, ...], now: datetime) -> Loop:
    """The share's work is done: at least one output, identity disclosed or a reason that does without, no crisis up."""
    if not outputs:
        raise Invalid("A completed Task needs at least one output.", at="output", code="required")
    if loop.referral.crisis is not None:
        raise Invalid("A crisis is up: it must be stood down before anything closes.", at="status", key="crisis-up")
    ground = loop.permitted.get(share.agency) if share.agency else None
    shown = share.patient is not None and not (ground and ground.kind == "break-glass")
    if not shown and reason.code not in DISCLOSURE_NOT_NEEDED:
        raise Invalid(
            "Identity was not disclosed to this agency, so the work cannot be completed; obtain consent, or close with "
            "the reason consent-withdrawn or lost.", at="statusReason", key="not-disclosed",
        )  # fmt: skip
    done = _ended(share, now, "completed", "closed", reason)
    return loop.with_share(msgspec.structs.replace(done, outputs=outputs))


def failed(loop: Loop, share: Task, reason: Reason, now: datetime) -> Loop:
    return loop.with_share(_ended(share, now, "failed", "failed", reason))


def withdrawn(loop: Loop, share: Task, reason: Reason | None, now: datetime) -> Loop:
    return loop.with_share(_ended(share, now, "cancelled", "withdrawn", reason))


def cancel_requested(loop: Loop, share: Task, reason: Reason, now: datetime, practice: Practice) -> Loop:
    clock = clocks.begin(practice.reply[share.urgency], now, practice)
    asked = share.clocks | {"cancel": clock}
    return loop.with_share(_changed(share, now, reason=reason, cancel_reason=reason, clocks=asked))


def asked(loop: Loop, share: Task, question: Id, now: datetime, practice: Practice) -> Loop:
    """The next move is the referrer's: the agency's own clocks pause; asking again starts no second clock."""
    questions = (*share.questions, question)
    if "information" in share.clocks:
        return loop.with_share(_changed(share, now, questions=questions))
    stopped = clocks.paused(share.clocks, WORK, now, practice)
    waiting = {"information": clocks.begin(practice.information, now, practice)}
    return loop.with_share(_changed(share, now, questions=questions, clocks=stopped | waiting))


def answered(loop: Loop, share: Task, questions: tuple[Id, ...], now: datetime, practice: Practice) -> Loop:
    """These questions are answered, or all where none is named; while one is open the next move stays the referrer's."""
    left = tuple(question for question in share.questions if question not in questions) if questions else ()
    if left:
        return loop.with_share(_changed(share, now, questions=left))
    running = {name: clock for name, clock in share.clocks.items() if name != "information"}
    if "consent" not in running and share.status != "on-hold":
        running = clocks.resumed(running, WORK, now, practice)
    return loop.with_share(_changed(share, now, questions=(), clocks=running))


def voided(loop: Loop, task: Task, reason: Reason, now: datetime) -> Loop:
    gone = _ended(task, now, "entered-in-error", None, reason)
    if task.kind == "share":
        return loop.with_share(gone)
    if task.kind == "duty":
        return loop.with_duty(gone)
    return loop.with_follow_up(gone) if task.kind == "follow-up" else msgspec.structs.replace(loop, parent=gone)
