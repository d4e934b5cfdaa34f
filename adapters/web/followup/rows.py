"""A follow-up in words: its window, what was tried, what comes next, and how its person may safely be reached."""

import re
from datetime import datetime

import msgspec
from babel.dates import get_day_names

from adapters.web.shell import Person
from adapters.web.speech import LOCALE, Speech, noted
from service import codes
from service.followup.agenda_flow import Call, Names
from service.followup.model import Attempt
from service.patients.model import Patient
from service.safety.contact import ContactRules, Hours
from service.values import Id

WINDOW = re.compile(r"([TD])(\d+)$")

FLAGS: dict[str, str] = {
    "contact-prohibited": noted("不可直接联系"),
    "supervisor-decides": noted("每一步由督导决定"),
    "channel-not-safe": noted("只能用指定的方式"),
    "time-not-safe": noted("只在安全时段"),
    "no-message": noted("不得留言"),
}
"""What a row warns of before anybody opens it."""


class Tried(msgspec.Struct, frozen=True):
    """An attempt in words; `broke` is the rule of safe contact that it broke, in words."""

    when: str
    exact: str
    at: datetime
    how: str
    result: str
    who: str
    reached: bool
    broke: str
    words: str
    window: str


class Row(msgspec.Struct, frozen=True):
    """One follow-up as the list shows it: `person` only where the reader may know them."""

    id: Id
    urgency: str
    needs: tuple[str, ...]
    person: Patient | None
    age_band: str | None
    gender: str | None
    region: str | None
    window: str
    visit: bool
    receiving: bool
    opens: str
    closes: str
    closes_exact: str
    closes_at: datetime | None
    late: bool
    near: bool
    tries: int
    last: Tried | None
    next: str
    next_exact: str
    next_how: str
    next_due: bool
    reached: bool
    flags: tuple[str, ...]
    guarded: bool
    worker: str
    mine: bool
    outcome: str
    referral: Id
    note: str


def window(code: str, speech: Speech) -> str:
    """The window as people call it; one that a deployment named otherwise keeps its name."""
    found = WINDOW.match(code)
    if not found:
        return code
    n = int(found[2])
    if found[1] == "T":
        return speech.ngettext("出院后 %(n)s 个工作日内", "出院后 %(n)s 个工作日内", n) % {"n": n}
    return speech.gettext("出院后第 %(n)s 天") % {"n": n}


def hours(said: Hours, speech: Speech) -> str:
    """Safe hours: 周一、周三 09:00–12:00, or every day."""
    names = get_day_names("abbreviated", locale=LOCALE[speech.language])
    comma = "、" if speech.language == "zh" else ", "
    on = comma.join(names[day - 1] for day in said.days) if said.days else speech.gettext("每天")
    return f"{on} {said.begins:%H:%M}–{said.ends:%H:%M}"


def flags(rules: ContactRules) -> tuple[str, ...]:
    """The rules of which a row warns, most forbidding first."""
    found = [
        "contact-prohibited" if rules.prohibited else "supervisor-decides" if rules.supervised else None,
        "channel-not-safe" if rules.channels else None,
        "time-not-safe" if rules.times else None,
        "no-message" if not rules.may_leave_message else None,
    ]
    return tuple(FLAGS[each] for each in found if each)


def tried(made: Attempt, names: Names, windows: dict[Id, str], speech: Speech, now: datetime) -> Tried:
    """An attempt as its own organisation reads it."""
    worker = names.workers.get(made.worker) if made.worker else None
    words = made.reason.text if made.reason and made.reason.text and made.result in (None, "other") else ""
    return Tried(
        when=speech.when(made.at, now),
        exact=speech.exact(made.at),
        at=made.at,
        how=speech.code(codes.CHANNEL, made.channel),
        result=speech.code(codes.CONTACT_RESULT, made.result or ("reached" if made.reached else "other")),
        who=worker.name if worker else "",
        reached=made.reached,
        broke=speech.code(codes.CONTACT_RULE, made.broke),
        words=words or "",
        window=window(windows.get(made.task, ""), speech) if made.task in windows else "",
    )


def row(call: Call, names: Names, who: Person, now: datetime) -> Row:
    """One follow-up as this reader may read it."""
    speech, task = who.speech, call.task
    told = task.follow_up
    closes = task.window_to
    worker = names.workers.get(task.worker) if task.worker else None
    proposed = told.proposed_at if told else None
    last = call.done or (call.tried.last if call.tried else None)
    late = task.open and closes is not None and closes < now
    words = next((note["text"] for note in task.notes if note.get("text")), "")
    return Row(
        id=task.id,
        urgency=task.urgency,
        needs=task.told_needs,
        person=call.person,
        age_band=task.age_band,
        gender=call.person.gender if call.person else task.gender,
        region=speech.name(names.regions.get(task.region)) or task.region if task.region else None,
        window=window(told.window, speech) if told else "",
        visit=bool(told and told.visit),
        receiving=bool(told and told.receiving),
        opens=_day(task.window_from, speech, now) if task.window_from and task.window_from > now else "",
        closes=_closes(closes, late, speech, now),
        closes_exact=speech.exact(closes) if closes else "",
        closes_at=closes,
        late=late,
        near=not late and closes is not None and (closes - now).total_seconds() < 24 * 3600,
        tries=call.tried.times if call.tried else 0,
        last=tried(last, names, {}, speech, now) if last else None,
        next=speech.when(proposed, now) if proposed else "",
        next_exact=speech.exact(proposed) if proposed else "",
        next_how=speech.code(codes.CHANNEL, told.proposed_channel) if told else "",
        next_due=proposed is not None and proposed <= now,
        reached=bool(told and told.reached),
        flags=flags(call.rules),
        guarded=call.rules.guarded,
        worker=worker.name if worker else "",
        mine=task.worker is not None and task.worker == who.actor.worker,
        outcome=speech.code(codes.FOLLOW_UP_OUTCOME, told.outcome) if told else "",
        referral=task.referral,
        note=words,
    )


def _day(at: datetime, speech: Speech, now: datetime) -> str:
    """When it begins: of a midnight the day alone."""
    return speech.when(at, now).removesuffix(" 00:00")


def _closes(closes: datetime | None, late: bool, speech: Speech, now: datetime) -> str:
    if closes is None:
        return ""
    if late:
        return speech.gettext("已超时 %(time)s") % {"time": speech.lasting((now - closes).total_seconds())}
    return speech.gettext("%(time)s 前") % {"time": speech.when(closes, now)}
