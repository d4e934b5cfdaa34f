"""A program with keys of its own, as an integrator would write one."""

import time
import uuid
from typing import Any

from joserfc import jwk, jwt

BASE = "https://referrals.example.org"
TOKEN_URL = BASE + "/auth/token"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

HOSPITAL = uuid.UUID("00000000-0000-4000-8000-00000000000a")
AGENCY = uuid.UUID("00000000-0000-4000-8000-00000000000b")
PLATFORM = uuid.UUID("00000000-0000-4000-8000-0000000000ff")

RSA = jwk.RSAKey.generate_key(2048, {"kid": "rsa-1"})
EC = jwk.ECKey.generate_key("P-384", {"kid": "ec-1"})
STRANGER = jwk.RSAKey.generate_key(2048, {"kid": "rsa-1"})
KEYS = {"keys": [RSA.as_dict(private=False), EC.as_dict(private=False)]}


def claims(client_id: str, **changed: Any) -> dict[str, Any]:
    """Good claims; a value of None leaves one out."""
    good = {
        "iss": client_id,
        "sub": client_id,
        "aud": TOKEN_URL,
        "exp": int(time.time()) + 240,
        "jti": uuid.uuid4().hex,
    }
    return {name: value for name, value in (good | changed).items() if value is not None}


def signed(said: dict[str, Any], key: Any = RSA, alg: str = "RS384", kid: str | None = "rsa-1", **header: Any) -> str:
    head = {"alg": alg, "typ": "JWT"} | ({} if kid is None else {"kid": kid}) | header
    return jwt.encode(head, said, key, algorithms=[alg, "none"])


def form(assertion: str, **changed: Any) -> dict[str, str]:
    good = {
        "grant_type": "client_credentials",
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": assertion,
        "scope": "system/*.rs",
    }
    return {name: value for name, value in (good | changed).items() if value is not None}
