"""A program exchanges a signed assertion for a token, and nobody else does."""

import asyncio
import base64
import ipaddress
import json
import time
import uuid
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from joserfc import jwk

from adapters.smart.keys import PublishedKeys
from service.access import flow
from service.access.model import clock_actor
from service.db import Database
from service.errors import Conflict, Invalid, Unauthenticated
from service.values import utc_now
from tests.access.conftest import register
from tests.access.network import EC, HOSPITAL, KEYS, PLATFORM, RSA, STRANGER, TOKEN_URL, claims, form, signed

SHORT = RSA.as_dict(private=False) | {"kid": "short", "n": base64.urlsafe_b64encode(b"\xff" * 128).decode().rstrip("=")}


async def post(http: Any, body: dict[str, str]) -> Any:
    return await http.post("/auth/token", data=body)


def refused(answer: Any, error: str) -> None:
    assert answer.json()["error"] == error, answer.text
    assert answer.json()["error_description"]
    assert answer.status_code == (401 if error == "invalid_client" else 400)
    assert answer.headers["cache-control"] == "no-store"
    assert "access_token" not in answer.json()


@pytest.mark.parametrize(("key", "alg", "kid"), [(RSA, "RS384", "rsa-1"), (EC, "ES384", "ec-1")])
async def test_behaviour_36_a_signed_assertion_gets_a_token_of_five_minutes(http, pool, his, key, alg, kid):
    answer = await post(http, form(signed(claims(his.client_id), key, alg, kid)))
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["token_type"] == "bearer"
    assert body["expires_in"] == 300
    assert body["scope"] == "system/*.rs"
    assert "refresh_token" not in body
    assert answer.headers["pragma"] == "no-cache"
    assert answer.headers["cache-control"] == "no-store"
    actor = await flow.authenticate(pool, body["access_token"], utc_now())
    assert (actor.id, actor.kind, actor.organization, actor.role) == (his.id, "client", HOSPITAL, "hospital")
    assert actor.scopes == ("system/*.rs",)


async def test_behaviour_36_a_token_ends_after_five_minutes(http, pool, his):
    token = (await post(http, form(signed(claims(his.client_id))))).json()["access_token"]
    now = utc_now()
    await flow.authenticate(pool, token, now + timedelta(seconds=290))
    with pytest.raises(Unauthenticated):
        await flow.authenticate(pool, token, now + timedelta(seconds=301))


async def test_only_the_hash_of_a_token_is_stored(http, pool, his, database):
    token = (await post(http, form(signed(claims(his.client_id))))).json()["access_token"]
    owner = await asyncpg.connect(database.owner_dsn)
    rows = await owner.fetch("SELECT t.*, t::text AS everything FROM access_token t")
    await owner.close()
    assert len(rows) == 1
    assert token not in rows[0]["everything"]
    assert token.encode().hex() not in rows[0]["everything"]


async def test_behaviour_36_an_unknown_token_is_nobodys(pool):
    with pytest.raises(Unauthenticated):
        await flow.authenticate(pool, "never-issued", utc_now())


@pytest.mark.parametrize(
    ("what", "why", "assertion"),
    [
        ("another's signature", "signature", lambda c: signed(claims(c), STRANGER)),
        ("a changed payload", "signature", lambda c: _swapped(signed(claims(c)), claims(c, jti="other"))),
        ("an unknown kid", "kid", lambda c: signed(claims(c), kid="rsa-9")),
        ("no kid", "kid", lambda c: signed(claims(c), kid=None)),
        ("the kid of a key of another kind", "kid", lambda c: signed(claims(c), RSA, "RS384", "ec-1")),
        ("another algorithm", "RS384", lambda c: signed(claims(c), RSA, "RS256")),
        ("HS256 with the public key as its secret", "RS384", lambda c: signed(claims(c), _public_as_secret(), "HS256")),
        ("no signature at all", "RS384", lambda c: signed(claims(c), RSA, "none")),
        ("another audience", "aud", lambda c: signed(claims(c, aud="https://elsewhere.example.org/auth/token"))),
        (
            "the FHIR base as audience",
            "aud",
            lambda c: signed(claims(c, aud=TOKEN_URL.replace("/auth/token", "/fhir"))),
        ),
        ("two audiences", "aud", lambda c: signed(claims(c, aud=[TOKEN_URL, "https://elsewhere.example.org/token"]))),
        ("no audience", "aud", lambda c: signed(claims(c, aud=None))),
        ("expired", "expired", lambda c: signed(claims(c, exp=int(time.time()) - 1))),
        ("valid for more than five minutes", "five minutes", lambda c: signed(claims(c, exp=int(time.time()) + 360))),
        ("no exp", "exp is missing", lambda c: signed(claims(c, exp=None))),
        ("an exp that is no time", "exp is missing", lambda c: signed(claims(c, exp=1e300))),
        ("not valid yet", "not valid yet", lambda c: signed(claims(c, nbf=int(time.time()) + 120))),
        ("issued in the future", "in the future", lambda c: signed(claims(c, iat=int(time.time()) + 120))),
        ("an iat that is no time", "in the future", lambda c: signed(claims(c, iat="now"))),
        ("no jti", "jti", lambda c: signed(claims(c, jti=None))),
        ("an empty jti", "jti", lambda c: signed(claims(c, jti=""))),
        ("another iss than sub", "iss and sub", lambda c: signed(claims(c, iss="somebody"))),
        ("another sub than iss", "iss and sub", lambda c: signed(claims(c, sub="somebody"))),
        ("a client nobody registered", "No such client", lambda _: signed(claims("nobody"))),
        ("an iss with a zero byte", "iss and sub", lambda _: signed(claims("no\x00body"))),
        ("no JWT", "not a signed JWT", lambda _: "not.a.jwt"),
        ("a JWT whose header is a list", "not a signed JWT", lambda _: "W10.e30.e30"),
        ("text beyond ASCII", "not a signed JWT", lambda _: "院社"),
    ],
)
async def test_behaviour_36_a_program_that_does_not_show_who_it_is_gets_nothing(http, his, what, why, assertion):
    answer = await post(http, form(assertion(his.client_id)))
    refused(answer, "invalid_client")
    assert why in answer.json()["error_description"]


def _swapped(assertion: str, other: dict[str, Any]) -> str:
    header, _, signature = assertion.split(".")
    return ".".join((header, signed(other).split(".")[1], signature))


def _public_as_secret() -> jwk.OctKey:
    return jwk.OctKey.import_key(RSA.as_pem(private=False).hex())


async def test_behaviour_36_an_assertion_is_good_once(http, his):
    assertion = signed(claims(his.client_id))
    assert (await post(http, form(assertion))).status_code == 200
    refused(await post(http, form(assertion)), "invalid_client")
    # Another assertion with the same id is the same to us, however it is signed.
    again = signed(claims(his.client_id, jti=_payload(assertion)["jti"]), EC, "ES384", "ec-1")
    refused(await post(http, form(again)), "invalid_client")


def _payload(assertion: str) -> dict[str, Any]:
    from joserfc import jws

    return json.loads(jws.extract_compact(assertion.encode()).payload)


async def test_of_parallel_tries_with_one_assertion_one_gets_a_token(http, his):
    assertion = signed(claims(his.client_id))
    answers = await asyncio.gather(*(post(http, form(assertion)) for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 19


async def test_two_programs_may_use_the_same_assertion_id(http, pool, his):
    other = await register(pool, name="HIS B")
    for client in (his, other):
        answer = await post(http, form(signed(claims(client.client_id, jti="same"))))
        assert answer.status_code == 200, answer.text


async def test_an_assertion_whose_request_was_refused_is_not_spent(http, his):
    assertion = signed(claims(his.client_id))
    refused(await post(http, form(assertion, scope="patient/*.rs")), "invalid_scope")
    assert (await post(http, form(assertion))).status_code == 200


async def test_behaviour_36_a_revoked_program_gets_no_token(http, pool, his):
    await revoke(pool, his.client_id)
    refused(await post(http, form(signed(claims(his.client_id)))), "invalid_client")


async def test_the_tokens_of_a_revoked_program_are_refused_within_a_minute(http, pool, his):
    token = (await post(http, form(signed(claims(his.client_id))))).json()["access_token"]
    now = utc_now()
    await flow.authenticate(pool, token, now)
    await revoke(pool, his.client_id)
    with pytest.raises(Unauthenticated):
        await flow.authenticate(pool, token, now + timedelta(seconds=59))


async def revoke(pool: Database, client_id: str) -> None:
    clock = clock_actor(PLATFORM)
    async with pool.transaction(clock.scope) as session:
        await flow.revoke_client(session, clock, client_id, utc_now())


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"grant_type": None}, "invalid_request"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"client_assertion_type": None}, "invalid_request"),
        ({"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"}, "invalid_request"),
        ({"client_assertion": None}, "invalid_request"),
        ({"scope": None}, "invalid_scope"),
        ({"scope": "launch openid user/*.rs patient/Task.read"}, "invalid_scope"),
        ({"scope": "system/Task.sr"}, "invalid_scope"),
        ({"scope": "system/Observation.rs?category=laboratory"}, "invalid_scope"),
        ({"client_id": "somebody-else"}, "invalid_client"),
    ],
)
async def test_behaviour_36_a_request_of_another_kind_is_told_what_is_wrong(http, his, changed, error):
    refused(await post(http, form(signed(claims(his.client_id)), **changed)), error)


async def test_a_request_is_a_form_with_each_parameter_once(http, his):
    body = form(signed(claims(his.client_id)))
    refused(await http.post("/auth/token", json=body), "invalid_request")
    twice = "&".join(f"{k}={v}" for k, v in body.items()) + "&scope=system/*.cruds"
    kind = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
    refused(await http.post("/auth/token", content=twice, headers=kind), "invalid_request")
    refused(await http.post("/auth/token", content="scope=é".encode(), headers=kind), "invalid_request")


@pytest.mark.parametrize(
    ("held", "asked", "granted"),
    [
        ("system/*.cruds", "system/*.read", "system/*.read"),
        ("system/*.cruds", "system/Task.rs system/Patient.*", "system/Task.rs system/Patient.*"),
        ("system/*.rs", "system/*.cruds", "system/*.rs"),
        ("system/*.read", "system/Task.*", "system/Task.rs"),
        ("system/Task.rs system/Patient.r", "system/*.rs", "system/Patient.r system/Task.rs"),
        ("system/Task.rs", "system/Task.rs system/Patient.rs", "system/Task.rs"),
        ("system/Task.r system/Task.u", "system/Task.ru", "system/Task.ru"),
    ],
)
async def test_behaviour_36_no_more_is_granted_than_the_program_holds(http, pool, held, asked, granted):
    client = await register(pool, scope=held)
    answer = await post(http, form(signed(claims(client.client_id)), scope=asked))
    assert answer.status_code == 200, answer.text
    assert answer.json()["scope"] == granted


async def test_behaviour_36_asking_for_what_is_not_held_at_all_is_an_invalid_scope(http, pool):
    client = await register(pool, scope="system/Task.rs")
    refused(
        await post(http, form(signed(claims(client.client_id)), scope="system/Patient.rs system/Task.c")),
        "invalid_scope",
    )


async def test_a_demo_token_lives_as_long_as_the_database(pool, his):
    clock = clock_actor(PLATFORM)
    async with pool.transaction(clock.scope) as session:
        issued = await flow.issue_lasting(session, clock, his, utc_now())
    actor = await flow.authenticate(pool, issued.token, utc_now() + timedelta(days=3650))
    assert actor.scopes == ("system/*.cruds",)


async def test_what_has_ended_is_forgotten_and_what_lives_is_not(http, pool, his):
    clock = clock_actor(PLATFORM)
    assertion = signed(claims(his.client_id))
    token = (await post(http, form(assertion))).json()["access_token"]
    async with pool.transaction(clock.scope) as session:
        await flow.forget(session, utc_now())
    await flow.authenticate(pool, token, utc_now())
    refused(await post(http, form(assertion)), "invalid_client")
    async with pool.transaction(clock.scope) as session:
        await flow.forget(session, utc_now() + timedelta(hours=2))
        assert await session.fetchval("SELECT count(*) FROM access_token") == 0
        assert await session.fetchval("SELECT count(*) FROM assertion_id") == 0


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"keys": []},
        {"keys": [RSA.as_dict(private=True)]},
        {"keys": [{k: v for k, v in RSA.as_dict(private=False).items() if k != "kid"}]},
        {"keys": [RSA.as_dict(private=False), STRANGER.as_dict(private=False)]},
        {"keys": [jwk.ECKey.generate_key("P-256", {"kid": "p256"}).as_dict(private=False)]},
        {"keys": [SHORT]},
        {"keys": [jwk.OctKey.generate_key(256, {"kid": "oct"}).as_dict()]},
        {"keys": [{"kty": "RSA", "kid": "empty"}]},
        {"keys": ["text"]},
    ],
)
async def test_only_public_keys_that_can_prove_something_are_registered(pool, keys):
    with pytest.raises(Invalid):
        await register(pool, jwks=keys)


@pytest.mark.parametrize("scope", ["", "user/*.rs", "system/Task.sr", "system/*.cruds launch"])
async def test_only_system_scopes_are_registered(pool, scope):
    with pytest.raises(Invalid):
        await register(pool, scope=scope)


async def test_behaviour_36_published_keys_are_fetched_and_used(http, pool):
    served: list[str] = []
    async with publishing(json.dumps(KEYS), served) as url:
        client = await register(pool, jwks=None, jwks_url=url)
        for _ in range(2):
            answer = await post(http, form(signed(claims(client.client_id))))
            assert answer.status_code == 200, answer.text
    assert len(served) == 1, "keys are kept for a while"


async def test_behaviour_36_a_published_key_that_is_new_counts_at_once(http, pool, monkeypatch):
    monkeypatch.setattr("adapters.smart.keys.PAUSE", 0.0)
    served: list[str] = []
    publisher = publishing(json.dumps({"keys": [EC.as_dict(private=False)]}), served)
    async with publisher as url:
        client = await register(pool, jwks=None, jwks_url=url)
        assert (await post(http, form(signed(claims(client.client_id), EC, "ES384", "ec-1")))).status_code == 200
        publisher.body = json.dumps(KEYS)
        answer = await post(http, form(signed(claims(client.client_id), RSA, "RS384", "rsa-1")))
        assert answer.status_code == 200, answer.text
    assert len(served) == 2


async def test_behaviour_36_unknown_kids_do_not_make_this_server_ask_again_and_again(http, pool):
    served: list[str] = []
    async with publishing(json.dumps(KEYS), served) as url:
        client = await register(pool, jwks=None, jwks_url=url)
        for kid in ("one", "two", "three"):
            refused(await post(http, form(signed(claims(client.client_id), kid=kid))), "invalid_client")
    assert len(served) == 1


async def test_behaviour_36_a_published_key_that_was_withdrawn_is_refused_within_a_minute():
    time_passed = [0.0]
    keys = PublishedKeys([ipaddress.ip_network("127.0.0.0/8")], clock=lambda: time_passed[0])
    served: list[str] = []
    publisher = publishing(json.dumps(KEYS), served)
    async with publisher as url:
        assert await keys.fetch(url) == KEYS
        publisher.body = json.dumps({"keys": []})
        time_passed[0] = 59.0
        assert await keys.fetch(url) == KEYS
        time_passed[0] = 60.0
        assert await keys.fetch(url) == {"keys": []}
    assert len(served) == 2


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("max-age=20", 20.0), ("no-store", 5.0), ("max-age=0", 5.0), ("public, max-age=86400", 60.0), ("", 60.0)],
)
async def test_published_keys_are_kept_as_long_as_their_publisher_says_within_reason(said, seconds):
    time_passed = [0.0]
    keys = PublishedKeys([ipaddress.ip_network("127.0.0.0/8")], clock=lambda: time_passed[0])
    served: list[str] = []
    async with publishing(json.dumps(KEYS), served, f"cache-control: {said}\r\n") as url:
        for at, requests in ((0.0, 1), (seconds - 0.1, 1), (seconds, 2)):
            time_passed[0] = at
            await keys.fetch(url)
            assert len(served) == requests, at


async def test_of_parallel_exchanges_one_fetches_the_keys(http, pool):
    served: list[str] = []
    async with publishing(json.dumps(KEYS), served) as url:
        client = await register(pool, jwks=None, jwks_url=url)
        answers = await asyncio.gather(*(post(http, form(signed(claims(client.client_id)))) for _ in range(8)))
    assert {answer.status_code for answer in answers} == {200}
    assert len(served) == 1


async def test_a_program_may_have_its_registered_keys_rotated_without_a_gap(http, pool, his):
    new = jwk.ECKey.generate_key("P-384", {"kid": "ec-2"})
    clock = clock_actor(PLATFORM)
    async with pool.transaction(clock.scope) as session:
        added = {"keys": [new.as_dict(private=False)]}
        kids = await flow.change_keys(session, clock, his.client_id, added, None, add=True)
    assert kids == ("rsa-1", "ec-1", "ec-2")
    for key, alg, kid in ((new, "ES384", "ec-2"), (RSA, "RS384", "rsa-1")):
        assert (await post(http, form(signed(claims(his.client_id), key, alg, kid)))).status_code == 200
    async with pool.transaction(clock.scope) as session:
        assert await flow.change_keys(session, clock, his.client_id, added, None) == ("ec-2",)
    refused(await post(http, form(signed(claims(his.client_id)))), "invalid_client")
    assert (await post(http, form(signed(claims(his.client_id), new, "ES384", "ec-2")))).status_code == 200


async def test_a_kid_is_never_given_to_another_key(pool, his):
    clock = clock_actor(PLATFORM)
    with pytest.raises(Conflict):
        async with pool.transaction(clock.scope) as session:
            await flow.change_keys(
                session, clock, his.client_id, {"keys": [STRANGER.as_dict(private=False)]}, None, add=True
            )


async def test_who_fails_again_and_again_is_told_to_wait_and_others_are_not(http, pool, his):
    other = await register(pool, name="HIS B")
    for _ in range(20):
        refused(await post(http, form(signed(claims(his.client_id), STRANGER))), "invalid_client")
    answer = await post(http, form(signed(claims(his.client_id))))
    assert answer.status_code == 429, answer.text
    assert 1 <= int(answer.headers["retry-after"]) <= 2
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json()["error"] == "temporarily_unavailable"
    assert (await post(http, form(signed(claims(other.client_id))))).status_code == 200


@pytest.mark.parametrize("body", ["[]", "not json", "{}", '{"keys": 7}', '{"keys": ["x"]}', " " * 70_000])
async def test_published_keys_that_are_none_let_nobody_in(http, pool, body):
    async with publishing(body, []) as url:
        client = await register(pool, jwks=None, jwks_url=url)
        refused(await post(http, form(signed(claims(client.client_id)))), "invalid_client")


async def test_published_keys_that_cannot_be_fetched_let_nobody_in_and_the_attempt_is_logged(http, pool):
    client = await register(pool, jwks=None, jwks_url="http://127.0.0.1:1/jwks")
    refused(await post(http, form(signed(claims(client.client_id)))), "invalid_client")
    async with pool.transaction(clock_actor(PLATFORM).scope) as session:
        assert await session.fetchval("SELECT outcome FROM audit WHERE actor_id = $1", client.id) == "refused"


@pytest.mark.parametrize(
    ("url", "fetched"),
    [
        ("https://his.example.org/jwks", True),
        ("http://his.example.org/jwks", False),
        ("http://localhost:9/jwks", True),
        ("http://127.0.0.1:9/jwks", True),
        ("http://10.0.0.1/jwks", False),
        ("file:///etc/passwd", False),
        ("https://", False),
        ("http://[::1]:9/jwks", False),
        ("http://[", False),
    ],
)
def test_published_keys_come_over_https_or_from_networks_that_are_allowed(url, fetched):
    assert PublishedKeys([ipaddress.ip_network("127.0.0.0/8")]).may_fetch(url) is fetched


class publishing:
    """A web server on loopback that answers every request with one body."""

    def __init__(self, body: str, served: list[str], headers: str = "") -> None:
        self.body, self.served, self.headers = body, served, headers.encode()

    async def __aenter__(self) -> str:
        self.server = await asyncio.start_server(self.answer, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}/{uuid.uuid4().hex}"

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.served.append((await reader.readuntil(b"\r\n\r\n")).decode())
        body = self.body.encode()
        head = b"HTTP/1.1 200 OK\r\nconnection: close\r\n%scontent-length: %d\r\n\r\n" % (self.headers, len(body))
        writer.write(head + body)
        await writer.drain()
        writer.close()

    async def __aexit__(self, *_: object) -> None:
        self.server.close()
        await self.server.wait_closed()


@pytest.mark.parametrize("path", ["/fhir/.well-known/smart-configuration", "/.well-known/smart-configuration"])
async def test_behaviour_36_the_discovery_document_says_how_to_get_in(http, path):
    answer = await http.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/json")
    document = answer.json()
    assert document["token_endpoint"] == TOKEN_URL
    assert document["token_endpoint_auth_methods_supported"] == ["private_key_jwt"]
    assert document["token_endpoint_auth_signing_alg_values_supported"] == ["RS384", "ES384"]
    assert document["grant_types_supported"] == ["client_credentials"]
    assert {"client-confidential-asymmetric", "permission-v1", "permission-v2"} <= set(document["capabilities"])
    assert document["scopes_supported"]


async def test_while_the_database_is_away_the_token_endpoint_says_so(http, pool, his):
    await pool.close()
    answer = await post(http, form(signed(claims(his.client_id))))
    assert answer.status_code == 503
    assert answer.headers["retry-after"]


async def test_every_exchange_of_a_known_client_is_audited(http, pool, his):
    await post(http, form(signed(claims(his.client_id))))
    await post(http, form(signed(claims(his.client_id), STRANGER)))
    async with pool.transaction(clock_actor(PLATFORM).scope) as session:
        rows = await session.fetch(
            "SELECT action, interaction, outcome, why, organization_id FROM audit WHERE actor_id = $1 ORDER BY id",
            his.id,
        )
    assert [tuple(row) for row in rows] == [
        ("E", "token", "success", None, HOSPITAL),
        ("E", "token", "refused", "invalid_client", HOSPITAL),
    ]
