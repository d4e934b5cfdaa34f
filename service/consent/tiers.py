"""Who may read what at which stage, as one table (domain f-7); pure. The disclosure property test holds every route to it."""

from collections.abc import Collection
from typing import Literal

from service.consent.categories import OPTIONAL

Role = Literal["hospital", "coordinator", "auditor", "social_worker", "supervisor", "volunteer"]
Stage = Literal["offered", "offered-safety", "accepted", "disclosed", "broken-glass", "ended"]
"""How far an agency's share is. `accepted`: with neither a consent nor a lawful basis, or under a conflict of interest."""
ELEMENTS = (
    "urgency", "need", "safety", "county", "age-group", "age-band", "gender", "street", "language",
    "given-name", "name", "phone", "address", "birth-date", "masked-number", "whole-number", "request-text",
    "stay", "screening", "clinical", "diagnosis-group", "documents", "visit", "case-notes", "own-work", "sealed",
)  # fmt: skip
"""What can be read of a person and of the work with them, as words."""
Seen = frozenset[str]

T0_SAFETY: Seen = frozenset({"urgency", "safety", "county", "age-group"})
T0: Seen = frozenset({"urgency", "need", "age-band", "gender", "street", "language"})
IDENTITY: Seen = T0 | {"name", "phone", "address", "birth-date", "masked-number", "request-text"}
T1: Seen = IDENTITY | {"stay", "screening", "clinical", "diagnosis-group", "documents", "own-work"}
T2: Seen = T1 | {"case-notes"}
VISIT: Seen = frozenset({"given-name", "address", "visit"})
HOSPITAL: Seen = IDENTITY | OPTIONAL | {"whole-number", "sealed"}
"""What it sent itself; of an agency's work only what is given back."""
COORDINATOR: Seen = HOSPITAL | T2
NOTHING: Seen = frozenset()

AGENCY: dict[Stage, Seen] = {
    "offered": T0,
    "offered-safety": T0_SAFETY,
    "accepted": T0 | {"own-work"},
    "disclosed": T1,
    "broken-glass": IDENTITY | {"own-work"},
    "ended": T0 | {"own-work"},
}
"""An agency's staff. A person of its staff who signs in is held to their role; its program acts for all of them."""

TABLE: dict[tuple[Role, Stage], Seen] = {
    **{("hospital", stage): HOSPITAL for stage in AGENCY},
    **{("coordinator", stage): COORDINATOR for stage in AGENCY},
    **{("auditor", stage): NOTHING for stage in AGENCY},
    **{("social_worker", stage): seen for stage, seen in AGENCY.items()},
    **{
        ("supervisor", stage): seen | ({"case-notes"} if "own-work" in seen else NOTHING)
        for stage, seen in AGENCY.items()
    },
    **{("volunteer", stage): VISIT if stage == "disclosed" else NOTHING for stage in AGENCY},
}
"""What each role reads at each stage of a share, T0 to T3. A volunteer reads a visit that was agreed to, and nothing else."""


def readable(role: Role, stage: Stage, withheld: Collection[str] = (), *, safety: bool = False) -> Seen:
    """What may be read. `withheld`: categories that the ground leaves out; of the disclosure to an agency alone. A share with a
    safety need says no more before disclosure than its offer did."""
    if safety and role in ("social_worker", "supervisor") and stage in ("offered", "accepted", "ended"):
        return T0_SAFETY | (TABLE[role, stage] & {"own-work", "case-notes"})
    seen = TABLE[role, stage]
    if role not in ("social_worker", "supervisor") or stage != "disclosed":
        return seen
    left = frozenset(withheld)
    return frozenset(e for e in seen if e not in left and not (e == "diagnosis-group" and "clinical" in left))


COMPOUND = (
    "欧阳", "太史", "端木", "上官", "司马", "东方", "独孤", "南宫", "万俟", "闻人", "夏侯", "诸葛", "尉迟", "公羊", "赫连", "澹台",
    "皇甫", "宗政", "濮阳", "公冶", "太叔", "申屠", "公孙", "慕容", "仲孙", "钟离", "长孙", "宇文", "司徒", "鲜于", "司空", "令狐",
)  # fmt: skip
"""Family names of two characters."""


def given_name(name: str | None) -> str | None:
    """What a volunteer calls a person by: of a Chinese name what follows the family name, of others the first word."""
    words = (name or "").split()
    if not words:
        return None
    whole = "".join(words)
    if "\u3400" <= whole[0] <= "\u9fff":
        family = 2 if len(whole) > 2 and whole[:2] in COMPOUND else 1
        return whole[family:] or None
    return words[0] if len(words) > 1 else None


def family_name(name: str | None) -> str | None:
    """What somebody is asked for by on the telephone: what `given_name` leaves of a name."""
    whole = "".join((name or "").split())
    given = given_name(name)
    if not whole:
        return None
    if given is None:
        return whole
    if "\u3400" <= whole[0] <= "\u9fff":
        return whole[: len(whole) - len(given)]
    return " ".join((name or "").split()[1:]) or None
