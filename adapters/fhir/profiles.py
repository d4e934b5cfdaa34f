"""The profiles that a resource may be held against besides R4: those of SDOH Clinical Care 3.0.0 for the closed loop, and our own."""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from adapters.fhir.invariants import Content, Rule
from service.codes import SDOHCC as TEMPORARY
from service.errors import Issue

BASE = "http://hl7.org/fhir/us/sdoh-clinicalcare/StructureDefinition/SDOHCC-"
R4 = "http://hl7.org/fhir/StructureDefinition/"
US_CATEGORY = "http://hl7.org/fhir/us/core/CodeSystem/us-core-category"
US_CONDITION_CATEGORY = "http://hl7.org/fhir/us/core/CodeSystem/condition-category"
CONDITION_CATEGORY = "http://terminology.hl7.org/CodeSystem/condition-category"
OBSERVATION_CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
TASK_CODE = "http://hl7.org/fhir/CodeSystem/task-code"


class Profile(msgspec.Struct, frozen=True):
    """What a profile asks beyond R4. `needs`: elements that must be there. `only`: the values that an element may have.
    `names`: the types that a reference may name. `none`: elements that may not be there."""

    type: str
    needs: tuple[str, ...] = ()
    only: dict[str, tuple[Any, ...]] = {}
    names: dict[str, tuple[str, ...]] = {}
    none: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()


CHOICES = frozenset({"value", "effective", "performed", "source"})


def _each(content: Content, path: str) -> Iterator[Any]:
    """The values at a path of names, through lists; a choice of types under its bare name."""
    name, _, rest = path.partition(".")
    for key, value in content.items():
        if key == name or (name in CHOICES and key.startswith(name) and key[len(name)].isupper()):
            for one in value if isinstance(value, list) else [value]:
                if not rest:
                    yield one
                elif isinstance(one, dict):
                    yield from _each(one, rest)


def _coded(path: str, system: str, *codes: str) -> Any:
    """No coding at the path is one of these codes."""
    return lambda content: (
        not any(
            isinstance(each, dict) and each.get("system") == system and (not codes or each.get("code") in codes)
            for each in _each(content, f"{path}.coding")
        )
    )


def _a_category(path: str) -> Rule:
    return Rule(
        "SDOHCC category", _coded(path, TEMPORARY), f"One {path} is an SDOH category of {TEMPORARY}.", path, "required"
    )


def _unanswered(content: Content) -> bool:
    return not any(
        next(_each(content, name), None) is not None for name in ("value", "dataAbsentReason", "component", "hasMember")
    )


def _uncategorised(content: Content) -> bool:
    kinds = _coded("category", CONDITION_CATEGORY, "encounter-diagnosis", "problem-list-item")(content)
    return kinds and _coded("category", US_CONDITION_CATEGORY, "health-concern")(content)


def _undated(content: Content) -> bool:
    return content["status"] in ("completed", "in-progress") and next(_each(content, "performed"), None) is None


def _unreasoned(content: Content) -> bool:
    return content["status"] in ("rejected", "cancelled", "on-hold", "failed") and "statusReason" not in content


def _output_of_another_kind(content: Content) -> list[int]:
    """`resulting-activity` is a Procedure, or the code of one."""
    return [
        position
        for position, output in enumerate(content.get("output", ()))
        if not _coded("type", TEMPORARY, "resulting-activity")(output)
        and "valueCodeableConcept" not in output
        and "Procedure/" not in output.get("valueReference", {}).get("reference", "")
    ]


_SDOH = "The category sdoh of US Core is required."
_SCREENING = Profile(
    "Observation",
    needs=("subject", "effective"),
    only={"status": ("final", "corrected", "entered-in-error", "unknown")},
    names={"subject": ("Patient",)},
    rules=(
        Rule("SDOH-Obs-4", _coded("category", US_CATEGORY, "sdoh"), _SDOH, "category", "required"),
        Rule("category 2..*", lambda c: len(c.get("category", ())) < 2, "At least two categories are required.", "category", "required"),
        Rule("us-core-2", _unanswered, "Give a value, or say why there is none (dataAbsentReason).", "value", "required"),
    ),
)  # fmt: skip

PROFILES: dict[str, Profile] = {
    f"{BASE}TaskForReferralManagement": Profile(
        "Task",
        needs=("code", "focus", "for", "authoredOn", "requester"),
        only={
            "intent": ("order",),
            "status": (
                "draft", "requested", "accepted", "rejected", "cancelled", "in-progress", "on-hold", "failed", "completed", "entered-in-error",
            ),
        },
        names={"focus": ("ServiceRequest",), "for": ("Patient", "RelatedPerson", "Group"), "requester": ("PractitionerRole", "Organization")},
        rules=(
            Rule("code = fulfill", _coded("code", TASK_CODE, "fulfill"), f"The code is fulfill of {TASK_CODE}.", "code", "value"),
            Rule("statusReason", _unreasoned, "What ends badly or pauses should say why.", "statusReason", "required", "warning"),
            Rule("output", _output_of_another_kind, "A resulting-activity is a Procedure or its code.", "output[{}].value", "value"),
        ),
    ),
    f"{BASE}ServiceRequest": Profile(
        "ServiceRequest",
        needs=("category", "code"),
        names={"subject": ("Patient", "Group", "Location")},
        rules=(_a_category("category"),),
    ),
    f"{BASE}Consent": Profile(
        "Consent",
        needs=("patient", "dateTime", "organization", "source"),
        rules=(
            Rule("IDSCL", _coded("category", ACT_CODE, "IDSCL"), f"The category is IDSCL of {ACT_CODE}.", "category", "required"),
            Rule("organization 1..1", lambda c: len(c.get("organization", ())) > 1, "There is one organization.", "organization", "structure"),
        ),
    ),
    f"{BASE}Procedure": Profile(
        "Procedure",
        needs=("code",),
        names={"subject": ("Patient",)},
        rules=(Rule("us-core-7", _undated, "What is done or under way says when: performed.", "performed", "required"),),
    ),
    f"{BASE}Condition": Profile(
        "Condition",
        needs=("category", "code"),
        names={"subject": ("Patient",)},
        none=("bodySite", "stage"),
        rules=(
            Rule("SDOH-Con-1", lambda c: "asserter" in c and any(e.get("url") == f"{BASE}ExtensionConditionAsserter" for e in c.get("extension", ())),
                 "There is one asserter: a person or a device.", "asserter"),
            Rule("SDOH-Con-2", _uncategorised,
                 "One category is encounter-diagnosis, problem-list-item or health-concern.", "category", "required"),
            Rule("SDOH-Con-3", _coded("category", US_CATEGORY, "sdoh"), _SDOH, "category", "required"),
        ),
    ),
    f"{BASE}ObservationScreeningResponse": _SCREENING,
    f"{BASE}ObservationAssessment": Profile(
        "Observation",
        needs=("category", "subject"),
        names={"subject": ("Patient", "Group")},
        rules=(Rule("social-history", _coded("category", OBSERVATION_CATEGORY, "social-history"), "One category is social-history.", "category", "required"),),
    ),
    f"{BASE}Goal": Profile(
        "Goal", names={"subject": ("Patient",), "addresses": ("Condition", "Observation", "RiskAssessment")}
    ),
    f"{BASE}HealthcareService": Profile("HealthcareService", needs=("active", "name", "telecom"), only={"active": (True,)}),
    f"{BASE}HealthcareServiceForReferralManagement": Profile(
        "HealthcareService",
        needs=("active", "category", "type", "name"),
        only={"active": (True,)},
        rules=(
            Rule("type 1..1", lambda c: len(c.get("type", ())) > 1, "There is one type.", "type", "structure"),
            Rule("capacity-status 1..1",
                 lambda c: sum(str(e.get("url")).startswith(f"{BASE}ExtensionHealthcareServiceCapacity") for e in c.get("extension", ())) != 1,
                 "The extension of the capacity status is required.", "extension", "required"),
        ),
    ),
    f"{BASE}Group": Profile(
        "Group",
        needs=("active",),
        only={"active": (True,), "type": ("person",), "actual": (True,)},
        rules=tuple(
            Rule(code, _coded("characteristic.code", TEMPORARY, code), f"One characteristic is {code}.", "characteristic", "required")
            for code in ("sdoh-condition-category", "payer-coverage")
        ),
    ),
}  # fmt: skip
"""Canonical → what it asks. Bindings to value sets that US Core and VSAC keep are not checked: their codes are not ours to publish."""

SUBMITTED = Profile(
    "Task",
    needs=("focus", "for", "requester", "authoredOn"),
    only={"intent": ("order",), "status": ("requested",)},
    names={"focus": ("ServiceRequest",), "for": ("Patient",)},
)
"""A hospital's Task that comes along with its submission (closed-loop.md, behaviour 3)."""


def issues(profile: Profile, content: Content, at: str) -> list[Issue]:
    """Where content of the right form is against a profile."""
    found: list[Issue] = []

    def fault(path: str, code: str, words: str, severity: str = "error") -> None:
        found.append(Issue(words, f"{at}.{path}" if path else at, code, severity))

    for path in profile.needs:
        if next(_each(content, path), None) is None:
            fault(path, "required", f"The profile needs {path}.")
    for path in profile.none:
        if path in content:
            fault(path, "structure", f"The profile has no {path}.")
    for path, values in profile.only.items():
        if any(value not in values for value in _each(content, path)):
            fault(path, "value", f"The profile allows here: {', '.join(str(value).lower() for value in values)}.")
    for path, types in profile.names.items():
        if any(_names_another(value, types) for value in _each(content, path)):
            fault(path, "value", f"Here the profile has a reference name a {' or '.join(types)}.")
    for rule in profile.rules:
        broken = rule.broken(content)
        for position in broken if isinstance(broken, list) else [-1] * bool(broken):
            fault(rule.at.format(position), rule.code, f"{rule.words} ({rule.key})", rule.severity)
    return found


def _names_another(reference: Any, types: Sequence[str]) -> bool:
    parts = (
        str(reference.get("reference", "")).partition("/_history/")[0].split("/") if isinstance(reference, dict) else []
    )
    return len(parts) > 1 and parts[-2] not in types


def nominated(content: Content, named: Sequence[str]) -> Iterator[tuple[str, bool]]:
    """The profiles to hold content against, and whether it was the caller who named them: those, then those of `meta.profile`."""
    meta = content.get("meta")
    own = meta.get("profile") if isinstance(meta, dict) else ()
    asked = dict.fromkeys(named, True)
    for canonical in own if isinstance(own, list) else ():
        if isinstance(canonical, str):
            asked.setdefault(canonical, False)
    yield from asked.items()


def against(canonical: str, by_caller: bool, content: Content, sound: bool) -> list[Issue]:
    """What a nominated profile says of content; `sound`: R4 has nothing against it. One that is not known here is a fault where the
    caller asked for it (FHIR R4 resource-operation-validate.html), and a remark where the resource claims it."""
    type = str(content.get("resourceType"))
    bare = canonical.partition("|")[0]
    if bare == f"{R4}{type}":
        return []
    profile = PROFILES.get(bare)
    if profile is None:
        at, severity = (None, "error") if by_caller else (f"{type}.meta.profile", "warning")
        return [
            Issue("This profile is not known here, so nothing was checked against it.", at, "not-supported", severity)
        ]
    if profile.type != type:
        return [Issue(f"This profile is one of {profile.type}.", type, "structure")]
    if not sound:
        return [
            Issue("The profile is looked at when the faults against R4 are mended.", type, "incomplete", "information")
        ]
    return issues(profile, content, type)
