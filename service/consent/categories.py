"""Which categories of data a consent can leave out, and which resources belong to each; pure."""

from collections.abc import Iterable

ALWAYS = frozenset({"contact", "need"})
"""What a disclosure is: who the person is, and what they need. A consent that leaves these out discloses nothing."""

TYPES: dict[str, frozenset[str]] = {
    "contact": frozenset({"Patient", "RelatedPerson"}),
    "need": frozenset({"ServiceRequest", "Task"}),
    "stay": frozenset({"Encounter"}),
    "screening": frozenset({"QuestionnaireResponse", "Observation"}),
    "clinical": frozenset({"Condition", "Observation", "Procedure"}),
    "documents": frozenset({"DocumentReference", "Binary"}),
}
"""Category (urn:yuanshe:data-category) → types of the hospital's resources. An Observation may be an answer of a screening or
a finding: it is left out with either."""

OPTIONAL = frozenset(TYPES) - ALWAYS


def of_type(type: str) -> frozenset[str]:
    """The categories that a type of resource belongs to; none: it belongs to none that can be left out."""
    return frozenset(category for category, types in TYPES.items() if type in types)


def withheld(agreed: Iterable[str], refused: Iterable[str]) -> tuple[str, ...]:
    """What is left out where only `agreed` was agreed to (empty: everything), except what was `refused`."""
    kept = frozenset(agreed)
    left = (OPTIONAL - kept) if kept else frozenset[str]()
    return tuple(sorted(left | (OPTIONAL & frozenset(refused))))


def hidden(withheld: Iterable[str]) -> tuple[str, ...]:
    """The types of these categories."""
    return tuple(sorted({type for category in withheld for type in TYPES[category]}))
