"""A mandatory report as it is recorded: the questions of its form, and what is wrong with an answer; pure (domain b-4).

The law says 立即, at once: so when it was known and when it was reported both stand in the record.
"""

from datetime import datetime

import msgspec

from service import safety_codes as lists
from service.errors import Issue
from service.values import LATE_CLOCK, Id

URL = "urn:yuanshe:questionnaire:mandatory-report"
TITLE = ("强制报告记录（封存）", "Record of a mandatory report (sealed)")


class Question(msgspec.Struct, frozen=True):
    """One question, by its link id: FHIR's type, and the code list of a choice."""

    code: str
    type: str
    zh: str
    en: str
    list: str | None = None
    required: bool = True
    repeats: bool = False


QUESTIONS = (
    Question("situation", "choice", "报告情形", "What triggered it", lists.REPORT_SITUATION),
    Question("known", "dateTime", "知悉时间", "When it was known or suspected"),
    Question("reported", "dateTime", "报告时间", "When it was reported"),
    Question("channel", "choice", "报告渠道", "By which channel", lists.REPORT_CHANNEL),
    Question("receiver", "string", "接警单位及民警", "Police station and officer that took it"),
    Question("receipt", "string", "接警编号或回执号", "Their number for it", required=False),
    Question("preserved", "choice", "保全的证据", "What was preserved", lists.PRESERVED, repeats=True),
    Question("reporter", "string", "报告人（姓名或工号、职务）", "Who reported (name or staff number, position)"),
)
"""What a report says, in its order."""


class NewReport(msgspec.Struct, frozen=True):
    """A report as it is recorded, or its correction under the same id. `about`: the person it names, by the real id or the one
    that an offer gave; None where it names nobody."""

    id: Id
    referral: Id
    situation: str
    known_at: datetime
    reported_at: datetime
    channel: str
    receiver: str
    reporter: str
    preserved: tuple[str, ...]
    receipt: str | None = None
    about: Id | None = None
    void: bool = False


def faults(new: NewReport, now: datetime) -> tuple[Issue, ...]:
    """What is wrong with its times, each with its place."""
    found: list[Issue] = []
    if new.reported_at < new.known_at:
        found.append(Issue("It was reported before it was known.", "item", "value"))
    if new.reported_at > now + LATE_CLOCK:
        found.append(Issue("A report is recorded after it was made.", "item", "value"))
    if "none" in new.preserved and len(new.preserved) > 1:
        found.append(Issue("Either nothing was preserved, or something.", "item", "value"))
    return tuple(found)
