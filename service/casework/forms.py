"""The templates of case documents, read from the files in `forms/`: one file, one document; and what a response lacks.

The set of forms is the one in use in hospital social work (domain b-2: 登记表、知情同意书、评估表、计划、过程记录、成效评估表、结案表、
回访记录); the items are this project's own and hold what domain b-2 names for each.
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from service import case_codes, codes
from service.casework.model import Answered
from service.errors import Issue

BOOLEAN, TEXT, CHOICE = "boolean", "text", "choice"


class Choice(msgspec.Struct, frozen=True):
    """An answer that may be chosen, where no list of ours holds it."""

    code: str
    zh: str
    en: str


class Item(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A question by its link id. `type` is FHIR's; a `choice` is from one of our code lists (`list`) or from `choices`.
    `affirmed`: the document counts only where the answer is yes; a refusal is kept, and is no consent."""

    code: str
    zh: str
    en: str
    type: str = TEXT
    required: bool = False
    repeats: bool = False
    affirmed: bool = False
    list: str | None = None
    choices: tuple[Choice, ...] = ()

    @property
    def options(self) -> tuple[tuple[str, codes.Concept | Choice], ...]:
        """What may be chosen: system and concept."""
        if self.list:
            return tuple((self.list, concept) for concept in codes.LISTS[self.list].concepts)
        return tuple((CHOICES, choice) for choice in self.choices)


CHOICES = "urn:yuanshe:answer"
"""The system of answers that are of one form alone."""


class Form(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The template of one document, a code of urn:yuanshe:case-document."""

    document: str
    version: str
    items: tuple[Item, ...]
    lead_zh: str = ""
    lead_en: str = ""

    @property
    def url(self) -> str:
        """Its canonical name, which a response names."""
        return f"urn:yuanshe:questionnaire:case-{self.document}"

    @property
    def title(self) -> tuple[str, str]:
        return codes.label(case_codes.CASE_DOCUMENT, self.document), codes.label(
            case_codes.CASE_DOCUMENT, self.document, "en"
        )


def read(folder: Path) -> dict[str, Form]:
    """Every form in the folder, by its canonical name."""
    found = [msgspec.json.decode(file.read_bytes(), type=Form) for file in sorted(folder.glob("*.json"))]
    return {form.url: form for form in found}


FORMS = read(Path(__file__).parent / "forms")
"""The templates by canonical name."""


def faults(form: Form, answers: Sequence[Answered]) -> tuple[Issue, ...]:
    """What a response that is to count lacks: an answer that the form requires, a code that its list does not know; pure."""
    found: list[Issue] = []
    for item in form.items:
        given = [answer for answer in answers if answer.item == item.code]
        if item.required and not given:
            found.append(Issue(f"“{item.zh}” ({item.en}) has no answer: item {item.code}.", "item", "required"))
        known = {concept.code for _, concept in item.options}
        if known and any(answer.code not in known for answer in given):
            found.append(Issue(f"“{item.zh}” ({item.en}) has an answer that its list does not know: item {item.code}.", "item", "code-invalid"))  # fmt: skip
    return tuple(found)


def counts(form: Form, answers: Sequence[Answered]) -> bool:
    """Whether a response is the document that its form is for: what it has to affirm, it affirms; pure."""
    said = {(answer.item, answer.code) for answer in answers}
    return all((item.code, "true") in said for item in form.items if item.affirmed)
