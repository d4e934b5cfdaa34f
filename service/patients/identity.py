"""Whether a person's identifiers hold: pure checks of numbers, dates and the reason for having none."""

import re
from collections.abc import Iterable
from datetime import date

from stdnum.cn import ric
from stdnum.exceptions import ValidationError

from service.errors import Issue
from service.patients.model import CITIZEN_NUMBER, Identifier

NO_IDENTIFIER_REASONS = ("no-household-registration", "unidentified", "newborn", "refused")


_NUMBERS = re.compile(r"(?<![0-9])[1-8][0-9]{5}(?:19|20)[0-9]{2}[01][0-9][0-3][0-9]{4}[0-9Xx](?![0-9])")
"""Citizen numbers wherever they were written."""


def mask(number: str) -> str:
    """`520502********0020`: the first six and the last four characters of a citizen number. The whole number is shown only where
    it is asked for, and that is written down."""
    return f"{number[:6]}{'*' * max(len(number) - 10, 0)}{number[-4:]}"


def without_numbers(text: str) -> str:
    """The same words with every citizen number in them masked: what somebody else wrote, as an agency reads it."""
    return _NUMBERS.sub(lambda found: mask(found[0]), text) if len(text) >= 18 else text


def normalised(identifier: Identifier) -> Identifier:
    """A citizen number in capitals without blanks; other numbers as given."""
    if identifier.system != CITIZEN_NUMBER:
        return identifier
    return Identifier(identifier.system, identifier.value.strip().upper())


def faults(identifiers: tuple[Identifier, ...], birth_date: date | None, reason: str | None) -> tuple[Issue, ...]:
    """What is wrong with these identifiers (domain f-1): GB 11643 check digit and real date, the birth date it states,
    and none at all without a coded reason. The text never repeats the number."""
    found: list[Issue] = []
    for identifier in identifiers:
        if identifier.system != CITIZEN_NUMBER:
            continue
        number = identifier.value
        try:
            # Not `ric.validate`: it asks for a place of registration that its table knows, and old divisions are in none.
            if (
                len(number) != 18
                or number[0] not in "12345678"
                or not (number[:-1].isascii() and number[:-1].isdigit())
            ):
                raise ValidationError
            if ric.calc_check_digit(number) != number[-1]:
                raise ValidationError
            born = ric.get_birth_date(number)
        except ValidationError:
            found.append(
                Issue(
                    "The citizen number is not valid (18 characters, a real date, its check digit).",
                    "identifier",
                    "value",
                )
            )
            continue
        if birth_date is not None and born != birth_date:
            found.append(Issue("The birth date is not the one that the citizen number states.", "birthDate", "value"))
    if len({i.value for i in identifiers if i.system == CITIZEN_NUMBER}) > 1:
        found.append(Issue("Nobody has two citizen numbers.", "identifier", "value"))
    if reason is not None and reason not in NO_IDENTIFIER_REASONS:
        found.append(
            Issue(
                f"The reason for having no identifier is one of {', '.join(NO_IDENTIFIER_REASONS)}.",
                "extension",
                "code-invalid",
            )
        )
    if not identifiers and reason is None:
        found.append(
            Issue(
                "A patient needs an identifier (the citizen number, or the hospital's own number), or the coded reason why there is none.",
                "identifier",
                "required",
            )
        )
    return tuple(found)


def stated_birth(identifiers: Iterable[Identifier]) -> date | None:
    """The birth date that a valid citizen number states, where nobody gave one: how old somebody is decides who signs."""
    number = next((i.value for i in identifiers if i.system == CITIZEN_NUMBER), None)
    return ric.get_birth_date(number) if number else None


def contradicting(known: Iterable[Identifier], given: Iterable[Identifier]) -> bool:
    """Whether both hold a citizen number, and not the same one: nobody has two."""
    one, other = ({i.value for i in numbers if i.system == CITIZEN_NUMBER} for numbers in (known, given))
    return bool(one and other and one.isdisjoint(other))


def doubts(identifiers: tuple[Identifier, ...], gender: str) -> tuple[Issue, ...]:
    """What is worth a second look (domain f-1): the gender is not the one that the citizen number states (an odd 17th digit
    says male). Registers lag behind lives, so this refuses nothing."""
    for identifier in identifiers:
        digit = identifier.value.strip()[16:17]
        if identifier.system != CITIZEN_NUMBER or gender not in ("male", "female") or not digit.isdigit():
            continue
        if (int(digit) % 2 == 1) != (gender == "male"):
            text = "The gender is not the one that the citizen number states."
            return (Issue(text, "gender", "value", "warning"),)
    return ()
