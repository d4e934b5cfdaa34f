"""The record of a mandatory report over FHIR: a QuestionnaireResponse of our own form, sealed as it is stored."""

from datetime import datetime
from typing import Any

import msgspec

from adapters.fhir import references, wire
from service import codes
from service.access.model import Actor
from service.db import Session
from service.errors import Invalid, Issue, NotFound
from service.referrals import report_flow, store
from service.safety.model import MandatoryReport
from service.safety.reporting import QUESTIONS, URL, NewReport, Question
from service.values import Id


class _Answer(msgspec.Struct, frozen=True):
    value_coding: wire.Coding | None = msgspec.field(default=None, name="valueCoding")
    value_string: str | None = msgspec.field(default=None, name="valueString")
    value_datetime: str | None = msgspec.field(default=None, name="valueDateTime")


class _Item(msgspec.Struct, frozen=True):
    link_id: str = msgspec.field(name="linkId")
    answer: tuple[_Answer, ...] = ()


class _Response(msgspec.Struct, frozen=True):
    """The response as far as the report goes."""

    status: str
    questionnaire: str | None = None
    subject: wire.Reference | None = None
    based_on: tuple[wire.Reference, ...] = msgspec.field(default=(), name="basedOn")
    item: tuple[_Item, ...] = ()


def is_report(type: str, content: dict[str, Any]) -> bool:
    """Whether a resource is the record of a mandatory report."""
    return type == "QuestionnaireResponse" and str(content.get("questionnaire", "")).partition("|")[0] == URL


async def record(
    session: Session, actor: Actor, body: bytes, id: Id, now: datetime, at: str = "QuestionnaireResponse"
) -> tuple[Issue, ...]:
    """Put it on record, new or corrected; what its sender is told."""
    read = wire.decode(body, _Response, at)
    referral = await _referral(session, read, at)
    about = references.ours(read.subject, "Patient", at=f"{at}.subject") if read.subject else None
    if read.status not in ("completed", "amended", "entered-in-error"):
        raise Invalid(
            "A report is recorded once it was made: completed, amended or entered-in-error.",
            at=f"{at}.status",
            code="value",
        )
    said = {question.code: _said(question, read.item, at) for question in QUESTIONS}
    if issues := [fault for _, fault in said.values() if fault]:
        raise Invalid("The report is not whole.", issues=issues)
    one = {code: values[0] if values else None for code, (values, _) in said.items()}
    known, reported = (wire.instant(one[name] or "", f"{at}.item") for name in ("known", "reported"))
    new = NewReport(
        id=id, referral=referral, situation=one["situation"] or "", known_at=known, reported_at=reported, channel=one["channel"] or "",
        receiver=one["receiver"] or "", reporter=one["reporter"] or "", preserved=tuple(said["preserved"][0]), receipt=one["receipt"],
        about=about, void=read.status == "entered-in-error",
    )  # fmt: skip
    return (_timely(await report_flow.record_report(session, actor, new, body, now)),)


def _timely(made: MandatoryReport) -> Issue:
    return Issue(
        f"已封存。从知悉到报告：{made.minutes} 分钟。 / Sealed. From knowing to reporting: {made.minutes} minutes.",
        code="informational", severity="information", key="sealed",
    )  # fmt: skip


async def _referral(session: Session, read: _Response, at: str) -> Id:
    """The referral that it is on: by the placer's request, or the one that an agency was offered."""
    for position, reference in enumerate(read.based_on):
        found = references.parse(reference.reference)
        id = references.as_id(found[1]) if found else None
        if found is None or id is None:
            continue
        if found[0] == "ServiceRequest":
            if share := await store.by_filler(session, id):
                return share.referral
            if await store.referral(session, id):
                return id
        raise NotFound("There is no such referral, or it is not yours to see.", at=f"{at}.basedOn[{position}]")
    raise Invalid("Name the referral that the report is on.", at=f"{at}.basedOn", code="required")


def _said(question: Question, items: tuple[_Item, ...], at: str) -> tuple[list[str], Issue | None]:
    """The answers to a question as texts, and what is wrong with them."""
    given = [answer for item in items if item.link_id.rpartition("/")[2] == question.code for answer in item.answer]
    values = [value for answer in given if (value := _value(question, answer))]
    name = f"{question.zh} / {question.en} ({question.code})"
    if question.required and not values:
        return values, Issue(f"{name}: this is missing.", f"{at}.item", "required")
    if not question.repeats and len(values) > 1:
        return values, Issue(f"{name}: one answer is wanted.", f"{at}.item", "value")
    if question.list and not all(codes.known(question.list, value) for value in values):
        return values, Issue(f"{name}: a code of {question.list} is wanted.", f"{at}.item", "code-invalid")
    return values, None


def _value(question: Question, answer: _Answer) -> str | None:
    if question.type == "choice":
        return answer.value_coding.code if answer.value_coding else None
    return answer.value_datetime if question.type == "dateTime" else answer.value_string
