"""Deeds that move a case: its share, its phase, whose it is; and what a supervisor signs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from adapters.web.cases import wording
from adapters.web.cases.writing import EMPTY, NOT_CHOSEN, PASSED, Lacking, Reader, concept, written
from service import codes
from service.casework import flow, phase_flow, transfer_flow
from service.errors import Forbidden
from service.referrals import messaging
from service.referrals.model import Output
from service.safety_codes import RISK
from service.values import Id, Reason

if TYPE_CHECKING:
    from adapters.web.cases.deeds import Doing

OUTPUT = "http://hl7.org/fhir/us/sdoh-clinicalcare/CodeSystem/SDOHCC-CodeSystemTemporaryCodes"
RESULT = "resulting-activity"


def home(it: Doing, done: str) -> str:
    """Back to the case, with what happened."""
    return wording.done(f"/cases/{it.view.share.id}", done)


def _mine(it: Doing) -> Id | None:
    """Who works the case from now on: whom it names, else the person who acts."""
    return None if it.view.share.worker else it.who.actor.worker


async def start(it: Doing) -> str:
    await flow.start(it.session, it.who.actor, it.view.share.id, _mine(it), it.now)
    return home(it, "start")


async def resume(it: Doing) -> str:
    await flow.resume(it.session, it.who.actor, it.view.share.id, _mine(it), it.now)
    return home(it, "resume")


async def hold(it: Doing) -> str:
    read = Reader(it.form)
    why, until = read.text("hold-why"), read.time("hold-until", required=False)
    if until is not None and until <= it.now:
        read.wrong.append(("hold-until", PASSED))
    read.done()
    await flow.hold(it.session, it.who.actor, it.view.share.id, Reason(None, why), until, it.now)
    return home(it, "hold")


async def give_back(it: Doing) -> str:
    why = _coded(it, "return", codes.DECLINE_REASON)
    await flow.return_offer(it.session, it.who.actor, it.view.share.id, why, it.now)
    return wording.done("/cases", "return")


async def complete(it: Doing) -> str:
    """The end of the work: why, and what came of it, which goes back to the hospital."""
    read = Reader(it.form)
    code, text = read.code("complete-code", codes.CLOSURE_REASON), read.text("complete-why")
    named, words = it.form.ids("output"), it.form.text("outcome-words")
    if not named and not words:
        read.wrong.append(("outcome-words", EMPTY))
    read.done()
    outputs = [_output({"valueReference": {"reference": f"Procedure/{each}"}}, f"Procedure/{each}") for each in named]
    if words:
        outputs.append(_output({"valueCodeableConcept": {"text": words}}, None))
    await flow.complete(it.session, it.who.actor, it.view.share.id, Reason(code, text), tuple(outputs), it.now)
    return home(it, "complete")


def _output(value: dict[str, object], reference: str | None) -> Output:
    return Output(RESULT, {"type": {"coding": [{"system": OUTPUT, "code": RESULT}]}, **value}, reference)


async def fail(it: Doing) -> str:
    why = _coded(it, "fail", codes.CLOSURE_REASON)
    await flow.fail(it.session, it.who.actor, it.view.share.id, why, it.now)
    return home(it, "fail")


def _coded(it: Doing, act: str, system: str) -> Reason:
    read = Reader(it.form)
    code, text = read.code(f"{act}-code", system), read.text(f"{act}-why")
    read.done()
    return Reason(code, text)


async def confirm_cancel(it: Doing) -> str:
    await flow.confirm_cancel(it.session, it.who.actor, it.view.share.id, it.now)
    return home(it, "confirm-cancel")


async def ask(it: Doing) -> str:
    read = Reader(it.form)
    text = read.text("question")
    read.done()
    await messaging.ask_in_words(it.session, it.who.actor, it.view.share.id, text, it.now)
    return wording.done(f"/cases/{it.view.share.id}/contacts", "ask")


async def transfer(it: Doing) -> str:
    read = Reader(it.form)
    worker, why, note = read.worker("transfer-to"), read.text("transfer-why"), read.text("transfer-note")
    read.done()
    await transfer_flow.transfer(
        it.session, it.who.actor, it.view.share.id, worker, why, note, it.now, it.view.share.version
    )
    return wording.done(
        "/cases" if it.who.actor.role != "supervisor" else f"/cases/{it.view.share.id}/team", "transfer"
    )


async def co_work(it: Doing) -> str:
    read = Reader(it.form)
    worker, role = read.worker("co-worker"), read.code("co-role", codes.CO_WORK_ROLE)
    until = read.time("co-until", required=False)
    if until is not None and until <= it.now:
        read.wrong.append(("co-until", PASSED))
    read.done()
    assert role is not None
    await transfer_flow.co_work(it.session, it.who.actor, it.view.share.id, worker, role, it.now, until, it.now)
    return wording.done(f"/cases/{it.view.share.id}/team", "co-work")


async def end_co_work(it: Doing) -> str:
    worker = Reader(it.form).worker("worker")
    await transfer_flow.end_co_work(it.session, it.who.actor, it.view.share.id, worker, it.now)
    return wording.done(f"/cases/{it.view.share.id}/team", "co-work-end")


async def pass_on(it: Doing) -> str:
    """A need goes to another agency that routing finds."""
    read = Reader(it.form)
    why, note = read.text("pass-why"), read.text("pass-note", required=False)
    needs = tuple(each for each in it.form.all.get("pass-need", ()) if codes.known(codes.NEED, each))
    if not needs:
        read.wrong.append(("pass-need", NOT_CHOSEN))
    read.done()
    await transfer_flow.pass_on(it.session, it.who.actor, it.view.share.id, needs, None, why, note or None, it.now)
    return wording.done(f"/cases/{it.view.share.id}/team", "pass-on")


async def reopen(it: Doing) -> str:
    """The same case again, as a new referral; the page goes on to the new case, which the agency has accepted."""
    read = Reader(it.form)
    why = read.text("reopen-why")
    read.done()
    made = await transfer_flow.reopen(
        it.session, it.who.actor, it.view.share.id, Reason(None, why), it.who.actor.worker, it.now
    )
    own = next(
        (share for share in made.shares if share.agency == it.who.actor.organization and share.accepted_at), None
    )
    return wording.done(f"/cases/{own.id}" if own else "/cases", "reopen")


# ---- phases ----------------------------------------------------------------------------------------------------------


async def advance(it: Doing) -> str:
    """On to another phase, or back with a reason; a supervisor may do without what is missing, for the archive alone."""
    to, why = it.form.text("to"), it.form.text("why") or None
    waive = it.form.text("waive") == "yes"
    if not why and (waive or it.form.text("back") == "yes"):
        raise Lacking([("why", EMPTY)])
    await phase_flow.advance(it.session, it.who.actor, it.view.share.id, to, why, None, it.now, waive=waive)
    return home(it, "advance")


async def approve(it: Doing) -> str:
    """A supervisor signs, in person."""
    if it.who.actor.role != "supervisor":
        raise Forbidden("This is for a supervisor, in person.", key="supervisor-only")
    document, note = it.form.text("document"), it.form.text("approve-note") or None
    await phase_flow.approve(it.session, it.who.actor, it.view.share.id, document, None, note, it.now)
    return wording.done(f"/cases/{it.view.share.id}/supervision", "approve")


# ---- crisis ----------------------------------------------------------------------------------------------------------


async def _crisis(it: Doing, step: str, text: str, risk: str | None = None) -> None:
    """A step of a crisis is a message that stays with who wrote it."""
    reasons = [concept(codes.CRISIS, step, text), *([concept(RISK, risk)] if risk else [])]
    body = {
        "resourceType": "Communication", "status": "completed", "category": [concept(codes.MESSAGE, "crisis")],
        "about": [{"reference": f"Task/{it.view.share.id}"}], "reasonCode": reasons,
    }  # fmt: skip
    await written(it.state, it.session, it.who, body, it.now, sealed=True)


async def raise_crisis(it: Doing) -> str:
    read = Reader(it.form)
    text = read.text("raise-text")
    read.done()
    await _crisis(it, "raised", text)
    return wording.done(f"/cases/{it.view.share.id}/crisis", "raise")


async def crisis(it: Doing) -> str:
    """The next step of a crisis, with the risk band where it is the plan's."""
    read = Reader(it.form)
    step, text = read.code("crisis-step", codes.CRISIS), read.text("crisis-text")
    planned = step == "safety-planned"
    risk = read.code("risk", RISK) if planned else None
    read.done()
    if step is None or step == "raised":
        raise Lacking([("crisis-step", NOT_CHOSEN)])
    await _crisis(it, step, text, risk)
    return wording.done(f"/cases/{it.view.share.id}/crisis", step)


DEEDS: dict[str, Callable[[Doing], Awaitable[str]]] = {
    "start": start, "resume": resume, "hold": hold, "return": give_back, "complete": complete, "fail": fail,
    "confirm-cancel": confirm_cancel, "ask": ask, "transfer": transfer, "co-work": co_work, "co-work-end": end_co_work,
    "pass-on": pass_on, "reopen": reopen, "advance": advance, "approve": approve, "raise": raise_crisis, "crisis": crisis,
}  # fmt: skip
