"""How a test fills in a case's file: each document as an agency would send it, and the file as `$case` shows it."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from service.casework.forms import FORMS, Item
from tests.http.loop import done, procedure
from tests.http.world import Answered, Party, World

DOCUMENT = "urn:yuanshe:case-document"
PERTAINS = "http://hl7.org/fhir/StructureDefinition/resource-pertainsToGoal"


def form(document: str, share: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A response to the form of a document with every required item answered; `answers` by link id change what it says."""
    answers = changes.pop("answers", {})
    items = FORMS[f"urn:yuanshe:questionnaire:case-{document}"].items
    return {
        "resourceType": "QuestionnaireResponse",
        "status": "completed",
        "questionnaire": f"urn:yuanshe:questionnaire:case-{document}",
        "subject": share["for"],
        "basedOn": [share["focus"]],
        "item": [
            {"linkId": item.code, "answer": [answers[item.code] if item.code in answers else _answer(item)]}
            for item in items
            if item.code in answers or (item.required and answers.get(item.code, "") is not None)
        ],
    } | changes


def _answer(item: Item) -> dict[str, Any]:
    if item.options:
        system, concept = item.options[0]
        return {"valueCoding": {"system": system, "code": concept.code}}
    return {"boolean": {"valueBoolean": True}, "date": {"valueDate": date.today().isoformat()}}.get(
        item.type, {"valueString": "如实填写"}
    )


def typed(document: str, share: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A document as a file: a DocumentReference typed with its code."""
    return {
        "resourceType": "DocumentReference",
        "status": "current",
        "type": {"coding": [{"system": DOCUMENT, "code": document}]},
        "subject": share["for"],
        "content": [{"attachment": {"contentType": "text/plain", "title": "扫描件"}}],
        "context": {"related": [share["focus"]]},
    } | changes


def goal(share: dict[str, Any], **changes: Any) -> dict[str, Any]:
    said = {
        "resourceType": "Goal",
        "lifecycleStatus": "active",
        "category": [{"coding": [{"system": "urn:yuanshe:goal-type", "code": "resolve"}]}],
        "description": {"text": "两周内安置到合适的养老机构"},
        "subject": share["for"],
        "target": [
            {"measure": {"text": "入住养老机构"}, "detailString": "已入住", "dueDate": date.today().isoformat()}
        ],
        "addresses": [share["focus"]],
    } | changes
    return {key: value for key, value in said.items() if value is not None}


def plan(share: dict[str, Any], *goals: str, review: datetime | None = None, **changes: Any) -> dict[str, Any]:
    until = review or datetime.now(UTC) + timedelta(days=14)
    return {
        "resourceType": "CarePlan",
        "status": "active",
        "intent": "plan",
        "title": "服务计划",
        "subject": share["for"],
        "period": {"start": datetime.now(UTC).isoformat(), "end": until.isoformat()},
        "goal": [{"reference": f"Goal/{each}"} for each in goals],
    } | changes


def serving(share: dict[str, Any], *goals: str, **changes: Any) -> dict[str, Any]:
    """An intervention that serves these goals."""
    named = [{"url": PERTAINS, "valueReference": {"reference": f"Goal/{each}"}} for each in goals]
    return procedure(share, extension=named + changes.pop("extension", []), **changes)


async def supervisor(world: World, agency: str = "agency-a") -> str:
    """The agency's licensed supervisor, as its CareTeam shows who that is."""
    team = await world.party(agency).read(f"CareTeam/{world.organizations[agency].split('/')[1]}")
    return next(m["member"]["reference"] for m in team["participant"] if "督导" in str(m.get("role")))


def asked(**words: Any) -> dict[str, Any]:
    """Parameters of an operation; a text that is a reference is one."""
    given: list[dict[str, Any]] = []
    for name, value in words.items():
        kind = (
            "valueBoolean"
            if isinstance(value, bool)
            else "valueReference"
            if "PractitionerRole/" in value
            else "valueString"
        )
        given.append({"name": name, kind: {"reference": value} if kind == "valueReference" else value})
    return {"resourceType": "Parameters", "parameter": given}


async def advance(agency: Party, share: dict[str, Any], to: str, **words: Any) -> Answered:
    return await agency.post(f"Task/{share['id']}/$advance", asked(to=to, **words))


async def file(agency: Party, share: dict[str, Any]) -> "File":
    return File(await agency.read(f"Task/{share['id']}/$case"))


class File:
    """A case file as `$case` shows it."""

    def __init__(self, body: dict[str, Any]) -> None:
        self.body = body

    def all(self, name: str) -> list[Any]:
        """Every parameter of this name: its value, or its parts by name."""
        return [_value(each) for each in self.body["parameter"] if each["name"] == name]

    def one(self, name: str) -> Any:
        found = self.all(name)
        assert len(found) == 1, (name, found)
        return found[0]

    @property
    def phase(self) -> str:
        return self.one("phase")["code"]

    @property
    def completeness(self) -> int:
        return self.one("completeness")

    def codes(self, name: str) -> list[str]:
        """The codes of the documents in `missing`, `needed` or `document`."""
        return [each["code"]["code"] for each in self.all(name)]

    @property
    def orphans(self) -> list[tuple[str, str | None]]:
        return [
            (each["kind"]["code"], each["what"]["reference"] if "what" in each else each.get("need"))
            for each in self.all("orphan")
        ]


def _value(parameter: dict[str, Any]) -> Any:
    if "part" in parameter:
        return {each["name"]: _value(each) for each in parameter["part"]}
    return next(value for name, value in parameter.items() if name.startswith("value"))


async def filled(world: World, share: dict[str, Any], *documents: str, agency: str = "agency-a") -> dict[str, Answered]:
    """Post each of these documents; what was stored by its code. `service-plan` brings a goal along."""
    party = world.party(agency)
    made: dict[str, Answered] = {}
    for document in documents:
        if document == "service-plan":
            aim = done(await party.post("Goal", goal(share)))
            made["goal"] = aim
            made[document] = done(await party.post("CarePlan", plan(share, aim["id"])))
        elif document == "process-note":
            aims = [made["goal"]["id"]] if "goal" in made else []
            made[document] = done(await party.post("Procedure", serving(share, *aims)))
        elif document == "supervision-note":
            author = {"author": {"reference": await supervisor(world, agency)}}
            made[document] = done(await party.post("QuestionnaireResponse", form(document, share, **author)))
        else:
            made[document] = done(await party.post("QuestionnaireResponse", form(document, share)))
    return made
