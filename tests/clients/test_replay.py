"""`yuanshe replay` tells an integrator what became of each part of a file, and what a refused element would look like."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from adapters.fhir import examples, validation
from tests.clients.conftest import Served
from tests.http.world import submission

ROOT = Path(__file__).parents[2]


async def replay(served: Served, tmp_path: Path, content: Any, *more: str) -> tuple[int, str]:
    """The command as a person runs it; its exit code and what it said."""
    file, token = tmp_path / "sent.json", tmp_path / "token"
    file.write_text(content if isinstance(content, str) else json.dumps(content, ensure_ascii=False))
    token.write_text(served.token("his-a") + "\n")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "adapters.main", "replay", str(file), "--to", served.url, "--token-file", str(token), *more,
        cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said = (await process.communicate())[0].decode()
    assert process.returncode is not None
    return process.returncode, said


async def test_what_is_taken_is_told_with_where_it_is(served: Served, tmp_path: Path) -> None:
    code, said = await replay(served, tmp_path, submission("N05"))
    assert code == 0 and said.count("201 entry[") == 3 and "ServiceRequest/" in said, said


async def test_each_refusal_stands_beside_what_was_sent_and_what_would_be_taken(served: Served, tmp_path: Path) -> None:
    spoilt = submission("N05", request={"status": "bogus", "intent": "whim"})
    code, said = await replay(served, tmp_path, spoilt)
    assert code == 1, said
    assert (
        "[Bundle.entry[2].resource.status]" in said and 'sent: "bogus"' in said and 'taken would be: "active"' in said
    )
    assert "[Bundle.entry[2].resource.intent]" in said and 'sent: "whim"' in said and 'taken would be: "order"' in said
    assert not await served.world.party("his-a").search("ServiceRequest")


async def test_a_batch_tells_of_each_entry(served: Served, tmp_path: Path) -> None:
    whole = submission("N05")
    entries = [
        whole["entry"][0],
        {"resource": {"resourceType": "Patient", "gender": "x"}, "request": {"method": "POST", "url": "Patient"}},
    ]
    code, said = await replay(served, tmp_path, {"resourceType": "Bundle", "type": "batch", "entry": entries})
    assert code == 1 and "201 entry[0] Patient/" in said and "422 entry[1] Patient" in said, said
    assert 'sent: "x"' in said and 'taken would be: "female"' in said


async def test_asked_to_validate_it_stores_nothing(served: Served, tmp_path: Path) -> None:
    code, said = await replay(served, tmp_path, {"resourceType": "Patient", "birthDate": "yesterday"}, "--validate")
    assert code == 1 and "[Patient.birthDate]" in said and 'taken would be: "1952-03-15"' in said, said
    assert not await served.world.party("his-a").search("Patient")


async def test_a_bundle_is_validated_entry_by_entry(served: Served, tmp_path: Path) -> None:
    code, said = await replay(served, tmp_path, submission("N05"), "--validate")
    assert code == 0 and "200 taken: entry[0] Patient/$validate" in said, said
    spoilt = submission("N05", request={"status": "bogus"})
    code, said = await replay(served, tmp_path, spoilt, "--validate")
    assert code == 1 and "refused: entry[2] ServiceRequest/$validate" in said, said
    assert "[ServiceRequest.status]" in said and 'sent: "bogus"' in said and 'taken would be: "active"' in said
    assert not await served.world.party("his-a").search("Patient")


async def test_who_is_not_let_in_is_shown_no_other_body(served: Served, tmp_path: Path) -> None:
    served.world.said["clients"]["his-a"] = served.world.said["clients"]["agency-a"]
    code, said = await replay(served, tmp_path, submission("N05"))
    assert code == 1 and "403 refused" in said and "taken would be" not in said, said


async def test_an_address_that_is_not_the_surface_took_nothing(served: Served, tmp_path: Path) -> None:
    code, said = await replay(served, tmp_path, submission("N05"), "--to", served.url.removesuffix("/fhir"))
    assert code == 2 and "is it the FHIR surface?" in said and "taken" not in said, said


async def test_a_file_without_a_token_is_named(served: Served, tmp_path: Path) -> None:
    nothing = tmp_path / "empty"
    nothing.write_text("\n")
    code, said = await replay(served, tmp_path, submission("N05"), "--token-file", str(nothing))
    assert code == 2 and "holds no access token" in said, said


@pytest.mark.parametrize(
    ("content", "words"),
    [("no JSON", "is not JSON"), ([], "holds no resource"), ({"resourceType": "Bundle", "type": "document"}, "as a transaction or a batch")],
)  # fmt: skip
async def test_what_cannot_be_sent_is_said_in_a_line(served: Served, tmp_path: Path, content: Any, words: str) -> None:
    code, said = await replay(served, tmp_path, content)
    assert code != 0 and words in said and "Traceback" not in said


def test_every_example_is_what_the_surface_takes() -> None:
    for type, resource in examples.examples().items():
        assert validation.issues(type, resource) == [], type
