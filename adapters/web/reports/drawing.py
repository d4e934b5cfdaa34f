"""What the charts are drawn from, and the rows of the tables that say the same."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import msgspec

from adapters.web.speech import Speech
from service import codes
from service.directory.model import Organization
from service.reports.model import Report
from service.values import Id

OLD = timedelta(days=7)
"""After which a capacity is no more to be relied on (D)."""
SHADES = 5


class Room(msgspec.Struct, frozen=True):
    """An agency's places in words: `share` is of 100, None where it declared none."""

    name: str
    places: int
    taken: int
    share: int | None
    confirmed: str
    exact: str
    old: bool


class Heat(msgspec.Struct, frozen=True):
    """Declines as a table of agency × reason: `rows` are a name and (count, shade 0 to 5) for each of `reasons`."""

    reasons: tuple[str, ...]
    rows: tuple[tuple[str, tuple[tuple[int, int], ...], int], ...]


def charts(report: Report, speech: Speech) -> dict[str, dict[str, Any]]:
    """Measure → what the library draws: `x` in seconds since 1970, `series` of a name, a kind and values."""
    weeks = _weeks(report)
    _ = speech.gettext
    by_week = {each.week: each for each in report.weeks}
    met = {each.week: each for each in report.contacts}
    followed = [each for each in report.followed if each.code]
    made: dict[str, dict[str, Any]] = {
        "acceptance": {
            "x": [_second(week) for week in weeks],
            "series": [
                *([{"name": _("收到"), "kind": "bars", "values": [by_week[w].received if w in by_week else 0 for w in weeks]}]
                  if any(each.received for each in report.weeks) else []),
                {"name": _("首次派单"), "kind": "line", "values": [by_week[w].offered if w in by_week else 0 for w in weeks]},
                {"name": _("其中已接单"), "kind": "line", "values": [by_week[w].accepted if w in by_week else 0 for w in weeks]},
            ],
        },
        "first-contact": {
            "x": [_second(week) for week in weeks],
            "unit": _("小时"),
            "series": [
                {"name": _("中位数"), "kind": "line", "values": [met[w].median if w in met else None for w in weeks]},
                {"name": _("第 90 百分位"), "kind": "line", "values": [met[w].ninetieth if w in met else None for w in weeks]},
            ],
        },
    }  # fmt: skip
    if followed:
        made["follow-up"] = {
            "labels": [each.code for each in followed],
            "x": list(range(len(followed))),
            "series": [
                {"name": _("到期"), "kind": "bars", "values": [each.due for each in followed]},
                {"name": _("窗口内联系上"), "kind": "bars", "values": [each.in_time for each in followed]},
            ],
        }
    return {
        code: chart | {"language": speech.html, "week": _("周（周一）")}
        for code, chart in made.items()
        if any(value for series in chart["series"] for value in series["values"])
    }


def _weeks(report: Report) -> list[date]:
    """Every week of the period, those without anything too."""
    monday = report.first - timedelta(days=report.first.weekday())
    return [monday + timedelta(days=7 * n) for n in range((report.last - monday).days // 7 + 1)]


def _second(day: date) -> int:
    # Midday: in whatever zone the browser is, it is still that day.
    return int(datetime.combine(day, time(4), UTC).timestamp())


def capacities(report: Report, named: Mapping[Id, Organization], speech: Speech, now: datetime) -> list[Room]:
    """Fullest first."""
    rows = [
        Room(
            name=speech.name(named.get(each.agency)), places=each.places, taken=each.taken,
            share=round(100 * each.taken / each.places) if each.places else None,
            confirmed=_ago(now - each.confirmed_at, speech),
            exact=speech.exact(each.confirmed_at), old=now - each.confirmed_at > OLD,
        )
        for each in report.capacities
    ]  # fmt: skip
    return sorted(rows, key=lambda row: (-(row.share or 0), row.name))


def _ago(age: timedelta, speech: Speech) -> str:
    if age < timedelta(minutes=1):
        return speech.gettext("刚刚确认")
    return speech.gettext("%(time)s前确认") % {"time": speech.lasting(age.total_seconds())}


def declines(report: Report, named: Mapping[Id, Organization], speech: Speech) -> Heat:
    """Agencies and reasons, most frequent first; the shade is of the highest count of all."""
    of_reason: dict[str | None, int] = {}
    of_agency: dict[Id, int] = {}
    count: dict[tuple[Id, str | None], int] = {}
    for each in report.declined:
        of_reason[each.reason] = of_reason.get(each.reason, 0) + each.count
        of_agency[each.agency] = of_agency.get(each.agency, 0) + each.count
        count[each.agency, each.reason] = each.count
    reasons = sorted(of_reason, key=lambda reason: -of_reason[reason])
    most = max(count.values(), default=0)
    rows = tuple(
        (
            speech.name(named.get(agency)),
            tuple(
                (n, -(-SHADES * n // most) if n else 0) for n in (count.get((agency, reason), 0) for reason in reasons)
            ),
            of_agency[agency],
        )
        for agency in sorted(of_agency, key=lambda agency: -of_agency[agency])
    )
    said = tuple(
        speech.code(codes.DECLINE_REASON, reason) if reason else speech.gettext("未写原因") for reason in reasons
    )
    return Heat(said, rows)
