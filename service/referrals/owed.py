"""What it takes to see to a duty: telling somebody must do no harm, and a look at an access ends with a finding."""

from service import codes
from service.errors import Conflict, Invalid
from service.referrals import contact_flow
from service.referrals.model import Task
from service.referrals.steps import Turn
from service.values import Reason


async def permit(moving: Turn, duty: Task, reason: Reason | None) -> None:
    """Raise unless this duty can be completed now.

    A person is not told of a disclosure while contact is prohibited, or where a supervisor decides each step, without a
    supervisor's decision that holds now: who reads the letter at home may be who it is about (domain f-6).
    """
    if duty.item == "notify-later":
        rules = await contact_flow.rules_on(moving.session, moving.loop.referral)
        decided = any(each.begins <= moving.now <= each.until for each in rules.decisions)
        if rules.guarded and not decided:
            raise Conflict(
                "The person must not be contacted now: a supervisor decides on the step first (safe contact).",
                at="status",
                key="notify-unsafe",
                code="business-rule",
            )
    if duty.item == "review-access" and not (
        reason and reason.text and reason.code and codes.known(codes.ACCESS_REVIEW, reason.code)
    ):
        raise Invalid(
            f"The review ends with a finding: a statusReason of {codes.ACCESS_REVIEW} (justified, not-justified), with text.",
            at="statusReason",
            code="required",
        )
