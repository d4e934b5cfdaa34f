"""Screening over FHIR: a response that was kept is scored, and its sender told what it comes to, what it suggests, and what
to do on the spot."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from adapters.fhir import intake, parameters, references, wire
from adapters.fhir.render import concept, instant, ref
from service import codes
from service.access.model import Actor
from service.db import Session
from service.errors import Invalid, Issue, Malformed
from service.followup import flow as followup
from service.records.model import Record
from service.referrals import screening_flow
from service.safety import duties
from service.safety.duties import Duty, Facts
from service.safety.instruments import INSTRUMENTS, Instrument
from service.safety.model import Screening, Suggestion
from service.safety.scoring import Given, Scored
from service.safety.screening import raises_crisis
from service.values import Id, write_json

TYPES = frozenset({"Observation", "QuestionnaireResponse"})
LOINC = "http://loinc.org"
SCORE = "urn:yuanshe:score"
"""System of the totals for which LOINC has no code: the code is the instrument's key."""


async def take(
    session: Session, actor: Actor, record: Record, now: datetime, *, placed: bool = False
) -> tuple[Issue, ...]:
    """Score what was just kept and let follow what follows; what its sender is told. `placed`: it came with the submission."""
    if record.type == "Condition" and not placed and actor.side == "hospital":
        return await _diagnosed(session, actor, record, now)
    if record.type not in TYPES or record.patient is None:
        return ()
    if record.type == "Observation":
        read = wire.decode(record.body, wire.Observation, "Observation")
        given, said = intake.given(read), await _compared(session, read)
        if placed or not raises_crisis(given.answers):
            return said
    else:
        given, said = intake.given(wire.decode(record.body, wire.QuestionnaireResponse, record.type)), ()
    return said + await _screened(session, actor, record, given, now, placed)


async def _screened(
    session: Session, actor: Actor, record: Record, given: Given, now: datetime, placed: bool
) -> tuple[Issue, ...]:
    assert record.patient is not None
    done = await screening_flow.screened(session, actor, record, given, now, placed=placed)
    said: list[Issue] = []
    if done.scored and done.screening:
        it = INSTRUMENTS[done.scored.instrument]
        await _derive(session, record, it, done.scored, done.screening, now)
        said += told(it, done.scored)
        if it.key == "lace" and not placed:
            await followup.risk_known(session, actor, record.patient, now)
    said += [suggests(each) for each in done.suggestions]
    if done.danger and not placed:
        if not done.referrals:
            said.append(NOT_REFERRED)
        said += on_the_spot(Facts(signs=frozenset({duties.ITEM_9})))
    if done.danger and (placed or done.referrals):
        said.append(CRISIS)
    return tuple(said)


TOTALS = {it.total.code for it in INSTRUMENTS.values() if it.total and it.total.loinc}


async def _compared(session: Session, read: wire.Observation) -> tuple[Issue, ...]:
    """A total that is sent by itself, beside what its answers come to; without answers nobody here knows whether it is right."""
    said = {c.code for c in read.code.coding if (c.system or "").endswith("loinc.org")} & TOTALS
    value = read.value_integer if read.value_integer is not None else read.value_quantity and read.value_quantity.value
    if not said or value is None:
        return ()
    for reference in read.derived_from:
        found = references.parse(reference.reference)
        id = references.as_id(found[1]) if found and found[0] == "QuestionnaireResponse" else None
        if id and (known := await screening_flow.score_of(session, id)):
            return () if known.score == value else (DIFFERS,)
    return (UNVERIFIED,)


DIFFERS = Issue(
    "随附的总分与答案不符，未被采用。 / The total that came along is not what the answers come to; it is not used.",
    "item", "value", "warning", "score-differs",
)  # fmt: skip
CRISIS = Issue(
    "PHQ-9 第 9 题（44260-8）的回答不是“完全不会”：无论总分多少都立为危机；由谁、何时前确认，见转介 $timeline 的 next。 / Item 9 of the PHQ-9 (44260-8) "
    "was answered with more than “not at all”: that raises a crisis whatever the total; who acknowledges it, by when, says next in "
    "the referral's $timeline.", code="informational", severity="warning", key="crisis-raised",
)  # fmt: skip
UNVERIFIED = Issue(
    "没有答案的总分仅存档，不据以判断。 / A total without its answers is kept, and decides nothing.",
    code="informational", severity="information", key="score-unverified",
)  # fmt: skip


async def _diagnosed(session: Session, actor: Actor, record: Record, now: datetime) -> tuple[Issue, ...]:
    """A diagnosis may be a signal of itself: a girl under 14 who is pregnant."""
    found = icd10(record.body, "Condition")
    if not found:
        return ()
    owed = await screening_flow.diagnosed(session, actor, record, found, now)
    return tuple(_on_the_spot(owed))


class Coded(msgspec.Struct, frozen=True):
    """What a Condition says by its code."""

    code: wire.Concept = wire.Concept()


def icd10(body: bytes, at: str) -> tuple[str, ...]:
    """The ICD-10 codes of a Condition."""
    said = wire.decode(body, Coded, at).code.coding
    return tuple(coding.code for coding in said if coding.code and codes.is_icd10(coding.system or ""))


NOT_REFERRED = Issue(
    "此人没有进行中的转介，系统无法跟进：请立即处置并提交转介。 / No referral of this person is open, so nobody here follows it up: "
    "act now, and place one.", code="informational", severity="warning", key="not-referred",
)  # fmt: skip


async def _derive(
    session: Session, record: Record, it: Instrument, found: Scored, screening: Screening, now: datetime
) -> None:
    """The total as an Observation of its own, or the one there was taken back."""
    if found.total is None or screening.void:
        if not screening.observation_version:
            return
        body = observation(record, it, found, screening, now) | {"status": "entered-in-error"}
    else:
        body = observation(record, it, found, screening, now)
    await screening_flow.keep_score(session, record, screening, write_json(body), now)


def observation(record: Record, it: Instrument, found: Scored, screening: Screening, now: datetime) -> dict[str, Any]:
    """The total, with the bands and the parts that the instrument has, derived from the response."""
    total = it.total
    assert total is not None and record.patient is not None
    system, code = (LOINC, total.code) if total.loinc else (SCORE, it.key)
    said: dict[str, Any] = {
        "resourceType": "Observation", "status": "amended" if screening.observation_version else "final",
        "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "survey"}]}],
        "code": {"coding": [{"system": system, "code": code}], "text": total.zh},
        "subject": ref("Patient", record.patient), "effectiveDateTime": instant(now), "issued": instant(now),
        "derivedFrom": [ref("QuestionnaireResponse", record.id)],
    }  # fmt: skip
    if found.total is not None:
        said["valueInteger"] = found.total
        if band := it.band(found.total):
            said["interpretation"] = [{"coding": [{"system": f"{it.url}:band", "code": band.code}], "text": band.zh}]
    else:
        said["dataAbsentReason"] = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/data-absent-reason", "code": "not-asked"}]}  # fmt: skip
    if found.parts:
        said["component"] = [
            {"code": {"coding": [{"system": SCORE, "code": f"{it.key}-{part.code}"}], "text": part.zh}, "valueInteger": found.parts[part.code]}
            for part in it.parts
        ]  # fmt: skip
    if record.referral is not None and record.author == record.hospital:
        said["basedOn"] = [ref("ServiceRequest", record.referral)]
    return said


def told(it: Instrument, found: Scored) -> list[Issue]:
    """What the response comes to, what is missing, and whether its sender reckoned otherwise."""
    said: list[Issue] = []
    if found.total is not None and it.total:
        band = it.band(found.total)
        zh, en = (f"（{band.zh}）", f" ({band.en.lower()})") if band else ("", "")
        said.append(
            Issue(f"{it.total.zh}：{found.total}{zh}。 / {it.total.en}: {found.total}{en}.", code="informational", severity="information", key="score")
        )  # fmt: skip
    elif it.total:
        missing = ", ".join(found.missing)
        said.append(
            Issue(f"量表不完整，不计总分；未答或答案无法识别：{missing}。 / The form is incomplete and has no total; not answered, or by no answer of the form: {missing}.",
                  "item", "informational", "warning", "incomplete")
        )  # fmt: skip
    if found.differs:
        said.append(DIFFERS)
    return said


def suggests(one: Suggestion) -> Issue:
    """A suggestion, for a person to decide."""
    zh, en = screening_flow.label(one)
    return Issue(
        f"建议（由人决定）：{zh}，{one.code}。 / Suggested, for a person to decide: {en.lower()}, {one.code}.",
        code="informational", severity="information", key="suggestion",
    )  # fmt: skip


def on_the_spot(known: Facts) -> list[Issue]:
    """What to do there and then, by the table of duties; the platform is never the emergency channel (domain b-4)."""
    return _on_the_spot(duties.owed(known))


def _on_the_spot(owed: Sequence[Duty]) -> list[Issue]:
    said = [
        Issue(f"{duty.zh} / {duty.en}", code="informational", severity="information", key=f"on-the-spot:{duty.code}")
        for duty in owed
    ]
    return [HERE, *said] if said else []


HERE = Issue(
    "本平台不是急救渠道：请先在现场处置。紧急拨 110、120；心理援助热线 12356。 / This platform is no emergency channel: act on the spot first. "
    "Emergency 110, 120; psychological line 12356.", code="informational", severity="information", key="on-the-spot",
)  # fmt: skip


# ---- suggestions -------------------------------------------------------------------------------------------------------


async def suggestions(session: Session, actor: Actor, id: Id) -> dict[str, Any]:
    """`GET ServiceRequest/{id}/$suggest`: what screening suggests to the asker's organisation, decided or not."""
    return parameters.reply([_shown(each) for each in await screening_flow.suggestions(session, actor, id)])


async def decide(session: Session, actor: Actor, id: Id, words: parameters.Words, now: datetime) -> dict[str, Any]:
    """`POST ServiceRequest/{id}/$suggest`: a person's decision on the `suggestion`: accept, or dismiss with a `reason`."""
    said = dict(words)
    which = references.as_id(said.get("suggestion", ""))
    if which is None:
        raise Malformed("Name the suggestion by its id.", at="Parameters.parameter", code="required")
    if said.get("decision") not in ("accept", "dismiss"):
        raise Invalid("The decision is accept or dismiss.", at="Parameters.parameter", code="value")
    accepted = said["decision"] == "accept"
    decided = await screening_flow.decide(session, actor, id, which, accepted, said.get("reason"), now)
    given = [_shown(decided)]
    if accepted and decided.kind == "need" and actor.side != "agency":
        placed = await screening_flow.to_place(session, decided)
        given.append({"name": "request", "resource": _request(decided, *placed)})
    return parameters.reply(given)


def _shown(one: Suggestion) -> dict[str, Any]:
    system = {"need": codes.NEED, "urgency": codes.URGENCY}.get(one.kind)
    zh, _ = screening_flow.label(one)
    what = concept(system, one.code) if system else {"text": zh}
    part: list[dict[str, Any]] = [
        {"name": "id", "valueId": str(one.id)},
        {"name": "kind", "valueCode": one.kind},
        {"name": "what", "valueCodeableConcept": what},
        {"name": "why", "valueString": one.why},
        {"name": "status", "valueCode": one.status},
        {"name": "made", "valueInstant": instant(one.made_at)},
    ]
    if one.response:
        part.append({"name": "response", "valueReference": ref("QuestionnaireResponse", one.response)})
    if one.decided_at:
        part.append({"name": "decided", "valueInstant": instant(one.decided_at)})
    if one.reason:
        part.append({"name": "reason", "valueString": one.reason})
    return {"name": "suggestion", "part": part}


def _request(one: Suggestion, needs: tuple[str, ...], replaces: bool) -> dict[str, Any]:
    """What the hospital sends, with a number of its own, to place the need that it has accepted: a request that replaces
    the old one (moves.md), or one beside it where an agency has accepted that."""
    said: dict[str, Any] = {
        "resourceType": "ServiceRequest", "status": "draft", "intent": "order", "subject": ref("Patient", one.patient),
        "category": [concept(codes.NEED, need) for need in needs],
    }  # fmt: skip
    return said | ({"replaces": [ref("ServiceRequest", one.referral)]} if replaces else {})
