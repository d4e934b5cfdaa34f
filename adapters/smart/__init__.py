"""SMART Backend Services: where programs exchange a signed assertion for a token, and the document that says how.

Source: SMART App Launch 2.2, "Backend Services" and "Conformance"; RFC 6749 §4.4 and §5.
"""

import math
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from litestar import MediaType, Request, Response, get, post
from litestar.datastructures import State
from litestar.handlers import HTTPRouteHandler

from adapters import figures
from adapters.pace import Pace, Rate
from adapters.smart.keys import PublishedKeys
from service.access import assertion, flow
from service.access.assertion import ALGORITHMS, GRANT_TYPE
from service.access.scopes import SUPPORTED
from service.errors import Malformed, Refusal, TooMany, Unauthenticated, Unavailable
from service.values import utc_now

TOKEN_PATH = "/auth/token"
FORM = "application/x-www-form-urlencoded"
LARGEST_REQUEST = 64 * 1024
"""Octets of a token request."""

FAILURES = Rate(10, 300)
"""Exchanges that one address may fail in a second, and at once: whole counties speak from one address."""
FAILURES_OF_ONE = Rate(0.5, 20)
"""The same in the name of one client; of others at that address nobody is locked out."""

NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}


def discovery(base_url: str) -> dict[str, Any]:
    """The SMART configuration of a server at `base_url` (no slash at its end)."""
    return {
        "token_endpoint": base_url + TOKEN_PATH,
        "token_endpoint_auth_methods_supported": ["private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "grant_types_supported": [GRANT_TYPE],
        "scopes_supported": list(SUPPORTED),
        # SMART 2 requires this member of every server, even of one without an authorization endpoint.
        "code_challenge_methods_supported": ["S256"],
        "capabilities": ["client-confidential-asymmetric", "permission-v1", "permission-v2"],
    }


@get(
    ["/fhir/.well-known/smart-configuration", "/.well-known/smart-configuration"],
    media_type=MediaType.JSON,
)
async def smart_configuration(state: State) -> dict[str, Any]:
    """Say where the token endpoint is and what it takes."""
    return discovery(state.base_url)


@post(
    TOKEN_PATH,
    status_code=200,
    media_type=MediaType.JSON,
    request_max_body_size=LARGEST_REQUEST,
)
async def token(request: Request[Any, Any, State], state: State) -> Response[dict[str, Any]]:
    """Answer a token request in the words of RFC 6749: a token of 300 s, or an error and why."""
    failures, address = _failures(state), request.client.host if request.client else ""
    whose = (address, None)
    try:
        form = read_form(request.content_type[0], await request.body())
        whose = (address, claimed(form))
        failures[0].look(address)
        failures[1].look(whose)
        issued = await flow.exchange(
            state.database,
            form,
            token_urls=(state.base_url + TOKEN_PATH,),
            keys_at=published_keys(state).fetch,
            request_id=request.scope.get("yuanshe.request_id"),
            now=utc_now(),
        )
    except Refusal as refusal:
        if isinstance(refusal, Unauthenticated):
            failures[0].count(address)
            failures[1].count(whose)
        figures.TOKENS.labels("refused").inc()
        return oauth_error(refusal)
    figures.TOKENS.labels("issued").inc()
    return Response(
        {
            "access_token": issued.token,
            "token_type": "bearer",
            "expires_in": issued.seconds,
            "scope": issued.scope,
        },
        headers=NO_STORE,
    )


def claimed(form: Mapping[str, str]) -> str | None:
    """Whom an assertion says it is from, unproven: only to count failures in that name."""
    try:
        return assertion.claim(form).issuer[:200]
    except Refusal:
        return None


def read_form(content_type: str, body: bytes) -> dict[str, str]:
    """A form as RFC 6749 has it: no parameter twice, an empty one as good as absent. Raises Malformed."""
    if content_type != FORM:
        raise Malformed(f"The body must be {FORM}.", key="invalid_request")
    try:
        pairs = parse_qsl(body.decode("ascii"), errors="strict", max_num_fields=50)
    except ValueError as fault:
        raise Malformed("The form cannot be read.", key="invalid_request") from fault
    form = dict(pairs)
    if len(form) != len(pairs):
        raise Malformed("A parameter is given twice.", key="invalid_request")
    return form


def oauth_error(refusal: Refusal) -> Response[dict[str, Any]]:
    """The refusal as RFC 6749 §5.2 has it."""
    headers = dict(NO_STORE)
    if isinstance(refusal, Unavailable):
        status, error = 503, "temporarily_unavailable"
        headers["Retry-After"] = "2"
    elif isinstance(refusal, TooMany):
        status, error = 429, "temporarily_unavailable"
        headers["Retry-After"] = str(math.ceil(refusal.wait))
    elif isinstance(refusal, Unauthenticated):
        status, error = 401, "invalid_client"
        headers["WWW-Authenticate"] = 'Bearer realm="yuanshe"'
    else:
        status, error = 400, refusal.key or "invalid_request"
    return Response({"error": error, "error_description": str(refusal)}, status_code=status, headers=headers)


def _failures(state: State) -> tuple[Pace, Pace]:
    """The process's counts of failed exchanges: by address, and by client at an address."""
    if "token_failures" not in state:
        state.token_failures = Pace(FAILURES), Pace(FAILURES_OF_ONE)
    return state.token_failures


def published_keys(state: State) -> PublishedKeys:
    """The process's cache of published keys, made when first asked for."""
    if "published_keys" not in state:
        state.published_keys = PublishedKeys(state.settings.webhook_allow)
    return state.published_keys


route_handlers: list[HTTPRouteHandler] = [smart_configuration, token]
