"""Regions: codes of five levels, compared by prefix, and nobody guesses where a code is too short."""

import pytest

from service.directory.regions import covering, stripped


@pytest.mark.parametrize(
    ("code", "level"),
    [
        ("520000", "52"),
        ("520500", "5205"),
        ("520502", "520502"),
        ("520502000", "520502"),
        ("520502000000", "520502"),
        ("500108006000", "500108006"),
        ("500108006001", "500108006001"),
        ("5205021", "5205021"),
    ],
)
def test_zeros_of_levels_left_open_are_no_part_of_a_code(code: str, level: str) -> None:
    assert stripped(code) == level


@pytest.mark.parametrize(
    ("covered", "code", "digits"),
    [
        (("500108", "500108006"), "500108006", 9),
        (("500108",), "500108006", 6),
        (("500108005",), "500108006", 0),
        (("500108006",), "500108", -1),
        (("5001", "500108006"), "500108", 4),
        ((), "500108", 0),
    ],
)
def test_the_longest_region_covers_a_sibling_never_does_and_a_shorter_code_leaves_it_open(
    covered: tuple[str, ...], code: str, digits: int
) -> None:
    assert covering(covered, code) == digits
