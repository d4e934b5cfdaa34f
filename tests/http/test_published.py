"""What the program itself publishes: instruments, search parameters, operations, and the service as a device (contract.md)."""

from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class

from adapters.fhir.surface import SURFACE
from service import codes
from service.safety.instruments import INSTRUMENTS, Instrument, Item
from service.safety.scoring import Given, scored
from service.safety.screening import FREQUENCY, PHQ9_ITEM_9, Answer
from tests.http.loop import refused
from tests.http.world import World

TYPES = ("Questionnaire", "SearchParameter", "OperationDefinition", "Device")
PARTIES = ("his-a", "agency-a", "platform", "auditor")


@pytest.mark.parametrize("type", TYPES)
async def test_everybody_with_a_token_reads_and_finds_them(world: World, type: str) -> None:
    for party in PARTIES:
        found = await world.party(party).search(type)
        assert found, party
        for each in found:
            get_fhir_model_class(type).model_validate(each)
            assert await world.party(party).read(f"{type}/{each['id']}") == each
            assert await world.party(party).read(f"{type}/{each['id']}/_history/1") == each
    refused(await world.party("his-a").get(f"{type}/{found[0]['id']}/_history/2"), 404)
    refused(await world.nobody.get(type), 401)
    assert (await world.party("platform").post(type, found[0])).status == 405


async def test_the_instruments_are_phq_9_and_gad_7_by_their_loinc_codes(world: World) -> None:
    hospital = world.party("his-a")
    (phq,) = await hospital.search("Questionnaire?code=http://loinc.org|44249-1")
    (gad,) = await hospital.search("Questionnaire?url=urn:yuanshe:questionnaire:gad-7")
    questions = {item["linkId"]: item for item in phq["item"]}
    assert len([each for each in phq["item"] if each.get("required")]) == 9
    assert len([each for each in gad["item"] if each.get("required")]) == 7
    assert gad["code"][0]["code"] == "69737-5" and {"44261-6", PHQ9_ITEM_9} <= questions.keys()
    item = questions[PHQ9_ITEM_9]
    assert item["text"].startswith("有不如死掉") and "better off dead" in str(item["_text"])
    scores = {option["valueCoding"]["code"]: option["valueCoding"]["extension"][0]["valueDecimal"] for option in item["answerOption"]}  # fmt: skip
    assert scores == FREQUENCY, "what a form counts is what the crisis rule counts"
    assert phq["language"] == "zh-CN" and "No permission required" in phq["copyright"]


def test_a_form_names_every_list_of_answers_that_its_questions_need() -> None:
    for form in INSTRUMENTS.values():
        asked = [item for item in form.items if item.kind == "choice"]
        assert {item.choices for item in asked} == form.choices.keys(), form.key
        every = (*form.items, form.total) if form.total else form.items
        assert len({item.code for item in every}) == len(every)
        for item in asked:
            offered = {choice.code for choice in form.choices[item.choices]}
            assert item.needs.keys() <= offered | {"LA33-6", "LA30133-5", "LA30134-3"}, (form.key, item.code)
        for rule in form.rules:
            assert rule.kind != "need" or codes.known(codes.NEED, rule.code)


def test_each_total_ranges_as_its_title_says() -> None:
    ranges = {
        "phq-2": (0, 6),
        "phq-9": (0, 27),
        "gad-7": (0, 21),
        "dt": (0, 10),
        "ssrs": (12, 66),
        "lace": (0, 19),
        "ahc-hrsn": (4, 20),
    }
    for key, (least, most) in ranges.items():
        form = INSTRUMENTS[key]
        assert form.total and f"{least}–{most}" in form.total.zh and f"{least}–{most}" in form.total.en
        for pick, sum_ in ((min, least), (max, most)):
            answers = tuple(Answer(item.code, pick(worth(form, item))) for item in form.items if item.scored)
            found = scored(form, Given(answers))
            assert found.total == sum_, (key, found)


def worth(form: Instrument, item: Item) -> list[int]:
    """Numbers that may be answered: what choices count, or the ends of a range."""
    if item.kind == "integer":
        return [0, item.highest or 0]
    return [choice.score for choice in form.choices[item.choices] if choice.score is not None]


async def test_a_response_names_an_instrument_and_is_found_by_it(world: World) -> None:
    said: dict[str, Any] = {
        "resourceType": "QuestionnaireResponse", "status": "completed", "questionnaire": "urn:yuanshe:questionnaire:phq-9",
        "subject": {"reference": "PATIENT"}, "item": [{"linkId": PHQ9_ITEM_9, "answer": [{"valueCoding": {"system": "http://loinc.org", "code": "LA6568-5"}}]}],
    }  # fmt: skip
    await world.refer("N05", extra=[said])
    found = await world.party("his-a").search("QuestionnaireResponse?questionnaire=urn:yuanshe:questionnaire:phq-9")
    assert len(found) == 1


QUERIES: dict[str, list[tuple[str, int]]] = {
    "Questionnaire": [
        ("_id={id}", 1), ("url={url}", 1), ("url=urn:nobody", 0), ("version=1.0", 3), ("name=phq9", 1), ("name:exact=phq", 0),
        ("title=病人", 1), ("title=Generalized", 1), ("title:contains=patient%20health", 1), ("status=active", 3), ("status:not=active", 0), ("status=draft", 0),
        ("identifier=44249-1", 1), ("identifier=http://loinc.org|69737-5", 1), ("code=urn:x|44249-1", 0), ("_lastUpdated=gt2020-01-01", 3),
        ("_lastUpdated=lt2020-01-01", 0), ("url:missing=true", 0), ("url:missing=false", 3), ("_count=1", 1), ("name=phq9,gad", 2),
    ],
    "SearchParameter": [("url={url}", 1), ("base=Task", 2), ("base=Task&code=due", 1), ("type=date", 1), ("name=TaskDue", 1), ("status=active", 5)],
    "OperationDefinition": [("url={url}", 1), ("code=timeline", 1), ("kind=operation", 3), ("name=route", 1)],
    "Device": [("_id={id}", 1), ("device-name=院社", 1), ("status=active", 1), ("status=inactive", 0), ("organization={platform}", 1)],
}  # fmt: skip


@pytest.mark.parametrize("type", QUERIES)
async def test_each_parameter_finds_what_it_says(world: World, type: str) -> None:
    auditor = world.party("auditor")
    first = (await auditor.search(type))[0]
    for query, count in QUERIES[type]:
        words = {"id": first["id"], "url": first.get("url", ""), "platform": world.organizations["platform"]}
        for name, value in words.items():
            query = query.replace(f"{{{name}}}", value)
        found = await auditor.search(f"{type}?{query}")
        assert len(found) == count or (count > 2 and len(found) >= count), (query, found)


async def test_the_statement_says_where_every_parameter_and_operation_is_defined(world: World) -> None:
    """An address of HL7's for what base R4 defines; for the rest one of ours, to be read here."""
    reader = world.party("his-a")
    statement = await world.nobody.get("metadata")
    own: set[tuple[str, str]] = set()
    for resource in statement["rest"][0]["resource"]:
        for param in resource["searchParam"]:
            url = param["definition"]
            if url.startswith("urn:yuanshe:"):
                (found,) = await reader.search(f"SearchParameter?url={url}")
                assert (found["base"], found["code"], found["type"]) == (
                    [resource["type"]],
                    param["name"],
                    param["type"],
                )
                assert found["expression"].startswith(f"{resource['type']}.")
                own.add((resource["type"], param["name"]))
            else:
                family = url.removeprefix("http://hl7.org/fhir/SearchParameter/").removesuffix(
                    param["name"].lstrip("_")
                )
                assert family in (f"{resource['type']}-", "Resource-", "clinical-", "individual-", "conformance-"), url
        for operation in resource.get("operation", ()):
            if operation["definition"].startswith("urn:yuanshe:"):
                (found,) = await reader.search(f"OperationDefinition?url={operation['definition']}")
                assert (
                    found["code"] == operation["name"] and resource["type"] in found["resource"] and found["parameter"]
                )
    assert own == {(name, param.name) for name, type in SURFACE.items() for param in type.params if param.definition}
    assert {("Task", "output"), ("ServiceRequest", "supporting-info"), ("Communication", "about")} <= own


async def test_an_agencys_working_staff_is_its_care_team(world: World) -> None:
    """Derived from the directory: it bears the agency's id, and each member is a PractitionerRole of that agency."""
    hospital = world.party("his-a")
    found = await hospital.search("CareTeam?_include=CareTeam:participant")
    assert {f"Organization/{each['id']}" for each in found} >= {world.organizations[f"agency-{x}"] for x in "abc"}
    for team in found:
        get_fhir_model_class("CareTeam").model_validate(team)
        assert await hospital.read(f"CareTeam/{team['id']}") == team
        staff = await hospital.search(f"PractitionerRole?organization=Organization/{team['id']}&active=true&_count=200")
        assert {m["member"]["reference"] for m in team["participant"]} == {
            f"PractitionerRole/{each['id']}" for each in staff
        }
    member = found[0]["participant"][0]["member"]["reference"]
    assert [each["id"] for each in await hospital.search(f"CareTeam?participant={member}")] == [found[0]["id"]]
    assert await hospital.search("CareTeam?status=inactive") == []
    assert len(await hospital.search("CareTeam?_sort=-_lastUpdated&_lastUpdated=gt2020-01-01")) == len(found)


@pytest.mark.parametrize(
    "query",
    [
        "AuditEvent?agent.name=x", "AuditEvent?entity:Patient.name=x", "AuditEvent?patient.name=x", "AuditEvent?agent:identifier=x|y",
        "Device?organization.name=x", "Device?organization:identifier=x|y", "Questionnaire?title:missing=true", "Organization?_has:Device:organization:status=active",
        "Patient?_has:AuditEvent:patient:action=R", "PractitionerRole?_has:CareTeam:participant:status=active", "CareTeam?participant.active=true",
        "SearchParameter?base:not=Task", "AuditEvent?subtype=|", "AuditEvent?subtype=http://x|", "AuditEvent?type=|rest", "AuditEvent?_sort=date",
        "AuditEvent?_include=*", "AuditEvent?_revinclude=AuditEvent:entity", "Questionnaire?_elements=url&_summary=true", "AuditEvent?date:missing=true",
        "AuditEvent?entity:missing=true", "AuditEvent?altid=x", "AuditEvent?altid:missing=false", "AuditEvent?outcome:not=0", "Device?_id=x",
    ],
)  # fmt: skip
async def test_what_cannot_be_searched_for_that_way_is_ignored_or_refused_and_breaks_nothing(
    world: World, query: str
) -> None:
    for party in ("auditor", "his-a"):
        answer = await world.party(party).get(query)
        assert answer.status in (200, 400, 403), answer
        if answer.status == 200:
            assert answer["type"] == "searchset"
