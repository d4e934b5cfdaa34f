"""The screening instruments that the service understands, read from the files in `forms/`: one file, one instrument.

The texts of PHQ-9 and GAD-7 are as published by Pfizer, who requires no permission to reproduce, translate, display or
distribute them. Of the others no wording is here: their captions are this project's own (`wording`), and each file's
`copyright` says whose the instrument is. Codes are LOINC's where it has them.
"""

from pathlib import Path
from typing import Literal

import msgspec


class Choice(msgspec.Struct, frozen=True):
    """An answer that may be chosen: its LOINC answer code (or the form's own), its words, and what it counts; None where it
    counts nothing."""

    code: str
    zh: str
    en: str
    score: int | None = None


class Item(msgspec.Struct, frozen=True):
    """A question, by its LOINC code, which is its link id too; `loinc` is false for a code of the form's own.

    `choices` names the instrument's list of answers; an `integer` has none, and counts itself, or by `points` what the last
    pair that it reaches says (from, points). `needs`: an answer's code, and the need codes that it suggests.
    """

    code: str
    zh: str
    en: str
    choices: str = "frequency"
    scored: bool = True
    loinc: bool = True
    kind: Literal["choice", "integer"] = "choice"
    highest: int | None = None
    points: tuple[tuple[int, int], ...] = ()
    repeats: bool = False
    needs: dict[str, tuple[str, ...]] = {}


class Band(msgspec.Struct, frozen=True):
    """How a total reads from `at` upwards."""

    at: int
    code: str
    zh: str
    en: str


class Rule(msgspec.Struct, frozen=True):
    """What a total from `at` upwards suggests to a person: a need, an urgency, or an assessment."""

    at: int
    kind: Literal["need", "urgency", "assess"]
    code: str


class Part(msgspec.Struct, frozen=True):
    """A sum of some of the items that is reported beside the total."""

    code: str
    zh: str
    en: str
    items: tuple[str, ...]


class Instrument(msgspec.Struct, frozen=True):
    """One form: `panel` is its LOINC code, if it has one; `total` the item that holds the sum of the scored ones, if there
    is such a sum."""

    key: str
    version: str
    name: str
    title_zh: str
    title_en: str
    lead_zh: str
    lead_en: str
    copyright: str
    items: tuple[Item, ...]
    choices: dict[str, tuple[Choice, ...]] = {}
    panel: str | None = None
    total: Item | None = None
    wording: Literal["published", "captions"] = "published"
    bands: tuple[Band, ...] = ()
    rules: tuple[Rule, ...] = ()
    parts: tuple[Part, ...] = ()

    @property
    def url(self) -> str:
        """Its canonical name, which a response names."""
        return f"urn:yuanshe:questionnaire:{self.key}"

    @property
    def links(self) -> frozenset[str]:
        """The link ids of its questions."""
        return frozenset(item.code for item in self.items)

    def band(self, total: int) -> Band | None:
        """How a total reads; None where the instrument only reports."""
        return next((band for band in reversed(self.bands) if total >= band.at), None)


def read(folder: Path) -> dict[str, Instrument]:
    """Every form in the folder, by its key."""
    files = sorted(folder.glob("*.json"))
    found = [msgspec.json.decode(file.read_bytes(), type=Instrument) for file in files]
    return {each.key: each for each in found}


INSTRUMENTS = read(Path(__file__).parent / "forms")
"""The instruments by key."""
