"""Work against what can be taken: agencies for the coordinator, workers for their supervisor; each number leads to its list."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from litestar import MediaType, Request, get
from litestar.datastructures import State

from adapters.web import faults, paging, shell
from adapters.web.dispatch import crises, rows
from adapters.web.dispatch.capacity import Places, places
from adapters.web.shell import Page, Person, Signed
from adapters.web.speech import Speech, noted
from service import codes
from service.access import flow as access
from service.casework import signing_flow
from service.casework.phases import ORDER
from service.errors import NotFound
from service.notices import crises_flow
from service.quality import completeness_flow, workload_flow
from service.quality.workload_flow import BEHIND, OfAgency, OfWorker
from service.quality.workload_store import Load
from service.referrals import escalation_flow
from service.values import Id, as_id

AT_A_TIME = 50
COLUMNS = {
    "offered": noted("待答复"),
    "working": noted("进行中"),
    "paused": noted("暂停中"),
    "late": noted("超时"),
    "follow-ups": noted("随访"),
    "due": noted("一天内到期的随访"),
}
"""The figures of a table, by the word of the list behind each."""
SHOWS = COLUMNS | {"open": noted("全部")}


class Line(msgspec.Struct, frozen=True):
    """One row of a table of work: `of` is what its links ask for; `wide` is the bar of its cases against the limit, in percent."""

    name: str
    note: str
    of: str
    counts: Mapping[str, int]
    cases: int
    phases: tuple[tuple[str, str, int], ...]
    places: tuple[Places, ...] = ()
    held: int = 0
    limit: int = 0
    wide: float = 0
    over: int = 0
    minutes: int = 0
    hours: str = ""
    administrative: int = 0
    much: bool = False


def _counts(load: Load) -> dict[str, int]:
    return {
        "offered": load.offered, "working": load.working, "paused": load.paused, "late": load.late,
        "follow-ups": load.follow_ups, "due": load.due,
    }  # fmt: skip


def _phases(found: Mapping[str, int], speech: Speech) -> tuple[tuple[str, str, int], ...]:
    return tuple((phase, speech.code(codes.CASE_PHASE, phase), found[phase]) for phase in ORDER if found.get(phase))


def _sorted(lines: list[Line], request: Request[Any, Any, Any], usual: str) -> tuple[list[Line], str]:
    """The lines by the column that a link asks for, most first; by name those that are level."""
    by = request.query_params.get("sort", usual)
    ways: dict[str, Any] = {column: lambda line, column=column: -line.counts[column] for column in COLUMNS}
    ways |= {
        "name": lambda _: 0,
        "cases": lambda line: -line.cases,
        "held": lambda line: -line.wide,
        "minutes": lambda line: -line.minutes,
    }
    by = by if by in ways else usual
    return sorted(lines, key=lambda line: (ways[by](line), line.name)), by


@get("/dispatch/agencies", media_type=MediaType.HTML)
async def agencies(request: Request[Any, Any, Any], state: State, who: Signed) -> Page:
    """Every agency's open work against its places."""
    async with access.open(state.database, who.actor, shell.call(request, "page-agencies")) as session:
        found = await workload_flow.of_agencies(session, who.actor, session.began)
        now, fresh = session.began, session.practice.capacity_fresh.minutes
    lines, by = _sorted([_agency(each, who.speech, now, fresh) for each in found], request, "late")
    return shell.page(
        request, "dispatch/work.html", who, who.speech, title=who.speech.gettext("机构工作量"), lines=lines, by=by, columns=COLUMNS,
        team=False, path="/dispatch/agencies", behind="/dispatch/work", crises=[], services=(), month="", todo=(),
    )  # fmt: skip


def _agency(it: OfAgency, speech: Speech, now: datetime, fresh: int) -> Line:
    return Line(
        name=speech.name(it.agency), note=speech.code(codes.AGENCY_STATUS, it.agency.status), of=f"agency={it.agency.id}",
        counts=_counts(it.load), cases=sum(it.phases.values()), phases=_phases(it.phases, speech),
        places=places(it.services, speech, now, fresh), held=it.held, limit=it.places,
        wide=round(it.held * 100 / it.places, 1) if it.places else (100.0 if it.held else 0.0), over=max(it.held - it.places, 0),
    )  # fmt: skip


@get("/team", media_type=MediaType.HTML)
async def team(request: Request[Any, Any, Any], state: State, who: Signed) -> Page:
    """Who has what: everybody of the supervisor's agency, against the limits of practice; crises above all."""
    async with access.open(state.database, who.actor, shell.call(request, "page-team")) as session:
        found = await workload_flow.of_workers(session, who.actor, session.began)
        capacity = await workload_flow.capacity(session, who.actor)
        up = await crises_flow.up(session, who.actor, session.began)
        unsigned = await signing_flow.waiting(session, who.actor, limit=51)
        escalated = await escalation_flow.escalations(session, who.actor, limit=51)
        files = await completeness_flow.figures(session, who.actor)
        now, practice = session.began, session.practice
    lines, by = _sorted(
        [_worker(each, who, practice.caseload, practice.administrative_share) for each in found], request, "late"
    )
    return shell.page(
        request, "dispatch/work.html", who, who.speech, title=who.speech.gettext("团队"), lines=lines, by=by, columns=COLUMNS, team=True,
        path="/team", behind="/team/work", crises=crises.rows(up, who, now), month=who.speech.gettext("本月工时"),
        todo=(
            ("/team/approvals", who.speech.gettext("待签批"), len(unsigned)),
            ("/team/escalations", who.speech.gettext("升级未知悉"), sum(row.seen_at is None for row in escalated.rows)),
            ("/team/files", who.speech.gettext("缺文书的个案"), next((each.lacking for each in files if each.phase is None), 0)),
        ),
        services=places(capacity, who.speech, now, practice.capacity_fresh.minutes),
    )  # fmt: skip


def _worker(it: OfWorker, who: Person, limit: int, threshold: float) -> Line:
    speech = who.speech
    minutes = it.minutes.minutes if it.minutes else 0
    note = ""
    if it.worker is not None:
        parts = [
            speech.code(codes.GRADE, it.worker.grade) if it.worker.grade else speech.gettext("未持证"),
            speech.gettext("督导") if it.worker.supervisor else "",
            speech.gettext("不在岗，工作已交接") if it.worker.away_since else "",
        ]
        note = " · ".join(filter(None, parts))
    return Line(
        name=it.worker.name if it.worker else speech.gettext("未指定社工"), note=note, of=f"worker={it.worker.id if it.worker else 'nobody'}",
        counts=_counts(it.load), cases=it.cases, phases=_phases(it.phases, speech), held=it.cases, limit=limit if it.worker else 0,
        wide=round(min(it.cases * 100 / limit, 100), 1) if it.worker and limit else 0.0, over=max(it.cases - limit, 0) if it.worker else 0,
        minutes=minutes, hours=f"{minutes / 60:.1f}" if minutes else "0",
        administrative=round(it.minutes.share * 100) if it.minutes else 0, much=bool(it.minutes and minutes and it.minutes.share > threshold),
    )  # fmt: skip


@get("/dispatch/work", media_type=MediaType.HTML)
async def of_agency(request: Request[Any, Any, Any], state: State, who: Signed) -> Page:
    """The list behind a figure of an agency."""
    return await behind(request, state, who, "/dispatch/agencies")


@get("/team/work", media_type=MediaType.HTML)
async def of_worker(request: Request[Any, Any, Any], state: State, who: Signed) -> Page:
    """The list behind a figure of a worker; from here cases are given to somebody else."""
    return await behind(request, state, who, "/team")


class Results(msgspec.Struct, frozen=True):
    """What came of giving several cases to somebody: how many went, and of the others why not."""

    name: str
    given: int
    refused: tuple[tuple[Id, str], ...]


async def behind(
    request: Request[Any, Any, Any], state: State, who: Person, back: str, *, fault: faults.Fault | None = None,
    typed: dict[str, list[str]] | None = None, results: Results | None = None, status: int = 200,
) -> Page:  # fmt: skip
    """The open work that a figure counts; with what was refused, typed, or done to some of it."""
    asked = request.query_params
    agency = as_id(asked.get("agency")) if back == "/dispatch/agencies" else who.actor.organization
    if agency is None:
        raise NotFound("There is no such agency.")
    show = asked.get("show", "open") if asked.get("show") in BEHIND else "open"
    phase = asked.get("phase") if asked.get("phase") in ORDER else None
    nobody, worker = asked.get("worker") == "nobody", as_id(asked.get("worker"))
    after = paging.place(asked.get("after"))
    async with access.open(state.database, who.actor, shell.call(request, "page-work")) as session:
        found = await workload_flow.behind(
            session,
            who.actor,
            agency,
            show,
            session.began,
            worker=worker,
            nobody=nobody,
            phase=phase,
            after=after,
            limit=AT_A_TIME,
        )
        staff = await workload_flow.staff(session, who.actor) if back == "/team" else []
        named = await workload_flow.named(session, worker) if worker else None
        now = session.began
    speech = who.speech
    whose = (
        speech.gettext("未指定社工")
        if nobody
        else named.name
        if named
        else speech.name(found.names.organizations.get(agency))
    )
    of = [("agency", agency)] if back != "/team" else [("worker", "nobody" if nobody else worker)]
    return shell.page(
        request, "dispatch/behind.html", who, speech, status=status, title=speech.gettext("工作清单"), path=f"{back.removesuffix('/agencies')}/work",
        rows=[rows.row(each, found.names, who, now) for each in found.rows], show=show, phase=phase, shows=SHOWS, back=back,
        query="&".join(f"{name}={value}" for name, value in of if value), whose=whose, next=paging.written(found.after),
        staff=[each for each in staff if each.id != worker], fault=fault, typed=typed or {}, results=results,
    )  # fmt: skip


route_handlers = [agencies, team, of_agency, of_worker]
