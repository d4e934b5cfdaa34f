"""A case in other hands: another worker of the agency, a second one beside them, another agency, or the same case opened again."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from service import codes
from service.access.model import Actor
from service.casework import flow, transfer_store
from service.casework import handing_over_store as store
from service.casework import steps as files
from service.casework.handing_over import CoWork
from service.casework.transfer_store import Transfer
from service.db import Session, as_platform, savepoint
from service.directory import steps as directory
from service.errors import Conflict, Forbidden, Invalid, NotFound, Refusal, Stale
from service.referrals import onward, steps
from service.referrals import store as referrals
from service.referrals.lifecycle import LIVE
from service.referrals.model import Continued, Loop, Task
from service.values import Id, Reason, new_id


class Team(msgspec.Struct, frozen=True):
    """Who has a share and had it: its owner, who is and was second, how it changed hands, what goes on from it, and the
    agency's own share that it goes on from."""

    share: Task
    seconds: tuple[CoWork, ...]
    transfers: tuple[Transfer, ...]
    onward: tuple[Continued, ...]
    before: Id | None = None


async def transfer(
    session: Session, actor: Actor, task: Id, worker: Id, reason: str, note: str, now: datetime, expected: int | None = None
) -> Loop:  # fmt: skip
    """Another worker of the agency takes the case, with what the agency follows up and owes on it. Why, and the note for who goes
    on, are the agency's own; everything that was written stays readable to the agency, whoever wrote it.

    The same worker again changes nothing. Raises Stale when `expected` is not the share's version, Invalid `unlicensed`, `away`,
    `conflict-of-interest`.
    """
    async with steps.turn(session, actor, task, now) as moving:
        share = _live(moving, task)
        if expected is not None and expected != share.version:
            raise Stale(f"The Task is at version {share.version} now; read it again.")
        if share.worker == worker:
            return moving.loop
        if not reason.strip() or not note.strip():
            raise Invalid("A transfer needs a reason and a note for who goes on.", at="note", code="required")
        if worker in moving.loop.conflicted:
            raise Invalid("This worker has declared a conflict of interest.", at="to", key="conflict-of-interest")
        before = share.worker
        await flow.named(moving, worker, tells="transfer")
        for other in (*moving.loop.follow_ups, *moving.loop.duties):
            if other.open and other.agency == actor.organization and other.worker == before and before is not None:
                moved = msgspec.structs.replace(other, worker=worker, updated_at=now)
                moving.loop = (
                    moving.loop.with_follow_up(moved) if other.kind == "follow-up" else moving.loop.with_duty(moved)
                )
                moving.tell("assign", moved, sealed=other.kind == "duty")
        await transfer_store.keep(
            session,
            Transfer(new_id(), task, share.referral, actor.organization, reason, actor.id, now, before, worker, None, note),
        )  # fmt: skip
    return moving.loop


class Given(msgspec.Struct, frozen=True):
    """What came of one of several cases: `refusal` says why it stayed where it was."""

    task: Id
    refusal: Refusal | None = None


async def transfer_each(
    session: Session, actor: Actor, tasks: Sequence[Id], worker: Id, reason: str, note: str, now: datetime
) -> list[Given]:
    """Several cases to one worker, each by itself: one that is refused keeps no other from being given."""
    given: list[Given] = []
    for task in sorted(set(tasks)):
        try:
            async with savepoint(session):
                await transfer(session, actor, task, worker, reason, note, now)
            given.append(Given(task))
        except Refusal as refusal:
            given.append(Given(task, refusal))
    return given


async def pass_on(
    session: Session, actor: Actor, task: Id, needs: tuple[str, ...], agency: Id | None, reason: str, note: str | None, now: datetime
) -> Loop:  # fmt: skip
    """A need goes to another agency: a new referral that goes on from this one, offered as every other, without the person; the
    case itself goes on until it is closed. The new loop.

    `needs` none: the share's own; `agency` none: routing finds one. Raises Conflict `not-eligible`.
    """
    async with steps.turn(session, actor, task, now) as moving:
        share = _live(moving, task)
        if not reason.strip():
            raise Invalid("Say why the need is passed on.", at="reason", code="required")
        unknown = [need for need in needs if not codes.known(codes.NEED, need)]
        if unknown:
            raise Invalid(f"A need is a code of {codes.NEED}.", at="need", code="code-invalid")
        if agency == actor.organization:
            raise Invalid("Within the agency a case is given to another worker.", at="to", code="value")
        if share.patient is None:
            raise Invalid("A need is passed on by who knows the person: there is no consent yet.", at="id", key="not-disclosed")  # fmt: skip
        ground = moving.loop.permitted.get(actor.organization)
        if ground is None or ground.kind == "break-glass":
            raise Forbidden("Who broke the glass passes nobody on: consent or a lawful basis does.", key="break-glass")
        made = await onward.placed(moving, needs or share.needs, to=agency, passed_on_by=actor.organization)
        moving.tell("pass-on", share, onward=str(made.referral.id), needs=list(made.referral.needs))
        await transfer_store.keep(
            session,
            Transfer(new_id(), task, share.referral, actor.organization, reason, actor.id, now, share.worker, None, made.referral.id, note),
        )  # fmt: skip
    return made


async def reopen(
    session: Session, actor: Actor, task: Id, reason: Reason | None, worker: Id | None, now: datetime
) -> Loop:
    """A case that was closed is needed again: a new referral that goes on from the closed one (no state leads back), for the
    agency that had it. Asked by the agency, it accepts in the same act, and waits for consent where none that holds names
    it; asked by the hospital, the agency is offered it. The new loop.

    Raises Invalid `still-open`, `deceased`; Conflict `reopened` for one that is open again already, `not-eligible`.
    """
    steps.only(actor, "agency", "hospital")
    async with steps.turn(session, actor, task, now) as moving:
        share = files.share_of(moving, task)
        steps.own_agency(moving)
        steps.own_hospital(moving)
        if share.accepted_at is None or share.agency is None or share.status == "entered-in-error":
            raise Invalid("No case was opened on this share.", at="id", key="no-case")
        if share.open or moving.loop.parent.open:
            raise Invalid("This referral is still open: there is nothing to open again.", at="id", key="still-open")
        if reason is None or not reason.text:
            raise Invalid("A reason with text is required.", at="reason", code="required")
        if moving.loop.referral.deceased or (share.reason and share.reason.code == "deceased"):
            raise Invalid("The case closed because the person died.", at="id", key="deceased")
        again = [each.id for each in await referrals.continued(session, share.referral) if each.open]
        if again:
            raise Conflict("This case is open again already.", key="reopened", names={"ServiceRequest": str(again[0])})
        made = await onward.placed(moving, share.needs, to=share.agency)
        moving.tell("reopen", share, reason, onward=str(made.referral.id))
    offered = next((s for s in made.shares if s.agency == share.agency and s.status == "requested"), None)
    if actor.side == "agency" and offered is not None:
        return await flow.accept(session, actor, offered.id, worker, now)
    return made


async def co_work(
    session: Session, actor: Actor, task: Id, worker: Id, role: str, starts: datetime, ends: datetime | None, now: datetime
) -> CoWork:  # fmt: skip
    """A second worker on a share, from a time to a time: both have it in their lists. They need no licence, the owner does.
    Raises Invalid for one who is its owner, or away, or has a conflict of interest; Conflict for one who is second already."""
    async with steps.turn(session, actor, task, now) as moving:
        share = _live(moving, task)
        if not codes.known(codes.CO_WORK_ROLE, role):
            raise Invalid(f"The role needs a code of {codes.CO_WORK_ROLE}.", at="role", code="code-invalid")
        if ends is not None and ends <= max(starts, now):
            raise Invalid("Co-work ends after it begins, and not in the past.", at="period.end", code="value")
        if worker == share.worker:
            raise Invalid("The owner of a case is not its second worker.", at="worker", key="owner")
        if not await directory.present_worker(session, actor.organization, worker):
            raise Invalid("This is no worker of this agency who is there now.", at="worker", key="not-there")
        if worker in moving.loop.conflicted:
            raise Invalid("This worker has declared a conflict of interest.", at="worker", key="conflict-of-interest")
        if await store.engaged(session, worker, [task], now):
            raise Conflict("This worker is second on this case already.", at="worker", key="duplicate")
        made = CoWork(new_id(), task, share.referral, actor.organization, worker, role, max(starts, now), now, ends)
        await store.add_co_work(session, [made])
        moving.tell("co-work", share, worker=str(worker), role=role)
    return made


async def end_co_work(session: Session, actor: Actor, task: Id, worker: Id, now: datetime) -> None:
    """The second worker is not on the case any more. Raises NotFound for one who is not."""
    async with steps.turn(session, actor, task, now) as moving:
        share = files.own_share(moving, task)
        if not await store.engaged(session, worker, [task], now):
            raise NotFound("This worker is not second on this case.", at="worker")
        await store.end_own_co_work(session, worker, [task], now)
        moving.tell("co-work-end", share, worker=str(worker))


async def team(session: Session, actor: Actor, task: Id) -> Team:
    """Who has a share of one's agency, and had it."""
    steps.only(actor, "agency")
    share = await referrals.task(session, task)
    if share is None or share.kind != "share" or share.agency != actor.organization:
        raise NotFound(steps.CANNOT_TELL)
    session.referrals.add(share.referral)
    async with as_platform(session, "look for who goes on"):
        going = await referrals.continued(session, share.referral)
        this = await referrals.referral(session, share.referral)
        before = await referrals.own_share(session, this.continues, actor.organization) if this and this.continues else None  # fmt: skip
    seconds = await store.co_work_of(session, task)
    transfers = await transfer_store.of_task(session, task)
    return Team(share, tuple(seconds), tuple(transfers), tuple(going), before.id if before else None)


def _live(moving: steps.Turn, task: Id) -> Task:
    share = files.own_share(moving, task)
    if share.status not in LIVE:
        raise Invalid("Only a case that goes on changes hands.", at="id", key="illegal-move")
    return share
