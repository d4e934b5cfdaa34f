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
    """A follow-up after discharge: contact is wanted from the day `opens` to the end of the day `closes`, counted from the
    day of discharge, which is 0; in working days or by the calendar."""

    code: str
    opens: int
    closes: int
    working: bool = False


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
    spoken_consent: Limit = Limit(7 * DAY)
    """How long a spoken consent holds that no witness heard; until then it is signed or witnessed."""
    break_glass: Limit = Limit(4 * HOUR)
    """How long a broken glass shows who somebody is."""
    review_access: Limit = Limit(24 * HOUR, working=True)
    """Within which somebody looks at why a glass was broken."""
    notify_later: Limit = Limit(24 * HOUR, working=True)
    """Within which a person is told of what was disclosed without their consent, where telling does no harm."""
    name_worker: Limit = Limit(8 * HOUR, working=True)
    """Within which an agency names another worker in place of one with a conflict of interest."""
    hold: Limit = Limit(14 * DAY)
    return_grace: Limit = Limit(2 * HOUR)
    assessment: Limit = Limit(7 * DAY)
    review: Limit = Limit(30 * DAY)
    """Of a service plan that names no review date of its own."""
    plan: Limit = Limit(7 * DAY)
    """From the end of the assessment to a plan that is signed off (domain b-2)."""
    supervision: Limit = Limit(30 * DAY)
    """From one supervision note to the next while the intervention goes on."""
    note: Limit = Limit(24 * HOUR)
    """From a contact to its process note; a later note counts late (domain row 19)."""
    evaluation: Limit = Limit(14 * DAY)
    closure: Limit = Limit(5 * 8 * HOUR, working=True)
    """From the end of the evaluation to a closure summary that is signed off."""
    crisis_acknowledge: Limit = Limit(30)
    crisis_plan: Limit = Limit(2 * HOUR)
    crisis_report: Limit = Limit(HOUR)
    crisis_stand_down: Limit = Limit(24 * HOUR)
    page_next: int = 300
    """Seconds without acknowledgement after which the next one of the ladder is called in a crisis."""
    page_again: int = 1800
    """Seconds after which the last one of the ladder is called again, for as long as nobody acknowledges."""
    page_retry: tuple[int, ...] = (5, 15, 60)
    """Seconds between the tries of one call; after the last one it did not arrive, and the next one of the ladder is called."""
    follow_up: tuple[Window, ...] = (
        Window("T2", 0, 2, working=True),
        Window("D7", 5, 7),
        Window("D14", 12, 14),
        Window("D30", 27, 30),
        Window("D90", 83, 90),
    )
    """Domain d-5. The first window is the first contact."""
    follow_up_against_advice: Limit = Limit(24 * HOUR)
    """Closes the first window of a person who left against advice."""
    follow_up_visit: str = "D7"
    """The window that is a visit when the risk is high."""
    lace_high: int = 10
    """LACE score from which the risk of readmission is high."""
    merge_review: Limit = Limit(16 * HOUR, working=True)
    """How long the hospital may take to look at two open referrals for the same need of what turned out to be one person."""
    bereavement: Limit = Limit(72 * HOUR)
    """By when somebody offers support to the family of a person who died."""
    closure_after_death: Limit = Limit(40 * HOUR, working=True)
    """By when an agency closes what it did for a person who died: five working days, as for the summary of a closure."""
    readmission_days: int = 31
    """A new stay within so many days after a discharge is a readmission (the front sheet of Chinese medical records counts 31)."""
    visit_grace: Limit = Limit(24 * HOUR)
    """How long after its time a planned visit may still take place before it is missed."""
    missed_visit: Limit = Limit(8 * HOUR, working=True)
    """Within which a missed visit is made up for, or somebody says why not."""
    phone_tries: int = 2
    """How often the telephone is tried before somebody goes there (anchor: US TCM, at least two attempts)."""
    review_contact: Limit = Limit(8 * HOUR, working=True)
    """Within which a supervisor looks at an attempt that was not safe, or at a loss before everything was tried."""
    lost_needs_ladder: bool = False
    """Whether `lost` is refused until every rung was tried, or a supervisor says so; else it stands, and a supervisor looks at it."""
    capacity_confirmed: Limit = Limit(7 * DAY)
    """How long what an agency said of its capacity is taken for known: then it is grey, and the agency is asked again."""
    warn_at: float = 0.8
    answers_kept: Limit = Limit(24 * HOUR)
    """How long the answer to a write that its sender named (`X-Request-ID`) is kept to be given again."""
    administrative_share: float = 0.4
    """From which share of administration in a worker's time on they are listed (domain a, row 17)."""
    caseload: int = 25
    """How many open cases a worker is asked to carry at once; nothing is refused above it, a table shows who is over."""
    capacity_fresh: Limit = Limit(7 * DAY)
    """How long what an agency said of its capacity is believed; older it is shown as old."""
    time_back: Limit = Limit(31 * DAY)
    """How long ago time may have been spent that is written down now."""
    attachment_octets: int = 10_000_000
    """How large a file may be."""
    attachment_types: tuple[str, ...] = ("application/pdf", "image/png", "image/jpeg", "text/plain")
    """The files that are taken: any of these, which are all that can be told from their content."""
    session: Limit = Limit(12 * HOUR)
    """How long a person stays signed in at most."""
    session_idle: Limit = Limit(30)
    """After how long without any request a session ends."""
    sign_in_failures: int = 5
    """Failures in a row under one login that lock it."""
    sign_in_lock: Limit = Limit(15)
    """For how long."""
    draft_kept: Limit = Limit(7 * DAY)
    """How long a draft of a referral is kept after somebody last typed in it."""
    scan_seconds: int = 30
    """How long the scanner may take for one file."""
    scan_again: tuple[Limit, ...] = (Limit(1), Limit(5), Limit(30), Limit(HOUR))
    """After how long a file of which the scanner could not say anything is scanned again; the last one for ever after."""
    orphans_after: Limit = Limit(DAY)
    """How old a file is that no row names, before it is swept out."""
    export_hours: int = 24
    """How long the files of an export in bulk are kept once it is done."""
    hl7_kept: Limit = Limit(30 * DAY)
    """How long the text of an HL7 v2 message is kept once it is applied or dropped; that it came is kept."""
    workdays: dict[date, bool] = {}
    """Days that an imported calendar decides, before the calendar library is asked."""
