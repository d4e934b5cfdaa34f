"""`/team/files`: how complete the case files are; what is missing, what does not hang together, which reviews are overdue."""

from datetime import datetime
from typing import Any

import msgspec
from litestar import MediaType, Request, get
from litestar.datastructures import State

from adapters.web import paging, shell
from adapters.web.shell import Page, Person, Signed
from adapters.web.speech import noted
from service import codes
from service.access import flow as access
from service.case_codes import CASE_DOCUMENT, CASE_ORPHAN
from service.casework.phases import ORDER
from service.quality import completeness_flow as files
from service.quality.completeness_flow import Known
from service.values import Id, as_id

AT_A_TIME = 50
SHOWS = {"missing": noted("缺文书"), "broken": noted("脱节之处"), "reviews": noted("复核超时")}


class Line(msgspec.Struct, frozen=True):
    """One case in a list: what is wrong in it, in words."""

    task: Id
    person: str | None
    phase: str
    worker: str
    what: str
    percent: int | None = None
    when: str = ""
    exact: str = ""


@get("/team/files", media_type=MediaType.HTML)
async def completeness(request: Request[Any, Any, Any], state: State, who: Signed) -> Page:
    """The figures, and one of the lists."""
    asked = request.query_params
    show = asked.get("show") if asked.get("show") in SHOWS else "missing"
    async with access.open(state.database, who.actor, shell.call(request, "page-files")) as session:
        figures = await files.figures(session, who.actor)
        now = session.began
        lines: list[Line] = []
        after: str | None = None
        if show == "missing":
            lacking = await files.lacking(session, who.actor, as_id(asked.get("after")), AT_A_TIME)
            for each in lacking.rows:
                what = who.speech.gettext("、").join(who.speech.code(CASE_DOCUMENT, code) for code in each.lacks)
                lines.append(
                    _line(
                        each.task,
                        each.patient,
                        each.worker,
                        each.phase,
                        what,
                        lacking.known,
                        who,
                        now,
                        percent=each.percent,
                    )
                )
            after = str(lacking.after) if lacking.after else None
        elif show == "broken":
            broken = await files.broken(session, who.actor, as_id(asked.get("after")), AT_A_TIME)
            for each in broken.rows:
                what = who.speech.code(CASE_ORPHAN, each.kind) + (
                    f" · {who.speech.code(codes.NEED, each.need)}" if each.need else ""
                )
                lines.append(_line(each.task, None, None, each.phase, what, None, who, now, at=each.since))
            after = str(broken.after) if broken.after else None
        else:
            place = paging.place(asked.get("after"))
            reviews = await files.reviews(
                session, who.actor, now, (place[0], place[1]) if place and place[0] else None, AT_A_TIME
            )
            for each in reviews.rows:
                late = who.speech.lasting((now - each.at).total_seconds())
                what = who.speech.gettext("服务计划复核已超时 %(time)s") % {"time": late}
                lines.append(
                    _line(each.task, each.patient, each.worker, each.phase, what, reviews.known, who, now, at=each.at)
                )
            after = paging.written(reviews.after)
    by_phase = {each.phase: each for each in figures}
    return shell.page(
        request, "dispatch/files.html", who, who.speech, title=who.speech.gettext("档案完整度"), show=show, shows=SHOWS, lines=lines, next=after,
        whole=by_phase.get(None), figures=[(who.speech.code(codes.CASE_PHASE, phase), by_phase[phase]) for phase in ORDER if phase in by_phase],
        later="after" in asked,
    )  # fmt: skip


def _line(
    task: Id, patient: Id | None, worker: Id | None, phase: str, what: str, known: Known | None, who: Person, now: datetime, *,
    percent: int | None = None, at: datetime | None = None,
) -> Line:  # fmt: skip
    person = known.patients.get(patient) if known and patient else None
    named = known.workers.get(worker) if known and worker else None
    return Line(
        task, person.name if person else None, who.speech.code(codes.CASE_PHASE, phase), named.name if named else "", what, percent,
        who.speech.when(at, now) if at else "", who.speech.exact(at) if at else "",
    )  # fmt: skip


route_handlers = [completeness]
