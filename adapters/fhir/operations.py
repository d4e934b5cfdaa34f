"""The operations of our own: `$route` asks without storing, `$timeline` tells what happened and who acts next, `$case`,
`$advance` and `$approve` are of an agency's case."""

from datetime import datetime
from typing import Any

import msgspec

from adapters.fhir import casefile, intake, references, submission, validation, wire
from adapters.fhir.parameters import Words, reply
from adapters.fhir.render import instant
from service.access.model import Actor
from service.casework import phase_flow
from service.db import Session
from service.errors import Invalid
from service.patients import flow as persons
from service.patients import store as patients
from service.referrals import flow
from service.routing import words
from service.safety.screening import raises_crisis
from service.values import Id, new_id, read_json


async def route(session: Session, actor: Actor, body: bytes, now: datetime) -> dict[str, Any]:
    """The same body as a submission; who would receive it, in what order, and every agency's every rule."""
    kind = wire.decode(body, wire.Kind, "Bundle")
    if kind.resource_type == "Bundle":
        parts = submission.parts_of(enumerate(submission.bundle_of(body).entry))
    else:
        validation.check("ServiceRequest", read_json(body))
        parts = submission.lone(body)
    asked = submission.request_of(parts)
    read = wire.decode(asked.raw, wire.ServiceRequest, asked.at)
    part, person = await submission.subject(session, actor, parts, asked, read)
    if part is not None:
        person = intake.patient(wire.decode(part.raw, wire.Patient, part.at), part.id, actor.organization, now, part.at)
        with wire.within(part.at):
            person = persons.checked(person)
    assert person is not None
    new, _ = intake.referral(read, asked.id, new_id(), person.id, asked.raw, now, asked.at)
    region = None
    for encounter in (p for p in parts if p.type == "Encounter"):
        region = (await submission.destination(session, parts, encounter, person.id, actor, now)).region
    if region is None and (
        known := references.as_id((references.parse(read.encounter.reference) or ("", ""))[1])
        if read.encounter
        else None
    ):
        stay = await patients.get_stay(session, known)
        region = stay.region if stay else None
    new = msgspec.structs.replace(new, region=region, signs_crisis=raises_crisis(submission.answers_of(parts)))
    decision = await flow.dry_run(session, actor, new, person, now)
    return reply([_candidate(candidate) for candidate in decision.candidates])


def _candidate(candidate: Any) -> dict[str, Any]:
    part: list[dict[str, Any]] = [
        {"name": "agency", "valueReference": {"reference": f"Organization/{candidate.agency}"}}
    ]
    if candidate.rank is not None:
        part.append({"name": "rank", "valueInteger": candidate.rank})
    part.append({"name": "score", "valueDecimal": candidate.score})
    part.append({"name": "eligible", "valueBoolean": candidate.eligible})
    for rule in candidate.rules:
        part.append(
            {
                "name": "rule",
                "part": [
                    {"name": "name", "valueCode": rule.name},
                    {"name": "result", "valueCode": rule.result},
                    {"name": "why", "valueString": rule.why()},
                ],
            }
        )
    for name, value in candidate.parts:
        part.append(
            {"name": "part", "part": [{"name": "name", "valueCode": name}, {"name": "value", "valueDecimal": value}]}
        )
    return {"name": "candidate", "part": part}


async def timeline(session: Session, actor: Actor, id: Id, base: str) -> dict[str, Any]:
    """Parameters: `event` (when, who, action, reason, task)*, and `next` (who, what, by) while somebody must act;
    `unconfirmed` where `by` was counted in a year whose working days are not published yet."""
    told = await flow.timeline(session, actor, id)
    given: list[dict[str, Any]] = []
    for event in told.events:
        part: list[dict[str, Any]] = [
            {"name": "when", "valueInstant": instant(event["at"])},
            {
                "name": "who",
                "valueReference": {
                    "reference": f"Organization/{event['by_organization']}",
                    "display": event["by_name"],
                },
            },
            {"name": "action", "valueCode": event["kind"]},
        ]
        reason = event["reason_text"] or event["reason_code"]
        if event["kind"] == "restricted":
            reason = "restricted"
        elif event["kind"] == "unplaced":
            # Nobody could be asked; where a fact was missing, the question that would tell it.
            reason = " ".join(words.question(key) for key in read_json(event["data"]).get("questions", ())) or reason
        if reason:
            part.append({"name": "reason", "valueString": reason})
        if event["task_id"]:
            part.append({"name": "task", "valueReference": {"reference": f"Task/{event['task_id']}"}})
        given.append({"name": "event", "part": part})
    step = told.next
    if step is not None:
        worker = step.worker or (told.on_duty.worker if told.on_duty else None)
        who = f"PractitionerRole/{worker}" if worker else f"Organization/{step.organization}"
        part = [
            {"name": "who", "valueReference": {"reference": who, "display": step.who}},
            {"name": "what", "valueCode": step.what},
            {"name": "by", "valueInstant": instant(step.by)},
            {"name": "task", "valueReference": {"reference": f"Task/{step.task}"}},
        ]
        if told.on_duty:
            reached = {"telecom": [{"system": "phone", "value": told.on_duty.phone}]} if told.on_duty.phone else {}
            part.append({"name": "on-duty", "valueContactDetail": {"name": told.on_duty.name} | reached})
        if not step.confirmed:
            part.append({"name": "unconfirmed", "valueBoolean": True})
        given.append({"name": "next", "part": part})
    return reply(given)


async def case(session: Session, actor: Actor, task: Id, now: datetime) -> dict[str, Any]:
    """The case of a share as Parameters."""
    return casefile.shown(await phase_flow.file(session, actor, task, now), session.practice)


async def advance(session: Session, actor: Actor, task: Id, words: Words, now: datetime) -> dict[str, Any]:
    """`to` (a phase), `reason`, `supervisor` (a PractitionerRole), `waive`; the case as it then is."""
    said = dict(words)
    if "to" not in said:
        raise Invalid("Say which phase the case enters: to.", at="Parameters.parameter", code="required")
    file = await phase_flow.advance(
        session, actor, task, said["to"], said.get("reason"), _supervisor(said), now, waive=said.get("waive") == "true"
    )
    return casefile.shown(file, session.practice)


async def approve(session: Session, actor: Actor, task: Id, words: Words, now: datetime) -> dict[str, Any]:
    """`document`, `supervisor` (a PractitionerRole), `note`; the case as it then is."""
    said = dict(words)
    if "document" not in said:
        raise Invalid("Say which document is signed: document.", at="Parameters.parameter", code="required")
    file = await phase_flow.approve(session, actor, task, said["document"], _supervisor(said), said.get("note"), now)
    return casefile.shown(file, session.practice)


def _supervisor(said: dict[str, str]) -> Id | None:
    named = said.get("supervisor")
    return references.required(wire.Reference(named), "PractitionerRole", at="Parameters.parameter") if named else None
