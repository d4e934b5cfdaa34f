"""What people do after a stay has ended: discharge, try to reach the person, say what came of it."""

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import msgspec

from service import codes
from service.access.model import Actor
from service.db import Session
from service.directory import steps as directory
from service.errors import Conflict, Invalid
from service.followup import movement, person_steps, reaching, schedule, store
from service.followup import steps as ours
from service.followup.model import FINAL, FOLLOW_UP_SYSTEM, Attempt, NewAttempt, NewNeed, status_after
from service.patients import flow as patients
from service.patients import store as stays
from service.patients.model import Stay
from service.records import store as records
from service.records.model import Record
from service.referrals import clocks, contact_flow, crisis, duties, settling, steps
from service.referrals import flow as referring
from service.referrals import store as referrals
from service.referrals.model import CrisisOwner, Loop, NewReferral, Output, Task
from service.safety import store as safety
from service.safety.contact import forbids
from service.values import LATE_CLOCK, Id, Reason, local_day

CALLED_OFF = Reason(None, "The discharge was called off.")
LONGEST_STAY = timedelta(days=90)
"""How far back answers belong to a stay of which nobody said when it began."""
LONGEST_AGO = timedelta(days=366)
"""How long ago an attempt may have been made; an earlier one is a slip of the pen, and the next would be reckoned from it."""


async def discharge(
    session: Session, actor: Actor, stay: Stay, body: bytes, now: datetime, lace: int | None = None,
    *, known: int | None = None, received: list[Record] | None = None,
) -> Stay:  # fmt: skip
    """Store a hospital stay, new or its next version, and let every referral that it concerns follow in the same transaction:
    where the person lies, when they are expected to leave and since when they are fit to, leave of absence, readmission.

    A stay that has ended gets its follow-ups at once; a corrected end moves those not begun, an end that is taken back
    cancels them; death ends all outreach. A transfer (ways of leaving 2 and 3) that does not name the receiving institution is
    taken, and the hospital owes the name: the discharge itself is too much to lose. `lace` is the score of the risk of readmission, where one is known; `known` and `received` as in `patients.admit`.
    """
    # A referral that is being placed for this stay holds its lock: once it is committed, it is followed with the others.
    before = await stays.get_stay(session, stay.id, lock=True)
    if known is None:
        stay = msgspec.structs.replace(stay, patient=await stays.living(session, stay.patient))
    if before is not None and before.hospital == stay.hospital and before.patient != stay.patient:
        raise Invalid("A stay stays with its patient.", at="subject", key="other-subject")
    ended = schedule.discharged(stay)
    stay, former = await _with_former(session, before, stay)
    stay = await patients.admit(session, actor, stay, body, now, known=known, received=received)
    died = ended and stay.disposition == schedule.DIED
    lace = await _lace(session, stay) if lace is None and ended else lace
    undone = before is not None and _died(before) and not died
    place = stay.region is not None and (before is None or before.region != stay.region)
    person = await person_steps.facts(session, stay.patient) if died or undone or place else None
    found = await referrals.of_stay(
        session, stay.id, stay.patient, stay.hospital, every=died, former=stay.readmission_of
    )
    if undone and person:
        found = sorted({*found, *await person_steps.every_open(session, person, now)})
    over = ended and await stays.readmitted(session, stay.id)
    for referral in found:
        async with steps.on_referral(session, actor, referral, now) as moving:
            if undone and person:
                await person_steps.follow(moving, person)
            await _follow(moving, before, stay, lace, over=over)
            _ask_where(moving, stay)
            if person and not undone:
                await person_steps.correct(moving, person, stay)
                await person_steps.follow(moving, person)
            person_steps.tell_close(moving)
    await _follow_readmission(session, actor, before, stay, former, now)
    return stay


def _ask_where(moving: steps.Turn, stay: Stay) -> None:
    """Who is transferred has somewhere to go (domain b-3: the name is mandatory): the hospital owes it until it is said."""
    if schedule.discharged(stay) and stay.disposition in schedule.TRANSFERRED and not stay.receiving:
        if moving.loop.parent.open or any(task.open for task in moving.loop.follow_ups):
            by = clocks.begin(moving.practice.information, moving.now, moving.practice).due
            duties.owe(moving, "name-receiving", stay.hospital, by, about=stay.id)
    else:
        duties.settle(moving, "name-receiving", stay.id)


async def _with_former(session: Session, before: Stay | None, stay: Stay) -> tuple[Stay, Stay | None]:
    """The stay with the one after which it is a readmission, if it is; what was found once holds while it began then."""
    if not movement.began_anew(before, stay):
        assert before is not None
        return msgspec.structs.replace(stay, readmission_of=before.readmission_of), None
    former = None
    if movement.may_be_readmission(stay):
        former = await stays.former_stay(session, stay, session.practice.readmission_days)
    kept = former.id if former else before.readmission_of if before and stay.status in movement.ABROAD else None
    return msgspec.structs.replace(stay, readmission_of=kept), former


async def _follow_readmission(
    session: Session, actor: Actor, before: Stay | None, stay: Stay, former: Stay | None, now: datetime
) -> None:
    """The referrals of the stay before hear that the person is back, how long after the discharge and after the last contact;
    their follow-ups end. An admission that was none gives them back."""
    was = before.readmission_of if before else None
    undone = stay.status in movement.ABROAD or stay.readmission_of != was
    if was and undone and before and before.status not in movement.ABROAD and not await stays.readmitted(session, was):
        left = await stays.get_stay(session, was)
        assert left is not None
        for referral in await referrals.from_stay(session, was):
            async with steps.on_referral(session, actor, referral, now) as moving:
                started = moving.loop
                person_steps.tell_parties(moving, "undo-readmit", stay=str(stay.id), former=str(was))
                if schedule.discharged(left) and (settling.is_open(started) or started.parent.status == "completed"):
                    rules = await contact_flow.rules_on(session, started.referral)
                    moving.loop = schedule.placed(started, left, None, now, moving.practice, rules)
                    person_steps.tell_follow_ups(moving, started)
    if former is None or former.id == was:
        return
    assert stay.started_at is not None and former.ended_at is not None
    for referral in await referrals.from_stay(session, former.id):
        async with steps.on_referral(session, actor, referral, now) as moving:
            started = moving.loop
            contact = await store.last_contact(session, referral)
            since = max((stay.started_at - contact).days, 0) if contact else None
            person_steps.tell_parties(
                moving, "readmit", schedule.READMITTED, stay=str(stay.id), former=str(former.id),
                days=(stay.started_at - former.ended_at).days, since_contact=since,
            )  # fmt: skip
            moving.loop = schedule.readmitted(started, now)
            person_steps.tell_follow_ups(moving, started)
            person_steps.tell_close(moving)


async def catch_up(session: Session, actor: Actor, referral: Id, now: datetime) -> None:
    """A referral that was placed for a stay which had ended before: its follow-ups, at once."""
    found = await referrals.referral(session, referral)
    stay = await stays.get_stay(session, found.stay) if found and found.stay else None
    if stay is not None and schedule.discharged(stay):
        person = await person_steps.facts(session, stay.patient)
        async with steps.on_referral(session, actor, referral, now) as moving:
            if person.died and not moving.loop.referral.after_death:
                late = msgspec.structs.replace(moving.loop.referral, after_death=True)
                moving.loop = msgspec.structs.replace(moving.loop, referral=late)
            await _follow(moving, None, stay, await _lace(session, stay), over=False)
            await person_steps.follow(moving, person)


async def _lace(session: Session, stay: Stay) -> int | None:
    """The LACE score that was reckoned from the answers of this stay; None where nobody gave all of them."""
    since = stay.started_at or (stay.ended_at or stay.updated_at) - LONGEST_STAY
    found = await safety.latest(session, stay.patient, "lace", since)
    return found.score if found else None


async def risk_known(session: Session, actor: Actor, patient: Id, now: datetime) -> None:
    """The risk of readmission became known after the discharge: a visit that follows from it is one now."""
    for referral in await referrals.followed(session, patient):
        found = await referrals.referral(session, referral)
        stay = await stays.get_stay(session, found.stay) if found and found.stay else None
        if stay is not None and schedule.discharged(stay):
            lace = await _lace(session, stay)
            async with steps.on_referral(session, actor, referral, now) as moving:
                await _follow(moving, stay, stay, lace, over=await stays.readmitted(session, stay.id))


def _end_of(stay: Stay) -> tuple[bool, datetime | None, str | None]:
    return schedule.discharged(stay), stay.ended_at, stay.disposition


def _died(stay: Stay) -> bool:
    return schedule.discharged(stay) and stay.disposition == schedule.DIED


async def _follow(moving: steps.Turn, before: Stay | None, stay: Stay, lace: int | None, *, over: bool) -> None:
    """Let one referral follow the stay, and tell what changed; `over`: the person was admitted again since, so that nobody
    calls after this stay any more."""
    loop, now = moving.loop, moving.now
    ended = schedule.discharged(stay)
    own = loop.referral.stay in (None, stay.id, stay.readmission_of)
    if own and settling.is_open(loop):
        for kind in movement.news(before, stay):
            if before and kind == "move-ward":
                person_steps.tell_parties(moving, kind, stay=str(stay.id), changed=movement.moved(before, stay))
            else:
                person_steps.tell_parties(moving, kind, stay=str(stay.id))
    if not ended and not own:
        return
    if not ended:
        if loop.referral.stay == stay.id or (before and schedule.discharged(before)):
            moving.loop = schedule.called_off(loop, CALLED_OFF, now, begun=False)
    elif not _died(stay) and not over:
        rules = await contact_flow.rules_on(moving.session, loop.referral)
        moving.loop = schedule.placed(loop, stay, lace, now, moving.practice, rules)
    if ended and (before is None or _end_of(before) != _end_of(stay)) and (loop.parent.open or loop.parent.status == "completed"):  # fmt: skip
        moving.tell("discharge", schedule.owner(loop) or loop.parent, disposition=stay.disposition)
    person_steps.tell_follow_ups(moving, loop)


async def attempt(
    session: Session, actor: Actor, new: NewAttempt, body: Callable[[str | None], bytes] | bytes, now: datetime
) -> Loop:
    """The follow-up's owner tried to reach the person, before the window or within it; where nobody was reached, the
    next safe attempt is proposed. An attempt that was not safe is written down all the same, because it was made, and a
    supervisor is to look at it.

    `body` is the record as received, or what makes it, told the rule that was broken (urn:yuanshe:contact-rule) or None; only
    its owner reads it."""
    async with steps.turn(session, actor, new.task, now) as moving:
        task = ours.own(moving, new.task)
        ours.still_open(task)
        if not codes.known(codes.CHANNEL, new.channel):
            raise Invalid(f"The channel needs a code of {codes.CHANNEL}.", at="medium", code="code-invalid")
        if new.at > now + LATE_CLOCK:
            raise Invalid("An attempt is recorded after it was made.", at="sent")
        if new.at < now - LONGEST_AGO:
            raise Invalid("An attempt is recorded within a year.", at="sent", code="value")
        if not new.reached and not (new.reason and (new.reason.code or new.reason.text)):
            raise Invalid("Say why nobody was reached.", at="statusReason", code="required")
        if task.patient is None:
            raise Invalid(
                "The person's identity is not disclosed to this agency any more.", at="basedOn", key="not-disclosed"
            )
        if new.worker and not await directory.works_for(session, new.worker, actor.organization):
            raise Invalid("Who tried is not a worker of this agency.", at="sender", key="foreign-worker")
        if new.result is not None and not codes.known(codes.CONTACT_RESULT, new.result):
            raise Invalid(f"A result is a code of {codes.CONTACT_RESULT}.", at="statusReason", code="code-invalid")
        if new.reached != (new.result == "reached") and new.result is not None:
            raise Invalid(
                "Who was reached was reached: the result and the status differ.", at="statusReason", code="value"
            )
        rules = await contact_flow.rules_on(session, moving.loop.referral)
        broke = forbids(rules, new.channel, new.at, leaves_message=new.result == "left-message")
        made = Attempt(
            id=new.id, task=task.id, referral=task.referral, patient=task.patient, owner=actor.organization, channel=new.channel,
            at=new.at, reached=new.reached, recorded_at=now, reason=new.reason, worker=new.worker or actor.worker or task.worker,
            result=new.result or ("reached" if new.reached else "other"), broke=broke,
        )  # fmt: skip
        if not await store.add(session, made):
            raise Conflict("This attempt was recorded before.", key="duplicate", code="duplicate")
        await records.keep(
            session,
            [Record(new.id, 1, "Communication", "message", actor.organization, body if isinstance(body, bytes) else body(broke), now, hospital=task.hospital, agency=task.agency,
                    patient=task.patient, referral=task.referral, task=task.id, status="completed" if new.reached else "not-done",
                    code="contact")],
        )  # fmt: skip
        tried = schedule.attempted(
            task, new.channel, new.reached, moving.loop.referral, new.at, session.practice, rules, made.result
        )
        moving.loop = moving.loop.with_follow_up(msgspec.structs.replace(tried, updated_at=now))
        # How and with what success an agency tried is its own; the hospital reads the outcome.
        moving.tell("attempt", tried)
        if broke:
            await _to_supervisor(moving, made.owner, made.id, made.worker)
    return moving.loop


async def _to_supervisor(moving: steps.Turn, owner: Id, about: Id, doer: Id | None) -> None:
    """A supervisor of whoever tried looks at an attempt that was not safe, or at a loss before everything was tried: sealed, for
    what the rule is for is nobody's news."""
    day = local_day(moving.now)
    # Nobody looks at what they did themselves.
    able = [each for each in await directory.supervisors(moving.session, owner, day) if each != doer]
    supervisor = await directory.named_worker(moving.session, owner, able[0], day) if able else None
    by = clocks.begin(moving.practice.review_contact, moving.now, moving.practice).due
    duties.owe(
        moving,
        "review-contact",
        owner,
        by,
        worker=supervisor,
        about=about,
        sealed=True,
    )


async def outcome(
    session: Session,
    actor: Actor,
    task_id: Id,
    code: str,
    now: datetime,
    element: dict[str, Any] | None = None,
    status: str | None = None,
    *,
    reason: Reason | None = None,
    supervisor: Id | None = None,
    need: NewNeed | None = None,
    also: tuple[Output, ...] = (),
) -> Loop:
    """What came of a follow-up, as a code of urn:yuanshe:follow-up-outcome. `lost` and `declined` fail it, `deceased`
    cancels it, `unreachable` leaves it open, every other outcome completes it; `declined`, `lost` and `deceased` are
    final and cancel the rest; `crisis` raises a crisis on the referral.

    `lost` before every safe rung of the ladder was tried is looked at by a supervisor, or refused where the practice says so,
    but for the word of a `supervisor` with a `reason`. With
    `new-need` a `need` becomes a referral in the same step: the hospital's own at once, an agency's as soon as the hospital,
    whose duty it is then, confirms it.

    `element` is the output as received, `also` further ones; `status` what the caller asks for, which must agree with the
    outcome. The same outcome again changes nothing.
    """
    refers = need if need and actor.side == "hospital" else None
    async with steps.turn(session, actor, task_id, now) as moving:
        task = ours.own(moving, task_id)
        if not codes.known(codes.FOLLOW_UP_OUTCOME, code):
            raise Invalid(f"An outcome is a code of {codes.FOLLOW_UP_OUTCOME}.", at="output", code="code-invalid")
        target = status_after(code)
        if status is not None and status != target:
            raise Invalid(f"The outcome “{code}” makes the Task {target}.", at="status", key="illegal-move")
        told = task.follow_up
        assert told is not None
        if told.outcome == code and task.status == target:
            return moving.loop
        ours.still_open(task)
        proven = code != "lost" or await _proven(moving, reason, supervisor)
        output = Output("outcome", element or {})
        kept = tuple(old for old in task.outputs if old.type != "outcome")
        task = msgspec.structs.replace(
            task, outputs=(*kept, output, *also), updated_at=now, follow_up=msgspec.structs.replace(told, outcome=code)
        )
        if target != "accepted":
            label = codes.label(codes.FOLLOW_UP_OUTCOME, code, "en")
            words = reason.text if reason and code == "lost" else None
            task = schedule.ended(task, target, None if target == "completed" else Reason(code, words or label), now)
        before = moving.loop.with_follow_up(task)
        moving.loop = before
        moving.tell("outcome", task, outcome=code)
        if code in FINAL:
            moving.loop = schedule.called_off(before, _why(code), now, begun=True, but=task.id)
            person_steps.tell_follow_ups(moving, before)
        if code == "crisis":
            _raise_crisis(moving, task)
        if not proven:
            await _to_supervisor(moving, actor.organization, task.id, actor.worker)
        if need and not refers:
            _propose(moving, task, need)
        person_steps.tell_close(moving)
    if refers:
        await _refer(session, actor, moving.loop, task, refers, now)
    return moving.loop


async def _proven(moving: steps.Turn, reason: Reason | None, supervisor: Id | None) -> bool:
    """Nobody is lost on one unanswered call: every rung of the ladder was tried since the person was last reached, or a
    supervisor says why not; raises Invalid otherwise where the practice wants that. Where a supervisor decides each step of
    contact there is no ladder to walk, and only the supervisor's word (domain b-3)."""
    session, referral = moving.session, moving.loop.referral
    rules = await contact_flow.rules_on(session, referral)
    missing = reaching.missing(await store.of_referral(session, referral.id), rules, moving.practice)
    if not missing and not rules.guarded:
        return True
    actor = moving.actor
    able = {supervisor} if actor.side == "hospital" else set(await directory.supervisors(session, actor.organization, local_day(moving.now)))  # fmt: skip
    if reason and reason.text and (supervisor in able or (supervisor is None and actor.role == "supervisor")):
        return True
    if not rules.guarded and not moving.practice.lost_needs_ladder:
        return False
    if rules.guarded:
        text = "Of a person with whom a supervisor decides each step, a supervisor says, with a reason, that they are lost."
    else:
        words = ", ".join(codes.label(codes.CHANNEL, rung, "en").lower() for rung in missing)
        text = (
            f"Not everything was tried: {words}. Try, or let a supervisor say, with a reason, why the person is lost."
        )
    raise Invalid(text, at="output", key="ladder-not-walked")


def _propose(moving: steps.Turn, task: Task, need: NewNeed) -> None:
    """An agency found a new need: the hospital, who places referrals, confirms it and thereby refers it."""
    by = clocks.begin(moving.practice.information, moving.now, moving.practice).due
    duty = duties.owe(moving, "refer-new-need", task.hospital, by, about=task.id)
    notes = ({"text": need.text},) if need.text else ()
    moving.loop = moving.loop.with_duty(
        msgspec.structs.replace(duty, needs=need.needs, urgency=need.urgency, notes=notes)
    )


async def refer_new_need(session: Session, actor: Actor, duty: Id, need: NewNeed, now: datetime) -> Loop:
    """The hospital confirms the need that an agency's follow-up found: its duty is done, and the referral placed, as one."""
    output = Output("referral", _reference(need), f"ServiceRequest/{need.referral}")
    loop = await duties.complete(session, actor, duty, (output,), None, now)
    about = next(each.about for each in loop.duties if each.id == duty)
    found = next(task for task in loop.follow_ups if task.id == about)
    await _refer(session, actor, loop, found, need, now)
    return loop


def _reference(need: NewNeed) -> dict[str, Any]:
    return {
        "type": {"coding": [{"system": codes.TASK_CODE, "code": "referral"}]},
        "valueReference": {"reference": f"ServiceRequest/{need.referral}"},
    }


async def _refer(session: Session, actor: Actor, loop: Loop, task: Task, need: NewNeed, now: datetime) -> None:
    """The new referral of a need that a follow-up found: of the same person, tried first with the agency that knows them."""
    old = loop.referral
    places = (f"ServiceRequest/{need.referral}/_history/1",)
    digest = hashlib.sha256(need.body).digest()
    if await referring.claim(session, actor, FOLLOW_UP_SYSTEM, str(task.id), digest, need.referral, places):
        return
    await referring.submit(
        session, actor,
        NewReferral(
            id=need.referral, task=need.task, placer_system=FOLLOW_UP_SYSTEM, placer_value=str(task.id), patient=old.patient,
            needs=need.needs, urgency=need.urgency, body=need.body, authored_at=now, region=old.region, language=old.language,
            preferred=task.agency, contact_prohibited=old.contact_prohibited,
        ),
        now,
    )  # fmt: skip


def _why(code: str) -> Reason:
    return Reason(code, f"Follow-up ended: {codes.label(codes.FOLLOW_UP_OUTCOME, code, 'en').lower()}.")


def _raise_crisis(moving: steps.Turn, task: Task) -> None:
    if moving.loop.referral.crisis is None:
        owner: CrisisOwner = "hospital" if moving.loop.parent.open else "coordinator"
        moving.loop = crisis.raised(moving.loop, moving.now, moving.practice, owner)
        moving.tell("raise", task, Reason("raised", "A follow-up ended in a crisis."), sealed=True)


async def assign(session: Session, actor: Actor, task_id: Id, worker: Id, now: datetime) -> Loop:
    """The owning agency names the licensed worker who follows up."""
    async with steps.turn(session, actor, task_id, now) as moving:
        task = ours.own(moving, task_id)
        ours.still_open(task)
        if task.worker == worker:
            return moving.loop
        if task.agency is None or not await directory.named_worker(session, task.agency, worker, local_day(now)):
            raise Invalid("The owner must be a licensed worker of this agency today.", at="owner", key="unlicensed")
        named = msgspec.structs.replace(task, worker=worker, updated_at=now)
        moving.loop = moving.loop.with_follow_up(named)
        moving.tell("assign", named)
    return moving.loop


async def attempts(session: Session, task: Id) -> list[Attempt]:
    """The attempts of a follow-up that the reader's organisation made."""
    found = await store.of_task(session, task)
    session.patients.update(each.patient for each in found)
    return found
