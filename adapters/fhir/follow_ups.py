"""What the output of a follow-up Task says: its outcome, the supervisor behind it, a new need; and the request that becomes of one."""

from datetime import datetime
from typing import Any

import msgspec

from adapters.fhir import references, render, wire
from service import codes
from service.errors import Invalid
from service.followup.model import FOLLOW_UP_SYSTEM, NewNeed
from service.referrals.model import Output, Task
from service.values import Id, new_id, write_json

DECIDED_BY = "urn:yuanshe:decided-by"
"""Extension of an outcome `lost` (valueReference PractitionerRole): the supervisor who says so; the reason is statusReason."""


class Said(msgspec.Struct, frozen=True):
    """A new outcome and its element, the supervisor behind it, and the need that it found: its element, codes and words."""

    code: str
    element: dict[str, Any]
    supervisor: Id | None = None
    need: dict[str, Any] | None = None
    needs: tuple[str, ...] = ()
    text: str | None = None


def said(current: Task, asked: wire.Task, content: dict[str, Any]) -> Said | None:
    """What is said besides what was said before; None for nothing. Raises Invalid with the element at fault."""
    known = [output.element for output in current.outputs]
    outcome: Said | None = None
    need: tuple[dict[str, Any], wire.Concept, str] | None = None
    for position, (read, element) in enumerate(zip(asked.output, content.get("output") or [], strict=True)):
        at = f"Task.output[{position}]"
        if element in known:
            continue
        if read.type.code(codes.TASK_CODE) == "need":
            if read.value_concept is None:
                raise Invalid("A need is a valueCodeableConcept.", at=at, code="required")
            need = need or (element, read.value_concept, f"{at}.valueCodeableConcept")
        elif read.value_concept is None or not (code := read.value_concept.code(codes.FOLLOW_UP_OUTCOME)):
            raise Invalid(
                "A follow-up's output is its outcome, a code of urn:yuanshe:follow-up-outcome, and with new-need the need.",
                at=at,
                code="value",
            )
        elif outcome is None:
            by = next((each.value_reference for each in read.extension if each.url == DECIDED_BY), None)
            supervisor = references.required(by, "PractitionerRole", at=f"{at}.extension") if by else None
            outcome = Said(code, element, supervisor)
    if need is None:
        return outcome
    if outcome is None or outcome.code != "new-need":
        raise Invalid("A need goes with the outcome new-need.", at="Task.output", code="business-rule")
    element, concept, at = need
    return msgspec.structs.replace(outcome, need=element, needs=_needs(concept, at), text=concept.words)


def _needs(concept: wire.Concept, at: str) -> tuple[str, ...]:
    """The need codes of a concept, as of a request's: what is not mapped is N99 with its words."""
    for coding in concept.coding:
        if coding.system == codes.NEED and not codes.known(codes.NEED, coding.code or ""):
            raise Invalid(
                "This is not one of our need codes (CodeSystem?url=urn:yuanshe:need).", at=at, code="code-invalid"
            )
    found = [
        need for coding in concept.coding if coding.code for need in codes.needs_of(coding.system or "", coding.code)
    ]
    if not found and not concept.words:
        raise Invalid("A need that is in no list needs words.", at=f"{at}.text", code="required")
    return tuple(dict.fromkeys(found)) or (codes.OTHER_NEED,)


def new_need(current: Task, needs: tuple[str, ...], text: str | None, now: datetime) -> NewNeed:
    """The request that a new need becomes, with everything carried: of the same person, based on the referral that was
    followed up. `current` is the follow-up, or the hospital's duty to confirm it."""
    urgency = codes.floor_urgency(needs)
    words = {"text": text} if text else {}
    asks: dict[str, Any] = {
        "resourceType": "ServiceRequest",
        "status": "active",
        "intent": "order",
        "identifier": [{"system": FOLLOW_UP_SYSTEM, "value": str(current.about or current.id)}],
        "category": [render.concept(codes.NEED, need) | words for need in needs],
        "priority": urgency,
        "subject": {"reference": f"Patient/{current.patient}"},
        "authoredOn": render.instant(now),
        "basedOn": [{"reference": f"ServiceRequest/{current.referral}"}],
    }
    return NewNeed(new_id(), new_id(), needs, urgency, write_json(asks), text)


def besides(told: Said, becomes: NewNeed | None) -> tuple[Output, ...]:
    """The need as it was sent, and the referral that it has become, where it has."""
    found = (Output("need", told.need),) if told.need else ()
    if becomes is None:
        return found
    reference = f"ServiceRequest/{becomes.referral}"
    element = {"type": render.concept(codes.TASK_CODE, "referral"), "valueReference": {"reference": reference}}
    return (*found, Output("referral", element, reference))
