"""The referral sheet (转介单) and the receipt (转介回执), for paper: what the reader may read, and nothing sealed."""

from typing import Any
from uuid import UUID

import msgspec
from litestar import MediaType, Request, get
from litestar.datastructures import State
from litestar.params import FromPath

from adapters.web import shell
from adapters.web.sentence import Sentence, sentence
from adapters.web.shell import Page, Person, Signed
from service import codes
from service.access import flow as access
from service.patients import identity
from service.patients.model import CITIZEN_NUMBER
from service.referrals import sheet_flow
from service.referrals.sheet_flow import Sheet
from service.values import Id


class Line(msgspec.Struct, frozen=True):
    """A row of a sheet: its name and what it says."""

    name: str
    says: str


class Outcome(msgspec.Struct, frozen=True):
    """A receipt in words: who closed it, when, why, with how many results."""

    agency: str
    at: str
    reason: str
    text: str
    outputs: int


@get("/referrals/{referral:uuid}/print", media_type=MediaType.HTML)
async def form(request: Request[Any, Any, Any], state: State, who: Signed, referral: FromPath[UUID]) -> Page:
    """The referral sheet."""
    return await _paper(request, state, who, referral, "print")


@get("/referrals/{referral:uuid}/receipt", media_type=MediaType.HTML)
async def receipt(request: Request[Any, Any, Any], state: State, who: Signed, referral: FromPath[UUID]) -> Page:
    """The receipt: what came of it, as the agency that closed it said; until then, who must act next."""
    return await _paper(request, state, who, referral, "receipt")


async def _paper(request: Request[Any, Any, Any], state: State, who: Person, referral: Id, kind: str) -> Page:
    call = shell.call(request, f"page-{kind}", resource_type="ServiceRequest", resource_id=referral)
    async with access.open(state.database, who.actor, call) as session:
        it = await sheet_flow.sheet(session, who.actor, referral)
        now = session.began
    _ = who.speech.gettext
    return shell.page(
        request, f"refer/{kind}.html", who, who.speech, title=_("转介单") if kind == "print" else _("转介回执"), id=referral, sheet=it,
        number=_number(it), who_=_who(it, who), asked=_asked(it, who), says=_sentence(it, who), outcomes=_outcomes(it, who),
        printed=_("打印于 %(time)s，%(name)s（%(organization)s）") % {
            "time": who.speech.exact(now), "name": who.actor.name, "organization": who.speech.name(it.printed_for),
        },
    )  # fmt: skip


def _number(it: Sheet) -> str:
    """The placer's number for those who may read it; an agency's paper bears its share's before that."""
    if it.told.referral is not None:
        return it.told.referral.placer_value
    return str(it.about.id)


def _sentence(it: Sheet, who: Person) -> Sentence | None:
    step = it.told.open.step if it.told.open else None
    if step is None:
        return None
    worker = it.told.names.workers.get(step.worker) if step.worker else None
    # Paper is read by others: it names whoever must act, the reader too.
    reader = msgspec.structs.replace(who.actor, worker=None)
    return sentence(step, reader, it.told.names.organizations.get(step.organization), worker, who.speech, step.since)


def _who(it: Sheet, who: Person) -> list[Line]:
    """Who it is about, element by element as the reader may read it."""
    _, speech, about, person = who.speech.gettext, who.speech, it.about, it.person
    rows: list[tuple[str, str]] = []
    if person is None:
        rows.append((_("姓名"), _("未开放：接单并取得同意（或有法定依据）后才显示")))
    else:
        rows.append((_("姓名"), person.name or _("姓名不详")))
    if person is not None and "birth-date" in it.seen and person.birth_date:
        rows.append((_("出生日期"), person.birth_date.isoformat()))
    elif about.age_band and ("age-band" in it.seen or "age-group" in it.seen):
        band = about.age_band if "age-band" in it.seen else codes.coarse_age_band(about.age_band)
        rows.append((_("年龄段"), speech.code(codes.AGE_BAND, band)))
    if "gender" in it.seen and about.gender in ("male", "female"):
        rows.append((_("性别"), _("男") if about.gender == "male" else _("女")))
    if person is not None and "masked-number" in it.seen:
        rows += [
            (_("身份证号"), identity.mask(each.value)) for each in person.identifiers if each.system == CITIZEN_NUMBER
        ]
        if not _of_agency(who):
            rows += [(_("住院号或病案号"), each.value) for each in person.identifiers if each.system != CITIZEN_NUMBER]
    if person is not None and not it.reachable:
        rows.append((_("联系方式"), _("不打印：不可直接联系本人，每一步由督导决定")))
    elif person is not None:
        if "phone" in it.seen and (it.rules.number or person.phone):
            rows.append((_("电话"), it.rules.number or person.phone or ""))
        if "address" in it.seen and person.address:
            rows.append((_("住址"), person.address))
        if "phone" in it.seen:
            rows.append((_("怎样联系才安全"), _safely(it, who)))
    if about.region and ("street" in it.seen or "county" in it.seen):
        code = about.region if "street" in it.seen else about.region[:6]
        region = it.told.names.regions.get(code) or it.told.names.regions.get(about.region)
        rows.append((_("出院后住在"), speech.name(region) or code))
    if "language" in it.seen and about.language:
        rows.append((_("说什么话"), about.language))
    stay = it.told.stay
    if stay is not None and "stay" in it.seen and not it.sealed:
        rows.append((_("病区"), " ".join(filter(None, (stay.department, stay.ward, stay.bed)))))
    return [Line(name, says) for name, says in rows if says]


def _safely(it: Sheet, who: Person) -> str:
    """By which ways, when, and whether word may be left, where anything of it was said."""
    _, rules = who.speech.gettext, it.rules
    said = [_("、").join(who.speech.code(codes.CHANNEL, channel) for channel in rules.channels)]
    said += [f"{hours.begins:%H:%M}–{hours.ends:%H:%M}" for hours in rules.times]
    said.append("" if rules.may_leave_message else _("不可留言、不可托人转告"))
    return " · ".join(filter(None, said))


def _consented(it: Sheet, who: Person) -> str:
    """To whom the person agreed to be known; for those who may read consents."""
    _, now = who.speech.gettext, it.told
    if _of_agency(who):
        return ""
    named = [agency for each in now.consents if each.active and each.discloses for agency in each.agencies]
    if not named:
        return _("尚未取得")
    return _("同意披露给：%(agencies)s") % {
        "agencies": _("、").join(
            who.speech.name(now.names.organizations.get(agency)) for agency in dict.fromkeys(named)
        )
    }


def _of_agency(who: Person) -> bool:
    return who.actor.side == "agency"


def _asked(it: Sheet, who: Person) -> list[Line]:
    _, speech, about = who.speech.gettext, who.speech, it.about
    named = it.told.names.organizations
    urgency = it.told.referral.effective_urgency if it.told.referral else about.urgency
    rows = [
        (_("转出医院"), speech.name(named.get(about.hospital)) if "street" in it.seen or not _of_agency(who) else ""),
        (_("需求"), _("、").join(speech.code(codes.NEED, need) for need in it.needs)),
        (_("多急"), "" if it.sealed or it.crisis else speech.code(codes.URGENCY, urgency)),
        (_("为什么转介"), "\n".join(it.reason)),
        (_("同意"), _consented(it, who)),
        (_("提交时间"), speech.exact(about.authored_at)),
        (_("接单机构"), _("、").join(speech.name(named.get(s.agency)) for s in it.told.shares if s.agency and s.accepted_at)),
    ]  # fmt: skip
    if it.sealed:
        rows.append((_("说明"), _("涉及人身安全：详细内容已封存，不打印。")))
    if about.contact_prohibited:
        rows.insert(0, (_("注意"), _("不可直接联系")))
    return [Line(name, says) for name, says in rows if says]


def _outcomes(it: Sheet, who: Person) -> list[Outcome]:
    speech, named = who.speech, it.told.names.organizations
    found: list[Outcome] = []
    for each in it.receipts:
        agency = it.agencies.get(each.task)
        found.append(
            Outcome(
                speech.name(named.get(agency)) if agency else "", speech.exact(each.at), speech.code(codes.CLOSURE_REASON, each.reason.code),
                "" if it.sealed else each.reason.text or "", len(each.outputs),
            )
        )  # fmt: skip
    return found


route_handlers = [form, receipt]
