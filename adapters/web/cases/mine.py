"""`/cases`: my cases, or my agency's: what each waits for, what its file lacks, and when the person was last met."""

from datetime import datetime, timedelta
from typing import Any

import msgspec
from litestar import MediaType, Request, get
from litestar.datastructures import State

from adapters.web import paging, shell
from adapters.web.sentence import Sentence, sentence
from adapters.web.shell import Page, Person, Signed
from adapters.web.speech import noted
from service.access import flow as access
from service.casework import desk_flow
from service.casework.desk_store import Listed, Wanted
from service.casework.phases import ORDER
from service.errors import Forbidden
from service.patients.model import Patient
from service.values import SHANGHAI, Id

AT_A_TIME = 50
DUE = {"late": noted("已超时"), "today": noted("今天到期"), "week": noted("七天内到期")}
ENDINGS = {
    "complete": noted("已结案"), "return": noted("已退回"), "fail": noted("未成功"), "confirm-cancel": noted("已按医院请求撤回"),
    "void": noted("误录作废"),
}  # fmt: skip
"""How a case ended, in words."""


class Row(msgspec.Struct, frozen=True):
    """A case as the list shows it."""

    id: Id
    urgency: str
    needs: tuple[str, ...]
    person: Patient | None
    age_band: str | None
    gender: str | None
    region: str | None
    flagged: bool
    phase: str
    lacks: tuple[str, ...]
    percent: int
    worker: str | None
    mine: bool
    sentence: Sentence | None
    paused: str | None
    met: datetime | None
    second: str | None
    standing_in: str | None
    until: datetime | None
    ended: datetime | None
    ending: str | None


@get("/cases", media_type=MediaType.HTML)
async def mine(request: Request[Any, Any, Any], state: State, who: Signed) -> Page:
    """A worker's own cases, those on which they are second too; on request their agency's, which a supervisor sees first."""
    asked = request.query_params
    # Whom others work with is for a supervisor to look through.
    whole = who.actor.role == "supervisor"
    whose = "agency" if whole and (asked.get("whose") == "agency" or who.actor.worker is None) else "mine"
    phase = asked.get("phase") if asked.get("phase") in ORDER else None
    due = asked.get("due") if asked.get("due") in DUE else None
    ended = asked.get("state") == "ended"
    if who.actor.side != "agency":
        raise Forbidden("Cases are an agency's own.", key="wrong-actor")
    async with access.open(state.database, who.actor, shell.call(request, "page-cases")) as session:
        now = session.began
        wanted = Wanted(
            who.actor.organization, who.actor.worker if whose == "mine" else None, who.actor.worker, phase,
            None if ended else _until(due, now), paging.place(asked.get("after")), AT_A_TIME,
        )  # fmt: skip
        if whose == "mine" and who.actor.worker is None:
            wanted = msgspec.structs.replace(wanted, worker=Id(int=0))
        found = await desk_flow.cases(session, who.actor, wanted, now, ended=ended)
    me = found.names.workers.get(who.actor.worker) if who.actor.worker else None
    stand_in = found.names.workers.get(me.stand_in) if me and me.stand_in else None
    here = {"whose": whose, "phase": phase or "", "due": due or "", "state": "ended" if ended else ""}
    return shell.page(
        request, "cases/mine.html", who, who.speech, title=noted("我的个案") if whose == "mine" else noted("本机构的个案"),
        whole=whole, rows=[_row(each, found, who, now) for each in found.rows], here=here, phases=ORDER, dues=DUE, endings=ENDINGS, ended=ended,
        next=paging.written(found.after), later="after" in asked, away=bool(me and me.away_since),
        stand_in=stand_in.name if stand_in else None,
    )  # fmt: skip


def _until(due: str | None, now: datetime) -> datetime | None:
    """Due by when: over already, until today ends where people live, within a week."""
    if due == "late":
        return now
    tomorrow = (now.astimezone(SHANGHAI) + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    return {"today": tomorrow, "week": now + timedelta(days=7)}.get(due or "")


def _row(each: Listed, found: desk_flow.Page, who: Person, now: datetime) -> Row:
    case, share, names = each.case, each.share, found.names
    step = found.steps.get(share.id)
    worker = names.workers.get(case.worker) if case.worker else None
    absent = names.workers.get(each.absent) if each.absent else None
    return Row(
        id=share.id,
        urgency=share.urgency,
        needs=share.told_needs,
        person=names.patients.get(share.patient) if share.patient else None,
        age_band=share.age_band,
        gender=share.gender,
        region=who.speech.name(names.regions.get(share.region)) or share.region if share.region else None,
        flagged=share.contact_prohibited,
        phase=case.phase,
        lacks=each.lacks,
        percent=each.present * 100 // each.required if each.required else 100,
        worker=worker.name if worker else None,
        mine=bool(case.worker and case.worker == who.actor.worker),
        sentence=sentence(
            step, who.actor, names.organizations.get(step.organization),
            names.workers.get(step.worker) if step.worker else None, who.speech, now,
        ) if step and not case.closed_at else None,
        paused=share.business_status if share.status == "on-hold" else None,
        met=each.met,
        second=each.second,
        standing_in=absent.name if absent else None,
        until=each.until,
        ended=case.closed_at,
        ending=case.ending,
    )  # fmt: skip


route_handlers = [mine]
