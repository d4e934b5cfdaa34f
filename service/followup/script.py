"""What to say on a call, in both languages: parts of `script.json` that fit the window, the needs and the risk; pure."""

from collections.abc import Sequence
from importlib import resources

import msgspec


class Words(msgspec.Struct, frozen=True):
    """The same in both languages."""

    zh: str
    en: str

    def of(self, language: str) -> str:
        return self.en if language == "en" else self.zh


class When(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a part is said: in any of these windows, with any of these needs or (`risk`) an urgency that says so, to the person
    `alone` or not, on a `visit`, of somebody who went on to another institution. What is not named does not matter."""

    windows: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    risk: bool = False
    alone: bool | None = None
    visit: bool = False
    receiving: bool = False


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A heading and what is said under it; `source` names where it is from."""

    when: When
    source: str
    title: Words
    lines: tuple[Words, ...]


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    sources: dict[str, Words]
    parts: tuple[Part, ...]


_FILE = msgspec.json.decode(resources.files("service.followup").joinpath("script.json").read_bytes(), type=_File)
SOURCES = _FILE.sources
PARTS = _FILE.parts
RISKY = frozenset({"stat", "asap"})
"""Urgencies with which mood and safety are asked after, whatever the need."""


def script(
    window: str, needs: Sequence[str], urgency: str, *, alone: bool, visit: bool, receiving: bool
) -> tuple[Part, ...]:
    """The parts of this call, in their order. With `alone` nothing is said but what is said to the person alone."""

    def fits(when: When) -> bool:
        if when.alone is not None and when.alone != alone:
            return False
        if when.windows and window not in when.windows:
            return False
        if when.needs and set(when.needs).isdisjoint(needs) and not (when.risk and urgency in RISKY):
            return False
        return not (when.visit and not visit) and not (when.receiving and not receiving)

    return tuple(part for part in PARTS if fits(part.when))
