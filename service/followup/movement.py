"""What of a stay is news to the referrals that it concerns; pure."""

from service.followup import schedule
from service.patients.model import Stay

ABROAD = frozenset({"cancelled", "entered-in-error"})
"""Of an admission that was none."""
UNDER_WAY = frozenset({"arrived", "triaged", "in-progress", "onleave", "finished"})


def news(before: Stay | None, stay: Stay) -> tuple[str, ...]:
    """What happened, as words of the timeline, in the order in which they are told. A stay that was not known before is no
    news; a discharge is told by itself, with how the person left."""
    if before is None:
        return ()
    found: list[str] = []
    if stay.status in ABROAD and before.status not in ABROAD:
        return ("undo-admit",)
    if schedule.discharged(before) and not schedule.discharged(stay):
        found.append("undo-discharge")
    if _lies(before) != _lies(stay) and not schedule.discharged(stay):
        found.append("move-ward")
    if before.expected_end != stay.expected_end:
        found.append("expected-discharge")
    if before.fit_at != stay.fit_at:
        found.append("fit" if stay.fit_at else "undo-fit")
    if before.status != "onleave" and stay.status == "onleave":
        found.append("away")
    elif before.status == "onleave" and stay.status in UNDER_WAY and stay.status not in ("onleave", "finished"):
        found.append("back")
    return tuple(found)


def _lies(stay: Stay) -> tuple[str | None, ...]:
    return stay.ward, stay.room, stay.bed, stay.department


def moved(before: Stay, stay: Stay) -> list[str]:
    """Which parts of where the person lies changed, by name: what they are called stays in the stay's own row."""
    names = ("ward", "room", "bed", "department")
    return [name for name, old, new in zip(names, _lies(before), _lies(stay), strict=True) if old != new]


def may_be_readmission(stay: Stay) -> bool:
    """Whether it is an admission of which one asks if it came soon after another: in-patient, and under way."""
    return stay.started_at is not None and stay.class_ in (None, "in") and stay.status in UNDER_WAY


def began_anew(before: Stay | None, stay: Stay) -> bool:
    """Whether one has to ask: the stay is new, was only planned so far, or began at another time than was said."""
    return (
        before is None
        or before.started_at != stay.started_at
        or before.class_ != stay.class_
        or not may_be_readmission(before)
    )
