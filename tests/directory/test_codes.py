"""Codes: every code has words in both languages, and other lists' codes become the needs that domain d-2 says."""

from datetime import date

import pytest

from service import codes

ICD10 = "http://hl7.org/fhir/sid/icd-10"
ICD10_CM = "http://hl7.org/fhir/sid/icd-10-cm"
ICD10_CN = "http://hl7.org/fhir/sid/icd-10-cn"


@pytest.mark.parametrize("system", codes.LISTS)
def test_every_code_has_words_in_both_languages_and_stands_once(system: str) -> None:
    concepts = codes.LISTS[system].concepts
    assert len({concept.code for concept in concepts}) == len(concepts)
    for concept in concepts:
        assert concept.zh.strip() and concept.en.strip()
        assert codes.label(system, concept.code, "zh") == concept.zh
        assert codes.label(system, concept.code, "en") == concept.en


def test_a_code_that_no_list_knows_is_shown_as_it_is() -> None:
    assert codes.label(codes.NEED, "N77", "en") == "N77"


@pytest.mark.parametrize(
    ("system", "code", "needs"),
    [
        (codes.NEED, "N05", ("N05",)),
        (codes.NEED, "N20", ()),
        (ICD10, "Z63.4", ("N10",)),
        (ICD10, "Z63.6", ("N04",)),
        (ICD10, "Z63.0", ("N06",)),
        (ICD10, "Z63.7", ("N06",)),
        (ICD10, "Z63.8", ()),
        (ICD10, "Z63", ()),
        (ICD10, "Z59.7", ("N01", "N02")),
        (ICD10, "T74", ("N12", "N13")),
        (ICD10, "T74.1", ("N12", "N13")),
        (ICD10, "T74.0", ("N14",)),
        (ICD10_CM, "T74.02XA", ("N14",)),
        (ICD10_CM, "Z59.00", ("N15",)),
        (ICD10_CM, "Z59.86", ("N01",)),
        (ICD10_CM, "Z59.82", ("N18",)),
        (ICD10_CM, "Z59.4", ()),
        (ICD10_CM, "Z56.0", ("N17",)),
        (ICD10_CN, "Z59.600x001", ("N01",)),
        (ICD10_CN, "z55", ("N16",)),
        (ICD10, "", ()),
        ("http://snomed.info/sct", "Z63.4", ()),
        (codes.SDOHCC, "employment-status", ("N17",)),
        (codes.SDOHCC, "social-connection", ("N04", "N06", "N07", "N19")),
        (codes.SDOHCC, "sdoh-category-unspecified", ("N99",)),
        (codes.SDOHCC, "food-insecurity", ()),
    ],
)
def test_an_exact_code_wins_over_a_range_and_one_that_fits_several_needs_gives_all(
    system: str, code: str, needs: tuple[str, ...]
) -> None:
    assert codes.needs_of(system, code) == needs


@pytest.mark.parametrize(
    ("needs", "urgency"),
    [((), "routine"), (("N01",), "routine"), (("N05",), "urgent"), (("N05", "N15"), "asap"), (("N01", "N13"), "stat")],
)
def test_a_need_sets_the_least_urgency(needs: tuple[str, ...], urgency: str) -> None:
    assert codes.floor_urgency(needs) == urgency


@pytest.mark.parametrize("need", ["N11", "N12", "N13", "N14"])
def test_safety_needs_are_known_as_such(need: str) -> None:
    assert codes.is_safety(("N01", need))
    assert not codes.is_safety(("N01", "N15"))


@pytest.mark.parametrize(
    ("birth", "band", "coarse"),
    [
        (date(2026, 1, 1), "0-5", "minor"),
        (date(2020, 6, 2), "0-5", "minor"),
        (date(2020, 6, 1), "6-13", "minor"),
        (date(2008, 6, 2), "14-17", "minor"),
        (date(2008, 6, 1), "18-39", "adult"),
        (date(1966, 6, 2), "40-59", "adult"),
        (date(1966, 6, 1), "60-74", "elder"),
        (date(1941, 6, 1), "85-plus", "elder"),
        (None, "unknown", "unknown"),
        (date(2027, 1, 1), "unknown", "unknown"),
    ],
)
def test_an_offer_shows_a_band_and_a_safety_offer_a_coarser_one(birth: date | None, band: str, coarse: str) -> None:
    assert codes.age_band(birth, date(2026, 6, 1)) == band
    assert codes.coarse_age_band(band) == coarse
    assert codes.known(codes.AGE_BAND, band)
    assert codes.known(codes.AGE_BAND, coarse)
