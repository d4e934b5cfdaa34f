"""The screening instruments that the service understands, read from the files in `forms/`: one file, one instrument.

Sources: LOINC panels 44249-1 (PHQ-9) and 69737-5 (GAD-7) with their items and answer lists; texts as published by Pfizer,
who requires no permission to reproduce, translate, display or distribute them.
"""

from pathlib import Path

import msgspec


class Choice(msgspec.Struct, frozen=True):
    """An answer that may be chosen: its LOINC answer code, its words, and what it counts; None where it counts nothing."""

    code: str
    zh: str
    en: str
    score: int | None = None


class Item(msgspec.Struct, frozen=True):
    """A question, by its LOINC code, which is its link id too. `choices` names the instrument's list of answers."""

    code: str
    zh: str
    en: str
    choices: str = "frequency"
    scored: bool = True


class Instrument(msgspec.Struct, frozen=True):
    """One form: `panel` is its LOINC code, `total` the item that holds the sum of the scored ones."""

    key: str
    version: str
    panel: str
    name: str
    title_zh: str
    title_en: str
    lead_zh: str
    lead_en: str
    copyright: str
    choices: dict[str, tuple[Choice, ...]]
    items: tuple[Item, ...]
    total: Item

    @property
    def url(self) -> str:
        """Its canonical name, which a response names."""
        return f"urn:yuanshe:questionnaire:{self.key}"


def read(folder: Path) -> dict[str, Instrument]:
    """Every form in the folder, by its key."""
    files = sorted(folder.glob("*.json"))
    found = [msgspec.json.decode(file.read_bytes(), type=Instrument) for file in files]
    return {each.key: each for each in found}


INSTRUMENTS = read(Path(__file__).parent / "forms")
"""The instruments by key."""
