"""What answers come to: totals reckoned here, what is missing, which instrument a response is of, and what is suggested."""

import json
from pathlib import Path

import pytest

from adapters.fhir import intake, wire
from service.safety.instruments import INSTRUMENTS
from service.safety.scoring import Given, instrument_of, scored, suggested
from service.safety.screening import PHQ9_ITEM_9, Answer

PHQ9 = INSTRUMENTS["phq-9"]
EXAMPLES = Path(__file__).parents[3] / "shared" / "data" / "us-core"


def phq9(*points: int, **beside: float) -> Given:
    """Answers to the nine items in their order; `total`: the sum that came along."""
    asked = [item.code for item in PHQ9.items if item.scored]
    answers = [Answer(code, worth) for code, worth in zip(asked, points, strict=False)]
    if "total" in beside:
        answers.append(Answer("44261-6", beside["total"]))
    return Given(tuple(answers), PHQ9.url)


@pytest.mark.parametrize(
    ("points", "total", "band"),
    [((0,) * 9, 0, "minimal"), ((1, 1, 1, 1, 0, 0, 0, 0, 0), 4, "minimal"), ((1,) * 5 + (0,) * 4, 5, "mild"), ((2,) * 5 + (0,) * 4, 10, "moderate"),
     ((3,) * 5 + (0,) * 4, 15, "moderately-severe"), ((3,) * 6 + (2, 0, 0), 20, "severe"), ((3,) * 9, 27, "severe")],
)  # fmt: skip
def test_the_phq_9_is_the_sum_of_its_nine_items_and_reads_by_5_10_15_20(
    points: tuple[int, ...], total: int, band: str
) -> None:
    found = scored(PHQ9, phq9(*points))
    assert (found.total, found.band, found.missing) == (total, band, ())


def test_item_9_is_no_total_and_the_total_is_no_item() -> None:
    """44260-8 is item 9, 44261-6 the total: whoever swaps them scores nothing and raises nothing."""
    assert PHQ9.total and PHQ9.total.code == "44261-6" and PHQ9_ITEM_9 == "44260-8"
    swapped = [
        Answer("44261-6" if a.item == PHQ9_ITEM_9 else a.item, a.score) for a in phq9(1, 1, 1, 1, 1, 1, 1, 1, 3).answers
    ]
    found = scored(PHQ9, Given((*swapped, Answer(PHQ9_ITEM_9, 0))))
    assert found.total == 8 and found.sent == 3 and found.differs and not found.signs_crisis
    right = scored(PHQ9, phq9(1, 1, 1, 1, 1, 1, 1, 1, 3, total=11))
    assert right.total == 11 and right.signs_crisis and not right.differs


def test_a_total_that_came_along_is_compared_and_never_used() -> None:
    found = scored(PHQ9, phq9(0, 0, 0, 0, 0, 0, 0, 0, 0, total=27))
    assert found.total == 0 and found.differs
    assert suggested(PHQ9, found, phq9(*(0,) * 9, total=27), needs=("N05",), urgency="routine", minor=False) == ()


def test_an_incomplete_form_has_no_total_and_names_what_is_missing() -> None:
    found = scored(PHQ9, phq9(3, 3, 3, 3, 3, 3, 3, total=21))
    assert found.total is None and found.band is None and found.differs
    assert found.missing == ("44253-3", "44260-8")


@pytest.mark.parametrize("answer", [Answer("44250-9", 4), Answer("44250-9", -1), Answer("44250-9", 1.5), Answer("44250-9", None, "LA33-6"), Answer("44250-9")])  # fmt: skip
def test_an_answer_that_the_item_does_not_offer_counts_as_missing(answer: Answer) -> None:
    rest = phq9(*(0,) * 9).answers[1:]
    assert scored(PHQ9, Given((answer, *rest))).missing == ("44250-9",)


def test_two_answers_to_one_item_are_no_answer() -> None:
    rest = phq9(*(0,) * 9).answers
    found = scored(PHQ9, Given((Answer("44250-9", 1), *rest)))
    assert found.total is None and found.missing == ("44250-9",)


@pytest.mark.parametrize(
    ("days", "acute", "charlson", "visits", "total"),
    [(0, 0, 0, 0, 0), (1, 0, 0, 0, 1), (3, 0, 0, 0, 3), (4, 0, 0, 0, 4), (6, 0, 0, 0, 4), (7, 0, 0, 0, 5), (13, 0, 0, 0, 5), (14, 0, 0, 0, 7),
     (90, 0, 0, 0, 7), (0, 3, 0, 0, 3), (0, 0, 3, 0, 3), (0, 0, 4, 0, 5), (0, 0, 12, 0, 5), (0, 0, 0, 4, 4), (0, 0, 0, 9, 4), (14, 3, 4, 4, 19),
     (2, 3, 2, 3, 10)],
)  # fmt: skip
def test_lace_is_reckoned_from_its_four_parts(days: int, acute: int, charlson: int, visits: int, total: int) -> None:
    answers = (
        Answer("lace-l", days), Answer("lace-a", None, "LA33-6" if acute else "LA32-8"), Answer("lace-c", charlson), Answer("lace-e", visits),
    )  # fmt: skip
    found = scored(INSTRUMENTS["lace"], Given(answers))
    assert found.total == total and found.band == ("high" if total >= 10 else "below-high")


def test_ssrs_reports_three_parts_and_has_no_cut_off() -> None:
    it = INSTRUMENTS["ssrs"]
    answers = tuple(Answer(item.code, 9 if item.kind == "integer" else 4) for item in it.items)
    found = scored(it, Given(answers))
    assert found.total == 66 and found.parts == {"objective": 22, "subjective": 32, "use": 12} and found.band is None
    assert suggested(it, found, Given(answers), needs=(), urgency="routine", minor=False) == ()


@pytest.mark.parametrize(
    ("given", "key"),
    [
        (Given((), "urn:yuanshe:questionnaire:phq-9|1.0"), "phq-9"), (Given((), "http://loinc.org/q/69737-5"), "gad-7"),
        (Given((), "http://x/PRAPARE", frozenset({"93025-5"})), "prapare"), (Given((), "http://x/AHC", frozenset({"96777-8", "71802-3"})), "ahc-hrsn"),
        (Given((), None, frozenset(item.code for item in PHQ9.items)), "phq-9"),
        (Given((), "urn:x", frozenset({"44250-9", "44255-8"})), "phq-2"), (Given((), "urn:x", frozenset({"44259-0", "44254-1"})), None), (Given((), None, frozenset({"44260-8"})), None), (Given(()), None),
    ],
)  # fmt: skip
def test_a_response_is_known_by_its_name_its_panel_or_its_questions(given: Given, key: str | None) -> None:
    found = instrument_of(given)
    assert (found.key if found else None) == key


def kinds(it: str, given: Given, needs: tuple[str, ...] = ("N05",), urgency: str = "routine", minor: bool = False) -> set[tuple[str, str]]:  # fmt: skip
    form = INSTRUMENTS[it]
    found = suggested(form, scored(form, given), given, needs=needs, urgency=urgency, minor=minor)
    return {(each.kind, each.code) for each in found}


def test_what_a_total_suggests_is_what_the_table_says_and_only_what_the_referral_has_not_got() -> None:
    assert kinds("phq-9", phq9(2, 2, 2, 2, 1)) == set()  # incomplete
    assert kinds("phq-9", phq9(2, 2, 2, 2, 1, 0, 0, 0, 0)) == set()
    assert kinds("phq-9", phq9(2, 2, 2, 2, 2, 0, 0, 0, 0)) == {("need", "N03")}
    assert kinds("phq-9", phq9(3, 3, 3, 3, 3, 0, 0, 0, 0)) == {("need", "N03"), ("urgency", "asap")}
    assert kinds("phq-9", phq9(3, 3, 3, 3, 3, 0, 0, 0, 0), ("N03",), "stat") == set()
    assert kinds("dt", Given((Answer("dt-1", 4),))) == {("assess", "psychosocial")}
    assert kinds("dt", Given((Answer("dt-1", 3),))) == set()
    gad = Given(tuple(Answer(item.code, 2) for item in INSTRUMENTS["gad-7"].items if item.scored))
    assert kinds("gad-7", gad) == {("need", "N03")}


def test_violence_that_is_screened_is_another_need_for_a_child() -> None:
    hurt = Given(tuple(Answer(code, None, "LA10082-8") for code in ("95618-5", "95617-7", "95616-9", "95615-1")))
    assert kinds("ahc-hrsn", hurt) == {("need", "N12")}
    assert kinds("ahc-hrsn", hurt, minor=True) == {("need", "N13")}


def response(name: str) -> Given:
    path = EXAMPLES / name
    if not path.exists():
        pytest.skip(f"{path} is not there: public examples are not part of the project")
    return intake.given(wire.decode(json.dumps(json.loads(path.read_text())).encode(), wire.QuestionnaireResponse, "x"))


def test_the_public_phq_9_example_comes_to_what_it_says() -> None:
    given = response("QuestionnaireResponse-phq-9-example.json")
    it = instrument_of(given)
    assert it is PHQ9
    found = scored(PHQ9, given)
    assert found.total == 12 and not found.differs and not found.signs_crisis


def test_the_public_prapare_example_suggests_needs_and_has_no_total() -> None:
    given = response("QuestionnaireResponse-PRAPARE-example.json")
    assert instrument_of(given) is INSTRUMENTS["prapare"]
    assert scored(INSTRUMENTS["prapare"], given).total is None
    wanted = {("need", code) for code in ("N15", "N17", "N01", "N04", "N18", "N12")}
    assert kinds("prapare", given) == wanted
    assert kinds("prapare", given, ("N12", "N15")) == wanted - {("need", "N12"), ("need", "N15")}
