"""How often somebody is visited, and when a visit was missed (domain row 43)."""

from datetime import UTC, datetime, timedelta

import pytest

from service.casework import visiting
from service.casework.visiting import VisitPlan
from service.values import new_id

NOON = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)


def plan(every: int = 7, at: datetime = NOON) -> VisitPlan:
    return VisitPlan(new_id(), new_id(), new_id(), every, at, new_id(), at)


@pytest.mark.parametrize(
    ("later", "next_in"), [(timedelta(0), 7), (timedelta(days=1), 7), (timedelta(days=7), 14), (timedelta(days=30), 35)]
)
def test_the_next_visit_is_the_first_that_is_still_to_come(later: timedelta, next_in: int) -> None:
    assert visiting.following(plan(), NOON + later).next_at == NOON + timedelta(days=next_in)


def test_a_visit_that_was_early_counts() -> None:
    assert visiting.counts_from(plan()) == NOON - timedelta(days=3, hours=12)


@pytest.mark.parametrize(
    ("every", "first", "at"),
    [(0, NOON, "every"), (93, NOON, "every"), (7, NOON - timedelta(days=2), "first"), (7, NOON + timedelta(days=93), "first")],
)  # fmt: skip
def test_what_is_no_plan_is_refused_at_its_place(every: int, first: datetime, at: str) -> None:
    assert [issue.at for issue in visiting.faults(every, first, NOON)] == [at]
    assert visiting.faults(7, NOON, NOON) == ()
