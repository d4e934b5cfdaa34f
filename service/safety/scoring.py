"""What the answers to an instrument come to: its total, its band, what is missing, what it suggests; pure (domain d-8).

A total is worked out here or there is none: what a sender reckoned is compared, never used.
"""

import msgspec

from service import codes
from service.safety.instruments import INSTRUMENTS, Instrument, Item
from service.safety.screening import Answer, raises_crisis
from service.values import URGENCIES


class Given(msgspec.Struct, frozen=True):
    """A response as it was given: the questionnaire that it names, the link ids of everything in it (the last part of
    each), and its answers. `void`: it was entered in error."""

    answers: tuple[Answer, ...]
    questionnaire: str | None = None
    links: frozenset[str] = frozenset()
    void: bool = False


class Scored(msgspec.Struct, frozen=True):
    """What a response comes to. `points`: of each scored item that was answered; `missing`: those that were not, or not in
    a way that can be read, and then there is no `total`. `sent`: the total that came along, whoever reckoned it."""

    instrument: str
    points: dict[str, int]
    missing: tuple[str, ...]
    total: int | None
    band: str | None
    parts: dict[str, int]
    sent: float | None
    signs_crisis: bool

    @property
    def differs(self) -> bool:
        """Whether a total came along that the answers do not come to."""
        return self.sent is not None and self.sent != self.total


class Suggested(msgspec.Struct, frozen=True):
    """What is put to a person, who decides: a need, an urgency or an assessment, and what it follows from: the
    instrument and one of its items, or its total."""

    kind: str
    code: str
    why: str


def instrument_of(given: Given) -> Instrument | None:
    """The instrument that a response is of: by the canonical name, ours or LOINC's; by the panel's code; else the one of
    whose questions it holds the most, and at least half."""
    named = (given.questionnaire or "").partition("|")[0]
    for each in INSTRUMENTS.values():
        if named == each.url or (each.panel and named.rstrip("/").rpartition("/")[2] == each.panel):
            return each
    for each in INSTRUMENTS.values():
        if each.panel and each.panel in given.links:
            return each
    held = {key: len(each.links & given.links) for key, each in INSTRUMENTS.items()}
    most = max(held, key=lambda key: held[key])
    return INSTRUMENTS[most] if held[most] * 2 >= len(INSTRUMENTS[most].items) else None


def scored(it: Instrument, given: Given) -> Scored:
    """The response of this instrument, scored."""
    points: dict[str, int] = {}
    missing: list[str] = []
    for item in it.items:
        if item.scored:
            worth = _points(it, item, [each for each in given.answers if each.item == item.code])
            if worth is None:
                missing.append(item.code)
            else:
                points[item.code] = worth
    total = sum(points.values()) if it.total and not missing else None
    reads = it.band(total) if total is not None else None
    parts = {part.code: sum(points[code] for code in part.items) for part in it.parts} if total is not None else {}
    sent = [each.score for each in given.answers if it.total and each.item == it.total.code and each.score is not None]
    return Scored(
        it.key, points, tuple(missing), total, reads.code if reads else None, parts, sent[-1] if sent else None,
        raises_crisis(given.answers),
    )  # fmt: skip


def _points(it: Instrument, item: Item, answers: list[Answer]) -> int | None:
    """What an item counts; None where it was not answered, answered twice, or with something that it does not offer."""
    if len(answers) != 1:
        return None
    said = answers[0]
    if item.kind == "integer":
        value = said.score if said.score is not None else _number(said.answer)
        if value is None or value != int(value) or not 0 <= value <= (item.highest or 0):
            return None
        whole = int(value)
        return next((worth for least, worth in reversed(item.points) if whole >= least), None) if item.points else whole
    offered = {choice.code: choice.score for choice in it.choices[item.choices]}
    if said.answer in offered:
        return offered[said.answer]
    value = said.score if said.score is not None else _number(said.answer)
    return int(value) if value is not None and value in offered.values() else None


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdecimal() else None


def suggested(
    it: Instrument, found: Scored, given: Given, *, needs: tuple[str, ...], urgency: str, minor: bool
) -> tuple[Suggested, ...]:
    """What the response suggests for a referral with these needs and this urgency: only what it has not got yet. Violence
    against a child is another need than against an adult (domain d-2)."""
    said: dict[tuple[str, str], str] = {}
    for item in it.items:
        for answer in given.answers:
            if answer.item == item.code and answer.answer:
                for need in item.needs.get(answer.answer, ()):
                    said.setdefault(("need", need), f"{it.key}/{item.code}")
    if found.total is not None:
        for rule in it.rules:
            if found.total >= rule.at:
                said.setdefault((rule.kind, rule.code), f"{it.key}/total")
    wanted: list[Suggested] = []
    for (kind, code), why in said.items():
        meant = "N13" if (kind, code, minor) == ("need", "N12", True) else code
        held = meant in needs if kind == "need" else kind == "urgency" and not _above(meant, urgency)
        if not held:
            wanted.append(Suggested(kind, meant, why))
    return tuple(wanted)


def _above(one: str, other: str) -> bool:
    return URGENCIES.index(one) > URGENCIES.index(other)


def is_minor(age_band: str) -> bool:
    """Whether an offer's age band is one of a child."""
    return codes.coarse_age_band(age_band) == "minor"
