"""Where the chain need → goal → intervention → outcome is broken (domain row 16: 服务系统性不强); pure."""

from collections.abc import Iterable

from service.casework.model import CaseFile, Goal, Intervention, Orphan
from service.casework.phases import ORDER
from service.errors import Conflict

GONE = frozenset({"entered-in-error", "rejected"})
"""Goals that count no longer."""
DONE = frozenset({"in-progress", "completed"})
"""Interventions that were made: an appointment or a visit that did not take place serves nothing yet."""
UNSETTLED = frozenset({"preparation", "in-progress", "on-hold"})
CLOSES = frozenset({"completed"})


def orphans(file: CaseFile) -> tuple[Orphan, ...]:
    """Every broken link of one case.

    A need is expected to have a goal once the planning is behind, a goal to have an outcome (its achievementStatus) once the
    case has closed; an intervention to name a goal, and a goal its measure, from the first.
    """
    goals = {goal.id: goal for goal in file.goals if goal.status not in GONE}
    found = [Orphan("goal-without-measure", goal.id) for goal in goals.values() if not goal.measured]
    found += [
        Orphan("intervention-without-goal", each.id)
        for each in file.interventions
        if each.status in DONE and goals.keys().isdisjoint(each.goals)
    ]
    case = file.case
    planned = ORDER.index(case.phase) > ORDER.index("plan")
    if planned and case.ending in (None, "complete"):
        served = {need for goal in goals.values() for need in goal.needs}
        found += [Orphan("need-without-goal", need=need) for need in file.needs if need not in served]
    if case.ending == "complete":
        found += [Orphan("goal-without-outcome", goal.id) for goal in goals.values() if goal.achievement is None]
    return tuple(found)


def check_close(goal: Goal, interventions: Iterable[Intervention]) -> None:
    """Raise Conflict `coordination-open` where a goal would be closed while something that serves it is still to be settled
    with others (domain row 41)."""
    if goal.status not in CLOSES:
        return
    open = sum(
        each.status in UNSETTLED and (each.coordination is not None or each.benefit == "applied")
        for each in interventions
        if goal.id in each.goals
    )
    if open:
        raise Conflict(
            f"Something that serves this goal is still to be settled with others ({open}): close those first.",
            at="lifecycleStatus", key="coordination-open",
        )  # fmt: skip
