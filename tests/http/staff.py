"""What tests of people's work share: an agency's workers by their keys, and the operations that are asked of them."""

from typing import Any

from tests.http.world import Answered, Party, World


async def workers(world: World) -> dict[str, str]:
    """Key in the directory's file → `PractitionerRole/…`."""
    async with world.as_owner() as connection:
        rows = await connection.fetch("SELECT key, id FROM worker")
    return {row["key"]: f"PractitionerRole/{row['id']}" for row in rows}


def asked(**given: Any) -> dict[str, Any]:
    """A Parameters of simple values, each in the element that fits it."""
    said: list[dict[str, Any]] = []
    for name, value in given.items():
        match value:
            case bool():
                said.append({"name": name, "valueBoolean": value})
            case int():
                said.append({"name": name, "valueInteger": value})
            case dict():
                said.append({"name": name, "valuePeriod": value})
            case str() if "/" in value:
                said.append({"name": name, "valueReference": {"reference": value}})
            case _:
                said.append({"name": name, "valueString": value})
    return {"resourceType": "Parameters", "parameter": said}


async def do(party: Party, operation: str, **given: Any) -> Answered:
    return await party.post(operation, asked(**given))


def part(parameter: dict[str, Any]) -> dict[str, Any]:
    """The parts of a parameter by name, each as its plain value."""
    return {
        each["name"]: value["reference"] if isinstance(value, dict) and "reference" in value else value
        for each in parameter["part"]
        for value in [next(v for k, v in each.items() if k.startswith("value"))]
    }


def parts(answer: dict[str, Any], name: str) -> list[dict[str, Any]]:
    return [part(each) for each in answer.get("parameter", ()) if each["name"] == name]


async def share_of(world: World, worker: str, agency: str = "agency-a", *needs: str) -> Answered:
    """A share in service with this worker as its owner."""
    share = await world.accepted(await world.refer(*(needs or ("N05",))), agency)
    begun = await world.party(agency).put(share, status="in-progress", owner={"reference": worker})
    assert begun.status == 200, begun
    return begun
