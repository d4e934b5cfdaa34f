"""A line of a list in words, for paper: every time with its day, since paper is read later than it was printed."""

from datetime import datetime

import msgspec
from babel.dates import format_datetime

from adapters.web.followup import rows
from adapters.web.sentence import WHAT
from adapters.web.speech import LOCALE, Speech, noted
from service import codes
from service.casework.downtime import Line
from service.casework.downtime_flow import Lists
from service.values import SHANGHAI

WHY = {
    "contact-prohibited": noted("不得联系本人"),
    "supervisor-decides": noted("每一步由督导决定，先问督导"),
    "channel-not-safe": noted("打电话不安全"),
    "not-disclosed": noted("身份已不再开放"),
    "deceased": noted("本人已去世，不再联系"),
}
"""Why there is no number on a line."""


class Printed(msgspec.Struct, frozen=True):
    """A line in words."""

    number: str
    window: str
    urgency: str
    what: str
    who: str
    mine: bool
    by: str
    late: bool
    needs: str
    whom: str
    bed: str
    phone: str
    notes: tuple[str, ...]
    next: str


def stamp(at: datetime, speech: Speech) -> str:
    """A time on paper: 11月22日 周日 14:00."""
    pattern = "M月d日 EEE HH:mm" if speech.language == "zh" else "EEE d MMM HH:mm"
    return format_datetime(at.astimezone(SHANGHAI), pattern, locale=LOCALE[speech.language])


def printed(line: Line, found: Lists, made_at: datetime, speech: Speech) -> Printed:
    """A line as somebody reads it on paper."""
    organization = found.organizations.get(line.organization) if line.organization else None
    worker = found.workers.get(line.worker) if line.worker else None
    who = worker.name if worker and line.mine else "" if line.mine else speech.name(organization)
    comma = "、" if speech.language == "zh" else ", "
    return Printed(
        number=line.number,
        window=rows.window(line.window, speech) if line.window else "",
        urgency=speech.code(codes.URGENCY, line.urgency),
        what=_what(line.what, speech),
        who=who,
        mine=line.mine,
        by=stamp(line.by, speech) if line.by else "",
        late=line.by is not None and line.by < made_at,
        needs=comma.join(speech.code(codes.NEED, need) for need in line.needs),
        whom=whom(line.called, line.gender, speech),
        bed=line.bed or "",
        phone=line.phone or "",
        notes=_notes(line, speech),
        next=f"{stamp(line.next_at, speech)} {speech.code(codes.CHANNEL, line.next_channel)}" if line.next_at else "",
    )


def _what(what: str, speech: Speech) -> str:
    if what in WHAT:
        return speech.gettext(WHAT[what])
    return speech.code(codes.TASK_CODE, what)


def whom(called: str | None, gender: str | None, speech: Speech) -> str:
    """Whom to ask for: 陈女士, Ms 陈."""
    if not called:
        return ""
    if speech.language == "zh":
        return called + {"female": "女士", "male": "先生"}.get(gender or "", "")
    return f"{ {'female': 'Ms ', 'male': 'Mr '}.get(gender or '', '') }{called}"


def _notes(line: Line, speech: Speech) -> tuple[str, ...]:
    """How the person may be reached, or why not."""
    comma = "、" if speech.language == "zh" else ", "
    said: list[str] = []
    if line.rule:
        said.append(speech.gettext(WHY.get(line.rule, "")) if line.rule in WHY else speech.code(codes.CONTACT_RULE, line.rule))  # fmt: skip
    if line.channels:
        said.append(speech.gettext("只能用：%(ways)s。") % {"ways": comma.join(speech.code(codes.CHANNEL, each) for each in line.channels)})  # fmt: skip
    if line.times:
        said.append(speech.gettext("只在：%(hours)s。") % {"hours": comma.join(rows.hours(each, speech) for each in line.times)})  # fmt: skip
    if line.phone and not line.may_leave_message:
        said.append(speech.gettext("不得留言，只对本人说。"))
    return tuple(said)
