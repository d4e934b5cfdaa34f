"""What was written in a case, as its page shows it: notes, goals, papers, messages, screenings, hours and people."""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from adapters.web.shell import Person
from service import case_codes, codes
from service.casework import linkage, time_flow, transfer_flow
from service.casework.desk_flow import View
from service.casework.desk_store import Note
from service.casework.forms import FORMS
from service.db import Session
from service.directory import store as directory
from service.errors import NotFound
from service.patients import identity
from service.records.model import Attachment, Record
from service.referrals import screening_flow
from service.safety import store as safety
from service.safety.instruments import INSTRUMENTS
from service.safety.model import Suggestion
from service.values import Id

Json = dict[str, Any]
PERTAINS = "http://hl7.org/fhir/StructureDefinition/resource-pertainsToGoal"


class Version(msgspec.Struct, frozen=True):
    """An earlier wording, and when it was written."""

    at: datetime
    text: str


class NoteSaid(msgspec.Struct, frozen=True):
    """What was done, as the list of notes shows it."""

    id: Id
    version: int
    status: str
    service_type: str
    at: datetime
    minutes: int | None
    contact: str | None
    text: str
    place: str | None
    outcome: str | None
    worker: Id | None
    mine: bool
    late: bool
    attendance: int
    goals: tuple[Id, ...]
    coordination: str | None
    benefit: str | None
    amount: int | None
    ended_at: datetime | None
    earlier: tuple[Version, ...]


LATE = timedelta(hours=24)
"""A note is late a day after the contact (docs/casework.md)."""


def note(it: Note, who: Person) -> NoteSaid:
    work = it.work
    ended = work.ended_at or work.started_at
    return NoteSaid(
        work.id, work.version, work.status, work.service_type, work.started_at or work.recorded_at, work.minutes, work.contact,
        words(json.loads(it.body)), work.place, work.outcome, work.worker, bool(work.worker and work.worker == who.actor.worker),
        bool(work.noted_at and ended and work.noted_at - ended > LATE), work.attendance, work.goals, work.coordination, work.benefit,
        work.amount, work.ended_at, tuple(Version(each.at, words(each.body)) for each in it.earlier),
    )  # fmt: skip


def words(body: Json) -> str:
    """The text of a Procedure's notes."""
    return "\n".join(each.get("text", "") for each in body.get("note", ()))


class GoalSaid(msgspec.Struct, frozen=True):
    """A goal with its line: need → goal → intervention → outcome."""

    id: Id
    version: int
    text: str
    measure: str
    target: str
    due: str | None
    goal_type: str | None
    unit: str
    needs: tuple[str, ...]
    status: str
    achievement: str | None
    measured: bool
    works: tuple[str, ...]
    """Service types of what was done for it, each once."""
    times: int
    minutes: int
    planned: bool
    body: Json


GONE = linkage.GONE


def goals(view: View, papers: Sequence[Record]) -> list[GoalSaid]:
    """The goals of a case, oldest first; those that were dropped are left out."""
    bodies = {each.id: (each.version, json.loads(each.body)) for each in papers if each.type == "Goal"}
    planned = set(view.file.plan.goals) if view.file.plan else set[Id]()
    found: list[GoalSaid] = []
    for goal in view.file.goals:
        if goal.status in GONE or goal.id not in bodies:
            continue
        version, body = bodies[goal.id]
        served = [each for each in view.file.interventions if goal.id in each.goals and each.status in linkage.DONE]
        target = next(iter(body.get("target", ())), {})
        found.append(GoalSaid(
            goal.id, version, body.get("description", {}).get("text", ""), target.get("measure", {}).get("text", ""),
            target.get("detailString", ""), target.get("dueDate"), goal.goal_type, goal.client_unit, goal.needs, goal.status,
            goal.achievement, goal.measured, tuple(dict.fromkeys(each.service_type for each in served)), len(served),
            sum(each.minutes or 0 for each in served), goal.id in planned, body,
        ))  # fmt: skip
    return found


class PlanSaid(msgspec.Struct, frozen=True):
    """The service plan that holds."""

    id: Id
    version: int
    title: str
    goals: tuple[Id, ...]
    review: datetime | None
    signed: bool
    body: Json


def plan(view: View, papers: Sequence[Record]) -> PlanSaid | None:
    holds = view.file.plan
    record = next((each for each in papers if holds and each.id == holds.id), None)
    if holds is None or record is None:
        return None
    signed = any((each.subject, each.subject_version) == (holds.id, record.version) for each in view.file.approvals)
    body = json.loads(record.body)
    return PlanSaid(holds.id, record.version, body.get("title", ""), holds.goals, holds.review_at, signed, body)


class Broken(msgspec.Struct, frozen=True):
    """Where need, goal, work and outcome do not hang together, and whereof."""

    kind: str
    what: str


def broken(view: View, known: Iterable[GoalSaid]) -> list[Broken]:
    named = {goal.id: goal.text for goal in known}
    works = {each.id: codes.label(codes.SERVICE_TYPE, each.service_type) for each in view.file.interventions}
    return [
        Broken(each.kind, each.need or named.get(each.subject or Id(int=0)) or works.get(each.subject or Id(int=0), ""))
        for each in linkage.orphans(view.file)
    ]


class MessageSaid(msgspec.Struct, frozen=True):
    """What one side said to the other about a share."""

    at: datetime
    kind: str
    ours: bool
    text: str


def message(record: Record, who: Person) -> MessageSaid:
    body = json.loads(record.body)
    said = body.get("text") if isinstance(body.get("text"), str) else None
    text = said or "\n".join(each.get("contentString", "") for each in body.get("payload", ()))
    own = record.author == who.actor.organization
    return MessageSaid(record.at, record.code or "note", own, text if own else identity.without_numbers(text))


class PaperSaid(msgspec.Struct, frozen=True):
    """A document of the file: a form that was filled in, or a paper that was brought in, with its files."""

    id: Id
    version: int
    type: str
    code: str | None
    title: str
    at: datetime
    status: str
    files: tuple[Attachment, ...]
    form: str | None


def document(record: Record, files: Sequence[Attachment], who: Person) -> PaperSaid:
    body = json.loads(record.body)
    form = FORMS.get(str(body.get("questionnaire", "")).partition("|")[0])
    instrument = next(
        (each for each in INSTRUMENTS.values() if record.type == "QuestionnaireResponse" and named(body) == each.url),
        None,
    )
    attached = next((each.get("attachment", {}).get("title", "") for each in body.get("content", ())), "")
    title = body.get("description") or attached
    if form:
        title = form.title[0 if who.speech.language == "zh" else 1]
    elif instrument:
        title = instrument.title_zh if who.speech.language == "zh" else instrument.title_en
    own = tuple(each for each in files if each.context == record.id)
    return PaperSaid(
        record.id, record.version, record.type, record.code, title, record.at, record.status or "", own, form.document if form else None
    )  # fmt: skip


def named(body: Json) -> str:
    return str(body.get("questionnaire", "")).partition("|")[0]


class ResponseSaid(msgspec.Struct, frozen=True):
    """A form as it was filled in: question and answer, in the reader's language."""

    id: Id
    version: int
    at: datetime
    status: str
    lines: tuple[tuple[str, str], ...]


def response(record: Record, who: Person) -> ResponseSaid:
    body = json.loads(record.body)
    form = FORMS.get(named(body))
    lines: list[tuple[str, str]] = []
    for item in form.items if form else ():
        values = answers(body).get(item.code, [])
        if not values:
            continue
        offered = {concept.code: concept for _, concept in item.options}
        shown = [_spoken(value, offered, who) for value in values]
        lines.append((getattr(item, who.speech.language), ("、" if who.speech.language == "zh" else ", ").join(shown)))
    return ResponseSaid(record.id, record.version, record.at, record.status or "", tuple(lines))


def _spoken(value: str, offered: dict[str, Any], who: Person) -> str:
    if value in offered:
        return getattr(offered[value], who.speech.language)
    if value in ("true", "false"):
        return who.speech.gettext("是") if value == "true" else who.speech.gettext("否")
    return value


def answers(body: Json) -> dict[str, list[str]]:
    """What a response says by link id: codes, `true` and `false`, dates and words, as fields of a form hold them."""
    found: dict[str, list[str]] = {}
    for item in body.get("item", ()):
        for answer in item.get("answer", ()):
            for key, value in answer.items():
                if key.startswith("value"):
                    text = (
                        value.get("code", "")
                        if isinstance(value, dict)
                        else str(value).lower()
                        if isinstance(value, bool)
                        else str(value)
                    )
                    found.setdefault(item["linkId"], []).append(text)
    return found


class ScreenedSaid(msgspec.Struct, frozen=True):
    """What a response to an instrument came to."""

    response: Id
    instrument: str
    at: datetime
    score: int | None
    band: str | None
    missing: int
    ours: bool
    signs_crisis: bool


async def screenings(session: Session, who: Person, view: View) -> Json:
    """What was screened for this referral, the latest first, and what that suggests, for a person to decide."""
    found = await safety.of_referral(session, view.share.referral)
    suggested: list[Suggestion] = []
    try:
        suggested = await screening_flow.suggestions(session, who.actor, view.share.referral)
    except NotFound:
        # Of a referral whose person is not disclosed the agency knows no suggestions; its own scores are its own.
        suggested = []
    zh = who.speech.language == "zh"
    shown: list[ScreenedSaid] = []
    for each in found:
        it = INSTRUMENTS.get(each.instrument)
        band = next((b for b in it.bands if b.code == each.band), None) if it else None
        shown.append(ScreenedSaid(
            each.response, (it.title_zh if zh else it.title_en) if it else each.instrument, each.computed_at, each.score,
            (band.zh if zh else band.en) if band else None, len(each.missing), each.author == who.actor.organization, each.signs_crisis,
        ))  # fmt: skip
    return {
        "screened": shown,
        "suggested": [(each, screening_flow.label(each)[0 if zh else 1]) for each in suggested if each.status == "open"],
        "decided": [(each, screening_flow.label(each)[0 if zh else 1]) for each in suggested if each.status in ("accepted", "dismissed")],
    }  # fmt: skip


async def hours(session: Session, who: Person, view: View) -> Json:
    """Time on the case: entries, what was put in their place, and what it comes to with the minutes of notes."""
    entries = await time_flow.of_task(session, who.actor, view.share.id)
    own = [each for each in entries if view.whole or each.worker == who.actor.worker]
    held = {each.procedure for each in own if each.procedure and not each.voided_at}
    counted = sum(each.minutes for each in own if not each.voided_at)
    noted_ = sum(
        each.minutes or 0 for each in view.file.interventions
        if each.id not in held and each.status not in ("entered-in-error", "not-done", "preparation")
        and (view.whole or each.worker == who.actor.worker)
    )  # fmt: skip
    workers = await directory.workers(session, [each.worker for each in own])
    return {
        "entries": list(reversed(own)),
        "counted": counted,
        "of_notes": noted_,
        "workers": workers,
        "me": who.actor.worker,
    }


async def people(session: Session, who: Person, view: View) -> Json:
    """Who has the case and had it, and what goes on from it."""
    team = await transfer_flow.team(session, who.actor, view.share.id)
    wanted = (
        {each.worker for each in team.seconds}
        | {each.frm for each in team.transfers}
        | {each.to for each in team.transfers}
    )
    workers = await directory.workers(session, filter(None, wanted))
    return {"team": team, "workers": workers}


DOCUMENT = case_codes.CASE_DOCUMENT
