"""The case over FHIR: what a resource says to the file it is put in, and the file itself as Parameters (`$case`)."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from adapters.fhir import references, wire
from adapters.fhir.render import instant
from service import case_codes, codes
from service.casework import agenda, linkage, phases
from service.casework.model import Answered, CaseFile, NewIntervention, Written
from service.db import Session
from service.errors import Invalid
from service.practice import Practice
from service.records import store as records
from service.values import Id, read_json

Json = dict[str, Any]

PERTAINS_TO_GOAL = "http://hl7.org/fhir/StructureDefinition/resource-pertainsToGoal"
REVIEW = "urn:yuanshe:review"


# ---- what a resource says ----------------------------------------------------------------------------------------------


async def written(session: Session, type: str, content: Json) -> Written | None:
    """What a resource of an agency says to its case besides being kept; None where it says nothing."""
    match type:
        case "QuestionnaireResponse":
            return _response(content)
        case "DocumentReference":
            return _document(content)
        case "Condition":
            gone = _code(content.get("verificationStatus"), None) in ("entered-in-error", "refuted")
            return Written(settled=not gone, needs=_needs(content))
        case "Goal":
            return await _goal(session, content)
        case "CarePlan":
            return _plan(content)
        case _:
            return None


def _response(content: Json) -> Written:
    return Written(
        settled=content["status"] in ("completed", "amended"),
        form=str(content.get("questionnaire", "")).partition("|")[0] or None,
        answers=tuple(_answers(content.get("item", []))),
        author=_worker(content.get("author")),
    )


def _answers(items: Sequence[Json]) -> Iterator[Answered]:
    """Every answer, of nested items too."""
    for item in items:
        for answer in item.get("answer", []):
            said = [value for name, value in answer.items() if name.startswith("value")]
            if said:
                yield Answered(item["linkId"], _said(said[0]))
            yield from _answers(answer.get("item", []))
        yield from _answers(item.get("item", []))


def _said(value: Any) -> str | None:
    """The code of a choice, `true` or `false`; what is said in words stays in the resource alone."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.get("code") if isinstance(value, dict) else None


def _document(content: Json) -> Written:
    authors = [found for each in content.get("author", []) if (found := _worker(each))]
    return Written(
        document=_code(content.get("type"), case_codes.CASE_DOCUMENT),
        settled=content["status"] == "current",
        author=authors[0] if authors else None,
    )


async def _goal(session: Session, content: Json) -> Written:
    addressed = [
        (found[0], id)
        for each in content.get("addresses", [])
        if (found := references.parse(each.get("reference"))) and (id := references.as_id(found[1]))
    ]
    needs = {code for code in _extensions(content, codes.NEED) if isinstance(code, str)}
    if unknown := [need for need in needs if not codes.known(codes.NEED, need)]:
        raise Invalid(f"{len(unknown)} of the needs are no codes of {codes.NEED}.", at="extension", code="code-invalid")
    held = await records.these(session, [id for type, id in addressed if type == "Condition"])
    for condition in held:
        needs.update(_needs(read_json(condition.body)))
    targets = content.get("target", [])
    return Written(
        needs=tuple(sorted(needs)),
        addresses=tuple(id for _, id in addressed),
        status=content["lifecycleStatus"],
        goal_type=next(
            (code for each in content.get("category", []) if (code := _code(each, case_codes.GOAL_TYPE))), None
        ),
        client_unit=next(iter(_extensions(content, case_codes.CLIENT_UNIT)), None),
        measured=any("measure" in each or any(name.startswith("detail") for name in each) for each in targets),
        achievement=_code(content.get("achievementStatus"), None),
    )


def _plan(content: Json) -> Written:
    for place, each in enumerate(content.get("contained", [])):
        if each.get("resourceType") == "Goal" and not any(
            _code(c, case_codes.GOAL_TYPE) for c in each.get("category", [])
        ):
            raise Invalid(f"A goal of a plan says what kind of goal it is: a category of {case_codes.GOAL_TYPE}.",
                          at=f"contained[{place}].category", code="required", key="goal-type")  # fmt: skip
    review = next(iter(_extensions(content, REVIEW)), None) or content.get("period", {}).get("end")
    goals = [references.parse(each.get("reference")) for each in content.get("goal", [])]
    return Written(
        status=content["status"],
        goals=tuple(id for found in goals if found and found[0] == "Goal" and (id := references.as_id(found[1]))),
        review_at=_end_of(review, "CarePlan.period.end") if isinstance(review, str) else None,
    )


def _end_of(value: str, at: str) -> datetime:
    """A day that is named is due at its end."""
    found = wire.instant(value, at)
    return found + timedelta(days=1) if len(value) == 10 else found


def _needs(content: Json) -> tuple[str, ...]:
    """The needs that a Condition stands for, by its code and category."""
    concepts = [content.get("code"), *content.get("category", [])]
    found = {
        need
        for concept in concepts
        for coding in (concept or {}).get("coding", [])
        for need in codes.needs_of(coding.get("system", ""), coding.get("code", ""))
    }
    return tuple(sorted(found))


def _code(concept: Any, system: str | None) -> str | None:
    """The code of a CodeableConcept in a system, or in any."""
    codings = concept.get("coding", []) if isinstance(concept, dict) else []
    return next((each.get("code") for each in codings if system in (None, each.get("system"))), None)


def _extensions(content: Json, url: str) -> list[Any]:
    """The values of the extensions of this name; of a Coding its code."""
    values = [
        value
        for each in content.get("extension", [])
        if each.get("url") == url
        for name, value in each.items()
        if name.startswith("value")
    ]
    return [value.get("code") if isinstance(value, dict) else value for value in values]


def _worker(reference: Any) -> Id | None:
    found = references.parse(reference.get("reference")) if isinstance(reference, dict) else None
    return references.as_id(found[1]) if found and found[0] == "PractitionerRole" else None


def related(content: Json) -> tuple[wire.Reference, ...]:
    """What a resource that has no `basedOn` names instead: a DocumentReference its context, a Goal what it addresses."""
    named = [*content.get("context", {}).get("related", [])] if isinstance(content.get("context"), dict) else []
    named += content.get("addresses", []) if isinstance(content.get("addresses"), list) else []
    return tuple(
        wire.Reference(each["reference"])
        for each in named
        if (found := references.parse(each.get("reference"))) and found[0] in ("ServiceRequest", "Task")
    )


def intervened(new: NewIntervention, read: wire.Procedure) -> NewIntervention:
    """An intervention with what its extensions say: the goals that it serves, the kind of contact, who took part, what is to
    be settled with others."""
    coded = {
        each.url: each.value_code or (each.value_coding.code if each.value_coding else None) for each in read.extension
    }
    counted = {each.url: each.value_integer for each in read.extension if each.value_integer is not None}
    goals = [
        references.required(each.value_reference, "Goal", at=f"extension[{place}].valueReference")
        for place, each in enumerate(read.extension)
        if each.url == PERTAINS_TO_GOAL
    ]
    return msgspec.structs.replace(
        new,
        goals=tuple(dict.fromkeys(goals)),
        contact=coded.get(case_codes.CONTACT_TYPE),
        attendance=counted.get("urn:yuanshe:attendance", 1),
        coordination=coded.get(case_codes.COORDINATION),
        benefit=coded.get(case_codes.BENEFIT),
        amount=counted.get("urn:yuanshe:amount"),
    )


# ---- the file ----------------------------------------------------------------------------------------------------------


def shown(file: CaseFile, practice: Practice) -> Json:
    """The case as Parameters."""
    case, standing = file.case, phases.standing(file)
    noted, late = agenda.late_notes(file, practice)
    given: list[Json] = [
        {"name": "phase", "valueCoding": _coding(codes.CASE_PHASE, case.phase)},
        {"name": "completeness", "valueInteger": standing.percent},
        {"name": "required", "valueInteger": standing.required},
        {"name": "present", "valueInteger": standing.present},
        *(_missing("missing", lack) for lack in standing.lacks),
        *(_missing("needed", lack) for lack in _needed(file)),
    ]
    if case.source:
        given.append({"name": "source", "valueCoding": _coding(codes.SOURCE, case.source)})
    if case.domain:
        given.append({"name": "domain", "valueCoding": _coding(case_codes.DOMAIN, case.domain)})
    given += [{"name": "population", "valueCoding": _coding(codes.POPULATION, each)} for each in case.populations]
    for step in file.steps:
        given.append(_part("step", phase=("Code", step.phase), at=("Instant", instant(step.at)), reason=("String", step.reason),
                           approvedBy=("Reference", _ref("PractitionerRole", step.approved_by)), waived=("Boolean", step.waived or None),
                           missing=("Code", step.missing)))  # fmt: skip
    for filed in file.documents:
        given.append(_part("document", code=("Coding", _coding(case_codes.CASE_DOCUMENT, filed.document)),
                           what=("Reference", _ref(filed.type, filed.id)), version=("Integer", filed.version), at=("Instant", instant(filed.at))))  # fmt: skip
    for goal in file.goals:
        given.append(_part("goal", what=("Reference", _ref("Goal", goal.id)), type=("Code", goal.goal_type), unit=("Code", goal.client_unit),
                           need=("Code", goal.needs), measured=("Boolean", goal.measured), status=("Code", goal.status),
                           achievement=("Code", goal.achievement)))  # fmt: skip
    for each in file.approvals:
        current = any((f.id, f.version) == (each.subject, each.subject_version) for f in file.documents)
        given.append(_part("approval", document=("Code", each.document), supervisor=("Reference", _ref("PractitionerRole", each.supervisor)),
                           version=("Integer", each.subject_version), at=("Instant", instant(each.at)), current=("Boolean", current)))  # fmt: skip
    for orphan in linkage.orphans(file):
        type = "Procedure" if orphan.kind.startswith("intervention") else "Goal"
        given.append(_part("orphan", kind=("Coding", _coding(case_codes.CASE_ORPHAN, orphan.kind)), what=("Reference", _ref(type, orphan.subject)),
                           need=("Code", orphan.need)))  # fmt: skip
    if file.plan and file.plan.review_at:
        given.append({"name": "review", "valueInstant": instant(file.plan.review_at)})
    if owed := agenda.due(file, practice):
        given.append(_part("next", what=("Code", owed[0]), by=("Instant", instant(owed[1].due))))
    given += [{"name": "notes", "valueInteger": noted}, {"name": "lateNotes", "valueInteger": late}]
    given.append(_outcome(file))
    return {"resourceType": "Parameters", "parameter": given}


def _needed(file: CaseFile) -> tuple[Any, ...]:
    """What the case needs to go on to the next phase, and has not."""
    place = phases.ORDER.index(file.case.phase)
    return phases.lacking(file, phases.ORDER[place + 1]) if place + 1 < len(phases.ORDER) else ()


def _missing(name: str, lack: Any) -> Json:
    said = phases.issue(lack)
    return _part(name, code=("Coding", _coding(case_codes.CASE_DOCUMENT, lack.document)), phase=("Code", lack.phase),
                 signature=("Boolean", lack.signature or None), how=("String", said.text))  # fmt: skip


def _outcome(file: CaseFile) -> Json:
    """What was done, in the words of the statistics (domain rows 39, 40, 42): sessions and 人次 are not the same."""
    done = [each for each in file.interventions if each.status == "completed"]
    benefits = [each for each in file.interventions if each.benefit and each.status != "entered-in-error"]
    part: list[Json] = [
        {"name": "sessions", "valueInteger": len(done)},
        {"name": "attendances", "valueInteger": sum(each.attendance for each in done)},
    ]
    if benefits:
        approved = sum(each.amount or 0 for each in benefits if each.benefit == "approved")
        # In 分; a decimal, because a FHIR integer ends at 21 million yuan.
        part += [
            {"name": "benefits", "valueInteger": len(benefits)},
            {"name": "approvedAmount", "valueDecimal": approved},
        ]
    return {"name": "outcome", "part": part}


def _coding(system: str, code: str) -> Json:
    return {"system": system, "code": code, "display": codes.label(system, code)}


def _ref(type: str, id: Id | None) -> Json | None:
    return {"reference": f"{type}/{id}"} if id else None


def _part(name: str, **values: tuple[str, Any]) -> Json:
    """A parameter of parts; what there is none of is left out, a tuple gives one part each."""
    part: list[Json] = []
    for key, (kind, value) in values.items():
        for one in value if isinstance(value, tuple) else (value,):
            if one is not None:
                part.append({"name": key, f"value{kind}": one})
    return {"name": name, "part": part}
