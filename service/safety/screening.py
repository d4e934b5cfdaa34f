"""What screening answers say of danger: PHQ-9 item 9, whatever the total (domain d-8)."""

from collections.abc import Iterable

import msgspec

PHQ9_ITEM_9 = "44260-8"
"""LOINC code of “thoughts of being better off dead or of hurting yourself”. It is the item, not the total (44261-6)."""

FREQUENCY = {"LA6568-5": 0, "LA6569-3": 1, "LA6570-1": 2, "LA6571-9": 3}
"""LOINC answers of the PHQ-9: not at all, several days, more than half the days, nearly every day."""


class Answer(msgspec.Struct, frozen=True):
    """An answer to an item: the item's LOINC code, and its score as a number or as an answer code."""

    item: str
    score: float | None = None
    answer: str | None = None


def raises_crisis(answers: Iterable[Answer]) -> bool:
    """Item 9 answered with anything but “not at all” raises a crisis; so does an answer that nobody here can read."""
    return any(answer.item == PHQ9_ITEM_9 and _often(answer) >= 1 for answer in answers)


def _often(answer: Answer) -> float:
    if answer.score is not None:
        return answer.score
    if answer.answer is None:
        return 0
    return int(answer.answer) if answer.answer.isdecimal() else FREQUENCY.get(answer.answer, 1)
