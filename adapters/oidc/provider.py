"""A provider of sign-in, as OpenID Connect describes one: where it is, what it is asked, and whether what it answers holds.

Source: OpenID Connect Core 1.0 §3.1 (authorization code flow), Discovery 1.0, RP-Initiated Logout 1.0; RFC 7636 (PKCE), RFC 9207.
No token is kept: the ID token is checked and dropped, and so is the access token once a claim was asked for with it.
"""

import asyncio
import base64
import hashlib
import hmac
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote_plus, urlencode, urlsplit

import httpx
import msgspec
from joserfc import jwk, jws, jwt
from joserfc.errors import JoseError

from adapters.settings import Oidc
from service.access.provider_flow import WAY, Way
from service.errors import Unauthenticated, Unavailable

log = logging.getLogger(__name__)

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""How an ID token may be signed: by a key that the provider alone has. Never `none`, never a shared secret."""
SKEW = 60
"""Seconds that the provider's clock and ours may differ."""
KEPT_FOR = 3600.0
"""Seconds that the provider's description and keys are believed without asking again."""
PAUSE = 5.0
"""Seconds between two requests for its keys, at least, whatever tokens say: an unknown key makes us ask once more."""
LARGEST = 256 * 1024
"""Octets of an answer."""
LANGUAGES = {"zh": "zh-CN zh", "en": "en"}
LOCAL = ("127.0.0.1", "::1", "localhost")

_registry = jws.JWSRegistry(algorithms=list(ALGORITHMS), strict_check_header=False)


class Description(msgspec.Struct, frozen=True):
    """What a provider says of itself (Discovery 1.0 §3), as far as it is used."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None = None
    end_session_endpoint: str | None = None
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)
    code_challenge_methods_supported: tuple[str, ...] = ("S256",)


class Vouched(msgspec.Struct, frozen=True):
    """Whom the provider vouches for: its lasting name of them, and their login here where it states one."""

    issuer: str
    subject: str
    login: str | None


class Provider:
    """The one provider of the settings. `back` is where it sends people back to."""

    def __init__(self, known: Oidc, back: str, clock: Callable[[], float] = time.time) -> None:
        self.known = known
        self.back = back
        self._clock = clock
        self._described: tuple[float, Description] | None = None
        self._keys: tuple[float, list[dict[str, Any]]] | None = None
        self._turn = asyncio.Lock()

    @property
    def name(self) -> str | None:
        """What the sign-in page calls it."""
        return self.known.name

    async def question(self, way: Way, language: str) -> str:
        """Where to lead somebody. Raises Unavailable while the provider cannot be asked."""
        at = (await self._describe()).authorization_endpoint
        asked = {
            "response_type": "code", "client_id": self.known.client_id, "redirect_uri": self.back, "scope": self._scope(),
            "state": way.state, "nonce": way.nonce, "code_challenge": challenge(way.verifier), "code_challenge_method": "S256",
            "ui_locales": LANGUAGES[language],
        }  # fmt: skip
        return f"{at}{'&' if urlsplit(at).query else '?'}{urlencode(asked)}"

    def _scope(self) -> str:
        return {"email": "openid email", None: "openid"}.get(self.known.claim, "openid profile")

    async def answered(self, code: str, verifier: str, nonce: str) -> Vouched:
        """Exchange the code, and check who it is about. Raises Unauthenticated `not-vouched` where anything does not hold,
        Unavailable while the provider is away."""
        described = await self._describe()
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": self.back, "code_verifier": verifier}
        given = await self._ask("POST", described.token_endpoint, data=form | self._own(described), headers=self._head(described))  # fmt: skip
        claims = await self._checked(given.get("id_token"), nonce)
        login = await self._login(described, claims, given.get("access_token"))
        return Vouched(described.issuer, claims["sub"], login)

    async def leaving(self, back: str) -> str | None:
        """Where somebody signs out at the provider too, to come back to `back`; None where it has no such place."""
        try:
            at = (await self._describe()).end_session_endpoint
        except Unavailable:
            return None
        asked = {"client_id": self.known.client_id, "post_logout_redirect_uri": back}
        return f"{at}{'&' if urlsplit(at).query else '?'}{urlencode(asked)}" if at else None

    # ---- what it says of itself ----

    async def _describe(self) -> Description:
        async with self._turn:
            if self._described is None or self._clock() > self._described[0] + KEPT_FOR:
                self._described = (self._clock(), await self._discover())
            return self._described[1]

    async def _discover(self) -> Description:
        address = f"{self.known.issuer.rstrip('/')}/.well-known/openid-configuration"
        try:
            found = msgspec.convert(await self._ask("GET", address), Description)
        except msgspec.ValidationError as fault:
            raise _away("its description lacks what is needed") from fault
        places = (
            found.authorization_endpoint,
            found.token_endpoint,
            found.jwks_uri,
            found.userinfo_endpoint,
            found.end_session_endpoint,
        )
        # A description that names another issuer could pass tokens of that one off as this one's.
        if found.issuer != self.known.issuer or not all(_safe(place) for place in places if place):
            raise _away("its description is another issuer's, or names places without TLS")
        if "S256" not in found.code_challenge_methods_supported:
            raise _away("it knows no PKCE with S256")
        return found

    async def _signing(self, kid: str | None) -> list[dict[str, Any]]:
        """Its keys that may have signed: the one that is named, asked for anew when it is not known yet (keys change)."""
        described = await self._describe()
        async with self._turn:
            now = self._clock()
            if self._keys is None or now > self._keys[0] + KEPT_FOR:
                self._keys = (now, await self._published(described))
            found = _named(self._keys[1], kid)
            if not found and now >= self._keys[0] + PAUSE:
                self._keys = (now, await self._published(described))
                found = _named(self._keys[1], kid)
        return found

    async def _published(self, described: Description) -> list[dict[str, Any]]:
        keys = (await self._ask("GET", described.jwks_uri)).get("keys")
        return [key for key in keys if isinstance(key, dict)] if isinstance(keys, list) else []

    # ---- what it says of a person ----

    async def _checked(self, token: Any, nonce: str) -> Mapping[str, Any]:
        """The claims of an ID token that holds (Core §3.1.3.7)."""
        if not isinstance(token, str):
            raise _not_vouched("no ID token")
        try:
            head = msgspec.json.decode(_unpacked(token.partition(".")[0]), type=dict[str, Any])
        except (ValueError, msgspec.DecodeError):
            raise _not_vouched("its ID token cannot be read") from None
        if head.get("alg") not in ALGORITHMS:
            raise _not_vouched("its ID token is signed in a way that is not taken")
        for key in await self._signing(head.get("kid")):
            try:
                claims = jwt.decode(token, jwk.import_key(key), registry=_registry).claims
            except (JoseError, ValueError, TypeError):
                continue
            self._hold(claims, nonce)
            return claims
        raise _not_vouched("no key of the provider signed its ID token")

    def _hold(self, claims: Mapping[str, Any], nonce: str) -> None:
        now, us = self._clock(), self.known.client_id
        audience = claims.get("aud")
        several = isinstance(audience, list) and len(audience) > 1
        ends, made = _seconds(claims.get("exp")), _seconds(claims.get("iat"))
        if claims.get("iss") != self.known.issuer:
            raise _not_vouched("another issuer")
        if us not in (audience if isinstance(audience, list) else [audience]) or (
            (several or "azp" in claims) and claims.get("azp") != us
        ):
            raise _not_vouched("for another client")
        if (
            ends is None
            or made is None
            or ends <= now - SKEW
            or not now - WAY.total_seconds() - SKEW <= made <= now + SKEW
        ):
            raise _not_vouched("past its time, or before it")
        if not isinstance(claims.get("nonce"), str) or not hmac.compare_digest(claims["nonce"].encode(), nonce.encode()):  # fmt: skip
            raise _not_vouched("another nonce")
        if not isinstance(claims.get("sub"), str) or not 0 < len(claims["sub"]) <= 255 or "\x00" in claims["sub"]:
            raise _not_vouched("nobody")

    async def _login(self, described: Description, claims: Mapping[str, Any], access: Any) -> str | None:
        """The login that the provider states, from the ID token or, where that is short, from its userinfo (Core §5.3)."""
        wanted = self.known.claim
        if wanted is None:
            return None
        said = claims
        if wanted not in said and described.userinfo_endpoint and isinstance(access, str):
            said = await self._ask("GET", described.userinfo_endpoint, headers={"Authorization": f"Bearer {access}"})
            if said.get("sub") != claims["sub"]:
                raise _not_vouched("its userinfo is about somebody else")
        if wanted == "email" and said.get("email_verified") is not True:
            return None
        found = said.get(wanted)
        return found if isinstance(found, str) and found.strip() and "\x00" not in found else None

    # ---- asking ----

    def _posts(self, described: Description) -> bool:
        ways = described.token_endpoint_auth_methods_supported
        return "client_secret_basic" not in ways and "client_secret_post" in ways

    def _own(self, described: Description) -> dict[str, str]:
        """Who we are, in the form: always our name, and the secret where the provider takes it there alone."""
        secret = self.known.secret if self._posts(described) else None
        named = {"client_id": self.known.client_id} if secret or not self.known.secret else {}
        return named | ({"client_secret": secret} if secret else {})

    def _head(self, described: Description) -> dict[str, str]:
        if not self.known.secret or self._posts(described):
            return {}
        pair = f"{quote_plus(self.known.client_id)}:{quote_plus(self.known.secret)}"
        return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}

    async def _ask(self, method: str, address: str, **more: Any) -> dict[str, Any]:
        headers = {"Accept": "application/json"} | more.pop("headers", {})
        try:
            async with httpx.AsyncClient(timeout=10, follow_redirects=False) as client:
                async with client.stream(method, address, headers=headers, **more) as answer:
                    body = bytearray()
                    async for part in answer.aiter_bytes():
                        body += part
                        if len(body) > LARGEST:
                            raise _away("its answer is too long")
            if 400 <= answer.status_code < 500 and method == "POST":
                # Its own word for why (RFC 6749 §5.2); nothing of the person is in it.
                raise _not_vouched(f"it refused the code ({answer.status_code})")
            answer.raise_for_status()
            return msgspec.json.decode(bytes(body), type=dict[str, Any])
        except (httpx.HTTPError, httpx.InvalidURL, msgspec.DecodeError) as fault:
            raise _away(type(fault).__name__) from fault


def challenge(verifier: str) -> str:
    """What goes with the question, so that only who has the verifier can use the answer (RFC 7636 §4.2)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _named(keys: list[dict[str, Any]], kid: str | None) -> list[dict[str, Any]]:
    able = [key for key in keys if key.get("use") in (None, "sig") and key.get("kty") in ("RSA", "EC", "OKP")]
    return able if kid is None else [key for key in able if key.get("kid") == kid]


def _seconds(at: object) -> float | None:
    return float(at) if isinstance(at, int | float) and not isinstance(at, bool) else None


def _unpacked(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _safe(place: str) -> bool:
    try:
        parts = urlsplit(place)
    except ValueError:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOCAL)


def _not_vouched(why: str) -> Unauthenticated:
    log.warning("The provider of sign-in did not vouch for somebody: %s.", why)
    return Unauthenticated("The provider did not vouch for this person.", key="not-vouched")


def _away(why: str) -> Unavailable:
    log.error("The provider of sign-in cannot be used: %s.", why)
    return Unavailable("The provider of sign-in cannot be used at the moment.", key="provider-away")
