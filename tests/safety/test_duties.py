"""What safety asks of people, by the table: for a child at once, for an adult by capacity, and the signals of a diagnosis."""

from datetime import date

import pytest

from service import codes, safety_codes
from service.safety.duties import COLOURS, ITEM_9, TABLE, Capacity, facts, must_report, owed

TODAY = date(2026, 11, 22)
BABY, GIRL, TEEN, ADULT = date(2024, 1, 1), date(2014, 6, 1), date(2010, 6, 1), date(1960, 6, 1)


def rules(*needs: str, **known: object) -> list[tuple[str, str, str]]:
    """Code, colour and report of each duty that is owed."""
    told = facts(needs, today=TODAY, **known)  # pyright: ignore[reportArgumentType]
    return [(duty.code, duty.colour, duty.report) for duty in owed(told)]


def test_ten_situations_of_a_minor_nine_of_them_national_and_all_in_the_code_list() -> None:
    assert [each.national for each in TABLE.situations] == [True] * 9 + [False]
    assert {each.code for each in TABLE.situations} < set(codes.LISTS[safety_codes.REPORT_SITUATION].codes)
    assert "need a check against the national text" in TABLE.needs_check
    assert all(codes.known(codes.NEED, need) for each in TABLE.situations for need in each.needs)


def test_every_rule_speaks_chinese_and_english_and_calls_only_numbers_that_exist() -> None:
    assert len({rule.code for rule in TABLE.rules}) == len(TABLE.rules)
    for rule in TABLE.rules:
        assert rule.zh.endswith("。") and rule.en.endswith((".", "?")) and rule.colour in COLOURS
        assert set(rule.channels) <= {"110", "120", "12356"}
        # The statutory words: 立即 where the law says at once, 及时 where it says promptly.
        assert {"at-once": "立即", "promptly": "及时"}.get(rule.report, "") in rule.zh
        assert rule.suggests is None or codes.known(codes.NEED, rule.suggests)
        when = rule.when
        assert when.any_need or when.signs or when.icd10, "a rule that always holds is none"


def test_a_childs_abuse_is_reported_at_once_whatever_is_known_of_age_and_capacity() -> None:
    for known in ({}, {"birth": BABY}, {"band": "6-13"}, {"capacity": "full"}):
        assert ("child-abuse", "red", "at-once") in rules("N13", **known)


@pytest.mark.parametrize(
    ("capacity", "code", "report"),
    [("none", "adult-violence", "promptly"), ("limited", "adult-violence", "promptly"), ("full", "adult-offer", "offer"), ("unknown", "adult-capacity", "offer")],
)  # fmt: skip
def test_violence_against_an_adult_goes_by_capacity(capacity: Capacity, code: str, report: str) -> None:
    assert [(r[0], r[2]) for r in rules("N12", birth=ADULT, capacity=capacity)] == [(code, report)]


def test_violence_against_a_minor_is_never_an_offer() -> None:
    for capacity in ("none", "limited", "full", "unknown"):
        assert rules("N12", birth=TEEN, capacity=capacity) == [("child-violence-as-adult", "red", "at-once")]


def test_item_9_alone_asks_for_the_same_as_the_need() -> None:
    assert rules("N11") == rules("N05", signs=frozenset({ITEM_9})) == [("suicide", "red", "none")]


@pytest.mark.parametrize(
    ("born", "gender", "code", "rule"),
    [
        (GIRL, "female", "O26.9", "pregnant-under-14"), (GIRL, "female", "z33", "pregnant-under-14"), (TEEN, "female", "O80", "pregnant-from-14"),
        (BABY, "male", "T74.1", "child-maltreatment-code"), (TEEN, "male", "X93", "child-assault-code"), (TEEN, "male", "X61", "child-self-harm-code"),
        (BABY, "male", "S06.0", "child-injuries"), (BABY, "female", "T51.0", "child-poisoning"), (BABY, "female", "E43", "child-malnutrition"),
        (TEEN, "male", "F10.0", "child-intoxication"),
    ],
)  # fmt: skip
def test_a_diagnosis_is_a_signal_in_a_minor_and_none_in_an_adult(born: date, gender: str, code: str, rule: str) -> None:
    assert rule in [r[0] for r in rules("N05", birth=born, gender=gender, icd10=(code,))]
    assert rules("N05", birth=ADULT, gender=gender, icd10=(code,)) == []


def test_a_boy_a_healthy_girl_and_somebody_of_no_known_age_give_no_signal_of_pregnancy() -> None:
    assert rules("N05", birth=GIRL, gender="male", icd10=("O80",)) == []
    assert rules("N05", birth=GIRL, gender="female", icd10=("J18.9",)) == []
    assert rules("N05", gender="female", icd10=("O80",)) == []


def test_the_gravest_signal_comes_first() -> None:
    told = rules("N05", birth=GIRL, gender="female", icd10=("F10", "S06", "O80"))
    assert [colour for _, colour, _ in told] == ["red", "orange", "yellow"]


@pytest.mark.parametrize(
    ("needs", "band", "must"),
    [(("N13",), "unknown", True), (("N05", "N13"), "60-74", True), (("N14",), "6-13", True), (("N14",), "unknown", True), (("N14",), "75-84", False),
     (("N12",), "14-17", True), (("N12",), "40-59", False), (("N11",), "14-17", False), (("N05",), "0-5", False)],
)  # fmt: skip
def test_who_may_not_pass_the_report_over(needs: tuple[str, ...], band: str, must: bool) -> None:
    assert must_report(needs, band) == must
