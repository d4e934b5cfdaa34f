"""What safety asks of whoever is with the person, by a table: which signal, whether to report, to whom, in which words.

The table is data (`duties.json`). For a child the law says 立即, at once; for an adult without or with limited capacity 及时,
promptly; with full capacity the person decides (domain b-4). Its national situations are still to be checked against the
text (domain g). Nothing reports by itself: a duty is told to people. The colours are those of a hospital's alert system
(red, orange, yellow); the rules by diagnosis are this project's own (D).
"""

from datetime import date
from pathlib import Path
from typing import Literal

import msgspec

from service.codes import coarse_age_band
from service.values import age_on

Capacity = Literal["full", "limited", "none", "unknown"]
CAPACITIES = ("full", "limited", "none", "unknown")
ITEM_9 = "phq-9/44260-8"
"""The sign that item 9 of the PHQ-9 was answered with more than “not at all”."""


class Situation(msgspec.Struct, frozen=True):
    """One of the situations of a minor that must be reported; `national`: it is one of the opinion's nine."""

    code: str
    zh: str
    en: str
    needs: tuple[str, ...]
    national: bool


class When(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a rule holds: everything that it says. `any_need` and `signs` together are one condition, of which either will
    do. `minor`: true, or false for an adult; `or_unknown`: also when nobody knows. `icd10`: beginnings of codes, without dots."""

    any_need: tuple[str, ...] = ()
    signs: tuple[str, ...] = ()
    minor: bool | None = None
    or_unknown: bool = False
    under: int | None = None
    from_age: int | None = None
    gender: str | None = None
    capacity: tuple[Capacity, ...] = ()
    icd10: tuple[str, ...] = ()


class Duty(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A rule: the signal's colour, the report (at-once, promptly, offered, or none), numbers to call, and the words for
    who is on the spot. `suggests`: a need that is put to a person."""

    code: str
    colour: Literal["red", "orange", "yellow"]
    report: Literal["at-once", "promptly", "offer", "none"]
    channels: tuple[str, ...]
    when: When
    zh: str
    en: str
    suggests: str | None = None


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: str
    needs_check: str
    situations: tuple[Situation, ...]
    rules: tuple[Duty, ...]


TABLE = msgspec.json.decode((Path(__file__).parent / "duties.json").read_bytes(), type=Table)
COLOURS = ("red", "orange", "yellow")


class Facts(msgspec.Struct, frozen=True):
    """What is known: need codes, the age in years or else the band of an offer, gender, capacity, diagnoses, signs of
    screening. `minor` None: nobody knows."""

    needs: tuple[str, ...] = ()
    age: int | None = None
    minor: bool | None = None
    gender: str = "unknown"
    capacity: Capacity = "unknown"
    icd10: tuple[str, ...] = ()
    signs: frozenset[str] = frozenset()


def facts(
    needs: tuple[str, ...], *, birth: date | None = None, today: date | None = None, band: str = "unknown", gender: str = "unknown",
    capacity: Capacity = "unknown", icd10: tuple[str, ...] = (), signs: frozenset[str] = frozenset(),
) -> Facts:  # fmt: skip
    """What is known, with the age worked out where there is a birth date."""
    age = age_on(birth, today) if birth and today and birth <= today else None
    coarse = coarse_age_band(band)
    minor = age < 18 if age is not None else None if coarse == "unknown" else coarse == "minor"
    return Facts(needs, age, minor, gender, capacity, tuple(code.upper().replace(".", "") for code in icd10), signs)


def owed(known: Facts) -> tuple[Duty, ...]:
    """Every duty of the table that these facts call for, the gravest signal first."""
    held = [rule for rule in TABLE.rules if _holds(rule.when, known)]
    return tuple(sorted(held, key=lambda rule: COLOURS.index(rule.colour)))


def _holds(when: When, known: Facts) -> bool:
    told = when.any_need or when.signs
    return (
        (not told or not set(when.any_need).isdisjoint(known.needs) or not known.signs.isdisjoint(when.signs))
        and (when.minor is None or when.minor == known.minor or (known.minor is None and when.or_unknown))
        and (when.under is None or (known.age is not None and known.age < when.under))
        and (when.from_age is None or (known.age is not None and known.age >= when.from_age))
        and (when.gender is None or when.gender == known.gender)
        and (not when.capacity or known.capacity in when.capacity)
        and (not when.icd10 or any(code.startswith(when.icd10) for code in known.icd10))
    )


def must_report(needs: tuple[str, ...], band: str) -> bool:
    """Whether these needs of a person of this age band are reported at once, whatever anybody would rather: abuse of a
    child, abandonment of a child or of somebody whose age nobody knows."""
    return any(duty.report == "at-once" for duty in owed(facts(needs, band=band)))
