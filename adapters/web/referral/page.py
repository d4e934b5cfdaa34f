"""One referral for every side: who must act next, what may be done now, each agency's share, and everything that happened."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast

import msgspec
from litestar import MediaType, Request, get
from litestar.datastructures import State
from litestar.params import FromPath

from adapters.web import shell, story
from adapters.web.faults import Fault
from adapters.web.referral import offering
from adapters.web.referral.listing import place, why
from adapters.web.referral.offering import Act, Offered
from adapters.web.sentence import Sentence, sentence
from adapters.web.shell import Page, Person, Signed
from adapters.web.speech import Speech, noted
from service import codes
from service.access import flow as access
from service.consent.model import Consent
from service.db import Session
from service.directory.model import Organization
from service.patients.identity import without_numbers
from service.patients.model import Patient
from service.practice import Practice
from service.referrals import overview_flow, settling
from service.referrals.model import TERMINAL, Referral, Task
from service.referrals.overview_flow import Colleagues, Told
from service.values import Id

UNDER_14 = frozenset({"0-5", "6-13"})


class Identity(msgspec.Struct, frozen=True):
    """Whether a share's agency knows the person: in words, and what would change it."""

    open: bool
    why: str
    release: str = ""


class Share(msgspec.Struct, frozen=True):
    """One agency's part as the page shows it."""

    id: Id
    agency: str
    worker: str
    says: str
    status: str
    open: bool
    mine: bool
    since: str
    since_exact: str
    since_at: datetime
    why: str
    needs: tuple[str, ...]
    identity: Identity
    step: Sentence | None
    acts: tuple[Act, ...]


class Asked(msgspec.Struct, frozen=True):
    """A question that waits for its answer: of which share, by whom, when, in which words."""

    id: Id
    task: Id
    agency: str
    text: str
    when: str
    exact: str
    at: datetime


class Duty(msgspec.Struct, frozen=True):
    """Something owed beside the next step."""

    id: Id
    what: str
    owner: str
    mine: bool
    by: str
    exact: str
    late: bool
    at: datetime | None
    acts: tuple[Act, ...]


class Said(msgspec.Struct, frozen=True):
    """A consent or a lawful basis: what was said, by whom, for whom, and whether it still holds."""

    id: Id
    kind: str
    agencies: str
    signer: str
    when: str
    exact: str
    at: datetime
    until: str
    active: bool
    withdrawable: bool


class Head(msgspec.Struct, frozen=True):
    """Whom and what it is about, at the tier that the reader may see."""

    urgency: str
    needs: tuple[str, ...]
    person: Patient | None
    withheld: Identity | None
    age_band: str | None
    gender: str | None
    region: str | None
    language: str | None
    where: str
    hospital: str
    flags: tuple[tuple[str, str, bool], ...]
    """Icon, words, whether it is the first to be read."""
    sentence: Sentence | None
    ended: str
    words: tuple[str, ...]
    """What the hospital wrote in its request."""


@get("/referrals/{referral:uuid}", media_type=MediaType.HTML)
async def referral(request: Request[Any, Any, Any], state: State, who: Signed, referral: FromPath[Id]) -> Page:
    """One referral, as this reader may see it."""
    return await shown(request, state, who, referral)


async def shown(
    request: Request[Any, Any, Any], state: State, who: Person, referral: Id, *, tried: str = "", said: Mapping[str, str] | None = None,
    lists: Mapping[str, list[str]] | None = None, fault: Fault | None = None,
) -> Page:  # fmt: skip
    """The page as it is now; after an act that was refused with what was typed, and what others did meanwhile."""
    call = shell.call(request, "page-referral", resource_type="ServiceRequest", resource_id=referral)
    async with access.open(state.database, who.actor, call) as session:
        told = await overview_flow.one(session, who.actor, referral)
        colleagues = await _colleagues(session, who, told)
        now = session.began
    offered = offering.offered(told, who.actor, now, state.database.practice)
    view = _view(told, offered, who, now, state.database.practice)
    kind = request.query_params.get("show", "")
    entries = story.entries(told, who, now)
    meanwhile = _meanwhile(entries, said)
    return shell.page(
        request, "referral/page.html", who, who.speech, title=noted("转介"), status=fault.status if fault else 200, told=told, view=view,
        offered=offered, colleagues=colleagues, entries=[e for e in entries if not kind or e.group == kind or (e.group == "sealed" and kind == "crisis")],
        sealed=offering.SEALED, grounded=[o for s in told.shares if s.open and s.agency and s.patient is None and (o := told.names.organizations.get(s.agency))],
        agreeable=_agreeable(told, colleagues), child=view.head.age_band in UNDER_14,
        groups=[(code, words) for code, words in story.GROUPS.items() if any(e.group == code for e in entries)], show=kind,
        tried=tried, said=said or {}, lists=lists or {}, fault=fault, meanwhile=meanwhile, undo=_undo(request.query_params.get("done"), offered),
        lost=tried not in {act.id for act in offered.all} and not tried.startswith("withdraw-consent"), risks=codes.LISTS[offering.RISK].concepts,
        live=" ".join(str(each) for each in (referral, *(task.id for task in (*told.shares, *told.follow_ups, *told.duties)))),
    )  # fmt: skip


UNDO = {"accept": "return", "claim": "return", "hold": "resume"}
"""What takes an act back, where the table of moves has such a thing: the next page offers it beside its confirmation."""


def _undo(done: str | None, offered: Offered) -> Act | None:
    word = UNDO.get(done or "")
    return next((act for act in offered.main if act.word == word), None)


async def _colleagues(session: Session, who: Person, told: Told) -> Colleagues:
    hospital = (
        told.referral.hospital if told.referral else told.share.hospital if told.share else who.actor.organization
    )
    return await overview_flow.colleagues(session, who.actor, hospital)


def _agreeable(told: Told, colleagues: Colleagues) -> list[tuple[Organization, bool]]:
    """Whom a consent may name: the agencies that have a share of it first, ticked, as the signer is asked about these; the
    hospital's other partners after them."""
    named = told.names.organizations
    asked = [named[share.agency] for share in told.shares if share.open and share.agency and share.agency in named]
    ids = {each.id for each in asked}
    return [*((each, True) for each in asked), *((each, False) for each in colleagues.partners if each.id not in ids)]


def _meanwhile(entries: list[story.Entry], said: Mapping[str, str] | None) -> list[story.Entry]:
    """What happened since the form's page was opened, the latest first: whoever was slower is told who did what, and when."""
    seen = (said or {}).get("seen", "")
    return [e for e in entries if seen.isdigit() and e.number > int(seen)] if said else []


# ---- what is shown ---------------------------------------------------------------------------------------------------


class View(msgspec.Struct, frozen=True):
    """The page's parts."""

    head: Head
    shares: tuple[Share, ...]
    asked: tuple[Asked, ...]
    duties: tuple[Duty, ...]
    consents: tuple[Said, ...]
    links: tuple[tuple[str, str, str], ...]
    """Address, icon, words."""
    calling: tuple[str, str] | None
    """Who is on duty in a crisis, and their telephone."""


def _view(told: Told, offered: Offered, who: Person, now: datetime, practice: Practice) -> View:
    return View(
        head=_head(told, who, now), shares=tuple(_share(share, told, offered, who, now, practice) for share in reversed(_listed(told, who))),
        asked=_asked(told, who, now), duties=tuple(_duty(duty, told, offered, who, now) for duty in told.duties if duty.open),
        consents=_consents(told, who, now), links=_links(told, who),
        calling=(told.on_duty.name, told.on_duty.phone or "") if told.on_duty else None,
    )  # fmt: skip


def _listed(told: Told, who: Person) -> tuple[Task, ...]:
    return told.shares if who.actor.side != "agency" else tuple(s for s in told.shares if s is told.share)


def _head(told: Told, who: Person, now: datetime) -> Head:
    speech, referral, share = who.speech, told.referral, told.share
    about = cast(Referral | Task, share or referral)
    knows = known(told, who)
    sealed = share is not None and share.safety and not knows
    if share is None:
        assert referral is not None
        person, withheld = told.names.patients.get(referral.patient), None
    else:
        person = told.names.patients.get(knows) if knows else None
        withheld = None if person else identity(share, told, speech)
    region = about.region
    step = told.open.step if told.open else None
    stay = told.stay
    return Head(
        urgency=share.urgency if share else referral.effective_urgency if referral else "routine",
        needs=(codes.SAFETY,) if sealed else about.needs, person=person, withheld=withheld, age_band=about.age_band, gender=about.gender,
        region=speech.name(told.names.regions.get(region)) or region if region else None, language=None if sealed else about.language,
        where=place(stay.ward or stay.department, stay.bed, speech) if stay else "",
        hospital=speech.name(told.names.organizations.get(about.hospital)), flags=_flags(told, about, sealed, speech),
        sentence=sentence(step, who.actor, told.names.organizations.get(step.organization), told.names.workers.get(step.worker) if step.worker else None, speech, now)
        if step else None,
        ended="" if step else _ended(told, speech, now), words=_words(told.request, who) if share is None or person else (),
    )  # fmt: skip


def known(told: Told, who: Person) -> Id | None:
    """The person, where what goes on discloses them to the reader: an agency's open share or follow-up of it. Of a safety need
    nothing is said beyond the offer without it (domain f-7): before acceptance, while consent is awaited, when all is over."""
    if who.actor.side != "agency":
        return told.referral.patient if told.referral else None
    own = (task for task in (*told.shares, *told.follow_ups) if task.agency == who.actor.organization and task.open)
    return next((task.patient for task in own if task.patient), None)


def _flags(told: Told, about: Referral | Task, sealed: bool, speech: Speech) -> tuple[tuple[str, str, bool], ...]:
    _ = speech.gettext
    found: list[tuple[str, str, bool]] = []
    if about.contact_prohibited:
        found.append(("phone-off", _("不可直接联系"), True))
    if (told.referral and told.referral.deceased) or (told.open and told.open.step.what == "close"):
        found.append(("heart-handshake", _("已去世"), True))
    if about.age_band in UNDER_14:
        found.append(("shield-check", _("未满14周岁，由监护人同意"), False))
    if told.referral and told.referral.continues:
        found.append(("history", _("接续此前的转介"), False))
    if not sealed and codes.is_safety(about.needs):
        found.append(("shield-check", _("涉及人身安全"), False))
    return tuple(found)


def _ended(told: Told, speech: Speech, now: datetime) -> str:
    task = told.share if told.share is not None and told.referral is None else told.parent or told.share
    if task is None:
        return ""
    if task.status == "entered-in-error":
        what = speech.gettext("误录作废")
    else:
        what = speech.code(codes.BUSINESS_STATUS, task.business_status or "closed")
    reason = why(task.reason.code, task.reason.text, speech) if task.reason else ""
    when = speech.when(task.ended_at, now) if task.ended_at else ""
    return " · ".join(filter(None, [what, reason, when]))


def _words(body: bytes | None, who: Person) -> tuple[str, ...]:
    """What the hospital wrote: the texts of its request; an agency reads no whole citizen number in them."""
    if body is None:
        return ()
    asked: dict[str, Any] = json.loads(body)
    texts = [c.get("text") for c in (*asked.get("reasonCode", ()), *asked.get("category", ()), *asked.get("note", ()))]
    if who.actor.side == "agency":
        return tuple(dict.fromkeys(without_numbers(text) for text in texts if text))
    # What the person themselves was told stands on no agency's copy of the request (adapters/fhir/render.py).
    return tuple(dict.fromkeys(text for text in (*texts, asked.get("patientInstruction")) if text))


def identity(share: Task, told: Told, speech: Speech) -> Identity:
    """Whether this share's agency knows the person, why not, and what would release it."""
    _ = speech.gettext
    if not share.open:
        return Identity(False, _("这一份已结束，不再开放身份"))
    if share.accepted_at is None:
        return Identity(False, _("还没有接单"), _("接单，并取得同意（或有法定依据）后开放"))
    if share.patient is not None:
        if "consent" in share.clocks:
            return Identity(True, _("紧急查阅中：只显示是谁、怎样联系"), _("取得同意后可以开始服务"))
        return Identity(True, _("身份已开放"))
    if "worker" in share.clocks:
        return Identity(False, _("社工已申报利益冲突"), _("改派另一位社工后开放"))
    closed = any(event["kind"] == "conceal" and event["task_id"] == share.id for event in told.events)
    if closed:
        return Identity(False, _("同意已撤回或已到期，身份已收回"), _("重新取得同意（或有法定依据）后开放"))
    return Identity(False, _("等待取得同意"), _("医院取得写明该机构的同意（或有法定依据）后开放"))


def _share(share: Task, told: Told, offered: Offered, who: Person, now: datetime, practice: Practice) -> Share:
    speech = who.speech
    at = share.ended_at or share.accepted_at or share.authored_at
    step = settling.step_of(share, now, practice) if share.open else None
    named = told.names
    whose = named.organizations.get(share.agency) if share.agency else None
    worker = named.workers.get(share.worker) if share.worker else None
    says = codes.label(codes.BUSINESS_STATUS, share.business_status or share.status, speech.language)
    return Share(
        id=share.id, agency=speech.name(whose) if whose else speech.gettext("各合作机构均可认领"), worker=worker.name if worker else "",
        says=speech.gettext("误录作废") if share.status == "entered-in-error" else says, status=share.status, open=share.open, mine=share is told.share,
        since=speech.when(at, now), since_exact=speech.exact(at), since_at=at,
        why=why(share.reason.code, share.reason.text, speech) if share.reason else "",
        needs=share.needs if told.referral and set(share.needs) != set(told.referral.needs) and (not share.safety or known(told, who)) else (),
        identity=identity(share, told, speech),
        step=sentence(step, who.actor, named.organizations.get(step.organization), named.workers.get(step.worker) if step.worker else None, speech, now)
        if step else None,
        acts=tuple(act for act in offered.of(share.id) if act.word != "answer"),
    )  # fmt: skip


def _asked(told: Told, who: Person, now: datetime) -> tuple[Asked, ...]:
    """The questions that wait for their answers, the oldest first."""
    texts = {record.id: (story.text_of(record, who), record.at) for record in told.messages}
    found: list[Asked] = []
    for share in _listed(told, who):
        for question in share.questions:
            text, at = texts.get(question, ("", share.updated_at))
            whose = told.names.organizations.get(share.agency) if share.agency else None
            found.append(
                Asked(
                    question, share.id, who.speech.name(whose), text, who.speech.when(at, now), who.speech.exact(at), at
                )
            )
    return tuple(sorted(found, key=lambda each: each.at))


def _duty(duty: Task, told: Told, offered: Offered, who: Person, now: datetime) -> Duty:
    speech = who.speech
    owner = duty.agency or duty.hospital
    return Duty(
        id=duty.id, what=speech.code(codes.TASK_CODE, duty.item), owner=speech.name(told.names.organizations.get(owner)),
        mine=owner == who.actor.organization, by=speech.when(duty.due_at, now) if duty.due_at else "", at=duty.due_at,
        exact=speech.exact(duty.due_at) if duty.due_at else "", late=duty.due_at is not None and duty.due_at < now, acts=offered.of(duty.id),
    )  # fmt: skip


SIGNERS = {"patient": noted("本人"), "related": noted("监护人或近亲属"), "staff": noted("工作人员记录")}


def _consents(told: Told, who: Person, now: datetime) -> tuple[Said, ...]:
    """What was said of disclosure, the latest first: the hospital's own consents; every ground for the coordinator."""
    speech, found = who.speech, list[Said]()
    for each in reversed(told.consents):
        if not (each.discloses or each.kind != "consent") or (who.actor.side == "hospital" and each.kind != "consent"):
            continue
        found.append(_said(each, told, who, speech, now))
    return tuple(found)


def _said(each: Consent, told: Told, who: Person, speech: Speech, now: datetime) -> Said:
    holds = each.active and (each.valid_to is None or each.valid_to > now)
    signer = speech.gettext(SIGNERS[each.signer])
    if each.spoken:
        signer += speech.gettext("（口头，有见证人）") if each.witness else speech.gettext("（口头）")
    names = (speech.name(told.names.organizations.get(agency)) for agency in each.agencies)
    return Said(
        id=each.id, kind=speech.code(codes.CONSENT_KIND, each.kind), agencies="、".join(filter(None, names)) if speech.language == "zh" else ", ".join(filter(None, names)),
        signer=signer if each.kind == "consent" else (each.reason_text or ""), when=speech.when(each.recorded_at, now), exact=speech.exact(each.recorded_at),
        at=each.recorded_at, until=speech.when(each.valid_to, now) if each.valid_to and holds else "", active=holds,
        withdrawable=each.active and each.kind == "consent" and who.actor.side == "hospital",
    )  # fmt: skip


def _links(told: Told, who: Person) -> tuple[tuple[str, str, str], ...]:
    """Where to go from here; what is not there yet is not led to."""
    _, found = who.speech.gettext, list[tuple[str, str, str]]()
    share = told.share
    if known(told, who):
        found.append((f"/referrals/{told.id}/print", "printer", _("打印转介单")))
    if any(each.status == "completed" for each in told.shares):
        found.append((f"/referrals/{told.id}/receipt", "file-text", _("回执")))
    if share is not None and share.accepted_at and share.agency == who.actor.organization:
        found.append((f"/cases/{share.id}", "folder", _("个案")))
    for task in told.follow_ups:
        if task.status not in TERMINAL and who.actor.organization in (
            task.agency,
            task.hospital if task.agency is None else None,
        ):
            found.append(
                (
                    f"/follow-ups/{task.id}",
                    "phone",
                    _("随访 %(window)s") % {"window": task.follow_up.window if task.follow_up else ""},
                )
            )
            break
    return tuple(found)


route_handlers = [referral]
