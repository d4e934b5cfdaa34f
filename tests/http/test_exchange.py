"""The worked exchanges of the docs, run as they stand there; and what else `docs/fhir.md` says that can be held to the program."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.fhir.surface import SURFACE
from tests.http.world import Answered, World

ROOT = Path(__file__).parents[2]
HEAD = re.compile(r"(\w+) /fhir/?(\S*) \(([\w-]+)\) → (\d+) ?(.*)")
BLOCK = re.compile(r"```http\n(.*?)```(?:\s*```json\n(.*?)```)?", re.S)
BEHAVIOUR = re.compile(r"^\| (\d+) \| [^|]+ \| (.+) \|$", re.M)


def blocks(page: str) -> Iterator[tuple[str, dict[str, str], str, str]]:
    """Each request of a page: its first line, its own headers, its body, and what is shown of the answer."""
    for request, shown in BLOCK.findall((ROOT / "docs" / page).read_text()):
        first, _, rest = request.partition("\n")
        lines, _, body = rest.partition("\n\n") if re.match(r"[A-Z][\w-]+: ", rest) else ("", "", rest)
        yield first, dict(line.split(": ", 1) for line in lines.splitlines()), body, shown


@pytest.mark.parametrize(
    ("page", "least"),
    [("exchange.md", 16), ("fhir.md", 18), ("screening.md", 3), ("safety.md", 2), ("disclosure.md", 4)],
)
async def test_every_request_of_the_worked_exchange_is_answered_as_it_says(world: World, page: str, least: int) -> None:
    names = dict(world.organizations)
    ran = 0
    for first, headers, body, shown in blocks(page):
        for name, value in names.items():
            first, body, shown = (each.replace(f"{{{name}}}", value) for each in (first, body, shown))
        found = HEAD.match(first)
        assert found, first
        method, path, party, status, kept = found.groups()
        content = json.loads(body) if body.strip() else None
        kind = "application/json-patch+json" if method == "PATCH" else "application/fhir+json"
        answer = await world.party(party).ask(method, path.replace("|", "%7C"), content, kind=kind, **headers)
        assert answer.status == int(status), (first, answer)
        if shown:
            assert holds(dict(answer), json.loads(shown)), (first, answer)
        names |= dict(zip(kept.split(), ids(answer), strict=False))
        ran += 1
    assert ran >= least


def holds(answer: Any, shown: Any) -> bool:
    """Whether an answer has all that is shown of it; of a list, something for each that is shown, in that order."""
    match answer, shown:
        case dict(), dict():
            return all(key in answer and holds(answer[key], value) for key, value in shown.items())
        case list(), list():
            rest = iter(answer)
            return all(any(holds(each, value) for each in rest) for value in shown)
        case _:
            return answer == shown


def ids(answer: Answered) -> list[str]:
    """The ids that an answer gives: of what was stored, found, or made."""
    if answer.get("type") == "transaction-response":
        return [entry["response"]["location"].split("/")[1] for entry in answer["entry"]]
    if answer.get("type") == "searchset":
        return [entry["resource"]["id"] for entry in answer.get("entry", ())]
    return [answer.get("id", "")]


def test_each_behaviour_of_the_standards_has_a_test_of_its_number_where_the_page_says() -> None:
    rows = BEHAVIOUR.findall((ROOT / "docs" / "fhir.md").read_text())
    assert [int(number) for number, _ in rows] == list(range(1, 47))
    for number, said in rows:
        files = re.findall(r"`(tests/[\w/.]+)`", said)
        assert files, number
        for file in files:
            assert f"def test_behaviour_{number}_" in (ROOT / file).read_text(), (number, file)


def test_the_page_counts_the_types_as_the_table_has_them() -> None:
    page = (ROOT / "docs" / "fhir.md").read_text()
    written = sum({"create", "update"} & set(type.interactions) != set() for type in SURFACE.values())
    assert f"{written} types are written, {len(SURFACE)} read" in page


@pytest.mark.parametrize(
    "page", sorted(path.relative_to(ROOT).as_posix() for path in [*ROOT.glob("docs/**/*.md"), ROOT / "README.md"])
)
def test_every_link_between_the_pages_leads_somewhere(page: str) -> None:
    text = (ROOT / page).read_text()
    for target in re.findall(r"\]\((?!https?:)([^)#\s]+)", text):
        assert ((ROOT / page).parent / target).exists(), target
