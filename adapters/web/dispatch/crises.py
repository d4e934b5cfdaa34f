"""Crises: the red bar of every page, the page with their steps and calls, and acknowledging one in words."""

from datetime import datetime
from typing import Any

import msgspec
from litestar import MediaType, Request, get, post
from litestar.datastructures import State
from litestar.params import FromPath

from adapters.web import acting, faults, shell
from adapters.web.dispatch import rows as shown
from adapters.web.sentence import Sentence, sentence
from adapters.web.shell import Page, Person, Signed
from adapters.web.speech import noted
from service import codes
from service.access import flow as access
from service.errors import Forbidden, Refusal
from service.notices import crises_flow
from service.notices.crises_flow import ACTS, Crises
from service.notices.paging_store import Page as Call
from service.referrals import crisis_flow
from service.referrals.model import NextStep
from service.referrals.overview_flow import Names
from service.values import Id, Reason

RUNG = {
    "first": noted("第一值班"),
    "second": noted("第二值班"),
    "supervisor": noted("机构督导"),
    "coordinator": noted("平台协调员"),
}
"""Whom of the ladder a call went to."""

CALLED = {
    "waiting": noted("正在发送"),
    "sent": noted("已送达"),
    "not-delivered": noted("没有送达"),
    "nobody": noted("没有人值班，已呼叫下一级"),
    "called-off": noted("已取消"),
}
"""What became of a call."""

CHANNEL = {"email": noted("邮件"), "webhook": noted("值班系统"), "none": noted("无渠道")}

acting.says({"acknowledged": noted("已确认危机，您的姓名和时间已记录。下一步：制定安全计划。")})


class Called(msgspec.Struct, frozen=True):
    """One call in words."""

    rung: str
    whom: str
    channel: str
    state: str
    failed: bool
    when: str
    exact: str
    answered: str | None


class Row(msgspec.Struct, frozen=True):
    """A crisis as the page shows it: what the list shows of any referral, its calls, and whether it still waits for somebody."""

    about: shown.Row
    hospital: str
    state: str | None
    since: str
    exact: str
    raised: bool
    calls: tuple[Called, ...]
    may: bool


@get("/crises", media_type=MediaType.HTML)
async def bar(request: Request[Any, Any, Any], state: State, who: Signed) -> Page:
    """The red bar: how many crises wait for somebody of the reader's organisation, and the most pressing one; empty where none."""
    async with access.open(state.database, who.actor, shell.call(request, "page-crisis-bar")) as session:
        found = await crises_flow.waiting(session, who.actor, session.began)
        now = session.began
    said = _said(found.steps[0], found.names, who, now) if found.steps else None
    return shell.page(
        request, "dispatch/bar.html", who, who.speech, title="", first=said, count=len(found.steps),
        referral=found.steps[0].referral if found.steps else None,
    )  # fmt: skip


def _said(step: NextStep, names: Names, who: Person, now: datetime) -> Sentence:
    organization = names.organizations.get(step.organization)
    worker = names.workers.get(step.worker) if step.worker else None
    return sentence(step, who.actor, organization, worker, who.speech, now)


@get("/crises/all", media_type=MediaType.HTML)
async def every(request: Request[Any, Any, Any], state: State, who: Signed) -> Page:
    """Every crisis that is up and that the reader knows of, with its calls; unacknowledged ones first."""
    return await _every(request, state, who)


async def _every(
    request: Request[Any, Any, Any], state: State, who: Person, fault: faults.Fault | None = None, at: Id | None = None,
    typed: str = "", status: int = 200,
) -> Page:  # fmt: skip
    if who.actor.side not in ("hospital", "agency", "platform"):
        raise Forbidden("Crises are for the parties to referrals.", key="wrong-actor")
    async with access.open(state.database, who.actor, shell.call(request, "page-crises")) as session:
        found = await crises_flow.up(session, who.actor, session.began)
        now = session.began
    return shell.page(
        request, "dispatch/crises.html", who, who.speech, status=status, title=who.speech.gettext("危机"), fault=fault, typed_at=at,
        typed=typed, rows=rows(found, who, now),
    )  # fmt: skip


def rows(found: Crises, who: Person, now: datetime) -> list[Row]:
    """The crises in words."""
    speech = who.speech
    made: list[Row] = []
    for row in found.rows:
        step, crisis = row.step, row.referral.crisis if row.referral else None
        hospital = found.names.organizations.get(step.hospital)
        since = crisis.since if crisis else step.since
        raised = step.what == "acknowledge"
        may = raised and who.actor.role in ACTS and (row.task is None or row.task.accepted_at is not None)
        made.append(
            Row(
                about=shown.row(row, found.names, who, now), hospital=speech.name(hospital),
                state=speech.code(codes.CRISIS, crisis.state) if crisis else None, since=speech.when(since, now),
                exact=speech.exact(since), raised=raised, may=may,
                calls=tuple(_call(call, found.names, who, now) for call in found.calls.get(step.referral, ()) if call.raised_at == since),
            )
        )  # fmt: skip
    return made


def _call(call: Call, names: Names, who: Person, now: datetime) -> Called:
    speech = who.speech
    whom = names.organizations.get(call.organization)
    answered = None
    if call.acknowledged_at:
        answered = speech.gettext("%(time)s 有人应答") % {"time": speech.when(call.acknowledged_at, now)}
    return Called(
        rung=speech.gettext(RUNG[call.rung]), whom=" ".join(filter(None, [speech.name(whom) if whom else "", call.name])),
        channel=speech.gettext(CHANNEL[call.channel]), state=speech.gettext(CALLED[call.state]),
        failed=call.state in ("not-delivered", "nobody"), when=speech.when(call.made_at, now), exact=speech.exact(call.made_at),
        answered=answered,
    )  # fmt: skip


@post("/crises/{referral:uuid}/acknowledge", media_type=MediaType.HTML, status_code=200)
async def acknowledge(request: Request[Any, Any, Any], state: State, who: Signed, referral: FromPath[Id]) -> Page:
    """A person acknowledges a crisis, in words: from then on it is theirs to plan for, and the red bar goes."""
    said = await shell.form(request)

    async def do(session: Any) -> str:
        if who.actor.role not in ACTS:
            raise Forbidden("A crisis is acknowledged by who works with the person.", key="wrong-actor")
        await crisis_flow.step_crisis(
            session, who.actor, referral, "acknowledged", Reason(None, said.get("words", "").strip() or None), session.began
        )  # fmt: skip
        return acting.done("/crises/all", "acknowledged")

    try:
        return await acting.act(
            request, state, who, said, "page-crisis-acknowledge", do, resource_type="ServiceRequest", resource_id=referral
        )  # fmt: skip
    except Refusal as refusal:
        fault = faults.told(refusal, who.speech, {"reasonCode.text": f"words-{referral}"})
        return await _every(request, state, who, fault, referral, said.get("words", ""), fault.status)


route_handlers = [bar, every, acknowledge]
