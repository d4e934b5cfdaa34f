"""Two records of one person become one, and two again: who absorbs whom, what follows, and the undo of exactly that."""

from datetime import datetime

import msgspec

from service.access.model import Actor
from service.db import Session, as_platform
from service.errors import Conflict, Invalid, NotFound
from service.followup import merging, person_steps
from service.patients import identity, merging_store
from service.patients import store as patients
from service.patients.model import Merge, Patient
from service.records import store as records
from service.records.model import Record
from service.referrals import clocks, duties, steps
from service.referrals import store as referrals
from service.referrals.model import Loop
from service.safety import contact, contact_store
from service.values import Id, Reason, new_id

UNDONE = Reason(None, "The merge was undone.")


async def merge(
    session: Session, actor: Actor, survivor: Id, absorbed: Id, now: datetime, *, body: bytes | None = None
) -> Merge:
    """Let `absorbed` be taken in by `survivor`, two records of the actor's hospital: its numbers, stays, consents, records and
    referrals, open and ended, become the survivor's. `body` is what the hospital sent of the absorbed record, if it did.

    Of both the stricter word on contact holds from now on, and no consent given on one opens what was the other's. Two open
    referrals for the same need are never merged: the hospital owes a look at them. The same again changes nothing. Raises
    Conflict where the two are not one person by their citizen numbers, or where one was absorbed before.
    """
    steps.only(actor, "hospital")
    kept, gone = await _pair(session, actor, survivor, absorbed)
    if gone.merged_into is not None:
        known = await merging_store.standing(session, absorbed)
        if known is not None and gone.merged_into == survivor:
            return known
        raise _merged(gone, "link")
    if kept.merged_into is not None:
        raise _merged(kept, "link.other")
    if identity.contradicting(kept.identifiers, gone.identifiers):
        raise Conflict(
            "The two have different citizen numbers, so they are not one person; correct one of them first.",
            at="identifier", key="identity-conflict",
        )  # fmt: skip
    made = Merge(
        new_id(), actor.organization, survivor, absorbed, now, survivor_deceased=kept.deceased,
        survivor_reason=kept.no_identifier_reason, absorbed_received=gone.received,
    )  # fmt: skip
    async with as_platform(session, "merge two records of a person"):
        theirs = await referrals.of_patients(session, [survivor, absorbed])
        await referrals.lock_many(session, [referral for referral, _ in theirs])
        await merging_store.confine(session, [survivor, absorbed])
        await merging_store.add(session, made, actor.id)
        await merging_store.move(session, absorbed, survivor, made.id, actor.organization)
        if body is not None:
            await records.keep(session, [_received(gone, body, now)])
        await merging_store.absorb(session, absorbed, survivor, now, gone.version + 1 if body is not None else None)
        await _stricter(session, actor, survivor, absorbed, now)
        person = await person_steps.facts(session, survivor)
        prohibited = await referrals.prohibited(session, [referral for referral, _ in theirs])
        moved: list[Loop] = []
        own: list[Loop] = []
        for referral, patient in theirs:
            async with steps.on_referral(session, actor, referral, now) as moving:
                assert moving.before is not None
                # Begun anew: what the turn saw permitted before is what the absorbed record's consents alone permitted.
                loop = merging.renamed(moving.before, absorbed, survivor)
                loop = steps.disclosed(await steps.with_grounds(session, loop, now), now, session.practice)
                moving.loop = merging.prohibited(loop) if prohibited and loop.parent.open else loop
                if patient == absorbed or loop.parent.open:
                    person_steps.tell_parties(moving, "merge", merge=str(made.id))
                    await person_steps.follow(moving, person)
                    await person_steps.propose(moving)
            (moved if patient == absorbed else own).append(moving.loop)
        await _review(session, actor, moved, own, now)
    session.patients.update((survivor, absorbed))
    return made


async def undo(session: Session, actor: Actor, merge: Id, reason: Reason, now: datetime) -> Merge:
    """Take a merge back: what it moved and is the survivor's still is the other record's again, each referral in a new
    version. What was added since stays with the survivor, and the answer lists it; what became stricter stays so.

    Raises NotFound, Invalid without a reason, Conflict while the survivor itself is absorbed. Again changes nothing.
    """
    steps.only(actor, "hospital")
    made = await merging_store.get(session, merge)
    if made is None or made.hospital != actor.organization:
        raise NotFound("There is no such merge of this hospital.")
    if not reason.text:
        raise Invalid("Say why the merge is undone.", at="reason", code="required")
    kept, gone = await _pair(session, actor, made.survivor, made.absorbed)
    made = await merging_store.get(session, merge)
    assert made is not None
    if made.undone_at is not None:
        return made
    if kept.merged_into is not None:
        raise _merged(kept, "link.other")
    async with as_platform(session, "undo a merge"):
        moved = set(await merging_store.referrals(session, made.id))
        theirs = await referrals.of_patients(session, [made.survivor])
        await referrals.lock_many(session, [referral for referral, _ in theirs])
        await merging_store.move_back(session, made.absorbed, made.survivor, made.id)
        await merging_store.keep_suspects(session, made.absorbed, made.survivor)
        await merging_store.set_undone(session, made.id, now, actor.id, reason.text)
        # Whether the survivor is said to have died since is not the merge's to take back.
        died = kept.deceased and (made.survivor_deceased or not gone.deceased)
        await merging_store.release(session, made, now, died)
        await _stricter(session, actor, made.absorbed, made.survivor, now)
        persons = {id: await person_steps.facts(session, id) for id in (made.survivor, made.absorbed)}
        for referral, _ in theirs:
            async with steps.on_referral(session, actor, referral, now) as moving:
                assert moving.before is not None
                back = referral in moved
                loop = merging.renamed(moving.before, made.survivor, made.absorbed) if back else moving.before
                moving.loop = steps.disclosed(
                    await steps.with_grounds(session, loop, now), now, session.practice
                )  # fmt: skip
                if back or loop.parent.open:
                    person_steps.tell_parties(moving, "undo-merge", reason, merge=str(made.id))
                    for duty in loop.duties:
                        if duty.open and duty.item == "merge-review":
                            duties.settle(moving, "merge-review", duty.about, called_off=UNDONE)
                    await person_steps.follow(moving, persons[made.absorbed if back else made.survivor])
        added = await merging_store.added(session, made.survivor, made.id)
    session.patients.update((made.survivor, made.absorbed))
    return msgspec.structs.replace(made, undone_at=now, added=tuple(added))


async def undo_of(session: Session, actor: Actor, absorbed: Id, reason: Reason, now: datetime) -> Merge:
    """Take back the merge by which this record was absorbed. Raises NotFound where it was not."""
    made = await merging_store.standing(session, absorbed)
    if made is None:
        raise NotFound("This record was not merged into another one.")
    return await undo(session, actor, made.id, reason, now)


async def _pair(session: Session, actor: Actor, survivor: Id, absorbed: Id) -> tuple[Patient, Patient]:
    """Both records, locked, as they are now. Raises Invalid, NotFound."""
    if survivor == absorbed:
        raise Invalid("A record is not merged into itself.", at="link.other")
    await merging_store.lock(session, [survivor, absorbed])
    found = {each.id: each for each in await patients.get_many(session, [survivor, absorbed])}
    for id, at in ((survivor, "link.other"), (absorbed, "id")):
        if id not in found or found[id].hospital != actor.organization:
            raise NotFound("There is no such patient of this hospital.", at=at)
    return found[survivor], found[absorbed]


def _merged(patient: Patient, at: str) -> Conflict:
    into = str(patient.merged_into)
    return Conflict(
        f"This record was merged into another one, which answers for it: Patient/{into}.",
        at=at, key="merged", names={"Patient": into},
    )  # fmt: skip


def _received(patient: Patient, body: bytes, now: datetime) -> Record:
    return Record(
        patient.id, patient.version + 1, "Patient", "identity", patient.hospital, body, now,
        hospital=patient.hospital, patient=patient.id,
    )  # fmt: skip


async def _stricter(session: Session, actor: Actor, one: Id, other: Id, now: datetime) -> None:
    """The rules of safe contact of `one` become the stricter of both."""
    stated = await contact_store.current(session, [one, other])
    if other not in stated:
        return
    before = stated[one].rules if one in stated else contact.ANY
    rules = contact.stricter(before, stated[other].rules)
    if one not in stated or rules != before:
        await contact_store.state(session, one, actor.organization, rules, None, actor, now)


async def _review(session: Session, actor: Actor, moved: list[Loop], own: list[Loop], now: datetime) -> None:
    """Two open referrals for the same need: the hospital looks at them, and a person decides which one stays."""
    by = clocks.begin(session.practice.merge_review, now, session.practice).due
    for earlier, later in merging.twins(moved, own):
        async with steps.on_referral(session, actor, later.referral.id, now) as moving:
            duties.owe(moving, "merge-review", actor.organization, by, about=earlier.referral.id)
