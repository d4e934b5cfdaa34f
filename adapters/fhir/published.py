"""Resources that change only with the program, kept in memory and searched there: forms, our own search parameters and
operations, and the service itself as a device."""

import uuid
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from adapters.fhir.audit import DEVICE
from adapters.fhir.questionnaires import questionnaires
from adapters.fhir.render import instant, ref
from adapters.fhir.rows import Param
from adapters.fhir.surface import SURFACE
from adapters.fhir.ways import ON_EVERY_TYPE, Way
from adapters.settings import VERSION
from service.db.finding import Condition
from service.practice import PLATFORM
from service.values import Id

Json = dict[str, Any]

LOADED = datetime(2026, 1, 1, tzinfo=UTC)
"""What stands for the time of change of what changes only with the program."""

KINDS = {"code": "token", "boolean": "token"}
"""A kind of our table as FHIR's type of search parameter, where it is not the same word."""


def search_parameter_url(type: str, param: Param) -> str:
    """The canonical name of a search parameter that base R4 does not define."""
    return f"urn:yuanshe:search-parameter:{type}-{param.name.lstrip('_')}"


def kind(param: Param) -> str:
    """FHIR's type of a search parameter."""
    return KINDS.get(param.kind, param.kind)


@lru_cache(maxsize=1)
def _all() -> dict[str, dict[Id, Json]]:
    """Every resource by its type and id."""
    found = {
        "Questionnaire": questionnaires(),
        "SearchParameter": _named(_search_parameter(type, p) for type, t in SURFACE.items() for p in t.params if p.definition),
        "OperationDefinition": _named(_operation(*each) for each in _operations()),
        "Device": {DEVICE: _device()},
    }  # fmt: skip
    meta = {"versionId": "1", "lastUpdated": instant(LOADED)}
    return {
        type: {id: {"resourceType": type, "id": str(id), "meta": meta, **body} for id, body in each.items()}
        for type, each in found.items()
    }


def _named(bodies: Iterable[Json]) -> dict[Id, Json]:
    return {uuid.uuid5(uuid.NAMESPACE_URL, body["url"]): body for body in bodies}


def read(type: str, ids: Iterable[Id]) -> list[Json]:
    """Those of these ids that there are."""
    return [_all()[type][id] for id in ids if id in _all()[type]]


# ---- definitions -------------------------------------------------------------------------------------------------------


def _definition(url: str, name: str, description: str) -> Json:
    return {
        "url": url, "version": VERSION, "name": name, "status": "active", "date": LOADED.date().isoformat(),
        "publisher": "Yuanshe", "description": description,
    }  # fmt: skip


def _search_parameter(type: str, param: Param) -> Json:
    said = _definition(search_parameter_url(type, param), _upper(type, param.name), param.definition) | {
        "code": param.name, "base": [type], "type": kind(param), "expression": param.expression,
        "multipleOr": True, "multipleAnd": True,
    }  # fmt: skip
    if param.kind == "reference":
        said["target"] = list(param.targets) or ["Resource"]
    return {key: value for key, value in said.items() if value != ""}


def _operations() -> list[tuple[str, list[str], list[Way]]]:
    """Our own operations: the canonical name, the types that offer it, and the ways to ask for it."""
    found: dict[str, tuple[list[str], list[Way]]] = {}
    offered = [(name, way) for name, type in SURFACE.items() for way in (*type.operations, *ON_EVERY_TYPE)]
    for name, way in offered:
        if way.is_operation and way.definition.startswith("urn:yuanshe:"):
            types, ways = found.setdefault(way.definition, ([], []))
            if name not in types:
                types.append(name)
            ways.append(way)
    return [(url, types, ways) for url, (types, ways) in found.items()]


def _operation(url: str, types: list[str], ways: list[Way]) -> Json:
    way = ways[0]
    levels = {level for each in ways for level in each.levels}
    return _definition(url, _upper(way.name.removeprefix("$")), way.doc) | {
        "title": way.doc.partition(";")[0].rstrip("."),
        "kind": "operation", "affectsState": any(each.affects for each in ways), "code": way.name.removeprefix("$"),
        "resource": types, "system": "system" in levels, "type": "type" in levels, "instance": "instance" in levels,
        "parameter": PARAMETERS.get(way.name, []),
    }  # fmt: skip


def _out(name: str, type: str, most: str, says: str, *part: Json, least: int = 0) -> Json:
    said: Json = {"name": name, "use": "out", "min": least, "max": most, "documentation": says}
    return said | ({"part": list(part)} if part else {"type": type})


def _part(name: str, type: str, most: str, least: int = 1) -> Json:
    return {"name": name, "use": "in", "min": least, "max": most, "type": type}


SAFE_PARTS: dict[str, list[Json]] = {
    "time": [_part("day", "code", "*", 0), _part("begins", "time", "1"), _part("ends", "time", "1")],
    "decision": [
        _part("channel", "code", "1"),
        _part("begins", "dateTime", "1"),
        _part("until", "dateTime", "1"),
        _part("supervisor", "Reference", "1"),
    ],
}
"""Parts of what says how a person may safely be contacted."""


def _in(name: str, type: str, says: str, *, least: int = 0) -> Json:
    return {"name": name, "use": "in", "min": least, "max": "1", "type": type, "documentation": says}


_HAND_OVER = _out(
    "handOver", "", "*", "A hand-over.",
    _out("id", "id", "1", "Its id.", least=1),
    _out("state", "code", "1", "planned, in-force, ended, kept, called-off or stuck.", least=1),
    _out("from", "Reference", "1", "Whose work it is.", least=1),
    _out("to", "Reference", "1", "The colleague.", least=1),
    _out("reason", "code", "1", "Of urn:yuanshe:absence-reason.", least=1),
    _out("period", "Period", "1", "From when, and until when if that was said.", least=1),
    _out("moved", "integer", "1", "How many Tasks went to the colleague.", least=1),
    _out("givenBack", "integer", "1", "How many came back.", least=1),
    _out("why", "code", "1", "Of one that is stuck: what stood in its way."),
)  # fmt: skip
_ITEM = _out(
    "item", "", "*", "Something open that names the person.",
    _out("task", "Reference", "1", "The Task.", least=1),
    _out("role", "code", "1", "owner, or as what they are second (urn:yuanshe:co-work-role).", least=1),
    _out("kind", "code", "1", "share, follow-up or duty.", least=1),
    _out("by", "instant", "1", "Its deadline."),
)  # fmt: skip
_LACKS = (
    _out("code", "Coding", "1", "The document.", least=1),
    _out("phase", "code", "1", "The phase that needs it.", least=1),
    _out("signature", "boolean", "1", "True where it is there, and a supervisor has not signed it as it stands."),
    _out("how", "string", "1", "How to supply it, in Chinese and English.", least=1),
)
CASE_FILE: list[Json] = [
    _out("phase", "Coding", "1", "Where the case is.", least=1),
    _out("completeness", "integer", "1", "Percent of the documents that the phases behind it ask for, rounded down.", least=1),
    _out("required", "integer", "1", "How many they ask for.", least=1),
    _out("present", "integer", "1", "How many of them there are.", least=1),
    _out("missing", "", "*", "A document that a phase behind it asks for.", *_LACKS),
    _out("needed", "", "*", "What the case needs to go on to the next phase.", *_LACKS),
    _out("source", "Coding", "1", "How the person came to it, from the intake form."),
    _out("domain", "Coding", "1", "The domain of service, from the intake form."),
    _out("population", "Coding", "*", "A population that the person belongs to, from the intake form."),
    _out("step", "", "*", "Its history.",
         _out("phase", "code", "1", "The phase that it entered.", least=1),
         _out("at", "instant", "1", "When.", least=1),
         _out("reason", "string", "1", "Why."),
         _out("approvedBy", "Reference", "1", "The supervisor who let it."),
         _out("waived", "boolean", "1", "True where a supervisor did without what was missing."),
         _out("missing", "code", "*", "What was missing then.")),
    _out("document", "", "*", "What is in the file and counts.",
         _out("code", "Coding", "1", "Which document it is.", least=1),
         _out("what", "Reference", "1", "The resource.", least=1),
         _out("version", "integer", "1", "Its version.", least=1),
         _out("at", "instant", "1", "When that was written.", least=1)),
    _out("goal", "", "*", "A goal of the case.",
         _out("what", "Reference", "1", "The resource.", least=1),
         _out("type", "code", "1", "Of urn:yuanshe:goal-type."),
         _out("unit", "code", "1", "Of urn:yuanshe:client-unit.", least=1),
         _out("need", "code", "*", "A need that it is for."),
         _out("measured", "boolean", "1", "Whether it says by what one will know.", least=1),
         _out("status", "code", "1", "FHIR's lifecycleStatus.", least=1),
         _out("achievement", "code", "1", "FHIR's achievementStatus.")),
    _out("approval", "", "*", "A supervisor's signature.",
         _out("document", "code", "1", "On which document.", least=1),
         _out("supervisor", "Reference", "1", "Whose.", least=1),
         _out("version", "integer", "1", "On which version of it.", least=1),
         _out("at", "instant", "1", "When.", least=1),
         _out("current", "boolean", "1", "Whether the document still stands so.", least=1)),
    _out("orphan", "", "*", "A broken link between need, goal, intervention and outcome.",
         _out("kind", "Coding", "1", "Of urn:yuanshe:case-orphan.", least=1),
         _out("what", "Reference", "1", "The goal or intervention."),
         _out("need", "code", "1", "The need.")),
    _out("review", "instant", "1", "When the plan is looked at again."),
    _out("next", "", "1", "What the worker owes next.",
         _out("what", "code", "1", "Which item.", least=1),
         _out("by", "instant", "1", "Until when.", least=1)),
    _out("notes", "integer", "1", "Contacts that were noted.", least=1),
    _out("lateNotes", "integer", "1", "Those noted later than a day after.", least=1),
    _out("outcome", "", "1", "What was done.",
         _out("sessions", "integer", "1", "Interventions that took place.", least=1),
         _out("attendances", "integer", "1", "How many took part in them, added up (人次).", least=1),
         _out("benefits", "integer", "1", "Applications for benefits."),
         _out("approvedAmount", "decimal", "1", "What was approved, in 分.")),
]  # fmt: skip
"""What `$case`, `$advance` and `$approve` answer."""

_ONWARD = [
    _out("request", "Reference", "1", "The new ServiceRequest."),
    _out("status", "code", "1", "How it stands (urn:yuanshe:business-status)."),
    _out("offer", "", "*", "To whom it is out.",
         _out("task", "Reference", "1", "The agency's Task.", least=1),
         _out("status", "code", "1", "Its status.", least=1),
         _out("agency", "Reference", "1", "The agency.")),
]  # fmt: skip
_SECOND = _out(
    "second", "", "*", "Somebody who is or was second on it.",
    _out("worker", "Reference", "1", "Who.", least=1),
    _out("role", "code", "1", "Of urn:yuanshe:co-work-role.", least=1),
    _out("period", "Period", "1", "From when, until when.", least=1),
)  # fmt: skip

PARAMETERS: dict[str, list[Json]] = {
    "$visit-plan": [
        _in("every", "integer", "Days from one visit to the next, 1 to 92; required to plan."),
        _in("first", "dateTime", "When the first is wanted; else now."),
        _in("end", "boolean", "No longer."),
        _out("every", "integer", "1", "Days.", least=1),
        _out("next", "instant", "1", "When the next visit is wanted, while there are any."),
        _out("ended", "instant", "1", "When they ended, where they have."),
    ],
    "$transfer": [
        _in("to", "Reference", "A PractitionerRole of one's own (the case), or another Organization (a need of it); else routing finds one."),
        _in("reason", "string", "Why; required."),
        _in("note", "string", "For who goes on; to a worker it is required."),
        {"name": "need", "use": "in", "min": 0, "max": "*", "type": "code", "documentation": "What is passed on; else all of the Task's."},
        _out("task", "Reference", "1", "The Task."),
        _out("owner", "Reference", "1", "Who has it now."),
        *_ONWARD,
    ],
    "$co-work": [
        _in("worker", "Reference", "A PractitionerRole of one's own; required."),
        _in("role", "code", "Of urn:yuanshe:co-work-role; else co-worker."),
        _in("period", "Period", "From when (else at once) until when."),
        _in("end", "boolean", "No longer."),
        _SECOND,
    ],
    "$team": [
        _out("owner", "Reference", "1", "Who has it."),
        _SECOND,
        _out("transfer", "", "*", "How it changed hands, in order.",
             _out("at", "instant", "1", "When.", least=1),
             _out("reason", "string", "1", "Why.", least=1),
             _out("from", "Reference", "1", "Who had it."),
             _out("to", "Reference", "1", "Who took it."),
             _out("onward", "Reference", "1", "By which request a need was passed on."),
             _out("note", "string", "1", "For who goes on.")),
        _out("onward", "", "*", "What goes on from it.",
             _out("request", "Reference", "1", "The ServiceRequest.", least=1),
             _out("accepted", "boolean", "1", "Whether an agency has accepted it.", least=1)),
        _out("continues", "Reference", "1", "The agency's own Task that it goes on from."),
    ],
    "$card": [_out("return", "Binary", "1", "The card, HTML in Chinese and English.", least=1)],
    "$reopen": [
        _in("reason", "string", "Why; required."),
        _in("owner", "Reference", "Who takes it, where the agency asks; else it is named by the start."),
        *_ONWARD,
    ],
    "$disclosures": [
        _in("_count", "integer", "How many looks at most, up to 200."),
        _in("before", "integer", "The page behind the one that ended with this."),
        _out("disclosure", "", "*", "The person was opened to an agency.",
             _out("agency", "Reference", "1", "To whom.", least=1),
             _out("basis", "Coding", "1", "On what ground (urn:yuanshe:consent-kind).", least=1),
             _out("since", "instant", "1", "From when.", least=1),
             _out("until", "instant", "1", "Until when, if it has ended."),
             _out("without", "Coding", "*", "Categories of data that were left out.")),
        _out("read", "", "*", "Somebody looked; latest first.",
             _out("when", "instant", "1", "When.", least=1),
             _out("who", "Reference", "1", "Of which organisation.", least=1),
             _out("role", "code", "1", "In which role.", least=1),
             _out("how", "code", "1", "By which interaction.", least=1),
             _out("what", "code", "1", "Which type of resource."),
             _out("category", "Coding", "*", "Which categories of data.")),
        _out("reveal", "", "*", "The whole number was shown.",
             _out("when", "instant", "1", "When.", least=1),
             _out("who", "Reference", "1", "To whom.", least=1),
             _out("role", "code", "1", "In which role.", least=1)),
        _out("before", "integer", "1", "There are more: ask for them with this."),
    ],
    "$reveal": [
        _in("reason", "string", "What for, in words.", least=1),
        _out("identifier", "Identifier", "*", "The citizen number, whole."),
    ],
    "$declare-conflict": [
        _in("number", "string", "A citizen number."),
        _in("phone", "string", "A telephone."),
        _in("name", "string", "A name, which counts with a birth date."),
        _in("birthDate", "string", "A birth date."),
    ],
    "$volunteer": [
        _in("volunteer", "string", "The id of a volunteer's account or program; required for a visit."),
        _in("for", "code", "Of urn:yuanshe:service-type; required for a visit."),
        _in("at", "dateTime", "When; required for a visit."),
        _in("callOff", "string", "The id of a visit that does not take place, or has."),
        _out("visit", "id", "1", "The visit's id."),
    ],
    "$visits": [
        _out("visit", "", "*", "A visit that is matched to this volunteer.",
             _out("id", "id", "1", "Its id.", least=1),
             _out("name", "string", "1", "The person's given name."),
             _out("address", "string", "1", "Where."),
             _out("at", "instant", "1", "When.", least=1),
             _out("for", "CodeableConcept", "1", "What for.", least=1),
             _out("worker", "Reference", "1", "The social worker to ask.", least=1)),
    ],
    "$hand-over": [
        _in("to", "Reference", "The colleague, a PractitionerRole of the same agency; required by POST."),
        _in("reason", "code", "Of urn:yuanshe:absence-reason; required by POST."),
        _in("period", "Period", "From when (else at once) until when (else for good, or until $come-back)."),
        _in("dryRun", "boolean", "Only say what would be moved, and what stands in the way."),
        _HAND_OVER,
        _ITEM,
        _out("refused", "", "*", "Of a dry run: what the colleague cannot take.",
             _out("why", "string", "1", "In words.", least=1),
             _out("at", "string", "1", "What it is about.", least=1)),
    ],
    "$come-back": [_HAND_OVER],
    "$time": [
        _in("activity", "code", "Of urn:yuanshe:activity."),
        _in("minutes", "integer", "How many."),
        _in("at", "dateTime", "When; else now."),
        _in("worker", "Reference", "Whose time, a PractitionerRole; else that of whoever asks, or of the Task's owner."),
        _in("procedure", "Reference", "The intervention that it was: these minutes count in place of its own."),
        _in("entry", "string", "The id of the entry that this one corrects."),
        _in("void", "boolean", "Take that entry back."),
        _out("entry", "", "*", "What is written down.",
             _out("id", "id", "1", "Its id.", least=1),
             _out("activity", "code", "1", "What.", least=1),
             _out("kind", "code", "1", "professional or administrative.", least=1),
             _out("minutes", "integer", "1", "How many.", least=1),
             _out("at", "instant", "1", "When.", least=1),
             _out("worker", "Reference", "1", "Whose.", least=1),
             _out("task", "Reference", "1", "For which case."),
             _out("procedure", "Reference", "1", "Which intervention it was."),
             _out("replaces", "id", "1", "The entry that it corrects."),
             _out("void", "boolean", "1", "True of one that was corrected or taken back.")),
        _out("warning", "string", "*", "What to look at again."),
    ],
    "$caseload": [_ITEM],
    "$route": [
        {"name": "resource", "use": "in", "min": 1, "max": "1", "type": "Resource",
         "documentation": "The body of a submission: a transaction Bundle, or a ServiceRequest."},
        _out("candidate", "", "*", "An agency that was looked at, the one to be asked first before the others.",
             _out("agency", "Reference", "1", "The agency.", least=1),
             _out("rank", "integer", "1", "Its place, if it is eligible."),
             _out("score", "decimal", "1", "What the order is by.", least=1),
             _out("eligible", "boolean", "1", "Whether it may be asked.", least=1),
             _out("rule", "", "*", "A rule that was applied.",
                  _out("name", "code", "1", "Which.", least=1),
                  _out("result", "code", "1", "pass, fail or unknown.", least=1),
                  _out("why", "string", "1", "In words.", least=1)),
             _out("part", "", "*", "A part of the score.",
                  _out("name", "code", "1", "Which.", least=1),
                  _out("value", "decimal", "1", "How much.", least=1))),
    ],
    "$suggest": [
        {"name": "suggestion", "use": "in", "min": 0, "max": "1", "type": "id", "documentation": "The suggestion that is decided."},
        {"name": "decision", "use": "in", "min": 0, "max": "1", "type": "code", "documentation": "accept or dismiss."},
        {"name": "reason", "use": "in", "min": 0, "max": "1", "type": "string", "documentation": "Why it is dismissed."},
        _out("suggestion", "", "*", "A suggestion.",
             _out("id", "id", "1", "Its id.", least=1),
             _out("kind", "code", "1", "need, urgency or assess.", least=1),
             _out("what", "CodeableConcept", "1", "What it suggests.", least=1),
             _out("why", "string", "1", "What it follows from: the instrument and its item.", least=1),
             _out("status", "code", "1", "open, accepted, dismissed or withdrawn.", least=1),
             _out("made", "instant", "1", "Since when it stands.", least=1),
             _out("response", "Reference", "1", "The response that it follows from."),
             _out("decided", "instant", "1", "When it was decided."),
             _out("reason", "string", "1", "Why it was dismissed.")),
        _out("request", "ServiceRequest", "1", "What places a need that was accepted, once it has a number of the hospital's."),
    ],
    "$timeline": [
        _out("event", "", "*", "What happened, in its order.",
             _out("when", "instant", "1", "When.", least=1),
             _out("who", "Reference", "1", "For which organisation.", least=1),
             _out("action", "code", "1", "The move; `restricted` where the reader may not know it.", least=1),
             _out("reason", "string", "1", "Why, as it was given."),
             _out("task", "Reference", "1", "The Task that moved.")),
        _out("next", "", "1", "Who must act, while somebody must.",
             _out("who", "Reference", "1", "Whose step it is.", least=1),
             _out("what", "code", "1", "Which step.", least=1),
             _out("by", "instant", "1", "Until when.", least=1),
             _out("task", "Reference", "1", "On which Task.", least=1),
             _out("on-duty", "ContactDetail", "1", "In a crisis who is on duty for it now, where a roster names one."),
             _out("unconfirmed", "boolean", "1", "True where `by` was counted in a year whose working days are not published yet.")),
    ],
    "$merge": [
        _in("source-patient", "Reference", "The record that is absorbed."),
        _in("source-patient-identifier", "Identifier", "Or its number."),
        _in("target-patient", "Reference", "The record that stays."),
        _in("target-patient-identifier", "Identifier", "Or its number."),
        _out("outcome", "OperationOutcome", "1", "What was done.", least=1),
        _out("result", "Patient", "1", "The record that stays, where the token may read it."),
        _out("merge", "string", "1", "Which merge it is.", least=1),
    ],
    "$undo-merge": [
        _in("reason", "string", "Why.", least=1),
        _out("restored", "Reference", "1", "The record that stands for itself again.", least=1),
        _out("survivor", "Reference", "1", "The record that had taken it in.", least=1),
        _out("added", "Reference", "*", "What came to the survivor since, and stays there."),
    ],
    "$safe-contact": [
        *(
            {"name": name, "use": use, "min": 0, "max": most, "documentation": says} | ({"type": type} if type else {"part": SAFE_PARTS[name]})
            for use in ("in", "out")
            for name, type, most, says in (
                ("prohibited", "boolean", "1", "Nobody contacts the person but as a supervisor decides."),
                ("supervised", "boolean", "1", "A supervisor decides each step."),
                ("channel", "code", "*", "A safe way (urn:yuanshe:channel); none named: all are."),
                ("time", "", "*", "Safe hours; none named: all are."),
                ("number", "string", "1", "The number to call, in place of any other."),
                ("message", "boolean", "1", "Whether word may be left."),
                ("asked-by", "code", "1", "Whose wish it is (urn:yuanshe:contact-asked-by)."),
                ("decision", "", "*", "A supervisor's leave for one step."),
                ("why", "string", "1", "Sealed: shown to the organisation that gave it alone."),
            )
        ),
        _out("stated-by", "Reference", "1", "The organisation that said so last."),
        _out("stated-at", "instant", "1", "When."),
        _out("version", "positiveInt", "1", "How often something was said."),
    ],
    "$case": CASE_FILE,
    "$advance": [
        _in("to", "code", "The phase that the case enters (urn:yuanshe:case-phase).", least=1),
        _in("reason", "string", "Why; needed to go back, and to do without what is missing."),
        _in("supervisor", "Reference", "The PractitionerRole of the supervisor who signs what the phases that are left ask for."),
        _in("waive", "boolean", "To the archive alone: the supervisor does without what is missing."),
        *CASE_FILE,
    ],
    "$approve": [
        _in("document", "code", "service-plan or closure-summary (urn:yuanshe:case-document).", least=1),
        _in("supervisor", "Reference", "The PractitionerRole of a licensed supervisor of the agency, other than the case's worker.", least=1),
        _in("note", "string", "What the supervisor says of it."),
        *CASE_FILE,
    ],
}  # fmt: skip
"""What our operations take and give."""


def _device() -> Json:
    return {
        "status": "active",
        "deviceName": [{"name": "院社 Yuanshe", "type": "user-friendly-name"}],
        "type": {"text": "Referral coordination software"},
        "version": [{"value": VERSION}],
        "owner": ref("Organization", PLATFORM),
    }


def _upper(*words: str) -> str:
    """A name that programs can use."""
    return "".join(part[:1].upper() + part[1:] for word in words for part in word.lstrip("_").split("-"))


# ---- searching ---------------------------------------------------------------------------------------------------------


def find(type: str, conditions: Sequence[Condition]) -> list[Json]:
    """Those that fit, by id; there are few, so they are looked through."""
    return [body for _, body in sorted(_all()[type].items()) if all(_fits(body, each) for each in conditions)]


def _fits(body: Json, condition: Condition) -> bool:
    if condition.any_of:
        return any(_fits(body, each) for each in condition.any_of) != condition.negated
    if condition.field == "":
        return condition.negated
    held = FACTS[condition.field](body)
    match condition.test:
        case "missing" | "present":
            found = bool(held) == (condition.test == "present")
        case "among":
            same = SAME.get(condition.field, lambda one, other: one == other)
            found = any(same(one, wanted) for one in held for wanted in condition.values)
        case "within":
            found = any(condition.values[0] <= one < condition.values[1] for one in held)
        case test:
            found = any(COMPARES[test](one, condition.values[0]) for one in held)
    return found != condition.negated


COMPARES: dict[str, Callable[[Any, Any], bool]] = {
    "lt": lambda one, other: one < other,
    "le": lambda one, other: one <= other,
    "gt": lambda one, other: one > other,
    "ge": lambda one, other: one >= other,
}


def said(one: str, wanted: str | tuple[str, str]) -> bool:
    how, text = wanted if isinstance(wanted, tuple) else ("starts", wanted)
    if how == "exact":
        return one == text
    return text.lower() in one.lower() if how == "contains" else one.lower().startswith(text.lower())


def _coded(one: tuple[str | None, str], wanted: tuple[str | None, str | None]) -> bool:
    return wanted[0] in (None, one[0] or "") and wanted[1] in (None, one[1])


SAME: dict[str, Callable[[Any, Any], bool]] = {"name": said, "title": said, "code": _coded, "number": _coded}


def _texts(element: str) -> Callable[[Json], list[Any]]:
    def texts(body: Json) -> list[Any]:
        value = body.get(element)
        return value if isinstance(value, list) else [] if value is None else [value]

    return texts


def _names(body: Json) -> list[str]:
    return [body["name"]] if "name" in body else [each["name"] for each in body.get("deviceName", ())]


def _codes(body: Json) -> list[tuple[str | None, str]]:
    code = body.get("code", [])
    return [(None, code)] if isinstance(code, str) else [(each.get("system"), each["code"]) for each in code]


FACTS: dict[str, Callable[[Json], list[Any]]] = {
    "id": lambda body: [uuid.UUID(body["id"])],
    "changed": lambda body: [LOADED],
    "url": _texts("url"),
    "version": _texts("version"),
    "name": _names,
    "title": lambda body: [body["title"], *_translated(body)] if "title" in body else [],
    "status": _texts("status"),
    "plain-type": _texts("type"),
    "base": _texts("base"),
    "resource": _texts("resource"),
    "kind-of": _texts("kind"),
    "code": _codes,
    "plain-code": lambda body: [code for _, code in _codes(body)],
    "number": lambda body: [(each.get("system"), each["value"]) for each in body.get("identifier", ())],
    "owner": lambda body: [uuid.UUID(body["owner"]["reference"].rpartition("/")[2])] if "owner" in body else [],
}
"""What a resource can be found by: field of the table → what it holds."""


def _translated(body: Json) -> list[str]:
    return [part["valueString"] for each in body.get("_title", {}).get("extension", ()) for part in each["extension"] if "valueString" in part]  # fmt: skip
