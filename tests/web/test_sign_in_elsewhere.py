"""Signing in through the organisation's own provider: who is let in, and every way in which nobody is."""

import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from joserfc import jwk

from adapters import app, settings
from adapters.settings import Oidc
from service.access import provider_flow
from service.access.model import operator
from service.errors import Conflict
from tests.http.provider import CLIENT, SECRET, Small, small
from tests.http.world import BASE, World

START = f"{BASE}/sign-in/provider?next=/today%3Fafter=x"


@pytest.fixture
async def provider() -> AsyncIterator[Small]:
    async with small() as running:
        yield running


@pytest.fixture
async def elsewhere(world: World, provider: Small, request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """The service with this provider; a test may name the claim that is trusted."""
    read = settings.Settings(oidc=Oidc(provider.issuer, CLIENT, SECRET, getattr(request, "param", None), "市一院"))
    built = app.create(read, world.clone.app_dsn, base_url=BASE)
    async with World(built, world.said, world.clone).running() as running:
        yield running


async def link(world: World, login: str, provider: Small, subject: str | None = None) -> None:
    async with world.database.transaction(operator().scope) as session:
        await provider_flow.link(session, operator(), login, provider.issuer, subject or provider.subject)


class Visitor:
    """A browser: its cookies, at our service and at the provider's real address."""

    def __init__(self, world: World) -> None:
        self.ours = httpx.AsyncClient(transport=httpx.ASGITransport(world.app), timeout=60)

    async def led(self, start: str = START) -> str:
        """Where the provider sends them back to."""
        away = await self.ours.get(start)
        assert away.status_code == 303 and away.headers["referrer-policy"] == "no-referrer", away.text
        async with httpx.AsyncClient() as there:
            return (await there.get(away.headers["location"])).headers["location"]

    async def come(self) -> httpx.Response:
        return await self.ours.get(await self.led())


@pytest.fixture
async def visitor(elsewhere: World) -> AsyncIterator[Visitor]:
    made = Visitor(elsewhere)
    yield made
    await made.ours.aclose()


async def test_a_linked_person_is_let_in_and_led_on(elsewhere: World, provider: Small, visitor: Visitor) -> None:
    await link(elsewhere, "nurse-a", provider)
    door = await visitor.ours.get(f"{BASE}/sign-in?next=/today")
    assert "使用市一院" in door.text and 'href="/sign-in/provider?lang=zh&amp;next=/today"' in door.text
    answer = await visitor.come()
    assert answer.status_code == 303 and answer.headers["location"] == "/today?after=x"
    asked = provider.last
    assert asked["code_challenge_method"] == "S256" and asked["scope"] == "openid" and asked["ui_locales"] == "zh-CN zh"
    page = await visitor.ours.get(f"{BASE}/me")
    assert "<dd>nurse-a</dd>" in page.text
    for value in (asked["state"], asked["nonce"]):
        assert value not in page.text
    async with elsewhere.as_owner() as owner:
        assert await owner.fetchval("SELECT count(*) FROM sign_in_attempt") == 0, "nothing of the way is kept"
        assert await owner.fetchval("SELECT issuer FROM web_session ORDER BY created_at DESC LIMIT 1") == provider.issuer  # fmt: skip


async def test_who_leaves_here_is_led_to_leave_there(elsewhere: World, provider: Small, visitor: Visitor) -> None:
    await link(elsewhere, "nurse-a", provider)
    await visitor.come()
    page = (await visitor.ours.get(f"{BASE}/me")).text
    token = page.split('name="token" value="')[1].split('"')[0]
    left = await visitor.ours.post(f"{BASE}/sign-out", data={"token": token})
    to = urlsplit(left.headers["refresh"].removeprefix("0; url="))
    assert left.status_code == 200 and to.path == "/end_session" and "已退出院社" in left.text
    assert dict(parse_qsl(to.query)) == {"client_id": CLIENT, "post_logout_redirect_uri": f"{BASE}/sign-in"}
    assert (await visitor.ours.get(f"{BASE}/today")).headers["location"].startswith("/sign-in")


async def test_somebody_unknown_is_told_so_and_by_what_to_be_known(provider: Small, visitor: Visitor) -> None:
    provider.subject = "nobody-we-know"
    page = await visitor.come()
    assert page.status_code == 403 and "您在院社还没有账号" in page.text and "nobody-we-know" in page.text
    assert "yuanshe=" not in page.headers.get("set-cookie", "")
    english = await visitor.ours.get(await visitor.led(), headers={"accept-language": "en"})
    assert "you have no account in Yuanshe yet" in english.text


async def test_an_account_that_was_put_away_lets_nobody_in(elsewhere: World, provider: Small, visitor: Visitor) -> None:
    await link(elsewhere, "nurse-a", provider)
    async with elsewhere.as_owner() as owner:
        await owner.execute("UPDATE account SET active = false WHERE login = 'nurse-a'")
    assert (await visitor.come()).status_code == 403


@pytest.mark.parametrize("elsewhere", ["preferred_username"], indirect=True)
async def test_a_trusted_claim_links_once_and_then_the_link_counts(elsewhere: World, provider: Small, visitor: Visitor) -> None:  # fmt: skip
    provider.userinfo = {"preferred_username": "Nurse-A"}
    assert (await visitor.come()).headers["location"] == "/today?after=x", "from userinfo, since the ID token is short"
    provider.claims = {"preferred_username": "somebody-renamed"}
    assert (await visitor.come()).status_code == 303, "renamed there, the same person here"
    provider.subject, provider.claims = "another", {"preferred_username": "nurse-a"}
    assert (await visitor.come()).status_code == 403, "who bears the login now is not who was linked"
    provider.subject, provider.userinfo, provider.claims = (
        "third",
        {"preferred_username": "worker-a", "sub": "other"},
        {},
    )
    assert (await visitor.come()).status_code == 403, "userinfo of somebody else"


@pytest.mark.parametrize("elsewhere", ["email"], indirect=True)
async def test_an_email_counts_only_when_it_is_verified(elsewhere: World, provider: Small, visitor: Visitor) -> None:
    async with elsewhere.as_owner() as owner:
        await owner.execute("UPDATE account SET login = 'lin@hospital.example' WHERE login = 'nurse-a'")
    provider.claims = {"email": "lin@hospital.example", "email_verified": False}
    assert (await visitor.come()).status_code == 403
    provider.claims = {"email": "lin@hospital.example", "email_verified": True}
    assert (await visitor.come()).status_code == 303 and provider.last["scope"] == "openid email"


async def test_a_new_key_counts_at_once_and_a_stolen_name_never(elsewhere: World, provider: Small, visitor: Visitor) -> None:  # fmt: skip
    await link(elsewhere, "nurse-a", provider)
    assert (await visitor.come()).status_code == 303
    held = elsewhere.app.state.provider
    clock, held._clock = held._clock, lambda: time.time() + 6
    provider.rotate()
    assert (await visitor.come()).status_code == 303, "a key that is not known yet is asked for"
    asked = provider.asked.count("/jwks")
    provider.rotate("3", publish=False)
    assert (await visitor.come()).status_code == 403
    assert (await visitor.come()).status_code == 403
    assert provider.asked.count("/jwks") == asked, "asked for once in a while, whatever tokens say"
    provider.rotate("2", publish=False)
    assert (await visitor.come()).status_code == 403, "another key under a known name"
    held._clock = clock


async def test_an_id_token_that_does_not_hold_lets_nobody_in(elsewhere: World, provider: Small, visitor: Visitor) -> None:  # fmt: skip
    await link(elsewhere, "nurse-a", provider)
    now = int(time.time())
    wrongs: list[dict[str, Any]] = [
        {"iss": "https://other.example"}, {"aud": "another"}, {"aud": ["yuanshe", "another"]}, {"aud": ["another"], "azp": "yuanshe"},
        {"azp": "another"}, {"nonce": "another"}, {"nonce": None}, {"exp": now - 120}, {"exp": None}, {"exp": "never"}, {"exp": True},
        {"iat": now + 600}, {"iat": now - 3600}, {"iat": None}, {"sub": ""}, {"sub": None}, {"sub": 7}, {"sub": "a\x00b"}, {"sub": "x" * 256},
    ]  # fmt: skip
    for provider.wrong in wrongs:
        page = await visitor.come()
        assert page.status_code == 403 and "没有确认您的身份" in page.text, provider.wrong
    provider.wrong = {}
    assert (await visitor.come()).status_code == 303


async def test_clocks_may_differ_a_little(elsewhere: World, provider: Small, visitor: Visitor) -> None:
    await link(elsewhere, "nurse-a", provider)
    provider.wrong = {"iat": int(time.time()) + 30, "exp": int(time.time()) - 30, "aud": [CLIENT, "x"], "azp": CLIENT}
    assert (await visitor.come()).status_code == 303


@pytest.mark.parametrize("algorithm", ["none", "HS256", "ES256"])
async def test_only_the_providers_own_signature_counts(elsewhere: World, provider: Small, visitor: Visitor, algorithm: str) -> None:  # fmt: skip
    await link(elsewhere, "nurse-a", provider)
    provider.algorithm = algorithm
    if algorithm == "HS256":
        provider.key = jwk.OctKey.import_key(SECRET * 3, {"kid": "1"})
    if algorithm == "ES256":
        provider.key = jwk.ECKey.generate_key("P-256", {"kid": "1"})
        assert (await visitor.come()).status_code == 403
        provider.published = [provider.key.as_dict(private=False)]
        elsewhere.app.state.provider._keys = None
        assert (await visitor.come()).status_code == 303
    else:
        assert (await visitor.come()).status_code == 403


async def test_a_way_is_gone_once_by_the_browser_that_was_led(elsewhere: World, provider: Small, visitor: Visitor) -> None:  # fmt: skip
    await link(elsewhere, "nurse-a", provider)
    back = await visitor.led()
    other = Visitor(elsewhere)
    stolen = await other.ours.get(back)
    assert stolen.status_code == 403 and "这次登录没有完成" in stolen.text, "another browser"
    await other.led()
    assert (await other.ours.get(back)).status_code == 403, "another browser on a way of its own"
    assert (await visitor.ours.get(back)).status_code == 303
    assert (await visitor.ours.get(back)).status_code == 403, "twice"
    late = await visitor.led()
    async with elsewhere.as_owner() as owner:
        await owner.execute("UPDATE sign_in_attempt SET made_at = made_at - interval '11 minutes'")
    assert (await visitor.ours.get(late)).status_code == 403, "too late"
    for said in ("", "?code=x", "?state=x&code=x"):
        assert (await visitor.ours.get(f"{BASE}/sign-in/provider/back{said}")).status_code == 403
    await other.ours.aclose()


async def test_an_answer_of_another_provider_or_a_refusal_is_none(elsewhere: World, provider: Small, visitor: Visitor) -> None:  # fmt: skip
    await link(elsewhere, "nurse-a", provider)
    mixed = (await visitor.led()).replace("iss=http", "iss=https")
    assert (await visitor.ours.get(mixed)).status_code == 403
    state = dict(parse_qsl(urlsplit(await visitor.led()).query))["state"]
    refused = await visitor.ours.get(f"{BASE}/sign-in/provider/back?error=access_denied&state={state}")
    assert refused.status_code == 403 and "没有确认您的身份" in refused.text


async def test_a_description_that_is_not_to_be_trusted_is_not(provider: Small, visitor: Visitor) -> None:
    untrusted: list[dict[str, Any]] = [
        {"issuer": "https://other.example"}, {"token_endpoint": "http://provider.example/token"}, {"jwks_uri": "ftp://x/y"},
        {"authorization_endpoint": None}, {"code_challenge_methods_supported": ["plain"]},
    ]  # fmt: skip
    for provider.described in untrusted:
        page = await visitor.ours.get(START)
        assert page.status_code == 503 and "暂时联系不到本单位的统一登录" in page.text, provider.described


async def test_no_other_address_is_gone_to(elsewhere: World, provider: Small, visitor: Visitor) -> None:
    await link(elsewhere, "nurse-a", provider)
    answer = await visitor.ours.get(await visitor.led(f"{BASE}/sign-in/provider?next=https://evil.example/"))
    assert answer.headers["location"] == "/today"


async def test_a_person_of_the_provider_has_one_account(elsewhere: World, provider: Small) -> None:
    await link(elsewhere, "nurse-a", provider)
    for login, subject in (("worker-a", None), ("nurse-a", "other")):
        with pytest.raises(Conflict):
            await link(elsewhere, login, provider, subject)
    async with elsewhere.database.transaction(operator().scope) as session:
        assert await provider_flow.unlink(session, operator(), "nurse-a") == 1
    await link(elsewhere, "worker-a", provider)


async def test_an_account_without_a_password_comes_in_there_alone(elsewhere: World, provider: Small, visitor: Visitor) -> None:  # fmt: skip
    await link(elsewhere, "nurse-a", provider)
    async with elsewhere.as_owner() as owner:
        await owner.execute("UPDATE account SET password_hash = NULL WHERE login = 'nurse-a'")
    for word in ("", "x", elsewhere.said["people"]["nurse-a"]["password"]):
        assert (await visitor.ours.post(f"{BASE}/sign-in", data={"login": "nurse-a", "password": word})).status_code == 422  # fmt: skip
    assert (await visitor.come()).status_code == 303
    page = (await visitor.ours.get(f"{BASE}/me")).text
    assert "您通过本单位的统一登录进入" in page and 'action="/me/password"' not in page
    token = page.split('name="token" value="')[1].split('"')[0]
    for path in ("/me/password", "/me/code/new", "/me/code/off"):
        said = {"token": token, "old": "", "new": "river-lantern-forty-two", "again": "river-lantern-forty-two"}
        assert (await visitor.ours.post(f"{BASE}{path}", data=said)).status_code == 403, path
