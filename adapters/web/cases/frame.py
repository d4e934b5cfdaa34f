"""The case page: whom it is about as far as the reader may know, who must act next, how far the file is, and its tabs."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any

import msgspec
from litestar.datastructures import State

from adapters.web import paging, shell
from adapters.web.cases import reading, wording
from adapters.web.cases.mine import ENDINGS
from adapters.web.faults import Fault
from adapters.web.sentence import Sentence, sentence
from adapters.web.shell import Asked, Person
from adapters.web.speech import local_time, noted
from service import codes
from service.access import flow as access
from service.casework import desk_flow, phases, signing_flow
from service.casework.desk_flow import View
from service.casework.model import Lack, Phase
from service.db import Session
from service.patients.model import Patient
from service.practice import Practice
from service.referrals import contact_flow, crisis, lifecycle
from service.safety.instruments import INSTRUMENTS
from service.values import SHANGHAI, Id, as_id

TABS: dict[str, str] = {
    "notes": noted("记录"), "goals": noted("服务目标"), "contacts": noted("联系"), "screening": noted("筛查"), "resources": noted("资源"),
    "documents": noted("文件材料"), "supervision": noted("督导"), "time": noted("工时"), "team": noted("团队"), "crisis": noted("危机"),
}  # fmt: skip
"""The tabs of a case: address, word. The first is the case's own address."""
OPEN_TO_ALL = frozenset({"notes", "time"})
"""Tabs for staff of the agency who are not on the case: what they wrote themselves."""


class Paper(msgspec.Struct, frozen=True):
    """A document that a phase needs: there or missing, where it is made, by when it is due, and whether it waits for a signature."""

    code: str
    done: bool
    href: str
    due: datetime | None = None
    unsigned: bool = False
    held: int = 0


class Stage(msgspec.Struct, frozen=True):
    """A phase in the stepper."""

    code: str
    state: str
    papers: tuple[Paper, ...]
    signed: str | None
    owed: str | None


class Head(msgspec.Struct, frozen=True):
    """Whom the case is about and how it stands."""

    id: Id
    referral: Id
    urgency: str
    needs: tuple[str, ...]
    person: Patient | None
    age_band: str | None
    gender: str | None
    region: str | None
    flagged: bool
    sentence: Sentence | None
    worker: str | None
    mine: bool
    hospital: str
    second: str | None
    standing_in: str | None
    until: datetime | None
    ended: datetime | None
    ending: str | None
    says: str | None
    status: str
    phase: str
    share_request: Id | None


async def show(
    request: Asked, state: State, who: Person, task: Id, tab: str, *, status: int = 200, fault: Fault | None = None,
    act: str = "", typed: Mapping[str, Any] | None = None, gate: str | None = None,
) -> shell.Page:  # fmt: skip
    """The page of a case at one of its tabs. After a refusal `act` and `typed` are what was asked for and with which words; `gate`:
    the phase that the case could not go on to."""
    async with access.open(
        state.database, who.actor, shell.call(request, f"page-case-{tab}", resource_type="Task", resource_id=task)
    ) as session:
        now = session.began
        view = await desk_flow.view(session, who.actor, task, now)
        if not view.whole and tab not in OPEN_TO_ALL:
            tab = "notes"
        said = await LOADERS[tab](session, who, view, request, now)
        said |= {
            "rules": await _rules(session, view),
            "staff": await desk_flow.staff(session, who.actor) if view.whole and view.share.open else [],
        }
        practice = session.practice
    return shell.page(
        request, "cases/case.html", who, who.speech, status=status, title=noted("个案详情"), fault=fault, act=act, typed=typed or {},
        tab=tab, tabs=[each for each in TABS if view.whole or each in OPEN_TO_ALL], words=TABS, head=head(view, who, now),
        stages=stages(view), view=view, file=view.file, forward=forward(view), gate=lacks_of(view, gate) if gate in phases.ORDER else (), gate_to=gate,
        acts=acts(view, now, practice), supervises=who.actor.role == "supervisor" and who.actor.worker != view.file.case.worker,
        percent=phases.standing(view.file).percent, lacks=phases.standing(view.file).lacks, lists=LISTS, local=local_time(now),
        endings=ENDINGS, quick=QUICK, instruments=INSTRUMENTS, act_word=wording.act, act_keys=wording.KEYS, rare=wording.RARE, wanting=_wanting(view), templates=wording.TEMPLATES,
        states=wording.STATES, went=wording.WENT, scans=wording.SCANS, crisis_words=wording.CRISIS_STEPS,
        back=phases.PHASES[view.file.case.phase].back if view.share.open else (), need_pairs=_needs(view, who), outcomes=_outcomes(view, who, now),
        goal_pairs=[(each.id, each.text) for each in said.get("goals", ())], state_mark=_mark(view), undo_entry=_undo(request), undo_hold=request.query_params.get("done") == "hold" and view.share.status == "on-hold", to_local=local_time, day_of=day_of,
        yuan=yuan, uploadable=[(code, how) for code, how in phases.DOCUMENTS.items() if how.form and phases.asked(view.file, code)], **said,
    )  # fmt: skip


def _wanting(view: View) -> int:
    """How many documents the file lacks up to where it is: what the phases behind it ask for, and its own."""
    file = view.file
    there = phases.ORDER[: phases.ORDER.index(file.case.phase) + 1]
    wanted = {code for phase in there for code in phases.PHASES[phase].documents if phases.asked(file, code)}
    return sum(not phases.has(file, code) for code in wanted)


def _needs(view: View, who: Person) -> list[tuple[str, str]]:
    """The needs of the case to choose from."""
    return [(code, who.speech.code(codes.NEED, code)) for code in view.share.told_needs if code != codes.SAFETY]


def _outcomes(view: View, who: Person, now: datetime) -> list[tuple[Id, str]]:
    """What was done, to be named as what came of it: the newest first."""
    done = [each for each in view.file.interventions if each.status == "completed" and each.started_at]
    return [
        (
            each.id,
            f"{who.speech.code(codes.SERVICE_TYPE, each.service_type)} · {who.speech.when(each.started_at or now, now)}",
        )
        for each in reversed(done[-12:])
    ]


def _mark(view: View) -> str:
    """What tells a script whether the case is still as the page shows it."""
    file = view.file
    return f"{view.share.version}-{file.case.version}-{len(file.documents)}-{len(file.interventions)}-{len(file.approvals)}"


def _undo(request: Asked) -> str | None:
    """The entry of time that was just made, as the address names it."""
    named = request.query_params.get("entry") if request.query_params.get("done") == "case-time" else None
    return str(found) if named and (found := as_id(named)) else None


def day_of(at: datetime) -> str:
    """The day as a `date` field holds it."""
    return at.astimezone(SHANGHAI).date().isoformat()


def yuan(cents: int, sign: str = "¥") -> str:
    """An amount in 分 as people write it."""
    whole = f"{cents // 100:,}" if sign else str(cents // 100)
    return sign + whole + (f".{cents % 100:02d}" if cents % 100 else "")


LISTS = {
    "service": codes.SERVICE_TYPE, "contact": "urn:yuanshe:contact-type", "goal": "urn:yuanshe:goal-type",
    "unit": "urn:yuanshe:client-unit", "coordination": "urn:yuanshe:coordination", "benefit": "urn:yuanshe:benefit",
    "closure": codes.CLOSURE_REASON, "decline": codes.DECLINE_REASON, "activity": codes.ACTIVITY, "need": codes.NEED,
    "risk": "urn:yuanshe:risk", "co-work": codes.CO_WORK_ROLE, "method": codes.METHOD,
}  # fmt: skip
"""The code lists that this room's forms choose from, by a short word."""
QUICK = tuple(zip("1234567890abcd", (each.code for each in codes.LISTS[codes.ACTIVITY].concepts), strict=True))
"""The second of the two keystrokes that record an activity: key, code of urn:yuanshe:activity."""


def head(view: View, who: Person, now: datetime) -> Head:
    share, case, step, names = view.share, view.file.case, view.step, view.names
    hospital = names.organizations.get(share.hospital)
    worker = names.workers.get(case.worker) if case.worker else None
    absent = names.workers.get(view.absent) if view.absent else None
    return Head(
        id=share.id,
        referral=share.referral,
        urgency=share.urgency,
        needs=share.told_needs,
        person=view.person,
        age_band=share.age_band,
        gender=share.gender,
        region=who.speech.name(names.regions.get(share.region)) or share.region if share.region else None,
        flagged=share.contact_prohibited,
        sentence=sentence(
            step, who.actor, names.organizations.get(step.organization),
            names.workers.get(step.worker) if step.worker else None, who.speech, now,
        ) if step else None,
        worker=worker.name if worker else None,
        mine=bool(case.worker and case.worker == who.actor.worker),
        hospital=who.speech.name(hospital),
        second=view.second,
        standing_in=absent.name if absent else None,
        until=view.until,
        ended=case.closed_at,
        ending=case.ending,
        says=share.business_status,
        status=share.status,
        phase=case.phase,
        share_request=share.filler,
    )  # fmt: skip


def stages(view: View) -> tuple[Stage, ...]:
    """The stepper: every phase, with what it needs before it is left."""
    file, here = view.file, phases.ORDER.index(view.file.case.phase)
    unsigned = {lack.document for lack in phases.standing(file).lacks if lack.signature}
    found: list[Stage] = []
    for place, stage in enumerate(phases.PHASES.values()):
        wanted = [code for code in stage.documents if phases.asked(file, code)]
        papers = tuple(
            Paper(
                code, phases.has(file, code), where(view.share.id, code),
                unsigned=code in unsigned or (stage.signed == code and phases.has(file, code) and not phases.approved(file, code)),
                held=sum(each.document == code for each in file.documents),
            )
            for code in wanted
        )  # fmt: skip
        state = "done" if place < here else "here" if place == here else "later"
        found.append(Stage(stage.phase, state, papers, stage.signed, stage.item))
    return tuple(found)


def where(task: Id, document: str) -> str:
    """Where a document of a case is made: its form, or the tab that holds it."""
    match document:
        case "service-plan":
            return f"/cases/{task}/goals#plan"
        case "process-note":
            return f"/cases/{task}#note-text"
        case "receipt":
            return f"/cases/{task}#act-complete"
        case _:
            return f"/cases/{task}/forms/{document}"


def forward(view: View) -> str | None:
    """The phase that comes next and that a person may ask for now; None where a move of the share leads there."""
    phase, share = view.file.case.phase, view.share
    place = phases.ORDER.index(phase) + 1
    if place >= len(phases.ORDER):
        return None
    following = phases.ORDER[place]
    if following == "assessment" or (following in phases.WORKED and share.status != "in-progress"):
        return None
    if following in phases.AFTERWARDS and share.open:
        return None
    return following


class Gate(msgspec.Struct, frozen=True):
    """One thing that holds a case at a gate, and where it is mended."""

    phase: str
    document: str
    signature: bool
    href: str


def lacks_of(view: View, to: str) -> tuple[Gate, ...]:
    phase: Phase = to  # pyright: ignore[reportAssignmentType]
    return tuple(gate(view.share.id, lack) for lack in phases.lacking(view.file, phase))


def gate(task: Id, lack: Lack) -> Gate:
    href = f"/cases/{task}/supervision#approvals" if lack.signature else where(task, lack.document)
    return Gate(lack.phase, lack.document, lack.signature, href)


def acts(view: View, now: datetime, practice: Practice) -> tuple[str, ...]:
    """What may be done with the share now, in the table's order, then what is done with the case as a whole."""
    share = view.share
    if not view.whole and not (share.worker is None and share.status == "accepted"):
        return ()
    found = [each for each in lifecycle.legal(share, "agency") if each not in ("accept", "claim", "decline", "answer")]
    if "return" in found and (share.recorded or not _in_grace(share.accepted_at, now, practice)):
        found.remove("return")
    if not share.open:
        return ("reopen",) if share.accepted_at and share.status != "entered-in-error" else ()
    if not view.whole:
        return tuple(each for each in found if each == "start")
    return (*found, "transfer", "co-work", "pass-on")


def _in_grace(accepted: datetime | None, now: datetime, practice: Practice) -> bool:
    return accepted is not None and (now - accepted).total_seconds() <= practice.return_grace.minutes * 60


async def _rules(session: Session, view: View) -> Any:
    """How the person may safely be contacted, where the reader may know who they are."""
    if view.person is None:
        return None
    return await contact_flow.rules_on(session, view.referral) if view.referral else None


# ---- what each tab shows ---------------------------------------------------------------------------------------------

Loader = Callable[[Session, Person, View, Asked, datetime], Awaitable[dict[str, Any]]]


async def _notes(session: Session, who: Person, view: View, request: Asked, now: datetime) -> dict[str, Any]:
    after = paging.timed(request.query_params.get("after"))
    found, more = await desk_flow.notes(session, who.actor, view, after)
    papers = await desk_flow.papers(session, who.actor, view, "Goal")
    return {
        "notes": [reading.note(each, who) for each in found], "next": paging.written(more), "later": after is not None,
        "goals": reading.goals(view, papers),
    }  # fmt: skip


async def _goals(session: Session, who: Person, view: View, request: Asked, now: datetime) -> dict[str, Any]:
    papers = await desk_flow.papers(session, who.actor, view, "Goal", "CarePlan")
    goals = reading.goals(view, papers)
    return {"goals": goals, "plan": reading.plan(view, papers), "orphans": reading.broken(view, goals)}


async def _contacts(session: Session, who: Person, view: View, request: Asked, now: datetime) -> dict[str, Any]:
    found, _ = await desk_flow.notes(session, who.actor, view, limit=100)
    notes = [reading.note(each, who) for each in found]
    messages = [reading.message(each, who) for each in await desk_flow.messages(session, view)]
    return {
        "visits": [each for each in notes if each.status in ("preparation", "not-done")],
        "met": [each for each in notes if each.status in ("completed", "in-progress")][:20], "messages": messages,
    }  # fmt: skip


async def _screening(session: Session, who: Person, view: View, request: Asked, now: datetime) -> dict[str, Any]:
    return await reading.screenings(session, who, view)


async def _resources(session: Session, who: Person, view: View, request: Asked, now: datetime) -> dict[str, Any]:
    found, _ = await desk_flow.notes(session, who.actor, view, limit=200)
    papers = await desk_flow.papers(session, who.actor, view, "Goal")
    linked = [note for each in found if (note := reading.note(each, who)).benefit or note.coordination]
    return {"linked": linked, "goals": reading.goals(view, papers)}


async def _documents(session: Session, who: Person, view: View, request: Asked, now: datetime) -> dict[str, Any]:
    papers = await desk_flow.papers(session, who.actor, view, "DocumentReference", "QuestionnaireResponse")
    files = await desk_flow.files(session, view, [each.id for each in papers if each.type == "DocumentReference"])
    practice = session.practice
    return {
        "documents": [reading.document(each, files, who) for each in papers],
        "largest": practice.attachment_octets // 1_000_000, "taken": practice.attachment_types,
    }  # fmt: skip


async def _supervision(session: Session, who: Person, view: View, request: Asked, now: datetime) -> dict[str, Any]:
    papers = await desk_flow.papers(session, who.actor, view, "QuestionnaireResponse")
    notes = [reading.response(each, who) for each in papers if each.category == "supervision"]
    signable = [stage.signed for stage in phases.PHASES.values() if stage.signed]
    returned = await signing_flow.returned(session, who.actor, view.share.id)
    return {"supervisions": notes, "signable": signable, "phases_": phases, "returned": returned}


async def _time(session: Session, who: Person, view: View, request: Asked, now: datetime) -> dict[str, Any]:
    return await reading.hours(session, who, view)


async def _team(session: Session, who: Person, view: View, request: Asked, now: datetime) -> dict[str, Any]:
    return await reading.people(session, who, view)


async def _crisis(session: Session, who: Person, view: View, request: Asked, now: datetime) -> dict[str, Any]:
    up = view.crisis
    step = view.step if view.step and view.step.what in desk_flow.OF_A_CRISIS else None
    steps = [
        each
        for each, after in crisis.STEPS.items()
        if up and up.state in after and not (each == "safety-planned" and up.planned)
    ]
    return {"crisis_up": up, "crisis_step": step, "crisis_steps": steps}


LOADERS: dict[str, Loader] = {
    "notes": _notes, "goals": _goals, "contacts": _contacts, "screening": _screening, "resources": _resources, "documents": _documents,
    "supervision": _supervision, "time": _time, "team": _team, "crisis": _crisis,
}  # fmt: skip
