"""`/me`: one's own password, code and sessions, and nobody else's."""

import re
from typing import Any

import pyotp
import pytest

from tests.http.world import BASE, World
from tests.web.conftest import Browser

NEW = "river-lantern-forty-two"


def password(world: World, login: str = "nurse-a") -> str:
    return world.said["people"][login]["password"]


async def change(nurse: Browser, old: str, new: str = NEW, again: str | None = None) -> Any:
    await nurse.get("/me")
    return await nurse.post("/me/password", {"old": old, "new": new, "again": new if again is None else again})


@pytest.mark.parametrize("login", ["nurse-a", "worker-a", "supervisor-a", "coordinator", "admin", "bureau"])
async def test_everybody_sees_their_own_account(browser, login: str) -> None:
    one: Browser = await browser(login)
    page = await one.get("/me")
    assert page.status_code == 200 and f"<dd>{login}</dd>" in page.text and "这一台" in page.text
    assert page.text.count('class="here"') == 1 and "启用验证码" in page.text
    english = await one.post("/language", {"language": "en", "next": "/me"})
    assert str(english.url) == f"{BASE}/me" and "Where you are signed in" in english.text


async def test_a_password_is_changed_by_who_knows_the_old_one_and_ends_sessions_elsewhere(
    world: World, browser
) -> None:
    nurse, elsewhere = await browser("nurse-a"), await browser("nurse-a")
    done = await change(nurse, password(world))
    assert str(done.url) == f"{BASE}/me?done=password" and "密码已更改" in done.text
    assert str((await elsewhere.get("/me")).url).startswith(f"{BASE}/sign-in")
    nobody: Browser = await browser()
    await nobody.get("/sign-in")
    assert (await nobody.post("/sign-in", {"login": "nurse-a", "password": password(world)})).status_code == 422
    inside = await nobody.post("/sign-in", {"login": "nurse-a", "password": NEW})
    assert inside.status_code == 200 and "林护士" in inside.text


async def test_a_password_that_does_not_do_is_said_beside_its_field(world: World, browser) -> None:
    nurse: Browser = await browser("nurse-a")
    old = password(world)
    for given, words, field in (
        ((old, "short"), "至少 10 个字符", "new"),
        ((old, old), "和现在的一样", "new"),
        ((old, NEW, "other"), "两次输入的新密码不一样", "again"),
        (("wrong", NEW), "现在的密码不对", "old"),
    ):
        page = await change(nurse, *given)
        assert page.status_code == 422 and words in page.text and f'href="#{field}"' in page.text
        assert not any(f'value="{word}"' in page.text for word in given if word), "no password stands in a page"
    for _ in range(4):
        page = await change(nurse, "wrong")
    assert page.status_code == 429, "an open screen is no place to guess at"


async def test_a_code_is_asked_for_once_its_generator_is_shown_to_work(world: World, browser) -> None:
    nurse: Browser = await browser("nurse-a")
    assert str((await nurse.get("/me/code")).url) == f"{BASE}/me", "none is offered"
    page = await nurse.post("/me/code/new", {})
    assert str(page.url) == f"{BASE}/me/code" and 'src="data:image/svg+xml' in page.text
    shown = re.search(r"<code>([A-Z2-7 ]+)</code>", page.text)
    assert shown
    secret = shown[1].replace(" ", "")
    assert (await nurse.get("/me/code")).text.count(shown[1]) == 1, "the same until it is confirmed"
    wrong = await nurse.post("/me/code", {"code": "000000"})
    assert wrong.status_code == 422 and "验证码不对" in wrong.text
    done = await nurse.post("/me/code", {"code": pyotp.TOTP(secret).now()})
    assert str(done.url) == f"{BASE}/me?done=code-on" and "已启用" in done.text
    nobody: Browser = await browser()
    await nobody.get("/sign-in")
    asked = await nobody.post("/sign-in", {"login": "nurse-a", "password": password(world)})
    assert asked.status_code == 422 and 'id="code"' in asked.text
    await nurse.get("/me")
    assert (await nurse.post("/me/code/off", {"old": "wrong"})).status_code == 422
    off = await nurse.post("/me/code/off", {"old": password(world)})
    assert str(off.url) == f"{BASE}/me?done=code-off" and "未启用" in off.text


async def test_other_sessions_are_listed_and_ended(browser) -> None:
    nurse: Browser = await browser("nurse-a")
    firefox: Browser = await browser(**{"user-agent": "Mozilla/5.0 (Windows NT 10.0) Gecko/20100101 Firefox/140.0 <b>"})
    await firefox.sign_in("nurse-a")
    other: Browser = await browser("worker-a")
    page = await nurse.get("/me")
    assert "Firefox · Windows" in page.text and "<b>" not in page.text
    ended = await nurse.post("/me/sessions/end", {})
    assert "都已结束" in ended.text and "Firefox" not in ended.text
    assert str((await firefox.get("/me")).url).startswith(f"{BASE}/sign-in")
    assert (await other.get("/me")).status_code == 200, "another person's stay"


async def test_a_form_of_another_site_changes_nothing(browser) -> None:
    nurse: Browser = await browser("nurse-a")
    for path in ("/me/password", "/me/code/new", "/me/code", "/me/code/off", "/me/sessions/end"):
        assert (await nurse.post(path, {"old": "x"}, token=False)).status_code == 403, path
