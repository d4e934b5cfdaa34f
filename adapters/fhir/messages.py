"""What a Communication means: a question, an answer, a step of a crisis, an attempt to reach somebody, or a message."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, cast

from adapters.fhir import references, wire
from service import codes
from service.access.model import Actor
from service.db import Session
from service.errors import Forbidden, Invalid, Issue, NotFound
from service.followup import flow as followup
from service.referrals import crisis_flow, messaging, store
from service.referrals.model import Risk, Task
from service.safety_codes import RISK
from service.values import Id, Reason, read_json, write_json

MESSAGE = "urn:yuanshe:message"
CRISIS = "urn:yuanshe:crisis"


CONTACT_RULE = "urn:yuanshe:contact-rule"
"""Extension of an attempt (valueCode): the rule of safe contact that it broke; said by the service."""


async def create(session: Session, actor: Actor, body: bytes, id: Id, now: datetime) -> tuple[Issue, ...]:
    """Store a Communication and do what it means; what its sender should know of it all the same."""
    asked = wire.decode(body, wire.Communication, "Communication")
    kind = _kind(asked)
    if asked.sent:
        wire.instant(asked.sent, "Communication.sent")
    task, referral, objects = await _object(session, asked)
    content: dict[str, Any] = read_json(body)
    # The object stands in both, whichever was used, so that either finds it again (contract.md).
    content["about"] = content["basedOn"] = [{"reference": name} for name in objects]
    body = write_json(content)
    if task is not None and task.kind == "follow-up":
        return await _attempt(session, actor, asked, task, content, id, now)
    if kind == "receipt":
        raise Forbidden("The receipt is written by the service when a share is completed.", key="wrong-actor")
    if kind != "crisis" and task is not None and actor.side != "agency":
        await messaging.names_nobody(session, task, _words(content))
    if kind == "crisis":
        await _crisis(session, actor, asked, referral, now)
    elif kind == "question":
        if not (asked.payload or asked.note):
            raise Invalid("A question says what is asked.", at="Communication.payload", code="required")
        await messaging.ask(session, actor, _needed(task), id, now)
    elif kind == "answer":
        questions = tuple(
            found
            for r in asked.in_response_to
            if (found := references.ours(r, "Communication", at="Communication.inResponseTo[0]"))
        )
        if actor.side == "agency" and questions and await messaging.replies_to_others(session, actor, questions):
            kind = "message"
        else:
            await messaging.answer(session, actor, _needed(task), questions, now)
    await messaging.keep(session, actor, referral, task, kind, id, body, asked.status, now)
    return ()


def _kind(asked: wire.Communication) -> str:
    """What it is, by its category. A word of ours that is misspelt, or a crisis that does not say so, must not pass for a
    plain message: nobody would act on it."""
    said = next((code for concept in asked.category if (code := concept.code(MESSAGE))), None)
    if said is not None and not codes.known(codes.MESSAGE, said):
        raise Invalid(f"The category is not a code of {MESSAGE}.", at="Communication.category", code="code-invalid")
    if said != "crisis" and any(concept.code(CRISIS) for concept in asked.reason_code):
        raise Invalid(
            f"A step of a crisis has the category {MESSAGE}|crisis.",
            at="Communication.category",
            code="required",
            key="crisis-category",
        )
    if said in (None, "message") and asked.in_response_to:
        return "answer"
    return said or "message"


NO_WORDS = frozenset({"reference", "system", "code", "url", "id", "meta", "resourceType", "status", "sent", "received"})


def _words(value: Any) -> Iterator[str]:
    """Every text in a resource, wherever it stands; not its codes, dates and references."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in cast(dict[str, Any], value).items():
            if key not in NO_WORDS:
                yield from _words(inner)
    elif isinstance(value, list):
        for inner in cast(list[Any], value):
            yield from _words(inner)


def _needed(task: Task | None) -> Id:
    if task is None or task.kind != "share":
        raise Invalid("Name the agency's Task that this is about.", at="Communication.about", code="required")
    return task.id


async def _object(session: Session, asked: wire.Communication) -> tuple[Task | None, Id, list[str]]:
    """What it is about: a Task, a referral, or (for an answer) what the question was about."""
    named = [
        (f"{place}[{n}]", r)
        for place in ("about", "basedOn")
        for n, r in enumerate(asked.about if place == "about" else asked.based_on)
    ]
    task: Task | None = None
    referral: Id | None = None
    objects: dict[str, None] = {}
    for at, reference in named:
        found = references.parse(reference.reference)
        if found is None or found[0] not in ("Task", "ServiceRequest") or (id := references.as_id(found[1])) is None:
            raise Invalid(
                "This must reference a Task or ServiceRequest that is known here.",
                at=f"Communication.{at}",
                code="not-found",
            )
        objects[f"{found[0]}/{found[1]}"] = None
        if found[0] == "Task":
            task = await store.task(session, id)
            if task is None:
                raise NotFound("There is no such Task, or it is not yours to see.", at=f"Communication.{at}")
        else:
            share = await store.by_filler(session, id)
            task = task or share
            if share is None:
                if await store.referral(session, id) is None:
                    raise NotFound("There is no such referral, or it is not yours to see.", at=f"Communication.{at}")
                referral = id
    if task is None and referral is None:
        for reference in asked.in_response_to:
            question = references.required(reference, "Communication", at="Communication.inResponseTo[0]")
            asked_about = await messaging.about(session, question)
            if asked_about is not None:
                task = await store.task(session, asked_about)
                objects[f"Task/{asked_about}"] = None
    if task is not None:
        referral = task.referral if task.kind != "parent" or referral is None else referral
        task = None if task.kind == "parent" else task
    if referral is None:
        raise Invalid("Name the Task or ServiceRequest that this is about.", at="Communication.about", code="required")
    return task, referral, list(objects)


async def _crisis(session: Session, actor: Actor, asked: wire.Communication, referral: Id, now: datetime) -> None:
    step = next((code for concept in asked.reason_code if (code := concept.code(CRISIS))), None)
    if step is None:
        raise Invalid(
            "A step of a crisis has a reasonCode of urn:yuanshe:crisis.", at="Communication.reasonCode", code="required"
        )
    text = " ".join(filter(None, (*(p.content_string for p in asked.payload), *(n.text for n in asked.note))))
    words = next((concept.text for concept in asked.reason_code if concept.text), None) or text or None
    why = Reason(step, words)
    if step == "raised":
        await crisis_flow.raise_crisis(session, actor, referral, why, now)
    elif step in ("acknowledged", "safety-planned", "reported", "stood-down"):
        await crisis_flow.step_crisis(session, actor, referral, step, why, now, _risk(asked))
    else:
        raise Invalid(
            "A step of a crisis is raised, acknowledged, safety-planned, reported or stood-down.",
            at="Communication.reasonCode", code="code-invalid",
        )  # fmt: skip


def _risk(asked: wire.Communication) -> Risk | None:
    """The risk band, a second reasonCode beside the step."""
    said = next((code for concept in asked.reason_code if (code := concept.code(RISK))), None)
    if said is not None and not codes.known(RISK, said):
        raise Invalid(f"The risk is not a code of {RISK}.", at="Communication.reasonCode", code="code-invalid")
    return cast(Risk | None, said)


async def _attempt(
    session: Session,
    actor: Actor,
    asked: wire.Communication,
    task: Task,
    content: dict[str, Any],
    id: Id,
    now: datetime,
) -> tuple[Issue, ...]:
    if asked.status not in ("completed", "not-done"):
        raise Invalid(
            "An attempt is completed (somebody was reached) or not-done.", at="Communication.status", code="value"
        )
    why = asked.status_reason
    if asked.status == "not-done" and (why is None or not (why.text or why.coding)):
        raise Invalid("An attempt that reached nobody says why.", at="Communication.statusReason", code="required")
    channel = channel_of(asked.medium)
    if channel is None:
        raise Invalid("An attempt names its medium.", at="Communication.medium", code="required")
    attempt = followup.NewAttempt(
        id=id, task=task.id, channel=channel, at=wire.instant(asked.sent, "Communication.sent") if asked.sent else now,
        reached=asked.status == "completed", result=why.code(codes.CONTACT_RESULT) if why else None,
        reason=Reason(next((c.code for c in why.coding if c.code), None), why.text) if why else None,
    )  # fmt: skip
    warnings: list[Issue] = []

    def kept(broke: str | None) -> bytes:
        """The record as received, with the rule that the service found broken; what a sender says of that is not taken."""
        others = [each for each in content.get("extension", ()) if each.get("url") != CONTACT_RULE]
        said = {key: value for key, value in content.items() if key != "extension"}
        if broke:
            rule = codes.label(codes.CONTACT_RULE, broke, "en")
            text = f"Recorded, but it was not safe: {rule[0].lower()}{rule[1:]}. A supervisor is asked to look at it."
            warnings.append(Issue(text, "Communication.medium", "business-rule", "warning"))
            others.append({"url": CONTACT_RULE, "valueCode": broke})
        return write_json(said | ({"extension": others} if others else {}))

    await followup.attempt(session, actor, attempt, kept, now)
    return tuple(warnings)


PARTICIPATION_MODES = {
    "PHONE": "phone", "VIDEOCONF": "video", "DICTATE": "phone", "PHYSICAL": "visit", "FACE": "visit",
    "WRITTEN": "letter", "MAILWRIT": "letter", "EMAILWRIT": "message", "SMSWRIT": "message", "ELECTRONIC": "message", "FAXWRIT": "letter",
    "TYPEWRIT": "letter", "HANDWRIT": "letter", "REMOTE": "phone", "VERBAL": "phone",
}  # fmt: skip
"""v3-ParticipationMode, with which R4 binds a Communication's medium, in the words of urn:yuanshe:channel."""


def channel_of(media: tuple[wire.Concept, ...]) -> str | None:
    """The way of contact: our own code, one of v3-ParticipationMode, else `other`; None where no medium is named."""
    for medium in media:
        for coding in medium.coding:
            if coding.system == codes.CHANNEL and coding.code:
                return coding.code
            if coding.code in PARTICIPATION_MODES:
                return PARTICIPATION_MODES[coding.code]
            if coding.code and codes.known(codes.CHANNEL, coding.code):
                return coding.code
    return "other" if media else None
