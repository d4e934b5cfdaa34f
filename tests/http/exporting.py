"""How a test asks for an export, does a worker's part, and fetches the files, each line of which must parse."""

import json
from typing import Any

import httpx
from fhir.resources.R4B import get_fhir_model_class

from adapters.fhir import bulk
from tests.http.world import BASE, Party, World

NDJSON = "application/fhir+ndjson"
Lines = dict[str, list[dict[str, Any]]]


async def kick_off(party: Party, path: str = "$export", **headers: str) -> str:
    """The address at which to ask how the export fares."""
    asked = await party.get(path, **{"prefer": "respond-async", **headers})
    assert asked.status == 202, asked
    return asked.headers["content-location"]


def place(url: str) -> str:
    assert url.startswith(f"{BASE}/fhir/")
    return url.removeprefix(f"{BASE}/fhir/")


async def work(world: World) -> None:
    """What a worker does until nothing is left."""
    while await bulk.step(world.database):
        pass


async def fetched(world: World, party: Party, manifest: dict[str, Any]) -> Lines:
    """The lines of every file, by type; each count of the manifest holds, and each line parses."""
    lines: Lines = {}
    for file in manifest["output"]:
        text = await download(world, party, file["url"])
        assert text.endswith("\n")
        read = [json.loads(line) for line in text.removesuffix("\n").split("\n")]
        assert len(read) == file["count"] and {each["resourceType"] for each in read} == {file["type"]}
        for each in read:
            get_fhir_model_class(each["resourceType"]).model_validate(each)
        lines.setdefault(file["type"], []).extend(read)
    return lines


async def download(world: World, party: Party, url: str, **headers: str) -> str:
    answer = await raw(world, party, url, **headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == NDJSON
    return answer.text


async def raw(world: World, party: Party, url: str, **headers: str) -> httpx.Response:
    sent = {"accept": NDJSON, "authorization": f"Bearer {party._token}", **headers}
    return await world.http.get(url, headers=sent)


async def exported(world: World, party: Party, path: str = "$export", **headers: str) -> Lines:
    at = await kick_off(party, path, **headers)
    await work(world)
    manifest = await party.get(place(at))
    assert manifest.status == 200, manifest
    return await fetched(world, party, manifest)


def ids(lines: Lines, type: str) -> set[str]:
    return {each["id"] for each in lines.get(type, [])}


def everything(lines: Lines) -> str:
    return json.dumps(lines, ensure_ascii=False)
