"""What a referral's page does: each act is one verb, or one resource that is kept, in one transaction; a refusal shows the page as it is now."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, cast

import msgspec
from litestar import MediaType, Request, post
from litestar.datastructures import State
from litestar.params import FromPath

from adapters.web import acting, faults, shell
from adapters.web.faults import Fault
from adapters.web.referral import consenting, page
from adapters.web.shell import Page, Person, Signed
from adapters.web.speech import noted
from service import codes
from service.casework import flow as casework
from service.db import Session
from service.errors import Conflict, Forbidden, Invalid, NotFound, Refusal
from service.referrals import crisis_flow, duties, flow, messaging, overview_flow
from service.referrals.model import Loop, Output, Risk
from service.values import SHANGHAI, Id, Reason

SDOHCC = "http://hl7.org/fhir/us/sdoh-clinicalcare/CodeSystem/SDOHCC-CodeSystemTemporaryCodes"
ACTIVITY = "resulting-activity"

SAYS = {
    "assign": noted("已改派社工。"),
    "withdraw-share": noted("已收回，系统已按规则改派。"),
    "raise": noted("危机已上报，值班人员会接到呼叫。"),
    "acknowledged": noted("已确认危机，请在时限内制定安全计划。"),
    "safety-planned": noted("安全计划已记录。"),
    "reported": noted("已记录报告。"),
    "stood-down": noted("危机已解除。"),
    "offer": noted("已派单。"),
    "refuse": noted("已记为不受理，医院会收到原因和建议。"),
    "give-up": noted("已终止派单。"),
    "basis": noted("依据已记录，身份已按依据开放；请按时告知本人。"),
    "consent": noted("同意已记录，写明的机构接单后即可看到身份。"),
    "withdraw-consent": noted("同意已撤回，身份已收回。"),
    "see-to": noted("已记为办好。"),
    "call-off": noted("已取消这项待办。"),
}
"""What the next page says of the acts that are this room's alone; the others' words are the house's."""
acting.says({f"referral-{word}": words for word, words in SAYS.items()})


class Doing(msgspec.Struct, frozen=True):
    """One act on its way: who, on what, with which words."""

    session: Session
    state: State
    who: Person
    referral: Id
    on: Id | None
    said: dict[str, str]
    lists: dict[str, list[str]]

    @property
    def now(self) -> datetime:
        return self.session.began

    @property
    def task(self) -> Id:
        if self.on is None:
            raise Invalid("Name the share that this is about.", at="task", key="no-share")
        return self.on

    @property
    def text(self) -> str | None:
        return self.said.get("text", "").strip() or None

    @property
    def reason(self) -> Reason:
        return Reason(self.said.get("reason") or None, self.text)

    def id(self, field: str) -> Id | None:
        """The id that a list was answered with."""
        try:
            return Id(self.said[field]) if self.said.get(field) else None
        except ValueError:
            raise Invalid("Choose one of the list.", at=field, code="value") from None


async def _answer(do: Doing) -> None:
    if do.text is None:
        raise Invalid("An answer says something.", at="Communication.payload", key="no-words")
    said: dict[str, Any] = {
        "resourceType": "Communication", "status": "completed", "about": [{"reference": f"Task/{do.task}"}],
        "category": [{"coding": [{"system": codes.MESSAGE, "code": "answer"}]}], "payload": [{"contentString": do.text}],
    }  # fmt: skip
    if question := do.id("question"):
        said["inResponseTo"] = [{"reference": f"Communication/{question}"}]
    await do.state.fhir(do.session, do.who.actor, "POST", "Communication", said, do.now)


async def _ask(do: Doing) -> None:
    if do.text is None:
        raise Invalid("A question says what is asked.", at="Communication.payload", key="no-words")
    await messaging.ask_in_words(do.session, do.who.actor, do.task, do.text, do.now)


async def _hold(do: Doing) -> None:
    until = None
    if written := do.said.get("until"):
        try:
            until = datetime.fromisoformat(written).replace(tzinfo=SHANGHAI).astimezone(UTC)
        except ValueError:
            raise Invalid("This is no date and time.", at="restriction.period.end", code="value") from None
    await casework.hold(do.session, do.who.actor, do.task, do.reason, until, do.now)


async def _complete(do: Doing) -> None:
    made = do.said.get("output", "").strip()
    coded = {"coding": [{"system": SDOHCC, "code": ACTIVITY}]}
    outputs = (Output(ACTIVITY, {"type": coded, "valueCodeableConcept": {"text": made}}),) if made else ()
    await casework.complete(do.session, do.who.actor, do.task, do.reason, outputs, do.now)


async def _assign(do: Doing) -> None:
    worker = do.id("worker")
    if worker is None:
        raise Invalid("Name a worker.", at="owner", key="foreign-worker")
    await casework.assign(do.session, do.who.actor, do.task, worker, do.now)


async def _offer(do: Doing) -> None:
    told = await overview_flow.one(do.session, do.who.actor, do.referral)
    wanted = page.offering.to_place(told) if told.referral else ()
    needs = wanted if told.referral and wanted and wanted != told.referral.needs else None
    agency = do.id("agency")
    if agency is None and do.said.get("agency") != "":
        raise Invalid("Choose an agency.", at="owner", code="required")
    await flow.offer(do.session, do.who.actor, do.referral, agency, do.reason if do.text else None, do.now, needs=needs)


async def _step(do: Doing, step: str) -> None:
    risk = do.said.get("risk") or None
    if step == "safety-planned" and not (risk and codes.known(page.offering.RISK, risk)):
        raise Invalid("The safety plan says how high the risk is.", at="risk", key="risk-with-plan")
    risk = cast(Risk, risk) if step == "safety-planned" else None
    await crisis_flow.step_crisis(do.session, do.who.actor, do.referral, step, Reason(step, do.text), do.now, risk)


async def _basis(do: Doing) -> None:
    kind, agency = do.said.get("kind", ""), do.id("agency")
    if kind not in ("HLEGAL", "ETREAT"):
        raise Invalid("Choose the basis.", at="kind", code="required")
    if agency is None:
        raise Invalid("Name the agency that it opens to.", at="agency", code="required")
    made = consenting.basis(kind, str(agency), do.text or "", do.referral, do.now)
    await do.state.fhir(do.session, do.who.actor, "POST", "Provenance", made, do.now)


async def _consent(do: Doing) -> None:
    told = await overview_flow.one(do.session, do.who.actor, do.referral)
    if told.referral is None or do.who.actor.side != "hospital":
        raise Forbidden("The hospital records a consent.", key="wrong-actor")
    agencies = do.lists.get("agency", [])
    made = consenting.bundle(do.said, agencies, told.referral.patient, do.referral, do.who.actor, do.now)
    await do.state.fhir(do.session, do.who.actor, "POST", "", made, do.now)


async def _withdraw_consent(do: Doing) -> None:
    consent = do.id("consent")
    if consent is None:
        raise Invalid("Name the consent.", at="consent", code="required")
    told = await overview_flow.one(do.session, do.who.actor, do.referral)
    if all(each.id != consent for each in told.consents):
        raise NotFound("There is no such consent, or it is not yours.")
    held = await do.state.fhir(do.session, do.who.actor, "GET", f"Consent/{consent}", None, do.now)
    await do.state.fhir(do.session, do.who.actor, "PUT", f"Consent/{consent}", held | {"status": "inactive"}, do.now)


async def _see_to(do: Doing) -> None:
    reason = do.reason if do.text or do.said.get("reason") else None
    await duties.complete(do.session, do.who.actor, do.task, (), reason, do.now)


DO: dict[str, Callable[[Doing], Awaitable[object]]] = {
    "accept": lambda do: casework.accept(do.session, do.who.actor, do.task, do.id("worker"), do.now),
    "claim": lambda do: casework.accept(do.session, do.who.actor, do.task, do.id("worker"), do.now),
    "decline": lambda do: flow.decline(do.session, do.who.actor, do.task, do.reason, do.now),
    "ask": _ask,
    "answer": _answer,
    "start": lambda do: casework.start(do.session, do.who.actor, do.task, do.id("worker"), do.now),
    "hold": _hold,
    "resume": lambda do: casework.resume(do.session, do.who.actor, do.task, do.id("worker"), do.now),
    "assign": _assign,
    "return": lambda do: casework.return_offer(do.session, do.who.actor, do.task, do.reason, do.now),
    "complete": _complete,
    "fail": lambda do: casework.fail(do.session, do.who.actor, do.task, do.reason, do.now),
    "confirm-cancel": lambda do: casework.confirm_cancel(do.session, do.who.actor, do.task, do.now),
    "withdraw-share": lambda do: flow.withdraw_share(do.session, do.who.actor, do.task, do.reason, do.now),
    "withdraw": lambda do: flow.withdraw(do.session, do.who.actor, do.referral, _worded(do), do.now),
    "request-cancel": lambda do: flow.withdraw(do.session, do.who.actor, do.referral, _worded(do), do.now),
    "void": lambda do: casework.void(do.session, do.who.actor, do.referral, do.reason, do.now),
    "raise": lambda do: crisis_flow.raise_crisis(
        do.session, do.who.actor, do.referral, Reason("raised", do.text), do.now
    ),
    "acknowledged": lambda do: _step(do, "acknowledged"),
    "safety-planned": lambda do: _step(do, "safety-planned"),
    "reported": lambda do: _step(do, "reported"),
    "stood-down": lambda do: _step(do, "stood-down"),
    "offer": _offer,
    "refuse": lambda do: flow.refuse(do.session, do.who.actor, do.referral, do.reason, do.now),
    "give-up": lambda do: flow.give_up(do.session, do.who.actor, do.referral, do.reason, do.now),
    "basis": _basis,
    "consent": _consent,
    "withdraw-consent": _withdraw_consent,
    "see-to": _see_to,
    "call-off": lambda do: duties.cancel(do.session, do.who.actor, do.task, do.reason, do.now),
}
"""The last part of an act's address → what it does."""


TOLD_TO_ALL = frozenset({"withdraw", "request-cancel", "withdraw-share", "void", "offer", "refuse", "give-up", "ask"})
"""Acts whose reason agencies read that may not know the person: it names nobody."""


def _worded(do: Doing) -> Reason:
    """Of a page a withdrawal says why: the verb would take one without."""
    if do.text is None:
        raise Invalid("A reason with text is required.", at="statusReason.text", code="required")
    return do.reason


@post("/referrals/{referral:uuid}/{word:str}", media_type=MediaType.HTML, status_code=303)
async def act(
    request: Request[Any, Any, Any], state: State, who: Signed, referral: FromPath[Id], word: FromPath[str]
) -> Page:
    """Do one act of the page, once, and show the referral as it is then."""
    lists = await shell.fields(request)
    said = {name: values[-1] for name, values in lists.items()}
    if word not in DO:
        raise NotFound("There is no such act.")
    task = _task(said)
    tried = f"{word}-{task.hex[-6:]}" if task else word

    async def do(session: Session) -> str:
        if task is not None:
            await overview_flow.part(session, referral, task)
        if word in TOLD_TO_ALL and who.actor.side != "agency":
            await messaging.nameless(session, referral, [said.get("text", "")])
        made = await DO[word](Doing(session, state, who, referral, task, said, lists))
        return acting.done(f"/referrals/{referral}", _said(word, made))

    try:
        if word == "consent" and (wrong := consenting.lacking(said, lists.get("agency", []), tried)):
            return await page.shown(
                request,
                state,
                who,
                referral,
                tried=tried,
                said=said,
                lists=lists,
                fault=faults.lacking(wrong, who.speech),
            )
        return await acting.act(
            request, state, who, said, f"page-{word}", do, resource_type="Task" if task else "ServiceRequest", resource_id=task or referral
        )  # fmt: skip
    except Refusal as refusal:
        return await _again(request, state, who, referral, tried, said, lists, refusal)


def _said(word: str, made: object) -> str:
    """The word of what came of it: a withdrawal that an agency was quicker to accept is a request that it confirms."""
    if word in ("withdraw", "request-cancel") and isinstance(made, Loop):
        return "request-cancel" if made.parent.open else "withdraw"
    return f"referral-{word}" if word in SAYS else word


def _task(said: dict[str, str]) -> Id | None:
    try:
        return Id(said["task"]) if said.get("task") else None
    except ValueError:
        raise NotFound("There is no such Task.") from None


AT = {
    "statusReason.text": "text", "statusReason": "reason", "statusReason.coding": "reason", "owner": "worker", "reasonCode.text": "text",
    "restriction.period.end": "until", "output": "output", "Communication.payload": "text", "reason.text": "text", "reasonCode": "text",
    "risk": "risk", "kind": "kind", "agency": "agency", "status": "text", "consent": "text",
}  # fmt: skip
"""Where a verb finds fault → the field of the act's form."""


async def _again(
    request: Request[Any, Any, Any], state: State, who: Person, referral: Id, tried: str, said: dict[str, str],
    lists: dict[str, list[str]], refusal: Refusal,
) -> Page:  # fmt: skip
    """The page as it is now with what was typed; what somebody else was quicker to take is gone from one's sight."""
    fields = {at: f"{tried}-{field}" for at, field in AT.items()}
    if tried.startswith("offer"):
        fields["owner"] = f"{tried}-agency"
    fault = faults.told(refusal, who.speech, fields)
    if isinstance(refusal, Forbidden):
        raise refusal
    try:
        return await page.shown(request, state, who, referral, tried=tried, said=said, lists=lists, fault=fault)
    except NotFound:
        if not isinstance(refusal, Conflict | NotFound):
            raise
        return _gone(request, who, fault)


def _gone(request: Request[Any, Any, Any], who: Person, fault: Fault) -> Page:
    return shell.page(
        request, "referral/gone.html", who, who.speech, status=409, title=noted("已被别人接走"), fault=fault
    )


route_handlers = [act]
