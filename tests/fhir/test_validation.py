"""Each element of each type, broken by itself, is named as what is wrong; and nothing that is valid is refused."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from adapters.fhir import validation
from adapters.fhir.definitions import SHAPES, Shape
from adapters.fhir.surface import SURFACE
from tests.fhir import definitions
from tests.fhir.samples import COMPANY, ONLY_SOMETIMES, Resource, kind_of, least, names, parts, place, put, within

TYPES = sorted(definitions.TYPES.split())
NOBODY = "Medication/1"


def found(resource: Resource) -> list[tuple[str, str | None]]:
    return [(issue.code, issue.at) for issue in validation.issues(resource["resourceType"], resource)]


def with_each(type: str) -> Iterator[tuple[Shape, str, str, Resource]]:
    """Every element of a type and its parts, each in the least resource that may have it: shape, name, place, resource."""
    for part in parts(type):
        if part in ONLY_SOMETIMES:
            continue
        shape = SHAPES[part]
        for key in names(shape):
            path = f"{part}.{shape.elements[key].path}"
            if path in ONLY_SOMETIMES:
                continue
            base = least(shape)
            of_choice = [
                other
                for other in base
                if other in shape.elements and shape.elements[other].path == shape.elements[key].path
            ]
            content = (
                {k: v for k, v in base.items() if k not in of_choice}
                | {key: put(shape, key)}
                | copy.deepcopy(COMPANY.get(path, {}))
            )
            yield shape, key, f"{place(part)}.{shape.elements[key].path}", content


def test_the_table_is_what_its_source_says() -> None:
    same = definitions.FILE.read_text() == definitions.text()
    assert same, "python -m tests.fhir.definitions writes it anew"


def test_every_type_of_the_surface_is_in_the_table() -> None:
    assert set(SURFACE) <= set(SHAPES)


@pytest.mark.parametrize("type", TYPES)
def test_the_least_is_valid_and_so_is_each_element(type: str) -> None:
    assert found(least(SHAPES[type])) == []
    for shape, _, at, content in with_each(type):
        assert found(within(shape.name, content)) == [], (at, content)


@pytest.mark.parametrize("type", TYPES)
def test_what_is_missing_is_named(type: str) -> None:
    for part in parts(type):
        shape = SHAPES[part]
        for path, allowed in shape.required:
            content = {key: value for key, value in least(shape).items() if key not in allowed} or {"id": "a"}
            at = f"{place(part)}.{path}"
            assert ("required", at) in found(within(part, content)), at
            assert all(where == at for _, where in found(within(part, content))), at


@pytest.mark.parametrize("type", TYPES)
def test_a_code_outside_its_value_set_is_named(type: str) -> None:
    for shape, key, at, content in with_each(type):
        element = shape.elements[key]
        if " = " not in kind_of(shape, key):
            continue
        wrong: Any = {"text": "bogus"} if element.bound else "bogus"
        content[key] = [wrong] if element.many else wrong
        where = f"{at}[0]" if element.many else at
        assert found(within(shape.name, content)) == [("code-invalid", where)], at


@pytest.mark.parametrize("type", TYPES)
@pytest.mark.parametrize("names_it", [
    {"reference": NOBODY}, {"reference": f"https://example.org/fhir/{NOBODY}/_history/2"}, {"type": "Medication", "display": "x"},
])  # fmt: skip
def test_a_reference_to_a_wrong_type_is_named(type: str, names_it: Resource) -> None:
    for shape, key, at, content in with_each(type):
        element = shape.elements[key]
        if not element.reference or not element.targets or "Medication" in element.targets:
            continue
        content[key] = [names_it] if element.many else names_it
        where = f"{at}[0]" if element.many else at
        assert found(within(shape.name, content)) == [("value", where)], at


@pytest.mark.parametrize("type", TYPES)
def test_one_where_there_are_many_and_many_where_there_is_one_are_named(type: str) -> None:
    for shape, key, at, content in with_each(type):
        element = shape.elements[key]
        content[key] = content[key][0] if element.many else [content[key]]
        issues = found(within(shape.name, content))
        assert [where for _, where in issues] == [at], (at, issues)


@pytest.mark.parametrize("type", TYPES)
@pytest.mark.parametrize("nothing", ["", [], {}, None])
def test_nothing_is_no_value(type: str, nothing: Any) -> None:
    """Empty texts, lists and objects, and nulls, are left out in FHIR's JSON (json.html)."""
    for shape, key, at, content in with_each(type):
        for wrong in (nothing, [nothing]):
            content[key] = wrong
            issues = found(within(shape.name, content))
            assert issues and all((where or "").startswith(at) for _, where in issues), (at, wrong, issues)


@pytest.mark.parametrize("type", TYPES)
def test_of_a_choice_there_is_one(type: str) -> None:
    for part in parts(type):
        shape = SHAPES[part]
        for path in {element.path for element in shape.elements.values() if element.choice}:
            two = [key for key in names(shape) if shape.elements[key].path == path][:2]
            content = {
                k: v for k, v in least(shape).items() if k not in shape.elements or shape.elements[k].path != path
            }
            content |= {key: put(shape, key) for key in two} | copy.deepcopy(COMPANY.get(f"{part}.{path}", {}))
            assert found(within(part, content)) == [("structure", f"{place(part)}.{path}")], (part, path)


@pytest.mark.parametrize("type", TYPES)
def test_a_modifier_that_nobody_here_knows_is_refused_and_an_extension_is_not(type: str) -> None:
    extension = [{"url": "urn:example:more", "valueString": "more"}]
    for part in set(parts(type)) - ONLY_SOMETIMES:
        shape = SHAPES[part]
        if "extension" in shape.elements:
            assert found(within(part, least(shape) | {"extension": extension})) == []
        if "modifierExtension" in shape.elements:
            issues = found(within(part, least(shape) | {"modifierExtension": extension}))
            assert issues == [("extension", f"{place(part)}.modifierExtension")]


@pytest.mark.parametrize("type", TYPES)
def test_what_r4_does_not_know_is_let_pass_with_a_remark(type: str) -> None:
    """conf-6 and conf-9 of SDOH Clinical Care: a receiver does not fail on an unexpected element."""
    resource = least(SHAPES[type]) | {"somethingNew": {"of": ["R6"]}}
    assert found(resource) == []
    said = validation.issues(type, resource, remarks=True)
    assert ("warning", f"{type}.somethingNew") in [(issue.severity, issue.at) for issue in said]


def _patient(**elements: Any) -> Resource:
    return {"resourceType": "Patient"} | elements


VALUES: list[tuple[Resource, str | None]] = [
    (_patient(birthDate="2026"), None),
    (_patient(birthDate="2026-11"), None),
    (_patient(birthDate="2024-02-29"), None),
    (_patient(birthDate="2026-02-29"), "Patient.birthDate"),
    (_patient(birthDate="2026-13-01"), "Patient.birthDate"),
    (_patient(birthDate="2026-1-1"), "Patient.birthDate"),
    (_patient(birthDate="2026-01-01T10:00:00Z"), "Patient.birthDate"),
    (_patient(birthDate="0000"), "Patient.birthDate"),
    (_patient(deceasedDateTime="2026-03-04T10:00:00+08:00"), None),
    (_patient(deceasedDateTime="2026-03-04T10:00:00.123Z"), None),
    (_patient(deceasedDateTime="2026-03-04T10:00:00"), "Patient.deceased"),
    (_patient(deceasedDateTime="2026-03-04T10:00+08:00"), "Patient.deceased"),
    (_patient(deceasedDateTime="2026-03-04T24:00:00Z"), "Patient.deceased"),
    (_patient(deceasedDateTime="2026-03-04 10:00:00Z"), "Patient.deceased"),
    (_patient(deceasedDateTime="２０２６-03-04"), "Patient.deceased"),
    (_patient(deceasedBoolean="true"), "Patient.deceased"),
    (_patient(multipleBirthInteger=1.5), "Patient.multipleBirth"),
    (_patient(multipleBirthInteger=2**31), "Patient.multipleBirth"),
    (_patient(id="a.b-C9"), None),
    (_patient(id="a" * 64), None),
    (_patient(id="a" * 65), "Patient.id"),
    (_patient(id="a_b"), "Patient.id"),
    (_patient(name=[{"text": "a\u0007b"}]), "Patient.name[0].text"),
    (_patient(name=[{"text": "two\nlines\tand tabs"}]), None),
    (
        _patient(
            name=[{"given": [None, "Min"], "_given": [{"extension": [{"url": "urn:x", "valueString": "y"}]}, None]}]
        ),
        None,
    ),
    (_patient(name=[{"given": [None, "Min"]}]), "Patient.name[0].given[0]"),
    (_patient(_birthDate={"extension": [{"url": "urn:x", "valueString": "y"}]}), None),
    (_patient(_birthDate={"extension": []}), "Patient.birthDate.extension"),
    (_patient(_birthDate="1999"), "Patient.birthDate"),
    (_patient(language=" zh"), "Patient.language"),
    (_patient(implicitRules="urn:example:rules"), "Patient.implicitRules"),
    (_patient(telecom=[{"system": "phone", "value": "1", "rank": 0}]), "Patient.telecom[0].rank"),
    (_patient(photo=[{"contentType": "image/png", "data": "YQ=="}]), None),
    (_patient(photo=[{"contentType": "image/png", "data": "ä"}]), "Patient.photo[0].data"),
    (_patient(identifier=[{"system": "urn:a b", "value": "1"}]), "Patient.identifier[0].system"),
    (
        _patient(
            text={"status": "generated", "div": "<div xmlns='http://www.w3.org/1999/xhtml'><p>Ward <b>3</b></p></div>"}
        ),
        None,
    ),
]
VALUES += [
    (_patient(text={"status": "generated", "div": div}), "Patient.text.div")
    for div in (
        "Ward 3", "<p>Ward 3</p>", "<div/>", "<div> </div>", "<div>Ward</p>", "<div>a&nbsp;b</div>", "<div><script>alert(1)</script></div>",
        "<div><p onclick='x()'>a</p></div>", "<div><a href=' java\tscript:x()'>a</a></div>", "<div><iframe src='x'/></div>",
        "<!DOCTYPE div [<!ENTITY a 'aaaa'>]><div>&a;</div>", "<div>a</div><div>b</div>",
    )
]  # fmt: skip


@pytest.mark.parametrize(("resource", "at"), VALUES)
def test_a_value_that_is_none_of_its_type_is_named(resource: Resource, at: str | None) -> None:
    assert [where for _, where in found(resource)] == ([at] if at else [])


def test_all_faults_are_told_at_once_and_no_more_than_can_be_read() -> None:
    task = {
        "resourceType": "Task", "status": "bogus", "for": {"reference": "Patient/1"}, "requester": {"reference": NOBODY},
        "restriction": {"period": {"start": "2026-03-04", "end": "2026-03-03"}}, "input": [{"type": {"text": "x"}}],
    }  # fmt: skip
    assert found(task) == [
        ("code-invalid", "Task.status"), ("value", "Task.requester"), ("invariant", "Task.restriction.period.end"),
        ("required", "Task.input[0].value"), ("required", "Task.intent"),
    ]  # fmt: skip
    assert len(found(task | {"note": [{}] * 500})) == validation.MOST


def test_what_is_wrong_is_said_without_repeating_what_was_sent() -> None:
    issues = validation.issues(
        "Patient", {"resourceType": "Patient", "gender": "陈素芬", "birthDate": "陈素芬", "陈素芬": 1}, remarks=True
    )
    assert len(issues) == 3 and "陈素芬" not in repr(issues)


@pytest.mark.parametrize(("target", "at"), [
    ("urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a", []),
    ("urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0b", ["Bundle.entry[1].resource.subject"]),
    ("urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0c", []),
    ("Patient?identifier=urn:x|1", []),
    ("Medication?identifier=urn:x|1", ["Bundle.entry[1].resource.subject"]),
    ("Nonsense/1", ["Bundle.entry[1].resource.subject"]),
    ("https://portal.example.org/Users/1", []),
    ("#inside", ["Bundle.entry[1].resource.subject"]),
])  # fmt: skip
def test_a_reference_within_a_bundle_is_one_to_the_type_of_its_entry(target: str, at: list[str]) -> None:
    entries: list[Resource] = [
        {"fullUrl": "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a", "resource": {"resourceType": "Patient"}},
        {"fullUrl": "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0b",
         "resource": {"resourceType": "Condition", "subject": {"reference": target}}},
    ]  # fmt: skip
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": entries}
    assert [where for _, where in found(bundle)] == at


def test_a_contained_resource_is_one_of_its_type() -> None:
    contained = [{"resourceType": "Practitioner", "id": "who"}]
    request = least(SHAPES["ServiceRequest"]) | {"contained": contained}
    assert found(request | {"requester": {"reference": "#who"}}) == []
    assert found(request | {"subject": {"reference": "#who"}}) == [("value", "ServiceRequest.subject")]
    assert found(request | {"requester": {"reference": "#nobody"}}) == [("invariant", "ServiceRequest.requester")]
    assert found(request) == [("invariant", "ServiceRequest.contained")]
