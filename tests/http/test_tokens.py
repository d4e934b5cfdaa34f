"""Who has no token that holds is told so, and a token does what its scopes allow and nothing more, whatever way it is asked."""

import uuid
from datetime import timedelta

import pytest

from service.access import flow as access
from service.access.model import clock_actor
from service.practice import PLATFORM
from service.values import utc_now
from tests.http.test_scopes import bundle, entry, narrow
from tests.http.world import BASE, Party, World, submission


async def refused(world: World, authorization: str | None, error: str | None) -> None:
    headers = {} if authorization is None else {"authorization": authorization}
    for method, path in (("GET", "/fhir/Task"), ("POST", "/fhir"), ("PUT", "/fhir/Task/1"), ("GET", "/fhir/Nothing")):
        answer = await world.http.request(method, BASE + path, headers=headers)
        assert answer.status_code == 401, (path, answer.text)
        challenge = answer.headers["www-authenticate"]
        assert challenge.startswith("Bearer ")
        assert (f'error="{error}"' in challenge) if error else ("error" not in challenge)
        assert answer.headers["cache-control"] == "no-store"
        assert answer.json()["issue"][0]["code"] == "login"


@pytest.mark.parametrize(
    ("authorization", "error"),
    [
        (None, None),
        ("", None),
        ("Basic aGlzLWE6c2VjcmV0", None),
        ("Bearer", None),
        ("Bearer nobodys-token", "invalid_token"),
        ("Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJoaXMtYSJ9.", "invalid_token"),
        ("Bearer " + "x" * 5000, "invalid_token"),
        ("bearer two words", "invalid_token"),
    ],
)
async def test_behaviour_37_no_token_and_a_foreign_one_are_401(
    world: World, authorization: str | None, error: str | None
) -> None:
    await refused(world, authorization, error)


async def test_behaviour_37_an_expired_token_is_401(world: World) -> None:
    token = world.said["clients"]["his-a"]["access_token"]
    assert (await world.party("his-a").get("Task")).status == 200
    async with world.as_owner() as connection:
        await connection.execute("UPDATE access_token SET expires_at = now() - interval '1 second'")
    access._known.pop(world.database, None)  # What a process has just seen it believes for some seconds.
    await refused(world, f"Bearer {token}", "invalid_token")


async def test_behaviour_37_a_revoked_clients_token_is_401_within_a_minute_and_its_subscriptions_end(
    world: World,
) -> None:
    his = world.party("his-a")
    made = await his.post(
        "Subscription",
        {
            "resourceType": "Subscription", "status": "requested", "reason": "news", "criteria": "urn:yuanshe:topic:task",
            "channel": {"type": "rest-hook", "endpoint": "https://8.8.8.8/hook", "payload": "application/fhir+json"},
        },
    )  # fmt: skip
    assert made.status == 201, made
    clock = clock_actor(PLATFORM)
    async with world.database.transaction(clock.scope) as session:
        await access.revoke_client(session, clock, world.said["clients"]["his-a"]["client_id"], session.began)
    token = world.said["clients"]["his-a"]["access_token"]
    with pytest.raises(access.Unauthenticated):
        await access.authenticate(world.database, token, utc_now() + timedelta(seconds=59))
    from service.notices import flow as notices

    async with world.database.transaction(clock.scope) as session:
        assert await notices.end_due(session, clock, session.began) == 1
        state = await session.fetchval("SELECT state FROM subscriber WHERE id = $1", uuid.UUID(made["id"]))
    assert state == "off"


EVERYTHING = "system/*.cruds"


def forbidden(answer: dict, status: int, challenge: str) -> None:
    assert status == 403, answer
    assert 'error="insufficient_scope"' in challenge
    assert answer["resourceType"] == "OperationOutcome"


@pytest.mark.parametrize(
    ("held", "method", "path"),
    [
        ("system/*.cuds", "GET", "{request}"),
        ("system/*.write", "GET", "{request}"),
        ("system/Task.rs", "GET", "{request}"),
        ("system/*.cuds", "HEAD", "{request}"),
        ("system/*.cuds", "GET", "{request}/_history"),
        ("system/*.cuds", "GET", "{request}/_history/1"),
        ("system/*.cuds", "GET", "{request}/$timeline"),
        ("system/*.crud", "GET", "ServiceRequest"),
        ("system/*.crud", "GET", "ServiceRequest/_history"),
        ("system/*.crud", "POST", "ServiceRequest/_search"),
        ("system/ServiceRequest.rs", "GET", "Task?patient.identifier=x|y"),
        ("system/Task.rs", "GET", "Task?patient.identifier=x|y"),
        ("system/*.ruds", "POST", "Patient"),
        ("system/*.read", "POST", "Patient"),
        ("system/Task.cruds", "POST", "Patient"),
        ("system/*.cuds", "POST", "ServiceRequest/$route"),
        ("system/*.crds", "PUT", "{patient}"),
        ("system/*.crds", "PATCH", "{patient}"),
        ("system/*.rs", "PUT", "{patient}"),
        ("system/*.cuds", "GET", "Patient/$everything"),
        ("system/Patient.cruds", "GET", "ServiceRequest/$export"),
    ],
)
async def test_behaviour_37_each_interaction_needs_its_scope(world: World, held: str, method: str, path: str) -> None:
    referred = await world.refer("N05")
    his = await narrow(world, "his-a", held)
    asked = path.format(request=referred.request, patient=referred.patient)
    if path == "Patient/$everything":
        asked = f"{referred.patient}/$everything"
    if path == "ServiceRequest/$export":
        asked = "$export?_type=ServiceRequest"
    body: object = None
    kind = "application/fhir+json"
    if method in ("POST", "PUT"):
        body = submission("N05")["entry"][0]["resource"] | {"id": referred.patient.split("/")[1]}
    if asked.endswith("$route"):
        body = submission("N05")
    if asked.endswith("_search"):
        body, kind = "status=active", "application/x-www-form-urlencoded"
    if method == "PATCH":
        body, kind = [{"op": "replace", "path": "/gender", "value": "male"}], "application/json-patch+json"
    headers = {"prefer": "respond-async"} if "$export" in asked else {}
    answer = await his.ask(method, asked, body, kind=kind, **headers)
    if method == "HEAD":
        assert answer.status == 403
    else:
        forbidden(answer, answer.status, answer.headers["www-authenticate"])


async def test_behaviour_37_what_a_bundle_asks_needs_each_entrys_scope(world: World) -> None:
    referred = await world.refer("N05")
    his = await narrow(world, "his-a", "system/Patient.cruds system/Encounter.cruds")
    whole = await his.post("", submission("N05"))
    forbidden(whole, whole.status, whole.headers["www-authenticate"])
    read = {"request": {"method": "GET", "url": referred.request}}
    find = {"request": {"method": "GET", "url": "ServiceRequest?status=active"}}
    person = submission("N05")["entry"][0]["resource"]
    for asked in (read, find):
        refused = await his.post("", bundle("transaction", entry(person), asked))
        forbidden(refused, refused.status, refused.headers["www-authenticate"])
    each = await his.post("", bundle("batch", entry(person), read, find))
    assert [one["response"]["status"][:3] for one in each["entry"]] == ["201", "403", "403"]
    async with world.as_owner() as connection:
        assert await connection.fetchval("SELECT count(*) FROM referral") == 1


async def test_behaviour_37_what_comes_along_with_a_search_needs_the_scope_to_read_it(world: World) -> None:
    await world.refer("N05")

    async def along(his: Party, query: str) -> set[str]:
        found = await his.get(query)
        assert found.status == 200, found
        return {one["resource"]["resourceType"] for one in found["entry"] if one["search"]["mode"] == "include"}

    whole, tasks = await narrow(world, "his-a", EVERYTHING), await narrow(world, "his-a", "system/Task.rs")
    assert await along(whole, "Task?_include=Task:focus") == {"ServiceRequest"}
    assert await along(tasks, "Task?_include=Task:focus") == set()
    requests = await narrow(world, "his-a", "system/ServiceRequest.rs")
    backward = await requests.get("ServiceRequest?_revinclude=Task:focus")
    assert backward.status == 403 or all(one["resource"]["resourceType"] != "Task" for one in backward["entry"])


@pytest.mark.parametrize(
    ("scope", "allowed"),
    [("system/Task.read", True), ("system/Task.rs", True), ("system/*.*", True), ("system/Task.write", False),
     ("system/Task.s", False), ("user/Task.rs", False), ("patient/*.read", False), ("system/Task.rs?status=requested", False)],
)  # fmt: skip
async def test_behaviour_37_both_forms_of_scopes_are_enforced(world: World, scope: str, allowed: bool) -> None:
    referred = await world.refer("N05")
    task = (await world.party("his-a").search(f"Task?focus={referred.request}"))[0]
    answer = await (await narrow(world, "his-a", scope)).get(f"Task/{task['id']}")
    assert answer.status == (200 if allowed else 403)
