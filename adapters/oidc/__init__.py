"""Signing in through the organisation's own provider: people are led there and come back, and are known by an account of ours."""

import secrets
from collections.abc import Callable
from typing import Any

import msgspec
from litestar import Request, Response, Router, get
from litestar.datastructures import Cookie, State

from adapters.oidc.provider import Provider
from service.access import provider_flow
from service.errors import Refusal, Unauthenticated

AWAY, BACK = "/sign-in/provider", "/sign-in/provider/back"
COOKIE = "yuanshe-way"
"""Of the browser that was led away: a state that is sent to another browser signs nobody in there."""
HEADERS = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}

Asked = Request[Any, Any, State]


class Door(msgspec.Struct, frozen=True):
    """What the pages do of it: `local` makes a path of ours of what is asked for, `language` is the reader's, `browser` the kind of theirs,
    `slow` holds up who tries too often, `enter` lets them in with a session, `refuse` says why not."""

    local: Callable[[str | None], str]
    language: Callable[[Asked], str]
    browser: Callable[[Asked], str | None]
    slow: Callable[[Asked, State], None]
    enter: Callable[[Asked, State, str, str], Response[Any]]
    refuse: Callable[[Asked, Refusal], Response[Any]]


def router(provider: Provider, door: Door) -> Router:
    """The two addresses of signing in elsewhere."""

    @get(AWAY, status_code=303)
    async def away(request: Asked, state: State) -> Response[Any]:
        """Lead somebody to the provider."""
        door.slow(request, state)
        language = door.language(request)
        way = await provider_flow.leave_for(state.database, door.local(request.query_params.get("next")), language)
        to = await provider.question(way, language)
        return Response(b"", status_code=303, headers=HEADERS | {"Location": to}, cookies=[_cookie(state, way.browser)])

    @get(BACK, status_code=303)
    async def back(request: Asked, state: State) -> Response[Any]:
        """Somebody comes back, with a code that the provider exchanges for who they are."""
        said = request.query_params
        way = await provider_flow.come_back(
            state.database, said.get("state") or "", request.cookies.get(COOKIE) or secrets.token_urlsafe()
        )
        # Who answers says so where it can (RFC 9207): an answer of another provider is none.
        if said.get("iss", provider.known.issuer) != provider.known.issuer or "error" in said or not said.get("code"):
            raise Unauthenticated("The provider did not vouch for this person.", key="not-vouched")
        vouched = await provider.answered(said["code"], way.verifier, way.nonce)
        token = await provider_flow.sign_in(
            state.database, vouched.issuer, vouched.subject, vouched.login, way.language, browser=door.browser(request)
        )
        answer = door.enter(request, state, token, way.next)
        answer.set_cookie(_cookie(state, None))
        return answer

    return Router(
        "/",
        route_handlers=[away, back],
        exception_handlers={Refusal: door.refuse},  # pyright: ignore[reportArgumentType]
        include_in_schema=False,
    )


def _cookie(state: State, value: str | None) -> Cookie:
    lasts = int(provider_flow.WAY.total_seconds())
    return Cookie(
        key=COOKIE, value=value or "", path="/sign-in", httponly=True, samesite="lax", secure=state.base_url.startswith("https:"),
        max_age=lasts if value else 0,
    )  # fmt: skip
