"""The worked exchange of the docs, run as it stands there."""

import json
import re
from pathlib import Path

from tests.http.world import World

PAGE = Path(__file__).parents[2] / "docs" / "exchange.md"
HEAD = re.compile(r"(\w+) /fhir/?(\S*) \(([\w-]+)\) → (\d+) ?(.*)")


async def test_every_request_of_the_worked_exchange_is_answered_as_it_says(world: World) -> None:
    names = dict(world.organizations)
    ran = 0
    for block in re.findall(r"```http\n(.*?)```", PAGE.read_text(), re.S):
        head, _, body = block.partition("\n")
        found = HEAD.match(head)
        assert found, head
        for name, value in names.items():
            head, body = head.replace(f"{{{name}}}", value), body.replace(f"{{{name}}}", value)
        method, path, party, status, kept = HEAD.match(head).groups()  # pyright: ignore[reportOptionalMemberAccess]
        content = json.loads(body) if body.strip() else None
        kind = "application/json-patch+json" if method == "PATCH" else "application/fhir+json"
        answer = await world.party(party).ask(method, path.replace("|", "%7C"), content, kind=kind)
        assert answer.status == int(status), (head, answer)
        names |= dict(zip(kept.split(), ids(answer), strict=False))
        ran += 1
    assert ran > 15


def ids(answer: dict) -> list[str]:
    """The ids that an answer gives: of what was stored, found, or made."""
    if answer.get("type") == "transaction-response":
        return [entry["response"]["location"].split("/")[1] for entry in answer["entry"]]
    if answer.get("type") == "searchset":
        assert answer["total"] > 0
        return [entry["resource"]["id"] for entry in answer["entry"]]
    return [answer.get("id", "")]
