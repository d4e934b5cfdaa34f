"""What a hospital's system tells of a person's way through the house, and what of it is newer than what is known; pure.

Messages come late and in any order, so every fact keeps the time at which it had happened: an older message fills what
nobody told yet and overrides nothing. Only a cancelled discharge opens a stay again that has ended.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from service.errors import Conflict
from service.patients.model import Identifier, Patient, Stay
from service.values import Id


class Fact(msgspec.Struct, frozen=True):
    """One thing told: `fields` of the person or stay (None: deleted), and the elements by which it is `shown` in the
    resource, in its protocol's own words. `retracts`: it only takes back what was told before, as “not dead”, which systems
    send of everybody, is no word against a death that came by another way."""

    fields: dict[str, Any]
    shown: dict[str, Any] = {}
    retracts: bool = False


class ToldStay(msgspec.Struct, frozen=True):
    """What is told of a stay. Without a number the person's one open stay is meant; `begins`: one is made where there is
    none. `opens`: it says that the stay goes on, which an ended one does not believe unless `reopens`."""

    facts: dict[str, Fact]
    number: Identifier | None = None
    begins: bool = False
    opens: bool = False
    reopens: bool = False


class Tidings(msgspec.Struct, frozen=True):
    """One event of one person at one time. `absorbed`: the numbers of a record that is the same person's."""

    event: str
    at: datetime
    identifiers: tuple[Identifier, ...]
    person: dict[str, Fact]
    stay: ToldStay | None = None
    absorbed: tuple[Identifier, ...] = ()


class Heard(msgspec.Struct, frozen=True):
    """What came of it: whom it was about, and whether anything changed."""

    patient: Id
    stay: Id | None
    changed: bool


Write = Callable[[Patient | Stay, bytes | None, Mapping[str, Any]], bytes]
"""The resource as it is stored: of the person or stay, what was there before, and the elements that are shown anew."""

Times = dict[str, datetime]
"""Fact → when what is known of it had happened."""


def newer(told: Times, facts: Mapping[str, Fact], at: datetime) -> dict[str, Fact]:
    """Those of these facts that nothing newer was told of. At the same time, what comes later is newer."""
    return {name: fact for name, fact in facts.items() if (told[name] <= at if name in told else not fact.retracts)}


END = ("state", "end", "disposition")
"""The facts of a stay that say whether and how it ended."""


def of_stay(stay: Stay | None, told: Times, about: ToldStay, at: datetime) -> dict[str, Fact]:
    """What of the news a stay takes. Raises Conflict for an admission after the stay's end: another stay, under its number."""
    facts = newer(told, about.facts, at)
    ended = stay is not None and stay.status == "finished"
    if ended and about.opens and not about.reopens:
        if about.begins and "state" in facts and stay is not None and stay.ended_at is not None and at > stay.ended_at:
            raise Conflict(
                "The stay with this number has ended; send the cancelled discharge (A13), or the new stay under a number of its own.",
                at="stay",
                key="stay-ended",
            )
        facts = {name: fact for name, fact in facts.items() if name not in END}
    state = facts.get("state")
    status = state.fields["status"] if state else stay.status if stay else "in-progress"
    if status != "finished":
        # How somebody is expected to leave is no way of having left.
        facts = {name: fact for name, fact in facts.items() if name not in ("end", "disposition") or _empties(fact)}
    return facts


def _empties(fact: Fact) -> bool:
    return all(value is None for value in fact.fields.values())


_T = TypeVar("_T", Patient, Stay)


def laid(over: _T, facts: Mapping[str, Fact]) -> _T:
    """The person or stay with these facts."""
    fields = {name: value for fact in facts.values() for name, value in fact.fields.items()}
    return msgspec.structs.replace(over, **fields)


def shown(facts: Mapping[str, Fact]) -> dict[str, Any]:
    """The elements of these facts."""
    return {path: element for fact in facts.values() for path, element in fact.shown.items()}
