"""Examples that were not written for us are accepted, or refused with an outcome that names the element; docs/examples.md says which."""

import copy
import difflib
import json
import os
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.http.world import Answered, World

HERE = Path(__file__).parents[2]
DATA = HERE.parent / "shared" / "data"
PAGE = HERE / "docs" / "examples.md"
FAMILIES = ("sdohcc", "us-core", "synthea")
ABOUT = {"Observation", "QuestionnaireResponse", "Condition", "Goal"}
TAKEN = ABOUT | {"Patient", "Organization", "Practitioner"}

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"the public examples are not here ({DATA.parent.name}/data)")


class Tried(NamedTuple):
    example: str
    type: str
    how: str
    answer: Answered

    @property
    def row(self) -> str:
        if self.answer.status < 300:
            said, where, why = "accepted", "", ""
        else:
            issue = self.answer["issue"][0]
            said, where, why = (
                f"refused ({self.answer.status})",
                f"`{issue['expression'][0]}`",
                issue["details"]["text"],
            )
        return f"| {self.example} | {self.type} | {self.how} | {said} | {where} | {why} |"


async def try_all(world: World) -> list[Tried]:
    """Every example in every context that makes sense for it, in the order of their names."""
    return [
        tried
        for family in FAMILIES
        for path in sorted((DATA / family).glob("*.json"))
        async for tried in ways(world, path)
    ]


async def ways(world: World, path: Path) -> AsyncIterator[Tried]:
    hospital = world.party("his-a")
    resource: dict[str, Any] = json.loads(path.read_text())
    type = resource["resourceType"]
    name = path.stem.removeprefix("SDOHCC-").split("_")[0] if type != "Bundle" else path.stem.rpartition("_")[0]

    def said(how: str, answer: Answered) -> Tried:
        return Tried(f"{path.parent.name}/{name}", type, how, answer)

    if type == "Bundle":
        yield said("as it is", await hospital.post("", resource))
        for how, types in (
            ("its Patient with a request of ours", {"Patient"}),
            ("all that the surface takes, with a request of ours", TAKEN),
        ):
            entries = [
                entry for entry in copy.deepcopy(resource["entry"]) if entry["resource"]["resourceType"] in types
            ]
            person = next(entry for entry in entries if entry["resource"]["resourceType"] == "Patient")
            yield said(how, await hospital.post("", transaction(*entries, posted(request(person["fullUrl"])))))
        return
    yield said("as it is", await hospital.post(type, resource))
    if type == "Task":
        yield said("as it is, by the platform", await world.party("platform").post(type, resource))
    patient = await known_patient(world)
    if type == "Consent":
        consent = resource | {"patient": {"reference": patient}}
        yield said("for a patient who is known", await hospital.post(type, consent))
        consent |= {"performer": [{"reference": patient}]}
        yield said("… with who signs it", await hospital.post(type, consent))
        actor = world.consent_form(patient, None, "agency-a")["provision"]
        yield said("… and the agency that was shown", await hospital.post(type, consent | {"provision": actor}))
    elif type in ABOUT:
        yield said(
            "about a patient who is known", await hospital.post(type, resource | {"subject": {"reference": patient}})
        )
        person = posted(example("sdohcc/pat-53234") | {"identifier": [number("patient")]})
        along = posted(resource | {"subject": {"reference": person["fullUrl"]}})
        yield said(
            "along with a submission",
            await hospital.post("", transaction(person, along, posted(request(person["fullUrl"])))),
        )
    elif type == "ServiceRequest":
        person = posted(example("sdohcc/pat-53234"))
        yield said("in a Bundle with its Patient", await hospital.post("", transaction(person, posted(resource))))
        for how, changes in (("… with a placer's number", {}), ("… and status active", {"status": "active"})):
            if how == "… with a placer's number" or resource["status"] != "active":
                numbered = posted(resource | {"identifier": [number("order")]} | changes)
                yield said(how, await hospital.post("", transaction(person, numbered)))
    elif type == "Task":
        for how, changes in (
            ("in a Bundle with its Patient and request", {}),
            ("… with status requested", {"status": "requested", "output": []}),
        ):
            task = {k: v for k, v in (resource | changes).items() if v != []}
            yield said(how, await hospital.post("", transaction(*placed(resource), posted(task))))


def placed(task: dict[str, Any]) -> Iterator[Any]:
    """The Patient and the request of an example Task; the request with a number of its placer."""
    asked = example("sdohcc/SDOHCC-ServiceRequestActiveFoodPantryApplicationAssistExample")
    return iter((posted(example("sdohcc/pat-53234")), posted(asked | {"identifier": [number("order")]})))


def example(name: str) -> dict[str, Any]:
    return json.loads((DATA / f"{name}.json").read_text())


def number(of: str) -> dict[str, str]:
    return {"system": f"urn:his-a:{of}", "value": str(uuid.uuid4())}


def request(patient: str) -> dict[str, Any]:
    return {"resourceType": "ServiceRequest", "id": "request", "status": "active", "intent": "order", "identifier": [number("order")],
            "subject": {"reference": patient}, "category": [{"coding": [{"system": "urn:yuanshe:need", "code": "N05"}]}]}  # fmt: skip


def posted(resource: dict[str, Any]) -> dict[str, Any]:
    return {"fullUrl": f"http://example.org/fhir/{resource['resourceType']}/{resource['id']}", "resource": resource,
            "request": {"method": "POST", "url": resource["resourceType"]}}  # fmt: skip


def transaction(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": "transaction", "entry": list(entries)}


async def known_patient(world: World) -> str:
    made = await world.party("his-a").post("Patient", example("sdohcc/pat-53234"))
    assert made.status in (200, 201), made
    return f"Patient/{made['id']}"


HEAD = "| example | type | how it was sent | answer | element | why |\n"


def table(tried: list[Tried]) -> str:
    return HEAD + "|---|---|---|---|---|---|\n" + "\n".join(one.row for one in tried) + "\n"


async def test_each_is_accepted_or_refused_by_name_and_the_page_says_which(world: World) -> None:
    tried = await try_all(world)
    for one in tried:
        assert one.answer.status < 500, one
        if one.answer.status >= 300:
            assert one.answer["resourceType"] == "OperationOutcome", one
            assert all(issue.get("expression") for issue in one.answer["issue"]), one
    assert {"accepted", "refused"} == {"accepted" if one.answer.status < 300 else "refused" for one in tried}
    page = PAGE.read_text()
    should = page[: page.index(HEAD)] + table(tried)
    if os.environ.get("WRITE_DOCS"):
        PAGE.write_text(should)
        return
    changed = "\n".join(difflib.unified_diff(page.splitlines(), should.splitlines(), lineterm="", n=0))
    assert not changed, f"docs/examples.md says otherwise; WRITE_DOCS=1 writes its table anew:\n{changed}"


async def test_what_is_accepted_comes_back_whole(world: World) -> None:
    """Unknown extensions, old names, foreign identifiers: what a hospital sent, it reads again."""
    hospital = world.party("his-a")
    sent = example("sdohcc/pat-53234")
    kept = await hospital.post("Patient", sent)
    assert {key: kept[key] for key in sent if key not in ("id", "meta", "text")} == {
        key: value for key, value in sent.items() if key not in ("id", "meta", "text")
    }
