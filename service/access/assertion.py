"""Whether a program is who it says it is: the signed assertion of SMART Backend Services (private_key_jwt).

Source: SMART App Launch 2.2, "Client Authentication: Asymmetric (public key)"; RFC 7521 and 7523; RFC 6749 §5.2.
The `key` of each refusal is the OAuth error word that the caller is told.
"""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from joserfc import jwk, jws, jwt
from joserfc.errors import JoseError

from service.errors import Invalid, Malformed, Unauthenticated

GRANT_TYPE = "client_credentials"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ALGORITHMS = ("RS384", "ES384")
KEY_FORMS = {"RS384": {"kty": "RSA"}, "ES384": {"kty": "EC", "crv": "P-384"}}
LONGEST = timedelta(minutes=5)
"""An assertion may expire at most this far ahead."""
SKEW = timedelta(seconds=10)
"""How far a client's clock may run ahead when it says from when its assertion is valid."""

# Unknown header members (`jku`) are let through and not used: the registered keys count, not what an assertion names.
_registry = jws.JWSRegistry(algorithms=list(ALGORITHMS), strict_check_header=False)


class Claim(msgspec.Struct, frozen=True):
    """Who an assertion says it is from, before anything of it is proven."""

    issuer: str
    kid: str
    alg: str
    token: str
    scope: tuple[str, ...]


class Proof(msgspec.Struct, frozen=True):
    """What a valid assertion proved: its own id, to be spent once, and until when it could be used."""

    jti: str
    expires_at: datetime


def refuse(text: str) -> Unauthenticated:
    """The one refusal of a program that has not shown who it is."""
    return Unauthenticated(text, key="invalid_client")


def claim(form: Mapping[str, str]) -> Claim:
    """Read a token request. Raises Malformed, Invalid (another kind of request), Unauthenticated (a bad one)."""
    if "grant_type" not in form:
        raise Malformed("grant_type is missing.", key="invalid_request", at="grant_type")
    if form["grant_type"] != GRANT_TYPE:
        raise Invalid(f"grant_type must be {GRANT_TYPE}.", key="unsupported_grant_type", at="grant_type")
    if form.get("client_assertion_type") != ASSERTION_TYPE:
        raise Malformed(
            f"client_assertion_type must be {ASSERTION_TYPE}.", key="invalid_request", at="client_assertion_type"
        )
    token = form.get("client_assertion")
    if not token:
        raise Malformed("client_assertion is missing.", key="invalid_request", at="client_assertion")
    scope = form.get("scope", "").split()
    if not scope:
        raise Invalid("scope is missing: name the scopes that are wanted.", key="invalid_scope", at="scope")
    try:
        unproven = jws.extract_compact(token.encode(), registry=_registry)
        header, claims = unproven.headers(), msgspec.json.decode(unproven.payload, type=dict[str, Any])
    except (JoseError, msgspec.DecodeError, ValueError, TypeError, AttributeError) as fault:
        raise refuse("client_assertion is not a signed JWT.") from fault
    alg, kid, issuer = header.get("alg"), header.get("kid"), claims.get("iss")
    if alg not in ALGORITHMS:
        raise refuse("The assertion must be signed with RS384 or ES384.")
    if not isinstance(kid, str) or not kid:
        raise refuse("The assertion's header names no key (kid).")
    if not isinstance(issuer, str) or not issuer or "\x00" in issuer or claims.get("sub") != issuer:
        raise refuse("iss and sub must both be the client_id.")
    if form.get("client_id", issuer) != issuer:
        raise refuse("client_id is not the assertion's iss.")
    return Claim(issuer, kid, str(alg), token, tuple(scope))


def prove(said: Claim, keys: Mapping[str, Any], token_urls: Collection[str], now: datetime) -> Proof:
    """Check signature, audience and times against the client's own keys (a JWK Set). Raises Unauthenticated."""
    fitting = named_keys(said, keys)
    if len(fitting) != 1:
        raise refuse("The assertion's kid names no key of this client for its algorithm.")
    try:
        # Only the public members: what a client registered by mistake is not used either.
        claims = jwt.decode(said.token, jwk.import_key(public(fitting[0])), registry=_registry).claims
    except (JoseError, ValueError, TypeError, KeyError) as fault:
        raise refuse("The assertion's signature does not hold.") from fault
    audience = claims.get("aud")
    if isinstance(audience, list) and len(audience) == 1:
        audience = audience[0]
    if audience not in token_urls:
        raise refuse("aud must be this server's token URL.")
    expires_at = _instant(claims.get("exp"))
    if expires_at is None:
        raise refuse("exp is missing or no number of seconds.")
    if expires_at <= now:
        raise refuse("The assertion has expired.")
    if expires_at - now > LONGEST:
        raise refuse("exp is more than five minutes ahead.")
    if "nbf" in claims and ((begins := _instant(claims["nbf"])) is None or begins > now + SKEW):
        raise refuse("The assertion is not valid yet.")
    if "iat" in claims and ((issued := _instant(claims["iat"])) is None or issued > now + SKEW):
        raise refuse("The assertion was issued in the future (iat).")
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 0 < len(jti) <= 255 or "\x00" in jti:
        raise refuse("jti is missing, or is not a text of at most 255 characters.")
    return Proof(jti, expires_at)


def named_keys(said: Claim, keys: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The keys of a JWK Set that the assertion's kid names and its algorithm can use: one, where all is well."""
    form = KEY_FORMS[said.alg] | {"kid": said.kid}
    listed = keys.get("keys")
    return [
        key
        for key in (listed if isinstance(listed, list) else ())
        if isinstance(key, dict) and all(key.get(member) == value for member, value in form.items())
    ]


def _instant(seconds: object) -> datetime | None:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        return None


PUBLIC_MEMBERS = ("kty", "kid", "use", "key_ops", "alg", "n", "e", "crv", "x", "y")
PRIVATE_MEMBERS = ("d", "p", "q", "dp", "dq", "qi", "oth", "k")


def public(key: Mapping[str, Any]) -> dict[str, Any]:
    """The public members of a JSON Web Key."""
    return {member: key[member] for member in PUBLIC_MEMBERS if member in key}


def check_keys(keys: Mapping[str, Any]) -> None:
    """Whether a JWK Set can be registered: public keys for RS384 or ES384, each with its own kid. Raises Invalid."""
    listed = keys.get("keys")
    if not isinstance(listed, list) or not listed or not all(isinstance(key, dict) for key in listed):
        raise Invalid("A JWK Set has a member `keys` that lists at least one key.", at="jwks.keys")
    kids = [key.get("kid") for key in listed]
    if not all(isinstance(kid, str) and kid for kid in kids) or len(set(kids)) != len(kids):
        raise Invalid("Every key needs a kid of its own.", at="jwks.keys.kid")
    for key in listed:
        if any(member in key for member in PRIVATE_MEMBERS):
            raise Invalid("A private key was given: register its public part alone.", at="jwks.keys")
        if not any(all(key.get(m) == v for m, v in form.items()) for form in KEY_FORMS.values()):
            raise Invalid("A key must be RSA (RS384) or EC on the curve P-384 (ES384).", at="jwks.keys.kty")
        try:
            read = jwk.import_key(public(key))
        except (JoseError, ValueError, TypeError, KeyError) as fault:
            raise Invalid("A key cannot be read as a JSON Web Key.", at="jwks.keys") from fault
        if isinstance(read, jwk.RSAKey) and read.raw_value.key_size < 2048:
            raise Invalid("An RSA key needs at least 2048 bits.", at="jwks.keys.n")
