"""Charts for those who would rather look than read: each with its table, its definition and its period."""

from datetime import date, timedelta
from typing import Any

from litestar import MediaType, Request, get
from litestar.datastructures import State

from adapters.web import faults, shell
from adapters.web.reports import drawing
from adapters.web.shell import Page, Signed
from adapters.web.speech import noted
from service.access import flow as access
from service.directory import store as directory
from service.errors import Invalid
from service.reports import flow
from service.reports.measures import MEASURES
from service.values import local_day, utc_now

PERIODS: dict[str, tuple[int, str]] = {
    "4": (4, noted("近 4 周")),
    "13": (13, noted("近 13 周")),
    "52": (52, noted("近 52 周")),
}
"""Choices of a period: weeks, this one included."""
USUAL = "13"


@get("/reports", media_type=MediaType.HTML)
async def reports(request: Request[Any, Any, Any], state: State, who: Signed) -> Page:
    """The figures of a period, as far as the reader's side goes."""
    today, fault = local_day(utc_now()), None
    asked = request.query_params
    period = asked.get("weeks", "" if "from" in asked else USUAL)
    first, last = _days(period, today)
    try:
        first, last = (
            date.fromisoformat(asked.get("from", "") or f"{first}"),
            date.fromisoformat(asked.get("to", "") or f"{last}"),
        )
        _sound(first, last)
    except (ValueError, Invalid) as wrong:
        refusal = (
            wrong if isinstance(wrong, Invalid) else Invalid("A day is written 2026-11-22.", at="from", key="period")
        )
        fault, period = faults.told(refusal, who.speech), USUAL
        first, last = _days(period, today)
    async with access.open(state.database, who.actor, shell.call(request, "page-reports")) as session:
        found = await flow.report(session, who.actor, first, last, session.began)
        named = await directory.organizations(
            session, {each.agency for each in found.capacities} | {each.agency for each in found.declined}
        )
        now = session.began
    return shell.page(
        request, "reports/reports.html", who, who.speech, status=422 if fault else 200, title=noted("报表"), fault=fault,
        report=found, measures=MEASURES, periods=PERIODS, period=period, charts=drawing.charts(found, who.speech),
        capacities=drawing.capacities(found, named, who.speech, now), declines=drawing.declines(found, named, who.speech),
    )  # fmt: skip


def _days(period: str, today: date) -> tuple[date, date]:
    """Whole weeks from Monday, up to today."""
    weeks = PERIODS.get(period, PERIODS[USUAL])[0]
    return today - timedelta(days=today.weekday() + 7 * (weeks - 1)), today


def _sound(first: date, last: date) -> None:
    if last < first:
        raise Invalid("The period ends before it begins.", at="to", key="period")
    if (last - first).days > flow.LONGEST:
        raise Invalid(f"A report covers at most {flow.LONGEST} days.", at="from", key="period-long")


route_handlers = [reports]
