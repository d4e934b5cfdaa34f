"""`/follow-ups/{task}`: the page of a call, and what is done from it: an attempt, the next one, what came of it, who calls."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec
from litestar import MediaType, Request, get, post
from litestar.datastructures import State
from litestar.params import FromPath

from adapters.web import acting, faults, shell, story
from adapters.web.faults import Fault
from adapters.web.followup import lists, rows
from adapters.web.shell import Page, Person, Signed
from adapters.web.speech import Speech, local_time, noted
from service import codes
from service.access import flow as access
from service.db import Session
from service.errors import Forbidden, Invalid, Refusal
from service.followup import agenda_flow
from service.followup import flow as followup
from service.followup.agenda_flow import Calling
from service.followup.script import SOURCES, script
from service.referrals import contact_flow, crisis_flow, overview_flow
from service.referrals.model import Task
from service.safety.contact import ANY, DECISION_LASTS, Decision
from service.values import SHANGHAI, Id, Reason, age_on, local_day

RESULTS: tuple[tuple[str, str, str], ...] = (
    ("reached", noted("接通"), "phone-check"),
    ("no-answer", noted("无人接"), "phone-x"),
    ("left-message", noted("留言"), "message"),
    ("wrong-number", noted("号码错误"), "phone-off"),
    ("refused", noted("拒绝交谈"), "hand-stop"),
    ("busy", noted("占线"), "phone-pause"),
    ("switched-off", noted("关机"), "power"),
    ("moved-away", noted("已搬走"), "truck"),
    ("sent", noted("已寄出"), "mail"),
    ("other", noted("其他"), "dots"),
)
"""What comes of an attempt (urn:yuanshe:contact-result), each a button; the order is that of its key, 1 to 9 and 0."""

PLAIN = ("stable", "need-met", "need-persisting", "readmitted", "ed-visit", "moved", "unreachable")
"""Outcomes that need no more than a word."""
ASKS = ("new-need", "declined", "lost", "deceased", "crisis")
"""Outcomes that ask for something, or end more than this follow-up."""
STORY = 6
"""How many of the latest events a call page tells."""

MISSING = {
    "result": noted("请点一个联系结果。"),
    "at": noted("请写出日期和时间。"),
    "other": noted("请用几个字说明结果。"),
    "code": noted("请选一个随访结果。"),
    "lost": noted("请写明为什么认为已经失联。"),
    "need": noted("请选至少一项需求；不在其中的，用几个字说明。"),
    "crisis": noted("请写明看到或听到了什么。"),
    "worker": noted("请选一位社工。"),
}


class Said(msgspec.Struct, frozen=True):
    """What was typed into one of the forms, to stand there again where it was refused."""

    form: str = ""
    values: Mapping[str, str] = {}
    needs: tuple[str, ...] = ()

    def of(self, form: str, field: str, otherwise: str = "") -> str:
        return self.values.get(field, otherwise) if self.form == form else otherwise


class Reached(msgspec.Struct, frozen=True):
    """One way of contact in words: why not now, and from when."""

    code: str
    words: str
    why: str
    again: str
    now: bool


@get("/follow-ups/{task:uuid}", media_type=MediaType.HTML)
async def call(request: Request[Any, Any, Any], state: State, who: Signed, task: FromPath[Id]) -> Page:
    """Who it is, what happened so far, how to reach them safely, what to say, and what came of it."""
    return await _page(request, state, who, task)


def whose(request: Request[Any, Any, Any]) -> str:
    """Whose list this call was opened from, as its address carries it on: who goes through everybody's goes on with it."""
    asked = request.query_params.get("whose")
    return f"?whose={asked}" if asked in ("mine", "all") else ""


async def _page(
    request: Request[Any, Any, Any], state: State, who: Person, task: Id, fault: Fault | None = None, said: Said | None = None
) -> Page:  # fmt: skip
    speech = who.speech
    mine = lists.whose(request, who)
    async with access.open(
        state.database,
        who.actor,
        shell.call(request, "page-follow-up", resource_type="Task", resource_id=task),
    ) as session:
        found = await agenda_flow.calling(session, who.actor, task, session.began, mine=mine)
        told = await overview_flow.one(session, who.actor, found.task.referral)
        now = session.began
    about = found.task.follow_up
    assert about is not None
    windows = {each.id: each.follow_up.window for each in (found.task, *found.others) if each.follow_up}
    row = rows.row(agenda_flow.Call(found.task, found.person, found.reach.rules), found.names, who, now)
    parts = script(
        about.window, found.task.told_needs, found.referral.effective_urgency if found.referral else found.task.urgency,
        alone=found.reach.alone, visit=about.visit, receiving=about.receiving,
    )  # fmt: skip
    here, kept = f"/follow-ups/{task}", whose(request)
    return shell.page(
        request, "followup/call.html", who, speech, status=fault.status if fault else 200, title=speech.gettext("随访"),
        row=row, task=found.task, person=found.person, here_=here, kept=kept, said=said or Said(), fault=fault,
        ways=_ways(found, speech, now), reach=found.reach, hidden=_hidden(found, speech, now), shown=_shown(found, speech),
        warnings=_warnings(found, speech, now), results=_results(found), chosen=_chosen(found),
        attempts=[rows.tried(each, found.names, windows, speech, now) for each in reversed(found.attempts)],
        unsafe=_unsafe(found, speech, now), plan=_plan(found, now), outcomes=PLAIN,
        asks=ASKS, rest=_rest(found.others, speech), missing=[speech.code(codes.CHANNEL, each) for each in found.missing],
        supervisors=[each for each in found.staff if each.supervisor], staff=found.staff,
        leads=who.actor.role == "supervisor", decides=_decides(found, who), step=_step(now), needs_=list(codes.LISTS[codes.NEED].concepts),
        parts=parts, sources=SOURCES, others=_others(found.others, speech, now), agency_phone=found.agency_phone,
        facts=_facts(found, row, speech, now),
        events=_short([story.entry(event, told, who, now) for event in reversed(told.events)]),
        next=f"/follow-ups/{found.next}{kept}" if found.next else None,
    )  # fmt: skip


def _ways(found: Calling, speech: Speech, now: datetime) -> list[Reached]:
    return [
        Reached(
            code=way.channel,
            words=speech.code(codes.CHANNEL, way.channel),
            why=speech.code(codes.CONTACT_RULE, way.forbidden),
            again=speech.when(way.safe_at, now) if way.forbidden and way.safe_at else "",
            now=way.forbidden is None,
        )
        for way in found.reach.ways
    ]


HIDDEN = {
    "contact-prohibited": noted("不得联系本人，所以这里没有电话号码。需要联系时，请督导先就这一步作出决定。"),
    "supervisor-decides": noted("每一步联系都由督导决定，所以这里没有电话号码。督导就这一步作出决定后才会出现。"),
    "channel-not-safe": noted("打电话对本人不安全，所以这里没有电话号码。请用下面列出的方式。"),
    "not-disclosed": noted("身份没有（或不再）对本机构开放，所以没有姓名和电话。"),
    "deceased": noted("本人已去世：不再联系。请把结果记为“死亡”，其余随访会一并取消。"),
}
"""Why no number is shown, and what to do."""


def _hidden(found: Calling, speech: Speech, now: datetime) -> str:
    """Why there is no number to press, in words; empty where there is one."""
    reach = found.reach
    if reach.hidden:
        return speech.gettext(HIDDEN[reach.hidden])
    if not reach.number:
        return speech.gettext("没有登记电话号码。请上门，或问医院。")
    again = reach.way("phone").safe_at
    if not reach.callable:
        if again is None:
            return speech.gettext("现在打电话不安全，近一周内也没有安全时段。请问督导。")
        return speech.gettext("现在打电话不安全。下一个安全时段从 %(time)s 开始。") % {"time": speech.when(again, now)}
    return ""


def _shown(found: Calling, speech: Speech) -> str:
    """Digits as a telephone takes them."""
    return "".join(letter for letter in found.reach.number or "" if letter.isdigit() or letter == "+")


def _warnings(found: Calling, speech: Speech, now: datetime) -> list[str]:
    """What whoever calls must know first: what must not be said, to whom, when, by which way, at which number."""
    reach, rules = found.reach, found.reach.rules
    _ = speech.gettext
    comma = "、" if speech.language == "zh" else ", "
    said: list[str] = []
    if rules.prohibited:
        said.append(_("不得联系本人。只有督导就某一步作出的决定可以例外。"))
    elif rules.supervised:
        said.append(_("每一步联系都由督导决定：家里接电话的人，可能正是要防的人。"))
    if reach.decision is not None:
        said.append(
            _("督导已决定：%(way)s，%(since)s 至 %(until)s。只做这一步。")
            % {
                "way": speech.code(codes.CHANNEL, reach.decision.channel),
                "since": speech.when(reach.decision.begins, now),
                "until": speech.when(reach.decision.until, now),
            }
        )
    if rules.channels:
        ways = comma.join(speech.code(codes.CHANNEL, each) for each in rules.channels)
        said.append(_("只能用：%(ways)s。") % {"ways": ways})
    if rules.times:
        said.append(_("只在：%(hours)s。") % {"hours": comma.join(rows.hours(each, speech) for each in rules.times)})
    if rules.number and not reach.hidden:
        said.append(_("只打这个号码，不打病历上的其他号码。"))
    if not reach.may_leave_message:
        said.append(_("不得留言，不托人转告，不发短信说明来意。"))
    if reach.alone:
        said.append(_("只对本人说：别人接听时，不说姓名、机构和来意。"))
    if rules.asked_by:
        said.append(_("由%(who)s提出。") % {"who": speech.code(codes.CONTACT_ASKED_BY, rules.asked_by)})
    return said


def _results(found: Calling) -> list[tuple[str, str, str, str]]:
    """The buttons of an attempt, with their keys; word that must not be left has none."""
    keys = "1234567890"
    return [
        (code, words, sign, keys[place])
        for place, (code, words, sign) in enumerate(RESULTS)
        if code != "left-message" or found.reach.may_leave_message
    ]


def _chosen(found: Calling) -> str:
    """The way that is chosen beforehand: the proposed one, else the first that is safe now."""
    told = found.task.follow_up
    if told and told.proposed_channel:
        return told.proposed_channel
    return next((way.channel for way in found.reach.ways if way.forbidden is None), "phone")


def _unsafe(found: Calling, speech: Speech, now: datetime) -> str:
    """What to say of an attempt that has just been written down and was not safe."""
    last = max(found.attempts, key=lambda each: each.recorded_at, default=None)
    if last is None or not last.broke or now - last.recorded_at > timedelta(minutes=5):
        return ""
    return speech.code(codes.CONTACT_RULE, last.broke)


def _plan(found: Calling, now: datetime) -> dict[str, str]:
    """The next attempt as a form holds it: what is proposed, else tomorrow at this hour."""
    told = found.task.follow_up
    at = (told.proposed_at if told else None) or now + timedelta(days=1)
    latest = found.task.window_to if found.task.window_to and found.task.window_to > now else now + agenda_flow.PLANNED_BEYOND  # fmt: skip
    return {"at": local_time(at), "channel": _chosen(found), "latest": local_time(latest)}


def _decides(found: Calling, who: Person) -> bool:
    """Whether the reader may give leave for a step of contact."""
    leads = who.actor.side == "hospital" or (who.actor.role == "supervisor" and who.actor.worker is not None)
    return found.reach.rules.guarded and found.person is not None and found.reach.hidden != "deceased" and leads


def _step(now: datetime) -> dict[str, str]:
    """A step as the form proposes it: from now on, for a day; and until when it may last."""
    return {
        "begins": local_time(now),
        "until": local_time(now + timedelta(days=1)),
        "latest": local_time(now + DECISION_LASTS),
    }


def _rest(others: tuple[Task, ...], speech: Speech) -> list[str]:
    """The windows that a final outcome would call off."""
    return [rows.window(each.follow_up.window, speech) for each in others if each.open and each.follow_up]


def _others(others: tuple[Task, ...], speech: Speech, now: datetime) -> list[dict[str, Any]]:
    """The other windows of this person, each with what came of it or when it closes."""
    return [
        {
            "id": each.id,
            "open": each.open,
            "window": rows.window(each.follow_up.window, speech),
            "says": speech.code(codes.FOLLOW_UP_OUTCOME, each.follow_up.outcome)
            or (
                speech.gettext("%(time)s 前") % {"time": speech.when(each.window_to, now)}
                if each.open and each.window_to
                else speech.code(codes.BUSINESS_STATUS, each.business_status)
            ),
        }
        for each in others
        if each.follow_up
    ]


def _facts(found: Calling, row: rows.Row, speech: Speech, now: datetime) -> list[str]:
    """Age, sex, place and language, as far as the reader may know them."""
    _ = speech.gettext
    age = str(age_on(found.person.birth_date, local_day(now))) if found.person and found.person.birth_date else ""  # fmt: skip
    language = found.person.language if found.person else None if found.task.sealed else found.task.language
    return [
        each
        for each in (
            _("%(n)s 岁") % {"n": age} if age else speech.code(codes.AGE_BAND, row.age_band),
            {"male": _("男"), "female": _("女")}.get(row.gender or "", ""),
            row.region or "",
            language or "",
        )
        if each
    ]


def _short(entries: list[story.Entry]) -> list[tuple[story.Entry, int]]:
    """The latest of what happened; the same thing done several times in a row is told once, with how often."""
    found: list[tuple[story.Entry, int]] = []
    for each in entries:
        if found and (found[-1][0].what, found[-1][0].who, found[-1][0].why) == (each.what, each.who, each.why):
            found[-1] = (found[-1][0], found[-1][1] + 1)
        elif len(found) < STORY:
            found.append((each, 1))
        else:
            break
    return found


# ---- acts ------------------------------------------------------------------------------------------------------------


@post("/follow-ups/{task:uuid}/attempts", status_code=303, request_max_body_size=shell.LONGEST_FORM)
async def attempt(request: Request[Any, Any, Any], state: State, who: Signed, task: FromPath[Id]) -> Page:
    """Somebody was tried to be reached: how, when, with what result."""
    given = await shell.form(request)
    said = Said("attempt", given)
    result, text = given.get("result", ""), given.get("text", "").strip()
    lacking = []
    if not codes.known(codes.CONTACT_RESULT, result):
        lacking.append(("result", MISSING["result"]))
    if result == "other" and not text:
        lacking.append(("text", MISSING["other"]))
    at = instant(given.get("at"))
    if given.get("at") and at is None:
        lacking.append(("at", MISSING["at"]))
    if lacking:
        return await _page(request, state, who, task, faults.lacking(lacking, who.speech), said)

    async def do(session: Session) -> str:
        resource = communication(task, given.get("channel") or "phone", result, at or session.began, text)
        await state.fhir(session, who.actor, "POST", "Communication", resource, session.began)
        path = acting.done(f"/follow-ups/{task}{whose(request)}", "attempt")
        return f"{path}#outcome" if result in ("reached", "refused") else path

    return await _done(request, state, who, task, given, "attempt", do, said)


def communication(task: Id, channel: str, result: str, at: datetime, text: str) -> dict[str, Any]:
    """An attempt as a Communication (docs/follow-up.md)."""
    reached = result == "reached"
    why: dict[str, Any] = {"coding": [{"system": codes.CONTACT_RESULT, "code": result}]}
    return {
        "resourceType": "Communication",
        "status": "completed" if reached else "not-done",
        "basedOn": [{"reference": f"Task/{task}"}],
        "medium": [{"coding": [{"system": codes.CHANNEL, "code": channel}]}],
        "sent": at.isoformat(),
        **({} if reached else {"statusReason": why | ({"text": text} if text else {})}),
        **({"note": [{"text": text}]} if text else {}),
    }


def instant(said: str | None) -> datetime | None:
    """The time that a field says, where people live; None for none, or for what is no time."""
    try:
        return datetime.fromisoformat(said).replace(tzinfo=SHANGHAI) if said else None
    except ValueError:
        return None


@post("/follow-ups/{task:uuid}/next", status_code=303, request_max_body_size=shell.LONGEST_FORM)
async def plan(request: Request[Any, Any, Any], state: State, who: Signed, task: FromPath[Id]) -> Page:
    """Try again at another time, or in another way, than was proposed."""
    given = await shell.form(request)
    said = Said("next", given)
    at = instant(given.get("at"))
    if at is None:
        return await _page(request, state, who, task, faults.lacking([("next-at", MISSING["at"])], who.speech), said)

    async def do(session: Session) -> str:
        await agenda_flow.plan_attempt(session, who.actor, task, given.get("channel", ""), at, session.began)
        return acting.done(f"/follow-ups/{task}{whose(request)}", "plan-attempt")

    return await _done(request, state, who, task, given, "plan-attempt", do, said)


@post("/follow-ups/{task:uuid}/outcome", status_code=303, request_max_body_size=shell.LONGEST_FORM)
async def outcome(request: Request[Any, Any, Any], state: State, who: Signed, task: FromPath[Id]) -> Page:
    """What came of the follow-up."""
    fields = await shell.fields(request)
    given = {name: values[-1] for name, values in fields.items()}
    code, note = given.get("code", ""), given.get("note", "").strip()
    wanted = tuple(each for each in fields.get("need", ()) if codes.known(codes.NEED, each))
    said = Said("outcome", given, wanted)
    lacking = []
    if not codes.known(codes.FOLLOW_UP_OUTCOME, code):
        lacking.append(("code", MISSING["code"]))
    if code == "lost" and not note:
        lacking.append(("note-lost", MISSING["lost"]))
    if code == "crisis" and not note:
        lacking.append(("note-crisis", MISSING["crisis"]))
    if code == "new-need" and not wanted and not note:
        lacking.append(("note-new-need", MISSING["need"]))
    if lacking:
        return await _page(request, state, who, task, faults.lacking(lacking, who.speech), said)

    async def do(session: Session) -> str:
        current = await state.fhir(session, who.actor, "GET", f"Task/{task}", None, session.began)
        told: dict[str, Any] = {
            "output": [*current.get("output", ()), *outputs(code, note, wanted, given.get("supervisor") or None)]
        }
        if code == "lost":
            told["statusReason"] = {"text": note}
        done = await state.fhir(session, who.actor, "PUT", f"Task/{task}", current | told, session.began)
        made = [each["valueReference"]["reference"] for each in done.get("output", ()) if "valueReference" in each]
        new = next((each.partition("/")[2] for each in made if each.startswith("ServiceRequest/")), None)
        if new:
            return acting.done(f"/referrals/{new}", "new-need")
        return acting.done(f"/follow-ups/{task}{whose(request)}", "new-need-found" if code == "new-need" else "outcome")

    return await _done(request, state, who, task, given, "outcome", do, said)


def outputs(code: str, note: str, needs: tuple[str, ...], supervisor: str | None) -> list[dict[str, Any]]:
    """The outcome as outputs of the Task (docs/follow-up.md): what came of it, the supervisor's word, and a new need."""
    kind = {"coding": [{"system": codes.TASK_CODE, "code": "outcome"}]}
    concept: dict[str, Any] = {"coding": [{"system": codes.FOLLOW_UP_OUTCOME, "code": code}]}
    if note and code not in ("lost", "new-need"):
        concept["text"] = note
    element: dict[str, Any] = {"type": kind, "valueCodeableConcept": concept}
    if supervisor and code == "lost":
        reference = {"reference": f"PractitionerRole/{supervisor}"}
        element["extension"] = [{"url": "urn:yuanshe:decided-by", "valueReference": reference}]
    found = [element]
    if code == "new-need":
        need: dict[str, Any] = {"text": note} if note else {}
        if needs:
            need["coding"] = [{"system": codes.NEED, "code": each} for each in needs]
        found.append({"type": {"coding": [{"system": codes.TASK_CODE, "code": "need"}]}, "valueCodeableConcept": need})
    return found


@post("/follow-ups/{task:uuid}/crisis", status_code=303, request_max_body_size=shell.LONGEST_FORM)
async def raise_crisis(request: Request[Any, Any, Any], state: State, who: Signed, task: FromPath[Id]) -> Page:
    """A crisis came up on the call: it is raised at once; the follow-up itself goes on."""
    given = await shell.form(request)
    said = Said("crisis", given)
    words = given.get("text", "").strip()
    if not words:
        return await _page(request, state, who, task, faults.lacking([("crisis-text", MISSING["crisis"])], who.speech), said)  # fmt: skip

    async def do(session: Session) -> str:
        found = await agenda_flow.calling(session, who.actor, task, session.began)
        await crisis_flow.raise_crisis(session, who.actor, found.task.referral, Reason("raised", words), session.began)
        return acting.done(f"/follow-ups/{task}{whose(request)}", "follow-up-raise")

    return await _done(request, state, who, task, given, "raise", do, said)


@post("/follow-ups/{task:uuid}/decide", status_code=303, request_max_body_size=shell.LONGEST_FORM)
async def decide(request: Request[Any, Any, Any], state: State, who: Signed, task: FromPath[Id]) -> Page:
    """A supervisor (of its own person a hospital) gives leave for one step of contact: this way, from when to when."""
    given = await shell.form(request)
    said = Said("decide", given)
    begins, until = instant(given.get("begins")), instant(given.get("until"))
    lacking = [
        (field, MISSING["at"]) for field, at in (("decide-begins", begins), ("decide-until", until)) if at is None
    ]
    if begins is None or until is None:
        return await _page(request, state, who, task, faults.lacking(lacking, who.speech), said)

    async def do(session: Session) -> str:
        found = await agenda_flow.calling(session, who.actor, task, session.began)
        if found.person is None:
            raise Invalid("The person's identity is not disclosed.", at="begins", key="not-disclosed")
        by = who.actor.organization if who.actor.side == "hospital" else who.actor.worker
        if by is None or (who.actor.side == "agency" and who.actor.role != "supervisor"):
            raise Forbidden("A supervisor decides on a step of contact.", key="supervisor-only")
        stated, why = await contact_flow.stated(session, who.actor, found.person.id)
        rules = stated.rules if stated else ANY
        kept = tuple(each for each in rules.decisions if each.until >= session.began)
        step = Decision(given.get("channel", ""), begins, until, by)
        await contact_flow.state(
            session, who.actor, found.person.id, msgspec.structs.replace(rules, decisions=(*kept, step)), why, session.began
        )  # fmt: skip
        return acting.done(f"/follow-ups/{task}{whose(request)}", "decide-contact")

    return await _done(request, state, who, task, given, "decide-contact", do, said)


@post("/follow-ups/{task:uuid}/assign", status_code=303, request_max_body_size=shell.LONGEST_FORM)
async def assign(request: Request[Any, Any, Any], state: State, who: Signed, task: FromPath[Id]) -> Page:
    """Another worker follows up: a supervisor names whom, a social worker takes it on."""
    given = await shell.form(request)
    said = Said("assign", given)
    try:
        worker = Id(given.get("worker", ""))
    except ValueError:
        return await _page(request, state, who, task, faults.lacking([("worker", MISSING["worker"])], who.speech), said)

    async def do(session: Session) -> str:
        if worker != who.actor.worker and who.actor.role != "supervisor":
            raise Forbidden("A supervisor names who follows up.", key="supervisor-only")
        await followup.assign(session, who.actor, task, worker, session.began)
        return acting.done(f"/follow-ups/{task}{whose(request)}", "follow-up-assign")

    return await _done(request, state, who, task, given, "assign", do, said)


FIELDS = {
    "sent": "at", "medium": "channel", "statusReason": "result", "at": "next-at", "channel": "next-channel", "owner": "worker",
    "output": "code", "text": "note", "until": "decide-until", "supervisor": "decide-begins", "begins": "decide-begins",
}  # fmt: skip
"""Where a verb finds fault → the field of these forms."""


async def _done(
    request: Request[Any, Any, Any], state: State, who: Person, task: Id, given: dict[str, str], interaction: str, do: Any, said: Said
) -> Page:  # fmt: skip
    """Do it in one transaction; what is refused is said on the same page, with what was typed still there."""
    try:
        return await acting.act(request, state, who, given, interaction, do, resource_type="Task", resource_id=task)
    except Refusal as refused:
        if isinstance(refused, Forbidden) or refused.code == "not-found":
            raise
        return await _page(request, state, who, task, faults.told(refused, who.speech, FIELDS), said)


route_handlers = [call, attempt, plan, outcome, raise_crisis, decide, assign]
