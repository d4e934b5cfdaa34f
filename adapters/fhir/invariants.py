"""FHIR R4's invariants of the types that the service speaks, each under the name that R4 gives it."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import msgspec

Content = dict[str, Any]


class Rule(msgspec.Struct, frozen=True):
    """`broken` is asked only of content whose elements are all of the right kind; of a list it may say which positions. `at`: the
    element that it is about, with `{}` for a position."""

    key: str
    broken: Callable[[Content], bool | list[int]]
    words: str
    at: str = ""
    code: str = "invariant"
    severity: str = "error"


def after(one: str, other: str) -> bool:
    """Whether one date or time is certainly after another, whatever their precision."""
    if "T" in one and "T" in other:
        try:
            return datetime.fromisoformat(one) > datetime.fromisoformat(other)
        except ValueError:  # a leap second
            pass
    least = min(len(one.partition("T")[0]), len(other.partition("T")[0]))
    return one[:least] > other[:least]


def _after(content: Content, one: str, other: str) -> bool:
    return one in content and other in content and after(content[one], content[other])


def _has(content: Content, name: str) -> bool:
    """Whether a choice of types has been made."""
    return any(key.startswith(name) and key[len(name) : len(name) + 1].isupper() for key in content)


def _without(name: str, *needs: str) -> Callable[[Content], bool]:
    """`name` is there, and none of what it needs."""
    return lambda content: name in content and not any(need in content for need in needs)


def _neither(*names: str) -> Callable[[Content], bool]:
    return lambda content: not any(name in content for name in names)


def _both(one: str, other: str) -> Callable[[Content], bool]:
    return lambda content: one in content and other in content


def _codes(concept: Content | None) -> set[str]:
    return {coding["code"] for coding in (concept or {}).get("coding", ()) if "code" in coding}


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _unreferenced(content: Content) -> bool:
    """dom-3: a contained resource is referenced from somewhere in the whole, or it references the whole."""
    contained = content.get("contained")
    if not contained:
        return False
    named = {text for text in _texts(content) if text.startswith("#")}
    return any(f"#{each.get('id')}" not in named and "#" not in set(_texts(each)) for each in contained)


def _any_contained(*path: str) -> Callable[[Content], bool]:
    def broken(content: Content) -> bool:
        found: list[Any] = content.get("contained") or []
        for name in path:
            found = [each[name] for each in found if isinstance(each, dict) and name in each]
        return bool(found)

    return broken


def _unlike_component(content: Content) -> bool:
    """obs-7: what a component answers is not answered as a whole, too."""
    components = content.get("component")
    if not components or not _has(content, "value"):
        return False
    whole = {(c.get("system"), c.get("code")) for c in content["code"].get("coding", ())}
    parts = {(c.get("system"), c.get("code")) for part in components for c in part["code"].get("coding", ())}
    return not whole.isdisjoint(parts)


def _abated(content: Content) -> bool:
    return _has(content, "abatement") and _codes(content.get("clinicalStatus")).isdisjoint(
        {"inactive", "resolved", "remission"}
    )


def _in_error(content: Content) -> bool:
    return "entered-in-error" in _codes(content.get("verificationStatus"))


def _unstated(content: Content) -> bool:
    listed = any("problem-list-item" in _codes(concept) for concept in content.get("category", ()))
    return listed and "clinicalStatus" not in content and not _in_error(content)


def _upside_down(content: Content) -> bool:
    low, high = content.get("low", {}), content.get("high", {})
    comparable = "value" in low and "value" in high and low.get("code") == high.get("code")
    return comparable and low.get("unit") == high.get("unit") and low["value"] > high["value"]


def _measure(codes: str) -> tuple[Rule, ...]:
    """Of a quantity of a certain kind: a UCUM code of that kind."""

    def broken(content: Content) -> bool:
        return ("value" in content and "code" not in content) or content.get("system", UCUM) != UCUM

    return (Rule(codes, broken, "A value has a code, and its system is UCUM (http://unitsofmeasure.org).", "code"),)


UCUM = "http://unitsofmeasure.org"
_QUANTITY = Rule("qty-3", _without("code", "system"), "A code of a unit comes with its system.", "system")
SCOPE = "http://terminology.hl7.org/CodeSystem/consentscope"


def _scoped_alone(content: Content) -> bool:
    """ppc-2 to ppc-5: consent to privacy, research, treatment or advance care directives is a patient's."""
    return "patient" not in content and any(
        c.get("system") == SCOPE and c.get("code") in ("patient-privacy", "research", "adr", "treatment")
        for c in content["scope"].get("coding", ())
    )


def _entries(*types: str) -> Callable[[Content], bool]:
    return lambda content: content["type"] in types


_IS_ASKED, _IS_ANSWERED = (
    _entries("batch", "transaction", "history"),
    _entries("batch-response", "transaction-response", "history"),
)


def _each_has(name: str, where: Callable[[Content], bool]) -> Callable[[Content], list[int]]:
    def broken(content: Content) -> list[int]:
        wanted = where(content)
        return [position for position, entry in enumerate(content.get("entry", ())) if (name in entry) != wanted]

    return broken


def _named_twice(content: Content) -> list[int]:
    """bdl-7; in a history each version stands under its one name."""
    seen: set[tuple[str, str | None]] = set()
    again: list[int] = []
    for position, entry in enumerate(content.get("entry", ())):
        if "fullUrl" in entry and content["type"] != "history":
            name = (entry["fullUrl"], entry.get("resource", {}).get("meta", {}).get("versionId"))
            again += [position] if name in seen else []
            seen.add(name)
    return again


def _begins_otherwise(type: str, first: str) -> Callable[[Content], bool]:
    def broken(content: Content) -> bool:
        begins = next(iter(content.get("entry", ())), {}).get("resource", {}).get("resourceType")
        return content["type"] == type and begins != first

    return broken


CHOOSING = frozenset({"choice", "open-choice", "decimal", "integer", "date", "dateTime", "time", "string", "quantity"})
MEASURED = frozenset({"boolean", "decimal", "integer", "string", "text", "url", "open-choice"})


def _twice(name: str, below: str) -> Callable[[Content], bool]:
    """Whether something is said twice among what lies below, at any depth."""

    def each(content: Content) -> Iterator[Any]:
        for inner in content.get(below, ()):
            yield inner.get(name)
            yield from each(inner)

    def broken(content: Content) -> bool:
        found = list(each(content))
        return len(found) != len(set(found))

    return broken


def _of_display(*names: str) -> Callable[[Content], bool]:
    return lambda content: content["type"] == "display" and any(name in content for name in names)


def _not_one(one: str, other: str) -> Callable[[Content], bool]:
    return lambda content: (one in content) == (other in content)


def _triggers_without_need(content: Content) -> bool:
    match content["type"]:
        case "named-event":
            return "name" not in content
        case "periodic":
            return not _has(content, "timing")
        case _:
            return "data" not in content


def _answered_beneath_both(content: Content) -> bool:
    return "answer" in content and "item" in content


def _repeats(**needs: tuple[str, ...]) -> tuple[Rule, ...]:
    return tuple(
        Rule(needed[0].partition(":")[0], _without(name, *needed[1:]), f"{name} comes with {needed[1]}.", needed[1])
        for name, needed in needs.items()
    )


RULES: dict[str, tuple[Rule, ...]] = {
    "Extension": (
        Rule("ext-1", lambda c: ("extension" in c) == _has(c, "value") and not any(k.startswith("_value") for k in c),
             "An extension has either a value or extensions of its own."),
    ),
    "Period": (Rule("per-1", lambda c: _after(c, "start", "end"), "A period does not end before it starts.", "end"),),
    "Quantity": (_QUANTITY,),
    "SimpleQuantity": (
        Rule("sqty-1", lambda c: "comparator" in c, "This quantity has no comparator.", "comparator"),
    ),
    "Age": (_QUANTITY, *_measure("age-1")),
    "Duration": (_QUANTITY, *_measure("drt-1")),
    "Distance": (_QUANTITY, *_measure("dis-1")),
    "Count": (
        _QUANTITY,
        Rule("cnt-3", lambda c: c.get("code", "1") != "1" or c.get("system", UCUM) != UCUM or ("value" in c) > ("code" in c) or c.get("value", 0) % 1 != 0,
             "A count is a whole number with the UCUM code 1.", "code"),
    ),
    "Range": (Rule("rng-2", _upside_down, "The low value of a range is not above the high one.", "low"),),
    "Ratio": (
        Rule("rat-1", lambda c: ("numerator" in c) != ("denominator" in c) or not ("numerator" in c or "extension" in c),
             "A ratio has a numerator and a denominator, or an extension instead."),
    ),
    "Attachment": (Rule("att-1", _without("data", "contentType"), "Data come with their contentType.", "contentType"),),
    "ContactPoint": (Rule("cpt-2", _without("value", "system"), "A value of a contact point comes with its system.", "system"),),
    "Expression": (Rule("exp-1", _neither("expression", "reference"), "An expression is given, or referenced.", "expression"),),
    "Timing.repeat": (
        *_repeats(
            duration=("tim-1", "durationUnit"), period=("tim-2", "periodUnit"), periodMax=("tim-6", "period"),
            durationMax=("tim-7", "duration"), countMax=("tim-8", "count"), offset=("tim-9", "when"),
        ),
        Rule("tim-4", lambda c: c.get("duration", 0) < 0, "A duration is not negative.", "duration"),
        Rule("tim-5", lambda c: c.get("period", 0) < 0, "A period is not negative.", "period"),
        Rule("tim-10", _both("timeOfDay", "when"), "Give timeOfDay or when, not both.", "when"),
    ),
    "DomainResource": (
        Rule("dom-2", _any_contained("contained"), "A contained resource contains no other.", "contained"),
        Rule("dom-3", _unreferenced, "A contained resource has an id and is referenced from the resource that contains it.", "contained"),
        Rule("dom-4", lambda c: _any_contained("meta", "versionId")(c) or _any_contained("meta", "lastUpdated")(c),
             "A contained resource has no version and no time of its own.", "contained"),
        Rule("dom-5", _any_contained("meta", "security"), "A contained resource has no security label of its own.", "contained"),
    ),
    "Task": (
        Rule("inv-1", lambda c: _after(c, "authoredOn", "lastModified"), "lastModified is not before authoredOn.", "lastModified"),
        Rule("SDOHCC", lambda c: "statusReason" in c and "text" not in c["statusReason"], "A reason has words: text.", "statusReason.text", "required"),
    ),
    "ServiceRequest": (Rule("prr-1", _without("orderDetail", "code"), "orderDetail comes with code.", "orderDetail"),),
    "Patient.contact": (
        Rule("pat-1", _neither("name", "telecom", "address", "organization"),
             "A contact has details (name, telecom, address) or an organization."),
    ),
    "Consent": (
        Rule("ppc-1", _neither("policy", "policyRule"), "A Consent names its policy or policyRule.", "policyRule"),
        Rule("ppc-2", _scoped_alone, "A Consent of this scope is a patient's.", "patient"),
    ),
    "Condition": (
        Rule("con-3", _unstated, "A problem on the list has a clinicalStatus.", "clinicalStatus", severity="warning"),
        Rule("con-4", _abated, "What has abated is inactive, resolved or in remission.", "clinicalStatus"),
        Rule("con-5", lambda c: "clinicalStatus" in c and _in_error(c), "What was entered in error has no clinicalStatus.", "clinicalStatus"),
    ),
    "Condition.stage": (Rule("con-1", _neither("summary", "assessment"), "A stage has a summary or an assessment."),),
    "Condition.evidence": (Rule("con-2", _neither("code", "detail"), "Evidence has a code or a detail."),),
    "Observation": (
        Rule("obs-6", lambda c: "dataAbsentReason" in c and _has(c, "value"), "dataAbsentReason stands in place of a value.", "dataAbsentReason"),
        Rule("obs-7", _unlike_component, "What a component answers has no value of the whole.", "value"),
    ),
    "Observation.referenceRange": (Rule("obs-3", _neither("low", "high", "text"), "A reference range has low, high or text."),),
    "QuestionnaireResponse.item": (
        Rule("qrs-1", _answered_beneath_both, "Nested items stand beneath the item or beneath its answer, not both.", "item"),
    ),
    "Goal.target": (Rule("gol-1", lambda c: _has(c, "detail") and "measure" not in c, "A detail comes with what it measures.", "measure"),),
    "CarePlan.activity": (Rule("cpl-3", _both("detail", "reference"), "Give a detail or a reference, not both.", "detail"),),
    "Organization": (
        Rule("org-1", _neither("identifier", "name"), "An Organization has a name or an identifier.", "name"),
        Rule("org-2", lambda c: any(t.get("use") == "home" for t in c.get("telecom", ())), "An Organization has no home to call.", "telecom"),
        Rule("org-3", lambda c: any(a.get("use") == "home" for a in c.get("address", ())), "An Organization's address is no home.", "address"),
    ),
    "Group": (Rule("grp-1", lambda c: "member" in c and not c["actual"], "Only an actual group has members.", "member"),),
    "AuditEvent.entity": (Rule("sev-1", _both("name", "query"), "Give a name or a query, not both.", "query"),),
    "Parameters.parameter": (
        Rule("inv-1", lambda c: _has(c, "value") + ("resource" in c) + ("part" in c) != 1, "A parameter has one of value, resource, part."),
    ),
    "CareTeam.participant": (
        Rule("ctm-1", lambda c: "onBehalfOf" in c and "Practitioner/" not in c.get("member", {}).get("reference", "Practitioner/"),
             "Only a Practitioner takes part on behalf of an organization.", "onBehalfOf"),
    ),
    "Questionnaire": (Rule("que-2", _twice("linkId", "item"), "Each linkId stands once in a questionnaire.", "item"),),
    "Questionnaire.item": (
        Rule("que-1", lambda c: (c["type"] == "group") > ("item" in c) or (c["type"] == "display" and "item" in c),
             "A group has items, a display has none.", "item"),
        *(
            Rule(key, _of_display(*names), f"A display has no {' or '.join(names)}.", names[0])
            for key, names in (("que-3", ("code",)), ("que-6", ("required", "repeats")), ("que-9", ("readOnly",)))
        ),
        Rule("que-4", _both("answerOption", "answerValueSet"), "Give answerOption or answerValueSet, not both.", "answerOption"),
        Rule("que-5", lambda c: ("answerOption" in c or "answerValueSet" in c) and c["type"] not in CHOOSING,
             "A question of this type offers no answers to choose from.", "answerOption"),
        Rule("que-8", lambda c: "initial" in c and c["type"] in ("group", "display"), "A group or display has no initial value.", "initial"),
        Rule("que-10", lambda c: "maxLength" in c and c["type"] not in MEASURED, "An answer of this type has no length.", "maxLength"),
        Rule("que-11", _both("answerOption", "initial"), "Where there is answerOption, say initialSelected instead of initial.", "initial"),
        Rule("que-12", lambda c: len(c.get("enableWhen", ())) > 2 and "enableBehavior" not in c,
             "Several conditions come with enableBehavior.", "enableBehavior"),
        Rule("que-13", lambda c: len(c.get("initial", ())) > 1 and not c.get("repeats"), "Only what repeats has several initial values.", "initial"),
    ),
    "Questionnaire.item.enableWhen": (
        Rule("que-7", lambda c: c["operator"] == "exists" and "answerBoolean" not in c, "Whether an answer exists is a boolean.", "answer"),
    ),
    "CodeSystem": (Rule("csd-1", _twice("code", "concept"), "Each code stands once in its system.", "concept"),),
    "SearchParameter": (
        Rule("spd-1", _without("xpath", "xpathUsage"), "xpath comes with xpathUsage.", "xpathUsage"),
        Rule("spd-2", lambda c: "chain" in c and c["type"] != "reference", "Only a reference is chained.", "chain"),
    ),
    "OperationDefinition.parameter": (
        Rule("opd-1", _neither("type", "part"), "A parameter has a type, or parts.", "type"),
        Rule("opd-2", lambda c: "searchType" in c and c.get("type") != "string", "A search type is of a string.", "searchType"),
        Rule("opd-3", lambda c: "targetProfile" in c and c.get("type") not in ("Reference", "canonical"),
             "A targetProfile is of a reference.", "targetProfile"),
    ),
    "DataRequirement.codeFilter": (Rule("drq-1", _not_one("path", "searchParam"), "Give a path or a searchParam.", "path"),),
    "DataRequirement.dateFilter": (Rule("drq-2", _not_one("path", "searchParam"), "Give a path or a searchParam.", "path"),),
    "TriggerDefinition": (
        Rule("trd-1", lambda c: "data" in c and _has(c, "timing"), "Give a timing or data, not both.", "data"),
        Rule("trd-2", _without("condition", "data"), "A condition comes with data.", "condition"),
        Rule("trd-3", _triggers_without_need, "A named event has a name, a periodic one a timing, one of data its data."),
    ),
    "Bundle": (
        Rule("bdl-1", lambda c: "total" in c and c["type"] not in ("searchset", "history"), "Only a searchset or a history has a total.", "total"),
        Rule("bdl-2", lambda c: any("search" in e for e in c.get("entry", ())) and c["type"] != "searchset",
             "Only entries of a searchset say how they were found.", "entry.search"),
        Rule("bdl-3", _each_has("request", _IS_ASKED), "Each entry of a batch, transaction or history has a request, no other has.", "entry[{}].request", "required"),
        Rule("bdl-4", _each_has("response", _IS_ANSWERED), "Each entry of a response or history has a response, no other has.", "entry[{}].response", "required"),
        Rule("bdl-7", _named_twice, "Two entries have the same fullUrl.", "entry[{}].fullUrl", "duplicate"),
        Rule("bdl-9", lambda c: c["type"] == "document" and not {"system", "value"} <= c.get("identifier", {}).keys(),
             "A document has an identifier with system and value.", "identifier"),
        Rule("bdl-10", lambda c: c["type"] == "document" and "timestamp" not in c, "A document has a timestamp.", "timestamp"),
        Rule("bdl-11", _begins_otherwise("document", "Composition"), "A document begins with its Composition.", "entry"),
        Rule("bdl-12", _begins_otherwise("message", "MessageHeader"), "A message begins with its MessageHeader.", "entry"),
    ),
    "Bundle.entry": (
        Rule("bdl-5", _neither("resource", "request", "response"), "An entry has a resource, a request or a response.", "resource"),
        Rule("bdl-8", lambda c: "/_history/" in c.get("fullUrl", ""), "A fullUrl names no version.", "fullUrl"),
    ),
}  # fmt: skip
"""What R4 asks of content that has the right form; type, or part of one → its rules. Of SDOH Clinical Care one that holds for
every Task here, too: whoever says that it ended, or waits, says why in words."""
