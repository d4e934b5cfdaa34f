"""Every address of the pages, as the application itself lists them: no form of another site is taken, nobody who is not signed in
comes in, and no answer is kept or shown within another site's page."""

import re
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx

from adapters import app, settings
from adapters.settings import Oidc
from adapters.web import faults
from tests.http.world import BASE, World
from tests.web.conftest import Browser

OPEN = {
    "/",
    "/sign-in",
    "/static/{name:str}",
    "/answer/{token:str}",
    "/page/{token:str}",
    "/sign-in/provider",
    "/sign-in/provider/back",
    "/docs",
    "/docs/openapi.json",
}
"""What is there for who is not signed in. A link is its own key, and has its own tests."""
NAMED = {
    "{document:str}": "intake-form",
    "{instrument:str}": "phq-9",
    "{word:str}": "withdraw",
    "{name:str}": "tabler.css",
    "{token:str}": "x",
}


def listed(application: Any) -> Iterator[tuple[str, str]]:
    """Method and path of every handler of the pages and of signing in elsewhere."""
    for route in application.routes:
        for handler in getattr(route, "route_handlers", ()):
            if handler.fn.__module__.startswith(("adapters.web", "adapters.oidc")):
                yield from ((method, route.path) for method in handler.http_methods)


def filled(path: str) -> str:
    path = re.sub(r"\{\w+:uuid\}", str(uuid4()), path)
    for name, value in NAMED.items():
        path = path.replace(name, value)
    assert "{" not in path, path
    return path


LISTED = sorted(
    {
        *listed(
            app.create(
                settings.Settings(docs=True, oidc=Oidc("https://sso.test", "yuanshe")),
                "postgresql:///none",
                base_url=BASE,
            )
        )
    }
)
POSTS = sorted({path for method, path in LISTED if method == "POST"} - OPEN)
GETS = sorted({path for method, path in LISTED if method == "GET"} - OPEN)


def test_every_method_is_known() -> None:
    assert {method for method, _ in LISTED} <= {"GET", "POST", "OPTIONS"} and len(POSTS) > 60 and len(GETS) > 60
    assert not {path for path in POSTS if "{name:str}" in path}


def whose(path: str) -> str:
    """Somebody whom the page would let in."""
    for start, login in (
        ("/admin", "admin"),
        ("/audit", "bureau"),
        ("/dispatch", "coordinator"),
        ("/crises", "coordinator"),
        ("/refer", "nurse-a"),
    ):
        if path.startswith(start):
            return login
    return "supervisor-a"


def guarded(answer: httpx.Response) -> bool:
    said = answer.headers
    return (
        said.get("cache-control") == "no-store" and said.get("x-content-type-options") == "nosniff"
        and "default-src 'none'" in said.get("content-security-policy", "")
    )  # fmt: skip


async def test_no_form_is_taken_without_the_token_of_its_own_session(world: World, browser: Any) -> None:
    people: dict[str, Browser] = {
        login: await browser(login) for login in ("admin", "coordinator", "nurse-a", "supervisor-a")
    }
    tokens = {login: re.findall(r'name="token" value="(\w+)"', one.page.text)[0] for login, one in people.items()}
    words = faults.KEYS["foreign-form"]
    for path in POSTS:
        login = whose(path)
        for said, headers in (
            ({}, {}), ({"token": tokens["nurse-a" if login != "nurse-a" else "admin"]}, {}),
            ({"token": tokens[login]}, {"sec-fetch-site": "cross-site"}), ({"token": tokens[login]}, {"origin": "https://evil.test"}),
        ):  # fmt: skip
            answer = await people[login].post(filled(path), said | {"once": "1"}, token=False, **headers)
            assert answer.status_code == 403 and words in answer.text and guarded(answer), (path, said, headers)


async def test_who_is_not_signed_in_is_led_to_the_door_from_every_page(world: World, browser: Any) -> None:
    nobody: Browser = await browser()
    for method, paths in (("GET", GETS), ("POST", POSTS)):
        for path in paths:
            address = f"{BASE}{filled(path)}"
            answer = await nobody._http.request(method, address, follow_redirects=False)  # pyright: ignore[reportPrivateUsage]
            assert answer.status_code == 303 and answer.headers["location"].startswith("/sign-in"), (
                method,
                path,
                answer,
            )
            assert not answer.content and guarded(answer), path
            script = await nobody._http.request(method, address, headers={"hx-request": "true"})  # pyright: ignore[reportPrivateUsage]
            assert not script.content and script.headers["hx-redirect"].startswith("/sign-in") and guarded(script), path


async def test_no_answer_of_a_page_is_kept_or_framed_whoever_asks(world: World, browser: Any) -> None:
    """Nor does a made-up id, or a role that a page is not for, find anything but a refusal in words."""
    for login in ("admin", "supervisor-a", "nurse-a"):
        one: Browser = await browser(login)
        for path in GETS:
            answer = await one._http.get(f"{BASE}{filled(path)}", follow_redirects=False)  # pyright: ignore[reportPrivateUsage]
            assert guarded(answer) and answer.status_code in (200, 303, 403, 404), (login, path, answer.status_code)
            if "uuid" in path:
                assert answer.status_code in (403, 404) or (
                    path == "/queue/row/{task:uuid}" and "Patient" not in answer.text
                ), (login, path)


async def test_another_sites_page_signs_nobody_in(world: World, browser: Any) -> None:
    """Signed in as somebody else without knowing it, one would write another's words into their account."""
    person = world.said["people"]["nurse-a"]
    said = {"login": "nurse-a", "password": person["password"]}
    for headers in (
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://evil.test"},
        {"origin": "null"},
        {"origin": "http://["},
    ):
        nobody: Browser = await browser()
        answer = await nobody.post("/sign-in", said, token=False, **headers)
        assert answer.status_code == 403 and "set-cookie" not in answer.headers, headers
    for headers in ({"sec-fetch-site": "same-origin", "origin": BASE}, {"origin": BASE}, {}):
        one: Browser = await browser()
        answer = await one.post("/sign-in", said, token=False, **headers)
        assert str(answer.url) == f"{BASE}/referrals", headers


FIELDS = (
    "words",
    "name",
    "view",
    "task",
    "act",
    "number",
    "reason",
    "draft",
    "q",
    "code",
    "until",
    "text",
    "worker",
    "to",
    "at",
    "login",
    "key",
    "old",
)


async def test_no_letter_that_no_keyboard_types_breaks_a_form(browser: Any) -> None:
    """PostgreSQL holds no NUL in a text: it is dropped, wherever it is sent."""
    people: dict[str, Browser] = {
        login: await browser(login) for login in ("admin", "coordinator", "nurse-a", "supervisor-a")
    }
    tokens = {login: re.findall(r'name="token" value="(\w+)"', one.page.text)[0] for login, one in people.items()}
    for path in [each for each in POSTS if each not in ("/sign-out", "/me/sessions/end")]:
        said = dict.fromkeys(FIELDS, "\x00x") | {"token": tokens[whose(path)]}
        answer = await people[whose(path)]._http.post(f"{BASE}{filled(path)}", data=said, follow_redirects=False)  # pyright: ignore[reportPrivateUsage]
        assert answer.status_code < 500, (path, answer.status_code)


async def test_no_day_of_the_calendar_breaks_the_audit(browser: Any) -> None:
    auditor: Browser = await browser("bureau")
    for day in ("9999-12-31", "0001-01-01", "x"):
        page = await auditor.get(f"/audit?since={day}&until={day}")
        assert page.status_code == 422, day
