"""The table of tiers: what the page says is what the code says, and no role reads more than the one above it."""

from pathlib import Path

import pytest

from service.consent import categories, tiers
from service.consent.tiers import ELEMENTS, TABLE, readable

PAGE = Path(__file__).parents[2] / "docs" / "disclosure.md"
STAGES = ("offered", "offered-safety", "accepted", "disclosed", "broken-glass", "ended")
ROLES = ("hospital", "coordinator", "auditor", "social_worker", "supervisor", "volunteer")
NAMES = {
    tiers.T0: "T0",
    tiers.T0_SAFETY: "T0s",
    tiers.T0 | {"own-work"}: "T0, own work",
    tiers.T0 | {"own-work", "case-notes"}: "T0, own work",
    tiers.T1: "T1",
    tiers.T2: "T2",
    tiers.IDENTITY | {"own-work"}: "ID, own work",
    tiers.IDENTITY | {"own-work", "case-notes"}: "ID, own work",
    tiers.VISIT: "visit",
    tiers.NOTHING: "–",
    tiers.HOSPITAL: "what it sent",
    tiers.COORDINATOR: "all",
}


def rows() -> list[str]:
    return [f"| {role} | " + " | ".join(NAMES[TABLE[role, stage]] for stage in STAGES) + " |" for role in ROLES]


def test_the_page_shows_the_table() -> None:
    said = PAGE.read_text().partition("<!-- tiers -->")[2].partition("<!-- /tiers -->")[0].strip().split("\n")
    assert said[2:] == rows()


def test_every_word_of_the_table_is_known_and_every_role_has_every_stage() -> None:
    assert TABLE.keys() == {(role, stage) for role in ROLES for stage in STAGES}
    assert {element for seen in TABLE.values() for element in seen} <= set(ELEMENTS)


def test_before_disclosure_nobody_of_an_agency_reads_who_it_is() -> None:
    who = {"name", "given-name", "phone", "address", "birth-date", "masked-number", "whole-number", "request-text"}
    for role in ("social_worker", "supervisor", "volunteer"):
        for stage in ("offered", "offered-safety", "accepted", "ended"):
            for safety in (False, True):
                assert not who & readable(role, stage, safety=safety), (role, stage)  # pyright: ignore[reportArgumentType]


def test_what_is_sealed_and_the_whole_number_are_in_no_agencys_tier() -> None:
    for (role, _), seen in TABLE.items():
        assert role in ("hospital", "coordinator") or not {"sealed", "whole-number"} & seen


def test_a_supervisor_reads_what_a_worker_reads_and_a_safety_need_never_says_more() -> None:
    for stage in STAGES:
        assert TABLE["social_worker", stage] <= TABLE["supervisor", stage]  # pyright: ignore[reportArgumentType]
        assert readable("supervisor", stage, safety=True) - {"own-work", "case-notes"} <= tiers.T2 | tiers.T0_SAFETY  # pyright: ignore[reportArgumentType]
    assert "age-band" not in readable("supervisor", "accepted", safety=True)


def test_what_a_ground_leaves_out_is_not_read() -> None:
    assert {"screening", "documents"}.isdisjoint(readable("supervisor", "disclosed", ("screening", "documents")))
    assert {"clinical", "diagnosis-group"}.isdisjoint(readable("social_worker", "disclosed", ("clinical",)))
    assert readable("social_worker", "disclosed", categories.OPTIONAL) == tiers.IDENTITY | {"own-work"}


@pytest.mark.parametrize(
    ("name", "given"),
    [("陈素芬", "素芬"), ("陈芬", "芬"), ("欧阳小红", "小红"), ("欧阳", "阳"), ("陈 素芬", "素芬"), ("Anna Müller", "Anna"), ("Anna", None),
     ("陈", None), ("", None), (None, None), ("阿卜杜拉·买买提", "卜杜拉·买买提")],
)  # fmt: skip
def test_a_volunteer_hears_no_family_name(name: str | None, given: str | None) -> None:
    assert tiers.given_name(name) == given
