"""Steps that verbs of follow-ups share; and what a share's end makes of its agency's follow-ups, called by upper rooms."""

import msgspec

from service.errors import Forbidden, Invalid
from service.referrals.model import Task
from service.referrals.steps import Turn
from service.values import Id


def hand_over(moving: Turn, agency: Id) -> None:
    """The agency gives its share up unfinished: the hospital follows up itself from here on."""
    for task in moving.loop.follow_ups:
        if task.open and task.agency == agency:
            moving.tell("hand-over", task)
            own = msgspec.structs.replace(
                task, agency=None, worker=None, patient=moving.loop.referral.patient, updated_at=moving.now
            )
            moving.loop = moving.loop.with_follow_up(own)


def own(moving: Turn, id: Id) -> Task:
    """The follow-up of this turn, which only its owner moves: its agency, or the hospital where no agency has it."""
    task = next((task for task in moving.loop.follow_ups if task.id == id), None)
    if task is None:
        raise Invalid("This Task is no follow-up.", at="basedOn", key="no-follow-up")
    if moving.actor.organization != (task.agency or task.hospital):
        raise Forbidden("Only the owner of a follow-up works on it.", key="wrong-actor")
    return task


def still_open(task: Task) -> None:
    """Raise unless something can still be done on it."""
    if not task.open:
        raise Invalid(f"This follow-up has ended: it is {task.status}.", at="status", key="illegal-move")
