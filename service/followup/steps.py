"""What a share's end makes of its agency's follow-ups; called by upper rooms."""

import msgspec

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
