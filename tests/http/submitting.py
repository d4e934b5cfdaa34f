"""What the tests of submission, disclosure and consent share: counting rows, reading answers, the persons of the examples."""

import copy
import json
import uuid
from typing import Any

from tests.http.world import NEED, Answered, Party, Referred, World

SECRETS = ("陈素芬", "13800000001", "示例街道")
"""What the submissions of `world.submission` hold of a person; no refusal may repeat it."""

BESIDE = frozenset({"audit", "audit_patient", "access_token", "assertion_id"})
"""Tables that a refused request may write: who asked for what is written down whatever came of it."""


async def rows(world: World) -> dict[str, int]:
    """How many rows each table has, counted by the owner."""
    async with world.as_owner() as connection:
        names = await connection.fetch(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        )
        tables = sorted({row["relname"] for row in names} - BESIDE)
        counted = {name: await connection.fetchval(f'SELECT count(*) FROM "{name}"') for name in tables}
        counted["places held"] = await connection.fetchval("SELECT count(*) FROM place WHERE task_id IS NOT NULL")
        return counted


def statuses(answer: Answered) -> list[str]:
    return [entry["response"]["status"][:3] for entry in answer["entry"]]


def locations(answer: Answered) -> list[str]:
    return [entry["response"]["location"] for entry in answer["entry"]]


def expressions(answer: Answered) -> list[str]:
    return [place for issue in answer["issue"] for place in issue.get("expression", ())]


def words(answer: Answered) -> str:
    return " ".join(issue["details"]["text"] for issue in answer["issue"])


def resource(bundle: dict[str, Any], type: str) -> dict[str, Any]:
    return next(entry["resource"] for entry in bundle["entry"] if entry["resource"]["resourceType"] == type)


def put_in(bundle: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A copy with the first entry's of a type changed: `Patient={"gender": None}`; None takes an element away."""
    made = copy.deepcopy(bundle)
    for type, values in changes.items():
        found = resource(made, type)
        for name, value in values.items():
            if value is None:
                found.pop(name, None)
            else:
                found[name] = value
    return made


def renamed(bundle: dict[str, Any]) -> dict[str, Any]:
    """The same content under other `urn:uuid`s."""
    text = json.dumps(bundle)
    for entry in bundle["entry"]:
        text = text.replace(entry["fullUrl"], f"urn:uuid:{uuid.uuid4()}")
    return json.loads(text)


def order(subject: dict[str, Any], *needs: str, **changes: Any) -> dict[str, Any]:
    """The least ServiceRequest that is accepted."""
    return {
        "resourceType": "ServiceRequest",
        "status": "active",
        "intent": "order",
        "identifier": [{"system": "urn:his-a:order", "value": str(uuid.uuid4())}],
        "code": {"coding": [{"system": NEED, "code": need} for need in needs or ("N05",)]},
        "subject": subject,
    } | changes


async def needs_of(world: World, referred: Referred) -> list[str]:
    """What the service understood to be needed, as the platform's decisions record it."""
    async with world.as_owner() as connection:
        found = await connection.fetchval("SELECT needs FROM referral WHERE id = $1", uuid.UUID(referred.id))
        return sorted(found)


async def refused(world: World, party: Party, path: str, body: Any, status: int) -> Answered:
    """Post what must be refused, and see that nothing at all was stored and nothing of the person repeated."""
    before = await rows(world)
    answer = await party.post(path, body)
    assert answer.status == status, answer
    assert await rows(world) == before
    assert not any(secret in repr(answer) for secret in SECRETS), answer
    return answer
