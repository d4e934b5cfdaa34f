"""What is told of a stay comes to the same in whatever order it comes; pure."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import Conflict
from service.followup import tidings
from service.followup.tidings import Fact, Times, ToldStay
from service.patients.model import Stay
from service.values import new_id

BEGAN = datetime(2026, 11, 20, tzinfo=UTC)
KEPT = Stay(new_id(), new_id(), new_id(), 0, "in-progress", BEGAN)


def at(hour: int) -> datetime:
    return BEGAN + timedelta(hours=hour)


def place(bed: str) -> dict[str, Fact]:
    return {"place": Fact({"ward": "W", "room": "1", "bed": bed})}


def state(status: str, ended: datetime | None = None, disposition: str | None = None) -> dict[str, Fact]:
    return {
        "state": Fact({"status": status}),
        "end": Fact({"ended_at": ended}),
        "disposition": Fact({"disposition": disposition}),
    }


ADMITTED = ToldStay(
    {"start": Fact({"started_at": at(1)}), **place("1"), **state("in-progress")}, begins=True, opens=True
)
MOVED = ToldStay(place("2"))
DISCHARGED = ToldStay({**place("2"), **state("finished", at(3), "1")})
CALLED_OFF = ToldStay({**place("3"), **state("in-progress")}, opens=True, reopens=True)
DISCHARGED_AGAIN = ToldStay(state("finished", at(6), "4"))
CORRECTED = ToldStay(state("finished", at(5), "4"))
STORY = [(1, ADMITTED), (2, MOVED), (3, DISCHARGED), (4, CALLED_OFF), (6, DISCHARGED_AGAIN), (7, CORRECTED)]


def heard(story: list[tuple[int, ToldStay]]) -> Stay:
    stay: Stay | None = None
    told: Times = {}
    for hour, each in story:
        facts = tidings.of_stay(stay, told, each, at(hour))
        stay, told = tidings.laid(stay or KEPT, facts), told | dict.fromkeys(facts, at(hour))
    assert stay is not None
    return stay


@given(st.permutations(STORY))
def test_in_whatever_order_a_story_is_told_it_ends_the_same(story: list[tuple[int, ToldStay]]) -> None:
    assert heard(story) == heard(STORY)
    stay = heard(story)
    assert (stay.status, stay.ended_at, stay.disposition, stay.bed, stay.started_at) == (
        "finished",
        at(5),
        "4",
        "3",
        at(1),
    )


@given(st.permutations(STORY[:4]))
def test_a_discharge_that_was_called_off_stays_so(story: list[tuple[int, ToldStay]]) -> None:
    assert heard(story).status == "in-progress" and heard(story).ended_at is None


@given(st.lists(st.sampled_from(STORY), min_size=1, max_size=12))
def test_what_is_told_again_changes_nothing(story: list[tuple[int, ToldStay]]) -> None:
    assert heard([*STORY, *story]) == heard(STORY)


def test_only_a_cancelled_discharge_opens_an_ended_stay() -> None:
    ended = heard(STORY)
    away = ToldStay(state("onleave"), opens=True)
    assert tidings.of_stay(ended, {}, away, at(9)) == {}
    assert tidings.laid(ended, tidings.of_stay(ended, {}, CALLED_OFF, at(9))).status == "in-progress"
    with pytest.raises(Conflict):
        tidings.of_stay(ended, {}, ADMITTED, at(9))


def test_how_somebody_is_expected_to_leave_is_no_way_of_having_left() -> None:
    assert tidings.of_stay(KEPT, {}, ToldStay({"disposition": Fact({"disposition": "1"})}), at(2)) == {}


def test_what_only_takes_back_needs_something_to_take_back() -> None:
    alive = {"deceased": Fact({"deceased": False}, retracts=True)}
    assert tidings.newer({}, alive, at(1)) == {} and tidings.newer({"deceased": at(0)}, alive, at(1)) == alive
