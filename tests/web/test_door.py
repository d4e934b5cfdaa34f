"""Signing in: who may, who may not, and that nothing of it can be done for somebody else."""

import re

import httpx

from tests.http.world import BASE, World
from tests.web.conftest import Browser


async def test_whoever_is_not_signed_in_is_led_to_the_door_and_back(browser) -> None:
    nobody: Browser = await browser()
    asked = await nobody.get("/referrals?folder=mine")
    assert asked.status_code == 200 and str(asked.url) == f"{BASE}/sign-in?next=/referrals%3Ffolder%3Dmine"
    nurse = nobody.world.said["people"]["nurse-a"]
    back = re.search(r'name="next" value="([^"]*)"', asked.text)
    assert back and back[1] == "/referrals?folder=mine"
    said = {"login": "nurse-a", "password": nurse["password"], "next": back[1]}
    assert str((await nobody.post("/sign-in", said)).url) == f"{BASE}/referrals?folder=mine"


async def test_a_wrong_password_says_what_to_do_and_keeps_the_login(browser) -> None:
    nobody: Browser = await browser()
    await nobody.get("/sign-in")
    page = await nobody.post("/sign-in", {"login": "nurse-a", "password": "wrong"})
    assert page.status_code == 422 and "账号或密码不对" in page.text and 'value="nurse-a"' in page.text
    assert "wrong" not in page.text
    for _ in range(4):
        page = await nobody.post("/sign-in", {"login": "nurse-a", "password": "wrong"})
    assert page.status_code == 429 and "15 分钟后再试" in page.text


async def test_no_other_address_is_gone_to_after_signing_in(browser) -> None:
    for elsewhere in (
        "//evil.test/x",
        "https://evil.test",
        "/\\evil.test",
        "javascript:alert(1)",
        "/\t/evil.test",
        "/\t\\evil.test",
        "/x\r\ny: z",
    ):
        visitor: Browser = await browser()
        assert str((await visitor.sign_in("nurse-a", elsewhere)).url) == f"{BASE}/referrals", elsewhere


async def test_who_leaves_is_gone_and_the_back_button_shows_nothing(browser) -> None:
    nurse: Browser = await browser("nurse-a")
    assert nurse.page.headers["cache-control"] == "no-store"
    assert str((await nurse.post("/sign-out", {})).url) == f"{BASE}/sign-in"
    assert str((await nurse.get("/today")).url).startswith(f"{BASE}/sign-in")


async def test_a_form_of_another_site_or_session_is_refused(browser) -> None:
    nurse: Browser = await browser("nurse-a")
    for said, headers in (({}, {}), ({"token": "0" * 64}, {}), (None, {"sec-fetch-site": "cross-site"})):
        await nurse.get("/today")
        page = await nurse.post("/sign-out", said or {}, token=said is None, **headers)
        assert page.status_code == 403, (said, headers)
    assert (await nurse.get("/today")).status_code == 200, "still signed in"


async def test_the_cookie_is_no_scripts_and_goes_nowhere_else(world: World, browser) -> None:
    nobody: Browser = await browser()
    await nobody.get("/sign-in")
    person = world.said["people"]["nurse-a"]
    answer = await nobody._http.post(
        f"{BASE}/sign-in", data={"login": "nurse-a", "password": person["password"]}, follow_redirects=False
    )
    said = answer.headers["set-cookie"].lower()
    assert answer.status_code == 303 and "httponly" in said and "samesite=lax" in said and "path=/" in said


async def test_the_language_is_chosen_at_the_door_by_the_browser_and_by_the_person(browser) -> None:
    english: Browser = await browser(None, **{"accept-language": "en-GB,en;q=0.9"})
    assert '<html lang="en">' in (await english.get("/sign-in")).text
    assert '<html lang="zh-CN">' in (await english.get("/sign-in?lang=zh")).text
    nurse: Browser = await browser("nurse-a")
    assert '<html lang="zh-CN">' in nurse.page.text
    page = await nurse.post("/language", {"language": "en", "next": "/today"})
    assert '<html lang="en">' in page.text and "My referrals" in page.text


async def test_another_language_shows_the_same_page_and_never_an_address_that_only_a_form_knows(world, browser) -> None:
    def back(page: httpx.Response) -> str:
        return re.search(r'action="/language">.*?name="next" value="([^"]*)"', page.text, re.DOTALL)[1].replace(
            "&amp;", "&"
        )  # type: ignore[index]

    nurse: Browser = await browser("nurse-a")
    assert back(await nurse.get("/referrals?folder=ours&mine=1")) == "/referrals?folder=ours&mine=1"
    referred = await world.refer("N05")
    there = f"/referrals/{referred.id}"
    await nurse.get(there)
    refused = await nurse.post(f"{there}/withdraw", {"text": ""}, referer=f"{BASE}{there}")
    assert refused.status_code == 422 and back(refused) == there
    english = await nurse.post("/language", {"language": "en", "next": back(refused)})
    assert english.status_code == 200 and str(english.url) == f"{BASE}{there}"


async def test_the_demos_people_stand_at_the_demos_door_alone(demo: World, browser) -> None:
    offered = await demo.http.get(f"{BASE}/sign-in")
    assert "林护士" in offered.text and "演示" in offered.text
    assert not any(person["password"] in offered.text for person in demo.said["people"].values())
    inside = await demo.http.post(f"{BASE}/sign-in", data={"demo": "nurse-a"}, follow_redirects=True)
    assert str(inside.url) == f"{BASE}/referrals" and "我的转介" in inside.text
    nobody: Browser = await browser()
    assert "演示" not in (await nobody.get("/sign-in")).text
    assert (await nobody.post("/sign-in", {"demo": "nurse-a"})).status_code == 422


async def test_a_page_says_when_the_session_ends_and_asking_lets_it_go_on(browser) -> None:
    nurse: Browser = await browser("nurse-a")
    assert re.search(r'<body data-now="\d{10}" data-ends="\d{10}" data-account=', nurse.page.text)
    assert (await nurse.get("/session")).json()["ends"] > 0


async def test_a_form_sent_after_the_session_ended_leads_back_to_its_page(browser) -> None:
    nurse: Browser = await browser("nurse-a")
    page = nurse.page.text
    await nurse.post("/sign-out", {})
    nurse._http.cookies.set("yuanshe", "of-a-session-that-has-ended")
    token = re.search(r'name="token" value="(\w+)"', page)
    assert token
    said = {"language": "en", "token": token[1]}
    door = await nurse.post("/language", said, token=False, referer=f"{BASE}/today?after=x")
    assert str(door.url) == f"{BASE}/sign-in?next=/today%3Fafter%3Dx&ended=form"
    assert "没有保存" in door.text and 'name="next" value="/today?after=x"' in door.text
    for elsewhere in ("https://evil.test/today", "//evil.test", "http://[", f"{BASE}//evil.test/x", "about:blank", ""):
        door = await nurse.post("/language", said, token=False, referer=elsewhere)
        assert str(door.url) == f"{BASE}/sign-in?ended=form", elsewhere
    # A fragment that a script asked for is no page to come back to; its page is.
    script = {"hx-request": "true", "hx-current-url": f"{BASE}/referrals"}
    nurse.page = await nurse._http.get(f"{BASE}/today?after=x", headers=script)
    assert nurse.page.headers["hx-redirect"] == "/sign-in?next=/referrals&ended=1"


async def test_what_a_page_fetches_by_itself_keeps_no_session_alive(world: World, browser) -> None:
    nurse: Browser = await browser("nurse-a")
    async with world.as_owner() as owner:
        await owner.execute("UPDATE web_session SET seen_at = seen_at - interval '20 minutes'")
    background = await nurse.get("/session", **{"x-background": "1"})
    assert (await nurse.get("/session", **{"x-background": "1"})).json() == background.json()
    used = await nurse.get("/session")
    assert used.json()["ends"] - background.json()["ends"] >= 19 * 60


def test_what_scripts_fetch_by_themselves_says_so() -> None:
    """An unattended screen is nobody's use of it, however often its page looks again."""
    from pathlib import Path

    for file in Path("adapters/web").glob("*/script.js"):
        for line in file.read_text().splitlines():
            if "fetch(" in line and '"POST"' not in line and "method" not in line:
                assert "X-Background" in line, f"{file}: {line.strip()}"


async def test_an_address_that_is_nowhere_is_a_page_to_a_browser(browser) -> None:
    nurse: Browser = await browser("nurse-a")
    for path in ("/nowhere", "/cases/no-id/notes", "/referrals/1"):
        found = await nurse.get(path, accept="text/html")
        assert found.status_code == 404 and "回到首页" in found.text and "content-security-policy" in found.headers, (
            path
        )
    assert (await nurse.get("/nowhere", accept="application/json")).json()["status_code"] == 404


async def test_a_page_that_breaks_says_so_with_a_number_and_nothing_of_what_was_sent(
    browser, monkeypatch, caplog
) -> None:
    from service.access import session_flow

    name = "陈" + "素芬"

    async def breaks(*_: object) -> None:
        raise RuntimeError(name)

    nurse: Browser = await browser("nurse-a")
    monkeypatch.setattr(session_flow, "speak", breaks)
    broke = await nurse.post("/language", {"language": "en"})
    assert broke.status_code == 500 and "没有保存" in broke.text and broke.headers["x-request-id"] in broke.text
    assert name not in broke.text and name not in caplog.text and "RuntimeError" in caplog.text


async def test_who_signs_in_at_a_browser_ends_what_was_left_open_there(browser) -> None:
    nurse: Browser = await browser("nurse-a")
    left = next(iter(nurse._http.cookies.jar)).value
    await nurse.sign_in("worker-a")
    assert str(nurse.page.url).endswith("/queue")
    other: Browser = await browser()
    other._http.cookies.set("yuanshe", left or "")
    assert "/sign-in" in str((await other.get("/referrals")).url)


async def test_a_form_that_is_too_long_is_said_to_be_so(browser) -> None:
    nurse: Browser = await browser("nurse-a")
    long = await nurse.post("/language", {"language": "x" * 70_000}, accept="text/html")
    assert long.status_code == 413 and "回到首页" in long.text
