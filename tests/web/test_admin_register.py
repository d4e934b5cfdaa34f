"""Accounts and programs over HTTP: a password shown once, sessions ended, keys changed without a gap, an end that says what stops."""

import html
import json
import re
from typing import Any

from joserfc.jwk import ECKey

from tests.http.world import World
from tests.web.conftest import Browser
from tests.web.test_admin_directory import opened


def public(kid: str) -> dict[str, Any]:
    key = ECKey.generate_key("P-384", {"kid": kid, "use": "sig", "alg": "ES384"}, private=True)
    return {"keys": [key.as_dict(private=False)]}


async def test_accounts_and_programs_are_the_administrators(world: World, browser: Any) -> None:
    for login in ("nurse-a", "supervisor-a", "coordinator", "bureau"):
        someone: Browser = await browser(login)
        for path in ("/admin/accounts", "/admin/accounts/add", "/admin/clients", "/admin/clients/add"):
            assert (await someone.get(path)).status_code == 403, (login, path)


async def test_somebody_is_let_in_with_a_password_that_is_shown_once(world: World, browser: Any) -> None:
    admin: Browser = await browser("admin")
    await admin.get("/admin/accounts/add")
    said = {"name": "唐护士", "login": "nurse-t", "role": "referrer", "organization": "agency-a", "worker": ""}
    wrong = await admin.post("/admin/accounts/add", said)
    assert wrong.status_code == 422 and 'href="#organization"' in wrong.text and "唐护士" in wrong.text
    made = await admin.post("/admin/accounts/add", said | {"organization": "hospital-a"})
    password = re.search(r'class="large">([^<]+)<', made.text)[1]  # type: ignore[index]
    assert "密码只显示这一次" in made.text and len(password) == 19
    assert (await admin.post("/admin/accounts/add", said | {"organization": "hospital-a"})).status_code == 409
    listed = (await admin.get("/admin/accounts?q=nurse-t")).text
    [id] = opened(listed, "/admin/accounts")
    page = (await admin.get(f"/admin/accounts/{id}")).text
    assert password not in listed + page
    nurse: Browser = await browser()
    await nurse.get("/sign-in")
    assert (await nurse.post("/sign-in", {"login": "nurse-t", "password": password})).status_code == 200
    page = (await admin.get(f"/admin/accounts/{id}")).text
    assert "1 处" in page
    await admin.post(f"/admin/accounts/{id}/sign-out", {})
    assert "登录" in (await nurse.get("/referrals")).text and "/sign-in" in str(nurse.page.url)
    again = await admin.post(f"/admin/accounts/{id}/password", {})
    other = re.search(r'class="large">([^<]+)<', again.text)[1]  # type: ignore[index]
    await nurse.get("/sign-in")
    assert (await nurse.post("/sign-in", {"login": "nurse-t", "password": password})).status_code == 422
    code = await admin.post(f"/admin/accounts/{id}/code", {})
    assert "otpauth://" in code.text
    assert (await nurse.post("/sign-in", {"login": "nurse-t", "password": other})).text.count("验证码")
    assert "账号已停用" in (await admin.post(f"/admin/accounts/{id}/off", {})).text
    async with world.as_owner() as owner:
        assert await owner.fetchval("SELECT active FROM account WHERE login = 'nurse-t'") is False
        text = str(await owner.fetch("SELECT * FROM audit"))
    assert password not in text and other not in text
    [own] = opened((await admin.get("/admin/accounts?q=admin")).text, "/admin/accounts")
    await admin.get(f"/admin/accounts/{own}")
    assert (await admin.post(f"/admin/accounts/{own}/off", {})).status_code == 422


async def test_a_program_is_let_in_changes_keys_and_is_shut_out_once_somebody_read_what_stops(world: World, browser: Any) -> None:  # fmt: skip
    admin: Browser = await browser("admin")
    await admin.get("/admin/clients/add")
    said = {
        "name": "新系统<img src=x>",
        "role": "hospital",
        "organization": "hospital-a",
        "scope": "system/Task.rs",
        "jwks_url": "",
    }
    private = ECKey.generate_key("P-384", {"kid": "p", "alg": "ES384"}, private=True).as_dict(private=True)
    for jwks in ("", "[]", "{", "{" * 20_000, '{"keys": []}', json.dumps({"keys": [private]}), "x" * 60_000):
        refused = await admin.post("/admin/clients/add", said | {"jwks": jwks})
        assert refused.status_code == 422 and 'href="#jwks"' in refused.text, jwks[:20]
    for url in ("http://keys.example.org", "javascript:alert(1)", "https://a b"):
        refused = await admin.post("/admin/clients/add", said | {"jwks": "", "jwks_url": url})
        assert refused.status_code == 422 and 'href="#jwks_url"' in refused.text
    scope = await admin.post("/admin/clients/add", said | {"jwks": json.dumps(public("one")), "scope": "everything"})
    assert scope.status_code == 422 and 'href="#scope"' in scope.text
    made = await admin.post("/admin/clients/add", said | {"jwks": json.dumps(public("one"))})
    assert made.status_code == 200 and "任务：读取、检索" in made.text and "<img" not in made.text.split("<main")[1]
    id = re.search(r"/admin/clients/([0-9a-f-]{36})/keys", made.text)[1]  # type: ignore[index]
    more = await admin.post(f"/admin/clients/{id}/keys", {"jwks": json.dumps(public("two")), "how": "add"})
    assert "one</code>" in more.text and "two</code>" in more.text
    clash = await admin.post(f"/admin/clients/{id}/keys", {"jwks": json.dumps(public("two")), "how": "add"})
    assert clash.status_code == 409
    alone = await admin.post(f"/admin/clients/{id}/keys", {"jwks": json.dumps(public("three")), "how": "set"})
    assert "three</code>" in alone.text and "one</code>" not in alone.text
    unread = await admin.post(f"/admin/clients/{id}/revoke", {})
    assert unread.status_code == 422 and "请先勾选" in unread.text
    gone = await admin.post(f"/admin/clients/{id}/revoke", {"sure": "yes"})
    assert "已吊销" in html.unescape(gone.text) and f"/admin/clients/{id}/keys" not in gone.text
    async with world.as_owner() as owner:
        await owner.execute(
            "UPDATE client SET keys_changed_at = now() - interval '400 days' WHERE name = '甲院信息系统'"
        )
    old = (await admin.get("/admin/clients?old=1")).text
    assert "甲院信息系统" in old and "乙院信息系统" not in old
