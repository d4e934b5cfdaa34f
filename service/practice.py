"""How this deployment works: limits, working hours, calendar and schedule, each our own default (D) and configurable."""

from datetime import date, time
from typing import Literal

import msgspec

from service.values import Id

PLATFORM: Id = Id("0190a000-0000-7000-8000-000000000001")
"""The coordinating platform's own organisation: one a deployment, so its id is a constant."""


class Limit(msgspec.Struct, frozen=True):
    """How long a step may take: `minutes`, counted in working time or by the calendar (24×7)."""

    minutes: int
    working: bool = False


HOUR, DAY = 60, 24 * 60


class Window(msgspec.Struct, frozen=True):
    """A follow-up after discharge: contact is wanted between `opens` and `closes`, both counted from the discharge."""

    code: str
    opens: Limit
    closes: Limit


Urgency = Literal["routine", "urgent", "asap", "stat"]


class Practice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Every default of domain.md that is marked (D); read from a JSON file, none of them a standard.

    Working limits count minutes of the working day between `opens` and `closes`; one working day is `closes - opens`.
    """

    opens: time = time(9, 0)
    closes: time = time(17, 0)
    reply: dict[str, Limit] = msgspec.field(
        default_factory=lambda: {
            "stat": Limit(30),
            "asap": Limit(2 * HOUR),
            "urgent": Limit(4 * HOUR, working=True),
            "routine": Limit(8 * HOUR, working=True),
        }
    )
    first_contact: dict[str, Limit] = msgspec.field(
        default_factory=lambda: {
            "stat": Limit(2 * HOUR),
            "asap": Limit(24 * HOUR),
            "urgent": Limit(48 * HOUR),
            "routine": Limit(72 * HOUR),
        }
    )
    information: Limit = Limit(8 * HOUR, working=True)
    consent: Limit = Limit(16 * HOUR, working=True)
    hold: Limit = Limit(14 * DAY)
    return_grace: Limit = Limit(2 * HOUR)
    assessment: Limit = Limit(7 * DAY)
    review: Limit = Limit(30 * DAY)
    crisis_acknowledge: Limit = Limit(30)
    crisis_plan: Limit = Limit(2 * HOUR)
    crisis_report: Limit = Limit(HOUR)
    crisis_stand_down: Limit = Limit(24 * HOUR)
    follow_up: tuple[Window, ...] = (
        Window("T2", Limit(0), Limit(16 * HOUR, working=True)),
        Window("D7", Limit(5 * DAY), Limit(7 * DAY)),
        Window("D14", Limit(12 * DAY), Limit(14 * DAY)),
        Window("D30", Limit(27 * DAY), Limit(30 * DAY)),
        Window("D90", Limit(83 * DAY), Limit(90 * DAY)),
    )
    """Domain d-5. The first window is the first contact."""
    follow_up_against_advice: Limit = Limit(24 * HOUR)
    """Closes the first window of a person who left against advice."""
    follow_up_visit: str = "D7"
    """The window that is a visit when the risk is high."""
    lace_high: int = 10
    """LACE score from which the risk of readmission is high."""
    next_attempt: Limit = Limit(8 * HOUR, working=True)
    """After an attempt that reached nobody."""
    warn_at: float = 0.8
    workdays: dict[date, bool] = {}
    """Days that an imported calendar decides, before the calendar library is asked."""
