"""What a merge of two records of one person makes of a referral, and which referrals then ask for the same; pure."""

import msgspec

from service.followup import schedule
from service.referrals.model import Loop, Task
from service.values import Id


def renamed(loop: Loop, old: Id, new: Id) -> Loop:
    """The loop about the record `new` wherever it was about `old`: the request, the parent, and every Task in which the person
    stood. Where identity is withheld nobody stands, and nothing changes."""

    def of(task: Task) -> Task:
        return msgspec.structs.replace(task, patient=new) if task.patient == old else task

    if loop.referral.patient != old:
        return loop
    return msgspec.structs.replace(
        loop, referral=msgspec.structs.replace(loop.referral, patient=new), parent=of(loop.parent),
        shares=tuple(of(task) for task in loop.shares), follow_ups=tuple(of(task) for task in loop.follow_ups),
        duties=tuple(of(task) for task in loop.duties),
    )  # fmt: skip


def prohibited(loop: Loop) -> Loop:
    """The loop with the stricter word of the other record: the person must not be contacted, and nothing is proposed."""
    loop = msgspec.structs.replace(loop, referral=msgspec.structs.replace(loop.referral, contact_prohibited=True))
    for task in loop.shares:
        if task.open:
            loop = loop.with_share(msgspec.structs.replace(task, contact_prohibited=True))
    for task in loop.follow_ups:
        if task.open:
            loop = loop.with_follow_up(
                schedule.unproposed(msgspec.structs.replace(task, contact_prohibited=True))
            )  # fmt: skip
    return loop


def twins(one: list[Loop], other: list[Loop]) -> list[tuple[Loop, Loop]]:
    """Open referrals, one of each record, that ask for one of the same needs: the later one last."""
    return [
        (min(mine, theirs, key=_age), max(mine, theirs, key=_age))
        for mine in one
        for theirs in other
        if mine.parent.open and theirs.parent.open and set(mine.referral.needs) & set(theirs.referral.needs)
    ]


def _age(loop: Loop) -> Id:
    return loop.referral.id
