"""Deeds that write down work: notes, time, goals and the plan, appointments, what was applied for, what a screening suggests."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from adapters.web.cases import wording, writing
from adapters.web.cases.reading import PERTAINS
from adapters.web.cases.writing import EMPTY, NOT_CHOSEN, Lacking, Reader, about, concept
from adapters.web.speech import noted
from service import case_codes, codes
from service.casework import desk_flow, time_flow
from service.casework.timekeeping import NewTime
from service.errors import Forbidden, NotFound, Stale
from service.records.model import Record
from service.referrals import screening_flow
from service.values import SHANGHAI, Id, as_id

if TYPE_CHECKING:
    from adapters.web.cases.deeds import Doing

Json = dict[str, Any]
ACHIEVEMENT = "http://terminology.hl7.org/CodeSystem/goal-achievement"
ACHIEVED = {"achieved": "completed", "not-achieved": "completed", "improving": "active", "no-change": "active"}
"""What became of a goal → the state in which it then is."""
PAST = noted("这个时间已经过了：已经做过的事请记在“记录”里。")
NOT_IN_TIME = noted("工时只能记最近 31 天内、已经过去的时间。")
CHANGED = "Somebody else changed this meanwhile."


async def _write(it: Doing, body: Json) -> Json:
    return await writing.written(it.state, it.session, it.who, body, it.now)


def _tab(it: Doing, tab: str, done: str) -> str:
    return wording.done(f"/cases/{it.view.share.id}" + (f"/{tab}" if tab else ""), done)


# ---- notes and time --------------------------------------------------------------------------------------------------


async def note(it: Doing) -> str:
    await _write(it, writing.procedure(it.view, it.form, it.now))
    return _tab(it, "", "note")


async def correct(it: Doing) -> str:
    """One's own note, written anew; the wording before it is kept."""
    id = as_id(it.form.text("note"))
    held = await desk_flow.note(it.session, it.who.actor, it.view, id or Id(int=0))
    if held.work.worker != it.who.actor.worker:
        raise Forbidden("Everybody corrects their own notes.", key="own-note-only")
    if str(held.work.version) != it.form.text("version"):
        raise Stale(CHANGED)
    made = writing.procedure(it.view, it.form, it.now)
    old: Json = json.loads(held.body)
    # What this form does not ask for stays as it was.
    asked = {PERTAINS, "urn:yuanshe:minutes", case_codes.CONTACT_TYPE, "urn:yuanshe:attendance"}
    kept = [each for each in old.get("extension", ()) if each["url"] not in asked]
    made = {**old, **made, "id": str(held.work.id), "extension": [*kept, *made.get("extension", [])]}
    made.pop("performedPeriod", None)
    made.pop("meta", None)
    if not made["extension"]:
        del made["extension"]
    if it.form.text("wrong") == "yes":
        made["status"] = "entered-in-error"
    await _write(it, made)
    return _tab(it, "", "correct")


async def time(it: Doing) -> str:
    """An activity and its minutes; `entry` corrects one of one's own."""
    read = Reader(it.form)
    activity, minutes = read.code("activity", codes.ACTIVITY), read.number("minutes-spent", required=True, least=1)
    at = read.time("spent-at", required=False) or it.now
    back = timedelta(minutes=it.session.practice.time_back.minutes)
    if not it.now - back <= at <= it.now + timedelta(minutes=5):
        read.wrong.append(("spent-at", NOT_IN_TIME))
    read.done()
    assert activity is not None and minutes is not None
    replaces = as_id(it.form.text("entry")) if it.form.text("entry") else None
    new = NewTime(activity, minutes, min(at, it.now), None, it.view.share.id)
    made = await time_flow.record(it.session, it.who.actor, new, it.now, replaces)
    if it.form.text("from") == "time":
        return _tab(it, "time", "time")
    # The next page offers to take it back.
    return wording.done(f"/cases/{it.view.share.id}?entry={made.entry.id}", "time")


async def void_time(it: Doing) -> str:
    entry = as_id(it.form.text("entry"))
    if entry is None:
        raise NotFound("There is no such entry, or it is not yours.")
    await time_flow.void(it.session, it.who.actor, entry, it.now)
    return _tab(it, "time", "void-time")


# ---- goals and the plan ----------------------------------------------------------------------------------------------


async def _held(it: Doing, type: str, field: str) -> tuple[Record, Json]:
    """The resource of the case that a form is about, as it stands. Raises NotFound, and Stale where another version came."""
    id = as_id(it.form.text(field))
    found = await desk_flow.papers(it.session, it.who.actor, it.view, type)
    record = next((each for each in found if each.id == id), None)
    if record is None:
        raise NotFound("There is no such resource of this case.")
    if it.form.text("version") and it.form.text("version") != str(record.version):
        raise Stale(CHANGED)
    body: Json = json.loads(record.body)
    body.pop("meta", None)
    # Of a share that has ended the person is known no more: what is still said of its goals is about who stands in their place.
    return record, body | {"id": str(record.id), "subject": about(it.view)["subject"]}


async def goal(it: Doing) -> str:
    """A new goal, or one that is set anew."""
    made = writing.goal(it.view, it.form)
    if it.form.text("goal-id"):
        _, old = await _held(it, "Goal", "goal-id")
        kept = {key: value for key, value in old.items() if key not in ("extension", "addresses")}
        made = {**kept, **made, "lifecycleStatus": old.get("lifecycleStatus", "active")}
    await _write(it, made)
    return _tab(it, "goals", "goal")


async def achieve(it: Doing) -> str:
    """What became of a goal."""
    said = it.form.text("achievement")
    if said not in ACHIEVED:
        raise Lacking([("achievement", NOT_CHOSEN)])
    _, body = await _held(it, "Goal", "goal-id")
    body |= {
        "lifecycleStatus": ACHIEVED[said],
        "achievementStatus": {"coding": [{"system": ACHIEVEMENT, "code": said}]},
    }
    body["statusDate"] = it.now.astimezone(SHANGHAI).date().isoformat()
    if words := it.form.text("achieved-how"):
        body["note"] = [*body.get("note", []), {"text": words}]
    await _write(it, body)
    return _tab(it, "goals", "achieve")


async def drop_goal(it: Doing) -> str:
    """A goal that was set in error: it leaves the file, its wording stays in its history."""
    _, body = await _held(it, "Goal", "goal-id")
    await _write(it, body | {"lifecycleStatus": "entered-in-error"})
    return _tab(it, "goals", "drop-goal")


async def plan(it: Doing) -> str:
    """The service plan, made or made anew: the version before it keeps its signature, this one needs another."""
    made = writing.plan(it.view, it.form, it.now)
    if it.form.text("plan"):
        _, old = await _held(it, "CarePlan", "plan")
        made = {
            **old,
            **made,
            "period": made["period"] | {"start": old.get("period", {}).get("start", made["period"]["start"])},
        }
    await _write(it, made)
    return _tab(it, "goals", "plan")


# ---- contacts --------------------------------------------------------------------------------------------------------


async def visit(it: Doing) -> str:
    """An appointment with the person."""
    read = Reader(it.form)
    kind, at = read.code("visit-type", codes.SERVICE_TYPE), read.time("visit-at")
    contact = read.code("visit-contact", case_codes.CONTACT_TYPE, required=False)
    words = read.text("visit-text", required=False)
    if at is not None and at < it.now - timedelta(minutes=5):
        read.wrong.append(("visit-at", PAST))
    read.done()
    assert kind is not None and at is not None
    body: Json = {
        "resourceType": "Procedure", "status": "preparation", "code": concept(codes.SERVICE_TYPE, kind), **about(it.view),
        "performedDateTime": at.isoformat(),
    }  # fmt: skip
    if contact:
        body["extension"] = [{"url": case_codes.CONTACT_TYPE, "valueCode": contact}]
    if words:
        body["note"] = [{"text": words}]
    await _write(it, body)
    return _tab(it, "contacts", "visit")


async def _appointment(it: Doing) -> Json:
    id = as_id(it.form.text("visit"))
    held = await desk_flow.note(it.session, it.who.actor, it.view, id or Id(int=0))
    if held.work.status != "preparation":
        raise Stale(CHANGED)
    body: Json = json.loads(held.body)
    body.pop("meta", None)
    return body | {"id": str(held.work.id)}


async def no_show(it: Doing) -> str:
    """The person did not come; or the appointment was called off."""
    body = await _appointment(it)
    called_off = it.form.text("why") == "called-off"
    words = "取消约定" if called_off else "未赴约"
    reason: Json = {"text": words}
    if not called_off:
        reason["coding"] = [{"system": codes.BUSINESS_STATUS, "code": "no-show"}]
    await _write(it, body | {"status": "not-done", "statusReason": reason})
    return _tab(it, "contacts", "called-off" if called_off else "no-show")


async def kept(it: Doing) -> str:
    """The appointment was kept: it becomes the note of what was done."""
    body = await _appointment(it)
    read = Reader(it.form)
    text, minutes = read.text("kept-text"), read.number("kept-minutes", required=True)
    read.done()
    begun = datetime.fromisoformat(body["performedDateTime"])
    if begun > it.now:
        body["performedDateTime"] = it.now.isoformat()
    extension = [*body.get("extension", []), {"url": "urn:yuanshe:minutes", "valueInteger": minutes}]
    await _write(it, body | {"status": "completed", "note": [{"text": text}], "extension": extension})
    return _tab(it, "contacts", "note")


# ---- resources -------------------------------------------------------------------------------------------------------


async def apply(it: Doing) -> str:
    """Something is applied for or settled with others: with whom, how far it has come, how much."""
    read = Reader(it.form)
    kind = read.code("link-type", codes.SERVICE_TYPE)
    benefit = read.code("benefit", case_codes.BENEFIT, required=False)
    partner = read.code("coordination", case_codes.COORDINATION, required=False)
    amount, words = read.yuan("amount"), read.text("link-text")
    if amount is not None and benefit is None:
        read.wrong.append(("benefit", NOT_CHOSEN))
    if benefit is None and partner is None:
        read.wrong.append(("coordination", NOT_CHOSEN))
    read.done()
    assert kind is not None
    extension: list[Json] = [
        {"url": PERTAINS, "valueReference": {"reference": f"Goal/{each}"}} for each in it.form.ids("link-goal")
    ]
    extension += _settled(benefit, partner, amount)
    await _write(it, {
        "resourceType": "Procedure", "status": "in-progress" if benefit in (None, "applied") else "completed",
        "code": concept(codes.SERVICE_TYPE, kind), **about(it.view), "performedDateTime": it.now.isoformat(),
        "note": [{"text": words}], "extension": extension,
    })  # fmt: skip
    return _tab(it, "resources", "apply")


def _settled(benefit: str | None, partner: str | None, amount: int | None) -> list[Json]:
    found: list[Json] = []
    if partner:
        found.append({"url": case_codes.COORDINATION, "valueCode": partner})
    if benefit:
        found.append({"url": case_codes.BENEFIT, "valueCode": benefit})
    if amount is not None:
        found.append({"url": "urn:yuanshe:amount", "valueInteger": amount})
    return found


async def settle(it: Doing) -> str:
    """What came of it: approved with which amount, refused, or settled with the partner."""
    id = as_id(it.form.text("link"))
    held = await desk_flow.note(it.session, it.who.actor, it.view, id or Id(int=0))
    if held.work.status != "in-progress":
        raise Stale(CHANGED)
    read = Reader(it.form)
    came, amount = it.form.text("came"), read.yuan("settled-amount")
    if came not in ("approved", "refused", "settled"):
        read.wrong.append(("came", NOT_CHOSEN))
    read.done()
    body: Json = json.loads(held.body)
    body.pop("meta", None)
    asked = {case_codes.BENEFIT, "urn:yuanshe:amount", case_codes.COORDINATION}
    benefit = came if came in ("approved", "refused") else held.work.benefit
    amount = amount if amount is not None else held.work.amount
    extension = [each for each in body.get("extension", ()) if each["url"] not in asked]
    extension += _settled(benefit, held.work.coordination, amount if benefit else None)
    if words := it.form.text("settled-text"):
        body["note"] = [*body.get("note", []), {"text": words}]
    await _write(it, body | {"id": str(held.work.id), "status": "completed", "extension": extension})
    return _tab(it, "resources", "settle")


# ---- what a screening suggests ----------------------------------------------------------------------------------------


async def decide(it: Doing) -> str:
    """A person takes a suggestion up, or dismisses it with a reason."""
    suggestion = as_id(it.form.text("suggestion")) or Id(int=0)
    accepted = it.form.text("decision") == "accept"
    why = it.form.text("decide-why") or None
    if not accepted and not why:
        raise Lacking([("decide-why", EMPTY)])
    await screening_flow.decide(it.session, it.who.actor, it.view.share.referral, suggestion, accepted, why, it.now)
    return _tab(it, "screening", "decide")


DEEDS: dict[str, Callable[[Doing], Awaitable[str]]] = {
    "note": note, "correct": correct, "time": time, "void-time": void_time, "goal": goal, "achieve": achieve, "drop-goal": drop_goal,
    "plan": plan, "visit": visit, "no-show": no_show, "kept": kept, "apply": apply, "settle": settle, "decide": decide,
}  # fmt: skip
